//! Bytes as the inside of a JSON string, as docker writes them into its logs: what is no UTF-8 becomes U+FFFD, and
//! `<`, `>`, `&` and the two separators that JavaScript takes for ends of lines are written as numbers.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Appends the escaped form of `bytes`.
pub fn append_json(out: &mut Vec<u8>, mut bytes: &[u8]) {
    loop {
        let length = append_json_line(out, bytes);
        if length == bytes.len() {
            return;
        }
        out.extend_from_slice(b"\\n");
        bytes = &bytes[length + 1..];
    }
}

/// Appends the escaped form of `bytes` before the first newline, and returns how many they are.
#[inline]
pub fn append_json_line(out: &mut Vec<u8>, bytes: &[u8]) -> usize {
    let mut rest = bytes;
    loop {
        let plain = plain_length(rest);
        out.extend_from_slice(&rest[..plain]);
        rest = &rest[plain..];
        match rest.first() {
            None | Some(b'\n') => return bytes.len() - rest.len(),
            Some(_) => rest = append_foreign(out, rest),
        }
    }
}

/// How many bytes from the first on stand for themselves. Many at a time, for this is what a log's time goes into.
#[inline]
fn plain_length(bytes: &[u8]) -> usize {
    let (blocks, _) = bytes.as_chunks::<32>();
    let mut at = 32 * blocks.iter().take_while(|block| is_plain(block)).count();
    let (words, rest) = bytes[at..].as_chunks::<8>();
    for word in words {
        let foreign = foreign_bytes(*word) & HIGH;
        if foreign != 0 {
            return at + foreign.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at + rest.iter().take_while(|byte| foreign_bytes([**byte; 8]) & HIGH == 0).count()
}

/// Four words at once, which become instructions on vectors.
#[inline(always)]
fn is_plain(block: &[u8; 32]) -> bool {
    let (words, _) = block.as_chunks::<8>();
    words.iter().fold(0, |all, word| all | foreign_bytes(*word)) & HIGH == 0
}

/// The highest bit of each byte that does not stand for itself, and other bits. A byte minus one borrows into its highest
/// bit if it was zero, or above 0x80, which does not stand for itself either. Above the first such byte there may be false
/// ones, for it borrows from the next.
#[inline(always)]
fn foreign_bytes(word: [u8; 8]) -> u64 {
    let word = u64::from_le_bytes(word);
    let is = |bytes: u64, byte: u8| (bytes ^ (ONES * u64::from(byte))).wrapping_sub(ONES);
    let control = word.wrapping_sub(ONES * 0x20);
    // `"` and `&` differ in one bit alone, and so do `<` and `>`.
    let quote = is(word | (ONES * 4), b'&');
    let angle = is(word | (ONES * 2), b'>');
    word | control | quote | angle | is(word, b'\\')
}

/// Appends what does not stand for itself, and returns what is behind it.
fn append_foreign<'a>(out: &mut Vec<u8>, bytes: &'a [u8]) -> &'a [u8] {
    let ascii = bytes.iter().position(u8::is_ascii);
    let (now, later) = match ascii {
        Some(0) => bytes.split_at(1),
        Some(length) => bytes.split_at(length),
        None => (bytes, &[][..]),
    };
    match now {
        [byte] if byte.is_ascii() => append_ascii(out, *byte),
        now => append_characters(out, now),
    }
    later
}

fn append_ascii(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        _ => {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
    }
}

/// Bytes above 0x7f.
fn append_characters(out: &mut Vec<u8>, bytes: &[u8]) {
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
    fn each_pair_of_bytes_is_judged_rightly_at_each_place() {
        let plain = |byte: u8| (0x20..0x80).contains(&byte) && !b"\"\\<>&".contains(&byte);
        let neighbours = *b"\0\x1f !\"x\x7f\x80\x81\xff";
        let mut bytes = [b'x'; 43];
        for (first, second) in (0..=255_u8).flat_map(|first| neighbours.map(|second| (first, second))) {
            for at in [0, 6, 7, 30, 31, 38, 39, 40, 41] {
                (bytes[at], bytes[at + 1]) = (first, second);
                let wanted = bytes.iter().position(|byte| !plain(*byte)).unwrap_or(bytes.len());
                assert_eq!(plain_length(&bytes), wanted, "{first} {second} at {at}");
                (bytes[at], bytes[at + 1]) = (b'x', b'x');
            }
        }
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
