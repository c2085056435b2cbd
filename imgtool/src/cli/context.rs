//! What the environment says: where the store is.

use super::GlobalArgs;
use crate::store::{Store, StoreError};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What is taken from the environment, once, at the beginning.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Environment {
    /// The effective user id.
    pub uid: u32,
    /// `$HOME`
    pub home: Option<PathBuf>,
    /// `$XDG_DATA_HOME`
    pub data_home: Option<PathBuf>,
    /// `$XDG_RUNTIME_DIR`
    pub runtime_dir: Option<PathBuf>,
    /// `$DOCKER_CONFIG`: the directory of docker's `config.json`.
    pub docker_config: Option<PathBuf>,
    /// `$REGISTRY_AUTH_FILE`: podman's file of credentials.
    pub auth_file: Option<PathBuf>,
}

impl Environment {
    /// The environment of this process.
    #[must_use]
    pub fn probe() -> Self {
        let path = |name: &str| {
            std::env::var_os(name).filter(|value: &OsString| !value.is_empty()).map(PathBuf::from)
        };
        Self {
            uid: mydocker_sys::process::euid(),
            home: path("HOME"),
            data_home: path("XDG_DATA_HOME"),
            runtime_dir: path("XDG_RUNTIME_DIR"),
            docker_config: path("DOCKER_CONFIG"),
            auth_file: path("REGISTRY_AUTH_FILE"),
        }
    }

    /// Where the store is if nothing else is said: root has one for the host, an ordinary user one of their own.
    fn store_root(&self) -> Result<PathBuf, ContextError> {
        if self.uid == 0 {
            return Ok(PathBuf::from("/var/lib/mydocker/images"));
        }
        let home = self.home.as_ref().map(|home| home.join(".local/share"));
        let data = self.data_home.clone().or(home).ok_or(ContextError::NoHome)?;
        Ok(data.join("mydocker/images"))
    }
}

/// What every command is given.
#[derive(Debug)]
pub struct Context {
    /// What the environment says.
    pub environment: Environment,
    root: PathBuf,
}

/// Why a command cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// There is no place for an ordinary user's store.
    #[error("neither HOME nor XDG_DATA_HOME is set; say with --root where the image store is to be")]
    NoHome,
}

impl Context {
    /// What the flags and the environment say.
    ///
    /// # Errors
    /// [`ContextError::NoHome`].
    pub fn new(global: &GlobalArgs, environment: Environment) -> Result<Self, ContextError> {
        let root = match &global.root {
            Some(root) => root.clone(),
            None => environment.store_root()?,
        };
        Ok(Self { environment, root })
    }

    /// Where the store is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Opens the store.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn store(&self) -> Result<Store, StoreError> {
        Store::open(&self.root)
    }
}
