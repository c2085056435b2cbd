//! What can be typed after `run` and `create`.

use clap::Args;
use std::net::IpAddr;
use std::path::PathBuf;

/// `run`
#[derive(Debug, Clone, PartialEq, Default, Args)]
pub struct RunArgs {
    /// Run in the background, and print the container's id
    #[arg(long, short)]
    pub detach: bool,
    /// Keys that leave the container running: letters, ctrl-LETTER, with commas between them
    #[arg(long, value_name = "KEYS", default_value = "ctrl-p,ctrl-q", hide_default_value = true)]
    pub detach_keys: String,
    /// Pass signals on to the program; --sig-proxy=false does not
    #[arg(long, action = clap::ArgAction::Set, value_name = "BOOL", default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = mydocker_cmdline::parse_bool)]
    pub sig_proxy: bool,
    /// The container
    #[command(flatten)]
    pub container: ContainerArgs,
}

/// `create`
#[derive(Debug, Clone, PartialEq, Default, Args)]
pub struct CreateArgs {
    /// The container
    #[command(flatten)]
    pub container: ContainerArgs,
}

/// What a container is to be.
#[derive(Debug, Clone, PartialEq, Default, Args)]
pub struct ContainerArgs {
    /// Where it comes from
    #[command(flatten)]
    pub origin: OriginArgs,
    /// Its program
    #[command(flatten)]
    pub process: ProcessArgs,
    /// How long it lives
    #[command(flatten)]
    pub life: LifeArgs,
    /// What is mounted
    #[command(flatten)]
    pub volumes: VolumeArgs,
    /// How it is reached
    #[command(flatten)]
    pub network: NetworkArgs,
    /// What it may use
    #[command(flatten)]
    pub limits: LimitArgs,
    /// What it may do
    #[command(flatten)]
    pub security: SecurityArgs,
    /// The image, and the command with its arguments; without an image, a command that begins with '/' runs over a view
    /// of the host's own root, which it cannot change
    #[arg(value_name = "IMAGE|/COMMAND")]
    pub words: Vec<String>,
}

/// Where a container comes from.
#[derive(Debug, Clone, PartialEq, Default, Args)]
pub struct OriginArgs {
    /// Name of the container
    #[arg(long)]
    pub name: Option<String>,
    /// When to pull the image: always, missing or never
    #[arg(long, value_name = "WHEN", default_value = "missing", hide_default_value = true, value_parser = ["always", "missing", "never"])]
    pub pull: String,
    /// Platform of the image, such as linux/arm64
    #[arg(long)]
    pub platform: Option<String>,
    /// Say nothing while the image is pulled
    #[arg(long, short)]
    pub quiet: bool,
    /// The image; the words are the command then
    #[arg(long = "img", value_name = "IMAGE")]
    pub img: Option<String>,
    /// The command and its arguments, with blanks between them
    #[arg(long, value_name = "COMMAND")]
    pub cmds: Option<String>,
    /// The first word is a directory to run on instead of an image; ':O' after it keeps the changes out of it
    #[arg(long)]
    pub rootfs: bool,
    /// File to write the container's id to
    #[arg(long, value_name = "FILE")]
    pub cidfile: Option<PathBuf>,
    /// OCI runtime: a name or a path
    #[arg(long, value_name = "PROGRAM")]
    pub runtime: Option<String>,
    /// Label NAME=VALUE
    #[arg(long, short, value_name = "LABEL")]
    pub label: Vec<String>,
    /// File with a label on each line
    #[arg(long, value_name = "FILE")]
    pub label_file: Vec<PathBuf>,
    /// Annotation NAME=VALUE for the OCI runtime
    #[arg(long, value_name = "ANNOTATION")]
    pub annotation: Vec<String>,
}

/// A container's program.
#[derive(Debug, Clone, PartialEq, Default, Args)]
pub struct ProcessArgs {
    /// Give it a terminal
    #[arg(long, short)]
    pub tty: bool,
    /// Keep standard input open
    #[arg(long, short)]
    pub interactive: bool,
    /// Streams to attach to: stdin, stdout, stderr
    #[arg(long, short, value_name = "STREAM", value_parser = ["stdin", "stdout", "stderr"], ignore_case = true)]
    pub attach: Vec<String>,
    /// Environment NAME=VALUE, or NAME to take it from here
    #[arg(long, short, value_name = "VARIABLE")]
    pub env: Vec<String>,
    /// File with a variable on each line
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<PathBuf>,
    /// User it runs as: NAME or UID, with ':' and a group if you like
    #[arg(long, short, value_name = "USER")]
    pub user: Option<String>,
    /// Further group, by name or id
    #[arg(long, value_name = "GROUP")]
    pub group_add: Vec<String>,
    /// Directory it starts in
    #[arg(long, short, value_name = "DIR")]
    pub workdir: Option<String>,
    /// Program that gets the words, in place of the image's; "" for none
    #[arg(long, value_name = "PROGRAM")]
    pub entrypoint: Option<String>,
    /// Host name; the container's id if not given
    #[arg(long, short = 'h', value_name = "NAME")]
    pub hostname: Option<String>,
    /// NIS domain name
    #[arg(long, value_name = "NAME")]
    pub domainname: Option<String>,
    /// Run a small init as process 1, which reaps orphans and passes signals on
    #[arg(long)]
    pub init: bool,
    /// Limit of a process NAME=SOFT[:HARD], such as nofile=1024:4096
    #[arg(long, value_name = "LIMIT")]
    pub ulimit: Vec<String>,
    /// How soon the kernel kills it for want of memory: -1000 to 1000
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pub oom_score_adj: Option<i64>,
}

/// How long a container lives.
#[derive(Debug, Clone, PartialEq, Default, Args)]
pub struct LifeArgs {
    /// Remove it when it ends, with its anonymous volumes
    #[arg(long)]
    pub rm: bool,
    /// When to start it again: no, on-failure[:N], always, unless-stopped
    #[arg(long, value_name = "POLICY")]
    pub restart: Option<String>,
    /// Signal that stops it
    #[arg(long, value_name = "SIGNAL")]
    pub stop_signal: Option<String>,
    /// Seconds from that signal to SIGKILL; -1 for ever
    #[arg(long, value_name = "SECONDS", allow_hyphen_values = true)]
    pub stop_timeout: Option<i64>,
    /// Command that tells whether it is healthy
    #[arg(long, value_name = "COMMAND")]
    pub health_cmd: Option<String>,
    /// Time between two checks, such as 30s
    #[arg(long, value_name = "TIME")]
    pub health_interval: Option<String>,
    /// Failures in a row that make it unhealthy
    #[arg(long, value_name = "NUMBER")]
    pub health_retries: Option<i64>,
    /// Time after the start in which failures do not count
    #[arg(long, value_name = "TIME")]
    pub health_start_period: Option<String>,
    /// Time between two checks in the start period
    #[arg(long, value_name = "TIME")]
    pub health_start_interval: Option<String>,
    /// Time that a check may take
    #[arg(long, value_name = "TIME")]
    pub health_timeout: Option<String>,
    /// No checks, whatever the image says
    #[arg(long)]
    pub no_healthcheck: bool,
    /// Where its output is kept: json-file, k8s-file or none
    #[arg(long, value_name = "DRIVER")]
    pub log_driver: Option<String>,
    /// Option NAME=VALUE of the log, such as max-size=10m
    #[arg(long, value_name = "OPTION")]
    pub log_opt: Vec<String>,
}

/// What is mounted into a container.
#[derive(Debug, Clone, PartialEq, Default, Args)]
pub struct VolumeArgs {
    /// HOST-PATH:PATH[:OPTIONS], VOLUME:PATH[:OPTIONS] or PATH
    #[arg(long, short, value_name = "VOLUME")]
    pub volume: Vec<String>,
    /// type=bind|volume|tmpfs,source=...,target=...[,readonly]...
    #[arg(long, value_name = "MOUNT")]
    pub mount: Vec<String>,
    /// PATH[:OPTIONS] that is in memory
    #[arg(long, value_name = "PATH")]
    pub tmpfs: Vec<String>,
    /// Container whose volumes to mount as well; ':ro' after it for reading only
    #[arg(long, value_name = "CONTAINER")]
    pub volumes_from: Vec<String>,
    /// Size of /dev/shm, such as 64m
    #[arg(long, value_name = "SIZE")]
    pub shm_size: Option<String>,
    /// Nothing can be written to the root file system
    #[arg(long)]
    pub read_only: bool,
}

/// How a container is reached.
#[derive(Debug, Clone, PartialEq, Default, Args)]
pub struct NetworkArgs {
    /// bridge, host, none, container:NAME, or the name of a network
    #[arg(long, visible_alias = "net", value_name = "NETWORK")]
    pub network: Vec<String>,
    /// Further name on the network
    #[arg(long, alias = "net-alias", value_name = "NAME")]
    pub network_alias: Vec<String>,
    /// Publish a port: [[IP:]HOST-PORT:]PORT[/PROTOCOL], ranges too
    #[arg(long, short, value_name = "PORT")]
    pub publish: Vec<String>,
    /// Publish all ports that the image exposes
    #[arg(long, short = 'P')]
    pub publish_all: bool,
    /// Port that the container listens on: PORT[/PROTOCOL]
    #[arg(long, value_name = "PORT")]
    pub expose: Vec<String>,
    /// IPv4 address
    #[arg(long, value_name = "ADDRESS")]
    pub ip: Option<IpAddr>,
    /// IPv6 address
    #[arg(long, value_name = "ADDRESS")]
    pub ip6: Option<IpAddr>,
    /// Hardware address
    #[arg(long, value_name = "ADDRESS")]
    pub mac_address: Option<String>,
    /// Name server
    #[arg(long, value_name = "ADDRESS")]
    pub dns: Vec<IpAddr>,
    /// Option for resolv.conf
    #[arg(long, alias = "dns-opt", value_name = "OPTION")]
    pub dns_option: Vec<String>,
    /// Domain to look up short names in
    #[arg(long, value_name = "DOMAIN")]
    pub dns_search: Vec<String>,
    /// Line NAME:ADDRESS for /etc/hosts
    #[arg(long, value_name = "LINE")]
    pub add_host: Vec<String>,
}

/// What a container may use.
#[derive(Debug, Clone, PartialEq, Default, Args)]
pub struct LimitArgs {
    /// Memory, such as 100m
    #[arg(long, short, value_name = "SIZE")]
    pub memory: Option<String>,
    /// Memory in MiB
    #[arg(long, value_name = "MIB", conflicts_with = "memory")]
    pub mmem: Option<u64>,
    /// Memory that is left to it when the host runs short
    #[arg(long, value_name = "SIZE")]
    pub memory_reservation: Option<String>,
    /// Memory and swap together; -1 for no limit
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    pub memory_swap: Option<String>,
    /// How many processors' worth of time, such as 0.5
    #[arg(long, value_name = "NUMBER")]
    pub cpus: Option<String>,
    /// Weight of its processor time
    #[arg(long, short, alias = "cpushare", value_name = "NUMBER")]
    pub cpu_shares: Option<u64>,
    /// Period of the processor limit, in microseconds
    #[arg(long, value_name = "NUMBER")]
    pub cpu_period: Option<u64>,
    /// Processor time in a period, in microseconds
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pub cpu_quota: Option<i64>,
    /// Processors it may run on, such as 0-2,4
    #[arg(long, alias = "cpuset", value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes it may use
    #[arg(long, value_name = "LIST")]
    pub cpuset_mems: Option<String>,
    /// Processes at the most; -1 for no limit
    #[arg(long, alias = "mpid", value_name = "NUMBER", allow_hyphen_values = true)]
    pub pids_limit: Option<i64>,
    /// Weight of its input and output: 10 to 1000
    #[arg(long, value_name = "NUMBER")]
    pub blkio_weight: Option<u16>,
    /// The same for one device of the host: PATH:WEIGHT
    #[arg(long, value_name = "DEVICE")]
    pub blkio_weight_device: Vec<String>,
    /// Bytes that it may read of a device in a second, such as /dev/sda:10mb
    #[arg(long, value_name = "DEVICE")]
    pub device_read_bps: Vec<String>,
    /// Bytes that it may write to a device in a second
    #[arg(long, value_name = "DEVICE")]
    pub device_write_bps: Vec<String>,
    /// How often it may read of a device in a second, such as /dev/sda:1000
    #[arg(long, value_name = "DEVICE")]
    pub device_read_iops: Vec<String>,
    /// How often it may write to a device in a second
    #[arg(long, value_name = "DEVICE")]
    pub device_write_iops: Vec<String>,
    /// How readily its memory is swapped out: 0 to 100; -1 as elsewhere
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pub memory_swappiness: Option<i64>,
    /// Do not kill it for want of memory
    #[arg(long)]
    pub oom_kill_disable: bool,
    /// Cgroup to make its own below
    #[arg(long, value_name = "PATH")]
    pub cgroup_parent: Option<String>,
}

/// What a container may do.
#[derive(Debug, Clone, PartialEq, Default, Args)]
pub struct SecurityArgs {
    /// All capabilities and devices, and no confinement
    #[arg(long)]
    pub privileged: bool,
    /// Capability to have as well; ALL for all
    #[arg(long, value_name = "CAPABILITY")]
    pub cap_add: Vec<String>,
    /// Capability to do without; ALL for all
    #[arg(long, value_name = "CAPABILITY")]
    pub cap_drop: Vec<String>,
    /// no-new-privileges, seccomp=FILE|unconfined, apparmor=PROFILE, label=disable|type:TYPE|..., systempaths=unconfined
    #[arg(long, value_name = "OPTION")]
    pub security_opt: Vec<String>,
    /// Device of the host: PATH[:PATH-INSIDE[:rwm]]
    #[arg(long, value_name = "DEVICE")]
    pub device: Vec<String>,
    /// Rule for devices such as 'c 10:200 rwm'
    #[arg(long, value_name = "RULE")]
    pub device_cgroup_rule: Vec<String>,
    /// Kernel parameter NAME=VALUE
    #[arg(long, value_name = "SYSCTL")]
    pub sysctl: Vec<String>,
    /// Processes it sees: its own, host, or container:NAME
    #[arg(long, value_name = "NAMESPACE")]
    pub pid: Option<String>,
    /// Shared memory: private, shareable, host, none, or container:NAME
    #[arg(long, value_name = "NAMESPACE")]
    pub ipc: Option<String>,
    /// Host name: its own, or host
    #[arg(long, value_name = "NAMESPACE")]
    pub uts: Option<String>,
    /// Users: host
    #[arg(long, value_name = "NAMESPACE")]
    pub userns: Option<String>,
    /// Cgroups it sees: private or host
    #[arg(long, value_name = "NAMESPACE", value_parser = ["private", "host"])]
    pub cgroupns: Option<String>,
}
