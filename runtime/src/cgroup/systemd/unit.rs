//! From `cgroupsPath` to a scope below a slice.

use crate::cgroup::layout::Controller;
use serde::{Deserialize, Serialize};

/// Which systemd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Instance {
    /// The first process of the system.
    System,
    /// The user's own.
    User,
}

/// A transient scope and the slice that it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// The scope's name, such as `docker-1234.scope`.
    pub name: String,
    /// The slice's name, such as `system.slice`; `-.slice` is the root.
    pub slice: String,
}

/// Why a `cgroupsPath` names no unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// It has not the form of a unit.
    #[error(
        "/linux/cgroupsPath: {0:?} has not the form slice:prefix:name of the systemd driver; write it so, or run without --systemd-cgroup"
    )]
    Form(String),
    /// The slice's name is none.
    #[error(
        "/linux/cgroupsPath: {0:?} is no slice; a name such as \"system.slice\" or \"machine-a.slice\" is needed, with single dashes between its parents"
    )]
    Slice(String),
    /// It names a slice where the container must be in a scope.
    #[error(
        "/linux/cgroupsPath: {0:?} is a slice, which systemd puts no processes into; give the container a name that does not end in \".slice\""
    )]
    NotAScope(String),
    /// systemd allows no such name.
    #[error(
        "/linux/cgroupsPath: {0:?} is no name of a unit: it has at most 255 letters, digits and characters of \":-_.\\@\""
    )]
    Name(String),
}

/// What a unit is called before its id unless `cgroupsPath` says otherwise.
const PREFIX: &str = "mydocker";

impl Unit {
    /// The unit that `cgroups_path` names: `slice:prefix:name`, where an empty slice stands for `system.slice` (of a
    /// user's systemd `user.slice`). An empty path stands for a name made of the id.
    ///
    /// # Errors
    /// [`UnitError`]
    pub fn parse(cgroups_path: &str, id: &str, instance: Instance) -> Result<Self, UnitError> {
        let (slice, name) = match cgroups_path.split(':').collect::<Vec<_>>()[..] {
            [""] => ("", format!("{PREFIX}-{}.scope", escape(id))),
            [_, _, name] if name.ends_with(".slice") => return Err(UnitError::NotAScope(name.into())),
            [slice, prefix, name] => (slice, format!("{prefix}-{name}.scope")),
            _ => return Err(UnitError::Form(cgroups_path.into())),
        };
        let slice = match (slice, instance) {
            ("", Instance::System) => "system.slice",
            ("", Instance::User) => "user.slice",
            ("-", _) => "-.slice",
            (slice, _) => slice,
        };
        check_slice(slice)?;
        if !is_unit_name(&name) {
            return Err(UnitError::Name(name));
        }
        Ok(Self { name, slice: slice.into() })
    }

    /// The cgroup of the unit below that of its systemd: `a.slice/a-b.slice/x.scope`.
    #[must_use]
    pub fn path(&self) -> String {
        let mut path = String::new();
        let stem = self.slice.trim_end_matches(".slice");
        if stem != "-" {
            // Each dash begins a slice below the one that is named by what comes before it (systemd.slice(5)).
            let ends = stem.match_indices('-').map(|(place, _)| place).chain([stem.len()]);
            ends.for_each(|end| path.extend([&directory(&format!("{}.slice", &stem[..end])), "/"]));
        }
        path + &directory(&self.name)
    }
}

fn check_slice(slice: &str) -> Result<(), UnitError> {
    let wrong = || UnitError::Slice(slice.into());
    let stem = slice.strip_suffix(".slice").ok_or_else(wrong)?;
    let parents_have_names = stem.split('-').all(|part| !part.is_empty());
    if is_unit_name(slice) && (stem == "-" || parents_have_names) { Ok(()) } else { Err(wrong()) }
}

fn is_unit_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    !name.is_empty() && name.len() <= 255 && name.bytes().all(allowed)
}

/// Ids may have a `+`, names of units may not; the escape is that of `systemd-escape(1)`.
fn escape(id: &str) -> String {
    id.replace('+', "\\x2b")
}

/// The name of a unit's directory: one that could be taken for a control file gets an underscore before it
/// (`cg_escape` of systemd).
fn directory(name: &str) -> String {
    let of_controller = |controller: Controller| {
        [controller.name(), controller.unified_name()]
            .iter()
            .any(|prefix| name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.')))
    };
    let reserved = name.starts_with(['_', '.'])
        || name.starts_with("cgroup.")
        || Controller::ALL.into_iter().any(of_controller);
    if reserved { format!("_{name}") } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str) -> Result<Unit, UnitError> {
        Unit::parse(path, "id+1", Instance::System)
    }

    fn unit(slice: &str, name: &str) -> Unit {
        Unit { name: name.into(), slice: slice.into() }
    }

    #[test]
    fn a_path_names_a_scope_below_a_slice() {
        assert_eq!(parse("system.slice:docker:1234"), Ok(unit("system.slice", "docker-1234.scope")));
        assert_eq!(parse(":x:y"), Ok(unit("system.slice", "x-y.scope")));
        assert_eq!(parse("-:x:y"), Ok(unit("-.slice", "x-y.scope")));
        assert_eq!(parse("a.slice::y"), Ok(unit("a.slice", "-y.scope")));
        let user = Unit::parse(":x:y", "id", Instance::User);
        assert_eq!(user, Ok(unit("user.slice", "x-y.scope")));
    }

    #[test]
    fn without_a_path_the_name_is_made_of_the_id() {
        assert_eq!(parse(""), Ok(unit("system.slice", "mydocker-id\\x2b1.scope")));
    }

    #[test]
    fn slices_are_below_the_slices_that_their_names_begin_with() {
        let path = |slice: &str| parse(&format!("{slice}:x:y")).unwrap().path();
        assert_eq!(path("machine.slice"), "machine.slice/x-y.scope");
        assert_eq!(path("a-b-c.slice"), "a.slice/a-b.slice/a-b-c.slice/x-y.scope");
        assert_eq!(path("-.slice"), "x-y.scope");
        assert_eq!(path(""), "system.slice/x-y.scope");
    }

    #[test]
    fn names_that_look_like_control_files_are_escaped() {
        assert_eq!(parse(":cpu.x:y").unwrap().path(), "system.slice/_cpu.x-y.scope");
        assert_eq!(parse(":io.x:y").unwrap().path(), "system.slice/_io.x-y.scope");
        assert_eq!(parse(":_x:y").unwrap().path(), "system.slice/__x-y.scope");
        assert_eq!(parse(":cpux:y").unwrap().path(), "system.slice/cpux-y.scope");
    }

    #[test]
    fn what_is_no_unit_is_refused_by_name() {
        assert_eq!(parse("/a/b"), Err(UnitError::Form("/a/b".into())));
        assert_eq!(parse("a.slice:b"), Err(UnitError::Form("a.slice:b".into())));
        assert_eq!(parse("a:b:c:d"), Err(UnitError::Form("a:b:c:d".into())));
        for slice in
            ["system", ".slice", "-a.slice", "a--b.slice", "a-.slice", "a.slice/b.slice", "a b.slice"]
        {
            assert_eq!(parse(&format!("{slice}:x:y")), Err(UnitError::Slice(slice.into())));
        }
        assert_eq!(parse("a.slice:x:y.slice"), Err(UnitError::NotAScope("y.slice".into())));
        assert_eq!(parse(":x:y/z"), Err(UnitError::Name("x-y/z.scope".into())));
        assert!(matches!(parse(&format!(":x:{}", "y".repeat(255))), Err(UnitError::Name(_))));
    }
}
