//! Limits as properties of a unit (systemd.resource-control(5), org.freedesktop.systemd1(5)).

use super::unit::{Instance, Unit};
use crate::cgroup::devices::{Allowed, DeviceFilter, Kind, Rule};
use crate::cgroup::layout::{Controller, Layout};
use crate::cgroup::lower::{cpu_weight, io_weight, memory_and_swap};
use crate::cgroup::plan::{BlockDevice, Bound, Limit, PlanError, ResourcePlan, Setting, Throttle};
use crate::dbus::Value;
use std::borrow::Cow;

/// One property of a unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Property {
    /// Its name.
    pub name: Cow<'static, str>,
    /// Its value.
    pub value: Value,
    /// The release of systemd that first understands it, where that is later than what this runtime needs anyway
    /// ([`OLDEST`]).
    pub since: u32,
}

/// The oldest systemd that all other properties are understood by: that with `AllowedCPUs`, of 2019.
pub(super) const OLDEST: u32 = 244;

/// `infinity` in properties.
const INFINITY: u64 = u64::MAX;

impl Property {
    /// A property that every systemd understands.
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>, value: Value) -> Self {
        Self { name: name.into(), value, since: OLDEST }
    }

    fn number(name: &'static str, number: u64) -> Self {
        Self::new(name, Value::Uint64(number))
    }

    fn since(mut self, release: u32) -> Self {
        self.since = release;
        self
    }

    /// The property as calls carry it: `(sv)`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::Struct(vec![Value::text(&*self.name), Value::Variant(self.value.clone().into())])
    }
}

/// What every container's scope has, whatever its limits: accounting, for a controller that came later would not count
/// what was used before; and the cgroups below, for they are the container's.
pub(super) fn of_a_scope(unit: &Unit, id: &str, v2: bool) -> Vec<Property> {
    let yes = |name: &'static str| Property::new(name, Value::Boolean(true));
    vec![
        Property::new("Description", Value::text(format!("mydocker container {id}"))),
        Property::new("Slice", Value::text(&unit.slice)),
        yes("Delegate"),
        yes("MemoryAccounting"),
        yes("CPUAccounting"),
        yes(if v2 { "IOAccounting" } else { "BlockIOAccounting" }),
        yes("TasksAccounting"),
        // The shutdown of the system stops containers with their engine, and not after a conflict with a target.
        Property::new("DefaultDependencies", Value::Boolean(false)),
        // Also one that has failed goes away by itself, and its name is free: nobody has to come and ask for that.
        Property::new("CollectMode", Value::text("inactive-or-failed")),
    ]
}

impl ResourcePlan {
    /// Those of the limits that systemd knows as properties, for the systemd of a host with this layout.
    ///
    /// # Errors
    /// [`PlanError::Invalid`] for a list of CPUs that is none.
    pub fn properties(&self, layout: &Layout, instance: Instance) -> Result<Vec<Property>, PlanError> {
        let mut properties = Vec::new();
        let idle = self.is_idle();
        for setting in &self.settings {
            let v1 = setting.limit.controller().is_some_and(|controller| layout.v1(controller).is_some());
            match v1 {
                true => of_limit_v1(setting, &mut properties)?,
                false => of_limit(setting, idle, &mut properties)?,
            }
        }
        // The systemd of a user may not load device filters.
        if let (Some(filter), Instance::System) = (&self.devices, instance) {
            properties.extend(of_devices(filter, layout.v1(Controller::Devices).is_some()));
        }
        Ok(properties)
    }
}

fn amount(bound: Bound) -> u64 {
    match bound {
        Bound::Max => INFINITY,
        Bound::At(amount) => amount,
    }
}

/// A limit whose controller is on cgroup v1.
fn of_limit_v1(setting: &Setting, properties: &mut Vec<Property>) -> Result<(), PlanError> {
    match &setting.limit {
        Limit::Memory { limit: Some(limit), .. } => {
            properties.push(Property::number("MemoryLimit", amount(*limit)));
        }
        Limit::CpuShares(shares) => properties.push(Property::number("CPUShares", *shares)),
        Limit::IoWeight(weight) => properties.push(Property::number("BlockIOWeight", u64::from(*weight))),
        limit => of_either(limit, setting, properties)?,
    }
    Ok(())
}

/// A limit whose controller is on cgroup v2.
fn of_limit(setting: &Setting, idle: bool, properties: &mut Vec<Property>) -> Result<(), PlanError> {
    match &setting.limit {
        Limit::Memory { limit, total, .. } => {
            let (limit, swap) = memory_and_swap(*limit, *total);
            properties.extend(limit.map(|limit| Property::number("MemoryMax", amount(limit))));
            properties.extend(swap.map(|swap| Property::number("MemorySwapMax", amount(swap))));
        }
        Limit::MemoryReservation(low) => properties.push(Property::number("MemoryLow", amount(*low))),
        // The share of an idle cgroup is 0, and there can be only one.
        Limit::CpuShares(_) if idle => {}
        Limit::CpuShares(shares) => properties.push(Property::number("CPUWeight", cpu_weight(*shares))),
        Limit::CpuIdle(1) => properties.push(Property::number("CPUWeight", 0).since(252)),
        Limit::IoWeight(weight) => properties.push(Property::number("IOWeight", io_weight(*weight))),
        Limit::IoDeviceWeight(device, weight) => {
            of_device(properties, "IODeviceWeight", *device, io_weight(*weight));
        }
        Limit::IoThrottle(device, kind, rate) => of_device(properties, throttle(*kind), *device, *rate),
        Limit::Unified(file, value) => properties.extend(of_file(file, value.trim(), idle)),
        limit => of_either(limit, setting, properties)?,
    }
    Ok(())
}

/// A limit that both versions have under one name, or that systemd does not know.
fn of_either(limit: &Limit, setting: &Setting, properties: &mut Vec<Property>) -> Result<(), PlanError> {
    match limit {
        Limit::Cpus(cpus) => properties.push(Property::new("AllowedCPUs", set(setting, cpus)?)),
        Limit::Mems(mems) => properties.push(Property::new("AllowedMemoryNodes", set(setting, mems)?)),
        Limit::CpuBandwidth { quota, period, .. } => properties.extend(bandwidth(*quota, *period)),
        Limit::Pids(limit) => properties.push(Property::number("TasksMax", amount(*limit))),
        _ => {}
    }
    Ok(())
}

/// The kernel's period, in microseconds (cgroup-v2.rst, cpu.max).
const DEFAULT_PERIOD: u64 = 100_000;

/// systemd keeps the quota over a reload as a whole number of percent, rounded down, so that it is rounded up here; the
/// file gets the exact value afterwards.
fn bandwidth(quota: Option<Bound>, period: Option<u64>) -> Vec<Property> {
    const PERCENT: u64 = 10_000;
    let mut properties = Vec::new();
    properties.extend(period.map(|period| Property::number("CPUQuotaPeriodUSec", period)));
    let each_second = match quota {
        Some(Bound::At(quota)) => {
            let time = u128::from(quota) * 1_000_000 / u128::from(period.unwrap_or(DEFAULT_PERIOD).max(1));
            u64::try_from(time)
                .ok()
                .and_then(|time| time.checked_next_multiple_of(PERCENT))
                .unwrap_or(INFINITY)
        }
        _ => INFINITY,
    };
    if quota.is_some() || period.is_some() {
        properties.push(Property::number("CPUQuotaPerSecUSec", each_second));
    }
    properties
}

fn throttle(kind: Throttle) -> &'static str {
    match kind {
        Throttle::ReadBytes => "IOReadBandwidthMax",
        Throttle::WriteBytes => "IOWriteBandwidthMax",
        Throttle::ReadOperations => "IOReadIOPSMax",
        Throttle::WriteOperations => "IOWriteIOPSMax",
    }
}

/// Adds a device to the list that is the property `name`.
fn of_device(properties: &mut Vec<Property>, name: &'static str, device: BlockDevice, number: u64) {
    let (major, minor) = device;
    let entry =
        Value::Struct(vec![Value::text(format!("/dev/block/{major}:{minor}")), Value::Uint64(number)]);
    match properties.iter_mut().find(|property| property.name == name) {
        Some(Property { value: Value::Array(_, list), .. }) => list.push(entry),
        _ => properties.push(Property::new(name, Value::Array("(st)".into(), vec![entry]))),
    }
}

/// A file of cgroup v2. What systemd does not know, or what is no value, is left to the kernel's judgement.
fn of_file(file: &str, value: &str, idle: bool) -> Vec<Property> {
    let number = |value: &str| match value {
        "max" => Some(INFINITY),
        value => value.parse().ok(),
    };
    let one = |name: &'static str| number(value).map(|number| Property::number(name, number));
    let list = |name: &'static str| bits(value).map(|bits| Property::new(name, Value::bytes(&bits)));
    let found = match file {
        "cpu.idle" if value == "1" => Some(Property::number("CPUWeight", 0).since(252)),
        "cpu.weight" if !idle => one("CPUWeight"),
        "cpu.max" => return cpu_max(value),
        "cpuset.cpus" => list("AllowedCPUs"),
        "cpuset.mems" => list("AllowedMemoryNodes"),
        "memory.high" => one("MemoryHigh"),
        "memory.low" => one("MemoryLow"),
        "memory.min" => one("MemoryMin"),
        "memory.max" => one("MemoryMax"),
        "memory.swap.max" => one("MemorySwapMax"),
        "memory.oom.group" => oom_policy(value),
        "pids.max" => one("TasksMax"),
        _ => None,
    };
    found.into_iter().collect()
}

fn cpu_max(value: &str) -> Vec<Property> {
    let mut words = value.split_whitespace();
    let quota = match words.next() {
        Some("max") => Some(Bound::Max),
        word => word.and_then(|word| word.parse().ok()).map(Bound::At),
    };
    let period = words.next().and_then(|word| word.parse().ok()).unwrap_or(DEFAULT_PERIOD);
    quota.map(|quota| bandwidth(Some(quota), Some(period))).unwrap_or_default()
}

fn oom_policy(value: &str) -> Option<Property> {
    let policy = match value {
        "0" => "continue",
        "1" => "kill",
        _ => return None,
    };
    Some(Property::new("OOMPolicy", Value::text(policy)).since(253))
}

fn set(setting: &Setting, list: &str) -> Result<Value, PlanError> {
    bits(list).map(|bits| Value::bytes(&bits)).ok_or_else(|| PlanError::Invalid {
        pointer: setting.pointer.to_string(),
        message: format!("{list:?} is no list of numbers such as \"0-3,7\""),
    })
}

/// A list such as `0-3,7` as a set of bits, the lowest first. None for what is no list, or empty.
fn bits(list: &str) -> Option<Vec<u8>> {
    // Far above the kernel's largest numbers of CPUs and memory nodes.
    const MOST: usize = 1 << 16;
    let mut bits: Vec<u8> = Vec::new();
    for range in list.split(',').map(str::trim).filter(|range| !range.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last || last >= MOST {
            return None;
        }
        bits.resize(bits.len().max(last / 8 + 1), 0);
        (first..=last).for_each(|number| bits[number / 8] |= 1 << (number % 8));
    }
    (!bits.is_empty()).then_some(bits)
}

/// The device filter as systemd's list of what is allowed.
///
/// What such a list cannot say holds by the runtime's own filter. On v2, where both filters must allow an access, systemd
/// then has none; on v1, where they are one and the same, systemd's is the narrower one, for it must not open on a
/// reload what was closed.
fn of_devices(filter: &DeviceFilter, v1: bool) -> Vec<Property> {
    let closed = |list: Vec<Value>| devices("strict", list);
    match filter.allowed() {
        Allowed::Everything => devices("auto", Vec::new()),
        Allowed::Only(rules) => {
            let entries: Vec<Option<Value>> = rules.iter().map(entry).collect();
            match entries.iter().all(Option::is_some) || v1 {
                true => closed(entries.into_iter().flatten().collect()),
                false => devices("auto", Vec::new()),
            }
        }
        Allowed::NoList if v1 => closed(Vec::new()),
        Allowed::NoList => devices("auto", Vec::new()),
    }
}

/// An empty list comes first, which takes back the one in force.
fn devices(policy: &'static str, list: Vec<Value>) -> Vec<Property> {
    let list_of = |entries| Property::new("DeviceAllow", Value::Array("(ss)".into(), entries));
    let mut properties = vec![list_of(Vec::new()), Property::new("DevicePolicy", Value::text(policy))];
    if !list.is_empty() {
        properties.push(list_of(list));
    }
    properties
}

/// An entry of `DeviceAllow`; none for one minor number of every major, which systemd has no words for.
fn entry(rule: &Rule) -> Option<Value> {
    let kind = if rule.kind == Kind::Block { "block" } else { "char" };
    let node = match (rule.major, rule.minor) {
        (Some(major), Some(minor)) => format!("/dev/{kind}/{major}:{minor}"),
        (Some(major), None) => format!("{kind}-{major}"),
        (None, None) => format!("{kind}-*"),
        (None, Some(_)) => return None,
    };
    Some(Value::Struct(vec![Value::text(node), Value::text(rule.access.to_string())]))
}

#[cfg(test)]
#[path = "properties_tests.rs"]
mod tests;
