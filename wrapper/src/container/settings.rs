//! How a container is tied to the host: docker's HostConfig.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Limits, privileges, namespaces, ports. Sizes are bytes; zero or empty is "not said".
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HostConfig {
    /// As it was typed with `-v`.
    pub binds: Vec<String>,
    /// `--cidfile`
    #[serde(rename = "ContainerIDFile")]
    pub container_id_file: String,
    /// `--log-driver`, `--log-opt`
    pub log_config: LogConfig,
    /// `default` (the bridge), a network's name, `host`, `none` or `container:ID`.
    pub network_mode: String,
    /// `-p`
    pub port_bindings: Vec<PortBinding>,
    /// `-P`
    pub publish_all_ports: bool,
    /// `--restart`
    pub restart_policy: RestartPolicy,
    /// `--rm`
    pub auto_remove: bool,
    /// `--volumes-from`
    pub volumes_from: Vec<String>,
    /// `--cap-add`, with the prefix `CAP_`, or `ALL`.
    pub cap_add: Vec<String>,
    /// `--cap-drop`
    pub cap_drop: Vec<String>,
    /// `--cgroupns`: `private` or `host`.
    pub cgroupns_mode: String,
    /// `--dns`
    pub dns: Vec<IpAddr>,
    /// `--dns-option`
    pub dns_options: Vec<String>,
    /// `--dns-search`
    pub dns_search: Vec<String>,
    /// `--add-host`: `NAME:ADDRESS`
    pub extra_hosts: Vec<String>,
    /// `--group-add`
    pub group_add: Vec<String>,
    /// `--ipc`: `private`, `shareable`, `host`, `none` or `container:ID`.
    pub ipc_mode: String,
    /// `--pid`: empty, `host` or `container:ID`.
    pub pid_mode: String,
    /// `--uts`: empty or `host`.
    #[serde(rename = "UTSMode")]
    pub uts_mode: String,
    /// `--userns`: empty, `host`, or `auto`-like mappings.
    pub userns_mode: String,
    /// `--oom-score-adj`
    pub oom_score_adj: i64,
    /// `--oom-kill-disable`
    pub oom_kill_disable: bool,
    /// `--privileged`
    pub privileged: bool,
    /// `--read-only`
    pub readonly_rootfs: bool,
    /// `--security-opt`
    pub security_opt: Vec<String>,
    /// `--shm-size`
    pub shm_size: u64,
    /// `--sysctl`
    pub sysctls: BTreeMap<String, String>,
    /// `--runtime`
    pub runtime: String,
    /// `--init`
    pub init: bool,
    /// `-m`
    pub memory: u64,
    /// `--memory-reservation`
    pub memory_reservation: u64,
    /// `--memory-swap`: memory and swap together; -1 for no limit.
    pub memory_swap: i64,
    /// `--cpus` in billionths
    pub nano_cpus: u64,
    /// `--cpu-shares`
    pub cpu_shares: u64,
    /// `--cpu-period` in microseconds
    pub cpu_period: u64,
    /// `--cpu-quota` in microseconds
    pub cpu_quota: i64,
    /// `--cpuset-cpus`
    pub cpuset_cpus: String,
    /// `--cpuset-mems`
    pub cpuset_mems: String,
    /// `--blkio-weight`
    pub blkio_weight: u16,
    /// `--blkio-weight-device`
    pub blkio_weight_device: Vec<WeightDevice>,
    /// `--device-read-bps`
    pub blkio_device_read_bps: Vec<ThrottleDevice>,
    /// `--device-write-bps`
    pub blkio_device_write_bps: Vec<ThrottleDevice>,
    /// `--device-read-iops`
    #[serde(rename = "BlkioDeviceReadIOps")]
    pub blkio_device_read_iops: Vec<ThrottleDevice>,
    /// `--device-write-iops`
    #[serde(rename = "BlkioDeviceWriteIOps")]
    pub blkio_device_write_iops: Vec<ThrottleDevice>,
    /// `--memory-swappiness`
    pub memory_swappiness: Option<u64>,
    /// `--pids-limit`; -1 for no limit.
    pub pids_limit: i64,
    /// `--ulimit`
    pub ulimits: Vec<Ulimit>,
    /// `--device`
    pub devices: Vec<Device>,
    /// `--device-cgroup-rule`
    pub device_cgroup_rules: Vec<String>,
    /// `--cgroup-parent`
    pub cgroup_parent: String,
    /// `--cgroup-manager`, before the command.
    pub cgroup_manager: CgroupManager,
    /// `--annotation`
    pub annotations: BTreeMap<String, String>,
    /// `--detach-keys`, as it was typed.
    pub detach_keys: String,
}

/// How much of a block device a container may use in a second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ThrottleDevice {
    /// The device on the host.
    pub path: PathBuf,
    /// Bytes, or how often.
    pub rate: u64,
}

/// How much a container's use of a block device weighs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct WeightDevice {
    /// The device on the host.
    pub path: PathBuf,
    /// 10 to 1000.
    pub weight: u16,
}

/// Who makes the cgroup of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CgroupManager {
    /// The runtime, in the file system.
    #[default]
    Cgroupfs,
    /// systemd, as a scope.
    Systemd,
}

impl CgroupManager {
    /// What suits this host: where systemd is process 1 and all controllers are v2's, nobody but systemd should write to
    /// the top of their tree; an ordinary user's systemd gives cgroups to whom it knows, over the user's bus.
    #[must_use]
    pub fn of_this_host() -> Self {
        let is_there = |path: &str| Path::new(path).exists();
        let is_v2 = is_there("/sys/fs/cgroup/cgroup.controllers");
        if is_v2 && is_there("/run/systemd/system") && (is_the_hosts_root() || has_user_bus()) {
            Self::Systemd
        } else {
            Self::Cgroupfs
        }
    }

    /// Its name, as it is typed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cgroupfs => "cgroupfs",
            Self::Systemd => "systemd",
        }
    }
}

impl FromStr for CgroupManager {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = [Self::Cgroupfs, Self::Systemd];
        let found = known.into_iter().find(|manager| manager.name() == text);
        found.ok_or_else(|| {
            format!("no manager of cgroups is called {text:?}; there are cgroupfs and systemd")
        })
    }
}

fn is_the_hosts_root() -> bool {
    mydocker_sys::process::euid() == 0 && mydocker_sys::namespace::is_first_user_namespace()
}

fn has_user_bus() -> bool {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    variable("DBUS_SESSION_BUS_ADDRESS").is_some()
        || variable("XDG_RUNTIME_DIR").is_some_and(|directory| Path::new(&directory).join("bus").exists())
}

/// Where what a container prints goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct LogConfig {
    /// `json-file`, `k8s-file` or `none`.
    #[serde(rename = "Type")]
    pub driver: String,
    /// `max-size`, `max-file`, `path` ...
    pub config: BTreeMap<String, String>,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { driver: "json-file".to_owned(), config: BTreeMap::new() }
    }
}

/// A port of the container that the host has as well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PortBinding {
    /// The port in the container.
    pub container_port: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// The host's address; all of them if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_ip: Option<IpAddr>,
    /// The host's port; one that is free if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_port: Option<u16>,
    /// The last of the host's ports of which one that is free is wanted, where `host_port` is the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_host_port: Option<u16>,
}

impl PortBinding {
    /// The host's port, or the first and the last of several, as docker writes them; empty for any.
    #[must_use]
    pub fn host_ports(&self) -> String {
        match (self.host_port, self.last_host_port) {
            (Some(first), Some(last)) => format!("{first}-{last}"),
            (Some(port), None) => port.to_string(),
            (None, _) => String::new(),
        }
    }
}

/// When a container that has ended is started again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RestartPolicy {
    /// When.
    pub name: RestartWhen,
    /// How often at the most with `on-failure`; 0 for ever.
    pub maximum_retry_count: u32,
}

/// When a container that has ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartWhen {
    /// Never.
    #[default]
    No,
    /// When its status is not 0.
    OnFailure,
    /// Always, also after a reboot.
    Always,
    /// Always, but after a reboot only what was not stopped.
    UnlessStopped,
}

/// A limit of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Ulimit {
    /// `nofile`, `nproc`, ...
    pub name: String,
    /// In force; -1 for none.
    pub soft: i64,
    /// What the process may raise it to.
    pub hard: i64,
}

/// A device of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Device {
    /// Where it is on the host.
    pub path_on_host: PathBuf,
    /// Where it is in the container.
    pub path_in_container: PathBuf,
    /// Of `rwm`.
    pub cgroup_permissions: String,
}
