//! Flags of `mydocker run` whose effect is seen best alone.

use mydocker_tests::{Engine, cgroup, wait};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The words of `run` for a container of busybox without a network that goes with its end.
fn words<'a>(flags: &[&'a str], command: &[&'a str]) -> Vec<&'a str> {
    [&["run", "--rm", "--network", "none"], flags, &["busybox"], command].concat()
}

/// Runs a shell's script in a new container, and returns what it prints.
fn script(engine: &Engine, flags: &[&str], script: &str) -> String {
    engine.ok(words(flags, &["sh", "-c", script]))
}

/// Demands that a flag is refused, for a reason that has these words.
fn refused(engine: &Engine, flags: &[&str], reason: &str) {
    engine.command(words(flags, &["true"])).run().exits(125).says(reason).discard();
}

#[test]
fn privileged_a_filter_of_system_calls_stays_with_its_container() {
    let engine = Engine::with_busybox();
    let place = engine.path("profiles");
    fs::create_dir(&place).expect("room");
    let rules = r#"[
        { "names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13 },
        { "names": ["unshare"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13,
          "includes": { "caps": ["CAP_CHOWN"] } }
    ]"#;
    let profile = format!(r#"{{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": {rules} }}"#);
    fs::write(place.join("filter.json"), profile).expect("room");
    // The file is found from where the caller is, and is not needed again.
    let names =
        ["create", "--name", "kept", "--network", "none", "--security-opt", "seccomp=filter.json", "busybox"];
    let text = "mkdir /x 2>&1; rmdir /nothing 2>&1";
    let create = engine.command(names).args(["sh", "-c", text]).current_dir(&place);
    create.run().succeeds().discard();
    // A rule for those who have a capability is not for those who have dropped it.
    let filter = "--security-opt=seccomp=filter.json";
    for (flags, denied) in [(&[filter][..], "1\n"), (&[filter, "--cap-drop=chown"], "0\n")] {
        let text = "unshare -U true 2>&1 | grep -c 'Permission denied'";
        let run = engine.command(words(flags, &["sh", "-c", text])).current_dir(&place).run();
        assert_eq!(run.stdout, denied, "{}", run.describe());
    }
    fs::remove_dir_all(&place).expect("it is ours");
    let said = engine.command(["start", "-a", "kept"]).run().exits(1).stdout;
    assert!(said.contains("Permission denied") && said.contains("No such file"), "{said}");
    let kept = engine.ok(["inspect", "-f", "{{index .HostConfig.SecurityOpt 0}}", "kept"]);
    assert!(kept.starts_with(r#"seccomp={"defaultAction":"#), "{kept}");
    refused(&engine, &["--security-opt", "seccomp=/no/such"], "/no/such");
    let wrong = engine.path("wrong.json");
    fs::write(&wrong, "{}").expect("room");
    refused(&engine, &["--security-opt", &format!("seccomp={}", wrong.display())], "defaultAction");
}

#[test]
fn privileged_nothing_is_masked_where_that_is_asked_for() {
    let engine = Engine::with_busybox();
    let masked = "grep -c ' /proc/' /proc/self/mountinfo; readlink /proc/self/ns/user";
    let own = fs::read_link("/proc/self/ns/user").expect("a namespace").display().to_string();
    assert_eq!(
        script(&engine, &["--security-opt", "systempaths=unconfined", "--userns", "host"], masked),
        format!("0\n{own}")
    );
    assert!(!script(&engine, &[], masked).starts_with('0'));
    for (flag, value) in [("--userns", "keep-id"), ("--security-opt", "label=shirt")] {
        refused(&engine, &[flag, value], value);
    }
}

#[test]
fn privileged_a_device_gives_no_more_than_was_asked_for() {
    let engine = Engine::with_busybox();
    let text = "(: </dev/other) && echo read; (: >/dev/other) 2>&1 | sed 's/.*: //'";
    let flag = |access| format!("/dev/loop-control:/dev/other:{access}");
    assert_eq!(script(&engine, &["--device", &flag("r")], text), "read\nOperation not permitted");
    assert_eq!(script(&engine, &["--device", &flag("rw")], text), "read");
    refused(&engine, &["--device", &flag("x")], "PATH:PATH-INSIDE:rwm");
}

#[test]
fn privileged_labels_and_annotations_come_from_flags_and_files() {
    let engine = Engine::with_busybox();
    let file = engine.path("labels");
    fs::write(&file, "# not this\na=file\nb=file\nalone\n").expect("room");
    let path = file.display().to_string();
    let flags = ["--label-file", &path, "-l", "b=flag", "--annotation", "org.example.a=b", "--name", "named"];
    let create = [&["create", "--network", "none"], &flags[..], &["busybox", "true"]].concat();
    engine.ok(create);
    let told = engine.inspect("named");
    assert_eq!(told["Config"]["Labels"], serde_json::json!({ "a": "file", "alone": "", "b": "flag" }));
    assert_eq!(told["HostConfig"]["Annotations"]["org.example.a"], "b");
    engine.ok(["start", "-a", "named"]);
    let bundle = engine.path("root/containers").join(told["Id"].as_str().expect("an id"));
    let config = fs::read_to_string(bundle.join("bundle/config.json")).expect("a configuration");
    assert!(config.contains("org.example.a"), "{config}");
}

#[test]
fn privileged_volumes_come_from_another_container() {
    let engine = Engine::with_busybox();
    let host = engine.path("host");
    fs::create_dir(&host).expect("room");
    let bound = format!("{}:/bound:ro", host.display());
    let flags = ["-v", "data:/data", "-v", "/scratch", "-v", &bound, "--tmpfs", "/memory"];
    let fill = "echo data >/data/file; echo scratch >/scratch/file";
    let first =
        [&["run", "--name", "first", "--network", "none"], &flags[..], &["busybox", "sh", "-c", fill]];
    engine.ok(first.concat());
    fs::write(host.join("file"), "bound\n").expect("room");
    let read = "cat /data/file /scratch/file /bound/file; ls -d /memory 2>&1 | grep -c No; \
                for place in data scratch bound; do if touch /$place/new 2>/dev/null; then echo $place; fi; done";
    assert_eq!(script(&engine, &["--volumes-from", "first"], read), "data\nscratch\nbound\n1\ndata\nscratch");
    assert_eq!(script(&engine, &["--volumes-from", "first:ro"], read), "data\nscratch\nbound\n1");
    // Anonymous volumes of another container do not go with this one.
    assert_eq!(script(&engine, &["--volumes-from", "first"], "cat /scratch/file"), "scratch");
    refused(&engine, &["--volumes-from", "first:soft"], "there is ro or rw");
    refused(&engine, &["--volumes-from", "nobody"], "No such container: nobody");
}

#[test]
fn privileged_a_part_of_a_volume_is_mounted_alone() {
    let engine = Engine::with_busybox();
    let fill = "mkdir -p /v/a/b; echo deep >/v/a/b/file; ln -s /etc /v/out; ln -s /a /v/in";
    script(&engine, &["-v", "data:/v"], fill);
    let part = |path: &str| format!("type=volume,src=data,dst=/m,volume-subpath={path}");
    assert_eq!(script(&engine, &["--mount", &part("a/b")], "ls /m; echo new >/m/new"), "file");
    assert_eq!(script(&engine, &["--mount", &part("a/b/file")], "cat /m"), "deep");
    // A link leads no further than to the volume, whose root is what it takes for one.
    assert_eq!(script(&engine, &["--mount", &part("in")], "ls /m"), "b");
    refused(&engine, &["--mount", &part("out")], "volume data has no \"out\"");
    refused(&engine, &["--mount", &part("../x")], "no path below the volume");
    // Whoever is killed, and whoever clears up, the volume keeps what it has.
    let mount = part("a");
    let flags = ["run", "-d", "--name", "web", "--network", "none", "--mount", &mount, "busybox", "top"];
    engine.ok(flags);
    let monitor = Pid::from_raw(engine.pid("web", "monitor")).expect("a process");
    kill_process(monitor, Signal::KILL).expect("it runs");
    engine.ok(["rm", "-f", "web"]);
    let parts = engine.path("run/parts");
    assert_eq!(fs::read_dir(parts).expect("there was one").count(), 0);
    assert_eq!(script(&engine, &["-v", "data:/v"], "ls /v/a/b"), "file\nnew");
    // What copies from a container that does not run sees the same.
    let copy = ["cp", "idle:/m/file", "-"];
    engine.ok(["create", "--name", "idle", "--network", "none", "--mount", &part("a/b"), "busybox"]);
    assert!(engine.command(copy).run().succeeds().stdout.contains("deep"));
}

/// A directory that is a mount of its own, shared with whoever copies it, until it is dropped.
struct Shared(PathBuf);

impl Shared {
    fn of(place: PathBuf) -> Self {
        mount(&["--bind", "--make-shared"], &place, &place);
        Self(place)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        drop(Command::new("umount").args(["-R", "-l"]).arg(&self.0).status());
    }
}

fn mount(words: &[&str], source: &Path, place: &Path) {
    let status = Command::new("mount").args(words).arg(source).arg(place).status();
    assert!(status.expect("mount is installed").success());
}

#[test]
fn privileged_what_is_mounted_below_a_part_of_a_volume_outlives_the_container() {
    let engine = Engine::with_busybox();
    script(&engine, &["-v", "data:/v"], "mkdir -p /v/a/b");
    let volume = PathBuf::from(engine.ok(["volume", "inspect", "-f", "{{.Mountpoint}}", "data"]));
    let shared = Shared::of(volume.clone());
    let below = volume.join("a/b");
    mount(&["-t", "tmpfs"], Path::new("small"), &below);
    fs::write(below.join("file"), "there\n").expect("room");
    let part = "type=volume,src=data,dst=/m,volume-subpath=a";
    assert_eq!(script(&engine, &["--mount", part], "cat /m/b/file"), "there");
    assert_eq!(fs::read_to_string(below.join("file")).expect("it is still mounted"), "there\n");
    drop(shared);
}

#[test]
fn privileged_the_container_s_files_are_seen_over_a_volume() {
    let engine = Engine::with_busybox();
    let look = "grep -c localhost /etc/hosts; cat /etc/hostname; ls /etc/passwd";
    let seen = "2\nbox\n/etc/passwd";
    assert_eq!(script(&engine, &["-h", "box", "-v", "settings:/etc"], look), seen);
    assert_eq!(script(&engine, &["-h", "box", "-v", "settings:/etc"], look), seen);
    // Nothing is made in what is for reading alone.
    let host = engine.path("host");
    fs::create_dir(&host).expect("room");
    let bound = format!("{}:/etc:ro", host.display());
    assert_eq!(script(&engine, &["-v", &bound], "ls /etc"), "");
    // What is there is covered, also where a link leads to it.
    fs::write(host.join("hostname"), "host\n").expect("room");
    fs::write(host.join("names"), "host\n").expect("room");
    symlink("names", host.join("hosts")).expect("room");
    symlink("../run/resolv.conf", host.join("resolv.conf")).expect("room");
    let look =
        "cat /etc/hostname; grep -c localhost /etc/names; grep -c nameserver /etc/resolv.conf; ls /etc";
    let seen = "box\n2\n1\nhostname\nhosts\nnames\nresolv.conf";
    assert_eq!(script(&engine, &["-h", "box", "--dns", "192.0.2.1", "-v", &bound], look), seen);
    engine.ok(["create", "--name", "idle", "-h", "box", "--network", "none", "-v", &bound, "busybox"]);
    engine.command(["start", "-a", "idle"]).run().succeeds().discard();
    let copied = engine.command(["cp", "idle:/etc/hostname", "-"]).run().succeeds().stdout;
    assert!(copied.contains("box\n"), "{copied}");
    assert_eq!(fs::read_to_string(host.join("hostname")).expect("a file"), "host\n");
    // Where what a link leads to is not there, nothing is made either.
    fs::remove_file(host.join("names")).expect("it is there");
    assert_eq!(
        script(&engine, &["-v", &bound], "readlink /etc/hosts; ls /etc/names 2>&1 | grep -c No"),
        "names\n1"
    );
}

#[test]
fn privileged_the_time_to_stop_is_the_container_s() {
    let engine = Engine::with_busybox();
    // It is ten seconds where nothing is said, which is not enough for the first one.
    let slow = "trap 'sleep 12; exit 7' TERM; echo up; while :; do sleep 0.1; done";
    let deaf = "trap '' TERM; echo up; while :; do sleep 0.1; done";
    for (name, seconds, text, status) in [("slow", "600", slow, 7), ("deaf", "0", deaf, 137)] {
        let flags = ["run", "-d", "--name", name, "--network", "none", "--stop-timeout", seconds, "busybox"];
        engine.command(flags).args(["sh", "-c", text]).run().succeeds().discard();
        wait::until("the program to be up", || (engine.ok(["logs", name]) == "up").then_some(()));
        engine.ok(["stop", name]);
        let told = engine.inspect(name);
        assert_eq!(told["State"]["ExitCode"], status, "{name}");
        assert_eq!(told["Config"]["StopTimeout"].to_string(), seconds);
    }
}

#[test]
fn privileged_a_container_that_starts_is_checked_more_often_and_judged_later() {
    let engine = Engine::with_busybox();
    #[rustfmt::skip]
    let flags = [
        "run", "-d", "--name", "slow", "--network", "none", "--health-cmd", "exit 1", "--health-interval", "1h",
        "--health-start-period", "1h", "--health-start-interval", "100ms", "--health-retries", "1", "busybox", "top",
    ];
    engine.ok(flags);
    let failed = || {
        let health = engine.inspect("slow")["State"]["Health"].take();
        (health["Log"].as_array().is_some_and(|log| log.len() > 2)).then_some(health)
    };
    let health = wait::within(wait::DEADLINE, failed).expect("more than one check");
    assert_eq!((&health["Status"], &health["FailingStreak"]), (&"starting".into(), &0.into()));
    for flag in ["--health-interval", "--health-timeout", "--health-start-period"] {
        refused(&engine, &["--health-cmd", "true", flag, "1us"], "less than 1ms");
    }
}

#[test]
fn privileged_what_is_said_twice_or_not_at_all_is_as_docker_has_it() {
    let engine = Engine::with_busybox();
    let twice = ["--ulimit", "nofile=100", "--ulimit", "nofile=200"];
    assert_eq!(script(&engine, &twice, "ulimit -n"), "200");
    assert_eq!(script(&engine, &["-w", "", "-h", "", "--cpus", "0"], "pwd; hostname | wc -c"), "/\n13");
    assert_eq!(script(&engine, &["-h", "box.lan"], "tail -n 1 /etc/hosts"), "127.0.0.1\tbox.lan box");
    assert_eq!(script(&engine, &["-v", "/x/../y"], "ls -d /y"), "/y");
    refused(&engine, &["--sysctl", "net.ipv4.ip_forward"], "write NAME=VALUE");
    refused(&engine, &["-m", "20m", "--memory-reservation", "30m"], "--memory-reservation");
    refused(&engine, &["-v", "/tmp:/x:ro,rw"], "different things");
}

#[test]
fn privileged_hybrid_memory_and_processors_are_limited_by_every_flag() {
    let engine = Engine::with_busybox();
    let limits = "cd /sys/fs/cgroup; cat cpuset/cpuset.mems cpu/cpu.cfs_period_us cpu/cpu.shares \
                  memory/memory.soft_limit_in_bytes; head -n 1 memory/memory.oom_control";
    #[rustfmt::skip]
    let flags = [
        "--cpuset-mems", "0", "--cpu-period", "50000", "--cpu-quota", "25000", "--cpu-shares", "77", "-m", "30m",
        "--memory-reservation", "20m", "--memory-swappiness", "-1", "--oom-kill-disable",
    ];
    assert_eq!(script(&engine, &flags, limits), "0\n50000\n77\n20971520\noom_kill_disable 1");
    // Swap without a bound needs no bound of memory.
    assert_eq!(script(&engine, &["--memory-swap", "-1"], "echo fine"), "fine");
}

#[test]
fn privileged_hybrid_the_weight_of_blocks_is_given_to_the_cgroup() {
    let engine = Engine::with_busybox();
    let flags =
        ["run", "-d", "--name", "heavy", "--network", "none", "--blkio-weight", "200", "busybox", "top"];
    engine.ok(flags);
    let group = format!("mydocker/{}", engine.inspect("heavy")["Id"].as_str().expect("an id"));
    let dirs = cgroup::existing(&group);
    let files = ["blkio.weight", "blkio.bfq.weight"];
    let weights: Vec<String> = dirs
        .iter()
        .flat_map(|dir| files.map(|name| dir.join(name)))
        .filter_map(|file| fs::read_to_string(file).ok())
        .collect();
    let missing = "no scheduler of blocks here knows weights: load BFQ (modprobe bfq)";
    assert!(!weights.is_empty(), "{missing}");
    assert!(weights.iter().any(|text| text.trim() == "200"), "{weights:?}");
}
