//! What is settled: the cursor file, and the acknowledgements since it was written.

use crc32c::crc32c;

use super::{FORMAT_VERSION, u32_at, u64_at};

const MAGIC: [u8; 8] = *b"SPWCUR\r\n";
const HEAD: usize = 32;
const ENTRY: usize = 24;

/// The length of one acknowledgement in the file `acks`.
pub(crate) const ACK_LEN: usize = ENTRY + 4;

/// A settled stretch of a segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Range {
    pub(crate) seq: u64,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// The content of a cursor file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Cursor {
    /// The number of the next segment: none is ever used again.
    pub(crate) next: u64,
    /// Every segment below this is settled, but for those that `ranges` has: they could not be read.
    pub(crate) first: u64,
    /// What is settled of the others. An empty one says of a segment below `first` that nothing is.
    pub(crate) ranges: Vec<Range>,
}

/// Why a cursor file cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum CursorError {
    Damaged,
    Newer { version: u32 },
}

impl Cursor {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + self.ranges.len() * ENTRY + 4);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.next.to_le_bytes());
        bytes.extend_from_slice(&self.first.to_le_bytes());
        bytes.extend_from_slice(&(self.ranges.len() as u32).to_le_bytes());
        self.ranges.iter().for_each(|range| push_range(&mut bytes, *range));
        let crc = crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, CursorError> {
        let Some(checked) = bytes.len().checked_sub(4).filter(|checked| *checked >= HEAD) else {
            return Err(CursorError::Damaged);
        };
        if !bytes.starts_with(&MAGIC) || crc32c(&bytes[..checked]) != u32_at(bytes, checked) {
            return Err(CursorError::Damaged);
        }
        let version = u32_at(bytes, 8);
        if version != FORMAT_VERSION {
            return Err(CursorError::Newer { version });
        }
        let ranges: Vec<Range> = bytes[HEAD..checked].chunks_exact(ENTRY).map(range_at).collect();
        if ranges.len() != u32_at(bytes, 28) as usize {
            return Err(CursorError::Damaged);
        }
        Ok(Self {
            next: u64_at(bytes, 12),
            first: u64_at(bytes, 20),
            ranges,
        })
    }
}

pub(crate) fn ack_bytes(range: Range) -> [u8; ACK_LEN] {
    let mut bytes = [0; ACK_LEN];
    bytes[..8].copy_from_slice(&range.seq.to_le_bytes());
    bytes[8..16].copy_from_slice(&range.start.to_le_bytes());
    bytes[16..ENTRY].copy_from_slice(&range.end.to_le_bytes());
    let crc = crc32c(&bytes[..ENTRY]);
    bytes[ENTRY..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// The acknowledgements that can be read. Each stands alone: one that is damaged costs a repetition, nothing else.
pub(crate) fn read_acks(bytes: &[u8]) -> impl Iterator<Item = Range> + '_ {
    bytes
        .chunks_exact(ACK_LEN)
        .filter(|ack| crc32c(&ack[..ENTRY]) == u32_at(ack, ENTRY))
        .map(range_at)
}

fn push_range(bytes: &mut Vec<u8>, range: Range) {
    bytes.extend_from_slice(&range.seq.to_le_bytes());
    bytes.extend_from_slice(&range.start.to_le_bytes());
    bytes.extend_from_slice(&range.end.to_le_bytes());
}

fn range_at(bytes: &[u8]) -> Range {
    Range {
        seq: u64_at(bytes, 0),
        start: u64_at(bytes, 8),
        end: u64_at(bytes, 16),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor() -> Cursor {
        let range = |seq, start, end| Range { seq, start, end };
        Cursor {
            next: 9,
            first: 3,
            ranges: vec![range(3, 24, 100), range(5, 200, 300)],
        }
    }

    #[test]
    fn a_cursor_reads_back_and_no_damage_goes_unseen() {
        let bytes = cursor().to_bytes();
        assert_eq!(Cursor::parse(&bytes), Ok(cursor()));
        for cut in 0..bytes.len() {
            assert_eq!(Cursor::parse(&bytes[..cut]), Err(CursorError::Damaged), "{cut}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Cursor::parse(&damaged), Err(CursorError::Damaged), "{bit}");
        }
    }

    #[test]
    fn a_damaged_acknowledgement_takes_no_other_with_it() {
        let ranges = cursor().ranges;
        let mut bytes: Vec<u8> = ranges.iter().flat_map(|range| ack_bytes(*range)).collect();
        bytes.extend_from_slice(&[7; 5]); // the beginning of one more
        assert_eq!(read_acks(&bytes).collect::<Vec<_>>(), ranges);
        bytes[3] ^= 1;
        assert_eq!(read_acks(&bytes).collect::<Vec<_>>(), ranges[1..]);
    }
}
