//! Who a process in a container is: its user is a number and never a guess, and it inherits no capabilities.

use mydocker_tests::refusal::{must_not_run, one_line, refused};
use mydocker_tests::{Bundle, Outcome, Runtime, procfs};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};
use std::fs;

/// Users whose names are the numbers of other users, and who are all root (CVE-2016-3697).
const LYING_PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n1000:x:0:0::/:/bin/sh\n1:x:0:0::/:/bin/sh\n";

/// The groups to go with them.
const LYING_GROUP: &str = "root:x:0:\n1000:x:0:\n1:x:0:\n";

/// The capability lines of `/proc/self/status`.
const CAPABILITIES: [&str; 3] = ["grep", "^Cap", "/proc/self/status"];

fn sleeping(runtime: &Runtime) -> Bundle {
    let bundle = runtime.bundle().args(["sleep", "1000"]);
    fs::write(bundle.path("etc/passwd"), LYING_PASSWD).expect("an own file");
    fs::write(bundle.path("etc/group"), LYING_GROUP).expect("an own file");
    bundle
}

fn exec_as(runtime: &Runtime, bundle: &Bundle, user: &str, what: &str) -> Outcome {
    runtime.command(["exec", "--user", user, bundle.id(), "id", what]).run()
}

#[test]
fn privileged_a_number_is_an_id_even_where_a_user_has_it_for_a_name() {
    let runtime = Runtime::new();
    let bundle = sleeping(&runtime);
    runtime.run_detached(&bundle);
    assert_eq!(exec_as(&runtime, &bundle, "1", "-u").succeeds().stdout, "1\n");
    assert_eq!(exec_as(&runtime, &bundle, "1000", "-u").succeeds().stdout, "1000\n");
    assert_eq!(exec_as(&runtime, &bundle, "1:1000", "-g").succeeds().stdout, "1000\n");

    let bundle = sleeping(&runtime).args(["id", "-u"]).with(|config| {
        config["process"]["user"] = json!({"uid": 1000, "gid": 1000});
    });
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "1000\n");
}

#[test]
fn privileged_exec_refuses_a_user_that_is_no_32_bit_number_and_never_falls_back_to_root() {
    let runtime = Runtime::new();
    let bundle = sleeping(&runtime).with(|config| config["process"]["user"] = json!({"uid": 7, "gid": 7}));
    runtime.run_detached(&bundle);
    // 2^32 and its multiples wrap to 0; 2^32-1 is "do not change" to setresuid(2).
    let hostile = [
        "4294967296",
        "8589934592",
        "18446744073709551616",
        "4294967295",
        "-1",
        "-4294967296",
        "+1000",
        "0x3e8",
        " 1000",
        "1000 ",
        "1e3",
        "nobody-here",
        ":0",
        "1000:",
        "1000:4294967296",
        "1000:4294967295",
        "1000:-1",
        "1000:0:0",
        "1000:nobody-here",
    ];
    for user in hostile {
        let outcome = one_line(exec_as(&runtime, &bundle, user, "-u"));
        assert_eq!(outcome.stdout, "", "{user:?} ran: {}", outcome.describe());
        outcome.says(user.split(':').find(|part| part.len() > 1).unwrap_or(user)).discard();
    }
}

#[test]
fn privileged_exec_refuses_a_group_that_is_no_32_bit_number() {
    let runtime = Runtime::new();
    let bundle = sleeping(&runtime);
    runtime.run_detached(&bundle);
    for group in ["4294967296", "4294967295", "-1", "nobody-here"] {
        let option = format!("--additional-gids={group}");
        let outcome = runtime.command(["exec", &option, bundle.id(), "id", "-G"]).run();
        let outcome = one_line(outcome).says(group);
        assert_eq!(outcome.stdout, "", "{group:?} ran: {}", outcome.describe());
    }
}

#[test]
fn privileged_a_config_with_an_id_beyond_32_bits_is_refused_by_its_pointer() {
    let runtime = Runtime::new();
    for value in [json!(4_294_967_296_u64), json!(-1), json!(1.5), json!("0"), json!("root"), json!([0])] {
        for (field, pointer) in [("uid", "/process/user/uid"), ("gid", "/process/user/gid")] {
            let bundle = must_not_run(runtime.bundle());
            let bundle = bundle.with(|config| config["process"]["user"][field] = value.clone());
            refused(&runtime, &bundle).says(pointer).discard();
        }
        let bundle = must_not_run(runtime.bundle());
        let bundle = bundle.with(|config| config["process"]["user"]["additionalGids"] = json!([5, value]));
        refused(&runtime, &bundle).says("/process/user/additionalGids/1").discard();
    }
}

#[test]
fn privileged_the_id_that_means_no_change_is_refused() {
    let runtime = Runtime::new();
    for field in ["uid", "gid"] {
        let bundle = must_not_run(runtime.bundle());
        let bundle = bundle.with(|config| config["process"]["user"][field] = json!(u32::MAX));
        refused(&runtime, &bundle).says("4294967295").discard();
    }
}

#[test]
fn privileged_a_process_file_with_an_id_beyond_32_bits_is_refused_by_its_pointer() {
    let runtime = Runtime::new();
    let bundle = sleeping(&runtime);
    runtime.run_detached(&bundle);
    let process = json!({"args": ["id"], "cwd": "/", "user": {"uid": 4_294_967_296_u64, "gid": 0}});
    let file = process_file(&runtime, &process);
    let outcome = runtime.command(["exec", "--process", &file, bundle.id()]).run();
    assert_eq!(one_line(outcome).says("/user/uid").stdout, "");
}

fn process_file(runtime: &Runtime, process: &Value) -> String {
    let file = runtime.scratch().join("process.json");
    fs::write(&file, process.to_string()).expect("the scratch directory is writable");
    file.display().to_string()
}

#[test]
fn privileged_a_password_file_that_never_ends_or_never_answers_stops_nobody() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("echo $HOME");
    let file = bundle.path("etc/passwd");
    fs::remove_file(&file).expect("an own file");
    mknodat(CWD, &file, FileType::Fifo, Mode::from_raw_mode(0o644), 0).expect("a fifo can be made");
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "/\n");

    fs::remove_file(&file).expect("an own file");
    std::os::unix::fs::symlink("/dev/zero", &file).expect("an own directory");
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "/\n");
}

/// Demands that a process can hand no capability to what it executes (CVE-2022-29162, CVE-2022-27650,
/// CVE-2025-27612).
fn assert_none_inheritable(outcome: &Outcome) {
    for set in ["CapInh", "CapAmb"] {
        let value =
            procfs::field_of(&outcome.stdout, set).unwrap_or_else(|| panic!("{}", outcome.describe()));
        assert_eq!(value, "0000000000000000", "{set} of {}", outcome.describe());
    }
}

#[test]
fn privileged_no_capability_is_inheritable_after_run_and_exec() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle();
    assert_none_inheritable(&runtime.run(&bundle.args(CAPABILITIES)).succeeds());

    let bundle = sleeping(&runtime);
    runtime.run_detached(&bundle);
    assert_none_inheritable(&runtime.exec(bundle.id(), CAPABILITIES).succeeds());
    let exec = runtime.command(["exec", "--cap", "CAP_NET_RAW", bundle.id()]).args(CAPABILITIES).run();
    let exec = exec.succeeds();
    assert_none_inheritable(&exec);
    assert_ne!(procfs::field_of(&exec.stdout, "CapEff"), None);

    let caps = json!(["CAP_KILL", "CAP_NET_RAW"]);
    let process = json!({
        "args": CAPABILITIES, "cwd": "/", "user": {"uid": 0, "gid": 0}, "env": ["PATH=/bin"],
        "capabilities": {"bounding": caps, "effective": caps, "permitted": caps},
    });
    let file = process_file(&runtime, &process);
    assert_none_inheritable(&runtime.command(["exec", "--process", &file, bundle.id()]).run().succeeds());
}

#[test]
fn privileged_capabilities_that_the_caller_can_hand_on_do_not_reach_the_container() {
    let runtime = Runtime::new();
    // As the caller of a careless service manager: inheritable and ambient sets that are not empty.
    let caller =
        ["setpriv", "--inh-caps", "+net_admin,+sys_ptrace,+kill", "--ambient-caps", "+net_admin,+kill"];
    let bundle = runtime.bundle().args(CAPABILITIES);
    assert_none_inheritable(&runtime.run_command(&bundle).through(caller).run().succeeds());

    let bundle = runtime.bundle().args(CAPABILITIES).with(|config| {
        drop(config["process"].as_object_mut().expect("an object").remove("capabilities"));
    });
    let outcome = runtime.run_command(&bundle).through(caller).run().succeeds();
    assert_none_inheritable(&outcome);

    let bundle = sleeping(&runtime);
    runtime.bundle_command("run", &bundle, &["--detach"]).through(caller).run().succeeds().discard();
    let exec = runtime.command(["exec", bundle.id()]).args(CAPABILITIES).through(caller).run();
    assert_none_inheritable(&exec.succeeds());
}

#[test]
fn privileged_inheritable_capabilities_are_exactly_those_that_are_configured() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(CAPABILITIES).with(|config| {
        config["process"]["capabilities"]["inheritable"] = json!(["CAP_KILL"]);
    });
    let outcome = runtime.run(&bundle).succeeds();
    // CAP_KILL is number 5.
    assert_eq!(procfs::field_of(&outcome.stdout, "CapInh").as_deref(), Some("0000000000000020"));
}

/// The ids of a program are the configured ones in every respect, whatever its caller is: also the real and the saved ones,
/// to which it could change back.
#[test]
fn privileged_nothing_is_left_of_the_callers_ids() {
    let runtime = Runtime::new();
    let ids = |status: &str| {
        let fields = ["Uid", "Gid"].map(|name| procfs::field_of(status, name).expect("the kernel tells"));
        fields.map(|field| field.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    };
    let callers: [&[&str]; 4] =
        [&[], &["--ruid=1000"], &["--rgid=1000", "--clear-groups"], &["--regid=1000", "--clear-groups"]];
    for caller in callers {
        for (uid, gid) in [("0", "0"), ("1000", "0"), ("0", "1000"), ("1000", "1000")] {
            let bundle = runtime.bundle().args(["cat", "/proc/self/status"]).with(|config| {
                let numbers = [uid, gid].map(|id| id.parse::<u32>().expect("a number"));
                config["process"]["user"] = json!({"uid": numbers[0], "gid": numbers[1]});
                // Whoever has another real user may not limit the process without CAP_SYS_RESOURCE.
                config["process"]["rlimits"] = json!([]);
            });
            let words = ["setpriv"].iter().chain(caller).chain(&["--"]);
            let status = runtime.run_command(&bundle).through(words).run().succeeds().stdout;
            assert_eq!(ids(&status), [vec![uid; 4], vec![gid; 4]], "for {uid}:{gid}, called with {caller:?}");
        }
    }
}
