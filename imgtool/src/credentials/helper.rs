//! Credential helpers: programs called `docker-credential-NAME` that keep secrets in a keychain. They are asked with one
//! word, and with the key on standard input.

use super::{Credential, TOKEN_USER};
use serde::Deserialize;
use std::io::{self, Read as _, Write as _};
use std::process::{Command, ExitStatus, Stdio};

/// The most that a helper may say, in bytes.
const LIMIT: u64 = 1 << 20;

/// Why a helper did not help.
#[derive(Debug, thiserror::Error)]
pub enum HelperError {
    /// Its name is no name of a program.
    #[error("{0:?} is no name of a credential helper")]
    Name(String),
    /// It does not run.
    #[error("cannot run the credential helper {program:?}")]
    Run {
        /// Its name.
        program: String,
        /// What the kernel says.
        source: io::Error,
    },
    /// It failed.
    #[error("the credential helper '{program} {action}' failed ({status}): {message}")]
    Failed {
        /// Its name.
        program: String,
        /// What it was asked.
        action: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        message: String,
    },
    /// What it said cannot be understood.
    #[error("the credential helper {program:?} gave no credential")]
    Answer {
        /// Its name.
        program: String,
        /// Where and why.
        source: serde_json::Error,
    },
}

/// A helper.
#[derive(Debug)]
pub(super) struct Helper {
    program: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

impl Helper {
    pub(super) fn new(name: &str) -> Self {
        Self { program: format!("docker-credential-{name}") }
    }

    pub(super) fn program(&self) -> &str {
        &self.program
    }

    /// What it keeps under a key.
    pub(super) fn get(&self, key: &str) -> Result<Option<Credential>, HelperError> {
        let (status, output) = self.run("get", key.as_bytes())?;
        if !status.success() {
            // By convention of the protocol this text, on standard output, means that there is nothing.
            let message = String::from_utf8_lossy(&output).trim().to_owned();
            if message.contains("credentials not found") {
                return Ok(None);
            }
            return Err(self.failed("get", status, message));
        }
        let answer: Answer = serde_json::from_slice(&output)
            .map_err(|source| HelperError::Answer { program: self.program.clone(), source })?;
        let nothing = answer.username.is_empty() && answer.secret.is_empty();
        Ok((!nothing).then(|| Credential::new(answer.username, answer.secret)))
    }

    pub(super) fn store(&self, key: &str, credential: &Credential) -> Result<(), HelperError> {
        let (user, secret) = match credential {
            Credential::Password { user, secret } => (user.as_str(), secret),
            Credential::IdentityToken(token) => (TOKEN_USER, token),
        };
        let entry = serde_json::json!({ "ServerURL": key, "Username": user, "Secret": secret });
        self.must("store", entry.to_string().as_bytes())
    }

    pub(super) fn erase(&self, key: &str) -> Result<(), HelperError> {
        self.must("erase", key.as_bytes())
    }

    fn must(&self, action: &'static str, input: &[u8]) -> Result<(), HelperError> {
        let (status, output) = self.run(action, input)?;
        if status.success() {
            return Ok(());
        }
        Err(self.failed(action, status, String::from_utf8_lossy(&output).trim().to_owned()))
    }

    fn failed(&self, action: &'static str, status: ExitStatus, message: String) -> HelperError {
        HelperError::Failed { program: self.program.clone(), action, status, message }
    }

    fn run(&self, action: &str, input: &[u8]) -> Result<(ExitStatus, Vec<u8>), HelperError> {
        // A file of credentials must not name a program elsewhere.
        if self.program.contains('/') || has_control(&self.program) {
            return Err(HelperError::Name(self.program.clone()));
        }
        self.converse(action, input)
            .map_err(|source| HelperError::Run { program: self.program.clone(), source })
    }

    fn converse(&self, action: &str, input: &[u8]) -> io::Result<(ExitStatus, Vec<u8>)> {
        let mut child = Command::new(&self.program)
            .arg(action)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            match stdin.write_all(input) {
                // It may know what to say without reading.
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
                _ => {}
            }
        }
        let mut output = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            stdout.take(LIMIT).read_to_end(&mut output)?;
        }
        Ok((child.wait()?, output))
    }
}

/// A line break in a name or a secret would become a header of its own.
pub(super) fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}
