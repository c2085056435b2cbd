//! `--log-driver` and `--log-opt`, checked.

use super::Format;
use crate::container::{Container, LogConfig};
use mydocker_lines::append_json;
use std::collections::BTreeMap;
use std::path::Path;

/// Why a log cannot be as it is wished for.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SettingsError {
    /// There is no such driver.
    #[error("the log driver {0:?} is not supported: 'json-file', 'k8s-file' and 'none' are")]
    Driver(String),
    /// The driver has no such option.
    #[error("the log driver '{driver}' has no option {option:?}: {known}")]
    Option {
        /// The driver.
        driver: &'static str,
        /// What was typed.
        option: String,
        /// What could be.
        known: &'static str,
    },
    /// A value does not fit.
    #[error("--log-opt {option}={value}: {wanted}")]
    Value {
        /// The option.
        option: &'static str,
        /// What was typed.
        value: String,
        /// What could be.
        wanted: &'static str,
    },
    /// Nothing would ever be compressed.
    #[error(
        "compress cannot be true when max-file is less than 2 or max-size is not set; give --log-opt max-size=10m and --log-opt max-file=3, say"
    )]
    Compress,
}

/// Where lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// Docker's.
    JsonFile,
    /// Kubernetes' and podman's.
    K8sFile,
    /// Nowhere.
    None,
}

/// A log as it is wished for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// Where lines go.
    pub driver: Driver,
    /// At this size a new file is begun.
    pub max_size: Option<u64>,
    /// So many files there are, the one that is written included.
    pub max_files: u32,
    /// Whether the older ones become gzip.
    pub packs: bool,
    /// Labels of the container that go into each line of json-file.
    labels: Vec<String>,
    /// Variables of its environment that do.
    env: Vec<String>,
    /// A word that does.
    tag: String,
}

const JSON_OPTIONS: &str = "it has max-size, max-file, compress, labels, env, tag and mode";
const K8S_OPTIONS: &str = "it has max-size, max-file, path and mode";

impl LogSettings {
    /// Checks what was typed.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn check(config: &LogConfig) -> Result<Self, SettingsError> {
        let (driver, name, known) = match config.driver.as_str() {
            "json-file" => (Driver::JsonFile, "json-file", JSON_OPTIONS),
            "k8s-file" => (Driver::K8sFile, "k8s-file", K8S_OPTIONS),
            "none" => (Driver::None, "none", "it has none"),
            other => return Err(SettingsError::Driver(other.to_owned())),
        };
        let mut settings = Self {
            driver,
            max_size: None,
            max_files: 1,
            packs: false,
            labels: Vec::new(),
            env: Vec::new(),
            tag: String::new(),
        };
        for (option, value) in &config.config {
            if !settings.set(option, value)? {
                return Err(SettingsError::Option { driver: name, option: option.clone(), known });
            }
        }
        if settings.packs && (settings.max_size.is_none() || settings.max_files < 2) {
            return Err(SettingsError::Compress);
        }
        Ok(settings)
    }

    /// Takes one option; `false` for one that the driver does not have.
    fn set(&mut self, option: &str, value: &str) -> Result<bool, SettingsError> {
        let names = || value.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        match (self.driver, option) {
            (Driver::None, _) => return Ok(false),
            (_, "max-size") => self.max_size = size(value)?,
            (_, "max-file") => self.max_files = count(value)?,
            (Driver::K8sFile, "path") if Path::new(value).is_absolute() => {}
            (Driver::K8sFile, "path") => {
                let wanted = "the absolute path of a file is wanted";
                return Err(SettingsError::Value { option: "path", value: value.to_owned(), wanted });
            }
            (_, "mode") if value == "blocking" => {}
            (_, "mode") => {
                let wanted = "'blocking' is wanted, for nothing that a container prints is ever dropped";
                return Err(SettingsError::Value { option: "mode", value: value.to_owned(), wanted });
            }
            (Driver::JsonFile, "compress") => self.packs = switch(value)?,
            (Driver::JsonFile, "labels") => self.labels = names(),
            (Driver::JsonFile, "env") => self.env = names(),
            (Driver::JsonFile, "tag") => value.clone_into(&mut self.tag),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The form of the lines of a container; `None` where nothing is kept.
    #[must_use]
    pub fn format(&self, container: &Container) -> Option<Format> {
        match self.driver {
            Driver::None => None,
            Driver::K8sFile => Some(Format::K8s),
            Driver::JsonFile => Some(Format::Json { attributes: self.attributes(container) }),
        }
    }

    /// The member `"attrs":{...},` of each line, or nothing.
    fn attributes(&self, container: &Container) -> Vec<u8> {
        let image = &container.config.image;
        let mut all: BTreeMap<&str, &str> = BTreeMap::new();
        all.extend(self.labels.iter().filter_map(|name| {
            image.labels.get_key_value(name).map(|(name, value)| (name.as_str(), value.as_str()))
        }));
        let set = image.env.iter().filter_map(|pair| pair.split_once('='));
        all.extend(set.filter(|(name, _)| self.env.iter().any(|wanted| wanted == name)));
        if !self.tag.is_empty() {
            all.insert("tag", &self.tag);
        }
        let mut text = Vec::new();
        for (name, value) in all {
            text.extend_from_slice(if text.is_empty() { b"\"attrs\":{\"" } else { b",\"" });
            append_json(&mut text, name.as_bytes());
            text.extend_from_slice(b"\":\"");
            append_json(&mut text, value.as_bytes());
            text.push(b'"');
        }
        if !text.is_empty() {
            text.extend_from_slice(b"},");
        }
        text
    }
}

/// A size in docker's words: a number, and `k`, `m` or `g` for thousands of it; -1 is no limit.
fn size(value: &str) -> Result<Option<u64>, SettingsError> {
    let refuse = || SettingsError::Value {
        option: "max-size",
        value: value.to_owned(),
        wanted: "a size such as 10m is wanted, or -1 for no limit",
    };
    if value == "-1" {
        return Ok(None);
    }
    let lower = value.to_ascii_lowercase();
    let digits = lower.trim_end_matches('b');
    let (number, unit) = match digits.char_indices().next_back() {
        Some((at, 'k')) => (&digits[..at], 1_000),
        Some((at, 'm')) => (&digits[..at], 1_000_000),
        Some((at, 'g')) => (&digits[..at], 1_000_000_000),
        _ => (digits, 1),
    };
    let number: u64 = number.trim().parse().map_err(|_| refuse())?;
    number.checked_mul(unit).filter(|size| *size > 0).map(Some).ok_or_else(refuse)
}

/// As Go reads it, which docker is written in.
fn switch(value: &str) -> Result<bool, SettingsError> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => {
            let wanted = "'true' or 'false' is wanted";
            Err(SettingsError::Value { option: "compress", value: value.to_owned(), wanted })
        }
    }
}

fn count(value: &str) -> Result<u32, SettingsError> {
    let wanted = "a number from 1 on is wanted";
    let refuse = || SettingsError::Value { option: "max-file", value: value.to_owned(), wanted };
    value.parse().ok().filter(|count| *count > 0).ok_or_else(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(driver: &str, options: &[(&str, &str)]) -> Result<LogSettings, SettingsError> {
        let config = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        LogSettings::check(&LogConfig { driver: driver.to_owned(), config })
    }

    #[test]
    fn sizes_and_counts_are_dockers() {
        let settings = check("json-file", &[("max-size", "10m"), ("max-file", "3")]).expect("they fit");
        assert_eq!((settings.max_size, settings.max_files), (Some(10_000_000), 3));
        let settings = check("k8s-file", &[("max-size", "1KB")]).expect("it fits");
        assert_eq!((settings.max_size, settings.max_files), (Some(1_000), 1));
        assert_eq!(check("json-file", &[("max-size", "-1")]).expect("it fits").max_size, None);
        let options = [("max-size", "1k"), ("max-file", "2"), ("compress", "true"), ("mode", "blocking")];
        assert!(check("json-file", &options).expect("they fit").packs);
    }

    #[test]
    fn what_is_not_supported_is_named() {
        for (driver, options, text) in [
            ("syslog", &[][..], "syslog"),
            ("journald", &[], "journald"),
            ("json-file", &[("compress", "true"), ("max-size", "1m")], "max-file is less than 2"),
            ("json-file", &[("compress", "perhaps")], "compress=perhaps"),
            ("json-file", &[("mode", "non-blocking")], "mode=non-blocking"),
            ("json-file", &[("max-buffer-size", "1m")], "max-buffer-size"),
            ("k8s-file", &[("compress", "true")], "compress"),
            ("k8s-file", &[("tag", "x")], "tag"),
            ("none", &[("max-size", "1m")], "max-size"),
            ("json-file", &[("max-size", "0")], "max-size=0"),
            ("json-file", &[("max-size", "ten")], "max-size=ten"),
            ("json-file", &[("max-file", "0")], "max-file=0"),
        ] {
            let error = check(driver, options).expect_err(text).to_string();
            assert!(error.contains(text), "{error}");
        }
    }
}
