//! Parts of volumes that are mounted alone. A path that the runtime would follow could be made to lead elsewhere by whoever
//! has the volume, so that each is mounted on a place of the host's first, by the descriptor that was found.

use super::volumes::open_source;
use super::{PrepareError, failed, make_directory};
use crate::container::Container;
use crate::home::Home;
use mydocker_sys::fs::{OFlag, SFlag, fstat, open};
use mydocker_sys::mount::{
    Attributes, Clone as CloneMount, MntFlags, MsFlags, attach, open_tree_with, umount,
};
use mydocker_sys::{Errno, OwnedFd};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Apart from what is removed with the container and all that is in it: a part that is still mounted has to stay as it is.
fn directory(home: &Home, id: &str) -> PathBuf {
    home.run().join("parts").join(id)
}

/// Mounts the parts that a container has, and tells where each is, by its place in the container.
///
/// # Errors
/// [`PrepareError::NoPart`], or what the kernel says.
pub fn mount(home: &Home, container: &Container) -> Result<BTreeMap<PathBuf, PathBuf>, PrepareError> {
    let mut sources = BTreeMap::new();
    let parts = container.mounts.iter().filter(|mount| mount.subpath.is_some());
    for (number, mount) in parts.enumerate() {
        if number == 0 {
            unmount(home, container)?;
        }
        let place = directory(home, &container.id).join(number.to_string());
        let source = open_source(mount)?;
        let target = make(&place, &source)?;
        attach(copy(&source)?, target)?;
        sources.insert(mount.destination.clone(), place);
    }
    Ok(sources)
}

/// A copy of what is there and mounted below it. It is nobody's peer: on a host whose mounts are shared, what is taken off
/// with the copy would else be taken off the volume.
fn copy(source: &OwnedFd) -> Result<OwnedFd, PrepareError> {
    let propagation = MsFlags::MS_PRIVATE.bits();
    let private = Attributes { propagation, recursive: true, ..Attributes::default() };
    Ok(open_tree_with(source, Path::new(""), CloneMount::Recursive, private)?)
}

/// A place of the kind of what comes there.
fn make(place: &Path, source: &OwnedFd) -> Result<OwnedFd, PrepareError> {
    let is_directory = fstat(source)?.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits();
    if is_directory {
        make_directory(place, 0o700)?;
    } else {
        make_directory(place.parent().unwrap_or(place), 0o700)?;
        File::create(place).map_err(failed("make", place))?;
    }
    Ok(open(place, OFlag::O_PATH)?)
}

/// Takes them away; nothing there is as good.
///
/// # Errors
/// What the kernel says.
pub fn unmount(home: &Home, container: &Container) -> Result<(), PrepareError> {
    let directory = directory(home, &container.id);
    let entries = match fs::read_dir(&directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        other => other.map_err(failed("read the directory", &directory))?,
    };
    for entry in entries {
        take_off(&entry.map_err(failed("read the directory", &directory))?.path())?;
    }
    fs::remove_dir(&directory).map_err(failed("remove", &directory))
}

fn take_off(place: &Path) -> Result<(), PrepareError> {
    match umount(place, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
        Err(error) if error.errno() == Errno::EINVAL => {}
        other => other?,
    }
    remove(place).map_err(failed("remove", place))
}

/// Removes a place with nothing in it, and nothing more.
fn remove(place: &Path) -> io::Result<()> {
    match fs::remove_dir(place) {
        Err(error) if error.kind() == ErrorKind::NotADirectory => fs::remove_file(place),
        other => other,
    }
}
