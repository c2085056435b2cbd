//! What of the host and of the image a plan depends on.

use super::Security;
use mydocker_bundles::User;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What was found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Facts {
    /// The root file system of the bundle: a path below the bundle, or an absolute one.
    pub root: PathBuf,
    /// Who the program runs as.
    pub user: User,
    /// What `--security-opt` says.
    pub security: Security,
    /// The filter of system calls that `--security-opt` gives, as the runtime takes it.
    pub seccomp: Option<Value>,
    /// Namespaces that the container joins.
    pub joined: Joined,
    /// Where what is mounted at a place is found, if not at the mount's source.
    pub sources: BTreeMap<PathBuf, PathBuf>,
    /// Files that are mounted over the image's.
    pub files: Files,
    /// Devices of the host.
    pub devices: Vec<DeviceNode>,
    /// The small init on the host, if it is asked for.
    pub init: Option<PathBuf>,
    /// The numbers of the block devices that limits name.
    pub disks: BTreeMap<PathBuf, (u64, u64)>,
    /// Whether the kernel limits swap.
    pub limits_swap: bool,
    /// Whether this is an ordinary user's container, in a user namespace around it: without cgroups that are the user's
    /// own there are neither limits nor rules for devices.
    pub is_rootless: bool,
}

/// Namespaces of others: `None` for a new one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Joined {
    /// The network.
    pub network: Option<PathBuf>,
    /// Processes.
    pub pid: Option<PathBuf>,
    /// Shared memory and queues.
    pub ipc: Option<PathBuf>,
    /// The `/dev/shm` that goes with it.
    pub shm: Option<PathBuf>,
}

/// Files of the container's directory that are mounted over the image's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Files {
    /// `/etc/hostname`
    pub hostname: Option<PathBuf>,
    /// `/etc/hosts`
    pub hosts: Option<PathBuf>,
    /// `/etc/resolv.conf`
    pub resolv_conf: Option<PathBuf>,
}

impl Files {
    /// Those that there are, with their places in the container.
    pub fn mounted(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let named = [
            ("/etc/resolv.conf", &self.resolv_conf),
            ("/etc/hostname", &self.hostname),
            ("/etc/hosts", &self.hosts),
        ];
        named.into_iter().filter_map(|(name, source)| Some((name, source.as_deref()?)))
    }
}

/// A device of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceNode {
    /// Where it is in the container.
    pub path: PathBuf,
    /// `c` or `b`.
    pub kind: char,
    /// Its numbers.
    pub number: (u64, u64),
    /// Its permissions.
    pub mode: u32,
    /// Its owner and group.
    pub owner: (u32, u32),
    /// Of `rwm`.
    pub access: String,
}
