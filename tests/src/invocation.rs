//! One command: what it gets, what it says, how it ends - within a deadline.

use crate::terminal::Terminal;
use crate::{procfs, wait};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Numbers the output files of the process's commands.
static SERIAL: AtomicU32 = AtomicU32::new(0);

/// A command that has not started. Its environment holds `PATH` and `HOME` and what [`Invocation::env`] adds.
#[derive(Debug)]
pub struct Invocation {
    words: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    dir: Option<PathBuf>,
    input: Input,
    terminal: Option<File>,
    deadline: Duration,
    scratch: PathBuf,
}

#[derive(Debug)]
enum Input {
    Empty,
    Pipe,
    File(File),
}

impl Invocation {
    /// A command of `words`, program first; its output goes to files in `scratch`.
    pub fn new<W: AsRef<OsStr>>(scratch: &Path, words: impl IntoIterator<Item = W>) -> Self {
        Self {
            words: words.into_iter().map(|word| word.as_ref().to_owned()).collect(),
            env: vec![
                ("PATH".into(), "/usr/sbin:/usr/bin:/sbin:/bin".into()),
                ("HOME".into(), "/root".into()),
            ],
            dir: None,
            input: Input::Empty,
            terminal: None,
            deadline: wait::DEADLINE,
            scratch: scratch.to_owned(),
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.words.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.words.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets one environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn current_dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.dir = Some(dir.as_ref().to_owned());
        self
    }

    /// Sets how long the command may take, instead of [`wait::DEADLINE`].
    #[must_use]
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.deadline = limit;
        self
    }

    /// Gives `bytes` as standard input, and then its end. Without this the input is an empty file: a runtime
    /// that chowned its standard streams would change `/dev/null` for the whole machine.
    ///
    /// # Panics
    /// When the scratch file for them cannot be written.
    #[must_use]
    pub fn stdin(self, bytes: impl AsRef<[u8]>) -> Self {
        let path = self.scratch_file("stdin");
        fs::write(&path, bytes).expect("the scratch directory is writable");
        let file = File::open(path).expect("the file that was just written can be read");
        self.stdin_file(file)
    }

    /// Gives an open file as standard input.
    #[must_use]
    pub fn stdin_file(mut self, file: File) -> Self {
        self.input = Input::File(file);
        self
    }

    /// Gives a pipe as standard input, whose other end is [`Running::stdin`].
    #[must_use]
    pub fn stdin_pipe(mut self) -> Self {
        self.input = Input::Pipe;
        self
    }

    /// Puts `words` before the command, such as `strace` and its options.
    #[must_use]
    pub fn through<W: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
        let front: Vec<OsString> = words.into_iter().map(|word| word.as_ref().to_owned()).collect();
        self.words.splice(0..0, front);
        self
    }

    /// Opens the file `path` for reading as descriptor `fd` (3 to 9) of the command.
    #[must_use]
    pub fn with_fd(self, fd: u8, path: impl AsRef<Path>) -> Self {
        let script = format!("exec \"$@\" {fd}<\"$0\"");
        self.through([OsStr::new("/bin/sh"), "-c".as_ref(), script.as_ref(), path.as_ref().as_os_str()])
    }

    /// Makes `terminal` the command's controlling terminal and its standard input, output and error.
    #[must_use]
    pub fn on_terminal(self, terminal: &Terminal) -> Self {
        // `setsid --ctty` keeps the process id, because a child of ours never leads a process group.
        let mut command = self.through(["/usr/bin/setsid", "--ctty"]);
        command.terminal = Some(terminal.peer());
        command
    }

    /// Runs the command to its end.
    ///
    /// # Panics
    /// When it cannot be started or does not end in time.
    #[must_use = "look at how it ended"]
    pub fn run(self) -> Outcome {
        self.spawn().wait()
    }

    /// Starts the command.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn spawn(self) -> Running {
        let (out, err) = (self.scratch_file("stdout"), self.scratch_file("stderr"));
        let create = |path: &Path| File::create(path).expect("the scratch directory is writable");
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]).env_clear().envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(match &self.input {
            Input::Empty => self.empty_file().into(),
            Input::Pipe => Stdio::piped(),
            Input::File(file) => file.try_clone().expect("a descriptor can be copied").into(),
        });
        command.stdout(create(&out)).stderr(create(&err));
        if let Some(peer) = &self.terminal {
            let copy = || peer.try_clone().expect("a descriptor can be copied");
            command.stdin(copy()).stdout(copy()).stderr(copy());
        }
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        let text = self.words.join(OsStr::new(" ")).to_string_lossy().into_owned();
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start `{text}`: {error}"));
        let stdin = child.stdin.take();
        Running { text, child, stdin, out, err, deadline: wait::deadline(self.deadline), ended: false }
    }

    fn empty_file(&self) -> File {
        let path = self.scratch_file("stdin");
        File::create(&path).and_then(|_| File::open(&path)).expect("the scratch directory is writable")
    }

    fn scratch_file(&self, kind: &str) -> PathBuf {
        self.scratch.join(format!("{}.{kind}", SERIAL.fetch_add(1, Ordering::Relaxed)))
    }
}

/// A command that runs. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    /// The writing end of its standard input, after [`Invocation::stdin_pipe`].
    pub stdin: Option<ChildStdin>,
    text: String,
    child: Child,
    out: PathBuf,
    err: PathBuf,
    deadline: Instant,
    ended: bool,
}

impl Running {
    /// Its process id.
    ///
    /// # Panics
    /// Never: the kernel's ids fit.
    #[must_use]
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a process id fits i32")
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it is gone.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap_or_else(|errno| panic!("kill {signal:?} `{}`: {errno}", self.text));
    }

    /// What it, and the container that writes to the same file, has written to standard output up to now.
    #[must_use]
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.out).unwrap_or_default()).into_owned()
    }

    /// Waits until its standard output contains `text`.
    ///
    /// # Panics
    /// When that does not happen in time, or when it ends without having said so.
    pub fn wait_for_output(&self, text: &str) {
        self.wait_for_output_within(wait::DEADLINE, text);
    }

    /// The same with another limit.
    ///
    /// # Panics
    /// When that does not happen in time, or when it ends without having said so.
    pub fn wait_for_output_within(&self, limit: Duration, text: &str) {
        let said = wait::within(limit, || {
            let is_over = !procfs::is_alive(self.pid());
            let said = self.stdout().contains(text);
            assert!(said || !is_over, "`{}` ended without saying {text:?}: {}", self.text, self.report());
            said.then_some(())
        });
        assert!(said.is_some(), "waited {limit:?} in vain for {text:?} from `{}`", self.text);
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end in time; it is killed then, and the message holds what it said.
    #[must_use = "look at how it ended"]
    pub fn wait(self) -> Outcome {
        self.wait_if_it_ends().unwrap_or_else(|report| panic!("{report}"))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// What it said, when it does not end in time; it is killed then.
    ///
    /// # Panics
    /// When the kernel or the scratch directory fail.
    pub fn wait_if_it_ends(mut self) -> Result<Outcome, String> {
        drop(self.stdin.take());
        let pid = Pid::from_child(&self.child);
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).expect("an unreaped child has a pidfd");
        if !wait::readable(&pidfd, self.deadline) {
            return Err(format!("`{}` did not end: {}", self.text, self.report()));
        }
        let status = self.child.wait().expect("a child that ended can be reaped");
        self.ended = true;
        let stdout_bytes = fs::read(&self.out).expect("the output file is readable");
        Ok(Outcome {
            command: self.text.clone(),
            status,
            stdout: String::from_utf8_lossy(&stdout_bytes).into_owned(),
            stdout_bytes,
            stdout_file: self.out.clone(),
            stderr: String::from_utf8_lossy(&fs::read(&self.err).unwrap_or_default()).into_owned(),
        })
    }

    fn report(&self) -> String {
        let stderr = String::from_utf8_lossy(&fs::read(&self.err).unwrap_or_default()).into_owned();
        format!("stdout {:?}, stderr {stderr:?}", self.stdout())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            // Both calls fail only when the process has been reaped, which is what they are for.
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// How a command ended and what it said.
#[derive(Debug)]
pub struct Outcome {
    /// The command line, for messages.
    pub command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output, with replacement characters for what is not UTF-8.
    pub stdout: String,
    /// Its standard output, byte for byte.
    pub stdout_bytes: Vec<u8>,
    /// The file with its standard output, into which a container that outlives it goes on writing.
    pub stdout_file: PathBuf,
    /// Its standard error.
    pub stderr: String,
}

impl Outcome {
    /// Demands success.
    ///
    /// # Panics
    /// When it failed.
    pub fn succeeds(self) -> Self {
        self.exits(0)
    }

    /// Demands the exit status `code`.
    ///
    /// # Panics
    /// When it ended otherwise.
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{}", self.describe());
        self
    }

    /// Demands an ordinary failure: an exit status other than 0, no death by a signal and no panic, with a message
    /// on standard error.
    ///
    /// # Panics
    /// When it succeeded, died, or failed in silence.
    pub fn fails(self) -> Self {
        assert_ne!(self.status.code(), Some(0), "{}", self.describe());
        assert_eq!(self.status.signal(), None, "{}", self.describe());
        assert!(!self.stderr.contains("panicked at"), "{}", self.describe());
        assert!(!self.stderr.trim().is_empty(), "{}", self.describe());
        self
    }

    /// Demands that standard error contains `text`, in whatever case.
    ///
    /// # Panics
    /// When it does not.
    pub fn says(self, text: &str) -> Self {
        let found = self.stderr.to_lowercase().contains(&text.to_lowercase());
        assert!(found, "no {text:?}: {}", self.describe());
        self
    }

    /// Its standard output as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.describe()))
    }

    /// Says that nobody needs to know more.
    pub fn discard(self) {}

    /// Everything about it, for the message of an assertion.
    #[must_use]
    pub fn describe(&self) -> String {
        let cut = |text: &str| text.chars().take(4000).collect::<String>();
        format!(
            "`{}`: {}\nstdout: {}\nstderr: {}",
            self.command,
            self.status,
            cut(&self.stdout),
            cut(&self.stderr)
        )
    }
}
