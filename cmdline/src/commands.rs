//! From words to a command. Only the named command's flags are described to clap, so that a short command such as
//! `state` does not pay for the flags of `exec`.

use super::words::{FlagsEnd, Sorted, distance, nearest, sort};
use clap::Args;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::ffi::{OsStr, OsString};

/// What a command line asks for, `C` being the commands of the program.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "a process makes one of these")]
pub enum Request<C> {
    /// Run a command.
    Command(C),
    /// Print this text on standard output: help or the version.
    Print(String),
}

/// A command line that asks for nothing that exists.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// Flags or arguments do not fit.
    #[error("{message}")]
    Arguments {
        /// What is wrong.
        message: String,
        /// How to mend it.
        hint: String,
    },
    /// There are too few arguments, or too many.
    #[error("{message}")]
    Count {
        /// How many there have to be.
        message: String,
        /// How to mend it.
        hint: String,
    },
    /// There is no such command.
    #[error("unknown command {name:?}")]
    UnknownCommand {
        /// What was typed.
        name: String,
        /// How to mend it.
        hint: String,
    },
}

impl UsageError {
    /// How to mend it.
    #[must_use]
    pub fn hint(&self) -> &str {
        match self {
            Self::Arguments { hint, .. } | Self::Count { hint, .. } | Self::UnknownCommand { hint, .. } => {
                hint
            }
        }
    }
}

/// Reads the words after a command's name.
pub type ParseWords<C> = fn(&Program<C>, &Entry<C>, Vec<OsString>) -> Result<Request<C>, UsageError>;

/// One command: its name, what it does, and its parser. [`entry!`](crate::entry) makes it.
pub struct Entry<C: 'static> {
    /// The word that names it.
    pub name: &'static str,
    /// What it does, in one line of the help text, which has no line for a command that is not for people and says nothing
    /// here.
    pub about: &'static str,
    /// Where its flags end.
    pub end: FlagsEnd,
    /// Reads the words after its name.
    pub parse: ParseWords<C>,
    /// Adds its flags and arguments, or the commands of a group, for completions and manual pages.
    pub describe: fn(clap::Command) -> clap::Command,
    /// A command line to begin with; empty for none.
    pub example: &'static str,
    /// Flags that people know from other programs and that do not exist here, each with the reason and what to do instead.
    pub refused: &'static [(&'static str, &'static str)],
}

impl<C> Entry<C> {
    /// The same with an example, which its help text shows.
    #[must_use]
    pub const fn with_example(self, example: &'static str) -> Self {
        Self { example, ..self }
    }

    /// The same with flags that are refused by name.
    #[must_use]
    pub const fn with_refused(self, refused: &'static [(&'static str, &'static str)]) -> Self {
        Self { refused, ..self }
    }
}

/// Adds the flags and arguments `T` to a command.
#[must_use]
pub fn describe<T: Args>(command: clap::Command) -> clap::Command {
    T::augment_args(command)
}

/// Describes a command: its name, what it does, the type of its arguments, the variant that holds them, and where its
/// flags end if that is not at the end of the line.
#[macro_export]
macro_rules! entry {
    ($name:literal, $about:literal, $args:ty, $variant:expr) => {
        $crate::entry!($name, $about, $args, $variant, $crate::FlagsEnd::Never)
    };
    ($name:literal, $about:literal, $args:ty, $variant:expr, $end:expr) => {
        $crate::Entry {
            name: $name,
            about: $about,
            end: $end,
            parse: |program, entry, words| program.parse_args::<$args>(entry, words, $variant),
            describe: $crate::describe::<$args>,
            example: "",
            refused: &[],
        }
    };
}

/// Describes a group of commands: its name, what it is about, and the [`Program`] that holds its commands.
#[macro_export]
macro_rules! group {
    ($name:literal, $about:literal, $program:expr) => {
        $crate::Entry {
            name: $name,
            about: $about,
            end: $crate::FlagsEnd::FirstArgument,
            parse: |_, _, words| $program.parse_group(words),
            describe: |command| $program.describe_commands(command),
            example: "",
            refused: &[],
        }
    };
}

/// A program with subcommands.
pub struct Program<C: 'static> {
    /// Its name in its own texts.
    pub name: &'static str,
    /// What it does, in one line of the help text.
    pub about: &'static str,
    /// Every command that exists, in the order of the help text, which has an empty line between two lists.
    pub commands: &'static [&'static [Entry<C>]],
}

/// What follows the flags before the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rest {
    /// The command's name and what follows it.
    words: Vec<OsString>,
    /// Whether help was asked for before any command.
    help: bool,
}

impl<C> Program<C> {
    /// Parses the flags before the command, so that what they say (a log, say) is known when the rest is refused;
    /// `words` without the program's name.
    ///
    /// # Errors
    /// [`UsageError`] for a flag that does not exist or whose value does not fit.
    pub fn parse_global<G: Args>(
        &self,
        words: impl IntoIterator<Item = OsString>,
    ) -> Result<(G, Rest), UsageError> {
        let mut command = G::augment_args(base(clap::Command::new(self.name)));
        let sorted = sort(&command, FlagsEnd::FirstArgument, words);
        refuse_flags(&command, &sorted, self.name, &[])?;
        let help = sorted.flags.iter().any(|flag| is_help(flag));
        let flags = sorted.flags.into_iter().filter(|flag| !is_help(flag));
        let global = command
            .try_get_matches_from_mut(flags)
            .and_then(|matches| G::from_arg_matches(&matches))
            .map_err(|error| usage_error(&error, &command, self.name))?;
        Ok((global, Rest { words: sorted.arguments, help }))
    }

    /// Parses the command; `G` are the flags before it, for the help text.
    ///
    /// # Errors
    /// [`UsageError`] for a command or a flag that does not exist, or arguments that do not fit.
    pub fn parse_command<G: Args>(&self, rest: Rest) -> Result<Request<C>, UsageError> {
        let mut words = rest.words.into_iter();
        let Some(name) = words.next().filter(|_| !rest.help) else {
            return Ok(Request::Print(self.help_text::<G>()));
        };
        if name == "help" || name == "h" {
            return match words.next() {
                Some(name) => self.parse_named(&name, vec![OsString::from("--help")]),
                None => Ok(Request::Print(self.help_text::<G>())),
            };
        }
        self.parse_named(&name, words.collect())
    }

    fn parse_named(&self, name: &OsStr, words: Vec<OsString>) -> Result<Request<C>, UsageError> {
        let synonym = SYNONYMS.iter().find(|(other, _)| name == *other).map(|(_, name)| OsStr::new(*name));
        let named = |name: &OsStr| self.entries().find(|entry| entry.name == name);
        let entry = named(name).or_else(|| named(synonym?)).ok_or_else(|| self.unknown(name))?;
        (entry.parse)(self, entry, words)
    }

    fn unknown(&self, name: &OsStr) -> UsageError {
        let name = name.to_string_lossy().into_owned();
        let names = self.entries().filter(|entry| !entry.about.is_empty()).map(|entry| entry.name);
        let similar = names.map(|known| (distance(known, &name), known)).min();
        // A third of the letters may be wrong, so that a short word is not taken for any other short word.
        let similar = similar.filter(|(distance, _)| distance * 3 <= name.chars().count().max(3));
        let all = format!("see '{} --help' for the commands that exist", self.name);
        let hint = similar.map_or(all.clone(), |(_, similar)| format!("did you mean '{similar}'? {all}"));
        UsageError::UnknownCommand { name, hint }
    }

    /// The help text of a command whose words another program parses.
    #[must_use]
    pub fn help_of(&self, entry: &Entry<C>) -> String {
        let name = format!("{} {}", self.name, entry.name);
        let command = (entry.describe)(base(clap::Command::new(entry.name)).bin_name(name));
        let command = command.about(entry.about).long_about(None);
        with_example(command, entry.example).render_help().to_string()
    }

    /// All that can be typed, for completions and manual pages; `G` are the flags before the command.
    #[must_use]
    pub fn described<G: Args>(&self) -> clap::Command {
        let program = G::augment_args(base(clap::Command::new(self.name))).about(self.about).long_about(None);
        self.describe_commands(program)
    }

    /// Adds the commands to their program or group, but for those that nobody types.
    #[must_use]
    pub fn describe_commands(&self, program: clap::Command) -> clap::Command {
        let typed = self.entries().filter(|entry| !entry.about.is_empty());
        typed.fold(program, |program, entry| {
            let command = (entry.describe)(base(clap::Command::new(entry.name)));
            let command = command.about(entry.about).long_about(None).disable_help_subcommand(true);
            program.subcommand(with_example(command, entry.example))
        })
    }

    /// Parses the words after a command's name into its arguments `T`.
    ///
    /// # Errors
    /// [`UsageError`] for a flag that does not exist, or arguments that do not fit.
    pub fn parse_args<T: Args>(
        &self,
        entry: &Entry<C>,
        words: Vec<OsString>,
        variant: fn(T) -> C,
    ) -> Result<Request<C>, UsageError> {
        let name = format!("{} {}", self.name, entry.name);
        let command = T::augment_args(base(clap::Command::new(entry.name)).bin_name(&name));
        let sorted = sort(&command, entry.end, words);
        refuse_flags(&command, &sorted, &name, entry.refused)?;
        let words = sorted.into_words();
        // The documentation of the argument structs is for programmers, and not the help text.
        let mut command = with_example(command.about(entry.about).long_about(None), entry.example);
        match command.try_get_matches_from_mut(words).and_then(|matches| T::from_arg_matches(&matches)) {
            Ok(args) => Ok(Request::Command(variant(args))),
            Err(error) if error.kind() == ErrorKind::DisplayHelp => Ok(Request::Print(error.to_string())),
            Err(error) => Err(usage_error(&error, &command, &name)),
        }
    }

    fn help_text<G: Args>(&self) -> String {
        let global = G::augment_args(base(clap::Command::new(self.name)))
            .about(self.about)
            .long_about(None)
            .override_usage(format!("{} [OPTIONS] COMMAND [ARGUMENT]...", self.name));
        let mut text = global.clone().render_help().to_string();
        text.push_str("\nCommands:\n");
        text.push_str(&self.list());
        text
    }

    fn entries(&self) -> impl Iterator<Item = &'static Entry<C>> {
        self.commands.iter().flat_map(|list| list.iter())
    }

    /// A line for each command.
    fn list(&self) -> String {
        let width = self.entries().map(|entry| entry.name.len()).max().unwrap_or(0).max(8) + 2;
        let line = |entry: &Entry<C>| format!("  {:<width$}{}\n", entry.name, entry.about);
        let listed = |list: &'static [Entry<C>]| {
            list.iter().filter(|entry| !entry.about.is_empty()).map(line).collect()
        };
        let lists: Vec<String> = self.commands.iter().map(|list| listed(list)).collect();
        lists.join("\n")
    }

    /// Parses the words after the name of a group of commands, such as `ls` of `network ls`, the group being a program
    /// of its own without flags before its commands.
    ///
    /// # Errors
    /// [`UsageError`] for a command or a flag that does not exist, or arguments that do not fit.
    pub fn parse_group(&self, words: Vec<OsString>) -> Result<Request<C>, UsageError> {
        let mut words = words.into_iter();
        match words.next() {
            Some(name) if !is_help(&name) && name != "help" && name != "-h" => {
                self.parse_named(&name, words.collect())
            }
            _ => Ok(Request::Print(format!(
                "{}\n\nUsage: {} COMMAND [ARGUMENT]...\n\nCommands:\n{}",
                self.about,
                self.name,
                self.list()
            ))),
        }
    }
}

/// Other words for commands, where a program or a group has no command of the name.
const SYNONYMS: &[(&str, &str)] = &[("list", "ls"), ("remove", "rm")];

fn with_example(command: clap::Command, example: &'static str) -> clap::Command {
    if example.is_empty() { command } else { command.after_help(format!("Example:\n  {example}")) }
}

/// Last flag wins, and no word is the program's name. The letter `h` is left to commands that have another use for it.
fn base(command: clap::Command) -> clap::Command {
    let help = clap::Arg::new("help").long("help").action(clap::ArgAction::Help).help("Print this text");
    command.no_binary_name(true).args_override_self(true).disable_help_flag(true).arg(help)
}

fn is_help(flag: &OsStr) -> bool {
    flag == "--help"
}

/// clap would take a part of an unknown name for another flag, and gives odd advice.
fn refuse_flags(
    command: &clap::Command,
    sorted: &Sorted,
    program: &str,
    refused: &[(&str, &str)],
) -> Result<(), UsageError> {
    if sorted.flags.iter().any(|flag| is_help(flag)) {
        return Ok(());
    }
    let Some(flag) = sorted.unknown.as_deref() else {
        return match &sorted.unfinished {
            None => Ok(()),
            Some(flag) => {
                let message = format!("flag needs an argument: {flag}");
                Err(UsageError::Arguments { message, hint: format!("see '{program} --help'") })
            }
        };
    };
    if let Some((_, reason)) = refused.iter().find(|(name, _)| flag.trim_start_matches('-') == *name) {
        let message = format!("{flag} is not supported: {reason}");
        return Err(UsageError::Arguments { message, hint: format!("see '{program} --help'") });
    }
    let meant = nearest(command, flag).map(|name| format!("did you mean '--{name}'? ")).unwrap_or_default();
    let message = format!("unknown flag: {flag}");
    Err(UsageError::Arguments { message, hint: format!("{meant}see '{program} --help'") })
}

/// clap's text in one line: the complaint without its label, and what it offers instead. A wrong number of arguments is told
/// in docker's words, which runc's are like.
fn usage_error(error: &clap::Error, command: &clap::Command, program: &str) -> UsageError {
    if is_about_count(error) {
        let missing = error.kind() == ErrorKind::MissingRequiredArgument;
        let message = format!("{program:?} {}", wanted_arguments(command, missing));
        return UsageError::Count { message, hint: format!("see '{program} --help'") };
    }
    let text = error.to_string();
    let mut paragraphs = text.split("\n\n");
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let message = one_line(paragraphs.next().unwrap_or_default());
    let message = message.strip_prefix("error: ").unwrap_or(&message).to_owned();
    let tip = paragraphs.map(str::trim_start).find_map(|text| text.strip_prefix("tip: ")).map(one_line);
    let help = format!("see '{program} --help'");
    UsageError::Arguments { message, hint: tip.map_or(help.clone(), |tip| format!("{tip}; {help}")) }
}

/// Whether it is about arguments, not flags.
fn is_about_count(error: &clap::Error) -> bool {
    let is_flag = |text: &String| text.starts_with('-');
    match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::MissingRequiredArgument, Some(ContextValue::Strings(missing))) => {
            !missing.iter().any(is_flag)
        }
        // Unknown flags are refused before.
        (ErrorKind::UnknownArgument, Some(ContextValue::String(_))) => true,
        _ => false,
    }
}

/// How many arguments there have to be; at least one where one is `missing`, also if a flag could stand for it.
fn wanted_arguments(command: &clap::Command, missing: bool) -> String {
    let (mut least, mut most) = (0_usize, 0_usize);
    for argument in command.get_positionals() {
        let range = argument.get_num_args().unwrap_or_else(|| 1.into());
        least += if argument.is_required_set() { range.min_values().max(1) } else { 0 };
        most = most.saturating_add(range.max_values());
    }
    least = least.max(usize::from(missing));
    let arguments = |count: usize| format!("{count} argument{}", if count == 1 { "" } else { "s" });
    match (least, most) {
        (_, 0) => "accepts no arguments".to_owned(),
        (least, usize::MAX) => format!("requires at least {}", arguments(least)),
        (0, most) => format!("requires at most {}", arguments(most)),
        (least, most) if least == most => format!("requires exactly {}", arguments(most)),
        (least, most) => format!("requires at least {least} and at most {}", arguments(most)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
    struct NoArgs {}

    #[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
    struct TwoArgs {
        #[arg(long, required = true)]
        flag: Option<String>,
        one: String,
        two: Option<String>,
    }

    #[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
    struct ManyArgs {
        #[arg(required = true)]
        all: Vec<String>,
    }

    #[derive(Debug, Clone, PartialEq, Eq)]
    struct Done(&'static str);

    const PROGRAM: Program<Done> = Program { name: "it", about: "Does it", commands: &[COMMANDS] };

    const COMMANDS: &[Entry<Done>] = &[
        crate::entry!("start", "Start it", NoArgs, |_| Done("start")).with_example("it start"),
        crate::entry!("ls", "List them", NoArgs, |_| Done("ls")),
        crate::entry!("move", "Move it", TwoArgs, |_| Done("move")),
        crate::entry!("stop", "Stop them", ManyArgs, |_| Done("stop")),
        crate::entry!("hidden", "", NoArgs, |_| Done("hidden")),
        crate::group!("group", "More of it", GROUP),
    ];

    const GROUP: Program<Done> = Program { name: "it group", about: "Does more", commands: &[IN_GROUP] };

    const IN_GROUP: &[Entry<Done>] = &[crate::entry!("rm", "Remove it", NoArgs, |_| Done("group rm"))];

    fn request(words: &[&str]) -> Result<Request<Done>, UsageError> {
        let words = words.iter().map(OsString::from);
        let (NoArgs {}, rest) = PROGRAM.parse_global::<NoArgs>(words)?;
        PROGRAM.parse_command::<NoArgs>(rest)
    }

    #[test]
    fn a_wrong_word_is_answered_with_a_right_one() {
        for (word, hint) in [
            ("strat", "did you mean 'start'?"),
            ("starts", "did you mean 'start'?"),
            ("gruop", "did you mean 'group'?"),
            ("lx", "did you mean 'ls'?"),
        ] {
            let error = request(&[word]).expect_err(word);
            assert!(error.hint().starts_with(hint), "{word}: {}", error.hint());
        }
        for word in ["x", "build", "hiden"] {
            let error = request(&[word]).expect_err(word);
            assert!(error.hint().starts_with("see 'it --help'"), "{word}: {}", error.hint());
        }
    }

    #[test]
    fn a_wrong_number_of_arguments_is_told_in_docker_s_words() {
        for (words, text) in [
            (&["ls", "x"][..], "\"it ls\" accepts no arguments"),
            (&["stop"], "\"it stop\" requires at least 1 argument"),
            (&["move", "--flag=x"], "\"it move\" requires at least 1 and at most 2 arguments"),
            (&["move", "--flag=x", "a", "b", "c"], "\"it move\" requires at least 1 and at most 2 arguments"),
        ] {
            let error = request(words).expect_err(text);
            assert!(matches!(&error, UsageError::Count { .. }) && error.to_string() == text, "{error}");
        }
        assert_eq!(
            request(&["move", "--flag"]).expect_err("no value").to_string(),
            "flag needs an argument: --flag"
        );
        for words in [&["move", "a"][..], &["move", "a", "--flag"], &["ls", "-x"], &["ls", "--x"]] {
            let error = request(words).expect_err("a flag is wrong");
            assert!(matches!(error, UsageError::Arguments { .. }), "{error}");
        }
    }

    #[test]
    fn other_words_for_a_command_are_understood() {
        assert_eq!(request(&["list"]), Ok(Request::Command(Done("ls"))));
        assert_eq!(request(&["group", "remove"]), Ok(Request::Command(Done("group rm"))));
        assert!(request(&["remove"]).is_err());
    }

    #[test]
    fn help_ends_with_an_example() {
        let Ok(Request::Print(help)) = request(&["start", "--help"]) else { panic!("help") };
        assert!(help.trim_end().ends_with("Example:\n  it start"), "{help}");
    }

    #[test]
    fn all_that_can_be_typed_is_described() {
        let described = PROGRAM.described::<NoArgs>();
        let names: Vec<&str> = described.get_subcommands().map(clap::Command::get_name).collect();
        assert_eq!(names, ["start", "ls", "move", "stop", "group"]);
        let group = described.find_subcommand("group").expect("a group");
        assert!(group.find_subcommand("rm").is_some());
    }
}
