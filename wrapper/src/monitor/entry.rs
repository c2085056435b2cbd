//! From the process's arguments to its exit status.

use super::{NAME, VERSION, life};
use crate::home::{Home, Wishes};
use crate::init;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Runs the program of the monitor with the arguments and the environment of this process.
#[must_use]
pub fn main_entry() -> ExitCode {
    let mut words = std::env::args_os();
    let own = words.next().unwrap_or_default();
    let status = match Path::new(&own).file_name() {
        Some(name) if name == init::NAME => init::main_of_init(words),
        _ => main_of_monitor(words),
    };
    ExitCode::from(status)
}

/// What goes wrong is told to the monitor's first client; the exit status says no more than that something did.
fn main_of_monitor(mut words: impl Iterator<Item = OsString>) -> u8 {
    let mut path = || words.next().map(PathBuf::from);
    let (Some(directory), Some(root), Some(run_root)) = (path(), path(), path()) else {
        let text = "this is started by mydocker, which says what container it is to look after";
        // When standard error is closed there is nobody left to tell.
        writeln!(std::io::stderr(), "{NAME}: {text}").unwrap_or_default();
        return 125;
    };
    let runtime = words.next().and_then(|word| word.into_string().ok());
    let version = words.next().unwrap_or_default();
    if version != VERSION {
        life::refuse(&other_version(&version.to_string_lossy()));
        return 125;
    }
    let home =
        Home::find(Wishes { root: Some(root), run_root: Some(run_root), runtime, ..Wishes::default() });
    u8::from(!home.is_ok_and(|home| life::live(&home, &directory).is_ok()))
}

fn other_version(theirs: &str) -> String {
    let own = std::env::current_exe().unwrap_or_else(|_| PathBuf::from(NAME));
    let theirs = if theirs.is_empty() { "an earlier one" } else { theirs };
    format!(
        "{} is of version {VERSION}, and mydocker of {theirs}; install both of the same version, or name such a monitor in MYDOCKER_MONITOR",
        own.display()
    )
}
