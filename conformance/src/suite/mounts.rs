//! config.md: the root file system and the mounts.

use super::{has, list, mount_at, same};
use crate::case::Case;
use anyhow::{Result, ensure};
use serde_json::json;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};

list![
    the_root_path_may_be_relative_to_the_bundle,
    the_root_path_may_be_absolute,
    a_root_that_is_no_directory_is_refused,
    the_root_is_writable_by_default,
    a_readonly_root_is_read_only,
    mounts_are_made_in_the_listed_order,
    mounts_have_their_type_and_source,
    a_relative_destination_is_taken_from_the_root,
    a_missing_destination_is_made,
    a_relative_source_is_taken_from_the_bundle,
    a_file_is_bind_mounted,
    a_bind_mount_is_made_whatever_the_type_says,
    a_source_that_is_missing_is_an_error,
    an_unknown_file_system_is_an_error,
    options_of_the_file_system_reach_it,
    an_option_that_nobody_knows_is_an_error,
    idmap_applies_the_mappings_of_the_mount,
    ridmap_applies_them_to_mounts_below,
    idmap_without_mappings_takes_those_of_the_user_namespace,
    idmap_without_any_mappings_is_an_error,
    mappings_of_uids_without_gids_are_refused,
];

fn the_root_path_may_be_relative_to_the_bundle(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?;
    fs::write(bundle.path("/data/mark"), "here")?;
    same("a file of the root", &case.answer_of(bundle, &["read", "/data/mark"])?["text"], "here")
}

fn the_root_path_may_be_absolute(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?;
    let root = bundle.path("/").display().to_string();
    fs::write(bundle.path("/data/mark"), "here")?;
    same(
        "a file of the root",
        &case.answer_of(bundle.set("/root/path", root), &["read", "/data/mark"])?["text"],
        "here",
    )
}

fn a_root_that_is_no_directory_is_refused(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?.set("/root/path", "nowhere");
    case.refuses(&bundle)?;
    let bundle = case.bundle()?.set("/root/path", "config.json");
    case.refuses(&bundle).map(drop)
}

fn the_root_is_writable_by_default(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?;
    same("the error of writing", &case.answer_of(bundle, &["touch", "/data/new"])?["errno"], 0)
}

fn a_readonly_root_is_read_only(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?.set("/root/readonly", true);
    let answers =
        case.answers_of(bundle, &[&["touch", "/data/new"], &["touch", "/dev/shm/new"], &["report"]])?;
    same("the error of writing", &answers[0]["errno"], 30)?;
    same("the error of writing to a mount", &answers[1]["errno"], 0)?;
    ensure!(has(&mount_at(&answers[2], "/")?["options"], "ro"), "the root is not mounted read-only");
    Ok(())
}

/// The later of two at one place lies on top, and one can lie in another.
fn mounts_are_made_in_the_listed_order(case: &Case<'_>) -> Result<()> {
    let bundle = case
        .bundle()?
        .mount("/mnt", "tmpfs", "first", &[])
        .mount("/mnt/inner", "tmpfs", "inner", &[])
        .mount("/data", "tmpfs", "under", &[])
        .mount("/data", "tmpfs", "over", &[]);
    let report = case.report_of(bundle)?;
    same("the source at /mnt/inner", &mount_at(&report, "/mnt/inner")?["source"], "inner")?;
    let at_data: Vec<_> =
        report["mounts"].as_array().into_iter().flatten().filter(|m| m["point"] == "/data").collect();
    ensure!(at_data.len() == 2, "{} mounts at /data, and must be two", at_data.len());
    same("the lower one", &at_data[0]["source"], "under")?;
    same("the upper one", &at_data[1]["source"], "over")
}

fn mounts_have_their_type_and_source(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?.mount("/mnt", "tmpfs", "a-name", &[]);
    let report = case.report_of(bundle)?;
    same("the type", &mount_at(&report, "/mnt")?["kind"], "tmpfs")?;
    same("the source", &mount_at(&report, "/mnt")?["source"], "a-name")?;
    same("the type at /proc", &mount_at(&report, "/proc")?["kind"], "proc")
}

fn a_relative_destination_is_taken_from_the_root(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?.mount("mnt", "tmpfs", "tmpfs", &[]).set("/process/cwd", "/data");
    mount_at(&case.report_of(bundle)?, "/mnt").map(drop)
}

fn a_missing_destination_is_made(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?.mount("/mnt/not/there/yet", "tmpfs", "tmpfs", &[]);
    mount_at(&case.report_of(bundle)?, "/mnt/not/there/yet").map(drop)
}

fn a_relative_source_is_taken_from_the_bundle(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?.mount("/mnt", "none", "given", &["bind"]);
    fs::create_dir(bundle.dir.join("given"))?;
    fs::write(bundle.dir.join("given/mark"), "here")?;
    same("a file of it", &case.answer_of(bundle, &["read", "/mnt/mark"])?["text"], "here")
}

fn a_file_is_bind_mounted(case: &Case<'_>) -> Result<()> {
    let source = case.dir().join("file");
    fs::write(&source, "here")?;
    let bundle = case.bundle()?.mount("/etc/a/file", "none", &source, &["bind"]);
    same("the file", &case.answer_of(bundle, &["read", "/etc/a/file"])?["text"], "here")
}

fn a_bind_mount_is_made_whatever_the_type_says(case: &Case<'_>) -> Result<()> {
    for kind in ["none", "bind", "tmpfs"] {
        for option in ["bind", "rbind"] {
            let source = case.dir().join(format!("{kind}-{option}"));
            fs::create_dir(&source)?;
            fs::write(source.join("mark"), "here")?;
            let bundle = case.bundle()?.mount("/mnt", kind, &source, &[option]);
            same(
                &format!("{kind} {option}"),
                &case.answer_of(bundle, &["read", "/mnt/mark"])?["text"],
                "here",
            )?;
        }
    }
    Ok(())
}

fn a_source_that_is_missing_is_an_error(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?.mount("/mnt", "none", case.dir().join("nowhere"), &["bind"]);
    case.refuses(&bundle).map(drop)
}

fn an_unknown_file_system_is_an_error(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?.mount("/mnt", "no-such-file-system", "none", &[]);
    case.refuses(&bundle).map(drop)
}

fn options_of_the_file_system_reach_it(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?.mount("/mnt", "tmpfs", "tmpfs", &["size=128k", "mode=700", "nr_inodes=50"]);
    let answers = case.answers_of(bundle, &[&["report"], &["stat", "/mnt"]])?;
    let options = &mount_at(&answers[0], "/mnt")?["superblock"];
    ensure!(has(options, "size=128k") && has(options, "nr_inodes=50"), "the options are {options}");
    same("the mode", &answers[1]["mode"], 0o700)
}

/// It is the file system's, and tmpfs refuses it.
fn an_option_that_nobody_knows_is_an_error(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?.mount("/mnt", "tmpfs", "tmpfs", &["no-such-option-anywhere"]);
    case.refuses(&bundle).map(drop)
}

fn mappings(host: u32) -> serde_json::Value {
    json!([{"containerID": 0, "hostID": host, "size": 65536}])
}

/// A directory whose owner is 0, so that a mapping of 0 to 100,000 shows it as that.
fn idmap_applies_the_mappings_of_the_mount(case: &Case<'_>) -> Result<()> {
    let source = case.dir().join("source");
    fs::create_dir(&source)?;
    fs::write(source.join("file"), "")?;
    let bundle = case.bundle()?.mount("/mnt", "none", &source, &["bind", "idmap"]);
    let last = bundle.config["mounts"].as_array().map_or(0, Vec::len) - 1;
    let bundle = bundle
        .set(&format!("/mounts/{last}/uidMappings"), mappings(100_000))
        .set(&format!("/mounts/{last}/gidMappings"), mappings(200_000));
    let answer = case.answer_of(bundle, &["stat", "/mnt/file"])?;
    same("the owner", &answer["uid"], 100_000)?;
    same("the group", &answer["gid"], 200_000)?;
    ensure!(fs::metadata(source.join("file"))?.uid() == 0, "the file itself was given away");
    Ok(())
}

fn ridmap_applies_them_to_mounts_below(case: &Case<'_>) -> Result<()> {
    let source = case.dir().join("source");
    let other = case.dir().join("other");
    for dir in [&source.join("below"), &other] {
        fs::create_dir_all(dir)?;
    }
    fs::write(other.join("file"), "")?;
    // A tmpfs can have its owners shifted since Linux 6.3 only; so the mount below has the same file system.
    let below = super::options::Mounted::directory(&other, &source.join("below"))?;
    let bundle = case.bundle()?.mount("/mnt", "none", &source, &["rbind", "ridmap"]);
    let last = bundle.config["mounts"].as_array().map_or(0, Vec::len) - 1;
    let bundle = bundle
        .set(&format!("/mounts/{last}/uidMappings"), mappings(100_000))
        .set(&format!("/mounts/{last}/gidMappings"), mappings(100_000));
    let answer = case.answer_of(bundle, &["stat", "/mnt/below/file"]);
    below.end()?;
    same("the owner", &answer?["uid"], 100_000)
}

fn idmap_without_mappings_takes_those_of_the_user_namespace(case: &Case<'_>) -> Result<()> {
    let source = case.dir().join("source");
    fs::create_dir(&source)?;
    fs::write(source.join("file"), "")?;
    chown(source.join("file"), Some(7), Some(7))?;
    let bundle = case.bundle()?.user_namespace(100_000).mount("/mnt", "none", &source, &["bind", "idmap"]);
    bundle.own_rootfs(100_000)?;
    // Either it is mapped as the namespace is, or it is refused.
    let bundle = bundle.ask(&[&["stat", "/mnt/file"]]);
    if !case.try_create(&bundle)?.succeeded() {
        return Ok(());
    }
    case.start(&bundle.id)?;
    same("the owner", &case.finish(&bundle)?.answers[0]["uid"], 7)
}

fn idmap_without_any_mappings_is_an_error(case: &Case<'_>) -> Result<()> {
    for option in ["idmap", "ridmap"] {
        let source = case.dir().join(option);
        fs::create_dir(&source)?;
        let bundle = case.bundle()?.mount("/mnt", "none", &source, &["rbind", option]);
        case.refuses(&bundle)?;
    }
    Ok(())
}

fn mappings_of_uids_without_gids_are_refused(case: &Case<'_>) -> Result<()> {
    for kind in ["uidMappings", "gidMappings"] {
        let source = case.dir().join(kind);
        fs::create_dir(&source)?;
        let bundle = case.bundle()?.mount("/mnt", "none", &source, &["bind", "idmap"]);
        let last = bundle.config["mounts"].as_array().map_or(0, Vec::len) - 1;
        let bundle = bundle.set(&format!("/mounts/{last}/{kind}"), mappings(100_000));
        case.refuses(&bundle)?;
    }
    Ok(())
}
