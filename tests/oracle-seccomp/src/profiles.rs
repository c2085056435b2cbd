//! Profiles in the shape of those that engines ship.

use mydocker_runtime::spec::Seccomp;
use serde_json::{Value, json};

/// Names of calls that a container usually needs.
fn unprivileged() -> Vec<&'static str> {
    include_str!("../data/unprivileged.txt").split_whitespace().collect()
}

fn x86() -> Value {
    json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"])
}

fn profile(value: Value) -> Seccomp {
    serde_json::from_value(value).expect("a profile")
}

fn equals(index: u32, value: u64) -> Value {
    json!([{"index": index, "value": value, "op": "SCMP_CMP_EQ"}])
}

/// As docker's default: a long list of allowed calls, three architectures, conditions on four calls.
#[must_use]
pub fn docker() -> Seccomp {
    docker_on(&x86())
}

/// The same for other architectures.
#[must_use]
pub fn docker_on(architectures: &Value) -> Seccomp {
    let personalities = [0u64, 8, 0x2_0000, 0x2_0008, 0xffff_ffff];
    let mut rules = vec![
        json!({"names": unprivileged(), "action": "SCMP_ACT_ALLOW"}),
        json!({"names": ["process_vm_readv", "process_vm_writev", "ptrace"], "action": "SCMP_ACT_ALLOW"}),
        json!({"names": ["socket"], "action": "SCMP_ACT_ALLOW",
               "args": [{"index": 0, "value": 40, "op": "SCMP_CMP_NE"}]}),
        json!({"names": ["clone"], "action": "SCMP_ACT_ALLOW",
               "args": [{"index": 0, "value": 0x7e02_0000u64, "op": "SCMP_CMP_MASKED_EQ"}]}),
        json!({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}),
        json!({"names": ["arch_prctl", "modify_ldt", "chroot"], "action": "SCMP_ACT_ALLOW"}),
    ];
    rules.extend(personalities.map(
        |value| json!({"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": equals(0, value)}),
    ));
    profile(json!({
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "architectures": architectures, "syscalls": rules
    }))
}

/// As podman's default: unknown calls fail with `ENOSYS`, known but forbidden ones with `EPERM`.
#[must_use]
pub fn podman() -> Seccomp {
    let netlink_audit = json!([
        {"index": 0, "value": 16, "op": "SCMP_CMP_EQ"},
        {"index": 2, "value": 9, "op": "SCMP_CMP_EQ"},
    ]);
    profile(json!({
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38,
        // Not x86: libseccomp refuses the conflicting rules on socket that become equal on socketcall.
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X32"],
        "syscalls": [
            {"names": ["bdflush", "kexec_load", "lookup_dcookie", "migrate_pages", "swapon", "swapoff", "uselib",
                       "vm86", "vm86old"],
             "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "args": []},
            {"names": unprivileged(), "action": "SCMP_ACT_ALLOW", "args": []},
            {"names": ["mount", "umount", "umount2", "unshare", "clone", "clone3", "setns"],
             "action": "SCMP_ACT_ALLOW"},
            {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": equals(0, 0)},
            {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": equals(0, 0xffff_ffff)},
            {"names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": 22, "args": netlink_audit},
            {"names": ["socket"], "action": "SCMP_ACT_ALLOW",
             "args": [{"index": 2, "value": 9, "op": "SCMP_CMP_NE"}]},
            {"names": ["socket"], "action": "SCMP_ACT_ALLOW",
             "args": [{"index": 0, "value": 16, "op": "SCMP_CMP_NE"}]},
            {"names": ["bpf", "fanotify_init", "perf_event_open", "quotactl", "syslog"],
             "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
        ]
    }))
}

/// As containerd's default: rules of one name each, the machine's own architecture alone.
#[must_use]
pub fn containerd() -> Seccomp {
    let mut rules: Vec<Value> =
        unprivileged().iter().map(|name| json!({"names": [name], "action": "SCMP_ACT_ALLOW"})).collect();
    for value in [0u64, 8, 0x2_0000, 0x2_0008, 0xffff_ffff] {
        rules.push(json!({"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": equals(0, value)}));
    }
    rules.push(json!({"names": ["clone"], "action": "SCMP_ACT_ALLOW",
        "args": [{"index": 0, "value": 0x7e02_0000u64, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]}));
    profile(
        json!({"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": rules}),
    )
}

/// A list of what is forbidden, with an agent for some calls.
#[must_use]
pub fn denying() -> Seccomp {
    profile(json!({
        "defaultAction": "SCMP_ACT_ALLOW", "architectures": x86(),
        "listenerPath": "/run/agent.sock", "flags": ["SECCOMP_FILTER_FLAG_LOG"],
        "syscalls": [
            {"names": ["kexec_load", "kexec_file_load", "init_module", "finit_module"],
             "action": "SCMP_ACT_KILL_PROCESS"},
            {"names": ["mknod", "mknodat", "mount"], "action": "SCMP_ACT_NOTIFY"},
            {"names": ["bpf"], "action": "SCMP_ACT_LOG"},
            {"names": ["ptrace"], "action": "SCMP_ACT_TRACE", "errnoRet": 7},
            {"names": ["ioctl"], "action": "SCMP_ACT_ERRNO",
             "args": [{"index": 1, "value": 0xffff_ffffu64, "valueTwo": 0x5412, "op": "SCMP_CMP_MASKED_EQ"}]},
            {"names": ["sendto"], "action": "SCMP_ACT_TRAP", "args": [
                {"index": 2, "value": 0x1_0000_0000u64, "op": "SCMP_CMP_GE"},
                {"index": 3, "value": 1, "valueTwo": 1, "op": "SCMP_CMP_MASKED_EQ"}]},
        ]
    }))
}
