//! `rename`: another name for a container.

use crate::cli::{Outcome, RenameArgs};
use crate::container::Containers;
use crate::events::{Event, record};
use crate::home::Home;
use crate::network;

/// Gives a container another name, by which others on its networks find it at once.
///
/// # Errors
/// There is no such container, or the name is another's, or none.
pub fn rename(args: &RenameArgs, home: &Home) -> Outcome {
    let containers = Containers::open(home)?;
    let id = containers.find_id(&args.container)?;
    let _lock = containers.lock(&id)?;
    let old = containers.load(&id)?.name;
    containers.rename(&id, &args.name)?;
    let container = containers.load(&id)?;
    record(home, &Event::of(&container, "rename").with("oldName", old));
    network::rename(&containers, &container)?;
    Ok(0)
}
