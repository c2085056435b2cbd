//! User namespaces and their id mappings (`user_namespaces(7)`).

use super::namespaces::{Namespaces, Placement};
use super::report::{At, Report};
use super::{Facts, Process};
use crate::spec::{IdMapping, Linux, NamespaceKind};

/// The lines that the kernel takes in a map since Linux 4.15 (`UID_GID_MAP_MAX_EXTENTS`).
const MOST: usize = 340;

/// Checks both maps of the object at `at`, and that they are there if and only if a user namespace is.
pub(super) fn check(report: &mut Report, at: At<'_>, linux: &Linux, namespaces: &Namespaces, facts: &Facts) {
    let maps = [("uidMappings", &linux.uid_mappings), ("gidMappings", &linux.gid_mappings)];
    let placement = namespaces.get(NamespaceKind::User);
    if *placement == Placement::Host && facts.euid != 0 {
        report.refuse(
            at.key("namespaces"),
            "without root a container needs a user namespace",
            "list one of type \"user\", with mappings; `spec --rootless` shows how",
        );
    }
    for (key, map) in maps {
        let at = at.key(key);
        match placement {
            Placement::New => check_needed(report, at, map),
            Placement::Host if !map.is_empty() => report.refuse(
                at,
                "id mappings without a user namespace",
                "list a namespace of type \"user\", or leave the mappings out",
            ),
            // containerd and CRI-O write both, and runc has to take it.
            Placement::Join(_) if !map.is_empty() => {
                report.warn(at, "the joined user namespace has mappings already; these must be the same");
            }
            Placement::Host | Placement::Join(_) => {}
        }
        check_map(report, at, map);
    }
}

/// The set-up of a container acts as its root, which therefore has to be somebody outside.
fn check_needed(report: &mut Report, at: At<'_>, map: &[IdMapping]) {
    if map.is_empty() {
        report.refuse(at, "a new user namespace needs mappings", "map at least the container's id 0");
    } else if !maps(map, 0) {
        report.refuse(at, "the container's id 0 has no mapping", "add a mapping with containerID 0");
    }
}

/// What the kernel would refuse of a map.
pub(super) fn check_map(report: &mut Report, at: At<'_>, map: &[IdMapping]) {
    if map.len() > MOST {
        report.refuse(at, format!("{} mappings", map.len()), format!("the kernel takes at most {MOST}"));
        return;
    }
    for (index, mapping) in map.iter().enumerate() {
        check_range(report, at.index(index), *mapping);
    }
    check_overlap(report, at, map, "containerID", |mapping| mapping.container_id);
    check_overlap(report, at, map, "hostID", |mapping| mapping.host_id);
}

fn check_range(report: &mut Report, at: At<'_>, mapping: IdMapping) {
    if mapping.size == 0 {
        report.refuse(at.key("size"), "it maps nothing", "at least 1");
    }
    for (key, first) in [("containerID", mapping.container_id), ("hostID", mapping.host_id)] {
        if first.checked_add(mapping.size).is_none() {
            let message = format!("{first} and {} more go beyond the largest id", mapping.size);
            report.refuse(at.key(key), message, "the largest id is 4294967294");
        }
    }
}

/// The kernel refuses a map in which an id occurs twice, on either side.
fn check_overlap(
    report: &mut Report,
    at: At<'_>,
    map: &[IdMapping],
    key: &str,
    first: impl Fn(&IdMapping) -> u32,
) {
    let mut order: Vec<usize> = (0..map.len()).collect();
    order.sort_by_key(|index| first(&map[*index]));
    for pair in order.windows(2) {
        let (low, high) = (&map[pair[0]], &map[pair[1]]);
        if u64::from(first(low)) + u64::from(low.size) > u64::from(first(high)) {
            let message = format!("{} lies in mapping {} too", first(high), pair[0]);
            report.refuse(at.index(pair[1]).key(key), message, "map each id once");
        }
    }
}

/// Refuses ids of the process that would be nobody's in a new user namespace: no call can set them.
pub(super) fn check_process(
    report: &mut Report,
    at: At<'_>,
    process: &Process,
    linux: &Linux,
    namespaces: &Namespaces,
    facts: &Facts,
) {
    if !namespaces.is_new(NamespaceKind::User) {
        return;
    }
    let mut check = |at: At<'_>, map: &[IdMapping], id| {
        if !map.is_empty() && !maps(map, id) {
            report.refuse(at, format!("{id} has no mapping in the user namespace"), "map it in /linux");
        }
    };
    check(at.key("uid"), &linux.uid_mappings, process.uid);
    check(at.key("gid"), &linux.gid_mappings, process.gid);
    for (index, gid) in process.additional_gids.iter().enumerate() {
        check(at.key("additionalGids").index(index), &linux.gid_mappings, *gid);
    }
    let one_group = matches!(linux.gid_mappings.as_slice(), [IdMapping { size: 1, .. }]);
    if facts.euid != 0 && one_group && !process.additional_gids.is_empty() {
        // Who maps the one own group has to give up setgroups (CVE-2014-8989).
        report.refuse(
            at.key("additionalGids"),
            "cannot set any additional groups in a rootless container with a single group",
            "leave them out, or map a range of groups in /linux/gidMappings",
        );
    }
}

/// Whether the map has the container's id.
pub(super) fn maps(map: &[IdMapping], id: u32) -> bool {
    map.iter().any(|mapping| id.checked_sub(mapping.container_id).is_some_and(|offset| offset < mapping.size))
}
