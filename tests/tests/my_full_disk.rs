//! `mydocker run` while the disk fills, whatever there is still room for.

use mydocker_tests::Engine;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// With this much room a container can live, in pages.
const ENOUGH: u64 = 16;

/// What a page is here, and on x86-64 elsewhere.
const PAGE: u64 = 4096;

/// A file system of its own at a place of the engine, which goes with its end.
struct Disk(PathBuf);

impl Disk {
    fn mounted(place: PathBuf) -> Self {
        fs::create_dir_all(&place).expect("room");
        let words = ["-t", "tmpfs", "-o", "size=64m", "small"];
        assert!(Command::new("mount").args(words).arg(&place).status().expect("mount").success());
        Self(place)
    }

    /// Fills it but for some pages, until the file that this returns is removed.
    fn fill(&self, pages: u64) -> PathBuf {
        let path = self.0.join("ballast");
        let mut file = File::create(&path).expect("a file without content");
        let page = vec![1; usize::try_from(PAGE).expect("a small number")];
        let mut length = 0;
        let full = loop {
            match file.write(&page) {
                Ok(written) => length += written as u64,
                Err(error) => break error,
            }
        };
        assert_eq!(full.kind(), ErrorKind::StorageFull);
        file.set_len(length.saturating_sub(pages * PAGE)).expect("it becomes shorter");
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

/// Runs containers with less and less trouble, and demands each time that they run or that it is said why not, and that
/// afterwards all is true and gone.
fn survives_at(engine: &Engine, disk: &Disk) {
    let mut has_failed = false;
    for pages in 0..=ENOUGH {
        let ballast = disk.fill(pages);
        let run = engine.command(["run", "--rm", "--network", "none", "busybox", "echo", "fine"]).run();
        let background = ["run", "-d", "--name", "back", "--network", "none", "busybox", "top"];
        let back = engine.command(background).run();
        fs::remove_file(&ballast).expect("it is there");
        for outcome in [&run, &back] {
            let told = ["No space left", "ENOSPC"].iter().any(|text| outcome.stderr.contains(text));
            let is_fine = outcome.status.success() || (outcome.status.code() == Some(125) && told);
            assert!(is_fine, "{pages} pages: {}", outcome.describe());
        }
        has_failed |= !run.status.success();
        // A container that is not to go by itself is there, but for the start; one that is has gone.
        let is_back = engine.ok(["ps", "-a", "--format", "{{.Names}}"]);
        assert!(matches!(&*is_back, "" | "back"), "{pages} pages: {is_back}");
        if is_back == "back" {
            engine.ok(["rm", "-f", "back"]);
        }
        assert_eq!(engine.ok(["system", "check"]), "everything is in order", "{pages} pages");
        if pages == ENOUGH {
            run.succeeds().discard();
            back.succeeds().discard();
        }
    }
    assert!(has_failed, "nothing needs room at {}", disk.0.display());
}

fn engine_at(place: &str) -> (Engine, Disk) {
    let engine = Engine::new();
    let disk = Disk::mounted(engine.path(place));
    let config = serde_json::json!({ "Cmd": ["sh"] });
    engine.add_image("busybox", mydocker_tests::engine::busybox_layer(), &config);
    // What is made once is there.
    engine.ok(["run", "--rm", "--network", "none", "busybox", "true"]);
    (engine, disk)
}

#[test]
fn privileged_a_full_disk_below_the_containers_is_told_and_leaves_nothing() {
    let (engine, disk) = engine_at("root");
    survives_at(&engine, &disk);
}

#[test]
fn privileged_a_full_disk_below_what_runs_is_told_and_leaves_nothing() {
    let (engine, disk) = engine_at("run");
    survives_at(&engine, &disk);
}

#[test]
fn privileged_a_container_ends_as_it_should_while_the_disk_is_full() {
    let (engine, disk) = engine_at("root");
    let text = "trap 'exit 7' TERM; echo up; while :; do sleep 0.1; done";
    engine.ok(["run", "-d", "--name", "web", "--network", "none", "busybox", "sh", "-c", text]);
    mydocker_tests::wait::until("the program to be up", || {
        (engine.ok(["logs", "web"]) == "up").then_some(())
    });
    let ballast = disk.fill(0);
    engine.ok(["stop", "web"]);
    let told = engine.inspect("web");
    assert_eq!((&told["State"]["Status"], &told["State"]["ExitCode"]), (&"exited".into(), &7.into()));
    engine.ok(["rm", "web"]);
    assert!(!Path::new(&disk.0.join("names/web")).exists());
    fs::remove_file(ballast).expect("it is there");
    assert_eq!(engine.ok(["system", "check"]), "everything is in order");
}
