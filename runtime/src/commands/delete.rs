//! `delete`.

use super::Outcome;
use super::container::{Container, id, store};
use super::report::{cgroup_failed, failed, refusal, state_failed};
use crate::cgroup::{self, Cgroup};
use crate::cli::{Context, DeleteArgs, Log, Report};
use crate::engine::hooks;
use crate::resctrl::Removal;
use crate::spec::NamespaceKind;
use crate::state::{self, Entry, Record, State, Status};
use mydocker_sys::poll::{Interest, poll};
use mydocker_sys::{AsFd, OwnedFd, process};
use std::time::{Duration, Instant};

/// How long killed processes may take to end: one that the kernel holds in a device's wait may take long.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long processes that have ended may take to leave their cgroup.
const DEPARTURE: Duration = Duration::from_secs(2);

/// `delete`: removes what a stopped container holds, with `--force` also of one that still runs.
///
/// # Errors
/// If there is no such container (but not with `--force`), or it has not stopped, or something is left.
pub fn delete(args: &DeleteArgs, context: &Context) -> Outcome {
    let container = match Container::open(context, &args.id) {
        Ok(container) => container,
        Err(report) if args.force && report.code == "no-such-container" => {
            return remove_empty(args, context).map(|()| 0);
        }
        Err(report) if args.force && report.code == "state-damaged" => return remove_damaged(args, context),
        Err(report) => return Err(report),
    };
    let alive = !matches!(container.status, Status::Stopped);
    if alive && !args.force {
        let message =
            format!("cannot delete container {} that is not stopped: {}", args.id, container.status);
        return Err(refusal("not-stopped", message));
    }
    destroy(container, context).map(|()| 0)
}

/// Ends what is left of a container, and removes what it holds and what is remembered of it.
pub(super) fn destroy(container: Container, context: &Context) -> Result<(), Box<Report>> {
    // Without a pid namespace of its own the container's other processes live on after the first.
    end_processes(&container)?;
    let poststop = container.config().map(|config| config.hooks.poststop).unwrap_or_default();
    let state = container.record.state(Status::Stopped);
    forget(&container.entry, &container.record)?;
    run_poststop(&poststop, &state, &context.log);
    Ok(())
}

/// A directory without a record: the runtime that made it was ended before it did anything else.
fn remove_empty(args: &DeleteArgs, context: &Context) -> Result<(), Box<Report>> {
    match store(context).open(&id(&args.id)?) {
        Ok(entry) => match entry.load() {
            Err(state::Error::NotFound { .. }) => entry.remove().map_err(state_failed),
            _ => {
                Err(refusal("not-stopped", format!("container {} was being made; delete it again", args.id)))
            }
        },
        Err(state::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(state_failed(error)),
    }
}

fn remove_damaged(args: &DeleteArgs, context: &Context) -> Outcome {
    let entry = store(context).open(&id(&args.id)?).map_err(state_failed)?;
    context.log.warning(&format!(
        "the record of container {:?} is damaged: its directory is removed, cgroups and processes cannot be found",
        args.id
    ));
    entry.remove().map_err(state_failed)?;
    Ok(0)
}

/// Ends every process of a container and waits for the first to be gone.
pub(super) fn end_processes(container: &Container) -> Result<(), Box<Report>> {
    let deadline = Instant::now() + PATIENCE;
    let init = container.init()?;
    if let Some(init) = &init {
        match process::pidfd_kill(init, libc::SIGKILL) {
            Err(error) if error.errno() == mydocker_sys::Errno::ESRCH => {}
            other => other.map_err(failed("kill"))?,
        }
    }
    if container.status != Status::Stopped
        && let Some(record) = &container.record.cgroup
    {
        Cgroup::open(record.clone()).kill_all(libc::SIGKILL, deadline).map_err(cgroup_failed)?;
    }
    init.as_ref().map_or(Ok(()), |init| await_end(init, deadline))
}

fn await_end(init: &OwnedFd, deadline: Instant) -> Result<(), Box<Report>> {
    poll(&[Interest::read(init.as_fd())], Some(deadline), "the container's first process to end")
        .map(drop)
        .map_err(failed("kill"))
}

/// Removes the cgroups and the class of service, and then what is remembered.
pub(super) fn forget(entry: &Entry, record: &Record) -> Result<(), Box<Report>> {
    remove_cgroup(record, !has_ended_as_a_whole(record))?;
    remove_class(record, Removal::Delete)?;
    entry.remove().map_err(state_failed)
}

/// Whether all processes of the container have ended with the first: what is found in its cgroups then is of another
/// container, which has taken over the empty cgroup.
fn has_ended_as_a_whole(record: &Record) -> bool {
    record.init.is_some() && record.owns(NamespaceKind::Pid)
}

/// Removes the cgroups, where `with_processes` also with everything that lives in them.
pub(super) fn remove_cgroup(record: &Record, with_processes: bool) -> Result<(), Box<Report>> {
    let Some(place) = &record.cgroup else { return Ok(()) };
    let cgroup = Cgroup::open(place.clone());
    let removed = match cgroup.remove(Instant::now()) {
        // Either the last of its processes are about to leave, or the cgroup is in use by another container.
        Err(cgroup::Error::Remove(_)) if !with_processes => match cgroup.remove(Instant::now() + DEPARTURE) {
            Err(cgroup::Error::Remove(_)) => Ok(()),
            other => other,
        },
        // Processes are left: a container without a pid namespace of its own, or something that joined.
        Err(cgroup::Error::Remove(_)) => cgroup
            .kill_all(libc::SIGKILL, Instant::now() + PATIENCE)
            .and_then(|()| cgroup.remove(Instant::now() + PATIENCE)),
        other => other,
    };
    removed.map_err(cgroup_failed)
}

/// Removes what is the container's own in the resctrl file system.
pub(super) fn remove_class(record: &Record, removal: Removal) -> Result<(), Box<Report>> {
    record.intel_rdt.as_ref().map_or(Ok(()), |class| class.remove(removal).map_err(failed("intel-rdt")))
}

/// Runs the poststop hooks; their failures are warnings (runtime.md, Lifecycle 13).
pub(super) fn run_poststop(poststop: &[crate::spec::Hook], state: &State, log: &Log) {
    for error in hooks::run_all("poststop", poststop, state) {
        log.warning(&Report::new("hook", &error).message);
    }
}
