//! How a segment file is laid out. All integers are big-endian; every checksum is CRC32C (RFC 3720, appendix B.4).
//!
//! | where | what |
//! |---|---|
//! | 0 and 512 | the segment header, twice: `MBJSEG01`, random id (16), first sequence (8), capacity (8), time made (8), CRC (4) |
//! | 1024 | groups, each at a multiple of 512 |
//!
//! A group is what one write and one sync made durable: `MBJG`, length with this header and without padding (4), frames
//! (4), flags (4, zero), offset that was durable when it was written (8), last sequence that was durable anywhere (8), its
//! own offset (8), CRC (4), zero (4); then its frames, each at a multiple of 8: payload length (4), CRC over the rest of
//! the frame (4), sequence (8), kind (1), zero (3), payload.
//!
//! The CRCs of groups and frames start from the CRC of the segment's random id, so what an older file left on the same
//! blocks never counts. A message's sequence is one more than that of the message before it in the segment; a key frame
//! has the sequence of the message that follows it. Segments leave gaps, so the next one is prepared before its turn.

use bytes::Bytes;
use mb_core::envelope::{peek_ids, peek_queued_at};
use mb_core::{KeyId, MessageId, Timestamp};

/// The unit that a power cut tears at, and to which groups are aligned.
pub(crate) const SECTOR: u64 = 512;
/// Where the first group starts.
pub(crate) const DATA_START: u64 = 2 * SECTOR;
/// Length of a group's header.
pub(crate) const GROUP_HEADER: usize = 48;
/// Length of a frame's header.
pub(crate) const FRAME_HEADER: usize = 20;
/// Frames start at multiples of this.
pub(crate) const FRAME_ALIGN: u64 = 8;
/// No payload is longer: an envelope is at most a 512 KiB request.
pub(crate) const MAX_PAYLOAD: usize = 8 << 20;
/// Length of the content tag in front of a tagged message's envelope.
const TAG_LEN: usize = 16;

const SEGMENT_MAGIC: &[u8; 8] = b"MBJSEG01";
const GROUP_MAGIC: &[u8; 4] = b"MBJG";

/// A segment's random id.
pub(crate) type SegmentId = [u8; 16];

/// What the first sectors of a segment say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SegmentHeader {
    pub(crate) id: SegmentId,
    pub(crate) first_seq: u64,
    pub(crate) capacity: u64,
    pub(crate) created_at: Timestamp,
}

/// What stands before the frames of one group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct GroupHeader {
    /// With this header, without padding.
    pub(crate) len: u32,
    pub(crate) frames: u32,
    /// The offset in this segment before which everything was durable.
    pub(crate) durable: u64,
    /// The last sequence that was durable in any segment; 0 for none.
    pub(crate) follows: u64,
}

/// What a frame holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// A signed data key.
    Key,
    /// An envelope.
    Message,
    /// A content tag and an envelope: a message with an idempotency key.
    Tagged,
    /// An envelope that an operator forwards although it is older than the horizon.
    Replayed,
}

/// A frame whose checksum holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) seq: u64,
    pub(crate) kind: Kind,
    pub(crate) payload: &'a [u8],
}

/// The outcome of reading a frame at a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FrameRead<'a> {
    Whole(Frame<'a>),
    /// This many bytes are needed to tell.
    Short(usize),
    Bad,
}

/// Where checksums of a segment start from.
pub(crate) fn seed(id: &SegmentId) -> u32 {
    crc32c::crc32c(id)
}

/// The largest segment.
pub(crate) const MAX_SEGMENT: u64 = 1 << 30;

/// The first sequence of the segment after one: no frame is shorter than its alignment.
pub(crate) fn next_first_seq(first_seq: u64, capacity: u64) -> u64 {
    first_seq + capacity / FRAME_ALIGN + 1
}

/// An offset or a length inside a segment, which is at most 1 GiB.
pub(crate) fn to_usize(offset: u64) -> usize {
    usize::try_from(offset).expect("offsets stay inside a segment of at most 1 GiB")
}

/// The same, as it stands in indexes.
pub(crate) fn to_u32(offset: u64) -> u32 {
    u32::try_from(offset).expect("offsets stay inside a segment of at most 1 GiB")
}

/// Bytes that a frame with this much payload takes, padding included.
pub(crate) fn frame_size(payload: usize) -> usize {
    (FRAME_HEADER + payload).next_multiple_of(8)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

pub(crate) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}

pub(crate) fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_be_bytes)
}

pub(crate) fn id16(bytes: &[u8], at: usize) -> Option<[u8; 16]> {
    array(bytes, at)
}

pub(crate) fn micros(bytes: &[u8], at: usize) -> Option<Timestamp> {
    array(bytes, at).map(i64::from_be_bytes).map(Timestamp::from_micros)
}

impl SegmentHeader {
    const LEN: usize = 48;

    /// Both copies, as long as [`DATA_START`].
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut copy = Vec::with_capacity(to_usize(DATA_START));
        copy.extend_from_slice(SEGMENT_MAGIC);
        copy.extend_from_slice(&self.id);
        copy.extend_from_slice(&self.first_seq.to_be_bytes());
        copy.extend_from_slice(&self.capacity.to_be_bytes());
        copy.extend_from_slice(&self.created_at.micros().to_be_bytes());
        copy.extend_from_slice(&crc32c::crc32c(&copy).to_be_bytes());
        copy.resize(to_usize(SECTOR), 0);
        copy.extend_from_within(..);
        copy
    }

    /// Reads whichever copy is whole.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        Self::decode_copy(bytes).or_else(|| Self::decode_copy(bytes.get(to_usize(SECTOR)..)?))
    }

    fn decode_copy(bytes: &[u8]) -> Option<Self> {
        let body = bytes.get(..Self::LEN)?;
        let sound = body.starts_with(SEGMENT_MAGIC) && be32(bytes, Self::LEN)? == crc32c::crc32c(body);
        sound.then_some(())?;
        Some(Self {
            id: id16(body, 8)?,
            first_seq: be64(body, 24)?,
            capacity: be64(body, 32)?,
            created_at: micros(body, 40)?,
        })
    }
}

impl GroupHeader {
    pub(crate) fn encode(&self, seed: u32, offset: u64) -> [u8; GROUP_HEADER] {
        let mut out = [0; GROUP_HEADER];
        out[..4].copy_from_slice(GROUP_MAGIC);
        out[4..8].copy_from_slice(&self.len.to_be_bytes());
        out[8..12].copy_from_slice(&self.frames.to_be_bytes());
        out[16..24].copy_from_slice(&self.durable.to_be_bytes());
        out[24..32].copy_from_slice(&self.follows.to_be_bytes());
        out[32..40].copy_from_slice(&offset.to_be_bytes());
        let crc = crc32c::crc32c_append(seed, &out[..40]);
        out[40..44].copy_from_slice(&crc.to_be_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8], seed: u32, offset: u64) -> Option<Self> {
        let head = bytes.get(..GROUP_HEADER)?;
        let here = head.starts_with(GROUP_MAGIC) && be64(head, 32)? == offset;
        (here && be32(head, 40)? == crc32c::crc32c_append(seed, &head[..40])).then_some(())?;
        Some(Self { len: be32(head, 4)?, frames: be32(head, 8)?, durable: be64(head, 16)?, follows: be64(head, 24)? })
    }
}

impl Kind {
    fn code(self) -> u8 {
        match self {
            Self::Key => 1,
            Self::Message => 2,
            Self::Tagged => 3,
            Self::Replayed => 4,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        [Self::Key, Self::Message, Self::Tagged, Self::Replayed].into_iter().find(|kind| kind.code() == code)
    }
}

impl<'a> Frame<'a> {
    /// Appends a frame whose payload is `parts` one after the other.
    pub(crate) fn put(out: &mut Vec<u8>, seed: u32, seq: u64, kind: Kind, parts: [&[u8]; 2]) {
        let start = out.len();
        let len = parts[0].len() + parts[1].len();
        out.extend_from_slice(&u32::try_from(len).expect("payloads are bounded by MAX_PAYLOAD").to_be_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&seq.to_be_bytes());
        out.extend_from_slice(&[kind.code(), 0, 0, 0]);
        out.extend_from_slice(parts[0]);
        out.extend_from_slice(parts[1]);
        let crc = crc32c::crc32c_append(seed, &out[start + 8..]);
        out[start + 4..start + 8].copy_from_slice(&crc.to_be_bytes());
        out.resize(start + frame_size(len), 0);
    }

    /// Reads the frame at the front of `bytes`.
    pub(crate) fn read(bytes: &'a [u8], seed: u32) -> FrameRead<'a> {
        let Some(head) = bytes.get(..FRAME_HEADER) else { return FrameRead::Short(FRAME_HEADER) };
        let Some((len, seq, kind)) = Self::plausible(head) else { return FrameRead::Bad };
        let Some(rest) = bytes.get(8..FRAME_HEADER + len) else { return FrameRead::Short(frame_size(len)) };
        if be32(head, 4) != Some(crc32c::crc32c_append(seed, rest)) {
            return FrameRead::Bad;
        }
        FrameRead::Whole(Self { seq, kind, payload: &bytes[FRAME_HEADER..FRAME_HEADER + len] })
    }

    /// Payload length, sequence and kind of what may be a frame header.
    pub(crate) fn plausible(head: &[u8]) -> Option<(usize, u64, Kind)> {
        let len = usize::try_from(be32(head, 0)?).ok().filter(|len| *len <= MAX_PAYLOAD)?;
        let kind = Kind::from_code(*head.get(16)?)?;
        Some((len, be64(head, 8)?, kind))
    }

    /// Bytes that the frame takes, padding included.
    pub(crate) fn size(&self) -> u64 {
        frame_size(self.payload.len()) as u64
    }

    pub(crate) fn is_message(&self) -> bool {
        self.kind != Kind::Key
    }

    /// The content tag in front of the envelope.
    pub(crate) fn tag(&self) -> Option<[u8; 16]> {
        if self.kind == Kind::Tagged { id16(self.payload, 0) } else { None }
    }

    /// Where in the frame the envelope starts.
    pub(crate) fn envelope_start(&self) -> usize {
        FRAME_HEADER + if self.kind == Kind::Tagged { TAG_LEN } else { 0 }
    }

    pub(crate) fn envelope(&self) -> &'a [u8] {
        self.payload.get(self.envelope_start() - FRAME_HEADER..).unwrap_or_default()
    }
}

/// What the journal reads of an envelope: enough to index it, nothing that is sealed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Label {
    pub(crate) id: MessageId,
    pub(crate) key_id: KeyId,
    pub(crate) queued_at: Timestamp,
}

impl Label {
    pub(crate) fn of(envelope: &[u8]) -> Option<Self> {
        let (id, key_id) = peek_ids(envelope)?;
        Some(Self { id, key_id, queued_at: peek_queued_at(envelope)? })
    }
}

/// The part of shared bytes that a slice borrowed from them covers.
pub(crate) fn share(whole: &Bytes, part: &[u8]) -> Bytes {
    whole.slice_ref(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_header_survives_the_loss_of_either_copy() {
        let header = SegmentHeader {
            id: [3; 16],
            first_seq: 77,
            capacity: 1 << 20,
            created_at: Timestamp::from_micros(1_700_000_000_000_000),
        };
        for broken in [0, 30, 512, 530] {
            let mut bytes = header.encode();
            bytes[broken] ^= 1;
            assert_eq!(SegmentHeader::decode(&bytes), Some(header));
        }
        assert_eq!(SegmentHeader::decode(&[0; 1024]), None);
    }

    #[test]
    fn a_group_header_counts_only_at_its_own_place_in_its_own_segment() {
        let header = GroupHeader { len: 100, frames: 2, durable: 1024, follows: 9 };
        let bytes = header.encode(5, 1024);
        assert_eq!(GroupHeader::decode(&bytes, 5, 1024), Some(header));
        assert_eq!(GroupHeader::decode(&bytes, 5, 1536), None);
        assert_eq!(GroupHeader::decode(&bytes, 6, 1024), None);
    }

    #[test]
    fn any_flipped_bit_of_a_frame_is_noticed() {
        let mut bytes = Vec::new();
        Frame::put(&mut bytes, 7, 42, Kind::Tagged, [&[1; 16], b"envelope"]);
        let FrameRead::Whole(frame) = Frame::read(&bytes, 7) else { panic!("whole") };
        assert_eq!((frame.seq, frame.tag(), frame.envelope()), (42, Some([1; 16]), &b"envelope"[..]));
        assert_eq!(frame.size(), bytes.len() as u64);
        assert_eq!(Frame::read(&bytes, 8), FrameRead::Bad, "another segment's frame");
        for bit in 0..(FRAME_HEADER + 24) * 8 {
            let mut torn = bytes.clone();
            torn[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches!(Frame::read(&torn, 7), FrameRead::Whole(_)), "bit {bit}");
        }
    }
}
