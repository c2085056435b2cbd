//! What one tree has in place of another.

use super::{PackError, children, entered, joined, shown};
use crate::layer::view::{Directory, Node};
use mydocker_sys::fs::{SFlag, read_from};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// How much of two files is compared at once, in bytes.
const BUFFER: usize = 64 << 10;

/// How something differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is another one, or has something changed in it.
    Changed,
    /// It is gone, with what was in it.
    Deleted,
}

/// One difference.
#[derive(Debug)]
pub struct Change<'a> {
    /// What happened.
    pub kind: ChangeKind,
    /// The name from the top, which is itself the empty name.
    pub path: &'a [u8],
    /// What is there now; `None` for what is gone.
    pub node: Option<&'a Node>,
}

type Visit<'a> = dyn FnMut(Change<'_>) -> Result<(), PackError> + 'a;

/// Visits all differences in the order of names, each directory before what is in it. A directory in which something differs
/// differs itself, as its time does; its own time alone is no difference, since to look for a difference may change it.
///
/// # Errors
/// [`PackError`], also that of `visit`.
pub fn difference(lower: &Directory, upper: &Directory, visit: &mut Visit<'_>) -> Result<(), PackError> {
    let failed = |source| PackError::Kernel { path: shown(b""), source };
    let (before, after) = (lower.top().map_err(failed)?, upper.top().map_err(failed)?);
    let Some(after) = after else { return Ok(()) };
    let mut compare = Compare { pending: Vec::new(), visit };
    let is_same = match &before {
        Some(before) => same(before, &after, b"")?,
        None => true,
    };
    compare.directory(Vec::new(), &after, is_same, Some(lower), upper)
}

struct Compare<'a, 'b> {
    /// The directories that lead to where the comparison is and that have not been told of.
    pending: Vec<(Vec<u8>, Node)>,
    visit: &'a mut Visit<'b>,
}

impl Compare<'_, '_> {
    /// A directory that both have, or that only `upper` has.
    fn directory(
        &mut self,
        path: Vec<u8>,
        node: &Node,
        is_same: bool,
        lower: Option<&Directory>,
        upper: &Directory,
    ) -> Result<(), PackError> {
        let depth = path.iter().filter(|byte| **byte == b'/').count();
        let told = self.pending.len();
        match lower {
            Some(_) if is_same => self.pending.push((path.clone(), node.clone())),
            Some(_) => self.tell(ChangeKind::Changed, &path, Some(node))?,
            None => self.tell(ChangeKind::Added, &path, Some(node))?,
        }
        let before = match lower {
            Some(lower) => children(lower, &path, depth)?.into_iter().collect(),
            None => BTreeMap::new(),
        };
        self.children(&path, before, children(upper, &path, depth)?.into_iter().collect())?;
        // It was told of meanwhile, or nothing in it differs.
        self.pending.truncate(told);
        Ok(())
    }

    fn children(
        &mut self,
        directory: &[u8],
        mut before: BTreeMap<PathBuf, Node>,
        after: BTreeMap<PathBuf, Node>,
    ) -> Result<(), PackError> {
        for (name, node) in after {
            while let Some(gone) = before.first_entry().filter(|gone| *gone.key() < name) {
                self.tell(ChangeKind::Deleted, &joined(directory, gone.key()), None)?;
                gone.remove();
            }
            let old = before.remove(&name);
            self.child(joined(directory, &name), old.as_ref(), &node)?;
        }
        for gone in before.into_keys() {
            self.tell(ChangeKind::Deleted, &joined(directory, gone), None)?;
        }
        Ok(())
    }

    fn child(&mut self, path: Vec<u8>, before: Option<&Node>, after: &Node) -> Result<(), PackError> {
        let Some(before) = before else { return self.added(path, after) };
        if before.is_directory() && after.is_directory() {
            let is_same = same(before, after, &path)?;
            let (lower, upper) = (entered(before, &path)?, entered(after, &path)?);
            return self.directory(path, after, is_same, Some(&lower), &upper);
        }
        if before.kind() == after.kind() {
            if same(before, after, &path)? {
                return Ok(());
            }
            return self.tell(ChangeKind::Changed, &path, Some(after));
        }
        self.replaced(path, after)
    }

    fn added(&mut self, path: Vec<u8>, node: &Node) -> Result<(), PackError> {
        if !node.is_directory() {
            return self.tell(ChangeKind::Added, &path, Some(node));
        }
        let upper = entered(node, &path)?;
        self.directory(path, node, false, None, &upper)
    }

    /// Something is there of another kind than before.
    fn replaced(&mut self, path: Vec<u8>, node: &Node) -> Result<(), PackError> {
        self.tell(ChangeKind::Changed, &path, Some(node))?;
        if !node.is_directory() {
            return Ok(());
        }
        let upper = entered(node, &path)?;
        let depth = path.iter().filter(|byte| **byte == b'/').count();
        for (name, child) in children(&upper, &path, depth)? {
            self.added(joined(&path, &name), &child)?;
        }
        Ok(())
    }

    fn tell(&mut self, kind: ChangeKind, path: &[u8], node: Option<&Node>) -> Result<(), PackError> {
        for (path, node) in self.pending.drain(..) {
            (self.visit)(Change { kind: ChangeKind::Changed, path: &path, node: Some(&node) })?;
        }
        (self.visit)(Change { kind, path, node })
    }
}

/// Whether two things of the same kind are the same in all that a layer keeps.
pub(super) fn same(one: &Node, other: &Node, path: &[u8]) -> Result<bool, PackError> {
    let (a, b) = (&one.stat, &other.stat);
    let inode = |node: &Node| (node.stat.st_dev, node.stat.st_ino);
    if inode(one) == inode(other) {
        return Ok(true);
    }
    let failed = |source| PackError::Kernel { path: shown(path), source };
    let is_same = a.st_mode == b.st_mode && (a.st_uid, a.st_gid) == (b.st_uid, b.st_gid);
    if !is_same || !one.is_directory() && (a.st_mtime, a.st_mtime_nsec) != (b.st_mtime, b.st_mtime_nsec) {
        return Ok(false);
    }
    if one.attributes().map_err(failed)? != other.attributes().map_err(failed)? {
        return Ok(false);
    }
    match one.kind() {
        SFlag::S_IFLNK => Ok(one.target().map_err(failed)? == other.target().map_err(failed)?),
        SFlag::S_IFCHR | SFlag::S_IFBLK => Ok(a.st_rdev == b.st_rdev),
        // A file that got one more name has to come with all of its names, for a link leads to its own layer alone.
        SFlag::S_IFREG if a.st_size != b.st_size || b.st_nlink > a.st_nlink => Ok(false),
        SFlag::S_IFREG => same_content(one, other, path),
        _ => Ok(true),
    }
}

/// Whether two files have the same bytes. Length and time are not enough: images that are made to be reproducible give all
/// files one time.
fn same_content(one: &Node, other: &Node, path: &[u8]) -> Result<bool, PackError> {
    let open = |node: &Node| {
        let opened = node.open_file().map_err(|source| PackError::Kernel { path: shown(path), source })?;
        opened.map(|(file, _)| file).ok_or_else(|| PackError::Changed { path: shown(path) })
    };
    let (one, other) = (open(one)?, open(other)?);
    let (mut ours, mut theirs) = (vec![0; BUFFER], vec![0; BUFFER]);
    let mut offset = 0;
    loop {
        let count = read_whole(&one, &mut ours, offset, path)?;
        let other_count = read_whole(&other, &mut theirs, offset, path)?;
        if ours[..count] != theirs[..other_count] {
            return Ok(false);
        }
        if count < BUFFER {
            return Ok(true);
        }
        offset += BUFFER as u64;
    }
}

/// Fills a buffer, but at the end of the file.
fn read_whole(file: &OwnedFd, buffer: &mut [u8], offset: u64, path: &[u8]) -> Result<usize, PackError> {
    let mut done = 0;
    while done < buffer.len() {
        let at = (offset + done as u64).cast_signed();
        let count = read_from(file, &mut buffer[done..], at)
            .map_err(|source| PackError::Kernel { path: shown(path), source })?;
        if count == 0 {
            break;
        }
        done += count;
    }
    Ok(done)
}
