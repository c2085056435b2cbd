//! One command that runs, and what it complains of.

use super::{Error, Result};
use crate::arena::Arena;
use mydocker_sys::OwnedFd;
use mydocker_sys::process::{self, Exit, Pid};
use mydocker_sys::signal::Signal;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where every command finds programs.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How much of a failed command's complaint goes into the report, in characters.
const COMPLAINT: usize = 200;

/// A process that is killed when nobody waits for it to the end.
#[derive(Debug)]
pub struct Running {
    pub pid: Pid,
    pub pidfd: OwnedFd,
    pub what: String,
    reaped: bool,
}

impl Running {
    pub fn start(
        argv: &[OsString],
        environment: &[(&'static str, OsString)],
        complaints: &Complaints,
        output: Stdio,
    ) -> Result<Self> {
        let what = shown(argv);
        let (program, arguments) =
            argv.split_first().ok_or_else(|| Error::Command("an empty command".into()))?;
        let child = Command::new(program)
            .args(arguments)
            // Whoever starts this may have set LD_LIBRARY_PATH (cargo does), which makes the loader of a dynamically
            // linked runtime search far more than it does for a user.
            .env_clear()
            .env("PATH", PATH)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(complaints.writer()?)
            .spawn()
            .map_err(|error| Error::Command(format!("{what}: {error}")))?;
        Self::adopt(Pid::from_raw(child.id() as i32), &what)
    }

    fn adopt(pid: Pid, what: &str) -> Result<Self> {
        let pidfd = process::pidfd_open(pid)?;
        Ok(Self { pid, pidfd, what: what.into(), reaped: false })
    }

    /// The container's process, an orphan that this process has inherited. A pid file that says anything else is
    /// the runtime's mistake, and nothing may be done to a process of somebody else.
    pub fn of_pid_file(path: &Path) -> std::result::Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("no pid file: {error}"))?;
        std::fs::remove_file(path).map_err(|error| format!("removing the pid file: {error}"))?;
        let pid: i32 = text.trim().parse().map_err(|_| format!("a pid file that says {text:?}"))?;
        let status =
            std::fs::read_to_string(format!("/proc/{pid}/status")).map_err(|error| error.to_string())?;
        let parent = format!("PPid:\t{}", process::getpid());
        if !status.lines().any(|line| line == parent) {
            return Err(format!("process {pid} of the pid file is no orphan of the runtime"));
        }
        Self::adopt(Pid::from_raw(pid), "the container").map_err(|error| error.to_string())
    }

    pub fn reap(&mut self) -> Result<Exit> {
        self.reaped = true;
        Ok(process::wait(&self.pidfd)?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.reaped {
            return;
        }
        let ended = process::pidfd_kill(&self.pidfd, Signal::SIGKILL as i32);
        if let Err(error) = ended.and_then(|()| process::wait(&self.pidfd)) {
            // A destructor has nobody to return to; what made it run is being reported already.
            crate::cli::complain(&anyhow::Error::from(error));
        }
    }
}

/// The file that commands complain to.
pub struct Complaints {
    path: PathBuf,
    file: File,
    hidden: String,
}

impl Complaints {
    pub fn new(arena: &Arena) -> Result<Self> {
        let path = arena.path("stderr");
        let file = File::create(&path).map_err(|error| Error::File(path.clone(), error))?;
        Ok(Self { path, file, hidden: arena.path("").display().to_string() })
    }

    pub fn writer(&self) -> Result<File> {
        self.file.try_clone().map_err(|error| Error::File(self.path.clone(), error))
    }

    /// The error of a failed command: the last line it wrote, without the name of the temporary directory.
    pub fn blame(&self, argv: &[OsString], exit: Exit) -> Error {
        let text = std::fs::read(&self.path).unwrap_or_else(|error| error.to_string().into_bytes());
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        let message = format!("{}: status {}: {line}", shown(argv), exit.status());
        Error::Command(message.replace(&self.hidden, "").chars().take(COMPLAINT).collect())
    }
}

/// The program's name and, of a runtime, the subcommand: what follows `--root DIR`, also behind a counting tool.
pub fn shown(argv: &[OsString]) -> String {
    let root = argv.iter().position(|word| word == "--root");
    // mydocker has another directory before it.
    let first = argv.iter().position(|word| word == "--runroot").or(root);
    let program = argv.get(first.map_or(0, |first| first.saturating_sub(1)));
    let name = program.map(Path::new).and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    match root.and_then(|root| argv.get(root + 2)) {
        Some(command) => format!("{name} {}", command.to_string_lossy()),
        None => name.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_by_program_and_subcommand() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert_eq!(shown(&words("/usr/bin/crun --root /r state id")), "crun state");
        assert_eq!(shown(&words("/usr/bin/perf stat -o f /usr/bin/crun --root /r state id")), "crun state");
        assert_eq!(shown(&words("/usr/bin/mydocker --runroot /r --root /r2 ps -q")), "mydocker ps");
        assert_eq!(shown(&words("/tmp/floor /tmp/rootfs")), "floor");
        assert_eq!(shown(&[]), "");
    }
}
