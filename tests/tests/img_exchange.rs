//! Through a registry: what is committed here others pull and run, and what they push runs here.

use mydocker_tests::img::engines::{Containerd, Podman};
use mydocker_tests::img::{Img, Registry};
use mydocker_tests::plug::BUSYBOX;
use std::fs;
use std::process::Command;

/// busybox with a layer of what another layer can take away or hide.
const BASE: &str = "mydocker.test/base:1";

fn with_base() -> Img {
    let img = Img::with_busybox();
    let upper = img.path("base");
    for (name, text) in [("etc/fstab", "none"), ("var/lib/apt/lists/one", "1"), ("var/lib/apt/two", "2")] {
        img.write(&format!("base/{name}"), text);
    }
    img.command(["commit", "--base", BUSYBOX, "--upper"]).arg(upper).arg(BASE).run().succeeds().discard();
    img
}

/// Commits a change with every trap that a layer has, and pushes it.
fn pushed(registry: &Registry, compression: &str) -> String {
    let img = with_base();
    let bundle = img.path("bundle");
    img.command(["bundle", BASE]).arg(&bundle).run().succeeds().discard();
    let script = "rm etc/fstab; rm -r var/lib/apt; mkdir -p var/lib/apt/new; echo text > own; chmod 4755 own; ln own own2";
    let done = Command::new("sh").args(["-ec", script]).current_dir(bundle.join("rootfs")).status();
    assert!(done.expect("a shell").success());
    let name = registry.name(&format!("made:{compression}"));
    img.command(["commit", "--compression", compression]).arg(&bundle).arg(&name).run().succeeds().discard();
    img.command(["push", &name]).run().succeeds().discard();
    name
}

/// What a container of the pushed image prints.
const LOOK: &str = "cat /own; ls -A /var/lib/apt; stat -c '%a %h' /own2; test -e /etc/fstab || echo gone";
const SEEN: &str = "text\nnew\n4755 2\ngone\n";

#[test]
fn privileged_podman_pulls_and_runs_what_is_committed_and_pushed() {
    // Whoever is made first ends last, and demands that no process is left.
    let podman = Podman::new();
    let registry = Registry::new();
    for compression in ["gzip", "zstd", "none"] {
        let name = pushed(&registry, compression);
        podman.command(["pull", "--tls-verify=false", &name]).run().succeeds().discard();
        assert_eq!(podman.run(&name, ["sh", "-c", LOOK]), SEEN, "{compression}");
    }
}

#[test]
fn privileged_containerd_pulls_and_runs_what_is_committed_and_pushed() {
    let containerd = Containerd::new();
    let registry = Registry::new();
    for compression in ["gzip", "zstd", "none"] {
        let name = pushed(&registry, compression);
        containerd.command(["images", "pull", "--plain-http", &name]).run().succeeds().discard();
        assert_eq!(containerd.run(&name, ["sh", "-c", LOOK]), SEEN, "{compression}");
        containerd.command(["images", "rm", &name]).run().succeeds().discard();
    }
}

/// Pulls an image and runs it with the runtime under test.
fn run_here(name: &str) -> String {
    let img = Img::new();
    img.pull(name).run().succeeds().discard();
    let bundle = img.path("bundle");
    img.command(["bundle", name]).arg(&bundle).run().succeeds().discard();
    let mut command = Command::new(mydocker_tests::runtime::program());
    command.arg("--root").arg(img.path("state")).args(["run", "--bundle"]).arg(&bundle);
    let outcome = command.arg(format!("exchange-{}", std::process::id())).output().expect("a runtime");
    assert!(outcome.status.success(), "{}", String::from_utf8_lossy(&outcome.stderr));
    String::from_utf8_lossy(&outcome.stdout).into_owned()
}

#[test]
fn privileged_what_podman_commits_and_pushes_is_pulled_and_run() {
    let podman = Podman::new();
    let registry = Registry::new();
    let img = with_base();
    let archive = img.path("archive");
    img.command(["save", BASE, "--output"]).arg(&archive).run().succeeds().discard();
    podman.command(["load", "--input"]).arg(&archive).run().succeeds().discard();
    let script = "rm /etc/fstab; rm -r /var/lib/apt; mkdir -p /var/lib/apt/new; echo text > /own; chmod 4755 /own; ln /own /own2";
    let create = podman.create("changed", BASE, ["sh", "-ec", script]);
    create.run().succeeds().discard();
    podman.command(["start", "--attach", "changed"]).run().succeeds().discard();
    for (format, compression) in [("oci", "gzip"), ("docker", "gzip"), ("oci", "zstd")] {
        let name = registry.name(&format!("podmans-{format}-{compression}:1"));
        let command = format!("CMD [\"sh\", \"-c\", \"{LOOK}\"]");
        let commit = podman.command(["commit", "--format", format, "--change", &command, "changed", &name]);
        commit.run().succeeds().discard();
        let push = ["push", "--tls-verify=false", "--compression-format", compression, &name];
        podman.command(push).run().succeeds().discard();
        assert_eq!(run_here(&name), SEEN, "{format} {compression}");
    }
    podman.command(["rm", "changed"]).run().succeeds().discard();
}

#[test]
fn privileged_what_containerd_pushes_is_pulled_and_run() {
    let containerd = Containerd::new();
    let registry = Registry::new();
    let img = Img::with_busybox();
    let upper = img.path("upper");
    fs::create_dir(&upper).expect("writable");
    fs::write(upper.join("own"), b"text\n").expect("writable");
    let name = registry.name("theirs:1");
    let commit = img.command(["commit", "--change", "CMD [\"cat\", \"/own\"]", "--base", BUSYBOX, "--upper"]);
    commit.arg(&upper).arg(&name).run().succeeds().discard();
    img.command(["push", &name]).run().succeeds().discard();
    let converted = registry.name("theirs:2");
    containerd.command(["images", "pull", "--plain-http", &name]).run().succeeds().discard();
    let convert = ["images", "convert", "--uncompress", "--oci", &name, &converted];
    containerd.command(convert).run().succeeds().discard();
    containerd.command(["images", "push", "--plain-http", &converted]).run().succeeds().discard();
    assert_eq!(run_here(&converted), "text\n");
}
