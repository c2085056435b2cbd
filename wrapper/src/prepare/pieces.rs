//! A view of the host's root for an ordinary user. The kernel does not put `/` as a whole under changes in a user
//! namespace: what lies below the mounts in it would come to light. Directories without mounts in them it does, one by one.

use super::{PrepareError, failed, make_directory};
use mydocker_img::overlay::{Overlay, unmount as unmount_overlay};
use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Where a view goes, and what its changes go to.
#[derive(Debug)]
pub struct Places {
    /// The root file system.
    pub target: PathBuf,
    /// The changes.
    pub upper: PathBuf,
    /// The kernel's own room.
    pub work: PathBuf,
}

/// Mounts what can be seen of `root`; directories with mounts in them, such as `/proc`, are there and empty.
///
/// # Errors
/// [`PrepareError`].
pub fn mount(root: &Path, places: &Places) -> Result<(), PrepareError> {
    for entry in fs::read_dir(root).map_err(failed("read the directory", root))? {
        let entry = entry.map_err(failed("read the directory", root))?;
        let kind = entry.file_type().map_err(failed("look at", root))?;
        let target = places.target.join(entry.file_name());
        if kind.is_symlink() {
            link(&entry, &target)?;
        } else if kind.is_dir() {
            make_directory(&target, 0o755)?;
            piece(&entry, &target, places)?;
        }
    }
    Ok(())
}

fn link(entry: &DirEntry, target: &Path) -> Result<(), PrepareError> {
    let text = fs::read_link(entry.path()).map_err(failed("read", target))?;
    match symlink(text, target) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map_err(failed("make the link", target)),
    }
}

fn piece(entry: &DirEntry, target: &Path, places: &Places) -> Result<(), PrepareError> {
    let (upper, work) = (places.upper.join(entry.file_name()), places.work.join(entry.file_name()));
    make_directory(&upper, 0o755)?;
    make_directory(&work, 0o700)?;
    let overlay = Overlay { lower: vec![entry.path()], upper: Some((upper, work)), is_volatile: false };
    match overlay.mount(target) {
        // There are mounts in it, or the user may not look into it.
        Err(error) if matches!(error.errno(), mydocker_sys::Errno::EINVAL | mydocker_sys::Errno::EACCES) => {
            Ok(())
        }
        other => other.map_err(PrepareError::Root),
    }
}

/// Takes away what is mounted on the directories of a root file system.
///
/// # Errors
/// What the kernel says.
pub fn unmount(target: &Path) -> Result<(), PrepareError> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let place = |line: &str| line.split(' ').nth(4).map(PathBuf::from);
    let pieces = table.lines().rev().filter_map(place).filter(|place| place.parent() == Some(target));
    pieces.into_iter().try_for_each(|piece| unmount_overlay(&piece).map_err(PrepareError::Root))
}
