//! The OCI runtime, through its command line: whatever takes runc's will do.

use crate::home::{Home, program};
use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// Why the runtime did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// It cannot be run.
    #[error("cannot run the OCI runtime {0:?}")]
    Run(PathBuf, #[source] io::Error),
    /// It refuses.
    #[error("{0}")]
    Refused(String),
}

/// A runtime and its state root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oci {
    program: PathBuf,
    root: PathBuf,
}

impl Oci {
    /// The runtime of this name or path, for containers of `home`.
    #[must_use]
    pub fn new(home: &Home, runtime: &str) -> Self {
        let found = match runtime {
            "mydocker-runtime" => program(runtime, "MYDOCKER_RUNTIME"),
            other => PathBuf::from(other),
        };
        Self { program: found, root: home.runtime_root() }
    }

    /// A command of it, such as `create`, without any arguments yet.
    #[must_use]
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(&self.root).arg(name);
        command
    }

    /// Runs a command to its end, and returns what it printed.
    ///
    /// # Errors
    /// [`OciError`]: with the last line that the runtime printed on its standard error.
    pub fn run<A: AsRef<OsStr>>(&self, name: &str, args: &[A]) -> Result<Vec<u8>, OciError> {
        let mut command = self.command(name);
        command.args(args).stdin(Stdio::null());
        let output = command.output().map_err(|source| OciError::Run(self.program.clone(), source))?;
        if output.status.success() { Ok(output.stdout) } else { Err(OciError::Refused(complaint(&output))) }
    }

    /// Its program.
    #[must_use]
    pub fn program(&self) -> &PathBuf {
        &self.program
    }
}

/// What the runtime says last is why it gave up.
fn complaint(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().rev().find(|line| !line.trim().is_empty());
    last.map_or_else(|| format!("the OCI runtime ended with {}", output.status), str::to_owned)
}
