//! The options of the driver `local`. Of what docker would mount, only a directory of the host is left: it needs no mount
//! that somebody would have to undo.

use super::VolumeError;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Demands that options have an effect here.
///
/// # Errors
/// [`VolumeError::Option`].
pub fn check_options(options: &BTreeMap<String, String>) -> Result<(), VolumeError> {
    // In reverse, so that the type, which explains the rest, is refused first.
    for (name, value) in options.iter().rev() {
        let refused = match (name.as_str(), value.as_str()) {
            ("type", "" | "none" | "bind") | ("o", "bind" | "rbind") => None,
            ("type", "tmpfs") => Some("'run --tmpfs' gives a container a directory in memory"),
            ("type", _) => Some("mount the file system on the host, and name its directory as the device"),
            ("o", _) => Some("'bind' and 'rbind' are"),
            ("device", path) if Path::new(path).is_absolute() => None,
            ("device", _) => Some("it has to be the absolute path of a directory of the host"),
            _ => Some("there are type=none, o=bind and device=DIR"),
        };
        if let Some(hint) = refused {
            return Err(VolumeError::Option { name: name.clone(), value: value.clone(), hint });
        }
    }
    match (device(options), options.is_empty()) {
        (Some(device), _) if !device.is_dir() => {
            let value = device.to_string_lossy().into_owned();
            let hint = "there is no such directory on the host";
            Err(VolumeError::Option { name: "device".to_owned(), value, hint })
        }
        (None, false) => {
            let (name, value) = options
                .first_key_value()
                .map(|(name, value)| (name.clone(), value.clone()))
                .unwrap_or_default();
            Err(VolumeError::Option { name, value, hint: "it needs device=DIR as well" })
        }
        _ => Ok(()),
    }
}

/// The directory of the host that options name.
pub(super) fn device(options: &BTreeMap<String, String>) -> Option<PathBuf> {
    options.get("device").map(PathBuf::from)
}
