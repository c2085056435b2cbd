//! What may come into a store: a few bytes of a registry must not fill a disk.

/// The variable of the environment that says how many bytes a layer may have.
pub const BYTES_VARIABLE: &str = "MYDOCKER_LAYER_BYTES";

/// The variable of the environment that says how many entries a layer may have.
pub const ENTRIES_VARIABLE: &str = "MYDOCKER_LAYER_ENTRIES";

/// What a layer may become. Zeros count for its length alone: they are kept as holes, and a disk of a virtual machine, most
/// of which was never written, is no bomb. A gzip stream grows by a factor of 1,032 at the most, so only zstd can meet the
/// last bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// How many bytes it may have when it is inflated.
    pub bytes: u64,
    /// How many entries its archive may have.
    pub entries: u64,
    /// From how many inflated bytes on, without zeros, the next bound holds.
    pub unchecked: u64,
    /// How many inflated bytes there may be for each byte of the blob.
    pub ratio: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { bytes: 256 << 30, entries: 8 << 20, unchecked: 16 << 30, ratio: 1200 }
    }
}

/// Whether there is nothing but zeros.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    // All are like the first, which the C library compares some dozens at a time.
    bytes.first().is_none_or(|first| *first == 0 && bytes[1..] == bytes[..bytes.len() - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_is_enough_to_be_no_zeros() {
        let mut bytes = vec![0; 1000];
        assert!(is_zero(&bytes) && is_zero(b"") && is_zero(b"\0") && !is_zero(b"\x01"));
        for at in [0, 1, 500, 999] {
            bytes[at] = 1;
            assert!(!is_zero(&bytes), "{at}");
            bytes[at] = 0;
        }
    }
}
