//! One thing of a tree to an entry, with its data.

use super::{PackError, refused, shown};
use crate::layer::tar::{Entry, Kind, PATH_LIMIT, Region, Time, Writer};
use crate::layer::view::Node;
use mydocker_sys::copy::next_data;
use mydocker_sys::fs::{FileStat, SFlag, major, minor, read_from};
use std::collections::HashMap;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;

/// How much of a file is read at once, in bytes.
const BUFFER: usize = 256 << 10;

/// From how many regions on a file is written with its holes: a map may not be larger than what it saves.
const REGION_LIMIT: usize = 1 << 16;

/// Writes things of a tree into an archive.
pub(super) struct Packer<W> {
    writer: Writer<W>,
    /// The first names of files that have several, by device and inode.
    names: HashMap<(u64, u64), Vec<u8>>,
    buffer: Vec<u8>,
}

impl<W: Write> Packer<W> {
    pub(super) fn new(writer: Writer<W>) -> Self {
        Self { writer, names: HashMap::new(), buffer: vec![0; BUFFER] }
    }

    pub(super) fn finish(self) -> Result<W, PackError> {
        self.writer.finish().map_err(PackError::Write)
    }

    /// Adds one thing under its name from the top, which is empty for the top itself.
    pub(super) fn add(&mut self, path: &[u8], node: &Node) -> Result<(), PackError> {
        if path.len() as u64 >= PATH_LIMIT {
            return Err(refused(path, "its name has more than 4094 bytes"));
        }
        let failed = |source| PackError::Kernel { path: shown(path), source };
        let kind = match node.kind() {
            SFlag::S_IFREG => return self.add_file(path, node),
            SFlag::S_IFDIR => Kind::Directory,
            SFlag::S_IFLNK => Kind::Symlink(node.target().map_err(failed)?.as_os_str().as_bytes().to_owned()),
            SFlag::S_IFCHR => device(&node.stat, Kind::Character),
            SFlag::S_IFBLK => device(&node.stat, Kind::Block),
            SFlag::S_IFIFO => Kind::Fifo,
            _ => return Err(refused(path, "it is of a kind that archives do not know")),
        };
        let path_in_archive = if kind == Kind::Directory { directory_name(path) } else { path.to_owned() };
        if kind != Kind::Directory && self.link(path, node)? {
            return Ok(());
        }
        self.entry(path_in_archive, kind, node, &node.stat)
    }

    /// Says that a name of the layers below is gone.
    pub(super) fn whiteout(&mut self, path: &[u8]) -> Result<(), PackError> {
        let at = path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
        self.note([&path[..at], b".wh.", &path[at..]].concat())
    }

    /// Says that all that layers below have in a directory is gone.
    pub(super) fn opaque(&mut self, directory: &[u8]) -> Result<(), PackError> {
        self.note(super::joined(directory, ".wh..wh..opq"))
    }

    /// An empty file that is nothing but its name; it has no owner and no time, so that it is always the same.
    fn note(&mut self, path: Vec<u8>) -> Result<(), PackError> {
        let entry = Entry {
            path,
            kind: Kind::File(None),
            mode: 0o600,
            uid: 0,
            gid: 0,
            size: 0,
            modified: Time::default(),
            attributes: Vec::new(),
        };
        self.writer.entry(&entry).map_err(PackError::Write)
    }

    fn entry(&mut self, path: Vec<u8>, kind: Kind, node: &Node, stat: &FileStat) -> Result<(), PackError> {
        let attributes =
            node.attributes().map_err(|source| PackError::Kernel { path: shown(&path), source })?;
        let size = if matches!(kind, Kind::File(_)) { stat.st_size.unsigned_abs() } else { 0 };
        let modified = time(stat);
        let (mode, uid, gid) = (stat.st_mode & 0o7777, stat.st_uid, stat.st_gid);
        let entry = Entry { path, kind, mode, uid, gid, size, modified, attributes };
        self.writer.entry(&entry).map_err(PackError::Write)
    }

    /// Adds a further name of a file whose first one is in the archive; `false` if this is the first.
    fn link(&mut self, path: &[u8], node: &Node) -> Result<bool, PackError> {
        if node.stat.st_nlink < 2 {
            return Ok(false);
        }
        let first = self.names.entry((node.stat.st_dev, node.stat.st_ino)).or_insert_with(|| path.to_owned());
        if first == path {
            return Ok(false);
        }
        let entry = Entry {
            path: path.to_owned(),
            kind: Kind::HardLink(first.clone()),
            mode: node.stat.st_mode & 0o7777,
            uid: node.stat.st_uid,
            gid: node.stat.st_gid,
            size: 0,
            modified: time(&node.stat),
            attributes: Vec::new(),
        };
        self.writer.entry(&entry).map_err(PackError::Write)?;
        Ok(true)
    }

    fn add_file(&mut self, path: &[u8], node: &Node) -> Result<(), PackError> {
        if self.link(path, node)? {
            return Ok(());
        }
        let failed = |source| PackError::Kernel { path: shown(path), source };
        let Some((file, stat)) = node.open_file().map_err(failed)? else {
            return Err(PackError::Changed { path: shown(path) });
        };
        let size = stat.st_size.unsigned_abs();
        let regions = regions(&file, &stat).map_err(failed)?;
        self.entry(path.to_owned(), Kind::File(regions.clone()), node, &stat)?;
        for region in regions.unwrap_or_else(|| vec![Region { offset: 0, length: size }]) {
            self.copy(path, &file, region)?;
        }
        Ok(())
    }

    fn copy(&mut self, path: &[u8], file: &OwnedFd, region: Region) -> Result<(), PackError> {
        let (mut offset, end) = (region.offset, region.offset + region.length);
        while offset < end {
            let most = usize::try_from(end - offset).unwrap_or(BUFFER).min(BUFFER);
            // A file's length is an i64.
            let count = read_from(file, &mut self.buffer[..most], offset.cast_signed())
                .map_err(|source| PackError::Kernel { path: shown(path), source })?;
            if count == 0 {
                return Err(PackError::Changed { path: shown(path) });
            }
            self.writer.data(&self.buffer[..count]).map_err(PackError::Write)?;
            offset += count as u64;
        }
        Ok(())
    }
}

/// The name of a directory in an archive; the top is `./`.
fn directory_name(path: &[u8]) -> Vec<u8> {
    [if path.is_empty() { b"." } else { path }, b"/"].concat()
}

fn device(stat: &FileStat, make: fn(u32, u32) -> Kind) -> Kind {
    // The kernel's numbers have 12 and 20 bits.
    make(major(stat.st_rdev) as u32, minor(stat.st_rdev) as u32)
}

fn time(stat: &FileStat) -> Time {
    Time { seconds: stat.st_mtime, nanoseconds: stat.st_mtime_nsec as u32 }
}

/// The parts of a file that are no holes, if it has any hole worth a map.
fn regions(file: &OwnedFd, stat: &FileStat) -> Result<Option<Vec<Region>>, mydocker_sys::Error> {
    let size = stat.st_size.unsigned_abs();
    if stat.st_blocks.unsigned_abs() * 512 >= size {
        return Ok(None);
    }
    let (mut regions, mut at) = (Vec::new(), 0);
    while at < size {
        let Some((start, end)) = next_data(file, at)? else { break };
        let end = end.min(size);
        if start >= end || regions.len() == REGION_LIMIT {
            break;
        }
        regions.push(Region { offset: start, length: end - start });
        at = end;
    }
    let data: u64 = regions.iter().map(|region| region.length).sum();
    Ok((data < size && regions.len() < REGION_LIMIT).then_some(regions))
}
