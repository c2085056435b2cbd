//! Certificates that an authority (Fulcio) gives to who has logged in somewhere, for one signature.

use super::der::{
    BOOLEAN, Elements, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, UTF8_STRING, context, context_bytes,
};
use super::{KeyError, PublicKey};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, UnixTime};
use std::time::Duration;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

/// What a key has to be for: code signing, 1.3.6.1.5.5.7.3.3 (RFC 5280, 4.2.1.12).
const CODE_SIGNING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 3];

/// The names of the owner, 2.5.29.17 (RFC 5280, 4.2.1.6).
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];

/// The number of a mail address among them.
const MAIL: u8 = 1;

/// Where the owner has logged in, 1.3.6.1.4.1.57264.1.1: the bytes of an address.
const ISSUER: &[u8] = &[0x2b, 6, 1, 4, 1, 0x83, 0xbf, 0x30, 1, 1];

/// The same as a string of DER, 1.3.6.1.4.1.57264.1.8.
const ISSUER_STRING: &[u8] = &[0x2b, 6, 1, 4, 1, 0x83, 0xbf, 0x30, 1, 8];

/// Who may sign: whom an authority has given a certificate to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    roots: Vec<CertificateDer<'static>>,
    /// Where they have to have logged in.
    issuer: String,
    /// Their mail address.
    email: String,
}

/// Why a certificate does not count.
#[derive(Debug, thiserror::Error)]
pub enum CertificateFault {
    /// It is none, or not of the authority, or not for this, or was not valid then.
    #[error("its certificate is not one of the authority's for signing at that time")]
    Chain(#[source] webpki::Error),
    /// It is of another person.
    #[error("its certificate is one of {found:?}, and the policy asks for one of {wanted:?}")]
    Email {
        /// The mail addresses in it.
        found: String,
        /// What the policy says.
        wanted: String,
    },
    /// They have logged in elsewhere.
    #[error("its certificate is by a login at {found:?}, and the policy asks for one at {wanted:?}")]
    Issuer {
        /// Where.
        found: String,
        /// What the policy says.
        wanted: String,
    },
    /// Its key.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Authority {
    /// The authority of these root certificates in PEM; `name` is what messages call the file.
    ///
    /// # Errors
    /// [`KeyError::Certificate`].
    pub fn parse(pem: &[u8], name: &str, issuer: &str, email: &str) -> Result<Self, KeyError> {
        let failed = || KeyError::Certificate(name.to_owned());
        let roots: Vec<_> =
            CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| failed())?;
        let is_right = |root: &CertificateDer<'_>| anchor_from_trusted_cert(root).is_ok();
        if roots.is_empty() || !roots.iter().all(is_right) {
            return Err(failed());
        }
        Ok(Self { roots, issuer: issuer.to_owned(), email: email.to_owned() })
    }

    /// The key of the first of these certificates, in DER, if that was valid at a time, in seconds since 1970, and is of whom
    /// it has to be. The others may lie between it and a root.
    ///
    /// # Errors
    /// [`CertificateFault`].
    pub fn key(&self, certificates: &[Vec<u8>], time: u64) -> Result<PublicKey, CertificateFault> {
        let (leaf, between) =
            certificates.split_first().ok_or(CertificateFault::Chain(webpki::Error::BadDer))?;
        self.verify(leaf, between, time).map_err(CertificateFault::Chain)?;
        let found = Parts::of(leaf).ok_or(CertificateFault::Chain(webpki::Error::BadDer))?;
        let emails = found.emails();
        if !emails.contains(&self.email) {
            let (found, wanted) = (emails.join(", "), self.email.clone());
            return Err(CertificateFault::Email { found, wanted });
        }
        let issuers = found.issuers();
        if issuers.is_empty() || issuers.iter().any(|issuer| *issuer != self.issuer) {
            let (found, wanted) = (issuers.join(", "), self.issuer.clone());
            return Err(CertificateFault::Issuer { found, wanted });
        }
        Ok(PublicKey::from_der(found.key, &self.email)?)
    }

    fn verify(&self, leaf: &[u8], between: &[Vec<u8>], time: u64) -> Result<(), webpki::Error> {
        let anchors = self.roots.iter().map(anchor_from_trusted_cert).collect::<Result<Vec<_>, _>>()?;
        let leaf = CertificateDer::from(leaf);
        let between: Vec<_> = between.iter().map(|der| CertificateDer::from(&der[..])).collect();
        let time = UnixTime::since_unix_epoch(Duration::from_secs(time));
        let algorithms = ring::default_provider().signature_verification_algorithms.all;
        let usage = KeyUsage::required(CODE_SIGNING);
        EndEntityCert::try_from(&leaf)?
            .verify_for_usage(algorithms, &anchors, &between, time, usage, None, None)
            .map(drop)
    }
}

/// What is looked at of a certificate (RFC 5280, 4.1).
struct Parts<'a> {
    /// The public key with its algorithm.
    key: &'a [u8],
    /// The extensions: what each is, and its value.
    extensions: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Parts<'a> {
    fn of(certificate: &'a [u8]) -> Option<Self> {
        let mut outer = Elements(Elements(certificate).expect(SEQUENCE)?.content);
        let mut fields = Elements(outer.expect(SEQUENCE)?.content);
        fields.expect(context(0))?;
        // Serial number, algorithm, issuer, validity, owner.
        let key = fields.nth(5).filter(|field| field.tag == SEQUENCE)?.whole;
        let list = fields.find(|field| field.tag == context(3))?;
        let list = Elements(list.content).expect(SEQUENCE)?;
        let extensions = Elements(list.content).filter_map(|one| extension(one.content)).collect();
        Some(Self { key, extensions })
    }

    fn values(&self, kind: &[u8]) -> impl Iterator<Item = &'a [u8]> {
        self.extensions.iter().filter(move |(found, _)| *found == kind).map(|(_, value)| *value)
    }

    fn emails(&self) -> Vec<String> {
        let names = self.values(ALTERNATIVE_NAMES).filter_map(|value| Elements(value).expect(SEQUENCE));
        let mails =
            names.flat_map(|names| Elements(names.content)).filter(|name| name.tag == context_bytes(MAIL));
        mails.map(|mail| text(mail.content)).collect()
    }

    /// Where the owner has logged in; a certificate may say it in two ways, which have to be the same.
    fn issuers(&self) -> Vec<String> {
        let strings = self.values(ISSUER_STRING).map(|value| {
            let string = Elements(value).expect(UTF8_STRING);
            string.map_or_else(String::new, |string| text(string.content))
        });
        self.values(ISSUER).map(text).chain(strings).collect()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What an extension is, and its value; whether it is critical is between the two.
fn extension(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut fields = Elements(bytes);
    let kind = fields.expect(OBJECT_IDENTIFIER)?.content;
    let value = fields.find(|field| field.tag != BOOLEAN).filter(|field| field.tag == OCTET_STRING)?;
    Some((kind, value.content))
}
