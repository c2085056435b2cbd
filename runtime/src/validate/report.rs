//! What was found wrong, by JSON pointer.

use crate::spec::escape;
use std::fmt;

/// One mistake in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The place, a JSON pointer (RFC 6901).
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
    /// What would be right.
    pub hint: String,
}

/// Something that is ignored or read generously, and that the person should hear of (runtime.md, Warnings).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The place, a JSON pointer (RFC 6901).
    pub pointer: String,
    /// What was found, and what was made of it.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.pointer, self.message)
    }
}

/// Everything that is wrong with a document; never empty.
///
/// It displays as one line: the first mistake, and how many more there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    mistakes: Vec<Mistake>,
}

impl Error {
    /// All mistakes, in the order of the checks.
    #[must_use]
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.mistakes.first() else { return f.write_str("not valid") };
        write!(f, "{}: {}; {}", first.pointer, first.message, first.hint)?;
        match self.mistakes.len() - 1 {
            0 => Ok(()),
            more => write!(f, " (and {more} more)"),
        }
    }
}

/// A place in the document: a chain on the stack, so that a document without mistakes costs no text.
#[derive(Debug, Clone, Copy)]
pub(super) struct At<'a> {
    parent: Option<&'a At<'a>>,
    token: Token<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Token<'a> {
    /// A whole pointer, written already.
    Prefix(&'a str),
    Key(&'a str),
    Index(usize),
}

impl<'a> At<'a> {
    /// The place that `pointer` names; empty for the whole document.
    pub(super) const fn new(pointer: &'a str) -> Self {
        Self { parent: None, token: Token::Prefix(pointer) }
    }

    /// The member `key` of the object here.
    pub(super) const fn key<'b>(&'b self, key: &'b str) -> At<'b> {
        At { parent: Some(self), token: Token::Key(key) }
    }

    /// The element `index` of the list here.
    pub(super) const fn index(&self, index: usize) -> At<'_> {
        At { parent: Some(self), token: Token::Index(index) }
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.token {
            Token::Prefix(pointer) => f.write_str(pointer),
            Token::Key(key) => write!(f, "/{}", escape(key)),
            Token::Index(index) => write!(f, "/{index}"),
        }
    }
}

/// Where the checks put what they find.
#[derive(Debug, Default)]
pub(super) struct Report {
    mistakes: Vec<Mistake>,
    warnings: Vec<Warning>,
}

impl Report {
    /// Notes a mistake.
    pub(super) fn refuse(&mut self, at: At<'_>, message: impl Into<String>, hint: impl Into<String>) {
        self.mistakes.push(Mistake { pointer: at.to_string(), message: message.into(), hint: hint.into() });
    }

    /// Notes something that is not refused.
    pub(super) fn warn(&mut self, at: At<'_>, message: impl Into<String>) {
        self.warnings.push(Warning { pointer: at.to_string(), message: message.into() });
    }

    /// The value and the warnings, if nothing was refused.
    pub(super) fn finish<T>(self, value: T) -> Result<(T, Vec<Warning>), Error> {
        if self.mistakes.is_empty() {
            Ok((value, self.warnings))
        } else {
            Err(Error { mistakes: self.mistakes })
        }
    }

    /// Refuses what is not an absolute path without NUL; says whether it was one.
    pub(super) fn absolute(&mut self, at: At<'_>, path: &str) -> bool {
        if !path.starts_with('/') {
            self.refuse(at, format!("{path:?} is not an absolute path"), "begin it with /");
            return false;
        }
        self.no_nul(at, path)
    }

    /// A label or a profile; empty for none.
    pub(super) fn label(&mut self, at: At<'_>, text: &str) -> Option<String> {
        self.no_nul(at, text);
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// Refuses text that the kernel would cut at a NUL; says whether there is none.
    pub(super) fn no_nul(&mut self, at: At<'_>, text: &str) -> bool {
        let clean = !text.contains('\0');
        if !clean {
            self.refuse(at, "it contains a NUL byte", "the kernel would cut the text there; remove the byte");
        }
        clean
    }
}
