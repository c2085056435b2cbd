//! The tree of an image of the store, without a mount.

use crate::digest::Digest;
use crate::layer::view::Directory;
use crate::layer::{LayerError, Unpacker};
use crate::plan::{PlanError, layer_jobs};
use crate::store::{Image, Store, StoreError};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Why the tree of an image cannot be seen.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// Its documents do not fit each other.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A layer that was not unpacked yet.
    #[error("cannot unpack layer {0}")]
    Layer(Digest, #[source] LayerError),
}

/// The tree of an image of a store, which has to be held; layers that are not unpacked yet are.
///
/// # Errors
/// [`ViewError`].
pub fn tree_of(store: &Store, image: &Image) -> Result<Directory, ViewError> {
    let layers = unpack_missing(store, image)?;
    let layers = layers.iter().rev().map(|path| open(path)).collect::<Result<_, _>>()?;
    Ok(Directory::overlay(layers))
}

/// Unpacks the layers of an image of a store, which has to be held, that are not unpacked yet, and returns where all lie, the
/// lowest first.
///
/// # Errors
/// [`ViewError`].
pub fn unpack_missing(store: &Store, image: &Image) -> Result<Vec<PathBuf>, ViewError> {
    let jobs = layer_jobs(&image.manifest, &image.config)?;
    Unpacker::new(store).stack(&jobs).map_err(|(digest, error)| ViewError::Layer(digest, error))
}

fn open(path: &Path) -> Result<OwnedFd, StoreError> {
    File::open(path).map(OwnedFd::from).map_err(crate::store::failed("open", path))
}
