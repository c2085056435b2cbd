//! The program as its callers see it: exit statuses, and what goes to which descriptor.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

fn runtime(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mydocker-runtime"));
    command.args(words);
    command
}

fn run(words: &[&str]) -> Output {
    runtime(words).output().expect("the program runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn the_version_goes_to_standard_output() {
    let output = run(&["--version"]);
    assert!(output.status.success() && output.stderr.is_empty());
    assert!(text(&output.stdout).starts_with("mydocker-runtime version "));
}

#[test]
fn usage_errors_have_runcs_exit_status_and_one_line() {
    for (words, status) in [(&["state"][..], 1), (&["--bogus", "list"], 1), (&["exec"], 1), (&["bogus"], 3)] {
        let output = run(words);
        assert_eq!(output.status.code(), Some(status), "{words:?}");
        let stderr = text(&output.stderr);
        assert!(stderr.starts_with("time=\"") && stderr.contains(" level=error msg="), "{stderr}");
        assert!(stderr.lines().count() == 1 && output.stdout.is_empty(), "{stderr}");
    }
}

#[test]
fn an_error_goes_to_the_log_as_json_and_to_a_person_in_plain_words() {
    let log = PathBuf::from(format!("/tmp/mydocker-command-line-{}.json", std::process::id()));
    let path = log.to_str().expect("a plain path");
    let output = run(&["--log", path, "--log-format", "json", "state"]);
    let line = fs::read_to_string(&log).expect("the log");
    fs::remove_file(&log).expect("removable");
    let entry: serde_json::Value = serde_json::from_str(&line).expect("one JSON object");
    assert_eq!((&entry["level"], &entry["code"]), (&"error".into(), &"usage".into()));
    let message = entry["msg"].as_str().expect("a message");
    let stderr = text(&output.stderr);
    assert!(stderr.starts_with(message) && stderr.lines().count() == 1, "{stderr}");
}

#[test]
fn a_reader_that_has_gone_is_no_panic() {
    for words in [&["features"][..], &["--help"], &["--version"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = runtime(words).stdout(writer).output().expect("the program runs");
        assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
    }
}

#[test]
fn a_full_disk_behind_standard_output_is_an_error() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let output = runtime(&["features"]).stdout(full).output().expect("the program runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("code=output-failed"));
}

#[test]
fn amounts_and_spans_of_time_that_are_none_are_usage_errors() {
    for (words, part) in [
        (&["update", "--memory", "lots", "c"][..], "amount of bytes"),
        (&["update", "--pids-limit", "many", "c"], "--pids-limit"),
        (&["update", "--cpu-share=-5", "c"], "--cpu-share"),
        (&["events", "--interval", "soon", "c"], "span of time"),
        (&["events", "--interval", "0s", "c"], "must be greater than 0"),
        (&["wait", "--format", "yaml", "c"], "--format"),
        (&["gc", "c"], "accepts no arguments"),
        (&["update"], "requires exactly 1 argument"),
        (&["events"], "requires exactly 1 argument"),
        (&["wait"], "requires exactly 1 argument"),
    ] {
        let output = run(words);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        assert!(stderr.contains("code=usage") && stderr.contains(part), "{words:?}: {stderr}");
    }
}

#[test]
fn commands_on_a_container_that_is_not_there_say_so() {
    let root = format!("/tmp/mydocker-no-such-root-{}", std::process::id());
    for words in [&["update", "--pids-limit", "5", "c"][..], &["events", "c"], &["wait", "c"]] {
        let output = runtime(&["--root", &root]).args(words).output().expect("the program runs");
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        assert!(text(&output.stderr).contains("container does not exist"), "{}", text(&output.stderr));
    }
    let output = runtime(&["--root", &root, "gc"]).output().expect("the program runs");
    assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty());
}

#[test]
fn timings_are_told_after_what_the_command_says() {
    let output = run(&["--timings", "features"]);
    assert!(output.status.success() && serde_json::from_slice::<serde_json::Value>(&output.stdout).is_ok());
    assert!(
        text(&output.stderr).starts_with("timings of features in microseconds\n"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn features_is_a_json_document() {
    let output = run(&["features"]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(document["ociVersionMax"], "1.3.0");
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    let output = run(&["restore", "--no-pivot", "box"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("--no-pivot is not supported"));
}

#[test]
fn the_criu_program_can_be_named_and_is_missed_by_its_name() {
    let output = run(&["--criu", "/no/such/criu", "restore", "box"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("/no/such/criu") && said.contains("install the package criu"), "{said}");
    assert!(run(&["--criu", "/no/such/criu", "features"]).stderr.is_empty());
}
