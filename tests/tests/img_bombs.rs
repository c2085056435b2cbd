//! Layers that become far more than what came: images may be so, and a few bytes must not fill a disk.

use mydocker_tests::img::{FakeRegistry, Img, Registry, SampleImage, Served, sha256, tar_of_one_file};
use serde_json::json;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// More than a GiB of zeros, with something at the end.
const LENGTH: u64 = (1 << 30) + (4 << 20);

/// A directory with a file of such a length, most of which is a hole.
fn zeros(img: &Img, length: u64) -> PathBuf {
    let directory = img.path("zeros");
    fs::create_dir(&directory).expect("writable");
    let file = File::create(directory.join("disk")).expect("writable");
    file.set_len(length - 4).expect("room");
    file.write_all_at(b"end\n", length - 4).expect("room");
    directory
}

/// An image from a tar with all the zeros in it, as docker and podman write them.
fn import_plain(img: &Img, directory: &Path, name: &str) {
    let mut tar = Command::new("tar");
    let tar = tar.arg("-C").arg(directory).args(["-cf", "-", "."]).stdout(Stdio::piped());
    let mut tar = tar.spawn().expect("tar");
    let archive = File::from(OwnedFd::from(tar.stdout.take().expect("a pipe")));
    let import = img.command(["import", "--compression", "zstd", "-", name]);
    import.stdin_file(archive).run().succeeds().discard();
    assert!(tar.wait().expect("it ends").success());
}

/// Demands that a file has the length and its end, and takes next to no room.
fn is_hollow(file: &Path, length: u64) {
    let stat = fs::metadata(file).expect("the file");
    assert_eq!(stat.len(), length);
    assert!(stat.blocks() * 512 < 1 << 20, "{} blocks", stat.blocks());
    let mut end = [0; 8];
    File::open(file).and_then(|file| file.read_exact_at(&mut end, length - 8)).expect("its end");
    assert_eq!(&end, b"\0\0\0\0end\n");
}

/// The file of the image's only layer in the store.
fn in_store(img: &Img, name: &str) -> PathBuf {
    let (_, config) = img.image(name);
    let diff_id = config["rootfs"]["diff_ids"][0].as_str().expect("a digest").replace(':', "/");
    img.path("store/layers").join(diff_id).join("disk")
}

#[test]
fn privileged_more_than_a_gibibyte_of_zeros_is_pushed_and_pulled() {
    let (img, registry) = (Img::new(), Registry::new());
    let directory = zeros(&img, LENGTH);
    let names = [registry.name("sparse:1"), registry.name("plain:1")];
    let commit = img.command(["commit", "--compression", "zstd", "--base", "scratch", "--upper"]);
    commit.arg(&directory).arg(&names[0]).run().succeeds().discard();
    import_plain(&img, &directory, &names[1]);
    for name in &names {
        img.command(["push", name]).run().succeeds().discard();
        let other = Img::new();
        other.pull(name).run().succeeds().discard();
        is_hollow(&in_store(&other, name), LENGTH);
    }
}

#[test]
fn privileged_zeros_take_no_room_on_the_way_through_archives_and_bundles() {
    const LENGTH: u64 = 64 << 20;
    let (img, other) = (Img::new(), Img::new());
    import_plain(&img, &zeros(&img, LENGTH), "zeros:1");
    is_hollow(&in_store(&img, "docker.io/library/zeros:1"), LENGTH);
    // In an archive of docker's, layers are not compressed, and the whole may be.
    let (archive, compressed) = (img.path("archive"), img.path("archive.zst"));
    img.command(["save", "zeros:1", "--output"]).arg(&archive).run().succeeds().discard();
    let (from, to) =
        (File::open(&archive).expect("the archive"), File::create(&compressed).expect("writable"));
    zstd::stream::copy_encode(from, to, 1).expect("room");
    other.command(["load", "--input"]).arg(&compressed).run().succeeds().discard();
    is_hollow(&in_store(&other, "docker.io/library/zeros:1"), LENGTH);
    assert!(room_of(&other.path("store")) < 4 << 20);
    other.command(["fsck", "--deep"]).run().succeeds().discard();
    let tree = other.path("tree");
    other.command(["unpack", "zeros:1"]).arg(&tree).run().succeeds().discard();
    is_hollow(&tree.join("disk"), LENGTH);
    assert_eq!(other.unfinished(), 0);
}

/// What the files of a directory take, in bytes.
fn room_of(directory: &Path) -> u64 {
    let output = Command::new("du").args(["-s", "-B1"]).arg(directory).output().expect("du");
    let text = String::from_utf8(output.stdout).expect("text");
    text.split_whitespace().next().and_then(|size| size.parse().ok()).expect("a size")
}

/// A registry with an image of one layer, compressed with zstd.
fn registry_with(tar: &[u8]) -> FakeRegistry {
    let mut image = SampleImage::new(&[b""]);
    image.layers = vec![zstd::encode_all(tar, 3).expect("memory")];
    let image = image.with(|config| config["rootfs"]["diff_ids"] = json!([sha256(tar)]));
    FakeRegistry::good(Served::image("1", &image))
}

#[test]
fn bombs_are_refused_by_bounds_that_can_be_changed() {
    let file = tar_of_one_file("a", &vec![7; 5 << 20]);
    let many: Vec<u8> =
        (0..40).flat_map(|number| tar_of_one_file(&number.to_string(), b"")[..512].to_vec()).collect();
    let many = [many, vec![0; 1024]].concat();
    for (tar, name, bound, enough, text) in [
        (&file, "MYDOCKER_LAYER_BYTES", "4M", "6m", "has more than 4194304 bytes"),
        (&many, "MYDOCKER_LAYER_ENTRIES", "39", "40", "has more than 39 entries"),
    ] {
        let registry = registry_with(tar);
        let (img, image) = (Img::new(), registry.name("bomb:1"));
        let outcome = img.pull(&image).env(name, bound).run().fails().says(text);
        assert!(outcome.stderr.contains(name), "{}", outcome.describe());
        assert!(img.entries().is_empty());
        assert_eq!(fs::read_dir(img.path("store/unpacking")).expect("the store").count(), 0);
        img.command(["fsck"]).run().succeeds().discard();
        img.pull(&image).env(name, enough).run().succeeds().discard();
        img.command(["images"]).env(name, "many").run().fails().says("is no bound").discard();
    }
}
