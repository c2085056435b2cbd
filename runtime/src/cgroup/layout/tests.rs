use super::*;

const HYBRID: &str = "\
23 28 0:21 / /sys rw - sysfs sysfs rw
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/unified rw,relatime shared:5 - cgroup2 cgroup2 rw,nsdelegate
33 31 0:30 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
34 31 0:31 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
36 31 0:33 / /sys/fs/cgroup/tracker rw,relatime - cgroup cgroup rw,name=elogind
";
const HYBRID_OWN: &str = "5:memory:/m\n4:cpu,cpuacct:/c\n1:name=systemd:/s/x\n0::/u:v\n";

fn found(layout: &Layout) -> Vec<(String, &str, &str)> {
    layout
        .hierarchies
        .iter()
        .map(|hierarchy| (hierarchy.kind.to_string(), &*hierarchy.mount_point, &*hierarchy.own))
        .collect()
}

#[test]
fn a_hybrid_host_has_its_v1_hierarchies_first_and_v2_last() {
    let layout = Layout::parse(HYBRID, HYBRID_OWN).unwrap();
    assert_eq!(layout.mode(), Mode::Hybrid);
    let expected = [
        ("name=systemd".to_owned(), "/sys/fs/cgroup/systemd", "/s/x"),
        ("cpu,cpuacct".to_owned(), "/sys/fs/cgroup/cpu,cpuacct", "/c"),
        ("memory".to_owned(), "/sys/fs/cgroup/memory", "/m"),
        (String::new(), "/sys/fs/cgroup/unified", "/u:v"),
    ];
    assert_eq!(found(&layout), expected);
}

#[test]
fn controllers_that_are_mounted_together_share_a_hierarchy_and_others_have_none() {
    let layout = Layout::parse(HYBRID, HYBRID_OWN).unwrap();
    assert_eq!(layout.v1(Controller::Cpu), layout.v1(Controller::CpuAcct));
    assert!(layout.v1(Controller::Cpu).is_some());
    assert_eq!(layout.v1(Controller::HugeTlb), None);
}

#[test]
fn v2_alone_is_v2_also_beside_a_named_hierarchy() {
    let alone = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
    let layout = Layout::parse(alone, "0::/user.slice\n").unwrap();
    assert_eq!(layout.mode(), Mode::V2);
    assert_eq!(found(&layout), [(String::new(), "/sys/fs/cgroup", "/user.slice")]);

    let named = "31 30 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n";
    assert_eq!(Layout::parse(&format!("{alone}{named}"), "0::/\n").unwrap().mode(), Mode::V2);
}

#[test]
fn v1_alone_is_v1() {
    let text = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
    assert_eq!(Layout::parse(text, "5:memory:/\n").unwrap().mode(), Mode::V1);
}

#[test]
fn a_host_without_cgroups_is_told_so() {
    let text = "23 28 0:21 / /sys rw - sysfs sysfs rw\n";
    assert!(matches!(Layout::parse(text, ""), Err(LayoutError::NotMounted)));
}

#[test]
fn hierarchies_under_a_later_mount_are_not_seen() {
    let over = format!("{HYBRID}40 31 0:40 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    let layout = Layout::parse(&over, HYBRID_OWN).unwrap();
    assert_eq!(found(&layout), [(String::new(), "/sys/fs/cgroup", "/u:v")]);
}

#[test]
fn an_ancestor_that_is_listed_later_hides_nothing() {
    let moved = "\
31 40 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw
35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
40 1 8:1 / / rw - ext4 /dev/vda rw
";
    assert_eq!(Layout::parse(moved, "5:memory:/\n").unwrap().mode(), Mode::V1);
}

#[test]
fn the_usual_place_wins_over_a_container_s_mount_of_the_same_hierarchy() {
    let text = "\
30 23 0:26 /pod /var/lib/x/rootfs/sys/fs/cgroup ro - cgroup2 cgroup2 rw
31 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
";
    assert_eq!(found(&Layout::parse(text, "0::/a\n").unwrap()), [(String::new(), "/sys/fs/cgroup", "/a")]);
}

#[test]
fn the_own_cgroup_is_told_as_the_mount_shows_it() {
    let own = |root: &str, own: &str| {
        let text = format!("31 23 0:26 {root} /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
        Layout::parse(&text, &format!("0::{own}\n")).unwrap().hierarchies[0].own.clone()
    };
    assert_eq!(own("/", "/a/b"), "/a/b");
    // A container without a cgroup namespace sees the host's path, and a mount whose root is its own cgroup.
    assert_eq!(own("/docker/1", "/docker/1/a"), "/a");
    assert_eq!(own("/docker/1", "/docker/1"), "/");
    assert_eq!(own("/docker/1", "/docker/10"), "/");
    // A cgroup namespace without a mount of its own, and a process moved out of its namespace's root.
    assert_eq!(own("/../..", "/"), "/");
    assert_eq!(own("/", "/../x"), "/");
}

#[test]
fn escaped_mount_points_are_told_as_they_are() {
    let text = "31 23 0:26 / /mnt/a\\040b\\134c rw - cgroup2 cgroup2 rw\n";
    assert_eq!(Layout::parse(text, "0::/\n").unwrap().hierarchies[0].mount_point, "/mnt/a b\\c");
}

#[test]
fn privileged_this_machine_s_layout_has_a_directory_behind_every_mount_point() {
    let layout = Layout::load_with_own(Controller::ALL.into_iter().collect()).unwrap();
    for hierarchy in &layout.hierarchies {
        let path = format!("{}{}/cgroup.procs", hierarchy.mount_point, hierarchy.own);
        assert!(Path::new(&path).exists(), "{path}");
    }
}

#[test]
fn every_controller_is_found_by_both_of_its_names() {
    for controller in Controller::ALL {
        for name in [controller.name(), controller.unified_name()] {
            assert_eq!(Controller::from_name(name), Some(controller));
        }
    }
    assert_eq!(Controller::from_name("rw"), None);
}

/// The spelling is the kernel's. A name of no controller was read as a hierarchy without any, and that written as v2.
#[test]
fn a_hierarchy_is_recorded_by_its_controllers_and_read_when_all_are_known() {
    let read = |text: &str| serde_json::from_value::<HierarchyKind>(serde_json::json!(text));
    for text in ["", "cpu,cpuacct", "memory", "name=systemd"] {
        let kind = read(text).expect("a hierarchy");
        assert_eq!(serde_json::json!(kind), text);
    }
    for text in ["ipc", "cpu,ipc", ","] {
        let error = read(text).expect_err("no hierarchy").to_string();
        assert!(error.contains("is no cgroup controller"), "{error}");
    }
}
