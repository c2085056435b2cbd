//! What `explain` shows of a step below its line: the lists that an error message has no room for.

use super::mount::{Hierarchy, MountKind, Node};
use super::{Attributes, MountStep, Step, TargetRule, propagation};
use crate::landlock::{Ruleset, file_right_names, port_right_names, scope_names};
use crate::spec::Hook;
use crate::validate::TimeOffsets;
use caps::Capability;
use mydocker_sys::process::{CapabilitySets, SchedulerAttributes};
use std::path::Path;

/// The lines below the line of `step`; none for most steps.
#[must_use]
pub fn details(step: &Step) -> Vec<String> {
    match step {
        Step::SetTimeOffsets { offsets } => time_offsets(offsets),
        Step::Mount(mount) => mount_details(mount),
        Step::MakeNodes { nodes } => node_lines(nodes),
        Step::RunHooks { hooks, .. } => hooks.iter().map(hook_line).collect(),
        Step::SetScheduler { attributes } => vec![scheduler(attributes)],
        Step::SetMemoryPolicy { nodes, .. } => vec![format!("nodes (a bit each, 64 a word): {nodes:x?}")],
        Step::DropBounding { keep } => vec![capability_names(*keep)],
        Step::SetIds { accept_fixed_groups, umask, .. } => ids(*accept_fixed_groups, *umask),
        Step::SetCpuAffinity { cpus } => vec![format!("CPUs (a bit each, 64 a word): {cpus:x?}")],
        Step::RestrictFiles { rules } => landlock_rules(rules),
        Step::SetCapabilities { sets, ambient } => capabilities(sets, *ambient),
        Step::Exec { args } => vec![format!("{args:?}")],
        _ => Vec::new(),
    }
}

/// A hook in one line: its program, its arguments and its time limit. Its environment may hold secrets, and stays out.
#[must_use]
pub fn hook_line(hook: &Hook) -> String {
    let mut line = hook.path.clone();
    if !hook.args.is_empty() {
        line.push_str(&format!(" {:?}", hook.args));
    }
    if let Some(seconds) = hook.timeout {
        line.push_str(&format!(", killed after {seconds} s"));
    }
    line
}

fn time_offsets(offsets: &TimeOffsets) -> Vec<String> {
    let clocks = [("monotonic", offsets.monotonic), ("boottime", offsets.boottime)];
    let given = clocks.into_iter().filter_map(|(name, offset)| Some((name, offset?)));
    given.map(|(name, offset)| format!("{name}: {} s and {} ns", offset.secs, offset.nanosecs)).collect()
}

fn mount_details(mount: &MountStep) -> Vec<String> {
    let mut lines = attribute_changes(&mount.attributes);
    let types: Vec<_> = mount.propagation.iter().map(|flags| propagation(*flags)).collect();
    if !types.is_empty() {
        lines.push(format!("propagation: {}", types.join(", then ")));
    }
    lines.extend(target_rule(mount.target_rule).map(str::to_owned));
    lines.extend(kind_details(&mount.what));
    lines
}

/// What the line of the mount does not say of its attributes.
fn attribute_changes(attributes: &Attributes) -> Vec<String> {
    // The policy of access times is a number of three bits: it is cleared whenever it is set, and relatime is 0.
    let clear = |bits: u64| bits & !libc::MOUNT_ATTR__ATIME;
    let relatime = |set: u64, clear: u64| (set | !clear) & libc::MOUNT_ATTR__ATIME == 0;
    let Attributes { set, clear: cleared, set_recursive, clear_recursive } = *attributes;
    let mut lines = Vec::new();
    for (word, names) in [
        ("clears", attribute_list(clear(cleared))),
        ("sets on everything below", attribute_list(set_recursive)),
        ("clears on everything below", attribute_list(clear(clear_recursive))),
        ("sets", relatime(set, cleared).then(|| "relatime".to_owned())),
        ("sets on everything below", relatime(set_recursive, clear_recursive).then(|| "relatime".to_owned())),
    ] {
        lines.extend(names.map(|names| format!("{word}: {names}")));
    }
    lines
}

fn attribute_list(bits: u64) -> Option<String> {
    let names = super::step::attribute_names(bits);
    (!names.is_empty()).then(|| names.join(","))
}

fn target_rule(rule: TargetRule) -> Option<&'static str> {
    match rule {
        TargetRule::Inside => None,
        TargetRule::NoLinks => Some("target: no symbolic link on the way"),
        TargetRule::ProcFile => Some("target: a single file of procfs"),
    }
}

fn kind_details(what: &MountKind) -> Vec<String> {
    match what {
        MountKind::Filesystem { contents, mode_of_target, .. } => {
            let mode = mode_of_target.then(|| "mode: that of its target".to_owned());
            mode.into_iter().chain(node_lines(contents)).collect()
        }
        MountKind::CgroupV1 { hierarchies, top_is_writable } => {
            let writable = top_is_writable
                .then(|| "writable: the directory of the hierarchies, until it is filled".to_owned());
            hierarchies.iter().map(cgroup_v1).chain(writable).collect()
        }
        MountKind::CgroupV2 { cgroup, namespaced } => {
            vec![format!("cgroup v2: {}", view(cgroup, *namespaced))]
        }
        MountKind::Bind { .. } | MountKind::Remount => Vec::new(),
    }
}

fn cgroup_v1(hierarchy: &Hierarchy) -> String {
    let mut line = format!("cgroup {}: {}", hierarchy.name, view(&hierarchy.cgroup, false));
    if !hierarchy.links.is_empty() {
        line.push_str(&format!(", linked as {}", hierarchy.links.join(" and ")));
    }
    line
}

fn view(cgroup: &Path, namespaced: bool) -> String {
    match namespaced {
        true => format!("a fresh mount with {} as its root", cgroup.display()),
        false => format!("a bind of {}", cgroup.display()),
    }
}

fn node_lines(nodes: &[Node]) -> Vec<String> {
    nodes.iter().map(ToString::to_string).collect()
}

fn scheduler(attributes: &SchedulerAttributes) -> String {
    let SchedulerAttributes { flags, nice, priority, runtime, deadline, period, .. } = attributes;
    format!(
        "flags {flags:#x}, nice {nice}, priority {priority}, runtime {runtime} ns, deadline {deadline} ns, period {period} ns"
    )
}

fn ids(accept_fixed_groups: bool, umask: Option<u32>) -> Vec<String> {
    let groups = accept_fixed_groups
        .then(|| "the further groups stay as they are where the user namespace denies setgroups".to_owned());
    let umask = umask.map(|umask| format!("umask {umask:04o}"));
    groups.into_iter().chain(umask).collect()
}

fn landlock_rules(rules: &Ruleset) -> Vec<String> {
    let mut lines = Vec::new();
    if rules.handled_files != 0 {
        lines.push(format!("files: forbids {}", file_right_names(rules.handled_files)));
    }
    for (path, access) in &rules.paths {
        lines.push(format!("  but for {}: {}", path.display(), file_right_names(*access)));
    }
    if rules.handled_ports != 0 {
        lines.push(format!("TCP ports: forbids {}", port_right_names(rules.handled_ports)));
    }
    for (port, access) in &rules.ports {
        lines.push(format!("  but for {port}: {}", port_right_names(*access)));
    }
    if rules.scoped != 0 {
        lines.push(format!("keeps inside: {}", scope_names(rules.scoped)));
    }
    lines
}

fn capabilities(sets: &CapabilitySets, ambient: u64) -> Vec<String> {
    let all = [
        ("effective", sets.effective),
        ("permitted", sets.permitted),
        ("inheritable", sets.inheritable),
        ("ambient", ambient),
    ];
    all.into_iter().map(|(name, set)| format!("{name}: {}", capability_names(set))).collect()
}

/// The names of a set, in the kernel's order, without the prefix that all share.
fn capability_names(set: u64) -> String {
    let mut held: Vec<_> =
        caps::all().into_iter().filter(|capability| set & capability.bitmask() != 0).collect();
    held.sort_by_key(Capability::index);
    let names: Vec<_> = held.iter().map(ToString::to_string).collect();
    let short = names.iter().map(|name| name.strip_prefix("CAP_").unwrap_or(name));
    let list = short.collect::<Vec<_>>().join(" ");
    if list.is_empty() { "none".to_owned() } else { list }
}
