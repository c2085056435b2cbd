//! An ordinary user's containers: everything is done in a user namespace in which the user is root, with the further ids
//! that `/etc/subuid` and `/etc/subgid` give them, and in a mount namespace of their own.
//!
//! All monitors of a user live in the same namespaces, which the first one makes and which last as long as any of them: a
//! command joins them where there are some, and makes new ones with the same ids where there are none.

use crate::container::{Containers, Process};
use crate::home::Home;
use mydocker_sys::fs::{OFlag, open, pipe, read, write_fully};
use mydocker_sys::mount::{MsFlags, mount};
use mydocker_sys::namespace::{CloneFlags, setns, unshare};
use mydocker_sys::process::{self, Forked, egid, euid, getpid, set_gid, set_uid};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Why an ordinary user cannot have containers.
#[derive(Debug, thiserror::Error)]
pub enum RootlessError {
    /// The kernel refuses.
    #[error(
        "cannot make a user namespace for an ordinary user's containers; see /proc/sys/user/max_user_namespaces and /proc/sys/kernel/unprivileged_userns_clone, or run as root"
    )]
    Namespace(#[source] mydocker_sys::Error),
    /// The namespaces of the user's other containers.
    #[error("cannot join the namespaces of this user's containers")]
    Join(#[source] mydocker_sys::Error),
    /// A system call.
    #[error(transparent)]
    System(#[from] mydocker_sys::Error),
    /// The ids are not given to the namespace.
    #[error(
        "{program} does not map the ids of this user: {said}; is the package uidmap installed, and has {file} a line for this user?"
    )]
    Map {
        /// Who should have.
        program: &'static str,
        /// What it said.
        said: String,
        /// Where the ranges are.
        file: &'static str,
    },
}

/// The two kinds of ids.
#[derive(Clone, Copy)]
struct Kind {
    program: &'static str,
    file: &'static str,
    own: u32,
}

/// For an ordinary user, brings this process into the namespaces of the user's containers. Nothing happens for root.
///
/// # Errors
/// [`RootlessError`].
pub fn enter(home: &Home) -> Result<(), RootlessError> {
    if euid() == 0 {
        return Ok(());
    }
    match living_monitor(home) {
        Some(monitor) => join(monitor),
        None => make(),
    }
}

/// A monitor of this user; what cannot be read has none.
fn living_monitor(home: &Home) -> Option<Process> {
    let containers = Containers::open(home).ok()?;
    let ids = containers.ids().ok()?;
    let monitors = ids.iter().filter_map(|id| containers.recorded_state(id).ok()?.monitor);
    monitors.into_iter().find(|monitor| monitor.lives())
}

fn join(monitor: Process) -> Result<(), RootlessError> {
    let namespace = |name: &str| {
        open(&PathBuf::from(format!("/proc/{}/ns/{name}", monitor.pid)), OFlag::O_RDONLY)
            .map_err(RootlessError::Join)
    };
    let (user, mounts) = (namespace("user")?, namespace("mnt")?);
    let directory = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    setns(&user, CloneFlags::CLONE_NEWUSER).map_err(RootlessError::Join)?;
    setns(&mounts, CloneFlags::CLONE_NEWNS).map_err(RootlessError::Join)?;
    become_root()?;
    // Another mount namespace puts a process to its root.
    Ok(process::chdir(&directory)?)
}

/// Makes the namespaces. Their ids are mapped from outside, by a child that has not come along.
fn make() -> Result<(), RootlessError> {
    let own = getpid().as_raw();
    let kinds = [
        Kind { program: "newuidmap", file: "/etc/subuid", own: euid() },
        Kind { program: "newgidmap", file: "/etc/subgid", own: egid() },
    ];
    let name = name_of(euid());
    let (when, go) = pipe()?;
    let (answer, verdict) = pipe()?;
    match process::fork()? {
        Forked::Child => {
            drop((go, answer));
            let mut byte = [0];
            // The end of the pipe is as good as its byte: the other side has given up.
            let said = match read(&when, &mut byte) {
                Ok(1) => {
                    map_all(own, &kinds, &name).map_or_else(|error| error.to_string(), |()| String::new())
                }
                _ => String::new(),
            };
            write_fully(&verdict, said.as_bytes()).unwrap_or_default();
            process::exit_now(0)
        }
        Forked::Parent { pidfd, .. } => {
            drop((when, verdict));
            unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS).map_err(RootlessError::Namespace)?;
            write_fully(&go, b"g")?;
            let mut said = vec![0; 4096];
            let length = read(&answer, &mut said)?;
            process::wait(&pidfd)?;
            if length > 0 {
                let said = String::from_utf8_lossy(&said[..length]).into_owned();
                return Err(RootlessError::Map { program: "newuidmap", said, file: "/etc/subuid" });
            }
        }
    }
    become_root()?;
    // What is mounted here is not to be seen outside, and what is mounted outside is to be seen here.
    Ok(mount(None, c"/", None, MsFlags::MS_SLAVE | MsFlags::MS_REC, None)?)
}

fn become_root() -> Result<(), RootlessError> {
    set_gid(0)?;
    Ok(set_uid(0)?)
}

fn map_all(pid: i32, kinds: &[Kind], name: &str) -> Result<(), RootlessError> {
    kinds.iter().try_for_each(|kind| map(pid, *kind, name))
}

/// Root is the user itself, and the ids from 1 are those of the user's ranges.
fn map(pid: i32, kind: Kind, name: &str) -> Result<(), RootlessError> {
    let mut words = vec![pid.to_string(), "0".to_owned(), kind.own.to_string(), "1".to_owned()];
    let mut next = 1_u32;
    let text = fs::read_to_string(kind.file).unwrap_or_default();
    for (first, count) in ranges(&text, name, kind.own) {
        words.extend([next, first, count].map(|number| number.to_string()));
        next = next.saturating_add(count);
    }
    let said = match process::output(Command::new(kind.program).args(&words).stdin(Stdio::null())) {
        Ok(Output { status, .. }) if status.success() => return Ok(()),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    Err(RootlessError::Map { program: kind.program, said, file: kind.file })
}

/// The ranges that belong to a user, by name or id: the first id and how many (subuid(5)).
fn ranges(text: &str, name: &str, id: u32) -> Vec<(u32, u32)> {
    let range = |line: &str| {
        let mut fields = line.trim().split(':');
        let owner = fields.next()?;
        let is_own = owner == name || owner.parse() == Ok(id);
        let (first, count) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        is_own.then_some((first, count))
    };
    text.lines().filter_map(range).collect()
}

/// The user's name; empty if `/etc/passwd` has none.
fn name_of(id: u32) -> String {
    let text = fs::read_to_string(Path::new("/etc/passwd")).unwrap_or_default();
    let line = text.lines().find(|line| line.split(':').nth(2).is_some_and(|field| field.parse() == Ok(id)));
    line.and_then(|line| line.split(':').next()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_the_user_by_name_or_id() {
        let text = "root:1:2\nann:100000:65536\n1000:300000:10\nbroken\nann:x:1\n";
        assert_eq!(ranges(text, "ann", 1000), [(100_000, 65_536), (300_000, 10)]);
        assert_eq!(ranges(text, "bob", 7), []);
    }
}
