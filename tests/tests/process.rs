//! The `process` of config.json: what the program finds when it starts.

use mydocker_tests::{Bundle, Runtime, procfs, wait};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

/// What a container says that is changed so and runs the script.
fn says(change: impl FnOnce(&mut Value), script: &str) -> String {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script(script).with(|config| change(&mut config["process"]));
    runtime.run(&bundle).succeeds().stdout
}

/// A capability set of `/proc/self/status` as a number.
fn capabilities(status: &str, set: &str) -> u64 {
    let text = procfs::field_of(status, set).expect("the kernel tells");
    u64::from_str_radix(&text, 16).expect("a hexadecimal number")
}

#[test]
fn privileged_the_user_is_set_with_group_and_additional_groups() {
    let change =
        |p: &mut Value| p["user"] = json!({"uid": 1000, "gid": 1001, "additionalGids": [5, 6, 70000]});
    assert_eq!(says(change, "id -u; id -g; id -G"), "1000\n1001\n1001 5 6 70000\n");
}

#[test]
fn privileged_supplementary_groups_of_the_caller_do_not_leak() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["grep", "Groups", "/proc/self/status"]);
    // `setpriv` of the host gives the runtime groups that the container must not have.
    let run = runtime.run_command(&bundle).through(["setpriv", "--groups", "4,27,998"]);
    let groups = run.run().succeeds().stdout;
    assert_eq!(groups.split_whitespace().collect::<Vec<_>>(), ["Groups:"]);
}

/// podman's `--group-add keep-groups`.
#[test]
fn privileged_the_callers_groups_stay_where_an_annotation_asks_for_it() {
    let runtime = Runtime::new();
    let keeping = |bundle: mydocker_tests::Bundle| {
        bundle.with(|config| config["annotations"] = json!({"run.oci.keep_original_groups": "1"}))
    };
    let groups = ["setpriv", "--groups", "4,27"];
    let bundle = keeping(runtime.bundle().script("id -G"));
    let outcome = runtime.run_command(&bundle).through(groups).run().succeeds();
    assert_eq!(outcome.stdout, "0 4 27\n");
    let bundle = keeping(runtime.waiting_bundle());
    runtime.run_detached(&bundle).succeeds();
    let outcome = runtime.command(["exec", bundle.id(), "id", "-G"]).through(groups).run().succeeds();
    assert_eq!(outcome.stdout, "0 4 27\n");
}

/// A caller that knows crun is told what of its wishes has no effect.
#[test]
fn privileged_annotations_of_crun_that_have_no_effect_are_warned_of() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("true").with(|config| {
        config["annotations"] =
            json!({"run.oci.handler": "krun", "run.oci.systemd.subgroup": "", "any": "thing"});
    });
    let outcome = runtime.run(&bundle).succeeds();
    assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("/annotations/run.oci.handler: ignored"), "{}", outcome.stderr);
}

#[test]
fn privileged_a_user_other_than_root_keeps_no_capabilities_without_ambient_ones() {
    let status = says(|p| p["user"] = json!({"uid": 1000, "gid": 1000}), "cat /proc/self/status");
    assert_eq!(capabilities(&status, "CapEff"), 0);
    assert_eq!(capabilities(&status, "CapAmb"), 0);
    assert_eq!(capabilities(&status, "CapBnd"), 1 << 5 | 1 << 10 | 1 << 29);
}

#[test]
fn privileged_a_mapped_number_beyond_all_ids_is_refused() {
    let runtime = Runtime::new();
    for id in [json!(-1), json!(4_294_967_296_u64), json!("0"), json!(1.5)] {
        for field in ["uid", "gid"] {
            let bundle = runtime.bundle().with(|config| config["process"]["user"][field] = id.clone());
            runtime.run(&bundle).fails();
        }
    }
}

#[test]
fn privileged_the_umask_is_set_or_left_alone() {
    assert_eq!(says(|p| p["user"]["umask"] = json!(0o27), "umask"), "0027\n");
    assert_eq!(says(|p| p["user"]["umask"] = json!(0), "umask"), "0000\n");
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("umask");
    let run = runtime.run_command(&bundle).through(["sh", "-c", "umask 0035; exec \"$@\"", "sh"]);
    // Differs from runc, which sets 0022: config.md, User, "If unspecified, the umask should not be changed from the
    // calling process' umask".
    assert_eq!(run.run().succeeds().stdout, "0035\n");
}

#[test]
fn privileged_the_environment_is_the_configured_one_alone() {
    let runtime = Runtime::new();
    let env = json!(["PATH=/bin", "A=1", "EMPTY=", "SPACES= a  b ", "EQUALS=a=b", "HOME=/elsewhere"]);
    let bundle = runtime.bundle().args(["env"]).with(|config| config["process"]["env"] = env);
    let run = runtime.run_command(&bundle).env("LEAKED", "from the caller");
    let outcome = run.run().succeeds();
    let mut lines: Vec<&str> = outcome.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["A=1", "EMPTY=", "EQUALS=a=b", "HOME=/elsewhere", "PATH=/bin", "SPACES= a  b "]);
}

/// Programs rely on HOME, and so runc gives it: from the container's passwd, else the root directory.
#[test]
fn privileged_home_is_found_in_the_containers_passwd_when_it_is_not_set() {
    assert_eq!(says(|_| (), "echo $HOME"), "/root\n");
    assert_eq!(says(|p| p["user"] = json!({"uid": 1000, "gid": 1000}), "echo $HOME"), "/tmp\n");
    assert_eq!(says(|p| p["user"] = json!({"uid": 4242, "gid": 1000}), "echo $HOME"), "/\n");
}

#[test]
fn privileged_the_working_directory_is_set_and_made_when_it_is_missing() {
    assert_eq!(says(|p| p["cwd"] = json!("/usr/bin"), "pwd"), "/usr/bin\n");
    assert_eq!(says(|p| p["cwd"] = json!("/made/for/this"), "pwd"), "/made/for/this\n");
}

#[test]
fn privileged_a_relative_working_directory_is_refused() {
    let runtime = Runtime::new();
    for cwd in ["tmp", "", "./tmp"] {
        let bundle = runtime.bundle().with(|config| config["process"]["cwd"] = json!(cwd));
        runtime.run(&bundle).fails().says("cwd");
    }
}

#[test]
fn privileged_a_working_directory_that_is_a_file_is_refused() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().with(|config| config["process"]["cwd"] = json!("/etc/passwd"));
    runtime.run(&bundle).fails().says("/etc/passwd");
}

#[test]
fn privileged_arguments_arrive_as_they_are() {
    let runtime = Runtime::new();
    let words = ["", " ", "a b", "$HOME", "'\"\\", "ä\u{1F600}", "--help", "\n"];
    let script = "for w in \"$@\"; do printf '<%s>' \"$w\"; done";
    let bundle = runtime.bundle().args(["sh", "-c", script, "sh"].iter().chain(&words));
    let expected: String = words.iter().map(|word| format!("<{word}>")).collect();
    assert_eq!(runtime.run(&bundle).succeeds().stdout, expected);
}

#[test]
fn privileged_large_arguments_and_environments_arrive_whole() {
    let runtime = Runtime::new();
    let long = "x".repeat(100_000);
    let env: Vec<String> = (0..2000)
        .map(|n| format!("VAR_{n}={n:0100}"))
        .chain(["PATH=/bin".to_owned(), "HOME=/".to_owned()])
        .collect();
    let bundle =
        runtime.bundle().args(["sh", "-c", "echo ${#1} ${#VAR_0} ${#VAR_1999}; env | wc -l", "sh", &long]);
    let bundle = bundle.with(|config| config["process"]["env"] = json!(env));
    let said = runtime.run(&bundle).succeeds().stdout;
    // The shell adds PWD and SHLVL.
    assert_eq!(said, "100000 100 100\n2004\n");
}

#[test]
fn privileged_each_capability_set_is_the_configured_one() {
    let sets = json!({
        "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SYS_CHROOT"],
        "permitted": ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID"],
        "effective": ["CAP_CHOWN", "CAP_SETUID"],
        "inheritable": ["CAP_KILL", "CAP_SETUID"],
        "ambient": ["CAP_KILL"],
    });
    // Execution as root recomputes the sets from the bounding and inheritable ones, so an ordinary user looks.
    let change = |p: &mut Value| {
        p["capabilities"] = sets;
        p["user"] = json!({"uid": 1000, "gid": 1000});
    };
    let status = says(change, "cat /proc/self/status");
    let (chown, kill, setuid, chroot) = (1 << 0, 1 << 5, 1 << 7, 1 << 18);
    assert_eq!(capabilities(&status, "CapBnd"), chown | kill | setuid | chroot);
    assert_eq!(capabilities(&status, "CapInh"), kill | setuid);
    assert_eq!(capabilities(&status, "CapAmb"), kill);
    assert_eq!(capabilities(&status, "CapPrm"), kill, "execution keeps the ambient ones");
    assert_eq!(capabilities(&status, "CapEff"), kill);
}

#[test]
fn privileged_root_gets_the_bounding_set_and_nothing_inheritable() {
    let status = says(|_| (), "cat /proc/self/status");
    let default = 1 << 5 | 1 << 10 | 1 << 29;
    for set in ["CapBnd", "CapPrm", "CapEff"] {
        assert_eq!(capabilities(&status, set), default, "{set}");
    }
    assert_eq!((capabilities(&status, "CapInh"), capabilities(&status, "CapAmb")), (0, 0));
}

#[test]
fn privileged_without_capabilities_in_config_there_are_none() {
    let remove = |p: &mut Value| drop(p.as_object_mut().expect("an object").remove("capabilities"));
    let status = says(remove, "cat /proc/self/status");
    for set in ["CapBnd", "CapPrm", "CapEff", "CapInh", "CapAmb"] {
        assert_eq!(capabilities(&status, set), 0, "{set}");
    }
}

/// config.md, Linux Process: what cannot be mapped or granted "MUST be logged as a warning", and runtimes "SHOULD NOT
/// fail".
#[test]
fn privileged_an_unknown_capability_is_a_warning() {
    let runtime = Runtime::new();
    let set = json!(["CAP_KILL", "CAP_NEVER_WAS"]);
    let bundle = runtime.bundle().script("cat /proc/self/status").with(|config| {
        config["process"]["capabilities"] = json!({"bounding": set, "permitted": set, "effective": set});
    });
    let outcome = runtime.run(&bundle).succeeds().says("CAP_NEVER_WAS");
    assert_eq!(capabilities(&outcome.stdout, "CapEff"), 1 << 5);
}

#[test]
fn privileged_resource_limits_are_set_soft_and_hard() {
    let limits = json!([
        {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
        {"type": "RLIMIT_CORE", "soft": 0, "hard": 4096},
        {"type": "RLIMIT_CPU", "soft": 1000, "hard": 2000},
        {"type": "RLIMIT_FSIZE", "soft": 1_000_000, "hard": 2_000_000},
        {"type": "RLIMIT_STACK", "soft": 4_194_304, "hard": 8_388_608},
        {"type": "RLIMIT_AS", "soft": 1_073_741_824, "hard": 2_147_483_648_u64},
        {"type": "RLIMIT_DATA", "soft": 536_870_912, "hard": 1_073_741_824},
        {"type": "RLIMIT_NPROC", "soft": 500, "hard": 600},
    ]);
    let table = says(|p| p["rlimits"] = limits, "cat /proc/self/limits");
    let row = |name: &str| -> Vec<String> {
        let line = table.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel lists it");
        line.split_whitespace().take(2).map(str::to_owned).collect()
    };
    assert_eq!(row("Max open files"), ["100", "200"]);
    assert_eq!(row("Max core file size"), ["0", "4096"]);
    assert_eq!(row("Max cpu time"), ["1000", "2000"]);
    assert_eq!(row("Max file size"), ["1000000", "2000000"]);
    assert_eq!(row("Max stack size"), ["4194304", "8388608"]);
    assert_eq!(row("Max address space"), ["1073741824", "2147483648"]);
    assert_eq!(row("Max data size"), ["536870912", "1073741824"]);
    assert_eq!(row("Max processes"), ["500", "600"]);
}

/// Guards against a runtime that is itself out of descriptors once the container's limit is set: HOME was `/` then, and
/// hooks did not start.
#[test]
fn privileged_a_small_limit_of_descriptors_is_the_programs_alone() {
    let runtime = Runtime::new();
    for limit in [3, 4, 12] {
        let bundle = runtime.bundle().args(["sh", "-c", "echo $HOME"]).with(|config| {
            let limits = json!([{"type": "RLIMIT_NOFILE", "soft": limit, "hard": limit}]);
            config["process"]["rlimits"] = limits;
            if limit == 12 {
                let hook = json!({"path": "/bin/sh", "args": ["sh", "-c", "exit 0"]});
                config["hooks"] = json!({"startContainer": [hook]});
            }
        });
        fs::create_dir_all(bundle.path("etc")).expect("scratch");
        fs::write(bundle.path("etc/passwd"), "root:x:0:0:root:/somewhere:/bin/sh\n").expect("scratch");
        assert_eq!(runtime.run(&bundle).succeeds().stdout, "/somewhere\n", "{limit} descriptors");
    }
}

#[test]
fn privileged_unknown_and_duplicate_resource_limits_are_refused() {
    let runtime = Runtime::new();
    let unknown = json!([{"type": "RLIMIT_NEVER_WAS", "soft": 1, "hard": 1}]);
    let bundle = runtime.bundle().with(|config| config["process"]["rlimits"] = unknown);
    runtime.run(&bundle).fails().says("RLIMIT_NEVER_WAS");
    // Differs from runc, which takes the last one: config.md, POSIX process, "If rlimits contains duplicated entries
    // with same type, the runtime MUST generate an error".
    let twice = json!([{"type": "RLIMIT_NOFILE", "soft": 1, "hard": 1}, {"type": "RLIMIT_NOFILE", "soft": 2, "hard": 2}]);
    let bundle = runtime.bundle().with(|config| config["process"]["rlimits"] = twice);
    runtime.run(&bundle).fails().says("RLIMIT_NOFILE");
}

/// Whether this machine's root may raise limits.
fn may_raise_limits() -> bool {
    let status = fs::read_to_string("/proc/self/status").expect("proc");
    capabilities(&status, "CapEff") & 1 << 24 != 0
}

/// Differs from runc, which tells the number of the limit: without CAP_SYS_RESOURCE a hard limit cannot be raised, and the
/// caller has to learn which one.
#[test]
fn privileged_a_limit_that_may_not_be_raised_is_told_and_one_in_force_is_no_error() {
    let table = fs::read_to_string("/proc/self/limits").expect("proc");
    let line =
        table.lines().find_map(|line| line.strip_prefix("Max open files")).expect("the kernel lists it");
    let hard: u64 = line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number");
    let runtime = Runtime::new();
    let limited = |hard: u64| {
        let limits = json!([{"type": "RLIMIT_NOFILE", "soft": 100, "hard": hard}]);
        runtime.bundle().with(|config| config["process"]["rlimits"] = limits)
    };
    runtime.run(&limited(hard)).succeeds();
    let outcome = runtime.run(&limited(hard + 1));
    if may_raise_limits() {
        outcome.succeeds();
    } else {
        outcome.fails().says("RLIMIT_NOFILE");
    }
}

#[test]
fn privileged_no_new_privileges_is_set_as_configured() {
    for (value, expected) in [(true, "1"), (false, "0")] {
        let status = says(|p| p["noNewPrivileges"] = json!(value), "cat /proc/self/status");
        assert_eq!(procfs::field_of(&status, "NoNewPrivs").as_deref(), Some(expected));
    }
}

#[test]
fn privileged_the_oom_score_is_adjusted_as_configured_and_else_left_alone() {
    let own: i64 =
        fs::read_to_string("/proc/self/oom_score_adj").expect("proc").trim().parse().expect("a number");
    // Lowering it needs CAP_SYS_RESOURCE, which not every machine grants.
    for value in [own + 1, own + 100, 1000] {
        let said = says(|p| p["oomScoreAdj"] = json!(value), "cat /proc/self/oom_score_adj");
        assert_eq!(said.trim(), value.to_string());
    }
    assert_eq!(says(|_| (), "cat /proc/self/oom_score_adj").trim(), own.to_string());
}

#[test]
fn privileged_the_program_is_looked_up_in_the_containers_path() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["tool"]).with(|config| {
        config["process"]["env"] = json!(["PATH=/never/was:/opt/first:/opt/second"]);
    });
    for (dir, mode) in [("opt/first", 0o644), ("opt/second", 0o755)] {
        fs::create_dir_all(bundle.path(dir)).expect("the bundle is writable");
        let tool = bundle.path(dir).join("tool");
        fs::write(&tool, format!("#!/bin/sh\necho {dir}\n")).expect("the bundle is writable");
        fs::set_permissions(&tool, fs::Permissions::from_mode(mode)).expect("the bundle is writable");
    }
    // As execvp does, a file that may not be executed is passed over.
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "opt/second\n");
}

/// A file of root with a mode, in a new directory with another one.
fn tool(bundle: &Bundle, directory: &str, mode: u32, tool_mode: u32) {
    let (directory, permissions) = (bundle.path(directory), fs::Permissions::from_mode);
    fs::create_dir_all(&directory).expect("the bundle is writable");
    let tool = directory.join("tool");
    fs::write(&tool, format!("#!/bin/sh\necho {mode:o} {tool_mode:o} | tee /tmp/said\n"))
        .expect("the bundle is writable");
    fs::set_permissions(&tool, permissions(tool_mode)).expect("the bundle is writable");
    fs::set_permissions(&directory, permissions(mode)).expect("the bundle is writable");
}

/// As execvp does. Differs from runc 1.1 and crun, which stop at a file that only somebody else may run.
#[test]
fn privileged_what_the_user_cannot_run_is_passed_over_along_path() {
    let runtime = Runtime::new();
    let shadowed = |user: u32| {
        let bundle = runtime.bundle().args(["tool"]).with(|config| {
            config["process"]["env"] = json!(["PATH=/a/directory:/closed:/own:/open"]);
            config["process"]["user"] = json!({"uid": user, "gid": user});
        });
        fs::create_dir_all(bundle.path("a/directory/tool")).expect("the bundle is writable");
        tool(&bundle, "closed", 0o700, 0o755);
        tool(&bundle, "own", 0o755, 0o700);
        tool(&bundle, "open", 0o755, 0o755);
        bundle
    };
    for (user, expected) in [(0, "700 755\n"), (1000, "755 755\n")] {
        assert_eq!(runtime.run(&shadowed(user)).succeeds().stdout, expected);
        let bundle = shadowed(user);
        runtime.create(&bundle).succeeds();
        assert_eq!(runtime.exec(bundle.id(), ["tool"]).succeeds().stdout, expected);
        fs::remove_file(bundle.path("tmp/said")).expect("the tool has written it");
        runtime.start(bundle.id()).succeeds();
        runtime.wait_for_status(bundle.id(), "stopped");
        assert_eq!(fs::read_to_string(bundle.path("tmp/said")).expect("the tool has written it"), expected);
        runtime.delete_force(bundle.id()).succeeds();
    }
    let bundle = shadowed(1000).with(|c| c["process"]["env"] = json!(["PATH=/a/directory:/closed:/own"]));
    runtime.run(&bundle).fails().says("tool").says("permission denied");
    runtime.create(&bundle).fails().says("tool").says("permission denied");
}

/// Differs from runc 1.1 and crun in the words, and in that `start` fails there where the file is somebody else's.
#[test]
fn privileged_create_fails_for_a_program_that_the_user_cannot_run() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["/tmp"]);
    runtime.create(&bundle).fails().says("/tmp").says("is a directory").says("permission denied");
    let bundle = runtime.bundle().args(["/own/tool"]).with(|c| c["process"]["user"]["uid"] = json!(1000));
    tool(&bundle, "own", 0o755, 0o700);
    runtime.create(&bundle).fails().says("/own/tool").says("permission denied");
    // root is nobody special to files without CAP_DAC_OVERRIDE.
    let bundle = runtime.bundle().args(["/other/tool"]);
    tool(&bundle, "other", 0o755, 0o700);
    std::os::unix::fs::chown(bundle.path("other/tool"), Some(1000), None).expect("root may give files away");
    runtime.create(&bundle).fails().says("/other/tool").says("permission denied");
    let all = json!(["CAP_DAC_OVERRIDE"]);
    let bundle = bundle.with(|config| {
        config["process"]["capabilities"] = json!({"bounding": all, "effective": all, "permitted": all});
    });
    runtime.create(&bundle).succeeds();
    runtime.delete_force(bundle.id()).succeeds();
}

#[test]
fn privileged_a_program_with_a_slash_is_relative_to_the_working_directory() {
    let runtime = Runtime::new();
    let bundle =
        runtime.bundle().args(["./sh", "-c", "pwd"]).with(|config| config["process"]["cwd"] = json!("/bin"));
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "/bin\n");
}

#[test]
fn privileged_a_program_may_be_a_chain_of_links_within_the_root() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["/true"]);
    symlink("/b", bundle.path("true")).expect("the bundle is writable");
    symlink("../../../../bin/true", bundle.path("b")).expect("the bundle is writable");
    runtime.run(&bundle).succeeds();
}

/// A bundle whose `/prog` is an executable with this content.
fn with_program(runtime: &Runtime, content: &[u8], mode: u32) -> Bundle {
    let bundle = runtime.bundle().args(["/prog"]);
    fs::write(bundle.path("prog"), content).expect("the bundle is writable");
    fs::set_permissions(bundle.path("prog"), fs::Permissions::from_mode(mode))
        .expect("the bundle is writable");
    bundle
}

#[test]
fn privileged_a_missing_program_is_told_by_name() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["never-was"]);
    runtime.run(&bundle).fails().says("never-was").says("not found in $PATH");
    let bundle = runtime.bundle().args(["/never/was"]);
    runtime.run(&bundle).fails().says("/never/was").says("no such file or directory");
}

#[test]
fn privileged_a_program_that_may_not_be_executed_is_told() {
    let runtime = Runtime::new();
    let bundle = with_program(&runtime, b"#!/bin/sh\n", 0o644);
    runtime.run(&bundle).fails().says("/prog").says("permission denied");
    let bundle = runtime.bundle().args(["/bin"]);
    runtime.run(&bundle).fails().says("/bin");
}

#[test]
fn privileged_a_program_of_an_unknown_format_is_told() {
    let runtime = Runtime::new();
    let bundle = with_program(&runtime, b"neither script nor ELF", 0o755);
    runtime.run(&bundle).fails().says("/prog").says("exec format error");
}

/// Differs from runc, which says "no such file or directory" of a program that is there.
#[test]
fn privileged_a_missing_interpreter_of_a_script_is_told_by_name() {
    let runtime = Runtime::new();
    let bundle = with_program(&runtime, b"#!/never/interpreter -x\n", 0o755);
    runtime.run(&bundle).fails().says("/prog").says("/never/interpreter").says("interpreter");
}

/// Differs from runc, which says "no such file or directory" of a program that is there.
#[test]
fn privileged_a_missing_loader_of_an_elf_program_is_told_by_name() {
    let runtime = Runtime::new();
    // `ls` of the host is linked dynamically, and the container has no loader.
    let program = fs::read("/bin/ls").expect("the host has ls");
    let bundle = with_program(&runtime, &program, 0o755);
    runtime.run(&bundle).fails().says("/prog").says("/lib64/ld-linux-x86-64.so.2").says("loader");
}

#[test]
fn privileged_create_fails_for_a_missing_program_so_that_start_need_not() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["never-was"]);
    runtime.create(&bundle).fails().says("never-was");
    assert!(!runtime.knows(bundle.id()));
}

#[test]
fn privileged_the_hostname_and_the_domain_name_are_set() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("hostname; cat /proc/sys/kernel/domainname").with(|config| {
        config["hostname"] = json!("some-host");
        config["domainname"] = json!("some.domain");
    });
    // Differs from runc 1.1, which does not know domainname: config.md, Domainname, added in 1.1 of the specification.
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "some-host\nsome.domain\n");
}

#[test]
fn privileged_a_hostname_needs_a_uts_namespace() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().without_namespace("uts");
    runtime.run(&bundle).fails().says("uts");
}

#[test]
fn privileged_sysctls_are_set_in_the_containers_namespaces() {
    let runtime = Runtime::new();
    let script = "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax /proc/sys/kernel/shm_rmid_forced";
    let bundle = runtime.bundle().script(script).with(|config| {
        config["linux"]["sysctl"] =
            json!({"net.ipv4.ip_forward": "1", "kernel.msgmax": "12345", "kernel.shm_rmid_forced": "1"});
    });
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "1\n12345\n1\n");
}

#[test]
fn privileged_sysctls_of_the_host_are_refused() {
    let runtime = Runtime::new();
    let host = fs::read_to_string("/proc/sys/vm/swappiness").expect("proc");
    for (key, value) in [("vm.swappiness", host.trim()), ("kernel.never_was", "1"), ("net.never_was", "1")] {
        let bundle = runtime.bundle().with(|config| config["linux"]["sysctl"] = json!({key: value}));
        runtime.run(&bundle).fails().says(key.rsplit('.').next().expect("a last part"));
    }
    let bundle = runtime.bundle().without_namespace("network").with(|config| {
        config["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "0"});
    });
    runtime.run(&bundle).fails().says("net.ipv4.ip_forward");
}

#[test]
fn privileged_the_session_keyring_is_new_unless_told() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["cat", "/proc/keys"]).with(|config| {
        let masked = config["linux"]["maskedPaths"].as_array_mut().expect("a list");
        masked.retain(|path| path != "/proc/keys");
    });
    // The keyring of a container that ended stays visible for a while, so each asks for its own name.
    let named = |bundle: &Bundle, shown: &str| shown.contains(&format!("_ses.{}:", bundle.id()));
    let shown = runtime.run(&bundle).succeeds().stdout;
    assert!(named(&bundle, &shown), "{shown}");
    let other = runtime.bundle_like(&bundle);
    let shown = runtime.bundle_command("run", &other, &["--no-new-keyring"]).run().succeeds().stdout;
    assert!(!named(&other, &shown), "{shown}");
}

/// This machine has neither security module in force; what cannot be kept must not be promised.
#[test]
fn privileged_labels_without_their_security_module_are_refused() {
    let runtime = Runtime::new();
    let changes: [fn(&mut Value); 2] = [
        |config| config["process"]["apparmorProfile"] = json!("some-profile"),
        |config| config["process"]["selinuxLabel"] = json!("system_u:system_r:container_t:s0"),
    ];
    for (change, module) in changes.into_iter().zip(["apparmor", "selinux"]) {
        let bundle = runtime.bundle().with(change);
        runtime.create(&bundle).fails().says(module);
        assert!(!runtime.knows(bundle.id()), "{module}");
    }
}

#[test]
fn privileged_signals_that_the_caller_ignored_or_blocked_are_not_so_inside() {
    let runtime = Runtime::new();
    let ignoring = ["sh", "-c", "trap '' HUP INT QUIT USR1 PIPE TERM TSTP; exec \"$@\"", "sh"];
    let assert_none = |status: &str, how: &str| {
        for field in ["SigBlk", "SigIgn"] {
            let signals = procfs::field_of(status, field).expect("the kernel tells");
            let signals = u64::from_str_radix(&signals, 16).expect("a mask");
            // Of the real-time signals the tests' own caller may ignore some, which stay so.
            assert_eq!(signals & 0x7fff_ffff, 0, "{field} of {how}: {signals:#x}");
        }
    };
    let bundle = runtime.bundle().args(["cat", "/proc/self/status"]);
    let run = runtime.run_command(&bundle).through(ignoring);
    assert_none(&run.run().succeeds().stdout, "run");

    let bundle = runtime.bundle().script("cat /proc/self/status >/status; exec sleep 1000");
    runtime.bundle_command("create", &bundle, &[]).through(ignoring).run().succeeds().discard();
    runtime.start(bundle.id()).succeeds();
    let file = bundle.path("status");
    let status = wait::until("the program's signals", || {
        fs::read_to_string(&file).ok().filter(|text| text.contains("nonvoluntary"))
    });
    assert_none(&status, "create and start");

    let exec = runtime.command(["exec", bundle.id(), "cat", "/proc/self/status"]).through(ignoring);
    assert_none(&exec.run().succeeds().stdout, "exec");
}
