//! Bundles: a busybox root file system and a config.json that a test edits.

use crate::cgroup;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The statically linked busybox that becomes the whole user land of a test container.
const BUSYBOX: &str = "/usr/bin/busybox";

/// The script of a container that says `ready` and then does nothing for long.
pub const WAITS: &str = "echo ready; exec sleep 1000";

/// A bundle on disk, with the id and the cgroup path that belong to it alone.
#[derive(Debug)]
pub struct Bundle {
    dir: PathBuf,
    id: String,
    group: String,
    /// The content of config.json. Change it through [`Bundle::with`] or [`Bundle::edit`], which also write it.
    pub config: Value,
}

impl Bundle {
    /// Makes a bundle in the new directory `dir`, whose name is the id of its container and of its cgroup.
    ///
    /// # Panics
    /// When busybox is missing or the directory cannot be filled.
    #[must_use]
    pub fn create(dir: &Path) -> Self {
        let id = dir.file_name().expect("a bundle's directory has a name").to_string_lossy().into_owned();
        make_root(&dir.join("rootfs"));
        let config = default_config(&id);
        let mut bundle = Self { dir: dir.to_owned(), id, group: String::new(), config };
        bundle.write();
        bundle
    }

    /// Makes a bundle in the new directory `dir` that shares the root file system of `template`.
    ///
    /// # Panics
    /// When the directory cannot be filled.
    #[must_use]
    pub fn create_like(dir: &Path, template: &Self) -> Self {
        let id = dir.file_name().expect("a bundle's directory has a name").to_string_lossy().into_owned();
        let mut config = template.config.clone();
        config["root"]["path"] = json!(template.dir.join("rootfs"));
        config["linux"]["cgroupsPath"] = json!(cgroup::path_for(&id));
        let mut bundle = Self { dir: dir.to_owned(), id, group: String::new(), config };
        bundle.write();
        bundle
    }

    /// The bundle's directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The id for its container.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A path inside its root file system, as the host sees it; `inside` may begin with a slash.
    #[must_use]
    pub fn path(&self, inside: &str) -> PathBuf {
        self.dir.join("rootfs").join(inside.trim_start_matches('/'))
    }

    /// The group that the cgroup path of its config.json names; empty when there is none.
    #[must_use]
    pub fn cgroup(&self) -> &str {
        &self.group
    }

    /// Changes config.json.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Value)) -> Self {
        self.edit(change);
        self
    }

    /// Changes config.json in place.
    pub fn edit(&mut self, change: impl FnOnce(&mut Value)) {
        change(&mut self.config);
        self.write();
    }

    /// Sets the command of the container.
    #[must_use]
    pub fn args<A: AsRef<str>>(self, args: impl IntoIterator<Item = A>) -> Self {
        let args: Vec<String> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        self.with(|config| config["process"]["args"] = json!(args))
    }

    /// Makes the container run a shell script.
    #[must_use]
    pub fn script(self, script: &str) -> Self {
        self.args(["sh", "-c", script])
    }

    /// Adds one entry at the end of `mounts`.
    #[must_use]
    pub fn mount(self, destination: &str, kind: &str, source: impl AsRef<Path>, options: &[&str]) -> Self {
        let source = source.as_ref().display().to_string();
        let entry = json!({"destination": destination, "type": kind, "source": source, "options": options});
        self.with(|config| push(&mut config["mounts"], entry))
    }

    /// Removes the entry of `linux.namespaces` of that type, so that the runtime's namespace is kept.
    #[must_use]
    pub fn without_namespace(self, kind: &str) -> Self {
        self.with(|config| {
            if let Some(list) = config["linux"]["namespaces"].as_array_mut() {
                list.retain(|entry| entry["type"] != kind);
            }
        })
    }

    /// Adds (or replaces) an entry of `linux.namespaces`: a new one, or one to join by path.
    #[must_use]
    pub fn namespace(self, kind: &str, path: Option<&Path>) -> Self {
        let mut entry = json!({"type": kind});
        if let Some(path) = path {
            entry["path"] = json!(path);
        }
        self.without_namespace(kind).with(|config| push(&mut config["linux"]["namespaces"], entry))
    }

    /// Adds a user namespace in which `size` ids from 0 on are `host_id` and the following outside.
    #[must_use]
    pub fn user_namespace(self, host_id: u32, size: u32) -> Self {
        let map = json!([{"containerID": 0, "hostID": host_id, "size": size}]);
        self.namespace("user", None).with(|config| {
            config["linux"]["uidMappings"] = map.clone();
            config["linux"]["gidMappings"] = map;
        })
    }

    fn write(&mut self) {
        self.group = cgroup::group_of(self.config["linux"]["cgroupsPath"].as_str().unwrap_or_default());
        let text = serde_json::to_vec_pretty(&self.config).expect("a JSON value can be written");
        fs::write(self.dir.join("config.json"), text).expect("the bundle is writable");
    }
}

/// Appends to a JSON array, which is made when it is absent.
///
/// # Panics
/// When `array` is something else.
pub fn push(array: &mut Value, entry: Value) {
    if array.is_null() {
        *array = json!([]);
    }
    array.as_array_mut().expect("an array to append to").push(entry);
}

/// Fills `root` with busybox, a symbolic link for each of its applets, and the usual directories.
fn make_root(root: &Path) {
    for name in ["bin", "dev", "etc", "proc", "root", "sys", "tmp", "usr/bin", "var"] {
        fs::create_dir_all(root.join(name)).expect("the bundle's directory is writable");
    }
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).expect("an own directory");
    fs::copy(BUSYBOX, root.join("bin/busybox"))
        .unwrap_or_else(|error| panic!("{BUSYBOX} (busybox-static): {error}"));
    for applet in applets() {
        symlink("busybox", root.join("bin").join(applet)).expect("the bundle's directory is writable");
    }
    let users = "root:x:0:0:root:/root:/bin/sh\nguest:x:1000:1000:guest:/tmp:/bin/sh\n";
    fs::write(root.join("etc/passwd"), users).expect("the bundle's directory is writable");
    fs::write(root.join("etc/group"), "root:x:0:\nguest:x:1000:\n")
        .expect("the bundle's directory is writable");
}

fn applets() -> &'static [String] {
    static APPLETS: OnceLock<Vec<String>> = OnceLock::new();
    APPLETS.get_or_init(|| {
        let output = Command::new(BUSYBOX).arg("--list").output();
        let output = output.unwrap_or_else(|error| panic!("{BUSYBOX} (busybox-static): {error}"));
        let list = String::from_utf8_lossy(&output.stdout).into_owned();
        list.lines().filter(|applet| *applet != "busybox").map(str::to_owned).collect()
    })
}

/// What `runc spec` writes, without a terminal, with a writable root, a cgroup of its own, and `true` as its command.
fn default_config(id: &str) -> Value {
    let caps = json!(["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": {"uid": 0, "gid": 0},
            "args": ["true"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": {"bounding": caps, "effective": caps, "permitted": caps},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": true,
        },
        "root": {"path": "rootfs", "readonly": false},
        "hostname": "mydocker-test",
        "mounts": default_mounts(),
        "linux": {
            "cgroupsPath": cgroup::path_for(id),
            "resources": {"devices": [{"allow": false, "access": "rwm"}]},
            "namespaces": [
                {"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"},
            ],
            "maskedPaths": [
                "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi",
            ],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    })
}

fn default_mounts() -> Value {
    let entry = |destination: &str, kind: &str, source: &str, options: &[&str]| json!({"destination": destination, "type": kind, "source": source, "options": options});
    json!([
        {"destination": "/proc", "type": "proc", "source": "proc"},
        entry("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        entry("/dev/pts", "devpts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
        entry("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
        entry("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        entry("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        entry("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]),
    ])
}
