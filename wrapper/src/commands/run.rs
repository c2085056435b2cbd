//! `run`: make a container, start it, and stay until it ends.

use super::create::make;
use crate::cli::{Failure, Outcome, RunArgs};
use crate::client::Keys;
use crate::container::{Container, Containers};
use crate::home::Home;
use crate::monitor::{AttachOptions, LaunchError, run_attached, run_detached};
use crate::request::RequestError;
use mydocker_cmdline::print;
use mydocker_sys::tty::is_terminal;
use std::io;

/// Runs a container, and returns its exit status; in the background, prints its id.
///
/// # Errors
/// With the status 125 for this program's own, and 126 and 127 for a program that cannot be run or is not there.
pub fn run(args: &RunArgs, home: &Home) -> Outcome {
    check(args).map_err(Failure::own)?;
    // Before there is a container that nobody would start.
    Keys::parse(&args.detach_keys).map_err(Failure::own)?;
    let container = make(home, &args.container, |container| adapt(args, container)).map_err(Failure::own)?;
    let containers = Containers::open(home).map_err(Failure::own)?;
    let failed = |error: LaunchError| Failure { status: error.status(), error: error.into() };
    if args.detach {
        run_detached(&containers, &container).map_err(failed)?;
        print(&format!("{}\n", container.id))?;
        return Ok(0);
    }
    run_attached(&containers, &container, &options(args, &container)).map_err(failed)
}

/// Nobody is attached to what runs in the background: its input stays open for whoever comes. Who attaches later leaves with
/// the same keys.
fn adapt(args: &RunArgs, container: &mut Container) {
    container.config.stdin_once &= !args.detach;
    container.host_config.detach_keys.clone_from(&args.detach_keys);
}

/// What does not go together on the way to a terminal.
fn check(args: &RunArgs) -> Result<(), RequestError> {
    let process = &args.container.process;
    if args.detach && process.tty && process.interactive {
        return Err(RequestError::Together(
            "-t and -i do not go with -d: nobody is at the terminal; leave -d out, and type ctrl-p ctrl-q to leave it running",
        ));
    }
    if args.detach && !process.attach.is_empty() {
        return Err(RequestError::Together("--attach does not go with --detach"));
    }
    if process.tty && process.interactive && !is_terminal(io::stdin()) {
        return Err(RequestError::Together("the input device is not a TTY; leave -t out"));
    }
    Ok(())
}

/// Both outputs are wanted if nothing else is said, and input if it is open.
fn options(args: &RunArgs, container: &Container) -> AttachOptions {
    let asked = &args.container.process.attach;
    let wants = |name: &str| asked.iter().any(|stream| stream.eq_ignore_ascii_case(name));
    AttachOptions {
        stdin: container.config.open_stdin && (asked.is_empty() || wants("stdin")),
        stdout: asked.is_empty() || wants("stdout"),
        stderr: asked.is_empty() || wants("stderr"),
        sig_proxy: args.sig_proxy,
        detach_keys: Some(args.detach_keys.clone()),
    }
}
