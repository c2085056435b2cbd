//! As much of DER (X.690) as finds what a certificate says about its owner. The certificate has been verified before, so this
//! need not judge it; whatever is not understood is not there.

/// What comes one after the other in some bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Elements<'a>(pub &'a [u8]);

/// One element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Element<'a> {
    /// What it is: class, form and number in one byte.
    pub tag: u8,
    /// What is in it.
    pub content: &'a [u8],
    /// The same with tag and length.
    pub whole: &'a [u8],
}

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const UTF8_STRING: u8 = 0x0c;
pub(super) const SEQUENCE: u8 = 0x30;

/// An element of the number `number` whose meaning depends on where it is, with others in it.
pub(super) const fn context(number: u8) -> u8 {
    0xa0 | number
}

/// The same with nothing but bytes in it.
pub(super) const fn context_bytes(number: u8) -> u8 {
    0x80 | number
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        let (tag, length) = (*self.0.first()?, *self.0.get(1)?);
        let (header, length) = match length {
            0..=0x7f => (2, usize::from(length)),
            0x81..=0x84 => {
                let count = usize::from(length & 0x7f);
                let bytes = self.0.get(2..2 + count)?;
                (2 + count, bytes.iter().fold(0, |value, byte| value << 8 | usize::from(*byte)))
            }
            _ => return None,
        };
        let end = header.checked_add(length)?;
        let whole = self.0.get(..end)?;
        self.0 = &self.0[end..];
        Some(Element { tag, content: &whole[header..], whole })
    }
}

impl<'a> Elements<'a> {
    /// The next element, if it is of this kind.
    pub(super) fn expect(&mut self, tag: u8) -> Option<Element<'a>> {
        self.next().filter(|element| element.tag == tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_and_what_is_cut_is_none() {
        let long = [&[SEQUENCE, 0x82, 1, 0][..], &[7; 256]].concat();
        let bytes = [&[BOOLEAN, 1, 0xff][..], &long, &[OCTET_STRING, 5, 1]].concat();
        let mut elements = Elements(&bytes);
        assert_eq!(elements.next().map(|one| (one.tag, one.content)), Some((BOOLEAN, &[0xff][..])));
        let sequence = elements.expect(SEQUENCE).expect("a sequence");
        assert_eq!((sequence.content.len(), sequence.whole), (256, &long[..]));
        assert_eq!(elements.next(), None);
        for odd in [&[][..], &[1], &[1, 0x80], &[1, 0x85, 0, 0, 0, 0, 0], &[1, 0x84, 0xff, 0xff, 0xff, 0xff]]
        {
            assert_eq!(Elements(odd).next(), None, "{odd:?}");
        }
    }
}
