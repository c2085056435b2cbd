//! The report in Markdown.

use crate::engines::CAT;
use crate::group::Group;
use crate::measure::{Cell, Figures, Results};
use crate::runtime::FLOOR_WITH_CGROUPS;
use crate::targets::{MEGABYTE, Verdict};
use crate::workload::Workload;
use std::time::Duration;

const METHOD: &str = "\
Every round runs each program once, each round in another order, so that what disturbs the
machine disturbs all alike and nobody always pays for the same predecessor. Judge by ratios: the times of another
machine are others.

";

/// The whole report.
pub fn markdown(results: &Results, verdicts: &[Verdict]) -> String {
    let group = results.group;
    let mut text = format!("# {}\n\nMade by `{}`, which writes this file", group.title(), group.made_by());
    text += &match group.has_plot() {
        true => format!(" and the plot.\n\n![median wall times]({}.svg)\n\n", group.stem()),
        false => ".\n\n".into(),
    };
    text += "## How\n\n";
    text += METHOD;
    text += group.method();
    text += &repeats(results);
    text += "\n## Machine\n\n";
    text += &machine(&results.cgroups);
    text += "\n## Programs\n\n";
    text += &programs(results);
    text += &format!("\n## Targets\n\nWhat this project wants {} to reach.\n\n", group.wanted());
    text += &targets(verdicts);
    for &workload in &results.workloads {
        text += &format!("\n## {}\n\n", capitalised(workload.title()));
        text += &table(results, workload);
    }
    text
}

fn repeats(results: &Results) -> String {
    let (iterations, rest, tool) = (results.iterations, rest(results.rest), results.tool.name());
    match results.group {
        Group::Runtimes | Group::Systemd => {
            format!("- {iterations} iterations, {rest}; system calls counted by {tool}.\n")
        }
        Group::Engines => format!(
            "- {iterations} iterations, {} where it is much at once, {rest}; {} lines of output.\n",
            Workload::EngineLog.iterations(iterations),
            results.log_lines
        ),
    }
}

fn rest(rest: Duration) -> String {
    if rest.is_zero() { "back to back".into() } else { format!("each after {} ms of rest", rest.as_millis()) }
}

/// The machine in one line.
pub fn machine(cgroups: &str) -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let value = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_once(':').map_or("unknown", |(_, value)| value.trim()).to_owned()
    };
    let kernel = read("/proc/sys/kernel/osrelease");
    let cpu = value(&read("/proc/cpuinfo"), "model name");
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let memory: u64 = value(&read("/proc/meminfo"), "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0);
    format!(
        "Linux {}, {cpu}, {cores} cores, {} GiB of memory, {cgroups}.\n",
        kernel.trim(),
        (memory as f64 / 1_048_576.0).round()
    )
}

fn programs(results: &Results) -> String {
    let mut rows = vec![row(&["program", "version", "size, MB"]), row(&["---", "---", "---:"])];
    rows.extend(results.entrants.iter().map(|entrant| match &entrant.facts {
        Ok(facts) => {
            row(&[&entrant.name, &escaped(&facts.version), &format!("{:.2}", facts.size as f64 / MEGABYTE)])
        }
        Err(reason) => row(&[&entrant.name, &format!("not measured: {}", escaped(reason)), ""]),
    }));
    rows.concat()
}

fn targets(verdicts: &[Verdict]) -> String {
    let mut rows =
        vec![row(&["figure", "target", "measured", "verdict"]), row(&["---", "---", "---:", "---"])];
    rows.extend(verdicts.iter().map(|verdict| {
        let measured = verdict.measured.map_or("-".into(), number);
        let met = match verdict.met {
            Some(true) => "met",
            Some(false) => "not met",
            None => "not measured",
        };
        row(&[&verdict.figure, &verdict.target, &measured, met])
    }));
    rows.concat()
}

fn table(results: &Results, workload: Workload) -> String {
    let columns = Column::of(results, workload);
    let heads: Vec<String> = columns.iter().map(|column| column.head(results.group)).collect();
    let head: Vec<&str> = std::iter::once("program").chain(heads.iter().map(String::as_str)).collect();
    let line: Vec<&str> = std::iter::once("---").chain(columns.iter().map(|_| "---:")).collect();
    let cells = results.cells.iter().filter(|cell| cell.workload == workload);
    let rows = cells.map(|cell| table_row(results, cell, &columns));
    [row(&head), row(&line)].into_iter().chain(rows).collect()
}

fn table_row(results: &Results, cell: &Cell, columns: &[Column]) -> String {
    let mut fields = vec![cell.entrant.clone()];
    match &cell.outcome {
        Ok(figures) => fields.extend(columns.iter().map(|column| column.field(results, cell, figures))),
        Err(reason) => fields.push(format!("failed: {}", escaped(reason))),
    }
    fields.resize(columns.len() + 1, String::new());
    row(&fields.iter().map(String::as_str).collect::<Vec<_>>())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Median,
    P95,
    Cpu,
    Syscalls,
    Peak,
    ToReference,
    ToFloor,
    ToCat,
    Lost,
}

impl Column {
    /// The columns that say something of a workload.
    fn of(results: &Results, workload: Workload) -> Vec<Self> {
        if workload == Workload::EngineMonitor {
            return vec![Self::Peak];
        }
        if workload == Workload::EngineCopy {
            return vec![Self::Cpu, Self::ToCat];
        }
        let mut columns = vec![Self::Median, Self::P95, Self::Cpu];
        if workload.is_sequential() && !workload.is_of_engines() {
            columns.push(Self::Syscalls);
        }
        if workload.is_sequential() {
            columns.push(Self::Peak);
        }
        columns.push(Self::ToReference);
        if results.figures(workload, FLOOR_WITH_CGROUPS).is_some() {
            columns.push(Self::ToFloor);
        }
        if results.figures(workload, CAT).is_some() {
            columns.push(Self::ToCat);
        }
        if workload.counts_losses() {
            columns.push(Self::Lost);
        }
        columns
    }

    fn head(self, group: Group) -> String {
        let fixed = match self {
            Self::Median => "wall, ms",
            Self::P95 => "p95, ms",
            Self::Cpu => "CPU, ms",
            Self::Syscalls => "system calls",
            Self::Peak => "peak, MB",
            Self::ToReference => return format!("wall / {}", group.reference()),
            Self::ToFloor => "wall / floor+cgroups",
            Self::ToCat => "CPU / cat",
            Self::Lost => "lost",
        };
        fixed.into()
    }

    fn field(self, results: &Results, cell: &Cell, figures: &Figures) -> String {
        let ratio = |to: &str, of: fn(&Figures) -> Duration| {
            let other = results.figures(cell.workload, to).map(of).filter(|time| !time.is_zero());
            other.map(|other| number(of(figures).as_secs_f64() / other.as_secs_f64()))
        };
        let wall = |figures: &Figures| figures.median;
        let field = match self {
            Self::Median => Some(milliseconds(figures.median)),
            Self::P95 => Some(milliseconds(figures.p95)),
            Self::Cpu => Some(milliseconds(figures.cpu)),
            Self::Syscalls => figures.syscalls.map(|count| count.to_string()),
            Self::Peak => figures.peak.map(|bytes| format!("{:.1}", bytes as f64 / MEGABYTE)),
            Self::ToReference => ratio(results.group.reference(), wall),
            Self::ToFloor => ratio(FLOOR_WITH_CGROUPS, wall),
            Self::ToCat => ratio(CAT, |figures| figures.cpu),
            Self::Lost => Some(figures.lost.to_string()),
        };
        field.unwrap_or_else(|| "-".into())
    }
}

/// A time in milliseconds, with three digits at least.
pub fn milliseconds(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1e3;
    if milliseconds < 100.0 { format!("{milliseconds:.2}") } else { format!("{milliseconds:.0}") }
}

/// A ratio or a count, without needless zeroes.
fn number(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value}") } else { format!("{value:.2}") }
}

fn row(fields: &[&str]) -> String {
    format!("| {} |\n", fields.join(" | "))
}

fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::counter::Tool;
    use crate::meter::Meter;
    use crate::runtime::{Entrant, Facts, Kind, OURS};
    use crate::targets;

    /// Ours twice as fast as the target asks, crun, and a runc that failed.
    pub fn results() -> Results {
        let figures = |median, cpu| Figures {
            median: Duration::from_millis(median),
            p95: Duration::from_millis(median + 1),
            cpu: Duration::from_millis(cpu),
            syscalls: Some(250),
            peak: Some(2_500_000),
            lost: 0,
        };
        let cell =
            |entrant: &str, outcome| Cell { workload: Workload::Run, entrant: entrant.into(), outcome };
        let entrant = |name: &str, size| Entrant {
            name: name.into(),
            path: name.into(),
            kind: Kind::Oci { root: "/r".into() },
            meter: Meter::Children,
            facts: Ok(Facts { version: format!("{name} 1"), size }),
        };
        Results {
            group: Group::Runtimes,
            log_lines: 0,
            entrants: vec![entrant(OURS, 2_000_000), entrant("crun", 490_000), entrant("runc", 8_000_000)],
            workloads: vec![Workload::Run],
            cells: vec![
                cell(OURS, Ok(figures(4, 6))),
                cell("crun", Ok(figures(10, 8))),
                cell("runc", Err("a | in\nits last words".into())),
            ],
            iterations: 3,
            rest: Duration::ZERO,
            cgroups: "cgroup v2".into(),
            tool: Tool::None,
        }
    }

    #[test]
    fn a_table_has_a_row_for_each_and_the_reason_of_who_failed() {
        let text = table(&results(), Workload::Run);
        assert!(text.contains("| mydocker-runtime | 4.00 | 5.00 | 6.00 | 250 | 2.5 | 0.40 |\n"), "{text}");
        assert!(text.contains("| runc | failed: a \\| in its last words |"), "{text}");
    }

    #[test]
    fn targets_are_told_as_met_not_met_or_not_measured() {
        let text = markdown(&results(), &targets::judge(&results()));
        for expected in
            ["| at most 0.5 | 0.40 | met |", "| 0.75 | not met |", "| at most 1.8 | - | not measured |"]
        {
            assert!(text.contains(expected), "{text}");
        }
    }

    #[test]
    fn times_keep_three_digits() {
        assert_eq!(milliseconds(Duration::from_micros(1_234)), "1.23");
        assert_eq!(milliseconds(Duration::from_micros(1_234_567)), "1235");
    }
}
