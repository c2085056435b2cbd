//! Waiting on descriptors with a deadline.

use crate::error::{Context, Error, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout};
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// What happened on one descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Events {
    /// There is something to read, or the end of it.
    pub readable: bool,
    /// There is room to write.
    pub writable: bool,
    /// Something out of the ordinary: a kernel file that notifies of changes has changed (`POLLPRI`).
    pub priority: bool,
    /// The other end is gone.
    pub hangup: bool,
}

/// What is waited for on one descriptor.
#[derive(Debug, Clone, Copy)]
pub struct Interest<'fd> {
    /// The descriptor.
    pub fd: BorrowedFd<'fd>,
    /// Wait until it can be read.
    pub read: bool,
    /// Wait until it can be written.
    pub write: bool,
    /// Wait for a change of a kernel file that notifies, such as `cgroup.events`, since its last read.
    pub priority: bool,
}

impl<'fd> Interest<'fd> {
    /// Waits until `fd` can be read or is at its end.
    #[must_use]
    pub fn read(fd: BorrowedFd<'fd>) -> Self {
        Self { fd, read: true, write: false, priority: false }
    }

    /// Waits until `fd` can be written, or read or is at its end.
    #[must_use]
    pub fn write(fd: BorrowedFd<'fd>) -> Self {
        Self { fd, read: true, write: true, priority: false }
    }

    /// Waits for nothing but that the other end goes, or of a pidfd that the process has been reaped (Linux 6.9).
    #[must_use]
    pub fn gone(fd: BorrowedFd<'fd>) -> Self {
        Self { fd, read: false, write: false, priority: false }
    }

    /// Waits until the kernel file behind `fd` has changed since it was last read.
    #[must_use]
    pub fn change(fd: BorrowedFd<'fd>) -> Self {
        Self { fd, read: false, write: false, priority: true }
    }
}

/// A counter that the kernel can raise and that can be polled (`eventfd(2)`); reading it never waits.
///
/// # Errors
/// What the kernel says.
pub fn event() -> Result<OwnedFd> {
    // SAFETY: the call takes two integers.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    crate::error::check(fd.into(), "eventfd2", || "0, EFD_CLOEXEC | EFD_NONBLOCK".into())?;
    // SAFETY: the call succeeded, so fd is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Waits until one of the descriptors is ready and says what happened on each, in their order.
///
/// `deadline` is the end of the wait; `None` waits for ever.
///
/// # Errors
/// `ETIMEDOUT` at the deadline, with `what` as the arguments: it names what was waited for.
pub fn poll(interests: &[Interest<'_>], deadline: Option<Instant>, what: &str) -> Result<Vec<Events>> {
    let mut fds: Vec<PollFd<'_>> = interests
        .iter()
        .map(|interest| {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::POLLIN, interest.read);
            flags.set(PollFlags::POLLOUT, interest.write);
            flags.set(PollFlags::POLLPRI, interest.priority);
            PollFd::new(interest.fd, flags)
        })
        .collect();
    loop {
        let timeout = match deadline {
            None => PollTimeout::NONE,
            Some(end) => remaining(end),
        };
        match nix::poll::poll(&mut fds, timeout) {
            Ok(0) if deadline.is_some_and(|end| Instant::now() >= end) => {
                return Err(Error::new("poll", what, crate::Errno::ETIMEDOUT));
            }
            Ok(0) | Err(nix::errno::Errno::EINTR) => {}
            Ok(_) => return Ok(fds.iter().map(|fd| events(fd.revents())).collect()),
            Err(errno) => return Err(errno).context("poll", || what.into()),
        }
    }
}

/// The rest of the time until `end`, rounded up so that a wait does not end before it.
fn remaining(end: Instant) -> PollTimeout {
    let left = end.saturating_duration_since(Instant::now()) + Duration::from_micros(999);
    PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
}

fn events(flags: Option<PollFlags>) -> Events {
    let flags = flags.unwrap_or(PollFlags::empty());
    Events {
        readable: flags.contains(PollFlags::POLLIN),
        writable: flags.contains(PollFlags::POLLOUT),
        priority: flags.contains(PollFlags::POLLPRI),
        hangup: flags.intersects(PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL),
    }
}
