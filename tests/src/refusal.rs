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
    assert!(!bundle.path(TRACE).exists(), "the program ran: {}", outcome.describe());
    nothing_left(runtime, bundle, &outcome);
    outcome
}

/// Demands an ordinary failure that is told in one line.
///
/// # Panics
/// When it is anything else.
pub fn one_line(outcome: Outcome) -> Outcome {
    let outcome = outcome.fails();
    assert_eq!(outcome.stderr.trim_end().lines().count(), 1, "not one line: {}", outcome.describe());
    let is_plain = !outcome.stderr.trim_end().contains(|c: char| c.is_control());
    assert!(is_plain, "control characters reach the terminal: {}", outcome.describe());
    outcome
}

/// Demands that no state, cgroup or mount of the bundle's container exists.
///
/// # Panics
/// When one does.
pub fn nothing_left(runtime: &Runtime, bundle: &Bundle, outcome: &Outcome) {
    let states = states(runtime);
    assert!(states.is_empty(), "state is left: {states:?}: {}", outcome.describe());
    let groups = cgroup::existing(bundle.cgroup());
    assert!(bundle.cgroup().is_empty() || groups.is_empty(), "{groups:?} are left: {}", outcome.describe());
    let mounts = leftovers::mounts_below(bundle.id());
    assert!(mounts.is_empty(), "{mounts:?} are left: {}", outcome.describe());
}

/// The containers that the state root holds, as names of its entries; a name that begins with a dot is none.
#[must_use]
pub fn states(runtime: &Runtime) -> Vec<String> {
    let Ok(entries) = fs::read_dir(runtime.root()) else { return Vec::new() };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| !name.starts_with('.')).collect()
}
