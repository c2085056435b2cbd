//! What the environment says: where the store is.

use super::{GlobalArgs, Moment, RegistryArgs};
use crate::credentials::Credentials;
use crate::reference::Reference;
use crate::registry::http::{Http, Proxies};
use crate::registry::tls::TlsOptions;
use crate::registry::{Cancel, Client, HostOptions, Hosts, HostsError, Operation};
use crate::store::{Store, StoreError};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is taken from the environment, once, at the beginning.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Environment {
    /// The effective user id.
    pub uid: u32,
    /// `$HOME`
    pub home: Option<PathBuf>,
    /// `$XDG_DATA_HOME`
    pub data_home: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME`
    pub config: Option<PathBuf>,
    /// `$XDG_RUNTIME_DIR`
    pub runtime_dir: Option<PathBuf>,
    /// `$DOCKER_CONFIG`: the directory of docker's `config.json`.
    pub docker_config: Option<PathBuf>,
    /// `$REGISTRY_AUTH_FILE`: podman's file of credentials.
    pub auth_file: Option<PathBuf>,
    /// `$CONTAINERS_REGISTRIES_CONF`
    pub registries_conf: Option<PathBuf>,
    /// `$SOURCE_DATE_EPOCH`: when images are said to be made that have to be the same each time.
    pub source_date: Option<Moment>,
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
            config: path("XDG_CONFIG_HOME"),
            runtime_dir: path("XDG_RUNTIME_DIR"),
            docker_config: path("DOCKER_CONFIG"),
            auth_file: path("REGISTRY_AUTH_FILE"),
            registries_conf: path("CONTAINERS_REGISTRIES_CONF"),
            source_date: std::env::var("SOURCE_DATE_EPOCH")
                .ok()
                .and_then(|text| text.parse().ok())
                .map(Moment),
        }
    }

    /// The user's directory of configuration.
    #[must_use]
    pub fn config_home(&self) -> Option<PathBuf> {
        self.config.clone().or_else(|| self.home.as_ref().map(|home| home.join(".config")))
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

    /// The way to registries that the flags and the configuration describe.
    ///
    /// # Errors
    /// [`HostsError`]: the configuration cannot be read.
    pub fn connection(&self, args: &RegistryArgs) -> Result<Connection, HostsError> {
        let options = HostOptions {
            plain_http: args.plain_http,
            skip_verify: args.skip_verify,
            tls: TlsOptions {
                authorities: args.tlscacert.iter().cloned().collect(),
                client: args.tlscert.clone().zip(args.tlskey.clone()),
                skip_verify: false,
            },
            certs_directories: args.hosts_dir.iter().cloned().collect(),
            registries_conf: args.registries_conf.clone(),
        };
        let hosts = Arc::new(Hosts::load(options, &self.environment)?);
        Ok(Connection {
            http: Arc::new(Http::new(Arc::clone(&hosts), Proxies::probe())),
            hosts,
            credentials: Arc::new(Credentials::new(&self.environment, args.authfile.as_deref())),
            cancel: Arc::new(Cancel::default()),
        })
    }
}

/// The way to registries.
#[derive(Debug)]
pub struct Connection {
    /// Which servers are asked.
    pub hosts: Arc<Hosts>,
    /// How they are asked.
    pub http: Arc<Http>,
    /// What is shown to them.
    pub credentials: Arc<Credentials>,
    /// What ends everything when one thing fails.
    pub cancel: Arc<Cancel>,
}

impl Connection {
    /// The servers that may have an image, or that take it.
    ///
    /// # Errors
    /// [`HostsError`].
    pub fn client(&self, reference: &Reference, operation: Operation) -> Result<Client, HostsError> {
        Client::new(reference, operation, &self.hosts, &self.http, &self.credentials, &self.cancel)
    }
}
