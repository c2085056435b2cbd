//! The command line of `fault-sweep`.

use crate::point::Fault;
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
    #[arg(long)]
    pub runtime: PathBuf,
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
    for subject in subjects {
        let sweep = Sweep::new(args.runtime.clone(), injector.clone(), subject);
        for fault in [Fault::Fails, Fault::Killed] {
            let points = sweep.points();
            let struck = points.iter().step_by(args.stride).map(|point| sweep.strike(point, fault));
            let findings: Vec<Finding> = struck.collect();
            writeln!(out, "{}", row(subject, fault, &findings))?;
            out.flush()?;
            all_good &= findings.iter().all(Finding::is_good);
            if let Some(log) = &mut log {
                write_bad(log, subject, &findings)?;
            }
        }
    }
    Ok(all_good)
}

fn write_bad(log: &mut File, subject: Subject, findings: &[Finding]) -> anyhow::Result<()> {
    for finding in findings.iter().filter(|finding| !finding.is_good()) {
        let line = serde_json::json!({"command": subject.name(), "finding": finding});
        writeln!(log, "{line}")?;
    }
    Ok(())
}

fn row(subject: Subject, fault: Fault, findings: &[Finding]) -> String {
    let count =
        |manner: Manner| findings.iter().filter(|finding| finding.manner == manner).count().to_string();
    let left = findings.iter().filter(|finding| !finding.left.is_empty()).count();
    let manners = Manner::ALL.map(count).join(" | ");
    format!("| `{}` | {} | {} | {manners} | {left} |", subject.name(), fault.name(), findings.len())
}
