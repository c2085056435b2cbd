//! Descriptors: how one document points to another.

use super::{Compression, Kind, MediaType};
use crate::digest::Digest;
use crate::platform::Platform;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a blob is, what proves it, and how long it is (image-spec, descriptor.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    pub media_type: MediaType,
    /// What proves it.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Where else it can be had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// What else there is to say.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "super::config::null_is_default"
    )]
    pub annotations: BTreeMap<String, String>,
    /// What it runs on; in the entries of an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// What kind of artifact it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
}

impl Descriptor {
    /// A descriptor of nothing but its three required parts.
    #[must_use]
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        let media_type = MediaType::new(media_type);
        Self {
            media_type,
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            platform: None,
            artifact_type: None,
        }
    }
    /// A layer under OCI's name for it, whoever's it had: the bytes are the same, and a manifest of OCI should have no other.
    /// `None` for what is no layer.
    #[must_use]
    pub fn layer_as_oci(&self) -> Option<Self> {
        let media_type = match self.media_type.kind() {
            Kind::Layer(compression) => MediaType::of_layer(compression),
            Kind::ForeignLayer(Compression::None) => MediaType::OCI_FOREIGN,
            Kind::ForeignLayer(Compression::Gzip) => MediaType::OCI_FOREIGN_GZIP,
            Kind::ForeignLayer(Compression::Zstd) => MediaType::OCI_FOREIGN_ZSTD,
            _ => return None,
        };
        Some(Self { media_type: MediaType::new(media_type), ..self.clone() })
    }
}
