//! Engines that take images from the tool under test, and give it theirs: each with a storage of its own.

use super::tree::{self, Listing};
use crate::plug::{CgroupParent, Daemon, Reaper, await_cleanup};
use crate::{Invocation, Runtime};
use serde_json::json;
use std::fs;
use std::time::Duration;

/// What an engine may take for an image of Debian.
const A_LONG_TIME: Duration = Duration::from_secs(120);

/// podman, with the runtime under test.
#[derive(Debug)]
pub struct Podman {
    // The order is that of their end: first what the containers leave, then the check.
    groups: CgroupParent,
    _reaper: Reaper,
    runtime: Runtime,
}

impl Podman {
    /// A podman that has no image.
    ///
    /// # Panics
    /// When its files cannot be written.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it starts guards, which nobody should do by default")]
    pub fn new() -> Self {
        let runtime = Runtime::new();
        let scratch = runtime.scratch().display();
        let engine = format!(
            "[engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\nlock_type = \"file\"\n\
             static_dir = \"{scratch}/podman/graph/libpod\"\ntmp_dir = \"{scratch}/podman/tmp\"\n\
             volume_path = \"{scratch}/podman/volumes\"\n[containers]\n\
             default_ulimits = [\"nofile=1024:4000\", \"nproc=1024:4096\"]\nlog_driver = \"k8s-file\"\n\
             netns = \"none\"\n[network]\nnetwork_backend = \"netavark\"\n\
             network_config_dir = \"{scratch}/podman/networks\"\n"
        );
        let storage = format!(
            "[storage]\ndriver = \"overlay\"\ngraphroot = \"{scratch}/podman/graph\"\nrunroot = \"{scratch}/podman/run\"\n"
        );
        fs::write(runtime.scratch().join("containers.conf"), engine).expect("writable");
        fs::write(runtime.scratch().join("storage.conf"), storage).expect("writable");
        let groups = CgroupParent::new(runtime.name()).with_own_group("conmon");
        Self { groups, _reaper: Reaper::of("conmon"), runtime }
    }

    /// `podman WORDS...`
    #[must_use]
    pub fn command<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Invocation {
        let scratch = self.runtime.scratch();
        let command = self.runtime.host(["podman", "--runtime"]).arg(self.runtime.program()).args(words);
        command
            .env("CONTAINERS_CONF", scratch.join("containers.conf"))
            .env("CONTAINERS_STORAGE_CONF", scratch.join("storage.conf"))
            .deadline(A_LONG_TIME)
    }

    /// `podman run --rm IMAGE WORDS...`, and what that prints.
    ///
    /// # Panics
    /// When it fails, or leaves a cgroup.
    #[must_use]
    pub fn run<'a>(&self, image: &str, words: impl IntoIterator<Item = &'a str>) -> String {
        let parent = self.cgroup_parent();
        let command = self.command(["run", "--rm", "--cgroup-parent", &parent, image]).args(words);
        let said = command.run().succeeds().stdout;
        assert!(self.groups.children().is_empty());
        said
    }

    /// `podman create --name NAME IMAGE WORDS...`
    #[must_use]
    pub fn create<'a>(
        &self,
        name: &str,
        image: &str,
        words: impl IntoIterator<Item = &'a str>,
    ) -> Invocation {
        let parent = self.cgroup_parent();
        self.command(["create", "--name", name, "--cgroup-parent", &parent, image]).args(words)
    }

    /// No file of podman's names the cgroup above its containers, and it leaves the usual one, `/libpod_parent`, behind.
    fn cgroup_parent(&self) -> String {
        format!("/{}", self.runtime.name())
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        await_cleanup(self.runtime.scratch());
    }
}

/// containerd, with the runtime under test.
#[derive(Debug)]
pub struct Containerd {
    _daemon: Daemon,
    groups: CgroupParent,
    runtime: Runtime,
}

impl Containerd {
    /// A containerd that has no image.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it starts a daemon, which nobody should do by default")]
    pub fn new() -> Self {
        let runtime = Runtime::new();
        let daemon = Daemon::containerd(runtime.scratch());
        Self { _daemon: daemon, groups: CgroupParent::new(runtime.name()), runtime }
    }

    /// `ctr WORDS...` in a namespace that has the name of the scratch directory.
    #[must_use]
    pub fn command<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Invocation {
        let socket = self.runtime.scratch().join("containerd.sock");
        let command = self.runtime.host(["ctr", "--namespace", self.runtime.name(), "--address"]);
        command.arg(socket).args(words).deadline(A_LONG_TIME)
    }

    /// The tree of an image of a registry that speaks plain HTTP, as the overlayfs snapshotter has it.
    ///
    /// # Panics
    /// When it cannot be pulled or mounted.
    #[must_use]
    pub fn snapshot(&self, image: &str) -> Listing {
        let target = self.runtime.scratch().join("snapshot");
        fs::create_dir(&target).expect("the scratch directory is writable");
        let overlayfs = ["--snapshotter", "overlayfs", image];
        let words = ["images", "pull", "--plain-http"].into_iter().chain(overlayfs);
        self.command(words).run().succeeds().discard();
        let words = ["images", "mount"].into_iter().chain(overlayfs);
        self.command(words).arg(&target).run().succeeds().discard();
        let listing = tree::list(&target);
        self.command(["images", "unmount"]).arg(&target).run().succeeds().discard();
        listing
    }

    /// `ctr run --rm IMAGE ID WORDS...`, and what that prints.
    ///
    /// # Panics
    /// When it fails, or leaves a cgroup.
    #[must_use]
    pub fn run<'a>(&self, image: &str, words: impl IntoIterator<Item = &'a str>) -> String {
        let place = |name: &str| self.runtime.scratch().join(name);
        let command = self.command(["run", "--rm", "--runc-binary"]).arg(self.runtime.program());
        let command = command.arg("--runc-root").arg(place("runc")).arg("--fifo-dir").arg(place("fifos"));
        let said = command.args([image, "runs"]).args(words).run().succeeds().stdout;
        assert!(self.groups.children().is_empty());
        said
    }
}

/// docker, for images alone.
#[derive(Debug)]
pub struct Docker {
    _daemon: Daemon,
    _containerd: Daemon,
    runtime: Runtime,
}

impl Docker {
    /// A docker that has no image.
    ///
    /// # Panics
    /// When its files cannot be written, or it does not come up.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it starts daemons, which nobody should do by default")]
    pub fn new() -> Self {
        let runtime = Runtime::new();
        let containerd = Daemon::containerd(runtime.scratch());
        let place = |name: &str| runtime.scratch().join(name);
        let config = json!({
            "bridge": "none",
            "containerd": place("containerd.sock"),
            "data-root": place("docker/data"),
            "deprecated-key-path": place("docker/key.json"),
            "exec-opts": ["native.cgroupdriver=cgroupfs"],
            "exec-root": place("docker/exec"),
            "hosts": [format!("unix://{}", place("docker.sock").display())],
            "iptables": false,
            "ip6tables": false,
            "pidfile": place("docker/pid"),
            "storage-driver": "overlay2",
            "userland-proxy": false,
        });
        fs::create_dir(place("docker")).expect("writable");
        fs::write(place("docker/daemon.json"), config.to_string()).expect("writable");
        let command = runtime.host(["dockerd", "--config-file"]).arg(place("docker/daemon.json"));
        let daemon = containerd.start_beside(command, "API listen on");
        Self { _daemon: daemon, _containerd: containerd, runtime }
    }

    /// `docker WORDS...`, by Debian's client, which is of the daemon's version.
    #[must_use]
    pub fn command<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Invocation {
        let host = format!("unix://{}", self.runtime.scratch().join("docker.sock").display());
        let config = self.runtime.scratch().join("docker/client");
        let command = self.runtime.host(["/usr/bin/docker", "--host", &host]).args(words);
        command.env("DOCKER_CONFIG", config).deadline(A_LONG_TIME)
    }
}
