//! A view of the host's root for an ordinary user. The kernel does not put `/` as a whole under changes in a user
//! namespace: what lies below the mounts in it would come to light. Directories without mounts in them it does, one by one,
//! and so those of a directory that has mounts somewhere in it.

use super::{PrepareError, failed, make_directory};
use mydocker_img::overlay::{Overlay, unmount as unmount_overlay};
use mydocker_sys::Errno;
use std::ffi::OsStr;
use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

/// Where a view goes, and what its changes go to.
#[derive(Debug, Clone)]
pub struct Places {
    /// The root file system.
    pub target: PathBuf,
    /// The changes.
    pub upper: PathBuf,
    /// The kernel's own room.
    pub work: PathBuf,
}

impl Places {
    fn below(&self, name: &OsStr) -> Self {
        Self { target: self.target.join(name), upper: self.upper.join(name), work: self.work.join(name) }
    }

    fn make(&self) -> Result<(), PrepareError> {
        make_directory(&self.target, 0o755)?;
        make_directory(&self.upper, 0o755)?;
        make_directory(&self.work, 0o700)
    }
}

/// Mounts what can be seen of `root`: the directories without mounts in them, wherever they are, and links beside them.
/// Other file systems with mounts in them, such as `/proc`, are there and empty, and files beside mounts are not there.
///
/// # Errors
/// [`PrepareError`].
pub fn mount(root: &Path, places: &Places) -> Result<(), PrepareError> {
    let device = fs::metadata(root).map_err(failed("look at", root))?.dev();
    for entry in fs::read_dir(root).map_err(failed("read the directory", root))? {
        let entry = entry.map_err(failed("read the directory", root))?;
        let kind = entry.file_type().map_err(failed("look at", root))?;
        let places = places.below(&entry.file_name());
        if kind.is_symlink() {
            link(&entry, &places.target)?;
        } else if kind.is_dir() {
            piece(&entry.path(), device, &places)?;
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

/// One directory as a whole, or what can be had of it.
fn piece(directory: &Path, device: u64, places: &Places) -> Result<(), PrepareError> {
    places.make()?;
    let (upper, work) = (places.upper.clone(), places.work.clone());
    let overlay =
        Overlay { lower: vec![directory.to_owned()], upper: Some((upper, work)), is_volatile: false };
    match overlay.mount(&places.target) {
        // There are mounts in it. Whole file systems of others, such as /proc and /dev, are not taken to pieces.
        Err(error) if error.errno() == Errno::EINVAL => {
            let is_same = fs::metadata(directory).is_ok_and(|stat| stat.dev() == device);
            let is_open = fs::read_dir(directory).is_ok();
            if is_same && is_open { mount(directory, places) } else { Ok(()) }
        }
        // The user may not look into it.
        Err(error) if error.errno() == Errno::EACCES => Ok(()),
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
    let pieces =
        table.lines().rev().filter_map(place).filter(|place| place != target && place.starts_with(target));
    pieces.into_iter().try_for_each(|piece| unmount_overlay(&piece).map_err(PrepareError::Root))
}
