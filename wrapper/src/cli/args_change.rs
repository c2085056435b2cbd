//! What can be typed to change containers, and to carry files and images out of them.

use clap::Args;
use std::path::PathBuf;

/// `rename`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct RenameArgs {
    /// The container
    #[arg(value_name = "CONTAINER")]
    pub container: String,
    /// Its new name
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// `update`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct UpdateArgs {
    /// Weight among others that use block devices: 10 to 1000
    #[arg(long, value_name = "WEIGHT")]
    pub blkio_weight: Option<u16>,
    /// Period of the processor's scheduler in microseconds
    #[arg(long, value_name = "MICROSECONDS")]
    pub cpu_period: Option<u64>,
    /// Processor time in each period in microseconds; -1 for no limit
    #[arg(long, value_name = "MICROSECONDS")]
    pub cpu_quota: Option<i64>,
    /// Weight among others that want processor time
    #[arg(long, short, value_name = "WEIGHT")]
    pub cpu_shares: Option<u64>,
    /// Processors, such as 1.5
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["cpu_period", "cpu_quota"])]
    pub cpus: Option<String>,
    /// Which processors, such as 0-1,3
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// Which memory nodes, such as 0-1
    #[arg(long, value_name = "LIST")]
    pub cpuset_mems: Option<String>,
    /// Memory, such as 100m
    #[arg(long, short, value_name = "SIZE")]
    pub memory: Option<String>,
    /// Memory that it is brought back to when the host runs short, such as 50m
    #[arg(long, value_name = "SIZE")]
    pub memory_reservation: Option<String>,
    /// Memory and swap together, such as 200m; -1 for no limit
    #[arg(long, value_name = "SIZE")]
    pub memory_swap: Option<String>,
    /// How many processes and threads; -1 for no limit
    #[arg(long, value_name = "NUMBER")]
    pub pids_limit: Option<i64>,
    /// When to start it again: no, on-failure[:NUMBER], always, unless-stopped
    #[arg(long, value_name = "POLICY")]
    pub restart: Option<String>,
    /// The containers
    #[arg(value_name = "CONTAINER", required = true)]
    pub containers: Vec<String>,
}

/// `diff`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct DiffArgs {
    /// 'json', or a template such as '{{.Type}} {{.Path}}'
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// The container
    #[arg(value_name = "CONTAINER")]
    pub container: String,
}

/// `export`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct ExportArgs {
    /// File for the tar; standard output if it is not given
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The container
    #[arg(value_name = "CONTAINER")]
    pub container: String,
}

/// `cp`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct CpArgs {
    /// Keep the owners
    #[arg(long, short)]
    pub archive: bool,
    /// Copy what links lead to, in place of links that are named on the command line
    #[arg(long, short = 'L')]
    pub follow_link: bool,
    /// Do not tell how much was copied
    #[arg(long, short)]
    pub quiet: bool,
    /// What to copy: CONTAINER:PATH, a path here, or '-' for a tar on standard input
    #[arg(value_name = "SOURCE")]
    pub source: String,
    /// Where to: CONTAINER:PATH, a path here, or '-' for a tar on standard output
    #[arg(value_name = "DESTINATION")]
    pub destination: String,
}

/// `commit`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct CommitArgs {
    /// Who made it
    #[arg(long, short, value_name = "NAME")]
    pub author: Option<String>,
    /// Change how the image is run: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, USER, VOLUME, WORKDIR, STOPSIGNAL
    #[arg(long, short, value_name = "INSTRUCTION")]
    pub change: Vec<String>,
    /// What was done
    #[arg(long, short, value_name = "TEXT")]
    pub message: Option<String>,
    /// Pause the container meanwhile; --pause=false does not
    #[arg(long, short, action = clap::ArgAction::Set, value_name = "BOOL", default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = mydocker_cmdline::parse_bool)]
    pub pause: bool,
    /// The container
    #[arg(value_name = "CONTAINER")]
    pub container: String,
    /// The new image's name
    #[arg(value_name = "IMAGE")]
    pub image: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::FromArgMatches as _;

    #[test]
    fn a_commit_pauses_unless_it_is_told_not_to() {
        let pauses = |flag: Option<&str>| {
            let words = ["commit", "web", "image"].into_iter().chain(flag);
            let matches = CommitArgs::augment_args(clap::Command::new("commit")).try_get_matches_from(words);
            let args = matches.and_then(|matches| CommitArgs::from_arg_matches(&matches));
            args.expect("a command line").pause
        };
        assert!(
            pauses(None) && pauses(Some("--pause")) && pauses(Some("-p")) && pauses(Some("--pause=true"))
        );
        assert!(!pauses(Some("--pause=false")) && !pauses(Some("-p=false")));
    }
}
