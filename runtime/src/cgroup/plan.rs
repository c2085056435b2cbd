//! The limits that a container asks for, checked and typed, before anybody knows which files they end up in.

use super::devices::{DeviceError, DeviceFilter};
use super::layout::Controller;
use crate::spec::{BlockIo, Cpu, Device, Memory, Network, Resources, ThrottleDevice};
use std::borrow::Cow;

/// An amount, or no limit at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// No limit.
    Max,
    /// At most so many.
    At(u64),
}

/// What a rate of a block device counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Throttle {
    ReadBytes,
    WriteBytes,
    ReadOperations,
    WriteOperations,
}

/// The number of a block device.
pub type BlockDevice = (u32, u32);

/// One limit. Values that the kernel checks against each other are one limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Limit {
    /// CPUs, as `0-3,7`.
    Cpus(String),
    /// Memory nodes, as `0-3,7`.
    Mems(String),
    /// Bytes of memory, and bytes of memory and swap together.
    Memory {
        /// Memory.
        limit: Option<Bound>,
        /// Memory and swap together; never below `limit`.
        total: Option<Bound>,
        /// Whether to refuse limits below the present usage instead of reclaiming or killing.
        check_usage: bool,
    },
    /// Bytes that are reclaimed last.
    MemoryReservation(Bound),
    /// Bytes of TCP buffers.
    TcpMemory(Bound),
    /// 0 to 100.
    Swappiness(u64),
    /// Tasks wait for memory instead of being killed.
    OomKillerOff,
    /// Tasks are killed again; of an update only, for a new cgroup begins so.
    OomKillerOn,
    /// The share of CPU time, in v1's scale: 1024 is one share.
    CpuShares(u64),
    /// Whether it runs only when nothing else does.
    CpuIdle(i64),
    /// CPU time in each period, in microseconds.
    CpuBandwidth {
        /// The time.
        quota: Option<Bound>,
        /// The period.
        period: Option<u64>,
        /// What may be saved up.
        burst: Option<u64>,
    },
    /// Real-time CPU time in each period, in microseconds.
    CpuRealtime {
        /// The time.
        runtime: Option<i64>,
        /// The period.
        period: Option<u64>,
    },
    /// The number of tasks.
    Pids(Bound),
    /// The share of block I/O: 10 to 1000.
    IoWeight(u16),
    /// The share of the cgroup's own tasks.
    IoLeafWeight(u16),
    /// The share on one device.
    IoDeviceWeight(BlockDevice, u16),
    /// The share of the cgroup's own tasks on one device.
    IoDeviceLeafWeight(BlockDevice, u16),
    /// A rate on one device.
    IoThrottle(BlockDevice, Throttle, u64),
    /// Bytes of huge pages of one size, such as `2MB`.
    Hugepages(String, u64),
    /// The class of packets.
    NetClass(u32),
    /// The priority of packets on one interface.
    NetPriority(String, u32),
    /// Handles and objects of an RDMA device.
    Rdma(String, Option<u32>, Option<u32>),
    /// A file of cgroup v2 and its text.
    Unified(String, String),
}

impl Limit {
    /// The controller that the limit needs; `None` for a file of cgroup v2 itself or of a controller unknown here.
    #[must_use]
    pub fn controller(&self) -> Option<Controller> {
        Some(match self {
            Self::Cpus(_) | Self::Mems(_) => Controller::Cpuset,
            Self::Memory { .. }
            | Self::MemoryReservation(_)
            | Self::TcpMemory(_)
            | Self::Swappiness(_)
            | Self::OomKillerOff
            | Self::OomKillerOn => Controller::Memory,
            Self::CpuShares(_) | Self::CpuIdle(_) | Self::CpuBandwidth { .. } | Self::CpuRealtime { .. } => {
                Controller::Cpu
            }
            Self::Pids(_) => Controller::Pids,
            Self::IoWeight(_)
            | Self::IoLeafWeight(_)
            | Self::IoDeviceWeight(..)
            | Self::IoDeviceLeafWeight(..)
            | Self::IoThrottle(..) => Controller::BlkIo,
            Self::Hugepages(..) => Controller::HugeTlb,
            Self::NetClass(_) => Controller::NetCls,
            Self::NetPriority(..) => Controller::NetPrio,
            Self::Rdma(..) => Controller::Rdma,
            Self::Unified(file, _) => {
                let name = file.split('.').next().unwrap_or_default();
                return Controller::ALL.into_iter().find(|controller| controller.unified_name() == name);
            }
        })
    }
}

/// A limit and its place in `config.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The limit.
    pub limit: Limit,
    /// The JSON pointer of the wish.
    pub pointer: Cow<'static, str>,
}

/// All limits of a container, in the order in which they are applied, and its device filter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResourcePlan {
    /// The limits.
    pub settings: Vec<Setting>,
    /// The device filter; `None` leaves the one in force (an update does that).
    pub devices: Option<DeviceFilter>,
    /// What is asked for but has no effect on any kernel in use, each a sentence for the log.
    pub warnings: Vec<String>,
}

/// Why limits cannot be applied, with the place in `config.json`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The value makes no sense.
    #[error("{pointer}: {message}")]
    Invalid {
        /// The place.
        pointer: String,
        /// What is wrong.
        message: String,
    },
    /// The container has no cgroup with the controller.
    #[error("{pointer}: the limit needs the cgroup controller {controller}, which is not available")]
    Unavailable {
        /// The place.
        pointer: String,
        /// The controller.
        controller: &'static str,
    },
    /// cgroup v2 has nothing like it.
    #[error("{pointer}: cgroup v2 has no such limit (it exists on cgroup v1 only)")]
    OnlyV1 {
        /// The place.
        pointer: String,
    },
    /// cgroup v1 has nothing like it.
    #[error("{pointer}: files of cgroup v2 cannot be set: this host has its controllers on cgroup v1")]
    OnlyV2 {
        /// The place.
        pointer: String,
    },
    /// A device rule is refused.
    #[error("{pointer}: the rule cannot be applied")]
    Device {
        /// The place.
        pointer: String,
        /// Why.
        source: DeviceError,
    },
}

fn invalid<T>(pointer: impl Into<String>, message: impl Into<String>) -> Result<T, PlanError> {
    Err(PlanError::Invalid { pointer: pointer.into(), message: message.into() })
}

const AT: &str = "/linux/resources";

impl ResourcePlan {
    /// The plan of a new container. A value of 0 means "not set" where 0 is no sensible limit, as runc has it.
    ///
    /// `nodes` are the container's own device nodes (`linux.devices`): one at the path of a default device takes
    /// that default's place, also in the filter.
    ///
    /// # Errors
    /// [`PlanError`] for what no kernel can take, before anything is touched.
    pub fn from_spec(resources: &Resources, nodes: &[Device]) -> Result<Self, PlanError> {
        let mut plan = Self::for_update(resources)?;
        plan.devices =
            Some(DeviceFilter::from_spec(&resources.devices, nodes).map_err(|(index, source)| {
                PlanError::Device { pointer: format!("{AT}/devices/{index}"), source }
            })?);
        Ok(plan)
    }

    /// The plan of changed limits, which leaves the device filter alone. Limits that depend on each other (memory
    /// and swap, quota and period) must be given together, as in the merged configuration.
    ///
    /// # Errors
    /// As [`ResourcePlan::from_spec`].
    pub fn for_update(resources: &Resources) -> Result<Self, PlanError> {
        let mut plan = Self::default();
        // A v1 cpuset must be complete before anything else can come in, so that it goes first.
        if let Some(cpu) = &resources.cpu {
            plan.cpu(cpu);
        }
        if let Some(memory) = &resources.memory {
            plan.memory(memory)?;
        }
        if let Some(limit) = resources.pids.and_then(|pids| pids.limit) {
            plan.add(Limit::Pids(pids(limit)), "/linux/resources/pids/limit");
        }
        if let Some(io) = &resources.block_io {
            plan.block_io(io)?;
        }
        for (index, huge) in resources.hugepage_limits.iter().enumerate() {
            let pointer = format!("{AT}/hugepageLimits/{index}");
            if huge.page_size.is_empty() || huge.page_size.contains('/') {
                return invalid(format!("{pointer}/pageSize"), "a page size such as \"2MB\" is needed");
            }
            plan.add(Limit::Hugepages(huge.page_size.clone(), huge.limit), pointer);
        }
        if let Some(network) = &resources.network {
            plan.network(network);
        }
        for (device, rdma) in &resources.rdma {
            let limit = Limit::Rdma(device.clone(), rdma.hca_handles, rdma.hca_objects);
            if rdma.hca_handles.is_some() || rdma.hca_objects.is_some() {
                plan.add(limit, format!("{AT}/rdma/{}", pointer_token(device)));
            }
        }
        for (file, value) in &resources.unified {
            plan.unified(file, value)?;
        }
        Ok(plan)
    }

    fn add(&mut self, limit: Limit, pointer: impl Into<Cow<'static, str>>) {
        self.settings.push(Setting { limit, pointer: pointer.into() });
    }

    fn cpu(&mut self, cpu: &Cpu) {
        if !cpu.cpus.is_empty() {
            self.add(Limit::Cpus(cpu.cpus.clone()), "/linux/resources/cpu/cpus");
        }
        if !cpu.mems.is_empty() {
            self.add(Limit::Mems(cpu.mems.clone()), "/linux/resources/cpu/mems");
        }
        let idle = cpu.idle.map(|idle| (Limit::CpuIdle(idle), "/linux/resources/cpu/idle"));
        let shares = set(cpu.shares).map(|shares| (Limit::CpuShares(shares), "/linux/resources/cpu/shares"));
        // The kernel takes no share of a cgroup that is idle: leaving that state comes first, entering it last.
        let order = if cpu.idle == Some(0) { [idle, shares] } else { [shares, idle] };
        order.into_iter().flatten().for_each(|(limit, pointer)| self.add(limit, pointer));
        let quota = set(cpu.quota).map(|quota| u64::try_from(quota).map_or(Bound::Max, Bound::At));
        let (period, burst) = (set(cpu.period), cpu.burst);
        if quota.is_some() || period.is_some() || burst.is_some() {
            self.add(Limit::CpuBandwidth { quota, period, burst }, "/linux/resources/cpu");
        }
        let (runtime, period) = (set(cpu.realtime_runtime), set(cpu.realtime_period));
        if runtime.is_some() || period.is_some() {
            let pointer = match runtime {
                Some(_) => "/linux/resources/cpu/realtimeRuntime",
                None => "/linux/resources/cpu/realtimePeriod",
            };
            self.add(Limit::CpuRealtime { runtime, period }, pointer);
        }
    }

    fn memory(&mut self, memory: &Memory) -> Result<(), PlanError> {
        let limit = bytes(memory.limit, "limit")?;
        let total = bytes(memory.swap, "swap")?;
        match (limit, total) {
            (None, Some(Bound::At(_))) => {
                return invalid(
                    "/linux/resources/memory/swap",
                    "a limit of memory and swap needs a limit of memory (/linux/resources/memory/limit)",
                );
            }
            (Some(Bound::At(limit)), Some(Bound::At(total))) if total < limit => {
                return invalid(
                    "/linux/resources/memory/swap",
                    format!(
                        "memory and swap together ({total}) must not be below the memory limit ({limit})"
                    ),
                );
            }
            (None, None) => {}
            _ => {
                let check_usage = memory.check_before_update == Some(true);
                self.add(Limit::Memory { limit, total, check_usage }, "/linux/resources/memory");
            }
        }
        if let Some(reservation) = bytes(memory.reservation, "reservation")? {
            self.add(Limit::MemoryReservation(reservation), "/linux/resources/memory/reservation");
        }
        if let Some(tcp) = bytes(memory.kernel_tcp, "kernelTCP")? {
            self.add(Limit::TcpMemory(tcp), "/linux/resources/memory/kernelTCP");
        }
        self.memory_behaviour(memory)
    }

    fn memory_behaviour(&mut self, memory: &Memory) -> Result<(), PlanError> {
        if memory.disable_oom_killer == Some(true) {
            self.add(Limit::OomKillerOff, "/linux/resources/memory/disableOOMKiller");
        }
        match memory.swappiness {
            // Clients written in Go say "not set" as -1 in an unsigned field.
            None | Some(u64::MAX) => {}
            Some(value @ 0..=100) => {
                self.add(Limit::Swappiness(value), "/linux/resources/memory/swappiness");
            }
            Some(value) => {
                return invalid(
                    "/linux/resources/memory/swappiness",
                    format!("{value} is not between 0 and 100"),
                );
            }
        }
        if set(memory.kernel).is_some() {
            self.warnings.push(format!(
                "{AT}/memory/kernel: it has no effect; Linux has had no limit of kernel memory since 5.16"
            ));
        }
        if memory.use_hierarchy == Some(false) {
            self.warnings.push(format!(
                "{AT}/memory/useHierarchy: it has no effect; cgroups below have always counted since Linux 5.11"
            ));
        }
        Ok(())
    }

    fn block_io(&mut self, io: &BlockIo) -> Result<(), PlanError> {
        let at = "/linux/resources/blockIO";
        if let Some(weight) = weight(io.weight, || format!("{at}/weight"))? {
            self.add(Limit::IoWeight(weight), "/linux/resources/blockIO/weight");
        }
        if let Some(weight) = weight(io.leaf_weight, || format!("{at}/leafWeight"))? {
            self.add(Limit::IoLeafWeight(weight), "/linux/resources/blockIO/leafWeight");
        }
        for (index, wish) in io.weight_device.iter().enumerate() {
            let pointer = format!("{at}/weightDevice/{index}");
            let device = block_device(wish.major, wish.minor, &pointer)?;
            if let Some(weight) = weight(wish.weight, || format!("{pointer}/weight"))? {
                self.add(Limit::IoDeviceWeight(device, weight), format!("{pointer}/weight"));
            }
            if let Some(weight) = weight(wish.leaf_weight, || format!("{pointer}/leafWeight"))? {
                self.add(Limit::IoDeviceLeafWeight(device, weight), format!("{pointer}/leafWeight"));
            }
        }
        self.throttles("throttleReadBpsDevice", Throttle::ReadBytes, &io.throttle_read_bps_device)?;
        self.throttles("throttleWriteBpsDevice", Throttle::WriteBytes, &io.throttle_write_bps_device)?;
        self.throttles("throttleReadIOPSDevice", Throttle::ReadOperations, &io.throttle_read_iops_device)?;
        self.throttles("throttleWriteIOPSDevice", Throttle::WriteOperations, &io.throttle_write_iops_device)
    }

    fn throttles(&mut self, name: &str, kind: Throttle, list: &[ThrottleDevice]) -> Result<(), PlanError> {
        for (index, wish) in list.iter().enumerate() {
            let pointer = format!("{AT}/blockIO/{name}/{index}");
            let device = block_device(wish.major, wish.minor, &pointer)?;
            self.add(Limit::IoThrottle(device, kind, wish.rate), pointer);
        }
        Ok(())
    }

    fn network(&mut self, network: &Network) {
        if let Some(class) = set(network.class_id) {
            self.add(Limit::NetClass(class), "/linux/resources/network/classID");
        }
        for (index, wish) in network.priorities.iter().enumerate() {
            let limit = Limit::NetPriority(wish.name.clone(), wish.priority);
            self.add(limit, format!("{AT}/network/priorities/{index}"));
        }
    }

    fn unified(&mut self, file: &str, value: &str) -> Result<(), PlanError> {
        let pointer = format!("{AT}/unified/{}", pointer_token(file));
        let formed =
            file.split_once('.').is_some_and(|(controller, name)| !controller.is_empty() && !name.is_empty());
        if !formed || file.contains(['/', '\0']) {
            return invalid(pointer, "a file name of the form CONTROLLER.PARAMETER is needed");
        }
        self.add(Limit::Unified(file.into(), value.into()), pointer);
        Ok(())
    }
}

/// A key as a token of a JSON pointer (RFC 6901, section 3).
fn pointer_token(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// A value that is set: not missing and not 0.
fn set<T: Default + PartialEq>(value: Option<T>) -> Option<T> {
    value.filter(|value| *value != T::default())
}

fn bytes(value: Option<i64>, name: &str) -> Result<Option<Bound>, PlanError> {
    match set(value) {
        None => Ok(None),
        Some(-1) => Ok(Some(Bound::Max)),
        Some(value) => match u64::try_from(value) {
            Ok(value) => Ok(Some(Bound::At(value))),
            Err(_) => invalid(
                format!("{AT}/memory/{name}"),
                format!("{value} is no number of bytes (-1 means no limit)"),
            ),
        },
    }
}

/// No limit below 0. A cgroup without any task could not hold the container, and systemd takes no 0 either, so
/// that 0 counts as 1.
fn pids(limit: i64) -> Bound {
    u64::try_from(limit).map_or(Bound::Max, |limit| Bound::At(limit.max(1)))
}

fn weight(value: Option<u16>, pointer: impl Fn() -> String) -> Result<Option<u16>, PlanError> {
    match set(value) {
        Some(weight) if !(10..=1000).contains(&weight) => {
            invalid(pointer(), format!("the weight {weight} is not between 10 and 1000"))
        }
        other => Ok(other),
    }
}

fn block_device(major: i64, minor: i64, pointer: &str) -> Result<BlockDevice, PlanError> {
    match (u32::try_from(major), u32::try_from(minor)) {
        (Ok(major), Ok(minor)) => Ok((major, minor)),
        _ => invalid(pointer, format!("{major}:{minor} is no device number")),
    }
}
