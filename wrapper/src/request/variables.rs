//! Names with values: environments, labels, annotations, options.

use super::{RequestError, bad};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The image's variables with those of files and of the command line over them: the last of a name wins, and keeps the
/// place of the first. A name alone takes its value from `host`, and goes where that has none.
///
/// # Errors
/// [`RequestError`]: a file cannot be read, or a line has no name.
pub fn environment(
    image: &[String],
    files: &[PathBuf],
    typed: &[String],
    host: impl Fn(&str) -> Option<String>,
) -> Result<Vec<String>, RequestError> {
    let mut variables: Vec<(String, Option<String>)> = image.iter().map(|text| split(text)).collect();
    let mut add = |(name, value): (String, Option<String>)| {
        let value = value.or_else(|| host(&name));
        match variables.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = value,
            None => variables.push((name, value)),
        }
    };
    for file in files {
        lines("env-file", file)?.into_iter().for_each(&mut add);
    }
    for text in typed {
        let variable = split(text);
        if variable.0.is_empty() {
            return Err(bad("env", text, "it has no name; write NAME=VALUE"));
        }
        add(variable);
    }
    let has_value = |(name, value): (String, Option<String>)| Some(format!("{name}={}", value?));
    Ok(variables.into_iter().filter_map(has_value).collect())
}

/// Labels of files and of the command line; a name alone has an empty value.
///
/// # Errors
/// [`RequestError`].
pub fn labels(files: &[PathBuf], typed: &[String]) -> Result<BTreeMap<String, String>, RequestError> {
    let mut labels = BTreeMap::new();
    for file in files {
        labels.extend(
            lines("label-file", file)?.into_iter().map(|(name, value)| (name, value.unwrap_or_default())),
        );
    }
    labels.extend(pairs("label", typed)?);
    Ok(labels)
}

/// `NAME=VALUE`, or `NAME` for an empty value.
///
/// # Errors
/// [`RequestError::Value`] without a name.
pub fn pairs(flag: &'static str, typed: &[String]) -> Result<BTreeMap<String, String>, RequestError> {
    let pair = |text: &String| {
        let (name, value) = split(text);
        if name.is_empty() {
            Err(bad(flag, text, "it has no name; write NAME=VALUE"))
        } else {
            Ok((name, value.unwrap_or_default()))
        }
    };
    typed.iter().map(pair).collect()
}

fn split(text: &str) -> (String, Option<String>) {
    match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (text.to_owned(), None),
    }
}

/// The lines of a file; empty ones and those that begin with `#` do not count. A carriage return or a control character
/// in a line would end up in the container's environment, or on a terminal.
fn lines(flag: &'static str, path: &Path) -> Result<Vec<(String, Option<String>)>, RequestError> {
    let text =
        fs::read_to_string(path).map_err(|source| RequestError::File(flag, path.to_owned(), source))?;
    let mut found = Vec::new();
    for line in text.strip_prefix('\u{feff}').unwrap_or(&text).lines() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = split(line);
        let is_name = !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control());
        if !is_name || value.as_deref().is_some_and(|value| value.contains('\0')) {
            return Err(bad(
                flag,
                line,
                format!("the line in {path:?} has no name without blanks; write NAME=VALUE"),
            ));
        }
        found.push((name, value));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_a_name_wins_and_a_name_alone_is_the_host_s() {
        let file = tempfile::NamedTempFile::new().expect("room");
        fs::write(file.path(), "# comment\n\nB=file\nC=with = and spaces \nHOSTS\n").expect("room");
        let image = ["A=image".to_owned(), "B=image".to_owned()];
        let typed = ["A=typed", "NONE", "E="].map(str::to_owned);
        let host = |name: &str| (name == "HOSTS").then(|| "here".to_owned());
        let found = environment(&image, &[file.path().to_owned()], &typed, host).expect("it fits");
        assert_eq!(found, ["A=typed", "B=file", "C=with = and spaces ", "HOSTS=here", "E="]);
    }

    #[test]
    fn lines_without_a_name_are_refused() {
        let file = tempfile::NamedTempFile::new().expect("room");
        fs::write(file.path(), "a b=c\n").expect("room");
        assert!(labels(&[file.path().to_owned()], &[]).is_err());
        assert!(pairs("label", &["=x".to_owned()]).is_err());
    }
}
