//! An ordinary user with a store of their own.

use mydocker_tests::img::{FakeRegistry, Img, SampleImage, Served, program, sha256};
use mydocker_tests::user::UID;
use mydocker_tests::{Invocation, Runtime, User};
use serde_json::json;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

/// An image with a shell, and with things that only root can make.
fn image(img: &Img) -> SampleImage {
    let place = img.path("root");
    fs::create_dir(&place).expect("room");
    let script = "mkdir bin private; cp \"$(command -v busybox)\" bin/busybox; ln -s busybox bin/sh
        mknod null c 1 3; touch own; chown 12:34 own; chmod 6711 own; echo secret >private/file; chmod 700 private";
    let made = Command::new("sh").args(["-ec", script]).current_dir(&place).status().expect("a shell");
    assert!(made.success());
    let mut tar = Command::new("tar");
    tar.args(["--numeric-owner", "-C"]).arg(&place).args(["-cf", "-", "."]);
    let layer = tar.output().expect("tar").stdout;
    let whiteouts = mydocker_tests::img::tar_of_one_file(".wh.own", b"");
    let mut image = SampleImage::new(&[b"", b""]);
    let diff_ids = [sha256(&layer), sha256(&whiteouts)];
    image.layers = vec![layer, whiteouts];
    image.with(|config| {
        config["rootfs"]["diff_ids"] = json!(diff_ids);
        config["config"]["Cmd"] = json!(["/bin/sh", "-c", "busybox id -u; busybox cat /private/file"]);
    })
}

#[test]
fn privileged_an_ordinary_user_pulls_lists_unpacks_and_runs() {
    let (runtime, img) = (Runtime::new(), Img::new());
    let user = User::new(&runtime);
    let registry = FakeRegistry::good(Served::image("1", &image(&img)));
    let name = registry.name("a:1");
    let words =
        |words: &[&str]| user.runs(Invocation::new(&runtime.scratch().join("out"), [program()]).args(words));
    words(&["pull", &name]).run().succeeds().discard();
    let store = user.home().join(".local/share/mydocker/images");
    assert_eq!(fs::metadata(&store).expect("the user's store").uid(), UID);
    assert_eq!(fs::metadata(&store).expect("the user's store").mode() & 0o777, 0o700);
    let listed = words(&["images", "--format", "{{.Repository}}:{{.Tag}}"]).run().succeeds().stdout;
    assert_eq!(listed, format!("{name}\n"));
    words(&["fsck"]).run().succeeds().discard();
    let bundle = user.home().join("bundle");
    let directory = bundle.to_str().expect("UTF-8");
    words(&["bundle", &name, directory]).run().succeeds().discard();
    assert_eq!(fs::metadata(bundle.join("rootfs/bin/busybox")).expect("a file").uid(), UID);
    assert!(!bundle.join("rootfs/own").exists() && !bundle.join("rootfs/null").exists());
    let run = user.command(&["run", "--bundle", directory, &format!("{}-user", runtime.name())]);
    assert_eq!(run.run().succeeds().stdout, "0\nsecret\n");
    let refused =
        words(&["bundle", "--overlay", &name, user.home().join("other").to_str().expect("UTF-8")]).run();
    refused.fails().says("takes root").says("copies").discard();
    assert!(!user.home().join("other").exists());
    words(&["mount", &name]).run().fails().says("takes root").discard();
    assert_eq!(fs::read_dir(store.join("mounts")).expect("the store").count(), 0);
    assert_eq!(fs::read_dir(store.join("leases")).expect("the store").count(), 0);
    img.command(["images"]).run().succeeds().discard();
    let of_root = img.path("store");
    let refused = words(&["--root", of_root.to_str().expect("UTF-8"), "images"]).run().fails();
    refused.says("is not for this user").says("--root").discard();
    words(&["rmi", &name]).run().succeeds().discard();
    assert_eq!(fs::read_dir(store.join("layers/sha256")).expect("the store").count(), 0);
}
