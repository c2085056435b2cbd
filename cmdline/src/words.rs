//! Go's grammar of flags, as runc reads it, brought into the form that clap reads.
//!
//! `-bundle x`, `--bundle x`, `-bundle=x` and `-b x` are the same; the word after a flag that takes a value is that
//! value, whatever it begins with; a switch can be given as `--tty=false`; the last of several wins; flags and
//! arguments may be mixed, except where they end at the first argument. What runc refuses: letters can be joined, the last
//! of which may take a value (`-td`, `-itp 80:80`), and a value may follow its flag's letter at once (`-p80:80`, `-eA=b`),
//! unless the whole looks like a mistyped long name (`-entrypiont`).

use clap::{Arg, Command};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Where flags end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlagsEnd {
    /// At `--` or at the end.
    Never,
    /// At the first word that is no flag, which stays the first argument.
    FirstArgument,
}

/// Words sorted into flags as clap reads them and arguments.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sorted {
    /// Flags, each one word, values joined with `=`.
    pub flags: Vec<OsString>,
    /// Everything else.
    pub arguments: Vec<OsString>,
    /// The first flag that does not exist, as it was typed but without its value.
    pub unknown: Option<String>,
    /// The flag at the end whose value is missing, as it was typed.
    pub unfinished: Option<String>,
}

impl Sorted {
    /// The words for clap: flags, `--`, arguments.
    pub fn into_words(self) -> impl Iterator<Item = OsString> {
        self.flags.into_iter().chain([OsString::from("--")]).chain(self.arguments)
    }
}

/// Sorts `words` by the flags that `command` defines.
pub fn sort(command: &Command, end: FlagsEnd, words: impl IntoIterator<Item = OsString>) -> Sorted {
    let mut sorted = Sorted::default();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if word == "--" {
            break;
        }
        match flag_name(&word) {
            None => sorted.arguments.push(word),
            Some(flag) => sort_flag(command, flag, &mut words, &mut sorted),
        }
        if end == FlagsEnd::FirstArgument && !sorted.arguments.is_empty() {
            break;
        }
    }
    sorted.arguments.extend(words);
    sorted
}

/// A flag as it was typed, without its dashes.
struct Flag {
    name: OsString,
    value: Option<OsString>,
    long: bool,
}

impl Flag {
    fn typed(&self) -> String {
        format!("{}{}", if self.long { "--" } else { "-" }, self.name.to_string_lossy())
    }
}

/// `None` for a word that is no flag: it has no dash, is a lone dash, or a negative number.
fn flag_name(word: &OsStr) -> Option<Flag> {
    let bytes = word.as_bytes();
    let long = bytes.starts_with(b"--");
    let rest = bytes.strip_prefix(b"--").or_else(|| bytes.strip_prefix(b"-"))?;
    if !rest.first()?.is_ascii_alphabetic() {
        return None;
    }
    let (name, value) = match rest.iter().position(|byte| *byte == b'=') {
        Some(at) => (&rest[..at], Some(OsStr::from_bytes(&rest[at + 1..]).to_os_string())),
        None => (rest, None),
    };
    Some(Flag { name: OsStr::from_bytes(name).to_os_string(), value, long })
}

fn sort_flag(command: &Command, flag: Flag, words: &mut dyn Iterator<Item = OsString>, sorted: &mut Sorted) {
    let name = flag.name.to_str().unwrap_or_default();
    let Some(arg) = find(command, name) else {
        // clap adds its help flag later.
        if name == "help" || name == "h" {
            sorted.flags.push(OsString::from("--help"));
            return;
        }
        match separate(command, &flag) {
            Some(letters) => letters.into_iter().for_each(|letter| sort_flag(command, letter, words, sorted)),
            None => drop(sorted.unknown.get_or_insert_with(|| flag.typed())),
        }
        return;
    };
    let flags = &mut sorted.flags;
    let long = OsString::from(arg.get_long().unwrap_or(name));
    if takes_word(arg) {
        let typed = flag.typed();
        let value = flag.value.or_else(|| words.next());
        sorted.unfinished = value.is_none().then_some(typed);
        flags.push(joined(&long, value));
    } else if is_switch(arg) {
        set_switch(&long, flag.value, flags);
    } else {
        flags.push(joined(&long, flag.value));
    }
}

/// A switch is a word or no word: clap knows no `--switch=false`.
fn set_switch(long: &OsStr, value: Option<OsString>, flags: &mut Vec<OsString>) {
    let word = joined(long, None);
    flags.retain(|flag| *flag != word);
    match value.as_deref().map(|value| parse_bool(value.to_str().unwrap_or_default())) {
        None | Some(Ok(true)) => flags.push(word),
        Some(Ok(false)) => {}
        Some(Err(_)) => flags.push(joined(long, value)),
    }
}

fn joined(long: &OsStr, value: Option<OsString>) -> OsString {
    let mut word = b"--".to_vec();
    word.extend_from_slice(long.as_bytes());
    if let Some(value) = value {
        word.push(b'=');
        word.extend_from_slice(value.as_bytes());
    }
    OsString::from_vec(word)
}

/// The flag of a long name, one of its other names, or of a one-letter name.
fn find<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    let mut letters = name.chars();
    let letter = letters.next().filter(|_| letters.next().is_none());
    let is_called = |arg: &Arg| {
        arg.get_long() == Some(name) || arg.get_all_aliases().is_some_and(|names| names.contains(&name))
    };
    command.get_arguments().find(|arg| is_called(arg) || (letter.is_some() && arg.get_short() == letter))
}

/// The flags of joined letters: switches, of which the last may be a flag with a value instead. `None` if one of them is
/// neither.
fn separate(command: &Command, flag: &Flag) -> Option<Vec<Flag>> {
    let letters = flag.name.to_str().filter(|_| !flag.long)?;
    let mut found = Vec::new();
    for (at, letter) in letters.char_indices() {
        let name = letter.to_string();
        let arg = find(command, &name)?;
        let rest = &letters[at + letter.len_utf8()..];
        let mut separate = Flag { name: OsString::from(&name), value: None, long: false };
        if rest.is_empty() {
            separate.value.clone_from(&flag.value);
        }
        if is_switch(arg) || !takes_word(arg) || rest.is_empty() {
            found.push(separate);
            continue;
        }
        if rest.starts_with(|c: char| c.is_ascii_alphabetic()) && is_doubtful(command, letters, rest, flag) {
            return None;
        }
        separate.value = Some(attached(rest, flag.value.as_deref()));
        found.push(separate);
        break;
    }
    Some(found)
}

/// Whether letters more likely are a mistyped long name, or switches in a wrong order, than a flag and its value.
fn is_doubtful(command: &Command, letters: &str, rest: &str, flag: &Flag) -> bool {
    let are_flags = || rest.chars().all(|letter| find(command, &letter.to_string()).is_some());
    letters.contains('-') || nearest(command, letters).is_some() || (flag.value.is_none() && are_flags())
}

/// The long name that a mistyped one probably was meant to be.
pub(crate) fn nearest<'a>(command: &'a Command, name: &str) -> Option<&'a str> {
    let name = name.trim_start_matches('-');
    let is_part = |known: &str| {
        let (short, long) = if known.len() < name.len() { (known, name) } else { (name, known) };
        short.len() > 2 && long.starts_with(short)
    };
    let names = command.get_arguments().filter_map(Arg::get_long);
    let rated = names.map(|known| (if is_part(known) { 0 } else { distance(known, name) }, known));
    // A third of the letters may be wrong, so that a short name is not taken for any other short name.
    rated.min().filter(|(distance, _)| distance * 3 <= name.chars().count().max(3)).map(|(_, known)| known)
}

/// How many letters have to be changed, added, left out or exchanged with their neighbour to make one word of another.
pub(crate) fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut rows = vec![(0..=other.len()).collect::<Vec<usize>>()];
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let mut best = (rows[i][j] + usize::from(a != b)).min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

/// A value that follows its flag's letter at once, and may have been cut at a `=` in it.
fn attached(rest: &str, after: Option<&OsStr>) -> OsString {
    let mut value = OsString::from(rest);
    if let Some(after) = after {
        value.push("=");
        value.push(after);
    }
    value
}

fn is_switch(arg: &Arg) -> bool {
    !arg.get_action().takes_values()
}

/// Whether the next word is the flag's value; a flag whose value is optional has it after `=` only.
fn takes_word(arg: &Arg) -> bool {
    let optional = arg.get_num_args().is_some_and(|range| range.min_values() == 0);
    arg.get_action().takes_values() && !optional
}

/// Reads a switch's value as Go's `strconv.ParseBool` does.
///
/// # Errors
/// What is wrong with any other word.
pub fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("it is neither true nor false".to_owned()),
    }
}
