//! `explain` on configurations that real programs made: its output is compared with files under `testdata/golden`,
//! which `UPDATE_GOLDEN=1` rewrites.
//!
//! The hierarchies of cgroups are the host's, and what concerns them is left out of the comparison here; the unit tests
//! of the command compare it for a host of each kind.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// The configurations, each by what made it: `testdata/config-NAME.json`.
const CONFIGS: [&str; 7] =
    ["runc", "runc-rootless", "docker", "docker-seccomp", "podman", "podman-userns", "containerd"];

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_mydocker-runtime");

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

/// A bundle that holds nothing but the configuration, readable to everybody.
fn bundle(config: &str) -> TempDir {
    let bundle = tempfile::tempdir().expect("a temporary directory");
    fs::set_permissions(bundle.path(), Permissions::from_mode(0o755)).expect("an own directory");
    let source = testdata().join(format!("config-{config}.json"));
    fs::copy(&source, bundle.path().join("config.json")).expect("a configuration");
    bundle
}

fn text(output: Output) -> String {
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The output for a configuration, with `BUNDLE` in place of the directory.
fn explain(config: &str, format: &str) -> String {
    let bundle = bundle(config);
    let output = Command::new(PROGRAM).args(["explain", "--format", format]).arg(bundle.path()).output();
    let directory = bundle.path().to_str().expect("a plain path");
    text(output.expect("the program runs")).replace(directory, "BUNDLE")
}

/// The text without the part that tells the host's cgroup hierarchies: what comes before the heading of the runtime's
/// part, and the lines below a mount of cgroups.
fn without_hierarchies(text: &str) -> String {
    let (_, rest) = text.split_once("runtime\n").expect("the runtime's part");
    let lines = rest.lines().filter(|line| !line.starts_with("    cgroup "));
    let lines = lines.map(|line| line.replace("mount the cgroup hierarchies", "mount cgroups"));
    let lines = lines.map(|line| line.replace("mount cgroup2", "mount cgroups"));
    lines.fold("runtime\n".to_owned(), |text, line| text + &line + "\n")
}

/// The same of the JSON document.
fn document_without_hierarchies(text: &str) -> String {
    let mut document: Value = serde_json::from_str(text).expect("JSON");
    document.as_object_mut().expect("an object").remove("cgroup").expect("the host's cgroups");
    for step in document["steps"].as_array_mut().expect("steps") {
        if step.pointer("/what/kind").and_then(Value::as_str).is_some_and(|kind| kind.starts_with("cgroup")) {
            step["what"] = json!({ "kind": "cgroup" });
        }
    }
    serde_json::to_string_pretty(&document).expect("a document") + "\n"
}

fn compare(found: &str, name: &str) {
    let golden = testdata().join("golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&golden, found).expect("the golden file is writable");
    }
    let expected =
        fs::read_to_string(&golden).unwrap_or_else(|error| panic!("{}: {error}", golden.display()));
    assert!(
        found == expected,
        "{name} differs (UPDATE_GOLDEN=1 rewrites it); the first difference is\n  now:    {}\n  golden: {}",
        first_difference(found, &expected),
        first_difference(&expected, found),
    );
}

fn first_difference<'a>(text: &'a str, other: &str) -> &'a str {
    let mut others = other.lines();
    text.lines().find(|line| others.next() != Some(line)).unwrap_or("nothing more")
}

#[test]
fn the_plans_of_real_configurations_are_the_golden_ones() {
    for config in CONFIGS {
        compare(&without_hierarchies(&explain(config, "text")), &format!("{config}.txt"));
    }
}

#[test]
fn the_plan_as_json_is_the_golden_one() {
    compare(&document_without_hierarchies(&explain("runc", "json")), "runc.json");
}

#[test]
fn the_json_document_has_a_step_for_every_line_of_the_text() {
    for config in CONFIGS {
        let document: Value = serde_json::from_str(&explain(config, "json")).expect("JSON");
        let steps = document["steps"].as_array().expect("steps").len();
        let text = explain(config, "text");
        let (_, first_process) = text.split_once("\nnamespaces\n").expect("the first process's part");
        let lines = first_process.lines().filter(|line| line.starts_with("  ") && !line.starts_with("    "));
        assert_eq!(lines.count(), steps, "{config}");
        assert!(
            document["cgroup"]["directories"].as_array().is_some_and(|list| !list.is_empty()),
            "{config}"
        );
    }
}

#[test]
fn privileged_explain_needs_no_privilege_and_says_the_same_to_everybody() {
    for config in CONFIGS {
        let bundle = bundle(config);
        // The build directory may be closed to others.
        let program = bundle.path().join("runtime");
        fs::copy(PROGRAM, &program).expect("a copy of the program");
        let mut nobody = Command::new("setpriv");
        nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]);
        let output = nobody.arg(&program).arg("explain").arg(bundle.path()).current_dir("/").output();
        let found = text(output.expect("setpriv runs"));
        let directory = bundle.path().to_str().expect("a plain path");
        assert_eq!(found.replace(directory, "BUNDLE"), explain(config, "text"), "{config}");
    }
}

/// The system calls that a program may need to read files and to print: none of them changes anything.
const HARMLESS: [&str; 28] = [
    "read",
    "pread64",
    "newfstatat",
    "statx",
    "execve",
    "brk",
    "arch_prctl",
    "set_tid_address",
    "set_robust_list",
    "rseq",
    "prlimit64",
    "readlinkat",
    "readlink",
    "getrandom",
    "mprotect",
    "mmap",
    "munmap",
    "mremap",
    "poll",
    "rt_sigaction",
    "sigaltstack",
    "sched_getaffinity",
    "geteuid",
    "capget",
    "fstat",
    "getcwd",
    "exit_group",
    "close",
];

#[test]
fn explain_changes_nothing() {
    let bundle = bundle("docker-seccomp");
    let log = tempfile::NamedTempFile::new().expect("a temporary file");
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qq", "-e", "signal=none", "-o"]).arg(log.path()).arg(PROGRAM).arg("explain");
    let output = text(traced.arg(bundle.path()).output().expect("strace runs"));
    assert!(output.ends_with("[\"/bin/true\"]\n"), "{output}");
    let log = fs::read_to_string(log.path()).expect("a log");
    let calls: BTreeSet<&str> =
        log.lines().map(|line| line.split_once(' ').expect("a process id").1.trim_start()).collect();
    let harmful: Vec<_> = calls.into_iter().filter(|call| !is_harmless(call)).collect();
    assert!(harmful.is_empty(), "{harmful:#?}");
    let names: Vec<_> =
        fs::read_dir(bundle.path()).expect("a bundle").flatten().map(|e| e.file_name()).collect();
    assert_eq!(names, ["config.json"]);
}

/// Opening is harmless for reading, and writing to standard output.
fn is_harmless(call: &str) -> bool {
    let (name, arguments) = call.split_once('(').unwrap_or((call, ""));
    match name {
        "open" | "openat" | "openat2" => {
            !["O_WRONLY", "O_RDWR", "O_CREAT"].iter().any(|flag| arguments.contains(flag))
        }
        "write" | "writev" => arguments.starts_with("1, "),
        "fcntl" => arguments.contains("F_GETFD"),
        name => HARMLESS.contains(&name),
    }
}
