//! A client of the D-Bus wire protocol, version 1 (D-Bus Specification 0.43), as small as talking to systemd needs: Unix
//! sockets, the EXTERNAL mechanism, method calls and signals, one conversation at a time.
//!
//! ```text
//! address::Address   where a bus listens          (pure)
//! Value              what a message carries       (pure; text::parse reads one as GVariant text)
//! Call, Incoming     bytes of a message           (pure)
//! Connection         the only part that waits: every wait has one deadline and names the call that is stuck
//! ```
//!
//! Why not a crate: docs/adr/0009-a-small-d-bus-client.md.

mod address;
mod connection;
mod message;
pub mod text;
mod value;
mod wire;

pub use address::{Address, AddressError};
pub use connection::{Connection, Error, Peer};
pub use message::{Call, Incoming, Kind};
pub use value::Value;
pub use wire::WireError;

#[cfg(test)]
mod connection_tests;
