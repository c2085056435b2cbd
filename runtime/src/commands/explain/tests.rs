use super::*;
use crate::cgroup::{CgroupPath, Layout, ResourcePlan};
use crate::spec;
use crate::validate::{Facts, validate};

const V1: &str = "\
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
33 31 0:30 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
34 31 0:31 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
36 31 0:33 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
37 31 0:34 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices
";
const V2: &str = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";

fn valid(config: &[u8]) -> ValidSpec {
    let facts = Facts { euid: 0, last_capability: 40, permitted: u64::MAX };
    validate(spec::parse(config).unwrap(), Path::new("/bundle"), &facts).unwrap()
}

/// What was typed: nothing.
fn arguments() -> ExplainArgs {
    ExplainArgs { bundle: None, format: PlanFormat::Text, no_pivot: false, no_new_keyring: false, dir: None }
}

fn layout(mounts: &str) -> Layout {
    let mut layout = Layout::parse(mounts, "0::/\n").unwrap();
    if layout.unified().is_some() {
        layout.unified_controllers = Controller::ALL.into_iter().collect();
    }
    layout
}

/// What is shown of docker's container on a host with these cgroup mounts.
fn docker_on<T>(mounts: &str, show: impl Fn(&Explanation<'_>) -> T) -> T {
    let spec = valid(include_bytes!("../../../testdata/config-docker-seccomp.json"));
    let linux = spec.spec().linux.as_ref().unwrap();
    let (resources, layout) = (linux.resources.as_ref().unwrap(), layout(mounts));
    let limits = ResourcePlan::from_spec(resources, &linux.devices).unwrap().lower(&layout).unwrap();
    let path = CgroupPath::parse(&linux.cgroups_path, ID).unwrap();
    let cgroup = CgroupRecord::place(&layout, &path);
    show(&Explanation::new(&arguments(), &spec, &cgroup, &limits, None))
}

/// The lines that depend on the host's hierarchies.
fn cgroup_lines(explanation: &Explanation<'_>) -> String {
    let text = explanation.to_string();
    let (first, rest) = text.split_once("runtime\n").unwrap();
    let mount =
        rest.lines().filter(|line| line.contains("mount cgroup2") || line.contains("mount the cgroup"));
    let below = rest.lines().filter(|line| line.starts_with("    cgroup "));
    mount.chain(below).fold(first.to_owned(), |text, line| text + line + "\n")
}

fn compare(name: &str, found: &str) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, found).unwrap();
    }
    assert_eq!(found, std::fs::read_to_string(&golden).unwrap(), "UPDATE_GOLDEN=1 rewrites {name}");
}

#[test]
fn the_cgroups_of_dockers_container_are_the_golden_ones_on_every_kind_of_host() {
    for (name, mounts) in [("v1", V1.to_owned()), ("v2", V2.to_owned()), ("hybrid", hybrid())] {
        compare(&format!("cgroup-{name}.txt"), &docker_on(&mounts, cgroup_lines));
    }
}

fn hybrid() -> String {
    format!("{V1}32 31 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n")
}

#[test]
fn the_document_has_every_write_and_the_whole_device_filter() {
    let document = |mounts| docker_on(mounts, |explanation| serde_json::to_value(explanation).unwrap());
    let v1 = document(V1);
    assert_eq!(
        v1["cgroup"]["devices"]["rules"][0],
        serde_json::json!({ "file": "devices.deny", "value": "a" })
    );
    assert!(v1["cgroup"]["writes"].as_array().unwrap().iter().any(|write| write["controller"] == "pids"));
    let program = &document(V2)["cgroup"]["devices"]["program"];
    assert!(program.as_array().unwrap().iter().all(serde_json::Value::is_u64));
    assert_eq!(v1["seccomp"]["defaultAction"], "SCMP_ACT_ERRNO");
}

#[test]
fn scheduling_clocks_and_later_hooks_are_in_the_text_and_in_the_document() {
    let mut config = serde_json::to_value(spec::default_spec(spec::DefaultOptions::default())).unwrap();
    config["process"]["scheduler"] = serde_json::json!({ "policy": "SCHED_BATCH", "nice": 5 });
    config["linux"]["timeOffsets"] = serde_json::json!({ "boottime": { "secs": 10, "nanosecs": 7 } });
    let time = serde_json::json!({ "type": "time" });
    config["linux"]["namespaces"].as_array_mut().unwrap().push(time);
    config["hooks"]["poststop"] =
        serde_json::json!([{ "path": "/bin/true", "args": ["true"], "timeout": 3 }]);
    let spec = valid(config.to_string().as_bytes());
    let cgroup = CgroupRecord::place(&layout(V2), &CgroupPath::parse("", ID).unwrap());
    let limits = Lowered::default();
    let explanation = Explanation::new(&arguments(), &spec, &cgroup, &limits, None);
    let text = explanation.to_string();
    for line in [
        "prelude (a",
        "boottime: 10 s and 7 ns",
        "policy SCHED_BATCH",
        "nice 5",
        "/bin/true [\"true\"], killed after 3 s",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
    let document = serde_json::to_value(&explanation).unwrap();
    assert_eq!(document["parent"]["timeOffsets"]["boottime"]["secs"], 10);
    let steps = document["steps"].as_array().unwrap();
    let scheduler = steps.iter().find(|step| step["step"] == "set-scheduler").unwrap();
    assert_eq!(
        (&scheduler["attributes"]["policy"], &scheduler["attributes"]["nice"]),
        (&3.into(), &5.into())
    );
    assert_eq!(document["laterHooks"][0][0], "poststop");
}
