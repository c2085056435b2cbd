//! Commands that the image tool carries out. Their words are handed on as they are: it knows the flags.

use super::{Command, Outcome};
use crate::commands::images;
use crate::home::Home;
use mydocker_cmdline::{Entry, FlagsEnd, Program, Request, UsageError, group};
use std::ffi::OsString;

/// A command of the image tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageArgs {
    /// Its name there.
    pub command: &'static str,
    /// What follows it.
    pub words: Vec<OsString>,
}

/// Describes a command by its name here, its name there, and what it does.
macro_rules! handed {
    ($name:literal, $there:literal, $about:literal) => {
        Entry {
            name: $name,
            about: $about,
            end: FlagsEnd::Never,
            parse: |_, _, words| Ok(Request::Command(Command::Image(ImageArgs { command: $there, words }))),
        }
    };
}

/// The commands.
pub(super) const IMAGES: &[Entry<Command>] = &[
    handed!("images", "images", "List images"),
    handed!("pull", "pull", "Fetch an image from a registry"),
    handed!("push", "push", "Bring an image to a registry"),
    handed!("tag", "tag", "Give an image one more name"),
    handed!("rmi", "rmi", "Take names away from images, and remove those without one"),
    handed!("save", "save", "Put images into an archive"),
    handed!("load", "load", "Take images out of an archive"),
    handed!("import", "import", "Make an image of a tar of a root file system"),
    handed!("history", "history", "Tell how the layers of an image came about"),
    handed!("login", "login", "Keep a name and a password for a registry"),
    handed!("logout", "logout", "Forget what is kept for a registry"),
    Entry {
        name: "search",
        about: "Not supported: registries have no common way to be searched",
        end: FlagsEnd::Never,
        parse: |_, _, _| {
            let message =
                "'search' is not supported: registries have no common way to be searched".to_owned();
            let hint = "look for the image on the registry's own pages, and 'pull' it by its name".to_owned();
            Err(UsageError::Arguments { message, hint })
        },
    },
    group!("image", "The same commands, sorted under one word", GROUP),
];

const GROUP: Program<Command> =
    Program { name: "mydocker image", about: "Makes, carries and removes images", commands: &[IN_GROUP] };

const IN_GROUP: &[Entry<Command>] = &[
    handed!("history", "history", "Tell how the layers of an image came about"),
    handed!("import", "import", "Make an image of a tar of a root file system"),
    handed!("inspect", "inspect", "Tell all about images"),
    handed!("load", "load", "Take images out of an archive"),
    handed!("ls", "images", "List images"),
    handed!("prune", "prune", "Remove images that nobody needs"),
    handed!("pull", "pull", "Fetch an image from a registry"),
    handed!("push", "push", "Bring an image to a registry"),
    handed!("rm", "rmi", "Take names away from images, and remove those without one"),
    handed!("save", "save", "Put images into an archive"),
    handed!("tag", "tag", "Give an image one more name"),
];

pub(super) fn dispatch(args: &ImageArgs, home: &Home) -> Outcome {
    images::hand_over(args, home)
}
