//! What happens to a container when something fails at any point of its life.
//!
//! Every system call that a command of a runtime makes is a [point](point::Point). A [sweep](sweep::Sweep) runs the
//! command again and again; at each run one call fails, or the process that is about to make it is killed. After that
//! the command has to have told what failed, nothing may be half made, and `delete --force` has to leave nothing: no
//! process, state, cgroup or mount.
//!
//! * `inject` runs one command with one fault ([`tracer`]).
//! * `fault-sweep` sweeps the commands of any runtime and prints the table of `docs/reliability.md`.
//! * `tests/slice.rs` sweeps a fixed part of the points, for every change.

#![forbid(unsafe_code)]

pub mod command_line;
pub mod images;
pub mod point;
pub mod subject;
pub mod sweep;
pub mod tracer;
pub mod verdict;
