//! `check` and `doctor`: what a bundle asks for in vain, and what the host can do.

use serde_json::{Value, json};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_mydocker-runtime");

/// A bundle with docker's configuration, changed.
fn bundle(change: impl FnOnce(&mut Value)) -> TempDir {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/config-docker.json");
    let mut config: Value =
        serde_json::from_slice(&fs::read(source).expect("a configuration")).expect("JSON");
    change(&mut config);
    let bundle = tempfile::tempdir().expect("a temporary directory");
    fs::set_permissions(bundle.path(), Permissions::from_mode(0o755)).expect("an own directory");
    fs::write(bundle.path().join("config.json"), config.to_string()).expect("an own directory");
    bundle
}

fn check(bundle: &TempDir, flags: &[&str]) -> Output {
    Command::new(PROGRAM).arg("check").args(flags).arg(bundle.path()).output().expect("the program runs")
}

fn stdout(output: &Output) -> &str {
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    std::str::from_utf8(&output.stdout).expect("UTF-8")
}

#[test]
fn a_bundle_that_asks_for_nothing_in_vain_passes_the_strict_check() {
    let bundle = bundle(|_| {});
    let output = check(&bundle, &["--strict"]);
    assert!(output.status.success(), "{}", stdout(&output));
    assert!(stdout(&output).ends_with("config.json: nothing would be refused or ignored\n"));
    assert_eq!(fs::read_dir(bundle.path()).expect("a directory").count(), 1, "check has made something");
}

#[test]
fn an_unknown_property_fails_the_strict_check_alone() {
    let bundle = bundle(|config| config["process"]["noSuchField"] = json!(true));
    let output = check(&bundle, &["--strict"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).starts_with("/process/noSuchField: unknown: "), "{}", stdout(&output));
    let output = check(&bundle, &[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).contains("/process/noSuchField"));
}

#[test]
fn all_findings_of_a_document_are_told_as_json() {
    let bundle = bundle(|config| {
        config["process"]["cwd"] = json!("relative");
        config["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["nosuch"], "action": "SCMP_ACT_LOG"}]});
        config["zos"] = json!({});
    });
    let output = check(&bundle, &["--format", "json", "--strict"]);
    assert_eq!(output.status.code(), Some(1));
    let verdict: Value = serde_json::from_str(stdout(&output)).expect("JSON");
    assert_eq!((&verdict["ok"], &verdict["strict"]), (&json!(false), &json!(true)));
    let findings = verdict["findings"].as_array().expect("a list");
    let told: Vec<_> =
        findings.iter().map(|finding| (finding["pointer"].as_str(), finding["kind"].as_str())).collect();
    assert_eq!(
        told,
        [
            (Some("/zos"), Some("unknown")),
            (Some("/process/cwd"), Some("refused")),
            (Some("/linux/seccomp/syscalls/0/names/0"), Some("ignored")),
        ]
    );
}

#[test]
fn a_directory_without_a_configuration_is_an_error() {
    let empty = tempfile::tempdir().expect("a temporary directory");
    let output = check(&empty, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("config.json does not exist"));
}

fn doctor(command: &mut Command) -> Vec<Value> {
    let output = command.output().expect("the program runs");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_str(stdout(&output)).expect("a list")
}

fn status<'a>(findings: &'a [Value], name: &str) -> &'a str {
    let finding = findings.iter().find(|finding| finding["name"] == name);
    finding.and_then(|finding| finding["status"].as_str()).unwrap_or_else(|| panic!("{name}: {findings:#?}"))
}

#[test]
fn doctor_finds_what_every_machine_of_these_tests_has() {
    let findings = doctor(Command::new(PROGRAM).args(["doctor", "--format", "json"]));
    for name in ["pid namespaces", "openat2", "new mount calls", "clone into a cgroup", "file system overlay"]
    {
        assert_eq!(status(&findings, name), "ok", "{name}");
    }
}

#[test]
fn privileged_doctor_tells_an_ordinary_user_what_is_missing() {
    let copy =
        tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir().expect("a directory");
    let program = copy.path().join("runtime");
    fs::copy(PROGRAM, &program).expect("an own directory");
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "12345", "--regid", "12345", "--clear-groups"]).arg(program);
    let findings = doctor(command.args(["doctor", "--format", "json"]));
    assert_eq!(status(&findings, "identity"), "limited");
    for name in ["CAP_SYS_ADMIN", "/etc/subuid"] {
        assert_eq!(status(&findings, name), "missing", "{name}");
    }
}
