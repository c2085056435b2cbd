//! `doctor`: what containers can use on this host as this user, and what would mend the rest.
//!
//! Everything is asked in a way that leaves nothing behind: files of the kernel are read, and system calls are made so that
//! they have no effect.

mod cgroups;
mod kernel;
mod security;
mod users;

use super::report::failed;
use super::{Outcome, print};
use crate::cli::{Context, DoctorArgs, PlanFormat};
use serde::Serialize;
use std::path::Path;

/// How it stands with something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    /// It can be used.
    Ok,
    /// A part of it can be used.
    Limited,
    /// It cannot be used.
    Missing,
}

/// Something that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    area: &'static str,
    name: String,
    status: Status,
    /// What was found.
    detail: String,
    /// What to do where it cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

impl Finding {
    fn ok(area: &'static str, name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { area, name: name.into(), status: Status::Ok, detail: detail.into(), mend: None }
    }

    fn wanting(
        area: &'static str,
        name: impl Into<String>,
        status: Status,
        detail: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self { area, name: name.into(), status, detail: detail.into(), mend: Some(mend.into()) }
    }

    /// A thing that is there or not: what is said of it then, and the mend.
    fn either(area: &'static str, name: &str, there: bool, details: [&str; 2], mend: &str) -> Self {
        match there {
            true => Self::ok(area, name, details[0]),
            false => Self::wanting(area, name, Status::Missing, details[1], mend),
        }
    }
}

/// `doctor`: prints what this kernel, its cgroups, its security modules and this user can do. Status 0, whatever is found.
///
/// # Errors
/// If standard output cannot be written to.
pub fn doctor(args: &DoctorArgs, _context: &Context) -> Outcome {
    let findings = examine();
    print(&match args.format {
        PlanFormat::Text => table(&findings),
        PlanFormat::Json => serde_json::to_string_pretty(&findings).map_err(failed("doctor"))? + "\n",
    })
}

fn examine() -> Vec<Finding> {
    [kernel::examine(), cgroups::examine(), security::examine(), users::examine()].concat()
}

/// A line for each finding, and below it the mend.
fn table(findings: &[Finding]) -> String {
    let width = |text: fn(&Finding) -> &str| findings.iter().map(|f| text(f).len()).max().unwrap_or_default();
    let (areas, names) = (width(|finding| finding.area), width(|finding| &finding.name));
    let mut text = String::new();
    for Finding { area, name, status, detail, mend } in findings {
        let mark = match status {
            Status::Ok => "ok     ",
            Status::Limited => "limited",
            Status::Missing => "missing",
        };
        text.push_str(&format!("{mark}  {area:areas$}  {name:names$}  {detail}\n"));
        if let Some(mend) = mend {
            text.push_str(&format!("         {:areas$}  mend: {mend}\n", ""));
        }
    }
    text
}

/// A small file of the kernel, without the line break at its end; none where it cannot be read.
fn read(path: impl AsRef<Path>) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_cannot_be_used_has_a_mend_and_every_thing_is_told_once() {
        let findings = examine();
        for finding in &findings {
            assert_eq!(finding.mend.is_some(), finding.status != Status::Ok, "{finding:?}");
            assert!(!finding.detail.is_empty(), "{finding:?}");
            let same = findings.iter().filter(|f| (f.area, &f.name) == (finding.area, &finding.name));
            assert_eq!(same.count(), 1, "{finding:?}");
        }
    }

    #[test]
    fn the_table_has_a_line_for_each_finding_and_one_for_each_mend() {
        let findings = [
            Finding::ok("kernel", "openat2", "there"),
            Finding::wanting("cgroups", "memory", Status::Limited, "read-only", "delegate it"),
        ];
        assert_eq!(
            table(&findings),
            "ok       kernel   openat2  there\nlimited  cgroups  memory   read-only\n                  mend: delegate it\n"
        );
    }
}
