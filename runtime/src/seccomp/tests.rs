//! What the filter says, and how it is built. Agreement with libseccomp is tested in `tests/oracle-seccomp`.

use super::interpreter::{Call, run};
use super::*;
use crate::spec::Seccomp;

const ALLOW: u32 = 0x7fff_0000;
const EPERM: u32 = 0x0005_0001;
const ENOSYS: u32 = 0x0005_0026;
const KILL_THREAD: u32 = 0;

const HOST: Facts = Facts { native: Arch::X86_64 };

fn parse(json: &str) -> Seccomp {
    serde_json::from_str(json).expect("a profile")
}

fn compiled(json: &str) -> Compiled {
    compile(&parse(json), &HOST).expect("a filter")
}

fn refusal(json: &str) -> String {
    compile(&parse(json), &HOST).expect_err("a mistake").to_string()
}

fn on(arch: Arch, compiled: &Compiled, nr: u32, args: [u64; 6]) -> u32 {
    let call = Call { nr, arch: arch.audit(), args, big_endian: arch.is_big_endian() };
    run(&compiled.program, &call).0
}

fn verdict(compiled: &Compiled, nr: u32, args: [u64; 6]) -> u32 {
    on(Arch::X86_64, compiled, nr, args)
}

fn rules(default: &str, rules: &str) -> Compiled {
    compiled(&format!(r#"{{"defaultAction":"{default}","syscalls":[{rules}]}}"#))
}

#[test]
fn every_action_returns_its_value() {
    let cases = [
        ("SCMP_ACT_KILL", "", 0),
        ("SCMP_ACT_KILL_THREAD", "", 0),
        ("SCMP_ACT_KILL_PROCESS", "", 0x8000_0000),
        ("SCMP_ACT_TRAP", "", 0x0003_0000),
        ("SCMP_ACT_ERRNO", "", EPERM),
        ("SCMP_ACT_ERRNO", r#","errnoRet":38"#, ENOSYS),
        ("SCMP_ACT_ERRNO", r#","errnoRet":0"#, 0x0005_0000),
        ("SCMP_ACT_ERRNO", r#","errnoRet":4095"#, 0x0005_0fff),
        ("SCMP_ACT_TRACE", "", 0x7ff0_0001),
        ("SCMP_ACT_TRACE", r#","errnoRet":65535"#, 0x7ff0_ffff),
        ("SCMP_ACT_LOG", "", 0x7ffc_0000),
    ];
    for (action, errno, value) in cases {
        let filter =
            rules("SCMP_ACT_ALLOW", &format!(r#"{{"names":["getcwd"],"action":"{action}"{errno}}}"#));
        assert_eq!(verdict(&filter, 79, [0; 6]), value, "{action}{errno}");
        assert_eq!(verdict(&filter, 78, [0; 6]), ALLOW);
        assert!(!filter.notify);
    }
}

#[test]
fn notify_asks_for_a_listener() {
    let filter = compiled(
        r#"{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/run/agent","flags":[],
            "syscalls":[{"names":["mknod"],"action":"SCMP_ACT_NOTIFY"}]}"#,
    );
    assert_eq!(verdict(&filter, 133, [0; 6]), 0x7fc0_0000);
    assert!(filter.notify);
    assert_eq!(filter.flags, FLAG_NEW_LISTENER);
}

#[test]
fn without_a_list_of_flags_speculation_stays() {
    assert_eq!(compiled(r#"{"defaultAction":"SCMP_ACT_ALLOW"}"#).flags, FLAG_SPEC_ALLOW);
    assert_eq!(compiled(r#"{"defaultAction":"SCMP_ACT_ALLOW","flags":null}"#).flags, FLAG_SPEC_ALLOW);
    assert_eq!(compiled(r#"{"defaultAction":"SCMP_ACT_ALLOW","flags":[]}"#).flags, 0);
    let all = r#"{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/a",
        "flags":["SECCOMP_FILTER_FLAG_TSYNC","SECCOMP_FILTER_FLAG_LOG","SECCOMP_FILTER_FLAG_SPEC_ALLOW",
                 "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
        "syscalls":[{"names":["mknod"],"action":"SCMP_ACT_NOTIFY"}]}"#;
    assert_eq!(compiled(all).flags, FLAG_LOG | FLAG_SPEC_ALLOW | FLAG_NEW_LISTENER | FLAG_WAIT_KILLABLE_RECV);
}

#[test]
fn mistakes_are_refused_with_their_place() {
    let cases = [
        (
            r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86","SCMP_ARCH_VAX"]}"#,
            "/linux/seccomp/architectures/1: the architecture \"SCMP_ARCH_VAX\" is not known",
        ),
        (
            r#"{"defaultAction":"SCMP_ACT_ALLOW","flags":["SECCOMP_FILTER_FLAG_NEW_LISTENER"]}"#,
            "/linux/seccomp/flags/0: the filter flag \"SECCOMP_FILTER_FLAG_NEW_LISTENER\" is not known",
        ),
        (
            r#"{"defaultAction":"SCMP_ACT_ALLOW","flags":["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]}"#,
            "/linux/seccomp/flags/0: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV needs a rule with SCMP_ACT_NOTIFY",
        ),
        (
            r#"{"defaultAction":"SCMP_ACT_NOTIFY"}"#,
            "/linux/seccomp/defaultAction: SCMP_ACT_NOTIFY cannot be the default action: the listener could not be \
             handed over",
        ),
        (
            r#"{"defaultAction":"SCMP_ACT_KILL","defaultErrnoRet":1}"#,
            "/linux/seccomp/defaultErrnoRet: SCMP_ACT_KILL takes no error number",
        ),
        (
            r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":4096}"#,
            "/linux/seccomp/defaultErrnoRet: the error number 4096 is above the largest, 4095",
        ),
        (
            r#"{"defaultAction":"SCMP_ACT_ALLOW","listenerMetadata":"x"}"#,
            "/linux/seccomp/listenerMetadata: listenerMetadata needs a listenerPath",
        ),
    ];
    for (json, message) in cases {
        assert_eq!(refusal(json), message);
    }
}

#[test]
fn mistakes_of_a_rule_are_refused_with_their_place() {
    let good = r#"{"names":["read"],"action":"SCMP_ACT_LOG"}"#;
    let cases = [
        (r#"{"names":[],"action":"SCMP_ACT_LOG"}"#, "names: a rule must name at least one system call"),
        (r#"{"names":["read",""],"action":"SCMP_ACT_LOG"}"#, "names/1: a system call has an empty name"),
        (
            r#"{"names":["read"],"action":"SCMP_ACT_TRACE","errnoRet":65536}"#,
            "errnoRet: the error number 65536 is above the largest, 65535",
        ),
        (
            r#"{"names":["read"],"action":"SCMP_ACT_LOG","errnoRet":0}"#,
            "errnoRet: SCMP_ACT_LOG takes no error number",
        ),
        (
            r#"{"names":["read"],"action":"SCMP_ACT_LOG","args":[{"index":6,"value":0,"op":"SCMP_CMP_EQ"}]}"#,
            "args/0/index: system calls have the arguments 0 to 5, not 6",
        ),
        (
            r#"{"names":["read","write"],"action":"SCMP_ACT_NOTIFY"}"#,
            "names/1: SCMP_ACT_NOTIFY cannot be used for write: the listener could not be handed over",
        ),
    ];
    for (rule, message) in cases {
        let json =
            format!(r#"{{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/a","syscalls":[{good},{rule}]}}"#);
        assert_eq!(refusal(&json), format!("/linux/seccomp/syscalls/1/{message}"));
    }
    let unheard =
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_NOTIFY"}]}"#;
    assert_eq!(refusal(unheard), "/linux/seccomp/listenerPath: SCMP_ACT_NOTIFY needs a listenerPath");
}

#[test]
fn an_unknown_name_is_told_and_skipped() {
    let filter = rules("SCMP_ACT_ERRNO", r#"{"names":["read","frobnicate"],"action":"SCMP_ACT_ALLOW"}"#);
    let pointer = "/linux/seccomp/syscalls/0/names/1".to_owned();
    let name = "frobnicate".to_owned();
    assert_eq!(filter.warnings, [Warning::UnknownSyscall { pointer, name }]);
    assert_eq!(
        filter.warnings[0].to_string(),
        "/linux/seccomp/syscalls/0/names/1: the unknown system call \"frobnicate\" is ignored"
    );
    assert_eq!(verdict(&filter, 0, [0; 6]), ALLOW);
}

#[test]
fn a_name_of_another_architecture_is_no_warning() {
    let filter = rules("SCMP_ACT_ERRNO", r#"{"names":["socketcall","getcwd"],"action":"SCMP_ACT_ALLOW"}"#);
    assert_eq!(filter.warnings, []);
}

#[test]
fn foreign_architectures_kill() {
    let filter = rules("SCMP_ACT_ERRNO", r#"{"names":["getcwd"],"action":"SCMP_ACT_ALLOW"}"#);
    assert_eq!(on(Arch::X86, &filter, 183, [0; 6]), KILL_THREAD);
    assert_eq!(verdict(&filter, 0x4000_0000 + 79, [0; 6]), KILL_THREAD);
    assert_eq!(verdict(&filter, u32::MAX, [0; 6]), EPERM, "a call that a tracer skips");
}

#[test]
fn calls_newer_than_the_profile_are_unknown_to_the_program() {
    let filter = rules("SCMP_ACT_ERRNO", r#"{"names":["getcwd"],"action":"SCMP_ACT_ALLOW"}"#);
    assert_eq!(verdict(&filter, 78, [0; 6]), EPERM);
    assert_eq!(verdict(&filter, 80, [0; 6]), ENOSYS);
    assert_eq!(verdict(&filter, 0x3fff_ffff, [0; 6]), ENOSYS);
    for permissive in ["SCMP_ACT_LOG", "SCMP_ACT_TRACE"] {
        let filter = rules(permissive, r#"{"names":["getcwd"],"action":"SCMP_ACT_ALLOW"}"#);
        assert_eq!(verdict(&filter, 80, [0; 6]), verdict(&filter, 78, [0; 6]), "{permissive}");
    }
}

#[test]
fn a_rule_that_repeats_the_default_still_makes_its_call_known() {
    let filter = rules("SCMP_ACT_ERRNO", r#"{"names":["mount"],"action":"SCMP_ACT_ERRNO"}"#);
    assert_eq!(verdict(&filter, 165, [0; 6]), EPERM);
    assert_eq!(verdict(&filter, 166, [0; 6]), ENOSYS);
}

#[test]
fn private_calls_of_arm_do_not_hide_newer_ones() {
    let json = r#"{"defaultAction":"SCMP_ACT_ERRNO",
        "syscalls":[{"names":["getcwd","breakpoint","set_tls"],"action":"SCMP_ACT_ALLOW"}]}"#;
    let filter = compile(&parse(json), &Facts { native: Arch::Arm }).expect("a filter");
    let says = |nr| on(Arch::Arm, &filter, nr, [0; 6]);
    assert_eq!([183, 182, 184].map(says), [ALLOW, EPERM, ENOSYS]);
    assert_eq!(
        [0xf_0000, 0xf_0001, 0xf_0002, 0xf_0005, 0xf_0006].map(says),
        [ENOSYS, ALLOW, EPERM, ALLOW, ENOSYS]
    );
}

#[test]
fn private_calls_of_arm_with_the_default_action_are_known() {
    let json = r#"{"defaultAction":"SCMP_ACT_ERRNO",
        "syscalls":[{"names":["getcwd"],"action":"SCMP_ACT_ALLOW"},
                    {"names":["usr26"],"action":"SCMP_ACT_ERRNO"}]}"#;
    let filter = compile(&parse(json), &Facts { native: Arch::Arm }).expect("a filter");
    let says = |nr| on(Arch::Arm, &filter, nr, [0; 6]);
    assert_eq!([183, 184, 0xf_0002, 0xf_0003, 0xf_0004].map(says), [ALLOW, ENOSYS, ENOSYS, EPERM, ENOSYS]);
}

#[test]
fn s390_answers_enosys_for_its_placeholder() {
    let json =
        r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["getcwd"],"action":"SCMP_ACT_ALLOW"}]}"#;
    let filter = compile(&parse(json), &Facts { native: Arch::S390X }).expect("a filter");
    assert_eq!(on(Arch::S390X, &filter, 0, [0; 6]), ENOSYS);
    assert_eq!(on(Arch::S390X, &filter, 1, [0; 6]), EPERM);
}

#[test]
fn the_first_rule_that_applies_decides_and_unconditional_ones_come_before() {
    let equal = |value| format!(r#""args":[{{"index":0,"value":{value},"op":"SCMP_CMP_EQ"}}]"#);
    let conditional = format!(
        r#"{{"names":["getcwd"],"action":"SCMP_ACT_LOG",{}}},{{"names":["getcwd"],"action":"SCMP_ACT_TRAP",{}}}"#,
        equal(1),
        equal(1)
    );
    let filter = rules("SCMP_ACT_ALLOW", &conditional);
    assert_eq!(verdict(&filter, 79, [1, 0, 0, 0, 0, 0]), 0x7ffc_0000);
    assert_eq!(verdict(&filter, 79, [2, 0, 0, 0, 0, 0]), ALLOW);
    let filter =
        rules("SCMP_ACT_ALLOW", &format!(r#"{conditional},{{"names":["getcwd"],"action":"SCMP_ACT_KILL"}}"#));
    assert_eq!(verdict(&filter, 79, [1, 0, 0, 0, 0, 0]), KILL_THREAD);
}

#[test]
fn conditions_on_one_argument_are_alternatives_and_on_several_hold_together() {
    let arg = |index, value| format!(r#"{{"index":{index},"value":{value},"op":"SCMP_CMP_EQ"}}"#);
    let rule = |args: String| format!(r#"{{"names":["getcwd"],"action":"SCMP_ACT_LOG","args":[{args}]}}"#);
    let either = rules("SCMP_ACT_ALLOW", &rule(format!("{},{},{}", arg(0, 1), arg(0, 2), arg(1, 3))));
    let both = rules("SCMP_ACT_ALLOW", &rule(format!("{},{}", arg(0, 1), arg(1, 3))));
    let logged = |filter: &Compiled, a, b| verdict(filter, 79, [a, b, 0, 0, 0, 0]) == 0x7ffc_0000;
    assert!(
        logged(&either, 1, 0) && logged(&either, 2, 0) && logged(&either, 9, 3) && !logged(&either, 9, 9)
    );
    assert!(logged(&both, 1, 3) && !logged(&both, 1, 0) && !logged(&both, 0, 3));
}

#[test]
fn calls_through_socketcall_follow_the_rule_of_the_call() {
    let json = r#"{"defaultAction":"SCMP_ACT_ERRNO","architectures":["SCMP_ARCH_X86"],
        "syscalls":[{"names":["accept","accept4"],"action":"SCMP_ACT_ALLOW"}]}"#;
    let filter = compiled(json);
    let says = |nr, selector| on(Arch::X86, &filter, nr, [selector, 0, 0, 0, 0, 0]);
    assert_eq!([says(102, 5), says(102, 18), says(102, 1), says(364, 0)], [ALLOW, ALLOW, EPERM, ALLOW]);
}

#[test]
fn neighbours_with_one_verdict_are_one_range() {
    let all = |names: &str| {
        rules("SCMP_ACT_LOG", &format!(r#"{{"names":[{names}],"action":"SCMP_ACT_ALLOW"}}"#)).program.len()
    };
    assert_eq!(all(r#""read","write","open","close","stat","fstat""#), all(r#""read","write""#));
}

#[test]
fn a_search_is_logarithmic() {
    // Every second call of x86-64 below 300: the worst for ranges.
    let names: Vec<String> = table::ROWS
        .iter()
        .filter(|(_, numbers)| numbers[1] < 300 && numbers[1] % 2 == 0)
        .map(|(name, _)| format!("{name:?}"))
        .collect();
    let rule = format!(r#"{{"names":[{}],"action":"SCMP_ACT_ALLOW"}}"#, names.join(","));
    let filter = rules("SCMP_ACT_ERRNO", &rule);
    for nr in 0..400 {
        let call = Call { nr, arch: Arch::X86_64.audit(), args: [0; 6], big_endian: false };
        let (value, steps) = run(&filter.program, &call);
        let expected = if nr >= 299 {
            ENOSYS
        } else if nr % 2 == 0 {
            ALLOW
        } else {
            EPERM
        };
        assert_eq!(value, expected, "{nr}");
        assert!(steps <= 16, "{steps} steps for {nr}");
    }
}

#[test]
fn far_targets_are_reached() {
    // 250 different conditions on as many calls: leaves of several thousand instructions between search and returns.
    let rules: Vec<String> = table::ROWS
        .iter()
        .filter(|(_, numbers)| numbers[1] < 250)
        .map(|(name, numbers)| {
            format!(
                r#"{{"names":[{name:?}],"action":"SCMP_ACT_ERRNO","errnoRet":{},
                    "args":[{{"index":2,"value":{},"op":"SCMP_CMP_GT"}}]}}"#,
                numbers[1] + 1,
                (u64::from(numbers[1]) << 32) + 7
            )
        })
        .collect();
    let filter = super::tests::rules("SCMP_ACT_ALLOW", &rules.join(","));
    assert!(filter.program.len() > 1500);
    for nr in 0..250u32 {
        let limit = (u64::from(nr) << 32) + 7;
        assert_eq!(verdict(&filter, nr, [0, 0, limit, 0, 0, 0]), ALLOW);
        assert_eq!(verdict(&filter, nr, [0, 0, limit + 1, 0, 0, 0]), 0x0005_0001 + nr);
    }
}

#[test]
fn a_filter_that_the_kernel_would_refuse_is_refused_first() {
    let args: Vec<String> =
        (0..2000u64).map(|at| format!(r#"{{"index":0,"value":{},"op":"SCMP_CMP_GT"}}"#, at << 33)).collect();
    let json = format!(
        r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{{"names":["read"],"action":"SCMP_ACT_LOG","args":[{}]}}]}}"#,
        args.join(",")
    );
    let message = refusal(&json);
    assert!(message.starts_with("/linux/seccomp: the filter has "), "{message}");
    assert!(message.ends_with("more than the 4096 that the kernel takes"), "{message}");
}
