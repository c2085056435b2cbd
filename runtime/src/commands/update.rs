//! `update`.

use super::Outcome;
use super::container::{Container, not_running};
use super::report::{and_undo, cgroup_failed, failed, refusal, state_failed};
use crate::cgroup::{Cgroup, Change, Layout, ResourcePlan};
use crate::cli::{Context, Report, UpdateArgs};
use crate::spec::{self, BlockIo, Cpu, MAX_CONFIG_BYTES, Memory, Pids, Resources};
use crate::state::Status;
use mydocker_sys::fs;
use std::io::{self, Read};

/// The kernel's periods where none was set: sched/core.c of CFS, and of the real-time scheduler.
const DEFAULT_PERIOD: u64 = 100_000;
const DEFAULT_REALTIME_PERIOD: u64 = 1_000_000;

/// `update`: changes the limits of a container that has processes. The bundle is not touched.
///
/// # Errors
/// If the container has stopped, or the limits that would result contradict each other, or the kernel refuses one;
/// those written before are taken back then.
pub fn update(args: &UpdateArgs, context: &Context) -> Outcome {
    let schemata = Schemata::new(args)?;
    let wish = wish(args, context)?;
    let mut container = Container::open(context, &args.id)?;
    if !matches!(container.status, Status::Created | Status::Running | Status::Paused) {
        return Err(not_running(&container));
    }
    schemata.require_class(&container)?;
    let Some(cgroup) = container.record.cgroup.clone().map(Cgroup::open) else {
        return Err(refusal("cgroup", "the container has no cgroup, so it cannot be limited"));
    };
    let linux = container.config()?.linux.unwrap_or_default();
    let before = container.record.resources.take();
    let in_force = before.as_ref().or(linux.resources.as_ref()).cloned().unwrap_or_default();
    let change = Change::new(&in_force, &wish, &linux.devices).map_err(failed("bad-resources"))?;
    change.plan.warnings.iter().for_each(|warning| context.log.warning(warning));
    let layout = Layout::load(change.plan.controllers()).map_err(failed("cgroup"))?;
    let limits = change.plan.lower(&layout).map_err(failed("bad-resources"))?;
    let filter = ResourcePlan { devices: change.devices_before, ..ResourcePlan::default() };
    let filter = filter.lower(&layout).map_err(failed("bad-resources"))?.devices;
    // Noted before it happens, and taken back with the limits.
    container.record.resources = Some(change.after);
    container.entry.save(&container.record).map_err(state_failed)?;
    cgroup.update(&limits, filter.as_ref()).map_err(|error| {
        container.record.resources = before;
        and_undo(cgroup_failed(error), container.entry.save(&container.record).map_err(state_failed))
    })?;
    cgroup.tell_systemd(&change.plan, &limits, &layout).map_err(cgroup_failed)?;
    schemata.write(&container).map(|()| 0)
}

/// What `--l3-cache-schema` and `--mem-bw-schema` change in the container's class of Intel RDT; empty: nothing.
struct Schemata<'a> {
    l3_cache: &'a str,
    memory_bandwidth: &'a str,
}

impl<'a> Schemata<'a> {
    /// The same rules as those of `l3CacheSchema` and `memBwSchema` (config-linux.md, Intel RDT).
    fn new(args: &'a UpdateArgs) -> Result<Self, Box<Report>> {
        let text = |flag: &str, value: &'a Option<String>, begin: &str| match value.as_deref() {
            Some(text) if !text.starts_with(begin) || text.contains('\n') => {
                let message = format!("{flag} {text:?}: must be one line that begins with {begin:?}");
                Err(refusal("bad-resources", message))
            }
            other => Ok(other.unwrap_or_default()),
        };
        Ok(Self {
            l3_cache: text("--l3-cache-schema", &args.l3_cache_schema, "L3:")?,
            memory_bandwidth: text("--mem-bw-schema", &args.mem_bw_schema, "MB:")?,
        })
    }

    fn is_empty(&self) -> bool {
        self.l3_cache.is_empty() && self.memory_bandwidth.is_empty()
    }

    /// A container that asked for none is in the class of the whole machine, which is not its to change.
    fn require_class(&self, container: &Container) -> Result<(), Box<Report>> {
        if self.is_empty() || container.record.intel_rdt.is_some() {
            return Ok(());
        }
        let message = "the container has no class of Intel RDT whose schemata could change: create it with \
                       /linux/intelRdt in its config.json";
        Err(refusal("intel-rdt", message))
    }

    /// Comes last, as the kernel takes all lines or none; the limits have changed when it refuses them.
    fn write(&self, container: &Container) -> Result<(), Box<Report>> {
        match &container.record.intel_rdt {
            Some(class) if !self.is_empty() => {
                class.set_schemata(self.l3_cache, self.memory_bandwidth).map_err(failed("intel-rdt"))
            }
            _ => Ok(()),
        }
    }
}

/// The limits that shall change: those of the document, or those of the flags.
fn wish(args: &UpdateArgs, context: &Context) -> Result<Resources, Box<Report>> {
    let Some(file) = &args.resources else { return Ok(from_flags(args)) };
    if from_flags(args) != from_flags(&UpdateArgs::default()) {
        context.log.warning("--resources is given: the other flags are ignored");
    }
    let stdin = file.as_os_str() == "-";
    let bytes = match stdin {
        true => read_stdin().map_err(failed("bad-resources"))?,
        false => fs::read_at(fs::AT_FDCWD, file, MAX_CONFIG_BYTES).map_err(failed("bad-resources"))?,
    };
    spec::parse_resources(&bytes).map_err(|error| {
        let mut report = Report::new("bad-resources", &error);
        let name = if stdin { "standard input".into() } else { file.display().to_string() };
        report.message = format!("{name}: {}", report.message);
        report.path = Some(name);
        report.into()
    })
}

/// It may be a pipe or a socket; what is longer than any document is cut, and then no JSON.
fn read_stdin() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::stdin().lock().take(MAX_CONFIG_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn from_flags(args: &UpdateArgs) -> Resources {
    let default =
        |value: Option<u64>, default: u64| value.map(|value| if value == 0 { default } else { value });
    Resources {
        memory: Some(Memory {
            limit: args.memory,
            reservation: args.memory_reservation,
            swap: args.memory_swap,
            kernel: args.kernel_memory,
            kernel_tcp: args.kernel_memory_tcp,
            ..Memory::default()
        }),
        cpu: Some(Cpu {
            shares: args.cpu_share,
            quota: args.cpu_quota,
            burst: args.cpu_burst,
            period: default(args.cpu_period, DEFAULT_PERIOD),
            realtime_runtime: args.cpu_rt_runtime,
            realtime_period: default(args.cpu_rt_period, DEFAULT_REALTIME_PERIOD),
            cpus: args.cpuset_cpus.clone().unwrap_or_default(),
            mems: args.cpuset_mems.clone().unwrap_or_default(),
            idle: args.cpu_idle,
        }),
        pids: Some(Pids { limit: args.pids_limit }),
        block_io: Some(BlockIo { weight: args.blkio_weight, ..BlockIo::default() }),
        ..Resources::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemata_begin_with_the_name_of_their_resource() {
        let args = |l3: &str, mb: &str| UpdateArgs {
            l3_cache_schema: Some(l3.into()),
            mem_bw_schema: Some(mb.into()),
            ..UpdateArgs::default()
        };
        let given = args("L3:0=f;1=f0", "MB:0=20");
        let schemata = Schemata::new(&given).expect("both are right");
        assert_eq!((schemata.l3_cache, schemata.memory_bandwidth), ("L3:0=f;1=f0", "MB:0=20"));
        for (l3, mb) in [("0=f", "MB:0=20"), ("L3:0=f", "20"), ("L3:0=f\nMB:0=1", "MB:0=20")] {
            assert!(Schemata::new(&args(l3, mb)).is_err(), "{l3:?} {mb:?}");
        }
        assert!(Schemata::new(&UpdateArgs::default()).expect("none is right").is_empty());
    }

    #[test]
    fn no_flag_changes_nothing_and_0_is_the_default_period() {
        assert_eq!(Resources::default().merged(&from_flags(&UpdateArgs::default())).pids, None);
        let args = UpdateArgs { cpu_period: Some(0), cpu_rt_period: Some(0), ..UpdateArgs::default() };
        let cpu = from_flags(&args).cpu.expect("cpu");
        assert_eq!((cpu.period, cpu.realtime_period), (Some(100_000), Some(1_000_000)));
    }
}
