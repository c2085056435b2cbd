//! A containerd of a test's own.

use super::{BUSYBOX, CgroupParent, Daemon, IMAGE, busybox_archive, image_archive};
use crate::{Invocation, Runtime};
use std::path::{Path, PathBuf};

/// A containerd with directories and a socket of its own, which holds one image.
#[derive(Debug)]
pub struct Containerd {
    // The order is that of their end: the daemon first, then what its containers leave, then the check.
    daemon: Daemon,
    groups: CgroupParent,
    runtime: Runtime,
    image: &'static str,
}

impl Containerd {
    /// One with the image of Debian.
    ///
    /// # Panics
    /// When the daemon does not start, or the image cannot be imported.
    #[must_use]
    pub fn with_debian() -> Self {
        Self::start(IMAGE, &image_archive())
    }

    /// One with the image of busybox.
    ///
    /// # Panics
    /// When the daemon does not start, or the image cannot be imported.
    #[must_use]
    pub fn with_busybox() -> Self {
        Self::start(BUSYBOX, &busybox_archive(BUSYBOX))
    }

    fn start(image: &'static str, archive: &Path) -> Self {
        let runtime = Runtime::new();
        let daemon = Daemon::containerd(runtime.scratch());
        let containerd = Self { daemon, groups: CgroupParent::new(runtime.name()), runtime, image };
        containerd.ctr(["images", "import"]).arg(archive).run().succeeds();
        containerd
    }

    /// The runtime under test.
    #[must_use]
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// `ctr ARGS...` in a containerd namespace, and so below a cgroup, that has the name of the scratch directory.
    #[must_use]
    pub fn ctr<const N: usize>(&self, args: [&str; N]) -> Invocation {
        let socket = self.runtime.scratch().join("containerd.sock");
        let command = self.runtime.host(["ctr", "--namespace", self.runtime.name(), "--address"]);
        command.arg(socket).args(args)
    }

    /// `ctr run OPTIONS... IMAGE ID COMMAND...` with the program under test as the runtime.
    #[must_use]
    pub fn run(&self, options: &[&str], id: &str, command: &[&str]) -> Invocation {
        self.ctr(["run", "--runc-binary"])
            .arg(self.runtime.program())
            .arg("--runc-root")
            .arg(self.runtime.scratch().join("runc"))
            .arg("--fifo-dir")
            .arg(self.fifos())
            .args(options)
            .args([self.image, id])
            .args(command)
    }

    /// Where ctr makes the pipes that the shim opens: a place that both of their mount namespaces see.
    #[must_use]
    pub fn fifos(&self) -> PathBuf {
        self.runtime.scratch().join("fifos")
    }

    /// The status that `ctr task list` shows.
    ///
    /// # Panics
    /// When containerd does not answer.
    #[must_use]
    pub fn status(&self, id: &str) -> Option<String> {
        let list = self.ctr(["task", "list"]).run().succeeds().stdout;
        let line = list.lines().find(|line| line.split_whitespace().next() == Some(id))?;
        line.split_whitespace().nth(2).map(str::to_owned)
    }

    /// Demands that nothing of any container is left: its task, its record, its cgroups, its root file system.
    ///
    /// # Panics
    /// When something is.
    pub fn holds_nothing(&self) {
        assert_eq!(self.ctr(["task", "list", "--quiet"]).run().succeeds().stdout, "");
        assert_eq!(self.ctr(["container", "list", "--quiet"]).run().succeeds().stdout, "");
        assert_eq!(self.groups.children(), Vec::<PathBuf>::new());
        assert_eq!(self.daemon.mounts_with(self.runtime.name()), Vec::<String>::new());
    }
}
