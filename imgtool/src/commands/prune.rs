//! `prune`: images that nobody needs.

use super::filter::{FilterError, Filters, PRUNE};
use super::listing::{Listed, Unreadable, list};
use super::tag::report;
use crate::cli::{Context, PruneArgs, ask, human_size};
use crate::image::Descriptor;
use crate::reference::Reference;
use crate::store::{Image, Lease, Store, StoreError};
use mydocker_cmdline::print;
use std::collections::HashSet;
use std::io;

/// Why images were not removed.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// `--filter`.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// Some images cannot be read, and so are kept.
    #[error("not every image can be read: {0}")]
    Unreadable(Unreadable),
    /// The terminal, or what stands in its place.
    #[error("cannot ask or write")]
    Output(#[from] io::Error),
}

/// Removes images without a name and, with `--all`, those that neither a container nor a bundle needs.
///
/// # Errors
/// [`PruneError`].
pub fn prune(args: &PruneArgs, context: &Context) -> Result<(), PruneError> {
    let store = context.store()?;
    Filters::parse(&args.filter, PRUNE, &store)?;
    if !args.force && !is_meant(args)? {
        return Ok(());
    }
    let (bytes, unreadable) = prune_now(args, &store)?;
    print(&format!("Total reclaimed space: {}\n", human_size(bytes)))?;
    unreadable.into_result().map_err(PruneError::Unreadable)
}

/// The same without a question and without the total: returns how many bytes were freed, and which images cannot be read
/// and so are kept.
///
/// # Errors
/// [`PruneError`].
pub fn prune_now(args: &PruneArgs, store: &Store) -> Result<(u64, Unreadable), PruneError> {
    let filters = Filters::parse(&args.filter, PRUNE, store)?;
    let alone = store.hold_alone()?;
    let listing = list(store)?;
    let needed = needed(store)?;
    let goes = |one: &&Listed| {
        let is_unused = args.all && !needed.contains(one.image.id());
        filters.take(one) && (one.name.is_none() || is_unused)
    };
    let (mut names, mut nameless) = (Vec::new(), Vec::new());
    for one in listing.images.iter().filter(goes) {
        match &one.name {
            Some(name) => names.push(name.clone()),
            None => nameless.push(one.target.clone()),
        }
    }
    untag(store, &names, &nameless)?;
    let collected = store.collect(&alone, false)?;
    print(&report(&collected))?;
    Ok((collected.bytes, listing.unreadable))
}

/// Asks as docker does; anything but yes is no.
fn is_meant(args: &PruneArgs) -> io::Result<bool> {
    let which = match args.all {
        true => "all images that neither a container nor a bundle needs",
        false => "all images without a name",
    };
    let answer =
        ask(&format!("WARNING! This will remove {which}.\nAre you sure you want to continue? [y/N] "))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// The ids of the images that are held.
fn needed(store: &Store) -> Result<HashSet<crate::digest::Digest>, StoreError> {
    let leases = store.leases()?.into_iter().filter(|lease| !lease.is_stale());
    let images = leases.map(|lease: Lease| store.image(&lease.image)).collect::<Result<Vec<Image>, _>>()?;
    Ok(images.iter().map(|image| image.id().clone()).collect())
}

fn untag(store: &Store, names: &[Reference], nameless: &[Descriptor]) -> Result<(), PruneError> {
    for name in names {
        if store.forget(name)? {
            print(&format!("Untagged: {}\n", name.familiar()))?;
        }
    }
    Ok(store.forget_nameless(nameless)?)
}
