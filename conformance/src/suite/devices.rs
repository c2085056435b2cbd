//! config-linux.md: file systems, devices, and the links of runtime-linux.md.

use super::{list, mount_at, same};
use crate::case::Case;
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::fs;

list![
    the_default_file_systems_can_be_had,
    a_device_is_made_as_given,
    a_fifo_is_made,
    a_device_outside_of_dev_is_made,
    a_file_where_a_device_should_be_is_an_error,
    the_default_devices_are_there,
    ptmx_is_that_of_the_container,
    the_console_is_there_with_a_terminal_only,
    the_links_to_the_streams_are_there,
    the_links_are_left_out_without_proc,
    devices_that_nobody_named_cannot_be_used,
    device_rules_apply_in_their_order,
    a_device_rule_without_type_means_all,
    two_devices_may_have_the_same_numbers,
];

fn the_default_file_systems_can_be_had(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?.mount("/sys", "sysfs", "sysfs", &["ro"]);
    let report = case.report_of(bundle)?;
    for (point, kind) in [("/proc", "proc"), ("/sys", "sysfs"), ("/dev/pts", "devpts"), ("/dev/shm", "tmpfs")]
    {
        same(point, &mount_at(&report, point)?["kind"], kind)?;
    }
    Ok(())
}

fn a_device_is_made_as_given(case: &Case<'_>) -> Result<()> {
    let devices = json!([
        {"path": "/dev/conf-char", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 7, "gid": 8},
        {"path": "/dev/conf-unbuffered", "type": "u", "major": 1, "minor": 5, "fileMode": 0o600},
        {"path": "/dev/conf-block", "type": "b", "major": 7, "minor": 200, "fileMode": 0o660},
    ]);
    let bundle = case.bundle()?.set("/linux/devices", devices);
    let questions: &[&[&str]] =
        &[&["stat", "/dev/conf-char"], &["stat", "/dev/conf-unbuffered"], &["stat", "/dev/conf-block"]];
    let answers = case.answers_of(bundle, questions)?;
    let wanted = [("c", 1, 3, 0o640, 7, 8), ("c", 1, 5, 0o600, 0, 0), ("b", 7, 200, 0o660, 0, 0)];
    for (answer, (kind, major, minor, mode, uid, gid)) in answers.iter().zip(wanted) {
        same("the kind", &answer["kind"], kind)?;
        same("the major number", &answer["major"], major)?;
        same("the minor number", &answer["minor"], minor)?;
        same("the mode", &answer["mode"], mode)?;
        same("the owner", &answer["uid"], uid)?;
        same("the group", &answer["gid"], gid)?;
    }
    Ok(())
}

fn a_fifo_is_made(case: &Case<'_>) -> Result<()> {
    let bundle = case
        .bundle()?
        .set("/linux/devices", json!([{"path": "/dev/conf-fifo", "type": "p", "fileMode": 0o622}]));
    let answer = case.answer_of(bundle, &["stat", "/dev/conf-fifo"])?;
    same("the kind", &answer["kind"], "p")?;
    same("the mode", &answer["mode"], 0o622)
}

fn a_device_outside_of_dev_is_made(case: &Case<'_>) -> Result<()> {
    let devices =
        json!([{"path": "/data/deep/null", "type": "c", "major": 1, "minor": 3, "fileMode": 0o666}]);
    let answer =
        case.answer_of(case.bundle()?.set("/linux/devices", devices), &["stat", "/data/deep/null"])?;
    same("the kind", &answer["kind"], "c")?;
    same("the minor number", &answer["minor"], 3)
}

fn a_file_where_a_device_should_be_is_an_error(case: &Case<'_>) -> Result<()> {
    let device = json!([{"path": "/data/taken", "type": "c", "major": 1, "minor": 3, "fileMode": 0o666}]);
    let bundle = case.bundle()?.set("/linux/devices", device);
    fs::write(bundle.path("/data/taken"), "a file")?;
    case.refuses(&bundle)?;
    ensure!(fs::read_to_string(bundle.path("/data/taken"))? == "a file", "the file was changed");
    Ok(())
}

fn the_default_devices_are_there(case: &Case<'_>) -> Result<()> {
    let wanted =
        [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];
    for (name, major, minor) in wanted {
        let path = format!("/dev/{name}");
        let answers = case.answers_of(case.bundle()?, &[&["stat", &path], &["open", &path, "r"]])?;
        same(&format!("the kind of {path}"), &answers[0]["kind"], "c")?;
        same(
            &format!("the numbers of {path}"),
            &json!([answers[0]["major"], answers[0]["minor"]]),
            json!([major, minor]),
        )?;
        // The terminal cannot be opened where there is none (ENXIO), which is not the device's fault.
        let errno = &answers[1]["errno"];
        ensure!(*errno == 0 || (name == "tty" && *errno == 6), "opening {path} fails with {errno}");
    }
    Ok(())
}

fn ptmx_is_that_of_the_container(case: &Case<'_>) -> Result<()> {
    let answers = case
        .answers_of(case.bundle()?, &[&["stat", "/dev/ptmx"], &["report"], &["open", "/dev/ptmx", "rw"]])?;
    let is_link =
        answers[0]["target"].as_str().is_some_and(|target| ["pts/ptmx", "/dev/pts/ptmx"].contains(&target));
    let is_mount = mount_at(&answers[1], "/dev/ptmx").is_ok_and(|mount| mount["kind"] == "devpts");
    ensure!(is_link || is_mount, "/dev/ptmx is {}", answers[0]);
    same("the error of opening it", &answers[2]["errno"], 0)
}

fn the_console_is_there_with_a_terminal_only(case: &Case<'_>) -> Result<()> {
    let report = case.report_of(case.bundle()?)?;
    ensure!(mount_at(&report, "/dev/console").is_err(), "a console is mounted without a terminal");
    Ok(())
}

fn the_links_to_the_streams_are_there(case: &Case<'_>) -> Result<()> {
    let wanted = [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ];
    for (name, target) in wanted {
        let path = format!("/dev/{name}");
        same(&path, &case.answer_of(case.bundle()?, &["stat", &path])?["target"], target)?;
    }
    Ok(())
}

/// The specification asks for them where the source exists; without procfs a link is nothing that a container needs,
/// and what must work is the container.
fn the_links_are_left_out_without_proc(case: &Case<'_>) -> Result<()> {
    let mut bundle = case.bundle()?;
    if let Some(mounts) = bundle.config["mounts"].as_array_mut() {
        mounts.retain(|mount| mount["destination"] != "/proc");
    }
    case.answer_of(bundle, &["list", "/dev"]).map(drop)
}

/// The loop device with the number 250 is in no list, so that even its node is of no use.
fn devices_that_nobody_named_cannot_be_used(case: &Case<'_>) -> Result<()> {
    let capabilities = json!(["CAP_MKNOD"]);
    let bundle = case
        .bundle()?
        .set(
            "/process/capabilities",
            json!({"bounding": capabilities, "permitted": capabilities, "effective": capabilities}),
        )
        .set("/linux/resources/devices", json!([{"allow": false, "access": "rwm"}]))
        .mount("/mnt", "tmpfs", "tmpfs", &["dev"]);
    let questions: &[&[&str]] =
        &[&["mknod", "/mnt/kmsg", "c", "1", "11"], &["open", "/mnt/kmsg", "r"], &["open", "/dev/null", "rw"]];
    let answers = case.answers_of(bundle, questions)?;
    ensure!(answers[1]["errno"] != 0, "a device that nobody named can be opened: {answers:?}");
    same("the error of opening /dev/null", &answers[2]["errno"], 0)
}

/// What a container with these rules gets when it opens kmsg, a device that no runtime allows by itself.
fn opens_kmsg(case: &Case<'_>, rules: serde_json::Value) -> Result<bool> {
    let device = json!([{"path": "/dev/conf-kmsg", "type": "c", "major": 1, "minor": 11, "fileMode": 0o666}]);
    let capabilities = json!(["CAP_SYSLOG"]);
    let bundle = case
        .bundle()?
        .set(
            "/process/capabilities",
            json!({"bounding": capabilities, "permitted": capabilities, "effective": capabilities}),
        )
        .set("/linux/devices", device)
        .set("/linux/resources/devices", rules);
    let answer = case.answer_of(bundle, &["open", "/dev/conf-kmsg", "r"])?;
    match answer["errno"].as_i64() {
        Some(0) => Ok(true),
        Some(1) => Ok(false),
        other => Err(anyhow::anyhow!("opening kmsg gives the error {other:?}")),
    }
}

fn device_rules_apply_in_their_order(case: &Case<'_>) -> Result<()> {
    // What is denied does not include making the node, which the list of devices asks for.
    let access = |allow: bool| if allow { "rwm" } else { "rw" };
    let kmsg =
        |allow: bool| json!({"allow": allow, "type": "c", "major": 1, "minor": 11, "access": access(allow)});
    let all = |allow: bool| json!({"allow": allow, "access": "rwm"});
    for (rules, wanted) in [
        (json!([all(false), kmsg(true)]), true),
        (json!([kmsg(true), all(false)]), false),
        (json!([all(true), kmsg(false)]), false),
        (json!([all(false), kmsg(true), kmsg(false)]), false),
        (json!([all(false), {"allow": true, "type": "c", "major": 1, "access": "r"}]), true),
        (json!([all(false), {"allow": true, "type": "c", "major": 1, "minor": 11, "access": "w"}]), false),
        (json!([all(false), {"allow": true, "type": "b", "major": 1, "minor": 11, "access": "rwm"}]), false),
    ] {
        let found = opens_kmsg(case, rules.clone()).with_context(|| rules.to_string())?;
        ensure!(found == wanted, "with {rules} kmsg can{} be opened", if found { "" } else { "not" });
    }
    Ok(())
}

fn a_device_rule_without_type_means_all(case: &Case<'_>) -> Result<()> {
    for rule in
        [json!({"allow": true, "access": "rwm"}), json!({"allow": true, "type": "a", "access": "rwm"})]
    {
        let rules = json!([{"allow": false, "access": "rwm"}, rule]);
        ensure!(opens_kmsg(case, rules.clone())?, "with {rules} kmsg cannot be opened");
    }
    Ok(())
}

fn two_devices_may_have_the_same_numbers(case: &Case<'_>) -> Result<()> {
    let device = |path: &str| json!({"path": path, "type": "c", "major": 1, "minor": 3, "fileMode": 0o666});
    let bundle = case.bundle()?.set("/linux/devices", json!([device("/dev/one"), device("/dev/two")]));
    let answers = case.answers_of(bundle, &[&["stat", "/dev/one"], &["stat", "/dev/two"]])?;
    same("the first", &answers[0]["kind"], "c")?;
    same("the second", &answers[1]["kind"], "c")
}
