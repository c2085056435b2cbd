use super::*;
use crate::cgroup::systemd::UnitPlan;
use crate::spec::{Device, Resources, parse_resources};
use std::collections::BTreeMap;

const V2: &str = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
const V1: &str = "\
33 31 0:30 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
34 31 0:31 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
36 31 0:33 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
37 31 0:34 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices
38 31 0:35 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio
39 31 0:36 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset
";

fn layout(mounts: &str) -> Layout {
    Layout::parse(mounts, "0::/\n").unwrap()
}

fn lines(properties: &[Property]) -> Vec<String> {
    let line =
        |property: &Property| format!("{} {} {}", property.name, property.value.signature(), property.value);
    properties.iter().map(line).collect()
}

/// The properties of limits alone, without the device filter.
fn of(resources: &str, mounts: &str) -> Vec<String> {
    let plan = ResourcePlan::for_update(&parse_resources(resources.as_bytes()).unwrap()).unwrap();
    lines(&plan.properties(&layout(mounts), Instance::System).unwrap())
}

const ALL: &str = r#"{
    "cpu": {"cpus": "0-2,9", "mems": "0", "shares": 1024, "quota": 50001, "period": 100000},
    "memory": {"limit": 1000000, "swap": 3000000, "reservation": 500000},
    "pids": {"limit": 7},
    "blockIO": {
        "weight": 500,
        "weightDevice": [{"major": 8, "minor": 0, "weight": 1000}],
        "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1}, {"major": 8, "minor": 16, "rate": 2}],
        "throttleWriteIOPSDevice": [{"major": 8, "minor": 0, "rate": 3}]
    }
}"#;

#[test]
fn limits_are_properties_of_v2() {
    assert_eq!(
        of(ALL, V2),
        [
            "AllowedCPUs ay [7, 2]",
            "AllowedMemoryNodes ay [1]",
            "CPUWeight t 100",
            "CPUQuotaPeriodUSec t 100000",
            "CPUQuotaPerSecUSec t 510000",
            "MemoryMax t 1000000",
            "MemorySwapMax t 2000000",
            "MemoryLow t 500000",
            "TasksMax t 7",
            "IOWeight t 4950",
            r#"IODeviceWeight a(st) [("/dev/block/8:0", 10000)]"#,
            r#"IOReadBandwidthMax a(st) [("/dev/block/8:0", 1), ("/dev/block/8:16", 2)]"#,
            r#"IOWriteIOPSMax a(st) [("/dev/block/8:0", 3)]"#,
        ]
    );
}

#[test]
fn limits_are_properties_of_v1() {
    assert_eq!(
        of(ALL, V1),
        [
            "AllowedCPUs ay [7, 2]",
            "AllowedMemoryNodes ay [1]",
            "CPUShares t 1024",
            "CPUQuotaPeriodUSec t 100000",
            "CPUQuotaPerSecUSec t 510000",
            "MemoryLimit t 1000000",
            "TasksMax t 7",
            "BlockIOWeight t 500",
        ]
    );
}

#[test]
fn no_limit_is_infinity() {
    let resources = r#"{"cpu": {"quota": -1}, "memory": {"limit": -1}, "pids": {"limit": -1}}"#;
    let max = u64::MAX;
    assert_eq!(
        of(resources, V2),
        [
            format!("CPUQuotaPerSecUSec t {max}"),
            format!("MemoryMax t {max}"),
            format!("MemorySwapMax t {max}"),
            format!("TasksMax t {max}"),
        ]
    );
}

#[test]
fn an_idle_cgroup_has_the_weight_0_where_systemd_knows_that() {
    let plan = |text: &str| ResourcePlan::for_update(&parse_resources(text.as_bytes()).unwrap()).unwrap();
    for text in
        [r#"{"cpu": {"shares": 512, "idle": 1}}"#, r#"{"unified": {"cpu.weight": "50", "cpu.idle": "1"}}"#]
    {
        let properties = plan(text).properties(&layout(V2), Instance::System).unwrap();
        assert_eq!(lines(&properties), ["CPUWeight t 0"]);
        assert_eq!(properties[0].since, 252);
    }
    assert_eq!(of(r#"{"cpu": {"idle": 0}}"#, V2), [""; 0]);
}

#[test]
fn files_of_v2_are_properties_where_systemd_has_them() {
    let files = r#"{"unified": {
        "cpu.max": "200000 50000", "cpu.weight": "50", "cpuset.cpus": "1", "cpuset.mems": "0-1",
        "memory.high": "4", "memory.low": "5", "memory.max": "max", "memory.min": " 6 ", "memory.oom.group": "1",
        "memory.swap.max": "0", "pids.max": "9", "hugetlb.2MB.max": "0", "io.max": "8:0 rbps=1"
    }}"#;
    assert_eq!(
        of(files, V2),
        [
            "CPUQuotaPeriodUSec t 50000",
            "CPUQuotaPerSecUSec t 4000000",
            "CPUWeight t 50",
            "AllowedCPUs ay [2]",
            "AllowedMemoryNodes ay [3]",
            "MemoryHigh t 4",
            "MemoryLow t 5",
            "MemoryMax t 18446744073709551615",
            "MemoryMin t 6",
            "OOMPolicy s \"kill\"",
            "MemorySwapMax t 0",
            "TasksMax t 9",
        ]
    );
    // What is no value is the kernel's to refuse, with its own file's name.
    assert_eq!(of(r#"{"unified": {"memory.max": "much", "cpu.max": "", "cpuset.cpus": "x"}}"#, V2), [""; 0]);
}

#[test]
fn a_list_of_cpus_that_is_none_is_refused() {
    for list in ["a", "3-1", "1-", "-1", "0-99999999", ","] {
        let resources = format!(r#"{{"cpu": {{"cpus": "{list}"}}}}"#);
        let plan = ResourcePlan::for_update(&parse_resources(resources.as_bytes()).unwrap()).unwrap();
        let error = plan.properties(&layout(V2), Instance::System).unwrap_err().to_string();
        assert!(error.starts_with("/linux/resources/cpu/cpus: "), "{error}");
    }
}

fn device_rules(rules: &str, mounts: &str) -> Vec<String> {
    let resources: Resources = parse_resources(format!(r#"{{"devices": {rules}}}"#).as_bytes()).unwrap();
    let plan = ResourcePlan::from_spec(&resources, &[] as &[Device]).unwrap();
    lines(&plan.properties(&layout(mounts), Instance::System).unwrap())
}

#[test]
fn the_device_filter_is_a_list_of_what_is_allowed() {
    let rules =
        r#"[{"allow": false, "access": "rwm"}, {"allow": true, "type": "b", "major": 8, "access": "r"}]"#;
    for mounts in [V1, V2] {
        let found = device_rules(rules, mounts);
        assert_eq!(found[..2], ["DeviceAllow a(ss) []", "DevicePolicy s \"strict\""]);
        for entry in [
            r#"("block-8", "r")"#,
            r#"("char-*", "m")"#,
            r#"("block-*", "m")"#,
            r#"("/dev/char/1:3", "rwm")"#,
            r#"("char-136", "rwm")"#,
        ] {
            assert!(found[2].contains(entry), "{entry}: {found:?}");
        }
        assert_eq!(found.len(), 3);
    }
}

#[test]
fn a_container_that_may_use_every_device_has_no_filter() {
    let found = device_rules(r#"[{"allow": true, "access": "rwm"}]"#, V2);
    assert_eq!(found, ["DeviceAllow a(ss) []", "DevicePolicy s \"auto\""]);
}

#[test]
fn what_no_list_can_say_is_left_to_the_runtimes_own_filter_and_never_opened_on_v1() {
    let except =
        r#"[{"allow": true, "access": "rwm"}, {"allow": false, "type": "b", "major": 8, "access": "w"}]"#;
    assert_eq!(device_rules(except, V2)[1], "DevicePolicy s \"auto\"");
    assert_eq!(device_rules(except, V1), ["DeviceAllow a(ss) []", "DevicePolicy s \"strict\""]);
    let minor = r#"[{"allow": true, "type": "c", "minor": 9, "access": "r"}]"#;
    assert_eq!(device_rules(minor, V2)[1], "DevicePolicy s \"auto\"");
    let narrower = device_rules(minor, V1);
    assert_eq!(narrower[1], "DevicePolicy s \"strict\"");
    assert!(narrower[2].contains("/dev/char/1:3"));
}

#[test]
fn a_users_systemd_is_told_of_no_device_filter() {
    let plan = ResourcePlan::from_spec(&Resources::default(), &[]).unwrap();
    assert_eq!(plan.properties(&layout(V2), Instance::User).unwrap(), []);
}

#[test]
fn a_scope_is_delegated_accounted_and_described_and_annotations_come_last() {
    let annotations =
        BTreeMap::from([("org.systemd.property.CollectMode".to_owned(), "'inactive'".to_owned())]);
    let limits = ResourcePlan::for_update(&Resources::default()).unwrap();
    for (mounts, io) in [(V2, "IOAccounting b true"), (V1, "BlockIOAccounting b true")] {
        let plan =
            UnitPlan::new("a-b.slice:x:y", "id", Instance::System, &layout(mounts), &limits, &annotations);
        let plan = plan.unwrap();
        assert_eq!(
            lines(&plan.properties),
            [
                "Description s \"mydocker container id\"",
                "Slice s \"a-b.slice\"",
                "Delegate b true",
                "MemoryAccounting b true",
                "CPUAccounting b true",
                io,
                "TasksAccounting b true",
                "DefaultDependencies b false",
                "CollectMode s \"inactive-or-failed\"",
                "CollectMode s \"inactive\"",
            ]
        );
    }
}

#[test]
fn the_unit_is_placed_below_its_slices_in_every_hierarchy() {
    let limits = ResourcePlan::default();
    let plan = |mounts: &str, instance| {
        UnitPlan::new("a-b.slice:x:y", "id", instance, &layout(mounts), &limits, &BTreeMap::new())
    };
    let v1 = plan(V1, Instance::System).unwrap().place(&layout(V1), "").unwrap();
    assert_eq!(v1.directories.len(), 7);
    assert!(v1.directories.iter().all(|directory| directory.path == "a.slice/a-b.slice/x-y.scope"));
    assert_eq!(v1.unit.unwrap().name, "x-y.scope");
    let root = "/user.slice/user-7.slice/user@7.service";
    let user = plan(V2, Instance::User).unwrap().place(&layout(V2), root).unwrap();
    let wanted = "/sys/fs/cgroup/user.slice/user-7.slice/user@7.service/a.slice/a-b.slice/x-y.scope";
    assert_eq!(user.directories[0].absolute().to_str(), Some(wanted));
    assert_eq!(user.unit.unwrap().below("a.slice/x-y.scope/b/c"), "/b/c");
    assert!(plan(V1, Instance::User).unwrap_err().to_string().contains("cgroup v1"));
    let nothing = plan("34 31 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n", Instance::System);
    assert!(nothing.unwrap_err().to_string().contains("name=systemd"));
}
