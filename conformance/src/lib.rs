//! Judges any OCI runtime by the runtime specification 1.3, clause by clause.
//!
//! The runtime is a program given by its path, and is reached by its command line alone: `create`, `start`, `state`,
//! `kill`, `delete`, and `features` where it has that. What a container is like is told by a small static program, the
//! [`probe`], that is the whole content of its root file system, or is read on the host from `/proc`.
//!
//! * [`clauses`] reads the table of what the specification demands, and which tests ask for it;
//! * [`suite`] has the tests, one module for each part of the specification;
//! * [`case`] is what a test works with: bundles, containers, and the certainty that all is gone afterwards;
//! * [`runner`] runs tests side by side; [`report`] tells how they went; [`expected`] compares with what is known;
//! * [`runtime_tools`] drives the validation programs of another project.
//!
//! Nothing of the runtime in this workspace is used, so that the judge does not share its mistakes.

#![forbid(unsafe_code)]

pub mod bundle;
pub mod case;
pub mod cgroup;
pub mod clauses;
pub mod cli;
pub mod command;
pub mod expected;
pub mod hierarchies;
pub mod probe;
pub mod process;
pub mod report;
pub mod runner;
pub mod runtime_tools;
pub mod suite;
