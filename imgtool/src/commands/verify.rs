//! `verify`: whether an image is what its digests say, and signed by whom a policy names.

use super::local::{FindError, Found, find};
use crate::cli::{Connection, Context, VerifyArgs, chain};
use crate::digest::{Digest, Hasher};
use crate::image::{DOCUMENT_LIMIT, Descriptor, Document, INDEX_ANNOTATION, Manifest};
use crate::layer::{Budget, Inflate};
use crate::plan::{PlanError, layer_jobs};
use crate::reference::Reference;
use crate::registry::{Client, HostsError, Operation, RegistryError};
use crate::store::{Image, Store, StoreError};
use crate::verify::{
    Bundle, Candidate, Identity, KeyError, Policy, PolicyError, PublicKey, Requirement, SIGNATURE_ANNOTATION,
    Signed, signature_tag,
};
use mydocker_cmdline::{one_line, print};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// What a bundle or a signed document may have, in bytes.
const SIGNATURE_LIMIT: u64 = 1 << 20;

/// How many signatures of an image are looked at.
const SIGNATURES: usize = 100;

/// Why an image is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// There is no such image.
    #[error(transparent)]
    Find(#[from] FindError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its documents do not fit each other.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A blob is not what its digest says.
    #[error("{what} {expected} is damaged: its content has the digest {found}")]
    Digest {
        /// What it is.
        what: &'static str,
        /// What it should be.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// A layer cannot be read.
    #[error("cannot read layer {0}")]
    Read(Digest, #[source] io::Error),
    /// It has no name that a policy could speak of.
    #[error("image {0} has no name, for which a policy or a registry could be asked; 'tag' gives it one")]
    Nameless(String),
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The policy says no.
    #[error("the policy rejects {0}")]
    Rejected(Reference),
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
    /// It is not known whom to ask.
    #[error(transparent)]
    Hosts(#[from] HostsError),
    /// The registry.
    #[error("cannot look for signatures of {0}")]
    Registry(Reference, #[source] RegistryError),
    /// Standard output.
    #[error("cannot write to standard output")]
    Output(#[from] io::Error),
}

/// Verifies an image of the store: its digests always, its signatures by keys or by a policy.
///
/// # Errors
/// [`VerifyError`]; then it is not what it should be, or that could not be found out.
pub fn verify(args: &VerifyArgs, context: &Context) -> Result<(), VerifyError> {
    let store = context.store()?;
    let _hold = store.hold()?;
    let found = find(&store, &args.image)?;
    let image = store.image(&found.target)?;
    let count = check_digests(&store, &image)?;
    print(&format!("{}: {count} digests are right\n", image.target.digest))?;
    let Some((name, requirements)) = requirements(args, context, &found)? else {
        return Ok(print("no key and no policy is there: signatures were not asked for\n")?);
    };
    let mut signatures = None;
    for requirement in &requirements {
        match requirement {
            Requirement::Accept => print(&format!("{name}: accepted without a signature\n"))?,
            Requirement::Reject => return Err(VerifyError::Rejected(name)),
            Requirement::Signed(signed) => {
                let signatures = match &mut signatures {
                    Some(signatures) => signatures,
                    none => none.insert(gather(args, context, &store, &name, &image)?),
                };
                let (key, origin) = signatures.check(signed, &name)?;
                print(&one_line_end(&format!("{name}: signed by {} ({origin})", key.name())))?;
            }
        }
    }
    Ok(())
}

fn one_line_end(text: &str) -> String {
    one_line(text) + "\n"
}

/// Hashes everything that belongs to the image, and returns how many digests were compared.
fn check_digests(store: &Store, image: &Image) -> Result<usize, VerifyError> {
    // Documents are hashed whenever they are read.
    store.read_blob(&image.target.digest, DOCUMENT_LIMIT)?;
    store.read_blob(image.id(), DOCUMENT_LIMIT)?;
    let jobs = layer_jobs(&image.manifest, &image.config)?;
    for job in &jobs {
        let blob = store.blob(&job.digest)?.ok_or_else(|| StoreError::Missing(job.digest.clone()))?;
        let failed = |error| VerifyError::Read(job.digest.clone(), error);
        let found = hash(blob.file(), &job.digest).map_err(failed)?;
        demand("layer", &job.digest, found)?;
        let blob = store.blob(&job.digest)?.ok_or_else(|| StoreError::Missing(job.digest.clone()))?;
        let archive = Inflate::new(blob.file(), job.diff_id.algorithm(), Budget::default());
        let found = archive.and_then(Inflate::finish).map_err(failed)?;
        demand("what is in the layer", &job.diff_id, found)?;
    }
    Ok(2 + 2 * jobs.len())
}

fn demand(what: &'static str, expected: &Digest, found: Digest) -> Result<(), VerifyError> {
    if found == *expected {
        return Ok(());
    }
    Err(VerifyError::Digest { what, expected: expected.clone(), found })
}

fn hash(mut file: &std::fs::File, expected: &Digest) -> io::Result<Digest> {
    let mut hasher = Hasher::new(expected.algorithm());
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// What is asked of the image, and the name that it is asked for; nothing if there are neither keys nor a policy.
fn requirements(
    args: &VerifyArgs,
    context: &Context,
    found: &Found,
) -> Result<Option<(Reference, Vec<Requirement>)>, VerifyError> {
    let policy = match &args.policy {
        Some(path) => Some(path.clone()),
        None => usual_policy(context).filter(|_| args.key.is_empty()),
    };
    if args.key.is_empty() && policy.is_none() {
        return Ok(None);
    }
    let name = found.name.clone().or_else(|| found.names.first().cloned());
    let name = name.ok_or_else(|| VerifyError::Nameless(found.id.short().to_owned()))?;
    let mut requirements = Vec::new();
    if !args.key.is_empty() {
        let keys = args.key.iter().map(|path| PublicKey::read(path)).collect::<Result<_, _>>()?;
        requirements.push(Requirement::Signed(Signed { keys, identity: Identity::Repository }));
    }
    if let Some(path) = policy {
        requirements.extend(Policy::read(&path)?.requirements(&name)?);
    }
    Ok(Some((name, requirements)))
}

/// The user's policy, or that of the host, where podman and skopeo look for it.
fn usual_policy(context: &Context) -> Option<PathBuf> {
    let own = context.environment.config_home().map(|home| home.join("containers/policy.json"));
    own.into_iter().chain([PathBuf::from("/etc/containers/policy.json")]).find(|path| path.is_file())
}

/// What was found that may be a signature.
struct Signatures {
    manifest: Vec<u8>,
    /// What a signature may be about: the manifest, and the index that it was chosen from.
    digests: Vec<Digest>,
    candidates: Vec<Candidate>,
    bundles: Vec<(String, Vec<u8>)>,
}

fn gather(
    args: &VerifyArgs,
    context: &Context,
    store: &Store,
    name: &Reference,
    image: &Image,
) -> Result<Signatures, VerifyError> {
    let index = image.target.annotations.get(INDEX_ANNOTATION).and_then(|text| Digest::parse(text).ok());
    let digests: Vec<_> = [image.target.digest.clone()].into_iter().chain(index).collect();
    let manifest = store.read_blob(&image.target.digest, DOCUMENT_LIMIT)?;
    let mut signatures = Signatures { manifest, digests, candidates: Vec::new(), bundles: Vec::new() };
    for path in &args.bundle {
        signatures.bundles.push((path.display().to_string(), read_bundle(path)?));
    }
    // Whoever brings signatures along need not be connected.
    if args.bundle.is_empty() {
        let connection = context.connection(&args.registry)?;
        signatures.ask(&connection, name)?.map_err(|error| VerifyError::Registry(name.clone(), error))?;
    }
    Ok(signatures)
}

fn read_bundle(path: &Path) -> Result<Vec<u8>, VerifyError> {
    mydocker_sys::fs::read_regular(path, SIGNATURE_LIMIT)
        .map_err(|source| VerifyError::Bundle(path.to_owned(), source))
}

impl Signatures {
    /// Fetches the signatures that the registry has: under cosign's tag, and those that refer to the manifest.
    fn ask(
        &mut self,
        connection: &Connection,
        name: &Reference,
    ) -> Result<Result<(), RegistryError>, HostsError> {
        let client = connection.client(name, Operation::Pull)?;
        Ok(self.fetch(&client))
    }

    fn fetch(&mut self, client: &Client) -> Result<(), RegistryError> {
        for digest in self.digests.clone() {
            let tag = signature_tag(&digest);
            self.fetch_from(client, &tag)?;
            let is_signature = |found: &Descriptor| {
                let kind = found.artifact_type.as_deref().unwrap_or_default();
                kind.contains("cosign") || kind.contains("sigstore")
            };
            for found in client.referrers(&digest)?.iter().filter(|found| is_signature(found)) {
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
            let origin = origin.to_owned();
            match signature {
                Some(signature) => {
                    self.candidates.push(Candidate { origin, payload, signature: signature.clone() });
                }
                None => self.bundles.push((origin, payload)),
            }
        }
        Ok(())
    }

    /// The key of the first signature that is right, and where that was.
    fn check<'s>(
        &'s self,
        signed: &'s Signed,
        name: &Reference,
    ) -> Result<(&'s PublicKey, &'s str), VerifyError> {
        let mut reasons = Vec::new();
        for candidate in &self.candidates {
            match candidate.check(&signed.keys, &self.digests, name, &signed.identity) {
                Ok(key) => return Ok((key, &candidate.origin)),
                Err(fault) => reasons.push(format!("{}: {fault}", candidate.origin)),
            }
        }
        for (origin, bytes) in &self.bundles {
            let checked = Bundle::parse(bytes)
                .and_then(|bundle| bundle.check(&signed.keys, &self.manifest, &self.digests));
            match checked {
                Ok(key) => return Ok((key, origin)),
                Err(fault) => reasons.push(format!("{origin}: {}", chain(&fault))),
            }
        }
        if reasons.is_empty() {
            reasons.push("there is no signature".to_owned());
        }
        Err(VerifyError::NotSigned { name: name.clone(), reasons: reasons.join("; ") })
    }
}
