//! What a pull will do, as data with no choice left.

use crate::digest::Digest;
use crate::fetch::LayerJob;
use crate::image::{Compression, Descriptor, ImageConfig, Kind, Manifest};
use crate::reference::Reference;
use crate::store::Store;
use std::collections::HashSet;

/// One thing that a pull does. They are in the order in which they begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The blob is here: nothing is done.
    Have(Descriptor),
    /// The blob is brought in from the registry.
    Fetch(Descriptor),
    /// The layer is unpacked, while its blob comes if it has to come.
    Unpack(LayerJob),
    /// The tag is recorded, which makes the image visible. It is the last step, and there is one.
    Record {
        /// The name that the image gets.
        reference: Reference,
        /// The manifest or index that it names.
        target: Descriptor,
    },
}

/// All that a pull does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullPlan {
    /// What is done.
    pub steps: Vec<Step>,
}

/// What there is already; the store, but for tests.
pub trait Inventory {
    /// Whether the blob is here.
    fn has_blob(&self, digest: &Digest) -> bool;
    /// Whether the layer is here, unpacked.
    fn has_layer(&self, diff_id: &Digest) -> bool;
}

impl Inventory for Store {
    fn has_blob(&self, digest: &Digest) -> bool {
        Self::has_blob(self, digest)
    }

    fn has_layer(&self, diff_id: &Digest) -> bool {
        Self::has_layer(self, diff_id)
    }
}

/// Why there is no plan for an image.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A layer cannot be brought to its digest.
    #[error(
        "the manifest has {layers} layers and the configuration {diff_ids} diff_ids, which must be one for each"
    )]
    LayerCount {
        /// In the manifest.
        layers: usize,
        /// In the configuration.
        diff_ids: usize,
    },
    /// What is called a layer is none.
    #[error("layer {digest} is of type {media_type}, which is no type of layer that is supported")]
    NoLayer {
        /// Which.
        digest: Digest,
        /// Its media type.
        media_type: String,
    },
}

/// The layers of an image with what they have to be.
///
/// # Errors
/// [`PlanError`] if manifest and configuration do not fit each other.
pub fn layer_jobs(manifest: &Manifest, config: &ImageConfig) -> Result<Vec<LayerJob>, PlanError> {
    let (layers, diff_ids) = (manifest.layers.len(), config.rootfs.diff_ids.len());
    if layers != diff_ids {
        return Err(PlanError::LayerCount { layers, diff_ids });
    }
    manifest
        .layers
        .iter()
        .zip(&config.rootfs.diff_ids)
        .map(|(layer, diff_id)| layer_job(layer, diff_id))
        .collect()
}

fn layer_job(layer: &Descriptor, diff_id: &Digest) -> Result<LayerJob, PlanError> {
    let compression = layer_compression(layer)?;
    let (digest, diff_id) = (layer.digest.clone(), diff_id.clone());
    Ok(LayerJob { digest, size: layer.size, compression, diff_id })
}

fn layer_compression(layer: &Descriptor) -> Result<Compression, PlanError> {
    match layer.media_type.kind() {
        Kind::Layer(compression) | Kind::ForeignLayer(compression) => Ok(compression),
        _ => Err(PlanError::NoLayer {
            digest: layer.digest.clone(),
            media_type: layer.media_type.as_str().to_owned(),
        }),
    }
}

impl PullPlan {
    /// Plans an image: what is missing of `blobs` is fetched, what is not unpacked of `layers` is, and `reference` then
    /// names `target`.
    #[must_use]
    pub fn new(
        inventory: &dyn Inventory,
        blobs: &[Descriptor],
        layers: &[LayerJob],
        reference: &Reference,
        target: &Descriptor,
    ) -> Self {
        let mut steps = Vec::new();
        let mut seen = HashSet::new();
        for blob in blobs.iter().filter(|blob| seen.insert(blob.digest.clone())) {
            let step = if inventory.has_blob(&blob.digest) { Step::Have } else { Step::Fetch };
            steps.push(step(blob.clone()));
        }
        let mut seen = HashSet::new();
        for job in layers.iter().filter(|job| seen.insert(job.diff_id.clone())) {
            if !inventory.has_layer(&job.diff_id) {
                steps.push(Step::Unpack(job.clone()));
            }
        }
        steps.push(Step::Record { reference: reference.clone(), target: target.clone() });
        Self { steps }
    }
}
