//! What was changed becomes a layer: the same tree comes out of it again, whoever unpacks it.

use mydocker_sys::fs::fsetxattr;
use mydocker_tests::img::{Img, tree};
use mydocker_tests::plug::{BUSYBOX, IMAGE};
use std::ffi::CStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

fn run(command: &mut Command) -> String {
    let output = command.output().expect("the program is installed");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn shell(directory: &Path, script: &str) {
    run(Command::new("sh").args(["-ec", script]).current_dir(directory));
}

fn set_attribute(path: &Path, name: &CStr, value: &[u8]) {
    fsetxattr(File::open(path).expect("a file"), name, value).expect("a file system with attributes");
}

/// An ACL that lets user 7 in, as the kernel keeps it: tag, permissions and id of each entry.
fn acl() -> Vec<u8> {
    let none = u32::MAX;
    let entries = [(1_u16, 7_u16, none), (2, 7, 7), (4, 5, none), (0x10, 7, none), (0x20, 5, none)];
    let entry = |(tag, permissions, id): &(u16, u16, u32)| {
        [&tag.to_le_bytes()[..], &permissions.to_le_bytes(), &id.to_le_bytes()].concat()
    };
    [2_u32.to_le_bytes().to_vec(), entries.iter().flat_map(entry).collect()].concat()
}

/// Changes of every kind in a root file system of Debian.
fn change(root: &Path) {
    shell(
        root,
        "rm -r var/log/apt usr/share/keyrings var/lib/apt; rm etc/fstab usr/bin/yes usr/bin/arch; \
         mkdir -p own/deep usr/bin/yes var/lib/apt/new; echo x > own/x; chown 7:8 own/x; chmod 4755 own/x; ln own/x own/y; \
         ln usr/bin/env usr/bin/env-too; touch -d '2001-02-03 04:05:06.789' own/x; touch -d 1960-01-01 own/deep; \
         ln -s x own/z; touch -h -d 2002-01-01 own/z; mkfifo own/pipe; mknod own/null c 1 3; mknod own/disk b 8 7; \
         truncate -s 20M own/sparse; echo end >> own/sparse; truncate -s 30M own/sparse; echo text > usr/bin/arch; \
         mv etc/debian_version etc/debian_version_2; chmod 700 srv; chmod 1777 mnt; head -c 70000 /dev/urandom > own/random; \
         mkdir -p own/$(printf 'n%.0s' $(seq 120))/$(printf 'm%.0s' $(seq 120)); \
         echo long > own/$(printf 'n%.0s' $(seq 120))/$(printf 'm%.0s' $(seq 120))/file; echo odd > \"$(printf 'own/\\377 a\\nb')\"; \
         ln -s $(printf 't%.0s' $(seq 300)) own/long; chown 3000000:4000000 own/random",
    );
    // What CAP_NET_RAW looks like in version 2.
    let capability = [&[1, 0, 0, 2, 0, 0x20, 0, 0][..], &[0; 12]].concat();
    set_attribute(&root.join("usr/bin/true"), c"security.capability", &capability);
    set_attribute(&root.join("own/deep"), c"system.posix_acl_access", &acl());
    set_attribute(&root.join("own/deep"), c"system.posix_acl_default", &acl());
    set_attribute(&root.join("own/random"), c"user.note", b"a\0=\nb");
}

fn bundle(img: &Img, image: &str, name: &str) -> PathBuf {
    let directory = img.path(name);
    img.command(["bundle", image]).arg(&directory).run().succeeds().discard();
    directory
}

/// What umoci makes of an image of the store.
fn umoci(img: &Img, image: &str) -> PathBuf {
    let (copy, bundle) = (img.path("copy"), img.path("umoci"));
    run(Command::new("skopeo")
        .args(["copy", &format!("oci:{}:{image}", img.layout().display())])
        .arg(format!("oci:{}:it", copy.display())));
    run(Command::new("umoci").args(["unpack", "--image", &format!("{}:it", copy.display())]).arg(&bundle));
    bundle.join("rootfs")
}

#[test]
fn privileged_a_changed_bundle_is_the_same_after_commit_for_umoci_and_gnu_tar_too() {
    let img = Img::with_debian();
    let first = bundle(&img, IMAGE, "first");
    img.command(["diff"]).arg(&first).run().succeeds();
    change(&first.join("rootfs"));
    let id = img.command(["commit"]).arg(&first).arg("new:1").run().succeeds().stdout;
    assert!(id.starts_with("sha256:"), "{id}");
    let ours = tree::list(&first.join("rootfs"));
    let second = bundle(&img, "new:1", "second");
    tree::assert_same(&tree::list(&second.join("rootfs")), &ours);
    tree::assert_same(&tree::list(&umoci(&img, "docker.io/library/new:1")), &ours);
    let archive = img.path("exported.tar");
    img.command(["export", "new:1", "--output"]).arg(&archive).run().succeeds().discard();
    let plain = img.path("plain");
    fs::create_dir(&plain).expect("writable");
    let tar = ["--numeric-owner", "--xattrs", "--xattrs-include=*", "--same-permissions", "-xf"];
    run(Command::new("tar").arg("-C").arg(&plain).args(tar).arg(&archive));
    tree::assert_same(&tree::list(&plain), &ours);
    let told = img.command(["diff", IMAGE, "new:1"]).run().succeeds().stdout;
    assert_eq!(told, img.command(["diff", IMAGE]).arg(&first).run().succeeds().stdout);
    for line in [
        "C /etc",
        "D /etc/fstab",
        "D /etc/debian_version",
        "A /etc/debian_version_2",
        "A /own",
        "A /own/deep",
        "C /usr/bin/true",
        "C /usr/bin/yes",
        "C /usr/bin/arch",
        "D /usr/share/keyrings",
        "C /var/lib/apt",
        "A /var/lib/apt/new",
        "C /srv",
        "C /mnt",
    ] {
        assert!(told.lines().any(|told| told == line), "no {line:?} in {told}");
    }
    assert!(!told.contains("/usr/bin/bash"), "{told}");
    assert_eq!(img.unfinished(), 0);
    img.blobs_are_right();
}

#[test]
fn privileged_a_bundle_that_was_not_changed_has_no_difference() {
    let img = Img::with_debian();
    let first = bundle(&img, IMAGE, "first");
    assert_eq!(img.command(["diff"]).arg(&first).run().succeeds().stdout, "");
    fs::write(first.join("rootfs/new"), b"").expect("writable");
    let told = img.command(["diff", "--format", "json"]).arg(&first).run().succeeds().stdout;
    assert_eq!(told, "{\"Kind\":\"A\",\"Path\":\"/new\"}\n");
    img.command(["diff", IMAGE]).run().fails().says("no bundle").discard();
}

#[test]
fn privileged_the_upper_directory_of_an_overlay_mount_becomes_what_the_mount_showed() {
    let img = Img::with_debian();
    let (_, config) = img.image(IMAGE);
    let diff_id = config["rootfs"]["diff_ids"][0].as_str().expect("a digest").replace(':', "/");
    for name in ["upper", "work", "merged", "shown"] {
        fs::create_dir(img.path(name)).expect("writable");
    }
    let script = format!(
        "mount -t overlay overlay -o lowerdir={0}/store/layers/{diff_id},upperdir={0}/upper,workdir={0}/work {0}/merged; \
         cd {0}/merged; rm -r var/lib/apt usr/share/keyrings; mkdir -p var/lib/apt/new; rm etc/fstab; echo x >> etc/passwd; \
         rm usr/bin/yes; mkdir usr/bin/yes; echo f > usr/bin/yes/f; rm -r var/log; echo file > var/log; chmod 700 srv; \
         mv usr/bin/arch usr/bin/arch2; mkdir own; mknod own/null c 1 3; echo one > own/one; ln own/one own/two; \
         cp -a {0}/merged/. {0}/shown/",
        img.path("").display()
    );
    run(Command::new("unshare").args(["--mount", "sh", "-ec", &script]));
    let commit = |name: &str| {
        let command = img.command(["commit", "--base", IMAGE, "--upper"]).arg(img.path("upper"));
        command.arg(name).env("SOURCE_DATE_EPOCH", "86400").run().succeeds().stdout
    };
    assert_eq!(commit("new:1"), commit("again:1"));
    let made = bundle(&img, "new:1", "made");
    tree::assert_same(&tree::list(&made.join("rootfs")), &tree::list(&img.path("shown")));
    tree::assert_same(&tree::list(&umoci(&img, "docker.io/library/new:1")), &tree::list(&img.path("shown")));
    let (_, config) = img.image("docker.io/library/new:1");
    assert_eq!(config["created"], "1970-01-02T00:00:00Z");
    // A bundle with such directories is known by them, mounted or not.
    let text = fs::read_to_string(made.join("config.json")).expect("a bundle");
    let new = config["rootfs"]["diff_ids"][1].clone();
    let id = |name: &str| img.image(name).0["config"]["digest"].as_str().expect("a digest").to_owned();
    let text = text.replace(&id("docker.io/library/new:1"), &id(IMAGE));
    img.write("config.json", &text);
    img.command(["commit"]).arg(img.path("")).arg("bundle:1").run().succeeds().discard();
    assert_eq!(img.image("docker.io/library/bundle:1").1["rootfs"]["diff_ids"][1], new);
    let told = img.command(["diff"]).arg(img.path("")).run().succeeds().stdout;
    assert_eq!(told, img.command(["diff", IMAGE, "new:1"]).run().succeeds().stdout);
    let diff_id = new.as_str().expect("a digest").replace(':', "/");
    assert!(img.path("store/layers").join(diff_id).join("own/one").is_file());
}

#[test]
fn privileged_a_commit_says_what_was_asked_for() {
    let img = Img::with_debian();
    let upper = img.path("upper");
    fs::create_dir(&upper).expect("writable");
    fs::write(upper.join("file"), b"text").expect("writable");
    let change = |text: &'static str| ["--change", text];
    let command = img.command(["commit", "--author", "somebody", "--message", "what was done"]);
    let command = command.args(change("CMD [\"cat\", \"/file\"]")).args(change("ENV A=b C=\"d e\""));
    let command = command.args(change("LABEL x=y")).args(change("WORKDIR /srv")).args(change("USER 7"));
    let command = command.args(["--compression", "zstd", "--base", IMAGE, "--upper"]).arg(&upper);
    let archive = img.path("archive.tar");
    let output = format!("oci-archive:{}", archive.display());
    let id = command.args(["--output", &output, "team/new"]).run().succeeds().stdout;
    let (manifest, config) = img.image("docker.io/team/new:latest");
    assert_eq!(id.trim(), manifest["config"]["digest"]);
    assert_eq!(manifest["layers"][1]["mediaType"], "application/vnd.oci.image.layer.v1.tar+zstd");
    assert_eq!(config["config"]["Cmd"], serde_json::json!(["cat", "/file"]));
    let env = config["config"]["Env"].as_array().expect("a list");
    assert!(env.contains(&"A=b".into()) && env.contains(&"C=d e".into()), "{env:?}");
    assert_eq!((&config["config"]["User"], &config["config"]["WorkingDir"]), (&"7".into(), &"/srv".into()));
    let history = config["history"].as_array().and_then(|history| history.last()).expect("an entry");
    assert_eq!((&history["author"], &history["comment"]), (&"somebody".into(), &"what was done".into()));
    let inside = run(Command::new("skopeo")
        .args(["inspect", "--config"])
        .arg(format!("oci-archive:{}", archive.display())));
    assert!(inside.contains("what was done"), "{inside}");
}

#[test]
fn privileged_an_image_can_begin_with_nothing() {
    let img = Img::new();
    let upper = img.path("upper");
    fs::create_dir(&upper).expect("writable");
    fs::write(upper.join("file"), b"text").expect("writable");
    let commit = |base: &str, name: &str| {
        img.command(["commit", "--base", base, "--upper"]).arg(&upper).arg(name).run()
    };
    commit("scratch", "new:1").succeeds().discard();
    let (manifest, config) = img.image("docker.io/library/new:1");
    assert_eq!(manifest["layers"].as_array().map(Vec::len), Some(1));
    assert_eq!(config["os"], "linux");
    let made = bundle(&img, "new:1", "made");
    assert_eq!(fs::read(made.join("rootfs/file")).expect("the file"), b"text");
}

#[test]
fn privileged_a_base_without_a_history_gets_one() {
    let img = Img::with_busybox();
    assert!(img.image(BUSYBOX).1["history"].is_null());
    let upper = img.path("upper");
    fs::create_dir(&upper).expect("writable");
    let commit = img.command(["commit", "--base", BUSYBOX, "--upper"]).arg(&upper);
    commit.args(["--message", "mine", "new:1"]).run().succeeds().discard();
    let config = img.image("docker.io/library/new:1").1;
    let comments: Vec<_> =
        config["history"].as_array().expect("a list").iter().map(|entry| &entry["comment"]).collect();
    assert_eq!(comments, [&serde_json::Value::Null, &"mine".into()]);
    assert_eq!(config["rootfs"]["diff_ids"].as_array().map(Vec::len), Some(2));
}

#[test]
fn privileged_what_cannot_be_committed_is_refused_and_leaves_nothing() {
    let img = Img::with_debian();
    let upper = img.path("upper");
    fs::create_dir_all(upper.join("moved")).expect("writable");
    let commit = |words: &[&str]| {
        let command = img.command(["commit", "--base", IMAGE, "--upper"]).arg(&upper).args(words);
        command.run().fails()
    };
    set_attribute(&upper.join("moved"), c"trusted.overlay.redirect", b"/elsewhere");
    commit(&["new:1"]).says("\"moved\"").says("redirect_dir").discard();
    fs::remove_dir(upper.join("moved")).expect("ours");
    fs::write(upper.join(".wh.file"), b"").expect("writable");
    commit(&["new:1"]).says(".wh.file").discard();
    fs::remove_file(upper.join(".wh.file")).expect("ours");
    commit(&["--change", "RUN make", "new:1"]).says("RUN make").says("ENTRYPOINT").discard();
    commit(&["Upper:1"]).says("'U' at position 1").discard();
    commit(&["--output", "tar:x", "new:1"]).says("oci-archive:FILE").discard();
    commit(&["one", "two"]).says("only the name").discard();
    img.command(["commit", "new:1"]).run().fails().says("bundle").discard();
    img.command(["commit", "--upper", "/tmp", "new:1"]).run().fails().says("--base").discard();
    img.command(["commit", "--base", "nothing", "--upper"])
        .arg(&upper)
        .arg("new:1")
        .run()
        .fails()
        .says("nothing")
        .discard();
    img.command(["commit"]).arg(img.path("home")).arg("new:1").run().fails().says("config.json").discard();
    img.write("bare/config.json", "{}");
    img.command(["commit"]).arg(img.path("bare")).arg("new:1").run().fails().says("--base").discard();
    assert_eq!((img.entries().len(), img.unfinished()), (1, 0));
    let left = bundle(&img, IMAGE, "left");
    img.command(["rmi", IMAGE]).run().succeeds().discard();
    for command in [img.command(["commit"]).arg(&left).arg("new:1"), img.command(["diff"]).arg(&left)] {
        command
            .run()
            .fails()
            .says("the image that the bundle began as")
            .says("pull or load it again")
            .discard();
    }
}

#[test]
fn privileged_an_ordinary_user_commits_what_an_overlay_mount_of_users_marks() {
    let img = Img::new();
    let (place, program) = (img.path("user"), img.path("program"));
    fs::copy(mydocker_tests::img::program(), &program).expect("writable");
    fs::create_dir_all(place.join("upper/hidden")).expect("writable");
    fs::write(place.join("upper/hidden/file"), b"text").expect("writable");
    set_attribute(&place.join("upper/hidden"), c"user.overlay.opaque", b"y");
    let script = format!(
        "chmod 755 . program; chown -R 61001:61001 user; cd user; mknod -m 0 upper/gone c 0 0; \
         as() {{ setpriv --reuid 61001 --regid 61001 --clear-groups --no-new-privs \"$@\"; }}; \
         as ../program --root store commit --base scratch --upper upper new:1 >&2; \
         as ../program --root store bundle new:1 made; as ../program --root store diff made; \
         as ../program --root store export new:1 | tar -tf -; {}",
        "as ../program --root store save --format oci-archive new:1 | tar -tf - | grep -c blobs/sha256/."
    );
    let said = run(Command::new("sh").args(["-ec", &script]).current_dir(img.path("")));
    assert_eq!(said, "./\nhidden/\nhidden/file\n3\n");
}

#[test]
fn privileged_a_full_disk_is_told_and_leaves_the_store_as_it_was() {
    let img = Img::new();
    for name in ["store", "small", "large"] {
        fs::create_dir(img.path(name)).expect("writable");
    }
    let script = format!(
        "mount -t tmpfs -o size=8m tmpfs store; echo x > small/file; head -c 20000000 /dev/urandom > large/file; \
         img='{} --root store'; $img commit --base scratch --upper small kept:1 >/dev/null; \
         if $img commit --base kept:1 --upper large new:1 2>error; then exit 9; fi; cat error; \
         if tar -C large -c file | $img import - new:1 2>error; then exit 9; fi; cat error; \
         $img images --format '{{{{.Repository}}}}'; ls store/ingest store/unpacking; $img gc | tail -1; \
         $img commit --base kept:1 --upper small new:1 >/dev/null; $img diff kept:1 new:1",
        mydocker_tests::img::program().display()
    );
    let mut command = Command::new("unshare");
    let said = run(command.args(["--mount", "sh", "-ec", &script]).current_dir(img.path("")));
    let told = said.matches("No space left on device").count();
    assert_eq!(told, 2, "{said}");
    assert!(said.ends_with("kept\nstore/ingest:\n\nstore/unpacking:\nTotal reclaimed space: 0B\n"), "{said}");
}

#[test]
fn an_import_takes_little_memory_however_large_a_file_is() {
    use std::io::Write as _;
    let img = Img::new();
    let archive = mydocker_tests::img::tar_of_one_file("large", &vec![7; 200 << 20]);
    let (most, rest) = archive.split_at(archive.len() - 4096);
    let mut running = img.command(["import", "-", "large:1"]).stdin_pipe().spawn();
    let stdin = running.stdin.as_mut().expect("a pipe was asked for");
    // All but what a pipe holds has been read when this returns.
    stdin.write_all(most).expect("it reads");
    let peak = mydocker_tests::procfs::status_field(running.pid(), "VmHWM").expect("it runs");
    running.stdin.as_mut().expect("a pipe").write_all(rest).expect("it reads");
    running.wait().succeeds().discard();
    let kibibytes: u64 = peak.trim_end_matches(" kB").parse().expect("a number");
    assert!(kibibytes <= 40_000, "{peak}");
}
