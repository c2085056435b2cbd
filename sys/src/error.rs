//! The error of a failed system call, told as strace would tell it.

use std::fmt;
use std::os::fd::{AsRawFd, BorrowedFd};

pub use nix::errno::Errno;

/// A failed system call: its name, its arguments as text and the kernel's error number.
///
/// `Display` gives `mkdirat(/var/lib/x/rootfs, "dev"): EACCES: Permission denied`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    call: &'static str,
    args: String,
    errno: Errno,
}

/// The result of a system call.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Makes an error of a call that failed with `errno`; `args` is its argument list as text.
    #[must_use]
    pub fn new(call: &'static str, args: impl Into<String>, errno: Errno) -> Self {
        Self { call, args: args.into(), errno }
    }

    /// The same from `errno` of the calling thread, to be called right after the failure; the text is made after
    /// errno is read, for making it may itself call the kernel.
    #[must_use]
    pub fn last(call: &'static str, args: impl FnOnce() -> String) -> Self {
        let errno = Errno::last();
        Self::new(call, args(), errno)
    }

    /// The name of the system call.
    #[must_use]
    pub fn call(&self) -> &'static str {
        self.call
    }

    /// The arguments as text.
    #[must_use]
    pub fn args(&self) -> &str {
        &self.args
    }

    /// The kernel's error number.
    #[must_use]
    pub fn errno(&self) -> Errno {
        self.errno
    }

    /// Whether the kernel does not have the call (or this use of it).
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        matches!(self.errno, Errno::ENOSYS | Errno::EOPNOTSUPP)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({}): {:?}: {}", self.call, self.args, self.errno, self.errno.desc())
    }
}

impl std::error::Error for Error {}

/// Turns the results of the crates below into ours; the arguments become text only when the call failed.
pub(crate) trait Context<T> {
    fn context(self, call: &'static str, args: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Context<T> for nix::Result<T> {
    fn context(self, call: &'static str, args: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|errno| Error::new(call, args(), errno))
    }
}

impl<T> Context<T> for rustix::io::Result<T> {
    fn context(self, call: &'static str, args: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|errno| Error::new(call, args(), Errno::from_raw(errno.raw_os_error())))
    }
}

impl<T> Context<T> for std::io::Result<T> {
    fn context(self, call: &'static str, args: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| {
            Error::new(call, args(), Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
        })
    }
}

/// What a raw `syscall(2)` returned, as a result.
pub(crate) fn check(
    ret: libc::c_long,
    call: &'static str,
    args: impl FnOnce() -> String,
) -> Result<libc::c_long> {
    if ret < 0 { Err(Error::last(call, args)) } else { Ok(ret) }
}

/// The path behind a descriptor for messages: `/proc/self/fd/N`'s target, or `fd N` where /proc is not there.
#[must_use]
pub fn describe(fd: BorrowedFd<'_>) -> String {
    let raw = fd.as_raw_fd();
    match std::fs::read_link(format!("/proc/self/fd/{raw}")) {
        Ok(path) => path.display().to_string(),
        Err(_) => format!("fd {raw}"),
    }
}
