//! The runtime behind a real dockerd: containerd's shim drives the program under test with what docker configures.

#![forbid(unsafe_code)]

use mydocker_tests::plug::{CgroupParent, Daemon, IMAGE, IMAGE_SAYS, image_archive};
use mydocker_tests::{Invocation, Outcome, Runtime, Terminal, cgroup, wait};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

/// A dockerd and its containerd with directories and sockets of their own; it holds the Debian image.
struct Docker {
    // The order is that of their end: the daemons first, then what their containers leave, then the check.
    daemon: Daemon,
    _containerd: Daemon,
    groups: CgroupParent,
    runtime: Runtime,
}

impl Docker {
    fn start() -> Self {
        let runtime = Runtime::new();
        let containerd = Daemon::containerd(runtime.scratch());
        let place = |name: &str| runtime.scratch().join(name);
        let config = json!({
            "bridge": "none",
            "cgroup-parent": format!("/{}", runtime.name()),
            "containerd": place("containerd.sock"),
            "data-root": place("docker/data"),
            "default-runtime": "tested",
            "deprecated-key-path": place("docker/key.json"),
            "exec-opts": ["native.cgroupdriver=cgroupfs"],
            "exec-root": place("docker/exec"),
            "hosts": [format!("unix://{}", place("docker.sock").display())],
            "iptables": false,
            "ip6tables": false,
            "pidfile": place("docker/pid"),
            "runtimes": { "tested": { "path": runtime.program() } },
            "storage-driver": "overlay2",
            "userland-proxy": false,
        });
        fs::create_dir(place("docker")).expect("the scratch directory is writable");
        fs::write(place("docker/daemon.json"), config.to_string())
            .expect("the scratch directory is writable");
        let command = runtime.host(["dockerd", "--config-file"]).arg(place("docker/daemon.json"));
        let daemon = containerd.start_beside(command, "API listen on");
        let groups = CgroupParent::new(runtime.name());
        let docker = Self { daemon, _containerd: containerd, groups, runtime };
        docker.docker(["load", "--quiet", "--input"]).arg(image_archive()).run().succeeds().discard();
        docker
    }

    /// `docker ARGS...`, by Debian's client, which is of the daemon's version.
    fn docker<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Invocation {
        let host = format!("unix://{}", self.runtime.scratch().join("docker.sock").display());
        let config = self.runtime.scratch().join("docker/client");
        self.runtime.host(["/usr/bin/docker", "--host", &host]).args(args).env("DOCKER_CONFIG", config)
    }

    /// `docker run OPTIONS... IMAGE COMMAND...`.
    fn run(&self, options: &[&str], command: &[&str]) -> Invocation {
        self.docker(["run"]).args(options).arg(IMAGE).args(command)
    }

    fn exec(&self, options: &[&str], name: &str, command: &[&str]) -> Outcome {
        self.docker(["exec"]).args(options).arg(name).args(command).run()
    }

    /// One part of what `docker inspect` tells, by its JSON pointer.
    fn inspect(&self, name: &str, pointer: &str) -> Value {
        let told = self.docker(["inspect", name]).run().succeeds().json();
        told.pointer(&format!("/0{pointer}")).unwrap_or_else(|| panic!("no {pointer} in {told}")).clone()
    }

    /// Demands that nothing of any container is left: its record, its cgroups, its root file system, its network.
    fn holds_nothing(&self) {
        assert_eq!(self.docker(["ps", "--all", "--quiet"]).run().succeeds().stdout, "");
        // containerd removes what is left of a container that did not start after dockerd has told of it.
        wait::within(wait::DEADLINE, || self.groups.children().is_empty().then_some(()));
        assert_eq!(self.groups.children(), Vec::<PathBuf>::new());
        let mounts = self.daemon.mounts_with(self.runtime.name());
        // dockerd makes its own directory a mount, and takes it away when it ends.
        let of_containers: Vec<&String> =
            mounts.iter().filter(|mount| !mount.ends_with("docker/data")).collect();
        assert_eq!(of_containers, Vec::<&String>::new());
    }
}

#[test]
fn privileged_docker_runs_debian_with_its_streams_and_status() {
    let docker = Docker::start();
    let script = ". /etc/os-release; echo $PRETTY_NAME; echo aside >&2; exit 42";
    let outcome = docker.run(&["--rm"], &["sh", "-c", script]).run().exits(42);
    assert!(outcome.stdout.contains(IMAGE_SAYS), "{}", outcome.describe());
    assert!(outcome.stderr.contains("aside"), "{}", outcome.describe());

    let outcome = docker.run(&["--rm", "--interactive"], &["cat"]).stdin("through\nthe container\n").run();
    assert_eq!(outcome.succeeds().stdout, "through\nthe container\n");
    docker.holds_nothing();
}

#[test]
fn privileged_docker_tells_a_missing_command_from_a_forbidden_one() {
    let docker = Docker::start();
    docker.run(&["--rm"], &["/no/such/program"]).run().exits(127).says("/no/such/program").discard();
    docker.run(&["--rm"], &["no-such-program"]).run().exits(127).says("executable file not found").discard();
    docker.run(&["--rm"], &["/etc/passwd"]).run().exits(126).says("permission denied").discard();
    docker.run(&["--rm"], &["/etc"]).run().exits(126).discard();
    docker.holds_nothing();
}

#[test]
fn privileged_docker_gives_a_container_a_terminal() {
    let docker = Docker::start();
    let mut terminal = Terminal::open();
    terminal.resize(31, 97);
    let shell = docker.run(&["--rm", "--interactive", "--tty"], &["sh"]).on_terminal(&terminal).spawn();
    terminal.read_until("# ");
    terminal.type_text("tty\n");
    terminal.read_until("/dev/pts/0");
    // docker sets the size some time after the start. The quotes keep the echo of this line from being the answer.
    terminal.type_text("until [ \"$(stty size)\" = '31 97' ]; do :; done; echo the size is r''ight\n");
    terminal.read_until("the size is right");
    terminal.type_text("exit 7\n");
    shell.wait().exits(7).discard();
    docker.holds_nothing();
}

#[test]
fn privileged_docker_confines_a_container_as_it_is_told() {
    let docker = Docker::start();
    let shared = docker.runtime.scratch().join("shared");
    fs::create_dir(&shared).expect("the scratch directory is writable");
    fs::write(shared.join("note"), "from outside\n").expect("the scratch directory is writable");
    let volume = format!("--volume={}:/shared:ro", shared.display());
    #[rustfmt::skip]
    let options = [
        "--rm", "--read-only", "--user=1234:2345", "--cap-drop=all", "--hostname=inside", "--memory=64m",
        "--pids-limit=50", "--tmpfs=/scratch:mode=1777", "--security-opt=no-new-privileges", "--workdir=/usr",
        "--ulimit=core=0:0", "--sysctl=net.ipv4.ip_default_ttl=33", "--init", &volume,
    ];
    let script = "echo id $(id -u):$(id -g); echo host $(cat /proc/sys/kernel/hostname); pwd; \
        grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status; echo core $(ulimit -c); \
        echo ttl $(cat /proc/sys/net/ipv4/ip_default_ttl); echo links $(ls /sys/class/net); \
        echo x >/scratch/file && echo scratch; (echo x >/usr/file) 2>&1; cat /shared/note; \
        (echo x >/shared/note) 2>&1; echo first $(cat /proc/1/comm)";
    let outcome = docker.run(&options, &["sh", "-c", script]).run().succeeds();
    #[rustfmt::skip]
    let lines = [
        "id 1234:2345", "host inside", "/usr", "CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2", "core 0",
        "ttl 33", "links lo", "scratch", "from outside", "first docker-init",
    ];
    for line in lines {
        assert!(outcome.stdout.lines().any(|said| said == line), "no {line:?}: {}", outcome.describe());
    }
    assert_eq!(outcome.stdout.matches("Read-only file system").count(), 2, "{}", outcome.describe());
    docker.holds_nothing();
}

#[test]
fn privileged_docker_execs_pauses_measures_logs_stops_and_removes() {
    let docker = Docker::start();
    let script = "trap 'echo bye; exit 9' TERM; echo up; sleep infinity & wait";
    let options = ["--detach", "--name=life", "--memory=64m"];
    let id = docker.run(&options, &["sh", "-c", script]).run().succeeds().stdout.trim().to_owned();
    assert_eq!(docker.inspect("life", "/State/Status"), "running");
    let group = format!("{}/{id}", docker.runtime.name());
    let limit = cgroup::read_either("memory", &group, "memory.limit_in_bytes", "memory.max");
    assert_eq!(limit, "67108864");

    let outcome = docker.exec(&[], "life", &["sh", "-c", "tr '\\0' ' ' </proc/1/cmdline; exit 3"]).exits(3);
    assert!(outcome.stdout.contains("echo up"), "{}", outcome.describe());
    let options = ["--user=1000:1001", "--env=COLOUR=blue", "--workdir=/tmp"];
    let outcome =
        docker.exec(&options, "life", &["sh", "-c", "echo $(id -u):$(id -g) $COLOUR $PWD"]).succeeds();
    assert_eq!(outcome.stdout, "1000:1001 blue /tmp\n");
    let missing = docker.exec(&[], "life", &["/no/such/program"]);
    assert!(matches!(missing.status.code(), Some(126 | 127)), "{}", missing.describe());

    docker.docker(["pause", "life"]).run().succeeds().discard();
    assert_eq!(docker.inspect("life", "/State/Status"), "paused");
    assert!(cgroup::is_frozen(&group));
    docker.docker(["unpause", "life"]).run().succeeds().discard();

    let stats =
        docker.docker(["stats", "--no-stream", "--format={{.PIDs}} {{.MemUsage}}", "life"]).run().succeeds();
    assert!(stats.stdout.starts_with("2 ") && stats.stdout.contains("/ 64MiB"), "{}", stats.describe());
    let top = docker.docker(["top", "life"]).run().succeeds();
    assert_eq!(top.stdout.lines().count(), 3, "a heading and two processes: {}", top.describe());

    docker.docker(["stop", "--time=20", "life"]).run().succeeds().discard();
    assert_eq!(docker.inspect("life", "/State/ExitCode"), 9);
    assert_eq!(docker.docker(["logs", "life"]).run().succeeds().stdout, "up\nbye\n");

    docker.docker(["start", "life"]).run().succeeds().discard();
    assert_eq!(docker.inspect("life", "/State/Status"), "running");
    docker.docker(["kill", "--signal=KILL", "life"]).run().succeeds().discard();
    assert_eq!(docker.docker(["wait", "life"]).run().succeeds().stdout, "137\n");
    docker.docker(["rm", "life"]).run().succeeds().discard();
    docker.holds_nothing();
}
