//! Lists of differences that are known: what fails, which clause it is about, and why.

use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// One thing that is known to fail.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// The test or the program that fails.
    pub test: String,
    /// The clause, by its id in the table or by document and heading.
    pub clause: String,
    /// What is done instead, or what is wrong with the program.
    pub because: String,
    /// Whether it passes at times, by a race that the reason names: both ends are as listed then.
    #[serde(default)]
    pub races: bool,
}

/// A checked-in list.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectations {
    /// What it was seen with.
    pub about: String,
    /// What is known to fail.
    #[serde(default, rename = "difference")]
    pub differences: Vec<Difference>,
}

impl Expectations {
    /// Reads a list from a file.
    ///
    /// # Errors
    /// It cannot be read or is wrong.
    pub fn load(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    /// Reads a list.
    ///
    /// # Errors
    /// It is no valid list, or names a test twice.
    pub fn parse(text: &str) -> Result<Self> {
        let list: Self = toml::from_str(text)?;
        let mut seen = BTreeMap::new();
        for difference in &list.differences {
            let before = seen.insert(&difference.test, ());
            anyhow::ensure!(before.is_none(), "{} is listed twice", difference.test);
        }
        Ok(list)
    }

    /// The entry for a test.
    #[must_use]
    pub fn of(&self, test: &str) -> Option<&Difference> {
        self.differences.iter().find(|difference| difference.test == test)
    }

    /// What is not as listed, in a sentence each. `passed` has every test that ran, and whether it passed.
    #[must_use]
    pub fn surprises<'a>(&self, passed: impl IntoIterator<Item = (&'a str, bool)>) -> Vec<String> {
        let outcomes: BTreeMap<&str, bool> = passed.into_iter().collect();
        let mut found: Vec<String> = outcomes
            .iter()
            .filter(|(test, passed)| !**passed && self.of(test).is_none())
            .map(|(test, _)| format!("{test} fails, which nobody expected"))
            .collect();
        for difference in self.differences.iter().filter(|difference| !difference.races) {
            if outcomes.get(difference.test.as_str()) == Some(&true) {
                found
                    .push(format!("{} passes, which nobody expected: take it off the list", difference.test));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::Expectations;

    const LIST: &str = "about = 'r'\n[[difference]]\ntest = 'a'\nclause = 'c'\nbecause = 'b'\n";

    #[test]
    fn a_race_may_end_either_way() {
        let list = Expectations::parse(&format!("{LIST}races = true\n")).expect("a list");
        assert!(list.surprises([("a", false)]).is_empty() && list.surprises([("a", true)]).is_empty());
    }

    #[test]
    fn what_is_as_listed_is_no_surprise() {
        let list = Expectations::parse(LIST).expect("a list");
        assert!(list.surprises([("a", false), ("b", true)]).is_empty());
    }

    #[test]
    fn a_failure_that_is_not_listed_is_a_surprise() {
        let list = Expectations::parse(LIST).expect("a list");
        assert_eq!(list.surprises([("a", false), ("b", false)]), ["b fails, which nobody expected"]);
    }

    #[test]
    fn a_listed_failure_that_passes_is_a_surprise() {
        let list = Expectations::parse(LIST).expect("a list");
        assert_eq!(list.surprises([("a", true)]).len(), 1);
    }

    #[test]
    fn what_did_not_run_is_no_surprise() {
        let list = Expectations::parse(LIST).expect("a list");
        assert!(list.surprises([("b", true)]).is_empty());
    }

    #[test]
    fn a_test_is_listed_once() {
        let twice = format!("{LIST}{}", LIST.split_once('\n').expect("two parts").1);
        assert!(Expectations::parse(&twice).is_err());
    }
}
