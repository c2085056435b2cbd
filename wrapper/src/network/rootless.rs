//! The network of an ordinary user's containers, by pasta: it copies what goes in and out between the container and sockets
//! of the host, for which nobody has to be root. Each container has one of its own, which has the host's addresses and
//! leads to the world; containers do not reach each other, but by published ports.

use super::error::failed;
use super::joined::config;
use super::netavark::{read, tool, wait};
use super::record::{Network, Pool};
use super::{NetworkError, Subnet, files, netns, ports};
use crate::container::{Container, Endpoint, Process, PublishedPort};
use crate::home::Home;
use mydocker_sys::namespace::is_first_user_namespace;
use mydocker_sys::poll::{Interest, poll};
use mydocker_sys::process::{Pid, euid, pidfd_kill, pidfd_open};
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Where containers ask for names whose host has its resolver on the loopback: pasta passes it on.
pub(super) const FORWARDER: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 1, 1));
/// How long pasta may take to end.
const DEADLINE: Duration = Duration::from_secs(5);

/// Whether bridges and the packet filter are somebody else's.
pub(super) fn is_rootless() -> bool {
    euid() != 0 || !is_first_user_namespace()
}

/// Refuses what takes root.
pub(super) fn refuse_if_rootless(what: &str) -> Result<(), NetworkError> {
    if is_rootless() { Err(NetworkError::Rootless(what.to_owned())) } else { Ok(()) }
}

/// An ordinary user's containers are on the bridge, as pasta makes it, or on nothing.
pub(super) fn check(container: &Container) -> Result<(), NetworkError> {
    match container.networks.iter().find(|wish| !matches!(wish.network.as_str(), "bridge" | "default")) {
        Some(wish) => Err(NetworkError::Rootless(format!("the network {}", wish.network))),
        None if container.networks.iter().any(|wish| !wish.addresses.is_empty() || wish.mac.is_some()) => {
            Err(NetworkError::Rootless("an address of its own".to_owned()))
        }
        None => Ok(()),
    }
}

/// Takes the ports of the host, only to see that they are free: pasta binds them itself.
pub(super) fn published(container: &Container) -> Result<Vec<PublishedPort>, NetworkError> {
    let subnet = Subnet::around(Ipv4Addr::UNSPECIFIED.into(), 0);
    let any = Network::bridge(vec![Pool { subnet, range: None, gateway: None }]);
    Ok(ports::take(&ports::wanted(container)?, &any, |_| false)?.ports)
}

/// Makes the namespace of a container, and connects it.
pub(super) fn connect(
    home: &Home,
    container: &Container,
    ports: &[PublishedPort],
    forwards_names: bool,
) -> Result<Endpoint, NetworkError> {
    let pasta = tool("pasta", "MYDOCKER_PASTA", "passt")?;
    let namespace = home.netns(&container.id);
    netns::make(&namespace)?;
    let file = pid_file(home, &container.id);
    files::make_directory(&config(home).join("pasta"))?;
    let mut command = Command::new(&pasta);
    command.args(["--config-net", "--quiet", "--no-map-gw", "-I", "eth0", "-T", "none", "-U", "none"]);
    command.arg("--pid").arg(&file).args(port_flags(ports));
    if forwards_names {
        command.arg("--dns-forward").arg(FORWARDER.to_string());
    }
    command.arg("--netns").arg(&namespace);
    run(command, &pasta)?;
    let addresses = own_address().map(|address| (address, 32)).into_iter().collect();
    Ok(Endpoint { interface: "eth0".to_owned(), addresses, ..Endpoint::default() })
}

/// `-t 127.0.0.1/8080:80`, and none where nothing is said: by itself pasta publishes everything.
fn port_flags(ports: &[PublishedPort]) -> Vec<String> {
    let mut flags = Vec::new();
    for (flag, protocol) in [("-t", "tcp"), ("-u", "udp")] {
        let before = flags.len();
        for port in ports.iter().filter(|port| port.protocol == protocol) {
            let PublishedPort { host_ip, host_port, container_port, .. } = port;
            flags.extend([flag.to_owned(), format!("{host_ip}/{host_port}:{container_port}")]);
        }
        if flags.len() == before {
            flags.extend([flag.to_owned(), "none".to_owned()]);
        }
    }
    flags
}

/// Runs it until it has gone to the background.
fn run(mut command: Command, program: &Path) -> Result<(), NetworkError> {
    let said = File::from(mydocker_sys::fs::memfd(c"pasta")?);
    let copy = said.try_clone().map_err(failed("copy", Path::new("memfd")))?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(copy).current_dir("/");
    let child = command.spawn().map_err(|source| NetworkError::Run(program.to_owned(), source))?;
    if wait(child, program)? {
        return Ok(());
    }
    let said = read(said)?;
    // Without a system log it complains of that as well.
    let mut lines = said.lines().filter(|line| !line.contains("syslog") && !line.trim().is_empty());
    let message = lines.next_back().unwrap_or("it failed without a word").to_owned();
    Err(NetworkError::Program { program: "pasta", message })
}

/// The address that the host has on its way out, which the container has as well.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // Nothing is sent: the kernel only looks for the way. The address is one of those for documents (RFC 5737).
    socket.connect((Ipv4Addr::new(203, 0, 113, 1), 9)).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

fn pid_file(home: &Home, id: &str) -> PathBuf {
    config(home).join("pasta").join(id)
}

/// Ends the pasta of a container, if there is one.
pub(super) fn disconnect(home: &Home, id: &str) -> Result<(), NetworkError> {
    let file = pid_file(home, id);
    let Some(text) = files::read(&file)? else { return Ok(()) };
    let pid: Option<i32> = String::from_utf8_lossy(&text).trim().parse().ok();
    if let Some(pid) = pid.filter(|pid| Process::of(*pid).is_some()) {
        end(pid, &home.netns(id))?;
    }
    files::remove(&file)
}

/// Ends the pasta of a namespace, if the process is that, and waits until its ports are free.
fn end(pid: i32, namespace: &Path) -> Result<(), NetworkError> {
    // It may end at this moment.
    let Ok(process) = pidfd_open(Pid::from_raw(pid)) else { return Ok(()) };
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let own = namespace.to_string_lossy();
    let is_it = line.split(|byte| *byte == 0).any(|word| word == own.as_bytes());
    if is_it {
        pidfd_kill(&process, 15)?;
    }
    // One that is about to end by itself has no command line any more.
    let interest = [Interest::read(process.as_fd())];
    if (is_it || line.is_empty())
        && poll(&interest, Some(Instant::now() + DEADLINE), "the end of pasta").is_err()
    {
        pidfd_kill(&process, 9)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_published_is_said_to_be_so() {
        let port = PublishedPort { host_port: 8080, container_port: 80, ..PublishedPort::default() };
        assert_eq!(port_flags(&[port]), ["-t", "0.0.0.0/8080:80", "-u", "none"]);
        assert_eq!(port_flags(&[]), ["-t", "none", "-u", "none"]);
    }
}
