//! Bundles: a root file system that holds the probe and nothing else, and a configuration that a test edits.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the probe lies inside a container.
pub const PROBE: &str = "/probe";

/// Separates the questions to the probe on its command line.
pub const NEXT: &str = ";";

/// The directories of the root file system.
const DIRECTORIES: [&str; 7] = ["dev", "proc", "sys", "tmp", "etc", "data", "mnt"];

/// A bundle, with the id of its container. It is written when the container is created.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// Its directory.
    pub dir: PathBuf,
    /// The id of its container.
    pub id: String,
    /// The content of `config.json`.
    pub config: Value,
}

impl Bundle {
    /// Makes a bundle in the new directory `dir`, with `probe` in its root file system.
    ///
    /// # Errors
    /// The directory cannot be filled.
    pub fn create(dir: PathBuf, id: String, cgroup: &str, probe: &Path) -> Result<Self> {
        let root = dir.join("rootfs");
        for name in DIRECTORIES {
            fs::create_dir_all(root.join(name)).with_context(|| root.display().to_string())?;
        }
        fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))?;
        fs::hard_link(probe, root.join("probe")).context("the probe cannot be linked")?;
        let config = default_config(cgroup);
        Ok(Self { dir, id, config })
    }

    /// The path on the host of something in the root file system.
    #[must_use]
    pub fn path(&self, inside: &str) -> PathBuf {
        self.dir.join("rootfs").join(inside.trim_start_matches('/'))
    }

    /// Writes `config.json`.
    ///
    /// # Errors
    /// The directory is not writable.
    pub fn write(&self) -> Result<()> {
        let path = self.dir.join("config.json");
        fs::write(&path, self.config.to_string()).with_context(|| path.display().to_string())
    }

    /// Makes the container ask the probe these questions, one after the other.
    #[must_use]
    pub fn ask(mut self, questions: &[&[&str]]) -> Self {
        let mut args = vec![PROBE];
        for (index, question) in questions.iter().enumerate() {
            if index > 0 {
                args.push(NEXT);
            }
            args.extend_from_slice(question);
        }
        self.config["process"]["args"] = json!(args);
        self
    }

    /// Sets what the JSON pointer names; the objects on the way are made.
    #[must_use]
    pub fn set(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        let mut place = &mut self.config;
        for key in pointer.trim_start_matches('/').split('/') {
            place = match place {
                Value::Array(entries) => match key.parse::<usize>() {
                    Ok(index) if index < entries.len() => &mut entries[index],
                    _ => {
                        entries.push(Value::Null);
                        let last = entries.len() - 1;
                        &mut entries[last]
                    }
                },
                other => &mut other[key],
            };
        }
        *place = value.into();
        self
    }

    /// Takes away what the JSON pointer names.
    #[must_use]
    pub fn without(mut self, pointer: &str) -> Self {
        if let Some((parent, key)) = pointer.rsplit_once('/')
            && let Some(Value::Object(entries)) = self.config.pointer_mut(parent)
        {
            entries.remove(key);
        }
        self
    }

    /// Appends an entry to `mounts`.
    #[must_use]
    pub fn mount(self, destination: &str, kind: &str, source: impl AsRef<Path>, options: &[&str]) -> Self {
        let source = source.as_ref().display().to_string();
        self.set(
            "/mounts/-",
            json!({"destination": destination, "type": kind, "source": source, "options": options}),
        )
    }

    /// Takes the entries of that type out of `linux.namespaces`.
    #[must_use]
    pub fn without_namespace(mut self, kind: &str) -> Self {
        if let Some(entries) = self.config["linux"]["namespaces"].as_array_mut() {
            entries.retain(|entry| entry["type"] != kind);
        }
        self
    }

    /// Asks for a new namespace of that type.
    #[must_use]
    pub fn namespace(self, kind: &str) -> Self {
        self.without_namespace(kind).set("/linux/namespaces/-", json!({"type": kind}))
    }

    /// Asks to join the namespace at `path`.
    #[must_use]
    pub fn join(self, kind: &str, path: &str) -> Self {
        self.without_namespace(kind).set("/linux/namespaces/-", json!({"type": kind, "path": path}))
    }

    /// Asks for a user namespace in which 65,536 ids from 0 on are those from `host` on outside.
    #[must_use]
    pub fn user_namespace(self, host: u32) -> Self {
        let map = json!([{"containerID": 0, "hostID": host, "size": 65536}]);
        self.namespace("user").set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map)
    }

    /// Gives the whole root file system to `id`, as somebody must who wants a user namespace to own it.
    ///
    /// # Errors
    /// A file cannot be given away.
    pub fn own_rootfs(&self, id: u32) -> Result<()> {
        // The probe is shared between all bundles: here the root file system needs a copy of its own.
        let probe = self.path(PROBE);
        let copy = self.dir.join("probe-copy");
        // Another process writes it: what another thread starts meanwhile would inherit a descriptor of this one's, and
        // a program that somebody can write to is not executed (ETXTBSY).
        let copied = Command::new("cp").arg(&probe).arg(&copy).status().context("cp cannot be run")?;
        anyhow::ensure!(copied.success(), "cp of the probe: {copied}");
        fs::rename(&copy, &probe)?;
        std::os::unix::fs::chown(self.path("/"), Some(id), Some(id))?;
        for entry in fs::read_dir(self.path("/"))? {
            std::os::unix::fs::chown(entry?.path(), Some(id), Some(id))?;
        }
        Ok(())
    }

    /// Appends a hook of that kind, which runs the probe at `program`.
    #[must_use]
    pub fn hook(self, kind: &str, program: &Path, args: &[&str]) -> Self {
        let mut words = vec!["probe"];
        words.extend_from_slice(args);
        let mut hooks = self.config["hooks"][kind].as_array().cloned().unwrap_or_default();
        hooks.push(json!({"path": program, "args": words}));
        self.set(&format!("/hooks/{kind}"), hooks)
    }
}

/// A container in namespaces of its own that asks for nothing special.
fn default_config(cgroup: &str) -> Value {
    let capabilities = json!(["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": [PROBE, "report"],
            "env": ["PATH=/"],
            "cwd": "/",
            "capabilities": {
                "bounding": capabilities, "effective": capabilities, "permitted": capabilities,
            },
        },
        "root": {"path": "rootfs"},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
             "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
        ],
        "linux": {
            "cgroupsPath": cgroup,
            "namespaces": [
                {"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"},
            ],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::Bundle;
    use serde_json::json;
    use std::path::PathBuf;

    fn bundle() -> Bundle {
        Bundle {
            dir: PathBuf::new(),
            id: String::new(),
            config: json!({"process": {"args": []}, "mounts": []}),
        }
    }

    #[test]
    fn a_pointer_makes_the_objects_on_its_way() {
        let bundle = bundle().set("/linux/resources/pids/limit", 7);
        assert_eq!(bundle.config["linux"]["resources"]["pids"]["limit"], 7);
    }

    #[test]
    fn a_pointer_to_no_index_appends() {
        let bundle = bundle().set("/mounts/-", "a").set("/mounts/-", "b").set("/mounts/0", "c");
        assert_eq!(bundle.config["mounts"], json!(["c", "b"]));
    }

    #[test]
    fn questions_are_separated() {
        let bundle = bundle().ask(&[&["stat", "/x"], &["report"]]);
        assert_eq!(bundle.config["process"]["args"], json!(["/probe", "stat", "/x", ";", "report"]));
    }

    #[test]
    fn hooks_of_one_kind_are_appended() {
        let program = PathBuf::from("/p");
        let bundle = bundle().hook("poststop", &program, &["a"]).hook("poststop", &program, &["b"]);
        assert_eq!(bundle.config["hooks"]["poststop"][1], json!({"path": "/p", "args": ["probe", "b"]}));
    }
}
