//! Namespaces: entering, leaving and naming them.

use crate::error::{Context, Result, describe};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

pub use nix::sched::CloneFlags;

/// `setns(2)`; `kind` makes the kernel refuse a descriptor of another kind.
///
/// # Errors
/// `EINVAL` for a wrong kind, `EPERM` without the privilege, with the path behind the descriptor.
pub fn setns(fd: impl AsFd, kind: CloneFlags) -> Result<()> {
    let fd = fd.as_fd();
    nix::sched::setns(fd, kind).context("setns", || format!("{}, {kind:?}", describe(fd)))
}

/// The kind of the namespace that a descriptor stands for (`ioctl_nsfs(2)`, `NS_GET_NSTYPE`, Linux 4.11): one of the
/// `CLONE_NEW*` flags. Ask it of descriptors on nsfs only: elsewhere the number may mean anything.
///
/// # Errors
/// `ENOTTY` for what is none, with the path behind the descriptor.
pub fn kind(fd: impl AsFd) -> Result<CloneFlags> {
    const NS_GET_NSTYPE: libc::Ioctl = 0xb703;
    let fd = fd.as_fd();
    // SAFETY: the call takes no argument beyond the open descriptor.
    let flag = unsafe { libc::ioctl(fd.as_raw_fd(), NS_GET_NSTYPE) };
    crate::error::check(flag.into(), "ioctl", || format!("{}, NS_GET_NSTYPE", describe(fd)))?;
    Ok(CloneFlags::from_bits_retain(flag))
}

/// Whether the calling process is in the host's first user namespace, where a capability counts for everything. Its
/// inode number is fixed (`USER_NS_INIT_INO`, since Linux 3.8). Without /proc the answer is yes, because nothing that
/// follows from a no could be looked up there either.
#[must_use]
pub fn is_first_user_namespace() -> bool {
    const USER_NS_INIT_INO: u64 = 0xeffffffd;
    nix::sys::stat::stat("/proc/self/ns/user").map_or(true, |stat| stat.st_ino == USER_NS_INIT_INO)
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

/// Brings `lo` up in the network namespace of the caller (`SIOCSIFFLAGS`, netdevice(7)). Returns the socket through which
/// that was asked, for a caller that lets execve close it.
///
/// # Errors
/// What the kernel says.
pub fn raise_loopback() -> Result<OwnedFd> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
    let control = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)
        .context("socket", || "AF_INET, SOCK_DGRAM".into())?;
    // SAFETY: ifreq is plain data for which all zeroes is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads one live ifreq whose name ends in NUL.
    let ret = unsafe {
        libc::ioctl(std::os::fd::AsRawFd::as_raw_fd(&control), libc::SIOCSIFFLAGS as _, &raw const request)
    };
    crate::error::check(ret.into(), "ioctl", || "SIOCSIFFLAGS, lo, IFF_UP".into()).map(|_| control)
}
