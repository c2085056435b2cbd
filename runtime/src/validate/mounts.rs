//! Mounts (config.md, Mounts).

use super::report::{At, Report};
use crate::spec;
use std::path::{Path, PathBuf};

/// A mount that the kernel can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where in the container: absolute, as written, so possibly with `..` and with links on the way.
    pub destination: PathBuf,
    /// The file system type; `bind` for a bind mount, whatever was written.
    pub fs_type: String,
    /// For a bind mount an absolute path outside; otherwise whatever the file system takes, possibly empty.
    pub source: PathBuf,
    /// Whether it is a bind mount: `bind` or `rbind` among its options.
    pub bind: bool,
    /// The options as written.
    pub options: Vec<String>,
}

/// Reads the list of mounts of the bundle in the directory `bundle`.
pub(super) fn check(report: &mut Report, at: At<'_>, mounts: &[spec::Mount], bundle: &Path) -> Vec<Mount> {
    mounts
        .iter()
        .enumerate()
        .map(|(index, mount)| check_mount(report, at.index(index), mount, bundle))
        .collect()
}

fn check_mount(report: &mut Report, at: At<'_>, mount: &spec::Mount, bundle: &Path) -> Mount {
    let bind = mount.options.iter().any(|option| matches!(option.as_str(), "bind" | "rbind"));
    let destination = destination(report, at.key("destination"), &mount.destination);
    Mount {
        destination,
        fs_type: if bind { "bind".to_owned() } else { mount.fs_type.clone() },
        source: if bind { bundle.join(&mount.source) } else { PathBuf::from(&mount.source) },
        bind,
        options: mount.options.clone(),
    }
}

/// A relative destination is old and MUST be read from `/`.
fn destination(report: &mut Report, at: At<'_>, text: &str) -> PathBuf {
    if text.is_empty() {
        report.refuse(at, "it is empty", "say where in the container it goes");
    } else if !text.starts_with('/') {
        report.warn(at, format!("{text:?} is not absolute; it is taken from /"));
    }
    report.no_nul(at, text);
    Path::new("/").join(text)
}
