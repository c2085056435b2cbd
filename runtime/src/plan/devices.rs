//! The devices and links that every container has, and those of `linux.devices` (config-linux.md, Default Devices;
//! runtime-linux.md, Dev symbolic links).

use super::{DeviceNode, Node};
use crate::validate::{self, ValidSpec};
use std::path::{Path, PathBuf};

/// Name, major and minor number.
const DEFAULT_DEVICES: [(&str, u64, u64); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

/// Link and target. `ptmx` leads to the container's own devpts, never to the host's.
const LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
];

/// Whether the runtime fills `/dev`: not where the configuration binds one that is filled already.
pub(super) fn are_set_up(spec: &ValidSpec) -> bool {
    !spec.mounts.iter().any(|mount| mount.is_bind() && normal(&mount.destination) == Path::new("/dev"))
}

/// Every node, by its path in the container.
pub(super) fn nodes(spec: &ValidSpec, bind: bool) -> Vec<Node> {
    if !are_set_up(spec) {
        return Vec::new();
    }
    let defaults = DEFAULT_DEVICES.iter().map(|(name, major, minor)| validate::Device {
        path: Path::new("/dev").join(name),
        kind: validate::DeviceKind::Character,
        major: *major,
        minor: *minor,
        mode: 0o666,
        uid: 0,
        gid: 0,
    });
    let configured = |path: &Path| spec.devices.iter().any(|device| device.path == path);
    let devices = defaults.filter(|device| !configured(&device.path)).chain(spec.devices.iter().cloned());
    // Privileged containers ask for every device of the host, and so for its multiplexer.
    let devices = devices.filter(|device| device.path != Path::new("/dev/ptmx"));
    let links = LINKS.iter().map(|(name, target)| Node::Link {
        path: Path::new("/dev").join(name),
        target: PathBuf::from(target),
    });
    devices.map(|device| Node::Device(node(device, bind))).chain(links).collect()
}

fn node(device: validate::Device, bind: bool) -> DeviceNode {
    DeviceNode {
        bind: bind.then(|| device.path.clone()),
        path: device.path,
        kind: device.kind,
        major: device.major,
        minor: device.minor,
        mode: device.mode,
        uid: device.uid,
        gid: device.gid,
    }
}

/// The same node with a path relative to `/dev`, if it lies there.
pub(super) fn below_dev(node: &Node) -> Option<Node> {
    let relative = node.path().strip_prefix("/dev").ok()?.to_path_buf();
    Some(match node {
        Node::Device(device) => Node::Device(DeviceNode { path: relative, ..device.clone() }),
        Node::Link { target, .. } => Node::Link { path: relative, target: target.clone() },
        Node::Directory { .. } => Node::Directory { path: relative },
    })
}

/// A path without `.` and doubled slashes: `/dev/` and `/dev` are the same place.
pub(super) fn normal(path: &Path) -> PathBuf {
    path.components().collect()
}
