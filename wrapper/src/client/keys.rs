//! The keys that leave a container running.

/// What is used if nothing else is said.
const DEFAULT: &str = "ctrl-p,ctrl-q";

/// Keys that are none.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("invalid detach keys {keys:?}: {key:?} is neither a letter nor ctrl- and one of a-z @ [ \\ ] ^ _")]
pub struct BadKeys {
    keys: String,
    key: String,
}

/// A row of keys that is looked for in what is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    wanted: Vec<u8>,
    seen: usize,
}

/// What was typed.
#[derive(Debug, PartialEq, Eq)]
pub struct Typed {
    /// For the container.
    pub text: Vec<u8>,
    /// Whether the person leaves.
    pub leaves: bool,
}

impl Keys {
    /// Reads `ctrl-p,ctrl-q`, `a,b` or the like; nothing is docker's default.
    ///
    /// # Errors
    /// [`BadKeys`].
    pub fn parse(text: &str) -> Result<Self, BadKeys> {
        let text = if text.is_empty() { DEFAULT } else { text };
        let key =
            |key: &str| byte_of(key).ok_or_else(|| BadKeys { keys: text.to_owned(), key: key.to_owned() });
        Ok(Self { wanted: text.split(',').map(key).collect::<Result<_, _>>()?, seen: 0 })
    }

    /// Takes what was typed. Keys that may be the beginning of the row are held until it is clear.
    pub fn take(&mut self, bytes: &[u8]) -> Typed {
        let mut text = Vec::with_capacity(bytes.len());
        for byte in bytes {
            if self.wanted.get(self.seen) != Some(byte) {
                text.extend_from_slice(&self.wanted[..self.seen]);
                self.seen = 0;
            }
            if self.wanted.get(self.seen) == Some(byte) {
                self.seen += 1;
            } else {
                text.push(*byte);
            }
            if self.seen == self.wanted.len() {
                return Typed { text, leaves: true };
            }
        }
        Typed { text, leaves: false }
    }
}

fn byte_of(key: &str) -> Option<u8> {
    match key.as_bytes() {
        [byte] if byte.is_ascii() => Some(*byte),
        [b'c', b't', b'r', b'l', b'-', byte] if matches!(byte, b'@'..=b'_' | b'a'..=b'z') => {
            Some(byte & 0x1f)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_docker_reads_them() {
        let keys = |text: &str| Keys::parse(text).map(|keys| keys.wanted);
        assert_eq!(keys(""), Ok(vec![16, 17]));
        assert_eq!(keys("ctrl-a,b,ctrl-@"), Ok(vec![1, b'b', 0]));
        assert_eq!(keys("ctrl-[,ctrl-\\"), Ok(vec![27, 28]));
        for bad in ["ctrl-", "ctrl-1", "ab", "a,,b", "ctrl-p,ü"] {
            assert!(Keys::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_row_that_is_not_whole_reaches_the_container() {
        let mut keys = Keys::parse("ctrl-p,ctrl-q").expect("keys");
        let typed = |text: &[u8], leaves| Typed { text: text.to_owned(), leaves };
        assert_eq!(keys.take(b"ab\x10"), typed(b"ab", false));
        assert_eq!(keys.take(b"c"), typed(b"\x10c", false));
        assert_eq!(keys.take(b"\x10\x10"), typed(b"\x10", false));
        assert_eq!(keys.take(b"\x11x"), typed(b"", true));
    }
}
