//! A layer, a configuration and a manifest on those of a base.

use super::{AddLayerError, ConfigChange, NewLayer, ViewError, add_layer, tree_of};
use crate::cli::Moment;
use crate::image::{
    Compression, ContainerConfig, Descriptor, History, ImageConfig, Manifest, MediaType, RootFs,
};
use crate::layer::pack::Source;
use crate::layer::view::Directory;
use crate::platform::Platform;
use crate::reference::Reference;
use crate::store::{Image, Store, StoreError};
use mydocker_sys::fs::{OFlag, open};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where what was changed lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// In the upper directory of an overlay mount over the base.
    Upper(PathBuf),
    /// In a root file system that began as a copy of the base.
    Rootfs(PathBuf),
    /// In `upper`, which began as a copy of `lower`.
    Trees {
        /// The tree before.
        lower: PathBuf,
        /// The tree after.
        upper: PathBuf,
    },
}

/// How an image is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitOptions {
    /// Who made it.
    pub author: Option<String>,
    /// What was done, in the words of who did it.
    pub message: Option<String>,
    /// Which command did it.
    pub created_by: Option<String>,
    /// When; now if not given.
    pub created: Option<Moment>,
    /// How it is run, in place of what the base says: that of the container, before `changes`.
    pub config: Option<ContainerConfig>,
    /// What is changed in that.
    pub changes: Vec<ConfigChange>,
    /// How the layer is compressed.
    pub compression: Compression,
    /// What it runs on, if there is no base to say it; this host if not given.
    pub platform: Option<Platform>,
    /// The name that it gets. Without one nothing leads to it, and `gc` removes it.
    pub reference: Option<Reference>,
}

impl Default for CommitOptions {
    fn default() -> Self {
        Self {
            author: None,
            message: None,
            created_by: None,
            created: None,
            config: None,
            changes: Vec::new(),
            compression: Compression::Gzip,
            platform: None,
            reference: None,
        }
    }
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The layer.
    #[error(transparent)]
    Layer(#[from] AddLayerError),
    /// The tree of the base.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A directory.
    #[error("cannot open the directory {path:?}")]
    Open {
        /// Which.
        path: PathBuf,
        /// What the kernel says.
        source: mydocker_sys::Error,
    },
    /// There is nothing that a root file system could be compared with.
    #[error("a whole root file system can only be committed with the image that it began as")]
    NoBase,
    /// A layer of the base has no type that an image of OCI can have.
    #[error("layer {0} of the base is of type {1}, which is no type of layer that is supported")]
    NoLayer(crate::digest::Digest, MediaType),
}

/// Makes what was changed since `base` a layer, and the two an image of the store. Without a base the layer is all of it.
///
/// # Errors
/// [`CommitError`]; then the names of the store are what they were.
pub fn commit(
    store: &Store,
    base: Option<&Image>,
    changes: &Changes,
    options: &CommitOptions,
) -> Result<Image, CommitError> {
    let _hold = store.hold()?;
    let source = match (changes, base) {
        (Changes::Upper(path), _) => Source::Upper(plain(path)?),
        (Changes::Trees { lower, upper }, _) => {
            Source::Difference { lower: plain(lower)?, upper: plain(upper)? }
        }
        (Changes::Rootfs(path), Some(base)) => {
            Source::Difference { lower: tree_of(store, base)?, upper: plain(path)? }
        }
        (Changes::Rootfs(_), None) => return Err(CommitError::NoBase),
    };
    let layer = add_layer(store, &source, options.compression)?;
    image_of_layer(store, base, layer, options)
}

fn plain(path: &Path) -> Result<Directory, CommitError> {
    let directory = open(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY);
    directory.map(Directory::plain).map_err(|source| CommitError::Open { path: path.to_owned(), source })
}

/// Makes an image of a base and one more layer of the store, which has to be held since before the layer came.
///
/// # Errors
/// [`CommitError`].
pub fn image_of_layer(
    store: &Store,
    base: Option<&Image>,
    layer: NewLayer,
    options: &CommitOptions,
) -> Result<Image, CommitError> {
    let mut layers = match base {
        Some(base) => base.manifest.layers.iter().map(as_oci).collect::<Result<_, _>>()?,
        None => Vec::new(),
    };
    layers.push(layer.descriptor);
    let config = config(base, layer.diff_id, options);
    let config_descriptor = add_document(store, MediaType::OCI_CONFIG, &config)?;
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(MediaType::new(MediaType::OCI_MANIFEST)),
        artifact_type: None,
        config: config_descriptor,
        layers,
        subject: None,
        annotations: BTreeMap::new(),
    };
    let target = add_document(store, MediaType::OCI_MANIFEST, &manifest)?;
    if let Some(reference) = &options.reference {
        store.record(reference, &target)?;
    }
    Ok(Image { target, manifest, config })
}

fn add_document(
    store: &Store,
    media_type: &str,
    document: &impl serde::Serialize,
) -> Result<Descriptor, StoreError> {
    let failed = crate::store::failed("write a document below", store.root());
    let bytes = serde_json::to_vec(document).map_err(|error| failed(error.into()))?;
    Ok(Descriptor::new(media_type, store.add(&bytes)?, bytes.len() as u64))
}

fn as_oci(layer: &Descriptor) -> Result<Descriptor, CommitError> {
    let no_layer = || CommitError::NoLayer(layer.digest.clone(), layer.media_type.clone());
    layer.layer_as_oci().ok_or_else(no_layer)
}

fn config(base: Option<&Image>, diff_id: crate::digest::Digest, options: &CommitOptions) -> ImageConfig {
    let mut config = match base {
        Some(base) => base.config.clone(),
        None => from_nothing(options.platform.clone().unwrap_or_else(Platform::host)),
    };
    let created = options.created.unwrap_or_else(Moment::now).in_documents();
    if let Some(container) = &options.config {
        config.config = container.clone();
    }
    ConfigChange::apply_all(&options.changes, &mut config.config);
    // What docker tells of the container that an image was made from would be another's now.
    for field in ["container", "container_config"] {
        config.other.remove(field);
    }
    complete_history(&mut config);
    config.rootfs.diff_ids.push(diff_id);
    config.created = Some(created.clone());
    config.author = options.author.clone().or(config.author);
    config.history.push(History {
        created: Some(created),
        created_by: options.created_by.clone(),
        author: options.author.clone(),
        comment: options.message.clone(),
        empty_layer: false,
    });
    config
}

/// Gives each layer of a base an entry in its history. One that has none for some, as other programs make them, is taken by
/// itself; but podman makes no image of one whose history tells of fewer layers than there are.
fn complete_history(config: &mut ImageConfig) {
    let told = config.history.iter().filter(|entry| !entry.empty_layer).count();
    let missing = config.rootfs.diff_ids.len().saturating_sub(told);
    let unknown = History { created: config.created.clone(), ..History::default() };
    config.history.splice(..0, vec![unknown; missing]);
}

fn from_nothing(platform: Platform) -> ImageConfig {
    ImageConfig {
        architecture: platform.architecture,
        variant: platform.variant,
        os: platform.os,
        rootfs: RootFs { kind: "layers".to_owned(), diff_ids: Vec::new() },
        ..ImageConfig::default()
    }
}
