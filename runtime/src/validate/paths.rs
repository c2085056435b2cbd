//! Masked and read-only paths (config-linux.md, Masked Paths and Readonly Paths), and the names of the host.

use super::namespaces::Namespaces;
use super::report::{At, Report};
use crate::spec::NamespaceKind;
use std::path::PathBuf;

/// The kernel's `__NEW_UTS_LEN`.
const LONGEST_NAME: usize = 64;

/// Reads a list of paths that are covered inside. They MUST be absolute; a path that does not exist is no mistake.
pub(super) fn covered(
    report: &mut Report,
    at: At<'_>,
    paths: &[String],
    namespaces: &Namespaces,
) -> Vec<PathBuf> {
    if !paths.is_empty() && namespaces.is_host(NamespaceKind::Mount) {
        report.refuse(
            at,
            "without a mount namespace these paths would be covered on the host",
            "list a namespace of type \"mount\", or leave the paths out",
        );
    }
    for (index, path) in paths.iter().enumerate() {
        report.absolute(at.index(index), path);
    }
    paths.iter().map(PathBuf::from).collect()
}

/// Reads the host's name or its NIS domain; empty leaves it.
pub(super) fn host_name(
    report: &mut Report,
    at: At<'_>,
    name: &str,
    namespaces: &Namespaces,
) -> Option<String> {
    if name.is_empty() {
        return None;
    }
    if namespaces.is_host(NamespaceKind::Uts) {
        let hint = "list a namespace of type \"uts\", or leave the name out";
        report.refuse(at, "without a UTS namespace the host's own name would change", hint);
    }
    if name.len() > LONGEST_NAME {
        let hint = format!("the kernel takes at most {LONGEST_NAME}");
        report.refuse(at, format!("the name has {} bytes", name.len()), hint);
    }
    report.no_nul(at, name);
    Some(name.to_owned())
}
