//! Archives and layouts: what others write is loaded, and what is saved others load.

use mydocker_tests::Terminal;
use mydocker_tests::img::engines::{Containerd, Docker, Podman};
use mydocker_tests::img::{Img, SampleImage, sha256, tar_of_one_file, tree};
use mydocker_tests::plug::{BUSYBOX, IMAGE, busybox_archive};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn run(command: &mut Command) -> String {
    let output = command.output().expect("the program is installed");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// An image with a second layer.
const NEW: &str = "mydocker.test/new:1";

/// busybox with a second layer, under [`NEW`].
fn with_new(compression: &str) -> Img {
    with_second_layer(Img::with_busybox(), BUSYBOX, compression)
}

fn with_second_layer(img: Img, base: &str, compression: &str) -> Img {
    let upper = img.path("upper");
    fs::create_dir(&upper).expect("writable");
    fs::write(upper.join("own"), b"own text\n").expect("writable");
    let command =
        img.command(["commit", "--compression", compression, "--base", base, "--upper"]).arg(&upper);
    command.args(["--change", "CMD [\"cat\", \"/own\"]", NEW]).run().succeeds().discard();
    img
}

fn save(img: &Img, format: &str) -> PathBuf {
    let path = img.path(format);
    img.command(["save", "--format", format, "--output"]).arg(&path).arg(NEW).run().succeeds().discard();
    path
}

fn id(img: &Img, name: &str) -> String {
    img.image(name).0["config"]["digest"].as_str().expect("a digest").to_owned()
}

/// Loads into a new store.
fn loaded(from: &Path) -> Img {
    let img = Img::new();
    let told = img.command(["load", "--input"]).arg(from).run().succeeds().stdout;
    assert!(told.contains("Loaded image: "), "{told}");
    assert_eq!(img.unfinished(), 0);
    img.blobs_are_right();
    img
}

#[test]
fn privileged_what_is_saved_is_the_same_image_when_it_is_loaded() {
    let img = with_second_layer(Img::with_debian(), IMAGE, "zstd");
    for format in ["docker-archive", "oci-archive", "oci-dir"] {
        let other = loaded(&save(&img, format));
        assert_eq!(id(&other, NEW), id(&img, NEW), "{format}");
        let (one, two) = (img.path(&format!("from-{format}")), other.path("bundle"));
        img.command(["bundle", NEW]).arg(&one).run().succeeds().discard();
        other.command(["bundle", NEW]).arg(&two).run().succeeds().discard();
        tree::assert_same(&tree::list(&two.join("rootfs")), &tree::list(&one.join("rootfs")));
    }
    let first = fs::read(img.path("oci-archive")).expect("an archive");
    assert!(first == fs::read(save(&img, "oci-archive")).expect("an archive"), "not the same bytes");
}

/// The archives of an image with a layer of each compression, and the beginning of its id.
fn archives(img: &Img) -> ([PathBuf; 2], String) {
    let short = id(img, NEW)["sha256:".len()..][..12].to_owned();
    ([save(img, "docker-archive"), save(img, "oci-archive")], short)
}

#[test]
fn privileged_podman_loads_and_runs_what_is_saved() {
    for compression in ["gzip", "zstd"] {
        let img = with_new(compression);
        let (archives, short) = archives(&img);
        for archive in archives {
            let podman = Podman::new();
            podman.command(["load", "--input"]).arg(archive).run().succeeds().discard();
            assert!(podman.command(["images"]).run().succeeds().stdout.contains(&short));
            assert_eq!(podman.run(NEW, []), "own text\n");
        }
    }
}

#[test]
fn privileged_docker_loads_what_is_saved() {
    let docker = Docker::new();
    for compression in ["gzip", "zstd", "none"] {
        let img = with_new(compression);
        let ([archive, _], short) = archives(&img);
        docker.command(["load", "--input"]).arg(archive).run().succeeds().discard();
        assert!(docker.command(["images"]).run().succeeds().stdout.contains(&short), "{compression}");
    }
}

#[test]
fn privileged_containerd_loads_and_runs_what_is_saved() {
    let img = with_new("gzip");
    let (archives, _) = archives(&img);
    let containerd = Containerd::new();
    for archive in archives {
        containerd.command(["images", "import"]).arg(archive).run().succeeds().discard();
        assert_eq!(containerd.run(NEW, ["cat", "/own"]), "own text\n");
        containerd.command(["images", "rm", NEW]).run().succeeds().discard();
    }
}

#[test]
fn privileged_skopeo_reads_what_is_saved() {
    let img = with_new("zstd");
    let ([docker_archive, oci_archive], _) = archives(&img);
    for (kind, archive) in [("docker-archive", &docker_archive), ("oci-archive", &oci_archive)] {
        let target = format!("dir:{}", img.path(&format!("dir-{kind}")).display());
        run(Command::new("skopeo").args(["copy", &format!("{kind}:{}", archive.display()), &target]));
    }
}

#[test]
fn privileged_what_podman_and_skopeo_save_is_loaded() {
    let podman = Podman::new();
    podman.command(["load", "--input"]).arg(busybox_archive(BUSYBOX)).run().succeeds().discard();
    let img = Img::with_busybox();
    let wanted = img.image(BUSYBOX).1["rootfs"].clone();
    for format in ["docker-archive", "oci-archive", "oci-dir"] {
        let path = img.path(&format!("podman-{format}"));
        podman
            .command(["save", "--format", format, "--output"])
            .arg(&path)
            .arg(BUSYBOX)
            .run()
            .succeeds()
            .discard();
        let name = if format == "oci-dir" { Some(BUSYBOX) } else { None };
        let other = Img::new();
        other.command(["load", "--input"]).arg(&path).args(name).run().succeeds().discard();
        assert_eq!(other.image(BUSYBOX).1["rootfs"], wanted, "{format}");
    }
    let path = img.path("skopeo");
    run(Command::new("skopeo")
        .args(["copy", &format!("docker-archive:{}", busybox_archive(BUSYBOX).display())])
        .arg(format!("oci-archive:{}:some/name:2", path.display())));
    assert_eq!(loaded(&path).image("docker.io/some/name:2").1["rootfs"], wanted);
}

#[test]
fn privileged_what_docker_saves_is_loaded() {
    let docker = Docker::new();
    docker.command(["load", "--input"]).arg(busybox_archive(BUSYBOX)).run().succeeds().discard();
    let img = Img::new();
    let path = img.path("docker");
    docker.command(["save", "--output"]).arg(&path).arg(BUSYBOX).run().succeeds().discard();
    let other = loaded(&path);
    other.command(["bundle", BUSYBOX]).arg(other.path("bundle")).run().succeeds().discard();
}

#[test]
fn archives_come_compressed_and_through_pipes_and_do_not_go_to_terminals() {
    let img = sample();
    let archive = img.path("archive");
    let saved = img.command(["save", "--format", "oci-archive", "it:1"]).run().succeeds();
    fs::write(&archive, &saved.stdout_bytes).expect("writable");
    run(Command::new("gzip").arg("--keep").arg(&archive));
    fs::write(img.path("archive.zst"), zstd(&archive)).expect("writable");
    for name in ["archive", "archive.gz", "archive.zst"] {
        let other = Img::new();
        let bytes = fs::read(img.path(name)).expect("an archive");
        let told = other.command(["load"]).stdin(bytes).run().succeeds().stdout;
        assert_eq!(told, "Loaded image: it:1\n", "{name}");
    }
    run(Command::new("xz").arg("--keep").arg(&archive));
    img.command(["load", "-i"]).arg(img.path("archive.xz")).run().fails().says("xz -dc").discard();
    let terminal_says = |words: &[&str]| {
        let mut seen = Terminal::open();
        let running = img.command(words.iter().copied()).on_terminal(&seen).spawn();
        let shown = seen.read_until("redirect");
        running.wait().exits(1).discard();
        shown
    };
    assert!(terminal_says(&["save", "it:1"]).contains("--output"));
    assert!(terminal_says(&["export", "it:1"]).contains("--output"));
    assert!(terminal_says(&["load"]).contains("--input"));
    a_terminal_gets_bars_of_a_load(&img);
    img.command(["save", "--format", "oci-dir", "it:1"]).run().fails().says("--output").discard();
    img.command(["save", "nothing"]).run().fails().says("nothing").discard();
    assert!(!img.path("nothing").exists());
}

/// On a terminal large layers are shown while they come, unless only names are wanted.
fn a_terminal_gets_bars_of_a_load(img: &Img) {
    let (archive, large) = (img.path("large.tar"), img.path("large"));
    fs::create_dir(&large).expect("writable");
    fs::write(large.join("file"), vec![1; 4 << 20]).expect("room");
    let commit = ["commit", "--compression", "none", "--base", "scratch", "large:1", "--upper"];
    img.command(commit).arg(&large).run().succeeds().discard();
    img.command(["save", "large:1", "--output"]).arg(&archive).run().succeeds().discard();
    for (quiet, has_bars) in [(&["--quiet"][..], false), (&[], true)] {
        let mut seen = Terminal::open();
        seen.resize(24, 100);
        let load = img.command(["load", "--input"]).arg(&archive).args(quiet);
        let running = load.on_terminal(&seen).spawn();
        let shown = seen.read_until("Loaded image: ");
        running.wait().succeeds().discard();
        assert_eq!(shown.contains(": Loaded\r\n"), has_bars, "{shown:?}");
    }
}

fn zstd(path: &Path) -> Vec<u8> {
    // zstd knows frames that are not compressed, so that no program is needed: magic number, a window, raw blocks.
    let content = fs::read(path).expect("a file");
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x58];
    let blocks = content.chunks(100_000);
    let count = blocks.len();
    for (number, block) in blocks.enumerate() {
        let header = (block.len() as u32) << 3 | u32::from(number + 1 == count);
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.extend_from_slice(block);
    }
    frame
}

/// A store with a small image under `it:1`.
fn sample() -> Img {
    let img = Img::new();
    let layout = img.path("layout");
    layout_of(&layout, &SampleImage::new(&[b"one", b"two"]), |_| ());
    img.command(["load", "--input"]).arg(&layout).arg("it:1").run().succeeds().discard();
    img
}

/// An OCI layout of an image, in which the test may change the index.
fn layout_of(layout: &Path, image: &SampleImage, change: impl Fn(&mut serde_json::Value)) {
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs).expect("writable");
    for blob in image.layers.iter().chain([&image.config, &image.manifest]) {
        fs::write(blobs.join(&sha256(blob)["sha256:".len()..]), blob).expect("writable");
    }
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("writable");
    let mut index = json!({
        "schemaVersion": 2,
        "manifests": [{ "mediaType": image.media_type, "digest": image.digest(), "size": image.manifest.len() }],
    });
    change(&mut index);
    fs::write(layout.join("index.json"), index.to_string()).expect("writable");
}

#[test]
fn an_image_without_a_name_wants_one() {
    let img = Img::new();
    let layout = img.path("layout");
    layout_of(&layout, &SampleImage::new(&[b"one"]), |index| {
        index["manifests"][0]["annotations"] = json!({ "org.opencontainers.image.ref.name": "1.0" });
    });
    img.command(["load", "--input"]).arg(&layout).run().fails().says("no name").discard();
    assert!(img.entries().is_empty());
    img.command(["load", "--input"]).arg(&layout).arg("it:2").run().succeeds().discard();
    assert_eq!(img.image("docker.io/library/it:2").1["os"], "linux");
}

/// Files of an archive in docker's old form: a directory for each layer, and links for what occurs twice.
fn docker_archive(img: &Img, change: impl Fn(&Path)) -> PathBuf {
    let place = img.path("docker-old");
    let layers = [tar_of_one_file("a", b"one"), tar_of_one_file("b", b"two")];
    let order = [&layers[0], &layers[1], &layers[0]];
    let diff_ids: Vec<_> = order.iter().map(|layer| sha256(layer)).collect();
    let config = json!({ "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": diff_ids } });
    for (number, layer) in layers.iter().enumerate() {
        let directory = place.join(number.to_string());
        fs::create_dir_all(&directory).expect("writable");
        fs::write(directory.join("VERSION"), "1.0").expect("writable");
        fs::write(directory.join("json"), "{}").expect("writable");
        fs::write(directory.join("layer.tar"), layer).expect("writable");
    }
    fs::create_dir_all(place.join("2")).expect("writable");
    std::os::unix::fs::symlink("../0/layer.tar", place.join("2/layer.tar")).expect("writable");
    fs::write(place.join("config.json"), config.to_string()).expect("writable");
    let files: Vec<_> = (0..3).map(|number| format!("{number}/layer.tar")).collect();
    let manifest = json!([
        { "Config": "config.json", "RepoTags": ["it:1", "other:2"], "Layers": files },
        { "Config": "config.json", "RepoTags": ["third:3"], "Layers": files },
    ]);
    fs::write(place.join("manifest.json"), manifest.to_string()).expect("writable");
    change(&place);
    let archive = img.path("docker-old.tar");
    run(Command::new("tar").arg("-C").arg(&place).arg("-cf").arg(&archive).arg("."));
    archive
}

#[test]
fn docker_s_old_archives_with_links_for_layers_that_occur_twice_are_loaded() {
    let img = Img::new();
    let archive = docker_archive(&img, |_| ());
    for from in [archive, img.path("docker-old")] {
        let other = Img::new();
        let told = other.command(["load", "--input"]).arg(&from).run().succeeds().stdout;
        assert_eq!(told, "Loaded image: it:1\nLoaded image: other:2\nLoaded image: third:3\n");
        assert_eq!(other.image("docker.io/library/it:1").0["layers"].as_array().map(Vec::len), Some(3));
    }
    let img = Img::new();
    let archive = docker_archive(&img, |place| {
        fs::remove_file(place.join("manifest.json")).expect("ours");
        fs::write(place.join("repositories"), "{}").expect("writable");
    });
    img.command(["load", "-i"]).arg(archive).run().fails().says("before version 1.10").discard();
}

#[test]
fn archives_that_are_not_what_they_say_are_refused_and_leave_nothing() {
    let refused = |change: &dyn Fn(&Path), says: &str| {
        let img = Img::new();
        let archive = docker_archive(&img, change);
        img.command(["load", "--input"]).arg(archive).run().fails().says(says).discard();
        assert_eq!((img.entries().len(), img.unfinished()), (0, 0), "{says}");
    };
    let write = |name: &'static str, text: &'static str| {
        move |place: &Path| fs::write(place.join(name), text).expect("writable")
    };
    refused(&write("manifest.json", "[{"), "manifest.json");
    refused(
        &write("manifest.json", r#"[{"Config":"../../etc/passwd","RepoTags":["a:1"],"Layers":[]}]"#),
        "passwd",
    );
    refused(
        &write("manifest.json", r#"[{"Config":"config.json","RepoTags":["a:1"],"Layers":["0/layer.tar"]}]"#),
        "3 diff_ids",
    );
    refused(
        &write("manifest.json", r#"[{"Config":"missing.json","RepoTags":["a:1"],"Layers":[]}]"#),
        "missing.json",
    );
    refused(&write("1/layer.tar", "no tar"), "layer");
    refused(
        &|place: &Path| fs::write(place.join("1/layer.tar"), tar_of_one_file("b", b"six")).expect("writable"),
        "digest",
    );
    refused(
        &|place: &Path| {
            fs::write(place.join("1/layer.tar"), tar_of_one_file("../up", b"two")).expect("writable")
        },
        "../up",
    );
    refused(
        &|place: &Path| {
            fs::remove_file(place.join("2/layer.tar")).expect("ours");
            std::os::unix::fs::symlink("/etc/passwd", place.join("2/layer.tar")).expect("writable");
        },
        "leads out",
    );
    refused(
        &|place: &Path| {
            fs::create_dir_all(place.join("usr/bin")).expect("writable");
            fs::write(place.join("usr/bin/program"), "").expect("writable");
        },
        "import",
    );
    refused(&|place: &Path| run_in(place, "mkfifo 0/json2 && mv 0/json2 0/json"), "neither a file");
    let img = Img::new();
    img.command(["load"]).stdin(b"no archive").run().fails().says("archive").discard();
    img.command(["load"]).stdin(tar_of_one_file("../up", b"x")).run().fails().says("../up").discard();
    let bad_blob = |change: &dyn Fn(&Path, &SampleImage), says: &str| {
        let img = Img::new();
        let (layout, image) = (img.path("layout"), SampleImage::new(&[b"one"]));
        layout_of(&layout, &image, |_| ());
        change(&layout.join("blobs/sha256"), &image);
        img.command(["load", "--input"]).arg(&layout).arg("it:1").run().fails().says(says).discard();
        assert_eq!((img.entries().len(), img.unfinished()), (0, 0), "{says}");
        img.blobs_are_right();
    };
    let hex = |bytes: &[u8]| sha256(bytes)["sha256:".len()..].to_owned();
    bad_blob(
        &|blobs, image| fs::write(blobs.join(hex(&image.layers[0])), "other").expect("writable"),
        "name says",
    );
    bad_blob(
        &|blobs, image| fs::write(blobs.join(hex(&image.manifest)), "{}").expect("writable"),
        "not accepted",
    );
    bad_blob(&|blobs, image| fs::remove_file(blobs.join(hex(&image.config))).expect("ours"), "lacks");
}

fn run_in(place: &Path, script: &str) {
    run(Command::new("sh").args(["-ec", script]).current_dir(place));
}

#[test]
fn privileged_a_root_file_system_is_imported_and_exported() {
    let img = Img::new();
    let archive = xtask::rootfs::archive(xtask::rootfs::Kind::Debian).expect("an archive");
    let import = img.command(["import", "--platform", "linux/arm64", "--message", "from debian"]);
    let import = import.args(["--change", "CMD [\"true\"]"]).arg(&archive).arg("deb:1");
    let id = import.run().succeeds().stdout;
    let (manifest, config) = img.image("docker.io/library/deb:1");
    assert_eq!(id.trim(), manifest["config"]["digest"]);
    assert_eq!((&config["architecture"], &config["config"]["Cmd"]), (&"arm64".into(), &json!(["true"])));
    assert_eq!(config["history"][0]["comment"], "from debian");
    let (plain, exported) = (img.path("plain"), img.path("exported"));
    img.command(["export", "deb:1", "-o"]).arg(img.path("out.tar")).run().succeeds().discard();
    for (directory, archive) in [(&plain, &archive), (&exported, &img.path("out.tar"))] {
        fs::create_dir(directory).expect("writable");
        let tar = ["--numeric-owner", "--xattrs", "--xattrs-include=*", "-xpf"];
        run(Command::new("tar").arg("-C").arg(directory).args(tar).arg(archive));
    }
    tree::assert_same(&tree::list(&exported), &tree::list(&plain));
    let bytes = fs::read(img.path("out.tar")).expect("an archive");
    img.command(["import", "-", "deb:2"]).stdin(bytes).run().succeeds().discard();
    assert_eq!(img.command(["diff", "deb:1", "deb:2"]).run().succeeds().stdout, "");
}

#[test]
fn what_cannot_be_imported_is_refused() {
    let img = Img::new();
    img.command(["import", "https://x.invalid/a.tar", "a"]).run().fails().says("curl").discard();
    img.command(["import", "-", "a"]).stdin(b"\xfd7zXZ\0abc").run().fails().says("xz").discard();
    img.command(["import", "-", "a"])
        .stdin(tar_of_one_file("a/.wh.b", b""))
        .run()
        .fails()
        .says(".wh.b")
        .discard();
    img.command(["import", "-", "a"])
        .stdin(tar_of_one_file("../b", b"x"))
        .run()
        .fails()
        .says("../b")
        .discard();
    img.command(["import", "-", "a"])
        .stdin(&tar_of_one_file("b", &[1; 3000])[..2000])
        .run()
        .fails()
        .says("ends")
        .discard();
    img.command(["import", "--platform", "a/b/c/d", "-", "a"])
        .stdin(b"")
        .run()
        .fails()
        .says("a/b/c/d")
        .discard();
    assert_eq!((img.entries().len(), img.unfinished()), (0, 0));
}

#[test]
fn privileged_a_directory_on_a_full_disk_is_left_as_it_was() {
    let img = with_second_layer(Img::with_busybox(), BUSYBOX, "gzip");
    fs::create_dir(img.path("small")).expect("writable");
    let script = format!(
        "mount -t tmpfs -o size=512k tmpfs small; img='{} --root store'; \
         for words in 'save --format oci-dir {NEW} -o small/new' 'save --format oci-dir {NEW} -o small' \
         'unpack {NEW} small/new' 'unpack {NEW} small' 'bundle {NEW} small/new' 'save {NEW} -o small/file'; do \
         if $img $words 2>error; then exit 9; fi; grep -o 'No space left on device' error; ls -A small; done",
        mydocker_tests::img::program().display()
    );
    let mut command = Command::new("unshare");
    let said = run(command.args(["--mount", "sh", "-ec", &script]).current_dir(img.path("")));
    assert_eq!(said, "No space left on device\n".repeat(6));
}

#[test]
fn privileged_what_went_wrong_is_told_even_if_nothing_can_be_taken_back() {
    let img = with_second_layer(Img::with_busybox(), BUSYBOX, "gzip");
    let script = format!(
        "calls=unlink,unlinkat,rmdir; img='{} --root store'; strace=\"strace -f -qq -o log -e trace=$calls\"; \
         for words in 'save --format oci-dir {NEW} -o' 'unpack {NEW}' 'bundle {NEW}'; do \
         mkdir small; mount -t tmpfs -o size=512k tmpfs small; \
         if $strace -e inject=$calls:error=EBUSY $img $words small/new 2>error; then exit 9; fi; \
         grep -o 'No space left on device' error; grep -q INJECTED log; ls small; umount small; rmdir small; done",
        mydocker_tests::img::program().display()
    );
    let mut command = Command::new("unshare");
    let said = run(command.args(["--mount", "sh", "-ec", &script]).current_dir(img.path("")));
    assert_eq!(said, "No space left on device\nnew\n".repeat(3));
}
