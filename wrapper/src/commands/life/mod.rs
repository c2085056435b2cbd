//! The life of containers: started, stopped, watched, removed.

mod attach;
mod exec;
mod logs;
mod start;
mod stop;

pub use attach::attach;
pub use exec::exec;
pub use logs::logs;
pub use start::{restart, start};
pub use stop::{kill, pause, rm, stop, unpause, wait};
