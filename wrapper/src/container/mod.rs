//! Containers: what was wanted, what became of it, and where that is kept.
//!
//! ```text
//! record       what was wanted, written once when the container is made, and again by rename and update
//! settings     the parts of it that docker calls HostConfig
//! state        what became of it; its monitor writes it, everybody reads it
//! truth        the status that a state and the processes that still live add up to
//! containers   all containers of a home: by id, by name
//! full         records on a disk without room
//! names        names for those that were given none
//! ```

mod containers;
mod full;
mod names;
mod record;
mod settings;
mod state;
mod truth;

pub use containers::{Containers, ContainersError, Locked};
pub use record::{Attachment, Config, Container, ImageOf, Mount, MountKind, Root};
pub use settings::{
    CgroupManager, Device, HostConfig, LogConfig, PortBinding, RestartPolicy, RestartWhen, ThrottleDevice,
    Ulimit, WeightDevice,
};
pub use state::{Endpoint, Health, HealthCheck, HealthStatus, Process, PublishedPort, State, Status};
pub use truth::{Seen, look};
