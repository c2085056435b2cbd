//! The mounts of a container that come from outside: criu neither saves nor makes them, but must be told of each.

use crate::cgroup::{CgroupRecord, Mode};
use crate::spec::{NamespaceKind, Spec};
use crate::validate::ValidSpec;
use std::path::{Component, Path, PathBuf};

/// Pairs of a place inside and of what is there.
pub type ExternalMounts = Vec<(String, String)>;

/// The mounts from outside of a running container. `resolve` follows links inside the container.
pub fn for_dump(
    spec: &ValidSpec,
    cgroup: Option<&CgroupRecord>,
    mut resolve: impl FnMut(&Path) -> Option<PathBuf>,
) -> ExternalMounts {
    let mut pairs: ExternalMounts = Vec::new();
    let mut add = |inside: &Path| {
        let place = text(&resolve(inside).unwrap_or_else(|| normal(inside)));
        pairs.push((place.clone(), place));
    };
    for (inside, _) in binds(spec, cgroup) {
        add(&inside);
    }
    devices(spec).for_each(|path| add(&path));
    pairs
}

/// The same mounts for a container that comes back, with their sources.
#[must_use]
pub fn for_restore(
    spec: &ValidSpec,
    cgroup: Option<&CgroupRecord>,
    mut resolve: impl FnMut(&Path) -> Option<PathBuf>,
) -> ExternalMounts {
    let mut pairs: ExternalMounts = Vec::new();
    for (inside, source) in binds(spec, cgroup) {
        let place = resolve(&inside).unwrap_or_else(|| normal(&inside));
        pairs.push((text(&place), text(&source)));
    }
    pairs.extend(devices(spec).map(|path| (text(&path), text(&path))));
    if !spec.masked_paths.is_empty() {
        pairs.push(("/dev/null".into(), "/dev/null".into()));
    }
    pairs
}

/// Bind mounts and cgroups that are bound: the place inside and the source.
fn binds(spec: &ValidSpec, cgroup: Option<&CgroupRecord>) -> Vec<(PathBuf, PathBuf)> {
    let mut binds = Vec::new();
    for mount in &spec.mounts {
        if mount.is_bind() {
            binds.push((mount.destination.clone(), mount.source.clone()));
        } else if matches!(mount.fs_type.as_str(), "cgroup" | "cgroup2") {
            binds.extend(cgroups(spec, cgroup, &mount.destination));
        }
    }
    binds
}

/// On v1 each hierarchy is bound in a directory of a tmpfs; on v2 the one is bound where there is no cgroup namespace.
fn cgroups(spec: &ValidSpec, cgroup: Option<&CgroupRecord>, inside: &Path) -> Vec<(PathBuf, PathBuf)> {
    let Some(record) = cgroup else { return Vec::new() };
    if record.mode == Mode::V2 {
        let shared = spec.namespaces.is_host(NamespaceKind::Cgroup);
        let directory = record.unified().filter(|_| shared);
        return directory.map(|directory| (inside.to_owned(), directory.absolute())).into_iter().collect();
    }
    let v1 = record.directories.iter().filter(|directory| !directory.is_unified());
    v1.map(|directory| {
        let option = directory.hierarchy.to_string();
        let name = option.strip_prefix("name=").unwrap_or(&option).to_owned();
        (inside.join(name), directory.absolute())
    })
    .collect()
}

/// In a user namespace devices are bound from the host.
fn devices(spec: &ValidSpec) -> impl Iterator<Item = PathBuf> + '_ {
    const DEFAULT: [&str; 6] =
        ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"];
    let bound = !spec.namespaces.is_host(NamespaceKind::User);
    let defaults = DEFAULT.into_iter().map(PathBuf::from);
    let own = spec.devices.iter().map(|device| device.path.clone());
    defaults.chain(own).filter(move |_| bound)
}

/// The files among the masked paths: the null device is bound over each.
pub(crate) fn masked_files(spec: &Spec, is_file: impl Fn(&str) -> bool) -> ExternalMounts {
    let paths = spec.linux.iter().flat_map(|linux| &linux.masked_paths);
    paths.filter(|path| is_file(path)).map(|path| (path.clone(), "/dev/null".to_owned())).collect()
}

/// A path without `.`, `..` and doubled slashes.
fn normal(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::ParentDir => drop(clean.pop()),
            Component::Normal(name) => clean.push(name),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    clean
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
