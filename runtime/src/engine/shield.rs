//! Paths that the container must not read or not write.

use super::child::{Child, Fault, Outcome};
use super::failure::Code;
use super::names::{self, Named, Names};
use super::{mounts, rootfs};
use crate::plan::{Attributes, Node, TargetRule};
use mydocker_sys::fs::{self, OFlag};
use mydocker_sys::mount::{self, MsFlags};
use mydocker_sys::{Errno, OwnedFd, process};
use std::path::Path;
use std::rc::Rc;

/// The first mask of each kind, of which the others are copies: one empty directory and one null device for all of them.
#[derive(Debug, Default)]
pub(super) struct Shields {
    directory: Option<OwnedFd>,
    file: Option<OwnedFd>,
    /// The container's own procfs, once it is listed.
    pub(super) names: Option<Names>,
}

impl Shields {
    /// The descriptors, for who closes them.
    pub(super) fn take(&mut self) -> impl Iterator<Item = OwnedFd> {
        let procfs = self.names.take().and_then(Names::into_root);
        [self.directory.take(), self.file.take(), procfs].into_iter().flatten()
    }
}

/// What is to be covered: a name in a directory, or what is behind the descriptor itself where the name is empty.
struct Place<'p> {
    directory: Rc<OwnedFd>,
    name: &'p Path,
    is_directory: bool,
}

impl Place<'_> {
    fn open(target: OwnedFd, is_directory: bool) -> Self {
        Self { directory: Rc::new(target), name: Path::new(""), is_directory }
    }

    fn cover(&self, tree: &OwnedFd) -> Outcome {
        Ok(mount::attach_at(tree, &*self.directory, self.name)?)
    }

    /// Leaves the descriptor to execve.
    fn keep(self, child: &mut Child<'_>) {
        Rc::into_inner(self.directory).into_iter().for_each(|directory| child.keep(directory));
    }
}

/// Makes a path read-only, with everything below that is on the same mount; a missing path is passed over.
pub(super) fn make_readonly(child: &mut Child<'_>, path: &Path) -> Outcome {
    let Some(place) = find(child, path)? else { return Ok(()) };
    // What is mounted below keeps its own attributes; below a procfs nothing is but single files, and one call does it.
    let recursive = path.starts_with("/proc");
    let change = mount::Attributes { set: libc::MOUNT_ATTR_RDONLY, recursive, ..Default::default() };
    let tree = mount::open_tree_with(&*place.directory, place.name, mount::Clone::Recursive, change)?;
    place.cover(&tree)?;
    child.keep(tree);
    place.keep(child);
    Ok(())
}

/// Covers a path with an empty directory or with the null device; a missing path is passed over. The first mask of a
/// kind is the mount itself, the others are copies of it.
pub(super) fn mask(child: &mut Child<'_>, path: &Path) -> Outcome {
    let Some(place) = find(child, path)? else { return Ok(()) };
    let first = if place.is_directory { &child.shields.directory } else { &child.shields.file };
    if let Some(first) = first {
        let tree = mount::open_tree(first, mount::Clone::One)?;
        place.cover(&tree)?;
        child.keep(tree);
    } else if place.is_directory {
        child.shields.directory = Some(mount_empty_directory(child, &place)?);
    } else {
        let tree = null_device(child)?;
        place.cover(&tree)?;
        child.shields.file = Some(tree);
    }
    place.keep(child);
    Ok(())
}

/// Finds what is to be covered; `None` where there is no such path.
fn find<'p>(child: &mut Child<'_>, path: &'p Path) -> Outcome<Option<Place<'p>>> {
    match names::find(child, path)? {
        Named::Here { root, name, is_directory } => Ok(Some(Place { directory: root, name, is_directory })),
        Named::Missing => Ok(None),
        Named::Elsewhere => {
            let place = open(child, path)?;
            if place.is_some() {
                names::forget(child);
            }
            Ok(place)
        }
    }
}

/// Opens what is to be covered, and tells whether it is a directory: it is opened as one first, for the usual lists have
/// more directories than files, and there one call says both. Should something else take a file's place in between, the
/// kernel does not put the null device onto a directory.
fn open<'p>(child: &mut Child<'_>, path: &Path) -> Outcome<Option<Place<'p>>> {
    match fs::try_open_in_root(child.root()?, path, OFlag::O_PATH | OFlag::O_DIRECTORY) {
        Ok(directory) => Ok(Some(Place::open(directory, true))),
        Err(Errno::ENOENT) => Ok(None),
        Err(Errno::ENOTDIR) => {
            let file = rootfs::open_if_present(child.root()?, path, TargetRule::Inside)?;
            Ok(file.map(|file| Place::open(file, false)))
        }
        Err(errno) => Err(mydocker_sys::Error::new("openat2", path.display().to_string(), errno).into()),
    }
}

/// Mounts an empty file system, and opens it. It belongs to nobody else, so that it may be read-only as well as its mount.
/// Nobody can write to it, so that it takes no bounds.
fn mount_empty_directory(child: &mut Child<'_>, place: &Place<'_>) -> Outcome<OwnedFd> {
    if mount_plainly(place).is_none() {
        return attach_empty_directory(child, place);
    }
    let directory = &*place.directory;
    if place.name.as_os_str().is_empty() {
        return Ok(mount::mounted_on(directory, OFlag::O_PATH)?);
    }
    Ok(fs::openat(directory, place.name, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW, 0)?)
}

/// By the way of [`super::plain`], and `None` as there.
fn mount_plainly(place: &Place<'_>) -> Option<()> {
    let flags = MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let name = if place.name.as_os_str().is_empty() { Path::new(".") } else { place.name };
    process::fchdir(&*place.directory).ok()?;
    mount::mount(None, &fs::cstring(name).ok()?, Some(c"tmpfs"), flags, None).ok()
}

/// By the new calls, which cover also a directory that may not be searched: one of the host's root in a user namespace.
fn attach_empty_directory(child: &mut Child<'_>, place: &Place<'_>) -> Outcome<OwnedFd> {
    let set =
        libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC;
    let attributes = Attributes { set, ..Attributes::default() };
    let tree = mounts::filesystem(child, "tmpfs", "", &[], &attributes)?;
    place.cover(&tree)?;
    Ok(tree)
}

/// The container's own null device, read-only, and only if it is one: an image can put anything at that path, and a
/// mask made of it would show that instead (CVE-2025-31133).
fn null_device(child: &mut Child<'_>) -> Outcome<OwnedFd> {
    let change = mount::Attributes { set: libc::MOUNT_ATTR_RDONLY, ..Default::default() };
    let path = Path::new("/dev/null");
    let tree = match child.grounds.own_node(path) {
        Some((directory, Node::Device(device))) => {
            mount::open_tree_with(directory, &device.path, mount::Clone::One, change)?
        }
        _ => {
            let null = fs::open_in_root_no_links(child.root()?, path, OFlag::O_PATH)?;
            let tree = mount::open_tree_with(&null, Path::new(""), mount::Clone::One, change)?;
            child.keep(null);
            tree
        }
    };
    let stat = fs::fstat(&tree)?;
    let is_null = stat.st_mode & libc::S_IFMT == libc::S_IFCHR && stat.st_rdev == fs::makedev(1, 3);
    if !is_null {
        let message = "the container's /dev/null is not the null device, so no file can be masked with it";
        return Err(Fault::Other(Code::Setup, message.into()));
    }
    Ok(tree)
}
