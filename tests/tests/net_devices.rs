//! `linux.netDevices`: devices of the runtime's network namespace move into the container's (config-linux.md, Network
//! Devices). The runtime runs in a network namespace of the test's own, so that no device of the host is touched.

use mydocker_tests::{Bundle, Outcome, Runtime};
use serde_json::{Value, json};
use std::path::Path;

/// What the runtime finds: a pair of devices, the first with addresses of every kind.
const SETUP: &str = "ip link add rows0 type veth peer name rows1 && ip link set rows0 mtu 1400 address 02:00:00:00:00:07 up \
    && ip link set rows1 up && ip address add 10.9.8.7/24 broadcast 10.9.8.255 label rows0:web dev rows0 \
    && ip address add 10.9.9.1 peer 10.9.9.2/32 dev rows0 \
    && ip address add 10.9.7.7/24 dev rows0 valid_lft 1000 preferred_lft 1000 \
    && ip address add 169.254.3.4/16 scope link dev rows0 && ip -6 address add fd00:9::7/64 nodad dev rows0";

/// The bundle with these network devices, running a script.
fn bundle(runtime: &Runtime, devices: &Value, script: &str) -> Bundle {
    runtime.bundle().script(script).with(|config| config["linux"]["netDevices"] = devices.clone())
}

/// Runs it by a runtime whose network namespace is set up so; what `after` says there comes behind a line of dashes.
fn run(runtime: &Runtime, bundle: &Bundle, setup: &str, after: &str) -> Outcome {
    let shell = format!("{setup} || exit 99; \"$@\"; status=$?; echo ----; {after} exit $status");
    runtime.run_command(bundle).through(["unshare", "--net", "sh", "-c", &shell, "sh"]).run()
}

#[test]
fn privileged_a_device_moves_under_a_new_name_with_its_lasting_global_addresses_and_is_up() {
    let runtime = Runtime::new();
    let bundle = bundle(&runtime, &json!({"rows0": {"name": "web0"}}), "ip address show dev web0; ip link");
    let outcome = run(&runtime, &bundle, SETUP, "ip link;").succeeds();
    let (inside, outside) = outcome.stdout.split_once("----").expect("both parts");
    for wanted in [
        "<BROADCAST,MULTICAST,UP",
        "mtu 1400",
        "link/ether 02:00:00:00:00:07",
        "inet 10.9.8.7/24 brd 10.9.8.255 scope global web0:web",
        "inet 10.9.9.1 peer 10.9.9.2/32 scope global web0",
        "inet6 fd00:9::7/64 scope global",
    ] {
        assert!(inside.contains(wanted), "{wanted}: {inside}");
    }
    for unwanted in ["10.9.7.7", "169.254.3.4", "rows0"] {
        assert!(!inside.contains(unwanted), "{unwanted}: {inside}");
    }
    // The other end is there for as long as the kernel takes to see the end of the container's namespace.
    assert!(!outside.contains(": rows0") && outside.contains(": lo"), "{outside}");
}

#[test]
fn privileged_without_a_new_name_a_device_keeps_its_own_and_a_template_gets_a_number() {
    let runtime = Runtime::new();
    let devices = json!({"rows0": {}, "rows1": {"name": "eth%d"}});
    let bundle = bundle(&runtime, &devices, "ls /sys/class/net 2>/dev/null; ip -o link");
    let inside = run(&runtime, &bundle, SETUP, "").succeeds().stdout;
    assert!(inside.contains(": rows0@") && inside.contains(": eth0@"), "{inside}");
}

#[test]
fn privileged_devices_are_there_before_the_hooks_of_create() {
    let runtime = Runtime::new();
    let seen = runtime.scratch().join("seen");
    let script = format!("nsenter --net=/proc/$(jq .pid)/ns/net ip -o link > {}", seen.display());
    let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]}]);
    let bundle = bundle(&runtime, &json!({"rows0": {}}), "true")
        .with(|config| config["hooks"] = json!({"createRuntime": hook}));
    run(&runtime, &bundle, SETUP, "").succeeds();
    let seen = std::fs::read_to_string(seen).expect("the hook has written");
    assert!(seen.contains(": rows0@"), "{seen}");
}

#[test]
fn privileged_a_missing_device_is_named_and_those_before_it_come_back_with_their_addresses() {
    let runtime = Runtime::new();
    let bundle = bundle(&runtime, &json!({"rows0": {"name": "a"}, "zero": {}}), "true");
    let outcome = run(&runtime, &bundle, SETUP, "ip address show rows0; ip link show rows0;").fails();
    assert!(
        outcome.stderr.contains("/linux/netDevices/zero") && outcome.stderr.contains("no network device"),
        "{}",
        outcome.describe()
    );
    for back in ["10.9.8.7/24", "fd00:9::7/64", "UP,LOWER_UP"] {
        assert!(outcome.stdout.contains(back), "{back}: {}", outcome.describe());
    }
}

#[test]
fn privileged_a_name_that_a_joined_namespace_has_already_is_refused_and_the_device_stays() {
    let runtime = Runtime::new();
    let name = format!("{}-net", runtime.name());
    let path = format!("/run/netns/{name}");
    let bundle = bundle(&runtime, &json!({"rows0": {"name": "taken"}}), "true")
        .namespace("network", Some(Path::new(&path)));
    runtime.host(["ip", "netns", "add", name.as_str()]).run().succeeds();
    runtime.host(["ip", "-n", &name, "link", "add", "taken", "type", "veth"]).run().succeeds();
    let outcome = run(&runtime, &bundle, SETUP, "ip address show rows0;");
    let other = self::bundle(&runtime, &json!({"rows0": {"name": "free"}}), "ip address show free")
        .namespace("network", Some(Path::new(&path)));
    let moved = run(&runtime, &other, SETUP, "");
    runtime.host(["ip", "netns", "delete", name.as_str()]).run().succeeds();
    let outcome = outcome.fails();
    assert!(outcome.stderr.contains("taken") && outcome.stderr.contains("already"), "{}", outcome.describe());
    assert!(outcome.stdout.contains("10.9.8.7/24"), "{}", outcome.describe());
    assert!(moved.succeeds().stdout.contains("10.9.8.7/24"));
}

#[test]
fn privileged_devices_move_into_the_namespace_of_a_container_with_its_own_users() {
    let runtime = Runtime::new();
    let bundle =
        bundle(&runtime, &json!({"rows0": {}}), "ip address show rows0").user_namespace(100_000, 65_536);
    let inside = run(&runtime, &bundle, SETUP, "").succeeds().stdout;
    assert!(inside.contains("10.9.8.7/24") && inside.contains("fd00:9::7/64"), "{inside}");
}
