//! Signatures without keys of one's own: certificates of an authority, and entries of a transparency log, all made by the test.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use mydocker_tests::img::signing::{Keys, artifact, openssl, payload, tag};
use mydocker_tests::img::{FakeRegistry, Img, Reply, SampleImage, Served, sha256};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

const ME: &str = "me@example.com";
const ISSUER: &str = "https://login.example.com";

/// An authority.
struct Authority {
    key: String,
    certificate: PathBuf,
}

/// Somebody with a certificate.
struct Person {
    keys: Keys,
    certificate: PathBuf,
}

fn text(path: &std::path::Path) -> String {
    path.display().to_string()
}

impl Authority {
    fn new(img: &Img, name: &str) -> Self {
        let (key, certificate) = (text(&img.path(&format!("{name}.key"))), img.path(&format!("{name}.pem")));
        openssl(&["genpkey", "-out", &key, "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]);
        let words = [
            "req",
            "-x509",
            "-key",
            &key,
            "-subj",
            "/CN=authority",
            "-days",
            "2",
            "-out",
            &text(&certificate),
        ];
        let extensions = ["-addext", "keyUsage=critical,keyCertSign"];
        openssl(&[&words[..], &extensions].concat());
        Self { key, certificate }
    }

    fn certify(&self, img: &Img, name: &str, email: &str, issuer: &str, purpose: &str) -> Person {
        let keys = Keys::p256(img, name);
        let hex: String = issuer.bytes().map(|byte| format!("{byte:02x}")).collect();
        let extensions = img.write(
            &format!("{name}.ext"),
            &format!(
                "keyUsage=critical,digitalSignature\nextendedKeyUsage={purpose}\nsubjectAltName=critical,email:{email}\n\
                 1.3.6.1.4.1.57264.1.1=DER:{hex}\n1.3.6.1.4.1.57264.1.8=ASN1:UTF8String:{issuer}\n"
            ),
        );
        let (request, certificate) =
            (text(&img.path(&format!("{name}.csr"))), img.path(&format!("{name}.pem")));
        let key = text(&img.path(&format!("{name}.key")));
        openssl(&["req", "-new", "-key", &key, "-subj", "/", "-out", &request]);
        let signed = ["x509", "-req", "-in", &request, "-CA", &text(&self.certificate), "-CAkey", &self.key];
        let more =
            ["-set_serial", "7", "-days", "1", "-extfile", &text(&extensions), "-out", &text(&certificate)];
        openssl(&[&signed[..], &more].concat());
        Person { keys, certificate }
    }

    fn me(&self, img: &Img) -> Person {
        self.certify(img, "me", ME, ISSUER, "codeSigning")
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// A transparency log.
struct Log(Keys);

impl Log {
    /// What is in an entry about a signature.
    fn body(kind: &str, content: &[u8], signature: &str, verifier: &str) -> String {
        let (hash, verifier) = (&sha256(content)["sha256:".len()..], BASE64_STANDARD.encode(verifier));
        let hash = json!({ "algorithm": "sha256", "value": hash });
        let spec = match kind {
            "dsse" => {
                json!({ "payloadHash": hash, "signatures": [{ "signature": signature, "verifier": verifier }] })
            }
            _ => json!({
                "data": { "hash": hash },
                "signature": { "content": signature, "publicKey": { "content": verifier } },
            }),
        };
        BASE64_STANDARD.encode(json!({ "apiVersion": "0.0.1", "kind": kind, "spec": spec }).to_string())
    }

    fn promise(&self, img: &Img, body: &str, time: u64) -> String {
        let text = format!(r#"{{"body":"{body}","integratedTime":{time},"logID":"00ff","logIndex":7}}"#);
        self.0.sign(img, text.as_bytes())
    }

    /// An entry as cosign keeps it in a registry.
    fn annotation(&self, img: &Img, body: &str, time: u64) -> String {
        let payload = json!({ "body": body, "integratedTime": time, "logIndex": 7, "logID": "00ff" });
        json!({ "SignedEntryTimestamp": self.promise(img, body, time), "Payload": payload }).to_string()
    }

    /// An entry as it is in a bundle, with a proof that it is the second of three.
    fn entry(&self, img: &Img, body: &str, time: u64) -> Value {
        let leaf = |bytes: &[u8]| hash(0, &[bytes]);
        let (first, third) = (leaf(b"first"), leaf(b"third"));
        let own = leaf(&BASE64_STANDARD.decode(body).expect("base64"));
        let root = BASE64_STANDARD.encode(hash(1, &[&hash(1, &[&first, &own]), &third]));
        let tree = format!("log.example\n3\n{root}\n");
        let signature = BASE64_STANDARD.decode(self.0.sign(img, tree.as_bytes())).expect("base64");
        let signature = BASE64_STANDARD.encode([&[1, 2, 3, 4], &signature[..]].concat());
        json!({
            "logIndex": "7",
            "logId": { "keyId": BASE64_STANDARD.encode([0, 0xff]) },
            "integratedTime": time.to_string(),
            "inclusionPromise": { "signedEntryTimestamp": self.promise(img, body, time) },
            "inclusionProof": {
                "logIndex": "1", "treeSize": "3", "rootHash": root,
                "hashes": [BASE64_STANDARD.encode(first), BASE64_STANDARD.encode(third)],
                "checkpoint": { "envelope": format!("{tree}\n\u{2014} log.example {signature}\n") },
            },
            "canonicalizedBody": body,
        })
    }
}

fn hash(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut hasher = Sha256::new();
    hasher.update([kind]);
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().to_vec()
}

/// A registry with `app:1`, and what `make` gives of its name under cosign's tag.
fn registry(image: &SampleImage, make: impl FnOnce(&str) -> SampleImage) -> FakeRegistry {
    let served = Arc::new(Mutex::new(Served::image("1", image)));
    let answers = Arc::clone(&served);
    let registry = FakeRegistry::start(Served::default(), move |request, _| {
        let good = answers.lock().expect("no panic").answer(request);
        if request.target.contains("/referrers/") { Reply::new(404, "404 page not found") } else { good }
    });
    let more = make(&registry.name("app"));
    let mut served = served.lock().expect("no panic");
    served.add(&more);
    served.manifest(&tag(&image.digest(), ".sig"), &more.media_type, &more.manifest);
    registry
}

/// A signature in a registry, with a certificate and an entry of a log.
fn signed(person: &Person, signature: &str, payload: Vec<u8>, log: Option<&str>) -> SampleImage {
    let certificate = fs::read_to_string(&person.certificate).expect("a certificate");
    let mut annotations = json!({
        "dev.cosignproject.cosign/signature": signature,
        "dev.sigstore.cosign/certificate": certificate,
        "dev.sigstore.cosign/chain": "",
    });
    if let Some(log) = log {
        annotations["dev.sigstore.cosign/bundle"] = log.into();
    }
    artifact("application/vnd.dev.cosign.simplesigning.v1+json", payload, annotations)
}

fn keyless(authority: &Authority, log: &Log, email: &str, issuer: &str) -> Value {
    json!({
        "type": "sigstoreSigned",
        "fulcio": { "caPath": authority.certificate, "oidcIssuer": issuer, "subjectEmail": email },
        "rekorPublicKeyPath": log.0.public,
        "signedIdentity": { "type": "matchRepository" },
    })
}

fn pull(img: &Img, registry: &FakeRegistry, requirement: &Value) -> mydocker_tests::Outcome {
    let policy = json!({ "default": [requirement] });
    let file = img.write("policy.json", &policy.to_string());
    img.pull(&registry.name("app:1")).arg("--signature-policy").arg(&file).run()
}

#[test]
fn a_certificate_of_the_right_person_that_was_logged_in_time_is_enough() {
    let img = Img::new();
    let (authority, log) = (Authority::new(&img, "ca"), Log(Keys::p256(&img, "log")));
    let me = authority.me(&img);
    let certificate = fs::read_to_string(&me.certificate).expect("a certificate");
    let image = SampleImage::new(&[b"one"]);
    let registry = registry(&image, |name| {
        let payload = payload(name, &image.digest());
        let signature = me.keys.sign(&img, &payload);
        let body = Log::body("hashedrekord", &payload, &signature, &certificate);
        signed(&me, &signature, payload, Some(&log.annotation(&img, &body, now())))
    });
    let (stranger, other_log) = (Authority::new(&img, "stranger"), Log(Keys::p256(&img, "other-log")));
    for (requirement, told) in [
        (keyless(&authority, &log, "you@example.com", ISSUER), "you@example.com"),
        (keyless(&authority, &log, ME, "https://elsewhere"), "https://elsewhere"),
        (keyless(&stranger, &log, ME, ISSUER), "not one of the authority's"),
        (keyless(&authority, &other_log, ME, ISSUER), "not signed by the log"),
        (json!({ "type": "sigstoreSigned", "keyPath": log.0.public }), "none of the keys"),
    ] {
        pull(&img, &registry, &requirement).fails().says(told).discard();
    }
    let mut incomplete = keyless(&authority, &log, ME, ISSUER);
    incomplete.as_object_mut().expect("an object").remove("rekorPublicKeyPath");
    pull(&img, &registry, &incomplete).fails().says("rekorPublicKeyPath").discard();
    let mut rootless = keyless(&authority, &log, ME, ISSUER);
    rootless["fulcio"]["caPath"] = "/dev/null".into();
    pull(&img, &registry, &rootless).fails().says("/dev/null").discard();
    assert!(img.entries().is_empty());
    let told = pull(&img, &registry, &keyless(&authority, &log, ME, ISSUER)).succeeds().stdout;
    assert!(told.contains(&format!("signed by {ME}")), "{told}");
}

#[test]
fn what_does_not_fit_together_is_no_signature() {
    let img = Img::new();
    let (authority, log) = (Authority::new(&img, "ca"), Log(Keys::p256(&img, "log")));
    let me = authority.me(&img);
    let server = authority.certify(&img, "server", ME, ISSUER, "serverAuth");
    let image = SampleImage::new(&[b"one"]);
    let policy = keyless(&authority, &log, ME, ISSUER);
    let pem = |person: &Person| fs::read_to_string(&person.certificate).expect("a certificate");
    // Who has signed, whose certificate and signature are logged, when, and whether the entry comes along.
    let cases: [(&Person, &Person, bool, u64, bool, &str); 6] = [
        (&me, &me, true, now(), true, ""),
        (&me, &me, true, now() - 10 * 86_400, true, "not one of the authority's"),
        (&me, &server, true, now(), true, "another signature"),
        (&me, &me, false, now(), true, "another signature"),
        (&me, &me, true, now(), false, "no entry of a transparency log"),
        (&server, &server, true, now(), true, "not one of the authority's"),
    ];
    for (person, logged, is_same, time, is_there, told) in cases {
        let registry = registry(&image, |name| {
            let payload = payload(name, &image.digest());
            let signature = person.keys.sign(&img, &payload);
            let another = person.keys.sign(&img, b"something else");
            let in_log = if is_same { &signature } else { &another };
            let body = Log::body("hashedrekord", &payload, in_log, &pem(logged));
            let entry = log.annotation(&img, &body, time);
            signed(person, &signature, payload, is_there.then_some(&*entry))
        });
        let outcome = pull(&Img::new(), &registry, &policy);
        if told.is_empty() { outcome.succeeds().discard() } else { outcome.fails().says(told).discard() }
    }
}

/// A bundle with a statement about an image, a certificate and an entry of a log.
fn bundle(img: &Img, person: &Person, log: &Log, image: &SampleImage, name: &str) -> Value {
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": name, "digest": { "sha256": &image.digest()["sha256:".len()..] } }],
    })
    .to_string();
    let kind = "application/vnd.in-toto+json";
    let message = format!("DSSEv1 {} {kind} {} {statement}", kind.len(), statement.len());
    let signature = person.keys.sign(img, message.as_bytes());
    let pem = fs::read_to_string(&person.certificate).expect("a certificate");
    let der: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let body = Log::body("dsse", statement.as_bytes(), &signature, &pem);
    json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {
            "certificate": { "rawBytes": der }, "tlogEntries": [log.entry(img, &body, now())],
        },
        "dsseEnvelope": {
            "payload": BASE64_STANDARD.encode(&statement), "payloadType": kind,
            "signatures": [{ "sig": signature }],
        },
    })
}

#[test]
fn a_bundle_brings_the_proof_along_that_the_log_has_it() {
    let img = Img::new();
    let (authority, log) = (Authority::new(&img, "ca"), Log(Keys::p256(&img, "log")));
    let me = authority.me(&img);
    let image = SampleImage::new(&[b"one"]);
    let registry = FakeRegistry::good(Served::image("1", &image));
    let name = registry.name("app:1");
    img.pull(&name).run().succeeds().discard();
    let good = bundle(&img, &me, &log, &image, &registry.name("app"));
    drop(registry);
    let policy = json!({ "default": [keyless(&authority, &log, ME, ISSUER)] });
    let policy = img.write("policy.json", &policy.to_string());
    let verify = |bundle: &Value| {
        let file = img.write("bundle.json", &bundle.to_string());
        img.command(["verify", &name, "--policy"]).arg(&policy).arg("--bundle").arg(file).run()
    };
    let told = verify(&good).succeeds().stdout;
    assert!(told.contains(&format!("signed by {ME}")), "{told}");
    let entry = "/verificationMaterial/tlogEntries/0";
    let other_root = json!(BASE64_STANDARD.encode([7; 32]));
    for (pointer, value, told) in [
        ("/inclusionProof/hashes/0", other_root.clone(), "does not lead"),
        ("/inclusionProof/rootHash", other_root, "does not lead"),
        ("/inclusionProof/logIndex", json!("2"), "does not lead"),
        ("/inclusionProof/treeSize", json!("4"), "not signed by the log"),
        ("/inclusionProof/checkpoint/envelope", json!("log.example\n3\nAAAA\n\n"), "not signed by the log"),
        ("/inclusionPromise/signedEntryTimestamp", json!("AAAA"), "not signed by the log"),
        ("/integratedTime", json!("1"), "not signed by the log"),
        ("/inclusionPromise", Value::Null, "nobody has signed when"),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(&format!("{entry}{pointer}")).expect("it is there") = value;
        verify(&bad).fails().says(told).discard();
    }
    let mut alone = good.clone();
    alone["verificationMaterial"]["tlogEntries"][0]["inclusionProof"] = Value::Null;
    verify(&alone).succeeds().discard();
    let mut without = good;
    without["verificationMaterial"]["tlogEntries"] = json!([]);
    verify(&without).fails().says("no entry of a transparency log").discard();
}

#[test]
fn a_key_s_signature_can_be_asked_to_be_logged_too() {
    let img = Img::new();
    let (keys, log) = (Keys::p256(&img, "key"), Log(Keys::p256(&img, "log")));
    let image = SampleImage::new(&[b"one"]);
    let pem = fs::read_to_string(&keys.public).expect("a key");
    let requirement = json!({
        "type": "sigstoreSigned", "keyPath": keys.public, "rekorPublicKeyPath": log.0.public,
        "signedIdentity": { "type": "matchRepository" },
    });
    for is_logged in [true, false] {
        let registry = registry(&image, |name| {
            let payload = payload(name, &image.digest());
            let signature = keys.sign(&img, &payload);
            let body = Log::body("hashedrekord", &payload, &signature, &pem);
            let mut annotations = json!({ "dev.cosignproject.cosign/signature": signature });
            if is_logged {
                annotations["dev.sigstore.cosign/bundle"] = log.annotation(&img, &body, now()).into();
            }
            artifact("application/vnd.dev.cosign.simplesigning.v1+json", payload, annotations)
        });
        let outcome = pull(&Img::new(), &registry, &requirement);
        if is_logged {
            outcome.succeeds().discard()
        } else {
            outcome.fails().says("transparency log").discard()
        }
    }
}
