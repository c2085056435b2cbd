//! The plan for a person: a heading for each part, a line for each step, and below it what the line has no room for.

use super::{CgroupView, DevicesView, Explanation};
use crate::plan::{self, ParentPlan, Step};
use crate::spec::{Hook, IdMapping, Seccomp};
use crate::validate::Rlimit;
use std::fmt;

/// The runtime's part first, then the first process's, and at last what comes after the program has started.
impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cgroup)?;
        parent(f, &self.plan.parent)?;
        self.seccomp.map_or(Ok(()), |seccomp| filter(f, seccomp))?;
        self.plan.parent.hooks.iter().try_for_each(|(kind, list)| hooks(f, kind, list))?;
        if !self.plan.prelude.is_empty() {
            writeln!(f, "prelude (a process that only prepares)")?;
            self.plan.prelude.iter().try_for_each(|step| step_lines(f, step))?;
        }
        steps(f, &self.plan.steps)?;
        self.later_hooks.iter().try_for_each(|(kind, list)| hooks(f, kind, list))
    }
}

impl fmt::Display for CgroupView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "cgroup")?;
        if let Some(unit) = &self.unit {
            writeln!(f, "  the unit {} of systemd", unit.name)?;
            for (name, _, value) in &unit.properties {
                writeln!(f, "    {name} = {value}")?;
            }
        }
        for directory in &self.directories {
            let hierarchy = match directory.hierarchy.as_str() {
                "" => "cgroup v2",
                name => name,
            };
            writeln!(f, "  {} ({hierarchy})", directory.path.display())?;
        }
        for write in &self.writes {
            writeln!(f, "  {} = {} ({})", write.file, write.value, write.pointer)?;
        }
        self.devices.as_ref().map_or(Ok(()), |devices| device_filter(f, devices))
    }
}

fn device_filter(f: &mut fmt::Formatter<'_>, devices: &DevicesView<'_>) -> fmt::Result {
    match devices {
        DevicesView::Rules(rules) => {
            rules.iter().try_for_each(|rule| writeln!(f, "  {} = {}", rule.file, rule.value))
        }
        DevicesView::Program(None) => writeln!(f, "  every device is allowed"),
        DevicesView::Program(Some(program)) => {
            writeln!(f, "  device filter: an eBPF program of {} instructions", program.len())
        }
    }
}

fn parent(f: &mut fmt::Formatter<'_>, parent: &ParentPlan) -> fmt::Result {
    writeln!(f, "runtime")?;
    let new: Vec<_> = parent.new_namespaces.iter().map(|kind| kind.name()).collect();
    writeln!(f, "  new namespaces: {}", if new.is_empty() { "none".to_owned() } else { new.join(", ") })?;
    for namespace in &parent.joined_namespaces {
        writeln!(f, "  open the {} namespace {}", namespace.kind, namespace.path.display())?;
    }
    mappings(f, "user", &parent.uid_mappings)?;
    mappings(f, "group", &parent.gid_mappings)?;
    for source in &parent.sources {
        let extent = if source.recursive { " and what is mounted below it" } else { "" };
        writeln!(f, "  open the mount source {}{extent}", source.path.display())?;
    }
    for device in &parent.net_devices {
        let (from, to) = (&device.name, &device.new_name);
        writeln!(f, "  move the network device {from} and its addresses into the container, as {to}")?;
    }
    parent.rlimits.iter().try_for_each(|limit| rlimit(f, limit))?;
    if let Some(score) = parent.oom_score_adj {
        writeln!(f, "  set the OOM score adjustment {score}")?;
    }
    writeln!(f, "  close descriptors from {} on in the program", parent.first_closed_fd)
}

fn mappings(f: &mut fmt::Formatter<'_>, what: &str, mappings: &[IdMapping]) -> fmt::Result {
    mappings.iter().try_for_each(|map| {
        let IdMapping { container_id, host_id, size } = map;
        writeln!(f, "  map {size} {what} id(s): {container_id} inside is {host_id} outside")
    })
}

fn rlimit(f: &mut fmt::Formatter<'_>, limit: &Rlimit) -> fmt::Result {
    let number = |value| if value == u64::MAX { "unlimited".to_owned() } else { format!("{value}") };
    writeln!(f, "  limit {} to {}, at most {}", limit.name, number(limit.soft), number(limit.hard))
}

fn filter(f: &mut fmt::Formatter<'_>, seccomp: &Seccomp) -> fmt::Result {
    let names: usize = seccomp.syscalls.iter().map(|rule| rule.names.len()).sum();
    let rules = seccomp.syscalls.len();
    writeln!(f, "  compile the system call filter: {rules} rules, {names} system call names")
}

fn hooks(f: &mut fmt::Formatter<'_>, kind: &str, list: &[Hook]) -> fmt::Result {
    writeln!(f, "{kind} hooks (in the runtime's namespaces)")?;
    list.iter().try_for_each(|hook| writeln!(f, "  {}", plan::hook_line(hook)))
}

fn steps(f: &mut fmt::Formatter<'_>, steps: &[Step]) -> fmt::Result {
    let mut phase = None;
    steps.iter().try_for_each(|step| {
        if phase.replace(step.phase()) != Some(step.phase()) {
            writeln!(f, "{}", step.phase().title())?;
        }
        step_lines(f, step)
    })
}

fn step_lines(f: &mut fmt::Formatter<'_>, step: &Step) -> fmt::Result {
    writeln!(f, "  {step}")?;
    plan::details(step).iter().try_for_each(|line| writeln!(f, "    {line}"))
}
