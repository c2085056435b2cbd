//! Whether `run` was given a container's id or a bundle.

use super::RunArgs;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// The container that `run` makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its bundle; none for the working directory.
    pub bundle: Option<PathBuf>,
    /// Its id, not yet checked.
    pub id: String,
}

/// Why there is no id.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The directory's name is no text, or it is the root directory.
    #[error(
        "the bundle {0:?} has no name that could be the container's id; use run --bundle DIR CONTAINER-ID"
    )]
    Nameless(PathBuf),
    /// The id is not UTF-8.
    #[error("the container id {0:?} is not valid UTF-8")]
    NotText(std::ffi::OsString),
}

/// Tells `run ID` from `run DIR`.
///
/// The argument is a bundle directory if `--bundle` is not given and it
/// - contains a `/`, or is `.` or `..` (no id can), or
/// - names a directory with a `config.json` while the working directory has none.
///
/// Then the id is the last name of the directory's absolute path. In all other cases the argument is the id, as runc
/// has it. `cwd` gives the working directory's path, `has_config` tells whether a directory has a `config.json`; both
/// are asked only where the answer matters.
///
/// # Errors
/// [`TargetError`] where no id results.
pub fn choose_bundle(
    args: &RunArgs,
    cwd: impl FnOnce() -> PathBuf,
    has_config: impl Fn(&Path) -> bool,
) -> Result<Target, TargetError> {
    let word = args.target.as_os_str();
    let bundle = Path::new(word);
    if args.launch.bundle.is_none() && names_bundle(word, has_config) {
        let id = last_name(&cwd().join(bundle)).ok_or_else(|| TargetError::Nameless(bundle.to_owned()))?;
        return Ok(Target { bundle: Some(bundle.to_owned()), id });
    }
    let id = word.to_str().ok_or_else(|| TargetError::NotText(word.to_owned()))?;
    Ok(Target { bundle: args.launch.bundle.clone(), id: id.to_owned() })
}

fn names_bundle(word: &OsStr, has_config: impl Fn(&Path) -> bool) -> bool {
    let path_like = word.as_bytes().contains(&b'/') || word == "." || word == "..";
    path_like || (!word.is_empty() && !has_config(Path::new(".")) && has_config(Path::new(word)))
}

/// The last name of an absolute path without `.` and `..`.
fn last_name(path: &Path) -> Option<String> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name),
            Component::ParentDir => drop(names.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    names.last()?.to_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::LaunchArgs;
    use std::ffi::OsString;

    fn choose(bundle: Option<&str>, word: &str, with_config: &[&str]) -> Result<Target, TargetError> {
        let args = RunArgs {
            launch: LaunchArgs { bundle: bundle.map(PathBuf::from), ..LaunchArgs::default() },
            detach: false,
            keep: false,
            no_subreaper: false,
            target: OsString::from(word),
        };
        choose_bundle(
            &args,
            || PathBuf::from("/home/me"),
            |path| with_config.iter().any(|known| path == Path::new(known)),
        )
    }

    fn id_of(target: Result<Target, TargetError>) -> (Option<PathBuf>, String) {
        target.map(|target| (target.bundle, target.id)).expect("a target")
    }

    #[test]
    fn a_word_that_can_be_no_id_is_a_bundle() {
        for (word, id) in [
            ("./web", "web"),
            ("a/web/", "web"),
            ("/srv/web", "web"),
            (".", "me"),
            ("..", "home"),
            ("../x/..", "home"),
        ] {
            assert_eq!(id_of(choose(None, word, &[])), (Some(PathBuf::from(word)), id.to_owned()), "{word}");
        }
    }

    #[test]
    fn a_directory_with_a_config_is_a_bundle_unless_the_working_directory_is_one() {
        assert_eq!(id_of(choose(None, "web", &["web"])), (Some("web".into()), "web".into()));
        assert_eq!(id_of(choose(None, "web", &["web", "."])), (None, "web".into()));
        assert_eq!(id_of(choose(None, "web", &[])), (None, "web".into()));
    }

    #[test]
    fn with_a_bundle_given_the_word_is_the_id() {
        assert_eq!(id_of(choose(Some("/b"), "a/b", &[])), (Some("/b".into()), "a/b".into()));
        assert_eq!(id_of(choose(Some("/b"), "web", &["web"])), (Some("/b".into()), "web".into()));
    }

    #[test]
    fn the_root_directory_gives_no_name() {
        assert!(matches!(choose(None, "/", &[]), Err(TargetError::Nameless(_))));
    }
}
