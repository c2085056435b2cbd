//! The device filter against the kernel, on both versions.

use super::lower::Devices;
use super::manager::Cgroup;
use super::manager::tests::{placed, soon, unique};
use super::{HierarchyKind, Lowered, ResourcePlan, ebpf};
use crate::spec::parse_resources;
use mydocker_sys::{bpf, fs, process};
use std::path::Path;

const DENY_ALL: &str = r#"{"allow": false, "access": "rwm"}"#;

fn plan(rules: &str) -> ResourcePlan {
    let json = format!("{{\"devices\": [{rules}]}}");
    ResourcePlan::from_spec(&parse_resources(json.as_bytes()).unwrap(), &[]).unwrap()
}

/// The filter for v1 or v2, whatever the host would choose.
fn lowered(rules: &str, unified: bool) -> Lowered {
    let filter = plan(rules).devices.unwrap();
    let devices = match unified {
        true => Devices::Program(ebpf::program(&filter)),
        false => Devices::V1(filter.to_v1().unwrap()),
    };
    Lowered { devices: Some(devices), ..Lowered::default() }
}

/// What a process in `cgroup` may do, tried for real: a letter for each thing that succeeded.
fn tried(cgroup: &Cgroup, work: &Path) -> String {
    let attempts: [(&str, &dyn Fn() -> bool); 5] = [
        ("null", &|| fs::open(Path::new("/dev/null"), fs::OFlag::O_RDWR).is_ok()),
        ("kmsg-read", &|| fs::open(Path::new("/dev/kmsg"), fs::OFlag::O_RDONLY).is_ok()),
        ("kmsg-write", &|| fs::open(Path::new("/dev/kmsg"), fs::OFlag::O_WRONLY).is_ok()),
        ("mknod-loop", &|| make(&work.join("loop"), fs::SFlag::S_IFBLK, 7, 77)),
        ("mknod-char", &|| make(&work.join("char"), fs::SFlag::S_IFCHR, 240, 9)),
    ];
    let fds = cgroup.join_fds().unwrap();
    let clone = process::CloneArgs { flags: 0, cgroup: fds.clone_into() };
    match process::clone3(clone).unwrap() {
        process::Forked::Child => {
            if fds.join_v1().is_err() {
                process::exit_now(128);
            }
            let bits = attempts.iter().enumerate().map(|(bit, (_, attempt))| i32::from(attempt()) << bit);
            process::exit_now(bits.sum())
        }
        process::Forked::Parent { pidfd, .. } => {
            let process::Exit::Code(bits) = process::wait(&pidfd).unwrap() else { panic!("killed") };
            let done = attempts.iter().enumerate().filter(|(bit, _)| bits & 1 << bit != 0);
            done.map(|(_, (name, _))| *name).collect::<Vec<_>>().join(" ")
        }
    }
}

fn make(path: &Path, kind: fs::SFlag, major: u64, minor: u64) -> bool {
    fs::mknodat(fs::AT_FDCWD, path, kind, 0o600, fs::makedev(major, minor)).is_ok()
}

#[test]
fn privileged_the_kernel_enforces_the_filter_alike_on_v1_and_by_ebpf() {
    let kmsg_read =
        format!(r#"{DENY_ALL}, {{"allow": true, "type": "c", "major": 1, "minor": 11, "access": "r"}}"#);
    let all = r#"{"allow": true, "access": "rwm"}"#;
    let cases = [
        (DENY_ALL, "null mknod-loop mknod-char"),
        (kmsg_read.as_str(), "null kmsg-read mknod-loop mknod-char"),
        (all, "null kmsg-read kmsg-write mknod-loop mknod-char"),
    ];
    for unified in [false, true] {
        for (rules, expected) in cases {
            let work = tempfile::tempdir().unwrap();
            let cgroup = Cgroup::create(placed(&unique("devices")), &lowered(rules, unified)).unwrap();
            assert_eq!(tried(&cgroup, work.path()), expected, "{rules}, unified: {unified}");
            cgroup.remove(soon()).unwrap();
        }
    }
}

#[test]
fn privileged_a_new_program_takes_the_place_of_the_old_one() {
    let cgroup = Cgroup::create(placed(&unique("replaced")), &lowered(DENY_ALL, true)).unwrap();
    let unified = cgroup.record().directories.iter().find(|d| d.hierarchy == HierarchyKind::Unified).unwrap();
    let attached = || {
        let flags = fs::OFlag::O_RDONLY | fs::OFlag::O_DIRECTORY;
        bpf::device_programs(fs::open(&unified.absolute(), flags).unwrap()).unwrap().len()
    };
    assert_eq!(attached(), 1);
    let work = tempfile::tempdir().unwrap();
    let rules = r#"{"allow": true, "type": "c", "major": 1, "minor": 11, "access": "rw"}"#;
    cgroup.apply(&lowered(rules, true)).unwrap();
    assert_eq!(attached(), 1);
    assert_eq!(tried(&cgroup, work.path()), "null kmsg-read kmsg-write mknod-loop mknod-char");
    cgroup.apply(&lowered(r#"{"allow": true, "access": "rwm"}"#, true)).unwrap();
    assert_eq!(attached(), 0);
    cgroup.remove(soon()).unwrap();
}
