//! Who has made a signature: the holder of a key, or whom a certificate names; and whether a transparency log has it.

use super::certificate::CertificateFault;
use super::log::{Entry, LogFault};
use super::{PublicKey, Signed, Signer};

/// A signature, and what came with it.
#[derive(Debug)]
pub(super) struct Evidence<'a> {
    /// What was signed.
    pub message: &'a [u8],
    /// What a log says the hash of; it differs from the message where that has something around it.
    pub content: &'a [u8],
    /// Signatures, of which one has to be right.
    pub signatures: &'a [Vec<u8>],
    /// Certificates in DER: of who has signed, and those that lie between it and a root.
    pub certificates: &'a [Vec<u8>],
    /// Entries of logs, of which one has to be right if one is asked for.
    pub entries: &'a [Entry],
}

/// Why nobody is known to have made a signature.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceFault {
    /// No key has made it.
    #[error("it was made with none of the keys")]
    Key,
    /// There is no certificate.
    #[error("it comes with no certificate, which the policy asks for")]
    NoCertificate,
    /// The certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateFault),
    /// The log.
    #[error(transparent)]
    Log(#[from] LogFault),
}

impl Evidence<'_> {
    /// Who has made it, of those who may.
    ///
    /// # Errors
    /// [`EvidenceFault`].
    pub(super) fn signer(&self, wanted: &Signed) -> Result<String, EvidenceFault> {
        match &wanted.signer {
            Signer::Keys(keys) => {
                let (key, signature) = self.key(keys).ok_or(EvidenceFault::Key)?;
                if !wanted.logs.is_empty() {
                    self.logged(&wanted.logs, signature, key.der())?;
                }
                Ok(key.name().to_owned())
            }
            Signer::Authority(authority) => {
                let leaf = self.certificates.first().ok_or(EvidenceFault::NoCertificate)?;
                // Of several signatures, the log says which one it is about.
                let mut fault = EvidenceFault::Log(LogFault::None);
                for signature in self.signatures {
                    match self.logged(&wanted.logs, signature, leaf) {
                        Ok(entry) => {
                            let key = authority.key(self.certificates, entry.signed_time()?)?;
                            let is_signed = key.has_signed(self.message, signature);
                            return if is_signed {
                                Ok(key.name().to_owned())
                            } else {
                                Err(EvidenceFault::Key)
                            };
                        }
                        Err(error) => fault = error.into(),
                    }
                }
                Err(fault)
            }
        }
    }

    fn key<'k>(&self, keys: &'k [PublicKey]) -> Option<(&'k PublicKey, &[u8])> {
        let pairs =
            keys.iter().flat_map(|key| self.signatures.iter().map(move |signature| (key, &signature[..])));
        pairs.into_iter().find(|(key, signature)| key.has_signed(self.message, signature))
    }

    /// The entry that a log has of a signature.
    fn logged(&self, logs: &[PublicKey], signature: &[u8], verifier: &[u8]) -> Result<&Entry, LogFault> {
        let mut fault = LogFault::None;
        for entry in self.entries {
            let checked = entry.verify(logs).and_then(|()| entry.is_about(self.content, signature, verifier));
            match checked {
                Ok(()) => return Ok(entry),
                Err(error) => fault = error,
            }
        }
        Err(fault)
    }
}
