//! A new list of names where the old one is lost: from the list before it, and from what the documents say.

use super::check::{Check, Mending};
use super::collect::digests_in;
use super::index::{REF_NAME, named};
use super::{Store, StoreError};
use crate::digest::{Algorithm, Digest};
use crate::image::{DOCUMENT_LIMIT, Descriptor, Document, INDEX_ANNOTATION, Index, Kind};
use crate::reference::Reference;
use std::collections::{BTreeMap, HashSet};
use std::fs;

/// What containerd writes a name to.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// A manifest or index among the blobs.
struct Found {
    descriptor: Descriptor,
    document: Document,
}

impl Store {
    /// Whether there is a list of names that can be read, after it was mended if need be.
    pub(super) fn check_index(&self, mending: Mending<'_>, check: &mut Check) -> Result<bool, StoreError> {
        let path = self.layout().join("index.json");
        let is_lost = !path.exists();
        let problem = match self.entries() {
            Ok(_) if !is_lost => {
                self.check_layout_file(mending, check)?;
                return Ok(true);
            }
            Ok(_) if self.has_named_nothing() => return Ok(true),
            Err(StoreError::Io { .. }) if !is_lost => format!("{path:?} is damaged"),
            _ => format!("{path:?} is lost"),
        };
        if !mending.is_wanted() {
            check.wrong_is(format!("{problem}; --repair makes a new one of what is there"));
            return Ok(false);
        }
        if !is_lost {
            self.move_aside(&path, "index.json")?;
        }
        let (index, nameless) = self.rebuilt()?;
        let count = index.manifests.len();
        self.write_index(&index)?;
        check.mended(problem, format!("made anew, with {count} images"));
        for (digest, id) in nameless {
            check.wrong_is(format!("image {digest} has lost its name; 'tag {id} NAME' gives it one"));
        }
        Ok(true)
    }

    /// Whether nothing was ever named here: the first pull may have been refused, or killed, when blobs were there.
    fn has_named_nothing(&self) -> bool {
        !self.index_copy_path().exists() && !self.layout().join("oci-layout").exists()
    }

    fn check_layout_file(&self, mending: Mending<'_>, check: &mut Check) -> Result<(), StoreError> {
        let path = self.layout().join("oci-layout");
        let text = fs::read(&path).unwrap_or_default();
        let layout: Option<BTreeMap<String, String>> = serde_json::from_slice(&text).ok();
        if layout.is_some_and(|layout| layout.get("imageLayoutVersion").is_some_and(|text| text == "1.0.0")) {
            return Ok(());
        }
        let problem = format!("{path:?} is not that of an OCI layout of version 1.0.0");
        if mending.is_wanted() {
            self.write_layout_file()?;
            check.mended(problem, "made anew".to_owned());
        } else {
            check.wrong_is(problem);
        }
        Ok(())
    }

    /// A new index, and the images in it that have no name, with the beginnings of their ids.
    fn rebuilt(&self) -> Result<(Index, Vec<(Digest, String)>), StoreError> {
        let mut index = Index::empty();
        if let Some(copy) = self.index_copy() {
            index.manifests = copy.manifests;
            index.manifests.retain(|entry| self.document(entry).is_ok());
        }
        let found = self.documents_found()?;
        let mut known: HashSet<Digest> = HashSet::new();
        for entry in &index.manifests {
            known.insert(entry.digest.clone());
            known.extend(entry.annotations.get(INDEX_ANNOTATION).and_then(|text| Digest::parse(text).ok()));
        }
        // What an index leads to is named by it.
        for one in &found {
            if let Document::Index(index) = &one.document {
                known.extend(index.manifests.iter().map(|entry| entry.digest.clone()));
            }
        }
        let mut nameless = Vec::new();
        for one in found.into_iter().filter(|one| !known.contains(&one.descriptor.digest)) {
            let mut entry = one.descriptor;
            match name_in(&one.document) {
                Some(name) => drop(entry.annotations.insert(REF_NAME.to_owned(), name.to_string())),
                None => {
                    let id = self.image(&entry).map(|image| image.id().short().to_owned());
                    nameless.push((entry.digest.clone(), id.unwrap_or_default()));
                }
            }
            index.manifests.push(entry);
        }
        let mut names = HashSet::new();
        index.manifests.retain(|entry| named(entry).is_none_or(|name| names.insert(name)));
        Ok((index, nameless))
    }

    /// All images among the blobs.
    fn documents_found(&self) -> Result<Vec<Found>, StoreError> {
        let mut found = Vec::new();
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            for digest in digests_in(&self.layout().join("blobs").join(algorithm.name()), algorithm)? {
                found.extend(self.document_found(&digest));
            }
        }
        Ok(found)
    }

    /// Most blobs are something else, which is no fault.
    fn document_found(&self, digest: &Digest) -> Option<Found> {
        let size = fs::metadata(self.blob_path(digest)).ok()?.len();
        let bytes = self.read_blob(digest, DOCUMENT_LIMIT).ok()?;
        let document = Document::parse(&bytes, None).ok()?;
        let is_image = match &document {
            Document::Manifest(manifest) => manifest.config.media_type.kind() == Kind::Config,
            Document::Index(index) => index.manifests.iter().any(|entry| self.has_blob(&entry.digest)),
        };
        let media_type = document.media_type(None);
        let descriptor = Descriptor { media_type, ..Descriptor::new("", digest.clone(), size) };
        is_image.then_some(Found { descriptor, document })
    }
}

/// The name that a document says it has.
fn name_in(document: &Document) -> Option<Reference> {
    let annotations = match document {
        Document::Manifest(manifest) => &manifest.annotations,
        Document::Index(index) => &index.annotations,
    };
    let full = annotations.get(CONTAINERD_NAME).or_else(|| annotations.get(REF_NAME));
    full.and_then(|name| Reference::parse(name).ok()).map(Reference::or_latest)
}
