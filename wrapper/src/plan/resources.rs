//! Limits and devices.

use super::{DeviceNode, Facts};
use crate::container::{HostConfig, ThrottleDevice, Ulimit};
use serde_json::{Map, Value, json};
use std::path::Path;

/// The period that `--cpus` is a share of, in microseconds.
const PERIOD: u64 = 100_000;

/// `linux.resources`; numbers that were not given are left out.
pub fn resources(host: &HostConfig, facts: &Facts) -> Value {
    let mut resources = Map::new();
    put(&mut resources, "memory", memory(host, facts));
    put(&mut resources, "cpu", cpu(host));
    if host.pids_limit != 0 {
        resources.insert("pids".to_owned(), json!({ "limit": host.pids_limit }));
    }
    put(&mut resources, "blockIO", block_io(host, facts));
    if !facts.is_rootless {
        resources.insert("devices".to_owned(), Value::Array(device_rules(host, facts)));
    }
    Value::Object(resources)
}

fn block_io(host: &HostConfig, facts: &Facts) -> Map<String, Value> {
    let mut block_io = Map::new();
    if host.blkio_weight != 0 {
        block_io.insert("weight".to_owned(), json!(host.blkio_weight));
    }
    let limit = |path: &Path, name: &str, value: Value| {
        let (major, minor) = facts.disks.get(path).copied().unwrap_or_default();
        json!({ "major": major, "minor": minor, name: value })
    };
    let weights = host.blkio_weight_device.iter();
    let weights: Vec<Value> =
        weights.map(|device| limit(&device.path, "weight", device.weight.into())).collect();
    let rates = |devices: &[ThrottleDevice]| {
        devices.iter().map(|device| limit(&device.path, "rate", device.rate.into())).collect()
    };
    let lists = [
        ("weightDevice", weights),
        ("throttleReadBpsDevice", rates(&host.blkio_device_read_bps)),
        ("throttleWriteBpsDevice", rates(&host.blkio_device_write_bps)),
        ("throttleReadIOPSDevice", rates(&host.blkio_device_read_iops)),
        ("throttleWriteIOPSDevice", rates(&host.blkio_device_write_iops)),
    ];
    let lists = lists.into_iter().filter(|(_, list)| !list.is_empty());
    block_io.extend(lists.map(|(name, list)| (name.to_owned(), Value::Array(list))));
    block_io
}

fn put(resources: &mut Map<String, Value>, name: &str, part: Map<String, Value>) {
    if !part.is_empty() {
        resources.insert(name.to_owned(), Value::Object(part));
    }
}

/// Without `--memory-swap` a container may swap as much as it has memory, as with docker, where the kernel counts swap.
fn memory(host: &HostConfig, facts: &Facts) -> Map<String, Value> {
    let mut memory = Map::new();
    if host.memory > 0 {
        memory.insert("limit".to_owned(), json!(host.memory));
        // What was asked for and cannot be is refused by the runtime, by name.
        if facts.limits_swap || host.memory_swap > 0 {
            let both = if host.memory_swap == 0 {
                i64::try_from(host.memory.saturating_mul(2)).unwrap_or(-1)
            } else {
                host.memory_swap
            };
            memory.insert("swap".to_owned(), json!(both));
        }
    }
    if host.memory_reservation > 0 {
        memory.insert("reservation".to_owned(), json!(host.memory_reservation));
    }
    if let Some(swappiness) = host.memory_swappiness {
        memory.insert("swappiness".to_owned(), json!(swappiness));
    }
    if host.oom_kill_disable {
        memory.insert("disableOOMKiller".to_owned(), json!(true));
    }
    memory
}

fn cpu(host: &HostConfig) -> Map<String, Value> {
    let mut cpu = Map::new();
    let (mut quota, mut period) = (host.cpu_quota, host.cpu_period);
    if host.nano_cpus > 0 {
        let share = u128::from(host.nano_cpus) * u128::from(PERIOD) / 1_000_000_000;
        (quota, period) = (i64::try_from(share).unwrap_or(i64::MAX), PERIOD);
    }
    let numbers = [
        ("shares", json!(host.cpu_shares), host.cpu_shares != 0),
        ("quota", json!(quota), quota != 0),
        ("period", json!(period), period != 0),
    ];
    let lists = [("cpus", &host.cpuset_cpus), ("mems", &host.cpuset_mems)];
    cpu.extend(
        numbers
            .into_iter()
            .filter(|(_, _, is_given)| *is_given)
            .map(|(name, value, _)| (name.to_owned(), value)),
    );
    cpu.extend(
        lists
            .into_iter()
            .filter(|(_, list)| !list.is_empty())
            .map(|(name, list)| (name.to_owned(), json!(list))),
    );
    cpu
}

fn device_rules(host: &HostConfig, facts: &Facts) -> Vec<Value> {
    if host.privileged {
        return vec![json!({ "allow": true, "access": "rwm" })];
    }
    let mut rules = vec![json!({ "allow": false, "access": "rwm" })];
    rules.extend(facts.devices.iter().map(|device| {
        let (major, minor) = device.number;
        json!({ "allow": true, "type": device.kind, "major": major, "minor": minor, "access": device.access })
    }));
    rules.extend(host.device_cgroup_rules.iter().filter_map(|rule| device_rule(rule)));
    rules
}

/// Reads `c 10:200 rwm`, where a number may be `*`; `None` for what is no rule.
#[must_use]
pub fn device_rule(text: &str) -> Option<Value> {
    let mut words = text.split_whitespace();
    let (kind, numbers, access, rest) = (words.next()?, words.next()?, words.next()?, words.next());
    let (major, minor) = numbers.split_once(':')?;
    let number = |text: &str| match text {
        "*" => Some(Value::Null),
        text => text.parse::<u32>().ok().map(Value::from),
    };
    let is_access = !access.is_empty() && access.bytes().all(|byte| b"rwm".contains(&byte));
    if !matches!(kind, "a" | "b" | "c") || !is_access || rest.is_some() {
        return None;
    }
    let mut rule = json!({ "allow": true, "type": kind, "access": access });
    for (name, value) in [("major", number(major)?), ("minor", number(minor)?)] {
        if !value.is_null() {
            rule[name] = value;
        }
    }
    Some(rule)
}

/// `linux.devices`
pub fn device_nodes(devices: &[DeviceNode]) -> Vec<Value> {
    let node = |device: &DeviceNode| {
        json!({
            "path": device.path, "type": device.kind, "major": device.number.0, "minor": device.number.1,
            "fileMode": device.mode, "uid": device.owner.0, "gid": device.owner.1,
        })
    };
    devices.iter().map(node).collect()
}

/// `process.rlimits`
pub fn rlimits(ulimits: &[Ulimit]) -> Vec<Value> {
    let number = |limit: i64| u64::try_from(limit).unwrap_or(u64::MAX);
    let rlimit = |limit: &Ulimit| {
        let kind = format!("RLIMIT_{}", limit.name.to_ascii_uppercase());
        json!({ "type": kind, "soft": number(limit.soft), "hard": number(limit.hard) })
    };
    ulimits.iter().map(rlimit).collect()
}
