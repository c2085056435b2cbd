//! The image tool under faults: each system call of `pull`, `commit` and `load` fails in turn, and the tool is killed at each.
//!
//! After a fault the store lists what it had before and what it says it has got, every blob is what its name says, and the
//! same command, given again, succeeds; then `gc` leaves nothing unfinished.

use crate::point::{Fault, Point};
use crate::sweep::Finding;
use crate::verdict::{Manner, judge};
use mydocker_tests::img::{FakeRegistry, Img, SampleImage, Served, sha256};
use mydocker_tests::{Invocation, Outcome};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a command may take under a fault.
const PATIENCE: Duration = Duration::from_secs(60);

/// Calls that are left alone: those that answer with a number whatever happens, those by which memory is had, of which
/// a failure is no matter of the tool, and those with which the C library and the threads of Rust's begin and end.
const EXEMPT: [&str; 27] = [
    "arch_prctl",
    "brk",
    "clone3",
    "exit",
    "exit_group",
    "futex",
    "getegid",
    "geteuid",
    "getgid",
    "getpid",
    "getrandom",
    "gettid",
    "getuid",
    "madvise",
    "mmap",
    "mprotect",
    "mremap",
    "munmap",
    "poll",
    "prlimit64",
    "rseq",
    "rt_sigaction",
    "rt_sigprocmask",
    "sched_getaffinity",
    "set_robust_list",
    "set_tid_address",
    "sigaltstack",
];

/// A command of the image tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageSubject {
    /// `pull` of an image that shares a layer with one that is there.
    Pull,
    /// `commit` of an upper directory.
    Commit,
    /// `load` of an archive.
    Load,
}

/// The image that is in the store before, and the one that the command brings.
const KEPT: &str = "kept:1";
const NEW: &str = "new:1";

impl ImageSubject {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Pull, Self::Commit, Self::Load];

    /// Its name in tables and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Commit => "commit",
            Self::Load => "load",
        }
    }
}

/// The sweep of one command of the image tool that `MYDOCKER_IMG` names.
pub struct ImageSweep {
    subject: ImageSubject,
    injector: PathBuf,
    registry: FakeRegistry,
    /// What the image that is there before has in its file `0`.
    template: Img,
    points: Vec<Point>,
}

impl ImageSweep {
    /// Follows the command once without a fault, to learn its points.
    ///
    /// # Panics
    /// When the command fails without any fault.
    #[must_use]
    pub fn new(injector: PathBuf, subject: ImageSubject) -> Self {
        let (kept, new) = (SampleImage::new(&[b"shared", b"one"]), SampleImage::new(&[b"shared", b"other"]));
        let mut served = Served::image("kept", &kept);
        served.add(&new);
        served.manifest("new", &new.media_type, &new.manifest);
        let registry = FakeRegistry::good(served);
        let template = Img::new();
        template.pull(&registry.name("a:kept")).run().succeeds().discard();
        template.command(["tag", &registry.name("a:kept"), KEPT]).run().succeeds().discard();
        template.command(["rmi", &registry.name("a:kept")]).run().succeeds().discard();
        let mut sweep = Self { subject, injector, registry, template, points: Vec::new() };
        sweep.prepare();
        let (img, calls) = (sweep.ready(), sweep.template.path("calls"));
        let traced = sweep.traced(&img, &["--calls", &calls.display().to_string()]);
        traced.run().succeeds().discard();
        let text = fs::read_to_string(&calls).expect("the injector wrote it");
        sweep.points = text.lines().map(|line| serde_json::from_str(line).expect("a point a line")).collect();
        sweep
    }

    /// The points at which faults make sense.
    #[must_use]
    pub fn points(&self) -> Vec<Point> {
        self.points.iter().filter(|point| !EXEMPT.contains(&point.name.as_str())).cloned().collect()
    }

    /// Lets one fault strike.
    ///
    /// # Panics
    /// When the scratch directory cannot be written.
    #[must_use]
    pub fn strike(&self, point: &Point, fault: Fault) -> Finding {
        let img = self.ready();
        let (at, mark) = (point.to_argument(), img.path("struck"));
        let mark_text = mark.display().to_string();
        let mut options = vec!["--at", at.as_str(), "--only", &point.name, "--struck", mark_text.as_str()];
        options.extend((fault == Fault::Killed).then_some("--kill"));
        let ended = self.traced(&img, &options).deadline(PATIENCE).spawn().wait_if_it_ends();
        let (mut manner, said) = match &ended {
            Ok(outcome) => (judge(outcome, fault), outcome.stderr.trim().to_owned()),
            Err(report) => (Manner::Hung, report.clone()),
        };
        let left = self.wrong(&img, ended.is_ok_and(|outcome| outcome.status.success()));
        if manner == Manner::Absorbed && !left.is_empty() {
            manner = Manner::Degraded;
        } else if manner == Manner::Absorbed && !mark.exists() {
            manner = Manner::Missed;
        }
        Finding { point: point.clone(), fault, manner, left, said }
    }

    /// What the command needs that is made once.
    fn prepare(&self) {
        fs::create_dir(self.template.path("upper")).expect("writable");
        fs::write(self.template.path("upper/0"), b"other").expect("writable");
        fs::create_dir(self.template.path("upper/d")).expect("writable");
        let archive = self.template.path("archive");
        let other = Img::new();
        other.pull(&self.registry.name("a:new")).run().succeeds().discard();
        let save = other.command(["save", "--format", "oci-archive", "--output"]).arg(archive);
        save.arg(self.registry.name("a:new")).run().succeeds().discard();
    }

    /// A store with one image.
    fn ready(&self) -> Img {
        let img = Img::new();
        copy(&self.template.path("store"), &img.path("store"));
        img
    }

    fn command(&self, img: &Img) -> Invocation {
        match self.subject {
            ImageSubject::Pull => img.pull(&self.registry.name("a:new")).arg("--plain-http"),
            ImageSubject::Commit => {
                let command = img.command(["commit", "--base", KEPT, "--upper"]);
                command.arg(self.template.path("upper")).arg(NEW)
            }
            ImageSubject::Load => {
                img.command(["load", "--input"]).arg(self.template.path("archive")).arg(NEW)
            }
        }
    }

    fn traced(&self, img: &Img, options: &[&str]) -> Invocation {
        let injector = self.injector.display().to_string();
        let front = [injector.as_str()].into_iter().chain(options.iter().copied());
        self.command(img).through(front.chain(["--"]))
    }

    fn new_name(&self) -> String {
        match self.subject {
            ImageSubject::Pull => self.registry.name("a:new"),
            _ => NEW.to_owned(),
        }
    }

    /// What is not as it should be after a fault; `succeeded` says that the command claims to have done its work.
    fn wrong(&self, img: &Img, succeeded: bool) -> Vec<String> {
        let mut wrong: Vec<String> = damaged_blobs(img);
        wrong.extend(lacks(img, KEPT, "one"));
        if succeeded {
            wrong.extend(lacks(img, &self.new_name(), "other"));
        }
        wrong.extend(failure(self.command(img)));
        wrong.extend(lacks(img, KEPT, "one"));
        wrong.extend(lacks(img, &self.new_name(), "other"));
        wrong.extend(failure(img.command(["gc"])));
        wrong.extend(lacks(img, &self.new_name(), "other"));
        if wrong.is_empty() && img.unfinished() > 0 {
            wrong.push(format!("{} unfinished", img.unfinished()));
        }
        wrong
    }
}

fn failure(command: Invocation) -> Option<String> {
    match command.deadline(PATIENCE).spawn().wait_if_it_ends() {
        Ok(outcome) => (!outcome.status.success()).then(|| Outcome::describe(&outcome)),
        Err(report) => Some(report),
    }
}

/// Why an image cannot be used: its bundle is not made, or has another file.
fn lacks(img: &Img, name: &str, content: &str) -> Option<String> {
    let bundle = img.path("bundle");
    let failed = failure(img.command(["bundle", name]).arg(&bundle));
    let root = bundle.join("rootfs");
    let has = ["0", "1"]
        .iter()
        .any(|file| fs::read(root.join(file)).is_ok_and(|found| found == content.as_bytes()));
    // The next bundle is made in the same place.
    drop(fs::remove_dir_all(&bundle));
    failed.or_else(|| (!has).then(|| format!("{name} lacks {content:?}")))
}

fn damaged_blobs(img: &Img) -> Vec<String> {
    let Ok(entries) = fs::read_dir(img.layout().join("blobs/sha256")) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    let is_wrong = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        fs::read(path).map_or(true, |bytes| sha256(&bytes) != format!("sha256:{name}"))
    };
    paths.filter(is_wrong).map(|path| format!("damaged: {}", path.display())).collect()
}

fn copy(from: &Path, to: &Path) {
    let status = std::process::Command::new("cp").arg("-a").args([from, to]).status();
    assert!(status.is_ok_and(|status| status.success()), "cp of {} fails", from.display());
}
