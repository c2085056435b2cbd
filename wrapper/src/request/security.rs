//! `--security-opt`, as it is kept.

use super::{RequestError, bad};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// The options, with filters of system calls in place of the names of their files, as docker keeps them: a container is
/// started anew when the file may be another one or none, by a process that works in another directory.
///
/// # Errors
/// [`RequestError`]: a file cannot be read, or is no filter.
pub fn security_options(typed: &[String]) -> Result<Vec<String>, RequestError> {
    typed.iter().map(|option| kept(option)).collect()
}

fn kept(option: &str) -> Result<String, RequestError> {
    match option.split_once(['=', ':']) {
        Some(("seccomp", path)) if !matches!(path, "" | "unconfined" | "builtin") => {
            Ok(format!("seccomp={}", filter(option, Path::new(path))?))
        }
        _ => Ok(option.to_owned()),
    }
}

fn filter(option: &str, path: &Path) -> Result<Value, RequestError> {
    let wrong = |problem: String| bad("security-opt", option, format!("it is no seccomp profile: {problem}"));
    let text = fs::read(path)
        .map_err(|source| RequestError::File("security-opt seccomp", path.to_owned(), source))?;
    let profile: Value = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    match profile["defaultAction"].as_str() {
        Some(_) => Ok(profile),
        None => Err(wrong("it has no \"defaultAction\"".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_kept_and_not_the_name_of_its_file() {
        let file = tempfile::NamedTempFile::new().expect("room");
        let typed = [format!("seccomp={}", file.path().display()), "label=disable".to_owned()];
        fs::write(file.path(), "{\n  \"defaultAction\": \"SCMP_ACT_ALLOW\"\n}\n").expect("room");
        let kept = security_options(&typed).expect("a filter");
        assert_eq!(kept, [r#"seccomp={"defaultAction":"SCMP_ACT_ALLOW"}"#, "label=disable"]);
        for text in ["{", "{}", "[]"] {
            fs::write(file.path(), text).expect("room");
            assert!(security_options(&typed).is_err(), "{text}");
        }
    }
}
