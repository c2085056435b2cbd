//! The trees that a container's files lie in, without a mount: its changes, and what is below them.

use super::CarryError;
use crate::container::{Container, Root};
use crate::home::Home;
use crate::prepare::layer_paths;
use mydocker_img::layer::view::Directory;
use mydocker_sys::fs::{OFlag, open, openat};
use mydocker_sys::mount::{Clone as CloneMount, open_tree};
use mydocker_sys::{Errno, OwnedFd};
use std::path::Path;

/// The trees of a container.
#[derive(Debug)]
pub struct Tops {
    /// Its changes; `None` before its first start, and for a directory of the host as it is.
    pub upper: Option<Directory>,
    /// What is below them.
    pub lower: Directory,
    /// Both together.
    pub all: Directory,
}

/// Opens them.
///
/// # Errors
/// [`CarryError`].
pub fn tops(home: &Home, container: &Container) -> Result<Tops, CarryError> {
    let place = home.container(&container.id);
    let lower = || match &container.root {
        // The lowest comes first there, and last in a view.
        Root::Layers(layers) => {
            layer_paths(home, layers, &place)?.iter().rev().map(|path| directory(path)).collect()
        }
        Root::View(path) | Root::Directory(path) => Ok(vec![without_mounts(path)?]),
    };
    let upper = || match &container.root {
        Root::Directory(_) => Ok(None),
        _ => match directory(&place.join("upper")) {
            Err(CarryError::System(error)) if error.errno() == Errno::ENOENT => Ok(None),
            other => other.map(Some),
        },
    };
    let mut all: Vec<OwnedFd> = upper()?.into_iter().collect();
    all.extend(lower()?);
    Ok(Tops {
        upper: upper()?.map(Directory::plain),
        lower: Directory::overlay(lower()?),
        all: Directory::overlay(all),
    })
}

fn directory(path: &Path) -> Result<OwnedFd, CarryError> {
    Ok(open(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY)?)
}

/// A directory of the host as an overlay mount shows it: what is mounted below it, such as /proc, is not there.
fn without_mounts(path: &Path) -> Result<OwnedFd, CarryError> {
    let tree = open_tree(directory(path)?, CloneMount::One)?;
    Ok(openat(tree, Path::new("."), OFlag::O_RDONLY | OFlag::O_DIRECTORY, 0)?)
}
