//! Containers that run on a bundle, frozen while it is read: what a program writes in the meantime would be half in the image.

use mydocker_sys::process::output;
use mydocker_sys::signal::{SigSet, Signal, block, set_mask};
use serde::Deserialize;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The runtime that is asked if no other is named.
const RUNTIME: &str = "mydocker-runtime";

/// Why a container is not frozen.
#[derive(Debug, thiserror::Error)]
pub enum FreezeError {
    /// The runtime cannot be run.
    #[error("cannot run the OCI runtime {0:?}")]
    Run(PathBuf, #[source] io::Error),
    /// The runtime cannot tell what runs.
    #[error(
        "the OCI runtime {0:?} does not tell which containers there are: {1}; --pause=false does without"
    )]
    List(PathBuf, String),
    /// The runtime does not freeze it.
    #[error("cannot pause container {0}, which runs on it: {1}; --pause=false reads it while it runs")]
    Pause(String, String),
    /// The runtime does not let it go on.
    #[error("container {0} stays paused: {1}; '{RUNTIME} resume' lets it go on")]
    Resume(String, String),
    /// The mask of signals.
    #[error(transparent)]
    Signals(#[from] mydocker_sys::Error),
}

/// An OCI runtime, through its command line: whatever takes runc's will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Runtime {
    program: PathBuf,
    /// Its state root; its own choice if not given.
    root: Option<PathBuf>,
    /// Whether it or its root was named: else it need not be there, and then nothing runs.
    is_named: bool,
}

/// A container as a runtime lists it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Listed {
    id: String,
    status: String,
    bundle: PathBuf,
}

/// Containers that are frozen until this is [`thawed`](Self::thaw).
#[derive(Debug)]
pub(super) struct Frozen {
    runtime: Runtime,
    ids: Vec<String>,
    mask: SigSet,
}

impl Runtime {
    /// What was named, else the runtime that lies beside this program or in `$PATH`.
    pub(super) fn new(program: Option<&Path>, root: Option<&Path>) -> Self {
        let is_named = program.is_some() || root.is_some();
        let root = root.map(Path::to_owned);
        if let Some(program) = program {
            return Self { program: program.to_owned(), root, is_named };
        }
        let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join(RUNTIME)));
        let program = beside.filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(RUNTIME));
        Self { program, root, is_named }
    }

    fn run(&self, words: &[&str]) -> Result<Output, FreezeError> {
        let mut command = Command::new(&self.program);
        if let Some(root) = &self.root {
            command.arg("--root").arg(root);
        }
        command.args(words.iter().map(OsStr::new)).stdin(Stdio::null());
        output(&mut command).map_err(|error| FreezeError::Run(self.program.clone(), error))
    }

    /// The containers that run on a directory, be it their bundle or what a mount in it writes to.
    fn running_on(&self, directory: &Path) -> Result<Vec<String>, FreezeError> {
        let listed = self.listed();
        // One that was not named and that this user cannot use runs nothing for them.
        let listed = if self.is_named { listed? } else { listed.unwrap_or_default() };
        let runs = |one: &Listed| one.status == "running" && is_on(&one.bundle, directory);
        Ok(listed.into_iter().filter(runs).map(|one| one.id).collect())
    }

    fn listed(&self) -> Result<Vec<Listed>, FreezeError> {
        let output = self.run(&["list", "--format", "json"])?;
        let failed = |text| FreezeError::List(self.program.clone(), text);
        if !output.status.success() {
            return Err(failed(complaint(&output)));
        }
        // runc says `null` for no container.
        let listed: Option<Vec<Listed>> =
            serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))?;
        Ok(listed.unwrap_or_default())
    }

    /// Freezes what runs on a directory. Until it is thawed, signals that would end this process wait: nobody else would let the
    /// containers go on.
    ///
    /// # Errors
    /// [`FreezeError`]; then nothing is frozen.
    pub(super) fn freeze(self, directory: &Path) -> Result<Frozen, FreezeError> {
        let ids = self.running_on(directory)?;
        let mask = block(&ending_signals())?;
        let mut frozen = Frozen { runtime: self, ids: Vec::new(), mask };
        for id in ids {
            if let Err(error) = frozen.pause(&id, directory) {
                frozen.thaw()?;
                return Err(error);
            }
        }
        Ok(frozen)
    }
}

impl Frozen {
    fn pause(&mut self, id: &str, directory: &Path) -> Result<(), FreezeError> {
        let output = self.runtime.run(&["pause", id])?;
        if output.status.success() {
            self.ids.push(id.to_owned());
            return Ok(());
        }
        // One that has ended meanwhile writes nothing any more.
        let still_runs = self.runtime.running_on(directory)?.iter().any(|running| running == id);
        if still_runs { Err(FreezeError::Pause(id.to_owned(), complaint(&output))) } else { Ok(()) }
    }

    /// Lets all go on.
    ///
    /// # Errors
    /// [`FreezeError::Resume`] of the first that does not.
    pub(super) fn thaw(self) -> Result<(), FreezeError> {
        let resume = |id: &String| {
            let output = self.runtime.run(&["resume", id])?;
            let is_done = output.status.success();
            if is_done { Ok(()) } else { Err(FreezeError::Resume(id.clone(), complaint(&output))) }
        };
        // Each is tried, whatever becomes of the others.
        let outcomes: Vec<_> = self.ids.iter().map(resume).collect();
        set_mask(&self.mask)?;
        outcomes.into_iter().collect()
    }
}

fn ending_signals() -> SigSet {
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT].into_iter().collect()
}

/// Whether a bundle, or the directory in it that an overlay mount writes to, is this directory.
fn is_on(bundle: &Path, directory: &Path) -> bool {
    let Ok(wanted) = directory.canonicalize() else { return false };
    [bundle.to_owned(), bundle.join("upper")]
        .iter()
        .any(|path| path.canonicalize().is_ok_and(|path| path == wanted))
}

/// The last line of what a runtime complains of.
fn complaint(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().rev().find(|line| !line.trim().is_empty());
    last.map_or_else(|| output.status.to_string(), str::to_owned)
}
