//! The clients of a monitor: who starts the container, who is attached to it, who waits for its end.

use crate::attach::{AttachError, PAYLOAD, Reply, Request, SOCKET, Streams, short_path};
use crate::log::Stream;
use mydocker_sys::poll::{Events, Interest};
use mydocker_sys::socket::{Message, accept, listen_seqpacket, receive, send};
use mydocker_sys::{AsFd as _, Errno, OwnedFd};
use std::collections::VecDeque;
use std::path::Path;
use std::rc::Rc;

/// So much waits for a client that does not read. The container waits then as well, so that nothing is lost.
const QUEUE_LIMIT: usize = 256 << 10;

/// One client.
#[derive(Debug)]
struct Client {
    socket: OwnedFd,
    streams: Streams,
    queue: VecDeque<Rc<[u8]>>,
    queued: usize,
    last: bool,
    deaf: bool,
    gone: bool,
}

/// What a client has said, and the descriptors that came with it.
#[derive(Debug)]
pub struct Heard {
    /// A packet.
    pub packet: Vec<u8>,
    /// What came with it.
    pub fds: Vec<OwnedFd>,
    /// Whether its input goes to the container.
    pub stdin: bool,
}

/// All clients, and where new ones come.
#[derive(Debug)]
pub struct Clients {
    listener: Option<OwnedFd>,
    all: Vec<Client>,
    started: bool,
    buffer: Vec<u8>,
}

impl Clients {
    /// Listens in `directory`; a socket that is there is a dead monitor's.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn listen(directory: &Path) -> Result<Self, AttachError> {
        let (path, _held) = short_path(directory, SOCKET)?;
        mydocker_sys::fs::unlink_if_present(mydocker_sys::fs::AT_FDCWD, &path)?;
        Ok(Self {
            listener: Some(listen_seqpacket(&path)?),
            all: Vec::new(),
            started: false,
            buffer: vec![0; PAYLOAD + 16],
        })
    }

    /// Takes a connection as a client's.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn add(&mut self, socket: OwnedFd) -> Result<(), AttachError> {
        mydocker_sys::fs::set_nonblocking(&socket, true)?;
        let (streams, queue) = (Streams::default(), VecDeque::new());
        self.all.push(Client { socket, streams, queue, queued: 0, last: false, deaf: false, gone: false });
        Ok(())
    }

    /// What is waited for: new clients first, then each one; input of clients only while there is `room` for it.
    pub fn interests(&self, room: bool) -> impl Iterator<Item = Interest<'_>> {
        let listener = self.listener.iter().map(|fd| Interest::read(fd.as_fd()));
        listener.chain(self.all.iter().map(move |client| Interest {
            fd: client.socket.as_fd(),
            read: room || !client.streams.stdin,
            write: !client.queue.is_empty(),
            priority: false,
        }))
    }

    /// Whether somebody reads too slowly for more.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.all.iter().any(|client| client.queued >= QUEUE_LIMIT)
    }

    /// Whether nobody is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Deals with what has happened, in the order of [`interests`](Self::interests), and gives what was said to `hear`,
    /// as well as whether the one who said it had input for the container.
    pub fn handle(&mut self, events: &[Events], mut hear: impl FnMut(Heard)) {
        let (listener, events) = events.split_at(usize::from(self.listener.is_some()).min(events.len()));
        for (client, event) in self.all.iter_mut().zip(events) {
            if event.writable {
                client.flush();
            }
            if event.readable || event.hangup {
                client.listen(&mut self.buffer, &mut hear);
            }
        }
        if listener.iter().any(|event| event.readable) {
            self.accept();
        }
        self.forget(&mut hear);
    }

    /// No new clients come from here on; those who have not been taken yet see that nobody is there.
    pub fn close(&mut self, directory: &Path) {
        self.listener = None;
        // A socket that stays refuses who connects to it, which says the same.
        std::fs::remove_file(directory.join(SOCKET)).unwrap_or_default();
    }

    /// Too many open files, say, are the newcomer's bad luck, and not the container's.
    fn accept(&mut self) {
        if let Some(Ok(Some(socket))) = self.listener.as_ref().map(accept) {
            self.add(socket).unwrap_or_default();
            if self.started {
                let packet: Rc<[u8]> = Reply::Started.packet().into();
                self.all.iter_mut().rev().take(1).for_each(|client| client.tell(&packet));
            }
        }
    }

    /// The container's program runs: tells everybody, and each who comes while it does.
    pub fn tell_started(&mut self) {
        self.started = true;
        self.tell(&Reply::Started);
    }

    /// Drops those who have gone, and those who have been told everything.
    fn forget(&mut self, hear: &mut impl FnMut(Heard)) {
        self.all.retain(|client| {
            let stays = !(client.gone || client.last && client.queue.is_empty());
            if !stays && client.streams.stdin {
                let packet = Request::InputEnd.packet();
                hear(Heard { packet, fds: Vec::new(), stdin: true });
            }
            stays
        });
    }

    /// Gives what the container has printed to those who want it.
    pub fn print(&mut self, stream: Stream, bytes: &[u8]) {
        let wants = |client: &Client| match stream {
            Stream::Out => client.streams.stdout,
            Stream::Err => client.streams.stderr,
        };
        if !self.all.iter().any(wants) {
            return;
        }
        for chunk in bytes.chunks(PAYLOAD) {
            let reply = match stream {
                Stream::Out => Reply::Output(chunk),
                Stream::Err => Reply::Error(chunk),
            };
            let packet: Rc<[u8]> = reply.packet().into();
            self.all.iter_mut().filter(|client| wants(client)).for_each(|client| client.tell(&packet));
        }
    }

    /// Tells everybody.
    pub fn tell(&mut self, reply: &Reply<'_>) {
        let packet: Rc<[u8]> = reply.packet().into();
        self.all.iter_mut().for_each(|client| client.tell(&packet));
    }

    /// Tells everybody the last there is to say; each is let go once it has heard it.
    pub fn tell_last(&mut self, reply: &Reply<'_>) {
        self.tell(reply);
        self.started = false;
        self.dismiss();
    }

    /// Lets each go once it has heard what there is to hear.
    pub fn dismiss(&mut self) {
        self.all.iter_mut().for_each(|client| client.last = true);
        self.forget(&mut |_| ());
    }
}

impl Client {
    fn tell(&mut self, packet: &Rc<[u8]>) {
        if self.last || self.deaf {
            return;
        }
        self.queued += packet.len();
        self.queue.push_back(Rc::clone(packet));
        self.flush();
    }

    /// Sends what the socket takes.
    fn flush(&mut self) {
        while let Some(packet) = self.queue.front() {
            match send(&self.socket, packet, &[]) {
                Ok(()) => {
                    self.queued -= packet.len();
                    self.queue.pop_front();
                }
                Err(error) if error.errno() == Errno::EAGAIN => return,
                // It hears no more, but what it has said before is still to be read.
                Err(_) => {
                    self.deaf = true;
                    self.queue.clear();
                    self.queued = 0;
                }
            }
        }
    }

    /// Takes one packet. Who says what nobody understands is let go.
    fn listen(&mut self, buffer: &mut [u8], hear: &mut impl FnMut(Heard)) {
        let received = match receive(&self.socket, buffer) {
            // Who closes with something of ours unread has the kernel tell so first; what they have said comes next.
            Err(error) if error.errno() == Errno::ECONNRESET => receive(&self.socket, buffer),
            other => other,
        };
        let (length, fds) = match received {
            Ok(Message { length, fds }) if length > 0 => (length, fds),
            Err(error) if error.errno() == Errno::EAGAIN => return,
            _ => {
                self.gone = true;
                return;
            }
        };
        match Request::read(&buffer[..length]) {
            Ok(Request::Hello(streams)) => self.streams = streams,
            Ok(_) => hear(Heard { packet: buffer[..length].to_owned(), fds, stdin: self.streams.stdin }),
            Err(_) => self.gone = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mydocker_sys::socket::seqpacket_pair;

    #[test]
    fn what_somebody_says_who_leaves_without_listening_is_heard() {
        let place = tempfile::tempdir().expect("a directory");
        let mut clients = Clients::listen(place.path()).expect("a socket");
        let (ours, theirs) = seqpacket_pair().expect("two sockets");
        clients.add(ours).expect("an open socket");
        clients.tell_started();
        send(&theirs, &Request::Keep.packet(), &[]).expect("a listener");
        drop(theirs);
        let mut heard = Vec::new();
        let came = Events { readable: true, hangup: true, ..Events::default() };
        clients.handle(&[Events::default(), came], |one| heard.push(one.packet));
        assert_eq!(heard, [Request::Keep.packet()]);
    }
}
