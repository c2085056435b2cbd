//! The life of a container: every transition between its states, and every refusal of one.

use mydocker_tests::{Bundle, Runtime, cgroup, procfs, wait};
use rustix::process::Signal;
use serde_json::json;
use std::fs;

/// Differs from runc and crun, which refuse to create it too.
#[test]
fn privileged_run_refuses_a_container_without_a_process_before_anything_is_made() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().with(|config| {
        config.as_object_mut().expect("an object").remove("process").expect("a process");
        config["hooks"]["prestart"] = json!([{"path": "/bin/touch", "args": ["touch", "hooked"]}]);
    });
    for flags in [&[][..], &["--detach"]] {
        runtime.bundle_command("run", &bundle, flags).run().fails().says("/process").says("nothing to start");
        assert!(!runtime.knows(bundle.id()) && cgroup::existing(bundle.cgroup()).is_empty());
        assert!(!bundle.dir().join("hooked").exists());
    }
    runtime.create(&bundle).succeeds();
    runtime.start(bundle.id()).fails().says("/process").says("nothing to start");
    runtime.delete_force(bundle.id()).succeeds();
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
    let bundle = runtime.waiting_bundle();
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
    let bundle = runtime.waiting_bundle();
    for _ in 0..2 {
        runtime.create(&bundle).succeeds();
        runtime.start(bundle.id()).succeeds();
        runtime.kill_and_delete(bundle.id());
    }
}

#[test]
fn privileged_an_id_that_exists_is_refused_and_its_container_lives_on() {
    let runtime = Runtime::new();
    let bundle = runtime.waiting_bundle();
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
    let bundle = runtime.waiting_bundle();
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
    let bundle = runtime.waiting_bundle();
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
    let bundle = runtime.waiting_bundle();
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
    let bundle = runtime.waiting_bundle();
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
        let bundle = runtime.waiting_bundle();
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
    let bundle = runtime.waiting_bundle();
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
    let bundle = runtime.waiting_bundle();
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
    let bundle = runtime.waiting_bundle();
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

    let bundle = runtime.waiting_bundle();
    runtime.command(["run", "--detach"]).arg(bundle.dir()).run().succeeds();
    assert_eq!(runtime.status(bundle.id()), "running");

    // However the directory is written, its own name is the id.
    for form in [".", "./", "DIR/"] {
        let bundle = runtime.waiting_bundle();
        let path = form.replace("DIR", &bundle.dir().display().to_string());
        runtime.command(["run", "--detach"]).arg(path).current_dir(bundle.dir()).run().succeeds();
        assert_eq!(runtime.status(bundle.id()), "running");
    }
}

#[test]
fn privileged_run_refuses_a_bundle_directory_whose_name_is_no_id() {
    let runtime = Runtime::new();
    let bundle = runtime.waiting_bundle();
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

/// Where the container has a pid namespace of its own they get its first process.
#[test]
fn privileged_run_adopts_the_containers_orphans() {
    for (flags, adopts) in [(&[][..], true), (&["--no-subreaper"][..], false)] {
        let runtime = Runtime::new();
        let bundle = runtime.bundle().without_namespace("pid");
        let bundle = bundle.script("(sleep 60 & echo orphan $!.); read line; exit 0");
        let running = runtime.bundle_command("run", &bundle, flags).stdin_pipe().spawn();
        running.wait_for_output(".");
        let orphan: i32 =
            running.stdout().trim_matches(|letter: char| !letter.is_ascii_digit()).parse().expect("a pid");
        let parent = || procfs::status_field(orphan, "PPid").expect("it sleeps");
        let own = running.pid().to_string();
        wait::until("a new parent", || (parent() != runtime.pid(bundle.id()).to_string()).then_some(()));
        assert_eq!(parent() == own, adopts, "{flags:?}");
        running.wait().succeeds();
    }
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
        let bundle = runtime.waiting_bundle();
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
        runtime.waiting_bundle().with(|config| config["annotations"] = json!({"org.example.key": "a value"}));
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
        let bundle = runtime.waiting_bundle();
        runtime.command(["create", "--bundle"]).arg(bundle.dir()).arg(id).run().succeeds();
        assert_eq!(runtime.status(id), "created");
        runtime.delete_force(id).succeeds();
        assert!(!runtime.knows(id));
    }
}

#[test]
fn privileged_pause_freezes_and_resume_thaws() {
    let runtime = Runtime::new();
    let bundle = runtime.waiting_bundle();
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
    let bundle = runtime.waiting_bundle();
    runtime.create(&bundle).succeeds();
    runtime.command(["pause", bundle.id()]).run().succeeds();
    assert_eq!(runtime.status(bundle.id()), "paused");
    runtime.start(bundle.id()).fails();
    runtime.command(["resume", bundle.id()]).run().succeeds();
    assert_eq!(runtime.status(bundle.id()), "created");
    runtime.start(bundle.id()).succeeds();
    assert_eq!(runtime.status(bundle.id()), "running");
}

/// Guards against a cgroup path that has found a new owner: what lives there is not the old container's.
#[test]
fn privileged_deleting_a_stopped_container_leaves_another_in_the_same_cgroup_alone() {
    let runtime = Runtime::new();
    let ended = runtime.bundle().args(["true"]);
    runtime.run_detached(&ended);
    runtime.wait_for_status(ended.id(), "stopped");
    let path = json!(ended.cgroup());
    let other = runtime.waiting_bundle().with(|config| config["linux"]["cgroupsPath"] = path);
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
    let bundle = runtime.waiting_bundle().without_namespace("pid");
    runtime.run_detached(&bundle);
    let groups = cgroup::existing(bundle.cgroup());
    assert_newcomer_survives_delete_force(&runtime, &bundle, &groups);
    groups.iter().for_each(|group| fs::remove_dir(group).expect("it is still there, and empty"));
}

/// The same where the others stayed as they were: of a container that nobody attends each is known by itself.
#[test]
fn privileged_delete_force_leaves_a_cgroup_that_was_made_again_in_one_hierarchy_alone() {
    let runtime = Runtime::new();
    for number in 0..cgroup::hierarchies().len() {
        let bundle = runtime.waiting_bundle().without_namespace("pid");
        runtime.run_detached(&bundle);
        let groups = cgroup::existing(bundle.cgroup());
        let Some(group) = groups.get(number..=number) else { break };
        assert_newcomer_survives_delete_force(&runtime, &bundle, group);
        assert_eq!(cgroup::existing(bundle.cgroup()), group);
        fs::remove_dir(&group[0]).expect("it is still there, and empty");
    }
}

/// The same where the runtime that would have removed them was killed.
#[test]
fn privileged_delete_force_after_a_killed_run_leaves_a_cgroup_that_somebody_else_made_alone() {
    let runtime = Runtime::new();
    let bundle = runtime.waiting_bundle().without_namespace("pid");
    kill_attendant(&runtime, &bundle);
    let groups = cgroup::existing(bundle.cgroup());
    assert_newcomer_survives_delete_force(&runtime, &bundle, &groups);
    groups.iter().for_each(|group| fs::remove_dir(group).expect("it is still there, and empty"));
}

/// Guards against cgroups that nobody takes for the container's any more: they are not known one by one there.
#[test]
fn privileged_delete_force_after_a_killed_run_ends_what_is_in_the_cgroups_and_below() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("sleep 1000 & sleep 1000").without_namespace("pid");
    kill_attendant(&runtime, &bundle);
    let groups = cgroup::existing(bundle.cgroup());
    let processes = wait::until("the second process", || {
        Some(cgroup::processes(bundle.cgroup())).filter(|processes| processes.len() > 1)
    });
    groups.iter().for_each(|group| fs::create_dir(group.join("below")).expect("a cgroup below"));
    runtime.delete_force(bundle.id()).succeeds();
    assert!(processes.into_iter().all(|pid| !procfs::is_alive(pid)), "a process of the container is left");
    assert!(cgroup::existing(bundle.cgroup()).is_empty());
}

/// Runs a container in the foreground and kills the runtime that attends it.
fn kill_attendant(runtime: &Runtime, bundle: &Bundle) {
    let run = runtime.spawn(bundle);
    wait::until("the container to run", || {
        (runtime.knows(bundle.id()) && runtime.status(bundle.id()) == "running").then_some(())
    });
    run.signal(Signal::KILL);
    run.wait().discard();
}

/// Has the container's first process leave `groups`, and somebody else remove them, make them again and move in.
fn assert_newcomer_survives_delete_force(runtime: &Runtime, bundle: &Bundle, groups: &[std::path::PathBuf]) {
    let init = runtime.pid(bundle.id());
    for group in groups {
        // With cgroup v2 a process may not be beside the children that it was among, but in the root.
        let root =
            cgroup::hierarchies().into_iter().find(|root| group.starts_with(root)).expect("a hierarchy");
        fs::write(root.join("cgroup.procs"), init.to_string()).expect("the process can leave");
        fs::remove_dir(group).expect("it is empty");
        fs::create_dir(group).expect("somebody makes it again");
    }
    let newcomer = Newcomer::in_groups(groups);
    runtime.delete_force(bundle.id()).succeeds();
    wait::for_exit(init);
    assert!(procfs::is_alive(newcomer.pid()), "a process that is not the container's was ended");
}

/// A process of somebody else's.
struct Newcomer(std::process::Child);

impl Newcomer {
    /// One that is a member of `groups`; the new cpuset among them is given its parent's values first.
    fn in_groups(groups: &[std::path::PathBuf]) -> Self {
        let child = std::process::Command::new("sleep").arg("1000").spawn().expect("sleep runs");
        for group in groups {
            for file in ["cpuset.cpus", "cpuset.mems"] {
                if let Ok(value) = fs::read_to_string(group.with_file_name(file))
                    && group.join(file).exists()
                {
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
