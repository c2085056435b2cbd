//! docker's daemon, which starts a containerd of its own.

use super::Engine;
use crate::arena::find_program;
use crate::meter::Group;
use mydocker_sys::process::{self, Pid};
use mydocker_sys::signal::Signal;
use mydocker_tests::wait;
use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long the daemon may take to come up, and to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// The daemon. Dropping it ends it.
#[derive(Debug)]
pub struct Dockerd {
    child: Child,
}

impl Dockerd {
    /// Starts the daemon of an engine in the group for it, and waits until it listens.
    ///
    /// # Errors
    /// Why it cannot take part.
    pub fn start(engine: &Engine, group: &Group) -> Result<Self, String> {
        let program = find_program("dockerd").ok_or("dockerd is not installed: install docker.io")?;
        let place = |name: &str| engine.directory.join(name);
        let told = |error: std::io::Error| format!("dockerd: {error}");
        fs::write(place("daemon.json"), engine.daemon_config().to_string()).map_err(told)?;
        let log = File::create(place("log")).map_err(told)?;
        let mut command = Command::new(program);
        command.arg("--config-file").arg(place("daemon.json")).stdin(Stdio::null());
        command.stdout(log.try_clone().map_err(told)?).stderr(log);
        let child = group.start_daemon(&mut command)?;
        let mut daemon = Self { child };
        let listens = || match daemon.child.try_wait() {
            Ok(None) => UnixStream::connect(place("socket")).ok().map(|_| true),
            _ => Some(false),
        };
        match wait::within(PATIENCE, listens) {
            Some(true) => Ok(daemon),
            _ => Err(format!("dockerd does not come up: {}", last_line(&place("log")))),
        }
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        let pid = Pid::from_raw(self.child.id().cast_signed());
        // It may have ended by itself. What it leaves, the sweep of the arena ends.
        drop(process::kill(pid, Signal::SIGTERM as i32));
        // Whoever has reaped it already is no reason to wait.
        let ended = || self.child.try_wait().map_or(Some(()), |status| status.map(drop));
        if wait::within(PATIENCE, ended).is_none() {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

fn last_line(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    text.lines().last().unwrap_or("it said nothing").to_owned()
}
