use super::*;
use mydocker_sys::fs::{OFlag, open};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

fn side(root: &Path, is_container: bool) -> Side {
    let root = open(root, OFlag::O_PATH | OFlag::O_DIRECTORY).expect("a directory");
    Side { root, container: is_container.then(|| "web".to_owned()) }
}

/// Copies between two directories that stand for a host and a container.
fn copy(from: &Path, origin: &str, to: &Path, destination: &str) -> Result<(), CarryError> {
    let (from, to) = (side(from, false), side(to, true));
    let origin = from.origin(origin, false)?;
    let place = to.destination(destination, &origin)?;
    let mut sink = TreeSink::in_container(to.root, place.directory, false);
    walk(&origin.fd, &place.name, &mut sink)?;
    sink.finish()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_rules_about_names_are_docker_s() {
    for (origin, destination, expected) in [
        ("/file", "/new", Ok("new")),
        ("/file", "/there", Ok("there/file")),
        ("/file", "/there/", Ok("there/file")),
        ("/file", "/other", Ok("other")),
        ("/file", "/new/", Err("does not exist")),
        ("/file", "/no/new", Err("Could not find the file /no in container web")),
        ("/file/", "/new", Err("not a directory")),
        ("/dir", "/new", Ok("new/file")),
        ("/dir", "/new/", Ok("new/file")),
        ("/dir", "/there", Ok("there/dir/file")),
        ("/dir/", "/there", Ok("there/dir/file")),
        ("/dir/.", "/there", Ok("there/file")),
        ("/dir/.", "/new", Ok("new/file")),
        ("/dir", "/other", Err("to what is a file")),
        ("/dir/../file", "/new", Ok("new")),
        ("/nothing", "/new", Err("no such file")),
    ] {
        let place = tempfile::tempdir().expect("a directory");
        let (host, container) = (place.path().join("host"), place.path().join("container"));
        for path in [host.join("dir"), container.join("there")] {
            fs::create_dir_all(path).expect("room");
        }
        fs::write(host.join("file"), "text").expect("room");
        fs::write(host.join("dir/file"), "text").expect("room");
        fs::write(container.join("other"), "old").expect("room");
        match (copy(&host, origin, &container, destination), expected) {
            (Ok(()), Ok(path)) => assert_eq!(read(&container.join(path)), "text", "{origin} {destination}"),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{origin}: {error}"),
            (found, _) => panic!("{origin} {destination}: {found:?}"),
        }
    }
}

#[test]
fn links_in_a_container_stay_in_it() {
    let place = tempfile::tempdir().expect("a directory");
    let (host, container) = (place.path().join("host"), place.path().join("container"));
    let outside = place.path().join("outside");
    for path in [&host, &container, &outside] {
        fs::create_dir(path).expect("room");
    }
    fs::write(host.join("file"), "text").expect("room");
    fs::create_dir_all(host.join("dir/sub")).expect("room");
    fs::write(host.join("dir/sub/file"), "text").expect("room");
    symlink(&outside, container.join("absolute")).expect("room");
    symlink("../outside", container.join("relative")).expect("room");
    symlink("relative", container.join("twice")).expect("room");
    // They lead to nothing in the container, where a new file may be made, or a directory is missing.
    for link in ["absolute", "relative", "twice"] {
        let error = copy(&host, "/file", &container, &format!("/{link}/file"));
        assert!(error.is_err(), "{link}");
    }
    copy(&host, "/file", &container, "/relative").expect("a file in the container");
    assert_eq!(read(&container.join("outside")), "text");
    fs::create_dir(container.join("dir")).expect("room");
    symlink(&outside, container.join("dir/sub")).expect("room");
    let refused = copy(&host, "/dir/.", &container, "/dir").expect_err("a link in the way").to_string();
    assert!(refused.contains("non-directory"), "{refused}");
    assert_eq!(fs::read_dir(&outside).expect("a directory").count(), 0);
}

#[test]
fn what_comes_from_a_container_stays_where_it_was_asked_for() {
    let place = tempfile::tempdir().expect("a directory");
    let (host, container) = (place.path().join("host"), place.path().join("container"));
    for path in [&host, &container.join("dir/sub")] {
        fs::create_dir_all(path).expect("room");
    }
    fs::write(container.join("dir/sub/file"), "text").expect("room");
    let program = container.join("dir/program");
    fs::write(&program, "").expect("room");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).expect("an own file");
    symlink("/etc/passwd", container.join("dir/link")).expect("room");
    fs::hard_link(&program, container.join("dir/same")).expect("room");
    let out = |to: &Path| {
        let origin = side(&container, true).origin("/dir", false)?;
        let directory = open(to, OFlag::O_PATH | OFlag::O_DIRECTORY)?;
        let mut sink = TreeSink::on_host(directory, false);
        walk(&origin.fd, &origin.name, &mut sink)?;
        sink.finish()
    };
    out(&host).expect("a copy");
    assert_eq!(read(&host.join("dir/sub/file")), "text");
    assert_eq!(fs::read_link(host.join("dir/link")).expect("a link"), Path::new("/etc/passwd"));
    let stat = fs::metadata(host.join("dir/program")).expect("a file");
    assert_eq!(
        (stat.permissions().mode() & 0o7777, std::os::unix::fs::MetadataExt::nlink(&stat)),
        (0o755, 2)
    );
    // A second time over what is there, and then over a link that leads elsewhere.
    out(&host).expect("a copy over the first");
    let elsewhere = place.path().join("elsewhere");
    fs::create_dir(&elsewhere).expect("room");
    fs::remove_dir_all(host.join("dir/sub")).expect("an own directory");
    symlink(&elsewhere, host.join("dir/sub")).expect("room");
    assert!(out(&host).is_err());
    assert_eq!(fs::read_dir(&elsewhere).expect("a directory").count(), 0);
}

#[test]
fn archives_keep_what_they_are_given() {
    let place = tempfile::tempdir().expect("a directory");
    fs::create_dir_all(place.path().join("dir/sub")).expect("room");
    fs::write(place.path().join("dir/sub/file"), "text").expect("room");
    let origin = side(place.path(), true).origin("/dir", false).expect("a directory");
    let mut bytes = Vec::new();
    let mut sink = ArchiveSink::new(&mut bytes);
    assert_eq!(walk(&origin.fd, &origin.name, &mut sink).expect("entries"), 4);
    sink.finish().expect("an end");
    let to = place.path().join("to");
    fs::create_dir(&to).expect("room");
    let root = open(place.path(), OFlag::O_PATH | OFlag::O_DIRECTORY).expect("a directory");
    let mut sink = TreeSink::in_container(root, "/to".into(), false);
    unpack(&*bytes, &mut sink).expect("entries");
    sink.finish().expect("an end");
    assert_eq!(read(&to.join("dir/sub/file")), "text");
}
