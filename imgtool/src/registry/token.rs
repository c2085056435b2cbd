//! Tokens (distribution's token specification): a registry names a place that gives a token for a scope, and takes the token.

use super::challenge::Challenge;
use super::error::RegistryError;
use super::hosts::Endpoint;
use super::http::{Body, Method, Request, Response};
use super::url::{Origin, Scheme, Url, escape};
use crate::credentials::Credential;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use std::time::{Duration, Instant};

/// The most that the answer of a token server may have, in bytes.
const LIMIT: u64 = 1 << 20;

/// How long a token lasts at least, whatever is said (the specification's floor).
const SHORTEST_LIFE: Duration = Duration::from_secs(60);

/// A token is renewed this long before its end, so that it does not end on its way.
const MARGIN: Duration = Duration::from_secs(5);

/// A token for a scope.
#[derive(Clone)]
pub struct Token {
    value: String,
    expires: Instant,
    /// A token that lasts, for which others are given; only where it was asked for.
    pub identity: Option<String>,
}

impl Token {
    /// The `Authorization` header.
    #[must_use]
    pub fn header(&self) -> String {
        format!("Bearer {}", self.value)
    }

    /// Whether it can be used now.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        Instant::now() < self.expires
    }
}

/// What a token is asked for.
#[derive(Debug)]
pub struct TokenRequest<'a> {
    realm: Url,
    service: Option<&'a str>,
    scopes: Vec<&'a str>,
}

impl<'a> TokenRequest<'a> {
    /// From a challenge of `endpoint`; `scopes` may be several with blanks between.
    ///
    /// # Errors
    /// [`RegistryError::Realm`] if the challenge names a place that must not be told a password.
    pub fn new(
        challenge: &'a Challenge,
        endpoint: &Endpoint,
        scopes: &'a str,
    ) -> Result<Self, RegistryError> {
        let realm = challenge.parameter("realm").unwrap_or_default();
        let wrong = |problem| RegistryError::Realm {
            host: endpoint.credentials_host.clone(),
            realm: realm.to_owned(),
            problem,
        };
        let url = Url::parse(realm).map_err(|_| wrong("it is no URL"))?;
        check_realm(&url.origin, endpoint).map_err(wrong)?;
        let mut unique = Vec::new();
        for scope in scopes.split_whitespace() {
            if !unique.contains(&scope) {
                unique.push(scope);
            }
        }
        Ok(Self { realm: url, service: challenge.parameter("service"), scopes: unique })
    }

    /// The request: a form with an identity token, else a query, with the password if there is one. `lasting` asks for an
    /// identity token too.
    pub(super) fn send(
        &self,
        credential: Option<&Credential>,
        lasting: bool,
        send: impl FnOnce(Request<'_>) -> Result<Response, RegistryError>,
    ) -> Result<Response, RegistryError> {
        match credential {
            Some(Credential::IdentityToken(token)) => {
                let form = self.form(token);
                let mut request = Request::new(Method::Post, self.realm.clone());
                request.headers.push(("content-type", "application/x-www-form-urlencoded".to_owned()));
                request.body = Body::Bytes(form.as_bytes());
                send(request)
            }
            Some(Credential::Password { user, secret }) => {
                let mut url = self.query().with_query("account", user);
                if lasting {
                    url = url.with_query("offline_token", "true").with_query("client_id", CLIENT);
                }
                let mut request = Request::new(Method::Get, url);
                request.headers.push(("authorization", basic(user, secret)));
                send(request)
            }
            None => send(Request::new(Method::Get, self.query())),
        }
    }

    /// The server that gives the token.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.realm.origin
    }

    fn query(&self) -> Url {
        let mut url = self.realm.clone();
        if let Some(service) = self.service {
            url = url.with_query("service", service);
        }
        self.scopes.iter().fold(url, |url, scope| url.with_query("scope", scope))
    }

    fn form(&self, token: &str) -> String {
        let scope = self.scopes.join(" ");
        let fields = [
            ("grant_type", "refresh_token"),
            ("service", self.service.unwrap_or_default()),
            ("client_id", CLIENT),
            ("scope", scope.as_str()),
            ("refresh_token", token),
        ];
        fields.map(|(name, value)| format!("{name}={}", escape(value))).join("&")
    }
}

/// How this client calls itself to a token server.
const CLIENT: &str = "mydocker-img";

/// The `Authorization` header of a name and a password.
#[must_use]
pub fn basic(user: &str, secret: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{secret}")))
}

/// A registry that was taken over must not be able to send passwords where it likes: in the clear, or into the network of
/// whoever asks. The registry's own host is as good as the registry.
fn check_realm(realm: &Origin, endpoint: &Endpoint) -> Result<(), &'static str> {
    let registry = &endpoint.base.origin;
    if realm.scheme == Scheme::Http && registry.scheme == Scheme::Https {
        return Err("it is plain HTTP");
    }
    if realm.host == registry.host {
        return Ok(());
    }
    if realm.scheme == Scheme::Http && !endpoint.insecure {
        return Err("it is plain HTTP on another host");
    }
    if realm.is_loopback() {
        return Err("it is this machine, and the registry is not");
    }
    if realm.is_address() {
        return Err("it is an address, and not the registry's own");
    }
    Ok(())
}

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
    refresh_token: Option<String>,
}

/// Reads a token server's answer, which was asked at `asked`.
///
/// # Errors
/// [`RegistryError::Token`].
pub(super) fn read_token(mut response: Response, asked: Instant) -> Result<Token, RegistryError> {
    let origin = response.url.origin.clone();
    let wrong = |problem: &str| RegistryError::Token { origin: origin.clone(), problem: problem.to_owned() };
    let bytes = response
        .read(LIMIT)
        .map_err(|source| RegistryError::Broken { origin: origin.clone(), source })?
        .ok_or_else(|| wrong("it has more than 1 MiB"))?;
    parse_token(&bytes, asked).map_err(|problem| wrong(&problem))
}

fn parse_token(bytes: &[u8], asked: Instant) -> Result<Token, String> {
    let answer: Answer = serde_json::from_slice(bytes).map_err(|error| format!("it is no JSON: {error}"))?;
    let given = [answer.token, answer.access_token].into_iter().flatten().find(|token| !token.is_empty());
    let value = given.ok_or_else(|| "it has neither \"token\" nor \"access_token\"".to_owned())?;
    if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("the token has characters that no header may have".to_owned());
    }
    let life = Duration::from_secs(answer.expires_in.unwrap_or(0)).max(SHORTEST_LIFE) - MARGIN;
    // A life beyond what the clock can count is for ever.
    let expires = asked.checked_add(life).unwrap_or(asked + Duration::from_secs(1 << 30));
    Ok(Token { value, expires, identity: answer.refresh_token.filter(|token| !token.is_empty()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::challenge;
    use crate::registry::tls::TlsOptions;

    fn endpoint(base: &str, insecure: bool) -> Endpoint {
        Endpoint {
            base: Url::parse(base).expect(base),
            repository: "a".into(),
            credentials_host: "h".into(),
            namespace: None,
            headers: Vec::new(),
            tls: TlsOptions::default(),
            insecure,
            guessed: false,
        }
    }

    fn realm(base: &str, realm: &str, insecure: bool) -> bool {
        let header = format!("Bearer realm=\"{realm}\"");
        TokenRequest::new(&challenge::parse(&header)[0], &endpoint(base, insecure), "").is_ok()
    }

    #[test]
    fn a_password_goes_to_the_registry_s_own_host_or_over_tls_to_a_name() {
        assert!(realm("https://r.io/v2", "https://auth.io/token", false));
        assert!(realm("https://r.io/v2", "https://r.io:8443/token", false));
        assert!(realm("http://127.0.0.1:5000/v2", "http://127.0.0.1:5001/token", false));
        assert!(realm("http://r.io/v2", "http://auth.io/token", true));
    }

    #[test]
    fn a_hostile_realm_is_refused() {
        for hostile in [
            "http://r.io/token",
            "http://auth.io/token",
            "https://127.0.0.1/token",
            "https://localhost/token",
            "https://[::1]/token",
            "https://169.254.169.254/latest",
            "https://10.0.0.1/",
            "file:///etc/passwd",
            "https://u:p@r.io/",
            "",
            "/token",
        ] {
            assert!(!realm("https://r.io/v2", hostile, false), "{hostile}");
        }
        assert!(!realm("http://r.io/v2", "http://auth.io/token", false));
        assert!(!realm("http://r.io/v2", "http://127.0.0.1/token", true));
    }

    #[test]
    fn every_scope_is_asked_for_once() {
        let header = r#"Bearer realm="https://a.io/t?x=1",service="s p""#;
        let challenges = challenge::parse(header);
        let scopes = "repository:a:pull repository:b:pull repository:a:pull";
        let request =
            TokenRequest::new(&challenges[0], &endpoint("https://r.io/v2", false), scopes).expect("trusted");
        assert_eq!(
            request.query().target,
            "/t?x=1&service=s%20p&scope=repository%3Aa%3Apull&scope=repository%3Ab%3Apull"
        );
        assert!(request.form("R&T").contains("refresh_token=R%26T"));
    }

    #[test]
    fn a_token_has_either_name_and_lasts_a_minute_at_least() {
        let now = Instant::now();
        let token = parse_token(br#"{"access_token":"T","expires_in":1}"#, now).expect("a token");
        assert_eq!((token.header().as_str(), token.is_fresh()), ("Bearer T", true));
        assert!(token.expires >= now + Duration::from_secs(55));
        let token = parse_token(br#"{"token":"","access_token":"T","expires_in":18446744073709551615}"#, now);
        assert!(token.expect("a token").is_fresh());
        let old = now.checked_sub(Duration::from_secs(61)).expect("a clock that runs");
        assert!(!parse_token(br#"{"token":"T"}"#, old).expect("a token").is_fresh());
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for text in ["", "{}", r#"{"token":""}"#, r#"{"token":"a\r\nX: y"}"#, r#"{"token":"a b"}"#, "[1]"] {
            assert!(parse_token(text.as_bytes(), Instant::now()).is_err(), "{text}");
        }
    }
}
