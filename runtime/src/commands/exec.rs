//! `exec`.

use super::Outcome;
use super::bundle::check_terminal;
use super::container::Container;
use super::launch::{PidFile, require_descriptors};
use super::report::{cgroup_failed, failed, launch_failed, refusal, require_support};
use crate::cgroup::{Cgroup, JoinFds};
use crate::cli::{Context, ExecArgs, Report};
use crate::engine::{self, Compiled, Foreground, Inputs, Launch, Until, end};
use crate::host::HostFacts;
use crate::plan::{self, ExecOptions};
use crate::spec::{self, NamespaceKind, Process, User};
use crate::state::{ProcessRecord, Status};
use crate::support;
use crate::validate;
use mydocker_sys::process::{Pid, set_affinity};
use std::path::Path;

/// The largest file of `--process`.
const MAX_PROCESS_BYTES: u64 = spec::MAX_CONFIG_BYTES;

/// `exec`: runs a further process in a container.
///
/// # Errors
/// If the container does not run, or the process cannot be started.
pub fn exec(args: &ExecArgs, context: &Context) -> Outcome {
    let container = Container::look(context, &args.id)?;
    require_running(&container, args)?;
    let host = HostFacts::probe().map_err(failed("host"))?;
    let config = container.config()?;
    let process = judged(&wanted_process(args, &config)?, &container, &host, context)?;
    check_terminal(process.terminal, args.console_socket.is_some(), !args.detach)?;
    let foreground = match args.detach {
        true => None,
        false => Some(Foreground::begin().map_err(failed("foreground"))?),
    };
    context.timings.mark("config");
    let launched = launch(args, &container, &config, &process, &host, context)?;
    if let (Some(socket), Some(pidfd)) = (&args.pidfd_socket, launched.pidfd()) {
        engine::send_pidfd(socket, engine::PidfdKind::Further, pidfd).map_err(failed("pidfd-socket"))?;
    }
    context.timings.mark("execve");
    match foreground {
        None => launched.release().map(|_| 0).map_err(failed("setup")),
        Some(foreground) => attend(foreground, launched, context),
    }
}

/// The process as it will be, with what is wrong in it told.
fn judged(
    process: &Process,
    container: &Container,
    host: &HostFacts,
    context: &Context,
) -> Result<validate::Process, Box<Report>> {
    // In a user namespace of its own a process can be given everything, whatever the runtime holds outside.
    let own_users = container.record.namespaces.contains(&NamespaceKind::User);
    let permitted = if own_users { u64::MAX } else { host.permitted };
    let facts = validate::Facts { permitted, ..host.facts() };
    let (process, warnings) =
        validate::validate_process(process, "", &facts).map_err(failed("bad-process"))?;
    for warning in &warnings {
        context.log.warning(&format!("{}: {}", warning.pointer, warning.message));
    }
    Ok(process)
}

/// Waits for the end of the process, which has the caller's streams and signals meanwhile.
fn attend(mut foreground: Foreground, mut launched: engine::Launched, context: &Context) -> Outcome {
    let (pid, terminal) = (launched.pid, launched.terminal.take());
    let pidfd = launched.release().map_err(failed("setup"))?;
    let exit = foreground.attend(pid, &pidfd, terminal).map_err(|error| {
        end(&pidfd);
        failed("foreground")(error)
    })?;
    context.timings.mark("program");
    foreground.end().map_err(failed("foreground"))?;
    Ok(exit.status())
}

fn require_running(container: &Container, args: &ExecArgs) -> Result<(), Box<Report>> {
    match container.status {
        Status::Created | Status::Running => Ok(()),
        Status::Paused if args.ignore_paused => Ok(()),
        Status::Paused => {
            Err(refusal("paused", "cannot exec in a paused container (use --ignore-paused to override)"))
        }
        Status::Stopped => Err(refusal("not-running", "cannot exec in a stopped container")),
        Status::Creating => {
            Err(refusal("not-running", "cannot exec in a container that is still being created"))
        }
    }
}

/// The process by `--process`, or the container's own with what was typed in its place.
fn wanted_process(args: &ExecArgs, config: &spec::Spec) -> Result<Process, Box<Report>> {
    let mut process = match &args.process {
        Some(path) => return read_process(path, config.process.as_ref()),
        None => config.process.clone().unwrap_or_default(),
    };
    process.args = text_arguments(args)?;
    process.terminal = args.tty;
    process.console_size = None;
    apply_flags(&mut process, args)?;
    Ok(process)
}

/// The process in a file.
fn read_process(path: &Path, own: Option<&Process>) -> Result<Process, Box<Report>> {
    let bytes = mydocker_sys::fs::read_at(mydocker_sys::fs::AT_FDCWD, path, MAX_PROCESS_BYTES)
        .map_err(failed("bad-process"))?;
    let process = spec::parse_process(&bytes).map_err(|error| {
        let mut report = Report::new("bad-process", &error);
        report.message = format!("{}: {}", path.display(), report.message);
        report
    })?;
    Ok(match own {
        Some(own) => completed(process, own),
        None => process,
    })
}

/// What a process leaves out is as the container's own has it, so that nobody leaves a confinement by saying nothing of
/// it. As with runc 1.5 the ids and the groups, and whether there are no new privileges, are the process's alone.
fn completed(process: Process, own: &Process) -> Process {
    let or = |text: String, other: &String| if text.is_empty() { other.clone() } else { text };
    Process {
        user: User { umask: process.user.umask.or(own.user.umask), ..process.user },
        capabilities: process.capabilities.or_else(|| own.capabilities.clone()),
        rlimits: if process.rlimits.is_empty() { own.rlimits.clone() } else { process.rlimits },
        apparmor_profile: or(process.apparmor_profile, &own.apparmor_profile),
        oom_score_adj: process.oom_score_adj.or(own.oom_score_adj),
        scheduler: process.scheduler.or_else(|| own.scheduler.clone()),
        selinux_label: or(process.selinux_label, &own.selinux_label),
        io_priority: process.io_priority.or_else(|| own.io_priority.clone()),
        exec_cpu_affinity: process.exec_cpu_affinity.or_else(|| own.exec_cpu_affinity.clone()),
        ..process
    }
}

fn text_arguments(args: &ExecArgs) -> Result<Vec<String>, Box<Report>> {
    let text = |word: &std::ffi::OsString| {
        word.to_str().map(str::to_owned).ok_or_else(|| {
            refusal(
                "bad-process",
                format!("the argument {word:?} is not valid UTF-8; use --process for such bytes"),
            )
        })
    };
    args.command.iter().map(text).collect()
}

fn apply_flags(process: &mut Process, args: &ExecArgs) -> Result<(), Box<Report>> {
    if let Some(cwd) = &args.cwd {
        process.cwd.clone_from(cwd);
    }
    if let Some(profile) = &args.apparmor {
        process.apparmor_profile.clone_from(profile);
    }
    if let Some(label) = &args.process_label {
        process.selinux_label.clone_from(label);
    }
    if let Some(no_new_privileges) = args.no_new_privs {
        process.no_new_privileges = no_new_privileges;
    }
    if let Some(user) = &args.user {
        (process.user.uid, process.user.gid) = parse_user(user, process.user.gid)?;
    }
    process.user.additional_gids.extend(&args.additional_gids);
    process.env.extend(args.env.iter().cloned());
    if !args.cap.is_empty() {
        add_capabilities(process, &args.cap);
    }
    Ok(())
}

/// `UID[:GID]` as 32-bit numbers; never a name, and never cut to fit (CVE-2016-3697).
fn parse_user(text: &str, gid: u32) -> Result<(u32, u32), Box<Report>> {
    let number = |part: &str| {
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse::<u32>().ok().filter(|id| digits && *id != u32::MAX).ok_or_else(|| {
            refusal(
                "bad-user",
                format!("--user {text:?}: {part:?} is no user or group id; give numbers as UID[:GID]"),
            )
        })
    };
    match text.split_once(':') {
        Some((uid, group)) => Ok((number(uid)?, number(group)?)),
        None => Ok((number(text)?, gid)),
    }
}

/// Adds to the sets that let a program use a capability; the inheritable set stays as it is (CVE-2022-29162).
fn add_capabilities(process: &mut Process, names: &[String]) {
    let capabilities = process.capabilities.get_or_insert_default();
    for set in [&mut capabilities.bounding, &mut capabilities.effective, &mut capabilities.permitted] {
        set.extend(names.iter().cloned());
    }
    // Ambient capabilities must be inheritable too.
    if !capabilities.ambient.is_empty() {
        capabilities
            .ambient
            .extend(names.iter().filter(|name| capabilities.inheritable.contains(name)).cloned());
    }
}

fn launch(
    args: &ExecArgs,
    container: &Container,
    config: &spec::Spec,
    process: &validate::Process,
    host: &HostFacts,
    context: &Context,
) -> Result<engine::Launched, Box<Report>> {
    let Some(init) = container.init()? else {
        return Err(refusal("not-running", "cannot exec in a stopped container"));
    };
    require_descriptors(3, args.preserve_fds)?;
    let seccomp = config.linux.as_ref().and_then(|linux| linux.seccomp.as_ref());
    // It was judged when the container was made.
    let landlock = validate::landlock_annotation(&config.annotations).and_then(Result::ok);
    require_support(&support::missing_for_process(process, "", landlock.as_ref()))?;
    let shared = config.linux.as_ref().map(validate::validate_shared).transpose();
    let (personality, memory_policy) = shared.map_err(failed("bad-config"))?.unwrap_or_default();
    let cgroup = wanted_cgroup(args, container)?;
    let helped = cgroup.as_ref().filter(|cgroup| cgroup.needs_help_to_join());
    let options = ExecOptions {
        id: &container.record.id,
        unit: helped.and_then(|cgroup| cgroup.record().unit.as_ref()),
        namespaces: &container.record.namespaces,
        rootfs: &container.record.rootfs,
        seccomp: seccomp.is_some(),
        landlock: landlock.as_ref(),
        keeps_groups: validate::keeps_groups(&config.annotations),
        personality,
        memory_policy: memory_policy.as_ref(),
        is_host_root: host.is_host_root(),
        preserve_fds: args.preserve_fds,
    };
    let compiled = compile(process, &options, seccomp, container)?;
    let alone = cgroup.as_ref().filter(|_| helped.is_none());
    let forgiving = context.forgives_cgroups(host.is_host_root());
    let place = |pid: i32| {
        helped.map_or(Ok(()), |cgroup| cgroup.attach(pid))?;
        Ok(Vec::new())
    };
    context.timings.mark("plan");
    let launch = Launch {
        compiled: &compiled,
        cgroups: alone.map(|cgroup| join_fds(args, container, cgroup, forgiving)).transpose()?,
        place: Some(&place),
        container: Some(init),
        gate: None,
        console_socket: args.console_socket.as_deref(),
        seccomp,
        lock: None,
        euid: host.euid,
        timings: &context.timings,
    };
    begin_where_asked(&compiled)?;
    start(launch, args, container)
}

/// The container's cgroup, or what of it was asked for.
fn wanted_cgroup(args: &ExecArgs, container: &Container) -> Result<Option<Cgroup>, Box<Report>> {
    if let (None, Some(path)) = (&container.record.cgroup, args.cgroup.first()) {
        return Err(refusal("bad-cgroup", format!("--cgroup {path:?}: the container has no cgroup")));
    }
    let record = container.record.cgroup.as_ref().map(|record| record.below(&args.cgroup)).transpose();
    Ok(record.map_err(failed("bad-cgroup"))?.map(Cgroup::open))
}

fn compile(
    process: &validate::Process,
    options: &ExecOptions<'_>,
    seccomp: Option<&spec::Seccomp>,
    container: &Container,
) -> Result<Compiled, Box<Report>> {
    let plan = plan::exec(process, options);
    plan::lint(&plan).map_err(failed("bad-plan"))?;
    engine::compile(Inputs {
        plan,
        environment: Vec::new(),
        process: Some(process),
        seccomp,
        state: container.record.state(Status::Running),
    })
    .map_err(failed("bad-config"))
}

/// The process begins where the runtime is (config.md, execCPUAffinity, initial).
fn begin_where_asked(compiled: &Compiled) -> Result<(), Box<Report>> {
    let initial = &compiled.plan.parent.initial_cpus;
    if initial.is_empty() {
        return Ok(());
    }
    set_affinity(Pid::from_raw(0), initial).map_err(failed("affinity"))
}

/// A process beside the first is nobody's to remember: its caller gets its pid.
fn start(
    launch: Launch<'_>,
    args: &ExecArgs,
    container: &Container,
) -> Result<engine::Launched, Box<Report>> {
    let pid_file = PidFile::new(args.pid_file.as_deref());
    let mut commit = |pid: i32| {
        if let Some(class) = &container.record.intel_rdt {
            class.enter(pid)?;
        }
        let (_, ignored) = ProcessRecord::with_ignored_signals(pid)?;
        pid_file.write(pid).map(|()| ignored)
    };
    engine::launch(launch, Until::Executed, &mut commit).map_err(|error| {
        pid_file.take_back();
        launch_failed(error)
    })
}

/// The group that was asked for and no other, or that of the container or, where it takes no process, of its first. As
/// with runc a process that may not move is let in all the same where the runtime has no privileges, unless a group was
/// asked for.
fn join_fds(
    args: &ExecArgs,
    container: &Container,
    cgroup: &Cgroup,
    forgiving: bool,
) -> Result<JoinFds, Box<Report>> {
    let fds = match container.record.init {
        Some(init) if args.cgroup.is_empty() => cgroup.join_fds_beside(init.pid),
        _ => cgroup.join_fds(),
    }
    .map_err(cgroup_failed)?;
    Ok(if forgiving && args.cgroup.is_empty() { fds.or_stay() } else { fds })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(text: &str) -> Process {
        spec::parse_process(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_a_process_leaves_out_is_the_containers_and_what_it_says_is_its_own() {
        let own = r#"{"cwd":"/own","user":{"uid":1,"umask":0,"additionalGids":[5]},"args":["own"],"env":["A=own"],
            "capabilities":{"bounding":["CAP_KILL"]},"rlimits":[{"type":"RLIMIT_CORE","soft":1,"hard":1}],
            "noNewPrivileges":true,"apparmorProfile":"own","oomScoreAdj":7,"scheduler":{"policy":"SCHED_BATCH"},
            "selinuxLabel":"own","ioPriority":{"class":"IOPRIO_CLASS_IDLE"},"execCPUAffinity":{"final":"0"}}"#;
        let least = r#"{"cwd":"/","user":{"uid":2},"args":["a"]}"#;
        let expected = Process {
            cwd: "/".into(),
            user: User { uid: 2, umask: Some(0), ..User::default() },
            args: vec!["a".into()],
            env: Vec::new(),
            no_new_privileges: false,
            ..process(own)
        };
        assert_eq!(completed(process(least), &process(own)), expected);
        let whole = r#"{"cwd":"/","user":{"umask":18},"args":["a"],"capabilities":{},
            "rlimits":[{"type":"RLIMIT_AS","soft":1,"hard":1}],"apparmorProfile":"a","oomScoreAdj":0,
            "scheduler":{"policy":"SCHED_OTHER"},"selinuxLabel":"a","ioPriority":{"class":"IOPRIO_CLASS_BE"},
            "execCPUAffinity":{}}"#;
        assert_eq!(completed(process(whole), &process(own)), process(whole));
    }

    #[test]
    fn users_are_numbers_of_32_bits_and_nothing_else() {
        assert_eq!(parse_user("1", 5).unwrap(), (1, 5));
        assert_eq!(parse_user("1:2", 5).unwrap(), (1, 2));
        for text in ["", "root", "4294967296", "4294967295", "-1", "+1", "1:", ":1", "1:2:3", "0x0", " 1"] {
            assert!(parse_user(text, 0).is_err(), "{text:?}");
        }
    }
}
