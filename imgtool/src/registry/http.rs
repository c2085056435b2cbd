//! One request and its answer: connections that are kept, TLS, proxies. What an answer means is not judged here.

use super::hosts::{Hosts, HostsError};
use super::tls::{TlsError, TlsOptions};
use super::url::{Origin, Scheme, Url};
use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use ureq::http;
use ureq::{Agent, Proxy, ProxyProtocol, SendBody};

/// How long a connection may take to be made, or to bring a byte.
const PATIENCE: Duration = Duration::from_secs(60);

/// A method of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// What is sent with a request.
pub enum Body<'a> {
    /// Nothing.
    None,
    /// These bytes.
    Bytes(&'a [u8]),
    /// This many bytes of a source.
    Reader(&'a mut dyn Read, u64),
}

/// A request.
pub struct Request<'a> {
    /// What is to be done.
    pub method: Method,
    /// Where.
    pub url: Url,
    /// Beside those that every request has.
    pub headers: Vec<(&'static str, String)>,
    /// Of the configuration.
    pub more_headers: &'a [(String, String)],
    /// What is sent.
    pub body: Body<'a>,
}

impl Request<'_> {
    /// A request of nothing but a method and a URL.
    #[must_use]
    pub fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: Vec::new(), more_headers: &[], body: Body::None }
    }
}

/// An answer; its body is still on its way.
pub struct Response {
    /// The status.
    pub status: u16,
    /// Where it came from.
    pub url: Url,
    headers: http::HeaderMap,
    body: ureq::BodyReader<'static>,
}

impl Response {
    /// A header's first value, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// All values of a header; bytes that are no text become question marks.
    #[must_use]
    pub fn headers(&self, name: &str) -> Vec<String> {
        let values = self.headers.get_all(name).iter();
        values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
    }

    /// The length that it says to have, in bytes.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.header("content-length")?.trim().parse().ok()
    }

    /// What comes.
    pub fn body(&mut self) -> &mut dyn Read {
        &mut self.body
    }

    /// Everything that comes, up to `limit` bytes; `None` if it is more.
    ///
    /// # Errors
    /// What the connection says.
    pub fn read(&mut self, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        (&mut self.body).take(limit + 1).read_to_end(&mut bytes)?;
        Ok((bytes.len() as u64 <= limit).then_some(bytes))
    }

    /// Reads what is left, if it is little, so that the connection can be used again.
    pub fn drain(mut self) {
        // A body that fails here was not wanted.
        io::copy(&mut (&mut self.body).take(64 << 10), &mut io::sink()).unwrap_or_default();
    }
}

impl std::fmt::Debug for Response {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} from {}", self.status, self.url)
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The kernel, or the C library of a name.
    #[error("cannot reach {origin}")]
    Io {
        /// The server.
        origin: Origin,
        /// Why.
        source: io::Error,
    },
    /// The connection, or what came over it.
    #[error("cannot reach {origin}")]
    Connection {
        /// The server.
        origin: Origin,
        /// Why.
        source: Box<ureq::Error>,
    },
    /// TLS as it is configured is not possible.
    #[error("cannot speak TLS with {origin}")]
    Tls {
        /// The server.
        origin: Origin,
        /// Why.
        source: TlsError,
    },
    /// The configuration of the server cannot be read.
    #[error(transparent)]
    Hosts(#[from] HostsError),
    /// The proxy that the environment names cannot be used.
    #[error("the environment names a proxy ({variable}) that cannot be used")]
    Proxy {
        /// Which variable.
        variable: &'static str,
        /// Why.
        source: Box<ureq::Error>,
    },
}

impl HttpError {
    fn of(error: ureq::Error, origin: &Origin) -> Self {
        let origin = origin.clone();
        match error {
            ureq::Error::Io(source) => Self::Io { origin, source },
            other => Self::Connection { origin, source: Box::new(other) },
        }
    }

    /// Whether another attempt may go better: yes for a connection that broke, no for a certificate that is not trusted.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Io { source, .. } => is_transient(source),
            Self::Connection { source, .. } => matches!(
                **source,
                ureq::Error::Timeout(_) | ureq::Error::Protocol(_) | ureq::Error::ConnectionFailed
            ),
            _ => false,
        }
    }
}

/// Invalid data is what TLS cannot make sense of, or a certificate that is not trusted. That a name does not exist has no
/// kind of its own, only std's words and the C library's.
fn is_transient(error: &io::Error) -> bool {
    let unknown_name = || error.to_string().ends_with("Name or service not known");
    !matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::InvalidData) && !unknown_name()
}

/// The proxies that the environment names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Proxies {
    /// For plain HTTP: `http_proxy`; the upper-case name is not read where a CGI program would get it from a request.
    pub http: Option<(&'static str, String)>,
    /// For TLS: `HTTPS_PROXY`.
    pub https: Option<(&'static str, String)>,
    /// Hosts that are asked without a proxy: `NO_PROXY`.
    pub no_proxy: Vec<String>,
}

impl Proxies {
    /// What the environment says; small letters go before large ones, as with curl.
    #[must_use]
    pub fn probe() -> Self {
        let find = |names: &[&'static str]| {
            let found = names.iter().map(|name| (*name, std::env::var(name).unwrap_or_default()));
            found.into_iter().find(|(_, value)| !value.is_empty())
        };
        let is_cgi = std::env::var_os("REQUEST_METHOD").is_some();
        let http: &[&str] = if is_cgi {
            &["http_proxy", "all_proxy"]
        } else {
            &["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]
        };
        let no_proxy = find(&["no_proxy", "NO_PROXY"]).map(|(_, list)| list).unwrap_or_default();
        Self {
            http: find(http),
            https: find(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
            no_proxy: no_proxy
                .split(',')
                .map(|host| host.trim().to_ascii_lowercase())
                .filter(|host| !host.is_empty())
                .collect(),
        }
    }

    /// The proxy for a server; none for this machine.
    #[must_use]
    pub fn of(&self, origin: &Origin) -> Option<&(&'static str, String)> {
        if origin.is_loopback() || self.no_proxy.iter().any(|pattern| excludes(pattern, origin)) {
            return None;
        }
        match origin.scheme {
            Scheme::Http => self.http.as_ref(),
            Scheme::Https => self.https.as_ref(),
        }
    }
}

/// Whether an entry of `NO_PROXY` is about a server: `*`, a host with or without port, a domain, or a network.
fn excludes(pattern: &str, origin: &Origin) -> bool {
    let bare = origin.host.trim_start_matches('[').trim_end_matches(']');
    if pattern == "*" || pattern == origin.host || pattern == bare {
        return true;
    }
    if pattern == format!("{}:{}", origin.host, origin.port) {
        return true;
    }
    if let (Some((network, length)), Ok(address)) = (pattern.split_once('/'), bare.parse()) {
        return in_network(network, length, address).unwrap_or(false);
    }
    let domain = pattern.trim_start_matches('*').trim_start_matches('.');
    !domain.is_empty() && bare.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

fn in_network(network: &str, length: &str, address: std::net::IpAddr) -> Option<bool> {
    use std::net::IpAddr;
    let (network, length): (IpAddr, u32) = (network.parse().ok()?, length.parse().ok()?);
    Some(match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32_u32.checked_sub(length)?).unwrap_or(0);
            network.to_bits() & mask == address.to_bits() & mask
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(128_u32.checked_sub(length)?).unwrap_or(0);
            network.to_bits() & mask == address.to_bits() & mask
        }
        _ => false,
    })
}

/// A way of speaking: certificates, the proxy, and whether with TLS.
type Manner = (TlsOptions, Option<String>, Scheme);

/// Connections to servers.
#[derive(Debug)]
pub struct Http {
    hosts: Arc<Hosts>,
    proxies: Proxies,
    /// One for each way of speaking; connections are kept in it.
    agents: Mutex<HashMap<Manner, Agent>>,
}

impl Http {
    /// No connections yet.
    #[must_use]
    pub fn new(hosts: Arc<Hosts>, proxies: Proxies) -> Self {
        Self { hosts, proxies, agents: Mutex::default() }
    }

    /// Sends a request; a redirect is an answer like others. `tls` is how the server's certificate is judged, if that is
    /// known; else the configuration of its host counts.
    ///
    /// # Errors
    /// [`HttpError`].
    pub fn send(&self, request: Request<'_>, tls: Option<&TlsOptions>) -> Result<Response, HttpError> {
        let agent = self.agent(&request.url.origin, tls)?;
        let url = request.url.clone();
        let failed = |error| HttpError::of(error, &url.origin);
        let built = build(&request).map_err(|error| failed(error.into()))?;
        let response = match request.body {
            Body::None if matches!(request.method, Method::Post | Method::Put | Method::Patch) => {
                agent.run(built.map(|()| SendBody::none()))
            }
            Body::None => agent.run(built),
            Body::Bytes(mut bytes) => agent.run(built.map(|()| SendBody::from_reader(&mut bytes))),
            Body::Reader(mut reader, _) => agent.run(built.map(|()| SendBody::from_reader(&mut reader))),
        };
        let (parts, body) = response.map_err(failed)?.into_parts();
        let body = body.into_with_config().limit(u64::MAX).reader();
        Ok(Response { status: parts.status.as_u16(), headers: parts.headers, url: request.url, body })
    }

    fn agent(&self, origin: &Origin, tls: Option<&TlsOptions>) -> Result<Agent, HttpError> {
        let tls = match (origin.scheme, tls) {
            (Scheme::Http, _) => TlsOptions::default(),
            (Scheme::Https, Some(tls)) => tls.clone(),
            (Scheme::Https, None) => self.hosts.tls_for(origin)?,
        };
        let proxy = self.proxies.of(origin);
        let key = (tls, proxy.map(|(_, proxy)| proxy.clone()), origin.scheme);
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = agents.get(&key) {
            return Ok(agent.clone());
        }
        let agent = new_agent(origin, &key.0, proxy)?;
        agents.insert(key, agent.clone());
        Ok(agent)
    }
}

fn new_agent(
    origin: &Origin,
    tls: &TlsOptions,
    proxy: Option<&(&'static str, String)>,
) -> Result<Agent, HttpError> {
    let proxy = match proxy {
        None => None,
        Some((variable, address)) => {
            let parsed = Proxy::new(address);
            Some(parsed.map_err(|source| HttpError::Proxy { variable, source: Box::new(source) })?)
        }
    };
    let proxy_speaks_tls = proxy.as_ref().is_some_and(|proxy| proxy.protocol() == ProxyProtocol::Https);
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(proxy)
        .timeout_resolve(Some(PATIENCE))
        .timeout_connect(Some(PATIENCE / 2))
        .timeout_per_read(Some(PATIENCE))
        .timeout_per_write(Some(PATIENCE))
        .max_idle_connections_per_host(8)
        .user_agent(concat!("mydocker-img/", env!("CARGO_PKG_VERSION")))
        // The digest is that of the bytes as they are stored.
        .accept_encoding("identity");
    // A proxy that speaks TLS is judged as the server behind it, or by what the system trusts if that speaks none.
    if origin.scheme == Scheme::Https || proxy_speaks_tls {
        let loaded = tls.load().map_err(|source| HttpError::Tls { origin: origin.clone(), source })?;
        config = config.tls_config(loaded);
    }
    Ok(config.build().new_agent())
}

fn build(request: &Request<'_>) -> Result<http::Request<()>, http::Error> {
    let mut builder = http::Request::builder().method(request.method.name()).uri(request.url.to_string());
    for (name, value) in &request.headers {
        builder = builder.header(*name, value);
    }
    for (name, value) in request.more_headers {
        builder = builder.header(name, value);
    }
    match &request.body {
        Body::None if request.method == Method::Post || request.method == Method::Put => {
            builder = builder.header("content-length", "0");
        }
        Body::None => {}
        Body::Bytes(bytes) => builder = builder.header("content-length", bytes.len()),
        Body::Reader(_, length) => builder = builder.header("content-length", *length),
    }
    builder.body(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Origin {
        Url::parse(text).expect(text).origin
    }

    fn proxies(no_proxy: &str) -> Proxies {
        Proxies {
            http: Some(("http_proxy", "http://p:1".to_owned())),
            https: Some(("https_proxy", "http://p:2".to_owned())),
            no_proxy: no_proxy.split(',').map(str::to_owned).collect(),
        }
    }

    #[test]
    fn each_scheme_has_its_proxy_and_this_machine_none() {
        let proxies = proxies("");
        assert_eq!(proxies.of(&origin("http://h")), proxies.http.as_ref());
        assert_eq!(proxies.of(&origin("https://h")), proxies.https.as_ref());
        assert_eq!(proxies.of(&origin("https://localhost:5000")), None);
    }

    #[test]
    fn no_proxy_has_hosts_domains_ports_and_networks() {
        let excluded = proxies("a.io,.b.io,*.c.io,d.io:5000,10.0.0.0/8,fd00::/8,192.168.1.1");
        for url in [
            "https://a.io",
            "https://x.a.io",
            "https://x.b.io",
            "https://x.y.c.io",
            "https://d.io:5000",
            "https://10.1.2.3",
            "https://[fd00::1]",
            "https://192.168.1.1:1",
        ] {
            assert_eq!(excluded.of(&origin(url)), None, "{url}");
        }
        for url in ["https://xa.io", "https://d.io", "https://11.1.2.3", "https://[fe00::1]"] {
            assert!(excluded.of(&origin(url)).is_some(), "{url}");
        }
        assert_eq!(proxies("*").of(&origin("https://h")), None);
    }
}
