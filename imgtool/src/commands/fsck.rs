//! `fsck`: whether the store is whole.

use crate::cli::{Context, FsckArgs};
use crate::store::{Check, Finding, Mending, StoreError};
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
    let check = if args.repair {
        let alone = store.hold_alone()?;
        store.check(Mending::Yes(&alone))?
    } else {
        let hold = store.hold()?;
        store.check(Mending::No(&hold))?
    };
    print(&report(&check))?;
    match check.wrong() {
        0 => Ok(()),
        wrong => Err(FsckError::Wrong(wrong)),
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
