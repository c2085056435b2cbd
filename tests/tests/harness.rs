//! The harness itself: a guard that cannot find anything would make every other test worthless.

use mydocker_tests::{FdSocket, Runtime, Terminal, cgroup, leftovers, wait};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What the end of a runtime complains about, after `act` has been at work in its scratch directory.
fn complaint(act: impl FnOnce(&Runtime)) -> String {
    let runtime = Runtime::new();
    act(&runtime);
    match catch_unwind(AssertUnwindSafe(|| drop(runtime))) {
        Ok(()) => String::new(),
        Err(panic) => panic.downcast_ref::<String>().cloned().unwrap_or_default(),
    }
}

#[test]
fn privileged_a_clean_end_is_no_complaint() {
    assert_eq!(complaint(|runtime| runtime.run(&runtime.bundle()).succeeds().discard()), "");
}

#[test]
fn privileged_a_container_that_still_runs_is_deleted_without_complaint() {
    let mut cgroup_path = String::new();
    let said = complaint(|runtime| {
        let bundle = runtime.bundle().args(["sleep", "1000"]);
        runtime.run_detached(&bundle);
        cgroup_path = bundle.cgroup().to_owned();
        assert!(!cgroup::processes(&cgroup_path).is_empty());
    });
    assert_eq!(said, "");
    assert!(cgroup::existing(&cgroup_path).is_empty());
}

#[test]
fn privileged_a_left_cgroup_is_found_and_removed() {
    let mut dir = None;
    let said = complaint(|runtime| {
        let group = cgroup::dir("pids", runtime.name());
        fs::create_dir(&group).expect("root may make cgroups");
        dir = Some(group);
    });
    assert!(said.contains(&format!("cgroup {}/mdt-", cgroup::mount("pids").display())), "{said}");
    assert!(!dir.expect("a cgroup was made").exists());
}

#[test]
fn privileged_a_left_mount_is_found_and_detached() {
    let mut name = String::new();
    let said = complaint(|runtime| {
        let target = runtime.scratch().join("mount");
        fs::create_dir(&target).expect("the scratch directory is writable");
        runtime.host(["mount", "-t", "tmpfs", "none"]).arg(&target).run().succeeds();
        name = runtime.name().to_owned();
    });
    assert!(said.contains("mount /"), "{said}");
    assert!(leftovers::mounts_below(&name).is_empty());
}

#[test]
fn privileged_a_left_process_is_found_and_killed() {
    let mut pid = 0;
    let said = complaint(|runtime| {
        let group = cgroup::dir("pids", runtime.name());
        fs::create_dir(&group).expect("root may make cgroups");
        let script = "sleep 1000 >/dev/null 2>&1 & echo $! > \"$0/cgroup.procs\"; echo $!";
        let outcome = runtime.host(["sh", "-c", script]).arg(&group).run().succeeds();
        pid = outcome.stdout.trim().parse().expect("the shell prints a process id");
    });
    assert!(said.contains(&format!("process {pid}: sleep 1000")), "{said}");
    wait::for_exit(pid);
}

#[test]
fn a_command_that_hangs_is_killed_and_reported() {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let mut pid = 0;
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let command = mydocker_tests::Invocation::new(scratch.path(), ["sleep", "1000"]);
        let running = command.deadline(std::time::Duration::from_millis(50)).spawn();
        pid = running.pid();
        running.wait().discard();
    }))
    .expect_err("it cannot end in time");
    let said = panic.downcast_ref::<String>().expect("a formatted message");
    assert!(said.contains("`sleep 1000` did not end"), "{said}");
    assert!(!mydocker_tests::procfs::is_alive(pid));
}

#[test]
fn a_program_on_a_terminal_sees_it_and_is_told_its_size() {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let mut terminal = Terminal::open();
    terminal.resize(33, 77);
    let script = "test -t 0 && test -t 1 && test -t 2 && stty size && read line </dev/tty && echo got:$line";
    let command =
        mydocker_tests::Invocation::new(scratch.path(), ["sh", "-c", script]).on_terminal(&terminal);
    let running = command.spawn();
    terminal.read_until("33 77");
    terminal.type_text("words\n");
    terminal.read_until("got:words");
    running.wait().succeeds();
}

#[test]
fn a_socket_hands_over_bytes_and_descriptors() {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let socket = FdSocket::bind(scratch.path().join("socket"));
    assert!(!socket.has_connection());
    let terminal = Terminal::open();
    let client = mydocker_sys::socket::connect_stream(socket.path()).expect("the socket listens");
    let peer = terminal.peer();
    mydocker_sys::socket::send(&client, b"name", &[std::os::fd::AsRawFd::as_raw_fd(&peer)])
        .expect("it is connected");
    drop(client);
    assert!(socket.has_connection());
    let (bytes, fds) = socket.receive();
    assert_eq!((bytes.as_slice(), fds.len()), (b"name".as_slice(), 1));
}
