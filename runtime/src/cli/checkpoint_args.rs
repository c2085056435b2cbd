//! What can be typed after `checkpoint` and `restore`: flags, names and meaning are runc's.

use clap::Args;
use std::path::PathBuf;

/// The flags that `checkpoint` and `restore` share.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct CriuArgs {
    /// Directory of the checkpoint; ./checkpoint if not given
    #[arg(long, value_name = "DIR")]
    pub image_path: Option<PathBuf>,
    /// Directory of criu's log, which lies with the checkpoint if not given
    #[arg(long, value_name = "DIR")]
    pub work_path: Option<PathBuf>,
    /// Allow open TCP connections
    #[arg(long)]
    pub tcp_established: bool,
    /// Allow Unix sockets with a peer outside
    #[arg(long)]
    pub ext_unix_sk: bool,
    /// Allow a terminal that belongs to a shell outside
    #[arg(long)]
    pub shell_job: bool,
    /// Save and restore file locks
    #[arg(long)]
    pub file_locks: bool,
    /// How much of the cgroups is saved and restored: soft, full, strict or ignore
    #[arg(long, value_name = "MODE", default_value = "")]
    pub manage_cgroups_mode: String,
    /// Kind of namespace whose content is left out, again for each; the network's always is
    #[arg(long, value_name = "KIND")]
    pub empty_ns: Vec<String>,
    /// Take memory out of earlier checkpoints as it is saved or restored
    #[arg(long)]
    pub auto_dedup: bool,
    /// Bring memory in only when it is used (userfaultfd)
    #[arg(long)]
    pub lazy_pages: bool,
}

/// `checkpoint [flags] ID`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct CheckpointArgs {
    /// The flags shared with `restore`.
    #[command(flatten)]
    pub criu: CriuArgs,
    /// Earlier checkpoint, relative to the new one, whose memory is not saved again
    #[arg(long, value_name = "DIR")]
    pub parent_path: Option<PathBuf>,
    /// Let the container go on
    #[arg(long)]
    pub leave_running: bool,
    /// Leave out TCP connections that are being made
    #[arg(long)]
    pub tcp_skip_in_flight: bool,
    /// Give files without a name one for as long as it takes
    #[arg(long)]
    pub link_remap: bool,
    /// File descriptor that a zero byte is written to when the lazy pages can be asked for
    #[arg(long, value_name = "FD", allow_negative_numbers = true)]
    pub status_fd: Option<i32>,
    /// Where a page server takes the memory
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub page_server: Option<String>,
    /// Save the memory alone and let the container go on
    #[arg(long)]
    pub pre_dump: bool,
    /// The container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
}

/// `restore [flags] ID`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct RestoreArgs {
    /// The flags shared with `checkpoint`.
    #[command(flatten)]
    pub criu: CriuArgs,
    /// The bundle directory; the working directory if not given
    #[arg(long, short, value_name = "DIR")]
    pub bundle: Option<PathBuf>,
    /// Unix socket that receives the master end of the container's terminal
    #[arg(long, value_name = "SOCKET")]
    pub console_socket: Option<PathBuf>,
    /// Return as soon as the container runs
    #[arg(long, short)]
    pub detach: bool,
    /// Do not delete the container when it ends
    #[arg(long)]
    pub keep: bool,
    /// File that the process id is written to
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Do not become the reaper of the container's orphans
    #[arg(long)]
    pub no_subreaper: bool,
    /// Close the TCP connections that were open, instead of bringing them back
    #[arg(long)]
    pub tcp_close: bool,
    /// Refused: criu knows no other way than pivot_root
    #[arg(long)]
    pub no_pivot: bool,
    /// Security profile of the processes, instead of the one that they had
    #[arg(long, value_name = "TYPE:NAME")]
    pub lsm_profile: Option<String>,
    /// Security label of the mounts, instead of the one that they had
    #[arg(long, value_name = "LABEL")]
    pub lsm_mount_context: Option<String>,
    /// The container's new id
    #[arg(value_name = "CONTAINER-ID")]
    pub id: String,
}
