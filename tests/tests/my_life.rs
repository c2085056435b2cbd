//! The life of containers: started, stopped, started again, removed.

use mydocker_tests::{Engine, wait};
use rustix::process::Signal;
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

/// The words of `run` for a shell script over a view of this host.
fn script<'a>(flags: &[&'a str], text: &'a str) -> Vec<&'a str> {
    let mut words = vec!["run", "--network", "none"];
    words.extend(flags);
    words.extend(["/bin/sh", "-c", text]);
    words
}

/// Says `ready` and waits; TERM has it say `bye` and end with 9.
const POLITE: &str = "trap 'echo bye; exit 9' TERM; echo ready; while :; do sleep 0.1; done";

#[test]
fn privileged_without_the_monitor_s_program_nothing_is_started() {
    let engine = Engine::new();
    let nowhere = engine.path("mydocker-monitor");
    let run = engine.command(script(&["-d", "--name", "a"], "true")).env("MYDOCKER_MONITOR", &nowhere).run();
    run.exits(125).says("install mydocker-monitor beside mydocker").discard();
    assert_eq!(engine.ok(["start", "a"]), "a");
}

#[test]
fn privileged_a_monitor_of_another_version_is_refused() {
    let engine = Engine::new();
    let other = engine.path("mydocker-monitor");
    let program = mydocker_tests::engine::monitor_program();
    let text = format!("#!/bin/sh\nexec '{}' \"$1\" \"$2\" \"$3\" \"$4\" 9.8.7\n", program.display());
    fs::write(&other, text).expect("room");
    fs::set_permissions(&other, fs::Permissions::from_mode(0o755)).expect("an own file");
    let run = engine.command(script(&["-d", "--name", "a"], "true")).env("MYDOCKER_MONITOR", &other).run();
    run.exits(125).says("mydocker of 9.8.7; install both of the same version").discard();
    assert_eq!(engine.ok(["start", "a"]), "a");
}

#[test]
fn privileged_a_container_whose_monitor_is_of_another_version_can_be_ended() {
    let engine = Engine::new();
    let id = engine.ok(script(&["-d", "--name", "a", "--restart", "always"], POLITE));
    wait_for_word(&engine, "a", "ready");
    let run = engine.path("run/containers").join(&id[..32]);
    fs::rename(run.join("attach-1.sock"), run.join("attach-77.sock")).expect("a socket");
    for command in ["attach", "wait"] {
        engine.command([command, "a"]).run().exits(1).says("monitor is of another version").discard();
    }
    assert_eq!(engine.ok(["exec", "a", "echo", "in"]), "in");
    assert_eq!(engine.ok(["stop", "a"]), "a");
    assert_eq!(status(&engine, "a"), "exited");
    assert_eq!(engine.state("a")["exit_code"], 9);
    assert_eq!(engine.ok(["start", "a"]), "a");
    assert_eq!(engine.ok(["rm", "-f", "a"]), "a");
}

/// Waits until a container has printed a word.
fn wait_for_word(engine: &Engine, name: &str, word: &str) {
    wait::until(word, || engine.ok(["logs", name]).contains(word).then_some(()));
}

fn status(engine: &Engine, name: &str) -> String {
    engine.ok(["ps", "-a", "--filter", &format!("name=^{name}$"), "--format", "{{.State}}"])
}

#[test]
fn privileged_a_container_is_stopped_started_again_and_removed() {
    let engine = Engine::new();
    let id = engine.ok(script(&["-d", "--name", "polite"], POLITE));
    assert_eq!(id.len(), 64);
    wait_for_word(&engine, "polite", "ready");
    assert_eq!(engine.ok(["stop", "polite"]), "polite");
    let state = engine.state("polite");
    assert_eq!((&state["exit_code"], &state["status"]), (&json!(9), &json!("exited")));
    assert!(state["finished_at"].is_string() && state["process"].is_null() && state["monitor"].is_null());
    // What is stopped is stopped.
    assert_eq!(engine.ok(["stop", &id[..12]]), &id[..12]);
    assert_eq!(engine.ok(["start", "polite"]), "polite");
    assert_eq!(engine.ok(["start", "polite"]), "polite");
    assert_eq!(status(&engine, "polite"), "running");
    engine.command(["rm", "polite"]).run().exits(1).says("stop the container before removing").discard();
    assert_eq!(engine.ok(["restart", "-t", "5", "polite"]), "polite");
    assert_eq!(status(&engine, "polite"), "running");
    assert_eq!(engine.ok(["rm", "-f", "polite"]), "polite");
    engine.command(["rm", "polite"]).run().exits(1).says("No such container: polite").discard();
    engine.command(["rm", "-f", "polite"]).run().exits(0).says("No such container: polite").discard();
    assert!(engine.ids().is_empty());
}

#[test]
fn privileged_what_does_not_end_is_killed_and_the_stop_signal_is_the_containers() {
    let engine = Engine::new();
    engine.ok(script(&["-d", "--name", "deaf"], "trap '' TERM; echo ready; while :; do sleep 0.1; done"));
    engine.ok(script(
        &["-d", "--name", "own", "--stop-signal", "USR1"],
        "trap 'exit 4' USR1; echo ready; while :; do sleep 0.1; done",
    ));
    for name in ["deaf", "own"] {
        wait_for_word(&engine, name, "ready");
    }
    assert_eq!(engine.ok(["stop", "-t", "1", "deaf", "own"]), "deaf\nown");
    assert_eq!(engine.state("deaf")["exit_code"], 137);
    assert_eq!(engine.state("deaf")["signal"], 9);
    assert_eq!(engine.state("own")["exit_code"], 4);
}

#[test]
fn privileged_kill_sends_any_signal_to_what_runs_alone() {
    let engine = Engine::new();
    engine
        .ok(script(&["-d", "--name", "a"], "trap 'echo usr1' USR1; echo ready; while :; do sleep 0.1; done"));
    wait_for_word(&engine, "a", "ready");
    assert_eq!(engine.ok(["kill", "-s", "USR1", "a"]), "a");
    wait_for_word(&engine, "a", "usr1");
    engine
        .command(["kill", "--signal", "NOSUCH", "a"])
        .run()
        .exits(1)
        .says("Invalid signal: NOSUCH")
        .discard();
    assert_eq!(engine.ok(["kill", "a"]), "a");
    assert_eq!(engine.ok(["wait", "a"]), "137");
    engine.command(["kill", "a"]).run().exits(1).says("is not running").discard();
}

#[test]
fn privileged_wait_prints_the_status_of_each() {
    let engine = Engine::new();
    engine.ok(script(&["-d", "--name", "three"], "sleep 0.5; exit 3"));
    engine.ok(script(&["-d", "--name", "five"], "exit 5"));
    assert_eq!(engine.ok(["wait", "three", "five"]), "3\n5");
    let waited = engine.command(["wait", "nosuch", "three"]).run().exits(1).says("No such container: nosuch");
    assert_eq!(waited.stdout, "3\n");
}

#[test]
fn privileged_what_is_paused_stands_still_until_it_goes_on_or_is_removed() {
    let engine = Engine::new();
    engine.ok(script(&["-d", "--name", "a"], POLITE));
    wait_for_word(&engine, "a", "ready");
    engine.command(["unpause", "a"]).run().exits(1).says("is not paused").discard();
    engine.ok(["pause", "a"]);
    assert_eq!(status(&engine, "a"), "paused");
    engine.command(["pause", "a"]).run().exits(1).says("already paused").discard();
    engine.command(["exec", "a", "true"]).run().exits(1).says("unpause the container before exec").discard();
    engine.command(["start", "a"]).run().exits(1).says("try unpause instead").discard();
    engine.command(["rm", "a"]).run().exits(1).says("must be unpaused first").discard();
    engine.command(["attach", "a"]).run().exits(1).says("cannot attach to a paused container").discard();
    engine.ok(["unpause", "a"]);
    engine.ok(["exec", "a", "true"]);
    engine.ok(["pause", "a"]);
    engine.ok(["stop", "a"]);
    assert_eq!(engine.state("a")["exit_code"], 9);
    engine.command(["pause", "a"]).run().exits(1).says("is not running").discard();
    engine.ok(["start", "a"]);
    engine.ok(["pause", "a"]);
    engine.ok(["rm", "-f", "a"]);
}

#[test]
fn privileged_policies_start_what_has_ended_again() {
    let engine = Engine::new();
    engine.ok(script(&["-d", "--name", "twice", "--restart", "on-failure:2"], "echo run; exit 7"));
    engine.wait_for_record("twice", "exited");
    let state = engine.state("twice");
    assert_eq!((&state["restart_count"], &state["exit_code"]), (&json!(2), &json!(7)));
    assert_eq!(engine.ok(["logs", "twice"]), "run\nrun\nrun");
    engine.ok(script(&["-d", "--name", "well", "--restart", "on-failure"], "exit 0"));
    engine.wait_for_record("well", "exited");
    assert_eq!(engine.state("well")["restart_count"], 0);
}

#[test]
fn privileged_who_is_stopped_or_killed_by_hand_stays_so() {
    let engine = Engine::new();
    engine.ok(script(&["-d", "--name", "always", "--restart", "always"], POLITE));
    wait_for_word(&engine, "always", "ready");
    engine.ok(["stop", "always"]);
    assert_eq!(status(&engine, "always"), "exited");
    engine.ok(["start", "always"]);
    engine.ok(["kill", "always"]);
    engine.ok(["wait", "always"]);
    engine.wait_for_record("always", "exited");
    assert_eq!(engine.state("always")["restart_count"], 0);
}

#[test]
fn privileged_a_stop_ends_the_wait_for_the_next_try() {
    let engine = Engine::new();
    engine.ok(script(&["-d", "--name", "eager", "--restart", "always"], "exit 1"));
    // The pauses double: soon there is one to be met.
    wait::until("some tries", || (engine.state("eager")["restart_count"].as_u64() >= Some(4)).then_some(()));
    wait::until("a pause that is as long as a command", || {
        engine.wait_for_record("eager", "restarting");
        let before = engine.state("eager")["restart_count"].clone();
        let exec = engine.command(["exec", "eager", "true"]).run();
        let state = engine.state("eager");
        let same = state["status"] == "restarting" && state["restart_count"] == before;
        same.then(|| exec.exits(1).says("restarting").discard())
    });
    engine.ok(["stop", "eager"]);
    assert_eq!(status(&engine, "eager"), "exited");
    let count = engine.state("eager")["restart_count"].clone();
    engine.ok(["start", "eager"]);
    engine.ok(["rm", "-f", "eager"]);
    assert!(count.as_u64() >= Some(4));
}

#[test]
fn privileged_a_container_that_fails_to_start_says_so_and_stays() {
    let engine = Engine::new();
    let none = ["--network", "none"];
    engine.ok(["create", "--name", "none", none[0], none[1], "/bin/no-such-program"]);
    engine.ok(["create", "--name", "good", none[0], none[1], "/bin/true"]);
    let started = engine.command(["start", "none", "good"]).run().exits(1).says("no such file or directory");
    assert_eq!(started.stdout, "good\n");
    let state = engine.state("none");
    assert_eq!((&state["status"], &state["exit_code"]), (&json!("created"), &json!(127)));
    assert!(state["error"].as_str().is_some_and(|error| error.contains("no-such-program")), "{state}");
    engine.command(["run", none[0], none[1], "--rm", "/bin/no-such-program"]).run().exits(127).discard();
    engine.command(["run", none[0], none[1], "--rm", "/bin"]).run().exits(126).discard();
    assert_eq!(engine.ids().len(), 2);
    engine.command(["start"]).run().exits(1).says("name the containers").discard();
    engine
        .command(["start", "-a", "none", "good"])
        .run()
        .exits(1)
        .says("start and attach multiple")
        .discard();
}

#[test]
fn privileged_a_runtime_that_is_missing_is_named_and_leaves_nothing_that_stays() {
    let engine = Engine::with_busybox();
    let run = |flags: &[&str]| {
        let words = ["run", "--network=none", "--runtime=no-such-runtime"].iter().chain(flags);
        engine.command(words.chain(&["busybox", "true"])).run().exits(125).says("no-such-runtime").discard();
    };
    run(&["--rm"]);
    assert_eq!(engine.ids(), Vec::<String>::new());
    run(&["--name=kept"]);
    engine.ok(["rm", "kept"]);
}

#[test]
fn privileged_rm_at_the_end_happens_whoever_started_it_lives() {
    let engine = Engine::new();
    let caller =
        engine.command(script(&["--rm", "--name", "gone"], "echo ready; sleep 0.5; echo late")).spawn();
    caller.wait_for_output("ready");
    caller.signal(Signal::KILL);
    drop(caller);
    wait::until("the container to be removed", || engine.ids().is_empty().then_some(()));
    engine.ok(script(&["-d", "--rm", "--name", "bg"], POLITE));
    engine.ok(["restart", "bg"]);
    assert_eq!(status(&engine, "bg"), "running");
    engine.ok(["stop", "bg"]);
    assert!(engine.ids().is_empty());
}

#[test]
fn privileged_a_kill_for_want_of_memory_is_told() {
    let engine = Engine::new();
    engine.ok(script(
        &["-d", "--name", "hungry", "-m", "24m", "--memory-swap", "24m"],
        "tail /dev/zero; exit 42",
    ));
    engine.ok(["wait", "hungry"]);
    let state = engine.state("hungry");
    assert_eq!(state["oom_killed"], true, "{state}");
    assert_eq!(engine.inspect("hungry")["State"]["OOMKilled"], true);
}

#[test]
fn privileged_health_is_what_the_checks_say() {
    let engine = Engine::new();
    let checks = [
        "-d",
        "--name",
        "sick",
        "--health-cmd",
        "echo looking; test -e /tmp/well",
        "--health-interval",
        "100ms",
        "--health-retries",
        "2",
    ];
    engine.ok(script(&checks, "touch /tmp/well; echo ready; while :; do sleep 0.1; done"));
    let health = |status: &str| {
        wait::until(status, || (engine.state("sick")["health"]["Status"] == status).then_some(()));
        engine.state("sick")["health"].clone()
    };
    let well = health("healthy");
    assert_eq!(well["Log"][0]["Output"], "looking\n");
    engine.ok(["exec", "sick", "rm", "/tmp/well"]);
    let ill = health("unhealthy");
    assert!(ill["FailingStreak"].as_u64() >= Some(2), "{ill}");
    assert!(ill["Log"].as_array().is_some_and(|log| log.len() <= 5), "{ill}");
    engine.ok(["exec", "sick", "touch", "/tmp/well"]);
    assert_eq!(health("healthy")["FailingStreak"], 0);
}

#[test]
fn privileged_a_check_that_takes_too_long_is_ended() {
    let engine = Engine::new();
    let checks = [
        "-d",
        "--name",
        "slow",
        "--health-cmd",
        "echo began; sleep 77",
        "--health-interval",
        "50ms",
        "--health-timeout",
        "200ms",
        "--health-retries",
        "1",
    ];
    engine.ok(script(&checks, "while :; do sleep 0.1; done"));
    wait::until("the verdict", || (engine.state("slow")["health"]["Status"] == "unhealthy").then_some(()));
    let log = engine.state("slow")["health"]["Log"][0].clone();
    assert_eq!(log["ExitCode"], -1);
    assert!(log["Output"].as_str().is_some_and(|text| text.contains("exceeded timeout")), "{log}");
}
