//! Containers for people, without a daemon: a person's wish becomes an image, a bundle, and a process of the OCI runtime.
//!
//! ```text
//! cli          what was typed; from the process's arguments to its exit status
//! home         where everything lies
//! container    what was wanted (record), what became of it (state), and all containers of a host (containers)
//! request      from what was typed to what is wanted
//! plan         what is wanted, as the config.json of a bundle
//! prepare      root file system, volumes, files; and how they are taken back
//! events       what has happened
//! volume       named and anonymous volumes
//! network      networks, and containers on them
//! log          what containers print, kept
//! attach       what a monitor and its clients say to each other
//! monitor      the process that looks after a container
//! client       the person's end of a container's streams
//! signals      signals by name or number
//! look         containers as lists and documents show them
//! rootless     the namespaces in which an ordinary user is root
//! init         process 1 of containers that want one
//! ending       stopping, killing, pausing and removing containers
//! carry        files in and out of containers
//! oci          the OCI runtime, through its command line
//! commands     run, ps, exec, ... put together from the above
//! clock        moments
//! ```
#![forbid(unsafe_code)]

pub mod attach;
pub mod carry;
pub mod cli;
pub mod client;
pub mod clock;
pub mod commands;
pub mod container;
pub mod ending;
pub mod events;
pub mod home;
pub mod init;
pub mod log;
pub mod look;
pub mod monitor;
pub mod network;
pub mod oci;
pub mod plan;
pub mod prepare;
pub mod request;
pub mod rootless;
pub mod signals;
pub mod volume;
