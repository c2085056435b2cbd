//! All that can be told of a tree of files, so that two can be compared entry by entry.

use super::sha256;
use mydocker_sys::copy::{attribute_of_link, attributes_of_link};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What one entry is: type, permissions, owner, group, length, device, time, content or target, attributes, and the first
/// name of the file if it has several.
pub type Listing = BTreeMap<PathBuf, String>;

/// Lists a tree.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn list(top: &Path) -> Listing {
    let mut listing = Listing::new();
    let mut names = BTreeMap::new();
    add(top, Path::new(""), &mut listing, &mut names);
    listing
}

fn add(top: &Path, path: &Path, listing: &mut Listing, names: &mut BTreeMap<u64, PathBuf>) {
    let whole = top.join(path);
    let metadata = fs::symlink_metadata(&whole).expect("an entry");
    let kind = metadata.file_type();
    let content = if kind.is_file() {
        sha256(&fs::read(&whole).expect("a readable file"))
    } else if kind.is_symlink() {
        format!("{:?}", fs::read_link(&whole).expect("a link"))
    } else {
        String::new()
    };
    let size = if kind.is_dir() { 0 } else { metadata.len() };
    let first =
        if kind.is_dir() { path } else { names.entry(metadata.ino()).or_insert_with(|| path.to_owned()) };
    let text = format!(
        "{:o} {}:{} {size} {} {}.{:09} {content} {} {first:?}",
        metadata.mode(),
        metadata.uid(),
        metadata.gid(),
        metadata.rdev(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        attributes(&whole),
    );
    listing.insert(path.to_owned(), text);
    if kind.is_dir() {
        let mut children: Vec<_> = fs::read_dir(&whole)
            .expect("a directory")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        children.sort();
        for child in children {
            add(top, &path.join(child), listing, names);
        }
    }
}

fn attributes(path: &Path) -> String {
    let path = CString::new(path.as_os_str().as_bytes()).expect("no NUL");
    let mut names = attributes_of_link(&path).unwrap_or_default();
    names.sort();
    let value =
        |name: &CString| format!("{name:?}={:?}", attribute_of_link(&path, name).expect("an attribute"));
    names.iter().map(value).collect::<Vec<_>>().join(",")
}

/// The same without the times of some entries.
#[must_use]
pub fn without_times(mut listing: Listing, paths: &[&str]) -> Listing {
    for path in paths {
        if let Some(text) = listing.get_mut(Path::new(path)) {
            // Type, owner, length, device, time.
            let fields: Vec<_> = text.split(' ').enumerate().filter(|(at, _)| *at != 4).collect();
            *text = fields.into_iter().map(|(_, field)| field).collect::<Vec<_>>().join(" ");
        }
    }
    listing
}

/// Demands that two trees are the same.
///
/// # Panics
/// When they are not, with the first entries that differ.
pub fn assert_same(ours: &Listing, theirs: &Listing) {
    let missing = theirs.iter().filter(|(path, text)| ours.get(*path) != Some(*text));
    let more = ours.iter().filter(|(path, _)| !theirs.contains_key(*path));
    let differing: Vec<_> = missing
        .map(|(path, text)| format!("{path:?}\n  theirs {text}\n  ours   {:?}", ours.get(path)))
        .collect();
    let more: Vec<_> = more.map(|(path, text)| format!("{path:?} is ours alone: {text}")).collect();
    let all = [differing, more].concat();
    assert!(all.is_empty(), "{} entries differ:\n{}", all.len(), all[..all.len().min(10)].join("\n"));
}
