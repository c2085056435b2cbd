//! What can be typed, as data: flags, names and meaning are runc's. Nothing here looks at the environment, at the
//! disk, or at whether the values make sense together; [`Context`](super::Context) and the commands do that.

use super::checkpoint_args::{CheckpointArgs, RestoreArgs};
use clap::{Args, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Flags before the command.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct GlobalArgs {
    /// Directory of the containers' state (it should be on a tmpfs)
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// File that log lines are appended to instead of standard error, also as file:FILE
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// How log lines are written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// Also write debug messages to the log
    #[arg(long)]
    pub debug: bool,
    /// Tell how many microseconds each part of create, run, exec or start took
    #[arg(long)]
    pub timings: bool,
    /// Let systemd make the cgroups
    #[arg(long)]
    pub systemd_cgroup: bool,
    /// Who makes the cgroups, in crun's words; cgroupfs if neither this nor --systemd-cgroup is given
    #[arg(long, value_name = "MANAGER")]
    pub cgroup_manager: Option<CgroupManager>,
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

/// Who makes the cgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CgroupManager {
    /// The runtime
    Cgroupfs,
    /// systemd, as with --systemd-cgroup
    Systemd,
    /// Nobody: the container has no cgroup, no limits and no device filter
    Disabled,
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

/// Text or JSON.
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
    /// `check`
    Check(CheckArgs),
    /// `checkpoint`
    Checkpoint(CheckpointArgs),
    /// `create`
    Create(CreateArgs),
    /// `delete`
    Delete(DeleteArgs),
    /// `doctor`
    Doctor(DoctorArgs),
    /// `events`
    Events(EventsArgs),
    /// `exec`
    Exec(ExecArgs),
    /// `explain`
    Explain(ExplainArgs),
    /// `features`
    Features(FeaturesArgs),
    /// `gc`
    Gc(GcArgs),
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
    /// `update`
    Update(UpdateArgs),
    /// `wait`
    Wait(WaitArgs),
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
          value_parser = mydocker_cmdline::parse_bool)]
    pub no_new_privs: Option<bool>,
    /// Capability to add, again for each
    #[arg(long, short, value_name = "CAP")]
    pub cap: Vec<String>,
    /// Hand N more file descriptors to the process, after stdio
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
    /// Plan it for --no-pivot
    #[arg(long)]
    pub no_pivot: bool,
    /// Plan it for --no-new-keyring
    #[arg(long)]
    pub no_new_keyring: bool,
    /// The bundle directory, in place of --bundle
    #[arg(value_name = "DIR", conflicts_with = "bundle")]
    pub dir: Option<PathBuf>,
}

/// `events [flags] ID`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct EventsArgs {
    /// How often the statistics are told, such as 5s or 1m30s
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = super::quantity::interval)]
    pub interval: Duration,
    /// Tell the statistics once
    #[arg(long)]
    pub stats: bool,
    /// The container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
}

/// `gc [flags]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct GcArgs {
    /// Tell what would be removed, and remove nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Also remove stopped containers, which their callers may still want to delete themselves
    #[arg(long)]
    pub stopped: bool,
}

/// `wait [flags] ID`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct WaitArgs {
    /// How the end is printed; text: the exit status alone
    #[arg(long, short, value_name = "FORMAT", default_value = "text")]
    pub format: PlanFormat,
    /// The container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
}

/// `update [flags] ID`. A limit that is not given, or 0, stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct UpdateArgs {
    /// File with the changed part of the resources object, as in config.json; - reads standard input, and the other
    /// flags are ignored with a warning
    #[arg(long, short, value_name = "FILE")]
    pub resources: Option<PathBuf>,
    /// Share of block I/O, 10 to 1000
    #[arg(long, value_name = "WEIGHT")]
    pub blkio_weight: Option<u16>,
    /// Period of the CPU quota in microseconds; 0 for the kernel's default
    #[arg(long, value_name = "US")]
    pub cpu_period: Option<u64>,
    /// CPU time in each period in microseconds; -1 for no limit
    #[arg(long, value_name = "US")]
    pub cpu_quota: Option<i64>,
    /// CPU time in microseconds that may be saved up
    #[arg(long, value_name = "US")]
    pub cpu_burst: Option<u64>,
    /// Share of CPU time, 2 to 262144
    #[arg(long, value_name = "SHARES")]
    pub cpu_share: Option<u64>,
    /// Period of the real-time CPU quota in microseconds; 0 for the kernel's default
    #[arg(long, value_name = "US")]
    pub cpu_rt_period: Option<u64>,
    /// Real-time CPU time in each period in microseconds
    #[arg(long, value_name = "US")]
    pub cpu_rt_runtime: Option<i64>,
    /// CPUs, such as 0-3,7
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes, such as 0-3,7
    #[arg(long, value_name = "LIST")]
    pub cpuset_mems: Option<String>,
    /// Has no effect, which is warned of: Linux has had no such limit since 5.16
    #[arg(long, value_name = "BYTES", hide = true, value_parser = super::quantity::bytes)]
    pub kernel_memory: Option<i64>,
    /// Bytes of TCP buffers, on cgroup v1 alone
    #[arg(long, value_name = "BYTES", hide = true, value_parser = super::quantity::bytes)]
    pub kernel_memory_tcp: Option<i64>,
    /// Bytes of memory, such as 100m; -1 for no limit
    #[arg(long, value_name = "BYTES", value_parser = super::quantity::bytes)]
    pub memory: Option<i64>,
    /// 1 makes it run only when nothing else does, 0 ends that
    #[arg(long, value_name = "0|1")]
    pub cpu_idle: Option<i64>,
    /// Bytes of memory that are reclaimed last; -1 for no limit
    #[arg(long, value_name = "BYTES", value_parser = super::quantity::bytes)]
    pub memory_reservation: Option<i64>,
    /// Bytes of memory and swap together; -1 for no limit
    #[arg(long, value_name = "BYTES", value_parser = super::quantity::bytes)]
    pub memory_swap: Option<i64>,
    /// Number of tasks; -1 for no limit
    #[arg(long, value_name = "N")]
    pub pids_limit: Option<i64>,
    /// Schema of the Intel RDT cache
    #[arg(long, value_name = "SCHEMA")]
    pub l3_cache_schema: Option<String>,
    /// Schema of the Intel RDT memory bandwidth
    #[arg(long, value_name = "SCHEMA")]
    pub mem_bw_schema: Option<String>,
    /// The container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
}

/// `check [flags] [DIR]`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct CheckArgs {
    /// Also fail for what would be ignored
    #[arg(long)]
    pub strict: bool,
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

/// `doctor [flags]`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct DoctorArgs {
    /// How it is printed
    #[arg(long, short, value_name = "FORMAT", default_value = "text")]
    pub format: PlanFormat,
}

/// A command that takes a container's id and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct IdArgs {
    /// The container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
}
