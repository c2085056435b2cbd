//! What the comparison of the seccomp compiler with libseccomp needs: libseccomp itself as a program that is compiled
//! when a test runs, so that building the product needs no C library; a model of what a profile means, written
//! without regard to the compiler; and a source of random profiles.
#![forbid(unsafe_code)]

pub mod cause;
pub mod comparison;
pub mod model;
pub mod oracle;
pub mod profiles;
pub mod random;

/// Runs a filter as the kernel would; the compiler's own tests use the same one.
#[path = "../../../runtime/src/seccomp/interpreter.rs"]
pub mod interpreter;
