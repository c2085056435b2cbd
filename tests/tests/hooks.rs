//! Hooks: when, where and with what they run, and what their failure does.

use mydocker_tests::{Bundle, Runtime, cgroup, procfs, wait};
use serde_json::{Value, json};
use std::fs;

/// The hooks that run on the host, in their order.
const OUTER: [&str; 5] = ["prestart", "createRuntime", "createContainer", "poststart", "poststop"];

/// One hook that runs a shell script.
fn hook(script: &str) -> Value {
    json!({"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"]})
}

/// A bundle with a hook of each kind, which adds its name to `log` of the bundle and keeps its input in a file of its
/// name; the one inside the container writes into the root file system.
fn with_all_hooks(runtime: &Runtime) -> Bundle {
    let bundle = runtime.bundle().script("echo program >>/log; exec sleep 1000");
    let dir = bundle.dir().display().to_string();
    bundle.with(|config| {
        for kind in OUTER {
            let namespaces = "for n in /proc/self/ns/*; do readlink $n; done";
            let script =
                format!("echo {kind} >>{dir}/rootfs/log; cat >{dir}/{kind}; {namespaces} >{dir}/{kind}.ns");
            config["hooks"][kind] = json!([hook(&script)]);
        }
        let inner =
            "echo startContainer >>/log; cat >/state; for n in /proc/self/ns/*; do readlink $n; done >/ns";
        config["hooks"]["startContainer"] = json!([hook(inner)]);
    })
}

fn log(bundle: &Bundle) -> Vec<String> {
    let text = fs::read_to_string(bundle.path("log")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn wait_for_log(bundle: &Bundle, line: &str) {
    wait::until(&format!("{line} in the log"), || log(bundle).iter().any(|l| l == line).then_some(()));
}

/// The state that the hook was given.
fn state(bundle: &Bundle, kind: &str) -> Value {
    let file = if kind == "startContainer" { bundle.path("state") } else { bundle.dir().join(kind) };
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{kind}: {error}: {text:?}"))
}

/// Differs from runc, which runs poststart as a part of create: config.md, Poststart, "after the user-specified process is
/// executed but before the start operation returns".
#[test]
fn privileged_all_hooks_run_at_their_time_and_in_their_order() {
    let runtime = Runtime::new();
    let bundle = with_all_hooks(&runtime);
    runtime.create(&bundle).succeeds();
    assert_eq!(log(&bundle), ["prestart", "createRuntime", "createContainer"]);
    runtime.start(bundle.id()).succeeds();
    wait_for_log(&bundle, "program");
    let started = log(&bundle);
    assert_eq!(started[3], "startContainer");
    assert!(started.contains(&"poststart".to_owned()), "start returned before poststart: {started:?}");
    assert_eq!(started.len(), 6, "{started:?}");
    runtime.kill_and_delete(bundle.id());
    assert_eq!(log(&bundle).last().map(String::as_str), Some("poststop"));
    assert_eq!(log(&bundle).len(), 7);
}

#[test]
fn privileged_run_runs_all_hooks_too() {
    let runtime = Runtime::new();
    let bundle = with_all_hooks(&runtime).script("echo program >>/log");
    runtime.run(&bundle).succeeds();
    let mut names = log(&bundle);
    assert_eq!(names[..3], ["prestart", "createRuntime", "createContainer"]);
    assert_eq!(names.last().map(String::as_str), Some("poststop"));
    names.sort();
    let mut expected = [&OUTER[..], &["startContainer", "program"]].concat();
    expected.sort_unstable();
    assert_eq!(names, expected);
}

/// As runc and crun have it. Inside the container they are where runc's are: in its root, and then in the program's
/// directory.
#[test]
fn privileged_hooks_run_in_the_bundle_wherever_the_caller_is() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("true");
    let dir = bundle.dir().display().to_string();
    let bundle = bundle.with(|config| {
        for kind in OUTER {
            config["hooks"][kind] = json!([hook(&format!("pwd >{dir}/{kind}"))]);
        }
        config["hooks"]["startContainer"] = json!([hook("pwd >/startContainer")]);
        config["process"]["cwd"] = json!("/tmp");
    });
    runtime.run_command(&bundle).current_dir("/").run().succeeds();
    let place = |path: &std::path::Path| fs::read_to_string(path).unwrap().trim().to_owned();
    for kind in OUTER {
        let wanted = if kind == "createContainer" { format!("{dir}/rootfs") } else { dir.clone() };
        assert_eq!(place(&bundle.dir().join(kind)), wanted, "{kind}");
    }
    assert_eq!(place(&bundle.path("startContainer")), "/tmp");
}

#[test]
fn privileged_poststop_hooks_of_a_bundle_that_is_gone_run_where_the_caller_is() {
    let runtime = Runtime::new();
    let bundle = runtime.waiting_bundle();
    let file = runtime.scratch().join("poststop");
    let bundle = bundle.with(|config| {
        config["hooks"]["poststop"] = json!([hook(&format!("pwd >{}", file.display()))]);
    });
    runtime.create(&bundle).succeeds();
    runtime.kill(bundle.id(), "KILL").succeeds();
    wait::until("the end", || (runtime.status(bundle.id()) == "stopped").then_some(()));
    fs::remove_dir_all(bundle.dir()).unwrap();
    runtime.command(["delete", bundle.id()]).current_dir("/tmp").run().succeeds();
    assert_eq!(fs::read_to_string(&file).unwrap(), "/tmp\n");
}

#[test]
fn privileged_hooks_get_the_state_of_that_moment() {
    let runtime = Runtime::new();
    let bundle = with_all_hooks(&runtime).with(|config| config["annotations"] = json!({"key": "value"}));
    runtime.create(&bundle).succeeds();
    let pid = runtime.pid(bundle.id());
    runtime.start(bundle.id()).succeeds();
    wait_for_log(&bundle, "program");
    runtime.kill_and_delete(bundle.id());
    for kind in [&OUTER[..], &["startContainer"]].concat() {
        let state = state(&bundle, kind);
        assert_eq!(state["id"], bundle.id(), "{kind}");
        assert_eq!(state["bundle"], json!(bundle.dir()), "{kind}");
        assert_eq!(state["annotations"], json!({"key": "value"}), "{kind}");
        assert!(state["ociVersion"].as_str().is_some_and(|version| version.starts_with("1.")), "{kind}");
    }
    // Differs from runc: prestart hooks are step 3 of the lifecycle, and `creating` is step 2. The OCI runtime-tools
    // want it so.
    for (kind, status) in [("prestart", "created"), ("createRuntime", "creating")] {
        assert_eq!(
            (&state(&bundle, kind)["status"], &state(&bundle, kind)["pid"]),
            (&json!(status), &json!(pid))
        );
    }
    // runtime.md, State: "For hooks executed in the container namespace, it is the pid as seen by the container".
    assert_eq!(state(&bundle, "createContainer")["status"], "creating");
    assert_eq!(state(&bundle, "createContainer")["pid"], 1);
    assert_eq!(state(&bundle, "startContainer")["status"], "created");
    assert_eq!(state(&bundle, "startContainer")["pid"], 1);
    assert_eq!(state(&bundle, "poststop")["status"], "stopped");
}

#[test]
fn privileged_create_hooks_may_ask_for_the_processes_and_the_state_of_the_container() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["true"]);
    let ask = |kind: &str| {
        let base = format!("{} --root {}", runtime.program().display(), runtime.root().display());
        let (id, dir) = (bundle.id(), bundle.dir().display());
        hook(&format!("{{ {base} ps --format json {id}; {base} state {id}; }} >{dir}/{kind}.asked 2>&1"))
    };
    let (of_runtime, of_container) = (ask("createRuntime"), ask("createContainer"));
    let bundle = bundle.with(|config| {
        config["hooks"] = json!({"createRuntime": [of_runtime], "createContainer": [of_container]});
    });
    runtime.create(&bundle).succeeds();
    let pid = runtime.pid(bundle.id());
    runtime.delete_force(bundle.id()).succeeds().discard();
    // Each as its own pid namespace has it.
    for (kind, pid) in [("createRuntime", pid), ("createContainer", 1)] {
        let told = fs::read_to_string(bundle.dir().join(format!("{kind}.asked"))).expect("it was written");
        assert!(told.starts_with(&format!("[{pid}")), "{kind} asked for the process {pid}: {told}");
        assert!(told.contains("\"creating\""), "{kind}: {told}");
    }
}

/// Differs from runc, which runs these hooks before the program: config.md, Poststart.
#[test]
fn privileged_poststart_hooks_see_a_running_container() {
    let runtime = Runtime::new();
    let bundle = with_all_hooks(&runtime);
    runtime.create(&bundle).succeeds();
    assert!(!log(&bundle).contains(&"poststart".to_owned()));
    runtime.start(bundle.id()).succeeds();
    assert_eq!(state(&bundle, "poststart")["status"], "running");
    assert_eq!(state(&bundle, "poststart")["pid"], runtime.pid(bundle.id()));
}

#[test]
fn privileged_hooks_run_in_the_namespaces_of_their_kind() {
    let runtime = Runtime::new();
    let bundle = with_all_hooks(&runtime);
    runtime.run_detached(&bundle);
    wait_for_log(&bundle, "program");
    let pid = runtime.pid(bundle.id());
    let own = std::process::id().cast_signed();
    let listed = |file: &std::path::Path| fs::read_to_string(file).expect("the hook wrote it");
    for kind in ["prestart", "createRuntime", "poststart"] {
        let seen = listed(&bundle.dir().join(format!("{kind}.ns")));
        for name in ["mnt", "pid", "net", "ipc", "uts"] {
            let expected = procfs::namespace(own, name).display().to_string();
            assert!(seen.lines().any(|line| line == expected), "{kind}: {expected} is not in {seen}");
        }
    }
    for seen in [listed(&bundle.dir().join("createContainer.ns")), listed(&bundle.path("ns"))] {
        for name in ["mnt", "pid", "net", "ipc", "uts"] {
            let expected = procfs::namespace(pid, name).display().to_string();
            assert!(seen.lines().any(|line| line == expected), "{expected} is not in {seen}");
        }
    }
    runtime.delete_force(bundle.id()).succeeds();
}

#[test]
fn privileged_create_hooks_see_the_mounts_of_the_container_before_the_change_of_root() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle();
    let dir = bundle.dir().display().to_string();
    let bundle = bundle.with(|config| {
        let seen =
            format!("test -e /dev/shm && grep -c '{dir}/rootfs/proc ' /proc/self/mountinfo >{dir}/seen");
        config["hooks"]["createContainer"] = json!([hook(&seen)]);
    });
    runtime.run(&bundle).succeeds();
    assert_eq!(fs::read_to_string(bundle.dir().join("seen")).expect("the hook wrote it"), "1\n");
}

#[test]
fn privileged_a_network_hook_can_find_and_change_the_containers_namespace() {
    let runtime = Runtime::new();
    // What network plugins do with the pid of the state.
    let script = "pid=$(sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/'); \
        nsenter --net=/proc/$pid/ns/net ip link add dev from-hook type veth peer name other-end";
    let bundle = runtime.bundle().args(["ls", "/sys/class/net"]).with(|config| {
        let mut hook = hook(script);
        hook["env"] = json!(["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]);
        config["hooks"]["createRuntime"] = json!([hook]);
    });
    let said = runtime.run(&bundle).succeeds().stdout;
    assert!(said.lines().any(|line| line == "from-hook"), "{said}");
}

#[test]
fn privileged_several_hooks_of_one_kind_run_in_the_listed_order() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle();
    let dir = bundle.dir().display().to_string();
    let bundle = bundle.with(|config| {
        for kind in OUTER {
            let hooks: Vec<Value> = (0..3).map(|n| hook(&format!("echo {n} >>{dir}/{kind}"))).collect();
            config["hooks"][kind] = json!(hooks);
        }
    });
    runtime.run(&bundle).succeeds();
    for kind in OUTER {
        assert_eq!(
            fs::read_to_string(bundle.dir().join(kind)).expect("the hooks wrote it"),
            "0\n1\n2\n",
            "{kind}"
        );
    }
}

#[test]
fn privileged_a_hook_gets_its_own_arguments_and_environment_alone() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle();
    let (env, args) = (bundle.dir().join("env"), bundle.dir().join("args"));
    let bundle = bundle.with(|config| {
        config["hooks"]["createRuntime"] = json!([
            {"path": "/usr/bin/dd", "args": ["dd", "if=/proc/self/environ", format!("of={}", env.display())],
             "env": ["ONE=1", "TWO=a b=c"]},
            {"path": "/usr/bin/dd", "args": ["other name", "if=/proc/self/cmdline", format!("of={}", args.display())]},
        ]);
    });
    runtime.run_command(&bundle).env("LEAKED", "from the caller").run().succeeds();
    assert_eq!(fs::read_to_string(env).expect("the hook wrote it"), "ONE=1\0TWO=a b=c\0");
    assert!(fs::read_to_string(args).expect("the hook wrote it").starts_with("other name\0if="));
}

#[test]
fn privileged_a_failing_create_hook_fails_create_and_leaves_nothing() {
    let runtime = Runtime::new();
    for kind in ["prestart", "createRuntime", "createContainer"] {
        let bundle = with_all_hooks(&runtime);
        let dir = bundle.dir().display().to_string();
        let bundle = bundle.with(|config| {
            config["hooks"][kind] =
                json!([hook("echo words of the hook >&2; exit 7"), hook(&format!("touch {dir}/second"))]);
        });
        let outcome = runtime.create(&bundle).fails();
        assert!(outcome.stderr.contains("hook"), "{}", outcome.describe());
        assert!(!runtime.knows(bundle.id()), "{kind}");
        assert!(cgroup::existing(bundle.cgroup()).is_empty(), "{kind}");
        assert!(!bundle.dir().join("second").exists(), "hooks after a failing one must not run: {kind}");
        // runtime.md, Lifecycle 3 to 5: the lifecycle goes on with step 12, and so with the poststop hooks.
        assert_eq!(log(&bundle).last().map(String::as_str), Some("poststop"), "{kind}");
    }
}

#[test]
fn privileged_a_failing_start_hook_keeps_the_program_from_running() {
    let runtime = Runtime::new();
    let bundle = with_all_hooks(&runtime).with(|config| {
        config["hooks"]["startContainer"] = json!([hook("echo startContainer >>/log; exit 7")]);
    });
    runtime.run(&bundle).fails();
    assert!(!log(&bundle).contains(&"program".to_owned()), "{:?}", log(&bundle));
    assert!(!runtime.knows(bundle.id()));
}

/// Differs from runc, whose start has returned before the hook runs: runtime.md, Lifecycle 7, "If any startContainer hook
/// fails, the runtime MUST generate an error, stop the container, and continue the lifecycle at step 12".
#[test]
fn privileged_a_failing_start_hook_fails_start() {
    let runtime = Runtime::new();
    let bundle = with_all_hooks(&runtime).with(|config| {
        config["hooks"]["startContainer"] = json!([hook("exit 7")]);
    });
    runtime.create(&bundle).succeeds();
    let pid = runtime.pid(bundle.id());
    runtime.start(bundle.id()).fails().says("hook");
    wait::for_exit(pid);
    assert!(!log(&bundle).contains(&"program".to_owned()));
    assert_eq!(log(&bundle).last().map(String::as_str), Some("poststop"));
}

/// Differs from runc, which runs the hook as a part of create: runtime.md, Lifecycle 9, "MUST generate an error, stop the
/// container, and continue the lifecycle at step 12".
#[test]
fn privileged_a_failing_poststart_hook_fails_start_and_stops_the_container() {
    let runtime = Runtime::new();
    let bundle =
        with_all_hooks(&runtime).with(|config| config["hooks"]["poststart"] = json!([hook("exit 7")]));
    runtime.create(&bundle).succeeds();
    let pid = runtime.pid(bundle.id());
    runtime.start(bundle.id()).fails().says("hook");
    wait::for_exit(pid);
    assert_eq!(log(&bundle).last().map(String::as_str), Some("poststop"));
}

/// Differs from runc, where it fails the delete: runtime.md, Lifecycle 13, "the runtime MUST log a warning, but the
/// remaining hooks and lifecycle continue as if the hook had succeeded".
#[test]
fn privileged_a_failing_poststop_hook_is_a_warning_and_the_others_run() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["sleep", "1000"]);
    let dir = bundle.dir().display().to_string();
    let bundle = bundle.with(|config| {
        config["hooks"]["poststop"] = json!([hook("exit 7"), hook(&format!("touch {dir}/second"))]);
    });
    runtime.run_detached(&bundle);
    let pid = runtime.pid(bundle.id());
    runtime.kill(bundle.id(), "KILL").succeeds();
    wait::for_exit(pid);
    runtime.delete(bundle.id()).succeeds().says("hook");
    assert!(bundle.dir().join("second").exists());
    assert!(!runtime.knows(bundle.id()));
}

#[test]
fn privileged_a_hook_that_takes_too_long_is_killed_and_fails() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle();
    let pid_file = bundle.dir().join("hook.pid");
    let bundle = bundle.with(|config| {
        let mut hook = hook(&format!("echo $$ >{}; exec sleep 1000", pid_file.display()));
        hook["timeout"] = json!(1);
        config["hooks"]["createRuntime"] = json!([hook]);
    });
    runtime.create(&bundle).fails();
    assert!(!runtime.knows(bundle.id()));
    let pid = fs::read_to_string(pid_file).expect("the hook wrote it").trim().parse().expect("a process id");
    wait::for_exit(pid);
}

#[test]
fn privileged_a_hook_within_its_timeout_is_let_be() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("echo ran").with(|config| {
        let mut hook = hook("sleep 0.1");
        hook["timeout"] = json!(60);
        config["hooks"]["createRuntime"] = json!([hook]);
    });
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "ran\n");
}

#[test]
fn privileged_a_hook_that_cannot_be_run_fails_create() {
    let runtime = Runtime::new();
    for path in ["/never/was", "/etc/passwd"] {
        let bundle =
            runtime.bundle().with(|config| config["hooks"]["createRuntime"] = json!([{"path": path}]));
        runtime.create(&bundle).fails();
        assert!(!runtime.knows(bundle.id()), "{path}");
    }
}

/// Differs from runc, which takes them: config.md, POSIX-platform Hooks, "path MUST be absolute" and "timeout MUST be
/// greater than zero".
#[test]
fn privileged_a_hook_with_a_relative_path_or_no_time_is_refused() {
    let runtime = Runtime::new();
    for hook in [
        json!({"path": "bin/true"}),
        json!({"path": "/bin/true", "timeout": 0}),
        json!({"path": "/bin/true", "timeout": -1}),
    ] {
        let bundle = runtime.bundle().with(|config| config["hooks"]["poststop"] = json!([hook]));
        runtime.create(&bundle).fails();
        assert!(!runtime.knows(bundle.id()), "{hook}");
    }
}

#[test]
fn privileged_a_hook_that_does_not_read_its_input_is_no_failure() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().with(|config| {
        // More than a pipe holds, so that writing it all would block or break.
        config["annotations"] = json!({"large": "x".repeat(300_000)});
        config["hooks"]["createRuntime"] = json!([{"path": "/bin/true"}]);
        config["hooks"]["poststop"] = json!([{"path": "/bin/true"}]);
    });
    runtime.run(&bundle).succeeds();
}

#[test]
fn privileged_a_large_state_reaches_the_hook_whole() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle();
    let file = bundle.dir().join("state");
    let bundle = bundle.with(|config| {
        config["annotations"] = json!({"large": "x".repeat(300_000)});
        config["hooks"]["createRuntime"] = json!([hook(&format!("cat >{}", file.display()))]);
    });
    runtime.run(&bundle).succeeds();
    let state: Value =
        serde_json::from_slice(&fs::read(file).expect("the hook wrote it")).expect("whole JSON");
    assert_eq!(state["annotations"]["large"].as_str().map(str::len), Some(300_000));
}

/// Guards against a sum of times that overflows.
#[test]
fn privileged_a_hook_may_have_the_longest_time_limit_there_is() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().with(|config| {
        config["hooks"] = json!({"createRuntime": [{"path": "/bin/true", "timeout": i64::MAX}]});
    });
    runtime.run(&bundle).succeeds();
}
