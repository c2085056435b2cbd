//! The root file system (config.md, Root) and its propagation.

use super::report::{At, Report};
use crate::spec;
use std::path::{Path, PathBuf};

/// The root file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Absolute.
    pub path: PathBuf,
    /// Whether it is read-only inside.
    pub readonly: bool,
    /// `MS_*` flags of its propagation; none when nothing is said.
    pub propagation: Option<u64>,
}

/// `mount(2)`, and its options in the shape of `config.json`.
const PROPAGATIONS: [(&str, u64); 8] = [
    ("private", libc::MS_PRIVATE),
    ("rprivate", libc::MS_PRIVATE | libc::MS_REC),
    ("rshared", libc::MS_SHARED | libc::MS_REC),
    ("rslave", libc::MS_SLAVE | libc::MS_REC),
    ("runbindable", libc::MS_UNBINDABLE | libc::MS_REC),
    ("shared", libc::MS_SHARED),
    ("slave", libc::MS_SLAVE),
    ("unbindable", libc::MS_UNBINDABLE),
];

/// Reads the root of the document at `at`; a relative path counts from the bundle.
pub(super) fn check(
    report: &mut Report,
    at: At<'_>,
    root: Option<&spec::Root>,
    bundle: &Path,
    propagation: &str,
) -> Root {
    let at_root = at.key("root");
    match root {
        None => report.refuse(at_root, "there is no root file system", "add {\"path\": \"rootfs\"}"),
        Some(root) if root.path.is_empty() => {
            report.refuse(at_root.key("path"), "it is empty", "say where the root file system is");
        }
        Some(root) => {
            report.no_nul(at_root.key("path"), &root.path);
        }
    }
    let path = root.map_or_else(PathBuf::new, |root| bundle.join(&root.path));
    let at_propagation = at.key("linux");
    Root {
        path,
        readonly: root.is_some_and(|root| root.readonly),
        propagation: flags(report, at_propagation.key("rootfsPropagation"), propagation),
    }
}

fn flags(report: &mut Report, at: At<'_>, name: &str) -> Option<u64> {
    if name.is_empty() {
        return None;
    }
    let found = PROPAGATIONS.into_iter().find(|(known, _)| *known == name).map(|(_, flags)| flags);
    if found.is_none() {
        report.refuse(
            at,
            format!("{name:?} is not a propagation"),
            "private, shared, slave or unbindable, also with an r before",
        );
    }
    found
}
