//! One start of the machine: qemu, from the first instruction to the power off, within a deadline.
//!
//! qemu emulates the processor. Where a test runs there may be no /dev/kvm, or one that is good for some guests only,
//! and a machine that now starts and now hangs would be worse than a slow one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tempfile::TempDir;

use super::{Image, Payload};

/// How the processor is emulated: all that qemu can do, less what only costs time (the fifth level of page tables, and
/// checks on each access to a user's memory).
const PROCESSOR: &str = "max,la57=off,smap=off";

/// The kernel's command line. The mitigations guard against processors that this one is not.
const KERNEL: &str = "console=ttyS0 root=/dev/vda rw quiet mitigations=off nokaslr tsc=reliable \
    random.trust_cpu=on audit=0 panic=-1 systemd.show_status=no systemd.log_target=kmsg";

/// How the command inside ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It ended with this status, in a shell's terms.
    Exited(u8),
    /// The machine went down without telling how it ended.
    Vanished,
    /// The deadline passed, and the machine was killed.
    TimedOut,
}

/// A machine that has not started.
#[derive(Debug)]
pub struct Machine {
    image: Image,
    directory: TempDir,
}

impl Machine {
    /// A machine with that image, and that payload as its second disk.
    ///
    /// # Errors
    ///
    /// When the second disk cannot be written.
    pub fn new(image: Image, payload: &Payload) -> Result<Self> {
        let parent = image.root().with_file_name("");
        let directory = tempfile::Builder::new().prefix("machine-").tempdir_in(parent)?;
        payload.write(&directory.path().join("payload.img"))?;
        Ok(Self { image, directory })
    }

    /// Starts it, passes on what its command says to standard output, and waits for the end, at most `limit`.
    ///
    /// # Errors
    ///
    /// When qemu cannot be started or waited for.
    pub fn run(self, limit: Duration) -> Result<(End, Log)> {
        let mut command = self.qemu();
        command.args(["-display", "none", "-monitor", "none", "-serial"]);
        command.arg(format!("file:{}", self.file("console").display()));
        command.args(["-chardev", "stdio,id=output,signal=off", "-chardev"]);
        command.arg(format!("file,id=report,path={}", self.file("report").display()));
        for port in ["output", "report"] {
            command.args(["-device", &format!("virtserialport,chardev={port},name={port}")]);
        }
        // An input at its end would be a host that has hung up, which the guest waits for before it says anything.
        let mut qemu = start(command.stdin(Stdio::piped()))?;
        let end = match wait(&mut qemu, limit)? {
            None => End::TimedOut,
            Some(status) if status.success() => self.reported(),
            Some(status) => bail!("qemu: {status}"),
        };
        let console = fs::read(self.file("console")).unwrap_or_default();
        Ok((end, Log(String::from_utf8_lossy(&console).into_owned())))
    }

    /// Starts it with its console on this terminal, and waits until somebody there powers it off.
    ///
    /// # Errors
    ///
    /// When qemu cannot be started or fails.
    pub fn at_the_terminal(self) -> Result<()> {
        let mut command = self.qemu();
        command.args(["-nographic", "-serial", "mon:stdio"]);
        let status = start(&mut command)?.wait().context("cannot wait for qemu")?;
        anyhow::ensure!(status.success(), "qemu: {status}");
        Ok(())
    }

    fn qemu(&self) -> Command {
        // A machine whose starter was killed would go on for ever.
        let mut command = Command::new("setpriv");
        command.args([
            "--pdeathsig",
            "KILL",
            "--",
            "qemu-system-x86_64",
            "-accel",
            "tcg,thread=multi,tb-size=1024",
            "-cpu",
            PROCESSOR,
        ]);
        command.args(["-smp", "2", "-m", "4096", "-nodefaults", "-no-reboot", "-nic", "none"]);
        command.arg("-kernel").arg(self.image.kernel()).arg("-initrd").arg(self.image.initrd());
        command.args(["-append", KERNEL, "-device", "virtio-serial", "-device", "virtio-rng"]);
        // What the guest writes to the image goes to a file of this machine alone.
        for (file, snapshot) in [(self.image.root(), "on"), (self.file("payload.img"), "off")] {
            let file = file.display();
            let drive =
                format!("file={file},if=virtio,format=raw,cache=unsafe,discard=unmap,snapshot={snapshot}");
            command.args(["-drive", &drive]);
        }
        command.env("TMPDIR", self.directory.path());
        command
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn reported(&self) -> End {
        let report = fs::read_to_string(self.file("report")).unwrap_or_default();
        let status = report.trim().strip_prefix("exit status ").and_then(|status| status.parse().ok());
        status.map_or(End::Vanished, End::Exited)
    }
}

/// What the machine's console said: the messages of the kernel and of systemd.
#[derive(Debug)]
pub struct Log(pub String);

impl Log {
    /// Its last `count` lines.
    #[must_use]
    pub fn tail(&self, count: usize) -> String {
        let lines: Vec<&str> = self.0.lines().collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }
}

fn start(command: &mut Command) -> Result<Child> {
    command.spawn().context("cannot run qemu-system-x86_64 (scripts/install-deps.sh vm installs it)")
}

/// The status that `child` ends with; none when it had to be killed at the end of `limit`.
fn wait(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    let pidfd = pidfd_open(Pid::from_child(child), PidfdFlags::empty()).context("pidfd_open of qemu")?;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec { tv_sec: left.as_secs().try_into()?, tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&left)) {
            Ok(0) => {
                child.kill().context("cannot kill qemu")?;
                child.wait().context("cannot wait for qemu")?;
                return Ok(None);
            }
            Ok(_) => return Ok(Some(child.wait().context("cannot wait for qemu")?)),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno).context("poll of qemu"),
        }
    }
}

/// A copy of the console's log for whoever wants to look closer.
///
/// # Errors
///
/// When it cannot be written.
pub fn keep(log: &Log, file: &Path) -> Result<()> {
    fs::write(file, &log.0).with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_hangs_is_killed_at_its_deadline() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        assert_eq!(wait(&mut child, Duration::from_millis(20)).unwrap(), None);
        assert!(child.try_wait().unwrap().is_some(), "it is reaped");
    }

    #[test]
    fn a_program_that_ends_in_time_tells_its_status() {
        let mut child = Command::new("sh").args(["-c", "exit 7"]).spawn().unwrap();
        let status = wait(&mut child, Duration::from_secs(60)).unwrap().unwrap();
        assert_eq!(status.code(), Some(7));
    }

    #[test]
    fn the_tail_of_a_log_is_its_last_lines() {
        let log = Log("a\nb\nc\n".to_owned());
        assert_eq!(log.tail(2), "b\nc");
        assert_eq!(log.tail(10), "a\nb\nc");
    }
}
