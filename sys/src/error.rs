//! The error of a failed system call, told as strace would tell it.

use std::fmt;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};

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

    /// The path that the call was about, where its arguments begin with one: a path in quotes, a directory and a name
    /// in it, or what is behind a descriptor.
    #[must_use]
    pub fn path(&self) -> Option<PathBuf> {
        // A link's target comes first there, and is not what the call is about.
        if self.call == "symlinkat" {
            return None;
        }
        if let Some(path) = quoted(&self.args) {
            return Some(path);
        }
        let (directory, rest) = self.args.split_once(", ").unwrap_or((&self.args, ""));
        let directory = Some(Path::new(directory)).filter(|directory| directory.is_absolute())?;
        Some(quoted(rest).map_or_else(|| directory.to_owned(), |name| directory.join(name)))
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

/// The text in quotes at the beginning; one with escapes is no plain path.
fn quoted(args: &str) -> Option<PathBuf> {
    let text = args.strip_prefix('"')?.split_once('"')?.0;
    (!text.contains('\\')).then(|| PathBuf::from(text))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_taken_from_the_arguments() {
        for (call, args, path) in [
            ("openat", "\"/a/b\", O_PATH", Some("/a/b")),
            ("openat", "/run/x, \"state.json\", O_RDONLY", Some("/run/x/state.json")),
            ("mkdirat", "/run/x, \"/y\"", Some("/y")),
            ("fchown", "/dev/pts/3, 5", Some("/dev/pts/3")),
            ("read", "/etc/passwd", Some("/etc/passwd")),
            ("openat", "\"a\\nb\", O_PATH", None),
            ("symlinkat", "\"target\", \"/l\"", None),
            ("clone3", "0x20000", None),
            ("fcntl", "fd 3, F_GETFL", None),
        ] {
            let error = Error::new(call, args, Errno::EPERM);
            assert_eq!(error.path(), path.map(PathBuf::from), "{call}({args})");
        }
    }
}
