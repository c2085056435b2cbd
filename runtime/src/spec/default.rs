//! The `config.json` to begin with, as runc's `spec` writes it.

use super::{
    Capabilities, DeviceRule, IdMapping, Linux, Mount, Namespace, NamespaceKind, OCI_VERSION, Process,
    Resources, Rlimit, Root, Spec,
};

/// What the default configuration depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DefaultOptions {
    /// The host has cgroup v2 alone: the container gets a cgroup namespace.
    pub cgroup2: bool,
    /// The user and group id that become root in the container, for a configuration that an ordinary user can run.
    pub rootless: Option<(u32, u32)>,
}

/// A configuration that runs `sh` in `rootfs`, with what programs usually need.
#[must_use]
pub fn default_spec(options: DefaultOptions) -> Spec {
    let mut spec = Spec {
        oci_version: OCI_VERSION.to_owned(),
        process: Some(process()),
        root: Some(Root { path: "rootfs".to_owned(), readonly: true }),
        hostname: "runc".to_owned(),
        mounts: mounts(),
        linux: Some(linux(options.cgroup2)),
        ..Spec::default()
    };
    if let Some((uid, gid)) = options.rootless {
        make_rootless(&mut spec, uid, gid);
    }
    spec
}

fn process() -> Process {
    let capabilities = strings(&["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    Process {
        terminal: true,
        args: strings(&["sh"]),
        env: strings(&["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"]),
        cwd: "/".to_owned(),
        capabilities: Some(Capabilities {
            bounding: capabilities.clone(),
            effective: capabilities.clone(),
            permitted: capabilities.clone(),
            // Without being inheritable none of these takes effect; it is what runc writes.
            ambient: capabilities,
            ..Capabilities::default()
        }),
        rlimits: vec![Rlimit { kind: "RLIMIT_NOFILE".to_owned(), hard: 1024, soft: 1024 }],
        no_new_privileges: true,
        ..Process::default()
    }
}

fn mounts() -> Vec<Mount> {
    let mount = |destination: &str, fs_type: &str, source: &str, options: &[&str]| Mount {
        destination: destination.to_owned(),
        fs_type: fs_type.to_owned(),
        source: source.to_owned(),
        options: strings(options),
        ..Mount::default()
    };
    vec![
        mount("/proc", "proc", "proc", &[]),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
        mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]),
    ]
}

fn linux(cgroup2: bool) -> Linux {
    let mut kinds = vec![
        NamespaceKind::Pid,
        NamespaceKind::Network,
        NamespaceKind::Ipc,
        NamespaceKind::Uts,
        NamespaceKind::Mount,
    ];
    kinds.extend(cgroup2.then_some(NamespaceKind::Cgroup));
    Linux {
        resources: Some(Resources { devices: vec![deny_all_devices()], ..Resources::default() }),
        namespaces: kinds.into_iter().map(new_namespace).collect(),
        masked_paths: strings(&[
            "/proc/acpi",
            "/proc/asound",
            "/proc/kcore",
            "/proc/keys",
            "/proc/latency_stats",
            "/proc/timer_list",
            "/proc/timer_stats",
            "/proc/sched_debug",
            "/sys/firmware",
            "/proc/scsi",
        ]),
        readonly_paths: strings(&["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]),
        ..Linux::default()
    }
}

fn deny_all_devices() -> DeviceRule {
    DeviceRule { allow: false, kind: String::new(), major: None, minor: None, access: "rwm".to_owned() }
}

fn new_namespace(kind: NamespaceKind) -> Namespace {
    Namespace { kind, path: String::new() }
}

/// Takes away what only root can do: the network stays the host's, ids map to the caller's, limits go.
fn make_rootless(spec: &mut Spec, uid: u32, gid: u32) {
    let linux = spec.linux.get_or_insert_default();
    linux.namespaces.retain(|namespace| namespace.kind != NamespaceKind::Network);
    linux.namespaces.push(new_namespace(NamespaceKind::User));
    let one_id = |host_id| vec![IdMapping { container_id: 0, host_id, size: 1 }];
    linux.uid_mappings = one_id(uid);
    linux.gid_mappings = one_id(gid);
    linux.resources = None;
    for mount in &mut spec.mounts {
        if mount.destination == "/sys" {
            // A user namespace that does not own the network namespace must not mount sysfs.
            mount.fs_type = "none".to_owned();
            mount.source = "/sys".to_owned();
            mount.options = strings(&["rbind", "nosuid", "noexec", "nodev", "ro"]);
        }
        // Only one id is mapped, so no other can own a file.
        mount.options.retain(|option| !option.starts_with("gid=") && !option.starts_with("uid="));
    }
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}
