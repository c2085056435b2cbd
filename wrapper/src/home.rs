//! Where everything lies.
//!
//! ```text
//! ROOT/images/                     the store of mydocker-img
//! ROOT/containers/ID/              one directory for each container:
//!   container.json                   what was wanted (`container::Container`)
//!   state.json, state.lock           what became of it (`container::State`); the lock serializes changes
//!   lock                             held by the command that starts or removes it
//!   monitor.lock                     held by its monitor for as long as that lives
//!   bundle/config.json, bundle/rootfs    what the OCI runtime runs
//!   upper/ work/                     the changes to the image, and overlayfs's own room
//!   hostname hosts resolv.conf       mounted over the image's
//!   container.log ...                what it printed
//! ROOT/names/NAME                  a link to the id of the container of this name
//! ROOT/volumes/NAME/               named volumes
//! ROOT/networks/                   networks
//! ROOT/events/                     what has happened
//! RUN/runtime/                     the state root of the OCI runtime
//! RUN/containers/ID/               sockets and the like, gone after a reboot
//! RUN/netns/ID                     network namespaces
//! ```

use crate::container::CgroupManager;
use mydocker_sys::process::euid;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// What the command line and the environment say about places.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wishes {
    /// `--root`
    pub root: Option<PathBuf>,
    /// `--runroot`
    pub run_root: Option<PathBuf>,
    /// `--runtime` before the command
    pub runtime: Option<String>,
    /// `--cgroup-manager` before the command
    pub cgroup_manager: Option<String>,
}

/// Why it is not known where something lies.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// An ordinary user without a home.
    #[error("neither HOME nor XDG_DATA_HOME is set; say with --root where images and containers are to be")]
    NoHome,
    /// `MYDOCKER_CGROUP_MANAGER`.
    #[error("the environment variable MYDOCKER_CGROUP_MANAGER: {0}")]
    CgroupManager(String),
}

/// The places of one user, or of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
    run: PathBuf,
    runtime: String,
    cgroup_manager: Option<CgroupManager>,
}

impl Home {
    /// From the command line and the environment; root has one for the host, an ordinary user one of their own.
    ///
    /// # Errors
    /// [`HomeError`].
    pub fn find(wishes: Wishes) -> Result<Self, HomeError> {
        let path = |name: &str| {
            std::env::var_os(name).filter(|value: &OsString| !value.is_empty()).map(PathBuf::from)
        };
        // An ordinary user's commands go into other namespaces next.
        own_directory();
        let uid = euid();
        let root = match wishes.root.or_else(|| (uid == 0).then(|| PathBuf::from("/var/lib/mydocker"))) {
            Some(root) => root,
            None => {
                let home = path("HOME").map(|home| home.join(".local/share"));
                path("XDG_DATA_HOME").or(home).ok_or(HomeError::NoHome)?.join("mydocker")
            }
        };
        let run = wishes.run_root.unwrap_or_else(|| match (uid, path("XDG_RUNTIME_DIR")) {
            (0, _) => PathBuf::from("/run/mydocker"),
            (_, Some(directory)) => directory.join("mydocker"),
            (uid, None) => PathBuf::from(format!("/tmp/mydocker-{uid}")),
        });
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        let named = |name: &str| std::env::var(name).ok().filter(|name| !name.is_empty());
        let runtime = wishes
            .runtime
            .or_else(|| named("MYDOCKER_RUNTIME"))
            .unwrap_or_else(|| "mydocker-runtime".to_owned());
        let cgroup_manager = wishes.cgroup_manager.or_else(|| named("MYDOCKER_CGROUP_MANAGER"));
        let cgroup_manager = cgroup_manager.map(|name| name.parse()).transpose();
        let cgroup_manager = cgroup_manager.map_err(HomeError::CgroupManager)?;
        Ok(Self { root: absolute(root), run: absolute(run), runtime, cgroup_manager })
    }

    /// What outlives a reboot.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What does not.
    #[must_use]
    pub fn run(&self) -> &Path {
        &self.run
    }

    /// The runtime of new containers: a name or a path.
    #[must_use]
    pub fn runtime(&self) -> &str {
        &self.runtime
    }

    /// Who makes the cgroups of new containers.
    #[must_use]
    pub fn cgroup_manager(&self) -> CgroupManager {
        self.cgroup_manager.unwrap_or_else(CgroupManager::of_this_host)
    }

    /// The store of images.
    #[must_use]
    pub fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    /// All containers.
    #[must_use]
    pub fn containers(&self) -> PathBuf {
        self.root.join("containers")
    }

    /// One container.
    #[must_use]
    pub fn container(&self, id: &str) -> PathBuf {
        self.containers().join(id)
    }

    /// What of a container is gone after a reboot. Short, since paths of sockets have at most 107 bytes.
    #[must_use]
    pub fn run_of(&self, id: &str) -> PathBuf {
        self.run.join("containers").join(id.get(..32).unwrap_or(id))
    }

    /// The network namespace of a container that has one made for it.
    #[must_use]
    pub fn netns(&self, id: &str) -> PathBuf {
        self.run.join("netns").join(id)
    }

    /// The names of containers.
    #[must_use]
    pub fn names(&self) -> PathBuf {
        self.root.join("names")
    }

    /// Named volumes.
    #[must_use]
    pub fn volumes(&self) -> PathBuf {
        self.root.join("volumes")
    }

    /// Networks.
    #[must_use]
    pub fn networks(&self) -> PathBuf {
        self.root.join("networks")
    }

    /// What has happened.
    #[must_use]
    pub fn events(&self) -> PathBuf {
        self.root.join("events")
    }

    /// The state root of the OCI runtime.
    #[must_use]
    pub fn runtime_root(&self) -> PathBuf {
        self.run.join("runtime")
    }
}

/// Finds a program of the project: what the environment variable names, else beside this program, else in `$PATH`.
#[must_use]
pub fn program(name: &str, variable: &str) -> PathBuf {
    if let Some(named) = std::env::var_os(variable).filter(|value| !value.is_empty()) {
        return PathBuf::from(named);
    }
    let beside = own_directory().map(|directory| directory.join(name));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(name))
}

/// Where this program lies, as it was when it was asked first: in another mount namespace, once nobody is left in the one that
/// it was started in, the kernel tells a path that leads nowhere.
fn own_directory() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || std::env::current_exe().ok().and_then(|own| Some(own.parent()?.to_owned()));
    FOUND.get_or_init(find).as_deref()
}
