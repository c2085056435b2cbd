//! The engines: `mydocker`, podman, and docker with its daemon, each with directories, sockets and cgroups of its own,
//! and with one image, of busybox.

mod daemon;
pub mod script;

pub use daemon::Dockerd;

use crate::arena::{Arena, find_program};
use crate::meter::{Group, Meter};
use crate::runtime::{Entrant, Facts, Kind, REFERENCE_ENGINE, facts};
use anyhow::{Context, Result};
use mydocker_tests::plug;
use serde_json::json;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The name of this project's command in every table.
pub const OURS: &str = "mydocker";
/// The name of the program that copies to a file what the monitors copy to a log.
pub const CAT: &str = "cat";

/// Which engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brand {
    /// Ours.
    Mydocker,
    /// podman, with the runtime that it chooses.
    Podman,
    /// docker, with the runtime that it chooses.
    Docker,
}

/// An engine in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    /// Which it is.
    pub brand: Brand,
    /// All its directories.
    pub directory: PathBuf,
    /// The cgroup above its containers, as a path in every hierarchy.
    pub parent: String,
    /// How many lines go through its log.
    pub log_lines: u64,
}

/// Who takes part, and what they need while they do.
#[derive(Debug)]
pub struct Contestants {
    /// In the order of the tables.
    pub entrants: Vec<Entrant>,
    /// What every command finds in its environment.
    pub environment: Vec<(&'static str, OsString)>,
    /// docker's daemon, if it came up.
    pub daemon: Option<Dockerd>,
}

/// Brings the engines up and gives each the image. An engine that does not work is among them, with the reason.
///
/// # Errors
/// The image cannot be made, or a directory or a cgroup.
pub fn contestants(arena: &Arena, programs: &Programs, log_lines: u64) -> Result<Contestants> {
    xtask::rootfs::archive(xtask::rootfs::Kind::Busybox).context("making the image")?;
    let archive = plug::busybox_archive(plug::BUSYBOX);
    let environment = environment(arena, programs)?;
    let mut entrants = Vec::new();
    let mut daemon = None;
    for (brand, name, path) in programs.list() {
        let group = Group::new(arena, name).with_context(|| format!("making the cgroups of {name}"))?;
        let engine = Engine::new(arena, brand, name, log_lines)?;
        let mut known = facts(&path);
        if known.is_ok() && brand == Brand::Docker {
            known = Dockerd::start(&engine, &group).map(|up| daemon = Some(up)).and(known);
        }
        if brand == Brand::Podman {
            known = known.map(|facts| facts.with(podmans_runtime(arena)));
        }
        let known = known.and_then(|facts| engine.load(&path, &archive, &environment).map(|()| facts));
        let (kind, meter) = (Kind::Engine(engine), Meter::Group(group));
        entrants.push(Entrant { name: name.into(), path, kind, meter, facts: known });
    }
    entrants.push(cat(arena, log_lines)?);
    Ok(Contestants { entrants, environment, daemon })
}

fn cat(arena: &Arena, log_lines: u64) -> Result<Entrant> {
    let path = find_program(CAT).unwrap_or_else(|| CAT.into());
    let facts: Result<Facts, String> = facts(&path);
    let group = Group::new(arena, CAT).context("making the cgroups of cat")?;
    let kind = Kind::Cat { producers: group.containers(), log_lines };
    Ok(Entrant { name: CAT.into(), path, kind, meter: Meter::Group(group), facts })
}

/// Which programs are measured.
#[derive(Debug, Clone)]
pub struct Programs {
    /// `mydocker`.
    pub mydocker: PathBuf,
    /// The runtime that it uses.
    pub runtime: PathBuf,
    /// The image tool that it uses.
    pub image_tool: PathBuf,
}

impl Programs {
    fn list(&self) -> [(Brand, &'static str, PathBuf); 3] {
        let found = |name: &str| find_program(name).unwrap_or_else(|| name.into());
        // A client in /usr/local may be of another version than Debian's daemon.
        let of_debian = PathBuf::from("/usr/bin/docker");
        let docker = if of_debian.is_file() { of_debian } else { found("docker") };
        [
            (Brand::Mydocker, OURS, self.mydocker.clone()),
            (Brand::Podman, REFERENCE_ENGINE, found("podman")),
            (Brand::Docker, "docker", docker),
        ]
    }
}

/// One environment for all: each finds its own in it, and nobody gets a larger one.
fn environment(arena: &Arena, programs: &Programs) -> Result<Vec<(&'static str, OsString)>> {
    let (podman, docker) = (arena.path("podman"), arena.path("docker"));
    for directory in [&podman, &docker.join("client"), &arena.path("temporary")] {
        fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
    }
    write_podmans_files(&podman, podmans_runtime(arena))?;
    // podman looks for passwords there as well, and wants the file.
    write(&docker.join("client/config.json"), "{}")?;
    Ok(vec![
        ("HOME", arena.path("temporary").into()),
        ("TMPDIR", arena.path("temporary").into()),
        ("MYDOCKER_RUNTIME", programs.runtime.clone().into()),
        ("MYDOCKER_IMG", programs.image_tool.clone().into()),
        ("CONTAINERS_CONF", podman.join("containers.conf").into()),
        ("CONTAINERS_STORAGE_CONF", podman.join("storage.conf").into()),
        ("DOCKER_CONFIG", docker.join("client").into()),
        ("DOCKER_HOST", format!("unix://{}", docker.join("socket").display()).into()),
    ])
}

/// Locks in shared memory would be left behind, and shared with every other podman of the machine. The limits are those
/// that root can set without CAP_SYS_RESOURCE.
fn write_podmans_files(directory: &Path, runtime: &str) -> Result<()> {
    let place = directory.display();
    let engine = format!(
        "[engine]\nruntime = \"{runtime}\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\nlock_type = \"file\"\n\
         static_dir = \"{place}/graph/libpod\"\ntmp_dir = \"{place}/tmp\"\nvolume_path = \"{place}/volumes\"\n\
         [containers]\ndefault_ulimits = [\"nofile=1024:4000\", \"nproc=1024:4096\"]\nlog_driver = \"k8s-file\"\n\
         [network]\nnetwork_backend = \"netavark\"\nnetwork_config_dir = \"{place}/networks\"\n"
    );
    let storage = format!(
        "[storage]\ndriver = \"overlay\"\ngraphroot = \"{place}/graph\"\nrunroot = \"{place}/run\"\n"
    );
    write(&directory.join("containers.conf"), &engine)?;
    write(&directory.join("storage.conf"), &storage)
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("writing {}", file.display()))
}

/// The runtime that Debian's podman chooses, or the other one where that cannot work: crun 1.8 demands a mount of each
/// controller that the kernel has for v1, and hugetlb may be busy.
fn podmans_runtime(arena: &Arena) -> &'static str {
    let works = find_program("crun").is_some() && arena.is_whole;
    if works { "crun" } else { "runc" }
}

impl Engine {
    fn new(arena: &Arena, brand: Brand, name: &str, log_lines: u64) -> Result<Self> {
        let directory = arena.path(name);
        fs::create_dir_all(&directory).with_context(|| format!("making {}", directory.display()))?;
        Ok(Self { brand, directory, parent: format!("/{}/{name}/containers", arena.cgroup), log_lines })
    }

    /// The words that follow the program's name in every command line.
    fn options(&self) -> Vec<OsString> {
        let place = |name: &str| self.directory.join(name).into();
        match self.brand {
            Brand::Mydocker => vec!["--runroot".into(), place("run"), "--root".into(), place("root")],
            Brand::Podman | Brand::Docker => Vec::new(),
        }
    }

    fn load(
        &self,
        path: &Path,
        archive: &Path,
        environment: &[(&'static str, OsString)],
    ) -> Result<(), String> {
        let mut command = Command::new(path);
        command.args(self.options()).arg("load").arg("--input").arg(archive).stdin(Stdio::null());
        let output = command.envs(environment.iter().map(|(name, value)| (name, value))).output();
        let output = output.map_err(|error| format!("{}: {error}", path.display()))?;
        match output.status.success() {
            true => Ok(()),
            false => Err(format!("load: {}", String::from_utf8_lossy(&output.stderr).trim())),
        }
    }

    /// What docker's daemon is configured with. Its bridge and its rules are those of the arena's own network.
    fn daemon_config(&self) -> serde_json::Value {
        let place = |name: &str| self.directory.join(name);
        json!({
            "cgroup-parent": self.parent,
            "data-root": place("data"),
            "deprecated-key-path": place("key.json"),
            "exec-opts": ["native.cgroupdriver=cgroupfs"],
            "exec-root": place("exec"),
            "hosts": [format!("unix://{}", place("socket").display())],
            "ip6tables": false,
            "pidfile": place("pid"),
            "storage-driver": "overlay2",
            "userland-proxy": false,
        })
    }
}
