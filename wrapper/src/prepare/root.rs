//! The root file system.

use super::{PrepareError, failed, make_directory, pieces};
use crate::container::{Container, Root};
use crate::home::Home;
use mydocker_img::digest::Digest;
use mydocker_img::overlay::{Overlay, unmount as unmount_overlay};
use mydocker_img::store::Store;
use mydocker_sys::Errno;
use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

/// Where the root file system of a container lies: a directory of the host as it is, or the place in its bundle where the
/// rest is mounted while it runs.
#[must_use]
pub fn rootfs(home: &Home, container: &Container) -> PathBuf {
    match &container.root {
        Root::Directory(path) => path.clone(),
        Root::Layers(_) | Root::View(_) => home.container(&container.id).join("bundle/rootfs"),
    }
}

/// Mounts it.
///
/// # Errors
/// [`PrepareError`].
pub fn mount(home: &Home, container: &Container) -> Result<(), PrepareError> {
    let directory = home.container(&container.id);
    make_directory(&directory.join("bundle/rootfs"), 0o755)?;
    let lower = match &container.root {
        Root::Directory(path) => return exists(path),
        Root::View(path) => vec![path.clone()],
        Root::Layers(layers) => layer_paths(home, layers, &directory)?,
    };
    let (upper, work) = (directory.join("upper"), directory.join("work"));
    make_directory(&work, 0o700)?;
    if !upper.is_dir() {
        let top = lower.last().map_or(Path::new("/"), PathBuf::as_path);
        make_upper(&upper, top)?;
    }
    // A monitor that was killed leaves its mount, which may lack what has changed since.
    unmount(home, container)?;
    forget_volatile(&work)?;
    let target = directory.join("bundle/rootfs");
    let is_volatile = container.host_config.auto_remove;
    let overlay = Overlay { lower, upper: Some((upper.clone(), work.clone())), is_volatile };
    match (overlay.mount(&target), &container.root) {
        (Err(error), Root::View(path)) if error.errno() == Errno::EINVAL => {
            pieces::mount(path, &pieces::Places { target, upper, work })
        }
        (mounted, _) => mounted.map_err(PrepareError::Root),
    }
}

/// The kernel marks what was mounted volatile, and does not mount it again: after a crash its files may be torn. A container
/// that goes with its end outlives no crash, but a restart.
fn forget_volatile(work: &Path) -> Result<(), PrepareError> {
    let mark = work.join("work/incompat");
    match fs::remove_dir_all(&mark) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other.map_err(failed("remove", &mark)),
    }
}

/// Takes it away.
///
/// # Errors
/// What the kernel says.
pub fn unmount(home: &Home, container: &Container) -> Result<(), PrepareError> {
    if matches!(container.root, Root::Directory(_)) {
        return Ok(());
    }
    let target = rootfs(home, container);
    pieces::unmount(&target)?;
    unmount_overlay(&target).map_err(PrepareError::Root)
}

fn exists(path: &Path) -> Result<(), PrepareError> {
    fs::metadata(path).map(drop).map_err(failed("find the root file system", path))
}

/// The directories of the layers, the lowest first; an image without any has an empty root.
///
/// # Errors
/// [`PrepareError`].
pub fn layer_paths(home: &Home, layers: &[String], directory: &Path) -> Result<Vec<PathBuf>, PrepareError> {
    if layers.is_empty() {
        let empty = directory.join("empty");
        make_directory(&empty, 0o755)?;
        return Ok(vec![empty]);
    }
    let store = Store::open(&home.images())?;
    let path = |text: &String| {
        let digest = Digest::parse(text).ok().filter(|digest| store.has_layer(digest));
        digest.map(|digest| store.layer_path(&digest)).ok_or_else(|| PrepareError::NoLayer(text.clone()))
    };
    layers.iter().map(path).collect()
}

/// The top of the container's tree has the owner and the permissions of the upper directory: they are those of the image's.
/// A layer that says nothing about its top has the permissions that its directory was made with.
fn make_upper(upper: &Path, top: &Path) -> Result<(), PrepareError> {
    make_directory(upper, 0o755)?;
    let stat = fs::metadata(top).map_err(failed("look at", top))?;
    let mode = match stat.mode() & 0o7777 {
        0o700 => 0o755,
        mode => mode,
    };
    chown(upper, Some(stat.uid()), Some(stat.gid())).map_err(failed("change the owner of", upper))?;
    fs::set_permissions(upper, Permissions::from_mode(mode))
        .map_err(failed("change the permissions of", upper))
}
