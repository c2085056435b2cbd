//! Networks of containers: the default bridge, and those that netavark and aardvark-dns make, which podman uses as well.
//!
//! ```text
//! up           a container's network from before its start to after its end, and what changes in between
//! join         one container on one network: addresses, netavark, names
//! default      the same on the default bridge, without netavark
//! bridge       the default bridge, which stays
//! devices      network devices, by rtnetlink
//! rules        the packet filter's rules for the default bridge
//! filter       the packet filter's programs
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
//! netavark     interfaces, routes, packet filter of other networks
//! isolation    what networks do not let through
//! aardvark     the name server
//! files        files, written so that nobody sees half of one
//! ```
//!
//! Whatever is made for a container is written down before it is made (`RUN/networks/joined/ID/`). [`down`] undoes what is
//! written there, so that it makes no difference who was killed when.

mod aardvark;
mod addresses;
mod bridge;
mod claims;
mod default;
mod devices;
mod error;
mod files;
mod filter;
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
mod rules;
mod subnet;
mod up;
mod wish;

pub use bridge::take_down_idle;
pub use error::NetworkError;
pub use netns::remove as remove_namespace;
pub use networks::Networks;
pub use record::{Ipam, Network, Pool, is_predefined};
pub use resolver::Resolver;
pub use subnet::{Subnet, SubnetError};
pub use up::{Up, connect, disconnect, down, namespace, rename, told, up};
pub use wish::Wish;
