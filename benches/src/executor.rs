//! Carries out the steps of a script: starts commands, waits for them with a deadline, notices Ctrl-C.

mod running;

use crate::arena::{self, Arena};
use crate::executor::running::{Complaints, Running, shown};
use crate::meter::{Meter, Part};
use crate::workload::Step;
use mydocker_sys::process::{self, Exit, Pid};
use mydocker_sys::signal::{self, SigSet, Signal, SignalQueue};
use mydocker_sys::{AsFd, poll};
use mydocker_tests::procfs;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// How long one step may take before its processes are killed.
const DEADLINE: Duration = Duration::from_secs(60);
/// The same of an engine's, which may take a gigabyte through its log.
const ENGINES_DEADLINE: Duration = Duration::from_secs(600);
/// How long what a command has left may take to end.
const SETTLING: Duration = Duration::from_secs(10);

/// What stops a step.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The person who started the measurement ends it.
    #[error("interrupted by signal {0}")]
    Interrupted(i32),
    /// The machine does not do what the measurement itself needs.
    #[error("the measurement itself failed")]
    Sys(#[from] mydocker_sys::Error),
    /// The place cannot be kept in order.
    #[error("the measurement itself failed")]
    Arena(#[from] arena::Error),
    /// A file of the measurement cannot be written or read.
    #[error("{0}")]
    File(PathBuf, #[source] std::io::Error),
    /// A command failed: the runtime is to blame, and the others go on.
    #[error("{0}")]
    Command(String),
}

type Result<T> = std::result::Result<T, Error>;

/// What the measured steps took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sample {
    /// From the start of each command to its end, added up.
    pub wall: Duration,
    /// User and system time, as the meter has it.
    pub cpu: Duration,
    /// How many commands of a [`Step::Together`] failed, and what a [`Step::Lost`] told.
    pub lost: usize,
}

/// Runs commands for the measurement.
#[derive(Debug)]
pub struct Executor {
    signals: SignalQueue,
    rest: Duration,
    deadline: Duration,
    environment: Vec<(&'static str, OsString)>,
    /// Whether orphans are reaped while a command runs: podman waits until its monitor, which is one, has vanished.
    reaps: bool,
}

impl Executor {
    /// Takes over SIGINT, SIGTERM and SIGHUP, and makes this process the parent of what its children leave behind.
    /// `rest` is how long the machine rests before each measurement.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn new(rest: Duration) -> Result<Self> {
        Self::listening(rest, &[Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP])
    }

    /// The same for engines.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn for_engines(rest: Duration) -> Result<Self> {
        let signals = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGCHLD];
        let executor = Self::listening(rest, &signals)?;
        Ok(Self { deadline: ENGINES_DEADLINE, reaps: true, ..executor })
    }

    fn listening(rest: Duration, signals: &[Signal]) -> Result<Self> {
        let mut set = SigSet::empty();
        set.extend(signals.iter().copied());
        signal::block(&set)?;
        process::set_subreaper(true)?;
        let signals = SignalQueue::new(&set)?;
        Ok(Self { signals, rest, deadline: DEADLINE, environment: Vec::new(), reaps: false })
    }

    /// Adds to the environment of every command.
    pub fn set_environment(&mut self, environment: Vec<(&'static str, OsString)>) {
        self.environment = environment;
    }

    /// Carries out steps one after another, for their effect.
    ///
    /// # Errors
    /// The first step that fails.
    pub fn steps(&self, arena: &Arena, steps: &[Step]) -> Result<()> {
        steps.iter().try_for_each(|step| self.step(arena, step).map(drop))
    }

    /// Carries out steps one after another and measures them. What a step leaves behind and is about to end counts for the
    /// step, if `settles`.
    ///
    /// # Errors
    /// The first step that fails.
    pub fn measure(
        &self,
        arena: &Arena,
        steps: &[Step],
        (meter, part): (&Meter, Part),
        settles: bool,
    ) -> Result<Sample> {
        let mut sample = Sample::default();
        let read = || meter.read(part).map_err(|error| Error::File("the CPU time".into(), error));
        let (measured, told): (Vec<&Step>, Vec<&Step>) =
            steps.iter().partition(|step| !matches!(step, Step::Lost(_) | Step::Cpu(_)));
        let (before, children) = (read()?, procfs::own_children());
        for step in measured {
            let (wall, lost) = self.step(arena, step)?;
            sample.wall += wall;
            sample.lost += lost;
        }
        if self.reaps && settles {
            self.settle(&children)?;
        }
        sample.cpu = read()?.saturating_sub(before);
        for step in told {
            match step {
                Step::Cpu(argv) => sample.cpu = Duration::from_micros(self.told(arena, argv)?),
                _ => sample.lost += self.step(arena, step)?.1,
            }
        }
        Ok(sample)
    }

    /// Waits until this process has no children but these; what takes too long has its time counted elsewhere.
    fn settle(&self, children: &[i32]) -> Result<()> {
        let deadline = Instant::now() + SETTLING;
        loop {
            arena::reap_orphans()?;
            if procfs::own_children().iter().all(|child| children.contains(child)) {
                return Ok(());
            }
            if !self.await_signal(deadline)? {
                return Ok(());
            }
        }
    }

    /// How long [`Executor::rest`] takes.
    pub fn rest_time(&self) -> Duration {
        self.rest
    }

    /// Lets the machine come to rest.
    ///
    /// # Errors
    /// An interruption.
    pub fn rest(&self) -> Result<()> {
        let deadline = Instant::now() + self.rest;
        while self.await_signal(deadline)? {}
        Ok(())
    }

    /// Waits for a signal; false when none came in time.
    fn await_signal(&self, deadline: Instant) -> Result<bool> {
        let interest = poll::Interest::read(self.signals.as_fd());
        match poll::poll(&[interest], Some(deadline), "an interruption") {
            Err(error) if error.errno() == mydocker_sys::Errno::ETIMEDOUT => Ok(false),
            Err(error) => Err(error.into()),
            Ok(_) => self.check_interrupted().map(|()| true),
        }
    }

    /// Takes the signals that wait.
    ///
    /// # Errors
    /// One of them is an interruption.
    pub fn check_interrupted(&self) -> Result<()> {
        while let Some(received) = self.signals.next()? {
            if received.number != Signal::SIGCHLD as i32 {
                return Err(Error::Interrupted(received.number));
            }
        }
        Ok(())
    }

    fn step(&self, arena: &Arena, step: &Step) -> Result<(Duration, usize)> {
        match step {
            Step::Run(argv) => self.run(arena, argv, 0).map(|wall| (wall, 0)),
            Step::Prove(argv, status) => self.run(arena, argv, *status).map(|wall| (wall, 0)),
            Step::Together(commands) => self.together(arena, commands),
            Step::AwaitEnd(pid_file) => self.await_end(pid_file).map(|wall| (wall, 0)),
            Step::Empty(directory) => empty(directory)
                .map(|()| (Duration::ZERO, 0))
                .map_err(|error| Error::File(directory.clone(), error)),
            Step::Lost(argv) => self.told(arena, argv).map(|lost| (Duration::ZERO, lost as usize)),
            Step::Peak(argv) | Step::Cpu(argv) => self.told(arena, argv).map(|_| (Duration::ZERO, 0)),
        }
    }

    fn run(&self, arena: &Arena, argv: &[OsString], expected: u8) -> Result<Duration> {
        self.run_into(arena, argv, expected, Stdio::null())
    }

    fn run_into(&self, arena: &Arena, argv: &[OsString], expected: u8, output: Stdio) -> Result<Duration> {
        let complaints = Complaints::new(arena)?;
        let start = Instant::now();
        let exit = self.wait(self.start(argv, &complaints, output)?, &[])?;
        let wall = start.elapsed();
        if exit == Exit::Code(expected.into()) { Ok(wall) } else { Err(complaints.blame(argv, exit)) }
    }

    /// The number that a command prints.
    ///
    /// # Errors
    /// It fails, or prints something else.
    pub fn told(&self, arena: &Arena, argv: &[OsString]) -> Result<u64> {
        let path = arena.path("told");
        let failed = |error| Error::File(path.clone(), error);
        let output = File::create(&path).map_err(failed)?;
        self.run_into(arena, argv, 0, output.into())?;
        let text = std::fs::read_to_string(&path).map_err(failed)?;
        text.trim().parse().map_err(|_| Error::Command(format!("{} says {text:?}", shown(argv))))
    }

    fn start(&self, argv: &[OsString], complaints: &Complaints, output: Stdio) -> Result<Running> {
        Running::start(argv, &self.environment, complaints, output)
    }

    fn together(&self, arena: &Arena, commands: &[Vec<OsString>]) -> Result<(Duration, usize)> {
        let complaints = Complaints::new(arena)?;
        let start = Instant::now();
        let running: Result<Vec<_>> =
            commands.iter().map(|argv| self.start(argv, &complaints, Stdio::null())).collect();
        let running = running?;
        let own: Vec<Pid> = running.iter().map(|process| process.pid).collect();
        let exits: Result<Vec<_>> = running.into_iter().map(|process| self.wait(process, &own)).collect();
        let (wall, exits) = (start.elapsed(), exits?);
        match exits.iter().zip(commands).find(|(exit, _)| **exit != Exit::Code(0)) {
            // All lost is no measurement.
            Some((exit, argv)) if exits.iter().all(|exit| *exit != Exit::Code(0)) => {
                Err(complaints.blame(argv, *exit))
            }
            _ => Ok((wall, exits.iter().filter(|exit| **exit != Exit::Code(0)).count())),
        }
    }

    fn await_end(&self, pid_file: &Path) -> Result<Duration> {
        let start = Instant::now();
        let container = Running::of_pid_file(pid_file).map_err(Error::Command)?;
        self.wait(container, &[])?;
        Ok(start.elapsed())
    }

    /// Waits for the end of a process; `others` are also waited for by the caller.
    fn wait(&self, mut process: Running, others: &[Pid]) -> Result<Exit> {
        let deadline = Instant::now() + self.deadline;
        loop {
            let interests =
                [poll::Interest::read(process.pidfd.as_fd()), poll::Interest::read(self.signals.as_fd())];
            let events = poll::poll(&interests, Some(deadline), &process.what);
            self.check_interrupted()?;
            match events {
                Ok(events) if events.first().is_some_and(|events| events.readable || events.hangup) => {
                    return process.reap();
                }
                Ok(_) => reap_adopted(|pid| pid == process.pid || others.contains(&pid))?,
                Err(error) if error.errno() == mydocker_sys::Errno::ETIMEDOUT => {
                    let seconds = self.deadline.as_secs();
                    return Err(Error::Command(format!("{} did not end within {seconds} s", process.what)));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Reaps what has ended, until it comes to a process that somebody waits for.
fn reap_adopted(is_waited_for: impl Fn(Pid) -> bool) -> Result<()> {
    while let Some(pid) = process::ended_child()?.filter(|pid| !is_waited_for(*pid)) {
        process::reap(pid)?;
    }
    Ok(())
}

fn empty(directory: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() { std::fs::remove_dir_all(&path)? } else { std::fs::remove_file(&path)? }
    }
    Ok(())
}
