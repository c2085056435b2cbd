//! Programs of another architecture: the kernel runs them through an emulator that was made known to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Where Debian's package qemu-user-static puts the emulator.
const EMULATOR: &str = "/usr/libexec/qemu-binfmt/aarch64-binfmt-P";

/// How a program for arm64 begins, and which bits of that count.
const MAGIC: &str = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00";
const MASK: &str = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff";

/// While it lives, this machine runs programs for arm64, those of containers too.
#[derive(Debug)]
pub struct Arm64 {
    /// The entry that this made; there is none where the machine had one.
    entry: Option<PathBuf>,
    mounted: Option<TempDir>,
}

impl Arm64 {
    /// Makes the emulator known to the kernel, if nobody has.
    ///
    /// # Panics
    /// When it is not installed, or the kernel refuses it.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "it changes the machine, which nobody should do by default"
    )]
    pub fn new() -> Self {
        assert!(Path::new(EMULATOR).is_file(), "{EMULATOR} is missing: install qemu-user-static");
        let usual = Path::new("/proc/sys/fs/binfmt_misc");
        let mounted = (!usual.join("register").exists()).then(mount);
        let place = mounted.as_ref().map_or(usual, TempDir::path).to_owned();
        if knows_emulator(&place) {
            return Self { entry: None, mounted };
        }
        let name = format!("mydocker-test-{}", std::process::id());
        // F opens the emulator now, so that containers need none; P keeps the program's own name for it.
        let line = format!(":{name}:M::{MAGIC}:{MASK}:{EMULATOR}:OPF");
        fs::write(place.join("register"), line).expect("the kernel takes an emulator");
        Self { entry: Some(place.join(name)), mounted }
    }
}

/// Mounts the kernel's list of emulators where only this test looks.
fn mount() -> TempDir {
    let place = tempfile::Builder::new().prefix("mde-").tempdir().expect("a scratch directory");
    let mount = Command::new("mount").args(["-t", "binfmt_misc", "none"]).arg(place.path()).status();
    assert!(mount.is_ok_and(|status| status.success()), "the kernel has no binfmt_misc");
    place
}

/// Whether there is an entry that no test made: such a one is gone in a moment.
fn knows_emulator(place: &Path) -> bool {
    let entries = fs::read_dir(place).expect("the list of emulators is readable").flatten();
    let lasting = entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with("mydocker-test-"));
    let mut texts = lasting.filter_map(|entry| fs::read_to_string(entry.path()).ok());
    texts.any(|text| text.starts_with("enabled") && text.contains("aarch64"))
}

impl Drop for Arm64 {
    fn drop(&mut self) {
        if let Some(entry) = &self.entry {
            let removed = fs::write(entry, "-1");
            assert!(removed.is_ok() || std::thread::panicking(), "{} stays: {removed:?}", entry.display());
        }
        if let Some(place) = &self.mounted {
            let status = Command::new("umount").arg(place.path()).status();
            assert!(status.is_ok() || std::thread::panicking(), "{} stays mounted", place.path().display());
        }
    }
}
