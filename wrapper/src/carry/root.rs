//! The root of a container's files, with its volumes.

use super::CarryError;
use crate::container::{Container, Containers, Locked, MountKind, State};
use crate::home::Home;
use crate::look::status::is_up;
use crate::prepare::{mount_root, prepare_volumes, rootfs};
use mydocker_sys::fs::{OFlag, SFlag, cstring, fstat, mkdirat, open, open_in_root, open_in_root_if_present};
use mydocker_sys::mount::{
    Attributes, Clone as CloneMount, MountAttrFlags, MsFlags, attach, mount, open_tree, set_attributes,
};
use mydocker_sys::namespace::{CloneFlags, unshare};
use mydocker_sys::{AsFd as _, BorrowedFd, Errno, OwnedFd};
use std::path::{Component, Path, PathBuf};

/// The root of a container's files.
#[derive(Debug)]
pub struct Root {
    /// The directory.
    pub fd: OwnedFd,
    /// Keeps a container that does not run from being started or removed.
    _lock: Option<Locked>,
}

/// Opens the root of a container: what its first process has, or what it would have. For one that does not run, this
/// process gets a mount namespace of its own, so that all mounts go with it.
///
/// # Errors
/// [`CarryError`].
pub fn open_root(containers: &Containers, container: &Container) -> Result<Root, CarryError> {
    let state = containers.state(&container.id)?;
    if is_up(state.status) && state.process.is_some() {
        return of_process(container, &state);
    }
    let lock = containers.lock(&container.id)?;
    let state = containers.state(&container.id)?;
    if is_up(state.status) && state.process.is_some() {
        return of_process(container, &state);
    }
    let fd = mounted(containers.home(), container)?;
    Ok(Root { fd, _lock: Some(lock) })
}

/// The process is asked for once more when its root is open: till then its id may have become another's.
fn of_process(container: &Container, state: &State) -> Result<Root, CarryError> {
    let ended = || CarryError::Ended(container.name.clone());
    let process = state.process.ok_or_else(ended)?;
    let path = PathBuf::from(format!("/proc/{}/root", process.pid));
    let fd = match open(&path, OFlag::O_PATH | OFlag::O_DIRECTORY) {
        Err(error) if error.errno() == Errno::ENOENT => return Err(ended()),
        other => other?,
    };
    if process.lives() { Ok(Root { fd, _lock: None }) } else { Err(ended()) }
}

fn mounted(home: &Home, container: &Container) -> Result<OwnedFd, CarryError> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None, &cstring(Path::new("/"))?, None, private, None)?;
    // A volatile mount can be mounted only once, which is the container's own.
    let mut container = container.clone();
    container.host_config.auto_remove = false;
    mount_root(home, &container)?;
    prepare_volumes(home, &container)?;
    let root = open(&rootfs(home, &container), OFlag::O_PATH | OFlag::O_DIRECTORY)?;
    for mount in container.mounts.iter().filter(|mount| mount.kind != MountKind::Tmpfs) {
        bind(root.as_fd(), mount)?;
    }
    if container.host_config.readonly_rootfs {
        read_only(&root)?;
    }
    Ok(root)
}

fn read_only(mount: &OwnedFd) -> Result<(), CarryError> {
    let set = u64::from(MountAttrFlags::MOUNT_ATTR_RDONLY.bits());
    Ok(set_attributes(mount, Attributes { set, ..Attributes::default() })?)
}

/// Mounts a volume, or something of the host, where the container has it. The place is made if it is missing, as the
/// runtime would make it.
fn bind(root: BorrowedFd<'_>, mount: &crate::container::Mount) -> Result<(), CarryError> {
    let source = open(&mount.source, OFlag::O_PATH)?;
    let tree = open_tree(&source, CloneMount::One)?;
    if !mount.writable {
        read_only(&tree)?;
    }
    let is_directory = fstat(&source)?.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits();
    let target = match open_in_root_if_present(root, &mount.destination, OFlag::O_PATH)? {
        Some(target) => target,
        None => make_target(root, &mount.destination, is_directory)?,
    };
    Ok(attach(tree, target)?)
}

fn make_target(root: BorrowedFd<'_>, path: &Path, is_directory: bool) -> Result<OwnedFd, CarryError> {
    let mut made = PathBuf::from("/");
    let parts: Vec<_> = path.components().filter(|part| matches!(part, Component::Normal(_))).collect();
    for (place, part) in parts.iter().enumerate() {
        let parent = open_in_root(root, &made, OFlag::O_PATH | OFlag::O_DIRECTORY, 0)?;
        made.push(part);
        if open_in_root_if_present(root, &made, OFlag::O_PATH)?.is_some() {
            continue;
        }
        if is_directory || place + 1 < parts.len() {
            mkdirat(&parent, Path::new(part), 0o755)?;
        } else {
            let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW;
            mydocker_sys::fs::openat(&parent, Path::new(part), flags, 0o644)?;
        }
    }
    Ok(open_in_root(root, path, OFlag::O_PATH, 0)?)
}
