//! `port`: which ports of the host lead to a container.

use crate::cli::{Outcome, PortArgs};
use crate::container::{Containers, PublishedPort};
use crate::home::Home;
use crate::look::ports::with_protocol;
use crate::look::status::is_up;
use mydocker_cmdline::print;
use std::net::SocketAddr;

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// The port is not published.
    #[error("No public port '{port}' published for {container}")]
    NotPublished {
        /// As it was typed.
        port: String,
        /// As it was typed.
        container: String,
    },
}

/// Prints a line for each.
///
/// # Errors
/// There is no such container, or the port that was asked for is not published.
pub fn port(args: &PortArgs, home: &Home) -> Outcome {
    let containers = Containers::open(home)?;
    let state = containers.state(&containers.find_id(&args.container)?)?;
    let mut ports = if is_up(state.status) { state.ports } else { Vec::new() };
    ports.sort_by_key(|port| (port.container_port, port.protocol.clone(), port.host_ip, port.host_port));
    let text = match &args.port {
        None => ports.iter().map(|port| format!("{} -> {}\n", inner(port), outer(port))).collect(),
        Some(wanted) => {
            let wanted = with_protocol(wanted);
            ports
                .iter()
                .filter(|port| inner(port) == wanted)
                .map(|port| format!("{}\n", outer(port)))
                .collect()
        }
    };
    match (&args.port, String::is_empty(&text)) {
        (Some(port), true) => {
            Err(PortError::NotPublished { port: port.clone(), container: args.container.clone() }.into())
        }
        _ => Ok(print(&text).map(|()| 0)?),
    }
}

fn inner(port: &PublishedPort) -> String {
    format!("{}/{}", port.container_port, port.protocol)
}

fn outer(port: &PublishedPort) -> String {
    SocketAddr::new(port.host_ip, port.host_port).to_string()
}
