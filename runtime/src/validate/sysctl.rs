//! Kernel parameters (config-linux.md, Sysctl): only those that a namespace of the container's own holds.
//!
//! That a joined namespace is the runtime's own after all cannot be seen in the text: whoever opens its file compares
//! the two.

use super::namespaces::{self, Namespaces};
use super::report::{At, Report};
use crate::spec::NamespaceKind;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A kernel parameter that only the container sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sysctl {
    /// Its file, relative to `/proc/sys`, of plain names only: no `.`, `..` or empty component.
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
    namespaces: &Namespaces,
) -> Option<Sysctl> {
    let path = slashed(name);
    // `net/../kernel/core_pattern` begins with net too, and is the host's.
    if path.split('/').any(|part| matches!(part, "" | "." | "..") || part.contains('\0')) {
        report.refuse(at, format!("{name:?} does not name a parameter"), "as in net.ipv4.ip_forward");
        return None;
    }
    report.no_nul(at, value);
    match holder(&path) {
        Holder::Namespace(kind) if namespaces.is_host(kind) => report.refuse(
            at,
            format!("it would change the host's {} namespace", namespaces::name(kind)),
            format!("list a namespace of type {:?}", namespaces::name(kind)),
        ),
        Holder::Namespace(_) => {}
        Holder::Hostname => report.refuse(at, "it is set by another field", "use /hostname"),
        Holder::Host => report.refuse(at, "no namespace holds it: it would change the host", "leave it out"),
    }
    Some(Sysctl { path: path.into(), value: value.to_owned() })
}

/// The kind of the namespaces that hold a parameter, by its name in either notation.
pub(crate) fn held_by(name: &str) -> Option<NamespaceKind> {
    match holder(&slashed(name)) {
        Holder::Namespace(kind) => Some(kind),
        Holder::Hostname | Holder::Host => None,
    }
}

/// Who has a value of its own of a parameter.
enum Holder {
    /// Each namespace of this kind.
    Namespace(NamespaceKind),
    /// The UTS namespace, but through `hostname`.
    Hostname,
    /// The machine.
    Host,
}

/// `namespaces(7)` and the manual pages of each kind.
fn holder(path: &str) -> Holder {
    match path {
        "kernel/msgmax"
        | "kernel/msgmnb"
        | "kernel/msgmni"
        | "kernel/sem"
        | "kernel/shmall"
        | "kernel/shmmax"
        | "kernel/shmmni"
        | "kernel/shm_rmid_forced" => Holder::Namespace(NamespaceKind::Ipc),
        "kernel/domainname" => Holder::Namespace(NamespaceKind::Uts),
        "kernel/hostname" => Holder::Hostname,
        _ if path.starts_with("fs/mqueue/") => Holder::Namespace(NamespaceKind::Ipc),
        _ if path.starts_with("net/") => Holder::Namespace(NamespaceKind::Network),
        // Limits on the namespaces of a user namespace: without one they are those of the whole machine.
        _ if path.starts_with("user/") => Holder::Namespace(NamespaceKind::User),
        _ => Holder::Host,
    }
}

/// The name with slashes. The first separator says which notation it is; in the dotted one a slash stands for a dot
/// within a name, as in `net.ipv4.conf.eno2/100.rp_filter` (`sysctl.d(5)`).
fn slashed(name: &str) -> String {
    match name.find(['.', '/']) {
        Some(first) if name.as_bytes()[first] == b'.' => name.chars().map(swapped).collect(),
        _ => name.to_owned(),
    }
}

const fn swapped(c: char) -> char {
    match c {
        '.' => '/',
        '/' => '.',
        other => other,
    }
}
