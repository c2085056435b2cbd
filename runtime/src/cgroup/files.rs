//! Control files that are opened one after another while a cgroup is made, and closed together: that takes one or two
//! system calls instead of one for each.

use super::manager::MAX_FILE;
use mydocker_sys::{self as sys, OwnedFd, close, fs};
use std::path::Path;

/// Those that are open.
#[derive(Debug, Default)]
pub(in crate::cgroup) struct Files(Vec<OwnedFd>);

impl Files {
    /// Reads a control file of one value.
    pub(super) fn read(&mut self, path: &Path) -> sys::Result<String> {
        let file = fs::open(path, fs::OFlag::O_RDONLY)?;
        let text = fs::read_record(&file, MAX_FILE);
        self.keep(file);
        Ok(String::from_utf8_lossy(&text?).into_owned())
    }

    /// Writes a control file.
    pub(super) fn write(&mut self, path: &Path, text: &str) -> sys::Result<()> {
        let file = fs::open(path, fs::OFlag::O_WRONLY)?;
        let written = fs::write_once(&file, text.as_bytes());
        self.keep(file);
        written
    }

    /// Takes one that is done with.
    pub(super) fn keep(&mut self, file: OwnedFd) {
        self.0.push(file);
    }

    /// Closes all.
    pub(super) fn close(self) -> sys::Result<()> {
        close::all(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_open(path: &Path) -> bool {
        let links = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        links.filter_map(|link| std::fs::read_link(link.path()).ok()).any(|target| target == path)
    }

    #[test]
    fn a_value_of_any_length_is_read_and_written_and_its_file_closed_at_the_end() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().canonicalize().unwrap().join("cpuset.cpus");
        for length in [0, 10, 4095, 4096, 4097, 8192, 20_000] {
            std::fs::write(&path, "").unwrap();
            let mut files = Files::default();
            let value = "7".repeat(length);
            files.write(&path, &value).unwrap();
            assert_eq!(files.read(&path).unwrap(), value);
            assert!(is_open(&path));
            files.close().unwrap();
            assert!(!is_open(&path));
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = Files::default().read(Path::new("/nowhere/cpuset.cpus")).unwrap_err().to_string();
        assert!(error.contains("/nowhere/cpuset.cpus") && error.contains("ENOENT"), "{error}");
    }
}
