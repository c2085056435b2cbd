//! The way into a container's cgroup: descriptors, by which a process enters it whatever it has lost by then.

use super::manager::{Cgroup, Error, read};
use super::record::Directory;
use mydocker_sys::{self as sys, AsFd, BorrowedFd, Errno, OwnedFd, fs};
use std::path::Path;

/// Descriptors through which a new process puts itself into a cgroup. The permission was checked when they were
/// opened, so that the process may have lost its privileges, its mounts and its namespaces by then.
#[derive(Debug)]
pub struct JoinFds {
    /// `tasks` of each v1 hierarchy, for writing.
    v1: Vec<OwnedFd>,
    /// The directory in the v2 hierarchy.
    unified: Option<OwnedFd>,
    /// Where the container's first process is to be looked for, for a process beside it.
    first: Option<First>,
    /// Whether a process may stay where it is when it may not move.
    may_stay: bool,
}

/// The container's first process, and the container's directory in the v2 hierarchy.
#[derive(Debug)]
struct First {
    pid: i32,
    directory: Directory,
}

impl JoinFds {
    /// The v2 directory, for `clone3` with `CLONE_INTO_CGROUP`.
    #[must_use]
    pub fn clone_into(&self) -> Option<BorrowedFd<'_>> {
        self.unified.as_ref().map(AsFd::as_fd)
    }

    /// Where else in the v2 hierarchy a process may go that the cgroup itself does not take (`EBUSY`), because it hands
    /// controllers down to groups that the container has made below it, as systemd does: the group of the container's
    /// first process. None where that one is in the cgroup itself, or another group was asked for.
    ///
    /// # Errors
    /// What the kernel says, with the file.
    pub fn beside_the_first(&self) -> sys::Result<Option<OwnedFd>> {
        let Some(First { pid, directory }) = &self.first else { return Ok(None) };
        let groups = read(Path::new(&format!("/proc/{pid}/cgroup")))?;
        let Some(below) = below_in(&groups, &directory.path) else { return Ok(None) };
        let flags = fs::OFlag::O_PATH | fs::OFlag::O_DIRECTORY;
        fs::open(&directory.file(below), flags).map(Some)
    }

    /// Puts the calling process into the v1 hierarchies: its first act after a `clone3` into the v2 directory.
    ///
    /// # Errors
    /// What the kernel says, with the file.
    pub fn join_v1(&self) -> sys::Result<()> {
        self.v1.iter().try_for_each(|procs| fs::write_once(procs, b"0"))
    }

    /// Adds descriptors of v1 hierarchies, those of [`Cgroup::join_fds_v1`].
    pub fn add_v1(&mut self, v1: Vec<OwnedFd>) {
        self.v1.extend(v1);
    }

    /// Lets the process stay outside where it is not allowed in. On v2 a user can move a process only within what was
    /// delegated as a whole, so that a second session cannot join the cgroup that the first one made.
    #[must_use]
    pub fn or_stay(mut self) -> Self {
        self.may_stay = true;
        self
    }

    /// Closes the descriptors with one or two system calls instead of one for each.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn close(mut self) -> sys::Result<()> {
        self.v1.extend(self.unified);
        sys::close::all(self.v1)
    }

    /// Puts the calling process into every hierarchy, for a kernel without `CLONE_INTO_CGROUP` (before 5.7) or a
    /// process that exists already.
    ///
    /// # Errors
    /// What the kernel says, with the file.
    pub fn join(&self) -> sys::Result<()> {
        if let Some(unified) = &self.unified {
            match fs::write_at(unified, Path::new("cgroup.procs"), b"0") {
                Err(error) if self.may_stay && matches!(error.errno(), Errno::EACCES | Errno::EPERM) => {}
                other => other?,
            }
        }
        self.join_v1()
    }
}

impl Cgroup {
    /// Opens what a new process needs to put itself into the cgroup.
    ///
    /// # Errors
    /// [`Error::Control`]
    pub fn join_fds(&self) -> Result<JoinFds, Error> {
        Ok(JoinFds { v1: self.join_fds_v1()?, ..self.join_fds_unified()? })
    }

    /// The same for the v2 hierarchy alone.
    ///
    /// # Errors
    /// [`Error::Control`]
    pub fn join_fds_unified(&self) -> Result<JoinFds, Error> {
        let flags = fs::OFlag::O_PATH | fs::OFlag::O_DIRECTORY;
        let unified = self.record().unified().map(|directory| fs::open(&directory.absolute(), flags));
        let unified = unified.transpose().map_err(|source| Error::Control("open", source))?;
        Ok(JoinFds { v1: Vec::new(), unified, first: None, may_stay: false })
    }

    /// The same for the hierarchies of v1 alone.
    ///
    /// # Errors
    /// [`Error::Control`]
    pub fn join_fds_v1(&self) -> Result<Vec<OwnedFd>, Error> {
        // Writing to cgroup.procs makes the kernel lock all thread groups, which waits for a grace period of RCU
        // (milliseconds). A process of one thread moves itself through tasks without that.
        let open = |directory: &Directory| fs::open(&directory.file("tasks"), fs::OFlag::O_WRONLY);
        let v1 = self.record().directories.iter().filter(|directory| !directory.is_unified());
        v1.map(open).collect::<sys::Result<_>>().map_err(|source| Error::Control("open", source))
    }

    /// The same for a process beside the container's first, whose process id is `first`.
    ///
    /// # Errors
    /// [`Error::Control`]
    pub fn join_fds_beside(&self, first: i32) -> Result<JoinFds, Error> {
        let mut fds = self.join_fds()?;
        fds.first =
            self.record().unified().map(|directory| First { pid: first, directory: directory.clone() });
        Ok(fds)
    }
}

/// The v2 group in the text of a `/proc/PID/cgroup`, as a path below the group `path`; none when it is that group, or
/// one elsewhere.
fn below_in<'text>(groups: &'text str, path: &str) -> Option<&'text str> {
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    // Seen from another cgroup namespace the path may begin with dots.
    let (_, below) = group.split_once(&format!("/{path}/"))?;
    (!below.is_empty() && below.split('/').all(|name| name != "..")).then_some(below)
}
