//! The runtime behind a real podman: conmon drives the program under test.

#![forbid(unsafe_code)]

use mydocker_tests::plug::{IMAGE_SAYS, Podman};
use mydocker_tests::{Terminal, cgroup};
use std::fs;

#[test]
fn privileged_podman_runs_debian_with_its_streams_and_status() {
    let podman = Podman::with_debian();
    let script = ". /etc/os-release; echo $PRETTY_NAME; echo aside >&2; exit 42";
    let outcome = podman.run(&["--rm"], &["sh", "-c", script]).run().exits(42);
    assert!(outcome.stdout.contains(IMAGE_SAYS), "{}", outcome.describe());
    assert!(outcome.stderr.contains("aside"), "{}", outcome.describe());

    let outcome = podman.run(&["--rm", "--interactive"], &["cat"]).stdin("through\nthe container\n").run();
    assert_eq!(outcome.succeeds().stdout, "through\nthe container\n");
    podman.holds_nothing();
}

#[test]
fn privileged_podman_tells_a_missing_command_from_a_forbidden_one() {
    let podman = Podman::with_debian();
    podman.run(&["--rm"], &["/no/such/program"]).run().exits(127).says("/no/such/program").discard();
    podman.run(&["--rm"], &["no-such-program"]).run().exits(127).says("no-such-program").discard();
    podman.run(&["--rm"], &["/etc/passwd"]).run().exits(126).says("/etc/passwd").discard();
    podman.holds_nothing();
}

#[test]
fn privileged_podman_gives_a_container_a_terminal() {
    let podman = Podman::with_debian();
    let mut terminal = Terminal::open();
    terminal.resize(31, 97);
    let shell = podman.run(&["--rm", "--interactive", "--tty"], &["sh"]).on_terminal(&terminal).spawn();
    terminal.read_until("# ");
    terminal.type_text("tty\n");
    terminal.read_until("/dev/pts/0");
    // podman sets the size some time after the start. The quotes keep the echo of this line from being the answer.
    terminal.type_text("until [ \"$(stty size)\" = '31 97' ]; do :; done; echo the size is r''ight\n");
    terminal.read_until("the size is right");
    terminal.type_text("exit 7\n");
    shell.wait().exits(7).discard();
    podman.holds_nothing();
}

#[test]
fn privileged_podman_confines_a_container_as_it_is_told() {
    let podman = Podman::with_debian();
    let shared = podman.runtime().scratch().join("shared");
    fs::create_dir(&shared).expect("the scratch directory is writable");
    let volume = format!("{}:/shared", shared.display());
    let options = [
        "--rm",
        "--read-only",
        "--user=1234:2345",
        "--cap-drop=all",
        "--hostname=inside",
        "--memory=64m",
        "--pids-limit=50",
        "--tmpfs=/scratch:mode=1777",
        "--tmpfs=/usr/share/base-files",
        "--security-opt=no-new-privileges",
        "--workdir=/usr",
    ];
    let script = "echo id $(id -u):$(id -g); echo host $(cat /proc/sys/kernel/hostname); pwd; \
        grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status; \
        echo x >/scratch/file && echo scratch; echo x >/tmp/file && echo tmp; \
        cmp /usr/share/base-files/profile /etc/profile && echo copied; (echo x >/usr/file) 2>&1; cat /shared/note";
    fs::write(shared.join("note"), "from outside\n").expect("the scratch directory is writable");
    let command = podman.run(&[&options[..], &["--volume", &volume]].concat(), &["sh", "-c", script]);
    let outcome = command.run().succeeds();
    let told = outcome.describe();
    for line in [
        "id 1234:2345",
        "host inside",
        "/usr",
        "CapEff:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "scratch",
        "tmp",
        "copied",
        "from outside",
    ] {
        assert!(outcome.stdout.lines().any(|said| said == line), "no {line:?}: {told}");
    }
    assert!(outcome.stdout.contains("Read-only file system"), "{told}");
    podman.holds_nothing();
}

#[test]
fn privileged_podman_execs_pauses_logs_stops_and_removes() {
    let podman = Podman::with_debian();
    let script = "trap 'echo bye; exit 9' TERM; echo up; sleep infinity & wait";
    let options = ["--detach", "--name", "life", "--memory", "64m"];
    let id = podman.run(&options, &["sh", "-c", script]).run().succeeds().stdout.trim().to_owned();
    assert_eq!(podman.inspect("life", "State.Status"), "running");
    let group = format!("{}/libpod-{id}", podman.runtime().name());
    let limit = cgroup::read_either("memory", &group, "memory.limit_in_bytes", "memory.max");
    assert_eq!(limit, "67108864");

    let outcome = podman.exec(&[], "life", &["sh", "-c", "tr '\\0' ' ' </proc/1/cmdline; exit 3"]).exits(3);
    assert!(outcome.stdout.contains("echo up"), "{}", outcome.describe());
    let options = ["--user", "1000:1001", "--env", "COLOUR=blue", "--workdir", "/tmp"];
    let outcome =
        podman.exec(&options, "life", &["sh", "-c", "echo $(id -u):$(id -g) $COLOUR $PWD"]).succeeds();
    assert_eq!(outcome.stdout, "1000:1001 blue /tmp\n");
    podman.exec(&[], "life", &["/no/such/program"]).exits(127).discard();

    podman.podman(["pause", "life"]).run().succeeds().discard();
    assert_eq!(podman.inspect("life", "State.Status"), "paused");
    assert!(cgroup::is_frozen(&group));
    podman.podman(["unpause", "life"]).run().succeeds().discard();

    podman.podman(["stop", "--time", "20", "life"]).run().succeeds().discard();
    assert_eq!(podman.podman(["wait", "life"]).run().succeeds().stdout, "9\n");
    assert_eq!(podman.podman(["logs", "life"]).run().succeeds().stdout, "up\nbye\n");

    podman.podman(["start", "life"]).run().succeeds().discard();
    assert_eq!(podman.inspect("life", "State.Status"), "running");
    podman.podman(["kill", "--signal", "KILL", "life"]).run().succeeds().discard();
    assert_eq!(podman.podman(["wait", "life"]).run().succeeds().stdout, "137\n");
    podman.podman(["rm", "life"]).run().succeeds().discard();
    podman.holds_nothing();
}
