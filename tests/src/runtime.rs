//! The runtime under test, with a state root of its own.

use crate::bundle::{Bundle, WAITS};
use crate::invocation::{Invocation, Outcome, Running};
use crate::{cgroup, leftovers, strace, wait};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

/// The program that the environment names, else the one that `make` leaves in `bin/`.
///
/// # Panics
/// When there is no such program.
#[must_use]
pub fn program() -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(|root| root.join("bin/mydocker-runtime"));
    let named = std::env::var_os("MYDOCKER_RUNTIME").map(PathBuf::from);
    let program = named.or(built).unwrap_or_default();
    assert!(program.is_file(), "{} is missing: run `make`, or set MYDOCKER_RUNTIME", program.display());
    program
}

/// A runtime with a state root, a scratch directory and bundles of its own. Its end checks that nothing is left.
#[derive(Debug)]
pub struct Runtime {
    program: PathBuf,
    base: Option<TempDir>,
    name: String,
    bundles: AtomicU32,
}

impl Runtime {
    /// The runtime of [`program`].
    ///
    /// # Panics
    /// When there is none, or no scratch directory can be made.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it starts a guard, which nobody should do by default")]
    pub fn new() -> Self {
        Self::at(program())
    }

    /// The runtime at `program`.
    ///
    /// # Panics
    /// When no scratch directory can be made.
    #[must_use]
    pub fn at(program: PathBuf) -> Self {
        leftovers::adopt_orphans();
        // A tmpfs creates the few hundred links of a root file system a hundred times faster than the disk here.
        let shm = Path::new("/dev/shm");
        let parent = if shm.is_dir() { shm.to_owned() } else { std::env::temp_dir() };
        let base = tempfile::Builder::new().prefix("mdt-").tempdir_in(parent).expect("a scratch directory");
        let name = base.path().file_name().expect("it has a name").to_string_lossy().into_owned();
        for dir in ["state", "out"] {
            fs::create_dir(base.path().join(dir)).expect("the scratch directory is writable");
        }
        // Users of other ids, as in user namespaces, must be able to pass through to the root file systems.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(base.path(), open).expect("an own directory");
        Self { program, base: Some(base), name, bundles: AtomicU32::new(0) }
    }

    /// The directory below which everything of this runtime lies. Its name is unlike that of any other, and begins the
    /// id and the cgroup path of every bundle.
    ///
    /// # Panics
    /// Never: the directory lives as long as the runtime.
    #[must_use]
    pub fn scratch(&self) -> &Path {
        self.base.as_ref().expect("the scratch directory lives until the end").path()
    }

    /// The name of the scratch directory.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The state root.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.scratch().join("state")
    }

    /// The program under test.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// A new bundle. Its id is the name of its directory, its cgroup path that name after a slash.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn bundle(&self) -> Bundle {
        Bundle::create(&self.bundle_dir())
    }

    /// A new bundle whose container says `ready` and then does nothing for long.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn waiting_bundle(&self) -> Bundle {
        self.bundle().script(WAITS)
    }

    /// A new bundle with the config.json of another one and the same root file system, but an id and a cgroup of its
    /// own: many containers at once need no copies of busybox.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn bundle_like(&self, template: &Bundle) -> Bundle {
        Bundle::create_like(&self.bundle_dir(), template)
    }

    fn bundle_dir(&self) -> PathBuf {
        let number = self.bundles.fetch_add(1, Ordering::Relaxed) + 1;
        let dir = self.scratch().join(format!("{}-{number}", self.name));
        fs::create_dir(&dir).expect("the scratch directory is writable");
        dir
    }

    /// The command `PROGRAM --root ROOT args...`, with `--systemd-cgroup` where [`cgroup::by_systemd`] says so.
    #[must_use]
    pub fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Invocation {
        let words =
            [self.program.as_os_str(), "--root".as_ref(), self.root().as_os_str()].map(OsStr::to_owned);
        let driver = cgroup::by_systemd().then_some("--systemd-cgroup");
        self.host(words).args(driver).args(args)
    }

    /// Any other program of the host, with the same deadline and the same scratch directory for its output.
    #[must_use]
    pub fn host<W: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = W>) -> Invocation {
        Invocation::new(&self.scratch().join("out"), words)
    }

    /// The command `run --bundle DIR ID`, not started yet.
    #[must_use]
    pub fn run_command(&self, bundle: &Bundle) -> Invocation {
        self.bundle_command("run", bundle, &[])
    }

    /// The command `VERB options... --bundle DIR ID` (of create and run), not started yet.
    #[must_use]
    pub fn bundle_command(&self, verb: &str, bundle: &Bundle, options: &[&str]) -> Invocation {
        self.command([verb]).args(options).arg("--bundle").arg(bundle.dir()).arg(bundle.id())
    }

    /// Runs the bundle in the foreground to its end.
    #[must_use = "look at how it ended"]
    pub fn run(&self, bundle: &Bundle) -> Outcome {
        self.run_command(bundle).run()
    }

    /// Starts the bundle in the foreground and goes on.
    #[must_use]
    pub fn spawn(&self, bundle: &Bundle) -> Running {
        self.run_command(bundle).spawn()
    }

    /// Runs the bundle detached.
    pub fn run_detached(&self, bundle: &Bundle) -> Outcome {
        self.bundle_command("run", bundle, &["--detach"]).run().succeeds()
    }

    /// Creates the bundle's container.
    #[must_use = "look at how it ended"]
    pub fn create(&self, bundle: &Bundle) -> Outcome {
        self.bundle_command("create", bundle, &[]).run()
    }

    /// Starts the created container.
    #[must_use = "look at how it ended"]
    pub fn start(&self, id: &str) -> Outcome {
        self.command(["start", id]).run()
    }

    /// Runs `exec ID args...` in the foreground to its end.
    #[must_use = "look at how it ended"]
    pub fn exec<A: AsRef<OsStr>>(&self, id: &str, args: impl IntoIterator<Item = A>) -> Outcome {
        self.command(["exec", id]).args(args).run()
    }

    /// Runs `kill ID SIGNAL`.
    #[must_use = "look at how it ended"]
    pub fn kill(&self, id: &str, signal: &str) -> Outcome {
        self.command(["kill", id, signal]).run()
    }

    /// Runs `delete ID`.
    #[must_use = "look at how it ended"]
    pub fn delete(&self, id: &str) -> Outcome {
        self.command(["delete", id]).run()
    }

    /// Runs `delete --force ID`.
    #[must_use = "look at how it ended"]
    pub fn delete_force(&self, id: &str) -> Outcome {
        self.command(["delete", "--force", id]).run()
    }

    /// What `state ID` prints.
    ///
    /// # Panics
    /// When it fails or prints no JSON.
    #[must_use]
    pub fn state(&self, id: &str) -> Value {
        self.command(["state", id]).run().succeeds().json()
    }

    /// The `status` that `state ID` tells.
    ///
    /// # Panics
    /// When `state` fails or tells none.
    #[must_use]
    pub fn status(&self, id: &str) -> String {
        self.state(id)["status"].as_str().expect("state tells a status").to_owned()
    }

    /// The `pid` that `state ID` tells.
    ///
    /// # Panics
    /// When `state` fails or tells none.
    #[must_use]
    pub fn pid(&self, id: &str) -> i32 {
        let pid = self.state(id)["pid"].as_i64().expect("state tells a pid");
        i32::try_from(pid).expect("a process id fits i32")
    }

    /// Whether the runtime knows the container.
    #[must_use]
    pub fn knows(&self, id: &str) -> bool {
        self.command(["state", id]).run().status.success()
    }

    /// Waits until `state ID` tells the status.
    ///
    /// # Panics
    /// When that does not happen in time.
    pub fn wait_for_status(&self, id: &str, status: &str) {
        wait::until(&format!("{id} to be {status}"), || (self.status(id) == status).then_some(()));
    }

    /// Kills the container's process, waits for its end and deletes the container.
    pub fn kill_and_delete(&self, id: &str) {
        let pid = self.pid(id);
        self.kill(id, "KILL").succeeds();
        wait::for_exit(pid);
        self.delete(id).succeeds();
    }

    /// Runs `command` under strace to its end, and tells how many system calls it and all its children made.
    #[must_use]
    pub fn count_syscalls(&self, command: Invocation) -> (Outcome, usize) {
        let log = self.scratch().join("out/strace.log");
        let outcome = command.through(["strace".to_owned()].into_iter().chain(strace::options(&log))).run();
        (outcome, strace::count(&log))
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let Some(base) = self.base.take() else { return };
        let found = leftovers::clear(&self.program, &self.name, base);
        assert!(found.is_empty() || std::thread::panicking(), "left behind:\n{}", found.join("\n"));
    }
}
