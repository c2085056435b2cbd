//! Resource limits (config.md, POSIX process).

use super::report::{At, Report};
use crate::spec;

/// One resource limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rlimit {
    /// The kernel's number, `RLIMIT_*`.
    pub resource: u32,
    /// The kernel's name.
    pub name: &'static str,
    /// What is in force; `u64::MAX` for no limit.
    pub soft: u64,
    /// The most that `soft` may be raised to; `u64::MAX` for no limit.
    pub hard: u64,
}

/// `<asm-generic/resource.h>`: a resource's number is its place here. MIPS and SPARC count otherwise; nothing here is
/// built for them.
const RESOURCES: [&str; 16] = [
    "RLIMIT_CPU",
    "RLIMIT_FSIZE",
    "RLIMIT_DATA",
    "RLIMIT_STACK",
    "RLIMIT_CORE",
    "RLIMIT_RSS",
    "RLIMIT_NPROC",
    "RLIMIT_NOFILE",
    "RLIMIT_MEMLOCK",
    "RLIMIT_AS",
    "RLIMIT_LOCKS",
    "RLIMIT_SIGPENDING",
    "RLIMIT_MSGQUEUE",
    "RLIMIT_NICE",
    "RLIMIT_RTPRIO",
    "RLIMIT_RTTIME",
];

/// Unknown names and names given twice MUST be refused.
pub(super) fn check(report: &mut Report, at: At<'_>, limits: &[spec::Rlimit]) -> Vec<Rlimit> {
    let mut checked: Vec<Rlimit> = Vec::with_capacity(limits.len());
    for (index, limit) in limits.iter().enumerate() {
        let at = at.index(index);
        let Some((resource, name)) = number(&limit.kind) else {
            report.refuse(
                at.key("type"),
                format!("{:?} is not a resource that Linux limits", limit.kind),
                "getrlimit(2) has the names, such as RLIMIT_NOFILE",
            );
            continue;
        };
        if checked.iter().any(|other| other.resource == resource) {
            report.refuse(at.key("type"), format!("{name} is limited already"), "list each resource once");
        }
        if limit.soft > limit.hard {
            report.refuse(
                at.key("soft"),
                format!("the soft limit {} is above the hard limit {}", limit.soft, limit.hard),
                "lower it, or raise the hard limit",
            );
        }
        checked.push(Rlimit { resource, name, soft: limit.soft, hard: limit.hard });
    }
    checked
}

fn number(name: &str) -> Option<(u32, &'static str)> {
    (0..).zip(RESOURCES).find(|(_, known)| *known == name)
}
