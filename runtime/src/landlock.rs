//! The annotation `org.mydocker.landlock`: rights that the program takes from itself before it begins (landlock(7)).
//! `docs/landlock.md` describes it for whoever writes one.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The annotation's key.
pub const ANNOTATION: &str = "org.mydocker.landlock";

/// The newest version of Landlock whose rights have names here (Linux 6.12).
pub const NEWEST: u32 = 6;

/// Rights on files: name, bit, the version that brought it, and whether it is one of directories alone
/// (`<linux/landlock.h>`).
const FILE_RIGHTS: [(&str, u64, u32, bool); 16] = [
    ("execute", 1 << 0, 1, false),
    ("write-file", 1 << 1, 1, false),
    ("read-file", 1 << 2, 1, false),
    ("read-dir", 1 << 3, 1, true),
    ("remove-dir", 1 << 4, 1, true),
    ("remove-file", 1 << 5, 1, true),
    ("make-char", 1 << 6, 1, true),
    ("make-dir", 1 << 7, 1, true),
    ("make-reg", 1 << 8, 1, true),
    ("make-sock", 1 << 9, 1, true),
    ("make-fifo", 1 << 10, 1, true),
    ("make-block", 1 << 11, 1, true),
    ("make-sym", 1 << 12, 1, true),
    ("refer", 1 << 13, 2, true),
    ("truncate", 1 << 14, 3, false),
    ("ioctl-dev", 1 << 15, 5, false),
];

/// Rights on TCP ports: name, bit, version.
const PORT_RIGHTS: [(&str, u64, u32); 2] = [("bind-tcp", 1 << 0, 4), ("connect-tcp", 1 << 1, 4)];

/// What a program may not reach outside its own domain: name, bit, version.
const SCOPES: [(&str, u64, u32); 2] = [("abstract-unix-socket", 1 << 0, 6), ("signal", 1 << 1, 6)];

/// The rights that `read` stands for.
const READ: u64 = 1 << 2 | 1 << 3;

/// A ruleset in which nothing is left to the kernel's version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ruleset {
    /// The version of Landlock that the kernel must have.
    pub abi: u32,
    /// The rights on files that are forbidden but for the rules, a bit each; 0: files are not touched.
    pub handled_files: u64,
    /// The rights on TCP ports that are forbidden but for the rules.
    pub handled_ports: u64,
    /// What is kept inside.
    pub scoped: u64,
    /// Paths in the container with the rights that are given below them.
    pub paths: Vec<(PathBuf, u64)>,
    /// TCP ports with their rights.
    pub ports: Vec<(u16, u64)>,
}

/// The annotation as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default = "first_version")]
    abi: u32,
    fs: Option<Vec<PathRule>>,
    net: Option<Vec<PortRule>>,
    #[serde(default)]
    scoped: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PathRule {
    paths: Vec<PathBuf>,
    access: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PortRule {
    ports: Vec<u16>,
    access: Vec<String>,
}

const fn first_version() -> u32 {
    1
}

/// Reads the annotation's value.
///
/// # Errors
/// A sentence about what is wrong and what would be right.
pub fn parse(text: &str) -> Result<Ruleset, String> {
    let written: Written = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let abi = written.abi;
    if !(1..=NEWEST).contains(&abi) {
        return Err(format!("\"abi\" is {abi}; this runtime knows the versions 1 to {NEWEST}"));
    }
    if written.net.is_some() && abi < 4 {
        return Err(format!("\"net\" needs \"abi\" 4 or more, and it is {abi}"));
    }
    let mut ruleset = Ruleset {
        abi,
        handled_files: written.fs.as_ref().map_or(0, |_| all_files(abi)),
        handled_ports: written
            .net
            .as_ref()
            .map_or(0, |_| PORT_RIGHTS.iter().fold(0, |all, right| all | right.1)),
        scoped: scopes(&written.scoped, abi)?,
        paths: Vec::new(),
        ports: Vec::new(),
    };
    for rule in written.fs.into_iter().flatten() {
        let access = file_rights(&rule.access, abi)?;
        if let Some(relative) = rule.paths.iter().find(|path| !path.is_absolute()) {
            return Err(format!("{relative:?} is not an absolute path in the container"));
        }
        ruleset.paths.extend(rule.paths.into_iter().map(|path| (path, access)));
    }
    for rule in written.net.into_iter().flatten() {
        let access = bits(&rule.access, &PORT_RIGHTS, abi)?;
        ruleset.ports.extend(rule.ports.into_iter().map(|port| (port, access)));
    }
    if ruleset.handled_files | ruleset.handled_ports | ruleset.scoped == 0 {
        return Err("it restricts nothing; give \"fs\", \"net\" or \"scoped\"".into());
    }
    Ok(ruleset)
}

fn all_files(abi: u32) -> u64 {
    FILE_RIGHTS.iter().filter(|right| right.2 <= abi).fold(0, |all, right| all | right.1)
}

/// The rights that a rule can give to what is no directory.
#[must_use]
pub fn of_single_files(access: u64) -> u64 {
    access & FILE_RIGHTS.iter().filter(|right| !right.3).fold(0, |all, right| all | right.1)
}

fn file_rights(names: &[String], abi: u32) -> Result<u64, String> {
    const EXECUTE: u64 = 1;
    let known: Vec<_> = FILE_RIGHTS.iter().map(|(name, bit, since, _)| (*name, *bit, *since)).collect();
    names.iter().try_fold(0, |all, name| {
        let more = match name.as_str() {
            "read" => READ,
            "write" => all_files(abi) & !READ & !EXECUTE,
            "all" => all_files(abi),
            _ => bits(std::slice::from_ref(name), &known, abi)?,
        };
        Ok(all | more)
    })
}

fn scopes(names: &[String], abi: u32) -> Result<u64, String> {
    if names.is_empty() { Ok(0) } else { bits(names, &SCOPES, abi) }
}

fn bits(names: &[String], known: &[(&str, u64, u32)], abi: u32) -> Result<u64, String> {
    if names.is_empty() {
        return Err("a rule without \"access\" gives nothing; leave the rule out".into());
    }
    names.iter().try_fold(0, |all, name| match known.iter().find(|right| right.0 == name) {
        Some((_, bit, since)) if *since <= abi => Ok(all | bit),
        Some((_, _, since)) => Err(format!("{name:?} needs \"abi\" {since} or more, and it is {abi}")),
        None => {
            let names: Vec<_> = known.iter().map(|right| right.0).collect();
            Err(format!("{name:?} is no such right; there are {}", names.join(", ")))
        }
    })
}

/// The names of rights on files, for a person.
#[must_use]
pub fn file_right_names(access: u64) -> String {
    let held = FILE_RIGHTS.iter().filter(|right| access & right.1 != 0);
    held.map(|right| right.0).collect::<Vec<_>>().join(" ")
}

/// The names of rights on ports, for a person.
#[must_use]
pub fn port_right_names(access: u64) -> String {
    let held = PORT_RIGHTS.iter().filter(|right| access & right.1 != 0);
    held.map(|right| right.0).collect::<Vec<_>>().join(" ")
}

/// The names of scopes, for a person.
#[must_use]
pub fn scope_names(scoped: u64) -> String {
    let held = SCOPES.iter().filter(|scope| scoped & scope.1 != 0);
    held.map(|scope| scope.0).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ruleset_means_the_same_on_every_kernel() {
        let text = r#"{"abi": 4, "fs": [{"paths": ["/usr", "/lib"], "access": ["read", "execute"]},
            {"paths": ["/tmp"], "access": ["all"]}], "net": [{"ports": [443], "access": ["connect-tcp"]}]}"#;
        let ruleset = parse(text).unwrap();
        assert_eq!((ruleset.abi, ruleset.handled_files, ruleset.handled_ports), (4, (1 << 15) - 1, 3));
        assert_eq!(ruleset.paths[1], (PathBuf::from("/lib"), 0b1101));
        assert_eq!(ruleset.paths[2].1, (1 << 15) - 1);
        assert_eq!(ruleset.ports, [(443, 2)]);
    }

    #[test]
    fn writing_is_everything_but_reading_and_executing() {
        let ruleset = parse(r#"{"fs": [{"paths": ["/"], "access": ["write"]}]}"#).unwrap();
        assert_eq!(ruleset.paths[0].1, ((1 << 13) - 1) & !0b1101);
        assert_eq!(file_right_names(of_single_files(ruleset.paths[0].1)), "write-file");
    }

    #[test]
    fn without_a_section_that_kind_stays_free() {
        let ruleset = parse(r#"{"abi": 6, "scoped": ["signal"]}"#).unwrap();
        assert_eq!((ruleset.handled_files, ruleset.handled_ports, ruleset.scoped), (0, 0, 2));
        assert_eq!(parse(r#"{"fs": []}"#).unwrap().handled_files, (1 << 13) - 1);
    }

    #[test]
    fn mistakes_are_told_in_words() {
        for (text, words) in [
            ("", "EOF"),
            ("[]", "expected"),
            ("{}", "restricts nothing"),
            (r#"{"abi": 0, "fs": []}"#, "versions 1 to"),
            (r#"{"abi": 9, "fs": []}"#, "versions 1 to"),
            (r#"{"fs": [], "typo": 1}"#, "typo"),
            (r#"{"net": []}"#, "needs \"abi\" 4"),
            (r#"{"scoped": ["signal"]}"#, "needs \"abi\" 6"),
            (r#"{"fs": [{"paths": ["/"], "access": ["refer"]}]}"#, "needs \"abi\" 2"),
            (r#"{"fs": [{"paths": ["/"], "access": ["fly"]}]}"#, "\"fly\" is no such right"),
            (r#"{"fs": [{"paths": ["etc"], "access": ["read"]}]}"#, "not an absolute path"),
            (r#"{"abi": 4, "net": [{"ports": [70000], "access": ["bind-tcp"]}]}"#, "70000"),
            (r#"{"abi": 4, "net": [{"ports": [1], "access": []}]}"#, "gives nothing"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
