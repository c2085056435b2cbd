//! cgroups of version 1, on a hybrid machine: every resource file, placement, removal, freezing.

use mydocker_tests::{Bundle, Runtime, cgroup, procfs, wait};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// A running container with these `linux.resources`, beside the default device rule.
fn limited(runtime: &Runtime, resources: &Value) -> Bundle {
    let bundle = runtime.bundle().args(["sleep", "1000"]).with(|config| {
        let own = config["linux"]["resources"].as_object_mut().expect("an object");
        own.extend(resources.as_object().expect("an object").clone());
    });
    runtime.run_detached(&bundle);
    bundle
}

/// Checks that a container with these resources has these files: controller, file, content.
fn check(resources: &Value, files: &[(&str, &str, &str)]) {
    let runtime = Runtime::new();
    let bundle = limited(&runtime, resources);
    for (controller, file, content) in files {
        assert_eq!(cgroup::read(controller, bundle.cgroup(), file), *content, "{file}");
    }
}

#[test]
fn privileged_memory_limits_are_set() {
    let memory = json!({"limit": 104_857_600, "reservation": 52_428_800, "swap": 209_715_200});
    check(
        &json!({"memory": memory}),
        &[
            ("memory", "memory.limit_in_bytes", "104857600"),
            ("memory", "memory.soft_limit_in_bytes", "52428800"),
            ("memory", "memory.memsw.limit_in_bytes", "209715200"),
        ],
    );
}

#[test]
fn privileged_memory_without_limit_is_minus_one() {
    let unlimited = "9223372036854771712";
    check(
        &json!({"memory": {"limit": -1, "swap": -1, "reservation": -1}}),
        &[
            ("memory", "memory.limit_in_bytes", unlimited),
            ("memory", "memory.memsw.limit_in_bytes", unlimited),
            ("memory", "memory.soft_limit_in_bytes", unlimited),
        ],
    );
}

#[test]
fn privileged_the_other_memory_settings_are_set() {
    let memory = json!({"swappiness": 33, "disableOOMKiller": true});
    let runtime = Runtime::new();
    let bundle = limited(&runtime, &json!({"memory": memory}));
    let read = |file| cgroup::read("memory", bundle.cgroup(), file);
    assert_eq!(read("memory.swappiness"), "33");
    assert_eq!(read("memory.oom_control").lines().next(), Some("oom_kill_disable 1"));
}

/// Differs from runc 1.1.5, which drops it in silence: config-linux.md, Memory, `kernelTCP`.
#[test]
fn privileged_the_memory_of_tcp_buffers_is_limited() {
    check(
        &json!({"memory": {"kernelTCP": 33_554_432}}),
        &[("memory", "memory.kmem.tcp.limit_in_bytes", "33554432")],
    );
}

#[test]
fn privileged_a_memory_limit_that_the_kernel_refuses_fails_create() {
    let runtime = Runtime::new();
    let memory = json!({"limit": 104_857_600, "swap": 52_428_800});
    let bundle = runtime.bundle().with(|config| config["linux"]["resources"]["memory"] = memory);
    runtime.create(&bundle).fails();
    assert!(!runtime.knows(bundle.id()));
    assert!(cgroup::existing(bundle.cgroup()).is_empty());
}

#[test]
fn privileged_a_container_that_exceeds_its_memory_is_killed() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("dd if=/dev/zero of=/dev/null bs=64M count=1; echo survived").with(
        |config| {
            config["linux"]["resources"]["memory"] = json!({"limit": 16_777_216, "swap": 16_777_216});
        },
    );
    let outcome = runtime.run(&bundle);
    // The killer takes dd, or the shell with it.
    let killed_dd = outcome.stdout == "survived\n" && outcome.stderr.contains("Killed");
    assert!(killed_dd || outcome.status.code() == Some(137), "{}", outcome.describe());
}

#[test]
fn privileged_cpu_time_is_shared_and_limited() {
    check(
        &json!({"cpu": {"shares": 512, "quota": 50_000, "period": 200_000}}),
        &[
            ("cpu", "cpu.shares", "512"),
            ("cpu", "cpu.cfs_quota_us", "50000"),
            ("cpu", "cpu.cfs_period_us", "200000"),
        ],
    );
    check(&json!({"cpu": {"quota": -1}}), &[("cpu", "cpu.cfs_quota_us", "-1")]);
    check(&json!({"cpu": {"period": 50_000}}), &[("cpu", "cpu.cfs_period_us", "50000")]);
}

/// Differs from runc 1.1.5, which knows neither: config-linux.md, CPU, `burst` and `idle`.
#[test]
fn privileged_cpu_burst_and_idle_are_set() {
    check(
        &json!({"cpu": {"quota": 50_000, "period": 100_000, "burst": 20_000}}),
        &[("cpu", "cpu.cfs_burst_us", "20000"), ("cpu", "cpu.cfs_quota_us", "50000")],
    );
    check(&json!({"cpu": {"idle": 1}}), &[("cpu", "cpu.idle", "1")]);
}

#[test]
fn privileged_cpus_and_memory_nodes_are_chosen() {
    let runtime = Runtime::new();
    let bundle = limited(&runtime, &json!({"cpu": {"cpus": "0", "mems": "0"}}));
    assert_eq!(cgroup::read("cpuset", bundle.cgroup(), "cpuset.cpus"), "0");
    assert_eq!(cgroup::read("cpuset", bundle.cgroup(), "cpuset.mems"), "0");
    let pid = runtime.pid(bundle.id());
    assert_eq!(procfs::status_field(pid, "Cpus_allowed_list").as_deref(), Some("0"));
}

#[test]
fn privileged_cpus_that_do_not_exist_fail_create() {
    let runtime = Runtime::new();
    let bundle =
        runtime.bundle().with(|config| config["linux"]["resources"]["cpu"] = json!({"cpus": "4000"}));
    runtime.create(&bundle).fails().says("cpuset.cpus");
    assert!(!runtime.knows(bundle.id()));
    assert!(cgroup::existing(bundle.cgroup()).is_empty());
}

#[test]
fn privileged_the_number_of_processes_is_limited() {
    check(&json!({"pids": {"limit": 123}}), &[("pids", "pids.max", "123")]);
    check(&json!({"pids": {"limit": -1}}), &[("pids", "pids.max", "max")]);
    let runtime = Runtime::new();
    let script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 1000 & done; true";
    let bundle = runtime.bundle().script(script).with(|config| {
        config["linux"]["resources"]["pids"] = json!({"limit": 8});
    });
    let outcome = runtime.run(&bundle).fails();
    assert!(outcome.stderr.contains("fork"), "{}", outcome.describe());
}

/// A whole block device of this machine, as `MAJOR:MINOR`.
fn block_device() -> (u64, u64) {
    let devices = fs::read_dir("/sys/block").expect("sysfs");
    let text = devices.flatten().find_map(|device| fs::read_to_string(device.path().join("dev")).ok());
    let text = text.expect("the machine has a block device");
    let (major, minor) = text.trim().split_once(':').expect("major and minor");
    (major.parse().expect("a number"), minor.parse().expect("a number"))
}

#[test]
fn privileged_block_devices_are_throttled() {
    let (major, minor) = block_device();
    let rate = |rate: u64| json!([{"major": major, "minor": minor, "rate": rate}]);
    let block = json!({
        "throttleReadBpsDevice": rate(1_048_576),
        "throttleWriteBpsDevice": rate(2_097_152),
        "throttleReadIOPSDevice": rate(300),
        "throttleWriteIOPSDevice": rate(400),
    });
    let line = |rate: u64| format!("{major}:{minor} {rate}");
    check(
        &json!({"blockIO": block}),
        &[
            ("blkio", "blkio.throttle.read_bps_device", &line(1_048_576)),
            ("blkio", "blkio.throttle.write_bps_device", &line(2_097_152)),
            ("blkio", "blkio.throttle.read_iops_device", &line(300)),
            ("blkio", "blkio.throttle.write_iops_device", &line(400)),
        ],
    );
}

#[test]
fn privileged_the_default_devices_are_allowed_and_others_denied() {
    let runtime = Runtime::new();
    let caps = json!(["CAP_MKNOD", "CAP_SYS_ADMIN"]);
    let script = "for d in null zero full random urandom tty; do dd if=/dev/$d of=/dev/null count=0 2>/dev/null || echo no $d; done; \
        mknod /block b 7 250 && echo made; dd if=/block of=/dev/null count=1 2>&1 | grep -o 'not permitted'; \
        mknod /kmsg c 1 11 && echo made; dd if=/kmsg of=/dev/null count=1 2>&1 | grep -o 'not permitted'; true";
    let bundle = runtime.bundle().script(script).with(|config| {
        config["process"]["capabilities"] = json!({"bounding": caps, "effective": caps, "permitted": caps});
    });
    // Without a controlling terminal /dev/tty is there, allowed, and not to be opened. mknod of anything is allowed.
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "no tty\nmade\nnot permitted\nmade\nnot permitted\n");
}

#[test]
fn privileged_device_rules_apply_in_their_order() {
    let runtime = Runtime::new();
    let bundle = limited(
        &runtime,
        &json!({"devices": [
            {"allow": false, "access": "rwm"},
            {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"},
            {"allow": true, "type": "b", "major": 7, "access": "r"},
            {"allow": true, "type": "c", "major": 42, "minor": 1, "access": "rwm"},
            {"allow": false, "type": "c", "major": 42, "minor": 1, "access": "w"},
        ]}),
    );
    let list = cgroup::read("devices", bundle.cgroup(), "devices.list");
    let lines: Vec<&str> = list.lines().collect();
    for line in
        ["c 10:229 rw", "b 7:* r", "c 42:1 rm", "c 1:3 rwm", "c 1:5 rwm", "c 1:9 rwm", "c *:* m", "b *:* m"]
    {
        assert!(lines.contains(&line), "{line} is not in {list}");
    }
    assert!(!lines.iter().any(|line| line.starts_with('a')), "{list}");
}

#[test]
fn privileged_all_devices_can_be_allowed() {
    let runtime = Runtime::new();
    let bundle = limited(&runtime, &json!({"devices": [{"allow": true, "access": "rwm"}]}));
    assert_eq!(cgroup::read("devices", bundle.cgroup(), "devices.list"), "a *:* rwm");
}

#[test]
fn privileged_the_container_is_in_its_cgroup_in_every_hierarchy() {
    let runtime = Runtime::new();
    let bundle = limited(&runtime, &json!({}));
    let pid = runtime.pid(bundle.id());
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it runs");
    for controller in ["cpu", "cpuset", "memory", "pids", "devices", "freezer", "blkio", "cpuacct"] {
        let expected = format!(":{controller}:{}", bundle.cgroup());
        assert!(groups.lines().any(|line| line.ends_with(&expected)), "{expected} is not in {groups}");
    }
    assert!(cgroup::processes(bundle.cgroup()).contains(&pid));
}

#[test]
fn privileged_a_deep_cgroup_path_is_made_and_its_leaf_removed() {
    let runtime = Runtime::new();
    let path = format!("/{}/middle/leaf", runtime.name());
    let bundle =
        runtime.bundle().args(["sleep", "1000"]).with(|config| config["linux"]["cgroupsPath"] = json!(path));
    runtime.run_detached(&bundle);
    assert!(cgroup::existing(&path).len() >= 8);
    runtime.kill_and_delete(bundle.id());
    assert!(cgroup::existing(&path).is_empty());
    // Whoever shares the parents may still want them; the test takes them away.
    drop(cgroup::remove_by_prefix(runtime.name()));
}

/// The directories of the cgroups of a process whose path contains `name`.
fn cgroups_of(pid: i32, name: &str) -> Vec<PathBuf> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it runs");
    let dir = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let mount = match controllers {
            "" => "unified",
            "name=systemd" => "systemd",
            other => other,
        };
        path.contains(name)
            .then(|| Path::new("/sys/fs/cgroup").join(mount).join(path.trim_start_matches('/')))
    };
    text.lines().filter_map(dir).collect()
}

#[test]
fn privileged_a_relative_cgroup_path_is_the_same_place_each_time_and_is_removed() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["sleep", "1000"]);
    let bundle =
        bundle.with(|config| config["linux"]["cgroupsPath"] = json!(format!("{}-rel/leaf", runtime.name())));
    let mut places = Vec::new();
    for _ in 0..2 {
        runtime.run_detached(&bundle);
        let dirs = cgroups_of(runtime.pid(bundle.id()), &format!("{}-rel/leaf", runtime.name()));
        assert!(dirs.len() >= 8 && dirs.iter().all(|dir| dir.is_dir()), "{dirs:?}");
        runtime.kill_and_delete(bundle.id());
        assert!(dirs.iter().all(|dir| !dir.exists()), "{dirs:?}");
        places.push(dirs);
    }
    assert_eq!(places[0], places[1]);
    for parent in places[0].iter().filter_map(|dir| dir.parent()).filter(|parent| parent.exists()) {
        fs::remove_dir(parent).expect("the parent is empty");
    }
}

#[test]
fn privileged_without_a_cgroup_path_the_runtime_finds_one_and_removes_it() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["sleep", "1000"]).with(|config| {
        config["linux"].as_object_mut().expect("an object").remove("cgroupsPath");
    });
    runtime.run_detached(&bundle);
    let dirs = cgroups_of(runtime.pid(bundle.id()), bundle.id());
    assert!(dirs.len() >= 8, "{dirs:?}");
    runtime.kill_and_delete(bundle.id());
    assert!(dirs.iter().all(|dir| !dir.exists()), "{dirs:?}");
}

#[test]
fn privileged_two_containers_can_have_groups_below_one_another_s_parent() {
    let runtime = Runtime::new();
    let bundles: Vec<Bundle> = ["a", "b"]
        .into_iter()
        .map(|leaf| {
            let path = format!("/{}/{leaf}", runtime.name());
            runtime
                .bundle()
                .args(["sleep", "1000"])
                .with(|config| config["linux"]["cgroupsPath"] = json!(path))
        })
        .collect();
    bundles.iter().for_each(|bundle| runtime.run_detached(bundle).discard());
    runtime.kill_and_delete(bundles[0].id());
    assert_eq!(runtime.status(bundles[1].id()), "running");
    assert!(cgroup::existing(bundles[1].cgroup()).len() >= 8);
    runtime.kill_and_delete(bundles[1].id());
    drop(cgroup::remove_by_prefix(runtime.name()));
}

#[test]
fn privileged_groups_that_the_container_made_are_removed_with_it() {
    let runtime = Runtime::new();
    let script = "mkdir -p /sys/fs/cgroup/pids/sub/deep && echo made; exec sleep 1000";
    let bundle = runtime.bundle().script(script).with(|config| {
        for mount in config["mounts"].as_array_mut().expect("a list") {
            if mount["type"] == "cgroup" {
                mount["options"] = json!(["nosuid", "noexec", "nodev"]);
            }
        }
    });
    let running = runtime.spawn(&bundle);
    running.wait_for_output("made");
    assert!(cgroup::v1("pids", bundle.cgroup()).join("sub/deep").is_dir());
    runtime.kill(bundle.id(), "KILL").succeeds();
    running.wait().exits(137);
    assert!(cgroup::existing(bundle.cgroup()).is_empty());
}

#[test]
fn privileged_a_paused_container_makes_no_step() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("i=0; while :; do i=$((i+1)); echo $i >/count; done");
    runtime.run_detached(&bundle);
    let count = || fs::read_to_string(bundle.path("count")).unwrap_or_default();
    let moved = |from: &str| wait::until("the container to count on", || (count() != from).then(count));
    moved("");
    runtime.command(["pause", bundle.id()]).run().succeeds();
    assert_eq!(cgroup::read("freezer", bundle.cgroup(), "freezer.state"), "FROZEN");
    let still = count();
    let moves = wait::within(std::time::Duration::from_millis(100), || (count() != still).then_some(()));
    assert_eq!(moves, None, "it counts on while it is paused");
    runtime.command(["resume", bundle.id()]).run().succeeds();
    assert_eq!(cgroup::read("freezer", bundle.cgroup(), "freezer.state"), "THAWED");
    moved(&still);
}

#[test]
fn privileged_a_cgroup_that_cannot_be_made_fails_create_and_leaves_nothing() {
    let runtime = Runtime::new();
    // A file is in the way.
    let bundle = runtime.bundle().with(|config| {
        config["linux"]["cgroupsPath"] =
            json!(format!("/cgroup.procs/{}", config["hostname"].as_str().unwrap_or("x")));
    });
    runtime.create(&bundle).fails();
    assert!(!runtime.knows(bundle.id()));
    assert!(cgroup::existing(runtime.name()).is_empty());
}

#[test]
fn privileged_a_cgroup_path_cannot_climb_out_of_the_hierarchy() {
    let runtime = Runtime::new();
    let name = runtime.name();
    let bundle = runtime.bundle().args(["sleep", "1000"]);
    let bundle = bundle.with(|config| config["linux"]["cgroupsPath"] = json!(format!("/../../../{name}")));
    // runc cuts the dots off; refusing is as good. What may not be is a directory outside.
    if runtime.bundle_command("run", &bundle, &["--detach"]).run().status.success() {
        let pid = runtime.pid(bundle.id());
        assert!(cgroup::processes(name).contains(&pid));
        runtime.kill_and_delete(bundle.id());
    }
    for dir in ["/", "/sys", "/sys/fs", "/sys/fs/cgroup"] {
        assert!(!Path::new(dir).join(name).exists(), "{dir}");
    }
}

#[test]
fn privileged_a_frozen_cgroup_is_refused() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle();
    let group = cgroup::v1("freezer", bundle.cgroup());
    fs::create_dir(&group).expect("root may make cgroups");
    fs::write(group.join("freezer.state"), "FROZEN").expect("root may freeze them");
    let outcome = runtime.create(&bundle).fails();
    assert!(outcome.stderr.contains("frozen"), "{}", outcome.describe());
    assert!(!runtime.knows(bundle.id()));
    fs::write(group.join("freezer.state"), "THAWED").expect("root may thaw them");
    drop(cgroup::remove_by_prefix(runtime.name()));
}

#[test]
fn privileged_an_empty_cgroup_that_exists_is_used() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle();
    fs::create_dir(cgroup::v1("memory", bundle.cgroup())).expect("root may make cgroups");
    runtime.run(&bundle).succeeds();
    assert!(cgroup::existing(bundle.cgroup()).is_empty());
}

#[test]
fn privileged_limits_are_in_force_before_the_program_runs() {
    let runtime = Runtime::new();
    let script = "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/memory/memory.limit_in_bytes; grep Cpus_allowed_list /proc/self/status";
    let bundle = runtime.bundle().script(script).with(|config| {
        config["linux"]["resources"]["pids"] = json!({"limit": 50});
        config["linux"]["resources"]["memory"] = json!({"limit": 67_108_864});
        config["linux"]["resources"]["cpu"] = json!({"cpus": "0"});
    });
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "50\n67108864\nCpus_allowed_list:\t0\n");
}

#[test]
fn privileged_resources_that_this_machine_lacks_are_refused_by_name() {
    let runtime = Runtime::new();
    // No controller for them is mounted here.
    let resources = [
        ("network", json!({"classID": 1_048_577}), "net_cls"),
        ("hugepageLimits", json!([{"pageSize": "2MB", "limit": 4_194_304}]), "hugetlb"),
    ];
    for (field, value, controller) in resources {
        let unified = fs::read_to_string("/sys/fs/cgroup/unified/cgroup.controllers").unwrap_or_default();
        if cgroup::v1(controller, "").is_dir() || unified.split_whitespace().any(|held| held == controller) {
            continue;
        }
        let bundle = runtime.bundle().with(|config| config["linux"]["resources"][field] = value);
        runtime.create(&bundle).fails().says(controller);
        assert!(!runtime.knows(bundle.id()), "{field}");
        assert!(cgroup::existing(bundle.cgroup()).is_empty(), "{field}");
    }
}
