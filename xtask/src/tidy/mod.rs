//! The rules of the house that the compiler does not hold, checked over the text of the tree.
//!
//! A check is a pure function from a [`Tree`] to [`Finding`]s; only [`Tree::load`] touches the disk. Each check
//! has a test that shows it fail on a bad tree.

mod lexer;
mod manifests;
mod sources;
mod texts;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::{Context, Result};

/// The text files of a tree, by their path from its root.
#[derive(Debug, Default)]
pub struct Tree {
    files: BTreeMap<String, String>,
}

/// A place where a rule is broken.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Path from the root of the tree.
    pub path: String,
    /// Line, counted from 1; absent when the finding is about the file.
    pub line: Option<usize>,
    /// The rule, and what breaks it.
    pub message: String,
}

impl Tree {
    /// Reads every file that git tracks, or would track, and that is UTF-8 text.
    ///
    /// # Errors
    ///
    /// When git cannot list the files, or one of them cannot be read.
    pub fn load(root: &Path) -> Result<Self> {
        let mut tree = Self::default();
        for path in crate::files(root)? {
            let file = root.join(&path);
            if !file.is_file() {
                continue; // Deleted but not yet staged, or a symbolic link to a directory.
            }
            let bytes = std::fs::read(&file).with_context(|| format!("cannot read {path}"))?;
            if let Ok(text) = String::from_utf8(bytes) {
                tree.files.insert(path, text);
            }
        }
        Ok(tree)
    }

    /// The number of files.
    #[must_use]
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there is no file.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    fn with_ending(&self, ending: &str) -> impl Iterator<Item = (&str, &str)> {
        self.iter().filter(move |(path, _)| path.ends_with(ending))
    }

    fn get(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Whether the path is a file, or a directory with a file somewhere below it.
    fn has(&self, path: &str) -> bool {
        let directory = format!("{path}/");
        path.is_empty() || self.iter().any(|(file, _)| file == path || file.starts_with(&directory))
    }

    #[cfg(test)]
    fn of(files: &[(&str, &str)]) -> Self {
        Self { files: files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect() }
    }
}

impl Finding {
    fn file(path: &str, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: None, message: message.into() }
    }

    /// `index` counts lines from 0, as `enumerate` does.
    fn line(path: &str, index: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: Some(index + 1), message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path, self.message),
            None => write!(f, "{}: {}", self.path, self.message),
        }
    }
}

/// Runs every check; the findings are sorted by path and line.
#[must_use]
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    manifests::check(tree, &mut findings);
    sources::check(tree, &mut findings);
    texts::check(tree, &mut findings);
    findings.sort();
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_reads_like_a_compiler_message() {
        assert_eq!(Finding::line("a.rs", 4, "wrong").to_string(), "a.rs:5: wrong");
        assert_eq!(Finding::file("a.rs", "wrong").to_string(), "a.rs: wrong");
    }

    #[test]
    fn this_tree_is_loaded_with_its_untracked_files() {
        let tree = Tree::load(crate::workspace()).unwrap();
        assert!(tree.get("Cargo.toml").is_some());
        assert!(tree.has("xtask/src"));
        assert!(!tree.has("xtask/s"), "a directory is matched by whole names");
        assert!(tree.iter().all(|(path, _)| !path.starts_with("target/")));
    }
}
