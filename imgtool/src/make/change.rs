//! `--change`: instructions of a Dockerfile that change how an image is run.

use super::health;
use crate::image::{ContainerConfig, Healthcheck};
use serde_json::Value;

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigChange {
    /// `CMD`: the arguments.
    Cmd(Vec<String>),
    /// `ENTRYPOINT`: what is run; arguments of the base are not meant for it.
    Entrypoint(Vec<String>),
    /// `ENV`: variables.
    Env(Vec<(String, String)>),
    /// `EXPOSE`: ports such as `80/tcp`.
    Expose(Vec<String>),
    /// `HEALTHCHECK`: how to see whether it is well.
    HealthCheck(Healthcheck),
    /// `LABEL`: what else there is to say.
    Label(Vec<(String, String)>),
    /// `ONBUILD`: an instruction for who builds on the image.
    OnBuild(String),
    /// `STOPSIGNAL`: what asks it to end.
    StopSignal(String),
    /// `USER`: who runs it.
    User(String),
    /// `VOLUME`: directories whose content outlives the container.
    Volume(Vec<String>),
    /// `WORKDIR`: where it is run; a relative one is meant from where it was.
    WorkDir(String),
}

/// A text that is no such instruction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// It begins with no instruction that can be used.
    #[error(
        "{0:?} is no change that is supported; there are CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME and WORKDIR"
    )]
    Unknown(String),
    /// It does not go on as it should.
    #[error("{text:?} is no valid change: {problem}")]
    Invalid {
        /// The whole text.
        text: String,
        /// What is wrong.
        problem: &'static str,
    },
}

impl ConfigChange {
    /// Parses `INSTRUCTION ARGUMENTS`, as docker does.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub fn parse(text: &str) -> Result<Self, ChangeError> {
        let text = text.trim();
        let (word, rest) = take_word(text);
        let name = word.to_ascii_uppercase();
        let wrong = |problem| ChangeError::Invalid { text: text.to_owned(), problem };
        if rest.is_empty() && KNOWN.contains(&name.as_str()) {
            return Err(wrong("nothing follows the instruction"));
        }
        match name.as_str() {
            "CMD" => Ok(Self::Cmd(command(rest))),
            "ENTRYPOINT" => Ok(Self::Entrypoint(command(rest))),
            "ENV" => Ok(Self::Env(pairs(rest).map_err(wrong)?)),
            "LABEL" => Ok(Self::Label(pairs(rest).map_err(wrong)?)),
            "EXPOSE" => Ok(Self::Expose(ports(rest).map_err(wrong)?)),
            "HEALTHCHECK" => health::parse(rest).map(Self::HealthCheck).map_err(wrong),
            "ONBUILD" => on_build(rest).map_err(wrong),
            "STOPSIGNAL" => one(rest).map(Self::StopSignal).map_err(wrong),
            "USER" => one(rest).map(Self::User).map_err(wrong),
            "VOLUME" => Ok(Self::Volume(
                list(rest).unwrap_or_else(|| rest.split_whitespace().map(str::to_owned).collect()),
            )),
            "WORKDIR" => Ok(Self::WorkDir(rest.to_owned())),
            _ => Err(ChangeError::Unknown(text.to_owned())),
        }
    }

    /// Makes changes one after the other.
    pub fn apply_all(changes: &[Self], config: &mut ContainerConfig) {
        let mut sets_command = false;
        for change in changes {
            sets_command |= matches!(change, Self::Cmd(_));
            change.apply(config, sets_command);
        }
    }

    fn apply(&self, config: &mut ContainerConfig, keeps_command: bool) {
        let empty = || Value::Object(serde_json::Map::new());
        match self {
            Self::Cmd(words) => config.cmd = Some(words.clone()),
            Self::Entrypoint(words) => {
                config.entrypoint = Some(words.clone());
                config.cmd = config.cmd.take().filter(|_| keeps_command);
            }
            Self::Env(pairs) => pairs.iter().for_each(|(name, value)| set_variable(config, name, value)),
            Self::Expose(ports) => {
                config.exposed_ports.extend(ports.iter().map(|port| (port.clone(), empty())))
            }
            Self::HealthCheck(check) => config.healthcheck = Some(check.clone()),
            Self::Label(pairs) => config.labels.extend(pairs.iter().cloned()),
            Self::OnBuild(instruction) => {
                let list = config.other.entry("OnBuild").or_insert(Value::Null);
                let mut all = list.as_array().cloned().unwrap_or_default();
                all.push(instruction.as_str().into());
                *list = all.into();
            }
            Self::StopSignal(signal) => config.stop_signal = Some(signal.clone()),
            Self::User(user) => config.user.clone_from(user),
            Self::Volume(paths) => config.volumes.extend(paths.iter().map(|path| (path.clone(), empty()))),
            Self::WorkDir(path) => config.working_dir = directory(&config.working_dir, path),
        }
    }
}

const KNOWN: [&str; 11] = [
    "CMD",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "ONBUILD",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// A variable keeps its place.
fn set_variable(config: &mut ContainerConfig, name: &str, value: &str) {
    let text = format!("{name}={value}");
    let is_it = |known: &&mut String| known.split_once('=').is_some_and(|(known, _)| known == name);
    match config.env.iter_mut().find(is_it) {
        Some(known) => *known = text,
        None => config.env.push(text),
    }
}

fn directory(before: &str, path: &str) -> String {
    if path.starts_with('/') {
        return path.to_owned();
    }
    format!("/{}/{path}", before.trim_matches('/')).replace("//", "/")
}

/// The first word, and what follows the blanks behind it.
pub(super) fn take_word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim())
}

/// A list in JSON; `None` for what is none.
pub(super) fn list(text: &str) -> Option<Vec<String>> {
    text.starts_with('[').then(|| serde_json::from_str(text).ok()).flatten()
}

/// A list in JSON is run as it is, any other text by a shell.
fn command(text: &str) -> Vec<String> {
    list(text).unwrap_or_else(|| ["/bin/sh", "-c", text].map(str::to_owned).to_vec())
}

fn one(text: &str) -> Result<String, &'static str> {
    match words(text)?.as_slice() {
        [word] => Ok(word.clone()),
        _ => Err("it takes one word"),
    }
}

/// `NAME=VALUE ...`, or `NAME VALUE` as in old Dockerfiles.
fn pairs(text: &str) -> Result<Vec<(String, String)>, &'static str> {
    let first = text.split_whitespace().next().unwrap_or_default();
    if !first.contains('=') {
        let (name, value) = text.split_once(char::is_whitespace).ok_or("it takes NAME=VALUE")?;
        return Ok(vec![(name.to_owned(), value.trim().to_owned())]);
    }
    let pair = |word: &String| {
        let (name, value) = word.split_once('=').ok_or("a word of it is not NAME=VALUE")?;
        if name.is_empty() { Err("a name of it is empty") } else { Ok((name.to_owned(), value.to_owned())) }
    };
    words(text)?.iter().map(pair).collect()
}

/// Words between blanks; quotes and backslashes are as in a shell.
fn words(text: &str) -> Result<Vec<String>, &'static str> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match (quote, character) {
            (None, blank) if blank.is_whitespace() => words.extend(word.take()),
            (None, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (Some(open), close) if open == close => quote = None,
            (None | Some('"'), '\\') => {
                let next = rest.next().ok_or("it ends with a backslash")?;
                word.get_or_insert_default().push(next);
            }
            _ => word.get_or_insert_default().push(character),
        }
    }
    if quote.is_some() {
        return Err("a quote of it is not closed");
    }
    words.extend(word);
    Ok(words)
}

/// `PORT[-PORT][/PROTOCOL] ...`
fn ports(text: &str) -> Result<Vec<String>, &'static str> {
    let mut ports = Vec::new();
    for word in text.split_whitespace() {
        let (range, protocol) = word.split_once('/').unwrap_or((word, "tcp"));
        if !matches!(protocol, "tcp" | "udp" | "sctp") {
            return Err("the protocol of a port is not tcp, udp or sctp");
        }
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
        let (Some(first), Some(last)) = (number(first), number(last)) else {
            return Err("a port of it is no number from 1 to 65535");
        };
        if first > last {
            return Err("a range of ports in it ends before it begins");
        }
        ports.extend((first..=last).map(|port| format!("{port}/{protocol}")));
    }
    Ok(ports)
}

fn on_build(text: &str) -> Result<ConfigChange, &'static str> {
    let word = text.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    if matches!(word.as_str(), "ONBUILD" | "FROM" | "MAINTAINER") {
        return Err("ONBUILD cannot trigger ONBUILD, FROM or MAINTAINER");
    }
    Ok(ConfigChange::OnBuild(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(base: ContainerConfig, texts: &[&str]) -> ContainerConfig {
        let mut config = base;
        let changes: Vec<_> = texts.iter().map(|text| ConfigChange::parse(text).expect(text)).collect();
        ConfigChange::apply_all(&changes, &mut config);
        config
    }

    #[test]
    fn instructions_change_what_they_do_in_a_dockerfile() {
        let base = ContainerConfig {
            env: vec!["A=1".to_owned(), "B=2".to_owned()],
            cmd: Some(vec!["old".to_owned()]),
            working_dir: "/srv".to_owned(),
            ..ContainerConfig::default()
        };
        let config = changed(
            base,
            &[
                "ENV A=x C=\"two words\" D=a\\ b",
                "env E one two",
                "ENTRYPOINT [\"/entry\", \"-x\"]",
                "EXPOSE 80 90-91/udp",
                "LABEL a.b=c 'd e'=f",
                "ONBUILD RUN make",
                "ONBUILD RUN install",
                "USER web:web",
                "VOLUME [\"/data\", \"/more\"]",
                "VOLUME /x /y",
                "WORKDIR app",
                "STOPSIGNAL SIGQUIT",
            ],
        );
        assert_eq!(config.env, ["A=x", "B=2", "C=two words", "D=a b", "E=one two"]);
        assert_eq!(
            (config.entrypoint.as_deref(), config.cmd),
            (Some(&["/entry".to_owned(), "-x".into()][..]), None)
        );
        assert_eq!(config.exposed_ports.into_keys().collect::<Vec<_>>(), ["80/tcp", "90/udp", "91/udp"]);
        assert_eq!((&*config.labels["a.b"], &*config.labels["d e"]), ("c", "f"));
        assert_eq!(config.other["OnBuild"], serde_json::json!(["RUN make", "RUN install"]));
        assert_eq!((&*config.user, &*config.working_dir), ("web:web", "/srv/app"));
        assert_eq!(config.volumes.into_keys().collect::<Vec<_>>(), ["/data", "/more", "/x", "/y"]);
        assert_eq!(config.stop_signal.as_deref(), Some("SIGQUIT"));
        let shell = changed(ContainerConfig::default(), &["CMD echo $A"]);
        assert_eq!(shell.cmd.expect("a command"), ["/bin/sh", "-c", "echo $A"]);
        let both = changed(shell_base(), &["HEALTHCHECK NONE", "CMD [\"arg\"]", "ENTRYPOINT [\"/entry\"]"]);
        assert_eq!(both.cmd.expect("that of the changes"), ["arg"]);
        assert_eq!(both.healthcheck.expect("none").test, ["NONE"]);
        assert_eq!(changed(shell_base(), &["ENTRYPOINT [\"/entry\"]"]).cmd, None);
    }

    fn shell_base() -> ContainerConfig {
        ContainerConfig { cmd: Some(vec!["sh".to_owned()]), ..ContainerConfig::default() }
    }

    #[test]
    fn what_is_no_change_is_refused_with_what_is_wrong() {
        for (text, says) in [
            ("RUN make", "CMD, ENTRYPOINT"),
            ("HEALTHCHECK", "nothing follows"),
            ("HEALTHCHECK true", "CMD or NONE"),
            ("", "CMD, ENTRYPOINT"),
            ("ENV", "nothing follows"),
            ("ENV A", "NAME=VALUE"),
            ("ENV A=\"x", "not closed"),
            ("ENV A=1 B", "not NAME=VALUE"),
            ("ENV =1", "empty"),
            ("EXPOSE 0", "1 to 65535"),
            ("EXPOSE 9-8", "ends before"),
            ("EXPOSE 80/icmp", "tcp, udp or sctp"),
            ("USER a b", "one word"),
            ("ONBUILD FROM x", "cannot trigger"),
        ] {
            let error = ConfigChange::parse(text).expect_err(text).to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
