//! Media types: what a blob is said to be.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A media type as it was written, without parameters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MediaType(String);

/// How a layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// A plain tar.
    None,
    /// gzip, of one member or several.
    Gzip,
    /// zstd, of one frame or several.
    Zstd,
}

impl Compression {
    /// How something is compressed that begins with these bytes; four are enough.
    #[must_use]
    pub fn of(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // A frame, or one to be skipped.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::None,
        }
    }
}

/// What a media type stands for, whoever invented it. OCI and docker types occur in each other's documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A manifest: one configuration and layers.
    Manifest,
    /// An index or manifest list.
    Index,
    /// The configuration of an image.
    Config,
    /// A layer.
    Layer(Compression),
    /// A layer that may not be given to others, and lies where its URLs say.
    ForeignLayer(Compression),
    /// docker's schema 1, which cannot be verified by its digest and is not supported.
    Schema1,
    /// Anything else: an attestation, a signature, an artifact.
    Other,
}

macro_rules! known {
    ($($(#[$doc:meta])* $name:ident = $text:literal => $kind:expr;)*) => {
        impl MediaType {
            $($(#[$doc])* pub const $name: &'static str = $text;)*

            /// What it stands for.
            #[must_use]
            pub fn kind(&self) -> Kind {
                match self.0.as_str() {
                    $($text => $kind,)*
                    _ => Kind::Other,
                }
            }
        }
    };
}

known! {
    /// An OCI manifest.
    OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json" => Kind::Manifest;
    /// An OCI index.
    OCI_INDEX = "application/vnd.oci.image.index.v1+json" => Kind::Index;
    /// An OCI image configuration.
    OCI_CONFIG = "application/vnd.oci.image.config.v1+json" => Kind::Config;
    /// An OCI layer, not compressed.
    OCI_LAYER = "application/vnd.oci.image.layer.v1.tar" => Kind::Layer(Compression::None);
    /// An OCI layer with gzip.
    OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip" => Kind::Layer(Compression::Gzip);
    /// An OCI layer with zstd.
    OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd" => Kind::Layer(Compression::Zstd);
    /// An OCI layer that may not be distributed; deprecated since image-spec 1.1.
    OCI_FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar" => Kind::ForeignLayer(Compression::None);
    /// The same with gzip.
    OCI_FOREIGN_GZIP = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
        => Kind::ForeignLayer(Compression::Gzip);
    /// The same with zstd.
    OCI_FOREIGN_ZSTD = "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"
        => Kind::ForeignLayer(Compression::Zstd);
    /// The empty document, `{}`, that stands where an artifact has no configuration.
    OCI_EMPTY = "application/vnd.oci.empty.v1+json" => Kind::Other;
    /// A docker manifest, schema 2.
    DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json" => Kind::Manifest;
    /// A docker manifest list.
    DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json" => Kind::Index;
    /// A docker image configuration.
    DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json" => Kind::Config;
    /// A docker layer, not compressed.
    DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar" => Kind::Layer(Compression::None);
    /// A docker layer with gzip.
    DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip" => Kind::Layer(Compression::Gzip);
    /// A docker layer with zstd, as buildkit and podman write it.
    DOCKER_LAYER_ZSTD = "application/vnd.docker.image.rootfs.diff.tar.zstd" => Kind::Layer(Compression::Zstd);
    /// A docker layer that may not be distributed.
    DOCKER_FOREIGN_GZIP = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
        => Kind::ForeignLayer(Compression::Gzip);
    /// A docker manifest, schema 1.
    DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json" => Kind::Schema1;
    /// A signed docker manifest, schema 1.
    DOCKER_SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws" => Kind::Schema1;
}

impl MediaType {
    /// The type without its parameters (`; charset=utf-8`), in lower case: that is how a `Content-Type` is compared.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let plain = text.split(';').next().unwrap_or_default();
        Self(plain.trim().to_ascii_lowercase())
    }

    /// OCI's type of a layer.
    #[must_use]
    pub fn of_layer(compression: Compression) -> &'static str {
        match compression {
            Compression::None => Self::OCI_LAYER,
            Compression::Gzip => Self::OCI_LAYER_GZIP,
            Compression::Zstd => Self::OCI_LAYER_ZSTD,
        }
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether docker invented it.
    #[must_use]
    pub fn is_docker(&self) -> bool {
        self.0.starts_with("application/vnd.docker.")
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_case_do_not_matter() {
        let media_type = MediaType::new(" Application/vnd.oci.image.index.v1+json; charset=utf-8");
        assert_eq!((media_type.as_str(), media_type.kind()), (MediaType::OCI_INDEX, Kind::Index));
    }

    #[test]
    fn kinds_do_not_depend_on_the_inventor() {
        for (text, kind) in [
            (MediaType::DOCKER_MANIFEST, Kind::Manifest),
            (MediaType::DOCKER_LIST, Kind::Index),
            (MediaType::DOCKER_LAYER_GZIP, Kind::Layer(Compression::Gzip)),
            (MediaType::OCI_LAYER_ZSTD, Kind::Layer(Compression::Zstd)),
            (MediaType::DOCKER_SCHEMA1_SIGNED, Kind::Schema1),
            ("application/vnd.in-toto+json", Kind::Other),
        ] {
            assert_eq!(MediaType::new(text).kind(), kind, "{text}");
        }
    }
}
