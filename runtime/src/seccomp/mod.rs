//! From the `linux.seccomp` of config.json to a classic BPF program (`seccomp(2)`, seccomp_unotify(2)).
//!
//! The compiler is pure: the machine's own architecture is handed in, nothing is probed and no C library is needed.
//! Verdicts are those of runc with libseccomp, which the package `mydocker-oracle-seccomp` compares call by call;
//! docs/adr/0002-native-seccomp-compiler.md lists the deliberate differences and the measurements.
//!
//! # What a profile means
//!
//! - The architectures of the profile and the machine's own are judged; a call of any other kills the thread.
//! - A name that no architecture has is skipped with a [`Warning`]; one that only some architectures have counts on
//!   those. Names follow the kernel's tables, without regard to the running kernel's version.
//! - The conditions of a rule hold together, unless two of them look at the same argument: then each is a rule of its
//!   own, and any one of them suffices.
//! - A rule whose action is the default action says nothing and is skipped.
//! - For one call the first rule without conditions decides. Where there is none, the first rule whose conditions
//!   hold decides, and the default action where none holds.
//! - Conditions look at all 64 bits of an argument, on 32-bit architectures (x32 among them) at the low 32 bits of
//!   argument and value. `SCMP_CMP_MASKED_EQ` ignores bits of `valueTwo` outside the mask.
//! - Calls newer than every call that the profile names, judged by the number and per architecture, fail with
//!   `ENOSYS`, so that programs fall back to older calls; not so where the default action is `SCMP_ACT_ALLOW`,
//!   `SCMP_ACT_LOG` or `SCMP_ACT_TRACE`.
//! - Where the kernel has `socketcall` and `ipc`, a rule on a call that they carry counts for both ways. Its condition
//!   on argument 0 is lost on that second way, as the selector takes the place, and the others look at the arguments
//!   of `socketcall` or `ipc`; a filter cannot follow the pointer behind which the real ones are.
//!
//! # The listener
//!
//! With `SCMP_ACT_NOTIFY` loading the filter gives a listener ([`Compiled::notify`]), which the engine hands to the
//! socket at `listenerPath` together with the container process state of config-linux.md: `ociVersion`, `fds` (the
//! one name `seccompFd`), `pid`, `metadata` (`listenerMetadata`) and `state`. The child that loaded the filter must
//! get the listener to the parent through calls which the profile may have handed to the agent: that is why `write`
//! cannot be notified, and why taking the listener with `pidfd_getfd(2)` from outside is safer than sending it.

mod arch;
mod emit;
#[cfg(test)]
mod interpreter;
mod lower;
mod names;
mod profile;
mod table;
#[cfg(test)]
mod tests;

pub use arch::Arch;

use crate::spec::{Seccomp, SeccompAction};
use mydocker_sys::seccomp::Instruction;
use std::fmt;

/// The longest program that the kernel takes (`BPF_MAXINSNS`).
pub const MAX_INSTRUCTIONS: usize = 4096;

/// `SECCOMP_FILTER_FLAG_LOG` (Linux 4.14): actions other than allow are logged.
pub const FLAG_LOG: u64 = 1 << 1;
/// `SECCOMP_FILTER_FLAG_SPEC_ALLOW` (Linux 4.17): speculative store bypass stays enabled.
pub const FLAG_SPEC_ALLOW: u64 = 1 << 2;
/// `SECCOMP_FILTER_FLAG_NEW_LISTENER` (Linux 5.0): loading gives a listener.
pub const FLAG_NEW_LISTENER: u64 = 1 << 3;
/// `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV` (Linux 5.19): only a fatal signal interrupts a received notification.
pub const FLAG_WAIT_KILLABLE_RECV: u64 = 1 << 5;

/// The names of all actions, as `features` lists them.
pub const KNOWN_ACTIONS: [&str; 9] = [
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_NOTIFY",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
];
/// The names of all operators, as `features` lists them.
pub const KNOWN_OPERATORS: [&str; 7] = [
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_LE",
    "SCMP_CMP_LT",
    "SCMP_CMP_MASKED_EQ",
    "SCMP_CMP_NE",
];
/// The names of all flags with their bits; `SECCOMP_FILTER_FLAG_TSYNC` has none, as one thread alone becomes the
/// container's process.
pub const KNOWN_FLAGS: [(&str, u64); 4] = [
    ("SECCOMP_FILTER_FLAG_TSYNC", 0),
    ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", FLAG_SPEC_ALLOW),
    ("SECCOMP_FILTER_FLAG_LOG", FLAG_LOG),
    ("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", FLAG_WAIT_KILLABLE_RECV),
];

/// What the compiler must know of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// The architecture of the container's own calls, which every filter judges; [`Arch::BUILD`] on the machine that
    /// runs this program.
    pub native: Arch,
}

/// A filter ready to be loaded with [`mydocker_sys::seccomp::set_filter`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    /// The program: at most [`MAX_INSTRUCTIONS`].
    pub program: Vec<Instruction>,
    /// `SECCOMP_FILTER_FLAG_*`.
    pub flags: u64,
    /// Whether loading gives a listener that somebody must get.
    pub notify: bool,
    /// What the profile says in vain.
    pub warnings: Vec<Warning>,
}

/// Something that the profile says in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// No architecture has a call of that name.
    UnknownSyscall {
        /// The JSON pointer of the name.
        pointer: String,
        /// The name.
        name: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownSyscall { pointer, name } => {
                write!(f, "{pointer}: the unknown system call {name:?} is ignored")
            }
        }
    }
}

/// A profile that cannot be honoured, with the JSON pointer of the place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {problem}")]
pub struct Error {
    /// Where, from the top of config.json.
    pub pointer: String,
    /// What.
    pub problem: Problem,
}

/// Why a profile cannot be honoured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Not one of [`Arch::ALL`].
    #[error("the architecture {0:?} is not known")]
    UnknownArchitecture(String),
    /// Not one of [`KNOWN_FLAGS`].
    #[error("the filter flag {0:?} is not known")]
    UnknownFlag(String),
    /// The kernel takes the flag only together with a listener.
    #[error("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV needs a rule with SCMP_ACT_NOTIFY")]
    NothingToReceive,
    /// Only `SCMP_ACT_ERRNO` and `SCMP_ACT_TRACE` carry a number.
    #[error("{} takes no error number", action_name(.0))]
    ErrnoNotTaken(SeccompAction),
    /// The kernel returns 4095 at most, a tracer is told 65535 at most.
    #[error("the error number {number} is above the largest, {largest}")]
    ErrnoTooLarge {
        /// What was asked for.
        number: u32,
        /// What is possible.
        largest: u32,
    },
    /// A rule must name calls.
    #[error("a rule must name at least one system call")]
    NoNames,
    /// An empty name.
    #[error("a system call has an empty name")]
    EmptyName,
    /// There are six arguments.
    #[error("system calls have the arguments 0 to 5, not {0}")]
    ArgumentIndex(u32),
    /// The agent would have to answer before it has the listener.
    #[error("SCMP_ACT_NOTIFY cannot be the default action: the listener could not be handed over")]
    NotifyByDefault,
    /// As [`Problem::NotifyByDefault`].
    #[error("SCMP_ACT_NOTIFY cannot be used for write: the listener could not be handed over")]
    NotifyWrite,
    /// Nobody would answer.
    #[error("SCMP_ACT_NOTIFY needs a listenerPath")]
    NoListenerPath,
    /// config-linux.md forbids it.
    #[error("listenerMetadata needs a listenerPath")]
    MetadataWithoutListener,
    /// The profile is too large for the kernel.
    #[error("the filter has {0} instructions, more than the {MAX_INSTRUCTIONS} that the kernel takes")]
    TooLong(usize),
}

/// Compiles the `linux.seccomp` of a config.json.
///
/// # Errors
/// What [`Problem`] lists: each is found before anything of the container exists.
pub fn compile(seccomp: &Seccomp, host: &Facts) -> Result<Compiled, Error> {
    let profile = profile::Profile::new(seccomp, host)?;
    let groups = lower::lower(&profile);
    let program = emit::emit(&groups);
    if program.len() > MAX_INSTRUCTIONS {
        return Err(error("", Problem::TooLong(program.len())));
    }
    Ok(Compiled { program, flags: profile.flags, notify: profile.notify, warnings: profile.warnings })
}

/// An error at `/linux/seccomp` + `place`.
fn error(place: impl fmt::Display, problem: Problem) -> Error {
    Error { pointer: format!("/linux/seccomp{place}"), problem }
}

fn action_name(action: &SeccompAction) -> &'static str {
    match action {
        SeccompAction::Kill => "SCMP_ACT_KILL",
        SeccompAction::KillProcess => "SCMP_ACT_KILL_PROCESS",
        SeccompAction::KillThread => "SCMP_ACT_KILL_THREAD",
        SeccompAction::Trap => "SCMP_ACT_TRAP",
        SeccompAction::Errno => "SCMP_ACT_ERRNO",
        SeccompAction::Trace => "SCMP_ACT_TRACE",
        SeccompAction::Allow => "SCMP_ACT_ALLOW",
        SeccompAction::Log => "SCMP_ACT_LOG",
        SeccompAction::Notify => "SCMP_ACT_NOTIFY",
    }
}
