//! The index file of a sealed segment: everything a start needs to know about it, so that it is not read again.
//!
//! Layout, integers big-endian: `MBJIDX01`, segment id (16), first sequence (8), next sequence (8), end of data (8), last
//! durable sequence before the segment (8, all ones if unknown), damaged entries (8), least and greatest UUIDv7 (16 + 16,
//! zero for none), count of ids (4), of keys (4), length of the Bloom filter (4); each key's id (16) and offset (4); the
//! filter; CRC32C over all of it (4). Then, from the next multiple of 4096 on, blocks of 4096 bytes: 204 sorted pairs of id
//! (16) and offset (4), padding, and the CRC32C of the block in its last four bytes.

use std::io;
use std::path::Path;

use mb_core::{KeyId, MessageId};

use super::IdRange;
use super::bloom::Bloom;
use crate::disk::{Disk, File};
use crate::journal::format::{SegmentId, be32, be64, id16};

const MAGIC: &[u8; 8] = b"MBJIDX01";
const FIXED: usize = 108;
const BLOCK: usize = 4096;
const PAIR: usize = 20;
const PER_BLOCK: usize = (BLOCK - 4) / PAIR;

/// What is known of a sealed segment besides its ids.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Summary {
    pub(crate) id: SegmentId,
    pub(crate) first_seq: u64,
    pub(crate) next_seq: u64,
    /// Where its durable data ends.
    pub(crate) end: u64,
    /// The last sequence that was durable before its first group, 0 for none; `None` if that is not known any more.
    pub(crate) follows: Option<u64>,
    /// Entries that were found damaged when it was sealed.
    pub(crate) damaged: u64,
    /// The signed keys it carries, and where.
    pub(crate) keys: Vec<(KeyId, u32)>,
}

/// An open index file.
#[derive(Debug)]
pub(crate) struct IndexFile {
    file: File,
    blocks_at: u64,
    count: usize,
    range: IdRange,
    bloom: Bloom,
}

impl IndexFile {
    /// Writes the file and syncs it; opens it for lookups.
    pub(crate) fn write(
        disk: &Disk,
        path: &Path,
        summary: &Summary,
        mut entries: Vec<(MessageId, u32)>,
        range: IdRange,
    ) -> io::Result<Self> {
        entries.sort_unstable();
        let bloom = Bloom::of(entries.iter().map(|(id, _)| *id).filter(|id| id.version() != 7));
        let mut bytes = encode_head(summary, range, entries.len(), &bloom)?;
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        for block in entries.chunks(PER_BLOCK) {
            let start = bytes.len();
            for (id, offset) in block {
                bytes.extend_from_slice(id.as_bytes());
                bytes.extend_from_slice(&offset.to_be_bytes());
            }
            bytes.resize(start + BLOCK - 4, 0);
            bytes.extend_from_slice(&crc32c::crc32c(&bytes[start..]).to_be_bytes());
        }
        disk.replace(path, &bytes)?;
        let blocks_at = (bytes.len() - entries.len().div_ceil(PER_BLOCK) * BLOCK) as u64;
        Ok(Self { file: disk.open(path)?, blocks_at, count: entries.len(), range, bloom })
    }

    /// Opens a file; `None` if it is not whole.
    pub(crate) fn open(disk: &Disk, path: &Path) -> io::Result<Option<(Summary, Self)>> {
        let file = disk.open(path)?;
        let mut fixed = vec![0; FIXED];
        if file.read_at(&mut fixed, 0)? < FIXED {
            return Ok(None);
        }
        let Some(head_len) = head_len(&fixed).filter(|len| *len as u64 <= file.len().unwrap_or(0)) else {
            return Ok(None);
        };
        let mut head = vec![0; head_len];
        file.read_exact_at(&mut head, 0)?;
        let Some((summary, range, count, bloom)) = decode_head(&head) else { return Ok(None) };
        let blocks_at = head_len.next_multiple_of(BLOCK) as u64;
        let whole = file.len()? >= blocks_at + (count.div_ceil(PER_BLOCK) * BLOCK) as u64;
        Ok(whole.then_some((summary, Self { file, blocks_at, count, range, bloom })))
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn range(&self) -> IdRange {
        self.range
    }

    pub(crate) fn may_hold(&self, id: MessageId) -> bool {
        if id.version() == 7 { self.range.contains(id) } else { self.bloom.may_hold(id) }
    }

    /// Binary search over the blocks, then inside one.
    pub(crate) fn offset_of(&self, id: MessageId) -> io::Result<Option<u32>> {
        if !self.may_hold(id) {
            return Ok(None);
        }
        let (mut low, mut high) = (0, self.count.div_ceil(PER_BLOCK));
        while low < high {
            let middle = low.midpoint(high);
            let block = self.block(middle)?;
            let pairs = self.count.saturating_sub(middle * PER_BLOCK).min(PER_BLOCK);
            let (pairs, _) = block[..pairs * PAIR].as_chunks::<PAIR>();
            match pairs.binary_search_by(|pair| pair[..16].cmp(id.as_bytes())) {
                Ok(found) => return Ok(be32(&pairs[found], 16)),
                Err(0) => high = middle,
                Err(place) if place == pairs.len() => low = middle + 1,
                Err(_) => return Ok(None),
            }
        }
        Ok(None)
    }

    fn block(&self, number: usize) -> io::Result<[u8; BLOCK]> {
        let mut block = [0; BLOCK];
        self.file.read_exact_at(&mut block, self.blocks_at + (number * BLOCK) as u64)?;
        if be32(&block, BLOCK - 4) != Some(crc32c::crc32c(&block[..BLOCK - 4])) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(block)
    }
}

fn encode_head(summary: &Summary, range: IdRange, count: usize, bloom: &Bloom) -> io::Result<Vec<u8>> {
    let length = |len: usize| u32::try_from(len).map(u32::to_be_bytes).map_err(io::Error::other);
    let mut out = Vec::with_capacity(FIXED + summary.keys.len() * PAIR + bloom.as_bytes().len() + BLOCK);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&summary.id);
    let follows = summary.follows.unwrap_or(u64::MAX);
    for number in [summary.first_seq, summary.next_seq, summary.end, follows, summary.damaged] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    for bound in range.0.map_or([[0; 16]; 2], |(least, most)| [*least.as_bytes(), *most.as_bytes()]) {
        out.extend_from_slice(&bound);
    }
    for len in [count, summary.keys.len(), bloom.as_bytes().len()] {
        out.extend_from_slice(&length(len)?);
    }
    for (id, offset) in &summary.keys {
        out.extend_from_slice(id.as_bytes());
        out.extend_from_slice(&offset.to_be_bytes());
    }
    out.extend_from_slice(bloom.as_bytes());
    out.extend_from_slice(&crc32c::crc32c(&out).to_be_bytes());
    Ok(out)
}

fn head_len(fixed: &[u8]) -> Option<usize> {
    let keys = usize::try_from(be32(fixed, 100)?).ok()?;
    let bloom = usize::try_from(be32(fixed, 104)?).ok()?;
    fixed.starts_with(MAGIC).then_some(FIXED.checked_add(keys.checked_mul(PAIR)?)?.checked_add(bloom)?.checked_add(4)?)
}

fn decode_head(head: &[u8]) -> Option<(Summary, IdRange, usize, Bloom)> {
    let (body, crc) = head.split_at_checked(head.len().checked_sub(4)?)?;
    (be32(crc, 0)? == crc32c::crc32c(body)).then_some(())?;
    let keys = usize::try_from(be32(body, 100)?).ok()?;
    let (pairs, _) = body.get(FIXED..FIXED + keys * PAIR)?.as_chunks::<PAIR>();
    let keys = pairs.iter().filter_map(|pair| Some((KeyId::from_bytes(id16(pair, 0)?), be32(pair, 16)?))).collect();
    let bounds = (id16(body, 64)?, id16(body, 80)?);
    let some = bounds != ([0; 16], [0; 16]);
    let range = IdRange(some.then_some((MessageId::from_bytes(bounds.0), MessageId::from_bytes(bounds.1))));
    let summary = Summary {
        id: id16(body, 8)?,
        first_seq: be64(body, 24)?,
        next_seq: be64(body, 32)?,
        end: be64(body, 40)?,
        follows: be64(body, 48).filter(|seq| *seq != u64::MAX),
        damaged: be64(body, 56)?,
        keys,
    };
    let bloom = Bloom::from_bytes(body[FIXED + pairs.len() * PAIR..].to_vec());
    Some((summary, range, usize::try_from(be32(body, 96)?).ok()?, bloom))
}

#[cfg(test)]
mod tests {
    use mb_core::{IdSource, Timestamp};

    use super::super::MemoryIndex;
    use super::*;
    use crate::disk::sim::SimDisk;

    fn summary() -> Summary {
        Summary {
            id: [4; 16],
            first_seq: 10,
            next_seq: 1010,
            end: 99_000,
            follows: Some(9),
            damaged: 1,
            keys: vec![(KeyId::from_bytes([9; 16]), 1072)],
        }
    }

    #[test]
    fn what_is_written_is_found_again_and_nothing_else() {
        let disk = Disk::Simulated(SimDisk::new());
        let source = IdSource::after(None);
        let ids: Vec<_> = (0..1000_u16)
            .map(|n| {
                if n % 3 == 0 {
                    let mut digest = [0; 32];
                    digest[..2].copy_from_slice(&n.to_le_bytes());
                    MessageId::v8(&digest)
                } else {
                    source.next(Timestamp::from_micros(i64::from(n) * 1000), [7; 10])
                }
            })
            .collect();
        let mut index = MemoryIndex::default();
        for (offset, id) in (0_u32..).zip(&ids).filter(|(offset, _)| offset % 2 == 0) {
            index.insert(*id, offset);
        }
        let path = Path::new("d/a.idx");
        let written = IndexFile::write(&disk, path, &summary(), index.entries(), index.range()).expect("powered");
        let (read, opened) = IndexFile::open(&disk, path).expect("powered").expect("whole");
        assert_eq!(read, summary());
        for file in [written, opened] {
            assert_eq!(file.len(), 500);
            assert_eq!(file.range(), index.range());
            for (offset, id) in (0_u32..).zip(&ids) {
                assert_eq!(file.offset_of(*id).expect("powered"), (offset % 2 == 0).then_some(offset));
            }
        }
    }

    #[test]
    fn damage_is_noticed_instead_of_giving_a_wrong_answer() {
        let sim = SimDisk::new();
        let disk = Disk::Simulated(sim.clone());
        let mut index = MemoryIndex::default();
        let id = MessageId::v8(&[1; 32]);
        index.insert(id, 8);
        let path = Path::new("d/a.idx");
        let file = IndexFile::write(&disk, path, &summary(), index.entries(), index.range()).expect("powered");
        sim.flip(path, 4096 + 3, 1);
        assert!(file.offset_of(id).is_err());
        sim.flip(path, 60, 1);
        assert!(IndexFile::open(&disk, path).expect("powered").is_none());
    }
}
