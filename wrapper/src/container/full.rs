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

/// Writes a document of JSON over another one, in the blocks that this one has. It is one write, and blanks fill what was
/// longer, so that whoever is killed leaves one of the two whole.
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
        let whole = fs::read(&path).expect("a file");
        assert!(overwrite(&path, &vec![b' '; 1 << 20]).is_err());
        assert_eq!(fs::read(&path).expect("a file"), whole);
    }
}
