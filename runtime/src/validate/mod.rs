//! Every refusal that `config.json` can justify, before anything is touched.
//!
//! [`validate`] is pure: what it needs of the host is in [`Facts`]. It finds all mistakes and not only the first.
//! What it accepts is a [`ValidSpec`]: names are numbers there, paths are absolute, and nobody checks again.

pub(crate) mod annotations;
mod capabilities;
mod devices;
mod environment;
mod hooks;
pub(crate) mod intel_rdt;
pub(crate) mod kernel;
mod lists;
mod mappings;
mod mount_ids;
mod mounts;
mod namespaces;
mod net_devices;
mod paths;
mod process;
mod report;
mod rlimits;
mod root;
mod scheduling;
mod sysctl;
mod version;

#[cfg(test)]
mod tests;

pub use annotations::{KEEP_GROUPS, keeps_groups};
pub use devices::{Device, DeviceKind};
pub use hooks::{Hook, Hooks};
pub use kernel::{MemoryPolicy, TimeOffsets};
pub use mount_ids::MountIdMap;
pub use mounts::{COVERABLE, Mount};
pub use namespaces::{Namespaces, Placement};
pub use net_devices::NetDevice;
pub use process::{CapabilityMasks, CpuAffinity, IoPriority, Process, Rlimit, validate_process};
pub use report::{Error, Mistake, Warning};
pub use root::Root;
pub use sysctl::Sysctl;
pub(crate) use sysctl::held_by;

use crate::landlock;
use crate::spec::{IdMapping, Linux, NamespaceKind, Spec};
use report::{At, Report};
use std::collections::BTreeMap;
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
    /// Network devices that move into the container.
    pub net_devices: Vec<NetDevice>,
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
    /// The rules of the annotation for Landlock.
    pub landlock: Option<landlock::Ruleset>,
    /// Whether the program keeps the further groups of the runtime's caller.
    pub keeps_groups: bool,
    /// What the person should hear of.
    pub warnings: Vec<Warning>,
}

impl ValidSpec {
    /// Whether the container's process has a terminal.
    #[must_use]
    pub fn has_terminal(&self) -> bool {
        self.process.as_ref().is_some_and(|process| process.terminal)
    }

    /// The configuration as it was written.
    #[must_use]
    pub fn spec(&self) -> &Spec {
        &self.spec
    }
}

/// Checks a whole configuration. `bundle` is the absolute path of its directory.
///
/// A configuration without a process is no mistake here: it is `start` that MUST refuse it (runtime.md, Start), or
/// whoever creates and starts in one go. runc refuses it at `create` already.
///
/// # Errors
/// Every mistake that was found.
pub fn validate(spec: Spec, bundle: &Path, facts: &Facts) -> Result<ValidSpec, Error> {
    let mut report = Report::default();
    let checked = check(&mut report, spec, bundle, facts);
    let (mut valid, warnings) = report.finish(checked)?;
    valid.warnings = warnings;
    Ok(valid)
}

fn check(report: &mut Report, spec: Spec, bundle: &Path, facts: &Facts) -> ValidSpec {
    let at = At::new("");
    version::check(report, at.key("ociVersion"), &spec.oci_version);
    annotations::check(report, at.key("annotations"), &spec.annotations);
    let empty = Linux::default();
    let linux = spec.linux.as_ref().unwrap_or(&empty);
    let at_linux = at.key("linux");
    if let Some(rdt) = &linux.intel_rdt {
        intel_rdt::check(report, at_linux.key("intelRdt"), rdt);
    }
    let namespaces = namespaces::check(report, at_linux.key("namespaces"), &linux.namespaces);
    mappings::check(report, at_linux, linux, &namespaces, facts);
    let process = check_process(report, at.key("process"), &spec, linux, &namespaces, facts);
    let covered =
        |report: &mut Report, key, paths| paths::covered(report, at_linux.key(key), paths, &namespaces);
    ValidSpec {
        root: root::check(report, at, spec.root.as_ref(), bundle, &linux.rootfs_propagation),
        process,
        mounts: mounts::check(report, at.key("mounts"), &spec.mounts, bundle, linux, &namespaces, facts),
        devices: devices::check(report, at_linux.key("devices"), &linux.devices),
        net_devices: net_devices::check(
            report,
            at_linux.key("netDevices"),
            &linux.net_devices,
            &namespaces,
            facts,
        ),
        masked_paths: covered(report, "maskedPaths", &linux.masked_paths),
        readonly_paths: covered(report, "readonlyPaths", &linux.readonly_paths),
        sysctls: sysctl::check(report, at_linux.key("sysctl"), &linux.sysctl, &namespaces),
        uid_mappings: linux.uid_mappings.clone(),
        gid_mappings: linux.gid_mappings.clone(),
        hooks: hooks::check(report, at.key("hooks"), &spec.hooks),
        hostname: paths::host_name(report, at.key("hostname"), &spec.hostname, &namespaces),
        domainname: paths::host_name(report, at.key("domainname"), &spec.domainname, &namespaces),
        time_offsets: kernel::time_offsets(
            report,
            at_linux.key("timeOffsets"),
            &linux.time_offsets,
            &namespaces,
        ),
        personality: personality(report, at_linux, linux),
        memory_policy: memory_policy(report, at_linux, linux),
        mount_label: report.label(at_linux.key("mountLabel"), &linux.mount_label),
        landlock: landlock_rules(report, at, &spec.annotations),
        keeps_groups: annotations::keeps_groups(&spec.annotations),
        namespaces,
        warnings: Vec::new(),
        spec,
    }
}

fn personality(report: &mut Report, at: At<'_>, linux: &Linux) -> Option<u64> {
    let personality = linux.personality.as_ref()?;
    Some(kernel::personality(report, at.key("personality"), personality))
}

fn memory_policy(report: &mut Report, at: At<'_>, linux: &Linux) -> Option<MemoryPolicy> {
    let policy = linux.memory_policy.as_ref()?;
    Some(kernel::memory_policy(report, at.key("memoryPolicy"), policy))
}

/// The personality and the memory policy, which every process of the container has and not only the first.
///
/// # Errors
/// Every mistake in them.
pub fn validate_shared(linux: &Linux) -> Result<(Option<u64>, Option<MemoryPolicy>), Error> {
    let (mut report, at) = (Report::default(), At::new("/linux"));
    let shared = (personality(&mut report, at, linux), memory_policy(&mut report, at, linux));
    report.finish(shared).map(|(shared, _)| shared)
}

/// Reads the annotation for Landlock, which is this runtime's own.
pub(crate) fn landlock_annotation(
    annotations: &BTreeMap<String, String>,
) -> Option<Result<landlock::Ruleset, String>> {
    annotations.get(landlock::ANNOTATION).map(|text| landlock::parse(text))
}

fn landlock_rules(
    report: &mut Report,
    at: At<'_>,
    annotations: &BTreeMap<String, String>,
) -> Option<landlock::Ruleset> {
    let rules = landlock_annotation(annotations)?;
    rules
        .map_err(|message| {
            let at = at.key("annotations");
            report.refuse(at.key(landlock::ANNOTATION), message, "docs/landlock.md describes the rules");
        })
        .ok()
}

fn check_process(
    report: &mut Report,
    at: At<'_>,
    spec: &Spec,
    linux: &Linux,
    namespaces: &Namespaces,
    facts: &Facts,
) -> Option<Process> {
    let process = spec.process.as_ref()?;
    // In a user namespace of its own a process can be given everything, whatever the runtime holds outside.
    let permitted = if namespaces.is_host(NamespaceKind::User) { facts.permitted } else { u64::MAX };
    let process = process::check(report, at, process, &Facts { permitted, ..*facts });
    mappings::check_process(report, at.key("user"), &process, linux, namespaces, facts);
    Some(process)
}
