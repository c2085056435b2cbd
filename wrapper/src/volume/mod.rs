//! Volumes: directories that outlive the containers that they are mounted into.
//!
//! ```text
//! ROOT/volumes/.lock             held shared while a container with volumes is made, and alone to remove one
//! ROOT/volumes/NAME/volume.json  what it was made with
//! ROOT/volumes/NAME/_data        what is in it
//! ```

mod mounts;
mod options;
mod store;
mod users;

pub use mounts::{Copied, mount, unmount};
pub use options::check_options;
pub use store::{Hold, Volumes};
pub use users::{remove_anonymous, users};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

/// The only driver there is.
pub const DRIVER: &str = "local";

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// When it was made: RFC 3339.
    pub created_at: String,
    /// What else there is to say.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// `type`, `o`, `device`.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// Whether it was given no name, and goes with its container.
    #[serde(default)]
    pub anonymous: bool,
    /// What is mounted: its own directory, or the one of the host that its options name.
    #[serde(skip)]
    pub path: PathBuf,
}

/// What goes wrong with volumes.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
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
    /// A system call.
    #[error(transparent)]
    System(#[from] mydocker_sys::Error),
    /// What a volume was made with cannot be read.
    #[error("{path:?} is damaged; what is in the volume is beside it in _data")]
    Damaged {
        /// Its file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// There is no such volume.
    #[error("no such volume: {0}")]
    NotFound(String),
    /// It has characters that names do not have.
    #[error(
        "invalid volume name {0:?}: it begins with a letter or a digit, and letters, digits, '_', '.' and '-' follow, at least one of them; to mount a directory of the host, give its absolute path"
    )]
    BadName(String),
    /// Containers have it.
    #[error("volume {name} is in use - [{}]; remove these containers first", holders.join(", "))]
    InUse {
        /// Its name.
        name: String,
        /// Their ids.
        holders: Vec<String>,
    },
    /// A driver other than `local`.
    #[error("volume driver {0:?} is not supported; there is \"local\" alone")]
    Driver(String),
    /// An option that has no effect here.
    #[error("volume option {name}={value:?} is not supported; {hint}")]
    Option {
        /// Its name.
        name: String,
        /// What it was to be.
        value: String,
        /// What can be done.
        hint: &'static str,
    },
    /// What it is cannot be mounted.
    #[error("cannot mount volume {name}; see the options that it was made with: 'volume inspect {name}'")]
    Mount {
        /// Its name.
        name: String,
        /// What the kernel says.
        source: mydocker_sys::Error,
    },
    /// The kernel does not know what it is.
    #[error(
        "cannot mount volume {name}: the kernel has no file system {kind:?}; load its module, or make the volume of another one"
    )]
    FileSystem {
        /// Its name.
        name: String,
        /// Its `type=`.
        kind: String,
    },
    /// Nobody knows the server that it is on.
    #[error("cannot find the address of {name:?}, which the volume is to be mounted from")]
    Server {
        /// The server.
        name: String,
        /// What the resolver says.
        source: io::Error,
    },
    /// The containers that may use a volume cannot be read.
    #[error("cannot tell which containers use the volume")]
    Containers(#[from] crate::container::ContainersError),
}

fn failed(action: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> VolumeError {
    let path = path.to_owned();
    move |source| VolumeError::Io { action, path, source }
}

#[cfg(test)]
mod tests;
