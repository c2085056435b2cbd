//! What a directory takes.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The sizes of all files below a directory, a file with several links being counted once. What goes away meanwhile counts
/// nothing.
///
/// # Errors
/// The directory that cannot be read, and what the kernel says.
pub fn of_directory(path: &Path) -> Result<u64, (PathBuf, io::Error)> {
    let mut seen = std::collections::HashSet::new();
    let mut waiting = vec![path.to_owned()];
    let mut size = 0;
    while let Some(directory) = waiting.pop() {
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other.map_err(|error| (directory.clone(), error))?,
        };
        for entry in entries {
            let entry = entry.map_err(|error| (directory.clone(), error))?;
            // This one does not follow links.
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                waiting.push(entry.path());
            } else if metadata.nlink() < 2 || seen.insert((metadata.dev(), metadata.ino())) {
                size += metadata.len();
            }
        }
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_count_once_and_nowhere_counts_nothing() {
        let place = tempfile::tempdir().expect("a directory");
        fs::create_dir(place.path().join("in")).expect("room");
        fs::write(place.path().join("in/file"), "12345").expect("room");
        fs::hard_link(place.path().join("in/file"), place.path().join("again")).expect("room");
        assert_eq!(of_directory(place.path()).expect("a size"), 5);
        assert_eq!(of_directory(&place.path().join("nowhere")).expect("a size"), 0);
    }
}
