//! What the commands do, each in a file of its own.

mod bundle;
mod check;
mod checkpoint;
mod container;
mod create;
mod criu_options;
mod delete;
mod doctor;
mod events;
mod exec;
mod exit;
mod explain;
mod freeze;
mod gc;
mod kill;
mod launch;
mod list;
mod placement;
mod processes;
mod report;
mod restore;
mod start;
mod streams;
mod update;
mod view;
mod wait;

pub use check::check;
pub use checkpoint::checkpoint;
pub use create::{create, run};
pub use delete::delete;
pub use doctor::doctor;
pub use events::events;
pub use exec::exec;
pub use explain::explain;
pub use freeze::{pause, resume};
pub use gc::gc;
pub use kill::kill;
pub use list::{list, ps, state};
pub use restore::restore;
pub use start::start;
pub use update::update;
pub use view::enter_readonly_view;
pub use wait::wait;

use crate::cli::{self, Context, FeaturesArgs, Report, SpecArgs};

/// The exit status of a command that did what it was asked, or why it did not.
pub type Outcome = Result<u8, Box<Report>>;

/// `spec`.
///
/// # Errors
/// If the file exists or cannot be written.
pub fn spec(args: &SpecArgs, _context: &Context) -> Outcome {
    cli::write_spec(args).map_err(|error| Report::new(error.code(), &error))?;
    Ok(0)
}

/// `features`.
///
/// # Errors
/// If standard output cannot be written to.
pub fn features(_args: FeaturesArgs, _context: &Context) -> Outcome {
    let text = cli::features_json().map_err(|error| Report::new("features-unprintable", &error))?;
    print(&text)
}

/// Prints a result; success is the exit status.
fn print(text: &str) -> Outcome {
    cli::print(text).map_err(|error| Report::new("output-failed", &error))?;
    Ok(0)
}
