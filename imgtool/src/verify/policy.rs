//! Which images have to be signed by whom: the file of skopeo, podman and CRI-O (containers-policy.json(5)).

use super::{Authority, KeyError, PublicKey};
use crate::reference::Reference;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the file may have, in bytes.
const FILE_LIMIT: u64 = 4 << 20;

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    default: Vec<RawRequirement>,
    #[serde(default)]
    transports: BTreeMap<String, BTreeMap<String, Vec<RawRequirement>>>,
}

/// A requirement as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawRequirement {
    #[serde(rename = "type")]
    kind: String,
    key_path: Option<PathBuf>,
    key_data: Option<String>,
    #[serde(default)]
    key_paths: Vec<PathBuf>,
    #[serde(default)]
    key_datas: Vec<String>,
    fulcio: Option<RawFulcio>,
    rekor_public_key_path: Option<PathBuf>,
    rekor_public_key_data: Option<String>,
    #[serde(default)]
    rekor_public_key_paths: Vec<PathBuf>,
    #[serde(default)]
    rekor_public_key_datas: Vec<String>,
    signed_identity: Option<RawIdentity>,
    #[serde(flatten)]
    other: BTreeMap<String, serde_json::Value>,
}

/// Whom an authority has to have given a certificate to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawFulcio {
    ca_path: Option<PathBuf>,
    ca_data: Option<String>,
    oidc_issuer: String,
    subject_email: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawIdentity {
    #[serde(rename = "type")]
    kind: String,
    docker_reference: Option<String>,
    docker_repository: Option<String>,
}

/// What is asked of an image.
#[derive(Debug, Clone)]
pub enum Requirement {
    /// Nothing.
    Accept,
    /// More than anybody has.
    Reject,
    /// A signature.
    Signed(Signed),
}

/// A signature that is asked for.
#[derive(Debug, Clone)]
pub struct Signed {
    /// Who has to have made it.
    pub signer: Signer,
    /// The keys of logs of which one has to have it; none need have it if there are none.
    pub logs: Vec<PublicKey>,
    /// Which name in it is accepted.
    pub identity: Identity,
}

/// Who may sign.
#[derive(Debug, Clone)]
pub enum Signer {
    /// The holder of one of these keys.
    Keys(Vec<PublicKey>),
    /// Whom an authority has given a certificate to.
    Authority(Authority),
}

/// Which name a signature may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// Just that of the image.
    Exact,
    /// The same; of an image by its digest, any name of the repository.
    RepositoryDigestOrExact,
    /// Any of the same repository.
    Repository,
    /// The same. What has no name counts as well, for it was a key and not a policy that was named.
    RepositoryIfNamed,
    /// Just this one.
    ExactReference(Reference),
    /// Any of this repository.
    ExactRepository(String),
}

/// Why a policy cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Its file cannot be read.
    #[error("cannot read the policy {0:?}")]
    Read(PathBuf, #[source] mydocker_sys::Error),
    /// It is no policy.
    #[error("{0:?} is no policy (containers-policy.json)")]
    Json(PathBuf, #[source] serde_json::Error),
    /// It asks for something that is not known.
    #[error("the policy asks for {0}, which is not supported")]
    Unsupported(String),
    /// Nothing is asked at all, which the format forbids.
    #[error(
        "the policy has an empty list of requirements for {0:?}; 'insecureAcceptAnything' asks for nothing"
    )]
    Empty(String),
    /// A signature of nobody in particular.
    #[error(
        "the policy asks for a signature and names no key ('keyPath', 'keyData') and no authority ('fulcio')"
    )]
    NoKey,
    /// A signature of two kinds at once.
    #[error(
        "the policy asks for a signature with a key and by an authority ('fulcio') at once; name one of them"
    )]
    TwoKinds,
    /// An authority whose certificates are at no path, or at several.
    #[error("the policy has to say where the certificates of an authority are, by 'caPath' or by 'caData'")]
    NoRoots,
    /// Certificates are valid for minutes, and only a log says that something was signed then.
    #[error(
        "the policy asks for a certificate and names no key of a log ('rekorPublicKeyPath', 'rekorPublicKeyData')"
    )]
    NoLog,
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn read(path: &Path) -> Result<Self, PolicyError> {
        let bytes = mydocker_sys::fs::read_regular(path, FILE_LIMIT)
            .map_err(|source| PolicyError::Read(path.to_owned(), source))?;
        serde_json::from_slice(&bytes).map_err(|source| PolicyError::Json(path.to_owned(), source))
    }

    /// What is asked of an image of a registry. The longest scope counts: the whole name, the repository, what is above it,
    /// the host, `*.` and a domain, everything.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn requirements(&self, name: &Reference) -> Result<Vec<Requirement>, PolicyError> {
        self.in_scopes("docker", scopes_of(name))
    }

    /// What is asked of an image of a file or directory. It is `path` without links, or nothing for standard input, for which
    /// only the transport's own scope counts.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn requirements_of(
        &self,
        transport: Transport,
        path: Option<&Path>,
    ) -> Result<Vec<Requirement>, PolicyError> {
        let paths = path.filter(|_| transport.has_scopes()).into_iter().flat_map(Path::ancestors);
        // The format forbids "/"; everything is "".
        let paths = paths.filter(|path| path.parent().is_some()).map(|path| path.display().to_string());
        self.in_scopes(transport.name(), paths.chain([String::new()]).collect())
    }

    /// What the first of these scopes asks that the transport has; the policy's default if it has none.
    fn in_scopes(&self, transport: &str, scopes: Vec<String>) -> Result<Vec<Requirement>, PolicyError> {
        let found = self.transports.get(transport).and_then(|known| {
            scopes.into_iter().find_map(|scope| known.get(&scope).map(|found| (scope, found)))
        });
        let (scope, raw) = found.unwrap_or_else(|| ("default".to_owned(), &self.default));
        if raw.is_empty() {
            return Err(PolicyError::Empty(scope));
        }
        raw.iter().map(RawRequirement::parse).collect()
    }
}

/// Where images come from that do not come from a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A tar as docker writes it.
    DockerArchive,
    /// A tar of an OCI layout.
    OciArchive,
    /// A directory with an OCI layout.
    Oci,
    /// A tar of a root file system.
    Tarball,
}

impl Transport {
    /// What a policy calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::DockerArchive => "docker-archive",
            Self::OciArchive => "oci-archive",
            Self::Oci => "oci",
            Self::Tarball => "tarball",
        }
    }

    /// Whether a policy can tell its files apart, by their paths.
    fn has_scopes(self) -> bool {
        matches!(self, Self::OciArchive | Self::Oci)
    }
}

fn scopes_of(name: &Reference) -> Vec<String> {
    let mut scopes = vec![name.to_string()];
    let mut rest = name.name();
    loop {
        scopes.push(rest.clone());
        match rest.rsplit_once('/') {
            Some((above, _)) => rest = above.to_owned(),
            None => break,
        }
    }
    let host = name.host().rsplit_once(':').map_or(name.host(), |(host, _)| host);
    let mut domain = host;
    while let Some((_, above)) = domain.split_once('.') {
        scopes.push(format!("*.{above}"));
        domain = above;
    }
    scopes.push(String::new());
    scopes
}

impl RawRequirement {
    fn parse(&self) -> Result<Requirement, PolicyError> {
        if let Some(name) = self.other.keys().next() {
            return Err(PolicyError::Unsupported(format!(
                "{name:?} in a requirement of type {:?}",
                self.kind
            )));
        }
        match self.kind.as_str() {
            "insecureAcceptAnything" => Ok(Requirement::Accept),
            "reject" => Ok(Requirement::Reject),
            "sigstoreSigned" => {
                let identity = self.signed_identity.as_ref().map(RawIdentity::parse).transpose()?;
                let identity = identity.unwrap_or(Identity::RepositoryDigestOrExact);
                let logs = self.logs()?;
                Ok(Requirement::Signed(Signed { signer: self.signer(&logs)?, logs, identity }))
            }
            kind => Err(PolicyError::Unsupported(format!("a requirement of type {kind:?}"))),
        }
    }

    fn signer(&self, logs: &[PublicKey]) -> Result<Signer, PolicyError> {
        let (paths, datas) =
            (self.key_path.iter().chain(&self.key_paths), self.key_data.iter().chain(&self.key_datas));
        let keys = keys(paths, datas, "keyData of the policy")?;
        match &self.fulcio {
            None if keys.is_empty() => Err(PolicyError::NoKey),
            None => Ok(Signer::Keys(keys)),
            Some(_) if !keys.is_empty() => Err(PolicyError::TwoKinds),
            Some(_) if logs.is_empty() => Err(PolicyError::NoLog),
            Some(fulcio) => fulcio.parse().map(Signer::Authority),
        }
    }

    fn logs(&self) -> Result<Vec<PublicKey>, PolicyError> {
        let paths = self.rekor_public_key_path.iter().chain(&self.rekor_public_key_paths);
        let datas = self.rekor_public_key_data.iter().chain(&self.rekor_public_key_datas);
        keys(paths, datas, "rekorPublicKeyData of the policy")
    }
}

/// Keys in files, and in base64.
fn keys<'a>(
    paths: impl Iterator<Item = &'a PathBuf>,
    datas: impl Iterator<Item = &'a String>,
    name: &str,
) -> Result<Vec<PublicKey>, PolicyError> {
    let mut keys = paths.map(|path| PublicKey::read(path)).collect::<Result<Vec<_>, _>>()?;
    for data in datas {
        let pem = BASE64_STANDARD.decode(data).map_err(|_| KeyError::Pem(name.to_owned()))?;
        keys.push(PublicKey::parse(&pem, name)?);
    }
    Ok(keys)
}

impl RawFulcio {
    fn parse(&self) -> Result<Authority, PolicyError> {
        let (pem, name) = match (&self.ca_path, &self.ca_data) {
            (Some(path), None) => {
                let read = mydocker_sys::fs::read_regular(path, FILE_LIMIT);
                (read.map_err(|source| KeyError::Read(path.clone(), source))?, path.display().to_string())
            }
            (None, Some(data)) => {
                let name = "caData of the policy".to_owned();
                (BASE64_STANDARD.decode(data).map_err(|_| KeyError::Certificate(name.clone()))?, name)
            }
            _ => return Err(PolicyError::NoRoots),
        };
        Ok(Authority::parse(&pem, &name, &self.oidc_issuer, &self.subject_email)?)
    }
}

impl RawIdentity {
    fn parse(&self) -> Result<Identity, PolicyError> {
        let unsupported = |what: &str| PolicyError::Unsupported(format!("a signedIdentity {what}"));
        match (self.kind.as_str(), &self.docker_reference, &self.docker_repository) {
            ("matchExact", None, None) => Ok(Identity::Exact),
            ("matchRepoDigestOrExact", None, None) => Ok(Identity::RepositoryDigestOrExact),
            ("matchRepository", None, None) => Ok(Identity::Repository),
            ("exactReference", Some(name), None) => {
                let name = Reference::parse(name).map_err(|_| unsupported("that is no name"))?;
                Ok(Identity::ExactReference(name.or_latest()))
            }
            ("exactRepository", None, Some(name)) => {
                let name = Reference::parse(name).map_err(|_| unsupported("that is no name"))?;
                Ok(Identity::ExactRepository(name.name()))
            }
            (kind, ..) => Err(unsupported(&format!("of type {kind:?}, with these fields"))),
        }
    }
}

impl Identity {
    /// Whether a signature under the name `signed` is one for the image called `name`. cosign signs repositories without a
    /// tag.
    #[must_use]
    pub fn accepts(&self, signed: &str, name: &Reference) -> bool {
        let Ok(signed) = Reference::parse(signed) else { return false };
        let same_repository = signed.name() == name.name();
        let has_no_tag = signed.tag().is_none() && signed.digest().is_none();
        match self {
            Self::Exact => signed == *name,
            Self::RepositoryDigestOrExact if name.digest().is_some() => same_repository,
            Self::RepositoryDigestOrExact => signed == *name || same_repository && has_no_tag,
            Self::Repository | Self::RepositoryIfNamed => same_repository,
            Self::ExactReference(wanted) => signed.or_latest() == *wanted,
            Self::ExactRepository(wanted) => signed.name() == *wanted,
        }
    }

    /// Whether a signature has to say which name it is for: else what was signed as one image could be given out as another.
    #[must_use]
    pub fn needs_name(&self) -> bool {
        *self != Self::RepositoryIfNamed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(text: &str) -> Reference {
        Reference::parse(text).expect(text)
    }

    #[test]
    fn the_longest_scope_counts() {
        let scopes = scopes_of(&reference("registry.example.com:5000/team/app:1"));
        assert_eq!(
            scopes,
            [
                "registry.example.com:5000/team/app:1",
                "registry.example.com:5000/team/app",
                "registry.example.com:5000/team",
                "registry.example.com:5000",
                "*.example.com",
                "*.com",
                ""
            ]
        );
    }

    #[test]
    fn files_are_told_apart_by_their_paths() {
        let accept = r#"[{"type":"insecureAcceptAnything"}]"#;
        let text = format!(
            r#"{{"default":[{{"type":"reject"}}],"transports":{{
                "oci-archive":{{"/a":{accept},"/a/b":[{{"type":"reject"}}],"/":{accept}}},
                "oci":{{"":{accept}}},
                "docker-archive":{{"/a":{accept}}},
                "tarball":{{"":{accept}}}}}}}"#
        );
        let policy: Policy = serde_json::from_str(&text).expect("a policy");
        for (transport, path, accepted) in [
            (Transport::OciArchive, Some("/a/x.tar"), true),
            (Transport::OciArchive, Some("/a/b/x.tar"), false),
            (Transport::OciArchive, Some("/x.tar"), false),
            (Transport::OciArchive, None, false),
            (Transport::Oci, Some("/x"), true),
            (Transport::DockerArchive, Some("/a/x.tar"), false),
            (Transport::Tarball, None, true),
        ] {
            let found = policy.requirements_of(transport, path.map(Path::new)).expect("requirements");
            let accepts = found.iter().all(|one| matches!(one, Requirement::Accept));
            assert_eq!(accepts, accepted, "{transport:?} {path:?}");
        }
    }

    #[test]
    fn what_cannot_be_followed_is_refused_by_name() {
        let requirements = |text: &str| {
            let policy: Policy = serde_json::from_str(text).expect(text);
            policy
                .requirements(&reference("h.io/a:1"))
                .map(|found| found.len())
                .map_err(|error| error.to_string())
        };
        assert_eq!(requirements(r#"{"default":[{"type":"reject"}]}"#), Ok(1));
        let fulcio = |roots: &str, more: &str| {
            let fulcio = format!(r#"{{{roots}"oidcIssuer":"i","subjectEmail":"e"}}"#);
            format!(r#"{{"default":[{{"type":"sigstoreSigned","fulcio":{fulcio}{more}}}]}}"#)
        };
        for (text, part) in [
            (r#"{"default":[]}"#, "empty"),
            (r#"{"default":[{"type":"signedBy"}]}"#, "\"signedBy\""),
            (r#"{"default":[{"type":"sigstoreSigned"}]}"#, "no key"),
            (r#"{"default":[{"type":"sigstoreSigned","keyPath":"/x","pki":{}}]}"#, "\"pki\""),
            (&fulcio(r#""caData":"eA==","#, ""), "names no key of a log"),
            (r#"{"default":[{"type":"sigstoreSigned","keyData":"eA=="}]}"#, "PEM"),
            (r#"{"default":[{"type":"reject"}],"transports":{"docker":{"h.io":[{"type":"x"}]}}}"#, "\"x\""),
        ] {
            let error = requirements(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn names_are_compared_as_the_policy_says() {
        let tagged = reference("h.io/a:1");
        for (identity, signed, fits) in [
            (Identity::Exact, "h.io/a:1", true),
            (Identity::Exact, "h.io/a", false),
            (Identity::RepositoryDigestOrExact, "h.io/a", true),
            (Identity::RepositoryDigestOrExact, "h.io/a:2", false),
            (Identity::Repository, "h.io/a:2", true),
            (Identity::Repository, "h.io/b:1", false),
            (Identity::ExactRepository("h.io/b".to_owned()), "h.io/b", true),
            (Identity::ExactReference(reference("h.io/c:latest")), "h.io/c", true),
            (Identity::Repository, "UPPER", false),
            (Identity::RepositoryIfNamed, "h.io/a:2", true),
            (Identity::RepositoryIfNamed, "h.io/b:1", false),
        ] {
            assert_eq!(identity.accepts(signed, &tagged), fits, "{identity:?} {signed}");
        }
    }
}
