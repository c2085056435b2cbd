//! `volume create`, `ls`, `inspect`, `rm`, `prune`.

use crate::cli::{
    Outcome, VolumeCreateArgs, VolumeInspectArgs, VolumeLsArgs, VolumePruneArgs, VolumeRmArgs, complain_of,
    each,
};
use crate::container::Containers;
use crate::events::{Event, Kind, record};
use crate::home::Home;
use crate::look::row::join_labels;
use crate::look::table::{self, Titles};
use crate::look::{document, size};
use crate::volume::{DRIVER, Volume, VolumeError, Volumes, users};
use mydocker_cmdline::{one_line, print};
use mydocker_img::cli::{Row, human_size};
use regex_lite::Regex;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const TITLES: &Titles = &[
    ("Availability", "AVAILABILITY"),
    ("Driver", "DRIVER"),
    ("Group", "GROUP"),
    ("Labels", "LABELS"),
    ("Links", "LINKS"),
    ("Mountpoint", "MOUNTPOINT"),
    ("Name", "VOLUME NAME"),
    ("Scope", "SCOPE"),
    ("Size", "SIZE"),
    ("Status", "STATUS"),
];

/// Makes a volume, and prints its name.
///
/// # Errors
/// [`VolumeError`].
pub fn create(args: &VolumeCreateArgs, home: &Home) -> Outcome {
    if args.driver != DRIVER {
        return Err(VolumeError::Driver(args.driver.clone()).into());
    }
    let volumes = Volumes::open(home)?;
    let name = args.name.as_deref().or(args.old_name.as_deref());
    let was_there = name.is_some_and(|name| volumes.find(name).is_ok());
    let volume = volumes.create(name, pairs(&args.label), pairs(&args.opt))?;
    if !was_there {
        record(home, &Event::new(Kind::Volume, "create", &volume.name).with("driver", DRIVER));
    }
    print(&format!("{}\n", volume.name))?;
    Ok(0)
}

fn pairs(texts: &[String]) -> BTreeMap<String, String> {
    let split = |text: &String| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        (name.to_owned(), value.to_owned())
    };
    texts.iter().map(split).collect()
}

/// Lists volumes.
///
/// # Errors
/// A filter or a format that is none; the volumes cannot be read.
pub fn ls(args: &VolumeLsArgs, home: &Home) -> Outcome {
    let filters = args.filter.iter().map(|text| Filter::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let quiet = args.quiet.then_some("{{.Name}}");
    let template = table::template(args.format.as_deref(), quiet, "table {{.Driver}}\t{{.Name}}", TITLES)?;
    let mut all = Volumes::open(home)?.all()?;
    if !filters.is_empty() {
        let users = users(&Containers::open(home)?)?;
        all.retain(|volume| filters.iter().all(|filter| filter.takes(volume, &users)));
    }
    let rows: Vec<(Row, _)> = all.iter().map(|volume| (row(volume), &volume.labels)).collect();
    print(&template.render_labelled(TITLES, &rows)?)?;
    Ok(0)
}

fn row(volume: &Volume) -> Row {
    let not_known = || "N/A".to_owned();
    let values = [
        not_known(),
        DRIVER.to_owned(),
        not_known(),
        join_labels(&volume.labels),
        not_known(),
        volume.path.to_string_lossy().into_owned(),
        volume.name.clone(),
        "local".to_owned(),
        not_known(),
        not_known(),
    ];
    TITLES.iter().zip(values).map(|((field, _), value)| (*field, one_line(&value))).collect()
}

/// Tells all about volumes.
///
/// # Errors
/// A format that is none; standard output.
pub fn inspect(args: &VolumeInspectArgs, home: &Home) -> Outcome {
    let volumes = Volumes::open(home)?;
    document::print_each(&args.names, args.format.as_deref(), |name| {
        volumes.find(name).map(|found| to_json(&found))
    })
}

/// A volume as docker's document.
#[must_use]
pub fn to_json(volume: &Volume) -> Value {
    let or_null = |map: &BTreeMap<String, String>| if map.is_empty() { Value::Null } else { json!(map) };
    json!({
        "CreatedAt": volume.created_at,
        "Driver": DRIVER,
        "Labels": or_null(&volume.labels),
        "Mountpoint": volume.path,
        "Name": volume.name,
        "Options": or_null(&volume.options),
        "Scope": "local",
    })
}

/// Removes volumes, and prints the name of each.
///
/// # Errors
/// Those that have not been told.
pub fn rm(args: &VolumeRmArgs, home: &Home) -> Outcome {
    let (volumes, containers) = (Volumes::open(home)?, Containers::open(home)?);
    each(&args.names, |name| {
        match volumes.remove(name, &containers) {
            Err(VolumeError::NotFound(_)) if args.force => {}
            other => {
                other?;
                record(home, &Event::new(Kind::Volume, "destroy", name).with("driver", DRIVER));
            }
        }
        Ok::<(), Box<dyn std::error::Error>>(print(&format!("{name}\n"))?)
    })
}

const WARNING: &str = "WARNING! This will remove anonymous volumes that no container has.";
const WARNING_ALL: &str = "WARNING! This will remove all volumes that no container has.";

/// Removes volumes that no container has.
///
/// # Errors
/// A filter that is none; the volumes cannot be read.
pub fn prune(args: &VolumePruneArgs, home: &Home) -> Outcome {
    let filters = args.filter.iter().map(|text| Filter::parse(text)).collect::<Result<Vec<_>, _>>()?;
    if let Some(text) = args.filter.iter().find(|text| !text.starts_with("label")) {
        return Err(FilterError::NotForPrune(text.clone()).into());
    }
    let warning = if args.all { WARNING_ALL } else { WARNING };
    if !args.force && !super::confirm(warning)? {
        return Ok(0);
    }
    let pruned = prune_now(home, args.all, &filters)?;
    print(&pruned.text("Volumes"))?;
    Ok(u8::from(pruned.failed))
}

/// Removes volumes that no container has: those without a name, or all of them, of those that the filters choose.
///
/// # Errors
/// The volumes or the containers cannot be read.
pub(super) fn prune_now(home: &Home, all: bool, filters: &[Filter]) -> Result<super::Pruned, VolumeError> {
    let (volumes, containers) = (Volumes::open(home)?, Containers::open(home)?);
    let users = users(&containers)?;
    let mut pruned = super::Pruned::default();
    for volume in volumes.all()? {
        let is_wanted = (all || volume.anonymous) && !users.contains_key(&volume.name);
        if !is_wanted || !filters.iter().all(|filter| filter.takes(&volume, &users)) {
            continue;
        }
        let size = size::of_directory(&home.volumes().join(&volume.name).join("_data")).unwrap_or(0);
        match volumes.remove(&volume.name, &containers) {
            Ok(()) => {
                record(home, &Event::new(Kind::Volume, "destroy", &volume.name).with("driver", DRIVER));
                pruned.removed.push(volume.name);
                pruned.bytes += size;
            }
            // Somebody has taken it, or has been quicker.
            Err(VolumeError::InUse { .. } | VolumeError::NotFound(_)) => {}
            Err(error) => {
                complain_of(error);
                pruned.failed = true;
            }
        }
    }
    Ok(pruned)
}

/// Why a filter is none.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// It is not known.
    #[error(
        "invalid filter {0:?}; there are dangling=true or false, driver=DRIVER, label=NAME[=VALUE] and name=PATTERN"
    )]
    Unknown(String),
    /// It is known for other commands.
    #[error("invalid filter {0:?}; 'prune' has label=NAME[=VALUE] and label!=NAME[=VALUE]")]
    NotForPrune(String),
}

/// Which volumes are wanted.
pub(super) enum Filter {
    Dangling(bool),
    Driver(String),
    Label { name: String, value: Option<String>, wanted: bool },
    Name(Regex),
}

impl Filter {
    pub(super) fn parse(text: &str) -> Result<Self, FilterError> {
        let bad = || FilterError::Unknown(text.to_owned());
        let (name, value) = text.split_once('=').ok_or_else(bad)?;
        match name {
            "dangling" => mydocker_cmdline::parse_bool(value).map(Self::Dangling).map_err(|_| bad()),
            "driver" => Ok(Self::Driver(value.to_owned())),
            "label" | "label!" => {
                let (label, value) =
                    value.split_once('=').map_or((value, None), |(label, value)| (label, Some(value)));
                let (label, value) = (label.to_owned(), value.map(str::to_owned));
                Ok(Self::Label { name: label, value, wanted: name == "label" })
            }
            "name" => Regex::new(value).map(Self::Name).map_err(|_| bad()),
            _ => Err(bad()),
        }
    }

    fn takes(&self, volume: &Volume, users: &BTreeMap<String, Vec<String>>) -> bool {
        match self {
            Self::Dangling(wanted) => users.contains_key(&volume.name) != *wanted,
            Self::Driver(driver) => driver == DRIVER,
            Self::Label { name, value, wanted } => {
                let found = volume.labels.get(name);
                let has = found.is_some_and(|found| value.as_ref().is_none_or(|value| value == found));
                has == *wanted
            }
            Self::Name(pattern) => pattern.is_match(&volume.name),
        }
    }
}

impl super::Pruned {
    fn text(&self, what: &str) -> String {
        let mut text = String::new();
        if !self.removed.is_empty() {
            text = format!("Deleted {what}:\n{}\n\n", self.removed.join("\n"));
        }
        text + &format!("Total reclaimed space: {}\n", human_size(self.bytes))
    }
}
