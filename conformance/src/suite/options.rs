//! config.md, Linux mount options: one test for each option.

use super::{Run, Test, has, mount_at, same};
use crate::case::{Case, unfit};
use anyhow::{Context, Result, ensure};
use mydocker_sys as sys;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use sys::mount::{MntFlags, MountAttrFlags};

/// What an option must lead to on a mount that it is given with, after the options before it.
enum Effect {
    /// The mount has this word in its options.
    Shows(&'static str),
    /// It has not.
    Hides(&'static str),
    /// The file system has this word in its options.
    Superblock(&'static str),
    /// It has not.
    NoSuperblock(&'static str),
    /// The option is accepted; the kernel shows nothing of it.
    Accepted,
}

/// Options of a new tmpfs: the option, what stands before it so that it has something to change, and its effect.
const ON_TMPFS: &[(&str, &[&str], Effect)] = &[
    ("async", &["sync"], Effect::NoSuperblock("sync")),
    ("atime", &["noatime"], Effect::Hides("noatime")),
    ("defaults", &[], Effect::Shows("rw")),
    ("dev", &["nodev"], Effect::Hides("nodev")),
    ("diratime", &["nodiratime"], Effect::Hides("nodiratime")),
    ("dirsync", &[], Effect::Superblock("dirsync")),
    ("exec", &["noexec"], Effect::Hides("noexec")),
    ("iversion", &[], Effect::Accepted),
    ("lazytime", &[], Effect::Superblock("lazytime")),
    ("loud", &[], Effect::Accepted),
    ("noatime", &[], Effect::Shows("noatime")),
    ("nodev", &[], Effect::Shows("nodev")),
    ("nodiratime", &[], Effect::Shows("nodiratime")),
    ("noexec", &[], Effect::Shows("noexec")),
    ("noiversion", &[], Effect::Accepted),
    ("nolazytime", &["lazytime"], Effect::NoSuperblock("lazytime")),
    ("norelatime", &["relatime"], Effect::Accepted),
    ("nostrictatime", &["strictatime"], Effect::Shows("relatime")),
    ("nosuid", &[], Effect::Shows("nosuid")),
    ("nosymfollow", &[], Effect::Shows("nosymfollow")),
    ("relatime", &[], Effect::Shows("relatime")),
    ("ro", &[], Effect::Shows("ro")),
    ("rw", &["ro"], Effect::Shows("rw")),
    ("silent", &[], Effect::Accepted),
    ("strictatime", &[], Effect::Hides("relatime")),
    ("suid", &["nosuid"], Effect::Hides("nosuid")),
    ("symfollow", &["nosymfollow"], Effect::Hides("nosymfollow")),
    ("sync", &[], Effect::Superblock("sync")),
];

/// Propagation: the option, and what the mount table must show of it (`""`: nothing).
const PROPAGATION: &[(&str, &str)] = &[
    ("private", ""),
    ("rprivate", ""),
    ("shared", "shared:"),
    ("rshared", "shared:"),
    ("slave", ""),
    ("rslave", ""),
    ("unbindable", "unbindable"),
    ("runbindable", "unbindable"),
];

/// Recursive attributes: the option, the attribute that the tree has before, and the word that the mount below must
/// show, or must not.
const RECURSIVE: &[(&str, Option<MountAttrFlags>, &str, bool)] = &[
    ("rro", None, "ro", true),
    ("rrw", Some(MountAttrFlags::MOUNT_ATTR_RDONLY), "ro", false),
    ("rnosuid", None, "nosuid", true),
    ("rsuid", Some(MountAttrFlags::MOUNT_ATTR_NOSUID), "nosuid", false),
    ("rdev", Some(MountAttrFlags::MOUNT_ATTR_NODEV), "nodev", false),
    ("rnoexec", None, "noexec", true),
    ("rexec", Some(MountAttrFlags::MOUNT_ATTR_NOEXEC), "noexec", false),
    ("rnodiratime", None, "nodiratime", true),
    ("rdiratime", Some(MountAttrFlags::MOUNT_ATTR_NODIRATIME), "nodiratime", false),
    ("rnoatime", None, "noatime", true),
    ("ratime", Some(MountAttrFlags::MOUNT_ATTR_NOATIME), "noatime", false),
    ("rrelatime", Some(MountAttrFlags::MOUNT_ATTR_NOATIME), "relatime", true),
    ("rnorelatime", None, "noatime", false),
    ("rstrictatime", None, "relatime", false),
    ("rnostrictatime", Some(MountAttrFlags::MOUNT_ATTR_STRICTATIME), "relatime", true),
    ("rnosymfollow", None, "nosymfollow", true),
    ("rsymfollow", Some(MountAttrFlags::MOUNT_ATTR_NOSYMFOLLOW), "nosymfollow", false),
];

/// The tests of this module, named after the option.
pub(super) fn tests() -> Vec<Test> {
    let mut tests = Vec::new();
    let mut add = |option: &str, run: Run| {
        tests.push(Test { name: format!("mount_option_{option}"), run });
    };
    for (option, before, effect) in ON_TMPFS {
        add(option, Box::new(|case| on_tmpfs(case, option, before, effect)));
    }
    for (option, shown) in PROPAGATION {
        add(option, Box::new(|case| propagates(case, option, shown)));
    }
    for (option, before, word, wanted) in RECURSIVE {
        add(option, Box::new(|case| recursive(case, option, *before, word, *wanted)));
    }
    add("bind", Box::new(bind));
    add("rbind", Box::new(rbind));
    add("remount", Box::new(remount));
    add("tmpcopyup", Box::new(tmpcopyup));
    tests
}

fn on_tmpfs(case: &Case<'_>, option: &str, before: &[&str], effect: &Effect) -> Result<()> {
    let mut options = before.to_vec();
    options.push(option);
    let report = case.report_of(case.bundle()?.mount("/mnt", "tmpfs", "tmpfs", &options))?;
    let mount = mount_at(&report, "/mnt")?;
    let (list, word, wanted) = match effect {
        Effect::Shows(word) => ("options", *word, true),
        Effect::Hides(word) => ("options", *word, false),
        Effect::Superblock(word) => ("superblock", *word, true),
        Effect::NoSuperblock(word) => ("superblock", *word, false),
        Effect::Accepted => return Ok(()),
    };
    shows(&mount[list], word, wanted)
}

fn shows(list: &Value, word: &str, wanted: bool) -> Result<()> {
    let must = if wanted { "must" } else { "must not" };
    ensure!(has(list, word) == wanted, "the options are {list}, which {must} have {word}");
    Ok(())
}

fn propagates(case: &Case<'_>, option: &str, shown: &str) -> Result<()> {
    let source = case.dir().join("source");
    fs::create_dir(&source)?;
    let report = case.report_of(case.bundle()?.mount("/mnt", "none", &source, &["rbind", option]))?;
    let words = &mount_at(&report, "/mnt")?["propagation"];
    let has_word = |word: &str| {
        words
            .as_array()
            .into_iter()
            .flatten()
            .any(|found| found.as_str().is_some_and(|f| f.starts_with(word)))
    };
    if shown.is_empty() {
        ensure!(!has_word("shared:") && !has_word("unbindable"), "the propagation of {option} is {words}");
    } else {
        ensure!(has_word(shown), "the propagation of {option} is {words}, and must have {shown}");
    }
    Ok(())
}

/// A mount that this suite made on the host, for a container to bind. It is taken off by [`Mounted::end`], at the
/// latest when the test ends.
pub(super) struct Mounted(PathBuf);

impl Mounted {
    /// A tmpfs at `point`.
    pub(super) fn tmpfs(point: &Path) -> Result<Self> {
        Self::with(point, MountAttrFlags::empty())
    }

    /// Mounts the directory `from` at `point`, with its file system.
    pub(super) fn directory(from: &Path, point: &Path) -> Result<Self> {
        let open = |path: &Path| sys::fs::open(path, sys::fs::OFlag::O_PATH);
        let tree = sys::mount::open_tree(open(from)?, sys::mount::Clone::One)?;
        sys::mount::attach(tree, open(point)?)?;
        Ok(Self(point.to_owned()))
    }

    fn with(point: &Path, attributes: MountAttrFlags) -> Result<Self> {
        let tmpfs = sys::mount::FsContext::open("tmpfs")?.mount(attributes)?;
        sys::mount::attach(tmpfs, sys::fs::open(point, sys::fs::OFlag::O_PATH)?)?;
        Ok(Self(point.to_owned()))
    }

    /// Takes it off.
    pub(super) fn end(self) -> Result<()> {
        sys::mount::umount(&self.0, MntFlags::MNT_DETACH).context("a mount of the test")
    }
}

/// A tree of two mounts is bound, and the option must reach the lower one.
fn recursive(
    case: &Case<'_>,
    option: &str,
    before: Option<MountAttrFlags>,
    word: &str,
    wanted: bool,
) -> Result<()> {
    let source = case.dir().join("source");
    fs::create_dir_all(source.join("below"))?;
    let below = Mounted::with(&source.join("below"), before.unwrap_or(MountAttrFlags::empty()))?;
    let report = case.report_of(case.bundle()?.mount("/mnt", "none", &source, &["rbind", option]));
    below.end()?;
    let report = report?;
    shows(&mount_at(&report, "/mnt/below")?["options"], word, wanted)
}

/// A bind mount has the directory, but not what is mounted in it.
fn bind(case: &Case<'_>) -> Result<()> {
    tree(case, "bind", None)
}

fn rbind(case: &Case<'_>) -> Result<()> {
    tree(case, "rbind", Some("tmpfs"))
}

fn tree(case: &Case<'_>, option: &str, below_wanted: Option<&str>) -> Result<()> {
    let source = case.dir().join("source");
    fs::create_dir_all(source.join("below"))?;
    fs::write(source.join("mark"), "here")?;
    let below = Mounted::tmpfs(&source.join("below"))?;
    let bundle = case.bundle()?.mount("/mnt", "none", &source, &[option]);
    let answers = case.answers_of(bundle, &[&["read", "/mnt/mark"], &["report"]]);
    below.end()?;
    let answers = answers?;
    same("a file of it", &answers[0]["text"], "here")?;
    let found = mount_at(&answers[1], "/mnt/below").ok();
    let kind = found.and_then(|mount| mount["kind"].as_str());
    ensure!(kind == below_wanted, "what is mounted below is {kind:?}, and must be {below_wanted:?}");
    Ok(())
}

/// The same mount, with other options.
fn remount(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?.mount("/mnt", "tmpfs", "tmpfs", &["nosuid"]);
    let bundle = bundle.mount("/mnt", "tmpfs", "tmpfs", &["remount", "ro", "nosuid"]);
    let report = case.report_of(bundle)?;
    let mounts = report["mounts"].as_array().into_iter().flatten();
    let at: Vec<&Value> = mounts.filter(|mount| mount["point"] == "/mnt").collect();
    ensure!(at.len() == 1, "{} mounts are at /mnt, and must be one", at.len());
    let readonly = has(&at[0]["options"], "ro") || has(&at[0]["superblock"], "ro");
    ensure!(readonly, "it is {} {}, and must be read-only", at[0]["options"], at[0]["superblock"]);
    Ok(())
}

/// A runtime may leave it out, and then hands it to tmpfs, which refuses it.
fn tmpcopyup(case: &Case<'_>) -> Result<()> {
    let bundle =
        case.bundle()?.mount("/data", "tmpfs", "tmpfs", &["tmpcopyup"]).ask(&[&["read", "/data/mark"]]);
    fs::write(bundle.path("/data/mark"), "here")?;
    if !case.try_create(&bundle)?.succeeded() {
        return unfit("the runtime leaves out tmpcopyup, as it may");
    }
    case.start(&bundle.id)?;
    let finished = case.finish(&bundle)?;
    same("a file that was there before", &finished.answers[0]["text"], "here")
}
