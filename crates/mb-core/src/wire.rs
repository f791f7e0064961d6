//! Reading and writing the fixed binary forms: big-endian integers and length-prefixed bytes. Reading never panics and
//! never allocates; anything short or over-long is `None`, and the format's owner says what that means.

/// Reads from the front of a byte slice.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    whole: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, whole: bytes }
    }

    pub(crate) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.rest.split_at_checked(len)?;
        self.rest = tail;
        Some(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[b]| b)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    pub(crate) fn short(&mut self) -> Option<&'a [u8]> {
        let len = self.u8()?;
        self.take(usize::from(len))
    }

    pub(crate) fn medium(&mut self) -> Option<&'a [u8]> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    pub(crate) fn long(&mut self) -> Option<&'a [u8]> {
        let len = self.u32()?;
        self.take(usize::try_from(len).ok()?)
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Everything read so far.
    pub(crate) fn consumed(&self) -> &'a [u8] {
        &self.whole[..self.whole.len() - self.rest.len()]
    }
}

/// Appends bytes behind a one-byte length.
///
/// # Panics
/// If `bytes` is longer than 255: callers pass names and topics, whose types are shorter.
pub(crate) fn put_short(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(u8::try_from(bytes.len()).expect("names and topics are at most 128 bytes"));
    out.extend_from_slice(bytes);
}

/// Appends bytes behind a two-byte length.
///
/// # Panics
/// If `bytes` is longer than 65,535.
pub(crate) fn put_medium(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&u16::try_from(bytes.len()).expect("callers bound it to 64 KiB").to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Appends bytes behind a four-byte length.
///
/// # Panics
/// If `bytes` is longer than 4 GiB.
pub(crate) fn put_long(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&u32::try_from(bytes.len()).expect("callers bound it to a request").to_be_bytes());
    out.extend_from_slice(bytes);
}
