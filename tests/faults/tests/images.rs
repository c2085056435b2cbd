//! A fixed part of the sweep over the image tool, for every change: each n-th point of each command, with both faults.

use mydocker_faults::images::{ImageSubject, ImageSweep};
use mydocker_faults::point::Fault;
use mydocker_faults::sweep::Finding;
use std::path::Path;

/// One point in so many is struck.
const STRIDE: usize = 29;

fn sweep(subject: ImageSubject) {
    let sweep = ImageSweep::new(Path::new(env!("CARGO_BIN_EXE_inject")).to_owned(), subject);
    let mut bad: Vec<Finding> = Vec::new();
    for (fault, first) in [(Fault::Fails, 0), (Fault::Killed, STRIDE / 2)] {
        let points = sweep.points();
        assert!(points.len() > STRIDE, "{} points", points.len());
        let struck = points.iter().skip(first).step_by(STRIDE).map(|point| sweep.strike(point, fault));
        bad.extend(struck.filter(|finding| !finding.is_good()));
    }
    assert!(bad.is_empty(), "{} under faults:\n{bad:#?}", subject.name());
}

#[test]
fn privileged_pull_tells_each_fault_and_the_store_stays_usable() {
    sweep(ImageSubject::Pull);
}

#[test]
fn privileged_commit_tells_each_fault_and_the_store_stays_usable() {
    sweep(ImageSubject::Commit);
}

#[test]
fn privileged_load_tells_each_fault_and_the_store_stays_usable() {
    sweep(ImageSubject::Load);
}
