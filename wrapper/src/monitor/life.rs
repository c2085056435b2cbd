//! A monitor's life: starts, ends, pauses between them, and the container's removal at last.

use super::clients::Clients;
use super::memory::MemoryKills;
use super::mend::{MendError, remove};
use super::restart::{Backoff, is_wanted};
use super::start::{StartError, Started, Starter, clear_state};
use super::turn::{Rounds, Running};
use crate::attach::{AttachError, Reply};
use crate::clock;
use crate::container::{Container, Containers, ContainersError, HealthStatus, Process, State, Status};
use crate::events::{Event, record};
use crate::home::Home;
use crate::log::{self, LogSettings, SettingsError, Writer};
use crate::oci::Oci;
use crate::signals::stop_signal;
use mydocker_img::cli::chain;
use mydocker_sys::fs::{OFlag, STDIN, dup, open};
use mydocker_sys::process::{Exit, chdir, dup_to, set_subreaper, setsid};
use mydocker_sys::signal::Signal;
use mydocker_sys::socket::send;
use mydocker_sys::{AsFd, OwnedFd};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Why a monitor cannot do its work.
#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    /// The directory is no container's.
    #[error("{0:?} is no container's directory")]
    NoContainer(PathBuf),
    /// What it needs before the container can be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Its record or its state.
    #[error(transparent)]
    Containers(#[from] ContainersError),
    /// Its clients, and what else it waits for.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// Its log.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// It does not go away.
    #[error(transparent)]
    Remove(#[from] MendError),
    /// A system call.
    #[error(transparent)]
    System(#[from] mydocker_sys::Error),
}

/// Looks after the container of this directory, whose first client is on standard input, for as long as it runs.
///
/// # Errors
/// [`MonitorError`], which the first client has been told as well.
pub fn live(home: &Home, directory: &Path) -> Result<(), MonitorError> {
    let launcher = dup(STDIN)?;
    dup_to(open(Path::new("/dev/null"), OFlag::O_RDWR)?, 0)?;
    setsid()?;
    // Wherever it was started, nothing is to stay mounted for its sake.
    chdir(Path::new("/"))?;
    set_subreaper(true)?;
    let result = dup(&launcher).map_err(Into::into).and_then(|client| look_after(home, directory, client));
    if let Err(error) = &result {
        tell(&launcher, &chain(error));
    }
    result
}

/// Tells the first client, on standard input, that nobody looks after the container.
pub fn refuse(text: &str) {
    tell(std::io::stdin(), text);
}

/// Nobody else hears it; if the launcher has gone, nobody does.
fn tell(launcher: impl AsFd, text: &str) {
    send(launcher, &Reply::Failed { status: 125, text }.packet(), &[]).unwrap_or_default();
}

fn look_after(home: &Home, directory: &Path, launcher: OwnedFd) -> Result<(), MonitorError> {
    let id = directory.file_name().and_then(|name| name.to_str());
    let id = id.ok_or_else(|| MonitorError::NoContainer(directory.to_owned()))?;
    let containers = Containers::open(home)?;
    let lock = super::lock(home, id, true)?;
    let container = containers.load(id)?;
    let settings = LogSettings::check(&container.host_config.log_config)?;
    let oci = Oci::new(home, runtime_of(&container, home));
    let starter = Starter { containers: &containers, container: &container, oci: &oci };
    starter.make_run_directory()?;
    let mut clients = Clients::listen(&starter.run_directory())?;
    clients.add(launcher)?;
    let mut rounds = Rounds::new(clients, container.config.stdin_once)?;
    rounds.greet()?;
    let mut life = Life { starter, rounds, settings, backoff: Backoff::default(), lock, left: false };
    let result = life.live();
    if let Err(error) = &result {
        life.break_off(error);
    }
    result
}

/// The runtime that the container was made with.
#[must_use]
pub fn runtime_of<'a>(container: &'a Container, home: &'a Home) -> &'a str {
    match &*container.host_config.runtime {
        "" => home.runtime(),
        runtime => runtime,
    }
}

struct Life<'a> {
    starter: Starter<'a>,
    rounds: Rounds,
    settings: LogSettings,
    backoff: Backoff,
    lock: Option<File>,
    left: bool,
}

/// How a run of the container ended, and what the monitor does next.
struct Ended {
    exit: Exit,
    ran: Duration,
    again: bool,
}

impl Life<'_> {
    fn container(&self) -> &Container {
        self.starter.container
    }

    fn change(&self, change: impl FnOnce(&mut State)) -> Result<State, MonitorError> {
        Ok(self.starter.containers.change_state(&self.container().id, change)?)
    }

    fn tell_event(&self, event: Event) {
        record(self.starter.containers.home(), &event);
    }

    fn event(&self, action: &str) -> Event {
        Event::of(self.container(), action)
    }

    fn live(&mut self) -> Result<(), MonitorError> {
        let boot = self.starter.containers.boot().to_owned();
        self.change(|state| {
            state.boot = boot;
            state.monitor = Process::own();
            state.stopped_by_hand = false;
            state.restart_count = 0;
        })?;
        loop {
            let begun = self.start();
            let started = match begun {
                Ok(started) => started,
                Err(error) => return self.give_up(&error),
            };
            let ended = self.look_after(started)?;
            if !ended.again {
                return self.end(ended.exit.status());
            }
            self.pause(&ended)?;
            if self.rounds.resting {
                self.change(|state| state.status = Status::Exited)?;
                return self.end(ended.exit.status());
            }
        }
    }

    fn start(&mut self) -> Result<Started, StartError> {
        if self.rounds.log.is_none()
            && let Some(format) = self.settings.format(self.container())
        {
            let path = log::path(self.starter.containers.home(), self.container());
            let opened = Writer::open(&path, &self.settings, format);
            self.rounds.log =
                Some(opened.map_err(|source| StartError::Io { action: "write the log", path, source })?);
        }
        let started = self.starter.start(self.rounds.size())?;
        self.tell_event(self.event("start"));
        self.rounds.clients.tell_started();
        Ok(started)
    }

    /// What nobody expects, such as a state that cannot be written: the container must not outlive who looks after it.
    fn break_off(&mut self, error: &MonitorError) {
        let text = chain(error);
        let errors = self.starter.undo();
        // Whoever looks next finds the truth if it cannot be told now.
        let told = self.change(|state| {
            clear_state(state);
            state.status = Status::Exited;
            state.exit_code = 255;
            state.error = errors.into_iter().fold(text.clone(), |all, one| format!("{all}; {one}"));
        });
        drop(told);
        self.rounds.clients.tell_last(&Reply::Failed { status: 125, text: &text });
    }

    /// A start that failed is not tried again: what it lacks does not come by itself.
    fn give_up(&mut self, error: &StartError) -> Result<(), MonitorError> {
        let (status, text) = (error.status(), error.text());
        self.left = !self.starter.undo().is_empty();
        self.change(|state| {
            let monitor = state.monitor;
            clear_state(state);
            state.monitor = monitor;
            state.status = if state.started_at.is_none() { Status::Created } else { Status::Exited };
            state.exit_code = i32::from(status);
            state.error.clone_from(&text);
        })?;
        // Who has started it has its lock until this is heard.
        self.rounds.clients.tell(&Reply::Failed { status, text: &text });
        let result = self.leave();
        self.rounds.clients.dismiss();
        self.see_off()?;
        result
    }

    /// From a start to the end.
    fn look_after(&mut self, started: Started) -> Result<Ended, MonitorError> {
        let Started { mut running, held } = started;
        let began = Instant::now();
        let mut kill_at = None;
        let exit = loop {
            if let Some(exit) = running.exit {
                break exit;
            }
            let checked = running.health.as_ref().map(|health| health.deadline());
            let deadline = [checked, kill_at].into_iter().flatten().min();
            self.rounds.turn(Some(&mut running), deadline)?;
            self.check_health(&mut running)?;
            self.terminate(&running, &mut kill_at);
        };
        self.rounds.drain(&mut running)?;
        let oom_killed = running.memory.as_ref().is_some_and(MemoryKills::any);
        drop(running);
        let mut errors = self.starter.undo();
        self.left = !errors.is_empty();
        drop(held);
        errors.extend(
            self.rounds
                .log_error
                .take()
                .map(|error| format!("what it printed is not all in its log: {error}")),
        );
        let again = self.note_end(exit, oom_killed, &errors)?;
        Ok(Ended { exit, ran: began.elapsed(), again })
    }

    fn check_health(&mut self, running: &mut Running) -> Result<(), MonitorError> {
        let Some(health) = &mut running.health else { return Ok(()) };
        let (containers, id) = (self.starter.containers, &self.container().id);
        let is_paused = || containers.recorded_state(id).is_ok_and(|state| state.status == Status::Paused);
        let Some(found) = health.tick(self.starter.oci, id, is_paused) else { return Ok(()) };
        let (status, found) = (found.status, found.clone());
        let mut before = HealthStatus::Starting;
        self.change(|state| {
            before = state.health.as_ref().map_or(before, |health| health.status);
            state.health = Some(found);
        })?;
        if status != before {
            let name = if status == HealthStatus::Healthy { "healthy" } else { "unhealthy" };
            self.tell_event(self.event(&format!("health_status: {name}")));
        }
        Ok(())
    }

    /// Who ends a monitor means the container: the host goes down.
    fn terminate(&mut self, running: &Running, kill_at: &mut Option<Instant>) {
        if !self.rounds.terminating {
            return;
        }
        match *kill_at {
            None => {
                running.signal(stop_signal(self.container()));
                let seconds = self.container().config.stop_timeout.unwrap_or(10).clamp(0, 3600);
                *kill_at = Some(Instant::now() + Duration::from_secs(seconds.unsigned_abs()));
            }
            Some(at) if Instant::now() >= at => running.signal(Signal::SIGKILL as i32),
            Some(_) => {}
        }
    }

    /// Records the end, and whether the container is started again: in one step, so that nobody takes it for good that is
    /// none.
    fn note_end(&self, exit: Exit, oom_killed: bool, errors: &[String]) -> Result<bool, MonitorError> {
        let status = i32::from(exit.status());
        // Its policy can be changed while it runs.
        let policy = self.starter.containers.load(&self.container().id)?.host_config.restart_policy;
        let mut again = false;
        self.change(|state| {
            let monitor = state.monitor;
            clear_state(state);
            state.monitor = monitor;
            let rests = self.rounds.resting || state.stopped_by_hand || state.status == Status::Removing;
            again = !rests && is_wanted(&policy, status, state.restart_count);
            if state.status != Status::Removing {
                state.status = if again { Status::Restarting } else { Status::Exited };
            }
            state.restart_count += u32::from(again);
            state.finished_at = Some(clock::now());
            state.exit_code = status;
            state.signal = match exit {
                Exit::Signal { number, .. } => Some(number),
                Exit::Code(_) => None,
            };
            state.oom_killed = oom_killed;
            state.error = errors.join("; ");
        })?;
        if oom_killed {
            self.tell_event(self.event("oom"));
        }
        self.tell_event(self.event("die").with("exitCode", status));
        Ok(again)
    }

    /// Waits before the next start. Who wants that there is none says so.
    fn pause(&mut self, ended: &Ended) -> Result<(), MonitorError> {
        self.rounds.clients.tell_last(&Reply::Exited(ended.exit.status()));
        let until = Instant::now() + self.backoff.next(ended.ran);
        while !self.rounds.resting && Instant::now() < until {
            self.rounds.turn(None, Some(until))?;
        }
        Ok(())
    }

    /// The container has ended for good.
    fn end(&mut self, status: u8) -> Result<(), MonitorError> {
        let result = self.leave();
        self.rounds.clients.tell_last(&Reply::Exited(status));
        self.see_off()?;
        result
    }

    /// The container is no longer this monitor's business.
    fn leave(&mut self) -> Result<(), MonitorError> {
        // A monitor that is recorded and not there is the sign that something is to be cleared up.
        let left = self.left;
        let state = self.change(|state| state.monitor = state.monitor.filter(|_| left))?;
        self.rounds.clients.close(&self.starter.run_directory());
        // A reader of the log who sees the end of the container has to find the whole log.
        self.rounds.log = None;
        let removes = self.container().host_config.auto_remove && !self.rounds.stays;
        let wanted = removes && state.status != Status::Removing;
        self.lock = None;
        if !wanted {
            return Ok(());
        }
        let _lock = match self.starter.containers.lock(&self.container().id) {
            // Somebody was quicker.
            Err(ContainersError::NotFound(_)) => return Ok(()),
            other => other?,
        };
        Ok(remove(self.starter.containers, self.container(), true)?)
    }

    /// Waits until each client has heard everything, or has gone.
    fn see_off(&mut self) -> Result<(), MonitorError> {
        while !self.rounds.clients.is_empty() {
            self.rounds.turn(None, None)?;
        }
        Ok(())
    }
}
