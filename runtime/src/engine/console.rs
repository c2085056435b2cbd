//! Descriptors handed to other programs over their sockets: terminals, pidfds, filter listeners.

use crate::spec::{OCI_VERSION, Seccomp};
use crate::state::State;
use mydocker_sys::{AsFd, AsRawFd, OwnedFd, socket};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Why a descriptor could not be handed over.
#[derive(Debug, thiserror::Error)]
#[error("{what} could not be sent to the socket {}", path.display())]
pub struct ConsoleError {
    what: &'static str,
    path: PathBuf,
    source: mydocker_sys::Error,
}

fn send(what: &'static str, path: &Path, bytes: &[u8], fd: impl AsFd) -> Result<(), ConsoleError> {
    let fail = |source| ConsoleError { what, path: path.to_path_buf(), source };
    let socket = socket::connect_stream(path).map_err(fail)?;
    socket::send(&socket, bytes, &[fd.as_fd().as_raw_fd()]).map_err(fail)
}

/// Sends the multiplexer of a terminal, with a name as runc sends it.
///
/// # Errors
/// [`ConsoleError`].
pub fn send_terminal(path: &Path, multiplexer: &OwnedFd) -> Result<(), ConsoleError> {
    send("the terminal", path, b"/dev/ptmx", multiplexer)
}

/// Sends a pidfd (`--pidfd-socket`); `kind` tells of what, in runc's words.
///
/// # Errors
/// [`ConsoleError`].
pub fn send_pidfd(path: &Path, kind: PidfdKind, pidfd: &OwnedFd) -> Result<(), ConsoleError> {
    let text: &[u8] = match kind {
        PidfdKind::First => b"standard",
        PidfdKind::Further => b"setns",
    };
    send("the pidfd", path, text, pidfd)
}

/// Of which process of a container a pidfd is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PidfdKind {
    /// The first.
    First,
    /// One that `exec` made.
    Further,
}

/// What an agent is told about a filter's listener (config-linux.md, The Container Process State).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ContainerProcessState<'a> {
    oci_version: &'static str,
    fds: [&'static str; 1],
    pid: i32,
    #[serde(skip_serializing_if = "str::is_empty")]
    metadata: &'a str,
    state: &'a State,
}

/// Sends the listener of a filter to its agent.
pub(super) fn send_listener(
    seccomp: &Seccomp,
    pid: i32,
    state: &State,
    listener: &OwnedFd,
) -> Result<(), ConsoleError> {
    let told = ContainerProcessState {
        oci_version: OCI_VERSION,
        fds: ["seccompFd"],
        pid,
        metadata: &seccomp.listener_metadata,
        state,
    };
    // Strings and numbers always become JSON.
    let bytes = serde_json::to_vec(&told).unwrap_or_default();
    send("the seccomp listener", Path::new(&seccomp.listener_path), &bytes, listener)
}
