//! Walking the cgroups below a cgroup, however deep a container nested them: by descriptor, with one open at a time
//! and no recursion, for neither paths nor descriptors nor the stack are unlimited.

use mydocker_sys::{self as sys, Errno, OwnedFd, fs};
use std::ffi::{OsStr, OsString};
use std::path::Path;

const DIRECTORY: fs::OFlag = fs::OFlag::O_RDONLY.union(fs::OFlag::O_DIRECTORY).union(fs::OFlag::O_NOFOLLOW);

/// What a walk does on its way; both are called children first.
pub(super) trait Visitor {
    /// At a cgroup, the start included, after all cgroups below it.
    fn at(&mut self, cgroup: &OwnedFd) -> sys::Result<()>;
    /// Back at the parent of a cgroup below the start.
    fn above(&mut self, parent: &OwnedFd, name: &OsStr) -> sys::Result<()>;
}

/// Opens a cgroup; none if it is gone.
pub(super) fn open(path: &Path) -> sys::Result<Option<OwnedFd>> {
    present(fs::open(path, DIRECTORY))
}

/// Walks the cgroup `start` and all below it. Cgroups that vanish on the way are passed over.
pub(super) fn walk(start: OwnedFd, visitor: &mut impl Visitor) -> sys::Result<()> {
    let mut here = start;
    let mut way: Vec<(OsString, Vec<OsString>)> = Vec::new();
    let Some(mut pending) = present(fs::subdirectories(&here))? else { return Ok(()) };
    loop {
        while let Some(name) = pending.pop() {
            let Some(child) = present(fs::openat(&here, Path::new(&name), DIRECTORY, 0))? else { continue };
            here = child;
            let below = fs::subdirectories(&here)?;
            way.push((name, std::mem::replace(&mut pending, below)));
        }
        present(visitor.at(&here))?;
        let Some((name, siblings)) = way.pop() else { return Ok(()) };
        here = fs::openat(&here, Path::new(".."), DIRECTORY, 0)?;
        pending = siblings;
        present(visitor.above(&here, &name))?;
    }
}

/// `None` for a cgroup that is gone.
pub(super) fn present<T>(result: sys::Result<T>) -> sys::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.errno(), Errno::ENOENT | Errno::ENODEV) => Ok(None),
        Err(error) => Err(error),
    }
}
