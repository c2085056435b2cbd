//! Copies of directory trees: a tmpfs or a volume that begins with what its target held.
//!
//! An image, or whoever shares a volume, controls the tree that is copied. Every name is opened below the descriptor of
//! its directory and no link is followed, so that nothing from outside the covered directory gets in; what changes its
//! type between two looks is refused. The copy is bounded by the room that there is and by [`MAX_DEPTH`].
//!
//! Kept are types, contents with their holes, owners, modes, times, further names of one file, and the extended attributes
//! that the target takes.
#![forbid(unsafe_code)]

use mydocker_sys::fs::{self, FileStat, OFlag, SFlag};
use mydocker_sys::{AsFd, BorrowedFd, Errno, OwnedFd, copy, process};
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::path::{Path, PathBuf};

/// Why a tree is not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A system call failed.
    #[error(transparent)]
    Call(#[from] mydocker_sys::Error),
    /// It is too deep.
    #[error("what is to be copied is more than {MAX_DEPTH} directories deep")]
    TooDeep,
    /// Somebody puts other files in the place of those that are copied.
    #[error("{0:?} was exchanged while it was copied")]
    Exchanged(PathBuf),
}

type Outcome<T = ()> = Result<T, CopyError>;

/// How many directories deep a tree may be: each holds two descriptors while what is below it is copied.
pub const MAX_DEPTH: u32 = 256;

/// Copies what is below the directory `from`, which may be an `O_PATH` descriptor, into the directory `to`, a tree that
/// nobody else can see. The directory itself is left as it is. The working directory changes.
///
/// # Errors
/// [`CopyError`]; what has been copied by then stays.
pub fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Outcome {
    let readable = fs::openat(from, Path::new("."), OFlag::O_RDONLY | OFlag::O_DIRECTORY, 0)?;
    let mut copier = Copier { top: to, place: PathBuf::new(), first_names: HashMap::new() };
    copier.entries(readable.as_fd(), to, MAX_DEPTH)
}

/// A file of the source, by its device and number.
type FileId = (u64, u64);

struct Copier<'a> {
    /// The directory of the copy, from which names of files are linked again.
    top: BorrowedFd<'a>,
    /// Where the copy has come to below it.
    place: PathBuf,
    /// The copies of files that have more names than one. Nobody else sees the copy, so that a path stays what it is.
    first_names: HashMap<FileId, PathBuf>,
}

impl Copier<'_> {
    fn entries(&mut self, from: BorrowedFd<'_>, to: BorrowedFd<'_>, depth_left: u32) -> Outcome {
        for name in fs::names_in(from)? {
            self.place.push(&name);
            self.entry(from, to, Path::new(&name), depth_left)?;
            self.place.pop();
        }
        Ok(())
    }

    fn entry(&mut self, from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &Path, depth_left: u32) -> Outcome {
        let stat = fs::lstatat(from, name)?;
        if stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits() {
            return self.directory(from, to, name, &stat, depth_left);
        }
        if stat.st_nlink > 1 {
            let first = self.first_names.entry((stat.st_dev, stat.st_ino));
            match first {
                std::collections::hash_map::Entry::Occupied(first) => {
                    return Ok(copy::linkat(self.top, first.get(), to, name)?);
                }
                std::collections::hash_map::Entry::Vacant(place) => drop(place.insert(self.place.clone())),
            }
        }
        match stat.st_mode & SFlag::S_IFMT.bits() {
            kind if kind == SFlag::S_IFREG.bits() => copy_file(from, to, name, &stat),
            kind if kind == SFlag::S_IFLNK.bits() => copy_link(from, to, name, &stat),
            _ => copy_node(from, to, name, &stat),
        }
    }

    fn directory(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        name: &Path,
        stat: &FileStat,
        depth_left: u32,
    ) -> Outcome {
        let Some(depth_left) = depth_left.checked_sub(1) else {
            return Err(CopyError::TooDeep);
        };
        let source = reopen(from, name, OFlag::O_DIRECTORY, stat)?;
        fs::mkdirat(to, name, 0o700)?;
        let copy = fs::openat(to, name, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW, 0)?;
        self.entries(source.as_fd(), copy.as_fd(), depth_left)?;
        copy_attributes(&source, &copy, stat)
    }
}

fn copy_file(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &Path, stat: &FileStat) -> Outcome {
    let source = reopen(from, name, OFlag::O_NONBLOCK, stat)?;
    let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_WRONLY;
    let copy = fs::openat(to, name, flags, 0o600)?;
    copy_data(&source, &copy, stat.st_size as u64)?;
    copy_attributes(&source, &copy, stat)
}

/// Copies the runs of data and leaves the holes between them. The size of the first look bounds a file that grows
/// meanwhile.
fn copy_data(source: &OwnedFd, to: &OwnedFd, size: u64) -> Outcome {
    let mut offset = 0;
    while let Some((start, end)) = copy::next_data(source, offset)?.filter(|(start, _)| *start < size) {
        copy::set_position(to, start)?;
        fs::copy(source, to, end.min(size) - start)?;
        offset = end;
    }
    Ok(copy::set_length(to, size)?)
}

fn copy_link(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &Path, stat: &FileStat) -> Outcome {
    fs::symlinkat(&fs::readlinkat(from, name)?, to, name)?;
    fs::lchownat(to, name, stat.st_uid, stat.st_gid)?;
    copy_attributes_by_name(from, to, name)?;
    Ok(fs::set_times_at(to, name, stat)?)
}

/// Devices, fifos and sockets.
fn copy_node(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &Path, stat: &FileStat) -> Outcome {
    let kind = SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits());
    fs::mknodat(to, name, kind, 0o600, stat.st_rdev)?;
    fs::lchownat(to, name, stat.st_uid, stat.st_gid)?;
    fs::chmodat(to, name, stat.st_mode & 0o7777)?;
    copy_attributes_by_name(from, to, name)?;
    Ok(fs::set_times_at(to, name, stat)?)
}

/// Opens for reading what `stat` was told of, and nothing that has taken its place.
fn reopen(from: BorrowedFd<'_>, name: &Path, flags: OFlag, stat: &FileStat) -> Outcome<OwnedFd> {
    let flags = flags | OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NOCTTY;
    let source = fs::openat(from, name, flags, 0)?;
    let now = fs::fstat(&source)?;
    if (now.st_dev, now.st_ino, now.st_mode & SFlag::S_IFMT.bits())
        == (stat.st_dev, stat.st_ino, stat.st_mode & SFlag::S_IFMT.bits())
    {
        return Ok(source);
    }
    Err(CopyError::Exchanged(name.to_owned()))
}

/// The owner first, for a change of owner takes set-user-id bits and file capabilities away; the times last.
fn copy_attributes(source: &OwnedFd, copy: &OwnedFd, stat: &FileStat) -> Outcome {
    fs::fchown(copy, stat.st_uid, stat.st_gid)?;
    fs::fchmod(copy, stat.st_mode & 0o7777)?;
    copy_extended_attributes(source, copy)?;
    Ok(fs::set_times(copy, stat)?)
}

/// Copies the attributes that the file system takes. It refuses kinds that it does not have, labels where the whole mount has
/// one, and in a user namespace what only the host's root may set.
fn copy_extended_attributes(source: &OwnedFd, copy: &OwnedFd) -> Outcome {
    for name in unless_unsupported(fs::flistxattr(source))?.unwrap_or_default() {
        if let Some(value) = unless_unsupported(fs::fgetxattr(source, &name))? {
            unless_unsupported(fs::fsetxattr(copy, &name, &value))?;
        }
    }
    Ok(())
}

/// The same of what cannot be opened. The kernel has no such calls below a directory's descriptor before Linux 6.13, so
/// that the directories take turns in being the working directory.
fn copy_attributes_by_name(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &Path) -> Outcome {
    process::fchdir(from)?;
    let name = fs::cstring(name)?;
    let attributes = read_attributes(&name)?;
    if attributes.is_empty() {
        return Ok(());
    }
    process::fchdir(to)?;
    for (attribute, value) in attributes {
        unless_unsupported(copy::set_attribute_of_link(&name, &attribute, &value))?;
    }
    Ok(())
}

fn read_attributes(name: &CStr) -> Outcome<Vec<(CString, Vec<u8>)>> {
    let mut attributes = Vec::new();
    for attribute in unless_unsupported(copy::attributes_of_link(name))?.unwrap_or_default() {
        let value = unless_unsupported(copy::attribute_of_link(name, &attribute))?;
        attributes.extend(value.map(|value| (attribute, value)));
    }
    Ok(attributes)
}

/// None where the file system does not have attributes of this kind, or this process may not set them, or the attribute has
/// gone meanwhile.
fn unless_unsupported<T>(result: mydocker_sys::Result<T>) -> Outcome<Option<T>> {
    match result {
        Err(error) if matches!(error.errno(), Errno::EOPNOTSUPP | Errno::EPERM | Errno::ENODATA) => Ok(None),
        other => Ok(Some(other?)),
    }
}

/// Gives the directory `to` the owner, the permissions, the attributes and the times of the directory `from`.
///
/// # Errors
/// What the kernel says.
pub fn copy_directory_attributes(from: &OwnedFd, to: &OwnedFd) -> Outcome {
    copy_attributes(from, to, &fs::fstat(from)?)
}
