//! CPU and I/O scheduling of a process, lowered to the kernel's numbers.

use super::lists::bit_list;
use super::report::{At, Report};
use crate::spec;
use mydocker_sys::process::SchedulerAttributes;

/// An I/O priority (`ioprio_set(2)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IoPriority {
    /// 1 real-time, 2 best effort, 3 idle.
    pub class: u16,
    /// 0 (first) to 7 (last).
    pub level: u16,
}

/// The CPUs of a process that joins a container: a bit per CPU, lowest first; empty leaves them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CpuAffinity {
    /// Until the process has joined the container's cgroup.
    pub initial: Vec<u64>,
    /// From then on.
    pub last: Vec<u64>,
}

const SCHED_OTHER: u32 = 0;
const SCHED_FIFO: u32 = 1;
const SCHED_RR: u32 = 2;
const SCHED_BATCH: u32 = 3;
const SCHED_IDLE: u32 = 5;
const SCHED_DEADLINE: u32 = 6;
const SCHED_FLAG_KEEP_PARAMS: u64 = 0x10;

/// `<linux/sched.h>`. `SCHED_ISO` has a number (4) and a place in the specification, but no Linux implements it.
const POLICIES: [(&str, u32); 6] = [
    ("SCHED_OTHER", SCHED_OTHER),
    ("SCHED_FIFO", SCHED_FIFO),
    ("SCHED_RR", SCHED_RR),
    ("SCHED_BATCH", SCHED_BATCH),
    ("SCHED_IDLE", SCHED_IDLE),
    ("SCHED_DEADLINE", SCHED_DEADLINE),
];

const FLAGS: [(&str, u64); 7] = [
    ("SCHED_FLAG_RESET_ON_FORK", 0x01),
    ("SCHED_FLAG_RECLAIM", 0x02),
    ("SCHED_FLAG_DL_OVERRUN", 0x04),
    ("SCHED_FLAG_KEEP_POLICY", 0x08),
    ("SCHED_FLAG_KEEP_PARAMS", SCHED_FLAG_KEEP_PARAMS),
    ("SCHED_FLAG_UTIL_CLAMP_MIN", 0x20),
    ("SCHED_FLAG_UTIL_CLAMP_MAX", 0x40),
];

pub(super) fn policy(report: &mut Report, at: At<'_>, scheduler: &spec::Scheduler) -> SchedulerAttributes {
    let attributes = SchedulerAttributes {
        policy: policy_number(report, at.key("policy"), &scheduler.policy).unwrap_or_default(),
        flags: flags(report, at.key("flags"), &scheduler.flags),
        nice: scheduler.nice,
        priority: u32::try_from(scheduler.priority).unwrap_or_default(),
        runtime: scheduler.runtime,
        deadline: scheduler.deadline,
        period: scheduler.period,
        ..SchedulerAttributes::default()
    };
    check_nice(report, at, &attributes);
    check_priority(report, at, &attributes, scheduler.priority);
    check_deadline(report, at, &attributes);
    attributes
}

fn policy_number(report: &mut Report, at: At<'_>, name: &str) -> Option<u32> {
    let found = POLICIES.into_iter().find(|(known, _)| *known == name).map(|(_, number)| number);
    if found.is_none() {
        let message = match name {
            "SCHED_ISO" => "Linux has no SCHED_ISO".to_owned(),
            _ => format!("{name:?} is not a scheduling policy"),
        };
        report.refuse(at, message, "SCHED_OTHER, _BATCH, _IDLE, _FIFO, _RR or _DEADLINE");
    }
    found
}

fn flags(report: &mut Report, at: At<'_>, names: &[String]) -> u64 {
    let mut mask = 0;
    for (index, name) in names.iter().enumerate() {
        match FLAGS.into_iter().find(|(known, _)| known == name) {
            Some((_, flag)) => mask |= flag,
            None => report.refuse(
                at.index(index),
                format!("{name:?} is not a scheduling flag"),
                "sched_setattr(2) has them, such as SCHED_FLAG_RESET_ON_FORK",
            ),
        }
    }
    mask
}

fn check_nice(report: &mut Report, at: At<'_>, attributes: &SchedulerAttributes) {
    let used = matches!(attributes.policy, SCHED_OTHER | SCHED_BATCH);
    if used && !(-20..=19).contains(&attributes.nice) {
        report.refuse(at.key("nice"), format!("{} is out of range", attributes.nice), "-20 to 19");
    }
}

fn check_priority(report: &mut Report, at: At<'_>, attributes: &SchedulerAttributes, priority: i32) {
    let at = at.key("priority");
    let keep = attributes.flags & SCHED_FLAG_KEEP_PARAMS != 0;
    match attributes.policy {
        SCHED_FIFO | SCHED_RR if !keep && !(1..=99).contains(&priority) => {
            report.refuse(at, format!("{priority} is out of range"), "1 to 99 with SCHED_FIFO and SCHED_RR");
        }
        SCHED_FIFO | SCHED_RR => {}
        _ if priority != 0 => {
            report.refuse(at, "this policy has no priority", "leave it out, or use SCHED_FIFO or SCHED_RR");
        }
        _ => {}
    }
}

/// What the kernel asks of deadline parameters: 1024 ns <= runtime <= deadline <= period (`sched(7)`).
fn check_deadline(report: &mut Report, at: At<'_>, attributes: &SchedulerAttributes) {
    let SchedulerAttributes { runtime, deadline, period, .. } = *attributes;
    if attributes.policy != SCHED_DEADLINE {
        for (key, value) in [("runtime", runtime), ("deadline", deadline), ("period", period)] {
            if value != 0 {
                report.refuse(
                    at.key(key),
                    "this policy has no deadline",
                    "leave it out, or use SCHED_DEADLINE",
                );
            }
        }
        return;
    }
    let keep = attributes.flags & SCHED_FLAG_KEEP_PARAMS != 0;
    let ordered = runtime >= 1024 && runtime <= deadline && (period == 0 || deadline <= period);
    let valid = ordered && deadline.max(period) < 1 << 63;
    if !keep && !valid {
        let message = format!("runtime {runtime}, deadline {deadline}, period {period} are not in order");
        report.refuse(at.key("runtime"), message, "1024 <= runtime <= deadline <= period, in nanoseconds");
    }
}

pub(super) fn io_priority(report: &mut Report, at: At<'_>, priority: &spec::IoPriority) -> IoPriority {
    let class = match priority.class.as_str() {
        "IOPRIO_CLASS_RT" => 1,
        "IOPRIO_CLASS_BE" => 2,
        "IOPRIO_CLASS_IDLE" => 3,
        other => {
            let message = format!("{other:?} is not an I/O priority class");
            report.refuse(at.key("class"), message, "IOPRIO_CLASS_RT, IOPRIO_CLASS_BE or IOPRIO_CLASS_IDLE");
            0
        }
    };
    let level = u16::try_from(priority.priority).ok().filter(|level| *level <= 7);
    if level.is_none() {
        report.refuse(at.key("priority"), format!("{} is out of range", priority.priority), "0 to 7");
    }
    IoPriority { class, level: level.unwrap_or_default() }
}

pub(super) fn affinity(report: &mut Report, at: At<'_>, affinity: &spec::CpuAffinity) -> CpuAffinity {
    CpuAffinity {
        initial: bit_list(report, at.key("initial"), &affinity.initial),
        last: bit_list(report, at.key("final"), &affinity.last),
    }
}
