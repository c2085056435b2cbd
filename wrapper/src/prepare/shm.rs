//! The shared memory of a container that lets others have it: a mount of the host's, since no other mount can be brought
//! into a second container.

use super::{PrepareError, make_directory};
use crate::container::Container;
use crate::home::Home;
use mydocker_sys::Errno;
use mydocker_sys::fs::{OFlag, open};
use mydocker_sys::mount::{FsContext, MntFlags, MountAttrFlags, attach, umount};
use std::path::PathBuf;

/// Where it is.
#[must_use]
pub fn place(home: &Home, id: &str) -> PathBuf {
    home.run_of(id).join("shm")
}

/// Mounts it, if it is to be shared.
///
/// # Errors
/// What the kernel says.
pub fn mount(home: &Home, container: &Container) -> Result<Option<PathBuf>, PrepareError> {
    if container.host_config.ipc_mode != "shareable" {
        return Ok(None);
    }
    unmount(home, container)?;
    let place = place(home, &container.id);
    make_directory(&place, 0o755)?;
    let memory = FsContext::open("tmpfs")?;
    memory.set("mode", "1777")?;
    memory.set("size", &container.host_config.shm_size.to_string())?;
    let hardened = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    attach(memory.mount(hardened)?, open(&place, OFlag::O_PATH | OFlag::O_DIRECTORY)?)?;
    Ok(Some(place))
}

/// Takes it away; nothing there is as good.
///
/// # Errors
/// What the kernel says.
pub fn unmount(home: &Home, container: &Container) -> Result<(), PrepareError> {
    match umount(&place(home, &container.id), MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
        Err(error) if matches!(error.errno(), Errno::EINVAL | Errno::ENOENT) => Ok(()),
        other => Ok(other?),
    }
}
