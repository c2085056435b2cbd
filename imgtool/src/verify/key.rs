//! Public keys.

use super::der::{BIT_STRING, Elements, INTEGER, SEQUENCE};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{
    AlgorithmIdentifier, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, alg_id,
};
use std::path::{Path, PathBuf};

/// What a file with a key may have, in bytes.
const FILE_LIMIT: u64 = 64 << 10;

/// How many bytes the modulus of a key of RSA may have: 2,048 bits to 8,192.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;

/// How keys of each kind sign: cosign with SHA-256, whatever the curve is, and with the digest of the curve's length.
const KINDS: &[(AlgorithmIdentifier, &[AlgorithmIdentifier])] = &[
    (alg_id::ECDSA_P256, &[alg_id::ECDSA_SHA256]),
    (alg_id::ECDSA_P384, &[alg_id::ECDSA_SHA256, alg_id::ECDSA_SHA384]),
    (alg_id::RSA_ENCRYPTION, &[alg_id::RSA_PKCS1_SHA256]),
    (alg_id::ED25519, &[alg_id::ED25519]),
];

/// A key that signatures are checked with.
#[derive(Clone)]
pub struct PublicKey {
    name: String,
    /// Those that its signatures may be made by.
    algorithms: Vec<&'static dyn SignatureVerificationAlgorithm>,
    /// The key with its algorithm, in DER (RFC 5280, 4.1.2.7).
    der: Vec<u8>,
    /// The key alone: a point, or a modulus with its exponent.
    key: Vec<u8>,
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
    #[error(
        "{0} is a key of a kind that is not supported; ECDSA on P-256 and P-384, RSA with 2048 to 8192 bits, and Ed25519 are"
    )]
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
        let unsupported = || KeyError::Kind(name.to_owned());
        let (algorithm, key) = parts(der).ok_or_else(unsupported)?;
        let known = KINDS.iter().find(|(public, _)| public.as_ref() == algorithm);
        let (public, signatures) = known.ok_or_else(unsupported)?;
        if *public == alg_id::RSA_ENCRYPTION && !modulus(key).is_some_and(|length| MODULUS.contains(&length))
        {
            return Err(unsupported());
        }
        let all = ring::default_provider().signature_verification_algorithms.all.iter().copied();
        let fits = |one: &&dyn SignatureVerificationAlgorithm| {
            one.public_key_alg_id() == *public && signatures.contains(&one.signature_alg_id())
        };
        let algorithms = all.filter(fits).collect();
        Ok(Self { name: name.to_owned(), algorithms, der: der.to_owned(), key: key.to_owned() })
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
        self.algorithms.iter().any(|one| one.verify_signature(&self.key, message, signature).is_ok())
    }
}

/// The algorithm of a key, without the tag and the length of its sequence, and the key itself (RFC 5280, 4.1.2.7).
fn parts(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut outer = Elements(der);
    let mut fields = Elements(outer.expect(SEQUENCE)?.content);
    let (algorithm, bits) = (fields.expect(SEQUENCE)?, fields.expect(BIT_STRING)?);
    // Its first byte counts the bits at the end that are none.
    let key = bits.content.strip_prefix(&[0])?;
    (outer.0.is_empty() && fields.0.is_empty()).then_some((algorithm.content, key))
}

/// How many bytes the modulus of a key of RSA has (RFC 8017, A.1.1).
fn modulus(key: &[u8]) -> Option<usize> {
    let number = Elements(Elements(key).expect(SEQUENCE)?.content).expect(INTEGER)?.content;
    Some(number.len() - number.iter().take_while(|byte| **byte == 0).count())
}
