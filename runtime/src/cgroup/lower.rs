//! From settings to the files of the cgroup file system.

use super::layout::{Controller, ControllerSet};
use std::borrow::Cow;

/// Which directory a [`Write`] goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// That of the v1 hierarchy with this controller.
    V1(Controller),
    /// That of the v2 hierarchy.
    Unified,
}

/// What a missing control file means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnMissing {
    /// The limit cannot be set.
    Fail,
    /// The kernel has nothing to limit there, and what was asked for is what holds anyway.
    Ignore,
    /// The kernel has this file with this value instead.
    Instead(Cow<'static, str>, String),
}

/// One write to a control file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The directory.
    pub place: Place,
    /// The file's name.
    pub file: Cow<'static, str>,
    /// The text.
    pub value: String,
    /// The place of the wish in `config.json`.
    pub pointer: Cow<'static, str>,
    /// What a missing file means.
    pub on_missing: OnMissing,
    /// Whether EINVAL means that a later write has to come first: the kernel checks pairs of limits against each
    /// other at every write, so that the right order depends on the values in force. Such a write is tried again
    /// after the next one to the same directory that is not itself put off.
    pub retry: bool,
}

/// Everything that the cgroup's files have to be told, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lowered {
    /// The writes.
    pub writes: Vec<Write>,
    /// Controllers of cgroup v2 that must be there; the rest of what the host offers is enabled where it can be.
    pub unified: ControllerSet,
    /// Whether the writes set the CPUs of a v1 cpuset, which otherwise come from the parent.
    pub cpus: bool,
    /// The same of its memory nodes.
    pub mems: bool,
}
