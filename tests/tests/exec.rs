//! `exec`: a further process in a container that runs.

use mydocker_tests::{Bundle, FdSocket, Runtime, Terminal, cgroup, procfs, wait};
use rustix::process::Signal;
use serde_json::json;
use std::fs;

/// A running container.
fn running(runtime: &Runtime, change: impl FnOnce(Bundle) -> Bundle) -> Bundle {
    let bundle = change(runtime.bundle().args(["sleep", "1000"]));
    runtime.run_detached(&bundle);
    bundle
}

#[test]
fn privileged_exec_runs_in_the_namespaces_and_cgroups_of_the_container() {
    let runtime = Runtime::new();
    let bundle = running(&runtime, |bundle| bundle);
    let script =
        "for n in pid net ipc uts mnt cgroup user; do readlink /proc/self/ns/$n; done; cat /proc/self/cgroup";
    let inside = runtime.exec(bundle.id(), ["sh", "-c", script]).succeeds().stdout;
    let pid = runtime.pid(bundle.id());
    for kind in ["pid", "net", "ipc", "uts", "mnt", "cgroup", "user"] {
        let name = procfs::namespace(pid, kind).display().to_string();
        assert!(inside.lines().any(|line| line == name), "{name} is not among {inside}");
    }
    let groups = inside.lines().filter(|line| line.ends_with(bundle.cgroup())).count();
    assert!(groups >= if cgroup::is_v1("pids") { 7 } else { 1 }, "{inside}");
    assert_eq!(runtime.exec(bundle.id(), ["hostname"]).succeeds().stdout, "mydocker-test\n");
}

#[test]
fn privileged_exec_passes_streams_and_exit_status_through() {
    let runtime = Runtime::new();
    let bundle = running(&runtime, |bundle| bundle);
    let script = "read line; echo out:$line; echo err:$line >&2; exit 42";
    let exec = runtime.command(["exec", bundle.id(), "sh", "-c", script]).stdin("text\n").run().exits(42);
    assert_eq!((exec.stdout.as_str(), exec.stderr.as_str()), ("out:text\n", "err:text\n"));
    for code in [0, 1, 126, 127, 128, 254, 255] {
        runtime.exec(bundle.id(), ["sh", "-c", &format!("exit {code}")]).exits(code);
    }
    for (name, number) in [("KILL", 9), ("TERM", 15), ("SEGV", 11)] {
        runtime.exec(bundle.id(), ["sh", "-c", &format!("kill -{name} $$")]).exits(128 + number);
    }
}

#[test]
fn privileged_exec_passes_large_data_through_unchanged() {
    let runtime = Runtime::new();
    let bundle = running(&runtime, |bundle| bundle);
    let data: Vec<u8> = (0..8u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let outcome = runtime.command(["exec", bundle.id(), "cat"]).stdin(&data).run().succeeds();
    assert!(outcome.stdout_bytes == data, "{} of {} bytes came back", outcome.stdout_bytes.len(), data.len());
}

#[test]
fn privileged_exec_forwards_signals() {
    let runtime = Runtime::new();
    let bundle = running(&runtime, |bundle| bundle);
    let script = "trap 'exit 9' TERM; trap 'echo hup' HUP; echo ready; while :; do sleep 0.02; done";
    let exec = runtime.command(["exec", bundle.id(), "sh", "-c", script]).spawn();
    exec.wait_for_output("ready");
    exec.signal(Signal::HUP);
    exec.wait_for_output("hup");
    exec.signal(Signal::TERM);
    exec.wait().exits(9);
    assert_eq!(runtime.status(bundle.id()), "running");
}

#[test]
fn privileged_exec_takes_environment_and_directory_from_config_and_flags() {
    let runtime = Runtime::new();
    let bundle = running(&runtime, |bundle| {
        bundle.with(|config| {
            config["process"]["cwd"] = json!("/tmp");
            config["process"]["env"] = json!(["PATH=/bin", "KEPT=from config", "CHANGED=from config"]);
        })
    });
    let script = "pwd; echo $KEPT; echo $CHANGED; echo $NEW";
    let exec = runtime.command([
        "exec",
        "-e",
        "CHANGED=by flag",
        "-e",
        "NEW=a=b c",
        bundle.id(),
        "sh",
        "-c",
        script,
    ]);
    assert_eq!(exec.run().succeeds().stdout, "/tmp\nfrom config\nby flag\na=b c\n");
    let exec = runtime.command(["exec", "--env", "NEW=long", bundle.id(), "sh", "-c", "echo $NEW"]);
    assert_eq!(exec.run().succeeds().stdout, "long\n");
    let exec = runtime.command(["exec", "--cwd", "/bin", bundle.id(), "pwd"]);
    assert_eq!(exec.run().succeeds().stdout, "/bin\n");
    runtime
        .command(["exec", "--cwd", "/never-was", bundle.id(), "pwd"])
        .run()
        .exits(255)
        .fails()
        .says("/never-was");
}

#[test]
fn privileged_exec_takes_user_and_groups_from_flags() {
    let runtime = Runtime::new();
    let bundle =
        running(&runtime, |bundle| bundle.with(|c| c["process"]["user"]["additionalGids"] = json!([7])));
    let ids = |flags: &[&str]| {
        let exec =
            runtime.command(["exec"]).args(flags).arg(bundle.id()).args(["sh", "-c", "id -u; id -g; id -G"]);
        exec.run().succeeds().stdout
    };
    assert_eq!(ids(&[]), "0\n0\n0 7\n");
    assert_eq!(ids(&["--user", "1000"]), "1000\n0\n0 7\n");
    assert_eq!(ids(&["-u", "1000:1001"]), "1000\n1001\n1001 7\n");
    assert_eq!(ids(&["--additional-gids", "9"]), "0\n0\n0 7 9\n");
    assert_eq!(ids(&["--user", "5:6", "-g", "20", "-g", "21"]), "5\n6\n6 7 20 21\n");
}

/// CVE-2016-3697 and CVE-2026-30892: what is not a number must not become root.
///
/// Differs from runc 1.1.5, which takes 4294967296 for 0.
#[test]
fn privileged_exec_refuses_users_that_are_no_numbers() {
    let runtime = Runtime::new();
    let bundle = running(&runtime, |bundle| bundle);
    for user in ["guest", "1000x", "-1", ":1", "1:", "1:x", "4294967296"] {
        let flag = format!("--user={user}");
        runtime.command(["exec", &flag, bundle.id(), "true"]).run().exits(255).fails();
    }
}

/// Differs from runc 1.1.5, which ignores the umask of the process here.
#[test]
fn privileged_exec_takes_a_whole_process_from_a_file() {
    let runtime = Runtime::new();
    let bundle = running(&runtime, |bundle| bundle);
    let file = bundle.dir().join("process.json");
    let process = json!({
        "user": {"uid": 11, "gid": 12, "additionalGids": [13], "umask": 63},
        "args": ["sh", "-c", "pwd; id -u; id -G; echo $ONLY; umask; ulimit -n; grep CapBnd /proc/self/status"],
        "env": ["PATH=/bin", "ONLY=this"],
        "cwd": "/var",
        "capabilities": {"bounding": ["CAP_KILL"]},
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}],
    });
    fs::write(&file, process.to_string()).expect("the bundle is writable");
    for flag in ["--process", "-p"] {
        let exec = runtime.command(["exec", flag]).arg(&file).arg(bundle.id()).run().succeeds();
        assert_eq!(exec.stdout, "/var\n11\n12 13\nthis\n0077\n100\nCapBnd:\t0000000000000020\n");
    }
}

/// Differs from runc 1.1.5, which takes only some of these from the container.
#[test]
fn privileged_exec_takes_what_a_process_in_a_file_leaves_out_from_the_container() {
    let runtime = Runtime::new();
    let bundle = running(&runtime, |bundle| {
        bundle.with(|config| {
            config["process"]["oomScoreAdj"] = json!(999);
            config["process"]["user"]["umask"] = json!(0);
            config["process"]["ioPriority"] = json!({"class": "IOPRIO_CLASS_IDLE"});
            config["process"]["scheduler"] = json!({"policy": "SCHED_BATCH"});
        })
    });
    let file = bundle.dir().join("process.json");
    // The 41st field is the scheduling policy (proc(5)): 0 is SCHED_OTHER, 3 SCHED_BATCH.
    let script = "cat /proc/self/oom_score_adj; umask; ulimit -n; grep CapEff /proc/self/status; ionice -p $$; \
                  cut -d ' ' -f 41 /proc/self/stat";
    let mut process = json!({"args": ["sh", "-c", script], "env": ["PATH=/bin"], "cwd": "/", "user": {}});
    let exec = |process: &serde_json::Value| {
        fs::write(&file, process.to_string()).expect("the bundle is writable");
        runtime.command(["exec", "--process"]).arg(&file).arg(bundle.id()).run().succeeds().stdout
    };
    assert_eq!(exec(&process), "999\n0000\n1024\nCapEff:\t0000000020000420\nidle\n3\n");
    process["oomScoreAdj"] = json!(1000);
    process["user"]["umask"] = json!(63);
    process["capabilities"] = json!({});
    process["scheduler"] = json!({"policy": "SCHED_OTHER"});
    assert_eq!(exec(&process), "1000\n0077\n1024\nCapEff:\t0000000000000000\nidle\n0\n");
}

/// Differs from runc 1.1.5, which knows no personality.
#[test]
fn privileged_exec_has_the_personality_and_the_memory_policy_of_the_container() {
    let runtime = Runtime::new();
    let bundle = running(&runtime, |bundle| {
        bundle.with(|config| {
            config["linux"]["personality"] = json!({"domain": "LINUX32"});
            config["linux"]["memoryPolicy"] = json!({"mode": "MPOL_INTERLEAVE", "nodes": "0"});
        })
    });
    let script = "cat /proc/self/personality; uname -m; head -n 1 /proc/self/numa_maps";
    let said = runtime.exec(bundle.id(), ["sh", "-c", script]).succeeds().stdout;
    let words: Vec<&str> = said.split_whitespace().collect();
    assert_eq!(words[0], "00000008");
    assert_eq!(words[1] == "i686", cfg!(target_arch = "x86_64"), "{said}");
    assert!(said.contains("interleave:0"), "{said}");
}

#[test]
fn privileged_exec_detached_writes_its_pid_and_returns() {
    let runtime = Runtime::new();
    let bundle = running(&runtime, |bundle| bundle);
    let file = bundle.dir().join("pid");
    let exec = runtime.command(["exec", "--detach", "--pid-file"]).arg(&file).arg(bundle.id());
    exec.args(["sleep", "1234"]).run().succeeds();
    let text = fs::read_to_string(&file).expect("the pid file is there when exec returns");
    let pid: i32 = text.parse().expect("a bare number");
    wait::until("the program to be executed", || (procfs::command_line(pid) == "sleep 1234").then_some(()));
    assert!(cgroup::processes(bundle.cgroup()).contains(&pid));
    let here = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let inside = procfs::field_of(&here, "NSpid").expect("the kernel tells");
    assert_eq!(inside.split_whitespace().count(), 2, "{inside}");
}

#[test]
fn privileged_exec_in_the_foreground_writes_its_pid_too() {
    let runtime = Runtime::new();
    let bundle = running(&runtime, |bundle| bundle);
    let file = bundle.dir().join("pid");
    let exec = runtime.command(["exec", "--pid-file"]).arg(&file).arg(bundle.id());
    let exec = exec.args(["sh", "-c", "echo ready; read x"]).stdin_pipe().spawn();
    exec.wait_for_output("ready");
    let pid: i32 = fs::read_to_string(&file).expect("it is there").parse().expect("a bare number");
    assert!(cgroup::processes(bundle.cgroup()).contains(&pid));
    exec.wait().exits(1);
}

#[test]
fn privileged_exec_takes_no_new_privileges_from_config_or_flag() {
    let runtime = Runtime::new();
    let look = ["grep", "NoNewPrivs", "/proc/self/status"];
    for (config, flags, value) in [(true, &[][..], 1), (false, &[], 0), (false, &["--no-new-privs"], 1)] {
        let bundle = running(&runtime, |b| b.with(|c| c["process"]["noNewPrivileges"] = json!(config)));
        let exec = runtime.command(["exec"]).args(flags).arg(bundle.id()).args(look).run().succeeds();
        assert_eq!(exec.stdout, format!("NoNewPrivs:\t{value}\n"));
        runtime.delete_force(bundle.id()).succeeds();
    }
}

/// CVE-2022-29162: the flag must not fill the inheritable set.
#[test]
fn privileged_exec_adds_capabilities_but_no_inheritable_ones() {
    let runtime = Runtime::new();
    let bundle = running(&runtime, |bundle| bundle);
    let exec = |flags: &[&str]| {
        let exec = runtime.command(["exec"]).args(flags).arg(bundle.id()).args(["cat", "/proc/self/status"]);
        exec.run().succeeds().stdout
    };
    let field = |status: &str, name: &str| {
        let text = procfs::field_of(status, name).expect("the kernel tells");
        u64::from_str_radix(&text, 16).expect("a hexadecimal number")
    };
    // CAP_KILL 5, CAP_NET_BIND_SERVICE 10, CAP_AUDIT_WRITE 29; CAP_SYS_CHROOT is 18.
    let default = 1 << 5 | 1 << 10 | 1 << 29;
    let status = exec(&[]);
    for set in ["CapBnd", "CapEff", "CapPrm"] {
        assert_eq!(field(&status, set), default, "{set}");
    }
    assert_eq!(field(&status, "CapInh"), 0);
    let status = exec(&["--cap", "CAP_SYS_CHROOT"]);
    for set in ["CapBnd", "CapEff", "CapPrm"] {
        assert_eq!(field(&status, set), default | 1 << 18, "{set}");
    }
    assert_eq!(field(&status, "CapInh"), 0);
}

#[test]
fn privileged_exec_hands_over_preserved_descriptors_and_no_others() {
    let runtime = Runtime::new();
    let bundle = running(&runtime, |bundle| bundle);
    let file = runtime.scratch().join("file");
    fs::write(&file, "given\n").expect("the scratch directory is writable");
    let exec = runtime.command(["exec", "--preserve-fds", "1", bundle.id(), "sh", "-c", "cat <&3"]);
    assert_eq!(exec.with_fd(3, &file).run().succeeds().stdout, "given\n");
    let exec = runtime.command(["exec", bundle.id(), "ls", "/proc/self/fd"]);
    assert_eq!(exec.with_fd(3, &file).with_fd(9, &file).run().succeeds().stdout, "0\n1\n2\n3\n");
}

#[test]
fn privileged_hybrid_exec_can_go_into_a_sub_cgroup() {
    let runtime = Runtime::new();
    let bundle = running(&runtime, |bundle| bundle);
    let sub = cgroup::v1("pids", bundle.cgroup()).join("sub");
    fs::create_dir(&sub).expect("root may make cgroups");
    let exec = runtime.command(["exec", "--cgroup", "pids:sub", bundle.id(), "cat", "/proc/self/cgroup"]);
    let groups = exec.run().succeeds().stdout;
    assert!(groups.contains(&format!(":pids:{}/sub\n", bundle.cgroup())), "{groups}");
    assert!(groups.contains(&format!(":memory:{}\n", bundle.cgroup())), "{groups}");
    runtime.command(["exec", "--cgroup", "pids:missing", bundle.id(), "true"]).run().exits(255).fails();
    runtime.command(["exec", "--cgroup", "pids:../..", bundle.id(), "true"]).run().exits(255).fails();
}

#[test]
fn privileged_exec_in_a_paused_container_needs_to_be_asked_for() {
    let runtime = Runtime::new();
    let bundle = running(&runtime, |bundle| bundle);
    runtime.command(["pause", bundle.id()]).run().succeeds();
    runtime.exec(bundle.id(), ["true"]).exits(255).fails().says("paused");
    let exec = runtime.command(["exec", "--ignore-paused", bundle.id(), "echo", "thawed"]).spawn();
    // The new process joins a frozen cgroup, so it can do nothing before the container is thawed.
    wait::until("the new process to join the container", || {
        (cgroup::processes(bundle.cgroup()).len() > 1).then_some(())
    });
    assert_eq!(exec.stdout(), "");
    runtime.command(["resume", bundle.id()]).run().succeeds();
    assert_eq!(exec.wait().succeeds().stdout, "thawed\n");
}

#[test]
fn privileged_exec_refuses_a_stopped_container() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle();
    runtime.run_detached(&bundle);
    runtime.wait_for_status(bundle.id(), "stopped");
    runtime.exec(bundle.id(), ["true"]).exits(255).fails().says("stopped");
}

#[test]
fn privileged_exec_works_in_a_created_container() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["sleep", "1000"]);
    runtime.create(&bundle).succeeds();
    assert_eq!(runtime.exec(bundle.id(), ["echo", "early"]).succeeds().stdout, "early\n");
    assert_eq!(runtime.status(bundle.id()), "created");
}

#[test]
fn privileged_exec_tells_why_a_program_cannot_be_run() {
    let runtime = Runtime::new();
    let bundle = running(&runtime, |bundle| bundle);
    fs::write(bundle.path("plain"), "text").expect("the bundle is writable");
    let missing = runtime.exec(bundle.id(), ["never-was"]).exits(255).fails();
    missing.says("never-was").says("not found in $PATH");
    runtime
        .exec(bundle.id(), ["/never/was"])
        .exits(255)
        .fails()
        .says("/never/was")
        .says("no such file or directory");
    runtime.exec(bundle.id(), ["/plain"]).exits(255).fails().says("/plain").says("permission denied");
    runtime.command(["exec", bundle.id()]).run().exits(255).fails();
}

#[test]
fn privileged_exec_with_a_terminal_hands_it_over_a_console_socket() {
    let runtime = Runtime::new();
    let bundle = running(&runtime, |bundle| bundle);
    let socket = FdSocket::bind(runtime.scratch().join("console"));
    let exec = runtime.command(["exec", "--tty", "--detach", "--console-socket"]).arg(socket.path());
    let script = "test -t 0 && tty && echo $TERM && read line && echo got:$line";
    let exec = exec.arg(bundle.id()).args(["sh", "-c", script]).spawn();
    let mut terminal = socket.receive_terminal();
    exec.wait().succeeds();
    let shown = terminal.read_until("xterm");
    assert!(shown.contains("/dev/pts/"), "{shown}");
    terminal.type_text("words\n");
    terminal.read_until("got:words");
}

#[test]
fn privileged_exec_with_a_terminal_in_the_foreground_joins_the_callers() {
    let runtime = Runtime::new();
    let bundle = running(&runtime, |bundle| bundle);
    let mut terminal = Terminal::open();
    terminal.resize(41, 97);
    let script = "test -t 0 && stty size; trap 'stty size' WINCH; echo ready; while :; do sleep 0.02; done";
    let exec =
        runtime.command(["exec", "-t", bundle.id(), "sh", "-c", script]).on_terminal(&terminal).spawn();
    terminal.read_until("ready");
    terminal.resize(24, 60);
    terminal.read_until("24 60");
    terminal.type_text("\u{3}");
    exec.wait().exits(130);
    assert_eq!(runtime.status(bundle.id()), "running");
}

#[test]
fn privileged_exec_refuses_a_console_socket_that_would_get_no_terminal() {
    let runtime = Runtime::new();
    let bundle = running(&runtime, |bundle| bundle);
    let socket = FdSocket::bind(runtime.scratch().join("console"));
    for flags in [&["--detach"][..], &["--tty"], &[]] {
        let exec = runtime.command(["exec", "--console-socket"]).arg(socket.path()).args(flags);
        exec.args([bundle.id(), "true"]).run().exits(255).fails().says("cannot use console socket").discard();
    }
}

#[test]
fn privileged_exec_without_a_terminal_has_none_in_a_container_with_one() {
    let runtime = Runtime::new();
    let socket = FdSocket::bind(runtime.scratch().join("console"));
    let bundle = runtime.bundle().args(["sleep", "1000"]).with(|c| c["process"]["terminal"] = json!(true));
    let path = socket.path().to_str().expect("a plain path");
    let run = runtime.bundle_command("run", &bundle, &["--detach", "--console-socket", path]).spawn();
    let _terminal = socket.receive_terminal();
    run.wait().succeeds();
    assert_eq!(runtime.exec(bundle.id(), ["sh", "-c", "test -t 1 || echo none"]).succeeds().stdout, "none\n");
}

#[test]
fn privileged_exec_detached_with_a_terminal_needs_a_console_socket() {
    let runtime = Runtime::new();
    let bundle = running(&runtime, |bundle| bundle);
    runtime
        .command(["exec", "-d", "-t", bundle.id(), "true"])
        .run()
        .exits(255)
        .fails()
        .says("console socket");
    runtime
        .command(["exec", "--process", "/never/was", bundle.id()])
        .run()
        .exits(255)
        .fails()
        .says("/never/was");
}

/// Flags of the command belong to the command, once the container is named.
#[test]
fn privileged_exec_leaves_the_flags_of_the_command_alone() {
    let runtime = Runtime::new();
    let bundle = running(&runtime, |bundle| bundle);
    assert_eq!(
        runtime.exec(bundle.id(), ["echo", "--tty", "-d", "--", "-e"]).succeeds().stdout,
        "--tty -d -- -e\n"
    );
    let exec = runtime.command(["exec", "--", bundle.id(), "echo", "x"]);
    assert_eq!(exec.run().succeeds().stdout, "x\n");
}

#[test]
fn privileged_exec_refuses_labels_without_their_security_module() {
    let runtime = Runtime::new();
    let bundle = running(&runtime, |bundle| bundle);
    runtime
        .command(["exec", "--apparmor", "some-profile", bundle.id(), "true"])
        .run()
        .exits(255)
        .says("apparmor");
    let label = "system_u:system_r:container_t:s0";
    runtime.command(["exec", "--process-label", label, bundle.id(), "true"]).run().exits(255).says("selinux");
}

#[test]
fn privileged_many_execs_at_once_all_answer() {
    let runtime = Runtime::new();
    let bundle = running(&runtime, |bundle| bundle);
    let execs: Vec<_> = (0..32)
        .map(|n| runtime.command(["exec", bundle.id(), "sh", "-c", &format!("echo {n}; exit {n}")]).spawn())
        .collect();
    for (n, exec) in execs.into_iter().enumerate() {
        let outcome = exec.wait().exits(i32::try_from(n).expect("a small number"));
        assert_eq!(outcome.stdout, format!("{n}\n"));
    }
}

#[test]
fn privileged_exec_enters_a_user_namespace() {
    let runtime = Runtime::new();
    let bundle = running(&runtime, |bundle| bundle.user_namespace(100_000, 65_536));
    let exec = runtime.exec(bundle.id(), ["sh", "-c", "id -u; cat /proc/self/uid_map"]).succeeds();
    let words: Vec<&str> = exec.stdout.split_whitespace().collect();
    assert_eq!(words, ["0", "0", "100000", "65536"]);
}

/// Guards against a process on the host's root: without a mount namespace the container's root is a directory.
#[test]
fn privileged_exec_in_a_container_without_a_mount_namespace_sees_the_containers_root() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("echo ready; exec sleep 1000").without_namespace("mount");
    let bundle = bundle.with(|config| {
        config["mounts"] = serde_json::json!([]);
        config["linux"]["maskedPaths"] = serde_json::json!([]);
        config["linux"]["readonlyPaths"] = serde_json::json!([]);
        config["root"]["readonly"] = serde_json::json!(false);
    });
    std::fs::write(bundle.path("only-here"), "").expect("the root file system is writable");
    runtime.run_detached(&bundle);
    runtime.exec(bundle.id(), ["ls", "/only-here"]).succeeds();
    runtime.kill_and_delete(bundle.id());
}

/// The process that enters the container's namespaces tells the pid of the one that it makes there, which may be heard
/// first: the limits must be set for that one all the same.
#[test]
fn privileged_many_execs_at_once_get_their_limits() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["sleep", "1000"]);
    runtime.run_detached(&bundle).discard();
    let exec = || runtime.command(["exec", bundle.id(), "sh", "-c", "ulimit -n"]).spawn();
    let running: Vec<_> = (0..200).map(|_| exec()).collect();
    for exec in running {
        assert_eq!(exec.wait().succeeds().stdout, "1024\n");
    }
}

#[test]
fn privileged_exec_begins_on_the_initial_cpus_and_goes_on_on_the_final_ones() {
    let runtime = Runtime::new();
    let bundle = running(&runtime, |bundle| bundle);
    let file = runtime.scratch().join("process.json");
    let cpus = |affinity: serde_json::Value| {
        let mut process = bundle.config["process"].clone();
        process["args"] = serde_json::json!(["grep", "Cpus_allowed_list", "/proc/self/status"]);
        process["execCPUAffinity"] = affinity;
        std::fs::write(&file, process.to_string()).expect("the scratch directory is writable");
        let exec = runtime.command(["exec", "--process"]).arg(&file).arg(bundle.id()).run().succeeds();
        exec.stdout.split_whitespace().last().expect("a list").to_owned()
    };
    let all = cpus(serde_json::json!({}));
    assert_ne!(all, "1", "this test needs a machine with two processors");
    assert_eq!(cpus(serde_json::json!({"initial": "0", "final": "1"})), "1");
    assert_eq!(cpus(serde_json::json!({"final": "0"})), "0");
    runtime.kill_and_delete(bundle.id());
}
