//! `history`: how the layers of an image came about, in docker's columns.

use super::local::{FindError, find};
use crate::cli::{Context, HistoryArgs, Moment, Row, Template, TemplateError, is_usual, short_size};
use crate::image::History;
use crate::store::{Image, Store, StoreError};
use mydocker_cmdline::{one_line, print};
use std::io;

/// The fields of a row, and the titles of their columns.
const TITLES: &[(&str, &str)] = &[
    ("Comment", "COMMENT"),
    ("CreatedAt", "CREATED AT"),
    ("CreatedBy", "CREATED BY"),
    ("CreatedSince", "CREATED"),
    ("ID", "IMAGE"),
    ("Size", "SIZE"),
];

/// How much of a command is shown, in characters.
const COMMAND: usize = 45;

/// Why a history is not shown.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// There is no such image.
    #[error(transparent)]
    Find(#[from] FindError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// `--format`.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// Standard output.
    #[error("cannot write to standard output")]
    Output(#[from] io::Error),
}

/// Shows the history of an image, the last step first.
///
/// # Errors
/// [`HistoryError`].
pub fn history(args: &HistoryArgs, context: &Context) -> Result<(), HistoryError> {
    let known: Vec<_> = TITLES.iter().map(|(field, _)| *field).collect();
    let template = Template::parse(&format(args), &known)?;
    let store = context.store()?;
    let image = store.image(&find(&store, &args.image)?.target)?;
    let now = Moment::now();
    let steps = steps(&store, &image);
    let rows: Vec<Row> = steps.iter().rev().map(|step| row(step, args, now)).collect();
    Ok(print(&template.render(TITLES, &rows)?)?)
}

fn format(args: &HistoryArgs) -> String {
    let created = if args.is_human() { "{{.CreatedSince}}" } else { "{{.CreatedAt}}" };
    let table =
        format!("table {{{{.ID}}}}\\t{created}\\t{{{{.CreatedBy}}}}\\t{{{{.Size}}}}\\t{{{{.Comment}}}}");
    match &args.format {
        _ if args.quiet => "{{.ID}}".to_owned(),
        Some(format) if !is_usual(format) => format.clone(),
        _ => table,
    }
}

/// One step: what the configuration says, and what is known of its layer.
struct Step {
    /// Only the last step made what is an image today.
    id: Option<String>,
    history: History,
    size: u64,
}

/// The first step first. Layers of which the history says nothing are steps too.
fn steps(store: &Store, image: &Image) -> Vec<Step> {
    let mut layers = store.layers(image).into_iter();
    let mut size = || layers.next().map(|layer| layer.size);
    let mut steps: Vec<Step> = Vec::new();
    for history in &image.config.history {
        let size = if history.empty_layer { 0 } else { size().unwrap_or(0) };
        steps.push(Step { id: None, history: history.clone(), size });
    }
    while let Some(size) = size() {
        steps.push(Step { id: None, history: History::default(), size });
    }
    if let Some(last) = steps.last_mut() {
        last.id = Some(image.id().to_string());
    }
    steps
}

fn row(step: &Step, args: &HistoryArgs, now: Moment) -> Row {
    let created = step.history.created.as_deref().and_then(Moment::of_image);
    let or_nothing = |text: Option<String>| text.unwrap_or_else(|| "N/A".to_owned());
    let id = match &step.id {
        None => "<missing>",
        Some(id) if args.no_trunc => id,
        Some(id) => id.split_once(':').and_then(|(_, hex)| hex.get(..12)).unwrap_or(id),
    };
    let command = step.history.created_by.clone().unwrap_or_default().replace('\t', " ");
    let command = if args.no_trunc { command } else { shortened(&command) };
    let values = [
        step.history.comment.clone().unwrap_or_default(),
        step.history.created.clone().unwrap_or_else(|| "N/A".to_owned()),
        command,
        or_nothing(created.map(|created| created.since(now))),
        id.to_owned(),
        if args.is_human() { short_size(step.size) } else { step.size.to_string() },
    ];
    TITLES.iter().zip(values).map(|((field, _), value)| (*field, one_line(&value).to_string())).collect()
}

/// The beginning of a text that is too long, with docker's sign for the rest.
fn shortened(text: &str) -> String {
    if text.chars().count() <= COMMAND {
        return text.to_owned();
    }
    text.chars().take(COMMAND - 1).chain(['…']).collect()
}
