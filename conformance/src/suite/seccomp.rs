//! config-linux.md: seccomp.

use super::{list, same};
use crate::case::Case;
use anyhow::{Context, Result, ensure};
use mydocker_sys as sys;
use serde_json::{Value, json};
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use sys::process::Exit;

list![
    the_default_action_is_taken,
    the_default_errno_is_eperm,
    the_default_errno_can_be_chosen,
    an_errno_for_a_default_action_without_one_is_refused,
    calls_are_matched_by_name,
    the_errno_of_a_call_can_be_chosen,
    an_errno_for_an_action_without_one_is_refused,
    every_action_is_in_force_or_refused,
    a_killed_call_ends_the_process,
    a_trapped_call_raises_a_signal,
    every_architecture_is_in_force_or_refused,
    every_flag_is_in_force_or_refused,
    an_unknown_flag_is_refused,
    every_operator_compares,
    several_conditions_must_all_hold,
    an_entry_without_names_is_refused,
    unknown_operators_and_actions_are_refused,
    the_listener_gets_the_state_and_the_descriptor,
    the_listener_gets_one_state_for_each_connection,
    a_listener_that_is_missing_is_an_error,
    a_listener_without_notify_is_ignored,
    listener_metadata_without_a_path_is_refused,
];

const EPERM: i32 = 1;

/// Allows everything but what an entry says.
fn profile(action: &str, name: &str, more: &Value) -> Value {
    let mut entry = json!({"names": [name], "action": action});
    for (key, value) in more.as_object().into_iter().flatten() {
        entry[key] = value.clone();
    }
    json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [entry]})
}

/// The number of the error that a call in a container with this profile ends with.
fn errno_of(case: &Case<'_>, profile: Value, question: &[&str]) -> Result<i64> {
    let answer = case.answer_of(case.bundle()?.set("/linux/seccomp", profile), question)?;
    answer["errno"].as_i64().with_context(|| format!("the answer is {answer}"))
}

fn gives(case: &Case<'_>, profile: Value, question: &[&str], wanted: i32) -> Result<()> {
    let text = profile.to_string();
    let found = errno_of(case, profile, question).with_context(|| text.clone())?;
    ensure!(found == i64::from(wanted), "{question:?} ends with {found}, and must end with {wanted}: {text}");
    Ok(())
}

/// Calls that a runtime and the probe need, allowed one by one where the default is an error.
fn strict(default: &str) -> Value {
    // Every call of the kernel's list but those that the test asks with.
    let names: Vec<&str> = ALLOWED.split_whitespace().collect();
    json!({"defaultAction": default, "syscalls": [{"names": names, "action": "SCMP_ACT_ALLOW"}]})
}

/// What runtimes call after the filter is loaded, and what a static program needs; neither mkdirat nor socket.
const ALLOWED: &str = "read write readv writev open openat openat2 close fstat newfstatat stat lstat statx lseek mmap \
    mprotect munmap brk rt_sigaction rt_sigprocmask rt_sigreturn ioctl pread64 access faccessat faccessat2 dup dup2 \
    dup3 getpid gettid clone clone3 fork vfork execve execveat exit exit_group wait4 waitid uname fcntl flock getcwd \
    chdir fchdir readlink readlinkat umask gettimeofday clock_gettime getrlimit prlimit64 getuid getgid geteuid \
    getegid setuid setgid setgroups setresuid setresgid getppid capget capset prctl arch_prctl set_tid_address \
    set_robust_list rseq futex sched_yield sched_getaffinity sigaltstack madvise poll ppoll epoll_create1 epoll_ctl \
    epoll_pwait getrandom pipe2 nanosleep tgkill kill sendmsg recvmsg sendto recvfrom getdents64 close_range \
    restart_syscall setsid getsid keyctl umount2 pivot_root mount unlink unlinkat fstatfs statfs fchown chown \
    setrlimit sethostname seccomp landlock_restrict_self getgroups sched_setattr ioprio_set personality eventfd2 \
    accept accept4 bind connect listen timer_create timer_settime timer_delete set_mempolicy getpgid getpgrp setpgid membarrier tkill pidfd_open \
    pidfd_send_signal socketpair shutdown getsockopt setsockopt getsockname getpeername rt_sigtimedwait signalfd4 select \
    pselect6";

/// A runtime may leave out some values, but then it must say so: one that is accepted must be in force.
fn gives_unless_refused(case: &Case<'_>, profile: Value, question: &[&str], wanted: i32) -> Result<()> {
    let text = profile.to_string();
    let bundle = case.bundle()?.set("/linux/seccomp", profile).ask(&[question]);
    let Some(finished) = case.run_unless_refused(&bundle).context(text.clone())? else { return Ok(()) };
    let answer = finished.answers.first().with_context(|| format!("no answer: {text}"))?;
    same(&format!("the error of {question:?} with {text}"), &answer["errno"], wanted)
}

fn the_default_action_is_taken(case: &Case<'_>) -> Result<()> {
    gives(case, strict("SCMP_ACT_ERRNO"), &["call", "mkdirat", "/data/made"], EPERM)?;
    gives(case, json!({"defaultAction": "SCMP_ACT_ALLOW"}), &["call", "mkdirat", "/data/made"], 0)
}

fn the_default_errno_is_eperm(case: &Case<'_>) -> Result<()> {
    gives(case, strict("SCMP_ACT_ERRNO"), &["call", "socket"], EPERM)?;
    gives(case, profile("SCMP_ACT_ERRNO", "mkdirat", &json!({})), &["call", "mkdirat", "/data/x"], EPERM)
}

fn the_default_errno_can_be_chosen(case: &Case<'_>) -> Result<()> {
    let mut profile = strict("SCMP_ACT_ERRNO");
    profile["defaultErrnoRet"] = json!(38);
    gives(case, profile, &["call", "mkdirat", "/data/x"], 38)
}

fn an_errno_for_a_default_action_without_one_is_refused(case: &Case<'_>) -> Result<()> {
    for action in ["SCMP_ACT_ALLOW", "SCMP_ACT_KILL", "SCMP_ACT_LOG"] {
        let bundle =
            case.bundle()?.set("/linux/seccomp", json!({"defaultAction": action, "defaultErrnoRet": 5}));
        case.refuses_to_run(&bundle).with_context(|| action.to_owned())?;
    }
    Ok(())
}

fn calls_are_matched_by_name(case: &Case<'_>) -> Result<()> {
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdirat", "socket"], "action": "SCMP_ACT_ERRNO"},
        {"names": ["no_such_call_in_any_kernel"], "action": "SCMP_ACT_ERRNO"},
    ]});
    gives(case, profile.clone(), &["call", "mkdirat", "/data/x"], EPERM)?;
    gives(case, profile.clone(), &["call", "socket"], EPERM)?;
    gives(case, profile, &["call", "getcwd"], 0)
}

fn the_errno_of_a_call_can_be_chosen(case: &Case<'_>) -> Result<()> {
    for errno in [13, 38, 0] {
        gives(
            case,
            profile("SCMP_ACT_ERRNO", "socket", &json!({"errnoRet": errno})),
            &["call", "socket"],
            errno,
        )?;
    }
    Ok(())
}

fn an_errno_for_an_action_without_one_is_refused(case: &Case<'_>) -> Result<()> {
    for action in ["SCMP_ACT_KILL", "SCMP_ACT_LOG", "SCMP_ACT_TRAP", "SCMP_ACT_KILL_PROCESS"] {
        let bundle =
            case.bundle()?.set("/linux/seccomp", profile(action, "mkdirat", &json!({"errnoRet": 5})));
        case.refuses_to_run(&bundle).with_context(|| action.to_owned())?;
    }
    Ok(())
}

/// For calls that the container does not make, so that it runs whatever they lead to. NOTIFY has tests of its own.
fn every_action_is_in_force_or_refused(case: &Case<'_>) -> Result<()> {
    let actions = ["KILL", "KILL_PROCESS", "KILL_THREAD", "TRAP", "ERRNO", "TRACE", "ALLOW", "LOG"];
    for action in actions {
        let action = format!("SCMP_ACT_{action}");
        // An entry that says the same as the default is refused by none of them when the default differs.
        let default = if action == "SCMP_ACT_ALLOW" { "SCMP_ACT_LOG" } else { "SCMP_ACT_ALLOW" };
        let entry = json!({"defaultAction": default, "syscalls": [{"names": ["mkdirat"], "action": action}]});
        gives_unless_refused(case, entry, &["call", "getcwd"], 0)?;
    }
    Ok(())
}

fn a_killed_call_ends_the_process(case: &Case<'_>) -> Result<()> {
    for action in ["SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD"] {
        let bundle = case.bundle()?.set("/linux/seccomp", profile(action, "mkdirat", &json!({})));
        let finished = case.run(&bundle.ask(&[&["call", "mkdirat", "/data/x"]]))?;
        let killed = matches!(finished.exit, Exit::Signal { number: 31, .. });
        ensure!(
            killed,
            "with {action} the process ended with {:?}, and must be killed by SIGSYS",
            finished.exit
        );
    }
    Ok(())
}

fn a_trapped_call_raises_a_signal(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?.set("/linux/seccomp", profile("SCMP_ACT_TRAP", "mkdirat", &json!({})));
    let finished = case.run(&bundle.ask(&[&["call", "mkdirat", "/data/x"]]))?;
    ensure!(matches!(finished.exit, Exit::Signal { number: 31, .. }), "it ended with {:?}", finished.exit);
    Ok(())
}

fn every_architecture_is_in_force_or_refused(case: &Case<'_>) -> Result<()> {
    let names = "X86 X86_64 X32 ARM AARCH64 MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32 PPC PPC64 PPC64LE S390 \
                 S390X PARISC PARISC64 RISCV64 LOONGARCH64 M68K SH SHEB";
    for name in names.split_whitespace() {
        let mut profile = profile("SCMP_ACT_ERRNO", "mkdirat", &json!({}));
        profile["architectures"] = json!([format!("SCMP_ARCH_{name}")]);
        gives_unless_refused(case, profile, &["call", "mkdirat", "/data/x"], EPERM)?;
    }
    Ok(())
}

/// WAIT_KILLABLE_RECV goes with a listener, which the kernel demands.
fn every_flag_is_in_force_or_refused(case: &Case<'_>) -> Result<()> {
    for flag in ["TSYNC", "LOG", "SPEC_ALLOW"] {
        let mut profile = profile("SCMP_ACT_ERRNO", "mkdirat", &json!({}));
        profile["flags"] = json!([format!("SECCOMP_FILTER_FLAG_{flag}")]);
        gives_unless_refused(case, profile, &["call", "mkdirat", "/data/x"], EPERM)?;
    }
    let (listener, path) = listen(case, "killable")?;
    let mut profile = notify(&path);
    profile["flags"] = json!(["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]);
    let bundle = case.bundle()?.set("/linux/seccomp", profile).ask(&[&["report"]]);
    case.run_unless_refused(&bundle)?;
    drop(listener);
    Ok(())
}

fn an_unknown_flag_is_refused(case: &Case<'_>) -> Result<()> {
    let mut profile = profile("SCMP_ACT_ERRNO", "mkdirat", &json!({}));
    profile["flags"] = json!(["SECCOMP_FILTER_FLAG_OF_THE_FUTURE"]);
    case.refuses_to_run(&case.bundle()?.set("/linux/seccomp", profile)).map(drop)
}

/// An operator, its value and its second one, offsets that match, and offsets that do not.
type Comparison = (&'static str, u64, u64, &'static [u64], &'static [u64]);

/// Compares the offset of lseek, whose 64 bits all count.
fn every_operator_compares(case: &Case<'_>) -> Result<()> {
    const BIG: u64 = (5 << 32) + 7;
    let table: [Comparison; 7] = [
        ("NE", BIG, 0, &[7, BIG + 1], &[BIG]),
        ("LT", BIG, 0, &[0, BIG - 1, 4 << 32], &[BIG, BIG + 1, 6 << 32]),
        ("LE", BIG, 0, &[BIG, BIG - 1], &[BIG + 1]),
        ("EQ", BIG, 0, &[BIG], &[7, BIG + (1 << 32)]),
        ("GE", BIG, 0, &[BIG, BIG + 1, 6 << 32], &[BIG - 1]),
        ("GT", BIG, 0, &[BIG + 1, 6 << 32], &[BIG, 7]),
        // The mask comes first, then what must be left.
        ("MASKED_EQ", 0xff, 7, &[7, BIG], &[8, 0x107 + 1]),
    ];
    for (operator, value, two, matching, others) in table {
        let condition =
            json!({"index": 1, "value": value, "valueTwo": two, "op": format!("SCMP_CMP_{operator}")});
        let profile = profile("SCMP_ACT_ERRNO", "lseek", &json!({"errnoRet": 77, "args": [condition]}));
        let asked: Vec<String> = matching.iter().chain(others).map(u64::to_string).collect();
        let questions: Vec<Vec<&str>> = asked.iter().map(|offset| vec!["call", "lseek", offset]).collect();
        let questions: Vec<&[&str]> = questions.iter().map(Vec::as_slice).collect();
        let answers = case.answers_of(case.bundle()?.set("/linux/seccomp", profile), &questions)?;
        for (index, answer) in answers.iter().enumerate() {
            let wanted = if index < matching.len() { 77 } else { 0 };
            same(
                &format!("the error of {operator} {value} with {}", asked[index]),
                &answer["errno"],
                wanted,
            )?;
        }
    }
    Ok(())
}

fn several_conditions_must_all_hold(case: &Case<'_>) -> Result<()> {
    let condition = |index: u32, value: u64| json!({"index": index, "value": value, "op": "SCMP_CMP_EQ"});
    let both = json!({"errnoRet": 77, "args": [condition(1, 5), condition(2, 0)]});
    gives(case, profile("SCMP_ACT_ERRNO", "lseek", &both), &["call", "lseek", "5"], 77)?;
    let one = json!({"errnoRet": 77, "args": [condition(1, 5), condition(2, 1)]});
    gives(case, profile("SCMP_ACT_ERRNO", "lseek", &one), &["call", "lseek", "5"], 0)
}

fn an_entry_without_names_is_refused(case: &Case<'_>) -> Result<()> {
    let profile =
        json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [], "action": "SCMP_ACT_ERRNO"}]});
    case.refuses_to_run(&case.bundle()?.set("/linux/seccomp", profile)).map(drop)
}

fn unknown_operators_and_actions_are_refused(case: &Case<'_>) -> Result<()> {
    let condition = json!({"args": [{"index": 1, "value": 1, "op": "SCMP_CMP_ALMOST"}]});
    let wrong = [
        json!({"defaultAction": "SCMP_ACT_SHRUG"}),
        profile("SCMP_ACT_SHRUG", "mkdirat", &json!({})),
        profile("SCMP_ACT_ERRNO", "lseek", &condition),
        json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_ABACUS"]}),
    ];
    for profile in wrong {
        let text = profile.to_string();
        case.refuses_to_run(&case.bundle()?.set("/linux/seccomp", profile)).context(text)?;
    }
    Ok(())
}

/// Waits for mkdirat, which the probe does not call unless it is asked to.
fn notify(path: &str) -> Value {
    let mut profile = profile("SCMP_ACT_NOTIFY", "mkdirat", &json!({}));
    profile["listenerPath"] = json!(path);
    profile["listenerMetadata"] = json!("opaque data");
    profile
}

fn listen(case: &Case<'_>, name: &str) -> Result<(UnixListener, String)> {
    let path = case.dir().join(name);
    let listener = UnixListener::bind(&path)?;
    Ok((listener, path.display().to_string()))
}

/// All that comes over one connection: the text, and how many descriptors the first message had.
fn receive(stream: &UnixStream) -> Result<(String, Vec<String>)> {
    stream.set_read_timeout(Some(crate::process::PATIENCE))?;
    let mut buffer = vec![0; 65536];
    let first = sys::socket::receive(stream, &mut buffer)?;
    let mut text = buffer[..first.length].to_vec();
    let kinds = first.fds.iter().map(|fd| sys::error::describe(fd.as_fd())).collect();
    let mut rest = Vec::new();
    (&*stream).read_to_end(&mut rest)?;
    text.extend(rest);
    Ok((String::from_utf8(text)?, kinds))
}

fn the_listener_gets_the_state_and_the_descriptor(case: &Case<'_>) -> Result<()> {
    let (listener, path) = listen(case, "listener")?;
    let bundle = case.bundle()?.set("/linux/seccomp", notify(&path)).ask(&[&["pause"]]);
    let pid = case.launch(&bundle)?;
    let (stream, _) = listener.accept()?;
    let (text, kinds) = receive(&stream)?;
    let state: Value = serde_json::from_str(&text).with_context(|| format!("the listener got {text:?}"))?;
    ensure!(kinds.len() == 1 && kinds[0].contains("seccomp"), "the descriptors are {kinds:?}");
    same("fds", &state["fds"], json!(["seccompFd"]))?;
    same("pid", &state["pid"], pid)?;
    same("metadata", &state["metadata"], "opaque data")?;
    same("the id", &state["state"]["id"], bundle.id.as_str())?;
    same("the state's pid", &state["state"]["pid"], pid)?;
    ensure!(state["ociVersion"].is_string(), "ociVersion is {}", state["ociVersion"]);
    let status = state["state"]["status"].as_str().unwrap_or_default();
    ensure!(["creating", "created", "running"].contains(&status), "the status is {status:?}");
    ensure!(state["state"]["bundle"].is_string(), "the bundle is {}", state["state"]["bundle"]);
    Ok(())
}

/// The text is one JSON value, and the connection ends after it (which `receive` waited for).
fn the_listener_gets_one_state_for_each_connection(case: &Case<'_>) -> Result<()> {
    let (listener, path) = listen(case, "listener")?;
    for _ in 0..2 {
        let bundle = case.bundle()?.set("/linux/seccomp", notify(&path)).ask(&[&["pause"]]);
        case.launch(&bundle)?;
        let (stream, _) = listener.accept()?;
        let (text, _) = receive(&stream)?;
        let values: Vec<Value> =
            serde_json::Deserializer::from_str(&text).into_iter().collect::<Result<_, _>>()?;
        ensure!(values.len() == 1, "{} values came over one connection", values.len());
        same("the id", &values[0]["state"]["id"], bundle.id.as_str())?;
    }
    Ok(())
}

fn a_listener_that_is_missing_is_an_error(case: &Case<'_>) -> Result<()> {
    let nowhere = case.dir().join("nobody").display().to_string();
    let bundle = case.bundle()?.set("/linux/seccomp", notify(&nowhere)).ask(&[&["pause"]]);
    case.refuses_to_run(&bundle).map(drop)
}

fn a_listener_without_notify_is_ignored(case: &Case<'_>) -> Result<()> {
    let mut profile = profile("SCMP_ACT_ERRNO", "mkdirat", &json!({}));
    profile["listenerPath"] = json!(case.dir().join("nobody"));
    gives(case, profile, &["call", "mkdirat", "/data/x"], EPERM)
}

fn listener_metadata_without_a_path_is_refused(case: &Case<'_>) -> Result<()> {
    let mut profile = profile("SCMP_ACT_ERRNO", "mkdirat", &json!({}));
    profile["listenerMetadata"] = json!("for nobody");
    case.refuses_to_run(&case.bundle()?.set("/linux/seccomp", profile)).map(drop)
}
