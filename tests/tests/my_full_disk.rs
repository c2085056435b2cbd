//! `mydocker run` while the disk fills, whatever there is still room for.

use mydocker_tests::Engine;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;
use std::process::Command;

/// With this much room a container can live, in pages.
const ENOUGH: u64 = 16;

/// What a page is here, and on x86-64 elsewhere.
const PAGE: u64 = 4096;

/// An engine with a small file system at one of its places, and with the image `busybox`.
struct Small {
    engine: Engine,
    place: PathBuf,
}

impl Small {
    fn at(place: &str) -> Self {
        let engine = Engine::new();
        let place = engine.path(place);
        fs::create_dir_all(&place).expect("room");
        let words = ["-t", "tmpfs", "-o", "size=64m", "small"];
        assert!(Command::new("mount").args(words).arg(&place).status().expect("mount").success());
        let small = Self { engine, place };
        let config = serde_json::json!({ "Cmd": ["sh"] });
        small.engine.add_image("busybox", mydocker_tests::engine::busybox_layer(), &config);
        // What is made once is there.
        small.engine.ok(["run", "--rm", "--network", "none", "busybox", "true"]);
        small
    }

    fn ballast(&self) -> PathBuf {
        self.place.join("ballast")
    }

    /// Fills it but for some pages, until the file that this returns is removed.
    fn fill(&self, pages: u64) -> PathBuf {
        let path = self.ballast();
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

impl Drop for Small {
    /// The containers go first, however the test has ended: without the disk nobody knows of them.
    fn drop(&mut self) {
        drop(fs::remove_file(self.ballast()));
        for id in self.engine.ids() {
            drop(self.engine.command(["rm", "-f", "-v", &id]).run());
        }
        drop(Command::new("umount").arg("-l").arg(&self.place).status());
    }
}

/// Runs containers with less and less trouble, and demands each time that they run or that it is said why not, and that
/// afterwards all is true and gone.
fn survives_at(place: &str) {
    let small = Small::at(place);
    let engine = &small.engine;
    let mut has_failed = false;
    for pages in 0..=ENOUGH {
        let ballast = small.fill(pages);
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
    assert!(has_failed, "nothing needs room at {place}");
}

#[test]
fn privileged_a_full_disk_below_the_containers_is_told_and_leaves_nothing() {
    survives_at("root");
}

#[test]
fn privileged_a_full_disk_below_what_runs_is_told_and_leaves_nothing() {
    survives_at("run");
}

#[test]
fn privileged_a_container_ends_as_it_should_while_the_disk_is_full() {
    let small = Small::at("root");
    let engine = &small.engine;
    let text = "trap 'exit 7' TERM; echo up; while :; do sleep 0.1; done";
    engine.ok(["run", "-d", "--name", "web", "--network", "none", "busybox", "sh", "-c", text]);
    mydocker_tests::wait::until("the program to be up", || {
        (engine.ok(["logs", "web"]) == "up").then_some(())
    });
    let ballast = small.fill(0);
    engine.ok(["stop", "web"]);
    let told = engine.inspect("web");
    assert_eq!((&told["State"]["Status"], &told["State"]["ExitCode"]), (&"exited".into(), &7.into()));
    engine.ok(["rm", "web"]);
    assert!(!small.place.join("names/web").exists());
    fs::remove_file(ballast).expect("it is there");
    assert_eq!(engine.ok(["system", "check"]), "everything is in order");
}
