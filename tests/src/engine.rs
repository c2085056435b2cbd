//! The command for people under test, with images, containers and volumes of its own.

use crate::img::{FakeRegistry, SampleImage, Served, sha256};
use crate::invocation::Invocation;
use crate::{cgroup, img, leftovers, procfs, runtime, wait};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;
use tempfile::TempDir;

/// How long processes that are about to end may take.
const GRACE: Duration = Duration::from_secs(5);

/// The program that the environment names, else the one that `make` leaves in `bin/`.
///
/// # Panics
/// When there is no such program.
#[must_use]
pub fn program() -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(|root| root.join("bin/mydocker"));
    let named = std::env::var_os("MYDOCKER").map(PathBuf::from);
    let program = named.or(built).unwrap_or_default();
    assert!(program.is_file(), "{} is missing: run `make`, or set MYDOCKER", program.display());
    program
}

/// The monitor's program: the one that the environment names, else the one beside [`program`].
///
/// # Panics
/// When there is no such program.
#[must_use]
pub fn monitor_program() -> PathBuf {
    let named = std::env::var_os("MYDOCKER_MONITOR").map(PathBuf::from);
    let monitor = named.unwrap_or_else(|| program().with_file_name("mydocker-monitor"));
    assert!(monitor.is_file(), "{} is missing: run `make`, or set MYDOCKER_MONITOR", monitor.display());
    monitor
}

/// `mydocker` with a root of its own. Its end removes all containers by force, and checks that nothing is left of them.
#[derive(Debug)]
pub struct Engine {
    program: PathBuf,
    base: Option<TempDir>,
}

impl Engine {
    /// The program of [`program`] without any image or container.
    ///
    /// # Panics
    /// When there is none, or no scratch directory can be made.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it starts a guard, which nobody should do by default")]
    pub fn new() -> Self {
        leftovers::adopt_orphans();
        let shm = Path::new("/dev/shm");
        let parent = if shm.is_dir() { shm.to_owned() } else { std::env::temp_dir() };
        let base = tempfile::Builder::new().prefix("mde-").tempdir_in(parent).expect("a scratch directory");
        for directory in ["out", "home"] {
            fs::create_dir(base.path().join(directory)).expect("the scratch directory is writable");
        }
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(base.path(), open).expect("an own directory");
        Self { program: program(), base: Some(base) }
    }

    /// The same with the image `busybox`, whose tag is `latest`: a shell, its tools, `root` and `nobody`.
    ///
    /// # Panics
    /// When the image cannot be made.
    #[must_use]
    pub fn with_busybox() -> Self {
        let engine = Self::new();
        engine.add_image("busybox", busybox_layer(), &json!({ "Cmd": ["sh"], "Env": ["FROM_IMAGE=yes"] }));
        engine
    }

    /// Adds an image of one layer under a name, its `config` being docker's (`Cmd`, `Env`, `User` ...).
    ///
    /// # Panics
    /// When it cannot be pulled.
    pub fn add_image(&self, name: &str, layer: &[u8], config: &Value) {
        let mut image = SampleImage::new(&[]);
        image.config = json!({
            "architecture": "amd64", "os": "linux", "config": config, "created": "2024-05-01T12:00:00Z",
            "rootfs": { "type": "layers", "diff_ids": [sha256(layer)] },
        })
        .to_string()
        .into_bytes();
        image.layers = vec![layer.to_owned()];
        image.manifest = image.manifest_json().to_string().into_bytes();
        let registry = FakeRegistry::good(Served::image("latest", &image));
        let there = registry.name("it:latest");
        self.image_tool(["pull", "-q", &there]).run().succeeds().discard();
        self.image_tool(["tag", &there, name]).run().succeeds().discard();
        self.image_tool(["rmi", &there]).run().succeeds().discard();
    }

    /// A path in the scratch directory.
    ///
    /// # Panics
    /// Never: the directory lives as long as the engine.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.base.as_ref().expect("the scratch directory lives until the end").path().join(name)
    }

    /// A command line of `mydocker` with the test's own root.
    #[must_use]
    pub fn command<W: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = W>) -> Invocation {
        self.with_programs(Invocation::new(&self.path("out"), [&self.program]))
            .arg("--root")
            .arg(self.path("root"))
            .arg("--runroot")
            .arg(self.path("run"))
            .args(words)
    }

    /// A command line of `mydocker-img` with the images of this engine.
    #[must_use]
    pub fn image_tool<W: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = W>) -> Invocation {
        self.with_programs(Invocation::new(&self.path("out"), [img::program()]))
            .arg("--root")
            .arg(self.path("root/images"))
            .args(words)
    }

    fn with_programs(&self, invocation: Invocation) -> Invocation {
        invocation
            .env("HOME", self.path("home"))
            .env("MYDOCKER_RUNTIME", runtime::program())
            .env("MYDOCKER_IMG", img::program())
            .env("MYDOCKER_MONITOR", monitor_program())
    }

    /// Runs a command that has to succeed, and returns what it prints, without the last newline.
    pub fn ok<W: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = W>) -> String {
        let text = self.command(words).run().succeeds().stdout;
        text.strip_suffix('\n').map(str::to_owned).unwrap_or(text)
    }

    /// `inspect` of a container.
    ///
    /// # Panics
    /// When there is none, or what is printed is no list of one.
    #[must_use]
    pub fn inspect(&self, container: &str) -> Value {
        let text = self.ok(["inspect", container]);
        let list: Vec<Value> = serde_json::from_str(&text).expect("a list");
        list.into_iter().next().expect("one entry")
    }

    /// Waits until a container has this status.
    ///
    /// # Panics
    /// When it does not get it in time.
    pub fn wait_for_status(&self, container: &str, status: &str) {
        let has = || (self.inspect(container)["State"]["Status"] == status).then_some(());
        wait::within(wait::DEADLINE, has).unwrap_or_else(|| panic!("{container} is not {status} in time"));
    }

    /// The state that is recorded of a container.
    ///
    /// # Panics
    /// When there is no such container, or its record is none.
    #[must_use]
    pub fn state(&self, name: &str) -> Value {
        self.recorded(name).unwrap_or_else(|| panic!("{name} has no record"))
    }

    /// The record of a container, if it has one already, or still.
    fn recorded(&self, name: &str) -> Option<Value> {
        let id = fs::read_link(self.path("root/names").join(name)).ok()?;
        let text = fs::read(self.path("root/containers").join(id).join("state.json")).ok()?;
        Some(serde_json::from_slice(&text).expect("JSON"))
    }

    /// The process id of a container's `process` or `monitor`.
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    pub fn pid(&self, name: &str, of: &str) -> i32 {
        let pid = self.state(name)[of]["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
        pid.unwrap_or_else(|| panic!("{name} has no {of}"))
    }

    /// Waits until a container is recorded with this status.
    ///
    /// # Panics
    /// When that does not happen in time.
    pub fn wait_for_record(&self, name: &str, status: &str) {
        wait::until(&format!("{name} to be {status}"), || {
            // A name is taken before the first record is written.
            let state = self.recorded(name)?;
            (state["status"] == status).then_some(())
        });
    }

    /// The ids of all containers, as the directory has them.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path("root/containers")) else { return Vec::new() };
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    fn clear(&self) -> Vec<String> {
        let ids = self.ids();
        let mut found = Vec::new();
        for id in &ids {
            let removed = self.command(["rm", "-f", "-v", id]).run();
            if self.path("root/containers").join(id).exists() {
                found.push(format!("container {id}: {}", removed.describe()));
            }
        }
        found.extend(self.take_down_bridge());
        for id in &ids {
            let groups = [id.clone(), format!("mydocker-{id}")];
            let left = groups.iter().flat_map(|name| cgroup::remove_by_prefix(name));
            found.extend(left.map(|dir| format!("cgroup {}", dir.display())));
        }
        let base = self.path("");
        let base = base.to_string_lossy();
        let base = base.trim_end_matches('/');
        let own = |line: &&str| line.split(' ').nth(4).is_some_and(|place| place.starts_with(base));
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        for line in mounts.lines().rev().filter(own) {
            let place = line.split(' ').nth(4).unwrap_or_default();
            found.push(format!("mount {place}"));
            drop(Command::new("umount").args(["-l", place]).status());
        }
        // A monitor ends a moment after it has told how its container ended.
        let alive = || procfs::with_word_in_command_line(base);
        if wait::within(GRACE, || alive().is_empty().then_some(())).is_none() {
            found.extend(alive().iter().map(|pid| format!("process {pid} ({})", procfs::command_line(*pid))));
        }
        found
    }

    /// The default bridge stays when the last container has gone; what takes it away is a command for people as well.
    fn take_down_bridge(&self) -> Option<String> {
        let record: Value =
            serde_json::from_slice(&fs::read(self.path("root/networks/bridge.json")).ok()?).ok()?;
        let bridge = record["Interface"].as_str()?;
        let device = Path::new("/sys/class/net").join(bridge);
        if !device.exists() {
            return None;
        }
        let pruned = self.command(["network", "prune", "-f"]).run();
        let rules = Command::new("iptables-save").output().expect("iptables is installed").stdout;
        let is_left = device.exists() || String::from_utf8_lossy(&rules).contains(bridge);
        is_left.then(|| format!("bridge {bridge}: {}", pruned.describe()))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let found = self.clear();
        drop(self.base.take());
        if !found.is_empty() && !std::thread::panicking() {
            panic!("the test left behind: {}", found.join(", "));
        }
    }
}

/// A layer with busybox, in the form of a tar.
///
/// # Panics
/// When busybox is not installed.
#[must_use]
pub fn busybox_layer() -> &'static [u8] {
    static LAYER: OnceLock<Vec<u8>> = OnceLock::new();
    LAYER.get_or_init(|| {
        let busybox = Path::new("/bin/busybox");
        assert!(busybox.is_file(), "busybox is missing: install busybox-static");
        layer_of(busybox)
    })
}

/// A layer with the busybox that this file is.
///
/// # Panics
/// When busybox is not installed, or there is no room.
#[must_use]
pub fn layer_of(busybox: &Path) -> Vec<u8> {
    let place = tempfile::Builder::new().prefix("mde-").tempdir().expect("a scratch directory");
    fill_with(place.path(), busybox);
    let mut tar = Command::new("tar");
    tar.args(["--sort=name", "--numeric-owner", "-C"]).arg(place.path()).args(["-c", "."]);
    let tar = tar.output().expect("tar is there");
    assert!(tar.status.success(), "tar of the busybox image");
    tar.stdout
}

/// Makes a root file system of busybox.
///
/// # Panics
/// When busybox is not installed, or there is no room.
pub fn fill_with_busybox(root: &Path) {
    let busybox = Path::new("/bin/busybox");
    assert!(busybox.is_file(), "busybox is missing: install busybox-static");
    fill_with(root, busybox);
}

fn fill_with(root: &Path, busybox: &Path) {
    for directory in ["bin", "etc", "proc", "sys", "dev", "tmp", "root", "home", "var/log", "usr"] {
        fs::create_dir_all(root.join(directory)).expect("room");
    }
    fs::copy(busybox, root.join("bin/busybox")).expect("room");
    let applets = Command::new("/bin/busybox").arg("--list").output().expect("busybox lists its tools");
    for applet in String::from_utf8_lossy(&applets.stdout).lines().filter(|name| *name != "busybox") {
        symlink("busybox", root.join("bin").join(applet)).expect("room");
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")
        .expect("room");
    fs::write(root.join("etc/group"), "root:x:0:\nnogroup:x:65534:\n").expect("room");
    let sticky = std::os::unix::fs::PermissionsExt::from_mode(0o1777);
    fs::set_permissions(root.join("tmp"), sticky).expect("an own directory");
}
