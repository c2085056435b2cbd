//! From the errors of the rooms below to the report that leaves the program.

use crate::cli::Report;
use crate::engine::{self, Failure, PlaceError, hooks};
use crate::plan::Phase;
use crate::support::Missing;
use crate::{cgroup, state};

/// A refusal in one sentence.
pub(super) fn refusal(code: &'static str, message: impl Into<String>) -> Box<Report> {
    Box::new(Report { code, message: message.into(), ..Report::default() })
}

/// There is nothing that could be started.
pub(super) fn no_process() -> Box<Report> {
    refusal(
        "no-process",
        "/process: the configuration has no process, so there is nothing to start (runtime.md, Start)",
    )
}

/// Any chain of errors under a name.
pub(super) fn failed<E: std::error::Error + 'static>(code: &'static str) -> impl FnOnce(E) -> Box<Report> {
    move |error| Report::new(code, &error).into()
}

/// The first thing that the host lacks, and how many more there are.
pub(super) fn require_support(missing: &[Missing]) -> Result<(), Box<Report>> {
    let Some(first) = missing.first() else { return Ok(()) };
    let mut report = Report::new("not-supported-here", first);
    if missing.len() > 1 {
        report.message.push_str(&format!(" (and {} more)", missing.len() - 1));
    }
    Err(report.into())
}

/// A failure of the state store, by its kind.
pub(super) fn state_failed(error: state::Error) -> Box<Report> {
    let code = match &error {
        state::Error::NotFound { .. } => "no-such-container",
        state::Error::Exists { .. } => "container-exists",
        state::Error::Root { .. } => "bad-root",
        state::Error::File { .. } => "state-io",
        state::Error::Damaged { .. } => "state-damaged",
    };
    Report::new(code, &error).into()
}

/// A failure of the cgroups.
pub(super) fn cgroup_failed(error: cgroup::Error) -> Box<Report> {
    Report::new("cgroup", &error).into()
}

/// A failure on the way to the program, with its phase and step.
pub(super) fn launch_failed(error: engine::Error) -> Box<Report> {
    match &error {
        engine::Error::Step(failure) => step_failed(failure),
        engine::Error::NetDevice(_) => Report::new("net-device", &error).into(),
        engine::Error::Hook(failure) => hook_failed(failure),
        engine::Error::Joined(_) => {
            let phase = Some(Phase::Namespaces.name().to_owned());
            Report { phase, ..Report::new("namespace", &error) }.into()
        }
        engine::Error::IdMap(_) => {
            let phase = Some(Phase::Namespaces.name().to_owned());
            Report { phase, ..Report::new("id-map", &error) }.into()
        }
        engine::Error::Console(_) => Report::new("console", &error).into(),
        engine::Error::Place(PlaceError::Cgroup(_)) => Report::new("cgroup", &error).into(),
        engine::Error::Place(PlaceError::State(_)) | engine::Error::Commit(_) => {
            Report::new("state-io", &error).into()
        }
        engine::Error::Call { .. } | engine::Error::Ended(_) => Report::new("setup", &error).into(),
    }
}

/// A hook of the runtime's side that failed.
pub(super) fn hook_failed(failure: &hooks::Error) -> Box<Report> {
    let phase = match failure.kind() {
        "prestart" | "createRuntime" => Some(Phase::CreateHooks.name().to_owned()),
        _ => None,
    };
    let (step, path) = (Some(format!("run {} hooks", failure.kind())), Some(failure.path().to_owned()));
    Report { phase, step, path, ..Report::new("hook", failure) }.into()
}

/// A failed step.
pub(super) fn step_failed(failure: &Failure) -> Box<Report> {
    Box::new(Report {
        code: failure.code.name(),
        message: failure.to_string(),
        phase: Some(failure.phase.clone()),
        step: Some(failure.step.clone()),
        syscall: failure.syscall.clone(),
        path: failure.path.clone(),
        errno: failure.errno,
        hint: failure.hint.clone(),
    })
}

/// Adds what could not be undone to the reason why it had to be.
pub(super) fn and_undo(mut report: Box<Report>, undone: Result<(), Box<Report>>) -> Box<Report> {
    if let Err(failure) = undone {
        report.message = format!("{}; and undoing it failed: {}", report.message, failure.message);
    }
    report
}
