//! What the tests with real engines share: an image of a Debian root file system, the engines' daemons, and the
//! cgroup that an engine leaves to whoever named it.

mod containerd;
mod podman;

pub use containerd::Containerd;
pub use podman::Podman;
pub(crate) use podman::await_cleanup;

use crate::{Invocation, Running, cgroup, procfs, wait};
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use xtask::rootfs::{self, Kind};

/// The name of the image. Its registry part keeps every engine from adding one of its own.
pub const IMAGE: &str = "mydocker.test/debian:12";

/// The name of the small image.
pub const BUSYBOX: &str = "mydocker.test/busybox:1";

/// What `PRETTY_NAME` of the image's `/etc/os-release` contains.
pub const IMAGE_SAYS: &str = "bookworm";

/// How long a daemon may take to come up: it reads and syncs files of its own, also where others keep the disk busy.
const A_START: Duration = Duration::from_secs(120);

/// How long a daemon may live: as long as its test.
const A_TEST: Duration = Duration::from_secs(240);

/// The path of a docker archive (`docker save`'s format) that holds [`IMAGE`], a Debian minbase of one layer. It is
/// made once per checkout; podman, docker and containerd all import it.
///
/// # Panics
/// When it cannot be made.
#[must_use]
pub fn image_archive() -> PathBuf {
    archive_of(Kind::Debian, IMAGE)
}

/// The path of a docker archive with an image of busybox under a name such as [`BUSYBOX`], made once per checkout. It is
/// imported in a moment.
///
/// # Panics
/// When it cannot be made.
#[must_use]
pub fn busybox_archive(name: &str) -> PathBuf {
    archive_of(Kind::Busybox, name)
}

fn archive_of(kind: Kind, image: &str) -> PathBuf {
    let layer = rootfs::archive(kind).unwrap_or_else(|error| panic!("{image}: {error:#}"));
    let stem = format!("{}-{}", kind.name(), image.replace(['/', ':'], "-"));
    let archive = layer.with_file_name(format!("{stem}.tar"));
    let lock = File::create(layer.with_file_name(format!("{stem}.lock"))).expect("the cache is writable");
    flock(&lock, FlockOperation::LockExclusive).expect("a file can be locked");
    if !is_newer(&archive, &layer) {
        let config = json!({ "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": ["/bin/sh"] });
        write_archive(image, &config, &[&layer], &archive);
    }
    archive
}

fn is_newer(archive: &Path, layer: &Path) -> bool {
    let modified = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified());
    matches!((modified(archive), modified(layer)), (Ok(archive), Ok(layer)) if archive > layer)
}

/// Writes a docker archive with one image: its name, docker's `config` (`Cmd`, `Env` ...), and its layers, the lowest
/// first.
pub(crate) fn write_archive(name: &str, config: &Value, layers: &[&Path], archive: &Path) {
    let parts = tempfile::tempdir_in(archive.with_file_name("")).expect("the scratch directory is writable");
    let file = |name: &str| parts.path().join(name);
    let names: Vec<String> = (0..layers.len()).map(|number| format!("layer{number}.tar")).collect();
    for (layer, name) in layers.iter().zip(&names) {
        fs::hard_link(layer, file(name)).or_else(|_| symlink(layer, file(name))).expect("a link to a layer");
    }
    let digest = |layer: &&Path| {
        let line = program("sha256sum", &[layer.as_os_str()]);
        format!("sha256:{}", line.split(' ').next().expect("sha256sum prints the digest first"))
    };
    let diff_ids: Vec<String> = layers.iter().map(digest).collect();
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": config,
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    let manifest = json!([{ "Config": "config.json", "RepoTags": [name], "Layers": names }]);
    fs::write(file("config.json"), config.to_string()).expect("the scratch directory is writable");
    fs::write(file("manifest.json"), manifest.to_string()).expect("the scratch directory is writable");
    let unfinished = file("image.tar");
    // A layer of another file system is a symbolic link, which -h follows.
    let words = ["-C".as_ref(), parts.path().as_os_str(), "-hcf".as_ref(), unfinished.as_os_str()];
    let members = ["manifest.json", "config.json"].into_iter().chain(names.iter().map(String::as_str));
    let members: Vec<&OsStr> = members.map(OsStr::new).collect();
    program("tar", &[&words[..], &members[..]].concat());
    fs::rename(unfinished, archive).expect("a rename within a directory");
}

fn program(name: &str, words: &[&OsStr]) -> String {
    let output = Command::new(name).args(words).output().unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A script that runs its arguments after it has laid out what daemons see in a mount namespace of their own:
///
/// * Every cgroup hierarchy of v1 has a mount point. A hierarchy is known to the whole machine as soon as somebody mounts it,
///   perhaps out of the daemons' sight, and containerd gives up on a container's cgroups when `/proc/PID/cgroup` lists
///   one that it finds no mount of.
/// * `/run/containerd` and `/run/docker`, which no setting moves, are empty and vanish with the namespace.
const OWN_VIEW: &str = r#"
set -e
show_v1() {
    view=$(mktemp -d)
    mount -t tmpfs -o mode=755 cgroup "$view"
    for mounted in /sys/fs/cgroup/*/; do
        mkdir "$view/$(basename "$mounted")"
        mount --bind "$mounted" "$view/$(basename "$mounted")"
    done
    cut -d: -f2 /proc/self/cgroup | while read -r controllers; do
        case $controllers in '' | name=*) continue ;; esac
        [ ! -e "$view/$controllers" ] || continue
        mkdir "$view/$controllers"
        mount -t cgroup -o "$controllers" cgroup "$view/$controllers"
    done
    mount --move "$view" /sys/fs/cgroup
    rmdir "$view"
}
[ -e /sys/fs/cgroup/cgroup.procs ] || show_v1
for dir in /run/containerd /run/docker; do
    mkdir -p "$dir"
    mount -t tmpfs -o mode=711 run "$dir"
done
exec "$@" 2>&1
"#;

/// A daemon that a test started. Its end is asked for with SIGTERM, and waited for.
#[derive(Debug)]
pub struct Daemon {
    running: Running,
}

impl Daemon {
    /// Starts `command` in a mount namespace of its own, and waits until its log, standard output and error together,
    /// contains `ready`.
    ///
    /// # Panics
    /// When it ends before, or says nothing of the kind in time.
    #[must_use]
    pub fn start(command: Invocation, ready: &str) -> Self {
        let alone = ["unshare", "--mount", "--propagation=private", "/bin/sh", "-c", OWN_VIEW, "sh"];
        Self::start_now(command.through(alone), ready)
    }

    /// Starts `command` in the mount namespace of this daemon, for the two hand each other mounts.
    ///
    /// # Panics
    /// When it ends before its log contains `ready`, or says nothing of the kind in time.
    #[must_use]
    pub fn start_beside(&self, command: Invocation, ready: &str) -> Self {
        let target = format!("--target={}", self.running.pid());
        let beside = ["nsenter", &target, "--mount", "/bin/sh", "-c", "exec \"$@\" 2>&1", "sh"];
        Self::start_now(command.through(beside), ready)
    }

    fn start_now(command: Invocation, ready: &str) -> Self {
        let daemon = Self { running: command.deadline(A_TEST).spawn() };
        daemon.running.wait_for_output_within(A_START, ready);
        daemon
    }

    /// Starts a containerd with directories and a socket, `containerd.sock`, in `scratch`. Its configuration leaves
    /// out the CRI plugin and the directory for additions, which are of no use to a test and would reach outside.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    pub fn containerd(scratch: &Path) -> Self {
        let command = Invocation::new(&scratch.join("out"), ["containerd", "--config"]);
        Self::start(command.arg(Self::containerd_config(scratch)), "containerd successfully booted")
    }

    /// Writes the configuration of [`Daemon::containerd`], and returns where it is.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn containerd_config(scratch: &Path) -> PathBuf {
        let place = scratch.display();
        let config = format!(
            r#"
version = 2
root = "{place}/containerd/root"
state = "{place}/containerd/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
address = "{place}/containerd.sock"
"#
        );
        let file = scratch.join("containerd.toml");
        fs::write(&file, config).expect("the scratch directory is writable");
        file
    }

    /// The mount points of the daemon's mount namespace whose path contains `text`.
    ///
    /// # Panics
    /// When the daemon is gone.
    #[must_use]
    pub fn mounts_with(&self, text: &str) -> Vec<String> {
        let table = format!("/proc/{}/mountinfo", self.running.pid());
        let table = fs::read_to_string(&table).unwrap_or_else(|error| panic!("{table}: {error}"));
        let points = table.lines().filter_map(|line| line.split(' ').nth(4));
        points.filter(|point| point.contains(text)).map(str::to_owned).collect()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = self.running.pid();
        if std::thread::panicking() {
            // Where even standard error is gone, there is nobody to tell.
            drop(writeln!(io::stderr(), "the daemon's log:\n{}", self.running.stdout()));
        }
        // It may have ended by itself, which the log tells.
        let _ = kill_process(Pid::from_raw(pid).expect("a child has a process id"), Signal::TERM);
        let ended = wait::within(wait::DEADLINE, || (!procfs::is_alive(pid)).then_some(()));
        assert!(
            ended.is_some() || std::thread::panicking(),
            "the daemon does not end: {}",
            self.running.stdout()
        );
    }
}

/// The cgroup above an engine's containers. An engine, like every runtime, removes the containers' groups and leaves
/// the one above them, which may be shared; this guard removes it when it is empty.
#[derive(Debug)]
pub struct CgroupParent {
    name: String,
    own: Vec<&'static str>,
}

impl CgroupParent {
    /// The group `name` at the top of every hierarchy; it need not exist yet.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), own: Vec::new() }
    }

    /// Says that the group `name` below it is the engine's own, and as lasting as its parent.
    #[must_use]
    pub fn with_own_group(mut self, name: &'static str) -> Self {
        self.own.push(name);
        self
    }

    /// The groups of containers that exist below it, over all hierarchies.
    #[must_use]
    pub fn children(&self) -> Vec<PathBuf> {
        let parents = cgroup::existing(&self.name).into_iter();
        let entries = parents.filter_map(|dir| fs::read_dir(dir).ok()).flatten().flatten();
        let dirs = entries.map(|entry| entry.path()).filter(|path| path.is_dir());
        dirs.filter(|dir| !self.own.iter().any(|own| dir.ends_with(own))).collect()
    }
}

impl Drop for CgroupParent {
    fn drop(&mut self) {
        for dir in cgroup::existing(&self.name) {
            // One that is not there is no harm, and one that is not empty stays, for the check at the end of the test.
            let own = self.own.iter().map(|name| fs::remove_dir(dir.join(name)));
            drop(own.collect::<Vec<_>>());
            drop(fs::remove_dir(dir));
        }
    }
}

/// Reaps orphans that this process adopted, while a client waits for just that.
///
/// podman waits until its conmon has vanished, and a conmon belongs to nobody: it is adopted by the subreaper, which a
/// test is, or by PID 1, which may take its time.
#[derive(Debug)]
pub struct Reaper {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Reaper {
    /// Reaps the children of this process whose program is called `name`.
    #[must_use]
    pub fn of(name: &'static str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            wait::within(A_TEST, || {
                reap_all(name);
                seen.load(Ordering::Relaxed).then_some(())
            });
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(matches!(ended, Some(Ok(()))) || std::thread::panicking(), "the reaper failed");
    }
}

fn reap_all(name: &str) {
    let is_named = |pid: &i32| procfs::status_field(*pid, "Name").is_some_and(|found| found == name);
    for pid in procfs::own_children().into_iter().filter(is_named).filter_map(Pid::from_raw) {
        // One that still runs is not waited for.
        let _ = waitpid(Some(pid), WaitOptions::NOHANG);
    }
}
