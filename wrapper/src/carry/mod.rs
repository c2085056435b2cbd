//! Files in and out of containers.
//!
//! ```text
//! root     the container's files: what its processes see, or what they would see
//! place    paths as people type them, by docker's rules, to a place below a root
//! walk     files to entries, as those of an archive
//! tree     entries to files
//! archive  entries to an archive, and back
//! tops     the trees that a container's files lie in: its changes, and what is below them
//! ```
//!
//! What runs in a container may change its files while they are copied. All paths in it are looked up from its root, so that
//! no link leads out; files are opened by their directories' descriptors, and what turns into something else is refused.

mod archive;
mod place;
mod root;
mod tops;
mod tree;
mod walk;

pub use archive::{ArchiveSink, unpack};
pub use place::{Destination, Origin, Side};
pub use root::{Root, open_root};
pub use tops::{Tops, tops};
pub use tree::TreeSink;
pub use walk::walk;

use crate::container::ContainersError;
use crate::prepare::PrepareError;
use crate::volume::VolumeError;
use mydocker_img::layer::tar::{Entry, TarError};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

/// How much of a file is copied at once, in bytes.
const BUFFER: usize = 128 << 10;

/// How deep directories may be within each other. Each holds a descriptor while what is below it is copied.
const DEPTH_LIMIT: usize = 200;

/// Why files are not copied.
#[derive(Debug, thiserror::Error)]
pub enum CarryError {
    /// The kernel refuses.
    #[error("cannot copy {path:?}")]
    Kernel {
        /// What.
        path: PathBuf,
        /// What the kernel says.
        source: mydocker_sys::Error,
    },
    /// It cannot be what it is, or where it is.
    #[error("cannot copy {path:?}: {problem}")]
    Refused {
        /// What.
        path: PathBuf,
        /// Why.
        problem: &'static str,
    },
    /// It is not what it was a moment before.
    #[error("{0:?} was changed while it was copied; pause the container, and try again")]
    Changed(PathBuf),
    /// There is no such file in the container.
    #[error("Could not find the file {path} in container {container}")]
    NotInContainer {
        /// What was typed.
        path: String,
        /// The container.
        container: String,
    },
    /// There is no such file on the host.
    #[error("no such file or directory: {0}")]
    NotOnHost(String),
    /// The archive is none.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// Nobody takes the archive.
    #[error("cannot write the archive")]
    Write(#[source] io::Error),
    /// The container's root file system.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// A volume.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// The container's records.
    #[error(transparent)]
    Containers(#[from] ContainersError),
    /// A system call.
    #[error(transparent)]
    System(#[from] mydocker_sys::Error),
    /// The container ended.
    #[error("container {0} ended meanwhile; try again")]
    Ended(String),
}

/// Gives the next bytes of an entry; none at its end.
pub type Data<'a> = dyn FnMut(&mut [u8]) -> Result<usize, CarryError> + 'a;

/// What takes entries.
pub trait Sink {
    /// Takes one; `data` are the bytes of a file, without its holes.
    ///
    /// # Errors
    /// [`CarryError`].
    fn entry(&mut self, entry: &Entry, data: &mut Data<'_>) -> Result<(), CarryError>;
}

fn shown(path: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(if path.is_empty() { b"." } else { path }))
}

fn kernel(path: &[u8]) -> impl FnOnce(mydocker_sys::Error) -> CarryError + use<> {
    let path = shown(path);
    move |source| CarryError::Kernel { path, source }
}

fn refused(path: &[u8], problem: &'static str) -> CarryError {
    CarryError::Refused { path: shown(path), problem }
}

#[cfg(test)]
mod tests;
