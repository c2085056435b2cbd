//! Runs one command, lets a fault strike at one of its system calls, and writes down all calls that it saw.

#![forbid(unsafe_code)]

use anyhow::Context;
use clap::Parser;
use mydocker_faults::point::Fault;
use mydocker_faults::tracer::{self, Strike};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Parser)]
struct Args {
    /// The point at which the fault strikes: PROCESS:CALL. Without it the command is only followed.
    #[arg(long, value_parser = parse_point)]
    at: Option<(usize, usize)>,
    /// The fault strikes only if the call at the point has this name.
    #[arg(long, requires = "at", value_parser = parse_call)]
    only: Option<syscalls::Sysno>,
    /// The process is killed at the point, instead of that its call fails.
    #[arg(long, requires = "at")]
    kill: bool,
    /// The end of the path of the container's program: a process that runs it is no longer followed.
    #[arg(long)]
    program: Option<PathBuf>,
    /// The file that gets a JSON object for each system call, one a line.
    #[arg(long)]
    calls: Option<PathBuf>,
    /// A file that is made when the fault has struck.
    #[arg(long, requires = "at")]
    struck: Option<PathBuf>,
    /// The command.
    #[arg(required = true, last = true)]
    words: Vec<OsString>,
}

fn parse_point(text: &str) -> Result<(usize, usize), String> {
    let numbers =
        text.split_once(':').and_then(|(process, call)| Some((process.parse().ok()?, call.parse().ok()?)));
    numbers.ok_or_else(|| format!("{text:?} is not PROCESS:CALL, two numbers"))
}

fn parse_call(text: &str) -> Result<syscalls::Sysno, String> {
    text.parse().map_err(|_| format!("{text:?} is no system call"))
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let fault = if args.kill { Fault::Killed } else { Fault::Fails };
    let strike = args.at.map(|(process, call)| Strike { process, call, fault, only: args.only });
    let trace = tracer::follow(&args.words, args.program, strike)?;
    if let Some(path) = args.struck.filter(|_| trace.struck) {
        std::fs::write(&path, "").with_context(|| path.display().to_string())?;
    }
    if let Some(path) = args.calls {
        let lines: Result<Vec<String>, _> = trace.points.iter().map(serde_json::to_string).collect();
        std::fs::write(&path, lines?.join("\n")).with_context(|| path.display().to_string())?;
    }
    Ok(ExitCode::from(trace.status))
}
