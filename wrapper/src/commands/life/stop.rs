//! `stop`, `kill`, `rm`, `pause`, `unpause`, `wait`.

use crate::cli::{KillArgs, NamesArgs, Outcome, RmArgs, StopArgs, complain_of, each};
use crate::container::{Container, Containers, ContainersError};
use crate::ending::{self, EndingError, Stop};
use crate::home::Home;
use crate::signals;
use mydocker_cmdline::print;
use std::error::Error;

/// Does it to each container of these names, and prints the name as it was typed.
pub(super) fn to_each(
    home: &Home,
    names: &[String],
    work: impl Fn(&Containers, &Container, &str) -> Result<(), EndingError>,
) -> Outcome {
    let containers = Containers::open(home)?;
    each(names, |name| -> Result<(), Box<dyn Error>> {
        work(&containers, &containers.find(name)?, name)?;
        Ok(print(&format!("{name}\n"))?)
    })
}

/// How containers are to end, as it was typed.
pub(super) fn wish(args: &StopArgs) -> Result<Stop, EndingError> {
    let signal = args.signal.as_deref().map(signals::parse).transpose()?;
    Ok(Stop { signal, timeout: args.time, stays: false })
}

/// Ends containers.
///
/// # Errors
/// The home cannot be opened; what goes wrong with a container is told.
pub fn stop(args: &StopArgs, home: &Home) -> Outcome {
    let wish = wish(args)?;
    to_each(home, &args.names, |containers, container, _| ending::stop(containers, container, wish))
}

/// Sends containers a signal.
///
/// # Errors
/// As [`stop`].
pub fn kill(args: &KillArgs, home: &Home) -> Outcome {
    let number = signals::parse(&args.signal)?;
    to_each(home, &args.names, |containers, container, name| {
        ending::kill(containers, container, name, number)
    })
}

/// Freezes containers.
///
/// # Errors
/// As [`stop`].
pub fn pause(args: &NamesArgs, home: &Home) -> Outcome {
    to_each(home, &args.names, |containers, container, _| ending::pause(containers, container))
}

/// Lets containers go on.
///
/// # Errors
/// As [`stop`].
pub fn unpause(args: &NamesArgs, home: &Home) -> Outcome {
    to_each(home, &args.names, |containers, container, _| ending::unpause(containers, container))
}

/// Removes containers.
///
/// # Errors
/// As [`stop`].
pub fn rm(args: &RmArgs, home: &Home) -> Outcome {
    let containers = Containers::open(home)?;
    each(&args.names, |name| -> Result<(), Box<dyn Error>> {
        let container = match containers.find(name) {
            // As docker has it: said, and no failure.
            Err(error @ ContainersError::NotFound(_)) if args.force => {
                complain_of(error);
                return Ok(());
            }
            other => other?,
        };
        ending::remove(&containers, &container, args.force, args.volumes)?;
        Ok(print(&format!("{name}\n"))?)
    })
}

/// Waits until containers have ended, and prints their statuses.
///
/// # Errors
/// As [`stop`].
pub fn wait(args: &NamesArgs, home: &Home) -> Outcome {
    let containers = Containers::open(home)?;
    each(&args.names, |name| -> Result<(), Box<dyn Error>> {
        let id = containers.find_id(name)?;
        let status = ending::await_end(&containers, &id)?;
        Ok(print(&format!("{status}\n"))?)
    })
}
