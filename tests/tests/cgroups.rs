//! cgroups of whatever version: placement, limits in force, freezing, removal.

use mydocker_tests::cgroup::limited;
use mydocker_tests::{Bundle, Runtime, cgroup, procfs, wait};
use serde_json::json;
use std::fs;
use std::path::Path;

#[test]
fn privileged_a_memory_limit_that_the_kernel_refuses_fails_create() {
    let runtime = Runtime::new();
    let memory = json!({"limit": 104_857_600, "swap": 52_428_800});
    let bundle = runtime.bundle().with(|config| config["linux"]["resources"]["memory"] = memory);
    runtime.create(&bundle).fails();
    assert!(!runtime.knows(bundle.id()));
    assert!(cgroup::existing(bundle.cgroup()).is_empty());
}

#[test]
fn privileged_a_container_that_exceeds_its_memory_is_killed() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("dd if=/dev/zero of=/dev/null bs=64M count=1; echo survived").with(
        |config| {
            config["linux"]["resources"]["memory"] = json!({"limit": 16_777_216, "swap": 16_777_216});
        },
    );
    let outcome = runtime.run(&bundle);
    // The killer takes dd, or the shell with it.
    let killed_dd = outcome.stdout == "survived\n" && outcome.stderr.contains("Killed");
    assert!(killed_dd || outcome.status.code() == Some(137), "{}", outcome.describe());
}

#[test]
fn privileged_a_memory_limit_that_is_too_low_for_the_set_up_is_named() {
    let runtime = Runtime::new();
    let bundle =
        runtime.bundle().with(|config| config["linux"]["resources"]["memory"] = json!({"limit": 4096}));
    for verb in ["run", "create"] {
        runtime
            .bundle_command(verb, &bundle, &[])
            .run()
            .fails()
            .says("/linux/resources/memory/limit")
            .says("too low");
        assert!(!runtime.knows(bundle.id()) && cgroup::existing(bundle.cgroup()).is_empty());
    }
}

#[test]
fn privileged_cpus_and_memory_nodes_are_chosen() {
    let runtime = Runtime::new();
    let bundle = limited(&runtime, &json!({"cpu": {"cpus": "0", "mems": "0"}}));
    for file in ["cpuset.cpus", "cpuset.mems"] {
        assert_eq!(cgroup::read_either("cpuset", bundle.cgroup(), file, file), "0");
    }
    let pid = runtime.pid(bundle.id());
    assert_eq!(procfs::status_field(pid, "Cpus_allowed_list").as_deref(), Some("0"));
}

#[test]
fn privileged_cpus_that_do_not_exist_fail_create() {
    let runtime = Runtime::new();
    let bundle =
        runtime.bundle().with(|config| config["linux"]["resources"]["cpu"] = json!({"cpus": "4000"}));
    runtime.create(&bundle).fails().says("cpuset.cpus");
    assert!(!runtime.knows(bundle.id()));
    assert!(cgroup::existing(bundle.cgroup()).is_empty());
}

#[test]
fn privileged_the_number_of_processes_is_limited() {
    let runtime = Runtime::new();
    for (limit, written) in [(123, "123"), (-1, "max")] {
        let bundle = limited(&runtime, &json!({"pids": {"limit": limit}}));
        assert_eq!(cgroup::read_either("pids", bundle.cgroup(), "pids.max", "pids.max"), written);
    }
    let script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 1000 & done; true";
    let bundle = runtime.bundle().script(script).with(|config| {
        config["linux"]["resources"]["pids"] = json!({"limit": 8});
    });
    let outcome = runtime.run(&bundle).fails();
    assert!(outcome.stderr.contains("fork"), "{}", outcome.describe());
}

#[test]
fn privileged_the_default_devices_are_allowed_and_others_denied() {
    let runtime = Runtime::new();
    let caps = json!(["CAP_MKNOD", "CAP_SYS_ADMIN"]);
    let script = "for d in null zero full random urandom tty; do dd if=/dev/$d of=/dev/null count=0 2>/dev/null || echo no $d; done; \
        mknod /block b 7 250 && echo made; dd if=/block of=/dev/null count=1 2>&1 | grep -o 'not permitted'; \
        mknod /kmsg c 1 11 && echo made; dd if=/kmsg of=/dev/null count=1 2>&1 | grep -o 'not permitted'; true";
    let bundle = runtime.bundle().script(script).with(|config| {
        config["process"]["capabilities"] = json!({"bounding": caps, "effective": caps, "permitted": caps});
    });
    // Without a controlling terminal /dev/tty is there, allowed, and not to be opened. mknod of anything is allowed.
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "no tty\nmade\nnot permitted\nmade\nnot permitted\n");
}

#[test]
fn privileged_the_container_is_in_its_cgroup_in_every_hierarchy() {
    let runtime = Runtime::new();
    let bundle = limited(&runtime, &json!({}));
    let pid = runtime.pid(bundle.id());
    for controller in cgroup::CONTROLLERS {
        let dir = cgroup::dir(controller, bundle.cgroup());
        assert!(cgroup::of_process(pid, bundle.id()).contains(&dir), "{}", dir.display());
    }
    assert!(cgroup::processes(bundle.cgroup()).contains(&pid));
}

#[test]
fn privileged_a_deep_cgroup_path_is_made_and_its_leaf_removed() {
    let runtime = Runtime::new();
    let path = format!("/{}/middle/leaf", runtime.name());
    let bundle =
        runtime.bundle().args(["sleep", "1000"]).with(|config| config["linux"]["cgroupsPath"] = json!(path));
    runtime.run_detached(&bundle);
    assert!(cgroup::is_everywhere(&path));
    runtime.kill_and_delete(bundle.id());
    assert!(cgroup::existing(&path).is_empty());
    // Whoever shares the parents may still want them; the test takes them away.
    drop(cgroup::remove_by_prefix(runtime.name()));
}

#[test]
fn privileged_a_relative_cgroup_path_is_the_same_place_each_time_and_is_removed() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["sleep", "1000"]);
    let bundle =
        bundle.with(|config| config["linux"]["cgroupsPath"] = json!(format!("{}-rel/leaf", runtime.name())));
    let mut places = Vec::new();
    for _ in 0..2 {
        runtime.run_detached(&bundle);
        let dirs = cgroup::of_process(runtime.pid(bundle.id()), &format!("{}-rel/leaf", runtime.name()));
        assert!(!dirs.is_empty() && dirs.iter().all(|dir| dir.is_dir()), "{dirs:?}");
        runtime.kill_and_delete(bundle.id());
        assert!(dirs.iter().all(|dir| !dir.exists()), "{dirs:?}");
        places.push(dirs);
    }
    assert_eq!(places[0], places[1]);
    for parent in places[0].iter().filter_map(|dir| dir.parent()).filter(|parent| parent.exists()) {
        fs::remove_dir(parent).expect("the parent is empty");
    }
}

/// What containerd asks for where the kubelet alone lets systemd make cgroups. It has always worked with runc.
#[test]
fn privileged_a_path_in_the_form_of_the_systemd_driver_is_a_directory_without_it() {
    let runtime = Runtime::new();
    let path = format!("{}.slice:cri:box", runtime.name());
    let bundle = runtime.bundle().args(["cat", "/proc/self/cgroup"]);
    let bundle =
        bundle.without_namespace("cgroup").with(|config| config["linux"]["cgroupsPath"] = json!(path));
    let outcome = runtime.run(&bundle).succeeds().says("--systemd-cgroup");
    assert!(outcome.stdout.lines().any(|line| line.ends_with(&path)), "{}", outcome.describe());
}

#[test]
fn privileged_without_a_cgroup_path_the_runtime_finds_one_and_removes_it() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["sleep", "1000"]).with(|config| {
        config["linux"].as_object_mut().expect("an object").remove("cgroupsPath");
    });
    runtime.run_detached(&bundle);
    let dirs = cgroup::of_process(runtime.pid(bundle.id()), bundle.id());
    let hierarchies = if cgroup::is_v1("pids") { cgroup::CONTROLLERS.len() } else { 1 };
    assert!(dirs.len() >= hierarchies, "{dirs:?}");
    runtime.kill_and_delete(bundle.id());
    assert!(dirs.iter().all(|dir| !dir.exists()), "{dirs:?}");
}

#[test]
fn privileged_two_containers_can_have_groups_below_one_another_s_parent() {
    let runtime = Runtime::new();
    let bundles: Vec<Bundle> = ["a", "b"]
        .into_iter()
        .map(|leaf| {
            let path = format!("/{}/{leaf}", runtime.name());
            runtime
                .bundle()
                .args(["sleep", "1000"])
                .with(|config| config["linux"]["cgroupsPath"] = json!(path))
        })
        .collect();
    bundles.iter().for_each(|bundle| runtime.run_detached(bundle).discard());
    runtime.kill_and_delete(bundles[0].id());
    assert_eq!(runtime.status(bundles[1].id()), "running");
    assert!(cgroup::is_everywhere(bundles[1].cgroup()));
    runtime.kill_and_delete(bundles[1].id());
    drop(cgroup::remove_by_prefix(runtime.name()));
}

#[test]
fn privileged_groups_that_the_container_made_are_removed_with_it() {
    let runtime = Runtime::new();
    let mount = cgroup::mount("pids");
    let script = format!("mkdir -p {}/sub/deep && echo made; exec sleep 1000", mount.display());
    let bundle = runtime.bundle().script(&script).with(|config| {
        for mount in config["mounts"].as_array_mut().expect("a list") {
            if mount["type"] == "cgroup" {
                mount["options"] = json!(["nosuid", "noexec", "nodev"]);
            }
        }
    });
    let running = runtime.spawn(&bundle);
    running.wait_for_output("made");
    assert!(cgroup::dir("pids", bundle.cgroup()).join("sub/deep").is_dir());
    runtime.kill(bundle.id(), "KILL").succeeds();
    running.wait().exits(137);
    assert!(cgroup::existing(bundle.cgroup()).is_empty());
}

#[test]
fn privileged_a_paused_container_makes_no_step() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("i=0; while :; do i=$((i+1)); echo $i >/count; done");
    runtime.run_detached(&bundle);
    let count = || fs::read_to_string(bundle.path("count")).unwrap_or_default();
    let moved = |from: &str| wait::until("the container to count on", || (count() != from).then(count));
    moved("");
    runtime.command(["pause", bundle.id()]).run().succeeds();
    assert!(cgroup::is_frozen(bundle.cgroup()));
    let still = count();
    let moves = wait::within(std::time::Duration::from_millis(100), || (count() != still).then_some(()));
    assert_eq!(moves, None, "it counts on while it is paused");
    runtime.command(["resume", bundle.id()]).run().succeeds();
    assert!(!cgroup::is_frozen(bundle.cgroup()));
    moved(&still);
}

#[test]
fn privileged_a_cgroup_that_cannot_be_made_fails_create_and_leaves_nothing() {
    let runtime = Runtime::new();
    // A file is in the way.
    let bundle = runtime.bundle().with(|config| {
        config["linux"]["cgroupsPath"] =
            json!(format!("/cgroup.procs/{}", config["hostname"].as_str().unwrap_or("x")));
    });
    runtime.create(&bundle).fails();
    assert!(!runtime.knows(bundle.id()));
    assert!(cgroup::existing(runtime.name()).is_empty());
}

#[test]
fn privileged_a_cgroup_path_cannot_climb_out_of_the_hierarchy() {
    let runtime = Runtime::new();
    let name = runtime.name();
    let bundle = runtime.bundle().args(["sleep", "1000"]);
    let bundle = bundle.with(|config| config["linux"]["cgroupsPath"] = json!(format!("/../../../{name}")));
    // runc cuts the dots off; refusing is as good. What may not be is a directory outside.
    if runtime.bundle_command("run", &bundle, &["--detach"]).run().status.success() {
        let pid = runtime.pid(bundle.id());
        assert!(cgroup::processes(name).contains(&pid));
        runtime.kill_and_delete(bundle.id());
    }
    for dir in ["/", "/sys", "/sys/fs", "/sys/fs/cgroup"] {
        assert!(!Path::new(dir).join(name).exists(), "{dir}");
    }
}

#[test]
fn privileged_a_frozen_cgroup_is_refused() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle();
    let group = cgroup::dir("freezer", bundle.cgroup());
    fs::create_dir(&group).expect("root may make cgroups");
    cgroup::freeze(&group);
    let outcome = runtime.create(&bundle).fails();
    assert!(outcome.stderr.contains("frozen"), "{}", outcome.describe());
    assert!(!runtime.knows(bundle.id()));
    cgroup::thaw(&group);
    drop(cgroup::remove_by_prefix(runtime.name()));
}

#[test]
fn privileged_an_empty_cgroup_that_exists_is_used() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle();
    fs::create_dir(cgroup::dir("memory", bundle.cgroup())).expect("root may make cgroups");
    runtime.run(&bundle).succeeds();
    assert!(cgroup::existing(bundle.cgroup()).is_empty());
}

#[test]
fn privileged_limits_are_in_force_before_the_program_runs() {
    let runtime = Runtime::new();
    let memory = if cgroup::is_v1("memory") { "memory.limit_in_bytes" } else { "memory.max" };
    let (pids, memory) = (cgroup::mount("pids").join("pids.max"), cgroup::mount("memory").join(memory));
    let script =
        format!("cat {} {}; grep Cpus_allowed_list /proc/self/status", pids.display(), memory.display());
    let bundle = runtime.bundle().script(&script).with(|config| {
        config["linux"]["resources"]["pids"] = json!({"limit": 50});
        config["linux"]["resources"]["memory"] = json!({"limit": 67_108_864});
        config["linux"]["resources"]["cpu"] = json!({"cpus": "0"});
    });
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "50\n67108864\nCpus_allowed_list:\t0\n");
}

/// podman's `--cgroups=disabled`, which it asks of a runtime that it knows as crun.
#[test]
fn privileged_a_container_without_cgroups_stays_in_its_callers_and_is_reached_by_every_command() {
    let runtime = Runtime::new();
    let bundle = runtime.waiting_bundle().with(|config| {
        config["linux"]["cgroupsPath"] = json!("");
        config["linux"]["resources"] = json!({"devices": [{"allow": false, "access": "rwm"}]});
    });
    let root = runtime.root();
    let command = |words: &[&str]| {
        let start = [runtime.program().as_os_str(), "--root".as_ref(), root.as_os_str()];
        runtime.host(start.into_iter().map(ToOwned::to_owned).chain(words.iter().map(Into::into)))
    };
    let dir = bundle.dir().display().to_string();
    let run = ["--cgroup-manager", "disabled", "run", "--detach", "--bundle", &dir, bundle.id()];
    command(&run).run().succeeds().says("/linux/resources/devices: ignored");
    let own = fs::read_to_string("/proc/self/cgroup").expect("procfs is mounted");
    let pid = runtime.pid(bundle.id());
    assert_eq!(fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it runs"), own);
    let seen = command(&["exec", bundle.id(), "cat", "/proc/1/cgroup"]).run().succeeds().stdout;
    assert_eq!(seen.lines().count(), own.lines().count());
    command(&["pause", bundle.id()]).run().fails();
    command(&["kill", bundle.id(), "KILL"]).run().succeeds();
    runtime.wait_for_status(bundle.id(), "stopped");
    command(&["delete", bundle.id()]).run().succeeds();
}

#[test]
fn privileged_a_limit_without_cgroups_is_refused_by_its_pointer() {
    let runtime = Runtime::new();
    let bundle =
        runtime.bundle().with(|config| config["linux"]["resources"] = json!({"pids": {"limit": 50}}));
    let dir = bundle.dir().display().to_string();
    let root = runtime.root();
    let start = [runtime.program().as_os_str(), "--root".as_ref(), root.as_os_str()];
    let words = ["--cgroup-manager=disabled", "run", "--bundle", &dir, bundle.id()];
    let command = runtime.host(start.into_iter().map(ToOwned::to_owned).chain(words.iter().map(Into::into)));
    command.run().fails().says("/linux/resources/pids");
}
