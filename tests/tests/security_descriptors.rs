//! What a container could take hold of: descriptors, the runtime's own process while it joins a container, the
//! runtime's program file, a working directory outside.

use mydocker_tests::canary::SECRET;
use mydocker_tests::{Bundle, Canary, Invocation, Outcome, Runtime, runtime, wait};
use serde_json::json;
use std::fs;
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// All capabilities up to Linux 6.
const ALL_CAPABILITIES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// The most that this machine's root can give: a bundle cannot ask for more than the runtime has.
fn own_capabilities() -> Vec<&'static str> {
    let mask =
        mydocker_tests::procfs::status_field(rustix::process::getpid().as_raw_nonzero().get(), "CapEff");
    let mask = u64::from_str_radix(&mask.expect("the kernel tells them"), 16).expect("a mask");
    let named = ALL_CAPABILITIES.iter().enumerate();
    named.filter(|(number, _)| mask & (1 << number) != 0).map(|(_, name)| *name).collect()
}

/// A bundle with the attack program in it and every capability.
fn attacker(runtime: &Runtime) -> Bundle {
    let caps = json!(own_capabilities());
    let bundle = runtime.bundle().with(|config| {
        config["process"]["capabilities"] = json!({"bounding": caps, "effective": caps, "permitted": caps});
        config["process"]["noNewPrivileges"] = json!(false);
    });
    let program = bundle.path("attack");
    fs::copy(env!("CARGO_BIN_EXE_attack"), &program).expect("the root file system is writable");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("an own file");
    bundle
}

/// Lengthens the moments before and after every execve, in which the runtime is already in the container, so that
/// an attack that has to be quick need not be lucky.
fn slowly(command: Invocation, moment: &str, log: &Path) -> Invocation {
    let calls = "execve,execveat";
    let inject = format!("inject={calls}:{moment}=100000");
    let log = log.display().to_string();
    command.through(["strace", "-f", "-qq", "-o", &log, "-e", &format!("trace={calls}"), "-e", &inject])
}

/// Ends the attack that runs in the bundle's container, and returns what it has written down.
fn stop_attack(runtime: &Runtime, bundle: &Bundle) -> String {
    fs::write(bundle.path("tmp/stop"), "").expect("the root file system is writable");
    runtime.wait_for_status(bundle.id(), "stopped");
    let log = fs::read_to_string(bundle.path("tmp/log")).expect("the attack wrote a log");
    assert!(log.ends_with("done\n"), "the attack failed: {log}");
    log
}

fn wait_for_log(bundle: &Bundle, text: &str) {
    wait::until(&format!("{text:?} in the attack's log"), || {
        fs::read_to_string(bundle.path("tmp/log")).unwrap_or_default().contains(text).then_some(())
    });
}

/// Brings a process into the attack's container, again until the attack has seen so many: on a busy machine it may get no
/// time while one is there.
fn until_seen(bundle: &Bundle, wanted: usize, mut bait: impl FnMut(usize)) {
    for round in 0..8 * wanted {
        bait(round);
        let log = fs::read_to_string(bundle.path("tmp/log")).unwrap_or_default();
        if log.matches("saw").count() >= wanted {
            return;
        }
    }
    panic!("the attack always came too late");
}

/// CVE-2016-9962: a container with CAP_SYS_PTRACE looks into the process that `exec` brings in, and takes its
/// descriptors, before that process has become the container's program.
fn look_into_exec(host_id: u32) {
    let runtime = Runtime::new();
    let bundle =
        attacker(&runtime).user_namespace(host_id, 65536).args(["/attack", "peek", "/tmp/log", "/tmp/stop"]);
    runtime.run_detached(&bundle);
    wait_for_log(&bundle, "ready");
    until_seen(&bundle, 5, |round| {
        let exec = runtime.command(["exec", bundle.id(), "true"]);
        let log = runtime.scratch().join(format!("out/strace-{round}"));
        slowly(exec, "delay_enter", &log).run().succeeds().discard();
    });
    let log = stop_attack(&runtime, &bundle);
    assert!(!log.contains("leak"), "the container looked into the runtime: {log}");
}

#[test]
fn privileged_a_container_cannot_look_into_a_process_that_joins_its_user_namespace() {
    look_into_exec(100_000);
}

#[test]
fn privileged_a_container_whose_root_is_the_hosts_root_cannot_look_into_a_process_that_joins_it() {
    // No user id changes on the way in, so the kernel makes nothing undumpable by itself.
    look_into_exec(0);
}

#[test]
fn privileged_a_container_cannot_look_into_one_that_is_made_in_its_namespaces() {
    let runtime = Runtime::new();
    let bundle =
        attacker(&runtime).user_namespace(0, 65536).args(["/attack", "peek", "/tmp/log", "/tmp/stop"]);
    runtime.run_detached(&bundle);
    wait_for_log(&bundle, "ready");
    let pid = runtime.pid(bundle.id());
    let own = |kind: &str| PathBuf::from(format!("/proc/{pid}/ns/{kind}"));
    until_seen(&bundle, 3, |round| {
        // Old versions of runc want to see the mappings of the joined namespace too.
        let victim = runtime.bundle().user_namespace(0, 65536);
        let victim = victim.namespace("user", Some(&own("user"))).namespace("pid", Some(&own("pid")));
        let log = runtime.scratch().join(format!("out/strace-{round}"));
        slowly(runtime.run_command(&victim), "delay_enter", &log).run().succeeds().discard();
    });
    let log = stop_attack(&runtime, &bundle);
    assert!(!log.contains("leak"), "the container looked into the runtime: {log}");
}

#[test]
fn privileged_descriptors_of_the_caller_and_of_the_runtime_do_not_reach_the_container() {
    let runtime = Runtime::new();
    let canary = Canary::new();
    // The shell reads its own directory through a child, whose descriptor is not in it.
    let bundle = runtime.bundle().script("ls /proc/1/fd; true");
    let outcome = with_descriptors(runtime.run_command(&bundle), &canary).run().succeeds();
    assert_eq!(outcome.stdout, "0\n1\n2\n");

    let bundle = runtime.bundle().args(["sleep", "1000"]);
    with_descriptors(runtime.bundle_command("run", &bundle, &["--detach"]), &canary)
        .run()
        .succeeds()
        .discard();
    let exec = runtime.command(["exec", bundle.id(), "sh", "-c", "ls /proc/1/fd /proc/$$/fd; true"]);
    let outcome = with_descriptors(exec, &canary).run().succeeds();
    let numbers: Vec<&str> = outcome.stdout.lines().filter(|line| line.parse::<u32>().is_ok()).collect();
    assert_eq!(numbers, ["0", "1", "2", "0", "1", "2"], "{}", outcome.describe());
}

/// The runtime that the test may lose: a copy of the program under test.
struct Copy {
    runtime: Runtime,
    dir: TempDir,
}

impl Copy {
    fn new() -> Self {
        let original = runtime::program();
        let dir = tempfile::tempdir().expect("a temporary directory");
        let copy = dir.path().join(original.file_name().expect("a program has a name"));
        fs::copy(&original, &copy).expect("the temporary directory is writable");
        Self { runtime: Runtime::at(copy), dir }
    }

    /// CVE-2019-5736: the attack got hold of an executable that is not the container's, waited until nobody ran it any
    /// more, and then wrote to it.
    ///
    /// `bait` brings a process of the runtime into the container, again until the attack has caught one: on a busy machine
    /// it may get no time while one is there.
    fn assert_intact_after(&self, bundle: &Bundle, mut bait: impl FnMut()) {
        let caught = || fs::read_to_string(bundle.path("tmp/log")).unwrap_or_default().contains("held");
        let mut rounds = 0..20;
        while !caught() {
            assert!(rounds.next().is_some(), "the attack has never caught the runtime");
            bait();
        }
        wait_for_log(bundle, "tried to");
        let log = stop_attack(&self.runtime, bundle);
        let (copy, original) = (fs::read(self.runtime.program()), fs::read(runtime::program()));
        let same = copy.expect("the copy is readable") == original.expect("the program is readable");
        assert!(same, "the container has overwritten {}: {log}", self.dir.path().display());
        assert!(!log.contains("wrote"), "the container has written to the runtime: {log}");
    }
}

fn overwriting(runtime: &Runtime) -> Bundle {
    let bundle = attacker(runtime).args(["/attack", "overwrite", "/tmp/log", "/tmp/stop"]);
    let script = bundle.path("evil");
    fs::write(&script, "#!/proc/self/exe\n").expect("the root file system is writable");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("an own file");
    runtime.run_detached(&bundle);
    wait_for_log(&bundle, "ready");
    bundle
}

#[test]
fn privileged_the_runtime_survives_an_exec_of_its_own_program() {
    let copy = Copy::new();
    let bundle = overwriting(&copy.runtime);
    let log = copy.runtime.scratch().join("out/strace");
    // The runtime is started once more, inside, by the interpreter line; what it says there is of no interest.
    copy.assert_intact_after(&bundle, || {
        let exec = copy.runtime.command(["exec", bundle.id(), "/evil"]);
        slowly(exec, "delay_exit", &log).run().discard();
    });
}

#[test]
fn privileged_the_runtime_survives_a_privileged_container_that_waits_for_exec() {
    let copy = Copy::new();
    let bundle = overwriting(&copy.runtime);
    let log = copy.runtime.scratch().join("out/strace");
    copy.assert_intact_after(&bundle, || {
        let exec = copy.runtime.command(["exec", bundle.id(), "true"]);
        slowly(exec, "delay_enter", &log).run().succeeds().discard();
    });
}

#[test]
fn privileged_the_runtime_survives_a_run_of_its_own_program() {
    let copy = Copy::new();
    let bundle = overwriting(&copy.runtime);
    let pid = copy.runtime.pid(bundle.id());
    let log = copy.runtime.scratch().join("out/strace");
    copy.assert_intact_after(&bundle, || {
        for entry_point in ["/evil", "/proc/self/exe"] {
            // It shares the attacker's process ids, so that the attacker sees it.
            let victim = copy.runtime.bundle().args([entry_point]);
            let victim = victim.namespace("pid", Some(Path::new(&format!("/proc/{pid}/ns/pid"))));
            fs::copy(bundle.path("evil"), victim.path("evil")).expect("the root file system is writable");
            slowly(copy.runtime.run_command(&victim), "delay_exit", &log).run().discard();
        }
    });
}

/// Whoever may look into the first process gets at its files as well as at its program (`/proc/PID/map_files`), keeps them
/// open, and writes when nobody runs them any more.
#[test]
fn privileged_nothing_that_the_first_process_ran_from_can_be_written() {
    let copy = Copy::new();
    let bundle = copy.runtime.waiting_bundle();
    copy.runtime.create(&bundle).succeeds();
    let process = PathBuf::from(format!("/proc/{}", copy.runtime.pid(bundle.id())));
    let mapped = fs::read_dir(process.join("map_files")).expect("it runs");
    let mapped: Vec<PathBuf> = mapped.map(|entry| entry.expect("an entry").path()).collect();
    assert!(mapped.len() >= 3, "{mapped:?}");
    let files = mapped.into_iter().chain([process.join("exe")]);
    let held: Vec<fs::File> = files.map(|file| fs::File::open(file).expect("it can be read")).collect();
    copy.runtime.delete_force(bundle.id()).succeeds();
    for file in held {
        let again = format!("/proc/self/fd/{}", file.as_raw_fd());
        let refused = fs::OpenOptions::new().write(true).open(again).expect_err("it is read-only");
        assert_eq!(refused.kind(), ErrorKind::ReadOnlyFilesystem);
    }
}

/// A dynamic loader does that for its programs (RELRO); a static one has to do it by itself.
#[test]
fn privileged_the_runtimes_tables_of_pointers_cannot_be_written() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("echo ready; read line; exit 0");
    let running = runtime.run_command(&bundle).stdin_pipe().spawn();
    running.wait_for_output("ready");
    let maps = fs::read_to_string(format!("/proc/{}/maps", running.pid())).expect("it runs");
    let rights = |line: &str| line.split(' ').nth(1).map(str::to_owned);
    let of_file = maps.lines().filter(|line| !line.contains(" 00:00 0"));
    let of_file: Vec<String> = of_file.filter_map(rights).collect();
    // Constants, code, tables, variables.
    assert_eq!(of_file, ["r--p", "r-xp", "r--p", "rw-p"], "{maps}");
    running.wait().succeeds();
}

/// Gives a command the canary's directory as its descriptors 3 to 64.
fn with_descriptors(command: Invocation, canary: &Canary) -> Invocation {
    let script = "for n in {3..64}; do eval \"exec $n<\\$0\"; done; exec \"$@\"";
    let dir = canary.dir().as_os_str();
    command.through(["bash".as_ref(), "-c".as_ref(), script.as_ref(), dir])
}

/// Demands that the program did not run in a directory outside its root (CVE-2024-21626).
fn assert_inside(outcome: &Outcome, cwd: &str) {
    let is_outside = outcome.stdout.contains("(unreachable)") || outcome.stdout.contains(SECRET);
    assert!(!is_outside, "{cwd} is outside: {}", outcome.describe());
    if outcome.status.success() {
        assert!(outcome.stdout.starts_with("cwd /"), "{}", outcome.describe());
    }
}

fn descriptor_paths() -> impl Iterator<Item = String> {
    (3..=64).map(|fd| format!("/proc/self/fd/{fd}"))
}

fn asking_for_cwd(runtime: &Runtime) -> Bundle {
    attacker(runtime).args(["/attack", "cwd"])
}

#[test]
fn privileged_run_takes_no_working_directory_from_the_runtimes_descriptors() {
    let runtime = Runtime::new();
    let mut bundle = asking_for_cwd(&runtime);
    for cwd in descriptor_paths() {
        bundle.edit(|config| config["process"]["cwd"] = json!(cwd));
        assert_inside(&runtime.run(&bundle), &cwd);
    }
}

#[test]
fn privileged_run_takes_no_working_directory_from_the_callers_descriptors() {
    let runtime = Runtime::new();
    let canary = Canary::new();
    let mut bundle = asking_for_cwd(&runtime);
    for cwd in descriptor_paths() {
        bundle.edit(|config| config["process"]["cwd"] = json!(cwd));
        let outcome = with_descriptors(runtime.run_command(&bundle), &canary).run();
        assert_inside(&outcome, &cwd);
        outcome.fails().says(&cwd).discard();
    }
}

#[test]
fn privileged_run_takes_no_working_directory_from_preserved_descriptors() {
    let runtime = Runtime::new();
    let canary = Canary::new();
    let mut bundle = asking_for_cwd(&runtime);
    for cwd in descriptor_paths() {
        bundle.edit(|config| config["process"]["cwd"] = json!(cwd));
        let run = runtime.bundle_command("run", &bundle, &["--preserve-fds", "62"]);
        let outcome = with_descriptors(run, &canary).run();
        assert_inside(&outcome, &cwd);
        outcome.fails().says(&cwd).discard();
    }
}

#[test]
fn privileged_exec_takes_no_working_directory_from_descriptors() {
    let runtime = Runtime::new();
    let canary = Canary::new();
    let bundle = attacker(&runtime).args(["sleep", "1000"]);
    runtime.run_detached(&bundle);
    for cwd in descriptor_paths() {
        let exec = || runtime.command(["exec", "--cwd", &cwd, bundle.id(), "/attack", "cwd"]);
        assert_inside(&exec().run(), &cwd);
        let outcome = with_descriptors(exec(), &canary).run();
        assert_inside(&outcome, &cwd);
        outcome.fails().says(&cwd).discard();
    }
}

/// A program beside a bundle's root file system that tells when it runs, and the ways to it over each descriptor: from the
/// root file system, and from anywhere in the host's tree.
fn programs_outside(bundle: &Bundle) -> impl Iterator<Item = String> {
    let program = bundle.dir().join("outside");
    fs::copy(env!("CARGO_BIN_EXE_attack"), &program).expect("the bundle is writable");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("an own file");
    descriptor_paths().flat_map(move |fd| {
        let far = format!("{fd}{}{}", "/..".repeat(24), program.display());
        [format!("{fd}/../outside"), far]
    })
}

/// Demands that no program of the host's has run (CVE-2024-21626).
fn assert_not_run(outcome: &Outcome, path: &str) {
    assert!(!outcome.stdout.contains("cwd"), "{path} is the host's: {}", outcome.describe());
    assert!(!outcome.status.success(), "{path}: {}", outcome.describe());
}

#[test]
fn privileged_run_takes_no_program_from_descriptors() {
    let runtime = Runtime::new();
    let canary = Canary::new();
    let mut bundle = runtime.bundle();
    for path in programs_outside(&bundle).collect::<Vec<_>>() {
        bundle.edit(|config| config["process"]["args"] = json!([path, "cwd"]));
        assert_not_run(&runtime.run(&bundle), &path);
        assert_not_run(&with_descriptors(runtime.run_command(&bundle), &canary).run(), &path);
    }
}

/// Announces twenty sockets, and closes the one with this number.
fn with_lost_socket(lost: u8, command: Invocation) -> Invocation {
    let script = format!("LISTEN_FDS=20 LISTEN_FDNAMES=a:b LISTEN_PID=$$ exec \"$@\" {lost}<&-");
    command.through(["sh", "-c", &script, "sh"])
}

#[test]
fn privileged_sockets_that_were_not_passed_hand_over_nothing_of_the_runtime() {
    let runtime = Runtime::new();
    let mut bundle = runtime.bundle().script("echo \"<$LISTEN_FDS>\"; ls /proc/self/fd | wc -l");
    // The three standard streams, and what ls has open itself.
    assert_eq!(with_lost_socket(3, runtime.run_command(&bundle)).run().succeeds().stdout, "<>\n4\n");
    for path in programs_outside(&bundle).take(2 * 24).collect::<Vec<_>>() {
        bundle.edit(|config| config["process"]["args"] = json!([path, "cwd"]));
        assert_not_run(&with_lost_socket(3, runtime.run_command(&bundle)).run(), &path);
    }
}

#[test]
fn privileged_sockets_that_were_not_passed_do_not_keep_the_lock() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["sleep", "1000"]);
    with_lost_socket(3, runtime.bundle_command("create", &bundle, &[])).run().succeeds().discard();
    runtime.command(["start", bundle.id()]).run().succeeds().discard();
    assert_eq!(runtime.status(bundle.id()), "running");
    runtime.delete_force(bundle.id()).succeeds().discard();
}

#[test]
fn privileged_of_sockets_those_before_the_first_lost_one_are_handed_over() {
    let runtime = Runtime::new();
    let script = "cat <&3; echo $LISTEN_FDS $LISTEN_FDNAMES; ls /proc/self/fd | wc -l";
    let bundle = runtime.bundle().script(script);
    let file = runtime.scratch().join("file");
    fs::write(&file, "passed\n").expect("the scratch directory is writable");
    let run = with_lost_socket(4, runtime.run_command(&bundle)).with_fd(3, &file);
    assert_eq!(run.run().succeeds().stdout, "passed\n1 a\n5\n");
}

#[test]
fn privileged_the_home_of_a_user_is_not_read_from_the_host() {
    let runtime = Runtime::new();
    let canary = Canary::new();
    let bundle = runtime.bundle().script("echo $HOME").with(|config| {
        config["process"]["env"] = json!(["PATH=/bin:/usr/bin"]);
    });
    let outside = bundle.dir().join("outside");
    fs::create_dir(&outside).expect("the bundle is writable");
    fs::write(outside.join("passwd"), "root:x:0:0::/secret:/bin/sh\n").expect("an own directory");
    let etc = bundle.path("etc");
    fs::remove_dir_all(&etc).expect("the root file system is writable");
    for fd in descriptor_paths() {
        for target in [format!("{fd}/../outside"), format!("{fd}{}{}", "/..".repeat(24), outside.display())] {
            std::os::unix::fs::symlink(&target, &etc).expect("the root file system is writable");
            for run in [runtime.run_command(&bundle), with_descriptors(runtime.run_command(&bundle), &canary)]
            {
                assert_eq!(run.run().succeeds().stdout, "/\n", "{target}");
            }
            fs::remove_file(&etc).expect("the root file system is writable");
        }
    }
}

#[test]
fn privileged_exec_takes_no_program_from_descriptors() {
    let runtime = Runtime::new();
    let canary = Canary::new();
    let bundle = runtime.bundle().args(["sleep", "1000"]);
    runtime.run_detached(&bundle);
    for path in programs_outside(&bundle) {
        let directory = path.trim_end_matches("outside");
        let search = format!("PATH={directory}");
        let direct = || runtime.command(["exec", bundle.id(), &path, "cwd"]);
        assert_not_run(&direct().run(), &path);
        assert_not_run(&with_descriptors(direct(), &canary).run(), &path);
        let along = runtime.command(["exec", "--env", &search, bundle.id(), "outside", "cwd"]);
        assert_not_run(&along.run(), &search);
    }
}

#[test]
fn privileged_a_link_in_the_image_to_a_descriptor_is_no_way_out_either() {
    let runtime = Runtime::new();
    let canary = Canary::new();
    let mut bundle = asking_for_cwd(&runtime);
    for cwd in descriptor_paths().step_by(7) {
        let link = bundle.path("link");
        drop(fs::remove_file(&link));
        std::os::unix::fs::symlink(&cwd, &link).expect("the root file system is writable");
        bundle.edit(|config| config["process"]["cwd"] = json!("/link"));
        let outcome = with_descriptors(runtime.run_command(&bundle), &canary).run();
        assert_inside(&outcome, &cwd);
        outcome.fails().discard();
    }
}
