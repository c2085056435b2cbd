//! What the tests with real engines share: an image of a Debian root file system, the engines' daemons, and the
//! cgroup that an engine leaves to whoever named it.

use crate::{Invocation, Running, cgroup, procfs, wait};
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use xtask::rootfs::{self, Kind};

/// The name of the image. Its registry part keeps every engine from adding one of its own.
pub const IMAGE: &str = "mydocker.test/debian:12";

/// What `PRETTY_NAME` of the image's `/etc/os-release` contains.
pub const IMAGE_SAYS: &str = "bookworm";

/// How long a daemon may live: as long as its test.
const A_TEST: Duration = Duration::from_secs(240);

/// The path of a docker archive (`docker save`'s format) that holds [`IMAGE`], a Debian minbase of one layer. It is
/// made once per checkout; podman, docker and containerd all import it.
///
/// # Panics
/// When it cannot be made.
#[must_use]
pub fn image_archive() -> PathBuf {
    let layer = rootfs::archive(Kind::Debian).expect("mmdebstrap makes a root file system");
    let archive = layer.with_file_name("debian-image.tar");
    let lock = File::create(layer.with_file_name("debian-image.lock")).expect("the cache is writable");
    flock(&lock, FlockOperation::LockExclusive).expect("a file can be locked");
    if !is_newer(&archive, &layer) {
        write_archive(&layer, &archive);
    }
    archive
}

fn is_newer(archive: &Path, layer: &Path) -> bool {
    let modified = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified());
    matches!((modified(archive), modified(layer)), (Ok(archive), Ok(layer)) if archive > layer)
}

fn write_archive(layer: &Path, archive: &Path) {
    let parts = tempfile::tempdir_in(archive.with_file_name("")).expect("the cache is writable");
    let file = |name: &str| parts.path().join(name);
    fs::hard_link(layer, file("layer.tar")).expect("a hard link within the cache");
    let digest = program("sha256sum", &[layer.as_os_str()]);
    let digest = digest.split(' ').next().expect("sha256sum prints the digest first");
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": { "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": ["/bin/sh"] },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{digest}")] },
    });
    let manifest = json!([{ "Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"] }]);
    fs::write(file("config.json"), config.to_string()).expect("the cache is writable");
    fs::write(file("manifest.json"), manifest.to_string()).expect("the cache is writable");
    let unfinished = file("image.tar");
    let words = ["-C".as_ref(), parts.path().as_os_str(), "-cf".as_ref(), unfinished.as_os_str()];
    let members = ["manifest.json", "config.json", "layer.tar"].map(AsRef::as_ref);
    program("tar", &[&words[..], &members[..]].concat());
    fs::rename(unfinished, archive).expect("a rename within the cache");
}

fn program(name: &str, words: &[&std::ffi::OsStr]) -> String {
    let output = Command::new(name).args(words).output().unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A script that runs its arguments in a mount namespace where every cgroup hierarchy has a mount point.
///
/// A hierarchy is known to the whole machine as soon as somebody mounts it, perhaps in a mount namespace of their own,
/// and containerd gives up on a container's cgroups when `/proc/PID/cgroup` lists one that it finds no mount of.
const WITH_ALL_HIERARCHIES: &str = r#"
set -e
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
        let alone =
            ["unshare", "--mount", "--propagation=private", "/bin/sh", "-c", WITH_ALL_HIERARCHIES, "sh"];
        let daemon = Self { running: command.through(alone).deadline(A_TEST).spawn() };
        daemon.running.wait_for_output(ready);
        daemon
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
pub struct CgroupParent(String);

impl CgroupParent {
    /// The group `name` at the top of every hierarchy; it need not exist yet.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The groups that exist below it, over all hierarchies.
    #[must_use]
    pub fn children(&self) -> Vec<PathBuf> {
        let entries =
            cgroup::existing(&self.0).into_iter().filter_map(|dir| fs::read_dir(dir).ok()).flatten();
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
    }
}

impl Drop for CgroupParent {
    fn drop(&mut self) {
        for dir in cgroup::existing(&self.0) {
            // One that is not empty stays, for the check at the end of the test to report.
            drop(fs::remove_dir(dir));
        }
    }
}
