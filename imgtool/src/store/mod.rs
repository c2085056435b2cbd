//! The images of this host.
//!
//! ```text
//! ROOT/oci/oci-layout, index.json, blobs/   an OCI image layout, which other tools read as it is
//! ROOT/layers/ALGORITHM/HEX                 unpacked layers, by the digest of the uncompressed layer (diffID); one that has
//!                                           taken something over from those below by that of all of them
//! ROOT/ingest/ALGORITHM-HEX                 blobs that are on their way; what a killed pull leaves, the next one goes on with
//! ROOT/ingest/ALGORITHM-HEX.turn            held by who unpacks a layer
//! ROOT/layers/ALGORITHM/HEX.size              how many bytes the files of a layer have, in decimal digits
//! ROOT/unpacking/                           layers that are being unpacked
//! ROOT/leases/NAME                          images that a container or a bundle needs, whether they have a name or not
//! ROOT/compressed/ALGORITHM-HEX.KIND         what layers become when they are compressed for a registry
//! ROOT/index.copy                           what index.json is made anew from when it is lost
//! ROOT/damaged/                             what fsck has taken out of the way
//! ROOT/mounts/, empty/                      views of images, and a layer with nothing in it
//! ROOT/lock                                 shared by who adds, exclusive for who removes
//! ```
//!
//! Whatever is in `blobs` has been verified, since it comes there by [`Ingest::commit`] and [`FreshBlob::commit`] alone. An image exists when its tag
//! is recorded, which comes last; all that a crash can leave is files that nothing points to.

mod budget;
mod check;
mod collect;
mod compressed;
mod fresh;
mod images;
mod index;
mod ingest;
mod layers;
mod leases;
mod rebuild;

pub(crate) use budget::is_zero;
pub use budget::{BYTES_VARIABLE, Budget, ENTRIES_VARIABLE};
pub use check::{Check, Finding, Mending};
pub use collect::{Collected, StoreUsage, Usage};
pub use fresh::{FreshBlob, SealedBlob};
pub use images::{Image, ImageLayer};
pub use ingest::{Ingest, IngestError, Ingestion, VerifiedBlob};
pub use layers::{LayerIngest, UnpackTurn};
pub use leases::{Holder, Lease};

use crate::digest::{Algorithm, Digest};
use crate::image::DocumentError;
use mydocker_sys::Errno;
use mydocker_sys::lock::{lock_exclusive, lock_shared, try_lock_shared};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The store of one user, or of the host.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    budget: Budget,
    /// What is done before a wait for another command that holds the store.
    waits: fn(),
}

/// What goes wrong with the store itself.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or directory of it.
    #[error("cannot {action} {path:?} in the image store")]
    Io {
        /// What was to be done, such as `open`.
        action: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// It is somebody else's.
    #[error("the image store {0:?} is not for this user; 'mydocker-img --root DIR' has it in another place")]
    NotAllowed(PathBuf, #[source] io::Error),
    /// A lock of it, or the flush before a tag is recorded.
    #[error("cannot lock or flush {path:?} in the image store")]
    Lock {
        /// The file or directory.
        path: PathBuf,
        /// What the kernel says.
        source: mydocker_sys::Error,
    },
    /// There were names, and now there is no list of them.
    #[error("{0:?}, the list of names, is lost; 'mydocker-img fsck --repair' makes a new one")]
    IndexLost(PathBuf),
    /// A lease that cannot be.
    #[error("lease {name:?} is refused: {problem}")]
    Lease {
        /// What it was to be called.
        name: String,
        /// Why.
        problem: &'static str,
    },
    /// A blob that should be there is not.
    #[error("blob {0} is not in the image store; pull the image again")]
    Missing(Digest),
    /// A blob is longer than what is pointed to it by may be.
    #[error("blob {digest} has more than {limit} bytes")]
    TooLong {
        /// Which.
        digest: Digest,
        /// What it may have, in bytes.
        limit: u64,
    },
    /// A document is what its name says, but none that can be used.
    #[error("{digest} in the image store is not accepted as what it should be")]
    Document {
        /// Which.
        digest: Digest,
        /// Why.
        source: DocumentError,
    },
    /// A configuration is none.
    #[error("{digest} in the image store is no configuration of an image")]
    Config {
        /// Which.
        digest: Digest,
        /// Where and why.
        source: serde_json::Error,
    },
    /// What is to be put into the store is not what its name says.
    #[error("what was to be kept as {expected} is {found}")]
    WrongDigest {
        /// What it should be.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// A blob is not what its name says.
    #[error(
        "blob {digest} in the image store is damaged; 'mydocker-img fsck --repair' takes it away, so that the image can be pulled again"
    )]
    Damaged {
        /// Which.
        digest: Digest,
    },
}

/// A promise that nothing is removed from the store while it lives.
#[derive(Debug)]
pub struct Hold {
    _lock: File,
}

impl Store {
    /// Opens the store below `root`, and makes what is missing of it.
    ///
    /// # Errors
    /// [`StoreError::Io`] if a directory can be neither found nor made, [`StoreError::NotAllowed`] if that is not this user's.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let store = Self { root: root.to_owned(), budget: Budget::default(), waits: || () };
        match store.make() {
            Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::PermissionDenied => {
                Err(StoreError::NotAllowed(store.root, source))
            }
            made => made.map(|()| store),
        }
    }

    fn make(&self) -> Result<(), StoreError> {
        let root = &self.root;
        // The contents of images may be secret, and setuid programs of an image are nobody's on the host (CVE-2021-21284).
        make_directories(root, 0o700)?;
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            make_directories(&self.layout().join("blobs").join(algorithm.name()), 0o755)?;
            make_directories(&root.join("layers").join(algorithm.name()), 0o755)?;
        }
        make_directories(&root.join("ingest"), 0o755)?;
        make_directories(&self.unfinished_layers(), 0o755)?;
        make_directories(&self.lease_directory(), 0o755)?;
        Ok(())
    }

    /// The same store with other bounds for what comes into it.
    #[must_use]
    pub fn with_budget(self, budget: Budget) -> Self {
        Self { budget, ..self }
    }

    /// The same store, which calls `waits` before it waits for another command that holds it.
    #[must_use]
    pub fn telling(self, waits: fn()) -> Self {
        Self { waits, ..self }
    }

    /// What a layer may become here.
    #[must_use]
    pub fn budget(&self) -> Budget {
        self.budget
    }

    /// Its directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The OCI image layout in it.
    #[must_use]
    pub fn layout(&self) -> PathBuf {
        self.root.join("oci")
    }

    /// Where a blob lies when it is there.
    #[must_use]
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.layout().join("blobs").join(digest.algorithm().name()).join(digest.hex())
    }

    /// Where an unpacked layer lies when it is there.
    #[must_use]
    pub fn layer_path(&self, diff_id: &Digest) -> PathBuf {
        self.root.join("layers").join(diff_id.algorithm().name()).join(diff_id.hex())
    }

    /// Where the size of an unpacked layer stands.
    #[must_use]
    pub fn layer_size_path(&self, diff_id: &Digest) -> PathBuf {
        self.root.join("layers").join(diff_id.algorithm().name()).join(format!("{}.size", diff_id.hex()))
    }

    /// Where layers lie while they are being unpacked.
    #[must_use]
    pub fn unfinished_layers(&self) -> PathBuf {
        self.root.join("unpacking")
    }

    /// Where images are mounted that are not to be mounted anywhere else.
    #[must_use]
    pub fn mounts(&self) -> PathBuf {
        self.root.join("mounts")
    }

    /// Where lies what turned out to be damaged.
    #[must_use]
    pub fn damaged(&self) -> PathBuf {
        self.root.join("damaged")
    }

    /// Whether a blob is there.
    #[must_use]
    pub fn has_blob(&self, digest: &Digest) -> bool {
        self.blob_path(digest).is_file()
    }

    /// Whether a layer is there, unpacked.
    #[must_use]
    pub fn has_layer(&self, diff_id: &Digest) -> bool {
        self.layer_path(diff_id).is_dir()
    }

    /// What an unpacked layer is called: by its diffID or, where it depends on those below, `stacked`; `None` if it is not
    /// there.
    #[must_use]
    pub fn unpacked(&self, diff_id: &Digest, stacked: &Digest) -> Option<Digest> {
        [diff_id, stacked].into_iter().find(|key| self.has_layer(key)).cloned()
    }

    /// Opens a blob; `None` if it is not there.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn blob(&self, digest: &Digest) -> Result<Option<VerifiedBlob>, StoreError> {
        VerifiedBlob::open(&self.blob_path(digest), digest)
    }

    /// Reads a small blob whole, and checks it again: a damaged document would be believed by everything after it.
    ///
    /// # Errors
    /// [`StoreError`]: it is not there, has more than `limit` bytes, or is damaged.
    pub fn read_blob(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>, StoreError> {
        let blob = self.blob(digest)?.ok_or_else(|| StoreError::Missing(digest.clone()))?;
        if blob.size() > limit {
            return Err(StoreError::TooLong { digest: digest.clone(), limit });
        }
        let mut bytes = Vec::new();
        let path = self.blob_path(digest);
        blob.file().take(limit).read_to_end(&mut bytes).map_err(failed("read", &path))?;
        if Digest::of(digest.algorithm(), &bytes) != *digest {
            return Err(StoreError::Damaged { digest: digest.clone() });
        }
        Ok(bytes)
    }

    /// Holds the store for one who reads it or adds to it: `gc` and `rmi` wait until the tag is recorded. A store that can only
    /// be read is held as well, for somebody may remove from it who has it in another place.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn hold(&self) -> Result<Hold, StoreError> {
        let (path, file) = match self.lock_file() {
            Err(StoreError::Io { path, source, .. })
                if source.kind() == io::ErrorKind::ReadOnlyFilesystem =>
            {
                let file = File::open(&path).map_err(failed("open", &path))?;
                (path, file)
            }
            opened => opened?,
        };
        let locked = try_lock_shared(&file).and_then(|is_locked| {
            if is_locked {
                return Ok(());
            }
            (self.waits)();
            lock_shared(&file)
        });
        locked.map_err(|source| StoreError::Lock { path, source })?;
        Ok(Hold { _lock: file })
    }

    /// Holds the store for one who removes from it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn hold_alone(&self) -> Result<Hold, StoreError> {
        let (path, file) = self.lock_file()?;
        let locked = lock_exclusive(&file, false).or_else(|error| {
            if error.errno() != Errno::EWOULDBLOCK {
                return Err(error);
            }
            (self.waits)();
            lock_exclusive(&file, true)
        });
        locked.map_err(|source| StoreError::Lock { path, source })?;
        Ok(Hold { _lock: file })
    }

    fn lock_file(&self) -> Result<(PathBuf, File), StoreError> {
        let path = self.root.join("lock");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(failed("open", &path))?;
        Ok((path, file))
    }
}

fn make_directories(path: &Path, mode: u32) -> Result<(), StoreError> {
    match DirBuilder::new().recursive(true).mode(mode).create(path) {
        // What is there may be a directory that could not be looked at.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let is_directory = std::fs::metadata(path).map_err(failed("look at", path))?.is_dir();
            if is_directory { Ok(()) } else { Err(failed("make the directory", path)(error)) }
        }
        made => made.map_err(failed("make the directory", path)),
    }
}

/// Makes an I/O error one of the store.
pub(crate) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { action, path, source }
}
