//! The control groups: which hierarchies there are, and whether this user may make groups in them.

use super::{Finding, Status, read};
use crate::cgroup::{ControllerSet, HierarchyKind, Layout};
use std::path::Path;

const AREA: &str = "cgroups";

pub(super) fn examine() -> Vec<Finding> {
    let layout = match Layout::load_with_own(ControllerSet::default()) {
        Ok(layout) => layout,
        Err(error) => {
            let mend = "mount -t cgroup2 cgroup2 /sys/fs/cgroup";
            return vec![
                Finding::wanting(AREA, "hierarchies", Status::Missing, error.to_string(), mend),
                systemd(),
            ];
        }
    };
    let mut findings = vec![Finding::ok(AREA, "layout", format!("{:?}", layout.mode()).to_lowercase())];
    for hierarchy in &layout.hierarchies {
        let own = format!("{}{}", hierarchy.mount_point, hierarchy.own.trim_end_matches('/'));
        findings.push(match &hierarchy.kind {
            HierarchyKind::Unified => writable("cgroup v2", &own),
            HierarchyKind::V1(_) | HierarchyKind::Named(_) => {
                writable(&format!("v1 {}", hierarchy.mount_point), &own)
            }
        });
        if hierarchy.kind == HierarchyKind::Unified {
            findings.push(controllers(&own));
        }
    }
    findings.push(systemd());
    findings
}

/// Whether groups can be made below the group of this process.
fn writable(name: &str, own: &str) -> Finding {
    match mydocker_sys::fs::writable(Path::new(own)) {
        Ok(()) => Finding::ok(AREA, name, format!("{own} can be written")),
        Err(error) => {
            let mend =
                "run as root, or have the group delegated: systemd-run --user --scope -p Delegate=yes ...";
            Finding::wanting(AREA, name, Status::Missing, error.to_string(), mend)
        }
    }
}

/// What of cgroup v2 is passed down to this process's group.
fn controllers(own: &str) -> Finding {
    const NAME: &str = "v2 controllers";
    let held = read(Path::new(own).join("cgroup.controllers")).unwrap_or_default();
    if held.is_empty() {
        let detail = "none: limits are set by v1, or not at all";
        let mend =
            "boot with systemd.unified_cgroup_hierarchy=1 or cgroup_no_v1=all, or have controllers delegated";
        return Finding::wanting(AREA, NAME, Status::Limited, detail, mend);
    }
    Finding::ok(AREA, NAME, held)
}

fn systemd() -> Finding {
    let runs = Path::new("/run/systemd/system").is_dir();
    let bus = Path::new("/run/dbus/system_bus_socket").exists();
    let mend = "boot with systemd and start dbus, or use the cgroupfs driver";
    match (runs, bus) {
        (true, true) => Finding::ok(AREA, "systemd", "it runs and has a bus"),
        (true, false) => {
            Finding::wanting(AREA, "systemd", Status::Limited, "it runs, and there is no system bus", mend)
        }
        (false, _) => Finding::wanting(AREA, "systemd", Status::Missing, "it is not the first process", mend),
    }
}
