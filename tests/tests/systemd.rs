//! The systemd cgroup driver: behind a systemd that is played on a bus of its own, and (`privileged_v2_`) with the real
//! one, where it is process 1.

use mydocker_tests::systemd::{Play, Systemd, property};
use mydocker_tests::{Bundle, Invocation, Outcome, Runtime, cgroup, procfs, wait};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// A bundle whose scope is right below the root: the name of the scope begins with that of the runtime, so that what is
/// left of it is found.
fn scoped(runtime: &Runtime) -> Bundle {
    let path = format!("-.slice:{}:x", runtime.name());
    runtime.bundle().script("echo ready; exec sleep 1000").with(|config| {
        config["linux"]["cgroupsPath"] = json!(path);
        let namespaces = config["linux"]["namespaces"].as_array_mut().expect("a list");
        namespaces.retain(|namespace| namespace["type"] != "cgroup");
        namespaces.push(json!({"type": "cgroup"}));
    })
}

fn scope(runtime: &Runtime) -> String {
    format!("{}-x.scope", runtime.name())
}

fn on_bus(command: Invocation, systemd: &Systemd) -> Invocation {
    command.env("DBUS_SYSTEM_BUS_ADDRESS", systemd.address()).env("SYSTEMD_BUS_TIMEOUT", "2s")
}

fn create(runtime: &Runtime, bundle: &Bundle) -> Invocation {
    runtime.command(["--systemd-cgroup", "create", "--bundle"]).arg(bundle.dir()).arg(bundle.id())
}

/// A create that must fail, and leave nothing.
fn refused(play: Play) -> Outcome {
    let runtime = Runtime::new();
    let bundle = scoped(&runtime);
    let systemd = Systemd::start(runtime.scratch(), play);
    let outcome = on_bus(create(&runtime, &bundle), &systemd).run().fails();
    assert!(!runtime.knows(bundle.id()), "{play:?}");
    assert!(cgroup::existing(&scope(&runtime)).is_empty(), "{play:?}");
    outcome
}

#[test]
fn privileged_a_systemd_that_does_not_answer_is_given_up_by_name() {
    let outcome = refused(Play::Silent);
    outcome.says("no answer to StartTransientUnit(mdt-").says("within 2 s");
}

#[test]
fn privileged_a_systemd_that_never_ends_its_job_is_given_up_by_name() {
    let outcome = refused(Play::Forgets);
    outcome.says("whose job is queued").says("within 2 s");
}

#[test]
fn privileged_a_systemd_that_refuses_is_quoted() {
    let outcome = refused(Play::Refuses);
    outcome.says("no such units here").says("org.freedesktop.systemd1.BadUnitSetting");
}

#[test]
fn privileged_a_job_that_fails_is_told() {
    let outcome = refused(Play::Fails);
    outcome.says("its job ended as").says("failed");
}

#[test]
fn privileged_a_bus_that_ends_is_told() {
    let outcome = refused(Play::HangsUp);
    outcome.says("was closed during StartTransientUnit(mdt-");
}

#[test]
fn privileged_a_host_without_the_bus_is_told() {
    let runtime = Runtime::new();
    let bundle = scoped(&runtime);
    let address = "unix:path=/nonexistent/bus";
    let outcome = create(&runtime, &bundle).env("DBUS_SYSTEM_BUS_ADDRESS", address).run().fails();
    outcome.says("systemd cannot be reached").says(address);
    assert!(!runtime.knows(bundle.id()));
}

#[test]
fn privileged_paths_and_annotations_that_are_no_units_are_refused_before_anybody_is_asked() {
    let runtime = Runtime::new();
    for (path, annotation, says) in [
        ("/a/b", "uint64 1", "slice:prefix:name"),
        ("system:x:y", "uint64 1", "is no slice"),
        ("a.slice:x:y.slice", "uint64 1", "is a slice"),
        (":x:y", "uint64", "/annotations/org.systemd.property.TimeoutStopSec"),
        (":x:y", "'late'", "number of seconds"),
    ] {
        let bundle = scoped(&runtime).with(|config| {
            config["linux"]["cgroupsPath"] = json!(path);
            config["annotations"] = json!({"org.systemd.property.TimeoutStopSec": annotation});
        });
        let nowhere = ("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus");
        create(&runtime, &bundle).env(nowhere.0, nowhere.1).run().fails().says(says);
        assert!(!runtime.knows(bundle.id()), "{path}");
    }
}

/// cgroup v1: systemd makes the scope in the hierarchies that it knows, the runtime in the others.
#[test]
fn privileged_hybrid_a_container_lives_in_its_scope_in_every_hierarchy() {
    let runtime = Runtime::new();
    let bundle = scoped(&runtime).with(|config| {
        config["linux"]["resources"]["memory"] = json!({"limit": 67_108_864});
        config["linux"]["resources"]["cpu"] = json!({"cpus": "0", "mems": "0"});
    });
    let systemd = Systemd::start(runtime.scratch(), Play::Plays);
    let scope = scope(&runtime);
    on_bus(create(&runtime, &bundle), &systemd).run().succeeds();
    let init = runtime.pid(bundle.id());
    assert_eq!(cgroup::existing(&scope).len(), cgroup::hierarchies().len());
    let own = fs::read_to_string(format!("/proc/{init}/cgroup")).expect("it lives");
    let there = own.lines().filter(|line| line.ends_with(&format!(":/{scope}"))).count();
    assert_eq!(there, cgroup::hierarchies().len(), "{own}");
    assert_eq!(cgroup::read("memory", &scope, "memory.limit_in_bytes"), "67108864");
    assert_eq!(cgroup::read("cpuset", &scope, "cpuset.cpus"), "0");

    runtime.start(bundle.id()).succeeds();
    let inside = runtime.exec(bundle.id(), ["cat", "/proc/self/cgroup"]).succeeds().stdout;
    assert!(!inside.contains(&scope), "the cgroup namespace begins at the scope: {inside}");
    runtime.command(["pause", bundle.id()]).run().succeeds();
    assert_eq!(runtime.status(bundle.id()), "paused");
    runtime.command(["resume", bundle.id()]).run().succeeds();
    on_bus(runtime.command(["delete", "--force", bundle.id()]), &systemd).run().succeeds();
    wait::for_exit(init);
    assert!(cgroup::existing(&scope).is_empty());
    let calls = systemd.calls();
    let of_units: Vec<&str> =
        calls.iter().filter_map(|call| call.strip_suffix(&format!(" {scope}"))).collect();
    assert_eq!(of_units, ["StartTransientUnit", "StopUnit"]);
}

/// Guards against a systemd that is gone when its unit is to end: nothing may be left running, and the container can
/// be deleted when it is back.
#[test]
fn privileged_hybrid_a_delete_without_the_bus_ends_the_processes_and_can_be_repeated() {
    let runtime = Runtime::new();
    let bundle = scoped(&runtime);
    let systemd = Systemd::start(runtime.scratch(), Play::Plays);
    on_bus(create(&runtime, &bundle), &systemd).run().succeeds();
    let init = runtime.pid(bundle.id());
    drop(systemd);
    let nowhere = ("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus");
    let delete = || runtime.command(["delete", "--force", bundle.id()]);
    delete().env(nowhere.0, nowhere.1).run().fails().says("systemd cannot be reached");
    wait::for_exit(init);
    assert!(cgroup::existing(&scope(&runtime)).is_empty());
    assert_eq!(runtime.status(bundle.id()), "stopped");
    let systemd = Systemd::start(runtime.scratch(), Play::Plays);
    on_bus(delete(), &systemd).run().succeeds();
    assert!(!runtime.knows(bundle.id()));
}

fn group(scope: &str) -> PathBuf {
    Path::new("/sys/fs/cgroup").join(scope)
}

fn file(scope: &str, name: &str) -> String {
    fs::read_to_string(group(scope).join(name)).expect("the file is there").trim().to_owned()
}

fn limits() -> Value {
    json!({
        "memory": {"limit": 67_108_864, "swap": 67_108_864, "reservation": 33_554_432},
        "cpu": {"shares": 512, "quota": 50_000, "period": 100_000, "cpus": "0"},
        "pids": {"limit": 20},
    })
}

#[test]
fn privileged_v2_the_scope_has_the_limits_as_properties_and_as_files() {
    let runtime = Runtime::new();
    let bundle = scoped(&runtime).with(|config| {
        let own = config["linux"]["resources"].as_object_mut().expect("an object");
        own.extend(limits().as_object().expect("an object").clone());
        config["annotations"] = json!({"org.systemd.property.TimeoutStopSec": "7"});
    });
    let scope = scope(&runtime);
    create(&runtime, &bundle).run().succeeds();
    for (name, value) in [
        ("Slice", "-.slice"),
        ("Delegate", "yes"),
        ("DefaultDependencies", "no"),
        ("CollectMode", "inactive-or-failed"),
        ("MemoryMax", "67108864"),
        ("MemorySwapMax", "0"),
        ("MemoryLow", "33554432"),
        ("CPUWeight", "59"),
        ("CPUQuotaPerSecUSec", "500ms"),
        ("AllowedCPUs", "0"),
        ("TasksMax", "20"),
        ("DevicePolicy", "strict"),
        ("TimeoutStopUSec", "7s"),
    ] {
        assert_eq!(property(&runtime, &scope, name), value, "{name}");
    }
    let files =
        [("memory.max", "67108864"), ("cpu.max", "50000 100000"), ("cpuset.cpus", "0"), ("pids.max", "20")];
    files.iter().for_each(|(name, value)| assert_eq!(file(&scope, name), *value, "{name}"));
    runtime.host(["systemctl", "daemon-reload"]).run().succeeds();
    files.iter().for_each(|(name, value)| assert_eq!(file(&scope, name), *value, "{name} after a reload"));

    let update =
        ["update", "--memory", "134217728", "--memory-swap", "134217728", "--pids-limit", "30", bundle.id()];
    runtime.command(update).run().succeeds();
    let files = [("memory.max", "134217728"), ("pids.max", "30"), ("cpu.max", "50000 100000")];
    files.iter().for_each(|(name, value)| assert_eq!(file(&scope, name), *value, "{name} after an update"));
    runtime.host(["systemctl", "daemon-reload"]).run().succeeds();
    files.iter().for_each(|(name, value)| assert_eq!(file(&scope, name), *value, "{name} after both"));
    assert_eq!(property(&runtime, &scope, "MemoryMax"), "134217728");
    end(&runtime, &bundle);
}

/// What systemd and the kernel have of the limits: properties and files.
fn in_force(runtime: &Runtime, scope: &str) -> Vec<String> {
    let properties = ["CPUQuotaPerSecUSec", "CPUWeight", "AllowedCPUs", "MemoryLow", "TasksMax"];
    let files = ["cpu.max", "cpu.weight", "cpuset.cpus", "memory.low", "pids.max"];
    let properties = properties.map(|name| format!("{name}={}", property(runtime, scope, name)));
    properties.into_iter().chain(files.map(|name| format!("{name}={}", file(scope, name)))).collect()
}

#[test]
fn privileged_v2_an_update_reaches_systemd_and_a_refused_one_changes_nothing() {
    let runtime = Runtime::new();
    let bundle = scoped(&runtime);
    let scope = scope(&runtime);
    create(&runtime, &bundle).run().succeeds();
    let update = |flags: &[&str]| runtime.command(["update"]).args(flags).arg(bundle.id()).run();
    let flags = ["--cpu-quota=20000", "--cpu-period=100000", "--cpu-share=2048", "--cpuset-cpus=0-1"];
    let more = ["--memory-reservation=33554432", "--pids-limit=40"];
    update(&[&flags[..], &more[..]].concat()).succeeds().discard();
    let wanted = [
        "CPUQuotaPerSecUSec=200ms",
        "CPUWeight=174",
        "AllowedCPUs=0-1",
        "MemoryLow=33554432",
        "TasksMax=40",
        "cpu.max=20000 100000",
        "cpu.weight=174",
        "cpuset.cpus=0-1",
        "memory.low=33554432",
        "pids.max=40",
    ];
    assert_eq!(in_force(&runtime, &scope), wanted);
    update(&["--pids-limit=41", "--cpuset-cpus=0-99"]).fails().says("/linux/resources/cpu/cpus").discard();
    assert_eq!(in_force(&runtime, &scope), wanted);
    runtime.host(["systemctl", "daemon-reload"]).run().succeeds();
    assert_eq!(in_force(&runtime, &scope), wanted);
    // What is no limit any more is told as well.
    update(&["--cpu-quota=-1", "--pids-limit=-1"]).succeeds().discard();
    runtime.host(["systemctl", "daemon-reload"]).run().succeeds();
    let now = in_force(&runtime, &scope);
    for unlimited in
        ["CPUQuotaPerSecUSec=infinity", "TasksMax=infinity", "cpu.max=max 100000", "pids.max=max"]
    {
        assert!(now.iter().any(|line| line == unlimited), "{unlimited}: {now:?}");
    }
    end(&runtime, &bundle);
}

fn end(runtime: &Runtime, bundle: &Bundle) {
    runtime.delete_force(bundle.id()).succeeds();
    let scope = scope(runtime);
    assert!(!group(&scope).exists());
    assert_eq!(property(runtime, &scope, "LoadState"), "not-found");
}

#[test]
fn privileged_v2_a_container_lives_and_ends_in_its_scope() {
    let runtime = Runtime::new();
    let bundle = scoped(&runtime);
    let scope = scope(&runtime);
    create(&runtime, &bundle).run().succeeds();
    runtime.start(bundle.id()).succeeds();
    let init = runtime.pid(bundle.id());
    let own = fs::read_to_string(format!("/proc/{init}/cgroup")).expect("it lives");
    assert_eq!(own, format!("0::/{scope}\n"));
    assert_eq!(runtime.exec(bundle.id(), ["cat", "/proc/self/cgroup"]).succeeds().stdout, "0::/\n");
    assert!(runtime.command(["ps", bundle.id()]).run().succeeds().stdout.contains("sleep"));
    runtime.command(["pause", bundle.id()]).run().succeeds();
    assert_eq!(file(&scope, "cgroup.freeze"), "1");
    assert_eq!(runtime.status(bundle.id()), "paused");
    runtime.command(["resume", bundle.id()]).run().succeeds();
    runtime.kill(bundle.id(), "KILL").succeeds();
    runtime.wait_for_status(bundle.id(), "stopped");
    end(&runtime, &bundle);
}

#[test]
fn privileged_v2_slices_are_expanded_and_empty_ones_vanish() {
    let runtime = Runtime::new();
    // A dash is a step down; the name of the runtime has one.
    let slice = format!("{}.slice", runtime.name().replace('-', ""));
    let bundle = scoped(&runtime).with(|config| {
        config["linux"]["cgroupsPath"] = json!(format!("{}:x:y", slice.replace(".slice", "-a.slice")));
    });
    create(&runtime, &bundle).run().succeeds();
    let own = fs::read_to_string(format!("/proc/{}/cgroup", runtime.pid(bundle.id()))).expect("it lives");
    assert_eq!(own, format!("0::/{slice}/{}/x-y.scope\n", slice.replace(".slice", "-a.slice")));
    runtime.delete_force(bundle.id()).succeeds();
    assert_eq!(property(&runtime, "x-y.scope", "LoadState"), "not-found");
}

/// Guards against a failed unit, which keeps its name for ever.
#[test]
fn privileged_v2_a_container_that_ran_out_of_memory_leaves_no_failed_unit() {
    let runtime = Runtime::new();
    for _ in 0..2 {
        let bundle = scoped(&runtime).script("x=a; while :; do x=$x$x$x; done").with(|config| {
            config["linux"]["resources"]["memory"] = json!({"limit": 16_777_216, "swap": 16_777_216});
        });
        let run = runtime.command(["--systemd-cgroup", "run", "--bundle"]).arg(bundle.dir()).arg(bundle.id());
        assert_eq!(run.run().status.code(), Some(137));
        assert_eq!(property(&runtime, &scope(&runtime), "LoadState"), "not-found");
    }
}

/// Guards against a unit that has found a new owner: its processes are not the old container's.
#[test]
fn privileged_v2_a_unit_of_somebody_else_with_the_same_name_is_left_alone() {
    let runtime = Runtime::new();
    let bundle = scoped(&runtime);
    let scope = scope(&runtime);
    let sleeps = |name: &str| {
        ["systemd-run", "--scope", "--slice=-.slice", "--unit", name, "sleep", "1000"].map(str::to_owned)
    };
    let newcomer = runtime.host(sleeps(&scope)).spawn();
    wait::until("the newcomer's scope", || group(&scope).exists().then_some(()));
    create(&runtime, &bundle).run().fails().says("UnitExists");
    assert!(procfs::is_alive(newcomer.pid()));
    runtime.host(["systemctl", "stop", &scope]).run().succeeds();
    drop(newcomer.wait());

    create(&runtime, &bundle).run().succeeds();
    runtime.kill(bundle.id(), "KILL").succeeds();
    wait::until("the end of the scope", || (!group(&scope).exists()).then_some(()));
    let newcomer = runtime.host(sleeps(&scope)).spawn();
    wait::until("the newcomer's scope", || group(&scope).exists().then_some(()));
    runtime.delete_force(bundle.id()).succeeds();
    assert!(procfs::is_alive(newcomer.pid()));
    runtime.host(["systemctl", "stop", &scope]).run().succeeds();
    drop(newcomer.wait());
}
