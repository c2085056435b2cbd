//! The version of the specification that a bundle complies with (config.md, Specification version).

use super::report::{At, Report};

/// It MUST be a version of Semantic Versioning 2.0.0; a later minor version is compatible, another major one is not.
pub(super) fn check(report: &mut Report, at: At<'_>, version: &str) {
    match major(version) {
        Some("1") => {}
        Some(major) => report.refuse(
            at,
            format!("version {major} of the specification is not supported"),
            format!("this runtime knows 1, up to {}", crate::spec::OCI_VERSION),
        ),
        None => report.refuse(at, format!("{version:?} is not a version"), "write it as in 1.3.0"),
    }
}

/// The major number of what is a semantic version.
fn major(version: &str) -> Option<&str> {
    let (version, build) = cut(version, '+');
    let (core, prerelease) = cut(version, '-');
    let mut numbers = core.split('.');
    let (major, minor, patch) = (numbers.next()?, numbers.next()?, numbers.next()?);
    let well_formed = numbers.next().is_none()
        && [major, minor, patch].into_iter().all(is_number)
        && build.is_none_or(|build| build.split('.').all(is_identifier))
        && prerelease.is_none_or(|list| list.split('.').all(is_prerelease));
    well_formed.then_some(major)
}

fn cut(text: &str, separator: char) -> (&str, Option<&str>) {
    text.split_once(separator).map_or((text, None), |(before, after)| (before, Some(after)))
}

fn is_number(text: &str) -> bool {
    let leading_zero = text.len() > 1 && text.starts_with('0');
    !text.is_empty() && !leading_zero && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn is_prerelease(text: &str) -> bool {
    is_identifier(text) && (is_number(text) || !text.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_semantic_versions_have_a_major_number() {
        for good in ["1.0.0", "1.0.2-dev", "1.0.0-rc1", "1.3.0+build.7", "1.2.0-rc.1+dirty", "1.0.0--"] {
            assert_eq!(major(good), Some("1"), "{good}");
        }
        for bad in
            ["", "1", "1.0", "v1.0.0", "01.0.0", "1.0.0.0", "1..0", "1.0.0-", "1.0.0+", "1.0.0-01", " 1.0.0"]
        {
            assert_eq!(major(bad), None, "{bad}");
        }
    }
}
