//! Races for what the runtime looks up in a root file system: while it sets up a container, somebody who shares a volume
//! with it exchanges a directory and a link out of the root file system (CVE-2021-30465, CVE-2024-45310).

use mydocker_tests::{Bundle, Canary, Outcome, Runtime, Swapper};
use serde_json::json;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// How often each race is run.
const ROUNDS: usize = 60;

/// A volume with a directory `hop` and the link `trap`, which change places.
struct Volume {
    dir: PathBuf,
}

impl Volume {
    fn new(runtime: &Runtime, name: &str, trap: &Path) -> Self {
        let dir = runtime.scratch().join(name);
        fs::create_dir_all(dir.join("hop")).expect("the scratch directory is writable");
        fs::set_permissions(dir.join("hop"), fs::Permissions::from_mode(0o777)).expect("an own directory");
        symlink(trap, dir.join("trap")).expect("the scratch directory is writable");
        Self { dir }
    }

    fn race(&self) -> Swapper {
        Swapper::start(&self.dir.join("hop"), &self.dir.join("trap"))
    }
}

/// Runs rounds of a race: each makes a container of what `prepare` made of a bundle with the volume at `/vol`, and hands
/// how that went to `judge`. Every round ends with a look at the canary.
fn race(prepare: impl Fn(Bundle) -> Bundle, judge: impl Fn(&Runtime, &Bundle, Outcome)) {
    let runtime = Runtime::new();
    let canary = Canary::new();
    let mut swaps = 0;
    let ways = [canary.path("empty"), canary.climb("empty"), canary.dir().to_owned()];
    for round in 0..ROUNDS {
        let volume = Volume::new(&runtime, &format!("volume-{round}"), &ways[round % ways.len()]);
        let bundle = prepare(runtime.bundle().mount("/vol", "bind", &volume.dir, &["rbind", "rw"]));
        let swapper = volume.race();
        let outcome = runtime.create(&bundle);
        swaps += swapper.swaps();
        drop(swapper);
        canary.assert_untouched(&outcome.describe());
        judge(&runtime, &bundle, outcome);
        if runtime.knows(bundle.id()) {
            runtime.delete_force(bundle.id()).succeeds().discard();
        }
        canary.assert_untouched("delete");
    }
    assert!(swaps > 0, "there was no race");
}

/// Demands that the container, if it was made, has a mount of that source: what is mounted elsewhere is missing there.
fn assert_mounted_inside(runtime: &Runtime, bundle: &Bundle, outcome: &Outcome, source: &str) {
    if outcome.status.success() {
        let table = fs::read_to_string(format!("/proc/{}/mountinfo", runtime.pid(bundle.id())));
        let table = table.expect("the created container has a process");
        assert!(table.contains(source), "the mount {source} is outside: {table}");
    }
}

#[test]
fn privileged_a_mount_target_that_is_swapped_stays_inside() {
    let prepare = |bundle: Bundle| bundle.mount("/vol/hop", "tmpfs", "raced", &["nosuid"]);
    race(prepare, |runtime, bundle, outcome| assert_mounted_inside(runtime, bundle, &outcome, " raced "));
}

#[test]
fn privileged_directories_for_a_mount_are_made_inside_while_their_parent_is_swapped() {
    let prepare = |bundle: Bundle| bundle.mount("/vol/hop/made/deep", "tmpfs", "raced", &["nosuid"]);
    race(prepare, |runtime, bundle, outcome| assert_mounted_inside(runtime, bundle, &outcome, " raced "));
}

#[test]
fn privileged_files_for_a_mount_are_made_inside_while_their_parent_is_swapped() {
    let prepare = |bundle: Bundle| bundle.mount("/vol/hop/file", "bind", "/etc/hostname", &["bind", "ro"]);
    race(prepare, |runtime, bundle, outcome| assert_mounted_inside(runtime, bundle, &outcome, "/hostname "));
}

#[test]
fn privileged_a_bind_below_another_is_attached_inside_while_the_other_is_swapped() {
    // As in the attack of CVE-2021-30465: the second mount goes through the directory that the first one brought.
    let prepare = |bundle: Bundle| {
        let other = bundle.dir().join("other");
        fs::create_dir_all(other.join("sub")).expect("an own directory");
        bundle.mount("/vol/hop/sub", "bind", other, &["rbind"]).mount(
            "/vol/hop/sub/sub",
            "tmpfs",
            "raced",
            &[],
        )
    };
    race(prepare, |runtime, bundle, outcome| assert_mounted_inside(runtime, bundle, &outcome, " raced "));
}

#[test]
fn privileged_devices_are_made_inside_while_their_directory_is_swapped() {
    let prepare = |bundle: Bundle| {
        let node = json!({"path": "/vol/hop/node", "type": "c", "major": 1, "minor": 3, "fileMode": 0o666});
        bundle.with(|config| config["linux"]["devices"] = json!([node]))
    };
    race(prepare, |_, _, outcome| outcome.discard());
}

#[test]
fn privileged_devices_are_bound_inside_while_their_directory_is_swapped() {
    let prepare = |bundle: Bundle| {
        let node = json!({"path": "/vol/hop/node", "type": "c", "major": 1, "minor": 3, "fileMode": 0o666});
        bundle.user_namespace(100_000, 65536).with(|config| config["linux"]["devices"] = json!([node]))
    };
    race(prepare, |_, _, outcome| outcome.discard());
}

#[test]
fn privileged_a_swapped_dev_keeps_devices_inside() {
    let prepare = |bundle: Bundle| {
        let bundle = bundle.with(|config| {
            let mounts = config["mounts"].as_array_mut().expect("an array");
            mounts
                .retain(|mount| !mount["destination"].as_str().is_some_and(|path| path.starts_with("/dev")));
        });
        fs::remove_dir(bundle.path("dev")).expect("an empty directory");
        symlink("vol/hop", bundle.path("dev")).expect("an own directory");
        bundle
    };
    race(prepare, |_, _, outcome| outcome.discard());
}
