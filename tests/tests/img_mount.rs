//! Images that are mounted: bundles whose layers are not copied, and views that nobody can change.

use mydocker_tests::img::{FakeRegistry, Img, SampleImage, Served, sha256, tree};
use mydocker_tests::invocation::Outcome;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A layer that GNU tar makes of what a script leaves in a directory.
fn layer(img: &Img, script: &str, options: &[&str], members: &[&str]) -> Vec<u8> {
    let place = tempfile::tempdir_in(img.path("out")).expect("room");
    let made = Command::new("sh").args(["-ec", script]).current_dir(&place).status().expect("a shell");
    assert!(made.success(), "{script}");
    let tar = Command::new("tar")
        .args(["--numeric-owner", "--format=pax", "--no-recursion", "--mtime=@1000000000"])
        .args(["--xattrs", "--xattrs-include=*"])
        .args(options)
        .args(["-cf", "-"])
        .args(members)
        .current_dir(&place)
        .output()
        .expect("tar");
    assert!(tar.status.success(), "{}", String::from_utf8_lossy(&tar.stderr));
    tar.stdout
}

fn image(layers: Vec<Vec<u8>>) -> SampleImage {
    let texts: Vec<&[u8]> = layers.iter().map(|_| &b""[..]).collect();
    let mut image = SampleImage::new(&texts);
    let diff_ids: Vec<_> = layers.iter().map(|layer| sha256(layer)).collect();
    image.layers = layers;
    image.with(|config| {
        config["rootfs"]["diff_ids"] = json!(diff_ids);
        config["config"]["Cmd"] = json!(["/bin/true"]);
    })
}

fn pulled(img: &Img, image: &SampleImage) -> FakeRegistry {
    let registry = FakeRegistry::good(Served::image("1", image));
    img.pull(&registry.name("a:1")).run().succeeds().discard();
    img.command(["tag", &registry.name("a:1"), "app"]).run().succeeds().discard();
    registry
}

fn leases(img: &Img) -> Vec<Value> {
    let entries = fs::read_dir(img.path("store/leases")).expect("the store");
    let read = |path: PathBuf| serde_json::from_slice(&fs::read(path).expect("a lease")).expect("JSON");
    entries.map(|entry| read(entry.expect("an entry").path())).collect()
}

fn with(img: &Img, words: &[&str], path: &Path) -> Outcome {
    img.command(words.iter().copied()).arg(path).run()
}

/// Whether something is mounted below a path.
fn is_mounted(path: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("the list of mounts");
    mounts.contains(&format!(" {} ", path.display()))
}

#[test]
fn privileged_a_bundle_of_mounted_layers_is_the_image_and_keeps_changes_apart() {
    let img = Img::new();
    let lower = layer(
        &img,
        "mkdir -p etc d; echo lower >etc/file; echo x >d/gone; echo y >d/kept; chmod 1777 d; chmod 750 .",
        &[],
        &[".", "etc", "etc/file", "d", "d/gone", "d/kept"],
    );
    let upper =
        layer(&img, "mkdir d; touch d/.wh.gone; chmod 1777 d; chmod 751 .", &[], &[".", "d", "d/.wh.gone"]);
    let registry = pulled(&img, &image(vec![lower, upper]));
    let (bundle, copy) = (img.path("bundle"), img.path("copy"));
    with(&img, &["bundle", "--overlay", "app"], &bundle).succeeds().discard();
    with(&img, &["unpack", "app"], &copy).succeeds().discard();
    tree::assert_same(&tree::list(&bundle.join("rootfs")), &tree::list(&copy));
    assert_eq!(fs::metadata(bundle.join("rootfs")).expect("the top").mode() & 0o7777, 0o751);
    assert!(bundle.join("config.json").is_file() && is_mounted(&bundle.join("rootfs")));
    fs::write(bundle.join("rootfs/etc/file"), "changed").expect("writable");
    assert_eq!(fs::read(bundle.join("upper/etc/file")).expect("the change"), b"changed");
    let lease = &leases(&img)[0];
    assert_eq!((&lease["kind"], &lease["owner"]), (&json!("bundle"), &json!(bundle)));
    img.command(["rmi", "app"]).run().succeeds().discard();
    img.command(["rmi", &registry.name("a:1")]).run().fails().says("used by bundle").discard();
    img.command(["rmi", "-f", &registry.name("a:1")]).run().succeeds().discard();
    img.command(["gc"]).run().succeeds().discard();
    assert_eq!(fs::read(bundle.join("rootfs/d/kept")).expect("still there"), b"y\n");
    with(&img, &["unmount"], &bundle).succeeds().discard();
    assert!(!is_mounted(&bundle.join("rootfs")) && leases(&img).is_empty() && !bundle.join("work").exists());
    assert_eq!(fs::read(bundle.join("upper/etc/file")).expect("changes stay"), b"changed");
    with(&img, &["unmount"], &bundle).fails().says("neither").discard();
    let told = img.command(["gc"]).run().succeeds().stdout;
    assert!(told.contains("Deleted layer"), "{told}");
}

#[test]
fn privileged_a_hundred_and_thirty_layers_at_a_long_path_are_mounted() {
    let img = Img::new();
    let layers = (0..130).map(|number| mydocker_tests::img::tar_of_one_file(&number.to_string(), b"x"));
    let registry = FakeRegistry::good(Served::image("1", &image(layers.collect())));
    let long = img.path(&"long path:,".repeat(12)).join("x".repeat(150));
    fs::create_dir_all(&long).expect("room");
    let command =
        |words: &[&str]| img.command(Vec::<&str>::new()).arg("--root").arg(long.join("store")).args(words);
    let name = registry.name("a:1");
    command(&["pull", &name, "--hosts-dir"]).arg(img.path("certs.d")).run().succeeds().discard();
    let bundle = long.join("bundle");
    command(&["bundle", "--overlay", &name]).arg(&bundle).run().succeeds().discard();
    let seen = fs::read_dir(bundle.join("rootfs")).expect("the top").count();
    command(&["unmount", "--all"]).run().succeeds().discard();
    assert_eq!(seen, 130);
    assert_eq!(fs::read_dir(bundle.join("rootfs")).expect("the top").count(), 0);
}

#[test]
fn privileged_a_view_can_be_read_and_not_changed() {
    let img = Img::new();
    let base = layer(&img, "echo x >file; chmod 4755 file", &[], &["file"]);
    let _registry = pulled(&img, &image(vec![base]));
    let own = img.command(["mount", "app"]).run().succeeds().stdout;
    let own = PathBuf::from(own.trim_end());
    assert_eq!(fs::read(own.join("file")).expect("a file"), b"x\n");
    let refused = fs::write(own.join("new"), "x").expect_err("read-only");
    assert_eq!(refused.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    let options = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    let line = options.lines().find(|line| line.contains(&*own.to_string_lossy())).expect("the mount");
    assert!(line.contains("nosuid") && line.contains("nodev"), "{line}");
    assert_eq!(
        img.command(["mount", "app"]).run().succeeds().stdout.trim_end(),
        own.to_str().expect("UTF-8")
    );
    let other = img.path("view");
    fs::create_dir(&other).expect("room");
    with(&img, &["mount", "app"], &other).succeeds().discard();
    with(&img, &["mount", "app"], &other).fails().says("already").discard();
    let listed = img.command(["mount"]).run().succeeds().stdout;
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert!(listed.contains(&format!("mount {}\n", other.display())), "{listed}");
    img.command(["rmi", "app"]).run().succeeds().discard();
    let busy = fs::File::open(other.join("file")).expect("a file");
    with(&img, &["umount"], &other).fails().says("in use").discard();
    assert_eq!(leases(&img).len(), 2);
    drop(busy);
    with(&img, &["umount"], &other).succeeds().discard();
    img.command(["unmount", &sha256(&fs::read(own.join("file")).expect("a file"))]).run().fails().discard();
    let id = listed.split(' ').next().expect("an id");
    img.command(["unmount", id]).run().succeeds().discard();
    assert!(!own.exists() && leases(&img).is_empty());
    assert_eq!(img.command(["mount"]).run().succeeds().stdout, "");
}

#[test]
fn privileged_a_bundle_that_cannot_be_made_leaves_nothing() {
    let img = Img::new();
    let image = SampleImage::new(&[b"x"]).with(|config| config["config"]["User"] = json!("nobody-there"));
    let _registry = pulled(&img, &image);
    let bundle = img.path("bundle");
    for words in [&["bundle", "app"][..], &["bundle", "--overlay", "app"]] {
        with(&img, words, &bundle).fails().says("nobody-there").discard();
        assert!(!bundle.exists() && leases(&img).is_empty());
    }
    let taken = img.write("taken/file", "x");
    let taken = taken.parent().expect("a directory");
    for words in [&["bundle", "--overlay", "app"][..], &["unpack", "app"]] {
        with(&img, words, taken).fails().says("not empty").discard();
    }
    assert_eq!(fs::read_dir(taken).expect("a directory").count(), 1);
}

/// An image whose second layer gives files of the first further names, and puts a file into a directory of it.
fn linked(img: &Img) -> SampleImage {
    let base = layer(
        img,
        "mkdir -p usr/bin private; ln -s usr/bin bin
         printf tool >usr/bin/tool; chown 12:34 usr/bin/tool; chmod 4750 usr/bin/tool
         setcap cap_net_raw+ep usr/bin/tool
         truncate -s 8M usr/bin/sparse; printf end >>usr/bin/sparse; ln -s target usr/bin/link; mkfifo usr/bin/fifo
         chmod 711 private; chown 5:6 private; touch private/old",
        &["--sparse"],
        &[
            "usr", "usr/bin", "bin", "usr/bin/tool", "usr/bin/sparse", "usr/bin/link", "usr/bin/fifo", "private",
            "private/old",
        ],
    );
    // GNU tar cannot be made to link to what is not in its archive.
    let second = hard_links(&[
        ("usr/bin/again", "usr/bin/tool"),
        ("usr/bin/third", "bin/tool"),
        ("holes", "usr/bin/sparse"),
        ("linked", "usr/bin/link"),
        ("pipe", "usr/bin/fifo"),
    ]);
    let file = layer(img, "mkdir private; echo new >private/new", &[], &[".", "private/new"]);
    image(vec![base, [second, file].concat()])
}

/// The entries of hard links alone, without the end of an archive.
fn hard_links(links: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, target) in links {
        let mut header = mydocker_tests::img::tar_of_one_file(name, b"")[..512].to_vec();
        header[156] = b'1';
        header[157..157 + target.len()].copy_from_slice(target.as_bytes());
        header[148..156].copy_from_slice(b"        ");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        archive.extend_from_slice(&header);
    }
    archive
}

#[test]
fn privileged_a_hard_link_to_a_file_of_a_lower_layer_brings_it_up_as_with_umoci() {
    let img = Img::new();
    let image = linked(&img);
    let _registry = pulled(&img, &image);
    let (bundle, copy) = (img.path("bundle"), img.path("copy"));
    with(&img, &["bundle", "--overlay", "app"], &bundle).succeeds().discard();
    with(&img, &["unpack", "app"], &copy).succeeds().discard();
    let rootfs = bundle.join("rootfs");
    tree::assert_same(&tree::list(&rootfs), &tree::list(&copy));
    let look = |name: &str| fs::symlink_metadata(rootfs.join(name)).expect(name);
    let tool = look("usr/bin/tool");
    assert_eq!((tool.uid(), tool.gid(), tool.mode() & 0o7777, tool.nlink()), (12, 34, 0o4750, 3));
    assert_eq!((look("usr/bin/again").ino(), look("usr/bin/third").ino()), (tool.ino(), tool.ino()));
    assert!(look("holes").blocks() * 512 < 1 << 20 && look("holes").len() == (8 << 20) + 3);
    assert!(look("bin").is_symlink() && look("linked").is_symlink());
    let private = look("private");
    assert_eq!((private.permissions().mode() & 0o7777, private.uid(), private.gid()), (0o711, 5, 6));
    tree::assert_same(&tree::list(&rootfs), &as_umoci_has_it(&img));
    with(&img, &["unmount"], &bundle).succeeds().discard();
    // It is right above this layer only, so it is not called by its own digest.
    let layers = img.path("store/layers/sha256");
    assert!(!layers.join(&sha256(&image.layers[1])["sha256:".len()..]).exists());
    assert_eq!(fs::read_dir(&layers).expect("layers").filter(is_directory).count(), 2);
    assert_eq!(img.command(["gc"]).run().succeeds().stdout, "Total reclaimed space: 0B\n");
    img.command(["fsck"]).run().succeeds().discard();
}

fn as_umoci_has_it(img: &Img) -> tree::Listing {
    let copy = format!("{}:final", img.path("umoci").display());
    let source = format!("oci:{}:docker.io/library/app:latest", img.layout().display());
    let copied = Command::new("skopeo").args(["copy", "--quiet", &source, &format!("oci:{copy}")]).status();
    assert!(copied.expect("skopeo").success());
    let bundle = img.path("of-umoci");
    let unpacked = Command::new("umoci").args(["unpack", "--image", &copy]).arg(&bundle).status();
    assert!(unpacked.expect("umoci").success());
    tree::list(&bundle.join("rootfs"))
}

fn is_directory(entry: &std::io::Result<fs::DirEntry>) -> bool {
    entry.as_ref().is_ok_and(|entry| entry.path().is_dir())
}

#[test]
fn privileged_the_same_layer_above_others_takes_what_these_have() {
    let img = Img::new();
    let above = hard_links(&[("copy", "file")]);
    let above = [above, vec![0; 1024]].concat();
    let bases = ["one", "other"].map(|text| mydocker_tests::img::tar_of_one_file("file", text.as_bytes()));
    for (base, text) in bases.into_iter().zip(["one", "other"]) {
        let registry = FakeRegistry::good(Served::image("1", &image(vec![base, above.clone()])));
        img.pull(&registry.name(&format!("{text}:1"))).run().succeeds().discard();
        let place = img.command(["mount", &registry.name(&format!("{text}:1"))]).run().succeeds().stdout;
        assert_eq!(fs::read(Path::new(place.trim_end()).join("copy")).expect("a file"), text.as_bytes());
        img.command(["unmount", "--all"]).run().succeeds().discard();
    }
    let nothing = image(vec![mydocker_tests::img::tar_of_one_file("else", b"x"), above]);
    let registry = FakeRegistry::good(Served::image("1", &nothing));
    let refused = img.pull(&registry.name("none:1")).run().fails();
    refused.says("\"copy\"").says("hard link to something that is not there").discard();
    assert_eq!(fs::read_dir(img.path("store/unpacking")).expect("the store").count(), 0);
}

#[test]
fn privileged_a_directory_that_hides_a_link_is_like_what_the_link_leads_to_as_with_containerd() {
    let img = Img::new();
    let script = "mkdir -p usr/lib; chmod 711 usr/lib; chown 5:6 usr/lib; ln -s usr/lib lib";
    let base = layer(&img, script, &[], &["usr", "usr/lib", "lib"]);
    let second = mydocker_tests::img::tar_of_one_file("lib/file", b"x");
    let _registry = pulled(&img, &image(vec![base, second]));
    let view = img.command(["mount", "app"]).run().succeeds().stdout;
    let lib = fs::symlink_metadata(Path::new(view.trim_end()).join("lib")).expect("a directory");
    assert!(lib.is_dir());
    assert_eq!((lib.mode() & 0o7777, lib.uid(), lib.gid()), (0o711, 5, 6));
    img.command(["unmount", "--all"]).run().succeeds().discard();
    let copy = img.path("copy");
    with(&img, &["unpack", "app"], &copy).succeeds().discard();
    assert!(copy.join("lib").is_symlink() && copy.join("usr/lib/file").is_file());
    img.command(["fsck", "--deep"]).run().succeeds().discard();
}
