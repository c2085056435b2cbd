//! How long each part of a command took: `--timings`.
//!
//! A command marks the end of each part that it has done. Without the flag a mark is one comparison.

use crate::plan::Phase;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::time::{Duration, Instant};

/// The parts of a command so far; nothing unless they were asked for.
#[derive(Debug, Default)]
pub struct Timings {
    recorder: Option<Box<RefCell<Recorder>>>,
}

#[derive(Debug)]
struct Recorder {
    last: Instant,
    parts: Vec<Part>,
}

/// A part and how long it took.
#[derive(Debug)]
struct Part {
    /// The phase of the first process that it is part of the wait for, else empty.
    phase: Option<Phase>,
    name: &'static str,
    time: Duration,
}

impl Timings {
    /// Begins; what came before `main` is told as the CPU time that the process had used until now: executing the program
    /// takes most of it, and twice where the program executes itself again.
    #[must_use]
    pub fn begin() -> Self {
        let before = mydocker_sys::usage::own().map(mydocker_sys::usage::Usage::cpu).unwrap_or_default();
        let parts = vec![Part { phase: None, name: "program-start", time: before }];
        Self { recorder: Some(Box::new(RefCell::new(Recorder { last: Instant::now(), parts }))) }
    }

    /// Whether they were asked for.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.recorder.is_some()
    }

    /// All since the last mark was `name`.
    pub fn mark(&self, name: &'static str) {
        if let Some(recorder) = &self.recorder {
            let mut recorder = recorder.borrow_mut();
            let now = Instant::now();
            let time = now.duration_since(recorder.last);
            recorder.last = now;
            recorder.parts.push(Part { phase: None, name, time });
        }
    }

    /// The first process's own account, by phase; it ran while the runtime waited.
    pub fn first_process(&self, microseconds: &[u32; Phase::ALL.len()]) {
        if let Some(recorder) = &self.recorder {
            let spent = Phase::ALL.into_iter().zip(microseconds).filter(|(_, spent)| **spent > 0);
            recorder.borrow_mut().parts.extend(spent.map(|(phase, spent)| Part {
                phase: Some(phase),
                name: phase.name(),
                time: Duration::from_micros(u64::from(*spent)),
            }));
        }
    }

    /// The parts as JSON: `{"phase": "config", "us": 12}` each, those of the first process with `"process": "first"`;
    /// and the sum of the runtime's own.
    #[must_use]
    pub fn to_json(&self) -> Option<(Value, u64)> {
        let recorder = self.recorder.as_ref()?.borrow();
        let parts = recorder.parts.iter().map(|part| match part.phase {
            None => json!({"phase": part.name, "us": microseconds(part.time)}),
            Some(_) => json!({"phase": part.name, "us": microseconds(part.time), "process": "first"}),
        });
        Some((parts.collect(), recorder.total()))
    }

    /// The parts as lines for a person, after a heading with the command.
    #[must_use]
    pub fn to_text(&self, command: &str) -> Option<String> {
        let recorder = self.recorder.as_ref()?.borrow();
        let mut text = format!("timings of {command} in microseconds\n");
        for part in &recorder.parts {
            let indent = if part.phase.is_some() { "  first process: " } else { "  " };
            let name = format!("{indent}{}", part.name);
            text.push_str(&format!("{name:<30}{:>9}\n", microseconds(part.time)));
        }
        text.push_str(&format!("{:<30}{:>9}\n", "  total", recorder.total()));
        Some(text)
    }
}

impl Recorder {
    fn total(&self) -> u64 {
        self.parts.iter().filter(|part| part.phase.is_none()).map(|part| microseconds(part.time)).sum()
    }
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// What the first process measures of itself.
#[derive(Debug)]
pub struct PhaseClock {
    last: Instant,
    spent: [Duration; Phase::ALL.len()],
}

impl PhaseClock {
    /// Begins now.
    #[must_use]
    pub fn begin() -> Self {
        Self { last: Instant::now(), spent: [Duration::ZERO; Phase::ALL.len()] }
    }

    /// All since the last call belongs to `phase`.
    pub fn add(&mut self, phase: Phase) {
        let now = Instant::now();
        self.spent[phase as usize] += now.duration_since(self.last);
        self.last = now;
    }

    /// Microseconds by phase.
    #[must_use]
    pub fn microseconds(&self) -> [u32; Phase::ALL.len()] {
        self.spent.map(|spent| u32::try_from(spent.as_micros()).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_recorded_unless_it_was_asked_for() {
        let off = Timings::default();
        off.mark("a");
        off.first_process(&[1; Phase::ALL.len()]);
        assert!(!off.is_on() && off.to_json().is_none() && off.to_text("run").is_none());
    }

    #[test]
    fn parts_are_told_in_their_order_and_the_first_process_is_not_added_to_the_sum() {
        let timings = Timings::begin();
        timings.mark("config");
        let mut spent = [0; Phase::ALL.len()];
        spent[Phase::Mounts as usize] = 7_000_000;
        timings.first_process(&spent);
        timings.mark("set-up");
        let (parts, total) = timings.to_json().expect("it is on");
        let names: Vec<_> =
            parts.as_array().expect("a list").iter().map(|part| part["phase"].clone()).collect();
        assert_eq!(names, ["program-start", "config", "mounts", "set-up"]);
        assert_eq!(parts[2], json!({"phase": "mounts", "us": 7_000_000, "process": "first"}));
        assert!(total < 7_000_000);
        let text = timings.to_text("run").expect("it is on");
        assert_eq!((text.lines().count(), text.lines().next()), (6, Some("timings of run in microseconds")));
        assert!(text.contains("first process: mounts"), "{text}");
    }

    #[test]
    fn the_phases_are_numbered_in_their_order() {
        for (number, phase) in Phase::ALL.into_iter().enumerate() {
            assert_eq!(phase as usize, number);
            assert_eq!(serde_json::to_value(phase).expect("JSON"), phase.name());
        }
    }
}
