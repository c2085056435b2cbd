//! One command, with every fault at every point, one after the other.

use crate::point::{Fault, Point};
use crate::subject::Subject;
use crate::verdict::{Manner, judge};
use mydocker_tests::{Bundle, Invocation, Outcome, Runtime, leftovers};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// How long a command may take under a fault. The longest deadline of the runtime's own is shorter.
const PATIENCE: Duration = Duration::from_secs(40);

/// The program of the test containers, whose system calls are not the runtime's.
const PROGRAM: &str = "bin/busybox";

/// Calls that are left alone: brk answers with an address and umask, getpid and the like with a number, whatever happens;
/// the exits do not return; and arch_prctl is how the C library starts, before there is a program to tell anything.
const EXEMPT: [&str; 12] = [
    "arch_prctl",
    "brk",
    "exit",
    "exit_group",
    "getegid",
    "geteuid",
    "getgid",
    "getpid",
    "gettid",
    "getuid",
    "rt_sigreturn",
    "umask",
];

/// The sweep of one command of one runtime.
#[derive(Debug)]
pub struct Sweep {
    runtime: Runtime,
    injector: PathBuf,
    template: Bundle,
    subject: Subject,
    /// What the container's program prints when nothing fails.
    reference: BTreeSet<String>,
    points: Vec<Point>,
}

/// What came of one fault at one point.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Finding {
    /// Where.
    pub point: Point,
    /// What.
    pub fault: Fault,
    /// How the command took it.
    pub manner: Manner,
    /// What was left after `delete --force`, or was not as it should be.
    pub left: Vec<String>,
    /// What the command said.
    pub said: String,
}

impl Finding {
    /// Whether there is nothing to mend.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.manner.is_good() && self.left.is_empty()
    }
}

impl Sweep {
    /// Follows the command once without a fault, to learn its points and what it does.
    ///
    /// # Panics
    /// When the command fails without any fault.
    #[must_use]
    pub fn new(program: PathBuf, injector: PathBuf, subject: Subject) -> Self {
        let runtime = Runtime::at(program);
        let template = subject.configure(runtime.bundle());
        let mut sweep =
            Self { runtime, injector, template, subject, reference: BTreeSet::new(), points: Vec::new() };
        // The first run may warm what later ones use.
        for _ in 0..2 {
            let bundle = sweep.ready();
            let calls = sweep.calls_file();
            let command = sweep.traced(&bundle, &["--calls", &calls.display().to_string()]);
            let outcome = command.run().succeeds();
            sweep.reference = look(&outcome, &bundle);
            sweep.points = read_points(&calls);
            let left = sweep.clear(&bundle);
            assert!(left.is_empty(), "{} without a fault leaves {left:?}", subject.name());
        }
        sweep
    }

    /// The points at which faults make sense.
    #[must_use]
    pub fn points(&self) -> Vec<Point> {
        self.points.iter().filter(|point| !EXEMPT.contains(&point.name.as_str())).cloned().collect()
    }

    /// Lets one fault strike.
    #[must_use]
    pub fn strike(&self, point: &Point, fault: Fault) -> Finding {
        let bundle = self.ready();
        let argument = point.to_argument();
        let mark = self.runtime.scratch().join("out/struck");
        drop(fs::remove_file(&mark));
        let mark_text = mark.display().to_string();
        let mut options = vec!["--at", argument.as_str(), "--struck", mark_text.as_str()];
        options.extend((fault == Fault::Killed).then_some("--kill"));
        let ended = self.traced(&bundle, &options).deadline(PATIENCE).spawn().wait_if_it_ends();
        let (mut manner, mut left, said) = match ended {
            Ok(outcome) => self.examine(&bundle, &outcome, fault, point.process == 0),
            Err(report) => (Manner::Hung, Vec::new(), report),
        };
        left.extend(self.clear(&bundle));
        if manner == Manner::Absorbed && !left.is_empty() {
            manner = Manner::Degraded;
        }
        if manner == Manner::Absorbed && !mark.exists() {
            manner = Manner::Missed;
        }
        Finding { point: point.clone(), fault, manner, left, said }
    }

    fn examine(
        &self,
        bundle: &Bundle,
        outcome: &Outcome,
        fault: Fault,
        own: bool,
    ) -> (Manner, Vec<String>, String) {
        let manner = judge(outcome, fault);
        let mut wrong = Vec::new();
        if manner == Manner::Absorbed {
            wrong.extend(self.subject.missing(&self.runtime, bundle, own));
            let found = look(outcome, bundle);
            wrong.extend(found.symmetric_difference(&self.reference).map(|line| format!("differs: {line}")));
        } else {
            wrong.extend(self.subject.damaged(&self.runtime, bundle));
        }
        (manner, wrong, outcome.stderr.trim().to_owned())
    }

    /// A container in the state in which the command is given.
    fn ready(&self) -> Bundle {
        let bundle = self.runtime.bundle_like(&self.template);
        self.subject.prepare(&self.runtime, &bundle);
        bundle
    }

    fn traced(&self, bundle: &Bundle, options: &[&str]) -> Invocation {
        let injector = self.injector.display().to_string();
        let front = [injector.as_str(), "--program", PROGRAM].into_iter().chain(options.iter().copied());
        self.subject.command(&self.runtime, bundle).through(front.chain(["--"]))
    }

    fn calls_file(&self) -> PathBuf {
        self.runtime.scratch().join("out/calls")
    }

    /// Deletes the container by force, and tells what is left then.
    fn clear(&self, bundle: &Bundle) -> Vec<String> {
        let delete = self.runtime.command(["delete", "--force", bundle.id()]).spawn().wait_if_it_ends();
        let mut left = match delete {
            Ok(outcome) if outcome.status.success() => Vec::new(),
            Ok(outcome) => vec![outcome.describe()],
            Err(report) => vec![report],
        };
        left.extend(leftovers::take(&self.runtime.root(), bundle.id(), true));
        // What one fault left must not be blamed on the next.
        drop(fs::remove_dir_all(self.runtime.root()));
        drop(fs::remove_dir_all(bundle.dir()));
        left
    }
}

impl Drop for Sweep {
    /// What a judged runtime left has been reported; the next sweep begins on a clean machine.
    fn drop(&mut self) {
        drop(leftovers::take(&self.runtime.root(), self.runtime.name(), true));
    }
}

fn read_points(path: &std::path::Path) -> Vec<Point> {
    let text = fs::read_to_string(path).expect("the injector wrote it");
    text.lines().map(|line| serde_json::from_str(line).expect("a point a line")).collect()
}

/// The lines that the container's program printed, without what differs from one container to the next.
fn look(outcome: &Outcome, bundle: &Bundle) -> BTreeSet<String> {
    let text = outcome.stdout.replace(bundle.id(), "ID");
    text.lines().map(without_group_numbers).collect()
}

/// Peer groups of mounts are numbered by the kernel.
fn without_group_numbers(line: &str) -> String {
    let known = |word: &&str| !word.starts_with("master:") && !word.starts_with("shared:");
    line.split(' ').filter(known).collect::<Vec<_>>().join(" ")
}
