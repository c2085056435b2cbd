use super::*;
use crate::cgroup::{CgroupPath, CgroupRecord, Layout};
use crate::plan::{Attributes, CreateOptions, ExecOptions, MountStep, ParentPlan, TargetRule, create, exec};
use crate::spec::{DefaultOptions, NamespaceKind, default_spec, parse};
use crate::validate::{Facts, MemoryPolicy, ValidSpec, validate};
use mydocker_sys::process::CapabilitySets;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const ROOT: Facts = Facts { euid: 0, last_capability: 40, permitted: u64::MAX };

/// On a host with cgroup v2 alone, and on one with both versions.
fn cgroups() -> [CgroupRecord; 2] {
    let unified = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
    let hybrid = "30 23 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
                  31 23 0:27 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n";
    [(unified, "0::/\n"), (hybrid, "1:pids:/\n0::/\n")].map(|(mounts, own)| {
        let layout = Layout::parse(mounts, own).expect("a layout");
        CgroupRecord::place(&layout, &CgroupPath::parse("/a", "box").expect("a path"))
    })
}

fn join() -> Step {
    Step::JoinNamespace { kind: NamespaceKind::Network, path: "/run/netns/a".into() }
}

fn drop_capabilities() -> Step {
    let none = CapabilitySets { effective: 0, permitted: 0, inheritable: 0 };
    Step::SetCapabilities { sets: none, ambient: 0 }
}

fn pivot() -> Step {
    Step::Pivot { still_shared: false }
}

fn mask() -> Step {
    Step::MaskPath { path: "/proc/kcore".into() }
}

fn readonly() -> Step {
    Step::ReadonlyPath { path: "/proc/sys".into() }
}

fn label() -> Step {
    Step::SetLabel { file: "exec".into(), label: "a".into() }
}

fn sysctl() -> Step {
    Step::SetSysctl { path: "net/ipv4/ip_forward".into(), value: "1".into() }
}

fn mount_of_cgroups() -> Step {
    Step::Mount(MountStep {
        what: MountKind::CgroupV1 { hierarchies: Vec::new(), top_is_writable: false },
        target: "/sys/fs/cgroup".into(),
        attributes: Attributes::default(),
        propagation: Vec::new(),
        target_rule: TargetRule::NoLinks,
    })
}

fn run() -> Step {
    Step::Exec { args: vec!["/bin/true".into()] }
}

fn plan(prelude: Vec<Step>, steps: Vec<Step>) -> Plan {
    Plan { parent: ParentPlan::default(), prelude, steps }
}

/// What the linter says of a plan without a prelude: the step's place and the rule.
fn verdict(steps: Vec<Step>) -> Option<(usize, &'static str)> {
    lint(&plan(Vec::new(), steps)).err().map(|violation| (violation.index, violation.rule))
}

#[test]
fn every_rule_is_broken_by_a_plan_and_named() {
    use Step::{AwaitStart, JoinCgroups, LoadSeccomp, OpenProcfs, Ready, SetNoNewPrivileges};
    let enter = || Step::EnterCgroups { namespace: true };
    let table: [(Vec<Step>, usize, &str); 19] = [
        (vec![join()], 0, "hides from tracers before it joins"),
        (vec![join(), Step::HideFromTracers], 0, "hides from tracers before it joins"),
        (vec![pivot(), JoinCgroups], 1, "phases never go back"),
        (vec![Ready, pivot()], 1, "phases never go back"),
        (vec![enter(), JoinCgroups], 1, "phases never go back"),
        (vec![Step::AwaitIdMaps, enter()], 0, "before anything is asked of the parent"),
        (vec![mount_of_cgroups(), enter()], 0, "before anything is asked of the parent or shows them"),
        (vec![Step::OpenTerminal { size: None, console: true }, enter()], 0, "before anything is asked"),
        (vec![SetNoNewPrivileges, run()], 0, "the parent is told before a filter can forbid it"),
        (vec![LoadSeccomp, drop_capabilities(), run()], 0, "the parent is told before"),
        (vec![Ready, drop_capabilities(), LoadSeccomp], 2, "loads before the capabilities go"),
        (vec![Ready, SetNoNewPrivileges, LoadSeccomp, drop_capabilities()], 2, "as late as possible"),
        (vec![Ready, LoadSeccomp, SetNoNewPrivileges, drop_capabilities()], 1, "as late as possible"),
        (vec![Ready, OpenProcfs, drop_capabilities(), label()], 1, "phases never go back"),
        (vec![OpenProcfs, Ready, drop_capabilities(), label()], 3, "needs privilege comes after"),
        (vec![mask(), Ready], 0, "paths are masked after the pivot"),
        (vec![readonly(), Ready], 0, "paths are masked after the pivot"),
        (vec![pivot(), sysctl(), OpenProcfs], 1, "through the private procfs"),
        (vec![Ready, AwaitStart, run(), run()], 2, "nothing comes after the program"),
    ];
    for (steps, index, rule) in table {
        let shown = format!("{steps:?}");
        let (found, named) = verdict(steps).unwrap_or_else(|| panic!("nothing is wrong with {shown}"));
        assert!(found == index && named.contains(rule), "{shown}: step {found}, {named}");
    }
}

#[test]
fn a_violation_tells_the_step_and_the_rule() {
    let violation =
        lint(&plan(vec![Step::JoinCgroups, join()], Vec::new())).expect_err("it joins in the open");
    assert_eq!(
        violation.to_string(),
        "step 1 (join the network namespace /run/netns/a) breaks a rule of order: \
         a process hides from tracers before it joins a namespace of others"
    );
}

#[test]
fn what_an_ordinary_user_writes_about_itself_excuses_a_join_before_hiding() {
    let hidden_late = vec![Step::AwaitIdMaps, Step::HideFromTracers];
    assert_eq!(lint(&plan(vec![join()], hidden_late)), Ok(()));
    assert_eq!(verdict(vec![Step::HideFromTracers, join()]), None);
}

#[test]
fn the_last_steps_may_follow_each_other_in_either_order_of_the_filter() {
    use Step::{AwaitStart, LoadSeccomp, Ready, SetNoNewPrivileges};
    let hook = Step::RunHooks { kind: "startContainer", hooks: Vec::new() };
    let end = [AwaitStart, hook, run()];
    let plain = [Ready, LoadSeccomp, drop_capabilities()];
    let without_new_privileges = [Ready, SetNoNewPrivileges, drop_capabilities(), LoadSeccomp];
    assert_eq!(verdict([&plain[..], &end].concat()), None);
    assert_eq!(verdict([&without_new_privileges[..], &end].concat()), None);
}

fn valid(config: &[u8]) -> Option<ValidSpec> {
    validate(parse(config).expect("a configuration"), Path::new("/bundle"), &ROOT).ok()
}

#[test]
fn the_plans_of_real_configurations_keep_every_rule() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let files = std::fs::read_dir(directory).expect("the configurations").flatten().map(|entry| entry.path());
    let configs: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|e| e == "json")).collect();
    assert!(configs.len() >= 7, "{configs:?}");
    for config in configs {
        let spec = valid(&std::fs::read(&config).expect("a configuration")).expect("a valid configuration");
        for bits in 0..64 {
            for cgroup in cgroups() {
                assert_eq!(lint(&create(&spec, &options(&cgroup, bits))), Ok(()), "{}", config.display());
            }
        }
        let process = spec.process.expect("a process");
        for (seccomp, is_host_root) in [(false, true), (true, true), (true, false)] {
            let namespaces = [NamespaceKind::User, NamespaceKind::Pid, NamespaceKind::Mount];
            let policy = MemoryPolicy { mode: 0, nodes: Vec::new() };
            let options = ExecOptions {
                seccomp,
                personality: Some(8),
                memory_policy: Some(&policy),
                ..joining(&namespaces, is_host_root)
            };
            assert_eq!(lint(&exec(&process, &options)), Ok(()), "{}", config.display());
        }
    }
}

/// The further groups that a plan sets.
fn groups(plan: &Plan) -> Option<Vec<u32>> {
    let set = plan.steps.iter().find_map(|step| match step {
        Step::SetIds { groups, .. } => Some(groups.clone()),
        _ => None,
    });
    set.expect("every program gets ids")
}

#[test]
fn the_callers_groups_stay_where_an_annotation_asks_for_it() {
    for (value, kept) in [(Some("1"), true), (Some(""), true), (Some("0"), false), (None, false)] {
        let mut document = serde_json::to_value(default_spec(DefaultOptions::default())).expect("JSON");
        document["process"]["user"]["additionalGids"] = json!([7]);
        let entry = value.map(|value| ("run.oci.keep_original_groups", value));
        document["annotations"] =
            entry.into_iter().map(|(key, value)| (key.to_owned(), Value::from(value))).collect();
        let spec = valid(document.to_string().as_bytes()).expect("a valid configuration");
        let wanted = (!kept).then(|| vec![7]);
        assert_eq!(groups(&create(&spec, &options(&cgroups()[0], 0))), wanted, "{value:?}");
        let process = spec.process.as_ref().expect("a process");
        let options = ExecOptions { keeps_groups: spec.keeps_groups, ..joining(&[], true) };
        assert_eq!(groups(&exec(process, &options)), wanted, "{value:?}");
    }
}

/// What is known of a container when a process joins it.
fn joining(namespaces: &[NamespaceKind], is_host_root: bool) -> ExecOptions<'_> {
    ExecOptions {
        unit: None,
        id: "box",
        namespaces,
        rootfs: Path::new("/rootfs"),
        seccomp: false,
        landlock: None,
        keeps_groups: false,
        personality: None,
        memory_policy: None,
        is_host_root,
        preserve_fds: 0,
    }
}

/// The options of the caller out of six bits.
fn options(cgroup: &CgroupRecord, bits: u64) -> CreateOptions<'_> {
    let bit = |index: u64| bits >> index & 1 == 1;
    CreateOptions {
        id: "box",
        cgroup,
        await_start: bit(0),
        no_pivot: bit(1),
        no_new_keyring: bit(2),
        preserve_fds: u32::from(bit(3)),
        euid: if bit(4) { 1000 } else { 0 },
        nested: bit(5),
    }
}

/// xorshift64* (Vigna): the same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }

    fn chance(&mut self, of: u64) -> bool {
        self.next().is_multiple_of(of)
    }
}

/// A configuration by chance; some ask for what cannot be together, and are refused.
fn configuration(random: &mut Random) -> Value {
    let mut document = serde_json::to_value(default_spec(DefaultOptions::default())).expect("a document");
    namespaces(&mut document["linux"], random);
    let process = &mut document["process"];
    process["terminal"] = json!(random.chance(2));
    process["noNewPrivileges"] = json!(random.chance(2));
    process["cwd"] = json!(if random.chance(2) { "/" } else { "/srv" });
    if random.chance(3) {
        process["apparmorProfile"] = json!("unconfined");
    }
    if random.chance(3) {
        process["scheduler"] = json!({ "policy": "SCHED_BATCH", "nice": 5 });
        process["ioPriority"] = json!({ "class": "IOPRIO_CLASS_BE", "priority": 4 });
    }
    if random.chance(2) {
        document["linux"]["seccomp"] = json!({ "defaultAction": "SCMP_ACT_ALLOW" });
    }
    if random.chance(2) {
        document["linux"]["sysctl"] = json!({ "net.ipv4.ip_forward": "1" });
    }
    if random.chance(3) {
        document["linux"]["rootfsPropagation"] = json!("shared");
    }
    document["root"]["readonly"] = json!(random.chance(2));
    hooks(&mut document, random);
    document
}

/// Each kind is the host's, new, or joined.
fn namespaces(linux: &mut Value, random: &mut Random) {
    let mut list = Vec::new();
    for kind in ["pid", "network", "ipc", "uts", "cgroup", "time", "user"] {
        match random.next() % 5 {
            0 => {}
            1 => list.push(json!({ "type": kind, "path": format!("/run/namespaces/{kind}") })),
            _ => list.push(json!({ "type": kind })),
        }
    }
    if !random.chance(8) {
        list.push(json!({ "type": "mount" }));
    }
    if list.contains(&json!({ "type": "user" })) {
        let map = json!([{ "containerID": 0, "hostID": 100_000, "size": 65536 }]);
        linux["uidMappings"] = map.clone();
        linux["gidMappings"] = map;
    }
    if list.contains(&json!({ "type": "time" })) {
        linux["timeOffsets"] = json!({ "monotonic": { "secs": 10 } });
    }
    linux["namespaces"] = json!(list);
}

fn hooks(document: &mut Value, random: &mut Random) {
    for kind in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] {
        if random.chance(3) {
            document["hooks"][kind] = json!([{ "path": "/bin/true" }]);
        }
    }
}

#[test]
fn the_plan_of_every_valid_configuration_keeps_every_rule() {
    let (mut random, cgroups) = (Random(0x9e37_79b9_7f4a_7c15), cgroups());
    let (mut accepted, mut late) = (0, 0);
    for _ in 0..2000 {
        let document = configuration(&mut random);
        let bits = random.next();
        let Some(spec) = valid(document.to_string().as_bytes()) else { continue };
        accepted += 1;
        for cgroup in &cgroups {
            let plan = create(&spec, &options(cgroup, bits));
            late += usize::from(plan.enters_cgroups_late());
            assert_eq!(lint(&plan), Ok(()), "options {:?}\n{document:#}", options(cgroup, bits));
        }
    }
    assert!(accepted >= 500, "only {accepted} of 2000 were valid");
    assert!((20..=accepted).contains(&late), "{late} of {accepted} enter their cgroups late");
}
