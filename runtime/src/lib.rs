//! The OCI runtime as a library.
#![forbid(unsafe_code)]

pub mod spec;
pub mod validate;
