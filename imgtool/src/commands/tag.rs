//! `tag`, `rmi` and `gc`: names, and what no name leads to.

use super::local::{FindError, Found, find};
use crate::cli::{Context, GcArgs, RmiArgs, TagArgs, complain, human_size};
use crate::digest::Digest;
use crate::image::Descriptor;
use crate::reference::{Reference, ReferenceError};
use crate::store::{Collected, Lease, Store, StoreError};
use mydocker_cmdline::{one_line, print};
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
    /// A container or a bundle needs the image.
    #[error("image {id} is being used by {holders}; --force takes its last name away, and keeps it for them")]
    InUse {
        /// The beginning of its id.
        id: String,
        /// Who needs it.
        holders: String,
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
    store.record(&name, &found.target)?;
    // An image that had no name has one now.
    Ok(store.forget_nameless(&[found.target])?)
}

/// Takes names away, and removes what no other name leads to.
///
/// # Errors
/// [`NamesError`]; the other images are removed.
pub fn rmi(args: &RmiArgs, context: &Context) -> Result<(), NamesError> {
    let store = context.store()?;
    let alone = store.hold_alone()?;
    let mut errors = Vec::new();
    for image in &args.images {
        match untag(&store, image, args.force) {
            // It is to be gone, and it is.
            Err(NamesError::Find(error @ FindError::None(_))) if args.force => complain(&error),
            result => errors.extend(result.err()),
        }
    }
    // Where nothing was taken away, nobody expects that anything goes.
    if errors.len() < args.images.len() {
        let collected = store.collect(&alone, false)?;
        print(&report(&collected))?;
    }
    let last = errors.pop();
    errors.iter().for_each(|error| complain(error));
    last.map_or(Ok(()), Err)
}

fn untag(store: &Store, image: &str, force: bool) -> Result<(), NamesError> {
    let Found { id, target, name, names } = match find(store, image) {
        Err(FindError::Store(error)) => return untag_unreadable(store, image, error),
        other => other?,
    };
    let is_last = name.is_none() || names.len() == 1;
    let holders = if is_last && !force { holders(store, &id, &target)? } else { Vec::new() };
    if !holders.is_empty() {
        return Err(NamesError::InUse { id: id.short().to_owned(), holders: holders.join(", ") });
    }
    let going = match name {
        Some(name) => vec![name],
        None if names.len() > 1 && !force => {
            let names = names.iter().map(Reference::familiar).collect::<Vec<_>>().join(", ");
            return Err(NamesError::SeveralNames { id: id.short().to_owned(), names });
        }
        None => {
            store.forget_nameless(&[target])?;
            names
        }
    };
    for name in going {
        if store.forget(&name)? {
            print(&format!("Untagged: {}\n", name.familiar()))?;
        }
    }
    Ok(())
}

/// Takes the name of an image away that is damaged; if there is no such name, that is the error.
fn untag_unreadable(store: &Store, image: &str, error: StoreError) -> Result<(), NamesError> {
    let name = Reference::parse(image).map(Reference::or_latest).ok();
    match name {
        Some(name) if store.forget(&name)? => Ok(print(&format!("Untagged: {}\n", name.familiar()))?),
        _ => Err(error.into()),
    }
}

/// Who needs an image, whatever its name.
fn holders(store: &Store, id: &Digest, target: &Descriptor) -> Result<Vec<String>, StoreError> {
    // An image that cannot be read is that of a lease if the manifest is the same.
    let is_it = |lease: &Lease| {
        lease.image.digest == target.digest || store.image(&lease.image).is_ok_and(|image| image.id() == id)
    };
    let leases = store.leases()?.into_iter().filter(|lease| !lease.is_stale() && is_it(lease));
    Ok(leases.map(|lease| format!("{} {}", lease.kind, holder(&lease))).collect())
}

/// A container's directory has its id for a name, of which people know the beginning; the others are paths.
fn holder(lease: &Lease) -> String {
    let name = lease.owner.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_id = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id { name[..12].to_owned() } else { lease.owner.display().to_string() }
}

/// Removes what no name leads to, and what killed commands have left.
///
/// # Errors
/// [`NamesError`].
pub fn gc(_: &GcArgs, context: &Context) -> Result<(), NamesError> {
    let store = context.store()?;
    let alone = store.hold_alone()?;
    let collected = store.collect(&alone, true)?;
    let layers: String = collected.layers.iter().map(|digest| format!("Deleted layer: {digest}\n")).collect();
    let pieces = match collected.pieces {
        0 => String::new(),
        pieces => format!("Deleted unfinished: {pieces}\n"),
    };
    let (report, total) = (report(&collected), human_size(collected.bytes));
    Ok(print(&format!("{report}{layers}{pieces}Total reclaimed space: {total}\n"))?)
}

/// What is told of what was removed: leases and blobs.
pub(super) fn report(collected: &Collected) -> String {
    let void = |lease: &Lease| {
        let owner = one_line(&lease.owner.display().to_string());
        format!("Deleted lease: {} ({owner} is gone)\n", lease.name)
    };
    let leases = collected.leases.iter().map(void);
    leases.chain(collected.blobs.iter().map(|digest| format!("Deleted: {digest}\n"))).collect()
}
