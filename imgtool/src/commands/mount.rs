//! `mount` and `unmount`: an image as a directory that nobody can change.

use super::local::{FindError, find};
use crate::cli::{Context, MountArgs, UnmountArgs, chain};
use crate::digest::Digest;
use crate::layer::{LayerError, Unpacker};
use crate::mounts::{MountError, mount_view, unmount as take_away, whole_path};
use crate::plan::{PlanError, layer_jobs};
use crate::store::{Holder, Lease, Store, StoreError};
use mydocker_cmdline::{one_line, print};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Why an image is not mounted, or not unmounted.
#[derive(Debug, thiserror::Error)]
pub enum MountCommandError {
    /// There is no such image.
    #[error(transparent)]
    Find(#[from] FindError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its documents do not fit each other.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A layer.
    #[error("cannot unpack layer {0}")]
    Layer(Digest, #[source] LayerError),
    /// The mount.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// The directory.
    #[error("cannot {action} {path:?}")]
    Io {
        /// What was to be done.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// There is no such mount.
    #[error(
        "{0:?} is neither a mount of an image nor a bundle made with --overlay; 'mount' lists the mounts"
    )]
    None(String),
    /// Some are still mounted.
    #[error("not everything was unmounted: {0}")]
    Some(String),
    /// Standard output.
    #[error("cannot write to standard output")]
    Output(#[from] io::Error),
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> MountCommandError {
    let path = path.to_owned();
    move |source| MountCommandError::Io { action, path, source }
}

/// Mounts an image and prints where; without an image, lists what is mounted.
///
/// # Errors
/// [`MountCommandError`].
pub fn mount(args: &MountArgs, context: &Context) -> Result<(), MountCommandError> {
    let store = context.store()?;
    let Some(name) = &args.image else { return list(&store) };
    let hold = store.hold()?;
    let image = store.image(&find(&store, name)?.target)?;
    let target = match &args.directory {
        Some(directory) => whole_path(directory)?,
        None => own_place(&store, image.id())?,
    };
    let jobs = layer_jobs(&image.manifest, &image.config)?;
    let layers = Unpacker::new(&store)
        .stack(&jobs)
        .map_err(|(digest, source)| MountCommandError::Layer(digest, source))?;
    match mount_view(&store, &hold, &image, &layers, &target) {
        // The same image in the same place of the store is what is asked for.
        Err(MountError::Mounted(_)) if args.directory.is_none() => {}
        Err(error) if args.directory.is_none() => {
            fs::remove_dir(&target).map_err(failed("remove", &target))?;
            return Err(error.into());
        }
        other => other?,
    }
    Ok(print(&format!("{}\n", target.display()))?)
}

/// A directory of the store for the mount of an image.
fn own_place(store: &Store, id: &Digest) -> Result<PathBuf, MountCommandError> {
    let path = store.mounts().join(id.hex());
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
    made.map_err(failed("make the directory", &path))?;
    Ok(whole_path(&path)?)
}

fn list(store: &Store) -> Result<(), MountCommandError> {
    let mut text = String::new();
    for lease in mounts(store)? {
        let id = store.image(&lease.image).map(|image| image.id().short().to_owned());
        let id = id.unwrap_or_else(|_| "<damaged>".to_owned());
        let owner = one_line(&lease.owner.display().to_string());
        text.push_str(&format!("{id} {} {owner}\n", lease.kind));
    }
    Ok(print(&text)?)
}

/// The leases of what is mounted here.
fn mounts(store: &Store) -> Result<Vec<Lease>, StoreError> {
    let mut leases = store.leases()?;
    leases.retain(|lease| matches!(lease.kind, Holder::Bundle | Holder::Mount));
    Ok(leases)
}

/// Unmounts bundles, views by their directories, and all views of images; goes on if one is in use.
///
/// # Errors
/// [`MountCommandError`].
pub fn unmount(args: &UnmountArgs, context: &Context) -> Result<(), MountCommandError> {
    let store = context.store()?;
    let _hold = store.hold()?;
    let all = mounts(&store)?;
    let mut going = if args.all { all.clone() } else { Vec::new() };
    for target in &args.targets {
        going.extend(named(&store, &all, target)?);
    }
    let mut failures = Vec::new();
    for lease in &going {
        match take_away(&store, lease) {
            Ok(()) => print(&format!("{}\n", lease.owner.display()))?,
            Err(error) => failures.push(error),
        }
    }
    match failures.len() {
        0 => Ok(()),
        1 => Err(failures.swap_remove(0).into()),
        _ => {
            let failures: Vec<_> = failures.iter().map(|error| chain(error)).collect();
            Err(MountCommandError::Some(failures.join("; ")))
        }
    }
}

/// The mounts that somebody means: by a directory or, of views, by an image.
fn named(store: &Store, all: &[Lease], target: &str) -> Result<Vec<Lease>, MountCommandError> {
    // What is not there any more is known by its name.
    let path = whole_path(Path::new(target)).or_else(|_| std::path::absolute(target));
    let path = path.map_err(failed("find", Path::new(target)))?;
    let by_path: Vec<_> = all.iter().filter(|lease| lease.owner == path).cloned().collect();
    if !by_path.is_empty() {
        return Ok(by_path);
    }
    let id = find(store, target).map_err(|_| MountCommandError::None(target.to_owned()))?.id;
    let is_view = |lease: &&Lease| {
        lease.kind == Holder::Mount && store.image(&lease.image).is_ok_and(|image| *image.id() == id)
    };
    let views: Vec<_> = all.iter().filter(is_view).cloned().collect();
    if views.is_empty() { Err(MountCommandError::None(target.to_owned())) } else { Ok(views) }
}
