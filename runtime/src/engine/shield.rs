//! Paths that the container must not read or not write.

use super::child::{Child, Fault, Outcome};
use super::failure::Code;
use super::rootfs;
use crate::plan::{Node, TargetRule};
use mydocker_sys::fs::{self, OFlag};
use mydocker_sys::mount::{self, MsFlags};
use mydocker_sys::{Errno, OwnedFd, process};
use std::path::Path;

/// The first mask of each kind, of which the others are copies: one empty directory and one null device for all of them.
#[derive(Debug, Default)]
pub(super) struct Shields {
    directory: Option<OwnedFd>,
    file: Option<OwnedFd>,
}

impl Shields {
    /// The descriptors, for who closes them.
    pub(super) fn take(&mut self) -> impl Iterator<Item = OwnedFd> {
        self.directory.take().into_iter().chain(self.file.take())
    }
}

/// Makes a path read-only, with everything below that is on the same mount; a missing path is passed over.
pub(super) fn make_readonly(child: &mut Child<'_>, path: &Path) -> Outcome {
    let Some(target) = open_existing(child, path)? else { return Ok(()) };
    // What is mounted below keeps its own attributes; below a procfs nothing is but single files, and one call does it.
    let recursive = path.starts_with("/proc");
    let change = mount::Attributes { set: libc::MOUNT_ATTR_RDONLY, recursive, ..Default::default() };
    let tree = mount::open_tree_with(&target, Path::new(""), mount::Clone::Recursive, change)?;
    mount::attach(&tree, &target)?;
    child.keep(tree);
    child.keep(target);
    Ok(())
}

/// Covers a path with an empty directory or with the null device; a missing path is passed over. The first mask of a
/// kind is the mount itself, the others are copies of it.
pub(super) fn mask(child: &mut Child<'_>, path: &Path) -> Outcome {
    let Some((target, is_directory)) = open_masked(child, path)? else { return Ok(()) };
    let first = if is_directory { &child.shields.directory } else { &child.shields.file };
    if let Some(first) = first {
        let tree = mount::open_tree(first, mount::Clone::One)?;
        mount::attach(&tree, &target)?;
        child.keep(tree);
    } else if is_directory {
        child.shields.directory = Some(mount_empty_directory(&target)?);
    } else {
        let tree = null_device(child)?;
        mount::attach(&tree, &target)?;
        child.shields.file = Some(tree);
    }
    child.keep(target);
    Ok(())
}

/// Opens what is to be masked, and tells whether it is a directory: it is opened as one first, for the usual lists have
/// more directories than files, and there one call says both. Should something else take a file's place in between, the
/// kernel does not put the null device onto a directory.
fn open_masked(child: &mut Child<'_>, path: &Path) -> Outcome<Option<(OwnedFd, bool)>> {
    match fs::try_open_in_root(child.root()?, path, OFlag::O_PATH | OFlag::O_DIRECTORY) {
        Ok(directory) => Ok(Some((directory, true))),
        Err(Errno::ENOENT) => Ok(None),
        Err(_) => Ok(open_existing(child, path)?.map(|file| (file, false))),
    }
}

fn open_existing(child: &mut Child<'_>, path: &Path) -> Outcome<Option<OwnedFd>> {
    rootfs::open_if_present(child.root()?, path, TargetRule::Inside)
}

/// Mounts an empty file system by the way of [`super::plain`], and opens it. It belongs to nobody else, so that it may be
/// read-only as well as its mount. Nobody can write to it, so that it takes no bounds.
fn mount_empty_directory(target: &OwnedFd) -> Outcome<OwnedFd> {
    let flags = MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    process::fchdir(target)?;
    mount::mount(None, c".", Some(c"tmpfs"), flags, None)?;
    Ok(mount::mounted_on(target)?)
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
