//! `WWW-Authenticate`: what was understood, written as RFC 9110 has it, is understood as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mydocker_img::registry::challenge::{Challenge, parse};

fuzz_target!(|header: &str| {
    let challenges = parse(header);
    let written: Vec<String> = challenges.iter().map(written).collect();
    assert_eq!(parse(&written.join(", ")), challenges, "{written:?}");
});

fn written(challenge: &Challenge) -> String {
    let quoted = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"");
    let parameters: Vec<String> =
        challenge.parameters.iter().map(|(name, value)| format!("{name}=\"{}\"", quoted(value))).collect();
    format!("{} {}", challenge.scheme, parameters.join(", ")).trim_end().to_owned()
}
