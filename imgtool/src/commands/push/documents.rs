//! What a push brings to a registry: all that belongs to an image as it is in the store, or with layers compressed.

use super::PushError;
use crate::cli::{Display, LayerCompression};
use crate::digest::Digest;
use crate::image::{Compression, DOCUMENT_LIMIT, Descriptor, Document, Index, Kind, Manifest, MediaType};
use crate::make::{compress, is_plain_layer};
use crate::reference::Reference;
use crate::registry::Client;
use crate::store::{SealedBlob, Store};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};

/// The annotation by which an attestation in an index says which manifest it is about.
const ATTESTED: &str = "vnd.docker.reference.digest";

/// Which layers are compressed on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compressing {
    /// None.
    Nothing,
    /// Those that came from archives of docker's, where no layer is compressed; with gzip.
    FromArchives,
    /// All that are not compressed.
    Everything(Compression),
}

impl From<Option<LayerCompression>> for Compressing {
    fn from(typed: Option<LayerCompression>) -> Self {
        match typed {
            None => Self::FromArchives,
            Some(LayerCompression::None) => Self::Nothing,
            Some(kind) => Self::Everything(kind.into()),
        }
    }
}

/// Where a blob is.
#[derive(Debug)]
pub(super) enum Source {
    /// In the store.
    Store,
    /// It was made for this push.
    Made(SealedBlob),
    /// In the registry, since it was made for an earlier push.
    Registry,
}

/// A configuration or a layer.
#[derive(Debug)]
pub(super) struct Blob {
    pub descriptor: Descriptor,
    pub source: Source,
}

/// What belongs to an image.
#[derive(Debug, Default)]
pub(super) struct Documents {
    /// Manifests, and the index after them if there is one: the last is the image.
    pub manifests: Vec<(Descriptor, Vec<u8>)>,
    /// Configurations and layers, each once.
    pub blobs: Vec<Blob>,
}

/// Who gathers them.
pub(super) struct Gathering<'a> {
    pub store: &'a Store,
    pub client: &'a Client,
    pub destination: &'a Reference,
    pub display: &'a Display,
    pub compressing: Compressing,
}

impl Gathering<'_> {
    /// Gathers all that belongs to an image, and compresses what is to be compressed and not in the registry.
    ///
    /// # Errors
    /// [`PushError`].
    pub(super) fn gather(&self, target: &Descriptor) -> Result<Documents, PushError> {
        let mut documents = Documents::default();
        self.add(&mut documents, target)?;
        let mut seen = HashSet::new();
        documents.blobs.retain(|blob| seen.insert(blob.descriptor.digest.clone()));
        Ok(documents)
    }

    /// Adds a manifest or an index, and returns what it has become.
    fn add(&self, documents: &mut Documents, descriptor: &Descriptor) -> Result<Descriptor, PushError> {
        let bytes = self.store.read_blob(&descriptor.digest, DOCUMENT_LIMIT)?;
        let document = Document::parse(&bytes, Some(&descriptor.media_type))
            .map_err(|error| PushError::Document(descriptor.digest.clone(), error))?;
        let anew = match document {
            Document::Manifest(manifest) => self.manifest(documents, descriptor, *manifest)?,
            Document::Index(index) => self.index(documents, descriptor, *index)?,
        };
        let (descriptor, bytes) = anew.unwrap_or_else(|| (descriptor.clone(), bytes));
        documents.manifests.push((descriptor.clone(), bytes));
        Ok(descriptor)
    }

    /// Adds the blobs of a manifest; the manifest anew if one of them has become another.
    fn manifest(
        &self,
        documents: &mut Documents,
        descriptor: &Descriptor,
        mut manifest: Manifest,
    ) -> Result<Option<(Descriptor, Vec<u8>)>, PushError> {
        let mut is_changed = false;
        for layer in &mut manifest.layers {
            let new = self.layer(documents, layer)?;
            is_changed |= new.digest != layer.digest;
            *layer = new;
        }
        documents.blobs.push(Blob { descriptor: manifest.config.clone(), source: Source::Store });
        if !is_changed {
            return Ok(None);
        }
        // docker's manifests have no type for zstd, so what is written anew is OCI's.
        for layer in &mut manifest.layers {
            if let Some(as_oci) = layer.layer_as_oci() {
                *layer = as_oci;
            }
        }
        if manifest.config.media_type.kind() == Kind::Config {
            manifest.config.media_type = MediaType::new(MediaType::OCI_CONFIG);
        }
        manifest.media_type = Some(MediaType::new(MediaType::OCI_MANIFEST));
        written(descriptor, MediaType::OCI_MANIFEST, &manifest).map(Some)
    }

    fn index(
        &self,
        documents: &mut Documents,
        descriptor: &Descriptor,
        mut index: Index,
    ) -> Result<Option<(Descriptor, Vec<u8>)>, PushError> {
        let mut became = BTreeMap::new();
        for entry in &mut index.manifests {
            let new = self.add(documents, entry)?;
            if new.digest != entry.digest {
                became.insert(entry.digest.to_string(), new.digest.to_string());
            }
            *entry = new;
        }
        if became.is_empty() {
            return Ok(None);
        }
        for entry in &mut index.manifests {
            let about = entry.annotations.get(ATTESTED).and_then(|digest| became.get(digest));
            if let Some(digest) = about.cloned() {
                entry.annotations.insert(ATTESTED.to_owned(), digest);
            }
        }
        index.media_type = Some(MediaType::new(MediaType::OCI_INDEX));
        written(descriptor, MediaType::OCI_INDEX, &index).map(Some)
    }

    /// Adds a layer, and returns what it has become. One that may not be distributed stays where its URLs say.
    fn layer(&self, documents: &mut Documents, layer: &Descriptor) -> Result<Descriptor, PushError> {
        if matches!(layer.media_type.kind(), Kind::ForeignLayer(_)) {
            return Ok(layer.clone());
        }
        let Some(compression) = self.compression(layer)? else {
            documents.blobs.push(Blob { descriptor: layer.clone(), source: Source::Store });
            return Ok(layer.clone());
        };
        let (digest, size, source) = self.compressed(&layer.digest, compression)?;
        let media_type = MediaType::new(MediaType::of_layer(compression));
        let descriptor = Descriptor { media_type, digest, size, ..layer.clone() };
        documents.blobs.push(Blob { descriptor: descriptor.clone(), source });
        Ok(descriptor)
    }

    /// How a layer is to be compressed, if it is.
    fn compression(&self, layer: &Descriptor) -> Result<Option<Compression>, PushError> {
        let wanted = match self.compressing {
            Compressing::Nothing => None,
            Compressing::FromArchives => {
                self.store.is_from_archive(&layer.digest)?.then_some(Compression::Gzip)
            }
            Compressing::Everything(compression) => Some(compression),
        };
        let Some(wanted) = wanted else { return Ok(None) };
        let failed = |error| PushError::Compress(layer.digest.clone(), error);
        Ok(is_plain_layer(self.store, layer).map_err(failed)?.then_some(wanted))
    }

    /// The compressed form of a blob, which is not made again if the registry has it from an earlier push.
    fn compressed(
        &self,
        blob: &Digest,
        compression: Compression,
    ) -> Result<(Digest, u64, Source), PushError> {
        if let Some((digest, size)) = self.store.compressed(blob, compression)? {
            let is_there = self.client.has_blob(&digest, size);
            if is_there.map_err(|error| PushError::Registry(self.destination.clone(), error))? {
                return Ok((digest, size, Source::Registry));
            }
        }
        self.display.say(&format!("{}: Compressing", blob.short()));
        let made = compress(self.store, blob, compression)
            .map_err(|error| PushError::Compress(blob.clone(), error))?;
        Ok((made.digest().clone(), made.size(), Source::Made(made)))
    }
}

/// A document that is written anew, and what points to it.
fn written(
    before: &Descriptor,
    media_type: &str,
    document: &impl Serialize,
) -> Result<(Descriptor, Vec<u8>), PushError> {
    let bytes = serde_json::to_vec(document).map_err(std::io::Error::from)?;
    let (digest, size) = (Digest::sha256(&bytes), bytes.len() as u64);
    Ok((Descriptor { media_type: MediaType::new(media_type), digest, size, ..before.clone() }, bytes))
}
