//! `fsck`: whether the store is whole.

use crate::cli::{Context, FsckArgs, chain};
use crate::digest::Digest;
use crate::fetch::LayerJob;
use crate::layer::{Compared, Unpacker};
use crate::plan::layer_jobs;
use crate::store::{Check, Finding, Holder, Mending, Store, StoreError};
use mydocker_cmdline::{one_line, print};
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

/// Why the store is not whole, or not known to be.
#[derive(Debug, thiserror::Error)]
pub enum FsckError {
    /// It cannot be read, or not be mended.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something is wrong, and was told.
    #[error("the image store is not whole: {0} of what is told above is still wrong")]
    Wrong(usize),
    /// Standard output.
    #[error("cannot write to standard output")]
    Output(#[from] io::Error),
}

/// Checks the store and, with `--repair`, mends what can be mended without a registry.
///
/// # Errors
/// [`FsckError::Wrong`] as long as something is wrong.
pub fn fsck(args: &FsckArgs, context: &Context) -> Result<(), FsckError> {
    let store = context.store()?;
    let hold = if args.repair { store.hold_alone()? } else { store.hold()? };
    let mut check = store.check(if args.repair { Mending::Yes(&hold) } else { Mending::No(&hold) })?;
    check_mounted(&store, args.repair, &mut check);
    if args.deep {
        compare_layers(&store, args.repair, &mut check)?;
    }
    print(&report(&check))?;
    match check.wrong() {
        0 => Ok(()),
        wrong => Err(FsckError::Wrong(wrong)),
    }
}

/// What containers and bundles are mounted from has to be unpacked. What cannot be read was told before.
fn check_mounted(store: &Store, repair: bool, check: &mut Check) {
    for lease in store.leases().unwrap_or_default().iter().filter(|lease| !lease.is_stale()) {
        let Ok(image) = store.image(&lease.image) else { continue };
        let Ok(jobs) = layer_jobs(&image.manifest, &image.config) else { continue };
        let missing: Vec<_> = store.layers(&image).into_iter().filter(|layer| layer.path.is_none()).collect();
        let Some(first) = missing.first() else { continue };
        let (count, owner) = (missing.len(), lease.owner.display());
        let problem =
            format!("{count} layers of {} {owner} are not unpacked, first {}", lease.kind, first.diff_id);
        if !repair {
            check.wrong_is(problem);
            continue;
        }
        match Unpacker::new(store).stack(&jobs) {
            Ok(_) => check.mended(problem, "unpacked".to_owned()),
            Err((_, error)) => check.wrong_is(format!("{problem}: {}", chain(&error))),
        }
    }
}

/// Compares unpacked layers with their blobs. What cannot be read was told before.
fn compare_layers(store: &Store, repair: bool, check: &mut Check) -> Result<(), StoreError> {
    let (mut seen, mut compared) = (HashSet::new(), 0);
    let leases = store.leases().unwrap_or_default().into_iter().map(|lease| lease.image);
    let named = store.entries().unwrap_or_default().into_iter().map(|(_, target)| target);
    for target in named.chain(leases) {
        let Ok(image) = store.image(&target) else { continue };
        let Ok(jobs) = layer_jobs(&image.manifest, &image.config) else { continue };
        let mut below = Vec::new();
        for job in &jobs {
            // Those above it may need it, and nothing is mounted from them.
            let Some(key) = store.unpacked(&job.diff_id, &job.stacked) else { break };
            if seen.insert(key.clone()) && store.has_blob(&job.digest) {
                compare_layer(store, job, &below, repair, check)?;
                compared += 1;
            }
            below.push(store.layer_path(&key));
        }
    }
    check.compared = Some(compared);
    Ok(())
}

fn compare_layer(
    store: &Store,
    job: &LayerJob,
    below: &[PathBuf],
    repair: bool,
    check: &mut Check,
) -> Result<(), StoreError> {
    let found = match Unpacker::new(store).compare(job, below) {
        Ok(Compared::Same(_)) => return Ok(()),
        Ok(Compared::Different(found)) => found,
        Err(error) => {
            check.wrong_is(format!(
                "layer {} cannot be compared with its blob: {}",
                job.diff_id,
                chain(&error)
            ));
            return Ok(());
        }
    };
    let (key, first) = (&found.key, &found.first);
    let problem = format!("layer {key} is not what is in its blob {}, first at {first:?}", job.digest);
    match in_use(store, key) {
        _ if !repair => check.wrong_is(problem),
        Some(user) => {
            check.wrong_is(format!("{problem}; {user} lies on it, and has to go before it is mended"))
        }
        None => {
            let aside = found.take_place(store)?;
            check.mended(problem, format!("unpacked again; what was there is {aside:?}"));
        }
    }
    Ok(())
}

/// Who has the layer mounted. Of a container that cannot be told: its mounts may be in a namespace of its own.
fn in_use(store: &Store, layer: &Digest) -> Option<String> {
    let leases = store.leases().unwrap_or_default();
    let user = leases.into_iter().filter(|lease| !lease.is_stale()).find(|lease| {
        let lies_on =
            store.image(&lease.image).is_ok_and(|image| store.layer_keys(&image.config).contains(layer));
        let mounted = |path: &Path| mydocker_sys::mount::is_mount_point(path).unwrap_or(false);
        lies_on
            && match lease.kind {
                Holder::Container => true,
                Holder::Bundle => mounted(&lease.owner.join("rootfs")),
                Holder::Mount => mounted(&lease.owner),
            }
    })?;
    Some(format!("{} {}", user.kind, user.owner.display()))
}

fn report(check: &Check) -> String {
    let mut text: String = check.findings.iter().map(line).collect();
    if check.unfinished > 0 {
        text.push_str(&format!(
            "{} unfinished, which the next pull goes on with or gc removes\n",
            check.unfinished
        ));
    }
    if let Some(count) = check.compared {
        text.push_str(&format!("{count} layers compared with their blobs\n"));
    }
    let Check { blobs, layers, names, .. } = check;
    let (found, wrong) = (check.findings.len(), check.wrong());
    text + &format!(
        "{blobs} blobs, {layers} layers and {names} names checked: {found} problems, {} mended\n",
        found - wrong
    )
}

fn line(finding: &Finding) -> String {
    match &finding.mended {
        Some(how) => format!("mended: {}: {}\n", one_line(&finding.problem), one_line(how)),
        None => format!("wrong: {}\n", one_line(&finding.problem)),
    }
}
