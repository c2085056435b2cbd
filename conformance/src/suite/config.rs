//! config.md: the version, what may be left out, annotations, unknown properties and invalid values.

use super::{list, same};
use crate::bundle::PROBE;
use crate::case::Case;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::fs;

list![
    a_minimal_configuration_runs,
    mounts_may_be_left_out,
    the_versions_of_the_specification_are_accepted,
    a_version_that_is_none_is_refused,
    a_version_of_another_major_is_refused,
    unknown_properties_are_ignored,
    annotations_of_any_key_are_accepted,
    an_annotation_that_is_no_string_is_refused,
    annotations_that_are_no_map_are_refused,
    properties_of_the_wrong_type_are_refused,
    invalid_values_are_refused,
    a_configuration_that_is_no_json_is_refused,
    text_beyond_ascii_is_kept,
];

/// Everything that is optional is left out, and every list and object that may be is empty in a second one. procfs is
/// there, without which nothing of Linux works.
fn a_minimal_configuration_runs(case: &Case<'_>) -> Result<()> {
    let mut bundle = case.bundle()?;
    bundle.config = json!({
        "ociVersion": "1.0.0",
        "root": {"path": "rootfs"},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "process": {"cwd": "/", "args": [PROBE, "exit", "5"], "user": {"uid": 0, "gid": 0}},
        "linux": {"cgroupsPath": bundle.config["linux"]["cgroupsPath"], "namespaces": [{"type": "mount"}]},
    });
    let finished = case.run(&bundle)?;
    ensure!(finished.exit.status() == 5, "it ended with {:?}", finished.exit);
    let mut bundle = case.bundle()?;
    bundle.config = json!({
        "ociVersion": "1.0.0",
        "root": {"path": "rootfs"},
        "mounts": [{"destination": "/proc", "type": "proc"}, {"destination": "/mnt", "type": "tmpfs", "options": []}],
        "hooks": {},
        "annotations": {},
        "process": {"cwd": "/", "args": [PROBE, "exit", "5"], "user": {"uid": 0, "gid": 0, "additionalGids": []},
                    "env": [], "rlimits": [], "capabilities": {}},
        "linux": {"cgroupsPath": bundle.config["linux"]["cgroupsPath"], "namespaces": [{"type": "mount"}],
                  "resources": {"memory": {}, "cpu": {}, "pids": {}, "blockIO": {}, "network": {}, "devices": [],
                                "hugepageLimits": []},
                  "devices": [], "sysctl": {}, "maskedPaths": [], "readonlyPaths": []},
    });
    // `pids` without a limit is nothing but an object without its only property.
    let bundle = bundle.without("/linux/resources/pids");
    let finished = case.run(&bundle)?;
    ensure!(finished.exit.status() == 5, "with empty objects it ended with {:?}", finished.exit);
    Ok(())
}

/// Without any mounts, and so without procfs.
fn mounts_may_be_left_out(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?.without("/mounts").ask(&[&["exit", "5"]]);
    let finished = case.run(&bundle)?;
    ensure!(finished.exit.status() == 5, "it ended with {:?}", finished.exit);
    Ok(())
}

fn the_versions_of_the_specification_are_accepted(case: &Case<'_>) -> Result<()> {
    for version in ["1.0.0", "1.0.2", "1.1.0", "1.2.1", "1.3.0"] {
        let bundle = case.bundle()?.set("/ociVersion", version);
        case.create(&bundle).with_context(|| format!("ociVersion {version}"))?;
    }
    Ok(())
}

fn a_version_that_is_none_is_refused(case: &Case<'_>) -> Result<()> {
    for version in ["", "1", "1.0", "one.two.three"] {
        let bundle = case.bundle()?.set("/ociVersion", version);
        case.refuses(&bundle).with_context(|| format!("ociVersion {version:?}"))?;
    }
    Ok(())
}

fn a_version_of_another_major_is_refused(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?.set("/ociVersion", "2.0.0");
    case.refuses(&bundle).map(drop)
}

fn unknown_properties_are_ignored(case: &Case<'_>) -> Result<()> {
    let mut bundle = case.bundle()?;
    for place in ["", "/process", "/process/user", "/root", "/linux", "/mounts/0", "/linux/namespaces/0"] {
        bundle = bundle.set(&format!("{place}/comExampleUnknown"), json!({"of": ["any", 5, null]}));
    }
    case.report_of(bundle).map(drop)
}

fn annotations_of_any_key_are_accepted(case: &Case<'_>) -> Result<()> {
    let annotations = json!({
        "com.example.key": "value",
        "org.opencontainers.image.stopSignal": "SIGKILL",
        "org.opencontainers.image.os": "linux",
        "org.opencontainers.unknown": "kept",
        "no-domain": "",
    });
    let bundle = case.bundle()?.set("/annotations", annotations.clone());
    case.create(&bundle)?;
    same("the annotations", &case.state(&bundle.id)?["annotations"], annotations)
}

fn an_annotation_that_is_no_string_is_refused(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?.set("/annotations", json!({"com.example.number": 5}));
    case.refuses(&bundle).map(drop)
}

fn annotations_that_are_no_map_are_refused(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?.set("/annotations", json!(["com.example.list"]));
    case.refuses(&bundle).map(drop)
}

/// Each of them is what the specification says it is not.
fn properties_of_the_wrong_type_are_refused(case: &Case<'_>) -> Result<()> {
    let wrong: [(&str, Value); 9] = [
        ("/hostname", json!(5)),
        ("/process/args", json!("/probe")),
        ("/process/env", json!({"A": "b"})),
        ("/process/user/uid", json!("root")),
        ("/process/user/uid", json!(-1)),
        ("/root/readonly", json!("yes")),
        ("/mounts", json!({})),
        ("/linux/namespaces", json!("pid")),
        ("/process/noNewPrivileges", json!("true")),
    ];
    for (pointer, value) in wrong {
        let bundle = case.bundle()?.set(pointer, value.clone());
        case.refuses(&bundle).with_context(|| format!("{pointer}: {value}"))?;
    }
    Ok(())
}

fn invalid_values_are_refused(case: &Case<'_>) -> Result<()> {
    let wrong: [(&str, Value); 8] = [
        ("/linux/namespaces/0/type", json!("time-travel")),
        ("/linux/rootfsPropagation", json!("sideways")),
        ("/process/rlimits", json!([{"type": "RLIMIT_PATIENCE", "soft": 1, "hard": 1}])),
        ("/linux/devices", json!([{"path": "/dev/x", "type": "x", "major": 1, "minor": 3}])),
        ("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_SHRUG"})),
        ("/linux/personality", json!({"domain": "LINUX128"})),
        ("/process/scheduler", json!({"policy": "SCHED_WHENEVER"})),
        ("/linux/sysctl", json!({"kernel.no_such_parameter_here": "1"})),
    ];
    for (pointer, value) in wrong {
        let bundle = case.bundle()?.set(pointer, value.clone());
        case.refuses_to_run(&bundle).with_context(|| format!("{pointer}: {value}"))?;
    }
    Ok(())
}

fn a_configuration_that_is_no_json_is_refused(case: &Case<'_>) -> Result<()> {
    for text in [&b"{"[..], b"", b"[]", b"{\"ociVersion\": \"1.0.2\xff\"}"] {
        let bundle = case.bundle()?;
        fs::write(bundle.dir.join("config.json"), text)?;
        let dir = bundle.dir.display().to_string();
        case.call(["create", "--bundle", &dir, &bundle.id])?.failure()?;
        ensure!(!case.exists(&bundle.id)?, "a container was made of {:?}", String::from_utf8_lossy(text));
    }
    Ok(())
}

/// The configuration is UTF-8.
fn text_beyond_ascii_is_kept(case: &Case<'_>) -> Result<()> {
    let bundle = case
        .bundle()?
        .set("/process/env", json!(["PATH=/", "GREETING=grüß Gott ☃"]))
        .set("/annotations", json!({"com.example.☃": "ü"}));
    let bundle = bundle.ask(&[&["report"]]);
    case.create(&bundle)?;
    same("the annotation", &case.state(&bundle.id)?["annotations"]["com.example.☃"], "ü")?;
    case.start(&bundle.id)?;
    let finished = case.finish(&bundle)?;
    ensure!(
        super::has(&finished.answers[0]["env"], "GREETING=grüß Gott ☃"),
        "it is {}",
        finished.answers[0]["env"]
    );
    Ok(())
}
