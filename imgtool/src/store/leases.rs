//! Who needs an image though it may have no name: containers and bundles whose files lie on its layers.

use super::index::write_atomically;
use super::{Hold, Store, StoreError, failed};
use crate::image::Descriptor;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What a lease's name may have at the most, in bytes: it is a file's name.
const NAME_LIMIT: usize = 200;

/// What the holder of a lease is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Holder {
    /// A container; the owner is its directory.
    Container,
    /// A bundle whose root file system is mounted from layers; the owner is its directory.
    Bundle,
    /// A view of an image; the owner is where it is mounted.
    Mount,
}

/// An image that is kept as long as its owner is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// What it is called among the leases of the store.
    #[serde(skip)]
    pub name: String,
    /// What holds the image.
    pub kind: Holder,
    /// The image's manifest.
    pub image: Descriptor,
    /// A file or directory without which the lease is void.
    pub owner: PathBuf,
}

impl Lease {
    /// Whether its owner is gone, as far as that can be told.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        let gone =
            |error: io::Error| matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
        fs::symlink_metadata(&self.owner).err().is_some_and(gone)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Container => "container",
            Self::Bundle => "bundle",
            Self::Mount => "mount",
        })
    }
}

impl Store {
    /// Keeps an image for `owner`, an absolute path; a lease of the same name is replaced. The store has to be held since
    /// before the image was looked up: else it may be gone already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn lease(
        &self,
        _hold: &Hold,
        name: &str,
        kind: Holder,
        image: &Descriptor,
        owner: &Path,
    ) -> Result<(), StoreError> {
        let path = self.lease_path(name)?;
        if !owner.is_absolute() {
            let problem = "its owner is not an absolute path";
            return Err(StoreError::Lease { name: name.to_owned(), problem });
        }
        let (name, image, owner) = (name.to_owned(), image.clone(), owner.to_owned());
        let bytes = serde_json::to_vec(&Lease { name, kind, image, owner })
            .map_err(|error| failed("write", &path)(error.into()))?;
        write_atomically(&path, &bytes)
    }

    /// Gives a lease up, and returns whether it was there. The image stays until [`collect`](Self::collect).
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn release(&self, name: &str) -> Result<bool, StoreError> {
        let path = self.lease_path(name)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            other => other.map(|()| true).map_err(failed("remove", &path)),
        }
    }

    /// All leases in the order of their names, also those that are stale.
    ///
    /// # Errors
    /// [`StoreError`]: one cannot be read.
    pub fn leases(&self) -> Result<Vec<Lease>, StoreError> {
        let mut names = super::collect::names_in(&self.lease_directory())?;
        // Others are files that a killed process was writing.
        names.retain(|name| is_name(name));
        names.sort();
        let leases = names.into_iter().map(|name| self.read_lease(name)).collect::<Result<Vec<_>, _>>()?;
        Ok(leases.into_iter().flatten().collect())
    }

    /// `None` if it has been given up since its name was read.
    fn read_lease(&self, name: String) -> Result<Option<Lease>, StoreError> {
        let path = self.lease_directory().join(&name);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(failed("read", &path))?,
        };
        let lease: Lease =
            serde_json::from_slice(&bytes).map_err(|error| failed("understand", &path)(error.into()))?;
        Ok(Some(Lease { name, ..lease }))
    }

    /// Where the leases are.
    pub(super) fn lease_directory(&self) -> PathBuf {
        self.root().join("leases")
    }

    fn lease_path(&self, name: &str) -> Result<PathBuf, StoreError> {
        if is_name(name) {
            return Ok(self.lease_directory().join(name));
        }
        let problem = "its name may have letters, digits, '-' and '_' only, and 200 of them at the most";
        Err(StoreError::Lease { name: name.to_owned(), problem })
    }
}

/// A dot is in the names of files that are being written.
fn is_name(name: &str) -> bool {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !name.is_empty() && name.len() <= NAME_LIMIT && name.bytes().all(is_good)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::image::MediaType;

    fn target() -> Descriptor {
        Descriptor::new(MediaType::OCI_MANIFEST, Digest::sha256(b"manifest"), 8)
    }

    #[test]
    fn a_lease_is_there_until_it_is_given_up() {
        let place = tempfile::tempdir().expect("a directory");
        let store = Store::open(place.path()).expect("a store");
        let hold = store.hold().expect("a lock");
        store.lease(&hold, "web-1", Holder::Container, &target(), place.path()).expect("a lease");
        let (name, owner) = ("web-1".to_owned(), place.path().to_owned());
        let lease = Lease { name, kind: Holder::Container, image: target(), owner };
        assert_eq!(store.leases().expect("leases"), std::slice::from_ref(&lease));
        assert!(!lease.is_stale());
        assert!(store.release("web-1").expect("given up") && !store.release("web-1").expect("gone"));
        assert!(store.leases().expect("leases").is_empty());
        assert!(Lease { owner: place.path().join("gone"), ..lease }.is_stale());
    }

    #[test]
    fn names_stay_in_their_directory_and_owners_mean_the_same_everywhere() {
        let place = tempfile::tempdir().expect("a directory");
        let store = Store::open(place.path()).expect("a store");
        let hold = store.hold().expect("a lock");
        for name in ["", "a/b", "..", "a.b", "ä", &"x".repeat(201)] {
            let error = store.lease(&hold, name, Holder::Bundle, &target(), place.path());
            assert!(matches!(error, Err(StoreError::Lease { .. })), "{name:?}");
            assert!(matches!(store.release(name), Err(StoreError::Lease { .. })), "{name:?}");
        }
        let error = store.lease(&hold, "a", Holder::Bundle, &target(), Path::new("here"));
        assert!(matches!(error, Err(StoreError::Lease { .. })));
    }
}
