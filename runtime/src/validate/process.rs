//! The process: everything that a program is given (config.md, Process).

use super::report::{At, Error, Report, Warning};
use super::{Facts, capabilities, environment, rlimits, scheduling};
use crate::spec;
use mydocker_sys::process::SchedulerAttributes;
use std::path::PathBuf;

pub use super::capabilities::CapabilityMasks;
pub use super::rlimits::Rlimit;
pub use super::scheduling::{CpuAffinity, IoPriority};

/// A process that the kernel can be asked for; no text has a NUL.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Process {
    /// The program and its arguments; at least one.
    pub args: Vec<String>,
    /// The environment, `NAME=value`, each name once (the last wins). `HOME` may be missing or empty: the user
    /// database inside the container says it.
    pub env: Vec<String>,
    /// The working directory in the container, absolute.
    pub cwd: PathBuf,
    /// The user id in the container; never `u32::MAX`, which the kernel reads as "leave it".
    pub uid: u32,
    /// The group id in the container; never `u32::MAX`.
    pub gid: u32,
    /// Further group ids.
    pub additional_gids: Vec<u32>,
    /// The file mode creation mask, at most 0777; none: as the runtime decides.
    pub umask: Option<u32>,
    /// The capability sets; all empty when none are given.
    pub capabilities: CapabilityMasks,
    /// Resource limits, each resource once.
    pub rlimits: Vec<Rlimit>,
    /// Whether no execve may give more privileges.
    pub no_new_privileges: bool,
    /// -1000 to 1000; none leaves it.
    pub oom_score_adj: Option<i32>,
    /// Whether it gets a terminal of its own.
    pub terminal: bool,
    /// The size of that terminal; none without a terminal.
    pub console_size: Option<spec::ConsoleSize>,
    /// The AppArmor profile; none leaves the runtime's.
    pub apparmor_profile: Option<String>,
    /// The SELinux label; none leaves the runtime's.
    pub selinux_label: Option<String>,
    /// The scheduling policy.
    pub scheduler: Option<SchedulerAttributes>,
    /// The I/O priority.
    pub io_priority: Option<IoPriority>,
    /// The CPUs of a process that joins a container; not used for the container's first.
    pub exec_cpu_affinity: Option<CpuAffinity>,
}

/// Checks a process by itself, as `exec --process` gives it; `pointer` is what its pointers begin with.
///
/// # Errors
/// Every mistake in it.
pub fn validate_process(
    process: &spec::Process,
    pointer: &str,
    facts: &Facts,
) -> Result<(Process, Vec<Warning>), Error> {
    let mut report = Report::default();
    let process = check(&mut report, At::new(pointer), process, facts);
    report.finish(process)
}

pub(super) fn check(report: &mut Report, at: At<'_>, process: &spec::Process, facts: &Facts) -> Process {
    check_args(report, at, &process.args);
    report.absolute(at.key("cwd"), &process.cwd);
    check_user(report, at.key("user"), &process.user);
    Process {
        args: process.args.clone(),
        env: environment::check(report, at.key("env"), &process.env),
        cwd: PathBuf::from(&process.cwd),
        uid: process.user.uid,
        gid: process.user.gid,
        additional_gids: process.user.additional_gids.clone(),
        umask: process.user.umask,
        capabilities: capabilities::check(report, at, process.capabilities.as_ref(), facts),
        rlimits: rlimits::check(report, at.key("rlimits"), &process.rlimits),
        no_new_privileges: process.no_new_privileges,
        oom_score_adj: check_oom_score(report, at, process.oom_score_adj),
        terminal: process.terminal,
        console_size: process.console_size.filter(|_| process.terminal),
        apparmor_profile: report.label(at.key("apparmorProfile"), &process.apparmor_profile),
        selinux_label: report.label(at.key("selinuxLabel"), &process.selinux_label),
        scheduler: process.scheduler.as_ref().map(|s| scheduling::policy(report, at.key("scheduler"), s)),
        io_priority: process
            .io_priority
            .as_ref()
            .map(|p| scheduling::io_priority(report, at.key("ioPriority"), p)),
        exec_cpu_affinity: process
            .exec_cpu_affinity
            .as_ref()
            .map(|a| scheduling::affinity(report, at.key("execCPUAffinity"), a)),
    }
}

fn check_args(report: &mut Report, at: At<'_>, args: &[String]) {
    let at = at.key("args");
    if args.is_empty() {
        report.refuse(at, "there is no program to run", "give at least one argument, the program");
    }
    for (index, arg) in args.iter().enumerate() {
        report.no_nul(at.index(index), arg);
    }
}

/// The kernel takes -1 for "do not change", so that such a process would stay root (`setresuid(2)`).
fn check_user(report: &mut Report, at: At<'_>, user: &spec::User) {
    const MOST: &str = "the largest id is 4294967294";
    let unset = |report: &mut Report, at: At<'_>| report.refuse(at, "4294967295 (-1) is not an id", MOST);
    if user.uid == u32::MAX {
        unset(report, at.key("uid"));
    }
    if user.gid == u32::MAX {
        unset(report, at.key("gid"));
    }
    for (index, gid) in user.additional_gids.iter().enumerate() {
        if *gid == u32::MAX {
            unset(report, at.key("additionalGids").index(index));
        }
    }
    if let Some(umask) = user.umask.filter(|umask| *umask > 0o777) {
        report.refuse(at.key("umask"), format!("{umask} has bits beyond 0777"), "0 to 511, decimal");
    }
}

fn check_oom_score(report: &mut Report, at: At<'_>, score: Option<i32>) -> Option<i32> {
    if let Some(score) = score.filter(|score| !(-1000..=1000).contains(score)) {
        report.refuse(at.key("oomScoreAdj"), format!("{score} is out of range"), "-1000 to 1000");
    }
    score
}
