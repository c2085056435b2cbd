//! The options of the driver `local`: a directory of the host, or a file system that is mounted while containers use it.

use super::{VolumeError, mounts};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const NAMES: &str = "there are type=TYPE, device=DEVICE and o=OPTIONS, as for mount(8)";

/// Demands that options have an effect here.
///
/// # Errors
/// [`VolumeError::Option`].
pub fn check_options(options: &BTreeMap<String, String>) -> Result<(), VolumeError> {
    if mounts::file_system(options).is_some() {
        return check_file_system(options);
    }
    // In reverse, so that the type, which explains the rest, is refused first.
    for (name, value) in options.iter().rev() {
        let refused = match (name.as_str(), value.as_str()) {
            ("type", "" | "none" | "bind") | ("o", "bind" | "rbind") => None,
            ("o", _) => Some("for a directory of the host there are 'bind' and 'rbind'"),
            ("device", path) if Path::new(path).is_absolute() => None,
            ("device", _) => Some("it has to be the absolute path of a directory of the host"),
            _ => Some(NAMES),
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

/// Whether it can be mounted is seen when a container needs it, as with docker.
fn check_file_system(options: &BTreeMap<String, String>) -> Result<(), VolumeError> {
    let is_known = |name: &str| matches!(name, "type" | "device" | "o");
    if let Some((name, value)) = options.iter().find(|(name, _)| !is_known(name)) {
        return Err(VolumeError::Option { name: name.clone(), value: value.clone(), hint: NAMES });
    }
    if options.get("device").is_none_or(String::is_empty) {
        let value = options.get("type").cloned().unwrap_or_default();
        let hint = "it needs device= as well: 'tmpfs', a block device, or what a server exports";
        return Err(VolumeError::Option { name: "type".to_owned(), value, hint });
    }
    Ok(())
}

/// The directory of the host that options name.
pub(super) fn device(options: &BTreeMap<String, String>) -> Option<PathBuf> {
    let device = options.get("device").filter(|_| mounts::file_system(options).is_none());
    device.map(PathBuf::from)
}
