//! The images of this host: their list, their names, and what goes when the last name goes.

use mydocker_tests::img::{FakeRegistry, Img, SampleImage, Served, sha256};
use mydocker_tests::{Terminal, wait};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::ffi::OsStr;
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
    img.command(["tag", "nothing", "x"])
        .run()
        .fails()
        .says("No such image: nothing")
        .says("images")
        .discard();
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
    img.command(["rmi", "again"]).run().fails().says("No such image: again").discard();
    // With --force, what is not there is as gone as it was to be; without it, the others go nevertheless.
    img.command(["rmi", "-f", "again"]).run().succeeds().says("No such image: again").discard();
    img.command(["tag", &id(&second), "more"]).run().succeeds().discard();
    let others = img.command(["rmi", "again", "more"]).run().fails();
    assert_eq!(others.says("No such image: again").stdout, "Untagged: more:latest\n");
    assert_eq!(stdout(&img, &["images", "-aq"]), format!("{}\n", &id(&second)[..12]));
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

/// A store with images `old:1`, `mid:1` and `new:1`, made a year after each other.
fn three_images() -> (Img, FakeRegistry) {
    let image = |year: &str| {
        SampleImage::new(&[year.as_bytes()]).with(|config| {
            config["created"] = json!(format!("{year}-06-01T12:00:00.5Z"));
            config["config"]["Labels"] = json!({ "year": year });
        })
    };
    let (old, mid, new) = (image("2020"), image("2021"), image("2022"));
    let mut served = Served::image("old", &old);
    for (tag, image) in [("mid", &mid), ("new", &new)] {
        served.add(image);
        served.manifest(tag, &image.media_type, &image.manifest);
    }
    let (img, registry) = (Img::new(), FakeRegistry::good(served));
    for tag in ["old", "mid", "new"] {
        img.pull(&registry.name(&format!("a:{tag}"))).run().succeeds().discard();
    }
    (img, registry)
}

#[test]
fn images_are_chosen_by_age_label_and_name() {
    let (img, registry) = three_images();
    let mid = registry.name("a:mid");
    for (filters, tags) in [
        (vec![], "new mid old"),
        (vec![format!("before={mid}")], "old"),
        (vec![format!("since={mid}")], "new"),
        (vec!["until=2021-06-01T12:00:01Z".to_owned()], "mid old"),
        (vec!["until=24h".to_owned()], "new mid old"),
        (vec!["until=2021-01-01".to_owned(), "label=year".to_owned()], "old"),
        (vec!["label=year=2022".to_owned()], "new"),
        (vec!["reference=*/a:old".to_owned(), "reference=*/a:new".to_owned()], "new old"),
        (vec!["dangling=true".to_owned()], ""),
    ] {
        let words = filters.iter().flat_map(|filter| ["--filter", filter]);
        let listed = img.command(["images", "--format", "{{.Tag}}"]).args(words).run().succeeds().stdout;
        assert_eq!(listed.split_whitespace().collect::<Vec<_>>().join(" "), tags, "{filters:?}");
    }
    img.command(["images", "--filter", "since=nothing"]).run().fails().says("since=nothing").discard();
    img.command(["images", "--filter", "until=later"])
        .run()
        .fails()
        .says("until=later")
        .says("24h")
        .discard();
}

#[test]
fn an_image_with_a_damaged_document_hides_no_other_and_can_be_removed() {
    let (img, registry, first, second) = two_images();
    let path = img.layout().join("blobs/sha256").join(&first.digest()["sha256:".len()..]);
    fs::write(path, "damaged").expect("the store");
    let (broken, whole) = (registry.name("a:1"), registry.name("b:2"));
    let listed = img.command(["images", "-q", "--no-trunc"]).run().exits(1);
    assert_eq!(listed.stdout, format!("{}\n", sha256(&second.config)));
    listed.says(&broken).says(&first.digest()).says("fsck --repair").discard();
    img.command(["tag", &whole, "more"]).run().succeeds().discard();
    img.command(["tag", &id(&second), "most"]).run().succeeds().discard();
    img.command(["tag", &broken, "less"]).run().fails().says(&first.digest()).discard();
    let told = stdout(&img, &["rmi", &broken]);
    assert!(told.starts_with(&format!("Untagged: {broken}\nDeleted: ")), "{told}");
    assert!(!img.has_blob(&first.digest()) && !has_layer(&img, &first.layers[1]));
    assert_eq!(stdout(&img, &["images", "-q"]), format!("{}\n", &id(&second)[..12]));
}

#[test]
fn an_entry_that_another_program_made_without_a_name_is_listed() {
    let (img, _registry, first, _) = two_images();
    let mut index: serde_json::Value =
        serde_json::from_slice(&fs::read(img.layout().join("index.json")).expect("an index")).expect("JSON");
    index["manifests"][0]["annotations"] = json!({});
    img.write("store/oci/index.json", &index.to_string());
    let listed = stdout(&img, &["images", "--filter", "dangling=true"]);
    let row: Vec<_> = listed.lines().nth(1).expect("a row").split_whitespace().collect();
    assert_eq!(row[..3], ["<none>", "<none>", &id(&first)[..12]]);
    assert_eq!(stdout(&img, &["images", "-q"]).lines().count(), 2);
}

#[test]
fn an_image_has_the_digest_that_a_registry_gives_for_its_name() {
    let image = SampleImage::new(&[b"one"]);
    let index = SampleImage::index(&[&image]);
    let mut served = Served::image("1", &image);
    served.manifest("all", "application/vnd.oci.image.index.v1+json", &index);
    let registry = FakeRegistry::good(served);
    let img = Img::new();
    let (one, all) = (registry.name("one"), registry.name("all"));
    img.pull(&format!("{one}:1")).run().succeeds().discard();
    img.pull(&format!("{all}:all")).run().succeeds().discard();
    let lines = stdout(&img, &["images", "--format", "{{.Repository}}@{{.Digest}}"]);
    let expected = [format!("{all}@{}", sha256(&index)), format!("{one}@{}", image.digest())];
    assert_eq!(lines.lines().collect::<Vec<_>>(), expected);
    let shown = stdout(&img, &["inspect", "--format", "{{json .RepoDigests}}", &format!("{all}:all")]);
    assert_eq!(shown.trim_end(), json!(expected).to_string());
}

#[test]
fn an_empty_format_is_none() {
    let (img, ..) = two_images();
    let name = &*stdout(&img, &["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    let name = name.lines().next().expect("an image");
    for words in [&["images"][..], &["df"], &["history", name], &["inspect", name]] {
        let empty = [words, &["--format", ""]].concat();
        assert_eq!(stdout(&img, words), stdout(&img, &empty), "{words:?}");
    }
}

#[test]
fn nothing_goes_where_no_name_is_taken_away() {
    let (img, ..) = two_images();
    let unneeded = sha256(b"unneeded");
    let path = img.layout().join("blobs").join(unneeded.replace(':', "/"));
    fs::write(path, "unneeded").expect("writable");
    let outcome = img.command(["rmi", "missing"]).run().fails().says("No such image");
    assert!(outcome.stdout.is_empty() && img.has_blob(&unneeded), "{}", outcome.describe());
    assert!(stdout(&img, &["gc"]).contains(&unneeded));
}

#[test]
fn privileged_a_store_that_can_only_be_read_is_read() {
    let (img, _registry, first, _) = two_images();
    let name = stdout(&img, &["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    let script = format!(
        "mount --bind store store; mount -o remount,ro,bind store; img='{} --root store'; name={}; \
         $img images -q; $img inspect -f '{{{{.Id}}}}' $name; $img df >/dev/null; $img verify $name >/dev/null; \
         $img fsck; $img diff $name $name; $img export $name | tar -t | grep -c '^[01]$'; \
         $img save $name | tar -t | tail -1; $img bundle $name made; ls made; \
         for wrong in 'gc' \"tag $name new\" \"rmi $name\" 'import archive new' 'fsck --repair'; do \
         if $img $wrong >/dev/null 2>error; then exit 9; fi; grep -o 'Read-only file system' error; done",
        mydocker_tests::img::program().display(),
        name.lines().next().expect("an image"),
    );
    fs::write(img.path("archive"), &first.layers[0]).expect("writable");
    let mut command = Command::new("unshare");
    let output = command.args(["--mount", "sh", "-ec", &script]).current_dir(img.path("")).output();
    let output = output.expect("util-linux is installed");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains(&sha256(&first.config)) && said.contains(": 0 problems"), "{said}");
    assert!(said.contains("\n2\nmanifest.json\nconfig.json\nrootfs\n"), "{said}");
    assert_eq!(said.matches("Read-only file system\n").count(), 5, "{said}");
}

#[test]
fn who_waits_for_another_command_is_told_so() {
    let image = SampleImage::new(&[b"one"]);
    let layer = sha256(&image.layers[0]);
    let (go_on, may_go_on) = std::sync::mpsc::channel();
    let may_go_on = std::sync::Mutex::new(may_go_on);
    let registry = FakeRegistry::start(Served::image("1", &image), move |request, good| {
        if request.target.ends_with(&layer) {
            may_go_on.lock().expect("no panic").recv().unwrap_or_default();
        }
        good
    });
    let img = Img::new();
    let pull = img.pull(&registry.name("a:1")).spawn();
    pull.wait_for_output("Downloading");
    let mut terminal = Terminal::open();
    let gc = img.command(["gc"]).on_terminal(&terminal).spawn();
    terminal.read_until("waiting for another command");
    go_on.send(()).expect("the registry waits");
    terminal.read_until("Total reclaimed space");
    gc.wait().succeeds().discard();
    pull.wait().succeeds().discard();
}

#[test]
fn the_first_name_of_a_store_is_no_loss_of_all_names() {
    let img = Img::new();
    img.command(["images"]).run().succeeds().discard();
    // It stops when it has seen that there is no list of names, before it sees that there is no copy of one.
    let (index, log) = (img.path("store/oci/index.json"), img.path("log"));
    let stopped = ["strace", "-f", "-e", "trace=openat", "-e", "inject=openat:signal=SIGSTOP:when=1"];
    let words = stopped.iter().map(|word| OsStr::new(*word));
    let paths = [OsStr::new("-o"), log.as_ref(), "-P".as_ref(), index.as_ref()];
    let images = img.command(["images", "-q"]).through(words.chain(paths)).spawn();
    let text = wait::until("the list to be missed", || {
        fs::read_to_string(&log).ok().filter(|text| text.contains("stopped by SIGSTOP"))
    });
    assert!(text.contains("ENOENT"), "{text}");
    let process = text.split_whitespace().next().and_then(|id| Pid::from_raw(id.parse().ok()?));
    fs::write(img.path("archive"), &SampleImage::new(&[b"x"]).layers[0]).expect("writable");
    img.command(["import"]).arg(img.path("archive")).arg("first:1").run().succeeds().discard();
    kill_process(process.expect("a process id"), Signal::CONT).expect("it waits");
    let told = images.wait().succeeds().stdout;
    assert_eq!(told.lines().count(), 1, "{told}");
}
