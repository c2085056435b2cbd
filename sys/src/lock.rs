//! Locks on open files (`flock(2)`): they belong to the open file, are shared by all copies of its descriptor, and go when
//! the last copy is closed.

use crate::error::{Result, check, describe};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// An exclusive lock; waits for another holder when `wait`.
///
/// # Errors
/// `EWOULDBLOCK` when somebody else holds it and `wait` is false.
pub fn lock_exclusive(fd: impl AsFd, wait: bool) -> Result<()> {
    flock(fd.as_fd(), libc::LOCK_EX | if wait { 0 } else { libc::LOCK_NB })
}

/// A shared lock.
///
/// # Errors
/// What the kernel says, with the path behind the descriptor.
pub fn lock_shared(fd: impl AsFd) -> Result<()> {
    flock(fd.as_fd(), libc::LOCK_SH)
}

/// A shared lock; `false` where somebody holds an exclusive one.
///
/// # Errors
/// What the kernel says beyond that, with the path behind the descriptor.
pub fn try_lock_shared(fd: impl AsFd) -> Result<bool> {
    match flock(fd.as_fd(), libc::LOCK_SH | libc::LOCK_NB) {
        Err(error) if error.errno() == crate::Errno::EWOULDBLOCK => Ok(false),
        other => other.map(|()| true),
    }
}

/// Gives a lock up.
///
/// # Errors
/// What the kernel says, with the path behind the descriptor.
pub fn unlock(fd: impl AsFd) -> Result<()> {
    flock(fd.as_fd(), libc::LOCK_UN)
}

fn flock(fd: BorrowedFd<'_>, operation: i32) -> Result<()> {
    // SAFETY: flock takes an open descriptor, which BorrowedFd guarantees, and no pointer.
    let ret = unsafe { libc::flock(fd.as_raw_fd(), operation) };
    check(ret.into(), "flock", || format!("{}, {operation}", describe(fd))).map(drop)
}
