//! Whether an image is what somebody has signed.
//!
//! ```text
//! key         public keys, and whether a signature was made with one
//! certificate whom an authority has given a certificate to; der: what is in it
//! log         what a transparency log has of a signature
//! evidence    who has made a signature, by the above
//! signature   what cosign signs: a document with a manifest's digest in it
//! bundle      what sigstore keeps in a file: a signature with what it is about
//! policy      which images have to be signed by whom (containers-policy.json)
//! ```
//!
//! Keys are of the kinds that cosign makes and takes: ECDSA on P-256 and P-384, RSA, and Ed25519. Nobody is asked about certificates and logs: who wants
//! to be believed brings the proof along, and the policy names the roots.

mod bundle;
mod certificate;
mod der;
mod evidence;
mod key;
mod log;
mod policy;
mod signature;

pub use bundle::{Bundle, BundleFault};
pub use certificate::{Authority, CertificateFault};
pub use evidence::EvidenceFault;
pub use key::{KeyError, PublicKey};
pub use log::LogFault;
pub use policy::{Identity, Policy, PolicyError, Requirement, Signed, Signer, Transport};
pub use signature::{Candidate, SIGNATURE_ANNOTATION, SignatureFault, signature_tag};
