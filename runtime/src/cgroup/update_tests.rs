use super::super::manager::tests::{end, member, placed, soon, unique};
use super::super::{Controller, Layout};
use super::*;
use crate::spec::parse_resources;

fn resources(text: &str) -> Resources {
    parse_resources(text.as_bytes()).expect("resources")
}

fn change(before: &str, wish: &str) -> Result<Change, PlanError> {
    Change::new(&resources(before), &resources(wish), &[])
}

fn written(before: &str, wish: &str) -> Vec<String> {
    let plan = change(before, wish).expect("a change").plan;
    plan.settings.iter().map(|setting| setting.pointer.to_string()).collect()
}

#[test]
fn only_what_an_update_names_is_written() {
    let before = r#"{"memory":{"limit":9,"swap":20},"cpu":{"shares":512},"pids":{"limit":3}}"#;
    assert_eq!(written(before, r#"{"pids":{"limit":3}}"#), ["/linux/resources/pids/limit"]);
    assert_eq!(written(before, r#"{"memory":{"swap":30}}"#), ["/linux/resources/memory"]);
    assert_eq!(written(before, r#"{"memory":{"reservation":5}}"#), ["/linux/resources/memory/reservation"]);
    assert!(written(before, r#"{"memory":{},"cpu":{"cpus":""},"pids":{}}"#).is_empty());
}

#[test]
fn a_list_is_written_when_the_update_has_that_list() {
    let before =
        r#"{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1}]},"pids":{"limit":3}}"#;
    let list = r#"{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1}]}}"#;
    assert_eq!(written(before, list), ["/linux/resources/blockIO/throttleReadBpsDevice/0"]);
    assert!(written(before, r#"{"blockIO":{"weight":0}}"#).is_empty());
}

#[test]
fn a_contradiction_with_what_is_in_force_is_refused() {
    let before = r#"{"memory":{"limit":100,"swap":200}}"#;
    let error = change(before, r#"{"memory":{"limit":300}}"#).expect_err("swap is below");
    assert!(error.to_string().starts_with("/linux/resources/memory/swap: "), "{error}");
    assert!(change(before, r#"{"memory":{"limit":300,"swap":400}}"#).is_ok());
    assert!(change("{}", r#"{"memory":{"swap":300}}"#).is_err());
    let error = change(r#"{"cpu":{"idle":1}}"#, r#"{"cpu":{"shares":512}}"#).expect_err("idle");
    assert!(error.to_string().starts_with("/linux/resources/cpu/shares: "), "{error}");
}

#[test]
fn the_share_comes_back_when_idling_ends() {
    let pointers = written(r#"{"cpu":{"shares":512,"idle":1}}"#, r#"{"cpu":{"idle":0}}"#);
    assert_eq!(pointers, ["/linux/resources/cpu/idle", "/linux/resources/cpu/shares"]);
}

#[test]
fn the_oom_killer_can_be_switched_on_again() {
    let off = r#"{"memory":{"disableOOMKiller":true}}"#;
    let on = change(off, r#"{"memory":{"disableOOMKiller":false}}"#).expect("a change");
    assert_eq!(
        on.plan.settings.iter().map(|setting| &setting.limit).collect::<Vec<_>>(),
        [&Limit::OomKillerOn]
    );
    assert!(
        change("{}", r#"{"memory":{"disableOOMKiller":false}}"#).expect("a change").plan.settings.is_empty()
    );
}

#[test]
fn repeated_device_rules_leave_the_filter_alone_and_others_replace_it() {
    let rules = r#"{"devices":[{"allow":false,"access":"rwm"}]}"#;
    assert_eq!(change(rules, rules).expect("a change").plan.devices, None);
    let other = r#"{"devices":[{"allow":false,"access":"rwm"},{"allow":true,"type":"c","major":10,"minor":229,"access":"rw"}]}"#;
    let change = change(rules, other).expect("a change");
    assert!(change.plan.devices.is_some() && change.devices_before.is_some());
}

#[test]
fn old_contents_come_back_line_by_line() {
    assert_eq!(back("pids.max", "max\n", "10\n"), ["max"]);
    assert_eq!(back("cpu.max", "max 100000\n", "5000 100000\n"), ["max 100000"]);
    assert!(back("pids.max", "10\n", "10\n").is_empty());
    assert_eq!(back("cpuset.cpus", "\n", "0-1\n"), ["\n"]);
    assert_eq!(
        back("io.max", "8:0 rbps=1 wbps=max\n", "8:0 rbps=2 wbps=max\n8:16 rbps=3 wbps=max\n"),
        ["8:0 rbps=1 wbps=max", "8:16 rbps=max wbps=max riops=max wiops=max"]
    );
    assert_eq!(back("blkio.throttle.read_bps_device", "", "8:0 100\n"), ["8:0 0"]);
    assert_eq!(back("io.weight", "default 100\n", "default 50\n8:0 20\n"), ["default 100", "8:0 default"]);
    let control = |off: u32| format!("oom_kill_disable {off}\nunder_oom 0\noom_kill {off}\n");
    assert_eq!(back("memory.oom_control", &control(0), &control(1)), ["0"]);
    assert!(back("memory.oom_control", &control(1), &control(1)).is_empty());
}

#[test]
fn privileged_a_refused_update_leaves_every_limit_as_it_was() {
    let cgroup = Cgroup::create(placed(&unique("update")), &Lowered::default()).expect("a cgroup");
    let (_, pidfd) = member(&cgroup);
    let wish = r#"{"pids":{"limit":77},"cpu":{"quota":20000,"period":100000},"memory":{"limit":104857600},
        "blockIO":{"throttleReadBpsDevice":[{"major":4000,"minor":77,"rate":5}]}}"#;
    let change = change("{}", wish).expect("a change");
    let layout = Layout::load(change.plan.controllers()).expect("a layout");
    let limits = change.plan.lower(&layout).expect("limits");
    let texts = |cgroup: &Cgroup| -> Vec<String> {
        cgroup.contents(&limits).expect("contents").into_iter().map(|saved| saved.text).collect()
    };
    let before = texts(&cgroup);
    let error = cgroup.update(&limits, None).expect_err("there is no such disk");
    assert!(error.to_string().ends_with("all limits are as they were before"), "{error}");
    assert!(error.to_string().contains("throttleReadBpsDevice/0"), "{error}");
    assert_eq!(texts(&cgroup), before);
    assert!(layout.v1(Controller::Pids).is_some() || layout.unified().is_some());
    end(&pidfd);
    cgroup.remove(soon()).expect("removable");
}
