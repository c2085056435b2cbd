//! Carrying images without a registry: archives and directories that other programs read and write.
//!
//! ```text
//! save       images of the store to an archive or a layout
//! spool      an archive from a stream into the store, as blobs of which it is not yet known what they are
//! load       what a spool has: OCI's index or docker's manifest.json
//! ```

mod load;
mod save;
mod spool;

pub use load::{Layout, LoadError, Loaded, load};
pub(crate) use save::take_back;
pub use save::{Format, SaveError, SavedImage, save, save_directory};
pub use spool::{SpoolError, spool_directory};

/// Where an OCI layout has its index.
const INDEX: &str = "index.json";

/// What says that something is an OCI layout.
const LAYOUT: &str = "oci-layout";

/// The content of [`LAYOUT`].
const LAYOUT_TEXT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// Where docker's archives say which images they have.
const MANIFEST: &str = "manifest.json";

/// The annotation of an index's entry that has the image's name in full (containerd and docker).
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// The annotation of an index's entry that has a name (image-spec, annotations.md).
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// An image in docker's `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    /// The file with the configuration.
    config: String,
    /// The names.
    #[serde(default, deserialize_with = "null_is_empty")]
    repo_tags: Vec<String>,
    /// The files with the layers, the lowest first.
    #[serde(default, deserialize_with = "null_is_empty")]
    layers: Vec<String>,
}

fn null_is_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(<Option<Vec<String>> as serde::Deserialize>::deserialize(deserializer)?.unwrap_or_default())
}
