//! The runtime behind a real containerd: its shim `io.containerd.runc.v2` drives the program under test.

#![forbid(unsafe_code)]

use mydocker_tests::plug::{Containerd, IMAGE_SAYS};
use mydocker_tests::{Terminal, cgroup};
use std::io::Write;

#[test]
fn privileged_containerd_runs_debian_with_its_streams_and_status() {
    let containerd = Containerd::with_debian();
    let script = ". /etc/os-release; echo $PRETTY_NAME; echo aside >&2; exit 42";
    let outcome = containerd.run(&["--rm"], "talks", &["sh", "-c", script]).run().exits(42);
    assert!(outcome.stdout.contains(IMAGE_SAYS), "{}", outcome.describe());
    assert!(outcome.stderr.contains("aside"), "{}", outcome.describe());

    let mut copying = containerd.run(&["--rm"], "copies", &["cat"]).stdin_pipe().spawn();
    let stdin = copying.stdin.as_mut().expect("a pipe was asked for");
    stdin.write_all(b"through\nthe container\n").expect("the container reads");
    // ctr misses an end of input that comes before it has made the task.
    copying.wait_for_output("the container\n");
    let outcome = copying.wait().succeeds();
    assert_eq!(outcome.stdout, "through\nthe container\n");

    let script = "echo pid $$; echo kernel $(cat /proc/sys/kernel/hostname)";
    let options = ["--rm", "--seccomp", "--read-only", "--cwd", "/usr"];
    let outcome = containerd.run(&options, "confined", &["sh", "-c", script]).run().succeeds();
    assert!(outcome.stdout.starts_with("pid 1\n"), "{}", outcome.describe());
    containerd.holds_nothing();
}

#[test]
fn privileged_containerd_gives_a_container_a_terminal() {
    let containerd = Containerd::with_debian();
    let mut terminal = Terminal::open();
    terminal.resize(31, 97);
    let shell = containerd.run(&["--rm", "--tty"], "shell", &["sh"]).on_terminal(&terminal).spawn();
    terminal.read_until("# ");
    terminal.type_text("tty\n");
    terminal.read_until("/dev/pts/0");
    // ctr sets the size some time after the start. The quotes keep the echo of this line from being the answer.
    terminal.type_text("until [ \"$(stty size)\" = '31 97' ]; do :; done; echo the size is r''ight\n");
    terminal.read_until("the size is right");
    terminal.type_text("exit 7\n");
    shell.wait().exits(7).discard();
    containerd.holds_nothing();
}

#[test]
fn privileged_containerd_execs_pauses_resumes_measures_and_kills() {
    let containerd = Containerd::with_debian();
    let script = "trap 'exit 9' TERM; echo up; sleep infinity & wait";
    let limit = ["--rm", "--memory-limit", "67108864"];
    let running = containerd.run(&limit, "life", &["sh", "-c", script]).spawn();
    running.wait_for_output("up");
    assert_eq!(containerd.status("life").as_deref(), Some("RUNNING"));

    let exec = |name: &str, command: &[&str]| {
        let exec = containerd.ctr(["task", "exec", "--fifo-dir"]).arg(containerd.fifos());
        exec.args(["--exec-id", name, "life"]).args(command).run()
    };
    let outcome = exec("first", &["sh", "-c", "tr '\\0' ' ' </proc/1/cmdline; exit 3"]).exits(3);
    assert!(outcome.stdout.contains("echo up"), "{}", outcome.describe());
    exec("missing", &["/no/such/program"]).fails().says("no such file").discard();

    containerd.ctr(["task", "pause", "life"]).run().succeeds().discard();
    assert_eq!(containerd.status("life").as_deref(), Some("PAUSED"));
    let group = format!("{}/life", containerd.runtime().name());
    assert!(cgroup::is_frozen(&group));
    containerd.ctr(["task", "resume", "life"]).run().succeeds().discard();
    assert_eq!(containerd.status("life").as_deref(), Some("RUNNING"));

    let metrics = containerd.ctr(["task", "metrics", "life"]).run().succeeds();
    assert!(metrics.stdout.contains("memory.usage"), "{}", metrics.describe());
    let limit = cgroup::read_either("memory", &group, "memory.limit_in_bytes", "memory.max");
    assert_eq!(limit, "67108864");
    let processes = containerd.ctr(["task", "ps", "life"]).run().succeeds();
    assert_eq!(processes.stdout.lines().count(), 3, "a heading and two processes: {}", processes.describe());

    containerd.ctr(["task", "kill", "--signal", "SIGTERM", "life"]).run().succeeds().discard();
    running.wait().exits(9).discard();
    containerd.holds_nothing();
}

#[test]
fn privileged_containerd_deletes_a_detached_container() {
    let containerd = Containerd::with_debian();
    containerd.run(&["--detach"], "sleeper", &["sleep", "infinity"]).run().succeeds().discard();
    assert_eq!(containerd.status("sleeper").as_deref(), Some("RUNNING"));
    containerd.ctr(["task", "delete", "--force", "sleeper"]).run().exits(0).discard();
    containerd.ctr(["container", "delete", "sleeper"]).run().succeeds().discard();
    containerd.holds_nothing();
}

#[test]
fn privileged_containerd_hears_why_a_container_cannot_start() {
    let containerd = Containerd::with_debian();
    let missing = containerd.run(&["--rm"], "missing", &["/no/such/program"]).run().fails();
    missing.says("/no/such/program").says("no such file or directory").discard();
    let forbidden = containerd.run(&["--rm"], "forbidden", &["/etc/passwd"]).run().fails();
    forbidden.says("/etc/passwd").says("permission denied").discard();
    containerd.holds_nothing();
}
