//! Public keys.

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{
    AlgorithmIdentifier, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, alg_id,
};
use std::path::{Path, PathBuf};

/// What a file with a key may have, in bytes.
const FILE_LIMIT: u64 = 64 << 10;

/// What stands before the point in a key of ECDSA on P-256 (RFC 5480): its algorithm, and the length of what follows.
const P256: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The same of Ed25519 (RFC 8410).
const ED25519: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A key that signatures are checked with.
#[derive(Clone)]
pub struct PublicKey {
    name: String,
    algorithm: &'static dyn SignatureVerificationAlgorithm,
    /// The key with its algorithm, in DER (RFC 5280, 4.1.2.7).
    der: Vec<u8>,
    /// Where in it the point begins.
    point: usize,
}

/// Why a key is none.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Its file cannot be read.
    #[error("cannot read the key {0:?}")]
    Read(PathBuf, #[source] mydocker_sys::Error),
    /// It is no key in PEM.
    #[error("{0} is no public key in PEM ('-----BEGIN PUBLIC KEY-----')")]
    Pem(String),
    /// Certificates that are none.
    #[error("{0} has no certificates of an authority in PEM ('-----BEGIN CERTIFICATE-----')")]
    Certificate(String),
    /// It is of another kind.
    #[error("{0} is a key of a kind that is not supported; ECDSA on P-256 and Ed25519 are")]
    Kind(String),
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("PublicKey").field(&self.name).finish()
    }
}

impl PublicKey {
    /// Reads the key in a file.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let bytes = mydocker_sys::fs::read_regular(path, FILE_LIMIT)
            .map_err(|source| KeyError::Read(path.to_owned(), source))?;
        Self::parse(&bytes, &path.display().to_string())
    }

    /// Parses a key in PEM; `name` is what messages call it.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn parse(pem: &[u8], name: &str) -> Result<Self, KeyError> {
        let key = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| KeyError::Pem(name.to_owned()))?;
        Self::from_der(&key, name)
    }

    /// A key in DER, with its algorithm.
    ///
    /// # Errors
    /// [`KeyError::Kind`].
    pub fn from_der(der: &[u8], name: &str) -> Result<Self, KeyError> {
        let kinds = [
            (P256, 65, alg_id::ECDSA_P256, alg_id::ECDSA_SHA256),
            (ED25519, 32, alg_id::ED25519, alg_id::ED25519),
        ];
        for (prefix, length, public, signature) in kinds {
            let point = der.strip_prefix(prefix).filter(|point| point.len() == length);
            if let (Some(_), Some(algorithm)) = (point, algorithm(public, signature)) {
                let (name, der) = (name.to_owned(), der.to_owned());
                return Ok(Self { name, algorithm, der, point: prefix.len() });
            }
        }
        Err(KeyError::Kind(name.to_owned()))
    }

    /// What messages call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key with its algorithm, in DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whether it has signed a message.
    #[must_use]
    pub fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        self.algorithm.verify_signature(&self.der[self.point..], message, signature).is_ok()
    }
}

fn algorithm(
    public: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
) -> Option<&'static dyn SignatureVerificationAlgorithm> {
    let all = ring::default_provider().signature_verification_algorithms.all;
    let fits = |one: &&&dyn SignatureVerificationAlgorithm| {
        one.public_key_alg_id() == public && one.signature_alg_id() == signature
    };
    all.iter().find(fits).copied()
}
