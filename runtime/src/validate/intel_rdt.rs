//! Intel RDT (config-linux.md, IntelRdt).

use super::report::{At, Report};
use crate::spec::IntelRdt;

/// Directories that the kernel itself keeps in a resctrl file system.
pub(crate) const RESERVED: [&str; 3] = ["info", "mon_groups", "mon_data"];

/// Checks what the specification says of the values; whether the machine has such a file system is asked later, where
/// the container is made.
pub(super) fn check(report: &mut Report, at: At<'_>, rdt: &IntelRdt) {
    check_class(report, at.key("closID"), &rdt.clos_id);
    schema(report, at.key("l3CacheSchema"), &rdt.l3_cache_schema, "");
    schema(report, at.key("memBwSchema"), &rdt.mem_bw_schema, "MB:");
    for (index, line) in rdt.schemata.iter().enumerate() {
        let at = at.key("schemata");
        schema(report, at.index(index), line, "");
        if line.is_empty() {
            report.refuse(at.index(index), "the line is empty", "leave it out, or write one such as L3:0=f");
        }
    }
    if !rdt.l3_cache_schema.is_empty() && !rdt.l3_cache_schema.starts_with("L3:") {
        report.warn(at.key("l3CacheSchema"), "it does not begin with \"L3:\"; written as it is");
    }
}

/// A name of one directory, or `/` for the default class.
fn check_class(report: &mut Report, at: At<'_>, id: &str) {
    let bad = id.contains(['/', '\n', '\0']) || matches!(id, "." | "..") || RESERVED.contains(&id);
    if bad && id != "/" {
        let hint = "the name of one directory of the resctrl file system, or \"/\" for the default class";
        report.refuse(at, format!("{id:?} is no class of service"), hint);
    }
}

/// One line of the schemata file, with what it must begin with.
fn schema(report: &mut Report, at: At<'_>, line: &str, prefix: &str) {
    if line.contains(['\n', '\0']) {
        report.refuse(at, "it contains a line break or a NUL byte", "one line such as L3:0=f;1=f");
    }
    if !line.is_empty() && !line.starts_with(prefix) {
        report.refuse(at, format!("{line:?} does not begin with {prefix:?}"), format!("{prefix}0=50;1=50"));
    }
}
