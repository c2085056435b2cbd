//! `features`: what this runtime understands (features.md and features-linux.md of runtime-spec 1.3), independent of
//! what the host can do.
//!
//! Lists come from the tables and types by which the runtime itself understands the words; a new row there is told
//! here without anybody's doing.

use crate::mount_options::OPTIONS;
use crate::seccomp::{Arch, KNOWN_ACTIONS, KNOWN_FLAGS, KNOWN_OPERATORS};
use crate::spec::{Hooks, NamespaceKind, OCI_VERSION};
use crate::validate::kernel::{MODE_FLAGS, MODES};
use serde::Serialize;
use std::collections::BTreeMap;

/// The whole document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Features {
    /// The oldest version of the specification that `ociVersion` may name.
    pub oci_version_min: &'static str,
    /// The newest.
    pub oci_version_max: &'static str,
    /// Hooks that are run.
    pub hooks: Vec<&'static str>,
    /// Mount options that do not go to the file system.
    pub mount_options: Vec<&'static str>,
    /// What is special to Linux.
    pub linux: LinuxFeatures,
    /// The program itself.
    pub annotations: BTreeMap<&'static str, &'static str>,
    /// Annotations of `config.json` that change what this runtime does; one that ends in a dot stands for all that
    /// begin with it.
    pub potentially_unsafe_config_annotations: Vec<&'static str>,
}

/// What is special to Linux.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LinuxFeatures {
    /// Kinds of namespaces.
    pub namespaces: Vec<NamespaceKind>,
    /// `CAP_*`, in the kernel's order.
    pub capabilities: Vec<String>,
    /// Ways to make cgroups.
    pub cgroup: CgroupFeatures,
    /// The system call filter.
    pub seccomp: SeccompFeatures,
    /// AppArmor.
    pub apparmor: Enabled,
    /// SELinux.
    pub selinux: Enabled,
    /// Intel RDT.
    pub intel_rdt: IntelRdtFeatures,
    /// NUMA memory policy.
    pub memory_policy: MemoryPolicyFeatures,
    /// What mounts can do beyond options.
    pub mount_extensions: MountExtensions,
    /// Network devices moved into the container.
    pub net_devices: Enabled,
}

/// Something that is supported or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Enabled {
    /// Whether it is.
    pub enabled: bool,
}

/// Ways to make cgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CgroupFeatures {
    /// Version 1.
    pub v1: bool,
    /// Version 2.
    pub v2: bool,
    /// Through the system's systemd.
    pub systemd: bool,
    /// Through the user's systemd.
    pub systemd_user: bool,
    /// The RDMA controller.
    pub rdma: bool,
}

/// The system call filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SeccompFeatures {
    /// Whether filters are loaded.
    pub enabled: bool,
    /// `SCMP_ACT_*`.
    pub actions: Vec<&'static str>,
    /// `SCMP_CMP_*`.
    pub operators: Vec<&'static str>,
    /// `SCMP_ARCH_*`.
    pub archs: Vec<&'static str>,
    /// `SECCOMP_FILTER_FLAG_*` that are understood.
    pub known_flags: Vec<&'static str>,
    /// `SECCOMP_FILTER_FLAG_*` that have their effect.
    pub supported_flags: Vec<&'static str>,
}

/// Intel RDT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct IntelRdtFeatures {
    /// Whether it is supported.
    pub enabled: bool,
    /// Whether the `schemata` field is.
    pub schemata: bool,
    /// Whether the `enableMonitoring` field is.
    pub monitoring: bool,
}

/// NUMA memory policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemoryPolicyFeatures {
    /// `MPOL_*`.
    pub modes: Vec<&'static str>,
    /// `MPOL_F_*`.
    pub flags: Vec<&'static str>,
}

/// What mounts can do beyond options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MountExtensions {
    /// Mappings of their own.
    pub idmap: Enabled,
}

const NAMESPACES: [NamespaceKind; 8] = [
    NamespaceKind::Cgroup,
    NamespaceKind::Ipc,
    NamespaceKind::Mount,
    NamespaceKind::Network,
    NamespaceKind::Pid,
    NamespaceKind::Time,
    NamespaceKind::User,
    NamespaceKind::Uts,
];

/// What this runtime supports.
#[must_use]
pub fn features() -> Features {
    Features {
        oci_version_min: "1.0.0",
        oci_version_max: OCI_VERSION,
        hooks: Hooks::default().kinds().map(|(name, _)| name).to_vec(),
        mount_options: mount_options(),
        linux: linux(),
        annotations: BTreeMap::from([("org.mydocker.runtime.version", env!("CARGO_PKG_VERSION"))]),
        potentially_unsafe_config_annotations: vec![
            crate::cgroup::systemd::annotations::PREFIX,
            crate::criu::CONFIG_ANNOTATION,
            crate::landlock::ANNOTATION,
            crate::validate::KEEP_GROUPS,
        ],
    }
}

fn mount_options() -> Vec<&'static str> {
    OPTIONS.iter().map(|(name, _)| *name).collect()
}

/// What `features` prints: four spaces for each level.
///
/// # Errors
/// None that strings and booleans can cause.
pub fn features_json() -> serde_json::Result<String> {
    let mut text = Vec::with_capacity(8192);
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    features().serialize(&mut serde_json::Serializer::with_formatter(&mut text, formatter))?;
    text.push(b'\n');
    String::from_utf8(text).map_err(serde::ser::Error::custom)
}

fn linux() -> LinuxFeatures {
    LinuxFeatures {
        namespaces: NAMESPACES.to_vec(),
        capabilities: capabilities(),
        cgroup: CgroupFeatures { v1: true, v2: true, systemd: true, systemd_user: true, rdma: true },
        seccomp: seccomp(),
        apparmor: Enabled { enabled: true },
        selinux: Enabled { enabled: true },
        intel_rdt: IntelRdtFeatures { enabled: true, schemata: true, monitoring: true },
        memory_policy: MemoryPolicyFeatures {
            modes: MODES.iter().map(|(name, ..)| *name).collect(),
            flags: MODE_FLAGS.iter().map(|(name, _)| *name).collect(),
        },
        mount_extensions: MountExtensions { idmap: Enabled { enabled: true } },
        net_devices: Enabled { enabled: true },
    }
}

fn capabilities() -> Vec<String> {
    let mut known: Vec<_> = caps::all().into_iter().collect();
    known.sort_by_key(caps::Capability::index);
    known.iter().map(ToString::to_string).collect()
}

fn seccomp() -> SeccompFeatures {
    let flags = KNOWN_FLAGS.map(|(name, _)| name).to_vec();
    let mut archs: Vec<_> = Arch::ALL.into_iter().map(Arch::name).collect();
    archs.sort_unstable();
    SeccompFeatures {
        enabled: true,
        actions: KNOWN_ACTIONS.to_vec(),
        operators: KNOWN_OPERATORS.to_vec(),
        archs,
        known_flags: flags.clone(),
        supported_flags: flags,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn document() -> Value {
        serde_json::to_value(features()).expect("JSON")
    }

    fn keys(value: &Value) -> Vec<&str> {
        value.as_object().expect("an object").keys().map(String::as_str).collect()
    }

    #[test]
    fn the_document_has_every_property_of_the_specification_and_no_other() {
        let document = document();
        assert_eq!(
            keys(&document),
            [
                "annotations",
                "hooks",
                "linux",
                "mountOptions",
                "ociVersionMax",
                "ociVersionMin",
                "potentiallyUnsafeConfigAnnotations"
            ]
        );
        assert_eq!(
            keys(&document["linux"]),
            [
                "apparmor",
                "capabilities",
                "cgroup",
                "intelRdt",
                "memoryPolicy",
                "mountExtensions",
                "namespaces",
                "netDevices",
                "seccomp",
                "selinux"
            ]
        );
        assert_eq!(keys(&document["linux"]["cgroup"]), ["rdma", "systemd", "systemdUser", "v1", "v2"]);
        assert_eq!(
            keys(&document["linux"]["seccomp"]),
            ["actions", "archs", "enabled", "knownFlags", "operators", "supportedFlags"]
        );
        assert_eq!(keys(&document["linux"]["intelRdt"]), ["enabled", "monitoring", "schemata"]);
        assert_eq!(keys(&document["linux"]["mountExtensions"]["idmap"]), ["enabled"]);
    }

    #[test]
    fn lists_have_the_words_of_config_json() {
        let document = document();
        assert_eq!(document["ociVersionMax"], "1.3.0");
        assert_eq!(
            document["hooks"],
            json!([
                "prestart",
                "createRuntime",
                "createContainer",
                "startContainer",
                "poststart",
                "poststop"
            ])
        );
        assert_eq!(
            document["linux"]["namespaces"],
            json!(["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"])
        );
        assert_eq!(document["linux"]["seccomp"]["actions"][3], "SCMP_ACT_KILL_PROCESS");
        assert_eq!(document["linux"]["seccomp"]["operators"][5], "SCMP_CMP_MASKED_EQ");
    }

    #[test]
    fn words_of_the_filter_are_those_that_config_json_takes() {
        let seccomp = seccomp();
        for action in seccomp.actions {
            serde_json::from_value::<crate::spec::SeccompAction>(json!(action)).expect(action);
        }
        for operator in seccomp.operators {
            serde_json::from_value::<crate::spec::SeccompOperator>(json!(operator)).expect(operator);
        }
        assert!(seccomp.archs.contains(&"SCMP_ARCH_X86_64"));
        assert!(seccomp.known_flags.contains(&"SECCOMP_FILTER_FLAG_LOG"));
    }

    #[test]
    fn every_mount_option_that_is_understood_is_promised() {
        let options = features().mount_options;
        assert!(options.contains(&"rro") && options.len() == OPTIONS.len());
    }

    #[test]
    fn annotations_that_change_the_host_are_told_of() {
        let unsafe_ones = features().potentially_unsafe_config_annotations;
        let known = [
            "org.systemd.property.",
            "org.criu.config",
            "org.mydocker.landlock",
            "run.oci.keep_original_groups",
        ];
        assert_eq!(unsafe_ones, known);
    }

    #[test]
    fn capabilities_are_in_the_kernels_order() {
        let capabilities = capabilities();
        assert_eq!(capabilities.len(), 41);
        assert_eq!((capabilities[0].as_str(), capabilities[21].as_str()), ("CAP_CHOWN", "CAP_SYS_ADMIN"));
        assert_eq!(capabilities[40], "CAP_CHECKPOINT_RESTORE");
    }
}
