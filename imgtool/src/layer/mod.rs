//! A layer to a directory, and back.
//!
//! ```text
//! inflate   gzip, zstd or nothing; the digest of the tar; bounds against bombs
//! tar       the archive, entry by entry
//! tree      the directory: names become descriptors, and nothing leads out of it
//! unpack    an entry to a file, a whiteout to a removal or to what overlayfs takes for one
//! lower     what the layers below a layer show
//! copy_up   what a layer takes over from those below
//! sink      unpacked layers in the store, while their blobs come
//! view      a tree as it is seen, also layers above each other
//! pack      the way back: a tree, or what changed in it, to a layer
//! ```

mod copy_up;
mod inflate;
mod lower;
pub mod pack;
mod sink;
pub mod tar;
#[cfg(test)]
mod testing;
mod tree;
mod unpack;
pub mod view;

pub use copy_up::describe_like;
pub use inflate::{Inflate, OverBudget};
pub use lower::Lower;
pub use sink::{Compared, Replacement, Unpacker};
pub use unpack::{Unpack, Whiteouts, unpack};

use crate::digest::Digest;
use std::io;
use std::path::PathBuf;

/// Why a layer is not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// Its blob cannot be read or inflated.
    #[error("cannot read the layer")]
    Read(#[source] io::Error),
    /// Its archive is damaged, or can be read in more than one way.
    #[error(transparent)]
    Tar(#[from] tar::TarError),
    /// An entry is not what it may be.
    #[error("entry {path:?} is refused: {problem}")]
    Refused {
        /// Its name.
        path: PathBuf,
        /// Why.
        problem: &'static str,
    },
    /// The kernel refuses an entry.
    #[error("cannot unpack {path:?}")]
    Kernel {
        /// Its name.
        path: PathBuf,
        /// What the kernel says.
        source: mydocker_sys::Error,
    },
    /// It is unpacked by itself, and gives a file of a layer below another name, or puts something into a directory there.
    #[error("it needs the layers below it")]
    NeedsLower,
    /// The tar is not that of the image.
    #[error("its content has the digest {found}; the image's configuration says {expected}")]
    WrongDiffId {
        /// What was unpacked.
        found: Digest,
        /// What should have been.
        expected: Digest,
    },
    /// It cannot be compared with what it should be.
    #[error(transparent)]
    Compare(#[from] pack::PackError),
    /// The store.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}
