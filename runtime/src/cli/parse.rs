//! From words to [`Command`]s.

use super::args::*;
use super::checkpoint_args::{CheckpointArgs, RestoreArgs};
use mydocker_cmdline::{Entry, FlagsEnd, Program, Rest, entry};
use std::ffi::OsString;

/// The name of the program in its own texts.
pub const PROGRAM: &str = PROGRAM_WITH_COMMANDS.name;

const PROGRAM_WITH_COMMANDS: Program<Command> = Program {
    name: "mydocker-runtime",
    about: "Runs OCI containers; its command line is runc's",
    commands: &[COMMANDS],
};

/// What the command line asks for.
pub type Request = mydocker_cmdline::Request<Command>;

/// A command line that asks for nothing that exists.
pub type UsageError = mydocker_cmdline::UsageError;

/// The exit status that runc has for it: 3 for an unknown command, else 1.
#[must_use]
pub fn usage_status(error: &UsageError) -> u8 {
    match error {
        UsageError::Arguments { .. } | UsageError::Count { .. } => 1,
        UsageError::UnknownCommand { .. } => 3,
    }
}

/// Every command that exists, in the order of the help text.
const COMMANDS: &[Entry<Command>] = &[
    entry!("check", "Tell what of a bundle would be refused or ignored", CheckArgs, Command::Check),
    entry!("checkpoint", "Save the processes of a container", CheckpointArgs, Command::Checkpoint),
    entry!("create", "Create a container", CreateArgs, Command::Create),
    entry!("delete", "Delete what a stopped container holds", DeleteArgs, Command::Delete),
    entry!(
        "doctor",
        "Tell what containers can use on this host, and how to mend the rest",
        DoctorArgs,
        Command::Doctor
    ),
    entry!(
        "events",
        "Tell the statistics of a container and when it is out of memory",
        EventsArgs,
        Command::Events
    ),
    entry!("exec", "Run one more process in a container", ExecArgs, Command::Exec, FlagsEnd::FirstArgument),
    entry!(
        "explain",
        "Print what create would do with a bundle, step by step",
        ExplainArgs,
        Command::Explain
    ),
    entry!("features", "Print what this runtime supports, as JSON", FeaturesArgs, Command::Features),
    entry!("gc", "Remove what runtimes that were killed have left", GcArgs, Command::Gc),
    entry!("kill", "Send a signal to a container's first process", KillArgs, Command::Kill),
    entry!("list", "List containers", ListArgs, Command::List),
    entry!("pause", "Suspend all processes of a container", IdArgs, Command::Pause),
    entry!("ps", "Show the processes of a container", PsArgs, Command::Ps, FlagsEnd::FirstArgument),
    entry!("restore", "Bring saved processes back as a container", RestoreArgs, Command::Restore),
    entry!("resume", "Resume a paused container", IdArgs, Command::Resume),
    entry!("run", "Create a container, start it and wait for its end", RunArgs, Command::Run),
    entry!("spec", "Write a config.json to begin with", SpecArgs, Command::Spec),
    entry!("start", "Start the program of a created container", IdArgs, Command::Start),
    entry!("state", "Print the state of a container, as JSON", IdArgs, Command::State),
    entry!("update", "Change the limits of a container", UpdateArgs, Command::Update),
    entry!("wait", "Wait for the end of a container and tell its exit status", WaitArgs, Command::Wait),
];

/// The flags before the command, and the words from the command on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// The global flags.
    pub global: GlobalArgs,
    rest: Rest,
}

/// Parses the flags before the command, so that the log is known when the rest is refused; `words` without the
/// program's name.
///
/// # Errors
/// [`UsageError`] for a flag that does not exist or whose value does not fit.
pub fn parse_global(words: impl IntoIterator<Item = OsString>) -> Result<CommandLine, UsageError> {
    let (global, rest) = PROGRAM_WITH_COMMANDS.parse_global(words)?;
    Ok(CommandLine { global, rest })
}

impl CommandLine {
    /// Parses the command.
    ///
    /// # Errors
    /// [`UsageError`] for a command or a flag that does not exist, or arguments that do not fit.
    pub fn parse_command(self) -> Result<Request, UsageError> {
        if self.global.version {
            return Ok(Request::Print(version_text()));
        }
        PROGRAM_WITH_COMMANDS.parse_command::<GlobalArgs>(self.rest)
    }
}

/// What `--version` prints. Its shape is runc's, which containerd, podman and docker read: the first line has
/// ` version ` before the version, docker takes the `commit: ` line if there is one, and `spec: ` is the
/// specification's version.
#[must_use]
pub fn version_text() -> String {
    format!("{PROGRAM} version {}\nspec: {}\n", env!("CARGO_PKG_VERSION"), crate::spec::OCI_VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Args;
    use std::path::PathBuf;

    fn request(words: &[&str]) -> Result<Request, UsageError> {
        parse_global(words.iter().map(OsString::from))?.parse_command()
    }

    fn command(words: &[&str]) -> Command {
        match request(words) {
            Ok(Request::Command(command)) => command,
            other => panic!("{words:?}: {other:?}"),
        }
    }

    fn create(words: &[&str]) -> CreateArgs {
        match command(words) {
            Command::Create(args) => args,
            other => panic!("{other:?}"),
        }
    }

    fn exec(words: &[&str]) -> ExecArgs {
        match command(words) {
            Command::Exec(args) => args,
            other => panic!("{other:?}"),
        }
    }

    fn refused(words: &[&str]) -> UsageError {
        request(words).expect_err("it must be refused")
    }

    #[test]
    fn every_command_describes_itself() {
        for entry in COMMANDS {
            let Ok(Request::Print(text)) = request(&[entry.name, "--help"]) else { panic!("{}", entry.name) };
            assert!(text.contains(entry.about) && text.contains("Usage: mydocker-runtime "), "{text}");
            assert_eq!(request(&["help", entry.name]), Ok(Request::Print(text)));
        }
    }

    #[test]
    fn clap_finds_no_contradiction_in_any_command() {
        clap::Command::new("g")
            .args(GlobalArgs::augment_args(clap::Command::new("g")).get_arguments())
            .build();
        for augment in [
            CheckArgs::augment_args,
            CreateArgs::augment_args,
            DeleteArgs::augment_args,
            DoctorArgs::augment_args,
            ExecArgs::augment_args,
            ExplainArgs::augment_args,
            FeaturesArgs::augment_args,
            KillArgs::augment_args,
            ListArgs::augment_args,
            IdArgs::augment_args,
            PsArgs::augment_args,
            RunArgs::augment_args,
            SpecArgs::augment_args,
            UpdateArgs::augment_args,
            EventsArgs::augment_args,
            WaitArgs::augment_args,
            GcArgs::augment_args,
        ] {
            augment(clap::Command::new("c")).debug_assert();
        }
    }

    #[test]
    fn the_program_describes_itself_without_a_command() {
        for words in [&[][..], &["--help"], &["-h"], &["-help"], &["help"], &["h"], &["--help", "state"]] {
            let Ok(Request::Print(text)) = request(words) else { panic!("{words:?}") };
            assert!(text.contains("--systemd-cgroup") && text.contains("  state "), "{text}");
        }
    }

    #[test]
    fn the_version_has_the_shape_that_clients_read() {
        for words in [&["--version"][..], &["-version"], &["-v"]] {
            let Ok(Request::Print(text)) = request(words) else { panic!("{words:?}") };
            let lines: Vec<_> = text.lines().collect();
            assert_eq!(lines[0].split(" version ").count(), 2, "{text}");
            assert_eq!(lines[1], "spec: 1.3.0");
        }
    }

    #[test]
    fn long_flags_take_one_dash_or_two_and_their_value_either_way() {
        for words in [
            &["create", "--bundle", "x", "c"][..],
            &["create", "-bundle", "x", "c"],
            &["create", "--bundle=x", "c"],
            &["create", "-bundle=x", "c"],
            &["create", "-b", "x", "c"],
            &["create", "-b=x", "c"],
            &["create", "c", "-b", "x"],
            &["create", "-b", "y", "--bundle", "x", "c"],
        ] {
            let args = create(words);
            assert_eq!(args.launch.bundle, Some(PathBuf::from("x")), "{words:?}");
            assert_eq!(args.id, "c");
        }
    }

    #[test]
    fn the_word_after_a_flag_is_its_value_whatever_it_begins_with() {
        let args = exec(&["exec", "--env", "--tty", "-e", "A=b=c", "c", "id"]);
        assert_eq!(args.env, ["--tty", "A=b=c"]);
        assert!(!args.tty);
    }

    #[test]
    fn switches_take_a_value_and_the_last_one_wins() {
        assert!(exec(&["exec", "-tty=true", "c"]).tty);
        assert!(!exec(&["exec", "--tty", "--tty=false", "c"]).tty);
        assert!(exec(&["exec", "--tty=0", "-t", "c"]).tty);
        assert!(refused(&["exec", "--tty=maybe", "c"]).to_string().contains("tty"));
    }

    #[test]
    fn an_absent_no_new_privs_differs_from_a_false_one() {
        assert_eq!(exec(&["exec", "c", "id"]).no_new_privs, None);
        assert_eq!(exec(&["exec", "--no-new-privs", "c", "id"]).no_new_privs, Some(true));
        assert_eq!(exec(&["exec", "--no-new-privs=false", "c", "id"]).no_new_privs, Some(false));
    }

    #[test]
    fn letters_can_be_joined_and_the_last_may_take_a_value() {
        let args = exec(&["exec", "-td", "c", "sh"]);
        assert!(args.tty && args.detach);
        let args = exec(&["exec", "-tdu", "1:2", "c", "sh"]);
        assert!(args.tty && args.detach && args.user.as_deref() == Some("1:2"));
        assert_eq!(exec(&["exec", "-u1:2", "c", "sh"]).user.as_deref(), Some("1:2"));
        assert_eq!(exec(&["exec", "-uroot", "c", "sh"]).user.as_deref(), Some("root"));
        assert_eq!(exec(&["exec", "-teA=b=c", "c", "sh"]).env, ["A=b=c"]);
        assert!(refused(&["exec", "-usre", "c", "sh"]).hint().contains("'--user'"));
        assert!(refused(&["exec", "-tyt", "c", "sh"]).hint().contains("'--tty'"));
        refused(&["exec", "-ut", "c", "sh"]);
        refused(&["exec", "-tx", "c", "sh"]);
    }

    #[test]
    fn flags_of_exec_and_ps_end_at_the_container() {
        let args = exec(&["exec", "-u", "1:2", "c", "ls", "-la", "--", "--tty"]);
        assert_eq!((args.id.as_str(), args.tty), ("c", false));
        assert_eq!(args.command, ["ls", "-la", "--", "--tty"]);
        let Command::Ps(args) = command(&["ps", "c", "-ef"]) else { panic!() };
        assert_eq!(args.options, ["-ef"]);
    }

    #[test]
    fn lists_of_exec_keep_their_commas_and_order() {
        let args =
            exec(&["exec", "-g", "1", "-g", "20", "--cgroup", "cpu,pids:a", "-c", "CAP_KILL", "c", "id"]);
        assert_eq!(args.additional_gids, [1, 20]);
        assert_eq!(args.cgroup, ["cpu,pids:a"]);
        assert_eq!(args.cap, ["CAP_KILL"]);
        refused(&["exec", "-g", "1,2", "c", "id"]);
    }

    #[test]
    fn global_flags_precede_the_command() {
        let line = parse_global(
            [
                "-root",
                "/r",
                "--log=/l",
                "--log-format",
                "json",
                "-debug",
                "--rootless=false",
                "--systemd-cgroup",
            ]
            .iter()
            .chain(&["list", "-q"])
            .map(OsString::from),
        )
        .expect("valid");
        assert_eq!(line.global.root, Some(PathBuf::from("/r")));
        assert_eq!(line.global.log, Some(PathBuf::from("/l")));
        assert_eq!((line.global.log_format, line.global.rootless), (LogFormat::Json, Rootless::False));
        assert!(line.global.debug && line.global.systemd_cgroup);
        let list = ListArgs { format: TableFormat::Table, quiet: true };
        assert_eq!(line.parse_command(), Ok(Request::Command(Command::List(list))));
    }

    #[test]
    fn kill_sends_sigterm_if_nothing_else_is_said() {
        let kill = |words: &[&str]| match command(words) {
            Command::Kill(args) => (args.all, args.id, args.signal),
            other => panic!("{other:?}"),
        };
        assert_eq!(kill(&["kill", "c"]), (false, "c".into(), "SIGTERM".into()));
        assert_eq!(kill(&["kill", "--all", "c", "9"]), (true, "c".into(), "9".into()));
        assert_eq!(kill(&["kill", "c", "KILL", "-a"]), (true, "c".into(), "KILL".into()));
    }

    #[test]
    fn commands_of_later_stages_are_refused_by_name() {
        for name in ["boot", "bogus"] {
            let error = refused(&[name, "c"]);
            assert_eq!(usage_status(&error), 3);
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn what_does_not_fit_is_one_line_with_status_1() {
        for (words, part) in [
            (&["create"][..], "requires exactly 1 argument"),
            (&["create", "a", "b"], "requires exactly 1 argument"),
            (&["create", "--nope", "c"], "--nope"),
            (&["create", "-bundel", "x", "c"], "-bundel"),
            (&["create", "c", "--bundle"], "--bundle"),
            (&["run", "--preserve-fds", "-1", "c"], "preserve-fds"),
            (&["kill", "a", "b", "c"], "requires at least 1 and at most 2 arguments"),
            (&["list", "-f", "xml"], "xml"),
            (&["--log-format", "xml", "list"], "xml"),
            (&["--rootless", "maybe", "list"], "maybe"),
            (&["--bogus", "list"], "--bogus"),
            (&["--root", "", "list"], "--root"),
            (&["spec", "x"], "accepts no arguments"),
        ] {
            let error = refused(words);
            assert_eq!(usage_status(&error), 1);
            assert!(error.to_string().contains(part) && !error.to_string().contains('\n'), "{error}");
            assert!(error.hint().contains("--help'"), "{}", error.hint());
        }
    }
}
