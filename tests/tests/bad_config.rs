//! Configurations that are valid JSON and make no sense: each is refused before anything is touched, in one line that
//! points at the place. Each case has one mistake only.

use mydocker_tests::refusal::{fault, must_not_run};
use mydocker_tests::{Runtime, bundle};
use serde_json::{Value, json};

/// A mistake: what it changes, and what the message must contain, which is where and, if the place does not tell, what.
type Case = (fn(&mut Value), &'static str);

/// Demands that every case is refused, and says which were not.
fn refuse_each(cases: &[Case]) {
    let runtime = Runtime::new();
    let faults: Vec<String> = cases
        .iter()
        .filter_map(|(change, wanted)| {
            let bundle = must_not_run(runtime.bundle()).with(change);
            let fault = fault(&runtime, &bundle, wanted)?;
            Some(format!("{wanted}: {fault}"))
        })
        .collect();
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), cases.len(), faults.join("\n"));
}

/// Puts `value` where the JSON pointer leads, and makes what is missing on the way.
fn put(config: &mut Value, pointer: &str, value: Value) {
    let mut place = config;
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        place = match token.parse::<usize>() {
            Ok(index) => {
                if place.is_null() {
                    *place = json!([]);
                }
                let list = place.as_array_mut().expect("an array");
                if index >= list.len() {
                    list.resize(index + 1, Value::Null);
                }
                &mut list[index]
            }
            Err(_) => &mut place[token],
        };
    }
    *place = value;
}

fn remove(config: &mut Value, parent: &str, key: &str) {
    let object = config.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object");
    assert!(object.remove(key).is_some(), "{parent} has no {key}");
}

fn drop_namespace(config: &mut Value, kind: &str) {
    config["linux"]["namespaces"].as_array_mut().expect("an array").retain(|entry| entry["type"] != kind);
}

/// Appends a namespace of type user, with mappings.
fn add_user_namespace(config: &mut Value, uids: Value, gids: Value) {
    bundle::push(&mut config["linux"]["namespaces"], json!({"type": "user"}));
    config["linux"]["uidMappings"] = uids;
    config["linux"]["gidMappings"] = gids;
}

fn map(container_id: u64, host_id: u64, size: u64) -> Value {
    json!({"containerID": container_id, "hostID": host_id, "size": size})
}

/// The usual mapping of all that a container needs.
fn usual_map() -> Value {
    json!([map(0, 100_000, 65536)])
}

#[test]
fn privileged_a_value_of_the_wrong_type_is_refused_by_its_pointer() {
    let cases = [
        ("/ociVersion", json!(1)),
        ("/process", json!("sh")),
        ("/process/terminal", json!("yes")),
        ("/process/consoleSize/height", json!(-1)),
        ("/process/user", json!([0, 0])),
        ("/process/user", json!("root")),
        ("/process/user/uid", json!("0")),
        ("/process/user/umask", json!("022")),
        ("/process/args", json!("sh")),
        ("/process/args/1", json!(5)),
        ("/process/env", json!({"PATH": "/bin"})),
        ("/process/env/1", json!(null)),
        ("/process/cwd", json!(["/"])),
        ("/process/capabilities", json!(["CAP_KILL"])),
        ("/process/capabilities/bounding", json!("CAP_KILL")),
        ("/process/rlimits/0/hard", json!(-1)),
        ("/process/rlimits/0/soft", json!("unlimited")),
        ("/process/noNewPrivileges", json!(1)),
        ("/process/oomScoreAdj", json!("0")),
        ("/root", json!("rootfs")),
        ("/root", json!(["rootfs"])),
        ("/root/path", json!(false)),
        ("/root/readonly", json!("no")),
        ("/hostname", json!(5)),
        ("/mounts", json!({"destination": "/tmp"})),
        ("/mounts/1", json!("/tmp")),
        ("/mounts/1/destination", json!(3)),
        ("/mounts/1/options", json!("nosuid")),
        ("/mounts/1/options/1", json!(1)),
        ("/hooks", json!([])),
        ("/hooks/prestart", json!({"path": "/bin/true"})),
        ("/hooks/prestart/0/path", json!(1)),
        ("/hooks/poststop/0/timeout", json!("1")),
        ("/annotations", json!(["a"])),
        ("/annotations/a", json!(1)),
        ("/linux", json!("linux")),
        ("/linux/namespaces", json!({"type": "pid"})),
        ("/linux/namespaces/1", json!("pid")),
        ("/linux/namespaces/1/type", json!(7)),
        ("/linux/uidMappings/0/size", json!("1")),
        ("/linux/gidMappings/0/hostID", json!(-1)),
        ("/linux/devices/0/major", json!("1")),
        ("/linux/cgroupsPath", json!({})),
        ("/linux/resources/memory/limit", json!("1g")),
        ("/linux/resources/cpu/shares", json!(-1)),
        ("/linux/resources/pids/limit", json!(1.5)),
        ("/linux/resources/devices/0/allow", json!("false")),
        ("/linux/sysctl/kernel.msgmax", json!(5432)),
        ("/linux/maskedPaths/0", json!(1)),
        ("/linux/readonlyPaths", json!("/proc")),
        ("/linux/seccomp/defaultAction", json!(1)),
        ("/linux/seccomp/syscalls/0/names", json!("kill")),
    ];
    let runtime = Runtime::new();
    let mut faults = Vec::new();
    for (pointer, value) in cases {
        let bundle = must_not_run(runtime.bundle()).with(|config| put(config, pointer, value.clone()));
        faults.extend(fault(&runtime, &bundle, pointer).map(|fault| format!("{pointer} {value}: {fault}")));
    }
    assert!(faults.is_empty(), "{}:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn privileged_what_must_be_there_and_is_not_is_refused_by_its_name() {
    refuse_each(&[
        (|c| remove(c, "", "ociVersion"), "ociVersion"),
        (|c| remove(c, "", "root"), "/root"),
        (|c| remove(c, "/root", "path"), "path"),
        (|c| remove(c, "/process", "cwd"), "cwd"),
        (|c| remove(c, "/process", "args"), "/process/args"),
        (|c| remove(c, "/mounts/1", "destination"), "destination"),
        (|c| remove(c, "/linux/namespaces/1", "type"), "type"),
        (|c| remove(c, "/process/rlimits/0", "hard"), "hard"),
        (|c| c["linux"]["seccomp"] = json!({"syscalls": []}), "defaultAction"),
        (|c| c["hooks"] = json!({"prestart": [{"args": ["true"]}]}), "path"),
    ]);
}

#[test]
fn privileged_a_version_of_another_specification_is_refused() {
    refuse_each(&[
        (|c| c["ociVersion"] = json!("2.0.0"), "/ociVersion"),
        (|c| c["ociVersion"] = json!(""), "/ociVersion"),
        (|c| c["ociVersion"] = json!("latest"), "/ociVersion"),
    ]);
}

#[test]
fn privileged_a_process_that_cannot_be_is_refused_by_its_pointer() {
    refuse_each(&[
        (|c| c["process"]["args"] = json!([]), "/process/args"),
        (|c| c["process"]["args"] = json!(["touch", "/ran", "a\u{0}b"]), "/process/args/2"),
        (|c| c["process"]["cwd"] = json!("tmp"), "/process/cwd"),
        (|c| c["process"]["cwd"] = json!(""), "/process/cwd"),
        (|c| c["process"]["env"] = json!(["PATH=/bin", "NOVALUE"]), "/process/env/1"),
        (|c| c["process"]["env"] = json!(["PATH=/bin", "A=b\u{0}c"]), "/process/env/1"),
        (|c| c["process"]["oomScoreAdj"] = json!(1001), "/process/oomScoreAdj"),
        (|c| c["process"]["oomScoreAdj"] = json!(-1001), "/process/oomScoreAdj"),
        (|c| c["process"]["scheduler"] = json!({"policy": "SCHED_SOMETIMES"}), "/process/scheduler/policy"),
        (
            |c| c["process"]["scheduler"] = json!({"policy": "SCHED_OTHER", "nice": 40}),
            "/process/scheduler/nice",
        ),
        (
            |c| c["process"]["scheduler"] = json!({"policy": "SCHED_OTHER", "priority": 5}),
            "/process/scheduler/priority",
        ),
        (
            |c| c["process"]["scheduler"] = json!({"policy": "SCHED_FIFO", "priority": 5, "period": 5}),
            "/process/scheduler/period",
        ),
        (
            |c| c["process"]["ioPriority"] = json!({"class": "IOPRIO_CLASS_BE", "priority": 8}),
            "/process/ioPriority/priority",
        ),
        (|c| c["process"]["ioPriority"] = json!({"class": "IOPRIO_CLASS_NO"}), "/process/ioPriority/class"),
    ]);
}

#[test]
fn privileged_resource_limits_that_are_none_are_refused_by_their_pointer() {
    refuse_each(&[
        (|c| c["process"]["rlimits"][0]["type"] = json!("RLIMIT_PATIENCE"), "/process/rlimits/0/type"),
        (|c| c["process"]["rlimits"][0]["type"] = json!("RLIMIT_PATIENCE"), "RLIMIT_PATIENCE"),
        (|c| c["process"]["rlimits"][0]["type"] = json!("NOFILE"), "NOFILE"),
        (
            |c| c["process"]["rlimits"][0] = json!({"type": "RLIMIT_NOFILE", "soft": 9, "hard": 8}),
            "/process/rlimits/0/soft",
        ),
        (
            |c| {
                let limit = json!({"type": "RLIMIT_CORE", "soft": 0, "hard": 0});
                c["process"]["rlimits"] = json!([limit, limit]);
            },
            "/process/rlimits/1",
        ),
    ]);
}

#[test]
fn privileged_namespaces_that_contradict_each_other_are_refused_by_their_pointer() {
    refuse_each(&[
        (|c| bundle::push(&mut c["linux"]["namespaces"], json!({"type": "pid"})), "/linux/namespaces/5"),
        (|c| bundle::push(&mut c["linux"]["namespaces"], json!({"type": "space"})), "/linux/namespaces/5"),
        (|c| c["linux"]["namespaces"][0]["path"] = json!("proc/self/ns/pid"), "/linux/namespaces/0/path"),
        (|c| drop_namespace(c, "uts"), "/hostname"),
        (
            |c| {
                drop_namespace(c, "uts");
                remove(c, "", "hostname");
                c["domainname"] = json!("example.org");
            },
            "/domainname",
        ),
        (
            |c| c["linux"]["timeOffsets"] = json!({"boottime": {"secs": 5, "nanosecs": 0}}),
            "/linux/timeOffsets",
        ),
        (
            |c| {
                bundle::push(&mut c["linux"]["namespaces"], json!({"type": "time"}));
                c["linux"]["timeOffsets"] = json!({"realtime": {"secs": 5, "nanosecs": 0}});
            },
            "/linux/timeOffsets/realtime",
        ),
        (|c| c["linux"]["rootfsPropagation"] = json!("often"), "/linux/rootfsPropagation"),
        (|c| c["linux"]["personality"] = json!({"domain": "SOLARIS"}), "/linux/personality/domain"),
    ]);
}

#[test]
fn privileged_id_mappings_that_make_no_sense_are_refused_by_their_pointer() {
    refuse_each(&[
        (|c| c["linux"]["uidMappings"] = usual_map(), "/linux/uidMappings"),
        (|c| c["linux"]["gidMappings"] = usual_map(), "/linux/gidMappings"),
        (|c| bundle::push(&mut c["linux"]["namespaces"], json!({"type": "user"})), "/linux/uidMappings"),
        (|c| add_user_namespace(c, usual_map(), json!([])), "/linux/gidMappings"),
        (|c| add_user_namespace(c, json!([map(0, 1, 0)]), usual_map()), "/linux/uidMappings"),
        (
            |c| add_user_namespace(c, json!([map(0, 100_000, 10), map(9, 200_000, 10)]), usual_map()),
            "/linux/uidMappings/1",
        ),
        (
            |c| add_user_namespace(c, usual_map(), json!([map(0, 100_000, 10), map(10, 100_009, 10)])),
            "/linux/gidMappings/1",
        ),
        (
            |c| add_user_namespace(c, json!([map(0, 4_294_967_000, 1000)]), usual_map()),
            "/linux/uidMappings/0",
        ),
        (|c| add_user_namespace(c, json!([map(5, 100_000, 10)]), usual_map()), "/linux/uidMappings"),
        (
            |c| {
                add_user_namespace(c, usual_map(), usual_map());
                c["process"]["user"]["uid"] = json!(70_000);
            },
            "/process/user/uid",
        ),
        (
            |c| {
                add_user_namespace(c, usual_map(), usual_map());
                c["process"]["user"]["additionalGids"] = json!([5, 70_000]);
            },
            "/process/user/additionalGids/1",
        ),
    ]);
}

/// Asks for the value that a kernel parameter of the host has already, so that a runtime which writes it does no harm.
/// `name` is the parameter's path below `/proc/sys`, `written` is how config.json names it.
fn set_as_it_is(config: &mut Value, name: &str, written: &str) {
    let value = std::fs::read_to_string(format!("/proc/sys/{name}")).expect("the host has this parameter");
    config["linux"]["sysctl"] = json!({ written: value.trim_end() });
}

#[test]
fn privileged_kernel_parameters_of_the_host_are_refused_by_their_name() {
    refuse_each(&[
        (
            |c| set_as_it_is(c, "kernel/core_pattern", "kernel.core_pattern"),
            "/linux/sysctl/kernel.core_pattern",
        ),
        (|c| set_as_it_is(c, "kernel/core_pattern", "kernel/core_pattern"), "kernel~1core_pattern"),
        (|c| set_as_it_is(c, "kernel/core_pattern", "net/../kernel/core_pattern"), "core_pattern"),
        (|c| set_as_it_is(c, "kernel/core_pattern", "net.//.kernel.core_pattern"), "core_pattern"),
        (|c| set_as_it_is(c, "vm/swappiness", "vm.swappiness"), "vm.swappiness"),
        (
            |c| set_as_it_is(c, "user/max_user_namespaces", "user.max_user_namespaces"),
            "user.max_user_namespaces",
        ),
        (|c| set_as_it_is(c, "kernel/msgmax", "msgmax"), "msgmax"),
        (|c| set_as_it_is(c, "kernel/hostname", "kernel.hostname"), "kernel.hostname"),
        (
            |c| {
                drop_namespace(c, "network");
                set_as_it_is(c, "net/ipv4/ip_forward", "net.ipv4.ip_forward");
            },
            "net.ipv4.ip_forward",
        ),
        (
            |c| {
                drop_namespace(c, "ipc");
                set_as_it_is(c, "kernel/msgmax", "kernel.msgmax");
            },
            "kernel.msgmax",
        ),
        (
            |c| {
                drop_namespace(c, "ipc");
                set_as_it_is(c, "fs/mqueue/msg_max", "fs.mqueue.msg_max");
            },
            "fs.mqueue.msg_max",
        ),
        (
            |c| {
                drop_namespace(c, "uts");
                remove(c, "", "hostname");
                set_as_it_is(c, "kernel/domainname", "kernel.domainname");
            },
            "kernel.domainname",
        ),
    ]);
}

#[test]
fn privileged_kernel_parameters_that_the_kernel_refuses_are_told_by_their_name() {
    refuse_each(&[
        (|c| put(c, "/linux/sysctl/net.ipv4.no_such_parameter", json!("1")), "no_such_parameter"),
        (|c| put(c, "/linux/sysctl/kernel.msgmax", json!("many")), "msgmax"),
        (|c| put(c, "/linux/sysctl/net.ipv4.ip_local_port_range", json!("9 1")), "ip_local_port_range"),
    ]);
}

#[test]
fn privileged_a_network_namespace_that_is_the_hosts_does_not_hold_kernel_parameters() {
    refuse_each(&[(
        |c| {
            c["linux"]["namespaces"][1]["path"] = json!(format!("/proc/{}/ns/net", std::process::id()));
            set_as_it_is(c, "net/ipv4/ip_forward", "net.ipv4.ip_forward");
        },
        "net.ipv4.ip_forward",
    )]);
}

#[test]
fn privileged_hooks_that_cannot_run_are_refused_by_their_place() {
    refuse_each(&[
        (|c| put(c, "/hooks/prestart/0", json!({"path": "bin/true"})), "/hooks/prestart/0/path"),
        (|c| put(c, "/hooks/createContainer/0", json!({"path": ""})), "/hooks/createContainer/0/path"),
        (|c| put(c, "/hooks/poststop/0", json!({"path": "true"})), "/hooks/poststop/0/path"),
        (
            |c| put(c, "/hooks/startContainer/0", json!({"path": "/bin/true", "timeout": 0})),
            "/hooks/startContainer/0/timeout",
        ),
        (
            |c| put(c, "/hooks/createRuntime/0", json!({"path": "/bin/true", "timeout": -1})),
            "/hooks/createRuntime/0/timeout",
        ),
        (|c| put(c, "/hooks/prestart/0", json!({"path": "/no/such/hook"})), "/no/such/hook"),
        (|c| put(c, "/hooks/createRuntime/0", json!({"path": "/no/such/hook"})), "/no/such/hook"),
        (|c| put(c, "/hooks/createContainer/0", json!({"path": "/no/such/hook"})), "/no/such/hook"),
        (|c| put(c, "/hooks/startContainer/0", json!({"path": "/no/such/hook"})), "/no/such/hook"),
        (|c| put(c, "/hooks/createRuntime/0", json!({"path": "/etc/passwd"})), "/etc/passwd"),
        (|c| put(c, "/hooks/createRuntime/0", json!({"path": "/bin/false"})), "/bin/false"),
    ]);
}

#[test]
fn privileged_mounts_that_cannot_be_made_are_told_by_their_name() {
    refuse_each(&[
        (|c| put(c, "/mounts/7", json!({"destination": "", "type": "tmpfs"})), "/mounts/7/destination"),
        (
            |c| put(c, "/mounts/7", json!({"destination": "/a\u{0}b", "type": "tmpfs"})),
            "/mounts/7/destination",
        ),
        (|c| put(c, "/mounts/7", json!({"destination": "/vol", "type": "nofs", "source": "x"})), "nofs"),
        (
            |c| {
                put(
                    c,
                    "/mounts/7",
                    json!({"destination": "/vol", "type": "tmpfs", "options": ["nonsense=1"]}),
                )
            },
            "nonsense",
        ),
        (
            |c| {
                put(c, "/mounts/7", json!({"destination": "/vol", "type": "tmpfs", "options": ["size=much"]}))
            },
            "size",
        ),
        (
            |c| {
                put(
                    c,
                    "/mounts/7",
                    json!({"destination": "/vol", "source": "/tmp", "options": ["rbind", "nonsense"]}),
                )
            },
            "nonsense",
        ),
        (
            |c| {
                put(
                    c,
                    "/mounts/7",
                    json!({"destination": "/vol", "source": "/no/such", "options": ["rbind"]}),
                )
            },
            "/no/such",
        ),
        (
            |c| {
                put(
                    c,
                    "/mounts/7",
                    json!({"destination": "/bin/busybox", "type": "tmpfs", "source": "tmpfs"}),
                )
            },
            "/bin/busybox",
        ),
        (
            |c| {
                put(
                    c,
                    "/mounts/7",
                    json!({"destination": "/bin/busybox/vol", "type": "tmpfs", "source": "tmpfs"}),
                )
            },
            "/bin/busybox/vol",
        ),
    ]);
}

#[test]
fn privileged_devices_that_cannot_be_are_refused_by_their_pointer() {
    refuse_each(&[
        (
            |c| put(c, "/linux/devices/0", json!({"path": "dev/x", "type": "c", "major": 1, "minor": 3})),
            "/linux/devices/0/path",
        ),
        (
            |c| put(c, "/linux/devices/0", json!({"path": "/dev/x", "type": "z", "major": 1, "minor": 3})),
            "/linux/devices/0/type",
        ),
        (
            |c| put(c, "/linux/devices/0", json!({"path": "/dev/x", "type": "c", "major": -1, "minor": 3})),
            "/linux/devices/0/major",
        ),
        (
            |c| {
                put(
                    c,
                    "/linux/devices/0",
                    json!({"path": "/dev/x", "type": "c", "major": 1, "minor": 1_u64 << 40}),
                )
            },
            "/linux/devices/0/minor",
        ),
    ]);
}

/// Makes the cgroup's path `/NAME{infix}NAME-x`, so that a runtime which accepts it stays among the test's own groups.
fn extend_group(config: &mut Value, infix: &str) {
    let path = config["linux"]["cgroupsPath"].as_str().expect("a path").to_owned();
    config["linux"]["cgroupsPath"] = json!(format!("{path}{infix}{}-x", path.trim_start_matches('/')));
}

#[test]
fn privileged_limits_and_groups_that_cannot_be_are_refused_by_their_pointer() {
    refuse_each(&[
        (|c| extend_group(c, "/../"), "/linux/cgroupsPath"),
        (|c| extend_group(c, &"x".repeat(256)), "/linux/cgroupsPath"),
        (|c| extend_group(c, "\n/"), "/linux/cgroupsPath"),
        (|c| c["linux"]["resources"]["cpu"] = json!({"cpus": "0-"}), "/linux/resources/cpu/cpus"),
        (|c| c["linux"]["resources"]["cpu"] = json!({"cpus": "4000"}), "/linux/resources/cpu/cpus"),
        (|c| c["linux"]["resources"]["cpu"] = json!({"quota": 1}), "/linux/resources/cpu/quota"),
        (|c| c["linux"]["resources"]["devices"][0]["type"] = json!("z"), "/linux/resources/devices/0"),
        (|c| c["linux"]["resources"]["devices"][0]["access"] = json!("x"), "/linux/resources/devices/0"),
    ]);
}

#[test]
fn privileged_filters_that_cannot_be_compiled_are_refused_by_their_pointer() {
    refuse_each(&[
        (
            |c| c["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_MAYBE"}),
            "/linux/seccomp/defaultAction",
        ),
        (
            |c| {
                put(
                    c,
                    "/linux/seccomp",
                    json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_VAX"]}),
                )
            },
            "/linux/seccomp/architectures/0",
        ),
        (
            |c| {
                let rule = json!({"names": ["kill"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}]});
                c["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]});
            },
            "/linux/seccomp/syscalls/0/args/0/index",
        ),
        (
            |c| {
                let rule = json!({"names": ["kill"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 1, "value": 1, "op": "SCMP_CMP_SO"}]});
                c["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]});
            },
            "/linux/seccomp/syscalls/0/args/0/op",
        ),
        (
            |c| {
                put(
                    c,
                    "/linux/seccomp",
                    json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_X"]}),
                )
            },
            "/linux/seccomp/flags/0",
        ),
    ]);
}

/// Runs a container that says `ran` in spite of a doubtful configuration, with a warning that names the doubt.
fn warn_of(name: &str, change: impl FnOnce(&mut Value)) {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["echo", "ran"]).with(change);
    let outcome = runtime.run(&bundle).succeeds();
    assert_eq!(outcome.stdout, "ran\n", "{}", outcome.describe());
    outcome.says(name).discard();
}

#[test]
fn privileged_an_unknown_capability_is_a_warning_and_the_container_runs() {
    // config.md, Linux Process: what cannot be mapped to the kernel MUST be logged as a warning and SHOULD NOT fail.
    for set in ["bounding", "effective", "permitted", "inheritable", "ambient"] {
        warn_of("CAP_OMNIPOTENCE", |config| {
            bundle::push(&mut config["process"]["capabilities"][set], json!("CAP_OMNIPOTENCE"));
        });
    }
}

#[test]
fn privileged_an_unknown_system_call_in_a_filter_is_a_warning_and_the_container_runs() {
    // A profile is written for many kernels and machines; a call that does not exist needs no filter.
    warn_of("no_such_call", |config| {
        let rule = json!({"names": ["no_such_call", "reboot"], "action": "SCMP_ACT_ERRNO"});
        config["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]});
    });
}

#[test]
fn privileged_a_field_that_nobody_knows_does_not_matter() {
    // config.md, Extensibility: unknown properties MUST be ignored.
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["echo", "ran"]).with(|config| {
        config["future"] = json!({"deep": [1, {"x": null}]});
        config["process"]["future"] = json!(1);
        config["linux"]["future"] = json!([]);
    });
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "ran\n");
}
