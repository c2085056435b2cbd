//! The rules about Rust sources.

use super::lexer::{code_only, has_word, test_modules};
use super::{Finding, Tree};

/// Lines of product code that one file may have; its inline tests do not count.
const LONGEST_FILE: usize = 800;

/// Lines that a `main.rs` may have: it parses, calls the library and prints the error chain.
const LONGEST_MAIN: usize = 40;

/// The one crate that may contain unsafe code.
const UNSAFE_CRATE: &str = "sys/";

/// Calls that only root may make. A test that makes one says so in its name.
const ROOT_CALLS: &[&str] =
    &["mknodat(", "pivot_root(", "unshare(", "setns(", "fsmount(", "move_mount(", "umount2("];

/// What the names of tests say that make sense on one kind of host alone: with cgroup v2 and systemd, as in the virtual
/// machine, or with v1 beside v2. `.config/nextest.toml` leaves each out where the other kind runs.
const ONE_HOST: &[&str] = &["privileged_v2_", "privileged_hybrid_"];

/// The tests that run on both kinds of host, so that one which is left out on one of them runs on the other.
const BOTH_HOSTS: &str = "tests/tests/";

/// Calls that ask who runs the test, which is how a test begins to skip itself.
const WHO_AM_I: &[&str] = &["geteuid(", "getuid(", "is_root("];

pub fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    for (path, source) in tree.with_ending(".rs") {
        let code = code_only(source);
        check_unsafe(path, &code, findings);
        check_lengths(path, source, &code, findings);
        check_tests(path, &code, findings);
    }
}

fn check_unsafe(path: &str, code: &str, findings: &mut Vec<Finding>) {
    if path.starts_with(UNSAFE_CRATE) {
        return;
    }
    for (index, line) in code.lines().enumerate().filter(|(_, line)| has_word(line, "unsafe")) {
        findings.push(Finding::line(
            path,
            index,
            format!("unsafe code belongs to the crate sys: {}", line.trim()),
        ));
    }
    if is_crate_root(path) && !code.contains("#![forbid(unsafe_code)]") {
        findings.push(Finding::file(path, "this crate root lacks `#![forbid(unsafe_code)]`"));
    }
}

/// The roots of libraries and programs; those of test programs are left to the search for the word itself.
fn is_crate_root(path: &str) -> bool {
    let name = |ending: &str| path.strip_suffix(ending).is_some_and(|before| before.ends_with('/'));
    name("src/lib.rs") || name("src/main.rs") || name("build.rs") || path.contains("/src/bin/")
}

fn check_lengths(path: &str, source: &str, code: &str, findings: &mut Vec<Finding>) {
    let lines = source.lines().count();
    if path.ends_with("/main.rs") && lines > LONGEST_MAIN {
        findings.push(Finding::file(path, format!("{lines} lines; a main.rs has at most {LONGEST_MAIN}")));
    }
    if is_test_file(path) {
        return;
    }
    let in_tests: usize = test_modules(code).iter().map(ExactSizeIterator::len).sum();
    let product = lines - in_tests;
    if product > LONGEST_FILE {
        findings
            .push(Finding::file(path, format!("{product} lines besides its tests; at most {LONGEST_FILE}")));
    }
}

fn is_test_file(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs") || path.ends_with("_tests.rs")
}

fn check_tests(path: &str, code: &str, findings: &mut Vec<Finding>) {
    let lines: Vec<&str> = code.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        if line.trim_start().starts_with("#[ignore") {
            findings.push(Finding::line(path, index, "a test runs or does not exist; it is never ignored"));
        }
    }
    for test in tests_of(&lines) {
        check_test(path, &test, findings);
    }
    for (index, line) in lines.iter().enumerate() {
        let names_privilege = line.trim_start().starts_with("fn privileged_");
        if names_privilege && !lines[index.saturating_sub(4)..index].iter().any(|l| l.trim() == "#[test]") {
            findings.push(Finding::line(path, index, "only a test is called privileged_"));
        }
    }
}

/// A `#[test]` function: where its `fn` stands, its name and its lines.
struct Test<'a> {
    start: usize,
    name: &'a str,
    body: &'a [&'a str],
}

/// The test functions of code that rustfmt has formatted: a body ends at a brace indented as its `fn` is.
fn tests_of<'a>(lines: &'a [&'a str]) -> Vec<Test<'a>> {
    let mut tests = Vec::new();
    for (attribute, _) in lines.iter().enumerate().filter(|(_, line)| line.trim() == "#[test]") {
        let Some(offset) = lines[attribute..].iter().position(|line| line.trim_start().starts_with("fn "))
        else {
            continue;
        };
        let start = attribute + offset;
        let indent = lines[start].len() - lines[start].trim_start().len();
        let closing = format!("{}}}", " ".repeat(indent));
        let length = lines[start..].iter().position(|line| line.trim_end() == closing).unwrap_or(0);
        let name = lines[start].trim_start()[3..].split('(').next().unwrap_or_default();
        tests.push(Test { start, name, body: &lines[start..=start + length] });
    }
    tests
}

fn check_test(path: &str, test: &Test<'_>, findings: &mut Vec<Finding>) {
    if ONE_HOST.iter().any(|mark| test.name.contains(mark)) && !path.starts_with(BOTH_HOSTS) {
        let message =
            format!("only what {BOTH_HOSTS} holds runs on both kinds of host; call {} otherwise", test.name);
        findings.push(Finding::line(path, test.start, message));
    }
    let is_privileged = test.name.starts_with("privileged_");
    for (offset, line) in test.body.iter().enumerate() {
        let index = test.start + offset;
        let asks = WHO_AM_I.iter().any(|call| line.contains(call));
        if asks && has_word(line, "if") {
            findings.push(Finding::line(
                path,
                index,
                "a test does not choose by who runs it; it never skips",
            ));
        }
        let called =
            ROOT_CALLS.iter().find(|call| has_word(line, &call[..call.len() - 1]) && line.contains(*call));
        if let (Some(call), false) = (called, is_privileged) {
            let message = format!("{call}) needs root: call the test privileged_{}", test.name);
            findings.push(Finding::line(path, index, message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(path: &str, source: &str) -> Vec<String> {
        let mut findings = Vec::new();
        check(&Tree::of(&[(path, source)]), &mut findings);
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn unsafe_code_outside_sys_is_found() {
        let found = messages("runtime/src/engine.rs", "fn f() {\n    unsafe { g() }\n}\n");
        assert_eq!(found, ["runtime/src/engine.rs:2: unsafe code belongs to the crate sys: unsafe { g() }"]);
        assert!(messages("sys/src/fs.rs", "fn f() {\n    unsafe { g() }\n}\n").is_empty());
        assert!(messages("runtime/src/engine.rs", "// unsafe\nconst A: &str = \"unsafe\";\n").is_empty());
    }

    #[test]
    fn a_crate_root_that_does_not_forbid_unsafe_code_is_found() {
        for root in ["runtime/src/lib.rs", "runtime/src/main.rs", "runtime/build.rs", "runtime/src/bin/x.rs"]
        {
            assert_eq!(
                messages(root, "//! #![forbid(unsafe_code)]\n"),
                [format!("{root}: this crate root lacks `#![forbid(unsafe_code)]`")]
            );
            assert!(messages(root, "#![forbid(unsafe_code)]\n").is_empty());
        }
    }

    #[test]
    fn a_long_file_is_found_and_its_inline_tests_do_not_count() {
        let product = "fn f() {}\n".repeat(LONGEST_FILE);
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "    fn t() {}\n".repeat(100));
        assert!(messages("a/src/b.rs", &format!("{product}{tests}")).is_empty());
        let found = messages("a/src/b.rs", &format!("{product}fn one_more() {{}}\n{tests}"));
        assert_eq!(found, ["a/src/b.rs: 801 lines besides its tests; at most 800"]);
        assert!(messages("a/tests/b.rs", &product.repeat(2)).is_empty());
    }

    #[test]
    fn a_main_with_logic_in_it_is_found() {
        let source = format!("#![forbid(unsafe_code)]\n{}", "// one line\n".repeat(LONGEST_MAIN));
        assert_eq!(messages("a/src/main.rs", &source), ["a/src/main.rs: 41 lines; a main.rs has at most 40"]);
    }

    #[test]
    fn an_ignored_test_is_found() {
        let found = messages("a/src/b.rs", "#[test]\n#[ignore = \"slow\"]\nfn t() {\n}\n");
        assert_eq!(found, ["a/src/b.rs:2: a test runs or does not exist; it is never ignored"]);
    }

    #[test]
    fn a_test_that_skips_for_ordinary_users_is_found() {
        let source = "#[test]\nfn t() {\n    if !geteuid().is_root() {\n        return;\n    }\n}\n";
        assert_eq!(
            messages("a/tests/b.rs", source),
            ["a/tests/b.rs:3: a test does not choose by who runs it; it never skips"]
        );
    }

    #[test]
    fn a_test_that_needs_root_without_saying_so_is_found() {
        let source = "#[test]\nfn makes_a_node() {\n    mknodat(&root, \"null\");\n}\n";
        assert_eq!(
            messages("a/tests/b.rs", source),
            ["a/tests/b.rs:3: mknodat() needs root: call the test privileged_makes_a_node"]
        );
        assert!(messages("a/tests/b.rs", &source.replace("fn makes", "fn privileged_makes")).is_empty());
    }

    #[test]
    fn a_test_for_one_kind_of_host_that_would_run_on_neither_is_found() {
        let source = "#[test]\nfn privileged_v2_weighs() {\n}\n";
        let found = messages("runtime/tests/b.rs", source);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("runtime/tests/b.rs:2: only what tests/tests/ holds"), "{found:?}");
        assert!(messages("tests/tests/b.rs", source).is_empty());
    }

    #[test]
    fn a_helper_called_privileged_is_found() {
        let found = messages("a/tests/b.rs", "fn privileged_helper() {\n}\n");
        assert_eq!(found, ["a/tests/b.rs:1: only a test is called privileged_"]);
    }
}
