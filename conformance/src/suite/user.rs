//! config.md: the user, and what Linux adds to a process: capabilities, scheduling, labels.

use super::{list, same};
use crate::case::{Case, unfit};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

list![
    uid_and_gid_are_set,
    the_umask_is_set,
    the_umask_is_kept_when_none_is_given,
    additional_groups_are_set,
    capabilities_are_in_the_sets_that_name_them,
    a_set_that_is_left_out_is_empty,
    a_capability_that_is_unknown_is_no_failure,
    a_capability_that_cannot_be_granted_is_no_failure,
    no_new_privileges_is_set,
    the_oom_score_is_set,
    the_oom_score_is_kept_when_none_is_given,
    the_scheduler_is_set,
    the_scheduler_may_have_a_nice_value_alone,
    a_scheduler_without_values_uses_zero,
    the_io_priority_is_set,
    exec_cpu_affinity_leaves_the_first_process_alone,
    exec_runs_on_the_final_cpus,
    an_apparmor_profile_is_in_force,
    a_selinux_label_is_in_force,
];

/// The numbers of the capabilities that the tests use.
const CAPABILITIES: [(&str, u64); 4] =
    [("CAP_CHOWN", 0), ("CAP_KILL", 5), ("CAP_NET_BIND_SERVICE", 10), ("CAP_AUDIT_WRITE", 29)];

fn uid_and_gid_are_set(case: &Case<'_>) -> Result<()> {
    let report = case.report_of(case.bundle()?.set("/process/user", json!({"uid": 1234, "gid": 5678})))?;
    same("the uid", &report["uid"], 1234)?;
    same("the gid", &report["gid"], 5678)?;
    same("all uids", &report["status"]["Uid"], "1234\t1234\t1234\t1234")?;
    same("all gids", &report["status"]["Gid"], "5678\t5678\t5678\t5678")
}

fn the_umask_is_set(case: &Case<'_>) -> Result<()> {
    for mask in [0o077, 0o027, 0] {
        let report = case.report_of(case.bundle()?.set("/process/user/umask", mask))?;
        same("the mask", &report["umask"], mask)?;
    }
    Ok(())
}

/// The calling process is this suite, whose mask the runtime inherits.
fn the_umask_is_kept_when_none_is_given(case: &Case<'_>) -> Result<()> {
    let own = crate::process::status_field(i32::try_from(std::process::id())?, "Umask")?;
    let own = u32::from_str_radix(&own, 8)?;
    same("the mask", &case.report_of(case.bundle()?)?["umask"], own)
}

fn additional_groups_are_set(case: &Case<'_>) -> Result<()> {
    let user = json!({"uid": 1, "gid": 2, "additionalGids": [5, 6, 77777]});
    let mut groups = case.report_of(case.bundle()?.set("/process/user", user))?["groups"].clone();
    if let Some(list) = groups.as_array_mut() {
        list.retain(|group| *group != 2);
    }
    same("the groups", &groups, json!([5, 6, 77777]))?;
    let without = case.report_of(case.bundle()?.set("/process/user", json!({"uid": 1, "gid": 2})))?;
    let foreign: Vec<_> =
        without["groups"].as_array().into_iter().flatten().filter(|group| **group != 2).collect();
    ensure!(foreign.is_empty(), "groups that nobody asked for: {foreign:?}");
    Ok(())
}

fn mask(names: &[&str]) -> u64 {
    CAPABILITIES.iter().filter(|(name, _)| names.contains(name)).fold(0, |mask, (_, bit)| mask | 1 << bit)
}

fn set_of(report: &Value, field: &str) -> Result<u64> {
    let text = report["status"][field].as_str().with_context(|| format!("no {field}"))?;
    Ok(u64::from_str_radix(text, 16)?)
}

fn check_sets(report: &Value, wanted: &[(&str, &[&str])]) -> Result<()> {
    for (field, names) in wanted {
        let found = set_of(report, field)?;
        ensure!(found == mask(names), "{field} is {found:#x}, and must be {:#x}", mask(names));
    }
    Ok(())
}

fn capabilities_are_in_the_sets_that_name_them(case: &Case<'_>) -> Result<()> {
    let all: [&str; 4] = CAPABILITIES.map(|(name, _)| name);
    let sets = json!({
        "bounding": all,
        "permitted": ["CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_AUDIT_WRITE"],
        "inheritable": ["CAP_KILL", "CAP_NET_BIND_SERVICE"],
        "effective": ["CAP_KILL", "CAP_AUDIT_WRITE", "CAP_NET_BIND_SERVICE"],
        "ambient": ["CAP_NET_BIND_SERVICE"],
    });
    // As root execve would give all of the bounding set, so the sets show with another user, where only the ambient
    // ones survive, and the inheritable and bounding ones as they are.
    let bundle =
        case.bundle()?.set("/process/capabilities", sets).set("/process/user", json!({"uid": 1, "gid": 1}));
    let report = case.report_of(bundle)?;
    check_sets(
        &report,
        &[
            ("CapBnd", &all),
            ("CapInh", &["CAP_KILL", "CAP_NET_BIND_SERVICE"]),
            ("CapPrm", &["CAP_NET_BIND_SERVICE"]),
            ("CapEff", &["CAP_NET_BIND_SERVICE"]),
            ("CapAmb", &["CAP_NET_BIND_SERVICE"]),
        ],
    )?;
    let two = json!(["CAP_KILL", "CAP_CHOWN"]);
    let sets = json!({"bounding": two, "permitted": two, "effective": two});
    let report = case.report_of(case.bundle()?.set("/process/capabilities", sets))?;
    let two: &[&str] = &["CAP_KILL", "CAP_CHOWN"];
    check_sets(
        &report,
        &[("CapBnd", two), ("CapPrm", two), ("CapEff", two), ("CapInh", &[]), ("CapAmb", &[])],
    )
}

fn a_set_that_is_left_out_is_empty(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?.set("/process/capabilities", json!({}));
    check_sets(
        &case.report_of(bundle)?,
        &[("CapBnd", &[]), ("CapPrm", &[]), ("CapEff", &[]), ("CapInh", &[]), ("CapAmb", &[])],
    )
}

/// Warnings may be written or not, but the container must run with the rest.
fn a_capability_that_is_unknown_is_no_failure(case: &Case<'_>) -> Result<()> {
    let list = json!(["CAP_KILL", "CAP_OF_THE_FUTURE"]);
    let sets = json!({"bounding": list, "permitted": list, "effective": list});
    let report = case.report_of(case.bundle()?.set("/process/capabilities", sets))?;
    check_sets(&report, &[("CapEff", &["CAP_KILL"])])
}

/// One that this suite does not have itself; where it has all, its own bounding set is no limit and nothing is asked.
fn a_capability_that_cannot_be_granted_is_no_failure(case: &Case<'_>) -> Result<()> {
    let own = u64::from_str_radix(
        &crate::process::status_field(i32::try_from(std::process::id())?, "CapBnd")?,
        16,
    )?;
    const RESOURCE: u64 = 1 << 24;
    if own & RESOURCE != 0 {
        return unfit("this machine grants CAP_SYS_RESOURCE");
    }
    let list = json!(["CAP_KILL", "CAP_SYS_RESOURCE"]);
    let sets = json!({"bounding": list, "permitted": list, "effective": list});
    let report = case.report_of(case.bundle()?.set("/process/capabilities", sets))?;
    check_sets(&report, &[("CapEff", &["CAP_KILL"])])
}

fn no_new_privileges_is_set(case: &Case<'_>) -> Result<()> {
    for (given, wanted) in [(true, "1"), (false, "0")] {
        let report = case.report_of(case.bundle()?.set("/process/noNewPrivileges", given))?;
        same("NoNewPrivs", &report["status"]["NoNewPrivs"], wanted)?;
    }
    same("NoNewPrivs without it", &case.report_of(case.bundle()?)?["status"]["NoNewPrivs"], "0")
}

/// Higher than what is in force, so that no privilege is needed.
fn the_oom_score_is_set(case: &Case<'_>) -> Result<()> {
    let report = case.report_of(case.bundle()?.set("/process/oomScoreAdj", 555))?;
    same("oom_score_adj", &report["oom_score_adj"], "555")
}

fn the_oom_score_is_kept_when_none_is_given(case: &Case<'_>) -> Result<()> {
    let own = fs::read_to_string("/proc/self/oom_score_adj")?;
    same("oom_score_adj", &case.report_of(case.bundle()?)?["oom_score_adj"], own.trim())
}

fn the_scheduler_is_set(case: &Case<'_>) -> Result<()> {
    for (policy, number) in [("SCHED_OTHER", 0), ("SCHED_BATCH", 3), ("SCHED_IDLE", 5)] {
        let bundle = case.bundle()?.set("/process/scheduler", json!({"policy": policy, "nice": 5}));
        let found = case.report_of(bundle)?["scheduler"].clone();
        same(policy, &found["policy"], number)?;
        // The kernel takes no nice value for SCHED_IDLE.
        if policy != "SCHED_IDLE" {
            same(&format!("the nice value of {policy}"), &found["nice"], 5)?;
        }
    }
    Ok(())
}

fn the_scheduler_may_have_a_nice_value_alone(case: &Case<'_>) -> Result<()> {
    let scheduler = json!({"policy": "SCHED_OTHER", "nice": 11, "flags": ["SCHED_FLAG_RESET_ON_FORK"]});
    let found = case.report_of(case.bundle()?.set("/process/scheduler", scheduler))?["scheduler"].clone();
    same("the nice value", &found["nice"], 11)
}

fn a_scheduler_without_values_uses_zero(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?.set("/process/scheduler", json!({"policy": "SCHED_BATCH"}));
    let found = case.report_of(bundle)?["scheduler"].clone();
    same("the nice value", &found["nice"], 0)?;
    same("the priority", &found["real_time_priority"], 0)
}

fn the_io_priority_is_set(case: &Case<'_>) -> Result<()> {
    for (class, number, level) in [("IOPRIO_CLASS_BE", 2, 6), ("IOPRIO_CLASS_IDLE", 3, 4)] {
        let bundle = case.bundle()?.set("/process/ioPriority", json!({"class": class, "priority": level}));
        same(class, &case.report_of(bundle)?["io_priority"], json!({"class": number, "level": level}))?;
    }
    Ok(())
}

/// The CPUs that this suite may run on, as the kernel lists them.
fn own_cpus() -> Result<String> {
    crate::process::status_field(i32::try_from(std::process::id())?, "Cpus_allowed_list")
}

fn exec_cpu_affinity_leaves_the_first_process_alone(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?.set("/process/execCPUAffinity", json!({"initial": "0", "final": "0"}));
    same("the CPUs", &case.report_of(bundle)?["status"]["Cpus_allowed_list"], own_cpus()?)
}

/// `exec` is no operation of the specification, but this property is about nothing else.
fn exec_runs_on_the_final_cpus(case: &Case<'_>) -> Result<()> {
    if !own_cpus()?.contains(['-', ',']) {
        return unfit("this machine has one CPU");
    }
    let bundle = case.bundle()?.set("/process/execCPUAffinity", json!({"initial": "0", "final": "1"}));
    let bundle = bundle.ask(&[&["pause"]]);
    case.launch(&bundle)?;
    let outcome = case.call(["exec", &bundle.id, "/probe", "report"])?.success()?;
    let report: Value = serde_json::from_str(&outcome.stdout)?;
    same("the CPUs with final", &report["status"]["Cpus_allowed_list"], "1")?;
    let bundle = case.bundle()?.set("/process/execCPUAffinity", json!({"initial": "0"})).ask(&[&["pause"]]);
    case.launch(&bundle)?;
    let outcome = case.call(["exec", &bundle.id, "/probe", "report"])?.success()?;
    let report: Value = serde_json::from_str(&outcome.stdout)?;
    // Without `final` the kernel decides: a cpuset of its own gives all of its CPUs, and else the initial ones stay.
    let found = report["status"]["Cpus_allowed_list"].clone();
    ensure!(found == "0" || found == own_cpus()?, "the CPUs without final are {found}");
    Ok(())
}

fn an_apparmor_profile_is_in_force(case: &Case<'_>) -> Result<()> {
    if !fs::read_to_string("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.trim() == "Y") {
        return unfit("this kernel has no AppArmor");
    }
    let report = case.report_of(case.bundle()?.set("/process/apparmorProfile", "unconfined"))?;
    let label = report["label"].as_str().unwrap_or_default().to_owned();
    ensure!(label.starts_with("unconfined"), "the label is {label:?}");
    case.refuses_to_run(&case.bundle()?.set("/process/apparmorProfile", "no-such-profile")).map(drop)
}

fn a_selinux_label_is_in_force(case: &Case<'_>) -> Result<()> {
    if !Path::new("/sys/fs/selinux/enforce").exists() {
        return unfit("SELinux is not in force here");
    }
    let own = fs::read_to_string("/proc/self/attr/current")?;
    let own = own.trim_end_matches('\0').to_owned();
    let report = case.report_of(case.bundle()?.set("/process/selinuxLabel", own.clone()))?;
    same("the label", &report["label"], own)
}
