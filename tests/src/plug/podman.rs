//! A podman of a test's own.

use super::{BUSYBOX, CgroupParent, IMAGE, Reaper, busybox_archive, image_archive};
use crate::{Invocation, Outcome, Runtime, leftovers, procfs, wait};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long podman may clean up after it has answered.
const GRACE: Duration = Duration::from_secs(20);

/// A podman with a storage and a configuration of its own, which holds one image.
#[derive(Debug)]
pub struct Podman {
    // The order is that of their end: first what the containers leave, then the check.
    groups: CgroupParent,
    _reaper: Reaper,
    runtime: Runtime,
    image: &'static str,
}

impl Podman {
    /// One with the image of Debian, that makes cgroups itself, below one with the name of the scratch directory.
    ///
    /// # Panics
    /// When the image cannot be loaded.
    #[must_use]
    pub fn with_debian() -> Self {
        Self::start("cgroupfs", IMAGE, &image_archive())
    }

    /// One with the image of busybox, whose cgroups are made by systemd.
    ///
    /// # Panics
    /// When the image cannot be loaded.
    #[must_use]
    pub fn with_busybox_and_systemd() -> Self {
        Self::start("systemd", BUSYBOX, &busybox_archive(BUSYBOX))
    }

    fn start(cgroup_manager: &str, image: &'static str, archive: &Path) -> Self {
        let runtime = Runtime::new();
        let scratch = runtime.scratch().display();
        // Locks in shared memory would be shared with every other podman of the machine. The static directory is where
        // `podman --root GRAPH container cleanup`, which conmon runs, looks for it. The limits are those that root can
        // set without CAP_SYS_RESOURCE.
        let engine = format!(
            r#"
[engine]
cgroup_manager = "{cgroup_manager}"
events_logger = "file"
lock_type = "file"
static_dir = "{scratch}/podman/graph/libpod"
tmp_dir = "{scratch}/podman/tmp"
volume_path = "{scratch}/podman/volumes"
[containers]
default_ulimits = ["nofile=1024:4000", "nproc=1024:4096"]
log_driver = "k8s-file"
netns = "none"
[network]
network_backend = "netavark"
network_config_dir = "{scratch}/podman/networks"
"#
        );
        let storage = format!(
            "[storage]\ndriver = \"overlay\"\ngraphroot = \"{scratch}/podman/graph\"\nrunroot = \"{scratch}/podman/run\"\n"
        );
        fs::write(runtime.scratch().join("containers.conf"), engine)
            .expect("the scratch directory is writable");
        fs::write(runtime.scratch().join("storage.conf"), storage)
            .expect("the scratch directory is writable");
        let groups = CgroupParent::new(runtime.name()).with_own_group("conmon");
        let podman = Self { groups, _reaper: Reaper::of("conmon"), runtime, image };
        podman.podman(["load", "--quiet", "--input"]).arg(archive).run().succeeds().discard();
        podman
    }

    /// The runtime under test.
    #[must_use]
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// `podman ARGS...` with the program under test as the runtime.
    pub fn podman<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Invocation {
        let scratch = self.runtime.scratch();
        let command = self.runtime.host(["podman", "--runtime"]).arg(self.runtime.program()).args(args);
        let command = command.env("CONTAINERS_CONF", scratch.join("containers.conf"));
        command.env("CONTAINERS_STORAGE_CONF", scratch.join("storage.conf"))
    }

    /// `podman run OPTIONS... IMAGE COMMAND...` below a cgroup that has the name of the scratch directory.
    #[must_use]
    pub fn run(&self, options: &[&str], command: &[&str]) -> Invocation {
        let parent = format!("/{}", self.runtime.name());
        self.podman(["run", "--cgroup-parent"]).arg(parent).args(options).arg(self.image).args(command)
    }

    /// `podman run OPTIONS... IMAGE COMMAND...` where podman puts it.
    #[must_use]
    pub fn run_in_scope(&self, options: &[&str], command: &[&str]) -> Invocation {
        self.podman(["run"]).args(options).arg(self.image).args(command)
    }

    /// Runs `podman exec OPTIONS... NAME COMMAND...`.
    pub fn exec(&self, options: &[&str], name: &str, command: &[&str]) -> Outcome {
        self.podman(["exec"]).args(options).arg(name).args(command).run()
    }

    /// One field of what `podman inspect` tells.
    ///
    /// # Panics
    /// When there is no such container.
    #[must_use]
    pub fn inspect(&self, name: &str, field: &str) -> String {
        let format = format!("{{{{.{field}}}}}");
        self.podman(["inspect", "--format", &format, name]).run().succeeds().stdout.trim().to_owned()
    }

    /// Demands that nothing of any container is left: its record, its cgroups, its root file system.
    ///
    /// # Panics
    /// When something is.
    pub fn holds_nothing(&self) {
        assert_eq!(self.podman(["ps", "--all", "--quiet"]).run().succeeds().stdout, "");
        assert_eq!(self.groups.children(), Vec::<PathBuf>::new());
        let mounts = leftovers::mounts_below(self.runtime.name());
        let of_containers: Vec<&String> = mounts.iter().filter(|mount| mount.ends_with("/merged")).collect();
        assert_eq!(of_containers, Vec::<&String>::new());
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        await_cleanup(self.runtime.scratch());
    }
}

/// Waits until podman has cleaned up, which it does after it has answered: conmon starts `podman container cleanup`,
/// which mounts its storage and makes the cgroups' parent once more. Each of them has the scratch directory on its
/// command line. What does not end in time is told by the check for what is left.
pub(crate) fn await_cleanup(scratch: &Path) {
    let scratch = scratch.display().to_string();
    wait::within(GRACE, || procfs::with_word_in_command_line(&scratch).is_empty().then_some(()));
}
