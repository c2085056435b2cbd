//! The OCI runtime as a library.
#![forbid(unsafe_code)]

pub mod cli;
pub mod spec;
pub mod validate;
