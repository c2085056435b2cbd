//! Fields of the `linux` object that are a number or a list of numbers to the kernel.

use super::lists::bit_list;
use super::namespaces::{Namespaces, Placement};
use super::report::{At, Report};
use crate::spec::{self, NamespaceKind, TimeOffset};
use serde::Serialize;
use std::collections::BTreeMap;

/// Offsets of the clocks of a new time namespace (`time_namespaces(7)`); nanoseconds are below a thousand million.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct TimeOffsets {
    /// Of `CLOCK_MONOTONIC`.
    pub monotonic: Option<TimeOffset>,
    /// Of `CLOCK_BOOTTIME`.
    pub boottime: Option<TimeOffset>,
}

/// A NUMA memory policy (`set_mempolicy(2)`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryPolicy {
    /// `MPOL_*`, with `MPOL_F_*`.
    pub mode: u32,
    /// A bit per node, lowest first; empty for none.
    pub nodes: Vec<u64>,
}

/// Reads the offsets; they can be set only while a time namespace has no member yet, so in a new one.
pub(super) fn time_offsets(
    report: &mut Report,
    at: At<'_>,
    written: &BTreeMap<String, TimeOffset>,
    namespaces: &Namespaces,
) -> TimeOffsets {
    match namespaces.get(NamespaceKind::Time) {
        Placement::New => {}
        _ if written.is_empty() => {}
        Placement::Host => report.refuse(
            at,
            "time offsets without a time namespace",
            "list a namespace of type \"time\", or leave the offsets out",
        ),
        Placement::Join(_) => report.refuse(
            at,
            "the offsets of a joined time namespace cannot be changed",
            "leave them out, or take the path from the namespace",
        ),
    }
    let mut offsets = TimeOffsets::default();
    for (clock, offset) in written {
        let at = at.key(clock);
        if offset.nanosecs >= 1_000_000_000 {
            report.refuse(at.key("nanosecs"), format!("{} is a second or more", offset.nanosecs), "use secs");
        }
        match clock.as_str() {
            "monotonic" => offsets.monotonic = Some(*offset),
            "boottime" => offsets.boottime = Some(*offset),
            _ => {
                report.refuse(at, format!("{clock:?} is not a clock with an offset"), "monotonic or boottime")
            }
        }
    }
    offsets
}

/// Reads a personality into the number of `personality(2)`.
pub(super) fn personality(report: &mut Report, at: At<'_>, personality: &spec::Personality) -> u64 {
    const PER_LINUX: u64 = 0;
    const PER_LINUX32: u64 = 8;
    if !personality.flags.is_empty() {
        report.refuse(at.key("flags"), "the specification has no flags yet", "leave it out");
    }
    match personality.domain.as_str() {
        "LINUX" => PER_LINUX,
        "LINUX32" => PER_LINUX32,
        other => {
            report.refuse(at.key("domain"), format!("{other:?} is not a domain"), "LINUX or LINUX32");
            PER_LINUX
        }
    }
}

/// How many nodes a memory policy takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nodes {
    /// None at all.
    None,
    /// None or some.
    Any,
    /// At least one.
    Some,
}

/// `<linux/mempolicy.h>`: each mode's number and what it asks of the nodes.
pub(crate) const MODES: [(&str, u32, Nodes); 7] = [
    ("MPOL_DEFAULT", 0, Nodes::None),
    ("MPOL_PREFERRED", 1, Nodes::Any),
    ("MPOL_BIND", 2, Nodes::Some),
    ("MPOL_INTERLEAVE", 3, Nodes::Some),
    ("MPOL_LOCAL", 4, Nodes::None),
    ("MPOL_PREFERRED_MANY", 5, Nodes::Some),
    ("MPOL_WEIGHTED_INTERLEAVE", 6, Nodes::Some),
];

/// `MPOL_F_*` by name.
pub(crate) const MODE_FLAGS: [(&str, u32); 3] = [
    ("MPOL_F_NUMA_BALANCING", 1 << 13),
    ("MPOL_F_RELATIVE_NODES", 1 << 14),
    ("MPOL_F_STATIC_NODES", 1 << 15),
];

/// Reads a memory policy.
pub(super) fn memory_policy(report: &mut Report, at: At<'_>, policy: &spec::MemoryPolicy) -> MemoryPolicy {
    let nodes = bit_list(report, at.key("nodes"), &policy.nodes);
    let mut mode = 0;
    match MODES.into_iter().find(|(name, ..)| *name == policy.mode) {
        None => report.refuse(
            at.key("mode"),
            format!("{:?} is not a memory policy", policy.mode),
            "set_mempolicy(2) has them, such as MPOL_BIND",
        ),
        Some((name, number, wanted)) => {
            mode = number;
            match wanted {
                Nodes::None if !nodes.is_empty() => {
                    report.refuse(at.key("nodes"), format!("{name} takes no nodes"), "leave them out");
                }
                Nodes::Some if policy.nodes.is_empty() => {
                    report.refuse(
                        at.key("nodes"),
                        format!("{name} needs nodes"),
                        "write a list such as 0-3,7",
                    );
                }
                _ => {}
            }
        }
    }
    MemoryPolicy { mode: mode | mode_flags(report, at.key("flags"), &policy.flags), nodes }
}

fn mode_flags(report: &mut Report, at: At<'_>, names: &[String]) -> u32 {
    let mut mask = 0;
    for (index, name) in names.iter().enumerate() {
        match MODE_FLAGS.into_iter().find(|(known, _)| known == name) {
            Some((_, flag)) => mask |= flag,
            None => report.refuse(
                at.index(index),
                format!("{name:?} is not a flag of memory policies"),
                "set_mempolicy(2) has them, such as MPOL_F_STATIC_NODES",
            ),
        }
    }
    mask
}
