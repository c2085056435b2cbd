//! `HEALTHCHECK`: how to see whether a container is well.

use super::change::{list, take_word};
use crate::cli::span_in_nanoseconds;
use crate::image::Healthcheck;

/// The shortest time that docker takes, in nanoseconds.
const SHORTEST: i64 = 1_000_000;

/// Parses what follows the instruction: `[FLAGS] CMD COMMAND` or `NONE`.
///
/// # Errors
/// What is wrong.
pub(super) fn parse(text: &str) -> Result<Healthcheck, &'static str> {
    let mut check = Healthcheck::default();
    let mut rest = text;
    while let Some(flag) = rest.strip_prefix("--") {
        let (flag, after) = take_word(flag);
        set(&mut check, flag)?;
        rest = after;
    }
    let (kind, command) = take_word(rest);
    check.test = match (kind.to_ascii_uppercase().as_str(), command) {
        ("NONE", "") if rest == text => vec!["NONE".to_owned()],
        ("NONE", _) => return Err("HEALTHCHECK NONE takes nothing else"),
        ("CMD", "") => return Err("no command follows CMD"),
        ("CMD", command) => match list(command) {
            Some(words) => [vec!["CMD".to_owned()], words].concat(),
            None => vec!["CMD-SHELL".to_owned(), command.to_owned()],
        },
        _ => return Err("HEALTHCHECK takes CMD or NONE"),
    };
    Ok(check)
}

fn set(check: &mut Healthcheck, flag: &str) -> Result<(), &'static str> {
    let (name, value) = flag.split_once('=').ok_or("a flag of HEALTHCHECK is not --NAME=VALUE")?;
    let time = match name {
        "interval" => &mut check.interval,
        "timeout" => &mut check.timeout,
        "start-period" => &mut check.start_period,
        "start-interval" => &mut check.start_interval,
        "retries" => {
            let count = value.parse::<u32>().ok().filter(|count| *count > 0);
            check.retries = count.ok_or("--retries of HEALTHCHECK is no number above 0")?.into();
            return Ok(());
        }
        _ => {
            return Err(
                "HEALTHCHECK knows --interval, --timeout, --start-period, --start-interval and --retries alone",
            );
        }
    };
    let span = span_in_nanoseconds(value).filter(|span| *span == 0 || *span >= SHORTEST);
    *time =
        span.ok_or("a time of HEALTHCHECK is none such as 30s or 1m30s, of a millisecond at the least")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_what_docker_makes_of_it() {
        let check = parse(
            "--interval=1m30s --timeout=500ms --retries=2 --start-period=5s  CMD curl -f http://x || exit 1",
        );
        let second = 1_000_000_000;
        let expected = Healthcheck {
            test: vec!["CMD-SHELL".to_owned(), "curl -f http://x || exit 1".to_owned()],
            interval: 90 * second,
            timeout: second / 2,
            start_period: 5 * second,
            start_interval: 0,
            retries: 2,
        };
        assert_eq!(check, Ok(expected));
        assert_eq!(parse("cmd [\"/check\", \"-x\"]").expect("a check").test, ["CMD", "/check", "-x"]);
        assert_eq!(parse("none").expect("no check").test, ["NONE"]);
    }

    #[test]
    fn what_is_no_check_is_refused() {
        for (text, says) in [
            ("NONE x", "takes nothing else"),
            ("--retries=1 NONE", "takes nothing else"),
            ("CMD", "no command"),
            ("curl x", "CMD or NONE"),
            ("--interval=5 CMD x", "such as 30s"),
            ("--interval=1us CMD x", "a millisecond"),
            ("--retries=0 CMD x", "above 0"),
            ("--every=1s CMD x", "--start-interval"),
            ("--interval CMD x", "--NAME=VALUE"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
