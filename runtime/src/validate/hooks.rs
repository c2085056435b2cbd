//! Hooks (config.md, POSIX-platform Hooks).

use super::report::{At, Report};
use crate::spec;
use std::path::PathBuf;
use std::time::Duration;

/// A hook that can be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// The program, absolute.
    pub path: PathBuf,
    /// Its arguments, the name first; at least one.
    pub args: Vec<String>,
    /// Its whole environment.
    pub env: Vec<String>,
    /// After this it is killed; none: never.
    pub timeout: Option<Duration>,
}

/// The hooks of all six kinds, each in the order in which it runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hooks {
    /// During create, in the runtime's namespaces, before `create_runtime`.
    pub prestart: Vec<Hook>,
    /// During create, in the runtime's namespaces, before `pivot_root`.
    pub create_runtime: Vec<Hook>,
    /// During create, in the container's namespaces, before `pivot_root`.
    pub create_container: Vec<Hook>,
    /// During start, in the container's namespaces, before the program runs.
    pub start_container: Vec<Hook>,
    /// After the program was started, in the runtime's namespaces.
    pub poststart: Vec<Hook>,
    /// After the container was deleted, in the runtime's namespaces.
    pub poststop: Vec<Hook>,
}

pub(super) fn check(report: &mut Report, at: At<'_>, hooks: &spec::Hooks) -> Hooks {
    let mut list = |key, hooks: &[spec::Hook]| check_list(report, at.key(key), hooks);
    Hooks {
        prestart: list("prestart", &hooks.prestart),
        create_runtime: list("createRuntime", &hooks.create_runtime),
        create_container: list("createContainer", &hooks.create_container),
        start_container: list("startContainer", &hooks.start_container),
        poststart: list("poststart", &hooks.poststart),
        poststop: list("poststop", &hooks.poststop),
    }
}

fn check_list(report: &mut Report, at: At<'_>, hooks: &[spec::Hook]) -> Vec<Hook> {
    hooks.iter().enumerate().map(|(index, hook)| check_hook(report, at.index(index), hook)).collect()
}

fn check_hook(report: &mut Report, at: At<'_>, hook: &spec::Hook) -> Hook {
    report.absolute(at.key("path"), &hook.path);
    for (key, list) in [("args", &hook.args), ("env", &hook.env)] {
        for (index, text) in list.iter().enumerate() {
            report.no_nul(at.key(key).index(index), text);
        }
    }
    // runc hands such an entry on, and some programs write them.
    for (index, variable) in hook.env.iter().enumerate().filter(|(_, variable)| !variable.contains('=')) {
        report.warn(at.key("env").index(index), format!("{variable:?} has no =; it is handed on as it is"));
    }
    Hook {
        path: PathBuf::from(&hook.path),
        args: if hook.args.is_empty() { vec![hook.path.clone()] } else { hook.args.clone() },
        env: hook.env.clone(),
        timeout: timeout(report, at.key("timeout"), hook.timeout),
    }
}

fn timeout(report: &mut Report, at: At<'_>, seconds: Option<i64>) -> Option<Duration> {
    let seconds = seconds?;
    let checked = u64::try_from(seconds).ok().filter(|seconds| *seconds > 0);
    if checked.is_none() {
        report.refuse(at, format!("{seconds} is not greater than zero"), "leave it out to wait for ever");
    }
    checked.map(Duration::from_secs)
}
