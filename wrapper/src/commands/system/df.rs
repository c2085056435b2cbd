//! `system df`: what images, containers and volumes take.

use crate::cli::{Outcome, SystemDfArgs};
use crate::commands::images::{self, ImageToolError};
use crate::commands::look::sizes;
use crate::container::Containers;
use crate::home::Home;
use crate::look::status::is_up;
use crate::look::table::{self, Titles};
use crate::look::{Listed, Listing, row, size};
use crate::volume::{Volumes, users};
use mydocker_cmdline::{one_line, print};
use mydocker_img::cli::{Moment, Row, human_size, short_size};
use mydocker_sys::process::output;
use serde_json::Value;
use std::error::Error;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::Stdio;

const TITLES: &Titles = &[
    ("Active", "ACTIVE"),
    ("Reclaimable", "RECLAIMABLE"),
    ("Size", "SIZE"),
    ("TotalCount", "TOTAL"),
    ("Type", "TYPE"),
];

const USUAL: &str = "table {{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}";

const CONTAINER_COLUMNS: &str = "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}";

const VOLUME_TITLES: &Titles = &[("Links", "LINKS"), ("Name", "VOLUME NAME"), ("Size", "SIZE")];

/// One volume.
struct VolumeUse {
    name: String,
    links: usize,
    bytes: u64,
}

/// Tells what everything takes.
///
/// # Errors
/// A format that is none; something cannot be read.
pub fn df(args: &SystemDfArgs, home: &Home) -> Outcome {
    let template = table::template(args.format.as_deref(), None, USUAL, TITLES)?;
    let containers = Containers::open(home)?;
    let listing = Listing::read(&containers)?;
    let measured = listing.containers.iter().map(|one| Ok((one, sizes(home, one)?.0)));
    let measured = measured.collect::<Result<Vec<(&Listed, u64)>, std::io::Error>>()?;
    let volumes = volumes(home, &containers)?;
    if args.verbose {
        return verbose(home, &measured, &volumes);
    }
    let up = |one: &Listed| is_up(one.state.status);
    let sum = |all: &mut dyn Iterator<Item = u64>| all.sum::<u64>();
    let rows = [
        images_row(home)?,
        line(
            "Containers",
            measured.len(),
            measured.iter().filter(|(one, _)| up(one)).count(),
            sum(&mut measured.iter().map(|(_, bytes)| *bytes)),
            sum(&mut measured.iter().filter(|(one, _)| !up(one)).map(|(_, bytes)| *bytes)),
        ),
        line(
            "Local Volumes",
            volumes.len(),
            volumes.iter().filter(|volume| volume.links > 0).count(),
            sum(&mut volumes.iter().map(|volume| volume.bytes)),
            sum(&mut volumes.iter().filter(|volume| volume.links == 0).map(|volume| volume.bytes)),
        ),
    ];
    print(&template.render(TITLES, &rows)?)?;
    Ok(0)
}

fn line(kind: &str, total: usize, active: usize, bytes: u64, reclaimable: u64) -> Row {
    let percent = (reclaimable * 100).checked_div(bytes).map_or(String::new(), |part| format!(" ({part}%)"));
    vec![
        ("Active", active.to_string()),
        ("Reclaimable", human_size(reclaimable) + &percent),
        ("Size", human_size(bytes)),
        ("TotalCount", total.to_string()),
        ("Type", kind.to_owned()),
    ]
}

fn volumes(home: &Home, containers: &Containers) -> Result<Vec<VolumeUse>, Box<dyn Error>> {
    let users = users(containers)?;
    let mut volumes = Vec::new();
    for volume in Volumes::open(home)?.all()? {
        let links = users.get(&volume.name).map_or(0, Vec::len);
        let place = home.volumes().join(&volume.name).join("_data");
        let bytes =
            size::of_directory(&place).map_err(|(path, error)| format!("cannot read {path:?}: {error}"))?;
        volumes.push(VolumeUse { name: volume.name, links, bytes });
    }
    Ok(volumes)
}

/// The image tool knows what images share.
fn images_row(home: &Home) -> Result<Row, Box<dyn Error>> {
    let output = tool(home, &["df", "--format", "json"])?;
    let rows = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let images = rows.into_iter().find(|row| row["Type"] == "Images").unwrap_or_default();
    let text = |name: &str| one_line(images[name].as_str().unwrap_or("0"));
    Ok(TITLES
        .iter()
        .map(|(field, _)| (*field, if *field == "Type" { "Images".to_owned() } else { text(field) }))
        .collect())
}

fn tool(home: &Home, words: &[&str]) -> Result<String, ImageToolError> {
    let mut command = images::tool(home);
    let path = PathBuf::from(command.get_program());
    let output = output(command.args(words).stdin(Stdio::null()));
    let output = output.map_err(|source| ImageToolError::Run(path, source))?;
    // Who asked is to see what it complains of; without standard error there is nobody.
    io::stderr().write_all(&output.stderr).unwrap_or_default();
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn verbose(home: &Home, containers: &[(&Listed, u64)], volumes: &[VolumeUse]) -> Outcome {
    let now = Moment::now();
    let rows: Vec<Row> =
        containers.iter().map(|(one, bytes)| row::row(one, now, false, &short_size(*bytes))).collect();
    let containers =
        table::template(None, None, CONTAINER_COLUMNS, row::TITLES)?.render(row::TITLES, &rows)?;
    let rows: Vec<Row> = volumes.iter().map(volume_row).collect();
    let columns = "table {{.Name}}\t{{.Links}}\t{{.Size}}";
    let volumes = table::template(None, None, columns, VOLUME_TITLES)?.render(VOLUME_TITLES, &rows)?;
    let images = tool(home, &["df", "--verbose"])?;
    print(&format!(
        "Images space usage:\n\n{images}\nContainers space usage:\n\n{containers}\nLocal Volumes space usage:\n\n{volumes}"
    ))?;
    Ok(0)
}

fn volume_row(volume: &VolumeUse) -> Row {
    vec![
        ("Links", volume.links.to_string()),
        ("Name", one_line(&volume.name)),
        ("Size", human_size(volume.bytes)),
    ]
}
