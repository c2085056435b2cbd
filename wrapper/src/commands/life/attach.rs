//! `attach`: this terminal becomes that of a container that runs.

use crate::attach::{Connection, Request};
use crate::cli::{AttachArgs, Outcome};
use crate::client::{self, ClientError, Person};
use crate::container::{Container, Containers, Status};
use crate::home::Home;
use crate::monitor::AttachOptions;

/// What cannot be attached to.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("you cannot attach to a stopped container, start it first")]
    Stopped,
    #[error("you cannot attach to a paused container, unpause it first")]
    Paused,
    #[error("you cannot attach to a restarting container, wait until it is running")]
    Restarting,
    #[error("the monitor of this container was killed: nobody has its streams any more; stop and start it")]
    NoMonitor,
}

/// Attaches to a container.
///
/// # Errors
/// It does not run, or the connection fails.
pub fn attach(args: &AttachArgs, home: &Home) -> Outcome {
    let containers = Containers::open(home)?;
    let container = containers.find(&args.name)?;
    let keys = match &*args.detach_keys {
        "" => container.host_config.detach_keys.clone(),
        keys => keys.to_owned(),
    };
    let options = AttachOptions {
        stdin: !args.no_stdin && container.config.open_stdin,
        stdout: true,
        stderr: true,
        sig_proxy: args.sig_proxy,
        detach_keys: Some(keys),
    };
    attach_to(&containers, &container, &options)
}

/// Attaches to a container that should run.
pub(super) fn attach_to(containers: &Containers, container: &Container, options: &AttachOptions) -> Outcome {
    match containers.state(&container.id)?.status {
        Status::Running => {}
        Status::Paused => return Err(Refusal::Paused.into()),
        Status::Restarting => return Err(Refusal::Restarting.into()),
        _ => return Err(Refusal::Stopped.into()),
    }
    let mut person = Person::new(options, container.config.tty)?;
    let connection = Connection::open(containers.home(), &container.id, person.streams())?;
    let mut connection = connection.ok_or(Refusal::NoMonitor)?;
    if let Some(size @ Request::Resize { rows, columns }) = person.size() {
        // A program draws its screen again when the size changes, and only then.
        connection.say(&Request::Resize { rows: rows.saturating_add(1), columns })?;
        connection.say(&size)?;
    }
    match client::serve(&mut person, &mut connection) {
        // It has ended just before the monitor has seen that somebody came.
        Err(ClientError::MonitorGone) if has_ended(containers, &container.id) => {
            let status = containers.state(&container.id)?.exit_code;
            Ok(u8::try_from(status).unwrap_or(u8::MAX))
        }
        other => Ok(other?),
    }
}

fn has_ended(containers: &Containers, id: &str) -> bool {
    containers.recorded_state(id).is_ok_and(|state| state.status == Status::Exited)
}
