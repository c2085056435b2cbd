//! Bad input that is no JSON mistake: documents that cannot be read, roots, ids, disks and namespaces that cannot be
//! used. Each ends in one line that says what and where, and leaves nothing.

use mydocker_tests::refusal::{must_not_run, nothing_left, one_line, refused, states};
use mydocker_tests::{Bundle, Invocation, Outcome, Runtime, cgroup};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

/// Replaces config.json.
fn with_document(bundle: Bundle, document: impl AsRef<[u8]>) -> Bundle {
    fs::write(config_file(&bundle), document).expect("the bundle is writable");
    bundle
}

fn config_file(bundle: &Bundle) -> PathBuf {
    bundle.dir().join("config.json")
}

/// A bundle whose config.json is what `document` makes of a good one.
fn rewritten(runtime: &Runtime, document: impl FnOnce(String) -> Vec<u8>) -> Bundle {
    let bundle = must_not_run(runtime.bundle());
    let good = fs::read_to_string(config_file(&bundle)).expect("the bundle is readable");
    with_document(bundle, document(good))
}

/// The JSON of a good config.json, with `text` before its last brace.
fn with_end(good: &str, text: &str) -> Vec<u8> {
    let end = good.rfind('}').expect("an object ends with a brace");
    [&good.as_bytes()[..end], text.as_bytes(), b"}"].concat()
}

#[test]
fn privileged_a_truncated_document_is_refused_by_its_name_and_the_place() {
    let runtime = Runtime::new();
    for percent in [1, 10, 33, 50, 90, 99] {
        let bundle = rewritten(&runtime, |good| good.as_bytes()[..good.len() * percent / 100].to_vec());
        refused(&runtime, &bundle).says("config.json").says("line").discard();
    }
}

#[test]
fn privileged_an_empty_document_and_one_that_is_no_json_are_refused_by_name() {
    let runtime = Runtime::new();
    let documents: [&[u8]; 9] =
        [b"", b" \n", b"\0\0\0\0", b"null", b"[]", b"\"config\"", b"config", b"\x7fELF\x02\x01", b"{} {}"];
    for document in documents {
        let bundle = with_document(must_not_run(runtime.bundle()), document);
        refused(&runtime, &bundle).says("config.json").discard();
    }
    let bundle = rewritten(&runtime, |good| [good.as_bytes(), b" x"].concat());
    refused(&runtime, &bundle).says("config.json").discard();
}

#[test]
fn privileged_text_that_is_not_utf_8_is_refused_by_name() {
    let runtime = Runtime::new();
    let bundle = rewritten(&runtime, |good| {
        let at = good.find("mydocker-test").expect("the host name is in the document");
        let mut bytes = good.into_bytes();
        bytes[at] = 0xff;
        bytes
    });
    refused(&runtime, &bundle).says("config.json").discard();
}

/// Demands that the message tells how large a document may be, in some unit.
fn names_the_limit(outcome: &Outcome) {
    let is_named = ["16 MiB", "16777216"].iter().any(|limit| outcome.stderr.contains(limit));
    assert!(is_named, "the limit is not named: {}", outcome.describe());
}

#[test]
fn privileged_an_enormous_document_is_refused_with_the_limit() {
    let runtime = Runtime::new();
    let blank = " ".repeat(100 << 20);
    // Valid JSON all through: blanks before the last brace, and then one long annotation.
    let bundle = rewritten(&runtime, |good| with_end(&good, &blank));
    names_the_limit(&refused(&runtime, &bundle).says("config.json"));
    let bundle =
        rewritten(&runtime, |good| with_end(&good, &format!(",\"annotations\":{{\"a\":\"{blank}\"}}")));
    names_the_limit(&refused(&runtime, &bundle).says("config.json"));
}

#[test]
fn privileged_a_large_document_below_the_limit_is_read() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["echo", "ran"]);
    let bundle = bundle.with(|config| config["annotations"] = json!({"large": "x".repeat(4 << 20)}));
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "ran\n");
}

#[test]
fn privileged_a_deeply_nested_document_is_refused_and_does_not_fill_the_stack() {
    let runtime = Runtime::new();
    let depth = 1_000_000;
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = format!("{}1{}", open.repeat(depth), close.repeat(depth));
        let bundle = with_document(must_not_run(runtime.bundle()), &nested);
        refused(&runtime, &bundle).says("config.json").discard();
        // In a field that nobody knows it may also be skipped, if that takes no stack.
        let bundle = rewritten(&runtime, |good| with_end(&good, &format!(",\"future\":{nested}")));
        let outcome = runtime.run(&bundle);
        if outcome.status.success() {
            assert!(bundle.path("ran").exists(), "{}", outcome.describe());
        } else {
            nothing_left(&runtime, &bundle, &one_line(outcome).says("config.json"));
        }
        let bundle = with_document(must_not_run(runtime.bundle()), open.repeat(depth));
        refused(&runtime, &bundle).says("config.json").discard();
    }
}

#[test]
fn privileged_a_config_that_is_no_file_is_refused_by_name_and_never_waited_for() {
    let runtime = Runtime::new();
    let make: [fn(&Path); 7] = [
        |path| fs::create_dir(path).expect("the bundle is writable"),
        |path| mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o644), 0).expect("a fifo can be made"),
        |path| drop(UnixListener::bind(path).expect("a socket can be made")),
        |path| symlink("no-such-file", path).expect("the bundle is writable"),
        |path| symlink("config.json", path).expect("the bundle is writable"),
        |path| symlink("/dev/zero", path).expect("the bundle is writable"),
        |_| {},
    ];
    for make in make {
        let bundle = must_not_run(runtime.bundle());
        fs::remove_file(config_file(&bundle)).expect("an own file");
        make(&config_file(&bundle));
        refused(&runtime, &bundle).says("config.json").discard();
    }
}

#[test]
fn privileged_a_bundle_that_is_no_directory_is_refused_by_name() {
    let runtime = Runtime::new();
    let bundle = must_not_run(runtime.bundle());
    let file = runtime.scratch().join("file");
    fs::write(&file, "").expect("the scratch directory is writable");
    for dir in [file, runtime.scratch().join("missing")] {
        let name = dir.file_name().expect("it has a name").to_string_lossy().into_owned();
        let outcome = one_line(runtime.command(["run", "--bundle"]).arg(&dir).arg(bundle.id()).run());
        nothing_left(&runtime, &bundle, &outcome.says(&name));
    }
}

#[test]
fn privileged_a_root_file_system_that_is_none_is_refused_by_name() {
    let runtime = Runtime::new();
    let make: [fn(&Path); 6] = [
        |path| fs::write(path, "").expect("the bundle is writable"),
        |path| mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o644), 0).expect("a fifo can be made"),
        |path| symlink("no-such-directory", path).expect("the bundle is writable"),
        |path| symlink("other-root", path).expect("the bundle is writable"),
        |path| symlink("/dev/null", path).expect("the bundle is writable"),
        |_| {},
    ];
    for make in make {
        let bundle = must_not_run(runtime.bundle()).with(|c| c["root"]["path"] = json!("other-root"));
        make(&bundle.dir().join("other-root"));
        refused(&runtime, &bundle).says("other-root").discard();
    }
    let bundle = must_not_run(runtime.bundle()).with(|config| config["root"]["path"] = json!(""));
    refused(&runtime, &bundle).says("/root/path").discard();
    let bundle = must_not_run(runtime.bundle()).with(|config| config["root"]["path"] = json!("a\u{0}b"));
    refused(&runtime, &bundle).says("/root/path").discard();
}

/// Ids that would name something else than an entry of the state root, or that a terminal would not show as they are.
/// Whatever a careless runtime does with them, it does in the scratch directory.
fn bad_ids(runtime: &Runtime) -> Vec<String> {
    let plain = [".", "..", "../decoy", "a/b", "a/../b", "a b", "a\nb", "a\tb", "\u{1b}[2Jx", "a\u{7f}"];
    let more = ["a:b", "caf\u{e9}", "\u{202e}x", "a*", "$(x)"];
    let mut ids: Vec<String> = plain.into_iter().chain(more).map(str::to_owned).collect();
    ids.push(runtime.scratch().join("decoy").display().to_string());
    ids.push("x".repeat(1025));
    ids.push("x".repeat(100_000));
    ids
}

#[test]
fn privileged_ids_that_are_no_names_are_refused_and_name_nothing_outside_the_state_root() {
    let runtime = Runtime::new();
    let bundle = must_not_run(runtime.bundle());
    let list = || -> Vec<String> {
        let names = fs::read_dir(runtime.scratch()).expect("an own directory").flatten();
        names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    let before = list();
    for id in bad_ids(&runtime).into_iter().chain([String::new()]) {
        for verb in ["create", "run"] {
            let command = runtime.command([verb, "--bundle"]).arg(bundle.dir()).arg("--").arg(&id);
            let outcome = one_line(command.run());
            assert!(states(&runtime).is_empty(), "state of {id:?}: {}", outcome.describe());
            assert_eq!(list(), before, "{id:?}: {}", outcome.describe());
            nothing_left(&runtime, &bundle, &outcome);
        }
    }
}

#[test]
fn privileged_every_command_refuses_ids_that_are_no_names() {
    let runtime = Runtime::new();
    // Something that lies where such an id would lead, and that must stay.
    let decoy = runtime.scratch().join("decoy");
    fs::create_dir(&decoy).expect("the scratch directory is writable");
    fs::write(decoy.join("state.json"), "{}").expect("the scratch directory is writable");
    for id in bad_ids(&runtime) {
        for verb in ["start", "state", "kill", "pause", "resume", "delete", "exec"] {
            let command = runtime.command([verb, "--", &id]);
            let command = if verb == "exec" { command.arg("true") } else { command };
            one_line(command.run()).discard();
            assert!(decoy.join("state.json").exists(), "{verb} {id:?} went outside the state root");
        }
    }
}

#[test]
fn privileged_an_id_that_exists_is_refused_and_what_exists_lives_on() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["sleep", "1000"]);
    runtime.create(&bundle).succeeds().discard();
    let state = runtime.state(bundle.id());
    let other = must_not_run(runtime.bundle());
    for verb in ["create", "run"] {
        let command = runtime.command([verb, "--bundle"]).arg(other.dir()).arg(bundle.id());
        let outcome = one_line(command.run()).says("exist").says(bundle.id());
        nothing_left(&runtime, &other, &outcome);
    }
    assert_eq!(runtime.state(bundle.id()), state);
    runtime.start(bundle.id()).succeeds().discard();
    assert_eq!(runtime.status(bundle.id()), "running");
}

#[test]
fn privileged_of_many_who_want_the_same_id_one_gets_it() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().args(["sleep", "1000"]);
    for _ in 0..5 {
        let racing: Vec<_> = (0..4).map(|_| runtime.bundle_command("create", &bundle, &[]).spawn()).collect();
        let outcomes: Vec<Outcome> = racing.into_iter().map(mydocker_tests::Running::wait).collect();
        let winners = outcomes.iter().filter(|outcome| outcome.status.success()).count();
        let said: Vec<String> = outcomes.iter().map(Outcome::describe).collect();
        assert_eq!(winners, 1, "{}", said.join("\n"));
        for loser in outcomes.into_iter().filter(|outcome| !outcome.status.success()) {
            one_line(loser).discard();
        }
        assert_eq!(runtime.status(bundle.id()), "created");
        runtime.delete_force(bundle.id()).succeeds().discard();
        assert!(cgroup::existing(bundle.cgroup()).is_empty());
    }
}

/// A small tmpfs, mounted until it is dropped.
struct Disk {
    dir: PathBuf,
}

impl Disk {
    fn mount(runtime: &Runtime, name: &str, options: &str) -> Self {
        let dir = runtime.scratch().join(name);
        fs::create_dir(&dir).expect("the scratch directory is writable");
        let mount = runtime.host(["mount", "-t", "tmpfs", "-o", options, "disk"]).arg(&dir);
        mount.run().succeeds().discard();
        Self { dir }
    }

    /// Fills it up, but for so many pages.
    fn fill(&self, spare: usize) {
        let page = [b'x'; 4096];
        let mut files = 0;
        while fs::write(self.dir.join(format!(".fill-{files}")), page).is_ok() {
            files += 1;
        }
        for number in (0..=files).rev().take(spare + 1) {
            drop(fs::remove_file(self.dir.join(format!(".fill-{number}"))));
        }
    }

    fn names(&self) -> Vec<String> {
        let names = fs::read_dir(&self.dir).expect("an own directory").flatten();
        let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| !name.starts_with('.')).collect()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What cannot be unmounted is a leftover that the harness reports.
        drop(std::process::Command::new("umount").arg("--lazy").arg(&self.dir).status());
    }
}

/// A `run` or `create` of the bundle with another state root.
fn with_root(runtime: &Runtime, verb: &str, root: &Path, bundle: &Bundle) -> Invocation {
    let words = [runtime.program().as_os_str(), "--root".as_ref(), root.as_os_str(), verb.as_ref()];
    runtime.host(words).arg("--bundle").arg(bundle.dir()).arg(bundle.id())
}

#[test]
fn privileged_a_full_disk_under_the_state_root_ends_in_an_error_and_leaves_nothing() {
    let runtime = Runtime::new();
    let disk = Disk::mount(&runtime, "disk", "size=256k");
    disk.fill(0);
    let bundle = must_not_run(runtime.bundle());
    let outcome =
        one_line(with_root(&runtime, "run", &disk.dir, &bundle).run()).says("No space left on device");
    nothing_left(&runtime, &bundle, &outcome);
    assert_eq!(disk.names(), Vec::<String>::new(), "state is left: {}", outcome.describe());
}

#[test]
fn privileged_a_disk_that_fills_up_on_the_way_ends_in_success_or_in_an_error_that_leaves_nothing() {
    let runtime = Runtime::new();
    for spare in 1..6 {
        let disk = Disk::mount(&runtime, &format!("disk-{spare}"), "size=256k");
        disk.fill(spare);
        let bundle = runtime.bundle().args(["echo", "ran"]);
        let outcome = with_root(&runtime, "run", &disk.dir, &bundle).run();
        if outcome.status.success() {
            assert_eq!(outcome.stdout, "ran\n", "{}", outcome.describe());
        } else {
            let outcome = one_line(outcome).says("No space left on device");
            nothing_left(&runtime, &bundle, &outcome);
        }
        assert_eq!(disk.names(), Vec::<String>::new(), "state is left with {spare} pages");
    }
}

/// It ends itself, by its own number and not by its parent's, where it is in the same pid namespace.
#[test]
fn privileged_a_first_process_without_memory_ends_alone() {
    let runtime = Runtime::new();
    for own_pids in [true, false] {
        let mut bundle = runtime.bundle().args(["x".repeat(100_000)]);
        if !own_pids {
            bundle = bundle.without_namespace("pid");
        }
        let limit = json!([{ "type": "RLIMIT_AS", "hard": 4096, "soft": 4096 }]);
        bundle.edit(|config| config["process"]["rlimits"] = limit.clone());
        let outcome = runtime.run(&bundle).fails();
        assert_eq!(outcome.status.signal(), None, "{}", outcome.describe());
        nothing_left(&runtime, &bundle, &outcome);
    }
}

#[test]
fn privileged_a_disk_without_inodes_ends_in_an_error_and_leaves_nothing() {
    let runtime = Runtime::new();
    for inodes in 1..6 {
        let disk = Disk::mount(&runtime, &format!("disk-{inodes}"), &format!("nr_inodes={inodes}"));
        let bundle = runtime.bundle().args(["echo", "ran"]);
        let outcome = with_root(&runtime, "run", &disk.dir, &bundle).run();
        if outcome.status.success() {
            assert_ne!(inodes, 1, "no file could be made: {}", outcome.describe());
        } else {
            let outcome = one_line(outcome).says("No space left on device");
            nothing_left(&runtime, &bundle, &outcome);
        }
        assert_eq!(disk.names(), Vec::<String>::new(), "state is left with {inodes} inodes");
    }
}

#[test]
fn privileged_a_pid_file_that_cannot_be_written_ends_in_an_error_and_leaves_nothing() {
    let runtime = Runtime::new();
    let disk = Disk::mount(&runtime, "disk", "size=64k");
    disk.fill(0);
    for (place, wanted) in
        [(disk.dir.join("pid"), "pid"), (runtime.scratch().join("no/such/pid"), "no/such/pid")]
    {
        for verb in ["create", "run"] {
            let bundle = must_not_run(runtime.bundle());
            let option = format!("--pid-file={}", place.display());
            let outcome = one_line(runtime.bundle_command(verb, &bundle, &[&option]).run()).says(wanted);
            nothing_left(&runtime, &bundle, &outcome);
            assert!(!place.exists(), "an empty pid file is left: {}", outcome.describe());
        }
    }
}

#[test]
fn privileged_a_state_root_that_is_read_only_ends_in_an_error_and_leaves_nothing() {
    let runtime = Runtime::new();
    let disk = Disk::mount(&runtime, "disk", "ro");
    for verb in ["create", "run"] {
        let bundle = must_not_run(runtime.bundle());
        let outcome =
            one_line(with_root(&runtime, verb, &disk.dir, &bundle).run()).says("Read-only file system");
        nothing_left(&runtime, &bundle, &outcome);
    }
}

#[test]
fn privileged_a_state_root_that_is_no_directory_is_refused_by_name() {
    let runtime = Runtime::new();
    let file = runtime.scratch().join("file");
    fs::write(&file, "").expect("the scratch directory is writable");
    for root in [file.clone(), file.join("below")] {
        let bundle = must_not_run(runtime.bundle());
        let outcome = one_line(with_root(&runtime, "run", &root, &bundle).run()).says("file");
        nothing_left(&runtime, &bundle, &outcome.says("Not a directory"));
    }
}

/// Runs a command in a mount namespace in which some cgroup hierarchies are read-only.
fn with_read_only_cgroups(command: Invocation, hierarchies: &[PathBuf]) -> Invocation {
    let remounts = hierarchies.iter().map(|dir| format!("mount -o remount,bind,ro {} && ", dir.display()));
    let script = format!("{} exec \"$@\"", remounts.collect::<String>());
    command.through(["unshare", "--mount", "sh", "-c", &script, "sh"])
}

#[test]
fn privileged_a_cgroup_that_cannot_be_made_ends_in_an_error_and_leaves_nothing() {
    let runtime = Runtime::new();
    let all = cgroup::hierarchies();
    // One at a time as well: then groups have been made in the others already.
    let is_limited = |dir: &&PathBuf| ["cpu", "memory", "pids"].iter().any(|name| dir.ends_with(name));
    let one_by_one = all.iter().filter(is_limited).map(std::slice::from_ref);
    for hierarchies in one_by_one.chain([all.as_slice()]) {
        for verb in ["create", "run"] {
            let bundle = must_not_run(runtime.bundle()).with(|config| {
                config["linux"]["resources"]["pids"] = json!({"limit": 100});
                config["linux"]["resources"]["memory"] = json!({"limit": 100 << 20});
                config["linux"]["resources"]["cpu"] = json!({"shares": 512});
            });
            let command = runtime.bundle_command(verb, &bundle, &[]);
            let outcome = one_line(with_read_only_cgroups(command, hierarchies).run());
            let outcome = outcome.says("cgroup").says("Read-only file system");
            nothing_left(&runtime, &bundle, &outcome);
        }
    }
}

#[test]
fn privileged_a_cgroup_path_that_is_a_file_of_the_hierarchy_ends_in_an_error_that_names_it() {
    let runtime = Runtime::new();
    let mut bundle = must_not_run(runtime.bundle());
    bundle.edit(|config| config["linux"]["cgroupsPath"] = json!("/cgroup.procs/below"));
    let outcome = one_line(runtime.run(&bundle)).says("cgroup.procs");
    assert!(states(&runtime).is_empty(), "state is left: {}", outcome.describe());
}

#[test]
fn privileged_a_namespace_path_that_cannot_be_joined_is_refused_by_its_name() {
    let runtime = Runtime::new();
    let file = runtime.scratch().join("plain-file");
    fs::write(&file, "").expect("the scratch directory is writable");
    let fifo = runtime.scratch().join("fifo");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o644), 0).expect("a fifo can be made");
    let wrong: [(&str, &Path); 9] = [
        ("network", Path::new("/proc/self/ns/uts")),
        ("uts", Path::new("/proc/self/ns/net")),
        ("ipc", Path::new("/proc/self/ns/pid")),
        ("pid", Path::new("/proc/self/ns/user")),
        ("mount", Path::new("/proc/self/ns/ipc")),
        ("network", Path::new("/no/such/namespace")),
        ("ipc", Path::new("/proc/self")),
        ("network", &file),
        ("network", &fifo),
    ];
    for (kind, path) in wrong {
        let bundle = must_not_run(runtime.bundle()).namespace(kind, Some(path));
        refused(&runtime, &bundle).says(&path.display().to_string()).discard();
    }
}

#[test]
fn privileged_a_console_socket_that_does_not_fit_the_process_is_refused() {
    let runtime = Runtime::new();
    let bundle = must_not_run(runtime.bundle());
    let missing = runtime.scratch().join("no-such-socket").display().to_string();
    let outcome = runtime.bundle_command("create", &bundle, &["--console-socket", &missing]).run();
    nothing_left(&runtime, &bundle, &one_line(outcome).says("console"));

    let bundle = bundle.with(|config| config["process"]["terminal"] = json!(true));
    let outcome = runtime.bundle_command("create", &bundle, &["--console-socket", &missing]).run();
    nothing_left(&runtime, &bundle, &one_line(outcome).says("no-such-socket"));
    let outcome = runtime.bundle_command("create", &bundle, &[]).run();
    nothing_left(&runtime, &bundle, &one_line(outcome).says("console"));
}

#[test]
fn privileged_a_program_that_cannot_be_run_leaves_nothing() {
    let runtime = Runtime::new();
    for (program, wanted) in
        [("/no/such/program", "/no/such/program"), ("/etc/passwd", "/etc/passwd"), ("/tmp", "/tmp")]
    {
        let bundle = runtime.bundle().args([program]);
        refused(&runtime, &bundle).says(wanted).discard();
    }
}

/// Guards against taking away the pid file of another container, when this one fails before it has written its own.
#[test]
fn privileged_a_failing_create_leaves_the_pid_file_of_another_alone() {
    let runtime = Runtime::new();
    let place = runtime.scratch().join("pid");
    fs::write(&place, "4242").expect("the scratch directory is writable");
    let option = format!("--pid-file={}", place.display());
    let bundle = runtime.bundle().with(|config| config["root"]["path"] = json!("missing"));
    runtime.bundle_command("create", &bundle, &[&option]).run().fails().discard();
    assert_eq!(fs::read_to_string(&place).expect("it is still there"), "4242");
}
