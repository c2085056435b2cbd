use super::*;
use crate::layer::testing::{Archive, record};
use std::process::{Command, Stdio};

fn entries(archive: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>, TarError> {
    let mut reader = Reader::new(archive);
    let mut all = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let mut data = Vec::new();
        let mut buffer = [0; 100];
        loop {
            match reader.read_data(&mut buffer)? {
                0 => break,
                count => data.extend_from_slice(&buffer[..count]),
            }
        }
        all.push((entry, data));
    }
    Ok(all)
}

fn refusal(archive: &Archive) -> String {
    let error = entries(&archive.bytes()).expect_err("a refusal");
    let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    format!("{error}: {source}")
}

/// What GNU tar makes of a directory in one of its formats.
fn gnu_tar(directory: &std::path::Path, options: &[&str]) -> Vec<u8> {
    let output = Command::new("tar")
        .args(["-C", directory.to_str().expect("UTF-8"), "--sort=name", "-c"])
        .args(options)
        .arg(".")
        .stderr(Stdio::inherit())
        .output()
        .expect("GNU tar");
    assert!(output.status.success());
    output.stdout
}

#[test]
fn every_format_of_gnu_tar_gives_the_same_entries() {
    let place = tempfile::tempdir().expect("a directory");
    let long = "n".repeat(200);
    std::fs::create_dir(place.path().join(&long)).expect("room");
    std::fs::write(place.path().join(&long).join("file"), b"content").expect("room");
    std::os::unix::fs::symlink("t".repeat(150), place.path().join("link")).expect("room");
    for format in ["--format=gnu", "--format=pax"] {
        let all = entries(&gnu_tar(place.path(), &[format])).expect("an archive");
        let (file, data) = all.iter().find(|(entry, _)| entry.path.ends_with(b"/file")).expect("the file");
        assert_eq!(file.path, format!("./{long}/file").into_bytes());
        assert_eq!((file.size, data.as_slice()), (7, &b"content"[..]));
        let link = all.iter().find(|(entry, _)| entry.path == b"./link").expect("the link");
        assert_eq!(link.0.kind, Kind::Symlink("t".repeat(150).into_bytes()));
    }
}

#[test]
fn sparse_files_of_every_version_have_the_same_regions() {
    use std::os::unix::fs::FileExt as _;
    let place = tempfile::tempdir().expect("a directory");
    let file = std::fs::File::create(place.path().join("sparse")).expect("room");
    for region in 0..40 {
        file.write_all_at(&[region + 1; 4096], u64::from(region) * (1 << 20)).expect("room");
    }
    file.set_len(100 << 20).expect("room");
    for options in [
        &["--sparse", "--format=gnu"][..],
        &["--sparse", "--format=pax", "--sparse-version=0.0"],
        &["--sparse", "--format=pax", "--sparse-version=0.1"],
        &["--sparse", "--format=pax", "--sparse-version=1.0"],
    ] {
        let all = entries(&gnu_tar(place.path(), options)).expect("an archive");
        let (entry, data) = all.iter().find(|(entry, _)| entry.path == b"./sparse").expect("the file");
        let Kind::File(Some(regions)) = &entry.kind else { panic!("{options:?}: {:?}", entry.kind) };
        let mut content = vec![0; 100 << 20];
        let mut from = 0;
        for region in regions {
            let (at, length) = (region.offset as usize, region.length as usize);
            content[at..at + length].copy_from_slice(&data[from..from + length]);
            from += length;
        }
        assert_eq!((entry.size, from), (100 << 20, data.len()), "{options:?}");
        assert!(data.len() < 1 << 20, "{options:?} has no holes");
        for region in 0..40_u8 {
            assert_eq!(content[usize::from(region) << 20], region + 1, "{options:?}");
        }
    }
}

#[test]
fn pax_records_are_stronger_than_the_header() {
    let records =
        [record("path", b"long"), record("size", b"3"), record("uid", b"70000000"), record("mtime", b"-1.5")];
    let mut archive = Archive::default();
    archive.data('x', "pax", &records.concat());
    // The header says that there is no data; who believes it takes the data for the next header.
    archive.header('0', "short", 0).raw(b"abc").pad();
    archive.header('5', "next/", 0);
    let all = entries(&archive.bytes()).expect("an archive");
    assert_eq!(all.len(), 2);
    assert_eq!((all[0].0.path.as_slice(), all[0].1.as_slice()), (&b"long"[..], &b"abc"[..]));
    assert_eq!(all[0].0.uid, 70_000_000);
    assert_eq!(all[0].0.modified, Time { seconds: -2, nanoseconds: 500_000_000 });
}

#[test]
fn what_programs_read_in_different_ways_is_refused() {
    let path = || record("path", b"a");
    let twice =
        Archive::default().data('x', "p", &path()).data('x', "p", &path()).header('0', "b", 0).clone();
    assert!(refusal(&twice).contains("a pax header twice"));
    let both = Archive::default().data('L', "l", b"c\0").data('x', "p", &path()).header('0', "b", 0).clone();
    assert!(refusal(&both).contains("its name twice"));
    let global = Archive::default().data('g', "g", &path()).header('0', "b", 0).clone();
    assert!(refusal(&global).contains("all entries at once"));
    let comment = Archive::default().data('g', "g", &record("comment", b"x")).header('0', "b", 0).clone();
    assert_eq!(entries(&comment.bytes()).expect("git's archives").len(), 1);
    let after = Archive::default().header('0', "a", 0).raw(&[0; 512]).header('0', "b", 0).clone();
    assert!(refusal(&after).contains("single block of zeros"));
    assert!(refusal(Archive::default().header('Z', "a", 0)).contains("'Z'"));
}

#[test]
fn lengths_that_an_archive_gives_are_bounded() {
    let huge = Archive::default().header('x', "p", 1 << 30).clone();
    assert!(refusal(&huge).contains("1048576 are the most"));
    let long = Archive::default().header('L', "l", 5000).clone();
    assert!(refusal(&long).contains("4096 are the most"));
    let negative = Archive::default().data('x', "p", &record("size", b"-1")).header('0', "b", 0).clone();
    assert!(refusal(&negative).contains("size"));
    let cut = Archive::default().header('0', "a", 10).raw(b"abc").clone();
    assert!(matches!(entries(&cut.raw_bytes()), Err(TarError::Truncated)));
    let mut map = record("GNU.sparse.major", b"1");
    map.extend(record("GNU.sparse.realsize", b"10"));
    let endless =
        Archive::default().data('x', "p", &map).data('0', "s", &[b"9".repeat(512)].concat()).clone();
    assert!(refusal(&endless).contains("no number"));
    let mut map = record("GNU.sparse.map", b"5,3,4,3");
    map.extend(record("GNU.sparse.size", b"10"));
    let overlap = Archive::default().data('x', "p", &map).data('0', "s", b"abcdef").clone();
    assert!(refusal(&overlap).contains("overlap"));
}

#[test]
fn an_archive_without_its_end_is_read_to_its_last_entry() {
    let archive = Archive::default().data('0', "a", b"abc").clone();
    assert_eq!(entries(&archive.raw_bytes()).expect("an archive").len(), 1);
    assert!(entries(b"").expect("nothing").is_empty());
    let mut damaged = archive.bytes();
    damaged[0] ^= 1;
    assert!(entries(&damaged).is_err());
}

/// Found by the fuzz target `layer`: what some readers skip would be a header for others.
#[test]
fn a_directory_with_data_is_refused() {
    for kind in ['0', '\0'] {
        let mut archive = Archive::default();
        archive.data(kind, "d/", b"text");
        assert!(refusal(&archive).contains("called a directory and has data"));
        let mut empty = Archive::default();
        empty.data(kind, "d/", b"");
        assert_eq!(entries(&empty.bytes()).expect("an archive")[0].0.kind, Kind::Directory);
    }
}
