//! The system's disk: Debian 12 with systemd, a kernel and the programs that tests use, made from packages.
//!
//! The cache is `.cache/vm/` of the workspace, or the directory that `MYDOCKER_VM_CACHE` names: `root.img`, `vmlinuz`,
//! `initrd.img`, and `recipe`, the text of what made them. A changed recipe makes them anew. A lock lets any number of
//! machines ask at the same time.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rustix::fs::{FlockOperation, flock};

/// The base system, in the words of mmdebstrap's `--include`.
const SYSTEM: &[&str] = &[
    "systemd",
    "systemd-sysv",
    "libpam-systemd",
    "dbus",
    "dbus-user-session",
    "udev",
    "kmod",
    "linux-image-cloud-amd64",
    "initramfs-tools",
];

/// What the tests call: the peers, the engines, and small tools.
const TOOLS: &[&str] = &[
    "aardvark-dns",
    "apparmor",
    "busybox-static",
    "conmon",
    "containerd",
    "criu",
    "crun",
    "docker.io",
    "e2fsprogs",
    "iproute2",
    "iptables",
    "jq",
    "netavark",
    "podman",
    "procps",
    "runc",
    "strace",
    "uidmap",
    "util-linux",
];

/// Services that would only take time from the tests, or come between them and the kernel.
const MASKED: &[&str] = &[
    "apparmor.service",
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "containerd.service",
    "docker.service",
    "docker.socket",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "podman-auto-update.service",
    "podman-auto-update.timer",
    "podman-restart.service",
    "podman.service",
    "podman.socket",
    "systemd-timesyncd.service",
];

/// Files of the image's own: path, mode, content.
const FILES: &[(&str, u32, &str)] = &[
    ("etc/fstab", 0o644, ""),
    ("etc/hostname", 0o644, "vm\n"),
    ("etc/systemd/system/job.service", 0o644, include_str!("guest/job.service")),
    ("etc/systemd/system/serial-getty@ttyS0.service.d/login.conf", 0o644, include_str!("guest/login.conf")),
    ("etc/systemd/system/user@.service.d/delegate.conf", 0o644, include_str!("guest/delegate.conf")),
    ("usr/local/sbin/job", 0o755, include_str!("guest/job.sh")),
    ("usr/local/bin/as-tester", 0o755, include_str!("guest/as-tester.sh")),
    // The session of this user is started with the machine, and has cgroups of its own.
    ("var/lib/systemd/linger/tester", 0o644, ""),
];

/// Raised when something below changes what an image holds in a way that its recipe does not show.
const REVISION: u32 = 1;

/// A disk image and the kernel that starts it.
#[derive(Debug, Clone)]
pub struct Image {
    directory: PathBuf,
}

impl Image {
    /// The cached image, which is made first if need be. That needs root, a Debian mirror, and a few minutes.
    ///
    /// # Errors
    ///
    /// When the cache cannot be written, or mmdebstrap or mkfs.ext4 is missing or fails.
    pub fn cached() -> Result<Self> {
        let directory = cache();
        fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let lock_file = directory.join("lock");
        let lock =
            File::create(&lock_file).with_context(|| format!("cannot open {}", lock_file.display()))?;
        flock(&lock, FlockOperation::LockExclusive)
            .with_context(|| format!("cannot lock {}", lock_file.display()))?;

        let image = Self { directory };
        let recipe_file = image.directory.join("recipe");
        let recipe = recipe();
        if fs::read_to_string(&recipe_file).is_ok_and(|of_cache| of_cache == recipe) {
            return Ok(image);
        }
        image.build()?;
        fs::write(&recipe_file, recipe).with_context(|| format!("cannot write {}", recipe_file.display()))?;
        Ok(image)
    }

    /// The root file system, an ext4 without a partition table.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.directory.join("root.img")
    }

    /// The kernel.
    #[must_use]
    pub fn kernel(&self) -> PathBuf {
        self.directory.join("vmlinuz")
    }

    /// The initial RAM disk, which has the modules for the disks.
    #[must_use]
    pub fn initrd(&self) -> PathBuf {
        self.directory.join("initrd.img")
    }

    /// Machines that run the old image keep it: each file is replaced by a new one, never written to.
    fn build(&self) -> Result<()> {
        // A tmpfs makes the twenty thousand files of a system many times faster than a disk does.
        let shm = Path::new("/dev/shm");
        let scratch = if shm.is_dir() { shm } else { &self.directory };
        let scratch = tempfile::Builder::new().prefix("mydocker-vm-").tempdir_in(scratch)?;
        let root = scratch.path().join("root");
        super::run(Command::new("mmdebstrap").args(words()).arg(&root))?;
        furnish(&root)?;
        for (pattern, file) in [("vmlinuz-", self.kernel()), ("initrd.img-", self.initrd())] {
            let source = the_only(&root.join("boot"), pattern)?;
            replace(&file, |new| Ok(fs::copy(&source, new).map(drop)?))?;
        }
        replace(&self.root(), |new| super::payload::make_ext4(new, &root, 6 << 30))
    }
}

fn cache() -> PathBuf {
    let shared = std::env::var_os("MYDOCKER_VM_CACHE").map(PathBuf::from);
    shared.unwrap_or_else(|| crate::workspace().join(".cache/vm"))
}

fn words() -> Vec<String> {
    let mut words: Vec<String> =
        ["--quiet", "--mode=root", "--variant=minbase", "--format=directory"].map(str::to_owned).to_vec();
    for what in ["doc", "info", "locale", "man"] {
        words.push(format!("--dpkgopt=path-exclude=/usr/share/{what}/*"));
    }
    // The few modules that a start needs make an initial RAM disk that is read in a moment.
    let modules = "printf 'MODULES=list\\nCOMPRESS=lz4\\n' >\"$1/etc/initramfs-tools/conf.d/small\"; \
        printf '%s\\n' virtio_pci virtio_blk virtio_console ext4 crc32c >\"$1/etc/initramfs-tools/modules\"";
    let make = "mkdir -p \"$1/etc/initramfs-tools/conf.d\"";
    words.push(format!("--essential-hook={make}; {modules}"));
    words.push(format!("--include={}", [SYSTEM, TOOLS].concat().join(",")));
    words.push("bookworm".to_owned());
    words
}

/// What makes the image, as a text that changes whenever the image should.
fn recipe() -> String {
    let mut recipe =
        format!("revision {REVISION}\nmmdebstrap {}\nmasked {}\n", words().join(" "), MASKED.join(" "));
    for (path, mode, content) in FILES {
        recipe += &format!("--- {path} {mode:o}\n{content}");
    }
    recipe
}

/// Adds the files, the user and the links of the image's own to the system in `root`.
fn furnish(root: &Path) -> Result<()> {
    for (path, mode, content) in FILES {
        let file = root.join(path);
        fs::create_dir_all(file.parent().unwrap_or(root))?;
        fs::write(&file, content).with_context(|| format!("cannot write {}", file.display()))?;
        fs::set_permissions(&file, fs::Permissions::from_mode(*mode))?;
    }
    let units = root.join("etc/systemd/system");
    for unit in MASKED {
        link("/dev/null", &units.join(unit))?;
    }
    fs::create_dir_all(units.join("multi-user.target.wants"))?;
    link("../job.service", &units.join("multi-user.target.wants/job.service"))?;
    // useradd also gives the user a range of subordinate ids.
    let user = ["--create-home", "--shell", "/bin/bash", "tester"];
    super::run(Command::new("chroot").arg(root).arg("useradd").args(user))
}

fn link(target: &str, at: &Path) -> Result<()> {
    if at.is_symlink() || at.exists() {
        fs::remove_file(at)?;
    }
    symlink(target, at).with_context(|| format!("cannot link {}", at.display()))
}

fn the_only(directory: &Path, prefix: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    let named = |path: &PathBuf| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(prefix));
    let found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(named).collect();
    ensure!(found.len() == 1, "{} holds {} files {prefix}*", directory.display(), found.len());
    Ok(found.into_iter().next().unwrap_or_default())
}

fn replace(file: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let new = file.with_extension("new");
    make(&new)?;
    fs::rename(&new, file).with_context(|| format!("cannot rename to {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipe_names_every_package_and_file_of_the_image() {
        let recipe = recipe();
        for word in [SYSTEM, TOOLS, MASKED].concat() {
            assert!(recipe.contains(word), "{word}");
        }
        for (path, _, content) in FILES {
            assert!(recipe.contains(path) && recipe.contains(content), "{path}");
        }
    }

    #[test]
    fn a_file_that_must_be_the_only_one_of_its_kind_is_found_by_its_prefix() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("vmlinuz-6.1"), "").unwrap();
        fs::write(directory.path().join("config-6.1"), "").unwrap();
        assert!(the_only(directory.path(), "vmlinuz-").unwrap().ends_with("vmlinuz-6.1"));
        assert!(the_only(directory.path(), "initrd").is_err());
        fs::write(directory.path().join("vmlinuz-6.2"), "").unwrap();
        assert!(the_only(directory.path(), "vmlinuz-").is_err());
    }
}
