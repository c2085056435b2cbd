//! `exec`: a command in a container that runs.

use crate::attach::{Connection, Streams};
use crate::cli::{ExecArgs, Outcome};
use crate::client::exec::{Session, run_plainly};
use crate::container::{Container, Containers, State, Status};
use crate::home::Home;
use crate::monitor::runtime_of;
use crate::oci::Oci;
use mydocker_bundles::{UserError, all_capabilities, find_user};
use mydocker_sys::fs::{OFlag, STDIN, open};
use mydocker_sys::tty::is_terminal;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Why a command is not run.
#[derive(Debug, thiserror::Error)]
enum ExecError {
    #[error("container {0} is not running")]
    NotRunning(String),
    #[error("container {0} is paused, unpause the container before exec")]
    Paused(String),
    #[error("container {0} is restarting, wait until the container is running")]
    Restarting(String),
    #[error(
        "the input device is not a TTY: leave -t out to send it what comes from a file or another program"
    )]
    NotATerminal,
    #[error("unable to find user {0}")]
    User(String, #[source] UserError),
    #[error("cannot read the file of variables {0:?}")]
    EnvFile(PathBuf, #[source] io::Error),
    #[error("{0:?} is no variable: it has no name, or a space in it")]
    Env(String),
    #[error(transparent)]
    System(#[from] mydocker_sys::Error),
}

/// Runs a command in a container, and ends with its status.
///
/// # Errors
/// The container does not run, or the command cannot be started.
pub fn exec(args: &ExecArgs, home: &Home) -> Outcome {
    let containers = Containers::open(home)?;
    let container = containers.find(&args.name)?;
    let state = containers.state(&container.id)?;
    check(&container, &state)?;
    let is_foreground_terminal = args.tty && !args.detach;
    if is_foreground_terminal && args.interactive && !is_terminal(STDIN) {
        return Err(ExecError::NotATerminal.into());
    }
    let place = home.run_of(&container.id);
    let log = place.join(format!("exec-{}.log", std::process::id()));
    let oci = Oci::new(home, runtime_of(&container, home)).logging_to(&log);
    let mut command = oci.command("exec");
    command.args(flags(args, &container, &state)?);
    let words = || [OsString::from(&container.id)].into_iter().chain(args.command.iter().map(OsString::from));
    let session = Session { command, words: words().collect(), log, directory: place };
    let outcome = if args.tty {
        let open = || Connection::open(home, &container.id, Streams::default());
        session.run_on_terminal(args.interactive, args.detach, &args.detach_keys, open)
    } else if args.detach {
        session.run_detached()
    } else {
        run_plainly(session, args.interactive)
    };
    outcome.map_err(Into::into)
}

fn check(container: &Container, state: &State) -> Result<(), ExecError> {
    let id = || container.id.clone();
    match state.status {
        Status::Running => Ok(()),
        Status::Paused => Err(ExecError::Paused(id())),
        Status::Restarting => Err(ExecError::Restarting(id())),
        _ => Err(ExecError::NotRunning(id())),
    }
}

/// What the runtime is told beside the command. Whatever is not said is as for the container's own program.
fn flags(args: &ExecArgs, container: &Container, state: &State) -> Result<Vec<OsString>, ExecError> {
    let mut flags: Vec<OsString> = Vec::new();
    let mut add = |name: &str, value: &str| flags.extend([OsString::from(name), value.into()]);
    if args.tty && !container.config.image.env.iter().any(|variable| variable.starts_with("TERM=")) {
        add("--env", "TERM=xterm");
    }
    for variable in variables(args)? {
        add("--env", &variable);
    }
    if let Some(directory) = &args.workdir {
        add("--cwd", directory);
    }
    if let (Some(text), Some(process)) = (&args.user, state.process) {
        let root =
            open(Path::new(&format!("/proc/{}/root", process.pid)), OFlag::O_PATH | OFlag::O_DIRECTORY)?;
        let user = find_user(std::os::fd::AsFd::as_fd(&root), text)
            .map_err(|error| ExecError::User(text.clone(), error))?;
        add("--user", &format!("{}:{}", user.uid, user.gid));
        user.groups.iter().for_each(|group| add("--additional-gids", &group.to_string()));
    }
    if args.privileged {
        all_capabilities().iter().for_each(|capability| add("--cap", capability));
    }
    if args.tty {
        flags.push("--tty".into());
    }
    Ok(flags)
}

/// The variables of files and flags; one without a value is this program's own, and none if this program has none.
fn variables(args: &ExecArgs) -> Result<Vec<String>, ExecError> {
    let mut all = Vec::new();
    for path in &args.env_file {
        let text = fs::read_to_string(path).map_err(|error| ExecError::EnvFile(path.clone(), error))?;
        let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim_start);
        all.extend(lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned));
    }
    all.extend(args.env.iter().cloned());
    let mut found = Vec::new();
    for variable in all {
        let name = variable.split('=').next().unwrap_or_default();
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(ExecError::Env(variable));
        }
        if variable.contains('=') {
            found.push(variable);
        } else if let Ok(value) = std::env::var(name) {
            found.push(format!("{name}={value}"));
        }
    }
    Ok(found)
}
