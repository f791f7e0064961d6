//! The few forms of DER (X.690) that a PKCS#12 file is made of.

fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 6);
    out.push(tag);
    let length = content.len().to_be_bytes();
    let digits = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    match digits {
        [] => out.push(0),
        [short @ 0..=127] => out.push(*short),
        // A length of at most 8 bytes.
        long => {
            out.push(0x80 | long.len().to_le_bytes()[0]);
            out.extend_from_slice(long);
        }
    }
    out.extend_from_slice(content);
    out
}

pub(super) fn sequence(content: &[u8]) -> Vec<u8> {
    value(0x30, content)
}

pub(super) fn set(content: &[u8]) -> Vec<u8> {
    value(0x31, content)
}

pub(super) fn octets(content: &[u8]) -> Vec<u8> {
    value(0x04, content)
}

pub(super) fn null() -> Vec<u8> {
    value(0x05, &[])
}

/// `[tag] EXPLICIT`.
pub(super) fn explicit(tag: u8, content: &[u8]) -> Vec<u8> {
    value(0xa0 | tag, content)
}

/// `[tag] IMPLICIT OCTET STRING`.
pub(super) fn implicit_octets(tag: u8, content: &[u8]) -> Vec<u8> {
    value(0x80 | tag, content)
}

pub(super) fn integer(number: u64) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let zeros = bytes.iter().take(7).take_while(|byte| **byte == 0).count();
    let digits = &bytes[zeros..];
    // A first bit that is set would read as a sign.
    let sign: &[u8] = if digits[0] & 0x80 == 0 { &[] } else { &[0] };
    value(0x02, &[sign, digits].concat())
}

/// Characters outside of the basic plane become two, as everybody writes them.
pub(super) fn bmp_string(text: &str) -> Vec<u8> {
    value(0x1e, &text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>())
}

/// An object identifier of at least two arcs.
pub(super) fn oid(arcs: &[u32]) -> Vec<u8> {
    let first = arcs.iter().take(2).fold(0, |head, arc| head * 40 + arc);
    let mut content = Vec::new();
    for arc in std::iter::once(first).chain(arcs.iter().skip(2).copied()) {
        let mut groups = [0; 5];
        let (mut rest, mut at) = (arc, groups.len());
        loop {
            at -= 1;
            groups[at] = (rest & 0x7f).to_le_bytes()[0] | if at == groups.len() - 1 { 0 } else { 0x80 };
            rest >>= 7;
            if rest == 0 {
                break;
            }
        }
        content.extend_from_slice(&groups[at..]);
    }
    value(0x06, &content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_as_x690_has_them() {
        assert_eq!(integer(0), [2, 1, 0]);
        assert_eq!(integer(128), [2, 2, 0, 128]);
        assert_eq!(integer(10_000), [2, 2, 0x27, 0x10]);
        assert_eq!(octets(&[]), [4, 0]);
        assert_eq!(octets(&[7; 127])[..3], [4, 127, 7]);
        assert_eq!(octets(&[7; 128])[..4], [4, 0x81, 128, 7]);
        assert_eq!(octets(&[7; 300])[..5], [4, 0x82, 1, 44, 7]);
        assert_eq!(oid(&[1, 2, 840, 113_549]), [6, 6, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d]);
        assert_eq!(oid(&[2, 16, 840]), [6, 3, 0x60, 0x86, 0x48]);
        assert_eq!(bmp_string("Aé"), [0x1e, 4, 0, 0x41, 0, 0xe9]);
    }
}
