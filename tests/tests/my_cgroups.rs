//! Who makes the cgroups of `mydocker`'s containers: the runtime, or systemd. `privileged_v2_` need a systemd that does.

use mydocker_tests::user::Tester;
use mydocker_tests::{Engine, Invocation, Runtime, cgroup, runtime, wait};
use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;

/// What systemd says of the scope of a container.
fn property(engine: &Engine, id: &str, name: &str) -> String {
    let scope = format!("mydocker-{id}.scope");
    let show = Invocation::new(&engine.path("out"), ["systemctl", "show", "--value", "--property", name]);
    show.arg(scope).run().succeeds().stdout.trim_end().to_owned()
}

/// The only group of a process on a host with v2 alone.
fn group(engine: &Engine, name: &str) -> String {
    let groups = cgroup::of_process(engine.pid(name, "process"), "");
    groups.first().expect("it is in a group").display().to_string()
}

#[test]
fn privileged_managers_and_parents_that_do_not_go_together_are_refused() {
    let engine = Engine::new();
    let run = ["run", "--rm", "--network", "none", "/bin/true"];
    let manager = ["--cgroup-manager", "wings"];
    engine.command(manager.iter().chain(&run)).run().exits(125).says("cgroupfs").says("systemd").discard();
    let from_outside = engine.command(run).env("MYDOCKER_CGROUP_MANAGER", "wings");
    from_outside.run().exits(125).says("MYDOCKER_CGROUP_MANAGER").says("wings").discard();
    let path = ["--cgroup-manager", "systemd", "run", "--rm", "--cgroup-parent", "/batch", "/bin/true"];
    engine.command(path).run().exits(125).says("/batch").says("batch.slice").discard();
    assert!(engine.ids().is_empty());
}

#[test]
fn privileged_v2_systemd_makes_the_cgroups_where_it_is_process_1() {
    let engine = Engine::new();
    assert_eq!(engine.ok(["info", "--format", "{{.CgroupDriver}}"]), "systemd");
    let limits = ["-m", "64m", "--pids-limit", "33", "--cpus", "0.5"];
    let sleep = ["--network", "none", "/bin/sleep", "1000"];
    let id = engine.ok([&["run", "-d", "--name", "a"], &limits[..], &sleep].concat());
    assert_eq!(property(&engine, &id, "MemoryMax"), "67108864");
    assert_eq!(property(&engine, &id, "TasksMax"), "33");
    assert_eq!(property(&engine, &id, "CPUQuotaPerSecUSec"), "500ms");
    assert_eq!(group(&engine, "a"), format!("/sys/fs/cgroup/system.slice/mydocker-{id}.scope"));
    engine.ok(["update", "-m", "96m", "a"]);
    assert_eq!(property(&engine, &id, "MemoryMax"), "100663296");
    assert!(engine.ok(["stats", "--no-stream", "--format", "{{.MemUsage}}", "a"]).ends_with("/ 96MiB"));
    engine.ok(["pause", "a"]);
    engine.wait_for_status("a", "paused");
    engine.ok(["unpause", "a"]);
    engine.ok(["restart", "-t", "0", "a"]);
    assert_eq!(property(&engine, &id, "ActiveState"), "active");
    engine.ok(["rm", "-f", "a"]);
    // systemd forgets a scope a moment after its last process.
    wait::until("the scope to go", || (property(&engine, &id, "LoadState") == "not-found").then_some(()));
}

#[test]
fn privileged_v2_slices_and_paths_are_the_parents_that_were_asked_for() {
    let engine = Engine::new();
    let sleep = ["--network", "none", "/bin/sleep", "1000"];
    let id =
        engine
            .ok([&["run", "-d", "--name", "a", "--cgroup-parent", "mydocker-batch.slice"], &sleep[..]]
                .concat());
    let slices = "mydocker.slice/mydocker-batch.slice";
    assert_eq!(group(&engine, "a"), format!("/sys/fs/cgroup/{slices}/mydocker-{id}.scope"));
    let plain = ["--cgroup-manager", "cgroupfs", "run", "-d", "--name", "b"];
    let id = engine.ok([&plain[..], &sleep].concat());
    assert_eq!(group(&engine, "b"), format!("/sys/fs/cgroup/mydocker/{id}"));
    // The manager is the container's, whoever starts it again.
    engine.ok(["restart", "-t", "0", "b"]);
    assert_eq!(group(&engine, "b"), format!("/sys/fs/cgroup/mydocker/{id}"));
}

#[test]
fn privileged_v2_an_ordinary_user_has_limits_by_the_own_systemd() {
    let runtime = Runtime::new();
    let tester = Tester::new(&runtime);
    let root = runtime.scratch().join("my");
    fs::create_dir(&root).expect("the scratch directory is writable");
    chown(&root, Some(Tester::UID), Some(Tester::UID)).expect("root may give files away");
    let variable = format!("MYDOCKER_RUNTIME={}", runtime::program().display());
    let my = |words: &[&str]| {
        let program = mydocker_tests::engine::program();
        let command = Invocation::new(&runtime.scratch().join("out"), [Path::new("env")]).arg(&variable);
        let command = command.arg(program).arg("--root").arg(&root);
        tester.runs(command.arg("--runroot").arg(root.join("run")).args(words)).run()
    };
    assert_eq!(my(&["info", "--format", "{{.CgroupDriver}}"]).succeeds().stdout, "systemd\n");
    let run = ["run", "--rm", "--network", "none", "-m", "64m", "--pids-limit", "33"];
    let script = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max";
    let outcome = my(&[&run[..], &["/bin/sh", "-c", script]].concat()).succeeds();
    assert_eq!(outcome.stdout, "67108864\n33\n");
    assert_eq!(my(&["ps", "-aq"]).succeeds().stdout, "");
}
