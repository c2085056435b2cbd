//! Blobs that are made here: their digest is known when they are complete.

use super::{Store, StoreError, VerifiedBlob, failed, is_zero};
use crate::digest::{Algorithm, Digest, Hasher};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// From how many zeros on they become a hole, in bytes.
const HOLE: usize = 64 << 10;

/// Tells the blobs apart that one process makes.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A blob that is being made. When it is dropped before it is complete, it is removed; what a killed process leaves, `gc`
/// removes.
#[derive(Debug)]
pub struct FreshBlob {
    part: Part,
    file: File,
    hasher: Hasher,
    size: u64,
}

/// A blob that is complete and of which it is not yet known whether it is needed.
#[derive(Debug)]
pub struct SealedBlob {
    part: Part,
    digest: Digest,
    size: u64,
}

/// Its file, until it is a blob of the store.
#[derive(Debug)]
struct Part {
    path: PathBuf,
    is_kept: bool,
}

impl FreshBlob {
    /// Begins an empty one in a store, which has to be held.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn begin(store: &Store) -> Result<Self, StoreError> {
        Self::begin_with(store, Algorithm::Sha256)
    }

    /// The same with a digest of another kind.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn begin_with(store: &Store, algorithm: Algorithm) -> Result<Self, StoreError> {
        let (path, file) = begin_file(&store.root().join("ingest"))?;
        Ok(Self { part: Part { path, is_kept: false }, file, hasher: Hasher::new(algorithm), size: 0 })
    }

    /// Appends bytes. Zeros become a hole: archives of images have them as they are, and may be mostly zeros.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let size = self.size + bytes.len() as u64;
        if bytes.len() >= HOLE && is_zero(bytes) {
            self.file.set_len(size).map_err(failed("lengthen", &self.part.path))?;
            self.file.seek(SeekFrom::Start(size)).map_err(failed("seek in", &self.part.path))?;
        } else {
            self.file.write_all(bytes).map_err(failed("write", &self.part.path))?;
        }
        self.hasher.update(bytes);
        self.size = size;
        Ok(())
    }

    /// How many bytes it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Ends it, and closes its file.
    #[must_use]
    pub fn seal(self) -> SealedBlob {
        SealedBlob { part: self.part, digest: self.hasher.finish(), size: self.size }
    }

    /// Makes it a blob of the store. If there is such a blob already, this one takes its place.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn commit(self, store: &Store) -> Result<Digest, StoreError> {
        let sealed = self.seal();
        let digest = sealed.digest.clone();
        sealed.commit(store).map(|()| digest)
    }
}

/// A new file, which nobody else has.
fn begin_file(directory: &Path) -> Result<(PathBuf, File), StoreError> {
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("new-{}-{number}", std::process::id()));
        match OpenOptions::new().read(true).write(true).create_new(true).mode(0o644).open(&path) {
            // That of a killed process which had this id, or of one that has it in another PID namespace.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            opened => return opened.map(|file| (path.clone(), file)).map_err(failed("open", &path)),
        }
    }
}

impl SealedBlob {
    /// What it is called.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// How many bytes it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The blob, of which digest and length are known, before it is one of the store.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn verified(&self) -> Result<VerifiedBlob, StoreError> {
        let blob = VerifiedBlob::open(&self.part.path, &self.digest)?;
        blob.ok_or_else(|| StoreError::Missing(self.digest.clone()))
    }

    /// Opens it to be read.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn open(&self) -> Result<File, StoreError> {
        File::open(&self.part.path).map_err(failed("open", &self.part.path))
    }

    /// Makes it a blob of the store. If there is such a blob already, this one takes its place.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn commit(mut self, store: &Store) -> Result<(), StoreError> {
        // No fsync: the caller syncs the file system once, before the tag that makes the blob visible is recorded.
        let target = store.blob_path(&self.digest);
        fs::rename(&self.part.path, target).map_err(failed("rename", &self.part.path))?;
        self.part.is_kept = true;
        Ok(())
    }
}

impl Drop for Part {
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

    /// Puts a small blob that has this digest into the store, unless it is there.
    ///
    /// # Errors
    /// [`StoreError::WrongDigest`] if it has another, or [`StoreError::Io`].
    pub fn keep(&self, digest: &Digest, bytes: &[u8]) -> Result<(), StoreError> {
        if self.has_blob(digest) {
            return Ok(());
        }
        let mut blob = FreshBlob::begin_with(self, digest.algorithm())?;
        blob.write(bytes)?;
        let sealed = blob.seal();
        if sealed.digest != *digest {
            return Err(StoreError::WrongDigest { expected: digest.clone(), found: sealed.digest.clone() });
        }
        sealed.commit(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_what_its_digest_says() {
        let place = tempfile::tempdir().expect("a directory");
        let store = Store::open(&place.path().join("store")).expect("a store");
        let (right, wrong) = (Digest::sha256(b"right"), Digest::sha256(b"wrong"));
        store.keep(&right, b"right").expect("room");
        assert_eq!(store.read_blob(&right, 5).expect("a blob"), b"right");
        let said = store.keep(&wrong, b"other").expect_err("another digest").to_string();
        assert!(said.contains(wrong.as_str()) && said.contains(Digest::sha256(b"other").as_str()), "{said}");
        assert!(!store.has_blob(&wrong));
        assert_eq!(fs::read_dir(store.root().join("ingest")).expect("a directory").count(), 0);
    }

    #[test]
    fn what_a_killed_process_of_the_same_id_left_is_in_nobody_s_way() {
        let place = tempfile::tempdir().expect("a directory");
        let store = Store::open(&place.path().join("store")).expect("a store");
        let ingest = store.root().join("ingest");
        for number in 0..1000 {
            fs::write(ingest.join(format!("new-{}-{number}", std::process::id())), "half").expect("room");
        }
        let digest = store.add(b"whole").expect("room");
        assert_eq!(store.read_blob(&digest, 5).expect("a blob"), b"whole");
        assert_eq!(fs::read_dir(&ingest).expect("a directory").count(), 1000);
    }
}
