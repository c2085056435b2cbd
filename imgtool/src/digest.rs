//! Digests: what names a blob, and what proves it.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Digest as _;
use std::fmt;
use std::io::{self, Read};

/// How much is read at once, in bytes.
const BUFFER: usize = 256 << 10;

/// A hash function that a digest may be made with (image-spec, descriptor.md, "Registered Algorithms").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256, which every implementation must know.
    Sha256,
    /// SHA-512, which an implementation may know.
    Sha512,
}

impl Algorithm {
    /// Its name, as it stands before the colon.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// How many hexadecimal digits stand after the colon.
    #[must_use]
    pub fn hex_length(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Sha256, Self::Sha512].into_iter().find(|algorithm| algorithm.name() == name)
    }
}

/// A digest in its canonical form, `sha256:` and 64 lower-case hexadecimal digits, say.
///
/// Since it was parsed, its two parts are safe as the components of a path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    text: Box<str>,
    algorithm: Algorithm,
}

/// A text that is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// There is no colon in it.
    #[error("digest {0:?} lacks the algorithm, such as 'sha256:', before its hexadecimal digits")]
    NoAlgorithm(String),
    /// The algorithm is neither of those that are supported.
    #[error("digest {text:?} is made with {name:?}; supported are sha256 and sha512")]
    UnknownAlgorithm {
        /// The whole digest.
        text: String,
        /// The part before the colon.
        name: String,
    },
    /// The digits are too few or too many.
    #[error("digest {text:?} has {found} characters after the colon; {algorithm} has {expected}", algorithm = algorithm.name())]
    Length {
        /// The whole digest.
        text: String,
        /// Its algorithm.
        algorithm: Algorithm,
        /// The characters after the colon.
        found: usize,
        /// The hexadecimal digits that the algorithm has.
        expected: usize,
    },
    /// A character that is no lower-case hexadecimal digit.
    #[error(
        "digest {text:?} has {character:?} at position {position}, which is no lower-case hexadecimal digit"
    )]
    Character {
        /// The whole digest.
        text: String,
        /// The character.
        character: char,
        /// Where it is, in characters, counted from 1.
        position: usize,
    },
}

impl Digest {
    /// Parses `sha256:...` or `sha512:...`.
    ///
    /// # Errors
    /// [`DigestError`] says what does not fit; upper-case digits do not, as digests are compared as text everywhere.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        let (name, hex) = text.split_once(':').ok_or_else(|| DigestError::NoAlgorithm(text.to_owned()))?;
        let algorithm = Algorithm::named(name)
            .ok_or_else(|| DigestError::UnknownAlgorithm { text: text.to_owned(), name: name.to_owned() })?;
        let is_digit = |c: char| matches!(c, '0'..='9' | 'a'..='f');
        if let Some((at, character)) = hex.chars().enumerate().find(|(_, c)| !is_digit(*c)) {
            let position = name.len() + 2 + at;
            return Err(DigestError::Character { text: text.to_owned(), character, position });
        }
        if hex.len() != algorithm.hex_length() {
            let (found, expected) = (hex.len(), algorithm.hex_length());
            return Err(DigestError::Length { text: text.to_owned(), algorithm, found, expected });
        }
        Ok(Self { text: text.into(), algorithm })
    }

    /// The digest of `bytes`.
    #[must_use]
    pub fn of(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    /// The digest of all that a reader gives.
    ///
    /// # Errors
    /// That of the reader.
    pub fn read(algorithm: Algorithm, mut reader: impl Read) -> io::Result<Self> {
        let mut hasher = Hasher::new(algorithm);
        let mut buffer = vec![0; BUFFER];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(hasher.finish()),
                Ok(count) => hasher.update(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The SHA-256 digest of `bytes`.
    #[must_use]
    pub fn sha256(bytes: &[u8]) -> Self {
        Self::of(Algorithm::Sha256, bytes)
    }

    /// What it was made with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The hexadecimal digits after the colon.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.text[self.algorithm.name().len() + 1..]
    }

    /// The first twelve digits, by which people call an image.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.hex()[..12]
    }

    /// The whole, as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn from_bytes(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut text = String::with_capacity(algorithm.name().len() + 1 + algorithm.hex_length());
        text.push_str(algorithm.name());
        text.push(':');
        for byte in bytes {
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
            }
        }
        Self { text: text.into(), algorithm }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl std::str::FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        Self::parse(text)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Makes a digest of bytes that come in pieces.
#[derive(Clone)]
pub enum Hasher {
    /// The state of SHA-256.
    Sha256(sha2::Sha256),
    /// The state of SHA-512.
    Sha512(sha2::Sha512),
}

impl Hasher {
    /// A hasher that has seen nothing.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(sha2::Sha512::new()),
        }
    }

    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(state) => state.update(bytes),
            Self::Sha512(state) => state.update(bytes),
        }
    }

    /// The digest of everything that was taken in.
    #[must_use]
    pub fn finish(self) -> Digest {
        match self {
            Self::Sha256(state) => Digest::from_bytes(Algorithm::Sha256, &state.finalize()),
            Self::Sha512(state) => Digest::from_bytes(Algorithm::Sha512, &state.finalize()),
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Sha256(_) => "Sha256",
            Self::Sha512(_) => "Sha512",
        };
        formatter.debug_tuple("Hasher").field(&name).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn the_digest_of_nothing_is_the_known_one() {
        assert_eq!(Digest::sha256(b"").as_str(), EMPTY);
        let sha512 = Digest::of(Algorithm::Sha512, b"");
        assert!(sha512.as_str().starts_with("sha512:cf83e1357eefb8bd"), "{sha512}");
        assert_eq!(Digest::parse(sha512.as_str()), Ok(sha512));
    }

    #[test]
    fn the_parts_of_a_digest_are_found() {
        let digest = Digest::parse(EMPTY).expect("a digest");
        assert_eq!((digest.algorithm(), digest.hex().len()), (Algorithm::Sha256, 64));
        assert_eq!(digest.short(), "e3b0c44298fc");
    }

    #[test]
    fn what_is_no_digest_is_refused_with_its_fault() {
        let wrong = |text: &str| Digest::parse(text).expect_err(text).to_string();
        assert!(wrong("abc").contains("lacks the algorithm"));
        assert!(wrong("md5:abc").contains("\"md5\""));
        assert!(wrong("sha256:abc").contains("has 3 characters"));
        assert!(wrong(&EMPTY.to_uppercase()).contains("SHA256"));
        let upper = EMPTY.replace("e3b0", "E3b0");
        assert!(wrong(&upper).contains("'E' at position 8"), "{}", wrong(&upper));
        assert!(wrong("sha256:../../etc").contains("'.' at position 8"));
    }

    #[test]
    fn a_hasher_takes_pieces() {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(b"ab");
        hasher.update(b"c");
        assert_eq!(hasher.finish(), Digest::sha256(b"abc"));
    }
}
