//! The same for several things: what goes wrong with one does not stop the others.

use super::Outcome;
use super::entry::complain;
use std::error::Error;

/// Does it to each, and tells at once what goes wrong. The status is 1 if anything has.
///
/// # Errors
/// Never: errors have been told.
pub fn each<E: Into<Box<dyn Error>>>(
    names: &[String],
    mut work: impl FnMut(&str) -> Result<(), E>,
) -> Outcome {
    let mut status = 0;
    for name in names {
        if let Err(error) = work(name) {
            complain_of(error);
            status = 1;
        }
    }
    Ok(status)
}

/// Tells an error that does not end the command.
pub fn complain_of(error: impl Into<Box<dyn Error>>) {
    complain(&*error.into());
}
