//! Descriptors that a caller passes to a container, or gets from one: preserved and activation descriptors, pidfds.

use mydocker_tests::{Bundle, FdSocket, Runtime, wait};
use rustix::process::{PidfdFlags, pidfd_open};
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Instant;

/// The process behind a pidfd, as this process numbers it.
fn pid_of(pidfd: &OwnedFd) -> i32 {
    let info =
        fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).expect("an own descriptor");
    let line = info.lines().find_map(|line| line.strip_prefix("Pid:"));
    line.expect("a pidfd has a pid").trim().parse().expect("a number")
}

fn socket(runtime: &Runtime) -> FdSocket {
    FdSocket::bind(runtime.scratch().join("pidfd.sock"))
}

fn received(socket: &FdSocket) -> (String, OwnedFd) {
    let (name, mut fds) = socket.receive();
    assert_eq!(fds.len(), 1, "one descriptor");
    (String::from_utf8(name).expect("a name"), fds.remove(0))
}

/// Runs `verb` with the socket, and returns the pidfd of the container's first process.
fn first_process(verb: &[&str]) -> (Runtime, Bundle, OwnedFd) {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["sleep", "1000"]);
    let socket = socket(&runtime);
    let path = socket.path().to_str().expect("a plain path").to_owned();
    let command =
        runtime.command(verb).args(["--pidfd-socket", &path, "--bundle"]).arg(bundle.dir()).arg(bundle.id());
    let running = command.spawn();
    let (name, pidfd) = received(&socket);
    running.wait().succeeds().discard();
    assert_eq!(name, "standard");
    (runtime, bundle, pidfd)
}

#[test]
fn privileged_create_and_run_send_a_pidfd_of_the_first_process() {
    for verb in [&["create"][..], &["run", "--detach"]] {
        let (runtime, bundle, pidfd) = first_process(verb);
        assert_eq!(pid_of(&pidfd), runtime.pid(bundle.id()));
        runtime.kill(bundle.id(), "KILL").succeeds().discard();
        assert!(wait::readable(&pidfd, Instant::now() + wait::DEADLINE), "it tells of the end");
    }
}

#[test]
fn privileged_exec_sends_a_pidfd_of_its_process() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["sleep", "1000"]);
    runtime.run_detached(&bundle);
    let socket = socket(&runtime);
    let pid_file = runtime.scratch().join("pid");
    let command =
        runtime.command(["exec", "--detach", "--pidfd-socket"]).arg(socket.path()).arg("--pid-file");
    let running = command.arg(&pid_file).args([bundle.id(), "sleep", "1000"]).spawn();
    let (name, pidfd) = received(&socket);
    running.wait().succeeds().discard();
    assert_eq!(name, "setns");
    assert_eq!(pid_of(&pidfd).to_string(), fs::read_to_string(&pid_file).expect("the pid file"));
    assert_ne!(pid_of(&pidfd), runtime.pid(bundle.id()));
}

#[test]
fn privileged_a_pidfd_socket_that_nobody_serves_is_an_error_and_leaves_nothing() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["sleep", "1000"]);
    runtime
        .bundle_command("create", &bundle, &["--pidfd-socket", "/never/was"])
        .run()
        .fails()
        .says("/never/was")
        .discard();
    assert!(!runtime.knows(bundle.id()));
    assert!(mydocker_tests::cgroup::existing(bundle.cgroup()).is_empty());
    runtime.run_detached(&bundle);
    let exec = runtime.command(["exec", "--pidfd-socket", "/never/was", bundle.id(), "sleep", "1000"]);
    exec.run().fails().says("/never/was").discard();
    assert_eq!(mydocker_tests::cgroup::processes(bundle.cgroup()), [runtime.pid(bundle.id())]);
    assert!(
        pidfd_open(
            rustix::process::Pid::from_raw(runtime.pid(bundle.id())).expect("a pid"),
            PidfdFlags::empty()
        )
        .is_ok()
    );
}

#[test]
fn privileged_descriptors_that_were_not_passed_cannot_be_preserved() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["sleep", "1000"]);
    let file = runtime.scratch().join("file");
    fs::write(&file, "").expect("the scratch directory is writable");
    let run = runtime.bundle_command("run", &bundle, &["--preserve-fds", "9"]).with_fd(3, &file);
    run.run().fails().says("--preserve-fds 9").says("is not open").discard();
    assert!(!runtime.knows(bundle.id()));
    // The log of the runtime itself, which has such a number, is not handed over for it.
    let log = runtime.scratch().join("log");
    let run =
        runtime.command(["--log", log.to_str().expect("plain"), "run", "--preserve-fds", "9", "--bundle"]);
    run.arg(bundle.dir()).arg(bundle.id()).run().fails().says("is not open").discard();
    runtime.run_detached(&bundle);
    runtime
        .command(["exec", "--preserve-fds", "9", bundle.id(), "true"])
        .run()
        .exits(255)
        .says("is not open")
        .discard();
}

#[test]
fn privileged_activation_descriptors_of_another_process_are_not_handed_over() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("echo \"<$LISTEN_FDS>\"; ls /proc/self/fd | wc -l");
    let run = runtime.run_command(&bundle).env("LISTEN_FDS", "1").env("LISTEN_PID", "1");
    let file = runtime.scratch().join("file");
    fs::write(&file, "").expect("the scratch directory is writable");
    // The three standard streams, and what ls has open itself.
    assert_eq!(run.with_fd(3, &file).run().succeeds().stdout, "<>\n4\n");
}

#[test]
fn privileged_sub_cgroups_of_exec_are_named_without_contradiction() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["sleep", "1000"]);
    runtime.run_detached(&bundle);
    for (groups, said) in [
        (&["--cgroup", "a", "--cgroup", "b"][..], "names no controller"),
        (&["--cgroup", "cpu:a", "--cgroup", "cpu:b"], "more than once"),
        (&["--cgroup", "cpu,cpu:a"], "more than once"),
        (&["--cgroup", "never:a"], "no hierarchy of that controller"),
        (&["--cgroup", "../a"], ".."),
        (&["--cgroup", "never-was"], "never-was"),
    ] {
        let exec = runtime.command(["exec"]).args(groups).args([bundle.id(), "true"]);
        exec.run().exits(255).says(said).discard();
    }
}
