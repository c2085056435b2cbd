//! The OCI runtime as a library: a straight line from `config.json` to execve.
//!
//! ```text
//! cli        what was typed
//! spec       config.json, parsed
//! validate   every refusal that config.json can justify
//! plan       ordered steps as data
//! engine     the steps, carried out by the runtime and by the container's first process
//! criu       checkpoints, by the program criu
//! state      what is remembered of a container
//! dbus       a small client, for the systemd cgroup driver
//! timings    how long each part took, for --timings
//! commands   create, start, ... put together from the above
//! ```
#![forbid(unsafe_code)]

pub mod cgroup;
pub mod cli;
pub mod commands;
pub mod criu;
pub mod dbus;
pub mod engine;
pub mod host;
pub mod landlock;
pub mod mount_options;
pub mod plan;
pub mod resctrl;
pub mod seccomp;
pub mod spec;
pub mod state;
pub mod support;
pub mod timings;
pub mod validate;
