//! `images`: what is in the store, in docker's columns.

use crate::cli::{Context, ImagesArgs, Moment, Row, Template, TemplateError, human_size};
use crate::digest::Digest;
use crate::image::Descriptor;
use crate::reference::Reference;
use crate::store::{Image, Store, StoreError};
use mydocker_cmdline::{one_line, print};
use std::collections::HashMap;
use std::io;

/// The fields of a row, and the titles of their columns.
const TITLES: &[(&str, &str)] = &[
    ("Containers", "CONTAINERS"),
    ("CreatedAt", "CREATED AT"),
    ("CreatedSince", "CREATED"),
    ("Digest", "DIGEST"),
    ("ID", "IMAGE ID"),
    ("Repository", "REPOSITORY"),
    ("SharedSize", "SHARED SIZE"),
    ("Size", "SIZE"),
    ("Tag", "TAG"),
    ("UniqueSize", "UNIQUE SIZE"),
    ("VirtualSize", "SIZE"),
];

/// Why images cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum ImagesError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// `--format`.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// `--filter`.
    #[error(
        "filter {0:?} is not supported; there are reference=PATTERN, label=NAME[=VALUE] and dangling=true or false"
    )]
    Filter(String),
    /// Standard output.
    #[error("cannot write to standard output")]
    Output(#[from] io::Error),
}

/// Lists images, the newest first.
///
/// # Errors
/// [`ImagesError`].
pub fn images(args: &ImagesArgs, context: &Context) -> Result<(), ImagesError> {
    let filters = args.filter.iter().map(|text| Filter::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let known: Vec<_> = TITLES.iter().map(|(field, _)| *field).collect();
    let template = Template::parse(&format(args), &known)?;
    let store = context.store()?;
    let mut listed = list(&store)?;
    let name = args.name.clone().map(Filter::Reference);
    listed.retain(|one| filters.iter().chain(&name).all(|filter| filter.takes(one)));
    listed.sort_by(|one, other| other.created.cmp(&one.created).then_with(|| one.name.cmp(&other.name)));
    if args.quiet {
        listed.dedup_by(|one, other| one.image.id() == other.image.id());
    }
    let now = Moment::now();
    let rows: Vec<Row> = listed.iter().map(|one| one.row(&store, args, now)).collect();
    Ok(print(&template.render(TITLES, &rows)?)?)
}

fn format(args: &ImagesArgs) -> String {
    let table = match (&args.format, args.quiet, args.digests) {
        (Some(format), _, _) if format == "table" => "",
        (Some(format), _, _) => return format.clone(),
        (None, true, _) => return "{{.ID}}".to_owned(),
        (None, _, true) => "{{.Digest}}\\t",
        (None, _, false) => "",
    };
    format!(
        "table {{{{.Repository}}}}\\t{{{{.Tag}}}}\\t{table}{{{{.ID}}}}\\t{{{{.CreatedSince}}}}\\t{{{{.Size}}}}"
    )
}

struct Listed {
    name: Reference,
    target: Descriptor,
    image: Image,
    created: Option<Moment>,
}

/// Reads each image once, however many names it has.
fn list(store: &Store) -> Result<Vec<Listed>, StoreError> {
    let mut known: HashMap<Digest, Image> = HashMap::new();
    let mut listed = Vec::new();
    for (name, target) in store.names()? {
        let image = match known.get(&target.digest) {
            Some(image) => image.clone(),
            None => store.image(&target)?,
        };
        known.insert(target.digest.clone(), image.clone());
        let created = image.config.created.as_deref().and_then(Moment::parse);
        listed.push(Listed { name, target, image, created });
    }
    Ok(listed)
}

impl Listed {
    fn row(&self, store: &Store, args: &ImagesArgs, now: Moment) -> Row {
        let id = self.image.id();
        let size = human_size(store.image_size(&self.image));
        let or_nothing = |text: Option<String>| text.unwrap_or_else(|| "N/A".to_owned());
        let not_known = || "N/A".to_owned();
        let values = [
            not_known(),
            or_nothing(self.created.map(Moment::at)),
            or_nothing(self.created.map(|created| created.since(now))),
            self.target.digest.to_string(),
            if args.no_trunc { id.to_string() } else { id.short().to_owned() },
            self.name.familiar_name(),
            not_known(),
            size.clone(),
            self.name.tag().unwrap_or("<none>").to_owned(),
            not_known(),
            size,
        ];
        TITLES.iter().zip(values).map(|((field, _), value)| (*field, one_line(&value).to_string())).collect()
    }
}

enum Filter {
    Reference(String),
    Label(String, Option<String>),
    Dangling(bool),
}

impl Filter {
    fn parse(text: &str) -> Result<Self, ImagesError> {
        let refuse = || ImagesError::Filter(text.to_owned());
        let (name, value) = text.split_once('=').ok_or_else(refuse)?;
        match (name, value) {
            ("reference", pattern) => Ok(Self::Reference(pattern.to_owned())),
            ("label", label) => {
                let (name, value) =
                    label.split_once('=').map_or((label, None), |(name, value)| (name, Some(value)));
                Ok(Self::Label(name.to_owned(), value.map(str::to_owned)))
            }
            ("dangling", "true" | "1") => Ok(Self::Dangling(true)),
            ("dangling", "false" | "0") => Ok(Self::Dangling(false)),
            _ => Err(refuse()),
        }
    }

    fn takes(&self, listed: &Listed) -> bool {
        match self {
            Self::Reference(pattern) => {
                let (name, short) = (&listed.name, listed.name.familiar_name());
                [name.familiar(), short, name.to_string(), name.name()]
                    .iter()
                    .any(|name| matches(pattern, name))
            }
            Self::Label(name, wanted) => listed
                .image
                .config
                .config
                .labels
                .get(name)
                .is_some_and(|value| wanted.as_ref().is_none_or(|wanted| wanted == value)),
            // Every image of this store has a name.
            Self::Dangling(wanted) => !wanted,
        }
    }
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
}
