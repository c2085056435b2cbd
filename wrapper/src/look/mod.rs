//! Containers, looked at: as rows of a list, as docker's documents, as numbers.
//!
//! ```text
//! listed    a container with its state, and all of them
//! filters   which of them are wanted
//! row       docker's columns
//! status    "Up 3 minutes (healthy)"
//! ports     "0.0.0.0:8080->80/tcp"
//! table     formats of lists
//! changes   what a container has changed in its files
//! document  what 'inspect' prints
//! inspect   a container as such a document
//! usage     what a container uses
//! size      what a directory takes
//! ```

pub mod changes;
pub mod document;
pub mod filters;
pub mod inspect;
pub mod listed;
pub mod ports;
pub mod row;
pub mod size;
pub mod status;
pub mod table;
pub mod usage;

pub use filters::{FilterError, Filters};
pub use listed::{Listed, Listing};
