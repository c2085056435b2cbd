//! The container's `/proc`: never anything but procfs, and never a way for the runtime to write elsewhere.

use mydocker_tests::refusal::{must_not_run, nothing_left, refused};
use mydocker_tests::{Bundle, Canary, Outcome, Runtime, Swapper};
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A directory of the host that looks like `/proc`: the files that a runtime writes to are there, and regular.
struct FalseProc {
    canary: Canary,
}

/// Where a runtime writes kernel parameters and labels of the security modules.
const WRITTEN: [&str; 7] = [
    "self/attr/exec",
    "self/attr/apparmor/exec",
    "thread-self/attr/exec",
    "1/attr/exec",
    "sys/kernel/msgmax",
    "kernel/msgmax",
    "msgmax",
];

/// What the files of a [`FalseProc`] say; no parameter that a test sets has this value.
const UNTOUCHED: &str = "4321\n";

impl FalseProc {
    fn new() -> Self {
        let canary = Canary::new();
        for file in WRITTEN {
            let path = canary.path("empty").join(file);
            fs::create_dir_all(path.parent().expect("a file is in a directory")).expect("an own directory");
            fs::write(path, UNTOUCHED).expect("an own directory");
        }
        Self { canary }
    }

    fn dir(&self) -> PathBuf {
        self.canary.path("empty")
    }

    /// Demands that no file in it was written.
    fn assert_untouched(&self, outcome: &Outcome) {
        for file in WRITTEN {
            let text = fs::read_to_string(self.dir().join(file)).expect("an own file");
            assert_eq!(text, UNTOUCHED, "{file} was written to: {}", outcome.describe());
        }
    }
}

/// Makes the image's `/proc` a link.
fn link_proc(bundle: &Bundle, target: &Path) {
    fs::remove_dir(bundle.path("proc")).expect("an empty directory");
    symlink(target, bundle.path("proc")).expect("an own directory");
}

/// Asks for what the runtime writes through procfs.
fn with_sysctl(bundle: Bundle) -> Bundle {
    bundle.with(|config| config["linux"]["sysctl"] = json!({"kernel.msgmax": "5432"}))
}

#[test]
fn privileged_a_volume_over_proc_is_refused_however_its_destination_is_spelled() {
    // CVE-2019-16884: an image's volume over /proc makes the runtime write its labels into files.
    let runtime = Runtime::new();
    let fake = FalseProc::new();
    let with_volume_at = |destination: &str| {
        let bundle = with_sysctl(must_not_run(runtime.bundle()));
        symlink("proc", bundle.path("link")).expect("an own directory");
        symlink("/", bundle.path("up")).expect("an own directory");
        bundle.mount(destination, "bind", fake.dir(), &["rbind", "rw"])
    };
    for destination in ["/proc", "/proc/", "//proc", "/./proc/.", "/tmp/../proc", "/link", "/up/proc"] {
        let outcome = refused(&runtime, &with_volume_at(destination)).says("/proc");
        fake.assert_untouched(&outcome);
    }
    // A relative destination may be worth a warning of its own, so the refusal may have more lines.
    let bundle = with_volume_at("proc");
    let outcome = runtime.run(&bundle).fails().says("proc");
    nothing_left(&runtime, &bundle, &outcome);
    fake.assert_untouched(&outcome);
}

#[test]
fn privileged_no_other_file_system_takes_the_place_of_proc() {
    let runtime = Runtime::new();
    for (kind, options) in [("tmpfs", ["nosuid"]), ("sysfs", ["ro"]), ("mqueue", ["nosuid"])] {
        let bundle = must_not_run(runtime.bundle()).mount("/proc", kind, kind, &options);
        refused(&runtime, &bundle).says("/proc").discard();
    }
}

#[test]
fn privileged_nothing_is_mounted_below_proc() {
    let runtime = Runtime::new();
    let fake = FalseProc::new();
    let below = [
        "/proc/sys",
        "/proc/sys/kernel",
        "/proc/self",
        "/proc/1/attr",
        "/proc/../proc/self/attr",
        "/sneak/kernel",
    ];
    for destination in below {
        let bundle = with_sysctl(must_not_run(runtime.bundle()));
        symlink("/proc/sys", bundle.path("sneak")).expect("an own directory");
        let bundle = bundle.mount(destination, "bind", fake.dir(), &["rbind", "rw"]);
        let outcome = refused(&runtime, &bundle).says(destination);
        fake.assert_untouched(&outcome);

        let bundle = must_not_run(runtime.bundle()).mount(destination, "tmpfs", "tmpfs", &["nosuid"]);
        symlink("/proc/sys", bundle.path("sneak")).expect("an own directory");
        refused(&runtime, &bundle).says(destination).discard();
    }
}

#[test]
fn privileged_nothing_is_mounted_below_a_procfs_that_comes_with_the_image_or_a_volume() {
    let runtime = Runtime::new();
    for options in [["bind", "rw"], ["rbind", "rw"]] {
        let bundle = must_not_run(runtime.bundle()).mount("/vol", "bind", "/proc", &options);
        let bundle = bundle.mount("/vol/sys", "tmpfs", "tmpfs", &["nosuid"]);
        refused(&runtime, &bundle).says("/vol/sys").discard();
    }
    let bundle = must_not_run(runtime.bundle()).mount("/held/sys", "tmpfs", "tmpfs", &["nosuid"]);
    fs::create_dir(bundle.path("held")).expect("an own directory");
    let script = r#"mount --rbind /proc "$0" && exec "$@""#;
    let words = ["unshare", "--mount", "sh", "-c", script, &bundle.path("held").display().to_string()];
    let outcome = runtime.run_command(&bundle).through(words).run().fails().says("/held/sys");
    nothing_left(&runtime, &bundle, &outcome);
}

#[test]
fn privileged_files_that_tell_a_containers_own_limits_may_be_mounted_into_proc() {
    // What lxcfs serves, and no more: these files are only read.
    let runtime = Runtime::new();
    let file = runtime.scratch().join("served");
    fs::write(&file, "served\n").expect("the scratch directory is writable");
    for name in ["cpuinfo", "meminfo", "stat", "uptime", "loadavg", "diskstats", "swaps"] {
        let destination = format!("/proc/{name}");
        let bundle =
            runtime.bundle().args(["cat", &destination]).mount(&destination, "bind", &file, &["bind"]);
        assert_eq!(runtime.run(&bundle).succeeds().stdout, "served\n", "{destination}");
    }
}

#[test]
fn privileged_links_of_procfs_stay_and_what_they_lead_to_is_covered() {
    let runtime = Runtime::new();
    let script = "readlink /proc/mounts; wc -c </proc/1/mounts; wc -c </proc/version";
    let bundle = runtime.bundle().script(script).with(|config| {
        config["linux"]["maskedPaths"] = json!(["/proc/mounts", "/proc/version"]);
    });
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "self/mounts\n0\n0\n");

    let script =
        "readlink /proc/mounts; awk '$5 ~ \"^/proc/\" { print $4, $5, substr($6, 1, 2) }' /proc/1/mountinfo";
    let bundle = runtime.bundle().script(script).with(|config| {
        config["linux"]["readonlyPaths"] = json!(["/proc/self", "/proc/mounts"]);
        config["linux"]["maskedPaths"] = json!([]);
    });
    let covered = "/1 /proc/1 ro\n/1/mounts /proc/1/mounts ro\n";
    assert_eq!(runtime.run(&bundle).succeeds().stdout, format!("self/mounts\n{covered}"));
}

#[test]
fn privileged_a_mask_lies_on_whatever_covers_procfs_before() {
    let runtime = Runtime::new();
    let masked = |paths: &[&str]| {
        let script = "wc -c </proc/version; wc -c </proc/uptime; ls -A /proc/sys | wc -l";
        let bundle = runtime.bundle().script(script).with(|config| {
            config["linux"]["readonlyPaths"] = json!(paths);
            config["linux"]["maskedPaths"] =
                json!(["/proc/version", "/proc/never", "/proc/uptime", "/proc/sys"]);
        });
        symlink("/proc", bundle.path("link")).expect("an own directory");
        bundle
    };
    let file = runtime.scratch().join("served");
    fs::write(&file, "served\n").expect("the scratch directory is writable");
    for bundle in [
        masked(&[]),
        masked(&["/proc/version", "/proc/sys", "/proc/sys"]),
        masked(&["/proc/version", "/proc"]),
        masked(&["/link"]),
        masked(&[]).mount("/proc/uptime", "bind", &file, &["bind"]),
        masked(&[]).mount("/sys/../proc", "proc", "proc", &[]),
        masked(&[]).without_namespace("pid"),
    ] {
        assert_eq!(runtime.run(&bundle).succeeds().stdout, "0\n0\n0\n", "{}", bundle.dir().display());
    }
}

#[test]
fn privileged_a_real_procfs_may_be_bound_to_proc() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["stat", "-f", "-c", "%T", "/proc"]).without_namespace("pid");
    let bundle = bundle.with(|config| {
        config["mounts"].as_array_mut().expect("an array").retain(|mount| mount["destination"] != "/proc");
    });
    let bundle = bundle.mount("/proc", "bind", "/proc", &["rbind"]);
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "proc\n");
}

#[test]
fn privileged_a_link_in_place_of_proc_is_refused() {
    // CVE-2019-19921, CVE-2023-27561, CVE-2023-28642: /proc is a link into a volume that the attacker changes.
    let runtime = Runtime::new();
    let fake = FalseProc::new();
    let ways =
        [fake.dir(), fake.canary.climb("empty"), fake.canary.path("made"), "tmp".into(), "/sys".into()];
    for way in ways {
        let bundle = with_sysctl(must_not_run(runtime.bundle()));
        link_proc(&bundle, &way);
        let outcome = refused(&runtime, &bundle).says("/proc");
        fake.assert_untouched(&outcome);
        assert!(!fake.canary.path("made").exists(), "the mount point was made outside");
    }
}

#[test]
fn privileged_an_image_with_a_false_proc_and_no_mount_gets_nothing_written() {
    let runtime = Runtime::new();
    let fake = FalseProc::new();
    for is_link in [false, true] {
        let bundle = with_sysctl(runtime.bundle()).args(["true"]).with(|config| {
            config["mounts"]
                .as_array_mut()
                .expect("an array")
                .retain(|mount| mount["destination"] != "/proc");
        });
        if is_link {
            link_proc(&bundle, &fake.dir());
        } else {
            let copy = ["cp", "-r"].map(str::to_owned);
            let from = format!("{}/.", fake.dir().display());
            let to = bundle.path("proc").display().to_string();
            runtime.host(copy.into_iter().chain([from, to])).run().succeeds().discard();
        }
        // What is written goes through the runtime's own procfs, so that the container may well run.
        let outcome = runtime.run(&bundle);
        fake.assert_untouched(&outcome);
        for file in WRITTEN.iter().filter(|_| !is_link) {
            let text = fs::read_to_string(bundle.path("proc").join(file)).expect("an own file");
            assert_eq!(text, UNTOUCHED, "the image's {file} was written to: {}", outcome.describe());
        }
    }
}

#[test]
fn privileged_a_profile_that_cannot_be_applied_stops_the_container() {
    // Fail closed: this machine's kernel has no AppArmor, and SELinux is off.
    let runtime = Runtime::new();
    let bundle = must_not_run(runtime.bundle());
    let bundle = bundle.with(|config| config["process"]["apparmorProfile"] = json!("no-such-profile"));
    refused(&runtime, &bundle).says("apparmor").discard();
    let bundle = must_not_run(runtime.bundle());
    let bundle = bundle.with(|config| config["process"]["selinuxLabel"] = json!("system_u:system_r:no_t:s0"));
    refused(&runtime, &bundle).says("selinux").discard();
}

/// How often a race is run.
const ROUNDS: usize = 60;

#[test]
fn privileged_a_mount_that_races_into_proc_does_not_redirect_a_sysctl() {
    // CVE-2025-52881: the target is a directory when it is checked and a link into /proc when it is used.
    let runtime = Runtime::new();
    let fake = FalseProc::new();
    let (mut done, mut swaps) = (0, 0);
    for _ in 0..ROUNDS {
        let bundle = with_sysctl(runtime.bundle()).args(["cat", "/proc/sys/kernel/msgmax"]);
        let hop = bundle.path("hop");
        fs::create_dir_all(hop.join("kernel")).expect("an own directory");
        symlink("/proc/sys", bundle.path("trap")).expect("an own directory");
        let bundle = bundle.mount("/hop/kernel", "bind", fake.dir(), &["rbind", "rw"]);
        let swapper = Swapper::start(&hop, &bundle.path("trap"));
        let outcome = runtime.run(&bundle);
        swaps += swapper.swaps();
        drop(swapper);
        fake.assert_untouched(&outcome);
        if outcome.status.success() {
            done += 1;
            assert_eq!(outcome.stdout, "5432\n", "{}", outcome.describe());
        }
    }
    assert!(swaps > 0, "there was no race");
    assert!(done > 0, "no round got as far as the sysctl");
}

#[test]
fn privileged_a_proc_that_changes_places_with_a_link_is_procfs_or_refused() {
    let runtime = Runtime::new();
    let fake = FalseProc::new();
    let mut swaps = 0;
    for _ in 0..ROUNDS {
        let bundle = with_sysctl(runtime.bundle());
        symlink(fake.dir(), bundle.path("trap")).expect("an own directory");
        let swapper = Swapper::start(&bundle.path("proc"), &bundle.path("trap"));
        let outcome = runtime.create(&bundle);
        swaps += swapper.swaps();
        drop(swapper);
        fake.assert_untouched(&outcome);
        if outcome.status.success() {
            let mounts = fs::read_to_string(format!("/proc/{}/mountinfo", runtime.pid(bundle.id())));
            let mounts = mounts.expect("the created container has a process");
            // The directory may have got the other name since; anywhere else is outside.
            let is_inside = |line: &str| line.contains(" /proc ") || line.contains(" /trap ");
            let found = mounts.lines().any(|line| line.contains(" - proc ") && is_inside(line));
            assert!(found, "procfs is elsewhere: {mounts}");
            runtime.delete_force(bundle.id()).succeeds().discard();
        }
    }
    assert!(swaps > 0, "there was no race");
}
