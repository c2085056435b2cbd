//! Who takes part: the runtimes, found by path and by environment, and the floor program.

use crate::arena::{Arena, find_program};
use crate::engines::Engine;
use crate::meter::Meter;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The name of this project's runtime in every table.
pub const OURS: &str = "mydocker-runtime";
/// The runtime that the targets compare with.
pub const REFERENCE: &str = "crun";
/// The engine that the targets compare with.
pub const REFERENCE_ENGINE: &str = "podman";
/// The floor program with cgroup work.
pub const FLOOR_WITH_CGROUPS: &str = "floor+cgroups";

/// What an entrant is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// An OCI runtime with a state root of its own.
    Oci {
        /// The value of `--root`.
        root: PathBuf,
    },
    /// The program that makes the bare system calls.
    Floor {
        /// Whether it does the cgroup work too.
        cgroups: bool,
    },
    /// What people type commands to.
    Engine(Engine),
    /// The program that copies what it reads to a file.
    Cat {
        /// The cgroup of what it reads from.
        producers: PathBuf,
        /// How many lines' bytes.
        log_lines: u64,
    },
}

/// One program that is measured.
#[derive(Debug, Clone)]
pub struct Entrant {
    /// Its name in the tables.
    pub name: String,
    /// The program.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// What is asked for the CPU time that it takes.
    pub meter: Meter,
    /// What it says of itself, or why it cannot take part.
    pub facts: Result<Facts, String>,
}

/// What is known of a program without running a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The first line of `--version`; empty for the floor program.
    pub version: String,
    /// Its size in bytes; of a dynamically linked program without its libraries.
    pub size: u64,
}

impl Facts {
    /// The same of a program that works with another one.
    #[must_use]
    pub fn with(self, other: &str) -> Self {
        Self { version: format!("{}, with {other}", self.version), ..self }
    }
}

/// Everybody who takes part, in the order of the tables: ours, crun, runc, those of the environment, the floor.
///
/// # Errors
/// A state root cannot be made.
pub fn entrants(arena: &Arena, ours: &Path) -> std::io::Result<Vec<Entrant>> {
    let mut programs = vec![(OURS.to_owned(), std::path::absolute(ours)?)];
    for name in [REFERENCE, "runc"] {
        programs.push((name.into(), find_program(name).unwrap_or_else(|| name.into())));
    }
    for (name, path) in named_by_environment(std::env::vars_os()) {
        let path = std::path::absolute(path)?;
        match programs.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = path,
            None => programs.push((name, path)),
        }
    }
    // A report is for other machines too: paths in it begin at the top of the project.
    let working_directory = std::env::current_dir()?.join("").display().to_string();
    let mut entrants = Vec::new();
    for (name, path) in programs {
        let root = arena.path("state").join(&name);
        std::fs::create_dir_all(&root)?;
        let facts = facts(&path).map_err(|reason| reason.replace(&*working_directory, ""));
        entrants.push(Entrant { name, path, kind: Kind::Oci { root }, meter: Meter::Children, facts });
    }
    entrants.extend(
        [("floor", false), (FLOOR_WITH_CGROUPS, true)].map(|(name, cgroups)| floor(arena, name, cgroups)),
    );
    Ok(entrants)
}

fn floor(arena: &Arena, name: &str, cgroups: bool) -> Entrant {
    let path = arena.path("floor");
    let facts = size(&path).map(|size| Facts { version: String::new(), size });
    Entrant { name: name.into(), path, kind: Kind::Floor { cgroups }, meter: Meter::Children, facts }
}

/// `BENCH_NAME=PATH` as a name for the tables ("BENCH_CRUN_NEW" is "crun-new") and a path.
fn named_by_environment(variables: impl Iterator<Item = (OsString, OsString)>) -> Vec<(String, PathBuf)> {
    let mut found: Vec<(String, PathBuf)> = variables
        .filter_map(|(key, value)| {
            let name = key.to_str()?.strip_prefix("BENCH_")?.to_lowercase().replace('_', "-");
            (!name.is_empty() && !value.is_empty()).then(|| (name, PathBuf::from(value)))
        })
        .collect();
    found.sort();
    found
}

fn size(path: &Path) -> Result<u64, String> {
    std::fs::metadata(path).map(|data| data.len()).map_err(|error| format!("{}: {error}", path.display()))
}

/// What a program says of itself, or why it cannot take part.
///
/// # Errors
/// It is not there, or cannot be run.
pub fn facts(path: &Path) -> Result<Facts, String> {
    let size = size(path)?;
    let output = Command::new(path).arg("--version").output();
    let output = output.map_err(|error| format!("{} --version: {error}", path.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(Facts { version: text.lines().next().unwrap_or("tells no version").to_owned(), size })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_further_runtimes() {
        let variables =
            [("BENCH_YOUKI", "/y"), ("PATH", "/bin"), ("BENCH_CRUN_NEW", "/c"), ("BENCH_EMPTY", "")];
        let found =
            named_by_environment(variables.map(|(key, value)| (key.into(), value.into())).into_iter());
        assert_eq!(found, [("crun-new".into(), PathBuf::from("/c")), ("youki".into(), PathBuf::from("/y"))]);
    }

    #[test]
    fn a_missing_program_is_told_by_its_path() {
        let reason = facts(Path::new("/nowhere/crun")).unwrap_err();
        assert!(reason.starts_with("/nowhere/crun: No such file"), "{reason}");
    }
}
