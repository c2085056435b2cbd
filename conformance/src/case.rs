//! What a test works with: the runtime under test, bundles and containers of its own, and a clean end.

use crate::bundle::Bundle;
use crate::command::{self, Outcome, Streams};
use crate::{cgroup, process};
use anyhow::{Context, Result};
use mydocker_sys as sys;
use serde_json::Value;
use std::cell::RefCell;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use sys::process::Pid;
use tempfile::TempDir;

/// The runtime under test and how it is called; shared by all tests of a run.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The program.
    pub program: PathBuf,
    /// Global options that are given with every call.
    pub args: Vec<String>,
    /// The probe on the host, in the file system of the scratch directories.
    pub probe: PathBuf,
    /// The directory that holds the scratch directories.
    pub scratch: PathBuf,
    /// How long one call may take.
    pub limit: Duration,
}

impl Subject {
    /// Whether it is told to let systemd make the cgroups, which have another form of path then.
    #[must_use]
    pub fn uses_systemd(&self) -> bool {
        self.args.iter().any(|arg| arg == "--systemd-cgroup")
    }

    /// The `cgroupsPath` for the container `id`.
    #[must_use]
    pub fn cgroups_path(&self, id: &str) -> String {
        if self.uses_systemd() { format!("system.slice:conformance:{id}") } else { format!("/{id}") }
    }
}

/// The reason why a test cannot ask its question on this machine. It is reported, and is neither pass nor failure.
#[derive(Debug)]
pub struct Unfit(pub String);

impl std::fmt::Display for Unfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unfit {}

/// Ends a test, because the machine lacks what it needs.
///
/// # Errors
/// Always.
pub fn unfit<T>(reason: impl Into<String>) -> Result<T> {
    Err(Unfit(reason.into()).into())
}

/// One test's own state root and bundles.
#[derive(Debug)]
pub struct Case<'a> {
    subject: &'a Subject,
    base: TempDir,
    name: String,
    bundles: RefCell<u32>,
    calls: RefCell<u32>,
    /// The processes of containers that were created, by id.
    pids: RefCell<Vec<(String, i32)>>,
    ids: RefCell<Vec<String>>,
}

/// A container that ran to its end.
#[derive(Debug)]
pub struct Finished {
    /// How its process ended.
    pub exit: sys::process::Exit,
    /// What the probe answered, a value for each question.
    pub answers: Vec<Value>,
    /// All that it wrote to standard output.
    pub stdout: String,
}

impl<'a> Case<'a> {
    /// A case with a scratch directory of its own.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new(subject: &'a Subject) -> Result<Self> {
        let base = tempfile::Builder::new().prefix("case-").tempdir_in(&subject.scratch)?;
        // Users of other ids, as in user namespaces, pass through to the root file systems.
        fs::set_permissions(base.path(), fs::Permissions::from_mode(0o755))?;
        fs::create_dir(base.path().join("state"))?;
        let run = subject.scratch.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let own = base.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = format!("{run}-{own}").replace('.', "");
        Ok(Self {
            subject,
            base,
            name,
            bundles: RefCell::default(),
            calls: RefCell::default(),
            pids: RefCell::default(),
            ids: RefCell::default(),
        })
    }

    /// The scratch directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.base.path()
    }

    /// The runtime under test.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        self.subject
    }

    /// The probe on the host, for hooks.
    #[must_use]
    pub fn probe(&self) -> &Path {
        &self.subject.probe
    }

    /// A new bundle with an id of its own.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn bundle(&self) -> Result<Bundle> {
        let number = next(&self.bundles);
        let id = format!("{}-{number}", self.name);
        self.ids.borrow_mut().push(id.clone());
        let cgroup = self.subject.cgroups_path(&id);
        Bundle::create(self.dir().join(format!("bundle{number}")), id, &cgroup, &self.subject.probe)
    }

    /// Calls the runtime with `words` after the global options.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn call<W: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = W>) -> Result<Outcome> {
        let streams = Streams::new(self.dir(), &format!("call{}", next(&self.calls)));
        self.call_into(words, &streams)
    }

    fn call_into<W: AsRef<OsStr>>(
        &self,
        words: impl IntoIterator<Item = W>,
        streams: &Streams,
    ) -> Result<Outcome> {
        let mut command = Command::new(&self.subject.program);
        command.arg("--root").arg(self.dir().join("state")).args(&self.subject.args).args(words);
        command::run(command, streams, self.subject.limit)
    }

    /// The `create` operation; the outcome may be a failure.
    ///
    /// # Errors
    /// The bundle cannot be written, the runtime cannot be run.
    pub fn try_create(&self, bundle: &Bundle) -> Result<Outcome> {
        self.try_create_with(bundle, &[])
    }

    /// The `create` operation with more options.
    ///
    /// # Errors
    /// The bundle cannot be written, the runtime cannot be run.
    pub fn try_create_with(&self, bundle: &Bundle, options: &[&str]) -> Result<Outcome> {
        bundle.write()?;
        let streams = self.streams(bundle);
        let mut words: Vec<&OsStr> = vec![OsStr::new("create")];
        words.extend(options.iter().map(OsStr::new));
        words.extend([OsStr::new("--bundle"), bundle.dir.as_os_str(), OsStr::new(&bundle.id)]);
        let outcome = self.call_into(words, &streams)?;
        if outcome.succeeded() {
            let pid = self.state(&bundle.id)?["pid"].as_i64().unwrap_or_default();
            self.pids.borrow_mut().push((bundle.id.clone(), i32::try_from(pid)?));
        }
        Ok(outcome)
    }

    fn streams(&self, bundle: &Bundle) -> Streams {
        Streams::new(&bundle.dir, "container")
    }

    /// Creates the container.
    ///
    /// # Errors
    /// It fails.
    pub fn create(&self, bundle: &Bundle) -> Result<()> {
        self.try_create(bundle)?.success().map(drop)
    }

    /// Creates the container, which must be refused, and then must not exist.
    ///
    /// # Errors
    /// It is not refused, or is there all the same.
    pub fn refuses(&self, bundle: &Bundle) -> Result<Outcome> {
        let outcome = self.try_create(bundle)?.failure()?;
        anyhow::ensure!(!self.exists(&bundle.id)?, "`create` failed, and yet `state` knows the container");
        Ok(outcome)
    }

    /// Creates and starts a container, one of which must fail: where a runtime may look at a property when it is used.
    ///
    /// # Errors
    /// Both succeed.
    pub fn refuses_to_run(&self, bundle: &Bundle) -> Result<Outcome> {
        let outcome = self.try_create(bundle)?;
        if !outcome.succeeded() {
            return outcome.failure();
        }
        self.call(["start", &bundle.id])?.failure()
    }

    /// Starts the created container.
    ///
    /// # Errors
    /// It fails.
    pub fn start(&self, id: &str) -> Result<()> {
        self.call(["start", id])?.success().map(drop)
    }

    /// Creates and starts a container, and waits until the probe says that it pauses.
    ///
    /// # Errors
    /// A step fails or the patience ends.
    pub fn launch(&self, bundle: &Bundle) -> Result<i32> {
        self.create(bundle)?;
        self.start(&bundle.id)?;
        self.wait_for_output(bundle, "\"paused\"")?;
        self.pid(&bundle.id)
    }

    /// Waits until the container wrote `text`.
    ///
    /// # Errors
    /// The patience ends.
    pub fn wait_for_output(&self, bundle: &Bundle, text: &str) -> Result<()> {
        process::wait_until(&format!("the container to write {text}"), || {
            Ok(fs::read_to_string(self.streams(bundle).stdout)?.contains(text))
        })
        .with_context(|| format!("it wrote {:?}", self.output(bundle)))
    }

    /// What the container wrote to standard output and standard error so far.
    #[must_use]
    pub fn output(&self, bundle: &Bundle) -> String {
        let streams = self.streams(bundle);
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        read(streams.stdout) + &read(streams.stderr)
    }

    /// The answers that the probe gave so far.
    ///
    /// # Errors
    /// It wrote something that is no JSON.
    pub fn answers(&self, bundle: &Bundle) -> Result<Vec<Value>> {
        let text = fs::read_to_string(self.streams(bundle).stdout)?;
        text.lines()
            .map(|line| serde_json::from_str(line).with_context(|| format!("the container wrote {line:?}")))
            .collect()
    }

    /// Runs a container to its end and deletes it.
    ///
    /// # Errors
    /// A step fails.
    pub fn run(&self, bundle: &Bundle) -> Result<Finished> {
        self.create(bundle)?;
        self.start(&bundle.id)?;
        self.finish(bundle)
    }

    /// Runs a container to its end, unless the runtime refuses it: for values of which a runtime may support some.
    ///
    /// # Errors
    /// A step after `create` fails.
    pub fn run_unless_refused(&self, bundle: &Bundle) -> Result<Option<Finished>> {
        let outcome = self.try_create(bundle)?;
        if !outcome.succeeded() {
            outcome.failure()?;
            return Ok(None);
        }
        self.start(&bundle.id)?;
        self.finish(bundle).map(Some)
    }

    /// Waits for the end of a started container and deletes it.
    ///
    /// # Errors
    /// A step fails.
    pub fn finish(&self, bundle: &Bundle) -> Result<Finished> {
        let exit = self.wait(&bundle.id)?;
        self.delete(&bundle.id)?;
        let stdout = fs::read_to_string(self.streams(bundle).stdout)?;
        let lines = stdout.lines().map(serde_json::from_str);
        let answers = lines.filter_map(Result::ok).collect();
        Ok(Finished { exit, answers, stdout })
    }

    /// Runs a container that asks these questions; the answers, one for each.
    ///
    /// # Errors
    /// A step fails, or the container did not answer them all.
    pub fn answers_of(&self, bundle: Bundle, questions: &[&[&str]]) -> Result<Vec<Value>> {
        let bundle = bundle.ask(questions);
        let finished = self.run(&bundle)?;
        anyhow::ensure!(
            finished.answers.len() == questions.len(),
            "the container answered {} of {} questions and ended with {:?}; it wrote: {}",
            finished.answers.len(),
            questions.len(),
            finished.exit,
            self.output(&bundle).trim()
        );
        Ok(finished.answers)
    }

    /// Runs a container that asks one question.
    ///
    /// # Errors
    /// As [`Self::answers_of`].
    pub fn answer_of(&self, bundle: Bundle, question: &[&str]) -> Result<Value> {
        let mut answers = self.answers_of(bundle, &[question])?;
        Ok(answers.remove(0))
    }

    /// What a process in the container sees.
    ///
    /// # Errors
    /// As [`Self::answers_of`].
    pub fn report_of(&self, bundle: Bundle) -> Result<Value> {
        self.answer_of(bundle, &["report"])
    }

    /// What `state` tells.
    ///
    /// # Errors
    /// It fails or tells no JSON.
    pub fn state(&self, id: &str) -> Result<Value> {
        let outcome = self.call(["state", id])?.success()?;
        serde_json::from_str(&outcome.stdout).with_context(|| format!("`state` wrote {:?}", outcome.stdout))
    }

    /// The `status` that `state` tells.
    ///
    /// # Errors
    /// It tells none.
    pub fn status(&self, id: &str) -> Result<String> {
        let state = self.state(id)?;
        state["status"].as_str().map(str::to_owned).with_context(|| format!("no status in {state}"))
    }

    /// Whether `state` knows the container.
    ///
    /// # Errors
    /// The runtime cannot be run.
    pub fn exists(&self, id: &str) -> Result<bool> {
        Ok(self.call(["state", id])?.succeeded())
    }

    /// The process of a container that was created, as the host sees it.
    ///
    /// # Errors
    /// None was created.
    pub fn pid(&self, id: &str) -> Result<i32> {
        let pids = self.pids.borrow();
        let found = pids.iter().rev().find(|(known, _)| known == id).map(|(_, pid)| *pid);
        found.filter(|pid| *pid > 0).with_context(|| format!("`state` told no pid for {id}"))
    }

    /// Waits for the end of the container's process, which is this program's child since it is a subreaper.
    ///
    /// # Errors
    /// The patience ends, or it is somebody else's child.
    pub fn wait(&self, id: &str) -> Result<sys::process::Exit> {
        let pid = Pid::from_raw(self.pid(id)?);
        let pidfd = sys::process::pidfd_open(pid)?;
        let ended = process::ends_before(pid, Instant::now() + process::PATIENCE)?;
        anyhow::ensure!(ended, "the container's process did not end within {:?}", process::PATIENCE);
        Ok(sys::process::wait(pidfd)?)
    }

    /// Kills the container's process and waits for its end.
    ///
    /// # Errors
    /// A step fails.
    pub fn kill(&self, id: &str) -> Result<()> {
        self.call(["kill", id, "KILL"])?.success()?;
        self.wait(id).map(drop)
    }

    /// The `delete` operation.
    ///
    /// # Errors
    /// It fails.
    pub fn delete(&self, id: &str) -> Result<()> {
        self.call(["delete", id])?.success().map(drop)
    }

    /// Deletes all that is left, ends all that runs, removes cgroups and mounts. Called at the end of every test.
    ///
    /// # Errors
    /// Something stays that should not.
    pub fn clear(self) -> Result<()> {
        let state = self.dir().join("state");
        for (_, pid) in self.pids.borrow().iter().filter(|(_, pid)| *pid > 0) {
            end(*pid);
        }
        for id in self.ids.borrow().iter().filter(|id| state.join(id).exists()) {
            drop(self.call(["delete", "--force", id]));
        }
        for id in self.ids.borrow().iter() {
            cgroup::remove(id)?;
        }
        unmount_below(&self.name_of_scratch())?;
        self.base.close().context("the scratch directory stays")
    }

    fn name_of_scratch(&self) -> String {
        self.dir().display().to_string()
    }
}

/// Kills a process if it is still this program's child, and reaps it.
fn end(pid: i32) {
    let Ok(pidfd) = sys::process::pidfd_open(Pid::from_raw(pid)) else { return };
    let ours =
        process::status_field(pid, "PPid").is_ok_and(|parent| parent == std::process::id().to_string());
    if ours && sys::process::pidfd_kill(&pidfd, 9).is_ok() {
        drop(sys::process::wait(pidfd));
    }
}

/// Takes off every mount whose path begins so, innermost first.
///
/// # Errors
/// One cannot be taken off.
pub fn unmount_below(prefix: &str) -> Result<()> {
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    let points = table.lines().filter_map(|line| line.split(' ').nth(4));
    let points: Vec<&str> = points.filter(|point| point.starts_with(prefix)).collect();
    for point in points.iter().rev() {
        sys::mount::umount(Path::new(point), sys::mount::MntFlags::MNT_DETACH)?;
    }
    Ok(())
}

fn next(counter: &RefCell<u32>) -> u32 {
    let mut value = counter.borrow_mut();
    *value += 1;
    *value
}
