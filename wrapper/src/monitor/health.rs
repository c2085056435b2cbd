//! Health checks: a program is run in the container from time to time, and its status is the verdict.

use crate::clock::now;
use crate::container::{Container, Health as Record, HealthCheck, HealthStatus};
use crate::oci::Oci;
use mydocker_img::image::Healthcheck;
use mydocker_sys::fs::{pipe, read, set_nonblocking};
use mydocker_sys::poll::{Events, Interest};
use mydocker_sys::process::{Exit, Pid, Reaped, die_with_parent, pidfd_kill, pidfd_open};
use mydocker_sys::{AsFd as _, Errno, OwnedFd};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// How much of what a check prints is kept.
const OUTPUT: usize = 4096;
/// How many checks are kept.
const KEPT: usize = 5;

/// When to check and what to make of it, with docker's defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rules {
    command: Vec<String>,
    interval: Duration,
    timeout: Duration,
    start_period: Duration,
    start_interval: Duration,
    retries: u32,
}

impl Rules {
    fn of(container: &Container) -> Option<Self> {
        let image = &container.config.image;
        let check: &Healthcheck = image.healthcheck.as_ref()?;
        let (kind, words) = check.test.split_first()?;
        let command = match kind.as_str() {
            "CMD" if !words.is_empty() => words.to_vec(),
            "CMD-SHELL" => {
                let sh = || vec!["/bin/sh".to_owned(), "-c".to_owned()];
                let shell = image.shell.clone().filter(|shell| !shell.is_empty()).unwrap_or_else(sh);
                shell.into_iter().chain(words.iter().cloned()).collect()
            }
            _ => return None,
        };
        let time = |nanos: i64, default: u64| match u64::try_from(nanos) {
            Ok(nanos) if nanos > 0 => Duration::from_nanos(nanos),
            _ => Duration::from_secs(default),
        };
        Some(Self {
            command,
            interval: time(check.interval, 30),
            timeout: time(check.timeout, 30),
            start_period: time(check.start_period, 0),
            start_interval: time(check.start_interval, 5),
            retries: u32::try_from(check.retries).ok().filter(|retries| *retries > 0).unwrap_or(3),
        })
    }
}

/// The health of a container that runs.
#[derive(Debug)]
pub struct Health {
    rules: Rules,
    record: Record,
    started: Instant,
    next: Instant,
    probe: Option<Probe>,
    changed: bool,
    pid_file: PathBuf,
}

/// A check that is under way.
#[derive(Debug)]
struct Probe {
    pid: Pid,
    output: Option<OwnedFd>,
    text: Vec<u8>,
    start: String,
    deadline: Instant,
    late: bool,
    exit: Option<Exit>,
}

impl Health {
    /// The health of a container that starts now; `None` for one that is not checked.
    #[must_use]
    pub fn of(container: &Container, run: &Path) -> Option<Self> {
        let rules = Rules::of(container)?;
        let started = Instant::now();
        let pid_file = run.join("health.pid");
        let mut health = Self {
            rules,
            record: Record::default(),
            started,
            next: started,
            probe: None,
            changed: true,
            pid_file,
        };
        health.next = started + health.pause();
        Some(health)
    }

    /// While it starts, and has not been well yet.
    fn is_starting(&self) -> bool {
        self.record.status == HealthStatus::Starting && self.started.elapsed() < self.rules.start_period
    }

    fn pause(&self) -> Duration {
        if self.is_starting() { self.rules.start_interval } else { self.rules.interval }
    }

    /// The moment until which there is nothing to do.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        match &self.probe {
            Some(probe) if !probe.late => probe.deadline,
            // It has been killed, and its end is told by a signal.
            Some(_) => Instant::now() + self.rules.interval,
            None => self.next,
        }
    }

    /// What is waited for.
    pub fn interests(&self) -> impl Iterator<Item = Interest<'_>> {
        let output = self.probe.iter().filter_map(|probe| probe.output.as_ref());
        output.map(|fd| Interest::read(fd.as_fd()))
    }

    /// Reads what a check prints.
    pub fn read(&mut self, events: &[Events]) {
        if let Some(probe) =
            self.probe.as_mut().filter(|_| events.iter().any(|event| event.readable || event.hangup))
        {
            probe.read();
        }
    }

    /// Takes the end of a process, which may be a check's.
    pub fn note_end(&mut self, reaped: Reaped) {
        if let Some(probe) = self.probe.as_mut().filter(|probe| probe.pid == reaped.pid) {
            probe.exit = Some(reaped.exit);
        }
    }

    /// Does what is due, and returns the record if it has changed; a check that is `held` off waits.
    pub fn tick(&mut self, oci: &Oci, id: &str, held: impl FnOnce() -> bool) -> Option<&Record> {
        let now = Instant::now();
        match &mut self.probe {
            Some(probe) if probe.exit.is_some() => self.conclude(),
            Some(probe) if !probe.late && now >= probe.deadline => probe.kill(&self.pid_file),
            Some(_) => {}
            None if now < self.next => {}
            None if held() => self.next = now + self.rules.interval,
            None => self.begin(oci, id),
        }
        std::mem::take(&mut self.changed).then_some(&self.record)
    }

    fn begin(&mut self, oci: &Oci, id: &str) {
        match Probe::spawn(oci, id, &self.rules, &self.pid_file) {
            Ok(probe) => self.probe = Some(probe),
            Err(error) => {
                let start = now();
                self.judge(HealthCheck {
                    end: start.clone(),
                    start,
                    exit_code: -1,
                    output: error.to_string(),
                });
            }
        }
    }

    fn conclude(&mut self) {
        let Some(mut probe) = self.probe.take() else { return };
        probe.read();
        let status = probe.exit.map_or(255, Exit::status);
        let (exit_code, output) = if probe.late {
            (-1, format!("Health check exceeded timeout ({:?})", self.rules.timeout))
        } else {
            (i32::from(status), String::from_utf8_lossy(&probe.text).into_owned())
        };
        self.judge(HealthCheck { start: probe.start, end: now(), exit_code, output });
    }

    /// Failures while it starts say nothing yet.
    fn judge(&mut self, check: HealthCheck) {
        let is_starting = self.is_starting();
        if check.exit_code == 0 {
            self.record.status = HealthStatus::Healthy;
            self.record.failing_streak = 0;
        } else if !is_starting {
            self.record.failing_streak += 1;
            if self.record.failing_streak >= self.rules.retries {
                self.record.status = HealthStatus::Unhealthy;
            }
        }
        self.record.log.push(check);
        let surplus = self.record.log.len().saturating_sub(KEPT);
        self.record.log.drain(..surplus);
        self.next = Instant::now() + self.pause();
        self.changed = true;
    }
}

impl Probe {
    fn spawn(oci: &Oci, id: &str, rules: &Rules, pid_file: &Path) -> io::Result<Self> {
        let system = |error: mydocker_sys::Error| io::Error::from_raw_os_error(error.errno() as i32);
        mydocker_sys::fs::unlink_if_present(mydocker_sys::fs::AT_FDCWD, pid_file).map_err(system)?;
        let (output, end) = pipe().map_err(system)?;
        set_nonblocking(&output, true).map_err(system)?;
        let mut command = oci.command("exec");
        command.arg("--pid-file").arg(pid_file).arg(id).args(&rules.command);
        command.stdin(Stdio::null()).stdout(end.try_clone()?).stderr(end);
        die_with_parent(&mut command);
        let child = command.spawn()?;
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
        let deadline = Instant::now() + rules.timeout;
        let (output, text, start) = (Some(output), Vec::new(), now());
        Ok(Self { pid, output, text, start, deadline, late: false, exit: None })
    }

    /// Reads what there is; beyond what is kept it is thrown away.
    fn read(&mut self) {
        let mut buffer = [0; OUTPUT];
        while let Some(output) = &self.output {
            match read(output, &mut buffer) {
                Ok(length) if length > 0 => {
                    let room = OUTPUT - self.text.len();
                    self.text.extend_from_slice(&buffer[..length.min(room)]);
                }
                Err(error) if error.errno() == Errno::EAGAIN => return,
                _ => self.output = None,
            }
        }
    }

    /// Ends the program in the container; the runtime's command ends with it.
    fn kill(&mut self, pid_file: &Path) {
        self.late = true;
        let text = std::fs::read_to_string(pid_file).unwrap_or_default();
        let inner = text.trim().parse().ok().filter(|pid| *pid > 0).map(Pid::from_raw);
        let target = inner.unwrap_or(self.pid);
        // What has ended meanwhile needs no signal.
        pidfd_open(target)
            .and_then(|pidfd| pidfd_kill(pidfd, mydocker_sys::signal::Signal::SIGKILL as i32))
            .unwrap_or_default();
    }
}
