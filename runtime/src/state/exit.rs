//! How a container ended, where a command saw it.

use mydocker_sys::process::Exit;
use serde::{Deserialize, Serialize};

/// The end of a container's first process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExitRecord {
    /// The status that a shell would tell: the exit code, or 128 and the signal's number.
    pub status: u8,
    /// The exit code, where the program ended by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// The signal that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Whether it dumped core.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub core_dumped: bool,
    /// Why it ended, as far as can be told.
    pub cause: Cause,
    /// How many processes of the container the kernel had killed for want of memory when this was seen.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub oom_kills: u64,
    /// When it was seen, RFC 3339; the end itself was before.
    pub seen: String,
}

/// Why a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// It ended by itself.
    Exited,
    /// A signal.
    Signal,
    /// SIGKILL, and the kernel had killed for want of memory in the container's cgroup.
    OutOfMemory,
    /// SIGSYS in a container whose system call filter ends processes.
    Seccomp,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

impl ExitRecord {
    /// The record of an end: `oom_kills` were counted in the container's cgroup, `filtered` says whether its system
    /// call filter can end a process.
    #[must_use]
    pub fn new(exit: Exit, oom_kills: u64, filtered: bool, seen: String) -> Self {
        let (code, signal, core_dumped) = match exit {
            Exit::Code(code) => (Some(code), None, false),
            Exit::Signal { number, core } => (None, Some(number), core),
        };
        let cause = match signal {
            None => Cause::Exited,
            Some(libc::SIGKILL) if oom_kills > 0 => Cause::OutOfMemory,
            Some(libc::SIGSYS) if filtered => Cause::Seccomp,
            Some(_) => Cause::Signal,
        };
        Self { status: exit.status(), code, signal, core_dumped, cause, oom_kills, seen }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_follows_from_what_was_seen() {
        let signal = |number| Exit::Signal { number, core: false };
        for (exit, oom_kills, filtered, status, cause) in [
            (Exit::Code(0), 0, true, 0, Cause::Exited),
            // The killer took another process than the first.
            (Exit::Code(3), 2, true, 3, Cause::Exited),
            (signal(9), 0, true, 137, Cause::Signal),
            (signal(9), 1, true, 137, Cause::OutOfMemory),
            (signal(31), 0, true, 159, Cause::Seccomp),
            (signal(31), 0, false, 159, Cause::Signal),
            (signal(15), 1, true, 143, Cause::Signal),
        ] {
            let record = ExitRecord::new(exit, oom_kills, filtered, String::new());
            assert_eq!((record.status, record.cause), (status, cause), "{exit:?}");
        }
    }
}
