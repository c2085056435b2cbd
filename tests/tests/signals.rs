//! Signals: what `kill` sends, and what `run` passes on.

use mydocker_tests::{Runtime, procfs, wait};
use rustix::process::Signal;
use std::fs;
use std::process::Command;

#[test]
fn privileged_a_signal_to_a_paused_container_acts_when_it_is_resumed() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("trap 'exit 3' TERM; echo ready; while :; do sleep 0.02; done");
    let running = runtime.spawn(&bundle);
    running.wait_for_output("ready");
    runtime.command(["pause", bundle.id()]).run().succeeds();
    runtime.kill(bundle.id(), "TERM").succeeds();
    assert_eq!(runtime.status(bundle.id()), "paused");
    runtime.command(["resume", bundle.id()]).run().succeeds();
    running.wait().exits(3);
}

#[test]
fn privileged_a_paused_container_that_is_killed_dies_without_being_resumed() {
    let runtime = Runtime::new();
    let bundle = runtime.waiting_bundle();
    runtime.run_detached(&bundle).succeeds();
    runtime.command(["pause", bundle.id()]).run().succeeds();
    runtime.kill(bundle.id(), "KILL").succeeds();
    runtime.wait_for_status(bundle.id(), "stopped");
}

/// As with runc, and otherwise than with crun: who stops a container politely before it is started does not wait until
/// he has lost his patience.
#[test]
fn privileged_what_ends_programs_ends_a_container_that_waits_for_its_start() {
    let runtime = Runtime::new();
    for signal in ["TERM", "INT", "HUP", "QUIT"] {
        let bundle = runtime.waiting_bundle();
        runtime.create(&bundle).succeeds();
        runtime.kill(bundle.id(), signal).succeeds();
        runtime.wait_for_status(bundle.id(), "stopped");
        runtime.start(bundle.id()).fails();
        runtime.delete(bundle.id()).succeeds();
    }
}

#[test]
fn privileged_what_ends_a_container_before_its_start_is_ignored_by_its_first_process_then() {
    let runtime = Runtime::new();
    let bundle = runtime.waiting_bundle();
    runtime.create(&bundle).succeeds();
    runtime.kill(bundle.id(), "USR1").succeeds();
    assert_eq!(runtime.status(bundle.id()), "created");
    runtime.start(bundle.id()).succeeds();
    runtime.kill(bundle.id(), "TERM").succeeds();
    assert_eq!(procfs::status_field(runtime.pid(bundle.id()), "SigCgt").as_deref(), Some("0000000000000000"));
    assert_eq!(runtime.status(bundle.id()), "running");
}

#[test]
fn privileged_kill_takes_names_numbers_and_the_default() {
    let runtime = Runtime::new();
    let script = "for s in HUP USR1 USR2 TERM RTMIN; do trap \"echo $s\" $s; done; echo ready; \
        while :; do sleep 0.02; done";
    let bundle = runtime.bundle().script(script);
    let running = runtime.spawn(&bundle);
    running.wait_for_output("ready");
    for (word, heard) in
        [("HUP", "HUP"), ("SIGUSR1", "USR1"), ("usr2", "USR2"), ("sigusr1", "USR1"), ("15", "TERM")]
    {
        let before = running.stdout();
        runtime.kill(bundle.id(), word).succeeds();
        let expected = format!("{before}{heard}\n");
        wait::until(&format!("{word} to arrive"), || (running.stdout() == expected).then_some(()));
    }
    let before = running.stdout();
    runtime.command(["kill", bundle.id()]).run().succeeds();
    wait::until("SIGTERM by default", || (running.stdout() == format!("{before}TERM\n")).then_some(()));
    runtime.kill(bundle.id(), "KILL").succeeds();
    running.wait().exits(137);
}

#[test]
fn privileged_kill_refuses_unknown_signals_and_signals_nobody() {
    let runtime = Runtime::new();
    let bundle = runtime.waiting_bundle();
    runtime.run_detached(&bundle);
    for signal in ["FOO", "SIGFOO", "99", "-1", "1x"] {
        runtime.command(["kill", bundle.id(), "--", signal]).run().fails();
        runtime.command(["kill", bundle.id(), signal]).run().fails();
    }
    assert_eq!(runtime.status(bundle.id()), "running");
}

#[test]
fn privileged_kill_all_reaches_every_process() {
    let runtime = Runtime::new();
    let script = "sleep 1000 & echo $! >/child; echo ready; wait";
    let bundle = runtime.bundle().script(script).without_namespace("pid");
    let running = runtime.spawn(&bundle);
    running.wait_for_output("ready");
    let child: i32 =
        fs::read_to_string(bundle.path("child")).expect("written").trim().parse().expect("a pid");
    runtime.command(["kill", "--all", bundle.id(), "KILL"]).run().succeeds();
    wait::for_exit(child);
    running.wait().exits(137);
}

#[test]
fn privileged_sigkill_reaches_every_process_where_the_first_has_no_pid_namespace_of_its_own() {
    let runtime = Runtime::new();
    // The child tells of a TERM of its own; the first waits for it again after each signal.
    let script = "trap 'echo first' TERM; (trap 'echo child' TERM; echo ready; while :; do sleep 0.02; done) & \
        echo $! >/child; while :; do wait; done";
    let bundle = runtime.bundle().script(script).without_namespace("pid");
    let running = runtime.spawn(&bundle);
    running.wait_for_output("ready");
    let child: i32 =
        fs::read_to_string(bundle.path("child")).expect("written").trim().parse().expect("a pid");
    runtime.kill(bundle.id(), "TERM").succeeds();
    running.wait_for_output("first");
    assert!(procfs::is_alive(child), "any other signal is for the first process alone");
    runtime.kill(bundle.id(), "KILL").succeeds();
    wait::for_exit(child);
    let outcome = running.wait().exits(137);
    assert!(!outcome.stdout.contains("child"), "{}", outcome.stdout);
}

#[test]
fn privileged_run_forwards_signals() {
    let runtime = Runtime::new();
    let script = "for s in HUP INT QUIT USR1 USR2 TERM CONT; do trap \"echo got $s\" $s; done; echo ready; \
        while :; do sleep 0.02; done";
    let bundle = runtime.bundle().script(script);
    let running = runtime.spawn(&bundle);
    running.wait_for_output("ready");
    let signals = [
        (Signal::HUP, "HUP"),
        (Signal::INT, "INT"),
        (Signal::QUIT, "QUIT"),
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
        (Signal::TERM, "TERM"),
        (Signal::CONT, "CONT"),
    ];
    for (signal, name) in signals {
        running.signal(signal);
        running.wait_for_output(&format!("got {name}\n"));
    }
    runtime.kill(bundle.id(), "KILL").succeeds();
    running.wait().exits(137);
}

/// 34 is the first of them for programs, though some C libraries keep it to themselves.
#[test]
fn privileged_run_forwards_real_time_signals() {
    let runtime = Runtime::new();
    let script =
        "for s in 34 35 64; do trap \"echo got $s\" $s; done; echo ready; while :; do sleep 0.02; done";
    let bundle = runtime.bundle().script(script);
    let running = runtime.spawn(&bundle);
    running.wait_for_output("ready");
    for number in [34, 35, 64] {
        let words = [format!("-{number}"), running.pid().to_string()];
        assert!(Command::new("kill").args(words).status().expect("procps is installed").success());
        running.wait_for_output(&format!("got {number}\n"));
    }
    runtime.kill(bundle.id(), "KILL").succeeds();
    running.wait().exits(137);
}

#[test]
fn privileged_a_signal_that_ends_the_container_ends_run() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("trap 'exit 3' TERM; echo ready; while :; do sleep 0.02; done");
    let running = runtime.spawn(&bundle);
    running.wait_for_output("ready");
    running.signal(Signal::TERM);
    running.wait().exits(3);
    assert!(!runtime.knows(bundle.id()));
}
