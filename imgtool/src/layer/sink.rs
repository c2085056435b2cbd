//! Layers of the store, unpacked while their blobs come.

use super::pack::first_difference;
use super::view::Directory;
use super::{Inflate, LayerError, Lower, Unpack, Whiteouts};
use crate::digest::Digest;
use crate::fetch::{Aborted, BlobReader, LOOK_AGAIN, LayerJob, LayerSink};
use crate::registry::Cancel;
use crate::store::{LayerIngest, Store, StoreError, UnpackTurn};
use std::error::Error;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Unpacks layers into a store.
#[derive(Debug)]
pub struct Unpacker<'a> {
    store: &'a Store,
    /// What ends the wait for others who unpack the same layer.
    cancel: Arc<Cancel>,
}

impl<'a> Unpacker<'a> {
    /// One that unpacks into `store`, which has to be held.
    #[must_use]
    pub fn new(store: &'a Store) -> Self {
        Self { store, cancel: Arc::default() }
    }

    /// The same, which waits for nobody any more once `cancel` says so.
    #[must_use]
    pub fn until(self, cancel: &Arc<Cancel>) -> Self {
        Self { cancel: Arc::clone(cancel), ..self }
    }

    /// Waits until the layer is here, or until nobody else unpacks it: then it is ours to unpack. `is_over` ends the wait.
    fn turn(&self, job: &LayerJob, is_over: impl Fn() -> bool) -> Result<Turn, LayerError> {
        loop {
            let turn = match self.here(job) {
                Some(key) => return Ok(Turn::Here(key)),
                None => self.store.unpack_turn(&job.diff_id)?,
            };
            // Whoever had the turn before may have ended it since.
            match (turn, self.here(job)) {
                (_, Some(key)) => return Ok(Turn::Here(key)),
                (Some(turn), None) => return Ok(Turn::Mine(turn)),
                (None, None) if self.cancel.wait(LOOK_AGAIN) && !is_over() => {}
                (None, None) => return Err(LayerError::Read(io::Error::other(Aborted))),
            }
        }
    }

    fn here(&self, job: &LayerJob) -> Option<Digest> {
        self.store.unpacked(&job.diff_id, &job.stacked)
    }

    /// Unpacks one layer by itself; it is in the store only if it is the right one. A layer that needs those below is left
    /// for [`stack`](Self::stack).
    ///
    /// # Errors
    /// [`LayerError`]; then nothing is left of it.
    pub fn unpack(&self, job: &LayerJob, blob: BlobReader) -> Result<(), LayerError> {
        let Turn::Mine(_turn) = self.turn(job, || blob.is_aborted())? else { return Ok(()) };
        let lower = job.is_lowest().then(Lower::default);
        match self.unpack_over(job, blob, lower) {
            Err(LayerError::NeedsLower) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Unpacks from their blobs what is missing of the layers of an image, which are given the lowest first, and returns where
    /// they lie.
    ///
    /// # Errors
    /// [`LayerError`] with the digest of the layer's blob.
    pub fn stack(&self, jobs: &[LayerJob]) -> Result<Vec<PathBuf>, (Digest, LayerError)> {
        let mut layers: Vec<PathBuf> = Vec::new();
        for job in jobs {
            let key = self.ensure(job, &layers).map_err(|error| (job.digest.clone(), error))?;
            layers.push(self.store.layer_path(&key));
        }
        Ok(layers)
    }

    /// Unpacks a layer if that is not done yet, and returns what it is called.
    fn ensure(&self, job: &LayerJob, below: &[PathBuf]) -> Result<Digest, LayerError> {
        match self.turn(job, || false)? {
            Turn::Here(key) => Ok(key),
            Turn::Mine(_turn) => self.unpack_here(job, below),
        }
    }

    /// Unpacks a layer whose blob is in the store on others, the lowest first.
    fn unpack_here(&self, job: &LayerJob, below: &[PathBuf]) -> Result<Digest, LayerError> {
        let blob = self.store.blob(&job.digest)?.ok_or_else(|| StoreError::Missing(job.digest.clone()))?;
        self.unpack_over(job, blob.file(), Some(lower(below)?))
    }

    /// Unpacks a layer, and returns what it is called.
    fn unpack_over(
        &self,
        job: &LayerJob,
        blob: impl Read,
        lower: Option<Lower>,
    ) -> Result<Digest, LayerError> {
        let Unpacked { layer, key, size } = self.unpack_aside(job, blob, lower)?;
        layer.commit_as(self.store, &key, size)?;
        Ok(key)
    }

    fn unpack_aside(
        &self,
        job: &LayerJob,
        blob: impl Read,
        lower: Option<Lower>,
    ) -> Result<Unpacked, LayerError> {
        let layer = LayerIngest::begin(self.store, &job.diff_id)?;
        let archive =
            Inflate::new(blob, job.diff_id.algorithm(), self.store.budget()).map_err(LayerError::Read)?;
        let mut unpack = Unpack::new(layer.directory()?, Whiteouts::Overlay).within(self.store.budget());
        if let Some(lower) = lower {
            unpack = unpack.over(lower);
        }
        let rest = unpack.layer(archive)?;
        let (size, is_stacked) = (unpack.size(), unpack.has_taken_over());
        unpack.finish()?;
        let found = rest.finish().map_err(LayerError::Read)?;
        if found != job.diff_id {
            return Err(LayerError::WrongDiffId { found, expected: job.diff_id.clone() });
        }
        let key = if is_stacked { job.stacked.clone() } else { job.diff_id.clone() };
        Ok(Unpacked { layer, key, size })
    }

    /// Unpacks a layer of the store once more, on those that lie below it, and compares the two.
    ///
    /// # Errors
    /// [`LayerError`].
    pub fn compare(&self, job: &LayerJob, below: &[PathBuf]) -> Result<Compared, LayerError> {
        let Some(key) = self.here(job) else {
            return Err(StoreError::Missing(job.diff_id.clone()).into());
        };
        let unpacked = self.again(job, &key, below)?;
        let there = Directory::plain(open(&self.store.layer_path(&key))?);
        let Unpacked { layer, size, .. } = unpacked;
        Ok(match first_difference(&there, &Directory::plain(layer.directory()?))? {
            None => Compared::Same(key),
            Some(first) => Compared::Different(Box::new(Replacement { key, first, layer, size })),
        })
    }

    /// As it was unpacked: by itself if that was possible.
    fn again(&self, job: &LayerJob, key: &Digest, below: &[PathBuf]) -> Result<Unpacked, LayerError> {
        let blob = || self.store.blob(&job.digest)?.ok_or_else(|| StoreError::Missing(job.digest.clone()));
        if *key == job.diff_id {
            let lower = job.is_lowest().then(Lower::default);
            match self.unpack_aside(job, blob()?.file(), lower) {
                Err(LayerError::NeedsLower) => {}
                other => return other,
            }
        }
        self.unpack_aside(job, blob()?.file(), Some(lower(below)?))
    }
}

/// Whose the unpacking of a layer is.
enum Turn {
    /// Nobody's: it is unpacked, and called so.
    Here(Digest),
    /// Ours, as long as this lives.
    Mine(UnpackTurn),
}

/// A layer that lies unpacked beside the others.
struct Unpacked {
    layer: LayerIngest,
    key: Digest,
    size: u64,
}

/// What a comparison of a layer with its blob has shown.
#[derive(Debug)]
pub enum Compared {
    /// The layer is what it should be; it is called so.
    Same(Digest),
    /// It is not.
    Different(Box<Replacement>),
}

/// What a layer should be. When it is dropped, it is removed.
#[derive(Debug)]
pub struct Replacement {
    /// What the layer is called.
    pub key: Digest,
    /// The first name that differs.
    pub first: PathBuf,
    layer: LayerIngest,
    size: u64,
}

impl Replacement {
    /// Takes the layer's place in a store that is held alone, and tells where that lies now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn take_place(self, store: &Store) -> Result<PathBuf, StoreError> {
        self.layer.replace(store, &self.key, self.size)
    }
}

fn open(path: &Path) -> Result<OwnedFd, StoreError> {
    File::open(path).map(OwnedFd::from).map_err(crate::store::failed("open", path))
}

/// Layers that are given the lowest first.
fn lower(below: &[PathBuf]) -> Result<Lower, StoreError> {
    Ok(Lower::new(below.iter().rev().map(|path| open(path)).collect::<Result<_, _>>()?))
}

impl LayerSink for Unpacker<'_> {
    fn take(&self, job: &LayerJob, blob: BlobReader) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.unpack(job, blob).map_err(Into::into)
    }
}
