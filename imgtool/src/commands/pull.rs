//! `pull`: resolve, plan, fetch and unpack, record.

use super::trust::{Subject, TrustError, Verdict, by_policy, demand, usual_policy};
use crate::cli::{Connection, Context, Display, PullArgs, human_size};
use crate::digest::Digest;
use crate::fetch::{FetchError, Fetcher};
use crate::layer::{LayerError, Unpacker};
use crate::plan::{PullPlan, Step};
use crate::platform::{Platform, PlatformError};
use crate::reference::{DEFAULT_TAG, Reference};
use crate::registry::{Client, HostsError, Operation};
use crate::resolve::{ResolveError, Resolved, Wanted, resolve};
use crate::store::{Store, StoreError};
use crate::verify::Requirement;
use mydocker_cmdline::{one_line, print};
use std::io::{self, Write as _};

/// Why an image was not pulled.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// It is not known whom to ask.
    #[error(transparent)]
    Hosts(#[from] HostsError),
    /// The platform is none.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The policy does not let it in.
    #[error("cannot pull {0}")]
    Trust(Reference, #[source] Box<TrustError>),
    /// The name leads nowhere.
    #[error("cannot pull {0}")]
    Resolve(Reference, #[source] Box<ResolveError>),
    /// Its blobs did not come.
    #[error("cannot pull {0}")]
    Fetch(Reference, #[source] Box<FetchError>),
    /// A layer that needs those below was not unpacked.
    #[error("cannot unpack layer {0}")]
    Unpack(Digest, #[source] LayerError),
    /// Standard output.
    #[error("cannot write to standard output")]
    Output(#[from] io::Error),
}

/// Pulls an image.
///
/// # Errors
/// [`PullError`]; then nothing of it can be seen in the store.
pub fn pull(args: &PullArgs, context: &Context) -> Result<(), PullError> {
    let connection = context.connection(&args.registry)?;
    let reference = connection.hosts.expand(args.name())?;
    let wanted = wanted(args)?;
    let store = context.store()?;
    let display = Display::new(args.quiet || args.dry_run);
    announce(&reference, &display);
    let reference = reference.or_latest();
    let requirements = requirements(args, context, &reference)?;
    let client = connection.client(&reference, Operation::Pull)?;
    // From here on nothing that is found in the store goes away before the tag is there.
    let hold = store.hold()?;
    let resolved = resolve(&client, &store, &reference, &wanted)
        .map_err(|error| PullError::Resolve(reference.clone(), Box::new(error)))?;
    demand_trust(&requirements, &resolved, &reference, &store, &client, &display)?;
    let plan = PullPlan::new(&store, &resolved, &reference, !args.all_platforms);
    if args.explain || args.dry_run {
        explain(&plan)?;
    }
    if !args.dry_run {
        carry_out(&plan, &resolved, &reference, &store, &client, &connection, &display)?;
        drop(hold);
        conclude(args, &resolved, &reference, &plan, &display)?;
    }
    warn(&client.warnings());
    Ok(())
}

fn wanted(args: &PullArgs) -> Result<Wanted, PlatformError> {
    if args.all_platforms {
        return Ok(Wanted::All);
    }
    let platform = args.platform.as_deref().map(Platform::parse).transpose()?;
    Ok(Wanted::One(platform.unwrap_or_else(Platform::host)))
}

/// What the policy asks of the image, if there is a policy; what it rejects is not even asked for.
fn requirements(
    args: &PullArgs,
    context: &Context,
    reference: &Reference,
) -> Result<Vec<Requirement>, PullError> {
    let Some(policy) = args.signature_policy.clone().or_else(|| usual_policy(context)) else {
        return Ok(Vec::new());
    };
    by_policy(&policy, reference).map_err(|error| PullError::Trust(reference.clone(), Box::new(error)))
}

/// Demands of every image what the policy asks for, before anything of it comes.
fn demand_trust(
    requirements: &[Requirement],
    resolved: &Resolved,
    reference: &Reference,
    store: &Store,
    client: &Client,
    display: &Display,
) -> Result<(), PullError> {
    for subject in Subject::of_resolved(store, reference, resolved)? {
        let verdicts = demand(&subject, requirements, |signatures| signatures.ask(client, &subject))
            .map_err(|error| PullError::Trust(reference.clone(), Box::new(error)))?;
        for verdict in verdicts.iter().filter(|verdict| **verdict != Verdict::Accepted) {
            display.say(&format!("{}: {verdict}", reference.version()));
        }
    }
    Ok(())
}

fn announce(reference: &Reference, display: &Display) {
    if reference.tag().is_none() && reference.digest().is_none() {
        display.say(&format!("Using default tag: {DEFAULT_TAG}"));
    }
    let reference = reference.clone().or_latest();
    display.say(&format!("{}: Pulling from {}", reference.version(), reference.familiar_name()));
}

fn explain(plan: &PullPlan) -> io::Result<()> {
    let lines: String = plan.steps.iter().map(|step| format!("{step}\n")).collect();
    let total = human_size(plan.bytes_to_fetch());
    print(&format!("{lines}{total} to fetch\n"))
}

fn carry_out(
    plan: &PullPlan,
    resolved: &Resolved,
    reference: &Reference,
    store: &Store,
    client: &Client,
    connection: &Connection,
    display: &Display,
) -> Result<(), PullError> {
    let unpacker = Unpacker::new(store).until(&connection.cancel);
    let fetcher =
        Fetcher { client, store, sink: Some(&unpacker), progress: display, cancel: &connection.cancel };
    display
        .during(|| fetcher.run(plan.fetches()))
        .map_err(|error| PullError::Fetch(reference.clone(), Box::new(error)))?;
    // Layers that need those below could not be unpacked while they came.
    let unpacks = plan.steps.iter().any(|step| matches!(step, Step::Unpack(_)));
    for image in resolved.images.iter().filter(|_| unpacks) {
        unpacker.stack(&image.layers).map_err(|(digest, source)| PullError::Unpack(digest, source))?;
    }
    for kept in &resolved.documents {
        store.keep(&kept.descriptor.digest, &kept.bytes)?;
    }
    for step in &plan.steps {
        if let Step::Record { reference, target } = step {
            store.record(reference, target)?;
        }
    }
    Ok(())
}

fn conclude(
    args: &PullArgs,
    resolved: &Resolved,
    reference: &Reference,
    plan: &PullPlan,
    display: &Display,
) -> io::Result<()> {
    if args.quiet {
        return print(&format!("{reference}\n"));
    }
    let is_new = plan.steps.iter().any(|step| matches!(step, Step::Fetch(_) | Step::Keep(_)));
    let status = if is_new { "Downloaded newer image" } else { "Image is up to date" };
    display.say(&format!("Digest: {}", resolved.digest));
    display.say(&format!("Status: {status} for {}", reference.familiar()));
    print(&format!("{reference}\n"))
}

/// Passes on what registries warn of; their words cannot reach the terminal as they are.
fn warn(warnings: &[String]) {
    for warning in warnings {
        // When standard error is closed there is nobody left to warn.
        writeln!(io::stderr(), "warning: {}", one_line(warning)).unwrap_or_default();
    }
}
