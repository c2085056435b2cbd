//! Policies (containers-policy.json): what they do not let in is not pulled.

use mydocker_tests::img::signing::{Keys, artifact, payload, signature, tag};
use mydocker_tests::img::{FakeRegistry, Img, Reply, SampleImage, Served, sha256};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// A registry with `team/app:1`, signed with the keys, and `team/app:2`, which is not; and their images.
fn registry(img: &Img, keys: &Keys) -> (FakeRegistry, SampleImage, SampleImage) {
    let (one, two) = (SampleImage::new(&[b"one"]), SampleImage::new(&[b"two"]));
    let mut served = Served::image("1", &one);
    served.add(&two);
    served.manifest("2", &two.media_type, &two.manifest);
    // The name in a signature has the registry's port, which is known only when it runs.
    let served = Arc::new(Mutex::new(served));
    let answers = Arc::clone(&served);
    let registry = FakeRegistry::start(Served::default(), move |request, _| {
        let good = answers.lock().expect("no panic").answer(request);
        if request.target.contains("/referrers/") { Reply::new(404, "404 page not found") } else { good }
    });
    let signature = signature(img, keys, payload(&registry.name("team/app"), &one.digest()));
    let mut served = served.lock().expect("no panic");
    served.add(&signature);
    served.manifest(&tag(&one.digest(), ".sig"), &signature.media_type, &signature.manifest);
    drop(served);
    (registry, one, two)
}

fn policy(img: &Img, scope: &str, requirements: Value) -> PathBuf {
    let policy =
        json!({ "default": [{ "type": "reject" }], "transports": { "docker": { scope: requirements } } });
    img.write("policy.json", &policy.to_string())
}

fn signed(keys: &Keys, identity: &str) -> Value {
    json!([{ "type": "sigstoreSigned", "keyPath": keys.public, "signedIdentity": { "type": identity } }])
}

fn holds_nothing(img: &Img) {
    assert!(img.entries().is_empty());
    assert_eq!(fs::read_dir(img.layout().join("blobs/sha256")).expect("the store").count(), 0);
    assert_eq!(img.unfinished(), 0);
}

#[test]
fn what_is_signed_is_pulled_and_what_is_not_leaves_nothing() {
    let img = Img::new();
    let (keys, wrong) = (Keys::p256(&img, "right"), Keys::p256(&img, "wrong"));
    let (registry, one, two) = registry(&img, &keys);
    let (good, bad) = (registry.name("team/app:1"), registry.name("team/app:2"));
    let pull = |policy: &PathBuf, name: &str| img.pull(name).arg("--signature-policy").arg(policy);
    let scope = registry.name("team");
    let by = |keys: &Keys, identity: &str| policy(&img, &scope, signed(keys, identity));
    pull(&by(&wrong, "matchRepository"), &good).run().fails().says("none of the keys").discard();
    pull(&by(&keys, "matchExact"), &good).run().fails().says("does not accept").discard();
    pull(&by(&keys, "matchRepository"), &bad).run().fails().says("there is no signature").discard();
    let gpg = policy(&img, &scope, json!([{ "type": "signedBy", "keyType": "GPGKeys", "keyPath": "/x" }]));
    pull(&gpg, &good).run().fails().says("signedBy").says("not supported").discard();
    pull(&img.write("odd.json", "{"), &good).run().fails().says("odd.json").discard();
    pull(&img.path("missing.json"), &good).run().fails().says("missing.json").discard();
    let dry = pull(&by(&wrong, "matchRepository"), &good).arg("--dry-run");
    dry.run().fails().says("none of the keys").discard();
    holds_nothing(&img);
    assert!(!asked_for_layers(&registry, &[&one, &two]), "layers of what is not trusted were fetched");
    let told = pull(&by(&keys, "matchRepository"), &good).run().succeeds().stdout;
    assert!(told.contains(&format!("1: signed by {}", keys.public())), "{told}");
    // What is here already is asked about as well.
    pull(&by(&wrong, "matchRepository"), &good).run().fails().says("none of the keys").discard();
    pull(&by(&keys, "matchRepository"), &good).run().succeeds().discard();
    assert_eq!(img.entries().len(), 1);
}

fn asked_for_layers(registry: &FakeRegistry, images: &[&SampleImage]) -> bool {
    let asked = registry.server.requests();
    let layers = || images.iter().flat_map(|image| &image.layers).map(|layer| sha256(layer));
    asked.iter().any(|request| layers().any(|layer| request.target.ends_with(&layer)))
}

#[test]
fn a_policy_is_found_where_podman_looks_and_rejects_before_anybody_is_asked() {
    let img = Img::new();
    let image = SampleImage::new(&[b"one"]);
    let registry = FakeRegistry::good(Served::image("1", &image));
    let name = registry.name("app:1");
    let own = "home/.config/containers/policy.json";
    img.write(own, r#"{"default":[{"type":"reject"}]}"#);
    img.pull(&name).run().fails().says("policy.json").says("rejects").says(&name).discard();
    assert!(registry.server.requests().is_empty());
    holds_nothing(&img);
    let host = registry.name("").trim_end_matches('/').to_owned();
    let accepts = json!({
        "default": [{ "type": "reject" }],
        "transports": { "docker": { host: [{ "type": "insecureAcceptAnything" }] } },
    });
    img.write(own, &accepts.to_string());
    img.pull(&name).run().succeeds().discard();
    img.pull("other.invalid/app:1").run().fails().says("rejects").discard();
}

#[test]
fn all_platforms_are_vouched_for_by_a_signature_of_the_index_or_of_each() {
    let img = Img::new();
    let keys = Keys::p256(&img, "key");
    let one = SampleImage::new(&[b"one"]);
    let other = SampleImage::for_platform("linux", "arm64", &[b"two"]);
    let index = SampleImage::index(&[&one, &other]);
    let kind = "application/vnd.oci.image.index.v1+json";
    for (signs, succeeds) in [
        (vec![sha256(&index)], true),
        (vec![one.digest()], false),
        (vec![one.digest(), other.digest()], true),
    ] {
        let served = Arc::new(Mutex::new(Served::image("1", &one)));
        served.lock().expect("no panic").add(&other);
        served.lock().expect("no panic").manifest("1", kind, &index);
        let answers = Arc::clone(&served);
        let registry = FakeRegistry::start(Served::default(), move |request, _| {
            let good = answers.lock().expect("no panic").answer(request);
            if request.target.contains("/referrers/") { Reply::new(404, "404 page not found") } else { good }
        });
        for digest in &signs {
            let made = signature(&img, &keys, payload(&registry.name("app"), digest));
            let mut served = served.lock().expect("no panic");
            served.add(&made);
            served.manifest(&tag(digest, ".sig"), &made.media_type, &made.manifest);
        }
        let file = policy(&img, &registry.name("app"), signed(&keys, "matchRepository"));
        let pull = |flags: &[&str]| {
            img.pull(&registry.name("app:1")).arg("--signature-policy").arg(&file).args(flags).run()
        };
        let all = pull(&["--all-platforms"]);
        if succeeds {
            all.succeeds().discard()
        } else {
            all.fails().says("there is no signature").discard()
        }
        pull(&["--platform", "linux/amd64"]).succeeds().discard();
    }
}

#[test]
fn a_bundle_without_a_name_does_not_meet_a_policy_that_asks_for_one() {
    const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
    let img = Img::new();
    let keys = Keys::p256(&img, "key");
    let image = SampleImage::new(&[b"one"]);
    for (subject, told) in
        [(Some("NAME"), None), (Some("elsewhere/app"), Some("elsewhere/app")), (None, Some("which name"))]
    {
        let served = Arc::new(Mutex::new(Served::image("1", &image)));
        let answers = Arc::clone(&served);
        let registry = FakeRegistry::start(Served::default(), move |request, _| {
            let good = answers.lock().expect("no panic").answer(request);
            if request.target.contains("/referrers/") { Reply::new(404, "404 page not found") } else { good }
        });
        let name = subject.map(|name| name.replace("NAME", &registry.name("app"))).unwrap_or_default();
        let made = artifact(BUNDLE, bundle(&img, &keys, &image, &name).into_bytes(), json!({}));
        served.lock().expect("no panic").add(&made);
        let tagged = tag(&image.digest(), ".sig");
        served.lock().expect("no panic").manifest(&tagged, &made.media_type, &made.manifest);
        let file = policy(&img, &registry.name("app"), signed(&keys, "matchRepository"));
        let outcome = img.pull(&registry.name("app:1")).arg("--signature-policy").arg(&file).run();
        match told {
            None => outcome.succeeds().discard(),
            Some(part) => outcome.fails().says(part).discard(),
        }
    }
}

fn bundle(img: &Img, keys: &Keys, image: &SampleImage, name: &str) -> String {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": name, "digest": { "sha256": &image.digest()["sha256:".len()..] } }],
    })
    .to_string();
    let kind = "application/vnd.in-toto+json";
    let signed = format!("DSSEv1 {} {kind} {} {statement}", kind.len(), statement.len());
    json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "dsseEnvelope": {
            "payload": BASE64_STANDARD.encode(&statement), "payloadType": kind,
            "signatures": [{ "sig": keys.sign(img, signed.as_bytes()) }],
        },
    })
    .to_string()
}

/// Debian's skopeo looks at no signatures, but it finds the same requirements.
#[test]
fn skopeo_finds_the_same_requirements_in_the_same_policy() {
    let img = Img::new();
    let registry = FakeRegistry::good(Served::image("1", &SampleImage::new(&[b"one"])));
    let (name, host) = (registry.name("team/app:1"), registry.server.host());
    let scope = |rest: &str| format!("{host}{rest}");
    let cases: [(&[String], bool); 8] = [
        (&[scope("/team/app:1")], true),
        (&[scope("/team/app")], true),
        (&[scope("/team")], true),
        (&[scope("")], true),
        (&[String::new()], true),
        (&[scope("/te")], false),
        (&[scope("/team/app:2"), scope("/team/app/more")], false),
        (&["127.0.0.1".to_owned()], false),
    ];
    for (scopes, accepted) in cases {
        let accepting: serde_json::Map<_, _> = scopes
            .iter()
            .map(|scope| (scope.clone(), json!([{ "type": "insecureAcceptAnything" }])))
            .collect();
        let policy = json!({ "default": [{ "type": "reject" }], "transports": { "docker": accepting } });
        let file = img.write("policy.json", &policy.to_string());
        let (ours, copy) = (Img::new(), img.path(&format!("copy-{}", scopes.join("+").replace('/', "-"))));
        let theirs = std::process::Command::new("skopeo")
            .arg("--policy")
            .arg(&file)
            .args(["copy", "--src-tls-verify=false", &format!("docker://{name}")])
            .arg(format!("dir:{}", copy.display()))
            .output()
            .expect("skopeo");
        let said = String::from_utf8_lossy(&theirs.stderr);
        assert_eq!(theirs.status.success(), accepted, "{scopes:?}: {said}");
        let outcome = ours.pull(&name).arg("--signature-policy").arg(&file).run();
        if accepted { outcome.succeeds().discard() } else { outcome.fails().says("rejects").discard() }
    }
}

/// A policy that rejects everything but what these transports have.
fn letting_in(img: &Img, transports: Value) -> PathBuf {
    img.write(
        "local.json",
        &json!({ "default": [{ "type": "reject" }], "transports": transports }).to_string(),
    )
}

#[test]
fn archives_layouts_and_tars_are_let_in_by_their_transports() {
    let (img, from) = (Img::new(), Img::new());
    let image = SampleImage::new(&[b"one"]);
    let registry = FakeRegistry::good(Served::image("1", &image));
    from.pull(&registry.name("app:1")).run().succeeds().discard();
    let accept = || json!([{ "type": "insecureAcceptAnything" }]);
    let directory = from.path("out").canonicalize().expect("it is there");
    let directory = directory.parent().and_then(|path| path.to_str()).expect("UTF-8");
    for (format, transport) in
        [("docker-archive", "docker-archive"), ("oci-archive", "oci-archive"), ("oci-dir", "oci")]
    {
        let file = from.path(format);
        let save = from.command(["save", "--format", format, "--output"]).arg(&file);
        save.arg(registry.name("app:1")).run().succeeds().discard();
        let load =
            |policy: &PathBuf| img.command(["load", "--signature-policy"]).arg(policy).arg("-i").arg(&file);
        let others = letting_in(&img, json!({ "docker": { "": accept() }, "dir": { "": accept() } }));
        load(&others).run().fails().says("rejects").says(transport).says("local.json").discard();
        let signed = json!([{ "type": "sigstoreSigned", "keyPath": Keys::p256(&img, "key").public }]);
        let signed = letting_in(&img, json!({ transport: { "": signed } }));
        load(&signed).run().fails().says("asks for a signature").says(transport).discard();
        holds_nothing(&img);
        load(&letting_in(&img, json!({ transport: { "": accept() } }))).run().succeeds().discard();
        img.command(["rmi", &registry.name("app:1")]).run().succeeds().discard();
        // Archives of docker's are not told apart by their paths.
        let outcome = load(&letting_in(&img, json!({ transport: { directory: accept() } }))).run();
        if transport == "docker-archive" {
            outcome.fails().says("rejects").discard();
        } else {
            outcome.succeeds().discard();
            img.command(["rmi", &registry.name("app:1")]).run().succeeds().discard();
        }
    }
    let tar = from.path("tar");
    fs::write(&tar, mydocker_tests::img::tar_of_one_file("a", b"a")).expect("writable");
    let import =
        |policy: PathBuf| img.command(["import", "--signature-policy"]).arg(policy).arg(&tar).arg("new:1");
    import(letting_in(&img, json!({}))).run().fails().says("rejects").says("tarball").discard();
    holds_nothing(&img);
    import(letting_in(&img, json!({ "tarball": { "": accept() } }))).run().succeeds().discard();
    // The usual policy holds for what comes from standard input as well.
    img.write("home/.config/containers/policy.json", r#"{"default":[{"type":"reject"}]}"#);
    let archive = fs::read(from.path("oci-archive")).expect("an archive");
    img.command(["load"]).stdin(archive).run().fails().says("standard input").says("rejects").discard();
}
