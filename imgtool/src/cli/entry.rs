//! From the process's arguments to its exit status.

use super::{
    BundleArgs, Command, CommitArgs, Context, DfArgs, DiffArgs, Environment, ExportArgs, FsckArgs, GcArgs,
    GlobalArgs, HistoryArgs, ImagesArgs, ImportArgs, InspectArgs, LoadArgs, LoginArgs, LogoutArgs, MountArgs,
    PruneArgs, PullArgs, PushArgs, ReferrersArgs, RmiArgs, SaveArgs, TagArgs, UnmountArgs, UnpackArgs,
    VerifyArgs, chain,
};
use crate::commands;
use mydocker_cmdline::{Entry, Program, Request, UsageError, entry, one_line, print};
use std::error::Error;
use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

/// The program, by the name that a person knows.
fn program() -> Program<Command> {
    let about = "Pulls, keeps, changes and pushes OCI and docker images";
    Program { name: if is_mydocker() { MYDOCKER } else { "mydocker-img" }, about, commands: &[COMMANDS] }
}

/// The name that this program is started by when it carries out a command of `mydocker`.
pub const MYDOCKER: &str = "mydocker";

fn is_mydocker() -> bool {
    std::env::args_os().next().is_some_and(|name| name == MYDOCKER)
}

/// Flags of docker's that are refused by name, each with what to do.
type Flags = &'static [(&'static str, &'static str)];

const ONE_BY_ONE: &str = "name each tag; 'mydocker-img inspect --remote' lists those of a registry";
const BY_POLICY: &str = "policy.json says whose signatures are asked for; leave it out";

const OF_PULL: Flags = &[("all-tags", ONE_BY_ONE), ("a", ONE_BY_ONE), ("disable-content-trust", BY_POLICY)];
const OF_PUSH: Flags = &[
    ("all-tags", ONE_BY_ONE),
    ("a", ONE_BY_ONE),
    ("disable-content-trust", "nothing is signed; leave it out"),
];
const OF_RMI: Flags =
    &[("no-prune", "what nothing needs goes with its last name; give it another one by 'tag' to keep it")];

/// Every command that exists, in the order of the help text.
const COMMANDS: &[Entry<Command>] = &[
    entry!("bundle", "Make an image a bundle that any OCI runtime runs", BundleArgs, Command::Bundle),
    entry!("commit", "Make an image of what was changed in a bundle", CommitArgs, Command::Commit),
    entry!("df", "Tell what the image store takes, and what of it could go", DfArgs, Command::Df),
    entry!("fsck", "Check whether the image store is whole, and mend it", FsckArgs, Command::Fsck),
    entry!("diff", "Tell what differs between two images, or in a bundle", DiffArgs, Command::Diff),
    entry!("export", "Write the whole tree of an image or a bundle as one tar", ExportArgs, Command::Export),
    entry!("gc", "Remove what no name leads to, and what killed commands have left", GcArgs, Command::Gc),
    entry!("history", "Show how the layers of an image came about", HistoryArgs, Command::History),
    entry!("images", "List the images", ImagesArgs, Command::Images),
    entry!("import", "Make a tar of a root file system an image", ImportArgs, Command::Import),
    entry!("inspect", "Show all that is known of images", InspectArgs, Command::Inspect),
    entry!("load", "Bring in the images of an archive", LoadArgs, Command::Load),
    entry!("login", "Keep a name and a password for a registry", LoginArgs, Command::Login),
    entry!("logout", "Forget what is kept for a registry", LogoutArgs, Command::Logout),
    entry!("mount", "Mount an image to be looked at", MountArgs, Command::Mount),
    entry!("prune", "Remove images that nobody needs", PruneArgs, Command::Prune),
    entry!("pull", "Fetch an image from a registry", PullArgs, Command::Pull).with_refused(OF_PULL),
    entry!("push", "Bring an image to a registry", PushArgs, Command::Push).with_refused(OF_PUSH),
    entry!("referrers", "List what a registry has about an image", ReferrersArgs, Command::Referrers),
    entry!("rmi", "Take names away, and remove images without a name", RmiArgs, Command::Rmi)
        .with_refused(OF_RMI),
    entry!("save", "Write images to an archive that other programs load", SaveArgs, Command::Save),
    entry!("tag", "Give an image one more name", TagArgs, Command::Tag),
    entry!("umount", "The same as unmount", UnmountArgs, Command::Unmount),
    entry!("unmount", "Take mounts of images and of bundles away", UnmountArgs, Command::Unmount),
    entry!("unpack", "Make an image a root file system", UnpackArgs, Command::Unpack),
    entry!("verify", "Check an image's digests and its signatures", VerifyArgs, Command::Verify),
];

/// What a command leads to: the exit status.
type Outcome = Result<u8, Box<dyn Error>>;

/// Runs the program with the arguments and the environment of this process.
#[must_use]
pub fn main_entry() -> ExitCode {
    match run(std::env::args_os().skip(1)) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            complain(&*error);
            ExitCode::from(status_of(&*error))
        }
    }
}

/// `mydocker` has docker's 125 for flags that are wrong.
fn status_of(error: &(dyn Error + 'static)) -> u8 {
    match error.downcast_ref() {
        Some(UsageError::Arguments { .. }) if is_mydocker() => 125,
        _ => 1,
    }
}

fn run(words: impl IntoIterator<Item = OsString>) -> Outcome {
    let program = program();
    let (global, rest) = program.parse_global::<GlobalArgs>(words)?;
    if global.version {
        print(&format!("{} version {}\n", program.name, env!("CARGO_PKG_VERSION")))?;
        return Ok(0);
    }
    match program.parse_command::<GlobalArgs>(rest)? {
        Request::Print(text) => print(&text).map(|()| 0).map_err(Into::into),
        Request::Command(command) => dispatch(command, &Context::new(&global, Environment::probe())?),
    }
}

fn dispatch(command: Command, context: &Context) -> Outcome {
    match command {
        Command::Bundle(args) => commands::bundle(&args, context)?,
        Command::Commit(args) => commands::commit_command(&args, context)?,
        Command::Df(args) => commands::df(&args, context)?,
        Command::Fsck(args) => commands::fsck(&args, context)?,
        Command::Diff(args) => commands::diff_command(&args, context)?,
        Command::Export(args) => commands::export_command(&args, context)?,
        Command::Gc(args) => commands::gc(&args, context)?,
        Command::History(args) => commands::history(&args, context)?,
        Command::Images(args) => commands::images(&args, context)?,
        Command::Import(args) => commands::import_command(&args, context)?,
        Command::Inspect(args) => commands::inspect(&args, context)?,
        Command::Load(args) => commands::load_command(&args, context)?,
        Command::Login(args) => commands::login(&args, context)?,
        Command::Logout(args) => commands::logout(&args, context)?,
        Command::Mount(args) => commands::mount(&args, context)?,
        Command::Prune(args) => commands::prune(&args, context)?,
        Command::Pull(args) => commands::pull(&args, context)?,
        Command::Push(args) => commands::push(&args, context)?,
        Command::Referrers(args) => commands::referrers(&args, context)?,
        Command::Rmi(args) => commands::rmi(&args, context)?,
        Command::Save(args) => commands::save_command(&args, context)?,
        Command::Tag(args) => commands::tag(&args, context)?,
        Command::Unmount(args) => commands::unmount(&args, context)?,
        Command::Unpack(args) => commands::unpack(&args, context)?,
        Command::Verify(args) => commands::verify(&args, context)?,
    }
    Ok(0)
}

/// Prints the chain of errors in one line; what strangers put into it cannot reach the terminal as it is.
pub(crate) fn complain(error: &(dyn Error + 'static)) {
    let mut text = chain(error);
    if let Some(usage) = error.downcast_ref::<UsageError>() {
        text.push_str("; ");
        text.push_str(usage.hint());
    }
    // When standard error is closed there is nobody left to tell.
    writeln!(std::io::stderr(), "{}: {}", program().name, one_line(&text)).unwrap_or_default();
}
