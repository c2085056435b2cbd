//! `logs`: what a container has printed.

use crate::cli::{LogsArgs, Outcome};
use crate::clock::parse_typed;
use crate::container::{Container, Containers, ContainersError, Seen};
use crate::ending::{descriptor_of, is_up};
use crate::home::Home;
use crate::log::{self, Entry, LogSettings, Reader, Since, Stream};
use jiff::Timestamp;
use mydocker_sys::poll::{Interest, poll};
use mydocker_sys::tty::is_terminal;
use mydocker_sys::watch::{Changes, Watch};
use mydocker_sys::{AsFd as _, Errno, OwnedFd};
use std::error::Error;
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// What cannot be shown.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("configured logging driver does not support reading")]
    NotKept,
    #[error("--tail {0}: a number of lines is wanted, or 'all'")]
    Tail(String),
    #[error("--{0} {1}: a moment is wanted: 2024-05-01T12:00:00Z, seconds since 1970, or 10m")]
    Moment(&'static str, String),
}

/// Prints what a container has printed, each stream on its own.
///
/// # Errors
/// There is no such container, or its log cannot be read.
pub fn logs(args: &LogsArgs, home: &Home) -> Outcome {
    let containers = Containers::open(home)?;
    let container = containers.find(&args.name)?;
    let format = LogSettings::check(&container.host_config.log_config)?.format(&container);
    let format = format.ok_or(Refusal::NotKept)?;
    let when = |name: &'static str, text: &Option<String>| -> Result<Option<Timestamp>, Refusal> {
        let read = |text: &String| {
            parse_typed(text, Timestamp::now()).ok_or_else(|| Refusal::Moment(name, text.clone()))
        };
        text.as_ref().map(read).transpose()
    };
    let since = Since { since: when("since", &args.since)?, until: when("until", &args.until)? };
    let reader = Reader::open(&log::path(home, &container), format, tail(&args.tail)?)?;
    let mut show = Show::new(args, since, container.config.tty);
    let shown =
        if args.follow { follow(&containers, &container, reader, &mut show) } else { show.all(reader) };
    match shown {
        // Who has closed the stream wants no more of it.
        Err(error) if is_broken_pipe(&*error) => Ok(0),
        other => other.map(|()| 0).map_err(Into::into),
    }
}

fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// As docker has it, a negative number is all.
fn tail(text: &str) -> Result<Option<u64>, Refusal> {
    match text.parse::<i64>() {
        _ if text == "all" => Ok(None),
        Ok(lines) => Ok(u64::try_from(lines).ok()),
        Err(_) => Err(Refusal::Tail(text.to_owned())),
    }
}

/// Shows entries until the container has ended.
fn follow(
    containers: &Containers,
    container: &Container,
    mut reader: Reader,
    show: &mut Show<'_>,
) -> Result<(), Box<dyn Error>> {
    let watch = Watch::new()?;
    let changes = Changes::IN_MODIFY
        | Changes::IN_CREATE
        | Changes::IN_MOVED_TO
        | Changes::IN_MOVE_SELF
        | Changes::IN_DELETE_SELF;
    watch.add(&containers.home().container(&container.id), changes)?;
    let deadline = show.since.until.map(|until| {
        let left = Duration::try_from(until - Timestamp::now()).unwrap_or_default();
        Instant::now() + left
    });
    // A monitor that is killed changes no file.
    let mut monitor: Option<OwnedFd> = None;
    loop {
        if monitor.is_none() {
            monitor = monitor_of(containers, &container.id)?;
        }
        // Looked at after that: a monitor that dies from here on is seen to.
        let ended = is_over(containers, &container.id)?;
        show.rest(&mut reader)?;
        if ended {
            return Ok(());
        }
        let mut interests = vec![Interest::read(watch.as_fd())];
        interests.extend(monitor.iter().map(|monitor| Interest::read(monitor.as_fd())));
        let events = match poll(&interests, deadline, "the container to print") {
            Err(error) if error.errno() == Errno::ETIMEDOUT => return show.rest(&mut reader),
            other => other?,
        };
        drop(interests);
        while !watch.take()?.is_empty() {}
        if events.get(1).is_some_and(|event| event.readable) {
            monitor = None;
        }
    }
}

fn monitor_of(containers: &Containers, id: &str) -> Result<Option<OwnedFd>, Box<dyn Error>> {
    match containers.recorded_state(id) {
        Err(ContainersError::NotFound(_)) => Ok(None),
        Err(error) => Err(error.into()),
        Ok(state) => Ok(state.monitor.map(descriptor_of).transpose()?.flatten()),
    }
}

/// Whether no more can come: the container has ended, or nobody writes its log.
fn is_over(containers: &Containers, id: &str) -> Result<bool, ContainersError> {
    let state = match containers.state(id) {
        Err(ContainersError::NotFound(_)) => return Ok(true),
        other => other?,
    };
    Ok(!is_up(state.status) || !Seen::of(&state, containers.boot()).monitor)
}

/// How entries are shown.
struct Show<'a> {
    args: &'a LogsArgs,
    since: Since,
    escapes: [bool; 2],
    begins: [bool; 2],
    out: io::StdoutLock<'static>,
    err: io::StderrLock<'static>,
    text: Vec<u8>,
    shown: Option<Stream>,
}

impl<'a> Show<'a> {
    fn new(args: &'a LogsArgs, since: Since, tty: bool) -> Self {
        let (out, err) = (io::stdout().lock(), io::stderr().lock());
        // A program that was given a terminal wrote for one. Any other's control characters are data, which could tell
        // this terminal anything.
        let escapes = [!tty && is_terminal(&out), !tty && is_terminal(&err)];
        Self { args, since, escapes, begins: [true; 2], out, err, text: Vec::new(), shown: None }
    }

    fn all(&mut self, mut reader: Reader) -> Result<(), Box<dyn Error>> {
        self.rest(&mut reader)
    }

    fn rest(&mut self, reader: &mut Reader) -> Result<(), Box<dyn Error>> {
        while let Some(entry) = reader.entry()? {
            if self.since.wants(&entry) {
                self.entry(&entry)?;
            }
        }
        Ok(self.flush()?)
    }

    fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        const ENOUGH: usize = 32 << 10;
        if self.shown != Some(entry.stream) || self.text.len() > ENOUGH {
            self.flush()?;
        }
        self.shown = Some(entry.stream);
        let at = usize::from(entry.stream == Stream::Err);
        if self.begins[at] {
            self.prefix(entry);
        }
        if self.escapes[at] {
            escape(&mut self.text, &entry.text)
        } else {
            self.text.extend_from_slice(&entry.text)
        }
        self.begins[at] = entry.text.ends_with(b"\n");
        Ok(())
    }

    fn prefix(&mut self, entry: &Entry) {
        if self.args.timestamps {
            self.text.extend_from_slice(entry.time.as_bytes());
            self.text.push(b' ');
        }
        if self.args.details {
            let pairs = entry.attributes.iter().map(|(name, value)| format!("{name}={value}"));
            self.text.extend_from_slice(pairs.collect::<Vec<_>>().join(",").as_bytes());
            self.text.push(b' ');
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let text = std::mem::take(&mut self.text);
        match self.shown {
            Some(Stream::Err) => self.err.write_all(&text),
            _ => self.out.write_all(&text).and_then(|()| self.out.flush()),
        }
    }
}

/// Makes control characters visible; colours and the like (`ESC [ ... m`), tabs and ends of lines stay.
fn escape(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        let colour = colour_length(rest);
        if colour > 0 {
            out.extend_from_slice(&rest[..colour]);
            rest = &rest[colour..];
            continue;
        }
        match (byte, after.first()) {
            (b'\n' | b'\t' | b'\r', _) => out.push(*byte),
            (0..0x20 | 0x7f, _) => out.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
            // The control characters of U+0080 to U+009F.
            (0xc2, Some(next @ 0x80..=0x9f)) => {
                out.extend_from_slice(format!("\\u{{{next:x}}}").as_bytes());
                rest = &after[1..];
                continue;
            }
            _ => out.push(*byte),
        }
        rest = after;
    }
}

/// The length of the sequence that sets colours at the beginning, or 0.
fn colour_length(text: &[u8]) -> usize {
    let Some(rest) = text.strip_prefix(b"\x1b[") else { return 0 };
    match rest.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b';' | b':')) {
        Some(at) if rest[at] == b'm' => at + 3,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_and_colours_stay() {
        let shown = |text: &[u8]| {
            let mut out = Vec::new();
            escape(&mut out, text);
            String::from_utf8_lossy(&out).into_owned()
        };
        assert_eq!(shown(b"a\tb\r\n"), "a\tb\r\n");
        assert_eq!(shown(b"\x1b[1;31mred\x1b[0m"), "\x1b[1;31mred\x1b[0m");
        assert_eq!(shown(b"\x1b[2J\x1b]0;t\x07"), "\\x1b[2J\\x1b]0;t\\x07");
        assert_eq!(shown("\u{9b}31mé".as_bytes()), "\\u{9b}31mé");
        assert_eq!(shown(b"\x7f\x1b["), "\\x7f\\x1b[");
    }
}
