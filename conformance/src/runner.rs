//! Runs tests side by side.

use crate::case::{Case, Subject, Unfit};
use crate::suite::Test;
use anyhow::Result;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How a test ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The runtime does what the specification demands.
    Passed,
    /// It does not, for this reason.
    Failed(String),
    /// This machine lacks what the test needs.
    Unfit(String),
}

/// One test and how it ended.
#[derive(Debug, Clone)]
pub struct Judgement {
    /// The test.
    pub test: String,
    /// How it ended.
    pub verdict: Verdict,
    /// How long it took.
    pub time: Duration,
}

/// Runs the tests, `jobs` at a time. The judgements are in the order of the tests.
///
/// # Panics
/// A worker died, which no test can bring about.
#[must_use]
pub fn run(subject: &Subject, tests: &[Test], jobs: usize) -> Vec<Judgement> {
    let queue = Mutex::new(tests.iter().enumerate());
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                while let Some((index, test)) = queue.lock().ok().and_then(|mut queue| queue.next()) {
                    let judgement = judge(subject, test);
                    if let Ok(mut done) = done.lock() {
                        done.push((index, judgement));
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, judgement)| judgement).collect()
}

fn judge(subject: &Subject, test: &Test) -> Judgement {
    let begin = Instant::now();
    let verdict = match attempt(subject, test) {
        Ok(()) => Verdict::Passed,
        Err(error) => match error.downcast_ref::<Unfit>() {
            Some(Unfit(reason)) => Verdict::Unfit(reason.clone()),
            None => Verdict::Failed(format!("{error:#}")),
        },
    };
    Judgement { test: test.name.clone(), verdict, time: begin.elapsed() }
}

/// The failure of the test counts for more than one of clearing up after it.
fn attempt(subject: &Subject, test: &Test) -> Result<()> {
    let case = Case::new(subject)?;
    let result = catch_unwind(AssertUnwindSafe(|| (test.run)(&case)))
        .unwrap_or_else(|_| Err(anyhow::anyhow!("the test itself is broken: it panicked")));
    let cleared = case.clear();
    result.and(cleared)
}
