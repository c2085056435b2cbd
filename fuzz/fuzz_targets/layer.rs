//! Archives of layers. The reader gives entries that are written as what is read again; unpacked, nothing outside the directory
//! changes. The first byte says how whiteouts are taken.
//!
//! Best run as an ordinary user: who is not root cannot do harm by what this is there to find.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mydocker_img::layer::tar::{Entry, Kind, Reader, Writer};
use mydocker_img::layer::{Lower, Unpack, Whiteouts};
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

const BLOCK: usize = 512;

fuzz_target!(|bytes: &[u8]| {
    let Some((mode, archive)) = bytes.split_first() else { return };
    let archive = mended(archive);
    again(&archive);
    let whiteouts = if mode % 2 == 0 { Whiteouts::Apply } else { Whiteouts::Overlay };
    unpack(&archive, whiteouts);
});

/// The archive with the right sums: else hardly any change of a header would be looked at.
fn mended(archive: &[u8]) -> Vec<u8> {
    let mut archive = archive.to_vec();
    for block in archive.chunks_exact_mut(BLOCK).filter(|block| block[257..].starts_with(b"ustar")) {
        block[148..156].copy_from_slice(b"        ");
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    archive
}

/// All entries with their data; `None` if the archive is none.
fn read(archive: &[u8]) -> Option<Vec<(Entry, Vec<u8>)>> {
    let mut reader = Reader::new(archive);
    let (mut entries, mut buffer) = (Vec::new(), [0; BLOCK]);
    while let Some(entry) = reader.next_entry().ok()? {
        let mut data = Vec::new();
        loop {
            match reader.read_data(&mut buffer).ok()? {
                0 => break,
                count => data.extend_from_slice(&buffer[..count]),
            }
        }
        assert!(matches!(entry.kind, Kind::File(_)) || data.is_empty() && entry.size == 0, "{entry:?}");
        entries.push((entry, data));
    }
    Some(entries)
}

fn again(archive: &[u8]) {
    let Some(entries) = read(archive) else { return };
    let mut writer = Writer::new(Vec::new());
    for (entry, data) in &entries {
        // What no archive can have is refused.
        if writer.entry(entry).and_then(|()| writer.data(data)).is_err() {
            return;
        }
    }
    let Ok(written) = writer.finish() else { return };
    assert_eq!(read(&written).expect("what was written can be read"), entries);
}

fn unpack(archive: &[u8], whiteouts: Whiteouts) {
    let place = tempfile::Builder::new().prefix("mdz-").tempdir_in("/dev/shm").expect("room");
    let (root, canary) = (place.path().join("root"), place.path().join("canary"));
    fs::create_dir(&root).expect("room");
    fs::write(&canary, "untouched").expect("room");
    let before = fs::metadata(&canary).expect("it is there");
    let directory = OwnedFd::from(File::open(&root).expect("it is there"));
    let mut unpack = Unpack::new(directory, whiteouts).over(Lower::default());
    if unpack.layer(archive).is_ok() {
        drop(unpack.finish());
    }
    let after = fs::metadata(&canary).expect("it is still there");
    assert_eq!(fs::read(&canary).expect("it can be read"), b"untouched");
    assert_eq!((after.nlink(), after.mode(), after.ctime_nsec()), (1, before.mode(), before.ctime_nsec()));
    assert_eq!(fs::read_dir(place.path()).expect("ours").count(), 2, "something lies outside");
    open_up(&root);
}

/// Directories without permissions could not be removed by who is not root.
fn open_up(directory: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).expect("ours");
    for entry in fs::read_dir(directory).expect("ours") {
        let entry = entry.expect("ours");
        if entry.file_type().expect("ours").is_dir() {
            open_up(&entry.path());
        }
    }
}
