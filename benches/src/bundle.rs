//! The bundles: config.json as `spec` of the runtimes writes it, without a terminal, and a seccomp profile of the
//! size and shape that engines give their containers.

use crate::arena::Arena;
use serde_json::{Value, json};
use std::path::PathBuf;

/// What the container may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seccomp {
    /// Everything.
    None,
    /// What an engine's default profile allows, for three architectures.
    Default,
}

/// Writes a bundle for the container `id` that runs `args` in `cgroup`, and gives its directory.
///
/// # Errors
/// The tmpfs is full.
pub fn make(
    arena: &Arena,
    id: &str,
    cgroup: &str,
    args: &[&str],
    seccomp: Seccomp,
) -> std::io::Result<PathBuf> {
    let directory = arena.path("bundles").join(id);
    std::fs::create_dir_all(&directory)?;
    let mut spec = spec(&arena.rootfs().to_string_lossy(), cgroup, args);
    if seccomp == Seccomp::Default {
        spec["linux"]["seccomp"] = default_profile();
    }
    std::fs::write(directory.join("config.json"), serde_json::to_vec(&spec)?)?;
    Ok(directory)
}

fn spec(rootfs: &str, cgroup: &str, args: &[&str]) -> Value {
    let capabilities = json!(["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": { "uid": 0, "gid": 0 },
            "args": args,
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": {
                "bounding": capabilities, "effective": capabilities, "permitted": capabilities,
            },
            "rlimits": [{ "type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024 }],
            "noNewPrivileges": true,
        },
        "root": { "path": rootfs, "readonly": true },
        "hostname": "bench",
        "mounts": mounts(),
        "linux": {
            "cgroupsPath": cgroup,
            "resources": { "devices": [{ "allow": false, "access": "rwm" }] },
            "namespaces": [
                { "type": "pid" }, { "type": "network" }, { "type": "ipc" },
                { "type": "uts" }, { "type": "mount" }, { "type": "cgroup" },
            ],
            "maskedPaths": [
                "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi",
            ],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    })
}

fn mounts() -> Value {
    let mount = |destination: &str, kind: &str, source: &str, options: &[&str]| json!({ "destination": destination, "type": kind, "source": source, "options": options });
    json!([
        mount("/proc", "proc", "proc", &[]),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]
        ),
        mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
        mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]),
    ])
}

/// The names allowed without a condition.
const ALLOWED: &str = include_str!("../data/allowed-syscalls.txt");
const ENOSYS: u32 = 38;
const EPERM: u32 = 1;
const AF_VSOCK: u64 = 40;
/// Every `CLONE_NEW*` flag except `CLONE_NEWTIME`, which shares its bit with the exit signal.
const CLONE_NAMESPACES: u64 = 0x7e02_0000;
/// Linux, the 3 GB limit, 32-bit uname, both, and "only ask".
const PERSONALITIES: [u64; 5] = [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// A profile like those of docker, podman and containerd: a list of names, and conditions on the arguments of calls
/// that are harmless with some values only.
fn default_profile() -> Value {
    let allow =
        |names: &[&str], args: Value| json!({ "names": names, "action": "SCMP_ACT_ALLOW", "args": args });
    let argument =
        |index: u32, value: u64, operator: &str| json!([{ "index": index, "value": value, "op": operator }]);
    let names: Vec<&str> = ALLOWED.split_whitespace().collect();
    let mut rules = vec![allow(&names, json!([]))];
    rules.extend(PERSONALITIES.map(|value| allow(&["personality"], argument(0, value, "SCMP_CMP_EQ"))));
    rules.push(allow(&["socket"], argument(0, AF_VSOCK, "SCMP_CMP_NE")));
    let no_namespaces = json!([
        { "index": 0, "value": CLONE_NAMESPACES, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ" },
    ]);
    rules.push(allow(&["clone"], no_namespaces));
    // Its flags are behind a pointer; the C library falls back to clone when it is told that there is no clone3.
    rules.push(json!({ "names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS }));
    json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": EPERM,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": rules,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_has_the_size_of_an_engine_default() {
        let mut names: Vec<&str> = ALLOWED.split_whitespace().collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "a name is listed twice");
        assert!((330..=400).contains(&count), "{count} names");
    }

    #[test]
    fn the_profile_refuses_what_escapes_and_allows_what_programs_need() {
        let allowed = |name: &str| ALLOWED.split_whitespace().any(|known| known == name);
        assert!(["read", "execve", "futex", "openat2", "clock_gettime64"].into_iter().all(allowed));
        assert!(
            !["mount", "bpf", "kexec_load", "unshare", "setns", "clone", "clone3"].into_iter().any(allowed)
        );
    }

    #[test]
    fn no_ambient_capability_is_asked_for() {
        let spec = spec("/r", "/c", &["true"]);
        assert!(spec["process"]["capabilities"].get("ambient").is_none());
        assert_eq!(spec["process"]["args"], json!(["true"]));
    }
}
