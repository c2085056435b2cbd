//! About the whole: what there is, what it takes, what of it can go, and whether it is in order.

use mydocker_tests::Engine;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

fn run_to_the_end(engine: &Engine, name: &str) {
    engine.ok(["run", "--name", name, "--network", "none", "busybox", "true"]);
}

#[test]
fn privileged_what_there_is_and_what_it_takes() {
    let engine = Engine::with_busybox();
    run_to_the_end(&engine, "ended");
    let words = ["run", "-d", "--name", "up", "--network", "none", "-v", "data:/data", "busybox", "sh", "-c"];
    engine.ok(words
        .into_iter()
        .chain(["head -c 5000 /dev/zero > /file; head -c 3000 /dev/zero > /data/file; sleep 1000"]));
    engine.wait_for_status("up", "running");
    assert_eq!(
        engine.ok([
            "info",
            "-f",
            "{{.Containers}} {{.ContainersRunning}} {{.ContainersStopped}} {{.Images}}"
        ]),
        "2 1 1 1"
    );
    assert!(engine.ok(["info"]).contains("Storage Driver: overlay"));
    let version: Value = serde_json::from_str(&engine.ok(["version", "--format", "json"])).expect("JSON");
    assert_eq!(version["Version"], env!("CARGO_PKG_VERSION"));
    let told = "{{.Client.Version}} {{.Server.Version}} {{(index .Server.Components 0).Name}}";
    assert_eq!(
        engine.ok(["version", "-f", told]),
        format!("{0} {0} mydocker-runtime", env!("CARGO_PKG_VERSION"))
    );
    let told = "{{.CgroupDriver}} {{json .SecurityOptions}} {{.Rootless}}";
    let told = engine.ok(["info", "-f", told]);
    assert!(told.contains("\"name=seccomp") && told.ends_with("] false"), "{told}");
    assert!(version["Runtime"]["Version"].as_str().is_some_and(|version| !version.is_empty()), "{version}");
    let rows = engine.ok(["system", "df", "--format", "{{.Type}}:{{.TotalCount}}:{{.Active}}"]);
    assert_eq!(rows.lines().collect::<Vec<_>>(), ["Images:1:1", "Containers:2:1", "Local Volumes:1:1"]);
    let all = engine.ok(["system", "df", "-v"]);
    for part in [
        "Images space usage:",
        "busybox",
        "Containers space usage:",
        "ended",
        "Local Volumes space usage:",
        "data",
    ] {
        assert!(all.contains(part), "{part}: {all}");
    }
}

#[test]
fn privileged_what_nobody_needs_is_removed_once_a_person_agrees() {
    let engine = Engine::with_busybox();
    run_to_the_end(&engine, "ended");
    engine.ok(["run", "--name", "kept", "-l", "keep", "--network", "none", "busybox", "true"]);
    engine.ok(["run", "-d", "--name", "up", "--network", "none", "busybox", "sleep", "1000"]);
    let anonymous = engine.ok(["volume", "create"]);
    let refused = engine.command(["system", "prune"]).stdin("n\n").run().succeeds();
    assert!(refused.stderr.contains("all stopped containers"), "{}", refused.describe());
    let id = engine.inspect("ended")["Id"].as_str().expect("an id").to_owned();
    let pruned =
        engine.command(["container", "prune", "--filter", "label!=keep"]).stdin("y\n").run().succeeds();
    assert!(pruned.stdout.contains(&format!("Deleted Containers:\n{id}\n")), "{}", pruned.describe());
    assert_eq!(engine.ok(["ps", "-a", "--format", "{{.Names}}"]), "up\nkept");
    let pruned = engine.ok(["system", "prune", "-f", "--volumes"]);
    assert!(
        pruned.contains(&anonymous) && pruned.matches("Total reclaimed space: ").count() == 1,
        "{pruned}"
    );
    assert_eq!(engine.ok(["container", "ls", "-a", "--format", "{{.Names}}"]), "up");
    engine
        .command(["system", "prune", "-f", "--filter", "colour=red"])
        .run()
        .exits(1)
        .says("colour=red")
        .discard();
    engine.command(["image", "ls", "-q"]).run().succeeds().discard();
}

#[test]
fn privileged_what_killed_commands_leave_is_found_and_mended() {
    let engine = Engine::with_busybox();
    engine.ok(["run", "-d", "--name", "up", "--network", "none", "busybox", "sleep", "1000"]);
    assert_eq!(engine.ok(["system", "check"]), "everything is in order");
    let containers = engine.path("root/containers");
    let (half, fresh) = (containers.join(format!(".new-{}", "1".repeat(64))), containers.join(".gone-fresh"));
    fs::create_dir(&half).expect("room");
    fs::create_dir(&fresh).expect("room");
    let aged = Command::new("touch").args(["-d", "2 hours ago"]).arg(&half).status().expect("touch");
    assert!(aged.success());
    symlink("f".repeat(64), engine.path("root/names/lost")).expect("room");
    let run = engine.path("run/containers").join("e".repeat(32));
    fs::create_dir_all(&run).expect("room");
    let found = engine.command(["system", "check"]).run().exits(1);
    for part in ["half made", "the name lost", "a directory is left"] {
        assert!(found.stdout.contains(part), "{part}: {}", found.describe());
    }
    engine.ok(["system", "check", "--repair"]);
    assert!(!half.exists() && !run.exists() && fresh.exists());
    assert!(fs::symlink_metadata(engine.path("root/names/lost")).is_err());
    fs::remove_dir(&fresh).expect("an own directory");
    assert_eq!(engine.ok(["system", "check"]), "everything is in order");
}

#[test]
fn privileged_the_store_of_images_is_checked_and_mended_as_well() {
    let engine = Engine::with_busybox();
    let layers = engine.path("root/images/layers/sha256");
    let mut sizes = fs::read_dir(&layers).expect("the store").map(|entry| entry.expect("an entry").path());
    let size = sizes.find(|path| path.extension().is_some_and(|ending| ending == "size")).expect("a size");
    fs::remove_file(&size).expect("the store");
    let found = engine.command(["system", "check"]).run().exits(1);
    assert!(found.stdout.starts_with("image store: wrong: the size of layer"), "{}", found.describe());
    let mended = engine.ok(["system", "check", "--repair"]);
    assert!(mended.starts_with("image store: mended: the size of layer"), "{mended}");
    assert_eq!(engine.ok(["system", "check"]), "everything is in order");
    let index = engine.path("root/images/oci/index.json");
    fs::write(&index, "{").expect("the store");
    let found = engine.command(["system", "check"]).run().exits(1);
    assert!(found.stdout.contains("index.json\" is damaged"), "{}", found.describe());
    engine.ok(["system", "check", "--repair"]);
    assert_eq!(engine.ok(["images", "-q"]).lines().count(), 1);
}

#[test]
fn privileged_a_container_whose_monitor_was_killed_is_found_and_mended() {
    let engine = Engine::with_busybox();
    let id = engine.ok(["run", "-d", "--name", "up", "--network", "none", "busybox", "sleep", "1000"]);
    let state = fs::read(engine.path("root/containers").join(&id).join("state.json")).expect("a state");
    let state: Value = serde_json::from_slice(&state).expect("JSON");
    for process in ["monitor", "process"] {
        let pid = state[process]["pid"].as_i64().expect("a process").to_string();
        assert!(Command::new("kill").args(["-9", &pid]).status().expect("kill").success());
    }
    engine.wait_for_status("up", "exited");
    let found = engine.command(["system", "check"]).run().exits(1);
    assert!(found.stdout.contains("container up has ended unseen"), "{}", found.describe());
    engine.ok(["system", "check", "--repair"]);
    assert_eq!(engine.ok(["system", "check"]), "everything is in order");
    assert_eq!(engine.inspect("up")["State"]["ExitCode"], 255);
}
