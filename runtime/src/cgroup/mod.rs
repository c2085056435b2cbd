//! Control groups: v1, v2 and both side by side (hybrid), through the cgroup file system.
//!
//! ```text
//! Layout::load          what is mounted where            (one file of /proc, or two)
//! CgroupPath::parse     where the container belongs      (pure)
//! CgroupRecord::place   its directory in each hierarchy  (pure; goes into the state file before any effect)
//! keep_permitted        those that a runtime without privileges may make
//! ResourcePlan          the limits, checked and typed    (pure)
//! ResourcePlan::lower   limits as ordered file writes    (pure)
//! Cgroup::create        directories, then limits         (undoes itself on failure)
//! begin, complete       the same in two halves, with a process cloned in between
//! Change::new           the limits that an update writes  (pure)
//! Cgroup::update        writes them, or takes them back
//! owner                 whom it is given to            (pure)
//! Cgroup::join_fds      descriptors that let the new process put itself in
//! systemd               the same through a unit of systemd
//! ```
//!
//! There is one typed plan of limits; only the last step, from a [`Setting`] to files, differs
//! between v1 and v2, and it differs by controller, not by host: on a hybrid host a controller that only v2 has is
//! written in v2's way.

mod control;
pub mod devices;
pub mod ebpf;
mod files;
pub mod join;
pub mod layout;
pub mod lower;
pub mod manager;
pub mod oom;
mod owner;
pub mod path;
mod permission;
pub mod plan;
pub mod record;
pub mod stats;
pub mod systemd;
mod tree;
pub mod update;

pub use join::JoinFds;
pub use layout::{Controller, ControllerSet, Hierarchy, HierarchyKind, Layout, LayoutError, Mode};
pub use lower::{Devices, Lowered, Write};
pub use manager::{Cgroup, Error};
pub use oom::OomWatch;
pub use owner::owner;
pub use path::{CgroupPath, PathError};
pub use permission::{PermissionError, keep_permitted};
pub use plan::{Limit, PlanError, ResourcePlan, Setting};
pub use record::{CgroupRecord, Directory, UnitRecord};
pub use stats::Stats;
pub use systemd::{Instance, UnitPlan, UnitPlanError};
pub use update::Change;

#[cfg(test)]
mod devices_tests;
