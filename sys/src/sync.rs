//! Making sure that what was written is on the disk.

use crate::error::{check, describe};
use crate::{AsFd, AsRawFd, Result};

/// Writes everything of the file system that `fd` is on to its disk (`syncfs(2)`).
///
/// # Errors
/// What the kernel says; since Linux 5.8 also that an earlier write did not reach the disk.
pub fn sync_file_system(fd: impl AsFd) -> Result<()> {
    let fd = fd.as_fd();
    // SAFETY: syncfs takes an open descriptor, which BorrowedFd guarantees, and no pointer.
    let ret = unsafe { libc::syncfs(fd.as_raw_fd()) };
    check(ret.into(), "syncfs", || describe(fd)).map(drop)
}
