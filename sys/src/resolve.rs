//! Paths that somebody else may have laid out, resolved by the kernel within bounds (`openat2(2)`).

use crate::error::{Context, Result};
use crate::fs::{OFlag, at};
use rustix::fs::ResolveFlags;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// No symbolic link, no other mount, nothing above.
const NO_XDEV: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_XDEV);

/// Opens `path` below `root` as if `root` were `/`: symbolic links, also absolute ones and `..`, stay inside
/// (`openat2(2)` with `RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS`, Linux 5.6).
///
/// # Errors
/// What the kernel says; `ELOOP` also for a magic link.
pub fn open_in_root(root: impl AsFd, path: &Path, flags: OFlag, mode: u32) -> Result<OwnedFd> {
    openat2(root, path, flags, mode, ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)
}

/// As [`open_in_root`]; `None` where there is no such path (`ENOENT`, `ENOTDIR`), found out without making the text of
/// an error, which costs a `readlink(2)`.
///
/// # Errors
/// As [`open_in_root`].
pub fn open_in_root_if_present(root: impl AsFd, path: &Path, flags: OFlag) -> Result<Option<OwnedFd>> {
    let root = root.as_fd();
    match raw_openat2(root, path, flags, 0, ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS) {
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Ok(None),
        other => other.map(Some).context("openat2", || format!("{}, {flags:?}", at(root, path))),
    }
}

/// As [`open_in_root`], but no symbolic link is followed at all (`RESOLVE_NO_SYMLINKS`).
///
/// # Errors
/// What the kernel says; `ELOOP` for a link anywhere on the way.
pub fn open_in_root_no_links(root: impl AsFd, path: &Path, flags: OFlag) -> Result<OwnedFd> {
    openat2(root, path, flags, 0, ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS)
}

/// Opens `path` below `dir` without following any symbolic link and without crossing a mount
/// (`RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV`): for a private procfs that nobody may overmount.
///
/// # Errors
/// What the kernel says: `ELOOP` for a link, `EXDEV` for a mount on the way.
pub fn open_no_xdev(dir: impl AsFd, path: &Path, flags: OFlag) -> Result<OwnedFd> {
    openat2(dir, path, flags, 0, NO_XDEV)
}

/// As [`open_in_root`], with the number of an error alone: who expects one need not pay for its text, a `readlink(2)`.
///
/// # Errors
/// As [`open_in_root`].
pub fn try_open_in_root(
    root: impl AsFd,
    path: &Path,
    flags: OFlag,
) -> std::result::Result<OwnedFd, crate::Errno> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    raw_openat2(root.as_fd(), path, flags, 0, resolve).map_err(number)
}

/// As [`open_no_xdev`], with the number of an error alone.
///
/// # Errors
/// As [`open_no_xdev`].
pub fn try_open_no_xdev(
    dir: impl AsFd,
    path: &Path,
    flags: OFlag,
) -> std::result::Result<OwnedFd, crate::Errno> {
    raw_openat2(dir.as_fd(), path, flags, 0, NO_XDEV).map_err(number)
}

fn number(errno: rustix::io::Errno) -> crate::Errno {
    crate::Errno::from_raw(errno.raw_os_error())
}

fn openat2(dir: impl AsFd, path: &Path, flags: OFlag, mode: u32, resolve: ResolveFlags) -> Result<OwnedFd> {
    let dir = dir.as_fd();
    raw_openat2(dir, path, flags, mode, resolve)
        .context("openat2", || format!("{}, {flags:?}", at(dir, path)))
}

fn raw_openat2(
    dir: BorrowedFd<'_>,
    path: &Path,
    flags: OFlag,
    mode: u32,
    resolve: ResolveFlags,
) -> rustix::io::Result<OwnedFd> {
    let oflags = rustix::fs::OFlags::from_bits_retain(flags.bits() as u32) | rustix::fs::OFlags::CLOEXEC;
    // The kernel gives EAGAIN when a rename raced with a ".."; that says nothing about the path.
    for _ in 0..128 {
        match rustix::fs::openat2(dir, path, oflags, rustix::fs::Mode::from_bits_retain(mode), resolve) {
            Err(rustix::io::Errno::AGAIN) => {}
            other => return other,
        }
    }
    Err(rustix::io::Errno::AGAIN)
}
