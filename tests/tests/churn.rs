//! Many containers, many at a time: what one in a thousand leaves would fill a machine.

use mydocker_tests::{Bundle, Runtime, cgroup, leftovers, wait};
use std::fs;
use std::thread;

/// How many containers live at once.
const AT_ONCE: usize = 50;

/// How many each of those places sees, one after the other.
const EACH: usize = 20;

/// A whole life: made, started, looked at, entered, ended and deleted.
fn live(runtime: &Runtime, bundle: &Bundle, number: usize) {
    let id = bundle.id();
    runtime.create(bundle).succeeds().discard();
    runtime.start(id).succeeds().discard();
    assert_eq!(runtime.exec(id, ["echo", "there"]).succeeds().stdout, "there\n");
    if number.is_multiple_of(2) {
        runtime.delete_force(id).succeeds().discard();
    } else {
        runtime.kill_and_delete(id);
    }
}

#[test]
fn privileged_a_thousand_containers_fifty_at_a_time_leave_nothing() {
    let runtime = Runtime::new();
    let template = runtime.bundle().args(["sleep", "1000"]);
    let bundles: Vec<Vec<Bundle>> =
        (0..AT_ONCE).map(|_| (0..EACH).map(|_| runtime.bundle_like(&template)).collect()).collect();
    thread::scope(|scope| {
        for place in bundles {
            let runtime = &runtime;
            scope.spawn(move || {
                place.iter().enumerate().for_each(|(number, bundle)| live(runtime, bundle, number))
            });
        }
    });
    assert_eq!(fs::read_dir(runtime.root()).map_or(0, Iterator::count), 0, "state");
    assert!(cgroup::remove_by_prefix(runtime.name()).is_empty(), "cgroups");
    assert!(leftovers::mounts_below(runtime.name()).is_empty(), "mounts");
    wait::until("the last process to be gone", || cgroup::processes(runtime.name()).is_empty().then_some(()));
}
