//! `tag`, `rmi` and `gc`: names, and what no name leads to.

use super::local::{FindError, Found, find};
use crate::cli::{Context, GcArgs, RmiArgs, TagArgs, human_size};
use crate::reference::{Reference, ReferenceError};
use crate::store::{Collected, Store, StoreError};
use mydocker_cmdline::print;
use std::io;

/// Why names were not changed.
#[derive(Debug, thiserror::Error)]
pub enum NamesError {
    /// There is no such image.
    #[error(transparent)]
    Find(#[from] FindError),
    /// The new name is none.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// A name with a digest.
    #[error("{0} has a digest, which is not given but follows from the content; leave it out")]
    Digest(Reference),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An image has several names, and its id does not say which is meant.
    #[error("image {id} has several names ({names}); give one of them, or --force to take all away")]
    SeveralNames {
        /// The beginning of its id.
        id: String,
        /// The names.
        names: String,
    },
    /// Standard output.
    #[error("cannot write to standard output")]
    Output(#[from] io::Error),
}

/// Gives an image one more name.
///
/// # Errors
/// [`NamesError`].
pub fn tag(args: &TagArgs, context: &Context) -> Result<(), NamesError> {
    let name = Reference::parse(&args.name)?.or_latest();
    if name.digest().is_some() {
        return Err(NamesError::Digest(name));
    }
    let store = context.store()?;
    let _hold = store.hold()?;
    let found = find(&store, &args.image)?;
    Ok(store.record(&name, &found.target)?)
}

/// Takes names away, and removes what no other name leads to.
///
/// # Errors
/// [`NamesError`]; images before the one that is told about are removed.
pub fn rmi(args: &RmiArgs, context: &Context) -> Result<(), NamesError> {
    let store = context.store()?;
    let alone = store.hold_alone()?;
    let mut result = Ok(());
    for image in &args.images {
        result = untag(&store, image, args.force);
        if result.is_err() {
            break;
        }
    }
    let collected = store.collect(&alone, false)?;
    print(&collected.blobs.iter().map(|digest| format!("Deleted: {digest}\n")).collect::<String>())?;
    result
}

fn untag(store: &Store, image: &str, force: bool) -> Result<(), NamesError> {
    let Found { id, name, names, .. } = find(store, image)?;
    let going = match name {
        Some(name) => vec![name],
        None if names.len() > 1 && !force => {
            let names = names.iter().map(Reference::familiar).collect::<Vec<_>>().join(", ");
            return Err(NamesError::SeveralNames { id: id.short().to_owned(), names });
        }
        None => names,
    };
    for name in going {
        if store.forget(&name)? {
            print(&format!("Untagged: {}\n", name.familiar()))?;
        }
    }
    Ok(())
}

/// Removes what no name leads to, and what killed commands have left.
///
/// # Errors
/// [`NamesError`].
pub fn gc(_: &GcArgs, context: &Context) -> Result<(), NamesError> {
    let store = context.store()?;
    let alone = store.hold_alone()?;
    let Collected { blobs, layers, pieces, bytes } = store.collect(&alone, true)?;
    let blobs: String = blobs.iter().map(|digest| format!("Deleted: {digest}\n")).collect();
    let layers: String = layers.iter().map(|digest| format!("Deleted layer: {digest}\n")).collect();
    let pieces = if pieces > 0 { format!("Deleted unfinished: {pieces}\n") } else { String::new() };
    Ok(print(&format!("{blobs}{layers}{pieces}Total reclaimed space: {}\n", human_size(bytes)))?)
}
