//! A damaged store: what is wrong is told, what can be mended is, and the next pull brings the rest.

use mydocker_tests::img::{FakeRegistry, Img, SampleImage, Served, sha256, tar_of_one_file};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

/// A store with an image of two layers under `a:1`.
fn pulled() -> (Img, FakeRegistry, SampleImage, String) {
    let image = SampleImage::new(&[b"one", b"second"]);
    let registry = FakeRegistry::good(Served::image("1", &image));
    let (img, name) = (Img::new(), registry.name("a:1"));
    img.pull(&name).run().succeeds().discard();
    (img, registry, image, name)
}

fn hex(bytes: &[u8]) -> String {
    sha256(bytes)["sha256:".len()..].to_owned()
}

fn blob(img: &Img, content: &[u8]) -> PathBuf {
    img.layout().join("blobs/sha256").join(hex(content))
}

fn is_whole(img: &Img) -> String {
    img.command(["fsck"]).run().succeeds().stdout
}

#[test]
fn a_store_that_is_whole_is_said_to_be() {
    let empty = Img::new();
    assert_eq!(is_whole(&empty), "0 blobs, 0 layers and 0 names checked: 0 problems, 0 mended\n");
    let (img, ..) = pulled();
    img.write("store/ingest/sha256-x", "half a blob");
    let told = "1 unfinished, which the next pull goes on with or gc removes\n\
                4 blobs, 2 layers and 1 names checked: 0 problems, 0 mended\n";
    assert_eq!(is_whole(&img), told);
    assert_eq!(img.command(["fsck", "--repair"]).run().succeeds().stdout, told);
}

#[test]
fn each_kind_of_damaged_blob_is_moved_away_and_pulled_again() {
    let (img, registry, image, name) = pulled();
    for content in [&image.layers[0], &image.manifest, &image.config] {
        let path = blob(&img, content);
        // As long as before: only the digest tells.
        fs::write(&path, vec![b' '; content.len()]).expect("the store");
        let digest = sha256(content);
        let outcome = img.command(["fsck"]).run().exits(1);
        assert!(outcome.stdout.contains(&format!("wrong: blob {digest} is damaged")), "{}", outcome.stdout);
        outcome.says("is still wrong").discard();
        assert!(path.is_file(), "without --repair nothing changes");
        let told = img.command(["fsck", "--repair"]).run().exits(1).stdout;
        assert!(told.contains(&format!("mended: blob {digest} is damaged")), "{told}");
        assert!(told.contains(&format!("wrong: image {name} lacks {digest}; pull it again\n")), "{told}");
        assert!(!path.exists() && img.path("store/damaged").join(digest.replace(':', "-")).is_file());
        assert!(img.command(["fsck"]).run().exits(1).stdout.contains(" lacks "));
        img.pull(&name).run().succeeds().discard();
        is_whole(&img);
        img.blobs_are_right();
    }
    img.command(["gc"]).run().succeeds().discard();
    assert!(!img.path("store/damaged").exists());
    drop(registry);
}

#[test]
fn layers_that_are_none_are_removed_and_sizes_are_found_again() {
    let (img, _registry, image, _) = pulled();
    let size = img.path(&format!("store/layers/sha256/{}.size", hex(&image.layers[1])));
    fs::remove_file(&size).expect("the store");
    img.write("store/unpacking/1-0-abc/deep/file", "half");
    let odd = img.write(&format!("store/layers/sha256/{}", "0".repeat(64)), "no directory");
    let stranger = img.write("store/oci/blobs/sha256/readme", "not by digest");
    let told = img.command(["fsck"]).run().exits(1).stdout;
    assert!(told.contains(&hex(&image.layers[1])) && told.contains("is no directory"), "{told}");
    assert!(img.path("store/unpacking/1-0-abc").exists());
    let told = img.command(["fsck", "--repair"]).run().exits(1).stdout;
    assert!(told.contains("mended: ") && told.contains("it is 6 bytes"), "{told}");
    assert!(told.contains("1-0-abc is half unpacked: removed"), "{told}");
    assert!(told.contains(&format!("wrong: {:?} is no blob", stranger)), "{told}");
    assert_eq!(fs::read_to_string(size).expect("the size"), "6");
    assert!(!odd.exists() && !img.path("store/unpacking/1-0-abc").exists());
    fs::remove_file(stranger).expect("the store");
    is_whole(&img);
}

#[test]
fn a_lost_list_of_names_is_made_anew_from_its_copy() {
    let (img, _registry, image, name) = pulled();
    img.command(["tag", &name, "again"]).run().succeeds().discard();
    let path = img.layout().join("index.json");
    let before: Value = serde_json::from_slice(&fs::read(&path).expect("an index")).expect("JSON");
    for damage in [None, Some("{\"schemaVersion\":2,\"manif")] {
        match damage {
            None => fs::remove_file(&path).expect("the store"),
            Some(text) => fs::write(&path, text).expect("the store"),
        }
        img.command(["images"]).run().fails().says("index.json").discard();
        img.command(["gc"]).run().fails().discard();
        img.pull(&name).run().fails().discard();
        assert!(img.has_blob(&image.digest()), "nothing goes while it is not known what is needed");
        assert!(img.command(["fsck"]).run().exits(1).stdout.contains("; --repair makes a new one"));
        let told = img.command(["fsck", "--repair"]).run().succeeds().stdout;
        assert!(told.contains("made anew, with 2 images"), "{told}");
        let now: Value = serde_json::from_slice(&fs::read(&path).expect("an index")).expect("JSON");
        assert_eq!(now, before);
        is_whole(&img);
    }
}

#[test]
fn without_a_copy_names_come_from_the_documents_and_what_has_none_is_told() {
    let named = SampleImage::new(&[b"named"]);
    let mut manifest = named.manifest_json();
    manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": "docker.io/library/known:1" });
    let named = SampleImage { manifest: manifest.to_string().into_bytes(), ..named };
    let (img, _registry, image, _) = pulled();
    let other = FakeRegistry::good(Served::image("1", &named));
    img.pull(&other.name("b:1")).run().succeeds().discard();
    fs::remove_file(img.layout().join("index.json")).expect("the store");
    fs::remove_file(img.path("store/index.copy")).expect("the store");
    let told = img.command(["fsck", "--repair"]).run().exits(1).stdout;
    assert!(told.contains(&format!("wrong: image {} has lost its name", image.digest())), "{told}");
    let id = &hex(&image.config)[..12];
    assert!(told.contains(&format!("'tag {id} NAME'")), "{told}");
    let listed =
        img.command(["images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"]).run().succeeds().stdout;
    assert!(listed.contains("known:1 ") && listed.contains(&format!("<none>:<none> {id}")), "{listed}");
    img.command(["tag", id, "found"]).run().succeeds().discard();
    assert_eq!(img.entries().len(), 2);
    is_whole(&img);
    img.command(["gc"]).run().succeeds().discard();
    assert!(img.has_blob(&image.digest()) && img.has_blob(&named.digest()));
}

#[test]
fn what_a_lease_needs_has_to_be_there() {
    let (img, _registry, image, name) = pulled();
    let target = json!({
        "mediaType": image.media_type, "digest": image.digest(), "size": image.manifest.len(),
    });
    let lease = json!({ "kind": "container", "image": target, "owner": img.path("home") });
    img.write("store/leases/web", &lease.to_string());
    img.command(["rmi", "-f", &name]).run().succeeds().discard();
    is_whole(&img);
    let layer = img.path(&format!("store/layers/sha256/{}", hex(&image.layers[0])));
    fs::remove_dir_all(&layer).expect("the store");
    assert!(img.command(["fsck"]).run().exits(1).stdout.contains("1 layers of container"));
    let told = img.command(["fsck", "--repair"]).run().succeeds().stdout;
    assert!(told.contains("are not unpacked") && layer.join("0").is_file(), "{told}");
    fs::remove_file(blob(&img, &image.layers[0])).expect("the store");
    let owner = img.path("home");
    let told = img.command(["fsck"]).run().exits(1).stdout;
    assert!(told.contains(&format!("the image of container {} lacks", owner.display())), "{told}");
    fs::write(img.path("store/leases/web"), "{").expect("the store");
    assert!(img.command(["fsck", "--repair"]).run().exits(1).stdout.contains("leases/web"));
}

/// An image with a whiteout and a file in a directory of the layer below, so that its second layer needs the first.
fn stacked() -> (Img, FakeRegistry, String) {
    let mut image = SampleImage::new(&[b"", b""]);
    let lower = tar_of_one_file("directory/file", b"text");
    let upper =
        [&tar_of_one_file("directory/other", b"more")[..1024], &tar_of_one_file(".wh.gone", b"")].concat();
    let diff_ids = [sha256(&lower), sha256(&upper)];
    image.layers = vec![lower, upper];
    let image = image.with(|config| config["rootfs"]["diff_ids"] = json!(diff_ids));
    let registry = FakeRegistry::good(Served::image("1", &image));
    let (img, name) = (Img::new(), registry.name("a:1"));
    img.pull(&name).run().succeeds().discard();
    (img, registry, name)
}

/// The unpacked layer that has a file.
fn layer_with(img: &Img, file: &str) -> PathBuf {
    let layers = fs::read_dir(img.path("store/layers/sha256")).expect("the store");
    let mut layers = layers.map(|entry| entry.expect("readable").path());
    layers.find(|path| path.join(file).symlink_metadata().is_ok()).expect("unpacked")
}

#[test]
fn privileged_a_layer_that_was_changed_is_found_and_unpacked_again() {
    let (img, _registry, name) = stacked();
    let deep = |repair: &[&str]| img.command(["fsck", "--deep"]).args(repair).run();
    assert!(deep(&[]).succeeds().stdout.contains("2 layers compared with their blobs\n"));
    let (lower, upper) = (layer_with(&img, "directory/file"), layer_with(&img, "directory/other"));
    let damages: [(&PathBuf, &str, &dyn Fn()); 4] = [
        (&lower, "directory/file", &|| fs::write(lower.join("directory/file"), "evil").expect("the store")),
        (&lower, "directory/new", &|| fs::write(lower.join("directory/new"), "").expect("the store")),
        (&upper, "gone", &|| fs::remove_file(upper.join("gone")).expect("a whiteout")),
        (&upper, "directory", &|| fs::remove_dir_all(upper.join("directory")).expect("the store")),
    ];
    for (layer, first, damage) in damages {
        damage();
        // What is fast does not see it.
        is_whole(&img);
        let told = deep(&[]).exits(1).stdout;
        let key = layer.file_name().expect("a name").to_str().expect("hex");
        assert!(told.contains(&format!("wrong: layer sha256:{key} is not what is in its blob")), "{told}");
        assert!(told.contains(&format!("first at \"{first}\"")), "{told}");
        let told = deep(&["--repair"]).succeeds().stdout;
        assert!(told.contains("mended: ") && told.contains("unpacked again"), "{told}");
        assert!(deep(&[]).succeeds().stdout.contains(" 0 problems"));
        assert_eq!(img.unfinished(), 0);
    }
    assert_eq!(fs::read(lower.join("directory/file")).expect("a file"), b"text");
    img.command(["gc"]).run().succeeds().discard();
    assert!(!img.path("store/damaged").exists());
    let copy = img.path("copy");
    img.command(["unpack", &name]).arg(&copy).run().succeeds().discard();
    assert_eq!(fs::read(copy.join("directory/other")).expect("a file"), b"more");
}

#[test]
fn privileged_a_layer_that_is_mounted_is_not_changed_below_who_uses_it() {
    let (img, _registry, name) = stacked();
    let view = img.path("view");
    fs::create_dir(&view).expect("writable");
    img.command(["mount", &name]).arg(&view).run().succeeds().discard();
    fs::write(layer_with(&img, "directory/file").join("directory/file"), "evil").expect("the store");
    let told = img.command(["fsck", "--deep", "--repair"]).run().exits(1).stdout;
    assert!(told.contains(&format!("mount {} lies on it", view.display())), "{told}");
    img.command(["unmount"]).arg(&view).run().succeeds().discard();
    img.command(["fsck", "--deep", "--repair"]).run().succeeds().discard();
    img.command(["fsck", "--deep"]).run().succeeds().discard();
}
