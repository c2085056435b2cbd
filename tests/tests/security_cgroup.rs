//! The container's view of the cgroups: to be read and not to be written (CVE-2023-25809).

use mydocker_tests::{Bundle, Outcome, Runtime, cgroup};

/// Tries to make a group, and to change one, in each hierarchy that the container sees; tells what it managed to do.
/// The new group's name begins with the container's, so that nothing of another's is ever touched.
fn attack(bundle: Bundle) -> Bundle {
    let name = format!("{}-evil", bundle.id());
    bundle.script(&format!(
        "for dir in /sys/fs/cgroup /sys/fs/cgroup/*; do
            test -d $dir || continue
            echo looked at $dir
            mkdir $dir/{name} && echo made $dir/{name}
            for file in cgroup.procs notify_on_release cgroup.clone_children cgroup.max.depth; do
                test -f $dir/$file && echo $(head -n 1 $dir/$file) >$dir/$file && echo wrote $dir/$file
            done
        done 2>/dev/null; true"
    ))
}

/// Demands that the attack found something to attack and changed nothing, inside or on the host.
fn assert_read_only(bundle: &Bundle, outcome: &Outcome) {
    let outcome_text = outcome.describe();
    let looked = outcome.stdout.lines().filter(|line| line.starts_with("looked")).count();
    assert!(looked >= if cgroup::is_v1("pids") { cgroup::CONTROLLERS.len() } else { 1 }, "{outcome_text}");
    let changed: Vec<&str> = outcome.stdout.lines().filter(|line| !line.starts_with("looked")).collect();
    assert!(changed.is_empty(), "the container has {changed:?}: {outcome_text}");
    let name = format!("/{}-evil", bundle.id());
    assert_eq!(cgroup::existing(&name), Vec::<std::path::PathBuf>::new(), "{outcome_text}");
}

fn assert_refuses_writes(runtime: &Runtime, bundle: Bundle) {
    let bundle = attack(bundle);
    let outcome = runtime.run(&bundle).succeeds();
    assert_read_only(&bundle, &outcome);
}

/// The mounts that `runc spec --rootless` writes: the host's `/sys` as a whole, and the cgroups in it.
fn with_the_hosts_sys(bundle: Bundle) -> Bundle {
    let bundle = bundle.with(|config| {
        let mounts = config["mounts"].as_array_mut().expect("an array");
        mounts.retain(|mount| !mount["destination"].as_str().is_some_and(|path| path.starts_with("/sys")));
    });
    let bundle = bundle.mount("/sys", "none", "/sys", &["rbind", "nosuid", "noexec", "nodev", "ro"]);
    bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"])
}

#[test]
fn privileged_the_roots_of_both_sides_cannot_write_to_a_read_only_cgroup_mount() {
    let runtime = Runtime::new();
    assert_refuses_writes(&runtime, runtime.bundle());
}

#[test]
fn privileged_a_user_namespace_cannot_write_to_a_read_only_cgroup_mount() {
    let runtime = Runtime::new();
    // Root inside is root outside: only the mount's flag is between it and the files.
    assert_refuses_writes(&runtime, runtime.bundle().user_namespace(0, 65536));
    assert_refuses_writes(&runtime, runtime.bundle().user_namespace(100_000, 65536));
}

#[test]
fn privileged_the_hosts_sys_below_a_cgroup_mount_cannot_be_written_either() {
    let runtime = Runtime::new();
    assert_refuses_writes(&runtime, with_the_hosts_sys(runtime.bundle()));
    assert_refuses_writes(&runtime, with_the_hosts_sys(runtime.bundle().user_namespace(0, 65536)));
}

#[test]
fn privileged_a_cgroup_namespace_does_not_make_a_read_only_mount_writable() {
    let runtime = Runtime::new();
    assert_refuses_writes(&runtime, runtime.bundle().namespace("cgroup", None));
}

#[test]
fn privileged_the_attack_succeeds_where_a_writable_mount_of_the_own_cgroup_is_asked_for() {
    // The test of the tests: with a cgroup namespace and without `ro` the container may change its own group, so that the
    // attack can tell the difference; and all that it makes is below that group.
    let runtime = Runtime::new();
    let bundle = attack(runtime.bundle().namespace("cgroup", None)).with(|config| {
        for mount in config["mounts"].as_array_mut().expect("an array") {
            if mount["destination"] == "/sys/fs/cgroup" {
                mount["options"] = serde_json::json!(["nosuid", "noexec", "nodev", "relatime"]);
            }
        }
    });
    let outcome = runtime.run(&bundle).succeeds();
    assert!(outcome.stdout.contains("made /sys/fs/cgroup/"), "{}", outcome.describe());
    let name = format!("/{}-evil", bundle.id());
    assert_eq!(cgroup::existing(&name), Vec::<std::path::PathBuf>::new(), "it reached the host's root group");
}
