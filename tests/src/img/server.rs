//! A server of HTTP that says whatever a test wants, and remembers what it was asked.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// What was asked.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// What was sent.
    pub body: Vec<u8>,
}

impl Request {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What is sent after the headers.
#[derive(Debug, Clone)]
pub enum Body {
    /// These bytes, and their number as `Content-Length`.
    Bytes(Vec<u8>),
    /// These bytes, another number as `Content-Length`, and then the connection ends.
    Lying(Vec<u8>, u64),
    /// Zeros without an end, in chunks.
    Endless,
    /// These bytes of this many, and then nothing until the server ends.
    Stalling(Vec<u8>, u64),
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// What follows.
    pub body: Body,
}

impl Reply {
    /// An answer of bytes.
    #[must_use]
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: Body::Bytes(body.into()) }
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// A server on a free port of the loopback interface. It ends when it is dropped.
pub struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server that answers with what `answer` gives.
    ///
    /// # Panics
    /// When no port is free.
    #[must_use]
    pub fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let stopping = Arc::new(AtomicBool::new(false));
        let (noted, stop, answer) = (Arc::clone(&requests), Arc::clone(&stopping), Arc::new(answer));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (noted, stop, answer) = (Arc::clone(&noted), Arc::clone(&stop), Arc::clone(&answer));
                // A client that goes away in the middle is no failure of the server.
                std::thread::spawn(move || {
                    stream.and_then(|stream| converse(&stream, &noted, &stop, &*answer)).unwrap_or_default();
                });
            }
        });
        Self { address, requests, stopping, thread: Some(thread) }
    }

    /// Its host and port.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// What it was asked up to now.
    ///
    /// # Panics
    /// When a thread that answers has panicked.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no panic").clone()
    }

    /// How often something was asked for whose path holds `part`.
    #[must_use]
    pub fn count(&self, method: &str, part: &str) -> usize {
        let fits = |request: &&Request| request.method == method && request.target.contains(part);
        self.requests().iter().filter(fits).count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // The connection wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn converse(
    stream: &TcpStream,
    noted: &Mutex<Vec<Request>>,
    stop: &AtomicBool,
    answer: &dyn Fn(&Request) -> Reply,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader)? {
        noted.lock().expect("no panic").push(request.clone());
        let reply = answer(&request);
        if !write_reply(stream, &reply, request.method == "HEAD", stop)? {
            return stream.shutdown(std::net::Shutdown::Both);
        }
    }
    Ok(())
}

fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let mut request = Request {
        method: words.next().unwrap_or_default(),
        target: words.next().unwrap_or_default(),
        ..Request::default()
    };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = request.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    request.body = vec![0; length];
    reader.read_exact(&mut request.body)?;
    Ok(Some(request))
}

/// Writes an answer; whether the connection can go on.
fn write_reply(mut stream: &TcpStream, reply: &Reply, head: bool, stop: &AtomicBool) -> io::Result<bool> {
    let mut text = format!("HTTP/1.1 {} Status\r\n", reply.status);
    for (name, value) in &reply.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    match &reply.body {
        Body::Bytes(bytes) => text.push_str(&format!("content-length: {}\r\n\r\n", bytes.len())),
        Body::Lying(_, length) | Body::Stalling(_, length) => {
            text.push_str(&format!("content-length: {length}\r\n\r\n"));
        }
        Body::Endless => text.push_str("transfer-encoding: chunked\r\n\r\n"),
    }
    stream.write_all(text.as_bytes())?;
    if head {
        return Ok(true);
    }
    match &reply.body {
        Body::Bytes(bytes) => stream.write_all(bytes).map(|()| true),
        Body::Lying(bytes, _) => stream.write_all(bytes).map(|()| false),
        Body::Endless => {
            let zeros = format!("10000\r\n{}\r\n", "\0".repeat(65536));
            while !stop.load(Ordering::SeqCst) {
                stream.write_all(zeros.as_bytes())?;
            }
            Ok(false)
        }
        Body::Stalling(bytes, _) => {
            stream.write_all(bytes)?;
            // The client says nothing more: this waits for it to go away.
            stream.read(&mut [0]).map(|_| false)
        }
    }
}
