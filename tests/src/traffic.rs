//! Traffic between containers, the host and others, and what of networks is on the host.

use crate::{Engine, wait};
use serde_json::Value;
use std::fs;
use std::io::Read as _;
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A server in a container that says its host's name to whoever comes.
pub const SERVE: &str = "hostname >/tmp/index.html; exec httpd -f -p 80 -h /tmp";

/// What of a program's output mentions one of the words.
///
/// # Panics
/// When the program cannot be run.
#[must_use]
pub fn mentioned(program: &str, words: &[String]) -> Vec<String> {
    let output = Command::new(program).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let is_mentioned = |line: &&str| words.iter().any(|word| line.contains(word.as_str()));
    text.lines().filter(is_mentioned).map(str::to_owned).collect()
}

/// What is in a directory; nothing if it is not there.
#[must_use]
pub fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// What `network inspect` tells of a network.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn network(engine: &Engine, name: &str) -> Value {
    let list: Vec<Value> =
        serde_json::from_str(&engine.ok(["network", "inspect", name])).expect("a list of documents");
    list.into_iter().next().expect("one network")
}

/// Starts a server under a name, with further flags.
///
/// # Panics
/// When it does not serve in time.
pub fn serve(engine: &Engine, name: &str, flags: &[&str]) {
    let words =
        [&["run", "-d", "--name", name, "--hostname", name][..], flags, &["busybox", "sh", "-c", SERVE]];
    engine.ok(words.concat());
    let listens =
        || engine.command(["exec", name, "netstat", "-ltn"]).run().stdout.contains(":80 ").then_some(());
    wait::within(wait::DEADLINE, listens).unwrap_or_else(|| panic!("{name} does not serve"));
}

/// What a container gets from a server of [`serve`] that it reaches. A busy machine takes its time, so it is asked until it
/// answers; `None` if it never does.
#[must_use]
pub fn fetch(engine: &Engine, container: &str, place: &str) -> Option<String> {
    wait::within(wait::DEADLINE, || ask(engine, container, place, "20"))
}

/// Whether a container does not reach a server of [`serve`] that others reach at once.
#[must_use]
pub fn is_cut_off(engine: &Engine, container: &str, place: &str) -> bool {
    ask(engine, container, place, "3").is_none()
}

fn ask(engine: &Engine, container: &str, place: &str, seconds: &str) -> Option<String> {
    let words = ["exec", container, "timeout", seconds, "wget", "-q", "-O", "-", &format!("http://{place}/")];
    let outcome = engine.command(words).run();
    outcome.status.success().then(|| outcome.stdout.trim().to_owned())
}

/// What the host gets.
#[must_use]
pub fn fetch_here(address: IpAddr, port: u16) -> Option<String> {
    let stream = TcpStream::connect_timeout(&SocketAddr::new(address, port), Duration::from_secs(5)).ok()?;
    std::io::Write::write_all(&mut &stream, b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut text = String::new();
    (&stream).read_to_string(&mut text).ok()?;
    text.lines().last().map(|line| line.trim().to_owned())
}

/// An address that the host has on its way out.
///
/// # Panics
/// When it has none.
#[must_use]
pub fn own_address() -> IpAddr {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    socket.connect("203.0.113.1:9").expect("a default route");
    socket.local_addr().expect("an address").ip()
}

/// 127.0.0.1
///
/// # Panics
/// Never.
#[must_use]
pub fn localhost() -> IpAddr {
    "127.0.0.1".parse().expect("an address")
}

/// The host's port for a port of a container.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn published(engine: &Engine, container: &str, port: &str) -> u16 {
    let text = engine.ok(["port", container, port]);
    text.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or_else(|| panic!("{text}"))
}

/// The address of a container on a network.
///
/// # Panics
/// When it has none.
#[must_use]
pub fn address(engine: &Engine, container: &str, network: &str) -> String {
    let found = &engine.inspect(container)["NetworkSettings"]["Networks"][network]["IPAddress"];
    found.as_str().expect("an address").to_owned()
}
