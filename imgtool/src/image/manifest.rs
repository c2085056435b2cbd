//! Manifests and indexes.

use super::{Descriptor, Kind, MediaType};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A manifest: the configuration and the layers of an image for one platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// What it calls itself; OCI leaves it out at times, docker never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// What kind of artifact it is, if it is no image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, the lowest first.
    pub layers: Vec<Descriptor>,
    /// What it is about, if it is a signature or the like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// What else there is to say.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "super::config::null_is_default"
    )]
    pub annotations: BTreeMap<String, String>,
}

/// An index: manifests of one image for several platforms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// What it calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// What kind of artifact it is, if it is no image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The manifests, the preferred first.
    pub manifests: Vec<Descriptor>,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// What else there is to say.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "super::config::null_is_default"
    )]
    pub annotations: BTreeMap<String, String>,
}

/// What a reference can lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// A manifest.
    Manifest(Box<Manifest>),
    /// An index.
    Index(Box<Index>),
}

/// Why a document is not believed.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// It is no JSON, or not of this shape.
    #[error("it is no valid {what}")]
    Json {
        /// What it should have been.
        what: &'static str,
        /// Where and why.
        source: serde_json::Error,
    },
    /// It is a manifest and an index at once (CVE-2021-41190): one client would see this image and another that one.
    #[error("it has both {0:?} and {1:?}, so that it could be read in two ways")]
    Ambiguous(&'static str, &'static str),
    /// It calls itself something else than it was announced as.
    #[error("it was announced as {announced} and calls itself {found}")]
    Mismatch {
        /// The `Content-Type`, or the media type in the descriptor.
        announced: MediaType,
        /// Its own `mediaType`.
        found: MediaType,
    },
    /// Neither its own type nor that of whoever pointed to it is known.
    #[error("{0} is no type of manifest that is supported")]
    Unsupported(MediaType),
    /// Schema 1 has no digest that proves its bytes.
    #[error(
        "it is a docker manifest of schema 1, which is not supported; push the image again with a current client"
    )]
    Schema1,
    /// There is neither a type nor a field that tells what it is.
    #[error("it has neither \"manifests\" nor \"layers\", and does not say what it is")]
    Unknown,
    /// Another schema.
    #[error("its schemaVersion is {0}; supported is 2")]
    Schema(u32),
}

/// The fields that tell what a document is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Probe {
    #[serde(default)]
    schema_version: u32,
    #[serde(default)]
    media_type: Option<MediaType>,
    #[serde(default, deserialize_with = "present")]
    manifests: bool,
    #[serde(default, deserialize_with = "present")]
    layers: bool,
    #[serde(default, deserialize_with = "present")]
    config: bool,
    #[serde(default, rename = "fsLayers", deserialize_with = "present")]
    fs_layers: bool,
}

fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    serde::de::IgnoredAny::deserialize(deserializer).map(|_| true)
}

impl Index {
    /// An index of nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            schema_version: 2,
            media_type: Some(MediaType::new(MediaType::OCI_INDEX)),
            artifact_type: None,
            manifests: Vec::new(),
            subject: None,
            annotations: BTreeMap::new(),
        }
    }
}

impl Document {
    /// Reads a manifest or an index. `announced` is the `Content-Type` it came with, or the type in the descriptor
    /// that pointed to it.
    ///
    /// # Errors
    /// [`DocumentError`], of which [`DocumentError::Ambiguous`] and [`DocumentError::Mismatch`] are attacks or mistakes
    /// of a registry.
    pub fn parse(bytes: &[u8], announced: Option<&MediaType>) -> Result<Self, DocumentError> {
        let probe: Probe = parse_json(bytes, "manifest")?;
        match probe.kind(announced)? {
            Kind::Index => Ok(Self::Index(Box::new(parse_json(bytes, "index")?))),
            _ => Ok(Self::Manifest(Box::new(parse_json(bytes, "manifest")?))),
        }
    }
}

impl Document {
    /// What it is: what it calls itself, else what it was announced as, else OCI's name for what it is.
    #[must_use]
    pub fn media_type(&self, announced: Option<MediaType>) -> MediaType {
        let (own, usual) = match self {
            Self::Manifest(manifest) => (&manifest.media_type, MediaType::OCI_MANIFEST),
            Self::Index(index) => (&index.media_type, MediaType::OCI_INDEX),
        };
        let announced = announced.filter(is_specific);
        own.clone().or(announced).unwrap_or_else(|| MediaType::new(usual))
    }
}

impl Probe {
    fn kind(&self, announced: Option<&MediaType>) -> Result<Kind, DocumentError> {
        let announced = announced.filter(|media_type| is_specific(media_type));
        if let (Some(announced), Some(found)) = (announced, &self.media_type)
            && announced != found
        {
            return Err(DocumentError::Mismatch { announced: announced.clone(), found: found.clone() });
        }
        if self.fs_layers || self.schema_version == 1 {
            return Err(DocumentError::Schema1);
        }
        for (field, there) in [("layers", self.layers), ("config", self.config)] {
            if self.manifests && there {
                return Err(DocumentError::Ambiguous("manifests", field));
            }
        }
        if self.schema_version != 2 {
            return Err(DocumentError::Schema(self.schema_version));
        }
        match self.media_type.as_ref().or(announced) {
            Some(media_type) => match media_type.kind() {
                kind @ (Kind::Manifest | Kind::Index) => Ok(kind),
                Kind::Schema1 => Err(DocumentError::Schema1),
                _ => Err(DocumentError::Unsupported(media_type.clone())),
            },
            None if self.manifests => Ok(Kind::Index),
            None if self.layers => Ok(Kind::Manifest),
            None => Err(DocumentError::Unknown),
        }
    }
}

/// Registries and proxies that do not know better say `application/json` or `text/plain`.
fn is_specific(media_type: &MediaType) -> bool {
    media_type.as_str().starts_with("application/vnd.")
}

fn parse_json<'de, T: Deserialize<'de>>(bytes: &'de [u8], what: &'static str) -> Result<T, DocumentError> {
    serde_json::from_slice(bytes).map_err(|source| DocumentError::Json { what, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn descriptor(media_type: &str) -> String {
        format!(r#"{{"mediaType":"{media_type}","digest":"{DIGEST}","size":7}}"#)
    }

    fn manifest(media_type: &str, more: &str) -> String {
        let config = descriptor(MediaType::DOCKER_CONFIG);
        let layer = descriptor(MediaType::OCI_LAYER_GZIP);
        format!(r#"{{"schemaVersion":2,{media_type}"config":{config},"layers":[{layer}]{more}}}"#)
    }

    fn parse(text: &str, announced: Option<&str>) -> Result<Document, DocumentError> {
        Document::parse(text.as_bytes(), announced.map(MediaType::new).as_ref())
    }

    fn refusal(text: &str, announced: Option<&str>) -> String {
        parse(text, announced).expect_err(text).to_string()
    }

    #[test]
    fn a_manifest_without_a_type_is_known_by_its_fields() {
        for announced in [None, Some(MediaType::OCI_MANIFEST), Some("application/json")] {
            let document = parse(&manifest("", ""), announced).expect("a manifest");
            assert!(matches!(document, Document::Manifest(manifest) if manifest.layers.len() == 1));
        }
        let index = r#"{"schemaVersion":2,"manifests":[]}"#;
        assert!(matches!(parse(index, None), Ok(Document::Index(_))));
    }

    #[test]
    fn a_document_that_can_be_read_in_two_ways_is_refused() {
        let both = manifest("", r#","manifests":[]"#);
        assert!(refusal(&both, Some(MediaType::OCI_MANIFEST)).contains("read in two ways"));
        assert!(refusal(&both, Some(MediaType::OCI_INDEX)).contains("read in two ways"));
        let doubled = manifest("", r#","layers":[]"#);
        let error = parse(&doubled, None).expect_err("layers twice");
        assert!(format!("{error:?}").contains("duplicate field"), "{error:?}");
    }

    #[test]
    fn a_type_that_is_not_the_announced_one_is_refused() {
        let text = manifest(&format!("\"mediaType\":\"{}\",", MediaType::DOCKER_MANIFEST), "");
        assert!(parse(&text, Some(MediaType::DOCKER_MANIFEST)).is_ok());
        assert!(refusal(&text, Some(MediaType::OCI_MANIFEST)).contains("announced as"));
        assert!(refusal(&text, Some(MediaType::OCI_INDEX)).contains("announced as"));
    }

    #[test]
    fn an_index_that_is_called_a_manifest_is_refused() {
        let index = r#"{"schemaVersion":2,"manifests":[]}"#;
        assert!(refusal(index, Some(MediaType::OCI_MANIFEST)).contains("no valid manifest"));
        assert!(refusal(&manifest("", ""), Some(MediaType::OCI_INDEX)).contains("no valid index"));
    }

    #[test]
    fn schema_1_and_unknown_documents_are_refused_by_name() {
        assert!(refusal(r#"{"schemaVersion":1,"fsLayers":[]}"#, None).contains("schema 1"));
        assert!(refusal(r#"{"schemaVersion":2}"#, None).contains("does not say what it is"));
        assert!(refusal(r#"{"schemaVersion":3,"manifests":[]}"#, None).contains("schemaVersion is 3"));
        assert!(refusal("<html>", None).contains("no valid manifest"));
        let helm = r#"{"schemaVersion":2,"mediaType":"application/vnd.cncf.helm"}"#;
        assert!(refusal(helm, None).contains("application/vnd.cncf.helm"));
    }

    #[test]
    fn a_negative_size_is_refused() {
        let text = manifest("", "").replace("\"size\":7", "\"size\":-7");
        assert!(parse(&text, None).is_err());
    }
}
