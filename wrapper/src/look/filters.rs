//! Which containers are wanted: docker's `--filter`. Those of one name are alternatives, but for labels; those of different
//! names have to hold together.

use super::status::is_up;
use super::{Listed, ports};
use crate::container::{HealthStatus, Status};
use mydocker_img::reference::Reference;
use regex_lite::Regex;
use std::collections::BTreeMap;

/// The filters that there are.
const KNOWN: &str = "ancestor, before, exited, expose, health, id, is-task, label, name, network, publish, since, status, volume";

/// Why a filter is none.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// It has another form.
    #[error("filter {0:?} has no '='; a filter is NAME=VALUE")]
    Form(String),
    /// There is no filter of this name.
    #[error("invalid filter {0:?}; there are {KNOWN}")]
    Name(String),
    /// Its value does not fit.
    #[error("invalid filter '{name}={value}'; {hint}")]
    Value {
        /// Its name.
        name: String,
        /// What was typed.
        value: String,
        /// What would fit.
        hint: &'static str,
    },
    /// No container of this name or id.
    #[error("invalid filter '{name}={value}': No such container: {value}")]
    Container {
        /// `before` or `since`.
        name: String,
        /// What was typed.
        value: String,
    },
}

/// An image that containers were made from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ancestor {
    /// As it was typed.
    pub text: String,
    /// The digest of its configuration, if it is in the store.
    pub id: Option<String>,
    /// Its layers, if it is in the store: what was made from it has them below its own.
    pub layers: Vec<String>,
}

/// Filters as they were typed, understood.
#[derive(Debug, Default)]
pub struct Filters {
    /// Each with its alternatives.
    groups: BTreeMap<String, Vec<Filter>>,
}

#[derive(Debug)]
enum Filter {
    Id(String),
    Name(Regex),
    Label(String, Option<String>),
    Status(Status),
    Exited(i32),
    Ancestor(Ancestor),
    Before(String),
    Since(String),
    Volume(String),
    Network(String),
    Publish(u16, u16, String),
    Expose(u16, u16, String),
    Health(Option<HealthStatus>),
    IsTask(bool),
}

impl Filters {
    /// Understands what was typed. `all` are the containers that `before` and `since` may name; `ancestor` looks an image
    /// up.
    ///
    /// # Errors
    /// [`FilterError`].
    pub fn parse(
        texts: &[String],
        all: &[Listed],
        ancestor: impl Fn(&str) -> Ancestor,
    ) -> Result<Self, FilterError> {
        let mut groups: BTreeMap<String, Vec<Filter>> = BTreeMap::new();
        for text in texts {
            let (name, value) = text.split_once('=').ok_or_else(|| FilterError::Form(text.clone()))?;
            let filter = parse(name.trim(), value, all, &ancestor)?;
            // Each label is a demand of its own.
            let group = if name == "label" { text.clone() } else { name.trim().to_owned() };
            groups.entry(group).or_default().push(filter);
        }
        Ok(Self { groups })
    }

    /// Whether a container is wanted.
    #[must_use]
    pub fn take(&self, listed: &Listed) -> bool {
        self.groups.values().all(|alternatives| alternatives.iter().any(|filter| filter.takes(listed)))
    }

    /// Whether one is about the status: containers that are not up are looked at as well then.
    #[must_use]
    pub fn ask_for_status(&self) -> bool {
        self.groups.contains_key("status")
    }
}

fn parse(
    name: &str,
    value: &str,
    all: &[Listed],
    ancestor: impl Fn(&str) -> Ancestor,
) -> Result<Filter, FilterError> {
    let bad = |hint| move || FilterError::Value { name: name.to_owned(), value: value.to_owned(), hint };
    let range = || ports::parse_range(value).ok_or_else(bad("it is PORT[-PORT][/PROTOCOL]"));
    Ok(match name {
        "id" => Filter::Id(value.to_owned()),
        "name" => {
            let pattern = Regex::new(value).map_err(|_| bad("it is no regular expression")())?;
            Filter::Name(pattern)
        }
        "label" => {
            let (name, value) =
                value.split_once('=').map_or((value, None), |(name, value)| (name, Some(value)));
            Filter::Label(name.to_owned(), value.map(str::to_owned))
        }
        "status" => {
            Filter::Status(parse_status(value).ok_or_else(bad(
                "there are created, restarting, running, removing, paused, exited and dead",
            ))?)
        }
        "exited" => Filter::Exited(value.parse().map_err(|_| bad("it is an exit status")())?),
        "ancestor" => Filter::Ancestor(ancestor(value)),
        "before" | "since" => {
            let found = find(all, value)
                .ok_or_else(|| FilterError::Container { name: name.to_owned(), value: value.to_owned() })?;
            let created = found.container.created.clone();
            if name == "before" { Filter::Before(created) } else { Filter::Since(created) }
        }
        "volume" => Filter::Volume(value.to_owned()),
        "network" => Filter::Network(value.to_owned()),
        "publish" => range().map(|(first, last, protocol)| Filter::Publish(first, last, protocol))?,
        "expose" => range().map(|(first, last, protocol)| Filter::Expose(first, last, protocol))?,
        "health" => Filter::Health(match value {
            "none" => None,
            "starting" => Some(HealthStatus::Starting),
            "healthy" => Some(HealthStatus::Healthy),
            "unhealthy" => Some(HealthStatus::Unhealthy),
            _ => return Err(bad("there are starting, healthy, unhealthy and none")()),
        }),
        "is-task" => {
            Filter::IsTask(mydocker_cmdline::parse_bool(value).map_err(|_| bad("it is true or false")())?)
        }
        _ => return Err(FilterError::Name(name.to_owned())),
    })
}

fn parse_status(word: &str) -> Option<Status> {
    use Status::{Created, Dead, Exited, Paused, Removing, Restarting, Running};
    let all = [Created, Restarting, Running, Removing, Paused, Exited, Dead];
    all.into_iter().find(|status| super::status::word(*status) == word)
}

/// By name, by id, by the beginning of an id that no other has.
fn find<'a>(all: &'a [Listed], wanted: &str) -> Option<&'a Listed> {
    let name = wanted.strip_prefix('/').unwrap_or(wanted);
    let named = all.iter().find(|one| one.container.name == name || one.container.id == name);
    named.or_else(|| {
        let mut fitting = all.iter().filter(|one| !name.is_empty() && one.container.id.starts_with(name));
        fitting.next().filter(|_| fitting.next().is_none())
    })
}

impl Filter {
    fn takes(&self, listed: &Listed) -> bool {
        let Listed { container, state } = listed;
        match self {
            Self::Id(id) => container.id.starts_with(id),
            // Docker's names begin with a slash, which patterns may have or not.
            Self::Name(pattern) => {
                pattern.is_match(&container.name) || pattern.is_match(&format!("/{}", container.name))
            }
            Self::Label(name, wanted) => {
                let value = listed.labels().get(name);
                value.is_some_and(|value| wanted.as_ref().is_none_or(|wanted| wanted == value))
            }
            Self::Status(status) => state.status == *status,
            Self::Exited(code) => {
                !is_up(state.status) && state.finished_at.is_some() && state.exit_code == *code
            }
            Self::Ancestor(ancestor) => ancestor.has(listed),
            Self::Before(moment) => container.created < *moment,
            Self::Since(moment) => container.created > *moment,
            Self::Volume(wanted) => container.mounts.iter().any(|mount| {
                mount.name.as_deref() == Some(wanted)
                    || mount.source.as_os_str() == wanted.as_str()
                    || mount.destination.as_os_str() == wanted.as_str()
            }),
            Self::Network(name) => listed.networks().contains(name),
            Self::Publish(first, last, protocol) => container
                .host_config
                .port_bindings
                .iter()
                .any(|port| port.protocol == *protocol && (first..=last).contains(&&port.container_port)),
            Self::Expose(first, last, protocol) => exposes(listed, *first, *last, protocol),
            Self::Health(health) => state.health.as_ref().map(|health| health.status) == *health,
            // There are no services, whose containers tasks would be.
            Self::IsTask(wanted) => !wanted,
        }
    }
}

fn exposes(listed: &Listed, first: u16, last: u16, protocol: &str) -> bool {
    let exposed = listed.container.config.image.exposed_ports.keys();
    let mut exposed = exposed.filter_map(|port| ports::parse_range(port));
    let published = &listed.container.host_config.port_bindings;
    exposed.any(|(from, to, of)| of == protocol && from <= last && to >= first)
        || published
            .iter()
            .any(|port| port.protocol == protocol && (first..=last).contains(&port.container_port))
}

impl Ancestor {
    fn has(&self, listed: &Listed) -> bool {
        use crate::container::Root;
        let Some(image) = &listed.container.image else { return false };
        let name = |text: &str| Reference::parse(text).map(Reference::or_latest).ok();
        let is_named = name(&self.text).is_some_and(|wanted| name(&image.name) == Some(wanted));
        let hex = |id: &str| id.strip_prefix("sha256:").unwrap_or(id).to_owned();
        let is_id = self.text.len() >= 4 && hex(&image.id).starts_with(&hex(&self.text));
        let is_below = match &listed.container.root {
            Root::Layers(layers) => !self.layers.is_empty() && layers.starts_with(&self.layers),
            _ => false,
        };
        // A name that now stands for another image does not count for containers of the old one.
        match &self.id {
            Some(id) => image.id == *id || is_below,
            None => is_named || is_id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::{Health, ImageOf, PortBinding, Root};
    use crate::look::listed::tests::listed;
    use mydocker_img::digest::Digest;
    use mydocker_img::image::{Descriptor, MediaType};

    fn all() -> Vec<Listed> {
        let mut web = listed("web");
        web.state.status = Status::Running;
        web.state.health = Some(Health { status: HealthStatus::Healthy, ..Health::default() });
        web.container.created = "2024-05-01T12:00:01.000000000Z".to_owned();
        web.container.root = Root::Layers(vec!["sha256:1".to_owned(), "sha256:2".to_owned()]);
        let target = Descriptor::new(MediaType::OCI_MANIFEST, Digest::sha256(b"m"), 1);
        web.container.image =
            Some(ImageOf { name: "busybox".to_owned(), id: "sha256:abcdef".to_owned(), target });
        let labels = [("a".to_owned(), "b".to_owned()), ("c".to_owned(), String::new())];
        web.container.config.image.labels.extend(labels);
        web.container.config.image.exposed_ports.insert("443".to_owned(), serde_json::json!({}));
        let published = PortBinding {
            container_port: 80,
            protocol: "tcp".to_owned(),
            host_ip: None,
            host_port: Some(8080),
            last_host_port: None,
        };
        web.container.host_config.port_bindings.push(published);
        let mut db = listed("db");
        db.state.status = Status::Exited;
        db.state.exit_code = 3;
        db.state.finished_at = Some("2024-05-01T12:10:00Z".to_owned());
        db.container.host_config.network_mode = "host".to_owned();
        vec![web, db, listed("web-old")]
    }

    fn chosen(texts: &[&str]) -> Vec<String> {
        let all = all();
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        let ancestor = |text: &str| match text {
            "base" => Ancestor {
                text: text.to_owned(),
                id: Some("sha256:0".to_owned()),
                layers: vec!["sha256:1".to_owned()],
            },
            _ => Ancestor { text: text.to_owned(), ..Ancestor::default() },
        };
        let filters = Filters::parse(&texts, &all, ancestor).expect("filters");
        all.iter().filter(|one| filters.take(one)).map(|one| one.container.name.clone()).collect()
    }

    #[test]
    fn filters_are_docker_s() {
        for (texts, names) in [
            (&["name=web"][..], &["web", "web-old"][..]),
            (&["name=^/web$"], &["web"]),
            (&["name=^(db|web)$"], &["web", "db"]),
            (&["id=776562"], &["web", "web-old"]),
            (&["status=running", "status=exited"], &["web", "db"]),
            (&["status=exited", "name=web"], &[]),
            (&["label=a=b", "label=c"], &["web"]),
            (&["label=a=b", "label=d"], &[]),
            (&["label=a=c"], &[]),
            (&["exited=3"], &["db"]),
            (&["exited=0"], &[]),
            (&["ancestor=docker.io/library/busybox:latest"], &["web"]),
            (&["ancestor=abcdef"], &["web"]),
            (&["ancestor=base"], &["web"]),
            (&["ancestor=other"], &[]),
            (&["before=web"], &["db", "web-old"]),
            (&["since=db"], &["web"]),
            (&["network=host"], &["db"]),
            (&["publish=80"], &["web"]),
            (&["publish=70-90/tcp"], &["web"]),
            (&["publish=80/udp"], &[]),
            (&["expose=443/tcp"], &["web"]),
            (&["expose=80"], &["web"]),
            (&["health=healthy"], &["web"]),
            (&["health=none"], &["db", "web-old"]),
            (&["is-task=true"], &[]),
            (&["is-task=false", "name=db"], &["db"]),
        ] {
            assert_eq!(chosen(texts), names, "{texts:?}");
        }
    }

    #[test]
    fn what_is_no_filter_is_named() {
        for (text, part) in [
            ("running", "no '='"),
            ("colour=red", "\"colour\"; there are ancestor,"),
            ("status=up", "created, restarting"),
            ("exited=x", "exit status"),
            ("before=nobody", "No such container: nobody"),
            ("publish=x", "PORT"),
            ("health=good", "starting"),
            ("name=(", "regular expression"),
        ] {
            let error = Filters::parse(&[text.to_owned()], &all(), |_| Ancestor::default());
            let error = error.expect_err(text).to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
