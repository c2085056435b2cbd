//! The steps of a container's first process, as data.

use super::mount::{MountStep, Node};
use crate::landlock::Ruleset;
use crate::spec::{Hook, NamespaceKind};
use crate::validate::TimeOffsets;
use mydocker_sys::process::{CapabilitySets, SchedulerAttributes};
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

/// The parts of the way from a fresh process to the user's program; steps never go back to an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Cgroups, id maps and namespaces.
    Namespaces,
    /// The root file system and everything mounted below it.
    Mounts,
    /// The hooks that see the container's mounts and still the host's.
    CreateHooks,
    /// The container's root becomes `/`.
    Pivot,
    /// Read-only and masked paths: after the pivot, so that no path can lead outside.
    Mask,
    /// Kernel parameters and limits, before anything of the user runs.
    Limits,
    /// The parent is told, and sets what needs its privileges.
    Ready,
    /// Ids and the working directory.
    Identity,
    /// Labels, the system call filter, the capabilities.
    Confine,
    /// A created container waits here for `start`.
    AwaitStart,
    /// The user's program.
    Exec,
}

impl Phase {
    /// All of them, in their order.
    pub const ALL: [Self; 11] = [
        Self::Namespaces,
        Self::Mounts,
        Self::CreateHooks,
        Self::Pivot,
        Self::Mask,
        Self::Limits,
        Self::Ready,
        Self::Identity,
        Self::Confine,
        Self::AwaitStart,
        Self::Exec,
    ];

    /// The name in JSON and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::Mounts => "mounts",
            Self::CreateHooks => "create-hooks",
            Self::Pivot => "pivot",
            Self::Mask => "mask",
            Self::Limits => "limits",
            Self::Ready => "ready",
            Self::Identity => "identity",
            Self::Confine => "confine",
            Self::AwaitStart => "await-start",
            Self::Exec => "exec",
        }
    }
}

/// One thing that the first process does. Everything is decided: carrying a step out leaves no choice.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "step", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Step {
    /// Others of the same user may not attach to the process nor open its descriptors (CVE-2016-9962).
    HideFromTracers,
    /// Enter the container's cgroups through descriptors that the parent has opened.
    JoinCgroups,
    /// Enter the container's cgroups, which the parent has made meanwhile; what was mounted before needs none. The parent's
    /// word brings what leads into them.
    EnterCgroups {
        /// Whether they become the roots that a cgroup namespace shows.
        namespace: bool,
    },
    /// Wait until systemd has put the process into the container's unit, at the parent's request.
    AwaitUnit {
        /// The unit's name.
        unit: String,
    },
    /// The CPUs of a process that has joined a container's cgroups.
    SetCpuAffinity {
        /// A bit for each.
        cpus: Vec<u64>,
    },
    /// Wait until the parent has written the id maps of the new user namespace.
    AwaitIdMaps,
    /// Join a namespace whose file the parent has opened.
    JoinNamespace {
        /// Its kind.
        kind: NamespaceKind,
        /// The file, for messages.
        path: PathBuf,
    },
    /// Join namespaces of a running container, all at once.
    JoinContainer {
        /// Their kinds.
        kinds: Vec<NamespaceKind>,
    },
    /// Make the namespaces that clone could not: owned by a joined user namespace, or rooted in the cgroup just
    /// joined.
    Unshare {
        /// Their kinds.
        kinds: Vec<NamespaceKind>,
    },
    /// The clocks of the new time namespace, before any process is in it.
    SetTimeOffsets {
        /// The offsets.
        offsets: TimeOffsets,
    },
    /// Take user and group id 0 of the user namespace, so that what is made belongs to its root.
    BecomeNamespaceRoot,
    /// The loopback device of a new network namespace is up.
    RaiseLoopback,
    /// A session of its own, without a controlling terminal.
    NewSession,
    /// A session keyring of its own, so that the caller's keys stay outside.
    NewKeyring {
        /// Its name.
        name: String,
    },
    /// The host name.
    SetHostname {
        /// The name.
        name: String,
    },
    /// The NIS domain.
    SetDomainname {
        /// The name.
        name: String,
    },
    /// How mount events pass between the host and the new mount namespace from here on.
    SetHostPropagation {
        /// `MS_*` propagation flags.
        flags: u64,
    },
    /// The root file system as a mount of its own.
    AttachRoot {
        /// The directory on the host.
        path: PathBuf,
        /// Whether it becomes a mount; without a mount namespace it stays a directory of the host.
        bind: bool,
        /// Whether the mount that it lies on is made private first, so that the host's side does not see what is
        /// mounted (a shared propagation keeps everything else connected).
        isolate: bool,
    },
    /// One mount below the root.
    Mount(MountStep),
    /// Devices, links and directories below the root, where they are not part of a fresh `/dev`.
    MakeNodes {
        /// What to make, by paths relative to the root.
        nodes: Vec<Node>,
    },
    /// A terminal out of the container's own devpts, sent to the parent.
    OpenTerminal {
        /// Lines and columns, where the configuration gives them.
        size: Option<(u16, u16)>,
        /// Whether to mount it at `/dev/console`.
        console: bool,
    },
    /// Wait while the parent moves network devices into the network namespace: after the mounts, of which most failures
    /// are, for a virtual device ends with the namespace that it was moved to.
    AwaitNetDevices,
    /// Wait while the parent runs the prestart and createRuntime hooks.
    AwaitRuntimeHooks,
    /// Run hooks in the container's namespaces.
    RunHooks {
        /// Their kind, as in `config.json`.
        kind: &'static str,
        /// The hooks in order.
        hooks: Vec<Hook>,
    },
    /// `pivot_root` to the container's root and let go of the old one.
    Pivot {
        /// Whether mounts of the old root may still be shared with the host, so that they have to be cut off before they
        /// are let go of.
        still_shared: bool,
    },
    /// Move the root over `/` and chroot, where the root cannot be pivoted to (an initramfs).
    MoveRoot,
    /// `chroot` to the container's root, where there is no mount namespace to pivot in.
    Chroot,
    /// The working directory exists, made by the container's root where it was missing.
    EnsureWorkingDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// How mount events pass between the container's root and what is mounted from it.
    SetRootPropagation {
        /// `MS_*` propagation flags.
        flags: u64,
    },
    /// The root cannot be written.
    SetRootReadonly,
    /// A mount whose read-only attribute had to wait until it was filled.
    SetReadonly {
        /// Where.
        path: PathBuf,
    },
    /// A path that cannot be written.
    ReadonlyPath {
        /// The path; one that does not exist is passed over.
        path: PathBuf,
    },
    /// A path that cannot be read.
    MaskPath {
        /// The path; one that does not exist is passed over.
        path: PathBuf,
    },
    /// A procfs that nobody else can see, for kernel parameters and labels.
    OpenProcfs,
    /// A kernel parameter, written through the private procfs.
    SetSysctl {
        /// The file below `/proc/sys`.
        path: PathBuf,
        /// The value.
        value: String,
    },
    /// The execution domain.
    SetPersonality {
        /// As `personality(2)` takes it.
        persona: u64,
    },
    /// The scheduling policy.
    SetScheduler {
        /// As `sched_setattr(2)` takes it.
        #[serde(serialize_with = "scheduler")]
        attributes: SchedulerAttributes,
    },
    /// The I/O priority.
    SetIoPriority {
        /// `IOPRIO_CLASS_*`.
        class: u16,
        /// 0 to 7.
        level: u16,
    },
    /// The NUMA memory policy.
    SetMemoryPolicy {
        /// `MPOL_*` with its flags.
        mode: u32,
        /// A bit per node.
        nodes: Vec<u64>,
    },
    /// Tell the parent that the container stands, and wait until it has set the resource limits.
    Ready,
    /// Capabilities that no program in the container can get back.
    DropBounding {
        /// The capabilities that stay, a bit each.
        keep: u64,
    },
    /// Give the standard streams to the user, so that it can open them again through /dev/stdout.
    OwnStandardStreams {
        /// The user.
        uid: u32,
    },
    /// Group and user ids.
    SetIds {
        /// The user.
        uid: u32,
        /// The group.
        gid: u32,
        /// Further groups; none: the caller's.
        groups: Option<Vec<u32>>,
        /// Whether setgroups may be denied in this user namespace: then it is no failure that none are set.
        accept_fixed_groups: bool,
        /// The file mode creation mask; none: the caller's (config.md, User).
        umask: Option<u32>,
    },
    /// The working directory, checked to be inside (CVE-2024-21626).
    SetWorkingDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// Let the ordinary user who owns the container's user namespace open the process's files in procfs: `exec` into a
    /// created container and the seccomp listener need that, and a process that hides belongs to the host's root
    /// there. Everything of the host is let go before.
    ShowToOwner,
    /// Find the program along the container's PATH, so that a missing one is told before `start`.
    FindProgram {
        /// The capabilities that the program will have, where it has to wait for `start`: what it may not run is told
        /// before, too. Elsewhere execve tells that at once.
        #[serde(skip_serializing_if = "Option::is_none")]
        effective: Option<u64>,
    },
    /// The label that the user's program gets at execve, written through the private procfs.
    SetLabel {
        /// The file below `/proc/self/attr`.
        file: PathBuf,
        /// What is written.
        label: String,
    },
    /// No execve gives more privileges.
    SetNoNewPrivileges,
    /// The rules of Landlock: as late as possible, for what comes after them is bound by them, and while there is still
    /// the privilege that they need without no-new-privileges.
    RestrictFiles {
        /// The rules.
        rules: Ruleset,
    },
    /// The final capabilities.
    SetCapabilities {
        /// Effective, permitted and inheritable, a bit each.
        #[serde(serialize_with = "capability_sets")]
        sets: CapabilitySets,
        /// Ambient, a bit each.
        ambient: u64,
    },
    /// The system call filter.
    LoadSeccomp,
    /// Wait for `start`.
    AwaitStart,
    /// The user's program.
    Exec {
        /// The program and its arguments.
        args: Vec<String>,
    },
}

fn capability_sets<S: serde::Serializer>(sets: &CapabilitySets, serializer: S) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeStruct;
    let mut fields = serializer.serialize_struct("sets", 3)?;
    fields.serialize_field("effective", &sets.effective)?;
    fields.serialize_field("permitted", &sets.permitted)?;
    fields.serialize_field("inheritable", &sets.inheritable)?;
    fields.end()
}

fn scheduler<S: serde::Serializer>(
    attributes: &SchedulerAttributes,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeStruct;
    // The size is the kernel's business: it is set when the call is made.
    let mut fields = serializer.serialize_struct("attributes", 9)?;
    fields.serialize_field("policy", &attributes.policy)?;
    fields.serialize_field("flags", &attributes.flags)?;
    fields.serialize_field("nice", &attributes.nice)?;
    fields.serialize_field("priority", &attributes.priority)?;
    fields.serialize_field("runtime", &attributes.runtime)?;
    fields.serialize_field("deadline", &attributes.deadline)?;
    fields.serialize_field("period", &attributes.period)?;
    fields.serialize_field("utilMin", &attributes.util_min)?;
    fields.serialize_field("utilMax", &attributes.util_max)?;
    fields.end()
}

impl Phase {
    /// The heading of the phase in `explain`.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::Mounts => "mounts",
            Self::CreateHooks => "hooks of create",
            Self::Pivot => "pivot",
            Self::Mask => "read-only and masked paths",
            Self::Limits => "kernel parameters and scheduling",
            Self::Ready => "ready",
            Self::Identity => "identity",
            Self::Confine => "confinement",
            Self::AwaitStart => "start",
            Self::Exec => "program",
        }
    }
}

impl Step {
    /// The phase that the step belongs to.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self {
            Self::HideFromTracers
            | Self::JoinCgroups
            | Self::AwaitUnit { .. }
            | Self::SetCpuAffinity { .. }
            | Self::AwaitIdMaps
            | Self::JoinNamespace { .. }
            | Self::JoinContainer { .. }
            | Self::Unshare { .. }
            | Self::SetTimeOffsets { .. }
            | Self::BecomeNamespaceRoot
            | Self::RaiseLoopback
            | Self::NewSession
            | Self::NewKeyring { .. }
            | Self::SetHostname { .. }
            | Self::SetDomainname { .. } => Phase::Namespaces,
            Self::EnterCgroups { .. }
            | Self::SetHostPropagation { .. }
            | Self::AttachRoot { .. }
            | Self::Mount(_)
            | Self::MakeNodes { .. }
            | Self::OpenTerminal { .. } => Phase::Mounts,
            Self::AwaitNetDevices | Self::AwaitRuntimeHooks => Phase::CreateHooks,
            // The hooks of start run as the user's program would: after everything that confines it.
            Self::RunHooks { kind: "startContainer", .. } => Phase::AwaitStart,
            Self::RunHooks { .. } => Phase::CreateHooks,
            Self::Pivot { .. } | Self::MoveRoot | Self::Chroot | Self::EnsureWorkingDirectory { .. } => {
                Phase::Pivot
            }
            Self::SetRootPropagation { .. }
            | Self::SetRootReadonly
            | Self::SetReadonly { .. }
            | Self::ReadonlyPath { .. }
            | Self::MaskPath { .. } => Phase::Mask,
            Self::OpenProcfs
            | Self::SetSysctl { .. }
            | Self::SetPersonality { .. }
            | Self::SetScheduler { .. }
            | Self::SetIoPriority { .. }
            | Self::SetMemoryPolicy { .. } => Phase::Limits,
            Self::Ready => Phase::Ready,
            Self::DropBounding { .. }
            | Self::OwnStandardStreams { .. }
            | Self::SetIds { .. }
            | Self::SetWorkingDirectory { .. }
            | Self::FindProgram { .. } => Phase::Identity,
            Self::SetLabel { .. }
            | Self::ShowToOwner
            | Self::SetNoNewPrivileges
            | Self::RestrictFiles { .. }
            | Self::SetCapabilities { .. }
            | Self::LoadSeccomp => Phase::Confine,
            Self::AwaitStart => Phase::AwaitStart,
            Self::Exec { .. } => Phase::Exec,
        }
    }
}

/// What the step does, as a line for a person: the same text in `explain` and in errors.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HideFromTracers => write!(f, "hide the process from tracers"),
            Self::JoinCgroups => write!(f, "join the container's cgroups"),
            Self::EnterCgroups { namespace } => {
                write!(f, "enter the container's cgroups, once they are made")?;
                if *namespace { write!(f, ", and make namespace(s): cgroup") } else { Ok(()) }
            }
            Self::AwaitUnit { unit } => write!(f, "be put into the unit {unit} by systemd"),
            Self::SetCpuAffinity { cpus } => {
                let count: u32 = cpus.iter().map(|word| word.count_ones()).sum();
                write!(f, "run on {count} CPU(s)")
            }
            Self::AwaitIdMaps => write!(f, "wait for the id maps"),
            Self::JoinNamespace { kind, path } => write!(f, "join the {kind} namespace {}", path.display()),
            Self::JoinContainer { kinds } => write!(f, "join the container's namespaces: {}", names(kinds)),
            Self::Unshare { kinds } => write!(f, "make new namespaces: {}", names(kinds)),
            Self::SetTimeOffsets { .. } => write!(f, "set the clocks of the time namespace"),
            Self::BecomeNamespaceRoot => write!(f, "become root of the user namespace"),
            Self::RaiseLoopback => write!(f, "bring the loopback device up"),
            Self::NewSession => write!(f, "begin a new session"),
            Self::NewKeyring { name } => write!(f, "join a new session keyring {name:?}"),
            Self::SetHostname { name } => write!(f, "set the host name to {name:?}"),
            Self::SetDomainname { name } => write!(f, "set the domain name to {name:?}"),
            Self::SetHostPropagation { flags } => {
                write!(f, "set the propagation of the host's mounts to {}", propagation(*flags))
            }
            Self::AttachRoot { path, bind: true, .. } => {
                write!(f, "attach the root file system {}", path.display())
            }
            Self::AttachRoot { path, .. } => write!(f, "open the root file system {}", path.display()),
            Self::Mount(mount) => write!(f, "{mount}"),
            Self::MakeNodes { nodes } => write!(f, "make {}", super::mount::node_count(nodes)),
            Self::OpenTerminal { size, console } => {
                write!(f, "open a terminal")?;
                if let Some((rows, columns)) = size {
                    write!(f, " of {rows} lines and {columns} columns")?;
                }
                if *console { write!(f, " and mount it at /dev/console") } else { Ok(()) }
            }
            Self::AwaitNetDevices => write!(f, "wait for the network devices"),
            Self::AwaitRuntimeHooks => write!(f, "wait for the prestart and createRuntime hooks"),
            Self::RunHooks { kind, hooks } if hooks.len() == 1 => write!(f, "run the {kind} hook"),
            Self::RunHooks { kind, hooks } => write!(f, "run {} {kind} hooks", hooks.len()),
            Self::Pivot { still_shared: false } => write!(f, "pivot to the container's root"),
            Self::Pivot { still_shared: true } => {
                write!(f, "pivot to the container's root and cut the old one off from the host")
            }
            Self::MoveRoot => write!(f, "move the container's root over / and chroot"),
            Self::Chroot => write!(f, "change the root"),
            Self::EnsureWorkingDirectory { path } => write!(f, "make sure that {} exists", path.display()),
            Self::SetRootPropagation { flags } => {
                write!(f, "set the propagation of the container's root to {}", propagation(*flags))
            }
            Self::SetRootReadonly => write!(f, "make the root read-only"),
            Self::SetReadonly { path } | Self::ReadonlyPath { path } => {
                write!(f, "make {} read-only", path.display())
            }
            Self::MaskPath { path } => write!(f, "mask {}", path.display()),
            Self::OpenProcfs => write!(f, "open a private procfs"),
            Self::SetSysctl { path, value } => {
                write!(f, "set the kernel parameter {} to {value:?}", path.display())
            }
            Self::SetPersonality { persona } => write!(f, "set the personality {persona:#x}"),
            Self::SetScheduler { attributes } => {
                write!(f, "set the scheduling policy {}", policy_name(attributes.policy))
            }
            Self::SetIoPriority { class, level } => {
                write!(f, "set the I/O priority {}, level {level}", io_class_name(*class))
            }
            Self::SetMemoryPolicy { mode, .. } => write!(f, "set the memory policy {mode:#x}"),
            Self::Ready => write!(f, "tell the runtime that the container stands"),
            Self::DropBounding { keep } => {
                write!(f, "drop all but {} capabilities from the bounding set", keep.count_ones())
            }
            Self::OwnStandardStreams { uid } => write!(f, "give the standard streams to user {uid}"),
            Self::SetIds { uid, gid, groups, .. } => {
                write!(f, "become user {uid}, group {gid}")?;
                match groups {
                    None => write!(f, ", with the caller's groups"),
                    Some(groups) if groups.is_empty() => Ok(()),
                    Some(groups) => write!(f, ", groups {groups:?}"),
                }
            }
            Self::SetWorkingDirectory { path } => {
                write!(f, "change to the working directory {}", path.display())
            }
            Self::FindProgram { effective: None } => write!(f, "find the program"),
            Self::FindProgram { effective: Some(_) } => write!(f, "find a program that the user may run"),
            Self::SetLabel { label, .. } => write!(f, "set the security label {label:?}"),
            Self::ShowToOwner => write!(f, "let the owner of the user namespace look at the process"),
            Self::SetNoNewPrivileges => write!(f, "set no-new-privileges"),
            Self::RestrictFiles { rules } => {
                write!(f, "restrict the program by Landlock, version {}", rules.abi)
            }
            Self::SetCapabilities { sets, .. } => {
                write!(f, "keep {} effective capabilities", sets.effective.count_ones())
            }
            Self::LoadSeccomp => write!(f, "load the system call filter"),
            Self::AwaitStart => write!(f, "wait for start"),
            Self::Exec { args } => write!(f, "execute {}", args.first().map_or("nothing", String::as_str)),
        }
    }
}

fn names(kinds: &[NamespaceKind]) -> String {
    kinds.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn policy_name(policy: u32) -> &'static str {
    match policy {
        0 => "SCHED_OTHER",
        1 => "SCHED_FIFO",
        2 => "SCHED_RR",
        3 => "SCHED_BATCH",
        5 => "SCHED_IDLE",
        6 => "SCHED_DEADLINE",
        _ => "unknown",
    }
}

fn io_class_name(class: u16) -> &'static str {
    match class {
        1 => "IOPRIO_CLASS_RT",
        2 => "IOPRIO_CLASS_BE",
        3 => "IOPRIO_CLASS_IDLE",
        _ => "unknown",
    }
}

/// Propagation flags by the names of `config.json`.
#[must_use]
pub fn propagation(flags: u64) -> &'static str {
    let recursive = flags & libc::MS_REC != 0;
    match (flags & !libc::MS_REC, recursive) {
        (libc::MS_SHARED, true) => "rshared",
        (libc::MS_SHARED, false) => "shared",
        (libc::MS_SLAVE, true) => "rslave",
        (libc::MS_SLAVE, false) => "slave",
        (libc::MS_UNBINDABLE, true) => "runbindable",
        (libc::MS_UNBINDABLE, false) => "unbindable",
        (_, true) => "rprivate",
        (_, false) => "private",
    }
}

/// Attributes of a mount (`MOUNT_ATTR_*`) by the names of `config.json`, for messages.
pub(super) fn attribute_names(set: u64) -> Vec<&'static str> {
    const NAMES: [(u64, &str); 8] = [
        (libc::MOUNT_ATTR_RDONLY, "ro"),
        (libc::MOUNT_ATTR_NOSUID, "nosuid"),
        (libc::MOUNT_ATTR_NODEV, "nodev"),
        (libc::MOUNT_ATTR_NOEXEC, "noexec"),
        (libc::MOUNT_ATTR_NODIRATIME, "nodiratime"),
        (libc::MOUNT_ATTR_NOSYMFOLLOW, "nosymfollow"),
        (libc::MOUNT_ATTR_NOATIME, "noatime"),
        (libc::MOUNT_ATTR_STRICTATIME, "strictatime"),
    ];
    NAMES.iter().filter(|(bit, _)| set & bit != 0).map(|(_, name)| *name).collect()
}
