//! What the specification has and this runtime has not yet: refused by name, so that nothing is dropped in silence.

use super::report::{At, Report};
use crate::spec::Linux;

/// Checks the `linux` object at `at`.
pub(super) fn check_linux(report: &mut Report, at: At<'_>, linux: &Linux) {
    if linux.intel_rdt.is_some() {
        refuse(report, at.key("intelRdt"), "linux.intelRdt");
    }
    if !linux.net_devices.is_empty() {
        refuse(report, at.key("netDevices"), "linux.netDevices");
    }
}

fn refuse(report: &mut Report, at: At<'_>, what: &str) {
    report.refuse(at, format!("{what} is not supported yet"), "leave it out");
}
