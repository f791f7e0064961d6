//! A zip archive of a few small files, stored as they are (APPNOTE.TXT 6.3.10, sections 4.3 to 4.5).

/// 1980-01-01, the format's beginning: an archive that is handed out once needs no date.
const DATE: u16 = 0x0021;
/// The least version that reads it: 1.0 for stored files.
const VERSION: u16 = 10;

/// Packs files, each a name and its content.
pub(crate) fn pack(files: &[(String, &[u8])]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let offset = size(out.len());
        let entry = entry(name, content);
        out.extend(0x0403_4b50_u32.to_le_bytes());
        out.extend(&entry);
        out.extend(name.as_bytes());
        out.extend(*content);
        directory.extend(0x0201_4b50_u32.to_le_bytes());
        directory.extend(VERSION.to_le_bytes());
        directory.extend(&entry);
        // No comment, disk 0, no attributes.
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let count = u16::try_from(files.len()).unwrap_or(u16::MAX);
    let start = size(out.len());
    out.extend(&directory);
    out.extend(0x0605_4b50_u32.to_le_bytes());
    out.extend([0; 4]);
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend(size(directory.len()).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0; 2]);
    out
}

/// What local header and directory say alike.
fn entry(name: &str, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(26);
    out.extend(VERSION.to_le_bytes());
    // No flags, stored, midnight.
    out.extend([0; 6]);
    out.extend(DATE.to_le_bytes());
    out.extend(crc32(content).to_le_bytes());
    out.extend(size(content.len()).to_le_bytes());
    out.extend(size(content.len()).to_le_bytes());
    out.extend(u16::try_from(name.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend([0; 2]);
    out
}

/// The files are certificates and keys: thousands of bytes, not billions.
fn size(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// CRC-32 (ITU-T V.42), bit by bit: for a few kilobytes a table is not worth its lines.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_standards() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn an_archive_names_each_file_where_it_is() {
        let archive = pack(&[("a.crt".into(), b"one"), ("a.key".into(), b"two!")]);
        let end = archive.len() - 22;
        assert_eq!(&archive[end..end + 4], b"PK\x05\x06");
        let number = |at: usize| u32::from_le_bytes(archive[at..at + 4].try_into().expect("four bytes")) as usize;
        let (length, start) = (number(end + 12), number(end + 16));
        assert_eq!(start + length, end);
        let second = start + 46 + 5;
        assert_eq!(&archive[second..second + 4], b"PK\x01\x02");
        let local = number(second + 42);
        assert_eq!(&archive[local..local + 4], b"PK\x03\x04");
        assert_eq!(&archive[local + 30..local + 30 + 9], b"a.keytwo!");
    }
}
