//! Symbolic links in the image: whatever the runtime looks up in a root file system ends in that root file system.
//!
//! The links lead to a [`Canary`] on the host, by an absolute path or by enough `..`, to what is there and to what is
//! not. A runtime that follows one makes, changes or mounts something on the host, or does not do inside what it was
//! asked to do there.

use mydocker_tests::canary::SECRET;
use mydocker_tests::{Bundle, Canary, Outcome, Runtime};
use serde_json::json;
use std::fs;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

/// The host id of root in the tests with a user namespace.
const HOST_ID: u32 = 100_000;

/// A mount of every kind that a usual bundle has: type and options.
const KINDS: [(&str, &[&str]); 5] = [
    ("tmpfs", &["nosuid", "nodev"]),
    ("devpts", &["newinstance", "ptmxmode=0666", "mode=0620"]),
    ("mqueue", &["nosuid", "noexec", "nodev"]),
    ("sysfs", &["nosuid", "noexec", "nodev", "ro"]),
    ("cgroup", &["nosuid", "noexec", "nodev", "ro"]),
];

/// What tells whether `/dev/null` is the null device.
const LOOK_AT_NULL: [&str; 4] = ["stat", "-c", "%F %t:%T", "/dev/null"];

/// Every way out of a root file system that a link can take: to the canary's directory `empty`, and to what is not
/// there yet.
fn ways_out(canary: &Canary) -> [PathBuf; 4] {
    [canary.path("empty"), canary.path("made"), canary.climb("empty"), canary.climb("made")]
}

/// Replaces an entry of the image by a link.
fn link(bundle: &Bundle, inside: &str, target: &Path) {
    let path = bundle.path(inside);
    if path.is_dir() && !path.is_symlink() {
        fs::remove_dir_all(&path).expect("an own directory");
    } else if path.symlink_metadata().is_ok() {
        fs::remove_file(&path).expect("an own file");
    }
    symlink(target, path).expect("an own directory");
}

/// A directory of the host to mount, with the file `marker`.
fn volume(runtime: &Runtime) -> PathBuf {
    let dir = runtime.scratch().join("volume");
    fs::create_dir_all(&dir).expect("the scratch directory is writable");
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).expect("an own directory");
    fs::write(dir.join("marker"), "mounted\n").expect("the scratch directory is writable");
    dir
}

/// Drops the mounts at and below `/dev`, so that the image's own `/dev` is used.
fn on_the_images_dev(bundle: Bundle) -> Bundle {
    bundle.with(|config| {
        let mounts = config["mounts"].as_array_mut().expect("an array");
        mounts.retain(|mount| !mount["destination"].as_str().is_some_and(|path| path.starts_with("/dev")));
    })
}

/// Adds a user namespace, and gives it the directories `paths` of the image.
fn in_user_namespace(bundle: Bundle, paths: &[&str]) -> Bundle {
    for path in paths {
        give_away(&bundle.path(path));
    }
    bundle.user_namespace(HOST_ID, 65536)
}

/// Gives a path and all below it to the root of the user namespace.
fn give_away(path: &Path) {
    lchown(path, Some(HOST_ID), Some(HOST_ID)).expect("root may");
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path).expect("an own directory").flatten() {
            give_away(&entry.path());
        }
    }
}

/// Runs the bundle and demands that the canary lives.
fn run(runtime: &Runtime, bundle: &Bundle, canary: &Canary) -> Outcome {
    let outcome = runtime.run(bundle);
    canary.assert_untouched(&outcome.describe());
    outcome
}

/// Demands that `/dev/null` inside is the null device, or that the image was refused with the name of the place.
fn assert_null_device_or_refusal(outcome: Outcome, place: &str) {
    if outcome.status.success() {
        assert!(outcome.stdout.contains("character special file 1:3"), "{}", outcome.describe());
    } else {
        outcome.fails().says(place).discard();
    }
}

#[test]
fn privileged_a_link_to_the_canary_shows_the_containers_own_file() {
    // The test of the tests: inside, the canary's path leads to the container's file and never to the host's.
    let runtime = Runtime::new();
    let canary = Canary::new();
    let bundle = runtime.bundle().args(["cat", "/link"]);
    canary.shadow_in(&bundle.path(""), "inside\n");
    link(&bundle, "link", &canary.path("secret"));
    assert_eq!(run(&runtime, &bundle, &canary).succeeds().stdout, "inside\n");
    assert_eq!(fs::read_to_string(canary.path("secret")).expect("an own file"), SECRET);
}

#[test]
fn privileged_a_link_at_the_target_of_a_directory_bind_stays_inside() {
    let runtime = Runtime::new();
    let canary = Canary::new();
    for way in ways_out(&canary) {
        let bundle = runtime.bundle().args(["cat", "/vol/marker"]);
        let bundle = bundle.mount("/vol", "bind", volume(&runtime), &["rbind"]);
        link(&bundle, "vol", &way);
        let outcome = run(&runtime, &bundle, &canary);
        assert_eq!(outcome.succeeds().stdout, "mounted\n", "{}", way.display());
    }
}

#[test]
fn privileged_a_link_at_the_target_of_a_file_bind_stays_inside() {
    let runtime = Runtime::new();
    let canary = Canary::new();
    for way in [canary.path("made"), canary.climb("made"), canary.path("empty/made"), canary.path("secret")] {
        let bundle = runtime.bundle().args(["cat", "/file"]);
        let bundle = bundle.mount("/file", "bind", volume(&runtime).join("marker"), &["bind", "ro"]);
        link(&bundle, "file", &way);
        let outcome = run(&runtime, &bundle, &canary);
        assert_eq!(outcome.succeeds().stdout, "mounted\n", "{}", way.display());
    }
}

#[test]
fn privileged_a_link_above_the_target_of_a_mount_stays_inside() {
    let runtime = Runtime::new();
    let canary = Canary::new();
    let source = volume(&runtime);
    for way in ways_out(&canary) {
        let bundle = runtime.bundle().args(["cat", "/up/new/vol/marker", "/up/file"]);
        let bundle = bundle.mount("/up/new/vol", "bind", &source, &["rbind"]);
        let bundle = bundle.mount("/up/file", "bind", source.join("marker"), &["bind"]);
        link(&bundle, "up", &way);
        let outcome = run(&runtime, &bundle, &canary);
        assert_eq!(outcome.succeeds().stdout, "mounted\nmounted\n", "{}", way.display());
    }
}

#[test]
fn privileged_a_destination_that_climbs_stays_inside() {
    let runtime = Runtime::new();
    let canary = Canary::new();
    let destination = format!("/{}", canary.climb("made").display());
    let marker = canary.path("made/marker").display().to_string();
    let bundle = runtime.bundle().args(["cat", &marker]);
    let bundle = bundle.mount(&destination, "bind", volume(&runtime), &["rbind"]);
    assert_eq!(run(&runtime, &bundle, &canary).succeeds().stdout, "mounted\n");
}

#[test]
fn privileged_a_chain_of_links_at_a_target_stays_inside() {
    let runtime = Runtime::new();
    let canary = Canary::new();
    let bundle = runtime.bundle().args(["cat", "/vol/marker"]);
    let bundle = bundle.mount("/a/./../vol", "bind", volume(&runtime), &["rbind"]);
    for (name, target) in [("a", "b"), ("b", "/c/."), ("c", "../../d"), ("vol", "a/made")] {
        link(&bundle, name, Path::new(target));
    }
    link(&bundle, "d", canary.dir());
    let outcome = run(&runtime, &bundle, &canary);
    if outcome.status.success() {
        assert_eq!(outcome.stdout, "mounted\n");
    } else {
        outcome.fails().says("/vol").discard();
    }
}

#[test]
fn privileged_a_loop_of_links_at_a_target_is_refused_by_its_name() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().mount("/loop/vol", "bind", volume(&runtime), &["rbind"]);
    link(&bundle, "loop", Path::new("pool"));
    link(&bundle, "pool", Path::new("loop"));
    runtime.run(&bundle).fails().says("/loop/vol").discard();
}

/// Every kind of file system at a link: it is mounted inside, where the kernel then lists it, or refused by its name.
fn mount_each_kind_at_a_link(prepare: impl Fn(Bundle) -> Bundle) {
    let runtime = Runtime::new();
    let canary = Canary::new();
    for (kind, options) in KINDS {
        for way in ways_out(&canary) {
            let bundle = prepare(runtime.bundle()).args(["cat", "/proc/self/mountinfo"]);
            let bundle = bundle.mount("/vol", kind, kind, options);
            link(&bundle, "vol", &way);
            let outcome = run(&runtime, &bundle, &canary);
            if outcome.status.success() {
                let name = way.file_name().expect("it has a name").to_string_lossy().into_owned();
                let point = format!(" {} ", canary.path(&name).display());
                assert!(outcome.stdout.contains(&point), "no {point}in {}", outcome.describe());
            } else {
                outcome.fails().says("/vol").discard();
            }
        }
    }
}

#[test]
fn privileged_a_link_at_the_target_of_any_file_system_stays_inside() {
    mount_each_kind_at_a_link(|bundle| bundle);
}

#[test]
fn privileged_a_link_at_the_target_of_any_file_system_stays_inside_in_a_user_namespace() {
    mount_each_kind_at_a_link(|bundle| in_user_namespace(bundle, &["tmp"]));
}

#[test]
fn privileged_a_link_in_place_of_dev_keeps_devices_inside() {
    // CVE-2026-41579, CVE-2026-47766: no mount hides the image's /dev, and the image's /dev is a link.
    let runtime = Runtime::new();
    let canary = Canary::new();
    for with_user_namespace in [false, true] {
        for way in ways_out(&canary) {
            let mut bundle = on_the_images_dev(runtime.bundle()).args(LOOK_AT_NULL);
            canary.shadow_in(&bundle.path(""), "inside\n");
            link(&bundle, "dev", &way);
            if with_user_namespace {
                bundle = in_user_namespace(bundle, &["tmp"]);
            }
            assert_null_device_or_refusal(run(&runtime, &bundle, &canary), "/dev");
        }
    }
}

#[test]
fn privileged_a_link_in_place_of_dev_keeps_its_mounts_inside() {
    let runtime = Runtime::new();
    let canary = Canary::new();
    for way in ways_out(&canary) {
        let bundle = runtime.bundle().args(LOOK_AT_NULL);
        link(&bundle, "dev", &way);
        assert_null_device_or_refusal(run(&runtime, &bundle, &canary), "/dev");
    }
}

#[test]
fn privileged_what_comes_after_a_mount_that_links_bring_over_dev_is_mounted_in_it() {
    // The runtime remembers its mounts, so that it need not look at each target; a link may bring another over them.
    let runtime = Runtime::new();
    for (at, name, target) in
        [("/cover", "cover", "/dev"), ("/place", "dev", "/place"), ("/up/dev", "up", "/")]
    {
        let bundle = runtime.bundle().args(["test", "-d", "/dev/own"]);
        fs::create_dir(bundle.path("place")).expect("an own directory");
        link(&bundle, name, Path::new(target));
        let bundle = bundle.mount(at, "tmpfs", "cover", &["nosuid"]);
        let bundle = masking(bundle.mount("/dev/own", "tmpfs", "later", &["nosuid"]), "/nothing");
        runtime.run(&bundle).succeeds().discard();
    }
}

#[test]
fn privileged_links_in_place_of_devices_create_nothing_outside() {
    let runtime = Runtime::new();
    let canary = Canary::new();
    let names = ["null", "zero", "full", "random", "urandom", "tty", "ptmx", "fd", "stdin"];
    for with_user_namespace in [false, true] {
        for way in [canary.path("made"), canary.climb("made"), canary.path("secret")] {
            let mut bundle = on_the_images_dev(runtime.bundle()).args(LOOK_AT_NULL);
            for name in names {
                link(&bundle, &format!("dev/{name}"), &way);
            }
            if with_user_namespace {
                bundle = in_user_namespace(bundle, &["dev", "tmp"]);
            }
            // Whoever accepts such an image has put the right devices in the place of the links.
            assert_null_device_or_refusal(run(&runtime, &bundle, &canary), "/dev/");
        }
    }
}

#[test]
fn privileged_a_link_at_or_above_a_configured_device_stays_inside() {
    let runtime = Runtime::new();
    let canary = Canary::new();
    let above = ways_out(&canary).into_iter().map(|way| ("opt", way));
    let at = [("opt/node", canary.path("made")), ("opt/node", canary.climb("empty/made"))];
    for (place, way) in above.chain(at) {
        for with_user_namespace in [false, true] {
            let bundle = runtime.bundle().args(["stat", "-c", "%F %t:%T", "/opt/node"]);
            let node = json!({"path": "/opt/node", "type": "c", "major": 1, "minor": 3, "fileMode": 0o666});
            let mut bundle = bundle.with(|config| config["linux"]["devices"] = json!([node]));
            fs::create_dir(bundle.path("opt")).expect("an own directory");
            link(&bundle, place, &way);
            if with_user_namespace {
                bundle = in_user_namespace(bundle, &["opt", "tmp"]);
            }
            assert_null_device_or_refusal(run(&runtime, &bundle, &canary), "/opt/node");
        }
    }
}

/// Configures one path as masked.
fn masking(bundle: Bundle, path: &str) -> Bundle {
    bundle.with(|config| config["linux"]["maskedPaths"] = json!([path]))
}

#[test]
fn privileged_a_masked_path_that_is_a_link_hides_what_it_leads_to_inside() {
    let runtime = Runtime::new();
    let canary = Canary::new();
    for way in [canary.path("secret"), canary.climb("secret")] {
        let bundle = masking(runtime.bundle().args(["cat", "/mask"]), "/mask");
        canary.shadow_in(&bundle.path(""), "to be hidden\n");
        link(&bundle, "mask", &way);
        assert_eq!(run(&runtime, &bundle, &canary).succeeds().stdout, "", "{}", way.display());
    }
}

#[test]
fn privileged_a_masked_directory_that_is_a_link_hides_what_it_leads_to_inside() {
    let runtime = Runtime::new();
    let canary = Canary::new();
    let bundle = masking(runtime.bundle().args(["ls", "/mask/"]), "/mask");
    canary.shadow_in(&bundle.path(""), "to be hidden\n");
    link(&bundle, "mask", canary.dir());
    assert_eq!(run(&runtime, &bundle, &canary).succeeds().stdout, "");
}

#[test]
fn privileged_a_read_only_path_that_is_a_link_protects_what_it_leads_to_inside() {
    let runtime = Runtime::new();
    let canary = Canary::new();
    for way in [canary.dir().to_owned(), canary.climb("")] {
        let bundle = runtime.bundle().script("touch /ro/new; echo $?; cat /ro/secret");
        let bundle = bundle.with(|config| config["linux"]["readonlyPaths"] = json!(["/ro"]));
        canary.shadow_in(&bundle.path(""), "inside\n");
        link(&bundle, "ro", &way);
        let outcome = run(&runtime, &bundle, &canary);
        assert_eq!(outcome.succeeds().stdout, "1\ninside\n", "{}", way.display());
    }
}

#[test]
fn privileged_masked_and_read_only_paths_that_exist_only_on_the_host_are_left_alone() {
    let runtime = Runtime::new();
    let canary = Canary::new();
    let bundle = runtime.bundle().args(["ls", "-A", "/tmp"]).with(|config| {
        config["linux"]["maskedPaths"] = json!(["/mask", "/mask/secret"]);
        config["linux"]["readonlyPaths"] = json!(["/ro", "/ro/secret"]);
    });
    link(&bundle, "mask", canary.dir());
    link(&bundle, "ro", &canary.climb(""));
    let outcome = run(&runtime, &bundle, &canary);
    assert_eq!(outcome.succeeds().stdout, "", "something was made for a path that does not exist");
}

#[test]
fn privileged_a_working_directory_that_is_a_link_is_made_inside() {
    let runtime = Runtime::new();
    let canary = Canary::new();
    for way in ways_out(&canary) {
        let bundle = runtime.bundle().args(["pwd", "-P"]);
        let bundle = bundle.with(|config| config["process"]["cwd"] = json!("/work/dir"));
        link(&bundle, "work", &way);
        let outcome = run(&runtime, &bundle, &canary);
        if outcome.status.success() {
            let name = way.file_name().expect("it has a name").to_string_lossy().into_owned();
            let inside = canary.path(&name).join("dir").display().to_string();
            assert_eq!(outcome.stdout.trim_end(), inside, "{}", way.display());
        } else {
            outcome.fails().says("/work/dir").discard();
        }
    }
}
