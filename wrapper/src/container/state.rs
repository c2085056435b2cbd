//! What became of a container.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

/// The state that a monitor records. It is the truth while the monitor lives; [`look`](super::look) says what it is
/// worth after that.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The status.
    pub status: Status,
    /// The container's first process while it is there.
    pub process: Option<Process>,
    /// The monitor while it is there.
    pub monitor: Option<Process>,
    /// The boot that all this is about: `/proc/sys/kernel/random/boot_id`.
    pub boot: String,
    /// When it was last started: RFC 3339.
    pub started_at: Option<String>,
    /// When it last ended.
    pub finished_at: Option<String>,
    /// How it last ended: a status, or 128 and the signal's number.
    pub exit_code: i32,
    /// The signal that it ended by.
    pub signal: Option<i32>,
    /// Whether the kernel killed it for want of memory.
    pub oom_killed: bool,
    /// Why it did not start, or what went wrong when it ended.
    pub error: String,
    /// How often it was started again by its restart policy.
    pub restart_count: u32,
    /// Whether a person stopped it: the restart policy rests then.
    pub stopped_by_hand: bool,
    /// What the health checks say, if there are any.
    pub health: Option<Health>,
    /// By the names of its networks.
    pub endpoints: BTreeMap<String, Endpoint>,
    /// The ports that the host has for it.
    pub ports: Vec<PublishedPort>,
}

/// In docker's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Never started.
    #[default]
    Created,
    /// Its program runs.
    Running,
    /// It is frozen.
    Paused,
    /// It waits for its restart policy's next try.
    Restarting,
    /// Somebody removes it.
    Removing,
    /// It has ended.
    Exited,
    /// It could not be removed.
    Dead,
}

/// A process that no other can be taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// When it began, in clock ticks since boot (field 22 of `/proc/PID/stat`).
    pub began: u64,
}

/// What health checks say.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Health {
    /// Their verdict.
    pub status: HealthStatus,
    /// How many failed one after the other.
    pub failing_streak: u32,
    /// The last five.
    pub log: Vec<HealthCheck>,
}

/// The verdict of health checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// None has passed yet.
    #[default]
    Starting,
    /// The last one passed.
    Healthy,
    /// Too many failed.
    Unhealthy,
}

/// One health check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct HealthCheck {
    /// RFC 3339.
    pub start: String,
    /// RFC 3339.
    pub end: String,
    /// 0 for healthy; -1 for one that took too long.
    pub exit_code: i32,
    /// The first 4,096 bytes that it printed.
    pub output: String,
}

/// A container's place on a network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Endpoint {
    /// The name of the interface in the container.
    pub interface: String,
    /// The hardware address.
    pub mac: String,
    /// Addresses and the lengths of their prefixes.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Where the rest of the world is.
    pub gateways: Vec<IpAddr>,
    /// Names of the container on the network.
    pub aliases: Vec<String>,
}

/// A port that the host has for a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedPort {
    /// The host's address.
    pub host_ip: IpAddr,
    /// The host's port.
    pub host_port: u16,
    /// The container's port.
    pub container_port: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
}

impl Default for PublishedPort {
    fn default() -> Self {
        Self {
            host_ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            host_port: 0,
            container_port: 0,
            protocol: "tcp".to_owned(),
        }
    }
}
