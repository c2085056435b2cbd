//! From the mounts of a valid configuration to mount steps.

use super::create::is_dev;
use super::{
    Attributes, Hierarchy, IdMapOrigin, IdMappedSource, MountKind, MountStep, Node, Opener, Source,
    TargetRule, devices,
};
use crate::cgroup::{CgroupRecord, Mode};
use crate::mount_options::MountOptions;
use crate::spec::NamespaceKind;
use crate::validate::{COVERABLE, Mount, MountIdMap, ValidSpec};
use mydocker_sys::mount::Clone;
use std::path::{Path, PathBuf};

/// File systems that have no device behind them: read-only is a matter of the mount alone, for their superblock may
/// be shared with the host.
const WITHOUT_DEVICE: [&str; 8] =
    ["proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2", "overlay"];

/// All mounts of a container.
#[derive(Debug, Default)]
pub(super) struct Planned {
    pub(super) steps: Vec<MountStep>,
    /// Nodes that are not part of a fresh `/dev`.
    pub(super) nodes: Vec<Node>,
    pub(super) sources: Vec<Source>,
    /// Mounts that become read-only after the pivot, when what lies below them is there.
    pub(super) readonly_later: Vec<PathBuf>,
}

/// What beside the configuration decides how mounts are made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// The container's cgroups.
    pub(super) cgroup: &'a CgroupRecord,
    /// Whether the runtime opens what is bound, because the first process, in a user namespace, may not reach it.
    pub(super) by_parent: bool,
    /// Whether devices are bound, because none can be made.
    pub(super) bind_devices: bool,
}

pub(super) fn plan(spec: &ValidSpec, place: &Place<'_>) -> Planned {
    let mut planned = Planned::default();
    for mount in &spec.mounts {
        let step = mount_step(spec, mount, place, &mut planned.sources);
        planned.steps.push(step);
    }
    planned.nodes = devices::nodes(spec, place.bind_devices);
    if !place.bind_devices {
        fill_dev(&mut planned);
    }
    if dev_is_readonly(spec) {
        planned.readonly_later.push(PathBuf::from("/dev"));
    }
    let cwd = spec.process.as_ref().map(|process| process.cwd.as_path());
    postpone_readonly(&mut planned, cwd);
    planned
}

/// Lets a new tmpfs be written until what the configuration puts below it is made: mount points, devices, the working
/// directory.
fn postpone_readonly(planned: &mut Planned, cwd: Option<&Path>) {
    for at in 0..planned.steps.len() {
        let (before, later) = planned.steps.split_at_mut(at + 1);
        let step = &mut before[at];
        let nodes = planned.nodes.iter().map(Node::path);
        if is_readonly_tmpfs(step) && may_have_something_below(step, later, nodes.chain(cwd)) {
            keep_writable(step);
            planned.readonly_later.push(step.target.clone());
        }
    }
}

fn is_readonly_tmpfs(step: &MountStep) -> bool {
    let is_tmpfs = match &step.what {
        MountKind::Filesystem { fs_type, .. } => fs_type == "tmpfs",
        MountKind::CgroupV1 { .. } => true,
        _ => false,
    };
    is_tmpfs && (step.attributes.set | step.attributes.set_recursive) & libc::MOUNT_ATTR_RDONLY != 0
}

/// Whether what comes later may lie below the mount. The container's links decide where a path leads, so that every later
/// path may; but not where a later step covers or changes the mount: its path leads to that in the end.
fn may_have_something_below<'a>(
    step: &MountStep,
    later: &'a [MountStep],
    mut others: impl Iterator<Item = &'a Path>,
) -> bool {
    let is_last = !later.iter().any(|other| step.target.starts_with(&other.target));
    let may_be_below = |path: &Path| match step.what {
        // Every configuration has one, and nothing of the image leads there.
        MountKind::CgroupV1 { .. } => is_below(path, &step.target),
        _ => path != Path::new("/"),
    };
    let mut later = later.iter().map(|other| &*other.target);
    is_last && (is_dev(step) || later.any(may_be_below) || others.any(may_be_below))
}

fn keep_writable(step: &mut MountStep) {
    if let MountKind::CgroupV1 { top_is_writable, .. } = &mut step.what {
        // The hierarchies in it are read-only at once.
        *top_is_writable = true;
        return;
    }
    step.attributes.set &= !libc::MOUNT_ATTR_RDONLY;
    step.attributes.set_recursive &= !libc::MOUNT_ATTR_RDONLY;
}

/// Whether `/dev` becomes read-only once it is filled.
fn dev_is_readonly(spec: &ValidSpec) -> bool {
    let dev = spec.mounts.iter().rfind(|mount| devices::normal(&mount.destination) == Path::new("/dev"));
    dev.is_some_and(|mount| !mount.is_bind() && mount.options.is_readonly())
}

/// Puts devices, links and the targets of later mounts into the fresh tmpfs of `/dev` with the mount itself: one system
/// call each, in a tree that nobody else has changed.
fn fill_dev(planned: &mut Planned) {
    let Some(at) = planned.steps.iter().rposition(is_dev) else { return };
    let is_tmpfs =
        matches!(&planned.steps[at].what, MountKind::Filesystem { fs_type, .. } if fs_type == "tmpfs");
    if !is_tmpfs {
        return;
    }
    let later = &planned.steps[at + 1..];
    // What a later mount covers has to be made in that one. At its very target the mount is what was asked for.
    let in_tmpfs = |node: &Node| {
        devices::below_dev(node).is_some() && !later.iter().any(|step| is_covered_by(node.path(), step))
    };
    let (inside, outside): (Vec<_>, Vec<_>) = planned.nodes.drain(..).partition(in_tmpfs);
    let mut nodes: Vec<_> = inside.iter().filter_map(devices::below_dev).collect();
    let targets = planned.steps[at + 1..].iter().filter_map(|step| {
        let name = step.target.strip_prefix("/dev").ok()?;
        let is_directory = !matches!(step.what, MountKind::Bind { .. } | MountKind::Remount);
        (is_directory && name.components().count() == 1).then(|| Node::Directory { path: name.to_path_buf() })
    });
    nodes.extend(targets);
    planned.nodes = outside;
    for step in &mut planned.steps[at + 1..] {
        let made =
            nodes.iter().any(|node| matches!(node, Node::Directory { .. }) && covers(step, node.path()));
        if let MountKind::Filesystem { mode_of_target, .. } = &mut step.what
            && made
        {
            // The directory is no part of the image, so that its mode says nothing.
            *mode_of_target = false;
        }
    }
    if let MountKind::Filesystem { contents, .. } = &mut planned.steps[at].what {
        *contents = nodes;
    }
}

/// Whether a path lies below the target of a step that mounts something.
fn is_covered_by(path: &Path, step: &MountStep) -> bool {
    step.what != MountKind::Remount && is_below(path, &step.target)
}

fn is_below(path: &Path, target: &Path) -> bool {
    path != target && path.starts_with(target)
}

fn covers(step: &MountStep, name: &Path) -> bool {
    step.target.strip_prefix("/dev").is_ok_and(|below| below == name)
}

fn mount_step(spec: &ValidSpec, mount: &Mount, place: &Place<'_>, sources: &mut Vec<Source>) -> MountStep {
    let options = &mount.options;
    let target = devices::normal(&mount.destination);
    let what = kind(spec, mount, place, sources);
    let mut attributes = Attributes {
        set: options.attributes.set,
        clear: options.attributes.clear,
        set_recursive: options.recursive.set,
        clear_recursive: options.recursive.clear,
    };
    if target == Path::new("/dev") && !mount.is_bind() {
        // It is filled first, and made read-only after the pivot.
        attributes.set &= !libc::MOUNT_ATTR_RDONLY;
    }
    let mut propagation: Vec<u64> = Vec::new();
    if shows_foreign_cgroup(&what, place.cgroup) {
        attributes.set |= libc::MOUNT_ATTR_RDONLY;
    }
    if matches!(what, MountKind::Bind { opener: Opener::Parent(_), .. }) {
        // The runtime opens it in the host's mount namespace, where it may be shared: what happens to it inside
        // must not come back.
        propagation.push(libc::MS_SLAVE | libc::MS_REC);
    }
    propagation.extend(
        options
            .propagation
            .iter()
            .map(|change| u64::from(change.kind.bits()) | if change.recursive { libc::MS_REC } else { 0 }),
    );
    MountStep { target_rule: target_rule(&mount.fs_type, &target), what, target, attributes, propagation }
}

/// A cgroup namespace without a cgroup of the container's own begins at the runtime's: what is in it is not the
/// container's to kill or to limit (CVE-2023-25809).
fn shows_foreign_cgroup(what: &MountKind, cgroup: &CgroupRecord) -> bool {
    matches!(what, MountKind::CgroupV2 { .. }) && cgroup.unified().is_none()
}

fn target_rule(fs_type: &str, target: &Path) -> TargetRule {
    if matches!(fs_type, "proc" | "sysfs") {
        TargetRule::NoLinks
    } else if COVERABLE.iter().any(|file| target == Path::new(file)) {
        TargetRule::ProcFile
    } else {
        TargetRule::Inside
    }
}

fn kind(spec: &ValidSpec, mount: &Mount, place: &Place<'_>, sources: &mut Vec<Source>) -> MountKind {
    let namespaced = !spec.namespaces.is_host(NamespaceKind::Cgroup);
    let options = &mount.options;
    if mount.is_bind() {
        return bind(mount, options, sources, place.by_parent);
    }
    if options.remount {
        return MountKind::Remount;
    }
    match mount.fs_type.as_str() {
        "cgroup" if place.cgroup.mode != Mode::V2 => {
            MountKind::CgroupV1 { hierarchies: hierarchies(place.cgroup), top_is_writable: false }
        }
        // There is none to show: the directory is empty, as under cgroup v1, and so is what lies below.
        "cgroup" | "cgroup2" if !namespaced && place.cgroup.unified().is_none() => {
            MountKind::CgroupV1 { hierarchies: Vec::new(), top_is_writable: false }
        }
        "cgroup" | "cgroup2" => {
            let directory = place.cgroup.unified().map(crate::cgroup::Directory::absolute);
            MountKind::CgroupV2 { cgroup: directory.unwrap_or_default(), namespaced }
        }
        fs_type => {
            let options_given = filesystem_options(spec, fs_type, options);
            MountKind::Filesystem {
                fs_type: fs_type.to_owned(),
                source: mount.source.to_string_lossy().into_owned(),
                contents: Vec::new(),
                copy_up: options.tmpcopyup,
                mode_of_target: fs_type == "tmpfs" && !options_given.iter().any(|o| o.starts_with("mode=")),
                options: options_given,
            }
        }
    }
}

/// Only the runtime may map ids on the host's file systems, and in a user namespace the first process may not reach the
/// source.
fn bind(mount: &Mount, options: &MountOptions, sources: &mut Vec<Source>, by_parent: bool) -> MountKind {
    let recursive = options.bind == Some(Clone::Recursive);
    let opener = if by_parent || mount.id_map.is_some() {
        let id_map = mount.id_map.as_ref().map(id_mapped);
        sources.push(Source { path: mount.source.clone(), recursive, id_map });
        Opener::Parent((sources.len() - 1) as u32)
    } else {
        Opener::Child
    };
    MountKind::Bind { source: mount.source.clone(), recursive, opener }
}

fn id_mapped(id_map: &MountIdMap) -> IdMappedSource {
    let by = match &id_map.mappings {
        None => IdMapOrigin::Container,
        Some((uids, gids)) => IdMapOrigin::Mappings { uids: uids.clone(), gids: gids.clone() },
    };
    IdMappedSource { recursive: id_map.recursive, by }
}

fn filesystem_options(spec: &ValidSpec, fs_type: &str, options: &MountOptions) -> Vec<String> {
    let mut words: Vec<String> = options.superblock_words().map(str::to_owned).collect();
    if options.is_readonly() && !WITHOUT_DEVICE.contains(&fs_type) {
        words.push("ro".into());
    }
    words.extend(options.data.iter().flat_map(|data| data.split(',')).map(str::to_owned));
    if let Some(label) = &spec.mount_label
        && !matches!(fs_type, "proc" | "sysfs" | "mqueue")
    {
        words.push(format!("context={label}"));
    }
    words
}

/// The v1 hierarchies as the container sees them, each in a directory named by its controllers.
fn hierarchies(cgroup: &CgroupRecord) -> Vec<Hierarchy> {
    let v1 = cgroup.directories.iter().filter(|directory| !directory.is_unified());
    v1.map(|directory| {
        let option = directory.hierarchy.to_string();
        let name = option.strip_prefix("name=").unwrap_or(&option).to_owned();
        let links = match option.split_once(',') {
            Some(_) => option.split(',').map(str::to_owned).collect(),
            None => Vec::new(),
        };
        Hierarchy { name, cgroup: directory.absolute(), links }
    })
    .collect()
}
