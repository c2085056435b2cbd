//! One call of the runtime under test: output in files, and a deadline.

use anyhow::{Context, Result};
use mydocker_sys as sys;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// How a call ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The words of the call.
    pub words: String,
    /// The exit status; `None` when a signal or the deadline ended it.
    pub status: Option<i32>,
    /// Whether the deadline ended it.
    pub late: bool,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Outcome {
    /// Whether it ended with the status 0.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.status == Some(0)
    }

    /// The outcome, which must be a success.
    ///
    /// # Errors
    /// It was not; the message has what the runtime said.
    pub fn success(self) -> Result<Self> {
        anyhow::ensure!(self.succeeded(), "must succeed: {self}");
        Ok(self)
    }

    /// The outcome, which must be an error that the runtime found itself: no signal, no deadline.
    ///
    /// # Errors
    /// It was something else.
    pub fn failure(self) -> Result<Self> {
        anyhow::ensure!(self.status.is_some_and(|status| status != 0), "must fail: {self}");
        Ok(self)
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let status = match self.status {
            _ if self.late => "was still running at the deadline".to_owned(),
            Some(status) => format!("ended with {status}"),
            None => "was ended by a signal".to_owned(),
        };
        write!(f, "`{}` {status}", self.words)?;
        let said = self.stderr.trim();
        if said.is_empty() { Ok(()) } else { write!(f, "; it said: {}", last_line(said)) }
    }
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or_default()
}

/// Where the output of a call goes. A container that outlives `create` keeps these files, so a pipe would not do.
#[derive(Debug, Clone)]
pub struct Streams {
    /// Standard input, an empty file: crun gives its streams to the container's user, and the owner of the host's
    /// `/dev/null` would be another one from then on.
    pub stdin: PathBuf,
    /// Standard output.
    pub stdout: PathBuf,
    /// Standard error.
    pub stderr: PathBuf,
}

impl Streams {
    /// The files `NAME.in`, `NAME.out` and `NAME.err` in `dir`.
    #[must_use]
    pub fn new(dir: &Path, name: &str) -> Self {
        let file = |ending: &str| dir.join(format!("{name}.{ending}"));
        Self { stdin: file("in"), stdout: file("out"), stderr: file("err") }
    }
}

/// Runs `command` to its end, or kills it at the deadline.
///
/// # Errors
/// It cannot be started or its output cannot be read; how it ended is no error.
pub fn run(mut command: Command, streams: &Streams, limit: Duration) -> Result<Outcome> {
    let words = words_of(&command);
    let fresh = |path: &Path| File::create(path).with_context(|| path.display().to_string());
    drop(fresh(&streams.stdin)?);
    command.stdin(File::open(&streams.stdin).with_context(|| streams.stdin.display().to_string())?);
    command.stdout(fresh(&streams.stdout)?);
    command.stderr(fresh(&streams.stderr)?);
    let mut child = command.spawn().with_context(|| format!("cannot run {words}"))?;
    let late = !ends_before(&child, Instant::now() + limit)?;
    if late {
        child.kill().context("kill")?;
    }
    let status = child.wait().context("wait")?.code();
    let read = |path: &Path| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Ok(Outcome { words, status, late, stdout: read(&streams.stdout)?, stderr: read(&streams.stderr)? })
}

/// Waits for the end of a child; false at the deadline.
fn ends_before(child: &Child, deadline: Instant) -> Result<bool> {
    let pid = sys::process::Pid::from_raw(child.id().cast_signed());
    crate::process::ends_before(pid, deadline)
}

fn words_of(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
