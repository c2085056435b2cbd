//! How an unpacked layer comes into the store: made aside, by one process at a time, and renamed when it is complete.

use super::ingest::is_at;
use super::{Store, StoreError, failed};
use crate::digest::Digest;
use mydocker_sys::Errno;
use mydocker_sys::fs::lock_exclusive;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// Tells the layers apart that one process makes.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// The right to unpack one layer. Two hundred pulls of one image would fill the disk if each unpacked it for itself until the
/// first was done.
///
/// It ends with the value, or with its process; whoever has it next takes the file over.
#[derive(Debug)]
pub struct UnpackTurn {
    path: PathBuf,
    _lock: File,
}

impl Store {
    /// Takes the right to unpack a layer; `None` while somebody else has it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn unpack_turn(&self, diff_id: &Digest) -> Result<Option<UnpackTurn>, StoreError> {
        let name = format!("{}-{}.turn", diff_id.algorithm().name(), diff_id.hex());
        let path = self.root().join("ingest").join(name);
        loop {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).mode(0o600);
            let file = options.open(&path).map_err(failed("open", &path))?;
            match lock_exclusive(&file, false) {
                Ok(()) => {}
                Err(error) if error.errno() == Errno::EWOULDBLOCK => return Ok(None),
                Err(source) => return Err(StoreError::Lock { path, source }),
            }
            // Between open and lock the one before may have ended its turn, and then others see another file.
            if is_at(&file, &path).map_err(failed("look at", &path))? {
                return Ok(Some(UnpackTurn { path, _lock: file }));
            }
        }
    }
}

impl Drop for UnpackTurn {
    fn drop(&mut self) {
        // What cannot be removed now is taken over by the next turn, or found by gc.
        fs::remove_file(&self.path).unwrap_or_default();
    }
}

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
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("{}-{number}-{}", std::process::id(), diff_id.short());
            let path = store.unfinished_layers().join(name);
            match DirBuilder::new().mode(0o700).create(&path) {
                // That of a killed process which had this id, or of one that has it in another PID namespace.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => {
                    made.map_err(failed("make the directory", &path))?;
                    return Ok(Self { path, is_kept: false });
                }
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let place = tempfile::tempdir().expect("a directory");
        let store = Store::open(&place.path().join("store")).expect("a store");
        (place, store)
    }

    #[test]
    fn one_has_the_turn_and_whoever_is_next_takes_it_over() {
        let (_place, store) = store();
        let (one, other) = (Digest::sha256(b"one"), Digest::sha256(b"other"));
        let turn = store.unpack_turn(&one).expect("a file").expect("nobody has it");
        assert!(store.unpack_turn(&one).expect("a file").is_none());
        assert!(store.unpack_turn(&other).expect("a file").is_some());
        let path = turn.path.clone();
        drop(turn);
        assert!(!path.exists());
        // What a killed process leaves.
        fs::write(&path, "").expect("room");
        assert!(store.unpack_turn(&one).expect("a file").is_some());
    }

    #[test]
    fn what_a_killed_process_of_the_same_id_left_is_in_nobody_s_way() {
        let (_place, store) = store();
        let digest = Digest::sha256(b"layer");
        for number in 0..1000 {
            let name = format!("{}-{number}-{}", std::process::id(), digest.short());
            fs::create_dir(store.unfinished_layers().join(name)).expect("room");
        }
        let layer = LayerIngest::begin(&store, &digest).expect("a directory");
        layer.commit_as(&store, &digest, 0).expect("renamed");
        assert!(store.has_layer(&digest));
    }
}
