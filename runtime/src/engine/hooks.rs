//! Hooks (config.md, POSIX-platform Hooks): programs that get the container's state on standard input.

use super::compile::Compiled;
use super::failure::{Code, Failure};
use crate::spec::Hook;
use crate::state::{State, Status};
use mydocker_sys::poll::{Interest, poll};
use mydocker_sys::{AsFd, OwnedFd, fs, process};
use std::ffi::CString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child as Process, Command, Stdio};
use std::time::{Duration, Instant};

/// How much of what a hook prints is kept for the message about its failure.
const MAX_OUTPUT: usize = 4096;

/// Why a hook failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be started.
    #[error("{kind} hook #{index} {path} could not be started")]
    Start {
        /// Its kind, as in `config.json`.
        kind: &'static str,
        /// Its place among its kind, from 0.
        index: usize,
        /// Its program.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It ended with a failure.
    #[error("{kind} hook #{index} {path} {how}{output}")]
    Failed {
        /// Its kind, as in `config.json`.
        kind: &'static str,
        /// Its place among its kind, from 0.
        index: usize,
        /// Its program.
        path: String,
        /// How it ended.
        how: String,
        /// What it printed to standard error, if anything.
        output: String,
    },
    /// The kernel refused something that waiting for it needs.
    #[error("{kind} hook #{index} {path} could not be waited for")]
    Wait {
        /// Its kind, as in `config.json`.
        kind: &'static str,
        /// Its place among its kind, from 0.
        index: usize,
        /// Its program.
        path: String,
        /// Why.
        source: mydocker_sys::Error,
    },
}

impl Error {
    /// The hook's program.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Start { path, .. } | Self::Failed { path, .. } | Self::Wait { path, .. } => path,
        }
    }

    /// The hook's kind, as in `config.json`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Start { kind, .. } | Self::Failed { kind, .. } | Self::Wait { kind, .. } => kind,
        }
    }
}

/// Runs the hooks of one kind in order and stops at the first that fails.
///
/// # Errors
/// The first failure.
pub fn run(kind: &'static str, hooks: &[Hook], state: &State) -> Result<(), Error> {
    if hooks.is_empty() {
        return Ok(());
    }
    let state = State { status: status_for(kind, state.status), ..state.clone() };
    let around = Surroundings::on_the_host(&state);
    hooks.iter().enumerate().try_for_each(|(index, hook)| run_one(kind, index, hook, &state, around))
}

/// Runs all hooks of one kind, whatever becomes of each (poststop, and what the spec lets fail).
#[must_use]
pub fn run_all(kind: &'static str, hooks: &[Hook], state: &State) -> Vec<Error> {
    if hooks.is_empty() {
        return Vec::new();
    }
    let around = Surroundings::on_the_host(state);
    let each = |(index, hook)| run_one(kind, index, hook, state, around).err();
    hooks.iter().enumerate().filter_map(each).collect()
}

/// Runs hooks in the container's first process.
pub(super) fn run_inside(
    compiled: &Compiled,
    kind: &'static str,
    hooks: &[Hook],
) -> Result<(), Box<Failure>> {
    let mut state = compiled.state.clone();
    state.pid = Some(process::getpid().as_raw());
    if kind == "startContainer" {
        state.status = Status::Created;
    }
    // As runc has it: hooks of start without an environment get the program's.
    let env = (kind == "startContainer").then_some(&compiled.program.env[..]);
    let around = Surroundings { env, directory: None };
    hooks.iter().enumerate().try_for_each(|(index, hook)| {
        run_one(kind, index, hook, &state, around).map_err(|error| failure(kind, &error))
    })
}

fn failure(kind: &str, error: &Error) -> Box<Failure> {
    let mut message = error.to_string();
    if let Some(source) = std::error::Error::source(error) {
        message = format!("{message}: {source}");
    }
    Box::new(Failure {
        code: Code::Hook,
        phase: if kind == "startContainer" { "await-start" } else { "create-hooks" }.into(),
        step: format!("run {kind} hooks"),
        message,
        syscall: None,
        path: Some(error.path().to_owned()),
        errno: None,
        hint: None,
    })
}

fn run_one(
    kind: &'static str,
    index: usize,
    hook: &Hook,
    state: &State,
    around: Surroundings<'_>,
) -> Result<(), Error> {
    let path = || hook.path.clone();
    let mut started =
        command(hook, around).spawn().map_err(|source| Error::Start { kind, index, path: path(), source })?;
    let ended = supervise(&mut started, hook, state).map_err(|source| Error::Wait {
        kind,
        index,
        path: path(),
        source,
    })?;
    match ended.how {
        None => Ok(()),
        Some(how) => Err(Error::Failed { kind, index, path: path(), how, output: ended.output }),
    }
}

/// What a hook finds that it does not bring along.
#[derive(Debug, Clone, Copy)]
struct Surroundings<'a> {
    /// The environment of one without any; the caller's if there is none.
    env: Option<&'a [CString]>,
    /// Where it runs; where the caller is if that is not told.
    directory: Option<&'a Path>,
}

impl<'a> Surroundings<'a> {
    /// As runc and crun have it: hooks on the host find what lies in the bundle by its name alone. A poststop hook runs
    /// also for a container whose bundle is gone.
    fn on_the_host(state: &'a State) -> Self {
        let enters = fs::executable(&state.bundle.join(".")).is_ok();
        Self { env: None, directory: enters.then_some(state.bundle.as_path()) }
    }
}

fn command(hook: &Hook, around: Surroundings<'_>) -> Command {
    use std::os::unix::ffi::OsStrExt;
    let mut command = Command::new(&hook.path);
    if let Some((name, rest)) = hook.args.split_first() {
        command.arg0(name).args(rest);
    }
    if !hook.env.is_empty() {
        command.env_clear().envs(hook.env.iter().map(|entry| entry.split_once('=').unwrap_or((entry, ""))));
    } else if let Some(env) = around.env {
        let pairs = env.iter().filter_map(|entry| {
            let bytes = entry.as_bytes();
            let at = bytes.iter().position(|byte| *byte == b'=')?;
            Some((std::ffi::OsStr::from_bytes(&bytes[..at]), std::ffi::OsStr::from_bytes(&bytes[at + 1..])))
        });
        command.env_clear().envs(pairs);
    }
    around.directory.into_iter().for_each(|directory| {
        command.current_dir(directory);
    });
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// How a hook ended.
struct Ended {
    /// `None` for success.
    how: Option<String>,
    output: String,
}

/// Feeds the state to a hook, collects what it says, and ends it at its time limit.
fn supervise(started: &mut Process, hook: &Hook, state: &State) -> mydocker_sys::Result<Ended> {
    let pidfd = process::pidfd_open(process::Pid::from_raw(started.id() as i32))?;
    let deadline = hook
        .timeout
        .and_then(|seconds| Instant::now().checked_add(Duration::from_secs(seconds.unsigned_abs())));
    let mut feed = started.stdin.take().map(|pipe| (OwnedFd::from(pipe), state.to_json()));
    let errors = started.stderr.take().map(OwnedFd::from);
    for fd in feed.iter().map(|(fd, _)| fd).chain(&errors) {
        fs::set_nonblocking(fd, true)?;
    }
    let mut output = Vec::new();
    let in_time = watch(&pidfd, &mut feed, errors.as_ref(), &mut output, deadline);
    if let Err(error) = &in_time {
        process::pidfd_kill(&pidfd, libc::SIGKILL)?;
        if error.errno() != mydocker_sys::Errno::ETIMEDOUT {
            process::wait(&pidfd)?;
            in_time?;
            return Ok(Ended { how: None, output: String::new() });
        }
    }
    let exit = process::wait(&pidfd)?;
    let how = match (in_time.is_err(), exit) {
        (true, _) => Some(format!("was killed at its time limit of {} s", hook.timeout.unwrap_or_default())),
        (false, process::Exit::Code(0)) => None,
        (false, process::Exit::Code(code)) => Some(format!("failed with exit status {code}")),
        (false, process::Exit::Signal { number, .. }) => Some(format!("was ended by signal {number}")),
    };
    let text = String::from_utf8_lossy(&output).trim().replace('\n', " | ");
    Ok(Ended { how, output: if text.is_empty() { text } else { format!(": {text}") } })
}

/// Until the hook ends: hands out the state as it is taken, and takes what comes on standard error. A hook need not
/// read its input, and what it leaves running may keep the pipes open.
fn watch(
    pidfd: &OwnedFd,
    feed: &mut Option<(OwnedFd, Vec<u8>)>,
    errors: Option<&OwnedFd>,
    output: &mut Vec<u8>,
    deadline: Option<Instant>,
) -> mydocker_sys::Result<()> {
    let mut errors = errors;
    loop {
        let mut interests = vec![Interest::read(pidfd.as_fd())];
        interests.extend(errors.map(|fd| Interest::read(fd.as_fd())));
        interests.extend(feed.as_ref().map(|(fd, _)| Interest {
            fd: fd.as_fd(),
            read: false,
            write: true,
            priority: false,
        }));
        let events = poll(&interests, deadline, "a hook to end")?;
        if let Some(fd) = errors
            && (events[1].readable || events[1].hangup)
            && drain(fd, output) == 0
        {
            errors = None;
        }
        if events[0].readable {
            return Ok(());
        }
        if events.last().is_some_and(|event| event.writable || event.hangup) {
            hand_out(feed);
        }
    }
}

/// The status that hooks of a kind read. `prestart` comes from a time when they ran for a container that was `created`
/// already, as runtime.md still has it: `creating` is step 2 of the lifecycle, and they are step 3.
fn status_for(kind: &str, status: Status) -> Status {
    if kind == "prestart" && status == Status::Creating { Status::Created } else { status }
}

/// Writes what the pipe takes; the pipe is closed at the end of the state, or when the hook does not want it.
fn hand_out(feed: &mut Option<(OwnedFd, Vec<u8>)>) {
    let Some((fd, bytes)) = feed else { return };
    match fs::write(&*fd, bytes) {
        Ok(length) if length < bytes.len() => {
            bytes.drain(..length);
        }
        Err(error) if error.errno() == mydocker_sys::Errno::EAGAIN => {}
        Ok(_) | Err(_) => *feed = None,
    }
}

fn drain(fd: &OwnedFd, output: &mut Vec<u8>) -> usize {
    let mut buffer = [0u8; 1024];
    let length = fs::read(fd, &mut buffer).unwrap_or(0);
    let room = MAX_OUTPUT.saturating_sub(output.len());
    output.extend_from_slice(&buffer[..length.min(room)]);
    length
}
