//! `stats`: what containers use.

use crate::cli::{Outcome, StatsArgs};
use crate::container::{Containers, ContainersError};
use crate::home::Home;
use crate::look::status::is_up;
use crate::look::table::{self, Titles};
use crate::look::usage::Usage;
use crate::look::{Listed, Listing};
use mydocker_cmdline::{one_line, print};
use mydocker_img::cli::{Row, Template, short_size};
use mydocker_sys::Errno;
use mydocker_sys::fs::STDOUT;
use mydocker_sys::poll::{Interest, poll};
use mydocker_sys::tty::is_terminal;
use std::collections::HashMap;
use std::time::{Duration, Instant};

const TITLES: &Titles = &[
    ("BlockIO", "BLOCK I/O"),
    ("CPUPerc", "CPU %"),
    ("Container", "CONTAINER"),
    ("ID", "CONTAINER ID"),
    ("MemPerc", "MEM %"),
    ("MemUsage", "MEM USAGE / LIMIT"),
    ("Name", "NAME"),
    ("NetIO", "NET I/O"),
    ("PIDs", "PIDS"),
];

const USUAL: &str = "table {{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}";

/// Between two looks: shorter ones tell more about the clock than about the container.
const INTERVAL: Duration = Duration::from_secs(1);

/// What was seen of a container.
#[derive(Debug, Clone, Copy)]
struct Sample {
    usage: Usage,
    at: Instant,
}

/// Prints what containers use, again and again, or once.
///
/// # Errors
/// A format that is none; the containers cannot be read, or one of those asked for is not there.
pub fn stats(args: &StatsArgs, home: &Home) -> Outcome {
    let template = table::template(args.format.as_deref(), None, USUAL, TITLES)?;
    let containers = Containers::open(home)?;
    let memory = memory_of_host();
    let clears = !args.no_stream && is_terminal(STDOUT);
    let mut before: HashMap<String, Sample> = HashMap::new();
    // How much of a processor is used shows only between two looks.
    before
        .extend(look(args, &containers)?.into_iter().filter_map(|(one, now)| Some((one.container.id, now?))));
    while wait()? {
        let seen = look(args, &containers)?;
        let rows: Vec<Row> = seen
            .iter()
            .map(|(one, now)| row(args, one, *now, before.get(&one.container.id), memory))
            .collect();
        show(&template, &rows, clears)?;
        if args.no_stream {
            break;
        }
        before = seen.into_iter().filter_map(|(one, now)| Some((one.container.id, now?))).collect();
    }
    Ok(0)
}

fn show(template: &Template, rows: &[Row], clears: bool) -> Result<(), Box<dyn std::error::Error>> {
    let text = template.render(TITLES, rows)?;
    // From the top, and nothing below: a terminal that is cleared first flickers.
    let text = if clears { format!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n")) } else { text };
    Ok(print(&text)?)
}

/// Waits for the next look; `false` when nobody reads any more.
fn wait() -> Result<bool, mydocker_sys::Error> {
    match poll(&[Interest::gone(STDOUT)], Some(Instant::now() + INTERVAL), "the next look") {
        Err(error) if error.errno() == Errno::ETIMEDOUT => Ok(true),
        Err(error) => Err(error),
        Ok(_) => Ok(false),
    }
}

fn look(args: &StatsArgs, containers: &Containers) -> Result<Vec<(Listed, Option<Sample>)>, ContainersError> {
    let mut listed = if args.containers.is_empty() {
        let mut listed = Listing::read(containers)?.containers;
        listed.retain(|one| args.all || is_up(one.state.status));
        listed
    } else {
        let read = |name: &String| Listed::read(containers, &containers.find_id(name)?);
        args.containers.iter().map(read).collect::<Result<Vec<_>, _>>()?
    };
    Ok(listed
        .drain(..)
        .map(|one| {
            let sample = sample(&one);
            (one, sample)
        })
        .collect())
}

fn sample(listed: &Listed) -> Option<Sample> {
    let process = listed.state.process.filter(|_| is_up(listed.state.status))?;
    Some(Sample { usage: Usage::of_process(process.pid), at: Instant::now() })
}

fn row(args: &StatsArgs, listed: &Listed, now: Option<Sample>, before: Option<&Sample>, memory: u64) -> Row {
    let container = &listed.container;
    let usage = now.map(|now| now.usage).unwrap_or_default();
    let limit = usage.memory_limit.unwrap_or(memory).min(memory);
    let used = usage.memory.unwrap_or(0);
    let share = if limit == 0 { 0.0 } else { used as f64 / limit as f64 * 100.0 };
    let pair = |(one, other): (u64, u64)| format!("{} / {}", short_size(one), short_size(other));
    let cpu = now.zip(before).map_or(0.0, |(now, before)| cpu_share(&now, before));
    let is_there = now.is_some();
    let or_none = |text: String, none: &str| if is_there { text } else { none.to_owned() };
    let id = if args.no_trunc { &container.id } else { container.short_id() };
    let values = [
        or_none(pair(usage.block), "-- / --"),
        or_none(format!("{cpu:.2}%"), "--"),
        container.name.clone(),
        id.to_owned(),
        or_none(format!("{share:.2}%"), "--"),
        or_none(format!("{} / {}", binary_size(used), binary_size(limit)), "-- / --"),
        container.name.clone(),
        or_none(pair(usage.network), "-- / --"),
        or_none(usage.pids.unwrap_or(0).to_string(), "--"),
    ];
    TITLES.iter().zip(values).map(|((field, _), value)| (*field, one_line(&value))).collect()
}

/// In per cent of one processor.
fn cpu_share(now: &Sample, before: &Sample) -> f64 {
    let used = now.usage.cpu.unwrap_or(0).saturating_sub(before.usage.cpu.unwrap_or(0));
    let passed = now.at.saturating_duration_since(before.at).as_nanos();
    if passed == 0 { 0.0 } else { used as f64 / passed as f64 * 100.0 }
}

/// As docker prints memory: four digits, units of 1,024.
pub(in crate::commands) fn binary_size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let (mut size, mut unit) = (bytes as f64, 0);
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    let digits = match size {
        ..10.0 => 3,
        ..100.0 => 2,
        ..1000.0 => 1,
        _ => 0,
    };
    let text = format!("{size:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{}", UNITS[unit])
}

fn memory_of_host() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kibibytes =
        line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|text| text.parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_docker_s() {
        for (bytes, text) in [
            (0, "0B"),
            (1023, "1023B"),
            (1536, "1.5KiB"),
            (100 << 20, "100MiB"),
            ((23 << 30) + (1 << 29), "23.5GiB"),
        ] {
            assert_eq!(binary_size(bytes), text);
        }
    }

    #[test]
    fn a_share_is_of_one_processor() {
        let at = Instant::now();
        let sample = |cpu, at| Sample { usage: Usage { cpu: Some(cpu), ..Usage::default() }, at };
        let (before, now) = (sample(0, at), sample(1_500_000_000, at + Duration::from_secs(1)));
        assert!((cpu_share(&now, &before) - 150.0).abs() < 0.01);
        assert_eq!(cpu_share(&before, &before), 0.0);
    }
}
