//! What a pull will do, as data with no choice left.

use crate::digest::Digest;
use crate::fetch::LayerJob;
use crate::image::{Compression, Descriptor, ImageConfig, Kind, Manifest};
use crate::reference::Reference;
use crate::resolve::Resolved;
use crate::store::Store;
use std::collections::HashSet;
use std::fmt;

/// One thing that a pull does. They are in the order in which they begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The blob is here: nothing is done.
    Have(Descriptor),
    /// The document, which was read to make this plan, is put into the store.
    Keep(Descriptor),
    /// The blob is brought in from the registry.
    Fetch(Descriptor),
    /// The layer is unpacked, while its blob comes if it has to come.
    Unpack(LayerJob),
    /// The tag is recorded, which makes the image visible. It is the last step, and left out only if nothing changes.
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
    /// Whether the name stands for just this.
    fn has_name(&self, reference: &Reference, target: &Descriptor) -> bool;
}

impl Inventory for Store {
    fn has_blob(&self, digest: &Digest) -> bool {
        Self::has_blob(self, digest)
    }

    fn has_layer(&self, diff_id: &Digest) -> bool {
        Self::has_layer(self, diff_id)
    }

    fn has_name(&self, reference: &Reference, target: &Descriptor) -> bool {
        // An index that cannot be read is found out when the name is recorded.
        self.lookup(reference).ok().flatten().as_ref() == Some(target)
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
        .zip(config.rootfs.stacked())
        .map(|((layer, diff_id), stacked)| layer_job(layer, diff_id, stacked))
        .collect()
}

fn layer_job(layer: &Descriptor, diff_id: &Digest, stacked: Digest) -> Result<LayerJob, PlanError> {
    let compression = layer_compression(layer)?;
    let (digest, diff_id) = (layer.digest.clone(), diff_id.clone());
    Ok(LayerJob { digest, size: layer.size, compression, diff_id, stacked })
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
    /// Plans what a name leads to: documents and layers that are missing come into the store, layers that are not
    /// unpacked are if `unpack`, and `reference` then names the image.
    #[must_use]
    pub fn new(inventory: &dyn Inventory, resolved: &Resolved, reference: &Reference, unpack: bool) -> Self {
        let mut steps = Vec::new();
        let mut seen = HashSet::new();
        for kept in resolved.documents.iter().filter(|kept| seen.insert(kept.descriptor.digest.clone())) {
            let step = if inventory.has_blob(&kept.descriptor.digest) { Step::Have } else { Step::Keep };
            steps.push(step(kept.descriptor.clone()));
        }
        let layers = resolved.images.iter().flat_map(|image| &image.manifest.layers);
        for layer in layers.filter(|layer| seen.insert(layer.digest.clone())) {
            let step = if inventory.has_blob(&layer.digest) { Step::Have } else { Step::Fetch };
            steps.push(step(layer.clone()));
        }
        let mut seen = HashSet::new();
        let jobs = resolved.images.iter().flat_map(|image| &image.layers).filter(|_| unpack);
        for job in jobs.filter(|job| seen.insert(job.diff_id.clone())) {
            if !inventory.has_layer(&job.diff_id) && !inventory.has_layer(&job.stacked) {
                steps.push(Step::Unpack(job.clone()));
            }
        }
        if !steps.iter().all(|step| matches!(step, Step::Have(_)))
            || !inventory.has_name(reference, &resolved.target)
        {
            steps.push(Step::Record { reference: reference.clone(), target: resolved.target.clone() });
        }
        Self { steps }
    }

    /// How many bytes come from the registry.
    #[must_use]
    pub fn bytes_to_fetch(&self) -> u64 {
        let size = |step: &Step| if let Step::Fetch(blob) = step { blob.size } else { 0 };
        self.steps.iter().map(size).sum()
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Have(blob) => write!(formatter, "have    {} ({} bytes)", blob.digest, blob.size),
            Self::Keep(blob) => write!(formatter, "keep    {} ({} bytes)", blob.digest, blob.size),
            Self::Fetch(blob) => write!(formatter, "fetch   {} ({} bytes)", blob.digest, blob.size),
            Self::Unpack(job) => write!(formatter, "unpack  {} from {}", job.diff_id, job.digest),
            Self::Record { reference, target } => {
                write!(formatter, "record  {reference} as {}", target.digest)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::MediaType;
    use crate::resolve::{Image, Kept};

    struct Has(Vec<Digest>);

    impl Inventory for Has {
        fn has_blob(&self, digest: &Digest) -> bool {
            self.0.contains(digest)
        }

        fn has_layer(&self, diff_id: &Digest) -> bool {
            self.0.contains(diff_id)
        }

        fn has_name(&self, _: &Reference, target: &Descriptor) -> bool {
            self.0.contains(&target.digest)
        }
    }

    fn digest(name: &str) -> Digest {
        Digest::sha256(name.as_bytes())
    }

    fn layer(name: &str) -> Descriptor {
        Descriptor::new(MediaType::OCI_LAYER_GZIP, digest(name), 10)
    }

    fn manifest(layers: &[&str]) -> Manifest {
        Manifest {
            schema_version: 2,
            media_type: None,
            artifact_type: None,
            config: Descriptor::new(MediaType::OCI_CONFIG, digest("config"), 2),
            layers: layers.iter().map(|name| layer(name)).collect(),
            subject: None,
            annotations: std::collections::BTreeMap::new(),
        }
    }

    fn config(diff_ids: &[&str]) -> ImageConfig {
        let mut config = ImageConfig::default();
        config.rootfs.diff_ids = diff_ids.iter().map(|name| digest(name)).collect();
        config
    }

    fn resolved(layers: &[&str], diff_ids: &[&str]) -> Resolved {
        let descriptor = Descriptor::new(MediaType::OCI_MANIFEST, digest("manifest"), 1);
        let (manifest, config) = (manifest(layers), config(diff_ids));
        let layers = layer_jobs(&manifest, &config).expect("as many");
        Resolved {
            target: descriptor.clone(),
            digest: descriptor.digest.clone(),
            images: vec![Image { descriptor: descriptor.clone(), manifest, config, layers }],
            documents: vec![Kept { descriptor, bytes: Vec::new() }],
        }
    }

    fn words(has: &[&str], resolved: &Resolved, unpack: bool) -> Vec<String> {
        let reference = Reference::parse("a:b").expect("a name");
        let has = Has(has.iter().map(|name| digest(name)).collect());
        let plan = PullPlan::new(&has, resolved, &reference, unpack);
        plan.steps
            .iter()
            .map(|step| step.to_string().split(' ').next().unwrap_or_default().to_owned())
            .collect()
    }

    #[test]
    fn what_is_missing_is_fetched_and_unpacked_and_the_tag_comes_last() {
        let resolved = resolved(&["a", "b"], &["A", "B"]);
        assert_eq!(words(&[], &resolved, true), ["keep", "fetch", "fetch", "unpack", "unpack", "record"]);
        assert_eq!(
            words(&["a", "A", "manifest"], &resolved, true),
            ["have", "have", "fetch", "unpack", "record"]
        );
        assert_eq!(words(&["a"], &resolved, false), ["keep", "have", "fetch", "record"]);
        let all = ["a", "A", "b", "B", "manifest"];
        assert_eq!(words(&all, &resolved, true), ["have", "have", "have"]);
    }

    #[test]
    fn a_layer_that_occurs_twice_comes_once() {
        let resolved = resolved(&["a", "a", "b"], &["A", "A", "A"]);
        assert_eq!(words(&[], &resolved, true), ["keep", "fetch", "fetch", "unpack", "record"]);
    }

    #[test]
    fn manifest_and_configuration_have_to_fit() {
        let error = layer_jobs(&manifest(&["a", "b"]), &config(&["A"])).expect_err("one is missing");
        assert_eq!(
            error.to_string(),
            "the manifest has 2 layers and the configuration 1 diff_ids, which must be one for each"
        );
        let mut odd = manifest(&["a"]);
        odd.layers[0].media_type = MediaType::new("application/vnd.in-toto+json");
        assert!(layer_jobs(&odd, &config(&["A"])).is_err());
    }
}
