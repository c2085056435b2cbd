//! Blobs that are made here: their digest is known when they are complete.

use super::{Store, StoreError, failed};
use crate::digest::{Algorithm, Digest, Hasher};
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// Tells the blobs apart that one process makes.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A blob that is being made. When it is dropped before it is complete, it is removed; what a killed process leaves, `gc`
/// removes.
#[derive(Debug)]
pub struct FreshBlob {
    path: PathBuf,
    file: File,
    hasher: Hasher,
    size: u64,
    is_kept: bool,
}

impl FreshBlob {
    /// Begins an empty one in a store, which has to be held.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn begin(store: &Store) -> Result<Self, StoreError> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = store.root().join("ingest").join(format!("new-{}-{number}", std::process::id()));
        let mut options = OpenOptions::new();
        // One that is there is that of a killed process whose id this one has got.
        options.read(true).write(true).create(true).truncate(true).mode(0o644);
        let file = options.open(&path).map_err(failed("open", &path))?;
        Ok(Self { path, file, hasher: Hasher::new(Algorithm::Sha256), size: 0, is_kept: false })
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(bytes).map_err(failed("write", &self.path))?;
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// How many bytes it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What it would be called now.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.hasher.clone().finish()
    }

    /// Another handle of what was written.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn reader(&self) -> Result<File, StoreError> {
        File::open(&self.path).map_err(failed("open", &self.path))
    }

    /// Makes it a blob of the store. If there is such a blob already, this one takes its place.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn commit(mut self, store: &Store) -> Result<Digest, StoreError> {
        let digest = self.digest();
        // No fsync: the caller syncs the file system once, before the tag that makes the blob visible is recorded.
        fs::rename(&self.path, store.blob_path(&digest)).map_err(failed("rename", &self.path))?;
        self.is_kept = true;
        Ok(digest)
    }
}

impl Drop for FreshBlob {
    fn drop(&mut self) {
        if !self.is_kept {
            // What cannot be removed now is found by gc; the reason why the blob is given up is told by others.
            fs::remove_file(&self.path).unwrap_or_default();
        }
    }
}

impl Store {
    /// Puts a small blob into the store.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn add(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let mut blob = FreshBlob::begin(self)?;
        blob.write(bytes)?;
        blob.commit(self)
    }
}
