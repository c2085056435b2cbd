use super::*;
use crate::spec::parse_resources;

const V1: &str = "\
31 23 0:1 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
32 23 0:2 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset
33 23 0:3 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
34 23 0:4 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
35 23 0:5 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio
36 23 0:6 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices
";
const V1_MORE: &str = "\
37 23 0:7 / /sys/fs/cgroup/hugetlb rw - cgroup cgroup rw,hugetlb
38 23 0:8 / /sys/fs/cgroup/net_cls,net_prio rw - cgroup cgroup rw,net_cls,net_prio
39 23 0:9 / /sys/fs/cgroup/rdma rw - cgroup cgroup rw,rdma
";
const UNIFIED: &str = "40 23 0:10 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

fn v1() -> Layout {
    Layout::parse(&format!("{V1}{V1_MORE}"), "0::/\n").unwrap()
}

fn hybrid() -> Layout {
    let mut layout = Layout::parse(&format!("{V1}{UNIFIED}"), "0::/\n").unwrap();
    layout.unified_controllers.insert(Controller::HugeTlb);
    layout
}

fn v2() -> Layout {
    let mut layout = Layout::parse(UNIFIED, "0::/\n").unwrap();
    let names = "cpuset cpu io memory hugetlb pids rdma misc";
    layout.unified_controllers = ControllerSet::from_names(names.split(' '));
    layout
}

fn lower(json: &str, layout: &Layout) -> Result<Lowered, PlanError> {
    ResourcePlan::for_update(&parse_resources(json.as_bytes()).unwrap())?.lower(layout)
}

/// A write as a line: `[place] file = value`, with `?` for a file that may be missing and `~` for one that is tried
/// again.
fn lines(json: &str, layout: &Layout) -> Vec<String> {
    let line = |write: &Write| {
        let place = match write.place {
            Place::V1(controller) => controller.name(),
            Place::Unified => "v2",
        };
        let mut text = format!("[{place}] {} = {}", write.file, write.value);
        match &write.on_missing {
            OnMissing::Fail => {}
            OnMissing::Ignore => text.push_str(" ?"),
            OnMissing::Instead(file, value) => text.push_str(&format!(" or {file} = {value}")),
        }
        if write.retry {
            text.push_str(" ~");
        }
        text
    };
    lower(json, layout).unwrap().writes.iter().map(line).collect()
}

fn error(json: &str, layout: &Layout) -> String {
    lower(json, layout).unwrap_err().to_string()
}

/// Everything that both versions can do.
const COMMON: &str = r#"{
  "memory": {"limit": 1000000, "reservation": 500000, "swap": 1500000},
  "cpu": {"shares": 1024, "quota": 50000, "period": 100000, "burst": 10000, "cpus": "0-1", "mems": "0"},
  "pids": {"limit": 42},
  "blockIO": {
    "weight": 100, "weightDevice": [{"major": 8, "minor": 0, "weight": 500}],
    "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 600}],
    "throttleWriteBpsDevice": [{"major": 8, "minor": 0, "rate": 700}],
    "throttleReadIOPSDevice": [{"major": 8, "minor": 16, "rate": 800}],
    "throttleWriteIOPSDevice": [{"major": 8, "minor": 16, "rate": 900}]
  },
  "hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}],
  "rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}, "mlx5_2": {"hcaObjects": 7}}
}"#;

#[test]
fn every_limit_in_the_files_of_v1() {
    let expected = [
        "[cpuset] cpuset.cpus = 0-1",
        "[cpuset] cpuset.mems = 0",
        "[cpu] cpu.shares = 1024",
        "[cpu] cpu.cfs_period_us = 100000 ~",
        "[cpu] cpu.cfs_burst_us = 10000 ~",
        "[cpu] cpu.cfs_quota_us = 50000",
        "[memory] memory.limit_in_bytes = 1000000 ~",
        "[memory] memory.memsw.limit_in_bytes = 1500000 ~",
        "[memory] memory.soft_limit_in_bytes = 500000",
        "[pids] pids.max = 42",
        "[blkio] blkio.weight = 100 or blkio.bfq.weight = 100",
        "[blkio] blkio.weight_device = 8:0 500 or blkio.bfq.weight_device = 8:0 500",
        "[blkio] blkio.throttle.read_bps_device = 8:0 600",
        "[blkio] blkio.throttle.write_bps_device = 8:0 700",
        "[blkio] blkio.throttle.read_iops_device = 8:16 800",
        "[blkio] blkio.throttle.write_iops_device = 8:16 900",
        "[hugetlb] hugetlb.2MB.limit_in_bytes = 4194304",
        "[hugetlb] hugetlb.2MB.rsvd.limit_in_bytes = 4194304 ?",
        "[rdma] rdma.max = mlx5_1 hca_handle=3 hca_object=10000",
        "[rdma] rdma.max = mlx5_2 hca_object=7",
    ];
    assert_eq!(lines(COMMON, &v1()), expected);
}

#[test]
fn every_limit_in_the_files_of_v2() {
    let expected = [
        "[v2] cpuset.cpus = 0-1",
        "[v2] cpuset.mems = 0",
        "[v2] cpu.weight = 100",
        "[v2] cpu.max.burst = 10000 ~",
        "[v2] cpu.max = 50000 100000",
        "[v2] memory.swap.max = 500000",
        "[v2] memory.max = 1000000",
        "[v2] memory.low = 500000",
        "[v2] pids.max = 42",
        "[v2] io.bfq.weight = 100 or io.weight = 910",
        "[v2] io.bfq.weight = 8:0 500 or io.weight = 8:0 4950",
        "[v2] io.max = 8:0 rbps=600",
        "[v2] io.max = 8:0 wbps=700",
        "[v2] io.max = 8:16 riops=800",
        "[v2] io.max = 8:16 wiops=900",
        "[v2] hugetlb.2MB.max = 4194304",
        "[v2] hugetlb.2MB.rsvd.max = 4194304 ?",
        "[v2] rdma.max = mlx5_1 hca_handle=3 hca_object=10000",
        "[v2] rdma.max = mlx5_2 hca_object=7",
    ];
    assert_eq!(lines(COMMON, &v2()), expected);
    let needed: Vec<&str> = lower(COMMON, &v2()).unwrap().unified.iter().map(Controller::name).collect();
    assert_eq!(needed, ["cpuset", "cpu", "blkio", "memory", "hugetlb", "pids", "rdma"]);
}

#[test]
fn a_hybrid_host_takes_each_limit_where_its_controller_is() {
    let json = r#"{"pids": {"limit": 42}, "hugepageLimits": [{"pageSize": "1GB", "limit": 1}]}"#;
    let expected = ["[pids] pids.max = 42", "[v2] hugetlb.1GB.max = 1", "[v2] hugetlb.1GB.rsvd.max = 1 ?"];
    assert_eq!(lines(json, &hybrid()), expected);
    let needed: Vec<Controller> = lower(json, &hybrid()).unwrap().unified.iter().collect();
    assert_eq!(needed, [Controller::HugeTlb]);
}

/// Wishes that only v1 knows, with their place and what v1 is told.
const ONLY_V1: [(&str, &str, &[&str]); 9] = [
    (r#"{"memory": {"swappiness": 60}}"#, "memory/swappiness", &["[memory] memory.swappiness = 60"]),
    (
        r#"{"memory": {"disableOOMKiller": true}}"#,
        "memory/disableOOMKiller",
        &["[memory] memory.oom_control = 1"],
    ),
    (
        r#"{"memory": {"kernelTCP": 4096}}"#,
        "memory/kernelTCP",
        &["[memory] memory.kmem.tcp.limit_in_bytes = 4096"],
    ),
    (
        r#"{"cpu": {"realtimeRuntime": 9000, "realtimePeriod": 20000}}"#,
        "cpu/realtimeRuntime",
        &["[cpu] cpu.rt_period_us = 20000 ~", "[cpu] cpu.rt_runtime_us = 9000"],
    ),
    (r#"{"cpu": {"realtimePeriod": 20000}}"#, "cpu/realtimePeriod", &["[cpu] cpu.rt_period_us = 20000"]),
    (r#"{"blockIO": {"leafWeight": 300}}"#, "blockIO/leafWeight", &["[blkio] blkio.leaf_weight = 300"]),
    (
        r#"{"blockIO": {"weightDevice": [{"major": 8, "minor": 1, "leafWeight": 300}]}}"#,
        "blockIO/weightDevice/0/leafWeight",
        &["[blkio] blkio.leaf_weight_device = 8:1 300"],
    ),
    (r#"{"network": {"classID": 1048577}}"#, "network/classID", &["[net_cls] net_cls.classid = 1048577"]),
    (
        r#"{"network": {"priorities": [{"name": "eth0", "priority": 5}]}}"#,
        "network/priorities/0",
        &["[net_prio] net_prio.ifpriomap = eth0 5"],
    ),
];

#[test]
fn what_only_v1_knows_is_written_there_and_refused_by_name_on_v2() {
    for (json, place, expected) in ONLY_V1 {
        assert_eq!(lines(json, &v1()), expected);
        let refusal =
            format!("/linux/resources/{place}: cgroup v2 has no such limit (it exists on cgroup v1 only)");
        assert_eq!(error(json, &v2()), refusal);
    }
}

#[test]
fn no_limit_is_minus_one_on_v1_and_max_on_v2() {
    let json = r#"{"memory": {"limit": -1}, "cpu": {"quota": -1}, "pids": {"limit": -1}}"#;
    let v1_lines = [
        "[cpu] cpu.cfs_quota_us = -1",
        "[memory] memory.limit_in_bytes = -1 ~",
        "[memory] memory.memsw.limit_in_bytes = -1 ? ~",
        "[pids] pids.max = max",
    ];
    assert_eq!(lines(json, &v1()), v1_lines);
    let v2_lines = [
        "[v2] cpu.max = max 100000",
        "[v2] memory.swap.max = max ?",
        "[v2] memory.max = max",
        "[v2] pids.max = max",
    ];
    assert_eq!(lines(json, &v2()), v2_lines);
}

#[test]
fn zero_and_null_leave_limits_alone_but_no_task_at_all_counts_as_one() {
    let json = r#"{"memory": {"limit": 0, "swap": 0, "reservation": null}, "cpu": {"shares": 0, "quota": 0,
        "period": 0}, "blockIO": {"weight": 0}, "network": {"classID": 0}, "pids": {"limit": 0}}"#;
    assert_eq!(lines(json, &v1()), ["[pids] pids.max = 1"]);
    assert_eq!(lines(json, &v2()), ["[v2] pids.max = 1"]);
}

#[test]
fn swap_of_v2_is_what_both_may_have_less_memory() {
    let swap = |json: &str| lines(json, &v2()).into_iter().find(|line| line.contains("swap")).unwrap();
    assert_eq!(swap(r#"{"memory": {"limit": 100, "swap": 100}}"#), "[v2] memory.swap.max = 0 ?");
    assert_eq!(swap(r#"{"memory": {"limit": 100, "swap": -1}}"#), "[v2] memory.swap.max = max ?");
    assert_eq!(swap(r#"{"memory": {"limit": -1, "swap": 300}}"#), "[v2] memory.swap.max = 300");
}

#[test]
fn contradictory_memory_is_refused_with_its_place() {
    let at = "/linux/resources/memory/swap: ";
    for layout in [v1(), v2()] {
        let text = error(r#"{"memory": {"limit": 200, "swap": 100}}"#, &layout);
        assert_eq!(
            text,
            format!("{at}memory and swap together (100) must not be below the memory limit (200)")
        );
        assert!(error(r#"{"memory": {"swap": 100}}"#, &layout).starts_with(at));
        let text = error(r#"{"memory": {"limit": -5}}"#, &layout);
        assert!(text.starts_with("/linux/resources/memory/limit: -5 is no number of bytes"), "{text}");
        let text = error(r#"{"memory": {"swappiness": 101}}"#, &layout);
        assert_eq!(text, "/linux/resources/memory/swappiness: 101 is not between 0 and 100");
    }
    assert!(error(r#"{"memory": {"limit": -1, "swap": 100}}"#, &v1()).starts_with(at));
}

#[test]
fn an_idle_cgroup_is_made_last_and_unmade_first() {
    let json = r#"{"cpu": {"shares": 2048, "idle": 1}}"#;
    assert_eq!(lines(json, &v1()), ["[cpu] cpu.shares = 2048", "[cpu] cpu.idle = 1"]);
    let json = r#"{"cpu": {"shares": 2048, "idle": 0}}"#;
    assert_eq!(lines(json, &v2()), ["[v2] cpu.idle = 0", "[v2] cpu.weight = 174"]);
}

#[test]
fn cpu_shares_become_weights_on_the_curve_through_both_defaults() {
    let pairs = [(2, 1), (3, 2), (1024, 100), (2048, 174), (262_144, 10_000), (1 << 40, 10_000)];
    for (shares, weight) in pairs {
        assert_eq!(cpu_weight(shares), weight, "{shares}");
    }
}

#[test]
fn shares_that_the_kernel_would_silently_change_are_refused_on_v1() {
    let text = error(r#"{"cpu": {"shares": 1}}"#, &v1());
    assert_eq!(text, "/linux/resources/cpu/shares: 1 shares are not between 2 and 262144");
    assert_eq!(lines(r#"{"cpu": {"shares": 1}}"#, &v2()), ["[v2] cpu.weight = 1"]);
}

#[test]
fn block_weights_become_weights_of_v2_on_a_straight_line() {
    assert_eq!([10, 500, 1000].map(io_weight), [1, 4950, 10_000]);
    let text = error(r#"{"blockIO": {"weight": 9}}"#, &v2());
    assert_eq!(text, "/linux/resources/blockIO/weight: the weight 9 is not between 10 and 1000");
}

#[test]
fn a_limit_without_its_controller_is_refused_by_name() {
    let bare = Layout::parse(V1, "").unwrap();
    let text = error(r#"{"hugepageLimits": [{"pageSize": "2MB", "limit": 1}]}"#, &bare);
    let reason = "the limit needs the cgroup controller hugetlb, which is not available";
    assert_eq!(text, format!("/linux/resources/hugepageLimits/0: {reason}"));
    let mut poor = v2();
    poor.unified_controllers = ControllerSet::default();
    assert!(error(r#"{"pids": {"limit": 1}}"#, &poor).contains("controller pids, which is not available"));
}

#[test]
fn files_of_v2_are_written_line_by_line_and_last() {
    let json = r#"{"unified": {"memory.high": "1000", "io.max": "8:0 rbps=1\n8:16 wbps=2\n"}, "pids": {"limit": 5}}"#;
    let expected = [
        "[v2] pids.max = 5",
        "[v2] io.max = 8:0 rbps=1",
        "[v2] io.max = 8:16 wbps=2",
        "[v2] memory.high = 1000",
    ];
    assert_eq!(lines(json, &v2()), expected);
}

#[test]
fn files_of_v2_are_refused_elsewhere_and_when_they_are_none() {
    let json = r#"{"unified": {"memory.high": "1"}}"#;
    for layout in [v1(), hybrid()] {
        let text = error(json, &layout);
        assert!(text.starts_with("/linux/resources/unified/memory.high: files of cgroup v2"), "{text}");
    }
    let text = error(r#"{"unified": {"../x.y": "1"}}"#, &v2());
    assert!(text.starts_with("/linux/resources/unified/..~1x.y: a file name"), "{text}");
    assert!(error(r#"{"unified": {"memory": "1"}}"#, &v2()).contains("CONTROLLER.PARAMETER"));
    let mut poor = v2();
    poor.unified_controllers = ControllerSet::default();
    assert!(error(json, &poor).contains("controller memory, which is not available"));
}

#[test]
fn a_check_of_the_usage_is_v2_s_only_for_v1_checks_by_itself() {
    let json = r#"{"memory": {"limit": 100, "swap": 200, "checkBeforeUpdate": true}}"#;
    let checks: Vec<(u64, Cow<'_, str>)> = lower(json, &v2()).unwrap().usage_below;
    assert_eq!(
        checks,
        [(200, "/linux/resources/memory/swap".into()), (100, "/linux/resources/memory/limit".into())]
    );
    assert!(lower(json, &v1()).unwrap().usage_below.is_empty());
}

#[test]
fn what_no_kernel_does_any_more_is_a_warning() {
    let json = r#"{"memory": {"kernel": 4096, "useHierarchy": false}}"#;
    let plan = ResourcePlan::for_update(&parse_resources(json.as_bytes()).unwrap()).unwrap();
    assert!(plan.settings.is_empty());
    assert_eq!(plan.warnings.len(), 2, "{:?}", plan.warnings);
}

#[test]
fn the_device_filter_is_files_on_v1_and_a_program_on_v2() {
    let plan = ResourcePlan::from_spec(&crate::spec::Resources::default(), &[]).unwrap();
    let devices = |layout: &Layout| plan.lower(layout).unwrap().devices.unwrap();
    assert!(matches!(devices(&hybrid()), Devices::V1(rules) if rules.len() == 12));
    assert!(matches!(devices(&v2()), Devices::Program(Some(_))));
}

#[test]
fn a_host_without_any_device_filter_is_refused() {
    let plan = ResourcePlan::from_spec(&crate::spec::Resources::default(), &[]).unwrap();
    let layout = Layout::parse("33 23 0:3 / /cg rw - cgroup cgroup rw,memory\n", "").unwrap();
    let error = plan.lower(&layout).unwrap_err().to_string();
    assert_eq!(
        error,
        "/linux/resources/devices: the limit needs the cgroup controller devices, which is not available"
    );
}
