//! `events`: what has happened, and what happens.

use crate::cli::{EventsArgs, Outcome};
use crate::clock::parse_typed;
use crate::events::{EventFilters, Follower, Recorded};
use crate::home::Home;
use jiff::{SignedDuration, Timestamp};
use mydocker_cmdline::{one_line, print};
use mydocker_img::cli::{Template, TemplateError};
use mydocker_sys::AsFd as _;
use mydocker_sys::Errno;
use mydocker_sys::fs::STDOUT;
use mydocker_sys::poll::{Interest, poll};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// Why there are no events.
#[derive(Debug, thiserror::Error)]
pub enum EventsArgsError {
    /// `--since` or `--until`.
    #[error(
        "invalid --{flag} {value:?}; write a moment such as 2024-05-01T12:00:00Z, seconds since 1970, or a span before now such as 10m"
    )]
    Moment {
        /// Which.
        flag: &'static str,
        /// What was typed.
        value: String,
    },
}

/// Prints what has happened since a moment, and goes on with what happens until another.
///
/// # Errors
/// A moment, a filter or a format that is none; the events cannot be read.
pub fn events(args: &EventsArgs, home: &Home) -> Outcome {
    let now = Timestamp::now();
    let since = moment("since", args.since.as_deref(), now)?;
    let until = moment("until", args.until.as_deref(), now)?;
    let filters = EventFilters::parse(&args.filter)?;
    let form = Form::parse(args.format.as_deref())?;
    let mut follower = Follower::new(home)?;
    let (from, to) = (since.unwrap_or(now), until.unwrap_or(Timestamp::MAX));
    let is_wanted = |event: &Recorded| {
        let time = i128::from(event.time_nano);
        time >= from.as_nanosecond() && time <= to.as_nanosecond() && filters.take(event)
    };
    loop {
        follower.settle()?;
        for event in follower.take()?.iter().filter(|event| is_wanted(event)) {
            print(&(form.text(event)? + "\n"))?;
        }
        if !wait(&follower, until)? {
            return Ok(0);
        }
    }
}

fn moment(
    flag: &'static str,
    text: Option<&str>,
    now: Timestamp,
) -> Result<Option<Timestamp>, EventsArgsError> {
    let read = |text: &str| {
        parse_typed(text, now).ok_or_else(|| EventsArgsError::Moment { flag, value: text.to_owned() })
    };
    text.map(read).transpose()
}

/// Waits for more; `false` when the time is over, or nobody reads any more.
fn wait(follower: &Follower, until: Option<Timestamp>) -> Result<bool, mydocker_sys::Error> {
    let left = until.map(|until| until.duration_since(Timestamp::now()));
    if left.is_some_and(|left| left <= SignedDuration::ZERO) {
        return Ok(false);
    }
    let deadline = left.map(|left| Instant::now() + Duration::try_from(left).unwrap_or(Duration::ZERO));
    match poll(&[Interest::read(follower.as_fd()), Interest::gone(STDOUT)], deadline, "events") {
        Err(error) if error.errno() == Errno::ETIMEDOUT => Ok(false),
        Err(error) => Err(error),
        Ok(events) => Ok(!events.get(1).is_some_and(|stdout| stdout.hangup)),
    }
}

enum Form {
    Line,
    Json,
    Template(Template),
}

impl Form {
    fn parse(format: Option<&str>) -> Result<Self, TemplateError> {
        match format.map(str::trim) {
            None | Some("") => Ok(Self::Line),
            Some("json" | "{{json .}}") => Ok(Self::Json),
            Some(format) => Template::of_value(format).map(Self::Template),
        }
    }

    fn text(&self, event: &Recorded) -> Result<String, TemplateError> {
        match self {
            Self::Line => Ok(one_line(&line(event))),
            Self::Json => Ok(json!(event).to_string()),
            Self::Template(template) => template.render_value(&go(event)).map(|text| one_line(&text)),
        }
    }
}

/// Such as `2024-05-01T12:00:00.000000000Z container start 0123... (image=busybox, name=web)`.
fn line(event: &Recorded) -> String {
    let time = Timestamp::from_nanosecond(event.time_nano.into()).unwrap_or(Timestamp::UNIX_EPOCH);
    let mut text = format!("{time:.9} {} {} {}", event.kind.name(), event.action, event.actor.id);
    let attributes = event.actor.attributes.iter().map(|(name, value)| format!("{name}={value}"));
    let attributes = attributes.collect::<Vec<_>>().join(", ");
    if !attributes.is_empty() {
        // A String takes whatever it is given.
        write!(text, " ({attributes})").unwrap_or_default();
    }
    text
}

/// With the names that docker's templates have, which are not those of its JSON.
fn go(event: &Recorded) -> Value {
    json!({
        "Status": event.status,
        "ID": event.id,
        "From": event.from,
        "Type": event.kind,
        "Action": event.action,
        "Actor": event.actor,
        "Scope": event.scope,
        "Time": event.time,
        "TimeNano": event.time_nano,
    })
}
