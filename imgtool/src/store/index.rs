//! The names of the store's images: the entries of `index.json`.

use super::{Store, StoreError, failed};
use crate::digest::Digest;
use crate::image::{DOCUMENT_LIMIT, Descriptor, INDEX_ANNOTATION, Index};
use crate::reference::Reference;
use mydocker_sys::fs::lock_exclusive;
use mydocker_sys::sync::sync_file_system;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// The annotation that names an entry (image-spec, annotations.md).
pub(super) const REF_NAME: &str = "org.opencontainers.image.ref.name";

impl Store {
    /// Gives an image its name; an image that had the name loses it. This is what makes an image visible, so everything
    /// that it needs is on the disk before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn record(&self, reference: &Reference, target: &Descriptor) -> Result<(), StoreError> {
        let name = reference.to_string();
        let mut entry = target.clone();
        entry.annotations.insert(REF_NAME.to_owned(), name.clone());
        self.change_index(|index| {
            index.manifests.retain(|entry| entry.annotations.get(REF_NAME) != Some(&name));
            index.manifests.push(entry);
        })
    }

    /// Takes a name away, and returns whether it was there. The image stays until [`collect`](Self::collect).
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn forget(&self, reference: &Reference) -> Result<bool, StoreError> {
        let is_it = |entry: &Descriptor| named(entry).as_ref() == Some(reference);
        let mut was_there = false;
        self.change_index(|index| {
            was_there = index.manifests.iter().any(is_it);
            index.manifests.retain(|entry| !is_it(entry));
        })?;
        Ok(was_there)
    }

    /// Takes entries without a name away, which other programs have made.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn forget_nameless(&self, targets: &[Descriptor]) -> Result<(), StoreError> {
        if targets.is_empty() {
            return Ok(());
        }
        self.change_index(|index| {
            index
                .manifests
                .retain(|entry| named(entry).is_some() || !targets.contains(&plain(entry.clone())));
        })
    }

    /// All names, and what they stand for.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn names(&self) -> Result<Vec<(Reference, Descriptor)>, StoreError> {
        let entries = self.index()?.manifests.into_iter();
        Ok(entries.filter_map(|entry| Some((named(&entry)?, plain(entry)))).collect())
    }

    /// All names, and what they stand for, with entries that have none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn entries(&self) -> Result<Vec<(Option<Reference>, Descriptor)>, StoreError> {
        let entries = self.index()?.manifests.into_iter();
        Ok(entries.map(|entry| (named(&entry), plain(entry))).collect())
    }

    /// All that the index points to, also entries without a name that other programs have made.
    pub(super) fn targets(&self) -> Result<Vec<Descriptor>, StoreError> {
        Ok(self.index()?.manifests)
    }

    fn change_index(&self, change: impl FnOnce(&mut Index)) -> Result<(), StoreError> {
        let layout = self.layout();
        let directory = File::open(&layout).map_err(failed("open", &layout))?;
        lock_exclusive(&directory, true)
            .map_err(|source| StoreError::Lock { path: layout.clone(), source })?;
        let mut index = self.index()?;
        change(&mut index);
        sync_file_system(&directory).map_err(|source| StoreError::Lock { path: layout.clone(), source })?;
        self.write_layout_file()?;
        self.write_index(&index)
    }

    pub(super) fn write_layout_file(&self) -> Result<(), StoreError> {
        write_atomically(&self.layout().join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#)
    }

    /// Writes the index, and beside the layout a copy, from which a lost one is made anew.
    pub(super) fn write_index(&self, index: &Index) -> Result<(), StoreError> {
        let path = self.layout().join("index.json");
        let bytes = serde_json::to_vec(index).map_err(|error| failed("write", &path)(error.into()))?;
        write_atomically(&path, &bytes)?;
        // Not synced: what counts is the index, and one of the two is whole whenever the power goes.
        let copy = self.index_copy_path();
        fs::write(&copy, &bytes).map_err(failed("write", &copy))
    }

    pub(super) fn index_copy_path(&self) -> PathBuf {
        self.root().join("index.copy")
    }

    /// The copy of the index, if it can be read.
    pub(super) fn index_copy(&self) -> Option<Index> {
        serde_json::from_slice(&fs::read(self.index_copy_path()).ok()?).ok()
    }

    /// What a name stands for: by its tag, or by its digest if it has one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn lookup(&self, reference: &Reference) -> Result<Option<Descriptor>, StoreError> {
        let wanted = reference.clone().or_latest();
        let found = self.index()?.manifests.into_iter().find(|entry| {
            named(entry).is_some_and(|named| match wanted.digest() {
                Some(digest) => named.name() == wanted.name() && is(entry, digest),
                None => named == wanted,
            })
        });
        Ok(found.map(plain))
    }

    fn index(&self) -> Result<Index, StoreError> {
        let path = self.layout().join("index.json");
        if let Some(index) = self.read_index(&path)? {
            return Ok(index);
        }
        if !self.index_copy_path().exists() {
            return Ok(Index::empty());
        }
        // The copy is made after the index, so that by now there is one, if the first was made a moment ago. Without names
        // everything would look as if nobody needed it.
        self.read_index(&path)?.ok_or(StoreError::IndexLost(path))
    }

    fn read_index(&self, path: &Path) -> Result<Option<Index>, StoreError> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(failed("open", path))?,
        };
        let mut bytes = Vec::new();
        // A thousand tags take some 400 KiB.
        file.take(16 * DOCUMENT_LIMIT).read_to_end(&mut bytes).map_err(failed("read", path))?;
        serde_json::from_slice(&bytes).map_err(|error| failed("understand", path)(error.into()))
    }
}

/// The name of an entry; other programs may have made one that is none.
pub(super) fn named(entry: &Descriptor) -> Option<Reference> {
    entry.annotations.get(REF_NAME).and_then(|name| Reference::parse(name).ok()).map(Reference::or_latest)
}

/// An entry without its name.
fn plain(mut entry: Descriptor) -> Descriptor {
    entry.annotations.remove(REF_NAME);
    entry
}

/// Whether an entry has this digest, or was chosen from the index that has it.
fn is(entry: &Descriptor, digest: &Digest) -> bool {
    let index = entry.annotations.get(INDEX_ANNOTATION).map(String::as_str);
    entry.digest == *digest || index == Some(digest.as_str())
}

/// Replaces a file as a whole: a reader sees the old content or the new one.
pub(super) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&temporary, path)).map_err(failed("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::MediaType;

    fn reference(text: &str) -> Reference {
        Reference::parse(text).expect(text)
    }

    fn target(content: &[u8]) -> Descriptor {
        Descriptor::new(MediaType::OCI_MANIFEST, Digest::sha256(content), content.len() as u64)
    }

    #[test]
    fn a_name_is_found_by_tag_and_by_digest_and_moves() {
        let place = tempfile::tempdir().expect("a directory");
        let store = Store::open(place.path()).expect("a store");
        assert_eq!(store.lookup(&reference("a")).expect("an index"), None);
        store.record(&reference("a:latest"), &target(b"1")).expect("recorded");
        store.record(&reference("b:1"), &target(b"2")).expect("recorded");
        assert_eq!(store.lookup(&reference("a")).expect("an index"), Some(target(b"1")));
        let by_digest = reference("b").at(&Digest::sha256(b"2"));
        assert_eq!(store.lookup(&by_digest).expect("an index"), Some(target(b"2")));
        assert_eq!(store.lookup(&reference("a").at(&Digest::sha256(b"2"))).expect("an index"), None);
        store.record(&reference("a:latest"), &target(b"3")).expect("recorded");
        assert_eq!(store.lookup(&reference("a")).expect("an index"), Some(target(b"3")));
        assert!(store.forget(&reference("a:latest")).expect("an index"));
        assert!(!store.forget(&reference("a:latest")).expect("an index"));
        assert_eq!(store.names().expect("an index"), [(reference("b:1"), target(b"2"))]);
    }
}
