//! `update`: limits of containers that are there, on cgroup v1 and v2 alike.

use mydocker_tests::cgroup::{by_systemd, is_v1, read_either};
use mydocker_tests::{Bundle, Outcome, Runtime};
use serde_json::{Value, json};
use std::fs;

const MIB: u64 = 1 << 20;

fn limited(runtime: &Runtime, resources: &Value) -> Bundle {
    let bundle = runtime.bundle().args(["sleep", "1000"]).with(|config| {
        let own = config["linux"]["resources"].as_object_mut().expect("an object");
        own.extend(resources.as_object().expect("an object").clone());
    });
    runtime.run_detached(&bundle);
    bundle
}

fn update(runtime: &Runtime, bundle: &Bundle, flags: &[&str]) -> Outcome {
    runtime.command(["update"]).args(flags).arg(bundle.id()).run()
}

fn update_document(runtime: &Runtime, bundle: &Bundle, resources: &Value) -> Outcome {
    runtime.command(["update", "--resources", "-", bundle.id()]).stdin(resources.to_string()).run()
}

fn pids(bundle: &Bundle) -> String {
    read_either("pids", bundle.cgroup(), "pids.max", "pids.max")
}

fn memory(bundle: &Bundle) -> String {
    read_either("memory", bundle.cgroup(), "memory.limit_in_bytes", "memory.max")
}

/// The limit of memory and swap together; v2 keeps that of swap alone.
fn swap(bundle: &Bundle) -> u64 {
    let value = read_either("memory", bundle.cgroup(), "memory.memsw.limit_in_bytes", "memory.swap.max");
    let memory = if is_v1("memory") { 0 } else { memory(bundle).parse().expect("a number") };
    value.parse::<u64>().expect("a number") + memory
}

/// Quota and period, as v2 writes them.
fn bandwidth(bundle: &Bundle) -> String {
    if !is_v1("cpu") {
        return read_either("cpu", bundle.cgroup(), "", "cpu.max");
    }
    let read = |file| read_either("cpu", bundle.cgroup(), file, "");
    let quota = read("cpu.cfs_quota_us");
    let quota = if quota == "-1" { "max".to_owned() } else { quota };
    format!("{quota} {}", read("cpu.cfs_period_us"))
}

#[test]
fn privileged_each_flag_changes_its_limit() {
    let runtime = Runtime::new();
    let bundle = limited(&runtime, &json!({}));
    let flags =
        ["--pids-limit", "123", "--memory", "100m", "--memory-swap", "200M", "--memory-reservation", "50mb"];
    update(&runtime, &bundle, &flags).succeeds().discard();
    assert_eq!((pids(&bundle), memory(&bundle)), ("123".to_owned(), (100 * MIB).to_string()));
    assert_eq!(swap(&bundle), 200 * MIB);
    let soft = read_either("memory", bundle.cgroup(), "memory.soft_limit_in_bytes", "memory.low");
    assert_eq!(soft, (50 * MIB).to_string());
    let flags = [
        "--cpu-quota",
        "50000",
        "--cpu-period",
        "200000",
        "--cpu-share",
        "512",
        "--cpuset-cpus",
        "0",
        "--cpuset-mems=0",
        "--cpu-burst",
        "20000",
    ];
    update(&runtime, &bundle, &flags).succeeds().discard();
    assert_eq!(bandwidth(&bundle), "50000 200000");
    assert_eq!(read_either("cpu", bundle.cgroup(), "cpu.cfs_burst_us", "cpu.max.burst"), "20000");
    assert_eq!(
        read_either("cpu", bundle.cgroup(), "cpu.shares", "cpu.weight"),
        if is_v1("cpu") { "512" } else { "59" }
    );
    assert_eq!(read_either("cpuset", bundle.cgroup(), "cpuset.cpus", "cpuset.cpus"), "0");
    assert_eq!(read_either("cpuset", bundle.cgroup(), "cpuset.mems", "cpuset.mems"), "0");
}

#[test]
fn privileged_minus_one_takes_limits_away() {
    let runtime = Runtime::new();
    let bundle = limited(
        &runtime,
        &json!({"pids": {"limit": 9}, "memory": {"limit": 100 * MIB, "swap": 150 * MIB},
        "cpu": {"quota": 5000}}),
    );
    update(&runtime, &bundle, &["--pids-limit", "-1", "--memory=-1", "--cpu-quota", "-1"])
        .succeeds()
        .discard();
    assert_eq!(pids(&bundle), "max");
    assert_eq!(memory(&bundle), if is_v1("memory") { "9223372036854771712" } else { "max" });
    assert_eq!(bandwidth(&bundle), "max 100000");
}

#[test]
fn privileged_memory_and_swap_grow_and_shrink_in_the_order_that_the_kernel_takes() {
    let runtime = Runtime::new();
    let bundle = limited(&runtime, &json!({"memory": {"limit": 100 * MIB, "swap": 150 * MIB}}));
    for (limit, total) in [(300, 400), (50, 60), (60, 60), (200, 500)] {
        let flags = [format!("--memory={limit}m"), format!("--memory-swap={total}m")];
        update(&runtime, &bundle, &[&flags[0], &flags[1]]).succeeds().discard();
        assert_eq!(memory(&bundle), (limit * MIB).to_string());
        assert_eq!(swap(&bundle), total * MIB);
    }
}

#[test]
fn privileged_a_later_update_begins_with_what_an_earlier_one_left() {
    let runtime = Runtime::new();
    let bundle = limited(&runtime, &json!({"cpu": {"quota": 20_000, "period": 50_000}}));
    update(&runtime, &bundle, &["--cpu-quota", "30000"]).succeeds().discard();
    assert_eq!(bandwidth(&bundle), "30000 50000");
    update(&runtime, &bundle, &["--cpu-period", "100000"]).succeeds().discard();
    assert_eq!(bandwidth(&bundle), "30000 100000");
    update(&runtime, &bundle, &["--cpu-quota", "10000", "--cpu-period", "0"]).succeeds().discard();
    assert_eq!(bandwidth(&bundle), "10000 100000");
    let config = fs::read_to_string(bundle.dir().join("config.json")).expect("the bundle is readable");
    assert!(config.contains("20000"), "the bundle is not touched");
}

/// Differs from runc 1.1.5, which lets the kernel refuse it on v1 and takes the difference for 0 on v2.
#[test]
fn privileged_a_contradiction_with_a_limit_in_force_is_refused_before_anything_is_written() {
    let runtime = Runtime::new();
    let bundle =
        limited(&runtime, &json!({"memory": {"limit": 50 * MIB, "swap": 80 * MIB}, "pids": {"limit": 50}}));
    update(&runtime, &bundle, &["--memory", "100m", "--pids-limit", "60"])
        .fails()
        .says("/linux/resources/memory/swap")
        .discard();
    assert_eq!((memory(&bundle), pids(&bundle)), ((50 * MIB).to_string(), "50".to_owned()));
}

#[test]
fn privileged_a_refused_limit_takes_back_those_before_it() {
    let runtime = Runtime::new();
    let bundle = limited(&runtime, &json!({"pids": {"limit": 50}, "cpu": {"quota": 20_000}}));
    let rate = json!({"major": 4000, "minor": 77, "rate": 5});
    let wish = json!({"pids": {"limit": 60}, "cpu": {"quota": 30_000}, "memory": {"limit": 64 * MIB},
        "blockIO": {"throttleReadBpsDevice": [rate]}});
    let before = memory(&bundle);
    update_document(&runtime, &bundle, &wish)
        .fails()
        .says("/linux/resources/blockIO/throttleReadBpsDevice/0")
        .says("all limits are as they were before")
        .discard();
    assert_eq!(
        (pids(&bundle), bandwidth(&bundle), memory(&bundle)),
        ("50".into(), "20000 100000".into(), before)
    );
    // Nor is it remembered: the next update does not meet the disk that is not there.
    update(&runtime, &bundle, &["--pids-limit", "70"]).succeeds().discard();
    assert_eq!(pids(&bundle), "70");
}

#[test]
fn privileged_created_and_paused_containers_can_be_updated_and_stopped_ones_not() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["sleep", "1000"]);
    runtime.create(&bundle).succeeds().discard();
    update(&runtime, &bundle, &["--pids-limit", "11"]).succeeds().discard();
    assert_eq!(pids(&bundle), "11");
    runtime.start(bundle.id()).succeeds().discard();
    assert_eq!(pids(&bundle), "11");
    runtime.command(["pause", bundle.id()]).run().succeeds().discard();
    update(&runtime, &bundle, &["--pids-limit", "12"]).succeeds().discard();
    assert_eq!((pids(&bundle).as_str(), runtime.status(bundle.id()).as_str()), ("12", "paused"));
    runtime.command(["resume", bundle.id()]).run().succeeds().discard();
    runtime.kill(bundle.id(), "KILL").succeeds().discard();
    runtime.wait_for_status(bundle.id(), "stopped");
    update(&runtime, &bundle, &["--pids-limit", "13"]).fails().says("not running").discard();
    // systemd takes the group away when the last process ends.
    if !by_systemd() {
        assert_eq!(pids(&bundle), "12");
    }
}

#[test]
fn privileged_idling_takes_the_share_and_gives_it_back() {
    let runtime = Runtime::new();
    let bundle = limited(&runtime, &json!({"cpu": {"shares": 2048}}));
    let share = || read_either("cpu", bundle.cgroup(), "cpu.shares", "cpu.weight");
    let before = share();
    update(&runtime, &bundle, &["--cpu-idle", "1"]).succeeds().discard();
    assert_eq!(read_either("cpu", bundle.cgroup(), "cpu.idle", "cpu.idle"), "1");
    update(&runtime, &bundle, &["--cpu-share", "4096"]).fails().says("/linux/resources/cpu/shares").discard();
    update(&runtime, &bundle, &["--cpu-idle", "0"]).succeeds().discard();
    assert_eq!(share(), before);
}

/// Differs from runc, which leaves the device filter alone whatever the document says.
#[test]
fn privileged_device_rules_replace_the_filter_and_repeated_ones_do_not() {
    let runtime = Runtime::new();
    let script = "mknod /dev/node c 10 229 || exit 1; while :; do if (: </dev/node) 2>/dev/null; then echo open; \
                  else echo shut; fi; sleep 0.05; done";
    let bundle = runtime.bundle().script(script).with(|config| {
        let capabilities = &mut config["process"]["capabilities"];
        for set in ["bounding", "effective", "permitted"] {
            capabilities[set].as_array_mut().expect("a list").push(json!("CAP_MKNOD"));
        }
    });
    let started = runtime.run_detached(&bundle);
    let last = || {
        let text = fs::read_to_string(&started.stdout_file).unwrap_or_default();
        text.lines().last().unwrap_or_default().to_owned()
    };
    let wait_for = |word: &str| mydocker_tests::wait::until(word, || (last() == word).then_some(()));
    wait_for("shut");
    let rules = json!([{"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"}]);
    update_document(&runtime, &bundle, &json!({"devices": rules})).succeeds().discard();
    wait_for("open");
    update_document(&runtime, &bundle, &json!({"devices": rules, "pids": {"limit": 100}}))
        .succeeds()
        .discard();
    wait_for("open");
    update_document(&runtime, &bundle, &json!({"devices": [{"allow": false, "access": "rwm"}]}))
        .succeeds()
        .discard();
    wait_for("shut");
}

#[test]
fn privileged_documents_come_from_files_too_and_mistakes_in_them_are_named() {
    let runtime = Runtime::new();
    let bundle = limited(&runtime, &json!({}));
    let file = runtime.scratch().join("resources.json");
    fs::write(&file, r#"{"pids":{"limit":31},"memory":{},"cpu":{"shares":0}}"#).expect("writable");
    let path = file.to_str().expect("a plain path");
    update(&runtime, &bundle, &["-r", path, "--pids-limit", "5"])
        .succeeds()
        .says("other flags are ignored")
        .discard();
    assert_eq!(pids(&bundle), "31");
    fs::write(&file, r#"{"pids":{"limit":"many"}}"#).expect("writable");
    update(&runtime, &bundle, &["--resources", path])
        .fails()
        .says("/pids/limit")
        .says("resources.json")
        .discard();
    update_document(&runtime, &bundle, &json!([])).fails().says("standard input").discard();
    update(&runtime, &bundle, &["--resources", "/no/such"]).fails().says("/no/such").discard();
    for flags in
        [&["--memory", "lots"][..], &["--cpu-quota", "x"], &["--blkio-weight", "70000"], &["--bogus", "1"]]
    {
        update(&runtime, &bundle, flags).exits(1).says(flags[0]).discard();
    }
    update(&runtime, &bundle, &["--blkio-weight", "5"])
        .fails()
        .says("/linux/resources/blockIO/weight")
        .discard();
}

#[test]
fn privileged_kernel_memory_is_warned_of_and_intel_rdt_refused_by_name() {
    let runtime = Runtime::new();
    let bundle = limited(&runtime, &json!({}));
    update(&runtime, &bundle, &["--kernel-memory", "10m"])
        .succeeds()
        .says("level=warning")
        .says("kernel")
        .discard();
    update(&runtime, &bundle, &["--l3-cache-schema", "L3:0=f"]).fails().says("/linux/intelRdt").discard();
    update(&runtime, &bundle, &["--mem-bw-schema", "MB:0=50"]).fails().says("/linux/intelRdt").discard();
    runtime
        .command(["update", "--pids-limit", "5", "no-such"])
        .run()
        .fails()
        .says("does not exist")
        .discard();
}
