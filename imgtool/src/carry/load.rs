//! What an archive has: OCI's index or docker's `manifest.json`.

use super::save::compression;
use super::spool::{Spool, SpoolError, Told, shown};
use super::{CONTAINERD_NAME, DockerImage, INDEX, MANIFEST, REF_NAME};
use crate::digest::{Algorithm, Digest};
use crate::image::{
    DOCUMENT_LIMIT, Descriptor, Document, DocumentError, ImageConfig, Index, Manifest, MediaType,
};
use crate::layer::Inflate;
use crate::make::{ViewError, unpack_missing};
use crate::reference::{Reference, ReferenceError};
use crate::store::{SealedBlob, Store, StoreError};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::PathBuf;

/// What an archive or a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// An OCI layout.
    Oci,
    /// docker's, with a `manifest.json`.
    Docker,
}

/// An image that was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// What is recorded for it.
    pub target: Descriptor,
    /// Under which names.
    pub names: Vec<Reference>,
}

/// Why an archive is not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read.
    #[error("cannot read the archive")]
    Read(#[source] io::Error),
    /// Its files are not taken.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It says nothing about images.
    #[error(
        "this is no archive of images: it has neither index.json nor manifest.json; 'import' takes root file systems"
    )]
    NoImages,
    /// It is of a time before digests.
    #[error(
        "this is an archive of docker before version 1.10, which is not supported; load and save it with a newer docker"
    )]
    TooOld,
    /// A document of it is none.
    #[error("{path:?} in the archive is not accepted as what it should be")]
    Document {
        /// Its name in the archive.
        path: PathBuf,
        /// Why.
        source: DocumentError,
    },
    /// A document of it is no JSON that it should be.
    #[error("{path:?} in the archive cannot be understood")]
    Json {
        /// Its name in the archive.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A document of it is too long.
    #[error("{path:?} in the archive has {size} bytes; {DOCUMENT_LIMIT} are the most for a document")]
    TooLong {
        /// Its name in the archive.
        path: PathBuf,
        /// What it has.
        size: u64,
    },
    /// Something is missing that a document names.
    #[error("the archive lacks {0:?}, which it names")]
    Missing(PathBuf),
    /// A blob is not what its name says.
    #[error("{path:?} in the archive is not what its name says: it is {found} with {size} bytes")]
    Wrong {
        /// Its name in the archive.
        path: PathBuf,
        /// What it is.
        found: Digest,
        /// What it has.
        size: u64,
    },
    /// Its documents do not fit each other.
    #[error(
        "an image of the archive has {layers} layers and {diff_ids} diff_ids, which must be one for each"
    )]
    LayerCount {
        /// In the manifest.
        layers: usize,
        /// In the configuration.
        diff_ids: usize,
    },
    /// A name is none.
    #[error("the archive calls an image {0:?}, which is no name")]
    Name(String, #[source] ReferenceError),
    /// An image has no name, and nothing could lead to it.
    #[error("an image of the archive has no name; give one behind the command's other arguments")]
    NoName,
    /// One name for several images.
    #[error("the archive has {0} images, which cannot all get one name")]
    Several(usize),
    /// A layer cannot be unpacked.
    #[error(transparent)]
    View(#[from] ViewError),
}

/// Loads the images of an archive, compressed or not, into a store, which has to be held. With a `name` the only image of the
/// archive gets that, and no other. `admit` is asked whether such a thing may come in, when it is known what it is; `told`
/// hears how it goes.
///
/// # Errors
/// [`LoadError`], or that of `admit`; then the names of the store are what they were.
pub fn load<E: From<LoadError>>(
    store: &Store,
    archive: impl Read,
    name: Option<&Reference>,
    told: Told<'_>,
    admit: impl FnOnce(Layout) -> Result<(), E>,
) -> Result<Vec<Loaded>, E> {
    let archive = Inflate::new(archive, Algorithm::Sha256, store.budget()).map_err(LoadError::Read)?;
    let spool = Spool::read(store, archive, told).map_err(LoadError::from)?;
    let mut load = Load { spool, store };
    let layout = load.layout()?;
    admit(layout)?;
    Ok(load.take_in(layout, name)?)
}

impl Load<'_> {
    fn layout(&self) -> Result<Layout, LoadError> {
        let has = |name: &str| self.spool.get(name).is_some();
        match () {
            () if has(INDEX) => Ok(Layout::Oci),
            () if has(MANIFEST) => Ok(Layout::Docker),
            () if has("repositories") => Err(LoadError::TooOld),
            () => Err(LoadError::NoImages),
        }
    }

    fn take_in(&mut self, layout: Layout, name: Option<&Reference>) -> Result<Vec<Loaded>, LoadError> {
        let mut images = match layout {
            Layout::Oci => self.oci()?,
            Layout::Docker => self.docker()?,
        };
        record(self.store, &mut images, name)?;
        Ok(images)
    }
}

/// Gives the images their names, when all that they need is there.
fn record(store: &Store, images: &mut [Loaded], name: Option<&Reference>) -> Result<(), LoadError> {
    rename(images, name)?;
    for image in images.iter() {
        unpack_missing(store, &store.image(&image.target)?)?;
    }
    for image in images.iter() {
        image.names.iter().try_for_each(|name| store.record(name, &image.target))?;
    }
    Ok(())
}

fn rename(images: &mut [Loaded], name: Option<&Reference>) -> Result<(), LoadError> {
    match (name, images) {
        (Some(name), [image]) => image.names = vec![name.clone()],
        (Some(_), images) => return Err(LoadError::Several(images.len())),
        (None, images) if images.iter().any(|image| image.names.is_empty()) => return Err(LoadError::NoName),
        (None, _) => {}
    }
    Ok(())
}

struct Load<'a> {
    spool: Spool,
    store: &'a Store,
}

impl Load<'_> {
    fn oci(&mut self) -> Result<Vec<Loaded>, LoadError> {
        let bytes = self.document(INDEX)?;
        let document = Document::parse(&bytes, Some(&MediaType::new(MediaType::OCI_INDEX)));
        let index = match document.map_err(|source| LoadError::Document { path: shown(INDEX), source })? {
            Document::Index(index) => *index,
            Document::Manifest(_) => Index::empty(),
        };
        let mut images: Vec<Loaded> = Vec::new();
        for entry in index.manifests {
            let name = name_of(&entry)?;
            let target = Descriptor { annotations: BTreeMap::new(), ..entry };
            match images.iter_mut().find(|image| image.target.digest == target.digest) {
                Some(known) => known.names.extend(name),
                None => {
                    self.keep_document(&target)?;
                    images.push(Loaded { target, names: name.into_iter().collect() });
                }
            }
        }
        if images.is_empty() { Err(LoadError::NoImages) } else { Ok(images) }
    }

    /// Brings a manifest or index into the store, with all that it leads to.
    fn keep_document(&mut self, descriptor: &Descriptor) -> Result<(), LoadError> {
        let path = blob_path(&descriptor.digest);
        let failed = |source| LoadError::Document { path: shown(&path), source };
        let bytes = match self.spool.get(&path) {
            Some(_) => self.document(&path)?,
            None => self.store.read_blob(&descriptor.digest, DOCUMENT_LIMIT)?,
        };
        match Document::parse(&bytes, Some(&descriptor.media_type)).map_err(failed)? {
            Document::Index(index) => {
                // Archives of one platform keep the index of all.
                let here = index.manifests.iter().filter(|entry| self.has(entry)).cloned();
                for entry in here.collect::<Vec<_>>() {
                    self.keep_document(&entry)?;
                }
            }
            Document::Manifest(manifest) => {
                self.keep(&manifest.config)?;
                let layers = manifest.layers.iter().filter(|layer| layer.urls.is_empty());
                layers.into_iter().try_for_each(|layer| self.keep(layer))?;
            }
        }
        self.keep(descriptor)
    }

    fn has(&self, descriptor: &Descriptor) -> bool {
        self.spool.get(&blob_path(&descriptor.digest)).is_some() || self.store.has_blob(&descriptor.digest)
    }

    /// Brings a blob into the store, if it is what its name and its descriptor say.
    fn keep(&mut self, descriptor: &Descriptor) -> Result<(), LoadError> {
        let path = blob_path(&descriptor.digest);
        let Some(blob) = self.spool.take(&path) else {
            let is_here = self.store.has_blob(&descriptor.digest);
            return if is_here { Ok(()) } else { Err(LoadError::Missing(shown(&path))) };
        };
        if (blob.digest(), blob.size()) != (&descriptor.digest, descriptor.size) {
            let (found, size) = (blob.digest().clone(), blob.size());
            return Err(LoadError::Wrong { path: shown(&path), found, size });
        }
        Ok(blob.commit(self.store)?)
    }

    fn docker(&mut self) -> Result<Vec<Loaded>, LoadError> {
        let images: Vec<DockerImage> = self.json(MANIFEST)?;
        // Layers that several images share are in the archive once.
        let mut kept = BTreeMap::new();
        images.iter().map(|image| self.docker_image(image, &mut kept)).collect()
    }

    fn docker_image(
        &mut self,
        image: &DockerImage,
        kept: &mut BTreeMap<String, Descriptor>,
    ) -> Result<Loaded, LoadError> {
        let bytes = match kept.get(&self.spool.followed(&image.config)) {
            Some(known) => self.store.read_blob(&known.digest, DOCUMENT_LIMIT)?,
            None => self.document(&image.config)?,
        };
        let config = ImageConfig::parse(&bytes)
            .map_err(|source| LoadError::Json { path: shown(&image.config), source })?;
        let (layers, diff_ids) = (image.layers.len(), config.rootfs.diff_ids.len());
        if layers != diff_ids {
            return Err(LoadError::LayerCount { layers, diff_ids });
        }
        let config = self.docker_blob(&image.config, kept, |_| Ok(MediaType::OCI_CONFIG))?;
        let layer_of =
            |blob: &SealedBlob| Ok(MediaType::of_layer(compression(&blob.open()?).map_err(LoadError::Read)?));
        let layers: Result<Vec<_>, _> =
            image.layers.iter().map(|layer| self.docker_blob(layer, kept, layer_of)).collect();
        let layers = layers?;
        for layer in layers.iter().filter(|layer| layer.media_type.as_str() == MediaType::OCI_LAYER) {
            self.store.note_from_archive(&layer.digest)?;
        }
        let target = self.manifest(config, layers)?;
        let parse =
            |name: &String| Reference::parse(name).map_err(|error| LoadError::Name(name.clone(), error));
        let names: Result<Vec<_>, _> = image.repo_tags.iter().map(parse).collect();
        Ok(Loaded { target, names: names?.into_iter().map(Reference::or_latest).collect() })
    }

    /// Brings a file into the store, and tells what it is.
    fn docker_blob(
        &mut self,
        path: &str,
        kept: &mut BTreeMap<String, Descriptor>,
        media_type: impl Fn(&SealedBlob) -> Result<&'static str, LoadError>,
    ) -> Result<Descriptor, LoadError> {
        let file = self.spool.followed(path);
        if let Some(known) = kept.get(&file) {
            return Ok(known.clone());
        }
        let blob = self.spool.take(path).ok_or_else(|| LoadError::Missing(shown(path)))?;
        let descriptor = Descriptor::new(media_type(&blob)?, blob.digest().clone(), blob.size());
        blob.commit(self.store)?;
        kept.insert(file, descriptor.clone());
        Ok(descriptor)
    }

    fn manifest(&self, config: Descriptor, layers: Vec<Descriptor>) -> Result<Descriptor, LoadError> {
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(MediaType::new(MediaType::OCI_MANIFEST)),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: BTreeMap::new(),
        };
        let bytes = serde_json::to_vec(&manifest)
            .map_err(|source| LoadError::Json { path: shown(MANIFEST), source })?;
        Ok(Descriptor::new(MediaType::OCI_MANIFEST, self.store.add(&bytes)?, bytes.len() as u64))
    }

    fn json<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, LoadError> {
        let bytes = self.document(path)?;
        serde_json::from_slice(&bytes).map_err(|source| LoadError::Json { path: shown(path), source })
    }

    fn document(&self, path: &str) -> Result<Vec<u8>, LoadError> {
        let blob = self.spool.get(path).ok_or_else(|| LoadError::Missing(shown(path)))?;
        if blob.size() > DOCUMENT_LIMIT {
            return Err(LoadError::TooLong { path: shown(path), size: blob.size() });
        }
        let mut bytes = Vec::new();
        blob.open()?.take(DOCUMENT_LIMIT).read_to_end(&mut bytes).map_err(LoadError::Read)?;
        Ok(bytes)
    }
}

fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}

/// The name of an entry: containerd's annotation, or OCI's if it is more than a tag.
fn name_of(entry: &Descriptor) -> Result<Option<Reference>, LoadError> {
    let full = entry.annotations.get(CONTAINERD_NAME);
    let short = entry.annotations.get(REF_NAME).filter(|name| name.contains(['/', ':']));
    let Some(name) = full.or(short) else { return Ok(None) };
    let parsed = Reference::parse(name).map_err(|error| LoadError::Name(name.clone(), error))?;
    Ok(Some(parsed.or_latest()))
}
