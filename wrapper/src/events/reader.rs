//! Reading events: those that are there, and those to come.

use super::journal::{current, is_at, old};
use super::{EventsError, Recorded, failed};
use crate::home::Home;
use mydocker_sys::watch::{Changes, Watch};
use mydocker_sys::{AsFd, BorrowedFd};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

/// The events that are there, the oldest first. A line that is none (the disk was full) is left out.
///
/// # Errors
/// [`EventsError`].
pub fn read(home: &Home) -> Result<Vec<Recorded>, EventsError> {
    let mut events = Vec::new();
    for path in [old(home), current(home)] {
        match fs::read(&path) {
            Ok(bytes) => events.extend(bytes.split(|byte| *byte == b'\n').filter_map(parse)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed("read", &path)(error)),
        }
    }
    Ok(events)
}

fn parse(line: &[u8]) -> Option<Recorded> {
    serde_json::from_slice(line).ok()
}

/// Follows the events as they are written.
#[derive(Debug)]
pub struct Follower {
    home: Home,
    watch: Watch,
    file: Option<File>,
    /// What has been read of a line without its end.
    rest: Vec<u8>,
}

impl Follower {
    /// Follows from the beginning of what is there.
    ///
    /// # Errors
    /// [`EventsError`].
    pub fn new(home: &Home) -> Result<Self, EventsError> {
        let directory = home.events();
        fs::create_dir_all(&directory).map_err(failed("make the directory", &directory))?;
        let watch = Watch::new()?;
        watch.add(&directory, Changes::IN_MODIFY | Changes::IN_CREATE | Changes::IN_MOVE)?;
        let old = old(home);
        let file = open(&old)?;
        Ok(Self { home: home.clone(), watch, file, rest: Vec::new() })
    }

    /// The events that have been written since the last call.
    ///
    /// # Errors
    /// [`EventsError`].
    pub fn take(&mut self) -> Result<Vec<Recorded>, EventsError> {
        let path = current(&self.home);
        let mut events = Vec::new();
        loop {
            // Asked before it is read: nobody writes to a file any more that has become the old one.
            let is_last = self.file.as_ref().map(|file| is_at(file, &path)).transpose()?;
            self.read_on(&mut events)?;
            if is_last == Some(true) {
                return Ok(events);
            }
            match self.next()? {
                None => return Ok(events),
                new => self.file = new,
            }
        }
    }

    /// The file after the one that has been read: there may have been two new ones since.
    fn next(&self) -> Result<Option<File>, EventsError> {
        let old = old(&self.home);
        match &self.file {
            Some(file) if is_at(file, &old)? => open(&current(&self.home)),
            Some(_) => open(&old),
            // There was nothing to read when following began. What is the old one by now is the first that there was.
            None => open(&old).transpose().or_else(|| open(&current(&self.home)).transpose()).transpose(),
        }
    }

    fn read_on(&mut self, events: &mut Vec<Recorded>) -> Result<(), EventsError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.read_to_end(&mut self.rest).map_err(failed("read", &current(&self.home)))?;
        let whole = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let lines = self.rest.drain(..whole).collect::<Vec<u8>>();
        events.extend(lines.split(|byte| *byte == b'\n').filter_map(parse));
        Ok(())
    }

    /// Forgets that there may be more, which its descriptor tells: called before [`take`](Self::take).
    ///
    /// # Errors
    /// [`EventsError`].
    pub fn settle(&self) -> Result<(), EventsError> {
        Ok(self.watch.take().map(drop)?)
    }
}

impl AsFd for Follower {
    /// Can be read from when there may be more.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }
}

fn open(path: &Path) -> Result<Option<File>, EventsError> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("open", path)(error)),
    }
}
