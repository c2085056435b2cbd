//! How a blob comes into the store: in pieces, from any source, and visible only when it is what its digest says.

use super::{Store, StoreError, failed};
use crate::digest::{Digest, Hasher};
use mydocker_sys::Errno;
use mydocker_sys::fs::lock_exclusive;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// A blob of which digest and length are known to be right. It comes from [`Ingest::commit`], or from the store, into
/// which nothing else comes.
#[derive(Debug)]
pub struct VerifiedBlob {
    digest: Digest,
    size: u64,
    file: File,
}

impl VerifiedBlob {
    pub(super) fn open(path: &Path, digest: &Digest) -> Result<Option<Self>, StoreError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("open", path)(error)),
        };
        let size = file.metadata().map_err(failed("look at", path))?.len();
        Ok(Some(Self { digest: digest.clone(), size, file }))
    }

    /// What proves it.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Its length in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Its bytes, from the beginning.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }
}

/// What a wish to bring in a blob leads to.
#[derive(Debug)]
pub enum Ingestion {
    /// It is here already, perhaps since a moment ago and through somebody else.
    Present(VerifiedBlob),
    /// Nobody else brings it in now.
    Mine(Box<Ingest>),
    /// Another process brings it in at this moment.
    Busy,
}

/// A blob on its way into the store. It is locked against other processes; what was written stays for the next attempt
/// when it is dropped, or when the process is killed.
#[derive(Debug)]
pub struct Ingest {
    digest: Digest,
    size: Option<u64>,
    path: PathBuf,
    target: PathBuf,
    file: File,
    hasher: Hasher,
    written: u64,
}

/// Why a blob does not come in.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There are more bytes than there should be.
    #[error("{digest} has more than the {expected} bytes that it should have")]
    TooLong {
        /// Which blob.
        digest: Digest,
        /// What it should have, in bytes.
        expected: u64,
    },
    /// There are fewer bytes than there should be.
    #[error("{digest} has {found} bytes; it should have {expected}")]
    TooShort {
        /// Which blob.
        digest: Digest,
        /// What it has, in bytes.
        found: u64,
        /// What it should have, in bytes.
        expected: u64,
    },
    /// The bytes are others than they should be.
    #[error("what was sent as {expected} is {found}")]
    WrongDigest {
        /// What it should be.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
}

impl Store {
    /// Begins to bring in a blob, or goes on where a killed process left off. Without a `size` any length is right.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn ingest(&self, digest: &Digest, size: Option<u64>) -> Result<Ingestion, StoreError> {
        let path = self.root().join("ingest").join(format!("{}-{}", digest.algorithm().name(), digest.hex()));
        loop {
            if let Some(blob) = self.blob(digest)? {
                return Ok(Ingestion::Present(blob));
            }
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).mode(0o644);
            let file = options.open(&path).map_err(failed("open", &path))?;
            match lock_exclusive(&file, false) {
                Ok(()) => {}
                Err(error) if error.errno() == Errno::EWOULDBLOCK => return Ok(Ingestion::Busy),
                Err(source) => return Err(StoreError::Lock { path, source }),
            }
            // Between open and lock the one before may have finished, and then this is the blob under its old name.
            if !is_at(&file, &path).map_err(failed("look at", &path))? {
                continue;
            }
            // Or it has finished even before the open, which then has made a new file.
            if let Some(blob) = self.blob(digest)? {
                fs::remove_file(&path).map_err(failed("remove", &path))?;
                return Ok(Ingestion::Present(blob));
            }
            let target = self.blob_path(digest);
            return Ingest::resume(digest, size, path, target, file)
                .map(|ingest| Ingestion::Mine(Box::new(ingest)));
        }
    }
}

/// Whether `path` still names the file that is open.
pub(super) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let open = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(named) => Ok((open.dev(), open.ino()) == (named.dev(), named.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

impl Ingest {
    fn resume(
        digest: &Digest,
        size: Option<u64>,
        path: PathBuf,
        target: PathBuf,
        file: File,
    ) -> Result<Self, StoreError> {
        let hasher = Hasher::new(digest.algorithm());
        let mut ingest = Self { digest: digest.clone(), size, path, target, file, hasher, written: 0 };
        ingest.rehash()?;
        if size.is_some_and(|size| ingest.written > size) {
            ingest.restart()?;
        }
        Ok(ingest)
    }

    /// Takes what is in the file into the hash: after a power failure it need not be what was written.
    fn rehash(&mut self) -> Result<(), StoreError> {
        let mut buffer = vec![0; 256 << 10];
        loop {
            match self.file.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => {
                    self.hasher.update(&buffer[..count]);
                    self.written += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed("read", &self.path)(error)),
            }
        }
    }

    /// What it will be.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// How many bytes are there: where the source has to go on.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Another handle of the file, for one who reads along. It reads at offsets of its own.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn reader(&self) -> Result<File, StoreError> {
        File::open(&self.path).map_err(failed("open", &self.path))
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// [`IngestError::TooLong`], after which nothing of these bytes is there, or [`StoreError::Io`].
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), IngestError> {
        let length = self.written + bytes.len() as u64;
        if let Some(expected) = self.size.filter(|size| length > *size) {
            return Err(IngestError::TooLong { digest: self.digest.clone(), expected });
        }
        self.file.write_all(bytes).map_err(failed("write", &self.path))?;
        self.hasher.update(bytes);
        self.written = length;
        Ok(())
    }

    /// Forgets what was written.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn restart(&mut self) -> Result<(), StoreError> {
        self.file.set_len(0).and_then(|()| self.file.rewind()).map_err(failed("empty", &self.path))?;
        self.hasher = Hasher::new(self.digest.algorithm());
        self.written = 0;
        Ok(())
    }

    /// Makes it a blob of the store if length and digest are right; else nothing is left of it.
    ///
    /// # Errors
    /// [`IngestError`].
    pub fn commit(self) -> Result<VerifiedBlob, IngestError> {
        if let Err(error) = self.verify() {
            // If it cannot be removed now, the next attempt finds the same and tries again.
            fs::remove_file(&self.path).unwrap_or_default();
            return Err(error);
        }
        // No fsync: the caller syncs the file system once, before the tag that makes the blob visible is recorded.
        fs::rename(&self.path, &self.target).map_err(failed("rename", &self.path))?;
        let blob = VerifiedBlob::open(&self.target, &self.digest)?;
        blob.ok_or_else(|| StoreError::Missing(self.digest.clone()).into())
    }

    fn verify(&self) -> Result<(), IngestError> {
        if let Some(expected) = self.size.filter(|size| *size != self.written) {
            let (digest, found) = (self.digest.clone(), self.written);
            return Err(IngestError::TooShort { digest, found, expected });
        }
        let found = self.hasher.clone().finish();
        if found != self.digest {
            return Err(IngestError::WrongDigest { expected: self.digest.clone(), found });
        }
        Ok(())
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

    fn mine(store: &Store, digest: &Digest, size: u64) -> Box<Ingest> {
        match store.ingest(digest, Some(size)).expect("an ingestion") {
            Ingestion::Mine(ingest) => ingest,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_blob_is_there_once_it_is_committed() {
        let (_place, store) = store();
        let digest = Digest::sha256(b"hello");
        let mut ingest = mine(&store, &digest, 5);
        ingest.write(b"hello").expect("room");
        assert!(!store.has_blob(&digest));
        assert_eq!(ingest.commit().expect("the right bytes").size(), 5);
        assert_eq!(store.read_blob(&digest, 5).expect("a blob"), b"hello");
        assert!(matches!(store.ingest(&digest, Some(5)), Ok(Ingestion::Present(_))));
    }

    #[test]
    fn what_was_written_before_is_gone_on_with() {
        let (_place, store) = store();
        let digest = Digest::sha256(b"hello");
        mine(&store, &digest, 5).write(b"he").expect("room");
        let mut ingest = mine(&store, &digest, 5);
        assert_eq!(ingest.written(), 2);
        ingest.write(b"llo").expect("room");
        ingest.commit().expect("the right bytes");
    }

    #[test]
    fn one_process_alone_brings_in_a_blob() {
        let (_place, store) = store();
        let digest = Digest::sha256(b"hello");
        let ingest = mine(&store, &digest, 5);
        assert!(matches!(store.ingest(&digest, Some(5)), Ok(Ingestion::Busy)));
        drop(ingest);
        mine(&store, &digest, 5);
    }

    #[test]
    fn wrong_bytes_leave_nothing() {
        let (_place, store) = store();
        let digest = Digest::sha256(b"hello");
        let mut ingest = mine(&store, &digest, 5);
        ingest.write(b"hallo").expect("room");
        assert!(matches!(ingest.commit(), Err(IngestError::WrongDigest { .. })));
        let mut ingest = mine(&store, &digest, 5);
        assert_eq!(ingest.written(), 0);
        assert!(matches!(ingest.write(b"hello!"), Err(IngestError::TooLong { expected: 5, .. })));
        ingest.write(b"hell").expect("room");
        assert!(matches!(ingest.commit(), Err(IngestError::TooShort { found: 4, .. })));
        assert!(!store.has_blob(&digest));
    }

    #[test]
    fn a_damaged_blob_is_found_when_it_is_read() {
        let (_place, store) = store();
        let digest = Digest::sha256(b"hello");
        fs::write(store.blob_path(&digest), b"hallo").expect("written");
        assert!(matches!(store.read_blob(&digest, 5), Err(StoreError::Damaged { .. })));
        assert!(matches!(store.read_blob(&digest, 4), Err(StoreError::TooLong { .. })));
    }
}
