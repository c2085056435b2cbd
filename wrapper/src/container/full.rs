//! Records on a disk without room. What has to be undone, and what has ended, has to be told there as well: else a monitor
//! could not even clear up.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

/// Whether an error is for want of room.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// How often a record is read that is no document.
const READINGS: usize = 10;

/// Writes a document of JSON over another one, in the blocks that this one has. It is one write, and blanks fill what was
/// longer: a kill comes before or after it. Not every file system keeps readers out meanwhile: see [`whole`].
///
/// # Errors
/// There is no other one, or it has not blocks enough, which is found out before anything is written.
pub(super) fn overwrite(path: &Path, text: &[u8]) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    let found = file.metadata()?;
    if found.blocks().saturating_mul(512) < text.len() as u64 {
        return Err(ErrorKind::StorageFull.into());
    }
    let mut text = text.to_vec();
    let length = usize::try_from(found.len()).unwrap_or(0).max(text.len());
    text.resize(length, b' ');
    file.write_all_at(&text, 0)
}

/// Reads a record until it is a document: what is written over it may be seen in part for a moment.
///
/// # Errors
/// That of the last reading.
pub(super) fn whole<T, E>(is_partial: impl Fn(&E) -> bool, read: impl Fn() -> Result<T, E>) -> Result<T, E> {
    for _ in 1..READINGS {
        match read() {
            Err(error) if is_partial(&error) => std::thread::yield_now(),
            other => return other,
        }
    }
    read()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_record_is_written_over_another_where_that_has_room() {
        let place = tempfile::tempdir().expect("room");
        let path = place.path().join("state.json");
        assert!(overwrite(&path, b"{}").is_err());
        fs::write(&path, r#"{"long":"er"}"#).expect("room");
        overwrite(&path, b"[1]").expect("it is there");
        let found: serde_json::Value =
            serde_json::from_slice(&fs::read(&path).expect("a file")).expect("one document");
        assert_eq!(found, serde_json::json!([1]));
        overwrite(&path, br#"{"longer":"than before"}"#).expect("the block has room");
        let before = fs::read(&path).expect("a file");
        assert!(overwrite(&path, &vec![b' '; 1 << 20]).is_err());
        assert_eq!(fs::read(&path).expect("a file"), before);
    }

    #[test]
    fn what_is_seen_in_part_is_read_again_and_what_is_damaged_not_for_ever() {
        let count = std::cell::Cell::new(0);
        let partial_until = |last: usize| {
            count.set(0);
            whole(
                |error| *error == "half",
                || {
                    count.set(count.get() + 1);
                    if count.get() < last { Err("half") } else { Ok(count.get()) }
                },
            )
        };
        assert_eq!(partial_until(1), Ok(1));
        assert_eq!(partial_until(3), Ok(3));
        assert_eq!((partial_until(usize::MAX), count.get()), (Err("half"), READINGS));
        let gone: Result<(), _> = whole(|error| *error == "half", || Err("gone"));
        assert_eq!(gone, Err("gone"));
    }
}
