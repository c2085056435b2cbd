//! Waiting: always for a named condition, always with a deadline.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long a condition may take before the test fails. Generous: a loaded machine is slow, a hang is for ever.
/// What waits takes that many times longer as the environment's `MYDOCKER_TEST_PATIENCE` says.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// The pause between two looks at a condition that no descriptor can announce.
const TICK: Duration = Duration::from_millis(2);

/// Looks at `condition` until it yields a value, and fails the test when [`DEADLINE`] passes first.
///
/// # Panics
/// When the deadline passes; the message names `what`.
pub fn until<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    within(DEADLINE, condition).unwrap_or_else(|| panic!("waited {DEADLINE:?} in vain for {what}"))
}

/// The time at which `limit`, times the patience that this machine needs, has passed.
///
/// # Panics
/// When `MYDOCKER_TEST_PATIENCE` is no number.
#[must_use]
pub fn deadline(limit: Duration) -> Instant {
    static PATIENCE: OnceLock<u32> = OnceLock::new();
    let patience = *PATIENCE.get_or_init(|| {
        let text = std::env::var("MYDOCKER_TEST_PATIENCE").unwrap_or_else(|_| "1".to_owned());
        text.parse().unwrap_or_else(|error| panic!("MYDOCKER_TEST_PATIENCE={text}: {error}"))
    });
    Instant::now() + limit * patience
}

/// Looks at `condition` until it yields a value or `limit` passes.
pub fn within<T>(limit: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = deadline(limit);
    loop {
        if let Some(value) = condition() {
            return Some(value);
        }
        if Instant::now() >= deadline {
            return None;
        }
        pause(TICK);
    }
}

/// Waits until `fd` can be read (or its other end is gone); false when `deadline` passes first.
///
/// # Panics
/// When the descriptor cannot be polled.
pub fn readable(fd: impl AsFd, deadline: Instant) -> bool {
    let fd = fd.as_fd();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut set = [PollFd::new(&fd, PollFlags::IN)];
        match poll(&mut set, Some(&timespec(left))) {
            Ok(0) => return false,
            Ok(_) => return true,
            Err(Errno::INTR) => {}
            Err(errno) => panic!("poll: {errno}"),
        }
    }
}

/// Waits until the process `pid` has ended. It may then still be a zombie of some parent.
///
/// # Panics
/// When [`DEADLINE`] passes first.
pub fn for_exit(pid: i32) {
    let Some(pid) = Pid::from_raw(pid) else { panic!("{pid} is no process id") };
    let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => pidfd,
        Err(Errno::SRCH) => return,
        Err(errno) => panic!("pidfd_open({pid:?}): {errno}"),
    };
    assert!(readable(&pidfd, deadline(DEADLINE)), "process {pid:?} did not end within {DEADLINE:?}");
}

/// Lets other processes run for a moment; polling no descriptor is a sleep that a signal may end.
pub(crate) fn pause(time: Duration) {
    match poll(&mut [], Some(&timespec(time))) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(errno) => panic!("poll: {errno}"),
    }
}

fn timespec(time: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(time.subsec_nanos()),
    }
}
