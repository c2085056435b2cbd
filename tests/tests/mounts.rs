//! The `mounts` of config.json: kinds, options, order, and where they may go.

use mydocker_tests::bundle::push;
use mydocker_tests::{Bundle, Runtime, leftovers, wait};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// One line of a mountinfo, by fields.
#[derive(Debug)]
struct Mount {
    options: Vec<String>,
    propagation: String,
    kind: String,
    super_options: Vec<String>,
}

/// The last mount on `point` in the text of a mountinfo.
fn mount_at(table: &str, point: &str) -> Mount {
    let line = table.lines().rfind(|line| line.split(' ').nth(4) == Some(point));
    let line = line.unwrap_or_else(|| panic!("nothing is mounted on {point}:\n{table}"));
    let (left, right) = line.split_once(" - ").expect("a separator");
    let words = |text: &str| text.split(',').map(str::to_owned).collect();
    let left: Vec<&str> = left.split(' ').collect();
    let right: Vec<&str> = right.split(' ').collect();
    Mount {
        options: words(left[5]),
        propagation: left[6..].join(" "),
        kind: right[0].to_owned(),
        super_options: words(right[2]),
    }
}

/// What a container with this mount finds mounted on its destination.
fn mounted(kind: &str, source: &Path, options: &[&str]) -> Mount {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["cat", "/proc/self/mountinfo"]).mount("/mnt", kind, source, options);
    mount_at(&runtime.run(&bundle).succeeds().stdout, "/mnt")
}

fn tmpfs(options: &[&str]) -> Mount {
    mounted("tmpfs", Path::new("tmpfs"), options)
}

/// A directory of the host with a file `file` in it.
fn host_dir(runtime: &Runtime) -> PathBuf {
    let dir = runtime.scratch().join("host");
    fs::create_dir_all(&dir).expect("the scratch directory is writable");
    fs::write(dir.join("file"), "from the host\n").expect("the scratch directory is writable");
    dir
}

/// Checks the option words of one mount: those that must be there, and those that must not. Whether it is writable is
/// asked of the mount alone, since its file system may be so when the mount is not.
fn check(mount: &Mount, with: &[&str], without: &[&str]) {
    let has = |word: &str| {
        let of_mount = mount.options.iter().any(|option| option == word);
        of_mount || !["ro", "rw"].contains(&word) && mount.super_options.iter().any(|option| option == word)
    };
    let missing: Vec<_> = with.iter().filter(|word| !has(word)).collect();
    let surplus: Vec<_> = without.iter().filter(|word| has(word)).collect();
    assert!(
        missing.is_empty() && surplus.is_empty(),
        "missing {missing:?}, surplus {surplus:?} in {mount:?}"
    );
}

/// Every option of the table in config.md, Linux mount options, that a tmpfs shows, with what shows it.
#[test]
fn privileged_each_option_of_a_new_mount_is_in_force() {
    let table: [(&[&str], &[&str], &[&str]); 27] = [
        (&[], &["rw", "relatime"], &["nosuid", "nodev", "noexec", "noatime"]),
        (&["ro"], &["ro"], &["rw"]),
        (&["ro", "rw"], &["rw"], &["ro"]),
        (&["nosuid"], &["nosuid"], &["nodev"]),
        (&["nosuid", "suid"], &[], &["nosuid"]),
        (&["nodev"], &["nodev"], &["nosuid"]),
        (&["nodev", "dev"], &[], &["nodev"]),
        (&["noexec"], &["noexec"], &["nosuid"]),
        (&["noexec", "exec"], &[], &["noexec"]),
        (&["sync"], &["sync"], &[]),
        (&["sync", "async"], &[], &["sync"]),
        (&["dirsync"], &["dirsync"], &["sync"]),
        (&["noatime"], &["noatime"], &["relatime"]),
        (&["noatime", "atime"], &["relatime"], &["noatime"]),
        (&["nodiratime"], &["nodiratime"], &[]),
        (&["nodiratime", "diratime"], &[], &["nodiratime"]),
        (&["relatime"], &["relatime"], &["noatime"]),
        (&["strictatime"], &[], &["relatime", "noatime"]),
        (&["strictatime", "nostrictatime"], &["relatime"], &["noatime"]),
        (&["lazytime"], &["lazytime"], &[]),
        (&["lazytime", "nolazytime"], &[], &["lazytime"]),
        (&["silent"], &["rw"], &[]),
        (&["silent", "loud"], &["rw"], &[]),
        (&["size=64k"], &["size=64k"], &[]),
        (&["mode=700"], &["mode=700"], &[]),
        (&["uid=5", "gid=6"], &["uid=5", "gid=6"], &[]),
        (
            &["nr_inodes=99", "size=1m", "nosuid", "ro"],
            &["nr_inodes=99", "size=1024k", "nosuid", "ro"],
            &["rw"],
        ),
    ];
    for (options, with, without) in table {
        let mount = tmpfs(options);
        assert_eq!(mount.kind, "tmpfs");
        check(&mount, with, without);
    }
}

#[test]
fn privileged_options_without_a_visible_effect_on_tmpfs_are_taken() {
    for option in ["norelatime", "iversion", "noiversion", "mand", "nomand"] {
        check(&tmpfs(&[option]), &["rw"], &["noatime"]);
    }
}

/// Differs from runc 1.1.5, which hands the word to the file system.
#[test]
fn privileged_the_option_defaults_changes_nothing() {
    check(&tmpfs(&["defaults"]), &["rw", "relatime"], &["ro", "nosuid", "nodev", "noexec"]);
    check(&tmpfs(&["defaults", "ro", "nosuid"]), &["ro", "nosuid"], &["rw", "nodev"]);
}

/// Linux 5.10.
#[test]
fn privileged_nosymfollow_is_in_force() {
    check(&tmpfs(&["nosymfollow"]), &["nosymfollow"], &[]);
    check(&tmpfs(&["nosymfollow", "symfollow"]), &[], &["nosymfollow"]);
}

#[test]
fn privileged_unknown_options_go_to_the_file_system_which_refuses_them() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().mount("/mnt", "tmpfs", "tmpfs", &["never-was"]);
    runtime.run(&bundle).fails().says("/mnt");
    assert!(!runtime.knows(bundle.id()));
}

/// Differs from runc, which names the target alone.
#[test]
fn privileged_an_unknown_file_system_is_refused_by_name() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().mount("/mnt", "neverwasfs", "none", &[]);
    runtime.run(&bundle).fails().says("neverwasfs");
}

#[test]
fn privileged_a_bind_mount_shows_the_directory_of_the_host() {
    let runtime = Runtime::new();
    let dir = host_dir(&runtime);
    let script = "cat /mnt/file; echo back >/mnt/new";
    for option in ["bind", "rbind"] {
        let bundle = runtime.bundle().script(script).mount("/mnt", "none", &dir, &[option]);
        assert_eq!(runtime.run(&bundle).succeeds().stdout, "from the host\n");
        assert_eq!(fs::read_to_string(dir.join("new")).expect("the container wrote it"), "back\n");
        fs::remove_file(dir.join("new")).expect("the scratch directory is writable");
    }
}

#[test]
fn privileged_the_type_of_a_bind_mount_is_a_dummy() {
    let runtime = Runtime::new();
    let dir = host_dir(&runtime);
    for kind in ["bind", "none", "", "tmpfs"] {
        let bundle = runtime.bundle().args(["cat", "/mnt/file"]).mount("/mnt", kind, &dir, &["rbind"]);
        assert_eq!(runtime.run(&bundle).succeeds().stdout, "from the host\n", "{kind:?}");
    }
}

#[test]
fn privileged_a_relative_source_of_a_bind_mount_lies_in_the_bundle() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["cat", "/mnt/file"]).mount("/mnt", "none", "data", &["bind"]);
    fs::create_dir(bundle.dir().join("data")).expect("the bundle is writable");
    fs::write(bundle.dir().join("data/file"), "relative\n").expect("the bundle is writable");
    assert_eq!(runtime.run_command(&bundle).current_dir("/").run().succeeds().stdout, "relative\n");
}

#[test]
fn privileged_options_of_a_bind_mount_are_in_force_and_leave_the_source_alone() {
    let runtime = Runtime::new();
    let dir = host_dir(&runtime);
    let options: [(&[&str], &[&str]); 6] = [
        (&["bind", "ro"], &["ro"]),
        (&["bind", "nosuid", "nodev", "noexec"], &["nosuid", "nodev", "noexec", "rw"]),
        (&["rbind", "ro", "noatime"], &["ro", "noatime"]),
        (&["rbind", "nodiratime"], &["nodiratime"]),
        (&["bind", "relatime", "nosuid"], &["relatime", "nosuid"]),
        (&["bind", "ro", "noexec", "nosuid", "nodev"], &["ro", "noexec", "nosuid", "nodev"]),
    ];
    for (options, with) in options {
        let bundle =
            runtime.bundle().args(["cat", "/proc/self/mountinfo"]).mount("/mnt", "none", &dir, options);
        let mount = mount_at(&runtime.run(&bundle).succeeds().stdout, "/mnt");
        check(&mount, with, &[]);
    }
    fs::write(dir.join("file"), "still writable").expect("the source is as it was");
}

#[test]
fn privileged_a_read_only_bind_mount_cannot_be_written() {
    let runtime = Runtime::new();
    let dir = host_dir(&runtime);
    let script = "echo x >/mnt/file || echo refused; touch /mnt/new || echo refused";
    let bundle = runtime.bundle().script(script).mount("/mnt", "none", &dir, &["rbind", "ro"]);
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "refused\nrefused\n");
    assert_eq!(fs::read_to_string(dir.join("file")).expect("it is there"), "from the host\n");
}

/// A host directory with a tmpfs mounted on its `sub`; the mount goes with the returned guard.
struct Nested<'runtime> {
    runtime: &'runtime Runtime,
    dir: PathBuf,
}

impl<'runtime> Nested<'runtime> {
    fn new(runtime: &'runtime Runtime) -> Self {
        Self::with_options(runtime, "rw")
    }

    fn with_options(runtime: &'runtime Runtime, options: &str) -> Self {
        let dir = host_dir(runtime);
        fs::create_dir_all(dir.join("sub")).expect("the scratch directory is writable");
        runtime.host(["mount", "-t", "tmpfs", "-o", options, "none"]).arg(dir.join("sub")).run().succeeds();
        fs::write(dir.join("sub/inner"), "inner\n").expect("a new tmpfs is writable");
        Self { runtime, dir }
    }
}

/// A file system of which old kernels can shift the owners has to be below too: a directory of the same one.
fn nested_alike(runtime: &Runtime) -> Nested<'_> {
    let dir = host_dir(runtime);
    let below = runtime.scratch().join("below");
    for dir in [&dir.join("sub"), &below] {
        fs::create_dir_all(dir).expect("the scratch directory is writable");
    }
    fs::write(below.join("inner"), "inner\n").expect("the scratch directory is writable");
    runtime.host(["mount", "--bind"]).args([below, dir.join("sub")]).run().succeeds();
    Nested { runtime, dir }
}

impl Drop for Nested<'_> {
    fn drop(&mut self) {
        let umount = self.runtime.host(["umount", "--recursive"]).arg(self.dir.join("sub")).run();
        assert!(umount.status.success() || std::thread::panicking(), "{}", umount.describe());
    }
}

#[test]
fn privileged_rbind_takes_the_mounts_below_and_bind_does_not() {
    let runtime = Runtime::new();
    let nested = Nested::new(&runtime);
    for (option, said) in [("rbind", "inner\n"), ("bind", "")] {
        let bundle = runtime.bundle().script("cat /mnt/sub/inner 2>/dev/null; true");
        let bundle = bundle.mount("/mnt", "none", &nested.dir, &[option]);
        assert_eq!(runtime.run(&bundle).succeeds().stdout, said, "{option}");
    }
}

#[test]
fn privileged_ro_stays_at_the_top_and_rro_reaches_the_mounts_below() {
    let runtime = Runtime::new();
    let nested = Nested::new(&runtime);
    let script = "touch /mnt/x 2>/dev/null && echo top; touch /mnt/sub/x 2>/dev/null && echo sub; true";
    for (options, said) in
        [(&["rbind"][..], "top\nsub\n"), (&["rbind", "ro"], "sub\n"), (&["rbind", "rro"], "")]
    {
        let bundle = runtime.bundle().script(script).mount("/mnt", "none", &nested.dir, options);
        assert_eq!(runtime.run(&bundle).succeeds().stdout, said, "{options:?}");
    }
}

#[test]
fn privileged_each_recursive_option_reaches_the_mounts_below() {
    let runtime = Runtime::new();
    let nested = Nested::new(&runtime);
    let options: [(&[&str], &[&str], &[&str]); 8] = [
        (&["rnosuid"], &["nosuid"], &[]),
        (&["rnodev"], &["nodev"], &[]),
        (&["rnoexec"], &["noexec"], &[]),
        (&["rnoatime"], &["noatime"], &[]),
        (&["rnodiratime"], &["nodiratime"], &[]),
        (&["rnosymfollow"], &["nosymfollow"], &[]),
        (&["rrelatime"], &["relatime"], &[]),
        (&["rstrictatime"], &[], &["relatime", "noatime"]),
    ];
    for (options, with, without) in options {
        let all: Vec<&str> = ["rbind"].iter().chain(options).copied().collect();
        let bundle =
            runtime.bundle().args(["cat", "/proc/self/mountinfo"]).mount("/mnt", "none", &nested.dir, &all);
        let table = runtime.run(&bundle).succeeds().stdout;
        for point in ["/mnt", "/mnt/sub"] {
            check(&mount_at(&table, point), with, without);
        }
    }
}

/// Differs from runc 1.1.5, whose `ratime` the kernel refuses.
#[test]
fn privileged_recursive_options_lift_what_the_mounts_below_have() {
    let runtime = Runtime::new();
    let nested = Nested::with_options(&runtime, "nosuid,nodev,noexec,noatime,nodiratime");
    for (option, word) in [
        ("rsuid", "nosuid"),
        ("rdev", "nodev"),
        ("rexec", "noexec"),
        ("ratime", "noatime"),
        ("rdiratime", "nodiratime"),
    ] {
        let bundle = runtime.bundle().args(["cat", "/proc/self/mountinfo"]);
        let table =
            runtime.run(&bundle.mount("/mnt", "none", &nested.dir, &["rbind", option])).succeeds().stdout;
        let others =
            ["nosuid", "nodev", "noexec", "noatime", "nodiratime"].into_iter().filter(|other| *other != word);
        check(&mount_at(&table, "/mnt/sub"), &others.collect::<Vec<_>>(), &[word]);
    }
}

#[test]
fn privileged_a_mount_has_the_propagation_of_its_options() {
    let runtime = Runtime::new();
    let dir = host_dir(&runtime);
    for (option, shown) in [
        ("private", ""),
        ("rprivate", ""),
        ("unbindable", "unbindable"),
        ("runbindable", "unbindable"),
        ("shared", "shared:"),
        ("rshared", "shared:"),
    ] {
        let bundle = runtime.bundle().args(["cat", "/proc/self/mountinfo"]);
        let bundle = bundle.mount("/mnt", "none", &dir, &["rbind", option]);
        let mount = mount_at(&runtime.run(&bundle).succeeds().stdout, "/mnt");
        assert!(mount.propagation.starts_with(shown), "{option}: {mount:?}");
        assert_eq!(mount.propagation.is_empty(), shown.is_empty(), "{option}: {mount:?}");
    }
}

#[test]
fn privileged_a_slave_mount_receives_what_the_host_mounts_later() {
    let runtime = Runtime::new();
    let dir = host_dir(&runtime);
    fs::create_dir(dir.join("later")).expect("the scratch directory is writable");
    // The source has to be in a peer group for anything to propagate.
    runtime.host(["mount", "--bind", "--make-shared"]).arg(&dir).arg(&dir).run().succeeds();
    let script = "echo ready; while ! test -e /mnt/later/arrived; do sleep 0.02; done; echo seen";
    let bundle =
        runtime.bundle().script(script).mount("/mnt", "none", &dir, &["rbind", "rslave"]).with(|config| {
            config["linux"]["rootfsPropagation"] = json!("slave");
        });
    let running = runtime.spawn(&bundle);
    running.wait_for_output("ready");
    runtime.host(["mount", "-t", "tmpfs", "none"]).arg(dir.join("later")).run().succeeds();
    fs::write(dir.join("later/arrived"), "").expect("a new tmpfs is writable");
    running.wait_for_output("seen");
    running.wait().succeeds();
    runtime.host(["umount", "--recursive"]).arg(&dir).run().succeeds();
}

/// The old root goes with all that is mounted below it, which a mount that is still shared would pass on to the host.
#[test]
fn privileged_the_end_of_the_old_root_takes_no_shared_mount_off_the_host() {
    for propagation in ["shared", "rshared", "slave", "rslave", "private", "rprivate"] {
        let runtime = Runtime::new();
        let nested = Nested::new(&runtime);
        runtime.host(["mount", "--make-shared"]).arg(nested.dir.join("sub")).run().succeeds();
        let below = nested.dir.join("sub/below");
        fs::create_dir(&below).expect("a new tmpfs is writable");
        runtime.host(["mount", "-t", "tmpfs", "none"]).arg(&below).run().succeeds();
        fs::write(below.join("kept"), "").expect("a new tmpfs is writable");
        let bundle = runtime.bundle().with(|config| {
            config["linux"]["rootfsPropagation"] = json!(propagation);
        });
        runtime.run(&bundle).succeeds();
        assert!(below.join("kept").exists(), "{propagation}");
    }
}

/// A mount on a shared one is copied to the host as it is at that moment.
#[test]
fn privileged_what_is_mounted_read_only_on_a_shared_mount_is_so_on_the_host() {
    let cases: [(&str, &[&str]); 4] = [
        ("rshared", &["rbind", "rshared"]),
        ("shared", &["bind"]),
        ("slave", &["bind"]),
        ("private", &["rbind"]),
    ];
    for (propagation, options) in cases {
        let runtime = Runtime::new();
        let nested = Nested::new(&runtime);
        let volume = nested.dir.join("sub");
        runtime.host(["mount", "--make-shared"]).arg(&volume).run().succeeds();
        fs::create_dir(volume.join("t")).expect("a new tmpfs is writable");
        let bundle = runtime.bundle().args(["true"]).mount("/vol", "none", &volume, options);
        let bundle = bundle.mount("/vol/t", "tmpfs", "tmpfs", &["ro", "nosuid"]).with(|config| {
            config["linux"]["rootfsPropagation"] = json!(propagation);
        });
        runtime.run(&bundle).succeeds();
        let seen = fs::read_to_string("/proc/self/mountinfo").expect("procfs is there");
        let copy = mount_at(&seen, &volume.join("t").display().to_string());
        check(&copy, &["ro", "nosuid"], &["rw"]);
    }
}

/// On a host of systemd every mount is shared, and the bundle may lie on another one than `/`, which alone is changed by a
/// propagation that is not recursive: what the container mounts must not appear there, and the root must be one to pivot to.
#[test]
fn privileged_a_bundle_on_a_shared_mount_runs_with_every_propagation_and_shows_the_host_nothing() {
    let runtime = Runtime::new();
    let mut bundle = runtime.bundle().args(["true"]).with(|config| {
        let tell = format!("cp /proc/self/mountinfo {}", runtime.scratch().join("out/mounts").display());
        config["hooks"]["createRuntime"] = json!([{"path": "/bin/sh", "args": ["sh", "-c", tell]}]);
    });
    runtime.host(["mount", "--bind", "--make-shared"]).args([bundle.dir(), bundle.dir()]).run().succeeds();
    for propagation in ["shared", "rshared", "slave", "rslave", "private", "rprivate"] {
        bundle.edit(|config| {
            config["linux"]["rootfsPropagation"] = json!(propagation);
        });
        runtime.run(&bundle).succeeds();
        let seen = fs::read_to_string(runtime.scratch().join("out/mounts")).expect("the hook has run");
        let leaked = format!("{}/rootfs", bundle.id());
        assert!(!seen.contains(&leaked), "{propagation}: {seen}");
    }
    runtime.host(["umount", "--recursive"]).arg(bundle.dir()).run().succeeds();
}

#[test]
fn privileged_a_file_is_bound_over_a_file() {
    let runtime = Runtime::new();
    let file = host_dir(&runtime).join("file");
    let bundle =
        runtime.bundle().args(["cat", "/etc/passwd"]).mount("/etc/passwd", "none", &file, &["bind", "ro"]);
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "from the host\n");
    assert!(fs::read_to_string(bundle.path("etc/passwd")).expect("it is there").contains("root:"));
}

#[test]
fn privileged_missing_targets_are_made_as_what_the_source_is() {
    let runtime = Runtime::new();
    let dir = host_dir(&runtime);
    let bundle = runtime
        .bundle()
        .script("cat /new/deep/file.conf; cat /other/dir/file; stat -f -c %T /third/one")
        .mount("/new/deep/file.conf", "none", dir.join("file"), &["bind"])
        .mount("/other/dir", "none", &dir, &["bind"])
        .mount("/third/one", "tmpfs", "tmpfs", &[]);
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "from the host\nfrom the host\ntmpfs\n");
    assert!(bundle.path("new/deep/file.conf").is_file());
    assert!(bundle.path("other/dir").is_dir());
    let mode = fs::metadata(bundle.path("new/deep")).expect("it is there").permissions().mode() & 0o7777;
    assert_eq!(mode, 0o755);
}

#[test]
fn privileged_a_missing_source_is_refused_by_name() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().mount("/mnt", "none", "/never/was", &["bind"]);
    runtime.create(&bundle).fails().says("/never/was");
    assert!(!runtime.knows(bundle.id()));
}

#[test]
fn privileged_a_directory_cannot_be_bound_over_a_file() {
    let runtime = Runtime::new();
    let dir = host_dir(&runtime);
    let bundle = runtime.bundle().mount("/etc/passwd", "none", &dir, &["bind"]);
    runtime.create(&bundle).fails().says("/etc/passwd");
    assert!(!runtime.knows(bundle.id()));
}

#[test]
fn privileged_mounts_are_made_in_the_listed_order() {
    let runtime = Runtime::new();
    let dir = host_dir(&runtime);
    let script = "cat /mnt/below/file 2>/dev/null || echo hidden";
    let over = |bundle: Bundle| bundle.mount("/mnt", "tmpfs", "tmpfs", &[]);
    let below = |bundle: Bundle| bundle.mount("/mnt/below", "none", &dir, &["bind"]);
    let bundle = below(over(runtime.bundle().script(script)));
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "from the host\n");
    let bundle = over(below(runtime.bundle().script(script)));
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "hidden\n");
}

#[test]
fn privileged_a_relative_destination_is_taken_from_the_root() {
    let runtime = Runtime::new();
    let dir = host_dir(&runtime);
    let bundle = runtime.bundle().args(["cat", "/mnt/file"]).mount("mnt", "none", &dir, &["bind"]);
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "from the host\n");
}

#[test]
fn privileged_links_in_a_destination_are_followed_within_the_root() {
    let runtime = Runtime::new();
    let dir = host_dir(&runtime);
    let bundle = runtime.bundle().args(["cat", "/real/file"]).mount("/link", "none", &dir, &["bind"]);
    fs::create_dir(bundle.path("real")).expect("the bundle is writable");
    symlink("../../../real", bundle.path("link")).expect("the bundle is writable");
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "from the host\n");
    let outside = runtime.scratch().join("outside");
    fs::create_dir(&outside).expect("the scratch directory is writable");
    let bundle = runtime.bundle().script("cat /link/file").mount("/link", "none", &dir, &["bind"]);
    symlink(&outside, bundle.path("link")).expect("the bundle is writable");
    // Inside, the link names a path that is made there; nothing may appear in the directory of that name outside.
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "from the host\n");
    assert_eq!(fs::read_dir(&outside).expect("it is there").count(), 0);
}

#[test]
fn privileged_the_root_of_a_tmpfs_has_the_mode_of_the_directory_it_covers() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["stat", "-c", "%a", "/mnt"]).mount("/mnt", "tmpfs", "tmpfs", &[]);
    fs::create_dir(bundle.path("mnt")).expect("the bundle is writable");
    fs::set_permissions(bundle.path("mnt"), fs::Permissions::from_mode(0o711))
        .expect("the bundle is writable");
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "711\n");
}

#[test]
fn privileged_a_tmpfs_with_a_mode_or_a_new_target_keeps_its_own_mode() {
    let runtime = Runtime::new();
    let script = "stat -c %a /mnt /made /dev/sub";
    let bundle = runtime.bundle().script(script).mount("/mnt", "tmpfs", "tmpfs", &["mode=750"]);
    let bundle = bundle.mount("/made", "tmpfs", "tmpfs", &[]).mount("/dev/sub", "tmpfs", "tmpfs", &[]);
    fs::create_dir(bundle.path("mnt")).expect("the bundle is writable");
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "750\n1777\n1777\n");
}

#[test]
fn privileged_a_tmpfs_obeys_its_size() {
    let runtime = Runtime::new();
    let script = "dd if=/dev/zero of=/mnt/big bs=64k count=4 2>/dev/null || stat -c %s /mnt/big";
    let bundle = runtime.bundle().script(script).mount("/mnt", "tmpfs", "tmpfs", &["size=128k"]);
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "131072\n");
}

#[test]
fn privileged_the_default_mounts_are_there_with_their_options() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["cat", "/proc/self/mountinfo"]);
    let table = runtime.run(&bundle).succeeds().stdout;
    for (point, kind, with) in [
        ("/proc", "proc", &["rw"][..]),
        ("/dev", "tmpfs", &["nosuid", "size=65536k", "mode=755"]),
        ("/dev/pts", "devpts", &["nosuid", "noexec", "gid=5", "mode=620", "ptmxmode=666"]),
        ("/dev/shm", "tmpfs", &["nosuid", "nodev", "noexec", "size=65536k"]),
        ("/dev/mqueue", "mqueue", &["nosuid", "nodev", "noexec"]),
        ("/sys", "sysfs", &["nosuid", "nodev", "noexec", "ro"]),
    ] {
        let mount = mount_at(&table, point);
        assert_eq!(mount.kind, kind, "{point}");
        check(&mount, with, &[]);
    }
}

#[test]
fn privileged_a_message_queue_belongs_to_the_containers_ipc_namespace() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("touch /dev/mqueue/mine && ls /dev/mqueue").with(|config| {
        config["process"]["rlimits"] = json!([{"type": "RLIMIT_MSGQUEUE", "soft": 819_200, "hard": 819_200}]);
    });
    for _ in 0..2 {
        assert_eq!(runtime.run(&bundle).succeeds().stdout, "mine\n");
    }
}

#[test]
fn privileged_the_pseudoterminals_are_the_containers_own() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("ls /dev/pts; readlink /dev/ptmx; stat -c %a /dev/pts/ptmx");
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "ptmx\npts/ptmx\n666\n");
}

#[test]
fn privileged_hybrid_the_cgroup_mount_shows_the_containers_own_groups() {
    let runtime = Runtime::new();
    for own_namespace in [false, true] {
        let script = "ls /sys/fs/cgroup; cat /sys/fs/cgroup/pids/pids.max; grep -c . /sys/fs/cgroup/pids/cgroup.procs; \
            mkdir /sys/fs/cgroup/pids/sub 2>/dev/null || echo read-only";
        let mut bundle = runtime.bundle().script(script);
        if own_namespace {
            bundle = bundle.namespace("cgroup", None);
        }
        bundle.edit(|config| config["linux"]["resources"]["pids"] = json!({"limit": 77}));
        let said = runtime.run(&bundle).succeeds().stdout;
        for controller in
            ["cpu", "cpuset", "memory", "pids", "devices", "freezer", "blkio", "cpuacct", "systemd"]
        {
            assert!(said.lines().any(|line| line == controller), "{controller} is not in {said}");
        }
        assert!(said.contains("\n77\n") && said.ends_with("read-only\n"), "{said}");
    }
}

#[test]
fn privileged_overlay_is_mounted_with_its_own_options() {
    let runtime = Runtime::new();
    let base = runtime.scratch().join("overlay");
    for dir in ["lower", "upper", "work"] {
        fs::create_dir_all(base.join(dir)).expect("the scratch directory is writable");
    }
    fs::write(base.join("lower/file"), "lower\n").expect("the scratch directory is writable");
    let options = ["lower", "upper", "work"].map(|dir| format!("{dir}dir={}", base.join(dir).display()));
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let bundle = runtime.bundle().script("cat /mnt/file; echo new >/mnt/file");
    let bundle = bundle.mount("/mnt", "overlay", "overlay", &options);
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "lower\n");
    assert_eq!(fs::read_to_string(base.join("upper/file")).expect("copied up"), "new\n");
    assert_eq!(fs::read_to_string(base.join("lower/file")).expect("it is there"), "lower\n");
}

/// Differs from runc 1.1.5, which ignores the mappings: config.md, POSIX-platform Mounts, `idmap`.
#[test]
fn privileged_an_idmapped_bind_mount_shows_shifted_owners() {
    let runtime = Runtime::new();
    let dir = host_dir(&runtime);
    std::os::unix::fs::chown(dir.join("file"), Some(1000), Some(1001)).expect("root may");
    let map = |inside: u32, outside: u32| json!([{"containerID": inside, "hostID": outside, "size": 10}]);
    let bundle = runtime.bundle().args(["stat", "-c", "%u:%g", "/mnt/file"]).with(|config| {
        push(
            &mut config["mounts"],
            json!({"destination": "/mnt", "source": dir, "type": "none", "options": ["bind", "idmap"],
                   "uidMappings": map(1000, 5000), "gidMappings": map(1000, 6000)}),
        );
    });
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "5000:6001\n");
    assert_eq!(fs::metadata(dir.join("file")).expect("it is there").uid(), 1000);
}

/// crun's words for the same.
#[test]
fn privileged_an_option_with_mappings_shows_shifted_owners() {
    let runtime = Runtime::new();
    let dir = host_dir(&runtime);
    std::os::unix::fs::chown(dir.join("file"), Some(1000), Some(1001)).expect("root may");
    let options = ["bind", "idmap=uids=0-5000-2000;gids=0-7000-1#1000-6000-10"];
    let bundle =
        runtime.bundle().args(["stat", "-c", "%u:%g", "/mnt/file"]).mount("/mnt", "none", &dir, &options);
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "6000:6001\n");
    let bundle = runtime.bundle().mount("/mnt", "none", &dir, &["bind", "idmap=uids=0-5000"]);
    runtime.create(&bundle).fails().says("/options/1").says("0-5000");
    assert!(!runtime.knows(bundle.id()));
}

/// Files of the host's root and of id 5 belong to the container's root and to its id 5, inside and outside.
#[test]
fn privileged_idmap_without_mappings_is_that_of_the_containers_user_namespace() {
    let runtime = Runtime::new();
    let dir = host_dir(&runtime);
    std::os::unix::fs::chown(dir.join("file"), Some(5), Some(7)).expect("root may");
    let script = "stat -c %u:%g /mnt /mnt/file /plain; touch /mnt/new";
    let bundle = runtime.bundle().script(script).user_namespace(100_000, 1000);
    let bundle =
        bundle.mount("/mnt", "none", &dir, &["bind", "idmap"]).mount("/plain", "none", &dir, &["bind"]);
    // The container's root is nobody to the bundle.
    for target in ["mnt", "plain"] {
        fs::create_dir(bundle.path(target)).expect("the bundle is writable");
    }
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "0:0\n5:7\n65534:65534\n");
    assert_eq!(fs::metadata(dir.join("new")).expect("the container made it").uid(), 0);
}

#[test]
fn privileged_mappings_of_a_mount_need_no_option_and_several_mounts_may_share_them() {
    let runtime = Runtime::new();
    let dir = host_dir(&runtime);
    let map =
        json!([{"containerID": 0, "hostID": 40, "size": 1}, {"containerID": 9, "hostID": 50, "size": 1}]);
    std::os::unix::fs::chown(dir.join("file"), Some(9), Some(8)).expect("root may");
    let script = "stat -c %u:%g /one /one/file /two/file";
    let bundle = runtime.bundle().script(script).with(|config| {
        for destination in ["/one", "/two"] {
            let mount = json!({"destination": destination, "source": dir, "options": ["rbind", "ro"],
                "uidMappings": map, "gidMappings": map});
            push(&mut config["mounts"], mount);
        }
    });
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "40:40\n50:65534\n50:65534\n");
}

#[test]
fn privileged_ridmap_reaches_the_mounts_below_and_idmap_does_not() {
    let runtime = Runtime::new();
    let nested = nested_alike(&runtime);
    let map = json!([{"containerID": 0, "hostID": 40, "size": 1}]);
    for (option, said) in [("idmap", "40\n0\n"), ("ridmap", "40\n40\n")] {
        let bundle =
            runtime.bundle().args(["stat", "-c", "%u", "/mnt/file", "/mnt/sub/inner"]).with(|config| {
                let mount = json!({"destination": "/mnt", "source": nested.dir, "options": ["rbind", option],
                "uidMappings": map, "gidMappings": map});
                push(&mut config["mounts"], mount);
            });
        assert_eq!(runtime.run(&bundle).succeeds().stdout, said, "{option}");
    }
}

#[test]
fn privileged_a_file_system_that_cannot_map_ids_is_named() {
    let runtime = Runtime::new();
    let map = json!([{"containerID": 0, "hostID": 40, "size": 1}]);
    let bundle = runtime.bundle().with(|config| {
        let mount = json!({"destination": "/mnt", "source": "/proc/sys", "options": ["bind", "idmap"],
            "uidMappings": map, "gidMappings": map});
        push(&mut config["mounts"], mount);
    });
    runtime.create(&bundle).fails().says("/proc/sys").says("file system cannot");
    assert!(!runtime.knows(bundle.id()));
}

#[test]
fn privileged_idmap_without_any_mapping_is_refused() {
    let runtime = Runtime::new();
    let dir = host_dir(&runtime);
    let bundle = runtime.bundle().mount("/mnt", "none", &dir, &["bind", "idmap"]);
    // Differs from runc 1.1.5: config.md, "If there are no uidMappings and gidMappings specified and the container isn't
    // using user namespaces, an error MUST be returned".
    runtime.create(&bundle).fails();
    assert!(!runtime.knows(bundle.id()));
}

#[test]
fn privileged_mounts_of_the_container_do_not_reach_the_host() {
    let runtime = Runtime::new();
    let dir = host_dir(&runtime);
    let bundle =
        runtime.bundle().script("mount -t tmpfs none /mnt && echo ready && exec sleep 1000").with(|config| {
            let caps = json!(["CAP_SYS_ADMIN"]);
            config["process"]["capabilities"] =
                json!({"bounding": caps, "effective": caps, "permitted": caps});
        });
    let bundle = bundle.mount("/mnt", "none", &dir, &["rbind"]);
    let running = runtime.spawn(&bundle);
    running.wait_for_output("ready");
    assert_eq!(leftovers::mounts_below(runtime.name()), Vec::<String>::new());
    runtime.kill(bundle.id(), "KILL").succeeds();
    running.wait().exits(137);
}

#[test]
fn privileged_remount_changes_the_options_of_a_mount_before() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("touch /mnt/x || echo refused");
    let bundle =
        bundle.mount("/mnt", "tmpfs", "tmpfs", &[]).mount("/mnt", "tmpfs", "tmpfs", &["remount", "ro"]);
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "refused\n");
}

#[test]
fn privileged_a_thousand_mounts_are_made() {
    let runtime = Runtime::new();
    let dir = host_dir(&runtime);
    let entries: Vec<Value> = (0..1000)
        .map(|n| json!({"destination": format!("/mnt/{n}"), "source": dir, "type": "none", "options": ["rbind", "ro"]}))
        .collect();
    let bundle = runtime.bundle().script("grep -c ' /mnt/' /proc/self/mountinfo").with(|config| {
        entries.into_iter().for_each(|entry| push(&mut config["mounts"], entry));
    });
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "1000\n");
    wait::until("the mounts to go with their namespace", || {
        leftovers::mounts_below(runtime.name()).is_empty().then_some(())
    });
}
