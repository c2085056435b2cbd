//! `certs.d`: a directory for each host, with containerd's `hosts.toml` in it or docker's certificates.

use super::{Endpoint, HostsError, Operation, read};
use crate::cli::Environment;
use crate::reference::Reference;
use crate::registry::tls::TlsOptions;
use crate::registry::url::Url;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Where containerd, docker, podman and skopeo look.
pub(super) fn usual_directories(environment: &Environment) -> Vec<PathBuf> {
    let own = environment.config_home().filter(|_| environment.uid != 0);
    let own = own.map(|directory| directory.join("containers/certs.d"));
    let shared = ["/etc/containerd/certs.d", "/etc/docker/certs.d", "/etc/containers/certs.d"];
    own.into_iter().chain(shared.map(PathBuf::from)).collect()
}

/// The directories that a host may have, the one that counts most first: `host:port`, `host_port_` for file systems
/// without colons, and containerd's `_default` for all.
pub(super) fn candidates(directories: &[PathBuf], host: &str) -> Vec<PathBuf> {
    let mut names = vec![host.to_owned()];
    if let Some((name, port)) = host.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
        names.push(format!("{name}_{port}_"));
    }
    names.push("_default".to_owned());
    names.iter().flat_map(|name| directories.iter().map(move |directory| directory.join(name))).collect()
}

/// docker's certificates in a directory: `*.crt` are authorities, `NAME.cert` and `NAME.key` what is shown.
pub(super) fn certificates(directory: &Path) -> Result<TlsOptions, HostsError> {
    let failed = |source| HostsError::Io { path: directory.to_owned(), source };
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error)
            if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) =>
        {
            return Ok(TlsOptions::default());
        }
        Err(error) => return Err(failed(error)),
    };
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    paths.sort();
    let with = |ending: &'static str| {
        paths.iter().filter(move |path| path.extension().is_some_and(|e| e == ending)).cloned()
    };
    let client = match with("cert").next() {
        Some(certificate) => {
            let key = certificate.with_extension("key");
            if !paths.contains(&key) {
                return Err(HostsError::Value {
                    path: certificate,
                    problem: format!("its key {:?} is missing", key.file_name().unwrap_or_default()),
                });
            }
            Some((certificate, key))
        }
        None => None,
    };
    Ok(TlsOptions { authorities: with("crt").collect(), client, skip_verify: false })
}

/// The file `hosts.toml` of a directory.
#[derive(Debug)]
pub(super) struct HostsToml {
    path: PathBuf,
    file: File,
}

#[derive(Debug, Deserialize)]
struct File {
    server: Option<String>,
    #[serde(flatten)]
    settings: Settings,
    #[serde(default)]
    host: Table,
}

#[derive(Debug, Default, Deserialize)]
struct Settings {
    capabilities: Option<Vec<String>>,
    #[serde(default)]
    ca: OneOrMore,
    #[serde(default)]
    client: Option<Value>,
    #[serde(default)]
    skip_verify: bool,
    #[serde(default)]
    override_path: bool,
    #[serde(default)]
    header: Table,
}

#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    #[default]
    Nothing,
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    fn as_slice(&self) -> &[String] {
        match self {
            Self::Nothing => &[],
            Self::One(text) => std::slice::from_ref(text),
            Self::More(texts) => texts,
        }
    }
}

impl HostsToml {
    pub(super) fn load(directory: &Path) -> Result<Option<Self>, HostsError> {
        let path = directory.join("hosts.toml");
        read(&path)?.map(|text| Self::parse(path, &text)).transpose()
    }

    pub(super) fn parse(path: PathBuf, text: &str) -> Result<Self, HostsError> {
        match toml::from_str(text) {
            Ok(file) => Ok(Self { path, file }),
            Err(source) => Err(HostsError::Toml { path, source: Box::new(source) }),
        }
    }

    /// The servers in the order of the file, then the registry itself: `server`, or `upstream` if the file has none.
    pub(super) fn endpoints(
        &self,
        reference: &Reference,
        operation: Operation,
        upstream: Vec<Endpoint>,
    ) -> Result<Vec<Endpoint>, HostsError> {
        let mut endpoints = Vec::new();
        for (server, settings) in &self.file.host {
            let settings: Settings = settings
                .clone()
                .try_into()
                .map_err(|source| HostsError::Toml { path: self.path.clone(), source: Box::new(source) })?;
            if settings.can(operation) {
                endpoints.push(self.endpoint(server, &settings, reference, false)?);
            }
        }
        match &self.file.server {
            Some(server) if self.file.settings.can(operation) => {
                endpoints.push(self.endpoint(server, &self.file.settings, reference, true)?);
            }
            Some(_) => {}
            None => endpoints.extend(upstream),
        }
        if endpoints.is_empty() {
            return Err(self.wrong(format!("no server in it may be used to {}", operation.word())));
        }
        Ok(endpoints)
    }

    fn endpoint(
        &self,
        server: &str,
        settings: &Settings,
        reference: &Reference,
        is_registry: bool,
    ) -> Result<Endpoint, HostsError> {
        let address = if server.contains("://") { server.to_owned() } else { format!("https://{server}") };
        let mut base =
            Url::parse(&address).map_err(|source| HostsError::Server { path: self.path.clone(), source })?;
        let path = base.target.trim_end_matches('/').to_owned();
        base.target =
            if settings.override_path || path.ends_with("/v2") { path } else { format!("{path}/v2") };
        let own =
            address.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
        let own_host = if is_registry { reference.host() } else { own };
        Ok(Endpoint {
            repository: reference.repository().to_owned(),
            credentials_host: own_host.to_owned(),
            namespace: (own_host != reference.host()).then(|| reference.host().to_owned()),
            headers: self.headers(&settings.header)?,
            tls: self.tls(settings)?,
            insecure: settings.skip_verify,
            guessed: false,
            base,
        })
    }

    fn tls(&self, settings: &Settings) -> Result<TlsOptions, HostsError> {
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        let file = |name: &str| directory.join(name);
        let authorities = settings.ca.as_slice().iter().map(|name| file(name)).collect();
        let client = match &settings.client {
            None => None,
            Some(Value::String(both)) => Some((file(both), file(both))),
            Some(Value::Array(pairs)) => match pairs.as_slice() {
                [Value::String(both)] => Some((file(both), file(both))),
                [Value::Array(pair)] => self.pair(pair).map(|(c, k)| (file(c), file(k))).map(Some)?,
                _ => {
                    return Err(self
                        .wrong("one client certificate is supported for a host, and it has another number"));
                }
            },
            Some(_) => return Err(self.wrong("\"client\" is neither a file nor a list of pairs of files")),
        };
        Ok(TlsOptions { authorities, client, skip_verify: settings.skip_verify })
    }

    fn pair<'v>(&self, pair: &'v [Value]) -> Result<(&'v str, &'v str), HostsError> {
        match pair {
            [Value::String(certificate)] => Ok((certificate, certificate)),
            [Value::String(certificate), Value::String(key)] if key.is_empty() => {
                Ok((certificate, certificate))
            }
            [Value::String(certificate), Value::String(key)] => Ok((certificate, key)),
            _ => Err(self.wrong("an entry of \"client\" is no pair of a certificate and a key")),
        }
    }

    fn headers(&self, table: &Table) -> Result<Vec<(String, String)>, HostsError> {
        let mut headers = Vec::new();
        for (name, value) in table {
            let values = match value {
                Value::Array(values) => values.as_slice(),
                one => std::slice::from_ref(one),
            };
            for value in values {
                let text = value.as_str().filter(|text| !text.chars().any(char::is_control));
                let text =
                    text.ok_or_else(|| self.wrong(format!("the header {name:?} is no text of one line")))?;
                headers.push((name.clone(), text.to_owned()));
            }
        }
        Ok(headers)
    }

    fn wrong(&self, problem: impl Into<String>) -> HostsError {
        HostsError::Value { path: self.path.clone(), problem: problem.into() }
    }
}

impl Settings {
    fn can(&self, operation: Operation) -> bool {
        let wanted: &[&str] = match operation {
            Operation::Pull => &["pull", "resolve"],
            Operation::Push => &["push"],
        };
        match &self.capabilities {
            None => true,
            Some(has) => wanted.iter().all(|wanted| has.iter().any(|capability| capability == wanted)),
        }
    }
}

impl Operation {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
        }
    }
}
