//! `commit` of what a container runs on: the container stands still meanwhile.

use mydocker_tests::img::Img;
use mydocker_tests::{Bundle, Invocation, Runtime, runtime, wait};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// A container that writes to `/busy` without end, on a root file system that is the image `base:1` as well.
struct Busy {
    runtime: Runtime,
    bundle: Bundle,
    img: Img,
}

impl Busy {
    fn new() -> Self {
        let (runtime, img) = (Runtime::new(), Img::new());
        let bundle = runtime
            .bundle()
            .script("while :; do echo line >>/busy; done")
            .with(|config| config["root"]["readonly"] = false.into());
        let base = img.command(["commit", "--base", "scratch", "base:1", "--upper"]);
        base.arg(bundle.path("")).run().succeeds().discard();
        runtime.create(&bundle).succeeds();
        runtime.start(bundle.id()).succeeds();
        let busy = Self { runtime, bundle, img };
        busy.goes_on();
        busy
    }

    /// How much it has written.
    fn written(&self) -> u64 {
        fs::metadata(self.bundle.path("busy")).map_or(0, |file| file.len())
    }

    fn goes_on(&self) {
        let before = self.written();
        wait::until("the container to write", || (self.written() > before).then_some(()));
    }

    /// A runtime that writes down what it is asked for, and refuses what begins with `refused`.
    fn telling(&self, refused: &str) -> PathBuf {
        let (log, program) = (self.img.path("asked"), runtime::program());
        let text = format!(
            "#!/bin/sh\nshift 2; echo \"$*\" >>{}; case \"$1\" in {refused}) echo no such luck >&2; exit 1;; esac\n\
             exec {} --root {} \"$@\"\n",
            log.display(),
            program.display(),
            self.runtime.root().display()
        );
        let path = self.img.write("runtime", &text);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("own");
        path
    }

    fn commit(&self, program: &Path) -> Invocation {
        let command = self.img.command(["commit", "--base", "base:1", "--runtime-root"]);
        let command = command.arg(self.runtime.root()).arg("--runtime").arg(program);
        command.arg(self.bundle.dir()).arg("new:1")
    }

    fn asked(&self) -> String {
        fs::read_to_string(self.img.path("asked")).unwrap_or_default()
    }

    fn end(self) {
        self.runtime.kill_and_delete(self.bundle.id());
    }
}

#[test]
fn privileged_a_container_stands_still_while_it_is_committed_and_goes_on_then() {
    let busy = Busy::new();
    let id = busy.bundle.id().to_owned();
    // What writes all the time would else be caught at it sooner or later.
    for _ in 0..5 {
        busy.commit(&runtime::program()).run().succeeds().discard();
        assert_eq!(busy.runtime.status(&id), "running");
        busy.goes_on();
    }
    busy.commit(&busy.telling("none")).run().succeeds().discard();
    assert_eq!(busy.asked(), format!("list --format json\npause {id}\nresume {id}\n"));
    busy.end();
}

#[test]
fn privileged_a_container_is_not_paused_if_that_is_not_wanted() {
    let busy = Busy::new();
    let told = busy.commit(&busy.telling("none")).arg("--pause=false").run();
    // Whether it is caught writing is a matter of luck.
    drop(told);
    assert_eq!(busy.asked(), "");
    let paused = busy.runtime.command(["pause", busy.bundle.id()]).run();
    paused.succeeds().discard();
    busy.commit(&busy.telling("none")).run().succeeds().discard();
    assert_eq!(busy.asked(), "list --format json\n", "who is paused stays so");
    assert_eq!(busy.runtime.status(busy.bundle.id()), "paused");
    busy.runtime.command(["resume", busy.bundle.id()]).run().succeeds().discard();
    busy.end();
}

#[test]
fn privileged_a_container_that_cannot_be_paused_is_not_committed() {
    let busy = Busy::new();
    let refused = busy.commit(&busy.telling("pause")).run().fails();
    refused.says(busy.bundle.id()).says("no such luck").says("--pause=false").discard();
    assert_eq!(busy.img.entries().len(), 1);
    busy.commit(&busy.telling("list")).run().fails().says("no such luck").discard();
    busy.commit(Path::new("/nonexistent")).run().fails().says("/nonexistent").discard();
    let stuck = busy.commit(&busy.telling("resume")).run().fails();
    stuck.says("stays paused").says(busy.bundle.id()).discard();
    assert_eq!(busy.runtime.status(busy.bundle.id()), "paused");
    busy.runtime.command(["resume", busy.bundle.id()]).run().succeeds().discard();
    busy.end();
}

#[test]
fn privileged_a_commit_that_fails_lets_the_container_go_on() {
    let busy = Busy::new();
    let odd = busy.bundle.path(".wh.odd");
    fs::write(&odd, "").expect("writable");
    busy.commit(&runtime::program()).run().fails().says(".wh.odd").discard();
    assert_eq!(busy.runtime.status(busy.bundle.id()), "running");
    busy.end();
}
