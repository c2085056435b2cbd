//! features.md and features-linux.md: what a runtime says of itself, and whether it keeps its word.

use super::{list, same};
use crate::case::{Case, unfit};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

list![
    features_have_the_form_of_their_schema,
    features_say_the_same_each_time,
    the_versions_of_the_features_are_accepted,
    the_hooks_of_the_features_are_accepted,
    the_mount_options_of_the_features_are_recognized,
    the_mount_options_of_the_features_are_no_file_systems,
    the_namespaces_of_the_features_are_recognized,
    the_capabilities_of_the_features_are_recognized,
    the_seccomp_names_of_the_features_are_recognized,
    the_memory_policies_of_the_features_are_recognized,
    idmap_of_the_features_tells_the_truth,
];

/// The capabilities of Linux 5.9 and later, in the order of their numbers.
const CAPABILITIES: &str = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE \
    NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE \
    SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL \
    SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE";

/// What `features` prints. The structure is a MAY, so that a runtime without it is not judged by it.
fn features(case: &Case<'_>) -> Result<Value> {
    let outcome = case.call(["features"])?;
    if !outcome.succeeded() {
        return unfit("the runtime has no features structure, as it may");
    }
    serde_json::from_str(&outcome.stdout).with_context(|| format!("`features` wrote {:?}", outcome.stdout))
}

fn words<'a>(features: &'a Value, pointer: &str) -> Vec<&'a str> {
    features
        .pointer(pointer)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// The type of each property; one that is absent or null is left out.
fn features_have_the_form_of_their_schema(case: &Case<'_>) -> Result<()> {
    let features = features(case)?;
    for key in ["/ociVersionMin", "/ociVersionMax"] {
        ensure!(features.pointer(key).is_some_and(Value::is_string), "{key} must be a string");
    }
    let lists = "/hooks /mountOptions /linux/namespaces /linux/capabilities /linux/seccomp/actions \
        /linux/seccomp/operators /linux/seccomp/archs /linux/seccomp/knownFlags /linux/seccomp/supportedFlags \
        /linux/memoryPolicy/modes /linux/memoryPolicy/flags /potentiallyUnsafeConfigAnnotations";
    for pointer in lists.split_whitespace() {
        let found = features.pointer(pointer).unwrap_or(&Value::Null);
        let strings = found.as_array().is_none_or(|list| list.iter().all(Value::is_string));
        ensure!(
            (found.is_null() || found.is_array()) && strings,
            "{pointer} is {found}, and must list strings"
        );
    }
    let bools = "/linux/cgroup/v1 /linux/cgroup/v2 /linux/cgroup/systemd /linux/cgroup/systemdUser /linux/cgroup/rdma \
        /linux/seccomp/enabled /linux/apparmor/enabled /linux/selinux/enabled /linux/intelRdt/enabled \
        /linux/intelRdt/schemata /linux/intelRdt/monitoring /linux/mountExtensions/idmap/enabled \
        /linux/netDevices/enabled";
    for pointer in bools.split_whitespace() {
        let found = features.pointer(pointer).unwrap_or(&Value::Null);
        ensure!(found.is_null() || found.is_boolean(), "{pointer} is {found}, and must be a boolean");
    }
    let annotations = features["annotations"].as_object();
    ensure!(
        annotations.is_none_or(|map| map.values().all(Value::is_string)),
        "annotations must map to strings"
    );
    let known = [
        "ociVersionMin",
        "ociVersionMax",
        "hooks",
        "mountOptions",
        "linux",
        "annotations",
        "potentiallyUnsafeConfigAnnotations",
    ];
    let foreign: Vec<&String> = features
        .as_object()
        .into_iter()
        .flat_map(|all| all.keys())
        .filter(|key| !known.contains(&key.as_str()))
        .collect();
    ensure!(foreign.is_empty(), "the specification has no {foreign:?}");
    Ok(())
}

/// The lists are sets: their order says nothing.
fn features_say_the_same_each_time(case: &Case<'_>) -> Result<()> {
    let [mut first, mut second] = [features(case)?, features(case)?];
    sort(&mut first);
    sort(&mut second);
    ensure!(first == second, "two calls differ");
    Ok(())
}

fn sort(value: &mut Value) {
    match value {
        Value::Array(items) => items.sort_by_key(Value::to_string),
        Value::Object(fields) => fields.values_mut().for_each(sort),
        _ => {}
    }
}

fn version(text: &str) -> Result<(u32, u32, u32)> {
    let plain = text.split(['-', '+']).next().unwrap_or_default();
    let parts: Vec<u32> = plain.split('.').map(str::parse).collect::<Result<_, _>>()?;
    match parts.as_slice() {
        [major, minor, patch] => Ok((*major, *minor, *patch)),
        _ => Err(anyhow::anyhow!("{text:?} is no version")),
    }
}

fn the_versions_of_the_features_are_accepted(case: &Case<'_>) -> Result<()> {
    let features = features(case)?;
    let text = |key: &str| features[key].as_str().unwrap_or_default().to_owned();
    let (low, high) = (text("ociVersionMin"), text("ociVersionMax"));
    ensure!(version(&low)? <= version(&high)?, "the least version {low} is above the greatest {high}");
    for version in [low, high] {
        case.create(&case.bundle()?.set("/ociVersion", version.clone())).context(version)?;
    }
    Ok(())
}

fn the_hooks_of_the_features_are_accepted(case: &Case<'_>) -> Result<()> {
    let features = features(case)?;
    for kind in words(&features, "/hooks") {
        let log = case.dir().join(kind);
        let bundle = case.bundle()?.ask(&[&["report"]]);
        let bundle = if kind == "startContainer" {
            bundle.hook(kind, std::path::Path::new("/probe"), &["hook", "/data/log", kind, "0"])
        } else {
            bundle.hook(kind, case.probe(), &["hook", &log.display().to_string(), kind, "0"])
        };
        case.run(&bundle)?;
        ensure!(log.exists() || bundle.path("/data/log").exists(), "the {kind} hook did not run");
    }
    Ok(())
}

/// Options that need something of the mount they are given with.
fn on_what(option: &str) -> (&'static str, Vec<&str>) {
    match option {
        "remount" => ("tmpfs", vec!["remount"]),
        "bind" | "rbind" => ("none", vec![option]),
        _ => ("tmpfs", vec![option]),
    }
}

/// A recognized option never reaches the file system, which would refuse it.
fn the_mount_options_of_the_features_are_recognized(case: &Case<'_>) -> Result<()> {
    let features = features(case)?;
    let mut refused = Vec::new();
    for option in words(&features, "/mountOptions") {
        // These change or need more than the mount: idmap its mappings, acl and mand a kernel that has them.
        if ["idmap", "ridmap", "mand", "acl", "noacl"].contains(&option) {
            continue;
        }
        let (kind, options) = on_what(option);
        let source = case.dir().join("source");
        std::fs::create_dir_all(&source)?;
        let bundle = case.bundle()?;
        let bundle = if option == "remount" { bundle.mount("/mnt", "tmpfs", "tmpfs", &[]) } else { bundle };
        let bundle = bundle.mount("/mnt", kind, &source, &options);
        let outcome = case.try_create(&bundle)?;
        if !outcome.succeeded() {
            refused.push(format!("{option}: {outcome}"));
        }
    }
    ensure!(refused.is_empty(), "{refused:#?}");
    Ok(())
}

fn the_mount_options_of_the_features_are_no_file_systems(case: &Case<'_>) -> Result<()> {
    let features = features(case)?;
    let foreign: Vec<&str> = words(&features, "/mountOptions")
        .into_iter()
        .filter(|option| {
            option.contains('=') || ["size", "nr_inodes", "gid", "uid", "mode", "lowerdir"].contains(option)
        })
        .collect();
    ensure!(foreign.is_empty(), "these are of file systems: {foreign:?}");
    Ok(())
}

fn the_namespaces_of_the_features_are_recognized(case: &Case<'_>) -> Result<()> {
    let features = features(case)?;
    for kind in words(&features, "/linux/namespaces") {
        let bundle = if kind == "user" {
            case.bundle()?.user_namespace(100_000)
        } else {
            case.bundle()?.namespace(kind)
        };
        if kind == "user" {
            bundle.own_rootfs(100_000)?;
        }
        case.create(&bundle).with_context(|| kind.to_owned())?;
    }
    Ok(())
}

/// Those that this suite itself has: whether others make `create` fail is another clause's matter.
fn the_capabilities_of_the_features_are_recognized(case: &Case<'_>) -> Result<()> {
    let features = features(case)?;
    let own = crate::process::status_field(i32::try_from(std::process::id())?, "CapBnd")?;
    let own = u64::from_str_radix(&own, 16)?;
    let bit = |name: &str| {
        let number =
            CAPABILITIES.split_whitespace().position(|known| name.strip_prefix("CAP_") == Some(known));
        number.map(|number| 1 << number & own).filter(|bit| *bit != 0)
    };
    let mut names = words(&features, "/linux/capabilities");
    names.retain(|name| bit(name).is_some());
    let sets = json!({"bounding": names, "permitted": names, "effective": names});
    let report = case.report_of(case.bundle()?.set("/process/capabilities", sets))?;
    let wanted = names.iter().filter_map(|name| bit(name)).fold(0, |all, bit| all | bit);
    same("CapBnd", &report["status"]["CapBnd"], format!("{wanted:016x}"))
}

fn the_seccomp_names_of_the_features_are_recognized(case: &Case<'_>) -> Result<()> {
    let features = features(case)?;
    let entry = |action: &str| json!({"names": ["mkdirat"], "action": action});
    let mut profiles = Vec::new();
    for action in words(&features, "/linux/seccomp/actions") {
        let default = if action == "SCMP_ACT_ALLOW" { "SCMP_ACT_LOG" } else { "SCMP_ACT_ALLOW" };
        if action != "SCMP_ACT_NOTIFY" {
            profiles.push(json!({"defaultAction": default, "syscalls": [entry(action)]}));
        }
    }
    for operator in words(&features, "/linux/seccomp/operators") {
        let mut entry = entry("SCMP_ACT_ERRNO");
        entry["args"] = json!([{"index": 0, "value": 1, "valueTwo": 1, "op": operator}]);
        profiles.push(json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [entry]}));
    }
    for arch in words(&features, "/linux/seccomp/archs") {
        profiles.push(json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": [arch], "syscalls": [entry("SCMP_ACT_ERRNO")]}));
    }
    for flag in words(&features, "/linux/seccomp/supportedFlags") {
        if flag != "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" {
            profiles.push(json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": [flag], "syscalls": [entry("SCMP_ACT_ERRNO")]}));
        }
    }
    for profile in profiles {
        let text = profile.to_string();
        case.report_of(case.bundle()?.set("/linux/seccomp", profile)).context(text)?;
    }
    Ok(())
}

fn the_memory_policies_of_the_features_are_recognized(case: &Case<'_>) -> Result<()> {
    let features = features(case)?;
    let modes = words(&features, "/linux/memoryPolicy/modes");
    if modes.is_empty() {
        return unfit("the runtime names no memory policies, as it may");
    }
    for mode in modes {
        let nodes = !["MPOL_DEFAULT", "MPOL_LOCAL"].contains(&mode);
        let policy = if nodes { json!({"mode": mode, "nodes": "0"}) } else { json!({"mode": mode}) };
        let outcome = case.try_create(&case.bundle()?.set("/linux/memoryPolicy", policy))?;
        // An old kernel may lack the mode, which the runtime then finds by trying.
        let unsupported = outcome.stderr.contains("nvalid argument") || outcome.stderr.contains("EINVAL");
        ensure!(outcome.succeeded() || unsupported, "{mode}: {outcome}");
    }
    Ok(())
}

fn idmap_of_the_features_tells_the_truth(case: &Case<'_>) -> Result<()> {
    let features = features(case)?;
    let said = features.pointer("/linux/mountExtensions/idmap/enabled").and_then(Value::as_bool);
    let Some(said) = said else {
        return unfit("the runtime does not say whether it maps ids of mounts, as it may");
    };
    let source = case.dir().join("source");
    std::fs::create_dir(&source)?;
    let bundle = case.bundle()?.mount("/mnt", "none", &source, &["bind", "idmap"]);
    let last = bundle.config["mounts"].as_array().map_or(0, Vec::len) - 1;
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 10}]);
    let bundle = bundle
        .set(&format!("/mounts/{last}/uidMappings"), map.clone())
        .set(&format!("/mounts/{last}/gidMappings"), map);
    let outcome = case.try_create(&bundle)?;
    ensure!(outcome.succeeded() == said, "it says {said}, and: {outcome}");
    Ok(())
}
