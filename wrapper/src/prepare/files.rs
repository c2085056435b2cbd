//! `/etc/hostname`, `/etc/hosts` and `/etc/resolv.conf`: made for the container, mounted over the image's.

use super::{PrepareError, failed};
use crate::container::{Container, Containers, ContainersError};
use crate::network::Up;
use crate::plan::Files;
use std::fs;
use std::path::{Path, PathBuf};

/// What every `/etc/hosts` begins with.
const LOCAL: &str = "127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
";

/// Writes them, and says where they are. Containers that share a network share its names.
///
/// # Errors
/// [`PrepareError::Io`], or that another container, whose files are shared, is not there.
pub fn write(containers: &Containers, container: &Container, up: &Up) -> Result<Files, PrepareError> {
    let directory = owner(containers, container)?;
    if container.host_config.network_mode.starts_with("container:") {
        return Ok(files_in(&directory));
    }
    put(&directory.join("hostname"), &format!("{}\n", hostname(container)))?;
    put(&directory.join("hosts"), &hosts(container, up))?;
    put(&directory.join("resolv.conf"), &resolv_conf(up))?;
    Ok(files_in(&directory))
}

/// Those that were written when it was last started; none where those of another container are shared that is gone.
///
/// # Errors
/// [`PrepareError`].
pub fn written(containers: &Containers, container: &Container) -> Result<Files, PrepareError> {
    match owner(containers, container) {
        Err(PrepareError::Containers(ContainersError::NotFound(_))) => Ok(Files::default()),
        other => Ok(files_in(&other?)),
    }
}

fn owner(containers: &Containers, container: &Container) -> Result<PathBuf, PrepareError> {
    let id = match container.host_config.network_mode.strip_prefix("container:") {
        Some(other) => containers.find_id(other)?,
        None => container.id.clone(),
    };
    Ok(containers.home().container(&id))
}

fn files_in(directory: &Path) -> Files {
    let file = |name: &str| Some(directory.join(name)).filter(|path| path.is_file());
    Files { hostname: file("hostname"), hosts: file("hosts"), resolv_conf: file("resolv.conf") }
}

/// Written in place: a container that runs keeps seeing the file.
fn put(path: &Path, text: &str) -> Result<(), PrepareError> {
    fs::write(path, text).map_err(failed("write", path))
}

/// A host without the file is as good as one with an empty one.
fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn hostname(container: &Container) -> String {
    match &*container.config.hostname {
        "" => read("/proc/sys/kernel/hostname").trim().to_owned(),
        name => name.to_owned(),
    }
}

/// On the host's network the host's names are good.
fn hosts(container: &Container, up: &Up) -> String {
    let is_host = container.host_config.network_mode == "host";
    let mut text = if is_host { read("/etc/hosts") } else { LOCAL.to_owned() };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.extend(up.hosts.iter().map(|(address, names)| format!("{address}\t{names}\n")));
    text
}

fn resolv_conf(up: &Up) -> String {
    let mut text: String = up.nameservers.iter().map(|address| format!("nameserver {address}\n")).collect();
    for (word, values) in [("search", &up.search), ("options", &up.options)] {
        if !values.is_empty() {
            text.push_str(&format!("{word} {}\n", values.join(" ")));
        }
    }
    text
}
