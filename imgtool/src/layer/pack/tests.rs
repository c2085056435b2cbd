use super::*;
use crate::layer::tar::{Kind, Reader, Time};
use mydocker_sys::fs::{fsetxattr, mknodat};
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::Path;

fn open(path: &Path) -> OwnedFd {
    File::open(path).expect("a directory").into()
}

fn packed(source: &Source) -> Vec<u8> {
    pack(source, Vec::new()).expect("a layer")
}

/// Names with what they are, and what a file has.
fn entries(archive: &[u8]) -> Vec<(String, Kind, Vec<u8>)> {
    let mut reader = Reader::new(archive);
    let mut all = Vec::new();
    while let Some(entry) = reader.next_entry().expect("an archive") {
        let mut data = vec![0; 100];
        let count = reader.read_data(&mut data).expect("data");
        data.truncate(count);
        all.push((String::from_utf8(entry.path).expect("UTF-8"), entry.kind, data));
    }
    all
}

fn names(archive: &[u8]) -> Vec<String> {
    entries(archive).into_iter().map(|(name, _, _)| name).collect()
}

fn whiteout(directory: &Path, name: &str) {
    mknodat(open(directory), Path::new(name), SFlag::S_IFCHR, 0, 0).expect("anybody may make a whiteout");
}

/// A mark of overlayfs that anybody may set.
fn mark(path: &Path, name: &str, value: &[u8]) {
    let name = std::ffi::CString::new(format!("user.overlay.{name}")).expect("no NUL");
    fsetxattr(open(path), &name, value).expect("a file system with attributes");
}

fn place() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

#[test]
fn marks_of_overlayfs_become_names_in_the_layer() {
    let place = place();
    let top = place.path();
    for directory in ["b", "b/new", "opaque"] {
        fs::create_dir(top.join(directory)).expect("room");
    }
    fs::write(top.join("a"), b"content").expect("room");
    fs::write(top.join("opaque/x"), b"").expect("room");
    whiteout(&top.join("b"), "gone");
    whiteout(top, "c");
    mark(&top.join("opaque"), "opaque", b"y");
    mark(&top.join("b"), "origin", b"somewhere");
    fs::write(top.join("marked"), b"").expect("room");
    mark(&top.join("marked"), "whiteout", b"y");
    let archive = packed(&Source::Upper(Directory::plain(open(top))));
    let expected = [
        "./",
        "a",
        "b/",
        "b/.wh.gone",
        "b/new/",
        ".wh.c",
        ".wh.marked",
        "opaque/",
        "opaque/.wh..wh..opq",
        "opaque/x",
    ];
    assert_eq!(names(&archive), expected);
    assert!(!archive.windows(14).any(|bytes| bytes == b"overlay.origin"));
    assert!(archive == packed(&Source::Upper(Directory::plain(open(top)))));
}

#[test]
fn what_a_layer_cannot_say_is_refused_by_its_name() {
    for (name, marked) in [("redirect", "redirect_dir"), ("metacopy", "metacopy")] {
        let place = place();
        fs::create_dir(place.path().join("d")).expect("room");
        mark(&place.path().join("d"), name, b"/x");
        let error = pack(&Source::Upper(Directory::plain(open(place.path()))), Vec::new()).expect_err(name);
        assert!(error.to_string().contains("\"d\"") && error.to_string().contains(marked), "{error}");
    }
    let place = place();
    fs::write(place.path().join(".wh.x"), b"").expect("room");
    let tree = || Directory::plain(open(place.path()));
    for source in [Source::Upper(tree()), Source::Tree { tree: tree(), is_layer: true }] {
        let error = pack(&source, Vec::new()).expect_err("a whiteout's name").to_string();
        assert!(error.contains(".wh.x"), "{error}");
    }
    let archive = packed(&Source::Tree { tree: tree(), is_layer: false });
    assert_eq!(names(&archive), ["./", ".wh.x"]);
}

#[test]
fn links_holes_and_times_are_kept_and_sockets_left_out() {
    let place = place();
    let top = place.path();
    let file = File::create(top.join("sparse")).expect("room");
    file.write_all_at(b"end", 8 << 20).expect("room");
    file.set_len(16 << 20).expect("room");
    fs::write(top.join("one"), b"same").expect("room");
    fs::hard_link(top.join("one"), top.join("two")).expect("room");
    symlink("one", top.join("link")).expect("room");
    let socket = std::os::unix::net::UnixListener::bind(top.join("socket"));
    fs::set_permissions(top.join("one"), fs::Permissions::from_mode(0o4711)).expect("ours");
    let time = std::time::UNIX_EPOCH + std::time::Duration::new(5, 70);
    File::open(top.join("one")).and_then(|file| file.set_modified(time)).expect("ours");
    let archive = packed(&Source::Tree { tree: Directory::plain(open(top)), is_layer: true });
    drop(socket);
    assert!(archive.len() < 1 << 20, "{} bytes", archive.len());
    assert_eq!(names(&archive), ["./", "link", "one", "sparse", "two"]);
    let all = entries(&archive);
    assert_eq!(all[1].1, Kind::Symlink(b"one".to_vec()));
    assert_eq!(all[4].1, Kind::HardLink(b"one".to_vec()));
    let mut reader = Reader::new(&archive[..]);
    let one =
        std::iter::from_fn(|| reader.next_entry().expect("an archive")).find(|entry| entry.path == b"one");
    let one = one.expect("the file");
    assert_eq!((one.mode, one.modified), (0o4711, Time { seconds: 5, nanoseconds: 70 }));
    let Kind::File(Some(regions)) = &all[3].1 else { panic!("{:?}", all[3].1) };
    let data: u64 = regions.iter().map(|region| region.length).sum();
    assert!(data < 1 << 20, "{regions:?}");
}

/// Two trees that are the same.
fn twins() -> (tempfile::TempDir, tempfile::TempDir) {
    let (lower, upper) = (place(), place());
    for top in [lower.path(), upper.path()] {
        for directory in ["a", "a/deep", "b", "same"] {
            fs::create_dir(top.join(directory)).expect("room");
        }
        for name in ["a/deep/file", "b/one", "b/two", "same/file", "type"] {
            fs::write(top.join(name), name).expect("room");
            let file = File::options().write(true).open(top.join(name)).expect("ours");
            file.set_modified(std::time::UNIX_EPOCH).expect("ours");
        }
    }
    (lower, upper)
}

fn changes(lower: &Path, upper: &Path) -> Vec<String> {
    let mut all = Vec::new();
    let (lower, upper) = (Directory::plain(open(lower)), Directory::plain(open(upper)));
    difference(&lower, &upper, &mut |change| {
        let kind = match change.kind {
            ChangeKind::Added => 'A',
            ChangeKind::Changed => 'C',
            ChangeKind::Deleted => 'D',
        };
        all.push(format!("{kind} /{}", String::from_utf8_lossy(change.path)));
        Ok(())
    })
    .expect("trees");
    all
}

#[test]
fn a_difference_has_what_differs_and_the_directories_on_the_way() {
    let (lower, upper) = twins();
    assert_eq!(changes(lower.path(), upper.path()), Vec::<String>::new());
    let top = upper.path();
    fs::remove_file(top.join("b/one")).expect("ours");
    fs::remove_dir_all(top.join("a/deep")).expect("ours");
    fs::create_dir(top.join("b/new")).expect("room");
    fs::write(top.join("b/new/file"), b"").expect("room");
    fs::remove_file(top.join("type")).expect("ours");
    fs::create_dir(top.join("type")).expect("room");
    fs::write(top.join("type/inside"), b"").expect("room");
    fs::hard_link(top.join("same/file"), top.join("same/other")).expect("room");
    let expected = [
        "C /",
        "C /a",
        "D /a/deep",
        "C /b",
        "A /b/new",
        "A /b/new/file",
        "D /b/one",
        "C /same",
        "C /same/file",
        "A /same/other",
        "C /type",
        "A /type/inside",
    ];
    assert_eq!(changes(lower.path(), top), expected);
    let (lower, upper) = (Directory::plain(open(lower.path())), Directory::plain(open(top)));
    let archive = packed(&Source::Difference { lower, upper });
    let expected = [
        "./",
        "a/",
        "a/.wh.deep",
        "b/",
        "b/new/",
        "b/new/file",
        "b/.wh.one",
        "same/",
        "same/file",
        "same/other",
        "type/",
        "type/inside",
    ];
    assert_eq!(names(&archive), expected);
}

#[test]
fn files_of_one_length_and_time_are_told_apart_by_their_content() {
    let (lower, upper) = twins();
    let path = upper.path().join("b/two");
    fs::write(&path, b"B/TWO").expect("ours");
    File::options()
        .write(true)
        .open(&path)
        .and_then(|file| file.set_modified(std::time::UNIX_EPOCH))
        .expect("ours");
    assert_eq!(changes(lower.path(), upper.path()), ["C /", "C /b", "C /b/two"]);
}

#[test]
fn layers_above_each_other_are_seen_as_overlayfs_shows_them() {
    let (low, high) = (place(), place());
    for (top, name) in
        [(&low, "a/low"), (&low, "o/low"), (&low, "f/low"), (&high, "a/high"), (&high, "o/high")]
    {
        fs::create_dir_all(top.path().join(name).parent().expect("a parent")).expect("room");
        fs::write(top.path().join(name), name).expect("room");
    }
    fs::write(low.path().join("gone"), b"").expect("room");
    fs::write(high.path().join("f"), b"in place of a directory").expect("room");
    whiteout(high.path(), "gone");
    mark(&high.path().join("o"), "opaque", b"y");
    let tree = Directory::overlay(vec![open(high.path()), open(low.path())]);
    let archive = packed(&Source::Tree { tree, is_layer: false });
    assert_eq!(names(&archive), ["./", "a/", "a/high", "a/low", "f", "o/", "o/high"]);
}
