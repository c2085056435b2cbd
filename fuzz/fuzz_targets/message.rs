//! What the runtime hears from a container's first process, which the container may have taken over.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mydocker_runtime::engine::{Channel, Report, parse_failure};
use mydocker_sys::fs;

/// As many as a socket holds, whatever their length.
const MAX_MESSAGES: usize = 64;

fuzz_target!(|bytes: &[u8]| {
    drop(parse_failure(bytes));
    let (runtime, child) = Channel::pair(None, None).expect("a pair of sockets");
    // Each line is one message; an empty one would be the end.
    let messages =
        bytes.split(|byte| *byte == b'\n').filter(|message| !message.is_empty()).take(MAX_MESSAGES);
    let count =
        messages.map(|message| fs::write_once(&child, message).expect("the other end listens")).count();
    drop(child);
    let closed = (0..=count).any(|_| matches!(runtime.next(), Ok(Report::Closed)));
    assert!(closed, "there are more reports than messages");
});
