//! What a push makes of layers that are not compressed.

use mydocker_tests::img::engines::Podman;
use mydocker_tests::img::{FakeRegistry, Img, Registry, SampleImage, Served, sha256, tar_of_one_file};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
const PLAIN: &str = "application/vnd.oci.image.layer.v1.tar";

fn image() -> SampleImage {
    SampleImage::new(&[&b"some text, ".repeat(20_000), b"second"])
}

/// What `docker save` writes of an image: layers that are not compressed.
fn docker_archive(img: &Img, image: &SampleImage) -> PathBuf {
    let layers: Vec<String> = (0..image.layers.len()).map(|number| format!("{number}.tar")).collect();
    let manifest = json!([{ "Config": "config.json", "RepoTags": ["app:1"], "Layers": layers }])
        .to_string()
        .into_bytes();
    let files = layers.iter().map(String::as_str).zip(image.layers.iter().map(Vec::as_slice));
    let mut archive = Vec::new();
    for (name, content) in files.chain([("config.json", &*image.config), ("manifest.json", &*manifest)]) {
        let tar = tar_of_one_file(name, content);
        archive.extend_from_slice(&tar[..tar.len() - 1024]);
    }
    archive.extend_from_slice(&[0; 1024]);
    let path = img.path("docker.tar");
    fs::write(&path, archive).expect("writable");
    path
}

/// An image tool that has loaded the archive.
fn loaded() -> Img {
    let img = Img::new();
    img.command(["load", "--input"]).arg(docker_archive(&img, &image())).run().succeeds().discard();
    img
}

fn push(img: &Img, flags: &[&str], source: &str, name: &str) -> String {
    img.command(["push"]).args(flags).args([source, name]).run().succeeds().stdout
}

fn digest(told: &str) -> &str {
    told.split("digest: ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a digest")
}

/// The manifest that a registry has.
fn manifest(img: &Img, name: &str) -> Value {
    let text = img.command(["inspect", "--remote", "--raw", name]).run().succeeds().stdout;
    serde_json::from_str(&text).expect("JSON")
}

fn types(manifest: &Value) -> Vec<&str> {
    let layers = manifest["layers"].as_array().expect("a list").iter();
    layers.map(|layer| layer["mediaType"].as_str().expect("a type")).collect()
}

#[test]
fn layers_of_docker_s_archives_are_compressed_and_not_made_twice() {
    let (img, registry) = (loaded(), Registry::new());
    let name = registry.name("app:1");
    let told = push(&img, &[], "app:1", &name);
    assert_eq!(told.matches(": Compressing\n").count(), 2, "{told}");
    let first = manifest(&img, &name);
    assert_eq!(types(&first), [GZIP, GZIP]);
    assert!(first["layers"][0]["size"].as_u64().expect("a size") < 10_000);
    let again = push(&img, &[], "app:1", &registry.name("app:2"));
    assert!(!again.contains("Compressing") && !again.contains("Pushed"), "{again}");
    assert_eq!(digest(&again), digest(&told));
    // The same from another store, on another day.
    let (other, elsewhere) = (loaded(), Registry::new());
    assert_eq!(digest(&push(&other, &[], "app:1", &elsewhere.name("app:1"))), digest(&told));
    // A registry that has nothing of it gets all of it.
    let new = push(&img, &[], "app:1", &elsewhere.name("new:1"));
    assert_eq!((new.matches("Compressing").count(), digest(&new)), (2, digest(&told)));
    assert_eq!(img.unfinished(), 0);
    let pulled = Img::new();
    pulled.pull(&name).run().succeeds().discard();
    pulled.command(["verify", &name, "--hosts-dir"]).arg(pulled.path("certs.d")).run().succeeds().discard();
    img.command(["rmi", "app:1"]).run().succeeds().discard();
    assert_eq!(fs::read_dir(img.path("store/compressed")).expect("the store").count(), 0);
}

#[test]
fn how_layers_are_compressed_can_be_said() {
    let (img, registry) = (loaded(), Registry::new());
    for (flags, kind) in [
        (&["--compression", "zstd"], ZSTD),
        (&["--compression-format", "gzip"], GZIP),
        (&["--compression", "none"], PLAIN),
    ] {
        let name = registry.name("app:1");
        push(&img, flags, "app:1", &name);
        assert_eq!(types(&manifest(&img, &name)), [kind, kind]);
    }
    img.command(["push", "--compression", "xz", "app:1"]).run().fails().says("xz").discard();
}

#[test]
fn what_came_from_a_registry_keeps_its_digest_unless_it_is_said() {
    let (img, image, target) = (Img::new(), image(), Registry::new());
    let other = SampleImage::for_platform("linux", "arm64", &[b"another"]);
    let mut served = Served::image("1", &image);
    served.add(&other);
    let index = SampleImage::index(&[&image, &other]);
    served.manifest("all", "application/vnd.oci.image.index.v1+json", &index);
    let source = FakeRegistry::good(served);
    let (one, all) = (source.name("app:1"), source.name("app:all"));
    img.pull(&one).run().succeeds().discard();
    img.pull(&all).arg("--all-platforms").run().succeeds().discard();
    let name = target.name("app:1");
    assert_eq!(digest(&push(&img, &[], &one, &name)), image.digest());
    assert_eq!(digest(&push(&img, &[], &all, &name)), sha256(&index));
    let told = push(&img, &["--compression", "gzip"], &all, &name);
    assert_ne!(digest(&told), sha256(&index));
    let pulled = Img::new();
    for platform in ["linux/amd64", "linux/arm64"] {
        pulled.pull(&name).args(["--platform", platform]).run().succeeds().discard();
    }
    let entry = manifest(&img, &name)["manifests"][1].clone();
    assert_eq!(entry["platform"], json!({ "os": "linux", "architecture": "arm64" }));
    let digest = entry["digest"].as_str().expect("a digest");
    assert_eq!(types(&manifest(&img, &target.name(&format!("app@{digest}")))), [GZIP]);
}

#[test]
fn privileged_podman_pulls_what_was_compressed() {
    // Whoever is made first ends last, and demands that no process is left.
    let podman = Podman::new();
    let (img, registry) = (Img::new(), Registry::new());
    let layer = fs::read(busybox(&img)).expect("a tar");
    let mut image = SampleImage::new(&[b""]);
    let diff_ids = [sha256(&layer)];
    image.layers = vec![layer];
    let image = image.with(|config| config["rootfs"]["diff_ids"] = json!(diff_ids));
    img.command(["load", "--input"]).arg(docker_archive(&img, &image)).run().succeeds().discard();
    for kind in ["gzip", "zstd"] {
        let name = registry.name(&format!("{kind}:1"));
        push(&img, &["--compression", kind], "app:1", &name);
        podman.command(["pull", "--tls-verify=false", &name]).run().succeeds().discard();
        assert_eq!(podman.run(&name, ["/busybox", "echo", "it runs"]), "it runs\n");
    }
}

fn busybox(img: &Img) -> PathBuf {
    let path = img.path("busybox.tar");
    let script = "tar -C \"$(dirname \"$(command -v busybox)\")\" --dereference -cf \"$0\" busybox";
    let made = std::process::Command::new("sh").args(["-ec", script]).arg(&path).status();
    assert!(made.expect("a shell").success());
    path
}
