//! What a test may not leave: containers are deleted by force at its end, and then nothing of it may exist.

use crate::{cgroup, procfs, wait};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, set_child_subreaper, waitpid};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Once;
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// How long processes that have been killed may take to vanish.
const GRACE: Duration = Duration::from_secs(10);

/// How often adopted processes are looked at.
const REAPING: Duration = Duration::from_millis(5);

/// Makes this process the parent of its orphaned descendants, so that it finds the ones that do not end, and starts the
/// thread that does for them what process 1 does on a host.
pub(crate) fn adopt_orphans() {
    static REAPER: Once = Once::new();
    REAPER.call_once(|| {
        // The argument only says on or off, whatever process it names.
        set_child_subreaper(Some(Pid::INIT)).expect("a process may become a subreaper");
        thread::spawn(reap_orphans);
    });
}

/// Reaps adopted processes of containers for ever. It must not be left out: a pid namespace cannot end while one of its
/// processes, such as one that a detached `exec` brought in, is a zombie of somebody outside.
///
/// Children that the test started itself are in its own pid namespace, and left to the test.
fn reap_orphans() {
    let depth = |pid: &str| procfs::status_field_of(pid, "NSpid").map(|ids| ids.split_whitespace().count());
    let own = depth("self");
    loop {
        let inner = |pid: &i32| depth(&pid.to_string()) > own;
        procfs::own_children().into_iter().filter(inner).for_each(reap);
        wait::pause(REAPING);
    }
}

/// Deletes by force what a test left running, then removes all that should not be there, and reports it.
///
/// A container that runs at the end of a test is no leftover; what `delete --force` does not take away is one.
pub(crate) fn clear(program: &Path, name: &str, base: TempDir) -> Vec<String> {
    let state = base.path().join("state");
    let mut found = delete_containers(program, &state, name);
    let alone = std::env::var_os("NEXTEST_EXECUTION_MODE").is_some_and(|mode| mode == "process-per-test");
    found.extend(take(&state, name, alone));
    remove_scratch(base, &mut found);
    found
}

/// Reports, and removes, what there still is of the containers whose ids and cgroups begin with `name`: processes, state
/// in the state root, cgroups, and mounts. With `alone`, every child of this process and all state belongs to them.
#[must_use]
pub fn take(state: &Path, name: &str, alone: bool) -> Vec<String> {
    let mut found = end_processes(name, alone);
    let owned = if alone { "" } else { name };
    found.extend(state_entries(state, owned).into_iter().map(|entry| format!("state {entry}")));
    found.extend(cgroup::remove_by_prefix(name).iter().map(|dir| format!("cgroup {}", dir.display())));
    found.extend(unmount_below(name));
    found
}

/// The containers that the state root knows. Every runtime here keeps an entry per container, named by its id.
fn state_entries(state: &Path, name: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(state) else { return Vec::new() };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|entry| entry.starts_with(name)).collect()
}

fn delete_containers(program: &Path, state: &Path, name: &str) -> Vec<String> {
    let mut found = Vec::new();
    for id in state_entries(state, name) {
        let mut delete = Command::new(program);
        delete.arg("--root").arg(state).args(["delete", "--force", &id]);
        let Ok(mut child) = delete.spawn() else { continue };
        let ended = wait::within(wait::DEADLINE, || child.try_wait().ok().flatten());
        match ended {
            Some(status) if status.success() => {}
            Some(status) => found.push(format!("delete --force {id}: {status}")),
            None => {
                drop(child.kill());
                drop(child.wait());
                found.push(format!("delete --force {id} hangs"));
            }
        }
    }
    found
}

/// Reports and kills the processes that are left: those in the test's cgroups, and this process's children when it is
/// sure that they belong to the test, which is so where each test has a process to itself.
fn end_processes(name: &str, alone: bool) -> Vec<String> {
    let alive = || -> Vec<i32> {
        let mut pids = grouped_processes(name);
        if alone {
            procfs::own_children().into_iter().for_each(reap);
            pids.extend(procfs::own_children());
        }
        pids.retain(|pid| procfs::is_alive(*pid));
        pids
    };
    let gone = wait::within(GRACE / 5, || alive().is_empty().then_some(()));
    if gone.is_some() {
        return Vec::new();
    }
    let left = alive();
    let report = left.iter().map(|pid| format!("process {pid}: {}", procfs::command_line(*pid))).collect();
    thaw(name);
    for pid in left.into_iter().filter_map(Pid::from_raw) {
        // It may end by itself before the signal, which is as good.
        let _ = kill_process(pid, Signal::KILL);
    }
    // What even SIGKILL does not end is in the report all the same.
    let _ = wait::within(GRACE, || alive().is_empty().then_some(()));
    report
}

/// Reaps a child that has ended; one that still runs stays, and one that is reaped already is no error.
fn reap(pid: i32) {
    let _ = waitpid(Pid::from_raw(pid), WaitOptions::NOHANG);
}

fn grouped_processes(name: &str) -> Vec<i32> {
    cgroup::by_prefix(name).iter().flat_map(|group| cgroup::processes(group)).collect()
}

/// A frozen process does not even die. The groups of an engine's containers lie below a group of the test's name.
fn thaw(name: &str) {
    for group in cgroup::by_prefix(name) {
        cgroup::thaw(&cgroup::dir("freezer", &group));
    }
}

/// The mounts of this mount namespace that lie in the test's scratch directory; they are detached, innermost first, so
/// that removing the directory cannot reach through them.
fn unmount_below(name: &str) -> Vec<String> {
    let mut points = mounts_below(name);
    points.reverse();
    for point in &points {
        drop(Command::new("umount").args(["--lazy", point]).status());
    }
    points.into_iter().map(|point| format!("mount {point}")).collect()
}

/// The mount points of this mount namespace whose path contains `name`.
#[must_use]
pub fn mounts_below(name: &str) -> Vec<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = table.lines().filter_map(|line| line.split(' ').nth(4));
    points.filter(|point| point.contains(name)).map(str::to_owned).collect()
}

fn remove_scratch(base: TempDir, found: &mut Vec<String>) {
    let name = base.path().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if !mounts_below(&name).is_empty() {
        found.push(format!("{} stays, because it holds mounts", base.keep().display()));
    } else if let Err(error) = base.close() {
        found.push(format!("scratch directory: {error}"));
    }
}
