//! The commands that are swept: what each needs before it, and what must hold when it says that it succeeded.

use mydocker_tests::{Bundle, Invocation, Runtime, wait};
use std::time::Duration;

/// What the container's program prints, so that a container with a part missing is seen: its mounts, its rights, its
/// names, its devices, its limits and its cgroups.
const LOOK: &str = "cut -d' ' -f4- /proc/self/mountinfo; \
    grep -E 'Cap|NoNewPrivs|Seccomp|Uid|Gid|Groups' /proc/self/status; hostname; ulimit -n; umask; \
    ls -l /dev | sed 's/ root .* / /'; env | sort; pwd; ls /sys/fs/cgroup; \
    ls -l /proc/self/ns | sed 's/.* //;s/:.*//'; ls -ld /proc/keys /proc/sys /sys/firmware | cut -c1-10; touch /proc/sys/kernel/x 2>&1; true";

/// How long a look at the container may take after the fault.
const PATIENCE: Duration = Duration::from_secs(15);

/// A command of a runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// `run` in the foreground.
    Run,
    /// `create`.
    Create,
    /// `start` of a created container.
    Start,
    /// `exec` in the foreground.
    Exec,
    /// `kill ID KILL`.
    Kill,
    /// `delete` of a stopped container.
    Delete,
    /// `delete --force` of a running container.
    DeleteForce,
}

impl Subject {
    /// All of them, in the order of a container's life.
    pub const ALL: [Self; 7] =
        [Self::Create, Self::Start, Self::Run, Self::Exec, Self::Kill, Self::Delete, Self::DeleteForce];

    /// Its name in tables and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Create => "create",
            Self::Start => "start",
            Self::Exec => "exec",
            Self::Kill => "kill",
            Self::Delete => "delete",
            Self::DeleteForce => "delete --force",
        }
    }

    /// What the container runs.
    #[must_use]
    pub fn configure(self, bundle: Bundle) -> Bundle {
        match self {
            Self::Run => bundle.script(LOOK),
            _ => bundle.args(["sleep", "1000"]),
        }
    }

    /// Brings a container into the state in which the command is given.
    pub fn prepare(self, runtime: &Runtime, bundle: &Bundle) {
        match self {
            Self::Run | Self::Create => {}
            Self::Start => runtime.create(bundle).succeeds().discard(),
            Self::Exec | Self::Kill | Self::DeleteForce => runtime.run_detached(bundle).discard(),
            Self::Delete => {
                runtime.run_detached(bundle).discard();
                let pid = runtime.pid(bundle.id());
                runtime.kill(bundle.id(), "KILL").succeeds().discard();
                wait::for_exit(pid);
            }
        }
    }

    /// The command.
    #[must_use]
    pub fn command(self, runtime: &Runtime, bundle: &Bundle) -> Invocation {
        let id = bundle.id();
        match self {
            Self::Run => runtime.run_command(bundle),
            Self::Create => runtime.bundle_command("create", bundle, &[]),
            Self::Start => runtime.command(["start", id]),
            Self::Exec => runtime.command(["exec", id, "sh", "-c", LOOK]),
            Self::Kill => runtime.command(["kill", id, "KILL"]),
            Self::Delete => runtime.command(["delete", id]),
            Self::DeleteForce => runtime.command(["delete", "--force", id]),
        }
    }

    /// What is not as the command's success promises; nothing when all is. `own` says that the fault struck the command
    /// itself: a container's process that was struck may have ended since.
    #[must_use]
    pub fn missing(self, runtime: &Runtime, bundle: &Bundle, own: bool) -> Option<String> {
        let id = bundle.id();
        let has = |wanted: &str| {
            let found =
                wait::within(Duration::from_secs(2), || (status(runtime, id) == wanted).then_some(()));
            found.is_none().then(|| format!("the container is {:?}, not {wanted}", status(runtime, id)))
        };
        match self {
            Self::Create if !own && status(runtime, id) == "stopped" => None,
            Self::Create => {
                has("created").or_else(|| refused(runtime, &["start", id])).or_else(|| has("running"))
            }
            Self::Start => has("running"),
            Self::Exec => refused(runtime, &["exec", id, "true"]),
            Self::Kill => has("stopped"),
            Self::Run | Self::Delete | Self::DeleteForce => has("absent"),
        }
    }

    /// What a failure, or the death of the runtime, must leave as it was; nothing when that is so.
    #[must_use]
    pub fn damaged(self, runtime: &Runtime, bundle: &Bundle) -> Option<String> {
        match self {
            Self::Exec => refused(runtime, &["exec", bundle.id(), "true"]),
            _ => None,
        }
    }
}

/// The status that the runtime tells, or `absent`.
fn status(runtime: &Runtime, id: &str) -> String {
    match runtime.command(["state", id]).deadline(PATIENCE).spawn().wait_if_it_ends() {
        Ok(outcome) if outcome.status.success() => {
            outcome.json()["status"].as_str().unwrap_or_default().to_owned()
        }
        Ok(_) => "absent".to_owned(),
        Err(report) => report,
    }
}

fn refused(runtime: &Runtime, words: &[&str]) -> Option<String> {
    match runtime.command(words).deadline(PATIENCE).spawn().wait_if_it_ends() {
        Ok(outcome) => (!outcome.status.success()).then(|| outcome.describe()),
        Err(report) => Some(report),
    }
}
