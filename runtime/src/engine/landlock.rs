//! The rules of Landlock, made of the paths that the container has at this moment.

use super::child::{Child, Fault, Outcome};
use super::failure::Code;
use super::rootfs;
use crate::landlock::{Ruleset, of_single_files};
use crate::plan::TargetRule;
use mydocker_sys::fs;
use mydocker_sys::landlock::{self, Handled};
use std::path::Path;

/// Restricts the process and everything that it becomes.
pub(super) fn restrict(child: &mut Child<'_>, rules: &Ruleset) -> Outcome {
    let handled = Handled { fs: rules.handled_files, net: rules.handled_ports, scoped: rules.scoped };
    let ruleset = landlock::Ruleset::new(handled)?;
    for (path, access) in &rules.paths {
        allow(child, &ruleset, path, *access)?;
    }
    for (port, access) in &rules.ports {
        ruleset.allow_port(*port, *access)?;
    }
    Ok(ruleset.restrict_self()?)
}

/// A path that does not exist would be a hole in whoever's plan asked for it, and is no silent one.
fn allow(child: &mut Child<'_>, ruleset: &landlock::Ruleset, path: &Path, access: u64) -> Outcome {
    let Some(target) = rootfs::open_if_present(child.root()?, path, TargetRule::Inside)? else {
        let message = format!("the path {} of the Landlock rules is not in the container", path.display());
        return Err(Fault::Other(Code::Setup, message));
    };
    let is_directory = fs::fstat(&target)?.st_mode & libc::S_IFMT == libc::S_IFDIR;
    let access = if is_directory { access } else { of_single_files(access) };
    // A rule without rights is refused by the kernel, and gives nothing.
    if access == 0 { Ok(()) } else { Ok(ruleset.allow_beneath(&target, access)?) }
}
