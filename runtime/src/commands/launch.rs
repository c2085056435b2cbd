//! What `create` and `run` share: from a valid bundle to a process, with everything undone where a part fails.

use super::bundle::{self, Bundle};
use super::container;
use super::delete::remove_cgroup;
use super::report::{and_undo, cgroup_failed, failed, launch_failed, state_failed};
use crate::cgroup::Cgroup;
use crate::cli::{Context, LaunchArgs, Report, rfc3339_nano};
use crate::engine::{self, Compiled, Gate, Inputs, Launch, Launched, Until};
use crate::host::HostFacts;
use crate::plan::{self, CreateOptions};
use crate::spec::NamespaceKind;
use crate::state::{ContainerId, Entry, ProcessRecord, Progress, Record, Status};
use std::time::SystemTime;

/// How a container is brought up.
pub(super) struct Wish<'a> {
    pub(super) launch: &'a LaunchArgs,
    pub(super) id: ContainerId,
    /// Whether it waits for `start`.
    pub(super) await_start: bool,
    /// Whether its terminal comes to the caller instead of a socket.
    pub(super) own_terminal: bool,
}

/// A container that is up, still guarded: dropping it without [`Up::settle`] leaves the process to be killed.
pub(super) struct Up {
    pub(super) entry: Entry,
    pub(super) record: Record,
    pub(super) launched: Launched,
    pub(super) bundle: Bundle,
}

/// Brings a container up.
pub(super) fn bring_up(wish: &Wish<'_>, context: &Context) -> Result<Up, Box<Report>> {
    let host = HostFacts::probe().map_err(failed("host"))?;
    let bundle = bundle::load(wish.launch.bundle.as_deref(), wish.id.as_str(), &host, &context.log)?;
    bundle::check_terminal(&bundle.spec, wish)?;
    let mut record = new_record(wish, &bundle, &host)?;
    let compiled = compile(wish, &bundle, &record, &host)?;
    for warning in compiled.seccomp.iter().flat_map(|seccomp| &seccomp.warnings) {
        context.log.warning(&warning.to_string());
    }
    let entry = container::store(context).reserve(&wish.id).map_err(state_failed)?;
    match set_up(wish, &bundle, &compiled, &entry, &mut record, &host) {
        Ok(launched) => Ok(Up { entry, record, launched, bundle }),
        Err(report) => {
            // A root file system that is no directory is the most frequent cause, and costs nothing until it is one.
            let report = bundle::require_root_directory(&bundle.spec).err().unwrap_or(report);
            Err(and_undo(report, undo(entry, &record)))
        }
    }
}

/// Takes back everything: the process is gone already.
pub(super) fn undo(entry: Entry, record: &Record) -> Result<(), Box<Report>> {
    let cgroup = remove_cgroup(record);
    let removed = entry.remove().map_err(state_failed);
    cgroup.and(removed)
}

fn new_record(wish: &Wish<'_>, bundle: &Bundle, host: &HostFacts) -> Result<Record, Box<Report>> {
    let spec = &bundle.spec;
    let own = NamespaceKind::ALL.into_iter().filter(|kind| !spec.namespaces.is_host(*kind));
    Ok(Record {
        id: wish.id.to_string(),
        oci_version: spec.spec().oci_version.clone(),
        bundle: bundle.path.clone(),
        rootfs: spec.root.path.clone(),
        created: rfc3339_nano(SystemTime::now()),
        owner: host.euid,
        progress: Progress::Creating,
        runtime: ProcessRecord::of(mydocker_sys::process::getpid().as_raw()).map_err(failed("host"))?,
        init: None,
        cgroup: Some(bundle.cgroup.clone()),
        annotations: spec.spec().annotations.clone(),
        namespaces: own.collect(),
    })
}

fn compile(
    wish: &Wish<'_>,
    bundle: &Bundle,
    record: &Record,
    host: &HostFacts,
) -> Result<Compiled, Box<Report>> {
    let options = CreateOptions {
        id: wish.id.as_str(),
        cgroup: &bundle.cgroup,
        await_start: wish.await_start,
        no_pivot: wish.launch.no_pivot,
        no_new_keyring: wish.launch.no_new_keyring,
        preserve_fds: wish.launch.preserve_fds,
        euid: host.euid,
    };
    let plan = plan::create(&bundle.spec, &options);
    plan::lint(&plan).map_err(failed("bad-plan"))?;
    let inputs = Inputs {
        plan,
        process: bundle.spec.process.as_ref(),
        seccomp: bundle.seccomp(),
        state: record.state(Status::Creating),
    };
    engine::compile(inputs).map_err(failed("bad-config"))
}

/// Every effect on the host: each is in the record before it happens.
fn set_up(
    wish: &Wish<'_>,
    bundle: &Bundle,
    compiled: &Compiled,
    entry: &Entry,
    record: &mut Record,
    host: &HostFacts,
) -> Result<Launched, Box<Report>> {
    entry.save(record).map_err(state_failed)?;
    entry.save_config(&bundle.config).map_err(state_failed)?;
    let cgroup = Cgroup::create(bundle.cgroup.clone(), &bundle.limits).map_err(cgroup_failed)?;
    record.cgroup = Some(cgroup.record().clone());
    let gate = match wish.await_start {
        true => Some(entry.make_gate().map_err(state_failed)?),
        false => None,
    };
    let launch = Launch {
        compiled,
        cgroups: Some(cgroup.join_fds().map_err(cgroup_failed)?),
        container: None,
        gate: gate.map(|(start, error)| Gate { start, error }),
        console_socket: wish.launch.console_socket.as_deref().filter(|_| !wish.own_terminal),
        seccomp: bundle.seccomp(),
        lock: Some(entry.directory()),
        euid: host.euid,
    };
    let until = if wish.await_start { Until::Created } else { Until::Executed };
    let launched = engine::launch(launch, until).map_err(launch_failed)?;
    record.init = Some(ProcessRecord::of(launched.pid).map_err(failed("host"))?);
    record.progress = if wish.await_start { Progress::Created } else { Progress::Started };
    entry.save(record).map_err(state_failed)?;
    if let (Some(socket), Some(pidfd)) = (&wish.launch.pidfd_socket, launched.pidfd()) {
        engine::send_pidfd(socket, pidfd).map_err(failed("pidfd-socket"))?;
    }
    if let Some(path) = &wish.launch.pid_file {
        write_pid_file(path, launched.pid)?;
    }
    Ok(launched)
}

/// Writes a pid file in one step: whoever waits for it never reads half a number.
pub(super) fn write_pid_file(path: &std::path::Path, pid: i32) -> Result<(), Box<Report>> {
    let write = || -> std::io::Result<()> {
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        let temporary = path.with_file_name(name);
        std::fs::write(&temporary, pid.to_string())?;
        std::fs::rename(&temporary, path)
    };
    write().map_err(|error| {
        let mut report = Report::new("pid-file", &error);
        report.message = format!("write the pid file {}: {}", path.display(), report.message);
        report.into()
    })
}
