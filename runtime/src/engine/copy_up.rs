//! `tmpcopyup`: a tmpfs that begins with what its target held.
//!
//! An image, or whoever shares a volume, controls the tree that is copied. Every name is opened below the descriptor of
//! its directory and no link is followed, so that nothing from outside the covered directory gets in; what changes its
//! type between two looks is refused. The copy is bounded by the size of the tmpfs and by [`MAX_DEPTH`].
//!
//! Kept are types, contents, owners, modes, times, and of files and directories the extended attributes that a tmpfs
//! takes. Names of one file become files of their own, and holes are filled, as with runc.

use super::child::{Fault, Outcome};
use super::failure::Code;
use mydocker_sys::fs::{self, FileStat, OFlag, SFlag};
use mydocker_sys::{AsFd, BorrowedFd, Errno, OwnedFd};
use std::path::Path;

/// How many directories deep a tree may be: each holds two descriptors while what is below it is copied.
const MAX_DEPTH: u32 = 256;

/// Copies what is below the directory `from`, which may be an `O_PATH` descriptor, into the directory `to`, a tree that
/// nobody else can see. The directory itself is left as it is.
///
/// # Errors
/// What the kernel says, a tree that is too deep, and a file that changes its type meanwhile.
pub(super) fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Outcome {
    let readable = fs::openat(from, Path::new("."), OFlag::O_RDONLY | OFlag::O_DIRECTORY, 0)?;
    copy_entries(readable.as_fd(), to, MAX_DEPTH)
}

fn copy_entries(from: BorrowedFd<'_>, to: BorrowedFd<'_>, depth_left: u32) -> Outcome {
    for name in fs::names_in(from)? {
        copy_entry(from, to, Path::new(&name), depth_left)?;
    }
    Ok(())
}

fn copy_entry(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &Path, depth_left: u32) -> Outcome {
    let stat = fs::lstatat(from, name)?;
    match stat.st_mode & libc::S_IFMT {
        libc::S_IFDIR => copy_directory(from, to, name, &stat, depth_left),
        libc::S_IFREG => copy_file(from, to, name, &stat),
        libc::S_IFLNK => {
            fs::symlinkat(&fs::readlinkat(from, name)?, to, name)?;
            fs::lchownat(to, name, stat.st_uid, stat.st_gid)?;
            Ok(fs::set_times_at(to, name, &stat)?)
        }
        _ => copy_node(to, name, &stat),
    }
}

fn copy_directory(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    name: &Path,
    stat: &FileStat,
    depth_left: u32,
) -> Outcome {
    let Some(depth_left) = depth_left.checked_sub(1) else {
        let message = format!("what is to be copied is more than {MAX_DEPTH} directories deep");
        return Err(Fault::Other(Code::Setup, message));
    };
    let source = reopen(from, name, OFlag::O_DIRECTORY, stat)?;
    fs::mkdirat(to, name, 0o700)?;
    let copy = fs::openat(to, name, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW, 0)?;
    copy_entries(source.as_fd(), copy.as_fd(), depth_left)?;
    copy_attributes(&source, &copy, stat)
}

fn copy_file(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &Path, stat: &FileStat) -> Outcome {
    let source = reopen(from, name, OFlag::O_NONBLOCK, stat)?;
    let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_WRONLY;
    let copy = fs::openat(to, name, flags, 0o600)?;
    // The size of the first look bounds a file that grows meanwhile.
    fs::copy(&source, &copy, stat.st_size as u64)?;
    copy_attributes(&source, &copy, stat)
}

/// Devices, fifos and sockets.
fn copy_node(to: BorrowedFd<'_>, name: &Path, stat: &FileStat) -> Outcome {
    let kind = SFlag::from_bits_truncate(stat.st_mode & libc::S_IFMT);
    fs::mknodat(to, name, kind, 0o600, stat.st_rdev)?;
    fs::lchownat(to, name, stat.st_uid, stat.st_gid)?;
    fs::chmodat(to, name, stat.st_mode & 0o7777)?;
    Ok(fs::set_times_at(to, name, stat)?)
}

/// Opens for reading what `stat` was told of, and nothing that has taken its place.
fn reopen(from: BorrowedFd<'_>, name: &Path, flags: OFlag, stat: &FileStat) -> Outcome<OwnedFd> {
    let flags = flags | OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NOCTTY;
    let source = fs::openat(from, name, flags, 0)?;
    let now = fs::fstat(&source)?;
    if (now.st_dev, now.st_ino, now.st_mode & libc::S_IFMT)
        == (stat.st_dev, stat.st_ino, stat.st_mode & libc::S_IFMT)
    {
        return Ok(source);
    }
    let message = format!("{} was exchanged while it was copied", name.display());
    Err(Fault::Other(Code::Setup, message))
}

/// The owner first, for a change of owner takes set-user-id bits and file capabilities away; the times last.
fn copy_attributes(source: &OwnedFd, copy: &OwnedFd, stat: &FileStat) -> Outcome {
    fs::fchown(copy, stat.st_uid, stat.st_gid)?;
    fs::fchmod(copy, stat.st_mode & 0o7777)?;
    copy_extended_attributes(source, copy)?;
    Ok(fs::set_times(copy, stat)?)
}

/// Copies the attributes that the tmpfs takes. It refuses kinds that it does not have, labels where the whole mount has
/// one, and in a user namespace what only the host's root may set.
fn copy_extended_attributes(source: &OwnedFd, copy: &OwnedFd) -> Outcome {
    let names = match fs::flistxattr(source) {
        Err(error) if error.errno() == Errno::EOPNOTSUPP => return Ok(()),
        other => other?,
    };
    for name in names {
        let value = match fs::fgetxattr(source, &name) {
            Err(error) if matches!(error.errno(), Errno::ENODATA | Errno::EOPNOTSUPP) => continue,
            other => other?,
        };
        match fs::fsetxattr(copy, &name, &value) {
            Err(error) if matches!(error.errno(), Errno::EOPNOTSUPP | Errno::EPERM) => {}
            other => other?,
        }
    }
    Ok(())
}
