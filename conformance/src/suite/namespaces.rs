//! config-linux.md: namespaces, user namespace mappings, clock offsets and network devices.

use super::{has, list, same};
use crate::bundle::Bundle;
use crate::case::{Case, unfit};
use crate::process;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

list![
    a_new_pid_namespace,
    a_new_network_namespace,
    a_new_mount_namespace,
    a_new_ipc_namespace,
    a_new_uts_namespace,
    a_new_user_namespace,
    a_new_cgroup_namespace,
    a_new_time_namespace,
    namespaces_are_joined_by_path,
    a_path_to_a_namespace_of_another_type_is_refused,
    a_path_to_no_namespace_is_refused,
    a_relative_namespace_path_is_refused,
    namespaces_that_are_not_listed_are_inherited,
    a_namespace_that_is_listed_twice_is_refused,
    ids_are_mapped_as_given,
    the_owner_of_the_root_is_left_alone,
    clock_offsets_are_set,
    a_network_device_is_moved,
    a_network_device_gets_its_new_name,
    a_network_device_keeps_its_addresses_and_is_up,
    a_network_device_whose_name_is_taken_is_refused,
    a_network_device_is_named_by_a_template,
    a_network_device_that_is_missing_is_refused,
    a_network_device_is_left_in_its_namespace,
];

/// Demands that the container's namespace `link` is not that of this suite.
fn is_new(case: &Case<'_>, bundle: Bundle, link: &str) -> Result<Value> {
    let report = case.report_of(bundle)?;
    let own = process::own_namespaces()?;
    let found = &report["namespaces"][link];
    ensure!(
        found.is_string() && *found != json!(own.get(link)),
        "the {link} namespace is {found}, as outside"
    );
    Ok(report)
}

fn a_new_pid_namespace(case: &Case<'_>) -> Result<()> {
    let report = is_new(case, case.bundle()?.namespace("pid"), "pid")?;
    same("the pid inside", &report["pid"], 1)
}

fn a_new_network_namespace(case: &Case<'_>) -> Result<()> {
    let report = is_new(case, case.bundle()?.namespace("network"), "net")?;
    let names = report["interfaces"].as_array().into_iter().flatten().filter_map(Value::as_str);
    // Kernels with tunnel modules put their fall-back devices into each new namespace.
    let foreign: Vec<&str> =
        names.filter(|name| name.starts_with("eth") || name.starts_with("veth")).collect();
    ensure!(foreign.is_empty(), "interfaces from outside: {foreign:?}");
    Ok(())
}

fn a_new_mount_namespace(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?.mount("/mnt", "tmpfs", "only-inside", &[]);
    is_new(case, bundle, "mnt")?;
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    ensure!(!table.contains("only-inside"), "a mount of the container shows outside");
    Ok(())
}

fn a_new_ipc_namespace(case: &Case<'_>) -> Result<()> {
    is_new(case, case.bundle()?.namespace("ipc"), "ipc").map(drop)
}

fn a_new_uts_namespace(case: &Case<'_>) -> Result<()> {
    let before = fs::read_to_string("/proc/sys/kernel/hostname")?;
    is_new(case, case.bundle()?.namespace("uts").set("/hostname", "only-inside"), "uts")?;
    ensure!(fs::read_to_string("/proc/sys/kernel/hostname")? == before, "the host was renamed");
    Ok(())
}

fn a_new_user_namespace(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?.user_namespace(100_000);
    bundle.own_rootfs(100_000)?;
    let report = is_new(case, bundle, "user")?;
    same("the uid inside", &report["uid"], 0)
}

fn a_new_cgroup_namespace(case: &Case<'_>) -> Result<()> {
    let report = is_new(case, case.bundle()?.namespace("cgroup"), "cgroup")?;
    let lines = report["cgroup"].as_str().unwrap_or_default().to_owned();
    ensure!(
        lines.lines().all(|line| line.ends_with(":/")),
        "the container sees cgroups above its own: {lines:?}"
    );
    Ok(())
}

fn a_new_time_namespace(case: &Case<'_>) -> Result<()> {
    if !Path::new("/proc/self/ns/time").exists() {
        return unfit("this kernel has no time namespaces");
    }
    is_new(case, case.bundle()?.namespace("time"), "time").map(drop)
}

/// One container makes them, and another one joins them.
fn namespaces_are_joined_by_path(case: &Case<'_>) -> Result<()> {
    let first = case.bundle()?.ask(&[&["pause"]]);
    let pid = case.launch(&first)?;
    let theirs = process::namespaces(&pid.to_string())?;
    let mut second = case.bundle()?;
    for (kind, link) in [("pid", "pid"), ("network", "net"), ("ipc", "ipc"), ("uts", "uts")] {
        second = second.join(kind, &format!("/proc/{pid}/ns/{link}"));
    }
    let report = case.report_of(second)?;
    for link in ["pid", "net", "ipc", "uts"] {
        same(&format!("the {link} namespace"), &report["namespaces"][link], json!(theirs.get(link)))?;
    }
    Ok(())
}

fn a_path_to_a_namespace_of_another_type_is_refused(case: &Case<'_>) -> Result<()> {
    for (kind, link) in [("network", "ipc"), ("ipc", "uts"), ("uts", "pid")] {
        let bundle = case.bundle()?.join(kind, &format!("/proc/{}/ns/{link}", std::process::id()));
        case.refuses(&bundle).with_context(|| format!("{link} as {kind}"))?;
    }
    Ok(())
}

fn a_path_to_no_namespace_is_refused(case: &Case<'_>) -> Result<()> {
    for path in ["/proc/self/status", "/no/such/namespace"] {
        case.refuses(&case.bundle()?.join("network", path)).with_context(|| path.to_owned())?;
    }
    Ok(())
}

fn a_relative_namespace_path_is_refused(case: &Case<'_>) -> Result<()> {
    case.refuses(&case.bundle()?.join("ipc", "proc/self/ns/ipc")).map(drop)
}

fn namespaces_that_are_not_listed_are_inherited(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?.set("/linux/namespaces", json!([{"type": "mount"}]));
    let report = case.report_of(bundle)?;
    let own = process::own_namespaces()?;
    for link in ["pid", "net", "ipc", "uts", "user", "cgroup", "time"] {
        same(&format!("the {link} namespace"), &report["namespaces"][link], json!(own.get(link)))?;
    }
    Ok(())
}

fn a_namespace_that_is_listed_twice_is_refused(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?.set("/linux/namespaces/-", json!({"type": "ipc"}));
    case.refuses(&bundle).map(drop)
}

fn ids_are_mapped_as_given(case: &Case<'_>) -> Result<()> {
    let map = |host: u32| json!([{"containerID": 0, "hostID": host, "size": 10}, {"containerID": 10, "hostID": 300_000, "size": 1000}]);
    let bundle = case
        .bundle()?
        .namespace("user")
        .set("/linux/uidMappings", map(100_000))
        .set("/linux/gidMappings", map(200_000));
    bundle.own_rootfs(100_000)?;
    fs::set_permissions(bundle.path("/"), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let questions: &[&[&str]] = &[&["read", "/proc/self/uid_map"], &["read", "/proc/self/gid_map"]];
    // A devpts whose gid is 5 needs that id in the container, which it has.
    let answers = case.answers_of(bundle, questions)?;
    let words = |answer: &Value| {
        let text = answer["text"].as_str().unwrap_or_default().to_owned();
        text.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    ensure!(words(&answers[0]) == ["0", "100000", "10", "10", "300000", "1000"], "the map is {}", answers[0]);
    ensure!(words(&answers[1]) == ["0", "200000", "10", "10", "300000", "1000"], "the map is {}", answers[1]);
    Ok(())
}

fn the_owner_of_the_root_is_left_alone(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?.user_namespace(100_000).ask(&[&["report"]]);
    bundle.own_rootfs(100_000)?;
    fs::write(bundle.path("/data/of-the-host"), "")?;
    let path = bundle.path("/data/of-the-host");
    case.run(&bundle)?;
    let owner = fs::metadata(path)?.uid();
    ensure!(owner == 0, "a file of the root belongs to {owner} now, and belonged to 0");
    Ok(())
}

fn clock_offsets_are_set(case: &Case<'_>) -> Result<()> {
    if !Path::new("/proc/self/timens_offsets").exists() {
        return unfit("this kernel has no time namespaces");
    }
    let offsets = json!({"monotonic": {"secs": 1000, "nanosecs": 500}, "boottime": {"secs": 7_000_000}});
    let bundle = case.bundle()?.namespace("time").set("/linux/timeOffsets", offsets);
    let report = case.report_of(bundle)?;
    let text = report["clock_offsets"].as_str().unwrap_or_default().to_owned();
    let fields: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    let wanted = [["monotonic", "1000", "500"], ["boottime", "7000000", "0"]];
    ensure!(fields == wanted, "the offsets are {text:?}");
    Ok(())
}

/// A device of the host, made for one test. Without `ip` of iproute2, or a kernel with dummy devices, there is none.
struct Device(String);

impl Device {
    fn make(suffix: &str) -> Result<Self> {
        // 15 bytes at most, and unlike those of other runs.
        let name = format!("cf{:x}{suffix}", std::process::id());
        match Command::new("ip").args(["link", "add", &name, "type", "dummy"]).output() {
            Ok(output) if output.status.success() => Ok(Self(name)),
            Ok(output) => {
                unfit(format!("no dummy device: {}", String::from_utf8_lossy(&output.stderr).trim()))
            }
            Err(error) => unfit(format!("no `ip`: {error}")),
        }
    }

    fn address(&self, address: &str) -> Result<()> {
        let status = Command::new("ip").args(["addr", "add", address, "dev", &self.0]).status()?;
        ensure!(status.success(), "ip addr add: {status}");
        Ok(())
    }
}

impl Drop for Device {
    /// A device that was moved went away with its namespace.
    fn drop(&mut self) {
        drop(Command::new("ip").args(["link", "del", &self.0]).stderr(std::process::Stdio::null()).status());
    }
}

fn a_network_device_is_moved(case: &Case<'_>) -> Result<()> {
    let device = Device::make("a")?;
    let bundle = case.bundle()?.set(&format!("/linux/netDevices/{}", device.0), json!({}));
    let report = case.report_of(bundle)?;
    ensure!(has(&report["interfaces"], &device.0), "the interfaces are {}", report["interfaces"]);
    Ok(())
}

fn a_network_device_gets_its_new_name(case: &Case<'_>) -> Result<()> {
    let device = Device::make("b")?;
    let bundle = case.bundle()?.set(&format!("/linux/netDevices/{}", device.0), json!({"name": "inside0"}));
    let report = case.report_of(bundle)?;
    ensure!(has(&report["interfaces"], "inside0"), "the interfaces are {}", report["interfaces"]);
    Ok(())
}

fn a_network_device_keeps_its_addresses_and_is_up(case: &Case<'_>) -> Result<()> {
    let device = Device::make("c")?;
    device.address("10.99.7.1/24")?;
    let bundle = case.bundle()?.set(&format!("/linux/netDevices/{}", device.0), json!({"name": "inside0"}));
    let bundle = bundle.ask(&[&["pause"]]);
    let pid = case.launch(&bundle)?;
    let output = Command::new("nsenter")
        .args(["--target", &pid.to_string(), "--net", "ip", "-o", "addr", "show", "dev", "inside0", "up"])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(text.contains("10.99.7.1/24"), "the device inside is {text:?}");
    Ok(())
}

fn a_network_device_whose_name_is_taken_is_refused(case: &Case<'_>) -> Result<()> {
    let device = Device::make("d")?;
    let bundle = case.bundle()?.set(&format!("/linux/netDevices/{}", device.0), json!({"name": "lo"}));
    case.refuses(&bundle).map(drop)
}

fn a_network_device_is_named_by_a_template(case: &Case<'_>) -> Result<()> {
    let (one, two) = (Device::make("e")?, Device::make("f")?);
    let devices = json!({one.0.clone(): {"name": "in%d"}, two.0.clone(): {"name": "in%d"}});
    let report = case.report_of(case.bundle()?.set("/linux/netDevices", devices))?;
    let names = &report["interfaces"];
    ensure!(has(names, "in0") && has(names, "in1"), "the interfaces are {names}");
    Ok(())
}

fn a_network_device_that_is_missing_is_refused(case: &Case<'_>) -> Result<()> {
    case.refuses(&case.bundle()?.set("/linux/netDevices", json!({"no-such-dev": {}}))).map(drop)
}

/// A namespace that outlives the container keeps the device.
fn a_network_device_is_left_in_its_namespace(case: &Case<'_>) -> Result<()> {
    let device = Device::make("g")?;
    let keeper = case.bundle()?.ask(&[&["pause"]]);
    let pid = case.launch(&keeper)?;
    let path = format!("/proc/{pid}/ns/net");
    let bundle =
        case.bundle()?.join("network", &path).set(&format!("/linux/netDevices/{}", device.0), json!({}));
    case.report_of(bundle)?;
    let table = fs::read_to_string(format!("/proc/{pid}/net/dev"))?;
    ensure!(table.contains(&device.0), "the device left the namespace with the container");
    Ok(())
}
