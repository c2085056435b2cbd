use super::*;
use crate::reference::ReferenceError::{Character, Empty, Id, Long, Missing};

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn full(text: &str) -> String {
    Reference::parse(text).expect(text).to_string()
}

fn wrong(text: &str) -> ReferenceError {
    Reference::parse(text).expect_err(text)
}

#[test]
fn names_without_a_host_mean_docker_hub() {
    assert_eq!(full("ubuntu"), "docker.io/library/ubuntu");
    assert_eq!(full("arm64v8/ubuntu:20.04"), "docker.io/arm64v8/ubuntu:20.04");
    assert_eq!(full("docker.io/ubuntu"), "docker.io/library/ubuntu");
    assert_eq!(full("index.docker.io/a/b"), "docker.io/a/b");
    assert_eq!(full("a/b/c"), "docker.io/a/b/c");
}

#[test]
fn the_first_component_is_a_host_by_its_looks() {
    assert_eq!(full("localhost/a"), "localhost/a");
    assert_eq!(full("localhost:5000/a:b"), "localhost:5000/a:b");
    assert_eq!(full("Host/a"), "Host/a");
    assert_eq!(full("quay.io/a/b"), "quay.io/a/b");
    assert_eq!(full("127.0.0.1:80/a"), "127.0.0.1:80/a");
    assert_eq!(full("[::1]:5000/a"), "[::1]:5000/a");
    assert_eq!(full("[fe80::1]/a"), "[fe80::1]/a");
    // Without a slash there is no host: 5000 is a tag.
    assert_eq!(full("localhost:5000"), "docker.io/library/localhost:5000");
    assert!(Reference::is_short("ubuntu") && Reference::is_short("a/b") && !Reference::is_short("q.io/a"));
}

#[test]
fn tags_and_digests_are_found() {
    let reference = Reference::parse(&format!("q.io/a:b@{DIGEST}")).expect("a reference");
    assert_eq!((reference.tag(), reference.version()), (Some("b"), DIGEST));
    assert_eq!(reference.to_string(), format!("q.io/a:b@{DIGEST}"));
    let reference = Reference::parse("a").expect("a reference");
    assert_eq!((reference.tag(), reference.version()), (None, "latest"));
    assert_eq!(reference.or_latest().to_string(), "docker.io/library/a:latest");
}

#[test]
fn the_familiar_form_is_docker_s() {
    for (text, familiar) in [
        ("docker.io/library/ubuntu:20.04", "ubuntu:20.04"),
        ("docker.io/library/a/b", "library/a/b"),
        ("docker.io/a/b", "a/b"),
        ("quay.io/library/a", "quay.io/library/a"),
    ] {
        assert_eq!(Reference::parse(text).expect(text).familiar(), familiar);
    }
}

#[test]
fn separators_of_a_repository_are_docker_s() {
    for text in ["a-b", "a--b", "a---b", "a_b", "a__b", "a.b", "a1/b2"] {
        Reference::parse(text).expect(text);
    }
    for (text, position) in [("a___b", 3), ("a..b", 3), ("a._b", 3), ("-a", 1), ("a-", 2), ("x/_a", 3)] {
        match wrong(text) {
            Character { position: found, part: Part::Repository, .. } => {
                assert_eq!(found, position, "{text}")
            }
            other => panic!("{text}: {other}"),
        }
    }
}

#[test]
fn the_offending_character_and_its_position_are_named() {
    for (text, character, position, part) in [
        ("Ubuntu", 'U', 1, Part::Repository),
        ("a/bC", 'C', 4, Part::Repository),
        ("a b", ' ', 2, Part::Repository),
        ("é", 'é', 1, Part::Repository),
        ("a:b c", ' ', 4, Part::Tag),
        ("a:.b", '.', 3, Part::Tag),
        ("a:-b", '-', 3, Part::Tag),
        ("a:b\u{1b}[2J", '\u{1b}', 4, Part::Tag),
        ("q_q.io/a", '_', 2, Part::Host),
        ("q.io:x/a", 'x', 6, Part::Port),
        ("q.io:99999/a", '9', 6, Part::Port),
        ("-q.io/a", '-', 1, Part::Host),
        ("q-.io/a", '-', 2, Part::Host),
        ("[::1/a", '[', 1, Part::Host),
        ("[::x]/a", ':', 2, Part::Host),
    ] {
        let error = wrong(text);
        match &error {
            Character { character: c, position: p, part: q, .. } => {
                assert_eq!((*c, *p, *q), (character, position, part), "{text}: {error}");
            }
            // An empty port says no more than its position.
            Missing { position: p, part: q, .. } => assert_eq!((*p, *q), (position, part), "{text}: {error}"),
            other => panic!("{text}: {other}"),
        }
        assert!(!error.to_string().contains('\u{1b}'), "{error:?}");
    }
}

#[test]
fn what_is_missing_is_named() {
    assert_eq!(wrong(""), Empty);
    for (text, part, position) in [
        ("a:", Part::Tag, 3),
        ("a//b", Part::Repository, 3),
        ("/a", Part::Repository, 1),
        ("q.io/", Part::Repository, 6),
        ("q..io/a", Part::Host, 3),
        ("q.io:/a", Part::Port, 6),
    ] {
        match wrong(text) {
            Missing { part: p, position: found, .. } => assert_eq!((p, found), (part, position), "{text}"),
            other => panic!("{text}: {other}"),
        }
    }
}

#[test]
fn limits_are_docker_s() {
    Reference::parse(&format!("a:{}", "b".repeat(128))).expect("the longest tag");
    assert!(matches!(wrong(&format!("a:{}", "b".repeat(129))), Long { part: Part::Tag, .. }));
    assert!(matches!(wrong(&"a".repeat(256)), Long { part: Part::Repository, .. }));
    assert!(matches!(wrong(&"a".repeat(64)), Id(_)));
    Reference::parse(&format!("q.io/{}", "a".repeat(64))).expect("not an id with a host");
}

#[test]
fn digests_in_references_are_checked() {
    for text in ["a@", "a@sha256:abc", "a@md5:abc", &format!("a@{DIGEST}@{DIGEST}")] {
        assert!(matches!(wrong(text), ReferenceError::Digest { .. }), "{text}");
    }
}

/// Found by the fuzz target `reference`: an archive would have given the image to another registry.
#[test]
fn what_docker_would_show_as_another_name_is_shown_in_full() {
    let id = "a".repeat(64);
    for (name, shown) in [
        ("docker.io/other.example/app:1", "docker.io/other.example/app:1"),
        ("docker.io/localhost/app", "docker.io/localhost/app"),
        (&*format!("docker.io/{id}"), &*format!("docker.io/library/{id}")),
        ("docker.io/team/app", "team/app"),
        ("docker.io/library/other.example", "other.example"),
    ] {
        let reference = Reference::parse(name).expect(name);
        assert_eq!(reference.familiar(), shown);
        assert_eq!(Reference::parse(shown), Ok(reference));
    }
}

#[test]
fn the_address_of_something_is_no_name() {
    for (text, before) in [("https://q.io/a", "https://"), ("docker://a:1", "docker://")] {
        assert!(matches!(wrong(text), ReferenceError::Scheme { scheme, .. } if scheme == before), "{text}");
    }
}

#[test]
fn what_is_the_beginning_of_an_id_is_no_name() {
    let hex = "a".repeat(64);
    for text in ["sha256", "sha512:1", &format!("sha256:{hex}"), "docker.io/library/sha256:1"] {
        assert!(matches!(wrong(text), Id(_)), "{text}");
    }
    Reference::parse("q.io/sha256:1").expect("another registry");
}
