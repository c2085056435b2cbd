//! runtime.md: the operations, the state, errors and the life of a container.

use super::{list, same};
use crate::bundle::Bundle;
use crate::case::Case;
use crate::process;
use anyhow::{Result, ensure};
use mydocker_sys as sys;
use serde_json::{Value, json};
use std::fs;
use sys::process::Exit;

list![
    every_operation_works_on_the_container_that_was_created,
    state_of_a_created_container,
    state_of_a_running_container,
    state_of_a_stopped_container,
    state_has_the_form_of_its_schema,
    state_has_the_annotations,
    state_without_annotations_has_none,
    state_needs_an_id,
    state_of_an_unknown_container_is_an_error,
    create_needs_an_id_and_a_bundle,
    create_refuses_an_id_that_is_taken,
    create_refuses_an_invalid_id,
    create_applies_all_but_the_process,
    create_does_not_run_the_program,
    a_failed_create_leaves_nothing,
    changes_of_the_configuration_have_no_effect_after_create,
    start_needs_an_id,
    start_runs_the_program,
    start_of_a_running_container_is_an_error,
    start_of_a_stopped_container_is_an_error,
    start_without_a_process_is_an_error,
    kill_needs_an_id,
    kill_sends_the_signal,
    kill_works_on_a_created_container,
    kill_of_a_stopped_container_is_an_error,
    delete_needs_an_id,
    delete_of_a_created_container_is_an_error,
    delete_of_a_running_container_is_an_error,
    delete_removes_what_create_made,
    delete_keeps_what_it_did_not_make,
    an_id_can_be_used_again_after_delete,
    the_status_of_the_program_is_kept_from_the_runtime,
    the_bundle_is_read_from_its_directory,
];

fn paused(case: &Case<'_>) -> Result<Bundle> {
    Ok(case.bundle()?.ask(&[&["pause"]]))
}

fn stopped(case: &Case<'_>) -> Result<Bundle> {
    let bundle = case.bundle()?.ask(&[&["exit", "0"]]);
    case.create(&bundle)?;
    case.start(&bundle.id)?;
    case.wait(&bundle.id)?;
    wait_for_stopped(case, &bundle.id)?;
    Ok(bundle)
}

fn wait_for_stopped(case: &Case<'_>, id: &str) -> Result<()> {
    process::wait_until("the container to be stopped", || Ok(case.status(id)? == "stopped"))
}

fn every_operation_works_on_the_container_that_was_created(case: &Case<'_>) -> Result<()> {
    let bundle = paused(case)?;
    case.create(&bundle)?;
    ensure!(case.status(&bundle.id)? == "created", "`state` after `create`");
    case.start(&bundle.id)?;
    case.wait_for_output(&bundle, "paused")?;
    ensure!(case.status(&bundle.id)? == "running", "`state` after `start`");
    case.kill(&bundle.id)?;
    wait_for_stopped(case, &bundle.id)?;
    case.delete(&bundle.id)?;
    ensure!(!case.exists(&bundle.id)?, "`state` still knows the container after `delete`");
    Ok(())
}

/// The properties that every state has.
fn check_state(case: &Case<'_>, bundle: &Bundle, state: &Value, status: &str) -> Result<()> {
    same("status", &state["status"], status)?;
    same("id", &state["id"], bundle.id.as_str())?;
    let version = state["ociVersion"].as_str().unwrap_or_default();
    ensure!(
        version.starts_with("1."),
        "ociVersion is {version:?}, and must be the version the state complies with"
    );
    let path = state["bundle"].as_str().unwrap_or_default();
    let there = fs::metadata(path).and_then(|found| Ok((found, fs::metadata(&bundle.dir)?)));
    let same_directory = there.is_ok_and(|(a, b)| {
        std::os::unix::fs::MetadataExt::ino(&a) == std::os::unix::fs::MetadataExt::ino(&b)
    });
    ensure!(
        path.starts_with('/') && same_directory,
        "bundle is {path:?}, and must be {}",
        bundle.dir.display()
    );
    if status != "stopped" {
        let pid = i32::try_from(state["pid"].as_i64().unwrap_or_default())?;
        ensure!(pid > 0 && process::is_alive(pid), "pid is {}, which is no process", state["pid"]);
        let parent = process::status_field(pid, "PPid")?;
        ensure!(parent != "0", "pid is {pid}, which is not in this pid namespace");
        ensure!(pid == case.pid(&bundle.id)?, "the pid changed");
    }
    Ok(())
}

fn state_of_a_created_container(case: &Case<'_>) -> Result<()> {
    let bundle = paused(case)?;
    case.create(&bundle)?;
    check_state(case, &bundle, &case.state(&bundle.id)?, "created")
}

fn state_of_a_running_container(case: &Case<'_>) -> Result<()> {
    let bundle = paused(case)?;
    case.launch(&bundle)?;
    check_state(case, &bundle, &case.state(&bundle.id)?, "running")
}

fn state_of_a_stopped_container(case: &Case<'_>) -> Result<()> {
    let bundle = stopped(case)?;
    check_state(case, &bundle, &case.state(&bundle.id)?, "stopped")
}

fn state_has_the_form_of_its_schema(case: &Case<'_>) -> Result<()> {
    let bundle = paused(case)?.set("/annotations", json!({"com.example.key": "value"}));
    case.create(&bundle)?;
    let state = case.state(&bundle.id)?;
    for text in ["ociVersion", "id", "status", "bundle"] {
        ensure!(state[text].is_string(), "{text} is {}, and must be a string", state[text]);
    }
    ensure!(state["pid"].is_u64(), "pid is {}, and must be a number", state["pid"]);
    let status = state["status"].as_str().unwrap_or_default();
    ensure!(["creating", "created", "running", "stopped"].contains(&status), "status is {status}");
    let annotations = state["annotations"].as_object();
    ensure!(
        annotations.is_some_and(|map| map.values().all(Value::is_string)),
        "annotations must map to strings"
    );
    Ok(())
}

fn state_has_the_annotations(case: &Case<'_>) -> Result<()> {
    let annotations = json!({"com.example.key": "value", "com.example.empty": ""});
    let bundle = paused(case)?.set("/annotations", annotations.clone());
    case.create(&bundle)?;
    same("annotations", &case.state(&bundle.id)?["annotations"], annotations)
}

fn state_without_annotations_has_none(case: &Case<'_>) -> Result<()> {
    let bundle = paused(case)?;
    case.create(&bundle)?;
    let state = case.state(&bundle.id)?;
    let found = &state["annotations"];
    ensure!(found.is_null() || *found == json!({}), "annotations are {found}, and there are none");
    Ok(())
}

fn state_needs_an_id(case: &Case<'_>) -> Result<()> {
    case.call(["state"])?.failure().map(drop)
}

fn state_of_an_unknown_container_is_an_error(case: &Case<'_>) -> Result<()> {
    case.call(["state", "nobody-made-this"])?.failure().map(drop)
}

fn create_needs_an_id_and_a_bundle(case: &Case<'_>) -> Result<()> {
    let bundle = paused(case)?;
    bundle.write()?;
    let dir = bundle.dir.display().to_string();
    case.call(["create", "--bundle", &dir])?.failure()?;
    let empty = case.dir().join("empty");
    fs::create_dir(&empty)?;
    case.call(["create", "--bundle", &empty.display().to_string(), &bundle.id])?.failure()?;
    ensure!(!case.exists(&bundle.id)?, "a container was created without a configuration");
    Ok(())
}

fn create_refuses_an_id_that_is_taken(case: &Case<'_>) -> Result<()> {
    let first = paused(case)?;
    case.launch(&first)?;
    let mut second = paused(case)?;
    second.id.clone_from(&first.id);
    case.try_create(&second)?.failure()?;
    check_state(case, &first, &case.state(&first.id)?, "running")
}

fn create_refuses_an_invalid_id(case: &Case<'_>) -> Result<()> {
    for id in ["", "a/b", "../escape"] {
        let mut bundle = paused(case)?;
        bundle.id = id.into();
        case.try_create(&bundle)?.failure()?;
    }
    Ok(())
}

fn create_applies_all_but_the_process(case: &Case<'_>) -> Result<()> {
    let bundle = paused(case)?.set("/hostname", "made-by-create").mount("/mnt", "tmpfs", "tmpfs", &[]);
    case.create(&bundle)?;
    let pid = case.pid(&bundle.id)?;
    let (ours, theirs) = (process::own_namespaces()?, process::namespaces(&pid.to_string())?);
    for name in ["pid", "net", "ipc", "uts", "mnt"] {
        ensure!(ours.get(name) != theirs.get(name), "the {name} namespace is not new after `create`");
    }
    let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo"))?;
    ensure!(
        mounts.lines().any(|line| line.split(' ').nth(4) == Some("/mnt")),
        "/mnt is not mounted after `create`"
    );
    Ok(())
}

fn create_does_not_run_the_program(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?.ask(&[&["touch", "/data/it-ran"], &["report"]]);
    case.create(&bundle)?;
    // Nobody can wait for what must not happen: the state is asked for, which takes a while, and then it has not.
    ensure!(case.status(&bundle.id)? == "created", "the status is not created");
    ensure!(!bundle.path("/data/it-ran").exists(), "the program ran before `start`");
    case.start(&bundle.id)?;
    case.finish(&bundle)?;
    ensure!(bundle.path("/data/it-ran").exists(), "the program did not run after `start`");
    Ok(())
}

fn a_failed_create_leaves_nothing(case: &Case<'_>) -> Result<()> {
    let bundle = paused(case)?.mount("/mnt", "no-such-file-system", "none", &[]);
    let before = own_mounts()?;
    case.refuses(&bundle)?;
    ensure!(
        crate::cgroup::find(&bundle.id).is_empty(),
        "a cgroup stays: {:?}",
        crate::cgroup::find(&bundle.id)
    );
    let added: Vec<String> = own_mounts()?.into_iter().filter(|m| !before.contains(m)).collect();
    ensure!(added.iter().all(|mount| !mount.contains(&bundle.id)), "mounts stay: {added:?}");
    // The same id is free for a configuration that can be made.
    let good = bundle.set("/mounts", json!([{"destination": "/proc", "type": "proc", "source": "proc"}]));
    case.create(&good)
}

fn own_mounts() -> Result<Vec<String>> {
    Ok(fs::read_to_string("/proc/self/mountinfo")?.lines().map(str::to_owned).collect())
}

fn changes_of_the_configuration_have_no_effect_after_create(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?.ask(&[&["report"]]).set("/hostname", "before");
    case.create(&bundle)?;
    let changed = bundle.clone().ask(&[&["exit", "9"]]).set("/hostname", "after").set("/process/cwd", "/tmp");
    changed.write()?;
    case.start(&bundle.id)?;
    let finished = case.finish(&bundle)?;
    ensure!(finished.exit == Exit::Code(0), "the program of the changed configuration ran");
    let report = finished.answers.first().cloned().unwrap_or_default();
    same("the host's name", &report["host"]["name"], "before")?;
    same("the working directory", &report["cwd"], "/")
}

fn start_needs_an_id(case: &Case<'_>) -> Result<()> {
    case.call(["start"])?.failure().map(drop)
}

fn start_runs_the_program(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?.set("/process/args", json!(["/probe", "report", ";", "exit", "7"]));
    let finished = case.run(&bundle)?;
    ensure!(
        finished.exit == Exit::Code(7),
        "the program ended with {:?}, and must end with 7",
        finished.exit
    );
    same("argv", &finished.answers[0]["args"], json!(["/probe", "report", ";", "exit", "7"]))
}

fn start_of_a_running_container_is_an_error(case: &Case<'_>) -> Result<()> {
    let bundle = paused(case)?;
    let pid = case.launch(&bundle)?;
    case.call(["start", &bundle.id])?.failure()?;
    ensure!(
        process::is_alive(pid) && case.status(&bundle.id)? == "running",
        "the container does not run any more"
    );
    let lines = case.answers(&bundle)?.len();
    ensure!(lines == 1, "the program ran {lines} times");
    Ok(())
}

fn start_of_a_stopped_container_is_an_error(case: &Case<'_>) -> Result<()> {
    let bundle = stopped(case)?;
    case.call(["start", &bundle.id])?.failure()?;
    ensure!(case.status(&bundle.id)? == "stopped", "the status is not stopped any more");
    Ok(())
}

/// A runtime may refuse already to create what cannot be started.
fn start_without_a_process_is_an_error(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?.without("/process");
    case.refuses_to_run(&bundle).map(drop)
}

fn kill_needs_an_id(case: &Case<'_>) -> Result<()> {
    case.call(["kill"])?.failure().map(drop)
}

fn kill_sends_the_signal(case: &Case<'_>) -> Result<()> {
    for (word, number) in [("TERM", 15), ("USR1", 10), ("SIGUSR2", 12), ("1", 1)] {
        let bundle = paused(case)?;
        case.launch(&bundle)?;
        case.call(["kill", &bundle.id, word])?.success()?;
        let finished = case.finish(&bundle)?;
        same(&format!("the signal of {word}"), &finished.answers[1]["signal"], number)?;
    }
    Ok(())
}

fn kill_works_on_a_created_container(case: &Case<'_>) -> Result<()> {
    let bundle = paused(case)?;
    case.create(&bundle)?;
    case.kill(&bundle.id)?;
    wait_for_stopped(case, &bundle.id)
}

fn kill_of_a_stopped_container_is_an_error(case: &Case<'_>) -> Result<()> {
    let bundle = stopped(case)?;
    case.call(["kill", &bundle.id, "TERM"])?.failure()?;
    ensure!(case.status(&bundle.id)? == "stopped", "the status is not stopped any more");
    Ok(())
}

fn delete_needs_an_id(case: &Case<'_>) -> Result<()> {
    case.call(["delete"])?.failure().map(drop)
}

fn delete_of_a_created_container_is_an_error(case: &Case<'_>) -> Result<()> {
    let bundle = paused(case)?;
    case.create(&bundle)?;
    case.call(["delete", &bundle.id])?.failure()?;
    ensure!(case.status(&bundle.id)? == "created", "the status is not created any more");
    case.start(&bundle.id)?;
    case.wait_for_output(&bundle, "paused")
}

fn delete_of_a_running_container_is_an_error(case: &Case<'_>) -> Result<()> {
    let bundle = paused(case)?;
    let pid = case.launch(&bundle)?;
    case.call(["delete", &bundle.id])?.failure()?;
    ensure!(
        process::is_alive(pid) && case.status(&bundle.id)? == "running",
        "the container does not run any more"
    );
    Ok(())
}

fn delete_removes_what_create_made(case: &Case<'_>) -> Result<()> {
    let bundle = paused(case)?;
    case.launch(&bundle)?;
    let groups = crate::cgroup::find(&bundle.id);
    case.kill(&bundle.id)?;
    wait_for_stopped(case, &bundle.id)?;
    case.delete(&bundle.id)?;
    let left: Vec<_> = groups.iter().filter(|dir| dir.exists()).collect();
    ensure!(left.is_empty(), "cgroups stay: {left:?}");
    let mounts = own_mounts()?;
    let here = bundle.dir.display().to_string();
    ensure!(!mounts.iter().any(|mount| mount.contains(&here)), "mounts stay in the bundle");
    ensure!(!case.exists(&bundle.id)?, "`state` still knows the container");
    Ok(())
}

fn delete_keeps_what_it_did_not_make(case: &Case<'_>) -> Result<()> {
    let outside = case.dir().join("outside");
    fs::create_dir(&outside)?;
    fs::write(outside.join("file"), "kept")?;
    let bundle =
        case.bundle()?.mount("/mnt", "bind", &outside, &["bind"]).ask(&[&["touch", "/mnt/made"], &["pause"]]);
    let neighbour = paused(case)?;
    case.launch(&neighbour)?;
    case.launch(&bundle)?;
    case.kill(&bundle.id)?;
    wait_for_stopped(case, &bundle.id)?;
    case.delete(&bundle.id)?;
    ensure!(fs::read_to_string(outside.join("file"))? == "kept", "the mounted directory was changed");
    ensure!(outside.join("made").exists(), "a file in the mounted directory is gone");
    ensure!(
        bundle.path("/probe").exists() && bundle.dir.join("config.json").exists(),
        "the bundle was changed"
    );
    ensure!(case.status(&neighbour.id)? == "running", "another container was touched");
    Ok(())
}

fn an_id_can_be_used_again_after_delete(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?.ask(&[&["report"]]);
    case.run(&bundle)?;
    let again = case.run(&bundle)?;
    ensure!(again.exit == Exit::Code(0), "the second container ended with {:?}", again.exit);
    Ok(())
}

/// The program may end in any way; the runtime only sees that the container is stopped.
fn the_status_of_the_program_is_kept_from_the_runtime(case: &Case<'_>) -> Result<()> {
    for status in ["0", "1", "255"] {
        let bundle = case.bundle()?.ask(&[&["exit", status]]);
        case.create(&bundle)?;
        case.start(&bundle.id)?;
        case.wait(&bundle.id)?;
        wait_for_stopped(case, &bundle.id)?;
        case.delete(&bundle.id)?;
    }
    Ok(())
}

fn the_bundle_is_read_from_its_directory(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?.ask(&[&["report"]]);
    bundle.write()?;
    let elsewhere = bundle.dir.join("settings.json");
    fs::rename(bundle.dir.join("config.json"), &elsewhere)?;
    let dir = bundle.dir.display().to_string();
    case.call(["create", "--bundle", &dir, &bundle.id])?.failure()?;
    case.run(&bundle).map(drop)
}
