//! A tree to a layer of the store: blob and unpacked layer are made at the same time, and each byte is read once.

use crate::digest::Digest;
use crate::image::{Compression, Descriptor, MediaType};
use crate::layer::pack::{Blocks, PackError, Source, TarSink, encode, pack};
use crate::layer::{LayerError, Whiteouts, unpack};
use crate::store::{Budget, FreshBlob, LayerIngest, Store, StoreError};
use std::io;
use std::os::fd::OwnedFd;
use std::thread;

/// A layer that has just come into the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLayer {
    /// Its blob, under an OCI media type.
    pub descriptor: Descriptor,
    /// The digest of its tar.
    pub diff_id: Digest,
}

/// Why a layer does not come into the store.
#[derive(Debug, thiserror::Error)]
pub enum AddLayerError {
    /// The tree.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was made cannot be unpacked again.
    #[error("cannot unpack the new layer")]
    Unpack(#[source] LayerError),
    /// The compression.
    #[error("cannot compress the layer")]
    Compress(#[from] io::Error),
    /// A thread ended by a bug.
    #[error("a bug ended the unpacking")]
    Bug,
}

/// Packs a tree into a layer of a store, which has to be held.
///
/// # Errors
/// [`AddLayerError`]; then nothing is left of it.
pub fn add_layer(
    store: &Store,
    source: &Source,
    compression: Compression,
) -> Result<NewLayer, AddLayerError> {
    add_tar(store, compression, |sink| Ok(pack(source, sink).map(drop)?))
}

/// Brings the tar that `make` writes into a store, which has to be held.
///
/// # Errors
/// [`AddLayerError`], or that of `make`; then nothing is left of it.
pub fn add_tar<E: From<AddLayerError> + From<io::Error> + Send>(
    store: &Store,
    compression: Compression,
    make: impl FnOnce(&mut TarSink) -> Result<(), E>,
) -> Result<NewLayer, E> {
    let mut blob = FreshBlob::begin(store).map_err(AddLayerError::from)?;
    let layer = LayerIngest::begin_new(store).map_err(AddLayerError::from)?;
    let directory = layer.directory().map_err(AddLayerError::from)?;
    let (tap, blocks) = Blocks::tap();
    let mut out = |bytes: &[u8]| blob.write(bytes).map_err(|error| E::from(AddLayerError::from(error)));
    let (encoded, unpacked) = thread::scope(|scope| {
        let unpacking =
            thread::Builder::new().spawn_scoped(scope, || unpack_all(blocks, directory, store.budget()))?;
        let encoded = encode(compression, Some(tap), &mut out, make);
        Ok::<_, io::Error>((encoded, unpacking.join().unwrap_or(Err(AddLayerError::Bug))))
    })?;
    // When the one fails because the other did not go on, the other's reason is the right one.
    let (encoded, size) = match (encoded, unpacked) {
        (Ok(encoded), unpacked) => (encoded, unpacked?),
        (Err(_), Err(AddLayerError::Unpack(error))) if !is_cut(&error) => {
            return Err(AddLayerError::Unpack(error).into());
        }
        (Err(error), _) => return Err(error),
    };
    let descriptor = keep(store, blob, compression)?;
    layer.commit_as(store, &encoded.diff_id, size).map_err(AddLayerError::from)?;
    Ok(NewLayer { descriptor, diff_id: encoded.diff_id })
}

fn unpack_all(blocks: Blocks, directory: OwnedFd, budget: Budget) -> Result<u64, AddLayerError> {
    let (mut rest, size) =
        unpack(blocks, directory, Whiteouts::Overlay, budget).map_err(AddLayerError::Unpack)?;
    // What follows the archive's end belongs to the layer, and its writer must not be left alone.
    io::copy(&mut rest, &mut io::sink())?;
    Ok(size)
}

/// Whether an archive could not be read to its end, because its writer gave up.
fn is_cut(error: &LayerError) -> bool {
    matches!(error, LayerError::Tar(crate::layer::tar::TarError::Truncated))
}

fn keep(store: &Store, blob: FreshBlob, compression: Compression) -> Result<Descriptor, AddLayerError> {
    let size = blob.size();
    Ok(Descriptor::new(MediaType::of_layer(compression), blob.commit(store)?, size))
}
