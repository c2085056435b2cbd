//! A proxy that itself speaks TLS, as some companies have between their hosts and all others.

use rustix::event::{PollFd, PollFlags, poll};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// A proxy on a free port that leads every tunnel to one server, whatever it was asked for. It ends when it is dropped.
#[derive(Debug)]
pub struct TlsProxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    stopping: Arc<AtomicBool>,
}

impl TlsProxy {
    /// Starts one with a certificate and its key.
    ///
    /// # Panics
    /// When no port is free, or the files are no certificate and key.
    #[must_use]
    pub fn start((certificate, key): &(PathBuf, PathBuf), target: String) -> Self {
        let certificates = vec![CertificateDer::from_pem_file(certificate).expect("a certificate")];
        let key = PrivateKeyDer::from_pem_file(key).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(certificates, key))
            .expect("a pair");
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (asked, stopping) = (Arc::new(Mutex::default()), Arc::new(AtomicBool::new(false)));
        let (noted, stop, config) = (Arc::clone(&asked), Arc::clone(&stopping), Arc::new(config));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (noted, config, target) = (Arc::clone(&noted), Arc::clone(&config), target.clone());
                // A client that goes away in the middle is no failure of the proxy.
                std::thread::spawn(move || {
                    stream.and_then(|stream| tunnel(stream, config, &target, &noted)).unwrap_or_default();
                });
            }
        });
        Self { address, asked, stopping }
    }

    /// Its address as variables of the environment have it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The first lines of the requests that came.
    ///
    /// # Panics
    /// When a thread of it has panicked.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }
}

impl Drop for TlsProxy {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // The connection wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
    }
}

fn tunnel(
    client: TcpStream,
    config: Arc<ServerConfig>,
    target: &str,
    noted: &Mutex<Vec<String>>,
) -> io::Result<()> {
    let tls = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut reader = BufReader::with_capacity(1, StreamOwned::new(tls, client));
    let mut line = String::new();
    reader.read_line(&mut line)?;
    noted.lock().expect("no panic").push(line.trim_end().to_owned());
    while !line.trim_end().is_empty() {
        line.clear();
        reader.read_line(&mut line)?;
    }
    let mut stream = reader.into_inner();
    stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
    let StreamOwned { conn, sock } = stream;
    pump(conn, sock, TcpStream::connect(target)?)
}

/// Passes on what comes from either side, until one has nothing more to say.
fn pump(mut tls: ServerConnection, mut client: TcpStream, mut server: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; 16 << 10];
    loop {
        while tls.wants_write() {
            tls.write_tls(&mut client)?;
        }
        let mut ready = [PollFd::new(&client, PollFlags::IN), PollFd::new(&server, PollFlags::IN)];
        poll(&mut ready, None)?;
        let (from_client, from_server) = (!ready[0].revents().is_empty(), !ready[1].revents().is_empty());
        if from_client {
            if tls.read_tls(&mut client)? == 0 {
                return Ok(());
            }
            let state = tls.process_new_packets().map_err(io::Error::other)?;
            let mut plain = vec![0; state.plaintext_bytes_to_read()];
            tls.reader().read_exact(&mut plain)?;
            server.write_all(&plain)?;
        }
        if from_server {
            match server.read(&mut buffer)? {
                0 => return Ok(()),
                count => tls.writer().write_all(&buffer[..count])?,
            }
        }
    }
}
