//! The runtime behind a real podman: conmon drives the program under test.

#![forbid(unsafe_code)]

use mydocker_tests::plug::{CgroupParent, IMAGE, IMAGE_SAYS, Reaper, image_archive};
use mydocker_tests::{Invocation, Outcome, Runtime, Terminal, cgroup, leftovers};
use std::fs;
use std::path::PathBuf;

/// A podman with a storage and a configuration of its own, which holds the Debian image.
struct Podman {
    // The order is that of their end: first what the containers leave, then the check.
    groups: CgroupParent,
    _reaper: Reaper,
    runtime: Runtime,
}

impl Podman {
    fn start() -> Self {
        let runtime = Runtime::new();
        let scratch = runtime.scratch().display();
        // Locks in shared memory would be shared with every other podman of the machine. The static directory is where
        // `podman --root GRAPH container cleanup`, which conmon runs, looks for it. The limits are those that root can
        // set without CAP_SYS_RESOURCE.
        let engine = format!(
            r#"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
static_dir = "{scratch}/podman/graph/libpod"
tmp_dir = "{scratch}/podman/tmp"
volume_path = "{scratch}/podman/volumes"
[containers]
default_ulimits = ["nofile=1024:4000", "nproc=1024:4096"]
log_driver = "k8s-file"
netns = "none"
[network]
network_backend = "netavark"
network_config_dir = "{scratch}/podman/networks"
"#
        );
        let storage = format!(
            "[storage]\ndriver = \"overlay\"\ngraphroot = \"{scratch}/podman/graph\"\nrunroot = \"{scratch}/podman/run\"\n"
        );
        fs::write(runtime.scratch().join("containers.conf"), engine)
            .expect("the scratch directory is writable");
        fs::write(runtime.scratch().join("storage.conf"), storage)
            .expect("the scratch directory is writable");
        let groups = CgroupParent::new(runtime.name()).with_own_group("conmon");
        let podman = Self { groups, _reaper: Reaper::of("conmon"), runtime };
        podman.podman(["load", "--quiet", "--input"]).arg(image_archive()).run().succeeds().discard();
        podman
    }

    /// `podman ARGS...` with the program under test as the runtime.
    fn podman<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Invocation {
        let scratch = self.runtime.scratch();
        let command = self.runtime.host(["podman", "--runtime"]).arg(self.runtime.program()).args(args);
        let command = command.env("CONTAINERS_CONF", scratch.join("containers.conf"));
        command.env("CONTAINERS_STORAGE_CONF", scratch.join("storage.conf"))
    }

    /// `podman run OPTIONS... IMAGE COMMAND...` below a cgroup that has the name of the scratch directory.
    fn run(&self, options: &[&str], command: &[&str]) -> Invocation {
        let parent = format!("/{}", self.runtime.name());
        self.podman(["run", "--cgroup-parent"]).arg(parent).args(options).arg(IMAGE).args(command)
    }

    fn exec(&self, options: &[&str], name: &str, command: &[&str]) -> Outcome {
        self.podman(["exec"]).args(options).arg(name).args(command).run()
    }

    /// One field of what `podman inspect` tells.
    fn inspect(&self, name: &str, field: &str) -> String {
        let format = format!("{{{{.{field}}}}}");
        self.podman(["inspect", "--format", &format, name]).run().succeeds().stdout.trim().to_owned()
    }

    /// Demands that nothing of any container is left: its record, its cgroups, its root file system.
    fn holds_nothing(&self) {
        assert_eq!(self.podman(["ps", "--all", "--quiet"]).run().succeeds().stdout, "");
        assert_eq!(self.groups.children(), Vec::<PathBuf>::new());
        let mounts = leftovers::mounts_below(self.runtime.name());
        let of_containers: Vec<&String> = mounts.iter().filter(|mount| mount.ends_with("/merged")).collect();
        assert_eq!(of_containers, Vec::<&String>::new());
    }
}

#[test]
fn privileged_podman_runs_debian_with_its_streams_and_status() {
    let podman = Podman::start();
    let script = ". /etc/os-release; echo $PRETTY_NAME; echo aside >&2; exit 42";
    let outcome = podman.run(&["--rm"], &["sh", "-c", script]).run().exits(42);
    assert!(outcome.stdout.contains(IMAGE_SAYS), "{}", outcome.describe());
    assert!(outcome.stderr.contains("aside"), "{}", outcome.describe());

    let outcome = podman.run(&["--rm", "--interactive"], &["cat"]).stdin("through\nthe container\n").run();
    assert_eq!(outcome.succeeds().stdout, "through\nthe container\n");
    podman.holds_nothing();
}

#[test]
fn privileged_podman_tells_a_missing_command_from_a_forbidden_one() {
    let podman = Podman::start();
    podman.run(&["--rm"], &["/no/such/program"]).run().exits(127).says("/no/such/program").discard();
    podman.run(&["--rm"], &["no-such-program"]).run().exits(127).says("no-such-program").discard();
    podman.run(&["--rm"], &["/etc/passwd"]).run().exits(126).says("/etc/passwd").discard();
    podman.holds_nothing();
}

#[test]
fn privileged_podman_gives_a_container_a_terminal() {
    let podman = Podman::start();
    let mut terminal = Terminal::open();
    terminal.resize(31, 97);
    let shell = podman.run(&["--rm", "--interactive", "--tty"], &["sh"]).on_terminal(&terminal).spawn();
    terminal.read_until("# ");
    terminal.type_text("tty\n");
    terminal.read_until("/dev/pts/0");
    // podman sets the size some time after the start. The quotes keep the echo of this line from being the answer.
    terminal.type_text("until [ \"$(stty size)\" = '31 97' ]; do :; done; echo the size is r''ight\n");
    terminal.read_until("the size is right");
    terminal.type_text("exit 7\n");
    shell.wait().exits(7).discard();
    podman.holds_nothing();
}

#[test]
fn privileged_podman_confines_a_container_as_it_is_told() {
    let podman = Podman::start();
    let shared = podman.runtime.scratch().join("shared");
    fs::create_dir(&shared).expect("the scratch directory is writable");
    let volume = format!("{}:/shared", shared.display());
    let options = [
        "--rm",
        "--read-only",
        "--user=1234:2345",
        "--cap-drop=all",
        "--hostname=inside",
        "--memory=64m",
        "--pids-limit=50",
        "--tmpfs=/scratch:mode=1777",
        "--tmpfs=/usr/share/base-files",
        "--security-opt=no-new-privileges",
        "--workdir=/usr",
    ];
    let script = "echo id $(id -u):$(id -g); echo host $(cat /proc/sys/kernel/hostname); pwd; \
        grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status; \
        echo x >/scratch/file && echo scratch; echo x >/tmp/file && echo tmp; \
        cmp /usr/share/base-files/profile /etc/profile && echo copied; (echo x >/usr/file) 2>&1; cat /shared/note";
    fs::write(shared.join("note"), "from outside\n").expect("the scratch directory is writable");
    let command = podman.run(&[&options[..], &["--volume", &volume]].concat(), &["sh", "-c", script]);
    let outcome = command.run().succeeds();
    let told = outcome.describe();
    for line in [
        "id 1234:2345",
        "host inside",
        "/usr",
        "CapEff:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "scratch",
        "tmp",
        "copied",
        "from outside",
    ] {
        assert!(outcome.stdout.lines().any(|said| said == line), "no {line:?}: {told}");
    }
    assert!(outcome.stdout.contains("Read-only file system"), "{told}");
    podman.holds_nothing();
}

#[test]
fn privileged_podman_execs_pauses_logs_stops_and_removes() {
    let podman = Podman::start();
    let script = "trap 'echo bye; exit 9' TERM; echo up; sleep infinity & wait";
    let options = ["--detach", "--name", "life", "--memory", "64m"];
    let id = podman.run(&options, &["sh", "-c", script]).run().succeeds().stdout.trim().to_owned();
    assert_eq!(podman.inspect("life", "State.Status"), "running");
    let group = format!("{}/libpod-{id}", podman.runtime.name());
    let limit = cgroup::read_either("memory", &group, "memory.limit_in_bytes", "memory.max");
    assert_eq!(limit, "67108864");

    let outcome = podman.exec(&[], "life", &["sh", "-c", "tr '\\0' ' ' </proc/1/cmdline; exit 3"]).exits(3);
    assert!(outcome.stdout.contains("echo up"), "{}", outcome.describe());
    let options = ["--user", "1000:1001", "--env", "COLOUR=blue", "--workdir", "/tmp"];
    let outcome =
        podman.exec(&options, "life", &["sh", "-c", "echo $(id -u):$(id -g) $COLOUR $PWD"]).succeeds();
    assert_eq!(outcome.stdout, "1000:1001 blue /tmp\n");
    podman.exec(&[], "life", &["/no/such/program"]).exits(127).discard();

    podman.podman(["pause", "life"]).run().succeeds().discard();
    assert_eq!(podman.inspect("life", "State.Status"), "paused");
    assert!(cgroup::is_frozen(&group));
    podman.podman(["unpause", "life"]).run().succeeds().discard();

    podman.podman(["stop", "--time", "20", "life"]).run().succeeds().discard();
    assert_eq!(podman.podman(["wait", "life"]).run().succeeds().stdout, "9\n");
    assert_eq!(podman.podman(["logs", "life"]).run().succeeds().stdout, "up\nbye\n");

    podman.podman(["start", "life"]).run().succeeds().discard();
    assert_eq!(podman.inspect("life", "State.Status"), "running");
    podman.podman(["kill", "--signal", "KILL", "life"]).run().succeeds().discard();
    assert_eq!(podman.podman(["wait", "life"]).run().succeeds().stdout, "137\n");
    podman.podman(["rm", "life"]).run().succeeds().discard();
    podman.holds_nothing();
}
