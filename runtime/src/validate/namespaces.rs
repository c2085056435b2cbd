//! Which namespaces are made, joined or shared with the runtime (config-linux.md, Namespaces).

use super::report::{At, Report};
use crate::spec::{Namespace, NamespaceKind};
use std::path::{Path, PathBuf};

/// Every kind, in the order of [`Namespaces`]' storage.
const KINDS: [NamespaceKind; 8] = [
    NamespaceKind::User,
    NamespaceKind::Pid,
    NamespaceKind::Network,
    NamespaceKind::Ipc,
    NamespaceKind::Uts,
    NamespaceKind::Mount,
    NamespaceKind::Cgroup,
    NamespaceKind::Time,
];

/// Where the container stands in one kind of namespace.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Placement {
    /// In the runtime's own namespace.
    #[default]
    Host,
    /// In a new one.
    New,
    /// In the one behind this file; the path is absolute.
    Join(PathBuf),
}

/// The placement in every kind of namespace.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Namespaces {
    placements: [Placement; KINDS.len()],
}

const fn slot(kind: NamespaceKind) -> usize {
    match kind {
        NamespaceKind::User => 0,
        NamespaceKind::Pid => 1,
        NamespaceKind::Network => 2,
        NamespaceKind::Ipc => 3,
        NamespaceKind::Uts => 4,
        NamespaceKind::Mount => 5,
        NamespaceKind::Cgroup => 6,
        NamespaceKind::Time => 7,
    }
}

impl Namespaces {
    /// The placement in one kind.
    #[must_use]
    pub fn get(&self, kind: NamespaceKind) -> &Placement {
        &self.placements[slot(kind)]
    }

    /// Whether a namespace of this kind is made.
    #[must_use]
    pub fn is_new(&self, kind: NamespaceKind) -> bool {
        *self.get(kind) == Placement::New
    }

    /// Whether the container shares this kind with the runtime.
    #[must_use]
    pub fn is_host(&self, kind: NamespaceKind) -> bool {
        *self.get(kind) == Placement::Host
    }

    /// The kinds that are made, the user namespace first, because it owns the others.
    pub fn new_kinds(&self) -> impl Iterator<Item = NamespaceKind> + '_ {
        KINDS.into_iter().filter(|kind| self.is_new(*kind))
    }

    /// The kinds that are joined and their files, the user namespace first: it gives the right to join the others.
    pub fn joined(&self) -> impl Iterator<Item = (NamespaceKind, &Path)> {
        KINDS.into_iter().filter_map(|kind| match self.get(kind) {
            Placement::Join(path) => Some((kind, path.as_path())),
            Placement::Host | Placement::New => None,
        })
    }
}

/// Reads the list. A kind that is listed twice MUST be refused, and a path MUST be absolute.
pub(super) fn check(report: &mut Report, at: At<'_>, listed: &[Namespace]) -> Namespaces {
    let mut namespaces = Namespaces::default();
    for (index, namespace) in listed.iter().enumerate() {
        let at = at.index(index);
        if !namespaces.is_host(namespace.kind) {
            report.refuse(
                at.key("type"),
                format!("a {} namespace is listed already", name(namespace.kind)),
                "list each kind once",
            );
            continue;
        }
        namespaces.placements[slot(namespace.kind)] = placement(report, at, &namespace.path);
    }
    namespaces
}

fn placement(report: &mut Report, at: At<'_>, path: &str) -> Placement {
    if path.is_empty() {
        return Placement::New;
    }
    report.absolute(at.key("path"), path);
    Placement::Join(path.into())
}

/// The name of a kind in `config.json`.
pub(super) const fn name(kind: NamespaceKind) -> &'static str {
    match kind {
        NamespaceKind::User => "user",
        NamespaceKind::Pid => "pid",
        NamespaceKind::Network => "network",
        NamespaceKind::Ipc => "ipc",
        NamespaceKind::Uts => "uts",
        NamespaceKind::Mount => "mount",
        NamespaceKind::Cgroup => "cgroup",
        NamespaceKind::Time => "time",
    }
}
