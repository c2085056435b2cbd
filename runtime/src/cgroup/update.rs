//! Limits of a container that is there: which of them an `update` writes, and how it is taken back.

use super::devices::DeviceFilter;
use super::lower::{Devices, Lowered, OnMissing};
use super::manager::{Cgroup, Error, read};
use super::plan::{Limit, PlanError, ResourcePlan, Setting};
use crate::spec::{Device, Resources};
use mydocker_sys::{self as sys, fs};
use std::path::{Path, PathBuf};

/// An update, found possible and not yet carried out.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// All limits as they will be, which the next update begins with.
    pub after: Resources,
    /// What has to be written.
    pub plan: ResourcePlan,
    /// The device filter in force, where another takes its place.
    pub devices_before: Option<DeviceFilter>,
}

impl Change {
    /// The change from the limits in force to those that `wish` names. What `wish` does not name is not written, so
    /// that it cannot fail: a throttled disk may have gone since. `nodes` are the container's own device nodes.
    ///
    /// Equal device rules are no change. Engines repeat all resources in every update, and other programs (for GPUs)
    /// add rules of their own to a running container's filter, which must not be lost then.
    ///
    /// # Errors
    /// [`PlanError`] as at the creation of a container with the limits that result.
    pub fn new(before: &Resources, wish: &Resources, nodes: &[Device]) -> Result<Self, PlanError> {
        let after = before.merged(wish);
        refuse_share_of_idle(before, wish)?;
        let old = ResourcePlan::for_update(before)?;
        let mut plan = ResourcePlan::for_update(&after)?;
        plan.settings
            .retain(|setting| !old.settings.contains(setting) || is_named(&setting.limit, setting, wish));
        plan.warnings.retain(|warning| !old.warnings.contains(warning));
        if after.memory.and_then(|memory| memory.disable_oom_killer) == Some(false)
            && before.memory.and_then(|memory| memory.disable_oom_killer) == Some(true)
        {
            plan.settings.push(Setting {
                limit: Limit::OomKillerOn,
                pointer: "/linux/resources/memory/disableOOMKiller".into(),
            });
        }
        let mut devices_before = None;
        if before.devices != after.devices {
            plan.devices = Some(filter(&after, nodes)?);
            devices_before = Some(filter(before, nodes)?);
        }
        Ok(Self { after, plan, devices_before })
    }
}

fn filter(resources: &Resources, nodes: &[Device]) -> Result<DeviceFilter, PlanError> {
    DeviceFilter::from_spec(&resources.devices, nodes).map_err(|(index, source)| PlanError::Device {
        pointer: format!("/linux/resources/devices/{index}"),
        source,
    })
}

/// The kernel takes no share of a cgroup that is idle.
fn refuse_share_of_idle(before: &Resources, wish: &Resources) -> Result<(), PlanError> {
    let idle_before = before.cpu.as_ref().and_then(|cpu| cpu.idle).unwrap_or(0) != 0;
    match &wish.cpu {
        Some(cpu) if idle_before && cpu.shares.unwrap_or(0) != 0 && cpu.idle != Some(0) => {
            Err(PlanError::Invalid {
                pointer: "/linux/resources/cpu/shares".into(),
                message: "the container is idle (/linux/resources/cpu/idle) and has no share of CPU time; end that \
                          in the same update"
                    .into(),
            })
        }
        _ => Ok(()),
    }
}

/// Whether an update speaks of a limit, be it with the value in force: somebody else may have changed the file.
fn is_named(limit: &Limit, setting: &Setting, wish: &Resources) -> bool {
    let cpu = wish.cpu.clone().unwrap_or_default();
    let memory = wish.memory.unwrap_or_default();
    match limit {
        Limit::Memory { .. } => memory.limit.or(memory.swap).is_some(),
        Limit::CpuBandwidth { .. } => cpu.quota.is_some() || cpu.period.or(cpu.burst).is_some(),
        Limit::CpuRealtime { .. } => cpu.realtime_runtime.is_some() || cpu.realtime_period.is_some(),
        // A cgroup that is idle no longer has the default share.
        Limit::CpuShares(_) => cpu.shares.is_some() || cpu.idle == Some(0),
        _ => {
            let wish = serde_json::to_value(wish).unwrap_or_default();
            let place = setting.pointer.trim_start_matches("/linux/resources");
            // The places of a list's entries are those of the merged list.
            let list =
                place.rsplit_once('/').filter(|(_, last)| last.bytes().all(|byte| byte.is_ascii_digit()));
            wish.pointer(list.map_or(place, |(list, _)| list)).is_some_and(|value| !value.is_null())
        }
    }
}

/// A control file and what it held.
struct Saved {
    path: PathBuf,
    text: String,
}

impl Cgroup {
    /// Applies changed limits to a cgroup with processes in it. One that the kernel refuses takes back those before
    /// it; `devices_before` is the filter in force, where it changes.
    ///
    /// # Errors
    /// [`Error::Changed`] with the refusal and every file that keeps its new value.
    pub fn update(&self, limits: &Lowered, devices_before: Option<&Devices>) -> Result<(), Error> {
        self.enable_controllers(limits)?;
        let saved = self.contents(limits)?;
        self.apply(limits).map_err(|cause| self.take_back(cause, &saved, devices_before))
    }

    /// What every file holds that `limits` will write.
    fn contents(&self, limits: &Lowered) -> Result<Vec<Saved>, Error> {
        let mut saved: Vec<Saved> = Vec::new();
        for write in &limits.writes {
            let directory = self.place(write)?;
            let instead = match &write.on_missing {
                OnMissing::Instead(file, _) => Some(*file),
                _ => None,
            };
            for path in [Some(&*write.file), instead].into_iter().flatten().map(|file| directory.file(file)) {
                // What is not there or only written to has nothing to go back to.
                if let (false, Ok(text)) = (saved.iter().any(|saved| saved.path == path), read(&path)) {
                    saved.push(Saved { path, text });
                }
            }
        }
        Ok(saved)
    }

    fn take_back(&self, cause: Error, saved: &[Saved], devices_before: Option<&Devices>) -> Error {
        // Limits that the kernel checks against each other come in the opposite order; what does not fit yet is tried
        // again after the others.
        let first: Vec<&Saved> = saved.iter().rev().filter(|saved| saved.restore().is_err()).collect();
        let mut left: Vec<(PathBuf, sys::Error)> = first
            .into_iter()
            .filter_map(|saved| saved.restore().err().map(|error| (saved.path.clone(), error)))
            .collect();
        let only_devices =
            devices_before.map(|devices| Lowered { devices: Some(devices.clone()), ..Lowered::default() });
        if let Some(Err(Error::Limit { source, .. })) = only_devices.map(|limits| self.apply(&limits)) {
            left.push((PathBuf::from("the device filter"), source));
        }
        Error::Changed { cause: Box::new(cause), left }
    }
}

impl Saved {
    /// Writes back what the file held, line by line where it has one for each device.
    fn restore(&self) -> sys::Result<()> {
        let now = read(&self.path)?;
        let file = self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        back(file, &self.text, &now)
            .iter()
            .try_for_each(|line| fs::write_at(fs::AT_FDCWD, Path::new(&self.path), line.as_bytes()))
    }
}

/// What to write into `file`, which holds `now`, so that it holds `before`.
fn back(file: &str, before: &str, now: &str) -> Vec<String> {
    if file == "memory.oom_control" {
        // The other lines of this file are what has happened.
        let setting =
            |text: &str| text.lines().next().and_then(|line| line.rsplit(' ').next()).map(str::to_owned);
        return setting(before).filter(|value| setting(now).as_ref() != Some(value)).into_iter().collect();
    }
    let has_key = |text: &str, key: &str| text.lines().any(|line| line.split(' ').next() == Some(key));
    let lost = before.lines().filter(|line| now.lines().all(|other| other != *line)).map(str::to_owned);
    let keyed = before.lines().count() > 1 || now.lines().any(is_device) || is_list(file);
    if !keyed {
        let value = before.trim_end();
        let changed = value != now.trim_end();
        return changed
            .then(|| if value.is_empty() { "\n".into() } else { value.into() })
            .into_iter()
            .collect();
    }
    let keys = now.lines().filter_map(|line| line.split(' ').next());
    let new = keys.filter(|key| !has_key(before, key)).map(|key| unlimited(file, key));
    lost.chain(new).collect()
}

fn is_device(line: &str) -> bool {
    let numbers = line.split(' ').next().and_then(|word| word.split_once(':'));
    numbers.is_some_and(|(major, minor)| major.parse::<u32>().is_ok() && minor.parse::<u32>().is_ok())
}

fn is_list(file: &str) -> bool {
    matches!(file, "io.max" | "rdma.max" | "net_prio.ifpriomap") || file.ends_with("_device")
}

/// The line that takes away the limit of one device.
fn unlimited(file: &str, key: &str) -> String {
    match file {
        "io.max" => format!("{key} rbps=max wbps=max riops=max wiops=max"),
        "io.weight" | "io.bfq.weight" => format!("{key} default"),
        "rdma.max" => format!("{key} hca_handle=max hca_object=max"),
        _ => format!("{key} 0"),
    }
}

#[cfg(test)]
#[path = "update_tests.rs"]
mod tests;
