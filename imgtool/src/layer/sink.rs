//! Layers of the store, unpacked while their blobs come.

use super::{Budget, Inflate, LayerError, Whiteouts, unpack};
use crate::fetch::{BlobReader, LayerJob, LayerSink};
use crate::store::{LayerIngest, Store};
use std::error::Error;
use std::io::Read;

/// Unpacks layers into a store.
#[derive(Debug)]
pub struct Unpacker<'a> {
    store: &'a Store,
}

impl<'a> Unpacker<'a> {
    /// One that unpacks into `store`, which has to be held.
    #[must_use]
    pub fn new(store: &'a Store) -> Self {
        Self { store }
    }

    /// Unpacks one layer; it is in the store only if it is the right one.
    ///
    /// # Errors
    /// [`LayerError`]; then nothing is left of it.
    pub fn unpack(&self, job: &LayerJob, blob: impl Read) -> Result<(), LayerError> {
        if self.store.has_layer(&job.diff_id) {
            return Ok(());
        }
        let layer = LayerIngest::begin(self.store, &job.diff_id)?;
        let archive =
            Inflate::new(blob, job.diff_id.algorithm(), Budget::default()).map_err(LayerError::Read)?;
        let (rest, size) = unpack(archive, layer.directory()?, Whiteouts::Overlay)?;
        let found = rest.finish().map_err(LayerError::Read)?;
        if found != job.diff_id {
            return Err(LayerError::WrongDiffId { found, expected: job.diff_id.clone() });
        }
        Ok(layer.commit(size)?)
    }
}

impl LayerSink for Unpacker<'_> {
    fn take(&self, job: &LayerJob, blob: BlobReader) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.unpack(job, blob).map_err(Into::into)
    }
}
