//! Containers for people, without a daemon: a person's wish becomes an image, a bundle, and a process of the OCI runtime.
//!
//! ```text
//! cli          what was typed; from the process's arguments to its exit status
//! home         where everything lies
//! container    what was wanted (record), what became of it (state), and all containers of a host (containers)
//! log          what containers print, kept
//! events       what has happened
//! volume       named and anonymous volumes
//! oci          the OCI runtime, through its command line
//! commands     run, ps, exec, ... put together from the above
//! clock        moments
//! ```
#![forbid(unsafe_code)]

pub mod cli;
pub mod clock;
pub mod commands;
pub mod container;
pub mod events;
pub mod home;
pub mod log;
pub mod oci;
pub mod volume;
