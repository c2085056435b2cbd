//! config-linux.md: control groups and their limits, on whichever version the machine has.

use super::{list, same};
use crate::bundle::Bundle;
use crate::case::{Case, unfit};
use crate::cgroup::{self, Version};
use crate::process;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

list![
    an_absolute_cgroups_path_is_below_the_mount_point,
    a_relative_cgroups_path_is_the_same_each_time,
    the_same_cgroups_path_is_the_same_place,
    a_container_without_cgroups_path_runs,
    missing_cgroups_are_made,
    a_frozen_cgroup_is_used_or_refused,
    cgroups_of_v1_are_not_given_away,
    a_cgroup_that_cannot_be_written_is_not_given_away,
    a_writable_cgroup_is_given_to_the_user,
    memory_limits_are_set,
    a_memory_limit_of_minus_one_is_no_limit,
    memory_reservation_and_swap_are_set,
    swappiness_is_set_or_refused,
    the_oom_killer_can_be_disabled_or_it_is_refused,
    cpu_shares_are_set,
    cpu_quota_and_period_are_set,
    cpu_burst_is_set,
    cpu_burst_above_the_quota_is_an_error,
    cpus_and_mems_are_set,
    cpu_idle_is_set,
    a_pids_limit_is_set,
    a_pids_limit_of_minus_one_is_no_limit,
    a_pids_limit_of_zero_is_a_limit,
    hugepage_limits_are_set,
    network_classes_and_priorities_are_set,
    throttling_is_set,
    block_io_weight_is_set,
    rdma_limits_are_set_or_refused,
    unified_keys_are_written,
    a_unified_key_that_does_not_exist_is_an_error,
    a_unified_key_of_a_missing_controller_is_an_error,
    limits_without_a_controller_are_an_error,
    limits_of_v1_are_converted_for_v2_or_refused,
];

/// The directory of a controller for a container that runs with these resources.
fn with_resources(
    case: &Case<'_>,
    controller: &str,
    pointer: &str,
    value: impl Into<Value>,
) -> Result<PathBuf> {
    if cgroup::version_of(controller).is_none() {
        return unfit(format!("no cgroup has {controller} here"));
    }
    let bundle = case.bundle()?.set(&format!("/linux/resources/{pointer}"), value).ask(&[&["pause"]]);
    let pid = case.launch(&bundle)?;
    cgroup::dir_of(pid, controller)
}

/// Demands the content of the first of these files that is there.
fn holds(dir: &std::path::Path, names: &[&str], wanted: &str) -> Result<()> {
    let found = cgroup::read(dir, names)?;
    ensure!(found == wanted, "{names:?} holds {found:?}, and must hold {wanted:?}");
    Ok(())
}

fn is_v2(controller: &str) -> bool {
    cgroup::version_of(controller) == Some(Version::V2)
}

/// Not with systemd, whose paths have another form.
fn needs_plain_paths(case: &Case<'_>) -> Result<()> {
    if case.subject().uses_systemd() { unfit("with systemd a path names a unit") } else { Ok(()) }
}

fn an_absolute_cgroups_path_is_below_the_mount_point(case: &Case<'_>) -> Result<()> {
    needs_plain_paths(case)?;
    let bundle = case.bundle()?.ask(&[&["pause"]]);
    let path = format!("/{}/inner", bundle.id);
    let bundle = bundle.set("/linux/cgroupsPath", path.clone());
    let pid = case.launch(&bundle)?;
    let own = fs::read_to_string("/proc/self/cgroup")?;
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let found: Vec<&str> = text.lines().filter_map(|line| line.splitn(3, ':').nth(2)).collect();
    ensure!(
        found.contains(&path.as_str()),
        "the cgroups are {found:?}, and must be {path} (this suite's: {own:?})"
    );
    // Hierarchies that the runtime does not use keep the process where it was, and no other place is possible.
    let outside: Vec<&str> = own.lines().filter_map(|line| line.splitn(3, ':').nth(2)).collect();
    let foreign: Vec<&&str> =
        found.iter().filter(|place| **place != path && !outside.contains(place)).collect();
    ensure!(foreign.is_empty(), "some cgroups are elsewhere: {foreign:?}");
    Ok(())
}

fn places(case: &Case<'_>, bundle: &Bundle) -> Result<Vec<String>> {
    let pid = case.launch(bundle)?;
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    case.kill(&bundle.id)?;
    process::wait_until("it to be stopped", || Ok(case.status(&bundle.id)? == "stopped"))?;
    case.delete(&bundle.id)?;
    Ok(text.lines().map(str::to_owned).collect())
}

fn a_relative_cgroups_path_is_the_same_each_time(case: &Case<'_>) -> Result<()> {
    needs_plain_paths(case)?;
    let bundle = case.bundle()?.ask(&[&["pause"]]);
    let path = format!("{}/relative", bundle.id);
    let bundle = bundle.set("/linux/cgroupsPath", path);
    let (first, second) = (places(case, &bundle)?, places(case, &bundle)?);
    ensure!(first == second, "first {first:?}, then {second:?}");
    Ok(())
}

fn the_same_cgroups_path_is_the_same_place(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?.ask(&[&["pause"]]);
    let (first, second) = (places(case, &bundle)?, places(case, &bundle)?);
    ensure!(first == second, "first {first:?}, then {second:?}");
    Ok(())
}

fn a_container_without_cgroups_path_runs(case: &Case<'_>) -> Result<()> {
    case.report_of(case.bundle()?.without("/linux/cgroupsPath")).map(drop)
}

fn missing_cgroups_are_made(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?.ask(&[&["pause"]]);
    ensure!(cgroup::find(&bundle.id).is_empty(), "the cgroup is there already");
    case.create(&bundle)?;
    ensure!(!cgroup::find(&bundle.id).is_empty(), "no cgroup bears the name of the container");
    Ok(())
}

/// Either the container runs all the same, or create is an error: it must not hang, nor say that it runs.
fn a_frozen_cgroup_is_used_or_refused(case: &Case<'_>) -> Result<()> {
    needs_plain_paths(case)?;
    let bundle = case.bundle()?.ask(&[&["pause"]]);
    let (dir, file, word) = match (cgroup::version_of("freezer"), cgroup::unified()) {
        (Some(Version::V1), _) => (PathBuf::from("/sys/fs/cgroup/freezer"), "freezer.state", "FROZEN"),
        (_, Some(unified)) => (unified, "cgroup.freeze", "1"),
        _ => return unfit("nothing can be frozen here"),
    };
    let dir = dir.join(&bundle.id);
    fs::create_dir(&dir)?;
    fs::write(dir.join(file), word)?;
    let outcome = case.try_create(&bundle)?;
    let thawed = if word == "1" { "0" } else { "THAWED" };
    if !outcome.succeeded() {
        fs::write(dir.join(file), thawed)?;
        return outcome.failure().map(drop);
    }
    let started = case.start(&bundle.id).and_then(|()| case.wait_for_output(&bundle, "paused"));
    // A runtime may have taken over the group, and thawed or replaced it.
    if dir.join(file).exists() {
        fs::write(dir.join(file), thawed)?;
    }
    started
}

fn cgroups_of_v1_are_not_given_away(case: &Case<'_>) -> Result<()> {
    if cgroup::is_pure_v2() {
        return unfit("there is no cgroup v1 here");
    }
    let pid = writable_cgroup(case)?;
    let groups =
        ["memory", "pids", "cpu"].into_iter().filter(|name| cgroup::version_of(name) == Some(Version::V1));
    for controller in groups {
        let dir = cgroup::dir_of(pid, controller)?;
        let owner = fs::metadata(&dir)?.uid();
        ensure!(owner == 0, "{} belongs to {owner}", dir.display());
    }
    Ok(())
}

/// A container with a cgroup namespace and a cgroup mount that it may write, whose user is 100,000 outside.
fn writable_cgroup(case: &Case<'_>) -> Result<i32> {
    let bundle = case.bundle()?.user_namespace(100_000).namespace("cgroup");
    bundle.own_rootfs(100_000)?;
    let bundle = bundle
        .mount("/sys", "sysfs", "sysfs", &["ro"])
        .mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "rw"])
        .ask(&[&["pause"]]);
    case.launch(&bundle)
}

fn a_cgroup_that_cannot_be_written_is_not_given_away(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?.user_namespace(100_000);
    bundle.own_rootfs(100_000)?;
    let bundle = bundle.ask(&[&["pause"]]);
    let pid = case.launch(&bundle)?;
    for dir in cgroup::find(&bundle.id) {
        let owner = fs::metadata(&dir)?.uid();
        ensure!(owner == 0, "{} of the process {pid} belongs to {owner}", dir.display());
    }
    Ok(())
}

/// The directory and the files that the kernel lists, and nothing else.
fn a_writable_cgroup_is_given_to_the_user(case: &Case<'_>) -> Result<()> {
    if !cgroup::is_pure_v2() {
        return unfit("only with cgroup v2 alone is this safe");
    }
    let pid = writable_cgroup(case)?;
    let dir = cgroup::unified_dir_of(pid)?;
    ensure!(fs::metadata(&dir)?.uid() == 100_000, "the directory belongs to {}", fs::metadata(&dir)?.uid());
    let list = fs::read_to_string("/sys/kernel/cgroup/delegate")
        .unwrap_or_else(|_| "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n".to_owned());
    for entry in fs::read_dir(&dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let wanted = if list.lines().any(|line| line == name) { 100_000 } else { 0 };
        let owner = entry.metadata()?.uid();
        ensure!(owner == wanted, "{name} belongs to {owner}, and must belong to {wanted}");
    }
    Ok(())
}

fn memory_limits_are_set(case: &Case<'_>) -> Result<()> {
    let dir = with_resources(case, "memory", "memory/limit", 134_217_728)?;
    holds(&dir, &["memory.max", "memory.limit_in_bytes"], "134217728")
}

fn a_memory_limit_of_minus_one_is_no_limit(case: &Case<'_>) -> Result<()> {
    let dir = with_resources(case, "memory", "memory/limit", -1)?;
    let found = cgroup::read(&dir, &["memory.max", "memory.limit_in_bytes"])?;
    let unlimited = found == "max" || found.parse::<u64>().is_ok_and(|bytes| bytes > 1 << 60);
    ensure!(unlimited, "the limit is {found}");
    Ok(())
}

/// `swap` counts memory and swap together, which v2 keeps apart.
fn memory_reservation_and_swap_are_set(case: &Case<'_>) -> Result<()> {
    let memory = json!({"limit": 134_217_728, "reservation": 67_108_864, "swap": 201_326_592});
    let dir = with_resources(case, "memory", "memory", memory)?;
    holds(&dir, &["memory.low", "memory.soft_limit_in_bytes"], "67108864")?;
    match cgroup::read(&dir, &["memory.swap.max", "memory.memsw.limit_in_bytes"]) {
        Ok(found) if is_v2("memory") => ensure!(found == "67108864", "memory.swap.max is {found}"),
        Ok(found) => ensure!(found == "201326592", "memory.memsw.limit_in_bytes is {found}"),
        // Kernels without swap accounting have neither file.
        Err(_) => {}
    }
    Ok(())
}

fn swappiness_is_set_or_refused(case: &Case<'_>) -> Result<()> {
    if is_v2("memory") {
        let bundle = case.bundle()?.set("/linux/resources/memory/swappiness", 30);
        return case.refuses(&bundle).map(drop);
    }
    let dir = with_resources(case, "memory", "memory/swappiness", 30)?;
    holds(&dir, &["memory.swappiness"], "30")
}

fn the_oom_killer_can_be_disabled_or_it_is_refused(case: &Case<'_>) -> Result<()> {
    if is_v2("memory") {
        let bundle = case.bundle()?.set("/linux/resources/memory/disableOOMKiller", true);
        return case.refuses(&bundle).map(drop);
    }
    let dir = with_resources(case, "memory", "memory/disableOOMKiller", true)?;
    let control = cgroup::read(&dir, &["memory.oom_control"])?;
    ensure!(control.lines().any(|line| line == "oom_kill_disable 1"), "memory.oom_control is {control:?}");
    Ok(())
}

fn cpu_shares_are_set(case: &Case<'_>) -> Result<()> {
    let dir = with_resources(case, "cpu", "cpu/shares", 512)?;
    if is_v2("cpu") {
        let weight: u64 = cgroup::read(&dir, &["cpu.weight"])?.parse()?;
        ensure!((10..100).contains(&weight), "cpu.weight is {weight}, and must be less than the default");
        return Ok(());
    }
    holds(&dir, &["cpu.shares"], "512")
}

fn cpu_quota_and_period_are_set(case: &Case<'_>) -> Result<()> {
    let dir = with_resources(case, "cpu", "cpu", json!({"quota": 40_000, "period": 80_000}))?;
    if is_v2("cpu") {
        return holds(&dir, &["cpu.max"], "40000 80000");
    }
    holds(&dir, &["cpu.cfs_quota_us"], "40000")?;
    holds(&dir, &["cpu.cfs_period_us"], "80000")
}

fn cpu_burst_is_set(case: &Case<'_>) -> Result<()> {
    let dir =
        with_resources(case, "cpu", "cpu", json!({"quota": 40_000, "period": 80_000, "burst": 20_000}))?;
    let file = if is_v2("cpu") { "cpu.max.burst" } else { "cpu.cfs_burst_us" };
    if !dir.join(file).exists() {
        return unfit("this kernel has no bursts");
    }
    holds(&dir, &[file], "20000")
}

fn cpu_burst_above_the_quota_is_an_error(case: &Case<'_>) -> Result<()> {
    if cgroup::version_of("cpu").is_none() {
        return unfit("no cgroup has cpu here");
    }
    let bundle = case
        .bundle()?
        .set("/linux/resources/cpu", json!({"quota": 10_000, "period": 80_000, "burst": 20_000}));
    case.refuses(&bundle).map(drop)
}

fn cpus_and_mems_are_set(case: &Case<'_>) -> Result<()> {
    let dir = with_resources(case, "cpuset", "cpu", json!({"cpus": "0", "mems": "0"}))?;
    holds(&dir, &["cpuset.cpus"], "0")?;
    holds(&dir, &["cpuset.mems"], "0")
}

fn cpu_idle_is_set(case: &Case<'_>) -> Result<()> {
    let dir = with_resources(case, "cpu", "cpu/idle", 1)?;
    if !dir.join("cpu.idle").exists() {
        return unfit("this kernel has no cpu.idle");
    }
    holds(&dir, &["cpu.idle"], "1")
}

fn a_pids_limit_is_set(case: &Case<'_>) -> Result<()> {
    let dir = with_resources(case, "pids", "pids/limit", 77)?;
    holds(&dir, &["pids.max"], "77")
}

fn a_pids_limit_of_minus_one_is_no_limit(case: &Case<'_>) -> Result<()> {
    let dir = with_resources(case, "pids", "pids/limit", -1)?;
    holds(&dir, &["pids.max"], "max")
}

/// The first process is there already, and can make no other.
fn a_pids_limit_of_zero_is_a_limit(case: &Case<'_>) -> Result<()> {
    if cgroup::version_of("pids").is_none() {
        return unfit("no cgroup has pids here");
    }
    let bundle = case.bundle()?.set("/linux/resources/pids/limit", 0);
    let answer = case.answer_of(bundle, &["children", "2"])?;
    same("the children that could be made", &answer["started"], 0)
}

/// A runtime that uses the controllers of v1 may leave those of the unified hierarchy beside it alone, if it says so.
fn unless_it_leaves_the_unified_hierarchy_alone(case: &Case<'_>, bundle: &Bundle) -> Result<()> {
    if cgroup::is_pure_v2() || case.try_create(bundle)?.succeeded() {
        return Ok(());
    }
    unfit("beside v1 the runtime refuses what needs a controller of the unified hierarchy")
}

fn hugepage_limits_are_set(case: &Case<'_>) -> Result<()> {
    let limits = json!([{"pageSize": "2MB", "limit": 4_194_304}]);
    if is_v2("hugetlb") {
        let bundle = case.bundle()?.set("/linux/resources/hugepageLimits", limits.clone());
        unless_it_leaves_the_unified_hierarchy_alone(case, &bundle)?;
    }
    let dir = with_resources(case, "hugetlb", "hugepageLimits", limits)?;
    // Reservations are what is limited where the kernel counts them.
    let reserved = ["hugetlb.2MB.rsvd.max", "hugetlb.2MB.rsvd.limit_in_bytes"];
    if reserved.iter().any(|name| dir.join(name).exists()) {
        return holds(&dir, &reserved, "4194304");
    }
    holds(&dir, &["hugetlb.2MB.max", "hugetlb.2MB.limit_in_bytes"], "4194304")
}

fn network_classes_and_priorities_are_set(case: &Case<'_>) -> Result<()> {
    if cgroup::version_of("net_cls").is_none() || cgroup::version_of("net_prio").is_none() {
        return unfit("net_cls and net_prio are not mounted here");
    }
    let network = json!({"classID": 1_048_577, "priorities": [{"name": "lo", "priority": 5}]});
    let bundle = case.bundle()?.set("/linux/resources/network", network).ask(&[&["pause"]]);
    let pid = case.launch(&bundle)?;
    holds(&cgroup::dir_of(pid, "net_cls")?, &["net_cls.classid"], "1048577")?;
    let map = cgroup::read(&cgroup::dir_of(pid, "net_prio")?, &["net_prio.ifpriomap"])?;
    ensure!(map.lines().any(|line| line == "lo 5"), "net_prio.ifpriomap is {map:?}");
    Ok(())
}

/// A block device of this machine, as its major and minor number.
fn block_device() -> Result<(u64, u64)> {
    let entries = fs::read_dir("/sys/block")?.flatten();
    let texts = entries.filter_map(|entry| fs::read_to_string(entry.path().join("dev")).ok());
    let found = texts.filter_map(|text| {
        let (major, minor) = text.trim().split_once(':')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    });
    match found.min() {
        Some(device) => Ok(device),
        None => unfit("there is no block device here"),
    }
}

fn throttling_is_set(case: &Case<'_>) -> Result<()> {
    let controller = if cgroup::version_of("blkio").is_some() { "blkio" } else { "io" };
    let (major, minor) = block_device()?;
    let rate = |rate: u64| json!([{"major": major, "minor": minor, "rate": rate}]);
    let io = json!({
        "throttleReadBpsDevice": rate(1_048_576), "throttleWriteBpsDevice": rate(2_097_152),
        "throttleReadIOPSDevice": rate(300), "throttleWriteIOPSDevice": rate(400),
    });
    let dir = with_resources(case, controller, "blockIO", io)?;
    if controller == "io" {
        let text = cgroup::read(&dir, &["io.max"])?;
        let wanted = format!("{major}:{minor} rbps=1048576 wbps=2097152 riops=300 wiops=400");
        ensure!(text.lines().any(|line| line == wanted), "io.max is {text:?}, and must have {wanted}");
        return Ok(());
    }
    let line = |rate: u64| format!("{major}:{minor} {rate}");
    holds(&dir, &["blkio.throttle.read_bps_device"], &line(1_048_576))?;
    holds(&dir, &["blkio.throttle.write_bps_device"], &line(2_097_152))?;
    holds(&dir, &["blkio.throttle.read_iops_device"], &line(300))?;
    holds(&dir, &["blkio.throttle.write_iops_device"], &line(400))
}

/// The weight needs the bfq scheduler, or iocost with v2.
fn block_io_weight_is_set(case: &Case<'_>) -> Result<()> {
    let controller = if cgroup::version_of("blkio").is_some() { "blkio" } else { "io" };
    let probe = with_resources(case, controller, "cpu/shares", 1024)?;
    let files = ["blkio.bfq.weight", "blkio.weight", "io.bfq.weight", "io.weight"];
    if !files.iter().any(|file| probe.join(file).exists()) {
        return unfit("this kernel has no weight for block devices");
    }
    let refused = case.bundle()?.set("/linux/resources/blockIO/weight", 300);
    if !case.try_create(&refused)?.succeeded() {
        return unfit("the runtime does not know the weight that this kernel has, and says so");
    }
    let dir = with_resources(case, controller, "blockIO/weight", 300)?;
    let found = cgroup::read(&dir, &files)?;
    let value: u64 = found.split_whitespace().next_back().unwrap_or_default().parse()?;
    ensure!(value != 100 && value != 500, "the weight is {found:?}, which is the default");
    Ok(())
}

fn rdma_limits_are_set_or_refused(case: &Case<'_>) -> Result<()> {
    let bundle =
        case.bundle()?.set("/linux/resources/rdma", json!({"mlx5_1": {"hcaHandles": 3, "hcaObjects": 1000}}));
    if cgroup::version_of("rdma").is_some()
        && fs::read_dir("/sys/class/infiniband").is_ok_and(|mut all| all.next().is_some())
    {
        return unfit("this machine has RDMA devices, whose names nobody can know");
    }
    // There is no such device, or no controller at all: nobody can limit it.
    case.refuses(&bundle).map(drop)
}

/// A file that the unified hierarchy of this machine has for every cgroup below its root.
fn unified_key() -> Result<(&'static str, &'static str)> {
    if cgroup::unified().is_none() {
        return unfit("the unified hierarchy is not mounted here");
    }
    if is_v2("hugetlb") && !cgroup::is_pure_v2() {
        return Ok(("hugetlb.2MB.max", "4194304"));
    }
    if is_v2("pids") {
        return Ok(("pids.max", "123"));
    }
    unfit("the unified hierarchy has no controller here")
}

fn unified_keys_are_written(case: &Case<'_>) -> Result<()> {
    let (key, value) = unified_key()?;
    let bundle = case.bundle()?.set("/linux/resources/unified", json!({key: value}));
    unless_it_leaves_the_unified_hierarchy_alone(case, &bundle)?;
    let bundle = case.bundle()?.set("/linux/resources/unified", json!({key: value})).ask(&[&["pause"]]);
    let pid = case.launch(&bundle)?;
    holds(&cgroup::unified_dir_of(pid)?, &[key], value)
}

fn a_unified_key_that_does_not_exist_is_an_error(case: &Case<'_>) -> Result<()> {
    let (key, _) = unified_key()?;
    let controller = key.split('.').next().unwrap_or_default();
    let bundle =
        case.bundle()?.set("/linux/resources/unified", json!({format!("{controller}.no-such-file"): "1"}));
    case.refuses(&bundle).map(drop)
}

fn a_unified_key_of_a_missing_controller_is_an_error(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?.set("/linux/resources/unified", json!({"nosuchcontroller.max": "1"}));
    case.refuses(&bundle).map(drop)
}

/// A limit that no controller of this machine can keep.
fn limits_without_a_controller_are_an_error(case: &Case<'_>) -> Result<()> {
    let candidates = [
        ("net_cls", "network", json!({"classID": 5})),
        ("hugetlb", "hugepageLimits", json!([{"pageSize": "2MB", "limit": 0}])),
    ];
    let Some((_, pointer, value)) =
        candidates.into_iter().find(|(name, _, _)| cgroup::version_of(name).is_none())
    else {
        return unfit("this machine has every controller");
    };
    case.refuses(&case.bundle()?.set(&format!("/linux/resources/{pointer}"), value)).map(drop)
}

fn limits_of_v1_are_converted_for_v2_or_refused(case: &Case<'_>) -> Result<()> {
    if !cgroup::is_pure_v2() {
        return unfit("cgroup v1 is in use here");
    }
    let dir = with_resources(case, "cpu", "cpu/shares", 2048)?;
    let weight: u64 = cgroup::read(&dir, &["cpu.weight"])?.parse()?;
    ensure!(weight > 50, "cpu.weight is {weight} for 2048 shares");
    let bundle = case.bundle()?.set("/linux/resources/network", json!({"classID": 5}));
    case.refuses(&bundle).context("net_cls has no equivalent in v2").map(drop)
}
