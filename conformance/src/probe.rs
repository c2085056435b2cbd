//! The program inside: it answers the questions on its command line, one line of JSON for each.
//!
//! `probe QUESTION WORDS... ; QUESTION WORDS...` answers in that order and ends with 0. It needs nothing of the root
//! file system that it runs in; what is missing, such as `/proc`, is `null` in its answers. An answer about something
//! that failed has the number of the error in `errno`, which is 0 otherwise.

mod actions;
mod report;

use crate::bundle::NEXT;
use serde_json::{Value, json};
use std::io::Write;
use std::process::ExitCode;

/// The exit status for a question that the probe does not know: a mistake of the suite.
const UNKNOWN: u8 = 99;

/// What a question leads to.
enum Step {
    /// Go on after this answer.
    Answer(Value),
    /// End with this status.
    Exit(u8),
}

/// Answers the questions in `args`, whose first word is the program.
#[must_use]
pub fn main(args: Vec<String>) -> ExitCode {
    let words: Vec<&str> = args.iter().skip(1).map(String::as_str).collect();
    for question in words.split(|word| *word == NEXT) {
        match answer(question, &args) {
            Step::Answer(value) => print(&value),
            Step::Exit(status) => return ExitCode::from(status),
        }
    }
    ExitCode::SUCCESS
}

fn answer(question: &[&str], args: &[String]) -> Step {
    let value = match *question {
        ["report"] => report::make(args),
        ["exit", status] => return Step::Exit(status.parse().unwrap_or(UNKNOWN)),
        ["pause"] => actions::pause(),
        ["stat", path] => actions::stat(path),
        ["open", path, how] => actions::open(path, how),
        ["read", path] => actions::read(path),
        ["write", path, text] => actions::write(path, text),
        ["list", path] => actions::list(path),
        ["touch", path] => actions::touch(path),
        ["execute", path] => actions::execute(path),
        ["mknod", path, kind, major, minor] => actions::mknod(path, kind, major, minor),
        ["call", name, ref words @ ..] => actions::call(name, words),
        ["children", count] => actions::children(count),
        ["log", path, text] => actions::log(path, text),
        ["bind", source, target] => actions::bind(source, target),
        ["hook", log, name, ending] => return actions::hook(log, name, ending, args),
        _ => {
            print(&json!({"unknown": question}));
            return Step::Exit(UNKNOWN);
        }
    };
    Step::Answer(value)
}

/// One line on standard output. Nobody may be there to read it, which is for the suite to find.
fn print(value: &Value) {
    let mut out = std::io::stdout().lock();
    drop(writeln!(out, "{value}"));
    drop(out.flush());
}
