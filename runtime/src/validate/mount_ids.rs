//! Mappings of the owners of a mount's files (config.md, `uidMappings`), also as crun takes them in an option.

use super::mappings::check_map;
use super::report::{At, Report};
use super::{Facts, Namespaces};
use crate::mount_options::{IdMap, MountOptions};
use crate::spec::{self, IdMapping, Linux, NamespaceKind};

/// The mapping of a mount's owners (`MOUNT_ATTR_IDMAP`, Linux 5.12).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountIdMap {
    /// Whether the mounts below get it too.
    pub recursive: bool,
    /// The mapping of users and of groups, from the ids of the files to those that show; `None` for that of the
    /// container's user namespace.
    pub mappings: Option<Mappings>,
}

/// Of users and of groups.
type Mappings = (Vec<IdMapping>, Vec<IdMapping>);

/// A mount as it was written, and its options as they are understood.
pub(super) struct Wanted<'a> {
    pub(super) mount: &'a spec::Mount,
    pub(super) options: &'a MountOptions,
}

/// Mappings without either option are taken as `idmap`, as config.md has it.
pub(super) fn check(
    report: &mut Report,
    at: At<'_>,
    wanted: &Wanted<'_>,
    linux: &Linux,
    namespaces: &Namespaces,
    facts: &Facts,
) -> Option<MountIdMap> {
    let options = wanted.options;
    let (uids, gids) = (&wanted.mount.uid_mappings, &wanted.mount.gid_mappings);
    let no_lists = uids.is_empty() && gids.is_empty();
    if options.id_map.is_none() && no_lists {
        return None;
    }
    let of_option = check_option(report, at, wanted.mount, linux);
    check_place(report, at, options, facts);
    if no_lists && options.id_mappings.is_none() && namespaces.is_host(NamespaceKind::User) {
        report.refuse(
            at,
            "there are neither mappings nor a user namespace to take them from",
            "add uidMappings and gidMappings",
        );
    }
    for (key, map) in [("uidMappings", uids), ("gidMappings", gids)] {
        if !no_lists && map.is_empty() {
            report.refuse(at.key(key), "the mount maps only users or only groups", "give both mappings");
        }
        check_map(report, at.key(key), map);
    }
    // As in crun, the lists count where both are given.
    let mappings = if no_lists { of_option } else { Some((uids.clone(), gids.clone())) };
    Some(MountIdMap { recursive: options.id_map == Some(IdMap::Recursive), mappings })
}

fn check_place(report: &mut Report, at: At<'_>, options: &MountOptions, facts: &Facts) {
    if options.bind.is_none() {
        report.refuse(
            at,
            "only a bind mount can map ids",
            "add the option bind or rbind, or leave the mappings out",
        );
    }
    if facts.euid != 0 {
        report.refuse(at, "without root no mount can map ids", "leave the mappings and the option out");
    }
}

/// What the options say after `idmap=` or `ridmap=`. A second option could only take that back, or say it twice.
fn check_option(report: &mut Report, at: At<'_>, mount: &spec::Mount, linux: &Linux) -> Option<Mappings> {
    let at_options = at.key("options");
    let said = mount.options.iter().enumerate().filter_map(|(index, option)| {
        let (name, text) =
            option.split_once('=').map_or((option.as_str(), None), |(name, text)| (name, Some(text)));
        matches!(name, "idmap" | "ridmap").then_some((index, text))
    });
    let all: Vec<_> = said.collect();
    let (index, text) = all.iter().find_map(|(index, text)| text.map(|text| (*index, text)))?;
    let at = at_options.index(index);
    if all.len() > 1 {
        report.refuse(at, "another option of this mount maps ids too", "leave one of them");
        return None;
    }
    let mappings = parse(text, linux)
        .map_err(|message| {
            report.refuse(at, message, "write uids=FIRST-SHOWN-COUNT#...;gids=..., as crun does")
        })
        .ok()?;
    let lists = (mount.uid_mappings.as_slice(), mount.gid_mappings.as_slice());
    if lists != (&[], &[]) && lists != (mappings.0.as_slice(), mappings.1.as_slice()) {
        report.warn(at, "ignored: uidMappings and gidMappings of the mount say otherwise");
    }
    Some(mappings)
}

/// `uids=0-1000-10#20-2000-5;gids=@0-0-10`: ranges of ids of the files, of ids that show, and their lengths. After `@`
/// those that show are the container's, which stand for ids outside.
fn parse(text: &str, linux: &Linux) -> Result<Mappings, String> {
    let (mut uids, mut gids) = (None, None);
    for part in text.split(';').filter(|part| !part.is_empty()) {
        let (map, ranges, container) = match part.split_once('=') {
            Some(("uids", ranges)) => (&mut uids, ranges, &linux.uid_mappings),
            Some(("gids", ranges)) => (&mut gids, ranges, &linux.gid_mappings),
            _ => return Err(format!("{part:?} is neither uids=... nor gids=...")),
        };
        if map.is_some() {
            return Err(format!("{part:?} comes after other ranges of the same kind"));
        }
        let parsed: Vec<_> =
            ranges.split('#').map(|range| parse_range(range, container)).collect::<Result<_, _>>()?;
        check_alone(&parsed).map_err(|message| format!("{part:?}: {message}"))?;
        *map = Some(parsed);
    }
    uids.zip(gids).ok_or_else(|| "it maps only users or only groups".to_owned())
}

fn parse_range(text: &str, container: &[IdMapping]) -> Result<IdMapping, String> {
    let ids = text.strip_prefix('@');
    let numbers: Option<Vec<u32>> = ids.unwrap_or(text).split('-').map(number).collect();
    let Some(&[container_id, host_id, size]) = numbers.as_deref() else {
        return Err(format!("{text:?} is no range of ids: three numbers with - between them"));
    };
    let mapping = IdMapping { container_id, host_id, size };
    if ids.is_none() {
        Ok(mapping)
    } else {
        outside(mapping, container).map_err(|why| format!("{text:?}: {why}"))
    }
}

/// A number without a sign.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// The range with the ids outside that the container's own stand for.
fn outside(range: IdMapping, container: &[IdMapping]) -> Result<IdMapping, &'static str> {
    let offset = |mapping: &IdMapping| {
        range.host_id.checked_sub(mapping.container_id).filter(|offset| *offset < mapping.size)
    };
    let found = container.iter().find_map(|mapping| Some((mapping, offset(mapping)?)));
    let (mapping, offset) = found.ok_or("the user namespace does not map the second number")?;
    if range.size > mapping.size - offset {
        return Err("it goes beyond one mapping of the user namespace; split it");
    }
    let host_id = mapping.host_id.checked_add(offset).ok_or("it goes beyond the largest id")?;
    Ok(IdMapping { host_id, ..range })
}

/// What the kernel would refuse of a map, told without a place in lists that nobody has written.
fn check_alone(map: &[IdMapping]) -> Result<(), String> {
    let mut report = Report::default();
    check_map(&mut report, At::new(""), map);
    let first = |error: super::Error| error.mistakes().first().map(|mistake| mistake.message.clone());
    report.finish(()).map(drop).map_err(|error| first(error).unwrap_or_default())
}
