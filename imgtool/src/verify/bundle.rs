//! Sigstore's bundles (`application/vnd.dev.sigstore.bundle+json`): a signature in a file, for which nobody has to be asked.

use super::{Identity, PublicKey};
use crate::digest::Digest;
use crate::reference::Reference;
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
    name: String,
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
    /// It could be about the same image by any name.
    #[error("it does not say which name it is for, and the policy asks for one")]
    Nameless,
    /// It is about the same image by another name.
    #[error("it is about the name {0:?}, which the policy does not accept here")]
    Identity(String),
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

    /// Whether one of the keys has signed the manifest, or a statement about it, under a name that is accepted for the image
    /// called `name`, and which key.
    ///
    /// # Errors
    /// [`BundleFault`].
    pub fn check<'k>(
        &self,
        keys: &'k [PublicKey],
        manifest: &[u8],
        digests: &[Digest],
        name: &Reference,
        identity: &Identity,
    ) -> Result<&'k PublicKey, BundleFault> {
        match (&self.message_signature, &self.dsse_envelope) {
            (Some(message), None) => {
                let key = signer(keys, manifest, &[&message.signature]).ok_or(BundleFault::Key)?;
                if identity.needs_name() { Err(BundleFault::Nameless) } else { Ok(key) }
            }
            (None, Some(envelope)) => {
                let (key, statement) = envelope.statement(keys)?;
                statement.check(digests, name, identity).map(|()| key)
            }
            _ => Err(BundleFault::Empty),
        }
    }
}

impl Envelope {
    /// What was signed with one of the keys, and with which.
    fn statement<'k>(&self, keys: &'k [PublicKey]) -> Result<(&'k PublicKey, Statement), BundleFault> {
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
        let statement = serde_json::from_slice(&payload).map_err(|_| BundleFault::Statement)?;
        Ok((key, statement))
    }
}

impl Statement {
    fn check(&self, digests: &[Digest], name: &Reference, identity: &Identity) -> Result<(), BundleFault> {
        let about = |subject: &&Subject| {
            subject.digests().any(|found| digests.iter().any(|digest| digest.as_str() == found))
        };
        let Some(subject) = self.subject.iter().find(about) else {
            let all: Vec<String> = self.subject.iter().flat_map(Subject::digests).collect();
            return Err(BundleFault::Digest(all.join(", ")));
        };
        match identity.needs_name() {
            true if subject.name.is_empty() => Err(BundleFault::Nameless),
            true if !identity.accepts(&subject.name, name) => {
                Err(BundleFault::Identity(subject.name.clone()))
            }
            _ => Ok(()),
        }
    }
}

impl Subject {
    fn digests(&self) -> impl Iterator<Item = String> {
        self.digest.iter().map(|(algorithm, hex)| format!("{algorithm}:{hex}"))
    }
}

/// The key that has made one of the signatures.
fn signer<'k>(keys: &'k [PublicKey], message: &[u8], signatures: &[&str]) -> Option<&'k PublicKey> {
    let signatures = signatures.iter().filter_map(|text| BASE64_STANDARD.decode(text.trim()).ok());
    let signatures: Vec<_> = signatures.collect();
    keys.iter().find(|key| signatures.iter().any(|signature| key.has_signed(message, signature)))
}
