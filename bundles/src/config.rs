//! `config.json`: what the image says, and docker's defaults for the rest.

use super::{ImageSettings, User};
use serde_json::{Value, json};

/// Where programs are looked for if the image does not say.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The capabilities that there are, by their names in the configuration.
#[must_use]
pub fn all_capabilities() -> Vec<String> {
    let mut all: Vec<_> = caps::all().into_iter().collect();
    all.sort_by_key(caps::Capability::index);
    all.iter().map(ToString::to_string).collect()
}

/// What root may do in a container of docker's.
pub const CAPABILITIES: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// The configuration of a bundle, in the version of the specification that the oldest runtimes in use accept, whose root file system lies in `rootfs`.
#[must_use]
pub fn config(image: &ImageSettings, user: &User) -> Value {
    let namespaces = ["pid", "network", "ipc", "uts", "mount", "cgroup"].map(|kind| json!({ "type": kind }));
    json!({
        "ociVersion": "1.0.2",
        "process": process(image, user),
        "root": { "path": "rootfs", "readonly": false },
        "mounts": mounts(image),
        "annotations": image.annotations,
        "linux": {
            "resources": { "devices": [{ "allow": false, "access": "rwm" }] },
            "namespaces": namespaces,
            "maskedPaths": [
                "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap",
                "/sys/firmware",
            ],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    })
}

fn process(image: &ImageSettings, user: &User) -> Value {
    let mut args: Vec<&str> = image.entrypoint.iter().chain(&image.cmd).map(String::as_str).collect();
    // As in a configuration that `spec` writes.
    if args.is_empty() {
        args.push("sh");
    }
    let mut env: Vec<&str> = image.env.iter().map(String::as_str).collect();
    if !env.iter().any(|variable| variable.starts_with("PATH=")) {
        env.insert(0, PATH);
    }
    // Whoever is not root loses these with execve anyway.
    let held = if user.uid == 0 { CAPABILITIES } else { &[] };
    json!({
        "terminal": false,
        "user": { "uid": user.uid, "gid": user.gid, "additionalGids": user.groups },
        "args": args,
        "env": env,
        "cwd": format!("/{}", image.working_dir.trim_start_matches('/')),
        "capabilities": { "bounding": CAPABILITIES, "effective": held, "permitted": held },
        "noNewPrivileges": false,
    })
}

fn mounts(image: &ImageSettings) -> Vec<Value> {
    let mount = |destination: &str, kind: &str, source: &str, options: &[&str]| json!({ "destination": destination, "type": kind, "source": source, "options": options });
    let hardened = &["nosuid", "noexec", "nodev"];
    let mut mounts = vec![
        mount("/proc", "proc", "proc", hardened),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
        mount("/dev/mqueue", "mqueue", "mqueue", hardened),
        mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]),
    ];
    // A volume begins with what the image has there, and is not written into the image's files.
    mounts.extend(
        image.volumes.iter().map(|volume| mount(volume, "tmpfs", "tmpfs", &["nosuid", "nodev", "tmpcopyup"])),
    );
    mounts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_image_says_is_in_the_configuration() {
        let image = ImageSettings {
            env: vec!["A=b".to_owned()],
            entrypoint: vec!["/entry".to_owned()],
            cmd: vec!["arg".to_owned()],
            working_dir: "srv".to_owned(),
            volumes: vec!["/data".to_owned()],
            annotations: [("label".to_owned(), "value".to_owned())].into(),
        };
        let config = config(&image, &User { uid: 7, gid: 8, groups: vec![9] });
        let process = &config["process"];
        assert_eq!(process["args"], json!(["/entry", "arg"]));
        assert_eq!(process["env"], json!([PATH, "A=b"]));
        assert_eq!(process["cwd"], "/srv");
        assert_eq!(process["user"], json!({ "uid": 7, "gid": 8, "additionalGids": [9] }));
        assert_eq!(process["capabilities"]["effective"], json!([]));
        assert_eq!(config["annotations"]["label"], "value");
        let mounts = config["mounts"].as_array().expect("a list");
        assert!(mounts.iter().any(|mount| mount["destination"] == "/data"));
    }

    #[test]
    fn an_image_that_says_nothing_runs_a_shell_as_root() {
        let config = config(&ImageSettings::default(), &User::default());
        assert_eq!((&config["process"]["args"], &config["process"]["cwd"]), (&json!(["sh"]), &json!("/")));
        assert_eq!(config["process"]["capabilities"]["effective"], json!(CAPABILITIES));
    }
}
