//! Mounts and device nodes as data.

use crate::validate::DeviceKind;
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};

/// One mount, with everything decided but where its target leads: that is resolved when it is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MountStep {
    /// What is mounted.
    pub what: MountKind,
    /// Where, as a path in the container.
    pub target: PathBuf,
    /// Attributes of the mount.
    pub attributes: Attributes,
    /// Propagation types to set one after the other once it is attached (`MS_*`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub propagation: Vec<u64>,
    /// How the target is looked up.
    pub target_rule: TargetRule,
}

/// How the target of a mount is looked up and what it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetRule {
    /// Symbolic links are followed inside the container's root; the target may not be on a procfs.
    Inside,
    /// No symbolic link on the way (procfs and sysfs: whoever reads /proc must find what was mounted).
    NoLinks,
    /// A single file of procfs that may be covered (such as /proc/uptime).
    ProcFile,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum MountKind {
    /// A file system of its own.
    Filesystem {
        /// Its type.
        fs_type: String,
        /// Its source: a device, or a name that shows in mountinfo.
        source: String,
        /// Its options: `key` or `key=value`.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        options: Vec<String>,
        /// What it is filled with as soon as it is there (a fresh `/dev`).
        #[serde(skip_serializing_if = "Vec::is_empty")]
        contents: Vec<Node>,
        /// Whether what its target held is copied into it (`tmpcopyup`).
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        copy_up: bool,
        /// Whether it gets the mode of its target, where that is there already (a tmpfs without a mode of its own).
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        mode_of_target: bool,
    },
    /// A part of the host's tree.
    Bind {
        /// The path on the host.
        source: PathBuf,
        /// Whether mounts below it come along.
        recursive: bool,
        /// Who opens the source.
        opener: Opener,
    },
    /// The cgroup v1 hierarchies below one tmpfs.
    CgroupV1 {
        /// The hierarchies.
        hierarchies: Vec<Hierarchy>,
        /// Whether the tmpfs can be written although the attributes say otherwise, until what lies below it is made.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        top_is_writable: bool,
    },
    /// The one cgroup v2 hierarchy.
    CgroupV2 {
        /// The container's cgroup on the host: bound where the container has no cgroup namespace.
        cgroup: PathBuf,
        /// Whether the container has a cgroup namespace.
        namespaced: bool,
    },
    /// A mount of the container that is already there, with other attributes (`remount`).
    Remount,
}

/// One cgroup v1 hierarchy, as seen inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hierarchy {
    /// The directory's name below the tmpfs: `cpu,cpuacct`.
    pub name: String,
    /// The container's cgroup on the host.
    pub cgroup: PathBuf,
    /// Single names that lead to it (`cpu` -> `cpu,cpuacct`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
}

/// Who opens the source of a bind mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Opener {
    /// The container's first process.
    Child,
    /// The runtime, which has the host's privileges, at the request with this number: in a user namespace the
    /// first process may not reach the source.
    Parent(u32),
}

/// Attributes of a mount, as `mount_setattr(2)` takes them (`MOUNT_ATTR_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attributes {
    /// To set on the mount.
    pub set: u64,
    /// To clear on the mount.
    pub clear: u64,
    /// To set on the mount and everything below.
    pub set_recursive: u64,
    /// To clear on the mount and everything below.
    pub clear_recursive: u64,
}

impl Attributes {
    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A device, link or directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "node", rename_all = "kebab-case")]
pub enum Node {
    /// A character or block device, or a fifo.
    Device(DeviceNode),
    /// A symbolic link.
    Link {
        /// The link, relative to the directory of the step.
        path: PathBuf,
        /// What it says.
        target: PathBuf,
    },
    /// An empty directory that a later mount covers.
    Directory {
        /// The directory, relative to the directory of the step.
        path: PathBuf,
    },
}

/// A device of its own, or in a user namespace, where none can be made, the host's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceNode {
    /// Relative to the directory of the step.
    pub path: PathBuf,
    /// Its type.
    pub kind: DeviceKind,
    /// The major number.
    pub major: u64,
    /// The minor number.
    pub minor: u64,
    /// Permissions.
    pub mode: u32,
    /// The owner in the container.
    pub uid: u32,
    /// The group in the container.
    pub gid: u32,
    /// Bind the host's device at this path instead of making one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind: Option<PathBuf>,
}

impl Node {
    /// Where it is, relative to the directory of the step.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Device(device) => &device.path,
            Self::Link { path, .. } | Self::Directory { path } => path,
        }
    }
}

/// How many nodes: their names would make a line, which is an error's too, very long.
pub(super) fn node_count(nodes: &[Node]) -> String {
    if nodes.len() == 1 { "1 node".to_owned() } else { format!("{} nodes", nodes.len()) }
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Character => "character device",
            Self::Block => "block device",
            Self::Fifo => "fifo",
        })
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path().display();
        match self {
            Self::Device(device) => write!(f, "{path}: {device}"),
            Self::Link { target, .. } => write!(f, "{path}: link to {}", target.display()),
            Self::Directory { .. } => write!(f, "{path}: directory"),
        }
    }
}

/// A device without its path.
impl fmt::Display for DeviceNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(source) = &self.bind {
            return write!(f, "the host's {}", source.display());
        }
        write!(f, "{}", self.kind)?;
        if self.kind != DeviceKind::Fifo {
            write!(f, " {}:{}", self.major, self.minor)?;
        }
        write!(f, ", mode {:04o}, owner {}:{}", self.mode, self.uid, self.gid)
    }
}

impl fmt::Display for MountStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = self.target.display();
        match &self.what {
            MountKind::Filesystem { fs_type, options, contents, copy_up, .. } => {
                write!(f, "mount {fs_type} at {target}")?;
                write_options(f, &self.attributes, options)?;
                if *copy_up {
                    write!(f, " with a copy of what is there")?;
                }
                if contents.is_empty() { Ok(()) } else { write!(f, " with {}", node_count(contents)) }
            }
            MountKind::Bind { source, recursive, opener } => {
                write!(f, "bind {} at {target}", source.display())?;
                let mut words = vec![if *recursive { "rbind" } else { "bind" }.to_owned()];
                if matches!(opener, Opener::Parent(_)) {
                    words.push("opened by the runtime".into());
                }
                write_options(f, &self.attributes, &words)
            }
            MountKind::CgroupV1 { .. } => {
                write!(f, "mount the cgroup hierarchies at {target}")?;
                write_options(f, &self.attributes, &[])
            }
            MountKind::CgroupV2 { .. } => {
                write!(f, "mount cgroup2 at {target}")?;
                write_options(f, &self.attributes, &[])
            }
            MountKind::Remount => {
                write!(f, "change the mount at {target}")?;
                write_options(f, &self.attributes, &[])
            }
        }
    }
}

fn write_options(f: &mut fmt::Formatter<'_>, attributes: &Attributes, options: &[String]) -> fmt::Result {
    let mut words: Vec<&str> = super::step::attribute_names(attributes.set);
    words.extend(options.iter().map(String::as_str));
    if words.is_empty() { Ok(()) } else { write!(f, " ({})", words.join(",")) }
}
