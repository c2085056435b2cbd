//! A directory to a layer: the counterpart of [`unpack`](super::unpack).
//!
//! ```text
//! file         one thing of a tree to an entry, with its data
//! upper        the upper directory of an overlay mount
//! difference   what one tree has in place of another
//! exact        whether two unpackings of a layer are the same
//! encode       tar to blob: hashed, compressed in parallel, hashed again, in one pass
//! ```
//!
//! The same tree gives the same bytes: names are sorted, owners are numbers, and the times of access and of the inode are
//! left out.

mod difference;
mod encode;
mod exact;
mod file;
mod upper;

pub use difference::{Change, ChangeKind, difference};
pub use encode::{Blocks, Encoded, TarSink, encode};
pub use exact::first_difference;

use super::tar::Writer;
use super::view::{Directory, Node};
use file::Packer;
use mydocker_sys::fs::SFlag;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

/// How deep directories may be within each other: as deep as they are unpacked.
const DEPTH_LIMIT: usize = super::tree::DEPTH_LIMIT;

/// Why a tree does not become a layer.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The kernel refuses to show something.
    #[error("cannot read {path:?}")]
    Kernel {
        /// Its name from the top of the tree.
        path: PathBuf,
        /// What the kernel says.
        source: mydocker_sys::Error,
    },
    /// A layer cannot have it.
    #[error("{path:?} cannot be in a layer: {problem}")]
    Refused {
        /// Its name from the top of the tree.
        path: PathBuf,
        /// Why.
        problem: &'static str,
    },
    /// It is not what it was a moment before.
    #[error("{path:?} was changed while it was read; pause whoever writes to it, and try again")]
    Changed {
        /// Its name from the top of the tree.
        path: PathBuf,
    },
    /// Nobody takes the layer.
    #[error("cannot write the layer")]
    Write(#[source] io::Error),
}

/// What a layer is made from.
#[derive(Debug)]
pub enum Source {
    /// All of a tree. An archive that is no layer may have what a layer takes for whiteouts.
    Tree {
        /// The tree.
        tree: Directory,
        /// Whether it becomes a layer.
        is_layer: bool,
    },
    /// The upper directory of an overlay mount.
    Upper(Directory),
    /// What `upper` has in place of `lower`.
    Difference {
        /// The tree before.
        lower: Directory,
        /// The tree after.
        upper: Directory,
    },
}

/// Writes the archive of a layer, and returns its output.
///
/// # Errors
/// [`PackError`].
pub fn pack<W: Write>(source: &Source, out: W) -> Result<W, PackError> {
    let mut packer = Packer::new(Writer::new(out));
    match source {
        Source::Tree { tree, is_layer } => whole(&mut packer, tree, *is_layer)?,
        Source::Upper(upper) => upper::pack(&mut packer, upper)?,
        Source::Difference { lower, upper } => {
            difference(lower, upper, &mut |change| match change {
                Change { kind: ChangeKind::Deleted, path, .. } => packer.whiteout(path),
                Change { path, node: Some(node), .. } => {
                    refuse_whiteout(path, node)?;
                    packer.add(path, node)
                }
                Change { node: None, .. } => Ok(()),
            })?;
        }
    }
    packer.finish()
}

fn whole<W: Write>(packer: &mut Packer<W>, tree: &Directory, is_layer: bool) -> Result<(), PackError> {
    walk(tree, &mut |path, node| {
        if is_layer {
            refuse_whiteout(path, node)?;
        }
        packer.add(path, node).map(|()| true)
    })
}

/// Is shown a name from the top and what is there, and says whether to enter it.
type Walker<'a> = dyn FnMut(&[u8], &Node) -> Result<bool, PackError> + 'a;

/// Visits all of a tree, each directory before what is in it and names in their order; the top is the empty path. A directory
/// for which `visit` says `false` is not entered.
fn walk(tree: &Directory, visit: &mut Walker<'_>) -> Result<(), PackError> {
    let failed = |source| PackError::Kernel { path: PathBuf::new(), source };
    if let Some(top) = tree.top().map_err(failed)? {
        visit(b"", &top)?;
        walk_below(tree, b"", 0, visit)?;
    }
    Ok(())
}

fn walk_below(
    directory: &Directory,
    path: &[u8],
    depth: usize,
    visit: &mut Walker<'_>,
) -> Result<(), PackError> {
    for (name, node) in children(directory, path, depth)? {
        let path = joined(path, &name);
        if visit(&path, &node)? && node.is_directory() {
            walk_below(&entered(&node, &path)?, &path, depth + 1, visit)?;
        }
    }
    Ok(())
}

/// What is in a directory, but for sockets, which are nothing without who listens.
fn children(directory: &Directory, path: &[u8], depth: usize) -> Result<Vec<(PathBuf, Node)>, PackError> {
    if depth > DEPTH_LIMIT {
        return Err(refused(path, "it lies more than 200 directories deep"));
    }
    let children = directory.children().map_err(|source| PackError::Kernel { path: shown(path), source })?;
    let lasting = children.into_iter().filter(|(_, node)| node.kind() != SFlag::S_IFSOCK);
    Ok(lasting.map(|(name, node)| (PathBuf::from(name), node)).collect())
}

fn entered(node: &Node, path: &[u8]) -> Result<Directory, PackError> {
    node.open_directory().map_err(|source| PackError::Kernel { path: shown(path), source })
}

/// A name below a directory, which is given from the top.
fn joined(directory: &[u8], name: impl AsRef<OsStr>) -> Vec<u8> {
    let separator = if directory.is_empty() { &b""[..] } else { b"/" };
    [directory, separator, name.as_ref().as_bytes()].concat()
}

/// Refuses what a tree really has and a layer would take for the removal of something.
fn refuse_whiteout(path: &[u8], node: &Node) -> Result<(), PackError> {
    refuse_whiteout_name(path)?;
    if node.kind() == SFlag::S_IFCHR && node.stat.st_rdev == 0 {
        return Err(refused(path, "it is a device 0:0, by which overlayfs tells what is removed"));
    }
    Ok(())
}

fn refuse_whiteout_name(path: &[u8]) -> Result<(), PackError> {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
    if name.starts_with(b".wh.") {
        return Err(refused(path, "its name begins with '.wh.', by which layers tell what is removed"));
    }
    Ok(())
}

fn refused(path: &[u8], problem: &'static str) -> PackError {
    PackError::Refused { path: shown(path), problem }
}

fn shown(path: &[u8]) -> PathBuf {
    super::tree::shown(if path.is_empty() { b"." } else { path })
}

#[cfg(test)]
mod tests;
