//! The upper directory of an overlay mount: what overlayfs marks becomes what a layer says in names.

use super::file::Packer;
use super::{PackError, refuse_whiteout_name, refused, shown, walk};
use crate::layer::view::{Directory, Node};
use std::io::Write;

/// What a file or directory of a layer cannot say, with the option of the mount that makes it.
const REFUSED: [(&str, &str); 2] = [
    (
        "redirect",
        "it was renamed in an overlay mount with redirect_dir=on, so its content is at another place; mount with redirect_dir=off",
    ),
    (
        "metacopy",
        "it has no content of its own in an overlay mount with metacopy=on; mount with metacopy=off",
    ),
];

pub(super) fn pack<W: Write>(packer: &mut Packer<W>, upper: &Directory) -> Result<(), PackError> {
    walk(upper, &mut |path, node| add(packer, path, node))
}

/// Adds one thing, and returns whether what is in it counts.
fn add<W: Write>(packer: &mut Packer<W>, path: &[u8], node: &Node) -> Result<bool, PackError> {
    refuse_whiteout_name(path)?;
    let failed = |source| PackError::Kernel { path: shown(path), source };
    if node.is_whiteout().map_err(failed)? {
        return packer.whiteout(path).map(|()| false);
    }
    for (mark, problem) in REFUSED {
        if node.mark(mark).map_err(failed)?.is_some() {
            return Err(refused(path, problem));
        }
    }
    packer.add(path, node)?;
    if node.is_directory() && node.mark("opaque").map_err(failed)?.is_some_and(|value| value == b"y") {
        packer.opaque(path)?;
    }
    Ok(true)
}
