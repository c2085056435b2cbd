//! The image tool and its peers: pulls from a registry of this machine, again and again into empty stores, and commits.
//!
//! Every round runs each program once, in an order of its own. What a program leaves to a daemon counts as the program's.

mod ground;
mod place;
mod programs;
mod report;

pub use ground::Kind as GroundKind;

use crate::arena::leave_for;
use crate::counter::{peak_of, reset_peak};
use crate::executor::Executor;
use crate::images::ground::Ground;
use crate::images::place::Place;
use crate::images::programs::{Program, Task};
use crate::measure::shuffled;
use anyhow::{Context, Result, bail};
use mydocker_sys::namespace::CloneFlags;
use mydocker_sys::usage;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What one run of a task took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sample {
    wall: Duration,
    cpu: Duration,
}

/// A task done by a program.
#[derive(Debug)]
struct Cell {
    task: Task,
    program: Program,
    samples: Vec<Sample>,
    /// The peak resident set of the largest process, in bytes, of one pass.
    peak: Option<u64>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// How often each task is done.
    pub iterations: u32,
    /// What the stores lie on.
    pub on: GroundKind,
    /// Whether the image with the huge layer is measured too.
    pub huge: bool,
}

/// Measures, and returns the report.
///
/// # Errors
/// What keeps the measurement from going on: a peer that is missing or fails too.
pub fn main(asked: Asked) -> Result<String> {
    // First of all, so that a Ctrl-C from here on is a way out that undoes everything.
    let executor = Executor::new(Duration::ZERO)?;
    let ours = std::env::var_os("MYDOCKER_IMG").unwrap_or_else(|| "bin/mydocker-img".into());
    let ours = std::path::absolute(ours)?;
    if !ours.is_file() {
        bail!("{} is missing: run `make`, or set MYDOCKER_IMG", ours.display());
    }
    leave_for(CloneFlags::CLONE_NEWNS)?;
    let mut place = Place::new(ours, Ground::new(asked.on)?)?;
    let mut cells = Vec::new();
    for task in Task::ALL.into_iter().filter(|task| asked.huge || *task != Task::Huge) {
        crate::cli::progress(task.title())?;
        if task == Task::Huge {
            place.make_huge_image()?;
        }
        cells.extend(measure(&executor, &place, task, task.iterations(asked.iterations))?);
    }
    Ok(report::markdown(&place, &cells, asked.iterations))
}

fn measure(executor: &Executor, place: &Place, task: Task, iterations: u32) -> Result<Vec<Cell>> {
    let new = |program| Cell { task, program, samples: Vec::new(), peak: None };
    let mut cells: Vec<Cell> = task.programs().iter().copied().map(new).collect();
    for iteration in 0..iterations as usize {
        for position in shuffled(cells.len(), iteration) {
            let cell = &mut cells[position];
            let sample = run(place, cell);
            // The signal that interrupts this has ended the command as well, where it came from a terminal.
            executor.check_interrupted()?;
            cell.samples.push(sample?);
        }
    }
    for cell in &mut cells {
        let peak = peak(place, cell);
        executor.check_interrupted()?;
        cell.peak = peak?;
    }
    Ok(cells)
}

fn run(place: &Place, cell: &Cell) -> Result<Sample> {
    place.prepare(cell.program, cell.task)?;
    let mut command = place.command(cell.program, cell.task);
    let daemon = place.daemon(cell.program);
    let (before, of_daemon) = (usage::children()?.cpu(), cpu_of(daemon)?);
    let start = Instant::now();
    succeed(&mut command)?;
    let wall = start.elapsed();
    let cpu = usage::children()?.cpu() - before + (cpu_of(daemon)? - of_daemon);
    Ok(Sample { wall, cpu })
}

/// Runs a command to its end, which has to be a good one.
fn succeed(command: &mut Command) -> Result<()> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let output = command.output().with_context(|| format!("starting {command:?}"))?;
    if output.status.success() {
        return Ok(());
    }
    bail!("{command:?}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim())
}

/// The CPU time of a process and of the children that it has waited for (proc(5), `stat`).
fn cpu_of(pid: Option<u32>) -> Result<Duration> {
    let Some(pid) = pid else { return Ok(Duration::ZERO) };
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("looking at a daemon")?;
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = fields.iter().skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum();
    // USER_HZ, which is 100 on every architecture of Linux that this is measured on.
    Ok(Duration::from_millis(ticks * 10))
}

/// The peak resident set of the task's largest process, in a pass of its own.
fn peak(place: &Place, cell: &Cell) -> Result<Option<u64>> {
    place.prepare(cell.program, cell.task)?;
    let command = place.command(cell.program, cell.task);
    let report = place.path("peaked");
    let mut wrapped = Command::new(place.path("peak"));
    wrapped.arg(&report).arg(found(command.get_program().as_ref())?).args(command.get_args());
    wrapped.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(pid) = place.daemon(cell.program) {
        reset_peak(pid)?;
    }
    succeed(&mut wrapped)?;
    let own: u64 = std::fs::read_to_string(&report)?.trim().parse()?;
    let of_daemon = place.daemon(cell.program).map(peak_of).transpose()?.unwrap_or(0);
    Ok(Some(own.max(of_daemon) * 1024))
}

fn found(program: &Path) -> Result<std::path::PathBuf> {
    if program.is_absolute() {
        return Ok(program.to_owned());
    }
    let name = program.to_string_lossy();
    crate::arena::find_program(&name).with_context(|| format!("{name} is not installed"))
}
