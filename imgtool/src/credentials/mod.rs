//! What docker and podman keep to log in with: docker's `config.json`, podman's `auth.json`, and credential helpers.
//!
//! All of them have one format. A key in `auths` is a registry's host, in podman's case perhaps with a path below it, and in
//! docker's case perhaps a URL; Docker Hub's is `https://index.docker.io/v1/`.

mod file;
mod helper;

pub use file::AuthFile;
pub use helper::HelperError;

use crate::cli::Environment;
use crate::reference::DOCKER_HUB;
use std::fmt;
use std::path::{Path, PathBuf};

/// The key under which Docker Hub's credentials are kept, by docker, podman and helpers.
pub const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// The user name that stands for an identity token where only names and secrets can be kept.
pub const TOKEN_USER: &str = "<token>";

/// Something to log in with.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A name and a password.
    Password {
        /// Who.
        user: String,
        /// The proof.
        secret: String,
    },
    /// A token that a server gave for a password, and that is exchanged for tokens that last minutes.
    IdentityToken(String),
}

impl Credential {
    /// From a name and a secret as helpers give them.
    #[must_use]
    pub fn new(user: String, secret: String) -> Self {
        if user == TOKEN_USER { Self::IdentityToken(secret) } else { Self::Password { user, secret } }
    }
}

/// A secret is in no log and in no message.
impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { user, .. } => write!(formatter, "Password({user:?})"),
            Self::IdentityToken(_) => formatter.write_str("IdentityToken"),
        }
    }
}

/// Why credentials that may be there cannot be had. They are not done without: what is asked for could then be refused, or
/// be something else, for a reason that nobody would see.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The file cannot be read or written.
    #[error("cannot {action} the credentials in {path:?}")]
    Io {
        /// What was to be done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the kernel says.
        source: std::io::Error,
    },
    /// The file is not as docker and podman write it.
    #[error("{path:?} holds no credentials as docker and podman write them")]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// An entry of it is not what it should be.
    #[error("the entry {key:?} in {path:?} is no base64 of USER:PASSWORD; log in again")]
    Entry {
        /// The file.
        path: PathBuf,
        /// The entry.
        key: String,
    },
    /// A helper failed.
    #[error(transparent)]
    Helper(#[from] HelperError),
    /// There is no place to keep them in.
    #[error(
        "neither DOCKER_CONFIG nor HOME is set, so that there is no place for credentials; say one with --authfile"
    )]
    NoPlace,
}

/// Where credentials are looked for, in this order.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    given: Option<Credential>,
    files: Vec<PathBuf>,
    writable: Option<PathBuf>,
}

impl Credentials {
    /// The files of docker and podman, or `authfile` alone if it is given.
    #[must_use]
    pub fn new(environment: &Environment, authfile: Option<&Path>) -> Self {
        if let Some(file) = authfile.or(environment.auth_file.as_deref()) {
            return Self { given: None, files: vec![file.to_owned()], writable: Some(file.to_owned()) };
        }
        let docker = environment.docker_config.clone();
        let docker = docker.or_else(|| environment.home.as_ref().map(|home| home.join(".docker")));
        let docker = docker.map(|directory| directory.join("config.json"));
        let runtime =
            environment.runtime_dir.as_ref().map(|directory| directory.join("containers/auth.json"));
        let runtime = runtime
            .unwrap_or_else(|| PathBuf::from(format!("/run/containers/{}/auth.json", environment.uid)));
        let config = environment.config_home().map(|directory| directory.join("containers/auth.json"));
        let files = docker.clone().into_iter().chain([runtime]).chain(config).collect();
        Self { given: None, files, writable: docker }
    }

    /// These, whatever the files say; for one registry, before they are known to be right.
    #[must_use]
    pub fn given(credential: Credential) -> Self {
        Self { given: Some(credential), files: Vec::new(), writable: None }
    }

    /// What to log in with for a repository; the longest key that fits counts, in the first file that has one.
    ///
    /// # Errors
    /// [`CredentialError`].
    pub fn lookup(&self, host: &str, repository: &str) -> Result<Option<Credential>, CredentialError> {
        if let Some(given) = &self.given {
            return Ok(Some(given.clone()));
        }
        for path in &self.files {
            let Some(file) = AuthFile::load(path)? else { continue };
            if let Some(credential) = file.lookup(host, repository)? {
                return Ok(Some(credential));
            }
        }
        Ok(None)
    }

    /// Keeps a credential for a registry.
    ///
    /// # Errors
    /// [`CredentialError`].
    pub fn store(&self, host: &str, credential: &Credential) -> Result<Kept, CredentialError> {
        let path = self.writable.as_deref().ok_or(CredentialError::NoPlace)?;
        AuthFile::load_or_new(path)?.store(host, credential)
    }

    /// Forgets what is kept for a registry, in every file; whether there was something.
    ///
    /// # Errors
    /// [`CredentialError`].
    pub fn erase(&self, host: &str) -> Result<bool, CredentialError> {
        let mut found = false;
        for path in &self.files {
            if let Some(file) = AuthFile::load(path)? {
                found |= file.erase(host)?;
            }
        }
        Ok(found)
    }
}

/// Where a credential was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// Into a file, where it is readable for whoever can read the file.
    File(PathBuf),
    /// With a helper.
    Helper(String),
}

/// The key of a registry as docker, podman and helpers write it.
#[must_use]
pub fn server_key(host: &str) -> &str {
    if host == DOCKER_HUB { DOCKER_HUB_KEY } else { host }
}

/// The keys that fit a repository, the longest first: `host/a/b`, `host/a`, `host`.
fn fitting_keys(host: &str, repository: &str) -> Vec<String> {
    let full = format!("{host}/{repository}");
    let mut keys = vec![full.clone()];
    keys.extend(full.rmatch_indices('/').map(|(at, _)| full[..at].to_owned()));
    keys
}

/// A key of a file in the form of [`fitting_keys`]: without scheme, version and closing slash.
fn normal_key(key: &str) -> &str {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let bare = bare.trim_end_matches('/');
    let bare = bare.strip_suffix("/v1").or_else(|| bare.strip_suffix("/v2")).unwrap_or(bare);
    match bare {
        "index.docker.io" | "registry-1.docker.io" => DOCKER_HUB,
        other => other,
    }
}

#[cfg(test)]
mod tests;
