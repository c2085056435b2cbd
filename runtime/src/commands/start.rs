//! `start`.

use super::Outcome;
use super::container::Container;
use super::delete::{end_processes, forget, run_poststop};
use super::report::{and_undo, failed, hook_failed, no_process, refusal, state_failed, step_failed};
use crate::cli::{Context, IdArgs, Report};
use crate::engine::{self, Notify, hooks, parse_failure};
use crate::spec::Hook;
use crate::state::{Progress, Status};
use mydocker_sys::poll::{Interest, poll};
use mydocker_sys::{AsFd, OwnedFd, fs};
use std::time::{Duration, Instant};

/// How long a created container may take from the word to its program.
const PATIENCE: Duration = Duration::from_secs(600);

/// `start`: lets the program of a created container go, and tells if it could not be executed.
///
/// # Errors
/// If the container is not created, has no program, or the program cannot be executed.
pub fn start(args: &IdArgs, context: &Context) -> Outcome {
    let mut container = Container::open(context, &args.id)?;
    require_created(&container)?;
    let config = container.config()?;
    if config.process.is_none() {
        return Err(no_process());
    }
    context.timings.mark("config");
    // Noted before it happens: a runtime that is killed here leaves a container that counts as started.
    container.record.progress = Progress::Started;
    container.entry.save(&container.record).map_err(state_failed)?;
    context.timings.mark("record");
    let notify = bind_notify(&container)?;
    let started = let_go(&container);
    context.timings.mark("execve");
    container.entry.remove_gate().map_err(state_failed)?;
    let state = container.record.state(Status::Running);
    let done = started.and_then(|()| {
        hooks::run("poststart", &config.hooks.poststart, &state).map_err(|error| hook_failed(&error))
    });
    context.timings.mark("poststart");
    match done {
        Ok(()) => await_ready(container, notify),
        Err(report) if report.code == "hook" => {
            Err(destroy(container, report, &config.hooks.poststop, context))
        }
        Err(report) => Err(report),
    }
}

/// The socket through which the container says that it is ready, where `create` and this command were told to ask for it.
fn bind_notify(container: &Container) -> Result<Option<Notify>, Box<Report>> {
    let Some(manager) = engine::manager() else { return Ok(None) };
    let directory = container.entry.open_notify_directory().map_err(state_failed)?;
    directory.map(|directory| Notify::bind(directory.as_fd(), manager).map_err(failed("notify"))).transpose()
}

/// Waits until the container is ready, if somebody wants to know; without its lock, so that others can kill it meanwhile.
fn await_ready(container: Container, notify: Option<Notify>) -> Outcome {
    let (Some(notify), Some(init)) = (notify, container.init()?) else { return Ok(0) };
    let pid = container.record.init.map(|init| init.pid).unwrap_or_default();
    drop(container);
    notify.wait(pid, &init).map(|()| 0).map_err(failed("notify"))
}

fn require_created(container: &Container) -> Result<(), Box<Report>> {
    let refuse = |text: &str| Err(refusal("not-created", text.to_owned()));
    match container.status {
        Status::Created => Ok(()),
        Status::Stopped => refuse("cannot start a container that has stopped"),
        Status::Running => refuse("cannot start an already running container"),
        Status::Paused => refuse("cannot start a paused container"),
        Status::Creating => refuse("cannot start a container that is still being created"),
    }
}

/// Opens the gate and waits until the program is executed, or its failure is told, or the process has ended.
fn let_go(container: &Container) -> Result<(), Box<Report>> {
    let Some(init) = container.init()? else {
        return Err(refusal("not-created", "cannot start a container that has stopped"));
    };
    let (start, error) = container.entry.open_gate().map_err(state_failed)?;
    fs::write_once(&start, b"s").map_err(failed("start"))?;
    let told = listen(&error, &init).map_err(failed("start"))?;
    if told.is_empty() {
        return Ok(());
    }
    match parse_failure(&told) {
        Some(failure) => Err(step_failed(&failure)),
        None => Err(refusal("start", format!("the container's process told something odd: {told:02x?}"))),
    }
}

/// What the process says until it closes its end, which execve does.
fn listen(error: &OwnedFd, init: &OwnedFd) -> mydocker_sys::Result<Vec<u8>> {
    let deadline = Instant::now() + PATIENCE;
    let mut told = Vec::new();
    loop {
        let interests = [Interest::read(error.as_fd()), Interest::read(init.as_fd())];
        let events = poll(&interests, Some(deadline), "the container's program to be executed")?;
        if !events[0].readable && (events[0].hangup || events[1].readable) {
            return Ok(told);
        }
        let mut buffer = [0u8; 4096];
        match fs::read(error, &mut buffer) {
            Ok(0) => return Ok(told),
            Ok(length) => told.extend_from_slice(&buffer[..length]),
            Err(error) if error.errno() == mydocker_sys::Errno::EAGAIN => {}
            Err(error) => return Err(error),
        }
    }
}

/// A failing startContainer or poststart hook ends the container, and its life goes on with its destruction
/// (runtime.md, Lifecycle 7 and 9).
fn destroy(container: Container, report: Box<Report>, poststop: &[Hook], context: &Context) -> Box<Report> {
    let state = container.record.state(Status::Stopped);
    let destroyed = end_processes(&container).and_then(|()| forget(&container.entry, &container.record));
    run_poststop(poststop, &state, &context.log);
    and_undo(report, destroyed)
}
