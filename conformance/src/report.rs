//! How a run went: as TAP, as JSON and as Markdown.

use crate::clauses::{Clause, Table};
use crate::runner::{Judgement, Verdict};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The run of one runtime.
#[derive(Debug, Clone)]
pub struct Run {
    /// The runtime's name and version in a line.
    pub runtime: String,
    /// How each test ended.
    pub judgements: Vec<Judgement>,
}

/// How a runtime stands to one clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Every test of it passed.
    Kept,
    /// A test of it failed.
    Broken,
    /// No test failed, but none could be made here.
    Open,
    /// It has no test.
    Reasoned,
}

/// The clauses by how a runtime stands to them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Kept ones.
    pub kept: usize,
    /// Broken ones.
    pub broken: usize,
    /// Those that this machine cannot ask for.
    pub open: usize,
    /// Those without a test.
    pub reasoned: usize,
}

impl Run {
    /// How the runtime stands to a clause.
    #[must_use]
    pub fn standing(&self, clause: &Clause) -> Standing {
        if clause.tests.is_empty() {
            return Standing::Reasoned;
        }
        let verdicts = self.judgements.iter().filter(|judgement| clause.tests.contains(&judgement.test));
        let verdicts: Vec<&Verdict> = verdicts.map(|judgement| &judgement.verdict).collect();
        if verdicts.iter().any(|verdict| matches!(verdict, Verdict::Failed(_))) {
            Standing::Broken
        } else if verdicts.contains(&&Verdict::Passed) {
            Standing::Kept
        } else {
            Standing::Open
        }
    }

    /// Counts the clauses.
    #[must_use]
    pub fn count(&self, table: &Table) -> Count {
        let mut count = Count::default();
        for (_, _, clause) in table.clauses() {
            match self.standing(clause) {
                Standing::Kept => count.kept += 1,
                Standing::Broken => count.broken += 1,
                Standing::Open => count.open += 1,
                Standing::Reasoned => count.reasoned += 1,
            }
        }
        count
    }

    /// Each test and whether it passed; those that the machine is unfit for are left out.
    pub fn outcomes(&self) -> impl Iterator<Item = (&str, bool)> {
        self.judgements.iter().filter_map(|judgement| match judgement.verdict {
            Verdict::Passed => Some((judgement.test.as_str(), true)),
            Verdict::Failed(_) => Some((judgement.test.as_str(), false)),
            Verdict::Unfit(_) => None,
        })
    }
}

/// A line for the end of every format: what was covered.
#[must_use]
pub fn summary(table: &Table, run: &Run) -> String {
    let coverage = table.coverage();
    let count = run.count(table);
    let tests = |wanted: fn(&Verdict) -> bool| run.judgements.iter().filter(|j| wanted(&j.verdict)).count();
    format!(
        "{}: {} clauses, {} tested, {} with a reason why not; {} kept, {} broken, {} open on this machine; \
         {} tests, {} passed, {} failed, {} unfit here",
        run.runtime,
        coverage.clauses,
        coverage.tested,
        coverage.reasoned,
        count.kept,
        count.broken,
        count.open,
        run.judgements.len(),
        tests(|verdict| matches!(verdict, Verdict::Passed)),
        tests(|verdict| matches!(verdict, Verdict::Failed(_))),
        tests(|verdict| matches!(verdict, Verdict::Unfit(_))),
    )
}

/// TAP 14: a line for each test, with its clauses where it failed.
#[must_use]
pub fn tap(table: &Table, run: &Run) -> String {
    let by_test = table.by_test();
    let mut text = format!("TAP version 14\n1..{}\n", run.judgements.len());
    for (index, judgement) in run.judgements.iter().enumerate() {
        let number = index + 1;
        let name = &judgement.test;
        text += &match &judgement.verdict {
            Verdict::Passed => format!("ok {number} - {name}\n"),
            Verdict::Unfit(reason) => format!("ok {number} - {name} # SKIP {reason}\n"),
            Verdict::Failed(reason) => {
                let clauses = ids(&by_test, name);
                format!(
                    "not ok {number} - {name}\n  ---\n  clauses: {clauses}\n  reason: {reason:?}\n  ...\n"
                )
            }
        };
    }
    text + "# " + &summary(table, run) + "\n"
}

fn ids(by_test: &BTreeMap<&str, Vec<&Clause>>, test: &str) -> String {
    let clauses = by_test.get(test).into_iter().flatten();
    let ids: Vec<String> =
        clauses.map(|clause| format!("{} ({})", clause.id, clause.level.words())).collect();
    format!("[{}]", ids.join(", "))
}

/// One JSON document: the counts, every test, every clause.
#[must_use]
pub fn json(table: &Table, run: &Run) -> Value {
    let count = run.count(table);
    let tests: Vec<Value> = run
        .judgements
        .iter()
        .map(|judgement| {
            let (verdict, reason) = match &judgement.verdict {
                Verdict::Passed => ("passed", None),
                Verdict::Failed(reason) => ("failed", Some(reason)),
                Verdict::Unfit(reason) => ("unfit", Some(reason)),
            };
            json!({"test": judgement.test, "verdict": verdict, "reason": reason,
                   "milliseconds": u64::try_from(judgement.time.as_millis()).unwrap_or(u64::MAX)})
        })
        .collect();
    let clauses: Vec<Value> = table
        .clauses()
        .map(|(document, section, clause)| {
            json!({"id": clause.id, "file": document.file, "heading": section.heading,
                   "level": clause.level.words(), "gist": clause.gist, "tests": clause.tests,
                   "reason": clause.reason, "standing": word(run.standing(clause))})
        })
        .collect();
    json!({"runtime": run.runtime, "clauses": clauses, "tests": tests,
           "kept": count.kept, "broken": count.broken, "open": count.open, "reasoned": count.reasoned})
}

fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Kept => "kept",
        Standing::Broken => "broken",
        Standing::Open => "open",
        Standing::Reasoned => "reasoned",
    }
}

/// Tables of the runs side by side: the counts by document, and each clause that one of them breaks.
#[must_use]
pub fn markdown(table: &Table, runs: &[Run]) -> String {
    let mut text = String::new();
    let names: Vec<&str> = runs.iter().map(|run| run.runtime.as_str()).collect();
    let columns =
        |cells: Vec<String>| cells.iter().fold(String::new(), |text, cell| text + " " + cell + " |");
    let rule = "| --- | --- | --- | --- |".to_owned() + &" --- |".repeat(runs.len());
    text += "| document | clauses | tested | reasoned |";
    text += &columns(names.iter().map(|name| format!("broken by {name}")).collect());
    text += &format!("\n{rule}\n");
    for document in &table.documents {
        let part = Table { documents: vec![document.clone()] };
        text += &counts_row(&document.file, &part, runs, &columns);
    }
    text += &counts_row("all", table, runs, &columns);
    text += "\n| clause | level | what it demands |";
    text += &columns(names.iter().map(|name| (*name).to_owned()).collect());
    text += &format!("\n{}\n", rule.replacen(" --- |", "", 1));
    for (document, section, clause) in table.clauses() {
        let standings: Vec<Standing> = runs.iter().map(|run| run.standing(clause)).collect();
        if standings.contains(&Standing::Broken) {
            let place = format!("{}, {}: `{}`", document.file, section.heading, clause.id);
            text += &format!("| {place} | {} | {} |", clause.level.words(), clause.gist.replace('|', "\\|"));
            text += &columns(standings.iter().map(|standing| word(*standing).to_owned()).collect());
            text += "\n";
        }
    }
    text
}

fn counts_row(name: &str, table: &Table, runs: &[Run], columns: &dyn Fn(Vec<String>) -> String) -> String {
    let coverage = table.coverage();
    let broken = runs.iter().map(|run| run.count(table).broken.to_string()).collect();
    let cells = format!("| {name} | {} | {} | {} |", coverage.clauses, coverage.tested, coverage.reasoned);
    cells + &columns(broken) + "\n"
}

#[cfg(test)]
mod tests {
    use super::{Count, Run, json, markdown, summary, tap};
    use crate::clauses::Table;
    use crate::runner::{Judgement, Verdict};
    use std::time::Duration;

    fn table() -> Table {
        let text = "file = 'a.md'\n[[section]]\nheading = 'A'\nclauses = [\n\
                    { id = 'x', level = 'MUST', gist = 'gx', tests = ['one', 'two'] },\n\
                    { id = 'y', level = 'SHOULD', gist = 'gy', tests = ['two'] },\n\
                    { id = 'u', level = 'SHOULD', gist = 'gu', tests = ['three'] },\n\
                    { id = 'z', level = 'MAY', gist = 'gz', reason = 'r' },\n]";
        Table::parse(&[text]).expect("a table")
    }

    fn run(two: Verdict) -> Run {
        let judge = |test: &str, verdict| Judgement { test: test.into(), verdict, time: Duration::ZERO };
        let judgements = vec![
            judge("one", Verdict::Passed),
            judge("two", two),
            judge("three", Verdict::Unfit("no".into())),
        ];
        Run { runtime: "r 1".into(), judgements }
    }

    #[test]
    fn one_failed_test_breaks_every_clause_it_asks_for() {
        let count = run(Verdict::Failed("because".into())).count(&table());
        assert_eq!(count, Count { kept: 0, broken: 2, open: 1, reasoned: 1 });
        assert_eq!(run(Verdict::Passed).count(&table()), Count { kept: 2, broken: 0, open: 1, reasoned: 1 });
    }

    #[test]
    fn tap_names_the_clauses_of_a_failure() {
        let text = tap(&table(), &run(Verdict::Failed("because".into())));
        assert!(text.contains("not ok 2 - two\n  ---\n  clauses: [x (MUST), y (SHOULD)]"), "{text}");
        assert!(text.contains("ok 3 - three # SKIP no"), "{text}");
    }

    #[test]
    fn the_summary_counts() {
        let text = summary(&table(), &run(Verdict::Passed));
        assert!(
            text.starts_with("r 1: 4 clauses, 3 tested, 1 with a reason why not; 2 kept, 0 broken"),
            "{text}"
        );
    }

    #[test]
    fn markdown_lists_what_one_of_them_breaks() {
        let text = markdown(&table(), &[run(Verdict::Passed), run(Verdict::Failed(String::new()))]);
        assert!(text.contains("| a.md | 4 | 3 | 1 | 0 | 2 |"), "{text}");
        assert!(text.contains("| a.md, A: `y` | SHOULD | gy | kept | broken |"), "{text}");
    }

    #[test]
    fn json_has_every_clause() {
        let value = json(&table(), &run(Verdict::Passed));
        assert_eq!(value["clauses"].as_array().map(Vec::len), Some(4));
        assert_eq!(value["clauses"][3]["standing"], "reasoned");
    }
}
