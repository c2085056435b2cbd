//! Which servers to ask for an image, in which order, and how: containerd's `certs.d/HOST/hosts.toml`, the
//! `registries.conf` of podman and skopeo, and what holds without them.

mod certs_d;
mod registries_conf;

pub use registries_conf::RegistriesConf;

use super::tls::TlsOptions;
use super::url::{Origin, Scheme, Url, UrlError, is_loopback};
use crate::cli::Environment;
use crate::reference::{DOCKER_HUB, Reference, ReferenceError};
use std::path::{Path, PathBuf};

/// The server of Docker Hub, which is no host of references.
const HUB_SERVER: &str = "registry-1.docker.io";

/// What a server is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Manifests and blobs are read.
    Pull,
    /// Manifests and blobs are written; only the registry itself takes them.
    Push,
}

/// A server that may have an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Everything that is asked for is below this; `https://registry-1.docker.io/v2` as a rule.
    pub base: Url,
    /// The image's repository as this server calls it.
    pub repository: String,
    /// Under which name credentials for it are kept. A mirror's are its own: those of the registry never go to it.
    pub credentials_host: String,
    /// The registry that a mirror is asked for (`?ns=`), as containerd's mirrors want it.
    pub namespace: Option<String>,
    /// Headers that the configuration wants to be sent.
    pub headers: Vec<(String, String)>,
    /// How its certificate is judged, and which is shown to it.
    pub tls: TlsOptions,
    /// Whether it was configured to be spoken to without proof of who it is.
    pub insecure: bool,
    /// Whether it is tried out if this is the way to speak to the server: then a failure is not worth another attempt, as
    /// another endpoint follows.
    pub guessed: bool,
}

/// What was typed about registries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostOptions {
    /// Plain HTTP, whatever the configuration says.
    pub plain_http: bool,
    /// TLS whatever certificate the server shows.
    pub skip_verify: bool,
    /// Own authorities and certificates.
    pub tls: TlsOptions,
    /// Directories that take the place of the usual `certs.d`.
    pub certs_directories: Vec<PathBuf>,
    /// A file that takes the place of the usual `registries.conf`.
    pub registries_conf: Option<PathBuf>,
}

/// Why it is not known whom to ask.
#[derive(Debug, thiserror::Error)]
pub enum HostsError {
    /// A file of the configuration cannot be read.
    #[error("cannot read the registry configuration {path:?}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the kernel says.
        source: std::io::Error,
    },
    /// What was typed is not there.
    #[error("cannot read {path:?}, which {flag} names")]
    Given {
        /// The flag.
        flag: &'static str,
        /// What it names.
        path: PathBuf,
        /// What the kernel says.
        source: std::io::Error,
    },
    /// A file is no TOML, or has something else than it should.
    #[error("{path:?} is no valid registry configuration")]
    Toml {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A value cannot be used.
    #[error("{path:?}: {problem}")]
    Value {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A server's address cannot be used.
    #[error("{path:?} names a server that cannot be asked")]
    Server {
        /// The file.
        path: PathBuf,
        /// Why.
        source: UrlError,
    },
    /// The registry is not to be used.
    #[error("registry {0} is blocked by registries.conf")]
    Blocked(String),
    /// A name without a registry could mean several.
    #[error(
        "{name:?} could be in any of {candidates}; say which (registries.conf has them all for names without a host)"
    )]
    Ambiguous {
        /// The name.
        name: String,
        /// The registries.
        candidates: String,
    },
    /// A configured alias is no name.
    #[error("the alias for {name:?} in registries.conf cannot be used")]
    Alias {
        /// The short name.
        name: String,
        /// Why.
        source: ReferenceError,
    },
    /// What was typed is no name.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// The host of a reference is not one that can be connected to.
    #[error("{host:?} cannot be asked")]
    Host {
        /// The host.
        host: String,
        /// Why.
        source: UrlError,
    },
}

/// The configuration of this host and of what was typed.
#[derive(Debug)]
pub struct Hosts {
    options: HostOptions,
    certs_directories: Vec<PathBuf>,
    registries: RegistriesConf,
}

impl Hosts {
    /// Reads the configuration.
    ///
    /// # Errors
    /// [`HostsError`]: a file cannot be read or understood.
    pub fn load(options: HostOptions, environment: &Environment) -> Result<Self, HostsError> {
        let certs_directories = match options.certs_directories.as_slice() {
            [] => certs_d::usual_directories(environment),
            given => given.to_owned(),
        };
        let registries = match &options.registries_conf {
            Some(path) => RegistriesConf::load(std::slice::from_ref(path))?,
            None => RegistriesConf::load(&registries_conf::usual_files(environment))?,
        };
        Ok(Self { options, certs_directories, registries })
    }

    /// What a typed name means: an alias of `registries.conf` if there is one, else docker's rules, unless
    /// `registries.conf` names another registry for names without a host.
    ///
    /// # Errors
    /// [`HostsError`]: it is no name, or it could mean several.
    pub fn expand(&self, text: &str) -> Result<Reference, HostsError> {
        let typed = Reference::parse(text)?;
        if !Reference::is_short(text) {
            return Ok(typed);
        }
        match self.registries.long_name(text)? {
            Some(long) => {
                Reference::parse(&long).map_err(|source| HostsError::Alias { name: text.to_owned(), source })
            }
            None => Ok(typed),
        }
    }

    /// The servers to ask, in this order; at least one.
    ///
    /// # Errors
    /// [`HostsError`].
    pub fn endpoints(
        &self,
        reference: &Reference,
        operation: Operation,
    ) -> Result<Vec<Endpoint>, HostsError> {
        self.registries.check_blocked(reference)?;
        for directory in certs_d::candidates(&self.certs_directories, reference.host()) {
            if let Some(hosts) = certs_d::HostsToml::load(&directory)? {
                let upstream =
                    self.direct(reference.host(), reference.repository(), &TlsOptions::default(), false)?;
                return self.typed(hosts.endpoints(reference, operation, upstream)?);
            }
        }
        let mut endpoints = Vec::new();
        for location in self.registries.locations(reference, operation) {
            let tls = self.tls_of(&location.host)?;
            endpoints.extend(self.direct(&location.host, &location.repository, &tls, location.insecure)?);
        }
        self.typed(endpoints)
    }

    /// How a server's certificate is judged that no endpoint names: one that a registry redirects to.
    ///
    /// # Errors
    /// [`HostsError`].
    pub fn tls_for(&self, origin: &Origin) -> Result<TlsOptions, HostsError> {
        let name = match (origin.scheme, origin.port) {
            (Scheme::Https, 443) => origin.host.clone(),
            (_, port) => format!("{}:{port}", origin.host),
        };
        Ok(self.tls_of(&name)?.or(&self.options.tls))
    }

    /// Certificates as docker and podman keep them: files in a directory that is named for the host.
    fn tls_of(&self, host: &str) -> Result<TlsOptions, HostsError> {
        for directory in certs_d::candidates(&self.certs_directories, host) {
            let tls = certs_d::certificates(&directory)?;
            if !tls.is_empty() {
                return Ok(tls);
            }
        }
        Ok(TlsOptions::default())
    }

    /// The endpoints of a server without further configuration: one, or two where it has to be found out whether it
    /// speaks TLS.
    fn direct(
        &self,
        host: &str,
        repository: &str,
        tls: &TlsOptions,
        insecure: bool,
    ) -> Result<Vec<Endpoint>, HostsError> {
        let server = if host == DOCKER_HUB { HUB_SERVER } else { host };
        let tls = tls.or(&self.options.tls);
        let bare =
            server.rsplit_once(':').filter(|(_, port)| !port.contains(']')).map_or(server, |(host, _)| host);
        let schemes: &[Scheme] = match () {
            () if self.options.plain_http => &[Scheme::Http],
            () if insecure => &[Scheme::Https, Scheme::Http],
            // On this machine nobody listens in, and hardly a registry has a certificate.
            () if is_loopback(bare) && tls.is_empty() && !self.options.skip_verify => {
                &[Scheme::Http, Scheme::Https]
            }
            () => &[Scheme::Https],
        };
        let endpoint = |scheme: &Scheme| {
            let base = Url::parse(&format!("{}://{server}/v2", scheme.name()))
                .map_err(|source| HostsError::Host { host: host.to_owned(), source })?;
            Ok(Endpoint {
                base,
                repository: repository.to_owned(),
                credentials_host: if server == HUB_SERVER { DOCKER_HUB } else { host }.to_owned(),
                namespace: None,
                headers: Vec::new(),
                tls: TlsOptions { skip_verify: tls.skip_verify || insecure, ..tls.clone() },
                insecure: insecure || self.options.plain_http,
                guessed: schemes.first() == Some(scheme) && schemes.len() > 1,
            })
        };
        schemes.iter().map(endpoint).collect()
    }

    /// What was typed counts for every server.
    fn typed(&self, mut endpoints: Vec<Endpoint>) -> Result<Vec<Endpoint>, HostsError> {
        for endpoint in &mut endpoints {
            endpoint.tls.skip_verify |= self.options.skip_verify;
            endpoint.insecure |= self.options.skip_verify;
        }
        Ok(endpoints)
    }
}

fn read(path: &Path) -> Result<Option<String>, HostsError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error)
            if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) =>
        {
            Ok(None)
        }
        Err(source) => Err(HostsError::Io { path: path.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests;
