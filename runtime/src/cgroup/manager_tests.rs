use super::*;
use crate::cgroup::{CgroupPath, Layout, ResourcePlan};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A cgroup path that no other test and no other run uses.
pub(in crate::cgroup) fn unique(label: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("/mydocker-test-{}-{}-{label}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(in crate::cgroup) fn placed(path: &str) -> CgroupRecord {
    let layout = Layout::load(ControllerSet::default()).unwrap();
    CgroupRecord::place(&layout, &CgroupPath::parse(path, "id").unwrap())
}

pub(in crate::cgroup) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn left(record: &CgroupRecord) -> Vec<PathBuf> {
    record.directories.iter().map(Directory::absolute).filter(|path| path.exists()).collect()
}

#[test]
fn privileged_a_cgroup_is_made_in_every_hierarchy_and_removed_with_the_parents_that_were_missing() {
    let top = unique("made");
    let cgroup = Cgroup::create(placed(&format!("{top}/parent/leaf")), &Lowered::default()).unwrap();
    assert!(cgroup.record().directories.iter().all(|directory| directory.made == 3));
    assert_eq!(left(cgroup.record()).len(), cgroup.record().directories.len());

    let reopened = serde_json::to_string(cgroup.record()).unwrap();
    Cgroup::open(serde_json::from_str(&reopened).unwrap()).remove(soon()).unwrap();
    assert_eq!(left(cgroup.record()), Vec::<PathBuf>::new());
    assert_eq!(left(&placed(&top)), Vec::<PathBuf>::new());
}

#[test]
fn privileged_a_parent_that_another_container_uses_stays() {
    let top = unique("shared");
    let first = Cgroup::create(placed(&format!("{top}/first")), &Lowered::default()).unwrap();
    let second = Cgroup::create(placed(&format!("{top}/second")), &Lowered::default()).unwrap();
    assert!(second.record().directories.iter().all(|directory| directory.made == 1));
    first.remove(soon()).unwrap();
    assert!(second.record().directories.iter().all(|directory| directory.absolute().exists()));
    second.remove(soon()).unwrap();
    Cgroup::open(placed(&top)).remove(soon()).unwrap();
}

/// A child that puts itself into `cgroup` as the engine's child does, and then waits.
pub(in crate::cgroup) fn member(cgroup: &Cgroup) -> (sys::process::Pid, OwnedFd) {
    let fds = cgroup.join_fds().unwrap();
    let args = sys::process::CloneArgs { flags: 0, cgroup: fds.clone_into() };
    match sys::process::clone3(args).unwrap() {
        sys::process::Forked::Child => {
            if fds.join_v1().is_ok() {
                sys::poll::poll(&[], None, "the end").ok();
            }
            sys::process::exit_now(1)
        }
        sys::process::Forked::Parent { pid, pidfd } => {
            // It has joined when the last v1 hierarchy lists it; the child cannot tell by itself without a pipe.
            let last =
                cgroup.record().directories.iter().rev().find(|d| d.hierarchy != HierarchyKind::Unified);
            let Some(last) = last else { return (pid, pidfd) };
            while !pids(&read(&last.file("cgroup.procs")).unwrap()).any(|found| found == pid.as_raw()) {
                std::thread::yield_now();
            }
            (pid, pidfd)
        }
    }
}

pub(in crate::cgroup) fn end(pidfd: &OwnedFd) {
    sys::process::pidfd_kill(pidfd, 9).unwrap();
    sys::process::wait(pidfd).unwrap();
}

#[test]
fn privileged_a_new_process_is_in_every_hierarchy_and_keeps_others_from_taking_the_cgroup() {
    let cgroup = Cgroup::create(placed(&unique("joined")), &Lowered::default()).unwrap();
    let (pid, pidfd) = member(&cgroup);
    for directory in &cgroup.record().directories {
        let text = read(&directory.file("cgroup.procs")).unwrap();
        assert_eq!(pids(&text).collect::<Vec<_>>(), [pid.as_raw()], "{directory:?}");
    }
    assert_eq!(cgroup.processes().unwrap(), [pid.as_raw()]);

    let fresh: Vec<Directory> =
        cgroup.record().directories.iter().map(|d| Directory { made: 0, ..d.clone() }).collect();
    let again = CgroupRecord { directories: fresh, ..cgroup.record().clone() };
    let error = Cgroup::create(again, &Lowered::default()).unwrap_err();
    assert!(matches!(error, Error::InUse { count: 1, .. }), "{error}");

    end(&pidfd);
    cgroup.remove(soon()).unwrap();
}

#[test]
fn privileged_removing_takes_the_cgroups_that_the_container_made_below() {
    let cgroup = Cgroup::create(placed(&unique("nested")), &Lowered::default()).unwrap();
    for directory in &cgroup.record().directories {
        std::fs::create_dir_all(directory.file("a/b/c")).unwrap();
        std::fs::create_dir_all(directory.file("a/d")).unwrap();
    }
    cgroup.remove(soon()).unwrap();
    assert_eq!(left(cgroup.record()), Vec::<PathBuf>::new());
}

#[test]
fn privileged_a_process_that_does_not_end_makes_removing_fail_at_the_deadline() {
    let cgroup = noted(&Cgroup::create(placed(&unique("busy")), &Lowered::default()).unwrap());
    let (_, pidfd) = member(&cgroup);
    let error = cgroup.remove(Instant::now()).unwrap_err();
    let Error::Remove(failures) = &error else { panic!("{error}") };
    assert_eq!(failures.len(), cgroup.record().directories.len());
    assert!(error.to_string().contains("ETIMEDOUT"), "{error}");
    end(&pidfd);
    cgroup.remove(soon()).unwrap();
}

/// The same cgroup as a runtime that leaves its container records it.
fn noted(cgroup: &Cgroup) -> Cgroup {
    let mut record = cgroup.record().clone();
    record.note_each().unwrap();
    Cgroup::open(record)
}

/// What somebody else does who takes a cgroup for left over.
fn make_again(directory: &Directory) {
    std::fs::remove_dir(directory.absolute()).unwrap();
    std::fs::create_dir(directory.absolute()).unwrap();
}

#[test]
fn privileged_of_what_was_made_the_last_directory_tells_whether_it_is_still_the_container_s() {
    let cgroup = Cgroup::create(placed(&unique("told")), &Lowered::default()).unwrap();
    let (last, others) = cgroup.record().directories.split_last().unwrap();
    assert!(last.inode.is_some() && others.iter().all(|other| other.inode.is_none()));
    assert_eq!(cgroup.still_own().unwrap(), cgroup);

    make_again(last);
    assert_eq!(cgroup.still_own().unwrap().record().directories, []);
    for directory in &cgroup.record().directories {
        std::fs::create_dir(directory.file("of-others")).unwrap();
    }
    cgroup.remove(soon()).unwrap();
    assert_eq!(left(cgroup.record()).len(), cgroup.record().directories.len());
    for directory in &cgroup.record().directories {
        std::fs::remove_dir(directory.file("of-others")).unwrap();
    }
    cgroup.remove(soon()).unwrap();
    assert_eq!(left(cgroup.record()), Vec::<PathBuf>::new());
}

#[test]
fn privileged_where_each_directory_was_noted_one_that_was_made_again_is_the_only_one_left_alone() {
    let cgroup = noted(&Cgroup::create(placed(&unique("noted")), &Lowered::default()).unwrap());
    let (first, others) = cgroup.record().directories.split_first().unwrap();
    make_again(first);
    assert_eq!(cgroup.still_own().unwrap().record().directories, others);
    for directory in &cgroup.record().directories {
        std::fs::create_dir(directory.file("below")).unwrap();
    }
    cgroup.remove(soon()).unwrap();
    assert_eq!(left(cgroup.record()), [first.absolute()]);
    std::fs::remove_dir(first.file("below")).unwrap();
    std::fs::remove_dir(first.absolute()).unwrap();
}

#[test]
fn privileged_a_directory_that_was_there_before_is_noted() {
    let path = unique("found");
    let first = Cgroup::create(placed(&path), &Lowered::default()).unwrap();
    let second = Cgroup::create(placed(&path), &Lowered::default()).unwrap();
    assert_eq!(second.record().directories.iter().filter(|directory| directory.inode.is_none()).count(), 0);
    first.remove(soon()).unwrap();
}

#[test]
fn privileged_the_directory_that_tells_of_others_stays_until_they_are_gone() {
    let cgroup = Cgroup::create(placed(&unique("teller")), &Lowered::default()).unwrap();
    let (last, others) = cgroup.record().directories.split_last().unwrap();
    if others.is_empty() {
        return cgroup.remove(soon()).unwrap();
    }
    let (pid, pidfd) = member(&cgroup);
    std::fs::write(format!("{}/cgroup.procs", last.upper(1)), pid.to_string()).unwrap();
    others.iter().for_each(|other| std::fs::create_dir(other.file("below")).unwrap());
    cgroup.remove(Instant::now()).unwrap_err();
    assert!(last.absolute().exists());
    end(&pidfd);
    cgroup.remove(soon()).unwrap();
    assert_eq!(left(cgroup.record()), Vec::<PathBuf>::new());
}

#[test]
fn privileged_a_directory_that_cannot_be_made_leaves_none() {
    let top = unique("undone");
    let mut record = placed(&format!("{top}/leaf"));
    let last = record.directories.last_mut().unwrap();
    last.mount_point = "/sys/fs/cgroup/mydocker-test-not-mounted".into();
    let error = Cgroup::create(record.clone(), &Lowered::default()).unwrap_err();
    assert!(chain(&error).contains("ENOENT"), "{}", chain(&error));
    assert_eq!(left(&placed(&top)), Vec::<PathBuf>::new());
}

#[test]
fn privileged_an_empty_parent_cpuset_is_filled_on_the_way() {
    let top = unique("cpuset");
    let parent = placed(&top);
    let Some(cpuset) = parent.v1(Controller::Cpuset) else { return assert_eq!(parent.mode, Mode::V2) };
    std::fs::create_dir(cpuset.absolute()).unwrap();
    let cgroup = Cgroup::create(placed(&format!("{top}/leaf")), &Lowered::default()).unwrap();
    let all = read(Path::new(&cpuset.upper(1)).join("cpuset.cpus").as_path()).unwrap();
    assert_eq!(read(&cpuset.file("cpuset.cpus")).unwrap(), all);
    assert_eq!(read(&cpuset.file("leaf/cpuset.cpus")).unwrap(), all);
    cgroup.remove(soon()).unwrap();
    std::fs::remove_dir(cpuset.absolute()).unwrap();
}

/// Runs `body` in a child that sees cgroup v2 alone, mounted at /sys/fs/cgroup, and gives its exit status.
fn with_v2_alone(body: impl FnOnce()) -> sys::process::Exit {
    let flags = libc::CLONE_NEWNS as u64;
    match sys::process::clone3(sys::process::CloneArgs { flags, cgroup: None }).unwrap() {
        sys::process::Forked::Child => {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                use sys::mount::{MntFlags, MsFlags};
                let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
                sys::mount::mount(None, c"/", None, private, None).unwrap();
                let place = Path::new("/sys/fs/cgroup");
                sys::mount::umount(place, MntFlags::MNT_DETACH).unwrap();
                let kind = Some(c"cgroup2");
                sys::mount::mount(kind, c"/sys/fs/cgroup", kind, MsFlags::empty(), None).unwrap();
                body();
            }));
            sys::process::exit_now(i32::from(done.is_err()))
        }
        sys::process::Forked::Parent { pidfd, .. } => sys::process::wait(&pidfd).unwrap(),
    }
}

#[test]
fn privileged_on_v2_alone_a_cgroup_is_made_filtered_joined_frozen_killed_and_removed() {
    let top = unique("v2-alone");
    let ended = with_v2_alone(|| {
        let plan = ResourcePlan::from_spec(&crate::spec::Resources::default(), &[]).unwrap();
        let layout = Layout::load(plan.controllers()).unwrap();
        assert_eq!(layout.mode(), Mode::V2);
        let place = CgroupPath::parse(&format!("{top}/leaf"), "id").unwrap();
        let record = CgroupRecord::place(&layout, &place);
        assert_eq!(record.directories.len(), 1);
        let cgroup = Cgroup::create(record, &plan.lower(&layout).unwrap()).unwrap();
        let (pid, pidfd) = member(&cgroup);
        assert_eq!(cgroup.all_processes().unwrap(), [pid.as_raw()]);
        cgroup.freeze(soon()).unwrap();
        assert!(cgroup.is_frozen().unwrap());
        cgroup.kill_all(9, soon()).unwrap();
        sys::process::wait(&pidfd).unwrap();
        cgroup.remove(soon()).unwrap();
        assert!(!Path::new(&format!("/sys/fs/cgroup{top}")).exists());
    });
    assert_eq!(ended, sys::process::Exit::Code(0));
}

#[test]
fn privileged_on_v2_alone_a_missing_controller_is_named() {
    let ended = with_v2_alone(|| {
        let resources = crate::spec::parse_resources(br#"{"memory": {"limit": 1000000}}"#).unwrap();
        let plan = ResourcePlan::for_update(&resources).unwrap();
        let layout = Layout::load(plan.controllers()).unwrap();
        assert!(!layout.unified_controllers.contains(Controller::Memory), "the host has memory on v1");
        let error = plan.lower(&layout).unwrap_err().to_string();
        assert!(error.contains("the cgroup controller memory, which is not available"), "{error}");
    });
    assert_eq!(ended, sys::process::Exit::Code(0));
}
