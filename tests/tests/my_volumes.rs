//! Volumes by themselves: made, listed, looked at, removed.

use mydocker_tests::Engine;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs;

#[test]
fn a_volume_is_made_looked_at_and_removed() {
    let engine = Engine::new();
    assert_eq!(engine.ok(["volume", "create", "--label", "a=b", "data"]), "data");
    assert_eq!(engine.ok(["volume", "create", "data"]), "data");
    let text = engine.ok(["volume", "inspect", "data"]);
    let list: Vec<Value> = serde_json::from_str(&text).expect("a list");
    let volume = &list[0];
    assert_eq!(
        (&volume["Name"], &volume["Driver"], &volume["Scope"]),
        (&"data".into(), &"local".into(), &"local".into())
    );
    assert_eq!(volume["Labels"]["a"], "b");
    assert_eq!(volume["Options"], Value::Null);
    let place = volume["Mountpoint"].as_str().expect("a path");
    assert!(fs::metadata(place).expect("a directory").is_dir());
    assert_eq!(
        engine.ok(["inspect", "--type", "volume", "-f", "{{.Name}} {{.Mountpoint}}", "data"]),
        format!("data {place}")
    );
    assert_eq!(engine.ok(["volume", "rm", "data"]), "data");
    assert!(fs::metadata(place).is_err());
    engine.command(["volume", "rm", "data"]).run().exits(1).says("no such volume: data").discard();
    assert_eq!(engine.ok(["volume", "rm", "-f", "data"]), "data");
    engine.command(["volume", "inspect", "data"]).run().exits(1).says("no such volume: data").discard();
    engine.command(["inspect", "data"]).run().exits(1).says("No such object: data").discard();
}

#[test]
fn a_list_of_volumes_is_docker_s() {
    let engine = Engine::new();
    engine.ok(["volume", "create", "--label", "team=red", "one"]);
    engine.ok(["volume", "create", "two"]);
    let anonymous = engine.ok(["volume", "create"]);
    assert_eq!(anonymous.len(), 64);
    let table = engine.ok(["volume", "ls"]);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[0], "DRIVER    VOLUME NAME");
    assert!(
        lines.contains(&"local     one") && lines.contains(&"local     two") && lines.len() == 4,
        "{table}"
    );
    for (filter, names) in [
        ("label=team", "one"),
        ("label=team=red", "one"),
        ("label=team=blue", ""),
        ("name=^t", "two"),
        ("driver=nfs", ""),
        ("dangling=false", ""),
    ] {
        assert_eq!(engine.ok(["volume", "ls", "-q", "--filter", filter]), names, "{filter}");
    }
    assert_eq!(engine.ok(["volume", "ls", "-q", "-f", "dangling=true"]).lines().count(), 3);
    let format = "{{.Name}} {{.Label \"team\"}}";
    assert_eq!(engine.ok(["volume", "ls", "--filter", "name=one", "--format", format]), "one red");
    let row = engine.ok(["volume", "ls", "--filter", "name=one", "--format", "json"]);
    let row: Value = serde_json::from_str(&row).expect("a row");
    assert_eq!((&row["Name"], &row["Labels"]), (&"one".into(), &"team=red".into()));
    engine.command(["volume", "ls", "--filter", "colour=red"]).run().exits(1).says("colour=red").discard();
}

#[test]
fn pruning_takes_what_has_no_name_unless_all_is_asked_for() {
    let engine = Engine::new();
    engine.ok(["volume", "create", "--label", "keep", "one"]);
    engine.ok(["volume", "create", "two"]);
    let anonymous = engine.ok(["volume", "create"]);
    let place = engine.ok(["volume", "inspect", "-f", "{{.Mountpoint}}", &anonymous]);
    fs::write(format!("{place}/file"), [0; 2000]).expect("room");
    let refused = engine.command(["volume", "prune"]).stdin("n\n").run().succeeds();
    assert!(refused.stderr.contains("Are you sure"), "{}", refused.describe());
    assert_eq!(engine.ok(["volume", "ls", "-q"]).lines().count(), 3);
    let pruned = engine.command(["volume", "prune"]).stdin("y\n").run().succeeds();
    assert!(pruned.stdout.contains(&format!("Deleted Volumes:\n{anonymous}\n")), "{}", pruned.describe());
    assert!(pruned.stdout.ends_with("Total reclaimed space: 2kB\n"), "{}", pruned.describe());
    engine.ok(["volume", "prune", "-a", "-f", "--filter", "label!=keep"]);
    assert_eq!(engine.ok(["volume", "ls", "-q"]), "one");
}

#[test]
fn what_cannot_be_done_is_refused_by_its_name() {
    let engine = Engine::new();
    for (words, part) in [
        (&["create", "--driver", "nfs", "x1"][..], "\"nfs\""),
        (&["create", "-o", "type=tmpfs", "x1"], "type=\"tmpfs\""),
        (&["create", "-o", "size=1g", "x1"], "size=\"1g\""),
        (&["create", "a/b"], "\"a/b\""),
        (&["create", ".."], "\"..\""),
        (&["ls", "--format", "{{.Nothing}}"], ".Nothing"),
        (&["create", "--nothing"], "--nothing"),
    ] {
        let words = ["volume"].iter().chain(words);
        engine.command(words).run().fails().says(part).discard();
    }
    assert_eq!(engine.ok(["volume", "ls", "-q"]), "");
}

/// Whether something is mounted at a path of the host.
fn is_mounted(place: &str) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("procfs");
    mounts.lines().any(|line| line.split(' ').nth(4) == Some(place))
}

#[test]
fn privileged_a_file_system_is_mounted_as_long_as_a_container_has_it() {
    let engine = Engine::with_busybox();
    engine.ok(["volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m,uid=7", "mem"]);
    let place = engine.ok(["volume", "inspect", "-f", "{{.Mountpoint}}", "mem"]);
    let run = |name: &str| {
        engine.ok([
            "run",
            "-d",
            "--name",
            name,
            "--network",
            "none",
            "-v",
            "mem:/m",
            "busybox",
            "sleep",
            "1000",
        ])
    };
    run("one");
    assert_eq!(
        engine.ok([
            "exec",
            "one",
            "sh",
            "-c",
            "echo x > /m/file; stat -c %u /m; df -m /m | tail -1 | tr -s ' ' | cut -d' ' -f2"
        ]),
        "7\n1"
    );
    run("two");
    assert_eq!(engine.ok(["exec", "two", "cat", "/m/file"]), "x");
    engine.ok(["stop", "-t", "0", "one"]);
    assert!(is_mounted(&place));
    // Also whoever is killed with its monitor is no user any more once that has been seen.
    for of in ["monitor", "process"] {
        let pid = Pid::from_raw(engine.pid("two", of)).expect("a process");
        kill_process(pid, Signal::KILL).expect("it is there");
    }
    engine.wait_for_status("two", "exited");
    engine.ok(["start", "one"]);
    engine.ok(["rm", "-f", "two", "one"]);
    assert!(!is_mounted(&place));
    assert_eq!(fs::read_dir(&place).expect("a directory").count(), 0);
    engine.ok(["volume", "rm", "mem"]);
}

#[test]
fn privileged_what_cannot_be_mounted_is_told_and_leaves_nothing() {
    let engine = Engine::with_busybox();
    let mount =
        "type=volume,dst=/m,src=bad,volume-label=a=b,volume-opt=type=ext4,volume-opt=device=/dev/null";
    let run = engine.command(["run", "--rm", "--network", "none", "--mount", mount, "busybox", "true"]).run();
    run.exits(125).says("cannot mount volume bad").says("Block device required").discard();
    assert_eq!(engine.ok(["ps", "-aq"]), "");
    assert_eq!(engine.ok(["volume", "inspect", "-f", "{{.Labels.a}} {{.Options.type}}", "bad"]), "b ext4");
    engine.ok(["volume", "rm", "bad"]);
    engine.ok(["volume", "create", "--name", "odd", "-o", "type=oddfs", "-o", "device=server:/x"]);
    let run = engine.command(["run", "--rm", "--network", "none", "-v", "odd:/m", "busybox", "true"]).run();
    run.exits(125).says("cannot mount volume odd: the kernel has no file system \"oddfs\"").discard();
    engine.ok(["volume", "rm", "odd"]);
    let mount = "dst=/m,volume-opt=type=tmpfs,volume-opt=device=tmpfs,\"volume-opt=o=ro,size=1m\"";
    let words = ["run", "--rm", "--network", "none", "--mount", mount, "busybox", "touch", "/m/x"];
    engine.command(words).run().exits(1).says("Read-only").discard();
    assert_eq!(engine.ok(["volume", "ls", "-q"]), "");
}
