//! Networks by the library alone: what is made for a container, and that nothing of it is left, whatever came between.

use mydocker::container::{Attachment, Config, Container, Containers, HostConfig, PortBinding, Root, State};
use mydocker::home::{Home, Wishes};
use mydocker::network::{self, NetworkError, Networks, Up, Wish};
use std::fs;
use std::io::Read as _;
use std::net::{IpAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Networks of their own.
struct Scene {
    base: TempDir,
    containers: Containers,
}

impl Scene {
    fn new() -> Self {
        let base = tempfile::Builder::new().prefix("mde-").tempdir_in("/dev/shm").expect("room");
        let wishes = Wishes {
            root: Some(base.path().join("root")),
            run_root: Some(base.path().join("run")),
            runtime: None,
            ..Wishes::default()
        };
        let containers = Containers::open(&Home::find(wishes).expect("a home")).expect("room");
        Self { base, containers }
    }

    fn home(&self) -> &Home {
        self.containers.home()
    }

    fn network(&self, name: &str, change: impl FnOnce(&mut Wish)) -> network::Network {
        let mut wish = Wish { name: name.to_owned(), ..Wish::default() };
        change(&mut wish);
        Networks::open(self.home()).expect("room").create(&wish).expect("a network")
    }

    fn container(&self, name: &str, networks: &[&str], change: impl FnOnce(&mut Container)) -> Container {
        let wish = |network: &&str| Attachment { network: (*network).to_owned(), ..Attachment::default() };
        let mut container = Container {
            id: Containers::new_id().expect("an id"),
            name: name.to_owned(),
            created: mydocker::clock::now(),
            image: None,
            root: Root::View(PathBuf::from("/")),
            config: Config::default(),
            host_config: HostConfig { network_mode: "default".to_owned(), ..HostConfig::default() },
            mounts: Vec::new(),
            networks: networks.iter().map(wish).collect(),
        };
        change(&mut container);
        self.containers.create(container, |_, _| Ok::<_, NetworkError>(())).expect("a container")
    }

    fn up(&self, container: &Container) -> Result<Up, NetworkError> {
        let up = network::up(&self.containers, container)?;
        self.containers
            .change_state(&container.id, |state| {
                state.endpoints.clone_from(&up.endpoints);
                state.monitor = mydocker::container::Process::own();
                state.boot = self.containers.boot().to_owned();
            })
            .expect("a state");
        Ok(up)
    }

    fn down(&self, container: &Container) {
        let state = self.containers.recorded_state(&container.id).expect("a state");
        let errors = network::down(self.home(), container, &state);
        assert!(errors.is_empty(), "{errors:?}");
    }

    /// A program in a container's namespace.
    fn inside(&self, container: &Container, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        let namespace = format!("--net={}", self.home().netns(&container.id).display());
        command.arg(namespace).arg("/bin/busybox").args(words);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn said(&self, container: &Container, words: &[&str]) -> String {
        let output = self.inside(container, words).output().expect("nsenter is there");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A server in a container that says one line to one client.
    fn serve(&self, container: &Container, port: u16) -> Child {
        let mut command =
            self.inside(container, &["nc", "-l", "-p", &port.to_string(), "-e", "echo", "served"]);
        let child = command.spawn().expect("nsenter is there");
        let probe = || self.said(container, &["netstat", "-ltn"]).contains(&format!(":{port} "));
        assert!(eventually(probe), "nobody listens on {port}");
        child
    }

    /// What of the networks is left on the host.
    fn left(&self) -> Vec<String> {
        let networks = Networks::open(self.home()).and_then(|networks| networks.all()).expect("networks");
        let rules = ["iptables-save", "ip6tables-save"].map(|program| {
            let output = Command::new(program).output().expect("iptables is there");
            String::from_utf8_lossy(&output.stdout).into_owned()
        });
        let mut left = Vec::new();
        for network in networks.iter().filter(|network| network.is_bridge()) {
            let subnet = network.pools().iter().map(|pool| pool.subnet.to_string());
            let words: Vec<String> =
                subnet.chain([network.id[..12].to_owned(), network.interface.clone()]).collect();
            let lines = rules.iter().flat_map(|text| text.lines());
            left.extend(lines.filter(|line| words.iter().any(|word| line.contains(word))).map(str::to_owned));
            if PathBuf::from("/sys/class/net").join(&network.interface).exists() {
                left.push(network.interface.clone());
            }
        }
        for place in [
            "root/networks/bridge/addresses",
            "run/networks/joined",
            "run/networks/aardvark-dns",
            "run/netns",
        ] {
            let entries = fs::read_dir(self.base.path().join(place)).into_iter().flatten().flatten();
            left.extend(entries.map(|entry| entry.path().display().to_string()));
        }
        left.retain(|path| !path.ends_with("/last") && !path.ends_with("/last6"));
        left
    }

    fn assert_clean(&self) {
        network::take_down_idle(self.home()).expect("nobody is on the default bridge");
        assert_eq!(self.left(), Vec::<String>::new());
    }
}

impl Drop for Scene {
    /// A test that failed leaves nothing either.
    fn drop(&mut self) {
        for id in self.containers.ids().unwrap_or_default() {
            let known = (self.containers.load(&id), self.containers.recorded_state(&id));
            if let (Ok(container), Ok(state)) = known {
                drop(network::down(self.home(), &container, &state));
            }
        }
        drop(network::take_down_idle(self.home()));
    }
}

fn eventually(condition: impl Fn() -> bool) -> bool {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while std::time::Instant::now() < end {
        if condition() {
            return true;
        }
        std::thread::yield_now();
    }
    false
}

fn binding(container_port: u16, host_port: Option<u16>) -> PortBinding {
    let protocol = "tcp".to_owned();
    PortBinding { container_port, protocol, host_ip: None, host_port, last_host_port: None }
}

fn fetched(address: IpAddr, port: u16) -> String {
    let mut text = String::new();
    let mut stream = TcpStream::connect((address, port)).expect("somebody listens");
    stream.read_to_string(&mut text).expect("it answers");
    text
}

#[test]
fn privileged_a_container_gets_an_address_and_ports_and_gives_them_back() {
    let scene = Scene::new();
    let container = scene.container("one", &["bridge"], |container| {
        container.host_config.port_bindings = vec![binding(8080, None)];
    });
    let up = scene.up(&container).expect("a network");
    let (address, _) = up.endpoints["bridge"].addresses[0];
    assert!(scene.said(&container, &["ip", "addr"]).contains(&address.to_string()));
    let mut server = scene.serve(&container, 8080);
    assert_eq!(fetched("127.0.0.1".parse().expect("an address"), up.ports[0].host_port), "served\n");
    server.wait().expect("it ends");
    let other = scene.container("two", &["bridge"], |container| {
        container.host_config.port_bindings = vec![binding(1, Some(up.ports[0].host_port))];
    });
    let error = scene.up(&other).expect_err("the port is taken").to_string();
    assert!(error.contains("port is already allocated"), "{error}");
    scene.down(&container);
    scene.down(&container);
    drop(up);
    scene.up(&other).expect("the port is free");
    scene.down(&other);
    scene.assert_clean();
}

#[test]
fn privileged_names_are_known_when_a_container_starts() {
    let scene = Scene::new();
    scene.network("front", |_| ());
    scene.network("back", |_| ());
    let one = scene.container("One", &["front"], |container| {
        container.networks[0].aliases = vec!["Web".to_owned()];
    });
    let two = scene.container("two", &["front", "back"], |_| ());
    let three = scene.container("three", &["back"], |_| ());
    for container in [&one, &two, &three] {
        scene.up(container).expect("a network");
    }
    let server =
        scene.containers.recorded_state(&two.id).expect("a state").endpoints["front"].gateways[0].to_string();
    for name in ["one", "web", one.short_id(), "three"] {
        let answer = scene.said(&two, &["nslookup", name, &server]);
        assert!(answer.contains(&format!("Name:\t{name}")), "{name}: {answer}");
    }
    assert!(!scene.said(&one, &["nslookup", "three", &server]).contains("Name:\tthree"));
    for container in [&one, &two, &three] {
        scene.down(container);
    }
    scene.assert_clean();
}

#[test]
fn privileged_what_a_killed_process_left_is_undone_later() {
    let scene = Scene::new();
    scene.network("net", |_| ());
    let container = scene.container("one", &["net"], |container| {
        container.host_config.port_bindings = vec![binding(80, None)];
    });
    let namespace = scene.home().netns(&container.id);
    let destroy: [&dyn Fn(); 3] = [
        // The host was switched off, or somebody has removed the namespace.
        &|| assert!(Command::new("umount").arg(&namespace).status().expect("umount").success()),
        // The name server was killed.
        &|| {
            let pid = scene.base.path().join("run/networks/aardvark-dns/aardvark.pid");
            let pid = fs::read_to_string(pid).expect("it runs");
            assert!(Command::new("kill").args(["-9", &pid]).status().expect("kill").success());
        },
        // Somebody has removed the interface.
        &|| {
            let arguments = ["ip", "link", "del", "eth0"];
            assert!(scene.inside(&container, &arguments).status().expect("ip").success());
        },
    ];
    for destroy in destroy {
        scene.up(&container).expect("a network");
        destroy();
        scene.down(&container);
        scene.assert_clean();
    }
    // And what is left is no obstacle to the next start.
    scene.up(&container).expect("a network");
    scene.up(&container).expect("a network again");
    scene.down(&container);
    scene.assert_clean();
    assert_eq!(network::down(scene.home(), &container, &State::default()).len(), 0);
}

#[test]
fn privileged_networks_are_joined_and_left_while_a_container_runs() {
    let scene = Scene::new();
    let (front, back) = (scene.network("front", |_| ()), scene.network("back", |wish| wish.internal = true));
    let container = scene.container("one", &["front"], |_| ());
    scene.up(&container).expect("a network");
    network::connect(&scene.containers, &back, &container.id, Attachment::default()).expect("it runs");
    let state = scene.containers.recorded_state(&container.id).expect("a state");
    assert_eq!(state.endpoints["back"].interface, "eth1");
    assert!(scene.said(&container, &["ip", "addr"]).contains("eth1"));
    let error = network::connect(&scene.containers, &back, &container.id, Attachment::default());
    assert!(error.expect_err("twice").to_string().contains("already exists in network back"));
    let networks = Networks::open(scene.home()).expect("networks");
    let error = networks.remove(&scene.containers, &front).expect_err("it is in use").to_string();
    assert!(error.contains("has active endpoints: one"), "{error}");
    network::disconnect(&scene.containers, &front, &container.id).expect("it is on it");
    assert!(!scene.said(&container, &["ip", "addr"]).contains("eth0"));
    networks.remove(&scene.containers, &front).expect("nobody is on it");
    let container = scene.containers.load(&container.id).expect("a record");
    assert_eq!(container.networks.len(), 1);
    scene.down(&container);
    scene.assert_clean();
}

#[test]
fn privileged_two_families_of_addresses() {
    let scene = Scene::new();
    let number = std::process::id() % 0xffff;
    scene.network("net", |wish| {
        wish.ipv6 = true;
        wish.subnets = vec![format!("fd5a:6d64:{number:x}::/64").parse().expect("a subnet")];
    });
    let container = scene.container("one", &["net"], |container| {
        container.host_config.port_bindings = vec![binding(8080, None)];
    });
    let up = scene.up(&container).expect("a network");
    assert_eq!(up.endpoints["net"].addresses.len(), 2);
    assert_eq!(up.ports.len(), 2);
    assert!(scene.said(&container, &["ip", "addr"]).contains(&format!("fd5a:6d64:{number:x}::2/64")));
    scene.down(&container);
    scene.assert_clean();
}

/// Runs the test of this name again as root of a new user namespace, which is what an ordinary user can be.
fn again_in_user_namespace(test: &str) {
    let own = std::env::current_exe().expect("a path");
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "--"]).arg(own).args([
        "--exact",
        test,
        "--nocapture",
    ]);
    let output = command.output().expect("unshare is there");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn privileged_an_ordinary_users_container_is_connected_by_pasta() {
    if mydocker_sys::namespace::is_first_user_namespace() {
        return again_in_user_namespace("privileged_an_ordinary_users_container_is_connected_by_pasta");
    }
    let scene = Scene::new();
    let container = scene.container("one", &["bridge"], |container| {
        container.host_config.port_bindings = vec![binding(8080, None)];
    });
    let up = scene.up(&container).expect("a network");
    assert!(!up.nameservers.is_empty() && up.held.is_empty());
    assert!(
        scene.said(&container, &["ip", "addr"]).contains(&up.endpoints["bridge"].addresses[0].0.to_string())
    );
    let mut server = scene.serve(&container, 8080);
    assert_eq!(fetched("127.0.0.1".parse().expect("an address"), up.ports[0].host_port), "served\n");
    server.wait().expect("it ends");
    let other = scene.container("two", &["bridge"], |container| {
        container.host_config.port_bindings = vec![binding(1, Some(up.ports[0].host_port))];
    });
    let error = scene.up(&other).expect_err("the port is taken").to_string();
    assert!(error.contains("port is already allocated"), "{error}");
    // What was killed is undone as well.
    let pid = scene.base.path().join("run/networks/pasta").join(&container.id);
    let pid = fs::read_to_string(pid).expect("it runs");
    assert!(Command::new("kill").args(["-9", pid.trim()]).status().expect("kill").success());
    scene.down(&container);
    scene.up(&other).expect("the port is free");
    scene.down(&other);
    let left = ["run/networks/pasta", "run/netns"]
        .map(|place| fs::read_dir(scene.base.path().join(place)).map_or(0, Iterator::count));
    assert_eq!(left, [0, 0]);
    let wish = Wish { name: "net".to_owned(), ..Wish::default() };
    let error =
        Networks::open(scene.home()).expect("room").create(&wish).expect_err("it takes root").to_string();
    assert!(error.contains("takes root"), "{error}");
}
