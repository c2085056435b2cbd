//! Images that are mounted rather than copied: their layers as an overlay, and the lease that keeps them there.

use crate::digest::Digest;
use crate::layer::{LayerError, describe_like};
use crate::overlay::Overlay;
use crate::store::{Hold, Holder, Image, Lease, Store, StoreError};
use mydocker_sys::Errno;
use mydocker_sys::fs::{OFlag, lock_exclusive};
use mydocker_sys::mount::{MntFlags, MountAttrFlags, umount};
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Why an image is not mounted, or not unmounted.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What its top is like cannot be taken over.
    #[error("cannot make {0:?} what the image's top is")]
    Top(PathBuf, #[source] LayerError),
    /// Whoever asks may not.
    #[error(
        "cannot mount onto {0:?}, which takes root; 'unpack', and 'bundle' without --overlay, make copies"
    )]
    Privilege(PathBuf, #[source] mydocker_sys::Error),
    /// The kernel refuses the mount.
    #[error("cannot mount the image onto {0:?}")]
    Mount(PathBuf, #[source] mydocker_sys::Error),
    /// Something is there.
    #[error("an image is mounted on {0:?} already; 'unmount' takes it away")]
    Mounted(PathBuf),
    /// Somebody uses it.
    #[error("{0:?} is in use; end what runs or works in it, and unmount it then")]
    Busy(PathBuf, #[source] mydocker_sys::Error),
    /// The kernel refuses to take it away.
    #[error("cannot unmount {0:?}")]
    Unmount(PathBuf, #[source] mydocker_sys::Error),
    /// A directory.
    #[error("cannot {action} {path:?}")]
    Io {
        /// What was to be done.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> MountError {
    let path = path.to_owned();
    move |source| MountError::Io { action, path, source }
}

/// The whole path of a directory without links in it, by which its lease names it.
///
/// # Errors
/// [`MountError::Io`].
pub fn whole_path(directory: &Path) -> Result<PathBuf, MountError> {
    let opened = mydocker_sys::fs::open(directory, OFlag::O_PATH | OFlag::O_DIRECTORY);
    let opened = opened.map_err(|error| io::Error::from(error.errno()));
    let link = |fd: std::os::fd::OwnedFd| fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()));
    opened.and_then(link).map_err(failed("find", directory))
}

/// What a mount of layers is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose<'a> {
    /// To be looked at: nothing in it can be changed, or gain a privilege by being there.
    View,
    /// To be run: changes go to the first directory; the second, beside it, is the kernel's own.
    Run(&'a Path, &'a Path),
}

/// Mounts unpacked layers, the lowest first, onto a directory.
///
/// # Errors
/// [`MountError`]; then nothing is mounted.
pub fn mount_layers(
    store: &Store,
    layers: &[PathBuf],
    purpose: Purpose<'_>,
    target: &Path,
) -> Result<(), MountError> {
    let (upper, attributes) = match purpose {
        Purpose::View => {
            let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
                | MountAttrFlags::MOUNT_ATTR_NOSUID
                | MountAttrFlags::MOUNT_ATTR_NODEV;
            (None, attributes)
        }
        Purpose::Run(upper, work) => {
            prepare_upper(layers.last().map(PathBuf::as_path), upper)?;
            (Some((upper.to_owned(), work.to_owned())), MountAttrFlags::empty())
        }
    };
    let lower = if layers.is_empty() { vec![empty_layer(store)?] } else { layers.to_vec() };
    let overlay = Overlay { lower, upper, is_volatile: false };
    overlay.mount_with(target, attributes).map_err(|source| match source.errno() {
        Errno::EPERM => MountError::Privilege(target.to_owned(), source),
        _ => MountError::Mount(target.to_owned(), source),
    })
}

/// The upper directory is what one sees as the top: it has to be like that of the highest layer.
fn prepare_upper(highest: Option<&Path>, upper: &Path) -> Result<(), MountError> {
    let Some(highest) = highest else { return Ok(()) };
    let open = |path: &Path| File::open(path).map_err(failed("open", path));
    describe_like(open(highest)?.into(), open(upper)?.into())
        .map_err(|source| MountError::Top(upper.to_owned(), source))
}

fn empty_layer(store: &Store) -> Result<PathBuf, MountError> {
    let path = store.root().join("empty");
    let made = DirBuilder::new().recursive(true).mode(0o755).create(&path);
    made.map_err(failed("make the directory", &path))?;
    Ok(path)
}

/// What the lease of a mount is called.
#[must_use]
pub fn lease_name(kind: Holder, owner: &Path) -> String {
    format!("{kind}-{}", &Digest::sha256(owner.as_os_str().as_bytes()).hex()[..32])
}

/// Mounts a view of an image onto `target`, a directory by its whole path, and leases the image to it.
///
/// # Errors
/// [`MountError`]; then nothing is mounted and nothing leased.
pub fn mount_view(
    store: &Store,
    hold: &Hold,
    image: &Image,
    layers: &[PathBuf],
    target: &Path,
) -> Result<(), MountError> {
    // Whoever else opens the directory once something is mounted there gets another, so the question comes after the lock.
    let lock = File::open(target).map_err(failed("open", target))?;
    lock_exclusive(&lock, true).map_err(|source| MountError::Mount(target.to_owned(), source))?;
    if is_mount_point(target)? {
        return Err(MountError::Mounted(target.to_owned()));
    }
    let name = lease_name(Holder::Mount, target);
    store.lease(hold, &name, Holder::Mount, &image.target, target)?;
    let mounted = mount_layers(store, layers, Purpose::View, target);
    if mounted.is_err() {
        store.release(&name)?;
    }
    mounted
}

/// Whether something is mounted on a directory.
fn is_mount_point(path: &Path) -> Result<bool, MountError> {
    mydocker_sys::mount::is_mount_point(path).map_err(|source| MountError::Mount(path.to_owned(), source))
}

/// Unmounts what a lease is for, and gives the lease up. What was changed in a bundle stays in its directory `upper`.
///
/// # Errors
/// [`MountError`]; then the lease is still there.
pub fn unmount(store: &Store, lease: &Lease) -> Result<(), MountError> {
    let mounted = match lease.kind {
        Holder::Bundle => lease.owner.join("rootfs"),
        Holder::Mount | Holder::Container => lease.owner.clone(),
    };
    // Since the machine was started anew it is no mount any more, and perhaps not even a directory.
    if mounted.exists() && is_mount_point(&mounted)? {
        umount(&mounted, MntFlags::UMOUNT_NOFOLLOW).map_err(|error| match error.errno() {
            Errno::EBUSY => MountError::Busy(mounted.clone(), error),
            _ => MountError::Unmount(mounted.clone(), error),
        })?;
    }
    if lease.kind == Holder::Bundle {
        remove_tree(&lease.owner.join("work"))?;
    }
    if mounted.parent() == Some(&store.mounts()) {
        remove_empty(&mounted)?;
    }
    store.release(&lease.name)?;
    Ok(())
}

fn remove_tree(path: &Path) -> Result<(), MountError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(failed("remove", path)),
    }
}

fn remove_empty(path: &Path) -> Result<(), MountError> {
    match fs::remove_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(failed("remove", path)),
    }
}
