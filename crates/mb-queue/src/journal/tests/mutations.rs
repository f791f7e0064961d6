//! What stands on the disk is read without a panic and to an end, however it was changed.

#[path = "../../../../mb-crypto/tests/mutation/mod.rs"]
mod mutation;

use std::hint::black_box;

use mutation::{run, seeds};

use crate::journal::format::{
    DATA_START, FRAME_HEADER, Frame, FrameRead, GroupHeader, Kind, Label, SegmentHeader, seed, to_usize,
};
use crate::journal::scan::{Scanner, Step};

const GOLDEN: &str = "golden/segment-v1.bin";

/// Walks through a file as recovery does, a piece at a time; how many frames it gave.
fn walk(file: &[u8], header: &SegmentHeader, piece: usize) -> usize {
    let limit = file.len() as u64;
    let mut scanner = Scanner::new(seed(&header.id), DATA_START, header.first_seq, header.capacity);
    let (mut window, mut base, mut frames) = (&file[..0], 0, 0);
    for _ in 0..=2 * file.len() + 16 {
        match scanner.step(window, base, limit) {
            Step::Group(..) | Step::Damage(_) => {}
            Step::Frame(frame, offset) => {
                assert!(offset + frame.size() <= limit.next_multiple_of(8), "it lies in the file");
                frames += 1;
            }
            Step::Need(need) => {
                base = scanner.pos();
                let start = to_usize(base);
                window = &file[start..(start + piece.max(need)).min(file.len())];
            }
            Step::End => return frames,
        }
    }
    panic!("a walk through {} bytes comes to no end", file.len());
}

#[test]
fn segments() {
    let seeds = seeds(&[GOLDEN]);
    let golden = SegmentHeader::decode(&seeds[0]).expect("a header");
    assert_eq!(walk(&seeds[0], &golden, 512), 7, "six messages and their key");
    run(&seeds, |file| {
        let header = SegmentHeader::decode(file).unwrap_or(golden);
        walk(file, &header, 512);
        black_box(GroupHeader::decode(file.get(1024..).unwrap_or_default(), seed(&golden.id), 1024));
    });
}

/// Frames whose checksum holds, whatever they are said to carry.
#[test]
fn frames() {
    let golden = seeds(&[GOLDEN]).remove(0);
    let seeds = [golden[1024 + 48..1024 + 700].to_vec(), golden[1024 + 700..2048].to_vec()];
    run(&seeds, |bytes| {
        if let FrameRead::Whole(frame) = Frame::read(bytes, 7) {
            black_box((frame.tag(), Label::of(frame.envelope())));
        }
        for kind in [Kind::Key, Kind::Message, Kind::Tagged, Kind::Replayed] {
            let mut whole = Vec::new();
            Frame::put(&mut whole, 7, 42, kind, [bytes, &[]]);
            let FrameRead::Whole(frame) = Frame::read(&whole, 7) else { panic!("what is written is read") };
            assert!(frame.envelope_start() >= FRAME_HEADER && frame.envelope().len() <= bytes.len());
            black_box((frame.tag(), Label::of(frame.envelope())));
        }
    });
}
