//! References: how people name images. The grammar and the naming rules are docker's (distribution/reference).

mod parse;

pub use parse::{Part, ReferenceError};

use crate::digest::Digest;
use std::fmt;

/// The registry that a name without a host means.
pub const DOCKER_HUB: &str = "docker.io";

/// The tag that a name with neither tag nor digest means.
pub const DEFAULT_TAG: &str = "latest";

/// The longest a name may be, host and repository together, in characters.
pub const NAME_LIMIT: usize = 255;

/// The name of an image in full: `docker.io/library/ubuntu:20.04`. Every part of it has been checked, so that it can be put
/// into a URL or a path as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    host: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// Parses what a person typed: `ubuntu` becomes `docker.io/library/ubuntu`. A tag is not added; see
    /// [`or_latest`](Self::or_latest).
    ///
    /// # Errors
    /// [`ReferenceError`] names the character that does not fit, and its position.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        parse::parse(text)
    }

    /// Whether `text` names no registry, so that it is left to the configuration which one is meant.
    #[must_use]
    pub fn is_short(text: &str) -> bool {
        parse::split_host(text).0.is_none()
    }

    /// The registry, with its port if one was given: `docker.io`, `localhost:5000`, `[::1]:5000`.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The name within the registry: `library/ubuntu`.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Host and repository: `docker.io/library/ubuntu`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.host, self.repository)
    }

    /// The tag, if one was given.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if one was given.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// With the tag `latest`, if it has neither tag nor digest.
    #[must_use]
    pub fn or_latest(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some(DEFAULT_TAG.to_owned());
        }
        self
    }

    /// The same repository with this digest, and without a tag.
    #[must_use]
    pub fn at(&self, digest: &Digest) -> Self {
        Self { tag: None, digest: Some(digest.clone()), ..self.clone() }
    }

    /// What a registry is asked for: the digest if there is one, else the tag, else `latest`.
    #[must_use]
    pub fn version(&self) -> &str {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.as_str(),
            (None, Some(tag)) => tag,
            (None, None) => DEFAULT_TAG,
        }
    }

    /// The name without tag and digest as docker shows it: `ubuntu`, `arm64v8/ubuntu`, `quay.io/podman/stable`.
    #[must_use]
    pub fn familiar_name(&self) -> String {
        if self.host != DOCKER_HUB {
            return self.name();
        }
        let library = self.repository.strip_prefix("library/").filter(|rest| !rest.contains('/'));
        let short = library.unwrap_or(&self.repository);
        // Hub may have what would be read as another registry's, or as an image's id.
        if Self::is_short(short) && !parse::is_id(short) { short.to_owned() } else { self.name() }
    }

    /// The reference as docker shows it: `ubuntu:20.04`.
    #[must_use]
    pub fn familiar(&self) -> String {
        self.with_version(self.familiar_name())
    }

    fn with_version(&self, mut name: String) -> String {
        if let Some(tag) = &self.tag {
            name.push(':');
            name.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            name.push('@');
            name.push_str(digest.as_str());
        }
        name
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.with_version(self.name()))
    }
}

impl std::str::FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests;
