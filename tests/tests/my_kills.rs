//! `kill -9` of every process of a container, at every stage: the truth is found, and nothing is left.

use mydocker_tests::{Engine, procfs, wait};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

const WAITS: &str = "echo ready; while :; do sleep 0.1; done";

/// The runtime kills the monitor, and stands still until the kernel has it go as well.
const KILL_AND_DIE: &str = "kill -9 $PPID; kill -STOP $$";

fn script<'a>(flags: &[&'a str], text: &'a str) -> Vec<&'a str> {
    let mut words = vec!["run", "--network", "none"];
    words.extend(flags);
    words.extend(["/bin/sh", "-c", text]);
    words
}

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).expect("a process"), Signal::KILL).expect("it is there");
    wait::until("its end", || (!procfs::is_alive(pid)).then_some(()));
}

fn status(engine: &Engine, name: &str) -> String {
    engine.ok(["ps", "-a", "--filter", &format!("name=^{name}$"), "--format", "{{.State}}"])
}

/// Everything that can be done with a container that is in order.
fn works(engine: &Engine, name: &str) {
    engine.ok(["start", name]);
    assert_eq!(status(engine, name), "running");
    engine.ok(["exec", name, "true"]);
    engine.ok(["stop", "-t", "0", name]);
    assert_eq!(status(engine, name), "exited");
    engine.ok(["rm", name]);
    assert!(engine.ids().is_empty());
}

#[test]
fn privileged_without_its_monitor_a_container_is_seen_stopped_and_started() {
    let engine = Engine::new();
    engine.ok(script(&["-d", "--name", "a"], "while :; do sleep 0.1; done"));
    kill(engine.pid("a", "monitor"));
    assert_eq!(status(&engine, "a"), "running");
    engine.ok(["exec", "a", "true"]);
    engine.command(["rm", "a"]).run().exits(1).says("container is running").discard();
    engine.command(["attach", "a"]).run().exits(1).says("monitor of this container was killed").discard();
    assert_eq!(engine.ok(["logs", "-f", "a"]), "");
    assert_eq!(engine.ok(["stop", "-t", "0", "a"]), "a");
    assert_eq!(status(&engine, "a"), "exited");
    works(&engine, "a");
}

#[test]
fn privileged_who_waits_for_a_container_without_a_monitor_hears_of_its_end() {
    let engine = Engine::new();
    engine.ok(script(&["-d", "--name", "a"], WAITS));
    let waits = engine.command(["wait", "a"]).spawn();
    kill(engine.pid("a", "monitor"));
    kill(engine.pid("a", "process"));
    assert_eq!(waits.wait().succeeds().stdout, "255\n");
    works(&engine, "a");
}

#[test]
fn privileged_without_monitor_and_process_a_container_has_ended() {
    let engine = Engine::new();
    engine.ok(script(&["-d", "--name", "a", "--rm"], WAITS));
    let process = engine.pid("a", "process");
    kill(engine.pid("a", "monitor"));
    kill(process);
    assert_eq!(status(&engine, "a"), "exited");
    engine.command(["exec", "a", "true"]).run().exits(1).says("is not running").discard();
    engine.ok(["rm", "a"]);
    assert!(engine.ids().is_empty());
}

#[test]
fn privileged_a_killed_program_is_an_end_like_others() {
    let engine = Engine::new();
    let client = engine.command(script(&["--name", "a"], WAITS)).spawn();
    client.wait_for_output("ready");
    kill(engine.pid("a", "process"));
    client.wait().exits(137).discard();
    assert_eq!(engine.state("a")["exit_code"], 137);
    works(&engine, "a");
}

#[test]
fn privileged_a_killed_caller_changes_nothing() {
    let engine = Engine::new();
    let client = engine.command(script(&["--name", "a"], WAITS)).spawn();
    client.wait_for_output("ready");
    kill(client.pid());
    drop(client);
    assert_eq!(status(&engine, "a"), "running");
    engine.ok(["stop", "-t", "0", "a"]);
    works(&engine, "a");
}

#[test]
fn privileged_a_caller_hears_that_the_monitor_was_killed() {
    let engine = Engine::new();
    let client = engine.command(script(&["--name", "a"], WAITS)).spawn();
    client.wait_for_output("ready");
    kill(engine.pid("a", "monitor"));
    client.wait().exits(125).says("monitor was killed").discard();
    engine.ok(["rm", "-f", "a"]);
    assert!(engine.ids().is_empty());
}

#[test]
fn privileged_a_monitor_killed_between_two_tries_leaves_what_has_ended() {
    let engine = Engine::new();
    engine.ok(script(&["-d", "--name", "a", "--restart", "always"], "sleep 0.1; exit 1"));
    wait::until("some tries", || (engine.state("a")["restart_count"].as_u64() >= Some(3)).then_some(()));
    wait::until("the monitor to be stopped between two tries", || {
        engine.wait_for_record("a", "restarting");
        let monitor = Pid::from_raw(engine.pid("a", "monitor")).expect("a process");
        kill_process(monitor, Signal::STOP).expect("it is there");
        let stopped = || {
            procfs::status_field_of(&monitor.to_string(), "State").is_some_and(|state| state.starts_with('T'))
        };
        wait::until("it to stand still", || stopped().then_some(()));
        let is_between = engine.state("a")["status"] == "restarting";
        if !is_between {
            kill_process(monitor, Signal::CONT).expect("it is there");
        }
        is_between.then_some(())
    });
    kill(engine.pid("a", "monitor"));
    assert_eq!(status(&engine, "a"), "exited");
    engine.ok(["start", "a"]);
    engine.ok(["rm", "-f", "a"]);
    assert!(engine.ids().is_empty());
}

#[test]
fn privileged_a_monitor_that_is_asked_to_end_ends_its_container() {
    let engine = Engine::new();
    engine.ok(script(
        &["-d", "--name", "a", "--restart", "always"],
        "trap 'exit 6' TERM; echo ready; while :; do sleep 0.1; done",
    ));
    wait::until("ready", || engine.ok(["logs", "a"]).contains("ready").then_some(()));
    kill_process(Pid::from_raw(engine.pid("a", "monitor")).expect("a process"), Signal::TERM)
        .expect("it is there");
    engine.wait_for_record("a", "exited");
    assert_eq!(engine.state("a")["exit_code"], 6);
    assert_eq!(engine.state("a")["stopped_by_hand"], false);
    engine.ok(["rm", "a"]);
}

/// A runtime that does something before or after a command of the true one.
fn runtime_that(engine: &Engine, command: &str, before: &str, after: &str) -> PathBuf {
    let path = engine.path("runtime");
    let true_one = mydocker_tests::runtime::program();
    let text = format!(
        "#!/bin/sh\nfor word in \"$@\"; do\n  if [ \"$word\" = {command} ] && [ ! -e {done} ]; then\n    touch {done}\n    {before}\n    {true_one} \"$@\"; status=$?\n    {after}\n    exit $status\n  fi\ndone\nexec {true_one} \"$@\"\n",
        done = engine.path("done").display(),
        true_one = true_one.display()
    );
    fs::write(&path, text).expect("room");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("an own file");
    path
}

/// Kills monitor or runtime around a command of the runtime, and expects that all is well afterwards.
fn survives(command: &str, before: &str, after: &str) {
    let engine = Engine::new();
    let runtime = runtime_that(&engine, command, before, after);
    let text = "trap 'exit 0' TERM; while :; do sleep 0.1; done";
    let words = script(&["-d", "--name", "a", "--runtime", runtime.to_str().expect("UTF-8")], text);
    let run = engine.command(words).run();
    let what = format!("{command}, {before:?}, {after:?}: {}", run.describe());
    if run.status.code() == Some(0) {
        // Around `delete`: the container ran, and its end is what is disturbed.
        engine.command(["stop", "a"]).run().discard();
    } else {
        assert_eq!(run.status.code(), Some(125), "{what}");
        assert!(run.stderr.contains("killed") || run.stderr.contains("OCI runtime"), "{what}");
    }
    // A killed monitor may leave a container that runs, which is found.
    let state = status(&engine, "a");
    assert!(["created", "exited", "running"].contains(&&*state), "{state}: {what}");
    engine.command(["stop", "-t", "0", "a"]).run().succeeds().discard();
    works(&engine, "a");
}

#[test]
fn privileged_a_monitor_killed_before_the_creation() {
    survives("create", KILL_AND_DIE, "");
}

#[test]
fn privileged_a_monitor_killed_after_the_creation() {
    survives("create", "", "kill -9 $PPID");
}

#[test]
fn privileged_a_monitor_killed_before_the_start() {
    survives("start", KILL_AND_DIE, "");
}

#[test]
fn privileged_a_monitor_killed_after_the_start() {
    survives("start", "", "kill -9 $PPID");
}

#[test]
fn privileged_a_monitor_killed_before_the_end() {
    survives("delete", KILL_AND_DIE, "");
}

#[test]
fn privileged_a_monitor_killed_after_the_end() {
    survives("delete", "", "kill -9 $PPID");
}

#[test]
fn privileged_a_runtime_killed_before_the_creation() {
    survives("create", "kill -9 $$", "");
}

#[test]
fn privileged_a_runtime_killed_after_the_creation() {
    survives("create", "", "kill -9 $$");
}

#[test]
fn privileged_a_runtime_killed_before_the_start() {
    survives("start", "kill -9 $$", "");
}

#[test]
fn privileged_a_runtime_killed_after_the_start() {
    survives("start", "", "kill -9 $$");
}

#[test]
fn privileged_a_runtime_killed_before_the_end() {
    survives("delete", "kill -9 $$", "");
}

#[test]
fn privileged_a_caller_killed_during_the_start_leaves_a_container_that_runs() {
    let engine = Engine::new();
    let runtime = runtime_that(&engine, "create", "while [ ! -e $(dirname $0)/go ]; do sleep 0.05; done", "");
    let words = script(&["-d", "--name", "a", "--runtime", runtime.to_str().expect("UTF-8")], WAITS);
    let caller = engine.command(words).spawn();
    wait::until("the creation", || engine.path("done").exists().then_some(()));
    kill(caller.pid());
    drop(caller);
    // Another start waits for the one that is under way.
    let start = engine.command(["start", "a"]).spawn();
    fs::write(engine.path("go"), "").expect("room");
    start.wait().succeeds().discard();
    assert_eq!(status(&engine, "a"), "running");
    engine.ok(["rm", "-f", "a"]);
    assert!(engine.ids().is_empty());
}

/// Makes a container look as after a reboot: nothing of it runs, and its record is about another boot.
fn lose_power(engine: &Engine, name: &str) {
    if engine.state(name)["status"] == "running" {
        let process = engine.pid(name, "process");
        kill(engine.pid(name, "monitor"));
        kill(process);
    }
    let id = fs::read_link(engine.path("root/names").join(name)).expect("a container");
    let path = engine.path("root/containers").join(id).join("state.json");
    let mut state = engine.state(name);
    state["boot"] = "another".into();
    fs::write(path, state.to_string()).expect("room");
}

#[test]
fn privileged_after_a_reboot_what_should_run_is_started() {
    let engine = Engine::new();
    let text = "trap 'exit 0' TERM; while :; do sleep 0.1; done";
    let all = ["always", "unless-stopped", "on-failure", "no"];
    for policy in all {
        engine.ok(script(&["-d", "--name", policy, "--restart", policy], text));
    }
    engine.ok(script(&["-d", "--name", "stopped", "--restart", "unless-stopped"], text));
    engine.ok(["stop", "stopped"]);
    engine.ok(script(&["-d", "--name", "well", "--restart", "on-failure"], "exit 0"));
    engine.wait_for_record("well", "exited");
    engine.ok(script(&["-d", "--name", "gone", "--rm"], text));
    for name in all.into_iter().chain(["stopped", "well", "gone"]) {
        lose_power(&engine, name);
    }
    let mut started: Vec<_> = engine.ok(["start", "--all-restartable"]).lines().map(str::to_owned).collect();
    started.sort();
    assert_eq!(started, ["always", "on-failure", "unless-stopped"]);
    assert_eq!(status(&engine, "no"), "exited");
    assert_eq!(status(&engine, "gone"), "");
    assert_eq!(engine.ok(["start", "--all-restartable"]), "");
    engine.command(["start", "--all-restartable", "no"]).run().exits(1).says("leave the names out").discard();
}
