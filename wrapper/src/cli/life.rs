//! The life of containers: the commands and their dispatch.

use super::args_life::{AttachArgs, ExecArgs, KillArgs, LogsArgs, NamesArgs, RmArgs, StartArgs, StopArgs};
use super::refused::{OF_RM, OF_START};
use super::{Command, Outcome};
use crate::commands::life;
use crate::home::Home;
use mydocker_cmdline::{Entry, FlagsEnd, entry};

/// A command about the life of containers.
#[derive(Debug, Clone, PartialEq)]
pub enum LifeCommand {
    /// `attach`
    Attach(AttachArgs),
    /// `exec`
    Exec(ExecArgs),
    /// `kill`
    Kill(KillArgs),
    /// `logs`
    Logs(LogsArgs),
    /// `pause`
    Pause(NamesArgs),
    /// `restart`
    Restart(StopArgs),
    /// `rm`
    Rm(RmArgs),
    /// `start`
    Start(StartArgs),
    /// `stop`
    Stop(StopArgs),
    /// `unpause`
    Unpause(NamesArgs),
    /// `wait`
    Wait(NamesArgs),
}

/// The commands.
pub(super) const LIFE: &[Entry<Command>] = &[
    entry!("start", "Start containers that have ended or never ran", StartArgs, |args| Command::Life(
        LifeCommand::Start(args)
    ))
    .with_example("mydocker start web")
    .with_refused(OF_START),
    entry!("stop", "Ask containers to end, and kill those that do not", StopArgs, |args| Command::Life(
        LifeCommand::Stop(args)
    ))
    .with_example("mydocker stop -t 5 web"),
    entry!("restart", "Stop containers and start them again", StopArgs, |args| Command::Life(
        LifeCommand::Restart(args)
    ))
    .with_example("mydocker restart web"),
    entry!("kill", "Send containers a signal: KILL, or another", KillArgs, |args| Command::Life(
        LifeCommand::Kill(args)
    ))
    .with_example("mydocker kill -s HUP web"),
    entry!("rm", "Remove containers", RmArgs, |args| Command::Life(LifeCommand::Rm(args)))
        .with_example("mydocker rm -f web")
        .with_refused(OF_RM),
    entry!("wait", "Wait until containers have ended, and print their statuses", NamesArgs, |args| {
        Command::Life(LifeCommand::Wait(args))
    })
    .with_example("mydocker wait web"),
    entry!("attach", "Connect this terminal to a container that runs", AttachArgs, |args| Command::Life(
        LifeCommand::Attach(args)
    ))
    .with_example("mydocker attach web"),
    entry!(
        "exec",
        "Run a command in a container that runs",
        ExecArgs,
        |args| Command::Life(LifeCommand::Exec(args)),
        FlagsEnd::FirstArgument
    )
    .with_example("mydocker exec -ti web sh"),
    entry!("pause", "Freeze all processes of containers", NamesArgs, |args| Command::Life(
        LifeCommand::Pause(args)
    ))
    .with_example("mydocker pause web"),
    entry!("unpause", "Let the processes of containers go on", NamesArgs, |args| Command::Life(
        LifeCommand::Unpause(args)
    ))
    .with_example("mydocker unpause web"),
    entry!("logs", "Show what a container has printed", LogsArgs, |args| Command::Life(LifeCommand::Logs(
        args
    )))
    .with_example("mydocker logs -f --tail 20 web"),
];

pub(super) fn dispatch(command: LifeCommand, home: &Home) -> Outcome {
    match command {
        LifeCommand::Attach(args) => life::attach(&args, home),
        LifeCommand::Exec(args) => life::exec(&args, home),
        LifeCommand::Kill(args) => life::kill(&args, home),
        LifeCommand::Logs(args) => life::logs(&args, home),
        LifeCommand::Pause(args) => life::pause(&args, home),
        LifeCommand::Restart(args) => life::restart(&args, home),
        LifeCommand::Rm(args) => life::rm(&args, home),
        LifeCommand::Start(args) => life::start(&args, home),
        LifeCommand::Stop(args) => life::stop(&args, home),
        LifeCommand::Unpause(args) => life::unpause(&args, home),
        LifeCommand::Wait(args) => life::wait(&args, home),
    }
}
