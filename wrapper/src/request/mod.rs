//! From what was typed to what is wanted: `run`'s flags, the image's settings under them, become a [`Container`]. Nothing
//! is touched but the files that flags name, and everything that can be refused is refused here.
//!
//! ```text
//! size       100m, 1.5g; 30s, 1m30s
//! variables  -e, --env-file, --label, --label-file
//! ports      -p 127.0.0.1:8080-8082:80-82/tcp
//! mounts     -v, --mount, --tmpfs
//! security   --security-opt
//! limits     --ulimit, --device, --cpus, --restart, --health-...
//! whole      all of them together
//! ```

mod limits;
mod mounts;
mod ports;
mod security;
mod size;
mod variables;
mod whole;

pub use limits::{check_cpus, cpus, mac_address, restart_policy};
pub use mounts::plain;
pub use ports::{exposed, published};
pub use size::{bytes, nanoseconds};
pub use variables::environment;
pub use whole::{Origin, build};

use std::io;
use std::path::PathBuf;

/// Why a container cannot be what was typed.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// `--log-driver`, `--log-opt`
    #[error(transparent)]
    Log(#[from] crate::log::SettingsError),
    /// The value of a flag does not fit.
    #[error("--{flag} {value:?}: {problem}")]
    Value {
        /// The flag without its dashes.
        flag: &'static str,
        /// What was typed.
        value: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// Flags do not go together.
    #[error("{0}")]
    Together(&'static str),
    /// A file that a flag names.
    #[error("cannot read {1:?} of --{0}")]
    File(&'static str, PathBuf, #[source] io::Error),
    /// The same place in the container is asked for twice.
    #[error("Duplicate mount point: {0:?}")]
    Duplicate(PathBuf),
    /// There is nothing to run.
    #[error("no command is given, and the image has none either; add one after the image's name")]
    NoCommand,
}

/// Says what is wrong with the value of a flag.
fn bad(flag: &'static str, value: &str, problem: impl Into<String>) -> RequestError {
    RequestError::Value { flag, value: value.to_owned(), problem: problem.into() }
}
