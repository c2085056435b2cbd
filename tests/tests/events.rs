//! `events`: statistics and news of memory in runc's shape, on cgroup v1 and v2 alike.

use mydocker_tests::{Bundle, Runtime, procfs};
use serde_json::{Value, json};

fn sleeper(runtime: &Runtime, resources: &Value) -> Bundle {
    let bundle = runtime.bundle().args(["sleep", "1000"]).with(|config| {
        let own = config["linux"]["resources"].as_object_mut().expect("an object");
        own.extend(resources.as_object().expect("an object").clone());
    });
    runtime.run_detached(&bundle);
    bundle
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON object in each line")).collect()
}

#[test]
fn privileged_the_statistics_have_runcs_shape() {
    let runtime = Runtime::new();
    let bundle = sleeper(&runtime, &json!({"pids": {"limit": 50}, "memory": {"limit": 104_857_600}}));
    let outcome = runtime.command(["events", "--stats", bundle.id()]).run().succeeds();
    let events = lines(&outcome.stdout);
    assert_eq!(events.len(), 1, "{}", outcome.stdout);
    let (event, data) = (&events[0], &events[0]["data"]);
    assert_eq!((&event["type"], &event["id"]), (&json!("stats"), &json!(bundle.id())));
    let keys: Vec<&str> = data.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        ["blkio", "cpu", "cpuset", "hugetlb", "intel_rdt", "memory", "network_interfaces", "pids"]
    );
    assert_eq!(data["pids"], json!({"current": 1, "limit": 50}));
    assert_eq!(data["memory"]["usage"]["limit"], 104_857_600);
    assert!(data["memory"]["usage"]["usage"].as_u64() > Some(0), "{data}");
    assert!(data["memory"]["raw"].as_object().is_some_and(|raw| !raw.is_empty()), "{data}");
    assert!(data["cpu"]["usage"]["total"].as_u64() > Some(0), "{data}");
    assert!(data["cpu"]["usage"]["kernel"].is_u64() && data["cpu"]["usage"]["user"].is_u64(), "{data}");
    assert!(data["cpuset"]["cpus"].as_array().is_some_and(|cpus| !cpus.is_empty()), "{data}");
    assert_eq!(data["intel_rdt"], json!({}));
}

#[test]
fn privileged_statistics_come_at_intervals_until_the_container_ends() {
    let runtime = Runtime::new();
    let bundle = sleeper(&runtime, &json!({}));
    let events = runtime.command(["events", "--interval", "20ms", bundle.id()]).spawn();
    mydocker_tests::wait::until("three lines", || (events.stdout().lines().count() >= 3).then_some(()));
    runtime.kill(bundle.id(), "KILL").succeeds().discard();
    let outcome = events.wait().succeeds();
    assert!(lines(&outcome.stdout).iter().all(|event| event["type"] == "stats"), "{}", outcome.stdout);
}

#[test]
fn privileged_a_container_out_of_memory_is_told_of() {
    let runtime = Runtime::new();
    // The shell is not the one that the killer takes: it needs no memory.
    let script =
        "while [ ! -e /go ]; do sleep 0.02; done; dd if=/dev/zero of=/dev/null bs=200M count=1; sleep 1000";
    let bundle = runtime.bundle().script(script).with(|config| {
        config["linux"]["resources"]["memory"] = json!({"limit": 33_554_432, "swap": 33_554_432});
    });
    runtime.run_detached(&bundle);
    let events = runtime.command(["events", "--interval", "1h", bundle.id()]).spawn();
    mydocker_tests::wait::until("an open watch", || procfs::watches_memory(events.pid()).then_some(()));
    std::fs::write(bundle.path("go"), "").expect("the root is writable");
    events.wait_for_output(r#"{"type":"oom","id":"#);
    runtime.kill(bundle.id(), "KILL").succeeds().discard();
    let outcome = events.wait().succeeds();
    let told = lines(&outcome.stdout);
    assert!(told.iter().all(|event| event["type"] == "oom" && event.get("data").is_none()), "{told:?}");
}

#[test]
fn privileged_an_interval_of_nothing_and_a_container_that_does_not_run_are_refused() {
    let runtime = Runtime::new();
    let bundle = sleeper(&runtime, &json!({}));
    for interval in ["0", "0s", "-5s"] {
        let outcome = runtime.command(["events", "--interval", interval, bundle.id()]).run().exits(1);
        outcome.says("duration interval must be greater than 0").discard();
    }
    runtime.command(["events", "--interval", "soon", bundle.id()]).run().exits(1).says("soon").discard();
    runtime.kill(bundle.id(), "KILL").succeeds().discard();
    runtime.wait_for_status(bundle.id(), "stopped");
    runtime.command(["events", "--stats", bundle.id()]).run().fails().says("not running").discard();
    runtime.command(["events", "no-such"]).run().fails().says("does not exist").discard();
}

#[test]
fn privileged_events_end_when_nobody_reads_them() {
    let runtime = Runtime::new();
    let bundle = sleeper(&runtime, &json!({}));
    let script = "\"$@\" | head -n 1";
    let words = ["sh", "-c", script, "sh"];
    let events = runtime.command(["events", "--interval", "10ms", bundle.id()]).through(words);
    let outcome = events.run().succeeds();
    assert_eq!(outcome.stdout.lines().count(), 1);
}
