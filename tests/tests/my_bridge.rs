//! The default bridge: it stays, it comes back, and it keeps to itself.

use mydocker_tests::traffic::{
    address, entries, fetch, fetch_here, is_cut_off, localhost, mentioned, network, own_address, published,
    serve,
};
use mydocker_tests::{Engine, wait};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The name of an engine's bridge, which it makes only when it needs it.
fn bridge(engine: &Engine) -> String {
    let document = network(engine, "bridge");
    document["Options"]["com.docker.network.bridge.name"].as_str().expect("a name").to_owned()
}

fn device(bridge: &str) -> PathBuf {
    Path::new("/sys/class/net").join(bridge)
}

fn index(bridge: &str) -> String {
    fs::read_to_string(device(bridge).join("ifindex")).expect("the bridge is there")
}

fn rules(bridge: &str) -> Vec<String> {
    mentioned("iptables-save", &[bridge.to_owned()])
}

/// Whether a rule leads from a port of the host to a container.
#[expect(clippy::ptr_arg, reason = "it is asked of each of a list")]
fn is_port(rule: &String) -> bool {
    rule.contains("--to-destination")
}

fn iptables(words: &[&str]) {
    assert!(
        Command::new("iptables").arg("-w").args(words).status().expect("iptables").success(),
        "{words:?}"
    );
}

fn remove_device(bridge: &str) {
    assert!(Command::new("ip").args(["link", "del", bridge]).status().expect("ip").success());
}

/// What a container that is on nothing but the default bridge gets from somewhere.
fn fetched_by_another(engine: &Engine, place: &str) -> String {
    let words =
        ["run", "--rm", "busybox", "timeout", "3", "wget", "-q", "-O", "-", &format!("http://{place}/")];
    engine.command(words).run().stdout.trim().to_owned()
}

#[test]
fn privileged_the_bridge_stays_until_it_is_taken_down() {
    let engine = Engine::with_busybox();
    engine.ok(["run", "--rm", "busybox", "true"]);
    let bridge = bridge(&engine);
    let (first, made) = (index(&bridge), rules(&bridge));
    assert_eq!(entries(&device(&bridge).join("brif")), Vec::<PathBuf>::new());
    assert_eq!(engine.ok(["system", "check"]), "everything is in order");
    engine.ok(["run", "-d", "--name", "up", "busybox", "sleep", "1000"]);
    assert_eq!((index(&bridge), rules(&bridge)), (first.clone(), made.clone()));
    for command in ["network", "system"] {
        engine.ok([command, "prune", "-f"]);
        assert_eq!(index(&bridge), first, "{command} prune");
    }
    engine.ok(["rm", "-f", "up"]);
    engine.ok(["network", "prune", "-f", "--filter", "label=none"]);
    assert_eq!(index(&bridge), first);
    assert_eq!(engine.ok(["network", "prune", "-f"]), "");
    assert!(!device(&bridge).exists());
    assert_eq!(rules(&bridge), Vec::<String>::new());
    serve(&engine, "web", &[]);
    assert_ne!(index(&bridge), first);
    assert_eq!(rules(&bridge), made);
    assert_eq!(fetched_by_another(&engine, &address(&engine, "web", "bridge")), "web");
}

#[test]
fn privileged_a_removed_bridge_comes_back_with_its_containers() {
    let engine = Engine::with_busybox();
    serve(&engine, "web", &["-p", "80"]);
    serve(&engine, "quiet", &[]);
    let (bridge, port) = (bridge(&engine), published(&engine, "web", "80"));
    remove_device(&bridge);
    assert_eq!(fetch_here(localhost(), port), None);
    let (web, quiet) = (address(&engine, "web", "bridge"), address(&engine, "quiet", "bridge"));
    assert_eq!(fetched_by_another(&engine, &web), "web");
    assert_eq!(fetch(&engine, "web", &quiet).as_deref(), Some("quiet"));
    for address in [localhost(), own_address()] {
        assert_eq!(fetch_here(address, port).as_deref(), Some("web"), "{address}");
    }
    assert_eq!(fetch(&engine, "web", &format!("{}:{port}", own_address())).as_deref(), Some("web"));
    // What is gone is no obstacle to an end either.
    remove_device(&bridge);
    engine.ok(["rm", "-f", "web", "quiet"]);
    assert!(!rules(&bridge).iter().any(is_port));
    assert_eq!(fetched_by_another(&engine, &web), "");
}

#[test]
fn privileged_rules_that_somebody_took_away_come_back() {
    let engine = Engine::with_busybox();
    serve(&engine, "web", &["-p", "80"]);
    let (bridge, port) = (bridge(&engine), published(&engine, "web", "80"));
    let made = rules(&bridge);
    let [f, i, d, s] = ["F", "I", "D", "S"].map(|letter| format!("MYDOCKER_{letter}_{bridge}"));
    let losses: [&[&[&str]]; 4] = [
        &[&["-t", "nat", "-F", &d]],
        &[&["-F", &f]],
        &[&["-t", "nat", "-D", "POSTROUTING", "-j", &s]],
        &[&["-D", "FORWARD", "-j", &f], &["-F", &f], &["-X", &f], &["-D", "INPUT", "-j", &i]],
    ];
    for loss in losses {
        loss.iter().for_each(|words| iptables(words));
        assert_ne!(rules(&bridge), made);
        assert_eq!(fetched_by_another(&engine, &format!("{}:{port}", own_address())), "web", "{loss:?}");
        let (mut now, mut before) = (rules(&bridge), made.clone());
        now.sort();
        before.sort();
        assert_eq!(now, before, "{loss:?}");
    }
    assert_eq!(fetch_here(localhost(), port).as_deref(), Some("web"));
}

#[test]
fn privileged_an_address_and_a_state_that_somebody_took_come_back() {
    let engine = Engine::with_busybox();
    serve(&engine, "web", &[]);
    let bridge = bridge(&engine);
    let web = address(&engine, "web", "bridge");
    for words in [&["addr", "flush", "dev", &bridge][..], &["link", "set", &bridge, "down"]] {
        assert!(Command::new("ip").args(words).status().expect("ip").success());
        assert_eq!(fetched_by_another(&engine, &web), "web", "{words:?}");
        assert_eq!(fetch_here(web.parse().expect("an address"), 80).as_deref(), Some("web"), "{words:?}");
    }
}

#[test]
fn privileged_two_roots_have_bridges_that_do_not_reach_each_other() {
    let (one, two) = (Engine::with_busybox(), Engine::with_busybox());
    serve(&one, "one", &["-p", "80"]);
    serve(&two, "two", &["-p", "80"]);
    assert_ne!(bridge(&one), bridge(&two));
    for (from, name, to, other) in [(&one, "one", &two, "two"), (&two, "two", &one, "one")] {
        let port = published(to, other, "80");
        assert!(is_cut_off(from, name, &address(to, other, "bridge")));
        assert_eq!(fetch(from, name, &format!("{}:{port}", own_address())).as_deref(), Some(other));
        assert_eq!(fetch_here(localhost(), port).as_deref(), Some(other));
    }
    one.ok(["rm", "-f", "one"]);
    one.ok(["network", "prune", "-f"]);
    assert_eq!(fetch_here(localhost(), published(&two, "two", "80")).as_deref(), Some("two"));
}

#[test]
fn privileged_the_bridge_and_other_networks_reach_published_ports_alone() {
    let engine = Engine::with_busybox();
    engine.ok(["network", "create", "net"]);
    engine.ok(["network", "create", "--opt", "com.docker.network.bridge.name=mdtest0", "named"]);
    serve(&engine, "base", &["-p", "80"]);
    serve(&engine, "web", &["--network", "net", "-p", "80"]);
    serve(&engine, "db", &["--network", "named"]);
    let (base, web) = (address(&engine, "base", "bridge"), address(&engine, "web", "net"));
    let db = address(&engine, "db", "named");
    for (from, to) in [("base", &web), ("base", &db), ("web", &base), ("db", &base)] {
        assert!(is_cut_off(&engine, from, to), "{from} to {to}");
    }
    for (from, to) in [("base", "web"), ("web", "base"), ("db", "base"), ("base", "base")] {
        let place = format!("{}:{}", own_address(), published(&engine, to, "80"));
        assert_eq!(fetch(&engine, from, &place).as_deref(), Some(to), "{from} to {to}");
    }
    // A container on both reaches both, and leaves one of them while it runs.
    engine.ok(["network", "connect", "bridge", "web"]);
    assert_eq!(fetch(&engine, "web", &base).as_deref(), Some("base"));
    engine.ok(["network", "disconnect", "bridge", "web"]);
    assert!(is_cut_off(&engine, "web", &base));
    assert!(!engine.ok(["exec", "web", "ls", "/sys/class/net"]).contains("eth1"));
}

#[test]
fn privileged_the_loopback_of_the_host_is_not_for_containers() {
    let engine = Engine::with_busybox();
    // The first port lets the answers of containers to 127.0.0.1 through.
    let flags = ["-p", "127.0.0.1::80", "--cap-add", "NET_ADMIN"];
    let kernel = ["--sysctl", "net.ipv4.conf.all.route_localnet=1"];
    serve(&engine, "web", &[&flags[..], &kernel].concat());
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port().to_string();
    let gateway =
        network(&engine, "bridge")["IPAM"]["Config"][0]["Gateway"].as_str().expect("one").to_owned();
    let led = format!("ip addr del 127.0.0.1/8 dev lo; ip route add 127.0.0.1 via {gateway}");
    engine.ok(["exec", "web", "sh", "-c", &led]);
    let reaches = || {
        let words = ["exec", "web", "timeout", "2", "nc", "-w", "1", "127.0.0.1", &port, "-e", "true"];
        engine.command(words).run().status.success()
    };
    assert!(!reaches());
    // It is the rule that holds it off.
    iptables(&["-D", "INPUT", "-j", &format!("MYDOCKER_I_{}", bridge(&engine))]);
    assert!(reaches());
}

#[test]
fn privileged_the_bridge_of_a_home_that_was_removed_goes() {
    let (gone, other) = (Engine::with_busybox(), Engine::with_busybox());
    gone.ok(["run", "--rm", "busybox", "true"]);
    let bridge = bridge(&gone);
    assert!(device(&bridge).exists());
    fs::remove_dir_all(gone.path("root")).expect("an own directory");
    other.ok(["run", "--rm", "busybox", "true"]);
    wait::until("the end of the bridge", || (!device(&bridge).exists()).then_some(()));
    wait::until("the end of its rules", || rules(&bridge).is_empty().then_some(()));
}

/// An iptables-restore that kills the monitor, which has started it, once: around the text with this word.
fn deadly_filter(engine: &Engine, name: &str, word: &str, is_before: bool) -> String {
    let kill = "kill -9 $PPID; sleep 5";
    let (before, after) = if is_before { (kill, ":") } else { (":", kill) };
    let directory = engine.path(name);
    fs::create_dir(&directory).expect("room");
    let program = directory.join("iptables-restore");
    let text = format!(
        "#!/bin/sh\nPATH=/usr/sbin:/sbin:/usr/bin:/bin\ntext=$(cat)\nkill() {{ touch \"$0.done\"; command kill \"$@\"; }}\n\
         case \"$text\" in *\"{word}\"*) [ -e \"$0.done\" ] || hit=1;; esac\n\
         if [ \"$hit\" ]; then {before}; fi\n\
         printf '%s\\n' \"$text\" | iptables-restore \"$@\"; status=$?\n\
         if [ \"$hit\" ]; then {after}; fi\nexit $status\n"
    );
    fs::write(&program, text).expect("room");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("an own file");
    format!("{}:{}", directory.display(), std::env::var("PATH").expect("a path"))
}

#[test]
fn privileged_who_dies_while_rules_are_written_leaves_nothing() {
    let engine = Engine::with_busybox();
    // The rules of the bridge, those of a port, and none any more.
    for (number, (word, is_before)) in [
        ("-j DROP", true),
        ("-j DROP", false),
        ("--dport", true),
        ("--dport", false),
        ("D_", true),
        ("D_", false),
    ]
    .into_iter()
    .enumerate()
    {
        if number < 2 {
            engine.ok(["network", "prune", "-f"]);
        } else {
            engine.ok(["run", "--rm", "busybox", "true"]);
        }
        let ends = word == "D_";
        let path = deadly_filter(&engine, &format!("filter{number}"), word, is_before);
        let mut command =
            engine.command(["run", "-d", "--name", "web", "-p", "80", "busybox", "sleep", "1000"]);
        if ends {
            command.run().succeeds().discard();
            // Nothing but the end of the container is left to be written.
            kill_monitor(&engine);
            engine.command(["rm", "-f", "web"]).env("PATH", &path).run().discard();
        } else {
            command = command.env("PATH", &path);
            command.run().exits(125).discard();
        }
        assert!(engine.path(&format!("filter{number}/iptables-restore.done")).exists(), "{word}");
        if engine.ids().is_empty() {
            continue;
        }
        wait::until("the end of the monitor", || is_free(&engine));
        if !ends {
            engine.ok(["start", "web"]);
        }
        engine.ok(["rm", "-f", "web"]);
        assert!(!rules(&bridge(&engine)).iter().any(is_port), "{word}");
        for place in ["run/netns", "run/networks/joined"] {
            assert_eq!(entries(&engine.path(place)), Vec::<PathBuf>::new(), "{word}");
        }
        let addresses = entries(&engine.path("root/networks/bridge/addresses"));
        assert_eq!(addresses.iter().filter(|path| !path.ends_with("last")).count(), 0, "{word}");
    }
}

fn kill_monitor(engine: &Engine) {
    let monitor = engine.pid("web", "monitor");
    assert!(Command::new("kill").args(["-9", &monitor.to_string()]).status().expect("kill").success());
    wait::for_exit(monitor);
}

fn is_free(engine: &Engine) -> Option<()> {
    let id = engine.ids().pop()?;
    let lock = engine.path("root/containers").join(id).join("monitor.lock");
    fs::File::open(lock).ok().filter(|file| file.try_lock().is_ok()).map(drop)
}

#[test]
fn privileged_a_missing_filter_is_named_with_its_package() {
    let engine = Engine::with_busybox();
    let broken = engine.path("broken");
    fs::create_dir(&broken).expect("room");
    let program = broken.join("iptables-restore");
    fs::write(&program, "#!/bin/sh\necho 'no luck today' >&2\nexit 1\n").expect("room");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("an own file");
    let path = format!("{}:{}", broken.display(), std::env::var("PATH").expect("a path"));
    let outcome = engine.command(["run", "--rm", "busybox", "true"]).env("PATH", path).run();
    outcome.exits(125).says("iptables-restore: no luck today").discard();
    assert_eq!(engine.ids(), Vec::<String>::new());
    // And netavark is not needed.
    engine
        .command(["run", "--rm", "busybox", "true"])
        .env("MYDOCKER_NETAVARK", "/nonexistent")
        .run()
        .succeeds()
        .discard();
}

#[test]
fn privileged_ten_containers_with_ports_of_the_bridge_at_once() {
    let engine = Engine::with_busybox();
    let names: Vec<String> = (0..10).map(|number| format!("c{number}")).collect();
    let start = |name: &String| {
        let words = ["run", "-d", "--name", name, "--hostname", name, "-p", "80"];
        let program = ["busybox", "sh", "-c", mydocker_tests::traffic::SERVE];
        engine.command(words).args(program).deadline(Duration::from_secs(120)).spawn()
    };
    let started: Vec<_> = names.iter().map(start).collect();
    started.into_iter().for_each(|command| command.wait().succeeds().discard());
    for name in &names {
        let port = published(&engine, name, "80");
        let served = || fetch_here(localhost(), port).filter(|said| said == name);
        assert!(wait::within(wait::DEADLINE, served).is_some(), "{name} does not serve");
    }
    let removed: Vec<_> = names.iter().map(|name| engine.command(["rm", "-f", name]).spawn()).collect();
    removed.into_iter().for_each(|command| command.wait().succeeds().discard());
    assert!(!rules(&bridge(&engine)).iter().any(is_port));
}
