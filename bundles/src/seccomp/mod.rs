//! The filter of system calls that a container has if nothing else is said: what docker allows, and what the
//! container's capabilities are good for. Everything else fails with `EPERM`, `clone3` with `ENOSYS` so that C libraries
//! use `clone`, whose flags a filter can see.

use serde_json::{Value, json};

/// What every container may call.
const ALLOWED: &str = include_str!("allowed.txt");

/// What a capability is needed for, and is of no use without.
const BY_CAPABILITY: &[(&str, &[&str])] = &[
    ("CAP_DAC_READ_SEARCH", &["open_by_handle_at"]),
    (
        "CAP_SYS_ADMIN",
        &[
            "bpf",
            "clone",
            "clone3",
            "fanotify_init",
            "fsconfig",
            "fsmount",
            "fsopen",
            "fspick",
            "lookup_dcookie",
            "mount",
            "mount_setattr",
            "move_mount",
            "open_tree",
            "perf_event_open",
            "quotactl",
            "quotactl_fd",
            "setdomainname",
            "sethostname",
            "setns",
            "syslog",
            "umount",
            "umount2",
            "unshare",
        ],
    ),
    ("CAP_SYS_BOOT", &["reboot"]),
    ("CAP_SYS_CHROOT", &["chroot"]),
    ("CAP_SYS_MODULE", &["delete_module", "init_module", "finit_module"]),
    ("CAP_SYS_PACCT", &["acct"]),
    (
        "CAP_SYS_PTRACE",
        &["kcmp", "pidfd_getfd", "process_madvise", "process_vm_readv", "process_vm_writev", "ptrace"],
    ),
    ("CAP_SYS_RAWIO", &["iopl", "ioperm"]),
    ("CAP_SYS_TIME", &["settimeofday", "stime", "clock_settime", "clock_settime64"]),
    ("CAP_SYS_TTY_CONFIG", &["vhangup"]),
    ("CAP_SYS_NICE", &["get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node"]),
    ("CAP_SYSLOG", &["syslog"]),
    ("CAP_BPF", &["bpf"]),
    ("CAP_PERFMON", &["perf_event_open"]),
];

/// The personalities that a program may take: Linux's own, 32 bits, and each with a short uname; and the question.
const PERSONALITIES: &[u64] = &[0x0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// The flags of `clone` that make namespaces.
const NEW_NAMESPACES: u64 = 0x7e02_0000;

/// The architectures whose system calls a process of this host can make.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURES: &[&str] = &["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"];
/// The architectures whose system calls a process of this host can make.
#[cfg(target_arch = "aarch64")]
const ARCHITECTURES: &[&str] = &["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"];
/// The architectures whose system calls a process of this host can make.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const ARCHITECTURES: &[&str] = &[];

/// `linux.seccomp` for a container with these capabilities (`CAP_...`) in its bounding set.
#[must_use]
pub fn default_seccomp(capabilities: &[String]) -> Value {
    let has = |name: &str| capabilities.iter().any(|capability| capability == name);
    let mut names: Vec<&str> = ALLOWED.split_whitespace().collect();
    for (_, calls) in BY_CAPABILITY.iter().filter(|(capability, _)| has(capability)) {
        names.extend(*calls);
    }
    names.extend(["ptrace", "arch_prctl", "modify_ldt"]);
    names.sort_unstable();
    names.dedup();
    let mut rules = vec![json!({ "names": names, "action": "SCMP_ACT_ALLOW" })];
    rules.extend(PERSONALITIES.iter().map(|personality| {
        let argument = json!({ "index": 0, "value": personality, "op": "SCMP_CMP_EQ" });
        json!({ "names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [argument] })
    }));
    if !has("CAP_SYS_ADMIN") {
        let argument =
            json!({ "index": 0, "value": NEW_NAMESPACES, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ" });
        rules.push(json!({ "names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [argument] }));
        rules.push(json!({ "names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38 }));
    }
    json!({
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "architectures": ARCHITECTURES, "syscalls": rules,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(profile: &Value, call: &str) -> bool {
        let rules = profile["syscalls"].as_array().expect("rules");
        let free = rules.iter().filter(|rule| rule["args"].is_null() && rule["action"] == "SCMP_ACT_ALLOW");
        free.flat_map(|rule| rule["names"].as_array().expect("names")).any(|name| name == call)
    }

    #[test]
    fn capabilities_open_what_they_are_good_for() {
        let plain = default_seccomp(&[]);
        assert!(allows(&plain, "openat2") && !allows(&plain, "mount") && !allows(&plain, "clone"));
        let admin = default_seccomp(&["CAP_SYS_ADMIN".to_owned()]);
        assert!(allows(&admin, "mount") && allows(&admin, "clone") && !allows(&admin, "reboot"));
    }
}
