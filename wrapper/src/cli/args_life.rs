//! What can be typed about the life of containers.

use clap::Args;
use std::path::PathBuf;

/// `start`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct StartArgs {
    /// Show what the container prints, pass signals on to it, and end with its status
    #[arg(long, short)]
    pub attach: bool,
    /// Pass on what is typed
    #[arg(long, short)]
    pub interactive: bool,
    /// Start what is to run after a reboot, by its restart policy; the service of the system does this
    #[arg(long)]
    pub all_restartable: bool,
    /// Keys that leave the container running: letters, ctrl-LETTER, with commas between them
    #[arg(long, value_name = "KEYS", default_value = "", hide_default_value = true)]
    pub detach_keys: String,
    /// The containers, by name or id
    #[arg(value_name = "CONTAINER")]
    pub names: Vec<String>,
}

/// `stop`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct StopArgs {
    /// The signal that asks the container to end, instead of its own
    #[arg(long, short, value_name = "SIGNAL")]
    pub signal: Option<String>,
    /// Seconds from the signal to SIGKILL; -1 for ever
    #[arg(
        long,
        short = 't',
        visible_alias = "timeout",
        value_name = "SECONDS",
        allow_negative_numbers = true
    )]
    pub time: Option<i64>,
    /// The containers, by name or id
    #[arg(value_name = "CONTAINER", required = true)]
    pub names: Vec<String>,
}

/// `kill`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct KillArgs {
    /// The signal
    #[arg(long, short, value_name = "SIGNAL", default_value = "KILL")]
    pub signal: String,
    /// The containers, by name or id
    #[arg(value_name = "CONTAINER", required = true)]
    pub names: Vec<String>,
}

/// `rm`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct RmArgs {
    /// Kill what runs, and say nothing of what does not exist
    #[arg(long, short)]
    pub force: bool,
    /// Remove anonymous volumes as well
    #[arg(long, short)]
    pub volumes: bool,
    /// The containers, by name or id
    #[arg(value_name = "CONTAINER", required = true)]
    pub names: Vec<String>,
}

/// `pause`, `unpause` and `wait`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct NamesArgs {
    /// The containers, by name or id
    #[arg(value_name = "CONTAINER", required = true)]
    pub names: Vec<String>,
}

/// `attach`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct AttachArgs {
    /// Keys that leave the container running: letters, ctrl-LETTER, with commas between them
    #[arg(long, value_name = "KEYS", default_value = "", hide_default_value = true)]
    pub detach_keys: String,
    /// Do not pass on what is typed
    #[arg(long)]
    pub no_stdin: bool,
    /// Pass signals on to the program; --sig-proxy=false does not
    #[arg(long, action = clap::ArgAction::Set, value_name = "BOOL", default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = mydocker_cmdline::parse_bool)]
    pub sig_proxy: bool,
    /// The container, by name or id
    #[arg(value_name = "CONTAINER")]
    pub name: String,
}

/// `logs`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct LogsArgs {
    /// Go on with what is printed until the container ends
    #[arg(long, short)]
    pub follow: bool,
    /// Only so many lines from the end; 'all' is all
    #[arg(long, short = 'n', value_name = "LINES", default_value = "all", allow_hyphen_values = true)]
    pub tail: String,
    /// Not what was printed before: 2024-05-01T12:00:00Z, seconds since 1970, or 10m ago
    #[arg(long, value_name = "MOMENT")]
    pub since: Option<String>,
    /// Not what was printed after
    #[arg(long, value_name = "MOMENT")]
    pub until: Option<String>,
    /// Put the moment before each line
    #[arg(long, short)]
    pub timestamps: bool,
    /// Put labels and variables before each line that --log-opt has chosen
    #[arg(long)]
    pub details: bool,
    /// The container, by name or id
    #[arg(value_name = "CONTAINER")]
    pub name: String,
}

/// `exec`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct ExecArgs {
    /// Do not wait for the command, and show nothing of it
    #[arg(long, short)]
    pub detach: bool,
    /// Keys that leave the command running: letters, ctrl-LETTER, with commas between them
    #[arg(long, value_name = "KEYS", default_value = "", hide_default_value = true)]
    pub detach_keys: String,
    /// A variable of the environment; without a value, this program's own
    #[arg(long, short, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,
    /// A file with such variables, one a line
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<PathBuf>,
    /// Pass on what is typed
    #[arg(long, short)]
    pub interactive: bool,
    /// Give the command all privileges
    #[arg(long)]
    pub privileged: bool,
    /// Give the command a terminal
    #[arg(long, short)]
    pub tty: bool,
    /// The user: a name or a number, and a group after a colon
    #[arg(long, short, value_name = "USER[:GROUP]")]
    pub user: Option<String>,
    /// The working directory
    #[arg(long, short, value_name = "DIR")]
    pub workdir: Option<String>,
    /// The container, by name or id
    #[arg(value_name = "CONTAINER")]
    pub name: String,
    /// The command and its arguments
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
}
