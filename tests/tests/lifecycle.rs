//! The life of a container: every transition between its states, and every refusal of one.

use mydocker_tests::{Bundle, Runtime, cgroup, procfs, wait};
use rustix::process::Signal;
use serde_json::json;
use std::fs;

/// A container that says `ready` and then does nothing for long.
const WAITS: &str = "echo ready; exec sleep 1000";

fn waiting(runtime: &Runtime) -> Bundle {
    runtime.bundle().script(WAITS)
}

#[test]
fn privileged_a_created_container_waits_for_start() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("touch /started; exec sleep 1000");
    runtime.create(&bundle).succeeds();
    assert_eq!(runtime.status(bundle.id()), "created");
    assert!(!bundle.path("started").exists());
    let pid = runtime.pid(bundle.id());
    assert!(procfs::is_alive(pid));

    runtime.start(bundle.id()).succeeds();
    wait::until("the program to run", || bundle.path("started").exists().then_some(()));
    assert_eq!(runtime.status(bundle.id()), "running");
    assert_eq!(runtime.pid(bundle.id()), pid, "the process that was created is the one that runs");
}

#[test]
fn privileged_a_container_goes_from_created_over_running_to_stopped_and_is_deleted() {
    let runtime = Runtime::new();
    let bundle = waiting(&runtime);
    runtime.create(&bundle).succeeds();
    runtime.start(bundle.id()).succeeds();
    let pid = runtime.pid(bundle.id());
    runtime.kill(bundle.id(), "KILL").succeeds();
    wait::for_exit(pid);
    assert_eq!(runtime.status(bundle.id()), "stopped");
    runtime.delete(bundle.id()).succeeds();
    assert!(!runtime.knows(bundle.id()));
    assert!(cgroup::existing(bundle.cgroup()).is_empty());
}

#[test]
fn privileged_an_id_can_be_used_again_after_delete() {
    let runtime = Runtime::new();
    let bundle = waiting(&runtime);
    for _ in 0..2 {
        runtime.create(&bundle).succeeds();
        runtime.start(bundle.id()).succeeds();
        runtime.kill_and_delete(bundle.id());
    }
}

#[test]
fn privileged_an_id_that_exists_is_refused_and_its_container_lives_on() {
    let runtime = Runtime::new();
    let bundle = waiting(&runtime);
    runtime.run_detached(&bundle);
    let pid = runtime.pid(bundle.id());
    runtime.create(&bundle).fails().says("exists");
    runtime.run(&bundle).fails().says("exists");
    assert_eq!(runtime.pid(bundle.id()), pid);
    assert_eq!(runtime.status(bundle.id()), "running");
    assert!(!cgroup::existing(bundle.cgroup()).is_empty(), "the refused create took the cgroup away");
}

#[test]
fn privileged_start_refuses_what_is_not_created() {
    let runtime = Runtime::new();
    let bundle = waiting(&runtime);
    runtime.run_detached(&bundle);
    runtime.start(bundle.id()).fails().says("running");
    assert_eq!(runtime.status(bundle.id()), "running");
    let pid = runtime.pid(bundle.id());
    runtime.kill(bundle.id(), "KILL").succeeds();
    wait::for_exit(pid);
    runtime.start(bundle.id()).fails().says("stopped");
    assert_eq!(runtime.status(bundle.id()), "stopped");
}

#[test]
fn privileged_a_created_container_whose_process_was_killed_is_stopped() {
    let runtime = Runtime::new();
    let bundle = waiting(&runtime);
    runtime.create(&bundle).succeeds();
    let pid = runtime.pid(bundle.id());
    runtime.kill(bundle.id(), "KILL").succeeds();
    wait::for_exit(pid);
    assert_eq!(runtime.status(bundle.id()), "stopped");
    runtime.start(bundle.id()).fails();
    runtime.delete(bundle.id()).succeeds();
}

#[test]
fn privileged_kill_refuses_a_stopped_container() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle();
    runtime.run_detached(&bundle);
    runtime.wait_for_status(bundle.id(), "stopped");
    // containerd and podman take "not running" for "it has ended already".
    runtime.kill(bundle.id(), "KILL").fails().says("not running");
    runtime.kill(bundle.id(), "0").fails().says("not running");
    assert_eq!(runtime.status(bundle.id()), "stopped");
}

#[test]
fn privileged_delete_refuses_a_running_container() {
    let runtime = Runtime::new();
    let bundle = waiting(&runtime);
    runtime.run_detached(&bundle);
    let pid = runtime.pid(bundle.id());
    runtime.delete(bundle.id()).fails().says("not stopped");
    assert!(procfs::is_alive(pid));
    assert_eq!(runtime.status(bundle.id()), "running");
}

/// Differs from runc, which kills and deletes it: runtime.md, Delete, "Attempting to delete a container that is not
/// stopped MUST have no effect on the container and MUST generate an error".
#[test]
fn privileged_delete_refuses_a_created_container() {
    let runtime = Runtime::new();
    let bundle = waiting(&runtime);
    runtime.create(&bundle).succeeds();
    runtime.delete(bundle.id()).fails().says("not stopped");
    assert_eq!(runtime.status(bundle.id()), "created");
    runtime.start(bundle.id()).succeeds();
    assert_eq!(runtime.status(bundle.id()), "running");
}

#[test]
fn privileged_delete_force_ends_a_container_in_any_state() {
    let runtime = Runtime::new();
    let prepare: [fn(&Runtime, &Bundle); 4] = [
        |runtime, bundle| runtime.create(bundle).succeeds().discard(),
        |runtime, bundle| runtime.run_detached(bundle).discard(),
        |runtime, bundle| {
            runtime.run_detached(bundle);
            runtime.command(["pause", bundle.id()]).run().succeeds();
        },
        |runtime, bundle| {
            runtime.run_detached(bundle);
            let pid = runtime.pid(bundle.id());
            runtime.kill(bundle.id(), "KILL").succeeds();
            wait::for_exit(pid);
        },
    ];
    for prepare in prepare {
        let bundle = waiting(&runtime);
        prepare(&runtime, &bundle);
        runtime.delete_force(bundle.id()).succeeds();
        assert!(!runtime.knows(bundle.id()));
        assert!(cgroup::existing(bundle.cgroup()).is_empty());
    }
}

#[test]
fn privileged_delete_force_of_an_unknown_container_succeeds_in_silence() {
    let runtime = Runtime::new();
    let outcome = runtime.delete_force("never-was").succeeds();
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("", ""));
}

#[test]
fn privileged_delete_takes_all_processes_of_a_container_without_a_pid_namespace() {
    let runtime = Runtime::new();
    let script = "sleep 1000 >/dev/null 2>&1 & echo $! >/child; exit 0";
    let bundle = runtime.bundle().script(script).without_namespace("pid");
    runtime.run_detached(&bundle);
    runtime.wait_for_status(bundle.id(), "stopped");
    let child = fs::read_to_string(bundle.path("child")).expect("the script wrote it");
    let child: i32 = child.trim().parse().expect("a process id");
    assert!(procfs::is_alive(child));
    runtime.delete_force(bundle.id()).succeeds();
    wait::for_exit(child);
    assert!(cgroup::existing(bundle.cgroup()).is_empty());
}

#[test]
fn privileged_every_exit_status_comes_through_run() {
    let runtime = Runtime::new();
    let mut bundles: Vec<Bundle> = (0..4).map(|_| runtime.bundle()).collect();
    let mut left = 0..=255;
    loop {
        let codes: Vec<i32> = left.by_ref().take(4).collect();
        if codes.is_empty() {
            break;
        }
        let running: Vec<_> = codes
            .iter()
            .zip(&mut bundles)
            .map(|(code, bundle)| {
                bundle.edit(|config| config["process"]["args"] = json!(["sh", "-c", format!("exit {code}")]));
                runtime.spawn(bundle)
            })
            .collect();
        for (code, running) in codes.into_iter().zip(running) {
            running.wait().exits(code);
        }
    }
}

#[test]
fn privileged_death_by_a_signal_is_exit_status_128_and_its_number() {
    let runtime = Runtime::new();
    for (name, number) in [("HUP", 1), ("ABRT", 6), ("KILL", 9), ("SEGV", 11), ("TERM", 15)] {
        // The first process of a pid namespace survives the signals it sends itself, so this container has none.
        let bundle =
            runtime.bundle().script(&format!("kill -{name} $$; sleep 1000")).without_namespace("pid");
        runtime.run(&bundle).exits(128 + number);
    }
}

#[test]
fn privileged_a_killed_container_ends_run_with_137() {
    let runtime = Runtime::new();
    let bundle = waiting(&runtime);
    let running = runtime.spawn(&bundle);
    running.wait_for_output("ready");
    runtime.kill(bundle.id(), "KILL").succeeds();
    running.wait().exits(137);
}

#[test]
fn privileged_run_deletes_the_container_at_its_end() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle();
    runtime.run(&bundle).succeeds();
    assert!(!runtime.knows(bundle.id()));
    assert!(cgroup::existing(bundle.cgroup()).is_empty());
}

#[test]
fn privileged_run_with_keep_leaves_a_stopped_container() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("exit 5");
    runtime.bundle_command("run", &bundle, &["--keep"]).run().exits(5);
    assert_eq!(runtime.status(bundle.id()), "stopped");
    runtime.delete(bundle.id()).succeeds();
    assert!(!runtime.knows(bundle.id()));
}

#[test]
fn privileged_run_detached_returns_while_the_container_runs() {
    let runtime = Runtime::new();
    let bundle = waiting(&runtime);
    let outcome = runtime.run_detached(&bundle);
    assert_eq!(runtime.status(bundle.id()), "running");
    wait::until("the container's output in the inherited file", || {
        (fs::read_to_string(&outcome.stdout_file).ok()? == "ready\n").then_some(())
    });
}

#[test]
fn privileged_the_bundle_is_the_working_directory_unless_told() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("echo here");
    let outcome = runtime.command(["run", bundle.id()]).current_dir(bundle.dir()).run().succeeds();
    assert_eq!(outcome.stdout, "here\n");
}

#[test]
fn privileged_a_relative_bundle_path_is_told_as_an_absolute_one() {
    let runtime = Runtime::new();
    let bundle = waiting(&runtime);
    let command = runtime.command(["create", "-b", &format!("../{}", bundle.id()), bundle.id()]);
    command.current_dir(bundle.dir()).run().succeeds();
    assert_eq!(runtime.state(bundle.id())["bundle"], json!(bundle.dir()));
}

/// Differs from runc, whose only positional argument is the id: the directory of the bundle is enough here.
#[test]
fn privileged_run_takes_a_bundle_directory_alone() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("echo by directory; exit 4");
    let outcome = runtime.command(["run"]).arg(bundle.dir()).run().exits(4);
    assert_eq!(outcome.stdout, "by directory\n");

    let bundle = waiting(&runtime);
    runtime.command(["run", "--detach"]).arg(bundle.dir()).run().succeeds();
    assert_eq!(runtime.status(bundle.id()), "running");

    // However the directory is written, its own name is the id.
    for form in [".", "./", "DIR/"] {
        let bundle = waiting(&runtime);
        let path = form.replace("DIR", &bundle.dir().display().to_string());
        runtime.command(["run", "--detach"]).arg(path).current_dir(bundle.dir()).run().succeeds();
        assert_eq!(runtime.status(bundle.id()), "running");
    }
}

#[test]
fn privileged_run_refuses_a_bundle_directory_whose_name_is_no_id() {
    let runtime = Runtime::new();
    let bundle = waiting(&runtime);
    let dir = bundle.dir().with_file_name("no id");
    fs::rename(bundle.dir(), &dir).expect("the scratch directory is writable");
    runtime.command(["run"]).arg(&dir).run().fails();
    assert_eq!(runtime.command(["list", "--quiet"]).run().succeeds().stdout, "");
}

#[test]
fn privileged_run_can_do_without_a_subreaper() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("echo ran; exit 3");
    assert_eq!(runtime.bundle_command("run", &bundle, &["--no-subreaper"]).run().exits(3).stdout, "ran\n");
}

#[test]
fn privileged_create_refuses_a_bundle_without_config() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle();
    fs::remove_file(bundle.dir().join("config.json")).expect("the bundle is writable");
    runtime.create(&bundle).fails().says("config.json");
    assert!(!runtime.knows(bundle.id()));
}

#[test]
fn privileged_a_change_of_config_after_create_has_no_effect() {
    let runtime = Runtime::new();
    let mut bundle = runtime.bundle().script("echo old >/said; exec sleep 1000");
    runtime.create(&bundle).succeeds();
    bundle.edit(|config| config["process"]["args"] = json!(["sh", "-c", "echo new >/said; exec sleep 1000"]));
    runtime.start(bundle.id()).succeeds();
    let said = || fs::read_to_string(bundle.path("said")).ok().filter(|text| !text.is_empty());
    assert_eq!(wait::until("the program to say something", said), "old\n");
}

#[test]
fn privileged_start_refuses_a_container_without_process() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().with(|config| {
        config.as_object_mut().expect("an object").remove("process");
    });
    // The specification lets create succeed; runc and others refuse earlier, and both keep the promise.
    if runtime.create(&bundle).status.success() {
        runtime.start(bundle.id()).fails();
        assert_eq!(runtime.status(bundle.id()), "created");
    }
    runtime.run(&bundle).fails();
}

#[test]
fn privileged_the_pid_file_holds_the_bare_pid() {
    let runtime = Runtime::new();
    for verb in ["create", "run"] {
        let bundle = waiting(&runtime);
        let file = bundle.dir().join("pid");
        let mut words = vec![verb, "--pid-file", file.to_str().expect("a plain path")];
        if verb == "run" {
            words.push("--detach");
        }
        runtime.command(words).arg("--bundle").arg(bundle.dir()).arg(bundle.id()).run().succeeds();
        let pid = fs::read_to_string(&file).expect("the pid file is there when the command returns");
        assert_eq!(pid, runtime.pid(bundle.id()).to_string());
    }
}

#[test]
fn privileged_state_tells_what_the_specification_asks_for() {
    let runtime = Runtime::new();
    let bundle =
        waiting(&runtime).with(|config| config["annotations"] = json!({"org.example.key": "a value"}));
    runtime.create(&bundle).succeeds();
    let state = runtime.state(bundle.id());
    assert_eq!(state["id"], bundle.id());
    assert_eq!(state["status"], "created");
    assert_eq!(state["bundle"], json!(bundle.dir()));
    assert_eq!(
        state["rootfs"],
        json!(bundle.path("")).as_str().map(|p| p.trim_end_matches('/')).expect("a string")
    );
    assert_eq!(state["annotations"], json!({"org.example.key": "a value"}));
    assert!(state["ociVersion"].as_str().is_some_and(|version| version.starts_with("1.")), "{state}");
    assert_eq!(state["owner"], "", "as runc has it, for clients that decode it");
    let created = state["created"].as_str().expect("a time");
    assert!(created.ends_with('Z') && created.contains('T') && created.len() >= 20, "{created}");

    runtime.start(bundle.id()).succeeds();
    assert_eq!(runtime.state(bundle.id())["created"], state["created"]);
    let pid = runtime.pid(bundle.id());
    runtime.kill(bundle.id(), "KILL").succeeds();
    wait::for_exit(pid);
    let stopped = runtime.state(bundle.id());
    assert_eq!((&stopped["status"], &stopped["pid"]), (&json!("stopped"), &json!(0)));
}

#[test]
fn privileged_commands_on_an_unknown_container_say_so() {
    let runtime = Runtime::new();
    for verb in ["state", "start", "kill", "delete", "ps", "pause", "resume"] {
        runtime.command([verb, "never-was"]).run().exits(1).fails().says("does not exist");
    }
    runtime.exec("never-was", ["true"]).exits(255).fails().says("does not exist");
}

#[test]
fn privileged_commands_without_an_id_fail() {
    let runtime = Runtime::new();
    for verb in ["create", "state", "start", "kill", "delete", "exec", "ps", "pause", "resume"] {
        runtime.command([verb]).run().fails();
    }
    runtime.command(["state", "one", "two"]).run().fails();
    runtime.command(["no-such-command"]).run().fails();
    runtime.command(["run", "--no-such-flag", "id"]).run().fails().says("no-such-flag");
}

#[test]
fn privileged_ids_that_are_no_names_are_refused() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle();
    for id in ["", ".", "..", "a/b", "/abs", "a b", "a\nb", "a\u{1b}[0m", "ä"] {
        let create = runtime.command(["create", "--bundle"]).arg(bundle.dir()).arg("--").arg(id);
        create.run().fails();
    }
    assert_eq!(runtime.command(["list", "--quiet"]).run().succeeds().stdout, "");
}

#[test]
fn privileged_ids_may_hold_what_runc_lets_them() {
    let runtime = Runtime::new();
    for id in ["_under", "a+b.c-d_e", "0"] {
        let bundle = waiting(&runtime);
        runtime.command(["create", "--bundle"]).arg(bundle.dir()).arg(id).run().succeeds();
        assert_eq!(runtime.status(id), "created");
        runtime.delete_force(id).succeeds();
        assert!(!runtime.knows(id));
    }
}

#[test]
fn privileged_pause_freezes_and_resume_thaws() {
    let runtime = Runtime::new();
    let bundle = waiting(&runtime);
    runtime.run_detached(&bundle);
    runtime.command(["pause", bundle.id()]).run().succeeds();
    assert_eq!(runtime.status(bundle.id()), "paused");
    runtime.command(["pause", bundle.id()]).run().fails();
    runtime.start(bundle.id()).fails();
    runtime.delete(bundle.id()).fails();
    runtime.exec(bundle.id(), ["true"]).exits(255).fails().says("paused");
    runtime.command(["resume", bundle.id()]).run().succeeds();
    assert_eq!(runtime.status(bundle.id()), "running");
    runtime.command(["resume", bundle.id()]).run().fails().says("not paused");
    runtime.exec(bundle.id(), ["true"]).succeeds();
}

#[test]
fn privileged_pause_refuses_a_stopped_container() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle();
    runtime.run_detached(&bundle);
    runtime.wait_for_status(bundle.id(), "stopped");
    runtime.command(["pause", bundle.id()]).run().fails().says("not running");
    runtime.command(["resume", bundle.id()]).run().fails().says("not paused");
}

#[test]
fn privileged_a_created_container_can_be_paused() {
    let runtime = Runtime::new();
    let bundle = waiting(&runtime);
    runtime.create(&bundle).succeeds();
    runtime.command(["pause", bundle.id()]).run().succeeds();
    assert_eq!(runtime.status(bundle.id()), "paused");
    runtime.start(bundle.id()).fails();
    runtime.command(["resume", bundle.id()]).run().succeeds();
    assert_eq!(runtime.status(bundle.id()), "created");
    runtime.start(bundle.id()).succeeds();
    assert_eq!(runtime.status(bundle.id()), "running");
}

#[test]
fn privileged_a_signal_to_a_paused_container_acts_when_it_is_resumed() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("trap 'exit 3' TERM; echo ready; while :; do sleep 0.02; done");
    let running = runtime.spawn(&bundle);
    running.wait_for_output("ready");
    runtime.command(["pause", bundle.id()]).run().succeeds();
    runtime.kill(bundle.id(), "TERM").succeeds();
    assert_eq!(runtime.status(bundle.id()), "paused");
    runtime.command(["resume", bundle.id()]).run().succeeds();
    running.wait().exits(3);
}

#[test]
fn privileged_kill_takes_names_numbers_and_the_default() {
    let runtime = Runtime::new();
    let script = "for s in HUP USR1 USR2 TERM RTMIN; do trap \"echo $s\" $s; done; echo ready; \
        while :; do sleep 0.02; done";
    let bundle = runtime.bundle().script(script);
    let running = runtime.spawn(&bundle);
    running.wait_for_output("ready");
    for (word, heard) in
        [("HUP", "HUP"), ("SIGUSR1", "USR1"), ("usr2", "USR2"), ("sigusr1", "USR1"), ("15", "TERM")]
    {
        let before = running.stdout();
        runtime.kill(bundle.id(), word).succeeds();
        let expected = format!("{before}{heard}\n");
        wait::until(&format!("{word} to arrive"), || (running.stdout() == expected).then_some(()));
    }
    let before = running.stdout();
    runtime.command(["kill", bundle.id()]).run().succeeds();
    wait::until("SIGTERM by default", || (running.stdout() == format!("{before}TERM\n")).then_some(()));
    runtime.kill(bundle.id(), "KILL").succeeds();
    running.wait().exits(137);
}

#[test]
fn privileged_kill_refuses_unknown_signals_and_signals_nobody() {
    let runtime = Runtime::new();
    let bundle = waiting(&runtime);
    runtime.run_detached(&bundle);
    for signal in ["FOO", "SIGFOO", "99", "-1", "1x"] {
        runtime.command(["kill", bundle.id(), "--", signal]).run().fails();
        runtime.command(["kill", bundle.id(), signal]).run().fails();
    }
    assert_eq!(runtime.status(bundle.id()), "running");
}

#[test]
fn privileged_kill_all_reaches_every_process() {
    let runtime = Runtime::new();
    let script = "sleep 1000 & echo $! >/child; echo ready; wait";
    let bundle = runtime.bundle().script(script).without_namespace("pid");
    let running = runtime.spawn(&bundle);
    running.wait_for_output("ready");
    let child: i32 =
        fs::read_to_string(bundle.path("child")).expect("written").trim().parse().expect("a pid");
    runtime.command(["kill", "--all", bundle.id(), "KILL"]).run().succeeds();
    wait::for_exit(child);
    running.wait().exits(137);
}

#[test]
fn privileged_run_forwards_signals() {
    let runtime = Runtime::new();
    let script = "for s in HUP INT QUIT USR1 USR2 TERM CONT; do trap \"echo got $s\" $s; done; echo ready; \
        while :; do sleep 0.02; done";
    let bundle = runtime.bundle().script(script);
    let running = runtime.spawn(&bundle);
    running.wait_for_output("ready");
    let signals = [
        (Signal::HUP, "HUP"),
        (Signal::INT, "INT"),
        (Signal::QUIT, "QUIT"),
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
        (Signal::TERM, "TERM"),
        (Signal::CONT, "CONT"),
    ];
    for (signal, name) in signals {
        running.signal(signal);
        running.wait_for_output(&format!("got {name}\n"));
    }
    runtime.kill(bundle.id(), "KILL").succeeds();
    running.wait().exits(137);
}

#[test]
fn privileged_a_signal_that_ends_the_container_ends_run() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("trap 'exit 3' TERM; echo ready; while :; do sleep 0.02; done");
    let running = runtime.spawn(&bundle);
    running.wait_for_output("ready");
    running.signal(Signal::TERM);
    running.wait().exits(3);
    assert!(!runtime.knows(bundle.id()));
}

#[test]
fn privileged_standard_streams_pass_through_apart() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("read line; echo out:$line; echo err:$line >&2");
    let outcome = runtime.run_command(&bundle).stdin("input\n").run().succeeds();
    assert_eq!(outcome.stdout, "out:input\n");
    assert_eq!(outcome.stderr, "err:input\n");
}

#[test]
fn privileged_large_binary_data_passes_through_unchanged() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["cat"]);
    let data: Vec<u8> = (0..32u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let outcome = runtime.run_command(&bundle).stdin(&data).run().succeeds();
    assert!(outcome.stdout_bytes == data, "{} of {} bytes came back", outcome.stdout_bytes.len(), data.len());
}

/// A descriptor that the runtime opens must not end up as a standard stream of the container.
#[test]
fn privileged_run_works_with_closed_standard_streams() {
    let runtime = Runtime::new();
    let bundle = runtime
        .bundle()
        .script("echo out; for n in 0 1 2; do readlink /proc/self/fd/$n; done >/links; exit 3");
    for closed in ["<&-", "2>&-", "<&- 2>&-"] {
        let run = runtime.run_command(&bundle).through(["sh", "-c", &format!("exec \"$@\" {closed}"), "sh"]);
        let outcome = run.run().exits(3);
        assert_eq!(outcome.stdout, "out\n", "{closed}");
        let links = fs::read_to_string(bundle.path("links")).expect("the container wrote it");
        assert!(!links.contains("state") && !links.contains("cgroup"), "{closed}: {links}");
    }
    let run = runtime.run_command(&bundle).through(["sh", "-c", "exec \"$@\" <&- >&- 2>&-", "sh"]);
    run.run().exits(3);
}

#[test]
fn privileged_run_ends_when_nobody_reads_its_output() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("while echo line; do :; done 2>/dev/null; exit 9");
    let script = "\"$@\" | head -n 1; echo ${PIPESTATUS[0]}";
    let run = runtime.run_command(&bundle).through(["bash", "-c", script, "bash"]);
    let outcome = run.run().succeeds();
    // The writer gets SIGPIPE, or EPIPE where it is ignored.
    assert!(["line\n9\n", "line\n141\n"].contains(&outcome.stdout.as_str()), "{}", outcome.describe());
}

#[test]
fn privileged_the_container_sees_the_end_of_a_piped_input() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("echo ready; wc -c");
    let mut running = runtime.run_command(&bundle).stdin_pipe().spawn();
    running.wait_for_output("ready");
    let mut pipe = running.stdin.take().expect("a pipe was asked for");
    std::io::Write::write_all(&mut pipe, b"12345").expect("the container reads");
    drop(pipe);
    assert_eq!(running.wait().succeeds().stdout, "ready\n5\n");
}

#[test]
fn privileged_no_descriptor_but_the_standard_streams_reaches_the_container() {
    let runtime = Runtime::new();
    let secret = runtime.scratch().join("secret");
    fs::write(&secret, "secret").expect("the scratch directory is writable");
    // The fourth is the directory that `ls` itself reads.
    let bundle = runtime.bundle().args(["ls", "/proc/self/fd"]);
    let outcome = runtime.run_command(&bundle).with_fd(3, &secret).with_fd(9, &secret).run().succeeds();
    assert_eq!(outcome.stdout, "0\n1\n2\n3\n");
}

#[test]
fn privileged_preserve_fds_hands_over_so_many_descriptors() {
    let runtime = Runtime::new();
    let (first, second) = (runtime.scratch().join("first"), runtime.scratch().join("second"));
    fs::write(&first, "one\n").expect("the scratch directory is writable");
    fs::write(&second, "two\n").expect("the scratch directory is writable");
    let bundle = runtime.bundle().script("cat <&3; cat <&4 2>/dev/null || echo closed");
    for (count, said) in [("1", "one\nclosed\n"), ("2", "one\ntwo\n")] {
        let run = runtime.bundle_command("run", &bundle, &["--preserve-fds", count]);
        assert_eq!(run.with_fd(3, &first).with_fd(4, &second).run().succeeds().stdout, said);
    }
}

#[test]
fn privileged_socket_activation_descriptors_are_handed_over() {
    let runtime = Runtime::new();
    let file = runtime.scratch().join("file");
    fs::write(&file, "activated\n").expect("the scratch directory is writable");
    let bundle = runtime.bundle().script("cat <&3; echo $LISTEN_FDS $LISTEN_PID");
    let run = runtime.run_command(&bundle).with_fd(3, &file);
    // They are meant for the process that LISTEN_PID names, which `exec` keeps.
    let run = run.through(["sh", "-c", "LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\"", "sh"]);
    assert_eq!(run.run().succeeds().stdout, "activated\n1 1\n");
}

#[test]
fn privileged_preserve_fds_also_works_over_create_and_start() {
    let runtime = Runtime::new();
    let file = runtime.scratch().join("file");
    fs::write(&file, "kept\n").expect("the scratch directory is writable");
    let bundle = runtime.bundle().script("cat <&3 >/copy; exec sleep 1000");
    runtime.bundle_command("create", &bundle, &["--preserve-fds", "1"]).with_fd(3, &file).run().succeeds();
    runtime.start(bundle.id()).succeeds();
    let copy = || fs::read_to_string(bundle.path("copy")).ok().filter(|text| !text.is_empty());
    assert_eq!(wait::until("the copy", copy), "kept\n");
}

#[test]
fn privileged_list_shows_the_columns_of_runc() {
    let runtime = Runtime::new();
    let header =
        |text: &str| text.lines().next().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let titles = Some("ID PID STATUS BUNDLE CREATED OWNER".to_owned());
    let empty = runtime.command(["list"]).run().succeeds();
    assert_eq!((header(&empty.stdout), empty.stdout.lines().count()), (titles.clone(), 1));
    assert_eq!(runtime.command(["list", "--format", "json"]).run().succeeds().stdout.trim(), "null");
    assert_eq!(runtime.command(["list", "--quiet"]).run().succeeds().stdout, "");

    let bundles = [waiting(&runtime), waiting(&runtime)];
    runtime.create(&bundles[0]).succeeds();
    runtime.run_detached(&bundles[1]);
    let table = runtime.command(["list"]).run().succeeds();
    assert_eq!((header(&table.stdout), table.stdout.lines().count()), (titles, 3));
    for (bundle, status) in bundles.iter().zip(["created", "running"]) {
        let row = table.stdout.lines().find(|line| line.starts_with(bundle.id())).expect("a row");
        let state = runtime.state(bundle.id());
        let cells: Vec<&str> = row.split_whitespace().collect();
        let dir = bundle.dir().display().to_string();
        let created = state["created"].as_str().expect("a time");
        assert_eq!(cells, [bundle.id(), &state["pid"].to_string(), status, &dir, created, "root"]);
    }
    let mut ids = [bundles[0].id(), bundles[1].id()];
    ids.sort_unstable();
    let quiet = runtime.command(["list", "-q"]).run().succeeds();
    assert_eq!(quiet.stdout.lines().collect::<Vec<_>>(), ids);
    runtime.command(["list", "--format", "yaml"]).run().fails();
}

#[test]
fn privileged_list_as_json_tells_the_state_and_the_owner() {
    let runtime = Runtime::new();
    let bundle = waiting(&runtime);
    runtime.create(&bundle).succeeds();
    let list = runtime.command(["list", "-f", "json"]).run().succeeds().json();
    let mut expected = runtime.state(bundle.id());
    expected["owner"] = json!("root");
    assert_eq!(list, json!([expected]));
}

#[test]
fn privileged_ps_tells_the_processes_of_the_container_alone() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("sleep 1234 & echo ready; wait");
    let running = runtime.spawn(&bundle);
    running.wait_for_output("ready");
    let pid = runtime.pid(bundle.id());
    let table = runtime.command(["ps", bundle.id()]).run().succeeds().stdout;
    assert!(table.lines().next().is_some_and(|line| line.contains("PID") && line.contains("CMD")), "{table}");
    assert!(table.contains("sleep 1234") && table.contains(&pid.to_string()), "{table}");
    assert_eq!(table.lines().count(), 3, "{table}");

    let json = runtime.command(["ps", "--format", "json", bundle.id()]).run().succeeds().json();
    let pids: Vec<i64> =
        json.as_array().expect("a list").iter().filter_map(serde_json::Value::as_i64).collect();
    assert!(pids.len() == 2 && pids.contains(&i64::from(pid)), "{pids:?}");

    let chosen = runtime.command(["ps", bundle.id(), "-o", "pid,comm"]).run().succeeds().stdout;
    assert!(
        chosen.lines().next().is_some_and(|line| line.split_whitespace().eq(["PID", "COMMAND"])),
        "{chosen}"
    );
    runtime.command(["ps", "--format", "yaml", bundle.id()]).run().fails();
    runtime.kill(bundle.id(), "KILL").succeeds();
    running.wait().exits(137);
}

#[test]
fn privileged_a_hundred_containers_started_at_once_are_all_there_and_all_go() {
    let runtime = Runtime::new();
    // One root file system is enough for all: they only look at it.
    let template = runtime.bundle().script("exec sleep 1000");
    let bundles: Vec<Bundle> = (0..100).map(|_| runtime.bundle_like(&template)).collect();
    let starts: Vec<_> =
        bundles.iter().map(|bundle| runtime.bundle_command("run", bundle, &["--detach"]).spawn()).collect();
    for start in starts {
        start.wait().succeeds();
    }
    let list = runtime.command(["list", "--format", "json"]).run().succeeds().json();
    let list = list.as_array().expect("a list");
    assert_eq!(list.iter().filter(|state| state["status"] == "running").count(), 100);
    let mut pids: Vec<i64> = list.iter().filter_map(|state| state["pid"].as_i64()).collect();
    pids.sort_unstable();
    pids.dedup();
    assert_eq!(pids.len(), 100);

    let ends: Vec<_> =
        bundles.iter().map(|bundle| runtime.command(["delete", "--force", bundle.id()]).spawn()).collect();
    for end in ends {
        end.wait().succeeds();
    }
    assert_eq!(runtime.command(["list", "--quiet"]).run().succeeds().stdout, "");
    for bundle in &bundles {
        assert_eq!(cgroup::existing(bundle.cgroup()), Vec::<std::path::PathBuf>::new());
    }
}

/// Differs from runc 1.1.5, which fails when a container goes while it lists.
#[test]
fn privileged_list_answers_while_containers_come_and_go() {
    let runtime = Runtime::new();
    let template = runtime.bundle();
    let stays = runtime.bundle_like(&template.args(["sleep", "1000"]));
    runtime.run_detached(&stays);
    let template = runtime.bundle();
    let bundles: Vec<Bundle> = (0..20).map(|_| runtime.bundle_like(&template)).collect();
    let runs: Vec<_> = bundles.iter().map(|bundle| runtime.spawn(bundle)).collect();
    for _ in 0..20 {
        let list = runtime.command(["list", "--format", "json"]).run().succeeds().json();
        let seen = list.as_array().is_some_and(|list| list.iter().any(|state| state["id"] == stays.id()));
        assert!(seen, "{list}");
    }
    for run in runs {
        run.wait().succeeds();
    }
    assert_eq!(runtime.command(["list", "--quiet"]).run().succeeds().stdout, format!("{}\n", stays.id()));
}

#[test]
fn privileged_one_id_created_by_many_at_once_is_created_once() {
    let runtime = Runtime::new();
    let bundle = waiting(&runtime);
    let creates: Vec<_> = (0..8).map(|_| runtime.bundle_command("create", &bundle, &[]).spawn()).collect();
    let outcomes: Vec<_> = creates.into_iter().map(mydocker_tests::Running::wait).collect();
    let won = outcomes.iter().filter(|outcome| outcome.status.success()).count();
    assert_eq!(won, 1, "{:#?}", outcomes.iter().map(|outcome| &outcome.stderr).collect::<Vec<_>>());
    assert_eq!(runtime.status(bundle.id()), "created");
    runtime.start(bundle.id()).succeeds();
    assert_eq!(runtime.status(bundle.id()), "running");
}

/// Differs from runc, where a late one may wait on the pipe of the start for ever.
#[test]
fn privileged_one_container_started_by_many_at_once_is_started_once() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("echo x >>/starts; exec sleep 1000");
    runtime.create(&bundle).succeeds();
    let starts: Vec<_> = (0..8).map(|_| runtime.command(["start", bundle.id()]).spawn()).collect();
    let won = starts
        .into_iter()
        .map(mydocker_tests::Running::wait)
        .filter(|outcome| outcome.status.success())
        .count();
    assert_eq!(won, 1);
    wait::until("the start", || bundle.path("starts").exists().then_some(()));
    assert_eq!(fs::read_to_string(bundle.path("starts")).expect("written"), "x\n");
}

/// Guards against a cgroup path that has found a new owner: what lives there is not the old container's.
#[test]
fn privileged_deleting_a_stopped_container_leaves_another_in_the_same_cgroup_alone() {
    let runtime = Runtime::new();
    let ended = runtime.bundle().args(["true"]);
    runtime.run_detached(&ended);
    runtime.wait_for_status(ended.id(), "stopped");
    let path = json!(ended.cgroup());
    let other = waiting(&runtime).with(|config| config["linux"]["cgroupsPath"] = path);
    runtime.run_detached(&other);
    runtime.delete(ended.id()).succeeds();
    assert_eq!(runtime.status(other.id()), "running");
    runtime.kill_and_delete(other.id());
}

/// Guards against a cgroup that was removed behind the runtime's back and made again by somebody else: a path is no
/// proof of what lives there.
#[test]
fn privileged_delete_force_leaves_a_cgroup_that_somebody_else_made_at_the_same_path_alone() {
    let runtime = Runtime::new();
    let bundle = waiting(&runtime).without_namespace("pid");
    runtime.run_detached(&bundle);
    let groups = cgroup::existing(bundle.cgroup());
    let init = runtime.pid(bundle.id());
    for group in &groups {
        fs::write(group.with_file_name("cgroup.procs"), init.to_string()).expect("the process can leave");
        fs::remove_dir(group).expect("it is empty");
        fs::create_dir(group).expect("somebody makes it again");
    }
    let newcomer = Newcomer::in_groups(&groups);
    runtime.delete_force(bundle.id()).succeeds();
    wait::for_exit(init);
    assert!(procfs::is_alive(newcomer.pid()), "a process that is not the container's was ended");
    drop(newcomer);
    groups.iter().for_each(|group| fs::remove_dir(group).expect("it is still there, and empty"));
}

/// A process of somebody else's.
struct Newcomer(std::process::Child);

impl Newcomer {
    /// One that is a member of `groups`; the new cpuset among them is given its parent's values first.
    fn in_groups(groups: &[std::path::PathBuf]) -> Self {
        let child = std::process::Command::new("sleep").arg("1000").spawn().expect("sleep runs");
        for group in groups {
            for file in ["cpuset.cpus", "cpuset.mems"] {
                if let Ok(value) = fs::read_to_string(group.with_file_name(file)) {
                    fs::write(group.join(file), value).expect("the cpuset takes its parent's values");
                }
            }
            fs::write(group.join("cgroup.procs"), child.id().to_string()).expect("it can join");
        }
        Self(child)
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).expect("a process id")
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        self.0.kill().expect("it is ours");
        self.0.wait().expect("it is ours");
    }
}

/// Guards against the kernel reaping children by itself, as it does for who ignores SIGCHLD.
#[test]
fn privileged_a_caller_that_ignores_the_end_of_children_still_gets_the_exit_status() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("exit 7");
    // A shell cannot ignore SIGCHLD for a program that it executes; Python can.
    let ignore = "import os,signal,sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execvp(sys.argv[1], sys.argv[1:])";
    runtime.run_command(&bundle).through(["python3", "-c", ignore]).run().exits(7);
}

/// Guards against a job of a shell's background, for which it ignores these: its program may not, or could not be
/// interrupted.
#[test]
fn privileged_signals_that_the_caller_ignores_reach_the_program() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["grep", "SigIgn", "/proc/self/status"]);
    let run = runtime.run_command(&bundle);
    let outcome = run.through(["sh", "-c", "trap '' INT QUIT TERM HUP; exec \"$@\"", "sh"]).run();
    let outcome = outcome.succeeds();
    let mask = outcome.stdout.split_whitespace().last().and_then(|mask| u64::from_str_radix(mask, 16).ok());
    let mask = mask.expect("a mask in hexadecimal");
    for signal in [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM] {
        assert_eq!(mask >> (signal.as_raw() - 1) & 1, 0, "{signal:?} is ignored: {mask:x}");
    }
}

/// Guards against a record that says "creating" for ever: it is so only while somebody makes the container.
#[test]
fn privileged_a_container_is_creating_as_long_as_its_maker_lives() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle();
    let (reached, released) = (bundle.dir().join("reached"), bundle.dir().join("released"));
    runtime.host(["mkfifo".as_ref(), released.as_os_str()]).run().succeeds();
    let script = format!("touch {}; read line <{}", reached.display(), released.display());
    let hook = json!({ "path": "/bin/sh", "args": ["sh", "-c", script] });
    let bundle = bundle.with(|config| config["hooks"] = json!({ "createRuntime": [hook] }));
    let maker = runtime.bundle_command("create", &bundle, &[]).spawn();
    wait::until("the hook to run", || reached.exists().then_some(()));
    assert_eq!(runtime.status(bundle.id()), "creating");
    let listed = runtime.command(["list"]).run().succeeds();
    assert!(listed.stdout.contains("creating"), "{}", listed.describe());
    maker.signal(Signal::KILL);
    maker.wait().discard();
    assert_eq!(runtime.status(bundle.id()), "stopped");
    runtime.delete_force(bundle.id()).succeeds();
    assert!(!runtime.knows(bundle.id()));
    fs::write(released, "go\n").expect("the hook still reads");
}
