//! A file of credentials.

use super::helper::{self, Helper};
use super::{Credential, CredentialError, Kept, fitting_keys, normal_key, server_key};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The longest such a file may be, in bytes.
const LIMIT: u64 = 4 << 20;

/// docker's `config.json` or podman's `auth.json`. Everything in it is kept, also what is not known here.
#[derive(Debug)]
pub struct AuthFile {
    path: PathBuf,
    content: Map<String, Value>,
}

impl AuthFile {
    /// Reads a file; `None` if there is none.
    ///
    /// # Errors
    /// [`CredentialError`]: it cannot be read, or is something else.
    pub fn load(path: &Path) -> Result<Option<Self>, CredentialError> {
        let failed = |source| CredentialError::Io { action: "read", path: path.to_owned(), source };
        let file = match fs::File::open(path) {
            Ok(file) => file,
            // An ordinary user may not look into root's directory, and there is nothing for them there.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(failed(error)),
        };
        let mut bytes = Vec::new();
        file.take(LIMIT).read_to_end(&mut bytes).map_err(failed)?;
        Self::parse(path, &bytes).map(Some)
    }

    /// Reads a file, or begins one.
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    pub fn load_or_new(path: &Path) -> Result<Self, CredentialError> {
        Ok(Self::load(path)?.unwrap_or_else(|| Self { path: path.to_owned(), content: Map::new() }))
    }

    /// The content of the file at `path`. An empty file has nothing.
    ///
    /// # Errors
    /// [`CredentialError::Json`].
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, CredentialError> {
        let path = path.to_owned();
        if bytes.trim_ascii().is_empty() {
            return Ok(Self { path, content: Map::new() });
        }
        match serde_json::from_slice(bytes) {
            Ok(content) => Ok(Self { path, content }),
            Err(source) => Err(CredentialError::Json { path, source }),
        }
    }

    /// What to log in with; the longest key that fits counts.
    ///
    /// # Errors
    /// [`CredentialError`]: what there is cannot be used, or a helper failed.
    pub fn lookup(&self, host: &str, repository: &str) -> Result<Option<Credential>, CredentialError> {
        if let Some(helper) = self.helper(host) {
            return Ok(helper.get(server_key(host))?);
        }
        let Some(Value::Object(auths)) = self.content.get("auths") else { return Ok(None) };
        for wanted in fitting_keys(host, repository) {
            for (key, entry) in auths.iter().filter(|(key, _)| normal_key(key) == wanted) {
                if let Some(credential) = self.credential(key, entry)? {
                    return Ok(Some(credential));
                }
            }
        }
        Ok(None)
    }

    /// The program that keeps the credentials of a registry, if one does.
    fn helper(&self, host: &str) -> Option<Helper> {
        let helpers = self.content.get("credHelpers").and_then(Value::as_object);
        let own = helpers.into_iter().flatten().find(|(key, _)| normal_key(key) == host);
        let all = || self.content.get("credsStore").and_then(Value::as_str);
        let name = own.and_then(|(_, name)| name.as_str()).or_else(all)?;
        (!name.is_empty()).then(|| Helper::new(name))
    }

    fn credential(&self, key: &str, entry: &Value) -> Result<Option<Credential>, CredentialError> {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        if let Some(token) = text("identitytoken") {
            return Ok(Some(Credential::IdentityToken(token.to_owned())));
        }
        if let (Some(user), Some(secret)) = (text("username"), text("password")) {
            return Ok(Some(Credential::new(user.to_owned(), secret.to_owned())));
        }
        // docker leaves an empty entry where a helper keeps the secret.
        let Some(auth) = text("auth") else { return Ok(None) };
        match decode(auth) {
            Some(credential) => Ok(Some(credential)),
            None => Err(CredentialError::Entry { path: self.path.clone(), key: key.to_owned() }),
        }
    }

    /// Keeps a credential: with the helper that the file names, else in the file.
    ///
    /// # Errors
    /// [`CredentialError`].
    pub fn store(mut self, host: &str, credential: &Credential) -> Result<Kept, CredentialError> {
        let key = server_key(host).to_owned();
        if let Some(helper) = self.helper(host) {
            helper.store(&key, credential)?;
            return Ok(Kept::Helper(helper.program().to_owned()));
        }
        let entry = match credential {
            Credential::Password { user, secret } => {
                serde_json::json!({ "auth": BASE64_STANDARD.encode(format!("{user}:{secret}")) })
            }
            Credential::IdentityToken(token) => {
                let auth = BASE64_STANDARD.encode(format!("{}:", super::TOKEN_USER));
                serde_json::json!({ "auth": auth, "identitytoken": token })
            }
        };
        match self.content.entry("auths").or_insert_with(|| Value::Object(Map::new())) {
            Value::Object(auths) => drop(auths.insert(key, entry)),
            other => *other = serde_json::json!({ key: entry }),
        }
        self.write()?;
        Ok(Kept::File(self.path))
    }

    /// Forgets a registry; whether there was something.
    ///
    /// # Errors
    /// [`CredentialError`].
    pub fn erase(mut self, host: &str) -> Result<bool, CredentialError> {
        let mut found = false;
        if let Some(helper) = self.helper(host) {
            found = helper.get(server_key(host))?.is_some();
            if found {
                helper.erase(server_key(host))?;
            }
        }
        if let Some(Value::Object(auths)) = self.content.get_mut("auths") {
            let before = auths.len();
            auths.retain(|key, _| normal_key(key) != host);
            if auths.len() != before {
                self.write()?;
                found = true;
            }
        }
        Ok(found)
    }

    /// Replaces the file as a whole; only its owner can read it. A link is followed, so that it stays one.
    fn write(&self) -> Result<(), CredentialError> {
        let failed = |source| CredentialError::Io { action: "write", path: self.path.clone(), source };
        let path = match fs::read_link(&self.path) {
            Ok(target) => self.path.parent().unwrap_or(Path::new("/")).join(target),
            Err(_) => self.path.clone(),
        };
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(failed)?;
        }
        let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
        let mut bytes = serde_json::to_vec_pretty(&self.content).map_err(|error| failed(error.into()))?;
        bytes.push(b'\n');
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let written = options.open(&temporary).and_then(|mut file| {
            file.write_all(&bytes)?;
            file.sync_all()
        });
        written.and_then(|()| fs::rename(&temporary, &path)).map_err(failed)
    }
}

/// `USER:PASSWORD` in base64; the password may have colons, and docker once padded it with zero bytes.
fn decode(auth: &str) -> Option<Credential> {
    let bytes = BASE64_STANDARD.decode(auth.trim()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, secret) = text.split_once(':')?;
    let secret = secret.trim_end_matches('\0');
    let usable = !user.is_empty() && !helper::has_control(user) && !helper::has_control(secret);
    usable.then(|| Credential::new(user.to_owned(), secret.to_owned()))
}
