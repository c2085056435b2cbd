//! Starting a monitor, and hearing from it.

use super::{NAME, VERSION};
use crate::attach::{AttachError, Connection, Reply, Request, Streams};
use crate::client::{self, ClientError, Person};
use crate::container::{Container, Containers, ContainersError, Locked, Status};
use crate::home::{Home, program};
use mydocker_sys::OwnedFd;
use mydocker_sys::process::close_on_exec_from;
use mydocker_sys::socket::seqpacket_pair;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Why a container was not started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// Its monitor says so.
    #[error("{text}")]
    Failed {
        /// The exit status of the command: 125, 126 or 127.
        status: u8,
        /// Why.
        text: String,
    },
    /// Its monitor has ended without a word: somebody killed it.
    #[error("the container's monitor was killed before the container was started")]
    MonitorGone,
    /// Its program is not there.
    #[error(
        "cannot find the container's monitor {0:?}: install {NAME} beside mydocker, or name it in MYDOCKER_MONITOR"
    )]
    NoMonitor(PathBuf),
    /// Its program cannot be run.
    #[error("cannot run the container's monitor {0:?}")]
    Spawn(PathBuf, #[source] io::Error),
    /// It runs.
    #[error("the container is running already")]
    Running,
    /// The streams between the person and the container.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The connection to the monitor.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// The container.
    #[error(transparent)]
    Containers(#[from] ContainersError),
    /// What an earlier monitor has left.
    #[error(transparent)]
    Mend(#[from] super::MendError),
    /// A system call.
    #[error(transparent)]
    System(#[from] mydocker_sys::Error),
}

impl LaunchError {
    /// The exit status of a command that ends with this.
    #[must_use]
    pub fn status(&self) -> u8 {
        match self {
            Self::Failed { status, .. } => *status,
            _ => 125,
        }
    }
}

/// What of a container's streams a person wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachOptions {
    /// Input is passed on.
    pub stdin: bool,
    /// What is printed on standard output is wanted.
    pub stdout: bool,
    /// What is printed on standard error is wanted.
    pub stderr: bool,
    /// Signals are passed on; with a terminal they come as keys instead.
    pub sig_proxy: bool,
    /// The keys that leave the container running, as they were typed; ctrl-p, ctrl-q if `None`.
    pub detach_keys: Option<String>,
}

/// Starts a container in the background, and returns when its program runs. The container's lock is taken meanwhile.
///
/// # Errors
/// [`LaunchError`].
pub fn run_detached(containers: &Containers, container: &Container) -> Result<(), LaunchError> {
    let lock = containers.lock(&container.id)?;
    let mut connection = launch(containers, container, &[Request::Hello(Streams::default())])?;
    await_start(&mut connection, lock)
}

/// Starts a container with this process's standard streams attached to its, so that nothing it prints is lost, and
/// returns its status at its end, or 0 when the person has left it running.
///
/// # Errors
/// [`LaunchError`].
pub fn run_attached(
    containers: &Containers,
    container: &Container,
    options: &AttachOptions,
) -> Result<u8, LaunchError> {
    let mut person = Person::new(options, container.config.tty)?;
    let lock = containers.lock(&container.id)?;
    let mut first = vec![Request::Hello(person.streams())];
    first.extend(person.size());
    let mut connection = launch(containers, container, &first)?;
    await_start(&mut connection, lock)?;
    Ok(client::serve(&mut person, &mut connection)?)
}

/// Starts a monitor that has a client already, which has said this.
fn launch(
    containers: &Containers,
    container: &Container,
    first: &[Request<'_>],
) -> Result<Connection, LaunchError> {
    let id = &container.id;
    await_quiet(containers, id)?;
    super::mend(containers, id)?;
    if is_up(containers, id)? {
        return Err(LaunchError::Running);
    }
    let (ours, theirs) = seqpacket_pair()?;
    let mut connection = Connection::over(ours);
    for request in first {
        connection.say(request)?;
    }
    spawn(containers.home(), id, theirs)?;
    Ok(connection)
}

/// The monitor outlives this process; nobody but the host's init waits for it.
fn spawn(home: &Home, id: &str, client: OwnedFd) -> Result<(), LaunchError> {
    // Whatever this process was given beside its streams is nothing that should stay open for as long as the container runs.
    close_on_exec_from(3)?;
    let monitor = program(NAME, "MYDOCKER_MONITOR");
    let mut command = Command::new(&monitor);
    command.arg0(NAME).arg(home.container(id)).arg(home.root()).arg(home.run()).arg(home.runtime());
    command.arg(VERSION);
    command.stdin(client).stdout(Stdio::null()).stderr(Stdio::null());
    match command.spawn() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(LaunchError::NoMonitor(monitor)),
        other => other.map(drop).map_err(|error| LaunchError::Spawn(monitor, error)),
    }
}

/// Waits until the container's program runs. Where it does not, the monitor may remove the container, which takes the
/// lock; this waits for it.
fn await_start(connection: &mut Connection, lock: Locked) -> Result<(), LaunchError> {
    let error = match connection.hear()? {
        Some(Reply::Started) => return Ok(()),
        Some(Reply::Failed { status, text }) => LaunchError::Failed { status, text: text.to_owned() },
        Some(_) => AttachError::Garbled.into(),
        None => LaunchError::MonitorGone,
    };
    drop(lock);
    while connection.hear()?.is_some() {}
    Err(error)
}

/// Waits until nobody looks after a container: a monitor that is about to start it for somebody who was killed, or one
/// that still clears up. The caller has the container's lock.
///
/// # Errors
/// [`LaunchError::Running`] once the container runs.
pub fn await_quiet(containers: &Containers, id: &str) -> Result<(), LaunchError> {
    while super::lock(containers.home(), id, false)?.is_none() {
        if is_up(containers, id)? {
            return Err(LaunchError::Running);
        }
        match Connection::open_if_understood(containers.home(), id, Streams::default())? {
            Some(mut connection) => {
                if let Some(Reply::Started) = connection.hear()? {
                    return Err(LaunchError::Running);
                }
            }
            // It has just begun, or has nearly ended, or is of another version.
            None => drop(super::lock(containers.home(), id, true)?),
        }
    }
    Ok(())
}

fn is_up(containers: &Containers, id: &str) -> Result<bool, LaunchError> {
    Ok(matches!(containers.state(id)?.status, Status::Running | Status::Paused | Status::Restarting))
}
