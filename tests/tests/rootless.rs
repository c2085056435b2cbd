//! Containers of an ordinary user, and of root in a user namespace.

use mydocker_tests::user::{FIRST, Tester, UID, User, map_range};
use mydocker_tests::{Bundle, FdSocket, Outcome, Runtime, Terminal, cgroup, wait};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

/// What tells who somebody is.
const WHO: &str = "id -u; id -g; id -G; cat /proc/self/uid_map /proc/self/setgroups";

fn lines(outcome: &Outcome) -> Vec<String> {
    outcome.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// Runs a bundle as the user, detached, with a program that waits.
fn detached<'a>(user: &User<'_>, bundle: &'a Bundle) -> &'a str {
    user.bundle_command("run", bundle, &["--detach"]).run().succeeds().discard();
    bundle.id()
}

#[test]
fn privileged_an_ordinary_user_runs_what_spec_rootless_writes() {
    let runtime = Runtime::new();
    let user = User::new(&runtime);
    let bundle = user.bundle().script(&format!("{WHO}; touch /made; echo x >/dev/null"));
    let outcome = user.bundle_command("run", &bundle, &[]).run().succeeds();
    assert_eq!(lines(&outcome)[..2], ["0", "0"]);
    assert_eq!(lines(&outcome)[3..], [format!("0 {UID} 1"), "deny".to_owned()]);
    assert_eq!(fs::metadata(bundle.path("made")).expect("it was made").uid(), UID);
}

#[test]
fn privileged_a_users_container_lives_through_every_command() {
    let runtime = Runtime::new();
    let user = User::new(&runtime);
    let bundle = user.bundle().args(["sleep", "1000"]);
    let id = bundle.id();
    user.bundle_command("create", &bundle, &[]).run().succeeds().discard();
    let state = user.command(&["state", id]).run().succeeds().json();
    assert_eq!((&state["status"], &state["owner"]), (&json!("created"), &json!("")));
    assert_eq!(user.command(&["exec", id, "id", "-u"]).run().succeeds().stdout, "0\n");
    user.command(&["start", id]).run().succeeds().discard();
    assert_eq!(user.command(&["exec", id, "cat", "/proc/1/comm"]).run().succeeds().stdout, "sleep\n");
    let list = user.command(&["list"]).run().succeeds().stdout;
    assert!(list.lines().any(|line| line.starts_with(id) && line.trim_end().ends_with("mdt-user")), "{list}");
    user.command(&["delete", id]).run().fails().says("not stopped").discard();
    let pid = runtime.pid(id);
    user.command(&["kill", id, "KILL"]).run().succeeds().discard();
    wait::for_exit(pid);
    user.command(&["delete", id]).run().succeeds().discard();
    assert!(!runtime.knows(id));
}

/// runc 1.1.5 can do neither without a cgroup.
#[test]
fn privileged_without_a_cgroup_ps_and_kill_all_go_by_the_pid_namespace() {
    let runtime = Runtime::new();
    let user = User::new(&runtime);
    let bundle = user.bundle().script("sleep 1000 & sleep 1000 & wait");
    let id = detached(&user, &bundle);
    let pids = || user.command(&["ps", "--format", "json", id]).run().succeeds().json();
    let three = wait::until("three processes", || {
        Some(pids()).filter(|pids| pids.as_array().map(Vec::len) == Some(3))
    });
    let init = runtime.pid(id);
    assert!(three.as_array().is_some_and(|pids| pids.contains(&json!(init))), "{three}");
    user.command(&["pause", id]).run().fails().says("no cgroup").discard();
    user.command(&["kill", "--all", id, "KILL"]).run().succeeds().discard();
    wait::for_exit(init);
    user.command(&["delete", id]).run().succeeds().discard();
}

#[test]
fn privileged_ranges_are_mapped_by_newuidmap_and_groups_are_set_in_them() {
    let runtime = Runtime::new();
    let user = User::new(&runtime).with_ranges();
    let bundle = user.bundle().script(&format!("{WHO}; touch /tmp/made")).with(|config| {
        map_range(config, 1000);
        config["process"]["user"] = json!({"uid": 5, "gid": 6, "additionalGids": [7, 8]});
    });
    fs::set_permissions(bundle.path("tmp"), fs::Permissions::from_mode(0o1777)).expect("an own directory");
    // Differs from runc, which sets no groups for an ordinary user, not even where the kernel would let it.
    let outcome = user.bundle_command("run", &bundle, &[]).run().succeeds();
    let own = format!("0 {UID} 1");
    assert_eq!(lines(&outcome), ["5", "6", "6 7 8", &own, &format!("1 {FIRST} 1000"), "allow"]);
    let made = fs::metadata(bundle.path("tmp/made")).expect("it was made");
    assert_eq!((made.uid(), made.gid()), (FIRST + 4, FIRST + 5));
}

#[test]
fn privileged_exec_sets_the_groups_that_a_range_allows() {
    let runtime = Runtime::new();
    let user = User::new(&runtime).with_ranges();
    let bundle = user.bundle().args(["sleep", "1000"]).with(|config| map_range(config, 1000));
    let id = detached(&user, &bundle);
    let exec = |flags: &[&str]| user.command(&[&["exec"], flags, &[id, "id", "-G"]].concat()).run();
    assert_eq!(exec(&["--additional-gids", "9"]).succeeds().stdout, "0 9\n");
    // Nobody may leave groups of the host on a process inside.
    assert_eq!(exec(&[]).succeeds().stdout, "0\n");
}

#[test]
fn privileged_groups_that_a_single_mapping_cannot_have_are_refused() {
    let runtime = Runtime::new();
    let user = User::new(&runtime);
    let bundle = user.bundle().args(["sleep", "1000"]);
    let wished =
        |bundle: Bundle| bundle.with(|config| config["process"]["user"]["additionalGids"] = json!([0]));
    let id = detached(&user, &bundle);
    user.command(&["exec", "--additional-gids", "0", id, "id"]).run().fails().discard();
    user.command(&["delete", "--force", id]).run().succeeds().discard();
    let outcome = user.bundle_command("run", &wished(bundle), &[]).run().fails();
    outcome.says("cannot set any additional groups in a rootless container").discard();
}

#[test]
fn privileged_what_newuidmap_misses_is_named_and_nothing_is_left() {
    let runtime = Runtime::new();
    let user = User::new(&runtime);
    let bundle = user.bundle().args(["true"]).with(|config| map_range(config, 10));
    let run = |path: &str| {
        let path = format!("PATH={path}");
        user.runs(runtime.bundle_command("run", &bundle, &[]).through(["env", &path])).run()
    };
    run("/usr/bin").fails().says("/etc/subuid").says(&format!("{FIRST}:10")).discard();
    run("/no/bin").fails().says("newuidmap").says("package uidmap").discard();
    let tool = user.home().join("newuidmap");
    fs::copy("/usr/bin/newuidmap", &tool).expect("newuidmap is there");
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).expect("an own file");
    run(&user.home().display().to_string()).fails().says("set-user-ID").discard();
    let ranged = user.with_ranges();
    let locked = runtime.bundle_command("run", &bundle, &[]).through(["setpriv", "--no-new-privs"]);
    ranged.runs(locked).run().fails().says("no-new-privileges").discard();
    assert!(!runtime.knows(bundle.id()));
    ranged.bundle_command("run", &bundle, &[]).run().succeeds().discard();
}

#[test]
fn privileged_limits_and_paths_without_delegation_are_refused_before_anything_is_made() {
    let runtime = Runtime::new();
    let user = User::new(&runtime);
    let refused = |change: fn(&mut Value), word: &str| {
        let bundle = user.bundle().args(["true"]).with(change);
        user.bundle_command("run", &bundle, &[]).run().fails().says(word).discard();
        assert!(!runtime.knows(bundle.id()));
    };
    refused(|config| config["linux"]["resources"] = json!({"memory": {"limit": 33_554_432}}), "memory");
    refused(|config| config["linux"]["resources"] = json!({"pids": {"limit": 10}}), "pids");
    refused(|config| config["linux"]["cgroupsPath"] = json!("/mdt-nobodys"), "mdt-nobodys");
    // A device filter is none: without privileges nobody can make devices.
    let rule = json!({"devices": [{"allow": false, "access": "rwm"}]});
    let bundle = user.bundle().args(["true"]).with(|config| config["linux"]["resources"] = rule);
    user.bundle_command("run", &bundle, &[]).run().succeeds().discard();
}

#[test]
fn privileged_rootless_false_insists_on_the_cgroup_and_true_forgives_its_lack() {
    let runtime = Runtime::new();
    let user = User::new(&runtime);
    let bundle = user.bundle().args(["true"]);
    let run = |flag: &str| {
        let program = runtime.program().as_os_str().to_owned();
        let root = runtime.root();
        let words = ["--rootless", flag, "run", "--bundle"].map(Into::into);
        let all = [program, "--root".into(), root.into()].into_iter().chain(words);
        user.runs(runtime.host(all.chain([bundle.dir().into(), bundle.id().into()]))).run()
    };
    run("false").fails().says("cgroup").discard();
    run("true").succeeds().discard();
    run("auto").succeeds().discard();
}

#[test]
fn privileged_in_a_delegated_cgroup_limits_hold_and_the_container_can_be_frozen() {
    let runtime = Runtime::new();
    let user = User::new(&runtime).with_delegation();
    let limits = json!({"pids": {"limit": 33}});
    let bundle = user.bundle().args(["sleep", "1000"]).with(|config| config["linux"]["resources"] = limits);
    let id = detached(&user, &bundle);
    let path = format!("/{}/{id}", user.cgroup());
    let limit = cgroup::existing(&path).iter().find_map(|dir| fs::read_to_string(dir.join("pids.max")).ok());
    assert_eq!(limit.as_deref().map(str::trim), Some("33"));
    assert!(cgroup::processes(&path).contains(&runtime.pid(id)));
    user.command(&["pause", id]).run().succeeds().discard();
    assert_eq!(runtime.status(id), "paused");
    user.command(&["resume", id]).run().succeeds().discard();
    let inside = user.command(&["exec", id, "cat", "/proc/self/cgroup"]).run().succeeds().stdout;
    // With v2 alone there is a cgroup namespace, whose root is the container's group.
    assert!(inside.lines().any(|line| line.ends_with(id)) || inside == "0::/\n", "{inside}");
    assert_eq!(
        user.command(&["ps", "--format", "json", id]).run().succeeds().json(),
        json!([runtime.pid(id)])
    );
    user.command(&["kill", "--all", id, "KILL"]).run().succeeds().discard();
    runtime.wait_for_status(id, "stopped");
    user.command(&["delete", id]).run().succeeds().discard();
    assert_eq!(cgroup::existing(&path), Vec::<std::path::PathBuf>::new());
    user.end_delegation();
}

/// Nothing of the host's cgroups may be writable in a container that has none of its own (CVE-2023-25809).
/// The v2 group of a process.
fn group_of(pid: i32) -> String {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it lives");
    groups.trim_end().strip_prefix("0::").expect("cgroup v2 alone").to_owned()
}

fn read(group: &str, file: &str) -> String {
    let path = format!("/sys/fs/cgroup{group}/{file}");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}")).trim().to_owned()
}

/// Lives a container of the machine's user from its limits to its deletion; nothing of its group is left.
fn lives_and_ends(runtime: &Runtime, tester: &Tester<'_>, id: &str) {
    let pid = runtime.pid(id);
    let group = group_of(pid);
    assert!(group.starts_with("/user.slice/user-1000.slice/user@1000.service/"), "{group}");
    assert_eq!((read(&group, "pids.max"), read(&group, "memory.max")), ("33".into(), "67108864".into()));
    assert_eq!(tester.command(&["exec", id, "cat", "/proc/self/cgroup"]).run().succeeds().stdout, "0::/\n");
    tester.command(&["update", "--pids-limit", "44", id]).run().succeeds().discard();
    assert_eq!(read(&group, "pids.max"), "44");
    tester.command(&["pause", id]).run().succeeds().discard();
    assert_eq!((runtime.status(id), read(&group, "cgroup.freeze")), ("paused".into(), "1".into()));
    tester.command(&["resume", id]).run().succeeds().discard();
    tester.command(&["kill", "--all", id, "KILL"]).run().succeeds().discard();
    runtime.wait_for_status(id, "stopped");
    tester.command(&["delete", id]).run().succeeds().discard();
    assert!(!runtime.knows(id));
    let directory = format!("/sys/fs/cgroup{group}");
    wait::until("its group to be gone", || (!std::path::Path::new(&directory).exists()).then_some(()));
}

/// A bundle with limits, in a cgroup namespace of its own.
fn limited(tester: &Tester<'_>) -> Bundle {
    tester.bundle().args(["sleep", "1000"]).namespace("cgroup", None).with(|config| {
        config["linux"]["resources"] = json!({"pids": {"limit": 33}, "memory": {"limit": 67_108_864}});
    })
}

#[test]
fn privileged_v2_in_a_delegated_scope_of_systemd_the_runtime_makes_cgroups_by_itself() {
    // The scope's own group must be empty for its children to have controllers.
    const IN_A_LEAF: &str = "own=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)
        mkdir \"$own/shell\"; echo $$ >\"$own/shell/cgroup.procs\"
        sed -i \"s|/placed/later|${own#/sys/fs/cgroup}/$0|\" config.json; exec \"$@\"";
    let runtime = Runtime::new();
    let tester = Tester::new(&runtime);
    let bundle = limited(&tester).with(|config| config["linux"]["cgroupsPath"] = json!("/placed/later"));
    // sed makes a new file in the bundle.
    let run = runtime.bundle_command("run", &bundle, &["--detach"]).current_dir(bundle.dir());
    let run = run.through(["/bin/sh", "-ec", IN_A_LEAF, bundle.id()]);
    tester.runs(run).run().succeeds().discard();
    assert!(group_of(runtime.pid(bundle.id())).ends_with(&format!(".scope/{}", bundle.id())));
    lives_and_ends(&runtime, &tester, bundle.id());
}

#[test]
fn privileged_v2_the_users_own_systemd_makes_the_scope_of_a_container() {
    let runtime = Runtime::new();
    let tester = Tester::new(&runtime);
    let bundle = limited(&tester);
    let words = ["--systemd-cgroup", "run", "--detach", "--bundle"];
    let run = runtime.command(words).arg(bundle.dir()).arg(bundle.id());
    tester.runs(run).run().succeeds().discard();
    let group = group_of(runtime.pid(bundle.id()));
    assert!(group.ends_with(".scope") && group.contains(bundle.id()), "{group}");
    lives_and_ends(&runtime, &tester, bundle.id());
}

#[test]
fn privileged_a_container_without_a_cgroup_cannot_change_anybodys() {
    let runtime = Runtime::new();
    let user = User::new(&runtime).with_delegation();
    let name = user.cgroup().to_owned();
    for dir in cgroup::existing(&name) {
        std::os::unix::fs::chown(&dir, Some(0), Some(0)).expect("root may take it back");
    }
    let script = format!(
        "for dir in $(find /sys/fs/cgroup -type d); do
            mkdir $dir/{name}-evil && echo made $dir
            test -w $dir/cgroup.procs && echo 1 >$dir/cgroup.procs && echo wrote $dir
        done 2>/dev/null; echo done"
    );
    for namespaced in [false, true] {
        let mut bundle = user.bundle().script(&script);
        if namespaced {
            bundle = bundle.namespace("cgroup", None);
        }
        let outcome = user.bundle_command("run", &bundle, &[]).run().succeeds();
        assert_eq!(outcome.stdout, "done\n", "{}", outcome.describe());
    }
    user.end_delegation();
}

#[test]
fn privileged_the_state_of_a_user_lies_in_the_runtime_directory() {
    let runtime = Runtime::new();
    let user = User::new(&runtime);
    let bundle = user.bundle().args(["sleep", "1000"]);
    let call =
        |words: &[&str]| user.runs(runtime.host([runtime.program().to_str().expect("UTF-8")]).args(words));
    let dir = bundle.dir().to_str().expect("UTF-8");
    call(&["run", "--detach", "--bundle", dir, bundle.id()]).run().succeeds().discard();
    let made: Vec<_> = fs::read_dir(user.runtime_dir()).expect("it is readable").flatten().collect();
    assert_eq!(made.len(), 1, "{made:?}");
    assert_eq!(made[0].metadata().expect("it is there").mode() & 0o7777, 0o1700);
    assert!(made[0].path().join(bundle.id()).is_dir());
    call(&["delete", "--force", bundle.id()]).run().succeeds().discard();
    let nowhere = call(&["run", "--bundle", dir, bundle.id()]).env("XDG_RUNTIME_DIR", "").run();
    nowhere.fails().says("permission denied").discard();
}

#[test]
fn privileged_a_user_joins_the_user_namespace_of_an_own_container() {
    let runtime = Runtime::new();
    let user = User::new(&runtime).with_ranges();
    let first = user.bundle().args(["sleep", "1000"]).with(|config| map_range(config, 10));
    let id = detached(&user, &first);
    let pid = runtime.pid(id);
    let path = |kind: &str| std::path::PathBuf::from(format!("/proc/{pid}/ns/{kind}"));
    let second = user.bundle().script("cat /proc/self/uid_map; cat /proc/1/comm");
    let second = second.namespace("user", Some(&path("user"))).namespace("pid", Some(&path("pid")));
    let second = second.with(|config| map_range(config, 10));
    let outcome = user.bundle_command("run", &second, &[]).run().succeeds();
    let own = format!("0 {UID} 1");
    assert_eq!(lines(&outcome), [own.as_str(), &format!("1 {FIRST} 10"), "sleep"]);
}

#[test]
fn privileged_a_user_sets_the_clocks_of_a_time_namespace() {
    let runtime = Runtime::new();
    let user = User::new(&runtime).with_ranges();
    for range in [false, true] {
        let bundle = user.bundle().args(["cat", "/proc/uptime"]).namespace("time", None).with(|config| {
            config["linux"]["timeOffsets"] = json!({"boottime": {"secs": 1_000_000_000}});
            if range {
                map_range(config, 10);
            }
        });
        let outcome = user.bundle_command("run", &bundle, &[]).run().succeeds();
        let uptime: f64 =
            outcome.stdout.split('.').next().and_then(|text| text.parse().ok()).expect("a number");
        assert!(uptime > 1e9, "{}", outcome.stdout);
    }
}

#[test]
fn privileged_a_users_container_and_what_joins_it_have_the_oom_score_that_is_asked_for() {
    const SCORE: &str = "/proc/self/oom_score_adj";
    let runtime = Runtime::new();
    let user = User::new(&runtime);
    let scored = |score: i32| {
        let bundle = user.bundle().script(&format!("cat {SCORE}; exec sleep 1000"));
        bundle.with(|config| config["process"]["oomScoreAdj"] = json!(score))
    };
    let bundle = scored(623);
    let id = bundle.id();
    user.bundle_command("create", &bundle, &[]).run().succeeds().discard();
    let of_first =
        || fs::read_to_string(format!("/proc/{}/oom_score_adj", runtime.pid(id))).expect("it lives");
    assert_eq!(of_first(), "623\n");
    user.command(&["start", id]).run().succeeds().discard();
    assert_eq!(of_first(), "623\n");
    assert_eq!(user.command(&["exec", id, "cat", SCORE]).run().succeeds().stdout, "623\n");
    let bundle = scored(-1000);
    let outcome = user.bundle_command("run", &bundle, &[]).run().fails();
    outcome.says("oom_score_adj to -1000").says("CAP_SYS_RESOURCE").discard();
    assert!(!runtime.knows(bundle.id()));
}

#[test]
fn privileged_a_user_gets_a_terminal() {
    let runtime = Runtime::new();
    let user = User::new(&runtime);
    let bundle = user.bundle().script("tty; test -c /dev/console && echo console");
    let bundle = bundle.with(|config| config["process"]["terminal"] = json!(true));
    let mut terminal = Terminal::open();
    let running = user.bundle_command("run", &bundle, &[]).on_terminal(&terminal).spawn();
    let said = terminal.read_until("console");
    assert!(said.contains("/dev/pts/0"), "{said}");
    running.wait().succeeds().discard();
}

#[test]
fn privileged_a_user_gets_the_listener_of_a_filter() {
    let runtime = Runtime::new();
    let user = User::new(&runtime).with_ranges();
    let socket = FdSocket::bind(runtime.scratch().join("agent"));
    fs::set_permissions(socket.path(), fs::Permissions::from_mode(0o777)).expect("an own socket");
    let filter = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}],
        "listenerPath": socket.path(),
    });
    let bundle = user.bundle().script("mkdir /tmp/new; echo done").with(|config| {
        config["linux"]["seccomp"] = filter;
        map_range(config, 10);
    });
    let running = user.bundle_command("run", &bundle, &[]).spawn();
    let (sent, fds) = socket.receive_json();
    assert_eq!(sent["state"]["id"], bundle.id());
    drop(fds);
    assert_eq!(running.wait().succeeds().stdout, "done\n");
}

#[test]
fn privileged_what_a_user_binds_keeps_the_hosts_restrictions() {
    let runtime = Runtime::new();
    let user = User::new(&runtime);
    fs::write(user.home().join("file"), "from home\n").expect("an own directory");
    let script =
        "cat /bound/file; touch /bound/new || echo read-only; mount -o remount,rw /bound || echo locked";
    let bundle = user.bundle().script(script).mount("/bound", "bind", user.home(), &["rbind", "ro"]);
    let outcome = user.bundle_command("run", &bundle, &[]).run().succeeds();
    assert_eq!(outcome.stdout, "from home\nread-only\nlocked\n");
}

/// Words that make the user root in a user namespace with all of the user's ids.
const BECOME_ROOT: [&str; 4] = ["unshare", "--user", "--map-root-user", "--map-auto"];

#[test]
fn privileged_root_in_a_user_namespace_runs_an_ordinary_bundle() {
    let runtime = Runtime::new();
    let user = User::new(&runtime).with_ranges();
    let bundle = user.plain_bundle().script(&format!("{WHO}; echo x >/dev/null && sleep 1000"));
    let nested = |command: mydocker_tests::Invocation| user.runs(command.through(BECOME_ROOT));
    let id = bundle.id();
    nested(runtime.bundle_command("create", &bundle, &[])).run().succeeds().discard();
    let pid = runtime.pid(id);
    let map = fs::read_to_string(format!("/proc/{pid}/uid_map")).expect("it lives");
    assert_eq!(map.split_whitespace().take(3).collect::<Vec<_>>(), ["0", &UID.to_string(), "1"]);
    // Another user namespace of the same user has no power over what the first one owns.
    nested(runtime.command(["state", id])).run().succeeds().discard();
    runtime.start(id).succeeds().discard();
    runtime.kill_and_delete(id);
}

#[test]
fn privileged_root_in_a_user_namespace_execs_and_nests_another() {
    let runtime = Runtime::new();
    let user = User::new(&runtime).with_ranges();
    let bundle = user.plain_bundle().args(["sleep", "1000"]).namespace("user", None).with(|config| {
        let map = json!([
            {"containerID": 0, "hostID": 0, "size": 1},
            {"containerID": 1, "hostID": 1, "size": 99},
        ]);
        config["linux"]["uidMappings"] = map.clone();
        config["linux"]["gidMappings"] = map;
    });
    let script = "set -e; \"$0\" --root \"$1\" run --detach --bundle \"$2\" \"$3\" >/dev/null
        \"$0\" --root \"$1\" exec --user 5:6 \"$3\" sh -c 'id -u; id -g; echo x >/dev/null && echo written'
        \"$0\" --root \"$1\" delete --force \"$3\"";
    let (root, program) = (runtime.root(), runtime.program().to_owned());
    let words =
        ["/bin/sh".into(), "-c".into(), script.into(), program.into_os_string(), root.into_os_string()];
    let command = runtime.host(words).arg(bundle.dir()).arg(bundle.id()).through(BECOME_ROOT);
    assert_eq!(user.runs(command).run().succeeds().stdout, "5\n6\nwritten\n");
    assert!(!runtime.knows(bundle.id()));
}

#[test]
fn privileged_groups_are_left_alone_where_an_outer_namespace_denies_setgroups() {
    let runtime = Runtime::new();
    let user = User::new(&runtime);
    let bundle = user
        .plain_bundle()
        .script("cat /proc/self/setgroups; echo x >/dev/null && echo written")
        .with(|config| {
            for mount in config["mounts"].as_array_mut().expect("an array") {
                if let Some(options) = mount["options"].as_array_mut() {
                    options.retain(|option| option != "gid=5");
                }
            }
        });
    let alone = ["unshare", "--user", "--map-root-user"];
    let run = |bundle: &Bundle| user.runs(runtime.run_command(bundle).through(alone)).run();
    assert_eq!(run(&bundle).succeeds().stdout, "deny\nwritten\n");
    // Differs from runc, which leaves out the groups without a word.
    let bundle = bundle.with(|config| config["process"]["user"]["additionalGids"] = json!([0]));
    run(&bundle).fails().says("setgroups").discard();
}

#[test]
fn privileged_nobody_inside_reaches_the_host_through_a_created_container() {
    let runtime = Runtime::new();
    let user = User::new(&runtime);
    let bundle = user.bundle().args(["sleep", "1000"]);
    user.bundle_command("create", &bundle, &[]).run().succeeds().discard();
    let script =
        "for fd in /proc/1/fd/*; do test -d $fd/. && echo directory $fd $(readlink $fd); done; echo looked";
    let looked = user.command(&["exec", bundle.id(), "sh", "-c", script]).run().succeeds();
    assert_eq!(looked.stdout, "looked\n", "{}", looked.describe());
}
