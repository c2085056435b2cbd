//! What is mounted where.

use super::{Facts, Files, INIT};
use crate::container::{Container, Mount, MountKind};
use serde_json::{Value, json};
use std::path::Path;

/// The mounts of the configuration, in their order: those of every container but where something else is asked for at
/// the same place, the files of the container, and what was asked for.
pub fn mounts(base: &[Value], container: &Container, facts: &Facts) -> Vec<Value> {
    let is_asked = |place: &str| container.mounts.iter().any(|mount| mount.destination == Path::new(place));
    let place = |mount: &Value| mount["destination"].as_str().unwrap_or_default().to_owned();
    let mut mounts: Vec<Value> = base.iter().filter(|mount| !is_asked(&place(mount))).cloned().collect();
    for mount in &mut mounts {
        adapt(mount, container, facts);
    }
    let ipc = &*container.host_config.ipc_mode;
    if ipc == "none" {
        mounts.retain(|mount| place(mount) != "/dev/shm");
    }
    let (below, above) = files_around(&facts.files, container);
    mounts.extend(below.into_iter().map(|(name, source)| bind(source, name, &[])));
    mounts.extend(facts.init.as_ref().map(|init| bind(init, INIT, &["ro", "nosuid", "nodev"])));
    mounts.extend(container.mounts.iter().map(|mount| asked(mount, facts)));
    mounts.extend(above.into_iter().map(|(name, source)| bind(source, name, &[])));
    mounts
}

/// The files of a container at whose places nothing else is asked for, with these places: those that are mounted before what
/// is asked for, and those that are mounted after it, which lie in it.
#[must_use]
pub fn files_around<'a>(files: &'a Files, container: &Container) -> (Vec<File<'a>>, Vec<File<'a>>) {
    let is_asked = |place: &str| container.mounts.iter().any(|mount| mount.destination == Path::new(place));
    let files = files.mounted().filter(|(name, _)| !is_asked(name));
    files.partition(|(name, _)| !lies_in_a_mount(name, container))
}

/// The place of a file, and where the file is.
type File<'a> = (&'static str, &'a Path);

fn lies_in_a_mount(name: &str, container: &Container) -> bool {
    container.mount_over(Path::new(name)).is_some()
}

/// Changes one of the usual mounts to what the container wants of it.
fn adapt(mount: &mut Value, container: &Container, facts: &Facts) {
    let host = &container.host_config;
    let place = mount["destination"].as_str().unwrap_or_default().to_owned();
    match &*place {
        "/dev/shm" => match (&facts.joined.shm, &*host.ipc_mode) {
            (Some(shm), _) => *mount = bind(shm, "/dev/shm", &["nosuid", "noexec", "nodev"]),
            (None, "host") => {
                *mount = bind(Path::new("/dev/shm"), "/dev/shm", &["nosuid", "noexec", "nodev"])
            }
            _ => replace(mount, "size=", &format!("size={}", host.shm_size)),
        },
        "/sys" | "/sys/fs/cgroup" if host.privileged => replace(mount, "ro", "rw"),
        _ => {}
    }
}

/// Replaces the option that begins with `old`; `ro` stands for itself alone.
fn replace(mount: &mut Value, old: &str, new: &str) {
    let Some(options) = mount["options"].as_array_mut() else { return };
    let fits = |option: &Value| {
        option.as_str().is_some_and(|text| text == old || old.ends_with('=') && text.starts_with(old))
    };
    options.retain(|option| !fits(option));
    options.push(json!(new));
}

fn bind(source: &Path, destination: &str, options: &[&str]) -> Value {
    let options: Vec<&str> = ["rbind", "rprivate"].iter().chain(options).copied().collect();
    json!({ "destination": destination, "type": "bind", "source": source, "options": options })
}

fn asked(mount: &Mount, facts: &Facts) -> Value {
    let mut options: Vec<&str> = mount.options.iter().map(String::as_str).collect();
    let access = if mount.writable { "rw" } else { "ro" };
    if mount.kind == MountKind::Tmpfs {
        if !options.iter().any(|option| matches!(*option, "ro" | "rw")) {
            options.push(access);
        }
        return json!({ "destination": mount.destination, "type": "tmpfs", "source": "tmpfs", "options": options });
    }
    if !options.contains(&"bind") {
        options.push("rbind");
    }
    options.push(if mount.propagation.is_empty() { "rprivate" } else { &mount.propagation });
    options.push(access);
    let source = facts.sources.get(&mount.destination).unwrap_or(&mount.source);
    json!({ "destination": mount.destination, "type": "bind", "source": source, "options": options })
}
