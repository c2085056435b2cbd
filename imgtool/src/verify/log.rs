//! Transparency logs (Rekor): who wants to be believed has had their signature written into a log, which has signed that it did
//! so and when, or can be shown to have it (RFC 6962).

use super::PublicKey;
use crate::digest::Digest;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A hash of a node of the log's tree.
type Hash = [u8; 32];

/// How many hashes a proof may have: more than a tree of 64-bit numbers has levels.
const PROOF_LIMIT: usize = 64;

/// An entry of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What the log has, in base64.
    pub body: String,
    /// Since when, in seconds since 1970.
    pub time: i64,
    /// Its number among all that the log has ever had.
    pub index: i64,
    /// The digest of the log's key, in hexadecimal digits.
    pub log: String,
    /// The log's signature of the four above, in base64.
    pub promise: Option<String>,
    /// The proof that the log has it.
    pub proof: Option<Proof>,
}

/// A proof that a log has an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The number of the entry in the tree.
    pub index: u64,
    /// How many entries the tree has.
    pub size: u64,
    /// The hash of the whole tree.
    pub root: Vec<u8>,
    /// The hashes of the trees beside the way from the entry to the root.
    pub hashes: Vec<Vec<u8>>,
    /// What the log has signed about its tree.
    pub checkpoint: String,
}

/// Why an entry of a log does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogFault {
    /// There is none.
    #[error("it comes with no entry of a transparency log")]
    None,
    /// Nothing says that a log has it.
    #[error("its log entry has neither a signed timestamp nor a proof of inclusion")]
    Unproven,
    /// What says so is not by the log.
    #[error("the timestamp of its log entry is not signed by the log of the policy")]
    Promise,
    /// The proof leads elsewhere.
    #[error("the proof that the log has its entry does not lead to the log's tree")]
    Proof,
    /// The tree is not that of the log.
    #[error("the log's tree of its entry is not signed by the log of the policy")]
    Checkpoint,
    /// The time is nobody's word.
    #[error("nobody has signed when it was logged, which a certificate needs")]
    NoTime,
    /// An entry of another kind.
    #[error("its log entry is of kind {0:?}, which is not supported; hashedrekord and dsse 0.0.1 are")]
    Kind(String),
    /// An entry about something else.
    #[error("its log entry is about another signature")]
    Other,
}

/// What a log signs when it takes an entry; the order of fields is that of canonical JSON (RFC 8785).
#[derive(Serialize)]
struct Promise<'a> {
    body: &'a str,
    #[serde(rename = "integratedTime")]
    time: i64,
    #[serde(rename = "logID")]
    log: &'a str,
    #[serde(rename = "logIndex")]
    index: i64,
}

/// What a log has of a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Logged {
    /// The SHA-256 of what was signed, in hexadecimal digits.
    hash: String,
    signature: String,
    /// The key or certificate in PEM, in base64.
    verifier: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    api_version: String,
    kind: String,
    spec: serde_json::Value,
}

impl Entry {
    /// Whether a log of one of these keys has it. Where it comes with both a signed timestamp and a proof, both have to be
    /// right.
    ///
    /// # Errors
    /// [`LogFault`].
    pub(super) fn verify(&self, logs: &[PublicKey]) -> Result<(), LogFault> {
        if self.promise.is_none() && self.proof.is_none() {
            return Err(LogFault::Unproven);
        }
        if let Some(promise) = &self.promise {
            self.verify_promise(promise, logs)?;
        }
        self.proof.as_ref().map_or(Ok(()), |proof| proof.verify(&self.leaf()?, logs))
    }

    /// When it was logged, by the log's own word.
    ///
    /// # Errors
    /// [`LogFault::NoTime`].
    pub(super) fn signed_time(&self) -> Result<u64, LogFault> {
        let time = self.promise.as_ref().and_then(|_| u64::try_from(self.time).ok());
        time.ok_or(LogFault::NoTime)
    }

    fn verify_promise(&self, promise: &str, logs: &[PublicKey]) -> Result<(), LogFault> {
        let Self { body, time, index, log, .. } = self;
        let signed = Promise { body, time: *time, log, index: *index };
        let signed = serde_json::to_vec(&signed).map_err(|_| LogFault::Promise)?;
        let signature = BASE64_STANDARD.decode(promise).map_err(|_| LogFault::Promise)?;
        let is_signed = logs.iter().any(|key| key.has_signed(&signed, &signature));
        if is_signed { Ok(()) } else { Err(LogFault::Promise) }
    }

    fn leaf(&self) -> Result<Vec<u8>, LogFault> {
        BASE64_STANDARD.decode(&self.body).map_err(|_| LogFault::Proof)
    }

    /// Whether it is about this signature of this content, made with a key or certificate that is given in DER.
    ///
    /// # Errors
    /// [`LogFault`].
    pub(super) fn is_about(&self, content: &[u8], signature: &[u8], verifier: &[u8]) -> Result<(), LogFault> {
        let logged = self.logged()?;
        let same_signature = BASE64_STANDARD.decode(&logged.signature).is_ok_and(|found| found == signature);
        let same_content = logged.hash == Digest::sha256(content).hex();
        let same_verifier = BASE64_STANDARD.decode(&logged.verifier).is_ok_and(|pem| is(&pem, verifier));
        if same_signature && same_content && same_verifier { Ok(()) } else { Err(LogFault::Other) }
    }

    fn logged(&self) -> Result<Logged, LogFault> {
        let body: Body = serde_json::from_slice(&self.leaf()?).map_err(|_| LogFault::Other)?;
        let text =
            |pointer: &str| body.spec.pointer(pointer).and_then(|value| value.as_str()).map(str::to_owned);
        let logged = |hash: &str, signature: &str, verifier: &str| {
            Some(Logged { hash: text(hash)?, signature: text(signature)?, verifier: text(verifier)? })
        };
        let found = match (body.kind.as_str(), body.api_version.as_str()) {
            ("hashedrekord", "0.0.1") => {
                logged("/data/hash/value", "/signature/content", "/signature/publicKey/content")
            }
            ("dsse", "0.0.1") => {
                logged("/payloadHash/value", "/signatures/0/signature", "/signatures/0/verifier")
            }
            (kind, version) => return Err(LogFault::Kind(format!("{kind} {version}"))),
        };
        found.ok_or(LogFault::Other)
    }
}

/// Whether a key or certificate in PEM is this one in DER.
fn is(pem: &[u8], der: &[u8]) -> bool {
    CertificateDer::from_pem_slice(pem).is_ok_and(|found| *found == *der)
        || SubjectPublicKeyInfoDer::from_pem_slice(pem).is_ok_and(|found| *found == *der)
}

impl Proof {
    fn verify(&self, leaf: &[u8], logs: &[PublicKey]) -> Result<(), LogFault> {
        let root = self.computed_root(leaf).filter(|root| root[..] == self.root);
        let root = root.ok_or(LogFault::Proof)?;
        let (signed, size, signed_root) = self.checkpoint_parts().ok_or(LogFault::Checkpoint)?;
        let signatures = self.checkpoint_signatures();
        let is_signed = logs
            .iter()
            .any(|key| signatures.iter().any(|signature| key.has_signed(signed.as_bytes(), signature)));
        let is_it = size == self.size && signed_root == root;
        if is_signed && is_it { Ok(()) } else { Err(LogFault::Checkpoint) }
    }

    /// The root that the hashes lead to (RFC 9162, 2.1.3.2).
    fn computed_root(&self, leaf: &[u8]) -> Option<Hash> {
        if self.index >= self.size || self.hashes.len() > PROOF_LIMIT {
            return None;
        }
        let (mut node, mut last) = (self.index, self.size - 1);
        let mut hash = hash_of(0, &[leaf]);
        for beside in &self.hashes {
            if last == 0 {
                return None;
            }
            if node % 2 == 1 || node == last {
                hash = hash_of(1, &[beside, &hash]);
                while node % 2 == 0 && node != 0 {
                    (node, last) = (node >> 1, last >> 1);
                }
            } else {
                hash = hash_of(1, &[&hash, beside]);
            }
            (node, last) = (node >> 1, last >> 1);
        }
        (last == 0).then_some(hash)
    }

    /// What is signed of the checkpoint, and the tree's size and root that it tells: the first lines are the log's name, the
    /// size, and the root in base64; an empty line ends them.
    fn checkpoint_parts(&self) -> Option<(&str, u64, Vec<u8>)> {
        let end = self.checkpoint.find("\n\n")? + 1;
        let signed = &self.checkpoint[..end];
        let mut lines = signed.lines().skip(1);
        let size = lines.next()?.parse().ok()?;
        Some((signed, size, BASE64_STANDARD.decode(lines.next()?).ok()?))
    }

    /// Each line after the empty one is a dash, a name, and in base64 four bytes that hint at the key with the signature behind
    /// them.
    fn checkpoint_signatures(&self) -> Vec<Vec<u8>> {
        let lines = self.checkpoint.lines().filter_map(|line| line.strip_prefix("\u{2014} "));
        let decoded = lines.filter_map(|line| BASE64_STANDARD.decode(line.rsplit_once(' ')?.1).ok());
        decoded.filter_map(|bytes| bytes.get(4..).map(<[u8]>::to_vec)).collect()
    }
}

fn hash_of(kind: u8, parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([kind]);
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The root of a tree of leaves, and the proof for one of them, by their definitions (RFC 6962, 2.1).
    fn tree(leaves: &[Vec<u8>], index: usize) -> (Hash, Vec<Vec<u8>>) {
        if let [leaf] = leaves {
            return (hash_of(0, &[leaf]), Vec::new());
        }
        let half = leaves.len().next_power_of_two() / 2;
        let (left, right) = leaves.split_at(half);
        let ((left, mut in_left), (right, mut in_right)) =
            (tree(left, index.min(half - 1)), tree(right, index.saturating_sub(half)));
        let root = hash_of(1, &[&left, &right]);
        if index < half {
            in_left.push(right.to_vec());
            (root, in_left)
        } else {
            in_right.push(left.to_vec());
            (root, in_right)
        }
    }

    fn proof(index: usize, size: usize) -> (Proof, Vec<u8>, Hash) {
        let leaves: Vec<_> = (0..size).map(|number| number.to_string().into_bytes()).collect();
        let (root, hashes) = tree(&leaves, index);
        let proof = Proof {
            index: index as u64,
            size: size as u64,
            root: root.to_vec(),
            hashes,
            checkpoint: String::new(),
        };
        (proof, leaves[index].clone(), root)
    }

    #[test]
    fn a_proof_leads_from_each_leaf_to_the_root_and_from_nothing_else() {
        for size in 1..20 {
            for index in 0..size {
                let (good, leaf, root) = proof(index, size);
                assert_eq!(good.computed_root(&leaf), Some(root), "{index} of {size}");
                assert_ne!(good.computed_root(b"another"), Some(root));
                let mut longer = good.clone();
                longer.hashes.push(vec![0; 32]);
                assert_ne!(longer.computed_root(&leaf), Some(root));
                if size > 1 {
                    let mut shorter = good.clone();
                    shorter.hashes.pop();
                    assert_ne!(shorter.computed_root(&leaf), Some(root));
                    let moved = Proof { index: (good.index + 1) % good.size, ..good };
                    assert_ne!(moved.computed_root(&leaf), Some(root));
                }
            }
        }
        let beyond = Proof { index: 3, size: 3, ..proof(0, 3).0 };
        assert_eq!(beyond.computed_root(b"0"), None);
    }

    #[test]
    fn a_checkpoint_is_taken_apart() {
        let root = BASE64_STANDARD.encode([5; 32]);
        let signature = BASE64_STANDARD.encode([1, 2, 3, 4, 9, 9]);
        let checkpoint = format!("log.example\n17\n{root}\nmore\n\n\u{2014} log.example {signature}\n");
        let proof = Proof { checkpoint, ..proof(0, 1).0 };
        let (signed, size, found) = proof.checkpoint_parts().expect("a checkpoint");
        assert_eq!((size, found), (17, vec![5; 32]));
        assert!(signed.starts_with("log.example\n17\n") && signed.ends_with("more\n"));
        assert_eq!(proof.checkpoint_signatures(), [[9, 9]]);
        for odd in ["", "a\nb\n\n", "a\n1\n", "a\n1\n!\n\n"] {
            let odd = Proof { checkpoint: odd.to_owned(), ..proof.clone() };
            assert_eq!(odd.checkpoint_parts(), None);
        }
    }
}
