//! Servers as their clients see them: what is said to a port, and what is answered.

use crate::wait;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;

/// A port of this host that nobody has.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// What the server at a port of 127.0.0.1 answers to `request`, up to what `is_whole` says is the end of it, or to the
/// end of the connection; `None` when it cannot be reached.
pub fn ask(port: u16, request: &str, is_whole: impl Fn(&str) -> bool) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(wait::DEADLINE)).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let (mut text, mut part) = (String::new(), [0; 4096]);
    while !is_whole(&text) {
        match stream.read(&mut part).ok()? {
            0 => break,
            length => text.push_str(&String::from_utf8_lossy(&part[..length])),
        }
    }
    Some(text)
}

/// The answer of a web server, which may still be starting.
///
/// # Panics
/// When there is none in time.
#[must_use]
pub fn get(port: u16, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.0\r\nHost: test\r\n\r\n");
    wait::until("an answer over HTTP", || ask(port, &request, |_| false).filter(|text| !text.is_empty()))
}

/// The same in the network namespace that a file stands for.
///
/// # Panics
/// When it is no namespace, or there is no answer in time.
#[must_use]
pub fn get_within(namespace: &Path, port: u16, path: &str) -> String {
    let file = File::open(namespace).unwrap_or_else(|error| panic!("{}: {error}", namespace.display()));
    let get_there = || {
        // It is this thread alone that moves.
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
            .expect("a network namespace");
        get(port, path)
    };
    std::thread::scope(|scope| scope.spawn(get_there).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
