//! Drives the validation programs of the OCI runtime-tools, which another project maintains and nobody here changes.

use crate::command::{self, Outcome, Streams};
use crate::expected::Expectations;
use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The program that runs inside a container; the others copy it there.
const INSIDE: &str = "runtimetest";

/// The file that they unpack, by this name in their working directory.
const ROOTFS: &str = "rootfs-amd64.tar.gz";

/// The script through which they reach the runtime.
const WRAPPER: &str = "runtime";

/// What to drive, and how.
#[derive(Debug, Clone)]
pub struct Drive {
    /// The directory with the programs.
    pub dir: PathBuf,
    /// The archive with their root file system.
    pub rootfs: PathBuf,
    /// The runtime under test.
    pub runtime: PathBuf,
    /// How long one program may take.
    pub limit: Duration,
}

/// How a program ended.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The program.
    pub program: String,
    /// Whether it found nothing to complain of.
    pub passed: bool,
    /// Its first complaint.
    pub complaint: String,
}

impl Drive {
    /// The names of the programs, sorted.
    ///
    /// # Errors
    /// The directory holds none.
    pub fn programs(&self, filter: &[String]) -> Result<Vec<String>> {
        let entries = fs::read_dir(&self.dir).with_context(|| self.dir.display().to_string())?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let data = fs::metadata(entry.path())?;
            if data.is_file() && data.permissions().mode() & 0o111 != 0 && name != INSIDE {
                names.push(name);
            }
        }
        names.retain(|name| filter.is_empty() || filter.iter().any(|text| name.contains(text)));
        names.sort();
        anyhow::ensure!(!names.is_empty(), "{} holds no such program", self.dir.display());
        Ok(names)
    }

    /// Makes a working directory for them: `runtimetest`, and the archive with `runtimetest` added at its top, since
    /// two programs use it without copying it.
    ///
    /// # Errors
    /// Something is missing, or `tar` fails.
    pub fn prepare(&self, dir: &Path) -> Result<()> {
        let inside = self.dir.join(INSIDE);
        anyhow::ensure!(inside.is_file(), "{} is missing", inside.display());
        // A copy: the programs copy it on, and of a link they would copy the link.
        fs::copy(&inside, dir.join(INSIDE))?;
        let root = dir.join("root");
        fs::create_dir_all(&root)?;
        tar(Command::new("tar").arg("-xzf").arg(&self.rootfs).arg("-C").arg(&root))?;
        // Whatever the mask of the caller is, a container of another user must be able to pass through and execute.
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755))?;
        fs::copy(&inside, root.join(INSIDE))?;
        tar(Command::new("tar").arg("-czf").arg(dir.join(ROOTFS)).arg("-C").arg(&root).arg("."))?;
        fs::create_dir(dir.join("tmp")).context("a directory for their bundles")?;
        self.wrap(dir)
    }

    /// The programs know no state root: they are given a script that adds one, so that what they leave can be found.
    fn wrap(&self, dir: &Path) -> Result<()> {
        let script = dir.join(WRAPPER);
        let (runtime, root) = (self.runtime.display(), dir.join("state").display().to_string());
        fs::write(&script, format!("#!/bin/sh\nexec '{runtime}' --root '{root}' \"$@\"\n"))?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))
            .context("the script around the runtime")
    }

    /// Deletes the containers that the programs left: some end with a container that cannot be deleted, as it must be.
    ///
    /// # Errors
    /// The runtime cannot be run.
    pub fn clear(&self, dir: &Path) -> Result<()> {
        let Ok(entries) = fs::read_dir(dir.join("state")) else { return Ok(()) };
        for entry in entries {
            let mut call = Command::new(dir.join(WRAPPER));
            call.args(["delete", "--force"]).arg(entry?.file_name());
            command::run(call, &Streams::new(dir, "clear"), self.limit)?;
        }
        Ok(())
    }

    /// Runs one program.
    ///
    /// # Errors
    /// It cannot be started; how it ends is no error.
    pub fn run(&self, dir: &Path, program: &str) -> Result<Finding> {
        let mut call = Command::new(self.dir.join(program));
        call.current_dir(dir).env("RUNTIME", dir.join(WRAPPER)).env("TMPDIR", dir.join("tmp"));
        let outcome = command::run(call, &Streams::new(dir, program), self.limit)?;
        Ok(judge(program, &outcome))
    }
}

fn tar(call: &mut Command) -> Result<()> {
    let status = call.status().context("tar")?;
    anyhow::ensure!(status.success(), "tar: {status}");
    Ok(())
}

/// A program passes when it ends with 0, says `not ok` of nothing, and gives no error outside of a test that is `ok`:
/// some tell of what went wrong in a block of its own. Others say nothing at all when they pass.
fn judge(program: &str, outcome: &Outcome) -> Finding {
    let complaint = match complaint_in(&outcome.stdout) {
        _ if outcome.late => Some("still ran at the deadline".to_owned()),
        Some(complaint) => Some(complaint),
        None if outcome.succeeded() => None,
        None => {
            let lines = outcome.stdout.lines().chain(outcome.stderr.lines());
            let last = lines.map(str::trim).rfind(|line| !line.is_empty() && !line.starts_with("Refer to"));
            Some(last.unwrap_or("it failed without a word").to_owned())
        }
    };
    Finding {
        program: program.to_owned(),
        passed: complaint.is_none(),
        complaint: complaint.unwrap_or_default(),
    }
}

/// The first line that says what is not as it should be, with the error that follows it.
fn complaint_in(text: &str) -> Option<String> {
    let (mut test, mut first) = ("", None);
    for line in text.lines().map(|line| line.trim().trim_start_matches("# ")) {
        let not_ok = line.starts_with("not ok");
        if not_ok || line.starts_with("ok ") {
            if first.is_some() {
                break;
            }
            test = line;
        }
        if not_ok {
            first = Some(line.to_owned());
        } else if line.starts_with("\"error\"") && !test.starts_with("ok ") {
            let before = first.map_or_else(String::new, |first| first + "; ");
            return Some(before + line);
        }
    }
    first
}

/// A line about one program: as expected or not.
#[must_use]
pub fn line(result: &Finding, expected: &Expectations) -> String {
    let name = &result.program;
    match (result.passed, expected.of(name)) {
        (true, None) => format!("ok       {name}\n"),
        (true, Some(difference)) if difference.races => format!("ok       {name}\n"),
        (false, Some(difference)) => {
            format!("expected {name}: {} [{}]\n", difference.because, difference.clause)
        }
        (false, None) => format!("FAILED   {name}: {}\n", result.complaint),
        (true, Some(_)) => format!("SURPRISE {name}: passes, and was expected to fail\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::judge;
    use crate::command::Outcome;

    fn outcome(status: i32, stdout: &str) -> Outcome {
        let words = String::new();
        Outcome { words, status: Some(status), late: false, stdout: stdout.into(), stderr: String::new() }
    }

    #[test]
    fn silence_is_a_pass() {
        assert!(judge("p", &outcome(0, "")).passed);
    }

    #[test]
    fn a_line_that_is_not_ok_fails_it_whatever_the_status() {
        let result = judge("p", &outcome(0, "ok 1 - a\nnot ok 2 - b\n# \"error\": \"why\"\n1..2\n"));
        assert!(!result.passed);
        assert_eq!(result.complaint, "not ok 2 - b; \"error\": \"why\"");
    }

    #[test]
    fn an_error_in_a_block_of_its_own_fails_it() {
        let result =
            judge("p", &outcome(0, "TAP version 13\n  ---\n  {\n    \"error\": \"why\"\n  }\n  ...\n1..0\n"));
        assert_eq!(result.complaint, "\"error\": \"why\"");
    }

    #[test]
    fn an_error_that_was_wanted_is_a_pass() {
        assert!(
            judge("p", &outcome(0, "ok 1 - a\n  ---\n  {\n    \"error\": \"why\"\n  }\n  ...\n1..1\n"))
                .passed
        );
    }

    #[test]
    fn a_failing_status_fails_it_whatever_it_said() {
        assert!(!judge("p", &outcome(1, "ok 1 - a\n")).passed);
    }

    #[test]
    fn a_program_that_hangs_fails() {
        let late = Outcome { late: true, status: None, ..outcome(0, "") };
        assert_eq!(judge("p", &late).complaint, "still ran at the deadline");
    }
}
