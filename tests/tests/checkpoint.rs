//! Containers saved by the real criu, and brought back.
//!
//! Those called `privileged_v2_` need a kernel that Debian's criu can work on, and run in the virtual machine.

use mydocker_tests::systemd::property;
use mydocker_tests::{Bundle, Outcome, Runtime, Terminal, cgroup, wait};
use serde_json::json;
use std::fs;

/// A container that counts, in a file of a tmpfs and so in the checkpoint.
fn counting(runtime: &Runtime) -> Bundle {
    let script = "i=0; while :; do i=$((i+1)); echo $i >/tmp/count; sleep 0.2; done";
    runtime.bundle().script(script).mount("/tmp", "tmpfs", "tmpfs", &[])
}

fn count(runtime: &Runtime, id: &str) -> u32 {
    let read = || runtime.exec(id, ["cat", "/tmp/count"]).succeeds().stdout.trim().parse().ok();
    wait::until("a number in the file", read)
}

fn checkpoint(runtime: &Runtime, id: &str, flags: &[&str]) -> Outcome {
    let images = runtime.scratch().join("images");
    runtime.command(["checkpoint", "--image-path"]).arg(images).args(flags).arg(id).run()
}

fn restore(runtime: &Runtime, bundle: &Bundle, flags: &[&str]) -> Outcome {
    let images = runtime.scratch().join("images");
    let command = runtime.command(["restore", "--image-path"]).arg(images).arg("--bundle").arg(bundle.dir());
    command.args(flags).arg(bundle.id()).run()
}

#[test]
fn privileged_flags_that_cannot_be_followed_are_refused_by_name() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["sleep", "1000"]);
    runtime.run_detached(&bundle).discard();
    for (flags, word) in [
        (&["--manage-cgroups-mode", "some"][..], "soft, full, strict or ignore"),
        (&["--empty-ns", "pid"], "only network"),
        (&["--page-server", "nowhere"], "ADDRESS:PORT"),
        (&["--parent-path", "/absolute"], "must be relative"),
        (&["--status-fd", "5"], "--lazy-pages"),
        (&["--lazy-pages", "--status-fd", "77"], "invalid --status-fd argument 77"),
    ] {
        checkpoint(&runtime, bundle.id(), flags).fails().says(word).discard();
    }
    assert_eq!(runtime.status(bundle.id()), "running");
    assert!(!runtime.scratch().join("images").exists());
}

#[test]
fn privileged_a_container_without_a_running_program_is_not_saved() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["true"]);
    runtime.create(&bundle).succeeds().discard();
    checkpoint(&runtime, bundle.id(), &[]).fails().says("cannot be checkpointed in created state").discard();
}

#[test]
fn privileged_without_criu_nothing_is_touched_and_the_package_is_named() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["sleep", "1000"]);
    runtime.run_detached(&bundle).discard();
    let images = runtime.scratch().join("images");
    let command = runtime.command(["checkpoint", "--image-path"]).arg(&images).arg(bundle.id());
    command.through(["env", "PATH=/no/bin"]).run().fails().says("install the package criu").discard();
    assert!(!images.exists());
    assert_eq!(runtime.status(bundle.id()), "running");
}

/// criu 3.17 does not know the memory layout of the kernel here.
#[test]
fn privileged_hybrid_what_the_kernel_lacks_is_named_and_the_container_goes_on() {
    let runtime = Runtime::new();
    let bundle = counting(&runtime);
    runtime.run_detached(&bundle).discard();
    checkpoint(&runtime, bundle.id(), &[]).fails().says("cannot work on this kernel").says("vdso").discard();
    assert!(!runtime.scratch().join("images").exists());
    let before = count(&runtime, bundle.id());
    wait::until("the count to go on", || (count(&runtime, bundle.id()) > before).then_some(()));
}

#[test]
fn privileged_v2_a_container_is_saved_and_goes_on_where_it_was() {
    let runtime = Runtime::new();
    let bundle = counting(&runtime).with(|config| {
        config["linux"]["resources"]["pids"] = json!({"limit": 40});
    });
    let id = bundle.id();
    runtime.run_detached(&bundle).discard();
    wait::until("a count of 3", || (count(&runtime, id) >= 3).then_some(()));
    checkpoint(&runtime, id, &[]).succeeds().discard();
    assert!(!runtime.knows(id));
    assert_eq!(cgroup::existing(bundle.cgroup()), Vec::<std::path::PathBuf>::new());
    let pid_file = runtime.scratch().join("pid");
    let flags = ["--detach", "--pid-file", pid_file.to_str().expect("UTF-8")];
    restore(&runtime, &bundle, &flags).succeeds().discard();
    assert_eq!(runtime.status(id), "running");
    assert_eq!(fs::read_to_string(&pid_file).expect("it was written"), runtime.pid(id).to_string());
    let restored = count(&runtime, id);
    assert!(restored >= 3, "{restored}");
    wait::until("the count to go on", || (count(&runtime, id) > restored).then_some(()));
    let limit = cgroup::existing(bundle.cgroup())[0].join("pids.max");
    assert_eq!(fs::read_to_string(limit).expect("the container has a cgroup").trim(), "40");
    let loopback = runtime.exec(id, ["cat", "/sys/class/net/lo/flags"]).succeeds().stdout;
    assert_eq!(loopback.trim(), "0x9", "the loopback device is not up");
    runtime.kill_and_delete(id);
}

#[test]
fn privileged_v2_leave_running_and_pre_dump_let_the_container_go_on() {
    let runtime = Runtime::new();
    let bundle = counting(&runtime);
    let id = bundle.id();
    runtime.run_detached(&bundle).discard();
    let at = |name: &str| runtime.scratch().join("images").join(name).display().to_string();
    checkpoint(&runtime, id, &["--image-path", &at("1"), "--pre-dump"]).succeeds().discard();
    assert_eq!(runtime.status(id), "running");
    let flags = ["--image-path", &at("2"), "--parent-path", "../1", "--leave-running"];
    checkpoint(&runtime, id, &flags).succeeds().discard();
    let saved = count(&runtime, id);
    wait::until("the count to go on", || (count(&runtime, id) > saved).then_some(()));
    assert!(std::path::Path::new(&at("2")).join("parent").is_symlink());
    runtime.delete_force(id).succeeds().discard();
    restore(&runtime, &bundle, &["--image-path", &at("2"), "--detach"]).succeeds().discard();
    assert!(count(&runtime, id) > 0);
    runtime.kill_and_delete(id);
}

#[test]
fn privileged_v2_a_restored_program_has_the_new_callers_streams_and_status() {
    let runtime = Runtime::new();
    let script = "until test -e /go; do sleep 0.2; done; echo said afterwards; exit 7";
    let bundle = runtime.bundle().script(script).with(|config| {
        let hook = |kind: &str| {
            let file = runtime.scratch().join(kind).display().to_string();
            json!([{"path": "/bin/sh", "args": ["sh", "-c", format!("cat >{file}")]}])
        };
        config["hooks"] = json!({"createRuntime": hook("created"), "poststop": hook("stopped")});
    });
    runtime.run_detached(&bundle).discard();
    checkpoint(&runtime, bundle.id(), &[]).succeeds().discard();
    let stopped = runtime.scratch().join("stopped");
    assert!(stopped.exists(), "the poststop hook has not run");
    fs::remove_file(runtime.scratch().join("created")).expect("the hook has run before");
    fs::write(bundle.path("go"), "").expect("the bundle is writable");
    let outcome = restore(&runtime, &bundle, &[]).exits(7);
    assert_eq!(outcome.stdout, "said afterwards\n", "{}", outcome.describe());
    assert!(runtime.scratch().join("created").exists(), "the createRuntime hook has not run again");
    assert!(!runtime.knows(bundle.id()));
}

#[test]
fn privileged_v2_a_terminal_comes_back() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("while read line; do echo got $line; done");
    let bundle = bundle.with(|config| config["process"]["terminal"] = json!(true));
    let mut terminal = Terminal::open();
    let running = runtime.run_command(&bundle).on_terminal(&terminal).spawn();
    terminal.type_text("one\n");
    terminal.read_until("got one");
    checkpoint(&runtime, bundle.id(), &[]).succeeds().discard();
    drop(running);
    let images = runtime.scratch().join("images");
    let command = runtime.command(["restore", "--image-path"]).arg(images).arg("--bundle").arg(bundle.dir());
    let mut second = Terminal::open();
    let running = command.arg(bundle.id()).on_terminal(&second).spawn();
    second.type_text("two\n");
    second.read_until("got two");
    runtime.kill(bundle.id(), "KILL").succeeds().discard();
    running.wait().exits(137).discard();
}

#[test]
fn privileged_v2_what_is_no_checkpoint_is_refused_and_leaves_nothing() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle();
    restore(&runtime, &bundle, &["--detach"]).fails().says("does not exist").discard();
    let images = runtime.scratch().join("images");
    fs::create_dir(&images).expect("the scratch directory is writable");
    restore(&runtime, &bundle, &["--detach"]).fails().says("no checkpoint").discard();
    fs::write(images.join("descriptors.json"), "[]").expect("it is writable");
    restore(&runtime, &bundle, &["--detach"]).fails().says("criu failed").says("restore.log").discard();
    assert!(!runtime.knows(bundle.id()));
}

/// systemd has forgotten the scope of the checkpoint, and makes another around criu.
#[test]
fn privileged_v2_a_container_comes_back_in_a_new_scope_of_systemd() {
    let runtime = Runtime::new();
    let path = format!("system.slice:{}:back", runtime.name());
    let scope = format!("{}-back.scope", runtime.name());
    let bundle = counting(&runtime).with(|config| {
        config["linux"]["cgroupsPath"] = json!(path);
        config["linux"]["resources"]["memory"] = json!({"limit": 67_108_864});
    });
    let id = bundle.id();
    let run = runtime.command(["--systemd-cgroup", "run", "--detach", "--bundle"]);
    run.arg(bundle.dir()).arg(id).run().succeeds().discard();
    wait::until("a count of 3", || (count(&runtime, id) >= 3).then_some(()));
    checkpoint(&runtime, id, &[]).succeeds().discard();
    assert_eq!(property(&runtime, &scope, "LoadState"), "not-found");

    let command = runtime.command(["--systemd-cgroup", "restore", "--detach", "--image-path"]);
    let command = command.arg(runtime.scratch().join("images")).arg("--bundle").arg(bundle.dir());
    command.arg(id).run().succeeds().discard();
    let own = fs::read_to_string(format!("/proc/{}/cgroup", runtime.pid(id))).expect("it runs");
    assert_eq!(own, format!("0::/system.slice/{scope}\n"));
    assert_eq!(property(&runtime, &scope, "MemoryMax"), "67108864");
    let restored = count(&runtime, id);
    assert!(restored >= 3, "{restored}");
    wait::until("the count to go on", || (count(&runtime, id) > restored).then_some(()));
    runtime.delete_force(id).succeeds().discard();
    assert_eq!(property(&runtime, &scope, "LoadState"), "not-found");
}

#[test]
fn privileged_v2_a_container_comes_back_into_the_namespaces_that_it_joined() {
    let runtime = Runtime::new();
    let script = "ip link add rows0 type dummy && hostname rows && echo ready; exec sleep 1000";
    let holder = runtime.host(["unshare", "--net", "--uts", "--ipc", "sh", "-c", script]).spawn();
    holder.wait_for_output("ready");
    let of = |pid: i32, kind: &str| std::path::PathBuf::from(format!("/proc/{pid}/ns/{kind}"));
    let kinds = [("network", "net"), ("uts", "uts"), ("ipc", "ipc")];
    let bundle = kinds.iter().fold(counting(&runtime), |bundle, (kind, file)| {
        bundle.namespace(kind, Some(&of(holder.pid(), file)))
    });
    let bundle = bundle.with(|config| drop(config.as_object_mut().expect("an object").remove("hostname")));
    let id = bundle.id();
    runtime.run_detached(&bundle).discard();
    let are_joined = || {
        let link = |pid, file| fs::read_link(of(pid, file)).expect("it runs");
        let pid = runtime.pid(id);
        kinds.iter().for_each(|(kind, file)| assert_eq!(link(pid, file), link(holder.pid(), file), "{kind}"));
        let seen = runtime.exec(id, ["sh", "-c", "hostname; ls /sys/class/net"]).succeeds().stdout;
        assert!(seen.starts_with("rows\n") && seen.contains("rows0\n"), "{seen}");
    };
    are_joined();
    checkpoint(&runtime, id, &[]).succeeds().discard();
    restore(&runtime, &bundle, &["--detach"]).succeeds().discard();
    are_joined();
    runtime.kill_and_delete(id);
    holder.signal(rustix::process::Signal::KILL);
    drop(holder.wait());
}

/// A port of the loopback device that nobody listens at.
fn free_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("the loopback device is up");
    listener.local_addr().expect("it is bound").port().to_string()
}

#[test]
fn privileged_v2_the_memory_goes_to_a_page_server() {
    let runtime = Runtime::new();
    let bundle = counting(&runtime);
    let id = bundle.id();
    runtime.run_detached(&bundle).discard();
    wait::until("a count of 3", || (count(&runtime, id) >= 3).then_some(()));
    let (pages, port) = (runtime.scratch().join("pages"), free_port());
    fs::create_dir(&pages).expect("the scratch directory is writable");
    let server = runtime.host(["criu", "page-server", "--port", &port, "--status-fd", "1", "--images-dir"]);
    let server = server.arg(&pages).spawn();
    wait::until("the page server", || (server.stdout() == "\0").then_some(()));
    checkpoint(&runtime, id, &["--page-server", &format!("127.0.0.1:{port}")]).succeeds().discard();
    server.wait().succeeds().discard();

    let images = runtime.scratch().join("images");
    let has_pages = |dir: &std::path::Path| {
        let names = fs::read_dir(dir).expect("it is there").flatten().map(|entry| entry.file_name());
        names.into_iter().any(|name| name.to_string_lossy().starts_with("pages-"))
    };
    assert!(has_pages(&pages) && !has_pages(&images));
    runtime.host(["sh", "-c", "mv \"$0\"/*.img \"$1\""]).args([&pages, &images]).run().succeeds().discard();
    restore(&runtime, &bundle, &["--detach"]).succeeds().discard();
    assert!(count(&runtime, id) >= 3);
    runtime.kill_and_delete(id);
}

/// The checkpoint serves the memory until the restored container has it all.
#[test]
fn privileged_v2_a_container_runs_again_before_its_memory_has_come() {
    let runtime = Runtime::new();
    let bundle = counting(&runtime);
    let id = bundle.id();
    runtime.run_detached(&bundle).discard();
    wait::until("a count of 3", || (count(&runtime, id) >= 3).then_some(()));
    let (images, status, port) =
        (runtime.scratch().join("images"), runtime.scratch().join("status"), free_port());
    let server = format!("127.0.0.1:{port}");
    let flags = ["--lazy-pages", "--status-fd", "3", "--page-server", &server, id];
    let dump = runtime.command(["checkpoint", "--image-path"]).arg(&images).args(flags);
    let dump = dump.through(["sh", "-c", "exec \"$@\" 3>\"$0\"", status.to_str().expect("UTF-8")]).spawn();
    wait::until("pages to be served", || fs::read(&status).is_ok_and(|said| said == [0]).then_some(()));

    let words =
        ["criu", "lazy-pages", "--page-server", "--address", "127.0.0.1", "--port", &port, "--images-dir"];
    let pages = runtime.host(words).arg(&images).current_dir(&images).spawn();
    wait::until("the socket of criu", || images.join("lazy-pages.socket").exists().then_some(()));
    // The dump still has the container's name.
    let other = runtime.bundle_like(&bundle);
    restore(&runtime, &other, &["--lazy-pages", "--detach"]).succeeds().discard();
    assert!(count(&runtime, other.id()) >= 3);
    pages.wait().succeeds().discard();
    dump.wait().succeeds().discard();
    assert!(!runtime.knows(id));
    runtime.kill_and_delete(other.id());
}
