//! What a faithful copy of a tree takes beyond [`fs`](crate::fs): holes of sparse files, further names of one file, and the
//! extended attributes of what cannot be opened, such as links and devices.

use crate::error::{Context, Error, Result, check, describe};
use nix::sys::time::TimeSpec;
use nix::unistd::Whence;
use std::ffi::{CStr, CString};
use std::os::fd::AsFd;
use std::path::Path;

/// Gives the file `old` below `old_dir` one more name (`linkat(2)`); a last symbolic link is itself linked.
///
/// # Errors
/// What the kernel says, with both paths.
pub fn linkat(old_dir: impl AsFd, old: &Path, new_dir: impl AsFd, new: &Path) -> Result<()> {
    let (old_dir, new_dir) = (old_dir.as_fd(), new_dir.as_fd());
    nix::unistd::linkat(old_dir, old, new_dir, new, nix::fcntl::AtFlags::empty())
        .context("linkat", || format!("{}, {old:?}, {}, {new:?}", describe(old_dir), describe(new_dir)))
}

/// The next run of data at or behind `offset`: its beginning and its end (`lseek(2)` with `SEEK_DATA` and `SEEK_HOLE`);
/// none where nothing but a hole is left. A file system without holes tells one run.
///
/// The position of the descriptor is left at the beginning of the run.
///
/// # Errors
/// What the kernel says, with the path.
pub fn next_data(fd: impl AsFd, offset: u64) -> Result<Option<(u64, u64)>> {
    let start = match seek(&fd, offset, Whence::SeekData) {
        Err(error) if error.errno() == crate::Errno::ENXIO => return Ok(None),
        other => other?,
    };
    let end = seek(&fd, start, Whence::SeekHole)?;
    seek(&fd, start, Whence::SeekSet)?;
    Ok(Some((start, end)))
}

/// Moves the position of a descriptor (`lseek(2)`).
///
/// # Errors
/// What the kernel says, with the path.
pub fn set_position(fd: impl AsFd, offset: u64) -> Result<()> {
    seek(&fd, offset, Whence::SeekSet).map(drop)
}

fn seek(fd: &impl AsFd, offset: u64, whence: Whence) -> Result<u64> {
    let fd = fd.as_fd();
    let args = || format!("{}, {offset}, {whence:?}", describe(fd));
    let offset = i64::try_from(offset).map_err(|_| Error::new("lseek", args(), crate::Errno::EOVERFLOW))?;
    nix::unistd::lseek(fd, offset, whence).context("lseek", args).map(|position| position as u64)
}

/// Sets the length of a file (`ftruncate(2)`); what is added is a hole.
///
/// # Errors
/// What the kernel says, with the path.
pub fn set_length(fd: impl AsFd, length: u64) -> Result<()> {
    let fd = fd.as_fd();
    let args = || format!("{}, {length}", describe(fd));
    let length = i64::try_from(length).map_err(|_| Error::new("ftruncate", args(), crate::Errno::EFBIG))?;
    nix::unistd::ftruncate(fd, length).context("ftruncate", args)
}

/// Sets the times of last access and modification to the same moment: seconds since 1970, and nanoseconds behind them
/// (`futimens(3)`).
///
/// # Errors
/// What the kernel says, with the path.
pub fn set_modified(fd: impl AsFd, seconds: i64, nanoseconds: u32) -> Result<()> {
    let (fd, time) = (fd.as_fd(), TimeSpec::new(seconds, nanoseconds.into()));
    nix::sys::stat::futimens(fd, &time, &time).context("utimensat", || describe(fd))
}

/// [`set_modified`] of `name` in a directory; a symbolic link is not followed (`utimensat(2)`).
///
/// # Errors
/// What the kernel says, with the directory and the name.
pub fn set_modified_at(dir: impl AsFd, name: &Path, seconds: i64, nanoseconds: u32) -> Result<()> {
    let (dir, time) = (dir.as_fd(), TimeSpec::new(seconds, nanoseconds.into()));
    let follow = nix::sys::stat::UtimensatFlags::NoFollowSymlink;
    nix::sys::stat::utimensat(dir, name, &time, &time, follow)
        .context("utimensat", || format!("{}, {name:?}", describe(dir)))
}

/// The names of the extended attributes of `name` in the working directory, which is not followed if it is a link
/// (`llistxattr(2)`).
///
/// # Errors
/// What the kernel says; `EOPNOTSUPP` for a file system without them.
pub fn attributes_of_link(name: &CStr) -> Result<Vec<CString>> {
    let list = sized(|buffer| {
        // SAFETY: name is NUL-terminated; the buffer's pointer and length describe one live slice.
        unsafe { libc::llistxattr(name.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) }
    });
    let list = list.context("llistxattr", || format!("{name:?}"))?;
    let names = list.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.filter_map(|name| CString::new(name).ok()).collect())
}

/// The value of an extended attribute, as [`attributes_of_link`] (`lgetxattr(2)`).
///
/// # Errors
/// What the kernel says; `ENODATA` for an attribute that the file does not have.
pub fn attribute_of_link(name: &CStr, attribute: &CStr) -> Result<Vec<u8>> {
    let value = sized(|buffer| {
        // SAFETY: both names are NUL-terminated; the buffer is as above.
        unsafe {
            libc::lgetxattr(name.as_ptr(), attribute.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len())
        }
    });
    value.context("lgetxattr", || format!("{name:?}, {attribute:?}"))
}

/// Sets an extended attribute, as [`attributes_of_link`] (`lsetxattr(2)`).
///
/// # Errors
/// What the kernel says.
pub fn set_attribute_of_link(name: &CStr, attribute: &CStr, value: &[u8]) -> Result<()> {
    // SAFETY: both names are NUL-terminated, and value's pointer and length describe one live slice.
    let ret =
        unsafe { libc::lsetxattr(name.as_ptr(), attribute.as_ptr(), value.as_ptr().cast(), value.len(), 0) };
    check(ret.into(), "lsetxattr", || format!("{name:?}, {attribute:?}")).map(drop)
}

/// Calls once for the size and once for the bytes; the kernel keeps both below 64 KiB (`XATTR_SIZE_MAX`).
pub(crate) fn sized(mut call: impl FnMut(&mut [u8]) -> isize) -> nix::Result<Vec<u8>> {
    let size = nix::errno::Errno::result(call(&mut []))?;
    let mut bytes = vec![0; size as usize];
    if size > 0 {
        let length = nix::errno::Errno::result(call(&mut bytes))?;
        bytes.truncate(length as usize);
    }
    Ok(bytes)
}
