//! Registries that lie, stall, leak and flood. After each of them the store has what is right, and no tag.

use mydocker_tests::img::{Body, FakeRegistry, Img, Reply, Request, SampleImage, Served, Server, sha256};
use serde_json::json;

fn sample() -> SampleImage {
    SampleImage::new(&[&[3; 200_000], b"second"])
}

/// Pulls from a registry whose answers `change` makes wrong: the pull fails and says `text`, and nothing is visible.
fn refused(change: impl Fn(&Request, Reply) -> Reply + Send + Sync + 'static, text: &str) -> FakeRegistry {
    let registry = FakeRegistry::start(Served::image("1", &sample()), change);
    let img = Img::new();
    let outcome = img.pull(&registry.name("a:1")).run().fails().says(text);
    assert!(!outcome.stderr.contains('\x1b') && !outcome.stdout.contains('\x1b'), "{}", outcome.describe());
    assert!(img.entries().is_empty());
    img.blobs_are_right();
    registry
}

fn is_layer(request: &Request) -> bool {
    request.target.ends_with(&sha256(&sample().layers[0]))
}

#[test]
fn a_blob_with_another_digest_is_refused() {
    refused(
        |request, good| {
            if is_layer(request) { Reply::new(200, vec![4; sample().layers[0].len()]) } else { good }
        },
        "what was sent as",
    );
}

#[test]
fn a_blob_that_is_longer_or_shorter_is_refused() {
    let length = sample().layers[0].len();
    refused(
        move |request, good| if is_layer(request) { Reply::new(200, vec![3; length + 1]) } else { good },
        "the manifest says",
    );
    refused(
        move |request, good| {
            let body = Body::Lying(vec![3; 10], length as u64);
            // The same ten bytes again and again: it never gets on.
            if is_layer(request) {
                Reply {
                    status: if request.header("range").is_some() { 416 } else { 200 },
                    headers: Vec::new(),
                    body,
                }
            } else {
                good
            }
        },
        "cannot fetch",
    );
}

#[test]
fn a_body_without_end_is_cut_off() {
    refused(
        |request, good| {
            if is_layer(request) { Reply { body: Body::Endless, ..Reply::new(200, "") } } else { good }
        },
        "more than the",
    );
    refused(
        |request, good| {
            if request.target.contains("manifests") {
                Reply { body: Body::Endless, ..Reply::new(200, "") }
            } else {
                good
            }
        },
        "more than 4194304 bytes",
    );
}

#[test]
fn a_part_that_was_not_asked_for_is_refused() {
    let layer = sample().layers[0].clone();
    refused(
        move |request, good| match (is_layer(request), request.header("range")) {
            (true, None) => Reply { body: Body::Lying(layer[..1000].to_vec(), layer.len() as u64), ..good },
            (true, Some(_)) => Reply::new(206, &layer[..1000]).header("content-range", "bytes 0-999/202240"),
            _ => good,
        },
        "were asked for",
    );
}

#[test]
fn storms_of_429_end_after_a_few_attempts() {
    let registry = refused(|_, _| Reply::new(429, "").header("retry-after", "0"), "status 429");
    assert!(registry.server.requests().len() <= 12);
}

#[test]
fn redirects_end_and_go_nowhere_odd() {
    let registry = refused(
        |request, good| {
            if is_layer(request) {
                Reply::new(307, "").header("location", request.target.clone())
            } else {
                good
            }
        },
        "more than ten times",
    );
    assert!(registry.server.requests().len() < 40);
    refused(
        |request, good| {
            if is_layer(request) {
                Reply::new(302, "").header("location", "file:///etc/passwd")
            } else {
                good
            }
        },
        "redirects to a place that cannot be asked",
    );
    refused(
        |request, good| if is_layer(request) { Reply::new(302, "") } else { good },
        "without saying where to",
    );
}

#[test]
fn what_lets_in_is_not_shown_to_whom_a_registry_redirects() {
    let layer = sample().layers[0].clone();
    let storage = Server::start(move |_| Reply::new(200, layer.clone()));
    let place = format!("http://{}/signed", storage.host());
    let registry = FakeRegistry::start(Served::image("1", &sample()), move |request, good| {
        match request.header("authorization") {
            // user:pass
            Some("Basic dXNlcjpwYXNz") if is_layer(request) => {
                Reply::new(307, "").header("location", &*place)
            }
            Some("Basic dXNlcjpwYXNz") => good,
            _ => Reply::new(401, "").header("www-authenticate", "Basic realm=\"x\""),
        }
    });
    let img = Img::new();
    let auths = format!(r#"{{"auths":{{"{}":{{"auth":"dXNlcjpwYXNz"}}}}}}"#, registry.server.host());
    img.write("home/.docker/config.json", &auths);
    img.pull(&registry.name("a:1")).run().succeeds().discard();
    let requests = storage.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].header("authorization"), None);
    assert!(registry.server.requests().iter().any(|request| request.header("authorization").is_some()));
}

#[test]
fn a_password_is_not_told_to_a_realm_elsewhere() {
    let thief = Server::start(|_| Reply::new(200, r#"{"token":"T"}"#));
    let port = thief.host().rsplit(':').next().unwrap_or_default().to_owned();
    let realms = [
        format!("http://localhost:{port}/"),
        format!("http://127.0.0.2:{port}/"),
        "http://10.0.0.1/".to_owned(),
        "ftp://x/".to_owned(),
    ];
    for realm in realms {
        let challenge = format!("Bearer realm=\"{realm}\",service=\"s\"");
        refused(move |_, _| Reply::new(401, "").header("www-authenticate", &*challenge), "is not trusted");
    }
    assert!(thief.requests().is_empty());
}

#[test]
fn a_challenge_that_nobody_understands_is_named() {
    refused(|_, _| Reply::new(401, "").header("www-authenticate", "Negotiate, NTLM"), "negotiate");
    refused(|_, _| Reply::new(401, ""), "authentication");
}

#[test]
fn a_manifest_that_can_be_read_in_two_ways_is_refused() {
    let mut both = sample().manifest_json();
    both["manifests"] = json!([]);
    refused(manifest_of(both.to_string()), "read in two ways");
    let mut other = sample().manifest_json();
    other["mediaType"] = "application/vnd.docker.distribution.manifest.v2+json".into();
    refused(manifest_of(other.to_string()), "announced as");
    let mut fewer = sample().manifest_json();
    fewer["layers"].as_array_mut().expect("layers").pop();
    refused(manifest_of(fewer.to_string()), "1 layers and the configuration 2 diff_ids");
    let mut negative = sample().manifest_json();
    negative["layers"][0]["size"] = (-5).into();
    refused(manifest_of(negative.to_string()), "no valid manifest");
    let mut huge = sample().manifest_json();
    huge["config"]["size"] = 5_000_000_000_u64.into();
    refused(manifest_of(huge.to_string()), "a document may have");
    let mut outside = sample().manifest_json();
    outside["layers"][0]["digest"] = "sha256:../../../../etc/passwd".into();
    refused(manifest_of(outside.to_string()), "no lower-case hexadecimal digit");
    refused(manifest_of("<html>".to_owned()), "no valid manifest");
}

fn manifest_of(text: String) -> impl Fn(&Request, Reply) -> Reply + Send + Sync + 'static {
    move |request, good| {
        if request.target.contains("manifests") {
            return Reply::new(200, text.clone())
                .header("content-type", "application/vnd.oci.image.manifest.v1+json");
        }
        good
    }
}

#[test]
fn a_digest_that_lies_is_refused_and_one_that_is_missing_is_not() {
    refused(
        |request, good| {
            if request.target.contains("manifests") {
                let headers = vec![
                    ("content-type".to_owned(), "application/vnd.oci.image.manifest.v1+json".to_owned()),
                    ("docker-content-digest".to_owned(), sha256(b"another")),
                ];
                return Reply { headers, ..good };
            }
            good
        },
        "asked for or announced",
    );
    for value in ["", "md5:x", "nonsense"] {
        let registry = FakeRegistry::start(Served::image("1", &sample()), move |_, mut good| {
            good.headers.retain(|(name, _)| name != "docker-content-digest");
            good.header("docker-content-digest", value)
        });
        Img::new().pull(&registry.name("a:1")).run().succeeds().discard();
    }
}

#[test]
fn what_a_registry_says_cannot_reach_the_terminal() {
    let text = "\\u001b[2J\\u001b]0;owned\\u0007";
    refused(
        move |_, _| {
            Reply::new(403, format!("{{\"errors\":[{{\"code\":\"DENIED\",\"message\":\"{text}\"}}]}}"))
        },
        "denied",
    );
    let registry = FakeRegistry::start(Served::image("1", &sample()), |_, good| {
        good.header("warning", "299 - \"old\u{9b}2J api\"")
    });
    let outcome = Img::new().pull(&registry.name("a:1")).run().succeeds();
    assert!(
        outcome.stderr.contains("warning: ") && !outcome.stderr.contains('\u{9b}'),
        "{}",
        outcome.describe()
    );
}

#[test]
fn a_blob_that_is_encoded_is_refused() {
    refused(
        |request, good| if is_layer(request) { good.header("content-encoding", "gzip") } else { good },
        "encoded with",
    );
}
