//! Bytes as the inside of a JSON string, as docker writes them into its logs: what is no UTF-8 becomes U+FFFD, and
//! `<`, `>`, `&` and the two separators that JavaScript takes for ends of lines are written as numbers.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Appends the escaped form of `bytes`.
pub fn append_json(out: &mut Vec<u8>, mut bytes: &[u8]) {
    loop {
        let plain = plain_length(bytes);
        out.extend_from_slice(&bytes[..plain]);
        bytes = &bytes[plain..];
        let Some(first) = bytes.first() else { return };
        if *first < 0x80 {
            append_ascii(out, *first);
            bytes = &bytes[1..];
        } else {
            let length = bytes.iter().position(u8::is_ascii).unwrap_or(bytes.len());
            append_foreign(out, &bytes[..length]);
            bytes = &bytes[length..];
        }
    }
}

/// How many bytes from the first on stand for themselves. Eight at a time, for this is what a log's time goes into.
fn plain_length(bytes: &[u8]) -> usize {
    let (words, _) = bytes.as_chunks::<8>();
    let skipped = words.iter().take_while(|word| is_plain_word(u64::from_ne_bytes(**word))).count() * 8;
    let rest = &bytes[skipped..];
    skipped + rest.iter().position(|byte| !is_plain(*byte)).unwrap_or(rest.len())
}

fn is_plain(byte: u8) -> bool {
    (0x20..0x80).contains(&byte) && !matches!(byte, b'"' | b'\\' | b'<' | b'>' | b'&')
}

/// Whether all eight bytes are plain. A byte minus one borrows into its highest bit only if it was zero, or above 0x80,
/// which is not plain either.
fn is_plain_word(word: u64) -> bool {
    let equals = |byte: u8| (word ^ (ONES * u64::from(byte))).wrapping_sub(ONES);
    // `<` and `>` differ in one bit alone.
    let angle = ((word | (ONES * 2)) ^ (ONES * u64::from(b'>'))).wrapping_sub(ONES);
    let control = word.wrapping_sub(ONES * 0x20);
    (word | control | equals(b'"') | equals(b'\\') | equals(b'&') | angle) & HIGH == 0
}

fn append_ascii(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        _ => {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
    }
}

/// Bytes above 0x7f.
fn append_foreign(out: &mut Vec<u8>, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\u{2028}' => out.extend_from_slice(b"\\u2028"),
                '\u{2029}' => out.extend_from_slice(b"\\u2029"),
                other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        for _ in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        append_json(&mut out, bytes);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn each_byte_is_written_as_docker_writes_it() {
        for byte in 0..=255_u8 {
            let wanted = match byte {
                b'\n' => "\\n".to_owned(),
                b'\r' => "\\r".to_owned(),
                b'\t' => "\\t".to_owned(),
                b'"' => "\\\"".to_owned(),
                b'\\' => "\\\\".to_owned(),
                b'<' | b'>' | b'&' | 0..=0x1f => format!("\\u{byte:04x}"),
                0x80.. => "\\ufffd".to_owned(),
                other => char::from(other).to_string(),
            };
            // At every place of a word of eight, and with company on both sides.
            for at in 0..9 {
                let mut bytes = vec![b'x'; at];
                bytes.push(byte);
                bytes.extend_from_slice(b"0123456789");
                let text = format!("{}{wanted}0123456789", "x".repeat(at));
                assert_eq!(escaped(&bytes), text, "{byte} at {at}");
            }
        }
    }

    #[test]
    fn characters_stay_and_broken_ones_do_not() {
        assert_eq!(escaped("grün €𝄞".as_bytes()), "grün €𝄞");
        assert_eq!(escaped("a\u{2028}b\u{2029}".as_bytes()), "a\\u2028b\\u2029");
        assert_eq!(escaped(b"\xe2\x82"), "\\ufffd\\ufffd");
        assert_eq!(escaped(b"\xe2\x82\xac\xff!"), "€\\ufffd!");
    }
}
