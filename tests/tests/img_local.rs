//! The images of this host: their list, their names, and what goes when the last name goes.

use mydocker_tests::img::{FakeRegistry, Img, SampleImage, Served, sha256};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A store with an image of two layers under `a:1`, and one that shares the first under `b:2`.
fn two_images() -> (Img, FakeRegistry, SampleImage, SampleImage) {
    let (first, second) = (SampleImage::new(&[b"shared", b"one"]), SampleImage::new(&[b"shared", b"other"]));
    let mut served = Served::image("1", &first);
    served.add(&second);
    served.manifest("2", &second.media_type, &second.manifest);
    let registry = FakeRegistry::good(served);
    let img = Img::new();
    img.pull(&registry.name("a:1")).run().succeeds().discard();
    img.pull(&registry.name("b:2")).run().succeeds().discard();
    (img, registry, first, second)
}

fn id(image: &SampleImage) -> String {
    sha256(&image.config)["sha256:".len()..].to_owned()
}

fn has_layer(img: &Img, layer: &[u8]) -> bool {
    img.path("store/layers/sha256").join(&sha256(layer)["sha256:".len()..]).is_dir()
}

fn stdout(img: &Img, words: &[&str]) -> String {
    img.command(words.iter().copied()).run().succeeds().stdout
}

#[test]
fn images_are_listed_in_docker_s_columns_and_by_templates() {
    let (img, registry, first, second) = two_images();
    let (a, b) = (registry.name("a"), registry.name("b"));
    let table = stdout(&img, &["images"]);
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]);
    assert_eq!(lines[1], [a.as_str(), "1", &id(&first)[..12], "N/A", "9B"]);
    assert_eq!(lines[2], [b.as_str(), "2", &id(&second)[..12], "N/A", "11B"]);
    assert_eq!(stdout(&img, &["images", "-q", "--no-trunc"]).lines().next(), Some(&*sha256(&first.config)));
    let template = "{{.Repository}}@{{.Digest}} {{.Size}}";
    let expected = format!("{b}@{} 11B\n", second.digest());
    assert_eq!(stdout(&img, &["images", "--format", template, &format!("{b}:2")]), expected);
    let json = stdout(&img, &["images", "--format", "json", "--filter", "reference=*/a"]);
    let row: serde_json::Value = serde_json::from_str(&json).expect("one row");
    assert_eq!((&row["Repository"], &row["Tag"]), (&a.as_str().into(), &"1".into()));
    assert!(stdout(&img, &["images", "--digests"]).contains(&first.digest()));
    assert_eq!(stdout(&img, &["images", "-q", "--filter", "dangling=true"]), "");
    assert_eq!(stdout(&img, &["images", "-q", "--filter", "label=x"]), "");
    img.command(["images", "--format", "{{.Nothing}}"])
        .run()
        .fails()
        .says(".Nothing")
        .says(".Repository")
        .discard();
    img.command(["images", "--filter", "before=x"]).run().fails().says("before=x").discard();
}

#[test]
fn an_image_has_as_many_names_as_it_is_given_and_other_programs_read_them() {
    let (img, registry, first, _) = two_images();
    let short = id(&first)[..12].to_owned();
    img.command(["tag", &short, "team/app:new"]).run().succeeds().discard();
    img.command(["tag", &registry.name("a:1"), "team/app"]).run().succeeds().discard();
    let listed = stdout(&img, &["images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}", "team/app"]);
    assert_eq!(listed, format!("team/app:latest {short}\nteam/app:new {short}\n"));
    let name = format!("oci:{}:docker.io/team/app:new", img.layout().display());
    let seen = Command::new("skopeo").args(["inspect", "--raw", &name]).output().expect("skopeo");
    assert_eq!(seen.stdout, first.manifest);
    img.command(["tag", "nothing", "x"]).run().fails().says("\"nothing\"").says("images").discard();
    img.command(["tag", &short, "Upper"]).run().fails().says("'U' at position 1").discard();
    img.command(["tag", &short, &format!("x@{}", first.digest())]).run().fails().says("digest").discard();
}

#[test]
fn an_image_goes_with_its_last_name_and_what_others_need_stays() {
    let (img, registry, first, second) = two_images();
    let short = id(&first)[..12].to_owned();
    img.command(["tag", &short, "again"]).run().succeeds().discard();
    img.command(["rmi", &short]).run().fails().says("several names").says("again").discard();
    let name = registry.name("a:1");
    assert_eq!(stdout(&img, &["rmi", &name]), format!("Untagged: {name}\n"));
    assert!(img.has_blob(&first.digest()) && has_layer(&img, &first.layers[1]));
    let told = stdout(&img, &["rmi", "again"]);
    assert!(told.starts_with("Untagged: again:latest\n"), "{told}");
    for blob in [&first.manifest, &first.config, &first.layers[1]] {
        assert!(told.contains(&format!("Deleted: {}\n", sha256(blob))), "{told}");
        assert!(!img.has_blob(&sha256(blob)));
    }
    assert!(!has_layer(&img, &first.layers[1]) && has_layer(&img, &second.layers[0]));
    img.blobs_are_right();
    assert_eq!(stdout(&img, &["images", "-q"]), format!("{}\n", &id(&second)[..12]));
    img.command(["rmi", "again"]).run().fails().says("not in the image store").discard();
    img.command(["rmi", "--force", &id(&second)]).run().succeeds().discard();
    assert_eq!(fs::read_dir(img.path("store/layers/sha256")).expect("the store").count(), 0);
    assert_eq!(fs::read_dir(img.layout().join("blobs/sha256")).expect("the store").count(), 0);
}

#[test]
fn gc_removes_what_killed_commands_have_left_and_nothing_else() {
    let (img, _registry, first, second) = two_images();
    assert_eq!(stdout(&img, &["gc"]), "Total reclaimed space: 0B\n");
    let orphan = sha256(b"orphan");
    img.write(&format!("store/oci/blobs/sha256/{}", &orphan["sha256:".len()..]), "orphan");
    img.write(&format!("store/layers/sha256/{}/file", "0".repeat(64)), "of no image");
    img.write("store/unpacking/1-0-x/deep/file", "half a layer");
    img.write("store/ingest/sha256-x", "half a blob");
    let told = stdout(&img, &["gc"]);
    let zeros = "0".repeat(64);
    let expected = format!(
        "Deleted: {orphan}\nDeleted layer: sha256:{zeros}\nDeleted unfinished: 2\nTotal reclaimed space: 17B\n"
    );
    assert_eq!(told, expected);
    for image in [&first, &second] {
        assert!(img.has_blob(&image.digest()) && image.layers.iter().all(|layer| has_layer(&img, layer)));
    }
    // What a damaged manifest leads to is not known, so nothing may go.
    let path = img.layout().join("blobs/sha256").join(&first.digest()["sha256:".len()..]);
    fs::write(path, "damaged").expect("the store");
    img.write(&format!("store/oci/blobs/sha256/{}", &orphan["sha256:".len()..]), "orphan");
    img.command(["gc"]).run().fails().says("damaged").says(&first.digest()).discard();
    assert!(img.has_blob(&orphan) && img.has_blob(&second.digest()));
}

/// Lets `owner` hold an image, as containers and bundles do.
fn lease(img: &Img, image: &SampleImage, owner: &Path) {
    let target = json!({
        "mediaType": image.media_type, "digest": image.digest(), "size": image.manifest.len(),
    });
    let lease = json!({ "kind": "container", "image": target, "owner": owner });
    img.write("store/leases/web", &lease.to_string());
}

#[test]
fn an_image_that_a_container_needs_stays_until_the_container_is_gone() {
    let (img, registry, first, second) = two_images();
    let owner = img.path("container");
    fs::create_dir(&owner).expect("room");
    lease(&img, &first, &owner);
    let name = registry.name("a:1");
    img.command(["tag", &name, "again"]).run().succeeds().discard();
    assert_eq!(stdout(&img, &["rmi", "again"]), "Untagged: again:latest\n");
    for image in [&name, &id(&first)] {
        let refused = img.command(["rmi", image]).run().fails();
        refused.says("is being used by container").says(&owner.display().to_string()).discard();
    }
    assert_eq!(stdout(&img, &["rmi", "-f", &name]), format!("Untagged: {name}\n"));
    assert_eq!(stdout(&img, &["gc"]), "Total reclaimed space: 0B\n");
    let blobs = [&first.manifest, &first.config, &first.layers[1]].map(|blob| sha256(blob));
    assert!(blobs.iter().all(|blob| img.has_blob(blob)) && has_layer(&img, &first.layers[1]));
    fs::remove_dir(&owner).expect("nothing is in it");
    img.write("store/leases/half.1.tmp", "half a lease");
    let told = stdout(&img, &["gc"]);
    assert!(told.starts_with(&format!("Deleted lease: web ({} is gone)\n", owner.display())), "{told}");
    assert!(told.contains("Deleted unfinished: 1\n"), "{told}");
    assert!(!blobs.iter().any(|blob| img.has_blob(blob)) && !has_layer(&img, &first.layers[1]));
    assert!(img.has_blob(&second.digest()) && has_layer(&img, &second.layers[0]));
    assert_eq!(fs::read_dir(img.path("store/leases")).expect("the store").count(), 0);
}

#[test]
fn what_a_damaged_lease_holds_is_not_known_and_nothing_goes() {
    let (img, registry, first, _) = two_images();
    let damaged = img.write("store/leases/web", "{");
    let refused = img.command(["rmi", "-f", &registry.name("a:1")]).run().fails();
    refused.says(&damaged.display().to_string()).discard();
    img.command(["gc"]).run().fails().says(&damaged.display().to_string()).discard();
    assert!(img.has_blob(&first.digest()));
}
