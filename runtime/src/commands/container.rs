//! A known container: its record, its status, its process.

use super::report::{failed, refusal, state_failed};
use crate::cli::{Context, Report, RootSource};
use crate::spec;
use crate::state::{ContainerId, Entry, Record, Status, Store};
use mydocker_sys::OwnedFd;

/// A container that is in the store.
pub(super) struct Container {
    pub(super) entry: Entry,
    pub(super) record: Record,
    pub(super) status: Status,
}

pub(super) fn store(context: &Context) -> Store {
    let store = Store::new(context.root.clone());
    if context.root_source == RootSource::XdgRuntimeDir { store.sticky() } else { store }
}

pub(super) fn id(text: &str) -> Result<ContainerId, Box<Report>> {
    ContainerId::new(text).map_err(failed("bad-id"))
}

impl Container {
    /// Opens a container and waits for its lock, to change it.
    pub(super) fn open(context: &Context, name: &str) -> Result<Self, Box<Report>> {
        // The lock is held here, so that nobody can be making the container any more.
        Self::of(store(context).open(&id(name)?).map_err(state_failed)?, |_| Ok(false))
    }

    /// Opens a container to look at it.
    pub(super) fn look(context: &Context, name: &str) -> Result<Self, Box<Report>> {
        Self::of(store(context).look(&id(name)?).map_err(state_failed)?, Entry::is_locked)
    }

    fn of(
        entry: Entry,
        locked: impl FnOnce(&Entry) -> mydocker_sys::Result<bool>,
    ) -> Result<Self, Box<Report>> {
        let record = entry.load().map_err(state_failed)?;
        let status = record.status(|| locked(&entry)).map_err(failed("state-io"))?;
        Ok(Self { entry, record, status })
    }

    /// A descriptor of the first process, if it lives.
    pub(super) fn init(&self) -> Result<Option<OwnedFd>, Box<Report>> {
        match &self.record.init {
            Some(init) => init.open().map_err(failed("state-io")),
            None => Ok(None),
        }
    }

    /// The configuration that the container was made with.
    pub(super) fn config(&self) -> Result<spec::Spec, Box<Report>> {
        let bytes = self.entry.load_config().map_err(state_failed)?;
        spec::parse(&bytes).map_err(failed("state-damaged"))
    }
}

/// The refusal of what only a container with a process can do, in the words that runc's callers look for.
pub(super) fn not_running(container: &Container) -> Box<Report> {
    let Container { record, status, .. } = container;
    refusal("not-running", format!("container not running: {:?} is {status}", record.id))
}
