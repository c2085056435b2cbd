//! The project's own chores, as a library so that tests and benches share them.
#![forbid(unsafe_code)]

pub mod cli;
pub mod rootfs;
pub mod tidy;
pub mod vm;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The root of the workspace: the directory above this crate.
///
/// # Panics
///
/// Never: a crate of a workspace lies in a directory.
#[must_use]
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies below the workspace")
}

/// The paths, from `root`, of every file that git tracks or would track there.
///
/// # Errors
///
/// When git cannot list them, or one of them is no UTF-8.
pub fn files(root: &Path) -> Result<Vec<String>> {
    let listed = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .output()
        .context("cannot run git")?;
    ensure!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr).trim());
    let text = String::from_utf8(listed.stdout).context("git lists a path that is no UTF-8")?;
    Ok(text.split_terminator('\0').map(str::to_owned).collect())
}
