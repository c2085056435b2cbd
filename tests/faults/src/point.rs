//! Where a fault strikes, and what the fault is.

use serde::{Deserialize, Serialize};

/// One system call of one process of a command, the same in every run of a command that does the same things.
///
/// Processes are numbered in the order of their birth, the command itself being 0, and the calls of each from 0 on. A
/// process's calls end to count where it becomes the container's program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// Which process of the command.
    pub process: usize,
    /// Which call of that process.
    pub call: usize,
    /// The name of the call, such as `openat`.
    pub name: String,
}

impl Point {
    /// The words that the injector takes for this point: `PROCESS:CALL`.
    #[must_use]
    pub fn to_argument(&self) -> String {
        format!("{}:{}", self.process, self.call)
    }
}

/// What happens at the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Fault {
    /// The call is not made and fails with EIO: no program has a way round that error, as it may have for ENOSYS,
    /// EINTR or EPERM.
    Fails,
    /// The process is killed as it enters the call.
    Killed,
}

impl Fault {
    /// The name that the injector and the tables use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fails => "fails",
            Self::Killed => "killed",
        }
    }
}
