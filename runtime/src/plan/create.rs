//! The plan of a new container.

use super::{JoinedNamespace, MountKind, MountStep, Opener, ParentPlan, Plan, Step, devices, mounts};
use crate::cgroup::{CgroupRecord, UnitRecord};
use crate::landlock::Ruleset;
use crate::spec::{Hook, NamespaceKind, escape};
use crate::validate::{MemoryPolicy, Placement, Process, ValidSpec, held_by};
use mydocker_sys::process::CapabilitySets;
use mydocker_sys::socket::MAX_FDS;
use std::path::{Path, PathBuf};

/// What the caller decides beyond the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateOptions<'a> {
    /// The container's id.
    pub id: &'a str,
    /// Where its cgroups will be.
    pub cgroup: &'a CgroupRecord,
    /// Whether it waits for `start` (`create`) or goes on at once (`run`).
    pub await_start: bool,
    /// `--no-pivot`.
    pub no_pivot: bool,
    /// `--no-new-keyring`.
    pub no_new_keyring: bool,
    /// How many descriptors after the standard streams the program keeps.
    pub preserve_fds: u32,
    /// The runtime's effective user id.
    pub euid: u32,
    /// Whether the runtime itself runs in a user namespace below the host's first one.
    pub nested: bool,
}

/// Plans a container.
#[must_use]
pub fn create(spec: &ValidSpec, options: &CreateOptions<'_>) -> Plan {
    let mut planner = Planner {
        spec,
        options,
        parent: ParentPlan {
            first_closed_fd: 3u32.saturating_add(options.preserve_fds),
            ..ParentPlan::default()
        },
        prelude: Vec::new(),
        steps: Vec::new(),
        readonly_later: Vec::new(),
    };
    planner.namespaces();
    planner.mounts();
    planner.create_hooks();
    planner.pivot();
    planner.masks();
    planner.limits();
    planner.steps.push(Step::Ready);
    if let Some(process) = &spec.process {
        planner.parent.rlimits.clone_from(&process.rlimits);
        planner.parent.oom_score_adj = process.oom_score_adj;
        let (groups, plain_root) = (planner.groups(), planner.is_plain_root());
        identity(&mut planner.steps, process, groups, plain_root);
        let effective = options.await_start.then_some(process.capabilities.effective);
        planner.steps.push(Step::FindProgram { effective });
        label(&mut planner.steps, process);
        if planner.has_other_owner() {
            planner.steps.push(Step::ShowToOwner);
        }
        let seccomp = spec.spec().linux.as_ref().is_some_and(|linux| linux.seccomp.is_some());
        confine(&mut planner.steps, process, seccomp, spec.landlock.as_ref());
    }
    planner.start();
    Plan { parent: planner.parent, prelude: planner.prelude, steps: planner.steps }
}

struct Planner<'a> {
    spec: &'a ValidSpec,
    options: &'a CreateOptions<'a>,
    parent: ParentPlan,
    prelude: Vec<Step>,
    steps: Vec<Step>,
    /// Mounts that wait for their read-only attribute until they are filled.
    readonly_later: Vec<PathBuf>,
}

impl Planner<'_> {
    fn in_user_namespace(&self) -> bool {
        !self.spec.namespaces.is_host(NamespaceKind::User)
    }

    fn has_mount_namespace(&self) -> bool {
        !self.spec.namespaces.is_host(NamespaceKind::Mount)
    }

    /// The kernel may have given up setgroups: an ordinary user's single mapping comes with that, a user namespace below
    /// another inherits it, and of a joined one nobody knows.
    fn groups(&self) -> Groups {
        let joined = matches!(self.spec.namespaces.get(NamespaceKind::User), Placement::Join(_));
        Groups::new(self.spec.keeps_groups, self.options.euid != 0 || self.options.nested || joined)
    }

    /// Whether an ordinary user owns a user namespace that only the new process is in.
    fn has_other_owner(&self) -> bool {
        self.options.euid != 0
            && self.spec.namespaces.is_new(NamespaceKind::User)
            && self.parent.joined_namespaces.is_empty()
    }

    fn is_plain_root(&self) -> bool {
        self.options.euid == 0 && !self.options.nested && !self.in_user_namespace()
    }

    fn namespaces(&mut self) {
        let namespaces = &self.spec.namespaces;
        let new: Vec<_> = namespaces.new_kinds().collect();
        // The cgroup namespace takes the cgroup of the moment as its root, so it comes after joining that.
        let by_clone = |kind: &NamespaceKind| !matches!(kind, NamespaceKind::Cgroup | NamespaceKind::Time);
        self.parent.new_namespaces = new.iter().copied().filter(by_clone).collect();
        self.plan_joins();
        let users_first = self.makes_users_before_time();
        if users_first {
            self.parent.new_namespaces.retain(|kind| *kind != NamespaceKind::User);
            self.prelude.push(Step::Unshare { kinds: vec![NamespaceKind::User] });
            self.prelude.push(Step::AwaitIdMaps);
        }
        if namespaces.is_new(NamespaceKind::Time) {
            self.parent.time_offsets = Some(self.spec.time_offsets);
            self.prelude.push(Step::Unshare { kinds: vec![NamespaceKind::Time] });
            self.prelude.push(Step::SetTimeOffsets { offsets: self.spec.time_offsets });
        }
        if !self.enters_late() {
            let first = if self.prelude.is_empty() { &mut self.steps } else { &mut self.prelude };
            first.insert(0, enter(self.options.cgroup.unit.as_ref()));
        }
        let hidden = self.hides_before_joining();
        if hidden {
            let first = if self.prelude.is_empty() { &mut self.steps } else { &mut self.prelude };
            first.insert(0, Step::HideFromTracers);
        }
        if namespaces.is_new(NamespaceKind::User) {
            self.parent.uid_mappings.clone_from(&self.spec.uid_mappings);
            self.parent.gid_mappings.clone_from(&self.spec.gid_mappings);
            if !users_first {
                self.steps.push(Step::AwaitIdMaps);
            }
        }
        if self.in_user_namespace() {
            self.steps.push(Step::BecomeNamespaceRoot);
        }
        // A change of ids takes back what was set before (`prctl(2)`, PR_SET_DUMPABLE).
        if !hidden || self.in_user_namespace() {
            self.steps.push(Step::HideFromTracers);
        }
        if namespaces.is_new(NamespaceKind::Cgroup) && !self.enters_late() {
            self.steps.push(Step::Unshare { kinds: vec![NamespaceKind::Cgroup] });
        }
        if namespaces.is_new(NamespaceKind::Network) {
            if self.enters_late() {
                // The slowest of all to make: half as long as ten cgroups, and the parent has those to make meanwhile.
                self.parent.new_namespaces.retain(|kind| *kind != NamespaceKind::Network);
                self.steps.push(Step::Unshare { kinds: vec![NamespaceKind::Network] });
            }
            self.steps.push(Step::RaiseLoopback);
        }
        self.steps.push(Step::NewSession);
        if !self.options.no_new_keyring {
            self.steps.push(Step::NewKeyring { name: format!("_ses.{}", self.options.id) });
        }
        self.steps.extend(self.spec.hostname.clone().map(|name| Step::SetHostname { name }));
        self.steps.extend(self.spec.domainname.clone().map(|name| Step::SetDomainname { name }));
    }

    /// Whether the parent makes the cgroups of v1 while the first process mounts: of all that a new container waits for,
    /// nothing takes longer. The other way remains where something has to come after joining them: an intermediate
    /// process, ids of a user namespace; where the parent makes more than cgroups; and with systemd, whose unit would
    /// be left over if the process failed before systemd has put it there.
    fn enters_late(&self) -> bool {
        let makes_class = self.spec.spec().linux.as_ref().is_some_and(|linux| linux.intel_rdt.is_some());
        let cgroup = self.options.cgroup;
        let v1 = cgroup.directories.iter().filter(|directory| !directory.is_unified());
        cgroup.unit.is_none()
            && (1..=MAX_FDS).contains(&v1.count())
            && !makes_class
            && self.prelude.is_empty()
            && !self.in_user_namespace()
    }

    /// Puts the entry into the cgroups where the first mount needs it, or else behind them all.
    fn enter_among(&self, steps: &mut Vec<Step>) {
        let namespace = self.spec.namespaces.is_new(NamespaceKind::Cgroup);
        let needs = |step: &Step| matches!(step, Step::Mount(step) if self.needs_cgroups(step));
        let place = steps.iter().position(needs).unwrap_or(steps.len());
        steps.insert(place, Step::EnterCgroups { namespace });
    }

    /// Whether a mount shows the cgroups, fills memory that is the container's, or asks the parent for something:
    /// the first answer that the process gets is what leads into the cgroups.
    fn needs_cgroups(&self, step: &MountStep) -> bool {
        let is_cgroup = |path: &Path| {
            let mut directories = self.options.cgroup.directories.iter();
            directories.any(|directory| path.starts_with(&directory.mount_point))
        };
        match &step.what {
            MountKind::CgroupV1 { .. } | MountKind::CgroupV2 { .. } => true,
            MountKind::Filesystem { copy_up, .. } => *copy_up,
            MountKind::Bind { source, opener, .. } => *opener != Opener::Child || is_cgroup(source),
            MountKind::Remount => false,
        }
    }

    /// A time namespace takes its first member by clone, after it was made and set. Only in a user namespace of their
    /// own can ordinary users make one, so that this one must be there before.
    fn makes_users_before_time(&self) -> bool {
        let namespaces = &self.spec.namespaces;
        let both = namespaces.is_new(NamespaceKind::User) && namespaces.is_new(NamespaceKind::Time);
        both && self.options.euid != 0
    }

    /// Joins happen in the first process where they can. A joined pid namespace takes children only; a joined user
    /// namespace must own what clone makes; and what is joined beside a new user namespace belongs to the host,
    /// so that it has to be entered before the privileges there are gone.
    fn plan_joins(&mut self) {
        let namespaces = &self.spec.namespaces;
        let user = namespaces.get(NamespaceKind::User);
        let early = *user != Placement::Host;
        for (kind, path) in namespaces.joined() {
            let step = Step::JoinNamespace { kind, path: path.to_path_buf() };
            let by_children = matches!(kind, NamespaceKind::Pid | NamespaceKind::Time);
            if early || by_children { self.prelude.push(step) } else { self.steps.push(step) }
        }
        // The files are opened in the order of the steps: the prelude's first.
        for step in self.prelude.iter().chain(&self.steps) {
            if let Step::JoinNamespace { kind, path } = step {
                self.parent.joined_namespaces.push(joined(self.spec, *kind, path));
            }
        }
    }

    /// Whoever lives in a joined namespace may look at what arrives there, so the process hides before it joins. In
    /// procfs the files of a process that hides are root's: where an ordinary user has to write id maps or clock
    /// offsets there, it can only hide after that. Nothing is lost by it: whoever may join namespaces of others has privileges
    /// in them, and the kernel lets nobody trace a process that has privileges which he has not (`ptrace(2)`); and a user
    /// without privileges joins nobody else's.
    fn hides_before_joining(&self) -> bool {
        let namespaces = &self.spec.namespaces;
        let written_by_owner =
            namespaces.is_new(NamespaceKind::User) || namespaces.is_new(NamespaceKind::Time);
        let joins = !self.parent.joined_namespaces.is_empty();
        joins && (self.options.euid == 0 || !written_by_owner)
    }

    fn mounts(&mut self) {
        let root = &self.spec.root;
        let propagation = host_propagation(root.propagation);
        if self.has_mount_namespace() {
            self.steps.push(Step::SetHostPropagation { flags: propagation });
        }
        self.steps.push(Step::AttachRoot {
            path: root.path.clone(),
            bind: self.has_mount_namespace(),
            isolate: leaves_shared(propagation),
        });
        let place = mounts::Place {
            cgroup: self.options.cgroup,
            // The runtime cannot open what a user namespace of an ordinary user shall see: it may not mount.
            by_parent: self.in_user_namespace() && self.options.euid == 0,
            bind_devices: self.in_user_namespace() || self.options.nested,
        };
        let planned = mounts::plan(self.spec, &place);
        self.parent.sources = planned.sources;
        self.readonly_later = planned.readonly_later;
        let mut steps: Vec<Step> = planned.steps.into_iter().map(Step::Mount).collect();
        if !planned.nodes.is_empty() {
            steps.push(Step::MakeNodes { nodes: planned.nodes });
        }
        if self.enters_late() {
            self.enter_among(&mut steps);
        }
        self.steps.append(&mut steps);
        if let Some(process) = self.spec.process.as_ref().filter(|process| process.terminal) {
            let size = process.console_size.map(|size| (size.height, size.width));
            self.steps.push(Step::OpenTerminal { size, console: devices::are_set_up(self.spec) });
        }
    }

    fn create_hooks(&mut self) {
        if !self.spec.net_devices.is_empty() {
            self.parent.net_devices.clone_from(&self.spec.net_devices);
            self.steps.push(Step::AwaitNetDevices);
        }
        let hooks = &self.spec.spec().hooks;
        for (kind, hooks) in hooks.kinds().into_iter().take(2).filter(|(_, hooks)| !hooks.is_empty()) {
            self.parent.hooks.push((kind, hooks.to_vec()));
        }
        if !self.parent.hooks.is_empty() {
            self.steps.push(Step::AwaitRuntimeHooks);
        }
        self.run_hooks("createContainer", &hooks.create_container);
    }

    fn run_hooks(&mut self, kind: &'static str, hooks: &[Hook]) {
        if !hooks.is_empty() {
            self.steps.push(Step::RunHooks { kind, hooks: hooks.to_vec() });
        }
    }

    fn pivot(&mut self) {
        self.steps.push(match (self.has_mount_namespace(), self.options.no_pivot) {
            (false, _) => Step::Chroot,
            (true, false) => {
                Step::Pivot { still_shared: leaves_shared(host_propagation(self.spec.root.propagation)) }
            }
            (true, true) => Step::MoveRoot,
        });
        let cwd = self.spec.process.as_ref().map(|process| process.cwd.clone());
        if let Some(path) = cwd.filter(|path| path != Path::new("/")) {
            self.steps.push(Step::EnsureWorkingDirectory { path });
        }
    }

    fn masks(&mut self) {
        let root = &self.spec.root;
        let bidirectional = libc::MS_SHARED | libc::MS_UNBINDABLE;
        if let Some(flags) = root.propagation.filter(|flags| flags & bidirectional != 0) {
            self.steps.push(Step::SetRootPropagation { flags });
        }
        self.steps.extend(
            std::mem::take(&mut self.readonly_later).into_iter().map(|path| Step::SetReadonly { path }),
        );
        if root.readonly {
            self.steps.push(Step::SetRootReadonly);
        }
        let readonly = self.spec.readonly_paths.iter().cloned();
        self.steps.extend(readonly.map(|path| Step::ReadonlyPath { path }));
        let masked = self.spec.masked_paths.iter().cloned();
        self.steps.extend(masked.map(|path| Step::MaskPath { path }));
    }

    fn limits(&mut self) {
        let process = self.spec.process.as_ref();
        if !self.spec.sysctls.is_empty() || process.is_some_and(has_label) {
            self.steps.push(Step::OpenProcfs);
        }
        for sysctl in &self.spec.sysctls {
            self.steps.push(Step::SetSysctl { path: sysctl.path.clone(), value: sysctl.value.clone() });
        }
        shared(&mut self.steps, self.spec.personality, self.spec.memory_policy.as_ref());
        if let Some(process) = process {
            scheduling(&mut self.steps, process);
        }
    }

    fn start(&mut self) {
        if self.options.await_start {
            self.steps.push(Step::AwaitStart);
        }
        self.run_hooks("startContainer", &self.spec.spec().hooks.start_container);
        if let Some(process) = &self.spec.process {
            self.steps.push(Step::Exec { args: process.args.clone() });
        }
    }
}

/// A namespace to join, with what the configuration changes in it.
fn joined(spec: &ValidSpec, kind: NamespaceKind, path: &Path) -> JoinedNamespace {
    let linux = spec.spec().linux.as_ref();
    let listed = linux.into_iter().flat_map(|linux| &linux.namespaces);
    let index = listed.take_while(|namespace| namespace.kind != kind).count();
    let sysctl = linux.and_then(|linux| linux.sysctl.keys().find(|name| held_by(name) == Some(kind)));
    let uts = kind == NamespaceKind::Uts;
    let changed_by = match sysctl {
        Some(name) => Some(format!("/linux/sysctl/{}", escape(name))),
        None if uts && spec.hostname.is_some() => Some("/hostname".to_owned()),
        None if uts && spec.domainname.is_some() => Some("/domainname".to_owned()),
        None => None,
    };
    JoinedNamespace {
        kind,
        path: path.to_path_buf(),
        pointer: format!("/linux/namespaces/{index}/path"),
        changed_by,
    }
}

/// How the host's mounts are cut off from the new mount namespace before anything is mounted: as runc, mounts of the
/// host still arrive in the container unless something else is asked for.
fn host_propagation(configured: Option<u64>) -> u64 {
    configured.unwrap_or(libc::MS_SLAVE | libc::MS_REC)
}

/// Whether mounts of the host may still be shared with it after their propagation was set so.
fn leaves_shared(flags: u64) -> bool {
    flags & libc::MS_REC == 0 || flags & libc::MS_SHARED != 0
}

fn has_label(process: &Process) -> bool {
    process.apparmor_profile.is_some() || process.selinux_label.is_some()
}

/// The personality and the memory policy, which all processes of a container share.
pub(super) fn shared(steps: &mut Vec<Step>, personality: Option<u64>, memory: Option<&MemoryPolicy>) {
    steps.extend(personality.map(|persona| Step::SetPersonality { persona }));
    steps.extend(
        memory.map(|policy| Step::SetMemoryPolicy { mode: policy.mode, nodes: policy.nodes.clone() }),
    );
}

/// Scheduling, the same for a container's first process and for one that joins it.
pub(super) fn scheduling(steps: &mut Vec<Step>, process: &Process) {
    steps.extend(process.scheduler.map(|attributes| Step::SetScheduler { attributes }));
    steps.extend(process.io_priority.map(|io| Step::SetIoPriority { class: io.class, level: io.level }));
}

/// What becomes of the further groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Groups {
    /// They stay the caller's.
    Keep,
    /// They are set.
    Set,
    /// They are set, but where the user namespace denies setgroups it is no failure that none are.
    SetIfAllowed,
}

impl Groups {
    pub(super) fn new(kept: bool, may_be_fixed: bool) -> Self {
        match (kept, may_be_fixed) {
            (true, _) => Self::Keep,
            (false, true) => Self::SetIfAllowed,
            (false, false) => Self::Set,
        }
    }
}

/// Ids and the working directory, the same for both.
pub(super) fn identity(steps: &mut Vec<Step>, process: &Process, groups: Groups, plain_root: bool) {
    steps.push(Step::DropBounding { keep: process.capabilities.bounding });
    // Root reaches its streams whoever owns them.
    if !(plain_root && process.uid == 0 && !process.terminal) {
        steps.push(Step::OwnStandardStreams { uid: process.uid });
    }
    steps.push(Step::SetIds {
        uid: process.uid,
        gid: process.gid,
        groups: (groups != Groups::Keep).then(|| process.additional_gids.clone()),
        accept_fixed_groups: groups == Groups::SetIfAllowed,
        umask: process.umask,
    });
    steps.push(Step::SetWorkingDirectory { path: process.cwd.clone() });
}

/// How a process comes into the container's cgroups: by itself, or with the help of systemd.
pub(super) fn enter(unit: Option<&UnitRecord>) -> Step {
    unit.map_or(Step::JoinCgroups, |unit| Step::AwaitUnit { unit: unit.name.clone() })
}

/// Labels, the same for both.
pub(super) fn label(steps: &mut Vec<Step>, process: &Process) {
    let label = |file: &str, label: &String| Step::SetLabel { file: file.into(), label: label.clone() };
    steps.extend(process.selinux_label.as_ref().map(|name| label("exec", name)));
    steps.extend(
        process.apparmor_profile.as_ref().map(|name| label("apparmor/exec", &format!("exec {name}"))),
    );
}

/// The filter, the rules of Landlock and the capabilities, the same for both. Without no-new-privileges the kernel takes
/// a filter from a privileged process only, so it is loaded before the capabilities go; with it, as late as possible.
pub(super) fn confine(steps: &mut Vec<Step>, process: &Process, seccomp: bool, landlock: Option<&Ruleset>) {
    if process.no_new_privileges {
        steps.push(Step::SetNoNewPrivileges);
    }
    steps.extend(landlock.map(|rules| Step::RestrictFiles { rules: rules.clone() }));
    let capabilities = process.capabilities;
    let sets = CapabilitySets {
        effective: capabilities.effective,
        permitted: capabilities.permitted,
        inheritable: capabilities.inheritable,
    };
    let drop = Step::SetCapabilities { sets, ambient: capabilities.ambient };
    match (seccomp, process.no_new_privileges) {
        (false, _) => steps.push(drop),
        (true, false) => steps.extend([Step::LoadSeccomp, drop]),
        (true, true) => steps.extend([drop, Step::LoadSeccomp]),
    }
}

/// Whether a mount is the container's `/dev`.
pub(super) fn is_dev(mount: &MountStep) -> bool {
    mount.target == Path::new("/dev")
}
