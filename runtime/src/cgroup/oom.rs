//! Being told when a cgroup is out of memory.

use super::control::value_of;
use super::layout::Controller;
use super::manager::{Cgroup, Error};
use super::tree::present;
use mydocker_sys::poll::{self, Interest};
use mydocker_sys::{self as sys, AsFd, AsRawFd, Errno, OwnedFd, fs};
use std::path::PathBuf;

/// The memory of one cgroup, watched.
#[derive(Debug)]
pub struct OomWatch {
    source: Source,
    seen: u64,
}

#[derive(Debug)]
enum Source {
    /// v2 notifies of changes of `memory.events`, which counts.
    Unified(OwnedFd),
    /// v1 raises a counter of ours whenever a task finds no memory, and once when the cgroup goes.
    V1 { event: OwnedFd, control: PathBuf },
}

impl Cgroup {
    /// Begins to watch; `None` without the memory controller, or when the cgroup is gone.
    ///
    /// # Errors
    /// [`Error::Control`].
    pub fn watch_oom(&self) -> Result<Option<OomWatch>, Error> {
        let source = match (self.record().v1(Controller::Memory), self.record().unified()) {
            (Some(directory), _) => watch_v1(&directory.file("")),
            (None, Some(directory)) => {
                present(fs::open(&directory.file("memory.events"), fs::OFlag::O_RDONLY))
                    .map(|file| file.map(Source::Unified))
            }
            (None, None) => return Ok(None),
        };
        let source = source.map_err(|source| Error::Control("watch the memory of", source))?;
        let watch = source.map(|source| OomWatch { source, seen: 0 });
        watch
            .map(|mut watch| {
                // What was before is no news, and the kernel tells of changes since the last read.
                watch.news().map_err(|source| Error::Control("watch the memory of", source))?;
                Ok(watch)
            })
            .transpose()
    }
}

fn watch_v1(directory: &std::path::Path) -> sys::Result<Option<Source>> {
    let control = directory.join("memory.oom_control");
    let Some(file) = present(fs::open(&control, fs::OFlag::O_RDONLY))? else { return Ok(None) };
    let event = poll::event()?;
    let order = format!("{} {}", event.as_raw_fd(), file.as_raw_fd());
    fs::write_at(fs::AT_FDCWD, &directory.join("cgroup.event_control"), order.as_bytes())?;
    Ok(Some(Source::V1 { event, control }))
}

impl OomWatch {
    /// What to poll for.
    #[must_use]
    pub fn interest(&self) -> Interest<'_> {
        match &self.source {
            Source::Unified(file) => Interest::change(file.as_fd()),
            Source::V1 { event, .. } => Interest::read(event.as_fd()),
        }
    }

    /// Whether there was too little memory since the last call: on v2 a process was killed, on v1 a task found none.
    ///
    /// # Errors
    /// What the kernel says; a cgroup that is gone has no news.
    pub fn news(&mut self) -> sys::Result<bool> {
        match &self.source {
            Source::Unified(file) => {
                let mut text = [0u8; 512];
                let Some(length) = present(fs::read_from(file, &mut text, 0))? else { return Ok(false) };
                let kills = value_of(&String::from_utf8_lossy(&text[..length]), "oom_kill").unwrap_or(0);
                let before = std::mem::replace(&mut self.seen, kills);
                Ok(kills > before)
            }
            Source::V1 { event, control } => match fs::read(event, &mut [0u8; 8]) {
                Ok(_) => Ok(present(fs::open(control, fs::OFlag::O_RDONLY))?.is_some()),
                Err(error) if error.errno() == Errno::EAGAIN => Ok(false),
                Err(error) => Err(error),
            },
        }
    }
}
