//! The OCI runtime as a library.
#![forbid(unsafe_code)]

pub mod cgroup;
pub mod spec;
