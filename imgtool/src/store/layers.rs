//! How an unpacked layer comes into the store: made aside, and renamed when it is complete.

use super::{Store, StoreError, failed};
use crate::digest::Digest;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// Tells the layers apart that one process makes.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A layer on its way into the store. When it is dropped before it is complete, it is removed; what a killed process
/// leaves, `gc` removes.
#[derive(Debug)]
pub struct LayerIngest {
    path: PathBuf,
    is_kept: bool,
}

impl LayerIngest {
    /// Makes an empty directory for it.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn begin(store: &Store, diff_id: &Digest) -> Result<Self, StoreError> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}-{}", std::process::id(), diff_id.short());
        let path = store.unfinished_layers().join(name);
        DirBuilder::new().mode(0o700).create(&path).map_err(failed("make the directory", &path))?;
        Ok(Self { path, is_kept: false })
    }

    /// Makes an empty directory for one of which the digest is not known yet.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn begin_new(store: &Store) -> Result<Self, StoreError> {
        Self::begin(store, &Digest::sha256(b""))
    }

    /// The directory that it is unpacked to.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn directory(&self) -> Result<OwnedFd, StoreError> {
        File::open(&self.path).map(OwnedFd::from).map_err(failed("open", &self.path))
    }

    /// Puts it in the place of the layer `key` of a store that is held alone, and tells where that lies now; `gc` removes it.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn replace(self, store: &Store, key: &Digest, size: u64) -> Result<PathBuf, StoreError> {
        let name = format!("layer-{}", key.hex());
        let before = store.damaged().join(&name);
        if before.exists() {
            fs::remove_dir_all(&before).map_err(failed("remove", &before))?;
        }
        let aside = store.move_aside(&store.layer_path(key), &name)?;
        self.commit_as(store, key, size)?;
        Ok(aside)
    }

    /// Makes it the layer `key` of the store, whose files have `size` bytes. If another process was quicker, its layer stays,
    /// which is the same.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn commit_as(mut self, store: &Store, key: &Digest, size: u64) -> Result<(), StoreError> {
        let size_file = store.layer_size_path(key);
        fs::write(&size_file, size.to_string()).map_err(failed("write", &size_file))?;
        match fs::rename(&self.path, store.layer_path(key)) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists
                ) => {}
            other => {
                other.map_err(failed("rename", &self.path))?;
                self.is_kept = true;
            }
        }
        Ok(())
    }
}

impl Drop for LayerIngest {
    fn drop(&mut self) {
        if !self.is_kept {
            // What cannot be removed now is found by gc; the reason why the layer is given up is told by others.
            fs::remove_dir_all(&self.path).unwrap_or_default();
        }
    }
}
