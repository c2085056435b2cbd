//! The image tool: from an image's name to a root file system, and back.
//!
//! ```text
//! cli          what was typed; text for people
//! reference    names of images
//! digest       what proves a blob
//! image        manifests, indexes, configurations
//! platform     what suits a host
//! credentials  what docker and podman keep to log in with
//! registry     HTTP: who to ask, how to be let in, how to ask again
//! resolve      a name to the documents behind it
//! plan         what is here, what is to be fetched, unpacked and recorded: data with no choice left
//! fetch        blobs from a registry into the store, several at a time
//! store        the images of this host: an OCI layout, and unpacked layers beside it
//! layer        a layer to a directory and back
//! mounts       layers as an overlay, and the leases that keep them
//! carry        archives that other programs read and write
//! make         new images: a layer, a configuration and a manifest on those of a base
//! overlay      layers one upon the other, as one tree
//! verify       whether an image is what somebody has signed
//! commands     pull, push, ... put together from the above
//! ```
#![forbid(unsafe_code)]

pub mod carry;
pub mod cli;
pub mod commands;
pub mod credentials;
pub mod digest;
pub mod fetch;
pub mod image;
pub mod layer;
pub mod make;
pub mod mounts;
pub mod overlay;
pub mod plan;
pub mod platform;
pub mod reference;
pub mod registry;
pub mod resolve;
pub mod store;
pub mod verify;
