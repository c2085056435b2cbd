//! Looking at containers.

mod ps;

pub use ps::ps;
