//! The OCI runtime as a library.
#![forbid(unsafe_code)]

pub mod cli;
pub mod commands;
pub mod mount_options;
pub mod spec;
pub mod validate;
