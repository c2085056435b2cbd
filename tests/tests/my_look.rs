//! Looking at containers.

use mydocker_tests::Engine;
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

/// Writes the records of a container that has ended.
fn write_ended(engine: &Engine, id: &str, name: &str) {
    let place = engine.path("root/containers").join(id);
    fs::create_dir_all(&place).expect("room");
    let record = json!({
        "Id": id, "Name": name, "Created": "2024-05-01T12:00:00.000000000Z", "Root": { "view": "/" },
        "Config": { "Cmd": ["true"], "Labels": { "team": "red" } }, "HostConfig": {},
    });
    let state = json!({ "status": "exited", "exit_code": 3, "finished_at": "2024-05-01T12:00:01Z" });
    fs::write(place.join("container.json"), record.to_string()).expect("room");
    fs::write(place.join("state.json"), state.to_string()).expect("room");
    let names = engine.path("root/names");
    fs::create_dir_all(&names).expect("room");
    symlink(id, names.join(name)).expect("room");
}

#[test]
fn a_list_waits_for_nobody_and_a_thousand_containers_take_no_time() {
    let engine = Engine::new();
    for number in 0..1000 {
        write_ended(&engine, &format!("{number:064x}"), &format!("c{number}"));
    }
    let mut holders = Vec::new();
    for file in
        ["names/.lock", &format!("containers/{:064x}/state.lock", 1), &format!("containers/{:064x}/lock", 1)]
    {
        let path = engine.path("root").join(file);
        let file = fs::File::create(&path).expect("a file");
        file.lock().expect("nobody else");
        holders.push(file);
    }
    let began = Instant::now();
    let text = engine.command(["ps", "-aq"]).deadline(Duration::from_secs(20)).run().succeeds().stdout;
    // A debug build on a busy machine is slow; the benchmarks say how fast it is.
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(text.lines().count(), 1000);
    drop(holders);
    fs::remove_dir_all(engine.path("root/containers")).expect("an own directory");
}

#[test]
fn a_damaged_record_does_not_hide_the_others() {
    let engine = Engine::new();
    write_ended(&engine, &"a".repeat(64), "good");
    write_ended(&engine, &"b".repeat(64), "bad");
    fs::write(engine.path("root/containers").join("b".repeat(64)).join("state.json"), "{").expect("room");
    let listed = engine
        .command(["ps", "-a", "--format", "{{.Names}}: {{.Status}} {{.Label \"team\"}}"])
        .run()
        .exits(1);
    assert!(
        listed.stdout.starts_with("good: Exited (3) ") && listed.stdout.ends_with(" red\n"),
        "{}",
        listed.describe()
    );
    listed.says("is damaged").discard();
    fs::remove_dir_all(engine.path("root/containers")).expect("an own directory");
}
