//! What was wanted of a container.

use super::HostConfig;
use mydocker_img::image::{ContainerConfig, Descriptor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// A container as it was asked for. The names of the fields are docker's where docker has the field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Container {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Without docker's leading slash.
    pub name: String,
    /// When it was made: RFC 3339 with nanoseconds.
    pub created: String,
    /// The image, unless it runs on a directory of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageOf>,
    /// What its root file system is made of.
    pub root: Root,
    /// The image's settings with those of the command line over them.
    pub config: Config,
    /// How it is tied to the host.
    pub host_config: HostConfig,
    /// Volumes, bind mounts and tmpfs, in the order in which they are mounted.
    #[serde(default)]
    pub mounts: Vec<Mount>,
    /// Bridge networks that it is on, the one with the default route first; empty with `host`, `none` and `container:`.
    #[serde(default)]
    pub networks: Vec<Attachment>,
}

impl Container {
    /// The first twelve digits of the id.
    #[must_use]
    pub fn short_id(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }

    /// What is mounted over a place in the container: mounts are sorted, and the last one is what is seen.
    #[must_use]
    pub fn mount_over(&self, place: &Path) -> Option<&Mount> {
        self.mounts.iter().rfind(|mount| place.starts_with(&mount.destination))
    }

    /// What is run: entry point and arguments.
    #[must_use]
    pub fn command(&self) -> Vec<String> {
        let image = &self.config.image;
        image.entrypoint.iter().flatten().chain(image.cmd.iter().flatten()).cloned().collect()
    }
}

/// Which image a container was made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImageOf {
    /// As it was typed.
    pub name: String,
    /// The digest of its configuration, `sha256:...`.
    pub id: String,
    /// Its manifest in the store.
    pub target: Descriptor,
}

/// What a root file system is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Root {
    /// Unpacked layers of the store by their diffIDs, the lowest first, under the container's own changes.
    Layers(Vec<String>),
    /// A directory of the host, such as `/`, under the container's own changes.
    View(PathBuf),
    /// A directory of the host as it is.
    Directory(PathBuf),
}

/// How the program is run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Config {
    /// What an image can say as well: User, Env, Entrypoint, Cmd, WorkingDir, Labels, StopSignal, Healthcheck, ExposedPorts ...
    #[serde(flatten)]
    pub image: ContainerConfig,
    /// `--hostname`, or the short id.
    #[serde(default)]
    pub hostname: String,
    /// `--domainname`
    #[serde(default)]
    pub domainname: String,
    /// `-t`
    #[serde(default)]
    pub tty: bool,
    /// `-i`: standard input stays open.
    #[serde(default)]
    pub open_stdin: bool,
    /// Standard input ends with its first client.
    #[serde(default)]
    pub stdin_once: bool,
    /// Seconds from the stop signal to SIGKILL; `None` is 10, -1 for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<i64>,
}

/// Something mounted into a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Mount {
    /// What it is.
    #[serde(rename = "Type")]
    pub kind: MountKind,
    /// The name of a volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether the volume goes with the container.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub anonymous: bool,
    /// Where it is on the host; empty for a tmpfs.
    #[serde(default)]
    pub source: PathBuf,
    /// Where it is in the container: absolute.
    pub destination: PathBuf,
    /// As it was typed: `ro,z`, `size=64m` ...
    #[serde(default)]
    pub mode: String,
    /// Whether it can be written to.
    #[serde(rename = "RW")]
    pub writable: bool,
    /// `rprivate`, `rslave`, `rshared`, ...; empty for other than binds.
    #[serde(default)]
    pub propagation: String,
    /// Options for the runtime beside these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// Whether an empty volume is filled from the image.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub copy_up: bool,
    /// Whether a bind's source is made as a directory if it is not there (`-v`), or refused (`--mount`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub create_source: bool,
    /// What of a volume is mounted, if not all of it: a path below its root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subpath: Option<PathBuf>,
    /// What a volume is made with that is not there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub volume_options: BTreeMap<String, String>,
    /// The labels of such a volume.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub volume_labels: BTreeMap<String, String>,
}

/// Kinds of mounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MountKind {
    /// A file or directory of the host.
    Bind,
    /// A volume.
    Volume,
    /// Memory.
    Tmpfs,
}

/// A wish to be on a network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Attachment {
    /// The network's name.
    pub network: String,
    /// Further names of the container on it.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The addresses it wants; others are chosen for it.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    /// The hardware address it wants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
}
