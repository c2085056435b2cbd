//! Images: what the image tool does, and what it does for other commands.

use crate::cli::{ImageArgs, Outcome};
use crate::events::{Event, Kind, record};
use crate::home::{Home, program};
use clap::Args as _;
use mydocker_cmdline::{FlagsEnd, sort};
use mydocker_img::cli::{MYDOCKER, PullArgs, PushArgs, RmiArgs, TagArgs};
use mydocker_img::commands::{FindError, describe, find};
use mydocker_img::store::Store;
use serde_json::Value;
use std::error::Error;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::Command;

/// Why the image tool did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ImageToolError {
    /// It cannot be run.
    #[error(
        "cannot run the image tool {0:?}; it is installed beside this program, or named by $MYDOCKER_IMG"
    )]
    Run(PathBuf, #[source] io::Error),
}

/// A command line of the image tool with the store of this home. What it says is said for this program.
#[must_use]
pub fn tool(home: &Home) -> Command {
    let mut command = Command::new(program("mydocker-img", "MYDOCKER_IMG"));
    command.arg0(MYDOCKER).arg("--root").arg(home.images());
    command
}

/// Hands a command to the image tool, whose exit status it has.
///
/// # Errors
/// [`ImageToolError`].
pub fn hand_over(args: &ImageArgs, home: &Home) -> Outcome {
    let mut command = tool(home);
    let path = PathBuf::from(command.get_program());
    command.arg(args.command).args(&args.words);
    let Some((action, names)) = change(args) else {
        // Nothing is left to be done after it.
        return Err(ImageToolError::Run(path, command.exec()).into());
    };
    let status = command.status().map_err(|source| ImageToolError::Run(path, source))?;
    for name in names.iter().filter(|_| status.success()) {
        record(home, &Event::new(Kind::Image, action, name).with("name", name));
    }
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    Ok(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// What docker calls what has happened after a command, and the images that it has happened to; `None` for a command that
/// changes none.
fn change(args: &ImageArgs) -> Option<(&'static str, Vec<String>)> {
    let new = clap::Command::new(args.command);
    let (action, flags) = match args.command {
        "pull" => ("pull", PullArgs::augment_args(new)),
        "push" => ("push", PushArgs::augment_args(new)),
        "tag" => ("tag", TagArgs::augment_args(new)),
        "rmi" => ("untag", RmiArgs::augment_args(new)),
        _ => return None,
    };
    let sorted = sort(&flags, FlagsEnd::Never, args.words.iter().cloned());
    let text = |word: OsString| word.to_string_lossy().into_owned();
    let flags = sorted.flags.into_iter().map(text);
    let named = flags.filter_map(|flag| flag.strip_prefix("--img=").map(str::to_owned));
    let mut names: Vec<String> = named.chain(sorted.arguments.into_iter().map(text)).collect();
    if args.command == "tag" {
        // The first of the two was there before.
        names = names.split_off(names.len().min(1));
    }
    Some((action, names))
}

/// All about an image; `None` if there is none of this name.
///
/// # Errors
/// The store cannot be read.
pub fn document(name: &str, home: &Home) -> Result<Option<Value>, Box<dyn Error>> {
    let store = Store::open(&home.images())?;
    match find(&store, name) {
        Err(FindError::None(_) | FindError::Reference(_)) => Ok(None),
        found => Ok(Some(describe(&store, &found?)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_is_found_among_the_flags() {
        for (words, expected) in [
            ("pull --platform linux/arm64 -q ubuntu:20.04", Some(("pull", "ubuntu:20.04"))),
            ("pull -img arm64v8/ubuntu:20.04", Some(("pull", "arm64v8/ubuntu:20.04"))),
            ("tag a b:1", Some(("tag", "b:1"))),
            ("tag", Some(("tag", ""))),
            ("rmi -f a", Some(("untag", "a"))),
            ("images -q", None),
        ] {
            let mut words = words.split(' ');
            let command = words.next().unwrap_or_default();
            let found = change(&ImageArgs { command, words: words.map(OsString::from).collect() });
            let found = found.map(|(action, names)| (action, names.join(" ")));
            assert_eq!(found.as_ref().map(|(action, names)| (*action, names.as_str())), expected);
        }
    }
}
