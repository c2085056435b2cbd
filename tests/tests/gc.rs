//! `gc`: what a runtime leaves that is killed, and what must stay because somebody may still ask for it.

use mydocker_tests::{Bundle, Outcome, Runtime, cgroup, procfs, refusal, wait};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::fs;

fn gc(runtime: &Runtime, flags: &[&str]) -> Outcome {
    runtime.command(["gc"]).args(flags).run()
}

/// Runs `verb` on the bundle, and kills the runtime itself at the entry of its `number`th call of `call`.
fn killed_at(runtime: &Runtime, verb: &str, bundle: &Bundle, call: &str, number: usize) -> Outcome {
    let log = runtime.scratch().join("out/strace.log");
    let inject = format!("inject={call}:signal=KILL:when={number}");
    let words = [
        "strace",
        "-qq",
        "-o",
        log.to_str().expect("a plain path"),
        "-e",
        &format!("trace={call}"),
        "-e",
        &inject,
    ]
    .map(str::to_owned);
    runtime.bundle_command(verb, bundle, &[]).through(words).run()
}

fn has_state(runtime: &Runtime, bundle: &Bundle) -> bool {
    refusal::states(runtime).iter().any(|state| state == bundle.id())
}

/// The first process of a runtime that was killed ends by itself, and not at once.
fn wait_for_empty_cgroup(bundle: &Bundle) {
    wait::until("the half-made process to end", || {
        cgroup::processes(bundle.cgroup()).into_iter().all(|pid| !procfs::is_alive(pid)).then_some(())
    });
}

#[test]
fn privileged_whatever_a_killed_create_leaves_is_collected() {
    let runtime = Runtime::new();
    let template = runtime.bundle().args(["true"]);
    let (mut collected, mut whole) = (0, 0);
    for call in ["mkdir", "mkdirat", "openat", "renameat", "clone3", "write", "recvmsg", "mknodat"] {
        for number in [1, 2, 3, 5, 8, 13, 21] {
            let bundle = runtime.bundle_like(&template);
            let outcome = killed_at(&runtime, "create", &bundle, call, number);
            let left = has_state(&runtime, &bundle) || !cgroup::existing(bundle.cgroup()).is_empty();
            if outcome.status.success() || !left {
                // It was not killed, or before it did anything.
                runtime.delete_force(bundle.id()).succeeds().discard();
                continue;
            }
            if runtime.knows(bundle.id()) && runtime.status(bundle.id()) == "created" {
                // It was noted as created, and stays for its caller, also if the process cannot say its last word to the
                // runtime that was killed, and ends at this moment.
                gc(&runtime, &[]).succeeds().discard();
                assert!(runtime.knows(bundle.id()), "{call} {number}");
                runtime.delete_force(bundle.id()).succeeds().discard();
                whole += 1;
                continue;
            }
            wait_for_empty_cgroup(&bundle);
            let outcome = gc(&runtime, &[]).succeeds();
            if has_state(&runtime, &bundle) {
                // It was noted as created and did not live: for its caller that is an ordinary stopped container.
                assert_eq!(runtime.status(bundle.id()), "stopped", "{call} {number}");
                runtime.delete(bundle.id()).succeeds().discard();
            } else {
                assert!(outcome.stdout.contains(bundle.id()), "{call} {number}: {}", outcome.describe());
                collected += 1;
            }
            assert!(cgroup::existing(bundle.cgroup()).is_empty(), "{call} {number}");
            assert!(!has_state(&runtime, &bundle), "{call} {number}");
        }
    }
    assert!(collected >= 10, "only {collected} kills left something, and {whole} something whole");
}

/// Whoever deletes it does not wait for the half-made process by looking: the lock tells when that has ended.
#[test]
fn privileged_a_container_whose_runtime_was_killed_is_deleted_at_once_and_as_a_whole() {
    let runtime = Runtime::new();
    let template = runtime.bundle().args(["true"]);
    for verb in ["create", "run"] {
        // Before and after the process is told of its cgroups, and before it is recorded.
        for (call, number) in [("sendmsg", 1), ("recvmsg", 1), ("recvmsg", 2), ("renameat", 2)].repeat(5) {
            let bundle = runtime.bundle_like(&template);
            killed_at(&runtime, verb, &bundle, call, number).discard();
            runtime.delete_force(bundle.id()).succeeds().discard();
            let left = cgroup::existing(bundle.cgroup());
            assert!(left.is_empty(), "{verb} {call} {number}: {left:?}");
            assert!(!has_state(&runtime, &bundle), "{verb} {call} {number}");
        }
    }
}

/// The group of the bundle is looked for by itself elsewhere: what is above it was made for it as well.
#[test]
fn privileged_the_parents_of_a_cgroup_go_with_the_container_whose_runtime_was_killed() {
    let runtime = Runtime::new();
    let template = runtime.bundle().args(["true"]);
    for verb in ["create", "run"] {
        for (call, number) in [("clone3", 1), ("sendmsg", 1), ("recvmsg", 1), ("recvmsg", 2)] {
            let mut bundle = runtime.bundle_like(&template);
            let top = format!("/{}", bundle.id());
            bundle.edit(|config| config["linux"]["cgroupsPath"] = json!(format!("{top}/one/two")));
            killed_at(&runtime, verb, &bundle, call, number).discard();
            assert!(!cgroup::existing(&top).is_empty(), "{verb} {call} {number}: it was killed too early");
            runtime.delete_force(bundle.id()).succeeds().discard();
            let left = cgroup::existing(&top);
            assert!(left.is_empty(), "{verb} {call} {number}: {left:?}");
            assert!(!has_state(&runtime, &bundle), "{verb} {call} {number}");
        }
    }
}

#[test]
fn privileged_a_container_whose_runtime_was_killed_is_deleted_while_its_hook_runs() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["true"]);
    let script = format!("touch {}; exec sleep 1000", bundle.path("tmp/begun").display());
    let bundle = bundle.with(|config| {
        let hook = serde_json::json!({"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"]});
        config["hooks"]["createContainer"] = serde_json::json!([hook]);
    });
    let run = runtime.spawn(&bundle);
    wait::until("the hook to run", || bundle.path("tmp/begun").exists().then_some(()));
    kill_process(Pid::from_raw(run.pid()).expect("a pid"), Signal::KILL).expect("it runs");
    drop(run);
    runtime.delete_force(bundle.id()).succeeds().discard();
    assert!(cgroup::existing(bundle.cgroup()).is_empty() && !has_state(&runtime, &bundle));
}

#[test]
fn privileged_a_dry_run_tells_and_removes_nothing() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle();
    killed_at(&runtime, "create", &bundle, "clone3", 1).discard();
    assert!(has_state(&runtime, &bundle));
    let state = runtime.root().join(bundle.id());
    let group =
        cgroup::existing(bundle.cgroup()).into_iter().next().expect("a cgroup was made before the process");
    let outcome = gc(&runtime, &["--dry-run"]).succeeds();
    for text in [
        "its creation was interrupted",
        &format!("would remove {}", state.display()),
        &group.display().to_string(),
    ] {
        assert!(outcome.stdout.contains(text), "{text}: {}", outcome.stdout);
    }
    assert!(state.exists() && group.exists());
    let outcome = gc(&runtime, &[]).succeeds();
    for path in [&state, &group] {
        assert!(outcome.stdout.contains(&format!("removed {}\n", path.display())), "{}", outcome.stdout);
        assert!(!path.exists());
    }
    assert_eq!(gc(&runtime, &[]).succeeds().stdout, "");
}

#[test]
fn privileged_containers_that_live_or_have_stopped_stay() {
    let runtime = Runtime::new();
    let sleeper = runtime.bundle().args(["sleep", "1000"]);
    runtime.run_detached(&sleeper);
    let created = runtime.bundle_like(&sleeper);
    runtime.create(&created).succeeds().discard();
    let stopped = runtime.bundle_like(&sleeper);
    runtime.run_detached(&stopped);
    runtime.kill(stopped.id(), "KILL").succeeds().discard();
    runtime.wait_for_status(stopped.id(), "stopped");
    assert_eq!(gc(&runtime, &[]).succeeds().stdout, "");
    assert_eq!(runtime.status(stopped.id()), "stopped");
    let outcome = gc(&runtime, &["--stopped"]).succeeds();
    assert!(outcome.stdout.contains(&format!("{}: it has stopped\n", stopped.id())), "{}", outcome.stdout);
    assert!(!runtime.knows(stopped.id()) && cgroup::existing(stopped.cgroup()).is_empty());
    assert_eq!(runtime.status(sleeper.id()), "running");
    assert_eq!(runtime.status(created.id()), "created");
}

#[test]
fn privileged_a_container_whose_attendant_was_killed_is_collected_at_its_end() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("while [ ! -e /go ]; do sleep 0.01; done");
    let run = runtime.spawn(&bundle);
    wait::until("the container to run", || {
        (runtime.knows(bundle.id()) && runtime.status(bundle.id()) == "running").then_some(())
    });
    kill_process(Pid::from_raw(run.pid()).expect("a pid"), Signal::KILL).expect("it runs");
    drop(run);
    assert_eq!(gc(&runtime, &[]).succeeds().stdout, "", "it still runs");
    fs::write(bundle.path("go"), "").expect("the root is writable");
    runtime.wait_for_status(bundle.id(), "stopped");
    wait_for_empty_cgroup(&bundle);
    let outcome = gc(&runtime, &[]).succeeds();
    assert!(outcome.stdout.contains("the run that would have deleted it is gone"), "{}", outcome.stdout);
    assert!(!runtime.knows(bundle.id()) && cgroup::existing(bundle.cgroup()).is_empty());
}

#[test]
fn privileged_a_deletion_that_was_interrupted_is_completed() {
    let runtime = Runtime::new();
    let template = runtime.bundle().args(["sleep", "1000"]);
    let mut completed = 0;
    // Each cgroup takes a call, then each file of the state.
    for number in 1..=18 {
        let bundle = runtime.bundle_like(&template);
        runtime.run_detached(&bundle);
        runtime.kill(bundle.id(), "KILL").succeeds().discard();
        runtime.wait_for_status(bundle.id(), "stopped");
        let log = runtime.scratch().join("out/strace.log");
        let inject = format!("inject=unlinkat:signal=KILL:when={number}");
        let words =
            ["strace", "-qq", "-o", log.to_str().expect("plain"), "-e", "trace=unlinkat", "-e", &inject];
        runtime.command(["delete", bundle.id()]).through(words).run().discard();
        let outcome = gc(&runtime, &[]).succeeds();
        completed += usize::from(outcome.stdout.contains(bundle.id()));
        if has_state(&runtime, &bundle) {
            runtime.delete(bundle.id()).succeeds().discard();
        }
        assert!(!has_state(&runtime, &bundle) && cgroup::existing(bundle.cgroup()).is_empty(), "{number}");
    }
    assert!(completed >= 2, "{completed}");
}

#[test]
fn privileged_what_others_are_at_work_on_is_passed_over() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle();
    killed_at(&runtime, "create", &bundle, "clone3", 1).discard();
    let directory = fs::File::open(runtime.root().join(bundle.id())).expect("the state is there");
    rustix::fs::flock(&directory, rustix::fs::FlockOperation::LockExclusive).expect("nobody has it");
    assert_eq!(gc(&runtime, &[]).succeeds().stdout, "");
    assert!(has_state(&runtime, &bundle));
    drop(directory);
    gc(&runtime, &[]).succeeds().discard();
    assert!(!has_state(&runtime, &bundle));
}

#[test]
fn privileged_a_damaged_record_is_told_of_and_stays() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle();
    runtime.create(&bundle).succeeds().discard();
    let file = runtime.root().join(bundle.id()).join("state.json");
    let good = fs::read(&file).expect("the record");
    fs::write(&file, "{").expect("writable");
    gc(&runtime, &["--stopped"]).succeeds().says("damaged").says("delete --force").discard();
    fs::write(&file, good).expect("writable");
    assert_eq!(runtime.status(bundle.id()), "created");
}

#[test]
fn without_a_state_root_there_is_nothing_to_collect() {
    let runtime = Runtime::new();
    let root = runtime.scratch().join("none");
    let words = [runtime.program().as_os_str(), "--root".as_ref(), root.as_os_str(), "gc".as_ref()];
    assert_eq!(runtime.host(words).run().succeeds().stdout, "");
}
