//! `--security-opt`.

use serde_json::Value;

/// The parts of a label of SELinux, and what containers have of each where nothing else is asked for.
const LABEL: [(&str, &str); 4] =
    [("user", "system_u"), ("role", "system_r"), ("type", "container_t"), ("level", "s0")];

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
    /// One in docker's or the OCI's format.
    Profile(Value),
}

/// An option that is not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecurityError {
    /// It is not known.
    #[error(
        "--security-opt {0:?} is not known; there are no-new-privileges, seccomp=FILE, seccomp=unconfined, apparmor=PROFILE, label=disable, label=LABEL, label=user:, role:, type: or level: with a part of one, and systempaths=unconfined"
    )]
    Unknown(String),
    /// A container of an earlier version has the name of a filter's file, and not the filter.
    #[error(
        "the container was made by a version that did not keep filters, and has --security-opt {0:?} instead of one; create it anew"
    )]
    NotKept(String),
}

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
                ("seccomp", profile) if profile.starts_with('{') => {
                    let profile = serde_json::from_str(profile);
                    let unknown = |_| SecurityError::Unknown(option.clone());
                    security.seccomp = Seccomp::Profile(profile.map_err(unknown)?);
                }
                ("seccomp", path) if !path.is_empty() => return Err(SecurityError::NotKept(option.clone())),
                ("apparmor", "unconfined") => security.apparmor = None,
                ("apparmor", profile) if !profile.is_empty() => security.apparmor = Some(profile.to_owned()),
                ("label", "disable") => security.label = None,
                ("label", part) if has_part(part) => security.label = with_part(security.label, part),
                ("label", label) if label.split(':').count() >= 4 => security.label = Some(label.to_owned()),
                ("systempaths", "unconfined") => security.unmasked = true,
                _ => return Err(SecurityError::Unknown(option.clone())),
            }
        }
        Ok(security)
    }

    /// The label of the container's files, which goes with that of its processes.
    #[must_use]
    pub fn file_label(&self) -> Option<String> {
        let mut parts = self.label.as_deref()?.splitn(4, ':');
        let (user, level) = (parts.next()?, parts.nth(2)?);
        Some(format!("{user}:object_r:container_file_t:{level}"))
    }
}

/// Whether a text is a part of a label, such as `type:spc_t`.
fn has_part(text: &str) -> bool {
    text.split_once(':')
        .is_some_and(|(name, value)| LABEL.iter().any(|(known, _)| *known == name) && !value.is_empty())
}

/// The label, or the usual one, with another part.
fn with_part(label: Option<String>, part: &str) -> Option<String> {
    let (name, value) = part.split_once(':')?;
    let at = LABEL.iter().position(|(known, _)| *known == name)?;
    let label = label.unwrap_or_else(|| LABEL.map(|(_, usual)| usual).join(":"));
    let mut parts: Vec<&str> = label.splitn(LABEL.len(), ':').collect();
    *parts.get_mut(at)? = value;
    Some(parts.join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(options: &[&str]) -> Option<String> {
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        Security::parse(&options).expect("known options").label
    }

    #[test]
    fn labels_come_whole_or_in_parts() {
        let whole = "label=a_u:b_r:c_t:s0:c1,c2";
        assert_eq!(label(&[whole]).as_deref(), Some("a_u:b_r:c_t:s0:c1,c2"));
        assert_eq!(label(&["label=type:spc_t"]).as_deref(), Some("system_u:system_r:spc_t:s0"));
        let parts = ["label:level:s0:c1,c2", "label=user:me_u"];
        assert_eq!(label(&parts).as_deref(), Some("me_u:system_r:container_t:s0:c1,c2"));
        assert_eq!(label(&[whole, "label=disable"]), None);
        for wrong in ["label=foo", "label=type:", "label=colour:red"] {
            assert!(Security::parse(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_filter_that_was_not_kept_is_told_from_what_is_not_known() {
        let error = |option: &str| Security::parse(&[option.to_owned()]).expect_err("no known option");
        let text = error("seccomp=/etc/filter.json").to_string();
        assert!(text.contains("/etc/filter.json") && text.contains("create it anew"), "{text}");
        for option in ["seccomp=", "seccomp={", "shirt=red"] {
            assert_eq!(error(option), SecurityError::Unknown(option.to_owned()));
        }
    }

    #[test]
    fn files_have_a_label_of_their_own() {
        let security = Security { label: Some("a_u:b_r:c_t:s0:c1".to_owned()), ..Security::default() };
        assert_eq!(security.file_label().as_deref(), Some("a_u:object_r:container_file_t:s0:c1"));
    }
}
