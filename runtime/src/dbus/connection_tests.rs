use super::*;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
/// For what never comes.
const AT_ONCE: Duration = Duration::from_millis(50);

/// A service at a socket of its own, which `serve` plays with the one who connects.
fn service(serve: impl FnOnce(UnixStream) + Send + 'static) -> (tempfile::TempDir, String) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("bus");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || serve(listener.accept().unwrap().0));
    (place, format!("unix:path={}", path.display()))
}

fn accept(stream: &mut UnixStream) {
    read_until(stream, b"BEGIN\r\n");
    stream.write_all(b"DATA\r\nOK 0123456789abcdef0123456789abcdef\r\n").unwrap();
}

fn read_until(stream: &mut UnixStream, end: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut byte = [0u8; 1];
    while !bytes.ends_with(end) && stream.read(&mut byte).unwrap() == 1 {
        bytes.push(byte[0]);
    }
    bytes
}

fn ping(connection: &mut Connection) -> Result<Vec<Value>, Error> {
    let call = Call { destination: None, path: "/", interface: "a.b", member: "Ping", arguments: &[] };
    let serial = connection.queue(&call)?;
    connection.reply(serial, "Ping")
}

/// An answer to call 1, big-endian, as another machine's byte order would have it: an error, or a text.
fn answer(kind: u8, text: &str) -> Vec<u8> {
    let mut body = u32::try_from(text.len()).unwrap().to_be_bytes().to_vec();
    body.extend(text.as_bytes());
    body.push(0);
    let mut bytes = vec![b'B', kind, 0, 1];
    bytes.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
    bytes.extend([0, 0, 0, 9]);
    bytes.extend([0, 0, 0, 31]);
    bytes.extend([5, 1, b'u', 0, 0, 0, 0, 1]);
    bytes.extend([8, 1, b'g', 0, 1, b's', 0, 0]);
    bytes.extend([4, 1, b's', 0, 0, 0, 0, 6]);
    bytes.extend(b"x.Oops\0\0");
    bytes.extend(body);
    bytes
}

#[test]
fn an_answer_comes_also_in_pieces_and_behind_what_nobody_asked_for() {
    let (_place, address) = service(|mut stream| {
        accept(&mut stream);
        let mut bytes = answer(2, "of another call");
        bytes[23] = 77;
        bytes.extend(answer(2, "pong"));
        for piece in bytes.chunks(5) {
            stream.write_all(piece).unwrap();
        }
        read_until(&mut stream, b"never");
    });
    let mut connection = Connection::open(&address, Peer::Service, SOON).unwrap();
    assert_eq!(ping(&mut connection).unwrap(), [Value::text("pong")]);
}

#[test]
fn an_error_is_told_with_its_name_and_text() {
    let (_place, address) = service(|mut stream| {
        accept(&mut stream);
        stream.write_all(&answer(3, "it broke")).unwrap();
        read_until(&mut stream, b"never");
    });
    let mut connection = Connection::open(&address, Peer::Service, SOON).unwrap();
    assert_eq!(ping(&mut connection).unwrap_err().to_string(), "Ping: it broke (x.Oops)");
}

#[test]
fn silence_ends_at_the_deadline_and_names_the_call() {
    for speaks in [true, false] {
        let (_place, address) = service(move |mut stream| {
            if speaks {
                accept(&mut stream);
            }
            read_until(&mut stream, b"never");
        });
        let opened = Connection::open(&address, Peer::Service, AT_ONCE);
        let error = opened.and_then(|mut connection| ping(&mut connection)).unwrap_err();
        let during = if speaks { "Ping" } else { "authentication" };
        assert!(matches!(&error, Error::Timeout { call, .. } if call == during), "{error}");
    }
}

#[test]
fn a_listener_that_takes_nobody_ends_at_the_deadline() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("bus");
    let _listener = UnixListener::bind(&path).unwrap();
    // The kernel lets no more in than the listener's queue has room for.
    let mut waiting = Vec::new();
    while let Ok(socket) =
        mydocker_sys::socket::connect_stream_nonblocking(mydocker_sys::socket::SocketName::Path(&path))
    {
        waiting.push(socket);
    }
    let error = Connection::open(&format!("unix:path={}", path.display()), Peer::Bus, AT_ONCE).unwrap_err();
    assert!(matches!(&error, Error::Timeout { call, .. } if call == "connect"), "{error}");
}

/// systemd would not see a message that came in together with the authentication.
#[test]
fn a_service_gets_the_first_message_when_it_has_accepted_the_user() {
    let (_place, address) = service(|mut stream| {
        read_until(&mut stream, b"BEGIN\r\n");
        stream.set_nonblocking(true).unwrap();
        let early = stream.read(&mut [0]);
        assert_eq!(early.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        stream.set_nonblocking(false).unwrap();
        stream.write_all(b"DATA\r\nOK 0123456789abcdef0123456789abcdef\r\n").unwrap();
        stream.read_exact(&mut [0; 16]).unwrap();
        stream.write_all(&answer(2, "here")).unwrap();
        read_until(&mut stream, b"never");
    });
    let mut connection = Connection::open(&address, Peer::Service, SOON).unwrap();
    assert_eq!(ping(&mut connection).unwrap(), [Value::text("here")]);
}

#[test]
fn a_connection_that_is_closed_is_told_with_the_call() {
    let (_place, address) = service(|mut stream| accept(&mut stream));
    let mut connection = Connection::open(&address, Peer::Service, SOON).unwrap();
    let error = ping(&mut connection).unwrap_err();
    assert!(matches!(&error, Error::Closed { call, .. } if call == "Ping"), "{error}");
}

#[test]
fn a_user_who_is_refused_is_told_so() {
    let (_place, address) = service(|mut stream| {
        read_until(&mut stream, b"BEGIN\r\n");
        stream.write_all(b"REJECTED EXTERNAL\r\n").unwrap();
    });
    let error = Connection::open(&address, Peer::Service, SOON).unwrap_err();
    assert!(matches!(&error, Error::Rejected { reply, .. } if reply == "REJECTED EXTERNAL"), "{error}");
}

#[test]
fn what_is_no_message_is_told() {
    let (_place, address) = service(|mut stream| {
        accept(&mut stream);
        stream.write_all(&[b'?'; 64]).unwrap();
        read_until(&mut stream, b"never");
    });
    let mut connection = Connection::open(&address, Peer::Service, SOON).unwrap();
    assert!(matches!(ping(&mut connection), Err(Error::Wire { .. })));
}

#[test]
fn an_address_where_nobody_listens_is_told() {
    let error = Connection::open("unix:path=/nonexistent/bus", Peer::Bus, SOON).unwrap_err();
    assert_eq!(error.to_string(), "cannot talk over D-Bus at unix:path=/nonexistent/bus (connect)");
}
