//! The plan of a process that joins a running container.

use super::create::{Groups, confine, enter, identity, label, scheduling, shared};
use super::{ParentPlan, Plan, Step};
use crate::cgroup::UnitRecord;
use crate::landlock::Ruleset;
use crate::spec::NamespaceKind;
use crate::validate::{MemoryPolicy, Process};
use std::path::Path;

/// What is known of the container and decided by the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOptions<'a> {
    /// The container's id.
    pub id: &'a str,
    /// The kinds of namespaces that the container does not share with the runtime.
    pub namespaces: &'a [NamespaceKind],
    /// The unit that only systemd can put the process into, where that is so.
    pub unit: Option<&'a UnitRecord>,
    /// The container's root on the host, for a container without a mount namespace.
    pub rootfs: &'a Path,
    /// Whether a system call filter is loaded.
    pub seccomp: bool,
    /// The container's rules of Landlock.
    pub landlock: Option<&'a Ruleset>,
    /// Whether the process keeps the further groups of the runtime's caller, as the container's first did.
    pub keeps_groups: bool,
    /// The container's personality.
    pub personality: Option<u64>,
    /// The container's memory policy.
    pub memory_policy: Option<&'a MemoryPolicy>,
    /// Whether the runtime is the host's own root.
    pub is_host_root: bool,
    /// How many descriptors after the standard streams the program keeps.
    pub preserve_fds: u32,
}

/// Plans a further process.
#[must_use]
pub fn exec(process: &Process, options: &ExecOptions<'_>) -> Plan {
    let user = options.namespaces.contains(&NamespaceKind::User);
    let mut prelude = vec![Step::HideFromTracers, enter(options.unit)];
    if !options.namespaces.is_empty() {
        prelude.push(Step::JoinContainer { kinds: options.namespaces.to_vec() });
    }
    let affinity = process.exec_cpu_affinity.as_ref();
    if let Some(cpus) = affinity.map(|affinity| &affinity.last).filter(|cpus| !cpus.is_empty()) {
        prelude.push(Step::SetCpuAffinity { cpus: cpus.clone() });
    }
    let mut steps = Vec::new();
    if user {
        steps.push(Step::BecomeNamespaceRoot);
    }
    steps.extend([Step::HideFromTracers, Step::NewSession]);
    steps.push(Step::NewKeyring { name: format!("_ses.{}", options.id) });
    let own_root = options.namespaces.contains(&NamespaceKind::Mount);
    if !own_root {
        // The container's root is a directory of the host's tree, which create changed to.
        steps.push(Step::AttachRoot { path: options.rootfs.to_path_buf(), bind: false, isolate: false });
    }
    if process.terminal {
        let size = process.console_size.map(|size| (size.height, size.width));
        steps.push(Step::OpenTerminal { size, console: false });
    }
    if !own_root {
        steps.push(Step::Chroot);
    }
    if process.apparmor_profile.is_some() || process.selinux_label.is_some() {
        steps.push(Step::OpenProcfs);
    }
    shared(&mut steps, options.personality, options.memory_policy);
    scheduling(&mut steps, process);
    steps.push(Step::Ready);
    // A user namespace of the container may have been made by somebody who had to give up setgroups.
    let groups = Groups::new(options.keeps_groups, user || !options.is_host_root);
    identity(&mut steps, process, groups, options.is_host_root && !user);
    steps.push(Step::FindProgram { effective: None });
    label(&mut steps, process);
    confine(&mut steps, process, options.seccomp, options.landlock);
    steps.push(Step::Exec { args: process.args.clone() });
    let parent = ParentPlan {
        rlimits: process.rlimits.clone(),
        oom_score_adj: process.oom_score_adj,
        initial_cpus: affinity.map(|affinity| affinity.initial.clone()).unwrap_or_default(),
        first_closed_fd: 3u32.saturating_add(options.preserve_fds),
        ..ParentPlan::default()
    };
    Plan { parent, prelude, steps }
}
