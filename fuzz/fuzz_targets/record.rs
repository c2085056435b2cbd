//! The record of a container: what is read back is what was written.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mydocker_runtime::state::Record;

fuzz_target!(|bytes: &[u8]| {
    let Ok(record) = serde_json::from_slice::<Record>(bytes) else { return };
    let text = serde_json::to_vec(&record).expect("a record can be written");
    let again: Record = serde_json::from_slice(&text).expect("a written record can be read");
    assert_eq!(record, again);
});
