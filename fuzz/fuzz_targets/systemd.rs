//! What systemd says over D-Bus, what a unit's properties are written as, and where a bus is said to listen.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mydocker_runtime::dbus::{Address, Call, Connection, Incoming, Peer, Value, text};
use std::io::Write as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::time::Duration;

/// What is said fits into the socket's buffer, so that nobody waits for anybody.
const PATIENCE: Duration = Duration::from_secs(5);
const MOST: usize = 64 << 10;

thread_local! {
    static BUS: (UnixListener, String) = {
        let name = format!("mydocker-fuzz-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a short name");
        (UnixListener::bind_addr(&address).expect("a name of its own"), format!("unix:abstract={name}"))
    };
}

fuzz_target!(|bytes: &[u8]| {
    let length = Incoming::length(bytes);
    if let Ok(message) = Incoming::decode(bytes) {
        again(&message.body);
        message
            .body
            .iter()
            .for_each(|value| assert!(!value.to_string().is_empty() || value.as_text().is_some()));
    }
    if let Ok(words) = std::str::from_utf8(bytes) {
        drop(Address::parse_list(words));
        if let Ok(value) = text::parse(words) {
            again(&[value]);
        }
    }
    if length.is_ok() || bytes.starts_with(b"OK") || bytes.starts_with(b"DATA") {
        converse(bytes);
    }
});

/// Values as arguments of a call: what was written is what is read again. Compared as bytes, since a number may be none.
fn again(values: &[Value]) {
    let Some(bytes) = written(values) else { return };
    assert_eq!(Incoming::length(&bytes), Ok(Some(bytes.len())));
    let message = Incoming::decode(&bytes).expect("what was written can be read");
    assert_eq!(signatures(&message.body), signatures(values));
    assert_eq!(written(&message.body).as_ref(), Some(&bytes));
}

fn signatures(values: &[Value]) -> Vec<String> {
    values.iter().map(Value::signature).collect()
}

fn written(arguments: &[Value]) -> Option<Vec<u8>> {
    let call = Call { destination: Some("a.b"), path: "/a", interface: "c.d", member: "E", arguments };
    call.encode(1).ok()
}

/// A bus that says these bytes, after it has let the runtime in, and no more.
fn converse(bytes: &[u8]) {
    BUS.with(|(listener, address)| {
        let mut connection = Connection::open(address, Peer::Bus, PATIENCE).expect("somebody listens");
        let (mut bus, _) = listener.accept().expect("the runtime has connected");
        if !bytes.starts_with(b"OK") && !bytes.starts_with(b"DATA") {
            bus.write_all(b"DATA\r\nOK 1234\r\n").expect("the runtime listens");
        }
        bus.write_all(&bytes[..bytes.len().min(MOST)]).expect("the runtime listens");
        let serial = connection
            .queue(&Call { destination: None, path: "/", interface: "a.b", member: "C", arguments: &[] })
            .expect("a call without arguments");
        // The end of what the bus says; what it is told still has a place.
        bus.shutdown(std::net::Shutdown::Write).expect("it is connected");
        if let Err(error) = connection.reply(serial, "C") {
            assert!(!matches!(error, mydocker_runtime::dbus::Error::Timeout { .. }), "{error}");
        }
        drop(connection.signal("D", |signal| (signal.member == "D").then_some(())));
    });
}
