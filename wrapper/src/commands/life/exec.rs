//! `exec`: a command in a container that runs.

use crate::attach::{Connection, Streams};
use crate::cli::{ExecArgs, Failure, Outcome};
use crate::client::exec::{CANNOT, Session, run_plainly};
use crate::client::{BadKeys, Keys};
use crate::container::{Container, Containers, ContainersError, State, Status};
use crate::events::{Event, record};
use crate::home::Home;
use crate::monitor::runtime_of;
use crate::oci::Oci;
use crate::prepare::user;
use crate::request::{RequestError, environment as variables};
use mydocker_bundles::{UserError, all_capabilities};
use mydocker_sys::fs::{AT_FDCWD, OFlag, STDIN, STDOUT, open, unlink_if_present};
use mydocker_sys::tty::{is_terminal, size};
use serde_json::{Value, json};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Why a command is not run.
#[derive(Debug, thiserror::Error)]
enum ExecError {
    #[error("container {0} is not running")]
    NotRunning(String),
    #[error("container {0} is paused, unpause the container before exec")]
    Paused(String),
    #[error("container {0} is restarting, wait until the container is running")]
    Restarting(String),
    #[error(
        "the input device is not a TTY: leave -t out to send it what comes from a file or another program"
    )]
    NotATerminal,
    #[error("unable to find user {0}")]
    User(String, #[source] UserError),
    #[error("cannot read the container's configuration {0:?}")]
    Config(PathBuf, #[source] io::Error),
    #[error("cannot write {0:?}")]
    Write(PathBuf, #[source] io::Error),
    #[error(transparent)]
    Variables(#[from] RequestError),
    #[error(transparent)]
    Keys(#[from] BadKeys),
    #[error(transparent)]
    System(#[from] mydocker_sys::Error),
    #[error(transparent)]
    Containers(#[from] ContainersError),
}

/// Runs a command in a container, and ends with its status.
///
/// # Errors
/// The container does not run, or the command cannot be started.
pub fn exec(args: &ExecArgs, home: &Home) -> Outcome {
    let containers = Containers::open(home)?;
    let container = containers.find(&args.name)?;
    let state = containers.state(&container.id)?;
    check(&container, &state)?;
    Keys::parse(&args.detach_keys).map_err(ExecError::from)?;
    let is_foreground_terminal = args.tty && !args.detach;
    if is_foreground_terminal && args.interactive && !is_terminal(STDIN) {
        return Err(ExecError::NotATerminal.into());
    }
    let place = home.run_of(&container.id);
    let log = place.join(format!("exec-{}.log", std::process::id()));
    let oci = Oci::new(home, runtime_of(&container, home)).logging_to(&log);
    let process = place.join(format!("exec-{}.json", std::process::id()));
    write_process(&process, &described(args, home, &container, &state).map_err(failure)?)?;
    let mut command = oci.command("exec");
    command.arg("--process").arg(&process);
    let session = Session { command, id: container.id.clone(), log, directory: place };
    let tell = Telling::begin(home, &container, &args.command)?;
    let outcome = if args.tty {
        let open = || Connection::open(home, &container.id, Streams::default());
        session.run_on_terminal(args.interactive, args.detach, &args.detach_keys, open)
    } else if args.detach {
        session.run_detached()
    } else {
        run_plainly(session, args.interactive)
    };
    unlink_if_present(AT_FDCWD, &process)?;
    if let (Ok(status), false) = (&outcome, args.detach) {
        tell.end(*status);
    }
    outcome.map_err(Into::into)
}

/// The events of one command. Who leaves it to itself hears nothing of its end.
struct Telling<'a> {
    home: &'a Home,
    container: &'a Container,
    id: String,
}

impl<'a> Telling<'a> {
    fn begin(home: &'a Home, container: &'a Container, words: &[String]) -> Result<Self, ExecError> {
        let telling = Self { home, container, id: Containers::new_id()? };
        let words = words.join(" ");
        record(home, &telling.event(&format!("exec_create: {words}")));
        record(home, &telling.event(&format!("exec_start: {words}")));
        Ok(telling)
    }

    fn event(&self, action: &str) -> Event {
        Event::of(self.container, action).with("execID", &self.id)
    }

    fn end(&self, status: u8) {
        record(self.home, &self.event("exec_die").with("exitCode", status));
    }
}

/// As docker: a user whom the container does not know is a command that cannot be run there.
fn failure(error: ExecError) -> Failure {
    match error {
        ExecError::User(..) => Failure { error: error.into(), status: CANNOT },
        other => other.into(),
    }
}

fn check(container: &Container, state: &State) -> Result<(), ExecError> {
    let id = || container.id.clone();
    match state.status {
        Status::Running => Ok(()),
        Status::Paused => Err(ExecError::Paused(id())),
        Status::Restarting => Err(ExecError::Restarting(id())),
        _ => Err(ExecError::NotRunning(id())),
    }
}

/// The process that the runtime is to start: the container's own, less what was typed.
fn described(args: &ExecArgs, home: &Home, container: &Container, state: &State) -> Result<Value, ExecError> {
    let path = home.container(&container.id).join("bundle/config.json");
    let text = fs::read(&path).map_err(|error| ExecError::Config(path.clone(), error))?;
    let mut config: Value =
        serde_json::from_slice(&text).map_err(|error| ExecError::Config(path, error.into()))?;
    let mut process = config["process"].take();
    process["args"] = json!(args.command);
    process["terminal"] = json!(args.tty);
    process["consoleSize"] = Value::Null;
    if let (true, Ok(size)) = (args.tty, size(STDOUT).or_else(|_| size(STDIN))) {
        process["consoleSize"] = json!({ "height": size.rows, "width": size.columns });
    }
    if let Some(directory) = &args.workdir {
        process["cwd"] = json!(directory);
    }
    environment(&mut process["env"], args, container)?;
    if let (Some(text), Some(first)) = (&args.user, state.process) {
        let root = Path::new("/proc").join(first.pid.to_string()).join("root");
        let root = open(&root, OFlag::O_PATH | OFlag::O_DIRECTORY)?;
        let user = user(&root, container, text).map_err(|error| ExecError::User(text.clone(), error))?;
        process["user"] = json!({ "uid": user.uid, "gid": user.gid, "additionalGids": user.groups });
    }
    capabilities(&mut process, args.privileged);
    Ok(process)
}

/// A later variable takes the place of an earlier one of its name.
fn environment(env: &mut Value, args: &ExecArgs, container: &Container) -> Result<(), ExecError> {
    let mut all: Vec<String> = serde_json::from_value(env.take()).unwrap_or_default();
    let has_term = container.config.image.env.iter().any(|variable| variable.starts_with("TERM="));
    let term = (args.tty && !has_term).then(|| "TERM=xterm".to_owned());
    let host = |name: &str| std::env::var(name).ok();
    for variable in term.into_iter().chain(variables(&[], &args.env_file, &args.env, host)?) {
        let name = variable.split('=').next().unwrap_or_default().to_owned() + "=";
        all.retain(|other| !other.starts_with(&name));
        all.push(variable);
    }
    *env = json!(all);
    Ok(())
}

/// Who is not root holds none, but can get what the bounding set has.
fn capabilities(process: &mut Value, privileged: bool) {
    let bounding = match privileged {
        true => json!(all_capabilities()),
        false => process["capabilities"]["bounding"].clone(),
    };
    let held = if process["user"]["uid"] == 0 { bounding.clone() } else { json!([]) };
    process["capabilities"] = json!({ "bounding": bounding, "effective": held, "permitted": held });
    if privileged {
        // Saying nothing would be the container's own profile.
        if process["apparmorProfile"].is_string() {
            process["apparmorProfile"] = json!("unconfined");
        }
        process["noNewPrivileges"] = json!(false);
    }
    if let Some(fields) = process.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
}

fn write_process(path: &Path, process: &Value) -> Result<(), ExecError> {
    fs::write(path, process.to_string()).map_err(|error| ExecError::Write(path.to_owned(), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A runtime takes the container's profile for a process that names none.
    #[test]
    fn a_privileged_command_says_that_it_leaves_the_profile() {
        let process = |profile: Value, privileged| {
            let mut process = json!({ "user": { "uid": 0 }, "capabilities": { "bounding": ["CAP_KILL"] } });
            process["apparmorProfile"] = profile;
            capabilities(&mut process, privileged);
            process.get("apparmorProfile").cloned()
        };
        assert_eq!(process(json!("own"), true), Some(json!("unconfined")));
        assert_eq!(process(json!("own"), false), Some(json!("own")));
        assert_eq!(process(Value::Null, true), None);
    }
}
