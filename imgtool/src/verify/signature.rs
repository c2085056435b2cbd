//! Signatures as cosign keeps them in a registry: the layers of an artifact, each a document that was signed, with the
//! signature in an annotation.

use super::{Identity, PublicKey};
use crate::digest::Digest;
use crate::reference::Reference;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

/// The annotation with the signature.
pub const SIGNATURE_ANNOTATION: &str = "dev.cosignproject.cosign/signature";

/// What the document calls itself; atomic's is what it was modelled on.
const KINDS: [&str; 2] = ["cosign container image signature", "atomic container signature"];

/// A signature that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Where, for messages.
    pub origin: String,
    /// The document.
    pub payload: Vec<u8>,
    /// The signature in base64.
    pub signature: String,
}

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFault {
    /// No key has made it.
    #[error("it was made with none of the keys")]
    Key,
    /// It is signed, and no signature of an image.
    #[error("what is signed is no signature of an image")]
    Payload,
    /// It is of another image.
    #[error("it is a signature of {0}, another image")]
    Digest(String),
    /// It is of the same image by another name.
    #[error("it is a signature of the name {0:?}, which the policy does not accept here")]
    Identity(String),
}

/// The document (containers-signature(5)), as far as it is looked at.
#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    #[serde(rename = "type")]
    kind: String,
    image: Image,
    identity: Named,
}

#[derive(Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

#[derive(Deserialize)]
struct Named {
    #[serde(rename = "docker-reference")]
    reference: String,
}

/// The tag under which cosign keeps the signatures of a manifest.
#[must_use]
pub fn signature_tag(digest: &Digest) -> String {
    format!("{}-{}.sig", digest.algorithm().name(), digest.hex())
}

impl Candidate {
    /// Whether one of the keys has signed one of the digests under a name that is accepted, and which key.
    ///
    /// # Errors
    /// [`SignatureFault`]. Nothing of the document is believed before its signature is right.
    pub fn check<'k>(
        &self,
        keys: &'k [PublicKey],
        digests: &[Digest],
        name: &Reference,
        identity: &Identity,
    ) -> Result<&'k PublicKey, SignatureFault> {
        let signature = BASE64_STANDARD.decode(self.signature.trim()).map_err(|_| SignatureFault::Key)?;
        let key = keys.iter().find(|key| key.has_signed(&self.payload, &signature));
        let key = key.ok_or(SignatureFault::Key)?;
        let payload: Payload = serde_json::from_slice(&self.payload).map_err(|_| SignatureFault::Payload)?;
        let Critical { kind, image, identity: named } = payload.critical;
        if !KINDS.contains(&kind.as_str()) {
            return Err(SignatureFault::Payload);
        }
        if !digests.iter().any(|digest| digest.as_str() == image.digest) {
            return Err(SignatureFault::Digest(image.digest));
        }
        if !identity.accepts(&named.reference, name) {
            return Err(SignatureFault::Identity(named.reference));
        }
        Ok(key)
    }
}
