//! Archives as nobody should make them.

/// An archive that is put together header by header.
#[derive(Debug, Clone, Default)]
pub struct Archive(Vec<u8>);

/// A record of a pax header.
pub fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let length = (1..).find(|length| *length == rest + length.to_string().len()).expect("a length");
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

impl Archive {
    /// A header; the target of a link is given behind the name, after `>`.
    pub fn header(&mut self, kind: char, name: &str, size: u64) -> &mut Self {
        let (name, link) = name.split_once('>').unwrap_or((name, ""));
        let mut header = [0_u8; 512];
        let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
        put(0, name.as_bytes());
        put(100, if kind == '5' { b"0000755\0" } else { b"0000644\0" });
        put(108, b"0000000\0");
        put(116, b"0000000\0");
        put(124, format!("{size:011o}\0").as_bytes());
        put(136, b"00000000007\0");
        put(148, b"        ");
        put(156, &[kind as u8]);
        put(157, link.as_bytes());
        put(257, b"ustar\x0000");
        if matches!(kind, '3' | '4') {
            put(329, b"0000001\0");
            put(337, b"0000003\0");
        }
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.raw(&header)
    }

    /// An entry with data.
    pub fn data(&mut self, kind: char, name: &str, data: &[u8]) -> &mut Self {
        self.header(kind, name, data.len() as u64).raw(data).pad()
    }

    /// Bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// NULs up to the end of the block.
    pub fn pad(&mut self) -> &mut Self {
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// All of it, without an end.
    pub fn raw_bytes(&self) -> Vec<u8> {
        self.0.clone()
    }

    /// All of it, with its end.
    pub fn bytes(&self) -> Vec<u8> {
        [&self.0[..], &[0; 1024]].concat()
    }
}
