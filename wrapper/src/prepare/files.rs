//! `/etc/hostname`, `/etc/hosts` and `/etc/resolv.conf`: made for the container, mounted over the image's.

use super::{Names, PrepareError, failed};
use crate::container::{Container, Containers};
use crate::plan::Files;
use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// What every `/etc/hosts` begins with.
const LOCAL: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\nff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";

/// Writes them, and says where they are.
///
/// # Errors
/// [`PrepareError::Io`], or that another container, whose files are shared, is not there.
pub fn write(containers: &Containers, container: &Container, names: &Names) -> Result<Files, PrepareError> {
    let home = containers.home();
    if let Some(other) = container.host_config.network_mode.strip_prefix("container:") {
        let directory = home.container(&containers.find_id(other)?);
        return Ok(files_in(&directory));
    }
    let directory = home.container(&container.id);
    let (hosts, resolver) = if container.host_config.network_mode == "host" {
        (read(Path::new("/etc/hosts")), read(Path::new("/etc/resolv.conf")))
    } else {
        (LOCAL.to_owned(), usable(&read(Path::new("/etc/resolv.conf"))))
    };
    put(&directory.join("hostname"), &format!("{}\n", hostname(container)))?;
    put(&directory.join("hosts"), &(hosts + &own_hosts(container, names)))?;
    put(&directory.join("resolv.conf"), &resolv_conf(container, names, &resolver))?;
    Ok(files_in(&directory))
}

fn files_in(directory: &Path) -> Files {
    let file = |name: &str| Some(directory.join(name)).filter(|path| path.is_file());
    Files { hostname: file("hostname"), hosts: file("hosts"), resolv_conf: file("resolv.conf") }
}

fn put(path: &Path, text: &str) -> Result<(), PrepareError> {
    fs::write(path, text).map_err(failed("write", path))
}

/// A host without the file is as good as one with an empty one.
fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn hostname(container: &Container) -> String {
    match &*container.config.hostname {
        "" => read(Path::new("/proc/sys/kernel/hostname")).trim().to_owned(),
        name => name.to_owned(),
    }
}

fn own_hosts(container: &Container, names: &Names) -> String {
    let mut text = String::new();
    let mut line = |address: &str, name: &str| writeln!(text, "{address}\t{name}").unwrap_or_default();
    for (address, name) in &names.hosts {
        line(&address.to_string(), name);
    }
    for entry in &container.host_config.extra_hosts {
        let Some((name, address)) = entry.split_once(':') else { continue };
        match (address, names.gateway) {
            ("host-gateway", Some(gateway)) => line(&gateway.to_string(), name),
            ("host-gateway", None) => line("127.0.0.1", name),
            _ => line(address, name),
        }
    }
    text
}

/// What was asked for wins, then what the network has, then what the host has.
fn resolv_conf(container: &Container, names: &Names, host: &str) -> String {
    let asked = &container.host_config;
    let nameservers: Vec<&IpAddr> = match (names.nameservers.is_empty(), asked.dns.is_empty()) {
        (false, _) => names.nameservers.iter().collect(),
        (true, false) => asked.dns.iter().collect(),
        (true, true) => Vec::new(),
    };
    let search: Vec<&str> = if asked.dns_search.is_empty() {
        names.search.iter().map(String::as_str).collect()
    } else {
        asked.dns_search.iter().map(String::as_str).collect()
    };
    let mut text = String::new();
    for line in host.lines() {
        let word = line.split_whitespace().next().unwrap_or_default();
        let is_replaced = match word {
            "nameserver" => !nameservers.is_empty(),
            "search" | "domain" => !search.is_empty(),
            "options" => !asked.dns_options.is_empty(),
            _ => true,
        };
        if !is_replaced {
            writeln!(text, "{line}").unwrap_or_default();
        }
    }
    for address in nameservers {
        writeln!(text, "nameserver {address}").unwrap_or_default();
    }
    // A lone dot is docker's word for none.
    if !search.is_empty() && search != ["."] {
        writeln!(text, "search {}", search.join(" ")).unwrap_or_default();
    }
    if !asked.dns_options.is_empty() {
        writeln!(text, "options {}", asked.dns_options.join(" ")).unwrap_or_default();
    }
    text
}

/// The host's resolver without the servers on its own loopback, which a container cannot reach. systemd-resolved keeps
/// the real ones in another file.
fn usable(text: &str) -> String {
    let is_local = |line: &&str| {
        let address =
            line.strip_prefix("nameserver").map(str::trim).and_then(|text| text.parse::<IpAddr>().ok());
        address.is_some_and(|address| address.is_loopback())
    };
    if !text.lines().any(|line| is_local(&line)) {
        return text.to_owned();
    }
    let rest: String = text.lines().filter(|line| !is_local(line)).map(|line| format!("{line}\n")).collect();
    if rest.contains("nameserver") {
        return rest;
    }
    let real: PathBuf = PathBuf::from("/run/systemd/resolve/resolv.conf");
    if real.is_file() { read(&real) } else { rest }
}
