//! Closing descriptors, many with few system calls.

use crate::error::{Result, check};
use crate::fs::is_inherited;
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

/// Closes whatever this program opened itself of the numbers from `first` up to `end`, but for those of `keep`: of a row that a
/// caller has passed ([`is_inherited`]). What owned one of them is never used nor dropped after that.
///
/// # Errors
/// What the kernel says.
pub fn own_between(first: u32, end: u32, keep: &[BorrowedFd<'_>]) -> Result<()> {
    let is_kept = |number: u32| keep.iter().any(|fd| fd.as_raw_fd() as u32 == number);
    let mut own = (first..end).filter(|number| !is_kept(*number) && !is_inherited(*number as i32));
    own.try_for_each(|number| range(number, number))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::{self, OFlag};
    use std::path::Path;

    /// A descriptor with a number far from those of other tests, with what `command` of fcntl makes of it.
    fn at(number: i32, command: i32) -> i32 {
        let null = fs::open(Path::new("/dev/null"), OFlag::O_RDONLY).expect("it is there");
        // SAFETY: the call takes three integers; nobody owns the new descriptor.
        let fd = unsafe { libc::fcntl(null.as_raw_fd(), command, number) };
        assert_eq!(fd, number);
        fd
    }

    fn is_open(number: i32) -> bool {
        // SAFETY: F_GETFD takes any number.
        unsafe { libc::fcntl(number, libc::F_GETFD) >= 0 }
    }

    #[test]
    fn what_a_caller_has_passed_and_what_is_needed_stays_open() {
        let (own, passed) = (at(700, libc::F_DUPFD_CLOEXEC), at(701, libc::F_DUPFD));
        let needed = at(702, libc::F_DUPFD_CLOEXEC);
        // SAFETY: it is open to the end of the test.
        let keep = unsafe { BorrowedFd::borrow_raw(needed) };
        own_between(700, 710, &[keep]).expect("the kernel has close_range");
        assert_eq!([own, passed, needed].map(is_open), [false, true, true]);
    }
}
