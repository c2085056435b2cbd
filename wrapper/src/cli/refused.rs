//! Commands and flags that people know from docker and that do not exist here: each says why, and what to do instead.

use super::Command;
use mydocker_cmdline::{Entry, FlagsEnd, UsageError};

/// Describes a command that is refused; no list has it unless it says what it is about.
macro_rules! refused {
    ($name:literal, $reason:literal, $hint:expr) => {
        refused!($name, $reason, $hint, "")
    };
    ($name:literal, $reason:literal, $hint:expr, $about:literal) => {
        Entry {
            name: $name,
            about: $about,
            end: FlagsEnd::Never,
            parse: |_, _, _| {
                let message = concat!("'", $name, "' is not supported: ", $reason).to_owned();
                Err(UsageError::Arguments { message, hint: $hint.to_owned() })
            },
            describe: |command| command,
            example: "",
            refused: &[],
        }
    };
}

const BUILD: &str = "build with another tool and 'load' its archive, or 'commit' a container";
const SWARM: &str =
    "docs/scale-out.md has recipes for containerd, docker swarm and Kubernetes with this project's runtime";

/// The commands.
pub(super) const REFUSED: &[Entry<Command>] = &[
    refused!(
        "search",
        "registries have no common way to be searched",
        "look for the image on the registry's own pages, and 'pull' it by its name",
        "Not supported: registries have no common way to be searched"
    ),
    refused!("build", "images are not built from Dockerfiles here", BUILD),
    refused!("buildx", "images are not built from Dockerfiles here", BUILD),
    refused!("builder", "images are not built from Dockerfiles here", BUILD),
    refused!(
        "compose",
        "there is no daemon that it could talk to",
        "'run' each service on one network, made by 'network create', where they find each other by name"
    ),
    refused!(
        "manifest",
        "lists of images are not made here",
        "'mydocker-img inspect --remote' shows those of a registry"
    ),
    refused!("trust", "names are not signed here", "'mydocker-img verify' checks signatures of images"),
    refused!(
        "context",
        "there is no daemon to choose",
        "--root and --runroot choose another set of containers"
    ),
    refused!("plugin", "there are no plugins", "see 'mydocker --help' for the commands that exist"),
    refused!(
        "checkpoint",
        "containers of this command are not saved and restored",
        "'mydocker-runtime checkpoint' does so with containers of its own"
    ),
    refused!("swarm", "one machine is looked after here", SWARM),
    refused!("service", "one machine is looked after here", SWARM),
    refused!("stack", "one machine is looked after here", SWARM),
    refused!("node", "one machine is looked after here", SWARM),
    refused!("secret", "one machine is looked after here", SWARM),
    refused!("config", "one machine is looked after here", SWARM),
];

/// Why flags of docker's are not there, and what to do instead.
type Flags = &'static [(&'static str, &'static str)];

const WINDOWS: &str = "it is about Windows containers; leave it out";
const NO_LINKS: &str =
    "put the containers on one network ('network create', --network), where they find each other by name";
const NO_SWARM: &str = "it is about a swarm; leave it out";

/// Those of `run` and `create`.
pub(super) const OF_RUN: Flags = &[
    ("link", NO_LINKS),
    ("link-local-ip", "containers get addresses of their networks alone; give one with --ip or --ip6"),
    ("gpus", "no driver of GPUs is asked; give the devices with --device"),
    ("storage-opt", "what a container writes has no limit of its own; leave it out"),
    ("volume-driver", "there is 'local' alone; leave it out"),
    ("kernel-memory", "kernels do not limit it any more; leave it out"),
    ("cpu-rt-period", "leave it out, and use --cpu-period"),
    ("cpu-rt-runtime", "leave it out, and use --cpu-quota"),
    ("use-api-socket", "there is no daemon whose socket it could be; leave it out"),
    ("disable-content-trust", "policy.json says whose signatures a pull asks for; leave it out"),
    ("isolation", WINDOWS),
    ("cpu-count", WINDOWS),
    ("cpu-percent", WINDOWS),
    ("io-maxbandwidth", WINDOWS),
    ("io-maxiops", WINDOWS),
];

/// Those of `update`.
pub(super) const OF_UPDATE: Flags = &[
    ("kernel-memory", "kernels do not limit it any more; leave it out"),
    ("cpu-rt-period", "leave it out, and use --cpu-period"),
    ("cpu-rt-runtime", "leave it out, and use --cpu-quota"),
];

/// Those of `rm`.
pub(super) const OF_RM: Flags = &[("link", NO_LINKS), ("l", NO_LINKS)];

/// Those of `start`.
pub(super) const OF_START: Flags = &[
    ("checkpoint", "containers of this command are not saved and restored; start it without"),
    ("checkpoint-dir", "containers of this command are not saved and restored; start it without"),
];

/// Those of `network create`.
pub(super) const OF_NETWORK_CREATE: Flags = &[
    ("attachable", NO_SWARM),
    ("ingress", NO_SWARM),
    ("scope", NO_SWARM),
    ("config-from", "give the settings themselves"),
    ("config-only", "give the settings to each network itself"),
    ("ipam-driver", "addresses are given by this command alone; leave it out"),
    ("ipam-opt", "addresses are given by this command alone; leave it out"),
    ("aux-address", "keep addresses from containers with --ip-range"),
];

/// Those of `network inspect`.
pub(super) const OF_NETWORK_INSPECT: Flags = &[("verbose", NO_SWARM), ("v", NO_SWARM)];

/// Those of `network connect`.
pub(super) const OF_NETWORK_CONNECT: Flags = &[
    ("link", NO_LINKS),
    ("link-local-ip", "containers get addresses of their networks alone; give one with --ip or --ip6"),
    ("driver-opt", "a container's end of a network has no options; leave it out"),
    ("gw-priority", "the default route goes by the first network; connect the others later"),
];
