//! The only crate of the workspace that may contain `unsafe`: one thin wrapper per system call.
//!
//! A wrapper adds three things to the bare call and nothing else:
//!
//! * descriptors are typed ([`std::os::fd::OwnedFd`], [`std::os::fd::BorrowedFd`]) and always close-on-exec;
//! * a failure is an [`Error`] that names the call, its arguments and the path behind each descriptor, so that
//!   a message reads like a line of strace;
//! * flags that make a call unsafe to forget (`O_CLOEXEC`, `O_NOFOLLOW`, `RESOLVE_IN_ROOT`) are set here.
//!
//! There is no policy and no type of the container domain in this crate.

pub mod bpf;
pub mod close;
pub mod copy;
#[cfg(target_arch = "x86_64")]
pub mod early;
pub mod error;
pub mod fs;
pub mod heap;
pub mod landlock;
pub mod lock;
pub mod mount;
pub mod namespace;
pub mod netlink;
pub mod poll;
pub mod port;
pub mod process;
mod resolve;
pub mod seccomp;
pub mod signal;
pub mod socket;
pub mod start;
pub mod sync;
pub mod tty;
pub mod usage;
pub mod watch;

pub use error::{Errno, Error, Result};
pub use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
