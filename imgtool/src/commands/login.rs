//! `login` and `logout`.

use crate::cli::{Context, LoginArgs, LogoutArgs, ask, ask_secret};
use crate::credentials::{Credential, CredentialError, Credentials, Kept};
use crate::reference::{DOCKER_HUB, Reference, ReferenceError};
use crate::registry::{HostsError, Operation, RegistryError, Session};
use mydocker_cmdline::print;
use std::io::{self, Read as _};
use std::sync::Arc;

/// Why nobody was logged in or out.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The host is none.
    #[error("{host:?} is no registry's host")]
    Host {
        /// What was typed.
        host: String,
        /// Why.
        source: ReferenceError,
    },
    /// It is not known whom to ask.
    #[error(transparent)]
    Hosts(#[from] HostsError),
    /// The registry does not let in.
    #[error("cannot log in to {0}")]
    Registry(String, #[source] RegistryError),
    /// What is kept.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// Standard input or output.
    #[error("cannot ask for name and password")]
    Ask(#[from] io::Error),
    /// There is nothing to log in with.
    #[error("the {0} is empty; where nobody can be asked, --username and --password-stdin give both")]
    Empty(&'static str),
    /// A character that no password has.
    #[error("the {0} has a control character in it")]
    Control(&'static str),
}

/// Tries a name and a password with a registry, and keeps them if they are right.
///
/// # Errors
/// [`LoginError`]; then what was kept before still is.
pub fn login(args: &LoginArgs, context: &Context) -> Result<(), LoginError> {
    let (host, reference) = registry(args.host.as_deref())?;
    let connection = context.first_connection(&args.registry)?;
    let (user, secret) = questions(args)?;
    let credential = Credential::Password { user, secret };
    let tried = Arc::new(Credentials::given(credential.clone()));
    let mut result = Err(RegistryError::LoginNeeded { host: host.clone() });
    for endpoint in connection.hosts.endpoints(&reference, Operation::Push)? {
        let guessed = endpoint.guessed;
        let (http, cancel) = (Arc::clone(&connection.http), Arc::clone(&connection.cancel));
        result = Session::new(endpoint, http, Arc::clone(&tried), cancel).log_in();
        let settled = !matches!(&result, Err(error) if error.is_about_speaking());
        if settled || !guessed {
            break;
        }
    }
    let identity = result.map_err(|error| LoginError::Registry(host.clone(), error))?;
    let credential = identity.map_or(credential, Credential::IdentityToken);
    let kept = match connection.credentials.store(&host, &credential)? {
        Kept::File(path) => format!(", and kept what it needs in {}", path.display()),
        Kept::Helper(program) => format!(", and {program} keeps what it needs"),
    };
    Ok(print(&format!("Login Succeeded{kept}\n"))?)
}

/// Forgets what is kept for a registry.
///
/// # Errors
/// [`LoginError`].
pub fn logout(args: &LogoutArgs, context: &Context) -> Result<(), LoginError> {
    let (host, _) = registry(args.host.as_deref())?;
    let credentials = Credentials::new(&context.environment, args.authfile.as_deref());
    let text = match credentials.erase(&host)? {
        true => format!("Removed what was kept for {host}\n"),
        false => format!("Not logged in to {host}\n"),
    };
    Ok(print(&text)?)
}

/// The host as it stands in references, and a name at which it can be looked up in the configuration.
fn registry(typed: Option<&str>) -> Result<(String, Reference), LoginError> {
    let typed = typed.unwrap_or(DOCKER_HUB);
    let bare = typed.strip_prefix("https://").or_else(|| typed.strip_prefix("http://")).unwrap_or(typed);
    let bare = bare.split('/').next().unwrap_or_default();
    let named = Reference::parse(&format!("{bare}/login"));
    match named {
        // A host without dot or port is taken for a part of a repository's name: docker's rule.
        Ok(reference) if reference.host() == DOCKER_HUB && !bare.ends_with("docker.io") => {
            let source = ReferenceError::Missing {
                text: typed.to_owned(),
                part: crate::reference::Part::Host,
                position: 1,
            };
            Err(LoginError::Host { host: typed.to_owned(), source })
        }
        Ok(reference) => Ok((reference.host().to_owned(), reference)),
        Err(source) => Err(LoginError::Host { host: typed.to_owned(), source }),
    }
}

fn questions(args: &LoginArgs) -> Result<(String, String), LoginError> {
    let user = match &args.username {
        Some(user) => user.clone(),
        None => ask("Username: ")?,
    };
    let secret = match &args.password {
        Some(secret) => secret.clone(),
        None if args.password_stdin => {
            let mut text = String::new();
            io::stdin().lock().take(64 << 10).read_to_string(&mut text)?;
            text.trim_end_matches(['\r', '\n']).to_owned()
        }
        None => ask_secret("Password: ")?,
    };
    for (what, text) in [("name", &user), ("password", &secret)] {
        if text.is_empty() {
            return Err(LoginError::Empty(what));
        }
        if text.chars().any(char::is_control) {
            return Err(LoginError::Control(what));
        }
    }
    Ok((user, secret))
}
