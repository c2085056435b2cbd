//! The tree of an image of the store, without a mount.

use crate::digest::Digest;
use crate::layer::view::Directory;
use crate::layer::{LayerError, Unpacker};
use crate::plan::{PlanError, layer_jobs};
use crate::store::{Image, Store, StoreError};
use std::fs::File;
use std::os::fd::OwnedFd;

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
    unpack_missing(store, image)?;
    let uppermost_first = image.config.rootfs.diff_ids.iter().rev();
    let layers = uppermost_first.map(|diff_id| open(store, diff_id)).collect::<Result<_, _>>()?;
    Ok(Directory::overlay(layers))
}

/// Unpacks the layers of an image of a store, which has to be held, that are not unpacked yet.
///
/// # Errors
/// [`ViewError`].
pub fn unpack_missing(store: &Store, image: &Image) -> Result<(), ViewError> {
    let unpacker = Unpacker::new(store);
    for job in layer_jobs(&image.manifest, &image.config)? {
        if store.has_layer(&job.diff_id) {
            continue;
        }
        let blob = store.blob(&job.digest)?.ok_or_else(|| StoreError::Missing(job.digest.clone()))?;
        unpacker.unpack(&job, blob.file()).map_err(|error| ViewError::Layer(job.digest.clone(), error))?;
    }
    Ok(())
}

fn open(store: &Store, diff_id: &Digest) -> Result<OwnedFd, StoreError> {
    let path = store.layer_path(diff_id);
    File::open(&path).map(OwnedFd::from).map_err(crate::store::failed("open", &path))
}
