//! Closing descriptors, many with few system calls.

use crate::error::{Result, check};
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};

/// Closes descriptors, each row of consecutive numbers with one call.
///
/// # Errors
/// What the kernel says; descriptors of later rows are closed all the same.
pub fn all(fds: Vec<OwnedFd>) -> Result<()> {
    let mut numbers: Vec<i32> = fds.into_iter().map(IntoRawFd::into_raw_fd).collect();
    numbers.sort_unstable();
    let mut result = Ok(());
    for row in numbers.chunk_by(|one, next| one + 1 == *next) {
        // Every number of the row was taken out of an OwnedFd above.
        result = result.and(range(row[0] as u32, row[row.len() - 1] as u32));
    }
    result
}

/// Closes every descriptor from `first` on but those of `keep`, whoever opened it: for a process that is about to become
/// another program. What owned one of them is never used nor dropped after that.
///
/// # Errors
/// What the kernel says.
pub fn from(first: u32, keep: &[BorrowedFd<'_>]) -> Result<()> {
    let mut kept: Vec<u32> = keep.iter().map(|fd| fd.as_raw_fd() as u32).collect();
    kept.sort_unstable();
    let mut next = first;
    for number in kept.into_iter().filter(|number| *number >= first) {
        if next < number {
            range(next, number - 1)?;
        }
        next = number + 1;
    }
    range(next, u32::MAX)
}

/// Closes this process's copy of a descriptor whose owner lives on in the parent: in a process that clone has just
/// made, where what the parent owns is never used nor dropped.
pub fn copy(fd: BorrowedFd<'_>) {
    // SAFETY: the number is open, and its owner belongs to the parent's copy of this memory.
    unsafe { libc::close(fd.as_raw_fd()) };
}

/// `close_range(2)` (Linux 5.9), for descriptors that nobody uses any more.
fn range(first: u32, last: u32) -> Result<()> {
    // SAFETY: the call takes three integers; by the contracts of its callers the owners of these descriptors are gone, or
    // neither used nor dropped any more.
    let ret = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    check(ret, "close_range", || format!("{first}, {last}")).map(drop)
}
