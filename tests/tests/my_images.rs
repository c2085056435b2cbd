//! The image commands of `mydocker`, which the image tool carries out, and what shells and readers of manuals are told.

use mydocker_tests::Engine;
use std::fs;
use std::process::Command;

#[test]
fn image_commands_are_those_of_the_image_tool() {
    let engine = Engine::with_busybox();
    let line = engine.ok(["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    assert_eq!(line, "busybox:latest");
    engine.ok(["tag", "busybox", "other:1"]);
    assert_eq!(engine.ok(["image", "ls", "-q"]).lines().count(), 1);
    let archive = engine.path("archive.tar").to_string_lossy().into_owned();
    engine.ok(["save", "-o", &archive, "other:1"]);
    engine.ok(["rmi", "other:1"]);
    assert_eq!(engine.ok(["image", "load", "-q", "-i", &archive]), "Loaded image: other:1");
    assert!(engine.ok(["history", "--format", "{{.Size}}", "other:1"]).ends_with('B'));
    assert_eq!(engine.ok(["image", "inspect", "-f", "{{index .RepoTags 0}}", "busybox"]), "busybox:latest");
    let events = engine.ok([
        "events",
        "--since",
        "1h",
        "--until",
        "0s",
        "--filter",
        "type=image",
        "--format",
        "{{.Action}} {{.Actor.ID}}",
    ]);
    assert_eq!(events, "tag other:1\nuntag other:1");
    engine.command(["rmi", "nobody"]).run().exits(1).says("mydocker: ").discard();
    engine.command(["search", "busybox"]).run().fails().says("'search' is not supported").discard();
    engine.command(["pull", "-img", "UPPER"]).run().fails().discard();
}

#[test]
fn privileged_an_image_of_a_container_stays() {
    let engine = Engine::with_busybox();
    engine.ok(["create", "--name", "web", "--network", "none", "busybox"]);
    let id = engine.inspect("web")["Id"].as_str().expect("an id").to_owned();
    engine.command(["rmi", "busybox"]).run().exits(1).says(&id[..12]).discard();
    engine.ok(["rm", "web"]);
    engine.ok(["rmi", "busybox"]);
    assert_eq!(engine.ok(["images", "-q"]), "");
}

#[test]
fn help_has_an_example_and_wrong_words_are_answered() {
    let engine = Engine::new();
    for words in
        [&["ps", "--help"][..], &["pull", "--help"], &["volume", "create", "--help"], &["help", "cp"]]
    {
        let text = engine.ok(words);
        assert!(text.contains("Usage: mydocker ") && text.contains("Example:\n  mydocker "), "{text}");
    }
    assert!(!engine.ok(["--help"]).contains("monitor"));
    engine.command(["strat"]).run().exits(1).says("did you mean 'start'?").discard();
    engine.command(["volume", "craete"]).run().exits(1).says("did you mean 'create'?").discard();
    engine.command(["ps", "--fitler", "x=y"]).run().exits(125).says("--filter").discard();
}

#[test]
fn what_does_not_fit_is_refused_in_docker_s_words_with_docker_s_status() {
    let engine = Engine::new();
    for (line, wanted) in [
        ("ps x", "accepts no arguments"),
        ("version x", "accepts no arguments"),
        ("network ls x", "accepts no arguments"),
        ("logs", "requires exactly 1 argument"),
        ("logs a b", "requires exactly 1 argument"),
        ("history a b", "requires exactly 1 argument"),
        ("cp a", "requires exactly 2 arguments"),
        ("tag a", "requires exactly 2 arguments"),
        ("rename a b c", "requires exactly 2 arguments"),
        ("network connect a", "requires exactly 2 arguments"),
        ("stop", "requires at least 1 argument"),
        ("rmi", "requires at least 1 argument"),
        ("exec a", "requires at least 2 arguments"),
        ("volume create a b", "requires at most 1 argument"),
        ("images a b", "requires at most 1 argument"),
        ("commit a b c", "requires at least 1 and at most 2 arguments"),
    ] {
        let wanted = format!("mydocker: \"mydocker {}\" {wanted}", command_of(line));
        engine.command(line.split(' ')).run().exits(1).says(&wanted).discard();
    }
    for line in
        ["ps -x", "images --nothing", "--nothing", "stop -t soon a", "logs a --tail", "pull --nothing a"]
    {
        engine.command(line.split(' ')).run().exits(125).says("mydocker: ").discard();
    }
    for line in ["nothing", "network nothing", "image nothing"] {
        engine.command(line.split(' ')).run().exits(1).says("unknown command \"nothing\"").discard();
    }
    // What would make a container has a status that no program of one could have.
    engine.command(["run"]).run().exits(125).says("no image is given").discard();
}

/// The command, of one word or two, that a line begins with.
fn command_of(line: &str) -> String {
    let is_group = |word: &str| matches!(word, "network" | "volume");
    line.split(' ').take(if line.split(' ').any(is_group) { 2 } else { 1 }).collect::<Vec<_>>().join(" ")
}

#[test]
fn shells_and_manuals_know_all_commands() {
    let engine = Engine::new();
    for shell in ["bash", "fish", "zsh"] {
        let script = engine.ok(["completion", shell]);
        assert!(script.contains("no-trunc") && script.contains("unpause"), "{shell}");
    }
    let script = engine.path("completion");
    fs::write(&script, engine.ok(["completion", "bash"])).expect("room");
    let read = Command::new("bash").arg("-n").arg(&script).status().expect("bash");
    assert!(read.success());
    engine.command(["completion", "tcsh"]).run().exits(125).says("tcsh").discard();
    let pages = engine.path("man");
    engine.ok(["man", &pages.to_string_lossy()]);
    for (page, part) in
        [("mydocker.1", "mydocker"), ("mydocker-ps.1", "ancestor"), ("mydocker-volume-create.1", "Example")]
    {
        let text = fs::read_to_string(pages.join(page)).expect(page);
        assert!(text.starts_with(".ie") && text.contains(part), "{page}");
    }
    assert!(!pages.join("mydocker-monitor.1").exists());
}
