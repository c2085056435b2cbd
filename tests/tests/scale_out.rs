//! The recipes of `docs/scale-out.md`, read out of it and carried out.

#![forbid(unsafe_code)]

use mydocker_tests::http::get_within;
use mydocker_tests::plug::{CgroupParent, Daemon, IMAGE, busybox_archive, image_archive};
use mydocker_tests::{Invocation, Runtime, wait};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Where the page says that the runtime is.
const PROGRAM: &str = "/usr/local/bin/mydocker-runtime";

/// The name of the image that the swarm runs.
const SERVER: &str = "127.0.0.1:1/server:1";

/// What a swarm may take to notice that a node is gone, and to start its tasks elsewhere.
const A_WHILE: Duration = Duration::from_secs(100);

/// The fenced block of the page that follows a mark.
fn block(mark: &str) -> String {
    let page = xtask::workspace().join("docs/scale-out.md");
    let text = fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
    let (_, rest) = text.split_once(&format!("<!-- {mark} -->\n```")).unwrap_or_else(|| panic!("no {mark}"));
    let (_, rest) = rest.split_once('\n').expect("the line of the fence ends");
    rest.split_once("```").expect("the block ends").0.to_owned()
}

/// The words of one command of a block, with those that stand for something replaced.
fn words(line: &str, replaced: &[(&str, &str)]) -> Vec<String> {
    let mut line = line.to_owned();
    for (from, to) in replaced {
        assert!(line.contains(from), "no {from} in {line}");
        line = line.replace(from, to);
    }
    line.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn privileged_containerd_takes_the_page_s_settings_and_ctr_runs_a_container() {
    let runtime = Runtime::new();
    let place = runtime.scratch().display();
    let program = runtime.program().to_string_lossy().into_owned();
    let own = format!(
        "root = \"{place}/containerd/root\"\nstate = \"{place}/containerd/state\"\n\
         disabled_plugins = [\"io.containerd.internal.v1.opt\"]\n[grpc]\naddress = \"{place}/containerd.sock\"\n"
    );
    let settings = block("containerd config.toml").replace(PROGRAM, &program);
    let settings = settings.replacen("version = 2\n", &format!("version = 2\n{own}"), 1);
    let file = runtime.scratch().join("containerd.toml");
    fs::write(&file, settings).expect("the scratch directory is writable");
    let containerd = runtime.host(["containerd", "--config"]).arg(&file);
    let dumped =
        runtime.host(["containerd", "--config"]).arg(&file).args(["config", "dump"]).run().succeeds();
    for line in ["default_runtime_name = \"mydocker\"".to_owned(), format!("BinaryName = \"{program}\"")] {
        assert!(dumped.stdout.contains(&line), "no {line}: {}", dumped.describe());
    }

    let daemon = Daemon::start(containerd, "containerd successfully booted");
    let groups = CgroupParent::new(runtime.name());
    let ctr = || {
        let socket = runtime.scratch().join("containerd.sock");
        runtime.host(["ctr", "--namespace", runtime.name(), "--address"]).arg(socket)
    };
    let plugins = ctr().args(["plugins", "ls"]).run().succeeds().stdout;
    let is_cri = |line: &&str| line.split_whitespace().nth(1) == Some("cri");
    assert!(plugins.lines().find(is_cri).is_some_and(|line| line.trim_end().ends_with("ok")), "{plugins}");

    ctr().args(["images", "import"]).arg(image_archive()).run().succeeds().discard();
    let line = words(&block("ctr"), &[(PROGRAM, &program), ("IMAGE", IMAGE)]);
    // The pipes lie where both of the mount namespaces see them.
    let fifos = ["--fifo-dir".to_owned(), runtime.scratch().join("fifos").to_string_lossy().into_owned()];
    let run = [&line[1..2], &fifos, &line[2..]].concat();
    assert_eq!(ctr().args(run).run().succeeds().stdout, "hello\n");
    assert_eq!(groups.children(), Vec::<PathBuf>::new());
    drop(daemon);
}

/// A machine of the swarm: a network namespace with a containerd and a dockerd.
struct Node<'a> {
    // The order is that of their end.
    _docker: Daemon,
    _containerd: Daemon,
    runtime: &'a Runtime,
    place: PathBuf,
}

impl<'a> Node<'a> {
    fn start(runtime: &'a Runtime, namespace: &str) -> Self {
        let net = format!("--net=/run/netns/{namespace}");
        let place = runtime.scratch().join(namespace);
        fs::create_dir(&place).expect("the scratch directory is writable");
        let inside = |words: &[&str]| runtime.host(["nsenter", &net]).args(words);
        let containerd = inside(&["containerd", "--config"]).arg(Daemon::containerd_config(&place));
        let containerd = Daemon::start(containerd, "containerd successfully booted");
        let config = place.join("daemon.json");
        fs::write(&config, docker_config(runtime, &place)).expect("the scratch directory is writable");
        let command = inside(&["dockerd", "--config-file"]).arg(config);
        let docker = containerd.start_beside(command, "API listen on");
        let node = Self { _docker: docker, _containerd: containerd, runtime, place };
        assert_eq!(node.ok(&["docker", "info", "--format", "{{.DefaultRuntime}}"]), "mydocker");
        let load = node.command(["docker", "load", "--quiet", "--input"]);
        load.arg(busybox_archive(SERVER)).run().succeeds().discard();
        node
    }

    /// A line of the page that begins with `docker`, by Debian's client, which is of the daemon's version.
    fn command<W: AsRef<str>>(&self, words: impl IntoIterator<Item = W>) -> Invocation {
        let host = format!("unix://{}", self.place.join("docker.sock").display());
        let mut words = words.into_iter();
        assert_eq!(words.next().as_ref().map(AsRef::as_ref), Some("docker"));
        let client = self.runtime.host(["/usr/bin/docker", "--host", &host]).deadline(A_WHILE);
        client
            .args(words.map(|word| word.as_ref().to_owned()))
            .env("DOCKER_CONFIG", self.place.join("client"))
    }

    fn ok<W: AsRef<str>>(&self, words: &[W]) -> String {
        self.command(words).run().succeeds().stdout.trim_end().to_owned()
    }

    /// The ports of this node that lead to tasks of the service.
    fn ports(&self) -> Vec<String> {
        let shown = self.ok(&["docker", "ps", "--format", "{{.Ports}}"]);
        let port = |line: &str| {
            let (_, rest) = line.split_once("0.0.0.0:")?;
            Some(rest.split_once("->")?.0.to_owned())
        };
        shown.lines().filter_map(port).collect()
    }

    fn wait_for_tasks(&self, count: usize) {
        let told = || self.ok(&["docker", "ps", "--all"]);
        let has = || (self.ports().len() == count).then_some(());
        wait::within(A_WHILE, has).unwrap_or_else(|| panic!("no {count} tasks: {}", told()));
    }

    /// Removes what a swarm leaves of its tasks.
    fn clear(&self) {
        self.command(["docker", "swarm", "leave", "--force"]).run().discard();
        let left = || self.ok(&["docker", "ps", "--all", "--quiet"]);
        wait::within(A_WHILE, || left().is_empty().then_some(())).expect("a node that leaves ends its tasks");
    }
}

/// What the page says, and what keeps the daemon to the directory `place`.
fn docker_config(runtime: &Runtime, place: &Path) -> String {
    let mut config: Value = serde_json::from_str(&block("docker daemon.json")).expect("JSON");
    assert_eq!(config["runtimes"]["mydocker"]["path"], PROGRAM);
    config["runtimes"]["mydocker"]["path"] = json!(runtime.program());
    let own = json!({
        "cgroup-parent": format!("/{}", runtime.name()),
        "containerd": place.join("containerd.sock"),
        "data-root": place.join("data"),
        "deprecated-key-path": place.join("key.json"),
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "exec-root": place.join("exec"),
        "hosts": [format!("unix://{}", place.join("docker.sock").display())],
        "pidfile": place.join("pid"),
        "storage-driver": "overlay2",
    });
    config.as_object_mut().expect("an object").extend(own.as_object().expect("an object").clone());
    config.to_string()
}

/// Two network namespaces with a cable between them. They vanish at the end, and the cable with them.
struct Cable {
    names: [String; 2],
}

impl Cable {
    const ADDRESSES: [&str; 2] = ["10.213.7.1", "10.213.7.2"];

    fn new() -> Self {
        let name = format!("mdt-{}", std::process::id());
        let cable = Self { names: [format!("{name}-a"), format!("{name}-b")] };
        let [a, b] = &cable.names;
        ip(&["netns", "add", a]);
        ip(&["netns", "add", b]);
        ip(&["link", "add", "cable", "netns", a, "type", "veth", "peer", "name", "cable", "netns", b]);
        for (name, address) in cable.names.iter().zip(Self::ADDRESSES) {
            ip(&["-n", name, "link", "set", "lo", "up"]);
            ip(&["-n", name, "address", "add", &format!("{address}/24"), "dev", "cable"]);
            ip(&["-n", name, "link", "set", "cable", "up"]);
        }
        cable
    }

    fn cut(&self) {
        ip(&["-n", &self.names[0], "link", "set", "cable", "down"]);
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for name in &self.names {
            // One that could not be made is no harm.
            drop(Command::new("ip").args(["netns", "delete", name]).output());
        }
    }
}

fn ip(words: &[&str]) {
    let output = Command::new("ip").args(words).output().expect("ip is installed (package iproute2)");
    assert!(output.status.success(), "ip {words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn privileged_a_swarm_starts_the_tasks_of_a_lost_node_elsewhere() {
    let cable = Cable::new();
    let runtime = Runtime::new();
    let groups = CgroupParent::new(runtime.name());
    let [manager, worker] = cable.names.each_ref().map(|name| Node::start(&runtime, name));
    let address = ("ADDRESS", Cable::ADDRESSES[0]);
    let lines = block("swarm manager");
    let [init, join_token] = lines.lines().collect::<Vec<_>>()[..] else { panic!("two lines: {lines}") };
    manager.ok(&words(init, &[address]));
    let token = manager.ok(&words(join_token, &[]));
    worker.ok(&words(&block("swarm worker"), &[address, ("TOKEN", &token)]));

    let mut service = words(&block("swarm service"), &[("IMAGE", SERVER)]);
    service.extend(["sh", "-c", "echo served >/index.html; exec httpd -f -p 80 -h /"].map(str::to_owned));
    manager.ok(&service);
    for node in [&manager, &worker] {
        node.wait_for_tasks(1);
    }
    for (name, node) in cable.names.iter().zip([&manager, &worker]) {
        answers(name, &node.ports()[0]);
    }

    cable.cut();
    manager.wait_for_tasks(2);
    let told = manager.ok(&["docker", "node", "ls", "--format", "{{.Status}}"]);
    assert_eq!(told.matches("Down").count(), 1, "{told}");
    for port in manager.ports() {
        answers(&cable.names[0], &port);
    }
    manager.ok(&["docker", "service", "rm", "web"]);
    manager.clear();
    worker.clear();
    assert_eq!(groups.children(), Vec::<PathBuf>::new());
}

/// Asks for the page of the service from within a network namespace.
fn answers(namespace: &str, port: &str) {
    let port = port.parse().expect("a port");
    let page = get_within(&Path::new("/run/netns").join(namespace), port, "/index.html");
    assert!(page.ends_with("\r\n\r\nserved\n"), "{page}");
}

/// The scalars of a document of YAML, by their paths; it understands what the page uses: mappings by indentation, lists of
/// mappings, and texts.
fn scalars(document: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut path: Vec<(usize, String)> = Vec::new();
    for line in document.lines().filter(|line| !line.trim().is_empty()) {
        let text = line.trim_start_matches([' ', '-']);
        let depth = line.len() - text.len();
        path.retain(|(above, _)| *above < depth);
        let (key, value) = text.split_once(':').unwrap_or_else(|| panic!("no mapping: {line}"));
        path.push((depth, key.to_owned()));
        if !value.trim().is_empty() {
            let names: Vec<&str> = path.iter().map(|(_, name)| name.as_str()).collect();
            found.insert(names.join("."), value.trim().trim_matches('"').to_owned());
        }
    }
    found
}

#[test]
fn the_runtime_class_names_what_containerd_is_told_and_the_pod_names_the_class() {
    let text = block("kubernetes");
    let documents: Vec<_> = text.split("---\n").map(scalars).collect();
    let [class, pod] = &documents[..] else { panic!("two documents: {text}") };
    let of = |document: &BTreeMap<String, String>, path: &str| {
        document.get(path).unwrap_or_else(|| panic!("no {path}: {document:?}")).clone()
    };
    assert_eq!(of(class, "apiVersion"), "node.k8s.io/v1");
    assert_eq!(of(class, "kind"), "RuntimeClass");
    assert_eq!(of(class, "scheduling.nodeSelector.mydocker.runtime"), "true");
    let runtime = format!(".runtimes.{}]", of(class, "handler"));
    assert!(block("containerd config.toml").contains(&runtime), "containerd knows no {runtime}");
    assert_eq!((of(pod, "apiVersion"), of(pod, "kind")), ("v1".to_owned(), "Pod".to_owned()));
    assert_eq!(of(pod, "spec.runtimeClassName"), of(class, "metadata.name"));
    assert_eq!(of(pod, "spec.containers.command"), "[\"echo\", \"hello\"]");
}
