use super::*;

fn file(text: &str) -> AuthFile {
    AuthFile::parse(Path::new("/auth.json"), text.as_bytes()).expect(text)
}

fn user(file: &AuthFile, host: &str, repository: &str) -> Option<String> {
    match file.lookup(host, repository).expect("usable") {
        Some(Credential::Password { user, .. }) => Some(user),
        Some(Credential::IdentityToken(token)) => Some(format!("token {token}")),
        None => None,
    }
}

// dXNlcjpwYXNz is user:pass, aHViOmE6Yg== is hub:a:b.
const FILE: &str = r#"{"auths": {
    "https://index.docker.io/v1/": {"auth": "aHViOmE6Yg=="},
    "quay.io": {"auth": "dXNlcjpwYXNz"},
    "quay.io/team": {"username": "team", "password": "x"},
    "quay.io/team/app": {"identitytoken": "T"},
    "http://localhost:5000/v2/": {"auth": "dXNlcjpwYXNz"},
    "empty.example": {}
}}"#;

#[test]
fn docker_hub_is_kept_under_its_old_address() {
    assert_eq!(user(&file(FILE), "docker.io", "library/ubuntu").as_deref(), Some("hub"));
    match file(FILE).lookup("docker.io", "a/b").expect("usable") {
        Some(Credential::Password { secret, .. }) => assert_eq!(secret, "a:b"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_longest_key_that_fits_counts() {
    let file = file(FILE);
    for (repository, found) in [
        ("other/x", "user"),
        ("team/other", "team"),
        ("team/app", "token T"),
        ("team/app/x", "token T"),
        ("teams", "user"),
    ] {
        assert_eq!(user(&file, "quay.io", repository).as_deref(), Some(found), "{repository}");
    }
}

#[test]
fn keys_may_be_urls_and_hosts_must_fit_whole() {
    let file = file(FILE);
    assert_eq!(user(&file, "localhost:5000", "a").as_deref(), Some("user"));
    for host in ["localhost:50", "localhost", "empty.example", "evil-quay.io", "io"] {
        assert_eq!(user(&file, host, "a"), None, "{host}");
    }
}

#[test]
fn what_cannot_be_used_is_an_error_and_not_nothing() {
    assert!(AuthFile::parse(Path::new("/a"), b"{").is_err());
    for auth in ["!!!", "dXNlcg==", "dTpwCng="] {
        let text = format!(r#"{{"auths": {{"h.io": {{"auth": "{auth}"}}}}}}"#);
        assert!(matches!(file(&text).lookup("h.io", "a"), Err(CredentialError::Entry { .. })), "{auth}");
    }
    let missing = file(r#"{"credsStore": "no-such-helper-here"}"#);
    assert!(matches!(missing.lookup("h.io", "a"), Err(CredentialError::Helper(HelperError::Run { .. }))));
    let elsewhere = file(r#"{"credsStore": "x/../../evil"}"#);
    assert!(matches!(elsewhere.lookup("h.io", "a"), Err(CredentialError::Helper(HelperError::Name(_)))));
}

#[test]
fn secrets_are_not_shown() {
    let shown = format!("{:?}", Credential::Password { user: "u".into(), secret: "hunter2".into() });
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn what_is_stored_is_found_and_erased_and_the_rest_stays() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("docker/config.json");
    let credential = Credential::Password { user: "me".into(), secret: "s".into() };
    let kept = AuthFile::load_or_new(&path).expect("none").store("h.io", &credential).expect("kept");
    assert_eq!(kept, Kept::File(path.clone()));
    let mut text = std::fs::read_to_string(&path).expect("a file");
    text.insert_str(1, "\"psFormat\": \"x\",");
    std::fs::write(&path, text).expect("written");
    AuthFile::load_or_new(&path).expect("one").store(DOCKER_HUB, &credential).expect("kept");
    let file = AuthFile::load(&path).expect("readable").expect("there");
    assert_eq!(file.lookup("h.io", "a").expect("usable"), Some(credential.clone()));
    assert_eq!(file.lookup(DOCKER_HUB, "a").expect("usable"), Some(credential));
    assert!(file.erase("h.io").expect("writable"));
    let text = std::fs::read_to_string(&path).expect("a file");
    assert!(text.contains("psFormat") && text.contains(DOCKER_HUB_KEY) && !text.contains("h.io"), "{text}");
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
}
