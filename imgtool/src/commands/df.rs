//! `df`: what the store takes, and what of it could go.

use super::listing::{Listed, Unreadable, list};
use crate::cli::{Context, DfArgs, Moment, Row, Template, TemplateError, human_size, is_usual};
use crate::digest::Digest;
use crate::store::{Store, StoreError, Usage};
use mydocker_cmdline::{one_line, print};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;

/// The fields of a row, and the titles of their columns.
const TITLES: &[(&str, &str)] = &[
    ("Active", "ACTIVE"),
    ("Reclaimable", "RECLAIMABLE"),
    ("Size", "SIZE"),
    ("TotalCount", "TOTAL"),
    ("Type", "TYPE"),
];

/// The same of images one by one.
const IMAGE_TITLES: &[(&str, &str)] = &[
    ("Containers", "HOLDERS"),
    ("CreatedSince", "CREATED"),
    ("ID", "IMAGE ID"),
    ("Repository", "REPOSITORY"),
    ("SharedSize", "SHARED SIZE"),
    ("Size", "SIZE"),
    ("Tag", "TAG"),
    ("UniqueSize", "UNIQUE SIZE"),
];

/// Why it cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum DfError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// `--format`.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// Some images cannot be read.
    #[error("not every image can be read: {0}")]
    Unreadable(Unreadable),
    /// Standard output.
    #[error("cannot write to standard output")]
    Output(#[from] io::Error),
}

/// Tells what the store takes.
///
/// # Errors
/// [`DfError`].
pub fn df(args: &DfArgs, context: &Context) -> Result<(), DfError> {
    let (titles, usual) = match args.verbose {
        true => (
            IMAGE_TITLES,
            "table {{.Repository}}\\t{{.Tag}}\\t{{.ID}}\\t{{.CreatedSince}}\\t{{.Size}}\\t{{.SharedSize}}\\t{{.UniqueSize}}\\t{{.Containers}}",
        ),
        false => (TITLES, "table {{.Type}}\\t{{.TotalCount}}\\t{{.Active}}\\t{{.Size}}\\t{{.Reclaimable}}"),
    };
    let known: Vec<_> = titles.iter().map(|(field, _)| *field).collect();
    let format = args.format.as_deref().filter(|format| !is_usual(format)).unwrap_or(usual);
    let template = Template::parse(format, &known)?;
    let store = context.store()?;
    let _hold = store.hold()?;
    let listing = list(&store)?;
    let held = held(&store)?;
    let rows = if args.verbose {
        image_rows(&store, &listing.images, &held)
    } else {
        rows(&store, &listing.images, &held)?
    };
    print(&template.render(titles, &rows)?)?;
    listing.unreadable.into_result().map_err(DfError::Unreadable)
}

/// How many leases the images have, by their ids. One that cannot be read holds what is not known.
fn held(store: &Store) -> Result<HashMap<Digest, usize>, StoreError> {
    let mut held = HashMap::new();
    for lease in store.leases()?.iter().filter(|lease| !lease.is_stale()) {
        if let Ok(image) = store.image(&lease.image) {
            *held.entry(image.id().clone()).or_insert(0) += 1;
        }
    }
    Ok(held)
}

/// The layers of an image, each once, with their sizes.
fn layers(store: &Store, one: &Listed) -> Vec<(Digest, u64)> {
    let mut seen = HashSet::new();
    let mut layers = store.layers(&one.image);
    layers.retain(|layer| seen.insert(layer.diff_id.clone()));
    layers.into_iter().map(|layer| (layer.diff_id, layer.size)).collect()
}

/// Each image once, whatever names it has.
fn distinct(images: &[Listed]) -> Vec<&Listed> {
    let mut seen = BTreeSet::new();
    images.iter().filter(|one| seen.insert(one.image.id().clone())).collect()
}

fn rows(store: &Store, images: &[Listed], held: &HashMap<Digest, usize>) -> Result<Vec<Row>, StoreError> {
    let images = distinct(images);
    let is_held = |one: &&&Listed| held.contains_key(one.image.id());
    let sum = |images: &mut dyn Iterator<Item = &&Listed>| {
        let layers: HashMap<_, _> = images.flat_map(|one| layers(store, one)).collect();
        layers.values().sum::<u64>()
    };
    let (all, needed) = (sum(&mut images.iter()), sum(&mut images.iter().filter(is_held)));
    let usage = store.usage()?;
    Ok(vec![
        row("Images", [images.len(), images.iter().filter(is_held).count()], all, all - needed.min(all)),
        usage_row("Layers", &usage.layers),
        usage_row("Blobs", &usage.blobs),
        usage_row("Unfinished", &usage.unfinished),
    ])
}

fn usage_row(kind: &str, usage: &Usage) -> Row {
    row(kind, [usage.count, usage.needed], usage.bytes, usage.reclaimable)
}

fn row(kind: &str, [total, active]: [usize; 2], size: u64, reclaimable: u64) -> Row {
    let percent = (reclaimable * 100).checked_div(size).map_or(String::new(), |part| format!(" ({part}%)"));
    vec![
        ("Active", active.to_string()),
        ("Reclaimable", human_size(reclaimable) + &percent),
        ("Size", human_size(size)),
        ("TotalCount", total.to_string()),
        ("Type", kind.to_owned()),
    ]
}

fn image_rows(store: &Store, images: &[Listed], held: &HashMap<Digest, usize>) -> Vec<Row> {
    let mut users: HashMap<Digest, usize> = HashMap::new();
    for (layer, _) in distinct(images).iter().flat_map(|one| layers(store, one)) {
        *users.entry(layer).or_insert(0) += 1;
    }
    let now = Moment::now();
    images.iter().map(|one| image_row(store, one, &users, held, now)).collect()
}

fn image_row(
    store: &Store,
    one: &Listed,
    users: &HashMap<Digest, usize>,
    held: &HashMap<Digest, usize>,
    now: Moment,
) -> Row {
    let layers = layers(store, one);
    let is_shared = |layer: &Digest| users.get(layer).is_some_and(|users| *users > 1);
    let shared: u64 = layers.iter().filter(|(layer, _)| is_shared(layer)).map(|(_, size)| size).sum();
    let all: u64 = layers.iter().map(|(_, size)| size).sum();
    let values = [
        held.get(one.image.id()).copied().unwrap_or(0).to_string(),
        one.created.map_or_else(|| "N/A".to_owned(), |created| created.since(now)),
        one.image.id().short().to_owned(),
        one.repository(),
        human_size(shared),
        human_size(all),
        one.tag().to_owned(),
        human_size(all - shared),
    ];
    IMAGE_TITLES.iter().zip(values).map(|((field, _), value)| (*field, one_line(&value))).collect()
}
