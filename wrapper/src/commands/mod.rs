//! What can be asked for, put together from the other modules. Each command takes its arguments and the home, prints what
//! it has to say, and returns its exit status.

pub mod carry;
mod create;
pub mod images;
pub mod life;
pub mod look;
pub mod networks;
mod rename;
mod run;
pub mod system;
mod update;
pub mod volumes;

pub use create::{CreateError, create, make};
pub use rename::rename;
pub use run::run;
pub use update::{UpdateError, update};

use mydocker_img::cli::ask;
use std::io;

/// What a command has cleared away.
#[derive(Debug, Default)]
pub struct Pruned {
    /// Names or ids.
    pub removed: Vec<String>,
    /// What they took.
    pub bytes: u64,
    /// Whether something could not be removed, which has been told.
    pub failed: bool,
}

/// Asks a person for leave.
fn confirm(warning: &str) -> io::Result<bool> {
    let answer = ask(&format!("{warning}\nAre you sure you want to continue? [y/N] "))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
