//! The command line of `fault-sweep`.

use crate::images::{ImageSubject, ImageSweep};
use crate::point::{Fault, Point};
use crate::subject::Subject;
use crate::sweep::{Finding, Sweep};
use crate::verdict::Manner;
use clap::Parser;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

/// What was typed.
#[derive(Debug, Parser)]
#[command(
    about = "Makes every system call of a runtime's commands fail in turn, and kills it at every one in turn"
)]
pub struct Args {
    /// The runtime.
    #[arg(long, required_unless_present = "images")]
    pub runtime: Option<PathBuf>,
    /// Sweep the image tool that MYDOCKER_IMG names, or bin/mydocker-img, instead of a runtime.
    #[arg(long, conflicts_with_all = ["runtime", "only"])]
    pub images: bool,
    /// Only these commands, such as create or "delete --force".
    #[arg(long, value_parser = parse_subject)]
    pub only: Vec<Subject>,
    /// Only every n-th point.
    #[arg(long, default_value_t = 1)]
    pub stride: usize,
    /// Where the findings go that are not as they should be, one JSON object a line.
    #[arg(long)]
    pub findings: Option<PathBuf>,
}

fn parse_subject(text: &str) -> Result<Subject, String> {
    let found = Subject::ALL.into_iter().find(|subject| subject.name() == text);
    found.ok_or_else(|| format!("no such command; known: {}", Subject::ALL.map(Subject::name).join(", ")))
}

/// Sweeps the commands that were asked for, and prints a table; returns whether all is as it should be.
///
/// # Errors
/// When the injector is missing, or a file or the output cannot be written.
pub fn sweep(args: &Args, out: &mut impl Write) -> anyhow::Result<bool> {
    let injector = std::env::current_exe()?.with_file_name("inject");
    anyhow::ensure!(injector.is_file(), "{} is missing: cargo build -p mydocker-faults", injector.display());
    let subjects = if args.only.is_empty() { Subject::ALL.to_vec() } else { args.only.clone() };
    let mut log = args.findings.as_ref().map(File::create).transpose()?;
    writeln!(
        out,
        "| command | fault | points | {} | left behind |",
        Manner::ALL.map(Manner::name).join(" | ")
    )?;
    writeln!(out, "| --- | --- | {}", "--: | ".repeat(Manner::ALL.len() + 2).trim_end())?;
    let mut all_good = true;
    let mut tell = |name: &str, points: &[Point], strike: &dyn Fn(&Point, Fault) -> Finding| {
        for fault in [Fault::Fails, Fault::Killed] {
            let struck = points.iter().step_by(args.stride).map(|point| strike(point, fault));
            let findings: Vec<Finding> = struck.collect();
            writeln!(out, "{}", row(name, fault, &findings))?;
            out.flush()?;
            all_good &= findings.iter().all(Finding::is_good);
            if let Some(log) = &mut log {
                write_bad(log, name, &findings)?;
            }
        }
        anyhow::Ok(())
    };
    if args.images {
        for subject in ImageSubject::ALL {
            let sweep = ImageSweep::new(injector.clone(), subject);
            tell(subject.name(), &sweep.points(), &|point, fault| sweep.strike(point, fault))?;
        }
        return Ok(all_good);
    }
    for subject in subjects {
        let sweep = Sweep::new(args.runtime.clone().unwrap_or_default(), injector.clone(), subject);
        tell(subject.name(), &sweep.points(), &|point, fault| sweep.strike(point, fault))?;
    }
    Ok(all_good)
}

fn write_bad(log: &mut File, name: &str, findings: &[Finding]) -> anyhow::Result<()> {
    for finding in findings.iter().filter(|finding| !finding.is_good()) {
        let line = serde_json::json!({"command": name, "finding": finding});
        writeln!(log, "{line}")?;
    }
    Ok(())
}

fn row(name: &str, fault: Fault, findings: &[Finding]) -> String {
    let count =
        |manner: Manner| findings.iter().filter(|finding| finding.manner == manner).count().to_string();
    let left = findings.iter().filter(|finding| !finding.left.is_empty()).count();
    let manners = Manner::ALL.map(count).join(" | ");
    format!("| `{name}` | {} | {} | {manners} | {left} |", fault.name(), findings.len())
}
