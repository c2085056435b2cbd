//! What there is to know of an image without its layers.

use super::{Store, StoreError};
use crate::digest::Digest;
use crate::image::{DOCUMENT_LIMIT, Descriptor, Document, ImageConfig, Manifest};
use crate::platform::Platform;
use std::fs;
use std::path::PathBuf;

/// An image: its manifest and its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Points to the manifest.
    pub target: Descriptor,
    /// The manifest.
    pub manifest: Manifest,
    /// The configuration.
    pub config: ImageConfig,
}

/// A layer of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageLayer {
    /// The digest of the layer when it is not compressed.
    pub diff_id: Digest,
    /// Where it lies unpacked; `None` if it is not.
    pub path: Option<PathBuf>,
    /// How many bytes its files have, or its blob if that is not known.
    pub size: u64,
}

impl Image {
    /// What docker calls the image's id: the digest of its configuration.
    #[must_use]
    pub fn id(&self) -> &Digest {
        &self.manifest.config.digest
    }
}

impl Store {
    /// The image that a name of the store stands for; of an image for several platforms, that for this host, or the
    /// first that is here.
    ///
    /// # Errors
    /// [`StoreError`]: a document is missing, damaged or not what it should be.
    pub fn image(&self, target: &Descriptor) -> Result<Image, StoreError> {
        match self.document(target)? {
            Document::Manifest(manifest) => {
                let config = self.config(&manifest)?;
                Ok(Image { target: target.clone(), manifest: *manifest, config })
            }
            Document::Index(index) => {
                let host = Platform::host();
                let here = index.manifests.iter().filter(|entry| self.has_blob(&entry.digest));
                let fit = |entry: &&Descriptor| {
                    entry.platform.as_ref().and_then(|platform| host.accepts(platform)).unwrap_or(u32::MAX)
                };
                let best = here.min_by_key(fit).ok_or_else(|| StoreError::Missing(target.digest.clone()))?;
                self.image(best)
            }
        }
    }

    /// Reads a manifest or an index.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn document(&self, descriptor: &Descriptor) -> Result<Document, StoreError> {
        let bytes = self.read_blob(&descriptor.digest, DOCUMENT_LIMIT)?;
        Document::parse(&bytes, Some(&descriptor.media_type))
            .map_err(|source| StoreError::Document { digest: descriptor.digest.clone(), source })
    }

    /// Reads the configuration of an image.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn config(&self, manifest: &Manifest) -> Result<ImageConfig, StoreError> {
        let digest = &manifest.config.digest;
        let bytes = self.read_blob(digest, DOCUMENT_LIMIT)?;
        ImageConfig::parse(&bytes).map_err(|source| StoreError::Config { digest: digest.clone(), source })
    }

    /// How many bytes the files of an unpacked layer have, if that is known.
    #[must_use]
    pub fn layer_size(&self, diff_id: &Digest) -> Option<u64> {
        fs::read_to_string(self.layer_size_path(diff_id)).ok()?.parse().ok()
    }

    /// How many bytes the files of an image have; a layer that is not unpacked counts as its blob.
    #[must_use]
    pub fn image_size(&self, image: &Image) -> u64 {
        self.layers(image).iter().map(|layer| layer.size).fold(0, u64::saturating_add)
    }

    /// What the unpacked layers of an image are called, the lowest first: by these digests [`layer_path`](Self::layer_path)
    /// finds them. One that is not unpacked is called by its diffID.
    #[must_use]
    pub fn layer_keys(&self, config: &ImageConfig) -> Vec<Digest> {
        let keys = config.rootfs.diff_ids.iter().zip(config.rootfs.stacked());
        keys.map(|(diff_id, stacked)| self.unpacked(diff_id, &stacked).unwrap_or_else(|| diff_id.clone()))
            .collect()
    }

    /// The layers of an image, the lowest first.
    #[must_use]
    pub fn layers(&self, image: &Image) -> Vec<ImageLayer> {
        let rootfs = &image.config.rootfs;
        let layers = image.manifest.layers.iter().zip(&rootfs.diff_ids).zip(rootfs.stacked());
        let layer = |((layer, diff_id), stacked): ((&Descriptor, &Digest), Digest)| {
            let key = self.unpacked(diff_id, &stacked);
            let size = key.as_ref().and_then(|key| self.layer_size(key)).unwrap_or(layer.size);
            ImageLayer { diff_id: diff_id.clone(), path: key.map(|key| self.layer_path(&key)), size }
        };
        layers.map(layer).collect()
    }
}
