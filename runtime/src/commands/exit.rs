//! How a container ended, from wherever it can still be learnt.
//!
//! The runtime is the parent of a container's first process in `run` without `--detach` alone. Elsewhere the end is
//! known to whoever held a pidfd before it (Linux 6.15), or to who looks while the parent has not reaped the process.

use super::container::{Container, store};
use crate::cgroup::{Cgroup, CgroupRecord};
use crate::cli::{Context, rfc3339_nano};
use crate::spec::{SeccompAction, Spec};
use crate::state::{ContainerId, ExitRecord, ProcessRecord, Record, Status};
use mydocker_sys::poll::{Interest, poll};
use mydocker_sys::process::{self, Exit};
use mydocker_sys::{AsFd, Errno, OwnedFd};
use std::time::SystemTime;
use std::time::{Duration, Instant};

/// How long a parent may take to reap a process whose end only then becomes known.
const REAPING: Duration = Duration::from_secs(10);

/// What an end is judged by, gathered while the container is there.
pub(super) struct Witness {
    cgroup: Option<CgroupRecord>,
    filtered: bool,
    /// Kills that were not the container's: its cgroup was there before it.
    earlier: u64,
}

impl Witness {
    pub(super) fn of(record: &Record, config: Option<&Spec>) -> Self {
        let cgroup = record.cgroup.clone();
        let earlier = if is_own(cgroup.as_ref()) { 0 } else { kills(cgroup.as_ref()) };
        Self { cgroup, filtered: config.is_some_and(may_end_processes), earlier }
    }

    /// The record of an end that was seen just now; `oom` for whoever was told that memory ran out.
    pub(super) fn judge(&self, exit: Exit, oom: bool) -> ExitRecord {
        let counted = kills(self.cgroup.as_ref()).saturating_sub(self.earlier);
        ExitRecord::new(exit, counted.max(u64::from(oom)), self.filtered, rfc3339_nano(SystemTime::now()))
    }
}

fn kills(cgroup: Option<&CgroupRecord>) -> u64 {
    // A cgroup that cannot be read tells nothing, and the end itself is known all the same.
    cgroup.and_then(|record| Cgroup::open(record.clone()).oom_kills().ok()).unwrap_or(0)
}

fn is_own(cgroup: Option<&CgroupRecord>) -> bool {
    cgroup.is_some_and(|record| record.directories.iter().any(|directory| directory.made > 0))
}

/// Whether the filter of a configuration ends a process by SIGSYS, which anybody can send as well.
fn may_end_processes(config: &Spec) -> bool {
    use SeccompAction::{Kill, KillProcess, KillThread, Trap};
    let ends = |action| matches!(action, Kill | KillProcess | KillThread | Trap);
    let seccomp = config.linux.as_ref().and_then(|linux| linux.seccomp.as_ref());
    seccomp.is_some_and(|filter| {
        ends(filter.default_action) || filter.syscalls.iter().any(|rule| ends(rule.action))
    })
}

/// The end of a container that has stopped: as it was recorded, or as its unreaped process tells it. What is learnt
/// here is recorded, unless another command is at work on the container.
pub(super) fn learn(container: &mut Container, context: &Context) {
    let record = &mut container.record;
    if container.status != Status::Stopped || record.exit.is_some() {
        return;
    }
    let Some(exit) = record.init.and_then(|init| init.unreaped_exit().ok().flatten()) else { return };
    let config = container.entry.load_config().ok().and_then(|bytes| crate::spec::parse(&bytes).ok());
    let exit = Witness::of(record, config.as_ref()).judge(exit, false);
    record.exit = Some(exit.clone());
    note(context, record, exit);
}

/// Records an end, where the container is still there and nobody has recorded it before. What fails here is told to the
/// log of whoever debugs: the command has its answer.
pub(super) fn note(context: &Context, ended: &Record, exit: ExitRecord) {
    if ended.owner != process::euid() {
        // Nobody may take a container's record away from the user who has to delete it.
        return;
    }
    let Ok(id) = ContainerId::new(&ended.id) else { return };
    let Ok(Some(entry)) = store(context).try_open(&id) else { return };
    match entry.load() {
        Ok(mut record) if record.init == ended.init && record.exit.is_none() => {
            record.exit = Some(exit);
            if let Err(error) = entry.save(&record) {
                context.log.debug(&format!("the end of {id} is not recorded: {error}"));
            }
        }
        _ => {}
    }
}

/// How the process behind `pidfd`, which has ended, did so; `None` where the kernel is too old to tell and its parent
/// has reaped it.
pub(super) fn of_ended(pidfd: &OwnedFd, init: &ProcessRecord) -> mydocker_sys::Result<Option<Exit>> {
    if let Some(exit) = process::pidfd_exit(pidfd)? {
        return Ok(Some(exit));
    }
    if let Some(exit) = init.unreaped_exit()? {
        return Ok(Some(exit));
    }
    // It was reaped between the two looks, or it tells nobody but its parent.
    match poll(&[Interest::gone(pidfd.as_fd())], Some(Instant::now() + REAPING), "the process to be reaped") {
        Err(error) if error.errno() == Errno::ETIMEDOUT => Ok(None),
        other => other.and_then(|_| process::pidfd_exit(pidfd)),
    }
}
