//! The rules about crates: which may depend on which, and that each takes the workspace's lints.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::{Finding, Tree};

/// What each crate of the product may depend on. A new crate gets its row here, and ARCHITECTURE.md its line.
const ARROWS: &[(&str, &[&str])] = &[
    ("sys", &[]),
    ("cmdline", &[]),
    ("trees", &["sys"]),
    ("runtime", &["sys", "cmdline", "trees"]),
    ("imgtool", &["sys", "cmdline", "bundles"]),
    ("bundles", &["sys"]),
    ("lines", &[]),
    ("wrapper", &["sys", "trees", "imgtool", "bundles", "lines", "cmdline"]),
    ("monitor", &["wrapper"]),
];

/// Where the crates lie that judge the product or serve its developers. They may use any crate; no crate of the product
/// may use them.
const AROUND: &[&str] = &["conformance", "tests", "benches", "fuzz", "xtask"];

/// Lints that the workspace sets for all of its crates.
const LINTS: &[(&str, &str, &[&str])] = &[
    ("rust", "missing_docs", &["deny", "forbid"]),
    ("clippy", "undocumented_unsafe_blocks", &["deny", "forbid"]),
    ("clippy", "disallowed_methods", &["deny", "forbid"]),
    ("clippy", "disallowed_macros", &["deny", "forbid"]),
];

struct Member<'a> {
    directory: &'a str,
    path: &'a str,
    manifest: Table,
}

pub fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    let mut members = Vec::new();
    for (path, text) in tree.with_ending("/Cargo.toml") {
        let directory = path.trim_end_matches("/Cargo.toml");
        match text.parse::<Table>() {
            Ok(manifest) => members.push(Member { directory, path, manifest }),
            Err(error) => findings.push(not_a_manifest(path, &error)),
        }
    }
    let directories: BTreeMap<&str, &str> = members
        .iter()
        .filter_map(|member| Some((package_name(&member.manifest)?, member.directory)))
        .collect();
    for member in &members {
        check_arrows(member, &directories, findings);
        if lookup(&member.manifest, &["lints", "workspace"]) != Some(&Value::Boolean(true)) {
            findings.push(Finding::file(member.path, "lacks `[lints] workspace = true`"));
        }
    }
    match tree.get("Cargo.toml").map(str::parse::<Table>) {
        Some(Ok(root)) => check_workspace_lints(&root, findings),
        Some(Err(error)) => findings.push(not_a_manifest("Cargo.toml", &error)),
        None => {}
    }
}

fn not_a_manifest(path: &str, error: &toml::de::Error) -> Finding {
    Finding::file(path, format!("not a manifest: {}", error.message()))
}

fn check_arrows(member: &Member<'_>, directories: &BTreeMap<&str, &str>, findings: &mut Vec<Finding>) {
    if AROUND.iter().any(|around| member.directory.split('/').next() == Some(*around)) {
        return;
    }
    let Some((_, allowed)) = ARROWS.iter().find(|(directory, _)| *directory == member.directory) else {
        let message = "this crate has no row in the table of dependency arrows (xtask/src/tidy/manifests.rs)";
        findings.push(Finding::file(member.path, message));
        return;
    };
    for dependency in dependencies(&member.manifest) {
        let Some(directory) = directories.get(dependency.as_str()) else { continue };
        if !allowed.contains(directory) {
            let message = format!("{} must not depend on {directory}", member.directory);
            findings.push(Finding::file(member.path, message));
        }
    }
}

/// The packages that a manifest names: for every target, for the product, its tests and its build scripts.
fn dependencies(manifest: &Table) -> Vec<String> {
    let targets = manifest.get("target").and_then(Value::as_table);
    let per_target = targets.into_iter().flat_map(Table::values).filter_map(Value::as_table);
    let mut names = Vec::new();
    for section in std::iter::once(manifest).chain(per_target) {
        for key in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let table = section.get(key).and_then(Value::as_table);
            names.extend(table.into_iter().flatten().map(|(name, details)| {
                details.get("package").and_then(Value::as_str).unwrap_or(name).to_owned()
            }));
        }
    }
    names
}

fn check_workspace_lints(root: &Table, findings: &mut Vec<Finding>) {
    for (group, lint, allowed) in LINTS {
        let level = match lookup(root, &["workspace", "lints", group, lint]) {
            Some(Value::String(level)) => Some(level.as_str()),
            Some(Value::Table(table)) => table.get("level").and_then(Value::as_str),
            _ => None,
        };
        if !level.is_some_and(|level| allowed.contains(&level)) {
            findings.push(Finding::file("Cargo.toml", format!("[workspace.lints.{group}] must deny {lint}")));
        }
    }
}

fn package_name(manifest: &Table) -> Option<&str> {
    lookup(manifest, &["package", "name"])?.as_str()
}

fn lookup<'a>(table: &'a Table, keys: &[&str]) -> Option<&'a Value> {
    let (last, tables) = keys.split_last()?;
    let table = tables.iter().try_fold(table, |table, key| table.get(*key)?.as_table())?;
    table.get(*last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYS: &str = "[package]\nname = \"m-sys\"\n[lints]\nworkspace = true\n";

    fn messages(files: &[(&str, &str)]) -> Vec<String> {
        let mut findings = Vec::new();
        check(&Tree::of(files), &mut findings);
        findings.iter().map(ToString::to_string).collect()
    }

    fn member(name: &str, rest: &str) -> String {
        format!("[package]\nname = \"{name}\"\n{rest}\n[lints]\nworkspace = true\n")
    }

    #[test]
    fn an_arrow_that_points_down_is_allowed() {
        let runtime = member("m-runtime", "[dependencies]\nm-sys.workspace = true\nserde = \"1\"");
        assert!(messages(&[("sys/Cargo.toml", SYS), ("runtime/Cargo.toml", &runtime)]).is_empty());
    }

    #[test]
    fn an_arrow_that_points_up_is_found_in_every_kind_of_dependency() {
        let tables = [
            "[dependencies]\nm-runtime = { path = \"../runtime\" }",
            "[dev-dependencies]\nm-runtime.workspace = true",
            "[build-dependencies]\nm-runtime.workspace = true",
            "[target.'cfg(unix)'.dependencies]\nm-runtime.workspace = true",
            "[dependencies]\nother = { package = \"m-runtime\", path = \"../runtime\" }",
        ];
        for table in tables {
            let runtime = member("m-runtime", "");
            let sys = member("m-sys", table);
            let found = messages(&[("sys/Cargo.toml", &sys), ("runtime/Cargo.toml", &runtime)]);
            assert_eq!(found, ["sys/Cargo.toml: sys must not depend on runtime"], "{table}");
        }
    }

    #[test]
    fn the_wrapper_reaches_the_runtime_only_by_running_it() {
        let wrapper = member("m", "[dependencies]\nm-runtime.workspace = true");
        let runtime = member("m-runtime", "");
        let found = messages(&[("wrapper/Cargo.toml", &wrapper), ("runtime/Cargo.toml", &runtime)]);
        assert_eq!(found, ["wrapper/Cargo.toml: wrapper must not depend on runtime"]);
    }

    #[test]
    fn a_test_crate_may_use_the_product_but_not_the_other_way_round() {
        let tests = member("m-tests", "[dependencies]\nm-sys.workspace = true");
        for path in ["tests/Cargo.toml", "tests/oracle/Cargo.toml"] {
            assert!(messages(&[("sys/Cargo.toml", SYS), (path, &tests)]).is_empty(), "{path}");
        }
        let sys = member("m-sys", "[dev-dependencies]\nm-tests.workspace = true");
        let found = messages(&[("sys/Cargo.toml", &sys), ("tests/Cargo.toml", &member("m-tests", ""))]);
        assert_eq!(found, ["sys/Cargo.toml: sys must not depend on tests"]);
    }

    #[test]
    fn a_crate_without_a_row_is_found() {
        let found = messages(&[("daemon/Cargo.toml", &member("m-daemon", ""))]);
        assert!(found[0].contains("no row in the table"), "{found:?}");
    }

    #[test]
    fn a_crate_that_leaves_the_workspace_lints_is_found() {
        let found = messages(&[("sys/Cargo.toml", "[package]\nname = \"m-sys\"\n")]);
        assert_eq!(found, ["sys/Cargo.toml: lacks `[lints] workspace = true`"]);
    }

    #[test]
    fn a_workspace_that_only_warns_about_missing_docs_is_found() {
        let root = "[workspace.lints.rust]\nmissing_docs = \"warn\"\n[workspace.lints.clippy]\n\
            undocumented_unsafe_blocks = \"deny\"\ndisallowed_methods = { level = \"deny\", priority = 1 }\n\
            disallowed_macros = \"deny\"\n";
        assert_eq!(
            messages(&[("Cargo.toml", root)]),
            ["Cargo.toml: [workspace.lints.rust] must deny missing_docs"]
        );
    }

    #[test]
    fn a_broken_manifest_is_found() {
        for path in ["Cargo.toml", "sys/Cargo.toml"] {
            assert!(messages(&[(path, "[package")])[0].starts_with(&format!("{path}: not a manifest")));
        }
    }
}
