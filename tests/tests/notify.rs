//! `sd_notify(3)` through the runtime: a service manager hears that the container is ready, and which process to watch.

use mydocker_tests::{Bundle, Runtime, wait};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

/// A service manager that listens.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    fn new(runtime: &Runtime) -> Self {
        let path = runtime.scratch().join("manager.sock");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
        Self { socket, path }
    }

    /// The next message. Descriptors that come with it are let go of, which is what a barrier waits for.
    fn hears(&self) -> String {
        let mut buffer = [0; 1000];
        let length = self.socket.recv(&mut buffer).expect("a message in time");
        String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned()
    }
}

/// Says something to the socket that the container has.
fn say(runtime: &Runtime, bundle: &Bundle, text: &str) {
    let path = runtime.root().join(bundle.id()).join("notify/notify.sock");
    wait::until("the container's socket", || path.exists().then_some(()));
    let socket = UnixDatagram::unbound().expect("a socket");
    socket.send_to(text.as_bytes(), path).expect("the runtime listens");
}

fn bundle(runtime: &Runtime) -> Bundle {
    runtime.bundle().script("test -S \"$NOTIFY_SOCKET\" && echo a socket; env | grep NOTIFY; exec sleep 1000")
}

#[test]
fn privileged_a_detached_run_returns_when_the_container_is_ready_and_names_its_process() {
    let runtime = Runtime::new();
    let (manager, bundle) = (Manager::new(&runtime), bundle(&runtime));
    let command = runtime.bundle_command("run", &bundle, &["--detach"]);
    let running = command.env("NOTIFY_SOCKET", &manager.path).spawn();
    running.wait_for_output("a socket");
    running.wait_for_output("NOTIFY_SOCKET=/run/notify/notify.sock");
    say(&runtime, &bundle, "STATUS=still busy");
    say(&runtime, &bundle, "STATUS=done\nREADY=1\n");
    assert_eq!(manager.hears(), "READY=1");
    assert_eq!(manager.hears(), format!("MAINPID={}", runtime.pid(bundle.id())));
    assert_eq!(manager.hears(), "BARRIER=1");
    running.wait().succeeds();
    runtime.kill_and_delete(bundle.id());
}

#[test]
fn privileged_start_waits_for_readiness_and_others_can_end_the_wait() {
    let runtime = Runtime::new();
    let (manager, bundle) = (Manager::new(&runtime), bundle(&runtime));
    let socket = |command: mydocker_tests::Invocation| command.env("NOTIFY_SOCKET", &manager.path);
    socket(runtime.bundle_command("create", &bundle, &[])).run().succeeds();
    let start = socket(runtime.command(["start", bundle.id()])).spawn();
    runtime.wait_for_status(bundle.id(), "running");
    runtime.kill_and_delete(bundle.id());
    start.wait().succeeds();
    socket(runtime.bundle_command("create", &bundle, &[])).run().succeeds();
    let start = socket(runtime.command(["start", bundle.id()])).spawn();
    say(&runtime, &bundle, "READY=1");
    assert_eq!((manager.hears(), manager.hears().starts_with("MAINPID=")), ("READY=1".into(), true));
    assert_eq!(manager.hears(), "BARRIER=1");
    start.wait().succeeds();
    runtime.kill_and_delete(bundle.id());
}

#[test]
fn privileged_in_the_foreground_the_manager_watches_the_runtime() {
    let runtime = Runtime::new();
    let (manager, bundle) = (Manager::new(&runtime), bundle(&runtime));
    let running = runtime.run_command(&bundle).env("NOTIFY_SOCKET", &manager.path).spawn();
    running.wait_for_output("a socket");
    say(&runtime, &bundle, "READY=1");
    assert_eq!(manager.hears(), "READY=1");
    assert_eq!(manager.hears(), format!("MAINPID={}", running.pid()));
    runtime.kill(bundle.id(), "KILL").succeeds();
    running.wait().exits(137);
    assert!(!runtime.knows(bundle.id()));
}

#[test]
fn privileged_a_manager_that_does_not_listen_is_named() {
    let runtime = Runtime::new();
    let bundle = bundle(&runtime);
    let running = runtime.run_command(&bundle).env("NOTIFY_SOCKET", "@never-was-here").spawn();
    running.wait_for_output("a socket");
    say(&runtime, &bundle, "READY=1");
    let outcome = running.wait().fails();
    assert!(outcome.stderr.contains("$NOTIFY_SOCKET @never-was-here"), "{}", outcome.describe());
}
