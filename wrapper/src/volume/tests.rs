use super::*;
use crate::container::{Container, Containers, ContainersError, Mount, MountKind, Root};
use crate::home::{Home, Wishes};
use std::fs;
use std::path::Path;

fn open(place: &Path) -> (Volumes, Containers) {
    let wishes = Wishes {
        root: Some(place.join("root")),
        run_root: Some(place.join("run")),
        runtime: Some("none".to_owned()),
        ..Wishes::default()
    };
    let home = Home::find(wishes).expect("a home");
    (Volumes::open(&home).expect("volumes"), Containers::open(&home).expect("containers"))
}

fn container_with(containers: &Containers, volumes: &[&Volume]) -> Container {
    let mount = |volume: &&Volume| Mount {
        kind: MountKind::Volume,
        name: Some(volume.name.clone()),
        anonymous: volume.anonymous,
        source: volume.path.clone(),
        destination: "/data".into(),
        mode: String::new(),
        writable: true,
        propagation: String::new(),
        options: Vec::new(),
        copy_up: true,
        create_source: false,
        subpath: None,
        volume_options: BTreeMap::new(),
        volume_labels: BTreeMap::new(),
    };
    let container = Container {
        id: Containers::new_id().expect("an id"),
        name: String::new(),
        created: crate::clock::now(),
        image: None,
        root: Root::View("/".into()),
        config: Default::default(),
        host_config: Default::default(),
        mounts: volumes.iter().map(mount).collect(),
        networks: Vec::new(),
    };
    containers.create::<ContainersError>(container, |_, _| Ok(())).expect("a container")
}

#[test]
fn a_volume_is_made_once_and_found_again() {
    let place = tempfile::tempdir().expect("a directory");
    let (volumes, _) = open(place.path());
    let labels = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
    let made = volumes.create(Some("data"), labels, BTreeMap::new()).expect("a volume");
    assert!(made.path.ends_with("data/_data") && made.path.is_dir() && !made.anonymous);
    fs::write(made.path.join("file"), "").expect("room");
    let again = volumes.create(Some("data"), BTreeMap::new(), BTreeMap::new()).expect("the same");
    assert_eq!(again, made);
    assert!(again.path.join("file").exists());
    let anonymous = volumes.create(None, BTreeMap::new(), BTreeMap::new()).expect("a volume");
    assert!(anonymous.anonymous && anonymous.name.len() == 64);
    assert_eq!(volumes.all().expect("two").len(), 2);
    for name in ["", "x", "a/b", "../b", ".new", "a\nb"] {
        let made = volumes.create(Some(name), BTreeMap::new(), BTreeMap::new());
        assert!(matches!(made, Err(VolumeError::BadName(_))), "{name:?}: {made:?}");
    }
}

#[test]
fn many_makers_of_one_volume_get_the_same() {
    let place = tempfile::tempdir().expect("a directory");
    let (volumes, _) = open(place.path());
    let made: Vec<Volume> = std::thread::scope(|scope| {
        let make = || volumes.create(Some("data"), BTreeMap::new(), BTreeMap::new()).expect("a volume");
        let makers: Vec<_> = (0..16).map(|_| scope.spawn(make)).collect();
        makers.into_iter().map(|maker| maker.join().expect("no panic")).collect()
    });
    assert!(made.iter().all(|one| *one == made[0]));
}

#[test]
fn a_volume_that_a_container_has_stays() {
    let place = tempfile::tempdir().expect("a directory");
    let (volumes, containers) = open(place.path());
    let create = |name| volumes.create(name, BTreeMap::new(), BTreeMap::new()).expect("a volume");
    let (named, own, shared) = (create(Some("named")), create(None), create(None));
    let first = container_with(&containers, &[&named, &own, &shared]);
    let second = container_with(&containers, &[&shared]);
    let Err(VolumeError::InUse { holders, .. }) = volumes.remove(&shared.name, &containers) else {
        panic!("it is in use")
    };
    assert_eq!(holders.len(), 2);
    assert_eq!(
        remove_anonymous(&volumes, &containers, &first).expect("removed"),
        std::slice::from_ref(&own.name)
    );
    containers.remove(&first).expect("removed");
    assert_eq!(
        remove_anonymous(&volumes, &containers, &second).expect("removed"),
        std::slice::from_ref(&shared.name)
    );
    volumes.remove("named", &containers).expect("removed");
    assert!(volumes.all().expect("none").is_empty());
    assert!(matches!(volumes.remove("named", &containers), Err(VolumeError::NotFound(_))));
}

#[test]
fn a_volume_can_be_a_directory_of_the_host_which_it_does_not_own() {
    let place = tempfile::tempdir().expect("a directory");
    let (volumes, containers) = open(place.path());
    let host = place.path().join("host");
    fs::create_dir(&host).expect("room");
    let path = host.to_string_lossy().into_owned();
    let options = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let good = options(&[("type", "none"), ("o", "bind"), ("device", &path)]);
    let volume = volumes.create(Some("there"), BTreeMap::new(), good).expect("a volume");
    assert_eq!(volume.path, host);
    volumes.remove("there", &containers).expect("removed");
    assert!(host.is_dir());
    for (pairs, named) in [
        (&[("type", "tmpfs")][..], "type=\"tmpfs\""),
        (&[("type", "nfs"), ("device", ":/"), ("size", "1g")], "size=\"1g\""),
        (&[("o", "bind,ro"), ("device", "/")], "o=\"bind,ro\""),
        (&[("device", "relative")], "device=\"relative\""),
        (&[("device", "/nowhere/at/all")], "no such directory"),
        (&[("type", "none"), ("o", "bind")], "device=DIR"),
        (&[("size", "1g")], "size=\"1g\""),
    ] {
        let error = volumes.create(Some("bad"), BTreeMap::new(), options(pairs)).expect_err("refused");
        assert!(error.to_string().contains(named), "{error}");
    }
    assert!(matches!(volumes.find("bad"), Err(VolumeError::NotFound(_))));
}
