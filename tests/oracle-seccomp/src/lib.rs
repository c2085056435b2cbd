//! What the comparison of the seccomp compiler with libseccomp needs.
#![forbid(unsafe_code)]
