//! `restore`.

use super::Outcome;
use super::bundle::{self, Bundle, Driver};
use super::container;
use super::create::forget_ended;
use super::criu_options::{
    Checked, DESCRIPTORS, Directories, EXTERNAL_NAMESPACES, check, criu_failed_with_log, joined, program,
    resolver,
};
use super::exit::{self, Witness};
use super::launch::{PidFile, new_record, undo};
use super::placement::{make_cgroup, make_class, start_unit};
use super::report::{and_undo, failed, refusal, require_support, state_failed};
use super::streams;
use crate::cli::{Context, Report, RestoreArgs};
use crate::criu::{self, Kind, Notification, Options, Program, Session};
use crate::engine::{self, Foreground, end, hooks};
use crate::host::HostFacts;
use crate::spec::NamespaceKind;
use crate::state::{ContainerId, Entry, ProcessRecord, Progress, Record, Status};
use crate::support;
use crate::validate::Placement;
use mydocker_sys::fs::{self, OFlag};
use mydocker_sys::{AsRawFd, OwnedFd, process};
use std::cell::RefCell;
use std::path::Path;

const LOG_FILE: &str = "restore.log";

/// A list of three names has no more.
const MAX_DESCRIPTORS_BYTES: u64 = 64 * 1024;

/// `restore`: brings the processes of a checkpoint back, as a new container of the bundle that they came from.
///
/// # Errors
/// If criu is not there or cannot do what is asked, the checkpoint or the bundle is wrong, or criu fails; nothing is
/// left then.
pub fn restore(args: &RestoreArgs, context: &Context) -> Outcome {
    let id = container::id(&args.id)?;
    let wish = Wish::check(args, context)?;
    let mut foreground = match args.detach {
        true => None,
        false => Some(Foreground::begin().map_err(failed("foreground"))?),
    };
    if !args.detach && !args.no_subreaper {
        process::set_subreaper(true).map_err(failed("foreground"))?;
    }
    let Restored { entry, record, bundle, pidfd, terminal } = bring_back(args, &wish, id, context)?;
    let Some(foreground) = &mut foreground else { return Ok(0) };
    // Others must be able to pause, kill and delete the container while it runs.
    if let Err(error) = entry.unlock() {
        end(&pidfd);
        return Err(and_undo(state_failed(error), undo(entry, &record)));
    }
    let pid = record.init.map_or(0, |init| init.pid);
    let poststop = &bundle.spec.spec().hooks.poststop;
    let exit = match foreground.attend(pid, &pidfd, terminal) {
        Ok(exit) => exit,
        Err(error) => {
            end(&pidfd);
            let forgotten = forget_ended(&entry, &record, poststop, context);
            return Err(and_undo(failed("foreground")(error), forgotten));
        }
    };
    foreground.end().map_err(failed("foreground"))?;
    if args.keep {
        exit::note(context, &record, Witness::of(&record, Some(bundle.spec.spec())).judge(exit, false));
    } else {
        forget_ended(&entry, &record, poststop, context)?;
    }
    Ok(exit.status())
}

/// What was typed, checked, with all that must be there before anything is made.
struct Wish {
    checked: Checked,
    program: Program,
    directories: Directories,
    /// The standard streams of the checkpoint, by name.
    streams: Vec<String>,
}

impl Wish {
    fn check(args: &RestoreArgs, context: &Context) -> Result<Self, Box<Report>> {
        if args.no_pivot {
            return Err(refusal(
                "usage",
                "--no-pivot is not supported: criu knows no other way than pivot_root",
            ));
        }
        let checked = check(&args.criu)?;
        let program = program(context)?;
        if args.criu.lazy_pages {
            program.require_lazy_pages().map_err(super::criu_options::criu_failed)?;
        }
        let directories = checked.open(false, LOG_FILE)?;
        let streams = streams(&directories.images, &checked.images)?;
        Ok(Self { checked, program, directories, streams })
    }
}

fn streams(images: &OwnedFd, path: &Path) -> Result<Vec<String>, Box<Report>> {
    let bytes = fs::read_at(images, Path::new(DESCRIPTORS), MAX_DESCRIPTORS_BYTES).map_err(|error| {
        let message = format!("{} is no checkpoint of a container: {error}", path.display());
        refusal("bad-checkpoint", message)
    })?;
    serde_json::from_slice(&bytes).map_err(failed("bad-checkpoint"))
}

/// A container that is back.
struct Restored {
    entry: Entry,
    record: Record,
    bundle: Bundle,
    pidfd: OwnedFd,
    /// The other end of its terminal, where no socket took it.
    terminal: Option<OwnedFd>,
}

fn bring_back(
    args: &RestoreArgs,
    wish: &Wish,
    id: ContainerId,
    context: &Context,
) -> Result<Restored, Box<Report>> {
    let host = HostFacts::probe().map_err(failed("host"))?;
    // Its program has said before that it is ready, but the directory in which it said so is mounted in it.
    let notify = engine::manager().map(|_| Entry::notify_directory(&context.root, &id));
    let (directory, driver) =
        (args.bundle.as_deref(), Driver::choose(context, context.forgives_cgroups(host.is_host_root())));
    let bundle = bundle::load(directory, id.as_str(), notify.as_deref(), &host, driver, &context.log)?;
    bundle::require_root_directory(&bundle.spec)?;
    require_support(&support::missing(&bundle.spec))?;
    bundle::check_terminal(bundle.spec.has_terminal(), args.console_socket.is_some(), !args.detach)?;
    let mut record = new_record(&id, !args.detach && !args.keep, &bundle, &host);
    let entry = container::store(context).reserve(&id, &record).map_err(state_failed)?;
    match set_up(args, wish, &bundle, &entry, &mut record, context) {
        Ok((pidfd, terminal)) => Ok(Restored { entry, record, bundle, pidfd, terminal }),
        Err(report) => Err(and_undo(report, undo(entry, &record))),
    }
}

/// Every effect on the host: each is in the record before it happens.
fn set_up(
    args: &RestoreArgs,
    wish: &Wish,
    bundle: &Bundle,
    entry: &Entry,
    record: &mut Record,
    context: &Context,
) -> Result<(OwnedFd, Option<OwnedFd>), Box<Report>> {
    entry.save_config(&bundle.config, record.attended).map_err(state_failed)?;
    // What was refused, perhaps because it is somebody else's, is not ours to remove.
    record.cgroup = None;
    if engine::manager().is_some() {
        entry.make_notify_directory().map_err(state_failed)?;
    }
    let cgroups = match &bundle.unit {
        None => Some(make_cgroup(bundle, entry, record)?),
        Some(_) => None,
    };
    make_class(bundle, entry, record)?;
    engine::make_mount_points(&bundle.spec)
        .map_err(|why| refusal("setup", format!("cannot make the container's mount points: {why}")))?;
    let namespaces = open_namespaces(bundle)?;
    // The directory of the state is covered by the container's root, for criu alone.
    let at = context.root.join(record.id.as_str());
    let paths = wish.directories.paths();
    let helper = criu::Helper {
        directories: &paths,
        inherited: &namespaces.iter().map(|(_, fd)| fd).collect::<Vec<_>>(),
        cgroups,
        root: Some((&bundle.spec.root.path, &at)),
        ..criu::Helper::default()
    };
    let fail = |error| criu_failed_with_log(error, wish.directories.log());
    let session = Session::start(wish.program.path(), helper).map_err(fail)?;
    place(bundle, entry, record, session.pid())?;
    let options = restore_options(args, wish, bundle, record, &namespaces, &at, session.pid())?;
    let options = options.at(session.directories());
    let moments = Moments {
        args,
        wish,
        bundle,
        entry,
        pid_file: PidFile::new(args.pid_file.as_deref()),
        progress: RefCell::new(Running { record, pidfd: None, terminal: None }),
    };
    let restored = session
        .request(&options.request(Kind::Restore), |moment, fds| moments.attend(moment, fds))
        .and_then(|_| session.end())
        .and_then(|exit| match exit.status() {
            0 => Ok(()),
            status => Err(criu::Error::Failed(format!(" with exit status {status}"))),
        });
    moments.finish(restored.map_err(fail))
}

/// Puts criu where systemd and the class of service have to put processes: what it restores is born there.
fn place(bundle: &Bundle, entry: &Entry, record: &mut Record, criu: i32) -> Result<(), Box<Report>> {
    if let Some(unit) = &bundle.unit {
        start_unit(unit, bundle, entry, record, criu).map_err(failed("cgroup"))?;
    }
    match &record.intel_rdt {
        Some(class) => class.enter(criu).map_err(failed("intel-rdt")),
        None => Ok(()),
    }
}

/// The namespaces that the container shares with others, open, with criu's name for each.
fn open_namespaces(bundle: &Bundle) -> Result<Vec<(&'static str, OwnedFd)>, Box<Report>> {
    let mut opened = Vec::new();
    for (kind, _, key) in EXTERNAL_NAMESPACES {
        if let Some(path) = joined(&bundle.spec, kind) {
            opened.push((key, fs::open(path, OFlag::O_RDONLY).map_err(failed("namespace"))?));
        }
    }
    Ok(opened)
}

fn restore_options(
    args: &RestoreArgs,
    wish: &Wish,
    bundle: &Bundle,
    record: &Record,
    namespaces: &[(&'static str, OwnedFd)],
    root: &Path,
    criu: i32,
) -> Result<Options, Box<Report>> {
    let spec = &bundle.spec;
    let mut inherited = streams::inherited(&wish.streams);
    inherited.extend(namespaces.iter().map(|(key, fd)| ((*key).to_owned(), fd.as_raw_fd())));
    Ok(Options {
        root: root.to_string_lossy().into_owned(),
        log_file: LOG_FILE,
        evasive_devices: true,
        sibling: true,
        cgroup_roots: cgroup_roots(criu)?,
        external_mounts: criu::for_restore(spec, record.cgroup.as_ref(), resolver(&spec.root.path)),
        inherited,
        joined: joined_by_criu(bundle)?,
        tcp_close: args.tcp_close,
        lsm_profile: args.lsm_profile.clone(),
        lsm_mount_context: args.lsm_mount_context.clone(),
        ..wish.directories.options(&args.criu, &wish.checked, spec)
    })
}

/// Where criu is, and with it what it restores.
fn cgroup_roots(pid: i32) -> Result<Vec<(String, String)>, Box<Report>> {
    let path = format!("/proc/{pid}/cgroup");
    let bytes = fs::read_at(fs::AT_FDCWD, Path::new(&path), 1 << 20).map_err(failed("cgroup"))?;
    let text = String::from_utf8_lossy(&bytes);
    let fields = text.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    Ok(fields
        .flat_map(|(names, path)| names.split(',').map(move |name| (name.to_owned(), path.to_owned())))
        .collect())
}

/// Namespaces of the other kinds, which criu joins by their files.
fn joined_by_criu(bundle: &Bundle) -> Result<Vec<(&'static str, String)>, Box<Report>> {
    let mut joins = Vec::new();
    for (kind, path) in bundle.spec.namespaces.joined() {
        match kind {
            NamespaceKind::Network | NamespaceKind::Pid => {}
            NamespaceKind::Cgroup | NamespaceKind::Time => {
                return Err(refusal(
                    "bad-config",
                    format!("/linux/namespaces: criu cannot restore into a joined {kind} namespace"),
                ));
            }
            _ => joins.push((kind.proc_name(), path.to_string_lossy().into_owned())),
        }
    }
    Ok(joins)
}

/// What is there of the container so far.
struct Running<'a> {
    record: &'a mut Record,
    pidfd: Option<OwnedFd>,
    terminal: Option<OwnedFd>,
}

/// What the runtime does while criu works.
struct Moments<'a> {
    args: &'a RestoreArgs,
    wish: &'a Wish,
    bundle: &'a Bundle,
    entry: &'a Entry,
    pid_file: PidFile<'a>,
    progress: RefCell<Running<'a>>,
}

impl Moments<'_> {
    fn attend(&self, moment: &Notification, fds: Vec<OwnedFd>) -> Result<(), String> {
        match moment.script.as_str() {
            "setup-namespaces" => self.set_up_namespaces(moment.pid),
            "orphan-pts-master" => self.take_terminal(fds),
            "post-restore" => self.commit(moment.pid),
            _ => Ok(()),
        }
    }

    fn set_up_namespaces(&self, pid: i32) -> Result<(), String> {
        if self.bundle.spec.namespaces.is_new(NamespaceKind::Network) {
            engine::raise_loopback_of(pid)?;
        }
        let mut state = self.progress.borrow().record.state(Status::Creating);
        state.pid = Some(pid);
        let configured = &self.bundle.spec.spec().hooks;
        for (kind, hooks) in configured.kinds().into_iter().take(2) {
            hooks::run(kind, hooks, &state).map_err(|error| Report::new("hook", &error).message)?;
        }
        Ok(())
    }

    fn take_terminal(&self, fds: Vec<OwnedFd>) -> Result<(), String> {
        let multiplexer = fds.into_iter().next().ok_or("criu sent no terminal")?;
        match &self.args.console_socket {
            Some(path) => engine::send_terminal(path, &multiplexer)
                .map_err(|error| Report::new("console", &error).message),
            None => {
                self.progress.borrow_mut().terminal = Some(multiplexer);
                Ok(())
            }
        }
    }

    /// The process is there: from here on it can live without the runtime.
    fn commit(&self, pid: i32) -> Result<(), String> {
        let progress = &mut *self.progress.borrow_mut();
        let words = |error: mydocker_sys::Error| error.to_string();
        progress.pidfd = Some(process::pidfd_open(process::Pid::from_raw(pid)).map_err(words)?);
        let record = &mut *progress.record;
        record.init = Some(ProcessRecord::of(pid).map_err(words)?);
        record.progress = Progress::Started;
        let is_host = |kind| *self.bundle.spec.namespaces.get(kind) == Placement::Host;
        if is_host(NamespaceKind::Time) && self.wish.program.knows_cgroup_v2() {
            // criu restores the clocks by a time namespace, which others have to join.
            record.namespaces.push(NamespaceKind::Time);
        }
        self.entry.save(record).map_err(|error| Report::new("state-io", &error).message)?;
        self.pid_file.write(pid).map_err(|error| Report::new("state-io", &error).message)
    }

    /// What is there at the end; a process that is there although criu failed is killed.
    fn finish(self, restored: Result<(), Box<Report>>) -> Result<(OwnedFd, Option<OwnedFd>), Box<Report>> {
        let Running { pidfd, terminal, .. } = self.progress.into_inner();
        match (restored, pidfd) {
            (Ok(()), Some(pidfd)) => Ok((pidfd, terminal)),
            (restored, pidfd) => {
                self.pid_file.take_back();
                pidfd.iter().for_each(|pidfd| {
                    end(pidfd);
                });
                Err(restored.err().unwrap_or_else(|| refusal("criu", "criu restored no process")))
            }
        }
    }
}
