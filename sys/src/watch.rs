//! Changes of directories and files (`inotify(7)`), to be waited for with [`poll`](crate::poll).

use crate::error::{Context, Result};
use nix::errno::Errno;
use nix::sys::inotify::{InitFlags, Inotify};
use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

pub use nix::sys::inotify::AddWatchFlags as Changes;

/// Tells of changes; it can be read from when there are some.
#[derive(Debug)]
pub struct Watch(Inotify);

/// What has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// How.
    pub what: Changes,
    /// The name within the directory that is watched; `None` if the watched thing itself has changed.
    pub name: Option<OsString>,
}

impl Watch {
    /// Watches nothing yet; reading it never waits.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn new() -> Result<Self> {
        let flags = InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK;
        Inotify::init(flags).map(Self).context("inotify_init1", || "IN_CLOEXEC | IN_NONBLOCK".into())
    }

    /// Watches a directory or a file as well.
    ///
    /// # Errors
    /// What the kernel says, with the path.
    pub fn add(&self, path: &Path, what: Changes) -> Result<()> {
        let added = self.0.add_watch(path, what);
        added.context("inotify_add_watch", || format!("{}, {what:?}", path.display())).map(drop)
    }

    /// The changes since the last call, none of them if there were none.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn take(&self) -> Result<Vec<Change>> {
        match self.0.read_events() {
            Err(Errno::EAGAIN) => Ok(Vec::new()),
            other => {
                let events = other.context("read", || "inotify".into())?;
                Ok(events.into_iter().map(|event| Change { what: event.mask, name: event.name }).collect())
            }
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poll::{Interest, poll};
    use std::time::{Duration, Instant};

    #[test]
    fn a_new_file_is_told_by_its_name() {
        let place = std::env::temp_dir().join(format!("mydocker-watch-{}", std::process::id()));
        std::fs::create_dir(&place).expect("a directory");
        let watch = Watch::new().expect("a watch");
        watch.add(&place, Changes::IN_CREATE).expect("a directory that is there");
        assert_eq!(watch.take(), Ok(Vec::new()));
        std::fs::write(place.join("new"), "").expect("room");
        let deadline = Instant::now() + Duration::from_secs(10);
        poll(&[Interest::read(watch.as_fd())], Some(deadline), "a change").expect("a change");
        let changes = watch.take().expect("changes");
        std::fs::remove_dir_all(&place).expect("an own directory");
        assert_eq!(changes, [Change { what: Changes::IN_CREATE, name: Some("new".into()) }]);
        assert!(watch.add(&place, Changes::IN_CREATE).is_err());
    }
}
