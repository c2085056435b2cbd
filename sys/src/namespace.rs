//! Namespaces: entering, leaving and naming them.

use crate::error::{Context, Result, describe};
use std::os::fd::AsFd;

pub use nix::sched::CloneFlags;

/// `setns(2)`; `kind` makes the kernel refuse a descriptor of another kind.
///
/// # Errors
/// `EINVAL` for a wrong kind, `EPERM` without the privilege, with the path behind the descriptor.
pub fn setns(fd: impl AsFd, kind: CloneFlags) -> Result<()> {
    let fd = fd.as_fd();
    nix::sched::setns(fd, kind).context("setns", || format!("{}, {kind:?}", describe(fd)))
}

/// `unshare(2)`.
///
/// # Errors
/// What the kernel says, with the flags.
pub fn unshare(flags: CloneFlags) -> Result<()> {
    nix::sched::unshare(flags).context("unshare", || format!("{flags:?}"))
}

/// `sethostname(2)`.
///
/// # Errors
/// What the kernel says, with the name.
pub fn set_hostname(name: &str) -> Result<()> {
    nix::unistd::sethostname(name).context("sethostname", || format!("{name:?}"))
}

/// `setdomainname(2)`.
///
/// # Errors
/// What the kernel says, with the name.
pub fn set_domainname(name: &str) -> Result<()> {
    // SAFETY: the pointer and the length describe one live string.
    let ret = unsafe { libc::setdomainname(name.as_ptr().cast(), name.len()) };
    crate::error::check(ret.into(), "setdomainname", || format!("{name:?}")).map(drop)
}
