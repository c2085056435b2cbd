//! The real registry of Debian (docker-registry), with certificates, passwords and tokens of the test's own.

use super::server::{Reply, Request, Server};
use crate::wait;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// How a registry is to be.
#[derive(Debug, Default)]
pub struct RegistryOptions {
    /// A name and a password that it wants to see.
    pub password: Option<(String, String)>,
    /// The configuration of `auth: token`: realm, and the file with the certificate of who signs tokens.
    pub token: Option<(String, PathBuf)>,
    /// Its certificate and key; with them it speaks TLS.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Who signs the certificates that clients have to show.
    pub client_authority: Option<PathBuf>,
    /// Where it keeps images that outlive it; without this they end with it.
    pub data: Option<PathBuf>,
}

/// A registry that runs until it is dropped.
#[derive(Debug)]
pub struct Registry {
    child: Child,
    port: u16,
    _base: TempDir,
}

impl Registry {
    /// An open registry that speaks plain HTTP.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it starts a process, which nobody should do by default")]
    pub fn new() -> Self {
        Self::with(&RegistryOptions::default())
    }

    /// A registry.
    ///
    /// # Panics
    /// When it cannot be started, or does not listen in time.
    #[must_use]
    pub fn with(options: &RegistryOptions) -> Self {
        let base = tempfile::Builder::new().prefix("mdr-").tempdir().expect("a scratch directory");
        let config = base.path().join("config.yml");
        fs::write(&config, configuration(options, base.path())).expect("writable");
        let told = base.path().join("log");
        let log = fs::File::create(&told).expect("writable");
        let mut child = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a descriptor can be copied"))
            .stderr(log)
            .spawn()
            .expect("docker-registry is installed");
        let port = wait::until("the registry to listen", || {
            let text = fs::read_to_string(&told).unwrap_or_default();
            let ended = child.try_wait().expect("a child can be asked");
            assert!(ended.is_none(), "the registry ended: {text}");
            listening(&text)
        });
        Self { child, port, _base: base }
    }

    /// Its host and port.
    #[must_use]
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The name of an image in it.
    #[must_use]
    pub fn name(&self, rest: &str) -> String {
        format!("{}/{rest}", self.host())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // Both calls fail only when the process has been reaped, which is what they are for.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The port that a registry's log says it has. The kernel chooses it: one that was looked for before may be somebody else's
/// when the registry asks for it.
fn listening(log: &str) -> Option<u16> {
    let (_, rest) = log.split_once("listening on 127.0.0.1:")?;
    let end = rest.find(|next: char| !next.is_ascii_digit())?;
    rest[..end].parse().ok()
}

fn configuration(options: &RegistryOptions, base: &Path) -> String {
    let data = options.data.clone().unwrap_or_else(|| base.join("data"));
    let mut text = format!(
        "version: 0.1\nlog:\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    rootdirectory: {}\n\
         http:\n  addr: 127.0.0.1:0\n",
        data.display()
    );
    if let Some((certificate, key)) = &options.tls {
        text.push_str(&format!(
            "  tls:\n    certificate: {}\n    key: {}\n",
            certificate.display(),
            key.display()
        ));
        if let Some(authority) = &options.client_authority {
            text.push_str(&format!("    clientcas:\n      - {}\n", authority.display()));
        }
    }
    if let Some((user, password)) = &options.password {
        let file = base.join("htpasswd");
        let made = Command::new("htpasswd").args(["-Bbn", user, password]).output().expect("htpasswd runs");
        fs::write(&file, made.stdout).expect("writable");
        text.push_str(&format!("auth:\n  htpasswd:\n    realm: test\n    path: {}\n", file.display()));
    }
    if let Some((realm, certificate)) = &options.token {
        text.push_str(&format!(
            "auth:\n  token:\n    realm: {realm}\n    service: test-service\n    issuer: test-issuer\n    \
             rootcertbundle: {}\n",
            certificate.display()
        ));
    }
    text
}

/// An authority that signs certificates, and its files.
#[derive(Debug)]
pub struct Authority {
    base: TempDir,
}

impl Authority {
    /// A new authority.
    ///
    /// # Panics
    /// When openssl fails.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it runs a program, which nobody should do by default")]
    pub fn new() -> Self {
        let authority = Self { base: tempfile::tempdir().expect("a scratch directory") };
        authority.openssl(&[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=mydocker-test-ca",
            "-addext",
            "keyUsage=critical,keyCertSign,digitalSignature",
            "-keyout",
            "ca.key",
            "-out",
            "ca.crt",
        ]);
        authority
    }

    /// The file with its certificate.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.base.path().join("ca.crt")
    }

    /// A certificate for 127.0.0.1, localhost and registry.invalid, and its key.
    ///
    /// # Panics
    /// When openssl fails.
    #[must_use]
    pub fn issue(&self, name: &str) -> (PathBuf, PathBuf) {
        let file = |ending: &str| format!("{name}.{ending}");
        let extensions = "subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:registry.invalid\nextendedKeyUsage=serverAuth,clientAuth\n";
        fs::write(self.base.path().join(file("ext")), extensions).expect("writable");
        let subject = format!("/CN={name}");
        let (key, request, certificate, ext) = (file("key"), file("csr"), file("cert"), file("ext"));
        self.openssl(&[
            "req", "-newkey", "rsa:2048", "-nodes", "-subj", &subject, "-keyout", &key, "-out", &request,
        ]);
        self.openssl(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            "ca.crt",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            &ext,
            "-out",
            &certificate,
        ]);
        (self.base.path().join(certificate), self.base.path().join(key))
    }

    /// Signs with the authority's own key (RSA with SHA-256).
    fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        let input = tempfile::NamedTempFile::new_in(self.base.path()).expect("a scratch file");
        fs::write(input.path(), bytes).expect("writable");
        self.openssl(&["dgst", "-sha256", "-sign", "ca.key", &input.path().to_string_lossy()])
    }

    fn openssl(&self, words: &[&str]) -> Vec<u8> {
        let output =
            Command::new("openssl").current_dir(&self.base).args(words).output().expect("openssl runs");
        assert!(output.status.success(), "openssl {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }
}

/// A server of tokens that docker-registry accepts: anybody may pull, and one user may push too.
pub struct TokenServer {
    /// What it was asked.
    pub server: Server,
}

impl TokenServer {
    /// Starts a server whose tokens `authority` signs.
    #[must_use]
    pub fn start(authority: Authority, user: &str, password: &str) -> Self {
        let known = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")));
        let server = Server::start(move |request| match request.header("authorization") {
            Some(shown) if shown != known => Reply::new(401, "{}"),
            shown => {
                let token = token(&authority, request, shown.is_some());
                // This service's clients know the token under either name; the other tests have the usual one.
                Reply::new(200, json!({ "access_token": token, "expires_in": 60 }).to_string())
            }
        });
        Self { server }
    }

    /// Where it is asked.
    #[must_use]
    pub fn realm(&self) -> String {
        format!("http://{}/token", self.server.host())
    }
}

/// A JSON web token (RFC 7519) with the access that was asked for, less what a stranger may not do.
fn token(authority: &Authority, request: &Request, is_known: bool) -> String {
    let pem = fs::read_to_string(authority.certificate()).expect("a certificate");
    let der: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let query = request.target.split_once('?').map_or("", |(_, query)| query);
    let scopes = query.split('&').filter_map(|pair| pair.strip_prefix("scope="));
    let access: Vec<_> = scopes
        .filter_map(|scope| {
            let scope = scope.replace("%3A", ":").replace("%2F", "/").replace("%2C", ",");
            let (rest, actions) = scope.rsplit_once(':')?;
            let (kind, name) = rest.split_once(':')?;
            let actions: Vec<_> = actions.split(',').filter(|action| is_known || *action == "pull").collect();
            Some(json!({ "type": kind, "name": name, "actions": actions }))
        })
        .collect();
    let header = json!({ "typ": "JWT", "alg": "RS256", "x5c": [der] });
    let claims = json!({
        "iss": "test-issuer", "sub": "", "aud": "test-service", "jti": "1",
        "exp": now + 60, "nbf": now - 10, "iat": now, "access": access,
    });
    let part = |value: &serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&header), part(&claims));
    let signature = BASE64_URL_SAFE_NO_PAD.encode(authority.sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}
