//! The report in Markdown.

use super::programs::{Program, Task};
use super::{Cell, Place, Sample};
use crate::report::machine;
use crate::targets::MEGABYTE;
use std::time::Duration;

const METHOD: &str = "\
Every round runs each program once, each round in another order. All stores are on one file system of their own.
Judge by ratios: the times of another machine are others.

- wall: from the start of the command to its end; median.
- CPU: user and system time of the command, of its children, and of containerd where it does the work; median. What the
  registry needs counts for nobody.
- peak: resident set of the largest process, in one pass of its own. MB are 10^6 bytes.
- `commit`: podman keeps the layer as it is, mydocker-img compresses it with gzip and unpacks it for the next container.
- curl, igzip and tar unpack both layers into one directory and compute the digests beside it, without a store.
";

/// What is wanted of the first program in comparison with the second, or by itself.
struct Target {
    what: &'static str,
    task: Task,
    reach: Reach,
}

enum Reach {
    WallOf(Program, f64),
    CpuOf(Program, f64),
    Wall(Duration),
    Peak(u64),
}

const TARGETS: [Target; 8] = [
    Target {
        what: "pull, wall: at most 0.4 of podman's",
        task: Task::Pull,
        reach: Reach::WallOf(Program::Podman, 0.4),
    },
    Target {
        what: "pull, CPU: at most 0.5 of podman's",
        task: Task::Pull,
        reach: Reach::CpuOf(Program::Podman, 0.5),
    },
    Target {
        what: "pull, wall: below curl, igzip and tar",
        task: Task::Pull,
        reach: Reach::WallOf(Program::Pipe, 1.0),
    },
    Target { what: "pull, peak: at most 40 MB", task: Task::Pull, reach: Reach::Peak(40_000_000) },
    Target {
        what: "pull again: below 50 ms",
        task: Task::Again,
        reach: Reach::Wall(Duration::from_millis(50)),
    },
    Target {
        what: "commit, wall: at most 0.5 of podman's",
        task: Task::Commit,
        reach: Reach::WallOf(Program::Podman, 0.5),
    },
    Target {
        what: "list of 1,000 tags: below 20 ms",
        task: Task::List,
        reach: Reach::Wall(Duration::from_millis(20)),
    },
    Target {
        what: "pull of 5 GB in one file and of 10,000 files, peak: at most 40 MB",
        task: Task::Huge,
        reach: Reach::Peak(40_000_000),
    },
];

/// The whole report.
pub(super) fn markdown(place: &Place, cells: &[Cell], iterations: u32) -> String {
    let (compressed, unpacked) = place.sizes;
    let megabytes = |bytes: u64| bytes as f64 / MEGABYTE;
    let mut text =
        String::from("# Benchmarks of the image tool\n\nMade by `make bench-images`.\n\n## How\n\n");
    text += METHOD;
    text += &format!(
        "- The image has two layers, {:.0} MB compressed with gzip and {:.0} MB unpacked. {iterations} iterations.\n",
        megabytes(compressed),
        megabytes(unpacked)
    );
    text += &format!("\n## Machine\n\n{}\n", machine(place.ground_name()));
    text += "## Targets\n\n| figure | measured | verdict |\n| --- | ---: | --- |\n";
    for target in &TARGETS {
        let (measured, verdict) = match judge(target, cells) {
            Some((measured, true)) => (measured, "reached"),
            Some((measured, false)) => (measured, "missed"),
            None => ("-".to_owned(), "not measured"),
        };
        text += &format!("| {} | {measured} | {verdict} |\n", target.what);
    }
    let measured = |task: &Task| cells.iter().any(|cell| cell.task == *task);
    for task in Task::ALL.into_iter().filter(measured) {
        text += &format!(
            "\n## {}\n\n| program | wall, s | CPU, s | peak, MB |\n| --- | ---: | ---: | ---: |\n",
            task.title()
        );
        for cell in cells.iter().filter(|cell| cell.task == task) {
            let peak = cell.peak.map_or_else(String::new, |peak| format!("{:.0}", megabytes(peak)));
            let (wall, cpu) = (wall(cell).as_secs_f64(), cpu(cell).as_secs_f64());
            text += &format!("| {} | {wall:.3} | {cpu:.3} | {peak} |\n", cell.program.name());
        }
    }
    text
}

fn judge(target: &Target, cells: &[Cell]) -> Option<(String, bool)> {
    let cell = |program| cells.iter().find(|cell| cell.task == target.task && cell.program == program);
    let ours = cell(Program::Ours)?;
    let ratio = |of: fn(&Cell) -> Duration, peer| {
        cell(peer).map_or(f64::INFINITY, |peer| of(ours).as_secs_f64() / of(peer).as_secs_f64())
    };
    Some(match target.reach {
        Reach::WallOf(peer, most) => (format!("{:.2}", ratio(wall, peer)), ratio(wall, peer) <= most),
        Reach::CpuOf(peer, most) => (format!("{:.2}", ratio(cpu, peer)), ratio(cpu, peer) <= most),
        Reach::Wall(most) => (format!("{:.1} ms", wall(ours).as_secs_f64() * 1e3), wall(ours) < most),
        Reach::Peak(most) => {
            let peak = ours.peak.unwrap_or(u64::MAX);
            (format!("{:.1} MB", peak as f64 / MEGABYTE), peak <= most)
        }
    })
}

fn wall(cell: &Cell) -> Duration {
    median(cell, |sample| sample.wall)
}

fn cpu(cell: &Cell) -> Duration {
    median(cell, |sample| sample.cpu)
}

fn median(cell: &Cell, of: fn(&Sample) -> Duration) -> Duration {
    let mut all: Vec<_> = cell.samples.iter().map(of).collect();
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or_default()
}
