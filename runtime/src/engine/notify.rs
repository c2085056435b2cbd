//! sd_notify(3) for a service manager above the runtime: the container gets a socket of its own, and its `READY=` goes to
//! the manager's, with the process to watch. The manager's socket itself stays outside, as with runc.

use mydocker_sys::poll::{Interest, poll};
use mydocker_sys::{AsFd, AsRawFd, BorrowedFd, Errno, OwnedFd, fs, socket};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where the container finds the directory of its socket.
pub const DIRECTORY_INSIDE: &str = "/run/notify";

/// The socket in its directory.
pub const SOCKET_NAME: &str = "notify.sock";

/// How long the manager may take to have read everything.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why readiness could not be told.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// The container's socket.
    #[error("the socket for the container's readiness cannot be used")]
    Own(#[source] mydocker_sys::Error),
    /// The manager's socket.
    #[error("$NOTIFY_SOCKET {} cannot be used; unset it, or start the program by its service manager", path.display())]
    Manager {
        /// Its path, or its abstract name behind `@`.
        path: PathBuf,
        /// Why.
        source: mydocker_sys::Error,
    },
}

/// The manager's socket, from `$NOTIFY_SOCKET`.
#[must_use]
pub fn manager() -> Option<PathBuf> {
    std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The way from a container's socket to the manager's.
#[derive(Debug)]
pub struct Notify {
    own: OwnedFd,
    manager: PathBuf,
}

impl Notify {
    /// Makes the container's socket in the directory behind a descriptor.
    ///
    /// # Errors
    /// [`NotifyError::Own`].
    pub fn bind(directory: BorrowedFd<'_>, manager: PathBuf) -> Result<Self, NotifyError> {
        // A state root may have a path that is longer than a socket's may be.
        let path = format!("/proc/self/fd/{}/{SOCKET_NAME}", directory.as_raw_fd());
        let own = socket::bind_datagram(Path::new(&path)).map_err(NotifyError::Own)?;
        fs::set_nonblocking(&own, true).map_err(NotifyError::Own)?;
        Ok(Self { own, manager })
    }

    /// Takes what the container has said; whether it was that it is ready.
    ///
    /// # Errors
    /// [`NotifyError::Own`].
    pub fn hears_ready(&self) -> Result<bool, NotifyError> {
        let mut buffer = [0; 4096];
        loop {
            match fs::read(&self.own, &mut buffer) {
                Ok(length) if is_ready(&buffer[..length]) => return Ok(true),
                Ok(_) => {}
                Err(error) if error.errno() == Errno::EAGAIN => return Ok(false),
                Err(error) => return Err(NotifyError::Own(error)),
            }
        }
    }

    /// Tells the manager that the container is ready and which process it is to watch.
    ///
    /// # Errors
    /// [`NotifyError::Manager`].
    pub fn tell(&self, main_pid: i32) -> Result<OwnedFd, NotifyError> {
        let manager = socket::connect_datagram(&self.manager).map_err(|source| self.failed(source))?;
        for text in ["READY=1\n".to_owned(), format!("MAINPID={main_pid}\n")] {
            socket::send(&manager, text.as_bytes(), &[]).map_err(|source| self.failed(source))?;
        }
        Ok(manager)
    }

    fn failed(&self, source: mydocker_sys::Error) -> NotifyError {
        NotifyError::Manager { path: self.manager.clone(), source }
    }

    /// Waits until the process is ready, or has ended, and tells the manager. The caller is about to end, and a message of a
    /// process that has ended belongs to nobody: so the manager is waited for as well (sd_notify_barrier(3)).
    ///
    /// # Errors
    /// [`NotifyError`].
    pub fn wait(&self, pid: i32, pidfd: &OwnedFd) -> Result<(), NotifyError> {
        loop {
            let interests = [Interest::read(self.own.as_fd()), Interest::read(pidfd.as_fd())];
            let events = poll(&interests, None, "the container to be ready").map_err(NotifyError::Own)?;
            if self.hears_ready()? {
                let manager = self.tell(pid)?;
                return self.await_manager(&manager);
            }
            if events[1].readable {
                return Ok(());
            }
        }
    }

    /// The manager closes the pipe when it has come to it. One that knows no barriers closes it never: it has had its
    /// time then.
    fn await_manager(&self, manager: &OwnedFd) -> Result<(), NotifyError> {
        let (read, write) = fs::pipe().map_err(NotifyError::Own)?;
        socket::send(manager, b"BARRIER=1", &[write.as_raw_fd()]).map_err(|source| self.failed(source))?;
        drop(write);
        let deadline = Some(Instant::now() + PATIENCE);
        match poll(&[Interest::read(read.as_fd())], deadline, "the service manager to read its messages") {
            Err(error) if error.errno() == Errno::ETIMEDOUT => Ok(()),
            other => other.map(drop).map_err(NotifyError::Own),
        }
    }
}

impl AsFd for Notify {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.own.as_fd()
    }
}

fn is_ready(datagram: &[u8]) -> bool {
    datagram.split(|byte| *byte == b'\n').any(|line| line == b"READY=1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_line_of_its_own_says_ready() {
        assert!(is_ready(b"READY=1") && is_ready(b"STATUS=fine\nREADY=1\n"));
        assert!(!is_ready(b"STATUS=READY=1") && !is_ready(b"READY=0") && !is_ready(b""));
    }
}
