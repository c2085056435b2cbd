//! The root file system: what is read-only, hidden, provided, and how it is changed to.

use mydocker_tests::bundle::push;
use mydocker_tests::{Bundle, Runtime, wait};
use serde_json::json;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};

#[test]
fn privileged_a_read_only_root_cannot_be_written_but_mounts_on_it_can() {
    let runtime = Runtime::new();
    let script = "touch /new 2>/dev/null || echo root refused; touch /dev/new && echo dev; \
        touch /dev/shm/new && echo shm; grep -c ' / ro' /proc/self/mountinfo";
    let bundle = runtime.bundle().script(script).with(|config| config["root"]["readonly"] = json!(true));
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "root refused\ndev\nshm\n1\n");
    fs::write(bundle.path("after"), "").expect("the host's view is as writable as before");
}

#[test]
fn privileged_a_writable_root_keeps_what_is_written() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("echo kept >/new");
    runtime.run(&bundle).succeeds();
    assert_eq!(fs::read_to_string(bundle.path("new")).expect("the container wrote it"), "kept\n");
}

#[test]
fn privileged_the_root_may_be_an_absolute_path_or_a_mount_point() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("test -x /bin/busybox && echo here");
    let root = bundle.dir().join("rootfs");
    let bundle = bundle.with(|config| config["root"]["path"] = json!(root));
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "here\n");
    runtime.host(["mount", "--bind"]).arg(&root).arg(&root).run().succeeds();
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "here\n");
    runtime.host(["umount"]).arg(&root).run().succeeds();
}

#[test]
fn privileged_a_root_that_is_missing_or_no_directory_is_refused() {
    let runtime = Runtime::new();
    for path in ["never-was", "config.json", ""] {
        let bundle = runtime.bundle().with(|config| config["root"]["path"] = json!(path));
        runtime.create(&bundle).fails();
        assert!(!runtime.knows(bundle.id()), "{path:?}");
    }
    let bundle = runtime.bundle();
    symlink("loop", bundle.dir().join("loop")).expect("the bundle is writable");
    let bundle = bundle.with(|config| config["root"]["path"] = json!("loop"));
    runtime.create(&bundle).fails();
    let bundle =
        runtime.bundle().with(|config| drop(config.as_object_mut().expect("an object").remove("root")));
    runtime.create(&bundle).fails();
}

#[test]
fn privileged_the_containers_root_is_all_there_is() {
    let runtime = Runtime::new();
    let script = "ls -a / | sort | tr '\\n' ' '; cd /; cd ..; pwd; test -e /.pivot_root && echo old; \
        awk '$5 == \"/\"' /proc/self/mountinfo | wc -l";
    let said = runtime.run(&runtime.bundle().script(script)).succeeds().stdout;
    assert_eq!(said, ". .. bin dev etc proc root sys tmp usr var /\n1\n");
}

#[test]
fn privileged_no_pivot_gives_the_same_view_by_other_means() {
    let runtime = Runtime::new();
    let bundle =
        runtime.bundle().script("ls / | tr '\\n' ' '; cd ../../..; pwd; test -d /proc/1 && echo proc");
    let outcome = runtime.bundle_command("run", &bundle, &["--no-pivot"]).run().succeeds();
    assert_eq!(outcome.stdout, "bin dev etc proc root sys tmp usr var /\nproc\n");
}

#[test]
fn privileged_masked_files_are_empty_and_masked_directories_too() {
    let runtime = Runtime::new();
    let script = "wc -c </secret; ls -A /private | wc -l; touch /private/new 2>/dev/null || echo refused; \
        cat /also";
    let bundle = runtime.bundle().script(script).with(|config| {
        config["linux"]["maskedPaths"] = json!(["/secret", "/private", "/never/was"]);
    });
    fs::write(bundle.path("secret"), "secret").expect("the bundle is writable");
    fs::write(bundle.path("also"), "seen\n").expect("the bundle is writable");
    fs::create_dir(bundle.path("private")).expect("the bundle is writable");
    fs::write(bundle.path("private/file"), "secret").expect("the bundle is writable");
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "0\n0\nrefused\nseen\n");
    assert_eq!(fs::read_to_string(bundle.path("secret")).expect("it is there"), "secret");
}

#[test]
fn privileged_read_only_paths_can_be_read_and_not_written() {
    let runtime = Runtime::new();
    let script = "cat /data/file; echo x >/data/file || echo refused; touch /data/new || echo refused; \
        echo 1 >/proc/sys/kernel/domainname || echo refused; echo x >/other && echo written";
    let bundle = runtime.bundle().script(&format!("exec 2>/dev/null; {script}")).with(|config| {
        config["linux"]["readonlyPaths"] = json!(["/data", "/proc/sys", "/never/was"]);
    });
    fs::create_dir(bundle.path("data")).expect("the bundle is writable");
    fs::write(bundle.path("data/file"), "text\n").expect("the bundle is writable");
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "text\nrefused\nrefused\nrefused\nwritten\n");
}

#[test]
fn privileged_a_read_only_path_keeps_the_other_options_of_its_mount() {
    let runtime = Runtime::new();
    let script = "awk '$5 == \"/mnt/sub\" { print $6 }' /proc/self/mountinfo";
    let bundle = runtime.bundle().script(script);
    let bundle = bundle.mount("/mnt", "tmpfs", "tmpfs", &["nosuid", "nodev", "noexec"]);
    let bundle = bundle.mount("/mnt/sub", "tmpfs", "tmpfs", &["nosuid", "noexec"]).with(|config| {
        config["linux"]["readonlyPaths"] = json!(["/mnt/sub"]);
    });
    let said = runtime.run(&bundle).succeeds().stdout;
    let options = said.lines().last().expect("it is mounted");
    for word in ["ro", "nosuid", "noexec"] {
        assert!(options.split(',').any(|option| option == word), "{said}");
    }
}

#[test]
fn privileged_the_default_devices_are_there_and_work() {
    let runtime = Runtime::new();
    let script = "for d in null zero full random urandom tty; do stat -c '%n %F %t:%T %a %u:%g' /dev/$d; done; \
        echo x >/dev/null && head -c 4 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c; \
        echo x >/dev/full || echo full";
    let said =
        runtime.run(&runtime.bundle().script(&format!("exec 2>/dev/null; {script}"))).succeeds().stdout;
    let expected = "/dev/null character special file 1:3 666 0:0\n\
        /dev/zero character special file 1:5 666 0:0\n\
        /dev/full character special file 1:7 666 0:0\n\
        /dev/random character special file 1:8 666 0:0\n\
        /dev/urandom character special file 1:9 666 0:0\n\
        /dev/tty character special file 5:0 666 0:0\n\
        4\n4\nfull\n";
    assert_eq!(said, expected);
}

#[test]
fn privileged_the_default_links_are_there() {
    let runtime = Runtime::new();
    let script = "for l in fd stdin stdout stderr ptmx; do readlink /dev/$l; done";
    let said = runtime.run(&runtime.bundle().script(script)).succeeds().stdout;
    assert_eq!(said, "/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\npts/ptmx\n");
}

/// Privileged pods ask for every device of the host; this one is the container's own all the same (config-linux.md,
/// Default Devices).
#[test]
fn privileged_a_device_that_is_called_ptmx_is_the_containers_own() {
    let runtime = Runtime::new();
    let device = json!({"path": "/dev/ptmx", "type": "c", "major": 5, "minor": 2});
    let bundle = runtime.bundle().args(["readlink", "/dev/ptmx"]);
    let bundle = bundle.with(|config| config["linux"]["devices"] = json!([device]));
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "pts/ptmx\n");
    let bundle = bundle.user_namespace(100_000, 65_536);
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "pts/ptmx\n");
}

#[test]
fn privileged_there_is_nothing_in_dev_that_nobody_asked_for() {
    let runtime = Runtime::new();
    let said = runtime.run(&runtime.bundle().args(["ls", "/dev"])).succeeds().stdout;
    let mut names: Vec<&str> = said.lines().filter(|name| *name != "core").collect();
    names.sort_unstable();
    let expected = [
        "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty",
        "urandom", "zero",
    ];
    assert_eq!(names, expected);
}

#[test]
fn privileged_without_a_mount_on_dev_the_devices_are_made_in_the_root() {
    let runtime = Runtime::new();
    let script = "echo x >/dev/null && stat -c '%F %t:%T' /dev/null";
    let bundle = runtime.bundle().script(script).with(|config| {
        let mounts = config["mounts"].as_array_mut().expect("a list");
        mounts.retain(|mount| mount["destination"].as_str().is_some_and(|to| !to.starts_with("/dev")));
    });
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "character special file 1:3\n");
}

#[test]
fn privileged_a_bind_mount_on_dev_is_left_as_it_is() {
    let runtime = Runtime::new();
    let dev = runtime.scratch().join("dev");
    fs::create_dir(&dev).expect("the scratch directory is writable");
    // A bound /dev is the caller's business, but for the null device, which every runtime needs.
    let null = dev.join("null");
    runtime.host(["mknod"]).arg(&null).args(["c", "1", "3"]).run().succeeds();
    let bundle = runtime.bundle().args(["ls", "/dev"]).with(|config| {
        let mounts = config["mounts"].as_array_mut().expect("a list");
        mounts.retain(|mount| mount["destination"].as_str().is_some_and(|to| !to.starts_with("/dev")));
        push(&mut config["mounts"], json!({"destination": "/dev", "source": dev, "options": ["rbind"]}));
    });
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "null\n");
    assert_eq!(fs::read_dir(&dev).expect("it is there").count(), 1);
}

#[test]
fn privileged_configured_devices_are_made_with_mode_and_owner() {
    let runtime = Runtime::new();
    let script = "stat -c '%n %F %t:%T %a %u:%g' /dev/fuse /dev/block /sub/dir/node /dev/pipe";
    let bundle = runtime.bundle().script(script).with(|config| {
        config["linux"]["devices"] = json!([
            {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o640, "uid": 5, "gid": 6},
            {"path": "/dev/block", "type": "b", "major": 7, "minor": 200, "fileMode": 0o400},
            {"path": "/sub/dir/node", "type": "u", "major": 1, "minor": 5, "fileMode": 0o666},
            {"path": "/dev/pipe", "type": "p", "fileMode": 0o622, "uid": 1},
        ]);
    });
    let expected = "/dev/fuse character special file a:e5 640 5:6\n\
        /dev/block block special file 7:c8 400 0:0\n\
        /sub/dir/node character special file 1:5 666 0:0\n\
        /dev/pipe fifo 0:0 622 1:0\n";
    assert_eq!(runtime.run(&bundle).succeeds().stdout, expected);
    let node = fs::symlink_metadata(bundle.path("sub/dir/node")).expect("it was made in the root");
    assert!(node.file_type().is_char_device() && node.rdev() == (1 << 8 | 5));
}

/// The device that every test here asks for below some mount.
fn null_at(path: &str) -> serde_json::Value {
    json!({"path": path, "type": "c", "major": 1, "minor": 3, "fileMode": 0o600, "uid": 5, "gid": 6})
}

#[test]
fn privileged_devices_below_a_later_mount_are_made_in_it() {
    let runtime = Runtime::new();
    let dir = runtime.scratch().join("shared");
    fs::create_dir(&dir).expect("the scratch directory is writable");
    let paths = ["/dev/tmp/node", "/dev/bound/sub/node", "/dev/shm/node"];
    let script = format!("stat -c '%n %t:%T %a %u:%g' {}", paths.join(" "));
    let bundle = runtime.bundle().script(&script).mount("/dev/tmp", "tmpfs", "tmpfs", &[]);
    let bundle = bundle.mount("/dev/bound", "none", &dir, &["bind"]);
    let bundle = bundle.with(|config| config["linux"]["devices"] = json!(paths.map(null_at)));
    let expected: String = paths.iter().map(|path| format!("{path} 1:3 600 5:6\n")).collect();
    assert_eq!(runtime.run(&bundle).succeeds().stdout, expected);
    let node = fs::symlink_metadata(dir.join("sub/node")).expect("it was made in what is bound");
    assert!(node.file_type().is_char_device() && node.rdev() == (1 << 8 | 3));
    // The same device is there the next time; another file is not taken for it.
    assert_eq!(runtime.run(&bundle).succeeds().stdout, expected);
    fs::remove_file(dir.join("sub/node")).expect("it is there");
    fs::write(dir.join("sub/node"), "a file").expect("the scratch directory is writable");
    runtime.create(&bundle).fails().says("/dev/bound/sub/node");
    assert!(!runtime.knows(bundle.id()));
}

/// A tmpfs at `/opt` that is read-only, with a file that is bound in it.
fn with_read_only_tmpfs(runtime: &Runtime, script: &str, option: &str) -> Bundle {
    let file = runtime.scratch().join("file");
    fs::write(&file, "from the host\n").expect("the scratch directory is writable");
    let bundle = runtime.bundle().script(script).mount("/opt", "tmpfs", "tmpfs", &[option]);
    bundle.mount("/opt/sub/file", "none", &file, &["bind"])
}

#[test]
fn privileged_a_read_only_tmpfs_takes_what_is_put_below_it_first() {
    let runtime = Runtime::new();
    let script =
        "cat /opt/sub/file; stat -c %t:%T /opt/node; pwd; touch /opt/new 2>/dev/null || echo refused";
    for option in ["ro", "rro"] {
        let bundle = with_read_only_tmpfs(&runtime, script, option).with(|config| {
            config["linux"]["devices"] = json!([null_at("/opt/node")]);
            config["process"]["cwd"] = json!("/opt/work/here");
        });
        let said = runtime.run(&bundle).succeeds().stdout;
        assert_eq!(said, "from the host\n1:3\n/opt/work/here\nrefused\n", "{option}");
    }
}

#[test]
fn privileged_a_working_directory_alone_is_made_in_a_read_only_tmpfs() {
    let runtime = Runtime::new();
    let script = "pwd; touch /opt/new 2>/dev/null || echo refused";
    let bundle = runtime.bundle().script(script).mount("/opt", "tmpfs", "tmpfs", &["ro"]);
    let bundle = bundle.with(|config| config["process"]["cwd"] = json!("/opt/work"));
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "/opt/work\nrefused\n");
}

#[test]
fn privileged_links_of_the_image_lead_into_a_read_only_tmpfs_too() {
    let runtime = Runtime::new();
    let script = "pwd -P; stat -f -c %T /real/sub; touch /real/new 2>/dev/null || echo refused";
    let bundle = runtime.bundle().script(script).mount("/opt/../real", "tmpfs", "tmpfs", &["ro"]);
    let bundle = bundle.mount("/link/sub", "tmpfs", "tmpfs", &[]);
    let bundle = bundle.with(|config| config["process"]["cwd"] = json!("/link/work"));
    symlink("/real", bundle.path("link")).expect("the bundle is writable");
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "/real/work\ntmpfs\nrefused\n");
}

#[test]
fn privileged_a_later_change_of_a_read_only_tmpfs_stands() {
    let runtime = Runtime::new();
    let script = "mkdir /opt/sub && touch /opt/new && echo written";
    let bundle = runtime.bundle().script(script).mount("/opt", "tmpfs", "tmpfs", &["ro", "mode=777"]);
    let bundle = bundle.mount("/opt", "tmpfs", "tmpfs", &["remount", "rw"]);
    let bundle = bundle.mount("/opt/below", "tmpfs", "tmpfs", &[]);
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "written\n");
}

#[test]
fn privileged_hybrid_a_read_only_mount_of_cgroups_takes_mounts_below_it() {
    let runtime = Runtime::new();
    let script = "awk '$5 == \"/sys/fs/cgroup/own\"' /proc/self/mountinfo | wc -l; \
        awk '$5 ~ \"^/sys/fs/cgroup\" && $5 !~ \"own\" && $6 !~ \"^ro\"' /proc/self/mountinfo";
    let bundle = runtime.bundle().script(script).mount("/sys/fs/cgroup", "cgroup", "cgroup", &["ro"]);
    let bundle = bundle.mount("/sys/fs/cgroup/own", "tmpfs", "tmpfs", &[]);
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "1\n");
}

#[test]
fn privileged_a_mount_at_the_very_path_of_a_device_is_what_the_container_sees() {
    let runtime = Runtime::new();
    let script = "stat -c '%t:%T' /dev/random /dev/own";
    let bundle = runtime.bundle().script(script).with(|config| {
        config["linux"]["devices"] = json!([null_at("/dev/own")]);
    });
    let bundle = bundle.mount("/dev/random", "none", "/dev/urandom", &["bind"]);
    let bundle = bundle.mount("/dev/own", "none", "/dev/zero", &["bind"]);
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "1:9\n1:5\n");
}

#[test]
fn privileged_the_umask_of_the_caller_does_not_change_device_modes() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("stat -c %a /dev/null /dev/fuse").with(|config| {
        config["linux"]["devices"] =
            json!([{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o666}]);
    });
    let run = runtime.run_command(&bundle).through(["sh", "-c", "umask 077; exec \"$@\"", "sh"]);
    assert_eq!(run.run().succeeds().stdout, "666\n666\n");
}

/// Differs from runc 1.1.5, which leaves the other file there: config-linux.md, Devices, "If a file already exists at
/// path that does not match the requested device, the runtime MUST generate an error".
#[test]
fn privileged_a_device_where_another_file_is_already_is_refused() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().with(|config| {
        config["linux"]["devices"] = json!([{"path": "/node", "type": "c", "major": 1, "minor": 5}]);
    });
    fs::write(bundle.path("node"), "a file").expect("the bundle is writable");
    runtime.create(&bundle).fails().says("/node");
    assert!(!runtime.knows(bundle.id()));
    assert_eq!(fs::read_to_string(bundle.path("node")).expect("it is there"), "a file");
}

#[test]
fn privileged_a_device_of_an_unknown_type_is_refused() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().with(|config| {
        config["linux"]["devices"] = json!([{"path": "/dev/node", "type": "x", "major": 1, "minor": 5}]);
    });
    runtime.create(&bundle).fails();
    assert!(!runtime.knows(bundle.id()));
}

/// What the mount table of a container tells of its root when `rootfsPropagation` is `value`; empty when it is private.
fn root_propagation(value: &str) -> String {
    let runtime = Runtime::new();
    let script = "awk '$5 == \"/\" { print $7 }' /proc/self/mountinfo";
    let bundle =
        runtime.bundle().script(script).with(|config| config["linux"]["rootfsPropagation"] = json!(value));
    let said = runtime.run(&bundle).succeeds().stdout;
    said.trim().trim_matches('-').to_owned()
}

#[test]
fn privileged_the_propagation_of_the_root_is_the_configured_one() {
    assert_eq!(root_propagation("private"), "");
    assert_eq!(root_propagation("rprivate"), "");
    let runtime = Runtime::new();
    let bundle = runtime.bundle().with(|config| config["linux"]["rootfsPropagation"] = json!("never-was"));
    runtime.create(&bundle).fails().says("rootfsPropagation");
}

/// Differs from runc 1.1.5, whose root is private then: config-linux.md, Rootfs Mount Propagation, "the rootfs mount
/// belongs to a new peer group" and "the rootfs mount is a private mount that cannot be bind-mounted".
#[test]
fn privileged_a_shared_root_is_in_a_peer_group_and_an_unbindable_one_is_so() {
    for value in ["shared", "rshared"] {
        let shown = root_propagation(value);
        assert!(shown.starts_with("shared:"), "{value}: {shown}");
    }
    assert_eq!(root_propagation("unbindable"), "unbindable");
}

/// The root file system must receive later mounts of the host when it is a slave, and must not when it is private.
#[test]
fn privileged_a_slave_root_receives_later_mounts_and_a_private_one_does_not() {
    let runtime = Runtime::new();
    for (value, arrives) in [("rslave", true), ("rprivate", false)] {
        let bundle = runtime.bundle();
        let root = bundle.path("");
        fs::create_dir(bundle.path("later")).expect("the bundle is writable");
        runtime.host(["mount", "--bind", "--make-shared"]).arg(&root).arg(&root).run().succeeds();
        let script = "echo ready; read go; test -e /later/arrived && echo arrived; true";
        let bundle = bundle.script(script).with(|config| config["linux"]["rootfsPropagation"] = json!(value));
        let mut running = runtime.run_command(&bundle).stdin_pipe().spawn();
        running.wait_for_output("ready");
        runtime.host(["mount", "-t", "tmpfs", "none"]).arg(bundle.path("later")).run().succeeds();
        fs::write(bundle.path("later/arrived"), "").expect("a new tmpfs is writable");
        let mut pipe = running.stdin.take().expect("a pipe was asked for");
        std::io::Write::write_all(&mut pipe, b"go\n").expect("the container reads");
        assert_eq!(running.wait().succeeds().stdout.contains("arrived"), arrives, "{value}");
        runtime.host(["umount", "--recursive"]).arg(&root).run().succeeds();
    }
}

#[test]
fn privileged_proc_shows_the_containers_processes_alone() {
    let runtime = Runtime::new();
    // The shell looks for itself, so nothing else runs meanwhile.
    let script = "set -- /proc/[0-9]*; echo $*; readlink /proc/1/exe";
    assert_eq!(runtime.run(&runtime.bundle().script(script)).succeeds().stdout, "/proc/1\n/bin/busybox\n");
}

#[test]
fn privileged_the_runtimes_program_cannot_be_reached_from_inside() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("echo ready; exec sleep 1000");
    runtime.run_detached(&bundle);
    let pid = runtime.pid(bundle.id());
    wait::until("the program to be executed", || {
        let exe = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
        (exe.ends_with("busybox")).then_some(())
    });
    // `exec` of a program that is the runtime itself would let the container write to it: CVE-2019-5736.
    let before = fs::read(runtime.program()).expect("it is there");
    let script = "for f in /proc/[0-9]*/exe; do echo evil >$f; done; true";
    runtime.exec(bundle.id(), ["sh", "-c", &format!("exec 2>/dev/null; {script}")]).succeeds();
    assert!(fs::read(runtime.program()).expect("it is there") == before);
}
