//! What stands in the files, byte by byte. All numbers are little-endian.
//!
//! ```text
//! seg-<16 digits>.log   header { magic 8, version u32, created u64, crc32c u32 }  then records
//! record                { len u32, crc32c u32, kind u8, items u32, time u64, payload: len bytes }
//! cursor                { magic 8, version u32, next u64, first u64, count u32, { seq u64, start u64, end u64 }*, crc32c u32 }
//! acks                  { seq u64, start u64, end u64, crc32c u32 }*
//! ```
//!
//! The checksum of a record covers everything of it but the checksum. Times are nanoseconds since 1970. A `kind` is 1 (a
//! request), with 16 added for high priority and 32 for a payload under zstd. Every segment below the cursor's `first` is settled, but
//! for those of which there are ranges.
//!
//! Files of version 1 stay readable: `tests/golden/v1` holds some.

mod cursor;
mod name;
mod record;
mod scan;
mod segment;

pub(crate) use self::{
    cursor::{ACK_LEN, Cursor, CursorError, Range, ack_bytes, read_acks},
    name::{
        ACKS, ACKS_NEW, CURSOR, CURSOR_NEW, LOCK, bad_name, parse_segment, parse_volume, segment_name, volume_name,
    },
    record::{HEADER_LEN, Header, Kind, MAX_ITEMS, MAX_PAYLOAD},
    scan::{Damage, Found, Scanner, read_exact_at},
    segment::{SEGMENT_HEADER_LEN, SegmentHeader, segment_header},
};

/// The version that this crate writes, and the newest that it reads.
pub const FORMAT_VERSION: u32 = 1;

/// Reads a number at `at`. The callers have checked the length; a short slice reads as zeros, which no checksum matches.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..at + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u32::from_le_bytes)
}

/// As [`u32_at`].
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes
        .get(at..at + 8)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u64::from_le_bytes)
}
