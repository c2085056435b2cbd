//! Against a directory that looks like a resctrl file system: no machine of the tests has one.

use super::*;
use std::fs as std_fs;

/// A root with the default class, and a class `gold` that somebody has made.
fn tree() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (group, schemata) in
        [("", "L3:0=fffff;1=fffff\n"), ("gold", "    L3:0=00ff;1=f0000\n    MB:0= 20;1=100\n")]
    {
        let group = root.path().join(group);
        std_fs::create_dir_all(group.join("mon_groups")).unwrap();
        std_fs::write(group.join("schemata"), schemata).unwrap();
        std_fs::write(group.join("tasks"), "").unwrap();
    }
    std_fs::create_dir(root.path().join("info")).unwrap();
    root
}

fn rdt(clos_id: &str, l3: &str, mb: &str) -> IntelRdt {
    IntelRdt {
        clos_id: clos_id.into(),
        l3_cache_schema: l3.into(),
        mem_bw_schema: mb.into(),
        ..IntelRdt::default()
    }
}

fn text(path: impl AsRef<Path>) -> String {
    std_fs::read_to_string(path).unwrap()
}

/// The kernel's files of a group end with it; here somebody has to take them.
fn take_files(group: &Path) {
    for name in ["tasks", "schemata"] {
        drop(std_fs::remove_file(group.join(name)));
    }
}

#[test]
fn the_mount_is_found_by_its_type_wherever_it_is() {
    let line =
        |point: &str, kind: &str| format!("40 30 0:40 / {point} rw,relatime shared:5 - {kind} resctrl rw\n");
    let text = line("/sys/fs/cgroup", "cgroup2") + &line("/srv/my\\040ctrl", "resctrl");
    assert_eq!(find(&text).unwrap(), Path::new("/srv/my ctrl"));
    assert!(matches!(find(&line("/sys/fs/resctrl", "tmpfs")), Err(Error::NotMounted)));
    assert!(matches!(find(""), Err(Error::NotMounted)));
}

#[test]
fn without_a_name_the_class_is_the_containers_own_and_goes_with_it() {
    let root = tree();
    let wish = IntelRdt { schemata: vec!["L2:0=f".into()], ..rdt("", "L3:0=f", "MB:0=50") };
    let record = Record::place(root.path(), &wish, "web").unwrap();
    let group = root.path().join("web");
    assert_eq!((record.group.as_path(), record.made, record.named), (group.as_path(), true, false));
    assert!(!group.exists(), "placing touches nothing");
    record.make(&wish).unwrap();
    record.enter(77).unwrap();
    assert_eq!(text(group.join("schemata")), "L3:0=f\nMB:0=50\nL2:0=f\n");
    assert_eq!(text(group.join("tasks")), "77");
    record.set_schemata("", "MB:0=10").unwrap();
    assert_eq!(text(group.join("schemata")), "MB:0=10\n");
    take_files(&group);
    record.remove(Removal::Delete).unwrap();
    assert!(!group.exists());
    record.remove(Removal::Delete).unwrap();
}

#[test]
fn without_schemas_no_schemata_file_is_written() {
    let root = tree();
    let record = Record::place(root.path(), &rdt("", "", ""), "web").unwrap();
    record.make(&rdt("", "", "")).unwrap();
    assert!(root.path().join("web").exists() && !root.path().join("web/schemata").exists());
}

#[test]
fn a_named_class_is_made_where_it_is_missing_and_stays_when_the_container_goes() {
    let root = tree();
    let wish = rdt("silver", "L3:0=f", "");
    let record = Record::place(root.path(), &wish, "web").unwrap();
    record.make(&wish).unwrap();
    record.remove(Removal::Delete).unwrap();
    assert_eq!(text(root.path().join("silver/schemata")), "L3:0=f\n");
    take_files(&root.path().join("silver"));
    record.remove(Removal::Undo).unwrap();
    assert!(!root.path().join("silver").exists(), "a container that was never made leaves nothing");
}

#[test]
fn a_named_class_without_a_schema_must_exist() {
    let root = tree();
    assert!(matches!(Record::place(root.path(), &rdt("silver", "", ""), "web"), Err(Error::NoClass { .. })));
    let wish = rdt("gold", "", "");
    let record = Record::place(root.path(), &wish, "web").unwrap();
    let before = text(root.path().join("gold/schemata"));
    record.make(&wish).unwrap();
    record.enter(5).unwrap();
    assert_eq!(text(root.path().join("gold/tasks")), "5");
    assert_eq!(text(root.path().join("gold/schemata")), before);
    record.remove(Removal::Undo).unwrap();
    assert!(root.path().join("gold").exists());
}

#[test]
fn a_named_class_that_exists_must_have_the_schema_that_is_asked_for() {
    let root = tree();
    for (l3, mb) in [("L3:0=ff", ""), ("L3:1=0f0000;0=ff", "MB:1=100"), ("", "MB:0=20")] {
        Record::place(root.path(), &rdt("gold", l3, mb), "web").unwrap();
    }
    for (l3, mb, pointer) in [
        ("L3:0=ffff", "", "/linux/intelRdt/l3CacheSchema"),
        ("L3:2=ff", "", "/linux/intelRdt/l3CacheSchema"),
        ("L3:0=ff", "MB:0=32", "/linux/intelRdt/memBwSchema"),
        ("L3:nonsense", "", "/linux/intelRdt/l3CacheSchema"),
        ("L2:0=ff", "", "/linux/intelRdt/l3CacheSchema"),
    ] {
        let error = Record::place(root.path(), &rdt("gold", l3, mb), "web").unwrap_err();
        assert!(error.to_string().starts_with(pointer), "{l3} {mb}: {error}");
    }
}

#[test]
fn a_slash_is_the_default_class_and_monitoring_gets_a_group_of_its_own() {
    let root = tree();
    let wish = IntelRdt { enable_monitoring: true, ..rdt("/", "", "") };
    let record = Record::place(root.path(), &wish, "web").unwrap();
    record.make(&wish).unwrap();
    record.enter(9).unwrap();
    let monitoring = root.path().join("mon_groups/web");
    assert_eq!((text(root.path().join("tasks")), text(monitoring.join("tasks"))), ("9".into(), "9".into()));
    take_files(&monitoring);
    record.remove(Removal::Delete).unwrap();
    assert!(!monitoring.exists() && root.path().join("mon_groups").exists());
    std_fs::create_dir(&monitoring).unwrap();
    let error = record.make(&wish).unwrap_err();
    assert!(error.to_string().contains("mon_groups/web"), "{error}");
}

#[test]
fn the_kernels_own_word_and_its_own_directories_are_told() {
    let root = tree();
    std_fs::write(root.path().join("info/last_cmd_status"), "Out of CLOSIDs\n").unwrap();
    let record = Record::place(root.path(), &rdt("", "", ""), "web").unwrap();
    std_fs::write(root.path().join("web"), "in the way").unwrap();
    let error = record.make(&rdt("", "", "")).unwrap_err();
    assert!(error.to_string().ends_with("(Out of CLOSIDs)"), "{error}");
    assert!(matches!(Record::place(root.path(), &rdt("", "", ""), "info"), Err(Error::Reserved { .. })));
}
