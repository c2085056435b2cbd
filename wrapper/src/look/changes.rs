//! What a container has changed in its files: docker's A, C and D.

use mydocker_img::layer::view::{Directory, Node};
use mydocker_sys::Error;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

/// How deep directories may be within each other.
const DEPTH_LIMIT: usize = 200;

/// Where something is mounted in every container. What had to be made for that, and is as empty as it was made, is no
/// change of the container's.
const MOUNT_POINTS: &[&str] = &[
    "/dev",
    "/dev/console",
    "/dev/mqueue",
    "/dev/pts",
    "/dev/shm",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/proc",
    "/sbin/docker-init",
    "/sys",
];

/// How something has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It is new.
    Added,
    /// It is another one, or something in it has changed.
    Changed,
    /// It is gone.
    Deleted,
}

impl Kind {
    /// Docker's letter.
    #[must_use]
    pub fn letter(self) -> &'static str {
        match self {
            Self::Added => "A",
            Self::Changed => "C",
            Self::Deleted => "D",
        }
    }
}

/// Something that has changed: how, and its absolute path.
pub type Change = (Kind, Vec<u8>);

/// The changes of `upper`, the upper directory of an overlay mount, to what is below it, in the order of their names. Only
/// what is in `upper` is looked at, and not the whole of what is below.
///
/// # Errors
/// What the kernel says.
pub fn changes(upper: &Directory, lower: &Directory) -> Result<Vec<Change>, Error> {
    let mut changes = Vec::new();
    compare(upper, Some(lower), b"", 0, &mut changes)?;
    Ok(changes)
}

fn compare(
    upper: &Directory,
    lower: Option<&Directory>,
    path: &[u8],
    depth: usize,
    changes: &mut Vec<Change>,
) -> Result<(), Error> {
    if depth > DEPTH_LIMIT {
        return Ok(());
    }
    let below = lower.map(Directory::children).transpose()?.unwrap_or_default();
    for (name, node) in upper.children()? {
        let path = [path, b"/", name.as_bytes()].concat();
        let old = below.get(&name);
        if node.is_whiteout()? {
            changes.extend(old.map(|_| (Kind::Deleted, path)));
            continue;
        }
        let before = changes.len();
        changes.push((if old.is_some() { Kind::Changed } else { Kind::Added }, path.clone()));
        if node.is_directory() {
            descend(&node, old, &path, depth, changes)?;
        }
        if changes.len() == before + 1 && is_for_mounts(&node, old, &path)? {
            changes.truncate(before);
        }
    }
    Ok(())
}

/// Whether there is nothing but an empty place for a mount, or a directory that nothing but such a place has changed.
fn is_for_mounts(node: &Node, old: Option<&Node>, path: &[u8]) -> Result<bool, Error> {
    if MOUNT_POINTS.iter().any(|place| place.as_bytes() == path) && old.is_none() {
        return Ok(node.is_directory() || node.stat.st_size == 0);
    }
    let holds =
        |place: &&str| place.as_bytes().strip_prefix(path).is_some_and(|rest| rest.first() == Some(&b'/'));
    if !node.is_directory() || !MOUNT_POINTS.iter().any(holds) {
        return Ok(false);
    }
    let are_there = !node.open_directory()?.children()?.is_empty();
    let attributes = |node: &Node| (node.stat.st_mode, node.stat.st_uid, node.stat.st_gid);
    Ok(are_there && old.is_none_or(|old| attributes(old) == attributes(node)))
}

/// A directory that was removed and made again hides all that is below it.
fn descend(
    node: &Node,
    old: Option<&Node>,
    path: &[u8],
    depth: usize,
    changes: &mut Vec<Change>,
) -> Result<(), Error> {
    let is_opaque = node.mark("opaque")?.is_some_and(|value| value == b"y");
    let upper = node.open_directory()?;
    let lower = old.filter(|old| old.is_directory()).map(Node::open_directory).transpose()?;
    if is_opaque {
        let now = upper.children()?;
        let before: BTreeMap<OsString, Node> =
            lower.as_ref().map(Directory::children).transpose()?.unwrap_or_default();
        let gone = before.keys().filter(|name| !now.contains_key(*name));
        changes.extend(gone.map(|name| (Kind::Deleted, [path, b"/", name.as_bytes()].concat())));
    }
    compare(&upper, lower.as_ref(), path, depth + 1, changes)
}
