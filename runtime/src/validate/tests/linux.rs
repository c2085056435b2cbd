//! Devices, classes of service and kernel parameters.

use super::*;

#[test]
fn a_sysctl_is_allowed_only_in_a_namespace_that_holds_it() {
    for (name, kind) in [
        ("kernel.msgmax", "ipc"),
        ("kernel/msgmnb", "ipc"),
        ("kernel.msgmni", "ipc"),
        ("kernel.sem", "ipc"),
        ("kernel.shmall", "ipc"),
        ("kernel.shmmax", "ipc"),
        ("kernel.shmmni", "ipc"),
        ("kernel.shm_rmid_forced", "ipc"),
        ("fs.mqueue.msg_max", "ipc"),
        ("fs/mqueue/msg_max", "ipc"),
        ("net.ipv4.ip_forward", "network"),
        ("kernel.domainname", "uts"),
    ] {
        let sysctl = ("/linux/sysctl", json!({name: "1"}));
        let pointer = format!("/linux/sysctl/{}", name.replace('/', "~1"));
        let others =
            ["ipc", "network", "uts", "mount"].map(|other| if other == kind { "pid" } else { other });
        let edits = [("/linux/namespaces", namespaces(&others)), ("/hostname", json!("")), sysctl.clone()];
        refused_for(&ROOT, &edits, &pointer, &format!("host's {kind} namespace"));
        accepted(&[sysctl]);
    }
    refused_for(
        &ROOT,
        &[("/linux/sysctl", json!({"user.max_x": "1"}))],
        "/linux/sysctl/user.max_x",
        "user namespace",
    );
    let mut edits = user_namespace(&json!([mapping(0, 0, 1)])).to_vec();
    edits.push(("/linux/sysctl", json!({"user.max_mnt_namespaces": "1"})));
    accepted(&edits);
}

#[test]
fn a_sysctl_of_the_host_or_with_a_way_out_of_its_namespace_is_refused() {
    for (name, words) in [
        ("kernel.hostname", "another field"),
        ("kernel.core_pattern", "no namespace holds it"),
        ("vm.swappiness", "no namespace holds it"),
        ("net", "no namespace holds it"),
        ("netfilter.x", "no namespace holds it"),
        ("net/../kernel/core_pattern", "does not name"),
        ("net.//.kernel.core_pattern", "does not name"),
        ("/proc/sys/net/x", "does not name"),
        ("net..x", "does not name"),
        ("net.x.", "does not name"),
        ("", "does not name"),
        ("net.x\0", "does not name"),
    ] {
        let pointer = format!("/linux/sysctl/{}", name.replace('/', "~1"));
        refused_for(&ROOT, &[("/linux/sysctl", json!({name: "1"}))], &pointer, words);
    }
    refused_for(&ROOT, &[("/linux/sysctl", json!({"net.x": "1\0"}))], "/linux/sysctl/net.x", "NUL");
}

#[test]
fn both_notations_of_a_sysctl_name_the_same_file() {
    for name in ["net.ipv4.conf.eno2/100.rp_filter", "net/ipv4/conf/eno2.100/rp_filter"] {
        let valid = accepted(&[("/linux/sysctl", json!({name: "1"}))]);
        assert_eq!(valid.sysctls[0].path, Path::new("net/ipv4/conf/eno2.100/rp_filter"));
    }
}

fn device(path: &str, kind: &str, major: i64, minor: i64) -> Value {
    json!({"path": path, "type": kind, "major": major, "minor": minor})
}

#[test]
fn devices_that_cannot_be_made_are_refused() {
    let one = |value: Value| [("/linux/devices", json!([value]))];
    let with = |key: &str, value: Value| {
        let mut device = device("/dev/x", "c", 1, 3);
        device[key] = value;
        [("/linux/devices", json!([device]))]
    };
    refused(&[
        (&one(device("dev/x", "c", 1, 3)), "/linux/devices/0/path", "not an absolute path"),
        (&one(device("/dev/../x", "c", 1, 3)), "/linux/devices/0/path", "has a .."),
        (&one(device("/./", "c", 1, 3)), "/linux/devices/0/path", "root directory"),
        (&one(device("/dev/x", "a", 1, 3)), "/linux/devices/0/type", "\"a\""),
        (&one(json!({"path": "/dev/x", "type": "c"})), "/linux/devices/0/major", "0:0"),
        (&one(device("/dev/x", "b", -1, 3)), "/linux/devices/0/major", "-1 is out of range"),
        (&one(device("/dev/x", "b", 4096, 3)), "/linux/devices/0/major", "4096"),
        (&one(device("/dev/x", "u", 1, 1 << 20)), "/linux/devices/0/minor", "1048576"),
        (&with("fileMode", json!(0o200_666)), "/linux/devices/0/fileMode", "beyond 07777"),
        (&with("uid", json!(u32::MAX)), "/linux/devices/0/uid", "not an id"),
        (&with("gid", json!(u32::MAX)), "/linux/devices/0/gid", "not an id"),
        (
            &[("/linux/devices", json!([device("/dev/x", "c", 1, 3), device("/dev//x", "c", 1, 5)]))],
            "/linux/devices/1/path",
            "already",
        ),
    ]);
}

#[test]
fn a_pipe_needs_no_numbers_and_the_same_device_twice_is_made_once() {
    let twice =
        json!([device("/dev/x", "c", 1, 3), {"path": "/p", "type": "p"}, device("/dev/x", "u", 1, 3)]);
    let valid = accepted(&[("/linux/devices", twice)]);
    assert_eq!(warned(&valid), ["/linux/devices/2"]);
    assert_eq!(
        valid.devices.iter().map(|d| d.kind).collect::<Vec<_>>(),
        [DeviceKind::Character, DeviceKind::Fifo]
    );
    // stat(2) gives the file type with the permissions.
    let copied = json!([{"path": "/d", "type": "b", "major": 8, "minor": 1, "fileMode": 0o060_640}]);
    assert_eq!(accepted(&[("/linux/devices", copied)]).devices[0].mode, 0o640);
}

#[test]
fn network_devices_need_a_namespace_and_names_that_the_kernel_takes() {
    let at = "/linux/netDevices";
    let network = |devices| [(at, devices)];
    for (devices, pointer, text) in [
        (json!({"a b": {}}), "/linux/netDevices/a b", "no name of a network device"),
        (json!({"eth0": {"name": "a/b"}}), "/linux/netDevices/eth0/name", "\"a/b\""),
        (json!({"eth0": {"name": "sixteen-bytes-00"}}), "/linux/netDevices/eth0/name", "no name"),
        (json!({"eth0": {"name": ".."}}), "/linux/netDevices/eth0/name", "no name"),
        (json!({"eth0": {"name": "a%db"}}), "/linux/netDevices/eth0/name", "no name"),
        (json!({"a": {"name": "x"}, "b": {"name": "x"}}), "/linux/netDevices/b/name", "two devices"),
    ] {
        refused_for(&ROOT, &network(devices), pointer, text);
    }
    let others = namespaces(&["pid", "ipc", "uts", "mount"]);
    let edits = [(at, json!({"eth0": {}})), ("/linux/namespaces", others)];
    refused_for(&ROOT, &edits, at, "nowhere to move");
    let devices = accepted(&network(json!({"eth0": {}, "eth1": {"name": "c%d"}}))).net_devices;
    let names: Vec<_> = devices.iter().map(|d| (d.name.as_str(), d.new_name.as_str())).collect();
    assert_eq!(names, [("eth0", "eth0"), ("eth1", "c%d")]);
}

#[test]
fn classes_of_service_and_their_schemata_are_one_name_and_single_lines() {
    let at = "/linux/intelRdt";
    for id in ["a/b", "..", ".", "info", "mon_groups", "x\ny"] {
        refused_for(&ROOT, &[(at, json!({"closID": id}))], "/linux/intelRdt/closID", "no class of service");
    }
    refused(&[
        (&[(at, json!({"memBwSchema": "L3:0=f"}))], "/linux/intelRdt/memBwSchema", "MB:"),
        (&[(at, json!({"memBwSchema": "MB:0=1\nL3:0=1"}))], "/linux/intelRdt/memBwSchema", "line break"),
        (&[(at, json!({"schemata": ["L3:0=f", "a\nb"]}))], "/linux/intelRdt/schemata/1", "line break"),
    ]);
    for id in ["/", "guaranteed", ""] {
        accepted(&[(at, json!({"closID": id, "l3CacheSchema": "L3:0=f"}))]);
    }
    assert_eq!(accepted(&[(at, json!({"l3CacheSchema": "0=f"}))]).warnings.len(), 1);
}
