//! Networks of containers, made by netavark and aardvark-dns, which podman uses as well.
//!
//! ```text
//! up           a container's network from before its start to after its end, and what changes in between
//! join         one container on one network: addresses, netavark, names
//! joined       which container is on which network right now, as files that tell how to undo it
//! networks     all networks of a home
//! record       what a network is
//! wish         what is wanted of a new one
//! addresses    who has which address
//! claims       which subnets the host has
//! subnet       ranges of addresses
//! ports        ports of the host that lead to a container
//! resolver     the lines of resolv.conf and hosts
//! rootless     the network of an ordinary user's containers
//! netns        network namespaces with a name
//! netavark     interfaces, routes, packet filter
//! isolation    what networks do not let through
//! aardvark     the name server
//! files        files, written so that nobody sees half of one
//! ```
//!
//! Whatever is made for a container is written down before it is made (`RUN/networks/joined/ID/`). [`down`] undoes what is
//! written there, so that it makes no difference who was killed when.

mod aardvark;
mod addresses;
mod claims;
mod error;
mod files;
mod isolation;
mod join;
mod joined;
mod netavark;
mod netns;
mod networks;
mod ports;
mod record;
mod resolver;
mod rootless;
mod subnet;
mod up;
mod wish;

pub use error::NetworkError;
pub use netns::remove as remove_namespace;
pub use networks::Networks;
pub use record::{Ipam, Network, Pool, is_predefined};
pub use resolver::Resolver;
pub use subnet::{Subnet, SubnetError};
pub use up::{Up, connect, disconnect, down, namespace, told, up};
pub use wish::Wish;
