//! How a server's certificate is judged, and what is shown to it.

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

/// Files with the certificates of authorities that Debian, Red Hat, SUSE, Alpine and others keep.
const AUTHORITIES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Own authorities and certificates for a server.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct TlsOptions {
    /// Files with authorities, in PEM, that are trusted beside those of the system.
    pub authorities: Vec<PathBuf>,
    /// The certificate that is shown, and its key, in PEM; they may be one file.
    pub client: Option<(PathBuf, PathBuf)>,
    /// Whether any certificate is taken.
    pub skip_verify: bool,
}

/// Why there can be no TLS as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path:?}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the kernel says.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{path:?} holds no {what} in PEM")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What should be in it.
        what: &'static str,
    },
    /// A certificate and a key are not for each other.
    #[error("the client certificate {certificate:?} and the key {key:?} cannot be used together")]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The system has no authorities.
    #[error(
        "this system has no certificates of authorities ({AUTHORITIES:?}); install them (Debian: ca-certificates) or name a file with --tlscacert"
    )]
    NoAuthorities,
}

impl TlsOptions {
    /// Whether nothing is configured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// These, and what `others` have where these have nothing.
    #[must_use]
    pub fn or(&self, others: &Self) -> Self {
        Self {
            authorities: self.authorities.iter().chain(&others.authorities).cloned().collect(),
            client: self.client.clone().or_else(|| others.client.clone()),
            skip_verify: self.skip_verify || others.skip_verify,
        }
    }

    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn load(&self) -> Result<TlsConfig, TlsError> {
        let mut authorities = Vec::new();
        for path in &self.authorities {
            authorities.extend(certificates(path)?);
        }
        // Who is asked to take any certificate needs none to judge by.
        if !self.skip_verify {
            let system = system_authorities();
            if system.is_empty() && authorities.is_empty() {
                return Err(TlsError::NoAuthorities);
            }
            authorities.extend(system.iter().cloned());
        }
        let client = self.client.as_ref().map(|(certificate, key)| client(certificate, key)).transpose()?;
        Ok(TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(authorities)))
            .client_cert(client)
            .disable_verification(self.skip_verify)
            .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
            .build())
    }
}

/// The authorities of the system, read once.
fn system_authorities() -> &'static [Certificate<'static>] {
    static LOADED: OnceLock<Vec<Certificate<'static>>> = OnceLock::new();
    LOADED.get_or_init(|| {
        let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
        let usual = AUTHORITIES.iter().map(PathBuf::from);
        let mut found = named.into_iter().chain(usual).filter_map(|path| certificates(&path).ok());
        found.next().unwrap_or_default()
    })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Io { path: path.to_owned(), source })
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, TlsError> {
    let pem = read(path)?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .filter_map(Result::ok)
        .map(|der| Certificate::from_der(der.as_ref()).to_owned())
        .collect();
    if found.is_empty() {
        return Err(TlsError::Pem { path: path.to_owned(), what: "certificate" });
    }
    Ok(found)
}

/// The pair is tried out here, since a mismatch would be found too late to be told.
fn client(certificate: &Path, key: &Path) -> Result<ClientCert, TlsError> {
    let chain = certificates(certificate)?;
    let no_key = || TlsError::Pem { path: key.to_owned(), what: "private key" };
    let pem = read(key)?;
    let found = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| no_key())?;
    let private = PrivateKey::from_pem(&pem).map_err(|_| no_key())?;
    let ders = chain.iter().map(|certificate| CertificateDer::from(certificate.der().to_owned())).collect();
    rustls::sign::CertifiedKey::from_der(ders, found, &ring::default_provider()).map_err(|source| {
        TlsError::Pair { certificate: certificate.to_owned(), key: key.to_owned(), source }
    })?;
    Ok(ClientCert::new_with_certs(&chain, private))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_hold_something_else_are_named() {
        let place = tempfile::tempdir().expect("a directory");
        let file = place.path().join("x.pem");
        std::fs::write(&file, "nothing").expect("written");
        let options = |authority: &Path| TlsOptions {
            authorities: vec![authority.to_owned()],
            ..TlsOptions::default()
        };
        assert!(matches!(options(&file).load(), Err(TlsError::Pem { what: "certificate", .. })));
        assert!(matches!(options(&place.path().join("none")).load(), Err(TlsError::Io { .. })));
    }

    #[test]
    fn what_is_configured_for_a_host_goes_before_what_was_typed() {
        let own = TlsOptions { client: Some(("a".into(), "b".into())), ..TlsOptions::default() };
        let typed = TlsOptions {
            authorities: vec!["ca".into()],
            client: Some(("c".into(), "d".into())),
            skip_verify: false,
        };
        let both = own.or(&typed);
        assert_eq!((both.client, both.authorities.len()), (own.client, 1));
        assert!(TlsOptions::default().is_empty() && !typed.is_empty());
    }
}
