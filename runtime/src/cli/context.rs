//! Where the environment enters: what was typed, made whole.

use super::args::{CgroupManager, GlobalArgs, Rootless};
use super::log::{Log, LogError};
use crate::cgroup::Instance;
use crate::timings::Timings;
use mydocker_sys::fs::{AT_FDCWD, read_at};
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// The state root of the host's root user.
const DEFAULT_ROOT: &str = "/run/mydocker";

/// What every command knows.
#[derive(Debug)]
pub struct Context {
    /// The directory of the containers' state; absolute, without `.` and `..`, never `/`. It may not exist yet.
    pub root: PathBuf,
    /// Where [`root`](Self::root) is from.
    pub root_source: RootSource,
    /// Whether missing permission on cgroups is forgiven.
    pub rootless: Rootless,
    /// The criu program, if it is not to be found in PATH.
    pub criu: Option<PathBuf>,
    /// Which systemd makes the cgroups; none with the cgroupfs driver.
    pub systemd: Option<Instance>,
    /// Whether new containers get no cgroup at all.
    pub no_cgroups: bool,
    /// The log.
    pub log: Log,
    /// How long the parts of the command took, if that was asked for.
    pub timings: Timings,
}

/// Where the state root is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RootSource {
    /// From `--root`.
    Flag,
    /// `/run/mydocker`.
    Default,
    /// Below `$XDG_RUNTIME_DIR`: whoever makes it gives it mode 01700, for a sticky directory is not cleaned up there.
    XdgRuntimeDir,
}

/// What is taken from the process's surroundings.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// The effective user id.
    pub euid: u32,
    /// `$XDG_RUNTIME_DIR`.
    pub xdg_runtime_dir: Option<OsString>,
    /// `$USER`.
    pub user: Option<OsString>,
}

impl Environment {
    /// Looks around.
    #[must_use]
    pub fn probe() -> Self {
        Self {
            euid: mydocker_sys::process::euid(),
            xdg_runtime_dir: std::env::var_os("XDG_RUNTIME_DIR"),
            user: std::env::var_os("USER"),
        }
    }
}

/// Why the flags before the command cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// `--root` is `/`, or leads there.
    #[error("--root must not be the root directory")]
    RootIsSlash,
    /// `--root` is relative and the working directory has no path.
    #[error("the working directory, from which --root counts, has no path")]
    WorkingDirectory(#[source] std::io::Error),
    /// `--systemd-cgroup` with another `--cgroup-manager`.
    #[error("--systemd-cgroup and --cgroup-manager contradict each other: leave one of them out")]
    CgroupManager,
    /// There is no log.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl ContextError {
    /// A stable name of the kind of error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::RootIsSlash | Self::WorkingDirectory(_) => "bad-root",
            Self::CgroupManager => "bad-cgroup-manager",
            Self::Log(_) => "log-unopenable",
        }
    }
}

impl Context {
    /// Opens the log, then [`with_log`](Self::with_log).
    ///
    /// # Errors
    /// [`ContextError`]; the log to tell it to is standard error if it is the log that fails.
    pub fn new(args: &GlobalArgs, environment: &Environment) -> Result<Self, (ContextError, Log)> {
        let log = Log::open(args).map_err(|error| (error.into(), Log::stderr()))?;
        match checked_root(args, environment).and_then(|root| Ok((root, cgroup_manager(args)?))) {
            Ok(((root, root_source), manager)) => {
                let systemd = (manager == CgroupManager::Systemd)
                    .then(|| systemd_instance(args, environment, in_user_namespace));
                let no_cgroups = manager == CgroupManager::Disabled;
                let timings = if args.timings { Timings::begin() } else { Timings::default() };
                let (rootless, criu) = (args.rootless, args.criu.clone());
                Ok(Self { root, root_source, rootless, criu, systemd, no_cgroups, log, timings })
            }
            Err(error) => Err((error, log)),
        }
    }
}

impl Context {
    /// Whether a container does without the cgroups that the runtime may not make, as with runc: by itself where
    /// the runtime is not the host's root.
    #[must_use]
    pub fn forgives_cgroups(&self, is_host_root: bool) -> bool {
        match self.rootless {
            Rootless::Auto => !is_host_root,
            Rootless::True => true,
            Rootless::False => false,
        }
    }
}

fn checked_root(args: &GlobalArgs, environment: &Environment) -> Result<(PathBuf, RootSource), ContextError> {
    match &args.root {
        Some(root) => Ok((absolute(root)?, RootSource::Flag)),
        None => Ok(default_root(environment, in_user_namespace)),
    }
}

/// Who makes the cgroups, by either of the two flags that say it.
fn cgroup_manager(args: &GlobalArgs) -> Result<CgroupManager, ContextError> {
    match (args.cgroup_manager, args.systemd_cgroup) {
        (None | Some(CgroupManager::Systemd), true) => Ok(CgroupManager::Systemd),
        (Some(_), true) => Err(ContextError::CgroupManager),
        (manager, false) => Ok(manager.unwrap_or(CgroupManager::Cgroupfs)),
    }
}

/// The system's systemd, or the user's where the runtime is not the host's root; `--rootless` decides otherwise.
fn systemd_instance(
    args: &GlobalArgs,
    environment: &Environment,
    in_user_namespace: impl FnOnce() -> bool,
) -> Instance {
    let user = || match args.rootless {
        Rootless::True => true,
        Rootless::False => false,
        Rootless::Auto => environment.euid != 0 || in_user_namespace(),
    };
    if user() { Instance::User } else { Instance::System }
}

/// As runc: `$XDG_RUNTIME_DIR` counts for ordinary users, and for root in a user namespace unless it calls itself
/// root; the host's root has it too, from its login session, and must not use it.
fn default_root(
    environment: &Environment,
    in_user_namespace: impl FnOnce() -> bool,
) -> (PathBuf, RootSource) {
    let xdg = environment.xdg_runtime_dir.as_deref().filter(|dir| !dir.is_empty());
    let named_root = || environment.user.as_deref().is_some_and(|user| user == "root");
    match xdg {
        Some(dir) if environment.euid != 0 || (!named_root() && in_user_namespace()) => {
            (Path::new(dir).join("mydocker"), RootSource::XdgRuntimeDir)
        }
        _ => (PathBuf::from(DEFAULT_ROOT), RootSource::Default),
    }
}

/// Whether user ids are mapped: the first namespace maps all of them to themselves (`user_namespaces(7)`). Without
/// /proc the host's way is the safe one.
fn in_user_namespace() -> bool {
    let map = read_at(AT_FDCWD, Path::new("/proc/self/uid_map"), 4096).unwrap_or_default();
    let map = String::from_utf8_lossy(&map);
    !map.is_empty() && map.split_whitespace().ne(["0", "0", "4294967295"])
}

/// The absolute path without `.` and `..`, which must not be `/`.
fn absolute(path: &Path) -> Result<PathBuf, ContextError> {
    if path.as_os_str().is_empty() {
        return Err(ContextError::RootIsSlash);
    }
    let path = std::path::absolute(path).map_err(ContextError::WorkingDirectory)?;
    let mut clean = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => drop(clean.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    if clean == Path::new("/") { Err(ContextError::RootIsSlash) } else { Ok(clean) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(euid: u32, xdg: Option<&str>, user: Option<&str>) -> Environment {
        Environment { euid, xdg_runtime_dir: xdg.map(OsString::from), user: user.map(OsString::from) }
    }

    fn args(words: &[&str]) -> GlobalArgs {
        super::super::parse_global(words.iter().map(OsString::from)).expect("valid flags").global
    }

    #[test]
    fn the_state_root_follows_the_user() {
        let xdg = || (PathBuf::from("/run/user/7/mydocker"), RootSource::XdgRuntimeDir);
        let default = || (PathBuf::from("/run/mydocker"), RootSource::Default);
        let dir = Some("/run/user/7");
        for (euid, xdg_dir, user, mapped, wanted) in [
            (7, dir, Some("me"), false, xdg()),
            (7, None, Some("me"), false, default()),
            (7, Some(""), Some("me"), false, default()),
            (0, dir, Some("me"), false, default()),
            (0, dir, Some("me"), true, xdg()),
            (0, dir, None, true, xdg()),
            (0, dir, Some("root"), true, default()),
        ] {
            assert_eq!(default_root(&environment(euid, xdg_dir, user), || mapped), wanted, "{euid} {user:?}");
        }
    }

    #[test]
    fn a_given_root_becomes_absolute_and_is_never_the_root_directory() {
        let root = |path: &str| checked_root(&args(&["--root", path]), &Environment::default());
        let cwd = std::env::current_dir().expect("a working directory");
        assert_eq!(root("/a/./b/../c/").expect("a root"), (PathBuf::from("/a/c"), RootSource::Flag));
        assert_eq!(root("state").expect("a root"), (cwd.join("state"), RootSource::Flag));
        for path in ["/", "/..", "/a/.."] {
            assert!(matches!(root(path), Err(ContextError::RootIsSlash)), "{path:?}");
        }
    }

    #[test]
    fn the_systemd_is_that_of_who_runs_the_runtime_unless_told() {
        use Instance::{System, User};
        for (words, euid, mapped, wanted) in [
            (&[][..], 0, false, System),
            (&[], 0, true, User),
            (&[], 7, false, User),
            (&["--rootless=false"], 7, true, System),
            (&["--rootless=true"], 0, false, User),
        ] {
            let found = systemd_instance(&args(words), &environment(euid, None, None), || mapped);
            assert_eq!(found, wanted, "{words:?} {euid} {mapped}");
        }
    }

    #[test]
    fn who_makes_the_cgroups_is_said_by_either_flag_and_not_by_both_otherwise() {
        use CgroupManager::{Cgroupfs, Disabled, Systemd};
        for (words, wanted) in [
            (&[][..], Some(Cgroupfs)),
            (&["--systemd-cgroup=false"], Some(Cgroupfs)),
            (&["--systemd-cgroup"], Some(Systemd)),
            (&["--cgroup-manager=cgroupfs"], Some(Cgroupfs)),
            (&["--cgroup-manager", "systemd"], Some(Systemd)),
            (&["--cgroup-manager=systemd", "--systemd-cgroup"], Some(Systemd)),
            (&["--cgroup-manager=disabled"], Some(Disabled)),
            (&["--cgroup-manager=disabled", "--systemd-cgroup"], None),
            (&["--systemd-cgroup", "--cgroup-manager=cgroupfs"], None),
        ] {
            assert_eq!(cgroup_manager(&args(words)).ok(), wanted, "{words:?}");
        }
    }
}
