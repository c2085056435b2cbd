//! The figures that this project wants to reach, and whether it does. They inform; nothing fails because of them.

use crate::engines::CAT;
use crate::group::Group;
use crate::measure::{Figures, Results};
use crate::runtime::{FLOOR_WITH_CGROUPS, REFERENCE, REFERENCE_ENGINE};
use crate::workload::Workload;

/// A megabyte, in bytes.
pub const MEGABYTE: f64 = 1e6;

#[derive(Debug, Clone, Copy)]
enum Metric {
    Wall,
    Milliseconds,
    Cpu,
    Syscalls,
    Peak,
    Lost,
}

#[derive(Debug, Clone, Copy)]
enum Limit {
    AtMost(f64),
    Below(f64),
}

impl Limit {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::Below(limit) => value < limit,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtMost(limit) => format!("at most {limit}"),
            Self::Below(limit) => format!("below {limit}"),
        }
    }
}

/// One target: a metric of ours in a workload, as a ratio to another entrant's or as it is.
#[derive(Debug, Clone, Copy)]
struct Target {
    workload: Workload,
    metric: Metric,
    against: Option<&'static str>,
    limit: Limit,
}

const fn ratio(workload: Workload, metric: Metric, against: &'static str, limit: Limit) -> Target {
    Target { workload, metric, against: Some(against), limit }
}

const fn plain(workload: Workload, metric: Metric, limit: f64) -> Target {
    Target { workload, metric, against: None, limit: Limit::AtMost(limit) }
}

const TARGETS: [Target; 24] = [
    ratio(Workload::Run, Metric::Wall, REFERENCE, Limit::AtMost(0.5)),
    ratio(Workload::Run, Metric::Cpu, REFERENCE, Limit::AtMost(0.5)),
    ratio(Workload::Run, Metric::Wall, FLOOR_WITH_CGROUPS, Limit::AtMost(1.8)),
    plain(Workload::Run, Metric::Syscalls, 300.0),
    plain(Workload::Run, Metric::Peak, 3.0),
    ratio(Workload::SeccompWarm, Metric::Wall, REFERENCE, Limit::AtMost(0.5)),
    ratio(Workload::SeccompWarm, Metric::Cpu, REFERENCE, Limit::AtMost(0.5)),
    ratio(Workload::SeccompCold, Metric::Wall, REFERENCE, Limit::Below(1.0)),
    ratio(Workload::Exec, Metric::Wall, REFERENCE, Limit::AtMost(0.5)),
    ratio(Workload::State, Metric::Wall, REFERENCE, Limit::Below(1.0)),
    ratio(Workload::Kill, Metric::Wall, REFERENCE, Limit::Below(1.0)),
    ratio(Workload::Delete, Metric::Wall, REFERENCE, Limit::Below(1.0)),
    ratio(Workload::Parallel, Metric::Wall, REFERENCE, Limit::AtMost(0.6)),
    plain(Workload::Parallel, Metric::Lost, 0.0),
    ratio(Workload::SystemdLifecycle, Metric::Wall, REFERENCE, Limit::AtMost(0.7)),
    ratio(Workload::EngineRun, Metric::Wall, REFERENCE_ENGINE, Limit::AtMost(0.25)),
    ratio(Workload::EngineRun, Metric::Wall, "docker", Limit::AtMost(0.25)),
    ratio(Workload::EngineBridge, Metric::Wall, REFERENCE_ENGINE, Limit::AtMost(0.5)),
    ratio(Workload::EngineExec, Metric::Wall, REFERENCE_ENGINE, Limit::AtMost(0.3)),
    ratio(Workload::EnginePs, Metric::Wall, REFERENCE_ENGINE, Limit::AtMost(0.3)),
    Target {
        workload: Workload::EnginePsMany,
        metric: Metric::Milliseconds,
        against: None,
        limit: Limit::Below(100.0),
    },
    plain(Workload::EngineAtOnce, Metric::Lost, 0.0),
    ratio(Workload::EngineCopy, Metric::Cpu, CAT, Limit::AtMost(1.5)),
    plain(Workload::EngineMonitor, Metric::Peak, 3.0),
];

/// The size that our program may have, in megabytes.
const BINARY: Limit = Limit::AtMost(4.0);

/// What became of one target.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The figure in words.
    pub figure: String,
    /// The target in words.
    pub target: String,
    /// What was measured; `None` when it was not.
    pub measured: Option<f64>,
    /// Whether the target is met; `None` when it was not measured.
    pub met: Option<bool>,
}

impl Verdict {
    fn new(figure: String, limit: Limit, measured: Option<f64>) -> Self {
        Self { figure, target: limit.text(), measured, met: measured.map(|value| limit.holds(value)) }
    }
}

/// The verdict on every target whose workload was asked for.
pub fn judge(results: &Results) -> Vec<Verdict> {
    let wanted = TARGETS.iter().filter(|target| results.workloads.contains(&target.workload));
    let mut verdicts: Vec<Verdict> = wanted.map(|target| target.judge(results)).collect();
    if results.group != Group::Runtimes {
        return verdicts;
    }
    let ours = results.entrants.iter().find(|entrant| entrant.name == results.group.ours());
    let size = ours.and_then(|ours| ours.facts.as_ref().ok()).map(|facts| facts.size as f64 / MEGABYTE);
    verdicts.push(Verdict::new("binary size, MB".into(), BINARY, size));
    verdicts
}

impl Target {
    fn judge(&self, results: &Results) -> Verdict {
        let figures = |name| results.figures(self.workload, name);
        let ours = figures(results.group.ours()).and_then(|ours| self.metric.of(ours));
        let measured = match self.against {
            None => ours,
            Some(other) => {
                let other =
                    figures(other).and_then(|other| self.metric.of(other)).filter(|value| *value > 0.0);
                ours.zip(other).map(|(ours, other)| ours / other)
            }
        };
        let against = self.against.map(|other| format!(" / {other}")).unwrap_or_default();
        let figure = format!("{}: {}{against}", self.workload.title(), self.metric.words());
        Verdict::new(figure, self.limit, measured)
    }
}

impl Metric {
    fn words(self) -> &'static str {
        match self {
            Self::Wall => "wall time",
            Self::Milliseconds => "wall time, ms",
            Self::Cpu => "CPU time",
            Self::Syscalls => "system calls",
            Self::Peak => "peak resident set, MB",
            Self::Lost => "lost",
        }
    }

    fn of(self, figures: &Figures) -> Option<f64> {
        match self {
            Self::Wall => Some(figures.median.as_secs_f64()),
            Self::Milliseconds => Some(figures.median.as_secs_f64() * 1e3),
            Self::Cpu => Some(figures.cpu.as_secs_f64()),
            Self::Syscalls => figures.syscalls.map(|count| count as f64),
            Self::Peak => figures.peak.map(|bytes| bytes as f64 / MEGABYTE),
            Self::Lost => Some(figures.lost as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::results;

    #[test]
    fn a_ratio_is_judged_against_its_limit() {
        let verdicts = judge(&results());
        let wall = verdicts.iter().find(|verdict| verdict.figure.ends_with("wall time / crun")).unwrap();
        assert_eq!((wall.measured, wall.met), (Some(0.4), Some(true)));
        let cpu = verdicts.iter().find(|verdict| verdict.figure.ends_with("CPU time / crun")).unwrap();
        assert_eq!((cpu.measured, cpu.met), (Some(0.75), Some(false)));
    }

    #[test]
    fn what_was_not_measured_is_neither_met_nor_missed() {
        let verdicts = judge(&results());
        let floor = verdicts.iter().find(|verdict| verdict.figure.contains("floor")).unwrap();
        assert_eq!((floor.measured, floor.met), (None, None));
    }

    #[test]
    fn below_excludes_the_limit_itself() {
        assert!(!Limit::Below(1.0).holds(1.0));
        assert!(Limit::AtMost(1.0).holds(1.0));
    }
}
