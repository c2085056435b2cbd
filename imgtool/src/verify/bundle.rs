//! Sigstore's bundles (`application/vnd.dev.sigstore.bundle+json`): a signature in a file, for which nobody has to be asked.

use super::evidence::{Evidence, EvidenceFault};
use super::log::{Entry, Proof};
use super::{Identity, Signed};
use crate::digest::Digest;
use crate::reference::Reference;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
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
    #[serde(default)]
    verification_material: Material,
}

/// What proves who has signed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    #[serde(default)]
    certificate: Option<RawCertificate>,
    #[serde(default)]
    x509_certificate_chain: Option<Chain>,
    #[serde(default)]
    tlog_entries: Vec<LogEntry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Chain {
    certificates: Vec<RawCertificate>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawCertificate {
    raw_bytes: String,
}

/// An entry of a log; in JSON of protocol buffers, numbers are texts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogEntry {
    canonicalized_body: String,
    #[serde(default, deserialize_with = "number")]
    integrated_time: i64,
    #[serde(default, deserialize_with = "number")]
    log_index: i64,
    log_id: LogId,
    #[serde(default)]
    inclusion_promise: Option<LogPromise>,
    #[serde(default)]
    inclusion_proof: Option<LogProof>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogId {
    key_id: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogPromise {
    signed_entry_timestamp: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogProof {
    #[serde(default, deserialize_with = "number")]
    log_index: i64,
    #[serde(default, deserialize_with = "number")]
    tree_size: i64,
    root_hash: String,
    #[serde(default)]
    hashes: Vec<String>,
    checkpoint: Checkpoint,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Checkpoint {
    envelope: String,
}

fn number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Plain(i64),
        Text(String),
    }
    match Number::deserialize(deserializer)? {
        Number::Plain(number) => Ok(number),
        Number::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
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
    /// It is not known who has made it.
    #[error(transparent)]
    Evidence(#[from] EvidenceFault),
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

    /// Whether who may has signed the manifest, or a statement about it, under a name that is accepted for the image called
    /// `name`, and who that is.
    ///
    /// # Errors
    /// [`BundleFault`].
    pub fn check(
        &self,
        wanted: &Signed,
        manifest: &[u8],
        digests: &[Digest],
        name: &Reference,
    ) -> Result<String, BundleFault> {
        match (&self.message_signature, &self.dsse_envelope) {
            (Some(message), None) => {
                let signer = self.signer(wanted, manifest, manifest, &[&message.signature])?;
                if wanted.identity.needs_name() { Err(BundleFault::Nameless) } else { Ok(signer) }
            }
            (None, Some(envelope)) => {
                let (signer, statement) = self.statement(envelope, wanted)?;
                statement.check(digests, name, &wanted.identity).map(|()| signer)
            }
            _ => Err(BundleFault::Empty),
        }
    }

    fn signer(
        &self,
        wanted: &Signed,
        message: &[u8],
        content: &[u8],
        signatures: &[&str],
    ) -> Result<String, EvidenceFault> {
        let decode = |text: &&str| BASE64_STANDARD.decode(text.trim()).ok();
        let material = &self.verification_material;
        let evidence = Evidence {
            message,
            content,
            signatures: &signatures.iter().filter_map(decode).collect::<Vec<_>>(),
            certificates: &material.certificates(),
            entries: &material.tlog_entries.iter().filter_map(LogEntry::parse).collect::<Vec<_>>(),
        };
        evidence.signer(wanted)
    }

    /// What was signed of an envelope, and by whom.
    fn statement(&self, envelope: &Envelope, wanted: &Signed) -> Result<(String, Statement), BundleFault> {
        let payload = BASE64_STANDARD.decode(&envelope.payload).map_err(|_| BundleFault::Statement)?;
        let (kind, length) = (&envelope.payload_type, payload.len());
        // What is signed of an envelope (DSSE, protocol.md): its type and its payload, each with its length.
        let mut signed = format!("DSSEv1 {} {kind} {length} ", kind.len()).into_bytes();
        signed.extend_from_slice(&payload);
        let signatures: Vec<_> = envelope.signatures.iter().map(|signature| signature.sig.as_str()).collect();
        let signer = self.signer(wanted, &signed, &payload, &signatures)?;
        if envelope.payload_type != STATEMENT {
            return Err(BundleFault::Statement);
        }
        let statement = serde_json::from_slice(&payload).map_err(|_| BundleFault::Statement)?;
        Ok((signer, statement))
    }
}

impl Material {
    /// The certificates in DER, that of who has signed first.
    fn certificates(&self) -> Vec<Vec<u8>> {
        let chain = self.x509_certificate_chain.iter().flat_map(|chain| &chain.certificates);
        let all = self.certificate.iter().chain(chain);
        all.filter_map(|certificate| BASE64_STANDARD.decode(&certificate.raw_bytes).ok()).collect()
    }
}

impl LogEntry {
    /// `None` if a part of it cannot be understood.
    fn parse(&self) -> Option<Entry> {
        let id = BASE64_STANDARD.decode(&self.log_id.key_id).ok()?;
        let proof = match &self.inclusion_proof {
            Some(proof) => Some(proof.parse()?),
            None => None,
        };
        Some(Entry {
            body: self.canonicalized_body.clone(),
            time: self.integrated_time,
            index: self.log_index,
            log: id.iter().map(|byte| format!("{byte:02x}")).collect(),
            promise: self.inclusion_promise.as_ref().map(|promise| promise.signed_entry_timestamp.clone()),
            proof,
        })
    }
}

impl LogProof {
    fn parse(&self) -> Option<Proof> {
        let decode = |text: &String| BASE64_STANDARD.decode(text).ok();
        Some(Proof {
            index: self.log_index.try_into().ok()?,
            size: self.tree_size.try_into().ok()?,
            root: decode(&self.root_hash)?,
            hashes: self.hashes.iter().map(decode).collect::<Option<_>>()?,
            checkpoint: self.checkpoint.envelope.clone(),
        })
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

/// The certificates in a PEM, in DER.
pub(super) fn certificates_in(pem: &[u8]) -> Vec<Vec<u8>> {
    let found = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
    found.map(|certificate| certificate.to_vec()).collect()
}
