//! The archive of the files: POSIX `ustar` (IEEE Std 1003.1, "pax", ustar Interchange Format), so that `age -d` and `tar`
//! open a backup where this program is not at hand. Regular files only, paths up to 255 bytes, sizes up to 8 GiB.

use std::io::{self, Read, Write};

/// Everything is padded to blocks of this size.
const BLOCK: usize = 512;
/// Padding of up to one block.
const ZEROS: [u8; BLOCK] = [0; BLOCK];

/// What the group and everyone else may do with a file.
pub(super) const OTHERS: u32 = 0o077;

/// A file in the archive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    /// Relative, divided by `/`.
    pub(super) path: String,
    pub(super) size: u64,
    pub(super) is_private: bool,
}

/// Writes a file of which `entry` says the size: what `content` has more is left out, what it has less is filled up, for
/// a log may be written or replaced meanwhile.
pub(super) fn append(out: &mut impl Write, entry: &Entry, content: impl Read) -> io::Result<()> {
    out.write_all(&header(entry)?)?;
    let copied = io::copy(&mut content.take(entry.size), out)?;
    let filled = entry.size - copied;
    io::copy(&mut io::repeat(0).take(filled), out)?;
    out.write_all(&ZEROS[..padding(entry.size)])
}

/// Writes the archive's end.
pub(super) fn finish(out: &mut impl Write) -> io::Result<()> {
    out.write_all(&ZEROS)?;
    out.write_all(&ZEROS)
}

/// Reads an archive file by file.
pub(super) struct Reader<R> {
    inner: R,
    /// Of the file that was entered last, not read yet.
    left: u64,
    padding: usize,
}

impl<R: Read> Reader<R> {
    pub(super) const fn new(inner: R) -> Self {
        Self { inner, left: 0, padding: 0 }
    }

    /// Goes to the next file, whose content this then reads; `None` at the archive's end, which is read out so that its
    /// seal is proven.
    pub(super) fn next(&mut self) -> io::Result<Option<Entry>> {
        let rest = self.left + self.padding as u64;
        let skipped = io::copy(&mut self.inner.by_ref().take(rest), &mut io::sink())?;
        if skipped != rest {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut block = [0; BLOCK];
        self.inner.read_exact(&mut block)?;
        (self.left, self.padding) = (0, 0);
        if block == ZEROS {
            io::copy(&mut self.inner, &mut io::sink())?;
            return Ok(None);
        }
        let entry = parse(&block)?;
        (self.left, self.padding) = (entry.size, padding(entry.size));
        Ok(Some(entry))
    }
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.by_ref().take(self.left).read(buffer)?;
        if read == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= read as u64;
        Ok(read)
    }
}

fn padding(size: u64) -> usize {
    // Less than a block, so it fits.
    usize::try_from(size.next_multiple_of(BLOCK as u64) - size).unwrap_or(0)
}

fn header(entry: &Entry) -> io::Result<[u8; BLOCK]> {
    let mut block = [0; BLOCK];
    let (prefix, name) = split(&entry.path)?;
    block[..name.len()].copy_from_slice(name.as_bytes());
    let mode = if entry.is_private { "0000600\0" } else { "0000644\0" };
    block[100..108].copy_from_slice(mode.as_bytes());
    block[108..116].copy_from_slice(b"0000000\0");
    block[116..124].copy_from_slice(b"0000000\0");
    let size = format!("{:011o}\0", entry.size);
    if size.len() != 12 {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "8 GiB is the longest file of an archive"));
    }
    block[124..136].copy_from_slice(size.as_bytes());
    block[136..148].copy_from_slice(b"00000000000\0");
    block[148..156].copy_from_slice(b"        ");
    block[156] = b'0';
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[345..345 + prefix.len()].copy_from_slice(prefix.as_bytes());
    let sum = format!("{:06o}\0 ", checksum(&block));
    block[148..156].copy_from_slice(sum.as_bytes());
    Ok(block)
}

/// A path in the two fields that hold it.
fn split(path: &str) -> io::Result<(&str, &str)> {
    if path.len() <= 100 {
        return Ok(("", path));
    }
    let parts = path.match_indices('/').map(|(at, _)| (&path[..at], &path[at + 1..]));
    let mut fitting = parts.filter(|(prefix, name)| prefix.len() <= 155 && name.len() <= 100);
    fitting.next().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidFilename, "too long a path for an archive"))
}

fn checksum(block: &[u8; BLOCK]) -> u32 {
    let of = |(at, byte): (usize, &u8)| if (148..156).contains(&at) { u32::from(b' ') } else { u32::from(*byte) };
    block.iter().enumerate().map(of).sum()
}

fn parse(block: &[u8; BLOCK]) -> io::Result<Entry> {
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "no archive of files");
    let text = |range: std::ops::Range<usize>| {
        let field = block[range].split(|byte| *byte == 0).next().unwrap_or_default();
        std::str::from_utf8(field).map(str::trim).map_err(|_| malformed())
    };
    let number = |range| text(range).and_then(|digits| u64::from_str_radix(digits, 8).map_err(|_| malformed()));
    if !block[257..262].eq(b"ustar") || block[156] != b'0' || number(148..156)? != u64::from(checksum(block)) {
        return Err(malformed());
    }
    let (prefix, name) = (text(345..500)?, text(0..100)?);
    let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
    Ok(Entry { path, size: number(124..136)?, is_private: number(100..108)? & u64::from(OTHERS) == 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (path, content) in files {
            let entry =
                Entry { path: (*path).to_owned(), size: content.len() as u64, is_private: path.ends_with("key") };
            append(&mut out, &entry, *content).expect("appended");
        }
        finish(&mut out).expect("ended");
        out
    }

    #[test]
    fn what_goes_in_comes_out() {
        let long = format!("certs/clients/{0}/{0}.key", "n".repeat(63));
        let files: [(&str, &[u8]); 4] =
            [("a", b""), ("certs/ca.key", &[7; 512]), (&long, &[1; 1300]), ("logs/x.log", b"line\n")];
        let bytes = archive(&files);
        let mut reader = Reader::new(bytes.as_slice());
        for (at, (path, content)) in files.iter().enumerate() {
            let entry = reader.next().expect("reads").expect("a file");
            assert_eq!((entry.path.as_str(), entry.is_private), (*path, path.ends_with("key")));
            let mut found = Vec::new();
            if at != 1 {
                reader.read_to_end(&mut found).expect("reads");
                assert_eq!(&found, content);
            }
        }
        assert_eq!(reader.next().expect("ends"), None);
        for cut in [1, 513, bytes.len() - 1025] {
            let mut reader = Reader::new(&bytes[..cut]);
            assert!(std::iter::from_fn(|| reader.next().transpose()).any(|entry| entry.is_err()), "cut at {cut}");
        }
        let mut flipped = bytes;
        flipped[3] ^= 1;
        assert!(Reader::new(flipped.as_slice()).next().is_err());
    }

    #[test]
    fn a_file_that_shrinks_or_grows_meanwhile_harms_nothing() {
        let entry = Entry { path: "logs/x".into(), size: 6, is_private: true };
        let mut out = Vec::new();
        append(&mut out, &entry, b"abc".as_slice()).expect("filled up");
        append(&mut out, &entry, b"abcdefghi".as_slice()).expect("cut");
        finish(&mut out).expect("ended");
        let mut reader = Reader::new(out.as_slice());
        for expected in [b"abc\0\0\0", b"abcdef"] {
            reader.next().expect("reads").expect("a file");
            let mut found = Vec::new();
            reader.read_to_end(&mut found).expect("reads");
            assert_eq!(found, expected);
        }
        assert!(append(&mut out, &Entry { path: "x".repeat(101), ..entry }, io::empty()).is_err());
    }
}
