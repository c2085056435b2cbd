//! Unpacked layers, compared with what other programs make of the same blobs.

use mydocker_tests::img::engines::Containerd;
use mydocker_tests::img::{FakeRegistry, Img, Registry, SampleImage, Served, sha256, tree};
use mydocker_tests::plug;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn run(command: &mut Command) -> String {
    let output = command.output().expect("the program is installed");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A registry with an image of Debian in it.
fn debian(name: &str) -> (Registry, String) {
    let registry = Registry::new();
    let name = registry.name(name);
    run(Command::new("skopeo")
        .args([
            "copy",
            "--dest-tls-verify=false",
            "--dest-compress-format",
            "gzip",
            "--dest-compress-level",
            "1",
        ])
        .arg(format!("docker-archive:{}", plug::image_archive().display()))
        .arg(format!("docker://{name}")));
    (registry, name)
}

fn document(img: &Img, digest: &str) -> Value {
    let path = img.layout().join("blobs/sha256").join(&digest["sha256:".len()..]);
    serde_json::from_slice(&fs::read(path).expect("a blob")).expect("JSON")
}

/// The directories of the layers of the only image in the store.
fn layers(img: &Img) -> Vec<PathBuf> {
    let manifest = document(img, img.entries()[0]["digest"].as_str().expect("a digest"));
    let config = document(img, manifest["config"]["digest"].as_str().expect("a digest"));
    let diff_ids = config["rootfs"]["diff_ids"].as_array().expect("a list").iter();
    diff_ids.map(|id| layer(img, id.as_str().expect("a digest"))).collect()
}

fn layer(img: &Img, diff_id: &str) -> PathBuf {
    img.path("store/layers/sha256").join(&diff_id["sha256:".len()..])
}

fn unfinished(img: &Img) -> usize {
    fs::read_dir(img.path("store/unpacking")).expect("the store").count()
}

#[test]
fn privileged_a_layer_of_debian_is_what_gnu_tar_makes_of_it() {
    let img = Img::new();
    let (_registry, name) = debian("debian:12");
    img.pull(&name).run().succeeds().discard();
    let archive = img.path("debian");
    run(Command::new("mkdir").arg(&archive));
    run(Command::new("tar")
        .arg("-C")
        .arg(&archive)
        .args(["--numeric-owner", "--xattrs", "--xattrs-include=*", "-xpf"])
        .arg(xtask::rootfs::archive(xtask::rootfs::Kind::Debian).expect("an archive")));
    let layers = layers(&img);
    assert_eq!(layers.len(), 1);
    let ours = tree::list(&layers[0]);
    assert!(ours.len() > 1000, "{} entries", ours.len());
    tree::assert_same(&ours, &tree::list(&archive));
    assert_eq!(unfinished(&img), 0);
}

#[test]
fn a_layer_that_is_not_that_of_its_configuration_is_refused_and_leaves_nothing() {
    let mut image = SampleImage::new(&[b"one", b"two"]);
    let wrong = sha256(b"something else");
    let config = String::from_utf8(image.config.clone()).expect("JSON");
    image.config = config.replace(&sha256(&image.layers[1]), &wrong).into_bytes();
    image.manifest = image.manifest_json().to_string().into_bytes();
    let registry = FakeRegistry::good(Served::image("1", &image));
    let img = Img::new();
    img.pull(&registry.name("a:1")).run().fails().says(&wrong).says(&sha256(&image.layers[1])).discard();
    assert!(img.entries().is_empty());
    assert_eq!(unfinished(&img), 0);
    assert!(!layer(&img, &wrong).exists() && !layer(&img, &sha256(&image.layers[1])).exists());
}

#[test]
fn a_layer_that_is_missing_is_unpacked_again_without_asking_for_its_blob() {
    let image = SampleImage::new(&[b"one"]);
    let registry = FakeRegistry::good(Served::image("1", &image));
    let img = Img::new();
    let name = registry.name("a:1");
    img.pull(&name).run().succeeds().discard();
    let directory = layers(&img).remove(0);
    assert_eq!(fs::read(directory.join("0")).expect("a file"), b"one");
    fs::remove_dir_all(&directory).expect("the store");
    img.pull(&name).run().succeeds().discard();
    assert_eq!(fs::read(directory.join("0")).expect("a file"), b"one");
    let blob = sha256(&image.layers[0]);
    let asked = registry.server.requests().iter().filter(|request| request.target.ends_with(&blob)).count();
    assert_eq!(asked, 1);
}

#[test]
fn a_hostile_layer_changes_nothing_and_is_told_by_its_entry() {
    let img = Img::new();
    let canary = img.write("canary", "unharmed");
    let up = Path::new("../../../..").join("canary");
    let mut image = SampleImage::new(&[b"one"]);
    image.layers[0] = mydocker_tests::img::tar_of_one_file(up.to_str().expect("UTF-8"), b"changed");
    image.config = format!(
        r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":["{}"]}}}}"#,
        sha256(&image.layers[0])
    )
    .into_bytes();
    image.manifest = image.manifest_json().to_string().into_bytes();
    let registry = FakeRegistry::good(Served::image("1", &image));
    img.pull(&registry.name("a:1")).run().fails().says("../../../../canary").says("refused").discard();
    assert_eq!(fs::read_to_string(canary).expect("the canary"), "unharmed");
    assert!(img.entries().is_empty());
    assert_eq!(unfinished(&img), 0);
}

/// The name in the registry of an image of Debian with a second layer that umoci makes of changes of every kind.
fn changed_debian(img: &Img) -> (Registry, String) {
    let (registry, name) = debian("debian:12");
    let (layout, bundle) = (img.path("umoci"), img.path("umoci-bundle"));
    let tagged = format!("{}:changed", layout.display());
    run(Command::new("skopeo")
        .args(["copy", "--src-tls-verify=false"])
        .args([format!("docker://{name}"), format!("oci:{tagged}")]));
    run(Command::new("umoci").args(["unpack", "--image", &tagged]).arg(&bundle));
    let script = "set -e; rm -r var/log/apt usr/share/doc var/lib/apt; rm etc/fstab usr/bin/yes; \
        mkdir -p own usr/bin/yes var/lib/apt/new; echo x > own/x; chown 7:8 own/x; chmod 4755 own/x; ln own/x own/y; \
        touch -d '2001-02-03 04:05:06.789' own/x; ln -s x own/z; mkfifo own/pipe; mknod own/null c 1 3; \
        echo web:x:33:34::/:/bin/sh > etc/passwd; echo web:x:34: > etc/group";
    run(Command::new("sh").args(["-c", script]).current_dir(bundle.join("rootfs")));
    run(Command::new("umoci").args(["repack", "--image", &tagged]).arg(&bundle));
    let config = ["config", "--image", &tagged, "--config.user", "web", "--config.env", "GREETING=hello"];
    run(Command::new("umoci").args(config).args(["--config.workingdir", "/own"]).args([
        "--config.cmd",
        "sh",
        "--config.cmd",
        "-c",
        "--config.cmd",
        "echo $GREETING; id -u; id -g; pwd; cat x",
    ]));
    run(Command::new("skopeo")
        .args(["copy", "--dest-tls-verify=false", &format!("oci:{tagged}")])
        .arg(format!("docker://{name}")));
    (registry, name)
}

/// Runs its arguments where the hierarchy of v2 beside those of v1 says that it has no controllers: crun refuses a host that
/// has some in both.
const HIDE_CONTROLLERS: &str = r#"
for list in /sys/fs/cgroup/*/cgroup.controllers; do
    test -e /sys/fs/cgroup/cgroup.controllers || test ! -e "$list" || mount --bind /dev/null "$list"
done
exec "$@"
"#;

#[test]
fn privileged_a_bundle_is_what_umoci_and_containerd_make_of_the_image_and_runtimes_run_it() {
    // Whoever is made first ends last, and demands that no process is left.
    let containerd = Containerd::new();
    let img = Img::new();
    let (_registry, name) = changed_debian(&img);
    img.pull(&name).run().succeeds().discard();
    let (ours, theirs) = (img.path("bundle"), img.path("theirs"));
    img.command(["bundle", &name]).arg(&ours).run().succeeds().discard();
    let image = format!("{}:{name}", img.layout().display());
    run(Command::new("skopeo")
        .args(["copy", &format!("oci:{image}")])
        .arg(format!("oci:{}:final", img.path("copy").display())));
    run(Command::new("umoci")
        .args(["unpack", "--image", &format!("{}:final", img.path("copy").display())])
        .arg(&theirs));
    let listing = tree::list(&ours.join("rootfs"));
    assert!(!listing.contains_key(Path::new("usr/share/doc")) && listing.contains_key(Path::new("own/null")));
    tree::assert_same(&listing, &tree::list(&theirs.join("rootfs")));
    // The highest layer has something in these and says nothing of them; containerd leaves them the time of unpacking.
    let [ours_untimed, theirs_untimed] = [listing, containerd.snapshot(&name)]
        .map(|listing| tree::without_times(listing, &["", "usr", "var"]));
    tree::assert_same(&ours_untimed, &theirs_untimed);
    let own = mydocker_tests::runtime::program();
    let runtimes = [Path::new("runc"), Path::new("crun"), &own];
    for (number, runtime) in runtimes.into_iter().enumerate() {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "slave", "sh", "-ec", HIDE_CONTROLLERS, "sh"]).arg(runtime);
        command.arg("--root").arg(img.path(&format!("state-{number}"))).args(["run", "--bundle"]).arg(&ours);
        let said = run(command.arg(format!("img-{}-{number}", std::process::id())));
        assert_eq!(said, "hello\n33\n34\n/own\nx\n", "{}", runtime.display());
    }
    img.command(["bundle", &name]).arg(&ours).run().fails().says("not empty").discard();
}
