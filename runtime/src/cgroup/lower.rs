//! From limits to the files of the cgroup file system: the one place where v1 and v2 differ.

use super::devices::V1Rule;
use super::ebpf;
use super::layout::{Controller, ControllerSet, Layout, Mode};
use super::plan::{Bound, Limit, PlanError, ResourcePlan, Setting, Throttle};
use mydocker_sys::bpf::Instruction;
use std::borrow::Cow;

/// Which directory a [`Write`] goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// That of the v1 hierarchy with this controller.
    V1(Controller),
    /// That of the v2 hierarchy.
    Unified,
}

/// What a missing control file means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnMissing {
    /// The limit cannot be set.
    Fail,
    /// The kernel has nothing to limit there, and what was asked for is what holds anyway.
    Ignore,
    /// The kernel has this file with this value instead.
    Instead(&'static str, String),
}

/// One write to a control file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The directory.
    pub place: Place,
    /// The file's name.
    pub file: Cow<'static, str>,
    /// The text.
    pub value: String,
    /// The place of the wish in `config.json`.
    pub pointer: Cow<'static, str>,
    /// What a missing file means.
    pub on_missing: OnMissing,
    /// Whether EINVAL means that a later write has to come first: the kernel checks pairs of limits against each
    /// other at every write, so that the right order depends on the values in force. Such a write is tried again
    /// after the later ones.
    pub retry: bool,
}

/// The device filter in the form that the host takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Devices {
    /// Writes to `devices.deny` and `devices.allow`, in order.
    V1(Vec<V1Rule>),
    /// An eBPF program on the v2 directory; none allows everything.
    Program(Option<Vec<Instruction>>),
}

/// Everything that the cgroup's files have to be told, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lowered {
    /// The writes.
    pub writes: Vec<Write>,
    /// The device filter; `None` leaves the one in force.
    pub devices: Option<Devices>,
    /// Limits of memory that are refused when v2's `memory.current` has reached them.
    pub usage_below: Vec<(u64, Cow<'static, str>)>,
    /// Controllers of cgroup v2 that must be there; the rest of what the host offers is enabled where it can be.
    pub unified: ControllerSet,
    /// What cgroup v2 offers at its root; empty where nobody looked.
    pub offered: ControllerSet,
    /// Whether the writes set the CPUs of a v1 cpuset, which otherwise come from the parent.
    pub cpus: bool,
    /// The same of its memory nodes.
    pub mems: bool,
}

impl ResourcePlan {
    /// The controllers that the plan needs, for [`Layout::load`].
    #[must_use]
    pub fn controllers(&self) -> ControllerSet {
        self.settings.iter().filter_map(|setting| setting.limit.controller()).collect()
    }

    /// The plan as file writes for the hierarchies of `layout`.
    ///
    /// # Errors
    /// [`PlanError::Unavailable`] for a limit whose controller no hierarchy has, and what only one version can do.
    pub fn lower(&self, layout: &Layout) -> Result<Lowered, PlanError> {
        let mut lowered = Lowered { offered: layout.unified_controllers, ..Lowered::default() };
        for setting in &self.settings {
            match place(setting, layout)? {
                Place::V1(controller) => lowered.v1(setting, controller)?,
                Place::Unified => lowered.unified(setting)?,
            }
        }
        if let Some(filter) = &self.devices {
            lowered.devices = Some(match layout.v1(Controller::Devices) {
                Some(_) => Devices::V1(filter.to_v1().map_err(|(index, source)| PlanError::Device {
                    pointer: format!("/linux/resources/devices/{index}"),
                    source,
                })?),
                None if layout.unified().is_some() => Devices::Program(ebpf::program(filter)),
                // Without a filter the container could open every disk of the host.
                None => {
                    return Err(PlanError::Unavailable {
                        pointer: "/linux/resources/devices".into(),
                        controller: "devices",
                    });
                }
            });
        }
        Ok(lowered)
    }
}

fn place(setting: &Setting, layout: &Layout) -> Result<Place, PlanError> {
    let pointer = || setting.pointer.to_string();
    let controller = setting.limit.controller();
    if matches!(setting.limit, Limit::Unified(..)) {
        return match (layout.mode(), controller) {
            (Mode::V1 | Mode::Hybrid, _) => Err(PlanError::OnlyV2 { pointer: pointer() }),
            (Mode::V2, Some(controller)) if !offers(layout, controller) => {
                Err(PlanError::Unavailable { pointer: pointer(), controller: controller.unified_name() })
            }
            (Mode::V2, _) => Ok(Place::Unified),
        };
    }
    match controller {
        Some(controller) if layout.v1(controller).is_some() => Ok(Place::V1(controller)),
        Some(controller) if offers(layout, controller) => Ok(Place::Unified),
        // net_cls and net_prio have no successor there; saying "not available" would send people looking.
        Some(Controller::NetCls | Controller::NetPrio) if layout.mode() == Mode::V2 => {
            Err(PlanError::OnlyV1 { pointer: pointer() })
        }
        _ => Err(PlanError::Unavailable {
            pointer: pointer(),
            controller: controller.map_or("", Controller::name),
        }),
    }
}

fn offers(layout: &Layout, controller: Controller) -> bool {
    layout.unified_controllers.contains(controller)
        || (layout.unified().is_some() && controller.is_core_of_unified())
}

/// The weight of cgroup v2 (1 to 10,000, default 100) for v1's shares (2 to 262,144, default 1,024).
///
/// The curve passes through both ends and both defaults: 10^((l² + 125 l) / 612 - 7/34) with l = log2(shares),
/// rounded up. It is that of current runc; older releases drew a straight line, which gave the default share a
/// weight of 39.
#[must_use]
pub fn cpu_weight(shares: u64) -> u64 {
    match shares {
        0..=2 => 1,
        262_144.. => 10_000,
        _ => {
            let log = (shares as f64).log2();
            10f64.powf((log * log + 125.0 * log) / 612.0 - 7.0 / 34.0).ceil() as u64
        }
    }
}

/// The weight of cgroup v2 (1 to 10,000) for a blkio weight (10 to 1,000), on a straight line.
#[must_use]
pub fn io_weight(weight: u16) -> u64 {
    1 + u64::from(weight.saturating_sub(10)) * 9999 / 990
}

/// Memory and swap as v2 counts them, each by itself: swap is what the two may have together, less what memory may
/// have.
#[must_use]
pub fn memory_and_swap(limit: Option<Bound>, total: Option<Bound>) -> (Option<Bound>, Option<Bound>) {
    let swap = match (limit, total) {
        (Some(Bound::Max), None) => Some(Bound::Max),
        (Some(Bound::At(limit)), Some(Bound::At(total))) => Some(Bound::At(total.saturating_sub(limit))),
        (_, total) => total,
    };
    (limit, swap)
}

impl Bound {
    fn v1(self) -> String {
        match self {
            Self::Max => "-1".into(),
            Self::At(value) => value.to_string(),
        }
    }

    fn unified(self) -> String {
        match self {
            Self::Max => "max".into(),
            Self::At(value) => value.to_string(),
        }
    }
}

/// A write that fails when the file is missing; adjusted where needed.
fn write(setting: &Setting, place: Place, file: impl Into<Cow<'static, str>>, value: impl ToString) -> Write {
    Write {
        place,
        file: file.into(),
        value: value.to_string(),
        pointer: setting.pointer.clone(),
        on_missing: OnMissing::Fail,
        retry: false,
    }
}

impl Write {
    fn below(mut self, name: &str) -> Self {
        self.pointer = format!("{}/{name}", self.pointer).into();
        self
    }

    fn retried(mut self) -> Self {
        self.retry = true;
        self
    }

    fn or(mut self, on_missing: OnMissing) -> Self {
        self.on_missing = on_missing;
        self
    }
}

impl Lowered {
    fn v1(&mut self, setting: &Setting, controller: Controller) -> Result<(), PlanError> {
        let to = |file: &'static str, value: &dyn ToString| {
            write(setting, Place::V1(controller), file, value.to_string())
        };
        match &setting.limit {
            Limit::Cpus(cpus) => {
                self.cpus = true;
                self.writes.push(to("cpuset.cpus", cpus));
            }
            Limit::Mems(mems) => {
                self.mems = true;
                self.writes.push(to("cpuset.mems", mems));
            }
            Limit::Memory { limit, total, .. } => self.memory_v1(setting, *limit, *total)?,
            Limit::MemoryReservation(value) => {
                self.writes.push(to("memory.soft_limit_in_bytes", &value.v1()))
            }
            Limit::TcpMemory(value) => self.writes.push(to("memory.kmem.tcp.limit_in_bytes", &value.v1())),
            Limit::Swappiness(value) => self.writes.push(to("memory.swappiness", value)),
            Limit::OomKillerOff => self.writes.push(to("memory.oom_control", &1)),
            Limit::OomKillerOn => self.writes.push(to("memory.oom_control", &0)),
            // The kernel would take another number and silently use the nearest of the range.
            Limit::CpuShares(shares) if !(2..=262_144).contains(shares) => {
                return Err(PlanError::Invalid {
                    pointer: setting.pointer.to_string(),
                    message: format!("{shares} shares are not between 2 and 262144"),
                });
            }
            Limit::CpuShares(shares) => self.writes.push(to("cpu.shares", shares)),
            Limit::CpuIdle(idle) => self.writes.push(to("cpu.idle", idle)),
            Limit::CpuBandwidth { quota, period, burst } => {
                self.bandwidth_v1(setting, *quota, *period, *burst);
            }
            Limit::CpuRealtime { runtime, period } => {
                let period = period.map(|period| to("cpu.rt_period_us", &period));
                let period = period.map(|write| if runtime.is_some() { write.retried() } else { write });
                self.writes.extend(period);
                self.writes.extend(runtime.map(|runtime| to("cpu.rt_runtime_us", &runtime)));
            }
            Limit::Pids(limit) => self.writes.push(to("pids.max", &limit.unified())),
            Limit::IoWeight(weight) => {
                let bfq = OnMissing::Instead("blkio.bfq.weight", weight.to_string());
                self.writes.push(to("blkio.weight", weight).or(bfq));
            }
            Limit::IoLeafWeight(weight) => self.writes.push(to("blkio.leaf_weight", weight)),
            Limit::IoDeviceWeight((major, minor), weight) => {
                let text = format!("{major}:{minor} {weight}");
                let bfq = OnMissing::Instead("blkio.bfq.weight_device", text.clone());
                self.writes.push(to("blkio.weight_device", &text).or(bfq));
            }
            Limit::IoDeviceLeafWeight((major, minor), weight) => {
                self.writes.push(to("blkio.leaf_weight_device", &format!("{major}:{minor} {weight}")));
            }
            Limit::IoThrottle((major, minor), kind, rate) => {
                self.writes.push(to(throttle_v1(*kind), &format!("{major}:{minor} {rate}")));
            }
            Limit::Hugepages(size, limit) => self.hugepages(setting, controller, size, *limit),
            Limit::NetClass(class) => self.writes.push(to("net_cls.classid", class)),
            Limit::NetPriority(interface, priority) => {
                self.writes.push(to("net_prio.ifpriomap", &format!("{interface} {priority}")));
            }
            Limit::Rdma(device, handles, objects) => {
                self.writes.push(to("rdma.max", &rdma(device, *handles, *objects)));
            }
            Limit::Unified(..) => return Err(PlanError::OnlyV2 { pointer: setting.pointer.to_string() }),
        }
        Ok(())
    }

    /// The kernel wants `limit` at or below the limit of both together after every write: whichever of the two
    /// orders fits is found by trying the limit first.
    fn memory_v1(
        &mut self,
        setting: &Setting,
        limit: Option<Bound>,
        total: Option<Bound>,
    ) -> Result<(), PlanError> {
        let place = Place::V1(Controller::Memory);
        if let (Some(Bound::Max), Some(Bound::At(_))) = (limit, total) {
            return Err(PlanError::Invalid {
                pointer: format!("{}/swap", setting.pointer),
                message: "unlimited memory cannot be part of a limit of memory and swap".into(),
            });
        }
        let limits = limit
            .map(|limit| write(setting, place, "memory.limit_in_bytes", limit.v1()).below("limit").retried());
        let swap = |total: Bound| {
            write(setting, place, "memory.memsw.limit_in_bytes", total.v1()).below("swap").retried()
        };
        self.writes.extend(limits);
        match (limit, total) {
            (_, Some(total)) => self.writes.push(swap(total)),
            // Memory without a limit means swap without a limit, where the kernel accounts swap.
            (Some(Bound::Max), None) => self.writes.push(swap(Bound::Max).or(OnMissing::Ignore)),
            _ => {}
        }
        Ok(())
    }

    fn bandwidth_v1(
        &mut self,
        setting: &Setting,
        quota: Option<Bound>,
        period: Option<u64>,
        burst: Option<u64>,
    ) {
        let to = |file: &'static str, name: &str, value: String| {
            write(setting, Place::V1(Controller::Cpu), file, value).below(name)
        };
        let pending = |write: Write| if quota.is_some() { write.retried() } else { write };
        self.writes
            .extend(period.map(|period| pending(to("cpu.cfs_period_us", "period", period.to_string()))));
        // Kernels before 5.14 save nothing up, which is what 0 asks for.
        let missing = if burst == Some(0) { OnMissing::Ignore } else { OnMissing::Fail };
        let burst = burst.map(|burst| to("cpu.cfs_burst_us", "burst", burst.to_string()).or(missing));
        self.writes.extend(burst.map(pending));
        self.writes.extend(quota.map(|quota| to("cpu.cfs_quota_us", "quota", quota.v1())));
    }

    /// The limit of pages in use, and of pages reserved (Linux 5.7) where the kernel has it.
    fn hugepages(&mut self, setting: &Setting, controller: Controller, size: &str, limit: u64) {
        for reserved in ["", ".rsvd"] {
            let file = format!("hugetlb.{size}{reserved}.limit_in_bytes");
            let missing = if reserved.is_empty() { OnMissing::Fail } else { OnMissing::Ignore };
            self.writes.push(write(setting, Place::V1(controller), file, limit).or(missing));
        }
    }

    fn unified(&mut self, setting: &Setting) -> Result<(), PlanError> {
        if let Some(controller) = setting.limit.controller()
            && !controller.is_core_of_unified()
        {
            self.unified.insert(controller);
        }
        let to = |file: &'static str, value: &dyn ToString| {
            write(setting, Place::Unified, file, value.to_string())
        };
        match &setting.limit {
            Limit::Cpus(cpus) => self.writes.push(to("cpuset.cpus", cpus)),
            Limit::Mems(mems) => self.writes.push(to("cpuset.mems", mems)),
            Limit::Memory { limit, total, check_usage } => {
                self.memory_unified(setting, *limit, *total, *check_usage);
            }
            Limit::MemoryReservation(value) => self.writes.push(to("memory.low", &value.unified())),
            Limit::CpuShares(shares) => self.writes.push(to("cpu.weight", &cpu_weight(*shares))),
            Limit::CpuIdle(idle) => self.writes.push(to("cpu.idle", idle)),
            Limit::CpuBandwidth { quota, period, burst } => {
                self.bandwidth_unified(setting, *quota, *period, *burst);
            }
            Limit::Pids(limit) => self.writes.push(to("pids.max", &limit.unified())),
            // BFQ has a file and a scale of its own, and counts where it is there.
            Limit::IoWeight(weight) => {
                let generic = OnMissing::Instead("io.weight", io_weight(*weight).to_string());
                self.writes.push(to("io.bfq.weight", weight).or(generic));
            }
            Limit::IoDeviceWeight((major, minor), weight) => {
                let generic = format!("{major}:{minor} {}", io_weight(*weight));
                let write = to("io.bfq.weight", &format!("{major}:{minor} {weight}"));
                self.writes.push(write.or(OnMissing::Instead("io.weight", generic)));
            }
            Limit::IoThrottle((major, minor), kind, rate) => {
                let text = format!("{major}:{minor} {}={rate}", throttle_unified(*kind));
                self.writes.push(to("io.max", &text));
            }
            Limit::Hugepages(size, limit) => {
                for reserved in ["", ".rsvd"] {
                    let file = format!("hugetlb.{size}{reserved}.max");
                    let missing = if reserved.is_empty() { OnMissing::Fail } else { OnMissing::Ignore };
                    self.writes.push(write(setting, Place::Unified, file, limit).or(missing));
                }
            }
            Limit::Rdma(device, handles, objects) => {
                self.writes.push(to("rdma.max", &rdma(device, *handles, *objects)));
            }
            Limit::Unified(file, value) => {
                let lines = value.lines().filter(|line| !line.is_empty());
                self.writes.extend(lines.map(|line| write(setting, Place::Unified, file.clone(), line)));
            }
            Limit::TcpMemory(_)
            | Limit::Swappiness(_)
            | Limit::OomKillerOff
            | Limit::OomKillerOn
            | Limit::CpuRealtime { .. }
            | Limit::IoLeafWeight(_)
            | Limit::IoDeviceLeafWeight(..)
            | Limit::NetClass(_)
            | Limit::NetPriority(..) => {
                return Err(PlanError::OnlyV1 { pointer: setting.pointer.to_string() });
            }
        }
        Ok(())
    }

    fn memory_unified(&mut self, setting: &Setting, limit: Option<Bound>, total: Option<Bound>, check: bool) {
        let (limit, swap) = memory_and_swap(limit, total);
        if let Some(swap) = swap {
            // A kernel without swap has none to limit: unlimited and none are the same there.
            let moot = matches!(swap, Bound::Max | Bound::At(0));
            let missing = if moot { OnMissing::Ignore } else { OnMissing::Fail };
            let write = write(setting, Place::Unified, "memory.swap.max", swap.unified());
            self.writes.push(write.below("swap").or(missing));
        }
        let limits = limit.map(|limit| write(setting, Place::Unified, "memory.max", limit.unified()));
        self.writes.extend(limits.map(|write| write.below("limit")));
        if check {
            for (bound, name) in [(total, "swap"), (limit, "limit")] {
                if let Some(Bound::At(bytes)) = bound {
                    self.usage_below.push((bytes, format!("{}/{name}", setting.pointer).into()));
                }
            }
        }
    }

    fn bandwidth_unified(
        &mut self,
        setting: &Setting,
        quota: Option<Bound>,
        period: Option<u64>,
        burst: Option<u64>,
    ) {
        let to = |file: &'static str, value: String| write(setting, Place::Unified, file, value);
        let limited = quota.is_some() || period.is_some();
        let missing = if burst == Some(0) { OnMissing::Ignore } else { OnMissing::Fail };
        let burst = burst.map(|burst| to("cpu.max.burst", burst.to_string()).below("burst").or(missing));
        self.writes.extend(burst.map(|write| if limited { write.retried() } else { write }));
        if limited {
            // The kernel's default period, which v1 keeps in a file of its own (cgroup-v2.rst, cpu.max).
            let period = period.unwrap_or(100_000);
            let text = format!("{} {period}", quota.unwrap_or(Bound::Max).unified());
            self.writes.push(to("cpu.max", text).below("quota"));
        }
    }
}

fn throttle_v1(kind: Throttle) -> &'static str {
    match kind {
        Throttle::ReadBytes => "blkio.throttle.read_bps_device",
        Throttle::WriteBytes => "blkio.throttle.write_bps_device",
        Throttle::ReadOperations => "blkio.throttle.read_iops_device",
        Throttle::WriteOperations => "blkio.throttle.write_iops_device",
    }
}

fn throttle_unified(kind: Throttle) -> &'static str {
    match kind {
        Throttle::ReadBytes => "rbps",
        Throttle::WriteBytes => "wbps",
        Throttle::ReadOperations => "riops",
        Throttle::WriteOperations => "wiops",
    }
}

/// A limit that is not given stays as it is.
fn rdma(device: &str, handles: Option<u32>, objects: Option<u32>) -> String {
    let named =
        |name: &str, value: Option<u32>| value.map(|value| format!(" {name}={value}")).unwrap_or_default();
    format!("{device}{}{}", named("hca_handle", handles), named("hca_object", objects))
}

#[cfg(test)]
#[path = "lower_tests.rs"]
mod tests;
