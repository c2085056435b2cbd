//! The few parts of a URL that matter here, and what "the same server" means.

use std::fmt;

/// How a server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// With TLS.
    Https,
}

impl Scheme {
    /// Its name, as it stands before `://`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Scheme, host and port: credentials for one are not for another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// How it is spoken to.
    pub scheme: Scheme,
    /// Its name or address in lower case, IPv6 in brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl Origin {
    /// Whether the host is this machine by its name.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }

    /// Whether the host is an address and not a name.
    #[must_use]
    pub fn is_address(&self) -> bool {
        address(&self.host).is_some()
    }
}

/// Whether a host, without port, is this machine: `localhost`, 127.0.0.0/8 or `[::1]`.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let named = host == "localhost" || host.ends_with(".localhost");
    named || address(host).is_some_and(|address| address.is_loopback())
}

fn address(host: &str) -> Option<std::net::IpAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", self.scheme.name(), self.host)?;
        if self.port == self.scheme.default_port() { Ok(()) } else { write!(formatter, ":{}", self.port) }
    }
}

/// An absolute URL of HTTP. It has been checked to hold printable ASCII alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Url {
    /// The server.
    pub origin: Origin,
    /// Path and query, beginning with a slash.
    pub target: String,
}

/// A text that is no URL of HTTP.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no URL: {problem}")]
pub struct UrlError {
    text: String,
    problem: &'static str,
}

impl Url {
    /// Parses an absolute URL.
    ///
    /// # Errors
    /// [`UrlError`]: another scheme, a user or password in it, a bad host or port, a character that no URL has.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let wrong = |problem| UrlError { text: text.to_owned(), problem };
        if let Some(problem) = bad_character(text) {
            return Err(wrong(problem));
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("it has no scheme"))?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(wrong("its scheme is neither http nor https")),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let origin = origin(scheme, authority).map_err(wrong)?;
        Ok(Self { origin, target: target_of(target) })
    }

    /// A path on a server.
    #[must_use]
    pub fn on(origin: &Origin, target: &str) -> Self {
        Self { origin: origin.clone(), target: target_of(target) }
    }

    /// Where a `Location` leads, which may be relative to this.
    ///
    /// # Errors
    /// As for [`parse`](Self::parse).
    pub fn join(&self, location: &str) -> Result<Self, UrlError> {
        let before_path = location.split(['/', '?', '#']).next().unwrap_or_default();
        if before_path.contains(':') {
            return Self::parse(location);
        }
        if let Some(rest) = location.strip_prefix("//") {
            return Self::parse(&format!("{}://{rest}", self.origin.scheme.name()));
        }
        let path = self.target.split('?').next().unwrap_or_default();
        let target = match location.chars().next() {
            Some('/') => location.to_owned(),
            None | Some('?' | '#') => format!("{path}{location}"),
            Some(_) => format!("{}{location}", &path[..=path.rfind('/').unwrap_or_default()]),
        };
        match bad_character(&target) {
            Some(problem) => Err(UrlError { text: location.to_owned(), problem }),
            None => Ok(Self::on(&self.origin, &target)),
        }
    }

    /// With one more parameter; the value is escaped.
    #[must_use]
    pub fn with_query(mut self, name: &str, value: &str) -> Self {
        self.target.push(if self.target.contains('?') { '&' } else { '?' });
        self.target.push_str(name);
        self.target.push('=');
        self.target.push_str(&escape(value));
        self
    }
}

impl fmt::Display for Url {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.origin, self.target)
    }
}

/// The fragment is the client's own, and an empty path is a slash.
fn target_of(text: &str) -> String {
    let text = text.split('#').next().unwrap_or_default();
    if text.starts_with('/') { text.to_owned() } else { format!("/{text}") }
}

fn bad_character(text: &str) -> Option<&'static str> {
    let bad = |byte: u8| !byte.is_ascii_graphic() || b"\"<>\\^`{|}".contains(&byte);
    text.bytes().any(bad).then_some("it has a character that has to be escaped")
}

fn origin(scheme: Scheme, authority: &str) -> Result<Origin, &'static str> {
    if authority.contains('@') {
        return Err("a user name or password cannot be in it");
    }
    let (host, port) = match authority.rfind(':') {
        Some(colon) if !authority[colon..].contains(']') => (&authority[..colon], &authority[colon + 1..]),
        _ => (authority, ""),
    };
    let port = match port {
        "" => scheme.default_port(),
        text => text.parse().map_err(|_| "its port is no number up to 65535")?,
    };
    let name = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    let bracketed = host.starts_with('[') && host.ends_with(']') && address(host).is_some();
    if host.is_empty() || !(bracketed || host.chars().all(name)) {
        return Err("its host is neither a name nor an address");
    }
    Ok(Origin { scheme, host: host.to_ascii_lowercase(), port })
}

/// The value with everything escaped that is not plain in a query.
#[must_use]
pub fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte))
            }
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect(text)
    }

    #[test]
    fn the_parts_of_a_url_are_found() {
        let found = url("HTTPS://Host.example:8443/a/b?c=d#e");
        assert_eq!(found.origin.to_string(), "https://host.example:8443");
        assert_eq!(found.target, "/a/b?c=d");
        assert_eq!(url("http://h").to_string(), "http://h/");
        assert_eq!(url("http://h:80").origin, url("http://h/x").origin);
        assert_eq!(url("http://[::1]:5000/x").origin.host, "[::1]");
        assert_eq!(url("https://h?x").target, "/?x");
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for text in [
            "h/x",
            "ftp://h",
            "http://",
            "http://u:p@h/",
            "http://h:99999/",
            "http://h:x/",
            "http://h/a b",
            "http://h/\r\nX: y",
            "http://[::1",
            "http://h_/{}",
        ] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_location_may_be_relative() {
        let base = url("https://h:1/v2/a/blobs/uploads/?x=1");
        for (location, joined) in [
            ("http://o/p", "http://o/p"),
            ("//o/p", "https://o/p"),
            ("/p?q", "https://h:1/p?q"),
            ("p", "https://h:1/v2/a/blobs/uploads/p"),
            ("?y=2", "https://h:1/v2/a/blobs/uploads/?y=2"),
            ("", "https://h:1/v2/a/blobs/uploads/"),
        ] {
            assert_eq!(base.join(location).expect(location).to_string(), joined);
        }
        assert!(base.join("/a\nb").is_err());
        assert!(base.join("file:///etc/passwd").is_err());
    }

    #[test]
    fn this_machine_is_known_by_its_names() {
        for host in ["localhost", "127.0.0.1", "127.1.2.3", "[::1]", "a.localhost"] {
            assert!(is_loopback(host), "{host}");
        }
        assert!(!is_loopback("127.0.0.1.example") && !is_loopback("10.0.0.1"));
    }

    #[test]
    fn values_of_a_query_are_escaped() {
        let asked = url("https://h/t?a=b").with_query("scope", "repository:a/b:pull,push");
        assert_eq!(asked.target, "/t?a=b&scope=repository%3Aa%2Fb%3Apull%2Cpush");
    }
}
