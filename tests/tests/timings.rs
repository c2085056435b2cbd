//! `--timings`: how long each part of a command took, for a person and for a program.

use mydocker_tests::{Bundle, Invocation, Runtime};
use serde_json::Value;
use std::fs;

/// The phases in the log of a command with `--timings --log-format json`.
fn phases(runtime: &Runtime, command: impl FnOnce(Invocation) -> Invocation) -> (Value, Vec<String>) {
    let log = runtime.scratch().join("timings.json");
    let path = log.to_str().expect("a plain path");
    let words = ["--timings", "--log", path, "--log-format", "json"];
    command(runtime.command(words)).run().succeeds().discard();
    let text = fs::read_to_string(&log).expect("the log was written");
    fs::remove_file(&log).expect("an own file");
    let entry: Value = serde_json::from_str(text.lines().last().expect("a line")).expect("JSON");
    assert_eq!((&entry["level"], &entry["msg"]), (&"info".into(), &"timings".into()), "{text}");
    let list = entry["phases"].as_array().expect("a list").clone();
    let own = |part: &&Value| part.get("process").is_none();
    let sum: u64 = list.iter().filter(own).map(|part| part["us"].as_u64().expect("a number")).sum();
    assert_eq!(entry["total"].as_u64(), Some(sum), "{text}");
    let names = list.iter().map(|part| part["phase"].as_str().expect("a name").to_owned()).collect();
    (entry, names)
}

fn has(names: &[String], wanted: &[&str]) {
    for name in wanted {
        assert!(names.iter().any(|found| found == name), "{name} in {names:?}");
    }
}

fn with_bundle<'a>(verb: &'a str, bundle: &'a Bundle) -> impl FnOnce(Invocation) -> Invocation + 'a {
    move |command| command.args([verb, "--bundle"]).arg(bundle.dir()).arg(bundle.id())
}

#[test]
fn privileged_each_part_of_create_start_exec_and_run_is_told() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["sleep", "1000"]);
    let (entry, names) = phases(&runtime, with_bundle("create", &bundle));
    assert_eq!(entry["command"], "create");
    has(&names, &["program-start", "config", "plan", "record", "cgroup", "clone", "set-up", "created"]);
    let first: Vec<&Value> = entry["phases"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|part| part["process"] == "first")
        .collect();
    for name in ["mounts", "ready"] {
        assert!(first.iter().any(|part| part["phase"] == name), "{name} in {first:?}");
    }
    let (entry, names) = phases(&runtime, |command| command.args(["start", bundle.id()]));
    assert_eq!(entry["command"], "start");
    has(&names, &["config", "record", "execve", "poststart"]);
    let (entry, names) = phases(&runtime, |command| command.args(["exec", bundle.id(), "true"]));
    assert_eq!(entry["command"], "exec");
    has(&names, &["config", "plan", "clone", "set-up", "execve", "program"]);
    let bundle = runtime.bundle().args(["true"]);
    let (_, names) = phases(&runtime, with_bundle("run", &bundle));
    has(&names, &["config", "set-up", "execve", "program", "delete"]);
}

#[test]
fn privileged_a_person_reads_a_line_for_each_part_on_standard_error() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("echo out");
    let outcome = with_bundle("run", &bundle)(runtime.command(["--timings"])).run().succeeds();
    assert_eq!(outcome.stdout, "out\n");
    assert!(outcome.stderr.starts_with("timings of run in microseconds\n"), "{}", outcome.stderr);
    for part in ["  config ", "  first process: mounts ", "  total "] {
        assert!(outcome.stderr.contains(part), "{part}: {}", outcome.stderr);
    }
    let numbers =
        outcome.stderr.lines().skip(1).map(|line| line.rsplit(' ').next().unwrap_or_default().parse::<u64>());
    assert!(numbers.into_iter().all(|number| number.is_ok()), "{}", outcome.stderr);
}

#[test]
fn privileged_what_was_done_before_a_failure_is_told_too() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["never-was"]);
    let outcome = with_bundle("run", &bundle)(runtime.command(["--timings"])).run().fails();
    assert!(outcome.stderr.contains("  config "), "{}", outcome.stderr);
    assert!(
        outcome.stderr.lines().last().is_some_and(|line| line.contains("never-was")),
        "{}",
        outcome.stderr
    );
}

#[test]
fn privileged_without_the_flag_nothing_is_told_and_no_call_is_made_for_it() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["true"]);
    let (outcome, without) = runtime.count_syscalls(runtime.run_command(&bundle));
    assert_eq!(outcome.succeeds().stderr, "");
    let command = with_bundle("run", &bundle)(runtime.command(["--timings"]));
    let (outcome, with) = runtime.count_syscalls(command);
    outcome.succeeds().discard();
    // One look at the CPU time, one message of the first process with its receipt, and the words themselves.
    assert!(with > without, "{with} calls with the flag, {without} without");
}
