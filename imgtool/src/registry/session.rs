//! Requests to one server that are let in, redirected, and repeated when it is worth while.

use super::challenge::{self, Challenge};
use super::error::{RegistryError, is_transient};
use super::hosts::Endpoint;
use super::http::{Body, Http, Method, Request, Response};
use super::retry::{self, ATTEMPTS, Cancel};
use super::token::{Token, TokenRequest, basic, read_token};
use super::url::{Scheme, Url};
use crate::credentials::{Credential, Credentials};
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

/// How often a request is redirected at the most.
const REDIRECTS: u32 = 10;

/// The most of an error's text that is read, in bytes.
const DETAIL_LIMIT: u64 = 64 << 10;

/// What a request is allowed to do, as it is written in a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Manifests and blobs are read.
    Pull,
    /// They are written too.
    Push,
}

/// What is sent, in a form that can be sent again.
#[derive(Debug, Clone, Copy)]
pub enum Content<'a> {
    /// Nothing.
    None,
    /// These bytes.
    Bytes(&'a [u8]),
    /// A part of a file: its offset and its length in bytes.
    File(&'a File, u64, u64),
}

/// A request in a form that can be sent again.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    /// What is to be done.
    pub method: Method,
    /// Where.
    pub url: Url,
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
    /// What is sent.
    pub content: Content<'a>,
    /// What it has to be allowed to do.
    pub scope: String,
}

/// One server, and what it told so far.
#[derive(Debug)]
pub struct Session {
    endpoint: Endpoint,
    http: Arc<Http>,
    credentials: Arc<Credentials>,
    cancel: Arc<Cancel>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How it wants to be convinced, since it said so.
    way: Option<Way>,
    tokens: HashMap<String, Token>,
    credential: Option<Option<Credential>>,
    warnings: BTreeSet<String>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("State").field("way", &self.way).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone)]
enum Way {
    Basic,
    Bearer(Challenge),
}

impl Session {
    /// A session in which nothing was said yet.
    #[must_use]
    pub fn new(
        endpoint: Endpoint,
        http: Arc<Http>,
        credentials: Arc<Credentials>,
        cancel: Arc<Cancel>,
    ) -> Self {
        Self { endpoint, http, credentials, cancel, state: Mutex::default() }
    }

    /// The server.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What ends all waits.
    #[must_use]
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// What the server warned of (`Warning: 299`), each once.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.lock().warnings.iter().cloned().collect()
    }

    /// The scope of this repository.
    #[must_use]
    pub fn scope(&self, access: Access) -> String {
        let actions = match access {
            Access::Pull => "pull",
            Access::Push => "pull,push",
        };
        format!("repository:{}:{actions}", self.endpoint.repository)
    }

    /// A URL below the repository, such as `manifests/latest`.
    #[must_use]
    pub fn url(&self, path: &str) -> Url {
        let base = &self.endpoint.base;
        let target = format!("{}/{}/{path}", base.target.trim_end_matches('/'), self.endpoint.repository);
        let url = Url::on(&base.origin, &target);
        match &self.endpoint.namespace {
            Some(namespace) => url.with_query("ns", namespace),
            None => url,
        }
    }

    /// Sends a request until there is an answer that does not pass: what is refused for a while is asked for again.
    ///
    /// # Errors
    /// [`RegistryError`]; an answer with a bad status is an answer.
    pub fn send(&self, ask: &Ask<'_>) -> Result<Response, RegistryError> {
        self.repeat(|| self.admitted(ask))
    }

    fn repeat(
        &self,
        mut send: impl FnMut() -> Result<Response, RegistryError>,
    ) -> Result<Response, RegistryError> {
        let mut attempt = 1;
        loop {
            let result = send();
            let asked = match &result {
                Ok(response) if is_transient(response.status) => retry_after(response),
                Err(error) if error.is_transient() && !self.endpoint.guessed => None,
                _ => return result,
            };
            if attempt == ATTEMPTS {
                return result;
            }
            if let Ok(response) = result {
                response.drain();
            }
            self.pause(attempt, asked)?;
            attempt += 1;
        }
    }

    /// Waits before another attempt.
    ///
    /// # Errors
    /// [`RegistryError::Cancelled`].
    pub fn pause(&self, attempt: u32, asked: Option<std::time::Duration>) -> Result<(), RegistryError> {
        let delay = retry::delay(attempt, asked, retry::random());
        if self.cancel.wait(delay) { Ok(()) } else { Err(RegistryError::Cancelled) }
    }

    /// Sends a request, and shows what the server wants to see if it does.
    fn admitted(&self, ask: &Ask<'_>) -> Result<Response, RegistryError> {
        let mut response = self.follow(ask, self.known(&ask.scope)?)?;
        for refusal in 1..=2 {
            if response.status != 401 || !self.is_own(&response) {
                break;
            }
            let texts = response.headers("www-authenticate");
            let challenges: Vec<_> = texts.iter().flat_map(|text| challenge::parse(text)).collect();
            let insufficient =
                challenges.iter().any(|challenge| challenge.parameter("error") == Some("insufficient_scope"));
            // The first refusal says what is wanted; a second one is final, unless it says that more is wanted.
            if refusal == 2 && !insufficient {
                break;
            }
            response.drain();
            response = self.follow(ask, Some(self.convince(&challenges, &ask.scope)?))?;
        }
        self.note_warnings(&response);
        Ok(response)
    }

    /// Whether an answer is the server's, and not that of a place that it redirected to.
    fn is_own(&self, response: &Response) -> bool {
        response.url.origin == self.endpoint.base.origin
    }

    /// The header for a scope, if it is known what the server wants.
    fn known(&self, scope: &str) -> Result<Option<String>, RegistryError> {
        let (way, token) = {
            let state = self.lock();
            (state.way.clone(), state.tokens.get(scope).cloned())
        };
        match way {
            None => Ok(None),
            Some(Way::Basic) => self.basic_header().map(Some),
            Some(Way::Bearer(_)) if token.as_ref().is_some_and(Token::is_fresh) => {
                Ok(token.map(|token| token.header()))
            }
            Some(Way::Bearer(challenge)) => Ok(Some(self.token(&challenge, scope, scope)?.header())),
        }
    }

    /// The header that the challenges ask for.
    fn convince(&self, challenges: &[Challenge], scope: &str) -> Result<String, RegistryError> {
        let named = |scheme: &str| challenges.iter().find(|challenge| challenge.scheme == scheme);
        if let Some(challenge) = named("bearer") {
            let offered = challenge.parameter("scope").unwrap_or_default();
            let wanted = format!("{scope} {offered}");
            self.lock().way = Some(Way::Bearer(challenge.clone()));
            return Ok(self.token(challenge, &wanted, scope)?.header());
        }
        if named("basic").is_some() {
            let header = self.basic_header()?;
            self.lock().way = Some(Way::Basic);
            return Ok(header);
        }
        let host = self.endpoint.credentials_host.clone();
        let schemes = challenges.iter().map(|challenge| challenge.scheme.clone()).collect();
        Err(RegistryError::UnknownScheme { host, schemes })
    }

    fn basic_header(&self) -> Result<String, RegistryError> {
        match self.credential()? {
            Some(Credential::Password { user, secret }) => Ok(basic(&user, &secret)),
            _ => Err(RegistryError::LoginNeeded { host: self.endpoint.credentials_host.clone() }),
        }
    }

    /// What is kept for this repository; it is looked up once.
    fn credential(&self) -> Result<Option<Credential>, RegistryError> {
        if let Some(credential) = &self.lock().credential {
            return Ok(credential.clone());
        }
        let found = self.credentials.lookup(&self.endpoint.credentials_host, &self.endpoint.repository)?;
        self.lock().credential = Some(found.clone());
        Ok(found)
    }

    /// A new token for `scopes`, kept under `key`.
    fn token(&self, challenge: &Challenge, scopes: &str, key: &str) -> Result<Token, RegistryError> {
        let token = self.ask_token(challenge, scopes, false)?;
        self.lock().tokens.insert(key.to_owned(), token.clone());
        Ok(token)
    }

    fn ask_token(&self, challenge: &Challenge, scopes: &str, lasting: bool) -> Result<Token, RegistryError> {
        let request = TokenRequest::new(challenge, &self.endpoint, scopes)?;
        let credential = self.credential()?;
        let same = *request.origin() == self.endpoint.base.origin;
        let tls = same.then_some(&self.endpoint.tls);
        let asked = Instant::now();
        let response = self.repeat(|| {
            request.send(credential.as_ref(), lasting, |request| Ok(self.http.send(request, tls)?))
        })?;
        match response.status {
            200 | 201 => read_token(response, asked),
            // A login that fails is told. Asking again as nobody would hide it, and find other images.
            400 | 401 | 403 => {
                let host = self.endpoint.credentials_host.clone();
                let detail = detail(response);
                Err(match credential {
                    Some(_) => RegistryError::Refused { host, detail },
                    None => RegistryError::LoginNeeded { host },
                })
            }
            status => Err(RegistryError::Token {
                origin: request.origin().clone(),
                problem: format!("status {status}{}", detail(response)),
            }),
        }
    }

    /// Logs in: the server is asked for nothing but to let in who asks. Gives an identity token if it hands out one.
    ///
    /// # Errors
    /// [`RegistryError`]; [`RegistryError::Refused`] for a wrong password.
    pub fn log_in(&self) -> Result<Option<String>, RegistryError> {
        let base = &self.endpoint.base;
        let url = Url::on(&base.origin, &format!("{}/", base.target.trim_end_matches('/')));
        let ask = Ask {
            method: Method::Get,
            url,
            headers: Vec::new(),
            content: Content::None,
            scope: String::new(),
        };
        let response = self.repeat(|| self.follow(&ask, None))?;
        let texts = response.headers("www-authenticate");
        let challenges: Vec<_> = texts.iter().flat_map(|text| challenge::parse(text)).collect();
        if response.status == 401
            && let Some(challenge) = challenges.iter().find(|challenge| challenge.scheme == "bearer")
        {
            response.drain();
            return Ok(self.ask_token(challenge, "", true)?.identity);
        }
        let response = if response.status == 401 {
            response.drain();
            self.follow(&ask, Some(self.convince(&challenges, "")?))?
        } else {
            response
        };
        match response.status {
            200..300 => Ok(None),
            401 | 403 => Err(RegistryError::Refused {
                host: self.endpoint.credentials_host.clone(),
                detail: detail(response),
            }),
            _ => Err(self.failure(&ask, response, "the registry's API")),
        }
    }

    /// Sends a request and follows redirects of what is only read. What lets in here is shown nowhere else.
    fn follow(&self, ask: &Ask<'_>, authorization: Option<String>) -> Result<Response, RegistryError> {
        let mut url = ask.url.clone();
        let mut authorization = authorization;
        let mut own = true;
        for _ in 0..=REDIRECTS {
            own &= url.origin == self.endpoint.base.origin;
            authorization = authorization.filter(|_| own);
            let mut file;
            let mut request = Request::new(ask.method, url.clone());
            request.headers = ask.headers.clone();
            request.headers.extend(authorization.clone().map(|value| ("authorization", value)));
            if own {
                request.more_headers = &self.endpoint.headers;
            }
            request.body = match ask.content {
                Content::None => Body::None,
                Content::Bytes(bytes) => Body::Bytes(bytes),
                Content::File(handle, offset, length) => {
                    file = Part { file: handle, offset, left: length };
                    Body::Reader(&mut file, length)
                }
            };
            let response = self.http.send(request, own.then_some(&self.endpoint.tls))?;
            let reads = matches!(ask.method, Method::Get | Method::Head);
            if !reads || !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            url = self.redirected(&url, &response)?;
            response.drain();
        }
        let origin = self.endpoint.base.origin.clone();
        Err(RegistryError::Redirect { origin, problem: "more than ten times" })
    }

    fn redirected(&self, from: &Url, response: &Response) -> Result<Url, RegistryError> {
        let origin = from.origin.clone();
        let location = response.header("location");
        let location = location.ok_or_else(|| RegistryError::Redirect {
            origin: origin.clone(),
            problem: "without saying where to",
        })?;
        let url = from
            .join(location)
            .map_err(|source| RegistryError::Location { origin: origin.clone(), source })?;
        let falls = from.origin.scheme == Scheme::Https && url.origin.scheme == Scheme::Http;
        if falls && !self.endpoint.insecure {
            return Err(RegistryError::Redirect { origin, problem: "from TLS to plain HTTP" });
        }
        Ok(url)
    }

    /// The error that an answer with a bad status stands for; `what` was asked for.
    #[must_use]
    pub fn failure(&self, ask: &Ask<'_>, response: Response, what: &str) -> RegistryError {
        let (status, url, host) =
            (response.status, response.url.clone(), self.endpoint.credentials_host.clone());
        let own = self.is_own(&response);
        let shown = self.lock().way.is_some();
        let detail = detail(response);
        match status {
            401 if own && shown && matches!(self.credential(), Ok(Some(_))) => {
                RegistryError::Refused { host, detail }
            }
            401 if own => RegistryError::LoginNeeded { host },
            403 if own => RegistryError::Forbidden { host, detail },
            404 => RegistryError::NotFound { what: what.to_owned(), host, detail },
            _ => RegistryError::Status { method: ask.method, url: Box::new(url), status, detail },
        }
    }

    fn note_warnings(&self, response: &Response) {
        for text in response.headers("warning") {
            // distribution-spec, "Warnings": code 299, no agent, a quoted text.
            if let Some(warning) = text.strip_prefix("299 - ") {
                let warning = warning.trim().trim_matches('"').replace("\\\"", "\"");
                self.lock().warnings.insert(warning);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A part of a file, read without its offset.
struct Part<'a> {
    file: &'a File,
    offset: u64,
    left: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read_at(&mut buffer[..most], self.offset)?;
        if count == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.offset += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

/// What a server says about when to come back.
pub(super) fn retry_after(response: &Response) -> Option<std::time::Duration> {
    retry::parse_retry_after(response.header("retry-after")?, SystemTime::now())
}

/// What an error says of itself: `: CODE: message`, or nothing.
fn detail(mut response: Response) -> String {
    #[derive(serde::Deserialize)]
    struct Errors {
        #[serde(default)]
        errors: Vec<OneError>,
    }
    #[derive(serde::Deserialize)]
    struct OneError {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let bytes = response.read(DETAIL_LIMIT).ok().flatten().unwrap_or_default();
    let Ok(Errors { errors }) = serde_json::from_slice(&bytes) else { return String::new() };
    let texts = errors.iter().take(3).map(|error| format!(": {}: {}", error.code, error.message));
    let text: String = texts.collect();
    text.chars().take(400).collect()
}
