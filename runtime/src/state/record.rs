//! The record of a container and its status.

use super::exit::ExitRecord;
use super::liveness::{Liveness, ProcessRecord};
use crate::cgroup::CgroupRecord;
use crate::spec::{NamespaceKind, Resources};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// What `state.json` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The container's id.
    pub id: String,
    /// The version of the specification that its configuration complies with.
    pub oci_version: String,
    /// The bundle, absolute.
    pub bundle: PathBuf,
    /// The root file system on the host, absolute.
    pub rootfs: PathBuf,
    /// When it was made, RFC 3339.
    pub created: String,
    /// The user who made it.
    pub owner: u32,
    /// How far the runtime had come when it last wrote.
    pub progress: Progress,
    /// Its first process, once there is one.
    pub init: Option<ProcessRecord>,
    /// Its cgroups, noted before they are made.
    pub cgroup: Option<CgroupRecord>,
    /// Its class of service, noted before it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intel_rdt: Option<crate::resctrl::Record>,
    /// The annotations of `config.json`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Whether the runtime that made it attends it and deletes it at its end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub attended: bool,
    /// How it ended, where a command of this runtime saw that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<ExitRecord>,
    /// The limits after the last `update`; none while those of `config.json` hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// The names of the containers' namespaces that exec joins: those of `config.json`.
    pub namespaces: Vec<NamespaceKind>,
    /// Those of them that were there before: `config.json` gives their paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joined_namespaces: Vec<NamespaceKind>,
}

/// How far a container has come by the runtime's own doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Progress {
    /// It is being made.
    Creating,
    /// It waits for `start`.
    Created,
    /// Its program was let go.
    Started,
}

/// The status of a container (runtime.md, State), with `paused` as runc has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is being made.
    Creating,
    /// It waits for `start`.
    Created,
    /// Its program runs.
    Running,
    /// Its program runs and is frozen.
    Paused,
    /// Its first process has ended.
    Stopped,
}

impl Status {
    /// The status by what was recorded and what is seen. `locked`: whether somebody else holds the container's lock, as
    /// the runtime that makes it does until it has ended.
    #[must_use]
    pub fn of(progress: Progress, locked: bool, init: Liveness, frozen: bool) -> Self {
        match (progress, init) {
            (Progress::Creating, _) if locked => Self::Creating,
            // The runtime was ended on the way: what is left is for delete.
            (Progress::Creating, _) | (_, Liveness::Dead) => Self::Stopped,
            (_, Liveness::Alive) if frozen => Self::Paused,
            (Progress::Created, Liveness::Alive) => Self::Created,
            (Progress::Started, Liveness::Alive) => Self::Running,
        }
    }

    /// The name in JSON and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The state that hooks read on standard input (runtime.md, State).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// The version of the specification.
    pub oci_version: String,
    /// The container's id.
    pub id: String,
    /// Its status.
    pub status: Status,
    /// Its first process, as the reader's pid namespace has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// The bundle, absolute.
    pub bundle: PathBuf,
    /// The annotations of `config.json`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl State {
    /// The state as JSON text.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        // Strings, numbers and maps with text keys always become JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Record {
    /// Whether a namespace of this kind was made for the container: neither the host's nor one that was there before.
    #[must_use]
    pub fn owns(&self, kind: NamespaceKind) -> bool {
        self.namespaces.contains(&kind) && !self.joined_namespaces.contains(&kind)
    }

    /// The state of the container at a moment.
    #[must_use]
    pub fn state(&self, status: Status) -> State {
        State {
            oci_version: self.oci_version.clone(),
            id: self.id.clone(),
            status,
            pid: if status == Status::Stopped { None } else { self.init.map(|init| init.pid) },
            bundle: self.bundle.clone(),
            annotations: self.annotations.clone(),
        }
    }

    /// The status now, with one look at the first process and, where it matters, at the freezer and at the lock, of which
    /// `locked` tells whether somebody else holds it.
    ///
    /// # Errors
    /// What the kernel says of the process, and what `locked` says.
    pub fn status(
        &self,
        locked: impl FnOnce() -> mydocker_sys::Result<bool>,
    ) -> mydocker_sys::Result<Status> {
        let init = match &self.init {
            Some(init) => init.liveness()?,
            None => Liveness::Dead,
        };
        let locked = self.progress == Progress::Creating && locked()?;
        let frozen = init == Liveness::Alive && self.cgroup.as_ref().is_some_and(CgroupRecord::is_frozen);
        Ok(Status::of(self.progress, locked, init, frozen))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Liveness::{Alive, Dead};

    #[test]
    fn the_status_follows_from_the_record_and_the_processes() {
        let table = [
            (Progress::Creating, true, Dead, false, Status::Creating),
            (Progress::Creating, true, Alive, false, Status::Creating),
            (Progress::Creating, false, Alive, false, Status::Stopped),
            (Progress::Creating, false, Dead, false, Status::Stopped),
            (Progress::Created, false, Alive, false, Status::Created),
            (Progress::Created, false, Dead, false, Status::Stopped),
            (Progress::Started, false, Alive, false, Status::Running),
            (Progress::Started, false, Alive, true, Status::Paused),
            (Progress::Started, false, Dead, true, Status::Stopped),
        ];
        for (progress, locked, init, frozen, expected) in table {
            assert_eq!(
                Status::of(progress, locked, init, frozen),
                expected,
                "{progress:?} {locked} {init:?}"
            );
        }
    }
}
