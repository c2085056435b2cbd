//! From a bundle's directory to a plan.

use super::launch::Wish;
use super::report::{failed, refusal};
use crate::cgroup::{CgroupPath, CgroupRecord, Layout, LayoutError, Lowered, ResourcePlan, keep_permitted};
use crate::cli::{Log, Report};
use crate::host::HostFacts;
use crate::spec::{self, MAX_CONFIG_BYTES, Spec};
use crate::validate::{self, ValidSpec};
use mydocker_sys::Errno;
use mydocker_sys::fs;
use std::path::{Component, Path, PathBuf};

/// A bundle that was read and found valid.
pub(super) struct Bundle {
    /// Absolute.
    pub(super) path: PathBuf,
    /// The configuration as it lies on the disk.
    pub(super) config: Vec<u8>,
    /// The configuration, valid.
    pub(super) spec: ValidSpec,
    /// Where the cgroups will be.
    pub(super) cgroup: CgroupRecord,
    /// The limits as writes to files.
    pub(super) limits: Lowered,
}

/// Reads and checks the bundle in `directory` (none: the working directory) for the container `id`. `forgiving` lets
/// it do without cgroups that may not be made (`--rootless`).
pub(super) fn load(
    directory: Option<&Path>,
    id: &str,
    host: &HostFacts,
    forgiving: bool,
    log: &Log,
) -> Result<Bundle, Box<Report>> {
    let path = absolute(directory)?;
    let file = path.join(spec::CONFIG_FILE);
    let config = read_config(&file)?;
    let parsed = spec::parse(&config).map_err(|error| {
        let mut report = Report::new("bad-config", &error);
        report.message = format!("{}: {}", file.display(), report.message);
        report.path = Some(file.display().to_string());
        Box::new(report)
    })?;
    let spec = check(parsed, &path, host)?;
    for warning in &spec.warnings {
        log.warning(&format!("{}: {}", warning.pointer, warning.message));
    }
    let (cgroup, limits) = place_cgroup(&spec, id, forgiving)?;
    Ok(Bundle { path, config, spec, cgroup, limits })
}

/// The bundle's path as messages and records have it: absolute and without `.` and `..`, which are taken off by name
/// as runc does.
fn absolute(directory: Option<&Path>) -> Result<PathBuf, Box<Report>> {
    let path = std::path::absolute(directory.unwrap_or(Path::new("."))).map_err(failed("bad-bundle"))?;
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(clean.pop()),
            Component::CurDir => {}
            other => clean.push(other),
        }
    }
    Ok(clean)
}

fn read_config(file: &Path) -> Result<Vec<u8>, Box<Report>> {
    fs::read_regular(file, MAX_CONFIG_BYTES).map_err(|error| {
        let mut report = Report::new("bad-config", &error);
        report.path = Some(file.display().to_string());
        match error.errno() {
            Errno::ENOENT => report.message = format!("{} does not exist: {error}", file.display()),
            Errno::EFBIG => {
                report.message = format!(
                    "{} is larger than the {} MiB that are read",
                    file.display(),
                    MAX_CONFIG_BYTES >> 20
                );
            }
            Errno::EINVAL => report.message = format!("{} is not a regular file", file.display()),
            _ => {}
        }
        Box::new(report)
    })
}

fn check(parsed: Spec, bundle: &Path, host: &HostFacts) -> Result<ValidSpec, Box<Report>> {
    let facts =
        validate::Facts { euid: host.euid, last_capability: host.last_capability, permitted: host.permitted };
    validate::validate(parsed, bundle, &facts).map_err(failed("bad-config"))
}

fn place_cgroup(spec: &ValidSpec, id: &str, forgiving: bool) -> Result<(CgroupRecord, Lowered), Box<Report>> {
    let default = spec::Linux::default();
    let linux = spec.spec().linux.as_ref().unwrap_or(&default);
    let path = CgroupPath::parse(&linux.cgroups_path, id).map_err(failed("bad-config"))?;
    let no_limits = spec::Resources::default();
    let resources = linux.resources.as_ref().unwrap_or(&no_limits);
    let plan = ResourcePlan::from_spec(resources, &linux.devices).map_err(failed("bad-config"))?;
    let explicit = !linux.cgroups_path.is_empty();
    let layout = match Layout::load(plan.controllers()) {
        Err(LayoutError::NotMounted) if forgiving && !explicit && plan.controllers().is_empty() => {
            return Ok((CgroupRecord::place(&Layout::none(), &path), Lowered::default()));
        }
        other => other.map_err(failed("cgroup"))?,
    };
    let mut limits = plan.lower(&layout).map_err(failed("bad-config"))?;
    let mut record = CgroupRecord::place(&layout, &path);
    if forgiving {
        record = keep_permitted(record, &mut limits, explicit).map_err(failed("cgroup-permission"))?;
    }
    Ok((record, limits))
}

impl Bundle {
    /// The system call filter as it is written.
    pub(super) fn seccomp(&self) -> Option<&spec::Seccomp> {
        self.spec.spec().linux.as_ref()?.seccomp.as_ref()
    }
}

/// A terminal must go somewhere, and a socket must get one.
pub(super) fn check_terminal(spec: &ValidSpec, wish: &Wish<'_>) -> Result<(), Box<Report>> {
    let terminal = spec.process.as_ref().is_some_and(|process| process.terminal);
    let refuse = |message: &str| Err(refusal("console", message));
    match (terminal, wish.launch.console_socket.is_some(), wish.own_terminal) {
        (true, false, false) => {
            refuse("cannot allocate tty if detached without a console socket: use --console-socket")
        }
        (false, true, _) => {
            refuse("cannot use console socket if the process has no terminal: set /process/terminal")
        }
        (true, true, true) => {
            refuse("cannot use console socket if not detached: the terminal comes to the caller")
        }
        _ => Ok(()),
    }
}

/// `run` and `create` need the root file system to be a directory; the kernel's own word would come late.
pub(super) fn require_root_directory(spec: &ValidSpec) -> Result<(), Box<Report>> {
    let root = &spec.root.path;
    let explain = |errno: Errno| match errno {
        Errno::ENOENT => "does not exist",
        Errno::ENOTDIR => "is not a directory",
        Errno::ELOOP => "leads in a circle of symbolic links",
        Errno::EACCES => "may not be entered",
        _ => "cannot be opened",
    };
    match fs::open(root, fs::OFlag::O_PATH | fs::OFlag::O_DIRECTORY) {
        Ok(_) => Ok(()),
        Err(error) => Err(refusal(
            "bad-rootfs",
            format!(
                "/root/path: the root file system {} {}: {error}",
                root.display(),
                explain(error.errno())
            ),
        )),
    }
}
