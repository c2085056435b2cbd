//! The rules about words, links and decision records.

use super::{Finding, Tree};

/// Marks of work that was put off. A thing left undone stands in docs/status.md, where a user can read it.
const PUT_OFF: &[&str] =
    &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:"), concat!("HA", "CK:")];

/// Hosts of package registries, label by label so that this list does not find itself. What is installed is named
/// by its package; where from is a matter of each machine's own settings.
const REGISTRIES: &[&[&str]] = &[
    &["deb", "debian", "org"],
    &["security", "debian", "org"],
    &["snapshot", "debian", "org"],
    &["index", "crates", "io"],
    &["static", "crates", "io"],
    &["pypi", "org"],
    &["files", "pythonhosted", "org"],
    &["registry", "npmjs", "org"],
    &["proxy", "golang", "org"],
];

/// Written by cargo, which names its registry there.
const LOCK_FILE: &str = "Cargo.lock";

pub fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    let registries: Vec<String> = REGISTRIES.iter().map(|labels| labels.join(".")).collect();
    for (path, text) in tree.iter().filter(|(path, _)| !path.ends_with(LOCK_FILE)) {
        check_words(path, text, &registries, findings);
    }
    for (path, text) in tree.with_ending(".md") {
        check_links(tree, path, text, findings);
    }
    check_records(tree, findings);
}

fn check_words(path: &str, text: &str, registries: &[String], findings: &mut Vec<Finding>) {
    for (index, line) in text.lines().enumerate() {
        if let Some(mark) = PUT_OFF.iter().find(|mark| line.contains(**mark)) {
            findings.push(Finding::line(
                path,
                index,
                format!("{mark} puts work off; do it, or say so in docs/status.md"),
            ));
        }
        if let Some(host) = registries.iter().find(|host| line.contains(host.as_str())) {
            findings.push(Finding::line(path, index, format!("{host} is the host of a package registry")));
        }
    }
}

/// Every relative link of a Markdown file leads to a file or directory of the tree.
fn check_links(tree: &Tree, path: &str, text: &str, findings: &mut Vec<Finding>) {
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    for (index, line) in text.lines().enumerate() {
        for (at, _) in line.match_indices("](") {
            let Some((target, _)) = line[at + 2..].split_once(')') else { continue };
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") || file.starts_with("mailto:") {
                continue;
            }
            if !resolve(directory, file).is_some_and(|file| tree.has(&file)) {
                findings.push(Finding::line(path, index, format!("the link to {target} leads nowhere")));
            }
        }
    }
}

/// The path from the root of the tree that `link` means in a file of `directory`; none when it leaves the tree.
fn resolve(directory: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = directory.split('/').filter(|part| !part.is_empty()).collect();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// Decision records count from 0001 without a gap; each bears its number, and the index has a link to it.
fn check_records(tree: &Tree, findings: &mut Vec<Finding>) {
    let index = tree.get("docs/adr/README.md").unwrap_or_default();
    let records = tree.with_ending(".md").filter_map(|(path, text)| {
        let name = path.strip_prefix("docs/adr/")?;
        let number = name.split_once('-')?.0;
        (number != "0000").then_some((path, name, number, text))
    });
    for (expected, (path, name, number, text)) in (1..).zip(records) {
        if number != format!("{expected:04}") {
            findings.push(Finding::file(path, format!("expected number {expected:04}: they have no gaps")));
        }
        if !text.starts_with(&format!("# {number}. ")) {
            findings.push(Finding::file(path, format!("the first line must be `# {number}. Title`")));
        }
        if !index.contains(&format!("]({name})")) {
            findings.push(Finding::file(path, "docs/adr/README.md has no link to it"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(files: &[(&str, &str)]) -> Vec<String> {
        let mut findings = Vec::new();
        check(&Tree::of(files), &mut findings);
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn work_put_off_is_found_in_any_kind_of_file() {
        for mark in PUT_OFF {
            let line = format!("fine\n# {mark} later\n");
            let found = messages(&[("Makefile", &line)]);
            assert_eq!(
                found,
                [format!("Makefile:2: {mark} puts work off; do it, or say so in docs/status.md")]
            );
        }
    }

    #[test]
    fn a_registry_host_is_found_except_where_cargo_writes_it() {
        let host = REGISTRIES[0].join(".");
        let text = format!("from https://{host}/debian\n");
        assert_eq!(
            messages(&[("README.md", &text)]),
            [format!("README.md:1: {host} is the host of a package registry")]
        );
        assert!(messages(&[("Cargo.lock", &text)]).is_empty());
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        let text = "[a](../README.md) [b](adr) [c](#here) [d](https://example.org/x) [e](gone.md#part)\n";
        let found = messages(&[("README.md", ""), ("docs/adr/README.md", ""), ("docs/x.md", text)]);
        assert_eq!(found, ["docs/x.md:1: the link to gone.md#part leads nowhere"]);
        assert_eq!(messages(&[("a.md", "[out](../../etc/passwd)\n")]).len(), 1);
    }

    #[test]
    fn decision_records_are_numbered_titled_and_listed() {
        let good = [
            ("docs/adr/0000-template.md", "# NNNN. Title\n"),
            ("docs/adr/0001-first.md", "# 0001. First\n"),
            ("docs/adr/README.md", "- [First](0001-first.md)\n"),
        ];
        assert!(messages(&good).is_empty());
        let bad = [("docs/adr/0002-second.md", "# Second\n"), ("docs/adr/README.md", "none yet\n")];
        assert_eq!(
            messages(&bad),
            [
                "docs/adr/0002-second.md: expected number 0001: they have no gaps",
                "docs/adr/0002-second.md: the first line must be `# 0002. Title`",
                "docs/adr/0002-second.md: docs/adr/README.md has no link to it",
            ]
        );
    }
}
