//! The place where everything is measured: a mount namespace of its own with one tmpfs, a view of the cgroup
//! hierarchies that all runtimes accept, and one cgroup below which every container lives.

mod hierarchies;

use mydocker_sys::mount::{self, MntFlags, MsFlags};
use mydocker_sys::namespace::{CloneFlags, unshare};
use mydocker_sys::process::{self, Pid};
use mydocker_sys::signal::Signal;
use mydocker_sys::{Errno, poll};
use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long a killed process may take to vanish.
const DEATH: Duration = Duration::from_secs(10);

/// What keeps the arena from being made or taken down.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call failed.
    #[error("making or clearing the place for the measurement")]
    Sys(#[from] mydocker_sys::Error),
    /// A file operation failed.
    #[error("{what} {path}")]
    File {
        /// What was tried, as "making".
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A helper program could not be compiled.
    #[error("cc could not compile {0}: {1}")]
    Compiler(&'static str, String),
    /// The own network is of no use.
    #[error("ip could not start the loopback device: {0}")]
    Loopback(String),
    /// A program that the root file system is made from is missing.
    #[error("busybox is not installed in any directory of PATH")]
    NoBusybox,
}

type Result<T> = std::result::Result<T, Error>;

trait At<T> {
    fn at(self, what: &'static str, path: &Path) -> Result<T>;
}

impl<T> At<T> for std::io::Result<T> {
    fn at(self, what: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| Error::File { what, path: path.into(), source })
    }
}

/// The place. Dropping it ends what still runs in it and removes what it made; [`Arena::close`] reports failures.
#[derive(Debug)]
pub struct Arena {
    /// The cgroup of all containers, a name relative to each hierarchy's root.
    pub cgroup: String,
    /// The mount points of the cgroup hierarchies.
    pub hierarchies: Vec<PathBuf>,
    /// The controllers' layout in words.
    pub layout: String,
    /// Whether every controller that the kernel has for v1 is mounted, or none is, as crun wants it.
    pub is_whole: bool,
    directory: Option<tempfile::TempDir>,
    path: PathBuf,
}

impl Arena {
    /// Moves this process into a mount namespace of its own and makes the place in it.
    ///
    /// # Errors
    /// Without root; without busybox or cc; when the kernel refuses a mount.
    pub fn new() -> Result<Self> {
        Self::in_namespaces(CloneFlags::CLONE_NEWNS)
    }

    /// The same with a network and a `/run` of its own as well: engines make bridges, rules and sockets that no option
    /// moves elsewhere.
    ///
    /// # Errors
    /// As [`Arena::new`]; without iproute2.
    pub fn for_engines() -> Result<Self> {
        let arena = Self::in_namespaces(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET)?;
        mount_on(Path::new("/run"), "tmpfs", "mode=0755")?;
        arena.renew_sysfs()?;
        let output =
            Command::new("ip").args(["link", "set", "lo", "up"]).output().at("starting", Path::new("ip"))?;
        match output.status.success() {
            true => Ok(arena),
            false => Err(Error::Loopback(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
        }
    }

    fn in_namespaces(namespaces: CloneFlags) -> Result<Self> {
        let busybox = find_program("busybox").ok_or(Error::NoBusybox)?;
        let directory = tempfile::Builder::new()
            .prefix("mydocker-bench.")
            .tempdir()
            .at("making a directory in", &std::env::temp_dir())?;
        leave_for(namespaces)?;
        let path = directory.path().to_path_buf();
        mount_on(&path, "tmpfs", "mode=0755")?;
        let (hierarchies, layout, is_whole) = hierarchies::private_view()?;
        let cgroup = format!("mydocker-bench-{}", process::getpid());
        let arena = Self { cgroup, hierarchies, layout, is_whole, directory: Some(directory), path };
        arena.make_cgroups()?;
        arena.make_rootfs(&busybox)?;
        arena.compile("floor", include_str!("../floor/floor.c"))?;
        arena.compile("peak", include_str!("../floor/peak.c"))?;
        Ok(arena)
    }

    /// A path in the tmpfs of this place.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// The root file system of all containers.
    pub fn rootfs(&self) -> PathBuf {
        self.path("rootfs")
    }

    /// Ends every container and removes everything; what could not be undone is the error.
    ///
    /// # Errors
    /// The first thing that could not be undone; the rest is tried all the same.
    pub fn close(mut self) -> Result<()> {
        self.clear()
    }

    /// Kills every process that still runs in the place and removes the containers' cgroups.
    ///
    /// # Errors
    /// A process that does not end, a cgroup that cannot be removed; everything is tried first.
    pub fn sweep(&self) -> Result<()> {
        let own: Vec<PathBuf> = self.hierarchies.iter().map(|root| root.join(&self.cgroup)).collect();
        let mut ends: Vec<_> = own.iter().map(|dir| end_processes(dir)).collect();
        ends.push(end_children());
        let removals: Vec<_> = own.iter().map(|dir| remove_below(dir)).collect();
        ends.into_iter().chain(removals).collect()
    }

    fn clear(&mut self) -> Result<()> {
        let Some(directory) = self.directory.take() else { return Ok(()) };
        let swept = self.sweep();
        let own = self.hierarchies.iter().map(|root| root.join(&self.cgroup)).filter(|dir| dir.is_dir());
        let parents: Vec<_> = own.map(|dir| fs::remove_dir(&dir).at("removing", &dir)).collect();
        let unmounted = mount::umount(&self.path, MntFlags::MNT_DETACH).map_err(Error::from);
        let removed = directory.close().at("removing", &self.path);
        parents.into_iter().chain([swept, unmounted, removed]).collect()
    }

    /// The parent of all containers' cgroups, made beforehand as an engine would: with the CPUs and memory nodes
    /// that a v1 cpuset needs before a process may join.
    fn make_cgroups(&self) -> Result<()> {
        for root in &self.hierarchies {
            let own = root.join(&self.cgroup);
            fs::create_dir(&own).at("making", &own)?;
            for file in ["cpuset.cpus", "cpuset.mems"] {
                if root.ends_with("cpuset") {
                    copy_value(&root.join(file), &own.join(file))?;
                }
            }
        }
        Ok(())
    }

    /// A sysfs tells of the network that it was mounted in, so the old one is covered, with the cgroups brought along.
    fn renew_sysfs(&self) -> Result<()> {
        let new = self.path("sys");
        fs::create_dir(&new).at("making", &new)?;
        mount_on(&new, "sysfs", "")?;
        let (target, from) = (mydocker_sys::fs::cstring(&new.join("fs/cgroup"))?, c"/sys/fs/cgroup");
        mount::mount(Some(from), &target, None, MsFlags::MS_BIND | MsFlags::MS_REC, None)?;
        let new = mydocker_sys::fs::cstring(&new)?;
        mount::mount(Some(&new), c"/sys", None, MsFlags::MS_MOVE, None)?;
        Ok(())
    }

    fn make_rootfs(&self, busybox: &Path) -> Result<()> {
        let root = self.rootfs();
        for name in ["bin", "proc", "dev", "sys", "etc", "tmp"] {
            fs::create_dir_all(root.join(name)).at("making", &root.join(name))?;
        }
        let target = root.join("bin/busybox");
        fs::copy(busybox, &target).at("copying busybox to", &target)?;
        for applet in ["true", "sleep", "sh"] {
            let link = root.join("bin").join(applet);
            std::os::unix::fs::symlink("busybox", &link).at("making", &link)?;
        }
        Ok(())
    }

    /// A helper program: the one beside this program, or else made from its source.
    fn compile(&self, name: &'static str, source: &str) -> Result<()> {
        let beside =
            std::env::current_exe().at("looking for", Path::new("/proc/self/exe"))?.with_file_name(name);
        if beside.is_file() {
            return fs::copy(&beside, self.path(name)).map(|_| ()).at("copying", &beside);
        }
        let file = self.path(format!("{name}.c"));
        fs::write(&file, source).at("writing", &file)?;
        let output = Command::new("cc")
            .args(["-O2", "-static", "-o"])
            .args([&self.path(name), &file])
            .output()
            .at("starting", Path::new("cc"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(Error::Compiler(name, String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        if let Err(error) = self.clear() {
            // A destructor has nobody to return to; the exit status already tells of the first failure.
            crate::cli::complain(&anyhow::Error::from(error));
        }
    }
}

/// Moves this process into new namespaces, a mount namespace among them whose mounts nobody else sees.
///
/// # Errors
/// Without root.
pub fn leave_for(namespaces: CloneFlags) -> Result<()> {
    unshare(namespaces)?;
    mount::mount(None, c"/", None, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None)?;
    Ok(())
}

/// Copies what a cgroup file says; these files know neither copy_file_range nor permissions.
fn copy_value(from: &Path, to: &Path) -> Result<()> {
    let value = fs::read(from).at("reading", from)?;
    fs::write(to, value).at("writing", to)
}

/// The first executable file of that name in PATH.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

fn mount_on(target: &Path, fs_type: &str, options: &str) -> Result<()> {
    let text = |text: &str| {
        CString::new(text).map_err(|_| mydocker_sys::Error::new("mount", format!("{text:?}"), Errno::EINVAL))
    };
    let (fs_type, options) = (text(fs_type)?, text(options)?);
    let target = mydocker_sys::fs::cstring(target)?;
    mount::mount(Some(&fs_type), &target, Some(&fs_type), MsFlags::empty(), Some(&options))?;
    Ok(())
}

/// The cgroup `dir` and those below it, the deepest first; none when it does not exist.
fn tree(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    if !dir.is_dir() {
        return Ok(all);
    }
    for entry in fs::read_dir(dir).at("reading", dir)? {
        let path = entry.at("reading", dir)?.path();
        if path.is_dir() {
            all.extend(tree(&path)?);
        }
    }
    all.push(dir.into());
    Ok(all)
}

fn end_processes(dir: &Path) -> Result<()> {
    for cgroup in tree(dir)? {
        let file = cgroup.join("cgroup.procs");
        let list = fs::read_to_string(&file).at("reading", &file)?;
        list.lines()
            .filter_map(|line| line.parse().ok())
            .try_for_each(|pid| end_process(Pid::from_raw(pid)))?;
    }
    reap_orphans()
}

/// Ends what killed runtimes left behind before it was in a cgroup: the children of this process, their subreaper,
/// and then their children.
fn end_children() -> Result<()> {
    let own = process::getpid();
    let file = PathBuf::from(format!("/proc/self/task/{own}/children"));
    loop {
        let list = fs::read_to_string(&file).at("reading", &file)?;
        if list.trim().is_empty() {
            return Ok(());
        }
        list.split_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .try_for_each(|pid| end_process(Pid::from_raw(pid)))?;
        reap_orphans()?;
    }
}

fn end_process(pid: Pid) -> Result<()> {
    let ended = |error: &mydocker_sys::Error| error.errno() == Errno::ESRCH;
    let pidfd = match process::pidfd_open(pid) {
        Ok(pidfd) => pidfd,
        Err(error) if ended(&error) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    match process::pidfd_kill(&pidfd, Signal::SIGKILL as i32) {
        Err(error) if !ended(&error) => return Err(error.into()),
        _ => {}
    }
    let interest = poll::Interest::read(std::os::fd::AsFd::as_fd(&pidfd));
    poll::poll(&[interest], Some(Instant::now() + DEATH), &format!("the death of process {pid}"))?;
    Ok(())
}

/// Takes the exit status of every ended process whose parent has gone: this process is their subreaper.
///
/// # Errors
/// What the kernel says.
pub fn reap_orphans() -> Result<()> {
    while let Some(pid) = process::ended_child()? {
        process::reap(pid)?;
    }
    Ok(())
}

fn remove_below(dir: &Path) -> Result<()> {
    let below = tree(dir)?.into_iter().filter(|cgroup| cgroup != dir);
    let removals: Vec<_> = below.map(|cgroup| fs::remove_dir(&cgroup).at("removing", &cgroup)).collect();
    removals.into_iter().collect()
}
