//! What a person, and a program that reads the log, is told when something fails; and the small commands.

use mydocker_tests::{Bundle, Outcome, Runtime, cgroup};
use serde_json::{Value, json};
use std::fs;

/// The message on standard error, which must be one line.
fn line(outcome: &Outcome) -> &str {
    let text = outcome.stderr.trim_end_matches('\n');
    assert_eq!(text.lines().count(), 1, "{}", outcome.describe());
    text
}

#[test]
fn privileged_an_error_is_one_line_on_standard_error_and_nothing_on_standard_output() {
    let runtime = Runtime::new();
    let missing = runtime.bundle().args(["never-was"]);
    let outcomes = [
        runtime.command(["state", "never-was"]).run(),
        runtime.command(["delete", "never-was"]).run(),
        runtime.exec("never-was", ["true"]),
        runtime.run(&missing),
        runtime.command(["run", "--bundle", "/never/was", "id"]).run(),
    ];
    for outcome in outcomes {
        let outcome = outcome.fails();
        line(&outcome);
        assert_eq!(outcome.stdout, "", "{}", outcome.describe());
    }
}

#[test]
fn privileged_the_log_in_json_holds_the_message_of_standard_error() {
    let runtime = Runtime::new();
    let log = runtime.scratch().join("log.json");
    let path = log.to_str().expect("a plain path");
    let outcome =
        runtime.command(["--log", path, "--log-format", "json", "state", "never-was"]).run().exits(1);
    let text = fs::read_to_string(&log).expect("the log was written");
    let entry: Value = serde_json::from_str(text.lines().last().expect("a line")).expect("a line is JSON");
    assert_eq!(entry["level"], "error");
    let message = entry["msg"].as_str().expect("a message");
    assert!(message.contains("does not exist"), "{text}");
    assert!(line(&outcome).contains(message), "{}", outcome.describe());
    let time = entry["time"].as_str().expect("a time");
    assert!(time.contains('T') && time.len() >= 20, "{time}");
}

/// podman and containerd read the last line of level error of this log to tell their user what went wrong.
#[test]
fn privileged_the_log_tells_why_a_container_could_not_be_made() {
    let runtime = Runtime::new();
    let log = runtime.scratch().join("log.json");
    let path = log.to_str().expect("a plain path").to_owned();
    let bundle = runtime.bundle().args(["never-was"]);
    let create = runtime.command(["--log", &path, "--log-format", "json", "create", "--bundle"]);
    create.arg(bundle.dir()).arg(bundle.id()).run().fails();
    let text = fs::read_to_string(&log).expect("the log was written");
    let entries: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    let last = entries.iter().rfind(|entry| entry["level"] == "error").expect("an error");
    let message = last["msg"].as_str().expect("a message");
    assert!(
        message.contains("never-was") && message.contains("executable file not found in $PATH"),
        "{message}"
    );
}

#[test]
fn privileged_the_log_as_text_has_the_fields_of_the_json() {
    let runtime = Runtime::new();
    let log = runtime.scratch().join("log");
    let path = log.to_str().expect("a plain path");
    for format in [&[][..], &["--log-format", "text"]] {
        runtime.command(["--log", path]).args(format).args(["state", "never-was"]).run().exits(1);
        let text = fs::read_to_string(&log).expect("the log was written");
        let last = text.lines().last().expect("a line");
        assert!(last.starts_with("time=\"") && last.contains(" level=error msg=\""), "{text}");
        assert!(last.contains("does not exist"), "{text}");
    }
    // It is appended to, since one file serves the whole life of a container.
    assert_eq!(fs::read_to_string(&log).expect("the log was written").lines().count(), 2);
}

#[test]
fn privileged_the_log_is_named_in_cruns_words_too_where_it_is_a_file() {
    let runtime = Runtime::new();
    let log = runtime.scratch().join("log");
    let named = format!("file:{}", log.display());
    runtime.command(["--log", &named, "state", "never-was"]).run().exits(1);
    assert!(fs::read_to_string(&log).expect("the log was written").contains("never-was"));
    for other in ["syslog:id", "journald:id"] {
        let outcome = runtime.command(["--log", other, "list"]).current_dir(runtime.scratch()).run().exits(1);
        assert!(outcome.stderr.contains(other), "{}", outcome.describe());
        assert!(!runtime.scratch().join(other).exists());
    }
}

#[test]
fn privileged_an_unknown_log_format_is_refused() {
    let runtime = Runtime::new();
    runtime.command(["--log-format", "yaml", "list"]).run().exits(1).fails().says("log-format");
}

#[test]
fn privileged_a_log_that_cannot_be_written_is_an_error() {
    let runtime = Runtime::new();
    runtime.command(["--log", "/never/was/log", "list"]).run().fails().says("/never/was/log");
}

#[test]
fn privileged_debug_adds_lines_to_the_log() {
    let runtime = Runtime::new();
    let log = runtime.scratch().join("log");
    let path = log.to_str().expect("a plain path");
    let bundle = runtime.bundle().script("echo out");
    let run = runtime.command(["--debug", "--log", path, "--log-format", "json", "run", "--bundle"]);
    let outcome = run.arg(bundle.dir()).arg(bundle.id()).run().succeeds();
    assert_eq!(outcome.stdout, "out\n");
    let text = fs::read_to_string(&log).expect("the log was written");
    let debug = |line: &str| serde_json::from_str::<Value>(line).is_ok_and(|entry| entry["level"] == "debug");
    assert!(text.lines().any(debug), "{text}");
}

/// Creates the bundle with this config.json, which must be refused and leave nothing.
fn refused(runtime: &Runtime, bundle: &Bundle, config: impl AsRef<[u8]>) -> Outcome {
    fs::write(bundle.dir().join("config.json"), config).expect("the bundle is writable");
    let outcome = runtime.create(bundle).fails();
    line(&outcome);
    assert!(!runtime.knows(bundle.id()));
    assert!(cgroup::existing(bundle.cgroup()).is_empty());
    outcome
}

/// Differs from runc 1.1.5, which dies of it.
#[test]
fn privileged_a_config_that_is_null_is_refused() {
    let runtime = Runtime::new();
    refused(&runtime, &runtime.bundle(), "null");
}

#[test]
fn privileged_a_config_that_is_no_json_is_refused() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle();
    let whole = bundle.config.to_string();
    for text in
        ["", " ", "{", "[]", "\"text\"", &whole[..whole.len() / 2], "{\"ociVersion\": \"1.0.2\"} trailing"]
    {
        refused(&runtime, &bundle, text);
    }
    refused(&runtime, &bundle, [0xff, 0xfe, 0x00]);
    refused(&runtime, &bundle, "[".repeat(100_000));
}

/// Differs from runc, which tells the name of a Go type instead of the pointer.
#[test]
fn privileged_a_field_of_the_wrong_type_is_told_by_its_pointer() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle();
    for (pointer, value) in [
        ("/process/args", json!("sh")),
        ("/process/args/0", json!(7)),
        ("/process/user/uid", json!("root")),
        ("/process/env", json!({"A": "b"})),
        ("/root/readonly", json!("yes")),
        ("/mounts/1/options", json!("ro")),
        ("/linux/namespaces/0/type", json!(1)),
        ("/linux/resources/devices/0/allow", json!("no")),
        ("/linux/maskedPaths/2", json!(null)),
        ("/hostname", json!(["name"])),
    ] {
        let mut config = bundle.config.clone();
        *config.pointer_mut(pointer).expect("the default has it") = value;
        refused(&runtime, &bundle, config.to_string()).says(pointer);
    }
}

#[test]
fn privileged_unknown_properties_are_ignored() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("echo fine").with(|config| {
        config["neverWas"] = json!({"deep": [1, 2]});
        config["process"]["neverWas"] = json!(true);
        config["linux"]["neverWas"] = json!("x");
        config["linux"]["resources"]["neverWas"] = json!(1);
    });
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "fine\n");
}

/// Differs from runc, which looks at no version: config.md, Specification version, "MUST be in SemVer v2.0.0 format", and
/// "Runtimes MUST generate an error when invalid or unsupported values are encountered".
#[test]
fn privileged_a_version_that_is_none_or_not_ours_is_refused() {
    let runtime = Runtime::new();
    for version in [json!("one"), json!("1"), json!("2.0.0"), json!(""), json!(null)] {
        let bundle = runtime.bundle().with(|config| config["ociVersion"] = version.clone());
        runtime.create(&bundle).fails().says("ociVersion");
        assert!(!runtime.knows(bundle.id()), "{version}");
    }
}

#[test]
fn privileged_versions_of_the_first_major_are_taken() {
    let runtime = Runtime::new();
    for version in ["1.0.0", "1.0.2-dev", "1.1.0", "1.2.1", "1.3.0", "1.0.0-rc5", "1.2.0+dev"] {
        let bundle = runtime.bundle().with(|config| config["ociVersion"] = json!(version));
        runtime.run(&bundle).succeeds();
    }
}

#[test]
fn privileged_a_create_that_fails_late_leaves_nothing() {
    let runtime = Runtime::new();
    let changes: [fn(&mut Value); 5] = [
        |config| config["process"]["args"] = json!(["/never/was"]),
        |config| config["process"]["cwd"] = json!("/etc/passwd"),
        |config| config["linux"]["sysctl"] = json!({"net.never_was": "1"}),
        |config| config["linux"]["resources"]["cpu"] = json!({"cpus": "4000"}),
        |config| {
            mydocker_tests::bundle::push(
                &mut config["mounts"],
                json!({"destination": "/x", "source": "/never/was", "options": ["bind"]}),
            )
        },
    ];
    for change in changes {
        let bundle = runtime.bundle().with(change);
        runtime.create(&bundle).fails();
        assert!(!runtime.knows(bundle.id()));
        assert!(cgroup::existing(bundle.cgroup()).is_empty());
        runtime.run(&bundle).fails();
    }
    assert_eq!(runtime.command(["list", "--quiet"]).run().succeeds().stdout, "");
}

#[test]
fn privileged_an_id_that_is_too_long_is_refused() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle();
    let create = runtime.command(["create", "--bundle"]).arg(bundle.dir()).arg("x".repeat(1025));
    let outcome = create.run().fails();
    line(&outcome);
    assert_eq!(runtime.command(["list", "--quiet"]).run().succeeds().stdout, "");
}

#[test]
fn privileged_a_state_root_that_cannot_be_written_is_an_error() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle();
    for root in ["/proc/never-was", "/etc/passwd"] {
        let run = runtime.host([runtime.program().as_os_str()]).args(["--root", root, "run", "--bundle"]);
        run.arg(bundle.dir()).arg(bundle.id()).run().fails();
    }
    assert!(cgroup::existing(bundle.cgroup()).is_empty());
}

#[test]
fn privileged_a_missing_state_root_is_an_empty_list_and_is_made_when_needed() {
    let runtime = Runtime::new();
    let root = runtime.scratch().join("deep/root");
    let command =
        |args: &[&str]| runtime.host([runtime.program().as_os_str()]).arg("--root").arg(&root).args(args);
    assert_eq!(command(&["list", "-q"]).run().succeeds().stdout, "");
    let bundle = runtime.bundle();
    command(&["run", "--bundle"]).arg(bundle.dir()).arg(bundle.id()).run().succeeds();
}

/// What `runc spec` writes, but for the version and the hostname: on a host with cgroup v2 alone with a cgroup namespace.
fn expected_spec() -> Value {
    let mut config: Value = serde_json::from_str(include_str!("data/spec.json")).expect("the file is JSON");
    config["ociVersion"].take();
    config["hostname"].take();
    if !cgroup::is_v1("pids") {
        let namespaces = config["linux"]["namespaces"].as_array_mut().expect("a list");
        namespaces.push(json!({"type": "cgroup"}));
    }
    config
}

fn written_spec(dir: &std::path::Path) -> Value {
    let text = fs::read_to_string(dir.join("config.json")).expect("spec wrote it");
    let mut config: Value = serde_json::from_str(&text).expect("it is JSON");
    assert!(config["ociVersion"].take().as_str().is_some_and(|version| version.starts_with("1.")));
    assert!(config["hostname"].take().is_string());
    config
}

#[test]
fn privileged_spec_writes_the_default_config_that_runs() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle();
    let file = bundle.dir().join("config.json");
    runtime.command(["spec"]).current_dir(bundle.dir()).run().fails().says("exist");
    fs::remove_file(&file).expect("the bundle is writable");
    runtime.command(["spec"]).current_dir(bundle.dir()).run().succeeds();
    assert_eq!(written_spec(bundle.dir()), expected_spec());

    let mut config: Value =
        serde_json::from_slice(&fs::read(&file).expect("it is there")).expect("it is JSON");
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(["echo", "from spec"]);
    config["linux"]["cgroupsPath"] = json!(bundle.cgroup());
    fs::write(&file, config.to_string()).expect("the bundle is writable");
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "from spec\n");
}

#[test]
fn privileged_spec_takes_a_bundle() {
    let runtime = Runtime::new();
    let dir = runtime.scratch().join("new");
    fs::create_dir(&dir).expect("the scratch directory is writable");
    runtime.command(["spec", "--bundle"]).arg(&dir).run().succeeds();
    assert_eq!(written_spec(&dir), expected_spec());
}

#[test]
fn privileged_spec_for_rootless_containers_maps_the_caller() {
    let runtime = Runtime::new();
    let dir = runtime.scratch().join("new");
    fs::create_dir(&dir).expect("the scratch directory is writable");
    runtime.command(["spec", "--rootless", "--bundle"]).arg(&dir).run().succeeds();
    let config = written_spec(&dir);
    let kinds: Vec<&str> = config["linux"]["namespaces"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|n| n["type"].as_str())
        .collect();
    assert!(kinds.contains(&"user") && !kinds.contains(&"network"), "{kinds:?}");
    for map in ["uidMappings", "gidMappings"] {
        assert_eq!(config["linux"][map], json!([{"containerID": 0, "hostID": 0, "size": 1}]));
    }
    assert!(config["linux"].get("resources").is_none_or(|resources| resources == &json!(null)), "{config}");
}

#[test]
fn privileged_features_tells_what_there_is() {
    let runtime = Runtime::new();
    let features = runtime.command(["features"]).run().succeeds().json();
    assert_eq!(features["ociVersionMin"], "1.0.0");
    assert!(
        features["ociVersionMax"].as_str().is_some_and(|version| version.starts_with("1.")),
        "{features}"
    );
    let has =
        |list: &Value, word: &str| list.as_array().is_some_and(|list| list.iter().any(|entry| entry == word));
    for hook in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] {
        assert!(has(&features["hooks"], hook), "{hook}");
    }
    for option in ["bind", "rbind", "ro", "rro", "nosuid", "nodev", "noexec", "rslave", "tmpcopyup"] {
        assert!(has(&features["mountOptions"], option), "{option}");
    }
    for kind in ["pid", "network", "ipc", "uts", "mount", "user", "cgroup"] {
        assert!(has(&features["linux"]["namespaces"], kind), "{kind}");
    }
    assert!(has(&features["linux"]["capabilities"], "CAP_SYS_ADMIN"));
    assert_eq!(features["linux"]["cgroup"]["v1"], true);
    assert_eq!(features["linux"]["seccomp"]["enabled"], true);
    assert!(has(&features["linux"]["seccomp"]["actions"], "SCMP_ACT_NOTIFY"));
}

#[test]
fn privileged_the_version_names_the_program_and_the_specification() {
    let runtime = Runtime::new();
    let outcome = runtime.host([runtime.program()]).arg("--version").run().succeeds();
    let first = outcome.stdout.lines().next().expect("a line");
    // podman and containerd show the first line, and look for a number in it.
    assert!(first.contains(" version ") && first.chars().any(|c| c.is_ascii_digit()), "{first}");
    assert!(outcome.stdout.lines().any(|line| line.starts_with("spec: 1.")), "{}", outcome.stdout);
}

#[test]
fn privileged_help_is_told_for_every_command() {
    let runtime = Runtime::new();
    let program = runtime.program();
    let help = runtime.host([program]).arg("--help").run().succeeds().stdout;
    let commands = [
        "create", "start", "state", "kill", "delete", "run", "exec", "list", "ps", "spec", "pause", "resume",
        "features",
    ];
    for command in commands {
        assert!(help.contains(command), "{command}: {help}");
        let own = runtime.host([program]).args([command, "--help"]).run().succeeds().stdout;
        assert!(own.contains(command), "{own}");
    }
}

/// The last error in the JSON log of a command that fails.
fn logged(
    runtime: &Runtime,
    command: impl FnOnce(mydocker_tests::Invocation) -> mydocker_tests::Invocation,
) -> Value {
    let log = runtime.scratch().join("structured.json");
    let path = log.to_str().expect("a plain path");
    command(runtime.command(["--log", path, "--log-format", "json"])).run().fails().discard();
    let text = fs::read_to_string(&log).expect("the log was written");
    fs::remove_file(&log).expect("an own file");
    serde_json::from_str(text.lines().last().expect("a line")).expect("JSON")
}

fn run_logged(runtime: &Runtime, bundle: &Bundle) -> Value {
    logged(runtime, |command| command.args(["run", "--bundle"]).arg(bundle.dir()).arg(bundle.id()))
}

#[test]
fn privileged_a_failed_step_is_told_with_phase_step_call_path_and_number() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().mount("/mnt", "bind", "/never/was", &["bind"]);
    let entry = run_logged(&runtime, &bundle);
    assert_eq!((&entry["code"], &entry["phase"]), (&json!("setup"), &json!("mounts")), "{entry}");
    assert_eq!((&entry["path"], &entry["errno"]), (&json!("/never/was"), &json!(2)), "{entry}");
    assert!(entry["step"].as_str().is_some_and(|step| step.contains("/mnt")), "{entry}");
    assert!(entry["syscall"].as_str().is_some_and(|call| call.starts_with("open")), "{entry}");
}

#[test]
fn privileged_programs_that_cannot_be_executed_are_told_apart() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle();
    let file = |name: &str, content: &[u8], mode: u32| {
        fs::write(bundle.path(name), content).expect("the root is writable");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(bundle.path(name), mode).expect("an own file");
    };
    file("script", b"#!/never/was\n", 0o755);
    file("plain", b"no program", 0o755);
    file("denied", b"#!/bin/sh\n", 0o644);
    // A dynamically linked program of the host, whose loader the root file system lacks.
    file("dynamic", &fs::read("/bin/ls").expect("the host has ls"), 0o755);
    for (program, code, path, errno) in [
        ("never-was", "executable-not-found", "never-was", None),
        ("/never-was", "executable-not-found", "/never-was", Some(2)),
        ("/script", "interpreter-not-found", "/script", Some(2)),
        ("/dynamic", "loader-not-found", "/dynamic", Some(2)),
        ("/plain", "executable-not-runnable", "/plain", Some(8)),
        ("/denied", "executable-not-runnable", "/denied", Some(13)),
    ] {
        let one = runtime.bundle_like(&bundle).args([program]);
        let entry = run_logged(&runtime, &one);
        assert_eq!((&entry["code"], &entry["path"]), (&json!(code), &json!(path)), "{entry}");
        assert_eq!(entry.get("errno").and_then(Value::as_i64), errno, "{entry}");
        assert!(entry["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{entry}");
        assert!(entry["step"].is_string() && entry["phase"].is_string(), "{entry}");
    }
}

#[test]
fn privileged_a_failed_hook_is_told_with_its_program() {
    let runtime = Runtime::new();
    for (kind, phase) in [
        ("createRuntime", Some("create-hooks")),
        ("createContainer", Some("create-hooks")),
        ("poststart", None),
    ] {
        let bundle = runtime.bundle().args(["sleep", "1000"]).with(|config| {
            config["hooks"][kind] = json!([{"path": "/bin/false"}]);
        });
        let entry = run_logged(&runtime, &bundle);
        assert_eq!((&entry["code"], &entry["path"]), (&json!("hook"), &json!("/bin/false")), "{entry}");
        assert_eq!(entry.get("phase").and_then(Value::as_str), phase, "{entry}");
        assert_eq!(entry["step"], format!("run {kind} hooks"), "{entry}");
    }
}

#[test]
fn privileged_errors_outside_of_the_plan_have_a_code_and_what_is_known() {
    let runtime = Runtime::new();
    let entry = logged(&runtime, |command| command.args(["state", "never-was"]));
    assert_eq!(entry["code"], "no-such-container");
    let entry = logged(&runtime, |command| command.args(["run", "--bundle", "/never/was", "id"]));
    assert_eq!(
        (&entry["code"], &entry["path"], &entry["errno"]),
        (&json!("bad-config"), &json!("/never/was/config.json"), &json!(2))
    );
    let entry = logged(&runtime, |command| command.args(["--root", "/proc/never", "run", "id"]));
    assert_eq!(entry["code"], "bad-config");
    let bundle = runtime.bundle();
    let entry = logged(&runtime, |command| {
        command.args(["--root", "/proc/never", "create", "--bundle"]).arg(bundle.dir()).arg(bundle.id())
    });
    assert_eq!((&entry["code"], &entry["syscall"]), (&json!("bad-root"), &json!("mkdirat")), "{entry}");
    assert_eq!(entry["path"], "/proc/never", "{entry}");
    let entry = logged(&runtime, |command| command.args(["state"]));
    assert_eq!(entry["code"], "usage");
    assert!(entry["hint"].is_string(), "{entry}");
}
