//! What keys or a policy ask of an image, and whether signatures say so: `verify` asks it of an image of the store, `pull` of
//! one of which nothing has come yet.

use crate::cli::{Context, chain};
use crate::digest::Digest;
use crate::image::{DOCUMENT_LIMIT, Descriptor, Document, INDEX_ANNOTATION, Manifest};
use crate::reference::Reference;
use crate::registry::{Client, RegistryError};
use crate::resolve::Resolved;
use crate::store::{Image, Store, StoreError};
use crate::verify::{
    Bundle, Candidate, Identity, KeyError, Policy, PolicyError, PublicKey, Requirement, SIGNATURE_ANNOTATION,
    Signed, Signer, Transport, signature_tag,
};
use std::fmt;
use std::path::{Path, PathBuf};

/// What a bundle or a signed document may have, in bytes.
const SIGNATURE_LIMIT: u64 = 1 << 20;

/// How many signatures of an image are looked at.
const SIGNATURES: usize = 100;

/// Why an image is not trusted.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The policy says no.
    #[error("the policy {0:?} rejects {1}")]
    Rejected(PathBuf, Reference),
    /// The policy says no to what is no image of a registry.
    #[error("the policy {policy:?} rejects {from}, by its rules for {transport:?}")]
    RejectedFile {
        /// The policy.
        policy: PathBuf,
        /// What is rejected.
        from: String,
        /// What the policy calls it.
        transport: &'static str,
    },
    /// The policy asks for what is in registries alone.
    #[error(
        "the policy {policy:?} asks for a signature of {from}, by its rules for {transport:?}, and only registries have \
         signatures; pull the image, or let in what you trust"
    )]
    UnsignedFile {
        /// The policy.
        policy: PathBuf,
        /// What would have to be signed.
        from: String,
        /// What the policy calls it.
        transport: &'static str,
    },
    /// No signature is right.
    #[error("{name} is not signed as it has to be: {reasons}")]
    NotSigned {
        /// The image.
        name: Reference,
        /// What is wrong with each signature.
        reasons: String,
    },
    /// A bundle cannot be read.
    #[error("cannot read the bundle {0:?}")]
    Bundle(PathBuf, #[source] mydocker_sys::Error),
    /// The registry.
    #[error("cannot look for signatures of {0}")]
    Registry(Reference, #[source] RegistryError),
}

/// The user's policy, or that of the host, where podman and skopeo look for it.
pub(super) fn usual_policy(context: &Context) -> Option<PathBuf> {
    let own = context.environment.config_home().map(|home| home.join("containers/policy.json"));
    own.into_iter().chain([PathBuf::from("/etc/containers/policy.json")]).find(|path| path.is_file())
}

/// What a policy asks of an image called `name`.
///
/// # Errors
/// [`TrustError`]; also if it says no whatever the image is.
pub(super) fn by_policy(path: &Path, name: &Reference) -> Result<Vec<Requirement>, TrustError> {
    let requirements = Policy::read(path)?.requirements(name)?;
    if requirements.iter().any(|requirement| matches!(requirement, Requirement::Reject)) {
        return Err(TrustError::Rejected(path.to_owned(), name.clone()));
    }
    Ok(requirements)
}

/// Demands that the policy lets in what comes from a file or directory, or from standard input if there is no `path`. That
/// has no links, and is what was opened: whoever owns a link could change it meanwhile. A named policy goes before the usual
/// one.
///
/// # Errors
/// [`TrustError`].
pub(super) fn demand_file(
    named: Option<&Path>,
    context: &Context,
    transport: Transport,
    path: Option<&Path>,
) -> Result<(), TrustError> {
    let Some(policy) = named.map(Path::to_owned).or_else(|| usual_policy(context)) else { return Ok(()) };
    let from = path.map_or_else(|| "standard input".to_owned(), |path| format!("{path:?}"));
    let transport_name = transport.name();
    for requirement in Policy::read(&policy)?.requirements_of(transport, path)? {
        match requirement {
            Requirement::Accept => {}
            Requirement::Reject => {
                return Err(TrustError::RejectedFile { policy, from, transport: transport_name });
            }
            Requirement::Signed(_) => {
                return Err(TrustError::UnsignedFile { policy, from, transport: transport_name });
            }
        }
    }
    Ok(())
}

/// That one of these keys has signed it.
///
/// # Errors
/// [`TrustError::Key`].
pub(super) fn signed_by_keys(paths: &[PathBuf]) -> Result<Requirement, TrustError> {
    let keys = paths.iter().map(|path| PublicKey::read(path)).collect::<Result<_, _>>()?;
    let (signer, identity) = (Signer::Keys(keys), Identity::RepositoryIfNamed);
    Ok(Requirement::Signed(Signed { signer, logs: Vec::new(), identity }))
}

/// An image as signatures speak of it.
pub(super) struct Subject {
    name: Reference,
    manifest: Vec<u8>,
    /// What a signature may be about: the manifest, and the index that it was chosen from.
    digests: Vec<Digest>,
}

impl Subject {
    /// An image of the store.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) fn of_stored(store: &Store, name: &Reference, image: &Image) -> Result<Self, StoreError> {
        let index = image.target.annotations.get(INDEX_ANNOTATION).and_then(|text| Digest::parse(text).ok());
        let digests = [image.target.digest.clone()].into_iter().chain(index).collect();
        let manifest = store.read_blob(&image.target.digest, DOCUMENT_LIMIT)?;
        Ok(Self { name: name.clone(), manifest, digests })
    }

    /// The images that a name leads to, of which only the documents need be here.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) fn of_resolved(
        store: &Store,
        name: &Reference,
        resolved: &Resolved,
    ) -> Result<Vec<Self>, StoreError> {
        let subject = |image: &crate::resolve::Image| {
            let digest = &image.descriptor.digest;
            let kept = resolved.documents.iter().find(|kept| kept.descriptor.digest == *digest);
            let manifest = match kept {
                Some(kept) => kept.bytes.clone(),
                None => store.read_blob(digest, DOCUMENT_LIMIT)?,
            };
            let mut digests = vec![digest.clone(), resolved.digest.clone()];
            digests.dedup();
            Ok(Self { name: name.clone(), manifest, digests })
        };
        resolved.images.iter().map(subject).collect()
    }
}

/// How a requirement is met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing is asked.
    Accepted,
    /// By a signature.
    Signed {
        /// Who has made it.
        by: String,
        /// Where it was found.
        origin: String,
    },
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted => formatter.write_str("accepted without a signature"),
            Self::Signed { by, origin } => write!(formatter, "signed by {by} ({origin})"),
        }
    }
}

/// Demands everything that is required; `gather` is asked for signatures only if one has to be there.
///
/// # Errors
/// [`TrustError`], or that of `gather`.
pub(super) fn demand<E: From<TrustError>>(
    subject: &Subject,
    requirements: &[Requirement],
    gather: impl Fn(&mut Signatures) -> Result<(), E>,
) -> Result<Vec<Verdict>, E> {
    let mut signatures = Signatures::default();
    if requirements.iter().any(|requirement| matches!(requirement, Requirement::Signed(_))) {
        gather(&mut signatures)?;
    }
    let verdict = |requirement: &Requirement| match requirement {
        Requirement::Signed(signed) => signatures.check(signed, subject),
        _ => Ok(Verdict::Accepted),
    };
    Ok(requirements.iter().map(verdict).collect::<Result<_, _>>()?)
}

/// What was found that may be a signature.
#[derive(Default)]
pub(super) struct Signatures {
    candidates: Vec<Candidate>,
    bundles: Vec<(String, Vec<u8>)>,
}

impl Signatures {
    /// Adds the bundle in a file.
    ///
    /// # Errors
    /// [`TrustError::Bundle`].
    pub(super) fn add_file(&mut self, path: &Path) -> Result<(), TrustError> {
        let bytes = mydocker_sys::fs::read_regular(path, SIGNATURE_LIMIT)
            .map_err(|source| TrustError::Bundle(path.to_owned(), source))?;
        self.bundles.push((path.display().to_string(), bytes));
        Ok(())
    }

    /// Fetches the signatures that a registry has: under cosign's tag, and those that refer to the image.
    ///
    /// # Errors
    /// [`TrustError::Registry`].
    pub(super) fn ask(&mut self, client: &Client, subject: &Subject) -> Result<(), TrustError> {
        self.fetch(client, &subject.digests)
            .map_err(|error| TrustError::Registry(subject.name.clone(), error))
    }

    fn fetch(&mut self, client: &Client, digests: &[Digest]) -> Result<(), RegistryError> {
        for digest in digests {
            self.fetch_from(client, &signature_tag(digest))?;
            let is_signature = |found: &Descriptor| {
                let kind = found.artifact_type.as_deref().unwrap_or_default();
                kind.contains("cosign") || kind.contains("sigstore")
            };
            for found in client.referrers(digest)?.iter().filter(|found| is_signature(found)) {
                self.fetch_from(client, found.digest.as_str())?;
            }
        }
        Ok(())
    }

    /// Nothing there is no failure: then there is no signature.
    fn fetch_from(&mut self, client: &Client, version: &str) -> Result<(), RegistryError> {
        match client.manifest(version) {
            Err(RegistryError::NotFound { .. }) => Ok(()),
            other => match other?.document {
                Document::Manifest(manifest) => self.add(client, version, &manifest),
                Document::Index(_) => Ok(()),
            },
        }
    }

    fn add(&mut self, client: &Client, origin: &str, manifest: &Manifest) -> Result<(), RegistryError> {
        for layer in &manifest.layers {
            let signature = layer.annotations.get(SIGNATURE_ANNOTATION);
            let is_bundle = layer.media_type.as_str().contains("sigstore.bundle");
            if signature.is_none() && !is_bundle || self.candidates.len() + self.bundles.len() >= SIGNATURES {
                continue;
            }
            let payload = client.small_blob(&layer.digest, SIGNATURE_LIMIT)?;
            let (origin, annotations) = (origin.to_owned(), layer.annotations.clone());
            match signature {
                Some(_) => self.candidates.push(Candidate { origin, payload, annotations }),
                None => self.bundles.push((origin, payload)),
            }
        }
        Ok(())
    }

    /// The first signature that is right.
    fn check(&self, signed: &Signed, subject: &Subject) -> Result<Verdict, TrustError> {
        let Subject { name, manifest, digests } = subject;
        let verdict = |by: String, origin: &str| Ok(Verdict::Signed { by, origin: origin.to_owned() });
        let mut reasons = Vec::new();
        for candidate in &self.candidates {
            match candidate.check(signed, digests, name) {
                Ok(by) => return verdict(by, &candidate.origin),
                Err(fault) => reasons.push(format!("{}: {}", candidate.origin, chain(&fault))),
            }
        }
        for (origin, bytes) in &self.bundles {
            let checked =
                Bundle::parse(bytes).and_then(|bundle| bundle.check(signed, manifest, digests, name));
            match checked {
                Ok(by) => return verdict(by, origin),
                Err(fault) => reasons.push(format!("{origin}: {}", chain(&fault))),
            }
        }
        if reasons.is_empty() {
            reasons.push("there is no signature".to_owned());
        }
        Err(TrustError::NotSigned { name: name.clone(), reasons: reasons.join("; ") })
    }
}
