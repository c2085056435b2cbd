//! The command line: what was typed, and the way from there to the report.

use crate::arena::Arena;
use crate::engines::{self, Programs, script};
use crate::executor::Executor;
use crate::group::Group;
use crate::measure::{self, Asked, Results};
use crate::workload::Workload;
use crate::{plot, report, runtime, targets};
use anyhow::{Context, Result, bail};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Measures container runtimes side by side: ours (MYDOCKER_RUNTIME, else bin/mydocker-runtime), crun, runc, every
/// BENCH_NAME=PATH of the environment, and a program that makes the bare system calls.
///
/// BENCH_CRUN=PATH measures that crun instead of the installed one; BENCH_CRUN_NEW=PATH adds a runtime "crun-new".
/// Needs root, cc, busybox and, for the count of system calls, perf or strace.
///
/// With --mydocker the command for people (MYDOCKER, else bin/mydocker), podman and docker; with --images the image tool
/// and its peers.
#[derive(Debug, clap::Parser)]
#[command(name = "bench")]
pub struct Args {
    /// How often each workload runs on each runtime
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    iterations: u32,
    /// Five iterations only
    #[arg(long, conflicts_with = "iterations")]
    quick: bool,
    /// Let the machine rest this long before each measurement, as it does between two commands of a person
    ///
    /// Back to back, the kernel still has the lock over all thread groups at hand that moving a process to another
    /// cgroup takes; on a machine that rests, the first move waits for a grace period of RCU, some 8 ms.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
    rest: u64,
    /// Only this workload; may be given again
    #[arg(long, value_name = "NAME", value_parser = Workload::by_name)]
    only: Vec<Workload>,
    /// Measure `mydocker` (MYDOCKER, else bin/mydocker), podman and docker instead
    #[arg(long)]
    mydocker: bool,
    /// Measure the runtimes with cgroups that systemd makes; it has to be process 1
    ///
    /// On a machine without a C compiler, the helper programs `floor` and `peak` have to lie beside this one.
    #[arg(long, conflicts_with = "mydocker")]
    systemd_cgroup: bool,
    /// How much output goes through each engine's log, in millions of bytes
    #[arg(long, value_name = "MEGABYTES", default_value_t = 1000, requires = "mydocker")]
    log: u64,
    /// Measure the image tool (MYDOCKER_IMG, else bin/mydocker-img) and its peers instead
    #[arg(long, conflicts_with_all = ["only", "rest", "mydocker", "systemd_cgroup"])]
    images: bool,
    /// What the stores of images lie on; without loop devices it is a tmpfs
    #[arg(long, value_name = "KIND", default_value = "ext4", requires = "images")]
    on: crate::images::GroundKind,
    /// Measure an image with a file of 5 GB as well, for memory's sake; takes a minute or two
    #[arg(long, requires = "images")]
    huge: bool,
    /// Leave the reports and plots in docs as they are
    #[arg(long)]
    no_write: bool,
}

const QUICK_ITERATIONS: u32 = 5;
/// The report on the image tool.
const IMAGES: &str = "docs/benchmarks-images.md";

/// Measures, prints the report and writes it to `docs/` of the working directory.
///
/// # Errors
/// What keeps the whole run from going on; a runtime that fails is part of the report.
pub fn main(args: &Args) -> Result<()> {
    if !args.no_write && !Path::new("docs").is_dir() {
        bail!(
            "there is no directory docs here: run this in the top directory of the project, or with --no-write"
        );
    }
    if args.images {
        let (iterations, on, huge) = (args.iterations(), args.on, args.huge);
        let text = crate::images::main(crate::images::Asked { iterations, on, huge })?;
        if !args.no_write {
            std::fs::write(IMAGES, &text).with_context(|| format!("writing {IMAGES}"))?;
        }
        return std::io::stdout().write_all(text.as_bytes()).context("writing the report");
    }
    let asked = args.asked()?;
    let results = if args.mydocker { measure_engines(args, &asked) } else { measure_runtimes(args, &asked) }?;
    let text = report::markdown(&results, &targets::judge(&results));
    std::io::stdout().write_all(text.as_bytes()).context("writing the report to the standard output")?;
    if !args.no_write {
        let file = |ending: &str| format!("docs/{}.{ending}", asked.group.stem());
        std::fs::write(file("md"), &text).with_context(|| format!("writing {}", file("md")))?;
        if asked.group.has_plot() {
            std::fs::write(file("svg"), plot::svg(&results)).context("writing the plot")?;
        }
    }
    Ok(())
}

impl Args {
    fn iterations(&self) -> u32 {
        if self.quick { QUICK_ITERATIONS } else { self.iterations }
    }

    fn asked(&self) -> Result<Asked> {
        let group = match (self.mydocker, self.systemd_cgroup) {
            (true, _) => Group::Engines,
            (false, true) => Group::Systemd,
            (false, false) => Group::Runtimes,
        };
        let all = group.workloads();
        if let Some(foreign) = self.only.iter().find(|workload| !all.contains(workload)) {
            let names: Vec<&str> = all.iter().map(|workload| workload.name()).collect();
            bail!("--only {}: {} has {}", foreign.name(), group.made_by(), names.join(", "));
        }
        let workloads = if self.only.is_empty() { all } else { self.only.clone() };
        let log_lines = self.log * 1_000_000 / script::LINE;
        Ok(Asked { group, workloads, iterations: self.iterations(), log_lines })
    }
}

/// The program that a variable of the environment names, else the one that `make` has left in `bin`.
fn program(variable: &str, name: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| Path::new("bin").join(name), PathBuf::from)
}

fn measure_runtimes(args: &Args, asked: &Asked) -> Result<Results> {
    // First of all, so that a Ctrl-C from here on is a way out that undoes everything.
    let executor = Executor::new(Duration::from_millis(args.rest))?;
    let arena = Arena::new()?;
    let entrants = runtime::entrants(&arena, &program("MYDOCKER_RUNTIME", "mydocker-runtime"))?;
    let results = measure::all(&executor, &arena, entrants, asked);
    let closed = arena.close();
    let results = results?;
    closed.context("cleaning up after the measurement")?;
    Ok(results)
}

fn measure_engines(args: &Args, asked: &Asked) -> Result<Results> {
    let found = |variable, name| std::path::absolute(program(variable, name));
    let programs = Programs {
        mydocker: found("MYDOCKER", "mydocker")?,
        runtime: found("MYDOCKER_RUNTIME", "mydocker-runtime")?,
        image_tool: found("MYDOCKER_IMG", "mydocker-img")?,
    };
    let mut executor = Executor::for_engines(Duration::from_millis(args.rest))?;
    let arena = Arena::for_engines()?;
    progress("starting the engines")?;
    let contestants = engines::contestants(&arena, &programs, asked.log_lines)?;
    executor.set_environment(contestants.environment);
    let results = measure::all(&executor, &arena, contestants.entrants, asked);
    // The daemon takes its own containers down, and the sweep finds the rest.
    drop(contestants.daemon);
    let closed = arena.close();
    let results = results?;
    closed.context("cleaning up after the measurement")?;
    Ok(results)
}

/// One line to a person who waits.
///
/// # Errors
/// The standard error output is closed.
pub fn progress(line: &str) -> std::io::Result<()> {
    writeln!(std::io::stderr().lock(), "bench: {line}")
}

/// Prints the chain of an error once and gives the status to leave with.
pub fn complain(error: &anyhow::Error) -> ExitCode {
    match progress(&format!("{error:#}")) {
        Ok(()) => ExitCode::FAILURE,
        Err(_) => ExitCode::from(2),
    }
}
