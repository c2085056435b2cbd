//! The descriptors of a container: its standard streams, and what is handed over beside them.

use mydocker_tests::{Runtime, wait};
use std::fs;

#[test]
fn privileged_standard_streams_pass_through_apart() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("read line; echo out:$line; echo err:$line >&2");
    let outcome = runtime.run_command(&bundle).stdin("input\n").run().succeeds();
    assert_eq!(outcome.stdout, "out:input\n");
    assert_eq!(outcome.stderr, "err:input\n");
}

#[test]
fn privileged_large_binary_data_passes_through_unchanged() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["cat"]);
    let data: Vec<u8> = (0..32u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let outcome = runtime.run_command(&bundle).stdin(&data).run().succeeds();
    assert!(outcome.stdout_bytes == data, "{} of {} bytes came back", outcome.stdout_bytes.len(), data.len());
}

/// A descriptor that the runtime opens must not end up as a standard stream of the container.
#[test]
fn privileged_run_works_with_closed_standard_streams() {
    let runtime = Runtime::new();
    let bundle = runtime
        .bundle()
        .script("echo out; for n in 0 1 2; do readlink /proc/self/fd/$n; done >/links; exit 3");
    for closed in ["<&-", "2>&-", "<&- 2>&-"] {
        let run = runtime.run_command(&bundle).through(["sh", "-c", &format!("exec \"$@\" {closed}"), "sh"]);
        let outcome = run.run().exits(3);
        assert_eq!(outcome.stdout, "out\n", "{closed}");
        let links = fs::read_to_string(bundle.path("links")).expect("the container wrote it");
        assert!(!links.contains("state") && !links.contains("cgroup"), "{closed}: {links}");
    }
    let run = runtime.run_command(&bundle).through(["sh", "-c", "exec \"$@\" <&- >&- 2>&-", "sh"]);
    run.run().exits(3);
}

#[test]
fn privileged_run_ends_when_nobody_reads_its_output() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("while echo line; do :; done 2>/dev/null; exit 9");
    let script = "\"$@\" | head -n 1; echo ${PIPESTATUS[0]}";
    let run = runtime.run_command(&bundle).through(["bash", "-c", script, "bash"]);
    let outcome = run.run().succeeds();
    // The writer gets SIGPIPE, or EPIPE where it is ignored.
    assert!(["line\n9\n", "line\n141\n"].contains(&outcome.stdout.as_str()), "{}", outcome.describe());
}

#[test]
fn privileged_the_container_sees_the_end_of_a_piped_input() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("echo ready; wc -c");
    let mut running = runtime.run_command(&bundle).stdin_pipe().spawn();
    running.wait_for_output("ready");
    let mut pipe = running.stdin.take().expect("a pipe was asked for");
    std::io::Write::write_all(&mut pipe, b"12345").expect("the container reads");
    drop(pipe);
    assert_eq!(running.wait().succeeds().stdout, "ready\n5\n");
}

#[test]
fn privileged_no_descriptor_but_the_standard_streams_reaches_the_container() {
    let runtime = Runtime::new();
    let secret = runtime.scratch().join("secret");
    fs::write(&secret, "secret").expect("the scratch directory is writable");
    // The fourth is the directory that `ls` itself reads.
    let bundle = runtime.bundle().args(["ls", "/proc/self/fd"]);
    let outcome = runtime.run_command(&bundle).with_fd(3, &secret).with_fd(9, &secret).run().succeeds();
    assert_eq!(outcome.stdout, "0\n1\n2\n3\n");
}

#[test]
fn privileged_preserve_fds_hands_over_so_many_descriptors() {
    let runtime = Runtime::new();
    let (first, second) = (runtime.scratch().join("first"), runtime.scratch().join("second"));
    fs::write(&first, "one\n").expect("the scratch directory is writable");
    fs::write(&second, "two\n").expect("the scratch directory is writable");
    let bundle = runtime.bundle().script("cat <&3; cat <&4 2>/dev/null || echo closed");
    for (count, said) in [("1", "one\nclosed\n"), ("2", "one\ntwo\n")] {
        let run = runtime.bundle_command("run", &bundle, &["--preserve-fds", count]);
        assert_eq!(run.with_fd(3, &first).with_fd(4, &second).run().succeeds().stdout, said);
    }
}

#[test]
fn privileged_socket_activation_descriptors_are_handed_over() {
    let runtime = Runtime::new();
    let file = runtime.scratch().join("file");
    fs::write(&file, "activated\n").expect("the scratch directory is writable");
    let bundle = runtime.bundle().script("cat <&3; echo $LISTEN_FDS $LISTEN_PID");
    let run = runtime.run_command(&bundle).with_fd(3, &file);
    // They are meant for the process that LISTEN_PID names, which `exec` keeps.
    let run = run.through(["sh", "-c", "LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\"", "sh"]);
    assert_eq!(run.run().succeeds().stdout, "activated\n1 1\n");
}

#[test]
fn privileged_preserve_fds_also_works_over_create_and_start() {
    let runtime = Runtime::new();
    let file = runtime.scratch().join("file");
    fs::write(&file, "kept\n").expect("the scratch directory is writable");
    let bundle = runtime.bundle().script("cat <&3 >/copy; exec sleep 1000");
    runtime.bundle_command("create", &bundle, &["--preserve-fds", "1"]).with_fd(3, &file).run().succeeds();
    runtime.start(bundle.id()).succeeds();
    let copy = || fs::read_to_string(bundle.path("copy")).ok().filter(|text| !text.is_empty());
    assert_eq!(wait::until("the copy", copy), "kept\n");
}
