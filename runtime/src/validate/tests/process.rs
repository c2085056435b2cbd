//! The process: what a program is given.

use super::*;

#[test]
fn what_execve_cannot_be_given_is_refused() {
    refused(&[
        (&[("/process/args", json!([]))], "/process/args", "no program"),
        (&[("/process/args/-", json!("a\0b"))], "/process/args/1", "NUL"),
        (&[("/process/cwd", json!(""))], "/process/cwd", "not an absolute path"),
        (&[("/process/cwd", json!("home"))], "/process/cwd", "not an absolute path"),
        (&[("/process/cwd", json!("/a\0"))], "/process/cwd", "NUL"),
        (&[("/process/env/-", json!("NOVALUE"))], "/process/env/2", "has no ="),
        (&[("/process/env/-", json!("=value"))], "/process/env/2", "no name"),
        (&[("/process/env/-", json!(""))], "/process/env/2", "has no ="),
        (&[("/process/env/-", json!("A=b\0c"))], "/process/env/2", "NUL"),
        (&[("/process/apparmorProfile", json!("a\0"))], "/process/apparmorProfile", "NUL"),
        (&[("/process/selinuxLabel", json!("a\0"))], "/process/selinuxLabel", "NUL"),
        (&[("/linux/mountLabel", json!("a\0"))], "/linux/mountLabel", "NUL"),
    ]);
}

#[test]
fn the_last_value_of_a_variable_wins_in_its_own_place() {
    let env = json!(["A=1", "B=2", "A=3", "C=", "B=4"]);
    let valid = accepted(&[("/process/env", env)]);
    assert_eq!(valid.process.unwrap().env, ["A=3", "C=", "B=4"]);
}

#[test]
fn an_id_that_would_leave_the_process_root_is_refused() {
    refused(&[
        (&[("/process/user/uid", json!(u32::MAX))], "/process/user/uid", "not an id"),
        (&[("/process/user/gid", json!(u32::MAX))], "/process/user/gid", "not an id"),
        (
            &[("/process/user/additionalGids", json!([5, u32::MAX]))],
            "/process/user/additionalGids/1",
            "not an id",
        ),
        (&[("/process/user/umask", json!(0o1000))], "/process/user/umask", "beyond 0777"),
    ]);
    let valid =
        accepted(&[("/process/user/uid", json!(u32::MAX - 1)), ("/process/user/umask", json!(0o777))]);
    assert_eq!(valid.process.unwrap().uid, u32::MAX - 1);
}

#[test]
fn an_oom_score_beyond_the_kernels_range_is_refused() {
    refused_there("/process/oomScoreAdj", &[(json!(-1001), "range"), (json!(1001), "range")]);
    for score in [-1000, 0, 1000] {
        assert_eq!(
            accepted(&[("/process/oomScoreAdj", json!(score))]).process.unwrap().oom_score_adj,
            Some(score)
        );
    }
}

#[test]
fn a_console_size_without_a_terminal_is_ignored() {
    let size = json!({"height": 25, "width": 80});
    let edits = [("/process/consoleSize", size), ("/process/terminal", json!(false))];
    assert_eq!(accepted(&edits).process.unwrap().console_size, None);
    assert_eq!(accepted(&edits[..1]).process.unwrap().console_size.unwrap().width, 80);
}

#[test]
fn unknown_capabilities_are_ignored_with_a_warning_and_never_refused() {
    let newer = ROOT.last_capability - 1;
    let edits = [(
        "/process/capabilities/bounding",
        json!(["CAP_KILL", "CAP_FLY", "kill", "CAP_CHECKPOINT_RESTORE", "CAP_BPF"]),
    )];
    let valid = judge(&changed(&edits), &Facts { last_capability: newer, ..ROOT }).unwrap();
    let places: Vec<_> = warned(&valid).into_iter().filter(|at| at.contains("bounding")).collect();
    assert_eq!(
        places,
        [1, 2, 3].map(|n| format!("/process/capabilities/bounding/{n}")),
        "{:?}",
        valid.warnings
    );
    assert_eq!(valid.process.unwrap().capabilities.bounding, 1 << 5 | 1 << 39, "the last one counts");
}

#[test]
fn capabilities_that_the_kernel_would_not_grant_are_ignored_with_a_warning() {
    let sets = json!({
        "bounding": ["CAP_KILL", "CAP_CHOWN"],
        "permitted": ["CAP_KILL", "CAP_CHOWN"],
        "effective": ["CAP_KILL", "CAP_SETUID"],
        "inheritable": ["CAP_KILL", "CAP_SETGID"],
        "ambient": ["CAP_KILL", "CAP_CHOWN"]
    });
    let valid = accepted(&[("/process/capabilities", sets)]);
    // Ambient ones that would have no effect are in runc's own default configuration, and so pass silently.
    let places = ["inheritable", "effective"].map(|set| format!("/process/capabilities/{set}"));
    assert_eq!(warned(&valid), places);
    assert!(valid.warnings[0].message.contains("CAP_SETGID"), "{}", valid.warnings[0]);
    let kill = 1 << 5;
    let masks = valid.process.unwrap().capabilities;
    assert_eq!((masks.effective, masks.inheritable, masks.ambient), (kill, kill, kill));
}

#[test]
fn a_runtime_passes_on_no_more_than_it_holds_unless_a_user_namespace_gives_it() {
    let all = json!(["CAP_KILL", "CAP_SYS_RESOURCE"]);
    let mut edits =
        vec![("/process/capabilities", json!({"bounding": all, "permitted": all, "effective": all}))];
    let facts = Facts { permitted: ROOT.permitted & !(1 << 24), ..ROOT };
    let valid = judge(&changed(&edits), &facts).unwrap();
    assert_eq!(warned(&valid), ["/process/capabilities/permitted", "/process/capabilities/effective"]);
    assert_eq!(valid.process.unwrap().capabilities.effective, 1 << 5);

    edits.extend(user_namespace(&json!([mapping(0, 1000, 10)])));
    let valid = judge(&changed(&edits), &facts).unwrap();
    assert_eq!(valid.warnings, []);
    assert_eq!(valid.process.unwrap().capabilities.effective, 1 << 5 | 1 << 24);
}

#[test]
fn without_capabilities_none_are_held() {
    let valid = accepted(&[("/process/capabilities", Value::Null)]);
    assert_eq!(valid.process.unwrap().capabilities, CapabilityMasks::default());
}

#[test]
fn rlimits_must_be_known_single_and_in_order() {
    let limit = |kind: &str, soft: u64, hard: u64| json!({"type": kind, "soft": soft, "hard": hard});
    let at = "/process/rlimits";
    refused(&[
        (&[(at, json!([limit("RLIMIT_FUN", 1, 1)]))], "/process/rlimits/0/type", "RLIMIT_FUN"),
        (&[(at, json!([limit("nofile", 1, 1)]))], "/process/rlimits/0/type", "nofile"),
        (&[(at, json!([limit("RLIMIT_CPU", 2, 1)]))], "/process/rlimits/0/soft", "above the hard limit 1"),
        (
            &[(at, json!([limit("RLIMIT_CPU", 1, 1), limit("RLIMIT_CPU", 2, 2)]))],
            "/process/rlimits/1/type",
            "already",
        ),
    ]);
    let names = json!([limit("RLIMIT_CPU", 0, 0), limit("RLIMIT_RTTIME", 1, u64::MAX)]);
    let limits = accepted(&[(at, names)]).process.unwrap().rlimits;
    assert_eq!(limits.iter().map(|limit| limit.resource).collect::<Vec<_>>(), [0, 15]);
}

#[test]
fn schedulers_the_kernel_would_refuse_are_refused() {
    let at = "/process/scheduler";
    refused(&[
        (&[(at, json!({"policy": ""}))], "/process/scheduler/policy", "not a scheduling policy"),
        (&[(at, json!({"policy": "SCHED_ISO"}))], "/process/scheduler/policy", "Linux has no"),
        (&[(at, json!({"policy": "SCHED_OTHER", "nice": 20}))], "/process/scheduler/nice", "range"),
        (&[(at, json!({"policy": "SCHED_BATCH", "nice": -21}))], "/process/scheduler/nice", "range"),
        (
            &[(at, json!({"policy": "SCHED_OTHER", "priority": 1}))],
            "/process/scheduler/priority",
            "no priority",
        ),
        (&[(at, json!({"policy": "SCHED_FIFO"}))], "/process/scheduler/priority", "0 is out of range"),
        (&[(at, json!({"policy": "SCHED_RR", "priority": -1}))], "/process/scheduler/priority", "-1"),
        (&[(at, json!({"policy": "SCHED_IDLE", "runtime": 1}))], "/process/scheduler/runtime", "no deadline"),
        (&[(at, json!({"policy": "SCHED_DEADLINE"}))], "/process/scheduler/runtime", "not in order"),
        (
            &[(at, json!({"policy": "SCHED_DEADLINE", "runtime": 9000, "deadline": 8000}))],
            "/process/scheduler/runtime",
            "not in order",
        ),
        (
            &[(at, json!({"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_X"]}))],
            "/process/scheduler/flags/0",
            "SCHED_FLAG_X",
        ),
    ]);
    let fifo = json!({"policy": "SCHED_FIFO", "priority": 10, "flags": ["SCHED_FLAG_RESET_ON_FORK"]});
    let attributes = accepted(&[(at, fifo)]).process.unwrap().scheduler.unwrap();
    assert_eq!((attributes.policy, attributes.priority, attributes.flags), (1, 10, 1));
    accepted(&[(at, json!({"policy": "SCHED_DEADLINE", "runtime": 2000, "deadline": 3000, "period": 4000}))]);
}

#[test]
fn io_priorities_have_a_class_and_a_level() {
    let at = "/process/ioPriority";
    refused(&[
        (&[(at, json!({"class": "BE"}))], "/process/ioPriority/class", "\"BE\""),
        (
            &[(at, json!({"class": "IOPRIO_CLASS_BE", "priority": 8}))],
            "/process/ioPriority/priority",
            "range",
        ),
        (
            &[(at, json!({"class": "IOPRIO_CLASS_RT", "priority": -1}))],
            "/process/ioPriority/priority",
            "range",
        ),
    ]);
    let idle = json!({"class": "IOPRIO_CLASS_IDLE", "priority": 7});
    let expected = IoPriority { class: 3, level: 7 };
    assert_eq!(accepted(&[(at, idle)]).process.unwrap().io_priority, Some(expected));
}

#[test]
fn cpu_lists_become_bits() {
    let at = "/process/execCPUAffinity";
    refused(&[
        (&[(at, json!({"initial": "3-1"}))], "/process/execCPUAffinity/initial", "3-1"),
        (&[(at, json!({"initial": "0,+1"}))], "/process/execCPUAffinity/initial", "\"+1\""),
        (&[(at, json!({"initial": "a"}))], "/process/execCPUAffinity/initial", "\"a\""),
        (&[(at, json!({"final": "8192"}))], "/process/execCPUAffinity/final", "8192"),
    ]);
    refused_for(&ROOT, &[(at, json!({"final": ","}))], "/process/execCPUAffinity/final", "no members");
    let affinity =
        accepted(&[(at, json!({"initial": "0-3, 7", "final": "64,"}))]).process.unwrap().exec_cpu_affinity;
    assert_eq!(affinity, Some(CpuAffinity { initial: vec![0x8f], last: vec![0, 1] }));
}

#[test]
fn a_process_by_itself_is_judged_alike_under_its_own_pointers() {
    let process = parse_process(br#"{"cwd": "tmp", "args": ["sh"], "user": {"uid": 4294967295}}"#).unwrap();
    let error = validate_process(&process, "", &ROOT).unwrap_err();
    let places: Vec<_> = error.mistakes().iter().map(|mistake| mistake.pointer.as_str()).collect();
    assert_eq!(places, ["/cwd", "/user/uid"]);
    let process =
        parse_process(br#"{"cwd": "/", "args": ["sh"], "capabilities": {"bounding": ["X"]}}"#).unwrap();
    let (process, warnings) = validate_process(&process, "/exec", &ROOT).unwrap();
    assert_eq!(process.args, ["sh"]);
    assert_eq!(warnings[0].pointer, "/exec/capabilities/bounding/0");
}
