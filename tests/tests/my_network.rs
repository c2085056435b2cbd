//! Networks of containers, with real traffic.

use mydocker_tests::traffic::{
    SERVE, address, entries, fetch, fetch_here, is_cut_off, localhost, mentioned, network, own_address,
    published, serve,
};
use mydocker_tests::{Engine, wait};
use serde_json::Value;
use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Removes all containers, and demands that nothing of their networks is left on the host.
fn assert_clean(engine: &Engine) {
    for id in engine.ids() {
        engine.ok(["rm", "-f", &id]);
    }
    let names = engine.ok(["network", "ls", "--filter", "driver=bridge", "--format", "{{.Name}}"]);
    for name in names.lines() {
        let network = network(engine, name);
        let bridge =
            network["Options"]["com.docker.network.bridge.name"].as_str().expect("a bridge").to_owned();
        let mut words = vec![bridge.clone(), network["Id"].as_str().expect("an id")[..12].to_owned()];
        for pool in network["IPAM"]["Config"].as_array().expect("subnets") {
            words.push(pool["Subnet"].as_str().expect("a subnet").to_owned());
        }
        let device = Path::new("/sys/class/net").join(&bridge);
        if name == "bridge" {
            // It stays until the end of the engine, which sees to it that it can go.
            let led = |rule: &String| rule.contains("--to-destination");
            assert!(!mentioned("iptables-save", &words).iter().any(led), "ports of {name}");
            assert_eq!(entries(&device.join("brif")), Vec::<PathBuf>::new(), "{bridge} has containers");
        } else {
            assert_eq!(mentioned("iptables-save", &words), Vec::<String>::new(), "rules of {name}");
            assert!(!device.exists(), "{bridge} is left");
        }
        assert_eq!(mentioned("ip6tables-save", &words), Vec::<String>::new(), "rules of {name}");
        let addresses = engine.path("root/networks").join(name).join("addresses");
        let left = entries(&addresses).into_iter().filter(|path| !path.to_string_lossy().contains("/last"));
        assert_eq!(left.collect::<Vec<_>>(), Vec::<PathBuf>::new());
    }
    for place in ["run/netns", "run/networks/joined", "run/networks/aardvark-dns"] {
        assert_eq!(entries(&engine.path(place)), Vec::<PathBuf>::new());
    }
}

#[test]
fn privileged_containers_of_a_network_find_each_other_by_name() {
    let engine = Engine::with_busybox();
    engine.ok(["network", "create", "net"]);
    serve(&engine, "Web", &["--network", "net", "--network-alias", "www"]);
    let id = engine.ok(["inspect", "-f", "{{.Id}}", "Web"]);
    for name in ["web", "www", &id[..12]] {
        // What a container asks first is answered.
        let words = [
            "run",
            "--rm",
            "--network",
            "net",
            "busybox",
            "wget",
            "-q",
            "-O",
            "-",
            &format!("http://{name}/"),
        ];
        assert_eq!(engine.ok(words), "Web", "{name}");
    }
    engine.command(["run", "--rm", "busybox", "nslookup", "web"]).run().exits(1).discard();
    assert_clean(&engine);
}

#[test]
fn privileged_a_container_reaches_itself_by_its_own_name() {
    let engine = Engine::with_busybox();
    engine.ok(["network", "create", "net"]);
    for network in ["bridge", "net"] {
        serve(&engine, network, &["--network", network]);
        assert_eq!(fetch(&engine, network, network).as_deref(), Some(network));
    }
    assert_clean(&engine);
}

#[test]
fn privileged_another_name_is_found_at_once_and_the_old_one_no_more() {
    let engine = Engine::with_busybox();
    engine.ok(["network", "create", "net"]);
    serve(&engine, "web", &["--network", "net", "--network-alias", "www"]);
    engine.ok(["rename", "web", "Shop"]);
    let known = |name: &str| {
        let words = ["run", "--rm", "--network", "net", "busybox", "ping", "-c", "1", "-W", "5", name];
        engine.command(words).run().status.success()
    };
    assert_eq!(["shop", "www", "web"].map(known), [true, true, false]);
    engine.ok(["restart", "-t", "0", "Shop"]);
    assert_eq!(["shop", "www", "web"].map(known), [true, true, false]);
    // The default bridge knows no names, and does not mind.
    serve(&engine, "plain", &[]);
    engine.ok(["rename", "plain", "other"]);
    assert_clean(&engine);
}

#[test]
fn privileged_published_ports_are_reached_from_everywhere() {
    let engine = Engine::with_busybox();
    engine.ok(["network", "create", "net"]);
    engine.ok(["network", "create", "other"]);
    serve(&engine, "web", &["--network", "net", "-p", "80"]);
    let port = published(&engine, "web", "80/tcp");
    let host = own_address();
    for address in [localhost(), host] {
        assert_eq!(fetch_here(address, port).as_deref(), Some("web"), "{address}");
    }
    serve(&engine, "near", &["--network", "net"]);
    serve(&engine, "far", &["--network", "other"]);
    serve(&engine, "third", &[]);
    for from in ["near", "far", "third", "web"] {
        assert_eq!(fetch(&engine, from, &format!("{host}:{port}")).as_deref(), Some("web"), "from {from}");
    }
    // By its own address it is not for other networks.
    let address = address(&engine, "web", "net");
    assert_eq!(fetch(&engine, "near", &address).as_deref(), Some("web"));
    assert!(is_cut_off(&engine, "far", &address));
    // That holds as well when another network has come and gone.
    engine.ok(["rm", "-f", "third"]);
    assert!(is_cut_off(&engine, "far", &address));
    assert_eq!(fetch(&engine, "far", &format!("{host}:{port}")).as_deref(), Some("web"));
    assert_clean(&engine);
}

#[test]
fn privileged_an_address_of_the_host_narrows_what_is_published() {
    let engine = Engine::with_busybox();
    serve(&engine, "web", &["-p", "127.0.0.1::80"]);
    let port = published(&engine, "web", "80");
    assert_eq!(engine.ok(["port", "web"]), format!("80/tcp -> 127.0.0.1:{port}"));
    assert_eq!(fetch_here(localhost(), port).as_deref(), Some("web"));
    assert_eq!(fetch_here(own_address(), port), None);
    engine
        .command(["port", "web", "81"])
        .run()
        .exits(1)
        .says("No public port '81' published for web")
        .discard();
    engine
        .command(["run", "--rm", "-p", "203.0.113.7:80:80", "busybox", "true"])
        .run()
        .exits(125)
        .says("the host has no address 203.0.113.7")
        .discard();
    assert_clean(&engine);
}

#[test]
fn privileged_datagrams_and_ranges_are_published() {
    let engine = Engine::new();
    let echo = "use Socket; for my $port (9000..9002) { next if fork; socket(S, PF_INET, SOCK_DGRAM, 0); \
                bind(S, sockaddr_in($port, INADDR_ANY)); \
                while ($from = recv(S, $text, 99, 0)) { send(S, \"$port $text\", 0, $from) } exit } wait";
    // A range that is free now; whoever takes a port of it meanwhile is told apart by the name of the error.
    let start = wait::within(wait::DEADLINE, || {
        let first = UdpSocket::bind("0.0.0.0:0").ok()?.local_addr().ok()?.port();
        let range = format!("{first}-{}:9000-9002/udp", first.checked_add(2)?);
        let words = ["run", "-d", "--name", "echo", "-p", &range, "/usr/bin/perl", "-e", echo];
        let outcome = engine.command(words).run();
        if !outcome.status.success() {
            outcome.says("port is already allocated").discard();
            engine.command(["rm", "-f", "echo"]).run().discard();
            return None;
        }
        Some(first)
    });
    let start = start.expect("a free range");
    assert_eq!(engine.ok(["port", "echo"]).lines().count(), 3);
    for offset in [0, 1, 2] {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.connect((localhost(), start + offset)).expect("localhost");
        socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
        let answer = wait::within(wait::DEADLINE, || {
            socket.send(b"hello").ok()?;
            let mut buffer = [0; 99];
            let length = socket.recv(&mut buffer).ok()?;
            Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
        });
        assert_eq!(answer, Some(format!("{} hello", 9000 + offset)));
    }
    assert_clean(&engine);
}

#[test]
fn privileged_a_taken_port_is_named_and_nothing_is_left() {
    let engine = Engine::with_busybox();
    let listener = std::net::TcpListener::bind("0.0.0.0:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let wanted = format!("{port}:80");
    let taken = format!("Bind for 0.0.0.0:{port} failed: port is already allocated");
    engine.command(["run", "--rm", "-p", &wanted, "busybox", "true"]).run().exits(125).says(&taken).discard();
    assert_eq!(engine.ids(), Vec::<String>::new());
    drop(listener);
    serve(&engine, "web", &["-p", &wanted]);
    engine
        .command(["run", "-d", "--name", "b", "-p", &wanted, "busybox", "true"])
        .run()
        .exits(125)
        .says(&taken)
        .discard();
    // The one that has it keeps it, and gives it back.
    assert_eq!(fetch_here(localhost(), port).as_deref(), Some("web"));
    engine.ok(["rm", "-f", "web", "b"]);
    serve(&engine, "web", &["-p", &wanted]);
    assert_eq!(fetch_here(localhost(), port).as_deref(), Some("web"));
    assert_clean(&engine);
}

#[test]
fn privileged_of_several_ports_of_the_host_a_free_one_is_taken() {
    let engine = Engine::with_busybox();
    let listener = std::net::TcpListener::bind("0.0.0.0:0").expect("a port");
    let first = listener.local_addr().expect("an address").port();
    let last = first.saturating_add(20);
    serve(&engine, "web", &["-p", &format!("{first}-{last}:80")]);
    let port = published(&engine, "web", "80");
    assert!((first + 1..=last).contains(&port), "{port} is none of {first} to {last}");
    assert_eq!(fetch_here(localhost(), port).as_deref(), Some("web"));
    let asked = &engine.inspect("web")["HostConfig"]["PortBindings"]["80/tcp"][0]["HostPort"];
    assert_eq!(asked, &Value::from(format!("{first}-{last}")));
    let none = format!("{first}-{first}:80");
    engine
        .command(["run", "--rm", "-p", &none, "busybox", "true"])
        .run()
        .exits(125)
        .says("allocated")
        .discard();
    assert_clean(&engine);
}

#[test]
fn privileged_exposed_ports_are_published_at_random() {
    let engine = Engine::with_busybox();
    serve(&engine, "web", &["-P", "--expose", "80", "--expose", "53/udp"]);
    let ports = engine.ok(["port", "web"]);
    assert_eq!(ports.lines().count(), 2, "{ports}");
    assert_eq!(fetch_here(localhost(), published(&engine, "web", "80")).as_deref(), Some("web"));
    assert_clean(&engine);
}

#[test]
fn privileged_networks_do_not_reach_each_other_and_a_container_can_be_on_two() {
    let engine = Engine::with_busybox();
    for name in ["front", "back"] {
        engine.ok(["network", "create", name]);
    }
    serve(&engine, "web", &["--network", "front"]);
    serve(&engine, "db", &["--network", "back"]);
    serve(&engine, "app", &["--network", "front", "--network", "back"]);
    assert_eq!(fetch(&engine, "app", "web").as_deref(), Some("web"));
    assert_eq!(fetch(&engine, "app", "db").as_deref(), Some("db"));
    assert_eq!(fetch(&engine, "web", "app").as_deref(), Some("app"));
    assert!(is_cut_off(&engine, "web", "db"));
    assert!(is_cut_off(&engine, "web", &address(&engine, "db", "back")));
    let routes = engine.ok(["exec", "app", "ip", "route"]);
    assert!(routes.starts_with("default") && routes.contains("eth1"), "{routes}");
    assert_clean(&engine);
}

#[test]
fn privileged_an_internal_network_leads_nowhere() {
    let engine = Engine::with_busybox();
    engine.ok(["network", "create", "--internal", "inner"]);
    let listener = std::net::TcpListener::bind((own_address(), 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    serve(&engine, "a", &["--network", "inner"]);
    serve(&engine, "b", &["--network", "inner"]);
    assert_eq!(fetch(&engine, "a", "b").as_deref(), Some("b"));
    assert!(!engine.ok(["exec", "a", "ip", "route"]).contains("default"));
    let out =
        engine.command(["exec", "a", "nc", "-w", "2", &own_address().to_string(), &port.to_string()]).run();
    assert!(!out.status.success(), "{}", out.describe());
    engine
        .command(["run", "--rm", "--network", "inner", "-p", "80", "busybox", "true"])
        .run()
        .exits(125)
        .says("cannot publish port 80/tcp")
        .discard();
    assert_clean(&engine);
}

#[test]
fn privileged_a_running_container_joins_and_leaves_networks() {
    let engine = Engine::with_busybox();
    for name in ["front", "back"] {
        engine.ok(["network", "create", name]);
    }
    serve(&engine, "web", &["--network", "front"]);
    serve(&engine, "db", &["--network", "back"]);
    assert!(is_cut_off(&engine, "web", "db"));
    engine.ok(["network", "connect", "--alias", "site", "back", "web"]);
    assert_eq!(fetch(&engine, "web", "db").as_deref(), Some("db"));
    assert_eq!(fetch(&engine, "db", "site").as_deref(), Some("web"));
    let document = network(&engine, "back");
    assert_eq!(document["Containers"].as_object().expect("an object").len(), 2, "{document}");
    engine
        .command(["network", "connect", "back", "web"])
        .run()
        .exits(1)
        .says("endpoint with name web already exists in network back")
        .discard();
    engine.ok(["network", "disconnect", "back", "web"]);
    assert!(is_cut_off(&engine, "web", "db"));
    engine
        .command(["network", "disconnect", "back", "web"])
        .run()
        .exits(1)
        .says("container web is not connected to network back")
        .discard();
    // From no network at all to one, and what it joined while it was stopped counts as well.
    engine.ok(["network", "disconnect", "front", "web"]);
    engine.ok(["network", "connect", "back", "web"]);
    assert_eq!(fetch(&engine, "web", "db").as_deref(), Some("db"));
    engine.ok(["stop", "-t", "0", "web"]);
    engine.ok(["network", "connect", "front", "web"]);
    engine.ok(["start", "web"]);
    assert_eq!(fetch(&engine, "web", "db").as_deref(), Some("db"));
    assert!(engine.ok(["exec", "web", "ip", "addr"]).contains("eth1"));
    assert_clean(&engine);
}

#[test]
fn privileged_the_bridge_has_no_names_until_another_network_is_joined() {
    let engine = Engine::with_busybox();
    engine.ok(["network", "create", "net"]);
    serve(&engine, "db", &["--network", "net"]);
    serve(&engine, "web", &[]);
    assert!(is_cut_off(&engine, "web", "db"));
    engine.ok(["network", "connect", "net", "web"]);
    assert_eq!(fetch(&engine, "web", "db").as_deref(), Some("db"));
    engine
        .command(["run", "--rm", "--network-alias", "x", "busybox", "true"])
        .run()
        .exits(125)
        .says("network-scoped alias")
        .discard();
    assert_clean(&engine);
}

#[test]
fn privileged_networks_can_be_shared_or_done_without() {
    let engine = Engine::with_busybox();
    let interfaces = |flags: &[&str]| {
        let words = [&["run", "--rm"][..], flags, &["busybox", "ls", "/sys/class/net"]].concat();
        engine.ok(words).split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(interfaces(&["--network", "none"]), ["lo"]);
    assert!(interfaces(&["--network", "host"]).len() > 1);
    serve(&engine, "web", &["--network", "bridge"]);
    let words = [
        "run",
        "--rm",
        "--network",
        "container:web",
        "busybox",
        "wget",
        "-q",
        "-O",
        "-",
        "http://127.0.0.1/",
    ];
    assert_eq!(engine.ok(words), "web");
    let hosts =
        |flags: &[&str]| engine.ok([&["run", "--rm"][..], flags, &["busybox", "cat", "/etc/hosts"]].concat());
    assert!(hosts(&["--network", "container:web"]).contains("web"));
    let name = fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    assert_eq!(engine.ok(["run", "--rm", "--network", "host", "busybox", "hostname"]), name.trim());
    serve(&engine, "alone", &["--network", "none"]);
    for (network, complaint) in [("bridge", "private (none) mode"), ("host", "networks host and none")] {
        engine.command(["network", "connect", network, "alone"]).run().exits(1).says(complaint).discard();
    }
    assert_clean(&engine);
}

#[test]
fn privileged_names_can_be_added_and_servers_be_chosen() {
    let engine = Engine::with_busybox();
    let gateway =
        network(&engine, "bridge")["IPAM"]["Config"][0]["Gateway"].as_str().expect("one").to_owned();
    let words = [
        "run",
        "--rm",
        "--add-host",
        "other:192.0.2.77",
        "--add-host",
        "me:host-gateway",
        "--dns",
        "192.0.2.53",
        "--dns-search",
        "example.test",
        "--dns-option",
        "ndots:3",
        "--hostname",
        "h",
        "--domainname",
        "d.test",
        "busybox",
        "cat",
        "/etc/hosts",
        "/etc/resolv.conf",
    ];
    let text = engine.ok(words);
    for line in [
        "192.0.2.77\tother",
        &format!("{gateway}\tme"),
        "nameserver 192.0.2.53",
        "search example.test",
        "options ndots:3",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    assert!(text.contains("\th.d.test h"), "{text}");
    assert_clean(&engine);
}

#[test]
fn privileged_the_name_server_asks_the_chosen_one() {
    let engine = Engine::with_busybox();
    engine.ok(["network", "create", "net"]);
    // One address of the loopback for each process that runs this test.
    let server = format!("127.83.{}.{}", std::process::id() / 256 % 256, std::process::id() % 255 + 1);
    let socket = UdpSocket::bind((server.as_str(), 53)).expect("root may");
    let upstream = std::thread::spawn(move || {
        let mut buffer = [0; 512];
        let (length, from) = socket.recv_from(&mut buffer).expect("a question");
        let mut answer = buffer[..length].to_vec();
        // An answer without an error and with one record: the name of the question, type A, 192.0.2.99.
        (answer[2], answer[3], answer[7]) = (0x81, 0x80, 1);
        let end = answer.iter().skip(12).position(|byte| *byte == 0).expect("a name") + 12 + 5;
        (answer[10], answer[11]) = (0, 0);
        answer.truncate(end);
        answer.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 99]);
        socket.send_to(&answer, from).expect("it waits");
    });
    let words = [
        "run",
        "--rm",
        "--network",
        "net",
        "--dns",
        &server,
        "busybox",
        "nslookup",
        "-type=a",
        "far.example.test",
    ];
    let text = engine.command(words).run().stdout;
    assert!(text.contains("192.0.2.99"), "{text}");
    upstream.join().expect("it answered");
    assert_clean(&engine);
}

#[test]
fn privileged_addresses_can_be_chosen() {
    let engine = Engine::with_busybox();
    let number = std::process::id() % 200 + 20;
    let subnet = format!("10.217.{number}.0/24");
    let made = engine
        .command([
            "network",
            "create",
            "--subnet",
            &subnet,
            "--ip-range",
            &format!("10.217.{number}.64/26"),
            "--gateway",
            &format!("10.217.{number}.254"),
            "--opt",
            "mtu=1300",
            "net",
        ])
        .run();
    made.succeeds().discard();
    let again = ["network", "create", "--subnet", &format!("10.217.{number}.128/25"), "second"];
    engine.command(again).run().exits(1).says("overlaps").says("of the network ").discard();
    let wanted = format!("10.217.{number}.9");
    serve(&engine, "a", &["--network", "net", "--ip", &wanted, "--mac-address", "02:00:00:00:12:34"]);
    serve(&engine, "b", &["--network", "net"]);
    assert_eq!(address(&engine, "a", "net"), wanted);
    assert_eq!(address(&engine, "b", "net"), format!("10.217.{number}.64"));
    let link = engine.ok(["exec", "a", "ip", "addr", "show", "eth0"]);
    assert!(link.contains("02:00:00:00:12:34") && link.contains("mtu 1300"), "{link}");
    let taken = ["run", "--rm", "--network", "net", "--ip", &wanted, "busybox", "true"];
    engine.command(taken).run().exits(125).says("Address already in use").discard();
    let outside = ["run", "--rm", "--network", "net", "--ip", "10.1.1.1", "busybox", "true"];
    engine.command(outside).run().exits(125).says(&subnet).discard();
    assert_clean(&engine);
}

#[test]
fn privileged_networks_of_both_families() {
    let engine = Engine::with_busybox();
    let subnet = format!("fd5a:6d65:{:x}::/64", std::process::id() % 0xffff);
    engine.ok(["network", "create", "--ipv6", "--subnet", &subnet, "net"]);
    serve(&engine, "web", &["--network", "net", "-p", "80"]);
    let port = published(&engine, "web", "80");
    let v6 = &engine.inspect("web")["NetworkSettings"]["Networks"]["net"]["GlobalIPv6Address"];
    let v6 = v6.as_str().expect("an address").to_owned();
    assert_eq!(fetch_here(localhost(), port).as_deref(), Some("web"));
    assert_eq!(fetch_here(v6.parse().expect("an address"), 80).as_deref(), Some("web"));
    serve(&engine, "near", &["--network", "net"]);
    assert_eq!(fetch(&engine, "near", &format!("[{v6}]")).as_deref(), Some("web"));
    assert_clean(&engine);
}

#[test]
fn privileged_twenty_containers_with_ports_at_once() {
    let engine = Engine::with_busybox();
    engine.ok(["network", "create", "net"]);
    let names: Vec<String> = (0..20).map(|number| format!("c{number}")).collect();
    let commands: Vec<_> = names
        .iter()
        .map(|name| {
            let words = ["run", "-d", "--name", name, "--hostname", name, "--network", "net", "-p", "80"];
            engine
                .command(words)
                .args(["busybox", "sh", "-c", SERVE])
                .deadline(Duration::from_secs(120))
                .spawn()
        })
        .collect();
    for command in commands {
        command.wait().succeeds().discard();
    }
    let (mut addresses, mut ports) = (Vec::new(), Vec::new());
    for name in &names {
        let port = published(&engine, name, "80");
        let served =
            wait::within(wait::DEADLINE, || fetch_here(localhost(), port).filter(|said| said == name));
        assert!(served.is_some(), "{name} does not serve");
        addresses.push(address(&engine, name, "net"));
        ports.push(port);
    }
    for list in [&mut addresses, &mut ports.iter().map(u16::to_string).collect()] {
        list.sort();
        list.dedup();
        assert_eq!(list.len(), 20);
    }
    assert_eq!(fetch(&engine, "c0", "c19").as_deref(), Some("c19"));
    let removed: Vec<_> = names
        .iter()
        .map(|name| engine.command(["rm", "-f", name]).deadline(Duration::from_secs(120)).spawn())
        .collect();
    for command in removed {
        command.wait().succeeds().discard();
    }
    assert_clean(&engine);
}

#[test]
fn privileged_a_killed_monitor_leaves_nothing_that_removal_does_not_find() {
    let engine = Engine::with_busybox();
    engine.ok(["network", "create", "net"]);
    serve(&engine, "web", &["--network", "net", "-p", "80"]);
    let port = published(&engine, "web", "80");
    let state =
        fs::read(engine.path("root/containers").join(&engine.ids()[0]).join("state.json")).expect("a state");
    let state: Value = serde_json::from_slice(&state).expect("a state");
    let monitor = state["monitor"]["pid"].as_i64().expect("it runs").to_string();
    assert!(Command::new("kill").args(["-9", &monitor]).status().expect("kill is there").success());
    wait::for_exit(monitor.parse().expect("a number"));
    // The container goes on, and its port is still its own.
    assert_eq!(fetch_here(localhost(), port).as_deref(), Some("web"));
    let wanted = format!("{port}:80");
    let outcome = engine.command(["run", "--rm", "-p", &wanted, "busybox", "true"]).run();
    outcome.exits(125).says("port is already allocated").discard();
    engine.ok(["rm", "-f", "web"]);
    assert_eq!(fetch_here(localhost(), port), None);
    assert_clean(&engine);
}

/// A netavark that kills the monitor, which has started it, before or after it does its work.
fn deadly_netavark(engine: &Engine, name: &str, action: &str, is_before: bool) -> PathBuf {
    let real = ["/usr/libexec/podman/netavark", "/usr/lib/podman/netavark"];
    let real = real.into_iter().find(|path| Path::new(path).is_file()).expect("netavark is installed");
    let kill = format!("case \"$*\" in *{action}*) kill -9 $PPID;; esac");
    let (before, after) = if is_before { (kill.as_str(), "") } else { ("", kill.as_str()) };
    let program = engine.path(name);
    fs::write(&program, format!("#!/bin/sh\n{before}\n{real} \"$@\"\nstatus=$?\n{after}\nexit $status\n"))
        .expect("room");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("an own file");
    program
}

#[test]
fn privileged_who_dies_while_a_network_is_made_or_undone_leaves_nothing() {
    let engine = Engine::with_busybox();
    engine.ok(["network", "create", "net"]);
    for (number, (action, is_before)) in
        [("setup", true), ("setup", false), ("teardown", true), ("teardown", false)].into_iter().enumerate()
    {
        let program = deadly_netavark(&engine, &format!("netavark{number}"), action, is_before);
        let words = ["run", "-d", "--name", "web", "--network", "net", "-p", "80", "busybox", "true"];
        let outcome = engine.command(words).env("MYDOCKER_NETAVARK", &program).run();
        assert_eq!(outcome.status.success(), action == "teardown", "{}", outcome.describe());
        let id = engine.ids().pop().expect("a record");
        let lock = engine.path("root/containers").join(&id).join("monitor.lock");
        let is_free = || fs::File::open(&lock).ok().filter(|file| file.try_lock().is_ok()).map(drop);
        wait::until("the end of the monitor", is_free);
        // The next start finds its way, and so does the removal.
        if is_before {
            engine.ok(["start", "web"]);
        }
        assert_clean(&engine);
    }
}

#[test]
fn privileged_networks_in_use_stay_and_others_go() {
    let engine = Engine::with_busybox();
    for name in ["used", "idle", "kept"] {
        engine.ok(["network", "create", "--label", &format!("is={name}"), name]);
    }
    serve(&engine, "web", &["--network", "used"]);
    engine
        .command(["network", "rm", "used"])
        .run()
        .exits(1)
        .says("network used has active endpoints: web")
        .discard();
    let listed = engine.ok(["network", "ls", "--filter", "type=custom", "--format", "{{.Name}} {{.Driver}}"]);
    assert_eq!(listed, "idle bridge\nkept bridge\nused bridge");
    assert_eq!(engine.ok(["network", "ls", "-q", "--filter", "name=^none$"]).len(), 12);
    let pruned = engine.ok(["network", "prune", "-f", "--filter", "label!=is=kept"]);
    assert_eq!(pruned, "Deleted Networks:\nidle\n");
    engine.ok(["stop", "-t", "0", "web"]);
    assert_eq!(engine.ok(["network", "rm", "used"]), "used");
    engine.command(["start", "web"]).run().exits(1).says("network used not found").discard();
    for name in ["bridge", "host", "none"] {
        engine.command(["network", "rm", name]).run().exits(1).says("pre-defined").discard();
    }
    engine.command(["network", "create", "kept"]).run().exits(1).says("already exists").discard();
    assert_clean(&engine);
}

#[test]
fn privileged_a_missing_program_is_named_with_its_package() {
    let engine = Engine::with_busybox();
    engine.ok(["network", "create", "net"]);
    for (variable, package) in [("MYDOCKER_NETAVARK", "netavark"), ("MYDOCKER_AARDVARK_DNS", "aardvark-dns")]
    {
        engine
            .command(["run", "--rm", "--network", "net", "busybox", "true"])
            .env(variable, "/nonexistent")
            .run()
            .exits(125)
            .says(&format!("install the package {package}"))
            .discard();
    }
    // A program that fails is quoted.
    let program = engine.path("netavark");
    fs::write(&program, "#!/bin/sh\necho '{\"error\":\"no luck today\"}'\nexit 1\n").expect("room");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("an own file");
    engine
        .command(["run", "--rm", "--network", "net", "busybox", "true"])
        .env("MYDOCKER_NETAVARK", &program)
        .run()
        .exits(125)
        .says("netavark: no luck today")
        .discard();
    assert_clean(&engine);
}

#[test]
fn privileged_what_is_no_network_is_refused_by_name() {
    let engine = Engine::with_busybox();
    for (words, complaint) in [
        (&["-d", "macvlan", "x"][..], "network driver \"macvlan\" is not supported"),
        (&["--opt", "x=y", "x"], "network option \"x\" is not supported"),
        (&["--subnet", "10.1.2.3/24", "x"], "10.1.2.0/24"),
        (&["--subnet", "ten", "x"], "\"ten\" is no subnet"),
        (&["--ipv6", "x"], "subnet of IPv6"),
        (&["a b"], "invalid network name"),
        (&["default"], "already exists"),
        (&["host"], "already exists"),
    ] {
        let words = [&["network", "create"][..], words].concat();
        engine.command(words).run().exits(1).says(complaint).discard();
    }
    engine
        .command(["run", "--rm", "--network", "nosuch", "busybox", "true"])
        .run()
        .exits(125)
        .says("network nosuch not found")
        .discard();
    assert_eq!(engine.ids(), Vec::<String>::new());
}
