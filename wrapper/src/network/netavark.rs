//! netavark, which makes bridges, interfaces, routes and the rules of the packet filter. It reads one JSON document and
//! keeps no state of its own: what was set up is taken down by the same document.

use super::files::Locked;
use super::record::{MTU, Network};
use super::{NetworkError, files};
use mydocker_sys::fs::memfd;
use mydocker_sys::poll::{Interest, poll};
use mydocker_sys::process::{Pid, pidfd_open};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::IpAddr;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// How long it may take. It runs some thirty programs, and waits for the lock of the packet filter.
const DEADLINE: Duration = Duration::from_secs(60);
/// How much of what it says is read.
const LIMIT: u64 = 1 << 20;

/// What netavark is asked: one container on one network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ask {
    pub container_id: String,
    pub container_name: String,
    pub port_mappings: Option<Vec<PortMapping>>,
    pub networks: BTreeMap<String, Options>,
    pub network_info: BTreeMap<String, Info>,
    pub dns_servers: Option<Vec<IpAddr>>,
    /// The host's end of the container's pair of devices where mydocker makes it itself; netavark is not asked then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
}

/// Ports of the host, and those of the container that they lead to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct PortMapping {
    pub protocol: String,
    /// Empty for all addresses.
    pub host_ip: String,
    pub host_port: u16,
    pub container_port: u16,
    /// How many.
    pub range: u16,
}

/// A container's place on a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Options {
    pub interface_name: String,
    /// One for each subnet, in their order.
    pub static_ips: Vec<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub static_mac: Option<String>,
    pub aliases: Vec<String>,
}

/// A network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Info {
    pub name: String,
    pub id: String,
    pub driver: String,
    pub network_interface: String,
    pub subnets: Vec<InfoSubnet>,
    pub ipv6_enabled: bool,
    pub internal: bool,
    pub dns_enabled: bool,
    pub ipam_options: BTreeMap<String, String>,
    pub options: BTreeMap<String, String>,
}

/// A subnet of a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct InfoSubnet {
    pub subnet: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
}

impl Info {
    /// A network, for a container whose default route by it has this metric: the least one counts.
    pub(super) fn of(network: &Network, metric: u32) -> Self {
        let mut options = BTreeMap::from([
            // As with docker, containers of one network do not reach those of another one.
            ("isolate".to_owned(), "true".to_owned()),
            ("metric".to_owned(), metric.to_string()),
        ]);
        let mtu = network.options.get(MTU).or_else(|| network.options.get("mtu"));
        options.extend(mtu.map(|mtu| ("mtu".to_owned(), mtu.clone())));
        let subnets = network.pools().iter();
        Self {
            name: network.host_name(),
            id: network.id.clone(),
            driver: network.driver.clone(),
            network_interface: network.interface.clone(),
            subnets: subnets
                .map(|pool| InfoSubnet { subnet: pool.subnet.to_string(), gateway: pool.gateway })
                .collect(),
            ipv6_enabled: network.ipv6,
            internal: network.internal,
            dns_enabled: network.names,
            ipam_options: BTreeMap::from([("driver".to_owned(), "host-local".to_owned())]),
            options,
        }
    }
}

/// What it has done, by networks.
type Answer = BTreeMap<String, Status>;

#[derive(Debug, Deserialize)]
struct Status {
    #[serde(default)]
    interfaces: BTreeMap<String, Interface>,
}

#[derive(Debug, Deserialize)]
struct Interface {
    #[serde(default)]
    mac_address: String,
}

#[derive(Debug, Deserialize)]
struct Complaint {
    error: String,
}

/// The program, with the directory of its name servers.
#[derive(Debug)]
pub(super) struct Netavark {
    program: PathBuf,
    config: PathBuf,
    /// What only one process on the host has at a time.
    lock: Locked,
}

impl Netavark {
    /// Finds it; `config` is made if it is not there.
    pub(super) fn find(config: &Path, lock: Locked) -> Result<Self, NetworkError> {
        files::make_directory(config)?;
        let program = tool("netavark", "MYDOCKER_NETAVARK", "netavark")?;
        let iptables = NetworkError::Missing { program: "iptables", package: "iptables" };
        on_path("iptables").ok_or(iptables)?;
        Ok(Self { program, config: config.to_owned(), lock })
    }

    /// Puts a container on a network as the file `ask` says; returns the hardware address of its interface.
    pub(super) fn set_up(&self, namespace: &Path, ask: &Path) -> Result<String, NetworkError> {
        let text = self.run("setup", namespace, ask)?;
        let answer: Answer = serde_json::from_str(&text).map_err(|error| complain(&error.to_string()))?;
        let interface = answer.into_values().flat_map(|status| status.interfaces.into_values()).next();
        interface.map(|interface| interface.mac_address).ok_or_else(|| complain("it made no interface"))
    }

    /// Takes down what the file `ask` says.
    pub(super) fn tear_down(&self, namespace: &Path, ask: &Path) -> Result<(), NetworkError> {
        self.run("teardown", namespace, ask).map(drop)
    }

    fn run(&self, action: &str, namespace: &Path, ask: &Path) -> Result<String, NetworkError> {
        // The name server may get what this program's outputs are, so that a pipe might not end with the program.
        let (out, err) = (output()?, output()?);
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(&self.config).arg("--file").arg(ask);
        command
            .arg("--aardvark-binary")
            .arg(super::aardvark::program().unwrap_or_else(|_| "/nonexistent".into()));
        command.arg(action).arg(namespace);
        // It has the lock as its input, so that it goes on having it when its starter is killed. The name server, which
        // outlives it, opens /dev/null in the place of all that it gets.
        command.stdin(self.lock.copy()?).current_dir("/").env("PATH", search_path());
        command.stdout(copy(&out)?).stderr(copy(&err)?);
        let child = command.spawn().map_err(|source| NetworkError::Run(self.program.clone(), source))?;
        let succeeded = wait(child, &self.program)?;
        let text = read(out)?;
        if succeeded {
            return Ok(text);
        }
        let told: Option<Complaint> = serde_json::from_str(&text).ok();
        Err(complain(&told.map_or_else(|| last_line(&read(err).unwrap_or_default()), |told| told.error)))
    }
}

fn complain(message: &str) -> NetworkError {
    NetworkError::Program {
        program: "netavark",
        message: message.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

fn last_line(text: &str) -> String {
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it failed without a word").to_owned()
}

fn output() -> Result<File, NetworkError> {
    Ok(File::from(memfd(c"netavark")?))
}

fn copy(file: &File) -> Result<File, NetworkError> {
    file.try_clone().map_err(super::error::failed("copy", Path::new("memfd")))
}

/// What was written to a file that has no name.
pub(super) fn read(mut file: File) -> Result<String, NetworkError> {
    let mut bytes = Vec::new();
    let result = file.seek(SeekFrom::Start(0)).and_then(|_| file.take(LIMIT).read_to_end(&mut bytes));
    result.map_err(super::error::failed("read", Path::new("memfd")))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Waits for the end of a program, and says whether it succeeded; one that takes too long is killed.
pub(super) fn wait(mut child: Child, program: &Path) -> Result<bool, NetworkError> {
    let failed = |source| NetworkError::Run(program.to_owned(), source);
    let pid = i32::try_from(child.id()).unwrap_or(i32::MAX);
    let what = format!("the end of {}", program.display());
    let pidfd = pidfd_open(Pid::from_raw(pid))?;
    let in_time = poll(&[Interest::read(pidfd.as_fd())], Some(Instant::now() + DEADLINE), &what);
    if let Err(error) = in_time {
        child.kill().map_err(failed)?;
        child.wait().map_err(failed)?;
        return Err(error.into());
    }
    Ok(child.wait().map_err(failed)?.success())
}

/// Where distributions put the programs of podman, which are in nobody's `$PATH`.
const DIRECTORIES: &[&str] =
    &["/usr/libexec/podman", "/usr/lib/podman", "/usr/local/libexec/podman", "/usr/local/lib/podman"];

/// Finds a program: what the environment variable names, else among podman's, else in `$PATH`.
pub(super) fn tool(
    program: &'static str,
    variable: &str,
    package: &'static str,
) -> Result<PathBuf, NetworkError> {
    let missing = NetworkError::Missing { program, package };
    if let Some(named) = std::env::var_os(variable).filter(|value| !value.is_empty()) {
        let named = PathBuf::from(named);
        return if named.is_file() { Ok(named) } else { Err(missing) };
    }
    let podmans = DIRECTORIES.iter().map(|directory| Path::new(directory).join(program));
    podmans.into_iter().find(|path| path.is_file()).or_else(|| on_path(program)).ok_or(missing)
}

/// Finds a program in `$PATH`.
pub(super) fn on_path(program: &str) -> Option<PathBuf> {
    let path = search_path();
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|path| path.is_file())
}

/// `$PATH`, with the directories of the system's own programs, which an ordinary user's does not have.
fn search_path() -> std::ffi::OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin");
    path
}
