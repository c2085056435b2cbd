//! Stopping, killing, pausing and removing containers, whether they have a monitor or it was killed.

use crate::attach::{AttachError, Connection, Request, Streams};
use crate::container::{Container, Containers, ContainersError, Process, State, Status};
use crate::events::{Event, record};
use crate::monitor::{self, LaunchError, MendError, runtime_of};
use crate::oci::{Oci, OciError};
use crate::signals::{BadSignal, stop_signal};
use mydocker_sys::poll::{Interest, poll};
use mydocker_sys::process::{Pid, pidfd_kill, pidfd_open};
use mydocker_sys::signal::Signal;
use mydocker_sys::{AsFd as _, Errno, OwnedFd};
use std::time::{Duration, Instant};

/// Seconds from the stop signal to SIGKILL where nothing else is said.
const STOP_TIMEOUT: i64 = 10;

/// Why a container does not end, or go on.
#[derive(Debug, thiserror::Error)]
pub enum EndingError {
    /// Its record or its state.
    #[error(transparent)]
    Containers(#[from] ContainersError),
    /// Its monitor.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// What is left of it.
    #[error(transparent)]
    Mend(#[from] MendError),
    /// Its start.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// The runtime.
    #[error(transparent)]
    Oci(#[from] OciError),
    /// A system call.
    #[error(transparent)]
    System(#[from] mydocker_sys::Error),
    /// A signal that is none.
    #[error(transparent)]
    Signal(#[from] BadSignal),
    /// `kill` of what does not run.
    #[error("cannot kill container: {name}: container {id} is not running")]
    NotKilled {
        /// As it was typed.
        name: String,
        /// The container.
        id: String,
    },
    /// What needs a container that runs.
    #[error("container {0} is not running")]
    NotRunning(String),
    /// `pause` of what is paused.
    #[error("container {0} is already paused")]
    Paused(String),
    /// `unpause` of what is not.
    #[error("container {0} is not paused")]
    NotPaused(String),
    /// `rm` of what runs.
    #[error("cannot remove container {name:?}: container is {status}: {mend}")]
    NotRemoved {
        /// Its name.
        name: String,
        /// What it does.
        status: &'static str,
        /// What helps.
        mend: &'static str,
    },
}

/// Whether a container is there for its monitor.
#[must_use]
pub fn is_up(status: Status) -> bool {
    matches!(status, Status::Running | Status::Paused | Status::Restarting)
}

/// How a container is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stop {
    /// The signal; its own if `None`.
    pub signal: Option<i32>,
    /// Seconds to SIGKILL, -1 for ever; its own if `None`.
    pub timeout: Option<i64>,
    /// Whether it is started again afterwards, and so not removed even if `--rm` says so.
    pub stays: bool,
}

/// Asks a container to end, kills it when it does not, and returns when all that belongs to its run is cleared up. One
/// that does not run is left as it is.
///
/// # Errors
/// [`EndingError`].
pub fn stop(containers: &Containers, container: &Container, wish: Stop) -> Result<(), EndingError> {
    let id = &container.id;
    let state = containers.state(id)?;
    if !is_up(state.status) {
        return Ok(());
    }
    containers.change_state(id, |state| state.stopped_by_hand = true)?;
    let mut target = Target::find(containers, container, wish.stays)?;
    if state.status == Status::Paused {
        unpause(containers, container)?;
    }
    let signal = wish.signal.unwrap_or_else(|| stop_signal(container));
    let told = |number: i32| record(containers.home(), &Event::of(container, "kill").with("signal", number));
    target.signal(signal)?;
    told(signal);
    let seconds = wish.timeout.or(container.config.stop_timeout).unwrap_or(STOP_TIMEOUT);
    let deadline = u64::try_from(seconds).ok().map(|seconds| Instant::now() + Duration::from_secs(seconds));
    if !target.ends_before(deadline)? {
        target.signal(Signal::SIGKILL as i32)?;
        told(Signal::SIGKILL as i32);
        target.ends_before(None)?;
    }
    target.clear_up(containers, id)?;
    record(containers.home(), &Event::of(container, "stop"));
    Ok(())
}

/// A container that is to end, by what there is of it.
struct Target {
    connection: Option<Connection>,
    process: Option<OwnedFd>,
    /// Whether there is a monitor that is not understood: it sees the end, and that somebody stopped the container.
    is_foreign: bool,
}

impl Target {
    fn find(containers: &Containers, container: &Container, stays: bool) -> Result<Self, EndingError> {
        let opened = Connection::open(containers.home(), &container.id, Streams::default());
        let is_foreign = matches!(opened, Err(AttachError::OtherVersion));
        let mut connection = if is_foreign { None } else { opened? };
        if let Some(connection) = &mut connection {
            // A monitor that goes at this moment starts nothing either.
            connection.say(&Request::Rest { stays })?;
        }
        let process = process_of(&containers.recorded_state(&container.id)?)?;
        if is_foreign && process.is_none() {
            // Nobody can keep it from starting the container.
            return Err(AttachError::OtherVersion.into());
        }
        Ok(Self { connection, process, is_foreign })
    }

    /// The monitor passes it on: the container may just be starting again, as a process that nobody else knows yet.
    fn signal(&mut self, number: i32) -> Result<(), EndingError> {
        let told = self.connection.as_mut().map(|connection| connection.say(&Request::Signal(number)));
        match &self.process {
            Some(process) if !matches!(told, Some(Ok(true))) => signal(process, number),
            _ => told.transpose().map(drop).map_err(Into::into),
        }
    }

    fn ends_before(&mut self, deadline: Option<Instant>) -> Result<bool, EndingError> {
        if let Some(connection) = &mut self.connection {
            return Ok(connection.ends_before(deadline)?);
        }
        let Some(process) = &self.process else { return Ok(true) };
        match poll(&[Interest::read(process.as_fd())], deadline, "the container's end") {
            Err(error) if error.errno() == Errno::ETIMEDOUT => Ok(false),
            other => Ok(other.map(|_| true)?),
        }
    }

    /// A monitor has cleared up; without one there is nobody else to do it.
    fn clear_up(&self, containers: &Containers, id: &str) -> Result<(), EndingError> {
        if self.is_foreign {
            monitor::await_leave(containers, id)?;
        }
        match containers.lock(id) {
            // Its monitor has removed it.
            Err(ContainersError::NotFound(_)) => Ok(()),
            Err(error) => Err(error.into()),
            Ok(_) if self.connection.is_some() && containers.recorded_state(id)?.monitor.is_none() => Ok(()),
            Ok(_locked) => match monitor::await_quiet(containers, id) {
                Err(LaunchError::Running) => Ok(()),
                Err(error) => Err(error.into()),
                Ok(()) => Ok(monitor::mend(containers, id).map(drop)?),
            },
        }
    }
}

fn process_of(state: &State) -> Result<Option<OwnedFd>, EndingError> {
    state.process.map_or(Ok(None), |process| Ok(descriptor_of(process)?))
}

/// A descriptor of a recorded process, which is itself and no other of its id; `None` if it has ended.
///
/// # Errors
/// What the kernel says.
pub fn descriptor_of(process: Process) -> Result<Option<OwnedFd>, mydocker_sys::Error> {
    let pidfd = match pidfd_open(Pid::from_raw(process.pid)) {
        Err(error) if error.errno() == Errno::ESRCH => return Ok(None),
        other => other?,
    };
    // Looked at after it was opened: now it cannot become another one's.
    Ok((Process::of(process.pid) == Some(process)).then_some(pidfd))
}

fn signal(process: &OwnedFd, number: i32) -> Result<(), EndingError> {
    match pidfd_kill(process, number) {
        Err(error) if error.errno() == Errno::ESRCH => Ok(()),
        other => Ok(other?),
    }
}

/// Waits until a container has ended, and returns its status; at once if it does not run.
///
/// # Errors
/// [`EndingError`].
pub fn await_end(containers: &Containers, id: &str) -> Result<i32, EndingError> {
    let state = containers.state(id)?;
    if !is_up(state.status) {
        return Ok(state.exit_code);
    }
    if let Some(mut connection) = Connection::open(containers.home(), id, Streams::default())?
        && let Some(status) = connection.wait_for_end()?
    {
        return Ok(status.into());
    }
    // It has just ended, or its monitor was killed.
    let process = process_of(&containers.recorded_state(id)?)?;
    Target { connection: None, process, is_foreign: false }.ends_before(None)?;
    let _locked = containers.lock(id)?;
    Ok(monitor::mend(containers, id)?.exit_code)
}

/// Sends a signal to a container that runs. Who kills it, or asks it to end, does not want it started again.
///
/// # Errors
/// [`EndingError`].
pub fn kill(
    containers: &Containers,
    container: &Container,
    name: &str,
    number: i32,
) -> Result<(), EndingError> {
    let id = &container.id;
    let refuse = || EndingError::NotKilled { name: name.to_owned(), id: id.clone() };
    let state = containers.state(id)?;
    if !matches!(state.status, Status::Running | Status::Paused) {
        return Err(refuse());
    }
    let process = process_of(&state)?.ok_or_else(refuse)?;
    if number == Signal::SIGKILL as i32 || number == stop_signal(container) {
        containers.change_state(id, |state| state.stopped_by_hand = true)?;
        if state.status == Status::Paused {
            // Where cgroups are v1, nothing that is frozen ends.
            unpause(containers, container)?;
        }
    }
    signal(&process, number)?;
    record(containers.home(), &Event::of(container, "kill").with("signal", number));
    Ok(())
}

/// Freezes the processes of a container.
///
/// # Errors
/// [`EndingError`].
pub fn pause(containers: &Containers, container: &Container) -> Result<(), EndingError> {
    let id = &container.id;
    match containers.state(id)?.status {
        Status::Running => {}
        Status::Paused => return Err(EndingError::Paused(id.clone())),
        _ => return Err(EndingError::NotRunning(id.clone())),
    }
    oci(containers, container).run("pause", &[id])?;
    change_if(containers, id, Status::Running, Status::Paused)?;
    record(containers.home(), &Event::of(container, "pause"));
    Ok(())
}

/// Lets the processes of a container go on.
///
/// # Errors
/// [`EndingError`].
pub fn unpause(containers: &Containers, container: &Container) -> Result<(), EndingError> {
    let id = &container.id;
    if containers.state(id)?.status != Status::Paused {
        return Err(EndingError::NotPaused(id.clone()));
    }
    oci(containers, container).run("resume", &[id])?;
    change_if(containers, id, Status::Paused, Status::Running)?;
    record(containers.home(), &Event::of(container, "unpause"));
    Ok(())
}

/// The container may have ended meanwhile.
fn change_if(containers: &Containers, id: &str, from: Status, to: Status) -> Result<(), EndingError> {
    containers.change_state(id, |state| {
        if state.status == from {
            state.status = to;
        }
    })?;
    Ok(())
}

fn oci(containers: &Containers, container: &Container) -> Oci {
    Oci::new(containers.home(), runtime_of(container, containers.home()))
}

/// Removes a container; one that runs is refused without `force`, and killed with it.
///
/// # Errors
/// [`EndingError`].
pub fn remove(
    containers: &Containers,
    container: &Container,
    force: bool,
    volumes: bool,
) -> Result<(), EndingError> {
    let id = &container.id;
    let kill = Stop { signal: Some(Signal::SIGKILL as i32), timeout: Some(-1), stays: false };
    loop {
        let status = match containers.state(id) {
            Err(ContainersError::NotFound(_)) => return Ok(()),
            other => other?.status,
        };
        if is_up(status) {
            if !force {
                return Err(refusal(container, status));
            }
            stop(containers, container, kill)?;
        }
        let _lock = match containers.lock(id) {
            // Its monitor has removed it, for it was one with --rm.
            Err(ContainersError::NotFound(_)) => return Ok(()),
            other => other?,
        };
        match monitor::await_quiet(containers, id) {
            // Somebody has started it meanwhile, or was killed while doing so.
            Err(LaunchError::Running) => continue,
            other => other?,
        }
        monitor::mend(containers, id)?;
        if !is_up(containers.state(id)?.status) {
            return Ok(monitor::remove(containers, container, volumes)?);
        }
    }
}

fn refusal(container: &Container, status: Status) -> EndingError {
    let (status, mend) = match status {
        Status::Paused => ("paused and must be unpaused first", "unpause and stop it, or force remove"),
        Status::Restarting => ("restarting", "stop the container before removing or force remove"),
        _ => ("running", "stop the container before removing or force remove"),
    };
    EndingError::NotRemoved { name: container.name.clone(), status, mend }
}
