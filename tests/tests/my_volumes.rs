//! Volumes by themselves: made, listed, looked at, removed.

use mydocker_tests::Engine;
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
        (&["create", "-o", "type=tmpfs", "-o", "device=tmpfs", "x1"], "type=\"tmpfs\""),
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
