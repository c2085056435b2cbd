//! What can be typed, described to shells and to readers of manuals.

use super::entry::described;
use super::{CompletionArgs, ManArgs, Outcome};
use clap_complete::aot::{Bash, Fish, Generator, Zsh, generate};
use mydocker_cmdline::print;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Why there is no manual page.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {0:?}")]
struct ManError(PathBuf, #[source] io::Error);

/// Prints what makes a shell complete command lines.
pub(super) fn completion(args: &CompletionArgs) -> Outcome {
    let script = match args.shell.as_str() {
        "bash" => script(Bash),
        "fish" => script(Fish),
        _ => script(Zsh),
    };
    print(&script)?;
    Ok(0)
}

fn script(shell: impl Generator) -> String {
    let mut bytes = Vec::new();
    let mut program = described();
    let name = program.get_name().to_owned();
    generate(shell, &mut program, name, &mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Writes a page for the program, and one for each command.
pub(super) fn man(args: &ManArgs) -> Outcome {
    let directory = &args.directory;
    fs::create_dir_all(directory).map_err(|source| ManError(directory.clone(), source))?;
    // The names of pages, such as mydocker-volume-create, come with the rest that is derived from the tree.
    let mut program = described().disable_help_subcommand(true);
    program.build();
    pages(&program, directory)?;
    Ok(0)
}

fn pages(command: &clap::Command, directory: &Path) -> Result<(), ManError> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).replace(' ', "-");
    let path = directory.join(format!("{name}.1"));
    let mut page = Vec::new();
    let failed = |source| ManError(path.clone(), source);
    clap_mangen::Man::new(command.clone()).title(name).render(&mut page).map_err(failed)?;
    fs::write(&path, page).map_err(failed)?;
    command.get_subcommands().try_for_each(|command| pages(command, directory))
}
