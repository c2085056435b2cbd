//! Environments of processes.

use super::report::{At, Report};
use std::collections::BTreeSet;

/// Refuses what is not `NAME=value`; of a name that is given twice the last stays, in its place, as in runc.
pub(super) fn check(report: &mut Report, at: At<'_>, env: &[String]) -> Vec<String> {
    // A hashed set would ask the kernel for random numbers first.
    let mut seen = BTreeSet::new();
    let mut kept = Vec::with_capacity(env.len());
    for (index, variable) in env.iter().enumerate().rev() {
        let Some(name) = check_variable(report, at.index(index), variable) else { continue };
        if seen.insert(name) {
            kept.push(variable.clone());
        }
    }
    kept.reverse();
    kept
}

fn check_variable<'a>(report: &mut Report, at: At<'_>, variable: &'a str) -> Option<&'a str> {
    if !report.no_nul(at, variable) {
        return None;
    }
    match variable.split_once('=') {
        None => report.refuse(at, format!("{variable:?} has no ="), "write NAME=value"),
        Some(("", _)) => report.refuse(at, format!("{variable:?} has no name before ="), "write NAME=value"),
        Some((name, _)) => return Some(name),
    }
    None
}
