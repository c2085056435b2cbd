//! Kernel parameters (config-linux.md, Sysctl): only those that a namespace of the container's own holds.

use super::namespaces::Namespaces;
use super::report::{At, Report};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A kernel parameter that only the container sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sysctl {
    /// Its file, relative to `/proc/sys`, of plain names only.
    pub path: PathBuf,
    /// What is written there.
    pub value: String,
}

/// Reads the parameters; what would change the host's is refused.
pub(super) fn check(
    report: &mut Report,
    at: At<'_>,
    sysctl: &BTreeMap<String, String>,
    namespaces: &Namespaces,
) -> Vec<Sysctl> {
    sysctl
        .iter()
        .filter_map(|(name, value)| parameter(report, at.key(name), name, value, namespaces))
        .collect()
}

fn parameter(
    report: &mut Report,
    at: At<'_>,
    name: &str,
    value: &str,
    _namespaces: &Namespaces,
) -> Option<Sysctl> {
    report.no_nul(at, value);
    Some(Sysctl { path: slashed(name).into(), value: value.to_owned() })
}

/// The name with slashes. The first separator says which notation it is; in the dotted one a slash stands for a dot
/// within a name, as in `net.ipv4.conf.eno2/100.rp_filter` (`sysctl.d(5)`).
fn slashed(name: &str) -> String {
    match name.find(['.', '/']) {
        Some(first) if name.as_bytes()[first] == b'.' => name
            .chars()
            .map(|c| match c {
                '.' => '/',
                '/' => '.',
                other => other,
            })
            .collect(),
        _ => name.to_owned(),
    }
}
