//! Processes as the host sees them: waiting for their end, and what `/proc` tells of them.

use anyhow::{Context, Result};
use mydocker_sys as sys;
use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};
use sys::process::Pid;

/// How long anything may take that is not a call of the runtime.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The pause between two looks at a condition that no descriptor announces.
const TICK: Duration = Duration::from_millis(3);

/// Waits for the end of a process, which may be a zombie then; false at the deadline.
///
/// # Errors
/// It cannot be watched.
pub fn ends_before(pid: Pid, deadline: Instant) -> Result<bool> {
    let pidfd = match sys::process::pidfd_open(pid) {
        Ok(pidfd) => pidfd,
        Err(error) if error.errno() == sys::Errno::ESRCH => return Ok(true),
        Err(error) => return Err(error.into()),
    };
    match sys::poll::poll(&[sys::poll::Interest::read(pidfd.as_fd())], Some(deadline), "the end of a process")
    {
        Ok(_) => Ok(true),
        Err(error) if error.errno() == sys::Errno::ETIMEDOUT => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Looks at `condition` until it holds.
///
/// # Errors
/// The patience ended first; the message names `what`.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !condition()? {
        anyhow::ensure!(Instant::now() < deadline, "waited {PATIENCE:?} in vain for {what}");
        pause(TICK)?;
    }
    Ok(())
}

/// Lets other processes run for a moment.
///
/// # Errors
/// The kernel cannot wait.
pub fn pause(time: Duration) -> Result<()> {
    match sys::poll::poll(&[], Some(Instant::now() + time), "a moment") {
        Err(error) if error.errno() == sys::Errno::ETIMEDOUT => Ok(()),
        other => other.map(drop).map_err(Into::into),
    }
}

/// The value of one line of `/proc/PID/status`.
///
/// # Errors
/// There is no such process or line.
pub fn status_field(pid: i32, field: &str) -> Result<String> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.map(|value| value.trim().to_owned()).with_context(|| format!("{path} has no {field}"))
}

/// Whether the process runs: it exists and is no zombie.
#[must_use]
pub fn is_alive(pid: i32) -> bool {
    status_field(pid, "State").is_ok_and(|state| !state.starts_with(['Z', 'X']))
}

/// The namespaces of a process: the name in `/proc/PID/ns`, and what the link says.
///
/// # Errors
/// There is no such process.
pub fn namespaces(pid: &str) -> Result<BTreeMap<String, String>> {
    links_in(Path::new(&format!("/proc/{pid}/ns")))
}

/// The names in a directory of links, each with its target.
///
/// # Errors
/// The directory cannot be read.
pub fn links_in(dir: &Path) -> Result<BTreeMap<String, String>> {
    let mut links = BTreeMap::new();
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let entry = entry?;
        // A descriptor that was open while the directory was read may be closed by now.
        if let Ok(target) = fs::read_link(entry.path()) {
            links.insert(entry.file_name().to_string_lossy().into_owned(), target.display().to_string());
        }
    }
    Ok(links)
}

/// The namespaces of this process.
///
/// # Errors
/// procfs is missing.
pub fn own_namespaces() -> Result<BTreeMap<String, String>> {
    namespaces("self")
}
