//! Real engines that let systemd make the cgroups of their containers, where it is process 1: they give the program under
//! test `--systemd-cgroup` and the path of a scope.

#![forbid(unsafe_code)]

use mydocker_tests::plug::{Containerd, Podman};
use mydocker_tests::{Runtime, cgroup, systemd};
use std::fs;
use std::time::Duration;

/// How long a command may take that lives as long as its test.
const A_TEST: Duration = Duration::from_secs(240);

/// Demands that systemd has the scope with these properties, in `slice`, and that the process `pid` is in it.
fn is_in_scope(runtime: &Runtime, pid: i32, slice: &str, scope: &str, properties: &[(&str, &str)]) {
    let own = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it runs");
    assert_eq!(own.trim(), format!("0::/{slice}/{scope}"));
    for (name, value) in properties {
        assert_eq!(systemd::property(runtime, scope, name), *value, "{name}");
    }
}

#[test]
fn privileged_v2_podman_runs_changes_and_ends_a_container_in_a_scope() {
    let podman = Podman::with_busybox_and_systemd();
    let script = "trap 'echo bye; exit 9' TERM; echo up; sleep 1000 & wait";
    let options = ["--detach", "--name", "life", "--memory", "64m", "--pids-limit", "50"];
    let run = podman.run_in_scope(&options, &["sh", "-c", script]).run().succeeds();
    let scope = format!("libpod-{}.scope", run.stdout.trim());
    let pid = podman.inspect("life", "State.Pid").parse().expect("a process id");
    let properties = [("MemoryMax", "67108864"), ("TasksMax", "50"), ("Delegate", "yes")];
    is_in_scope(podman.runtime(), pid, "machine.slice", &scope, &properties);

    podman
        .exec(&[], "life", &["sh", "-c", "test $(cat /sys/fs/cgroup/pids.max) = 50; exit 3"])
        .exits(3)
        .discard();
    podman.podman(["update", "--memory", "128m", "life"]).run().succeeds().discard();
    is_in_scope(podman.runtime(), pid, "machine.slice", &scope, &[("MemoryMax", "134217728")]);
    let group = format!("machine.slice/{scope}");
    assert_eq!(cgroup::read_either("memory", &group, "", "memory.max"), "134217728");

    podman.podman(["pause", "life"]).run().succeeds().discard();
    assert!(cgroup::is_frozen(&group));
    podman.podman(["unpause", "life"]).run().succeeds().discard();
    podman.podman(["stop", "--time", "200", "life"]).run().succeeds().discard();
    assert_eq!(podman.podman(["wait", "life"]).run().succeeds().stdout, "9\n");
    assert_eq!(podman.podman(["logs", "life"]).run().succeeds().stdout, "up\nbye\n");
    podman.podman(["rm", "life"]).run().succeeds().discard();
    podman.holds_nothing();
    assert_eq!(systemd::property(podman.runtime(), &scope, "LoadState"), "not-found");
}

#[test]
fn privileged_v2_containerd_runs_measures_and_ends_a_container_in_a_scope() {
    let containerd = Containerd::with_busybox();
    let name = containerd.runtime().name();
    let path = format!("system.slice:{name}:life");
    let script = "trap 'exit 9' TERM; echo up; sleep 1000 & wait";
    let options = ["--rm", "--runc-systemd-cgroup", "--cgroup", &path, "--memory-limit", "67108864"];
    // It ends after all the other commands.
    let running = containerd.run(&options, "life", &["sh", "-c", script]).deadline(A_TEST).spawn();
    running.wait_for_output("up");

    let scope = format!("{name}-life.scope");
    let group = format!("system.slice/{scope}");
    let [pid, ..] = cgroup::processes(&group)[..] else { panic!("{group} is empty") };
    is_in_scope(containerd.runtime(), pid, "system.slice", &scope, &[("MemoryMax", "67108864")]);
    let exec = containerd.ctr(["task", "exec", "--fifo-dir"]).arg(containerd.fifos());
    exec.args(["--exec-id", "first", "life", "sh", "-c", "exit 3"]).run().exits(3).discard();
    containerd.ctr(["task", "pause", "life"]).run().succeeds().discard();
    assert!(cgroup::is_frozen(&group));
    containerd.ctr(["task", "resume", "life"]).run().succeeds().discard();
    let metrics = containerd.ctr(["task", "metrics", "life"]).run().succeeds();
    assert!(metrics.stdout.contains("memory.usage"), "{}", metrics.describe());

    containerd.ctr(["task", "kill", "--signal", "SIGTERM", "life"]).run().succeeds().discard();
    running.wait().exits(9).discard();
    containerd.holds_nothing();
    assert_eq!(systemd::property(containerd.runtime(), &scope, "LoadState"), "not-found");
}
