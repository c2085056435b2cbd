//! The `mydocker-runtime` program.
#![forbid(unsafe_code)]
fn main() {}
