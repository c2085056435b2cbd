//! `--filter`: which images are meant.

use super::listing::Listed;
use super::local::{FindError, find};
use crate::cli::Moment;
use crate::reference::Reference;
use crate::store::{Store, StoreError};

/// Why a filter is none.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// It is not known here.
    #[error("filter {filter:?} is not supported; there are {known}")]
    Unknown {
        /// What was typed.
        filter: String,
        /// What could be.
        known: &'static str,
    },
    /// Its time is none.
    #[error(
        "filter {0:?} has no time that can be read; one such as 2024-02-29T12:00:00Z, 2024-02-29, 24h or 1700000000 is"
    )]
    Time(String),
    /// The image that others are compared with is not found.
    #[error("filter {filter:?} names no image")]
    Image {
        /// What was typed.
        filter: String,
        /// Why not.
        source: FindError,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What all of must hold; of several names one.
#[derive(Debug, Default)]
pub(super) struct Filters {
    references: Vec<String>,
    others: Vec<Filter>,
}

#[derive(Debug)]
enum Filter {
    Label { name: String, value: Option<String>, is_there: bool },
    Dangling(bool),
    Before(Option<Moment>),
    Since(Option<Moment>),
}

/// The filters of a list.
pub(super) const LIST: &str =
    "reference=PATTERN, label=NAME[=VALUE], dangling=true or false, before=IMAGE, since=IMAGE and until=TIME";

/// The filters of what is removed.
pub(super) const PRUNE: &str = "until=TIME, label=NAME[=VALUE] and label!=NAME[=VALUE]";

impl Filters {
    /// Reads filters of which `known` tells; images that others are compared with are looked up in `store`.
    pub(super) fn parse(texts: &[String], known: &'static str, store: &Store) -> Result<Self, FilterError> {
        let mut filters = Self::default();
        for text in texts {
            let unknown = || FilterError::Unknown { filter: text.clone(), known };
            let (name, value) = text.split_once('=').ok_or_else(unknown)?;
            if !known.split([' ', ',']).any(|word| word.split('=').next() == Some(name)) {
                let is_negated = name == "label!" && known == PRUNE;
                if !is_negated {
                    return Err(unknown());
                }
            }
            match (name, value) {
                ("reference", pattern) => filters.references.push(pattern.to_owned()),
                ("label", label) => filters.others.push(Filter::label(label, true)),
                ("label!", label) => filters.others.push(Filter::label(label, false)),
                ("dangling", "true" | "1") => filters.others.push(Filter::Dangling(true)),
                ("dangling", "false" | "0") => filters.others.push(Filter::Dangling(false)),
                ("before", image) => filters.others.push(Filter::Before(created(store, image, text)?)),
                ("since", image) => filters.others.push(Filter::Since(created(store, image, text)?)),
                ("until", time) => {
                    let time = Moment::parse_any(time, Moment::now());
                    let time = time.ok_or_else(|| FilterError::Time(text.clone()))?;
                    filters.others.push(Filter::Before(Some(time)));
                }
                _ => return Err(unknown()),
            }
        }
        Ok(filters)
    }

    /// Also demands that the name fits.
    pub(super) fn named(mut self, pattern: Option<&str>) -> Self {
        self.references.extend(pattern.map(str::to_owned));
        self
    }

    /// Whether an image is meant.
    pub(super) fn take(&self, listed: &Listed) -> bool {
        let is_named = |pattern: &String| listed.name.as_ref().is_some_and(|name| is_called(pattern, name));
        (self.references.is_empty() || self.references.iter().any(is_named))
            && self.others.iter().all(|filter| filter.takes(listed))
    }
}

fn created(store: &Store, image: &str, filter: &str) -> Result<Option<Moment>, FilterError> {
    let found =
        find(store, image).map_err(|source| FilterError::Image { filter: filter.to_owned(), source })?;
    let image = store.image(&found.target)?;
    Ok(image.config.created.as_deref().and_then(Moment::of_image))
}

impl Filter {
    fn label(text: &str, is_there: bool) -> Self {
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        Self::Label { name: name.to_owned(), value: value.map(str::to_owned), is_there }
    }

    fn takes(&self, listed: &Listed) -> bool {
        match self {
            Self::Label { name, value, is_there } => {
                let found = listed.image.config.config.labels.get(name);
                let fits = found.is_some_and(|found| value.as_ref().is_none_or(|wanted| wanted == found));
                fits == *is_there
            }
            Self::Dangling(wanted) => listed.name.is_none() == *wanted,
            // An image that does not say when it was made is older than any that does.
            Self::Before(moment) => listed.created < *moment,
            Self::Since(moment) => listed.created > *moment,
        }
    }
}

fn is_called(pattern: &str, name: &Reference) -> bool {
    let texts = [name.familiar(), name.familiar_name(), name.to_string(), name.name()];
    texts.iter().any(|text| matches(pattern, text))
}

/// A pattern in which `*` is any text without a slash, and `?` any one character but a slash.
fn matches(pattern: &str, text: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => text.is_empty(),
        Some('*') => {
            let end = text.find('/').unwrap_or(text.len());
            (0..=end).filter(|at| text.is_char_boundary(*at)).any(|at| matches(rest.as_str(), &text[at..]))
        }
        Some(wanted) => {
            let mut text = text.chars();
            let found = text.next();
            let fits =
                if wanted == '?' { found.is_some_and(|found| found != '/') } else { found == Some(wanted) };
            fits && matches(rest.as_str(), text.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_do_not_cross_slashes() {
        for (pattern, text, fits) in [
            ("ubuntu", "ubuntu", true),
            ("ub*", "ubuntu:20.04", true),
            ("*/ubuntu:2?.04", "arm64v8/ubuntu:20.04", true),
            ("*ubuntu", "arm64v8/ubuntu", false),
            ("?", "/", false),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn what_is_no_filter_is_told_with_those_that_there_are() {
        let place = tempfile::tempdir().expect("a directory");
        let store = Store::open(place.path()).expect("a store");
        let refusal = |text: &str, known| {
            Filters::parse(&[text.to_owned()], known, &store).expect_err(text).to_string()
        };
        assert!(refusal("nothing=x", LIST).contains("before=IMAGE"));
        assert!(refusal("label", LIST).contains("label=NAME"));
        assert!(refusal("dangling=perhaps", LIST).contains("dangling=true"));
        assert!(refusal("before=x", PRUNE).contains("until=TIME"));
        assert!(refusal("until=yesterday", PRUNE).contains("24h"));
        assert!(refusal("before=x", LIST).contains("names no image"));
        assert!(refusal("IMAGE=x", LIST).contains("not supported"));
        Filters::parse(&["label!=a=b".to_owned(), "until=24h".to_owned()], PRUNE, &store).expect("filters");
    }
}
