//! The OCI runtime as a library.
#![forbid(unsafe_code)]

pub mod seccomp;
pub mod spec;
