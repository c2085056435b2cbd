//! The sources of mounts.

use super::root::rootfs;
use super::{PrepareError, failed, make_directory};
use crate::container::{Container, Mount, MountKind};
use crate::home::Home;
use mydocker_sys::fs::{OFlag, names_in, open, open_in_root_if_present};
use mydocker_sys::{AsFd as _, OwnedFd};
use std::fs;
use std::path::Path;

/// Makes what is missing of them, and fills what is new.
///
/// # Errors
/// [`PrepareError`].
pub fn prepare(home: &Home, container: &Container) -> Result<(), PrepareError> {
    let root = rootfs(home, container);
    for mount in &container.mounts {
        match mount.kind {
            MountKind::Bind => source(mount)?,
            MountKind::Volume if mount.copy_up => fill(&root, mount)?,
            MountKind::Volume | MountKind::Tmpfs => {}
        }
    }
    Ok(())
}

/// With `-v` a source that is not there becomes a directory; `--mount` refuses it.
fn source(mount: &Mount) -> Result<(), PrepareError> {
    match fs::metadata(&mount.source) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && mount.create_source => {
            make_directory(&mount.source, 0o755)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(PrepareError::NoSource(mount.source.display().to_string()))
        }
        other => other.map(drop).map_err(failed("look at", &mount.source)),
    }
}

/// An empty volume begins with what the image has at its place, down to the owner of the directory. What the image has
/// there is found below its root, whatever links lead out of it.
fn fill(root: &Path, mount: &Mount) -> Result<(), PrepareError> {
    let volume = directory(&mount.source)?;
    if !names_in(&volume)?.is_empty() {
        return Ok(());
    }
    let root = open(root, OFlag::O_PATH | OFlag::O_DIRECTORY)?;
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
    let inside = match open_in_root_if_present(&root, &mount.destination, flags) {
        // What is a file there is no content of a volume; the runtime will say what it thinks of the mount.
        Err(error) if error.errno() == mydocker_sys::Errno::ENOTDIR => None,
        other => other?,
    };
    let Some(inside) = inside else { return Ok(()) };
    let failed = |error| PrepareError::Fill(mount.destination.clone(), error);
    mydocker_trees::copy(inside.as_fd(), volume.as_fd()).map_err(failed)?;
    mydocker_trees::copy_directory_attributes(&inside, &volume).map_err(failed)?;
    Ok(mydocker_sys::process::chdir(Path::new("/"))?)
}

/// The source of a bind or a volume. What is named as a part of a volume is found below it, whatever links containers have
/// put there; who has the descriptor has that, whatever is put there later.
///
/// # Errors
/// [`PrepareError::NoPart`], or what the kernel says.
pub fn open_source(mount: &Mount) -> Result<OwnedFd, PrepareError> {
    let source = open(&mount.source, OFlag::O_PATH)?;
    let Some(part) = &mount.subpath else { return Ok(source) };
    let found = open_in_root_if_present(&source, part, OFlag::O_PATH)?;
    found.ok_or_else(|| PrepareError::NoPart(mount.name.clone().unwrap_or_default(), part.clone()))
}

fn directory(path: &Path) -> Result<OwnedFd, PrepareError> {
    Ok(open(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY)?)
}
