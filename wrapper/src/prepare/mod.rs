//! What a container needs before its program can run, and how it is taken back. The monitor does both.
//!
//! ```text
//! root      the root file system: layers or a directory, under the container's changes
//! pieces    the same for an ordinary user's view of the host's root, directory by directory
//! volumes   sources of mounts: made where they are missing, filled from the image
//! parts     what of volumes is mounted alone
//! shm       shared memory that other containers may have
//! files     hostname, hosts, resolv.conf
//! facts     what the plan depends on: users, devices, namespaces of others
//! seccomp   docker's files of filters
//! ```
//!
//! The order: root file system, volumes, network, files, then the plan, whose `config.json` is written last. What fails is
//! undone at once. Undoing is for everybody: it takes away what is there, whoever made it, so that it also clears up
//! after a monitor that was killed.

mod facts;
mod files;
mod parts;
mod pieces;
mod root;
mod seccomp;
mod shm;
mod volumes;

pub use facts::{limits_swap, user};
pub use files::written as written_files;
pub use root::{layer_paths, mount as mount_root, rootfs};
pub use volumes::{open_source, prepare as prepare_volumes};

use crate::container::{Container, Containers, ContainersError, State};
use crate::home::Home;
use crate::network::{self, NetworkError, Up};
use crate::plan::{SecurityError, config};
use crate::volume::{self, VolumeError};
use mydocker_bundles::UserError;
use mydocker_trees::CopyError;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Why a container cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// Its record, or that of another one.
    #[error(transparent)]
    Containers(#[from] ContainersError),
    /// A file or directory.
    #[error("cannot {action} {path:?}")]
    Io {
        /// What was to be done.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// The store of images.
    #[error(transparent)]
    Store(#[from] mydocker_img::store::StoreError),
    /// A layer of the image is not there as files.
    #[error("layer {0} of the image is not in the store; pull the image again")]
    NoLayer(String),
    /// The root file system.
    #[error("cannot mount the root file system of the container")]
    Root(#[source] mydocker_sys::Error),
    /// A system call.
    #[error(transparent)]
    System(#[from] mydocker_sys::Error),
    /// The user.
    #[error("unable to find user")]
    User(#[from] UserError),
    /// A volume is not filled.
    #[error("cannot fill the volume for {0:?} from the image")]
    Fill(PathBuf, #[source] CopyError),
    /// The source of a bind mount.
    #[error("invalid mount config for type \"bind\": bind source path does not exist: {0}")]
    NoSource(String),
    /// A part of a volume.
    #[error("volume {0} has no {1:?}, which volume-subpath names; make it first")]
    NoPart(String, PathBuf),
    /// A device.
    #[error(
        "error gathering device information while adding custom device {0:?}: it is no device of the host"
    )]
    NoDevice(PathBuf),
    /// A limit is about no disk.
    #[error("cannot limit the use of {0:?}: it is no block device of the host")]
    NoDisk(PathBuf),
    /// A namespace of a container that does not run.
    #[error("cannot join the {kind} of container {name}, which is not running; start it first")]
    NotRunning {
        /// What of it.
        kind: &'static str,
        /// Whose.
        name: String,
    },
    /// A volume.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// The network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A container that keeps its shared memory to itself.
    #[error("cannot join IPC of container {0}: it is not shareable; start that one with --ipc shareable")]
    NotShareable(String),
    /// `--security-opt`.
    #[error(transparent)]
    Security(#[from] SecurityError),
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PrepareError {
    let path = path.to_owned();
    move |source| PrepareError::Io { action, path, source }
}

/// Makes everything that a container needs, and writes its `bundle/config.json`. What keeps the ports of the host has to
/// stay open while it runs.
///
/// # Errors
/// [`PrepareError`]; then all is taken back.
pub fn prepare(containers: &Containers, container: &Container) -> Result<Up, PrepareError> {
    let made = make(containers, container);
    if made.is_err() {
        // The reason is told; what cannot be taken back now is found when the container is started or removed.
        drop(undo(containers.home(), container));
    }
    made
}

fn make(containers: &Containers, container: &Container) -> Result<Up, PrepareError> {
    let home = containers.home();
    make_directory(&home.run_of(&container.id), 0o700)?;
    root::mount(home, container)?;
    volume::mount(home, container)?;
    volumes::prepare(home, container)?;
    let parts = parts::mount(home, container)?;
    let up = network::up(containers, container)?;
    let files = files::placed(files::write(containers, container, &up)?, container)?;
    let shm = shm::mount(home, container)?;
    let mut facts = facts::find(containers, container, files)?;
    facts.joined.shm = facts.joined.shm.or(shm);
    facts.sources = parts;
    let path = home.container(&container.id).join("bundle/config.json");
    let text = serde_json::to_vec(&config(container, &facts))
        .map_err(|error| failed("write", &path)(error.into()))?;
    fs::write(&path, text).map_err(failed("write", &path))?;
    Ok(up)
}

/// Tells a container that runs about names, after it has joined or left a network.
///
/// # Errors
/// [`PrepareError`].
pub fn tell_names(containers: &Containers, id: &str) -> Result<(), PrepareError> {
    let (container, state) = (containers.load(id)?, containers.recorded_state(id)?);
    match network::told(containers, &container, &state)? {
        // What never ran has no files yet.
        Some(up) if containers.home().container(id).join("hosts").is_file() => {
            files::write(containers, &container, &up).map(drop)
        }
        _ => Ok(()),
    }
}

/// Takes back what [`prepare`] has made; what is not there is as good. Returns what could not be taken back.
pub fn undo(home: &Home, container: &Container) -> Vec<PrepareError> {
    let mut errors = Vec::new();
    errors.extend(network::down(home, container, &State::default()).into_iter().map(PrepareError::from));
    errors.extend(shm::unmount(home, container).err());
    errors.extend(parts::unmount(home, container).err());
    errors.extend(volume::unmount(home, container).err().map(PrepareError::from));
    errors.extend(root::unmount(home, container).err());
    errors
}

/// Forgets a container that is undone: its directory, its name, and what it holds in the store of images.
///
/// # Errors
/// [`PrepareError`].
pub fn forget(containers: &Containers, container: &Container) -> Result<(), PrepareError> {
    containers.remove(container)?;
    if container.image.is_some() {
        let store = mydocker_img::store::Store::open(&containers.home().images())?;
        store.release(&container.id)?;
    }
    Ok(())
}

fn make_directory(path: &Path, mode: u32) -> Result<(), PrepareError> {
    DirBuilder::new().recursive(true).mode(mode).create(path).map_err(failed("make the directory", path))
}
