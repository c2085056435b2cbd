//! Many commands at once, on many containers and on one.

use mydocker_tests::{Bundle, Runtime, cgroup, wait};
use std::fs;

#[test]
fn privileged_a_hundred_containers_started_at_once_are_all_there_and_all_go() {
    let runtime = Runtime::new();
    // One root file system is enough for all: they only look at it.
    let template = runtime.bundle().script("exec sleep 1000");
    let bundles: Vec<Bundle> = (0..100).map(|_| runtime.bundle_like(&template)).collect();
    let starts: Vec<_> =
        bundles.iter().map(|bundle| runtime.bundle_command("run", bundle, &["--detach"]).spawn()).collect();
    for start in starts {
        start.wait().succeeds();
    }
    let list = runtime.command(["list", "--format", "json"]).run().succeeds().json();
    let list = list.as_array().expect("a list");
    assert_eq!(list.iter().filter(|state| state["status"] == "running").count(), 100);
    let mut pids: Vec<i64> = list.iter().filter_map(|state| state["pid"].as_i64()).collect();
    pids.sort_unstable();
    pids.dedup();
    assert_eq!(pids.len(), 100);

    let ends: Vec<_> =
        bundles.iter().map(|bundle| runtime.command(["delete", "--force", bundle.id()]).spawn()).collect();
    for end in ends {
        end.wait().succeeds();
    }
    assert_eq!(runtime.command(["list", "--quiet"]).run().succeeds().stdout, "");
    for bundle in &bundles {
        assert_eq!(cgroup::existing(bundle.cgroup()), Vec::<std::path::PathBuf>::new());
    }
}

/// Differs from runc 1.1.5, which fails when a container goes while it lists.
#[test]
fn privileged_list_answers_while_containers_come_and_go() {
    let runtime = Runtime::new();
    let template = runtime.bundle();
    let stays = runtime.bundle_like(&template.args(["sleep", "1000"]));
    runtime.run_detached(&stays);
    let template = runtime.bundle();
    let bundles: Vec<Bundle> = (0..20).map(|_| runtime.bundle_like(&template)).collect();
    let runs: Vec<_> = bundles.iter().map(|bundle| runtime.spawn(bundle)).collect();
    for _ in 0..20 {
        let list = runtime.command(["list", "--format", "json"]).run().succeeds().json();
        let seen = list.as_array().is_some_and(|list| list.iter().any(|state| state["id"] == stays.id()));
        assert!(seen, "{list}");
    }
    for run in runs {
        run.wait().succeeds();
    }
    assert_eq!(runtime.command(["list", "--quiet"]).run().succeeds().stdout, format!("{}\n", stays.id()));
}

#[test]
fn privileged_one_id_created_by_many_at_once_is_created_once() {
    let runtime = Runtime::new();
    let bundle = runtime.waiting_bundle();
    let creates: Vec<_> = (0..8).map(|_| runtime.bundle_command("create", &bundle, &[]).spawn()).collect();
    let outcomes: Vec<_> = creates.into_iter().map(mydocker_tests::Running::wait).collect();
    let won = outcomes.iter().filter(|outcome| outcome.status.success()).count();
    assert_eq!(won, 1, "{:#?}", outcomes.iter().map(|outcome| &outcome.stderr).collect::<Vec<_>>());
    assert_eq!(runtime.status(bundle.id()), "created");
    runtime.start(bundle.id()).succeeds();
    assert_eq!(runtime.status(bundle.id()), "running");
}

/// Differs from runc, where a late one may wait on the pipe of the start for ever.
#[test]
fn privileged_one_container_started_by_many_at_once_is_started_once() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("echo x >>/starts; exec sleep 1000");
    runtime.create(&bundle).succeeds();
    let starts: Vec<_> = (0..8).map(|_| runtime.command(["start", bundle.id()]).spawn()).collect();
    let won = starts
        .into_iter()
        .map(mydocker_tests::Running::wait)
        .filter(|outcome| outcome.status.success())
        .count();
    assert_eq!(won, 1);
    wait::until("the start", || bundle.path("starts").exists().then_some(()));
    assert_eq!(fs::read_to_string(bundle.path("starts")).expect("written"), "x\n");
}
