//! The namespaces of others that a container joins: opened by the runtime, and looked at before anything is made.

use crate::plan::JoinedNamespace;
use crate::spec::NamespaceKind;
use mydocker_sys::fs::{self, OFlag};
use mydocker_sys::{OwnedFd, namespace};
use std::path::{Path, PathBuf};

/// Why a namespace cannot be joined.
#[derive(Debug, thiserror::Error)]
pub enum JoinedError {
    /// Its file cannot be looked at.
    #[error("{pointer}: look at the {kind} namespace")]
    Call {
        /// The place in `config.json`.
        pointer: String,
        /// The kind that is asked for.
        kind: NamespaceKind,
        /// Why.
        source: mydocker_sys::Error,
    },
    /// Its file is no namespace, or one of another kind.
    #[error("{pointer}: {} is no {kind} namespace", path.display())]
    Kind {
        /// The place in `config.json`.
        pointer: String,
        /// The file.
        path: PathBuf,
        /// The kind that is asked for.
        kind: NamespaceKind,
    },
    /// It is the runtime's own, and the configuration changes it.
    #[error("{changed_by}: {} is the runtime's own {kind} namespace, which this would change", path.display())]
    Own {
        /// The place in `config.json` of what would change it.
        changed_by: String,
        /// The file.
        path: PathBuf,
        /// Its kind.
        kind: NamespaceKind,
    },
}

/// Opens the file of a namespace.
///
/// # Errors
/// [`JoinedError`].
pub(super) fn open(joined: &JoinedNamespace) -> Result<OwnedFd, JoinedError> {
    let JoinedNamespace { kind, path, pointer, changed_by } = joined;
    let call = |source| JoinedError::Call { pointer: pointer.clone(), kind: *kind, source };
    let wrong = || JoinedError::Kind { pointer: pointer.clone(), path: path.clone(), kind: *kind };
    // Whatever the path names is not opened before it is known to be of the file system of namespaces: a fifo waits for
    // its writer, a tape rewinds, and any driver may give the number of the question about the kind a meaning of its own.
    let place = fs::open(path, OFlag::O_PATH).map_err(call)?;
    if fs::fs_magic(&place).map_err(call)? != fs::NSFS_MAGIC {
        return Err(wrong());
    }
    let file = fs::reopen(&place, OFlag::O_RDONLY).map_err(call)?;
    if namespace::kind(&file).map_err(call)?.bits() != kind.clone_flag() {
        return Err(wrong());
    }
    match changed_by {
        Some(changed_by) if is_own(&file, *kind).map_err(call)? => {
            Err(JoinedError::Own { changed_by: changed_by.clone(), path: path.clone(), kind: *kind })
        }
        _ => Ok(file),
    }
}

/// Whether a namespace is the one that the runtime is in (`namespaces(7)`: device and inode number tell).
fn is_own(file: &OwnedFd, kind: NamespaceKind) -> mydocker_sys::Result<bool> {
    let own = fs::open(&Path::new("/proc/self/ns").join(kind.proc_name()), OFlag::O_PATH)?;
    let (own, file) = (fs::fstat(&own)?, fs::fstat(file)?);
    Ok((own.st_dev, own.st_ino) == (file.st_dev, file.st_ino))
}
