//! The image tool under test, and what stands around it: registries, real and hostile, and images.

pub mod engines;
mod fake;
mod image;
mod proxy;
mod registry;
mod server;
pub mod signing;
pub mod tree;

pub use fake::{FakeRegistry, Served};
pub use image::{SampleImage, sha256, tar_of_one_file};
pub use proxy::TlsProxy;
pub use registry::{Authority, Registry, RegistryOptions, TokenServer};
pub use server::{Body, Reply, Request, Server};

use crate::invocation::Invocation;
use mydocker_sys::mount::{MntFlags, umount};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// What a command may take where others use the machine: images of Debian are unpacked, packed and hashed.
const A_LONG_TIME: Duration = Duration::from_secs(120);

/// The program that the environment names, else the one that `make` leaves in `bin/`.
///
/// # Panics
/// When there is no such program.
#[must_use]
pub fn program() -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(|root| root.join("bin/mydocker-img"));
    let named = std::env::var_os("MYDOCKER_IMG").map(PathBuf::from);
    let program = named.or(built).unwrap_or_default();
    assert!(program.is_file(), "{} is missing: run `make`, or set MYDOCKER_IMG", program.display());
    program
}

impl Drop for Img {
    /// A test that fails leaves what it has mounted, which would stay for ever.
    fn drop(&mut self) {
        let base = self.base.path().to_owned();
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let points = table.lines().filter_map(|line| line.split(' ').nth(4)).map(Path::new);
        for point in points.filter(|point| point.starts_with(&base)) {
            // The directory cannot be removed then, which is seen.
            drop(umount(point, MntFlags::MNT_DETACH));
        }
    }
}

/// The image tool with a store, a home and a scratch directory of its own.
#[derive(Debug)]
pub struct Img {
    program: PathBuf,
    base: TempDir,
}

impl Img {
    /// The image tool of [`program`] with an empty store.
    ///
    /// # Panics
    /// When there is none, or no scratch directory can be made.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "it looks for a program, which nobody should do by default"
    )]
    pub fn new() -> Self {
        let shm = Path::new("/dev/shm");
        let parent = if shm.is_dir() { shm.to_owned() } else { std::env::temp_dir() };
        let base = tempfile::Builder::new().prefix("mdi-").tempdir_in(parent).expect("a scratch directory");
        for directory in ["out", "home", "certs.d"] {
            fs::create_dir(base.path().join(directory)).expect("the scratch directory is writable");
        }
        Self { program: program(), base }
    }

    /// The image tool with an image of Debian, [`IMAGE`](crate::plug::IMAGE), in its store.
    ///
    /// # Panics
    /// When it cannot be loaded.
    #[must_use]
    pub fn with_debian() -> Self {
        Self::with_archive(&crate::plug::image_archive())
    }

    /// The image tool with an image of busybox, [`BUSYBOX`](crate::plug::BUSYBOX), in its store. Engines that are only asked
    /// to take it, or to run something in it, do so in a moment.
    ///
    /// # Panics
    /// When it cannot be loaded.
    #[must_use]
    pub fn with_busybox() -> Self {
        Self::with_archive(&crate::plug::busybox_archive(crate::plug::BUSYBOX))
    }

    fn with_archive(archive: &Path) -> Self {
        let img = Self::new();
        img.command(["load", "--input"]).arg(archive).run().succeeds().discard();
        img
    }

    /// A path in the scratch directory.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.base.path().join(name)
    }

    /// The OCI layout of its store.
    #[must_use]
    pub fn layout(&self) -> PathBuf {
        self.path("store/oci")
    }

    /// A command line: `words` after the flags that give it its store, and no configuration but that of the test.
    #[must_use]
    pub fn command<W: AsRef<std::ffi::OsStr>>(&self, words: impl IntoIterator<Item = W>) -> Invocation {
        self.with_store(Invocation::new(&self.path("out"), [&self.program])).args(words)
    }

    /// Runs a command line that has to succeed, and returns the peak of its resident memory in KiB.
    ///
    /// # Panics
    /// When it fails.
    pub fn peak<W: AsRef<std::ffi::OsStr>>(&self, words: impl IntoIterator<Item = W>) -> u64 {
        let file = self.path("peak");
        let time = Invocation::new(&self.path("out"), ["/usr/bin/time", "--format", "%M", "--output"]);
        self.with_store(time.arg(&file).arg(&self.program)).args(words).run().succeeds().discard();
        fs::read_to_string(file).expect("the program time").trim().parse().expect("a number")
    }

    fn with_store(&self, program: Invocation) -> Invocation {
        program
            .deadline(A_LONG_TIME)
            .env("HOME", self.path("home"))
            .env("XDG_RUNTIME_DIR", self.path("home/run"))
            .env("CONTAINERS_REGISTRIES_CONF", self.path("registries.conf"))
            .arg("--root")
            .arg(self.path("store"))
    }

    /// `pull` with the test's own `certs.d`.
    #[must_use]
    pub fn pull(&self, image: &str) -> Invocation {
        self.command(["pull", "--hosts-dir"]).arg(self.path("certs.d")).arg(image)
    }

    /// Writes a file of the test, and the directories that it needs.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("below the scratch directory")).expect("writable");
        fs::write(&path, text).expect("writable");
        path
    }

    /// The entries of the store's index; none if there is no index.
    ///
    /// # Panics
    /// When it is no JSON.
    #[must_use]
    pub fn entries(&self) -> Vec<Value> {
        let Ok(text) = fs::read_to_string(self.layout().join("index.json")) else { return Vec::new() };
        let index: Value = serde_json::from_str(&text).expect("an index");
        index["manifests"].as_array().expect("a list of manifests").clone()
    }

    /// The entry of the store's index that has a name, which is given in full.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn entry(&self, name: &str) -> Value {
        let is_it = |entry: &Value| entry["annotations"]["org.opencontainers.image.ref.name"] == name;
        self.entries().into_iter().find(is_it).unwrap_or_else(|| panic!("no {name}"))
    }

    /// A document of the store.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn document(&self, descriptor: &Value) -> Value {
        let digest = descriptor["digest"].as_str().expect("a digest");
        let path = self.layout().join("blobs").join(digest.replace(':', "/"));
        serde_json::from_slice(&fs::read(path).expect("a blob")).expect("JSON")
    }

    /// The manifest and the configuration of an image, by its name in full.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn image(&self, name: &str) -> (Value, Value) {
        let manifest = self.document(&self.entry(name));
        let config = self.document(&manifest["config"]);
        (manifest, config)
    }

    /// How many unfinished blobs and layers the store has.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        let count = |name: &str| fs::read_dir(self.path("store").join(name)).expect("the store").count();
        count("ingest") + count("unpacking")
    }

    /// Whether the store has a blob.
    #[must_use]
    pub fn has_blob(&self, digest: &str) -> bool {
        let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
        self.layout().join("blobs/sha256").join(hex).is_file()
    }

    /// Demands that every blob of the store is what its name says.
    ///
    /// # Panics
    /// When one is not.
    pub fn blobs_are_right(&self) {
        let Ok(entries) = fs::read_dir(self.layout().join("blobs/sha256")) else { return };
        for entry in entries {
            let path = entry.expect("a readable directory").path();
            let bytes = fs::read(&path).expect("a readable blob");
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            assert_eq!(sha256(&bytes), format!("sha256:{name}"));
        }
    }
}
