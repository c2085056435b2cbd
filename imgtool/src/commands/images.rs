//! `images`: what is in the store, in docker's columns.

use super::filter::{FilterError, Filters, LIST};
use super::listing::{Listed, Listing, Unreadable, digest_in_registry, list};
use crate::cli::{Context, ImagesArgs, Moment, Row, Template, TemplateError, is_usual, short_size};
use crate::store::StoreError;
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
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// Some images cannot be read; the others are listed.
    #[error("not every image can be read: {0}")]
    Unreadable(Unreadable),
    /// Standard output.
    #[error("cannot write to standard output")]
    Output(#[from] io::Error),
}

/// Lists images, the newest first.
///
/// # Errors
/// [`ImagesError`]; an image that cannot be read is told after the others are listed.
pub fn images(args: &ImagesArgs, context: &Context) -> Result<(), ImagesError> {
    let known: Vec<_> = TITLES.iter().map(|(field, _)| *field).collect();
    let template = Template::parse(&format(args), &known)?;
    let store = context.store()?;
    let filters = Filters::parse(&args.filter, LIST, &store)?.named(args.name.as_deref());
    let Listing { images: mut listed, unreadable } = list(&store)?;
    listed.retain(|one| filters.take(one));
    if args.quiet {
        listed.dedup_by(|one, other| one.image.id() == other.image.id());
    }
    let now = Moment::now();
    // An image with a thousand names has one size.
    let mut sizes = HashMap::new();
    let mut row = |one: &Listed| {
        let size = sizes.entry(one.image.id().clone()).or_insert_with(|| store.image_size(&one.image));
        one.row(*size, args, now)
    };
    let rows: Vec<Row> = listed.iter().map(&mut row).collect();
    print(&template.render(TITLES, &rows)?)?;
    unreadable.into_result().map_err(ImagesError::Unreadable)
}

fn format(args: &ImagesArgs) -> String {
    let table = match (&args.format, args.quiet, args.digests) {
        (Some(format), _, _) if !is_usual(format) => return format.clone(),
        (_, true, _) => return "{{.ID}}".to_owned(),
        (_, _, true) => "{{.Digest}}\\t",
        (_, _, false) => "",
    };
    format!(
        "table {{{{.Repository}}}}\\t{{{{.Tag}}}}\\t{table}{{{{.ID}}}}\\t{{{{.CreatedSince}}}}\\t{{{{.Size}}}}"
    )
}

impl Listed {
    fn row(&self, size: u64, args: &ImagesArgs, now: Moment) -> Row {
        let id = self.image.id();
        let size = short_size(size);
        let or_nothing = |text: Option<String>| text.unwrap_or_else(|| "N/A".to_owned());
        let not_known = || "N/A".to_owned();
        let values = [
            not_known(),
            or_nothing(self.created.map(Moment::at)),
            or_nothing(self.created.map(|created| created.since(now))),
            digest_in_registry(&self.target).to_owned(),
            if args.no_trunc { id.to_string() } else { id.short().to_owned() },
            self.repository(),
            not_known(),
            size.clone(),
            self.tag().to_owned(),
            not_known(),
            size,
        ];
        TITLES.iter().zip(values).map(|((field, _), value)| (*field, one_line(&value).to_string())).collect()
    }
}
