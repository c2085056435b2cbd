//! Looking at images: what is known of one, how it came about, what all take, and what can go.

use mydocker_tests::img::{FakeRegistry, Img, Registry, SampleImage, Served, sha256};
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

const CREATED: &str = "2021-06-01T12:00:00.5Z";

fn sample() -> SampleImage {
    SampleImage::new(&[b"shared", b"own"]).with(|config| {
        config["created"] = json!(CREATED);
        config["author"] = json!("somebody\u{1b}[2J");
        config["config"] = json!({
            "Env": ["PATH=/bin", "X=1"], "Cmd": ["/bin/true"], "WorkingDir": "/w",
            "Labels": { "a.b": "c", "team": "x" }, "ExposedPorts": { "80/tcp": {} }, "StopSignal": "SIGINT",
        });
        config["history"] = json!([
            { "created": CREATED, "created_by": "ADD first" },
            { "created": CREATED, "created_by": "ENV X=1", "empty_layer": true },
            { "created": CREATED, "created_by": "RUN something that is much longer than forty-five characters",
              "comment": "buildkit" },
        ]);
    })
}

/// A store with the image under `a:1` and `again`.
fn pulled() -> (Img, FakeRegistry, SampleImage) {
    let image = sample();
    let registry = FakeRegistry::good(Served::image("1", &image));
    let img = Img::new();
    img.pull(&registry.name("a:1")).run().succeeds().discard();
    img.command(["tag", &registry.name("a:1"), "again"]).run().succeeds().discard();
    (img, registry, image)
}

fn stdout(img: &Img, words: &[&str]) -> String {
    img.command(words.iter().copied()).run().succeeds().stdout
}

#[test]
fn an_image_is_shown_in_docker_s_shape() {
    let (img, registry, image) = pulled();
    let shown: Value = serde_json::from_str(&stdout(&img, &["inspect", "again"])).expect("JSON");
    let shown = &shown[0];
    let a = registry.name("a");
    assert_eq!(shown["Id"], sha256(&image.config));
    assert_eq!(shown["RepoTags"], json!([format!("{a}:1"), "again:latest"]));
    let digest = image.digest();
    assert_eq!(shown["RepoDigests"], json!([format!("{a}@{digest}"), format!("again@{digest}")]));
    let layers: Vec<_> = image.layers.iter().map(|layer| sha256(layer)).collect();
    assert_eq!(shown["RootFS"], json!({ "Type": "layers", "Layers": layers }));
    assert_eq!((&shown["Created"], &shown["Comment"]), (&json!(CREATED), &json!("buildkit")));
    assert_eq!(
        (&shown["Os"], &shown["Architecture"], &shown["Size"]),
        (&json!("linux"), &json!("amd64"), &json!(9))
    );
    let config = json!({
        "Cmd": ["/bin/true"], "Entrypoint": null, "Env": ["PATH=/bin", "X=1"], "ExposedPorts": { "80/tcp": {} },
        "Labels": { "a.b": "c", "team": "x" }, "OnBuild": null, "StopSignal": "SIGINT", "User": "", "Volumes": null,
        "WorkingDir": "/w",
    });
    assert_eq!(shown["Config"], config);
    let upper = shown["GraphDriver"]["Data"]["UpperDir"].as_str().expect("a directory");
    assert_eq!(fs::read(format!("{upper}/1")).expect("the highest layer"), b"own");
    assert_eq!(shown["Descriptor"]["digest"], digest);
}

#[test]
fn templates_give_the_parts_that_people_want() {
    let (img, _registry, image) = pulled();
    for (format, text) in [
        ("{{.Config.Cmd}}", "[/bin/true]"),
        ("{{json .Config.Env}}", "[\"PATH=/bin\",\"X=1\"]"),
        ("{{index .RepoTags 1}}", "again:latest"),
        ("{{range .Config.Env}}{{println .}}{{end}}", "PATH=/bin\nX=1\n"),
        ("{{.Os}}/{{.Architecture}}", "linux/amd64"),
        ("{{index .Config.Labels \"a.b\"}}{{index .Config.Labels \"none\"}}", "c"),
        ("{{if .Config.Entrypoint}}yes{{else}}no{{end}}", "no"),
        ("{{len .RootFS.Layers}} {{.Id | printf \"%.10s\"}}", "2 sha256:"),
    ] {
        let shown = stdout(&img, &["inspect", "--format", format, "again"]);
        let text = text.replace("sha256:", &sha256(&image.config)[..10]);
        assert_eq!(shown, format!("{text}\n"), "{format}");
    }
    let wrong = img.command(["inspect", "-f", "{{.Config.Environment}}", "again"]).run().fails();
    wrong.says(".Environment").says(".Env").discard();
}

#[test]
fn documents_are_shown_as_they_are_and_what_is_missing_is_told_after_what_is_there() {
    let (img, _registry, image) = pulled();
    assert_eq!(stdout(&img, &["inspect", "--raw", "again"]).into_bytes(), image.manifest);
    assert_eq!(stdout(&img, &["inspect", "--config", "again"]).into_bytes(), image.config);
    let outcome = img.command(["inspect", "nothing", "again"]).run().exits(1);
    let shown: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    assert_eq!(shown.as_array().expect("a list").len(), 1);
    outcome.says("No such image: nothing").discard();
    assert_eq!(img.command(["inspect", "nothing"]).run().exits(1).stdout, "[]\n");
    img.command(["inspect", "--plain-http", "again"]).run().fails().says("--remote").discard();
}

#[test]
fn a_remote_image_is_shown_as_skopeo_shows_it_and_nothing_is_kept() {
    let registry = Registry::new();
    let (source, name) = (FakeRegistry::good(Served::image("1", &sample())), registry.name("team/app:1"));
    let img = Img::new();
    img.pull(&source.name("a:1")).run().succeeds().discard();
    img.command(["push", &source.name("a:1"), &name]).run().succeeds().discard();
    let other = Img::new();
    let skopeo = |flags: &[&str]| {
        let mut command = Command::new("skopeo");
        command.args(["inspect", "--tls-verify=false"]).args(flags).arg(format!("docker://{name}"));
        command.output().expect("skopeo").stdout
    };
    img.command(["push", &source.name("a:1"), &registry.name("team/app:old")]).run().succeeds().discard();
    let mut theirs: Value = serde_json::from_slice(&skopeo(&[])).expect("JSON");
    assert_eq!(theirs["RepoTags"].as_array().expect("a list").len(), 2);
    let mut ours: Value =
        serde_json::from_str(&stdout(&other, &["inspect", "--remote", &name])).expect("JSON");
    // The skopeo of Debian 12 does not have it yet.
    let layers = ours.as_object_mut().expect("an object").remove("LayersData").expect("a list");
    assert_eq!((&layers[1]["Size"], &layers[1]["Digest"]), (&json!(2048), &ours["Layers"][1]));
    theirs.as_object_mut().expect("an object").remove("LayersData");
    assert_eq!(ours, theirs);
    assert_eq!(stdout(&other, &["inspect", "--remote", "--raw", &name]).into_bytes(), skopeo(&["--raw"]));
    let config = stdout(&other, &["inspect", "--remote", "--config", &name]);
    assert_eq!(config.into_bytes(), skopeo(&["--config", "--raw"]));
    let digest = stdout(&other, &["inspect", "--remote", "--format", "{{.Digest}}", &name]);
    assert_eq!(digest, format!("{}\n", sample().digest()));
    let tags = |flags: &[&str]| {
        stdout(&other, &[&["inspect", "--remote", "--format", "{{len .RepoTags}}", &name], flags].concat())
    };
    assert_eq!((&*tags(&[]), &*tags(&["--no-tags"])), ("2\n", "0\n"));
    assert!(other.entries().is_empty());
    assert_eq!(fs::read_dir(other.layout().join("blobs/sha256")).expect("the store").count(), 0);
    let missing = other.command(["inspect", "--remote", &registry.name("none:1")]).run().fails();
    missing.says("none:1").discard();
}

#[test]
fn a_history_has_docker_s_columns() {
    let (img, _registry, image) = pulled();
    let table = stdout(&img, &["history", "again"]);
    let lines: Vec<_> = table.lines().collect();
    let titles: Vec<_> = lines[0].split_whitespace().collect();
    assert_eq!(titles, ["IMAGE", "CREATED", "CREATED", "BY", "SIZE", "COMMENT"]);
    let id = &sha256(&image.config)["sha256:".len()..][..12];
    assert!(lines[1].starts_with(id) && lines[1].ends_with("3B        buildkit"), "{table}");
    assert!(lines[1].contains(" RUN something that is much longer than forty… "), "{table}");
    assert!(lines[2].starts_with("<missing>") && lines[2].contains("ENV X=1") && lines[2].contains(" 0B"));
    assert!(lines[3].contains("ADD first") && lines[3].contains(" 6B"), "{table}");
    assert_eq!(stdout(&img, &["history", "-q", "again"]), format!("{id}\n<missing>\n<missing>\n"));
    let full = stdout(&img, &["history", "--no-trunc", "--format", "{{.ID}} {{.CreatedBy}}", "again"]);
    assert!(full.starts_with(&sha256(&image.config)) && full.contains("forty-five characters\n"), "{full}");
    let format = "{{.CreatedSince}}|{{.CreatedAt}}|{{.Size}}";
    let exact = stdout(&img, &["history", "--human=false", "--format", format, "again"]);
    assert!(exact.ends_with(&format!("ago|{CREATED}|6\n")), "{exact}");
    assert!(stdout(&img, &["history", "--human=false", "again"]).contains(CREATED));
    img.command(["history", "nothing"]).run().fails().says("No such image: nothing").discard();
}

/// A store with three images, all of which have the layer `shared`; the third has no name.
fn several() -> (Img, FakeRegistry) {
    let image = |text: &str, team: &str, year: u32| {
        SampleImage::new(&[b"shared", text.as_bytes()]).with(|config| {
            config["created"] = json!(format!("{year}-01-01T00:00:00Z"));
            config["config"]["Labels"] = json!({ "team": team });
        })
    };
    let images = [image("one", "a", 2020), image("second", "b", 2022), image("nameless", "c", 2022)];
    let mut served = Served::default();
    for (tag, image) in ["1", "2", "3"].into_iter().zip(&images) {
        served.add(image);
        served.manifest(tag, &image.media_type, &image.manifest);
    }
    let (img, registry) = (Img::new(), FakeRegistry::good(served));
    for tag in ["1", "2", "3"] {
        img.pull(&registry.name(&format!("a:{tag}"))).run().succeeds().discard();
    }
    let path = img.layout().join("index.json");
    let mut index: Value = serde_json::from_slice(&fs::read(&path).expect("an index")).expect("JSON");
    index["manifests"][2].as_object_mut().expect("an object").remove("annotations");
    fs::write(&path, index.to_string()).expect("writable");
    (img, registry)
}

fn hold(img: &Img, entry: usize) {
    let target = &img.entries()[entry];
    let lease = json!({ "kind": "container", "image": target, "owner": img.path("store") });
    img.write("store/leases/web", &lease.to_string());
}

#[test]
fn df_tells_what_is_there_what_is_shared_and_what_could_go() {
    let (img, registry) = several();
    hold(&img, 0);
    img.write(&format!("store/oci/blobs/sha256/{}", "0".repeat(64)), "orphan");
    img.write("store/ingest/sha256-x", "half");
    let rows =
        stdout(&img, &["df", "--format", "{{.Type}} {{.TotalCount}} {{.Active}} {{.Size}} {{.Reclaimable}}"]);
    let rows: Vec<_> = rows.lines().collect();
    assert_eq!(rows[0], "Images 3 1 23B 14B (60%)");
    assert_eq!(rows[1], "Layers 4 4 23B 0B (0%)");
    assert!(rows[2].starts_with("Blobs 11 10 ") && rows[2].contains(" 6B "), "{}", rows[2]);
    assert_eq!(rows[3], "Unfinished 1 0 4B 4B (100%)");
    let format = "{{.Repository}}:{{.Tag}} {{.Size}} {{.SharedSize}} {{.UniqueSize}} {{.Containers}}";
    let rows = stdout(&img, &["df", "-v", "--format", format]);
    assert!(rows.contains(&format!("{} 9B 6B 3B 1\n", registry.name("a:1"))), "{rows}");
    assert!(rows.contains("<none>:<none> 14B 6B 8B 0\n"), "{rows}");
    let table = stdout(&img, &["df"]);
    let titles: Vec<_> = table.lines().next().expect("titles").split_whitespace().collect();
    assert_eq!(titles, ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"]);
    assert!(stdout(&img, &["df", "-v"]).starts_with("REPOSITORY"));
}

#[test]
fn prune_removes_what_nobody_needs_and_asks_before() {
    let (img, registry) = several();
    let (first, second) = (registry.name("a:1"), registry.name("a:2"));
    hold(&img, 0);
    let asked = img.command(["prune"]).stdin("n\n").run().succeeds();
    assert_eq!(asked.stdout, "");
    asked.says("without a name").says("[y/N]").discard();
    let told = img.command(["prune"]).stdin("y\n").run().succeeds().stdout;
    assert!(told.starts_with("Deleted: ") && told.contains("Total reclaimed space: "), "{told}");
    assert_eq!(img.entries().len(), 2);
    assert_eq!(stdout(&img, &["prune", "-f"]), "Total reclaimed space: 0B\n");
    let none = stdout(&img, &["prune", "-af", "--filter", "until=2021-01-01"]);
    assert_eq!(none, "Total reclaimed space: 0B\n", "the only image that is so old is needed");
    assert_eq!(stdout(&img, &["prune", "-af", "--filter", "label=team=x"]), "Total reclaimed space: 0B\n");
    let told = stdout(&img, &["prune", "-af", "--filter", "label!=team=a"]);
    assert!(told.starts_with(&format!("Untagged: {second}\nDeleted: ")), "{told}");
    assert_eq!(stdout(&img, &["prune", "--all", "--force"]), "Total reclaimed space: 0B\n");
    fs::remove_file(img.path("store/leases/web")).expect("the lease");
    let told = stdout(&img, &["prune", "--all", "--force"]);
    assert!(told.starts_with(&format!("Untagged: {first}\n")), "{told}");
    assert!(img.entries().is_empty());
    assert_eq!(fs::read_dir(img.path("store/layers/sha256")).expect("the store").count(), 0);
    img.command(["prune", "-f", "--filter", "before=x"])
        .run()
        .fails()
        .says("before=x")
        .says("until")
        .discard();
}
