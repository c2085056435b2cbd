//! What criu says: a reply, written as protocol buffers have it, is the same reply; and its log.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mydocker_runtime::criu::{Notification, Reply, errors_in};

const LENGTH: u32 = 2;

fuzz_target!(|bytes: &[u8]| {
    let log = String::from_utf8_lossy(bytes);
    let errors = errors_in(&log);
    assert!(errors.len() <= log.len() + 4 && !errors.contains('\n'), "{errors:?}");
    let Some(reply) = Reply::parse(bytes) else { return };
    assert_eq!(Reply::parse(&written(&reply)).as_ref(), Some(&reply));
});

fn written(reply: &Reply) -> Vec<u8> {
    let mut bytes = Vec::new();
    number(&mut bytes, 1, reply.kind);
    number(&mut bytes, 2, reply.success.into());
    reply.notification.iter().for_each(|moment| block(&mut bytes, 5, &notification(moment)));
    number(&mut bytes, 7, i64::from(reply.errno) as u64);
    let mut features = Vec::new();
    number(&mut features, 1, reply.tracks_memory.into());
    number(&mut features, 2, reply.has_lazy_pages.into());
    block(&mut bytes, 8, &features);
    reply.message.iter().for_each(|message| block(&mut bytes, 9, message.as_bytes()));
    let mut version = Vec::new();
    // The weight of this part is one.
    number(&mut version, 4, reply.version.into());
    block(&mut bytes, 10, &version);
    bytes
}

fn notification(moment: &Notification) -> Vec<u8> {
    let mut bytes = Vec::new();
    block(&mut bytes, 1, moment.script.as_bytes());
    number(&mut bytes, 2, i64::from(moment.pid) as u64);
    bytes
}

fn number(bytes: &mut Vec<u8>, field: u32, value: u64) {
    varint(bytes, u64::from(field << 3));
    varint(bytes, value);
}

fn block(bytes: &mut Vec<u8>, field: u32, value: &[u8]) {
    varint(bytes, u64::from(field << 3 | LENGTH));
    varint(bytes, value.len() as u64);
    bytes.extend_from_slice(value);
}

fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}
