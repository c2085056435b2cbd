//! Namespaces: new, joined by path, inherited; and user namespaces with their mappings.

use mydocker_tests::{Bundle, Runtime, cgroup, procfs, wait};
use rustix::process::Signal;
use serde_json::json;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

/// The kinds that config.json and `/proc/PID/ns` name, in this order, differently.
const KINDS: [(&str, &str); 6] = [
    ("pid", "pid"),
    ("network", "net"),
    ("ipc", "ipc"),
    ("uts", "uts"),
    ("mount", "mnt"),
    ("cgroup", "cgroup"),
];

/// Starts the bundle, detached.
fn started(runtime: &Runtime, bundle: Bundle) -> Bundle {
    runtime.run_detached(&bundle);
    bundle
}

fn sleeper(runtime: &Runtime) -> Bundle {
    runtime.bundle().args(["sleep", "1000"])
}

#[test]
fn privileged_listed_namespaces_are_new_and_others_are_the_runtimes() {
    let runtime = Runtime::new();
    let own = std::process::id().cast_signed();
    for listed in [true, false] {
        // A mount namespace is what keeps a container's mounts from the host, so it is always there.
        let mut bundle = sleeper(&runtime);
        for (kind, _) in KINDS.into_iter().filter(|(kind, _)| *kind != "mount") {
            bundle = if listed { bundle.namespace(kind, None) } else { bundle.without_namespace(kind) };
        }
        bundle.edit(|config| {
            if !listed {
                config.as_object_mut().expect("an object").remove("hostname");
                // A new sysfs belongs to a network namespace, and mqueue to an ipc namespace, of one's own.
                let mounts = config["mounts"].as_array_mut().expect("a list");
                mounts.retain(|mount| mount["destination"] != "/dev/mqueue");
            }
        });
        let bundle = started(&runtime, bundle);
        let pid = runtime.pid(bundle.id());
        for (kind, name) in KINDS {
            let new = procfs::namespace(pid, name) != procfs::namespace(own, name);
            assert_eq!(new, listed || kind == "mount", "{kind}");
        }
        assert_eq!(procfs::namespace(pid, "user"), procfs::namespace(own, "user"));
        runtime.delete_force(bundle.id()).succeeds();
    }
}

#[test]
fn privileged_each_kind_of_namespace_is_joined_by_path() {
    let runtime = Runtime::new();
    let first = sleeper(&runtime).namespace("cgroup", None);
    let first = started(&runtime, first);
    let owner = runtime.pid(first.id());
    for (kind, name) in KINDS.into_iter().filter(|(kind, _)| *kind != "mount") {
        let path = format!("/proc/{owner}/ns/{name}");
        let mut bundle = sleeper(&runtime).namespace(kind, Some(Path::new(&path)));
        if kind == "uts" {
            // The name would change under the first container.
            bundle.edit(|config| drop(config.as_object_mut().expect("an object").remove("hostname")));
        }
        let bundle = started(&runtime, bundle);
        let pid = runtime.pid(bundle.id());
        assert_eq!(procfs::namespace(pid, name), procfs::namespace(owner, name), "{kind}");
        for (other, name) in KINDS.into_iter().filter(|(other, _)| *other != kind && *other != "cgroup") {
            assert_ne!(procfs::namespace(pid, name), procfs::namespace(owner, name), "{other} beside {kind}");
        }
        runtime.delete_force(bundle.id()).succeeds();
    }
}

#[test]
fn privileged_a_pinned_network_namespace_is_joined_and_survives_the_container() {
    let runtime = Runtime::new();
    let pin = runtime.scratch().join("netns");
    fs::write(&pin, "").expect("the scratch directory is writable");
    runtime.host(["unshare"]).arg(format!("--net={}", pin.display())).arg("true").run().succeeds();
    let pinned = fs::metadata(&pin).expect("it is pinned").ino();
    let script = "readlink /proc/self/ns/net; ls /sys/class/net";
    let bundle = runtime.bundle().script(script).namespace("network", Some(&pin));
    let outcome = runtime.run(&bundle).succeeds();
    assert_eq!(outcome.stdout, format!("net:[{pinned}]\nlo\n"));
    assert_eq!(fs::metadata(&pin).expect("it is still pinned").ino(), pinned);
    runtime.host(["umount"]).arg(&pin).run().succeeds();
}

#[test]
fn privileged_a_shared_pid_namespace_shows_the_processes_of_both() {
    let runtime = Runtime::new();
    let first = started(&runtime, runtime.bundle().args(["sleep", "1111"]));
    let path = format!("/proc/{}/ns/pid", runtime.pid(first.id()));
    let second = runtime.bundle().script("ps; echo $$").namespace("pid", Some(Path::new(&path)));
    let outcome = runtime.run(&second).succeeds();
    assert!(outcome.stdout.contains("sleep 1111"), "{}", outcome.stdout);
    assert_ne!(outcome.stdout.lines().last(), Some("1"));
    assert_eq!(runtime.status(first.id()), "running", "the end of one does not end the other");
}

/// A pod whose containers share their pid namespace: the kernel ends nothing with the first process of one of them.
#[test]
fn privileged_delete_ends_what_a_container_leaves_in_a_joined_pid_namespace() {
    let runtime = Runtime::new();
    let pod = started(&runtime, sleeper(&runtime));
    let path = format!("/proc/{}/ns/pid", runtime.pid(pod.id()));
    let bundle =
        runtime.bundle().script("sleep 1000 & exec sleep 1001").namespace("pid", Some(Path::new(&path)));
    let bundle = started(&runtime, bundle);
    let both = || (cgroup::processes(bundle.cgroup()).len() == 2).then_some(());
    wait::until("both processes to run", both);
    runtime.kill(bundle.id(), "TERM").succeeds();
    runtime.wait_for_status(bundle.id(), "stopped");
    let left = cgroup::processes(bundle.cgroup());
    assert_eq!(left.len(), 1, "the other process lives on");
    runtime.delete(bundle.id()).succeeds();
    wait::for_exit(left[0]);
    assert!(cgroup::existing(bundle.cgroup()).is_empty());
    assert_eq!(runtime.status(pod.id()), "running");
}

#[test]
fn privileged_the_end_of_a_joined_pid_namespace_ends_the_container() {
    let runtime = Runtime::new();
    let first = started(&runtime, sleeper(&runtime));
    let path = format!("/proc/{}/ns/pid", runtime.pid(first.id()));
    let second = sleeper(&runtime).namespace("pid", Some(Path::new(&path)));
    let second = started(&runtime, second);
    let pid = runtime.pid(second.id());
    runtime.kill(first.id(), "KILL").succeeds();
    wait::for_exit(pid);
    runtime.wait_for_status(second.id(), "stopped");
}

#[test]
fn privileged_a_namespace_of_the_wrong_kind_is_refused() {
    let runtime = Runtime::new();
    for (kind, name) in
        [("network", "uts"), ("uts", "ipc"), ("ipc", "net"), ("pid", "net"), ("cgroup", "uts")]
    {
        let path = format!("/proc/self/ns/{name}");
        let bundle = runtime.bundle().namespace(kind, Some(Path::new(&path)));
        runtime.create(&bundle).fails();
        assert!(!runtime.knows(bundle.id()), "{kind}");
    }
}

/// Differs from runc, which does not name a file that is no namespace.
#[test]
fn privileged_a_namespace_path_that_is_none_is_refused() {
    let runtime = Runtime::new();
    let file = runtime.scratch().join("plain");
    fs::write(&file, "").expect("the scratch directory is writable");
    for path in [Path::new("/never/was"), &file, Path::new("/proc")] {
        let bundle = runtime.bundle().namespace("network", Some(path));
        runtime.create(&bundle).fails().says(&path.display().to_string());
        assert!(!runtime.knows(bundle.id()));
    }
}

/// Guards against effects of opening: a tape rewinds, a watchdog begins to run, a fifo lets its writer go.
#[test]
fn privileged_a_namespace_path_that_is_none_is_not_even_opened() {
    use rustix::fs::inotify;
    let runtime = Runtime::new();
    let file = runtime.scratch().join("file");
    fs::write(&file, "").expect("scratch");
    let watcher = inotify::init(inotify::CreateFlags::NONBLOCK).expect("inotify");
    inotify::add_watch(&watcher, &file, inotify::WatchFlags::OPEN).expect("a file that is there");
    let bundle = runtime.bundle().namespace("network", Some(&file));
    runtime.run(&bundle).fails().says("no network namespace");
    let mut events = [0_u8; 4096];
    assert_eq!(rustix::io::read(&watcher, &mut events), Err(rustix::io::Errno::AGAIN), "it was opened");
    fs::File::open(&file).expect("it is there");
    rustix::io::read(&watcher, &mut events).expect("the watch sees an opening");
}

#[test]
fn privileged_namespaces_listed_twice_or_unknown_are_refused() {
    let runtime = Runtime::new();
    let twice = runtime.bundle().with(|config| {
        mydocker_tests::bundle::push(&mut config["linux"]["namespaces"], json!({"type": "uts"}));
    });
    runtime.create(&twice).fails().says("uts");
    let unknown = runtime.bundle().namespace("never-was", None);
    runtime.create(&unknown).fails().says("never-was");
}

#[test]
fn privileged_the_first_process_is_process_one_of_its_pid_namespace() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("echo $$; ps -o pid,comm; true");
    let outcome = runtime.run(&bundle).succeeds();
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!(lines[0], "1");
    assert_eq!(lines.len(), 4, "the header, the shell and ps: {}", outcome.stdout);
}

#[test]
fn privileged_orphans_of_the_container_become_children_of_its_first_process() {
    let runtime = Runtime::new();
    let script = "(sleep 1000 & echo $!) >/child; child=$(cat /child); \
        awk '/^PPid/ { print $2 }' /proc/$child/status; kill -9 $child";
    assert_eq!(runtime.run(&runtime.bundle().script(script)).succeeds().stdout, "1\n");
}

#[test]
fn privileged_a_network_namespace_has_a_loopback_device_alone() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("ls /sys/class/net; ip -o addr show lo | grep -c 127.0.0.1");
    // runc brings `lo` up, and programs in the container count on 127.0.0.1.
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "lo\n1\n");
}

#[test]
fn privileged_a_cgroup_namespace_hides_where_the_container_is() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["cat", "/proc/self/cgroup"]);
    let seen = runtime.run(&bundle).succeeds().stdout;
    // v2 has one line for all controllers, which it does not name.
    let pids = if cgroup::is_v1("pids") { "pids" } else { "" };
    assert!(seen.lines().any(|line| line.ends_with(&format!(":{pids}:{}", bundle.cgroup()))), "{seen}");
    let bundle = runtime.bundle().args(["cat", "/proc/self/cgroup"]).namespace("cgroup", None);
    let seen = runtime.run(&bundle).succeeds().stdout;
    assert!(seen.lines().any(|line| line.ends_with(&format!(":{pids}:/"))), "{seen}");
    assert!(!seen.contains(bundle.cgroup()), "{seen}");
}

#[test]
fn privileged_a_user_namespace_maps_ids_as_configured() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["sleep", "1000"]).namespace("user", None).with(|config| {
        config["linux"]["uidMappings"] = json!([
            {"containerID": 0, "hostID": 100_000, "size": 1000},
            {"containerID": 1000, "hostID": 300_000, "size": 1},
        ]);
        config["linux"]["gidMappings"] = json!([{"containerID": 0, "hostID": 200_000, "size": 500}]);
        config["process"]["user"] = json!({"uid": 1000, "gid": 7, "additionalGids": [8]});
    });
    runtime.run_detached(&bundle);
    let pid = runtime.pid(bundle.id());
    let field = |name| procfs::status_field(pid, name).expect("it runs");
    let words = |text: String| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(field("Uid")), ["300000"; 4]);
    assert_eq!(words(field("Gid")), ["200007"; 4]);
    assert_eq!(words(field("Groups")), ["200008"]);
    let map = |name: &str| words(fs::read_to_string(format!("/proc/{pid}/{name}")).expect("it runs"));
    assert_eq!(map("uid_map"), ["0", "100000", "1000", "1000", "300000", "1"]);
    assert_eq!(map("gid_map"), ["0", "200000", "500"]);
}

#[test]
fn privileged_root_of_a_user_namespace_owns_its_other_namespaces() {
    let runtime = Runtime::new();
    // Root inside maps to nobody special outside, so the root file system must be open to that id.
    let bundle = runtime
        .bundle()
        .user_namespace(100_000, 65_536)
        .script("id -u; hostname; mount -t tmpfs none /tmp && echo ok");
    let bundle = bundle.with(|config| {
        let caps = json!(["CAP_SYS_ADMIN"]);
        config["process"]["capabilities"] = json!({"bounding": caps, "effective": caps, "permitted": caps});
    });
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "0\nmydocker-test\nok\n");
}

#[test]
fn privileged_files_of_unmapped_owners_are_nobodys_and_are_not_touched() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().user_namespace(100_000, 1000).script("stat -c %u:%g /mapped /unmapped");
    for (name, owner) in [("mapped", 100_005), ("unmapped", 5)] {
        fs::write(bundle.path(name), "").expect("the bundle is writable");
        chown(bundle.path(name), Some(owner), Some(owner)).expect("root may");
    }
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "5:5\n65534:65534\n");
    let owner = |name| fs::metadata(bundle.path(name)).map(|meta| meta.uid()).expect("it is there");
    assert_eq!((owner("mapped"), owner("unmapped")), (100_005, 5));
}

/// Root inside may not search what is another's, and need not to cover it.
#[test]
fn privileged_directories_of_unmapped_owners_can_be_masked() {
    let runtime = Runtime::new();
    let script = "for dir in /secret /other; do stat -c %a:%u $dir; ls -A $dir; mkdir $dir/new 2>&1 | grep -c Read-only; done";
    let bundle = runtime.bundle().user_namespace(100_000, 65_536).script(script).with(|config| {
        config["linux"]["maskedPaths"] = json!(["/secret", "/other"]);
    });
    for name in ["secret", "other"] {
        let dir = bundle.path(name);
        fs::create_dir(&dir).expect("the bundle is writable");
        fs::write(dir.join("file"), "").expect("the bundle is writable");
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).expect("it is ours");
    }
    let said = "1777:0\n1\n".repeat(2);
    assert_eq!(runtime.run(&bundle).succeeds().stdout, said);
}

#[test]
fn privileged_a_user_namespace_with_terminal_devices_and_all_default_mounts_works() {
    let runtime = Runtime::new();
    let script = "for f in null zero full random urandom tty; do test -c /dev/$f || echo no $f; done; \
        echo data >/dev/null && head -c 3 /dev/zero | wc -c; mount | grep -c ' on /dev/shm '";
    let bundle = runtime.bundle().user_namespace(100_000, 65_536).script(script);
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "3\n1\n");
}

/// The standard streams are made the user's in a user namespace; a device of the host behind one must be left out.
#[test]
fn privileged_the_hosts_null_device_keeps_its_owner() {
    let owner =
        || fs::metadata("/dev/null").map(|meta| (meta.uid(), meta.gid(), meta.mode())).expect("it is there");
    let before = owner();
    let runtime = Runtime::new();
    let bundle = runtime.bundle().user_namespace(100_000, 65_536);
    let null = fs::File::open("/dev/null").expect("it is there");
    runtime.run_command(&bundle).stdin_file(null).run().succeeds();
    let after = owner();
    // Mended first, so that a runtime that fails does not leave the machine changed.
    chown("/dev/null", Some(before.0), Some(before.1)).expect("root may");
    assert_eq!(after, before);
}

#[test]
fn privileged_a_user_namespace_without_mappings_is_refused() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().namespace("user", None);
    runtime.create(&bundle).fails();
    assert!(!runtime.knows(bundle.id()));
}

#[test]
fn privileged_a_user_that_is_not_mapped_is_refused() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().user_namespace(100_000, 10);
    for user in [
        json!({"uid": 10, "gid": 0}),
        json!({"uid": 0, "gid": 10}),
        json!({"uid": 0, "gid": 0, "additionalGids": [10]}),
    ] {
        let mut bundle = runtime.bundle_like(&bundle);
        bundle.edit(|config| config["process"]["user"] = user);
        runtime.run(&bundle).fails();
        assert!(!runtime.knows(bundle.id()));
    }
}

#[test]
fn privileged_a_user_namespace_is_joined_by_path() {
    let runtime = Runtime::new();
    let owner = started(&runtime, sleeper(&runtime).user_namespace(100_000, 65_536));
    let pid = runtime.pid(owner.id());
    // Callers repeat the mappings of the namespace, and runc insists on that.
    let mut bundle = runtime.bundle().script("id -u; cat /proc/self/uid_map").user_namespace(100_000, 65_536);
    for (kind, name) in [("user", "user"), ("network", "net"), ("ipc", "ipc")] {
        bundle = bundle.namespace(kind, Some(Path::new(&format!("/proc/{pid}/ns/{name}"))));
    }
    let outcome = runtime.run(&bundle).succeeds();
    assert_eq!(outcome.stdout.split_whitespace().collect::<Vec<_>>(), ["0", "0", "100000", "65536"]);
}

/// Differs from runc 1.1, which does not know this kind of namespace: config-linux.md, Namespaces.
#[test]
fn privileged_a_time_namespace_is_new_or_joined() {
    let runtime = Runtime::new();
    let own = std::process::id().cast_signed();
    let first = started(&runtime, sleeper(&runtime).namespace("time", None));
    let pid = runtime.pid(first.id());
    assert_ne!(procfs::namespace(pid, "time"), procfs::namespace(own, "time"));
    let path = format!("/proc/{pid}/ns/time");
    let second = started(&runtime, sleeper(&runtime).namespace("time", Some(Path::new(&path))));
    assert_eq!(procfs::namespace(runtime.pid(second.id()), "time"), procfs::namespace(pid, "time"));
}

#[test]
fn privileged_the_death_of_run_leaves_nothing_that_delete_cannot_take() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("echo ready; exec sleep 1000");
    let running = runtime.spawn(&bundle);
    running.wait_for_output("ready");
    running.signal(Signal::KILL);
    assert_eq!(running.wait().status.code(), None);
    runtime.delete_force(bundle.id()).succeeds();
    assert!(!runtime.knows(bundle.id()));
}
