//! `system prune` and `container prune`: removing what nobody needs.

use crate::cli::{ContainerPruneArgs, Outcome, SystemPruneArgs, complain_of};
use crate::clock::parse_typed;
use crate::commands::look::sizes;
use crate::commands::{Pruned, confirm, networks, volumes};
use crate::container::{Containers, ContainersError};
use crate::ending::{EndingError, remove};
use crate::home::Home;
use crate::look::status::is_up;
use crate::look::{Listed, Listing};
use jiff::Timestamp;
use mydocker_cmdline::print;
use mydocker_img::cli::{PruneArgs, human_size};
use mydocker_img::commands::{PruneError, prune_now};
use mydocker_img::store::Store;

/// Why a filter is none.
#[derive(Debug, thiserror::Error)]
#[error("invalid filter {0:?}; there are label=NAME[=VALUE], label!=NAME[=VALUE] and until=MOMENT")]
pub struct PruneFilterError(String);

/// Which containers may go.
enum Filter {
    Label { name: String, value: Option<String>, wanted: bool },
    Until(Timestamp),
}

impl Filter {
    fn parse(text: &str) -> Result<Self, PruneFilterError> {
        let bad = || PruneFilterError(text.to_owned());
        let (name, value) = text.split_once('=').ok_or_else(bad)?;
        match name {
            "label" | "label!" => {
                let (label, value) =
                    value.split_once('=').map_or((value, None), |(label, value)| (label, Some(value)));
                let (label, value) = (label.to_owned(), value.map(str::to_owned));
                Ok(Self::Label { name: label, value, wanted: name == "label" })
            }
            "until" => parse_typed(value, Timestamp::now()).map(Self::Until).ok_or_else(bad),
            _ => Err(bad()),
        }
    }

    fn takes(&self, listed: &Listed) -> bool {
        match self {
            Self::Label { name, value, wanted } => {
                let found = listed.labels().get(name);
                found.is_some_and(|found| value.as_ref().is_none_or(|value| value == found)) == *wanted
            }
            Self::Until(moment) => {
                listed.container.created.parse::<Timestamp>().is_ok_and(|created| created < *moment)
            }
        }
    }
}

fn parse(texts: &[String]) -> Result<Vec<Filter>, PruneFilterError> {
    texts.iter().map(|text| Filter::parse(text)).collect()
}

/// Removes the containers that are not up.
///
/// # Errors
/// A filter that is none; the containers cannot be read.
pub fn container_prune(args: &ContainerPruneArgs, home: &Home) -> Outcome {
    let filters = parse(&args.filter)?;
    if !args.force && !confirm("WARNING! This will remove all stopped containers.")? {
        return Ok(0);
    }
    let pruned = containers(home, &filters)?;
    print(&format!(
        "{}Total reclaimed space: {}\n",
        deleted("Containers", &pruned),
        human_size(pruned.bytes)
    ))?;
    Ok(u8::from(pruned.failed))
}

fn containers(home: &Home, filters: &[Filter]) -> Result<Pruned, ContainersError> {
    let containers = Containers::open(home)?;
    let mut pruned = Pruned::default();
    for listed in Listing::read(&containers)?.containers {
        if is_up(listed.state.status) || !filters.iter().all(|filter| filter.takes(&listed)) {
            continue;
        }
        let size = sizes(home, &listed).map_or(0, |(own, _)| own);
        match remove(&containers, &listed.container, false, false) {
            Ok(()) => {
                pruned.bytes += size;
                pruned.removed.push(listed.container.id);
            }
            // It has been started meanwhile.
            Err(EndingError::NotRemoved { .. }) => {}
            Err(error) => {
                complain_of(error);
                pruned.failed = true;
            }
        }
    }
    Ok(pruned)
}

fn deleted(what: &str, pruned: &Pruned) -> String {
    match pruned.removed.is_empty() {
        true => String::new(),
        false => format!("Deleted {what}:\n{}\n\n", pruned.removed.join("\n")),
    }
}

/// Removes containers that are not up, networks and volumes that no container has, and images that nobody needs.
///
/// # Errors
/// A filter that is none; something cannot be read.
pub fn prune(args: &SystemPruneArgs, home: &Home) -> Outcome {
    let filters = parse(&args.filter)?;
    let labels: Vec<&String> = args.filter.iter().filter(|text| text.starts_with("label")).collect();
    let volume_filters =
        labels.iter().map(|text| volumes::Filter::parse(text)).collect::<Result<Vec<_>, _>>()?;
    if !args.force && !confirm(&warning(args))? {
        return Ok(0);
    }
    let gone = containers(home, &filters)?;
    print(&deleted("Containers", &gone))?;
    // A network has no moment that a person would think of.
    let labels: Vec<String> = labels.into_iter().cloned().collect();
    let network_filters = networks::parse_all(&labels, true)?;
    let unused = networks::prune_now(home, &network_filters)?;
    print(&deleted("Networks", &unused))?;
    let (mut bytes, mut failed) = (gone.bytes, gone.failed || unused.failed);
    if args.volumes {
        let pruned = volumes::prune_now(home, false, &volume_filters)?;
        print(&deleted("Volumes", &pruned))?;
        bytes += pruned.bytes;
        failed |= pruned.failed;
    }
    let store = Store::open(&home.images())?;
    let images = PruneArgs { all: args.all, filter: args.filter.clone(), force: true };
    let (of_images, unreadable) = prune_now(&images, &store)?;
    if let Err(unreadable) = unreadable.into_result() {
        complain_of(PruneError::Unreadable(unreadable));
        failed = true;
    }
    print(&format!("Total reclaimed space: {}\n", human_size(bytes + of_images)))?;
    Ok(u8::from(failed))
}

fn warning(args: &SystemPruneArgs) -> String {
    let mut text = String::from(
        "WARNING! This will remove:\n  - all stopped containers\n  - all networks not used by at least one container\n",
    );
    if args.volumes {
        text.push_str("  - all anonymous volumes not used by at least one container\n");
    }
    text.push_str(if args.all {
        "  - all images without at least one container associated to them\n"
    } else {
        "  - all dangling images\n"
    });
    text
}
