//! What registries may do, and what trips clients up: tokens that end, ranges that are not known, addresses that expire.

use mydocker_tests::img::{Body, FakeRegistry, Img, Reply, Request, SampleImage, Served, Server, sha256};
use sha2::{Digest as _, Sha512};
use std::sync::atomic::{AtomicUsize, Ordering};

fn sample() -> SampleImage {
    SampleImage::new(&[&[3; 200_000], b"second"])
}

fn is_layer(request: &Request) -> bool {
    request.target.split('?').next().is_some_and(|path| path.ends_with(&sha256(&sample().layers[0])))
}

/// The first half of the large layer, and then nothing.
fn half() -> Body {
    let layer = &sample().layers[0];
    Body::Lying(layer[..layer.len() / 2].to_vec(), layer.len() as u64)
}

/// Pulls the sample from a registry whose answers `change` makes others.
fn pulled(change: impl Fn(&Request, Reply) -> Reply + Send + Sync + 'static) -> FakeRegistry {
    let registry = FakeRegistry::start(Served::image("1", &sample()), change);
    let img = Img::new();
    img.pull(&registry.name("a:1")).run().succeeds().discard();
    assert!(img.has_blob(&sha256(&sample().layers[0])));
    img.blobs_are_right();
    registry
}

fn bearer(request: &Request, rest: &str) -> Reply {
    let host = request.header("host").unwrap_or_default();
    Reply::new(401, "")
        .header("www-authenticate", format!("Bearer realm=\"http://{host}/token\",service=\"s\"{rest}"))
}

#[test]
fn a_token_that_ends_in_the_middle_of_a_layer_is_renewed() {
    let given = AtomicUsize::new(0);
    let registry = pulled(move |request, good| {
        if request.target.starts_with("/token") {
            let number = given.fetch_add(1, Ordering::SeqCst);
            return Reply::new(200, format!("{{\"token\":\"T{number}\"}}"));
        }
        match request.header("authorization") {
            Some("Bearer T0") if is_layer(request) && request.header("range").is_none() => {
                Reply { body: half(), ..good }
            }
            Some("Bearer T0") if is_layer(request) => bearer(request, ",error=\"invalid_token\""),
            Some(_) => good,
            None => bearer(request, ""),
        }
    });
    let requests = registry.server.requests();
    let renewed = |request: &&Request| request.header("authorization") == Some("Bearer T1");
    assert!(requests.iter().filter(renewed).any(|request| request.header("range").is_some()), "{requests:?}");
}

#[test]
fn more_scope_is_asked_for_once_where_a_registry_says_what_is_missing() {
    let more = ",error=\"insufficient_scope\",scope=\"repository:a:pull repository:base:pull\"";
    let answer = move |is_enough: bool| {
        move |request: &Request, good: Reply| {
            if request.target.starts_with("/token") {
                let token = if request.target.contains("base") && is_enough { "more" } else { "little" };
                return Reply::new(200, format!("{{\"access_token\":\"{token}\"}}"));
            }
            match request.header("authorization") {
                Some("Bearer more") => good,
                Some(_) => bearer(request, more),
                None => bearer(request, ",scope=\"repository:a:pull\""),
            }
        }
    };
    pulled(answer(true));
    let registry = FakeRegistry::start(Served::image("1", &sample()), answer(false));
    Img::new().pull(&registry.name("a:1")).run().fails().says("logged in").discard();
    assert!(registry.server.requests().len() < 12, "{:?}", registry.server.requests());
}

#[test]
fn what_a_token_server_says_is_bounded() {
    let registry = FakeRegistry::start(Served::image("1", &sample()), |request, _| {
        if request.target.starts_with("/token") {
            return Reply::new(200, format!("{{\"token\":\"{}\"}}", "T".repeat(2 << 20)));
        }
        bearer(request, "")
    });
    Img::new().pull(&registry.name("a:1")).run().fails().says("more than 1 MiB").discard();
}

#[test]
fn a_server_without_ranges_sends_the_whole_again() {
    let registry = pulled(|request, good| match (is_layer(request), request.header("range")) {
        (true, None) => Reply { body: half(), ..good },
        (true, Some(_)) => Reply::new(200, sample().layers[0].clone()),
        _ => good,
    });
    assert_eq!(registry.server.count("GET", &sha256(&sample().layers[0])), 2);
}

#[test]
fn an_address_that_has_expired_is_asked_for_anew_at_the_registry() {
    let asked = AtomicUsize::new(0);
    let storage = Server::start(move |request| {
        let layer = sample().layers[0].clone();
        match (asked.fetch_add(1, Ordering::SeqCst), request.header("range")) {
            (0, None) => Reply { body: half(), ..Reply::new(200, "") },
            (1, Some(_)) => Reply::new(403, "<Error><Code>AccessDenied</Code></Error>"),
            (_, Some(_)) => {
                let (half, length) = (layer.len() / 2, layer.len());
                let range = format!("bytes {half}-{}/{length}", length - 1);
                Reply::new(206, &layer[half..]).header("content-range", range)
            }
            (_, None) => Reply::new(400, "a range was expected"),
        }
    });
    let place = format!("http://{}/signed", storage.host());
    let registry =
        pulled(
            move |request, good| {
                if is_layer(request) { Reply::new(307, "").header("location", &*place) } else { good }
            },
        );
    assert_eq!(registry.server.count("GET", &sha256(&sample().layers[0])), 3);
    assert_eq!(storage.requests().len(), 3);
}

#[test]
fn what_was_redirected_elsewhere_shows_nothing_when_it_comes_back() {
    let storage = Server::start(|request| {
        let place = request.target.trim_start_matches("/to/").to_owned();
        Reply::new(307, "").header("location", format!("http://{place}"))
    });
    let away = storage.host();
    let registry = FakeRegistry::start(Served::image("1", &sample()), move |request, good| {
        let host = request.header("host").unwrap_or_default();
        let back = format!("http://{away}/to/{host}{}?back", request.target);
        match request.header("authorization") {
            _ if request.target.ends_with("?back") => good,
            // user:pass
            Some("Basic dXNlcjpwYXNz") if is_layer(request) => Reply::new(307, "").header("location", back),
            Some("Basic dXNlcjpwYXNz") => good,
            _ => Reply::new(401, "").header("www-authenticate", "Basic realm=\"x\""),
        }
    });
    let img = Img::new();
    let auths = format!(r#"{{"auths":{{"{}":{{"auth":"dXNlcjpwYXNz"}}}}}}"#, registry.server.host());
    img.write("home/.docker/config.json", &auths);
    img.pull(&registry.name("a:1")).run().succeeds().discard();
    let requests = registry.server.requests();
    let back: Vec<_> = requests.iter().filter(|request| request.target.ends_with("?back")).collect();
    assert_eq!(back.len(), 1);
    assert_eq!(back[0].header("authorization"), None);
}

#[test]
fn a_registry_that_does_not_know_head_is_asked_with_get() {
    let registry = FakeRegistry::start(Served::image("1", &sample()), |request, good| {
        if request.method == "HEAD" { Reply::new(405, "") } else { good }
    });
    let img = Img::new();
    for told in ["Downloaded newer image", "Image is up to date"] {
        let outcome = img.pull(&registry.name("a:1")).run().succeeds();
        assert!(outcome.stdout.contains(told), "{}", outcome.describe());
    }
}

#[test]
fn types_of_docker_s_and_oci_s_documents_may_be_mixed() {
    let oci = ["application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar"];
    let docker =
        ["application/vnd.docker.container.image.v1+json", "application/vnd.docker.image.rootfs.diff.tar"];
    let manifests = [
        ("application/vnd.oci.image.manifest.v1+json", docker),
        ("application/vnd.docker.distribution.manifest.v2+json", oci),
    ];
    for (media_type, [config, layer]) in manifests {
        let mut image = sample();
        let mut manifest = image.manifest_json();
        manifest["mediaType"] = media_type.into();
        manifest["config"]["mediaType"] = config.into();
        for entry in manifest["layers"].as_array_mut().expect("layers") {
            entry["mediaType"] = layer.into();
        }
        (image.manifest, image.media_type) = (manifest.to_string().into_bytes(), media_type.to_owned());
        let registry = FakeRegistry::good(Served::image("1", &image));
        let img = Img::new();
        img.pull(&registry.name("a:1")).run().succeeds().discard();
        let bundle = img.path("bundle");
        img.command(["bundle", &registry.name("a:1")]).arg(&bundle).run().succeeds().discard();
        assert_eq!(std::fs::read(bundle.join("rootfs/1")).expect("unpacked"), b"second");
    }
}

fn sha512(bytes: &[u8]) -> String {
    let hex: String = Sha512::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha512:{hex}")
}

/// The sample with digests of SHA-512 throughout, and what a registry has of it.
fn with_sha512() -> (SampleImage, Served) {
    let layers = sample().layers;
    let diff_ids: Vec<_> = layers.iter().map(|layer| sha512(layer)).collect();
    let mut image = sample().with(|config| config["rootfs"]["diff_ids"] = serde_json::json!(diff_ids));
    let mut manifest = image.manifest_json();
    manifest["config"]["digest"] = sha512(&image.config).into();
    let mut served = Served::default();
    served.blob(&sha512(&image.config), &image.config);
    for (entry, layer) in manifest["layers"].as_array_mut().expect("layers").iter_mut().zip(&layers) {
        entry["digest"] = sha512(layer).into();
        served.blob(&sha512(layer), layer);
    }
    image.manifest = manifest.to_string().into_bytes();
    for version in ["1".to_owned(), sha512(&image.manifest)] {
        served.manifest(&version, &image.media_type, &image.manifest);
    }
    (image, served)
}

#[test]
fn digests_of_sha512_are_as_good() {
    let (image, served) = with_sha512();
    let registry = FakeRegistry::good(served);
    let img = Img::new();
    let name = registry.name("a:1");
    img.pull(&name).run().succeeds().discard();
    let by_digest = registry.name(&format!("a@{}", sha512(&image.manifest)));
    img.pull(&by_digest).run().succeeds().discard();
    img.command(["fsck", "--deep"]).run().succeeds().discard();
    let archive = img.path("archive");
    img.command(["save", "--format", "oci-archive", "--output"])
        .arg(&archive)
        .arg(&name)
        .run()
        .succeeds()
        .discard();
    let other = Img::new();
    other.command(["load", "--input"]).arg(&archive).run().succeeds().discard();
    for (img, directory) in [(&img, "one"), (&other, "two")] {
        let bundle = img.path(directory);
        img.command(["bundle", &name]).arg(&bundle).run().succeeds().discard();
        assert_eq!(std::fs::read(bundle.join("rootfs/1")).expect("unpacked"), b"second");
        let id = img.command(["images", "-q", "--no-trunc"]).run().succeeds().stdout;
        assert!(id.starts_with(&sha512(&image.config)), "{id}");
    }
    img.command(["rmi", "--force"]).arg(sha512(&image.config)).run().succeeds().discard();
    img.command(["gc"]).run().succeeds().discard();
    assert!(!img.path("store/layers/sha512").join(&sha512(&image.layers[0])["sha512:".len()..]).exists());
}

/// A registry that takes uploads at another server, and demands a password itself.
fn taking(storage: &Server) -> FakeRegistry {
    let place = format!("http://{}/upload", storage.host());
    FakeRegistry::start(Served::default(), move |request, good| {
        // user:pass
        if request.header("authorization") != Some("Basic dXNlcjpwYXNz") {
            return Reply::new(401, "").header("www-authenticate", "Basic realm=\"x\"");
        }
        match (request.method.as_str(), request.target.contains("/manifests/")) {
            ("POST", _) => Reply::new(202, "").header("location", &*place),
            ("PUT", true) => Reply::new(201, ""),
            _ => good,
        }
    })
}

#[test]
fn an_upload_that_goes_elsewhere_is_not_shown_what_lets_in() {
    let storage = Server::start(|_| Reply::new(201, ""));
    let registry = taking(&storage);
    let source = FakeRegistry::good(Served::image("1", &sample()));
    let img = Img::new();
    img.pull(&source.name("a:1")).run().succeeds().discard();
    let auths = format!(r#"{{"auths":{{"{}":{{"auth":"dXNlcjpwYXNz"}}}}}}"#, registry.server.host());
    img.write("home/.docker/config.json", &auths);
    img.command(["push", &source.name("a:1"), &registry.name("b:1")]).run().succeeds().discard();
    let uploads = storage.requests();
    assert_eq!(uploads.len(), sample().layers.len() + 1);
    for upload in uploads {
        assert_eq!(upload.header("authorization"), None);
        let digest = upload.target.split("digest=").nth(1).expect("a digest").replace("%3A", ":");
        assert_eq!(digest, sha256(&upload.body));
    }
}
