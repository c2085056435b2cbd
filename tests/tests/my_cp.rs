//! Files in and out of containers.

use mydocker_tests::{Engine, wait};
use rustix::process::Signal;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;

fn text(path: &Path) -> String {
    path.to_str().expect("an ordinary path").to_owned()
}

/// A container of this name that runs, with the volume `data` at `/data`.
fn running(name: &str) -> Engine {
    let engine = Engine::with_busybox();
    let words =
        ["run", "-d", "--name", name, "--network", "none", "-v", "data:/data", "busybox", "sleep", "1000"];
    engine.ok(words);
    engine
}

fn sh(engine: &Engine, container: &str, script: &str) -> String {
    engine.ok(["exec", container, "sh", "-c", script])
}

#[test]
fn privileged_files_go_into_a_running_container_and_come_back() {
    let engine = running("web");
    let file = engine.path("file");
    fs::write(&file, "some text").expect("room");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("an own file");
    let copied = engine.command(["cp", &text(&file), "web:/tmp"]).run().succeeds();
    assert!(copied.stderr.contains("Successfully copied 9B to web:/tmp"), "{}", copied.describe());
    engine.ok(["cp", "-q", &text(&file), "web:/tmp/renamed"]);
    assert_eq!(
        sh(&engine, "web", "cat /tmp/file /tmp/renamed; stat -c %a /tmp/file"),
        "some textsome text640"
    );
    sh(&engine, "web", "mkdir -p /tmp/d/e; echo deep > /tmp/d/e/f; ln -s ../file /tmp/d/link");
    engine.ok(["cp", "web:/tmp/d", &text(&engine.path("out"))]);
    let out = engine.path("out/d");
    assert_eq!(fs::read_to_string(out.join("e/f")).expect("a file"), "deep\n");
    assert_eq!(fs::read_link(out.join("link")).expect("a link"), Path::new("../file"));
    engine.ok(["cp", "-L", "web:/tmp/d/link", &text(&engine.path("followed"))]);
    assert_eq!(fs::read_to_string(engine.path("followed")).expect("a file"), "some text");
    // A volume of the container is a part of its files.
    engine.ok(["cp", &text(&file), "web:/data/"]);
    assert_eq!(fs::read_to_string(engine.path("root/volumes/data/_data/file")).expect("a file"), "some text");
}

#[test]
fn privileged_files_go_into_a_container_that_does_not_run_and_nothing_stays_mounted() {
    let engine = Engine::with_busybox();
    engine.ok([
        "create",
        "--name",
        "web",
        "--network",
        "none",
        "-v",
        "data:/data",
        "busybox",
        "cat",
        "/new",
        "/data/new",
    ]);
    let file = engine.path("file");
    fs::write(&file, "text\n").expect("room");
    engine.ok(["cp", &text(&file), "web:/new"]);
    engine.ok(["cp", &text(&file), "web:/data/new"]);
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    assert!(!mounts.contains(&text(&engine.path("root"))), "{mounts}");
    assert_eq!(engine.ok(["start", "-a", "web"]), "text\ntext");
    engine.ok(["cp", "web:/new", &text(&engine.path("back"))]);
    assert_eq!(fs::read_to_string(engine.path("back")).expect("a file"), "text\n");
}

/// What is mounted below the volumes of an engine.
fn mounted_volumes(engine: &Engine) -> usize {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    let place = text(&engine.path("root/volumes"));
    mounts.lines().filter(|line| line.contains(&place)).count()
}

#[test]
fn privileged_a_container_that_does_not_run_has_its_mounts_when_files_are_copied() {
    let engine = Engine::with_busybox();
    let host = engine.path("host");
    fs::create_dir_all(host.join("below")).expect("room");
    let read_only = engine.path("read-only");
    fs::create_dir(&read_only).expect("room");
    engine.ok(["volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m", "memory"]);
    let (bound, kept) = (format!("{}:/bound", text(&host)), format!("{}:/kept:ro", text(&read_only)));
    let flags = ["--network", "none", "-v", &bound, "-v", &kept, "-v", "memory:/memory", "--tmpfs", "/tmpfs"];
    let create = |name| {
        let words = ["create", "--name", name].into_iter().chain(flags);
        engine.ok(words.chain(["busybox", "sleep", "1000"]));
    };
    create("web");
    let file = engine.path("file");
    fs::write(&file, "text").expect("room");
    let file = text(&file);
    engine.ok(["cp", &file, "web:/bound/below/new"]);
    assert_eq!(fs::read_to_string(host.join("below/new")).expect("a file"), "text");
    engine.command(["cp", &file, "web:/kept/new"]).run().exits(1).says("Read-only file system").discard();
    // A file system that nobody else has goes with the copying, and what is in it.
    engine.ok(["cp", &file, "web:/memory/new"]);
    assert_eq!(mounted_volumes(&engine), 0);
    let gone = engine.command(["cp", "web:/memory/new", &text(&engine.path("gone"))]).run();
    gone.exits(1).says("Could not find the file /memory/new in container web").discard();
    // One that another container has is the same for both.
    create("other");
    engine.ok(["start", "other"]);
    engine.ok(["cp", &file, "web:/memory/new"]);
    assert_eq!(sh(&engine, "other", "cat /memory/new"), "text");
    engine.ok(["cp", "web:/memory/new", &text(&engine.path("back"))]);
    assert_eq!(fs::read_to_string(engine.path("back")).expect("a file"), "text");
    assert_eq!(mounted_volumes(&engine), 1);
    // Memory of the container's own is there only while it runs.
    engine.ok(["cp", &file, "other:/tmpfs/new"]);
    engine.ok(["stop", "-t", "0", "other"]);
    assert_eq!(mounted_volumes(&engine), 0);
    let gone = engine.command(["cp", "other:/tmpfs/new", &text(&engine.path("gone"))]).run();
    gone.exits(1).says("Could not find the file /tmpfs/new in container other").discard();
    // The container's own files are seen, and cannot be replaced by ones that it would not see.
    engine.ok(["cp", "other:/etc/hostname", &text(&engine.path("name"))]);
    let id = engine.inspect("other")["Id"].as_str().expect("an id").to_owned();
    assert_eq!(fs::read_to_string(engine.path("name")).expect("a file").trim(), &id[..12]);
    engine.command(["cp", &file, "other:/etc/hostname"]).run().exits(1).says("mounted there").discard();
}

#[test]
fn privileged_a_volume_stays_mounted_while_somebody_copies_and_not_after_a_kill() {
    let engine = Engine::with_busybox();
    engine.ok(["volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "memory"]);
    for name in ["web", "other"] {
        let words = ["create", "--name", name, "--network", "none", "-v", "memory:/memory"];
        engine.ok(words.into_iter().chain(["busybox", "sleep", "1000"]));
    }
    let archive = Command::new("tar").args(["-cC", "/etc", "hostname"]).output().expect("tar").stdout;
    let start = || {
        let mut copier = engine.command(["cp", "-", "web:/memory"]).stdin_pipe().spawn();
        let mut input = copier.stdin.take().expect("a pipe");
        // Half an archive: it waits for the rest.
        input.write_all(&archive[..512]).expect("it reads");
        wait::until("the volume to be mounted", || (mounted_volumes(&engine) == 1).then_some(()));
        (copier, input)
    };
    let (copier, mut input) = start();
    // Who starts and ends meanwhile sees the same files, and leaves them to the copying.
    engine.ok(["start", "other"]);
    input.write_all(&archive[512..]).expect("it reads");
    drop(input);
    copier.wait().succeeds().discard();
    assert_eq!(sh(&engine, "other", "ls /memory"), "hostname");
    engine.ok(["stop", "-t", "0", "other"]);
    assert_eq!(mounted_volumes(&engine), 0);
    let (copier, _input) = start();
    engine.ok(["start", "other"]);
    engine.ok(["stop", "-t", "0", "other"]);
    assert_eq!(mounted_volumes(&engine), 1);
    copier.signal(Signal::KILL);
    assert_eq!(copier.wait().status.signal(), Some(9));
    engine.ok(["rm", "web", "other"]);
    assert_eq!(mounted_volumes(&engine), 0);
}

#[test]
fn privileged_archives_go_both_ways() {
    let engine = running("web");
    sh(&engine, "web", "mkdir -p /tmp/d; echo x > /tmp/d/f; chown 5:6 /tmp/d/f");
    let archive = engine.path("archive");
    let words = format!(
        "'{}' --root '{}' --runroot '{}' cp web:/tmp/d - > '{}'",
        mydocker_tests::engine::program().display(),
        engine.path("root").display(),
        engine.path("run").display(),
        archive.display()
    );
    let status = Command::new("sh")
        .args(["-c", &words])
        .env("MYDOCKER_RUNTIME", mydocker_tests::runtime::program())
        .status();
    assert!(status.expect("a shell").success());
    let listed = Command::new("tar").args(["--numeric-owner", "-tvf"]).arg(&archive).output().expect("tar");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains(" d/\n") && listed.contains("5/6") && listed.contains(" d/f\n"), "{listed}");
    let bytes = fs::read(&archive).expect("an archive");
    engine.command(["cp", "-a", "-", "web:/home"]).stdin(&bytes).run().succeeds().discard();
    assert_eq!(sh(&engine, "web", "stat -c %u:%g /home/d/f"), "5:6");
    engine
        .command(["cp", "-", "web:/nowhere"])
        .stdin(&bytes)
        .run()
        .exits(1)
        .says("Could not find the file /nowhere")
        .discard();
    engine.command(["cp", "-", "web:/home"]).stdin("no archive at all").run().fails().discard();
}

#[test]
fn privileged_owners_and_setuid_bits_are_kept_only_when_asked_for() {
    let engine = running("web");
    sh(&engine, "web", "cp /bin/busybox /tmp/p; chown 1000:1000 /tmp/p; chmod 4755 /tmp/p");
    let plain = engine.path("plain");
    engine.ok(["cp", "web:/tmp/p", &text(&plain)]);
    let stat = fs::metadata(&plain).expect("a file");
    assert_eq!((stat.uid(), stat.mode() & 0o7777), (0, 0o755));
    let kept = engine.path("kept");
    engine.ok(["cp", "-a", "web:/tmp/p", &text(&kept)]);
    let stat = fs::metadata(&kept).expect("a file");
    assert_eq!((stat.uid(), stat.mode() & 0o7777), (1000, 0o4755));
}

#[test]
fn privileged_links_in_a_container_lead_nowhere_on_the_host() {
    let engine = running("web");
    let outside = engine.path("outside");
    fs::create_dir(&outside).expect("room");
    fs::write(outside.join("secret"), "secret").expect("room");
    let place = text(&outside);
    sh(
        &engine,
        "web",
        &format!(
            "ln -s {place} /tmp/absolute; ln -s ../../../../../../../{place} /tmp/relative; ln -s /proc/1/root/{place} /tmp/magic"
        ),
    );
    let file = engine.path("file");
    fs::write(&file, "text").expect("room");
    for link in ["absolute", "relative", "magic"] {
        engine.command(["cp", &text(&file), &format!("web:/tmp/{link}/in")]).run().exits(1).discard();
        engine
            .command(["cp", &format!("web:/tmp/{link}/secret"), &text(&engine.path("got"))])
            .run()
            .exits(1)
            .discard();
    }
    assert_eq!(fs::read_dir(&outside).expect("a directory").count(), 1);
    assert!(!engine.path("got").exists());
    // Also one that stands where the copy would put a directory.
    sh(&engine, "web", "mkdir -p /tmp/tree/sub; echo x > /tmp/tree/sub/file");
    let target = engine.path("target");
    fs::create_dir(&target).expect("room");
    fs::create_dir(target.join("tree")).expect("room");
    symlink(&outside, target.join("tree/sub")).expect("room");
    engine.command(["cp", "web:/tmp/tree", &text(&target)]).run().exits(1).discard();
    assert!(!outside.join("file").exists());
}

#[test]
fn privileged_a_race_of_links_in_a_container_stays_in_it() {
    let engine = running("web");
    let outside = engine.path("outside");
    fs::create_dir(&outside).expect("room");
    let swap = format!(
        "mkdir -p /tmp/good; while :; do ln -sfn {} /tmp/swap; ln -sfn /tmp/good /tmp/swap; done",
        outside.display()
    );
    engine.ok(["exec", "-d", "web", "sh", "-c", &swap]);
    let file = engine.path("file");
    fs::write(&file, "text").expect("room");
    for _ in 0..30 {
        // Whether it finds the one or the other is not known; it never leaves the container.
        engine.command(["cp", "-q", &text(&file), "web:/tmp/swap/in"]).run().discard();
    }
    assert_eq!(fs::read_dir(&outside).expect("a directory").count(), 0);
}

#[test]
fn privileged_what_cannot_be_copied_is_told() {
    let engine = running("web");
    let nowhere = text(&engine.path("nowhere"));
    for (words, part) in [
        (["cp", "web:/nothing", "."], "Could not find the file /nothing in container web"),
        (["cp", &nowhere, "web:/"], "no such file or directory"),
        (["cp", "nobody:/x", "."], "No such container: nobody"),
        (["cp", "web:/x", "web:/y"], "between containers"),
        (["cp", "/etc/hostname", "/tmp"], "at least one container"),
        (["cp", "web:/etc/passwd", &format!("{nowhere}/deep/er")], "no such file or directory"),
        (["cp", "/etc", "web:/etc/passwd"], "cannot copy a directory"),
    ] {
        engine.command(words).run().exits(1).says(part).discard();
    }
    engine.command(["cp", "/etc/hostname", "web:/proc/cmdline"]).run().exits(1).discard();
}

#[test]
fn privileged_changes_are_told_committed_and_exported() {
    let engine = running("web");
    sh(
        &engine,
        "web",
        "echo new > /etc/new; echo more >> /etc/passwd; rm /etc/group; mkdir -p /opt/a; echo x > /data/in-volume",
    );
    // What was made to mount the container's own files at is no change, and the place of a volume is one.
    let told = engine.ok(["diff", "web"]);
    let lines: Vec<&str> = told.lines().filter(|line| *line != "A /data").collect();
    assert_eq!(lines, ["C /etc", "D /etc/group", "A /etc/new", "C /etc/passwd", "A /opt", "A /opt/a"]);
    let words =
        ["commit", "-a", "me", "-m", "what was done", "-c", "ENV FROM_COMMIT=yes", "web", "changed:1"];
    let id = engine.ok(words);
    assert!(id.starts_with("sha256:"), "{id}");
    engine.ok(["commit", "--pause=false", "web", "other:1"]);
    let since = ["events", "--since", "1h", "--until", "0s", "-f", "event=pause", "--format", "{{.Action}}"];
    assert_eq!(engine.ok(since), "pause");
    engine.ok(["rmi", "other:1"]);
    assert_eq!(engine.inspect("web")["State"]["Status"], "running");
    let script = "cat /etc/new; ls /etc/group /data; echo $FROM_COMMIT $FROM_IMAGE";
    let ran = engine.command(["run", "--rm", "--network", "none", "changed:1", "sh", "-c", script]).run();
    assert!(ran.stdout.contains("new\n") && ran.stdout.contains("yes yes\n"), "{}", ran.describe());
    assert!(ran.stderr.contains("/etc/group") && !ran.stdout.contains("in-volume"), "{}", ran.describe());
    let archive = engine.path("all.tar");
    engine.ok(["export", "-o", &text(&archive), "web"]);
    let listed = Command::new("tar").arg("-tf").arg(&archive).output().expect("tar");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(
        listed.lines().any(|line| line == "etc/new") && listed.lines().any(|line| line == "bin/busybox"),
        "{listed}"
    );
    assert!(!listed.contains("etc/group") && !listed.contains("in-volume"), "{listed}");
    engine.command(["rmi", "-f", "changed:1"]).run().succeeds().discard();
}

#[test]
fn privileged_a_container_that_has_changed_nothing_says_so() {
    let engine = running("web");
    engine.ok(["run", "-d", "--init", "--name", "idle", "--network", "none", "busybox", "sleep", "1000"]);
    assert_eq!(engine.ok(["diff", "idle"]), "");
    sh(&engine, "idle", "chmod 700 /etc");
    assert_eq!(engine.ok(["diff", "idle"]), "C /etc");
}
