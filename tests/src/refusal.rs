//! What a refusal must be: an error in one line, and nothing that stays.

use crate::{Bundle, Outcome, Runtime, cgroup, leftovers};
use std::fs;

/// The file that [`must_not_run`] makes its container leave.
const TRACE: &str = "ran";

/// Gives the bundle a command that leaves a trace, so that [`refused`] can tell that it never ran.
#[must_use]
pub fn must_not_run(bundle: Bundle) -> Bundle {
    bundle.args(["touch", "/ran"])
}

/// Runs the bundle and demands a refusal: an exit status other than 0, one line on standard error, a command that
/// never ran, no state, no cgroup, no mount.
///
/// # Panics
/// When it is anything else.
pub fn refused(runtime: &Runtime, bundle: &Bundle) -> Outcome {
    let outcome = one_line(runtime.run(bundle));
    nothing_left(runtime, bundle, &outcome);
    outcome
}

/// Runs the bundle, and tells what is wrong with how it was refused, if anything is; `wanted` must be in the message.
/// For tables of bad input, where one case should not hide the others.
#[must_use]
pub fn fault(runtime: &Runtime, bundle: &Bundle, wanted: &str) -> Option<String> {
    let outcome = runtime.run(bundle);
    let fault = untold(&outcome).or_else(|| what_is_left(runtime, bundle)).or_else(|| {
        let is_named = outcome.stderr.contains(wanted);
        (!is_named).then(|| format!("the message does not contain {wanted:?}"))
    });
    if runtime.knows(bundle.id()) {
        runtime.delete_force(bundle.id()).discard();
    }
    fault.map(|fault| format!("{fault}: {}", outcome.describe()))
}

/// Demands an ordinary failure that is told in one line.
///
/// # Panics
/// When it is anything else.
pub fn one_line(outcome: Outcome) -> Outcome {
    if let Some(fault) = untold(&outcome) {
        panic!("{fault}: {}", outcome.describe());
    }
    outcome
}

/// Demands that the command did not run, and that no state, cgroup or mount of the bundle's container exists.
///
/// # Panics
/// When something is there.
pub fn nothing_left(runtime: &Runtime, bundle: &Bundle, outcome: &Outcome) {
    if let Some(fault) = what_is_left(runtime, bundle) {
        panic!("{fault}: {}", outcome.describe());
    }
}

/// What keeps a failure from being one plain line for a person.
fn untold(outcome: &Outcome) -> Option<String> {
    let text = outcome.stderr.trim_end();
    match outcome.status.code() {
        Some(0) => return Some("it was accepted".to_owned()),
        Some(_) => {}
        None => return Some("it died".to_owned()),
    }
    let lines = text.lines().count();
    if lines != 1 {
        return Some(format!("{lines} lines instead of one"));
    }
    if text.contains("panicked at") {
        return Some("it panicked".to_owned());
    }
    text.contains(|c: char| c.is_control()).then(|| "control characters reach the terminal".to_owned())
}

fn what_is_left(runtime: &Runtime, bundle: &Bundle) -> Option<String> {
    if bundle.path(TRACE).exists() {
        return Some("the program ran".to_owned());
    }
    let states = states(runtime);
    if states.iter().any(|state| state == bundle.id()) {
        return Some(format!("state is left: {states:?}"));
    }
    let groups = cgroup::existing(bundle.cgroup());
    if !bundle.cgroup().trim_matches('/').is_empty() && !groups.is_empty() {
        return Some(format!("cgroups are left: {groups:?}"));
    }
    let mounts = leftovers::mounts_below(bundle.id());
    (!mounts.is_empty()).then(|| format!("mounts are left: {mounts:?}"))
}

/// The containers that the state root holds, as names of its entries; a name that begins with a dot is none.
#[must_use]
pub fn states(runtime: &Runtime) -> Vec<String> {
    let Ok(entries) = fs::read_dir(runtime.root()) else { return Vec::new() };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| !name.starts_with('.')).collect()
}
