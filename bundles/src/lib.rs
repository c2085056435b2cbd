//! From an image's configuration to that of a bundle (image-spec, conversion.md).
//!
//! ```text
//! user      a user's name to numbers, by the files of the image
//! config    config.json
//! rootless  the same for an ordinary user
//! seccomp   the system calls that a container may make if nothing else is said
//! ```
#![forbid(unsafe_code)]

mod config;
mod rootless;
mod seccomp;
mod user;

pub use config::{CAPABILITIES, all_capabilities, config};
pub use rootless::rootless;
pub use seccomp::default_seccomp;
pub use user::{User, UserError, find_user};

use std::collections::BTreeMap;

/// What an image says about its containers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageSettings {
    /// `NAME=VALUE`.
    pub env: Vec<String>,
    /// What is run.
    pub entrypoint: Vec<String>,
    /// The arguments, or what is run if there is no entry point.
    pub cmd: Vec<String>,
    /// Where; empty is `/`.
    pub working_dir: String,
    /// Directories whose content is not to be written into the root file system.
    pub volumes: Vec<String>,
    /// What the image says about itself: labels, and the fields that have an annotation of their own.
    pub annotations: BTreeMap<String, String>,
}
