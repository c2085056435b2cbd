//! Sigstore's bundles (`application/vnd.dev.sigstore.bundle+json`): a signature in a file, for which nobody has to be asked.

use super::PublicKey;
use crate::digest::Digest;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

/// What a bundle's statement about an image is (in-toto).
const STATEMENT: &str = "application/vnd.in-toto+json";

/// A bundle, as far as it is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bundle {
    #[serde(default)]
    media_type: String,
    #[serde(default)]
    message_signature: Option<MessageSignature>,
    #[serde(default)]
    dsse_envelope: Option<Envelope>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct MessageSignature {
    signature: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct EnvelopeSignature {
    sig: String,
}

#[derive(Deserialize)]
struct Statement {
    #[serde(default)]
    subject: Vec<Subject>,
}

#[derive(Deserialize)]
struct Subject {
    #[serde(default)]
    digest: std::collections::BTreeMap<String, String>,
}

/// Why a bundle does not count.
#[derive(Debug, thiserror::Error)]
pub enum BundleFault {
    /// It is no JSON of this shape.
    #[error("it is no sigstore bundle")]
    Json(#[from] serde_json::Error),
    /// It calls itself something else.
    #[error("it calls itself {0:?}, and not application/vnd.dev.sigstore.bundle")]
    Kind(String),
    /// There is neither of the two kinds of signatures in it.
    #[error("it has neither a messageSignature nor a dsseEnvelope")]
    Empty,
    /// No key has made it.
    #[error("it was made with none of the keys")]
    Key,
    /// It is signed, and says nothing about images.
    #[error("what is signed is no statement about an image")]
    Statement,
    /// It is about something else.
    #[error("it is about {0}, another image")]
    Digest(String),
}

impl Bundle {
    /// Reads a bundle.
    ///
    /// # Errors
    /// [`BundleFault`].
    pub fn parse(bytes: &[u8]) -> Result<Self, BundleFault> {
        let bundle: Self = serde_json::from_slice(bytes)?;
        if !bundle.media_type.starts_with("application/vnd.dev.sigstore.bundle") {
            return Err(BundleFault::Kind(bundle.media_type));
        }
        Ok(bundle)
    }

    /// Whether one of the keys has signed the manifest, or a statement about it, and which.
    ///
    /// # Errors
    /// [`BundleFault`].
    pub fn check<'k>(
        &self,
        keys: &'k [PublicKey],
        manifest: &[u8],
        digests: &[Digest],
    ) -> Result<&'k PublicKey, BundleFault> {
        match (&self.message_signature, &self.dsse_envelope) {
            (Some(message), None) => signer(keys, manifest, &[&message.signature]).ok_or(BundleFault::Key),
            (None, Some(envelope)) => envelope.check(keys, digests),
            _ => Err(BundleFault::Empty),
        }
    }
}

impl Envelope {
    fn check<'k>(&self, keys: &'k [PublicKey], digests: &[Digest]) -> Result<&'k PublicKey, BundleFault> {
        let payload = BASE64_STANDARD.decode(&self.payload).map_err(|_| BundleFault::Statement)?;
        let (kind, length) = (&self.payload_type, payload.len());
        // What is signed of an envelope (DSSE, protocol.md): its type and its payload, each with its length.
        let mut signed = format!("DSSEv1 {} {kind} {length} ", kind.len()).into_bytes();
        signed.extend_from_slice(&payload);
        let signatures: Vec<_> = self.signatures.iter().map(|signature| signature.sig.as_str()).collect();
        let key = signer(keys, &signed, &signatures).ok_or(BundleFault::Key)?;
        if self.payload_type != STATEMENT {
            return Err(BundleFault::Statement);
        }
        let statement: Statement = serde_json::from_slice(&payload).map_err(|_| BundleFault::Statement)?;
        let subjects: Vec<String> = statement
            .subject
            .iter()
            .flat_map(|subject| subject.digest.iter().map(|(algorithm, hex)| format!("{algorithm}:{hex}")))
            .collect();
        match subjects.iter().any(|subject| digests.iter().any(|digest| digest.as_str() == subject)) {
            true => Ok(key),
            false => Err(BundleFault::Digest(subjects.join(", "))),
        }
    }
}

/// The key that has made one of the signatures.
fn signer<'k>(keys: &'k [PublicKey], message: &[u8], signatures: &[&str]) -> Option<&'k PublicKey> {
    let signatures = signatures.iter().filter_map(|text| BASE64_STANDARD.decode(text.trim()).ok());
    let signatures: Vec<_> = signatures.collect();
    keys.iter().find(|key| signatures.iter().any(|signature| key.has_signed(message, signature)))
}
