//! One start of a container, and all that is undone after its end.

use super::health::Health;
use super::memory::MemoryKills;
use super::streams::{Ends, Streams};
use super::turn::Running;
use crate::attach::short_path;
use crate::container::{Container, Containers, Process, State, Status};
use crate::network::Up;
use crate::oci::{Oci, OciError, last_error, status_within};
use crate::prepare::{PrepareError, prepare, undo};
use crate::{clock, home::Home};
use mydocker_img::cli::chain;
use mydocker_sys::process::{Pid, die_with_parent};
use mydocker_sys::socket::{accept, listen_stream, receive};
use mydocker_sys::tty::Size;
use mydocker_sys::{Errno, OwnedFd};
use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long the runtime may take for a command, on a host that has much to do.
const DEADLINE: Duration = Duration::from_secs(120);

/// Why a container's program does not run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Something that it needs.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The runtime says so, with the exit status of the command that wanted it.
    #[error("{text}")]
    Runtime {
        /// 125, 126 or 127.
        status: u8,
        /// What it says.
        text: String,
    },
    /// The runtime cannot be run.
    #[error(transparent)]
    Oci(#[from] OciError),
    /// A file of what is gone after a reboot.
    #[error("cannot {action} {path:?}")]
    Io {
        /// What was to be done.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the kernel says.
        source: std::io::Error,
    },
    /// A system call.
    #[error(transparent)]
    System(#[from] mydocker_sys::Error),
    /// The container's state.
    #[error(transparent)]
    Containers(#[from] crate::container::ContainersError),
    /// The runtime ended well, and there is no container.
    #[error("the OCI runtime has made no process")]
    NoProcess,
}

impl StartError {
    /// The exit status of the command that wanted the start.
    #[must_use]
    pub fn status(&self) -> u8 {
        match self {
            Self::Runtime { status, .. } => *status,
            _ => 125,
        }
    }

    /// In one line.
    #[must_use]
    pub fn text(&self) -> String {
        chain(self)
    }
}

/// A container that runs, and what has to stay open for it.
#[derive(Debug)]
pub struct Started {
    /// Its process and its streams.
    pub running: Running,
    /// Port reservations.
    pub held: Vec<OwnedFd>,
}

/// Everything that a start needs to know.
#[derive(Debug, Clone, Copy)]
pub struct Starter<'a> {
    /// Where containers are.
    pub containers: &'a Containers,
    /// Which one.
    pub container: &'a Container,
    /// Its runtime.
    pub oci: &'a Oci,
}

impl Starter<'_> {
    fn home(&self) -> &Home {
        self.containers.home()
    }

    /// What of the container is gone after a reboot.
    #[must_use]
    pub fn run_directory(&self) -> PathBuf {
        self.home().run_of(&self.container.id)
    }

    /// Makes it.
    ///
    /// # Errors
    /// [`StartError::Io`].
    pub fn make_run_directory(&self) -> Result<(), StartError> {
        make_directory(&self.run_directory())
    }

    /// Prepares, creates and starts the container.
    ///
    /// # Errors
    /// [`StartError`]; what was made until then is there to be undone.
    pub fn start(&self, size: Option<Size>) -> Result<Started, StartError> {
        let Up { endpoints, ports, held, .. } = prepare(self.containers, self.container)?;
        self.containers.change_state(&self.container.id, |state| {
            state.endpoints = endpoints;
            state.ports = ports;
        })?;
        let run = self.run_directory();
        self.make_run_directory()?;
        make_directory(&self.home().runtime_root())?;
        let log = run.join("runtime.log");
        remove(&log)?;
        let oci = self.oci.logging_to(&log);
        let streams = self.create(&oci, &log, &run)?;
        if let Some(size) = size {
            streams.resize(size);
        }
        let process = created(&run)?;
        let memory = MemoryKills::of(process.pid);
        let health = Health::of(self.container, &run);
        self.run(&oci, &log, &["start"])?;
        self.record(process, &health)?;
        let pid = Pid::from_raw(process.pid);
        Ok(Started { running: Running { pid, streams, health, memory, exit: None }, held })
    }

    /// `create`, whose standard streams become the container's.
    fn create(&self, oci: &Oci, log: &Path, run: &Path) -> Result<Streams, StartError> {
        let bundle = self.home().container(&self.container.id).join("bundle");
        // The runtime's record tells its later commands.
        let oci = oci.with_cgroups_of(self.container.host_config.cgroup_manager);
        let mut command = oci.command("create");
        command.arg("--bundle").arg(bundle).arg("--pid-file").arg(run.join("pid"));
        if self.container.config.tty {
            return self.create_on_terminal(command, log, run);
        }
        let (streams, Ends { stdin, stdout, stderr }) = Streams::pipes(self.container.config.open_stdin)?;
        command.arg(&self.container.id).stdin(stdin.map_or_else(Stdio::null, Into::into));
        command.stdout(stdout).stderr(stderr);
        finish(command, log)?;
        Ok(streams)
    }

    /// The runtime sends the terminal over a socket; it is there once the runtime has ended.
    fn create_on_terminal(
        &self,
        mut command: Command,
        log: &Path,
        run: &Path,
    ) -> Result<Streams, StartError> {
        remove(&run.join("console.sock"))?;
        let (path, _directory) = short_path(run, "console.sock")?;
        let listener = listen_stream(&path)?;
        command.arg("--console-socket").arg(&path).arg(&self.container.id);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        finish(command, log)?;
        remove(&run.join("console.sock"))?;
        let none = || mydocker_sys::Error::new("accept4", format!("{}", path.display()), Errno::ENOENT);
        let connection = accept(&listener)?.ok_or_else(none)?;
        let message = receive(&connection, &mut [0; 4096])?;
        Ok(Streams::terminal(message.fds.into_iter().next().ok_or_else(none)?)?)
    }

    /// A command of the runtime about the container, to its end.
    fn run(&self, oci: &Oci, log: &Path, words: &[&str]) -> Result<(), StartError> {
        let Some((name, rest)) = words.split_first() else { return Ok(()) };
        let mut command = oci.command(name);
        command.args(rest).arg(&self.container.id);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        finish(command, log)
    }

    fn record(&self, process: Process, health: &Option<Health>) -> Result<(), StartError> {
        self.containers.change_state(&self.container.id, |state| {
            state.status = Status::Running;
            state.process = Some(process);
            state.started_at = Some(clock::now());
            state.finished_at = None;
            (state.exit_code, state.signal, state.oom_killed) = (0, None, false);
            state.error.clear();
            state.health = health.as_ref().map(|_| crate::container::Health::default());
        })?;
        Ok(())
    }

    /// Takes back all that a start has made, in reverse; what is not there is as good.
    pub fn undo(&self) -> Vec<String> {
        let mut errors = delete(self.oci, &self.container.id);
        errors.extend(undo(self.home(), self.container).iter().map(|error| chain(error)));
        errors
    }
}

/// Removes what the runtime knows of a container, with its processes; nothing is as good.
pub fn delete(oci: &Oci, id: &str) -> Vec<String> {
    match oci.run_while_alive("delete", &["--force", id]) {
        Ok(_) => Vec::new(),
        Err(OciError::Refused(text)) if text.contains("does not exist") => Vec::new(),
        // A runtime that is not there has made nothing, unless it was there before.
        Err(OciError::Run(_, source)) if source.kind() == ErrorKind::NotFound && !oci.has_record(id) => {
            Vec::new()
        }
        Err(error) => vec![chain(&error)],
    }
}

/// What is recorded of a container that has no monitor and no process.
pub fn clear_state(state: &mut State) {
    state.process = None;
    state.monitor = None;
    state.endpoints.clear();
    state.ports.clear();
}

fn finish(mut command: Command, log: &Path) -> Result<(), StartError> {
    die_with_parent(&mut command);
    let status = status_within(&mut command, DEADLINE)?;
    // Its copies of the container's ends of the pipes: as long as they are open, no pipe has an end.
    drop(command);
    if status.success() {
        return Ok(());
    }
    let (text, status) = match last_error(log) {
        Some(error) => (error.text, error.status),
        None => (format!("the OCI runtime ended with {status}, and does not say why{}", silence(log)), 125),
    };
    Err(StartError::Runtime { status, text })
}

/// Why a runtime may have been silent: there is no room for what it would say. Another file beside its log shows that, for
/// whoever wants to know more looks into the log.
fn silence(log: &Path) -> String {
    let probe = log.with_extension("probe");
    let written = fs::write(&probe, "{}\n");
    // What is left of it goes with the directory.
    drop(remove(&probe));
    written.err().map_or_else(String::new, |error| format!(": {} cannot be written: {error}", log.display()))
}

fn created(run: &Path) -> Result<Process, StartError> {
    let path = run.join("pid");
    let text = fs::read_to_string(&path).map_err(|source| StartError::Io { action: "read", path, source })?;
    text.trim().parse().ok().and_then(Process::of).ok_or(StartError::NoProcess)
}

fn make_directory(path: &Path) -> Result<(), StartError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| StartError::Io { action: "make the directory", path: path.to_owned(), source })
}

fn remove(path: &Path) -> Result<(), StartError> {
    mydocker_sys::fs::unlink_if_present(mydocker_sys::fs::AT_FDCWD, path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_of_a_silent_runtime_stays() {
        let place = tempfile::tempdir().expect("room");
        let log = place.path().join("runtime.log");
        fs::write(&log, "a word\n").expect("room");
        assert_eq!(silence(&log), "");
        assert_eq!(fs::read_to_string(&log).expect("it is there"), "a word\n");
        assert_eq!(fs::read_dir(place.path()).expect("a directory").count(), 1);
        assert!(silence(Path::new("/no/such/runtime.log")).contains("cannot be written"));
    }
}
