//! The tests, a module for each part of the specification. Their names stand in the table of clauses.

mod cgroups;
mod config;
mod devices;
mod features;
mod hooks;
mod kernel;
mod lifecycle;
mod mounts;
mod namespaces;
mod options;
mod process;
mod seccomp;
mod user;

use crate::case::Case;
use anyhow::Result;
use serde_json::Value;

/// What a test does with the case that it is given.
pub type Run = Box<dyn Fn(&Case<'_>) -> Result<()> + Sync + Send>;

/// One question to a runtime.
pub struct Test {
    /// Its name, unique and for ever: the table of clauses and the lists of differences use it.
    pub name: String,
    /// Asks it.
    pub run: Run,
}

impl std::fmt::Debug for Test {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

/// Lists functions as tests, each with its own name.
macro_rules! list {
    ($($function:ident),* $(,)?) => {
        /// The tests of this module.
        pub(super) fn tests() -> Vec<crate::suite::Test> {
            vec![$(crate::suite::Test { name: stringify!($function).to_owned(), run: Box::new($function) }),*]
        }
    };
}
use list;

/// Every test.
#[must_use]
pub fn tests() -> Vec<Test> {
    let modules = [
        lifecycle::tests,
        hooks::tests,
        config::tests,
        mounts::tests,
        options::tests,
        process::tests,
        user::tests,
        namespaces::tests,
        devices::tests,
        cgroups::tests,
        seccomp::tests,
        kernel::tests,
        features::tests,
    ];
    modules.iter().flat_map(|tests| tests()).collect()
}

/// Demands that what was found is what the specification wants.
///
/// # Errors
/// It is not; the message has both.
fn same(what: &str, found: &Value, wanted: impl Into<Value>) -> Result<()> {
    let wanted = wanted.into();
    anyhow::ensure!(*found == wanted, "{what} is {found}, and must be {wanted}");
    Ok(())
}

/// The mount at a point, the topmost one, in a report or an answer with `mounts`.
///
/// # Errors
/// Nothing is mounted there.
fn mount_at<'a>(report: &'a Value, point: &str) -> Result<&'a Value> {
    let mounts = report["mounts"].as_array().into_iter().flatten();
    mounts
        .rev()
        .find(|mount| mount["point"] == point)
        .ok_or_else(|| anyhow::anyhow!("nothing is mounted at {point}"))
}

/// Whether a list of words has one.
fn has(list: &Value, word: &str) -> bool {
    list.as_array().is_some_and(|words| words.iter().any(|found| found == word))
}
