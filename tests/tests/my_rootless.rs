//! `mydocker` of an ordinary user: in a user namespace with the ranges of `/etc/subuid`.

use mydocker_tests::engine::{monitor_program, program};
use mydocker_tests::{Invocation, Runtime, User, wait};
use std::fs;

/// A command of `mydocker`, typed by an ordinary user.
fn command(runtime: &Runtime, user: &User<'_>, words: &[&str]) -> Invocation {
    let invocation = Invocation::new(&runtime.scratch().join("out"), [program()]).args(words);
    let invocation = invocation.env("MYDOCKER_MONITOR", monitor_program());
    user.runs(invocation.env("MYDOCKER_RUNTIME", mydocker_tests::runtime::program()))
}

#[test]
fn privileged_an_ordinary_user_runs_stops_and_removes_containers() {
    let runtime = Runtime::new();
    let user = User::new(&runtime).with_ranges();
    let my = |words: &[&str]| command(&runtime, &user, words).run();
    let script = "id -u; echo $$; wc -l < /proc/self/uid_map; touch /usr/made && echo written";
    let outcome = my(&["run", "--rm", "--network", "none", "/bin/sh", "-c", script]).succeeds();
    assert_eq!(outcome.stdout, "0\n1\n2\nwritten\n");
    let script = "trap 'exit 4' TERM; echo started; while :; do sleep 0.1; done";
    my(&["run", "-d", "--name", "one", "--network", "none", "/bin/sh", "-c", script]).succeeds().discard();
    my(&["run", "-d", "--name", "two", "--network", "none", "/bin/sleep", "1000"]).succeeds().discard();
    assert_eq!(my(&["ps", "-q"]).succeeds().stdout.lines().count(), 2);
    let started = || (my(&["logs", "one"]).succeeds().stdout == "started\n").then_some(());
    wait::within(wait::DEADLINE, started).expect("it starts in time");
    assert_eq!(my(&["exec", "two", "/bin/sh", "-c", "id -u; exit 3"]).exits(3).stdout, "0\n");
    my(&["stop", "one"]).succeeds().discard();
    assert_eq!(my(&["inspect", "-f", "{{.State.ExitCode}}", "one"]).succeeds().stdout, "4\n");
    my(&["rm", "-f", "one", "two"]).succeeds().discard();
    assert_eq!(my(&["ps", "-aq"]).succeeds().stdout, "");
    let left = fs::read_dir(user.home().join(".local/share/mydocker/containers")).expect("the directory");
    assert_eq!(left.count(), 0);
}

#[test]
fn privileged_what_an_ordinary_user_cannot_have_is_told() {
    let runtime = Runtime::new();
    let user = User::new(&runtime).with_ranges();
    let my = |words: &[&str]| command(&runtime, &user, words).run();
    let limited = ["run", "--rm", "-m", "100m", "--network", "none", "/bin/true"];
    my(&limited).exits(125).says("delegat").discard();
    assert_eq!(my(&["ps", "-aq"]).succeeds().stdout, "");
}
