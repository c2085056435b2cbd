//! The documents of an image (image-spec 1.1 and docker's schema 2): what they say, and whether they are to be believed.
//!
//! A parser takes bytes that were verified against a digest already, and refuses what could be read in two ways: a
//! document that is a manifest and an index at once, or one that calls itself something else than it was announced as.

mod config;
mod descriptor;
mod manifest;
mod media_type;

pub use config::{ContainerConfig, Healthcheck, History, ImageConfig, RootFs};
pub use descriptor::Descriptor;
pub use manifest::{Document, DocumentError, Index, Manifest};
pub use media_type::{Compression, Kind, MediaType};

/// What a manifest, an index or a configuration may have at the most, in bytes.
pub const DOCUMENT_LIMIT: u64 = 4 << 20;

/// The annotation of an entry in the store that tells which index its manifest was chosen from: the registry gives the
/// index's digest for the tag.
pub const INDEX_ANNOTATION: &str = "dev.mydocker.image.index";

/// The annotation of a bundle that tells the id of the image that it began as.
pub const BUNDLE_ANNOTATION: &str = "dev.mydocker.image.id";
