//! The command line: the only module of this crate that prints.

use crate::case::Subject;
use crate::clauses::Table;
use crate::command::{self, Streams};
use crate::expected::Expectations;
use crate::report::{self, Run};
use crate::runtime_tools::{self, Drive};
use crate::{case, hierarchies, runner, suite};
use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};
use mydocker_sys as sys;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, ExitCode};
use std::time::Duration;
use tempfile::TempDir;

/// Judges OCI runtimes by the runtime specification 1.3, clause by clause. Needs root.
#[derive(Debug, Parser)]
#[command(
    name = "conformance",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// The runtime to judge; more than one for a table that compares them
    #[arg(long, value_name = "PATH", required = true)]
    runtime: Vec<PathBuf>,
    /// A global option that the runtime is given with every call, such as --systemd-cgroup
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    runtime_arg: Vec<String>,
    /// Only the tests whose names contain one of these
    #[arg(long, value_name = "TEXT")]
    filter: Vec<String>,
    /// What to print
    #[arg(long, value_enum, default_value = "tap")]
    format: Format,
    /// A list of the differences that are known: anything else, in either direction, is a failure
    #[arg(long, value_name = "FILE")]
    expected: Option<PathBuf>,
    /// How many tests run at a time
    #[arg(long, value_name = "N", default_value_t = 4)]
    jobs: usize,
    /// How long one call of the runtime may take
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    limit: u64,
    /// The probe; by default the program `conformance-probe` beside this one
    #[arg(long, value_name = "PATH")]
    probe: Option<PathBuf>,
    /// A cgroup v1 hierarchy to mount for this run alone, in a mount namespace of its own
    #[arg(long, value_name = "CONTROLLER")]
    mount_v1: Vec<String>,
    /// Let the unified hierarchy beside those of v1 look as if it had no controllers, which is what crun wants
    #[arg(long)]
    hide_v2_controllers: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the validation programs of the OCI runtime-tools
    RuntimeTools(RuntimeTools),
    /// List the tests
    List,
}

#[derive(Debug, clap::Args)]
struct RuntimeTools {
    /// The directory with the programs, and with `runtimetest`
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The root file system that they unpack; by default `rootfs-amd64.tar.gz` in the directory
    #[arg(long, value_name = "FILE")]
    rootfs: Option<PathBuf>,
    /// The runtime to judge
    #[arg(long, value_name = "PATH")]
    runtime: PathBuf,
    /// Only the programs whose names contain one of these
    #[arg(long, value_name = "TEXT")]
    filter: Vec<String>,
    /// A list of the failures that are known: anything else, in either direction, is a failure
    #[arg(long, value_name = "FILE")]
    expected: Option<PathBuf>,
    /// How long one program may take
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    limit: u64,
    /// A cgroup v1 hierarchy to mount for this run alone, in a mount namespace of its own
    #[arg(long, value_name = "CONTROLLER", default_values = ["net_cls", "net_prio", "perf_event", "hugetlb"])]
    mount_v1: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line for each test, for programs that read the Test Anything Protocol
    Tap,
    /// One document with every test and every clause
    Json,
    /// Tables for docs/conformance.md
    Markdown,
}

/// Does what the command line asks.
///
/// # Errors
/// Something of the suite itself went wrong; what the runtime does wrong is no error but a failing exit code.
pub fn run(args: Args) -> Result<ExitCode> {
    match args.command {
        Some(Command::List) => {
            let names: Vec<String> = suite::tests().into_iter().map(|test| test.name + "\n").collect();
            print(&names.concat())?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::RuntimeTools(args)) => drive(&args),
        None => judge(&args),
    }
}

/// Prints an error with its causes and gives the exit code for it.
#[must_use]
pub fn report_error(error: &anyhow::Error) -> ExitCode {
    match writeln!(io::stderr(), "conformance: {error:#}") {
        Ok(()) => ExitCode::from(2),
        Err(_closed) => ExitCode::from(3),
    }
}

fn judge(args: &Args) -> Result<ExitCode> {
    anyhow::ensure!(
        args.runtime.len() == 1 || args.format == Format::Markdown,
        "only --format markdown shows more than one runtime"
    );
    anyhow::ensure!(
        args.runtime.len() == 1 || args.expected.is_none(),
        "a list of expected differences is about one runtime"
    );
    let table = Table::load()?;
    let expected = args.expected.as_deref().map(Expectations::load).transpose()?;
    prepare(&args.mount_v1)?;
    if args.hide_v2_controllers {
        hierarchies::hide_unified_controllers()?;
    }
    let runs = args.runtime.iter().map(|program| run_suite(args, program)).collect::<Result<Vec<_>>>()?;
    print(&text_of(args.format, &table, &runs))?;
    let mut good = true;
    for run in &runs {
        let surprises = match &expected {
            Some(list) => list.surprises(run.outcomes()),
            None => run
                .outcomes()
                .filter(|(_, passed)| !passed)
                .map(|(test, _)| format!("{test} fails"))
                .collect(),
        };
        tell_surprises(&surprises)?;
        good &= surprises.is_empty();
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn text_of(format: Format, table: &Table, runs: &[Run]) -> String {
    match format {
        Format::Tap => runs.iter().map(|run| report::tap(table, run)).collect(),
        Format::Json => runs.iter().map(|run| format!("{:#}\n", report::json(table, run))).collect(),
        Format::Markdown => report::markdown(table, runs),
    }
}

/// What must happen while there is only one thread.
fn prepare(mount_v1: &[String]) -> Result<()> {
    sys::process::set_subreaper(true)?;
    if mount_v1.is_empty() { Ok(()) } else { hierarchies::add(mount_v1) }
}

fn run_suite(args: &Args, program: &Path) -> Result<Run> {
    let program = std::path::absolute(program)?;
    anyhow::ensure!(program.is_file(), "{} is no program", program.display());
    let scratch = scratch_directory()?;
    let probe = scratch.path().join("probe");
    let original = args.probe.clone().map_or_else(probe_beside, Ok)?;
    fs::copy(&original, &probe).with_context(|| format!("{} cannot be copied", original.display()))?;
    let subject = Subject {
        program,
        args: args.runtime_arg.clone(),
        probe,
        scratch: scratch.path().to_owned(),
        limit: Duration::from_secs(args.limit),
    };
    let mut tests = suite::tests();
    tests.retain(|test| args.filter.is_empty() || args.filter.iter().any(|text| test.name.contains(text)));
    anyhow::ensure!(!tests.is_empty(), "no test has such a name");
    let runtime = version_of(&subject)?;
    let judgements = runner::run(&subject, &tests, args.jobs);
    scratch.close().context("the scratch directory stays")?;
    Ok(Run { runtime, judgements })
}

/// On a tmpfs, where thousands of files cost nothing; users of other ids can pass through it.
fn scratch_directory() -> Result<TempDir> {
    let shm = Path::new("/dev/shm");
    let parent = if shm.is_dir() { shm.to_owned() } else { std::env::temp_dir() };
    let dir = tempfile::Builder::new().prefix("conformance-").tempdir_in(parent)?;
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;
    Ok(dir)
}

fn probe_beside() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let beside = own.with_file_name("conformance-probe");
    anyhow::ensure!(beside.is_file(), "{} is missing; build it, or name one with --probe", beside.display());
    Ok(beside)
}

/// The first line of `--version`.
fn version_of(subject: &Subject) -> Result<String> {
    let mut call = Process::new(&subject.program);
    call.arg("--version");
    let outcome = command::run(call, &Streams::new(&subject.scratch, "version"), subject.limit)?.success()?;
    let line = outcome
        .stdout
        .lines()
        .next()
        .unwrap_or("a runtime")
        .replace(" version: ", " ")
        .replace(" version ", " ");
    Ok(if subject.args.is_empty() { line } else { format!("{line} {}", subject.args.join(" ")) })
}

fn drive(args: &RuntimeTools) -> Result<ExitCode> {
    let expected = args.expected.as_deref().map(Expectations::load).transpose()?.unwrap_or_default();
    prepare(&args.mount_v1)?;
    let drive = Drive {
        dir: std::path::absolute(&args.dir)?,
        rootfs: args.rootfs.clone().unwrap_or_else(|| args.dir.join("rootfs-amd64.tar.gz")),
        runtime: std::path::absolute(&args.runtime)?,
        limit: Duration::from_secs(args.limit),
    };
    let scratch = scratch_directory()?;
    let programs = drive.programs(&args.filter)?;
    drive.prepare(scratch.path())?;
    let mut results = Vec::new();
    for program in &programs {
        let result = drive.run(scratch.path(), program)?;
        print(&runtime_tools::line(&result, &expected))?;
        results.push(result);
    }
    drive.clear(scratch.path())?;
    // A program whose container has no mount namespace of its own leaves mounts in that of this process.
    case::unmount_below(&scratch.path().display().to_string())?;
    scratch.close().context("the scratch directory stays")?;
    let surprises = expected.surprises(results.iter().map(|result| (result.program.as_str(), result.passed)));
    let passed = results.iter().filter(|result| result.passed).count();
    print(&format!(
        "# {} programs, {passed} passed, {} as expected\n",
        results.len(),
        results.len() - surprises.len()
    ))?;
    tell_surprises(&surprises)?;
    Ok(if surprises.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tell_surprises(surprises: &[String]) -> Result<()> {
    let mut err = io::stderr().lock();
    for surprise in surprises {
        writeln!(err, "conformance: {surprise}")?;
    }
    Ok(())
}

fn print(text: &str) -> Result<()> {
    io::stdout().lock().write_all(text.as_bytes()).context("standard output")
}
