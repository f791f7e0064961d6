//! The watermark file: the lowest sequence that is not confirmed, and the epoch of the store that confirmed the rest.
//!
//! Both stand in one file that is replaced as a whole, so a new epoch is never on disk without the rewound watermark. It
//! may lag behind: that only makes the proxy ask again. Layout: `MBJWMK01`, watermark (8, big-endian), 1 or 0 for whether
//! an epoch is known (1), epoch (16), CRC32C of all before (4).

use std::io;
use std::path::{Path, PathBuf};

use super::format::{be32, be64, id16};
use crate::disk::Disk;

const MAGIC: &[u8; 8] = b"MBJWMK01";
const LEN: usize = 33;

/// The random id of a store's history.
pub(crate) type Epoch = [u8; 16];

/// What the watermark file says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Watermark {
    /// Everything below is confirmed.
    pub(crate) seq: u64,
    pub(crate) epoch: Option<Epoch>,
}

impl Watermark {
    fn path(dir: &Path) -> PathBuf {
        dir.join("watermark")
    }

    /// Reads the file; `None` if there is none or it is damaged, which only means that everything is asked again.
    pub(crate) fn load(disk: &Disk, dir: &Path) -> io::Result<Option<Self>> {
        match disk.read(&Self::path(dir)) {
            Ok(bytes) => Ok(Self::decode(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn save(&self, disk: &Disk, dir: &Path) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(LEN + 4);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.seq.to_be_bytes());
        bytes.push(u8::from(self.epoch.is_some()));
        bytes.extend_from_slice(&self.epoch.unwrap_or_default());
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_be_bytes());
        disk.replace(&Self::path(dir), &bytes)
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let body = bytes.get(..LEN)?;
        let sound = body.starts_with(MAGIC) && be32(bytes, LEN)? == crc32c::crc32c(body);
        sound.then_some(())?;
        Some(Self { seq: be64(body, 8)?, epoch: if body[16] == 1 { id16(body, 17) } else { None } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::sim::SimDisk;

    #[test]
    fn it_is_read_back_and_a_damaged_one_is_as_none() {
        let sim = SimDisk::new();
        let disk = Disk::Simulated(sim.clone());
        let dir = Path::new("j");
        assert_eq!(Watermark::load(&disk, dir).expect("powered"), None);
        for epoch in [None, Some([8; 16])] {
            let watermark = Watermark { seq: 12, epoch };
            watermark.save(&disk, dir).expect("powered");
            assert_eq!(Watermark::load(&disk, dir).expect("powered"), Some(watermark));
        }
        sim.flip(&Watermark::path(dir), 9, 4);
        assert_eq!(Watermark::load(&disk, dir).expect("powered"), None);
    }
}
