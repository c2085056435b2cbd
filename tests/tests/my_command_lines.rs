//! The command lines of the systems that this one grew from, typed as they are written there.

#![forbid(unsafe_code)]

use mydocker_tests::img::{FakeRegistry, SampleImage, Served, sha256};
use mydocker_tests::real::{NGINX, registry};
use mydocker_tests::{Engine, Invocation, Outcome, Running, Terminal, engine, wait};
use serde_json::json;
use std::fs;
use std::time::Duration;

/// What the pull of an image of Debian may take on a busy machine.
const A_WHILE: Duration = Duration::from_secs(120);

/// `mydocker LINE`, its words being split at blanks.
fn line(engine: &Engine, line: &str) -> Invocation {
    engine.command(line.split(' ')).deadline(A_WHILE)
}

fn ok(engine: &Engine, words: &str) -> String {
    line(engine, words).run().succeeds().stdout
}

/// The line on a terminal, once the shell has shown its prompt.
fn shell(engine: &Engine, words: &str) -> (Terminal, Running) {
    let mut terminal = Terminal::open();
    let running = line(engine, words).on_terminal(&terminal).spawn();
    terminal.read_until("# ");
    (terminal, running)
}

/// Types a line, and returns what appears after its echo.
fn answer(terminal: &mut Terminal, line: &str) -> String {
    // The quotes keep the echo of this line from being the answer's end.
    terminal.type_text(&format!("{line}; echo th''at is all\n"));
    terminal.read_until("th''at is all\r\n");
    let shown = terminal.read_until("that is all\r\n");
    // What is typed before the prompt would be echoed twice.
    terminal.read_until("# ");
    shown.trim_end_matches("that is all\r\n").replace('\r', "")
}

fn leave(mut terminal: Terminal, running: Running) {
    terminal.type_text("exit 7\n");
    running.wait().exits(7).discard();
}

#[test]
fn privileged_run_ti_shell_is_process_1_in_namespaces_of_its_own() {
    let engine = Engine::new();
    let (mut terminal, running) = shell(&engine, "run -ti /bin/sh");
    let processes = answer(&mut terminal, "ps -ef");
    let lines: Vec<Vec<&str>> =
        processes.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    // The columns are user, pid, parent, ... and the command from the eighth on.
    assert_eq!(lines.len(), 2, "{processes}");
    assert_eq!((lines[0][1], lines[0][7]), ("1", "/bin/sh"), "{processes}");
    assert_eq!(lines[1][7..], ["ps", "-ef"], "{processes}");

    for namespace in ["pid", "mnt", "uts", "ipc", "net"] {
        let own = fs::read_link(format!("/proc/self/ns/{namespace}")).expect("a namespace");
        let inside = answer(&mut terminal, &format!("readlink /proc/self/ns/{namespace}"));
        assert!(inside.starts_with(&format!("{namespace}:[")), "{inside}");
        assert_ne!(inside.trim(), own.to_string_lossy(), "the host's");
    }
    let mount = answer(&mut terminal, "grep ' /proc proc ' /proc/mounts");
    for option in ["nosuid", "nodev", "noexec"] {
        assert!(mount.split([' ', ',']).any(|word| word == option), "no {option}: {mount}");
    }
    leave(terminal, running);
}

#[test]
fn privileged_run_ti_ls_lists_a_view_of_the_host_s_root() {
    let engine = Engine::new();
    for flags in ["-ti", "-it"] {
        let mut terminal = Terminal::open();
        let running = line(&engine, &format!("run {flags} /bin/ls")).on_terminal(&terminal).spawn();
        running.wait().succeeds().discard();
        let shown = terminal.read_to_end();
        assert!(["bin", "etc", "proc", "usr"].iter().all(|name| shown.contains(name)), "{shown}");
    }
}

#[test]
fn privileged_limits_of_single_dash_flags_are_in_force_inside() {
    let engine = Engine::new();
    let (mut terminal, running) = shell(&engine, "run -ti -m 100m -cpuset 1 -cpushare 512 /bin/sh");
    let mut read = |v1: &str, v2: &str| {
        let script = format!("cd /sys/fs/cgroup; cat {v1} 2>/dev/null || cat {v2}");
        answer(&mut terminal, &script).trim().to_owned()
    };
    assert_eq!(read("memory/memory.limit_in_bytes", "memory.max"), "104857600");
    assert_eq!(read("cpuset/cpuset.cpus", "cpuset.cpus"), "1");
    // 20 is what the weight of cgroup v2 is for 512 shares.
    assert!(["512", "20"].contains(&read("cpu/cpu.shares", "cpu.weight").as_str()));
    assert_eq!(answer(&mut terminal, "nproc").trim(), "1");
    leave(terminal, running);
}

#[test]
fn privileged_an_image_is_pulled_listed_and_run_with_a_host_name_and_an_environment_of_its_own() {
    let engine = Engine::new();
    let registry = registry(&[&NGINX]);
    let name = NGINX.name_in(&registry);
    ok(&engine, &format!("pull -img {name}"));
    let images = ok(&engine, "images");
    let row: Vec<&str> = images.lines().nth(1).unwrap_or_default().split_whitespace().collect();
    assert_eq!(row.get(..2), Some(&[registry.name("nginx").as_str(), "1"][..]), "{images}");

    let words = format!("run -ti -img {name} -cmds /bin/bash -name test");
    let mut terminal = Terminal::open();
    let running = line(&engine, &words).env("OF_THE_HOST", "yes").on_terminal(&terminal).spawn();
    terminal.read_until("# ");
    answer(&mut terminal, "bind 'set enable-bracketed-paste off'");
    let host_name = answer(&mut terminal, "cat /proc/sys/kernel/hostname");
    let host_name = host_name.trim();
    assert!(host_name.len() == 12 && host_name.bytes().all(|byte| byte.is_ascii_hexdigit()), "{host_name:?}");
    assert_eq!(answer(&mut terminal, "echo $BASH [$OF_THE_HOST] $HOME").trim(), "/bin/bash [] /root");
    assert_eq!(ok(&engine, "ps --format {{.Names}}"), "test\n");
    leave(terminal, running);

    let words = format!("run -img {name} -cmds /bin/bash -name again");
    line(&engine, &words).run().succeeds().discard();
    line(&engine, &words).run().exits(125).says("\"again\" is already in use").discard();
}

#[test]
fn privileged_an_image_that_is_missing_is_pulled_by_run() {
    let engine = Engine::new();
    let layer = engine::busybox_layer();
    let mut image = SampleImage::new(&[]).with(|config| {
        config["rootfs"]["diff_ids"] = json!([sha256(layer)]);
    });
    image.layers = vec![layer.to_owned()];
    image.manifest = image.manifest_json().to_string().into_bytes();
    let registry = FakeRegistry::good(Served::image("20.04", &image));
    let mirror = format!(
        "[[registry]]\nprefix = \"docker.io\"\n[[registry.mirror]]\nlocation = \"{}\"\n",
        registry.server.host()
    );
    let file = engine.path("registries.conf");
    fs::write(&file, mirror).expect("the scratch directory is writable");
    let words = "run -cpus 0.5 -mmem 200 -mpid 1000 -img arm64v8/ubuntu:20.04";
    let script = "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes || cat memory.max
        cat pids/pids.max || cat pids.max
        { cat cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us || cat cpu.max; } | tr '\\n' ' '";
    let words = words.split(' ').chain(["/bin/sh", "-c", script]);
    let outcome = engine.command(words).env("CONTAINERS_REGISTRIES_CONF", &file).run().succeeds();
    let seen: Vec<&str> = outcome.stdout.split_whitespace().collect();
    assert_eq!(seen, ["209715200", "1000", "50000", "100000"], "{}", outcome.describe());
    assert!(ok(&engine, "images").contains("arm64v8/ubuntu"));
}

#[test]
fn privileged_a_container_in_the_background_is_listed_logged_entered_stopped_and_removed() {
    let engine = Engine::with_busybox();
    line(&engine, "run -ti -d busybox sh").run().exits(125).says("-d").discard();
    assert_eq!(ok(&engine, "ps -aq"), "");

    let shared = engine.path("shared");
    fs::create_dir(&shared).expect("the scratch directory is writable");
    fs::write(shared.join("note"), "from the host\n").expect("the scratch directory is writable");
    let place = shared.display();
    let script = "echo it runs with $COLOUR; cat /shared/note; trap 'exit 3' TERM; sleep 1000 & wait";
    let words = format!("run -d -name worker -e COLOUR=blue -v {place}:/shared busybox sh -c");
    let id = engine.ok(words.split(' ').chain([script]));
    assert_eq!(id.len(), 64, "{id}");

    let said = || (ok(&engine, "logs worker") == "it runs with blue\nfrom the host\n").then_some(());
    wait::until("the log", said);
    let usual = ok(&engine, "ps");
    let wide = ok(&engine, "ps --wide");
    for title in ["ID", "NAMES", "STATUS", "COMMAND", "CREATED"] {
        assert!(usual.lines().next().is_some_and(|titles| titles.contains(title)), "{usual}");
        assert!(wide.lines().next().is_some_and(|titles| titles.contains(title)), "{wide}");
    }
    let pid = engine.inspect("worker")["State"]["Pid"].to_string();
    assert!(wide.contains("PID") && wide.split_whitespace().any(|word| word == pid), "{wide}");

    // By name and by id, and with the environment that the container was given.
    let exec =
        |container: &str| engine.ok(["exec", container, "sh", "-c", "echo $COLOUR $FROM_IMAGE; hostname"]);
    assert_eq!(exec("worker"), format!("blue yes\n{}", &id[..12]));
    assert_eq!(exec(&id[..12]), exec("worker"));
    ok(&engine, "exec worker touch /shared/back");
    assert!(shared.join("back").is_file());

    line(&engine, "rm worker").run().exits(1).says("running").discard();
    ok(&engine, "stop worker");
    assert_eq!(engine.inspect("worker")["State"]["ExitCode"], 3);
    line(&engine, "exec worker true").run().fails().says("is not running").discard();
    assert_eq!(ok(&engine, "ps -q"), "");
    assert!(ok(&engine, "ps -a").contains("Exited (3)"));
    ok(&engine, "rm worker");
    line(&engine, "logs worker").run().exits(1).says("No such container: worker").discard();
}

#[test]
fn privileged_containers_of_one_image_have_file_systems_of_their_own_and_become_images() {
    let engine = Engine::with_busybox();
    for name in ["one", "two"] {
        ok(&engine, &format!("run -d -name {name} busybox sleep 1000"));
    }
    engine.ok(["exec", "one", "sh", "-c", "echo mine >/mark"]);
    line(&engine, "exec two cat /mark").run().exits(1).discard();
    ok(&engine, "commit one marked");
    let read = |words: &str| -> Outcome { line(&engine, words).run() };
    assert_eq!(read("run --rm marked cat /mark").succeeds().stdout, "mine\n");
    read("run --rm busybox cat /mark").exits(1).discard();
}
