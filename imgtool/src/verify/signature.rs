//! Signatures as cosign keeps them in a registry: the layers of an artifact, each a document that was signed, with the
//! signature in an annotation.

use super::Signed;
use super::bundle::certificates_in;
use super::evidence::{Evidence, EvidenceFault};
use super::log::Entry;
use crate::digest::Digest;
use crate::reference::Reference;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The annotation with the signature.
pub const SIGNATURE_ANNOTATION: &str = "dev.cosignproject.cosign/signature";

/// The annotation with the certificate of who has signed, in PEM.
pub const CERTIFICATE_ANNOTATION: &str = "dev.sigstore.cosign/certificate";

/// The annotation with the certificates that lie between that and a root.
pub const CHAIN_ANNOTATION: &str = "dev.sigstore.cosign/chain";

/// The annotation with the entry of a log.
pub const LOG_ANNOTATION: &str = "dev.sigstore.cosign/bundle";

/// What the document calls itself; atomic's is what it was modelled on.
const KINDS: [&str; 2] = ["cosign container image signature", "atomic container signature"];

/// A signature that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Where, for messages.
    pub origin: String,
    /// The document.
    pub payload: Vec<u8>,
    /// The annotations: the signature in base64, and what came with it.
    pub annotations: BTreeMap<String, String>,
}

/// The entry of a log as cosign keeps it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Logged {
    signed_entry_timestamp: String,
    payload: LoggedPayload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LoggedPayload {
    body: String,
    integrated_time: i64,
    log_index: i64,
    #[serde(rename = "logID")]
    log_id: String,
}

/// Why a signature does not count.
#[derive(Debug, thiserror::Error)]
pub enum SignatureFault {
    /// It is not known who has made it.
    #[error(transparent)]
    Evidence(#[from] EvidenceFault),
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
    /// Whether who may has signed one of the digests under a name that is accepted, and who that is.
    ///
    /// # Errors
    /// [`SignatureFault`]. Nothing of the document is believed before its signature is right.
    pub fn check(
        &self,
        wanted: &Signed,
        digests: &[Digest],
        name: &Reference,
    ) -> Result<String, SignatureFault> {
        let signer = self.signer(wanted)?;
        let payload: Payload = serde_json::from_slice(&self.payload).map_err(|_| SignatureFault::Payload)?;
        let Critical { kind, image, identity: named } = payload.critical;
        if !KINDS.contains(&kind.as_str()) {
            return Err(SignatureFault::Payload);
        }
        if !digests.iter().any(|digest| digest.as_str() == image.digest) {
            return Err(SignatureFault::Digest(image.digest));
        }
        if !wanted.identity.accepts(&named.reference, name) {
            return Err(SignatureFault::Identity(named.reference));
        }
        Ok(signer)
    }

    fn signer(&self, wanted: &Signed) -> Result<String, EvidenceFault> {
        let annotation = |name: &str| self.annotations.get(name).map(String::as_str);
        let signature =
            annotation(SIGNATURE_ANNOTATION).and_then(|text| BASE64_STANDARD.decode(text.trim()).ok());
        let pems = [CERTIFICATE_ANNOTATION, CHAIN_ANNOTATION].into_iter().filter_map(annotation);
        let certificates: Vec<_> = pems.flat_map(|pem| certificates_in(pem.as_bytes())).collect();
        let logged: Option<Logged> =
            annotation(LOG_ANNOTATION).and_then(|text| serde_json::from_str(text).ok());
        let evidence = Evidence {
            message: &self.payload,
            content: &self.payload,
            signatures: &signature.into_iter().collect::<Vec<_>>(),
            certificates: &certificates,
            entries: &logged.into_iter().map(Entry::from).collect::<Vec<_>>(),
        };
        evidence.signer(wanted)
    }
}

impl From<Logged> for Entry {
    fn from(logged: Logged) -> Self {
        let LoggedPayload { body, integrated_time: time, log_index: index, log_id: log } = logged.payload;
        Self { body, time, index, log, promise: Some(logged.signed_entry_timestamp), proof: None }
    }
}
