//! What the commands do.

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
    cli::print(&text).map_err(|error| Report::new("output-failed", &error))?;
    Ok(0)
}
