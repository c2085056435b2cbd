//! Great numbers: lists that are longer than a field of 16 bits can tell are done whole or refused, and never cut
//! (CVE-2021-43784).

use mydocker_tests::Runtime;
use mydocker_tests::refusal::{must_not_run, refused};
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

/// More than any real bundle has, and more than 64 KiB however it is encoded.
const MANY: u32 = 10_000;

/// How many lines the kernel takes in an id map (`user_namespaces(7)`).
const MOST_MAPPINGS: u32 = 340;

/// So many mappings of a single id each; neighbours do not touch outside, so that nobody can join them. The numbers are small,
/// because the kernel also wants the whole map to be shorter than a page.
fn mappings(count: u32) -> Value {
    let entry = |number: u32| json!({"containerID": number, "hostID": number * 2, "size": 1});
    Value::Array((0..count).map(entry).collect())
}

#[test]
fn privileged_as_many_id_mappings_as_the_kernel_takes_all_arrive() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["cat", "/proc/self/uid_map", "/proc/self/gid_map"]);
    let bundle = bundle.user_namespace(100_000, 1).with(|config| {
        config["linux"]["uidMappings"] = mappings(MOST_MAPPINGS);
        config["linux"]["gidMappings"] = mappings(MOST_MAPPINGS);
    });
    let outcome = runtime.run(&bundle).succeeds();
    let lines: Vec<Vec<u32>> = outcome
        .stdout
        .lines()
        .map(|line| line.split_whitespace().map(|word| word.parse().expect("a number")).collect())
        .collect();
    let wanted: Vec<Vec<u32>> = (0..MOST_MAPPINGS).map(|n| vec![n, n * 2, 1]).collect();
    assert_eq!(lines, [wanted.clone(), wanted].concat());
}

#[test]
fn privileged_ten_thousand_id_mappings_are_refused_by_their_name() {
    let runtime = Runtime::new();
    for field in ["uidMappings", "gidMappings"] {
        let bundle = must_not_run(runtime.bundle()).user_namespace(100_000, 65536);
        let bundle = bundle.with(|config| config["linux"][field] = mappings(MANY));
        refused(&runtime, &bundle).says(field).discard();
    }
}

#[test]
fn privileged_ten_thousand_mounts_are_all_made() {
    let runtime = Runtime::new();
    let source = runtime.scratch().join("source");
    fs::create_dir(&source).expect("the scratch directory is writable");
    let bundle = runtime.bundle().script("grep -c ' /many/' /proc/self/mountinfo").with(|config| {
        let list = config["mounts"].as_array_mut().expect("an array");
        let entry = |number: u32| json!({"destination": format!("/many/{number}"), "type": "bind", "source": source, "options": ["bind"]});
        list.extend((0..MANY).map(entry));
    });
    let outcome = runtime.run_command(&bundle).deadline(Duration::from_secs(300)).run();
    assert_eq!(outcome.succeeds().stdout, format!("{MANY}\n"));
}

#[test]
fn privileged_ten_thousand_devices_are_all_made_and_all_allowed() {
    let runtime = Runtime::new();
    let script = "ls /dev/many | wc -l; for n in 0 9999; do cat /dev/many/$n && echo read; done";
    let bundle = runtime.bundle().script(script).with(|config| {
        let node = |number: u32| json!({"path": format!("/dev/many/{number}"), "type": "c", "major": 1, "minor": 3, "fileMode": 0o666});
        config["linux"]["devices"] = (0..MANY).map(node).collect();
    });
    let outcome = runtime.run_command(&bundle).deadline(Duration::from_secs(300)).run();
    assert_eq!(outcome.succeeds().stdout, format!("{MANY}\nread\nread\n"));
}

#[test]
fn privileged_many_long_strings_arrive_whole() {
    let runtime = Runtime::new();
    // Together beyond 16 bits many times over; each below the kernel's own bound for one string, 128 KiB.
    let words: Vec<String> = (0..20).map(|number| format!("V{number}={}", "x".repeat(60_000))).collect();
    let bundle = runtime
        .bundle()
        .script("env | awk -F= '/^V[0-9]+=x+$/ && length($2) == 60000' | wc -l")
        .with(|config| {
            let env = config["process"]["env"].as_array_mut().expect("an array");
            env.extend(words.iter().map(|word| json!(word)));
        });
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "20\n");
}

#[test]
fn privileged_a_string_that_the_kernel_does_not_take_is_an_error_of_execve() {
    let runtime = Runtime::new();
    let bundle = must_not_run(runtime.bundle()).with(|config| {
        let word = format!("LONG={}", "x".repeat(200_000));
        config["process"]["env"].as_array_mut().expect("an array").push(json!(word));
    });
    refused(&runtime, &bundle).says("argument list too long").discard();
}
