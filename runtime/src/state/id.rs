//! The name of a container.

use std::fmt;

/// The most characters of an id, as runc has it.
const MAX_LENGTH: usize = 1024;

/// An id that is safe as a file name: 1 to 1,024 of `a-z A-Z 0-9 _ + - .`, and neither `.` nor `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerId(String);

/// Why a text is no container id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// It is empty.
    #[error("container id cannot be empty")]
    Empty,
    /// It is too long.
    #[error("invalid container id: {0} characters, at most {MAX_LENGTH} are allowed")]
    TooLong(usize),
    /// It is `.` or `..`.
    #[error("invalid container id {0:?}: it would name a directory outside the state root")]
    Dots(String),
    /// It has a character that is not allowed.
    #[error(
        "invalid container id {id:?}: the character {character:?} is not allowed; use a-z A-Z 0-9 _ + - ."
    )]
    Character {
        /// The id; long ones are cut.
        id: String,
        /// The first such character.
        character: char,
    },
}

impl ContainerId {
    /// Checks a text.
    ///
    /// # Errors
    /// [`IdError`] says what is wrong.
    pub fn new(text: &str) -> Result<Self, IdError> {
        if text.is_empty() {
            return Err(IdError::Empty);
        }
        if text.len() > MAX_LENGTH {
            return Err(IdError::TooLong(text.chars().count()));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-' | '.');
        if let Some(character) = text.chars().find(|c| !allowed(*c)) {
            return Err(IdError::Character { id: text.chars().take(64).collect(), character });
        }
        if text == "." || text == ".." {
            return Err(IdError::Dots(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_are_ids() {
        for id in ["a", "0", "web-1", "a.b_c+d", "..a", &"x".repeat(1024)] {
            assert_eq!(ContainerId::new(id).unwrap().as_str(), id);
        }
    }

    #[test]
    fn what_could_leave_the_state_root_or_a_line_is_refused() {
        for id in ["", ".", "..", "a/b", "../x", "a\nb", "a\0b", "a b", "ä", &"x".repeat(1025)] {
            assert!(ContainerId::new(id).is_err(), "{id:?}");
        }
    }
}
