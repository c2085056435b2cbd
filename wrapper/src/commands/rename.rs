//! `rename`: another name for a container.

use crate::cli::{Outcome, RenameArgs};
use crate::container::Containers;
use crate::events::{Event, record};
use crate::home::Home;

/// Gives a container another name.
///
/// # Errors
/// There is no such container, or the name is another's, or none.
pub fn rename(args: &RenameArgs, home: &Home) -> Outcome {
    let containers = Containers::open(home)?;
    let id = containers.find_id(&args.container)?;
    let _lock = containers.lock(&id)?;
    let old = containers.load(&id)?.name;
    containers.rename(&id, &args.name)?;
    record(home, &Event::of(&containers.load(&id)?, "rename").with("oldName", old));
    Ok(0)
}
