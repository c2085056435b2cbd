//! One `criu swrk` and the talk with it.

use super::log::errors_in;
use super::request::{Kind, Notification, Reply, feature_request, notify_answer, version_request};
use crate::cgroup::JoinFds;
use crate::host::find_program;
use mydocker_sys::fs::{self, OFlag};
use mydocker_sys::process::{self, Exit};
use mydocker_sys::signal::{self, SigSet};
use mydocker_sys::{AsRawFd, OwnedFd, mount, socket};
use std::ffi::CString;
use std::os::fd::IntoRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The longest message of criu's; its own buffer for one is half as large.
const MAX_MESSAGE: usize = 40 * 1024;

/// criu 3.11 is the first that can leave a network namespace alone, which every checkpoint here needs.
const OLDEST: u32 = 31_100;

/// Why criu cannot do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program is not there.
    #[error(
        "the program criu, which makes and restores checkpoints, is not {}: install the package criu, or name the \
         program with --criu",
        .0.as_ref().map_or("in PATH".to_owned(), |path| format!("at {}", path.display()))
    )]
    Missing(Option<PathBuf>),
    /// It is too old.
    #[error("criu {0} is too old: 3.11 or newer is needed")]
    Old(String),
    /// It cannot work here.
    #[error("criu {version} cannot work on this kernel: {why}")]
    Kernel {
        /// Its version.
        version: String,
        /// What it says.
        why: String,
    },
    /// Kernel or program lack what was asked for.
    #[error("{flag} needs what this kernel or criu {version} does not have: {what}")]
    Feature {
        /// What was typed.
        flag: &'static str,
        /// The program's version.
        version: String,
        /// What is missing.
        what: &'static str,
    },
    /// It could not be started.
    #[error("criu cannot be started: {0}")]
    Start(String),
    /// The kernel refused something on the runtime's side.
    #[error("{what}")]
    Call {
        /// What was being done.
        what: &'static str,
        /// Why.
        source: mydocker_sys::Error,
    },
    /// It ended without an answer, or with one that is none.
    #[error("criu ended without an answer{0}")]
    NoAnswer(String),
    /// It failed.
    #[error("criu failed{0}")]
    Failed(String),
    /// Something that it had to wait for failed.
    #[error("{0}")]
    Refused(String),
}

fn call(what: &'static str) -> impl FnOnce(mydocker_sys::Error) -> Error {
    move |source| Error::Call { what, source }
}

/// A criu that is there and works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    path: PathBuf,
    version: u32,
    abilities: Reply,
}

impl Program {
    /// Finds criu, by `named` or in PATH, and asks it for its version and for what it can do on this kernel. Nothing is
    /// touched.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Old`] and [`Error::Kernel`].
    pub fn find(named: Option<&Path>) -> Result<Self, Error> {
        let path = match named {
            Some(path) => Some(path.to_owned()).filter(|path| fs::executable(path).is_ok()),
            None => find_program("criu"),
        };
        let path = path.ok_or_else(|| Error::Missing(named.map(Path::to_owned)))?;
        let (reply, said) = ask(&path, &version_request())?;
        let version = match reply {
            Some(reply) if reply.success && reply.version > 0 => reply.version,
            _ => return Err(Error::NoAnswer(appended(&errors_in(&said)))),
        };
        if version < OLDEST {
            return Err(Error::Old(name_of(version)));
        }
        let (reply, said) = ask(&path, &feature_request())?;
        match reply {
            Some(abilities) if abilities.success => Ok(Self { path, version, abilities }),
            _ => Err(Error::Kernel { version: name_of(version), why: cause(&said) }),
        }
    }

    /// Demands that memory can be tracked (`--pre-dump`, `--parent-path`).
    ///
    /// # Errors
    /// [`Error::Feature`]
    pub fn require_tracking(&self, flag: &'static str) -> Result<(), Error> {
        self.require(
            self.abilities.tracks_memory,
            flag,
            "tracking of memory that has changed (CONFIG_MEM_SOFT_DIRTY)",
        )
    }

    /// Demands that pages may come later (`--lazy-pages`).
    ///
    /// # Errors
    /// [`Error::Feature`]
    pub fn require_lazy_pages(&self) -> Result<(), Error> {
        self.require(self.abilities.has_lazy_pages, "--lazy-pages", "userfaultfd with its events")
    }

    fn require(&self, has: bool, flag: &'static str, what: &'static str) -> Result<(), Error> {
        if has { Ok(()) } else { Err(Error::Feature { flag, version: name_of(self.version), what }) }
    }

    /// Whether it can freeze a cgroup of v2 (since 3.14), and restores into a time namespace.
    #[must_use]
    pub fn knows_cgroup_v2(&self) -> bool {
        self.version >= 31_400
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn name_of(version: u32) -> String {
    format!("{}.{}.{}", version / 10_000, version / 100 % 100, version % 100)
}

fn cause(said: &str) -> String {
    match errors_in(said) {
        errors if errors.is_empty() => "it does not say why".into(),
        errors => errors,
    }
}

fn appended(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

/// Asks one question of a criu whose output is caught: without a log directory its errors go there.
fn ask(path: &Path, request: &[u8]) -> Result<(Option<Reply>, String), Error> {
    let output = fs::memfd(c"criu").map_err(call("catch what criu prints"))?;
    let session = Session::start(path, Helper { output: Some(&output), ..Helper::default() })?;
    session.send(request)?;
    let reply = session.receive()?.0;
    session.end()?;
    let mut said = vec![0u8; 16 * 1024];
    let length = fs::read_from(&output, &mut said, 0).map_err(call("read what criu printed"))?;
    Ok((reply, String::from_utf8_lossy(&said[..length]).into_owned()))
}

/// How criu's process is set up before it is executed.
#[derive(Debug, Default)]
pub struct Helper<'a> {
    /// Its standard output and error, in place of the caller's.
    pub output: Option<&'a OwnedFd>,
    /// Directories that it opens; criu looks for the descriptors that a request names in the process that made the
    /// socket, and mounts in them, so that they must be of its own mount namespace.
    pub directories: &'a [&'a Path],
    /// Descriptors that it inherits under the numbers that they have here.
    pub inherited: &'a [&'a OwnedFd],
    /// The cgroups that it joins; what it restores begins there.
    pub cgroups: Option<JoinFds>,
    /// A directory and where it becomes a mount, in a mount namespace of its own: criu wants the root of what it
    /// restores to be one, and nothing of it is left when criu has ended.
    pub root: Option<(&'a Path, &'a Path)>,
}

/// Waits until criu is executed: the process tells the numbers of its directories with the socket, and then, if it
/// comes to that, why it could not go on.
fn hear(listen: &OwnedFd, pid: i32, pidfd: OwnedFd) -> Result<Session, Error> {
    let mut buffer = [0u8; 1024];
    let mut socket = None;
    let mut directories = Vec::new();
    loop {
        let message = match socket::receive(listen, &mut buffer) {
            Err(error) if error.errno() == mydocker_sys::Errno::ECONNRESET => break,
            other => other.map_err(call("listen to criu's process"))?,
        };
        let bytes = &buffer[..message.length];
        match message.fds.into_iter().next() {
            Some(fd) => {
                directories = bytes.chunks_exact(4).filter_map(|number| number.try_into().ok()).collect();
                socket = Some(fd);
            }
            None if bytes.is_empty() => break,
            None => {
                process::wait(&pidfd).map_err(call("wait for criu"))?;
                return Err(Error::Start(String::from_utf8_lossy(bytes).into_owned()));
            }
        }
    }
    let directories = directories.into_iter().map(i32::from_ne_bytes).collect();
    match socket {
        Some(socket) => Ok(Session { socket, pidfd, pid, directories }),
        None => {
            process::wait(&pidfd).map_err(call("wait for criu"))?;
            Err(Error::Start("its process ended".into()))
        }
    }
}

/// A running criu; it ends when this is dropped, since nobody talks to it any more.
#[derive(Debug)]
pub struct Session {
    socket: OwnedFd,
    pidfd: OwnedFd,
    pid: i32,
    directories: Vec<i32>,
}

impl Session {
    /// Starts criu.
    ///
    /// # Errors
    /// [`Error::Start`] with the step that failed.
    pub fn start(program: &Path, helper: Helper<'_>) -> Result<Self, Error> {
        let (listen, tell) = socket::seqpacket_pair().map_err(call("make a socket to criu's process"))?;
        let flags = if helper.root.is_some() { libc::CLONE_NEWNS as u64 } else { 0 };
        match process::clone3(process::CloneArgs { flags, cgroup: None })
            .map_err(call("make a process for criu"))?
        {
            process::Forked::Child => {
                drop(listen);
                let error = become_criu(program, &helper, &tell);
                // Nobody is left to be told if this fails: the end of the socket says enough.
                drop(socket::send(&tell, error.to_string().as_bytes(), &[]));
                process::exit_now(1)
            }
            process::Forked::Parent { pid, pidfd } => {
                drop(tell);
                hear(&listen, pid.as_raw(), pidfd)
            }
        }
    }

    /// criu's process.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// criu's descriptors of [`Helper::directories`].
    #[must_use]
    pub fn directories(&self) -> &[i32] {
        &self.directories
    }

    fn send(&self, bytes: &[u8]) -> Result<(), Error> {
        socket::send(&self.socket, bytes, &[]).map_err(call("ask criu"))
    }

    /// The next reply with its descriptors; `None` at the end of the connection.
    fn receive(&self) -> Result<(Option<Reply>, Vec<OwnedFd>), Error> {
        let mut buffer = vec![0u8; MAX_MESSAGE];
        let message = match socket::receive(&self.socket, &mut buffer) {
            Err(error) if error.errno() == mydocker_sys::Errno::ECONNRESET => return Ok((None, Vec::new())),
            other => other.map_err(call("listen to criu"))?,
        };
        if message.length == 0 {
            return Ok((None, Vec::new()));
        }
        let reply = Reply::parse(&buffer[..message.length]);
        reply.map(|reply| (Some(reply), message.fds)).ok_or_else(|| Error::NoAnswer(String::new()))
    }

    /// Sends a request and attends to criu's notifications until it has answered.
    ///
    /// # Errors
    /// [`Error::Failed`] and [`Error::NoAnswer`]; `attend`'s words as [`Error::Refused`].
    pub fn request(
        &self,
        bytes: &[u8],
        mut attend: impl FnMut(&Notification, Vec<OwnedFd>) -> Result<(), String>,
    ) -> Result<Reply, Error> {
        self.send(bytes)?;
        loop {
            let (reply, fds) = self.receive()?;
            let Some(reply) = reply else { return Err(Error::NoAnswer(String::new())) };
            match &reply.notification {
                Some(notification) if reply.kind == Kind::Notify as u64 && reply.success => {
                    attend(notification, fds).map_err(Error::Refused)?;
                    self.send(&notify_answer())?;
                }
                _ if reply.success => return Ok(reply),
                _ => return Err(Error::Failed(appended(&reason(&reply)))),
            }
        }
    }

    /// Closes the connection, which ends criu, and waits for that.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn end(self) -> Result<Exit, Error> {
        drop(self.socket);
        process::wait(&self.pidfd).map_err(call("wait for criu"))
    }
}

fn reason(reply: &Reply) -> String {
    match (&reply.message, reply.errno) {
        (Some(message), _) if !message.is_empty() => match errors_in(message) {
            errors if errors.is_empty() => message.trim().to_owned(),
            errors => errors,
        },
        (_, 0) => String::new(),
        (_, errno) => mydocker_sys::Errno::from_raw(errno).desc().to_owned(),
    }
}

/// Sets the new process up and executes criu in it; returns only when that failed.
fn become_criu(program: &Path, helper: &Helper<'_>, tell: &OwnedFd) -> mydocker_sys::Error {
    match prepare(program, helper, tell) {
        Ok((path, args, env)) => process::exec(&path, &args, &env),
        Err(error) => error,
    }
}

type Words = (CString, Vec<CString>, Vec<CString>);

fn prepare(program: &Path, helper: &Helper<'_>, tell: &OwnedFd) -> mydocker_sys::Result<Words> {
    if let Some(cgroups) = &helper.cgroups {
        cgroups.join()?;
    }
    if let Some((root, at)) = helper.root {
        attach_root(root, at)?;
    }
    // criu waits for its children by signals, and what it restores must find them as it left them.
    signal::set_mask(&SigSet::empty())?;
    signal::reset_dispositions();
    if let Some(output) = helper.output {
        process::dup_to(output, 1)?;
        process::dup_to(output, 2)?;
    }
    process::close_on_exec_from(3)?;
    let socket = open_and_tell(helper, tell)?;
    let number = socket.into_raw_fd().to_string();
    let word = |bytes: Vec<u8>| {
        CString::new(bytes)
            .map_err(|_| mydocker_sys::Error::new("execve", "criu", mydocker_sys::Errno::EINVAL))
    };
    let args =
        ["criu", "swrk", &number].map(|text| word(text.into())).into_iter().collect::<Result<_, _>>()?;
    let env = std::env::vars_os()
        .map(|(name, value)| word([name.as_bytes(), b"=", value.as_bytes()].concat()))
        .collect::<Result<_, _>>()?;
    Ok((word(program.to_owned().into_os_string().into_vec())?, args, env))
}

/// Opens what criu needs, tells the runtime of it, and returns criu's end of the socket. All stays open at execve.
fn open_and_tell(helper: &Helper<'_>, tell: &OwnedFd) -> mydocker_sys::Result<OwnedFd> {
    let (ours, theirs) = socket::seqpacket_pair()?;
    let mut numbers = Vec::new();
    for path in helper.directories {
        let directory = fs::open(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
        fs::set_cloexec(&directory, false)?;
        numbers.extend(directory.into_raw_fd().to_ne_bytes());
    }
    for fd in helper.inherited.iter().copied().chain([&ours]) {
        fs::set_cloexec(fd, false)?;
    }
    // A message without bytes would be the end of the conversation.
    numbers.resize(numbers.len().max(1), 0);
    socket::send(tell, &numbers, &[theirs.as_raw_fd()])?;
    Ok(ours)
}

/// Nothing of this reaches the host's mounts, since the namespace is new.
fn attach_root(root: &Path, at: &Path) -> mydocker_sys::Result<()> {
    let slave = mount::MsFlags::MS_SLAVE | mount::MsFlags::MS_REC;
    mount::mount(None, c"/", None, slave, None)?;
    let tree = mount::open_tree_at(fs::AT_FDCWD, root, mount::Clone::Recursive)?;
    let target = fs::open(at, OFlag::O_PATH | OFlag::O_DIRECTORY)?;
    mount::attach(&tree, &target)
}
