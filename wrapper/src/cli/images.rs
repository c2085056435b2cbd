//! Commands that the image tool carries out. Their words are handed on as they are: it
//! knows what they mean.

use super::{Command, Outcome};
use crate::commands::images;
use crate::home::Home;
use mydocker_cmdline::{Entry, FlagsEnd, Program, Request, describe, group};
use mydocker_img::cli::{
    HistoryArgs, ImagesArgs, ImportArgs, InspectArgs, LoadArgs, LoginArgs, LogoutArgs, PruneArgs, PullArgs,
    PushArgs, RmiArgs, SaveArgs, TagArgs,
};
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
    ($name:literal, $there:literal, $about:literal, $args:ty) => {
        Entry {
            name: $name,
            about: $about,
            end: FlagsEnd::Never,
            parse: |program, entry, words| match words.iter().any(|word| word == "--help") {
                true => Ok(Request::Print(program.help_of(entry))),
                false => Ok(Request::Command(Command::Image(ImageArgs { command: $there, words }))),
            },
            describe: describe::<$args>,
            example: "",
            refused: &[],
        }
    };
}

/// The commands.
pub(super) const IMAGES: &[Entry<Command>] = &[
    handed!("images", "images", "List images", ImagesArgs).with_example("mydocker images --digests"),
    handed!("pull", "pull", "Fetch an image from a registry", PullArgs)
        .with_example("mydocker pull debian:12"),
    handed!("push", "push", "Bring an image to a registry", PushArgs)
        .with_example("mydocker push registry.example.com/my-web:1"),
    handed!("tag", "tag", "Give an image one more name", TagArgs)
        .with_example("mydocker tag my-web:1 registry.example.com/my-web:1"),
    handed!("rmi", "rmi", "Take names away from images, and remove those without one", RmiArgs)
        .with_example("mydocker rmi my-web:1"),
    handed!("save", "save", "Put images into an archive", SaveArgs)
        .with_example("mydocker save -o my-web.tar my-web:1"),
    handed!("load", "load", "Take images out of an archive", LoadArgs)
        .with_example("mydocker load -i my-web.tar"),
    handed!("import", "import", "Make an image of a tar of a root file system", ImportArgs)
        .with_example("mydocker import rootfs.tar my-base:1"),
    handed!("history", "history", "Tell how the layers of an image came about", HistoryArgs)
        .with_example("mydocker history my-web:1"),
    handed!("login", "login", "Keep a name and a password for a registry", LoginArgs)
        .with_example("mydocker login -u me registry.example.com"),
    handed!("logout", "logout", "Forget what is kept for a registry", LogoutArgs)
        .with_example("mydocker logout registry.example.com"),
    group!("image", "The same commands, sorted under one word", GROUP),
];

const GROUP: Program<Command> =
    Program { name: "mydocker image", about: "Makes, carries and removes images", commands: &[IN_GROUP] };

const IN_GROUP: &[Entry<Command>] = &[
    handed!("history", "history", "Tell how the layers of an image came about", HistoryArgs)
        .with_example("mydocker image history my-web:1"),
    handed!("import", "import", "Make an image of a tar of a root file system", ImportArgs)
        .with_example("mydocker image import rootfs.tar my-base:1"),
    handed!("inspect", "inspect", "Tell all about images", InspectArgs)
        .with_example("mydocker image inspect -f '{{.Config.Env}}' my-web:1"),
    handed!("load", "load", "Take images out of an archive", LoadArgs)
        .with_example("mydocker image load -i my-web.tar"),
    handed!("ls", "images", "List images", ImagesArgs).with_example("mydocker image ls"),
    handed!("prune", "prune", "Remove images that nobody needs", PruneArgs)
        .with_example("mydocker image prune --all"),
    handed!("pull", "pull", "Fetch an image from a registry", PullArgs)
        .with_example("mydocker image pull debian:12"),
    handed!("push", "push", "Bring an image to a registry", PushArgs)
        .with_example("mydocker image push registry.example.com/my-web:1"),
    handed!("rm", "rmi", "Take names away from images, and remove those without one", RmiArgs)
        .with_example("mydocker image rm my-web:1"),
    handed!("save", "save", "Put images into an archive", SaveArgs)
        .with_example("mydocker image save -o my-web.tar my-web:1"),
    handed!("tag", "tag", "Give an image one more name", TagArgs)
        .with_example("mydocker image tag my-web:1 my-web:latest"),
];

pub(super) fn dispatch(args: &ImageArgs, home: &Home) -> Outcome {
    images::hand_over(args, home)
}
