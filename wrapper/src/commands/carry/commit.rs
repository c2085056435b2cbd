//! `commit`: what a container has changed becomes a new image.

use crate::carry::open_root;
use crate::cli::{CommitArgs, Outcome};
use crate::container::{Container, Containers, ImageOf, Status};
use crate::ending::{EndingError, pause, unpause};
use crate::events::{Event, record};
use crate::home::Home;
use crate::look::row::command_line;
use mydocker_cmdline::print;
use mydocker_img::make::{Changes, CommitError, CommitOptions, ConfigChange, commit as make};
use mydocker_img::reference::Reference;
use mydocker_img::store::{Image, Store};
use std::error::Error;

/// Why a container does not become an image.
#[derive(Debug, thiserror::Error)]
pub enum CommitContainerError {
    /// There is nothing that a new layer could lie on.
    #[error(
        "container {0} has no image to build on, since it runs on files of the host; 'export' it, and 'import' the archive"
    )]
    NoImage(String),
    /// The new name has a digest.
    #[error("{0} has a digest, which is not given but follows from the content; leave it out")]
    Digest(Reference),
    /// It cannot be paused.
    #[error("cannot pause the container meanwhile; --pause=false commits it while it runs")]
    NotPaused(#[source] EndingError),
    /// The image.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// Makes an image, and prints its id.
///
/// # Errors
/// [`CommitContainerError`] and those of the store and of the container; then no name has changed.
pub fn commit(args: &CommitArgs, home: &Home) -> Outcome {
    let containers = Containers::open(home)?;
    let container = containers.find(&args.container)?;
    let Some(base) = &container.image else {
        return Err(CommitContainerError::NoImage(container.name).into());
    };
    let options = options(args, &container)?;
    let upper = home.container(&container.id).join("upper");
    if !upper.is_dir() {
        // It has never been started; looking at its files makes the directory.
        open_root(&containers, &container)?.close()?;
    }
    let pauses = args.pause && containers.state(&container.id)?.status == Status::Running;
    if pauses {
        pause(&containers, &container).map_err(CommitContainerError::NotPaused)?;
    }
    let made = image(home, base, Changes::Upper(upper), &options);
    if pauses {
        unpause(&containers, &container)?;
    }
    let image = made?;
    let event = Event::of(&container, "commit").with("imageID", image.id());
    record(home, &event.with("comment", args.message.as_deref().unwrap_or_default()));
    print(&format!("{}\n", image.id()))?;
    Ok(0)
}

fn image(
    home: &Home,
    base: &ImageOf,
    changes: Changes,
    options: &CommitOptions,
) -> Result<Image, Box<dyn Error>> {
    let store = Store::open(&home.images())?;
    let base = store.image(&base.target)?;
    Ok(make(&store, Some(&base), &changes, options)?)
}

fn options(args: &CommitArgs, container: &Container) -> Result<CommitOptions, Box<dyn Error>> {
    let reference = args.image.as_deref().map(Reference::parse).transpose()?.map(Reference::or_latest);
    if let Some(name) = reference.as_ref().filter(|name| name.digest().is_some()) {
        return Err(CommitContainerError::Digest(name.clone()).into());
    }
    let changes = args.change.iter().map(|text| ConfigChange::parse(text)).collect::<Result<_, _>>()?;
    Ok(CommitOptions {
        author: args.author.clone(),
        message: args.message.clone(),
        created_by: Some(command_line(&container.command())),
        config: Some(container.config.image.clone()),
        changes,
        reference,
        ..CommitOptions::default()
    })
}
