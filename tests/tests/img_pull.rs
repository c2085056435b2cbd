//! Pulling from the real registry, and from one that remembers what it was asked.

use mydocker_tests::Terminal;
use mydocker_tests::img::{FakeRegistry, Img, Registry, Reply, SampleImage, Served, Server, sha256};
use mydocker_tests::invocation::Invocation;
use rustix::process::Signal;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Brings a layout that the test has written into a registry, through skopeo.
fn seed(img: &Img, registry: &Registry, name: &str, image: &SampleImage, options: &[&str]) {
    let layout = img.path("seed");
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs).expect("writable");
    for blob in image.layers.iter().chain([&image.config, &image.manifest]) {
        fs::write(blobs.join(&sha256(blob)["sha256:".len()..]), blob).expect("writable");
    }
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("writable");
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{}","digest":"{}","size":{},"annotations":{{"org.opencontainers.image.ref.name":"seed"}}}}]}}"#,
        image.media_type,
        image.digest(),
        image.manifest.len()
    );
    fs::write(layout.join("index.json"), index).expect("writable");
    skopeo(
        &["copy", "--dest-tls-verify=false"],
        options,
        &[&format!("oci:{}:seed", layout.display()), &format!("docker://{}", registry.name(name))],
    );
}

fn skopeo(first: &[&str], options: &[&str], rest: &[&str]) -> String {
    let output = Command::new("skopeo").args(first).args(options).args(rest).output().expect("skopeo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The manifest that the registry has.
fn raw_manifest(name: &str) -> String {
    skopeo(&["inspect", "--raw", "--tls-verify=false"], &[], &[&format!("docker://{name}")])
}

#[test]
fn an_image_of_the_real_registry_comes_by_tag_and_by_digest_and_skopeo_reads_the_store() {
    let (img, registry) = (Img::new(), Registry::new());
    let image = SampleImage::new(&[b"one", b"two"]);
    seed(&img, &registry, "team/app:1", &image, &[]);
    let name = registry.name("team/app:1");
    let outcome = img.pull(&name).run().succeeds();
    assert!(
        outcome.stdout.ends_with(&format!("Status: Downloaded newer image for {name}\n{name}\n")),
        "{}",
        outcome.describe()
    );
    // skopeo has compressed the layers on their way.
    let manifest = raw_manifest(&name);
    let document: serde_json::Value = serde_json::from_str(&manifest).expect("a manifest");
    for layer in document["layers"].as_array().expect("layers") {
        assert!(img.has_blob(layer["digest"].as_str().expect("a digest")));
    }
    let again = img.pull(&name).run().succeeds();
    assert!(
        again.stdout.contains("Image is up to date") && !again.stdout.contains("Downloading"),
        "{}",
        again.describe()
    );
    let by_digest = registry.name(&format!("team/app@{}", sha256(manifest.as_bytes())));
    img.pull(&by_digest).run().succeeds().discard();
    // What the tag stands for is found by its digest too, and needs no name of its own.
    assert_eq!(img.entries().len(), 1);
    let seen = skopeo(&["inspect", "--raw"], &[], &[&format!("oci:{}:{name}", img.layout().display())]);
    assert_eq!(seen, manifest);
    img.blobs_are_right();
}

#[test]
fn docker_s_schema_2_and_every_compression_are_taken() {
    let (img, registry) = (Img::new(), Registry::new());
    let image = SampleImage::new(&[b"one"]);
    for (tag, options) in [
        ("plain", &[][..]),
        ("gzip", &["--dest-compress-format", "gzip"]),
        ("zstd", &["--dest-compress-format", "zstd"]),
        ("docker", &["--format", "v2s2"]),
    ] {
        let name = format!("a/b:{tag}");
        seed(&img, &registry, &name, &image, options);
        img.pull(&registry.name(&name)).run().succeeds().discard();
        let seen = skopeo(
            &["inspect", "--raw", "--tls-verify=false"],
            &[],
            &[&format!("docker://{}", registry.name(&name))],
        );
        assert!(img.has_blob(&sha256(seen.as_bytes())), "{tag}");
    }
}

#[test]
fn the_image_for_the_platform_is_chosen_from_an_index() {
    let images = [SampleImage::for_platform("linux", "arm64", &[b"arm"]), SampleImage::new(&[b"amd"])];
    let index = SampleImage::index(&[&images[0], &images[1]]);
    let mut served = Served::default();
    images.iter().for_each(|image| served.add(image));
    served.manifest("1", "application/vnd.oci.image.index.v1+json", &index);
    let registry = FakeRegistry::good(served);
    let name = registry.name("multi:1");

    let img = Img::new();
    let outcome = img.pull(&name).run().succeeds();
    assert!(outcome.stdout.contains(&format!("Digest: {}", sha256(&index))), "{}", outcome.describe());
    assert!(img.has_blob(&sha256(&images[1].layers[0])) && !img.has_blob(&sha256(&images[0].layers[0])));
    assert_eq!(img.entries()[0]["digest"], images[1].digest());

    let img = Img::new();
    img.pull(&name).arg("--platform").arg("linux/arm64/v8").run().succeeds().discard();
    assert!(img.has_blob(&sha256(&images[0].layers[0])) && !img.has_blob(&sha256(&images[1].layers[0])));

    let img = Img::new();
    img.pull(&name).arg("--all-platforms").run().succeeds().discard();
    assert!(images.iter().all(|image| img.has_blob(&sha256(&image.layers[0]))));
    assert_eq!(img.entries()[0]["digest"], sha256(&index));

    let outcome = img.pull(&name).args(["--platform", "linux/s390x"]).run().fails();
    outcome.says("no image for linux/s390x; there is one for linux/amd64, linux/arm64").discard();
}

#[test]
fn a_name_of_docker_hub_comes_through_a_mirror_that_gets_no_other_credentials() {
    let (img, registry) = (Img::new(), Registry::new());
    let image = SampleImage::for_platform("linux", "arm64", &[b"ubuntu"]);
    seed(&img, &registry, "arm64v8/ubuntu:20.04", &image, &[]);
    let host = registry.host();
    let mirror =
        format!("[[registry]]\nprefix = \"docker.io\"\n[[registry.mirror]]\nlocation = \"{host}\"\n");
    img.write("registries.conf", &mirror);
    // Single-dash words and --img are as good as an argument.
    let outcome = img.command(["pull", "-img", "arm64v8/ubuntu:20.04"]).run().succeeds();
    assert!(outcome.stdout.ends_with("docker.io/arm64v8/ubuntu:20.04\n"), "{}", outcome.describe());
    assert_eq!(
        img.entries()[0]["annotations"]["org.opencontainers.image.ref.name"],
        "docker.io/arm64v8/ubuntu:20.04"
    );

    let recording = FakeRegistry::good(Served::image("20.04", &image));
    let img = Img::new();
    let hosts = format!("server = \"https://127.0.0.1:1\"\n[host.\"http://{}\"]\n", recording.server.host());
    img.write("certs.d/docker.io/hosts.toml", &hosts);
    // "user:pass" for Docker Hub, which is not the mirror's.
    img.write(
        "home/.docker/config.json",
        r#"{"auths":{"https://index.docker.io/v1/":{"auth":"dXNlcjpwYXNz"}}}"#,
    );
    img.pull("arm64v8/ubuntu:20.04").run().succeeds().discard();
    let requests = recording.server.requests();
    assert!(!requests.is_empty());
    for request in requests {
        assert!(
            request.target.starts_with("/v2/arm64v8/ubuntu/") && request.target.ends_with("?ns=docker.io"),
            "{request:?}"
        );
        assert_eq!(request.header("authorization"), None);
        assert_eq!(request.header("accept-encoding"), Some("identity"));
    }
}

#[test]
fn what_is_there_costs_one_request() {
    let image = SampleImage::new(&[b"one", b"two"]);
    let registry = FakeRegistry::good(Served::image("1", &image));
    let img = Img::new();
    let name = registry.name("a:1");
    img.pull(&name).run().succeeds().discard();
    let before = registry.server.requests().len();
    img.pull(&name).run().succeeds().discard();
    let requests = registry.server.requests();
    let after: Vec<_> =
        requests[before..].iter().map(|request| (request.method.as_str(), request.target.as_str())).collect();
    assert_eq!(after, [("HEAD", "/v2/a/manifests/1")]);
}

#[test]
fn a_pull_that_was_killed_goes_on_where_it_was() {
    let content = vec![7; 3 << 20];
    let image = SampleImage::new(&[&content]);
    let layer = image.layers[0].clone();
    let half = layer.len() / 2;
    let digest = sha256(&layer);
    let (wanted, slow) = (digest.clone(), layer.clone());
    let registry = FakeRegistry::start(Served::image("1", &image), move |request, good| {
        if request.target.ends_with(&wanted) && request.header("range").is_none() {
            let body = mydocker_tests::img::Body::Stalling(slow[..half].to_vec(), slow.len() as u64);
            return Reply { body, ..good };
        }
        good
    });
    let img = Img::new();
    let name = registry.name("a:1");
    let running = img.pull(&name).spawn();
    let partial = img.path("store/ingest").join(format!("sha256-{}", &digest["sha256:".len()..]));
    mydocker_tests::wait::until("half of the layer", || {
        fs::metadata(&partial).ok().filter(|data| data.len() == half as u64)
    });
    running.signal(Signal::KILL);
    drop(running.wait());
    assert!(img.entries().is_empty() && !img.has_blob(&digest));

    let outcome = img.pull(&name).run().succeeds();
    assert!(outcome.stdout.contains("Resuming"), "{}", outcome.describe());
    let requests = registry.server.requests();
    let range = format!("bytes={half}-");
    assert!(requests.iter().any(|request| request.header("range") == Some(range.as_str())), "{requests:?}");
    img.blobs_are_right();
    assert!(!partial.exists());
}

#[test]
fn two_pulls_of_one_image_fetch_it_once() {
    let content = vec![9; 8 << 20];
    let image = SampleImage::new(&[&content, b"small"]);
    let registry = FakeRegistry::good(Served::image("1", &image));
    let img = Img::new();
    let name = registry.name("a:1");
    let pulls: Vec<_> = (0..4).map(|_| img.pull(&name).spawn()).collect();
    for pull in pulls {
        pull.wait().succeeds().discard();
    }
    for layer in &image.layers {
        assert_eq!(registry.server.count("GET", &sha256(layer)), 1);
    }
    assert_eq!(img.entries().len(), 1);
    img.blobs_are_right();
}

#[test]
fn a_terminal_gets_bars_and_a_pipe_gets_lines() {
    let image = SampleImage::new(&[&vec![1; 1 << 20]]);
    let digest = sha256(&image.layers[0]);
    let (go_on, may_go_on) = std::sync::mpsc::channel();
    let may_go_on = std::sync::Mutex::new(may_go_on);
    let registry = FakeRegistry::start(Served::image("1", &image), move |request, good| {
        // The layer comes when the bar has moved; a second pull has not to wait, for there is nobody to say so any more.
        if request.target.ends_with(&digest) {
            may_go_on.lock().expect("no panic").recv().unwrap_or_default();
        }
        good
    });
    let (img, mut terminal) = (Img::new(), Terminal::open());
    terminal.resize(24, 100);
    let running = img.pull(&registry.name("a:1")).on_terminal(&terminal).spawn();
    terminal.read_until("Downloading [>");
    terminal.read_until("\x1b[1A\x1b[J");
    go_on.send(()).expect("the registry waits");
    drop(go_on);
    // What is complete stays to be seen.
    let shown = terminal.read_until("Status: Downloaded newer image");
    let (_, last) = shown.rsplit_once("\x1b[J").expect("it was drawn once more");
    assert!(last.contains(": Pull complete\r\n"), "{shown:?}");
    running.wait().succeeds().discard();

    let img = Img::new();
    let outcome = img.pull(&registry.name("a:1")).run().succeeds();
    assert!(!outcome.stdout.contains('\x1b'), "{}", outcome.describe());
    let short = &sha256(&image.layers[0])["sha256:".len()..][..12];
    for line in [format!("{short}: Downloading\n"), format!("{short}: Pull complete\n")] {
        assert!(outcome.stdout.contains(&line), "{}", outcome.describe());
    }
    let quiet = Img::new().pull(&registry.name("a:1")).arg("-q").run().succeeds();
    assert_eq!(quiet.stdout, format!("{}\n", registry.name("a:1")));
}

#[test]
fn a_dry_run_and_explain_show_the_plan() {
    let image = SampleImage::new(&[b"one"]);
    let registry = FakeRegistry::good(Served::image("1", &image));
    let img = Img::new();
    let outcome = img.pull(&registry.name("a:1")).arg("--dry-run").run().succeeds();
    let layer = sha256(&image.layers[0]);
    assert!(outcome.stdout.contains(&format!("fetch   {layer} ")), "{}", outcome.describe());
    assert!(outcome.stdout.contains(&format!("record  {} as {}", registry.name("a:1"), image.digest())));
    assert!(img.entries().is_empty() && !img.has_blob(&layer));
    let outcome = img.pull(&registry.name("a:1")).arg("--explain").run().succeeds();
    assert!(outcome.stdout.contains("fetch   ") && img.has_blob(&layer), "{}", outcome.describe());
}

#[test]
fn a_registry_that_passes_is_asked_again_when_it_says() {
    let image = SampleImage::new(&[b"one"]);
    let tries = std::sync::atomic::AtomicU32::new(0);
    let registry = FakeRegistry::start(Served::image("1", &image), move |request, good| {
        let number = tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        match number {
            0 => Reply::new(429, "").header("retry-after", "0"),
            1 => Reply::new(503, "").header("retry-after", "Thu, 01 Jan 1970 00:00:00 GMT"),
            _ if request.target.contains("blobs") && number.is_multiple_of(2) => {
                let mydocker_tests::img::Body::Bytes(bytes) = &good.body else { return good };
                let body =
                    mydocker_tests::img::Body::Lying(bytes[..bytes.len() / 2].to_vec(), bytes.len() as u64);
                Reply { body, ..good }
            }
            _ => good,
        }
    });
    let img = Img::new();
    img.pull(&registry.name("a:1")).run().succeeds().discard();
    img.blobs_are_right();
}

#[test]
fn a_layer_with_urls_comes_from_the_registry_or_not_at_all() {
    let elsewhere = Server::start(|_| Reply::new(200, "what nobody asked for"));
    let mut image = SampleImage::new(&[b"foreign"]);
    let mut manifest = image.manifest_json();
    let layer = &mut manifest["layers"][0];
    layer["mediaType"] = "application/vnd.oci.image.layer.nondistributable.v1.tar".into();
    layer["urls"] = serde_json::json!([format!("http://{}/layer", elsewhere.host())]);
    image.manifest = manifest.to_string().into_bytes();
    let img = Img::new();
    let registry = FakeRegistry::good(Served::image("1", &image));
    img.pull(&registry.name("a:1")).run().succeeds().discard();
    assert!(img.has_blob(&sha256(&image.layers[0])));
    let digest = sha256(&image.layers[0]);
    let without = FakeRegistry::start(Served::image("1", &image), move |request, good| {
        if request.target.ends_with(&digest) { Reply::new(404, "{}") } else { good }
    });
    let img = Img::new();
    let outcome =
        img.pull(&without.name("a:1")).run().fails().says("is not in the registry; it lies at http://");
    outcome.says(&elsewhere.host()).discard();
    assert!(img.entries().is_empty());
    assert!(elsewhere.requests().is_empty());
}

#[test]
fn a_proxy_of_the_environment_is_asked_for_other_hosts() {
    let proxy = FakeRegistry::start(Served::default(), |_, _| Reply::new(502, ""));
    let img = Img::new();
    let address = format!("http://{}", proxy.server.host());
    let through = |name: &str, no_proxy: &str| -> Invocation {
        img.pull(name).env("https_proxy", &address).env("no_proxy", no_proxy)
    };
    through("registry.invalid/a:1", "").run().fails().discard();
    let requests = proxy.server.requests();
    assert!(
        requests
            .iter()
            .all(|request| request.method == "CONNECT" && request.target == "registry.invalid:443")
    );
    assert!(!requests.is_empty());
    let before = requests.len();
    // A host that has no server of names is asked in vain for a while.
    let without = through("registry.invalid/a:1", ".invalid").deadline(std::time::Duration::from_secs(240));
    without.run().fails().discard();
    assert_eq!(proxy.server.requests().len(), before);
}

#[test]
fn what_cannot_be_named_is_refused_with_the_character() {
    let img = Img::new();
    for (name, part) in
        [("Ubuntu", "'U' at position 1"), ("a:b c", "' ' at position 4"), ("q.io:x/a", "'x' at position 6")]
    {
        img.pull(name).run().fails().says(part).discard();
    }
    img.command(["pull"]).run().fails().says("requires exactly 1 argument").discard();
    img.command(["pull", "a", "--platform", "x/y/z/w"]).run().fails().says("more than three parts").discard();
    assert!(!Path::new(&img.path("store")).exists());
}
