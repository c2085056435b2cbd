//! The process that looks after a container: one for each that runs, and none for one that does not.
//!
//! ```text
//! entry      from the process's arguments to its exit status
//! launch     starts a monitor, and hears from it that the container runs, or why it does not
//! life       a monitor's life: starts, ends, pauses between them, and the container's removal at last
//! start      one start, and all that is undone after it
//! turn       one round of waiting and of dealing with what has happened
//! streams    the container's standard streams
//! clients    who is attached, or waits for the end
//! health     health checks
//! restart    whether and when a container is started again
//! memory     whether the kernel killed for want of memory
//! mend       what a monitor that was killed, or a reboot, has left
//! ```
//!
//! A monitor is a program of its own (ADR 0017), in a session of its own, with the container's directory as its argument. It
//! holds `monitor.lock` for as long as the container is its business: who gets this lock can be sure that nobody looks after
//! the container.

mod clients;
mod entry;
mod flood;
mod health;
mod launch;
mod life;
mod memory;
mod mend;
mod restart;
mod start;
mod streams;
mod turn;

pub use entry::main_entry;
pub use launch::{AttachOptions, LaunchError, await_quiet, run_attached, run_detached};
pub use life::{MonitorError, runtime_of};
pub use mend::{MendError, Mended, mend, mend_all, remove};

use crate::container::{Containers, ContainersError};
use crate::home::Home;
use mydocker_sys::Errno;
use mydocker_sys::fs::lock_exclusive;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;

/// The program. The words after it are the directory of the container, the two roots, the runtime, and the version: a monitor lives as
/// long as its container, and is to be small, so that it does not read them as a command line.
const NAME: &str = "mydocker-monitor";

/// Records, states and what the two say to each other are those of one version.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Waits until no monitor looks after a container; one that has been removed has none.
///
/// # Errors
/// [`ContainersError`].
pub fn await_leave(containers: &Containers, id: &str) -> Result<(), ContainersError> {
    match lock(containers.home(), id, true) {
        Err(ContainersError::NotFound(_)) => Ok(()),
        other => other.map(drop),
    }
}

/// Takes the lock of the monitor of a container; `None` if a monitor has it and `wait` is false.
fn lock(home: &Home, id: &str, wait: bool) -> Result<Option<File>, ContainersError> {
    let path = home.container(id).join("monitor.lock");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = match options.open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(ContainersError::NotFound(id.to_owned()));
        }
        other => other.map_err(|source| ContainersError::Io { action: "open", path, source })?,
    };
    match lock_exclusive(&file, wait) {
        Err(error) if error.errno() == Errno::EWOULDBLOCK => Ok(None),
        other => Ok(other.map(|()| Some(file))?),
    }
}
