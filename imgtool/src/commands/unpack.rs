//! `unpack`: an image becomes a root file system.

use super::bundle::{BundleError, make_directory, unpack_into};
use super::local::find;
use crate::carry::take_back;
use crate::cli::{Context, UnpackArgs};
use crate::plan::layer_jobs;

/// Unpacks an image into a directory, which is new or empty.
///
/// # Errors
/// [`BundleError`]; then nothing is left of it.
pub fn unpack(args: &UnpackArgs, context: &Context) -> Result<(), BundleError> {
    let store = context.store()?;
    let _hold = store.hold()?;
    let image = store.image(&find(&store, &args.image)?.target)?;
    let jobs = layer_jobs(&image.manifest, &image.config)?;
    let is_new = make_directory(&args.directory)?;
    let unpacked = unpack_into(&store, &jobs, &args.directory);
    if unpacked.is_err() {
        // What was wrong first is what has to be mended; if this fails too, the next attempt says that something is there.
        take_back(&args.directory, is_new).unwrap_or_default();
    }
    unpacked
}
