//! `commit`: what was changed in a bundle becomes a layer of a new image.

use super::carry::{Output, save_as};
use super::freeze::{FreezeError, Runtime};
use super::local::{FindError, find, find_base};
use crate::carry::SavedImage;
use crate::cli::{CommitArgs, Context, MakeArgs};
use crate::image::BUNDLE_ANNOTATION;
use crate::make::{ChangeError, Changes, CommitError, CommitOptions, ConfigChange, commit};
use crate::reference::{Reference, ReferenceError};
use crate::store::{Image, Store, StoreError};
use mydocker_cmdline::print;
use mydocker_sys::fs::read_regular;
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};

/// What a bundle's `config.json` may have, in bytes.
const CONFIG_LIMIT: u64 = 16 << 20;

/// The name of the image that has nothing in it.
const SCRATCH: &str = "scratch";

/// Why nothing was committed.
#[derive(Debug, thiserror::Error)]
pub enum CommitCommandError {
    /// There is no such base.
    #[error(transparent)]
    Find(#[from] FindError),
    /// The new name is none.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// The new name has a digest.
    #[error("{0} has a digest, which is not given but follows from the content; leave it out")]
    Digest(Reference),
    /// `--change`.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The image.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The command line.
    #[error("{0}")]
    Words(&'static str),
    /// The bundle cannot be read.
    #[error("cannot read the bundle's {path:?}")]
    Bundle {
        /// Its configuration.
        path: PathBuf,
        /// What the kernel says.
        source: mydocker_sys::Error,
    },
    /// The bundle's configuration is none.
    #[error("{path:?} is no configuration of a bundle")]
    Config {
        /// Its configuration.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// It is not known what a bundle began as.
    #[error("{0:?} does not say which image it began as; name it with --base")]
    NoBase(PathBuf),
    /// `--pause`.
    #[error(transparent)]
    Freeze(#[from] FreezeError),
    /// `--output`.
    #[error(transparent)]
    Carry(#[from] Box<super::CarryError>),
    /// Standard output.
    #[error("cannot write to standard output")]
    Output(#[from] io::Error),
}

/// Makes an image of what was changed, and prints its id.
///
/// # Errors
/// [`CommitCommandError`].
pub fn commit_command(args: &CommitArgs, context: &Context) -> Result<(), CommitCommandError> {
    let (bundle, name) = match (&args.upper, args.names.as_slice()) {
        (None, [bundle, name]) => (Some(Path::new(bundle)), name),
        (Some(_), [name]) => (None, name),
        (None, _) => return Err(CommitCommandError::Words("give a bundle and the name of the new image")),
        (Some(_), _) => {
            return Err(CommitCommandError::Words("with --upper give only the name of the new image"));
        }
    };
    let output = args.output.as_deref().map(Output::parse).transpose().map_err(Box::new)?;
    let reference = new_name(name)?;
    let names = vec![reference.clone()];
    let options = CommitOptions { author: args.author.clone(), ..options(&args.make, context, reference)? };
    let store = context.store()?;
    let _hold = store.hold()?;
    let make = || match (bundle, &args.upper) {
        (Some(bundle), _) => commit_bundle(&store, bundle, args.base.as_deref(), &options),
        (None, upper) => {
            let base = base_image(&store, args.base.as_deref().unwrap_or(SCRATCH))?;
            let upper = upper.clone().unwrap_or_default();
            Ok(commit(&store, base.as_ref(), &Changes::Upper(upper), &options)?)
        }
    };
    let directory = bundle.or(args.upper.as_deref()).filter(|_| args.pause);
    let image = match directory {
        Some(directory) => while_frozen(args, directory, make)?,
        None => make()?,
    };
    if let Some(output) = output {
        let saved = SavedImage { target: image.target.clone(), names };
        save_as(&store, &saved, &output).map_err(Box::new)?;
    }
    Ok(print(&format!("{}\n", image.id()))?)
}

/// Makes an image while what runs on the directory is frozen, as docker does.
fn while_frozen(
    args: &CommitArgs,
    directory: &Path,
    make: impl FnOnce() -> Result<Image, CommitCommandError>,
) -> Result<Image, CommitCommandError> {
    let runtime = Runtime::new(args.runtime.as_deref(), args.runtime_root.as_deref());
    let frozen = runtime.freeze(directory)?;
    let made = make();
    // That a container stays frozen is worse than that there is no image.
    frozen.thaw()?;
    made
}

/// The name of an image that is to be made.
///
/// # Errors
/// [`CommitCommandError::Reference`], [`CommitCommandError::Digest`].
pub(super) fn new_name(text: &str) -> Result<Reference, CommitCommandError> {
    let name = Reference::parse(text)?.or_latest();
    if name.digest().is_some() { Err(CommitCommandError::Digest(name)) } else { Ok(name) }
}

/// What was typed about an image that is to be made.
///
/// # Errors
/// [`CommitCommandError::Change`].
pub(super) fn options(
    args: &MakeArgs,
    context: &Context,
    reference: Reference,
) -> Result<CommitOptions, CommitCommandError> {
    let changes = args.change.iter().map(|text| ConfigChange::parse(text)).collect::<Result<_, _>>()?;
    Ok(CommitOptions {
        message: args.message.clone(),
        created: context.environment.source_date,
        changes,
        compression: args.compression.into(),
        reference: Some(reference),
        ..CommitOptions::default()
    })
}

fn base_image(store: &Store, name: &str) -> Result<Option<Image>, CommitCommandError> {
    if name == SCRATCH {
        return Ok(None);
    }
    Ok(Some(store.image(&find(store, name)?.target)?))
}

fn commit_bundle(
    store: &Store,
    bundle: &Path,
    base: Option<&str>,
    options: &CommitOptions,
) -> Result<Image, CommitCommandError> {
    let bundle = Bundle::read(bundle)?;
    let began_as = match (base, &bundle.image) {
        (Some(name), _) => base_image(store, name)?,
        (None, Some(id)) => Some(store.image(&find_base(store, id)?.target)?),
        (None, None) => return Err(CommitCommandError::NoBase(bundle.config)),
    };
    match began_as {
        Some(base) => {
            let changes = bundle.upper.map_or(Changes::Rootfs(bundle.rootfs), Changes::Upper);
            Ok(commit(store, Some(&base), &changes, options)?)
        }
        None => Err(CommitCommandError::Words(
            "a bundle has a base; 'import' makes an image of a whole file system",
        )),
    }
}

/// What a bundle says about itself.
pub(super) struct Bundle {
    /// Its `config.json`.
    pub config: PathBuf,
    /// Its root file system.
    pub rootfs: PathBuf,
    /// Where an overlay mount keeps what is changed, if its root file system is one, mounted or not.
    pub upper: Option<PathBuf>,
    /// The id of the image that it began as.
    pub image: Option<String>,
}

impl Bundle {
    /// Reads a bundle's configuration.
    ///
    /// # Errors
    /// [`CommitCommandError::Bundle`], [`CommitCommandError::Config`].
    pub(super) fn read(directory: &Path) -> Result<Self, CommitCommandError> {
        let path = directory.join("config.json");
        let bytes = read_regular(&path, CONFIG_LIMIT)
            .map_err(|source| CommitCommandError::Bundle { path: path.clone(), source })?;
        let config: Value = serde_json::from_slice(&bytes)
            .map_err(|source| CommitCommandError::Config { path: path.clone(), source })?;
        let rootfs = config["root"]["path"].as_str().unwrap_or("rootfs");
        let image = config["annotations"][BUNDLE_ANNOTATION].as_str().map(str::to_owned);
        let upper = directory.join("upper");
        let is_overlay = upper.is_dir() && directory.join("work").is_dir();
        let upper = is_overlay.then_some(upper);
        Ok(Self { rootfs: directory.join(rootfs), upper, config: path, image })
    }
}
