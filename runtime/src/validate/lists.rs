//! Lists of CPUs and memory nodes such as `0-3,7` (`cpuset(7)`, List format).

use super::report::{At, Report};

/// The kernel is never built for more CPUs than this (`NR_CPUS`), nor for more memory nodes.
const MOST: usize = 8192;

/// The members of a list as bits, lowest first; an empty text is an empty list.
pub(super) fn bit_list(report: &mut Report, at: At<'_>, text: &str) -> Vec<u64> {
    const HINT: &str = "write a list such as 0-3,7";
    let mut bits = Vec::new();
    for range in text.split(',').map(str::trim).filter(|range| !range.is_empty()) {
        let Some((first, last)) = parse_range(range) else {
            report.refuse(at, format!("{range:?} is not a number or a range below {MOST}"), HINT);
            return Vec::new();
        };
        (first..=last).for_each(|bit| set(&mut bits, bit));
    }
    if bits.is_empty() && !text.is_empty() {
        report.refuse(at, format!("{text:?} has no members"), HINT);
    }
    bits
}

fn parse_range(range: &str) -> Option<(usize, usize)> {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let number = |text: &str| text.parse::<usize>().ok().filter(|number| digits(text) && *number < MOST);
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some((first, last))
}

fn set(bits: &mut Vec<u64>, bit: usize) {
    let word = bit / 64;
    if bits.len() <= word {
        bits.resize(word + 1, 0);
    }
    bits[word] |= 1 << (bit % 64);
}
