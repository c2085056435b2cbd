//! The files of cgroup v1, on a host that has its hierarchies beside that of v2: every limit of `linux.resources`.

use mydocker_tests::cgroup::limited;
use mydocker_tests::{Runtime, cgroup};
use serde_json::{Value, json};
use std::fs;

/// Checks that a container with these resources has these files: controller, file, content.
fn check(resources: &Value, files: &[(&str, &str, &str)]) {
    let runtime = Runtime::new();
    let bundle = limited(&runtime, resources);
    for (controller, file, content) in files {
        assert_eq!(cgroup::read(controller, bundle.cgroup(), file), *content, "{file}");
    }
}

#[test]
fn privileged_hybrid_memory_limits_are_set() {
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
fn privileged_hybrid_memory_without_limit_is_minus_one() {
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
fn privileged_hybrid_the_other_memory_settings_are_set() {
    let memory = json!({"swappiness": 33, "disableOOMKiller": true});
    let runtime = Runtime::new();
    let bundle = limited(&runtime, &json!({"memory": memory}));
    let read = |file| cgroup::read("memory", bundle.cgroup(), file);
    assert_eq!(read("memory.swappiness"), "33");
    assert_eq!(read("memory.oom_control").lines().next(), Some("oom_kill_disable 1"));
}

/// Differs from runc 1.1.5, which drops it in silence: config-linux.md, Memory, `kernelTCP`.
#[test]
fn privileged_hybrid_the_memory_of_tcp_buffers_is_limited() {
    check(
        &json!({"memory": {"kernelTCP": 33_554_432}}),
        &[("memory", "memory.kmem.tcp.limit_in_bytes", "33554432")],
    );
}

#[test]
fn privileged_hybrid_cpu_time_is_shared_and_limited() {
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
fn privileged_hybrid_cpu_burst_and_idle_are_set() {
    check(
        &json!({"cpu": {"quota": 50_000, "period": 100_000, "burst": 20_000}}),
        &[("cpu", "cpu.cfs_burst_us", "20000"), ("cpu", "cpu.cfs_quota_us", "50000")],
    );
    check(&json!({"cpu": {"idle": 1}}), &[("cpu", "cpu.idle", "1")]);
}

#[test]
fn privileged_hybrid_block_devices_are_throttled() {
    let (major, minor) = cgroup::block_device();
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
fn privileged_hybrid_device_rules_apply_in_their_order() {
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
fn privileged_hybrid_all_devices_can_be_allowed() {
    let runtime = Runtime::new();
    let bundle = limited(&runtime, &json!({"devices": [{"allow": true, "access": "rwm"}]}));
    assert_eq!(cgroup::read("devices", bundle.cgroup(), "devices.list"), "a *:* rwm");
}

#[test]
fn privileged_hybrid_resources_that_this_machine_lacks_are_refused_by_name() {
    let runtime = Runtime::new();
    // No controller for them is mounted here; hugetlb would be the v2 hierarchy's.
    let resources = [
        ("network", json!({"classID": 1_048_577}), "net_cls"),
        ("rdma", json!({"mlx5_1": {"hcaHandles": 3}}), "rdma"),
    ];
    for (field, value, controller) in resources {
        let bundle = runtime.bundle().with(|config| config["linux"]["resources"][field] = value);
        runtime.create(&bundle).fails().says(controller);
        assert!(!runtime.knows(bundle.id()), "{field}");
        assert!(cgroup::existing(bundle.cgroup()).is_empty(), "{field}");
    }
}

/// A relative path starts where the runtime is, an absolute one at the top.
#[test]
fn privileged_hybrid_a_relative_path_begins_in_the_runtime_s_own_cgroup_and_an_absolute_one_at_the_top() {
    let runtime = Runtime::new();
    let own = format!("/{}-own", runtime.name());
    let procs = cgroup::v1("pids", &own).join("cgroup.procs");
    fs::create_dir(cgroup::v1("pids", &own)).expect("a cgroup for the runtime");
    let enter = format!("echo $$ >{} && exec \"$@\"", procs.display());
    let leaf = format!("{}-leaf", runtime.name());
    for (path, place) in [(leaf.clone(), format!("{own}/{leaf}")), (format!("/{leaf}"), format!("/{leaf}"))] {
        let bundle = runtime
            .bundle()
            .args(["cat", "/proc/self/cgroup"])
            .without_namespace("cgroup")
            .with(|config| config["linux"]["cgroupsPath"] = json!(path));
        let run = runtime.run_command(&bundle).through(["sh", "-c", &enter, "sh"]);
        let seen = run.run().succeeds().stdout;
        assert!(seen.lines().any(|line| line.ends_with(&format!(":pids:{place}"))), "{place}: {seen}");
    }
    fs::remove_dir(cgroup::v1("pids", &own)).expect("nothing is left in it");
}
