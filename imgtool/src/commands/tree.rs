//! What a word of the command line means when it may be an image or a bundle: its tree.

use super::commit::{Bundle, CommitCommandError};
use super::local::{FindError, Found, find, find_base};
use crate::layer::view::Directory;
use crate::make::{ViewError, tree_of};
use crate::store::{Store, StoreError};
use mydocker_sys::fs::{OFlag, open};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Why there is no tree.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// There is no such image.
    #[error(transparent)]
    Find(#[from] FindError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The image's layers.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The bundle.
    #[error(transparent)]
    Bundle(#[from] Box<CommitCommandError>),
    /// The bundle's root file system.
    #[error("cannot open the directory {path:?}")]
    Open {
        /// Which.
        path: PathBuf,
        /// What the kernel says.
        source: mydocker_sys::Error,
    },
}

/// A bundle, if the word is the directory of one; there is no image of a name that is one too.
pub(super) fn bundle(word: &str) -> Result<Option<Bundle>, TreeError> {
    let directory = Path::new(word);
    if !directory.join("config.json").is_file() {
        return Ok(None);
    }
    Ok(Some(Bundle::read(directory).map_err(Box::new)?))
}

/// The tree of a bundle's root file system; what an overlay mount would show, also where it is not mounted.
pub(super) fn tree_of_bundle(store: &Store, bundle: &Bundle) -> Result<Directory, TreeError> {
    match (&bundle.upper, &bundle.image) {
        (Some(upper), Some(image)) => Ok(tree_of_base(store, image)?.below(directory(upper)?)),
        _ => Ok(Directory::plain(directory(&bundle.rootfs)?)),
    }
}

fn directory(path: &Path) -> Result<OwnedFd, TreeError> {
    let opened = open(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY);
    opened.map_err(|source| TreeError::Open { path: path.to_owned(), source })
}

/// The tree of the image that a bundle began as, in a store that has to be held.
pub(super) fn tree_of_base(store: &Store, id: &str) -> Result<Directory, TreeError> {
    tree_of_image(store, &find_base(store, id)?)
}

fn tree_of_image(store: &Store, found: &Found) -> Result<Directory, TreeError> {
    Ok(tree_of(store, &store.image(&found.target)?)?)
}

/// The tree of either.
pub(super) fn tree(store: &Store, word: &str) -> Result<Directory, TreeError> {
    match bundle(word)? {
        Some(bundle) => tree_of_bundle(store, &bundle),
        None => tree_of_image(store, &find(store, word)?),
    }
}
