//! The table of clauses: what the specification demands, where it says so, and which tests ask for it.
//!
//! Each file in `conformance/clauses/` stands for one document of the specification. A clause is a sentence or an entry
//! of a list in which one of the words of RFC 2119 stands, said here in other words. It has tests, or the reason why
//! it has none.

use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The documents, in the order in which they are reported.
const DOCUMENTS: [&str; 8] = [
    include_str!("../clauses/bundle.toml"),
    include_str!("../clauses/runtime.toml"),
    include_str!("../clauses/runtime-linux.toml"),
    include_str!("../clauses/config.toml"),
    include_str!("../clauses/config-linux.toml"),
    include_str!("../clauses/features.toml"),
    include_str!("../clauses/features-linux.toml"),
    include_str!("../clauses/glossary.toml"),
];

/// One document of the specification.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Its name, such as `runtime.md`.
    pub file: String,
    /// Its headings that demand something.
    #[serde(rename = "section")]
    pub sections: Vec<Section>,
}

/// What stands below one heading.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// The heading.
    pub heading: String,
    /// Its clauses, in their order.
    pub clauses: Vec<Clause>,
}

/// How much a clause demands, by the words of RFC 2119.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum Level {
    /// MUST, REQUIRED.
    #[serde(rename = "MUST")]
    Must,
    /// MUST NOT.
    #[serde(rename = "MUST NOT")]
    MustNot,
    /// SHOULD, RECOMMENDED.
    #[serde(rename = "SHOULD")]
    Should,
    /// SHOULD NOT, NOT RECOMMENDED.
    #[serde(rename = "SHOULD NOT")]
    ShouldNot,
    /// MAY, OPTIONAL.
    #[serde(rename = "MAY")]
    May,
}

impl Level {
    /// The words of RFC 2119.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Must => "MUST",
            Self::MustNot => "MUST NOT",
            Self::Should => "SHOULD",
            Self::ShouldNot => "SHOULD NOT",
            Self::May => "MAY",
        }
    }
}

/// One demand.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clause {
    /// Its name in reports and in the lists of expected differences; unique.
    pub id: String,
    /// How much it demands.
    pub level: Level,
    /// What it demands, in short.
    pub gist: String,
    /// How many of the words of RFC 2119 of the document it stands for, so that they can be counted.
    #[serde(default = "one")]
    pub covers: u32,
    /// The tests that ask for it.
    #[serde(default)]
    pub tests: Vec<String>,
    /// Why no test can, or need, ask for it.
    pub reason: Option<String>,
}

fn one() -> u32 {
    1
}

/// The whole table.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its documents.
    pub documents: Vec<Document>,
}

/// How many clauses there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coverage {
    /// All of them.
    pub clauses: usize,
    /// Those with a test.
    pub tested: usize,
    /// Those with a reason why they have none.
    pub reasoned: usize,
}

impl Table {
    /// The table of this crate.
    ///
    /// # Errors
    /// A file of it is wrong.
    pub fn load() -> Result<Self> {
        Self::parse(&DOCUMENTS)
    }

    /// Reads a table.
    ///
    /// # Errors
    /// A document is no valid TOML, an id is used twice, or a clause has not exactly one of tests and a reason.
    pub fn parse(documents: &[&str]) -> Result<Self> {
        let documents: Vec<Document> = documents
            .iter()
            .map(|text| toml::from_str(text).context("a document of clauses"))
            .collect::<Result<_>>()?;
        let table = Self { documents };
        let mut ids = BTreeSet::new();
        for (document, _, clause) in table.clauses() {
            anyhow::ensure!(ids.insert(&clause.id), "{}: the id {} is used twice", document.file, clause.id);
            anyhow::ensure!(
                clause.tests.is_empty() == clause.reason.is_some(),
                "{}: {} needs either tests or a reason",
                document.file,
                clause.id
            );
        }
        Ok(table)
    }

    /// All clauses with where they stand.
    pub fn clauses(&self) -> impl Iterator<Item = (&Document, &Section, &Clause)> {
        self.documents.iter().flat_map(|document| {
            document.sections.iter().flat_map(move |section| {
                section.clauses.iter().map(move |clause| (document, section, clause))
            })
        })
    }

    /// The names of the clauses that each test asks for.
    #[must_use]
    pub fn by_test(&self) -> BTreeMap<&str, Vec<&Clause>> {
        let mut found: BTreeMap<&str, Vec<&Clause>> = BTreeMap::new();
        for (_, _, clause) in self.clauses() {
            for test in &clause.tests {
                found.entry(test).or_default().push(clause);
            }
        }
        found
    }

    /// The counts.
    #[must_use]
    pub fn coverage(&self) -> Coverage {
        let clauses = self.clauses().count();
        let tested = self.clauses().filter(|(_, _, clause)| !clause.tests.is_empty()).count();
        Coverage { clauses, tested, reasoned: clauses - tested }
    }
}

#[cfg(test)]
mod tests {
    use super::Table;
    use crate::suite;
    use std::collections::BTreeSet;

    #[test]
    fn the_table_and_the_tests_name_each_other() {
        let table = Table::load().expect("the table is right");
        let named: BTreeSet<String> = table.by_test().keys().map(|name| (*name).to_owned()).collect();
        let written: BTreeSet<String> = suite::tests().into_iter().map(|test| test.name).collect();
        let missing: Vec<_> = named.difference(&written).collect();
        let idle: Vec<_> = written.difference(&named).collect();
        assert!(missing.is_empty(), "the table names tests that do not exist: {missing:#?}");
        assert!(idle.is_empty(), "tests that no clause names: {idle:#?}");
    }

    #[test]
    fn no_test_is_there_twice() {
        let mut names: Vec<String> = suite::tests().into_iter().map(|test| test.name).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn a_clause_without_tests_says_why() {
        let text =
            "file = 'a.md'\n[[section]]\nheading = 'A'\nclauses = [{ id = 'x', level = 'MUST', gist = 'g' }]";
        assert!(Table::parse(&[text]).is_err());
    }

    #[test]
    fn an_id_is_used_once() {
        let clause = "{ id = 'x', level = 'MAY', gist = 'g', reason = 'r' }";
        let text = format!("file = 'a.md'\n[[section]]\nheading = 'A'\nclauses = [{clause}, {clause}]");
        assert!(Table::parse(&[&text]).is_err());
    }
}
