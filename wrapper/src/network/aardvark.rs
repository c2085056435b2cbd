//! aardvark-dns, the name server of networks. netavark starts it, tells it of changes by a signal to the process that a
//! file names, and it ends by itself when no container is left.

use super::netavark::{Info, tool};
use super::{NetworkError, files, netns};
use crate::container::Process;
use mydocker_sys::Errno;
use mydocker_sys::poll::{Interest, poll};
use mydocker_sys::process::{Pid, pidfd_kill, pidfd_open};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long it may take to answer or to end.
const DEADLINE: Duration = Duration::from_secs(5);
/// After which time a question is asked again.
const PATIENCE: Duration = Duration::from_millis(20);
/// The signal by which it reads its files anew.
const HANGUP: i32 = 1;
/// The file with its process.
const PID_FILE: &str = "aardvark.pid";

/// Where the program is.
pub(super) fn program() -> Result<PathBuf, NetworkError> {
    tool("aardvark-dns", "MYDOCKER_AARDVARK_DNS", "aardvark-dns")
}

/// The name server of a home.
#[derive(Debug)]
pub(super) struct Server {
    directory: PathBuf,
}

impl Server {
    /// The one whose files netavark keeps in `config`.
    pub(super) fn new(config: &Path) -> Self {
        Self { directory: config.join("aardvark-dns") }
    }

    /// Its process while it lives. netavark takes any process of the number for it, and a dead one that waits to be reaped
    /// too: a file that names such a one is removed, so that it starts a server.
    pub(super) fn process(&self) -> Result<Option<OwnedFd>, NetworkError> {
        let path = self.directory.join(PID_FILE);
        let Some(text) = files::read(&path)? else { return Ok(None) };
        let pid: Option<i32> = String::from_utf8_lossy(&text).trim().parse().ok();
        let lives = |pid: &i32| Process::of(*pid).is_some() && self.is_it(*pid);
        match pid.filter(lives) {
            Some(pid) => Ok(pidfd_open(Pid::from_raw(pid)).ok()),
            None => files::remove(&path).map(|()| None),
        }
    }

    /// Whether a process serves this directory.
    fn is_it(&self, pid: i32) -> bool {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let own = self.directory.to_string_lossy();
        line.split(|byte| *byte == 0).any(|word| word == own.as_bytes())
    }

    /// Waits for its end if nothing is left for it to do: one that is about to end would swallow the news of the next
    /// container. One that does not end is killed.
    pub(super) fn settle(&self, process: Option<OwnedFd>) -> Result<(), NetworkError> {
        let Some(process) = process else { return Ok(()) };
        let has_work = files::names_in(&self.directory)?.iter().any(|name| name != PID_FILE);
        if has_work {
            return Ok(());
        }
        let interest = [Interest::read(process.as_fd())];
        if poll(&interest, Some(Instant::now() + DEADLINE), "the end of aardvark-dns").is_err() {
            pidfd_kill(&process, 9)?;
            poll(&interest, Some(Instant::now() + DEADLINE), "the end of aardvark-dns after SIGKILL")?;
        }
        files::remove(&self.directory.join(PID_FILE))
    }

    /// Tells it all the names of a container on a network, which netavark has no word for, and says whether there is a
    /// server to be told. The next one reads the same file.
    pub(super) fn rename(&self, id: &str, network: &str, names: &[String]) -> Result<bool, NetworkError> {
        // Later versions of netavark add '%' and what kind of a network it is.
        let is_its = |file: &String| file.split('%').next() == Some(network);
        for file in files::names_in(&self.directory)?.into_iter().filter(is_its) {
            let path = self.directory.join(file);
            let Some(text) = files::read(&path)? else { continue };
            let text = renamed(&String::from_utf8_lossy(&text), id, &names.join(","));
            files::write_by(&self.directory.with_extension("new"), &path, text.as_bytes())?;
        }
        let Some(process) = self.process()? else { return Ok(false) };
        match pidfd_kill(&process, HANGUP) {
            Err(error) if error.errno() == Errno::ESRCH => Ok(false),
            other => Ok(other.map(|()| true)?),
        }
    }

    /// Waits until it knows a container by `name`: what the container asks first must not come too early. It tells
    /// containers of their own networks only, so that the question is asked from the container's namespace.
    pub(super) fn wait_for(&self, namespace: &Path, info: &Info, name: &str) -> Result<(), NetworkError> {
        let Some(address) = info.subnets.iter().find_map(|subnet| subnet.gateway) else { return Ok(()) };
        let answered = netns::inside(namespace, || asked(address, name))?;
        let failed = super::error::failed("ask", Path::new("the name server"));
        match answered {
            Ok(true) => Ok(()),
            Ok(false) => Err(NetworkError::NoNames { network: info.name.clone(), address }),
            Err(error) => Err(failed(error)),
        }
    }
}

/// A file of the server's in which a container has other names. Its lines: the container's id, its addresses of IPv4, of IPv6,
/// its names, and the servers that it has others' names from.
fn renamed(text: &str, id: &str, names: &str) -> String {
    let line = |line: &str| {
        let mut words: Vec<&str> = line.split(' ').collect();
        match words.get_mut(3) {
            Some(old) if line.split(' ').next() == Some(id) => *old = names,
            _ => {}
        }
        words.join(" ") + "\n"
    };
    text.lines().map(line).collect()
}

/// Asks the server at `address` for `name` until it knows it, or it is too late.
fn asked(address: IpAddr, name: &str) -> std::io::Result<bool> {
    let end = Instant::now() + DEADLINE;
    let own: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(own, 0))?;
    socket.connect(SocketAddr::new(address, 53))?;
    let mut id = 0u16;
    while Instant::now() < end {
        id = id.wrapping_add(1);
        // Before the server listens, the kernel's refusal comes as an error of the next call.
        if socket.send(&question(id, name, address.is_ipv4())).is_ok() && answer(&socket, id) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether an answer with an address comes soon.
fn answer(socket: &UdpSocket, id: u16) -> bool {
    let interest = [Interest::read(socket.as_fd())];
    let end = Instant::now() + PATIENCE;
    let mut buffer = [0; 512];
    while poll(&interest, Some(end), "the name server").is_ok() {
        // A refusal is read here; then the rest of the time is waited for.
        if socket.recv(&mut buffer).is_ok_and(|length| is_answer(&buffer[..length], id)) {
            return true;
        }
    }
    false
}

/// A question of DNS (RFC 1035, section 4) for an address of a name without dots.
fn question(id: u16, name: &str, v4: bool) -> Vec<u8> {
    let mut bytes = Vec::from(id.to_be_bytes());
    // Recursion desired; one question.
    bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    bytes.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    bytes.extend(name.as_bytes());
    bytes.extend([0, 0, if v4 { 1 } else { 28 }, 0, 1]);
    bytes
}

/// Whether this answers the question with an address.
fn is_answer(bytes: &[u8], id: u16) -> bool {
    let [a, b] = id.to_be_bytes();
    matches!(bytes, [c, d, flags, code, _, _, answers, count, ..]
        if (a, b) == (*c, *d) && flags & 0x80 != 0 && code & 0xf == 0 && (*answers, *count) != (0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_one_container_are_others() {
        let text = "10.1.0.1,fd00::1\nab 10.1.0.2  old,al\nabc 10.1.0.3 fd00::3 old,cd 192.0.2.1\n";
        let found = renamed(text, "ab", "new,al");
        assert_eq!(found, text.replacen("old", "new", 1));
        assert_eq!(renamed(text, "abc", "x"), text.replace("old,cd", "x"));
        assert_eq!(renamed(text, "b", "x"), text);
    }

    #[test]
    fn names_are_written_down_for_the_next_server_where_there_is_none() {
        let place = tempfile::tempdir().expect("room");
        let server = Server::new(place.path());
        std::fs::create_dir(&server.directory).expect("room");
        let file = server.directory.join("net%int");
        std::fs::write(&file, "10.1.0.1\nab 10.1.0.2  old,al\n").expect("room");
        std::fs::write(server.directory.join(PID_FILE), std::process::id().to_string()).expect("room");
        let told = server.rename("ab", "net", &["new".to_owned(), "al".to_owned()]);
        assert!(!told.expect("files that can be written"));
        let found = std::fs::read_to_string(&file).expect("a file");
        assert_eq!(found, "10.1.0.1\nab 10.1.0.2  new,al\n");
    }

    #[test]
    fn a_question_is_of_the_form_of_dns() {
        let bytes = question(0x1234, "ab", true);
        assert_eq!(bytes, [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2, b'a', b'b', 0, 0, 1, 0, 1]);
        assert!(!is_answer(&bytes, 0x1234));
        let answer = |code, count| [0x12, 0x34, 0x81, code, 0, 1, 0, count, 0, 0, 0, 0];
        assert!(is_answer(&answer(0x80, 1), 0x1234));
        assert!(!is_answer(&answer(0x83, 0), 0x1234) && !is_answer(&answer(0x80, 1), 0x1235));
    }
}
