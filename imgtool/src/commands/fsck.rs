//! `fsck`: whether the store is whole.

use crate::cli::{Context, FsckArgs, chain};
use crate::layer::Unpacker;
use crate::plan::layer_jobs;
use crate::store::{Check, Finding, Mending, Store, StoreError};
use mydocker_cmdline::{one_line, print};
use std::io;

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

fn report(check: &Check) -> String {
    let mut text: String = check.findings.iter().map(line).collect();
    if check.unfinished > 0 {
        text.push_str(&format!(
            "{} unfinished, which the next pull goes on with or gc removes\n",
            check.unfinished
        ));
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
