//! From a valid configuration to ordered steps: pure data, made without looking at anything.

mod create;
mod detail;
mod devices;
mod exec;
mod lint;
mod mount;
mod mounts;
mod step;

pub use create::{CreateOptions, create};
pub use detail::{details, hook_line};
pub use exec::{ExecOptions, exec};
pub use lint::{Violation, lint};
pub use mount::{Attributes, DeviceNode, Hierarchy, MountKind, MountStep, Node, Opener, TargetRule};
pub use step::{Phase, Step, propagation};

use crate::spec::{Hook, IdMapping, NamespaceKind};
use crate::validate::{NetDevice, Rlimit, TimeOffsets};
use serde::Serialize;
use std::path::PathBuf;

/// Everything that happens on the way to a container's process.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// What the runtime does.
    pub parent: ParentPlan,
    /// What an intermediate process does before it makes the first process: it joins the namespaces that can only
    /// be entered by the children of who joined (pid, time), or must be entered before a new user namespace. Empty
    /// for most containers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prelude: Vec<Step>,
    /// What the first process does.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Whether the first process is under way before the runtime has made all of its cgroups.
    #[must_use]
    pub fn enters_cgroups_late(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::EnterCgroups { .. }))
    }

    /// Whether cgroups that are entered late are recorded before the first process is. Mostly that is ready a moment later,
    /// and they are recorded together; not where hooks may look at the container before, or where it may take long: whoever
    /// deletes the container of a runtime that was killed would wait for the lock as long.
    #[must_use]
    pub fn records_cgroups_first(&self) -> bool {
        self.steps.iter().take_while(|step| **step != Step::Ready).any(|step| match step {
            Step::AwaitRuntimeHooks | Step::RunHooks { .. } => true,
            Step::Mount(mount) => matches!(mount.what, MountKind::Filesystem { copy_up: true, .. }),
            _ => false,
        })
    }

    /// Whether the first process may mount on something shared: mounts of the host that stay so, also below the root that is
    /// attached, or a mount that the configuration makes so. The kernel copies a new mount to all peers as it is then, and
    /// what is done to it later is not passed on.
    #[must_use]
    pub fn shares_mounts(&self) -> bool {
        self.steps.iter().any(|step| match step {
            Step::AttachRoot { isolate, .. } => *isolate,
            Step::Mount(mount) => mount.propagation.iter().any(|flags| flags & libc::MS_SHARED != 0),
            _ => false,
        })
    }
}

/// What the runtime does for the first process.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ParentPlan {
    /// The namespaces that clone makes.
    pub new_namespaces: Vec<NamespaceKind>,
    /// The namespace files to open, in the order of the steps that join them.
    pub joined_namespaces: Vec<JoinedNamespace>,
    /// The user ids of a new user namespace.
    pub uid_mappings: Vec<IdMapping>,
    /// The group ids of a new user namespace.
    pub gid_mappings: Vec<IdMapping>,
    /// The mount sources that the runtime opens, by the numbers of [`Opener::Parent`].
    pub sources: Vec<Source>,
    /// The network devices that the runtime moves into the container's namespace, in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub net_devices: Vec<NetDevice>,
    /// The hooks that run before the pivot, in the runtime's namespaces: kind and hooks.
    pub hooks: Vec<(&'static str, Vec<Hook>)>,
    /// The resource limits of the first process.
    #[serde(serialize_with = "rlimit_names")]
    pub rlimits: Vec<Rlimit>,
    /// How the kernel ranks the first process when memory is short.
    pub oom_score_adj: Option<i32>,
    /// Offsets of a new time namespace's clocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_offsets: Option<TimeOffsets>,
    /// The CPUs that the runtime itself takes before it makes the process, a bit each; empty leaves it where it is
    /// (config.md, execCPUAffinity).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub initial_cpus: Vec<u64>,
    /// The first descriptor that is closed in the program.
    pub first_closed_fd: u32,
}

/// A namespace that the runtime opens for the first process to join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JoinedNamespace {
    /// What it must be.
    pub kind: NamespaceKind,
    /// Its file.
    pub path: PathBuf,
    /// The place of the path in `config.json`.
    pub pointer: String,
    /// The place of a setting that changes the namespace itself: such a one must not be the runtime's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_by: Option<String>,
}

/// A mount source that the runtime opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Source {
    /// The path on the host.
    pub path: PathBuf,
    /// Whether mounts below it come along.
    pub recursive: bool,
    /// How its owners are shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_map: Option<IdMappedSource>,
}

/// How the owners of a mount source are shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IdMappedSource {
    /// Whether the mounts below it are mapped too.
    pub recursive: bool,
    /// By what.
    pub by: IdMapOrigin,
}

/// Where the mapping of a mount comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdMapOrigin {
    /// The user namespace of the container.
    Container,
    /// A user namespace that is made for it.
    Mappings {
        /// The user ids: those of the files and those that show.
        uids: Vec<IdMapping>,
        /// The group ids.
        gids: Vec<IdMapping>,
    },
}

fn rlimit_names<S: serde::Serializer>(rlimits: &[Rlimit], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(rlimits.iter().map(|rlimit| (rlimit.name, (rlimit.soft, rlimit.hard))))
}
