//! `verify`: whether an image is what its digests say, and signed by whom a policy names.

use super::local::{FindError, Found, find};
use super::trust::{Subject, TrustError, by_policy, demand, signed_by_keys, usual_policy};
use crate::cli::{Context, VerifyArgs};
use crate::digest::Digest;
use crate::image::DOCUMENT_LIMIT;
use crate::layer::Inflate;
use crate::plan::{PlanError, layer_jobs};
use crate::reference::Reference;
use crate::registry::{HostsError, Operation};
use crate::store::{Image, Store, StoreError};
use crate::verify::Requirement;
use mydocker_cmdline::{one_line, print};
use std::io;

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
    /// A bundle is of no use where nothing is asked.
    #[error(
        "a bundle is given, and nothing says whose signature has to be in it; name a key with --key, or a policy that asks for a \
         signature with --policy"
    )]
    Unasked,
    /// The policy, the keys or the signatures.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// It is not known whom to ask.
    #[error(transparent)]
    Hosts(#[from] HostsError),
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
    let requirements = requirements(args, context, &found)?;
    let all = requirements.iter().flat_map(|(_, all)| all);
    if !args.bundle.is_empty() && !all.into_iter().any(|one| matches!(one, Requirement::Signed(_))) {
        return Err(VerifyError::Unasked);
    }
    let Some((name, requirements)) = requirements else {
        return Ok(print("no key and no policy is there: signatures were not asked for\n")?);
    };
    let subject = Subject::of_stored(&store, &name, &image)?;
    let verdicts = demand(&subject, &requirements, |signatures| {
        for path in &args.bundle {
            signatures.add_file(path)?;
        }
        // Whoever brings signatures along need not be connected.
        if args.bundle.is_empty() {
            let connection = context.connection(&args.registry)?;
            signatures.ask(&connection.client(&name, Operation::Pull)?, &subject)?;
        }
        Ok::<_, VerifyError>(())
    })?;
    let lines: String =
        verdicts.iter().map(|verdict| one_line(&format!("{name}: {verdict}")) + "\n").collect();
    Ok(print(&lines)?)
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
        let found = Digest::read(job.digest.algorithm(), blob.file()).map_err(failed)?;
        demand_digest("layer", &job.digest, found)?;
        let blob = store.blob(&job.digest)?.ok_or_else(|| StoreError::Missing(job.digest.clone()))?;
        let archive = Inflate::new(blob.file(), job.diff_id.algorithm(), store.budget());
        let found = archive.and_then(Inflate::finish).map_err(failed)?;
        demand_digest("what is in the layer", &job.diff_id, found)?;
    }
    Ok(2 + 2 * jobs.len())
}

fn demand_digest(what: &'static str, expected: &Digest, found: Digest) -> Result<(), VerifyError> {
    if found == *expected {
        return Ok(());
    }
    Err(VerifyError::Digest { what, expected: expected.clone(), found })
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
        requirements.push(signed_by_keys(&args.key)?);
    }
    if let Some(path) = policy {
        requirements.extend(by_policy(&path, &name)?);
    }
    Ok(Some((name, requirements)))
}
