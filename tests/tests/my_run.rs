//! `mydocker run` and `create`: what a container is made from, and what its flags do.

use mydocker_tests::{Engine, cgroup, wait};
use std::fs;
use std::path::Path;

/// Runs a shell's script in a new container of busybox that goes with its end, and returns what it prints.
fn script(engine: &Engine, flags: &[&str], script: &str) -> String {
    let words = [&["run", "--rm", "--network", "none"], flags, &["busybox", "sh", "-c", script]].concat();
    engine.ok(words)
}

#[test]
fn privileged_the_host_s_root_is_seen_and_not_changed() {
    let engine = Engine::new();
    let mark = Path::new("/usr").join(engine.path("").file_name().expect("a name"));
    let text = format!("echo $$; touch {0} && test -f {0} && hostname", mark.display());
    let printed = engine.ok(["run", "--rm", "--network", "none", "/bin/sh", "-c", &text]);
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!((lines[0], lines[1].len()), ("1", 12));
    assert!(!mark.exists());
    assert_eq!(engine.ok(["ps", "-aq"]), "");
}

#[test]
fn privileged_an_image_gives_what_the_command_line_does_not() {
    let engine = Engine::with_busybox();
    assert_eq!(script(&engine, &[], "echo $FROM_IMAGE $PWD"), "yes /");
    assert_eq!(
        script(
            &engine,
            &["-e", "FROM_IMAGE=no", "-e", "A=b c", "-w", "/tmp/new"],
            "echo $FROM_IMAGE $A $PWD"
        ),
        "no b c /tmp/new"
    );
    assert_eq!(script(&engine, &["-u", "nobody"], "id -u; id -g"), "65534\n65534");
    assert_eq!(script(&engine, &["-u", "7:9", "--group-add", "5"], "id -G"), "9 5");
    assert_eq!(
        script(&engine, &["-u", "7:9", "--group-add", "5"], "grep Groups /proc/self/status"),
        "Groups:\t5 9 "
    );
    assert_eq!(
        script(
            &engine,
            &["-h", "box", "--domainname", "lan"],
            "hostname; cat /etc/hostname; cat /proc/sys/kernel/domainname"
        ),
        "box\nbox\nlan"
    );
    assert_eq!(
        engine.ok(["run", "--rm", "--network", "none", "--entrypoint", "/bin/echo", "busybox", "a", "b"]),
        "a b"
    );
    // The image has a command of its own.
    engine
        .command(["run", "--rm", "--network", "none", "-i", "busybox"])
        .stdin("echo from $0\n")
        .run()
        .succeeds()
        .says("")
        .discard();
}

#[test]
fn privileged_variables_come_from_files_and_from_the_caller() {
    let engine = Engine::with_busybox();
    let file = engine.path("variables");
    fs::write(&file, "# not this\nA=from file\nCALLER\nABSENT\n").expect("room");
    let words = [
        "run",
        "--rm",
        "--network",
        "none",
        "--env-file",
        file.to_str().expect("a path"),
        "-e",
        "B=2",
        "busybox",
        "env",
    ];
    let printed = engine.command(words).env("CALLER", "here").run().succeeds().stdout;
    let has = |line: &str| printed.lines().any(|printed| printed == line);
    assert!(has("A=from file") && has("B=2") && has("CALLER=here"), "{printed}");
    assert!(!printed.contains("ABSENT"));
}

#[test]
fn privileged_the_exit_status_tells_who_failed() {
    let engine = Engine::with_busybox();
    let run = |words: &[&str]| engine.command([&["run", "--rm", "--network", "none"], words].concat()).run();
    run(&["busybox", "sh", "-c", "exit 7"]).exits(7).discard();
    run(&["--init", "busybox", "sh", "-c", "kill -9 $$"]).exits(137).discard();
    run(&["busybox", "/no/such"]).exits(127).says("/no/such").discard();
    run(&["busybox", "/etc/passwd"]).exits(126).says("permission denied").discard();
    run(&["--memory", "lots", "busybox"]).exits(125).says("lots").discard();
    run(&["--pull", "never", "absent"]).exits(125).says("No such image: absent").discard();
    run(&["--frobnicate", "busybox"]).exits(125).says("--frobnicate").discard();
    run(&["--nam", "x", "busybox"]).exits(125).says("--name").discard();
    run(&["--cpus", "99999", "busybox"]).exits(125).says("CPUs available").discard();
    run(&["--oom-score-adj", "5000", "busybox"]).exits(125).says("--oom-score-adj").discard();
    run(&["--mac-address", "02:42:ac:11:00:02", "busybox"]).exits(125).says("--mac-address").discard();
    run(&["--detach-keys", "ctrl-9", "busybox"]).exits(125).says("ctrl-9").discard();
    run(&["--platform", "linux/s390x", "/bin/true"]).exits(125).says("needs an image").discard();
    let own = engine.command(["run", "--rm", "--mac-address", "foo", "busybox"]).run();
    own.exits(125).says("\"foo\": it is no hardware address").discard();
    assert_eq!(engine.ok(["ps", "-aq"]), "");
}

#[test]
fn privileged_limits_are_in_force() {
    let engine = Engine::with_busybox();
    let flags = [
        "-m",
        "64m",
        "--pids-limit",
        "50",
        "--cpus",
        "0.5",
        "--ulimit",
        "nofile=100:200",
        "--oom-score-adj",
        "500",
    ];
    let text = "ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj; cd /sys/fs/cgroup
        if test -e cgroup.controllers; then cat memory.max pids.max; cut -d ' ' -f 1 cpu.max
        else cat memory/memory.limit_in_bytes pids/pids.max cpu/cpu.cfs_quota_us; fi";
    assert_eq!(script(&engine, &flags, text), "100\n200\n500\n67108864\n50\n50000");
}

#[test]
fn privileged_capabilities_and_privileges_are_as_asked() {
    let engine = Engine::with_busybox();
    let effective = "grep CapEff /proc/self/status | cut -f2";
    assert_eq!(script(&engine, &[], effective), "00000000a80425fb");
    assert_eq!(script(&engine, &["--cap-drop", "ALL", "--cap-add", "chown"], effective), "0000000000000001");
    assert_eq!(
        script(
            &engine,
            &["--security-opt", "no-new-privileges"],
            "grep NoNewPrivs /proc/self/status | cut -f2"
        ),
        "1"
    );
    assert_eq!(script(&engine, &[], "grep Seccomp: /proc/self/status | cut -f2"), "2");
    assert_eq!(
        script(
            &engine,
            &["--security-opt", "seccomp=unconfined"],
            "grep Seccomp: /proc/self/status | cut -f2"
        ),
        "0"
    );
    assert_eq!(
        script(
            &engine,
            &["--privileged"],
            "test -e /dev/loop-control && grep Seccomp: /proc/self/status | cut -f2"
        ),
        "0"
    );
    assert_eq!(script(&engine, &["--device", "/dev/null:/dev/other:r"], "ls -l /dev/other | cut -c1"), "c");
    assert_eq!(script(&engine, &["--sysctl", "kernel.shmmax=4096"], "cat /proc/sys/kernel/shmmax"), "4096");
    engine
        .command(["run", "--rm", "--device-cgroup-rule", "c 10 rwm", "busybox"])
        .run()
        .exits(125)
        .says("c 10 rwm")
        .discard();
    let published = ["run", "--rm", "--network", "none", "-p", "80:80", "busybox", "true"];
    engine.command(published).run().succeeds().says("published ports are discarded").discard();
    engine
        .command(["run", "--rm", "--security-opt", "wings", "busybox"])
        .run()
        .exits(125)
        .says("wings")
        .discard();
}

#[test]
fn privileged_namespaces_are_shared_with_the_host_or_another_container() {
    let engine = Engine::with_busybox();
    let host = |kind: &str| {
        fs::read_link(format!("/proc/self/ns/{kind}")).expect("a namespace").display().to_string()
    };
    let flags = ["--pid", "host", "--ipc", "host", "--uts", "host", "--cgroupns", "host"];
    let text = "for kind in pid ipc uts cgroup; do readlink /proc/self/ns/$kind; done";
    let expected = ["pid", "ipc", "uts", "cgroup"].map(host).join("\n");
    assert_eq!(script(&engine, &flags, text), expected);
    engine.ok([
        "run",
        "-d",
        "--name",
        "other",
        "--network",
        "none",
        "--ipc",
        "shareable",
        "busybox",
        "sleep",
        "1000",
    ]);
    let flags =
        ["--rm", "--network", "container:other", "--pid", "container:other", "--ipc", "container:other"];
    let text = "ps | grep -c 'sleep 100[0]'; readlink /proc/self/ns/net; readlink /proc/1/ns/net";
    let printed = engine.ok([&["run"], &flags[..], &["busybox", "sh", "-c", text]].concat());
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!((lines[0], lines[1]), ("1", lines[2]));
    engine
        .command(["run", "--rm", "--pid", "container:absent", "busybox"])
        .run()
        .fails()
        .says("absent")
        .discard();
}

#[test]
fn privileged_what_is_read_only_stays_as_it_is() {
    let engine = Engine::with_busybox();
    let text = "touch /file 2>/dev/null || echo no; touch /run/file && echo yes; df /run | tail -1 | awk '{print $2}'";
    assert_eq!(script(&engine, &["--read-only", "--tmpfs", "/run:size=1m"], text), "no\nyes\n1024");
    assert_eq!(script(&engine, &["--shm-size", "2m"], "df /dev/shm | tail -1 | awk '{print $2}'"), "2048");
}

#[test]
fn privileged_binds_and_volumes_are_mounted_and_filled() {
    let engine = Engine::with_busybox();
    let source = engine.path("source");
    fs::create_dir(&source).expect("room");
    fs::write(source.join("file"), "content").expect("room");
    let bind = format!("{}:/data:ro", source.display());
    assert_eq!(
        script(&engine, &["-v", &bind], "cat /data/file; touch /data/x 2>/dev/null || echo no"),
        "contentno"
    );
    let absent = engine.path("absent");
    script(&engine, &["-v", &format!("{}:/data", absent.display())], "touch /data/made");
    assert!(absent.join("made").is_file());
    let mount = format!("type=bind,source={},target=/data", engine.path("nowhere").display());
    engine
        .command(["run", "--rm", "--mount", &mount, "busybox"])
        .run()
        .exits(125)
        .says("bind source path does not exist")
        .discard();
    // A named volume begins with what the image has there, and outlives the container.
    assert_eq!(
        script(&engine, &["-v", "vol:/etc"], "cat /etc/group | head -1; echo mine > /etc/mine"),
        "root:x:0:"
    );
    assert_eq!(
        script(&engine, &["-v", "vol:/data"], "cat /data/mine; test -f /data/passwd && echo filled"),
        "mine\nfilled"
    );
    assert_eq!(engine.ok(["volume", "ls", "-q"]), "vol");
    // An anonymous one does not.
    script(&engine, &["-v", "/anonymous"], "touch /anonymous/x");
    assert_eq!(engine.ok(["volume", "ls", "-q"]), "vol");
}

#[test]
fn privileged_an_init_reaps_orphans_and_passes_signals_on() {
    let engine = Engine::with_busybox();
    // Whoever is not reaped stays there.
    let text = "ps | grep -c docker-ini[t]; (sleep 0.01 & echo $! >/tmp/pid)
        while test -e /proc/$(cat /tmp/pid); do sleep 0.05; done; echo reaped";
    assert_eq!(script(&engine, &["--init"], text), "1\nreaped");
    engine.ok([
        "run",
        "-d",
        "--name",
        "signalled",
        "--init",
        "--network",
        "none",
        "busybox",
        "sh",
        "-c",
        "trap 'exit 9' TERM; echo ready; while :; do sleep 0.1; done",
    ]);
    let said = || (engine.ok(["logs", "signalled"]) == "ready").then_some(());
    wait::until("the script to know what to do with the signal", said);
    engine.ok(["stop", "signalled"]);
    assert_eq!(engine.inspect("signalled")["State"]["ExitCode"], 9);
}

#[test]
fn privileged_names_and_files_of_ids_are_taken_once() {
    let engine = Engine::with_busybox();
    let file = engine.path("cid");
    let id = engine.ok(["create", "--name", "one", "--cidfile", file.to_str().expect("a path"), "busybox"]);
    assert_eq!(fs::read_to_string(&file).expect("the id"), id);
    engine.command(["create", "--name", "one", "busybox"]).run().exits(125).says("already in use").discard();
    engine
        .command(["create", "--cidfile", file.to_str().expect("a path"), "busybox"])
        .run()
        .exits(125)
        .says("--cidfile")
        .discard();
    assert_eq!(engine.ok(["ps", "-aq", "--no-trunc"]), id);
    engine.command(["create", "--name", "bad/name", "busybox"]).run().exits(125).says("bad/name").discard();
    engine.command(["rmi", "busybox"]).run().fails().says("container").discard();
    engine.ok(["rm", "one"]);
    engine.ok(["rmi", "busybox"]);
}

#[test]
fn privileged_a_directory_is_run_on_as_it_is_or_under_changes() {
    let engine = Engine::new();
    let root = engine.path("rootfs");
    mydocker_tests::engine::fill_with_busybox(&root);
    let path = root.to_str().expect("a path");
    engine.ok(["run", "--rm", "--network", "none", "--rootfs", &format!("{path}:O"), "touch", "/changed"]);
    assert!(!root.join("changed").exists());
    engine.ok(["run", "--rm", "--network", "none", "--rootfs", path, "touch", "/changed"]);
    assert!(root.join("changed").exists());
}

#[test]
fn privileged_another_runtime_does_as_well() {
    let engine = Engine::with_busybox();
    let words = [
        "run",
        "--rm",
        "--runtime",
        "runc",
        "--network",
        "none",
        "busybox",
        "sh",
        "-c",
        "echo through runc; exit 4",
    ];
    let outcome = engine.command(words).run().exits(4);
    assert_eq!(outcome.stdout, "through runc\n");
}

#[test]
fn privileged_values_may_follow_their_letters_at_once() {
    let engine = Engine::with_busybox();
    let printed = script(&engine, &["-eA=b=c", "-uroot", "-w/tmp", "-lapp=web"], "echo $A $(id -u) $PWD");
    assert_eq!(printed, "b=c 0 /tmp");
    assert_eq!(engine.ok(["ps", "-aqfname=none"]), "");
    let mistyped = engine.command(["run", "-entrypiont", "sh", "busybox"]).run().exits(125);
    mistyped.says("unknown flag: -entrypiont").says("did you mean '--entrypoint'?").discard();
}

#[test]
fn what_docker_has_and_this_has_not_is_refused_by_name() {
    let engine = Engine::new();
    for (words, advice) in [
        (&["build", "."][..], "'load'"),
        (&["compose", "up", "-d"], "network create"),
        (&["swarm", "init"], "docs/scale-out.md"),
        (&["run", "--link", "db", "x"], "network create"),
        (&["run", "--gpus=all", "x"], "--device"),
        (&["create", "--storage-opt", "size=1G", "x"], "leave it out"),
        (&["rm", "-l", "x"], "network create"),
        (&["network", "create", "--attachable", "x"], "leave it out"),
        (&["network", "inspect", "-v", "x"], "leave it out"),
        (&["update", "--kernel-memory=5m", "x"], "leave it out"),
        (&["pull", "-a", "x"], "name each tag"),
        (&["push", "--all-tags", "x"], "name each tag"),
        (&["rmi", "--no-prune", "x"], "another one by 'tag'"),
        (&["search", "nginx"], "the registry's own pages"),
    ] {
        let refused = engine.command(words).run().exits(125);
        refused.says("is not supported").says(advice).discard();
    }
}

#[test]
fn privileged_disks_and_swapping_have_limits() {
    let engine = Engine::with_busybox();
    let has_content = |disk: &fs::DirEntry| {
        fs::read_to_string(disk.path().join("size")).is_ok_and(|sectors| sectors.trim() != "0")
    };
    let disks = fs::read_dir("/sys/block").expect("sysfs").flatten().filter(has_content);
    let disk = disks.map(|disk| Path::new("/dev").join(disk.file_name())).find(|path| path.exists());
    let disk = disk.expect("a block device");
    let rate = |number: &str| format!("{}:{number}", disk.display());
    let (bytes, often) = (rate("1mb"), rate("100"));
    let rates = ["--device-read-bps", &bytes, "--device-write-iops", &often];
    let swappiness = ["--memory-swappiness", "10"];
    if cgroup::is_v1("memory") {
        let text = "cd /sys/fs/cgroup; cat memory/memory.swappiness; cut -d' ' -f2 blkio/blkio.throttle.read_bps_device blkio/blkio.throttle.write_iops_device";
        assert_eq!(
            script(&engine, &[swappiness, [rates[0], rates[1]], [rates[2], rates[3]]].concat(), text),
            "10\n1048576\n100"
        );
    } else {
        let text = "cut -d' ' -f2- /sys/fs/cgroup/io.max";
        assert_eq!(script(&engine, &rates, text), "rbps=1048576 wbps=max riops=max wiops=100");
        let refused = ["run", "--rm", "--network", "none", swappiness[0], swappiness[1], "busybox", "true"];
        engine.command(refused).run().exits(125).says("swappiness").says("cgroup v1 only").discard();
    }
    let run = |flag: &str, value: &str| {
        engine.command(["run", "--rm", "--network", "none", flag, value, "busybox", "true"]).run().exits(125)
    };
    run("--device-read-bps", "/dev/null:1mb").says("\"/dev/null\": it is no block device").discard();
    run("--device-write-iops", &bytes).says("the rate is a number").discard();
    run("--memory-swappiness", "101").says("not between 0 and 100").discard();
    assert_eq!(engine.ok(["ps", "-aq"]), "");
}
