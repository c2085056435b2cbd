//! Which networks are wanted.

use crate::network::Network;
use mydocker_img::cli::Moment;
use regex_lite::Regex;
use std::collections::BTreeSet;

/// Why a filter is none.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// It is not known.
    #[error(
        "invalid filter {0:?}; there are dangling=true or false, driver=DRIVER, id=ID, label=NAME[=VALUE], name=PATTERN, scope=local and type=builtin or custom"
    )]
    Unknown(String),
    /// It is known for other commands.
    #[error("invalid filter {0:?}; 'prune' has label=NAME[=VALUE], label!=NAME[=VALUE] and until=TIME")]
    NotForPrune(String),
}

/// Which networks are wanted.
#[derive(Debug)]
pub enum Filter {
    /// Whether no container has it.
    Dangling(bool),
    /// Its driver.
    Driver(String),
    /// The beginning of its id.
    Id(String),
    /// A label.
    Label {
        /// Its name.
        name: String,
        /// Its value, if that matters.
        value: Option<String>,
        /// Whether it should have it.
        wanted: bool,
    },
    /// Part of its name.
    Name(Regex),
    /// Where it is.
    Scope(String),
    /// Whether it was always there.
    Predefined(bool),
    /// Made before this moment.
    Until(Moment),
}

/// Parses filters of `ls`, or those of `prune`.
///
/// # Errors
/// [`FilterError`].
pub fn parse_all(texts: &[String], for_prune: bool) -> Result<Vec<Filter>, FilterError> {
    let parse = |text: &String| {
        let name = text.split('=').next().unwrap_or_default();
        let fits = !for_prune || matches!(name, "label" | "label!" | "until");
        if fits { Filter::parse(text, for_prune) } else { Err(FilterError::NotForPrune(text.clone())) }
    };
    texts.iter().map(parse).collect()
}

impl Filter {
    fn parse(text: &str, for_prune: bool) -> Result<Self, FilterError> {
        let bad = || match for_prune {
            true => FilterError::NotForPrune(text.to_owned()),
            false => FilterError::Unknown(text.to_owned()),
        };
        let (name, value) = text.split_once('=').ok_or_else(bad)?;
        match name {
            "dangling" => mydocker_cmdline::parse_bool(value).map(Self::Dangling).map_err(|_| bad()),
            "driver" => Ok(Self::Driver(value.to_owned())),
            "id" => Ok(Self::Id(value.to_owned())),
            "label" | "label!" => {
                let (label, value) =
                    value.split_once('=').map_or((value, None), |(label, value)| (label, Some(value)));
                let (label, value) = (label.to_owned(), value.map(str::to_owned));
                Ok(Self::Label { name: label, value, wanted: name == "label" })
            }
            "name" => Regex::new(value).map(Self::Name).map_err(|_| bad()),
            "scope" => Ok(Self::Scope(value.to_owned())),
            "type" if value == "builtin" || value == "custom" => Ok(Self::Predefined(value == "builtin")),
            "until" if for_prune => until(value).map(Self::Until).ok_or_else(bad),
            _ => Err(bad()),
        }
    }

    /// Whether a network is wanted; `used` are the names of those that containers have.
    #[must_use]
    pub fn takes(&self, network: &Network, used: &BTreeSet<String>) -> bool {
        match self {
            Self::Dangling(wanted) => {
                let is_dangling = !network.is_predefined() && !used.contains(&network.name);
                is_dangling == *wanted
            }
            Self::Driver(driver) => network.driver == *driver,
            Self::Id(id) => network.id.starts_with(id.as_str()),
            Self::Label { name, value, wanted } => {
                let found = network.labels.get(name);
                let has = found.is_some_and(|found| value.as_ref().is_none_or(|value| value == found));
                has == *wanted
            }
            Self::Name(pattern) => pattern.is_match(&network.name),
            Self::Scope(scope) => scope == "local",
            Self::Predefined(wanted) => network.is_predefined() == *wanted,
            Self::Until(moment) => Moment::parse(&network.created).is_some_and(|created| created <= *moment),
        }
    }
}

/// A moment, seconds since 1970, or how long ago: `10m`, `1h30m`.
fn until(text: &str) -> Option<Moment> {
    if let Some(moment) = Moment::parse(text) {
        return Some(moment);
    }
    if let Ok(seconds) = text.parse() {
        return Some(Moment(seconds));
    }
    let (mut total, mut number) = (0i64, String::new());
    for c in text.chars() {
        if c.is_ascii_digit() {
            number.push(c);
            continue;
        }
        let unit = match c {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            _ => return None,
        };
        total = total.checked_add(number.parse::<i64>().ok()?.checked_mul(unit)?)?;
        number.clear();
    }
    (number.is_empty() && !text.is_empty()).then(|| Moment(Moment::now().0.saturating_sub(total)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(name: &str) -> Network {
        let mut network = Network::bridge(Vec::new());
        network.name = name.to_owned();
        network.id = "abc".to_owned();
        network.created = "2024-02-29T12:00:00.000000000Z".to_owned();
        network.labels.insert("tier".to_owned(), "front".to_owned());
        network
    }

    #[test]
    fn filters_choose_networks() {
        let used = BTreeSet::from(["used".to_owned()]);
        for (text, name, taken) in [
            ("name=sed$", "used", true),
            ("name=x", "used", false),
            ("dangling=true", "used", false),
            ("dangling=true", "idle", true),
            ("dangling=true", "bridge", false),
            ("type=builtin", "bridge", true),
            ("type=custom", "bridge", false),
            ("label=tier", "idle", true),
            ("label=tier=back", "idle", false),
            ("label!=tier=back", "idle", true),
            ("id=ab", "idle", true),
            ("driver=null", "idle", false),
            ("scope=local", "idle", true),
        ] {
            let filter = parse_all(&[text.to_owned()], false).expect(text);
            assert_eq!(filter[0].takes(&network(name), &used), taken, "{text} {name}");
        }
        for (text, taken) in [("until=2024-03-01T00:00:00Z", true), ("until=1h30m", true), ("until=5", false)]
        {
            let filter = parse_all(&[text.to_owned()], true).expect(text);
            assert_eq!(filter[0].takes(&network("idle"), &used), taken, "{text}");
        }
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for text in ["x", "x=y", "dangling=maybe", "type=none", "name=[", "until=1h"] {
            assert!(parse_all(&[text.to_owned()], false).is_err(), "{text}");
        }
        for text in ["name=x", "until=1", "until=1x", "until="] {
            assert_eq!(parse_all(&[text.to_owned()], true).is_err(), text != "until=1", "{text}");
        }
    }
}
