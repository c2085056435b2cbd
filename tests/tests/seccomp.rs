//! seccomp, asked call by call from inside.

use mydocker_tests::bundle::push;
use mydocker_tests::probe::{Entry, program};
use mydocker_tests::{Bundle, FdSocket, Runtime, procfs, wait};
use serde_json::{Value, json};
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;

/// munlockall, of x86-64 and of i386: it ignores its arguments and succeeds, and nobody else calls it.
const ASKED: u32 = 152;
const ASKED_COMPAT: u32 = 153;
const EPERM: i32 = 1;
const ENOSYS: i32 = 38;
/// 128 and SIGSYS.
const KILLED: i32 = 159;

/// One question to a filter.
type Question = (Entry, u32, [u64; 6]);

/// The call that is asked about, with these arguments.
fn asked(args: [u64; 6]) -> Question {
    (Entry::Native, ASKED, args)
}

/// What each question is answered with inside a container that has this filter: 0 or the errno.
fn ask(seccomp: &Value, questions: &[Question]) -> Vec<i32> {
    let runtime = Runtime::new();
    let script = "n=0; while test -e /probe/$n; do /probe/$n 2>/dev/null; echo $?; n=$((n+1)); done";
    let bundle = runtime.bundle().script(script).with(|config| config["linux"]["seccomp"] = seccomp.clone());
    fs::create_dir(bundle.path("probe")).expect("the bundle is writable");
    for (n, (entry, number, args)) in questions.iter().enumerate() {
        let path = bundle.path(&format!("probe/{n}"));
        fs::write(&path, program(*entry, *number, *args)).expect("the bundle is writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the bundle is writable");
    }
    let outcome = runtime.run(&bundle).succeeds();
    outcome.stdout.lines().map(|line| line.parse().expect("a number")).collect()
}

/// A filter that allows all but what `rules` say.
fn allowing_all_but(rules: &Value) -> Value {
    json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": rules})
}

/// A rule for the call that is asked about.
fn rule(action: &str, args: &Value) -> Value {
    json!([{"names": ["munlockall"], "action": action, "args": args}])
}

#[test]
fn privileged_without_seccomp_there_is_no_filter() {
    let runtime = Runtime::new();
    let mode = |bundle: &Bundle| {
        let status = runtime.run(bundle).succeeds().stdout;
        procfs::field_of(&status, "Seccomp").expect("the kernel tells")
    };
    let bundle = runtime.bundle().args(["cat", "/proc/self/status"]);
    assert_eq!(mode(&bundle), "0");
    let bundle = bundle.with(|config| config["linux"]["seccomp"] = allowing_all_but(&json!([])));
    // With nothing to filter a runtime may leave the filter out, or load one.
    assert!(["0", "2"].contains(&mode(&bundle).as_str()));
    let rules = rule("SCMP_ACT_ERRNO", &json!([]));
    let bundle = bundle.with(|config| config["linux"]["seccomp"] = allowing_all_but(&rules));
    assert_eq!(mode(&bundle), "2");
}

#[test]
fn privileged_errno_is_eperm_or_what_is_configured() {
    for (errno, expected) in [(None, EPERM), (Some(1), 1), (Some(38), 38), (Some(2), 2)] {
        let mut rules = rule("SCMP_ACT_ERRNO", &json!([]));
        if let Some(errno) = errno {
            rules[0]["errnoRet"] = json!(errno);
        }
        let other = (Entry::Native, 104, [0; 6]);
        assert_eq!(ask(&allowing_all_but(&rules), &[asked([0; 6]), other]), [expected, 0]);
    }
}

#[test]
fn privileged_each_action_does_what_it_says() {
    for (action, expected) in [
        ("SCMP_ACT_ALLOW", 0),
        ("SCMP_ACT_LOG", 0),
        ("SCMP_ACT_ERRNO", EPERM),
        ("SCMP_ACT_KILL", KILLED),
        ("SCMP_ACT_KILL_THREAD", KILLED),
        ("SCMP_ACT_KILL_PROCESS", KILLED),
        ("SCMP_ACT_TRAP", KILLED),
        // Without a tracer the call is skipped.
        ("SCMP_ACT_TRACE", ENOSYS),
    ] {
        // libseccomp refuses a filter of nothing but rules that say what the default says.
        let mut filter = allowing_all_but(&json!([{"names": ["mlockall"], "action": "SCMP_ACT_ERRNO"}]));
        if action != "SCMP_ACT_ALLOW" {
            push(&mut filter["syscalls"], rule(action, &json!([]))[0].take());
        }
        assert_eq!(ask(&filter, &[asked([0; 6])]), [expected], "{action}");
    }
}

#[test]
fn privileged_the_containers_own_death_by_a_filter_is_told_as_sigsys() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["/probe"]).with(|config| {
        config["linux"]["seccomp"] = allowing_all_but(&rule("SCMP_ACT_KILL_PROCESS", &json!([])));
    });
    fs::write(bundle.path("probe"), program(Entry::Native, ASKED, [0; 6])).expect("the bundle is writable");
    fs::set_permissions(bundle.path("probe"), fs::Permissions::from_mode(0o755))
        .expect("the bundle is writable");
    runtime.run(&bundle).exits(KILLED);
}

/// The calls that busybox's shell and a static program need, and a runtime between loading the filter and execve.
const NEEDED: &str = "access arch_prctl brk capget capset chdir clone clone3 close close_range dup dup2 dup3 execve \
    execveat exit exit_group faccessat faccessat2 fchdir fchown fcntl fstat fstatfs futex getcwd getdents64 getegid \
    geteuid getgid getgroups getpgrp getuid getpid getppid getrandom getrlimit gettid ioctl kill lseek lstat madvise mmap \
    mprotect mremap munmap nanosleep newfstatat open openat openat2 pipe pipe2 poll ppoll prctl pread64 prlimit64 read \
    readlink readlinkat recvmsg restart_syscall rseq rt_sigaction rt_sigprocmask rt_sigreturn sched_getaffinity \
    sched_yield sendmsg sendto set_robust_list set_tid_address setgid setgroups setpgid setresgid setresuid setuid \
    sigaltstack splice stat statfs statx sysinfo tgkill umask uname vfork wait4 waitid write writev epoll_create1 \
    epoll_ctl epoll_pwait epoll_wait eventfd2 setrlimit seccomp unshare setsid keyctl";

#[test]
fn privileged_an_allow_list_refuses_everything_else() {
    let names: Vec<&str> = NEEDED.split_whitespace().collect();
    let mut filter = json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": [{"names": names, "action": "SCMP_ACT_ALLOW"}],
    });
    let mknod = (Entry::Native, 133, [0; 6]);
    assert_eq!(ask(&filter, &[asked([0; 6]), mknod, (Entry::Native, 104, [0; 6])]), [EPERM, EPERM, 0]);
    filter["defaultErrnoRet"] = json!(5);
    assert_eq!(ask(&filter, &[asked([0; 6]), mknod]), [5, 5]);
}

/// A program newer than the profile must fall back to older calls, as it does for ENOSYS and not for EPERM.
#[test]
fn privileged_calls_newer_than_all_of_the_profile_are_enosys() {
    let names: Vec<&str> = NEEDED.split_whitespace().collect();
    let filter = json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"names": names, "action": "SCMP_ACT_ALLOW"}],
    });
    let unheard_of = (Entry::Native, 999, [0; 6]);
    assert_eq!(ask(&filter, &[unheard_of, asked([0; 6])]), [ENOSYS, EPERM]);
}

#[test]
fn privileged_every_operator_compares_all_64_bits() {
    const BIG: u64 = 1 << 32;
    // Values around the compared one in both halves, so that a comparison of one half alone is found out.
    let value = 5 * BIG + 7;
    let values = [
        0,
        7,
        value - BIG,
        value - 1,
        value,
        value + 1,
        value + BIG,
        4 * BIG + 8,
        6 * BIG,
        u64::MAX,
        1 << 63,
    ];
    type Operator = (&'static str, fn(u64, u64) -> bool);
    let operators: [Operator; 6] = [
        ("SCMP_CMP_NE", |a, b| a != b),
        ("SCMP_CMP_LT", |a, b| a < b),
        ("SCMP_CMP_LE", |a, b| a <= b),
        ("SCMP_CMP_EQ", |a, b| a == b),
        ("SCMP_CMP_GE", |a, b| a >= b),
        ("SCMP_CMP_GT", |a, b| a > b),
    ];
    for (operator, matches) in operators {
        let questions: Vec<Question> = values.iter().map(|&v| asked([0, 0, v, 0, 0, 0])).collect();
        let args = json!([{"index": 2, "value": value, "op": operator}]);
        let expected: Vec<i32> = values.iter().map(|&v| if matches(v, value) { EPERM } else { 0 }).collect();
        assert_eq!(
            ask(&allowing_all_but(&rule("SCMP_ACT_ERRNO", &args)), &questions),
            expected,
            "{operator}"
        );
    }
}

#[test]
fn privileged_a_masked_comparison_looks_at_the_masked_bits() {
    let (mask, wanted) = (0xff_0000_00f0_u64, 0x12_0000_0030_u64);
    let values =
        [0x12_0000_0030, 0x12_ffff_ff3f, 0x13_0000_0030, 0x12_0000_0040, 0, u64::MAX, 0xab00_0012_0000_0035];
    let questions: Vec<Question> = values.iter().map(|&v| asked([v, 0, 0, 0, 0, 0])).collect();
    let args = json!([{"index": 0, "value": mask, "valueTwo": wanted, "op": "SCMP_CMP_MASKED_EQ"}]);
    let expected: Vec<i32> = values.iter().map(|v| if v & mask == wanted { EPERM } else { 0 }).collect();
    assert_eq!(ask(&allowing_all_but(&rule("SCMP_ACT_ERRNO", &args)), &questions), expected);
}

#[test]
fn privileged_each_argument_can_be_compared() {
    for index in 0..6 {
        let mut args = [0; 6];
        args[index] = 42;
        let filter = allowing_all_but(&rule(
            "SCMP_ACT_ERRNO",
            &json!([{"index": index, "value": 42, "op": "SCMP_CMP_EQ"}]),
        ));
        assert_eq!(ask(&filter, &[asked(args), asked([0; 6])]), [EPERM, 0], "{index}");
    }
}

#[test]
fn privileged_conditions_on_different_arguments_must_all_hold() {
    let args = json!([
        {"index": 0, "value": 1, "op": "SCMP_CMP_EQ"},
        {"index": 1, "value": 2, "op": "SCMP_CMP_GT"},
    ]);
    let questions = [[1, 3], [1, 2], [0, 3], [0, 0]].map(|[a, b]| asked([a, b, 0, 0, 0, 0]));
    assert_eq!(ask(&allowing_all_but(&rule("SCMP_ACT_ERRNO", &args)), &questions), [EPERM, 0, 0, 0]);
}

/// The profiles in the field count on it: runc makes a rule of each condition.
#[test]
fn privileged_of_conditions_on_the_same_argument_one_must_hold() {
    let args = json!([
        {"index": 0, "value": 1, "op": "SCMP_CMP_EQ"},
        {"index": 0, "value": 2, "op": "SCMP_CMP_EQ"},
    ]);
    let questions = [1, 2, 3].map(|a| asked([a, 0, 0, 0, 0, 0]));
    assert_eq!(ask(&allowing_all_but(&rule("SCMP_ACT_ERRNO", &args)), &questions), [EPERM, EPERM, 0]);
}

#[test]
fn privileged_several_rules_for_one_call_each_hold() {
    let rules = json!([
        {"names": ["munlockall"], "action": "SCMP_ACT_ERRNO", "errnoRet": 11, "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]},
        {"names": ["munlockall"], "action": "SCMP_ACT_ERRNO", "errnoRet": 12, "args": [{"index": 0, "value": 2, "op": "SCMP_CMP_EQ"}]},
    ]);
    let questions = [1, 2, 3].map(|a| asked([a, 0, 0, 0, 0, 0]));
    assert_eq!(ask(&allowing_all_but(&rules), &questions), [11, 12, 0]);
}

#[test]
fn privileged_an_architecture_that_is_listed_is_filtered_too() {
    let mut filter = allowing_all_but(&rule("SCMP_ACT_ERRNO", &json!([])));
    filter["architectures"] = json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]);
    let compat = (Entry::Compat, ASKED_COMPAT, [0; 6]);
    // The native number is another call there, mlockall, which must not be taken for it: flags of 0 are EINVAL.
    let other = (Entry::Compat, ASKED, [0; 6]);
    let answers = ask(&filter, &[asked([0; 6]), compat, other]);
    assert_eq!(answers, [EPERM, EPERM, 22]);
}

#[test]
fn privileged_an_architecture_that_is_not_listed_is_killed() {
    let filter = allowing_all_but(&rule("SCMP_ACT_ERRNO", &json!([])));
    let compat = (Entry::Compat, ASKED_COMPAT, [0; 6]);
    assert_eq!(ask(&filter, &[compat, asked([0; 6])]), [KILLED, EPERM]);
}

#[test]
fn privileged_the_x32_calls_are_not_a_way_around() {
    let mut filter = allowing_all_but(&rule("SCMP_ACT_ERRNO", &json!([])));
    filter["architectures"] = json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]);
    let answers = ask(&filter, &[(Entry::Native, 0x4000_0000 | ASKED, [0; 6])]);
    assert_ne!(answers, [0]);
}

#[test]
fn privileged_names_that_this_kernel_does_not_know_are_passed_over() {
    let rules = json!([{"names": ["never_was", "munlockall", "also_never_was"], "action": "SCMP_ACT_ERRNO"}]);
    assert_eq!(ask(&allowing_all_but(&rules), &[asked([0; 6])]), [EPERM]);
}

#[test]
fn privileged_unknown_actions_operators_architectures_and_flags_are_refused() {
    let runtime = Runtime::new();
    let good =
        allowing_all_but(&rule("SCMP_ACT_ERRNO", &json!([{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}])));
    let changes: [(&str, Value); 6] = [
        ("/defaultAction", json!("SCMP_ACT_NEVER_WAS")),
        ("/architectures/0", json!("SCMP_ARCH_NEVER_WAS")),
        ("/syscalls/0/action", json!("SCMP_ACT_NEVER_WAS")),
        ("/syscalls/0/args/0/op", json!("SCMP_CMP_NEVER_WAS")),
        ("/syscalls/0/args/0/index", json!(6)),
        ("/flags", json!(["SECCOMP_FILTER_FLAG_NEVER_WAS"])),
    ];
    for (pointer, value) in changes {
        let mut filter = good.clone();
        filter["flags"] = json!([]);
        *filter.pointer_mut(pointer).expect("it is there") = value;
        let bundle = runtime.bundle().with(|config| config["linux"]["seccomp"] = filter);
        runtime.create(&bundle).fails();
        assert!(!runtime.knows(bundle.id()), "{pointer}");
    }
}

/// Differs from runc 1.1.5, which ignores the number: config-linux.md, Seccomp, "When the action doesn't support an errno,
/// the runtime MUST print and error and fail".
#[test]
fn privileged_an_errno_for_an_action_without_one_is_refused() {
    let runtime = Runtime::new();
    for action in ["SCMP_ACT_KILL", "SCMP_ACT_TRAP", "SCMP_ACT_LOG"] {
        let mut rules = rule(action, &json!([]));
        rules[0]["errnoRet"] = json!(5);
        let bundle = runtime.bundle().with(|config| config["linux"]["seccomp"] = allowing_all_but(&rules));
        runtime.create(&bundle).fails().says("errnoRet");
        assert!(!runtime.knows(bundle.id()), "{action}");
    }
}

/// Differs from runc 1.1.5, which takes no flags at all.
#[test]
fn privileged_the_flags_of_the_filter_are_taken() {
    for flag in ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"] {
        let mut filter = allowing_all_but(&rule("SCMP_ACT_ERRNO", &json!([])));
        filter["flags"] = json!([flag]);
        assert_eq!(ask(&filter, &[asked([0; 6])]), [EPERM], "{flag}");
    }
}

#[test]
fn privileged_the_filter_works_with_and_without_no_new_privileges_and_for_any_user() {
    for no_new_privileges in [true, false] {
        for uid in [0, 1000] {
            let runtime = Runtime::new();
            let bundle = runtime.bundle().script("mkdir /tmp/new || echo refused").with(|config| {
                config["process"]["noNewPrivileges"] = json!(no_new_privileges);
                config["process"]["user"] = json!({"uid": uid, "gid": uid});
                let rules = json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]);
                config["linux"]["seccomp"] = allowing_all_but(&rules);
            });
            let outcome = runtime.run(&bundle).succeeds();
            assert_eq!(outcome.stdout, "refused\n", "{no_new_privileges} {uid}: {}", outcome.describe());
        }
    }
}

#[test]
fn privileged_exec_is_filtered_too() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["sleep", "1000"]).with(|config| {
        let rules = json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]);
        config["linux"]["seccomp"] = allowing_all_but(&rules);
    });
    runtime.run_detached(&bundle);
    runtime.exec(bundle.id(), ["mkdir", "/new"]).exits(1).says("not permitted");
}

/// A filter that asks a listener about mkdir.
fn notifying(socket: &FdSocket) -> Value {
    let mut filter = allowing_all_but(&json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}]));
    filter["listenerPath"] = json!(socket.path());
    filter["listenerMetadata"] = json!("for the agent");
    filter
}

#[test]
fn privileged_a_notifying_filter_hands_its_listener_over_with_the_state() {
    let runtime = Runtime::new();
    let socket = FdSocket::bind(runtime.scratch().join("agent"));
    let bundle = runtime.bundle().script("echo ready; mkdir /tmp/new; echo done").with(|config| {
        config["annotations"] = json!({"key": "value"});
        config["linux"]["seccomp"] = notifying(&socket);
    });
    let running = runtime.spawn(&bundle);
    let (sent, fds) = socket.receive_json();
    running.wait_for_output("ready");
    assert_eq!(sent["fds"], json!(["seccompFd"]));
    assert_eq!(sent["metadata"], "for the agent");
    assert_eq!(sent["pid"], runtime.pid(bundle.id()));
    assert_eq!(sent["state"]["id"], bundle.id());
    assert_eq!(sent["state"]["bundle"], json!(bundle.dir()));
    assert_eq!(sent["state"]["annotations"], json!({"key": "value"}));
    assert_eq!(fds.len(), 1);
    let link = fs::read_link(format!("/proc/self/fd/{}", fds[0].as_raw_fd())).expect("it is open");
    assert_eq!(link.to_str(), Some("anon_inode:seccomp notify"));

    assert!(wait::readable(&fds[0], wait::deadline(wait::DEADLINE)), "mkdir was never asked about");
    assert!(!running.stdout().contains("done"), "mkdir went on without an answer");
    // When the last listener goes, the calls that wait for it fail with ENOSYS.
    drop(fds);
    let outcome = running.wait().succeeds();
    assert_eq!(outcome.stdout, "ready\ndone\n");
    assert!(outcome.stderr.contains("not implemented"), "{}", outcome.describe());
    assert!(!socket.has_connection(), "the state must be sent once");
}

/// Differs from runc 1.1.5 and crun 1.8.1, which leave it open: config-linux.md, Seccomp, `listenerPath`, "The connection MUST NOT be
/// reused and it MUST be closed after sending a seccomp state".
#[test]
fn privileged_the_connection_to_the_listener_is_closed_after_one_state() {
    let runtime = Runtime::new();
    let socket = FdSocket::bind(runtime.scratch().join("agent"));
    let bundle = runtime.bundle().script("echo ready; exec sleep 1000");
    let bundle = bundle.with(|config| config["linux"]["seccomp"] = notifying(&socket));
    let running = runtime.spawn(&bundle);
    let (bytes, fds) = socket.receive();
    assert!(serde_json::from_slice::<Value>(&bytes).is_ok());
    assert_eq!(fds.len(), 1);
    running.wait_for_output("ready");
    runtime.kill(bundle.id(), "KILL").succeeds();
    running.wait().exits(137);
}

#[test]
fn privileged_exec_hands_a_listener_of_its_own_over() {
    let runtime = Runtime::new();
    let socket = FdSocket::bind(runtime.scratch().join("agent"));
    let bundle = runtime
        .bundle()
        .args(["sleep", "1000"])
        .with(|config| config["linux"]["seccomp"] = notifying(&socket));
    let run = runtime.bundle_command("run", &bundle, &["--detach"]).spawn();
    let (_, first) = socket.receive_json();
    run.wait().succeeds();
    let exec = runtime.command(["exec", bundle.id(), "mkdir", "/tmp/new"]).spawn();
    let (sent, second) = socket.receive_json();
    assert_eq!(sent["state"]["id"], bundle.id());
    assert_ne!(sent["pid"], runtime.pid(bundle.id()));
    assert!(wait::readable(&second[0], wait::deadline(wait::DEADLINE)), "mkdir was never asked about");
    drop((first, second));
    exec.wait().exits(1).says("not implemented");
}

#[test]
fn privileged_a_listener_that_cannot_be_reached_fails_create() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().with(|config| {
        let mut filter = allowing_all_but(&json!([{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]));
        filter["listenerPath"] = json!("/never/was");
        config["linux"]["seccomp"] = filter;
    });
    runtime.create(&bundle).fails();
    assert!(!runtime.knows(bundle.id()));
}

#[test]
fn privileged_a_listener_path_without_notify_is_ignored() {
    let mut filter = allowing_all_but(&rule("SCMP_ACT_ERRNO", &json!([])));
    filter["listenerPath"] = json!("/never/was");
    assert_eq!(ask(&filter, &[asked([0; 6])]), [EPERM]);
}

#[test]
fn privileged_metadata_without_a_listener_path_is_refused() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().with(|config| {
        let mut filter = allowing_all_but(&rule("SCMP_ACT_ERRNO", &json!([])));
        filter["listenerMetadata"] = json!("for nobody");
        config["linux"]["seccomp"] = filter;
    });
    // Differs from runc, which takes it: config-linux.md, "This field MUST NOT be set if listenerPath is not set".
    runtime.create(&bundle).fails().says("listenerMetadata");
    assert!(!runtime.knows(bundle.id()));
}
