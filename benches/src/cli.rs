//! The command line: what was typed, and the way from there to the report.

use crate::arena::Arena;
use crate::executor::Executor;
use crate::measure::{self, Results};
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
    /// Measure the image tool (MYDOCKER_IMG, else bin/mydocker-img) and its peers instead
    #[arg(long, conflicts_with_all = ["only", "rest"])]
    images: bool,
    /// Leave docs/benchmarks.md and docs/benchmarks.svg as they are
    #[arg(long)]
    no_write: bool,
}

const QUICK_ITERATIONS: u32 = 5;

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
        let iterations = if args.quick { QUICK_ITERATIONS } else { args.iterations };
        let text = crate::images::main(iterations, !args.no_write)?;
        return std::io::stdout().write_all(text.as_bytes()).context("writing the report");
    }
    let results = measure_all(args)?;
    let text = report::markdown(&results, &targets::judge(&results));
    std::io::stdout().write_all(text.as_bytes()).context("writing the report to the standard output")?;
    if !args.no_write {
        std::fs::write("docs/benchmarks.md", &text).context("writing docs/benchmarks.md")?;
        std::fs::write("docs/benchmarks.svg", plot::svg(&results)).context("writing docs/benchmarks.svg")?;
    }
    Ok(())
}

fn measure_all(args: &Args) -> Result<Results> {
    let ours = match std::env::var_os("MYDOCKER_RUNTIME") {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from("bin/mydocker-runtime"),
    };
    // First of all, so that a Ctrl-C from here on is a way out that undoes everything.
    let executor = Executor::new(Duration::from_millis(args.rest))?;
    let arena = Arena::new()?;
    let entrants = runtime::entrants(&arena, &ours)?;
    let iterations = if args.quick { QUICK_ITERATIONS } else { args.iterations };
    let workloads = if args.only.is_empty() { Workload::ALL.to_vec() } else { args.only.clone() };
    let results = measure::all(&executor, &arena, entrants, &workloads, iterations);
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
