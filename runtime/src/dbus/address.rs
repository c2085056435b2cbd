//! Where a bus listens (D-Bus Specification, Server Addresses).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// A socket of the local machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// In the file system.
    Path(PathBuf),
    /// In the network namespace's abstract names.
    Abstract(Vec<u8>),
}

/// Why an address cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Its transport is no Unix socket.
    #[error("{0:?} is no unix:path= or unix:abstract= address")]
    Transport(String),
    /// A `%` is not followed by two hexadecimal digits.
    #[error("{0:?} has a wrong escape; a byte is written as %xx")]
    Escape(String),
    /// There is no address.
    #[error("the address is empty")]
    Empty,
}

impl Address {
    /// The sockets of a list of addresses, separated by `;`.
    ///
    /// # Errors
    /// [`AddressError`] where none of them can be used.
    pub fn parse_list(list: &str) -> Result<Vec<Self>, AddressError> {
        let mut refused = AddressError::Empty;
        let mut usable = Vec::new();
        for one in list.split(';').filter(|one| !one.is_empty()) {
            match Self::parse(one) {
                Ok(address) => usable.push(address),
                Err(error) => refused = error,
            }
        }
        if usable.is_empty() { Err(refused) } else { Ok(usable) }
    }

    fn parse(text: &str) -> Result<Self, AddressError> {
        let transport = || AddressError::Transport(text.into());
        let keys = text.strip_prefix("unix:").ok_or_else(transport)?;
        let of = |key: &str| keys.split(',').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
        match (of("path"), of("abstract")) {
            (Some(path), _) => Ok(Self::Path(OsString::from_vec(unescape(path)?).into())),
            (None, Some(name)) => Ok(Self::Abstract(unescape(name)?)),
            (None, None) => Err(transport()),
        }
    }
}

fn unescape(text: &str) -> Result<Vec<u8>, AddressError> {
    let wrong = || AddressError::Escape(text.into());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        rest = others;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok()).ok_or_else(wrong)?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| wrong())?);
        rest = &rest[2..];
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sockets_of_a_list_are_found() {
        let list = "tcp:host=localhost,port=1;unix:path=/run/a%20b,guid=12;unix:abstract=/tmp/dbus-x;";
        let found = Address::parse_list(list);
        let wanted = vec![Address::Path("/run/a b".into()), Address::Abstract(b"/tmp/dbus-x".to_vec())];
        assert_eq!(found, Ok(wanted));
    }

    #[test]
    fn what_is_no_socket_is_refused_by_name() {
        let error = |text: &str| Address::parse_list(text).unwrap_err();
        assert_eq!(error(""), AddressError::Empty);
        assert_eq!(error("tcp:host=x"), AddressError::Transport("tcp:host=x".into()));
        assert_eq!(error("unix:path=/a%2"), AddressError::Escape("/a%2".into()));
        assert_eq!(error("unix:path=/a%zz"), AddressError::Escape("/a%zz".into()));
    }
}
