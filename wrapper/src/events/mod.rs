//! What has happened to containers, images, volumes and networks.
//!
//! ```text
//! journal   the file that it is written to, by any number of processes at once
//! filters   which of them are wanted
//! reader    from a moment on, and on as it grows
//! ```
//!
//! A line of JSON for each event, in docker's form.

mod filters;
mod journal;
mod reader;

pub use filters::{EventFilterError, EventFilters};
pub use journal::{append, record};
pub use reader::{Follower, read};

use crate::container::Container;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

/// Why events cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    /// A file or directory.
    #[error("cannot {action} {path:?}")]
    Io {
        /// What was to be done.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// A system call.
    #[error(transparent)]
    System(#[from] mydocker_sys::Error),
}

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A container.
    Container,
    /// An image.
    Image,
    /// A volume.
    Volume,
    /// A network.
    Network,
}

impl Kind {
    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Image => "image",
            Self::Volume => "volume",
            Self::Network => "network",
        }
    }
}

/// Something that has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What it is about.
    pub kind: Kind,
    /// In docker's words: `create`, `start`, `die` ...
    pub action: String,
    /// Of what it is about; the name of a volume.
    pub id: String,
    /// What else there is to say: `name`, `image`, `exitCode` ...
    pub attributes: BTreeMap<String, String>,
}

impl Event {
    /// One about a container, with its name, its image and its labels.
    #[must_use]
    pub fn of(container: &Container, action: &str) -> Self {
        let mut attributes = container.config.image.labels.clone();
        attributes.insert("name".to_owned(), container.name.clone());
        if let Some(image) = &container.image {
            attributes.insert("image".to_owned(), image.name.clone());
        }
        Self { kind: Kind::Container, action: action.to_owned(), id: container.id.clone(), attributes }
    }

    /// One about something else.
    #[must_use]
    pub fn new(kind: Kind, action: &str, id: &str) -> Self {
        Self { kind, action: action.to_owned(), id: id.to_owned(), attributes: BTreeMap::new() }
    }

    /// The same with another attribute.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.attributes.insert(name.to_owned(), value.to_string());
        self
    }
}

/// An event as it is written, with docker's names; `status`, `id` and `from` are those of docker's older clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// What happened to a container or an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// To which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The container's image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What it is about.
    #[serde(rename = "Type")]
    pub kind: Kind,
    /// What happened.
    #[serde(rename = "Action")]
    pub action: String,
    /// To which, and what else there is to say.
    #[serde(rename = "Actor")]
    pub actor: Actor,
    /// Always `local`.
    pub scope: String,
    /// Seconds since 1970.
    pub time: i64,
    /// Nanoseconds since 1970.
    #[serde(rename = "timeNano")]
    pub time_nano: i64,
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Its id, or the name of a volume.
    #[serde(rename = "ID")]
    pub id: String,
    /// What else there is to say.
    #[serde(rename = "Attributes", default)]
    pub attributes: BTreeMap<String, String>,
}

impl Recorded {
    fn of(event: &Event, time_nano: i64) -> Self {
        let has_status = matches!(event.kind, Kind::Container | Kind::Image);
        let is_container = event.kind == Kind::Container;
        Self {
            status: has_status.then(|| event.action.clone()),
            id: has_status.then(|| event.id.clone()),
            from: event.attributes.get("image").filter(|_| is_container).cloned(),
            kind: event.kind,
            action: event.action.clone(),
            actor: Actor { id: event.id.clone(), attributes: event.attributes.clone() },
            scope: "local".to_owned(),
            time: time_nano.div_euclid(1_000_000_000),
            time_nano,
        }
    }
}

fn failed(action: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> EventsError {
    let path = path.to_owned();
    move |source| EventsError::Io { action, path, source }
}

#[cfg(test)]
mod tests;
