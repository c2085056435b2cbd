//! Platforms: what an image runs on, and which entry of an index suits a host.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What an image runs on (image-spec, image-index.md, `platform`); names are those of Go's GOOS and GOARCH.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// The processor, such as `amd64`.
    pub architecture: String,
    /// The operating system, such as `linux`.
    pub os: String,
    /// The version of the operating system, for Windows.
    #[serde(default, rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Features of the operating system that are needed, for Windows.
    #[serde(default, rename = "os.features", skip_serializing_if = "Option::is_none")]
    pub os_features: Option<Vec<String>>,
    /// The variant of the processor, such as `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// A text that is no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no platform: {problem}; write OS/ARCHITECTURE[/VARIANT], such as linux/arm64 or linux/arm/v7"
)]
pub struct PlatformError {
    text: String,
    problem: String,
}

impl Platform {
    /// A platform of an operating system and an architecture.
    #[must_use]
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let variant = variant.map(str::to_owned);
        Self {
            architecture: architecture.to_owned(),
            os: os.to_owned(),
            os_version: None,
            os_features: None,
            variant,
        }
        .normal()
    }

    /// The platform of this host.
    #[must_use]
    pub fn host() -> Self {
        Self::new(std::env::consts::OS, std::env::consts::ARCH, None)
    }

    /// Parses `os/architecture`, `os/architecture/variant`, or an operating system or an architecture alone, the rest
    /// being the host's; names that `uname -m` gives are understood.
    ///
    /// # Errors
    /// [`PlatformError`] for empty or too many parts, characters that no name has, and a lone name that is neither.
    pub fn parse(text: &str) -> Result<Self, PlatformError> {
        let wrong = |problem: String| PlatformError { text: text.to_owned(), problem };
        let parts: Vec<String> = text.split('/').map(str::to_ascii_lowercase).collect();
        for part in &parts {
            let allowed = |c: &char| c.is_ascii_alphanumeric() || "_-.".contains(*c);
            if part.is_empty() {
                return Err(wrong("a part of it is empty".to_owned()));
            }
            if let Some(character) = part.chars().find(|c| !allowed(c)) {
                return Err(wrong(format!("{character:?} cannot be in it")));
            }
        }
        match parts.as_slice() {
            [os, architecture] => Ok(Self::new(os, architecture, None)),
            [os, architecture, variant] => Ok(Self::new(os, architecture, Some(variant))),
            [word] => Self::of_one_word(word).ok_or_else(|| {
                wrong("it is neither an operating system nor an architecture that is known".to_owned())
            }),
            _ => Err(wrong("it has more than three parts".to_owned())),
        }
    }

    fn of_one_word(word: &str) -> Option<Self> {
        const SYSTEMS: &[&str] = &["linux", "windows", "darwin", "freebsd", "netbsd", "openbsd", "wasip1"];
        const ARCHITECTURES: &[&str] = &[
            "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64",
            "ppc64le", "riscv64", "s390x", "wasm",
        ];
        let host = Self::host();
        if SYSTEMS.contains(&word) {
            return Some(Self::new(word, &host.architecture, host.variant.as_deref()));
        }
        let platform = Self::new(&host.os, word, None);
        ARCHITECTURES.contains(&platform.architecture.as_str()).then_some(platform)
    }

    /// The same platform under the names that registries use: `x86_64` is `amd64`, `aarch64` and `arm64/v8` are `arm64`,
    /// `arm` is `arm/v7`, `amd64/v1` is `amd64`.
    #[must_use]
    pub fn normal(mut self) -> Self {
        let variant = self.variant.take().filter(|variant| !variant.is_empty());
        let (architecture, variant) = match (self.architecture.as_str(), variant.as_deref()) {
            ("x86_64" | "x86-64" | "amd64", None | Some("v1")) => ("amd64", None),
            ("x86_64" | "x86-64" | "amd64", other) => ("amd64", other),
            ("i386" | "i486" | "i586" | "i686" | "x86" | "386", _) => ("386", None),
            ("aarch64" | "arm64", None | Some("8" | "v8" | "v8.0")) => ("arm64", None),
            ("aarch64" | "arm64", other) => ("arm64", other),
            ("armhf", _) | ("arm", None | Some("7")) => ("arm", Some("v7")),
            ("armel", _) | ("arm", Some("6")) => ("arm", Some("v6")),
            ("arm", Some("5")) => ("arm", Some("v5")),
            ("arm", Some("8")) => ("arm", Some("v8")),
            ("powerpc64le", other) => ("ppc64le", other),
            ("loongarch64", other) => ("loong64", other),
            (architecture, other) => (architecture, other),
        };
        (self.architecture, self.variant) = (architecture.to_owned(), variant.map(str::to_owned));
        if self.os == "macos" {
            self.os = "darwin".to_owned();
        }
        self
    }

    /// How well an image for `offered` runs on this platform: 0 is exact, more is an older variant of the processor;
    /// `None` means that it does not.
    #[must_use]
    pub fn accepts(&self, offered: &Self) -> Option<u32> {
        let (wanted, offered) = (self.clone().normal(), offered.clone().normal());
        if wanted.os != offered.os || wanted.architecture != offered.architecture {
            return None;
        }
        if wanted.variant == offered.variant {
            return Some(0);
        }
        match wanted.architecture.as_str() {
            "arm" | "amd64" | "arm64" => older_by(&wanted, &offered),
            // For the others no order of variants is known: an image that names none is the plain one.
            _ => offered.variant.is_none().then_some(1),
        }
    }
}

/// How many steps the offered variant is behind the wanted one: a processor runs what was made for those before it.
fn older_by(wanted: &Platform, offered: &Platform) -> Option<u32> {
    let wanted = generation(wanted)?;
    let offered = generation(offered)?;
    wanted.checked_sub(offered)
}

/// The variant as a number that orders it, in tenths: `v8.2` is 82.
fn generation(platform: &Platform) -> Option<u32> {
    let plain = match platform.architecture.as_str() {
        "amd64" => "v1",
        _ => "v8",
    };
    let text = platform.variant.as_deref().unwrap_or(plain).strip_prefix('v')?;
    let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
    let (major, minor): (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
    // An arm64 v9.0 runs what was made for v8.5, and no less is said of what lies between.
    major.checked_mul(10)?.checked_add(minor.min(9))
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) if !variant.is_empty() => write!(formatter, "/{variant}"),
            _ => Ok(()),
        }
    }
}

impl std::str::FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        Platform::parse(text).expect(text)
    }

    fn fit(wanted: &str, offered: &str) -> Option<u32> {
        platform(wanted).accepts(&platform(offered))
    }

    #[test]
    fn names_of_uname_are_those_of_registries() {
        assert_eq!(platform("linux/x86_64").to_string(), "linux/amd64");
        assert_eq!(platform("linux/aarch64").to_string(), "linux/arm64");
        assert_eq!(platform("linux/arm64/v8").to_string(), "linux/arm64");
        assert_eq!(platform("linux/arm").to_string(), "linux/arm/v7");
        assert_eq!(platform("Linux/AMD64").to_string(), "linux/amd64");
    }

    #[test]
    fn one_word_is_a_system_or_an_architecture() {
        assert_eq!(platform("arm64"), platform(&format!("{}/arm64", Platform::host().os)));
        assert_eq!(platform("windows").os, "windows");
        assert!(Platform::parse("vax").is_err());
    }

    #[test]
    fn what_is_no_platform_is_refused() {
        for text in ["", "linux/", "/amd64", "linux/arm/v7/x", "linux/a md", "linux/\u{e9}"] {
            let error = Platform::parse(text).expect_err(text).to_string();
            assert!(error.contains("OS/ARCHITECTURE"), "{error}");
        }
    }

    #[test]
    fn arm_falls_back_from_v8_to_v5() {
        assert_eq!(fit("linux/arm/v8", "linux/arm/v7"), Some(10));
        assert_eq!(fit("linux/arm/v7", "linux/arm/v5"), Some(20));
        assert_eq!(fit("linux/arm/v6", "linux/arm/v7"), None);
    }

    #[test]
    fn arm64_v8_is_arm64_and_amd64_levels_fall_back() {
        assert_eq!(fit("linux/arm64/v8", "linux/arm64"), Some(0));
        assert_eq!(fit("linux/arm64/v9", "linux/arm64"), Some(10));
        assert_eq!(fit("linux/arm64", "linux/arm64/v8.2"), None);
        assert_eq!(fit("linux/amd64/v3", "linux/amd64"), Some(20));
        assert_eq!(fit("linux/amd64", "linux/amd64/v2"), None);
    }

    #[test]
    fn other_systems_and_architectures_do_not_fit() {
        assert_eq!(fit("linux/amd64", "windows/amd64"), None);
        assert_eq!(fit("linux/amd64", "linux/arm64"), None);
        assert_eq!(fit("linux/riscv64", "linux/riscv64"), Some(0));
    }
}
