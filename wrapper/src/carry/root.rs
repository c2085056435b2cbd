//! The root of a container's files, with what is mounted in it.

use super::CarryError;
use crate::container::{Container, Containers, Locked, MountKind, State};
use crate::home::Home;
use crate::look::status::is_up;
use crate::plan::files_around;
use crate::prepare::{mount_root, open_source, prepare_volumes, rootfs, written_files};
use crate::volume::Copied;
use mydocker_sys::fs::{OFlag, SFlag, cstring, fstat, mkdirat, open, open_in_root, open_in_root_if_present};
use mydocker_sys::mount::{
    Attributes, Clone as CloneMount, MountAttrFlags, MsFlags, attach, mount, open_tree, set_attributes,
};
use mydocker_sys::namespace::{CloneFlags, setns, unshare};
use mydocker_sys::{AsFd as _, BorrowedFd, Errno, OwnedFd};
use std::path::{Component, Path, PathBuf};

/// The root of a container's files.
#[derive(Debug)]
pub struct Root {
    /// The directory.
    pub fd: OwnedFd,
    /// Its volumes that are file systems, mounted meanwhile.
    volumes: Volumes,
    /// Keeps a container that does not run from being started or removed.
    _lock: Option<Locked>,
}

impl Root {
    /// Lets go of the volumes, and tells when that fails. After it this process is where the host's mounts are.
    ///
    /// # Errors
    /// [`CarryError`].
    pub fn close(mut self) -> Result<(), CarryError> {
        self.volumes.let_go()
    }
}

/// Volumes that are mounted in the namespace of the host's mounts, which this process has left.
#[derive(Debug, Default)]
struct Volumes {
    mounted: Option<(Copied, OwnedFd)>,
}

impl Volumes {
    /// A container that is started meanwhile has to see the same files: a second mount of memory would be another one.
    fn mount(home: &Home, container: &Container) -> Result<Self, CarryError> {
        let namespace = open(Path::new("/proc/self/ns/mnt"), OFlag::O_RDONLY)?;
        let copied = Copied::mount(home, container)?;
        if copied.is_empty() {
            return Ok(Self::default());
        }
        Ok(Self { mounted: Some((copied, namespace)) })
    }

    fn let_go(&mut self) -> Result<(), CarryError> {
        let Some((copied, namespace)) = self.mounted.take() else { return Ok(()) };
        setns(namespace, CloneFlags::CLONE_NEWNS)?;
        Ok(copied.unmount()?)
    }
}

impl Drop for Volumes {
    fn drop(&mut self) {
        // Something else has failed, and is told. What stays is taken off by whoever next uses or removes the volume.
        drop(self.let_go());
    }
}

/// Opens the root of a container: what its first process has, or what it would have but for memory that is mounted in it,
/// which is there only while it runs. For one that does not run, this process gets a mount namespace of its own, so that all
/// mounts but those of volumes go with it.
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
    let volumes = Volumes::mount(containers.home(), container)?;
    let fd = mounted(containers, container)?;
    Ok(Root { fd, volumes, _lock: Some(lock) })
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
    if process.lives() { Ok(Root { fd, volumes: Volumes::default(), _lock: None }) } else { Err(ended()) }
}

fn mounted(containers: &Containers, container: &Container) -> Result<OwnedFd, CarryError> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None, &cstring(Path::new("/"))?, None, private, None)?;
    // A volatile mount can be mounted only once, which is the container's own.
    let mut container = container.clone();
    container.host_config.auto_remove = false;
    let home = containers.home();
    mount_root(home, &container)?;
    prepare_volumes(home, &container)?;
    let root = open(&rootfs(home, &container), OFlag::O_PATH | OFlag::O_DIRECTORY)?;
    let files = written_files(containers, &container)?;
    let (below, above) = files_around(&files, &container);
    let bind_file = |(place, source): (&str, &Path)| {
        bind(root.as_fd(), &open(source, OFlag::O_PATH)?, Path::new(place), CloneMount::One, true)
    };
    below.into_iter().try_for_each(bind_file)?;
    for mount in container.mounts.iter().filter(|mount| mount.kind != MountKind::Tmpfs) {
        let is_alone = mount.options.iter().any(|option| option == "bind");
        let what = if is_alone { CloneMount::One } else { CloneMount::Recursive };
        bind(root.as_fd(), &open_source(mount)?, &mount.destination, what, mount.writable)?;
    }
    above.into_iter().try_for_each(bind_file)?;
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
fn bind(
    root: BorrowedFd<'_>,
    source: &OwnedFd,
    place: &Path,
    what: CloneMount,
    writable: bool,
) -> Result<(), CarryError> {
    let tree = open_tree(source, what)?;
    if !writable {
        read_only(&tree)?;
    }
    let is_directory = fstat(source)?.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits();
    // A link that leads to nothing is covered itself, as the runtime does it.
    let target = match open_in_root_if_present(root, place, OFlag::O_PATH)? {
        None => open_in_root_if_present(root, place, OFlag::O_PATH | OFlag::O_NOFOLLOW)?,
        found => found,
    };
    let target = target.map_or_else(|| make_target(root, place, is_directory), Ok)?;
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
