//! The processes of a container: those of its cgroup, and for a container without one those of its pid namespace.

use super::container::Container;
use super::report::{cgroup_failed, failed, refusal};
use crate::cgroup::Cgroup;
use crate::cli::Report;
use crate::spec::NamespaceKind;
use crate::state::Status;
use mydocker_sys::{Errno, OwnedFd, fs, process};
use std::path::{Path, PathBuf};

/// The process ids, as the runtime's own pid namespace has them.
///
/// # Errors
/// For a container whose processes nothing tells from others.
pub(super) fn of(container: &Container) -> Result<Vec<i32>, Box<Report>> {
    if let Some(record) = &container.record.cgroup {
        return Cgroup::open(record.clone()).all_processes().map_err(cgroup_failed);
    }
    Ok(members(container)?.into_iter().map(|(pid, _)| pid).collect())
}

/// Sends `signal` to every process of a container without a cgroup.
///
/// # Errors
/// For a container whose processes nothing tells from others, and what the kernel says.
pub(super) fn signal(container: &Container, signal: i32) -> Result<(), Box<Report>> {
    for (_, pidfd) in members(container)? {
        match process::pidfd_kill(&pidfd, signal) {
            Err(error) if error.errno() == Errno::ESRCH => {}
            other => other.map_err(failed("kill"))?,
        }
    }
    Ok(())
}

/// The processes in the pid namespace of the first one. A pid is looked at again once it is held by a descriptor, so
/// that it cannot have become somebody else's meanwhile.
fn members(container: &Container) -> Result<Vec<(i32, OwnedFd)>, Box<Report>> {
    let Some(init) = container.record.init.filter(|_| container.status != Status::Stopped) else {
        return Ok(Vec::new());
    };
    if !container.record.owns(NamespaceKind::Pid) {
        return Err(refusal(
            "cgroup",
            "the container has neither a cgroup nor a pid namespace of its own, so its processes cannot be told from \
             others",
        ));
    }
    let namespace = namespace_of(init.pid).map_err(failed("state-io"))?;
    let is_member = |pid: i32| namespace_of(pid).is_ok_and(|of| of == namespace);
    let names = fs::directory_names(Path::new("/proc")).map_err(failed("state-io"))?;
    let pids = names.iter().filter_map(|name| name.to_str()?.parse().ok());
    let mut members = Vec::new();
    for pid in pids.filter(|pid| is_member(*pid)) {
        match process::pidfd_open(process::Pid::from_raw(pid)) {
            Ok(pidfd) if is_member(pid) => members.push((pid, pidfd)),
            Ok(_) => {}
            Err(error) if error.errno() == Errno::ESRCH => {}
            Err(error) => return Err(failed("state-io")(error)),
        }
    }
    members.sort_unstable_by_key(|(pid, _)| *pid);
    Ok(members)
}

/// The pid namespace of a process, as the kernel names it.
fn namespace_of(pid: i32) -> mydocker_sys::Result<PathBuf> {
    fs::readlinkat(fs::AT_FDCWD, &PathBuf::from(format!("/proc/{pid}/ns/pid")))
}
