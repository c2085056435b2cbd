//! The grammar: `[host[:port]/]component[/component]...[:tag][@digest]`.

use super::{DOCKER_HUB, NAME_LIMIT, Reference};
use crate::digest::{Digest, DigestError};
use std::fmt;

/// A part of a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The registry.
    Host,
    /// The registry's port.
    Port,
    /// The name within the registry.
    Repository,
    /// The tag.
    Tag,
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Host => "host",
            Self::Port => "port",
            Self::Repository => "repository",
            Self::Tag => "tag",
        })
    }
}

/// A text that names no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// There is nothing.
    #[error("an image's name is empty")]
    Empty,
    /// A character that cannot be where it is.
    #[error("{text:?} names no image: {character:?} at position {position} cannot be in its {part} ({rule})")]
    Character {
        /// What was typed.
        text: String,
        /// The character.
        character: char,
        /// Where it is, in characters, counted from 1.
        position: usize,
        /// The part of the name.
        part: Part,
        /// What may be there.
        rule: &'static str,
    },
    /// It is the address of something.
    #[error("{text:?} names no image: a name has no {scheme:?} before it; leave that out")]
    Scheme {
        /// What was typed.
        text: String,
        /// What it begins with.
        scheme: String,
    },
    /// A part is missing.
    #[error("{text:?} names no image: its {part} is empty at position {position}")]
    Missing {
        /// What was typed.
        text: String,
        /// The part of the name.
        part: Part,
        /// Where it should begin, in characters, counted from 1.
        position: usize,
    },
    /// A part is too long.
    #[error("{text:?} names no image: its {part} has {found} characters; {limit} are allowed")]
    Long {
        /// What was typed, or its beginning.
        text: String,
        /// The part of the name.
        part: Part,
        /// The characters that it has.
        found: usize,
        /// The characters that it may have.
        limit: usize,
    },
    /// What looks like an image's id cannot be the name of a repository.
    #[error("{0:?} is an image's id, and an id is in no registry")]
    Id(String),
    /// The digest is none.
    #[error("{text:?} names no image")]
    Digest {
        /// What was typed.
        text: String,
        /// Why.
        source: DigestError,
    },
}

const HOST_RULE: &str = "letters, digits, '-' and '.' are allowed";
const PORT_RULE: &str = "a port is a number";
const REPOSITORY_RULE: &str = "lower-case letters and digits are allowed, joined by '.', '_', '__' or '-'";
const TAG_RULE: &str = "letters, digits, '_', '.' and '-' are allowed, and the first is neither '.' nor '-'";
const TAG_LIMIT: usize = 128;

/// What is parsed, and where each part of it lies: parts are slices of the whole.
struct Source<'a> {
    text: &'a str,
}

pub(super) fn parse(text: &str) -> Result<Reference, ReferenceError> {
    if text.is_empty() {
        return Err(ReferenceError::Empty);
    }
    if let Some((scheme, _)) = text.split_once("://") {
        return Err(ReferenceError::Scheme { text: text.to_owned(), scheme: format!("{scheme}://") });
    }
    let source = Source { text };
    let (name, digest) = match text.split_once('@') {
        Some((name, digest)) => (name, Some(source.digest(digest)?)),
        None => (text, None),
    };
    let (name, tag) = split_tag(name);
    if let Some(tag) = tag {
        source.check_tag(tag)?;
    }
    let (host, repository) = split_host(name);
    if let Some(host) = host {
        source.check_host(host)?;
    }
    source.check_repository(repository)?;
    if host.is_none() && is_id(repository) {
        return Err(ReferenceError::Id(text.to_owned()));
    }
    let (host, repository) = normal(host, repository);
    if host == DOCKER_HUB && is_algorithm(&repository) {
        return Err(ReferenceError::Id(text.to_owned()));
    }
    let found = host.len() + 1 + repository.len();
    if found > NAME_LIMIT {
        let text = text.chars().take(NAME_LIMIT).collect();
        return Err(ReferenceError::Long { text, part: Part::Repository, found, limit: NAME_LIMIT });
    }
    Ok(Reference { host, repository, tag: tag.map(str::to_owned), digest })
}

/// The tag follows the last colon, unless a slash comes after it: then the colon is a port's.
fn split_tag(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once(':') {
        Some((before, tag)) if !tag.contains('/') => (before, Some(tag)),
        _ => (name, None),
    }
}

/// docker's rule: what is before the first slash is a host if it has a dot, a colon or an upper-case letter, or is
/// `localhost`.
pub(super) fn split_host(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        Some((first, rest)) if is_host(first) => (Some(first), rest),
        _ => (None, name),
    }
}

fn is_host(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first.chars().any(|c| c.is_ascii_uppercase())
}

pub(super) fn is_id(repository: &str) -> bool {
    repository.len() == 64 && repository.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What would be shown as the beginning of an id: an archive could call its image by the id of another.
fn is_algorithm(repository: &str) -> bool {
    matches!(repository, "library/sha256" | "library/sha512")
}

fn normal(host: Option<&str>, repository: &str) -> (String, String) {
    let host = match host {
        None | Some("index.docker.io") => DOCKER_HUB,
        Some(host) => host,
    };
    let library = host == DOCKER_HUB && !repository.contains('/');
    (host.to_owned(), format!("{}{repository}", if library { "library/" } else { "" }))
}

impl Source<'_> {
    /// Where `part`, a slice of the text, begins: in characters, counted from 1.
    fn position(&self, part: &str) -> usize {
        let offset = part.as_ptr().addr().saturating_sub(self.text.as_ptr().addr());
        self.text.get(..offset).map_or(0, |before| before.chars().count()) + 1
    }

    fn missing(&self, part: Part, slice: &str) -> ReferenceError {
        ReferenceError::Missing { text: self.text.to_owned(), part, position: self.position(slice) }
    }

    /// The error about the character that `slice` begins with.
    fn character(&self, part: Part, slice: &str, rule: &'static str) -> ReferenceError {
        match slice.chars().next() {
            None => self.missing(part, slice),
            Some(character) => ReferenceError::Character {
                text: self.text.to_owned(),
                character,
                position: self.position(slice),
                part,
                rule,
            },
        }
    }

    fn check(
        &self,
        part: Part,
        slice: &str,
        rule: &'static str,
        allowed: fn(char) -> bool,
    ) -> Result<(), ReferenceError> {
        match slice.find(|c| !allowed(c)) {
            Some(at) => Err(self.character(part, &slice[at..], rule)),
            None if slice.is_empty() => Err(self.missing(part, slice)),
            None => Ok(()),
        }
    }

    fn digest(&self, digest: &str) -> Result<Digest, ReferenceError> {
        Digest::parse(digest).map_err(|source| ReferenceError::Digest { text: self.text.to_owned(), source })
    }

    fn check_tag(&self, tag: &str) -> Result<(), ReferenceError> {
        if tag.starts_with(['.', '-']) {
            return Err(self.character(Part::Tag, tag, TAG_RULE));
        }
        self.check(Part::Tag, tag, TAG_RULE, |c| c.is_ascii_alphanumeric() || "_.-".contains(c))?;
        if tag.len() > TAG_LIMIT {
            let (text, found) = (self.text.to_owned(), tag.len());
            return Err(ReferenceError::Long { text, part: Part::Tag, found, limit: TAG_LIMIT });
        }
        Ok(())
    }

    fn check_host(&self, host: &str) -> Result<(), ReferenceError> {
        let (name, port) = match host.strip_prefix('[') {
            Some(_) => self.check_ipv6(host)?,
            None => match host.split_once(':') {
                Some((name, port)) => (name, Some(port)),
                None => (host, None),
            },
        };
        if !name.starts_with('[') {
            self.check_host_name(name)?;
        }
        let Some(port) = port else { return Ok(()) };
        self.check(Part::Port, port, PORT_RULE, |c| c.is_ascii_digit())?;
        match port.parse::<u16>() {
            Ok(_) => Ok(()),
            Err(_) => Err(self.character(Part::Port, port, "a port is at most 65535")),
        }
    }

    fn check_host_name(&self, name: &str) -> Result<(), ReferenceError> {
        for label in name.split('.') {
            self.check(Part::Host, label, HOST_RULE, |c| c.is_ascii_alphanumeric() || c == '-')?;
            let edge = "a label begins and ends with a letter or a digit";
            if label.starts_with('-') {
                return Err(self.character(Part::Host, label, edge));
            }
            if label.ends_with('-') {
                return Err(self.character(Part::Host, &label[label.len() - 1..], edge));
            }
        }
        Ok(())
    }

    /// `[address]` and what follows the colon after it.
    fn check_ipv6<'h>(&self, host: &'h str) -> Result<(&'h str, Option<&'h str>), ReferenceError> {
        const RULE: &str = "an IPv6 address in brackets is expected";
        let Some(end) = host.find(']') else {
            return Err(self.character(Part::Host, host, RULE));
        };
        let (address, rest) = host.split_at(end + 1);
        if address[1..end].parse::<std::net::Ipv6Addr>().is_err() {
            return Err(self.character(Part::Host, &address[1..], RULE));
        }
        match rest.strip_prefix(':') {
            Some(port) => Ok((address, Some(port))),
            None if rest.is_empty() => Ok((address, None)),
            None => Err(self.character(Part::Host, rest, RULE)),
        }
    }

    fn check_repository(&self, repository: &str) -> Result<(), ReferenceError> {
        for component in repository.split('/') {
            self.check_component(component)?;
        }
        Ok(())
    }

    fn check_component(&self, component: &str) -> Result<(), ReferenceError> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        self.check(Part::Repository, component, REPOSITORY_RULE, allowed)?;
        let wrong = |at: usize| Err(self.character(Part::Repository, &component[at..], REPOSITORY_RULE));
        let bytes = component.as_bytes();
        let is_separator = |byte: u8| b"._-".contains(&byte);
        if is_separator(bytes[0]) {
            return wrong(0);
        }
        if is_separator(bytes[bytes.len() - 1]) {
            return wrong(bytes.len() - 1);
        }
        let mut start = 0;
        while let Some(at) = bytes[start..].iter().position(|byte| is_separator(*byte)) {
            let at = start + at;
            let length = bytes[at..].iter().take_while(|byte| is_separator(**byte)).count();
            let separator = &component[at..at + length];
            let whole = matches!(separator, "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-');
            if !whole {
                return wrong(at + 1);
            }
            start = at + length;
        }
        Ok(())
    }
}
