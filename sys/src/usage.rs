//! What processes have used, as the kernel counts it.

use crate::error::{Context, Errno, Error, Result};
use nix::sys::resource::{UsageWho, getrusage};
use std::time::Duration;

/// What a process and the children that it waited for have used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// CPU time in the program.
    pub user: Duration,
    /// CPU time in the kernel.
    pub system: Duration,
}

impl Usage {
    /// User and system time together.
    #[must_use]
    pub fn cpu(self) -> Duration {
        self.user + self.system
    }
}

/// What all children that this process has waited for have used so far (`getrusage(RUSAGE_CHILDREN)`); those
/// that it inherited as a subreaper count too.
///
/// # Errors
/// What the kernel says.
pub fn children() -> Result<Usage> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("getrusage", || "RUSAGE_CHILDREN".into())?;
    Ok(Usage { user: duration(usage.user_time())?, system: duration(usage.system_time())? })
}

/// What this process has used so far, before its last execve too (`getrusage(RUSAGE_SELF)`).
///
/// # Errors
/// What the kernel says.
pub fn own() -> Result<Usage> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).context("getrusage", || "RUSAGE_SELF".into())?;
    Ok(Usage { user: duration(usage.user_time())?, system: duration(usage.system_time())? })
}

fn duration(time: nix::sys::time::TimeVal) -> Result<Duration> {
    let parts = (u64::try_from(time.tv_sec()), u64::try_from(time.tv_usec()));
    match parts {
        (Ok(seconds), Ok(micros)) => Ok(Duration::from_secs(seconds) + Duration::from_micros(micros)),
        _ => Err(Error::new("getrusage", format!("a negative time: {time}"), Errno::EINVAL)),
    }
}
