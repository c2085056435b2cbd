//! Root file systems for the demo, the tests and the benches, each made once and cached as an archive.
//!
//! The cache is `.cache/rootfs/` in the workspace: `NAME.tar` beside `NAME.recipe`, the text of what made it. A
//! changed recipe makes the archive anew. A lock on the recipe file lets any number of tests ask at the same time.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{FlockOperation, flock};

/// Which root file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Debian 12 of the minbase variant, without documentation and translations.
    Debian,
    /// One static busybox and a link for each of its commands.
    Busybox,
}

/// The arguments that mmdebstrap gets before the name of the archive.
const DEBIAN: &[&str] = &[
    "--quiet",
    "--mode=root",
    "--variant=minbase",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/info/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "bookworm",
];

/// Where Debian's package busybox-static puts the program.
const BUSYBOX: &str = "/bin/busybox";

/// The directories of the busybox root besides `/bin`.
const BUSYBOX_DIRECTORIES: &[&str] =
    &["dev", "etc", "home", "mnt", "proc", "root", "run", "sys", "tmp", "usr", "var"];

impl Kind {
    /// The name of the archive in the cache, without its ending.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Debian => "debian",
            Kind::Busybox => "busybox",
        }
    }

    /// What makes the archive, as a text that changes whenever the archive should.
    fn recipe(self) -> String {
        match self {
            Kind::Debian => format!("mmdebstrap {}\n", DEBIAN.join(" ")),
            Kind::Busybox => format!("{BUSYBOX} and {}\n", BUSYBOX_DIRECTORIES.join(" ")),
        }
    }

    fn build(self, archive: &Path) -> Result<()> {
        match self {
            Kind::Debian => run(Command::new("mmdebstrap").args(DEBIAN).arg(archive)),
            Kind::Busybox => build_busybox(archive),
        }
    }
}

/// Gives the path of the cached archive (an uncompressed tar, owners by number), and makes it first if need be.
///
/// # Errors
///
/// When the cache cannot be written, or mmdebstrap or busybox is missing or fails.
pub fn archive(kind: Kind) -> Result<PathBuf> {
    let cache = crate::workspace().join(".cache/rootfs");
    fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
    let archive = cache.join(kind.name()).with_extension("tar");
    let _held_until_return = lock(&archive.with_extension("lock"))?;

    let recipe_file = archive.with_extension("recipe");
    let recipe = kind.recipe();
    if archive.exists() && fs::read_to_string(&recipe_file).is_ok_and(|of_cache| of_cache == recipe) {
        return Ok(archive);
    }
    let unfinished = cache.join(kind.name()).with_extension("new.tar");
    kind.build(&unfinished)?;
    fs::rename(&unfinished, &archive).with_context(|| format!("cannot rename to {}", archive.display()))?;
    fs::write(&recipe_file, recipe).with_context(|| format!("cannot write {}", recipe_file.display()))?;
    Ok(archive)
}

/// Makes `directory` hold the root file system. Needs root: owners and device nodes are those of the archive.
///
/// A directory that an earlier call filled from the same archive stays as it is, whatever ran in it since; the
/// mark of that is a file beside it, `DIRECTORY.made-from`.
///
/// # Errors
///
/// When the archive cannot be made, or the directory holds anything else.
pub fn make(kind: Kind, directory: &Path) -> Result<()> {
    let archive = archive(kind)?;
    let mark = mark_beside(directory)?;
    let made_from = format!("{}{:?}\n", kind.recipe(), fs::metadata(&archive)?.modified()?);
    if fs::read_to_string(&mark).is_ok_and(|of_directory| of_directory == made_from) && directory.exists() {
        return Ok(());
    }
    if mark.exists() {
        fs::remove_dir_all(directory).with_context(|| format!("cannot empty {}", directory.display()))?;
        fs::remove_file(&mark).with_context(|| format!("cannot remove {}", mark.display()))?;
    }
    extract(&archive, directory)?;
    fs::write(&mark, made_from).with_context(|| format!("cannot write {}", mark.display()))
}

/// Unpacks `archive` into `directory`, which must be empty or not exist.
///
/// # Errors
///
/// When the directory holds anything, or tar fails.
pub fn extract(archive: &Path, directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let is_empty = fs::read_dir(directory)?.next().is_none();
    ensure!(is_empty, "{} holds something else; it is left alone", directory.display());
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755))?;
    run(Command::new("tar").arg("-C").arg(directory).args(["--numeric-owner", "-xpf"]).arg(archive))
}

fn mark_beside(directory: &Path) -> Result<PathBuf> {
    let Some(name) = directory.file_name() else { bail!("{} has no name of its own", directory.display()) };
    let mut name = name.to_owned();
    name.push(".made-from");
    Ok(directory.with_file_name(name))
}

fn lock(path: &Path) -> Result<File> {
    let file = File::create(path).with_context(|| format!("cannot open {}", path.display()))?;
    flock(&file, FlockOperation::LockExclusive).with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

fn build_busybox(archive: &Path) -> Result<()> {
    let root = tempfile::tempdir().context("cannot make a temporary directory")?;
    let root = root.path();
    fs::set_permissions(root, fs::Permissions::from_mode(0o755))?;
    for name in BUSYBOX_DIRECTORIES.iter().chain(&["bin"]) {
        fs::create_dir(root.join(name))?;
    }
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    fs::copy(BUSYBOX, root.join("bin/busybox")).context("cannot copy busybox (package busybox-static)")?;
    for command in busybox_commands()?.lines().filter(|command| *command != "busybox") {
        symlink("busybox", root.join("bin").join(command))?;
    }
    File::create(root.join("etc/passwd"))?.write_all(b"root:x:0:0:root:/root:/bin/sh\n")?;
    File::create(root.join("etc/group"))?.write_all(b"root:x:0:\n")?;
    run(Command::new("tar").arg("-C").arg(root).args(["--numeric-owner", "-cf"]).arg(archive).arg("."))
}

fn busybox_commands() -> Result<String> {
    let output = Command::new(BUSYBOX).arg("--list").output().context("cannot run busybox")?;
    ensure!(output.status.success(), "busybox --list: {}", output.status);
    String::from_utf8(output.stdout).context("busybox --list printed no UTF-8")
}

fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.stdin(Stdio::null()).status().with_context(|| {
        format!("cannot run {name} (scripts/install-deps.sh demo installs what is needed)")
    })?;
    ensure!(status.success(), "{name}: {status}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_lies_beside_the_directory() {
        assert_eq!(mark_beside(Path::new("a/rootfs")).unwrap(), Path::new("a/rootfs.made-from"));
        assert!(mark_beside(Path::new("/")).is_err());
    }

    #[test]
    fn extracting_never_writes_into_a_directory_that_holds_something() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("mine"), "precious").unwrap();
        let refused = extract(Path::new("/nonexistent.tar"), directory.path()).unwrap_err();
        assert!(refused.to_string().contains("left alone"), "{refused}");
        assert_eq!(fs::read_to_string(directory.path().join("mine")).unwrap(), "precious");
    }

    #[test]
    fn privileged_busybox_root_runs_its_own_shell() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("rootfs");
        make(Kind::Busybox, &root).unwrap();
        make(Kind::Busybox, &root).unwrap();
        let said =
            Command::new("chroot").arg(&root).args(["/bin/sh", "-c", "ls /bin | wc -l"]).output().unwrap();
        let count: usize = String::from_utf8(said.stdout).unwrap().trim().parse().unwrap();
        assert!(count > 100, "{count} commands");
    }
}
