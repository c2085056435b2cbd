//! Which events are wanted: docker's `--filter`. Those of one name are alternatives, but for labels; those of different
//! names have to hold together.

use super::{Kind, Recorded};
use std::collections::BTreeMap;

/// Why a filter is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid filter {0:?}; there are container=, event=, image=, label=NAME[=VALUE], network=, type= and volume="
)]
pub struct EventFilterError(pub String);

/// Filters as they were typed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventFilters(BTreeMap<String, Vec<String>>);

impl EventFilters {
    /// Understands what was typed.
    ///
    /// # Errors
    /// [`EventFilterError`].
    pub fn parse(texts: &[String]) -> Result<Self, EventFilterError> {
        let mut filters: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for text in texts {
            let bad = || EventFilterError(text.clone());
            let (name, value) = text.split_once('=').ok_or_else(bad)?;
            if !["container", "event", "image", "label", "network", "type", "volume"].contains(&name) {
                return Err(bad());
            }
            // Each label is a demand of its own.
            let group = if name == "label" { text.as_str() } else { name };
            filters.entry(group.to_owned()).or_default().push(value.to_owned());
        }
        Ok(Self(filters))
    }

    /// Whether an event is wanted.
    #[must_use]
    pub fn take(&self, event: &Recorded) -> bool {
        self.0.iter().all(|(name, values)| {
            let name = name.split_once('=').map_or(name.as_str(), |(name, _)| name);
            values.iter().any(|value| takes(name, value, event))
        })
    }
}

fn takes(name: &str, value: &str, event: &Recorded) -> bool {
    let attribute = |name: &str| event.actor.attributes.get(name).map(String::as_str);
    let is_it = |kind: Kind| {
        event.kind == kind && (event.actor.id.starts_with(value) || attribute("name") == Some(value))
    };
    match name {
        "container" => is_it(Kind::Container) || attribute("container") == Some(value),
        // An exec says what it runs after a colon.
        "event" => {
            event.action == value || event.action.split_once(':').is_some_and(|(action, _)| action == value)
        }
        "image" => is_it(Kind::Image) || attribute("image") == Some(value),
        "label" => {
            let (label, wanted) =
                value.split_once('=').map_or((value, None), |(label, value)| (label, Some(value)));
            attribute(label).is_some_and(|found| wanted.is_none_or(|wanted| wanted == found))
        }
        "network" => is_it(Kind::Network),
        "type" => event.kind.name() == value,
        _ => is_it(Kind::Volume),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Event;

    #[test]
    fn filters_are_docker_s() {
        let event = Event::new(Kind::Container, "exec_start: sh -c x", "0123456789abcdef")
            .with("name", "web")
            .with("image", "busybox")
            .with("team", "red");
        let event = Recorded::of(&event, 5);
        for (texts, is_wanted) in [
            (&["container=web"][..], true),
            (&["container=01234567"], true),
            (&["container=db"], false),
            (&["container=db", "container=web"], true),
            (&["event=exec_start", "type=container"], true),
            (&["event=start"], false),
            (&["image=busybox"], true),
            (&["label=team=red"], true),
            (&["label=team", "label=other"], false),
            (&["volume=web"], false),
            (&["type=volume", "type=image"], false),
        ] {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            assert_eq!(EventFilters::parse(&texts).expect("filters").take(&event), is_wanted, "{texts:?}");
        }
        for text in ["start", "colour=red"] {
            assert_eq!(EventFilters::parse(&[text.to_owned()]), Err(EventFilterError(text.to_owned())));
        }
    }
}
