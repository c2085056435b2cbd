//! The project's own chores, as a library so that tests and benches share them.
#![forbid(unsafe_code)]

pub mod cli;
pub mod rootfs;
pub mod tidy;
pub mod vm;

use std::path::Path;

/// The root of the workspace: the directory above this crate.
///
/// # Panics
///
/// Never: a crate of a workspace lies in a directory.
#[must_use]
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies below the workspace")
}
