//! Whether an image is what somebody has signed.
//!
//! ```text
//! key         public keys, and whether a signature was made with one
//! signature   what cosign signs: a document with a manifest's digest in it
//! bundle      what sigstore keeps in a file: a signature with what it is about
//! policy      which images have to be signed by whom (containers-policy.json)
//! ```
//!
//! Keys are of the kinds that cosign makes: ECDSA on P-256 and Ed25519. Certificates and transparency logs are not looked
//! at, so a policy that asks for them is refused.

mod bundle;
mod key;
mod policy;
mod signature;

pub use bundle::{Bundle, BundleFault};
pub use key::{KeyError, PublicKey};
pub use policy::{Identity, Policy, PolicyError, Requirement, Signed};
pub use signature::{Candidate, SIGNATURE_ANNOTATION, SignatureFault, signature_tag};
