//! `diff`: what one tree has in place of another, in docker's letters.

use super::tree::{TreeError, bundle, tree, tree_of_base, tree_of_bundle};
use crate::cli::{Context, DiffArgs, DiffFormat};
use crate::layer::pack::{Change, ChangeKind, PackError, difference};
use crate::store::StoreError;
use mydocker_cmdline::{one_line, print};
use serde_json::json;
use std::io;

/// Why there is no difference to be told.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    /// A tree.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The comparison.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// There is nothing to compare with.
    #[error("{0:?} is no bundle; give a second image, or a bundle, to compare it with")]
    Alone(String),
    /// A bundle without a beginning.
    #[error(
        "the bundle {0:?} does not say which image it began as; give the image first, and the bundle behind it"
    )]
    NoBase(String),
    /// Standard output.
    #[error("cannot write to standard output")]
    Output(#[from] io::Error),
}

/// Prints how B differs from A, or a bundle from its image.
///
/// # Errors
/// [`DiffError`].
pub fn diff_command(args: &DiffArgs, context: &Context) -> Result<(), DiffError> {
    let store = context.store()?;
    let _hold = store.hold()?;
    let (lower, upper) = match &args.other {
        Some(other) => (tree(&store, &args.one)?, tree(&store, other)?),
        None => {
            let bundle = bundle(&args.one)?.ok_or_else(|| DiffError::Alone(args.one.clone()))?;
            let base = bundle.image.as_ref().ok_or_else(|| DiffError::NoBase(args.one.clone()))?;
            (tree_of_base(&store, base)?, tree_of_bundle(&store, &bundle)?)
        }
    };
    let mut lines = String::new();
    difference(&lower, &upper, &mut |change| {
        // As docker, which does not tell of the top.
        if !change.path.is_empty() {
            lines.push_str(&line(&change, args.format));
        }
        Ok(())
    })?;
    Ok(print(&lines)?)
}

fn line(change: &Change<'_>, format: DiffFormat) -> String {
    let letter = match change.kind {
        ChangeKind::Added => "A",
        ChangeKind::Changed => "C",
        ChangeKind::Deleted => "D",
    };
    let path = format!("/{}", String::from_utf8_lossy(change.path));
    match format {
        DiffFormat::Text => format!("{letter} {}\n", one_line(&path)),
        DiffFormat::Json => format!("{}\n", json!({ "Kind": letter, "Path": path })),
    }
}
