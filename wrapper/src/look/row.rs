//! Containers in docker's columns.

use super::table::Titles;
use super::{Listed, ports, status};
use crate::container::MountKind;
use mydocker_cmdline::one_line;
use mydocker_img::cli::{Moment, Row};
use std::fmt::Write as _;

/// The fields of a row, and the titles of their columns.
pub const TITLES: &Titles = &[
    ("Command", "COMMAND"),
    ("CreatedAt", "CREATED AT"),
    ("ID", "CONTAINER ID"),
    ("Image", "IMAGE"),
    ("Labels", "LABELS"),
    ("LocalVolumes", "LOCAL VOLUMES"),
    ("Mounts", "MOUNTS"),
    ("Names", "NAMES"),
    ("Networks", "NETWORKS"),
    ("Pid", "PID"),
    ("Ports", "PORTS"),
    ("RunningFor", "CREATED"),
    ("Size", "SIZE"),
    ("State", "STATE"),
    ("Status", "STATUS"),
];

/// How many characters of a command are shown.
const COMMAND_WIDTH: usize = 20;
/// How many of a mount's source.
const MOUNT_WIDTH: usize = 15;

/// A container's row; what nobody asked for, its size, is an empty text.
#[must_use]
pub fn row(listed: &Listed, now: Moment, in_full: bool, size: &str) -> Row {
    let Listed { container, state } = listed;
    let created = Moment::parse(&container.created);
    let volumes = container.mounts.iter().filter(|mount| mount.kind == MountKind::Volume).count();
    let pid = state.process.filter(|_| status::is_up(state.status)).map(|process| process.pid.to_string());
    let values = [
        quoted(&command_line(&container.command()), in_full),
        created.map(Moment::at).unwrap_or_default(),
        if in_full { container.id.clone() } else { container.short_id().to_owned() },
        listed.image(),
        labels(listed),
        volumes.to_string(),
        mounts(listed, in_full),
        container.name.clone(),
        listed.networks().join(","),
        pid.unwrap_or_default(),
        ports::describe(listed),
        created.map(|created| created.since(now)).unwrap_or_default(),
        size.to_owned(),
        status::word(state.status).to_owned(),
        status::describe(state, now),
    ];
    TITLES.iter().zip(values).map(|((field, _), value)| (*field, one_line(&value))).collect()
}

/// `NAME=VALUE,NAME=VALUE`
#[must_use]
pub fn join_labels(labels: &std::collections::BTreeMap<String, String>) -> String {
    labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
}

fn labels(listed: &Listed) -> String {
    join_labels(listed.labels())
}

fn mounts(listed: &Listed, in_full: bool) -> String {
    let name = |mount: &crate::container::Mount| {
        let name = mount.name.clone().unwrap_or_else(|| mount.source.to_string_lossy().into_owned());
        if in_full { name } else { ellipsis(&name, MOUNT_WIDTH) }
    };
    let names: Vec<String> =
        listed.container.mounts.iter().filter(|mount| mount.kind != MountKind::Tmpfs).map(name).collect();
    names.join(",")
}

/// The program and its arguments, those with blanks in quotes.
#[must_use]
pub fn command_line(words: &[String]) -> String {
    let mut text = String::new();
    for (place, word) in words.iter().enumerate() {
        let between = if place > 0 { " " } else { "" };
        let quote = if place > 0 && word.contains(' ') { "'" } else { "" };
        // A String takes whatever it is given.
        write!(text, "{between}{quote}{word}{quote}").unwrap_or_default();
    }
    text
}

fn quoted(command: &str, in_full: bool) -> String {
    let command = if in_full { command.to_owned() } else { ellipsis(command, COMMAND_WIDTH) };
    format!("{command:?}")
}

/// At most so many characters, the last being a sign that there are more.
#[must_use]
pub fn ellipsis(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::look::listed::tests::listed;

    #[test]
    fn a_row_is_docker_s() {
        let mut one = listed("web");
        one.container.config.image.cmd =
            Some(["sh", "-c", "while true; do sleep 1; done"].map(str::to_owned).to_vec());
        one.container.config.image.labels.insert("evil".to_owned(), "\x1b[2J".to_owned());
        let now = Moment::parse("2024-05-01T15:00:00Z").expect("a moment");
        let fields = row(&one, now, false, "");
        let get = |name: &str| {
            fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value.as_str()).expect("a field")
        };
        assert_eq!(get("Command"), "\"sh -c 'while true; …\"");
        assert_eq!(get("ID"), "776562000000");
        assert_eq!(get("RunningFor"), "3 hours ago");
        assert_eq!(get("Labels"), "evil=\\u{1b}[2J");
        assert_eq!((get("Names"), get("Status"), get("Image"), get("Pid")), ("web", "Created", "/", ""));
        let full = row(&one, now, true, "");
        assert!(full.iter().any(|(_, value)| value == "\"sh -c 'while true; do sleep 1; done'\""));
    }
}
