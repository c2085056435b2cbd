//! Looking at containers.

use mydocker_tests::{Engine, wait};
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

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
fn a_list_of_a_thousand_containers_waits_for_nobody() {
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
    // It would wait for ever; the benchmarks say how fast it is.
    let text = engine.command(["ps", "-aq"]).deadline(Duration::from_secs(20)).run().succeeds().stdout;
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

#[test]
fn privileged_a_list_of_containers_is_docker_s() {
    let engine = Engine::with_busybox();
    let up =
        ["run", "-d", "--name", "web", "-l", "team=red", "-v", "data:/data", "--network", "none", "busybox"];
    let id = engine.ok(up.iter().chain(&["sh", "-c", "while true; do sleep 1; done"]));
    engine
        .command(["run", "--name", "ended", "--network", "none", "busybox", "sh", "-c", "exit 3"])
        .run()
        .exits(3)
        .discard();
    let table = engine.ok(["ps"]);
    let lines: Vec<&str> = table.lines().collect();
    let titles: Vec<&str> = lines[0].split("  ").map(str::trim).filter(|title| !title.is_empty()).collect();
    assert_eq!(titles, ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"]);
    assert!(lines.len() == 2 && lines[1].starts_with(&id[..12]) && lines[1].ends_with("web"), "{table}");
    assert!(lines[1].contains("\"sh -c 'while true; …\"") && lines[1].contains(" Up "), "{table}");
    let wide = engine.ok(["ps", "--wide"]);
    let pid = engine.inspect("web")["State"]["Pid"].to_string();
    assert!(
        wide.lines().next().is_some_and(|titles| titles.contains("PID")) && wide.contains(&pid),
        "{wide}"
    );
    for (words, expected) in [
        (&["ps", "-aq", "--no-trunc", "--filter", "name=^web$"][..], id.as_str()),
        (
            &["ps", "-a", "--format", "{{.Names}} {{.State}} {{.Label \"team\"}}"],
            "ended exited \nweb running red",
        ),
        (&["ps", "-l", "--format", "{{.Names}}: {{.Image}}"], "ended: busybox"),
        (&["ps", "-n", "2", "--format", "{{.Names}}"], "ended\nweb"),
        (&["ps", "--filter", "status=exited", "--format", "{{.Names}}"], "ended"),
        (&["ps", "-a", "--filter", "exited=3", "--format", "{{.Names}}"], "ended"),
        (&["ps", "--filter", "ancestor=busybox", "--format", "{{.Names}}"], "web"),
        (&["ps", "-a", "--filter", "volume=data", "--format", "{{.Mounts}} {{.LocalVolumes}}"], "data 1"),
        (&["ps", "-a", "--filter", "label=team=blue", "-q"], ""),
        (&["ps", "--filter", "network=none", "--format", "{{.Networks}}"], "none"),
    ] {
        assert_eq!(engine.ok(words), expected, "{words:?}");
    }
    let row = engine.ok(["ps", "--format", "json"]);
    let row: serde_json::Value = serde_json::from_str(&row).expect("a row");
    assert_eq!(
        (&row["Names"], &row["State"], &row["Labels"]),
        (&"web".into(), &"running".into(), &"team=red".into())
    );
    let size = engine.ok(["ps", "-as", "--format", "{{.Size}}", "--filter", "name=ended"]);
    assert!(size.contains(" (virtual "), "{size}");
    engine.command(["ps", "--filter", "colour=red"]).run().exits(1).says("colour").discard();
    engine.command(["ps", "--nothing"]).run().exits(125).says("--nothing").discard();
}

#[test]
fn privileged_a_document_is_docker_s() {
    let engine = Engine::with_busybox();
    let words = [
        "run",
        "-d",
        "--name",
        "web",
        "-m",
        "64m",
        "-e",
        "A=b",
        "-l",
        "x.y=z",
        "-v",
        "data:/data:ro",
        "--network",
        "none",
    ];
    let id = engine.ok(words.iter().chain(&["busybox", "sleep", "1000"]));
    for (format, expected) in [
        ("{{.State.Status}} {{.State.Running}}", "running true"),
        ("{{.Id}}", id.as_str()),
        ("{{.Name}} {{.Path}} {{.Args}}", "/web sleep [1000]"),
        ("{{index .Config.Labels \"x.y\"}} {{.Config.Image}}", "z busybox"),
        ("{{range .Mounts}}{{.Name}}:{{.Destination}}:{{.RW}}{{end}}", "data:/data:false"),
        ("{{.HostConfig.Memory}} {{.HostConfig.NetworkMode}}", "67108864 none"),
        ("{{json .Config.Cmd}}", "[\"sleep\",\"1000\"]"),
        ("{{range .Config.Env}}{{println .}}{{end}}", "A=b"),
    ] {
        let text = engine.ok(["inspect", "-f", format, "web"]);
        assert!(text.trim_end() == expected || text.lines().any(|line| line == expected), "{format}: {text}");
    }
    let image = engine.ok(["inspect", "--type", "image", "-f", "{{.Id}}", "busybox"]);
    assert_eq!(engine.inspect("web")["Image"], image);
    let both = engine.command(["inspect", "-f", "{{.Name}}", "web", "nobody", "data"]).run().exits(1);
    assert_eq!(both.stdout, "/web\ndata\n");
    both.says("No such object: nobody").discard();
    engine.command(["container", "inspect", "data"]).run().exits(1).says("No such container: data").discard();
    engine.command(["inspect", "-f", "{{.Nothing}}", "web"]).run().exits(1).says(".Nothing").discard();
}

#[test]
fn privileged_processes_and_what_they_use_are_shown() {
    let engine = Engine::with_busybox();
    let words = ["run", "-d", "--name", "web", "-m", "64m", "--network", "none", "busybox", "sh", "-c"];
    engine.ok(words.iter().chain(&["sleep 1000 & while :; do :; done"]));
    // The shell is there before what it starts.
    let top = wait::until("the shell's sleep", || {
        Some(engine.ok(["top", "web"])).filter(|top| top.contains("sleep 1000"))
    });
    let lines: Vec<&str> = top.lines().collect();
    assert!(lines.len() == 3 && lines[0].contains("PID"), "{top}");
    let top = engine.ok(["top", "web", "-o", "pid,comm"]);
    assert!(top.lines().count() == 3 && top.contains("sleep") && !top.contains("1000"), "{top}");
    engine.command(["top", "web", "-o", "comm"]).run().exits(1).says("column PID").discard();
    let table = engine.ok(["stats", "--no-stream"]);
    assert!(table.starts_with("CONTAINER ID   NAME      CPU %"), "{table}");
    let values = engine.ok([
        "stats",
        "--no-stream",
        "--format",
        "{{.Name}} {{.MemUsage}} {{.PIDs}} {{.CPUPerc}}",
        "web",
    ]);
    assert!(values.starts_with("web ") && values.contains(" / 64MiB 2 "), "{values}");
    let share: f64 =
        values.rsplit(' ').next().and_then(|text| text.trim_end_matches('%').parse().ok()).expect("a number");
    // Others may want the processor as well.
    assert!(share > 0.0, "{values}");
    engine.ok(["stop", "-t", "0", "web"]);
    engine.command(["top", "web"]).run().exits(1).says("container web is not running").discard();
    assert_eq!(
        engine.ok(["stats", "-a", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}"]),
        "web -- / --"
    );
}

#[test]
fn privileged_what_happens_is_told_while_it_happens() {
    let engine = Engine::with_busybox();
    let format = "{{.Action}} {{.Actor.Attributes.name}}";
    let follower = engine.command(["events", "--format", format, "--filter", "container=web"]).spawn();
    let words =
        ["run", "-d", "--name", "web", "-l", "team=red", "--network", "none", "busybox", "sleep", "1000"];
    follower_is_ready(&follower);
    engine.ok(words);
    follower.wait_for_output("start web");
    engine.command(["exec", "web", "sh", "-c", "exit 3"]).run().exits(3).discard();
    engine.ok(["rename", "web", "www"]);
    engine.ok(["rm", "-f", "www"]);
    follower.signal(rustix::process::Signal::TERM);
    drop(follower.wait());
    let past = engine.ok([
        "events",
        "--since",
        "1h",
        "--until",
        "0s",
        "--filter",
        "type=container",
        "--format",
        "{{.Action}}",
    ]);
    let actions: Vec<&str> = past
        .lines()
        .filter(|action| ["create", "start", "rename", "die", "destroy"].contains(action))
        .collect();
    for action in ["create", "start", "rename", "destroy"] {
        assert!(actions.contains(&action), "{action}: {past}");
    }
    let of = |filter: &str, format: &str| {
        engine.ok(["events", "--since", "1h", "--until", "0s", "-f", filter, "--format", format])
    };
    assert_eq!(of("event=exec_start", "{{.Action}}"), "exec_start: sh -c exit 3");
    assert_eq!(of("event=exec_die", "{{.Actor.Attributes.exitCode}}"), "3");
    assert_eq!(of("event=kill", "{{.Actor.Attributes.signal}}"), "9");
    let json = engine.ok([
        "events",
        "--since",
        "1h",
        "--until",
        "0s",
        "--filter",
        "event=create",
        "--format",
        "json",
    ]);
    let event: serde_json::Value = serde_json::from_str(json.lines().next().expect("one")).expect("JSON");
    assert_eq!((&event["Type"], &event["Actor"]["Attributes"]["team"]), (&"container".into(), &"red".into()));
    engine.command(["events", "--since", "yesterday"]).run().exits(1).says("yesterday").discard();
}

/// Waits until the follower watches: it looks at everything from then on.
fn follower_is_ready(follower: &mydocker_tests::invocation::Running) {
    let maps = format!("/proc/{}/fdinfo", follower.pid());
    let watches = || {
        let entries = fs::read_dir(&maps).ok()?;
        let texts = entries.flatten().filter_map(|entry| fs::read_to_string(entry.path()).ok());
        texts.into_iter().any(|text| text.contains("inotify")).then_some(())
    };
    wait::until("the follower to watch", watches);
}

#[test]
fn privileged_names_and_limits_change_while_a_container_runs() {
    let engine = Engine::with_busybox();
    let id = engine.ok([
        "run",
        "-d",
        "--name",
        "web",
        "-m",
        "64m",
        "--network",
        "none",
        "busybox",
        "sleep",
        "1000",
    ]);
    engine.ok(["run", "-d", "--name", "other", "--network", "none", "busybox", "sleep", "1000"]);
    engine.command(["rename", "web", "other"]).run().exits(1).says("already in use").discard();
    engine.ok(["rename", "web", "www"]);
    assert_eq!(engine.inspect("www")["Id"], id);
    engine
        .command(["inspect", "--type", "container", "web"])
        .run()
        .exits(1)
        .says("No such container: web")
        .discard();
    assert_eq!(engine.ok(["update", "-m", "128m", "--pids-limit", "77", "--cpus", "0.5", "www"]), "www");
    let groups = mydocker_tests::cgroup::of_process(engine.pid("www", "process"), &id);
    let files = ["memory.limit_in_bytes", "memory.max"];
    let mut files = groups.iter().flat_map(|group| files.map(|file| group.join(file)));
    let limit = files.find_map(|file| fs::read_to_string(file).ok()).expect("a limit of memory");
    assert_eq!(limit.trim(), (128 << 20).to_string());
    let host = engine.inspect("www")["HostConfig"].clone();
    assert_eq!(
        (&host["Memory"], &host["PidsLimit"], &host["NanoCpus"]),
        (&(128 << 20).into(), &77.into(), &500_000_000.into())
    );
    engine.ok(["update", "--restart", "on-failure:2", "www"]);
    assert_eq!(engine.inspect("www")["HostConfig"]["RestartPolicy"]["Name"], "on-failure");
    for (words, part) in [
        (&["update", "www"][..], "nothing is to be changed"),
        (&["update", "-m", "much", "www"], "much"),
        (&["update", "--memory-swap", "1m", "www"], "--memory-swap is less"),
        (&["update", "-m", "1g", "nobody"], "No such container: nobody"),
    ] {
        engine.command(words).run().fails().says(part).discard();
    }
}
