//! Files to entries. Nothing is reached by a path but the top: each name is one component below an open directory.

use super::{CarryError, DEPTH_LIMIT, Sink, kernel, refused, shown};
use mydocker_img::layer::tar::{Entry, Kind, Region, Time};
use mydocker_img::layer::view::{Directory, Node};
use mydocker_sys::OwnedFd;
use mydocker_sys::copy::next_data;
use mydocker_sys::fs::{
    FileStat, OFlag, SFlag, fgetxattr, flistxattr, fstat, major, minor, read_from, readlinkat, reopen,
};
use std::collections::HashMap;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Gives what a descriptor of any kind stands for to a sink, with all that is below it, and returns how many bytes its
/// files have. The top is called `name`; with an empty name only what is in it is given.
///
/// # Errors
/// [`CarryError`]; what was given by then stays.
pub fn walk(top: &OwnedFd, name: &[u8], sink: &mut dyn Sink) -> Result<u64, CarryError> {
    let mut walker = Walker { sink, first_names: HashMap::new(), size: 0 };
    walker.top(top, name)?;
    Ok(walker.size)
}

struct Walker<'a> {
    sink: &'a mut dyn Sink,
    /// The first names of files that have several, by device and inode.
    first_names: HashMap<(u64, u64), Vec<u8>>,
    size: u64,
}

impl Walker<'_> {
    fn top(&mut self, top: &OwnedFd, name: &[u8]) -> Result<(), CarryError> {
        let stat = fstat(top).map_err(kernel(name))?;
        match kind_of(&stat) {
            SFlag::S_IFDIR => {
                let opened = reopen(top, OFlag::O_RDONLY | OFlag::O_DIRECTORY).map_err(kernel(name))?;
                let attributes = attributes(&opened).map_err(kernel(name))?;
                let directory = Directory::plain(opened);
                if !name.is_empty() {
                    self.give(entry(name, Kind::Directory, &stat, attributes))?;
                }
                self.below(&directory, name, 0)
            }
            SFlag::S_IFREG => {
                let file = reopen(top, OFlag::O_RDONLY).map_err(kernel(name))?;
                let attributes = attributes(&file).map_err(kernel(name))?;
                self.file(name, &file, &stat, attributes)
            }
            SFlag::S_IFLNK => {
                let target = readlinkat(top, Path::new("")).map_err(kernel(name))?;
                let kind = Kind::Symlink(target.as_os_str().as_bytes().to_owned());
                self.give(entry(name, kind, &stat, Vec::new()))
            }
            _ => {
                let kind = special(&stat).ok_or_else(|| refused(name, "it is a socket"))?;
                self.give(entry(name, kind, &stat, Vec::new()))
            }
        }
    }

    fn below(&mut self, directory: &Directory, path: &[u8], depth: usize) -> Result<(), CarryError> {
        if depth > DEPTH_LIMIT {
            return Err(refused(path, "it lies more than 200 directories deep"));
        }
        for (name, node) in directory.children().map_err(kernel(path))? {
            let separator = if path.is_empty() { &b""[..] } else { b"/" };
            self.node(&[path, separator, name.as_bytes()].concat(), &node, depth)?;
        }
        Ok(())
    }

    fn node(&mut self, path: &[u8], node: &Node, depth: usize) -> Result<(), CarryError> {
        let stat = &node.stat;
        if !node.is_directory() && self.link(path, stat)? {
            return Ok(());
        }
        let attributes = || node.attributes().map_err(kernel(path));
        match node.kind() {
            SFlag::S_IFDIR => {
                self.give(entry(path, Kind::Directory, stat, attributes()?))?;
                let directory = node.open_directory().map_err(kernel(path))?;
                self.below(&directory, path, depth + 1)
            }
            SFlag::S_IFREG => {
                let opened = node.open_file().map_err(kernel(path))?;
                let (file, stat) = opened.ok_or_else(|| CarryError::Changed(shown(path)))?;
                self.file(path, &file, &stat, attributes()?)
            }
            SFlag::S_IFLNK => {
                let target = node.target().map_err(kernel(path))?;
                let kind = Kind::Symlink(target.as_os_str().as_bytes().to_owned());
                self.give(entry(path, kind, stat, attributes()?))
            }
            // A socket is nothing without who listens.
            _ => match special(stat) {
                Some(kind) => self.give(entry(path, kind, stat, attributes()?)),
                None => Ok(()),
            },
        }
    }

    /// Gives a further name of a file whose first one was given; `false` if this is the first.
    fn link(&mut self, path: &[u8], stat: &FileStat) -> Result<bool, CarryError> {
        if stat.st_nlink < 2 {
            return Ok(false);
        }
        let first = self.first_names.entry((stat.st_dev, stat.st_ino)).or_insert_with(|| path.to_owned());
        if first == path {
            return Ok(false);
        }
        let kind = Kind::HardLink(first.clone());
        self.give(entry(path, kind, stat, Vec::new())).map(|()| true)
    }

    fn file(
        &mut self,
        path: &[u8],
        file: &OwnedFd,
        stat: &FileStat,
        attributes: Vec<(CString, Vec<u8>)>,
    ) -> Result<(), CarryError> {
        let size = stat.st_size.unsigned_abs();
        let regions = regions(file, stat).map_err(kernel(path))?;
        let entry = entry(path, Kind::File(regions.clone()), stat, attributes);
        let mut left = regions.unwrap_or_else(|| vec![Region { offset: 0, length: size }]);
        left.reverse();
        let mut total = 0;
        self.sink.entry(&entry, &mut |buffer| {
            let count = read_next(path, file, &mut left, buffer)?;
            total += count as u64;
            Ok(count)
        })?;
        self.size += total;
        Ok(())
    }

    fn give(&mut self, entry: Entry) -> Result<(), CarryError> {
        self.sink.entry(&entry, &mut |_| Ok(0))
    }
}

/// Reads on; `left` are the regions that are still to be read, the next one last.
fn read_next(
    path: &[u8],
    file: &OwnedFd,
    left: &mut Vec<Region>,
    buffer: &mut [u8],
) -> Result<usize, CarryError> {
    while left.last().is_some_and(|region| region.length == 0) {
        left.pop();
    }
    let Some(region) = left.last_mut() else { return Ok(0) };
    let most = usize::try_from(region.length).unwrap_or(buffer.len()).min(buffer.len());
    // A file's length is an i64.
    let count = read_from(file, &mut buffer[..most], region.offset.cast_signed()).map_err(kernel(path))?;
    if count == 0 {
        return Err(CarryError::Changed(shown(path)));
    }
    region.offset += count as u64;
    region.length -= count as u64;
    Ok(count)
}

fn entry(path: &[u8], kind: Kind, stat: &FileStat, attributes: Vec<(CString, Vec<u8>)>) -> Entry {
    let is_file = matches!(kind, Kind::File(_));
    let mut path = path.to_owned();
    if kind == Kind::Directory {
        path.push(b'/');
    }
    Entry {
        path,
        kind,
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        size: if is_file { stat.st_size.unsigned_abs() } else { 0 },
        modified: Time { seconds: stat.st_mtime, nanoseconds: stat.st_mtime_nsec as u32 },
        attributes,
    }
}

fn kind_of(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

/// `None` for a socket.
fn special(stat: &FileStat) -> Option<Kind> {
    // The kernel's numbers have 12 and 20 bits.
    let numbers = (major(stat.st_rdev) as u32, minor(stat.st_rdev) as u32);
    match kind_of(stat) {
        SFlag::S_IFCHR => Some(Kind::Character(numbers.0, numbers.1)),
        SFlag::S_IFBLK => Some(Kind::Block(numbers.0, numbers.1)),
        SFlag::S_IFIFO => Some(Kind::Fifo),
        _ => None,
    }
}

fn attributes(fd: &OwnedFd) -> Result<Vec<(CString, Vec<u8>)>, mydocker_sys::Error> {
    let names = match flistxattr(fd) {
        Err(error) if error.errno() == mydocker_sys::Errno::EOPNOTSUPP => return Ok(Vec::new()),
        other => other?,
    };
    // Labels belong to the host.
    let of_tree = |name: &CString| {
        !name.as_bytes().starts_with(b"security.") || name.as_bytes() == b"security.capability"
    };
    let read = |name: CString| fgetxattr(fd, &name).map(|value| (name, value));
    names.into_iter().filter(of_tree).map(read).collect()
}

/// The parts of a file that are no holes, if it has any.
fn regions(file: &OwnedFd, stat: &FileStat) -> Result<Option<Vec<Region>>, mydocker_sys::Error> {
    let size = stat.st_size.unsigned_abs();
    if stat.st_blocks.unsigned_abs() * 512 >= size {
        return Ok(None);
    }
    let (mut regions, mut at) = (Vec::new(), 0);
    while let Some((start, end)) = next_data(file, at)?.filter(|(start, _)| *start < size) {
        regions.push(Region { offset: start, length: end.min(size) - start });
        at = end;
    }
    Ok(Some(regions))
}
