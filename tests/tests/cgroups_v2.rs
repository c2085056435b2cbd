//! cgroup v2 alone, with systemd as process 1 beside the runtime: every limit of `linux.resources` in the files of v2,
//! how controllers come down to a group, and what a group's type and its parents allow.

use mydocker_tests::cgroup::{self, limited};
use mydocker_tests::{Bundle, Outcome, Runtime, wait};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// Checks that a container with these resources has these files.
fn check(resources: &Value, files: &[(&str, &str)]) {
    let runtime = Runtime::new();
    let bundle = limited(&runtime, resources);
    for (file, content) in files {
        assert_eq!(read(&bundle, file), *content, "{file}");
    }
}

fn read(bundle: &Bundle, file: &str) -> String {
    cgroup::read_either("", bundle.cgroup(), file, file)
}

/// What `create` says to these resources, which it must refuse before it leaves anything.
fn refused(resources: &Value) -> Outcome {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().with(|config| config["linux"]["resources"] = resources.clone());
    let outcome = runtime.create(&bundle).fails();
    assert!(!runtime.knows(bundle.id()), "{resources}");
    assert!(cgroup::existing(bundle.cgroup()).is_empty(), "{resources}");
    outcome
}

/// A group of the test's own at the top of the hierarchy.
fn own_group(runtime: &Runtime) -> PathBuf {
    let group = Path::new("/sys/fs/cgroup").join(runtime.name());
    fs::create_dir(&group).expect("root may make cgroups");
    group
}

/// A bundle whose cgroup is `leaf` in the test's own group, that runs for as long as it is wanted.
fn below_own_group(runtime: &Runtime, leaf: &str) -> Bundle {
    let path = format!("/{}/{leaf}", runtime.name());
    runtime.bundle().args(["sleep", "1000"]).with(|config| config["linux"]["cgroupsPath"] = json!(path))
}

fn remove_own_group(runtime: &Runtime) {
    drop(cgroup::remove_by_prefix(runtime.name()));
}

/// config-linux.md, Memory: `swap` is memory and swap together, of which v2 limits the second by itself.
#[test]
fn privileged_v2_memory_limits_are_set() {
    let memory = json!({"limit": 104_857_600, "reservation": 52_428_800, "swap": 314_572_800});
    check(
        &json!({"memory": memory}),
        &[("memory.max", "104857600"), ("memory.low", "52428800"), ("memory.swap.max", "209715200")],
    );
    let unlimited = json!({"limit": -1, "reservation": -1, "swap": -1});
    check(
        &json!({"memory": unlimited}),
        &[("memory.max", "max"), ("memory.low", "max"), ("memory.swap.max", "max")],
    );
}

#[test]
fn privileged_v2_cpu_time_is_shared_and_limited() {
    let cpu = json!({"shares": 1024, "quota": 50_000, "period": 200_000, "burst": 20_000});
    check(
        &json!({"cpu": cpu}),
        &[("cpu.weight", "100"), ("cpu.max", "50000 200000"), ("cpu.max.burst", "20000")],
    );
    check(&json!({"cpu": {"quota": -1}}), &[("cpu.max", "max 100000")]);
    check(&json!({"cpu": {"idle": 1}}), &[("cpu.idle", "1")]);
}

#[test]
fn privileged_v2_block_devices_are_throttled_and_weighed() {
    let (major, minor) = cgroup::block_device();
    let rate = |rate: u64| json!([{"major": major, "minor": minor, "rate": rate}]);
    let block = json!({
        "weight": 500,
        "throttleReadBpsDevice": rate(1_048_576),
        "throttleWriteBpsDevice": rate(2_097_152),
        "throttleReadIOPSDevice": rate(300),
        "throttleWriteIOPSDevice": rate(400),
    });
    let limits = format!("{major}:{minor} rbps=1048576 wbps=2097152 riops=300 wiops=400");
    // On the straight line from 10..1000 to 1..10000.
    check(&json!({"blockIO": block}), &[("io.max", &limits), ("io.weight", "default 4950")]);
}

/// config-linux.md, Huge page limits: both of the usage and, where the kernel has it, of the reservation.
#[test]
fn privileged_v2_huge_pages_are_limited_in_use_and_in_reservation() {
    let pages = json!([{"pageSize": "2MB", "limit": 4_194_304}]);
    check(
        &json!({"hugepageLimits": pages}),
        &[("hugetlb.2MB.max", "4194304"), ("hugetlb.2MB.rsvd.max", "4194304")],
    );
}

/// config-linux.md, Unified.
#[test]
fn privileged_v2_files_are_written_by_their_names() {
    let files = json!({"memory.high": "67108864", "pids.max": "44", "cpu.weight": "321"});
    check(
        &json!({"unified": files}),
        &[("memory.high", "67108864"), ("pids.max", "44"), ("cpu.weight", "321")],
    );
    refused(&json!({"unified": {"no.such.file": "1"}})).says("/linux/resources/unified").discard();
    refused(&json!({"unified": {"memory.max": "many"}})).says("memory.max").discard();
}

#[test]
fn privileged_v2_what_only_v1_can_do_is_refused_by_name() {
    for (resources, pointer) in [
        (json!({"memory": {"swappiness": 33}}), "/linux/resources/memory/swappiness"),
        (json!({"memory": {"kernelTCP": 33_554_432}}), "/linux/resources/memory/kernelTCP"),
        (json!({"memory": {"disableOOMKiller": true}}), "/linux/resources/memory/disableOOMKiller"),
        (json!({"network": {"classID": 1_048_577}}), "/linux/resources/network/classID"),
        (json!({"cpu": {"realtimeRuntime": 5000}}), "/linux/resources/cpu/realtimeRuntime"),
        (json!({"blockIO": {"leafWeight": 300}}), "/linux/resources/blockIO/leafWeight"),
    ] {
        refused(&resources).says(pointer).discard();
    }
}

/// What each attempt to read and to write the device `name`, made with the numbers given, ends with.
fn attempts(nodes: &[(&str, &str)]) -> String {
    let line = |(name, numbers): &(&str, &str)| {
        format!(
            "mknod /{name} {numbers} && echo {name} made; \
             (: </{name}) 2>/dev/null && echo {name} read; (: >>/{name}) 2>/dev/null && echo {name} written; "
        )
    };
    nodes.iter().map(line).collect::<String>() + "true"
}

/// The program is attached in the rules' order: the last that fits decides.
#[test]
fn privileged_v2_device_rules_apply_in_their_order() {
    let runtime = Runtime::new();
    let caps = json!(["CAP_MKNOD", "CAP_SYSLOG"]);
    let nodes = [("kmsg", "c 1 11"), ("fuse", "c 10 229"), ("loop", "b 7 0"), ("zero", "c 1 5")];
    let bundle = runtime.bundle().script(&attempts(&nodes)).with(|config| {
        config["process"]["capabilities"] = json!({"bounding": caps, "effective": caps, "permitted": caps});
        config["linux"]["resources"]["devices"] = json!([
            {"allow": false, "access": "rwm"},
            {"allow": true, "type": "c", "major": 1, "access": "rw"},
            {"allow": false, "type": "c", "major": 1, "minor": 11, "access": "w"},
            {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"},
            {"allow": false, "type": "c", "major": 10, "access": "r"},
        ]);
    });
    let said = runtime.run(&bundle).succeeds().stdout;
    // Every node may be made and the default devices used, whatever the configuration says.
    assert_eq!(
        said,
        "kmsg made\nkmsg read\nfuse made\nfuse written\nloop made\nzero made\nzero read\nzero written\n"
    );
}

#[test]
fn privileged_v2_all_devices_can_be_allowed() {
    let runtime = Runtime::new();
    let caps = json!(["CAP_MKNOD", "CAP_SYSLOG"]);
    let bundle = runtime.bundle().script(&attempts(&[("kmsg", "c 1 11")])).with(|config| {
        config["process"]["capabilities"] = json!({"bounding": caps, "effective": caps, "permitted": caps});
        config["linux"]["resources"]["devices"] = json!([{"allow": true, "access": "rwm"}]);
    });
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "kmsg made\nkmsg read\nkmsg written\n");
}

/// systemd leaves the top to others, and switches on what its own units need: the rest is the runtime's to hand down.
#[test]
fn privileged_v2_every_controller_comes_down_to_a_deep_group() {
    let runtime = Runtime::new();
    let bundle = below_own_group(&runtime, "one/two/three").with(|config| {
        config["linux"]["resources"]["pids"] = json!({"limit": 55});
    });
    runtime.run_detached(&bundle);
    let controllers = read(&bundle, "cgroup.controllers");
    for controller in ["cpuset", "cpu", "io", "memory", "pids", "hugetlb"] {
        assert!(controllers.split_whitespace().any(|name| name == controller), "{controllers}");
    }
    assert_eq!(read(&bundle, "pids.max"), "55");
    runtime.kill_and_delete(bundle.id());
    remove_own_group(&runtime);
}

/// A group with processes of its own gives its children no controllers (cgroup-v2.rst, "No Internal Process Constraint").
#[test]
fn privileged_v2_a_limit_below_a_group_with_processes_is_refused_by_its_controller() {
    let runtime = Runtime::new();
    let group = own_group(&runtime);
    let script = "echo $$ >\"$0/cgroup.procs\" && echo moved && exec sleep 1000";
    let tenant = runtime.host(["sh", "-c", script]).arg(&group).spawn();
    tenant.wait_for_output("moved");

    let bundle = below_own_group(&runtime, "leaf").with(|config| {
        config["linux"]["resources"]["memory"] = json!({"limit": 104_857_600});
    });
    runtime.create(&bundle).fails().says("memory").says("processes of its own").discard();
    assert!(!runtime.knows(bundle.id()) && !group.join("leaf").exists());

    // Without a limit that needs one the container runs there.
    let bundle = below_own_group(&runtime, "leaf");
    runtime.run_detached(&bundle);
    assert_eq!(cgroup::processes(bundle.cgroup()), [runtime.pid(bundle.id())]);
    runtime.kill_and_delete(bundle.id());
    tenant.signal(rustix::process::Signal::KILL);
    drop(tenant.wait());
    remove_own_group(&runtime);
}

/// A new group below a threaded one is "domain invalid" and takes no process (cgroup-v2.rst, "Threads").
#[test]
fn privileged_v2_a_group_below_a_threaded_one_is_refused_and_not_left() {
    let runtime = Runtime::new();
    let group = own_group(&runtime);
    fs::write(group.join("cgroup.type"), "threaded").expect("a new group can become threaded");
    let bundle = below_own_group(&runtime, "leaf");
    let outcome = runtime.create(&bundle).fails();
    assert!(outcome.stderr.contains("cgroup"), "{}", outcome.describe());
    assert!(!runtime.knows(bundle.id()) && !group.join("leaf").exists());
    remove_own_group(&runtime);
}

/// The first process is made in its group, not moved there: the group's own clock has seen all that it ever did.
#[test]
fn privileged_v2_the_first_process_is_born_in_its_group() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("cat /proc/self/cgroup");
    let traced = runtime.scratch().join("out/calls");
    let strace = ["strace", "-f", "-e", "trace=clone3,write,openat", "-o"].map(str::to_owned);
    let command = runtime.run_command(&bundle);
    let command = command.through(strace.into_iter().chain([traced.display().to_string()]));
    let said = command.run().succeeds().stdout;
    assert_eq!(said.trim(), format!("0::{}", bundle.cgroup()));
    let calls = fs::read_to_string(traced).expect("strace writes its log");
    assert!(calls.contains("CLONE_INTO_CGROUP"), "{calls}");
    assert!(!calls.contains("cgroup.procs"), "{calls}");
}

/// With a cgroup namespace the group is the root of what the container sees, and its own to divide.
#[test]
fn privileged_v2_a_container_divides_its_own_group_and_exec_still_finds_it() {
    let runtime = Runtime::new();
    let script = "mkdir /sys/fs/cgroup/init && echo 1 >/sys/fs/cgroup/init/cgroup.procs && \
        echo +pids >/sys/fs/cgroup/cgroup.subtree_control && cat /proc/self/cgroup && exec sleep 1000";
    let bundle = runtime.bundle().script(script).namespace("cgroup", None).with(|config| {
        for mount in config["mounts"].as_array_mut().expect("a list") {
            if mount["type"] == "cgroup" {
                mount["options"] = json!(["nosuid", "noexec", "nodev"]);
            }
        }
    });
    let running = runtime.spawn(&bundle);
    running.wait_for_output("0::/init");
    wait::until("the shell to become sleep", || {
        let pid = runtime.pid(bundle.id());
        (mydocker_tests::procfs::command_line(pid) == "sleep 1000").then_some(())
    });

    // The group itself takes no process any more; the first process's own group does.
    let outcome = runtime.exec(bundle.id(), ["cat", "/proc/self/cgroup"]).succeeds();
    assert_eq!(outcome.stdout, "0::/init\n", "{}", outcome.describe());

    runtime.kill(bundle.id(), "KILL").succeeds().discard();
    running.wait().exits(137).discard();
    assert!(cgroup::existing(bundle.cgroup()).is_empty());
}

/// config-linux.md, Cgroup ownership: root of a user namespace divides the cgroup, and cannot lift a limit.
#[test]
fn privileged_v2_a_container_in_a_user_namespace_owns_a_cgroup_that_it_may_write() {
    let runtime = Runtime::new();
    let script = "cd /sys/fs/cgroup && mkdir init && echo 1 >init/cgroup.procs && \
        echo +pids >cgroup.subtree_control && echo divided; echo max >pids.max || echo limited; exec sleep 1000";
    let bundle = runtime.bundle().script(script).namespace("cgroup", None).user_namespace(100_000, 1000);
    let bundle = bundle.with(|config| {
        config["linux"]["resources"]["pids"] = json!({"limit": 50});
        for mount in config["mounts"].as_array_mut().expect("a list") {
            if mount["type"] == "cgroup" {
                mount["options"] = json!(["nosuid", "noexec", "nodev"]);
            }
        }
    });
    let running = runtime.spawn(&bundle);
    running.wait_for_output("divided\nlimited\n");
    assert_eq!(read(&bundle, "pids.max"), "50");
    assert_eq!(runtime.exec(bundle.id(), ["cat", "/proc/self/cgroup"]).succeeds().stdout, "0::/init\n");
    runtime.kill(bundle.id(), "KILL").succeeds().discard();
    running.wait().exits(137).discard();
    assert!(cgroup::existing(bundle.cgroup()).is_empty());
}

#[test]
fn privileged_v2_exec_can_go_into_a_sub_cgroup() {
    let runtime = Runtime::new();
    let bundle = limited(&runtime, &json!({}));
    let sub = cgroup::dir("", bundle.cgroup()).join("sub");
    fs::create_dir(&sub).expect("root may make cgroups");
    let exec =
        |group: &str| runtime.command(["exec", "--cgroup", group, bundle.id(), "cat", "/proc/self/cgroup"]);
    assert_eq!(exec("sub").run().succeeds().stdout, format!("0::{}/sub\n", bundle.cgroup()));
    exec("missing").run().exits(255).fails().discard();
    exec("../..").run().exits(255).fails().discard();
}

/// cgroup.kill (Linux 5.14) ends what forks faster than anybody lists it.
#[test]
fn privileged_v2_kill_all_ends_processes_that_fork_without_end() {
    let runtime = Runtime::new();
    let script = "f() { (f &) & }; echo up; trap '' TERM; while :; do (sleep 1000 &); i=$((i+1)); \
        [ $i -lt 200 ] || exec sleep 1000; done";
    let bundle = runtime.bundle().script(script).without_namespace("pid");
    let running = runtime.spawn(&bundle);
    running.wait_for_output("up");
    runtime.command(["kill", "--all", bundle.id(), "KILL"]).run().succeeds().discard();
    running.wait().exits(137).discard();
    wait::until("the group to be empty", || cgroup::processes(bundle.cgroup()).is_empty().then_some(()));
    assert!(cgroup::existing(bundle.cgroup()).is_empty());
}

/// v2 delivers SIGKILL to the frozen as well.
#[test]
fn privileged_v2_a_paused_container_can_be_killed() {
    let runtime = Runtime::new();
    let bundle = limited(&runtime, &json!({}));
    let pid = runtime.pid(bundle.id());
    runtime.command(["pause", bundle.id()]).run().succeeds().discard();
    assert!(read(&bundle, "cgroup.events").contains("frozen 1"));
    runtime.kill(bundle.id(), "KILL").succeeds().discard();
    wait::for_exit(pid);
    runtime.delete(bundle.id()).succeeds().discard();
}

#[test]
fn privileged_v2_the_cgroup_mount_shows_the_containers_own_group() {
    let runtime = Runtime::new();
    for own_namespace in [false, true] {
        let script = "cat /sys/fs/cgroup/pids.max; grep -c . /sys/fs/cgroup/cgroup.procs; \
            mkdir /sys/fs/cgroup/sub 2>/dev/null || echo read-only";
        let mut bundle = runtime.bundle().script(script);
        if own_namespace {
            bundle = bundle.namespace("cgroup", None);
        }
        bundle.edit(|config| config["linux"]["resources"]["pids"] = json!({"limit": 77}));
        let said = runtime.run(&bundle).succeeds().stdout;
        assert!(said.starts_with("77\n") && said.ends_with("read-only\n"), "{said}");
    }
}
