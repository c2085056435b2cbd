//! From a bundle's directory to a plan.

use super::report::{failed, refusal};
use crate::cgroup::systemd::Manager;
use crate::cgroup::{
    CgroupPath, CgroupRecord, Instance, Layout, LayoutError, Lowered, ResourcePlan, UnitPlan, keep_permitted,
};
use crate::cli::{Context, Log, Report};
use crate::engine::{DIRECTORY_INSIDE, SOCKET_NAME};
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
    /// The unit around the cgroups, with the systemd driver.
    pub(super) unit: Option<UnitPlan>,
}

/// Reads and checks the bundle in `directory` (none: the working directory) for the container `id`, whose cgroups
/// `driver` makes; `notify` is the directory of the socket through which it says that it is ready.
pub(super) fn load(
    directory: Option<&Path>,
    id: &str,
    notify: Option<&Path>,
    host: &HostFacts,
    driver: Driver,
    log: &Log,
) -> Result<Bundle, Box<Report>> {
    let path = absolute(directory)?;
    let file = path.join(spec::CONFIG_FILE);
    let config = read_config(&file)?;
    let mut parsed = spec::parse(&config).map_err(|error| {
        let mut report = Report::new("bad-config", &error);
        report.message = format!("{}: {}", file.display(), report.message);
        report.path = Some(file.display().to_string());
        Box::new(report)
    })?;
    if let Some(directory) = notify {
        mount_notify(&mut parsed, directory);
    }
    let spec = check(parsed, &path, host)?;
    for warning in &spec.warnings {
        log.warning(&format!("{}: {}", warning.pointer, warning.message));
    }
    let Placed { cgroup, limits, unit, warnings } = place_cgroup(&spec, id, driver)?;
    warnings.iter().for_each(|warning| log.warning(warning));
    Ok(Bundle { path, config, spec, cgroup, limits, unit })
}

/// The directory with the socket, and where it is, as runc has both.
pub(super) fn mount_notify(spec: &mut Spec, directory: &Path) {
    spec.mounts.push(spec::Mount {
        destination: DIRECTORY_INSIDE.to_owned(),
        source: directory.display().to_string(),
        options: ["bind", "nosuid", "noexec", "nodev", "ro"].map(str::to_owned).to_vec(),
        ..spec::Mount::default()
    });
    if let Some(process) = &mut spec.process {
        process.env.push(format!("NOTIFY_SOCKET={DIRECTORY_INSIDE}/{SOCKET_NAME}"));
    }
}

/// The bundle's path as messages and records have it: absolute and without `.` and `..`, which are taken off by name
/// as runc does.
pub(super) fn absolute(directory: Option<&Path>) -> Result<PathBuf, Box<Report>> {
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

pub(super) fn read_config(file: &Path) -> Result<Vec<u8>, Box<Report>> {
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
    validate::validate(parsed, bundle, &host.facts()).map_err(failed("bad-config"))
}

/// Who makes a container's cgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Driver {
    /// The runtime itself.
    Own {
        /// Whether it does without those that it may not make (`--rootless`).
        forgiving: bool,
    },
    /// Systemd.
    Systemd(Instance),
    /// Nobody: there are none.
    Nobody,
}

impl Driver {
    /// What the command line chooses; `forgiving` of what the runtime may not make.
    pub(super) fn choose(context: &Context, forgiving: bool) -> Self {
        match context.systemd {
            _ if context.no_cgroups => Self::Nobody,
            Some(instance) => Self::Systemd(instance),
            None => Self::Own { forgiving },
        }
    }
}

/// Where a container's cgroups will be, with what, and what is asked for in vain.
struct Placed {
    cgroup: CgroupRecord,
    limits: Lowered,
    unit: Option<UnitPlan>,
    warnings: Vec<String>,
}

fn place_cgroup(spec: &ValidSpec, id: &str, driver: Driver) -> Result<Placed, Box<Report>> {
    let default = spec::Linux::default();
    let linux = spec.spec().linux.as_ref().unwrap_or(&default);
    let no_limits = spec::Resources::default();
    let resources = linux.resources.as_ref().unwrap_or(&no_limits);
    let mut plan = ResourcePlan::from_spec(resources, &linux.devices).map_err(failed("bad-config"))?;
    let mut warnings = std::mem::take(&mut plan.warnings);
    let (cgroup, limits, unit) = match driver {
        Driver::Own { forgiving } => {
            let path = CgroupPath::parse(&linux.cgroups_path, id).map_err(failed("bad-config"))?;
            if path.looks_like_a_unit() {
                warnings.push(format!(
                    "/linux/cgroupsPath: {:?} is taken for the name of a directory; pass --systemd-cgroup for systemd's",
                    linux.cgroups_path
                ));
            }
            let (cgroup, limits) = place_own(&path, !linux.cgroups_path.is_empty(), &plan, forgiving)?;
            (cgroup, limits, None)
        }
        Driver::Nobody => {
            let path = CgroupPath::parse(&linux.cgroups_path, id).map_err(failed("bad-config"))?;
            warnings.extend(asked_in_vain(linux, &plan)?);
            (CgroupRecord::place(&Layout::none(), &path), Lowered::default(), None)
        }
        Driver::Systemd(instance) => {
            let (cgroup, limits, unit) = place_unit(spec, linux, &plan, id, instance)?;
            (cgroup, limits, Some(unit))
        }
    };
    Ok(Placed { cgroup, limits, unit, warnings })
}

/// What a container without a cgroup does not have. A limit is refused, for the container would go beyond it; engines
/// that ask for no cgroup name a path or rules for devices all the same.
fn asked_in_vain(linux: &spec::Linux, plan: &ResourcePlan) -> Result<Vec<String>, Box<Report>> {
    const WHY: &str = "--cgroup-manager disabled makes no cgroup";
    if let Some(setting) = plan.settings.first() {
        let message = format!("{}: the limit needs a cgroup, and {WHY}", setting.pointer);
        return Err(refusal("bad-config", message));
    }
    let devices = linux.resources.as_ref().is_some_and(|resources| !resources.devices.is_empty());
    let path = !linux.cgroups_path.is_empty();
    let ignored = [(path, "/linux/cgroupsPath"), (devices, "/linux/resources/devices")];
    let ignored = ignored.into_iter().filter(|(is_asked, _)| *is_asked);
    Ok(ignored.map(|(_, pointer)| format!("{pointer}: ignored: {WHY}")).collect())
}

/// The cgroups that the runtime makes. `explicit`: the configuration names their path.
fn place_own(
    path: &CgroupPath,
    explicit: bool,
    plan: &ResourcePlan,
    forgiving: bool,
) -> Result<(CgroupRecord, Lowered), Box<Report>> {
    let load = if path.is_absolute() { Layout::load } else { Layout::load_with_own };
    let layout = match load(plan.controllers()) {
        Err(LayoutError::NotMounted) if forgiving && !explicit && plan.controllers().is_empty() => {
            return Ok((CgroupRecord::place(&Layout::none(), path), Lowered::default()));
        }
        other => other.map_err(failed("cgroup"))?,
    };
    let mut limits = plan.lower(&layout).map_err(failed("bad-config"))?;
    let mut record = CgroupRecord::place(&layout, path);
    if forgiving {
        record = keep_permitted(record, &mut limits, explicit).map_err(failed("cgroup-permission"))?;
    }
    Ok((record, limits))
}

/// The cgroups that systemd makes, and the unit that it keeps them for.
fn place_unit(
    spec: &ValidSpec,
    linux: &spec::Linux,
    plan: &ResourcePlan,
    id: &str,
    instance: Instance,
) -> Result<(CgroupRecord, Lowered, UnitPlan), Box<Report>> {
    let layout = Layout::load(plan.controllers()).map_err(failed("cgroup"))?;
    let mut limits = plan.lower(&layout).map_err(failed("bad-config"))?;
    let annotations = &spec.spec().annotations;
    let unit = UnitPlan::new(&linux.cgroups_path, id, instance, &layout, plan, annotations)
        .map_err(failed("bad-config"))?;
    let root = match instance {
        Instance::System => String::new(),
        // A user may not load a device filter, and cannot make the nodes that it would be about.
        Instance::User => {
            limits.devices = None;
            Manager::connect(instance).and_then(|mut user| user.control_group()).map_err(failed("cgroup"))?
        }
    };
    let cgroup = unit.place(&layout, &root).map_err(failed("bad-config"))?;
    Ok((cgroup, limits, unit))
}

impl Bundle {
    /// The system call filter as it is written.
    pub(super) fn seccomp(&self) -> Option<&spec::Seccomp> {
        self.spec.spec().linux.as_ref()?.seccomp.as_ref()
    }

    /// Whether the configuration limits the container's memory.
    pub(super) fn has_memory_limit(&self) -> bool {
        let resources = self.spec.spec().linux.as_ref().and_then(|linux| linux.resources.as_ref());
        let memory = resources.and_then(|resources| resources.memory.as_ref());
        memory.is_some_and(|memory| memory.limit.is_some())
    }
}

/// A terminal must go somewhere, and a socket must get one. `attended`: the caller waits for the process, and has its
/// terminal.
pub(super) fn check_terminal(terminal: bool, socket: bool, attended: bool) -> Result<(), Box<Report>> {
    let refuse = |message: &str| Err(refusal("console", message));
    match (terminal, socket, attended) {
        (true, false, false) => {
            refuse("cannot allocate tty if detached without a console socket: use --console-socket")
        }
        (false, true, _) => refuse(
            "cannot use console socket if the process has no terminal: ask for one, or leave the socket out",
        ),
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
