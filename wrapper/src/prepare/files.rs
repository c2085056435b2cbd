//! `/etc/hostname`, `/etc/hosts` and `/etc/resolv.conf`: made for the container, mounted over the image's.

use super::volumes::open_source;
use super::{PrepareError, failed};
use crate::container::{Container, Containers, ContainersError, MountKind};
use crate::network::Up;
use crate::plan::Files;
use crate::request::plain;
use mydocker_sys::fs::{OFlag, SFlag, fstat, open_in_root_if_present, readlinkat};
use std::fs;
use std::path::{Path, PathBuf};

/// How many links are followed to the place of a file.
const LINKS: usize = 8;

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

/// Leaves out those that have no place: where the container may not write nothing is made, and what is there is covered.
///
/// # Errors
/// The source of a mount cannot be looked into.
pub fn placed(files: Files, container: &Container) -> Result<Files, PrepareError> {
    let kept = |place: &str, file: Option<PathBuf>| match file {
        Some(_) if !has_place(Path::new(place), container)? => Ok::<_, PrepareError>(None),
        file => Ok(file),
    };
    Ok(Files {
        hostname: kept("/etc/hostname", files.hostname)?,
        hosts: kept("/etc/hosts", files.hosts)?,
        resolv_conf: kept("/etc/resolv.conf", files.resolv_conf)?,
    })
}

/// Whether a file can be mounted at a place: it is there, or can be made. Links lead to other places of the container.
fn has_place(place: &Path, container: &Container) -> Result<bool, PrepareError> {
    let mut place = place.to_owned();
    for _ in 0..LINKS {
        let Some(mount) = container.mount_over(&place).filter(|mount| !mount.writable) else {
            return Ok(true);
        };
        if mount.kind == MountKind::Tmpfs {
            return Ok(false);
        }
        let below = place.strip_prefix(&mount.destination).unwrap_or(&place);
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW;
        let Some(found) = open_in_root_if_present(open_source(mount)?, below, flags)? else {
            return Ok(false);
        };
        let kind = fstat(&found)?.st_mode & SFlag::S_IFMT.bits();
        if kind != SFlag::S_IFLNK.bits() {
            return Ok(kind == SFlag::S_IFREG.bits());
        }
        place = plain(&place.with_file_name(readlinkat(&found, Path::new(""))?));
    }
    Ok(false)
}

/// Those that were written when it was last started; none where those of another container are shared that is gone.
///
/// # Errors
/// [`PrepareError`].
pub fn written(containers: &Containers, container: &Container) -> Result<Files, PrepareError> {
    match owner(containers, container) {
        Err(PrepareError::Containers(ContainersError::NotFound(_))) => Ok(Files::default()),
        other => placed(files_in(&other?), container),
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
