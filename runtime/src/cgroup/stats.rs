//! What a cgroup has used, in the shape of runc's `events --stats`, which clients parse.
//!
//! A file that the kernel does not have counts as nothing used: controllers and kernel versions differ in them.

use super::control::value_of;
use super::layout::Controller;
use super::manager::{Cgroup, Error, read};
use super::record::Directory;
use mydocker_sys::{self as sys, Errno, fs};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Everything about one cgroup and those below it.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[allow(missing_docs, reason = "each field is the statistics of the controller of its name")]
pub struct Stats {
    pub cpu: CpuStats,
    pub cpuset: CpusetStats,
    pub memory: MemoryStats,
    pub pids: PidsStats,
    pub blkio: BlkioStats,
    /// By page size, such as `2MB`.
    pub hugetlb: BTreeMap<String, HugetlbStats>,
}

/// CPU time.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct CpuStats {
    /// What was used.
    pub usage: CpuUsage,
    /// What a quota withheld.
    pub throttling: Throttling,
    /// How long tasks waited for a CPU (v2 only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Pressure>,
}

/// CPU time in nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct CpuUsage {
    /// All of it.
    #[serde(skip_serializing_if = "is_zero")]
    pub total: u64,
    /// By CPU (v1 only).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu: Vec<u64>,
    /// In the kernel, by CPU (v1 only).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu_kernel: Vec<u64>,
    /// In programs, by CPU (v1 only).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu_user: Vec<u64>,
    /// In the kernel.
    pub kernel: u64,
    /// In programs.
    pub user: u64,
}

/// What a quota withheld.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Throttling {
    /// Periods in which the cgroup ran.
    #[serde(skip_serializing_if = "is_zero")]
    pub periods: u64,
    /// Periods in which it used up its quota.
    #[serde(skip_serializing_if = "is_zero")]
    pub throttled_periods: u64,
    /// Nanoseconds that it was held back.
    #[serde(skip_serializing_if = "is_zero")]
    pub throttled_time: u64,
}

/// CPUs and memory nodes: on v1 what the files of the cgroup hold, on v2 what is in effect.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[allow(missing_docs, reason = "the names are those of v1's files")]
pub struct CpusetStats {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cpus: Vec<u16>,
    pub cpu_exclusive: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mems: Vec<u16>,
    pub mem_hardwall: u64,
    pub mem_exclusive: u64,
    pub memory_migrate: u64,
    pub memory_spread_page: u64,
    pub memory_spread_slab: u64,
    pub memory_pressure: u64,
    pub sched_load_balance: u64,
    pub sched_relax_domain_level: i64,
}

/// One kind of memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct MemoryEntry {
    /// The limit; `u64::MAX` on v2, and a number near `i64::MAX` on v1, for none.
    pub limit: u64,
    /// In use.
    #[serde(skip_serializing_if = "is_zero")]
    pub usage: u64,
    /// The most that was in use.
    #[serde(skip_serializing_if = "is_zero")]
    pub max: u64,
    /// How often the limit was hit (v1 only).
    pub failcnt: u64,
}

/// Memory.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct MemoryStats {
    /// Page cache in bytes.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache: u64,
    /// Memory.
    pub usage: MemoryEntry,
    /// Memory and swap together.
    pub swap: MemoryEntry,
    /// Kernel memory (v1 only).
    pub kernel: MemoryEntry,
    /// TCP buffers (v1 only).
    #[serde(rename = "kernelTCP")]
    pub kernel_tcp: MemoryEntry,
    /// The lines of `memory.stat`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub raw: BTreeMap<String, u64>,
    /// How long tasks waited for memory (v2 only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Pressure>,
}

/// Tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct PidsStats {
    /// How many there are.
    #[serde(skip_serializing_if = "is_zero")]
    pub current: u64,
    /// How many there may be; 0 for no limit.
    #[serde(skip_serializing_if = "is_zero")]
    pub limit: u64,
}

/// A number of one block device.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct BlkioEntry {
    #[serde(skip_serializing_if = "is_zero")]
    pub major: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub minor: u64,
    /// `Read`, `Write`, `Sync`, ...
    #[serde(skip_serializing_if = "String::is_empty")]
    pub op: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub value: u64,
}

/// Block I/O.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlkioStats {
    /// Bytes moved.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_service_bytes_recursive: Vec<BlkioEntry>,
    /// Operations done.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_serviced_recursive: Vec<BlkioEntry>,
    /// Operations that wait (v1 with BFQ, as those that follow).
    #[serde(rename = "ioQueueRecursive", skip_serializing_if = "Vec::is_empty")]
    pub io_queued_recursive: Vec<BlkioEntry>,
    /// Nanoseconds from the device's start to the end of an operation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_service_time_recursive: Vec<BlkioEntry>,
    /// Nanoseconds that operations waited in queues.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_wait_time_recursive: Vec<BlkioEntry>,
    /// Operations that became part of others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_merged_recursive: Vec<BlkioEntry>,
    /// Milliseconds that the device worked for the cgroup.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_time_recursive: Vec<BlkioEntry>,
    /// Sectors moved.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sectors_recursive: Vec<BlkioEntry>,
    /// How long tasks waited for block I/O (v2 only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Pressure>,
}

/// Huge pages of one size, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct HugetlbStats {
    /// In use or reserved.
    #[serde(skip_serializing_if = "is_zero")]
    pub usage: u64,
    /// The most that was (v1 only).
    #[serde(skip_serializing_if = "is_zero")]
    pub max: u64,
    /// How often the limit was hit.
    pub failcnt: u64,
}

/// Pressure stall information (Documentation/accounting/psi.rst).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[allow(missing_docs, reason = "the names are the kernel's")]
pub struct Pressure {
    pub some: PressureLine,
    pub full: PressureLine,
}

/// Shares of time in percent over 10, 60 and 300 seconds, and microseconds in total.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[allow(missing_docs, reason = "the names are the kernel's")]
pub struct PressureLine {
    pub avg10: f64,
    pub avg60: f64,
    pub avg300: f64,
    pub total: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// v1 counts user and system time in ticks, of which a second has 100 in every build of the kernel.
const NANOSECONDS_A_TICK: u64 = 10_000_000;

impl Cgroup {
    /// Reads what the cgroup has used.
    ///
    /// # Errors
    /// [`Error::Control`] for a file that is there but cannot be read.
    pub fn stats(&self) -> Result<Stats, Error> {
        self.read_stats().map_err(|source| Error::Control("read the statistics of", source))
    }

    fn read_stats(&self) -> sys::Result<Stats> {
        let unified = self.record().unified();
        let of = |controller: Controller| match self.record().v1(controller) {
            Some(directory) => (Some(directory), None),
            None => (None, unified),
        };
        let mut stats = Stats::default();
        match of(Controller::CpuAcct) {
            (Some(v1), _) => stats.cpu.usage = cpu_usage_v1(v1)?,
            (_, Some(v2)) => stats.cpu.usage = cpu_usage_unified(v2)?,
            _ => {}
        }
        match of(Controller::Cpu) {
            (Some(v1), _) => stats.cpu.throttling = throttling(v1, "throttled_time", 1)?,
            (_, Some(v2)) => {
                stats.cpu.throttling = throttling(v2, "throttled_usec", 1000)?;
                stats.cpu.psi = pressure(v2, "cpu.pressure")?;
            }
            _ => {}
        }
        match of(Controller::Cpuset) {
            (Some(v1), _) => stats.cpuset = cpuset_v1(v1)?,
            (_, Some(v2)) => {
                stats.cpuset.cpus = list(v2, "cpuset.cpus.effective")?;
                stats.cpuset.mems = list(v2, "cpuset.mems.effective")?;
            }
            _ => {}
        }
        match of(Controller::Memory) {
            (Some(v1), _) => stats.memory = memory_v1(v1)?,
            (_, Some(v2)) => stats.memory = memory_unified(v2)?,
            _ => {}
        }
        match of(Controller::BlkIo) {
            (Some(v1), _) => stats.blkio = blkio_v1(v1)?,
            (_, Some(v2)) => stats.blkio = io_unified(v2)?,
            _ => {}
        }
        if let Some(directory) = of(Controller::Pids).0.or(unified) {
            let limit = number(directory, "pids.max")?;
            stats.pids.limit = if limit == u64::MAX { 0 } else { limit };
            stats.pids.current = number(directory, "pids.current")?;
        }
        stats.hugetlb = hugetlb(of(Controller::HugeTlb))?;
        Ok(stats)
    }
}

/// The text of a file; none where the kernel has no such file, or has it switched off.
fn text(directory: &Directory, file: &str) -> sys::Result<Option<String>> {
    match read(&directory.file(file)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if matches!(error.errno(), Errno::ENOENT | Errno::ENODEV | Errno::EOPNOTSUPP) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The number in a file: `max` is the largest, and a missing file 0.
fn number(directory: &Directory, file: &str) -> sys::Result<u64> {
    let Some(text) = text(directory, file)? else { return Ok(0) };
    Ok(if text.trim() == "max" { u64::MAX } else { text.trim().parse().unwrap_or(0) })
}

fn keyed(directory: &Directory, file: &str, key: &str) -> sys::Result<u64> {
    Ok(text(directory, file)?.and_then(|text| value_of(&text, key)).unwrap_or(0))
}

fn numbers<'text>(fields: impl Iterator<Item = &'text str>) -> Vec<u64> {
    fields.filter_map(|field| field.parse().ok()).collect()
}

fn cpu_usage_v1(directory: &Directory) -> sys::Result<CpuUsage> {
    let ticks = text(directory, "cpuacct.stat")?.unwrap_or_default();
    let time = |key: &str| value_of(&ticks, key).unwrap_or(0).saturating_mul(NANOSECONDS_A_TICK);
    let percpu = text(directory, "cpuacct.usage_percpu")?.unwrap_or_default();
    let all = text(directory, "cpuacct.usage_all")?.unwrap_or_default();
    let column = |index: usize| numbers(all.lines().skip(1).filter_map(|line| line.split(' ').nth(index)));
    Ok(CpuUsage {
        total: number(directory, "cpuacct.usage")?,
        percpu: numbers(percpu.split_whitespace()),
        percpu_kernel: column(2),
        percpu_user: column(1),
        kernel: time("system"),
        user: time("user"),
    })
}

fn cpu_usage_unified(directory: &Directory) -> sys::Result<CpuUsage> {
    let stat = text(directory, "cpu.stat")?.unwrap_or_default();
    let time = |key: &str| value_of(&stat, key).unwrap_or(0).saturating_mul(1000);
    Ok(CpuUsage {
        total: time("usage_usec"),
        kernel: time("system_usec"),
        user: time("user_usec"),
        ..CpuUsage::default()
    })
}

fn throttling(directory: &Directory, time: &str, nanoseconds: u64) -> sys::Result<Throttling> {
    let stat = text(directory, "cpu.stat")?.unwrap_or_default();
    let value = |key: &str| value_of(&stat, key).unwrap_or(0);
    Ok(Throttling {
        periods: value("nr_periods"),
        throttled_periods: value("nr_throttled"),
        throttled_time: value(time).saturating_mul(nanoseconds),
    })
}

/// A file with a list such as `0-2,7`.
fn list(directory: &Directory, file: &str) -> sys::Result<Vec<u16>> {
    let text = text(directory, file)?.unwrap_or_default();
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse::<u16>().ok()?..=last.parse().ok()?)
    };
    Ok(text.trim().split(',').filter_map(range).flatten().collect())
}

fn cpuset_v1(directory: &Directory) -> sys::Result<CpusetStats> {
    let number = |name: &str| number(directory, &format!("cpuset.{name}"));
    let level = text(directory, "cpuset.sched_relax_domain_level")?.unwrap_or_default();
    Ok(CpusetStats {
        cpus: list(directory, "cpuset.cpus")?,
        cpu_exclusive: number("cpu_exclusive")?,
        mems: list(directory, "cpuset.mems")?,
        mem_hardwall: number("mem_hardwall")?,
        mem_exclusive: number("mem_exclusive")?,
        memory_migrate: number("memory_migrate")?,
        memory_spread_page: number("memory_spread_page")?,
        memory_spread_slab: number("memory_spread_slab")?,
        memory_pressure: number("memory_pressure")?,
        sched_load_balance: number("sched_load_balance")?,
        sched_relax_domain_level: level.trim().parse().unwrap_or(0),
    })
}

fn memory_raw(directory: &Directory) -> sys::Result<BTreeMap<String, u64>> {
    let stat = text(directory, "memory.stat")?.unwrap_or_default();
    let line = |line: &str| {
        let (key, value) = line.split_once(' ')?;
        Some((key.to_owned(), value.trim().parse().ok()?))
    };
    Ok(stat.lines().filter_map(line).collect())
}

fn memory_v1(directory: &Directory) -> sys::Result<MemoryStats> {
    let raw = memory_raw(directory)?;
    let entry = |name: &str| {
        let number = |what: &str| number(directory, &format!("memory{name}.{what}"));
        Ok::<_, sys::Error>(MemoryEntry {
            limit: number("limit_in_bytes")?,
            usage: number("usage_in_bytes")?,
            max: number("max_usage_in_bytes")?,
            failcnt: number("failcnt")?,
        })
    };
    Ok(MemoryStats {
        cache: raw.get("cache").copied().unwrap_or(0),
        usage: entry("")?,
        swap: entry(".memsw")?,
        kernel: entry(".kmem")?,
        kernel_tcp: entry(".kmem.tcp")?,
        raw,
        psi: None,
    })
}

fn memory_unified(directory: &Directory) -> sys::Result<MemoryStats> {
    let raw = memory_raw(directory)?;
    let usage = MemoryEntry {
        limit: number(directory, "memory.max")?,
        usage: number(directory, "memory.current")?,
        max: number(directory, "memory.peak")?,
        failcnt: 0,
    };
    // v1, whose shape this is, counts memory and swap together; their common peak is known to nobody.
    let swap = MemoryEntry {
        limit: number(directory, "memory.swap.max")?.saturating_add(usage.limit),
        usage: number(directory, "memory.swap.current")?.saturating_add(usage.usage),
        ..MemoryEntry::default()
    };
    Ok(MemoryStats {
        cache: raw.get("file").copied().unwrap_or(0),
        usage,
        swap,
        raw,
        psi: pressure(directory, "memory.pressure")?,
        ..MemoryStats::default()
    })
}

/// The numbers of BFQ where it schedules, else those of the throttling layer.
fn blkio_v1(directory: &Directory) -> sys::Result<BlkioStats> {
    let first = |what: &str| {
        for prefix in ["blkio.bfq", "blkio.throttle"] {
            let found = text(directory, &format!("{prefix}.{what}_recursive"))?.unwrap_or_default();
            let entries: Vec<BlkioEntry> = found.lines().filter_map(blkio_line).collect();
            if !entries.is_empty() {
                return Ok(entries);
            }
        }
        Ok::<_, sys::Error>(Vec::new())
    };
    Ok(BlkioStats {
        io_service_bytes_recursive: first("io_service_bytes")?,
        io_serviced_recursive: first("io_serviced")?,
        io_queued_recursive: first("io_queued")?,
        io_service_time_recursive: first("io_service_time")?,
        io_wait_time_recursive: first("io_wait_time")?,
        io_merged_recursive: first("io_merged")?,
        io_time_recursive: first("time")?,
        sectors_recursive: first("sectors")?,
        psi: None,
    })
}

/// A line `8:0 Read 4096`, or `8:0 4096` where nothing is told apart; the sum over all devices has no number in front
/// and is left out.
fn blkio_line(line: &str) -> Option<BlkioEntry> {
    let mut fields = line.split(' ');
    let (major, minor) = fields.next()?.split_once(':')?;
    let (op, value) = match (fields.next()?, fields.next()) {
        (op, Some(value)) => (op, value),
        (value, None) => ("", value),
    };
    Some(BlkioEntry {
        major: major.parse().ok()?,
        minor: minor.parse().ok()?,
        op: op.into(),
        value: value.parse().ok()?,
    })
}

fn io_unified(directory: &Directory) -> sys::Result<BlkioStats> {
    let stat = text(directory, "io.stat")?.unwrap_or_default();
    let entries = |read: &str, write: &str| {
        let mut entries = Vec::new();
        for line in stat.lines() {
            let mut fields = line.split(' ');
            let device = fields.next().unwrap_or_default();
            for (key, value) in fields.filter_map(|field| field.split_once('=')) {
                let op = if key == read {
                    "Read"
                } else if key == write {
                    "Write"
                } else {
                    continue;
                };
                entries.extend(blkio_line(&format!("{device} {op} {value}")));
            }
        }
        entries
    };
    Ok(BlkioStats {
        io_service_bytes_recursive: entries("rbytes", "wbytes"),
        io_serviced_recursive: entries("rios", "wios"),
        psi: pressure(directory, "io.pressure")?,
        ..BlkioStats::default()
    })
}

fn hugetlb(
    (v1, unified): (Option<&Directory>, Option<&Directory>),
) -> sys::Result<BTreeMap<String, HugetlbStats>> {
    let mut all = BTreeMap::new();
    let sizes =
        match fs::open(Path::new("/sys/kernel/mm/hugepages"), fs::OFlag::O_RDONLY | fs::OFlag::O_DIRECTORY) {
            Ok(directory) => fs::subdirectories(&directory)?,
            Err(error) if error.errno() == Errno::ENOENT => return Ok(all),
            Err(error) => return Err(error),
        };
    for size in sizes.iter().filter_map(|name| page_size(name.to_str()?)) {
        let name = format!("hugetlb.{size}");
        let stats = match (v1, unified) {
            (Some(directory), _) => HugetlbStats {
                usage: number(directory, &format!("{name}.rsvd.usage_in_bytes"))?,
                max: number(directory, &format!("{name}.rsvd.max_usage_in_bytes"))?,
                failcnt: number(directory, &format!("{name}.rsvd.failcnt"))?,
            },
            (None, Some(directory)) if directory.file(&format!("{name}.current")).exists() => HugetlbStats {
                usage: number(directory, &format!("{name}.rsvd.current"))?,
                max: 0,
                failcnt: keyed(directory, &format!("{name}.events"), "max")?,
            },
            _ => continue,
        };
        all.insert(size, stats);
    }
    Ok(all)
}

/// `hugepages-2048kB` as the control files spell it: `2MB`.
fn page_size(name: &str) -> Option<String> {
    let kilobytes: u64 = name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
    Some(match kilobytes {
        size if size >= 1 << 20 => format!("{}GB", size >> 20),
        size if size >= 1 << 10 => format!("{}MB", size >> 10),
        size => format!("{size}KB"),
    })
}

fn pressure(directory: &Directory, file: &str) -> sys::Result<Option<Pressure>> {
    Ok(text(directory, file)?.map(|text| {
        let line = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        Pressure { some: pressure_line(line("some ")), full: pressure_line(line("full ")) }
    }))
}

fn pressure_line(line: &str) -> PressureLine {
    let value = |key: &str| line.split(' ').find_map(|field| field.strip_prefix(key)?.strip_prefix('='));
    let average = |key: &str| value(key).and_then(|value| value.parse().ok()).unwrap_or(0.0);
    PressureLine {
        avg10: average("avg10"),
        avg60: average("avg60"),
        avg300: average("avg300"),
        total: value("total").and_then(|value| value.parse().ok()).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::manager::tests::{end, member, placed, soon, unique};
    use super::super::{HierarchyKind, Lowered};
    use super::*;

    #[test]
    fn page_sizes_are_spelled_as_the_control_files_do() {
        let sizes = ["hugepages-64kB", "hugepages-2048kB", "hugepages-1048576kB", "other"].map(page_size);
        assert_eq!(sizes, [Some("64KB".into()), Some("2MB".into()), Some("1GB".into()), None]);
    }

    #[test]
    fn lists_of_cpus_are_told_one_by_one() {
        let (_place, directory) = files(&[("cpuset.cpus", "0-2,7\n"), ("cpuset.mems", "\n")]);
        assert_eq!(list(&directory, "cpuset.cpus").unwrap(), [0, 1, 2, 7]);
        assert!(list(&directory, "cpuset.mems").unwrap().is_empty());
        assert_eq!(blkio_line("8:0 77").map(|entry| (entry.op, entry.value)), Some((String::new(), 77)));
    }

    #[test]
    fn pressure_is_read_by_name() {
        let line = pressure_line("avg10=1.50 avg60=0.00 avg300=2.25 total=1234");
        assert_eq!(line, PressureLine { avg10: 1.5, avg60: 0.0, avg300: 2.25, total: 1234 });
    }

    /// A directory with files like those of a cgroup v2.
    fn files(files: &[(&str, &str)]) -> (tempfile::TempDir, Directory) {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("c")).unwrap();
        files
            .iter()
            .for_each(|(name, text)| std::fs::write(place.path().join("c").join(name), text).unwrap());
        let mount_point = place.path().to_str().unwrap().to_owned();
        let hierarchy = HierarchyKind::Unified;
        (place, Directory { hierarchy, mount_point, path: "c".into(), made: 0, inode: None })
    }

    #[test]
    fn v2_s_files_are_told_in_v1_s_shape() {
        let (_place, directory) = files(&[
            ("memory.current", "1000\n"),
            ("memory.max", "max\n"),
            ("memory.swap.current", "24\n"),
            ("memory.swap.max", "500\n"),
            ("memory.stat", "anon 5\nfile 7\n"),
            ("cpu.stat", "usage_usec 30\nuser_usec 20\nsystem_usec 10\nthrottled_usec 4\n"),
            ("io.stat", "8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n"),
        ]);
        let memory = memory_unified(&directory).unwrap();
        assert_eq!((memory.usage.usage, memory.usage.limit, memory.cache), (1000, u64::MAX, 7));
        assert_eq!((memory.swap.usage, memory.swap.limit), (1024, u64::MAX));
        assert_eq!(cpu_usage_unified(&directory).unwrap().total, 30_000);
        assert_eq!(throttling(&directory, "throttled_usec", 1000).unwrap().throttled_time, 4000);
        let io = io_unified(&directory).unwrap().io_serviced_recursive;
        let entry = |op: &str, value| BlkioEntry { major: 8, minor: 16, op: op.into(), value };
        assert_eq!(io, [entry("Read", 3), entry("Write", 4)]);
    }

    #[test]
    fn privileged_a_running_process_shows_in_the_statistics() {
        let cgroup = Cgroup::create(placed(&unique("stats")), &Lowered::default()).unwrap();
        let (_, pidfd) = member(&cgroup);
        let stats = cgroup.stats().unwrap();
        assert_eq!(stats.pids, PidsStats { current: 1, limit: 0 });
        assert!(!stats.memory.raw.is_empty() && stats.memory.usage.limit > 0, "{stats:?}");
        let json = serde_json::to_value(&stats).unwrap();
        assert_eq!(json["pids"]["current"], 1);
        assert!(json["cpu"]["usage"]["kernel"].is_u64());
        end(&pidfd);
        cgroup.remove(soon()).unwrap();
    }
}
