//! The first bytes of a segment file.

use crc32c::crc32c;

use super::{FORMAT_VERSION, u32_at, u64_at};

pub(crate) const SEGMENT_HEADER_LEN: u64 = 24;

/// Bytes that text editors, transfers in text mode and truncation to seven bits all damage visibly.
const MAGIC: [u8; 8] = *b"SPWSEG\r\n";
const CHECKED: usize = 20;

/// What the first bytes of a file say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SegmentHeader {
    /// As written.
    Valid { created: u64 },
    /// As a later version of this crate wrote it.
    Newer { version: u32 },
    /// The beginning of a header, or zeros: a file whose creation was cut short.
    Incomplete,
    /// Ours, by the first bytes, but damaged.
    Damaged,
    /// Not known. It may be ours and damaged, or somebody else's.
    Unknown,
}

pub(crate) fn segment_header(created: u64) -> [u8; SEGMENT_HEADER_LEN as usize] {
    let mut bytes = [0; SEGMENT_HEADER_LEN as usize];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes[12..CHECKED].copy_from_slice(&created.to_le_bytes());
    let crc = crc32c(&bytes[..CHECKED]);
    bytes[CHECKED..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

impl SegmentHeader {
    /// Judges the first bytes of a file: as many as it has, up to a header's length.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let is_whole = bytes.len() >= SEGMENT_HEADER_LEN as usize;
        if bytes.iter().all(|byte| *byte == 0) {
            return Self::Incomplete;
        }
        if !bytes.starts_with(&MAGIC) {
            let is_beginning = !is_whole && MAGIC.starts_with(bytes);
            return if is_beginning { Self::Incomplete } else { Self::Unknown };
        }
        if !is_whole {
            return Self::Incomplete;
        }
        if crc32c(&bytes[..CHECKED]) != u32_at(bytes, CHECKED) {
            return Self::Damaged;
        }
        match u32_at(bytes, 8) {
            FORMAT_VERSION => Self::Valid {
                created: u64_at(bytes, 12),
            },
            version => Self::Newer { version },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_back_and_its_beginnings_are_incomplete() {
        let bytes = segment_header(17);
        assert_eq!(SegmentHeader::parse(&bytes), SegmentHeader::Valid { created: 17 });
        for cut in 0..bytes.len() {
            assert_eq!(SegmentHeader::parse(&bytes[..cut]), SegmentHeader::Incomplete, "{cut}");
        }
        assert_eq!(
            SegmentHeader::parse(b"#!/bin/sh\necho somebody else"),
            SegmentHeader::Unknown
        );
    }

    #[test]
    fn a_later_version_is_told_from_a_damaged_one() {
        let mut bytes = segment_header(17);
        bytes[8] = 2;
        assert_eq!(SegmentHeader::parse(&bytes), SegmentHeader::Damaged);
        let crc = crc32c(&bytes[..CHECKED]);
        bytes[CHECKED..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(SegmentHeader::parse(&bytes), SegmentHeader::Newer { version: 2 });
    }
}
