//! `checkpoint`.

use super::Outcome;
use super::bundle::mount_notify;
use super::container::{self, Container};
use super::criu_options::{
    Checked, DESCRIPTORS, Directories, EXTERNAL_NAMESPACES, check, criu_failed, criu_failed_with_log, joined,
    page_server, program, resolver,
};
use super::delete::{end_processes, forget, run_poststop};
use super::report::{failed, refusal, state_failed};
use super::streams;
use crate::cgroup::{CgroupRecord, Controller, Mode};
use crate::cli::{CheckpointArgs, Context, Report};
use crate::criu::{self, Kind, Options, PageServer, Program, Session};
use crate::host::HostFacts;
use crate::state::{Entry, Status};
use crate::validate::{self, ValidSpec};
use mydocker_sys::fs::{self, OFlag};
use mydocker_sys::{Errno, OwnedFd};
use std::path::{Path, PathBuf};

const LOG_FILE: &str = "dump.log";

/// `checkpoint`: saves the processes of a container with criu, and deletes the container unless it shall go on.
///
/// # Errors
/// If the container does not run, if criu is not there or cannot do what is asked, or if it fails: the container goes
/// on then.
pub fn checkpoint(args: &CheckpointArgs, context: &Context) -> Outcome {
    let container = Container::open(context, &args.id)?;
    if !matches!(container.status, Status::Running | Status::Paused) {
        let message = format!("Container cannot be checkpointed in {} state", container.status);
        return Err(refusal("not-running", message));
    }
    let wish = Wish::check(args)?;
    let program = program(context)?;
    wish.require(args, &program)?;
    let spec = valid_spec(&container, context)?;
    let options =
        |directories: &Directories| dump_options(args, &wish, directories, &container, &spec, &program);
    let directories = wish.checked.open(true, LOG_FILE)?;
    require_parent(&wish)?;
    let options = options(&directories)?;
    let mut options = options;
    if !args.pre_dump {
        let streams = streams::of(options.pid.unwrap_or_default()).map_err(failed("bad-checkpoint"))?;
        save_descriptors(&directories.images, &streams)?;
        options.external.extend(streams::outside(&streams).map(str::to_owned));
    }
    dump(args, &program, options, &directories, wish.status_fd.as_ref())
        .map_err(|error| criu_failed_with_log(error, directories.log()))?;
    if args.leave_running || args.pre_dump {
        return Ok(0);
    }
    destroy(container, &spec, context)
}

/// What was typed, checked.
struct Wish {
    checked: Checked,
    parent: Option<PathBuf>,
    page_server: Option<PageServer>,
    status_fd: Option<OwnedFd>,
}

impl Wish {
    fn check(args: &CheckpointArgs) -> Result<Self, Box<Report>> {
        if args.parent_path.as_ref().is_some_and(|path| path.is_absolute()) {
            return Err(refusal(
                "usage",
                "--parent-path must be relative to the directory of the checkpoint",
            ));
        }
        Ok(Self {
            checked: check(&args.criu)?,
            parent: args.parent_path.clone(),
            page_server: args.page_server.as_deref().map(page_server).transpose()?,
            status_fd: status_fd(args)?,
        })
    }

    /// Demands of kernel and criu what the flags need.
    fn require(&self, args: &CheckpointArgs, program: &Program) -> Result<(), Box<Report>> {
        if args.pre_dump {
            program.require_tracking("--pre-dump").map_err(criu_failed)?;
        }
        if self.parent.is_some() {
            program.require_tracking("--parent-path").map_err(criu_failed)?;
        }
        if args.criu.lazy_pages {
            program.require_lazy_pages().map_err(criu_failed)?;
        }
        Ok(())
    }
}

/// -1 is none, as with runc.
fn status_fd(args: &CheckpointArgs) -> Result<Option<OwnedFd>, Box<Report>> {
    let Some(number) = args.status_fd.filter(|number| *number != -1) else { return Ok(None) };
    if !args.criu.lazy_pages {
        return Err(refusal("usage", "--status-fd says when lazy pages can be asked for: add --lazy-pages"));
    }
    let refuse = |why: String| refusal("usage", format!("invalid --status-fd argument {number}: {why}"));
    if number <= 2 {
        return Err(refuse("the standard streams are not for this".into()));
    }
    let fd = fs::inherited(number).map_err(|error| refuse(error.to_string()))?;
    fs::set_cloexec(&fd, true).map_err(|error| refuse(error.to_string()))?;
    if fs::write(&fd, &[]).is_err_and(|error| error.errno() == Errno::EBADF) {
        return Err(refuse("not writable".into()));
    }
    Ok(Some(fd))
}

fn require_parent(wish: &Wish) -> Result<(), Box<Report>> {
    let Some(parent) = &wish.parent else { return Ok(()) };
    let path = wish.checked.images.join(parent);
    match fs::open(&path, OFlag::O_PATH | OFlag::O_DIRECTORY) {
        Ok(_) => Ok(()),
        Err(error) => Err(refusal("bad-checkpoint", format!("invalid --parent-path: {error}"))),
    }
}

/// The configuration that the container was made with was valid then.
fn valid_spec(container: &Container, context: &Context) -> Result<ValidSpec, Box<Report>> {
    let host = HostFacts::probe().map_err(failed("host"))?;
    let mut config = container.config()?;
    if container.entry.open_notify_directory().map_err(state_failed)?.is_some() {
        let id = container::id(&container.record.id)?;
        mount_notify(&mut config, &Entry::notify_directory(&context.root, &id));
    }
    let bundle = &container.record.bundle;
    let spec = validate::validate(config, bundle, &host.facts()).map_err(failed("bad-config"))?;
    match spec.landlock {
        None => Ok(spec),
        Some(_) => Err(refusal(
            "bad-config",
            "the container is under rules of Landlock, which criu would lose: it cannot be saved",
        )),
    }
}

fn dump_options(
    args: &CheckpointArgs,
    wish: &Wish,
    directories: &Directories,
    container: &Container,
    spec: &ValidSpec,
    program: &Program,
) -> Result<Options, Box<Report>> {
    let Some(init) = container.record.init else {
        return Err(refusal("not-running", "the container has no process"));
    };
    let cgroup = container.record.cgroup.as_ref();
    let mut options = Options {
        pid: Some(init.pid),
        root: container.record.rootfs.to_string_lossy().into_owned(),
        log_file: LOG_FILE,
        leave_running: args.leave_running,
        tcp_skip_in_flight: args.tcp_skip_in_flight,
        link_remap: args.link_remap,
        parent: wish.parent.as_ref().map(|path| path.to_string_lossy().into_owned()),
        page_server: wish.page_server.clone(),
        freeze_cgroup: cgroup.and_then(|record| freezer(record, program)),
        external: external_namespaces(spec)?,
        ..directories.options(&args.criu, &wish.checked, spec)
    };
    if !args.pre_dump {
        options.external_mounts = criu::for_dump(spec, cgroup, resolver(&container.record.rootfs));
        options.external_mounts.extend(criu::masked_files(spec.spec(), |path| is_file(init.pid, path)));
    }
    Ok(options)
}

/// Where criu stops all processes at once.
fn freezer(record: &CgroupRecord, program: &Program) -> Option<String> {
    let unified = || record.unified().filter(|_| record.mode == Mode::V2 && program.knows_cgroup_v2());
    let directory = record.v1(Controller::Freezer).or_else(unified)?;
    Some(directory.absolute().to_string_lossy().into_owned())
}

/// Namespaces that the container has joined stay what they are.
fn external_namespaces(spec: &ValidSpec) -> Result<Vec<String>, Box<Report>> {
    let mut external = Vec::new();
    for (kind, name, key) in EXTERNAL_NAMESPACES {
        if let Some(path) = joined(spec, kind) {
            let file = fs::open(path, OFlag::O_RDONLY).and_then(fs::fstat).map_err(failed("namespace"))?;
            external.push(format!("{name}[{}]:{key}", file.st_ino));
        }
    }
    Ok(external)
}

/// Whether there is something other than a directory at a path of the container.
fn is_file(pid: i32, path: &str) -> bool {
    let look = || -> mydocker_sys::Result<bool> {
        let root = fs::open(Path::new(&format!("/proc/{pid}/root")), OFlag::O_PATH | OFlag::O_DIRECTORY)?;
        let found = fs::open_in_root(&root, Path::new(path), OFlag::O_PATH, 0)?;
        Ok(fs::fstat(&found)?.st_mode & libc::S_IFMT != libc::S_IFDIR)
    };
    look().unwrap_or(false)
}

/// Notes what the standard streams are, for `restore` to put the new ones in the place of those from outside.
fn save_descriptors(images: &OwnedFd, streams: &[String]) -> Result<(), Box<Report>> {
    let text = serde_json::to_vec(streams).map_err(failed("bad-checkpoint"))?;
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_NOFOLLOW;
    fs::openat(images, Path::new(DESCRIPTORS), flags, 0o600)
        .and_then(|file| fs::write_fully(&file, &text))
        .map_err(failed("bad-checkpoint"))
}

fn dump(
    args: &CheckpointArgs,
    program: &Program,
    options: Options,
    directories: &Directories,
    status_fd: Option<&OwnedFd>,
) -> Result<(), criu::Error> {
    let paths = directories.paths();
    let helper = criu::Helper { directories: &paths, ..criu::Helper::default() };
    let session = Session::start(program.path(), helper)?;
    let options = options.at(session.directories());
    let kind = if args.pre_dump { Kind::PreDump } else { Kind::Dump };
    session.request(&options.request(kind), |notification, _| {
        match (notification.script.as_str(), status_fd) {
            ("status-ready", Some(fd)) => fs::write_once(fd, &[0]).map_err(|error| error.to_string()),
            _ => Ok(()),
        }
    })?;
    // After the memory alone criu waits for the rest; the end of the connection is the answer to that, and no failure.
    match session.end()? {
        exit if exit.status() != 0 && !args.pre_dump => {
            Err(criu::Error::Failed(format!(" with exit status {}", exit.status())))
        }
        _ => Ok(()),
    }
}

/// The processes are in the checkpoint; what is left of the container goes.
fn destroy(container: Container, spec: &ValidSpec, context: &Context) -> Outcome {
    end_processes(&container)?;
    let state = container.record.state(Status::Stopped);
    forget(&container.entry, &container.record)?;
    run_poststop(&spec.spec().hooks.poststop, &state, &context.log);
    Ok(0)
}
