//! `registries.conf`, version 2, as podman, buildah and skopeo read it (containers-registries.conf(5)).

use super::{HostsError, Operation, read};
use crate::cli::Environment;
use crate::reference::{DOCKER_HUB, Reference};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What all the files say together; of two that set the same thing the later one counts.
#[derive(Debug, Default)]
pub struct RegistriesConf {
    registries: Vec<Registry>,
    aliases: BTreeMap<String, String>,
    search: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    #[serde(default)]
    registry: Vec<Registry>,
    #[serde(default)]
    aliases: BTreeMap<String, String>,
    unqualified_search_registries: Option<Vec<String>>,
    /// Version 1 of the format had its lists below this.
    registries: Option<toml::Table>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Registry {
    prefix: Option<String>,
    location: Option<String>,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    mirror_by_digest_only: bool,
    #[serde(default)]
    mirror: Vec<Mirror>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Mirror {
    location: String,
    #[serde(default)]
    insecure: bool,
    pull_from_mirror: Option<String>,
}

/// Where an image may lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Location {
    pub host: String,
    pub repository: String,
    pub insecure: bool,
}

/// The files that podman reads: the user's or the host's, then the additions of `registries.conf.d`.
pub(super) fn usual_files(environment: &Environment) -> Vec<PathBuf> {
    if let Some(file) = &environment.registries_conf {
        return vec![file.clone()];
    }
    let own = environment.config_home().map(|directory| directory.join("containers"));
    let shared = PathBuf::from("/etc/containers");
    let main = own.iter().map(|directory| directory.join("registries.conf")).find(|path| path.is_file());
    let mut files = vec![main.unwrap_or_else(|| shared.join("registries.conf"))];
    for directory in [Some(shared), own].into_iter().flatten() {
        let entries = std::fs::read_dir(directory.join("registries.conf.d"));
        let mut additions: Vec<_> =
            entries.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        additions.retain(|path| path.extension().is_some_and(|extension| extension == "conf"));
        additions.sort();
        files.extend(additions);
    }
    files
}

impl RegistriesConf {
    /// Reads the files that exist.
    ///
    /// # Errors
    /// [`HostsError`]: a file cannot be read or understood.
    pub fn load(files: &[PathBuf]) -> Result<Self, HostsError> {
        let mut all = Self::default();
        for path in files {
            if let Some(text) = read(path)? {
                all.add(path, &text)?;
            }
        }
        Ok(all)
    }

    /// Adds the content of one file.
    ///
    /// # Errors
    /// [`HostsError`]: it cannot be understood, or is of version 1.
    pub fn add(&mut self, path: &std::path::Path, text: &str) -> Result<(), HostsError> {
        let file: File = toml::from_str(text)
            .map_err(|source| HostsError::Toml { path: path.to_owned(), source: Box::new(source) })?;
        if file.registries.is_some() {
            let problem =
                "it is of version 1, which is not supported; see containers-registries.conf(5) for version 2";
            return Err(HostsError::Value { path: path.to_owned(), problem: problem.to_owned() });
        }
        for registry in file.registry {
            if registry.prefix.is_none() && registry.location.is_none() {
                let problem = "a [[registry]] has neither a prefix nor a location".to_owned();
                return Err(HostsError::Value { path: path.to_owned(), problem });
            }
            let key = registry.key().to_owned();
            self.registries.retain(|other| other.key() != key);
            self.registries.push(registry);
        }
        self.aliases.extend(file.aliases);
        if let Some(search) = file.unqualified_search_registries {
            self.search = search;
        }
        Ok(())
    }

    /// What a name without a host stands for, if that is configured: an alias, or the one registry where such names are
    /// looked for. Docker Hub, where they belong by docker's rule, goes before all others; what could mean several
    /// registries is not tried out, for the first to have the name could be anybody.
    ///
    /// # Errors
    /// [`HostsError::Ambiguous`].
    pub(super) fn long_name(&self, text: &str) -> Result<Option<String>, HostsError> {
        let end = text.find([':', '@']).unwrap_or(text.len());
        let (name, version) = text.split_at(end);
        if let Some(long) = self.aliases.get(name).filter(|long| !long.is_empty()) {
            return Ok(Some(format!("{long}{version}")));
        }
        match self.search.as_slice() {
            [] => Ok(None),
            several if several.iter().any(|host| host == DOCKER_HUB) => Ok(None),
            [one] => Ok(Some(format!("{one}/{text}"))),
            several => Err(HostsError::Ambiguous { name: text.to_owned(), candidates: several.join(", ") }),
        }
    }

    /// Refuses what is blocked.
    ///
    /// # Errors
    /// [`HostsError::Blocked`].
    pub(super) fn check_blocked(&self, reference: &Reference) -> Result<(), HostsError> {
        match self.find(reference) {
            Some(registry) if registry.blocked => Err(HostsError::Blocked(registry.key().to_owned())),
            _ => Ok(()),
        }
    }

    /// Where an image may lie: the mirrors in their order, then the registry itself.
    pub(super) fn locations(&self, reference: &Reference, operation: Operation) -> Vec<Location> {
        let plain = Location {
            host: reference.host().to_owned(),
            repository: reference.repository().to_owned(),
            insecure: false,
        };
        let Some(registry) = self.find(reference) else { return vec![plain] };
        let mut locations = Vec::new();
        if operation == Operation::Pull {
            let mirrors = registry.mirror.iter().filter(|mirror| registry.takes(mirror, reference));
            locations
                .extend(mirrors.map(|mirror| registry.moved(reference, &mirror.location, mirror.insecure)));
        }
        locations.push(match &registry.location {
            Some(location) => registry.moved(reference, location, registry.insecure),
            None => Location { insecure: registry.insecure, ..plain },
        });
        locations
    }

    /// The registry with the longest prefix that fits.
    fn find(&self, reference: &Reference) -> Option<&Registry> {
        let name = reference.name();
        let fitting = self.registries.iter().filter(|registry| registry.fits(reference.host(), &name));
        fitting.max_by_key(|registry| registry.key().len())
    }
}

impl Registry {
    fn key(&self) -> &str {
        self.prefix.as_deref().or(self.location.as_deref()).unwrap_or_default()
    }

    /// A prefix ends where a part of the name ends; `*.example.com` stands for every host below it.
    fn fits(&self, host: &str, name: &str) -> bool {
        let key = self.key();
        match key.strip_prefix('*') {
            Some(domain) => {
                let bare = host.split(':').next().unwrap_or_default();
                domain.starts_with('.') && bare.len() > domain.len() && bare.ends_with(domain)
            }
            None => name.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        }
    }

    fn takes(&self, mirror: &Mirror, reference: &Reference) -> bool {
        let by_digest = reference.digest().is_some();
        match mirror.pull_from_mirror.as_deref() {
            Some("digest-only") => by_digest,
            Some("tag-only") => !by_digest,
            _ => by_digest || !self.mirror_by_digest_only,
        }
    }

    /// The image below another location: the prefix is replaced, and the rest of the name stays.
    fn moved(&self, reference: &Reference, location: &str, insecure: bool) -> Location {
        let name = reference.name();
        let prefix = if self.key().starts_with('*') { reference.host() } else { self.key() };
        let rest = name.strip_prefix(prefix).unwrap_or_default();
        let moved = format!("{}{rest}", location.trim_end_matches('/'));
        let (host, repository) = moved.split_once('/').unwrap_or((&moved, ""));
        Location { host: host.to_owned(), repository: repository.to_owned(), insecure }
    }
}
