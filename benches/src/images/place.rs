//! The place where images are measured: a registry with images, and a store for each program, all on one file system.

use crate::images::ground::Ground;
use crate::images::programs::{Program, Task};
use crate::images::succeed;
use anyhow::{Context, Result, bail};
use mydocker_tests::img::Registry;
use mydocker_tests::wait;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// How large the second layer's files are together, in bytes.
const LAYER: u64 = 500_000_000;

/// How large the files of the commit are together, in bytes.
const CHANGE: u64 = 100_000_000;

/// How large the one file of the huge image is, in bytes.
const HUGE: u64 = 5_000_000_000;

/// How many directories its second layer has, and how many files each has.
const DIRECTORIES: (usize, usize) = (100, 100);

/// How many tags the list has.
const TAGS: usize = 1000;

/// The place. Dropping it ends its daemons and removes its files.
pub struct Place {
    registry: Registry,
    containerd: Child,
    base: Ground,
    ours: PathBuf,
    /// podman's container whose changes are committed.
    container: String,
    layers: Vec<String>,
    /// How large the image is, compressed and not, in bytes.
    pub sizes: (u64, u64),
}

impl Place {
    /// Makes the image from Debian and the host's own programs, and brings it to a registry.
    ///
    /// # Errors
    /// A peer that is missing, or a command that fails.
    pub fn new(ours: PathBuf, base: Ground) -> Result<Self> {
        let registry = Registry::new();
        let containerd = start_containerd(base.path())?;
        let (container, layers, sizes) = (String::new(), Vec::new(), (0, 0));
        let mut place = Self { registry, containerd, base, ours, container, layers, sizes };
        place.compile()?;
        place.make_image()?;
        place.make_changes()?;
        Ok(place)
    }

    /// A path in the place.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.base.path().join(name)
    }

    /// The process that works for a program, if there is one.
    pub fn daemon(&self, program: Program) -> Option<u32> {
        (program == Program::Containerd).then(|| self.containerd.id())
    }

    /// What all of it lies on, in words.
    pub fn ground_name(&self) -> &'static str {
        self.base.name()
    }

    fn image(&self) -> String {
        self.registry.name("bench:1")
    }

    fn huge_image(&self) -> String {
        self.registry.name("huge:1")
    }

    /// Brings an image to the registry with one very large file in one layer and very many in the next.
    ///
    /// # Errors
    /// No room, or a command that fails.
    pub fn make_huge_image(&mut self) -> Result<()> {
        let (seed, upper) = (self.path("huge-seed"), self.path("huge-upper"));
        fs::File::create(self.path("large"))?.set_len(HUGE)?;
        // tar writes all the zeros of a file with holes unless it is told not to.
        let script = "tar -C \"$1\" -cf - large | \"$2\" --root \"$3\" import - base:1";
        let words = [&self.path(""), &self.ours, &seed].map(|path| path.display().to_string());
        succeed(&mut self.shell(script, &[&["sh".to_owned()][..], &words].concat()))?;
        for directory in 0..DIRECTORIES.0 {
            let directory = upper.join(format!("directory-{directory}"));
            fs::create_dir_all(&directory)?;
            (0..DIRECTORIES.1)
                .try_for_each(|file| fs::write(directory.join(format!("file-{file}")), "text\n"))?;
        }
        let ours = || {
            let mut command = Command::new(&self.ours);
            command.arg("--root").arg(&seed);
            command
        };
        succeed(ours().args(["commit", "--base", "base:1", "--upper"]).arg(&upper).arg(self.huge_image()))?;
        succeed(ours().args(["push", "--plain-http"]).arg(self.huge_image()))?;
        [seed, upper].iter().try_for_each(fs::remove_dir_all)?;
        Ok(fs::remove_file(self.path("large"))?)
    }

    fn compile(&self) -> Result<()> {
        let source = self.path("peak.c");
        fs::write(&source, include_str!("../../floor/peak.c"))?;
        succeed(Command::new("cc").args(["-O2", "-static", "-o"]).arg(self.path("peak")).arg(source))
    }

    fn make_image(&mut self) -> Result<()> {
        let (seed, upper) = (self.path("seed"), self.path("layer"));
        copy_of_host(&upper, LAYER)?;
        let ours = |words: &[&str]| {
            let mut command = Command::new(&self.ours);
            command.arg("--root").arg(&seed).args(words);
            command
        };
        let archive = xtask::rootfs::archive(xtask::rootfs::Kind::Debian)?;
        let plain = ["--compression", "none"];
        succeed(ours(&["import"]).args(plain).arg(archive).arg("base:1"))?;
        succeed(
            ours(&["commit", "--base", "base:1"]).args(plain).arg("--upper").arg(&upper).arg(self.image()),
        )?;
        // Nobody's advantage: the layers are as most images have them, by Go's gzip at its usual level.
        let layout = seed.join("oci").display().to_string();
        let (from, to) = (format!("oci:{layout}:{}", self.image()), format!("docker://{}", self.image()));
        succeed(Command::new("skopeo").args(["copy", "--quiet", "--dest-tls-verify=false", &from, &to]))?;
        let manifest = self.told_by_skopeo(&["--raw"], &to)?;
        let config = self.told_by_skopeo(&["--config"], &to)?;
        let layers = manifest["layers"].as_array().context("layers")?;
        self.layers = layers.iter().filter_map(|layer| Some(layer["digest"].as_str()?.to_owned())).collect();
        let diff_ids = config["rootfs"]["diff_ids"].as_array().context("diff_ids")?;
        let size_of = |diff_id: &Value| -> Option<u64> {
            let path = seed.join("layers").join(diff_id.as_str()?.replace(':', "/"));
            fs::read_to_string(path.with_extension("size")).ok()?.parse().ok()
        };
        let compressed = layers.iter().filter_map(|layer| layer["size"].as_u64()).sum();
        self.sizes = (compressed, diff_ids.iter().filter_map(size_of).sum());
        for name in ["seed", "layer"] {
            fs::remove_dir_all(self.path(name))?;
        }
        Ok(())
    }

    /// A document of an image in the registry.
    fn told_by_skopeo(&self, flags: &[&str], image: &str) -> Result<Value> {
        let mut command = Command::new("skopeo");
        command.args(["inspect", "--tls-verify=false"]).args(flags).arg(image).env("TMPDIR", self.path(""));
        let output = command.output().context("starting skopeo")?;
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("skopeo inspect: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }

    /// Files that are committed: in a directory for ours, in a container for podman.
    fn make_changes(&mut self) -> Result<()> {
        copy_of_host(&self.path("change"), CHANGE)?;
        let storage = format!(
            "[storage]\ndriver = \"overlay\"\ngraphroot = \"{0}/podman/graph\"\nrunroot = \"{0}/podman/run\"\n",
            self.path("").display()
        );
        fs::write(self.path("storage.conf"), storage)?;
        // Locks in shared memory would be left behind, and shared with every other podman of the machine.
        let engine = format!(
            "[engine]\nevents_logger = \"none\"\nlock_type = \"file\"\ntmp_dir = \"{}\"\n",
            self.text("podman-tmp")
        );
        fs::write(self.path("containers.conf"), engine)?;
        self.prepare(Program::Podman, Task::Pull)?;
        succeed(&mut self.command(Program::Podman, Task::Pull))?;
        let told = |words: &[&str]| -> Result<String> {
            let output = self.podman().args(words).output().context("starting podman")?;
            if !output.status.success() {
                bail!("podman {words:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
            }
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        let container = told(&["create", &self.image(), "true"])?;
        let mounted = told(&["mount", &container])?;
        succeed(Command::new("cp").arg("-a").arg(self.path("change/usr")).arg(format!("{mounted}/copy")))?;
        told(&["umount", &container])?;
        self.container = container;
        Ok(())
    }

    fn podman(&self) -> Command {
        let mut command = Command::new("podman");
        command.env("CONTAINERS_STORAGE_CONF", self.path("storage.conf")).env("TMPDIR", self.path(""));
        command.env("CONTAINERS_CONF", self.path("containers.conf"));
        command
    }

    fn ctr(&self, words: &[&str]) -> Command {
        let mut command = Command::new("ctr");
        command.arg("--address").arg(self.path("containerd.sock")).args(["--namespace", "bench"]).args(words);
        command
    }

    /// Brings the store of a program into the state in which the task begins.
    ///
    /// # Errors
    /// A command that fails.
    pub fn prepare(&self, program: Program, task: Task) -> Result<()> {
        match (program, task) {
            (Program::Ours, Task::Pull) => empty(&self.path("ours")),
            (Program::Ours, Task::Huge) => empty(&self.path("ours-huge")),
            (Program::Ours, Task::Commit) => self.forget_commit(),
            (Program::Ours, Task::List) => self.many_tags(),
            // podman's container is in the store, so that the image goes and the container stays elsewhere.
            (Program::Podman, Task::Pull) if self.container.is_empty() => empty(&self.path("podman")),
            (Program::Podman, Task::Pull) => empty(&self.path("podman-empty")),
            (Program::Podman, Task::Commit) => try_to(self.podman().args(["rmi", "--force", "committed:1"])),
            (Program::Containerd, Task::Pull) => {
                try_to(&mut self.ctr(&["images", "rm", "--sync", &self.image()]))
            }
            (Program::SkopeoAndUmoci, _) => {
                empty(&self.path("layout"))?;
                empty(&self.path("bundle"))
            }
            (Program::Pipe, _) => {
                empty(&self.path("piped"))?;
                Ok(fs::create_dir(self.path("piped"))?)
            }
            _ => Ok(()),
        }
    }

    fn forget_commit(&self) -> Result<()> {
        try_to(Command::new(&self.ours).arg("--root").arg(self.path("ours")).args(["rmi", "committed:1"]))
    }

    /// Names one image a thousand times, by writing the index that says so.
    fn many_tags(&self) -> Result<()> {
        let path = self.path("ours/oci/index.json");
        let mut index: Value = serde_json::from_slice(&fs::read(&path)?)?;
        let entries = index["manifests"].as_array_mut().context("an index has entries")?;
        let one = entries.first().context("an image was pulled")?.clone();
        for number in entries.len()..TAGS {
            let mut entry = one.clone();
            let name = format!("docker.io/library/many:{number}");
            entry["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
            entries.push(entry);
        }
        Ok(fs::write(&path, index.to_string())?)
    }

    /// The command that does a task.
    pub fn command(&self, program: Program, task: Task) -> Command {
        let image = self.image();
        match (program, task) {
            (Program::Ours, task) => self.ours_command(task, &image),
            (Program::Podman, Task::Commit) => {
                let mut command = self.podman();
                command.args(["commit", "--quiet", &self.container, "committed:1"]);
                command
            }
            (Program::Podman, _) => {
                let mut command = self.podman();
                if !self.container.is_empty() {
                    let place = self.path("podman-empty");
                    command.arg("--root").arg(place.join("graph")).arg("--runroot").arg(place.join("run"));
                }
                command.args(["pull", "--quiet", "--tls-verify=false", &image]);
                command
            }
            (Program::Containerd, _) => self.ctr(&["images", "pull", "--plain-http", &image]),
            (Program::SkopeoAndUmoci, _) => {
                let script = "skopeo copy --quiet --src-tls-verify=false \"docker://$0\" \"oci:$1:it\" && \
                     umoci unpack --image \"$1:it\" \"$2\"";
                self.shell(script, &[image, self.text("layout"), self.text("bundle")])
            }
            (Program::Pipe, _) => {
                let url = format!("http://{}/v2/bench/blobs", self.registry.host());
                self.shell(PIPE, &[url, self.text("piped"), self.layers.join(" ")])
            }
        }
    }

    fn ours_command(&self, task: Task, image: &str) -> Command {
        let mut command = Command::new(&self.ours);
        command.arg("--root").arg(self.path(if task == Task::Huge { "ours-huge" } else { "ours" }));
        match task {
            Task::Huge => command.args(["pull", "--quiet", "--plain-http", &self.huge_image()]),
            Task::Pull | Task::Again => command.args(["pull", "--quiet", "--plain-http", image]),
            Task::Commit => command
                .args(["commit", "--base", image, "--upper"])
                .arg(self.path("change"))
                .arg("committed:1"),
            Task::List => command.arg("images"),
        };
        command
    }

    fn shell(&self, script: &str, words: &[String]) -> Command {
        let mut command = Command::new("bash");
        command.args(["-eo", "pipefail", "-c", script]).args(words).env("TMPDIR", self.path(""));
        command
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}

/// What a person would type who knows the layers: fetched, hashed as it comes and again when it is inflated, unpacked.
const PIPE: &str = r#"
for digest in $2; do
    curl --silent --fail "$0/$digest" | tee >(sha256sum >"$1.sum") | igzip -dc | tee >(sha256sum >"$1.sum2") |
        tar --directory "$1" --extract --same-permissions --numeric-owner --xattrs
done
"#;

impl Drop for Place {
    fn drop(&mut self) {
        // Both calls fail only when the process has been reaped, which is what they are for.
        drop(self.containerd.kill());
        drop(self.containerd.wait());
    }
}

fn empty(directory: &Path) -> Result<()> {
    if directory.exists() {
        // podman leaves a mount of its own store on itself.
        let store = directory.join("graph/overlay");
        try_to(Command::new("umount").arg("--lazy").arg(&store))?;
        fs::remove_dir_all(directory).with_context(|| format!("emptying {}", directory.display()))?;
    }
    Ok(())
}

/// Runs a command that may find that there is nothing to do.
fn try_to(command: &mut Command) -> Result<()> {
    command.output().map(drop).with_context(|| format!("starting {command:?}"))
}

/// Copies programs and libraries of this host until they are so many bytes.
fn copy_of_host(target: &Path, wanted: u64) -> Result<()> {
    let mut size = 0;
    for top in ["/usr/lib", "/usr/share", "/usr/bin"] {
        let directory = target.join(top.trim_start_matches('/'));
        fs::create_dir_all(&directory)?;
        let mut names: Vec<PathBuf> =
            fs::read_dir(top)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        names.sort();
        for name in names {
            let bytes = size_of(&name)?;
            // One directory with half of everything would leave room for nothing else.
            if bytes > wanted / 2 || size + bytes > wanted + wanted / 50 {
                continue;
            }
            succeed(Command::new("cp").args(["-a", "-t"]).arg(&directory).arg(&name))?;
            size += bytes;
            if size >= wanted {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn size_of(path: &Path) -> Result<u64> {
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    let mut size = 0;
    for entry in fs::read_dir(path)? {
        size += size_of(&entry?.path())?;
    }
    Ok(size)
}

fn start_containerd(base: &Path) -> Result<Child> {
    let place = base.display();
    let config = format!(
        "version = 2\nroot = \"{place}/containerd/root\"\nstate = \"{place}/containerd/state\"\n\
         disabled_plugins = [\"io.containerd.grpc.v1.cri\", \"io.containerd.internal.v1.opt\"]\n\
         [grpc]\naddress = \"{place}/containerd.sock\"\n"
    );
    let file = base.join("containerd.toml");
    fs::write(&file, config)?;
    let log = fs::File::create(base.join("containerd.log"))?;
    // exec leaves unshare's process id to containerd.
    let containerd = Command::new("unshare")
        .args(["--mount", "--propagation=private", "containerd", "--config"])
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .context("starting containerd")?;
    let socket = base.join("containerd.sock");
    wait::until("containerd to listen", || UnixStream::connect(&socket).ok());
    Ok(containerd)
}
