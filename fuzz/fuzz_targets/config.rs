//! config.json, from its bytes to the plan: whatever passes the checks must give a plan that keeps the rules of order.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mydocker_runtime::cgroup::{CgroupPath, CgroupRecord, Layout, ResourcePlan};
use mydocker_runtime::plan::{self, CreateOptions, Plan};
use mydocker_runtime::spec::{self, Spec};
use mydocker_runtime::validate::{self, Facts, ValidSpec};
use std::path::Path;

/// The mount table and the cgroups of a host with v1 hierarchies and v2 beside them, and of one with v2 alone.
const HOSTS: [(&str, &str); 2] = [
    (
        "30 25 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
         31 25 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
         32 25 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
        "2:cpu,cpuacct:/\n1:memory:/\n0::/\n",
    ),
    ("30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "0::/\n"),
];

fuzz_target!(|bytes: &[u8]| {
    let Ok(spec) = spec::parse(bytes) else { return };
    let records =
        HOSTS.iter().filter_map(|(mounts, groups)| place(&spec, &Layout::parse(mounts, groups).ok()?));
    let records: Vec<CgroupRecord> = records.collect();
    for euid in [0, 1000] {
        let facts = Facts { euid, last_capability: 40, permitted: u64::MAX };
        let Ok(valid) = validate::validate(spec.clone(), Path::new("/bundle"), &facts) else { continue };
        for cgroup in &records {
            let plan = planned(&valid, cgroup, euid);
            plan::lint(&plan).expect("a plan keeps the rules of order");
            plan.steps.iter().for_each(|step| drop(plan::details(step)));
        }
    }
});

fn place(spec: &Spec, layout: &Layout) -> Option<CgroupRecord> {
    let linux = spec.linux.as_ref()?;
    let path = CgroupPath::parse(&linux.cgroups_path, "id").ok()?;
    let resources = linux.resources.clone().unwrap_or_default();
    if let Ok(limits) = ResourcePlan::from_spec(&resources, &linux.devices) {
        drop(limits.lower(layout));
    }
    Some(CgroupRecord::place(layout, &path))
}

fn planned(spec: &ValidSpec, cgroup: &CgroupRecord, euid: u32) -> Plan {
    let await_start = euid == 0;
    plan::create(
        spec,
        &CreateOptions {
            id: "id",
            cgroup,
            await_start,
            no_pivot: false,
            no_new_keyring: false,
            preserve_fds: 0,
            euid,
            nested: euid != 0,
        },
    )
}
