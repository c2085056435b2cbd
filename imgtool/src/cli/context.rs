//! What the environment says: where the store is.

use super::{GlobalArgs, Moment, RegistryArgs};
use crate::credentials::Credentials;
use crate::reference::Reference;
use crate::registry::http::{Http, Proxies};
use crate::registry::tls::TlsOptions;
use crate::registry::{Cancel, Client, HostOptions, Hosts, HostsError, Operation};
use crate::store::{BYTES_VARIABLE, Budget, ENTRIES_VARIABLE, Store, StoreError};
use mydocker_sys::tty::is_terminal;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write as _};
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
    /// `$MYDOCKER_LAYER_BYTES`: how many bytes a layer may have, with K, M, G or T behind the number if you like.
    pub layer_bytes: Option<OsString>,
    /// `$MYDOCKER_LAYER_ENTRIES`: how many entries a layer may have, in the same way.
    pub layer_entries: Option<OsString>,
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
            layer_bytes: std::env::var_os(BYTES_VARIABLE),
            layer_entries: std::env::var_os(ENTRIES_VARIABLE),
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

    /// What may come into the store.
    fn budget(&self) -> Result<Budget, ContextError> {
        let usual = Budget::default();
        Ok(Budget {
            bytes: limit(BYTES_VARIABLE, self.layer_bytes.as_deref(), usual.bytes)?,
            entries: limit(ENTRIES_VARIABLE, self.layer_entries.as_deref(), usual.entries)?,
            ..usual
        })
    }
}

/// What a variable of the environment allows; nothing is said by one that is empty.
fn limit(name: &'static str, value: Option<&OsStr>, usual: u64) -> Result<u64, ContextError> {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(usual) };
    let parsed = value.to_str().and_then(parse_limit);
    parsed.ok_or_else(|| ContextError::Limit(name, value.to_string_lossy().into_owned()))
}

/// A number above 0, with a multiple of 1,024 behind it.
fn parse_limit(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|last: char| last.is_ascii_alphabetic());
    let shift = match &text[digits.len()..] {
        "" => 0,
        "k" | "K" => 10,
        "m" | "M" => 20,
        "g" | "G" => 30,
        "t" | "T" => 40,
        _ => return None,
    };
    let number: u64 = digits.parse().ok()?;
    number.checked_mul(1 << shift).filter(|limit| *limit > 0)
}

/// What every command is given.
#[derive(Debug)]
pub struct Context {
    /// What the environment says.
    pub environment: Environment,
    root: PathBuf,
    budget: Budget,
}

/// Why a command cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// There is no place for an ordinary user's store.
    #[error("neither HOME nor XDG_DATA_HOME is set; say with --root where the image store is to be")]
    NoHome,
    /// A bound that is no number.
    #[error("{0}={1:?} is no bound; it is a number above 0, with K, M, G or T behind it if you like")]
    Limit(&'static str, String),
}

impl Context {
    /// What the flags and the environment say.
    ///
    /// # Errors
    /// [`ContextError`].
    pub fn new(global: &GlobalArgs, environment: Environment) -> Result<Self, ContextError> {
        let root = match &global.root {
            Some(root) => root.clone(),
            None => environment.store_root()?,
        };
        let budget = environment.budget()?;
        Ok(Self { environment, root, budget })
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
        Ok(Store::open(&self.root)?.with_budget(self.budget).telling(say_who_waits))
    }

    /// The way to registries that the flags and the configuration describe.
    ///
    /// # Errors
    /// [`HostsError`]: the configuration cannot be read, or a flag names what is not there.
    pub fn connection(&self, args: &RegistryArgs) -> Result<Connection, HostsError> {
        demand("--authfile", args.authfile.as_deref(), |path| File::open(path).map(drop))?;
        self.first_connection(args)
    }

    /// The same where credentials need not be there yet.
    ///
    /// # Errors
    /// [`HostsError`].
    pub fn first_connection(&self, args: &RegistryArgs) -> Result<Connection, HostsError> {
        demand("--registries-conf", args.registries_conf.as_deref(), |path| File::open(path).map(drop))?;
        demand("--hosts-dir", args.hosts_dir.as_deref(), |path| path.read_dir().map(drop))?;
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

/// Tells a person why nothing goes on: a pull may take long, and rmi and gc wait for it.
fn say_who_waits() {
    if is_terminal(io::stderr()) {
        let text = "waiting for another command, such as a pull, that uses the image store";
        writeln!(io::stderr(), "{text}").unwrap_or_default();
    }
}

/// Demands that what a flag names is there: without it another registry might be asked, or in another way.
fn demand(
    flag: &'static str,
    path: Option<&Path>,
    look: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<(), HostsError> {
    let Some(path) = path else { return Ok(()) };
    look(path).map_err(|source| HostsError::Given { flag, path: path.to_owned(), source })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_numbers_with_a_multiple() {
        for (text, number) in [("1", 1), ("3k", 3 << 10), ("5M", 5 << 20), ("2G", 2 << 30), ("1T", 1 << 40)] {
            assert_eq!(parse_limit(text), Some(number), "{text}");
        }
        for text in ["", "0", "G", "-1", "1.5G", "1GB", "99999999999T", "1 G", "ä"] {
            assert_eq!(parse_limit(text), None, "{text}");
        }
        assert_eq!(limit(BYTES_VARIABLE, Some(OsStr::new("")), 7).expect("the usual one"), 7);
        let error = limit(BYTES_VARIABLE, Some(OsStr::new("much")), 7).expect_err("no number");
        assert!(error.to_string().contains("MYDOCKER_LAYER_BYTES=\"much\""), "{error}");
    }
}
