use super::super::manager::tests::{end, member, placed, soon, unique};
use super::super::manager::wait_empty;
use super::super::record::CgroupRecord;
use super::super::{Lowered, ResourcePlan};
use super::*;
use crate::spec::parse_resources;
use mydocker_sys::process::Exit;

/// The cgroup as a host without cgroup v2 would have it.
fn without_unified(record: &CgroupRecord) -> CgroupRecord {
    let mut record = record.clone();
    record.note_each().unwrap();
    record.directories.retain(|directory| !directory.is_unified());
    record
}

fn state_of(pid: process::Pid) -> char {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    text.rsplit(") ").next().unwrap().chars().next().unwrap()
}

#[test]
fn privileged_a_frozen_cgroup_is_told_so_and_runs_again_when_thawed() {
    let cgroup = Cgroup::create(placed(&unique("frozen")), &Lowered::default()).unwrap();
    let (pid, pidfd) = member(&cgroup);
    for cgroup in [Cgroup::open(without_unified(cgroup.record())), Cgroup::open(cgroup.record().clone())] {
        assert!(!cgroup.is_frozen().unwrap());
        cgroup.freeze(soon()).unwrap();
        assert!(cgroup.is_frozen().unwrap());
        assert!(matches!(state_of(pid), 'D' | 'S'), "{}", state_of(pid));
        cgroup.thaw().unwrap();
        assert!(!cgroup.is_frozen().unwrap());
    }
    end(&pidfd);
    cgroup.remove(soon()).unwrap();
}

#[test]
fn privileged_killing_reaches_every_process_also_below_and_frozen() {
    for unified in [true, false] {
        let made = Cgroup::create(placed(&unique("killed")), &Lowered::default()).unwrap();
        let cgroup = match unified {
            true => made.clone(),
            false => Cgroup::open(without_unified(made.record())),
        };
        let members = [member(&made), member(&made)];
        // A new cpuset has no CPUs; the kernel lets nobody in.
        let cpuset = made.record().v1(Controller::Cpuset);
        for directory in made.record().directories.iter().filter(|directory| Some(*directory) != cpuset) {
            let below = directory.file("below");
            std::fs::create_dir(&below).unwrap();
            std::fs::write(below.join("cgroup.procs"), members[0].0.to_string()).unwrap();
        }
        assert_eq!(cgroup.processes().unwrap(), [members[1].0.as_raw()]);
        assert_eq!(cgroup.all_processes().unwrap().len(), 2);
        cgroup.freeze(soon()).unwrap();
        cgroup.kill_all(SIGKILL, soon()).unwrap();
        for (_, pidfd) in &members {
            assert_eq!(process::wait(pidfd).unwrap(), Exit::Signal { number: SIGKILL, core: false });
        }
        for directory in &cgroup.record().directories {
            wait_empty(directory, soon()).unwrap();
        }
        made.remove(soon()).unwrap();
    }
}

#[test]
fn privileged_another_signal_reaches_every_process_and_leaves_a_frozen_cgroup_frozen() {
    let cgroup = Cgroup::create(placed(&unique("signalled")), &Lowered::default()).unwrap();
    let members = [member(&cgroup), member(&cgroup)];
    cgroup.freeze(soon()).unwrap();
    cgroup.kill_all(libc::SIGTERM, soon()).unwrap();
    assert!(cgroup.is_frozen().unwrap());
    cgroup.thaw().unwrap();
    for (_, pidfd) in &members {
        assert_eq!(process::wait(pidfd).unwrap(), Exit::Signal { number: libc::SIGTERM, core: false });
    }
    cgroup.remove(soon()).unwrap();
}

#[test]
fn privileged_limits_are_in_force_and_an_update_changes_them_in_both_directions() {
    let layout = crate::cgroup::Layout::load(Controller::ALL.into_iter().collect()).unwrap();
    let limits = |json: &str| {
        let resources = parse_resources(json.as_bytes()).unwrap();
        ResourcePlan::for_update(&resources).unwrap().lower(&layout).unwrap()
    };
    let small = r#"{"memory": {"limit": 16777216, "swap": 33554432}, "pids": {"limit": 7},
        "cpu": {"shares": 512, "quota": 20000, "period": 40000, "cpus": "0", "mems": "0"}}"#;
    let large = r#"{"memory": {"limit": 67108864, "swap": 134217728}, "pids": {"limit": -1},
        "cpu": {"shares": 2048, "quota": 90000, "period": 100000}}"#;
    let cgroup = Cgroup::create(placed(&unique("limits")), &limits(small)).unwrap();
    let value = |controller: Controller, file: &str| {
        let directory = cgroup.record().v1(controller).or(cgroup.record().unified()).unwrap();
        read(&directory.file(file)).unwrap().trim().to_owned()
    };
    let memory = || value(Controller::Memory, "memory.limit_in_bytes");
    assert_eq!((memory(), value(Controller::Pids, "pids.max")), ("16777216".into(), "7".into()));
    assert_eq!(value(Controller::Cpuset, "cpuset.cpus"), "0");
    cgroup.apply(&limits(large)).unwrap();
    assert_eq!((memory(), value(Controller::Pids, "pids.max")), ("67108864".into(), "max".into()));
    assert_eq!(value(Controller::Memory, "memory.memsw.limit_in_bytes"), "134217728");
    assert_eq!(value(Controller::Cpu, "cpu.cfs_quota_us"), "90000");
    cgroup.apply(&limits(small)).unwrap();
    assert_eq!(memory(), "16777216");
    assert_eq!(cgroup.oom_kills().unwrap(), 0);
    cgroup.remove(soon()).unwrap();
}

#[test]
fn privileged_a_limit_that_the_kernel_refuses_names_its_place_and_leaves_no_cgroup() {
    let layout = crate::cgroup::Layout::load(Controller::ALL.into_iter().collect()).unwrap();
    let resources = parse_resources(br#"{"cpu": {"cpus": "4000"}}"#).unwrap();
    let limits = ResourcePlan::for_update(&resources).unwrap().lower(&layout).unwrap();
    let record = placed(&unique("refused"));
    let error = Cgroup::create(record.clone(), &limits).unwrap_err();
    assert!(
        matches!(&error, Error::Limit { pointer, .. } if pointer == "/linux/resources/cpu/cpus"),
        "{error}"
    );
    assert!(record.directories.iter().all(|directory| !directory.absolute().exists()));
}

#[test]
fn the_number_of_oom_kills_is_read_and_not_that_of_a_longer_name() {
    let text = "oom_kill_disable 0\nunder_oom 1\noom_kill 3\n";
    assert_eq!(value_of(text, "oom_kill"), Some(3));
    assert_eq!(value_of("low 0\noom_group_kill 2\n", "oom_kill"), None);
}
