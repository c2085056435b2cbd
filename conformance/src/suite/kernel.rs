//! config-linux.md: kernel parameters, masked paths, propagation, personality, memory policy, Intel RDT, labels.

use super::{has, list, mount_at, same};
use crate::bundle::Bundle;
use crate::case::{Case, unfit};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

list![
    sysctls_are_set,
    masked_paths_cannot_be_read,
    masked_paths_that_are_relative_are_refused,
    readonly_paths_cannot_be_written,
    readonly_paths_that_are_relative_are_refused,
    the_root_propagates_as_given,
    an_unbindable_root_cannot_be_bound,
    the_personality_is_set,
    personality_flags_are_refused,
    a_memory_policy_is_set,
    a_memory_policy_with_flags_is_set,
    a_memory_policy_that_is_none_is_refused,
    intel_rdt_without_resctrl_is_an_error,
    a_mount_label_is_given_to_mounts,
];

fn sysctls_are_set(case: &Case<'_>) -> Result<()> {
    let sysctl = json!({"net.ipv4.ip_forward": "1", "net.core.somaxconn": "256", "kernel.msgmax": "16384"});
    let bundle = case.bundle()?.set("/linux/sysctl", sysctl);
    let paths = ["/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/core/somaxconn", "/proc/sys/kernel/msgmax"];
    let questions: Vec<[&str; 2]> = paths.iter().map(|path| ["read", path]).collect();
    let questions: Vec<&[&str]> = questions.iter().map(<[&str; 2]>::as_slice).collect();
    let answers = case.answers_of(bundle, &questions)?;
    for (answer, wanted) in answers.iter().zip(["1\n", "256\n", "16384\n"]) {
        same("the value", &answer["text"], wanted)?;
    }
    Ok(())
}

fn masked_paths_cannot_be_read(case: &Case<'_>) -> Result<()> {
    let paths = json!(["/data/file", "/data/dir", "/proc/version", "/no/such/path"]);
    let bundle = case.bundle()?.set("/linux/maskedPaths", paths);
    fs::write(bundle.path("/data/file"), "secret")?;
    fs::create_dir(bundle.path("/data/dir"))?;
    fs::write(bundle.path("/data/dir/inner"), "secret")?;
    let questions: &[&[&str]] = &[
        &["read", "/data/file"],
        &["list", "/data/dir"],
        &["read", "/data/dir/inner"],
        &["read", "/proc/version"],
    ];
    let answers = case.answers_of(bundle, questions)?;
    for answer in &answers {
        let nothing = answer["errno"] != 0 || answer["text"] == "" || answer["names"] == json!([]);
        ensure!(nothing, "something can be read: {answer}");
    }
    Ok(())
}

fn masked_paths_that_are_relative_are_refused(case: &Case<'_>) -> Result<()> {
    case.refuses_to_run(&case.bundle()?.set("/linux/maskedPaths", json!(["data"]))).map(drop)
}

fn readonly_paths_cannot_be_written(case: &Case<'_>) -> Result<()> {
    let bundle =
        case.bundle()?.set("/linux/readonlyPaths", json!(["/data/dir", "/data/file", "/no/such/path"]));
    fs::create_dir(bundle.path("/data/dir"))?;
    fs::write(bundle.path("/data/file"), "kept")?;
    let questions: &[&[&str]] =
        &[&["touch", "/data/dir/new"], &["write", "/data/file", "x"], &["read", "/data/file"]];
    let answers = case.answers_of(bundle, questions)?;
    same("the error of a new file", &answers[0]["errno"], 30)?;
    same("the error of writing", &answers[1]["errno"], 30)?;
    same("what can still be read", &answers[2]["text"], "kept")
}

fn readonly_paths_that_are_relative_are_refused(case: &Case<'_>) -> Result<()> {
    case.refuses_to_run(&case.bundle()?.set("/linux/readonlyPaths", json!(["data"]))).map(drop)
}

fn root_with(case: &Case<'_>, propagation: &str) -> Result<Bundle> {
    Ok(case.bundle()?.set("/linux/rootfsPropagation", propagation))
}

fn the_root_propagates_as_given(case: &Case<'_>) -> Result<()> {
    for (propagation, word) in
        [("shared", "shared:"), ("slave", ""), ("private", ""), ("unbindable", "unbindable")]
    {
        let report = case.report_of(root_with(case, propagation)?).with_context(|| propagation.to_owned())?;
        let words = &mount_at(&report, "/")?["propagation"];
        let list: Vec<&str> = words.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let shared = list.iter().any(|found| found.starts_with("shared:"));
        let unbindable = list.contains(&"unbindable");
        let wanted = (word == "shared:", word == "unbindable");
        ensure!((shared, unbindable) == wanted, "with {propagation} the root is {list:?}");
    }
    Ok(())
}

fn an_unbindable_root_cannot_be_bound(case: &Case<'_>) -> Result<()> {
    let capabilities = json!(["CAP_SYS_ADMIN"]);
    let sets = json!({"bounding": capabilities, "permitted": capabilities, "effective": capabilities});
    for (propagation, refused) in [("unbindable", true), ("private", false)] {
        let bundle = root_with(case, propagation)?.set("/process/capabilities", sets.clone());
        let answer = case.answer_of(bundle, &["bind", "/data", "/mnt"])?;
        ensure!(
            (answer["errno"] != 0) == refused,
            "with {propagation} a bind mount ends with {}",
            answer["errno"]
        );
    }
    Ok(())
}

fn the_personality_is_set(case: &Case<'_>) -> Result<()> {
    for (domain, value) in [("LINUX", "00000000"), ("LINUX32", "00000008")] {
        let bundle = case.bundle()?.set("/linux/personality", json!({"domain": domain}));
        let report = case.report_of(bundle)?;
        same(domain, &report["personality"], value)?;
        let machine = report["host"]["machine"].as_str().unwrap_or_default().to_owned();
        ensure!(
            (machine == "i686") == (domain == "LINUX32") || !cfg!(target_arch = "x86_64"),
            "{domain}: {machine}"
        );
    }
    Ok(())
}

fn personality_flags_are_refused(case: &Case<'_>) -> Result<()> {
    let personality = json!({"domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE"]});
    case.refuses_to_run(&case.bundle()?.set("/linux/personality", personality)).map(drop)
}

fn needs_numa() -> Result<()> {
    if Path::new("/proc/self/numa_maps").exists() {
        Ok(())
    } else {
        unfit("this kernel has no memory policies")
    }
}

fn a_memory_policy_is_set(case: &Case<'_>) -> Result<()> {
    needs_numa()?;
    for (mode, nodes, wanted) in [
        ("MPOL_BIND", Some("0"), "bind:0"),
        ("MPOL_INTERLEAVE", Some("0"), "interleave:0"),
        ("MPOL_PREFERRED", Some("0"), "prefer:0"),
        ("MPOL_LOCAL", None, "local"),
        ("MPOL_DEFAULT", None, "default"),
    ] {
        let mut policy = json!({"mode": mode});
        if let Some(nodes) = nodes {
            policy["nodes"] = json!(nodes);
        }
        let report = case.report_of(case.bundle()?.set("/linux/memoryPolicy", policy))?;
        same(mode, &report["memory_policy"], wanted)?;
    }
    Ok(())
}

fn a_memory_policy_with_flags_is_set(case: &Case<'_>) -> Result<()> {
    needs_numa()?;
    for (flag, word) in [("MPOL_F_STATIC_NODES", "static"), ("MPOL_F_RELATIVE_NODES", "relative")] {
        let policy = json!({"mode": "MPOL_BIND", "nodes": "0", "flags": [flag]});
        let report = case.report_of(case.bundle()?.set("/linux/memoryPolicy", policy))?;
        same(flag, &report["memory_policy"], format!("bind={word}:0"))?;
    }
    Ok(())
}

fn a_memory_policy_that_is_none_is_refused(case: &Case<'_>) -> Result<()> {
    for policy in [
        json!({"mode": "MPOL_ANYWHERE"}),
        json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_OF_THE_FUTURE"]}),
        json!({"mode": "MPOL_BIND", "nodes": "zero"}),
        json!({"nodes": "0"}),
    ] {
        case.refuses_to_run(&case.bundle()?.set("/linux/memoryPolicy", policy.clone()))
            .context(policy.to_string())?;
    }
    Ok(())
}

fn intel_rdt_without_resctrl_is_an_error(case: &Case<'_>) -> Result<()> {
    if fs::read_to_string("/proc/self/mountinfo")?.contains(" - resctrl ") {
        return unfit("this machine has resctrl");
    }
    for rdt in
        [json!({"closID": "class"}), json!({"l3CacheSchema": "L3:0=f"}), json!({"enableMonitoring": true})]
    {
        case.refuses(&case.bundle()?.set("/linux/intelRdt", rdt.clone())).context(rdt.to_string())?;
    }
    Ok(())
}

fn a_mount_label_is_given_to_mounts(case: &Case<'_>) -> Result<()> {
    if !Path::new("/sys/fs/selinux/enforce").exists() {
        return unfit("SELinux is not in force here");
    }
    let label = "system_u:object_r:svirt_sandbox_file_t:s0:c715,c811";
    let bundle = case.bundle()?.set("/linux/mountLabel", label).mount("/mnt", "tmpfs", "tmpfs", &[]);
    let report = case.report_of(bundle)?;
    let words = &mount_at(&report, "/mnt")?["superblock"];
    ensure!(
        has(words, &format!("rootcontext={label}")) || words.to_string().contains("svirt_sandbox_file_t"),
        "{words}"
    );
    Ok(())
}
