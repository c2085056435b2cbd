//! What the specification has and this runtime has not yet: refused by name, so that nothing is dropped in silence.

use super::report::{At, Report};
use crate::mount_options::{MountOptions, NOT_SUPPORTED};
use crate::spec::{self, Linux};

/// Checks the `linux` object at `at`.
pub(super) fn check_linux(report: &mut Report, at: At<'_>, linux: &Linux) {
    if linux.intel_rdt.is_some() {
        refuse(report, at.key("intelRdt"), "linux.intelRdt");
    }
    if !linux.net_devices.is_empty() {
        refuse(report, at.key("netDevices"), "linux.netDevices");
    }
}

/// Checks one mount.
pub(super) fn check_mount(report: &mut Report, at: At<'_>, mount: &spec::Mount, options: &MountOptions) {
    for (key, map) in [("uidMappings", &mount.uid_mappings), ("gidMappings", &mount.gid_mappings)] {
        if !map.is_empty() {
            refuse(report, at.key(key), &format!("mounts[].{key}"));
        }
    }
    if options.id_map.is_none() {
        return;
    }
    for (index, option) in mount.options.iter().enumerate() {
        if NOT_SUPPORTED.contains(&option.as_str()) {
            refuse(report, at.key("options").index(index), &format!("the mount option {option}"));
        }
    }
}

fn refuse(report: &mut Report, at: At<'_>, what: &str) {
    report.refuse(at, format!("{what} is not supported yet"), "leave it out");
}
