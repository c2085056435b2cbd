//! What can be typed, as data: flags, names and meaning are runc's. Nothing here looks at the environment, at the
//! disk, or at whether the values make sense together; [`Context`](super::Context) and the commands do that.

use super::checkpoint_args::{CheckpointArgs, RestoreArgs};
use clap::{Args, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

/// Flags before the command.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct GlobalArgs {
    /// Directory of the containers' state (it should be on a tmpfs)
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// File that log lines are appended to instead of standard error
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// How log lines are written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// Also write debug messages to the log
    #[arg(long)]
    pub debug: bool,
    /// Let systemd make the cgroups
    #[arg(long)]
    pub systemd_cgroup: bool,
    /// Whether errors of missing permission on cgroups are ignored
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub rootless: Rootless,
    /// The criu program, for checkpoint and restore; found in PATH if not given
    #[arg(long, value_name = "FILE")]
    pub criu: Option<PathBuf>,
    /// Print the version
    #[arg(long, short = 'v')]
    pub version: bool,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// `time="..." level=error msg="..."`
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// Whether missing permission on cgroups is forgiven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Rootless {
    /// When the runtime is not the host's root
    #[default]
    Auto,
    /// Always
    #[value(aliases = ["1", "t", "T", "TRUE", "True"])]
    True,
    /// Never
    #[value(aliases = ["0", "f", "F", "FALSE", "False"])]
    False,
}

/// How a list is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum TableFormat {
    /// Columns for a person
    #[default]
    Table,
    /// JSON for a program
    Json,
}

/// How a plan is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum PlanFormat {
    /// Lines for a person
    #[default]
    Text,
    /// JSON for a program
    Json,
}

/// A command with what was typed after it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "a process makes one of these")]
pub enum Command {
    /// `checkpoint`
    Checkpoint(CheckpointArgs),
    /// `create`
    Create(CreateArgs),
    /// `delete`
    Delete(DeleteArgs),
    /// `exec`
    Exec(ExecArgs),
    /// `explain`
    Explain(ExplainArgs),
    /// `features`
    Features(FeaturesArgs),
    /// `kill`
    Kill(KillArgs),
    /// `list`
    List(ListArgs),
    /// `pause`
    Pause(IdArgs),
    /// `ps`
    Ps(PsArgs),
    /// `restore`
    Restore(RestoreArgs),
    /// `resume`
    Resume(IdArgs),
    /// `run`
    Run(RunArgs),
    /// `spec`
    Spec(SpecArgs),
    /// `start`
    Start(IdArgs),
    /// `state`
    State(IdArgs),
}

/// The flags that `create` and `run` share.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct LaunchArgs {
    /// The bundle directory; the working directory if not given
    #[arg(long, short, value_name = "DIR")]
    pub bundle: Option<PathBuf>,
    /// Unix socket that receives the master end of the container's terminal
    #[arg(long, value_name = "SOCKET")]
    pub console_socket: Option<PathBuf>,
    /// Unix socket that receives a pidfd of the container's process
    #[arg(long, value_name = "SOCKET")]
    pub pidfd_socket: Option<PathBuf>,
    /// File that the process id is written to
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Move the root mount instead of pivot_root, for a rootfs on a ramdisk
    #[arg(long)]
    pub no_pivot: bool,
    /// Keep the caller's session keyring
    #[arg(long)]
    pub no_new_keyring: bool,
    /// Hand N more file descriptors to the container, after stdio and $LISTEN_FDS
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub preserve_fds: u32,
}

/// `create [flags] ID`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct CreateArgs {
    /// The flags shared with `run`.
    #[command(flatten)]
    pub launch: LaunchArgs,
    /// The container's new id
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
}

/// `run [flags] ID` or `run [flags] DIR`; [`choose_bundle`](super::choose_bundle) tells them apart.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct RunArgs {
    /// The flags shared with `create`.
    #[command(flatten)]
    pub launch: LaunchArgs,
    /// Return as soon as the container runs
    #[arg(long, short)]
    pub detach: bool,
    /// Do not delete the container when it ends
    #[arg(long)]
    pub keep: bool,
    /// Do not become the reaper of the container's orphans
    #[arg(long)]
    pub no_subreaper: bool,
    /// The container's new id; or, without --bundle, a bundle directory that gives it its name
    #[arg(value_name = "CONTAINER-ID|DIR")]
    pub target: OsString,
}

/// `exec [flags] ID COMMAND [ARG...]` or `exec --process FILE [flags] ID`; flags end at the id.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ExecArgs {
    /// Unix socket that receives the master end of the process's terminal
    #[arg(long, value_name = "SOCKET")]
    pub console_socket: Option<PathBuf>,
    /// Unix socket that receives a pidfd of the process
    #[arg(long, value_name = "SOCKET")]
    pub pidfd_socket: Option<PathBuf>,
    /// Working directory in the container
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<String>,
    /// Environment variable, again for each
    #[arg(long, short, value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// Give the process a terminal
    #[arg(long, short)]
    pub tty: bool,
    /// User id, and group id, as numbers
    #[arg(long, short, value_name = "UID[:GID]")]
    pub user: Option<String>,
    /// Additional group id, again for each
    #[arg(long, short = 'g', value_name = "GID")]
    pub additional_gids: Vec<u32>,
    /// File with the process object; takes the place of the command
    #[arg(long, short, value_name = "FILE")]
    pub process: Option<PathBuf>,
    /// Return as soon as the process runs
    #[arg(long, short)]
    pub detach: bool,
    /// File that the process id is written to
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// SELinux label of the process
    #[arg(long, value_name = "LABEL")]
    pub process_label: Option<String>,
    /// AppArmor profile of the process
    #[arg(long, value_name = "PROFILE")]
    pub apparmor: Option<String>,
    /// Set or, with =false, do not set no_new_privs; the container's setting if not given
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = super::words::parse_bool)]
    pub no_new_privs: Option<bool>,
    /// Capability to add, again for each
    #[arg(long, short, value_name = "CAP")]
    pub cap: Vec<String>,
    /// Hand N more file descriptors to the process, after stdio and $LISTEN_FDS
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub preserve_fds: u32,
    /// Run in an existing cgroup below the container's
    #[arg(long, value_name = "[CONTROLLER,...:]CGROUP")]
    pub cgroup: Vec<String>,
    /// Allow it in a paused container
    #[arg(long)]
    pub ignore_paused: bool,
    /// The container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
    /// The program and its arguments
    #[arg(value_name = "COMMAND", allow_hyphen_values = true)]
    pub command: Vec<OsString>,
}

/// `kill [flags] ID [SIGNAL]`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct KillArgs {
    /// Signal every process of the container; no error if it has stopped
    #[arg(long, short)]
    pub all: bool,
    /// The container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
    /// Name, with or without SIG, or number
    #[arg(default_value = "SIGTERM")]
    pub signal: String,
}

/// `delete [flags] ID`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct DeleteArgs {
    /// Kill the container if it still runs; no error if there is none
    #[arg(long, short)]
    pub force: bool,
    /// The container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
}

/// `list [flags]`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ListArgs {
    /// How it is printed
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    pub format: TableFormat,
    /// Print the ids alone
    #[arg(long, short)]
    pub quiet: bool,
}

/// `ps [flags] ID [PS-OPTION...]`; flags end at the id.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct PsArgs {
    /// How it is printed; json: the process ids
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    pub format: TableFormat,
    /// The container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
    /// Options of the host's ps program; -ef if there are none
    #[arg(value_name = "PS-OPTION", allow_hyphen_values = true)]
    pub options: Vec<OsString>,
}

/// `spec [flags]`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct SpecArgs {
    /// Directory that config.json is written to; the working directory if not given
    #[arg(long, short, value_name = "DIR")]
    pub bundle: Option<PathBuf>,
    /// Write a configuration that an ordinary user can run
    #[arg(long)]
    pub rootless: bool,
}

/// `features`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct FeaturesArgs {}

/// `explain [flags] [DIR]`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ExplainArgs {
    /// The bundle directory; the working directory if not given
    #[arg(long, short, value_name = "DIR")]
    pub bundle: Option<PathBuf>,
    /// How it is printed
    #[arg(long, short, value_name = "FORMAT", default_value = "text")]
    pub format: PlanFormat,
    /// The bundle directory, in place of --bundle
    #[arg(value_name = "DIR", conflicts_with = "bundle")]
    pub dir: Option<PathBuf>,
}

/// A command that takes a container's id and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct IdArgs {
    /// The container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
}
