//! Files and directories, always relative to a directory descriptor.

use crate::copy::sized;
use crate::error::{Context, Result, check, describe};
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

pub use nix::dir::{Dir, Type as DirEntryType};
pub use nix::fcntl::OFlag;
pub use nix::sys::stat::{FileStat, Mode, SFlag};
pub use rustix::fs::FileType;

pub use crate::lock::{lock_exclusive, lock_shared};
pub use crate::resolve::{
    open_in_root, open_in_root_if_present, open_in_root_no_links, open_no_xdev, try_open_in_root,
    try_open_no_xdev,
};

/// The directory that relative paths start from: the working directory of the process.
pub use nix::fcntl::AT_FDCWD;

/// Descriptor 0, which may be closed.
// SAFETY: the borrow lasts as long as the process, and nothing in this crate closes 0.
pub const STDIN: BorrowedFd<'static> = unsafe { BorrowedFd::borrow_raw(0) };
/// Descriptor 1, which may be closed.
// SAFETY: as for STDIN.
pub const STDOUT: BorrowedFd<'static> = unsafe { BorrowedFd::borrow_raw(1) };
/// Descriptor 2, which may be closed.
// SAFETY: as for STDIN.
pub const STDERR: BorrowedFd<'static> = unsafe { BorrowedFd::borrow_raw(2) };

pub(crate) fn at(dir: BorrowedFd<'_>, path: &Path) -> String {
    if dir.as_raw_fd() == libc::AT_FDCWD {
        format!("{path:?}")
    } else {
        format!("{}, {path:?}", describe(dir))
    }
}

/// `openat(2)` with `O_CLOEXEC`.
///
/// # Errors
/// What the kernel says, with the directory and the path.
pub fn openat(dir: impl AsFd, path: &Path, flags: OFlag, mode: u32) -> Result<OwnedFd> {
    let dir = dir.as_fd();
    nix::fcntl::openat(dir, path, flags | OFlag::O_CLOEXEC, Mode::from_bits_truncate(mode))
        .context("openat", || format!("{}, {flags:?}", at(dir, path)))
}

/// [`openat`] from the working directory; absolute paths are the usual argument.
///
/// # Errors
/// As [`openat`].
pub fn open(path: &Path, flags: OFlag) -> Result<OwnedFd> {
    openat(AT_FDCWD, path, flags, 0)
}

/// Opens the very file behind an `O_PATH` descriptor, through `/proc/self/fd`.
///
/// # Errors
/// What the kernel says; `ENOENT` where /proc is not there.
pub fn reopen(fd: impl AsFd, flags: OFlag) -> Result<OwnedFd> {
    open(&PathBuf::from(format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())), flags)
}

/// `mkdirat(2)`.
///
/// # Errors
/// What the kernel says, with the directory and the path.
pub fn mkdirat(dir: impl AsFd, path: &Path, mode: u32) -> Result<()> {
    let dir = dir.as_fd();
    nix::sys::stat::mkdirat(dir, path, Mode::from_bits_truncate(mode)).context("mkdirat", || at(dir, path))
}

/// `mknodat(2)`; `kind` is the file type and `dev` as made by [`makedev`].
///
/// # Errors
/// What the kernel says, with the directory and the path.
pub fn mknodat(dir: impl AsFd, path: &Path, kind: SFlag, mode: u32, dev: u64) -> Result<()> {
    let dir = dir.as_fd();
    nix::sys::stat::mknodat(dir, path, kind, Mode::from_bits_truncate(mode), dev).context("mknodat", || {
        format!("{}, {kind:?}, {mode:o}, {}:{}", at(dir, path), major(dev), minor(dev))
    })
}

/// The device number of `major`:`minor`.
#[must_use]
pub fn makedev(major: u64, minor: u64) -> u64 {
    nix::sys::stat::makedev(major, minor)
}

/// The major part of a device number.
#[must_use]
pub fn major(dev: u64) -> u64 {
    nix::sys::stat::major(dev)
}

/// The minor part of a device number.
#[must_use]
pub fn minor(dev: u64) -> u64 {
    nix::sys::stat::minor(dev)
}

/// `symlinkat(2)`: makes `link` below `dir` point to `target`.
///
/// # Errors
/// What the kernel says, with both paths.
pub fn symlinkat(target: &Path, dir: impl AsFd, link: &Path) -> Result<()> {
    let dir = dir.as_fd();
    nix::unistd::symlinkat(target, dir, link)
        .context("symlinkat", || format!("{target:?}, {}", at(dir, link)))
}

/// `readlinkat(2)`.
///
/// # Errors
/// What the kernel says, with the directory and the path.
pub fn readlinkat(dir: impl AsFd, path: &Path) -> Result<PathBuf> {
    let dir = dir.as_fd();
    nix::fcntl::readlinkat(dir, path).map(PathBuf::from).context("readlinkat", || at(dir, path))
}

/// `unlinkat(2)` of a file.
///
/// # Errors
/// What the kernel says, with the directory and the path.
pub fn unlinkat(dir: impl AsFd, path: &Path) -> Result<()> {
    let dir = dir.as_fd();
    nix::unistd::unlinkat(dir, path, nix::unistd::UnlinkatFlags::NoRemoveDir)
        .context("unlinkat", || at(dir, path))
}

/// [`unlinkat`] of a file that may be missing: `false` where it was, without making the text of an error.
///
/// # Errors
/// As [`unlinkat`].
pub fn unlink_if_present(dir: impl AsFd, path: &Path) -> Result<bool> {
    let dir = dir.as_fd();
    match nix::unistd::unlinkat(dir, path, nix::unistd::UnlinkatFlags::NoRemoveDir) {
        Err(crate::Errno::ENOENT) => Ok(false),
        other => other.map(|()| true).context("unlinkat", || at(dir, path)),
    }
}

/// `unlinkat(2)` of an empty directory.
///
/// # Errors
/// What the kernel says, with the directory and the path.
pub fn rmdirat(dir: impl AsFd, path: &Path) -> Result<()> {
    let dir = dir.as_fd();
    nix::unistd::unlinkat(dir, path, nix::unistd::UnlinkatFlags::RemoveDir)
        .context("unlinkat", || format!("{}, AT_REMOVEDIR", at(dir, path)))
}

/// `renameat(2)` within one directory.
///
/// # Errors
/// What the kernel says, with both paths.
pub fn renameat(dir: impl AsFd, from: &Path, to: &Path) -> Result<()> {
    let dir = dir.as_fd();
    nix::fcntl::renameat(dir, from, dir, to).context("renameat", || format!("{}, {to:?}", at(dir, from)))
}

/// `fstat(2)`.
///
/// # Errors
/// What the kernel says, with the path behind the descriptor.
pub fn fstat(fd: impl AsFd) -> Result<FileStat> {
    let fd = fd.as_fd();
    nix::sys::stat::fstat(fd).context("fstat", || describe(fd))
}

/// `stat(2)`, which follows symbolic links.
///
/// # Errors
/// What the kernel says, with the path.
pub fn stat(path: &Path) -> Result<FileStat> {
    nix::sys::stat::stat(path).context("stat", || format!("{path:?}"))
}

/// `fstatat(2)` that does not follow a last symbolic link.
///
/// # Errors
/// What the kernel says, with the directory and the path.
pub fn lstatat(dir: impl AsFd, path: &Path) -> Result<FileStat> {
    let dir = dir.as_fd();
    nix::sys::stat::fstatat(dir, path, nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW)
        .context("fstatat", || at(dir, path))
}

/// The magic number of the file system that a descriptor is on (`fstatfs(2)`), such as [`PROC_SUPER_MAGIC`].
///
/// # Errors
/// What the kernel says, with the path behind the descriptor.
pub fn fs_magic(fd: impl AsFd) -> Result<i64> {
    let fd = fd.as_fd();
    #[allow(clippy::unnecessary_cast, reason = "the field's type differs between architectures")]
    nix::sys::statfs::fstatfs(fd).map(|s| s.filesystem_type().0 as i64).context("fstatfs", || describe(fd))
}

/// [`fs_magic`] of procfs.
pub const PROC_SUPER_MAGIC: i64 = 0x9fa0;
/// [`fs_magic`] of sysfs.
pub const SYSFS_MAGIC: i64 = 0x6265_6572;
/// [`fs_magic`] of cgroup2.
pub const CGROUP2_SUPER_MAGIC: i64 = 0x6367_7270;
/// [`fs_magic`] of a cgroup v1 hierarchy.
pub const CGROUP_SUPER_MAGIC: i64 = 0x0027_e0eb;
/// [`fs_magic`] of the files of namespaces.
pub const NSFS_MAGIC: i64 = 0x6e73_6673;
/// [`fs_magic`] of tmpfs.
pub const TMPFS_MAGIC: i64 = 0x0102_1994;

/// `fchmod(2)`.
///
/// # Errors
/// What the kernel says, with the path behind the descriptor.
pub fn fchmod(fd: impl AsFd, mode: u32) -> Result<()> {
    let fd = fd.as_fd();
    nix::sys::stat::fchmod(fd, Mode::from_bits_truncate(mode))
        .context("fchmod", || format!("{}, {mode:o}", describe(fd)))
}

/// `fchown(2)`.
///
/// # Errors
/// What the kernel says, with the path behind the descriptor.
pub fn fchown(fd: impl AsFd, uid: u32, gid: u32) -> Result<()> {
    let fd = fd.as_fd();
    nix::unistd::fchown(fd, Some(uid.into()), Some(gid.into()))
        .context("fchown", || format!("{}, {uid}, {gid}", describe(fd)))
}

/// `fchown(2)` of the user alone.
///
/// # Errors
/// What the kernel says, with the path behind the descriptor.
pub fn fchown_user(fd: impl AsFd, uid: u32) -> Result<()> {
    let fd = fd.as_fd();
    nix::unistd::fchown(fd, Some(uid.into()), None).context("fchown", || format!("{}, {uid}", describe(fd)))
}

/// `fchownat(2)` that does not follow a last symbolic link; without a group it stays that of its group.
///
/// # Errors
/// What the kernel says, with the directory and the path.
pub fn lchownat(dir: impl AsFd, path: &Path, uid: u32, gid: impl Into<Option<u32>>) -> Result<()> {
    let (dir, gid) = (dir.as_fd(), gid.into());
    let flags = nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW;
    nix::unistd::fchownat(dir, path, Some(uid.into()), gid.map(Into::into), flags)
        .context("fchownat", || format!("{}, {uid}, {gid:?}", at(dir, path)))
}

/// `fchmodat(2)` of a path whose last component the caller has just made (it follows a symbolic link).
///
/// # Errors
/// What the kernel says, with the directory and the path.
pub fn chmodat(dir: impl AsFd, path: &Path, mode: u32) -> Result<()> {
    let dir = dir.as_fd();
    nix::sys::stat::fchmodat(
        dir,
        path,
        Mode::from_bits_truncate(mode),
        nix::sys::stat::FchmodatFlags::FollowSymlink,
    )
    .context("fchmodat", || format!("{}, {mode:o}", at(dir, path)))
}

/// An anonymous file in memory that can be sealed (`memfd_create(2)`).
///
/// # Errors
/// What the kernel says.
pub fn memfd(name: &CStr) -> Result<OwnedFd> {
    use nix::sys::memfd::MFdFlags;
    nix::sys::memfd::memfd_create(name, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)
        .context("memfd_create", || format!("{name:?}"))
}

/// Seals a [`memfd`] against writing, growing, shrinking and further seals.
///
/// # Errors
/// What the kernel says.
pub fn seal(fd: impl AsFd) -> Result<()> {
    use nix::fcntl::{FcntlArg, SealFlag, fcntl};
    let seals =
        SealFlag::F_SEAL_SEAL | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE;
    fcntl(fd.as_fd(), FcntlArg::F_ADD_SEALS(seals))
        .context("fcntl", || format!("F_ADD_SEALS, {seals:?}"))
        .map(drop)
}

/// Reads a whole file below `dir`, at most `limit` bytes of it.
///
/// # Errors
/// What the kernel says; `EFBIG` for a file above the limit.
pub fn read_at(dir: impl AsFd, path: &Path, limit: u64) -> Result<Vec<u8>> {
    let dir = dir.as_fd();
    let file = File::from(openat(dir, path, OFlag::O_RDONLY | OFlag::O_NOCTTY, 0)?);
    // Most of /proc comes in one read; the standard library would begin with 32 bytes.
    let mut bytes = Vec::with_capacity(FIRST_READ);
    let read = file.take(limit + 1).read_to_end(&mut bytes);
    read.context("read", || at(dir, path))?;
    if bytes.len() as u64 > limit {
        return Err(crate::Error::new("read", at(dir, path), crate::Errno::EFBIG));
    }
    Ok(bytes)
}

/// How much a first read asks for: more than control files have.
const FIRST_READ: usize = 4096;

/// Reads an open file that the kernel makes as one record (`single_open`, `seq_show` of kernfs: control files of cgroups,
/// `/proc/PID/cgroup`, `/proc/PID/stat`): what a read leaves of its buffer is the end of the file, so that no second
/// read has to ask for it. `/proc/PID/mountinfo` is none: it has a record for each line.
///
/// # Errors
/// As [`read_at`].
pub fn read_record(file: impl AsFd, limit: u64) -> Result<Vec<u8>> {
    let file = file.as_fd();
    let mut bytes = vec![0; FIRST_READ];
    let mut length = read(file, &mut bytes)?;
    while length == bytes.len() && length as u64 <= limit {
        bytes.resize(2 * length, 0);
        length += match read(file, &mut bytes[length..])? {
            0 => break,
            more => more,
        }
    }
    bytes.truncate(length);
    let whole = (length as u64 <= limit).then_some(bytes);
    whole.ok_or_else(|| crate::Error::new("read", describe(file), crate::Errno::EFBIG))
}

/// Writes `bytes` to an existing file below `dir` with one `write(2)`, as kernel control files want it.
///
/// # Errors
/// What the kernel says, with the bytes that were refused.
pub fn write_at(dir: impl AsFd, path: &Path, bytes: &[u8]) -> Result<()> {
    let dir = dir.as_fd();
    let fd = openat(dir, path, OFlag::O_WRONLY | OFlag::O_NOCTTY, 0)?;
    write_once(&fd, bytes)
}

/// One `write(2)` that must take all bytes.
///
/// # Errors
/// What the kernel says, with the path and the bytes that were refused; `EIO` for a short write.
pub fn write_once(fd: impl AsFd, bytes: &[u8]) -> Result<()> {
    let fd = fd.as_fd();
    let text = || format!("{}, {:?}", describe(fd), String::from_utf8_lossy(&bytes[..bytes.len().min(200)]));
    let written = nix::unistd::write(fd, bytes).context("write", text)?;
    if written == bytes.len() { Ok(()) } else { Err(crate::Error::new("write", text(), crate::Errno::EIO)) }
}

/// Writes all bytes, however many calls it takes.
///
/// # Errors
/// What the kernel says, with the path behind the descriptor.
pub fn write_fully(fd: impl AsFd, mut bytes: &[u8]) -> Result<()> {
    let fd = fd.as_fd();
    while !bytes.is_empty() {
        let written = write(fd, bytes)?;
        bytes = &bytes[written..];
    }
    Ok(())
}

/// The names in a directory, without `.` and `..`, in no order.
///
/// # Errors
/// What the kernel says, with the path.
pub fn directory_names(path: &Path) -> Result<Vec<std::ffi::OsString>> {
    std::fs::read_dir(path)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.file_name())).collect())
        .context("getdents64", || format!("{path:?}"))
}

/// What is in a directory that is open for reading, with `.` and `..`, in no order: the names, and of which type each is.
///
/// # Errors
/// What the kernel says, with the path behind the descriptor.
pub fn entries(dir: impl AsFd) -> Result<Vec<(OsString, FileType)>> {
    let dir = dir.as_fd();
    let mut buffer = [std::mem::MaybeUninit::uninit(); 8192];
    let mut list = rustix::fs::RawDir::new(dir, &mut buffer);
    let mut entries = Vec::new();
    while let Some(entry) = list.next() {
        let entry = entry.context("getdents64", || describe(dir))?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes()).to_owned();
        entries.push((name, entry.file_type()));
    }
    Ok(entries)
}

/// `read(2)` into `buffer`; 0 is the end of the file.
///
/// # Errors
/// What the kernel says, with the path behind the descriptor.
pub fn read(fd: impl AsFd, buffer: &mut [u8]) -> Result<usize> {
    let fd = fd.as_fd();
    loop {
        match nix::unistd::read(fd, buffer) {
            Err(nix::errno::Errno::EINTR) => {}
            other => return other.context("read", || describe(fd)),
        }
    }
}

/// `pread(2)` into `buffer` from `offset` on; 0 is the end of the file.
///
/// # Errors
/// What the kernel says, with the path behind the descriptor.
pub fn read_from(fd: impl AsFd, buffer: &mut [u8], offset: i64) -> Result<usize> {
    let fd = fd.as_fd();
    loop {
        match nix::sys::uio::pread(fd, buffer, offset) {
            Err(nix::errno::Errno::EINTR) => {}
            other => return other.context("pread64", || describe(fd)),
        }
    }
}

/// Writes as much of `bytes` as one `write(2)` takes.
///
/// # Errors
/// What the kernel says, with the path behind the descriptor.
pub fn write(fd: impl AsFd, bytes: &[u8]) -> Result<usize> {
    let fd = fd.as_fd();
    loop {
        match nix::unistd::write(fd, bytes) {
            Err(nix::errno::Errno::EINTR) => {}
            other => return other.context("write", || describe(fd)),
        }
    }
}

/// A duplicate of a descriptor, close-on-exec.
///
/// # Errors
/// What the kernel says.
pub fn dup(fd: impl AsFd) -> Result<OwnedFd> {
    let fd = fd.as_fd();
    fd.try_clone_to_owned().context("fcntl", || format!("{}, F_DUPFD_CLOEXEC", describe(fd)))
}

/// Sets or clears close-on-exec.
///
/// # Errors
/// What the kernel says.
pub fn set_cloexec(fd: impl AsFd, on: bool) -> Result<()> {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    let flag = if on { FdFlag::FD_CLOEXEC } else { FdFlag::empty() };
    fcntl(fd.as_fd(), FcntlArg::F_SETFD(flag)).context("fcntl", || format!("F_SETFD, {flag:?}")).map(drop)
}

/// Sets or clears `O_NONBLOCK`.
///
/// # Errors
/// What the kernel says.
pub fn set_nonblocking(fd: impl AsFd, on: bool) -> Result<()> {
    use nix::fcntl::{FcntlArg, fcntl};
    let fd = fd.as_fd();
    let flags = fcntl(fd, FcntlArg::F_GETFL).context("fcntl", || "F_GETFL".into())?;
    let mut flags = OFlag::from_bits_retain(flags);
    flags.set(OFlag::O_NONBLOCK, on);
    fcntl(fd, FcntlArg::F_SETFL(flags)).context("fcntl", || format!("F_SETFL, {flags:?}")).map(drop)
}

/// The names of the directories in a directory, `.` and `..` left out, as the kernel lists them; an entry whose
/// kind the file system does not tell is left out too (cgroup file systems, procfs and tmpfs tell it).
///
/// # Errors
/// What the kernel says, with the path behind the descriptor.
pub fn subdirectories(dir: impl AsFd) -> Result<Vec<OsString>> {
    names(dir.as_fd(), |entry| entry.file_type() == Some(DirEntryType::Directory))
}

/// All names in a directory, `.` and `..` left out, as the kernel lists them.
///
/// # Errors
/// What the kernel says, with the path behind the descriptor.
pub fn names_in(dir: impl AsFd) -> Result<Vec<OsString>> {
    names(dir.as_fd(), |_| true)
}

fn names(dir: BorrowedFd<'_>, wanted: impl Fn(&nix::dir::Entry) -> bool) -> Result<Vec<OsString>> {
    let text = || describe(dir);
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut list = Dir::openat(dir, ".", flags, Mode::empty()).context("openat", text)?;
    let mut names = Vec::new();
    for entry in list.iter() {
        let entry = entry.context("getdents64", text)?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." && wanted(&entry) {
            names.push(OsStr::from_bytes(name).to_owned());
        }
    }
    Ok(names)
}

/// A pipe: (read end, write end).
///
/// # Errors
/// What the kernel says.
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    nix::unistd::pipe2(OFlag::O_CLOEXEC).context("pipe2", String::new)
}

/// Makes a pipe hold this many bytes, rounded up to pages; returns how many it holds now (`F_SETPIPE_SZ`).
///
/// # Errors
/// `EPERM` above `/proc/sys/fs/pipe-max-size` for an ordinary user.
pub fn set_pipe_size(pipe: impl AsFd, size: i32) -> Result<i32> {
    use nix::fcntl::{FcntlArg, fcntl};
    let fd = pipe.as_fd();
    fcntl(fd, FcntlArg::F_SETPIPE_SZ(size)).context("fcntl", || format!("{}, F_SETPIPE_SZ", describe(fd)))
}

/// `mkfifoat(3)`.
///
/// # Errors
/// What the kernel says, with the directory and the path.
pub fn mkfifoat(dir: impl AsFd, path: &Path, mode: u32) -> Result<()> {
    mknodat(dir, path, SFlag::S_IFIFO, mode, 0)
}

/// Whether a caller has passed the descriptor number to this program (`LISTEN_FDS`, `--preserve-fds`): it is open, and
/// stays so over execve, unlike everything that is opened here.
#[must_use]
pub fn is_inherited(raw: i32) -> bool {
    // SAFETY: F_GETFD takes any number and fails with EBADF for one that is not open.
    let flags = unsafe { libc::fcntl(raw, libc::F_GETFD) };
    flags >= 0 && flags & libc::FD_CLOEXEC == 0
}

/// Takes ownership of a descriptor number that a caller has passed to this program ([`is_inherited`]).
///
/// # Errors
/// `EBADF` for a number that is not open, or was opened here.
pub fn inherited(raw: i32) -> Result<OwnedFd> {
    if !is_inherited(raw) {
        return Err(crate::Error::new("fcntl", format!("{raw}, F_GETFD"), crate::Errno::EBADF));
    }
    // SAFETY: the number is open and nobody else's here, for what is opened here is close-on-exec.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// A path as the C string that a system call takes.
///
/// # Errors
/// `EINVAL` for a path with a NUL byte.
pub fn cstring(path: &Path) -> Result<CString> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| crate::Error::new("path", format!("{path:?}"), crate::Errno::EINVAL))
}

/// `umask(2)`; returns the old mask.
pub fn umask(mask: u32) -> u32 {
    nix::sys::stat::umask(Mode::from_bits_truncate(mask)).bits()
}

/// `access(2)` for executing, with the effective ids (`AT_EACCESS`).
///
/// # Errors
/// What the kernel says: `ENOENT`, `EACCES`, ...
pub fn executable(path: &Path) -> Result<()> {
    nix::unistd::faccessat(AT_FDCWD, path, nix::unistd::AccessFlags::X_OK, nix::fcntl::AtFlags::AT_EACCESS)
        .context("faccessat", || format!("{path:?}, X_OK"))
}

/// `access(2)` for writing, with the effective ids (`AT_EACCESS`).
///
/// # Errors
/// What the kernel says: `ENOENT`, `EACCES`, `EROFS`, ...
pub fn writable(path: &Path) -> Result<()> {
    nix::unistd::faccessat(AT_FDCWD, path, nix::unistd::AccessFlags::W_OK, nix::fcntl::AtFlags::AT_EACCESS)
        .context("faccessat", || format!("{path:?}, W_OK"))
}

/// Sets the extended attribute that carries a file's SELinux label and the like (`fsetxattr(2)`).
///
/// # Errors
/// What the kernel says.
pub fn fsetxattr(fd: impl AsFd, name: &CStr, value: &[u8]) -> Result<()> {
    let fd = fd.as_fd();
    // SAFETY: name is NUL-terminated, and value's pointer and length describe one live slice.
    let ret =
        unsafe { libc::fsetxattr(fd.as_raw_fd(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0) };
    check(ret.into(), "fsetxattr", || format!("{}, {name:?}", describe(fd))).map(drop)
}

/// The names of the extended attributes of a file (`flistxattr(2)`).
///
/// # Errors
/// What the kernel says; `EOPNOTSUPP` for a file system without them.
pub fn flistxattr(fd: impl AsFd) -> Result<Vec<CString>> {
    let fd = fd.as_fd();
    let list = sized(|buffer| {
        // SAFETY: the buffer's pointer and length describe one live slice; a length of zero asks for the size alone.
        unsafe { libc::flistxattr(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) }
    });
    let list = list.context("flistxattr", || describe(fd))?;
    let names = list.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.filter_map(|name| CString::new(name).ok()).collect())
}

/// The value of an extended attribute (`fgetxattr(2)`).
///
/// # Errors
/// What the kernel says; `ENODATA` for an attribute that the file does not have.
pub fn fgetxattr(fd: impl AsFd, name: &CStr) -> Result<Vec<u8>> {
    let fd = fd.as_fd();
    let value = sized(|buffer| {
        // SAFETY: name is NUL-terminated, and the buffer is as in flistxattr.
        unsafe { libc::fgetxattr(fd.as_raw_fd(), name.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) }
    });
    value.context("fgetxattr", || format!("{}, {name:?}", describe(fd)))
}

/// Sets the times of last access and modification to those in `stat` (`futimens(3)`).
///
/// # Errors
/// What the kernel says, with the path behind the descriptor.
pub fn set_times(fd: impl AsFd, stat: &FileStat) -> Result<()> {
    let fd = fd.as_fd();
    let (accessed, modified) = times(stat);
    nix::sys::stat::futimens(fd, &accessed, &modified).context("utimensat", || describe(fd))
}

/// [`set_times`] of `path` below `dir`; a last symbolic link is not followed (`utimensat(2)`).
///
/// # Errors
/// What the kernel says, with the directory and the path.
pub fn set_times_at(dir: impl AsFd, path: &Path, stat: &FileStat) -> Result<()> {
    let dir = dir.as_fd();
    let (accessed, modified) = times(stat);
    let follow = nix::sys::stat::UtimensatFlags::NoFollowSymlink;
    nix::sys::stat::utimensat(dir, path, &accessed, &modified, follow).context("utimensat", || at(dir, path))
}

fn times(stat: &FileStat) -> (nix::sys::time::TimeSpec, nix::sys::time::TimeSpec) {
    use nix::sys::time::TimeSpec;
    (TimeSpec::new(stat.st_atime, stat.st_atime_nsec), TimeSpec::new(stat.st_mtime, stat.st_mtime_nsec))
}

/// What a file lies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The magic number of the file system, such as [`TMPFS_MAGIC`].
    pub magic: i64,
    /// Whether the mount or the file system is read-only.
    pub readonly: bool,
}

/// What the file at `path` lies on, links followed (`statfs(2)`).
///
/// # Errors
/// What the kernel says, with the path.
pub fn place_of(path: &Path) -> Result<Place> {
    let stat = nix::sys::statfs::statfs(path).context("statfs", || format!("{path:?}"))?;
    #[allow(clippy::unnecessary_cast, reason = "the field's type differs between architectures")]
    let magic = stat.filesystem_type().0 as i64;
    Ok(Place { magic, readonly: stat.flags().contains(nix::sys::statvfs::FsFlags::ST_RDONLY) })
}

/// Whether a descriptor is a memory file that nobody can write any more.
#[must_use]
pub fn is_sealed(fd: impl AsFd) -> bool {
    use nix::fcntl::{FcntlArg, SealFlag, fcntl};
    let wanted = (SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SEAL).bits();
    fcntl(fd.as_fd(), FcntlArg::F_GET_SEALS).is_ok_and(|seals| seals & wanted == wanted)
}

/// Copies at most `length` bytes from one file to another (`sendfile(2)`); returns how many.
///
/// # Errors
/// What the kernel says, with both paths.
pub fn copy(from: impl AsFd, to: impl AsFd, length: u64) -> Result<u64> {
    let (from, to) = (from.as_fd(), to.as_fd());
    let mut done = 0;
    while done < length {
        // SAFETY: both descriptors are open, and no offset is passed.
        let ret = unsafe {
            libc::sendfile(to.as_raw_fd(), from.as_raw_fd(), std::ptr::null_mut(), (length - done) as usize)
        };
        match check(ret as libc::c_long, "sendfile", || format!("{}, {}", describe(to), describe(from)))? {
            0 => break,
            some => done += some as u64,
        }
    }
    Ok(done)
}

/// Reads a whole regular file, at most `limit` bytes of it; a fifo or a device in its place does not block.
///
/// # Errors
/// What the kernel says; `EINVAL` for anything but a regular file, `EFBIG` for one above the limit.
pub fn read_regular(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let fd = open(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)?;
    let stat = fstat(&fd)?;
    let refuse = |errno| crate::Error::new("read", format!("{path:?}"), errno);
    if stat.st_mode & libc::S_IFMT != libc::S_IFREG {
        return Err(refuse(crate::Errno::EINVAL));
    }
    if stat.st_size as u64 > limit {
        return Err(refuse(crate::Errno::EFBIG));
    }
    let mut bytes = vec![0; stat.st_size as usize];
    // The size is known: a read that gives all of it needs no other to find the end.
    let mut length = 0;
    while length < bytes.len() {
        match read(&fd, &mut bytes[length..])? {
            0 => break,
            some => length += some,
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}
