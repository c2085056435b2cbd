//! The second disk: what one start of the machine is handed, copied at the time it is made.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

/// How much room the guest finds on the disk beside what lies there. The file is sparse, so that room costs nothing.
const ROOM: u64 = 4 << 30;

/// Files for the guest, each to appear there at the path that it has here, and the command to carry out.
#[derive(Debug)]
pub struct Payload {
    staging: TempDir,
    paths: Vec<PathBuf>,
}

impl Payload {
    /// An empty one.
    ///
    /// # Errors
    ///
    /// When no temporary directory can be made.
    pub fn new() -> Result<Self> {
        let shm = Path::new("/dev/shm");
        let parent = if shm.is_dir() { shm.to_owned() } else { std::env::temp_dir() };
        let staging = tempfile::Builder::new().prefix("mydocker-vm-").tempdir_in(parent)?;
        fs::set_permissions(staging.path(), fs::Permissions::from_mode(0o755))?;
        Ok(Self { staging, paths: Vec::new() })
    }

    /// Adds the file or directory at the absolute path `path`, with all that is in it.
    ///
    /// # Errors
    ///
    /// When it cannot be copied.
    pub fn add(&mut self, path: &Path) -> Result<()> {
        let copy = self.place(path)?;
        super::run(Command::new("cp").args(["--archive", "--no-target-directory"]).arg(path).arg(copy))?;
        self.show(path);
        Ok(())
    }

    /// Adds one file of the directory `above`, which [`Payload::show`] makes appear as a whole. A program or a
    /// library loses the debugging information that would only take room: no debugger looks at it there.
    ///
    /// # Errors
    ///
    /// When it cannot be copied.
    pub fn add_stripped(&mut self, path: &Path) -> Result<()> {
        let copy = self.place(path)?;
        super::run(Command::new("strip").arg("--strip-debug").arg("-o").arg(copy).arg(path))
    }

    /// The place in the staging directory for `path`; the directories above it are made.
    ///
    /// # Errors
    ///
    /// When `path` is relative, or a directory cannot be made.
    pub fn place(&self, path: &Path) -> Result<PathBuf> {
        let relative = path.strip_prefix("/").with_context(|| format!("{} is relative", path.display()))?;
        let place = self.staging.path().join("files").join(relative);
        if let Some(above) = place.parent() {
            fs::create_dir_all(above).with_context(|| format!("cannot make {}", above.display()))?;
        }
        Ok(place)
    }

    /// Makes what was placed at or below `path` appear in the guest, over what the image has there.
    pub fn show(&mut self, path: &Path) {
        self.paths.push(path.to_owned());
    }

    /// Sets the command: an executable text with an interpreter line.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn command(&mut self, text: &str) -> Result<()> {
        let file = self.staging.path().join("command");
        fs::write(&file, text)?;
        Ok(fs::set_permissions(file, fs::Permissions::from_mode(0o755))?)
    }

    /// Writes the disk to the new file `image`.
    ///
    /// # Errors
    ///
    /// When a path holds a newline, or mkfs.ext4 is missing or fails.
    pub fn write(&self, image: &Path) -> Result<()> {
        let mut list = Vec::new();
        for path in &self.paths {
            ensure!(!path.as_os_str().as_bytes().contains(&b'\n'), "{path:?} cannot be handed in");
            list.extend(path.as_os_str().as_bytes());
            list.push(b'\n');
        }
        fs::create_dir_all(self.staging.path().join("files"))?;
        fs::write(self.staging.path().join("paths"), list)?;
        make_ext4(image, self.staging.path(), ROOM)
    }
}

/// Makes `image` an ext4 file system with the content of `directory` and about `room` bytes more.
pub(super) fn make_ext4(image: &Path, directory: &Path, room: u64) -> Result<()> {
    let content = size_below(directory)?;
    let file = File::create(image).with_context(|| format!("cannot make {}", image.display()))?;
    // A tenth more, for what the file system keeps about its files.
    file.set_len(content + content / 10 + room)?;
    let options = ["-q", "-F", "-O", "^has_journal", "-E", "lazy_itable_init=1,nodiscard", "-m", "0", "-d"];
    super::run(Command::new("mkfs.ext4").args(options).arg(directory).arg(image))
}

fn size_below(directory: &Path) -> Result<u64> {
    let mut size = 0;
    for entry in fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        size += metadata.len().max(4096);
        if metadata.is_dir() {
            size += size_below(&entry.path())?;
        }
    }
    Ok(size)
}

/// `words` as one line of a shell script.
#[must_use]
pub fn quoted<W: AsRef<OsStr>>(words: impl IntoIterator<Item = W>) -> String {
    let quote = |word: W| format!("'{}'", word.as_ref().to_string_lossy().replace('\'', r"'\''"));
    words.into_iter().map(quote).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_words_are_the_same_words_to_a_shell() {
        let words = ["printf", "<%s>", "a b", "it's", "$HOME", "*"];
        let said = Command::new("sh").arg("-c").arg(quoted(words)).output().unwrap();
        assert_eq!(String::from_utf8(said.stdout).unwrap(), "<a b><it's><$HOME><*>");
    }

    #[test]
    fn the_disk_has_the_files_at_their_paths_the_list_of_them_and_the_command() {
        let host = tempfile::tempdir().unwrap();
        let file = host.path().join("note");
        fs::write(&file, "hello").unwrap();
        let mut payload = Payload::new().unwrap();
        payload.add(&file).unwrap();
        payload.command("#!/bin/sh\n").unwrap();
        let image = host.path().join("image");
        payload.write(&image).unwrap();
        let show = |path: &str| {
            let said = Command::new("debugfs").arg("-R").arg(format!("cat {path}")).arg(&image).output();
            String::from_utf8(said.unwrap().stdout).unwrap()
        };
        assert_eq!(show(&format!("/files{}", file.display())), "hello");
        assert_eq!(show("/paths"), format!("{}\n", file.display()));
        assert_eq!(show("/command"), "#!/bin/sh\n");
    }

    #[test]
    fn a_relative_path_is_refused() {
        assert!(Payload::new().unwrap().add(Path::new("note")).is_err());
    }
}
