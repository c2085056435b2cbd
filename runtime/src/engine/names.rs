//! What is right below the root of the container's own procfs, where most masked and read-only paths are. One look at the
//! whole directory takes the place of a look for each path, and names which are there are covered by their name.
//!
//! That is as exact as a descriptor of the target: a single name leads over nothing that could be exchanged, it is the
//! kernel alone that makes the names of a procfs, and in a mount namespace of its own nobody else can mount there. The list
//! must tell what is not there, and what is a link (`/proc/self`, `/proc/mounts`): the kernel would mount on the link
//! itself, and leave what it leads to open.

use super::child::{Child, Outcome};
use mydocker_sys::OwnedFd;
use mydocker_sys::fs::{self, FileType};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

/// The container's own procfs, as long as its root is what `/proc` shows.
#[derive(Debug)]
pub(super) struct Names {
    root: Rc<OwnedFd>,
    entries: Vec<(OsString, FileType)>,
}

/// What a path leads to.
pub(super) enum Named<'p> {
    /// A directory, or else a file, of this name below the root.
    Here { root: Rc<OwnedFd>, name: &'p Path, is_directory: bool },
    /// Nothing.
    Missing,
    /// What has to be looked for.
    Elsewhere,
}

/// Looks for a path in the procfs.
pub(super) fn find<'p>(child: &mut Child<'_>, path: &'p Path) -> Outcome<Named<'p>> {
    let Some(name) = single_name(path) else { return Ok(Named::Elsewhere) };
    if let Some(root) = child.grounds.take_procfs() {
        let entries = fs::entries(&root)?;
        child.shields.names = Some(Names { root: Rc::new(root), entries });
    }
    Ok(child.shields.names.as_ref().map_or(Named::Elsewhere, |names| names.find(name)))
}

/// Forgets the procfs: what is covered by any other way may be `/proc` itself.
pub(super) fn forget(child: &mut Child<'_>) {
    let listed = child.shields.names.take().and_then(Names::into_root);
    let spent = listed.into_iter().chain(child.grounds.take_procfs());
    spent.for_each(|root| child.keep(root));
}

/// The name of a path right below `/proc`. The numbers are left out: threads are found by theirs, and not listed.
fn single_name(path: &Path) -> Option<&OsStr> {
    let name = path.as_os_str().as_bytes().strip_prefix(b"/proc/")?;
    let is_plain = !name.contains(&b'/') && !name.starts_with(b".");
    (is_plain && !name.first()?.is_ascii_digit()).then_some(OsStr::from_bytes(name))
}

impl Names {
    fn find<'p>(&self, name: &'p OsStr) -> Named<'p> {
        let here =
            |is_directory| Named::Here { root: self.root.clone(), name: Path::new(name), is_directory };
        match self.entries.iter().find(|(entry, _)| entry == name) {
            None => Named::Missing,
            Some((_, FileType::Directory)) => here(true),
            Some((_, FileType::RegularFile)) => here(false),
            Some(_) => Named::Elsewhere,
        }
    }

    /// The descriptor, for who closes it.
    pub(super) fn into_root(self) -> Option<OwnedFd> {
        Rc::into_inner(self.root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_name_is_one_that_the_list_tells_of() {
        let name = |path| single_name(Path::new(path)).and_then(OsStr::to_str);
        assert_eq!(name("/proc/keys"), Some("keys"));
        assert_eq!(name("/proc/sysrq-trigger"), Some("sysrq-trigger"));
        for other in
            ["/proc", "/proc/", "/proc/.", "/proc/..", "/proc/sys/kernel", "/proc/keys/", "/proc//keys"]
        {
            assert_eq!(name(other), None, "{other}");
        }
        for other in ["/proc/1", "/sys/firmware", "/process", "proc/keys"] {
            assert_eq!(name(other), None, "{other}");
        }
    }
}
