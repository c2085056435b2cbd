//! What all stores lie on: a new ext4, as a disk would have it, or a tmpfs where there are no loop devices.

use crate::images::succeed;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;

/// How large the file system is, in bytes. The file behind it takes what is written and not removed.
const SIZE: u64 = 24 << 30;

/// A file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// A new ext4 on a loop device, whose file lies in the directory for temporary files.
    Ext4,
    /// The tmpfs of shared memory.
    Tmpfs,
}

/// A directory on such a file system. Dropping it removes all.
#[derive(Debug)]
pub struct Ground {
    base: tempfile::TempDir,
    kind: Kind,
}

impl Ground {
    /// Makes the directory. This process has to be in a mount namespace of its own.
    ///
    /// # Errors
    /// No directory can be made.
    pub fn new(kind: Kind) -> Result<Self> {
        if kind == Kind::Ext4 {
            let base = directory(&std::env::temp_dir())?;
            match mount_ext4(base.path()) {
                Ok(()) => return Ok(Self { base, kind }),
                Err(error) => crate::cli::progress(&format!("no ext4, so a tmpfs: {error:#}"))?,
            }
        }
        Ok(Self { base: directory(Path::new("/dev/shm"))?, kind: Kind::Tmpfs })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.base.path()
    }

    /// What it is, in words.
    pub fn name(&self) -> &'static str {
        match self.kind {
            Kind::Ext4 => "all on a new ext4 on a loop device",
            Kind::Tmpfs => "all on tmpfs",
        }
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if self.kind == Kind::Ext4 {
            // It goes with the mount namespace at the latest.
            drop(Command::new("umount").arg("--lazy").arg(self.path()).output());
        }
    }
}

fn directory(parent: &Path) -> Result<tempfile::TempDir> {
    tempfile::Builder::new().prefix("mdb-").tempdir_in(parent).context("making a directory")
}

/// Mounts a new file system on a directory. The file behind it loses its name when this returns, so that nothing of it
/// outlives the mount.
fn mount_ext4(target: &Path) -> Result<()> {
    let parent = target.parent().unwrap_or(Path::new("/"));
    let disk = tempfile::NamedTempFile::new_in(parent).context("making the file of a disk")?;
    disk.as_file().set_len(SIZE).context("making the file of a disk")?;
    // What the kernel would initialize later, in the background, would disturb the measurement.
    let make = ["-q", "-F", "-i", "65536", "-E", "lazy_itable_init=1"];
    succeed(Command::new("mkfs.ext4").args(make).arg(disk.path()))?;
    let mount = ["-t", "ext4", "-o", "loop,noatime,noinit_itable,discard"];
    succeed(Command::new("mount").args(mount).arg(disk.path()).arg(target))
}
