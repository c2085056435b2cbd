//! The OCI runtime, through its command line: whatever takes runc's will do.

use crate::container::CgroupManager;
use crate::home::{Home, program};
use mydocker_sys::AsFd as _;
use mydocker_sys::poll::{Interest, poll};
use mydocker_sys::process::{Pid, die_with_parent, memory_file, output, pidfd_open};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// Why the runtime did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// It cannot be run.
    #[error("cannot run the OCI runtime {0:?}")]
    Run(PathBuf, #[source] io::Error),
    /// It refuses.
    #[error("{0}")]
    Refused(String),
    /// It does not end.
    #[error(
        "the OCI runtime {0:?} has not ended within {1:?}, and was killed; see what it waits for, such as a mount of a server that does not answer"
    )]
    Slow(PathBuf, Duration),
    /// A system call.
    #[error(transparent)]
    System(#[from] mydocker_sys::Error),
}

/// A runtime and its state root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oci {
    program: PathBuf,
    root: PathBuf,
    log: Option<PathBuf>,
    cgroup_manager: CgroupManager,
}

impl Oci {
    /// The runtime of this name or path, for containers of `home`.
    #[must_use]
    pub fn new(home: &Home, runtime: &str) -> Self {
        let found = match runtime {
            "mydocker-runtime" => program(runtime, "MYDOCKER_RUNTIME"),
            other => PathBuf::from(other),
        };
        Self { program: found, root: home.runtime_root(), log: None, cgroup_manager: CgroupManager::Cgroupfs }
    }

    /// The same runtime, that writes its errors as JSON to a file, where [`last_error`] finds them.
    #[must_use]
    pub fn logging_to(&self, log: &Path) -> Self {
        Self { log: Some(log.to_owned()), ..self.clone() }
    }

    /// The same runtime, whose containers get their cgroups from this manager.
    #[must_use]
    pub fn with_cgroups_of(&self, cgroup_manager: CgroupManager) -> Self {
        Self { cgroup_manager, ..self.clone() }
    }

    /// A command of it, such as `create`, without any arguments yet.
    #[must_use]
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(&self.root);
        if let Some(log) = &self.log {
            command.arg("--log").arg(log).args(["--log-format", "json"]);
        }
        if self.cgroup_manager == CgroupManager::Systemd {
            command.arg("--systemd-cgroup");
        }
        command.arg(name);
        command
    }

    /// Runs a command to its end, and returns what it printed.
    ///
    /// # Errors
    /// [`OciError`]: with the last line that the runtime printed on its standard error.
    pub fn run<A: AsRef<OsStr>>(&self, name: &str, args: &[A]) -> Result<Vec<u8>, OciError> {
        self.finish(self.command(name), args)
    }

    /// The same for who may be killed meanwhile: the runtime goes as well then, and does not do its work unseen.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_while_alive<A: AsRef<OsStr>>(&self, name: &str, args: &[A]) -> Result<Vec<u8>, OciError> {
        let mut command = self.command(name);
        die_with_parent(&mut command);
        self.finish(command, args)
    }

    fn finish<A: AsRef<OsStr>>(&self, mut command: Command, args: &[A]) -> Result<Vec<u8>, OciError> {
        command.args(args).stdin(Stdio::null());
        let output = output(&mut command).map_err(|source| OciError::Run(self.program.clone(), source))?;
        if output.status.success() { Ok(output.stdout) } else { Err(OciError::Refused(complaint(&output))) }
    }

    /// Runs a command to its end with this as its standard input.
    ///
    /// # Errors
    /// [`OciError`].
    pub fn run_with_input(&self, name: &str, args: &[&str], input: &[u8]) -> Result<(), OciError> {
        let failed = |source| OciError::Run(self.program.clone(), source);
        let mut command = self.command(name);
        command.args(args).stdin(memory_file(c"input", input).map_err(failed)?);
        let output = output(&mut command).map_err(failed)?;
        if output.status.success() { Ok(()) } else { Err(OciError::Refused(complaint(&output))) }
    }

    /// Whether its state root has anything of a container, which every runtime keeps under the id.
    #[must_use]
    pub fn has_record(&self, id: &str) -> bool {
        self.root.join(id).symlink_metadata().is_ok()
    }

    /// Its program.
    #[must_use]
    pub fn program(&self) -> &PathBuf {
        &self.program
    }
}

/// Runs a command of a runtime to its end, which it has to come to in time.
///
/// # Errors
/// [`OciError::Slow`] and others.
pub fn status_within(command: &mut Command, limit: Duration) -> Result<ExitStatus, OciError> {
    let program = PathBuf::from(command.get_program());
    let failed = |source| OciError::Run(program.clone(), source);
    let mut child = command.spawn().map_err(failed)?;
    let pidfd = pidfd_open(Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX)))?;
    let ends = Interest::read(pidfd.as_fd());
    if poll(&[ends], Some(Instant::now() + limit), "the end of the OCI runtime").is_err() {
        child.kill().map_err(failed)?;
        child.wait().map_err(failed)?;
        return Err(OciError::Slow(program, limit));
    }
    child.wait().map_err(failed)
}

/// Why a container's program was not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastError {
    /// What the runtime says.
    pub text: String,
    /// 127 for a program that is not there, 126 for one that cannot be run, 125 for everything else.
    pub status: u8,
}

/// The last error in a log that a runtime wrote ([`Oci::logging_to`]).
#[must_use]
pub fn last_error(log: &Path) -> Option<LastError> {
    let text = std::fs::read_to_string(log).ok()?;
    let lines = text.lines().rev().filter_map(|line| serde_json::from_str::<LogLine>(line).ok());
    let line = lines.into_iter().find(|line| matches!(line.level.as_str(), "error" | "fatal"))?;
    let status = status_of(line.code.as_deref(), &line.msg);
    Some(LastError { text: line.msg, status })
}

#[derive(serde::Deserialize)]
struct LogLine {
    level: String,
    msg: String,
    #[serde(default)]
    code: Option<String>,
}

/// Our runtime has codes; of others only the text tells, which begins the part about the program with `exec`.
fn status_of(code: Option<&str>, text: &str) -> u8 {
    match code {
        Some("executable-not-found" | "interpreter-not-found") => return 127,
        Some("executable-not-runnable") => return 126,
        Some(_) => return 125,
        None => {}
    }
    let text = text.to_ascii_lowercase();
    let about_program = text.find("exec").map_or("", |at| &text[at..]);
    let says = |words: &[&str]| words.iter().any(|word| about_program.contains(word));
    match () {
        () if says(&["executable file not found", "executable file `", "no such file or directory"]) => 127,
        () if says(&["permission denied", "is a directory", "exec format error"]) => 126,
        () => 125,
    }
}

/// What the runtime says last is why it gave up.
fn complaint(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().rev().find(|line| !line.trim().is_empty());
    last.map_or_else(|| format!("the OCI runtime ended with {}", output.status), message)
}

/// What a line of a runtime's log says: `time=... level=error msg="..."`, or all of it.
fn message(line: &str) -> String {
    let Some((_, text)) = line.split_once(" msg=\"").filter(|_| line.contains("level=")) else {
        return line.to_owned();
    };
    let mut said = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next().filter(|letter| *letter != '"') {
        said.extend(if letter == '\\' { letters.next() } else { Some(letter) });
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_s_wrapping_is_taken_off() {
        assert_eq!(message("time=\"2024\" level=error msg=\"no \\\"x\\\" here\" code=y"), "no \"x\" here");
        assert_eq!(message("Error: msg=1"), "Error: msg=1");
    }

    #[test]
    fn a_runtime_that_does_not_end_is_killed() {
        let hour = &mut Command::new("sleep");
        let error = status_within(hour.arg("3600"), Duration::from_millis(50)).expect_err("it does not end");
        assert!(matches!(&error, OciError::Slow(program, _) if program == "sleep"), "{error}");
        let good = status_within(&mut Command::new("true"), Duration::from_secs(60)).expect("it ends");
        assert!(good.success());
    }

    #[test]
    fn the_status_tells_what_is_wrong_with_the_program() {
        for (code, text, status) in [
            (Some("executable-not-found"), "exec: \"x\": executable file not found in $PATH", 127),
            (
                Some("interpreter-not-found"),
                "exec /x: no such file or directory: its #! line names \"/y\"",
                127,
            ),
            (Some("executable-not-runnable"), "exec: \"x\": permission denied", 126),
            (Some("mount"), "mount: no such file or directory", 125),
            (
                None,
                "runc create failed: unable to start container process: exec: \"x\": executable file not found in $PATH",
                127,
            ),
            (
                None,
                "runc create failed: unable to start container process: exec: \"/x\": stat /x: no such file or directory",
                127,
            ),
            (
                None,
                "runc create failed: unable to start container process: exec: \"/bin\": permission denied",
                126,
            ),
            (None, "executable file `x` not found in $PATH: No such file or directory", 127),
            (None, "mounting \"/a\" to rootfs: permission denied", 125),
        ] {
            assert_eq!(status_of(code, text), status, "{text}");
        }
    }
}
