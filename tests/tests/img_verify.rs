//! Signatures: who has signed an image, and what else a registry has about it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use mydocker_tests::img::signing::{Keys, artifact, payload, signature, signature_of, tag};
use mydocker_tests::img::{FakeRegistry, Img, Reply, SampleImage, Served, sha256};
use serde_json::{Value, json};
use std::fs;

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// A registry whose image `team/app:1` has what `make` gives under the tag that cosign uses. The image is pulled.
fn signed(
    img: &Img,
    image: &SampleImage,
    make: impl FnOnce(&str) -> Option<SampleImage>,
) -> (FakeRegistry, String) {
    // The name in a signature has the registry's port, which is known only when it runs.
    let served = std::sync::Arc::new(std::sync::Mutex::new(Served::image("1", image)));
    let answers = std::sync::Arc::clone(&served);
    let registry = FakeRegistry::start(Served::default(), move |request, _| {
        let good = answers.lock().expect("no panic").answer(request);
        if request.target.contains("/referrers/") { Reply::new(404, "404 page not found") } else { good }
    });
    let name = registry.name("team/app");
    if let Some(more) = make(&name) {
        let mut served = served.lock().expect("no panic");
        served.add(&more);
        served.manifest(&tag(&image.digest(), ".sig"), &more.media_type, &more.manifest);
    }
    img.pull(&format!("{name}:1")).run().succeeds().discard();
    (registry, format!("{name}:1"))
}

fn verify(img: &Img, words: &[&str]) -> mydocker_tests::Outcome {
    img.command(["verify", "--hosts-dir"]).arg(img.path("certs.d")).args(words).run()
}

#[test]
fn a_signature_of_each_kind_of_key_is_found_under_cosign_s_tag() {
    let img = Img::new();
    let kinds: [(&[&str], &str); 5] = [
        (&["EC", "-pkeyopt", "ec_paramgen_curve:P-256"], "-sha256"),
        (&["EC", "-pkeyopt", "ec_paramgen_curve:P-384"], "-sha256"),
        (&["EC", "-pkeyopt", "ec_paramgen_curve:P-384"], "-sha384"),
        (&["RSA"], "-sha256"),
        (&["ed25519"], ""),
    ];
    for (number, (kind, digest)) in kinds.into_iter().enumerate() {
        let keys = Keys::new(&img, &format!("right-{number}"), kind);
        let wrong = Keys::new(&img, &format!("wrong-{number}"), kind);
        let image = SampleImage::new(&[number.to_string().as_bytes()]);
        let sign = |name: &str| {
            let payload = payload(name, &image.digest());
            let text = keys.sign_with(&img, &payload, digest);
            Some(signature_of(payload, &text))
        };
        let (_registry, name) = signed(&img, &image, sign);
        let told = verify(&img, &["--key", keys.public(), &name]).succeeds().stdout;
        assert!(told.contains(&format!("{name}: signed by {}", keys.public())), "{told}");
        assert!(told.contains("4 digests are right"), "{told}");
        verify(&img, &["--key", wrong.public(), "--key", keys.public(), &name]).succeeds().discard();
        let refused = verify(&img, &["--key", wrong.public(), &name]).fails();
        refused.says("is not signed").says("none of the keys").discard();
    }
}

#[test]
fn a_signature_that_is_not_of_this_image_does_not_count() {
    let img = Img::new();
    let keys = Keys::p256(&img, "key");
    let image = SampleImage::new(&[b"one"]);
    let other = sha256(b"another image");
    for (name, digest, kind, reason) in [
        (None, other.clone(), "cosign container image signature", "another image"),
        (Some("elsewhere/app"), image.digest(), "cosign container image signature", "elsewhere/app"),
        (None, image.digest(), "something else", "no signature of an image"),
    ] {
        let sign = |own: &str| {
            let text = String::from_utf8(payload(name.unwrap_or(own), &digest)).expect("JSON");
            Some(signature(&img, &keys, text.replace("cosign container image signature", kind).into_bytes()))
        };
        let (_registry, name) = signed(&img, &image, sign);
        verify(&img, &["--key", keys.public(), &name]).fails().says(reason).discard();
    }
    let (_registry, name) = signed(&img, &image, |_| None);
    verify(&img, &["--key", keys.public(), &name]).fails().says("there is no signature").discard();
    let kinds: [&[&str]; 3] = [
        &["RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
        &["EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
        &["ed448"],
    ];
    for kind in kinds {
        let odd = Keys::new(&img, "odd", kind);
        verify(&img, &["--key", odd.public(), &name]).fails().says("ECDSA on P-256 and P-384, RSA").discard();
    }
    verify(&img, &["--key", "/dev/null", &name]).fails().says("/dev/null").discard();
}

#[test]
fn a_policy_says_which_images_have_to_be_signed() {
    let img = Img::new();
    let keys = Keys::p256(&img, "key");
    let image = SampleImage::new(&[b"one"]);
    let sign = |name: &str| Some(signature(&img, &keys, payload(name, &image.digest())));
    let (registry, name) = signed(&img, &image, sign);
    let data = BASE64_STANDARD.encode(fs::read(&keys.public).expect("a key"));
    let scope = registry.name("team");
    for (requirement, told) in [
        (json!([{ "type": "sigstoreSigned", "keyPath": keys.public }]), Ok("signed by")),
        (
            json!([{ "type": "sigstoreSigned", "keyData": data, "signedIdentity": { "type": "matchRepository" } }]),
            Ok("keyData"),
        ),
        (
            json!([{ "type": "sigstoreSigned", "keyData": data, "signedIdentity": { "type": "matchExact" } }]),
            Err("does not accept"),
        ),
        (json!([{ "type": "insecureAcceptAnything" }]), Ok("accepted without a signature")),
        (json!([{ "type": "reject" }]), Err("rejects")),
        (json!([{ "type": "signedBy", "keyType": "GPGKeys" }]), Err("not supported")),
    ] {
        let policy =
            json!({ "default": [{ "type": "reject" }], "transports": { "docker": { &scope: requirement } } });
        let file = img.write("policy.json", &policy.to_string());
        let outcome = verify(&img, &["--policy", file.to_str().expect("UTF-8"), &name]);
        match told {
            Ok(part) => assert!(outcome.succeeds().stdout.contains(part), "{requirement}"),
            Err(part) => outcome.fails().says(part).discard(),
        }
    }
    img.write("home/.config/containers/policy.json", r#"{"default":[{"type":"reject"}]}"#);
    verify(&img, &[&name]).fails().says("rejects").discard();
    img.write("home/.config/containers/policy.json", "{");
    verify(&img, &[&name]).fails().says("policy.json").discard();
}

/// The two forms of a sigstore bundle about a manifest.
fn bundles(img: &Img, keys: &Keys, manifest: &[u8]) -> [Value; 2] {
    let digest = sha256(manifest);
    let message = json!({
        "mediaType": BUNDLE,
        "verificationMaterial": { "publicKey": { "hint": "x" } },
        "messageSignature": {
            "messageDigest": { "algorithm": "SHA2_256" }, "signature": keys.sign(img, manifest),
        },
    });
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": "x", "digest": { "sha256": &digest["sha256:".len()..] } }],
        "predicateType": "https://sigstore.dev/cosign/sign/v1",
    })
    .to_string();
    let kind = "application/vnd.in-toto+json";
    let signed = format!("DSSEv1 {} {kind} {} {statement}", kind.len(), statement.len());
    let envelope = json!({
        "mediaType": BUNDLE,
        "dsseEnvelope": {
            "payload": BASE64_STANDARD.encode(&statement), "payloadType": kind,
            "signatures": [{ "sig": keys.sign(img, signed.as_bytes()) }],
        },
    });
    [message, envelope]
}

#[test]
fn a_bundle_is_enough_where_no_registry_can_be_asked() {
    let img = Img::new();
    let (keys, wrong) = (Keys::p256(&img, "key"), Keys::p256(&img, "wrong"));
    let (image, other) = (SampleImage::new(&[b"one"]), SampleImage::new(&[b"other"]));
    let (registry, name) = signed(&img, &image, |_| None);
    drop(registry);
    for (number, bundle) in bundles(&img, &keys, &image.manifest).iter().enumerate() {
        let file = img.write(&format!("bundle-{number}"), &bundle.to_string());
        let file = file.to_str().expect("UTF-8");
        let told = verify(&img, &["--key", keys.public(), "--bundle", file, &name]).succeeds().stdout;
        assert!(told.contains(&format!("({file})")), "{told}");
        verify(&img, &["--key", wrong.public(), "--bundle", file, &name])
            .fails()
            .says("none of the keys")
            .discard();
    }
    let accepts = img.write("accepts.json", r#"{"default":[{"type":"insecureAcceptAnything"}]}"#);
    let words = ["--policy", accepts.to_str().expect("UTF-8"), "--bundle", "/never/was", &name];
    verify(&img, &words).fails().says("whose signature").says("--key").discard();
    let [message, envelope] = bundles(&img, &keys, &other.manifest);
    for (bundle, reason) in [
        (message.to_string(), "none of the keys"),
        (envelope.to_string(), "another image"),
        (json!({ "mediaType": BUNDLE }).to_string(), "neither"),
        (json!({ "mediaType": "x" }).to_string(), "calls itself"),
        ("{".to_owned(), "no sigstore bundle"),
    ] {
        let file = img.write("bundle", &bundle);
        let words = ["--key", keys.public(), "--bundle", file.to_str().expect("UTF-8"), &name];
        verify(&img, &words).fails().says(reason).discard();
    }
}

#[test]
fn digests_are_verified_without_any_policy() {
    let img = Img::new();
    let image = SampleImage::new(&[b"one", b"second"]);
    let (_registry, name) = signed(&img, &image, |_| None);
    img.write("home/.config/containers/policy.json", r#"{"default":[{"type":"insecureAcceptAnything"}]}"#);
    assert!(verify(&img, &[&name]).succeeds().stdout.contains("6 digests are right"));
    let layer = img.layout().join("blobs/sha256").join(&sha256(&image.layers[1])["sha256:".len()..]);
    fs::write(layer, "changed").expect("the store");
    verify(&img, &[&name]).fails().says(&sha256(&image.layers[1])).says("damaged").discard();
}

/// A registry whose image `a:1` is referred to by a bundle, a list of packages, and, on the second page, a note.
fn referred(img: &Img, keys: &Keys, image: &SampleImage) -> FakeRegistry {
    let [_, bundle] = bundles(img, keys, &image.manifest);
    let signature = artifact(BUNDLE, bundle.to_string().into_bytes(), json!({}));
    let mut served = Served::image("1", image);
    served.add(&signature);
    let entry = |digest: &str, size: usize, kind: &str| {
        json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": size,
            "artifactType": kind, "annotations": { "note": "x" },
        })
    };
    let first = [
        entry(&signature.digest(), signature.manifest.len(), BUNDLE),
        entry(&sha256(b"sbom"), 4, "application/spdx+json"),
    ];
    let second = [entry(&sha256(b"note"), 4, "text/plain")];
    let page = |entries: &[Value]| {
        json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries,
        })
        .to_string()
    };
    let (first, second) = (page(&first), page(&second));
    let path = format!("/v2/a/referrers/{}", image.digest());
    FakeRegistry::start(served, move |request, good| {
        let kind = "application/vnd.oci.image.index.v1+json";
        if request.target == path {
            let next = format!("<{path}?last=2>; rel=\"next\"");
            Reply::new(200, first.clone()).header("content-type", kind).header("link", next)
        } else if request.target == format!("{path}?last=2") {
            Reply::new(200, second.clone()).header("content-type", kind)
        } else {
            good
        }
    })
}

#[test]
fn what_refers_to_an_image_is_listed_and_signatures_there_count() {
    let img = Img::new();
    let keys = Keys::p256(&img, "key");
    let image = SampleImage::new(&[b"one"]);
    let registry = referred(&img, &keys, &image);
    let name = registry.name("a:1");
    let listed = |more: &[&str]| {
        let command = img.command(["referrers", "--format", "{{.ArtifactType}} {{.Size}} {{.Annotations}}"]);
        command.args(more).arg(&name).run().succeeds().stdout
    };
    let all = listed(&[]);
    assert_eq!(all.lines().count(), 3, "{all}");
    assert!(all.contains("application/spdx+json 4B note=x\n") && all.contains("text/plain 4B"), "{all}");
    assert_eq!(listed(&["--artifact-type", "text/plain"]), "text/plain 4B note=x\n");
    let table = img.command(["referrers", &name]).run().succeeds().stdout;
    assert!(table.starts_with("DIGEST") && table.contains(&sha256(b"sbom")), "{table}");
    img.pull(&name).run().succeeds().discard();
    let told = verify(&img, &["--key", keys.public(), &name]).succeeds().stdout;
    assert!(told.contains("signed by"), "{told}");
}

#[test]
fn a_registry_that_knows_no_referrers_has_them_under_a_tag() {
    let image = SampleImage::new(&[b"one"]);
    let index = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": sha256(b"note"), "size": 4,
            "artifactType": "text/plain",
        }],
    });
    let mut served = Served::image("1", &image);
    let bytes = index.to_string().into_bytes();
    served.manifest(&tag(&image.digest(), ""), "application/vnd.oci.image.index.v1+json", &bytes);
    let missing = |request: &mydocker_tests::img::Request, good| {
        if request.target.contains("/referrers/") { Reply::new(404, "404 page not found") } else { good }
    };
    let (with, without) = (FakeRegistry::start(served, missing), Served::image("1", &image));
    let without = FakeRegistry::start(without, missing);
    let img = Img::new();
    let listed = |name: &str| {
        img.command(["referrers", "--format", "{{.ArtifactType}}", name]).run().succeeds().stdout
    };
    assert_eq!(listed(&with.name("a:1")), "text/plain\n");
    assert_eq!(listed(&without.name("a:1")), "");
    img.command(["referrers", &with.name("a:2")]).run().fails().says("a:2").discard();
}
