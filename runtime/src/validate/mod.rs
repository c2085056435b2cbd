//! Every refusal that `config.json` can justify, before anything is touched.
//!
//! [`validate`] is pure: what it needs of the host is in [`Facts`]. It finds all mistakes and not only the first.
//! What it accepts is a [`ValidSpec`]: names are numbers there, paths are absolute, and nobody checks again.

mod capabilities;
mod devices;
mod environment;
mod hooks;
mod lists;
mod mounts;
mod namespaces;
mod process;
mod report;
mod rlimits;
mod scheduling;
mod sysctl;

pub use devices::{Device, DeviceKind};
pub use hooks::{Hook, Hooks};
pub use mounts::Mount;
pub use namespaces::{Namespaces, Placement};
pub use process::{CapabilityMasks, CpuAffinity, IoPriority, Process, Rlimit, validate_process};
pub use report::{Error, Mistake, Warning};
pub use sysctl::Sysctl;

use crate::spec::{IdMapping, Spec, TimeOffset};
use report::{At, Report};
use std::path::{Path, PathBuf};

/// What a check must know of the host and of the runtime itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// The runtime's effective user id: other than 0, a container needs a user namespace.
    pub euid: u32,
    /// The kernel's last capability (`/proc/sys/kernel/cap_last_cap`).
    pub last_capability: u8,
    /// The capabilities that the runtime may pass on, bit n for capability n: its permitted set, or all ones where
    /// a user namespace will give them.
    pub permitted: u64,
}

/// A configuration without mistakes. Resources and the system call filter are judged by their compilers, which take
/// them from [`ValidSpec::spec`].
#[derive(Debug, Clone, PartialEq)]
pub struct ValidSpec {
    spec: Spec,
    /// The root file system.
    pub root: Root,
    /// Where the container stands in each kind of namespace.
    pub namespaces: Namespaces,
    /// The program; without one a container can be made but not started.
    pub process: Option<Process>,
    /// Mounts beyond the root, in order.
    pub mounts: Vec<Mount>,
    /// Devices beyond those that every container has.
    pub devices: Vec<Device>,
    /// Paths that cannot be read in the container; absolute.
    pub masked_paths: Vec<PathBuf>,
    /// Paths that cannot be written in the container; absolute.
    pub readonly_paths: Vec<PathBuf>,
    /// Kernel parameters of the container's namespaces.
    pub sysctls: Vec<Sysctl>,
    /// The user ids of a new user namespace.
    pub uid_mappings: Vec<IdMapping>,
    /// The group ids of a new user namespace.
    pub gid_mappings: Vec<IdMapping>,
    /// The hooks.
    pub hooks: Hooks,
    /// The host's name in a new or joined UTS namespace.
    pub hostname: Option<String>,
    /// The NIS domain in a new or joined UTS namespace.
    pub domainname: Option<String>,
    /// Offsets of the clocks of a new time namespace.
    pub time_offsets: TimeOffsets,
    /// `personality(2)`.
    pub personality: Option<u64>,
    /// `set_mempolicy(2)`.
    pub memory_policy: Option<MemoryPolicy>,
    /// The SELinux context of mounts.
    pub mount_label: Option<String>,
    /// What the person should hear of.
    pub warnings: Vec<Warning>,
}

impl ValidSpec {
    /// The configuration as it was written.
    #[must_use]
    pub fn spec(&self) -> &Spec {
        &self.spec
    }
}

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

/// Offsets of the clocks of a new time namespace (`time_namespaces(7)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimeOffsets {
    /// Of `CLOCK_MONOTONIC`.
    pub monotonic: Option<TimeOffset>,
    /// Of `CLOCK_BOOTTIME`.
    pub boottime: Option<TimeOffset>,
}

/// A NUMA memory policy (`set_mempolicy(2)`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryPolicy {
    /// `MPOL_*`, with `MPOL_F_*`.
    pub mode: u32,
    /// A bit per node, lowest first.
    pub nodes: Vec<u64>,
}

/// Checks a whole configuration. `bundle` is the absolute path of its directory.
///
/// # Errors
/// Every mistake that was found.
pub fn validate(spec: Spec, bundle: &Path, facts: &Facts) -> Result<ValidSpec, Error> {
    let mut report = Report::default();
    let at = At::new("");
    let default = crate::spec::Linux::default();
    let linux = spec.linux.as_ref().unwrap_or(&default);
    let at_linux = at.key("linux");
    let namespaces = namespaces::check(&mut report, at_linux.key("namespaces"), &linux.namespaces);
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let root = spec.root.clone().unwrap_or_default();
    let valid = ValidSpec {
        root: Root { path: bundle.join(&root.path), readonly: root.readonly, propagation: None },
        process: spec.process.as_ref().map(|p| process::check(&mut report, at.key("process"), p, facts)),
        mounts: mounts::check(&mut report, at.key("mounts"), &spec.mounts, bundle),
        devices: devices::check(&mut report, at_linux.key("devices"), &linux.devices),
        masked_paths: linux.masked_paths.iter().map(PathBuf::from).collect(),
        readonly_paths: linux.readonly_paths.iter().map(PathBuf::from).collect(),
        sysctls: sysctl::check(&mut report, at_linux.key("sysctl"), &linux.sysctl, &namespaces),
        uid_mappings: linux.uid_mappings.clone(),
        gid_mappings: linux.gid_mappings.clone(),
        hooks: hooks::check(&mut report, at.key("hooks"), &spec.hooks),
        hostname: text(&spec.hostname),
        domainname: text(&spec.domainname),
        time_offsets: TimeOffsets {
            monotonic: linux.time_offsets.get("monotonic").copied(),
            boottime: linux.time_offsets.get("boottime").copied(),
        },
        personality: None,
        memory_policy: None,
        mount_label: text(&linux.mount_label),
        namespaces,
        warnings: Vec::new(),
        spec,
    };
    let (mut valid, warnings) = report.finish(Some(valid))?;
    valid.warnings = warnings;
    Ok(valid)
}
