//! `--security-opt`.

use std::path::PathBuf;

/// What `--security-opt` says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Security {
    /// Programs of the container never get more privileges than it has.
    pub no_new_privileges: bool,
    /// The filter of system calls.
    pub seccomp: Seccomp,
    /// The profile of AppArmor.
    pub apparmor: Option<String>,
    /// The label of SELinux.
    pub label: Option<String>,
    /// Nothing of `/proc` and `/sys` is masked.
    pub unmasked: bool,
}

/// Where the filter of system calls comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Seccomp {
    /// The default one.
    #[default]
    Default,
    /// There is none.
    Unconfined,
    /// A file in docker's or the OCI's format.
    File(PathBuf),
}

/// An option that is not known.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "--security-opt {0:?} is not known; there are no-new-privileges, seccomp=FILE, seccomp=unconfined, apparmor=PROFILE, label=disable, label=LABEL and systempaths=unconfined"
)]
pub struct SecurityError(String);

impl Security {
    /// Reads the options, whose names and values docker separates with `=`, and once with `:`.
    ///
    /// # Errors
    /// [`SecurityError`]: the first that is not known.
    pub fn parse(options: &[String]) -> Result<Self, SecurityError> {
        let mut security = Self::default();
        for option in options {
            let (name, value) = option.split_once(['=', ':']).unwrap_or((option, ""));
            match (name, value) {
                ("no-new-privileges", "" | "true") => security.no_new_privileges = true,
                ("no-new-privileges", "false") => security.no_new_privileges = false,
                ("seccomp", "unconfined") => security.seccomp = Seccomp::Unconfined,
                ("seccomp", "builtin") => security.seccomp = Seccomp::Default,
                ("seccomp", path) if !path.is_empty() => security.seccomp = Seccomp::File(path.into()),
                ("apparmor", "unconfined") => security.apparmor = None,
                ("apparmor", profile) if !profile.is_empty() => security.apparmor = Some(profile.to_owned()),
                ("label", "disable") => security.label = None,
                ("label", label) if label.split(':').count() >= 4 => security.label = Some(label.to_owned()),
                ("systempaths", "unconfined") => security.unmasked = true,
                _ => return Err(SecurityError(option.clone())),
            }
        }
        Ok(security)
    }
}
