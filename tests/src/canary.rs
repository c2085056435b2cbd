//! What an attack would change: a directory of the host that no container has any business with.

use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What the canary's file says; a container that prints it has been outside.
pub const SECRET: &str = "the secret of the host\n";

/// A directory outside every root file system, with a file `secret` and an empty directory `empty`.
///
/// It lies in `/tmp`, which every test root file system has too: a link to it that is resolved inside the container
/// ends in the container's own `/tmp`.
#[derive(Debug)]
pub struct Canary {
    dir: TempDir,
    before: Vec<String>,
}

impl Canary {
    /// Makes one.
    ///
    /// # Panics
    /// When `/tmp` is not writable.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it makes a directory, which nobody should do by default")]
    pub fn new() -> Self {
        let dir =
            tempfile::Builder::new().prefix("mdt-canary-").tempdir_in("/tmp").expect("/tmp is writable");
        // Everyone may pass and write, so that a container's user ids are no second line of defence.
        for (path, mode) in [(dir.path().to_owned(), 0o777), (dir.path().join("empty"), 0o777)] {
            fs::create_dir_all(&path).expect("an own directory");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("an own directory");
        }
        fs::write(dir.path().join("secret"), SECRET).expect("an own directory");
        fs::set_permissions(dir.path().join("secret"), fs::Permissions::from_mode(0o666))
            .expect("an own file");
        let before = inventory(dir.path());
        Self { dir, before }
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A path in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The way to `name` in it by as many `..` as leave any root file system.
    #[must_use]
    pub fn climb(&self, name: &str) -> PathBuf {
        let inside = self.path(name);
        Path::new(&"../".repeat(32)).join(inside.strip_prefix("/").expect("an absolute path"))
    }

    /// The directory that the canary's path leads to when it is resolved inside `root`; it is made, with a file
    /// `secret` that says `text`.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn shadow_in(&self, root: &Path, text: &str) -> PathBuf {
        let shadow = root.join(self.dir().strip_prefix("/").expect("an absolute path"));
        fs::create_dir_all(shadow.join("empty")).expect("the root file system is writable");
        fs::write(shadow.join("secret"), text).expect("the root file system is writable");
        shadow
    }

    /// Demands that nothing in it was made, changed, removed or mounted over.
    ///
    /// # Panics
    /// When something was.
    pub fn assert_untouched(&self, what: &str) {
        assert_eq!(inventory(self.dir()), self.before, "{what}: the host was changed");
    }
}

/// One line for each entry below `dir`: its name, type, mode, owner, device numbers, and content.
fn inventory(dir: &Path) -> Vec<String> {
    let mut lines = vec![line(dir)];
    let mut paths: Vec<PathBuf> =
        fs::read_dir(dir).expect("the canary is readable").flatten().map(|e| e.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() && !path.is_symlink() {
            lines.extend(inventory(&path));
        } else {
            lines.push(line(&path));
        }
    }
    lines
}

fn line(path: &Path) -> String {
    let meta = fs::symlink_metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let numbers = (meta.mode(), meta.uid(), meta.gid(), meta.dev(), meta.ino(), meta.rdev());
    format!("{} {numbers:?} {:?}", path.display(), content(path, &meta))
}

fn content(path: &Path, meta: &Metadata) -> Option<String> {
    if meta.is_file() {
        return fs::read(path).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    }
    fs::read_link(path).ok().map(|target| target.display().to_string())
}
