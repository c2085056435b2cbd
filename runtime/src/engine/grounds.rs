//! What the runtime knows of the mounts that it has made itself: a target that lies on one of them is found without asking
//! whether it is on a procfs.
//!
//! A path is a reason to believe something only as long as no symbolic link has a say in it. So a target counts as on
//! a known mount when the kernel goes there from the root of that mount over no link and no other mount; and once a target
//! was reached in any other way, what is mounted there may cover anything, and nothing is known any more.

use super::child::{Child, Outcome};
use super::rootfs;
use crate::plan::{MountKind, MountStep, Node};
use mydocker_sys::fs::{self, OFlag};
use mydocker_sys::{AsFd, BorrowedFd, Errno, OwnedFd};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

/// The mounts made so far that are where their paths say.
#[derive(Debug, Default)]
pub(super) struct Grounds<'a> {
    made: Vec<Ground<'a>>,
    /// Whether something was mounted nobody knows where.
    lost: bool,
    /// Whether the container's root is on a procfs, once that is known.
    root_is_procfs: Option<bool>,
}

/// One mount. Where the descriptor is missing, nothing is known of what it shows.
#[derive(Debug)]
struct Ground<'a> {
    at: &'a Path,
    root: Option<OwnedFd>,
    /// Whether it is a procfs: nothing is mounted there but what covers its files.
    is_procfs: bool,
    /// What the runtime has made there, in a file system that nobody else can change yet.
    contents: &'a [Node],
}

/// Where a target is.
pub(super) enum Found {
    /// On a mount that is known.
    Known(OwnedFd),
    /// Nowhere: it has to be made.
    Missing,
    /// Wherever links and other mounts lead.
    Elsewhere,
}

impl<'a> Grounds<'a> {
    /// Remembers a mount, and the root of a new file system, which is known and empty but for the step's contents. What
    /// it covers is forgotten.
    pub(super) fn add(&mut self, step: &'a MountStep, root: Option<OwnedFd>) {
        let (root, contents) = match &step.what {
            MountKind::Filesystem { contents, .. } => (root, contents.as_slice()),
            MountKind::Remount => return,
            _ => (None, [].as_slice()),
        };
        self.lost |= climbs(&step.target);
        self.made.retain(|ground| rest_below(ground.at, &step.target).is_none());
        self.made.push(Ground { at: &step.target, root, is_procfs: is_procfs(step), contents });
    }

    /// Forgets all mounts and those to come: what is mounted nobody knows where may cover them.
    pub(super) fn lose(&mut self) {
        self.lost = true;
    }

    /// The root of the container's own procfs, open for reading, if that is what `/proc` shows: for who mounts nothing
    /// there but what it tells apart.
    pub(super) fn take_procfs(&mut self) -> Option<OwnedFd> {
        let mut shown = self.made.iter_mut().filter(|ground| ground.is_procfs && !self.lost);
        shown.find(|ground| ground.at == Path::new("/proc"))?.root.take()
    }

    /// The descriptors, for who closes them.
    pub(super) fn take(&mut self) -> impl Iterator<Item = OwnedFd> {
        std::mem::take(&mut self.made).into_iter().filter_map(|ground| ground.root)
    }

    /// The mount that a path leads to, and the rest of the path there.
    fn below<'p>(&self, path: &'p Path) -> Option<(&Ground<'a>, &'p Path)> {
        let below = self.made.iter().filter_map(|ground| Some((ground, rest_below(path, ground.at)?)));
        below.min_by_key(|(_, rest)| rest.as_os_str().len())
    }

    /// What the runtime has made itself at a path: the root of the file system, and the node with its name there.
    pub(super) fn own_node(&self, path: &Path) -> Option<(BorrowedFd<'_>, &'a Node)> {
        if self.lost {
            return None;
        }
        let (ground, name) = self.below(path)?;
        let node = ground.contents.iter().find(|node| node.path() == name)?;
        Some((ground.root.as_ref()?.as_fd(), node))
    }
}

/// Looks for a target on a mount that is known.
pub(super) fn find(child: &mut Child<'_>, target: &Path) -> Outcome<Found> {
    if child.grounds.lost || climbs(target) {
        return Ok(Found::Elsewhere);
    }
    if let Some((ground, rest)) = child.grounds.below(target) {
        let root = ground.root.as_ref().filter(|_| !ground.is_procfs);
        return Ok(root.map_or(Found::Elsewhere, |root| look(root.as_fd(), rest)));
    }
    let is_procfs = match child.grounds.root_is_procfs {
        Some(known) => known,
        None => rootfs::is_procfs(child.root()?)?,
    };
    child.grounds.root_is_procfs = Some(is_procfs);
    match target.strip_prefix("/") {
        Ok(rest) if !is_procfs => Ok(look(child.root()?, rest)),
        _ => Ok(Found::Elsewhere),
    }
}

/// Whether a path climbs: its text does not say what it passes then.
fn climbs(path: &Path) -> bool {
    path.components().any(|component| component == Component::ParentDir)
}

/// Whether a step mounts a procfs.
pub(super) fn is_procfs(step: &MountStep) -> bool {
    matches!(&step.what, MountKind::Filesystem { fs_type, .. } if fs_type == "proc")
}

/// What is left of a path below another. The plan's targets have no doubled slashes, so that bytes tell, without taking
/// both paths apart for each mount that is known.
fn rest_below<'p>(path: &'p Path, above: &Path) -> Option<&'p Path> {
    let above = above.as_os_str().as_bytes();
    let rest = path.as_os_str().as_bytes().strip_prefix(above.strip_suffix(b"/").unwrap_or(above))?;
    match rest {
        [] => Some(Path::new("")),
        [b'/', rest @ ..] => Some(Path::new(OsStr::from_bytes(rest))),
        _ => None,
    }
}

fn look(root: BorrowedFd<'_>, path: &Path) -> Found {
    if path.as_os_str().is_empty() {
        return Found::Elsewhere;
    }
    match fs::try_open_no_xdev(root, path, OFlag::O_PATH) {
        Ok(target) => Found::Known(target),
        Err(Errno::ENOENT) => Found::Missing,
        Err(_) => Found::Elsewhere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_begins_at_a_whole_name() {
        let rest = |path, above| rest_below(Path::new(path), Path::new(above)).and_then(Path::to_str);
        assert_eq!(rest("/dev/pts", "/dev"), Some("pts"));
        assert_eq!(rest("/dev/a/b", "/dev"), Some("a/b"));
        assert_eq!(rest("/dev", "/dev"), Some(""));
        assert_eq!(rest("/devices", "/dev"), None);
        assert_eq!(rest("/dev", "/dev/pts"), None);
        assert_eq!(rest("/dev", "/"), Some("dev"));
        assert_eq!(rest("dev/pts", "/dev"), None);
    }
}
