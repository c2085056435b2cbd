//! config.md, POSIX-platform hooks, and what runtime.md says of them.

use super::{has, list, same};
use crate::bundle::{Bundle, PROBE};
use crate::case::Case;
use crate::process;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Instant;

list![
    prestart_hooks_run_during_create_before_create_runtime,
    create_runtime_hooks_run_during_create,
    create_container_hooks_run_after_create_runtime,
    start_container_hooks_run_before_the_program,
    poststart_hooks_run_before_start_returns,
    poststop_hooks_run_before_delete_returns,
    hooks_run_in_the_listed_order,
    hooks_read_the_state,
    hooks_know_the_pid_of_their_namespace,
    prestart_hooks_run_in_the_runtime_namespace,
    create_runtime_hooks_run_in_the_runtime_namespace,
    create_container_hooks_run_in_the_container_namespace,
    start_container_hooks_run_in_the_container_namespace,
    poststart_hooks_run_in_the_runtime_namespace,
    poststop_hooks_run_in_the_runtime_namespace,
    hooks_before_the_pivot_see_the_mounts_of_the_host,
    hooks_get_their_arguments_and_environment,
    a_failing_prestart_hook_ends_create,
    a_failing_create_runtime_hook_ends_create,
    a_failing_create_container_hook_ends_create,
    a_failing_start_container_hook_ends_start,
    a_failing_poststart_hook_stops_the_container,
    a_failing_poststop_hook_is_a_warning,
    poststop_hooks_run_after_a_failed_start,
    a_hook_is_ended_at_its_timeout,
    a_hook_timeout_of_zero_is_refused,
    a_relative_hook_path_is_refused,
    a_hook_that_is_missing_is_an_error,
    annotations_reach_the_hooks,
];

/// All kinds, in the order of a container's life.
const KINDS: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// The file that hooks and the program append to; it lies in the root file system, so that both can.
fn log(bundle: &Bundle) -> PathBuf {
    bundle.path("/data/log")
}

/// Adds a hook that appends its name, and ends as told.
fn with_hook(case: &Case<'_>, bundle: Bundle, kind: &str, name: &str, ending: &str) -> Bundle {
    if kind == "startContainer" {
        let inside = PathBuf::from(PROBE);
        return bundle.hook(kind, &inside, &["hook", "/data/log", name, ending]);
    }
    let path = log(&bundle).display().to_string();
    bundle.hook(kind, case.probe(), &["hook", &path, name, ending])
}

/// A bundle with one hook of each kind, and a program that appends `program`.
fn bundle_with_all(case: &Case<'_>) -> Result<Bundle> {
    let bundle = case.bundle()?.ask(&[&["log", "/data/log", "program"]]);
    Ok(KINDS.iter().fold(bundle, |bundle, kind| with_hook(case, bundle, kind, kind, "0")))
}

/// What was appended so far.
fn entries(bundle: &Bundle) -> Result<Vec<Value>> {
    let text = match fs::read_to_string(log(bundle)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        other => other?,
    };
    Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

/// The names in the order in which they were appended.
fn order(bundle: &Bundle) -> Result<Vec<String>> {
    let name =
        |entry: &Value| entry["hook"].as_str().or(entry["log"].as_str()).unwrap_or_default().to_owned();
    Ok(entries(bundle)?.iter().map(name).collect())
}

fn entry(bundle: &Bundle, name: &str) -> Result<Value> {
    let found = entries(bundle)?.into_iter().find(|entry| entry["hook"] == name);
    found.with_context(|| format!("the {name} hook did not run"))
}

fn position(names: &[String], name: &str) -> Result<usize> {
    names.iter().position(|found| found == name).with_context(|| format!("{name} did not happen: {names:?}"))
}

/// Demands that a hook ran before something else did.
fn before(bundle: &Bundle, first: &str, second: &str) -> Result<()> {
    let names = order(bundle)?;
    ensure!(
        position(&names, first)? < position(&names, second)?,
        "{first} must come before {second}: {names:?}"
    );
    Ok(())
}

/// Demands that a hook has run by now, or has not.
fn ran(bundle: &Bundle, name: &str, wanted: bool, when: &str) -> Result<()> {
    let names = order(bundle)?;
    ensure!(names.iter().any(|found| found == name) == wanted, "{when}, {name}: {names:?}");
    Ok(())
}

fn prestart_hooks_run_during_create_before_create_runtime(case: &Case<'_>) -> Result<()> {
    let bundle = bundle_with_all(case)?;
    case.create(&bundle)?;
    ran(&bundle, "prestart", true, "after create")?;
    before(&bundle, "prestart", "createRuntime")
}

fn create_runtime_hooks_run_during_create(case: &Case<'_>) -> Result<()> {
    let bundle = bundle_with_all(case)?;
    case.create(&bundle)?;
    ran(&bundle, "createRuntime", true, "after create")?;
    ran(&bundle, "startContainer", false, "after create")
}

fn create_container_hooks_run_after_create_runtime(case: &Case<'_>) -> Result<()> {
    let bundle = bundle_with_all(case)?;
    case.create(&bundle)?;
    before(&bundle, "createRuntime", "createContainer")
}

fn start_container_hooks_run_before_the_program(case: &Case<'_>) -> Result<()> {
    let bundle = bundle_with_all(case)?;
    case.create(&bundle)?;
    ran(&bundle, "startContainer", false, "after create")?;
    case.start(&bundle.id)?;
    case.wait(&bundle.id)?;
    before(&bundle, "startContainer", "program")
}

/// The program pauses, so that only its execution can be what came before.
fn poststart_hooks_run_before_start_returns(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?.ask(&[&["pause"]]);
    let bundle = with_hook(case, bundle, "poststart", "poststart", "0");
    case.create(&bundle)?;
    ran(&bundle, "poststart", false, "after create")?;
    case.start(&bundle.id)?;
    ran(&bundle, "poststart", true, "after start")
}

fn poststop_hooks_run_before_delete_returns(case: &Case<'_>) -> Result<()> {
    let bundle = bundle_with_all(case)?;
    case.create(&bundle)?;
    case.start(&bundle.id)?;
    case.wait(&bundle.id)?;
    ran(&bundle, "poststop", false, "before delete")?;
    case.delete(&bundle.id)?;
    ran(&bundle, "poststop", true, "after delete")
}

fn hooks_run_in_the_listed_order(case: &Case<'_>) -> Result<()> {
    let mut bundle = case.bundle()?.ask(&[&["report"]]);
    for kind in KINDS {
        for number in 1..=3 {
            bundle = with_hook(case, bundle, kind, &format!("{kind}{number}"), "0");
        }
    }
    case.run(&bundle)?;
    let names = order(&bundle)?;
    for kind in KINDS {
        let of_kind: Vec<&str> =
            names.iter().filter(|name| name.starts_with(kind)).map(String::as_str).collect();
        let wanted: Vec<String> = (1..=3).map(|number| format!("{kind}{number}")).collect();
        ensure!(of_kind == wanted, "the order is {of_kind:?}");
    }
    Ok(())
}

fn hooks_read_the_state(case: &Case<'_>) -> Result<()> {
    let bundle = bundle_with_all(case)?;
    case.run(&bundle)?;
    for kind in KINDS {
        let entry = entry(&bundle, kind)?;
        let state = &entry["state"];
        ensure!(state.is_object(), "the {kind} hook read no state");
        same(&format!("the id for {kind}"), &state["id"], bundle.id.as_str())?;
        let path = state["bundle"].as_str().unwrap_or_default();
        let same_place = fs::metadata(path)
            .is_ok_and(|found| fs::metadata(&bundle.dir).is_ok_and(|b| b.ino() == found.ino()));
        ensure!(same_place, "the bundle for {kind} is {path:?}");
        ensure!(state["ociVersion"].is_string(), "the version for {kind} is {}", state["ociVersion"]);
        let statuses = match kind {
            "poststart" => ["running", "running"],
            "poststop" => ["stopped", "stopped"],
            "startContainer" => ["created", "creating"],
            _ => ["creating", "created"],
        };
        let status = state["status"].as_str().unwrap_or_default();
        ensure!(
            statuses.contains(&status),
            "the status for {kind} is {status:?}, and must be one of {statuses:?}"
        );
    }
    Ok(())
}

fn hooks_know_the_pid_of_their_namespace(case: &Case<'_>) -> Result<()> {
    let bundle = bundle_with_all(case)?;
    case.create(&bundle)?;
    let pid = case.pid(&bundle.id)?;
    case.start(&bundle.id)?;
    case.finish(&bundle)?;
    for kind in ["prestart", "createRuntime", "poststart"] {
        same(&format!("the pid for {kind}"), &entry(&bundle, kind)?["state"]["pid"], pid)?;
    }
    same("the pid for startContainer", &entry(&bundle, "startContainer")?["state"]["pid"], 1)
}

/// Demands that a hook ran in exactly the namespaces of this program.
fn in_runtime_namespace(case: &Case<'_>, kind: &str) -> Result<()> {
    let bundle = with_hook(case, case.bundle()?.ask(&[&["report"]]), kind, kind, "0");
    case.run(&bundle)?;
    let entry = entry(&bundle, kind)?;
    for (name, link) in process::own_namespaces()? {
        if ["pid_for_children", "time_for_children", "mnt", "cgroup"].contains(&name.as_str()) {
            continue;
        }
        same(&format!("its {name} namespace"), &entry["namespaces"][&name], link)?;
    }
    // A runtime may work in a mount namespace of its own, but the hook's root is the host's.
    let root = fs::metadata("/")?;
    same("its root", &entry["root"], json!({"inode": root.ino(), "device": root.dev()}))
}

fn prestart_hooks_run_in_the_runtime_namespace(case: &Case<'_>) -> Result<()> {
    in_runtime_namespace(case, "prestart")
}

fn create_runtime_hooks_run_in_the_runtime_namespace(case: &Case<'_>) -> Result<()> {
    in_runtime_namespace(case, "createRuntime")
}

fn poststart_hooks_run_in_the_runtime_namespace(case: &Case<'_>) -> Result<()> {
    in_runtime_namespace(case, "poststart")
}

fn poststop_hooks_run_in_the_runtime_namespace(case: &Case<'_>) -> Result<()> {
    in_runtime_namespace(case, "poststop")
}

/// Demands that a hook ran in the namespaces of the container.
fn in_container_namespace(case: &Case<'_>, kind: &str) -> Result<Value> {
    let bundle = with_hook(case, case.bundle()?.ask(&[&["report"]]), kind, kind, "0");
    let finished = case.run(&bundle)?;
    let (hook, program) = (entry(&bundle, kind)?, &finished.answers[0]);
    for name in ["ipc", "mnt", "net", "uts", "user"] {
        let theirs = &program["namespaces"][name];
        // Before /proc of the container is there the links are those of the host's procfs, which tell the same.
        same(&format!("its {name} namespace"), &hook["namespaces"][name], theirs.clone())?;
    }
    Ok(hook)
}

fn create_container_hooks_run_in_the_container_namespace(case: &Case<'_>) -> Result<()> {
    in_container_namespace(case, "createContainer").map(drop)
}

fn start_container_hooks_run_in_the_container_namespace(case: &Case<'_>) -> Result<()> {
    let hook = in_container_namespace(case, "startContainer")?;
    let points = hook["mounts"].as_array().into_iter().flatten();
    let points: Vec<&Value> = points.map(|mount| &mount["point"]).collect();
    ensure!(points.iter().any(|point| *point == "/dev/pts"), "its root is not the container's: {points:?}");
    Ok(())
}

/// Before the pivot the root of the mount namespace is the host's, and the container's mounts lie below its bundle.
fn hooks_before_the_pivot_see_the_mounts_of_the_host(case: &Case<'_>) -> Result<()> {
    let bundle =
        with_hook(case, case.bundle()?.ask(&[&["report"]]), "createContainer", "createContainer", "0");
    case.run(&bundle)?;
    let hook = entry(&bundle, "createContainer")?;
    let root = fs::metadata("/")?;
    same("its root", &hook["root"], json!({"inode": root.ino(), "device": root.dev()}))?;
    let wanted = bundle.path("/proc").display().to_string();
    let mounts = hook["mounts"].as_array().into_iter().flatten();
    ensure!(mounts.into_iter().any(|mount| mount["point"] == wanted), "nothing is mounted at {wanted} yet");
    Ok(())
}

fn hooks_get_their_arguments_and_environment(case: &Case<'_>) -> Result<()> {
    let mut bundle = bundle_with_all(case)?;
    for kind in KINDS {
        bundle = bundle.set(&format!("/hooks/{kind}/0/env"), json!(["HOOK_ENV=given", "OTHER="]));
        bundle = bundle.set(&format!("/hooks/{kind}/0/args/0"), "any name");
    }
    case.run(&bundle)?;
    for kind in KINDS {
        let hook = entry(&bundle, kind)?;
        same(&format!("argv[0] of {kind}"), &hook["args"][0], "any name")?;
        same(&format!("argv[3] of {kind}"), &hook["args"][3], kind)?;
        ensure!(
            has(&hook["env"], "HOOK_ENV=given") && has(&hook["env"], "OTHER="),
            "the environment of {kind} is {}",
            hook["env"]
        );
    }
    Ok(())
}

/// A hook of `kind` fails: `create` must fail, the container must be gone, and poststop hooks must have run.
fn failing_hook_ends_create(case: &Case<'_>, kind: &str) -> Result<()> {
    let bundle = case.bundle()?.ask(&[&["log", "/data/log", "program"]]);
    let bundle = with_hook(case, bundle, kind, kind, "3");
    let bundle = with_hook(case, bundle, "poststop", "poststop", "0");
    case.refuses(&bundle)?;
    ran(&bundle, kind, true, "after create")?;
    ran(&bundle, "program", false, "after create")?;
    ran(&bundle, "poststop", true, "after the failed create")?;
    ensure!(crate::cgroup::find(&bundle.id).is_empty(), "a cgroup stays");
    Ok(())
}

fn a_failing_prestart_hook_ends_create(case: &Case<'_>) -> Result<()> {
    failing_hook_ends_create(case, "prestart")
}

fn a_failing_create_runtime_hook_ends_create(case: &Case<'_>) -> Result<()> {
    failing_hook_ends_create(case, "createRuntime")
}

fn a_failing_create_container_hook_ends_create(case: &Case<'_>) -> Result<()> {
    failing_hook_ends_create(case, "createContainer")
}

/// Creates a container whose hook of `kind` fails, and starts it, which must fail. It must be stopped, or gone.
fn failing_hook_ends_start(case: &Case<'_>, kind: &str, questions: &[&[&str]]) -> Result<Bundle> {
    let bundle = with_hook(case, case.bundle()?.ask(questions), kind, kind, "3");
    let bundle = with_hook(case, bundle, "poststop", "poststop", "0");
    case.create(&bundle)?;
    let pid = case.pid(&bundle.id)?;
    case.call(["start", &bundle.id])?.failure()?;
    ran(&bundle, kind, true, "after start")?;
    process::wait_until("the container's process to be gone", || Ok(!process::is_alive(pid)))?;
    Ok(bundle)
}

fn a_failing_start_container_hook_ends_start(case: &Case<'_>) -> Result<()> {
    let bundle = failing_hook_ends_start(case, "startContainer", &[&["log", "/data/log", "program"]])?;
    ran(&bundle, "program", false, "after start")
}

fn a_failing_poststart_hook_stops_the_container(case: &Case<'_>) -> Result<()> {
    failing_hook_ends_start(case, "poststart", &[&["pause"]]).map(drop)
}

/// The lifecycle goes on with the destruction and the poststop hooks, at the latest when the container is deleted.
fn poststop_hooks_run_after_a_failed_start(case: &Case<'_>) -> Result<()> {
    let bundle = failing_hook_ends_start(case, "startContainer", &[&["report"]])?;
    if case.exists(&bundle.id)? {
        drop(case.wait(&bundle.id));
        case.delete(&bundle.id)?;
    }
    ran(&bundle, "poststop", true, "after the failed start")
}

fn a_failing_poststop_hook_is_a_warning(case: &Case<'_>) -> Result<()> {
    let bundle = with_hook(case, case.bundle()?.ask(&[&["report"]]), "poststop", "first", "3");
    let bundle = with_hook(case, bundle, "poststop", "second", "0");
    case.run(&bundle)?;
    ran(&bundle, "second", true, "after delete")?;
    ensure!(!case.exists(&bundle.id)?, "the container is still there");
    Ok(())
}

fn a_hook_is_ended_at_its_timeout(case: &Case<'_>) -> Result<()> {
    let bundle = with_hook(case, case.bundle()?.ask(&[&["report"]]), "createRuntime", "slow", "hang");
    let bundle = bundle.set("/hooks/createRuntime/0/timeout", 1);
    let begin = Instant::now();
    case.refuses(&bundle)?;
    ensure!(begin.elapsed().as_millis() >= 900, "it was ended after {:?} already", begin.elapsed());
    ran(&bundle, "slow", true, "after create")?;
    let pid = i32::try_from(entry(&bundle, "slow")?["pid"].as_i64().unwrap_or_default())?;
    process::wait_until("the hook to be ended", || Ok(!process::is_alive(pid)))
}

fn a_hook_timeout_of_zero_is_refused(case: &Case<'_>) -> Result<()> {
    let bundle = bundle_with_all(case)?.set("/hooks/createRuntime/0/timeout", 0);
    case.refuses(&bundle).map(drop)
}

fn a_relative_hook_path_is_refused(case: &Case<'_>) -> Result<()> {
    for kind in ["prestart", "createRuntime", "createContainer"] {
        let bundle = bundle_with_all(case)?.set(&format!("/hooks/{kind}/0/path"), "probe");
        case.refuses(&bundle)?;
    }
    let bundle = bundle_with_all(case)?.set("/hooks/startContainer/0/path", "probe");
    case.refuses_to_run(&bundle).map(drop)
}

/// The path of the hooks but `startContainer` is one of the host, and that of `startContainer` one of the container.
fn a_hook_that_is_missing_is_an_error(case: &Case<'_>) -> Result<()> {
    for kind in ["prestart", "createRuntime", "createContainer"] {
        let bundle = bundle_with_all(case)?.set(&format!("/hooks/{kind}/0/path"), PROBE);
        case.refuses(&bundle)?;
    }
    let outside = case.probe().display().to_string();
    let bundle = bundle_with_all(case)?.set("/hooks/startContainer/0/path", outside);
    case.refuses_to_run(&bundle).map(drop)
}

fn annotations_reach_the_hooks(case: &Case<'_>) -> Result<()> {
    let bundle = bundle_with_all(case)?.set("/annotations", json!({"com.example.key": "value"}));
    case.run(&bundle)?;
    for kind in KINDS {
        let found = entry(&bundle, kind)?;
        same(
            &format!("the annotation for {kind}"),
            &found["state"]["annotations"]["com.example.key"],
            "value",
        )?;
    }
    Ok(())
}
