//! A fixed part of the sweep, for every change: each n-th point of every command, with both faults.

use mydocker_faults::point::Fault;
use mydocker_faults::subject::Subject;
use mydocker_faults::sweep::{Finding, Sweep};
use std::path::Path;

/// One point in so many is struck. It is no divisor of what repeats, such as the ten cgroup hierarchies.
const STRIDE: usize = 7;

fn sweep(subject: Subject) {
    let program = mydocker_tests::runtime::program();
    let sweep = Sweep::new(program, Path::new(env!("CARGO_BIN_EXE_inject")).to_owned(), subject);
    let mut bad: Vec<Finding> = Vec::new();
    for (fault, first) in [(Fault::Fails, 0), (Fault::Killed, STRIDE / 2)] {
        let points = sweep.points();
        let struck = points.iter().skip(first).step_by(STRIDE).map(|point| sweep.strike(point, fault));
        bad.extend(struck.filter(|finding| !finding.is_good()));
    }
    assert!(bad.is_empty(), "{} under faults:\n{bad:#?}", subject.name());
}

#[test]
fn privileged_create_tells_each_fault_and_leaves_nothing() {
    sweep(Subject::Create);
}

#[test]
fn privileged_start_tells_each_fault_and_leaves_nothing() {
    sweep(Subject::Start);
}

#[test]
fn privileged_run_tells_each_fault_and_leaves_nothing() {
    sweep(Subject::Run);
}

#[test]
fn privileged_exec_tells_each_fault_and_leaves_the_container_alone() {
    sweep(Subject::Exec);
}

#[test]
fn privileged_kill_tells_each_fault() {
    sweep(Subject::Kill);
}

#[test]
fn privileged_delete_tells_each_fault_and_leaves_nothing() {
    sweep(Subject::Delete);
}

#[test]
fn privileged_delete_by_force_tells_each_fault_and_leaves_nothing() {
    sweep(Subject::DeleteForce);
}
