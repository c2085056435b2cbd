//! From the process's arguments to its exit status.

use super::{
    Command, Context, Environment, Log, Report, Request, UsageError, parse_global, print, usage_status,
};
use crate::commands::{self, Outcome};
use mydocker_sys::start::{BrokenPipe, args, prepare};
use std::ffi::OsString;

/// Runs the program with the arguments and the environment of this process.
#[must_use]
pub fn main_entry() -> u8 {
    run(args().into_iter().skip(1))
}

/// Who attends a program blocks SIGPIPE with all other signals.
fn broken_pipe(request: &Result<Request, UsageError>) -> BrokenPipe {
    match request {
        Ok(Request::Command(Command::Run(run))) if !run.detach => BrokenPipe::Ends,
        _ => BrokenPipe::Fails,
    }
}

fn run(words: impl IntoIterator<Item = OsString>) -> u8 {
    let line = match parse_global(words) {
        Ok(line) => line,
        Err(error) => return refuse(&Log::stderr(), &error),
    };
    let global = line.global.clone();
    let request = line.parse_command();
    // The view comes first: what is prepared before it would be prepared again.
    if let Ok(Request::Command(Command::Create(_) | Command::Exec(_) | Command::Run(_))) = &request
        && let Err(report) = commands::enter_readonly_view()
    {
        return finish(&Log::stderr(), 1, Err(report));
    }
    if let Err(error) = prepare(broken_pipe(&request)) {
        return finish(&Log::stderr(), 1, Err(Report::new("start", &error).into()));
    }
    if let Ok(Request::Print(text)) = &request {
        return finish(&Log::stderr(), 1, print_text(text));
    }
    let context = match Context::new(&global, &Environment::probe()) {
        Ok(context) => context,
        Err((error, log)) => return finish(&log, 1, Err(Report::new(error.code(), &error).into())),
    };
    match request {
        Ok(Request::Command(command)) => {
            let (name, failure) = (command.name(), command.failure_status());
            let outcome = dispatch(command, &context);
            context.timings.mark("rest");
            context.log.timings(name, &context.timings);
            finish(&context.log, failure, outcome)
        }
        Ok(Request::Print(text)) => finish(&context.log, 1, print_text(&text)),
        Err(error) => refuse(&context.log, &error),
    }
}

fn dispatch(command: Command, context: &Context) -> Outcome {
    match command {
        Command::Check(args) => apart(commands::check, &args, context),
        Command::Checkpoint(args) => apart(commands::checkpoint, &args, context),
        Command::Create(args) => apart(commands::create, &args, context),
        Command::Delete(args) => apart(commands::delete, &args, context),
        Command::Doctor(args) => apart(commands::doctor, &args, context),
        Command::Events(args) => apart(commands::events, &args, context),
        Command::Exec(args) => apart(commands::exec, &args, context),
        Command::Explain(args) => apart(commands::explain, &args, context),
        Command::Features(args) => apart(commands::features, args, context),
        Command::Gc(args) => apart(commands::gc, &args, context),
        Command::Kill(args) => apart(commands::kill, &args, context),
        Command::List(args) => apart(commands::list, &args, context),
        Command::Pause(args) => apart(commands::pause, &args, context),
        Command::Ps(args) => apart(commands::ps, &args, context),
        Command::Restore(args) => apart(commands::restore, &args, context),
        Command::Resume(args) => apart(commands::resume, &args, context),
        Command::Run(args) => apart(commands::run, &args, context),
        Command::Spec(args) => apart(commands::spec, &args, context),
        Command::Start(args) => apart(commands::start, &args, context),
        Command::State(args) => apart(commands::state, &args, context),
        Command::Update(args) => apart(commands::update, &args, context),
        Command::Wait(args) => apart(commands::wait, &args, context),
    }
}

/// Keeps each command's frame to itself: one for all would be as large as that of the largest, and every page of a large
/// frame is touched when it is entered.
#[inline(never)]
fn apart<A>(command: fn(A, &Context) -> Outcome, args: A, context: &Context) -> Outcome {
    command(args, context)
}

impl Command {
    /// Its name as it is typed.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Check(_) => "check",
            Self::Checkpoint(_) => "checkpoint",
            Self::Create(_) => "create",
            Self::Delete(_) => "delete",
            Self::Doctor(_) => "doctor",
            Self::Events(_) => "events",
            Self::Exec(_) => "exec",
            Self::Explain(_) => "explain",
            Self::Features(_) => "features",
            Self::Gc(_) => "gc",
            Self::Kill(_) => "kill",
            Self::List(_) => "list",
            Self::Pause(_) => "pause",
            Self::Ps(_) => "ps",
            Self::Restore(_) => "restore",
            Self::Resume(_) => "resume",
            Self::Run(_) => "run",
            Self::Spec(_) => "spec",
            Self::Start(_) => "start",
            Self::State(_) => "state",
            Self::Update(_) => "update",
            Self::Wait(_) => "wait",
        }
    }

    /// The exit status if it fails, as runc has it: 255 for `exec`, whose own program may well end with 1.
    #[must_use]
    pub fn failure_status(&self) -> u8 {
        if matches!(self, Self::Exec(_)) { 255 } else { 1 }
    }
}

fn print_text(text: &str) -> Outcome {
    print(text).map(|()| 0).map_err(|error| Report::new("output-failed", &error).into())
}

fn finish(log: &Log, failure: u8, outcome: Outcome) -> u8 {
    outcome.unwrap_or_else(|report| {
        log.error(&report);
        failure
    })
}

fn refuse(log: &Log, error: &UsageError) -> u8 {
    log.error(&Report::new("usage", error).with_hint(error.hint()));
    usage_status(error)
}
