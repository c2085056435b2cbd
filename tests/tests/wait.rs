//! `wait`: how containers end, told to whoever is not their parent.

use mydocker_tests::{Bundle, Running, Runtime, procfs, wait};
use serde_json::{Value, json};

/// A container that ends as `script` says once `/go` is there; nobody who knows the runtime is its parent.
fn waiting(runtime: &Runtime, script: &str, change: impl FnOnce(&mut Value)) -> Bundle {
    let script = format!("while [ ! -e /go ]; do sleep 0.01; done; {script}");
    let bundle = runtime.bundle().script(&script).with(change);
    runtime.run_detached(&bundle);
    bundle
}

fn begin(runtime: &Runtime, bundle: &Bundle) -> Running {
    let wait = runtime.command(["wait", "--format", "json", bundle.id()]).spawn();
    wait::until("wait to watch the container's memory, which it does last", || {
        procfs::watches_memory(wait.pid()).then_some(())
    });
    wait
}

fn go(bundle: &Bundle) {
    std::fs::write(bundle.path("go"), "").expect("the root is writable");
}

/// How the container ended that `script` ends.
fn ended(runtime: &Runtime, script: &str, change: impl FnOnce(&mut Value)) -> (Bundle, Value) {
    let bundle = waiting(runtime, script, change);
    let wait = begin(runtime, &bundle);
    go(&bundle);
    let document = wait.wait().succeeds().json();
    (bundle, document)
}

#[test]
fn privileged_the_exit_code_of_a_detached_container_is_told_and_recorded() {
    let runtime = Runtime::new();
    let (bundle, document) = ended(&runtime, "exit 7", |_| {});
    assert_eq!((&document["status"], &document["code"]), (&json!(7), &json!(7)));
    assert_eq!((&document["cause"], &document["id"]), (&json!("exited"), &json!(bundle.id())));
    assert!(document.get("signal").is_none() && document.get("unknown").is_none());
    // Whoever asks later reads what was recorded; runtime.md, State, allows further properties.
    assert_eq!(runtime.state(bundle.id())["exit"]["status"], 7);
    let again = runtime.command(["wait", bundle.id()]).run().succeeds();
    assert_eq!(again.stdout, "7\n");
    let list = runtime.command(["list", "--format", "json"]).run().succeeds().json();
    assert_eq!(list[0]["exit"]["cause"], "exited");
}

#[test]
fn privileged_a_signal_is_told_as_a_shell_would() {
    let runtime = Runtime::new();
    let bundle = waiting(&runtime, "true", |_| {});
    let wait = begin(&runtime, &bundle);
    runtime.kill(bundle.id(), "KILL").succeeds().discard();
    let document = wait.wait().succeeds().json();
    assert_eq!((&document["status"], &document["signal"]), (&json!(137), &json!(9)));
    assert_eq!(document["cause"], "signal");
}

#[test]
fn privileged_a_program_killed_for_want_of_memory_is_told_apart() {
    let runtime = Runtime::new();
    let (_, document) = ended(&runtime, "exec dd if=/dev/zero of=/dev/null bs=200M count=1", |config| {
        config["linux"]["resources"]["memory"] = json!({"limit": 33_554_432, "swap": 33_554_432});
    });
    assert_eq!(
        (&document["status"], &document["cause"]),
        (&json!(137), &json!("out-of-memory")),
        "{document}"
    );
    assert!(document["oomKills"].as_u64() > Some(0), "{document}");
}

#[test]
fn privileged_a_program_killed_by_its_system_call_filter_is_told_apart() {
    let runtime = Runtime::new();
    let (_, document) = ended(&runtime, "exec mkdir /forbidden", |config| {
        let rule = json!({"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL_PROCESS"});
        config["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [rule]});
    });
    assert_eq!((&document["status"], &document["cause"]), (&json!(159), &json!("seccomp")), "{document}");
}

#[test]
fn privileged_the_end_of_a_container_that_its_caller_deletes_is_told() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("while [ ! -e /go ]; do sleep 0.01; done; exit 5");
    let run = runtime.spawn(&bundle);
    wait::until("the container to run", || runtime.knows(bundle.id()).then_some(()));
    runtime.wait_for_status(bundle.id(), "running");
    let wait = begin(&runtime, &bundle);
    go(&bundle);
    assert_eq!(wait.wait().succeeds().json()["status"], 5);
    run.wait().exits(5).discard();
    assert!(!runtime.knows(bundle.id()));
}

#[test]
fn privileged_a_kept_container_remembers_how_it_ended() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("exit 9");
    runtime.bundle_command("run", &bundle, &["--keep"]).run().exits(9).discard();
    assert_eq!(runtime.command(["wait", bundle.id()]).run().succeeds().stdout, "9\n");
}

#[test]
fn privileged_a_created_container_is_waited_for_through_its_start() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("exit 3");
    runtime.create(&bundle).succeeds().discard();
    let wait = begin(&runtime, &bundle);
    runtime.start(bundle.id()).succeeds().discard();
    assert_eq!(wait.wait().succeeds().json()["status"], 3);
}

#[test]
fn privileged_an_end_that_nobody_saw_is_unknown_and_said_to_be() {
    let runtime = Runtime::new();
    let bundle = waiting(&runtime, "exit 4", |_| {});
    let pid = runtime.pid(bundle.id());
    go(&bundle);
    // The harness reaps orphans; nobody asks before it has.
    wait::until("the process to be reaped", || {
        (!std::path::Path::new(&format!("/proc/{pid}")).exists()).then_some(())
    });
    let outcome = runtime.command(["wait", "--format", "json", bundle.id()]).run().fails();
    let document: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    assert!(document["unknown"].as_str().is_some_and(|why| !why.is_empty()), "{document}");
    assert!(document.get("status").is_none(), "{document}");
    let outcome = runtime.command(["wait", bundle.id()]).run().fails().says("not known");
    assert_eq!(outcome.stdout, "");
    assert!(runtime.state(bundle.id()).get("exit").is_none());
    runtime.command(["wait", "no-such"]).run().fails().says("does not exist").discard();
}
