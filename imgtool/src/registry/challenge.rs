//! `WWW-Authenticate`: how a registry says what it wants to see (RFC 9110, section 11).

use std::fmt;

/// One challenge: a scheme and its parameters. A token in place of parameters (`Negotiate abc==`) is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The scheme in lower case.
    pub scheme: String,
    /// The parameters, their names in lower case.
    pub parameters: Vec<(String, String)>,
}

impl Challenge {
    /// The value of a parameter; of several the first counts.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.scheme)?;
        for (name, value) in &self.parameters {
            write!(formatter, " {name}={value:?}")?;
        }
        Ok(())
    }
}

/// The challenges of one header. The header may be repeated; the lists are then one after the other.
///
/// What cannot be understood ends the list: whatever stands before it counts, so that one odd scheme does not hide the
/// others.
#[must_use]
pub fn parse(header: &str) -> Vec<Challenge> {
    let mut scanner = Scanner { rest: header };
    let mut challenges: Vec<Challenge> = Vec::new();
    loop {
        scanner.skip(" \t,");
        let word = scanner.token();
        if word.is_empty() {
            return challenges;
        }
        let blanks = scanner.skip(" \t");
        // `name = value` belongs to the challenge before it; a word and then something else begins a new one.
        match (scanner.value(), challenges.last_mut()) {
            (Some(value), Some(challenge)) => challenge.parameters.push((word.to_ascii_lowercase(), value)),
            (Some(_), None) => {}
            (None, _) => {
                challenges.push(Challenge { scheme: word.to_ascii_lowercase(), parameters: Vec::new() });
                if blanks > 0 {
                    scanner.skip_token68();
                }
            }
        }
    }
}

struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    /// Skips characters of `set`, and says how many.
    fn skip(&mut self, set: &str) -> usize {
        let trimmed = self.rest.trim_start_matches(|c| set.contains(c));
        let count = self.rest.len() - trimmed.len();
        self.rest = trimmed;
        count
    }

    fn take_while(&mut self, allowed: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !allowed(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn token(&mut self) -> &'a str {
        self.take_while(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
    }

    /// The value after an equals sign; `None`, and nothing is taken, if there is no such sign.
    fn value(&mut self) -> Option<String> {
        let after = self.rest.strip_prefix('=')?;
        // `abc==` is a token and no parameter.
        if after.starts_with('=') {
            return None;
        }
        self.rest = after;
        self.skip(" \t");
        if self.rest.starts_with('"') { Some(self.quoted()) } else { Some(self.unquoted()) }
    }

    /// Some registries leave out the quotes around a URL or a scope, where RFC 9110 wants them.
    fn unquoted(&mut self) -> String {
        self.take_while(|c| !c.is_whitespace() && c != ',' && c != '"').to_owned()
    }

    fn quoted(&mut self) -> String {
        let mut value = String::new();
        let mut chars = self.rest[1..].char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[at + 2..];
                    return value;
                }
                '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
                _ => value.push(c),
            }
        }
        // The closing quote is missing: what is there is taken, and nothing follows.
        self.rest = "";
        value
    }

    /// Skips a token such as `YII==`, which some schemes have in place of parameters.
    fn skip_token68(&mut self) {
        let mut ahead = Scanner { rest: self.rest };
        let word = ahead.take_while(|c| c.is_ascii_alphanumeric() || "-._~+/".contains(c));
        ahead.skip("=");
        ahead.skip(" \t");
        let ends = ahead.rest.is_empty() || ahead.rest.starts_with(',');
        if !word.is_empty() && ends {
            self.rest = ahead.rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(header: &str) -> Vec<String> {
        parse(header).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_usual_challenge_is_read() {
        let header = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/ubuntu:pull""#;
        let challenges = parse(header);
        assert_eq!(challenges.len(), 1);
        assert_eq!(challenges[0].scheme, "bearer");
        assert_eq!(challenges[0].parameter("realm"), Some("https://auth.docker.io/token"));
        assert_eq!(challenges[0].parameter("scope"), Some("repository:library/ubuntu:pull"));
        assert_eq!(challenges[0].parameter("error"), None);
    }

    #[test]
    fn names_are_case_insensitive_and_values_are_not() {
        assert_eq!(shown("BEARER Realm=\"X\", SERVICE=y"), [r#"bearer realm="X" service="y""#]);
    }

    #[test]
    fn quoted_values_may_hold_commas_and_escaped_quotes() {
        assert_eq!(
            shown(r#"Bearer scope="repository:a:pull,push", realm="a \"b\" \\ c" , service="s""#),
            [r#"bearer scope="repository:a:pull,push" realm="a \"b\" \\ c" service="s""#]
        );
    }

    #[test]
    fn one_header_may_carry_several_challenges() {
        assert_eq!(
            shown(r#"Basic realm="a", Bearer realm="b",service="c", Negotiate, Digest x=y"#),
            [r#"basic realm="a""#, r#"bearer realm="b" service="c""#, "negotiate", r#"digest x="y""#]
        );
        assert_eq!(shown("Negotiate YII==, Basic realm=\"a\""), ["negotiate", r#"basic realm="a""#]);
        assert_eq!(shown("NTLM abc, Basic realm=a"), ["ntlm", r#"basic realm="a""#]);
    }

    #[test]
    fn what_is_odd_is_survived() {
        assert_eq!(shown(""), Vec::<String>::new());
        assert_eq!(shown(",, ,Basic"), ["basic"]);
        assert_eq!(shown("Bearer realm=\"no end"), [r#"bearer realm="no end""#]);
        assert_eq!(shown("Bearer realm = \"a\" service = b"), [r#"bearer realm="a" service="b""#]);
        assert_eq!(
            shown("Bearer realm=https://h/t?x=y,service=s"),
            [r#"bearer realm="https://h/t?x=y" service="s""#]
        );
        assert_eq!(shown("realm=\"a\", Basic"), ["basic"]);
        assert_eq!(shown("Basic realm=\"\u{e9}\\"), ["basic realm=\"\u{e9}\""]);
        assert_eq!(shown("Basic @@@ Bearer x=y"), ["basic"]);
    }
}
