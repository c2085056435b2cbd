//! Mounts (config.md, Mounts).

use super::mappings::maps;
use super::mount_ids::{self, MountIdMap};
use super::report::{At, Report};
use super::{Facts, Namespaces};
use crate::mount_options::MountOptions;
use crate::spec::{self, Linux};
use std::path::{Component, Path, PathBuf};

/// A mount that the kernel can be asked for.
///
/// What only a look at the file system can show is left to the time of mounting: that nothing but a procfs is bound
/// at `/proc`, and that no link on the way leads below it (CVE-2019-16884, CVE-2023-27561).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where in the container: absolute, as written, so possibly with `..` and with links on the way.
    pub destination: PathBuf,
    /// The file system type; `bind` for a bind mount, whatever was written.
    pub fs_type: String,
    /// For a bind mount an absolute path outside; otherwise whatever the file system takes, possibly empty.
    pub source: PathBuf,
    /// The options.
    pub options: MountOptions,
    /// How the owners of a bind mount's files are shown.
    pub id_map: Option<MountIdMap>,
}

impl Mount {
    /// Whether it is a bind mount: one with `bind` or `rbind` among its options.
    #[must_use]
    pub fn is_bind(&self) -> bool {
        self.options.bind.is_some()
    }
}

/// Files below `/proc` that may be covered: LXCFS shows the container's own values there. The list is runc's.
pub const COVERABLE: [&str; 10] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/slabinfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/sys/crypto/fips_enabled",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/uptime",
];

/// Reads the list of mounts of the bundle in the directory `bundle`.
pub(super) fn check(
    report: &mut Report,
    at: At<'_>,
    mounts: &[spec::Mount],
    bundle: &Path,
    linux: &Linux,
    namespaces: &Namespaces,
    facts: &Facts,
) -> Vec<Mount> {
    let mut checked = Vec::with_capacity(mounts.len());
    for (index, written) in mounts.iter().enumerate() {
        let at = at.index(index);
        let mut mount = check_mount(report, at, written, bundle);
        let wanted = mount_ids::Wanted { mount: written, options: &mount.options };
        mount.id_map = mount_ids::check(report, at, &wanted, linux, namespaces, facts);
        check_proc(report, at.key("destination"), &mount);
        if facts.euid != 0 {
            check_rootless(report, at, written, linux);
        }
        checked.push(mount);
    }
    checked
}

fn check_mount(report: &mut Report, at: At<'_>, mount: &spec::Mount, bundle: &Path) -> Mount {
    for (key, text) in [("type", &mount.fs_type), ("source", &mount.source)] {
        report.no_nul(at.key(key), text);
    }
    for (index, option) in mount.options.iter().enumerate() {
        report.no_nul(at.key("options").index(index), option);
    }
    let options = MountOptions::parse(&mount.options);
    let bind = options.bind.is_some();
    if bind {
        check_bind(report, at, mount, &options);
    } else if !options.remount {
        check_type(report, at.key("type"), &mount.fs_type);
    }
    if options.tmpcopyup && (bind || options.remount || mount.fs_type != "tmpfs") {
        let index = mount.options.iter().position(|option| option == "tmpcopyup").unwrap_or_default();
        report.refuse(
            at.key("options").index(index),
            "only a new tmpfs can be filled with what it covers",
            "leave tmpcopyup out",
        );
    }
    Mount {
        destination: destination(report, at.key("destination"), &mount.destination),
        fs_type: if bind { "bind".to_owned() } else { mount.fs_type.clone() },
        source: if bind { bundle.join(&mount.source) } else { PathBuf::from(&mount.source) },
        options,
        id_map: None,
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

fn check_bind(report: &mut Report, at: At<'_>, mount: &spec::Mount, options: &MountOptions) {
    if mount.source.is_empty() {
        report.refuse(at.key("source"), "a bind mount needs a source", "say what is mounted there");
    }
    for option in &options.data {
        let index = mount.options.iter().position(|written| written == option).unwrap_or_default();
        let options = at.key("options");
        let at = options.index(index);
        let message = format!("{option:?} is an option of a file system, which a bind mount does not make");
        if option.contains('=') {
            // config.md wants what is unknown to go to mount(2), which ignores it here.
            report.warn(at, format!("ignored: {message}"));
        } else {
            // A misspelt flag: whoever wrote it relies on it, and the kernel would say nothing.
            report.refuse(at, message, "leave it out, or check its spelling");
        }
    }
}

fn check_type(report: &mut Report, at: At<'_>, fs_type: &str) {
    match fs_type {
        "" => report.refuse(at, "there is no file system type", "name one, or add the option bind or rbind"),
        "bind" => report.refuse(at, "no file system has this type", "add the option bind or rbind"),
        _ => {}
    }
}

/// Nothing may cover `/proc` or what lies below: the runtime and the container's own programs trust it.
fn check_proc(report: &mut Report, at: At<'_>, mount: &Mount) {
    let place = cleaned(&mount.destination);
    if !place.starts_with("/proc") {
        return;
    }
    if place == Path::new("/proc") {
        if !mount.is_bind() && mount.fs_type != "proc" {
            let message = format!("a file system of type {:?} may not cover /proc", mount.fs_type);
            report.refuse(at, message, "only one of type proc may");
        }
    } else if !COVERABLE.into_iter().any(|file| place == Path::new(file)) {
        let message = format!("{} lies in /proc, which may not be covered", mount.destination.display());
        report.refuse(at, message, "mount it elsewhere, or use /linux/maskedPaths");
    }
}

/// The path without `.`, `..` and doubled slashes, as it would be without links.
fn cleaned(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::ParentDir => {
                clean.pop();
            }
            Component::Normal(name) => clean.push(name),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    clean
}

/// Without root, a file system cannot give its files to an id that nobody outside stands for.
fn check_rootless(report: &mut Report, at: At<'_>, mount: &spec::Mount, linux: &Linux) {
    for (index, option) in mount.options.iter().enumerate() {
        let (map, id) = match option.split_once('=') {
            Some(("uid", id)) => (&linux.uid_mappings, id),
            Some(("gid", id)) => (&linux.gid_mappings, id),
            _ => continue,
        };
        // With a joined namespace the mappings are not known here.
        if !map.is_empty() && id.parse().is_ok_and(|id| !maps(map, id)) {
            let message = format!("{option:?} names an id without a mapping");
            report.refuse(at.key("options").index(index), message, "map it in /linux, or leave it out");
        }
    }
}
