mod linux;
mod process;

use super::*;
use crate::spec::{DefaultOptions, default_spec, parse, parse_process};
use serde_json::{Value, json};
use std::time::Duration;

const ROOT: Facts = Facts { euid: 0, last_capability: 40, permitted: (1 << 41) - 1 };
const USER: Facts = Facts { euid: 1000, ..ROOT };
const DOCKER: &str = include_str!("../../testdata/config-docker.json");
const PODMAN: &str = include_str!("../../testdata/config-podman.json");

/// The default configuration with each pointer set to its value; `-` appends, and what is missing on the way is made.
fn changed(edits: &[(&str, Value)]) -> Value {
    let mut document = serde_json::to_value(default_spec(DefaultOptions::default())).unwrap();
    for (pointer, value) in edits {
        *place(&mut document, pointer) = value.clone();
    }
    document
}

fn place<'a>(document: &'a mut Value, pointer: &str) -> &'a mut Value {
    pointer.split('/').skip(1).fold(document, |node, token| {
        if node.is_null() {
            *node = if token == "-" { json!([]) } else { json!({}) };
        }
        let Some(list) = node.as_array().map(Vec::len) else {
            return &mut node[token.replace("~1", "/")];
        };
        if token == "-" {
            node.as_array_mut().unwrap().push(Value::Null);
        }
        &mut node[token.parse().unwrap_or(list)]
    })
}

fn judge(document: &Value, facts: &Facts) -> Result<ValidSpec, Error> {
    let text = serde_json::to_vec(document).unwrap();
    validate(parse(&text).unwrap(), Path::new("/bundle"), facts)
}

fn accepted(edits: &[(&str, Value)]) -> ValidSpec {
    judge(&changed(edits), &ROOT).unwrap_or_else(|error| panic!("{edits:?}: {error}"))
}

/// The pointers of the warnings of an accepted configuration.
fn warned(valid: &ValidSpec) -> Vec<&str> {
    valid.warnings.iter().map(|warning| warning.pointer.as_str()).collect()
}

/// Asserts that these edits make one mistake, at `pointer`, whose message has `words` in it.
fn refused_for(facts: &Facts, edits: &[(&str, Value)], pointer: &str, words: &str) {
    let error = judge(&changed(edits), facts).expect_err(&format!("{edits:?} was accepted"));
    let [mistake] = error.mistakes() else { panic!("{edits:?}: {:#?}", error.mistakes()) };
    assert_eq!(mistake.pointer, pointer, "{edits:?}: {error}");
    assert!(mistake.message.contains(words), "{edits:?}: {:?} lacks {words:?}", mistake.message);
    assert!(!mistake.hint.is_empty());
}

/// Edits, where their one mistake is, and words of its message.
type Case<'a> = (&'a [(&'a str, Value)], &'a str, &'a str);

fn refused(table: &[Case<'_>]) {
    for (edits, pointer, words) in table {
        refused_for(&ROOT, edits, pointer, words);
    }
}

/// The same for edits of one place, at which the mistake is.
fn refused_there(pointer: &str, values: &[(Value, &str)]) {
    for (value, words) in values {
        refused_for(&ROOT, &[(pointer, value.clone())], pointer, words);
    }
}

fn namespaces(kinds: &[&str]) -> Value {
    kinds.iter().map(|kind| json!({"type": kind})).collect()
}

/// Edits that add a user namespace with these mappings of both kinds.
fn user_namespace(map: &Value) -> [(&'static str, Value); 3] {
    [
        ("/linux/namespaces/-", json!({"type": "user"})),
        ("/linux/uidMappings", map.clone()),
        ("/linux/gidMappings", map.clone()),
    ]
}

fn mapping(container: u32, host: u32, size: u32) -> Value {
    json!({"containerID": container, "hostID": host, "size": size})
}

#[test]
fn what_real_programs_write_passes_without_a_warning() {
    let default = serde_json::to_value(default_spec(DefaultOptions::default())).unwrap();
    let cgroup2 =
        serde_json::to_value(default_spec(DefaultOptions { cgroup2: true, ..Default::default() })).unwrap();
    let docker: Value = serde_json::from_str(DOCKER).unwrap();
    let podman: Value = serde_json::from_str(PODMAN).unwrap();
    for document in [default, cgroup2, docker, podman] {
        let valid = judge(&document, &ROOT).unwrap();
        assert_eq!(valid.warnings, [], "{document}");
    }
}

#[test]
fn the_rootless_default_passes_for_an_ordinary_user_and_without_a_warning() {
    let spec = default_spec(DefaultOptions { rootless: Some((1000, 1000)), ..Default::default() });
    // An ordinary user holds nothing outside; the user namespace gives it all.
    let facts = Facts { permitted: 0, ..USER };
    let valid = validate(spec, Path::new("/bundle"), &facts).unwrap();
    assert_eq!(valid.warnings, []);
    assert_eq!(valid.process.unwrap().capabilities.permitted.count_ones(), 3);
}

#[test]
fn the_docker_configuration_becomes_numbers_and_absolute_paths() {
    let valid = judge(&serde_json::from_str(DOCKER).unwrap(), &ROOT).unwrap();
    let process = valid.process.as_ref().unwrap();
    assert_eq!(process.rlimits, [Rlimit { resource: 7, name: "RLIMIT_NOFILE", soft: 1024, hard: 2048 }]);
    assert_eq!(process.capabilities.permitted, 0xa804_25fb);
    assert_eq!((process.capabilities.inheritable, process.capabilities.ambient), (0, 0));
    assert_eq!(valid.sysctls[0], Sysctl { path: "net/ipv4/ip_forward".into(), value: "1".into() });
    let fuse = &valid.devices[0];
    assert_eq!((fuse.kind, fuse.major, fuse.minor, fuse.mode), (DeviceKind::Character, 10, 229, 0o600));
    assert!(valid.mounts[7].is_bind() && valid.mounts[7].options.is_readonly());
    assert_eq!(valid.mounts[7].source, Path::new("/srv"));
    assert_eq!(valid.hooks.prestart[0].args[0], "libnetwork-setkey");
    assert_eq!(valid.hostname.as_deref(), Some("box"));
    assert_eq!(valid.masked_paths.len(), 10);
    assert_eq!(valid.namespaces.new_kinds().count(), 5);
    assert!(valid.namespaces.is_host(NamespaceKind::User));
    assert!(valid.spec().linux.as_ref().unwrap().resources.is_some());
}

#[test]
fn a_mistake_is_displayed_on_one_line_with_the_count_of_the_others() {
    let edits =
        [("/process/cwd", json!("tmp")), ("/process/args", json!([])), ("/ociVersion", json!("2.0.0"))];
    let error = judge(&changed(&edits), &ROOT).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/ociVersion: version 2 of the specification is not supported; this runtime knows 1, up to 1.3.0 (and 2 more)"
    );
    assert_eq!(error.mistakes().len(), 3);
    let edits = [("/process/cwd", json!("tmp"))];
    let error = judge(&changed(&edits), &ROOT).unwrap_err();
    assert_eq!(error.to_string(), "/process/cwd: \"tmp\" is not an absolute path; begin it with /");
}

#[test]
fn a_key_with_slashes_is_escaped_in_the_pointer() {
    refused(&[(
        &[("/linux/sysctl/vm~1swappiness", json!("1"))],
        "/linux/sysctl/vm~1swappiness",
        "no namespace",
    )]);
}

#[test]
fn the_version_must_be_semantic_and_of_major_one() {
    refused_there(
        "/ociVersion",
        &[
            (json!(""), "not a version"),
            (json!("1.0"), "not a version"),
            (json!("latest"), "not a version"),
            (json!("0.9.0"), "version 0"),
            (json!("2.0.0-rc1"), "version 2"),
        ],
    );
    for version in ["1.0.0", "1.0.2-dev", "1.3.0", "1.99.0"] {
        accepted(&[("/ociVersion", json!(version))]);
    }
}

#[test]
fn the_root_must_be_named_and_counts_from_the_bundle() {
    refused(&[
        (&[("/root", Value::Null)], "/root", "no root file system"),
        (&[("/root/path", json!(""))], "/root/path", "empty"),
        (&[("/root/path", json!("root\0fs"))], "/root/path", "NUL"),
    ]);
    assert_eq!(accepted(&[]).root.path, Path::new("/bundle/rootfs"));
    assert_eq!(accepted(&[("/root/path", json!("/srv/x"))]).root.path, Path::new("/srv/x"));
}

#[test]
fn propagations_are_flags_and_others_are_refused() {
    refused_there("/linux/rootfsPropagation", &[(json!("public"), "not a propagation")]);
    let flags = |name: &str| accepted(&[("/linux/rootfsPropagation", json!(name))]).root.propagation;
    assert_eq!(flags(""), None);
    assert_eq!(flags("rslave"), Some(libc::MS_SLAVE | libc::MS_REC));
    assert_eq!(flags("shared"), Some(libc::MS_SHARED));
    assert_eq!(flags("unbindable"), Some(libc::MS_UNBINDABLE));
}

#[test]
fn a_missing_process_is_no_mistake_before_start() {
    assert_eq!(accepted(&[("/process", Value::Null)]).process, None);
}

#[test]
fn namespaces_are_listed_once_and_joined_by_absolute_paths() {
    refused(&[
        (
            &[("/linux/namespaces/-", json!({"type": "pid"}))],
            "/linux/namespaces/5/type",
            "pid namespace is listed",
        ),
        (
            &[("/linux/namespaces/-", json!({"type": "cgroup", "path": "ns/x"}))],
            "/linux/namespaces/5/path",
            "not an absolute path",
        ),
    ]);
    let joined = json!({"type": "network", "path": "/run/netns/a"});
    let valid = accepted(&[("/linux/namespaces/1", joined)]);
    let placements = &valid.namespaces;
    assert_eq!(
        placements.joined().collect::<Vec<_>>(),
        [(NamespaceKind::Network, Path::new("/run/netns/a"))]
    );
    assert_eq!(*placements.get(NamespaceKind::Pid), Placement::New);
    assert_eq!(*placements.get(NamespaceKind::Time), Placement::Host);
    assert!(!placements.is_host(NamespaceKind::Network));
}

#[test]
fn a_user_namespace_and_its_mappings_need_each_other() {
    let map = json!([mapping(0, 1000, 10)]);
    let user = ("/linux/namespaces/-", json!({"type": "user"}));
    let (uids, gids) = (("/linux/uidMappings", map.clone()), ("/linux/gidMappings", map));
    refused(&[
        (std::slice::from_ref(&uids), "/linux/uidMappings", "without a user namespace"),
        (std::slice::from_ref(&gids), "/linux/gidMappings", "without a user namespace"),
        (&[user.clone(), gids.clone()], "/linux/uidMappings", "needs mappings"),
        (&[user.clone(), uids.clone()], "/linux/gidMappings", "needs mappings"),
        (
            &[
                user.clone(),
                uids.clone(),
                ("/linux/gidMappings", json!([mapping(0, 5, 1), mapping(1, 5, 1)])),
            ],
            "/linux/gidMappings/1/hostID",
            "mapping 0 too",
        ),
    ]);
    accepted(&[user, uids.clone(), gids.clone()]);
    let joined = ("/linux/namespaces/-", json!({"type": "user", "path": "/proc/1/ns/user"}));
    assert_eq!(
        warned(&accepted(&[joined.clone(), uids, gids])),
        ["/linux/uidMappings", "/linux/gidMappings"]
    );
    assert_eq!(accepted(&[joined]).warnings, []);
}

#[test]
fn a_map_that_the_kernel_would_refuse_is_refused() {
    let gids = json!([mapping(0, 0, 1)]);
    for (map, pointer, words) in [
        (json!([mapping(0, 0, 0)]), "/linux/uidMappings/0/size", "nothing"),
        (
            json!([mapping(0, 0, 10), mapping(9, 20, 5)]),
            "/linux/uidMappings/1/containerID",
            "9 lies in mapping 0",
        ),
        (json!([mapping(20, 5, 5), mapping(0, 0, 6)]), "/linux/uidMappings/0/hostID", "5 lies in mapping 1"),
        (json!([mapping(0, 1, u32::MAX)]), "/linux/uidMappings/0/hostID", "beyond"),
        (
            json!([mapping(0, 0, 1), mapping(7, 9, u32::MAX - 6)]),
            "/linux/uidMappings/1/containerID",
            "beyond",
        ),
    ] {
        let edits = [
            ("/linux/namespaces/-", json!({"type": "user"})),
            ("/linux/uidMappings", map.clone()),
            ("/linux/gidMappings", gids.clone()),
        ];
        let error = judge(&changed(&edits), &ROOT).unwrap_err();
        let found = error.mistakes().iter().any(|m| m.pointer == pointer && m.message.contains(words));
        assert!(found, "{map}: {:#?}", error.mistakes());
    }
}

#[test]
fn three_hundred_and_forty_mappings_are_the_most() {
    let lines = |count: u32| Value::from_iter((0..count).map(|n| mapping(n, 2 * n, 1)));
    accepted(&user_namespace(&lines(340)));
    let error = judge(&changed(&user_namespace(&lines(341))), &ROOT).unwrap_err();
    assert_eq!(error.mistakes()[0].pointer, "/linux/uidMappings");
    assert!(error.mistakes()[0].hint.contains("340"));
}

#[test]
fn ids_without_a_mapping_are_refused() {
    let map = json!([mapping(0, 1000, 10)]);
    let with = |pointer, value| {
        let mut edits = user_namespace(&map).to_vec();
        edits.push((pointer, value));
        edits
    };
    refused(&[
        (&with("/process/user/uid", json!(10)), "/process/user/uid", "10 has no mapping"),
        (&with("/process/user/gid", json!(10)), "/process/user/gid", "10 has no mapping"),
        (
            &with("/process/user/additionalGids", json!([9, 10])),
            "/process/user/additionalGids/1",
            "10 has no mapping",
        ),
    ]);
    accepted(&with("/process/user/uid", json!(9)));
    let edits = user_namespace(&json!([mapping(1, 1, 1)]));
    let error = judge(&changed(&edits), &ROOT).unwrap_err();
    assert!(error.mistakes()[0].message.contains("id 0 has no mapping"), "{error}");
}

#[test]
fn without_root_a_user_namespace_is_needed_and_mounts_name_mapped_ids_only() {
    refused_for(&USER, &[], "/linux/namespaces", "needs a user namespace");
    let map = json!([mapping(0, 1000, 1)]);
    let mut edits = user_namespace(&map).to_vec();
    edits.push((
        "/mounts",
        json!([{"destination": "/t", "type": "tmpfs", "options": ["mode=755", "uid=0", "gid=5"]}]),
    ));
    refused_for(&USER, &edits, "/mounts/0/options/2", "gid=5");
    edits.push(("/mounts/0/options/2", json!("gid=0")));
    // Whoever maps the own group alone has to give up setgroups.
    edits.push(("/process/user/additionalGids", json!([0])));
    refused_for(&USER, &edits, "/process/user/additionalGids", "cannot set any additional groups");
    edits.push(("/linux/gidMappings", json!([{"containerID": 0, "hostID": 100_000, "size": 10}])));
    judge(&changed(&edits), &USER).unwrap();
    edits.push(("/process/user/additionalGids", json!([10])));
    refused_for(&USER, &edits, "/process/user/additionalGids/0", "has no mapping");
}

#[test]
fn what_would_change_the_host_without_its_namespace_is_refused() {
    let without_uts = ("/linux/namespaces", namespaces(&["mount", "pid"]));
    let host = ("/hostname", json!(""));
    let covered = [("/linux/maskedPaths", json!([])), ("/linux/readonlyPaths", json!([]))];
    refused(&[
        (std::slice::from_ref(&without_uts), "/hostname", "UTS namespace"),
        (&[without_uts.clone(), host, ("/domainname", json!("d"))], "/domainname", "UTS namespace"),
        (
            &[("/linux/namespaces", namespaces(&["uts"])), covered[0].clone()],
            "/linux/readonlyPaths",
            "without a mount namespace",
        ),
        (
            &[("/linux/namespaces", namespaces(&["uts"])), covered[1].clone()],
            "/linux/maskedPaths",
            "without a mount namespace",
        ),
    ]);
    let joined = json!([{"type": "uts", "path": "/proc/1/ns/uts"}, {"type": "mount"}]);
    accepted(&[("/linux/namespaces", joined)]);
}

#[test]
fn names_that_the_kernel_would_not_take_are_refused() {
    refused(&[
        (&[("/hostname", json!("a".repeat(65)))], "/hostname", "65 bytes"),
        (&[("/domainname", json!("a".repeat(65)))], "/domainname", "65 bytes"),
        (&[("/hostname", json!("a\0"))], "/hostname", "NUL"),
        (&[("/linux/maskedPaths/0", json!("proc/kcore"))], "/linux/maskedPaths/0", "not an absolute path"),
        (&[("/linux/readonlyPaths/1", json!(""))], "/linux/readonlyPaths/1", "not an absolute path"),
    ]);
    accepted(&[("/hostname", json!("a".repeat(64)))]);
}

#[test]
fn mounts_that_the_kernel_would_refuse_or_misread_are_refused() {
    let one = |value: Value| [("/mounts", json!([value]))];
    refused(&[
        (&one(json!({"destination": "", "type": "tmpfs"})), "/mounts/0/destination", "empty"),
        (&one(json!({"destination": "/a\0", "type": "tmpfs"})), "/mounts/0/destination", "NUL"),
        (&one(json!({"destination": "/a", "type": "t\0"})), "/mounts/0/type", "NUL"),
        (&one(json!({"destination": "/a", "type": "t", "source": "\0"})), "/mounts/0/source", "NUL"),
        (
            &one(json!({"destination": "/a", "type": "t", "options": ["ro", "x\0"]})),
            "/mounts/0/options/1",
            "NUL",
        ),
        (&one(json!({"destination": "/a"})), "/mounts/0/type", "no file system type"),
        (
            &one(json!({"destination": "/a", "type": "bind", "source": "/b"})),
            "/mounts/0/type",
            "no file system",
        ),
        (&one(json!({"destination": "/a", "options": ["bind"]})), "/mounts/0/source", "needs a source"),
        (
            &one(json!({"destination": "/a", "source": "/b", "options": ["bind", "nosiud"]})),
            "/mounts/0/options/1",
            "\"nosiud\"",
        ),
    ]);
}

/// As runc and crun have it, and the OCI runtime-tools expect it.
#[test]
fn values_for_a_file_system_are_ignored_on_a_bind_mount() {
    let mounts = json!([{"destination": "/a", "source": "/b", "options": ["bind", "mode=755", "size=1k"]}]);
    let valid = accepted(&[("/mounts", mounts)]);
    assert_eq!(warned(&valid), ["/mounts/0/options/1", "/mounts/0/options/2"]);
}

#[test]
fn a_bind_source_counts_from_the_bundle_and_a_destination_from_the_root() {
    let mounts = json!([
        {"destination": "data", "source": "files", "type": "none", "options": ["rbind", "ro"]},
        {"destination": "/t", "source": "files", "type": "tmpfs", "options": ["size=1m"]},
    ]);
    let valid = accepted(&[("/mounts", mounts)]);
    assert_eq!(warned(&valid), ["/mounts/0/destination"]);
    assert_eq!(valid.mounts[0].destination, Path::new("/data"));
    assert_eq!(valid.mounts[0].source, Path::new("/bundle/files"));
    assert_eq!(valid.mounts[0].fs_type, "bind");
    assert_eq!(valid.mounts[1].source, Path::new("files"));
    assert_eq!(valid.mounts[1].options.data, ["size=1m"]);
}

/// What LXCFS covers; written out here too, so that a change of the list is noticed.
const COVERABLE: [&str; 10] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
];

/// CVE-2019-16884, CVE-2019-19921: a false /proc makes the runtime's writes to it go elsewhere.
#[test]
fn nothing_but_a_procfs_may_cover_proc() {
    let mount = |destination: &str, fs_type: &str, options: &[&str]| {
        [(
            "/mounts",
            json!([{"destination": destination, "type": fs_type, "source": "/x", "options": options}]),
        )]
    };
    for destination in ["/proc", "//proc/", "/a/../proc", "proc/.", "/../proc"] {
        let error = judge(&changed(&mount(destination, "tmpfs", &[])), &ROOT).unwrap_err();
        assert!(error.mistakes()[0].message.contains("may not cover /proc"), "{destination}: {error}");
        accepted(&mount(destination, "proc", &[]));
        // Whether it binds a procfs can be seen only when it is mounted.
        accepted(&mount(destination, "none", &["bind"]));
    }
    for destination in ["/proc/sys", "/proc/self/attr", "/proc/1", "/x/../proc/cpuinfo/x", "/proc/sys/kernel"]
    {
        for (fs_type, options) in [("proc", &[][..]), ("tmpfs", &[]), ("none", &["rbind"])] {
            let error = judge(&changed(&mount(destination, fs_type, options)), &ROOT).unwrap_err();
            assert!(error.mistakes()[0].message.contains("lies in /proc"), "{destination}: {error}");
            assert_eq!(error.mistakes()[0].pointer, "/mounts/0/destination");
        }
    }
    for destination in COVERABLE {
        accepted(&mount(destination, "none", &["bind", "ro"]));
    }
    accepted(&mount("/process", "tmpfs", &[]));
    accepted(&mount("/proc/../srv", "tmpfs", &[]));
}

#[test]
fn mounts_that_map_ids_are_bind_mounts_with_a_mapping_from_somewhere() {
    let mount = |options: Value, uids: Value, gids: Value| {
        let mount = json!({"destination": "/t", "source": "/x", "type": "none", "options": options,
            "uidMappings": uids, "gidMappings": gids});
        ("/mounts", json!([mount]))
    };
    let (none, map) = (json!([]), json!([mapping(0, 1000, 5)]));
    let empty = || mount(json!(["bind", "idmap"]), none.clone(), none.clone());
    let full = |options| mount(options, map.clone(), map.clone());
    let double = json!([mapping(0, 1000, 5), mapping(4, 2000, 5)]);
    refused(&[
        (&[empty()], "/mounts/0", "neither mappings nor a user namespace"),
        (&[full(json!(["idmap"]))], "/mounts/0", "only a bind mount"),
        (
            &[mount(json!(["bind"]), map.clone(), none.clone())],
            "/mounts/0/gidMappings",
            "only users or only groups",
        ),
        (
            &[mount(json!(["bind"]), none.clone(), map.clone())],
            "/mounts/0/uidMappings",
            "only users or only groups",
        ),
        (
            &[mount(json!(["bind"]), double, map.clone())],
            "/mounts/0/uidMappings/1/containerID",
            "lies in mapping 0",
        ),
    ]);
    let id_map = |changes: &[(&str, Value)]| accepted(changes).mounts[0].id_map.clone().unwrap();
    let plain = id_map(&[full(json!(["bind"]))]);
    assert_eq!((plain.recursive, plain.mappings.unwrap().0[0].host_id), (false, 1000));
    assert!(id_map(&[full(json!(["rbind", "ridmap"]))]).recursive);
    let user = ("/linux/namespaces/-", json!({"type": "user", "path": "/proc/1/ns/user"}));
    assert_eq!(id_map(&[user, empty()]).mappings, None);
}

/// A bind mount with these options beside `bind`, in a container with a user namespace.
fn with_option(options: &[&str]) -> [(&'static str, Value); 4] {
    let options: Vec<&str> = ["bind"].iter().chain(options).copied().collect();
    [
        ("/linux/namespaces/-", json!({"type": "user"})),
        ("/linux/uidMappings", json!([mapping(0, 100_000, 10), mapping(10, 300_000, 50)])),
        ("/linux/gidMappings", json!([mapping(0, 200_000, 60)])),
        ("/mounts", json!([{"destination": "/t", "source": "/x", "type": "none", "options": options}])),
    ]
}

#[test]
fn mappings_in_an_option_are_those_of_the_mount() {
    let id_map = |options: &[&str]| accepted(&with_option(options)).mounts[0].id_map.clone().unwrap();
    let map = |ranges: &[(u32, u32, u32)]| -> Vec<IdMapping> {
        let mapping = |(container_id, host_id, size): &_| IdMapping {
            container_id: *container_id,
            host_id: *host_id,
            size: *size,
        };
        ranges.iter().map(mapping).collect()
    };
    let plain = id_map(&["idmap=uids=0-5000-2000#3000-9000-1;gids=0-6000-1"]);
    assert!(!plain.recursive);
    assert_eq!(plain.mappings, Some((map(&[(0, 5000, 2000), (3000, 9000, 1)]), map(&[(0, 6000, 1)]))));
    // The container's ids, after `@`, stand for those that they have outside; a last semicolon says nothing.
    let relative = id_map(&["ridmap=gids=@1-3-10;uids=0-7-1#@5-12-48;"]);
    assert!(relative.recursive);
    assert_eq!(relative.mappings, Some((map(&[(0, 7, 1), (5, 300_002, 48)]), map(&[(1, 200_003, 10)]))));
}

#[test]
fn mappings_in_an_option_that_cannot_be_are_refused_by_their_place() {
    let both = ["idmap=uids=0-1-1;gids=0-1-1", "ridmap"];
    let table: [(&[&str], &str, &str); 13] = [
        (&["idmap="], "1", "only users or only groups"),
        (&["ro", "idmap=uids=0-1-1"], "2", "only users or only groups"),
        (&["idmap=uids=0-1;gids=0-1-1"], "1", "\"0-1\" is no range"),
        (&["idmap=uids=0-1-1-x;gids=0-1-1"], "1", "is no range"),
        (&["idmap=uids=0-+1-1;gids=0-1-1"], "1", "is no range"),
        (&["idmap=uids=0-4294967296-1;gids=0-1-1"], "1", "is no range"),
        (&["idmap=uids=0-1-1#;gids=0-1-1"], "1", "\"\" is no range"),
        (&["idmap=uids=0-1-0;gids=0-1-1"], "1", "maps nothing"),
        (&["idmap=uids=0-1-5#4-20-1;gids=0-1-1"], "1", "lies in mapping 0"),
        (&["ridmap=users=0-1-1;gids=0-1-1"], "1", "neither uids=... nor gids=..."),
        (&["idmap=uids=@0-60-1;gids=0-1-1"], "1", "does not map the second number"),
        (&["idmap=uids=@0-5-20;gids=0-1-1"], "1", "split it"),
        (&both, "1", "another option"),
    ];
    for (options, index, message) in table {
        refused(&[(&with_option(options), &format!("/mounts/0/options/{index}"), message)]);
    }
    let tmpfs = json!([{"destination": "/t", "type": "tmpfs", "options": ["idmap=uids=0-1-1;gids=0-1-1"]}]);
    refused(&[(&[("/mounts", tmpfs)], "/mounts/0", "only a bind mount")]);
}

#[test]
fn tmpcopyup_is_for_a_new_tmpfs_alone() {
    let mount = |fs_type: &str, options: &[&str]| {
        [("/mounts", json!([{"destination": "/t", "source": "/x", "type": fs_type, "options": options}]))]
    };
    refused(&[
        (&mount("tmpfs", &["rbind", "tmpcopyup"]), "/mounts/0/options/1", "only a new tmpfs"),
        (&mount("tmpfs", &["remount", "tmpcopyup"]), "/mounts/0/options/1", "only a new tmpfs"),
        (&mount("ext4", &["tmpcopyup"]), "/mounts/0/options/0", "only a new tmpfs"),
    ]);
    assert!(accepted(&mount("tmpfs", &["ro", "tmpcopyup"])).mounts[0].options.tmpcopyup);
}

#[test]
fn hooks_need_an_absolute_path_and_a_timeout_that_ends() {
    for kind in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] {
        let hooks = |hook: Value| [("/hooks", json!({kind: [hook]}))];
        let at = |key: &str| format!("/hooks/{kind}/0/{key}");
        refused(&[
            (&hooks(json!({"path": "bin/x"})), &at("path"), "not an absolute path"),
            (&hooks(json!({"path": "/x", "timeout": 0})), &at("timeout"), "0 is not greater"),
            (&hooks(json!({"path": "/x", "timeout": -5})), &at("timeout"), "-5 is not greater"),
            (&hooks(json!({"path": "/x", "args": ["a\0"]})), &at("args/0"), "NUL"),
            (&hooks(json!({"path": "/x", "env": ["A=\0"]})), &at("env/0"), "NUL"),
        ]);
        let valid = accepted(&hooks(json!({"path": "/x", "env": ["PATH"], "timeout": 5})));
        assert_eq!(warned(&valid), [at("env/0")]);
    }
    let valid = accepted(&[("/hooks", json!({"poststop": [{"path": "/x", "timeout": 5}]}))]);
    let hook = &valid.hooks.poststop[0];
    assert_eq!((hook.args.as_slice(), hook.timeout), (&["/x".to_owned()][..], Some(Duration::from_secs(5))));
}

#[test]
fn time_offsets_need_a_new_time_namespace_and_a_known_clock() {
    let offsets = |clock: &str, nanosecs: u32| {
        ("/linux/timeOffsets", json!({clock: {"secs": 7, "nanosecs": nanosecs}}))
    };
    let new = ("/linux/namespaces/-", json!({"type": "time"}));
    let joined = ("/linux/namespaces/-", json!({"type": "time", "path": "/proc/1/ns/time"}));
    refused(&[
        (&[offsets("boottime", 0)], "/linux/timeOffsets", "without a time namespace"),
        (&[joined, offsets("boottime", 0)], "/linux/timeOffsets", "joined"),
        (&[new.clone(), offsets("realtime", 0)], "/linux/timeOffsets/realtime", "not a clock"),
        (
            &[new.clone(), offsets("monotonic", 1_000_000_000)],
            "/linux/timeOffsets/monotonic/nanosecs",
            "a second",
        ),
    ]);
    let valid = accepted(&[new, offsets("monotonic", 1)]);
    assert_eq!(valid.time_offsets.monotonic.unwrap().secs, 7);
    assert_eq!(valid.time_offsets.boottime, None);
}

#[test]
fn personalities_are_numbers() {
    refused(&[(&[("/linux/personality", json!({"domain": "BSD"}))], "/linux/personality/domain", "\"BSD\"")]);
    assert_eq!(accepted(&[("/linux/personality", json!({"domain": "LINUX32"}))]).personality, Some(8));
    // config-linux.md#personality supports no flag, and config.md#valid-values wants an error for what is unsupported.
    let flagged = json!({"domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE"]});
    refused(&[(&[("/linux/personality", flagged)], "/linux/personality/flags", "no flags")]);
}

#[test]
fn memory_policies_are_numbers_with_the_nodes_that_they_take() {
    let at = "/linux/memoryPolicy";
    refused(&[
        (&[(at, json!({"mode": "MPOL_X"}))], "/linux/memoryPolicy/mode", "MPOL_X"),
        (&[(at, json!({"mode": "MPOL_BIND"}))], "/linux/memoryPolicy/nodes", "needs nodes"),
        (&[(at, json!({"mode": "MPOL_LOCAL", "nodes": "0"}))], "/linux/memoryPolicy/nodes", "takes no nodes"),
        (
            &[(at, json!({"mode": "MPOL_PREFERRED", "nodes": "x"}))],
            "/linux/memoryPolicy/nodes",
            "\"x\" is not",
        ),
        (
            &[(at, json!({"mode": "MPOL_DEFAULT", "flags": ["MPOL_F_X"]}))],
            "/linux/memoryPolicy/flags/0",
            "MPOL_F_X",
        ),
    ]);
    let policy = json!({"mode": "MPOL_INTERLEAVE", "nodes": "0-1", "flags": ["MPOL_F_STATIC_NODES"]});
    let expected = MemoryPolicy { mode: 3 | 1 << 15, nodes: vec![3] };
    assert_eq!(accepted(&[(at, policy)]).memory_policy, Some(expected));
}
